"""Words of the softmax family. float16 and bfloat16 are computed in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from .extremum import amax
from .reduce import _narrow, _ones, _wide_sum, _widened


def _rows(x: Any, axis: Any) -> Any:
    """x as a matrix whose rows lie along `axis`, where that costs no copy and products with a vector can sum them."""
    if axis.__class__ is tuple and len(axis) == 1:
        axis = axis[0]
    if axis == x.ndim - 1 and 0 < x.shape[-1] <= 4096 and x.size and x.dtype.char in "fd" and x.flags.c_contiguous:
        return x.reshape(-1, x.shape[-1])
    return None


def _exponentials(rows: Any, least: float, most: float) -> tuple[Any, Any] | None:
    """exp(rows) and the sums of its rows, or None if a sum lies outside [least, most]. Most often none does, and then looking
    for the largest elements, which takes longer than all the rest, can be left out."""
    e = np.exp(rows)
    total = np.dot(e, _ones(rows.shape[1], rows.dtype))
    return (e, total) if np.minimum.reduce(total) >= least and np.maximum.reduce(total) <= most else None


# Bounds within which exponentials keep their digits, and narrower ones within which the logarithm of their sum does.
_SAFE = 1e-25, 1e25
_NEAR_ONE = 1e-4, 1e5


def _largest(x: Any, axis: Any) -> Any:
    """The largest elements along the axes, -inf where there are none."""
    if x.size:
        return amax(x, axis=axis, keepdims=True)
    return np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)


def softmax(x: Any, *, axis: Any) -> Any:
    """exp(x), scaled so that it sums to one along the axis."""
    dtype, x = x.dtype, _widened(x)
    rows = _rows(x, axis)
    found = None if rows is None else _exponentials(rows, *_SAFE)
    if found is not None:
        e, total = found
        e *= np.reciprocal(total, out=total)[:, None]
        return _narrow(e.reshape(x.shape), dtype)
    e = np.asarray(x - _largest(x, axis))
    np.exp(e, out=e)
    e /= _wide_sum(e, axis, True)
    return _narrow(e, dtype)


def log_softmax(x: Any, *, axis: Any) -> Any:
    """The logarithm of softmax."""
    dtype, x = x.dtype, _widened(x)
    rows = _rows(x, axis)
    found = None if rows is None else _exponentials(rows, *_NEAR_ONE)
    if found is not None:
        e, total = found
        np.subtract(rows, np.log(total, out=total)[:, None], out=e)
        return _narrow(e.reshape(x.shape), dtype)
    d = np.asarray(x - _largest(x, axis))
    d -= np.log(_wide_sum(np.exp(d), axis, True))
    return _narrow(d, dtype)


def logsumexp(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The logarithm of the sum of exp(x) along axes."""
    dtype, x = x.dtype, _widened(x)
    rows = _rows(x, axis)
    found = None if rows is None else _exponentials(rows, *_NEAR_ONE)
    if found is not None:
        out = np.log(found[1])
    else:
        top = _largest(x, axis)
        top = np.where(np.isfinite(top), top, top.dtype.type(0))
        out = np.log(_wide_sum(np.exp(x - top), axis, True)) + top
    axes = (axis,) if axis.__class__ is int else axis
    shape = [1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes]
    return _narrow(np.asarray(out).reshape(shape), dtype)


# -- their gradients, in place: twice as fast as the rules of the ops, which they equal --------------------------------------


def _last(g: Any, out: Any, axis: Any) -> bool:
    axis = axis[0] if axis.__class__ is tuple and len(axis) == 1 else axis
    return out.ndim > 0 and axis == out.ndim - 1 and out.dtype.char in "fd" and g.dtype is out.dtype


def _softmax_gradient(xp: Any, g: Any, needed: Any, *, out: Any, axis: Any) -> Any:
    if not _last(g, out, axis):
        return NotImplemented
    d = np.asarray(g - np.vecdot(g, out)[..., None])
    d *= out
    return (d,)


def _log_softmax_gradient(xp: Any, g: Any, needed: Any, *, out: Any, axis: Any) -> Any:
    if not _last(g, out, axis):
        return NotImplemented
    e = np.exp(out)
    e *= _wide_sum(g, axis, True)
    np.subtract(g, e, out=e)
    return (e,)


SOFTMAXES = {"softmax": (None, _softmax_gradient), "log_softmax": (None, _log_softmax_gradient)}
