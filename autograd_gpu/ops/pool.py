"""Pooling: the maximum, the average or a norm of windows that slide over the last one, two or three dimensions.

Windows of three dimensions are pooled in two steps, their last two dimensions first: the largest of the largest, the average of
averages of equally many. NOTE [Which element] of backend.cpu.pool tells which of equal elements is the largest.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

from ..backend.promotion import category, int64
from ..core.graph import NO_GRAD, mode, words
from ..core.primitive import linear, primitive
from ..core.tensor import Tensor
from .linalg import check_tensors
from .loss import _counting

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()

Sizes = int | Sequence[int]


# -- ops -------------------------------------------------------------------------------------------------------------------
#
# `windows` holds (axis, kernel, stride, padding, dilation, size) for one dimension or two neighbours.


def places(xp: Any, offsets: Any, windows: tuple, shape: Sequence[int]) -> Any:
    """Where in an array of `shape` the elements that max_pool named lie: counted along the pooled dimensions as if they were
    one. Of a window that lies in the padding as a whole, PyTorch's number, which may be that of no element."""
    number, total = xp.astype(offsets, dtype=int64), None
    for k, (axis, _, stride, padding, dilation, size) in enumerate(windows):
        inner = prod([w[1] for w in windows[k + 1 :]])
        tap = number if inner == 1 else number // inner
        number = number - tap * inner if k + 1 < len(windows) else number
        start = xp.reshape(_counting(xp, size, offsets) * stride - padding, shape=(-1,) + (1,) * (len(shape) - 1 - axis))
        place = start + (tap if dilation == 1 else tap * dilation)
        if dilation > 1 and padding:
            place = xp.maximum(place, place % dilation)  # the first that is not before the beginning
        total = place if total is None else total * shape[axis] + place
    return total


def _within(xp: Any, index: Any, windows: tuple, n: int) -> Any:
    """`index` below n; it is unless a window lies in the padding as a whole."""
    return xp.clamp(index, min=0, max=n - 1) if any(w[3] and w[4] > 1 for w in windows) else index


def merged(shape: Sequence[int], axis: int, count: int) -> tuple[int, ...]:
    """`shape` with `count` dimensions from `axis` on made one."""
    return (*shape[:axis], prod(shape[axis : axis + count]), *shape[axis + count :])


def _picked(xp: Any, x: Any, offsets: Any, windows: tuple) -> Any:
    """The elements of x that max_pool named in an array of its shape."""
    axis, count = windows[0][0], len(windows)
    index = xp.reshape(places(xp, offsets, windows, x.shape), shape=merged(offsets.shape, axis, count))
    x = xp.reshape(x, shape=merged(x.shape, axis, count))
    out = xp.take_along(x, _within(xp, index, windows, x.shape[axis]), axis=axis)
    return xp.reshape(out, shape=offsets.shape)


@primitive(
    x=lambda xp, g, offsets, x_shape, windows: xp.max_pool_back(g, offsets, windows=windows, shape=x_shape),
    outputs=("out", "offsets"),
)
def _max_pool(xp: Any, x: Any, *, windows: tuple, named: bool = True) -> Any:
    """The largest element of each window, and which of its elements that is."""
    ...


@linear(x=lambda xp, g, offsets, windows: _picked(xp, g, offsets, windows))
def _max_pool_back(xp: Any, x: Any, offsets: Any, *, windows: tuple, shape: tuple[int, ...]) -> Any:
    """Zeros with x added to the elements that max_pool named."""
    ...


@linear(
    lambda xp, g, x_shape, windows, counts_padding, divisor: xp.average_pool_back(
        g, windows=windows, shape=x_shape, counts_padding=counts_padding, divisor=divisor
    )
)
def _average_pool(xp: Any, x: Any, *, windows: tuple, counts_padding: bool = True, divisor: int = 0) -> Any:
    """The average of each window."""
    ...


@linear(
    lambda xp, g, windows, counts_padding, divisor: xp.average_pool(
        g, windows=windows, counts_padding=counts_padding, divisor=divisor
    )
)
def _average_pool_back(
    xp: Any, x: Any, *, windows: tuple, shape: tuple[int, ...], counts_padding: bool = True, divisor: int = 0
) -> Any:
    """Zeros with x, one for each window, spread over the elements of its window."""
    ...


# -- arguments -------------------------------------------------------------------------------------------------------------

_IN_WORDS = {1: "one int", 2: "two ints", 3: "three ints"}


