"""Copies of floating point arrays by cast.cu: to another dtype, or of rows with gaps between them, 16 bytes at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from cupy import ndarray

from ..kernels import C_NAME, elementwise, kernel

__all__: list[str] = []


def _rows(x: Any) -> tuple[int, int, int] | None:
    """(rows, columns, distance of rows) of an array whose last dimension is without gaps, and whose others have one step."""
    if x.ndim < 2 or x.strides[-1] != x.itemsize:
        return None
    rows, stride = 1, 0
    for n, apart in zip(x.shape[-2::-1], x.strides[-2::-1], strict=True):
        if n == 1:
            continue
        if rows == 1:
            stride = apart
        elif apart != stride * rows:
            return None
        rows *= n
    return (rows, x.shape[-1], stride // x.itemsize) if stride > 0 and stride % x.itemsize == 0 else None


def copied(x: Any, dtype: Any) -> Any:
    """x in a dtype and in C order, as new memory; None for what the kernels do not take, and where a plain copy is as good."""
    if x.dtype not in C_NAME or dtype not in C_NAME or not x.size:
        return None
    if x.flags.c_contiguous:
        if x.dtype == dtype:
            return None
        out, name, sizes = ndarray(x.shape, dtype), "cast", (np.int64(x.size),)
    else:
        rows = _rows(x)
        if rows is None:
            return None
        out, name, sizes = ndarray(x.shape, dtype), "cast_rows", tuple([np.int64(k) for k in rows])
    launch = kernel("cast.cu", f"{name}<{C_NAME[x.dtype]},{C_NAME[out.dtype]}>")
    launch(*elementwise(x.size * max(x.itemsize, out.itemsize) // 16 + 1), x, out, *sizes)
    return out
