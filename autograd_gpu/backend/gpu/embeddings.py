"""Rows of tables, by embedding.cu, and their gradient, by scatter.cu: summed in the order of the numbers."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np
from cupy import ndarray

from ..kernels import C_NAME, elementwise, kernel
from .runs import add_rows

__all__: list[str] = []


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
    n, places = index.size, index.reshape(-1).astype(np.int64, copy=False)
    g = cupy.ascontiguousarray(g).reshape(n, columns)
    if by_frequency:
        ordered = cupy.sort(places)
        counts = cupy.searchsorted(ordered, places, side="right") - cupy.searchsorted(ordered, places)
        g = (g / counts.reshape(n, 1)).astype(g.dtype, copy=False)
    out = cupy.zeros(weight_shape, g.dtype)
    add_rows(out, places, g)
    if padding is not None:
        out[padding] = 0
    return (out,)


EMBEDDINGS = {"embedding": (_embedding, _embedding_backward)}
