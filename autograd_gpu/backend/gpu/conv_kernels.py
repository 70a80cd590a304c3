"""Convolutions and their gradients by the kernels of conv.cu, which keep no matrix of windows: one launch each, and one or two
more where the sum of a weight's gradient is cut into parts."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import cupy
import numpy as np

from ..kernels import C_NAME, computed, kernel, struct
from .sums import sums as add_up

_FILE = "conv.cu"
_THREADS, _DEPTH = (128,), 16  # as in conv.cu
_COLUMNS = {8: 128, 32: 128, 64: 64}  # of a tile, by its rows
_BLOCKS = 1024  # that the gradient of a weight is cut into: some for each multiprocessor of a large card
_FEWEST = 8  # slices of a part

_Sizes = tuple[int, ...]


def _up(n: int, by: int) -> int:
    return -(-n // by)


def _tile(rows: int) -> int:
    """The rows of a tile: those that leave the fewest empty."""
    if rows <= 8:
        return 8
    return 32 if _up(rows, 32) * 32 < _up(rows, 64) * 64 else 64


def _three(sizes: _Sizes, filler: int) -> _Sizes:
    return (filler,) * (3 - len(sizes)) + tuple(sizes)


@lru_cache(maxsize=1024)
def _plan(
    what: str, inputs: _Sizes, weight: _Sizes, outputs: _Sizes, stride: _Sizes, padding: _Sizes, dilation: _Sizes
) -> tuple[int, np.ndarray, tuple[Any, ...], tuple[int], int]:
    """The rows of a tile, the Conv of conv.cu, the counts of tiles and for a weight of slices, the grid, and the number of parts.
    The shapes are those of the input, the weight and the output; nothing depends on the device."""
    source, target, taps = _three(inputs[2:], 1), _three(outputs[2:], 1), _three(weight[2:], 1)
    stride, padding, dilation = _three(stride, 1), _three(padding, 0), _three(dilation, 1)
    groups, filters, channels, back = inputs[1] // weight[1], weight[0], weight[1], what == "input"
    rows, across = (channels, filters // groups) if back else (filters // groups, channels)
    if back:
        source, target = target, source
    s = np.zeros((), struct(_FILE, "Conv"))
    for a, numbers in enumerate(zip(source, target, taps, stride, padding, dilation, strict=True)):
        s["axis"][a] = numbers
    s["images"], s["groups"], s["rows"], s["channels"], s["back"] = inputs[0], groups, rows, across, back
    height, parts, more = _tile(rows), 1, ()
    row_tiles = _up(rows, height)
    if what == "weight":
        column_tiles = _up(channels * prod(taps), _COLUMNS[height])
        slices = _up(inputs[0] * prod(target), _DEPTH)
        each = max(_up(slices * row_tiles * column_tiles * groups, _BLOCKS), _FEWEST)
        parts = _up(slices, each)
        more = (np.int64(each),)
        tiles = row_tiles * column_tiles * groups * parts
    elif back:
        columns = inputs[0] * prod([_up(n, s) for n, s in zip(target, stride, strict=True)])  # of a phase, at most
        column_tiles = _up(columns, _COLUMNS[height])
        tiles = row_tiles * column_tiles * prod(stride) * groups
    else:
        column_tiles = _up(inputs[0] * prod(target), _COLUMNS[height])
        tiles = row_tiles * column_tiles * groups
    return height, s, (np.int32(row_tiles), np.int32(column_tiles), np.int32(tiles), *more), (tiles,), parts


def gather(what: str, a: Any, weight: Any, bias: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> None:
    """The "output" of an input a, or the gradient of the "input" from an output's gradient a, plus a bias for each channel."""
    inputs, outputs = (a.shape, out.shape) if what == "output" else (out.shape, a.shape)
    height, s, counts, grid, _ = _plan(what, inputs, weight.shape, outputs, stride, padding, dilation)
    a, weight, bias = (None if x is None else cupy.ascontiguousarray(x) for x in (a, weight, bias))
    kernel(_FILE, f"conv_gather<{C_NAME[out.dtype]},{height}>")(grid, _THREADS, a, weight, bias, out, s, *counts)


def weight(y: Any, x: Any, out: Any, sums: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> None:
    """The gradient of a weight; and into `sums`, unless it is None, that of the bias."""
    height, s, counts, grid, parts = _plan("weight", x.shape, out.shape, y.shape, stride, padding, dilation)
    y, x, made, total = cupy.ascontiguousarray(y), cupy.ascontiguousarray(x), None, None
    if parts > 1:
        made = cupy.empty((parts, out.size), computed(out.dtype))
        total = None if sums is None else cupy.empty((parts, sums.size), made.dtype)
    launch = kernel(_FILE, f"conv_weight<{C_NAME[out.dtype]},{height}>")
    launch(grid, _THREADS, y, x, out, made, sums, total, s, *counts)
    for of_parts, whole in ((made, out), (total, sums)):
        if of_parts is not None:
            add_up(of_parts, (0,), whole.dtype, out=whole)  # in a fixed order


def channel_sums(y: Any, out: Any) -> None:
    """The gradient of a bias from that of the output, (images, channels, ...)."""
    axes = (0, *range(2, y.ndim))
    if add_up(y, axes, out.dtype, out=out) is None:
        out[...] = y.sum(axes, dtype=computed(y.dtype))
