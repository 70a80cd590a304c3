"""A convolution, relu and the largest of windows of 2 by 2, all in blocks that stay in the cache: what the convolution gives,
four times as much as is left of it, is nowhere in memory as a whole, and neither is its gradient.

NOTE [Quarters]
    1. The places of the convolution's output are taken in four quarters: those that are the first, the second, ... of their
       pooled windows, row by row. A quarter is a matrix of windows times the kernel, with a row for each pooled window. So the
       maximum is taken of four matrices, and the gradient of the kernel is a sum of four products.
    2. relu and the maximum can change places, and their gradients with them: none passes where the largest is not positive. So
       relu is taken of a quarter of the elements. The bias comes before: sums with it can tie where products do not. Where the
       largest is not positive, the number of the element that has it is overwritten by 4.
    3. If windows are narrow in memory (few channels), they are made column by column. All elements of x that the windows of a
       block have at one place, in all quarters, are every other one of a row, of every other row: a plane, or one that is
       shifted. A shift is one copy, if windows that begin in the border of the plane come with it: rows of the matrices that
       belong nowhere, and are left out. Windows side by side share all but one column: so a quarter has its own factor, with
       zeros for the column that is of the other, and not its own matrix.
    4. The gradient of the input is a convolution of the gradient of the quarters, laid side by side again in a block with zeros
       around. Here windows are rows of the kernel alone, and those further down are those of a later line: a third of the
       copying for a kernel of three, and a product for each row. From the same windows comes the gradient of the weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided as _as_strided

from .columns import _NARROW, _SMALL, _even, _parts, aligned, first, gram, last, repeated, times
from .conv import _convolution_backward
from .pool import _BITS, _CELL, _cells_of, max_pool_back
from .reduce import _wide_sum

_BLOCK = 5 << 18  # bytes of the windows of a block, and of the products with them
_ROWS = 1 << 20  # bytes of the windows of a block that the gradient of the input is computed from
_LEAST = 384  # but so many rows at least, for a product reads all of the kernel
_FEW = 1 << 12  # elements of the output up to which all that is asked here costs more than it spares
_NUMBERS = np.arange(4, dtype=np.uint8)
_TWO, _FOUR = np.asarray(2, np.uint8), np.asarray(4, np.uint8)
_ZERO = {np.dtype(t): np.zeros((), t) for t in (np.float32, np.float64)}

_Sizes = tuple[int, ...]


def _overlap(start: int, size: int, room: int) -> tuple[slice, slice]:
    """What a part of `size` that begins at `start` has of something of the size `room`: where in the part, and where in that."""
    low = max(start, 0)
    high = max(min(start + size, room), low)
    return slice(low - start, high - start), slice(low, high)


class Quarters:
    """The windows of a convolution of x (n, height, width, channels), of which the outputs are pooled to `sizes`.

    Iterating gives (place, four): where in an array (n, *sizes, channels) the pooled windows of a block belong, and matrices of
    convolution windows, (2, 2, rows, self.width), by the row and the column in a pooled window. If `narrow`, the rows are those
    of (images, *frame), of which some belong nowhere, and begin or end in a one if there are to be `ones`."""

    def __init__(self, x: Any, kernel: _Sizes, padding: _Sizes, sizes: _Sizes, many: int, ones: bool = False):
        n, _, _, channels = x.shape
        self.x, self.kernel, self.padding, self.sizes, self.channels = x, kernel, padding, sizes, channels
        self.narrow = channels * kernel[1] <= _NARROW
        self.ones = ones and self.narrow
        high, wide = kernel
        self.beyond = high // 2, wide // 2  # what windows reach of a plane, but do not begin in
        self.width = high * (wide + self.narrow) * channels + self.ones
        made = (self.width + (wide + 1) * channels if self.narrow else 4 * self.width) + 4 * many
        across = sizes[1] + self.beyond[1] * self.narrow
        most = max(_BLOCK // (across * made * x.itemsize), _LEAST // (4 * across))  # lines
        self.lines = sizes[0] if most >= sizes[0] else _even(sizes[0], max(most, 1))
        self.images = _even(n, max(most // self.lines, 1)) if self.lines == sizes[0] else 1
        self.frame = self.lines, across
        self.room = self.lines + self.beyond[0], sizes[1] + self.beyond[1]

    def __iter__(self) -> Iterator[tuple[tuple[slice, slice], Any]]:
        x = self.x
        around = np.zeros((self.images, 2 * self.room[0], 2 * self.room[1], self.channels), x.dtype)
        rows_of = self._shifts(around) if self.narrow else self._copies(around)
        here, there = _overlap(-self.padding[1], 2 * self.room[1], x.shape[2])
        for i in range(0, len(x), self.images):
            images = slice(i, min(i + self.images, len(x)))
            m = images.stop - i
            for k in range(0, self.sizes[0], self.lines):
                inside, rows = _overlap(2 * k - self.padding[0], 2 * self.room[0], x.shape[1])
                if self.lines < self.sizes[0]:
                    around[:, : inside.start] = 0
                    around[:, inside.stop :] = 0
                around[:m, inside, here] = x[images, rows, there]
                lines = slice(k, min(k + self.lines, self.sizes[0]))
                yield (images, lines), rows_of(m, lines.stop - k)

    def _copies(self, around: Any) -> Any:
        """A function that gives the windows of `around`."""
        images, down, along, item = around.strides
        size = self.kernel[1] * self.channels  # what lies next to each other in a window is moved as one element
        shape = (2, 2, self.images, self.lines, self.sizes[1], self.kernel[0], size)
        windows = _as_strided(around, shape, (down, along, images, 2 * down, 2 * along, down, item))
        windows = windows.view(np.dtype((np.void, size * item)))[..., 0]
        rows = aligned(windows.size * size, around.dtype)

        def rows_of(m: int, lines: int) -> Any:
            some = windows[:, :, :m, :lines]
            block = rows[: some.size * size]
            block.view(windows.dtype).reshape(some.shape)[...] = some
            return block.reshape(2, 2, -1, self.width)

        return rows_of

    def _shifts(self, around: Any) -> Any:
        """A function that gives the windows of `around`, the columns of which are shifted planes. See rule 3 of the NOTE."""
        (high, wide), channels, (kernel, taps) = self.room, self.channels, self.kernel
        plane, lines = self.images * high * wide, self.lines * wide
        planes = np.zeros((2, 2, channels, plane + self.beyond[1]), around.dtype)
        whole = planes[..., :plane].reshape(2, 2, channels, self.images, high, wide)
        parts = around.reshape(self.images, high, 2, wide, 2, channels).transpose(2, 4, 5, 0, 1, 3)
        strides = planes.strides[2], high * wide * planes.itemsize, planes.itemsize
        step, most = channels * (taps + 1), self.images * lines
        columns = aligned(((kernel + 1) * step + 2 * self.ones) * most, around.dtype).reshape(-1, most)
        columns[0] = columns[-1] = 1  # overwritten, unless there are to be ones
        inner = columns[self.ones : len(columns) - self.ones].reshape(kernel + 1, channels, taps + 1, self.images, lines)
        pairs = []
        for i, j in np.ndindex(kernel + 1, taps + 1):
            start = (i % 2) * planes.strides[0] + (j % 2) * planes.strides[1] + (i // 2 * wide + j // 2) * planes.itemsize
            shifted = np.ndarray((channels, self.images, lines), planes.dtype, planes, start, strides)
            pairs.append((inner[i, :, j], shifted))
        four = _as_strided(
            columns, (2, 2, most, self.width), ((step + self.ones) * columns.strides[0], 0, columns.itemsize, columns.strides[0])
        )

        def rows_of(m: int, _: int) -> Any:
            whole[:, :, :, :m] = parts[:, :, :, :m]
            for into, shifted in pairs:
                into[...] = shifted
            return four[:, :, : m * lines]

        return rows_of

    def factor(self, weight: Any, bias: Any) -> Any:
        """The matrix that the windows are multiplied by, or one for each quarter."""
        many = len(weight)
        if not self.narrow:
            found = aligned(self.width * many, weight.dtype).reshape(self.width, many)
            found[...] = weight.transpose(2, 3, 1, 0).reshape(found.shape)
            return found
        found = np.zeros((2, 2, self.width, many), weight.dtype)
        for row, column in np.ndindex(2, 2):
            matrix = found[row, column]
            if self.ones:
                matrix[-row] = bias
                matrix = matrix[1 - row : len(matrix) - row]
            place = matrix.reshape(self.kernel[0], self.channels, -1, many)
            place[:, :, column : column + self.kernel[1]] = weight.transpose(2, 1, 3, 0)
        return found

    def gradients(self, sums: Any) -> tuple[Any, Any]:
        """The gradients of weight and bias from the sums of products of windows with what is the gradient of the quarters, of
        which there is a matrix for each. That of the bias is None unless there are ones."""
        if not self.narrow:
            total = sums.sum((0, 1)).reshape(*self.kernel, self.channels, -1)
            return np.ascontiguousarray(total.transpose(3, 2, 0, 1)), None
        weight = bias = None
        for row, column in np.ndindex(2, 2):
            matrix = sums[row, column]
            if self.ones:
                bias = matrix[-row] if bias is None else bias + matrix[-row]
                matrix = matrix[1 - row : len(matrix) - row]
            part = matrix.reshape(self.kernel[0], self.channels, self.kernel[1] + 1, -1)[:, :, column : column + self.kernel[1]]
            weight = part if weight is None else weight + part
        return np.ascontiguousarray(weight.transpose(3, 1, 0, 2)), bias


def _products(four: Any, factor: Any, out: Any) -> None:
    """Write the products of four matrices with `factor`, or the factors, into `out`."""
    rows, width, many = *four.shape[2:], out.shape[3]
    if factor.ndim == 2:
        times(four.reshape(-1, width), factor, out.reshape(-1, many))
    elif rows * width * many <= _SMALL:
        np.matmul(four, factor, out=out)
    else:
        for place in np.ndindex(2, 2):
            times(four[place], factor[place], out[place])


def _largest(four: Any, zero: Any, out: Any, which: Any) -> None:
    """Write relu of the largest of four matrices, which are overwritten, into `out`; into `which`, if it is given, the number of
    the first that has it, or 4 where relu gives zero."""
    (a, b), (c, d) = four
    if which is None:
        np.maximum(np.maximum(a, b, out=a), np.maximum(c, d, out=c), out=out)
        np.maximum(out, zero, out=out)
        return
    second = np.greater(b, a).view(np.uint8)
    np.maximum(a, b, out=a)
    fourth = np.greater(d, c).view(np.uint8)
    np.maximum(c, d, out=c)
    below = np.greater(c, a).view(np.uint8)
    np.maximum(np.maximum(a, c, out=a), zero, out=out)
    np.multiply(np.add(fourth, _TWO, fourth), below, fourth)
    np.maximum(second, fourth, out=which)
    stopped = np.equal(out, zero).view(np.uint8)
    np.maximum(which, np.multiply(stopped, _FOUR, stopped), out=which)


def _passed(g: Any, offsets: Any) -> Any:
    """g where relu let it pass, else zeros, even where g is infinite; both are contiguous."""
    passed = np.less(offsets, _FOUR).astype(_BITS[g.itemsize])
    return np.multiply(g.view(passed.dtype), passed, passed).view(g.dtype)


def _parted(g: Any, offsets: Any) -> Any:
    """The four quarters, (4, *g.shape), of what has g where `offsets` says, and else zeros, even where g is infinite."""
    masks = np.equal(offsets, _NUMBERS.reshape(4, *[1] * g.ndim)).view(np.int8)
    found = np.negative(masks, masks).astype(_BITS[g.itemsize])  # all bits, or none
    return np.bitwise_and(found, g.view(found.dtype), found).view(g.dtype)


def _forward(x: Any, weight: Any, bias: Any, *, padding: _Sizes, windows: tuple, named: bool = True) -> Any:
    arrays = (x, weight) if bias is None else (x, weight, bias)
    if any([a.__class__ is not np.ndarray or a.dtype is not x.dtype or not a.size for a in arrays]) or x.dtype not in _ZERO:
        return NotImplemented
    sizes, many = (windows[0][5], windows[1][5]), len(weight)
    if len(x) * prod(sizes) * many < _FEW:
        return NotImplemented
    quarters = Quarters(last(x), weight.shape[2:], padding, sizes, many, bias is not None)
    factor, zero = quarters.factor(weight, bias), _ZERO[x.dtype]
    out = np.empty((len(x), *sizes, many), x.dtype)
    offsets = np.empty(out.shape if named else 0, np.uint8)
    line = None if bias is None or quarters.ones else repeated(bias, sizes[1]).reshape(-1)
    products = aligned(4 * quarters.images * prod(quarters.frame) * many, x.dtype)
    for place, four in quarters:
        rows = four.shape[2]
        made = products[: 4 * rows * many].reshape(2, 2, rows, many)
        _products(four, factor, made)
        if line is not None:
            lines = made.reshape(-1, len(line))
            np.add(lines, line, lines)
        target, names = out[place], offsets[place] if named else None
        if quarters.narrow:
            best, which = np.empty((rows, many), x.dtype), np.empty((rows, many), np.uint8) if named else None
        else:
            best, which = target.reshape(rows, many), names.reshape(rows, many) if named else None
        _largest(made, zero, best, which)
        if quarters.narrow:
            part = slice(None), slice(target.shape[1]), slice(sizes[1])
            target[...] = best.reshape(-1, *quarters.frame, many)[part]
            if named:
                names[...] = which.reshape(-1, *quarters.frame, many)[part]
    flat = out.reshape(-1)
    norm = flat.dot(flat)
    if norm != norm:  # there is NaN, of which max_pool names the last
        return NotImplemented
    return first(out), first(offsets) if named else offsets


# -- backward ----------------------------------------------------------------------------------------------------------------


def _inputs(g: Any, offsets: Any, weight: Any, x: Any, shape: _Sizes, padding: _Sizes) -> tuple[Any, Any]:
    """The gradients of the input, which is of `shape` (n, height, width, channels), and of the weight, or None without x. See
    rule 4 of the NOTE."""
    (n, high, wide, channels), (many, _, kernel, taps), dtype = shape, weight.shape, weight.dtype
    width = taps * many
    # for strides of one that is a convolution of the gradient with the kernel turned around
    factors = np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)).reshape(kernel, width, channels)
    before = kernel - 1 - padding[0], taps - 1 - padding[1]
    most = max(_ROWS // (wide * (width + many) * dtype.itemsize) - kernel + 1, _LEAST // wide)
    lines = high if most >= high else _even(high, max(most, 1))
    images = _even(n, max(most // (high + kernel - 1), 1))
    spread = np.zeros((images, lines + kernel - 1, wide + taps - 1, many), dtype)
    windows = _as_strided(spread, (*spread.shape[:2], wide, width), (*spread.strides[:3], dtype.itemsize))
    windows = windows.view(np.dtype((np.void, width * dtype.itemsize)))[..., 0]
    rows = aligned(windows.size * width, dtype).reshape(*windows.shape, width)
    out, sums = np.empty(shape, dtype), np.zeros((kernel, channels, width), dtype)
    for i in range(0, n, images):
        for k in range(0, high, lines):
            some, target = slice(i, i + images), out[i : i + images, k : k + lines]
            m, count = target.shape[:2]
            _lay(spread[:m, : count + kernel - 1], g[some], offsets[some], (k - before[0], -before[1]))
            rows.view(windows.dtype)[..., 0][...] = windows
            parts = _parts(count * wide, width * channels, 96)
            target = target.reshape(m, parts, -1, channels)
            values = None if x is None else np.ascontiguousarray(x[some, k : k + lines]).reshape(target.shape).swapaxes(2, 3)
            for row, factor in enumerate(factors):
                matrix = rows[:m, row : row + count].reshape(m, parts, -1, width)
                if row:
                    np.add(target, np.matmul(matrix, factor), target)
                else:
                    np.matmul(matrix, factor, out=target)
                if values is not None:
                    sums[row] += np.add.reduce(np.matmul(values, matrix), axis=(0, 1))
    if x is None:
        return out, None
    turned = sums.reshape(kernel, channels, taps, many)[::-1, :, ::-1]
    return out, np.ascontiguousarray(turned.transpose(3, 1, 0, 2))


def _lay(target: Any, g: Any, offsets: Any, start: _Sizes) -> None:
    """Write what g is the gradient of, from `start` on, into `target` (images, height, width, channels), which has zeros where
    there is none: always in the same columns."""
    down, right = [_placed(s, n, 2 * h) for s, n, h in zip(start, target.shape[1:3], g.shape[1:3], strict=True)]
    target[:, : down.inside.start] = 0
    target[:, down.inside.stop :] = 0
    target = target[:, down.inside, right.inside]
    if not target.size:
        return
    parts = _parted(g[:, down.halves, right.halves], offsets[:, down.halves, right.halves])
    if target.shape[3] >= _CELL:
        target, parts = _cells_of(target), _cells_of(parts.reshape(-1, *parts.shape[2:])).reshape(parts.shape[:-1])
    for number, part in enumerate(parts):
        rows, columns = down.parts[number >> 1], right.parts[number & 1]
        target[:, rows[1], columns[1]] = part[:, rows[0], columns[0]]


class _Placed(NamedTuple):
    """Where a part of a dimension of what is pooled has elements, `inside`; which of the pooled places those are, `halves`; and
    for the even ones and the odd ones, where among the halves, and where inside."""

    inside: slice
    halves: slice
    parts: list[tuple[slice, slice]]


@lru_cache(maxsize=1024)
def _placed(start: int, size: int, room: int) -> _Placed:
    """The part of `size` from `start` on, of `room` places."""
    inside, there = _overlap(start, size, room)
    first, parts = there.start // 2, []
    for odd in (0, 1):
        low, high = (there.start - odd + 1) // 2, (there.stop - odd + 1) // 2
        parts.append((slice(low - first, high - first), slice(2 * low + odd - there.start, None, 2)))
    return _Placed(inside, slice(first, (there.stop + 1) // 2), parts)


def _weight(g: Any, offsets: Any, x: Any, kernel: _Sizes, padding: _Sizes, with_bias: bool) -> tuple[Any, Any]:
    """The gradient of the weight alone, and if it costs nothing that of the bias, else None. No gradient passes where `offsets`
    is none of the four numbers."""
    many = g.shape[3]
    quarters = Quarters(x, kernel, padding, g.shape[1:3], many, with_bias)
    if quarters.narrow:  # zeros where rows belong nowhere
        slope = np.zeros((quarters.images, *quarters.frame, many), g.dtype)
        names = np.zeros(slope.shape, np.uint8)
    sums = np.zeros((2, 2, quarters.width, many), g.dtype)
    for place, four in quarters:
        part, numbers = g[place], offsets[place]
        if quarters.narrow:
            m, lines, wide = part.shape[:3]
            slope[:m, :lines, :wide], names[:m, :lines, :wide] = part, numbers
            slope[:, lines:] = 0
            part, numbers = slope[:m], names[:m]
        parts = _parted(part.reshape(-1, many), numbers.reshape(-1, many)).reshape(2, 2, -1, many)
        for at in np.ndindex(2, 2):
            sums[at] += gram(four[at], parts[at])
    return quarters.gradients(sums)


def _one_by_one(
    xp: Any, g: Any, needed: Any, offsets: Any, x: Any, weight: Any, shape: Any, kernel: Any, padding: Any, windows: Any
) -> Any:
    """`_backward` where that costs less: of few elements, and where an image has too few places for a product of its own."""
    sizes = [n + 2 * p - k + 1 for n, p, k in zip(shape[2:], padding, kernel[2:], strict=True)]
    slope = max_pool_back(g, offsets, windows=windows, shape=(len(g), g.shape[1], *sizes))
    given = {"x": x, "weight": weight, "x_shape": shape, "weight_shape": kernel, "padding": padding}
    return _convolution_backward(xp, slope, needed, **given, stride=(1, 1), dilation=(1, 1))


def _backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    offsets: Any,
    x: Any = None,
    weight: Any = None,
    x_shape: Any = None,
    weight_shape: Any = None,
    padding: Any = None,
    windows: Any = None,
) -> Any:
    """The rules of `convolution_relu_pool`. What an input's gradient is computed from is given exactly if it is needed."""
    few = g.size < _FEW
    if not g.size or g.dtype not in _ZERO or (few and needed == ("bias",)):
        return NotImplemented
    offsets, slope = np.ascontiguousarray(last(offsets)), np.ascontiguousarray(last(g))
    if few or ("x" in needed and 2 * prod(x_shape[2:]) < weight.size // weight.shape[1]):
        g, offsets = first(_passed(slope, offsets)), first(offsets)
        return _one_by_one(xp, g, needed, offsets, x, weight, x_shape, weight_shape, padding, windows)
    of_input = of_weight = of_bias = None
    if "x" in needed:
        shape = (x_shape[0], *x_shape[2:], x_shape[1])
        of_input, of_weight = _inputs(slope, offsets, weight, last(x) if "weight" in needed else None, shape, padding)
    elif "weight" in needed:
        of_weight, of_bias = _weight(slope, offsets, last(x), weight_shape[2:], padding, "bias" in needed)
    if "bias" in needed and of_bias is None:
        of_bias = _wide_sum(_passed(slope, offsets).reshape(-1, slope.shape[3]), 0, False)
    grads = {"x": None if of_input is None else first(of_input), "weight": of_weight, "bias": of_bias}
    return [grads[name] for name in needed]


POOLED = {"convolution_relu_pool": (_forward, _backward)}
