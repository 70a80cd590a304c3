"""Words for convolutions: matrix products over kernel offsets, in blocks of images that stay in the cache.

NOTE [Channels last]
    1. Everything here computes on arrays (n, *sizes, channels). What comes in and goes out has the channels in front of the
       sizes, as a view: so what one convolution gives, the next reads without a copy, and elementwise words between them keep
       the order of their operands in memory.
    2. The gradients of a convolution are convolutions. That of the input is one of the output's gradient with the kernel turned
       around; with a stride, one for each place that an element of the input can have between two windows (a phase): each
       meets its own part of the kernel and no zeros. Where windows do not overlap, or would be gathered from many more places
       than there are windows, one product says what each window adds to its elements, and that is laid down.
    3. A block of windows is copied into the rows of a matrix, which is multiplied by the kernel: `Columns`. If windows are
       narrow in memory (few channels), rows are made column by column, for a copy is fast along its longest run.
    4. The sums over blocks make long sums of short ones, so that rounding errors do not pile up.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import gcd, prod
from typing import Any

import numpy as np

from . import columns as _columns
from .columns import Columns, _even, first, gram, last, repeated, split_groups, times, windows_of
from .linalg import FULL
from .reduce import _is_half, _ones, _wide_sum

__all__ = ["convolution", "convolution_input", "convolution_weight"]

_Sizes = tuple[int, ...]


def _computed(*arrays: Any) -> list[Any]:
    """The arrays, which are of one dtype, in one that BLAS multiplies.

    Raises TypeError for integers, several dtypes, and arrays of another device."""
    for x in arrays:
        if x is not None and (x.__class__ is not np.ndarray or x.dtype not in FULL and not _is_half(x.dtype)):
            raise TypeError(f"convolutions are of floating point arrays, not of {getattr(x, 'dtype', type(x))}")
        if x is not None and x.dtype is not arrays[0].dtype:
            raise TypeError(f"convolutions are of arrays of one dtype, not of {arrays[0].dtype} and {x.dtype}")
    return [x.astype(np.float32) if x is not None and _is_half(x.dtype) else x for x in arrays]


# -- the three products ------------------------------------------------------------------------------------------------------


def _correlate(x: Any, filters: Any, bias: Any, out: Any, step: _Sizes, dilation: _Sizes, before: Sequence[int]) -> None:
    """Write into `out` (n, *sizes, groups * out) the products of the windows of x with filters (groups, out, in, *kernel)."""
    groups, many, each = filters.shape[:3]
    kernel, sizes = filters.shape[3:], out.shape[1:-1]
    if not out.size:
        return
    if not x.size or not filters.size:
        out[...] = 0 if bias is None else bias
        return
    if many == each == 1 < groups:
        _by_offsets(x, filters.reshape(groups, *kernel), bias, out, step, dilation, before)
        return
    columns = Columns(x, kernel, sizes, step, dilation, before, groups, bias is not None)
    factor = columns.factor(filters, bias)
    if columns.ones:
        bias = None
    bias_line = None if bias is None else repeated(bias, sizes[-1]).reshape(-1)
    dense = out.flags.c_contiguous
    for place, matrix in columns:
        target = out[place]
        if groups == 1:
            done = times(matrix, factor, target.reshape(-1, many) if dense else None)
        else:
            done = target.reshape(-1, groups, many) if dense else np.empty((matrix.shape[1], groups, many), out.dtype)
            np.matmul(matrix, factor, out=done.swapaxes(0, 1))
        if bias_line is not None:
            line = target.shape[-2] * target.shape[-1]  # of one dimension, blocks are pieces
            lines = done.reshape(-1, line)
            np.add(lines, bias_line[:line], lines)
        if not dense:
            target[...] = done.reshape(target.shape)


def _by_offsets(x: Any, filters: Any, bias: Any, out: Any, step: _Sizes, dilation: _Sizes, before: Sequence[int]) -> None:
    """`_correlate` of each channel with a filter of its own, (channels, *kernel): a product for each offset of the kernel."""
    channels, *kernel = filters.shape
    columns = Columns(x, tuple(kernel), out.shape[1:-1], step, dilation, before, channels, width=3 * channels)
    columns.flat = False
    rows = np.tile(filters.reshape(channels, -1).T, out.shape[-2]).reshape(-1, out.shape[-2], channels)
    bias_line = None if bias is None else repeated(bias, out.shape[-2])
    dense = out.flags.c_contiguous
    for place, windows in columns.views():
        target = out[place]
        total = target if dense else np.empty(target.shape, out.dtype)
        part, m = np.empty(target.shape, out.dtype), target.shape[-2]
        for k, offset in enumerate(product(*map(range, kernel))):
            seen = windows[(..., *offset, slice(None))]
            if k:
                np.add(total, np.multiply(seen, rows[k, :m], part), total)
            else:
                np.multiply(seen, rows[k, :m], total)
        if bias_line is not None:
            np.add(total, bias_line[:m], total)
        if not dense:
            target[...] = total


def _weights(
    x: Any, g: Any, kernel: _Sizes, stride: _Sizes, padding: _Sizes, dilation: _Sizes, groups: int, with_bias: bool = False
) -> tuple[Any, Any]:
    """The gradient of the weight, (out, in, *kernel), and if it costs nothing that of the bias, else None."""
    n, *sizes, many = g.shape
    sizes, each = tuple(sizes), many // groups
    if not x.size or not g.size:
        return np.zeros((many, x.shape[-1] // groups, *kernel), x.dtype), None
    if x.shape[-1] == many == groups > 1:
        return _weights_by_offsets(x, g, kernel, stride, padding, dilation), None
    columns = Columns(x, kernel, sizes, stride, dilation, padding, groups, with_bias)
    total: Any = None
    for place, matrix in columns:
        if groups == 1:
            part = gram(matrix, g[place].reshape(-1, many))
        else:
            part = np.matmul(matrix.swapaxes(1, 2), g[place].reshape(-1, groups, each).swapaxes(0, 1))
        total = part if total is None else np.add(total, part, total)
    bias = None
    if columns.ones:
        total, bias = total[:-1], total[-1].copy()
    filters = columns.filters(total)
    return np.ascontiguousarray(filters).reshape(many, *filters.shape[2:]), bias


def _weights_by_offsets(x: Any, g: Any, kernel: _Sizes, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> Any:
    """`_weights` for a filter each channel: (channels, 1, *kernel)."""
    channels = x.shape[-1]
    columns = Columns(x, kernel, g.shape[1:-1], stride, dilation, padding, channels, width=3 * channels)
    columns.flat = False
    total = np.zeros((prod(kernel), channels), x.dtype)
    for place, windows in columns.views():
        slope = g[place]
        part = np.empty(slope.shape, x.dtype)
        ones = _ones(part.size // channels, x.dtype)
        for k, offset in enumerate(product(*map(range, kernel))):
            np.multiply(windows[(..., *offset, slice(None))], slope, part)
            total[k] += ones.dot(part.reshape(-1, channels))
    return np.ascontiguousarray(total.T).reshape(channels, 1, *kernel)


def _inputs(g: Any, filters: Any, bias: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> None:
    """Write into `out` (n, *sizes, in) what makes `_correlate` its own transpose, see rule 2 of the NOTE; plus a bias."""
    kernel = filters.shape[3:]
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    apart = prod(kernel) > 1 and all(s >= e for s, e in zip(stride, extents, strict=True))
    if g.size and filters.size and (apart or _quicker_laid_down(g, filters, out, stride)):
        _lay_down(g, filters, bias, out, stride, padding, dilation, apart)
        return
    turned = filters.swapaxes(1, 2)
    phases = [_phases(*sizes) for sizes in zip(kernel, stride, padding, dilation, out.shape[1:-1], strict=True)]
    for phase in product(*phases):
        target = out[(slice(None), *[slice(p.start, None, s) for p, s in zip(phase, stride, strict=True)])]
        if any(not p.taps for p in phase):
            target[...] = 0 if bias is None else bias
            continue
        part = turned[(..., *[p.picked for p in phase])]
        _correlate(g, part, bias, target, (1,) * len(kernel), tuple(p.dilation for p in phase), [p.before for p in phase])


class _Phase:
    """The places start, start + stride, ... of one dimension: which offsets of the kernel meet them, and where in g."""

    __slots__ = ("start", "taps", "picked", "dilation", "before")

    def __init__(self, start: int, kernel: int, stride: int, padding: int, dilation: int):
        # at place `start` + stride * q, the offset k meets the window q + (start + padding - dilation * k) / stride
        common = gcd(stride, dilation)
        first = next((k for k in range(kernel) if (start + padding - dilation * k) % stride == 0), kernel)
        offsets = range(first, kernel, stride // common)
        self.start = start
        self.taps = len(offsets)
        self.dilation = dilation // common
        if self.taps:
            self.picked = slice(offsets[-1], first - 1 if first else None, -offsets.step)  # turned around
            self.before = (self.taps - 1) * self.dilation - (start + padding - dilation * first) // stride


def _phases(kernel: int, stride: int, padding: int, dilation: int, size: int) -> list[_Phase]:
    return [_Phase(start, kernel, stride, padding, dilation) for start in range(min(stride, size))]


def _quicker_laid_down(g: Any, filters: Any, out: Any, stride: _Sizes) -> bool:
    """Whether windows that overlap are better added up than gathered for a product each: so if there are many more places in
    the input than in the output, or channels in the output than in the input. In ns, for one image."""
    groups, many, each, *kernel = filters.shape
    taps, gathered, added = prod(kernel), prod(out.shape[1:-1]) / prod(stride), prod(g.shape[1:-1])
    product = 0.02 * many * each
    return groups == 1 < taps and gathered * (0.14 * many + product) > added * ((0.5 * each + 10 if each > 1 else 3) + product)


def _lay_down(g: Any, filters: Any, bias: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes, apart: bool) -> None:
    """`_inputs` as one product, which holds for each window what is to be added to its elements. `apart`: none overlap."""
    groups, many, each = filters.shape[:3]
    n, *sizes, channels = out.shape
    kernel, counts, d = filters.shape[3:], g.shape[1:-1], len(stride)
    factor = filters.transpose(0, 1, *range(3, 3 + d), 2).reshape(groups, many, -1)
    around = tuple([size + 2 * p for size, p in zip(sizes, padding, strict=True)])
    cropped = tuple([slice(p, p + size) for size, p in zip(sizes, padding, strict=True)])
    images = _even(n, max(_columns._BLOCK // (prod(counts) * factor.shape[2] * groups * out.itemsize), 1))
    block = np.zeros((images, *around, channels), out.dtype)
    windows = split_groups(windows_of(block, counts, kernel, stride, dilation), groups)
    bias_line = None if bias is None else repeated(bias, sizes[-1])
    for start in range(0, n, images):
        slope = g[start : start + images].reshape(-1, groups, many)
        m = len(slope) // prod(counts)
        if groups == 1:
            done = times(slope[:, 0], factor[0], None)
        else:
            done = np.matmul(slope.swapaxes(0, 1), factor)
        done = done.reshape(groups, m, *counts, *kernel, each)
        if apart:
            windows[:m] = done.transpose(*range(1, 2 * d + 2), 0, 2 * d + 2)
        else:
            block[:] = 0
            for offset in product(*map(range, kernel)):
                place = windows[(slice(0, m), *[slice(None)] * d, *offset, 0)]
                np.add(place, done[(0, slice(None), *[slice(None)] * d, *offset)], place)
        target = out[start : start + m]
        inner = block[(slice(0, m), *cropped)]
        if bias_line is None:
            target[...] = inner
        else:
            np.add(inner, bias_line, target)


# -- words -------------------------------------------------------------------------------------------------------------------


def _parted(weight: Any, groups: int) -> Any:
    """(groups, out, in, *kernel) as a view of a weight (groups * out, in, *kernel)."""
    return weight.reshape(groups, len(weight) // groups, *weight.shape[1:])


def convolution(x: Any, weight: Any, bias: Any = None, *, stride: _Sizes, padding: _Sizes, dilation: _Sizes, groups: int) -> Any:
    """The cross-correlation of x (n, in, *sizes) with weight (out, in / groups, *kernel), plus bias (out)."""
    a, w, b = _computed(x, weight, bias)
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    ]
    out = np.empty((len(x), *sizes, len(weight)), a.dtype)
    _correlate(last(a), _parted(w, groups), b, out, stride, dilation, padding)
    return first(out).astype(x.dtype, copy=False)


def convolution_input(
    y: Any,
    weight: Any,
    bias: Any = None,
    *,
    shape: _Sizes,
    stride: _Sizes,
    padding: _Sizes,
    dilation: _Sizes,
    groups: int,
) -> Any:
    """The gradient of `convolution` with regard to its input, which is of `shape`, plus bias: a transposed convolution."""
    a, w, b = _computed(y, weight, bias)
    n, channels, *sizes = shape
    out = np.empty((n, *sizes, channels), a.dtype)
    _inputs(last(a), _parted(w, groups), b, out, stride, padding, dilation)
    return first(out).astype(y.dtype, copy=False)


def convolution_weight(y: Any, x: Any, *, shape: _Sizes, stride: _Sizes, padding: _Sizes, dilation: _Sizes, groups: int) -> Any:
    """The gradient of `convolution` with regard to its weight, which is of `shape`."""
    a, b = _computed(y, x)
    return _weights(last(b), last(a), shape[2:], stride, padding, dilation, groups)[0].astype(y.dtype, copy=False)


# -- fused -------------------------------------------------------------------------------------------------------------------


def _both(g: Any, x: Any, weight: Any, padding: _Sizes, dilation: _Sizes) -> tuple[Any, Any]:
    """The gradients of input and weight for strides of one, from the same windows of g: for the weight, it does not matter
    which of g and x is the one that moves."""
    kernel = weight.shape[2:]
    before = [(k - 1) * d - p for k, p, d in zip(kernel, padding, dilation, strict=True)]
    columns = Columns(g, kernel, x.shape[1:-1], (1,) * len(kernel), dilation, before)
    factor = columns.factor(np.flip(weight[None].swapaxes(1, 2), tuple(range(3, weight.ndim + 1))))
    out = np.empty(x.shape, g.dtype)
    total: Any = None
    for place, matrix in columns:
        times(matrix, factor, out[place].reshape(-1, x.shape[-1]))
        part = gram(matrix, x[place].reshape(-1, x.shape[-1]))
        total = part if total is None else np.add(total, part, total)
    filters = np.flip(columns.filters(total)[0].swapaxes(0, 1), tuple(range(2, weight.ndim)))
    return out, np.ascontiguousarray(filters)


def _convolution_backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    weight: Any = None,
    x: Any = None,
    x_shape: Any = None,
    weight_shape: Any = None,
    bias_shape: Any = None,
    stride: Any = None,
    padding: Any = None,
    dilation: Any = None,
    groups: int = 1,
) -> Any:
    """The rules of `convolution`. What an input's gradient is computed from is given exactly if it is needed."""
    if g.dtype not in FULL or not g.size:
        return NotImplemented
    slope, of_bias, of_weight, of_input = last(g), None, None, None
    if "weight" in needed:
        inputs, kernel = last(x), weight_shape[2:]
        if "x" in needed and groups == 1 and set(stride) == {1} and x.size and weight.size:
            more = (prod(x.shape[2:]) / prod(g.shape[2:]) - 1) * len(weight)  # work on the border, against a copy of x
            if more < 8:
                of_input, of_weight = _both(slope, inputs, weight, padding, dilation)
        if of_weight is None:
            of_weight, of_bias = _weights(inputs, slope, kernel, stride, padding, dilation, groups, "bias" in needed)
    if "x" in needed and of_input is None:
        of_input = np.empty((x_shape[0], *x_shape[2:], x_shape[1]), g.dtype)
        _inputs(slope, _parted(weight, groups), None, of_input, stride, padding, dilation)
    if "bias" in needed and of_bias is None:
        of_bias = _wide_sum(slope.reshape(-1, slope.shape[-1]), 0, False)
    grads = {"x": None if of_input is None else first(of_input), "weight": of_weight, "bias": of_bias}
    return [grads[name] for name in needed]


CONVOLUTIONS = {"convolution": (None, _convolution_backward)}