def sizes(name: str, what: str, value: Any, dims: int) -> tuple[int, ...]:
    """An int, or one for each dimension, as the latter."""
    try:
        if hasattr(value, "__index__"):
            return (operator.index(value),) * dims
        found = tuple(map(operator.index, value))
    except TypeError:
        raise TypeError(f"{name}(): argument '{what}' must be tuple of ints, not {type(value).__name__}") from None
    if len(found) not in (1, dims):
        raise RuntimeError(f"{name}: {what} must either be a single int, or a tuple of {_IN_WORDS[dims]}, not {found}")
    return found * dims if len(found) == 1 else found


def _windows(
    name: str, dims: int, shape: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple:
    """The windows that a call asks for."""
    given = [tuple(x) if x.__class__ is list else x for x in (kernel, stride, padding, dilation)]
    return _read(name, dims, shape, *given, bool(ceil_mode))


@lru_cache(maxsize=1024, typed=True)
def _read(
    name: str, dims: int, shape: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple:
    kernel = sizes(name, "kernel_size", kernel, dims)
    stride = kernel if stride is None or stride == () else sizes(name, "stride", stride, dims)
    padding, dilation = sizes(name, "padding", padding, dims), sizes(name, "dilation", dilation, dims)
    return _planned(name, shape, kernel, stride, padding, dilation, ceil_mode)


def _planned(
    name: str,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    ceil_mode: bool,
) -> tuple:
    dims, ndim = len(kernel), len(shape)
    if ndim not in (dims + 1, dims + 2) or 0 in shape[ndim - dims - 1 :]:
        raise RuntimeError(
            f"{name}: Expected {dims + 1}D or {dims + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got:"
            f"{list(shape)}"
        )
    windows, out = [], []
    for axis, k, s, p, d in zip(range(ndim - dims, ndim), kernel, stride, padding, dilation, strict=True):
        if k <= 0:
            raise RuntimeError(f"{name}() kernel_size must be greater than zero, but got {k}")
        if s <= 0:
            raise RuntimeError(f"{name}() stride must be greater than zero, but got {s}: stride should not be zero")
        if d <= 0:
            raise RuntimeError(f"{name}() dilation must be greater than zero, but got {d}: dilation should be greater than zero")
        if p < 0:
            raise RuntimeError(f"{name}() padding must be non-negative, but got {p}: pad must be non-negative, but got pad: {p}")
        if p > ((k - 1) * d + 1) // 2:
            raise RuntimeError(
                f"{name}() pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and dilation={d}"
            )
        room = shape[axis] + 2 * p - d * (k - 1) - 1
        size = (room + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (size - 1) * s >= shape[axis] + p:  # no window begins in the padding at the end
            size -= 1
        windows.append((axis, k, s, p, d, size))
        out.append(size)
    if min(out) < 1:
        planes = shape[ndim - dims - 1 : ndim - dims]
        raise RuntimeError(
            f"{name}(): Given input size: ({'x'.join(map(str, (*planes, *shape[-dims:])))}). Calculated output size: "
            f"({'x'.join(map(str, (*planes, *out)))}). Output size is too small: Invalid computed output size: {min(out)}"
        )
    return tuple(windows)


def pooled_parts(windows: tuple) -> tuple[tuple, ...]:
    """The windows of the steps in which all are pooled."""
    return (windows,) if len(windows) < 3 else (windows[1:], windows[:1])


def largest(input: Tensor, windows: tuple, return_indices: bool) -> Any:
    """The largest element of each window; with `return_indices`, and where it lies, counted along the pooled dimensions."""
    named = return_indices or input.node is not None and not mode.state & NO_GRAD
    found, shape = None, input.array.shape
    for part in pooled_parts(windows):
        before = input.array.shape
        input, offsets = words.max_pool(input, windows=part, named=named)
        if return_indices:
            at = places(words, offsets, part, before)
            axis, below = windows[0][0], prod(shape[-2:])
            if found is None:
                found = at
            else:
                found = at * below + words.take_along(found, _within(words, at, part, before[axis]), axis=axis)
    return (input, found) if return_indices else input


def _max(
    name: str, input: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, return_indices: bool
) -> Any:
    check_tensors(name, input=input)
    if input.array.dtype.kind in "bc":
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}')
    windows = _windows(name, int(name[8]), input.array.shape, kernel, stride, padding, dilation, ceil_mode)
    return largest(input, windows, return_indices)


# -- the largest -----------------------------------------------------------------------------------------------------------


def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of (N, C, L) or (C, L). With `return_indices`, and where in L it lies.

    stride      by default the kernel's size
    padding     at both ends, by elements that are never the largest: at most half of the window
    ceil_mode   a last window may reach beyond the end
    Of elements that tie it is the first; NaN is larger than anything. Raises RuntimeError for sizes that do not fit.

    >>> import autograd_gpu as ag
    >>> ag.max_pool1d(ag.tensor([[1.0, 3.0, 2.0, 5.0, 4.0]]), 2, stride=1)
    tensor([[3., 3., 5., 5.]])
    """
    return _max("max_pool1d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of (N, C, H, W) or (C, H, W). With `return_indices`, and where it lies: at
    `row * W + column`. The rest is as for `max_pool1d`.

    >>> import autograd_gpu as ag
    >>> ag.max_pool2d(ag.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    return _max("max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of (N, C, D, H, W) or (C, D, H, W). With `return_indices`, and where it lies: at
    `(depth * H + row) * W + column`. The rest is as for `max_pool1d`.

    >>> import autograd_gpu as ag
    >>> ag.max_pool3d(ag.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[7.]]]])
    """
    return _max("max_pool3d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# -- the average -----------------------------------------------------------------------------------------------------------


def average(input: Tensor, windows: tuple, counts_padding: bool = True, divisor: int = 0) -> Tensor:
    """The average of each window."""
    if category(input.array.dtype) < 2:  # rounded once
        return words.average_pool(input, windows=windows, counts_padding=counts_padding, divisor=divisor)
    parts = pooled_parts(windows)
    for k, part in enumerate(parts):
        share = divisor if k + 1 == len(parts) else 1 if divisor else 0
        input = words.average_pool(input, windows=part, counts_padding=counts_padding, divisor=share)
    return input


def _average(
    name: str, input: Tensor, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, counts_padding: bool, divisor: int | None
) -> Tensor:
    check_tensors(name, input=input)
    if input.array.dtype.kind in "bc":
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}')
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    windows = _windows(name, int(name[8]), input.array.shape, kernel, stride, padding, 1, ceil_mode)
    return average(input, windows, bool(counts_padding), divisor or 0)


def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The average of each window of (N, C, L) or (C, L).

    stride              by default the kernel's size
    padding             zeros at both ends: at most half of the window
    ceil_mode           a last window may reach beyond the end, where nothing counts
    count_include_pad   whether the zeros of the padding count
    Raises RuntimeError for sizes that do not fit.

    >>> import autograd_gpu as ag
    >>> ag.avg_pool1d(ag.tensor([[1.0, 3.0, 2.0, 5.0, 4.0]]), 2)
    tensor([[2.0000, 3.5000]])
    """
    return _average("avg_pool1d", input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The average of each window of (N, C, H, W) or (C, H, W): its sum divided by `divisor_override`, if that is given, else by
    how many elements there are. The rest is as for `avg_pool1d`.

    >>> import autograd_gpu as ag
    >>> ag.avg_pool2d(ag.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """
    return _average("avg_pool2d", input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The average of each window of (N, C, D, H, W) or (C, D, H, W). The rest is as for `avg_pool2d`.

    >>> import autograd_gpu as ag
    >>> ag.avg_pool3d(ag.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[3.5000]]]])
    """
    return _average("avg_pool3d", input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


# -- norms -----------------------------------------------------------------------------------------------------------------


def _norms(name: str, input: Tensor, norm_type: float, kernel: Any, stride: Any, ceil_mode: bool) -> Tensor:
    check_tensors(name, input=input)
    dims = int(name[7])
    windows = _windows(name, dims, input.array.shape, kernel, stride, 0, 1, ceil_mode)
    means = average(words.pow(input, norm_type), windows)
    positive = words.sign(means) * words.relu(words.abs(means)) * prod([w[1] for w in windows])
    return words.pow(positive, 1.0 / norm_type)


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """The root of order `norm_type` of the sum of so high powers of the elements of each window of (N, C, L) or (C, L).

    >>> import autograd_gpu as ag
    >>> ag.lp_pool1d(ag.tensor([[3.0, 4.0, 6.0, 8.0]]), 2, 2)
    tensor([[ 5., 10.]])
    """
    return _norms("lp_pool1d", input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """The root of order `norm_type` of the sum of so high powers of the elements of each window of (N, C, H, W) or (C, H, W).

    >>> import autograd_gpu as ag
    >>> ag.lp_pool2d(ag.ones(1, 2, 2), 2, 2)
    tensor([[[2.]]])
    """
    return _norms("lp_pool2d", input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """The root of order `norm_type` of the sum of so high powers of the elements of each window of (N, C, D, H, W) or
    (C, D, H, W).

    >>> import autograd_gpu as ag
    >>> ag.lp_pool3d(ag.ones(1, 2, 2, 2), 3, 2)
    tensor([[[[2.]]]])
    """
    return _norms("lp_pool3d", input, norm_type, kernel_size, stride, ceil_mode)
