"""Dropout: each thread draws what it needs, so no mask is kept, and the same call on the gradient drops the same."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np
from cupy import ndarray

from ..kernels import C_NAME, computed, elementwise, kernel
from ..random import threshold
from .build import on_device

__all__ = ["dropout"]

_MASK = (1 << 64) - 1


def dropout(x: Any, *, p: float, seed: int, offset: int) -> Any:
    """x with each element 0 with probability p, else over 1 - p."""
    on_device(x)
    if x.dtype not in C_NAME:
        return x * dropout(cupy.ones(x.shape, np.float32), p=p, seed=seed, offset=offset)
    least = threshold(p)
    if least > 0xFFFFFFFF or not x.size:
        return x * cupy.zeros((), x.dtype)
    x, out = cupy.ascontiguousarray(x), ndarray(x.shape, x.dtype)
    launch = kernel("random.cu", f"dropout<{C_NAME[x.dtype]}>")
    place = (np.uint64(seed & _MASK), np.uint64(0), np.uint64(2 * offset & _MASK))
    scale = computed(x.dtype).type(1 / (1 - p))
    launch(*elementwise(x.size // 16 + 1), x, out, np.int64(x.size), *place, np.uint32(least), scale)
    return out
