"""Words for extrema and what they lie at, and for picking elements there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .reduce import _widened


def amax(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The largest element along axes; NaN if one is NaN."""
    out = _best_of_rows(x, axis, keepdims, np.maximum, np.argmax)
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims) if out is None else out


def amin(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The smallest element along axes; NaN if one is NaN."""
    out = _best_of_rows(x, axis, keepdims, np.minimum, np.argmin)
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims) if out is None else out


def _best_of_rows(x: Any, axis: Any, keepdims: bool, better: Any, where: Any) -> Any:
    """The extremum along the last axis, where NumPy's reduction is slow: short rows are laid on their side, for longer ones
    it is two to three times faster to look for the place. None for what is better left to the reduction."""
    if axis.__class__ is tuple and len(axis) == 1:
        axis = axis[0]
    if x.ndim < 2 or axis != x.ndim - 1 or x.size < 256 or x.dtype.char not in "fd" or not x.flags.c_contiguous:
        return None
    n = x.shape[axis]
    rows = x.reshape(-1, n)
    if n <= 16:
        out = better.reduce(np.ascontiguousarray(rows.T), axis=0)
    else:
        out = x.reshape(-1).take(where(rows, axis=1) + np.arange(0, x.size, n))
    return out.reshape(x.shape[:-1] + (1,) * keepdims)


def argmax(x: Any, *, axis: int, keepdims: bool = False) -> Any:
    """Where the largest element lies along an axis: the first of those that tie; the first NaN if there is one."""
    return np.argmax(x, axis=axis, keepdims=keepdims)


def argmin(x: Any, *, axis: int, keepdims: bool = False) -> Any:
    """Where the smallest element lies along an axis: the first of those that tie; the first NaN if there is one."""
    return np.argmin(x, axis=axis, keepdims=keepdims)


def argmedian(x: Any, *, axis: int, keepdims: bool = False, omit_nan: bool = False) -> Any:
    """Where the lower median of each line lies; a NaN if there is one, unless they are left out."""
    middle = (x.shape[axis] - 1) // 2
    order = np.argsort(_widened(x), axis=axis, kind="stable")  # NaN come last, of bfloat16 they would not
    if x.dtype.kind in "fV":
        numbers = np.add.reduce(x == x, axis=axis, keepdims=True, dtype=np.int64)
        if omit_nan:
            middle = np.maximum(numbers - 1, 0) // 2
        else:
            middle = np.where(numbers == x.shape[axis], middle, np.minimum(numbers, x.shape[axis] - 1))
        out = np.take_along_axis(order, middle, axis)
    else:
        out = order[(slice(None),) * axis + (slice(middle, middle + 1),)]
    return out if keepdims else out.squeeze(axis)


def argmode(x: Any, *, axis: int, keepdims: bool = False) -> Any:
    """Where the most frequent element of each line lies: the smallest of those that tie, at its last place."""
    order = np.argsort(_widened(x), axis=axis, kind="stable")
    ranked = np.take_along_axis(x, order, axis)
    n = x.shape[axis]
    places = np.arange(n).reshape((-1,) + (1,) * (x.ndim - axis - 1))
    starts = np.ones(x.shape, np.bool_)
    later, earlier = (slice(None),) * axis + (slice(1, None),), (slice(None),) * axis + (slice(None, -1),)
    starts[later] = ranked[later] != ranked[earlier]
    runs = places - np.maximum.accumulate(np.where(starts, places, 0), axis=axis)  # how many equal ones come before
    end = np.argmax(runs, axis=axis, keepdims=True)
    out = np.take_along_axis(order, end, axis)
    return out if keepdims else out.squeeze(axis)


def _places(index: Any, shape: tuple[int, ...], axis: int) -> Any:
    """Where the elements that lie at `index` along the axis, one a line, stand in the flattened array."""
    inner = math.prod(shape[axis + 1 :])
    lines = np.arange(index.size)
    if inner == 1:
        return index.reshape(-1) + lines * shape[axis]
    return (index.reshape(-1) + lines // inner * shape[axis]) * inner + lines % inner


def pick(x: Any, index: Any, *, axis: int) -> Any:
    """The element at `index` of each line along the axis."""
    return x.reshape(-1)[_places(index, x.shape, axis)].reshape(index.shape)


def place(x: Any, index: Any, *, shape: tuple[int, ...], axis: int) -> Any:
    """Zeros, with the elements of x at `index` of each line along the axis."""
    out = np.zeros(shape, x.dtype)
    out.reshape(-1)[_places(index, shape, axis)] = x.reshape(-1)
    return out
