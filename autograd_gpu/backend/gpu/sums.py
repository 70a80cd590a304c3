"""Sums and means of floating point arrays by the kernels of reduce.cu.

NOTE [Sums]
    1. The dimensions of an array are put in the order in which they lie in memory, and neighbours that are both summed up, or
       both kept, become one. What remains is summed up from the inside outwards, a group of dimensions at a time: as rows, if its
       elements are neighbours, else as columns.
    2. A long sum goes in chunks, and the sums of chunks are summed up in their turn, so that many blocks have work. How it is cut
       depends on shape, strides and dtype alone: the same bits on any device.
    3. float16 and bfloat16 are summed in float32, and rounded once, at the end.
    4. What the kernels do not take (integers, dimensions that are stretched, turned around or have gaps, results whose dimensions
       would lie in another order) is declined: CuPy's reductions do that.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from cupy import ndarray

from ..kernels import C_NAME, computed, kernel

__all__: list[str] = []

_BLOCKS = 1024  # so many have work on any device
_MOST_BLOCKS = 1 << 16


class _Pass(NamedTuple):
    """A launch: of which kernel, its grid and block, the sizes it takes, and what follows the divisor."""

    name: str
    grid: tuple[int]
    block: tuple[int, ...]
    sizes: tuple[Any, ...]
    last: tuple[Any, ...]
    written: int


def _up(a: int, b: int) -> int:
    return -(-a // b)


def _pass(name: str, items: int, block: tuple[int, ...], sizes: tuple[int, ...], last: tuple[Any, ...], written: int) -> _Pass:
    return _Pass(name, (min(items, _MOST_BLOCKS),), block, tuple([np.int64(k) for k in sizes]), last, written)


def _rows(outer: int, n: int, far: int, size: int) -> tuple[_Pass, int]:
    """The sums of the chunks of rows, and how many a row has. `size`: the elements of a pack."""
    if n <= 1024:
        threads = min(32, 1 << (_up(n, 2 * size) - 1).bit_length())
        return _pass("row_sums", _up(outer * threads, 256), (256,), (outer, n, far, n), (np.int32(threads),), outer), 1
    chunk = n if n <= 16384 or outer >= _BLOCKS else _up(max(4096, _up(n * outer, _BLOCKS)), 1024) * 1024
    chunks = _up(n, chunk)
    return _pass("row_sums", outer * chunks, (256,), (outer, n, far, chunk), (np.int32(256),), outer * chunks), chunks


def _columns(outer: int, n: int, inner: int, far: int, apart: int, size: int) -> tuple[_Pass, int]:
    """The sums of the chunks of columns, and how many a column has."""
    tiles = _up(inner, 32 * (size if inner % size == 0 else 1))
    chunk = n if n <= 512 else max(128, _up(n * outer * tiles, _BLOCKS))
    chunks = _up(n, chunk)
    sizes = (outer, n, inner, far, apart, chunk)
    return _pass("column_sums", outer * chunks * tiles, (32, 8), sizes, (), outer * chunks * inner), chunks


def _sum_up(outer: int, n: int, inner: int, far: int, apart: int, item: int, wide: int) -> list[_Pass]:
    """What makes (outer, inner) of (outer, n, inner), elements being of `item` bytes and `wide` ones after the first launch."""
    passes: list[_Pass] = []
    while not passes or n > 1:
        if inner == 1:
            found, n = _rows(outer, n, far, 16 // item)
        else:
            fold = 1  # narrow rows without gaps are laid side by side
            while inner * fold < 64 and n % (2 * fold) == 0 and n // fold > 512 and apart == inner:
                fold *= 2
            found, n = _columns(outer, n // fold, inner * fold, far, apart * fold, 16 // item)
            n *= fold
        passes.append(found)
        far, apart, item = n * inner, inner, wide
    return passes


@lru_cache(1 << 12)
def _plan(shape: tuple[int, ...], strides: tuple[int, ...], axes: tuple[int, ...], item: int, wide: int) -> list[_Pass] | None:
    """What sums up an array over axes, None if the kernels do not; see NOTE [Sums]."""
    dims = [(i in axes, shape[i], strides[i], i) for i in range(len(shape)) if shape[i] != 1]
    dims.sort(key=lambda d: -d[2])
    kept = [d[3] for d in dims if not d[0]]
    if kept != sorted(kept) or any(d[2] % item or d[2] <= 0 for d in dims):
        return None
    groups: list[tuple[bool, int, int]] = []  # (summed up?, size, stride in elements), the outermost first
    for summed, n, stride, _ in dims:
        if groups and groups[-1][0] == summed and groups[-1][2] * item == n * stride:
            groups[-1] = (summed, groups[-1][1] * n, stride // item)
        else:
            groups.append((summed, n, stride // item))
    if not any(g[0] for g in groups) or groups[-1][2] != 1:
        return None
    passes: list[_Pass] = []
    while any(g[0] for g in groups):
        inner = 1 if groups[-1][0] else groups.pop()[1]
        _, n, apart = groups.pop()
        outer, far = 1, n * apart
        for k, (_, size, stride) in enumerate(reversed(groups)):
            if k and stride != outer * far:
                return None
            outer, far = outer * size, far if k else stride
        passes += _sum_up(outer, n, inner, far, apart, item, wide)
        stride, item, found = inner, wide, [(False, inner, 1)] if inner > 1 else []
        for summed, size, _ in reversed(groups):
            if found and found[-1][0] == summed:
                found[-1] = (summed, found[-1][1] * size, found[-1][2])
            else:
                found.append((summed, size, stride))
            stride *= size
        groups = found[::-1]
    return passes


def sums(x: Any, axes: tuple[int, ...], dtype: Any, by: float = 1.0, out: Any = None) -> Any:
    """The sums of x over `axes`, divided by `by`, without these dimensions; None for what the kernels do not take.

    dtype   of the result: that of x, or what sums of it are computed in
    out     where to write, of that dtype, contiguous"""
    if x.dtype not in C_NAME or not x.size:
        return None
    wide = computed(x.dtype)
    plan = _plan(x.shape, x.strides, axes, x.dtype.itemsize, wide.itemsize)
    if plan is None:
        return None
    if out is None:
        out = ndarray(tuple([n for i, n in enumerate(x.shape) if i not in axes]), dtype)
    number = wide.type
    for i, p in enumerate(plan):
        last = i == len(plan) - 1
        to = out if last else ndarray((p.written,), wide)
        launch = kernel("reduce.cu", f"{p.name}<{C_NAME[x.dtype]},{C_NAME[to.dtype]}>")
        launch(p.grid, p.block, x, to, *p.sizes, number(by if last else 1.0), *p.last)
        x = to
    return out


def sum_rows(a: Any, out: Any) -> None:
    """Write the sums of the rows of a matrix into `out`, which is contiguous and of the matrix's dtype."""
    if sums(a, (1,), out.dtype, out=out) is None:
        out[...] = a.sum(1, dtype=computed(a.dtype))
