"""Words for pooling: the maximum or the average of windows, and what carries a gradient back to their elements.

`windows` holds (axis, kernel, stride, padding, dilation, size) for one dimension or two that are neighbours; size is how many
windows there are along it. Results have the dimensions in the order in memory in which x has them, whatever that is.

NOTE [Taps]
    What is done for all windows at once is done tap by tap: the j-th elements of all windows along a dimension are a slice. So a
    pass over a dimension is `kernel` calls of a ufunc, and a window of two dimensions is two passes. A tap that reaches into the
    padding is a slice for some of the windows only; the padding itself is nowhere.

NOTE [Which element]
    Of a window's elements max_pool names the first of those that tie, row by row, and the last NaN if there is one, as PyTorch
    does: by its number in the window, a byte if there are at most 256. The pass along the row comes first, and what the pass
    down the columns adds makes a later row's number larger than any of an earlier one: so a number is replaced by a better one
    with `maximum(number, better * its number)`, which is three times faster than a choice.

NOTE [Cells]
    Where channels come last, a ufunc that takes every other column runs along the few channels of each, and NumPy spends more
    on that than on the elements. So windows of 2 by 2 are first parted into arrays of their first elements, their second ones,
    ... : the channels of a place are one element of a type of that many bytes, which NumPy moves as memory. What follows runs
    along whole blocks. On the way back the masks are made of bits, and not by products with zeros and ones.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from .reduce import _narrow, _widened

_Window = tuple[int, int, int, int, int, int]
_BLOCK = 1 << 15  # elements that are done at once, or a few times as many: what is computed for them stays in the cache
_MANY = 1 << 12  # elements of the output up to which calls of NumPy cost more than what they do
_CELL = 4  # elements from which on channels that come last are moved as one
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
_TWO = np.asarray(2, np.uint8)
_BITS = {4: np.int32, 8: np.int64}  # size of an element -> what it is seen as for its bits


@lru_cache(maxsize=1024)
def _taps(window: _Window, n: int) -> tuple[tuple[int, slice, slice], ...]:
    """For each tap that meets any of n elements: its number, the windows for which it does, and the elements it meets."""
    _, kernel, stride, padding, dilation, size = window
    found = []
    for j in range(kernel):
        start = j * dilation - padding  # where the first window has it
        first, last = max(-(start // stride), 0), min((n - 1 - start) // stride + 1, size)
        if first < last:
            found.append((j, slice(first, last), slice(start + first * stride, start + (last - 1) * stride + 1, stride)))
    return tuple(found)


def _everywhere(taps: tuple, window: _Window) -> bool:
    """Whether all taps lie within the elements for all windows."""
    return len(taps) == window[1] and all([o.start == 0 and o.stop == window[5] for _, o, _ in taps])


def _apart(window: _Window) -> bool:
    """Whether no element lies in two windows."""
    _, kernel, stride, _, dilation, size = window
    return stride > (kernel - 1) * dilation or size == 1


@lru_cache(maxsize=1024)
def _coverage(windows: tuple, shape: tuple[int, ...]) -> tuple[bool, bool]:
    """Whether no element lies in two windows, and whether moreover each lies in one."""
    apart = all(map(_apart, windows))
    return apart, apart and all([shape[w[0]] == w[1] * w[5] and w[2] == w[1] and not w[3] and w[4] == 1 for w in windows])


def _along(axis: int, part: slice) -> tuple:
    return (*(slice(None),) * axis, part)


def _like(x: Any, shape: tuple[int, ...], dtype: Any, make: Any = np.empty) -> Any:
    """An array of `shape` with its dimensions in the order in memory in which x has them."""
    if x.flags.c_contiguous:
        return make(shape, dtype)
    order = sorted(range(x.ndim), key=lambda i: (-abs(x.strides[i]), i))
    return make([shape[i] for i in order], dtype).transpose([order.index(i) for i in range(x.ndim)])


def _resized(x: Any, axis: int, n: int) -> tuple[int, ...]:
    return (*x.shape[:axis], n, *x.shape[axis + 1 :])


def _outer_first(x: Any, windows: tuple) -> list:
    """The windows in the order in which x lies in memory: the fewer elements, the shorter the rows that follow."""
    return sorted(windows, key=lambda w: -abs(x.strides[w[0]]))


# -- the largest -----------------------------------------------------------------------------------------------------------


def max_pool(x: Any, *, windows: tuple, named: bool = True) -> tuple[Any, Any]:
    """The largest element of each window, and its number there (see NOTE [Which element]; none of those unless `named`)."""
    dtype, x = x.dtype, _widened(x)
    kind = np.uint8 if prod([w[1] for w in windows]) <= 256 else np.int32
    if not named:
        out, which = _largest(x, windows), np.empty(0, kind)
    else:
        out, which = (_quarters if _are_quarters(windows, x.shape) else _named)(x, windows, kind)
        if dtype.kind in "fV" and out.size and (top := np.maximum.reduce(out, axis=None)) != top:
            which = _named(x, windows, kind, nan=True)[1]
    return _narrow(out, dtype), which


def _least(dtype: Any) -> Any:
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _largest(x: Any, windows: tuple) -> Any:
    whole = x
    for window in _outer_first(x, windows):
        axis = window[0]
        taps = _taps(window, x.shape[axis])
        if _everywhere(taps, window):
            (_, _, first), *rest = taps
            out = x[_along(axis, first)]
            for k, (_, _, part) in enumerate(rest):
                out = np.maximum(out, x[_along(axis, part)], out=out if k else None)
        else:
            out = _like(x, _resized(x, axis, window[5]), x.dtype)
            out.fill(_least(x.dtype))
            for _, some, part in taps:
                view = out[_along(axis, some)]
                np.maximum(view, x[_along(axis, part)], out=view)
        x = out
    return out.copy("K") if np.may_share_memory(out, whole) else out


def _named(x: Any, windows: tuple, kind: Any, nan: bool = False) -> tuple[Any, Any]:
    out, which, weight = None, None, 1
    for window in reversed(windows):
        out, which = _pass(x if out is None else out, which, window, weight, kind, nan)
        weight *= window[1]
    return out.copy("K") if np.may_share_memory(out, x) else out, which


def _pass(x: Any, numbers: Any, window: _Window, weight: int, kind: Any, nan: bool) -> tuple[Any, Any]:
    """The largest along one dimension, and their numbers: `numbers` so far, and `weight` times the tap."""
    axis = window[0]
    taps = _taps(window, x.shape[axis])
    if not _everywhere(taps, window):
        return _pass_with_padding(x, numbers, window, weight, kind, nan)
    (_, _, first), *rest = taps
    out = x[_along(axis, first)]
    which = np.zeros(out.shape, kind) if not rest and numbers is None else 0
    if numbers is not None:
        which = numbers[_along(axis, first)]
    for k, (j, _, part) in enumerate(rest):
        value = x[_along(axis, part)]
        better = value > out
        if nan:
            better |= value != value
        out = np.maximum(out, value, out=out if k else None)
        number = kind(j * weight) if numbers is None else numbers[_along(axis, part)] + kind(j * weight)
        number = better.view(np.uint8) * number
        which = number if which.__class__ is int else np.maximum(which, number, out=number)
    return out, which


def _pass_with_padding(x: Any, numbers: Any, window: _Window, weight: int, kind: Any, nan: bool) -> tuple[Any, Any]:
    axis, size = window[0], window[5]
    taps = _taps(window, x.shape[axis])
    out = _like(x, _resized(x, axis, size), x.dtype)
    which = _like(x, out.shape, kind)
    if not taps or taps[0][1].stop < size or taps[-1][1].start > 0:  # windows that lie in the padding alone
        out.fill(_least(x.dtype))
        which.fill(0)
    begun = size
    for j, some, part in taps:
        value = x[_along(axis, part)]
        number = kind(j * weight) if numbers is None else numbers[_along(axis, part)] + kind(j * weight)
        new, old = _along(axis, slice(some.start, min(begun, some.stop))), _along(axis, slice(begun, some.stop))
        if some.start < begun:  # the first tap that these windows have
            skip = begun - some.start
            out[new] = value[_along(axis, slice(None, skip))]
            which[new] = number if numbers is None else number[_along(axis, slice(None, skip))]
            if begun < some.stop:
                value = value[_along(axis, slice(skip, None))]
                number = number if numbers is None else number[_along(axis, slice(skip, None))]
            begun, more = some.start, begun < some.stop
            if not more:
                continue
        best, held = out[old], which[old]
        better = value > best
        if nan:
            better |= value != value
        np.maximum(best, value, out=best)
        np.maximum(held, better.view(np.uint8) * number, out=held)
    return out, which


def _are_quarters(windows: tuple, shape: tuple[int, ...]) -> bool:
    """Whether windows of 2 by 2 lie side by side."""
    return len(windows) == 2 and all([w[1:5] == (2, 2, 0, 1) and shape[w[0]] >= 2 * w[5] for w in windows])


def _quarters(x: Any, windows: tuple, kind: Any) -> tuple[Any, Any]:
    """Windows of 2 by 2 side by side, some planes at once, so that they stay in the cache. The number is that of the elements
    before the first that equals the maximum."""
    (a, *_, rows), (b, *_, columns) = windows
    out = _like(x, (*x.shape[:a], rows, columns, *x.shape[b + 1 :]), x.dtype)
    which = _like(x, out.shape, kind)
    planes = _planes(windows, out, x, which) if out.size > _MANY else None
    if planes is not None and planes[0].shape[3] >= _CELL:
        _quarters_of_cells(*planes)
        return out, which
    first = 0 if x.flags.c_contiguous else max(range(x.ndim), key=lambda i: abs(x.strides[i]))
    n = x.shape[first]
    step = n if first in (a, b) else max(1, 6 * _BLOCK * n // max(x.size, 1))
    lead = (slice(None),) * a
    across = [slice(i, i + 2 * columns - 1, 2) for i in (0, 1)]
    down = [slice(i, i + 2 * rows - 1, 2) for i in (0, 1)]
    for start in range(0, n, step):
        some = _along(first, slice(start, start + step))
        part, best, number = x[some], out[some], which[some]
        tall = np.maximum(part[(*lead, down[0])], part[(*lead, down[1])])
        np.maximum(tall[(*lead, slice(None), across[0])], tall[(*lead, slice(None), across[1])], out=best)
        less = part[(*lead, down[0], across[0])] != best
        more = part[(*lead, down[0], across[1])] != best
        more &= less
        np.add(less.view(np.uint8), more.view(np.uint8), out=number)
        less = part[(*lead, down[1], across[0])] != best
        less &= more
        number += less.view(np.uint8)
    return out, which


def _cells_of(x: Any) -> Any:
    """A view of x (n, rows, columns, inner), of which a cell, one element, is what has one place in the plane."""
    return x.view(np.dtype((np.void, x.shape[3] * x.itemsize)))[..., 0]


def _quarters_of_cells(out: Any, x: Any, which: Any) -> None:
    """`_quarters` of what `_planes` gives. See NOTE [Cells]."""
    n, rows, columns, inner = out.shape
    step = max(1, _BLOCK // max(out[:1].size, 1))
    cells, parts = _cells_of(x), np.empty((2, 2, step, rows, columns, inner), x.dtype)  # [column, row] in the window
    for i in range(0, n, step):
        here = slice(i, i + step)
        some = parts[:, :, : len(out[here])]
        for row, column in _CORNERS:
            _cells_of(some[column, row])[...] = cells[here, row : 2 * rows : 2, column : 2 * columns : 2]
        left, right = some
        second = np.greater(right, left).view(np.uint8)
        top, bottom = np.maximum(left, right, out=left)
        below = np.greater(bottom, top).view(np.uint8)
        np.maximum(top, bottom, out=out[here])
        number = np.add(second[1], _TWO)
        np.maximum(np.multiply(number, below, number), second[0], out=which[here])


def max_pool_back(g: Any, offsets: Any, *, windows: tuple, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with g, one for each window, added to the elements that `offsets`, by max_pool, names."""
    dtype, g = g.dtype, _widened(g)
    if g.strides != tuple([s * g.itemsize // offsets.itemsize for s in offsets.strides]):
        laid = _like(offsets, g.shape, g.dtype)
        laid[...] = g
        g = laid
    apart, covered = _coverage(windows, shape)
    quarters = g.size > _MANY and _are_quarters(windows, shape) and g.itemsize in _BITS
    out = _like(offsets, shape, g.dtype, np.empty if covered or quarters else np.zeros)
    planes = _planes(windows, offsets, g, out) if g.size > _MANY else None
    if planes is not None and not apart:
        _scatter(*planes, windows)
    elif planes is not None and quarters and planes[0].shape[3] >= _CELL:
        _quarters_back(*planes)
    else:
        if quarters and not covered:
            out.fill(0)
        bits = f"i{g.itemsize}"  # 0 times an infinite gradient would be NaN, 0 times its bits is 0
        for number, some, part in _cells(windows, shape):
            there, chosen = out[part], offsets[some] == number
            if apart:
                np.multiply(g[some].view(bits), chosen, out=there.view(bits))
            else:
                there += np.multiply(g[some].view(bits), chosen).view(g.dtype)
    return _narrow(out, dtype)


def _planes(windows: tuple, *arrays: Any) -> list | None:
    """The arrays as they lie in memory, with four dimensions: what comes before the windows' two (one of those may be of size
    1), those, and what comes after. None if they do not lie like that."""
    order = sorted(range(arrays[0].ndim), key=lambda i: (-abs(arrays[0].strides[i]), i))
    at = order.index(windows[0][0])
    if len(windows) == 2 and order[at + 1 : at + 2] != [windows[1][0]]:
        return None
    found = []
    for x in arrays:
        x = x.transpose(order)
        if not x.flags.c_contiguous:
            return None
        columns = x.shape[at + 1] if len(windows) == 2 else 1
        found.append(x.reshape(prod(x.shape[:at]), x.shape[at], columns, prod(x.shape[at + len(windows) :])))
    return found


def _scatter(offsets: Any, g: Any, out: Any, windows: tuple) -> None:
    """Add g to elements of zeros that windows may share, in the order of the windows."""
    table, base = _targets(windows, g.shape[1:], out.shape[1:])
    size, room = base.size, out[0].size
    step = max(1, _BLOCK // size)
    index = np.empty((step, size), np.int64)
    starts = np.arange(step)[:, None] * room
    for i in range(0, len(g), step):
        part = offsets[i : i + step].reshape(-1, size)
        there = index[: len(part)]
        np.take(table, part, out=there, mode="clip")
        there += base
        there += starts[: len(part)]
        np.add.at(out[i : i + step].reshape(-1), there.reshape(-1), g[i : i + step].reshape(-1))


@lru_cache(maxsize=64)
def _targets(windows: tuple, sizes: tuple[int, ...], room: tuple[int, ...]) -> tuple[Any, Any]:
    """In a plane of shape `room`: how far the elements of a window lie from its first, and where those of all windows lie."""
    _, columns, inner = room
    (_, rows_taps, down, top, spread, _), *more = windows
    _, taps, across, left, apart, _ = more[0] if more else (0, 1, 1, 0, 1, 1)
    steps = np.arange(rows_taps)[:, None] * (spread * columns) + np.arange(taps) * apart
    starts = (np.arange(sizes[0]) * down - top)[:, None] * columns + np.arange(sizes[1]) * across - left
    return (steps * inner).reshape(-1), (starts[:, :, None] * inner + np.arange(inner)).reshape(-1)


def _quarters_back(offsets: Any, g: Any, out: Any) -> None:
    """Write to all elements, where windows of 2 by 2 lie side by side: g where the number is that of the element, else zero.
    See NOTE [Cells]."""
    n, rows, columns, inner = g.shape
    out[:, 2 * rows :] = 0  # what no window has
    out[:, :, 2 * columns :] = 0
    kind = _BITS[g.itemsize]
    one = np.ones((), kind)
    step = max(1, _BLOCK // max(g[:1].size, 1))
    cells, bits = _cells_of(out), g.view(kind)
    scratch = np.empty((4, step, rows, columns, inner), kind)
    for i in range(0, n, step):
        here = slice(i, i + step)
        row, column, part, rest = scratch[:, : len(g[here])]
        row[...] = offsets[here]
        np.negative(np.bitwise_and(row, one, column), column)  # all bits of a second column's
        np.negative(np.right_shift(row, one, row), row)
        np.bitwise_and(bits[here], row, row)
        for k in (1, 0):
            if not k:
                np.bitwise_xor(bits[here], row, row)
            np.bitwise_and(row, column, part)
            np.bitwise_xor(row, part, rest)
            for second, values in enumerate((rest, part)):
                cells[here, k : 2 * rows : 2, second : 2 * columns : 2] = _cells_of(values)


@lru_cache(maxsize=256)
def _cells(windows: tuple, shape: tuple[int, ...]) -> list[tuple[int, tuple, tuple]]:
    """For each element of a window: its number, the windows that have it, and where they have it."""
    lead = (slice(None),) * windows[0][0]
    cells: list[tuple[int, tuple, tuple]] = [(0, lead, lead)]
    for window in windows:
        taps = _taps(window, shape[window[0]])
        cells = [(n * window[1] + j, (*o, some), (*i, part)) for n, o, i in cells for j, some, part in taps]
    return cells


# -- the average -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _counts(windows: tuple, shape: tuple[int, ...], counts_padding: bool, divisor: int, dtype: Any) -> Any:
    """What the sum of each window is divided by, as far as windows differ."""
    if divisor:
        return np.asarray(divisor, dtype)
    total: Any = 1
    for axis, kernel, stride, padding, _, size in windows:
        n = shape[axis]
        start = np.arange(size) * stride - padding
        stop = np.minimum(start + kernel, n + padding)
        if not counts_padding:
            start, stop = np.maximum(start, 0), np.minimum(stop, n)
        total = total * (stop - start).reshape((-1,) + (1,) * (len(shape) - 1 - axis))
    least = total.min() if total.size else 1
    return np.asarray(least if (total == least).all() else total, dtype)


def _divide(x: Any, counts: Any) -> Any:
    """x / counts, x if it owns its elements overwritten; integers as C divides them."""
    if x.dtype.kind in "iu":
        q = np.abs(x) // counts
        return np.where(x < 0, -q, q).astype(x.dtype)
    return np.divide(x, counts, out=x)


def average_pool(x: Any, *, windows: tuple, counts_padding: bool = True, divisor: int = 0) -> Any:
    """The sum of each window divided by `divisor`, if that is not 0, else by the number of its elements, those of the padding
    with them if `counts_padding`."""
    dtype, x = x.dtype, _widened(x)
    counts, whole = _counts(windows, x.shape, counts_padding, divisor, x.dtype), x
    for window in _outer_first(x, windows):
        axis = window[0]
        taps = _taps(window, x.shape[axis])
        if _everywhere(taps, window):
            (_, _, first), *rest = taps
            out = x[_along(axis, first)]
            for k, (_, _, part) in enumerate(rest):
                out = np.add(out, x[_along(axis, part)], out=out if k else None)
        else:
            out = _like(x, _resized(x, axis, window[5]), x.dtype, np.zeros)
            for _, some, part in taps:
                out[_along(axis, some)] += x[_along(axis, part)]
        x = out
    out = out.copy("K") if np.may_share_memory(out, whole) else out
    return _narrow(_divide(out, counts), dtype)


def average_pool_back(g: Any, *, windows: tuple, shape: tuple[int, ...], counts_padding: bool = True, divisor: int = 0) -> Any:
    """Zeros of `shape` with g, one for each window, divided as average_pool does and added to all elements of its window."""
    dtype, g = g.dtype, _widened(g)
    g = g / _counts(windows, shape, counts_padding, divisor, g.dtype)
    for window in reversed(_outer_first(g, windows)):
        axis = window[0]
        n = shape[axis]
        apart, covered = _coverage((window,), shape)
        out = _like(g, _resized(g, axis, n), g.dtype, np.empty if covered else np.zeros)
        for _, some, part in _taps(window, n):
            if apart:
                out[_along(axis, part)] = g[_along(axis, some)]
            else:
                out[_along(axis, part)] += g[_along(axis, some)]
        g = out
    return _narrow(g, dtype)
