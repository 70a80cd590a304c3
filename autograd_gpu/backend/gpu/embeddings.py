"""Rows of tables, by embedding.cu, and their gradient, by scatter.cu: summed in the order of the numbers."""

from __future__ import annotations

import math
from typing import Any

import cupy
import numpy as np
from cupy import ndarray

from ..kernels import C_NAME, computed, elementwise, kernel

__all__: list[str] = []

_CHUNK = 32  # rows that a thread adds up


def _embedding(weight: Any, index: Any, *, padding: int | None = None, by_frequency: bool = False) -> Any:
    """The forward of `embedding`. A number that is no row gives NaN: raising an error would have to wait for the device."""
    if weight.__class__ is not ndarray or weight.dtype not in C_NAME or not weight.flags.c_contiguous or not weight.size:
        return NotImplemented
    if index.__class__ is not ndarray or not index.size:
        return NotImplemented
    (rows, columns), n = weight.shape, index.size
    index, out = cupy.ascontiguousarray(index, np.int64), ndarray((*index.shape, columns), weight.dtype)
    launch = kernel("embedding.cu", f"gather_rows<{C_NAME[weight.dtype]}>")
    grid, block = elementwise(n * columns * weight.dtype.itemsize // 16 + 1)
    launch(grid, block, weight, index, out, np.int64(n), np.int64(rows), np.int64(columns), None)
    return out


def _embedding_backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    *,
    index: Any,
    weight_shape: tuple[int, int],
    padding: int | None = None,
    by_frequency: bool = False,
) -> Any:
    """The rule of `embedding`."""
    rows, columns = weight_shape
    if g.__class__ is not ndarray or g.dtype not in C_NAME or not g.size:
        return NotImplemented
    c, wide, n, chunks = C_NAME[g.dtype], computed(g.dtype), index.size, -(-index.size // _CHUNK)
    places = index.reshape(-1).astype(np.int64, copy=False)
    order = places.argsort()
    places, g = places.take(order), cupy.ascontiguousarray(g)
    if by_frequency:
        counts = cupy.searchsorted(places, places, side="right") - cupy.searchsorted(places, places)
        counts = cupy.empty_like(counts), counts
        counts[0][order] = counts[1]
        g = (g.reshape(n, columns) / counts[0].reshape(n, 1)).astype(g.dtype, copy=False)
    out = cupy.zeros(weight_shape, g.dtype)
    heads, tails = ndarray((chunks, columns), wide), ndarray((chunks, columns), wide)
    sizes = [np.int64(k) for k in (1, n, columns, rows, _CHUNK)]
    launch = elementwise(math.prod((chunks, columns)))
    kernel("scatter.cu", f"run_sums<{c},false>")(*launch, g, order, places, out, heads, tails, *sizes)
    kernel("scatter.cu", f"run_ends<{c},false>")(*launch, places, out, heads, tails, *sizes)
    if padding is not None:
        out[padding] = 0
    return (out,)


EMBEDDINGS = {"embedding": (_embedding, _embedding_backward)}
