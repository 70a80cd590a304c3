"""The backward of relu, for arrays of one layout and of two.

NumPy goes through two arrays whose dimensions lie in different orders at 15 ns an element, for it jumps in one of them. That is
what happens behind a convolution, whose output has its channels last, when the gradient comes from a layer that knows rows. So
here the gradient is first laid out as the output is, at 0.3 ns an element."""

from __future__ import annotations

from typing import Any

import numpy as np

_BLOCK = 1 << 15  # elements that go through at a time, so that the mask stays in the cache
_ZERO = {np.dtype(t): np.zeros((), t) for t in (np.float32, np.float64)}  # an array is 200 ns cheaper than a Python number


def _relu_backward(xp: Any, g: Any, needed: tuple[str, ...], out: Any) -> Any:
    """The rule of `relu`: g where the output is positive."""
    zero = _ZERO.get(out.dtype)
    if zero is None or g.dtype is not out.dtype or g.shape != out.shape or not out.ndim:
        return NotImplemented
    n = out.size
    if n <= 2 * _BLOCK and g.strides == out.strides:
        passed = np.greater(out, zero).astype(out.dtype)  # NumPy takes half as long again to multiply by booleans
        return (np.multiply(g, passed, passed),)
    made = np.empty_like(out)
    if made.strides != out.strides:
        return NotImplemented  # there are gaps between its elements
    if g.strides != out.strides:
        made[...] = g
        g = made
    flat_g, flat_out, flat = g.ravel("K"), out.ravel("K"), made.ravel("K")
    for i in range(0, n, _BLOCK):
        some = slice(i, i + _BLOCK)
        np.multiply(flat_g[some], np.greater(flat_out[some], zero), flat[some])
    return (made,)


RECTIFIERS = {"relu": (None, _relu_backward)}
