"""Words on a list of gradients: their norm together, scaling them in place, and whether they are finite. Nothing waits for the
device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np

from .build import FLOAT32, Fold, accumulator, elementwise
from .fusions import clip_by_norm_

__all__ = ["all_finite", "clip_by_norm_", "norm_of_all", "rescale_"]

_finite = Fold("finite", "isfinite(A(x)) ? A(0) : A(1)", "a + b", "A(0)", "y = O(a == A(0))")
_squares = Fold("squares", "A(x) * A(x)", "a + b", "A(0)")
_magnitudes = Fold("magnitudes", "A(fabs(A(x)))", "a + b", "A(0)")
_largest = Fold("largest", "A(fabs(A(x)))", "larger(a, b)", "A(0)")
_smallest = Fold("smallest", "A(fabs(A(x)))", "smaller(a, b)", "most(A())")
_nonzero = Fold("nonzero", "A(x) != A(0) ? A(1) : A(0)", "a + b", "A(0)")
_sum = Fold("sum", "A(x)", "a + b", "A(0)")
_rescale = elementwise("rescale", "T x, S factor", "T y", "y = T(A(x) * A(factor))")  # by an array without dimensions
_rescale_by = elementwise("rescale_by", "T x, float64 factor", "T y", "y = T(A(x) * A(factor))")
_FOLDS = {2: (_squares, _sum), 1: (_magnitudes, _sum), 0: (_nonzero, _sum)}
_FOLDS |= {math.inf: (_largest, _largest), -math.inf: (_smallest, _smallest)}


def _of_all(fold: Fold, x: Any, dtype: Any) -> Any:
    return fold(x, tuple(range(x.ndim)), False, dtype) if x.ndim else fold(x.reshape(1), (0,), False, dtype)


def all_finite(arrays: Sequence[Any]) -> Any:
    """For each array whether all its elements are finite."""
    return cupy.stack([_of_all(_finite, a, np.bool_) for a in arrays])


def norm_of_all(arrays: Sequence[Any], *, ord: float) -> Any:
    """The p-norm of the elements of all arrays together, for p = ord; in float32 for 16 bits. No element has the norm 0."""
    dtype = np.result_type(*{accumulator(a.dtype) for a in arrays}, FLOAT32)
    arrays = [a for a in arrays if a.size]
    if not arrays:
        return cupy.zeros((), dtype)
    of_one, of_parts = _FOLDS.get(ord, (_sum, _sum))
    if ord not in _FOLDS:
        arrays = [cupy.absolute(a.astype(accumulator(a.dtype), copy=False)) ** ord for a in arrays]
    out = _of_all(of_parts, cupy.stack([_of_all(of_one, a, dtype) for a in arrays]), dtype)
    if ord == 2:
        return cupy.sqrt(out)
    return out if ord in _FOLDS else out ** (1 / ord)


def rescale_(arrays: Sequence[Any], factor: Any) -> None:
    """Multiply arrays in place by a number, which may be an array without dimensions."""
    rescale = _rescale if isinstance(factor, cupy.ndarray) else _rescale_by
    for a in arrays:
        rescale(a, factor, a)
