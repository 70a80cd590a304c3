"""The windows of an array as the rows of matrices, block by block, and products with such blocks.

NOTE [Small products]
    OpenBLAS multiplies small matrices (m n k up to a million) without first packing them, if it has such kernels for the
    processor (AVX512): 1.3 to 2.4 times as fast. So `times` and `gram` part the rows of a block, and `matmul` goes through the
    parts in C. On other processors that costs between nothing and 9% of a convolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided as _as_strided

_BLOCK = 1 << 19  # bytes of columns that are made at a time
_ROWS = 384  # but so many rows at least, for a product reads all of the kernel
_NARROW = 16  # elements next to each other in a window up to which columns are made instead of rows
_LARGE = 1 << 16  # elements of a block from which on it matters where they lie, and how they are copied
_SMALL = 1_000_000  # multiplications of a small product

_Sizes = tuple[int, ...]


def last(x: Any) -> Any:
    """A view of (n, channels, *sizes) with the channels last."""
    return x.transpose(0, *range(2, x.ndim), 1)


def first(x: Any) -> Any:
    """A view of (n, *sizes, channels) with the channels in front of the sizes."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


@lru_cache(4096)
def _parts(rows: int, work: int, least: int) -> int:
    """Into how many parts of one size `rows` of `work` multiplications each are to go so that products are small; 1 if parts
    would have less than `least` rows."""
    for parts in range(-(-rows * work // _SMALL), rows // least + 1):
        if rows % parts == 0:
            return parts
    return 1


def _parted_rows(x: Any, parts: int) -> Any:
    """A matrix, or the transpose of one, as `parts` matrices of consecutive rows: a view."""
    rows, width = x.shape
    if x.flags.c_contiguous:
        return x.reshape(parts, -1, width)
    return x.T.reshape(width, parts, -1).transpose(1, 2, 0)


def times(a: Any, b: Any, out: Any) -> Any:
    """The product of two matrices, written into `out` if there is one. See NOTE [Small products]."""
    rows, work = len(a), a.shape[1] * b.shape[1]
    parts = _parts(rows, work, 48)
    if parts == 1 and rows * work > _SMALL:
        return np.dot(a, b, out)
    if out is None:
        out = np.empty((rows, b.shape[1]), a.dtype)
    np.matmul(_parted_rows(a, parts), b, out=out.reshape(parts, -1, b.shape[1]))
    return out


def gram(a: Any, b: Any) -> Any:
    """The product of the transpose of a with b."""
    rows = len(a)
    parts = _parts(rows, a.shape[1] * b.shape[1], 96)
    if parts == 1 or not b.flags.c_contiguous:
        return np.dot(a.T, b)
    a, b = _parted_rows(a, parts), b.reshape(parts, -1, b.shape[1])
    if b.shape[2] < a.shape[2] and a.flags.c_contiguous:  # so that rows of the result are long
        return np.add.reduce(np.matmul(b.swapaxes(1, 2), a), axis=0).T
    return np.add.reduce(np.matmul(a.swapaxes(1, 2), b), axis=0)


def _even(n: int, most: int) -> int:
    """The size of the fewest parts of n that are not larger than `most`, all nearly of one size."""
    return -(-n // -(-n // most)) if n else 1


def windows_of(x: Any, out: _Sizes, kernel: _Sizes, step: _Sizes, dilation: _Sizes) -> Any:
    """The view (n, *out, *kernel, channels) of x (n, *sizes, channels)."""
    n, *along, last = x.strides
    steps = [s * t for s, t in zip(along, step, strict=True)]
    offsets = [s * d for s, d in zip(along, dilation, strict=True)]
    shape, strides = (x.shape[0], *out, *kernel, x.shape[-1]), (n, *steps, *offsets, last)
    if x.flags.c_contiguous:
        return np.ndarray(shape, x.dtype, x, 0, strides)  # a tenth of the time of as_strided
    return _as_strided(x, shape, strides)


def repeated(x: Any, times: int) -> Any:
    """A vector, `times` times, in rows: what np.tile does in ten times as long."""
    out = np.empty((times, len(x)), x.dtype)
    out[...] = x
    return out


def aligned(n: int, dtype: Any) -> Any:
    """An empty array of n elements that begins where a line of the cache does: small products are faster there."""
    size = n * dtype.itemsize
    x = np.empty(size + 64, np.uint8)
    start = -x.__array_interface__["data"][0] % 64
    return x[start : start + size].view(dtype)


def split_groups(x: Any, groups: int) -> Any:
    """A view with the last dimension parted."""
    each = x.shape[-1] // groups
    return _as_strided(x, (*x.shape[:-1], groups, each), (*x.strides[:-1], x.strides[-1] * each, x.strides[-1]))


class Columns:
    """The windows of x (n, *sizes, channels), of which there are `out` in each dimension: the window at o holds, at k of the
    kernel, the element at o * step + k * dilation - before, or zero outside of x.

    Iterating gives (place, matrix): where in an array (n, *out, channels) a block of windows belongs, and the windows as rows;
    a matrix for each group of channels if there are several.

    flat    whether in a row the channels come before the kernel's offsets, and not after them
    ones    whether rows end in a one, so that a bias can be a row of the other factor"""

    def __init__(
        self,
        x: Any,
        kernel: _Sizes,
        out: _Sizes,
        step: _Sizes,
        dilation: _Sizes,
        before: Sequence[int],
        groups: int = 1,
        ones: bool = False,
        width: int = 0,
    ):
        self.x, self.kernel, self.out, self.step, self.dilation, self.before = x, kernel, out, step, dilation, before
        self.groups, self.channels, self.sizes = groups, x.shape[-1], x.shape[1:-1]
        self.item = x.itemsize
        taps = prod(kernel)
        self.width = taps * self.channels
        span = self._span(out[0])
        self.inside = all(b <= 0 and n - b <= size for b, n, size in zip(before, span, self.sizes, strict=True))
        self.plain = taps == 1 and self.inside and x.flags.c_contiguous and set(step) == {1} and self.sizes == out
        run = self.channels // groups
        if dilation[-1] == 1 and groups == 1:
            run *= kernel[-1]
        self.flat = run <= _NARROW and out[-1] > run and not self.plain
        self.ones = ones and self.flat and groups == 1
        rows, inner = prod(out), prod(out[1:])
        most = max(_BLOCK // max((width or self.width) * self.item, 1), _ROWS)
        self.images = _even(x.shape[0], max(most // rows, 1)) if rows <= most else 1
        self.lines = out[0] if rows <= most else _even(out[0], max(most // inner, 1))
        self.large = self.images * self.lines * inner * self.width >= _LARGE

    def _span(self, lines: int) -> _Sizes:
        """The sizes of what windows reach, of which there are `lines` in the first dimension."""
        counts = (lines, *self.out[1:])
        return tuple(
            [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(counts, self.step, self.kernel, self.dilation, strict=True)]
        )

    def blocks(self) -> Iterator[tuple[int, int, int, int]]:
        """(first image, behind the last, first line, behind the last) of each block."""
        for n in range(0, self.x.shape[0], self.images):
            for h in range(0, self.out[0], self.lines):
                yield n, min(n + self.images, self.x.shape[0]), h, min(h + self.lines, self.out[0])

    def views(self, copied: bool = False, joined: bool = False) -> Iterator[tuple[Any, Any]]:
        """(place, windows) of each block, the windows a view (n, *out, *kernel, channels). `copied`: of an array with zeros
        around, even if all of them lie inside of x. `joined`: what lies next to each other is one element, as bytes."""
        x = self.x
        if self.inside and not copied:
            start = [slice(-b, n - b) for b, n in zip(self.before, self._span(self.out[0]), strict=True)]
            windows = windows_of(x[(slice(None), *start)], self.out, self.kernel, self.step, self.dilation)
            windows = self._joined(windows) if joined else windows
            for n, m, h, i in self.blocks():
                place = slice(n, m), slice(h, i)
                yield place, windows[place]
            return
        around = self._around(x)
        windows = windows_of(around, (self.lines, *self.out[1:]), self.kernel, self.step, self.dilation)
        windows = self._joined(windows) if joined else windows
        several = self.lines < self.out[0]
        span = self._span(self.lines)
        here, there = map(list, zip(*(self._overlap(d, -self.before[d], n) for d, n in enumerate(span)), strict=True))
        for n, m, h, i in self.blocks():
            if several:
                reach = (i - h - 1) * self.step[0] + (self.kernel[0] - 1) * self.dilation[0] + 1
                here[0], there[0] = self._overlap(0, h * self.step[0] - self.before[0], reach)
                around[:, : here[0].start] = 0
                around[:, here[0].stop : reach] = 0
            around[(slice(0, m - n), *here)] = x[(slice(n, m), *there)]
            yield (slice(n, m), slice(h, i)), windows[: m - n, : i - h]

    def _joined(self, windows: Any) -> Any:
        """Windows whose ends that lie next to each other in memory are one element: NumPy moves that as a whole."""
        inner = 2 if self.dilation[-1] == 1 else 1
        size = prod(windows.shape[-inner:])
        windows = _as_strided(windows, (*windows.shape[:-inner], size), (*windows.strides[:-inner], self.item))
        return windows.view(np.dtype((np.void, size * self.item)))[..., 0]

    def _overlap(self, d: int, start: int, reach: int) -> tuple[slice, slice]:
        """What x has from `start` on, `reach` far, in a dimension: where it stands among that, and in x."""
        low, high = min(max(start, 0), self.sizes[d]), max(min(start + reach, self.sizes[d]), 0)
        return (slice(low - start, high - start), slice(low, high)) if low < high else (slice(0, 0), slice(0, 0))

    def _around(self, x: Any) -> Any:
        """Zeros for a block of x and what lies around it."""
        span = self._span(self.lines)
        if self.flat:
            return last(np.zeros((self.channels, self.images, *span), x.dtype).swapaxes(0, 1))
        return np.zeros((self.images, *span, self.channels), x.dtype)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        groups, each = self.groups, self.channels // self.groups
        if self.plain:
            for n, m, h, i in self.blocks():
                place = slice(n, m), slice(h, i)
                rows = self.x[place].reshape(-1, groups, each)
                yield place, rows[:, 0] if groups == 1 else rows.swapaxes(0, 1)
            return
        d = len(self.kernel)
        close = self.flat or self.x.strides[-1] == self.item and self.x.strides[-2] == self.channels * self.item
        most = self.images * self.lines * prod(self.out[1:])
        columns = (aligned if self.large else np.empty)(most * (self.width + self.ones), self.x.dtype)
        front, taps = tuple(range(d + 1)), tuple(range(d + 1, 2 * d + 1))
        joined = groups == 1 and not self.flat and self.large
        for place, windows in self.views(copied=not close, joined=joined):
            rows = prod(windows.shape[: d + 1])
            if joined:
                block = columns[: rows * self.width].reshape(rows, -1)
                block.view(windows.dtype).reshape(windows.shape)[...] = windows
                yield place, block
                continue
            if groups > 1:
                windows = split_groups(windows, groups)
                order = (-2, -1, *taps, *front) if self.flat else (-2, *front, *taps, -1)
            else:
                order = (-1, *taps, *front) if self.flat else (*front, *taps, -1)
            windows = windows.transpose(order)
            block = columns[: rows * self.width].reshape(windows.shape)
            block[...] = windows
            if self.ones:
                columns[rows * self.width : rows * (self.width + 1)] = 1
                yield place, columns[: rows * (self.width + 1)].reshape(-1, rows).T
            elif groups == 1:
                yield place, block.reshape(-1, rows).T if self.flat else block.reshape(rows, -1)
            elif self.flat:
                yield place, block.reshape(groups, -1, rows).swapaxes(1, 2)
            else:
                yield place, block.reshape(groups, rows, -1)

    def factor(self, filters: Any, bias: Any = None) -> Any:
        """The matrix, or one for each group, that the windows are multiplied by. `filters`: (groups, out, in, *kernel)."""
        taps = range(3, filters.ndim)
        order = (0, 2, *taps, 1) if self.flat else (0, *taps, 2, 1)
        groups, many = filters.shape[:2]
        matrix = filters.transpose(order).reshape(groups, -1, many)
        if groups > 1:
            return matrix
        if not self.large:
            return np.concatenate([matrix[0], bias[None]]) if self.ones else matrix[0]
        found = aligned((matrix.shape[1] + self.ones) * many, filters.dtype).reshape(-1, many)
        found[: matrix.shape[1]] = matrix[0]
        if self.ones:
            found[-1] = bias
        return found

    def filters(self, matrix: Any) -> Any:
        """(groups, out, in, *kernel) as a view of a sum of products of windows with something."""
        each, d = self.channels // self.groups, len(self.kernel)
        if self.flat:
            return matrix.reshape(self.groups, each, *self.kernel, -1).transpose(0, d + 2, 1, *range(2, d + 2))
        return matrix.reshape(self.groups, *self.kernel, each, -1).transpose(0, d + 2, d + 1, *range(1, d + 1))
