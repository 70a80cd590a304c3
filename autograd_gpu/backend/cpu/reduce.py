"""Words that reduce: sums, extrema, scans."""

from __future__ import annotations

from typing import Any

import numpy as np


def sum(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum over axes, in the dtype of x."""
    return np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def sum_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """Sum x over the dimensions that broadcasting `shape` to x's shape has added or stretched."""
    extra = x.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 != x.shape[i + extra])
    return np.add.reduce(x, axis=axes, dtype=x.dtype, keepdims=True).reshape(shape)
