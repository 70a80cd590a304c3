"""Words that sum, average and count.

Axes are ints or tuples of ints, counted from the front. float16 and bfloat16 accumulate in float32; integers in int64.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

_TALL = 4096  # longer sums go in blocks, so that rounding errors do not pile up


def _accumulator(dtype: Any) -> Any:
    """The dtype in which elements of `dtype` are summed."""
    kind = dtype.kind
    if kind in "fV":
        return np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    return np.dtype(np.int64) if kind in "biu" else dtype


def _narrow(x: Any, dtype: Any) -> Any:
    """What was computed in float32 for an input of the floating type `dtype`, given that type again."""
    return x if x.dtype is dtype or dtype.kind in "biu" else x.astype(dtype)


@lru_cache(64)
def _ones(n: int, dtype: Any) -> Any:
    return np.ones(n, dtype)


def _wide_sum(x: Any, axis: Any, keepdims: bool) -> Any:
    """The sum in the accumulator's dtype. Sums over the rows or the columns of a matrix are products with a vector of ones:
    two to four times faster than NumPy's reductions."""
    dtype = x.dtype
    if x.ndim == 2 and dtype.char in "fd":
        if axis.__class__ is tuple and len(axis) == 1:
            axis = axis[0]
        if axis.__class__ is int:
            n = x.shape[axis]
            if 0 < n <= _TALL and x.flags.forc:
                if axis == 0:
                    out = np.dot(_ones(n, dtype), x)
                    return out.reshape(1, -1) if keepdims else out
                out = np.dot(x, _ones(n, dtype))
                return out.reshape(-1, 1) if keepdims else out
            if axis == 0 and n > _TALL and x.flags.c_contiguous:
                blocks = n // 1024
                head = np.matmul(_ones(1024, dtype), x[: blocks * 1024].reshape(blocks, 1024, -1))
                out = _wide_sum(head, 0, False)
                if n % 1024:
                    out = out + np.dot(_ones(n % 1024, dtype), x[blocks * 1024 :])
                return out.reshape(1, -1) if keepdims else out
    return np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=_accumulator(dtype))


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
    out = np.true_divide(_wide_sum(x, axis, keepdims), count(x.shape, axis))
    return _narrow(out, x.dtype)


def count(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements a reduction over `axis` takes into each of its results."""
    n = 1
    for i in (axis,) if axis.__class__ is int else axis:
        n *= shape[i]
    return n


def var(x: Any, *, axis: Any, correction: float = 1, keepdims: bool = False) -> Any:
    """The mean squared distance from the mean, over n - correction."""
    dtype = x.dtype
    d = np.subtract(x, np.true_divide(_wide_sum(x, axis, True), count(x.shape, axis)))
    if d.ndim:
        np.multiply(d, d, out=d)
    else:
        d = d * d
    n = count(x.shape, axis) - correction
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
