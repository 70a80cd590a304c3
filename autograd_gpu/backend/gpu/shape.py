"""Words that rearrange: most give views."""

from __future__ import annotations

from math import prod
from typing import Any

import cupy

from .build import elementwise, on_device
from .casts import copied

__all__ = [
    "address", "broadcast_to", "cat", "contiguous", "diagonal", "flip", "from_diagonal", "mT", "reshape", "roll", "split",
    "stack", "strided", "sum_windows", "tile", "transpose", "unbind", "windows",
]  # fmt: skip

# -- views -------------------------------------------------------------------------------------------------------------


def reshape(x: Any, *, shape: tuple[int, ...]) -> Any:
    """x with another shape: a view where the strides allow it, else a copy."""
    return x.reshape(shape)


def transpose(x: Any, *, axes: tuple[int, ...]) -> Any:
    """A view of x with its dimensions in the order `axes`."""
    return x.transpose(axes)


def mT(x: Any) -> Any:
    """A view of x with its last two dimensions exchanged."""
    return x.swapaxes(-1, -2)


def broadcast_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """A view of x stretched to `shape`."""
    return x[...] if x.shape == shape else cupy.broadcast_to(x, shape)


def split(x: Any, *, axis: int, sizes: tuple[int, ...]) -> list[Any]:
    """Views of consecutive pieces of x along one dimension."""
    head, stop, pieces = (slice(None),) * axis, 0, []
    for size in sizes:
        start, stop = stop, stop + size
        pieces.append(x[(*head, slice(start, stop))])
    return pieces


def unbind(x: Any, *, axis: int) -> list[Any]:
    """Views of x at each place of a dimension."""
    head = (slice(None),) * axis
    return [x[(*head, i, ...)] for i in range(x.shape[axis])]


def _strided(x: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """A view with other strides. CuPy's as_strided does not note of which array it is a view, and `memory` must know."""
    view = x[...]
    view._set_shape_and_strides(shape, strides, True, True)
    return view


def strided(x: Any, *, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Any:
    """A view of a vector that goes `strides` elements on for a step in each dimension, from `offset` on."""
    on_device(x)
    return _strided(x[offset:], tuple(shape), tuple(n * x.strides[0] for n in strides))


def diagonal(x: Any, *, offset: int, axis1: int, axis2: int) -> Any:
    """A view of the elements where the place in axis2 is that in axis1 plus `offset`, as a new last dimension."""
    rows, columns = x.shape[axis1], x.shape[axis2]
    length = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    if not length:
        offset = 0  # else the start would lie outside
    start = [slice(None)] * x.ndim
    start[axis1], start[axis2] = slice(max(-offset, 0), None), slice(max(offset, 0), None)
    x = x[tuple(start)]
    others = [i for i in range(x.ndim) if i not in (axis1, axis2)]
    shape, strides = [x.shape[i] for i in others], [x.strides[i] for i in others]
    return _strided(x, (*shape, length), (*strides, x.strides[axis1] + x.strides[axis2]))


def windows(x: Any, *, axis: int, size: int, step: int) -> Any:
    """A view of the windows of `size` elements at every `step` of a dimension, the windows' elements as a new last
    dimension."""
    count = (x.shape[axis] - size) // step + 1
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :], size)
    strides = (*x.strides[:axis], x.strides[axis] * step, *x.strides[axis + 1 :], x.strides[axis])
    return _strided(x, shape, strides)


# -- what undoes them: the sum of what came from each place --------------------------------------------------------------


def from_diagonal(x: Any, *, shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Any:
    """Zeros of `shape` that have x as their `diagonal`."""
    on_device(x)
    out = cupy.zeros(shape, x.dtype)
    diagonal(out, offset=offset, axis1=axis1, axis2=axis2)[...] = x
    return out


# each element sums the windows that it lies in, from the first on
_sum_windows = elementwise(
    "sum_windows", "raw T x, int64 count, int64 inner, int64 size, int64 step, int64 length", "T out",
    "const long long place = i / inner % length, outer = i / inner / length, column = i % inner;\n"
    "const long long first = place < size ? 0 : (place - size) / step + 1, last = place / step;\n"
    "A sum = A(0);\n"
    "for (long long c = first; c <= last && c < count; ++c)\n"
    "  sum += A(x[((outer * count + c) * inner + column) * size + place - c * step]);\n"
    "out = T(sum);",
)  # fmt: skip


def sum_windows(x: Any, *, axis: int, step: int, length: int) -> Any:
    """The array of `length` elements along `axis` whose `windows` would be x, with what falls in one place summed."""
    on_device(x)
    out = cupy.empty((*x.shape[:axis], length, *x.shape[axis + 1 : -1]), x.dtype)
    return _sum_windows(
        cupy.ascontiguousarray(x), x.shape[axis], prod(x.shape[axis + 1 : -1]), x.shape[-1], step, length, out
    )  # fmt: skip


# -- copies --------------------------------------------------------------------------------------------------------------


def contiguous(x: Any) -> Any:
    """A copy of x with its elements one after another, the last dimension fastest."""
    out = copied(x, x.dtype)
    return x.copy() if out is None else out


def address(x: Any) -> int:
    """Where in memory the first element lies."""
    return x.data.ptr


def cat(*xs: Any, axis: int) -> Any:
    """The arrays one after another along a dimension."""
    on_device(*xs)
    return cupy.concatenate(xs, axis)


def stack(*xs: Any, axis: int) -> Any:
    """The arrays side by side in a new dimension."""
    on_device(*xs)
    place = (slice(None),) * axis + (None,)
    return cupy.concatenate([x[place] for x in xs], axis)


def flip(x: Any, *, axis: tuple[int, ...]) -> Any:
    """A copy of x with the order along dimensions reversed."""
    return x[tuple([slice(None, None, -1) if i in axis else slice(None) for i in range(x.ndim)])].copy()


def roll(x: Any, *, shifts: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    """x with its elements moved along dimensions; those that fall out at one end come in at the other."""
    on_device(x)
    return cupy.roll(x, shifts, axis)


def tile(x: Any, *, repeats: tuple[int, ...]) -> Any:
    """x laid side by side so many times in each dimension."""
    on_device(x)
    return cupy.tile(x, repeats)
