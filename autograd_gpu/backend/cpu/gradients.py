"""Words on a list of gradients: their norm together, scaling them in place, and whether they are finite.

They make no temporaries of the size of an array: sums of squares are dot products, of which BLAS needs one pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["all_finite", "clip_by_norm_", "norm_of_all", "rescale_"]

_BLOCK = 1 << 16  # elements of 16 bits that are widened at a time


def _flat(x: Any) -> Any:
    """The elements in a row: a view, unless they do not lie next to each other."""
    return x.reshape(-1) if x.flags.c_contiguous else x.ravel("K")


def _sum_of_squares(x: Any) -> float:
    x = _flat(x)
    if x.dtype.itemsize == 2:
        blocks = (x[i : i + _BLOCK].astype(np.float32) for i in range(0, x.size, _BLOCK))
        return sum(float(np.dot(b, b)) for b in blocks)
    total = float(np.dot(x, x))
    if math.isfinite(total):
        return total
    x = x.astype(np.float64)  # did the squares overflow, or is there an inf?
    return float(np.dot(x, x))


def all_finite(arrays: Sequence[Any]) -> Any:
    """For each array whether all its elements are finite."""
    found = [math.isfinite(_sum_of_squares(a)) or bool(np.isfinite(a).all()) for a in arrays]
    return np.array(found, np.bool_)


def norm_of_all(arrays: Sequence[Any], *, ord: float) -> Any:
    """The p-norm of the elements of all arrays together, for p = ord; in float32 for 16 bits. No element has the norm 0."""
    dtype = np.result_type(*{np.dtype(np.float32) if a.dtype.itemsize == 2 else a.dtype for a in arrays}, np.float32)
    arrays = [a for a in arrays if a.size]
    if ord == 2:
        return np.array(math.sqrt(sum(map(_sum_of_squares, arrays))), dtype)
    wide = [np.abs(a.astype(np.float32) if a.dtype.itemsize == 2 else a) for a in arrays]
    if not wide:
        return np.zeros((), dtype)
    if math.isinf(ord):
        ends = np.array([np.maximum.reduce(a, None) if ord > 0 else np.minimum.reduce(a, None) for a in wide], dtype)
        return np.array(np.maximum.reduce(ends) if ord > 0 else np.minimum.reduce(ends), dtype)
    if ord == 0:
        return np.array(sum(int(np.count_nonzero(a)) for a in wide), dtype)
    return np.array(sum(float(np.add.reduce(a if ord == 1 else a**ord, None)) for a in wide) ** (1 / ord), dtype)


def rescale_(arrays: Sequence[Any], factor: Any) -> None:
    """Multiply arrays in place by a number, which may be an array without dimensions."""
    factor = float(factor)
    if factor == 1:
        return
    for a in arrays:
        if a.dtype.itemsize == 2:
            np.copyto(a, a.astype(np.float32) * np.float32(factor), casting="unsafe")
        else:
            np.multiply(a, a.dtype.type(factor), out=a)


def clip_by_norm_(arrays: Sequence[Any], max_norm: float) -> Any:
    """Scale arrays of one dtype in place so that the norm of all their elements together is at most max_norm. Returns the norm
    that they had, an array without dimensions. (On CUDA it declines arrays whose elements are not next to each other.)"""
    norm = norm_of_all(arrays, ord=2)
    factor = max_norm / (float(norm) + 1e-6)
    if not factor >= 1:  # so that NaN goes everywhere, as in PyTorch
        rescale_(arrays, factor)
    return norm
