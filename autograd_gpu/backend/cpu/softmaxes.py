"""Words of the softmax family. float16 and bfloat16 are computed in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from .reduce import _narrow, _ones, _wide_sum


def _floats(x: Any) -> Any:
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def _rows(x: Any, axis: Any) -> Any:
    """x as a matrix whose rows lie along `axis`, where that costs no copy and products with a vector can sum them."""
    if axis.__class__ is tuple and len(axis) == 1:
        axis = axis[0]
    if axis == x.ndim - 1 and 0 < x.shape[-1] <= 4096 and x.size and x.dtype.char in "fd" and x.flags.c_contiguous:
        return x.reshape(-1, x.shape[-1])
    return None


def _exponentials(rows: Any, least: float) -> tuple[Any, Any, Any] | None:
    """(largest element of all, exp(rows - it), the sums of the rows), or None if some row lies so far below the largest
    element that its sum is less than `least` or that its elements vanish; NaN and infinities too are left to the caller.

    One maximum of all is several times faster than one a row."""
    top = np.maximum.reduce(rows, axis=None)
    e = np.subtract(rows, top)
    np.exp(e, out=e)
    total = np.dot(e, _ones(rows.shape[1], rows.dtype))
    return (top, e, total) if np.minimum.reduce(total) > least else None


def _shifted(x: Any, axis: Any) -> tuple[Any, Any, Any]:
    """(largest along the axes, x - it, sum of exp(x - it)): how it is done line by line."""
    top = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
    top = np.asarray(np.where(np.isfinite(top), top, top.dtype.type(0)))
    d = np.asarray(x - top)
    return top, d, _wide_sum(np.exp(d), axis, True)


def softmax(x: Any, *, axis: Any) -> Any:
    """exp(x), scaled so that it sums to one along the axis."""
    dtype, x = x.dtype, _floats(x)
    rows = _rows(x, axis)
    found = None if rows is None else _exponentials(rows, 1e-25)
    if found is not None:
        _, e, total = found
        np.divide(e, total[:, None], out=e)
        return _narrow(e.reshape(x.shape), dtype)
    top = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
    e = np.exp(x - top)
    return _narrow(np.asarray(e / _wide_sum(e, axis, True)), dtype)


def log_softmax(x: Any, *, axis: Any) -> Any:
    """The logarithm of softmax."""
    dtype, x = x.dtype, _floats(x)
    rows = _rows(x, axis)
    found = None if rows is None else _exponentials(rows, 1e-4)
    if found is not None:
        top, e, total = found
        np.log(total, out=total)
        total += top
        np.subtract(rows, total[:, None], out=e)
        return _narrow(e.reshape(x.shape), dtype)
    top = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
    d = np.asarray(x - top)
    return _narrow(np.asarray(d - np.log(_wide_sum(np.exp(d), axis, True))), dtype)


def logsumexp(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The logarithm of the sum of exp(x) along axes."""
    dtype, x = x.dtype, _floats(x)
    top, _, total = _shifted(x, axis)
    out = np.asarray(np.log(total) + top)
    if not keepdims:
        axes = (axis,) if axis.__class__ is int else axis
        out = out.reshape([n for i, n in enumerate(x.shape) if i not in axes])
    return _narrow(out, dtype)
