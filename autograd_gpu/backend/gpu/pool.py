"""Words for pooling: the maximum or the average of windows, and what carries a gradient back to their elements.

`windows` holds (axis, kernel, stride, padding, dilation, size) for one dimension or two that are neighbours; if they are two,
they are the last. Kernels take the elements in C order.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import cupy
import numpy as np

from ..kernels import C_NAME, elementwise, kernel, struct
from .build import on_device

__all__ = ["average_pool", "average_pool_back", "max_pool", "max_pool_back"]


@lru_cache(maxsize=1024)
def _planes(shape: tuple[int, ...], windows: tuple) -> tuple[np.int64, np.ndarray, tuple[int, ...]]:
    """An array of `shape` as planes: how many, the Window of pool.cu, and the shape of what has one element a window."""
    axis = windows[0][0]
    out = list(shape)
    for w in windows:
        out[w[0]] = w[5]
    if len(windows) == 2:
        (_, *height), (last, *width) = windows
        if last != axis + 1 or last != len(shape) - 1:
            raise ValueError(f"two dimensions that are pooled are the last two, not {axis} and {last} of {len(shape)}")
        columns = shape[last]
    else:
        (_, *height) = windows[0]
        columns = prod(shape[axis + 1 :])
        width = [1, 1, 0, 1, columns]
    window = np.zeros((), struct("pool.cu", "Window"))
    window["height"], window["width"] = shape[axis], columns
    for end, (taps, stride, padding, dilation, size) in (("height", height), ("width", width)):
        letter = end[0]
        window[f"out_{end}"], window[f"kernel_{letter}"], window[f"stride_{letter}"] = size, taps, stride
        window[f"pad_{letter}"], window[f"dilation_{letter}"] = padding, dilation
    return np.int64(prod(shape[:axis])), window, tuple(out)


def _name_of(x: Any, word: str) -> str:
    """The dtype of x in C.

    Raises NotImplementedError for one that the kernels do not take."""
    on_device(x)
    if x.dtype not in C_NAME:
        raise NotImplementedError(f'"{word}" not implemented for {x.dtype} on CUDA')
    return C_NAME[x.dtype]


def _kind(windows: tuple) -> tuple[str, type]:
    """What numbers of elements within windows are kept in."""
    return ("byte_t", np.uint8) if prod([w[1] for w in windows]) <= 256 else ("int", np.int32)


def max_pool(x: Any, *, windows: tuple, named: bool = True) -> tuple[Any, Any]:
    """The largest element of each window, and its number there, row by row (none of those unless `named`). Of elements that
    tie it is the first, and the last NaN if there is one."""
    name, (c, kind) = _name_of(x, "max_pool"), _kind(windows)
    planes, window, shape = _planes(x.shape, windows)
    out, which = cupy.empty(shape, x.dtype), cupy.empty(shape if named else 0, kind)
    if out.size:
        launch = kernel("pool.cu", f"max_pool_forward<{name},{c}>")
        launch(*elementwise(out.size), cupy.ascontiguousarray(x), out, which if named else None, planes, window)
    return out, which


def max_pool_back(g: Any, offsets: Any, *, windows: tuple, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with g, one for each window, added to the elements that `offsets`, by max_pool, names."""
    on_device(offsets)
    name, (c, _) = _name_of(g, "max_pool_back"), _kind(windows)
    planes, window, _ = _planes(shape, windows)
    out = cupy.empty(shape, g.dtype)
    if out.size:
        launch = kernel("pool.cu", f"max_pool_backward<{name},{c}>")
        dense = cupy.ascontiguousarray(g), cupy.ascontiguousarray(offsets)
        launch(*elementwise(out.size), *dense, out, planes, window)
    return out


def average_pool(x: Any, *, windows: tuple, counts_padding: bool = True, divisor: int = 0) -> Any:
    """The sum of each window divided by `divisor`, if that is not 0, else by the number of its elements, those of the padding
    with them if `counts_padding`."""
    name = _name_of(x, "average_pool")
    planes, window, shape = _planes(x.shape, windows)
    out = cupy.empty(shape, x.dtype)
    if out.size:
        launch = kernel("pool.cu", f"average_pool_forward<{name}>")
        dense = cupy.ascontiguousarray(x)
        launch(*elementwise(out.size), dense, out, planes, window, np.int32(counts_padding), np.int32(divisor))
    return out


def average_pool_back(g: Any, *, windows: tuple, shape: tuple[int, ...], counts_padding: bool = True, divisor: int = 0) -> Any:
    """Zeros of `shape` with g, one for each window, divided as average_pool does and added to all elements of its window."""
    name = _name_of(g, "average_pool_back")
    planes, window, _ = _planes(shape, windows)
    out = cupy.empty(shape, g.dtype)
    if out.size:
        launch = kernel("pool.cu", f"average_pool_backward<{name}>")
        dense = cupy.ascontiguousarray(g)
        launch(*elementwise(out.size), dense, out, planes, window, np.int32(counts_padding), np.int32(divisor))
    return out
