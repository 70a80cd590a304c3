"""The backward of relu, for arrays of one layout and of two.

NumPy goes through two arrays whose dimensions lie in different orders at 15 ns an element, for it jumps in one of them. That is
what happens behind a convolution, whose output has its channels last, when the gradient comes from a layer that knows rows. So
here the gradient is first laid out as the output is, at 0.3 ns an element.

What is to pass is multiplied by 1, and the rest by 0, as integers of the same bits: 0 times an infinite gradient, such as that of
sqrt(relu(x)), would be NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

from .elementwise import _BITS

_BLOCK = 1 << 14  # elements that go through at a time, so that the mask stays in the cache
_FEW = 512  # elements that np.where is good enough for
_SMALL = 2048  # elements of which a question about their layout costs as much as what is computed
_FLOAT32, _INT32, _differs, _multiply = np.dtype(np.float32), np.dtype(np.int32), np.not_equal, np.multiply
_ZERO = {np.dtype(t): np.zeros((), t) for t in (np.float32, np.float64)}  # an array is 200 ns cheaper than a Python number

_zero = _ZERO[_FLOAT32]


def _relu_backward(xp: Any, g: Any, needed: tuple[str, ...], out: Any) -> Any:
    """The rule of `relu`: g where the output is positive, or NaN."""
    if out.dtype is _FLOAT32 and g.dtype is _FLOAT32 and _FEW < out.size <= _SMALL:  # whatever their layouts
        passed = _differs(out, _zero).astype(_INT32)
        return (_multiply(g.view(_INT32), passed, passed).view(_FLOAT32),)
    zero = _ZERO.get(out.dtype)
    if zero is None or g.dtype is not out.dtype or not out.ndim:
        return NotImplemented
    n, bits = out.size, _BITS[out.dtype]
    if n <= 4 * _BLOCK and g.strides == out.strides:
        if n <= _FEW:
            return (np.where(np.not_equal(out, zero), g, zero),)
        passed = np.not_equal(out, zero).astype(bits)
        return (np.multiply(g.view(bits), passed, passed).view(out.dtype),)
    made = np.empty_like(out)
    if made.strides != out.strides:
        return NotImplemented  # there are gaps between its elements
    if g.strides != out.strides:
        made[...] = g
        g = made
    flat_g, flat_out, flat = g.ravel("K").view(bits), out.ravel("K"), made.ravel("K").view(bits)
    positive, passed = np.empty(_BLOCK, np.bool_), np.empty(_BLOCK, bits) if g is made else None
    for i in range(0, n, _BLOCK):
        some = slice(i, i + _BLOCK)
        into = flat[some]
        mask = into if passed is None else passed[: len(into)]
        mask[...] = np.not_equal(flat_out[some], zero, positive[: len(into)])  # quicker than to multiply by booleans
        np.multiply(flat_g[some], mask, into)
    return (made,)


RECTIFIERS = {"relu": (None, _relu_backward)}
