"""How the arguments that many ops share are read: dimensions, shapes, dtypes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

FULL = (None, None, None)  # a dimension taken whole, in the `spec` of the op `slice`


def axis_of(dim: int, ndim: int) -> int:
    """`dim` counted from the front.

    Raises IndexError if there is no such dimension; a tensor without dimensions has the dimension 0 for this."""
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"a dimension must be an int, not {type(dim).__name__}")
    dim, bound = operator.index(dim), max(ndim, 1)
    if not -bound <= dim < bound:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {dim})")
    return dim % bound


def axes_of(dim: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """The dimensions meant by an int, a sequence of ints, or None (all), counted from the front.

    Raises IndexError if one does not exist, RuntimeError if one is named twice."""
    if dim is None:
        return tuple(range(ndim))
    if hasattr(dim, "__index__"):
        axis = axis_of(dim, ndim)
        return (axis,) if ndim else ()
    axes = tuple(axis_of(d, ndim) for d in dim)
    if len(set(axes)) < len(axes):
        raise RuntimeError(f"dim {next(a for a in axes if axes.count(a) > 1)} appears multiple times in the list of dims")
    return axes if ndim else ()


def shape_of(sizes: Sequence[Any]) -> tuple[int, ...]:
    """The shape given as `f(2, 3)` or as `f((2, 3))`, where `sizes` holds what stands between the parentheses.

    Raises TypeError for anything but ints."""
    if len(sizes) == 1 and not hasattr(sizes[0], "__index__"):
        sizes = sizes[0]
    try:
        return tuple(operator.index(n) for n in sizes)
    except TypeError:
        raise TypeError(f"a shape must be ints, not {sizes!r}") from None


def dtype_of(dtype: Any) -> np.dtype | None:
    """A dtype given as one of the package's, NumPy's or Python's; None stays None."""
    return None if dtype is None else np.dtype(dtype)
