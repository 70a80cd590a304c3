"""Words that run along an axis: cumulative sums, products, extrema, and the linear recurrence behind their gradients.

float16 and bfloat16 accumulate in float32, integers in int64. `reverse` runs from the last element to the first;
`exclusive` leaves the element itself out of what its result takes in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .reduce import _accumulator, _narrow


def _turned(x: Any, axis: int, reverse: bool) -> Any:
    """A view of x that runs the other way along the axis, if `reverse`."""
    return x[(slice(None),) * axis + (slice(None, None, -1),)] if reverse else x


def _part(axis: int, start: int | None, stop: int | None) -> tuple:
    return (slice(None),) * axis + (slice(start, stop),)


def cumsum(x: Any, *, axis: int, reverse: bool = False) -> Any:
    """The sum of each element and those before it."""
    out = np.add.accumulate(_turned(x, axis, reverse), axis=axis, dtype=_accumulator(x.dtype))
    return _turned(_narrow(out, x.dtype), axis, reverse)


def cumprod(x: Any, *, axis: int, reverse: bool = False, exclusive: bool = False) -> Any:
    """The product of each element and those before it."""
    turned = _turned(x, axis, reverse)
    if exclusive:
        out = np.ones(x.shape, _accumulator(x.dtype))
        np.multiply.accumulate(turned[_part(axis, None, -1)], axis=axis, dtype=out.dtype, out=out[_part(axis, 1, None)])
    else:
        out = np.multiply.accumulate(turned, axis=axis, dtype=_accumulator(x.dtype))
    return _turned(_narrow(out, x.dtype), axis, reverse)


def recurrence(b: Any, a: Any, *, axis: int, reverse: bool = False) -> Any:
    """t with t[0] = 0 and t[i + 1] = b[i] + a[i] * t[i] along the axis: what comes before each element, carried to it.

    Not one element after the other but by doubling: log2(n) passes, in which element i learns of 1, 2, 4 ... before it."""
    n = b.shape[axis]
    out = np.zeros(b.shape, _accumulator(b.dtype))
    if n > 1:
        inner = _part(axis, None, -1)
        sums = _turned(b, axis, reverse)[inner].astype(out.dtype)
        factors = _turned(a, axis, reverse)[inner].astype(out.dtype)
        step = 1
        while step < n - 1:
            late, early = _part(axis, step, None), _part(axis, None, -step)
            sums[late] += factors[late] * sums[early]
            factors[late] = factors[late] * factors[early]
            step *= 2
        out[_part(axis, 1, None)] = sums
    return _turned(_narrow(out, b.dtype), axis, reverse)


def logcumsumexp(x: Any, *, axis: int) -> Any:
    """The logarithm of the sum of exp over each element and those before it."""
    return _narrow(np.logaddexp.accumulate(x, axis=axis, dtype=_accumulator(x.dtype)), x.dtype)


def argcummax(x: Any, *, axis: int) -> Any:
    """Where the largest element so far lies: the last of those that tie; a NaN stays the largest."""
    return _last_where(x, np.maximum.accumulate(x, axis=axis), axis)


def argcummin(x: Any, *, axis: int) -> Any:
    """Where the smallest element so far lies: the last of those that tie; a NaN stays the smallest."""
    return _last_where(x, np.minimum.accumulate(x, axis=axis), axis)


def _last_where(x: Any, best: Any, axis: int) -> Any:
    places = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1))
    return np.maximum.accumulate(np.where((x == best) | (x != x), places, 0), axis=axis)
