"""Attention with several heads, from inputs to the output's projection: `functional.multi_head_attention_forward`.

NOTE [Layouts of several heads]
    Inputs are (length, batch, size), or (batch, length, size) where a module says batch_first; both are projected as they lie.
    A head is a view (batch, heads, length, size of a head) of the projection, attention gives its output the same layout in
    memory (ops.attention NOTE [What is kept of attention]), and so nothing is copied between the projections.
"""

from __future__ import annotations

import math
from typing import Any

from ..backend.promotion import category
from ..core.graph import words
from ..core.tensor import Tensor
from ..ops.attention import scaled_dot_product_attention
from ..ops.create import zeros
from ..ops.dropouts import dropout
from ..ops.join import cat
from ..ops.linalg import linear
from ..ops.padding import pad

__all__ = ["multi_head_attention_forward"]


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """(output, weights or None) of attention with several heads, for inputs (length, batch, size), or (batch, length, size) with
    batch_first, or (length, size). `nn.MultiheadAttention` says what the arguments are.

    Raises AssertionError or RuntimeError for shapes that do not fit.

    >>> import autograd_gpu as ag
    >>> x, w = ag.ones(3, 2), ag.eye(2)
    >>> ag.nn.functional.multi_head_attention_forward(
    ...     x, x, x, 2, 1, ag.cat([w, w, w]), None, None, None, False, 0.0, w, None)[0]
    tensor([[1., 1.],
            [1., 1.],
            [1., 1.]])
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        alike = query is key, key is value
        at = 0 if batch_first else 1
        query = query.unsqueeze(at)
        key = query if alike[0] else key.unsqueeze(at)
        value = key if alike[1] else value.unsqueeze(at)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    size = query.array.shape[2]
    if size != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {size}")
    if num_heads * (size // num_heads) != size:
        raise AssertionError(f"embed_dim {size} not divisible by num_heads {num_heads}")
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if use_separate_proj_weight:
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {list(key.shape[:2])} do not match value's {list(value.shape[:2])}"
            )
        biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
        q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    else:
        if key.shape != value.shape:
            raise AssertionError(f"key shape {list(key.shape)} does not match value shape {list(value.shape)}")
        q, k, v = _project(query, key, value, in_proj_weight, in_proj_bias, num_heads)
    q, k, v = (_heads(x, num_heads, batch_first) for x in (q, k, v))
    batch, (queries, keys) = q.array.shape[0], (q.array.shape[2], k.array.shape[2])
    if static_k is not None:
        k = static_k.reshape((batch, num_heads, *static_k.shape[1:]))
    if static_v is not None:
        v = static_v.reshape((batch, num_heads, *static_v.shape[1:]))
    # the mask of a causal call is a hint where nothing else needs it
    causal = is_causal and key_padding_mask is None and not need_weights
    attn_mask = None if causal or attn_mask is None else _of_heads(attn_mask, batch, num_heads, queries, keys)
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            raise AssertionError("bias cannot be added to static key or value.")
        k, v = (_with_bias(x, bias, num_heads) for x, bias in ((k, bias_k), (v, bias_v)))
    elif bias_k is not None or bias_v is not None:
        raise AssertionError("bias_k and bias_v are given together, or neither of them")
    if add_zero_attn:
        zero = zeros((batch, num_heads, 1, size // num_heads), dtype=k.dtype, device=k.device)
        k, v = cat([k, zero], 2), cat([v, zero], 2)
    mask = _merged(attn_mask, key_padding_mask, batch, k.array.shape[2], q.dtype)
    p = dropout_p if training else 0.0
    if need_weights:
        out, weights = _with_weights(q, k, v, mask, p)
    else:
        out, weights = scaled_dot_product_attention(q, k, v, mask, p, causal), None
    axes = (0, 2, 1, 3) if batch_first else (2, 0, 1, 3)
    out = words.reshape(words.transpose(out, axes=axes), shape=query.array.shape)
    out = linear(out, out_proj_weight, out_proj_bias)
    if weights is not None and average_attn_weights:
        weights = weights.mean(1)
    if not batched:
        out, weights = out.squeeze(at), None if weights is None else weights.squeeze(0)
    return out, weights


def _project(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Tensor | None, heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values by the three parts of one weight: in one product where the inputs are the same. Those of one
    product come with their heads apart, (*, *, heads, size): so one view serves them all."""
    size = weight.array.shape[0] // 3
    if query is key is value:
        packed = linear(query, weight, bias)
        packed = words.reshape(packed, shape=(*packed.array.shape[:2], 3, heads, size // heads))
        return words.unbind(packed, axis=2)
    if key is value:
        w_q, w_kv = words.split(weight, axis=0, sizes=(size, 2 * size))
        b_q, b_kv = (None, None) if bias is None else words.split(bias, axis=0, sizes=(size, 2 * size))
        packed = linear(key, w_kv, b_kv)
        packed = words.reshape(packed, shape=(*packed.array.shape[:2], 2, heads, size // heads))
        return linear(query, w_q, b_q), *words.unbind(packed, axis=2)
    weights = words.split(weight, axis=0, sizes=(size,) * 3)
    biases = (None,) * 3 if bias is None else words.split(bias, axis=0, sizes=(size,) * 3)
    return tuple([linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)])


def _heads(x: Tensor, heads: int, batch_first: bool) -> Tensor:
    """A projection as (batch, heads, length, size of a head): a view."""
    shape = x.array.shape
    if len(shape) == 3:
        x = words.reshape(x, shape=(*shape[:2], heads, shape[2] // heads))
    return words.transpose(x, axes=(0, 2, 1, 3) if batch_first else (1, 2, 0, 3))


def _with_bias(x: Tensor, bias: Tensor, heads: int) -> Tensor:
    """Keys or values (batch, heads, length, size) and one more of all sequences: `bias` (1, 1, heads * size)."""
    batch, _, _, size = x.array.shape
    return cat([x, words.broadcast_to(bias.reshape((1, heads, 1, size)), shape=(batch, heads, 1, size))], 2)


def _with_weights(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float) -> tuple[Tensor, Tensor]:
    """Attention step by step, with the weights that it gives: NaN where a query sees no key, as in PyTorch."""
    scores = words.matmul(q * (1 / math.sqrt(q.array.shape[-1])), words.mT(k))
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if category(mask.dtype) == 0 else scores + mask
    weights = words.softmax(scores, axis=3)
    if p:
        weights = dropout(weights, p)
    return words.matmul(weights, v), weights


# -- masks ---------------------------------------------------------------------------------------------------------------
#
# The user's masks hide keys where they are True; that of scaled_dot_product_attention shows them.


def _additive(mask: Tensor | None, name: str, dtype: Any) -> Tensor | None:
    """A mask as numbers to add to scores: minus infinity where a bool mask hides a key."""
    if mask is None:
        return None
    if category(mask.dtype) == 0:
        return zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, -math.inf)
    if category(mask.dtype) != 2:
        raise AssertionError(f"only bool and floating types of {name} are supported")
    return mask


def _merged(attn_mask: Tensor | None, padding: Tensor | None, batch: int, keys: int, dtype: Any) -> Tensor | None:
    """The mask of positions and that of padding as one, which broadcasts to (batch, heads, queries, keys). Keys behind those
    that a mask is given for are seen."""
    masks = []
    if attn_mask is not None:
        masks.append((attn_mask, "attn_mask"))
    if padding is not None:
        given, missing = padding.array.shape, keys - padding.array.shape[1]
        if given[0] != batch:
            raise AssertionError(f"Expected key_padded_mask.shape[0] to be {batch}, but got {given[0]}")
        if missing not in (0, 1, 2):
            raise AssertionError(f"Expected key_padded_mask.shape[1] to be {keys}, but got {given[1]}")
        masks.append((padding.reshape((batch, 1, 1, given[1])), "key_padding_mask"))
    if not masks:
        return None
    if all(category(mask.dtype) == 0 for mask, _ in masks):
        hidden = [_padded(mask, keys) for mask, _ in masks]
        return ~(hidden[0] | hidden[1]) if len(hidden) == 2 else ~hidden[0]
    added = [_padded(_additive(mask, name, dtype), keys) for mask, name in masks]
    return words.astype(added[0] + added[1] if len(added) == 2 else added[0], dtype=dtype)


def _padded(mask: Tensor, keys: int) -> Tensor:
    missing = keys - mask.array.shape[-1]
    return pad(mask, (0, missing)) if missing else mask


def _of_heads(mask: Tensor, batch: int, heads: int, queries: int, keys: int) -> Tensor:
    """The user's attn_mask (queries, keys) or (batch * heads, queries, keys) as (batch or 1, heads or 1, queries, keys)."""
    wanted = (queries, keys) if mask.ndim == 2 else (batch * heads, queries, keys)
    if mask.shape != wanted:
        raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {list(mask.shape)}, but should be {wanted}.")
    return mask.reshape((1, 1, queries, keys) if mask.ndim == 2 else (batch, heads, queries, keys))


def _check_shapes(
    query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None, attn_mask: Tensor | None, heads: int
) -> bool:
    """Whether the inputs have a dimension for the batch. Raises PyTorch's errors for numbers of dimensions that do not fit."""
    if query.ndim not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor")
    n = query.ndim
    what = f"For {'batched (3-D)' if n == 3 else 'unbatched (2-D)'} `query`, expected"
    if key.ndim != n or value.ndim != n:
        raise AssertionError(
            f"{what} `key` and `value` to be {n}-D but found {key.ndim}-D and {value.ndim}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.ndim != n - 1:
        raise AssertionError(
            f"{what} `key_padding_mask` to be `None` or {n - 1}-D but found {key_padding_mask.ndim}-D tensor instead"
        )
    if attn_mask is not None and attn_mask.ndim not in (2, 3):
        raise AssertionError(f"{what} `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.ndim}-D tensor instead")
    if n == 2 and attn_mask is not None and attn_mask.ndim == 3:
        wanted = (heads, query.shape[0], key.shape[0])
        if attn_mask.shape != wanted:
            raise AssertionError(f"Expected `attn_mask` shape to be {wanted} but got {list(attn_mask.shape)}")
    return n == 3
