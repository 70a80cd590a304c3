"""Words that rearrange: most give views."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided as _as_strided

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
    """A view of x stretched to `shape`: read-only if several of its elements lie in one place."""
    sizes = x.shape
    if sizes == shape:
        return x[...]
    missing = len(shape) - len(sizes)
    strides = (0,) * missing
    if sizes:
        if missing < 0:
            return np.broadcast_to(x, shape)  # raises the error that dispatch knows how to explain
        inner = list(x.strides)
        for i, n in enumerate(sizes):
            if n != shape[missing + i]:
                if n != 1:
                    return np.broadcast_to(x, shape)  # raises
                inner[i] = 0
        strides += tuple(inner)
    try:
        out = np.ndarray(shape, x.dtype, x, 0, strides)  # an eighth of the time of np.broadcast_to
    except (TypeError, ValueError):  # what does not lie in one piece is no buffer
        out = _as_strided(x, shape, strides)
    if out.size != x.size:
        out.setflags(write=False)
    return out


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
    return _as_strided(x, (*shape, length), (*strides, x.strides[axis1] + x.strides[axis2]))


def windows(x: Any, *, axis: int, size: int, step: int) -> Any:
    """A view of the windows of `size` elements at every `step` of a dimension, the windows' elements as a new last
    dimension. Read-only if they overlap."""
    count = (x.shape[axis] - size) // step + 1
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :], size)
    strides = (*x.strides[:axis], x.strides[axis] * step, *x.strides[axis + 1 :], x.strides[axis])
    return _as_strided(x, shape, strides, writeable=step >= size and x.flags.writeable)


def strided(x: Any, *, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Any:
    """A view of a vector that goes `strides` elements on for a step in each dimension, from `offset` on. Read-only if an element
    may be in it twice."""
    reached, apart = 0, True  # how far the dimensions of smaller strides go
    for step, size in sorted(zip(strides, shape, strict=True)):
        apart &= size <= 1 or step > reached
        reached += step * (size - 1)
    at = tuple(n * x.strides[0] for n in strides)
    return _as_strided(x[offset:], shape, at, writeable=apart and x.flags.writeable)


# -- what undoes them: the sum of what came from each place --------------------------------------------------------------


def from_diagonal(x: Any, *, shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Any:
    """Zeros of `shape` that have x as their `diagonal`."""
    out = np.zeros(shape, x.dtype)
    diagonal(out, offset=offset, axis1=axis1, axis2=axis2)[...] = x
    return out


def sum_windows(x: Any, *, axis: int, step: int, length: int) -> Any:
    """The array of `length` elements along `axis` whose `windows` would be x, with what falls in one place summed."""
    count, size = x.shape[axis], x.shape[-1]
    out = np.zeros((*x.shape[:axis], length, *x.shape[axis + 1 : -1]), x.dtype)
    head = (slice(None),) * axis
    if count <= size:
        x = np.moveaxis(x, -1, axis + 1)
        for i in range(count):
            out[(*head, slice(i * step, i * step + size))] += x[(*head, i)]
    else:
        for k in range(size):
            out[(*head, slice(k, k + (count - 1) * step + 1, step))] += x[..., k]
    return out


# -- copies --------------------------------------------------------------------------------------------------------------


def contiguous(x: Any) -> Any:
    """A copy of x with its elements one after another, the last dimension fastest."""
    return x.copy()


def address(x: Any) -> int:
    """Where in memory the first element lies."""
    return x.__array_interface__["data"][0]


def cat(*xs: Any, axis: int) -> Any:
    """The arrays one after another along a dimension."""
    return np.concatenate(xs, axis)


def stack(*xs: Any, axis: int) -> Any:
    """The arrays side by side in a new dimension."""
    place = (slice(None),) * axis + (None,)
    return np.concatenate([x[place] for x in xs], axis)


def flip(x: Any, *, axis: tuple[int, ...]) -> Any:
    """A copy of x with the order along dimensions reversed."""
    return x[tuple([slice(None, None, -1) if i in axis else slice(None) for i in range(x.ndim)])].copy()


def roll(x: Any, *, shifts: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    """x with its elements moved along dimensions; those that fall out at one end come in at the other."""
    return np.roll(x, shifts, axis)


def tile(x: Any, *, repeats: tuple[int, ...]) -> Any:
    """x laid side by side so many times in each dimension."""
    return np.tile(x, repeats)
