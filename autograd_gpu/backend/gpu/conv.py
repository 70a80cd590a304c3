"""Words for convolutions: cuDNN where it is installed, else products with matrices of windows, some images at a time.

Half precision is summed in float32, by either."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import cupy
import numpy as np

from .. import cudnn
from .build import on_device
from .linalg import gemm
from .shape import _strided

__all__ = ["convolution", "convolution_input", "convolution_weight"]

_BLOCK = 1 << 28  # bytes of windows that are made at a time

_Sizes = tuple[int, ...]


def _checked(*arrays: Any) -> None:
    """Raise TypeError for arrays of the host, of several dtypes, and of none that convolutions are of."""
    arrays = tuple(x for x in arrays if x is not None)
    on_device(*arrays)
    for x in arrays:
        if x.dtype is not arrays[0].dtype:
            raise TypeError(f"convolutions are of arrays of one dtype, not of {arrays[0].dtype} and {x.dtype}")
        if x.dtype.kind not in "fVc":
            raise TypeError(f"convolutions are of floating point arrays, not of {x.dtype}")


def _wide(x: Any) -> Any:
    """x, half precision in float32."""
    return x.astype(np.float32) if x.itemsize == 2 else x


def _windows(x: Any, kernel: _Sizes, sizes: _Sizes, stride: _Sizes, dilation: _Sizes) -> Any:
    """The view (n, channels, *kernel, *sizes) of the windows of x (n, channels, ...)."""
    n, channels, *along = x.strides
    offsets = [s * d for s, d in zip(along, dilation, strict=True)]
    steps = [s * t for s, t in zip(along, stride, strict=True)]
    return _strided(x, (*x.shape[:2], *kernel, *sizes), (n, channels, *offsets, *steps))


def _around(x: Any, padding: _Sizes) -> Any:
    """x with zeros around it."""
    if not any(padding):
        return x
    sizes = zip(x.shape[2:], padding, strict=True)
    out = cupy.zeros((*x.shape[:2], *(n + 2 * p for n, p in sizes)), x.dtype)
    out[(..., *(slice(p, p + n) for n, p in zip(x.shape[2:], padding, strict=True)))] = x
    return out


def _blocks(images: int, rows: int, columns: int, itemsize: int) -> Iterator[slice]:
    """Images whose windows, a matrix (rows, columns) each, fit together in a block."""
    many = max(_BLOCK // max(rows * columns * itemsize, 1), 1)
    return (slice(start, start + many) for start in range(0, images, many))


def _output(x: Any, weight: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> None:
    kernel, sizes = weight.shape[2:], out.shape[2:]
    groups, rows, columns = x.shape[1] // weight.shape[1], weight.shape[1] * prod(kernel), prod(sizes)
    filters = _wide(weight).reshape(groups, -1, rows)
    for some in _blocks(len(x), groups * rows, columns, 4):
        windows = _windows(_wide(_around(x[some], padding)), kernel, sizes, stride, dilation)
        matrices = cupy.ascontiguousarray(windows).reshape(-1, groups, rows, columns)
        out[some] = gemm(filters, matrices).reshape(-1, *out.shape[1:])


def _input(y: Any, weight: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> None:
    kernel, sizes = weight.shape[2:], y.shape[2:]
    groups, rows, columns = out.shape[1] // weight.shape[1], weight.shape[1] * prod(kernel), prod(sizes)
    filters = _wide(weight).reshape(groups, -1, rows).swapaxes(1, 2)
    inner = tuple(slice(p, p + n) for n, p in zip(out.shape[2:], padding, strict=True))
    for some in _blocks(len(y), groups * rows, columns, 4):
        slopes = cupy.ascontiguousarray(_wide(y[some]))
        parts = gemm(filters, slopes.reshape(-1, groups, filters.shape[2], columns))
        parts = parts.reshape(-1, out.shape[1], *kernel, *sizes)
        around = [n + 2 * p for n, p in zip(out.shape[2:], padding, strict=True)]
        total = cupy.zeros((*parts.shape[:2], *around), parts.dtype)
        for offset in product(*map(range, kernel)):  # one after the other: sums always come in the same order
            starts = [k * d for k, d in zip(offset, dilation, strict=True)]
            where = [slice(b, b + (n - 1) * s + 1, s) for b, n, s in zip(starts, sizes, stride, strict=True)]
            place = total[(..., *where)]
            cupy.add(place, parts[(slice(None), slice(None), *offset)], place)
        out[some] = total[(..., *inner)]


def _weight(y: Any, x: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> None:
    kernel, sizes = out.shape[2:], y.shape[2:]
    groups, rows = x.shape[1] // out.shape[1], out.shape[1] * prod(kernel)
    total: Any = None
    for some in _blocks(len(x), groups * rows, prod(sizes), 4):
        windows = _windows(_wide(_around(x[some], padding)), kernel, sizes, stride, dilation)
        matrices = cupy.ascontiguousarray(cupy.moveaxis(windows, 0, 1 + len(kernel))).reshape(groups, rows, -1)
        slopes = cupy.ascontiguousarray(_wide(y[some]).swapaxes(0, 1)).reshape(groups, y.shape[1] // groups, -1)
        part = gemm(slopes, matrices.swapaxes(1, 2))
        total = part if total is None else cupy.add(total, part, total)
    out[...] = total.reshape(out.shape)


_OURS = {"output": _output, "input": _input, "weight": _weight}


def _by_products(what: str, a: Any, b: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> None:
    _OURS[what](a, b, out, stride, padding, dilation)


def _computed(what: str, a: Any, b: Any, shape: _Sizes, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> Any:
    """A new array of `shape`: see `cudnn.convolve`."""
    if not (a.size and b.size and prod(shape)):
        return cupy.zeros(shape, a.dtype)
    out = cupy.empty(shape, a.dtype)
    if not cudnn.convolve(what, a, b, out, stride, padding, dilation, _by_products):
        _by_products(what, a, b, out, stride, padding, dilation)
    return out


def _plus(out: Any, bias: Any) -> Any:
    """Add a number to each channel, in place."""
    if bias is not None:
        cupy.add(out, bias.reshape(-1, *[1] * (out.ndim - 2)), out)
    return out


def convolution(x: Any, weight: Any, bias: Any = None, *, stride: _Sizes, padding: _Sizes, dilation: _Sizes, groups: int) -> Any:
    """The cross-correlation of x (n, in, *sizes) with weight (out, in / groups, *kernel), plus bias (out)."""
    _checked(x, weight, bias)
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    ]
    return _plus(_computed("output", x, weight, (len(x), len(weight), *sizes), stride, padding, dilation), bias)


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
    _checked(y, weight, bias)
    return _plus(_computed("input", y, weight, shape, stride, padding, dilation), bias)


def convolution_weight(y: Any, x: Any, *, shape: _Sizes, stride: _Sizes, padding: _Sizes, dilation: _Sizes, groups: int) -> Any:
    """The gradient of `convolution` with regard to its weight, which is of `shape`."""
    _checked(y, x)
    return _computed("weight", y, x, shape, stride, padding, dilation)
