"""Words that sum, average and count.

Axes are ints or tuples of ints, counted from the front. float16 and bfloat16 accumulate in float32; integers in int64.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

_TALL = 4096  # longer sums go in blocks, so that rounding errors do not pile up


def _is_half(dtype: Any) -> bool:
    """Whether it is float16 or bfloat16."""
    return dtype.itemsize == 2 and dtype.kind in "fV"


def _widened(x: Any) -> Any:
    """x, half precision in float32."""
    return x.astype(np.float32) if _is_half(x.dtype) else x


def _accumulator(dtype: Any) -> Any:
    """The dtype in which elements of `dtype` are summed."""
    if _is_half(dtype):
        return np.dtype(np.float32)
    return np.dtype(np.int64) if dtype.kind in "biu" else dtype


def _narrow(x: Any, dtype: Any) -> Any:
    """What was computed in float32 for an input of the floating type `dtype`, given that type again."""
    return x if x.dtype is dtype or dtype.kind in "biu" else x.astype(dtype)


@lru_cache(64)
def _ones(n: int, dtype: Any) -> Any:
    return np.ones(n, dtype)


def _wide_sum(x: Any, axis: Any, keepdims: bool) -> Any:
    """The sum in the accumulator's dtype."""
    dtype = x.dtype
    if dtype.char in "fd" and x.ndim > 1:
        out = _by_products(x, (axis,) if axis.__class__ is int else axis)
        if out is not None:
            return out.reshape(_kept_shape(x.shape, axis)) if keepdims else out
    return np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=_accumulator(dtype))


def _by_products(x: Any, axes: tuple[int, ...]) -> Any:
    """The sum as products with vectors of ones, two to four times faster than NumPy's reductions: if the leading axes go, or
    the trailing ones, or some of both. None for anything else."""
    shape, ndim = x.shape, x.ndim
    if not 0 < len(axes) < ndim or not x.size:
        return None
    if ndim == 2:
        return _columns(x) if axes[0] in (0, -2) else _rows(x)
    if not x.flags.c_contiguous:
        return None
    start = ndim
    while start - 1 in axes:
        start -= 1
    rest = tuple([i for i in axes if i < start])
    if start < ndim:
        x = _rows(x.reshape(-1, _count(shape, range(start, ndim))))
        if x is None or not rest:
            return x if x is None else x.reshape(shape[:start])
        return _wide_sum(x.reshape(shape[:start]), rest, False)
    if sorted(rest) == list(range(len(rest))):
        x = _columns(x.reshape(_count(shape, rest), -1))
        return x if x is None else x.reshape(shape[len(rest) :])
    return None


def _rows(x: Any) -> Any:
    """The sum of each row of a matrix, None if that is no quicker this way."""
    n = x.shape[1]
    return np.dot(x, _ones(n, x.dtype)) if n <= _TALL and x.flags.forc else None


def _columns(x: Any) -> Any:
    """The sum of each column of a matrix, None if that is no quicker this way."""
    n = len(x)
    if n <= _TALL:
        return np.dot(_ones(n, x.dtype), x) if x.flags.forc else None
    if not x.flags.c_contiguous:
        return None
    whole = n // 1024 * 1024
    out = np.add.reduce(np.matmul(_ones(1024, x.dtype), x[:whole].reshape(-1, 1024, x.shape[1])), axis=0)
    return out if whole == n else out + np.dot(_ones(n - whole, x.dtype), x[whole:])


def _kept_shape(shape: tuple[int, ...], axis: Any) -> list[int]:
    """`shape` with size 1 along the axes."""
    sizes = list(shape)
    for i in (axis,) if axis.__class__ is int else axis:
        sizes[i] = 1
    return sizes


def sum(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The sum over axes: in the dtype of x, int64 for integers and bools."""
    out = _wide_sum(x, axis, keepdims)
    return out if out.dtype is x.dtype else _narrow(out, x.dtype)


def sum_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """Sum x over the dimensions that broadcasting `shape` to x's shape has added or stretched."""
    full, extra = x.shape, x.ndim - len(shape)
    if extra == 1 and full[1:] == shape:
        return sum(x, axis=0)
    axes = tuple([i for i in range(x.ndim) if i < extra or shape[i - extra] == 1 != full[i]])
    return sum(x, axis=axes, keepdims=True).reshape(shape)


def mean(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The mean over axes, NaN where there is nothing to average."""
    out = np.true_divide(_wide_sum(x, axis, keepdims), _count(x.shape, axis))
    return _narrow(out, x.dtype)


def _count(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements a reduction over `axis` takes into each of its results."""
    n = 1
    for i in (axis,) if axis.__class__ is int else axis:
        n *= shape[i]
    return n


def var(x: Any, *, axis: Any, correction: float = 1, keepdims: bool = False) -> Any:
    """The mean squared distance from the mean, over n - correction."""
    dtype = x.dtype
    d = np.subtract(x, np.true_divide(_wide_sum(x, axis, True), _count(x.shape, axis)))
    if d.ndim:
        np.multiply(d, d, out=d)
    else:
        d = d * d
    n = _count(x.shape, axis) - correction
    return _narrow(np.true_divide(_wide_sum(np.asarray(d), axis, keepdims), n if n > 0 else 0), dtype)


def prod(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The product over axes: in the dtype of x, int64 for integers and bools."""
    return _narrow(np.multiply.reduce(x, axis=axis, keepdims=keepdims, dtype=_accumulator(x.dtype)), x.dtype)


def all(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """Whether all elements along axes are nonzero."""
    return np.logical_and.reduce(x, axis=axis, keepdims=keepdims)


def any(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """Whether any element along axes is nonzero."""
    return np.logical_or.reduce(x, axis=axis, keepdims=keepdims)


def count_nonzero(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """How many elements along axes are nonzero, as int64."""
    if not keepdims and (axis == () or axis.__class__ is tuple and len(axis) == x.ndim):
        return np.asarray(np.count_nonzero(x)) if axis else (x != 0).astype(np.int64)
    return np.add.reduce(x != 0, axis=axis, keepdims=keepdims, dtype=np.int64)
