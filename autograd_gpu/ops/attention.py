"""Scaled dot product attention: one op, of which the matrix of weights is never kept.

NOTE [What is kept of attention]
    Queries, keys, values and the output, and of each row a number or two (core.primitive NOTE [Residue]); the weights, which are
    as many as queries times keys, are made again. Which of them were dropped is told by seed and offset. The output lies in
    memory as the queries do: where these are a view of (batch, sequence, heads, size), so is the output, and what joins the
    heads again is a view as well.
"""

from __future__ import annotations

import math
from typing import Any

from ..backend.promotion import category, float32, int64
from ..core.dispatch import NOTHING
from ..core.graph import words
from ..core.primitive import primitive
from ..core.tensor import Tensor
from .generator import default_generator
from .linalg import check_tensors
from .shape import broadcast_shapes

__all__ = ["scaled_dot_product_attention"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()

_HIDDEN = -math.inf  # the score of a key that a query does not see


def _is_given(mask: Any) -> bool:
    return getattr(mask, "array", mask) is not None


def _weights(xp: Any, q: Any, k: Any, mask: Any, scale: float, causal: bool) -> Any:
    """What each query gives each value. A query that sees no key gives zeros, as in PyTorch."""
    scores = xp.matmul(q, xp.mT(k)) * scale
    last = scores.ndim - 1
    hidden = xp.full((), _HIDDEN, scores.dtype)
    if causal:
        scores = xp.where(xp.tril(xp.ones(scores.shape[-2:], bool)), scores, hidden)
    if not _is_given(mask):
        return xp.softmax(scores, axis=last)
    scores = xp.where(mask, scores, hidden) if category(mask.dtype) == 0 else scores + mask
    if not scores.shape[last]:
        return scores
    blind, zeros = xp.amax(scores, axis=last, keepdims=True) == _HIDDEN, xp.zeros((), scores.dtype)
    return xp.where(blind, zeros, xp.softmax(xp.where(blind, zeros, scores), axis=last))


def _scores_gradient(
    xp: Any, g: Any, q: Any, k: Any, v: Any, mask: Any, out: Any, scale: float, causal: bool, p: float, seed: int, offset: int
) -> Any:
    of_weights = _dropped(xp, xp.matmul(g, xp.mT(v)), p, seed, offset)
    return _weights(xp, q, k, mask, scale, causal) * (of_weights - xp.sum(g * out, axis=g.ndim - 1, keepdims=True))


def _dropped(xp: Any, weights: Any, p: float, seed: int, offset: int) -> Any:
    return xp.dropout(weights, p=p, seed=seed, offset=offset) if p else weights


@primitive(
    q=lambda xp, g, q, k, v, mask, out, scale, causal, p, seed, offset: (
        xp.matmul(_scores_gradient(xp, g, q, k, v, mask, out, scale, causal, p, seed, offset), k) * scale
    ),
    k=lambda xp, g, q, k, v, mask, out, scale, causal, p, seed, offset: (
        xp.matmul(xp.mT(_scores_gradient(xp, g, q, k, v, mask, out, scale, causal, p, seed, offset)), q) * scale
    ),
    v=lambda xp, g, q, k, mask, scale, causal, p, seed, offset: xp.matmul(
        xp.mT(_dropped(xp, _weights(xp, q, k, mask, scale, causal), p, seed, offset)), g
    ),
    mask=_scores_gradient,
    residue=True,
)
def _scaled_dot_product_attention(
    xp: Any,
    q: Any,
    k: Any,
    v: Any,
    mask: Any,
    *,
    scale: float,
    causal: bool = False,
    p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
) -> Any:
    """The op behind `scaled_dot_product_attention`, for inputs with the same leading dimensions. NOTHING for no mask."""
    return xp.matmul(_dropped(xp, _weights(xp, q, k, mask, scale, causal), p, seed, offset), v)


# -- the function that wraps it -------------------------------------------------------------------------------------------


def _check(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, is_causal: bool) -> None:
    """Raise PyTorch's error for arguments that do not fit."""
    check_tensors("scaled_dot_product_attention", query=query, key=key, value=value)
    shapes = f"query {list(query.shape)}, key {list(key.shape)}, value {list(value.shape)}"
    if not query.dtype == key.dtype == value.dtype:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got "
            f"query.dtype: {query.dtype} key.dtype: {key.dtype} and value.dtype: {value.dtype} instead."
        )
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(f"Expected query, key, and value to all be at least 2 dimensional, but got {shapes}")
    if category(query.dtype) != 2:
        raise RuntimeError(f"scaled_dot_product_attention() takes floating point numbers, and the query is {query.dtype}")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise RuntimeError(f"queries and keys must have one size, and keys and values be as many: the shapes are {shapes}")
    if attn_mask is None:
        return
    check_tensors("scaled_dot_product_attention", attn_mask=attn_mask)
    if is_causal:
        raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    if category(attn_mask.dtype) != 0 and attn_mask.dtype not in (query.dtype, float32):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            f"attn_mask.dtype: {attn_mask.dtype} and query.dtype: {query.dtype} instead."
        )


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query @ key.mT * scale) @ value, for query (..., L, E), key (..., S, E) and value (..., S, Ev): (..., L, Ev).

    attn_mask    broadcast to (..., L, S): bool, True where a query sees a key, or a float tensor added to the scores
    dropout_p    the chance of a weight to be dropped. It applies whenever it is not 0: pass 0.0 to evaluate
    is_causal    query i sees the keys up to i; with no attn_mask only
    scale        1/sqrt(E) if None
    enable_gqa   key and value may have fewer heads, dimension -3: each serves several consecutive heads of the query
    A query that sees no key gives zeros. Raises RuntimeError for shapes or dtypes that do not fit.

    Vaswani et al., "Attention is all you need", 2017.

    >>> import autograd_gpu as ag
    >>> x = ag.eye(2)
    >>> ag.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[1.0000, 0.0000],
            [0.3302, 0.6698]])
    """
    _check(query, key, value, attn_mask, is_causal)
    if not 0.0 <= dropout_p <= 1.0:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    if scale is None:
        scale = 1 / math.sqrt(query.shape[-1] or 1)
    if enable_gqa:
        return _grouped(query, key, value, attn_mask, dropout_p, is_causal, scale)
    return _attention(query, key, value, attn_mask, dropout_p, is_causal, scale)


def _attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, dropout_p: float, is_causal: bool, scale: float
) -> Tensor:
    """Attention with leading dimensions broadcast."""
    lead, (queries, keys) = query.array.shape[:-2], (query.array.shape[-2], key.array.shape[-2])
    if not lead == key.array.shape[:-2] == value.array.shape[:-2]:
        lead = broadcast_shapes(lead, key.array.shape[:-2], value.array.shape[:-2])
        query, key, value = (words.broadcast_to(x, shape=lead + x.array.shape[-2:]) for x in (query, key, value))
    mask = NOTHING
    if attn_mask is not None:
        mask = attn_mask
        if category(mask.dtype) and mask.dtype != query.dtype:
            mask = words.astype(mask, dtype=query.dtype)
        if mask.array.shape != (*lead, queries, keys):
            mask = words.broadcast_to(mask, shape=(*lead, queries, keys))
    seed = offset = 0
    if dropout_p:
        seed, offset = default_generator.take((math.prod(lead) * queries * keys + 3) // 4, int64)
    return words.scaled_dot_product_attention(
        query, key, value, mask, scale=float(scale), causal=is_causal, p=float(dropout_p), seed=seed, offset=offset
    )


def _grouped(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, dropout_p: float, is_causal: bool, scale: float
) -> Tensor:
    """Attention in which a head of keys and values serves several of queries: views, nothing is copied."""
    if min(query.ndim, key.ndim, value.ndim) < 3:
        raise RuntimeError("enable_gqa=True takes a dimension of heads: (..., heads, length, size)")
    heads, of_keys, of_values = query.shape[-3], key.shape[-3], value.shape[-3]
    if not of_keys or not of_values or heads % of_keys or heads % of_values:
        raise RuntimeError(
            "Number of heads in key and value must divide the number of heads in query, but got "
            f"{of_keys} and {of_values} for {heads}"
        )
    if of_keys != of_values:  # then all have as many heads as the queries
        key, value = (x if n == heads else _split_heads(x, n, heads // n) for x, n in ((key, of_keys), (value, of_values)))
        return _attention(query, key, value, attn_mask, dropout_p, is_causal, scale)
    groups = heads // of_keys
    query = query.reshape((*query.shape[:-3], of_keys, groups, *query.shape[-2:]))
    if attn_mask is not None and attn_mask.ndim > 2:
        shared = attn_mask.shape[-3] == 1
        attn_mask = attn_mask.reshape(
            (*attn_mask.shape[:-3], 1 if shared else of_keys, 1 if shared else groups, *attn_mask.shape[-2:])
        )
    out = _attention(query, key.unsqueeze(-3), value.unsqueeze(-3), attn_mask, dropout_p, is_causal, scale)
    return out.reshape((*out.shape[:-4], heads, *out.shape[-2:]))


def _split_heads(x: Tensor, heads: int, times: int) -> Tensor:
    """x with each of its heads several times."""
    wide = words.broadcast_to(x.unsqueeze(-3), shape=(*x.shape[:-3], heads, times, *x.shape[-2:]))
    return wide.reshape((*x.shape[:-3], heads * times, *x.shape[-2:]))
