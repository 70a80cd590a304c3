"""Distances between vectors: pair by pair, and between all of two sets or of one."""

from __future__ import annotations

import math
from math import prod
from typing import Any

from ..core.graph import words
from ..core.primitive import primitive
from ..core.tensor import Tensor
from .arguments import axis_of
from .linalg import check_tensors
from .sorting import triu_indices
from .vectors import vector_norm

__all__ = ["cdist", "cosine_similarity", "pairwise_distance", "pdist"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()

_PIECE = 1 << 20  # elements of the differences of all pairs that are made at once
_MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between the vectors along `dim`, the other dimensions broadcasting. Lengths are taken as `eps` at
    the least.

    Raises RuntimeError for integers and shapes that do not fit.

    >>> import autograd_gpu as ag
    >>> ag.cosine_similarity(ag.tensor([[1.0, 0.0], [1.0, 1.0]]), ag.tensor([[2.0, 0.0], [1.0, -1.0]]))
    tensor([1., 0.])
    """
    check_tensors("cosine_similarity", x1=x1, x2=x2)
    if x1.array.dtype.kind in "iub" and x2.array.dtype.kind in "iub":
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {x1.dtype}")
    axis = (axis_of(dim, max(x1.ndim, x2.ndim)),)
    ndim = max(x1.ndim, x2.ndim)
    x1, x2 = (x if x.ndim == ndim else words.reshape(x, shape=(1,) * (ndim - x.ndim) + x.array.shape) for x in (x1, x2))
    if x1.array.shape != x2.array.shape:  # a vector of one element stands for one of equal elements
        shape = words.mul(x1, x2).array.shape
        x1, x2 = words.broadcast_to(x1, shape=shape), words.broadcast_to(x2, shape=shape)
    if not x1.ndim:
        axis = ()
    directions = [words.div(x, _length(x, axis, eps)) for x in (x1, x2)]
    return words.sum(words.mul(*directions), axis=axis)


def _length(x: Tensor, axis: tuple[int, ...], eps: float) -> Tensor:
    """The lengths of vectors, `eps` for shorter ones, as PyTorch has it: the gradient does not know of that."""
    if x.array.dtype.kind in "iub":
        x = x.float()
    length = words.vector_norm(x, axis=axis, ord=2.0, keepdims=True)
    return words.add(length, words.sub(words.clamp(length, min=eps), length).detach())


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norms of x1 - x2 + eps along the last dimension.

    >>> import autograd_gpu as ag
    >>> ag.pairwise_distance(ag.tensor([[0.0, 0.0]]), ag.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """
    check_tensors("pairwise_distance", x1=x1, x2=x2)
    return vector_norm(words.add(words.sub(x1, x2), eps), p, max(x1.ndim, x2.ndim) - 1, keepdim)


# -- all pairs ---------------------------------------------------------------------------------------------------------------


def _apart(xp: Any, a: Any, b: Any) -> Any:
    """The differences of all pairs: (..., P, 1, M) - (..., 1, R, M)."""
    return xp.reshape(a, shape=(*a.shape[:-1], 1, a.shape[-1])) - xp.reshape(b, shape=(*b.shape[:-2], 1, *b.shape[-2:]))


def _norm(xp: Any, d: Any, p: float) -> Any:
    """The p-norms along the last dimension, of arrays."""
    last = (d.ndim - 1,)
    if p == 2:
        return xp.sqrt(xp.sum(d * d, axis=last))
    d = xp.abs(d)
    if p == 0:
        return xp.sum(xp.astype(d != 0, dtype=d.dtype), axis=last)
    if p == 1:
        return xp.sum(d, axis=last)
    return xp.amax(d, axis=last) if p == math.inf else xp.pow(xp.sum(xp.pow(d, p), axis=last), 1 / p)


def _shares(xp: Any, g: Any, a: Any, b: Any, out: Any, p: float) -> Any:
    """What each difference gets of g: zero where the vectors are one point."""
    column = (*out.shape, 1)
    g, out = xp.reshape(g, shape=column), xp.reshape(out, shape=column)
    d = _apart(xp, a, b)
    if p == 0:
        return xp.zeros_like(d)
    if p == 1:
        return g * xp.sign(d)
    if p == math.inf:
        return g * xp.sign(d) * (xp.abs(d) == out)
    ratio = d / (out + (out == 0))
    if p == 2:
        return g * ratio
    zero = d == 0
    return g * xp.sign(d) * xp.where(zero, xp.zeros_like(ratio), (xp.abs(ratio) + zero) ** (p - 1))


def _cdist_a(xp: Any, g: Any, a: Any, b: Any, out: Any, p: float, products: bool) -> Any:
    if not products:
        return xp.sum(_shares(xp, g, a, b, out, p), axis=(out.ndim - 1,))
    zero = out == 0
    weight = xp.where(zero, xp.zeros_like(out), g / (out + zero))
    return a * xp.sum(weight, axis=(out.ndim - 1,), keepdims=True) - xp.matmul(weight, b)


def _cdist_b(xp: Any, g: Any, a: Any, b: Any, out: Any, p: float, products: bool) -> Any:
    if not products:
        return -xp.sum(_shares(xp, g, a, b, out, p), axis=(out.ndim - 2,))
    return _cdist_a(xp, xp.mT(g), b, a, xp.mT(out), p, True)


@primitive(a=_cdist_a, b=_cdist_b)
def _cdist(xp: Any, a: Any, b: Any, *, p: float, products: bool) -> Any:
    """The op behind `cdist`, for batches of one shape. With `products`, the squares are |a|^2 - 2 a b + |b|^2."""
    if products:
        last = (a.ndim - 1,)
        squares = xp.matmul(a, xp.mT(b)) * xp.asarray(-2, a.dtype)
        squares += xp.sum(a * a, axis=last, keepdims=True)
        squares += xp.mT(xp.sum(b * b, axis=last, keepdims=True))
        return xp.sqrt(xp.clamp(squares, min=0))
    rows = a.shape[-2]
    step = max(1, _PIECE // max(1, prod(b.shape)))
    if step >= rows:
        return _norm(xp, _apart(xp, a, b), p)
    return xp.cat(*[_norm(xp, _apart(xp, a[..., i : i + step, :], b), p) for i in range(0, rows, step)], axis=a.ndim - 2)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = _MODES[0]) -> Tensor:
    """The p-norms of the differences of all pairs: (..., P, R) for x1 (..., P, M) and x2 (..., R, M).

    Squares of Euclidean distances come from matrix products for more than 25 vectors, which is fast and loses digits of small
    distances between long vectors; compute_mode="donot_use_mm_for_euclid_dist" keeps them. The gradient of the distance of
    equal vectors is zero. Raises RuntimeError for other shapes, negative `p` and integers.

    >>> import autograd_gpu as ag
    >>> ag.cdist(ag.tensor([[0.0, 0.0], [3.0, 0.0]]), ag.tensor([[0.0, 4.0]]))
    tensor([[4.], [5.]])
    """
    check_tensors("cdist", x1=x1, x2=x2)
    for name, x in (("X1", x1), ("X2", x2)):
        if x.array.dtype.kind not in "fV":
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {x.dtype}")
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1.array.dtype != x2.array.dtype:
        raise RuntimeError(f"expected scalar type {x1.dtype} but found {x2.dtype}: convert one of the two")
    (rows, width), (columns, other) = x1.array.shape[-2:], x2.array.shape[-2:]
    if width != other:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {width} X2: {other}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if compute_mode not in _MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode: use one of {', '.join(_MODES)}")
    if not width:  # with all of their dimensions equal
        return words.matmul(x1, words.mT(x2))
    if x1.array.shape[:-2] != x2.array.shape[:-2]:
        batch = words.matmul(x1[..., :1].detach(), words.mT(x2[..., :1].detach())).array.shape[:-2]
        x1 = words.broadcast_to(x1, shape=(*batch, rows, width))
        x2 = words.broadcast_to(x2, shape=(*batch, columns, width))
    products = p == 2 and (compute_mode == _MODES[1] or compute_mode == _MODES[0] and max(rows, columns) > 25)
    return words.cdist(x1, x2, p=float(p), products=products)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norms of the differences of all pairs of rows of a matrix, each pair once: what stands above the diagonal of
    `cdist`(input, input), row by row.

    >>> import autograd_gpu as ag
    >>> ag.pdist(ag.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    tensor([5.0000, 1.0000, 4.2426])
    """
    check_tensors("pdist", input=input)
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if input.array.dtype.kind not in "fV":
        raise RuntimeError(f"pdist only supports floating-point dtypes, got: {input.dtype}")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    n, width = input.array.shape
    first, second = triu_indices(n, n, 1, device=input.device)
    apart = words.sub(words.index(input, first, axes=(0,)), words.index(input, second, axes=(0,)))
    return vector_norm(apart, p if width else 1, 1)
