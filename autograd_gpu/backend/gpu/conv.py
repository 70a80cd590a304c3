"""Words for convolutions: cuDNN where it is installed, else the kernels of conv.cu, and for much work products with matrices of
windows. Half precision is summed in float32 by all of them.

NOTE [Kernels or products]
    1. The kernels launch once and copy nothing, but they multiply on the cores of float32 and reach some half of their peak. A
       product by cuBLASLt goes by tensor cores in half precision (and in TF32, where that is allowed), and near to the peak in
       float32 and float64; before it each element of the input is copied as often as there are windows that hold it.
    2. The copy pays if each of its elements is used often, which is by as many rows as the product has, and if there is so much
       to multiply that the additional launches do not count. `_TENSOR` and `_PLAIN` are estimates from the bandwidth and peaks of
       an H100 (3 TB/s; 60 and 900 TFLOP/s): no card has confirmed them.
    3. The gradient of an input is a product with all of its terms only where the stride is 1. Else it is the kernels' alone.
    4. Zeros lie around an array: an infinite weight times one of them is NaN, in the input's gradient as in the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import cupy
import numpy as np

from .. import cudnn, gemm
from ..kernels import C_NAME
from . import conv_kernels
from .build import on_device
from .linalg import gemm as product
from .shape import _strided

__all__ = ["convolution", "convolution_input", "convolution_weight"]

_BLOCK = 1 << 28  # bytes of windows that are made at a time
# the least multiplications, and rows, of which products are made
_TENSOR, _PLAIN = (1 << 30, 32), (1 << 32, 256)

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


# -- products ------------------------------------------------------------------------------------------------------------------


def _output(x: Any, weight: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> None:
    kernel, sizes = weight.shape[2:], out.shape[2:]
    groups, rows, columns = x.shape[1] // weight.shape[1], weight.shape[1] * prod(kernel), prod(sizes)
    filters = weight.reshape(groups, -1, rows)
    for some in _blocks(len(x), groups * rows, columns, x.itemsize):
        windows = _windows(_around(x[some], padding), kernel, sizes, stride, dilation)
        matrices = cupy.ascontiguousarray(windows).reshape(-1, groups, rows, columns)
        out[some] = product(filters, matrices).reshape(-1, *out.shape[1:])


def _input(y: Any, weight: Any, out: Any, padding: _Sizes, dilation: _Sizes) -> None:
    """For a stride of 1: the output of y and the weight turned around."""
    filters, channels, *kernel = weight.shape
    groups, d = out.shape[1] // channels, len(kernel)
    turned = weight.reshape(groups, filters // groups, channels, *kernel).swapaxes(1, 2)[(..., *[slice(None, None, -1)] * d)]
    turned = cupy.ascontiguousarray(turned).reshape(-1, filters // groups, *kernel)
    _output(y, turned, out, (1,) * d, _turned_padding(kernel, padding, dilation), dilation)


def _turned_padding(kernel: _Sizes, padding: _Sizes, dilation: _Sizes) -> _Sizes:
    return tuple([d * (k - 1) - p for k, p, d in zip(kernel, padding, dilation, strict=True)])


def _weight(y: Any, x: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> None:
    kernel, sizes = out.shape[2:], y.shape[2:]
    groups, rows = x.shape[1] // out.shape[1], out.shape[1] * prod(kernel)
    blocks = [*_blocks(len(x), groups * rows, prod(sizes), max(x.itemsize, 4))]
    wide = x.itemsize == 2 and len(blocks) > 1  # so that parts of a sum are not rounded
    total: Any = None
    for some in blocks:
        inputs, slopes = (a[some].astype(np.float32) if wide else a[some] for a in (x, y))
        windows = _windows(_around(inputs, padding), kernel, sizes, stride, dilation)
        matrices = cupy.ascontiguousarray(cupy.moveaxis(windows, 0, 1 + len(kernel))).reshape(groups, rows, -1)
        slopes = cupy.ascontiguousarray(slopes.swapaxes(0, 1)).reshape(groups, y.shape[1] // groups, -1)
        part = product(slopes, matrices.swapaxes(1, 2))
        total = part if total is None else cupy.add(total, part, total)
    out[...] = total.reshape(out.shape)


def _products_pay(what: str, made: Any, weight: _Sizes, stride: _Sizes, padding: _Sizes, dilation: _Sizes, groups: int) -> bool:
    """See NOTE [Kernels or products]. `made` is the output or its gradient."""
    tensor = made.itemsize == 2 or (made.dtype == np.float32 and gemm.allow_tf32[0])
    least, rows = _TENSOR if tensor else _PLAIN
    if made.size * prod(weight[1:]) < least:
        return False
    if what == "input":
        return weight[1] >= rows and set(stride) == {1} and min(_turned_padding(weight[2:], padding, dilation)) >= 0
    return weight[0] // groups >= rows


# -- the words -----------------------------------------------------------------------------------------------------------------


def _ours(what: str, a: Any, b: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> None:
    """What `cudnn.convolve` computes, by the kernels."""
    if what == "weight":
        conv_kernels.weight(a, b, out, None, stride, padding, dilation)
    else:
        conv_kernels.gather(what, a, b, None, out, stride, padding, dilation)


def _complex(compute: Callable, a: Any, b: Any, *rest: Any) -> Any:
    """What is linear in two arrays of complex numbers, in their real and imaginary parts."""
    real, imag = compute(a.real, b.real, *rest), compute(a.real, b.imag, *rest)
    return real - compute(a.imag, b.imag, *rest) + 1j * (imag + compute(a.imag, b.real, *rest))


def _plus(out: Any, bias: Any) -> Any:
    """Add a number to each channel, in place."""
    if bias is not None:
        cupy.add(out, bias.reshape(-1, *[1] * (out.ndim - 2)), out)
    return out


def _gathered(what: str, a: Any, weight: Any, bias: Any, shape: _Sizes, *options: Any) -> Any:
    """The "output", or the gradient of the "input", of `shape`, plus bias. `options` are stride, padding, dilation and groups."""
    if a.dtype.kind == "c" and a.size and weight.size:
        real = lambda x, w: _gathered(what, x, w, None, shape, *options)  # noqa: E731
        return _plus(_complex(real, a, weight), bias)
    if not (a.size and weight.size and prod(shape)):
        return _plus(cupy.zeros(shape, a.dtype), bias)
    out, (stride, padding, dilation, _) = cupy.empty(shape, a.dtype), options
    if cudnn.convolve(what, a, weight, out, stride, padding, dilation, _ours):
        return _plus(out, bias)
    if not _products_pay(what, out if what == "output" else a, weight.shape, *options):
        conv_kernels.gather(what, a, weight, bias, out, stride, padding, dilation)
        return out
    if what == "output":
        _output(a, weight, out, stride, padding, dilation)
    else:
        _input(a, weight, out, padding, dilation)
    return _plus(out, bias)


def _weight_and_sums(y: Any, x: Any, shape: _Sizes, sums: Any, *options: Any) -> Any:
    """The gradient of the weight; and of the bias into `sums`, unless it is None."""
    out, (stride, padding, dilation, _) = cupy.empty(shape, y.dtype), options
    if cudnn.convolve("weight", y, x, out, stride, padding, dilation, _ours):
        pass
    elif _products_pay("weight", y, shape, *options):
        _weight(y, x, out, stride, padding, dilation)
    else:
        conv_kernels.weight(y, x, out, sums, stride, padding, dilation)
        return out
    if sums is not None:
        conv_kernels.channel_sums(y, sums)
    return out


def convolution(x: Any, weight: Any, bias: Any = None, *, stride: _Sizes, padding: _Sizes, dilation: _Sizes, groups: int) -> Any:
    """The cross-correlation of x (n, in, *sizes) with weight (out, in / groups, *kernel), plus bias (out)."""
    _checked(x, weight, bias)
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    ]
    return _gathered("output", x, weight, bias, (len(x), len(weight), *sizes), stride, padding, dilation, groups)


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
    return _gathered("input", y, weight, bias, shape, stride, padding, dilation, groups)


def convolution_weight(y: Any, x: Any, *, shape: _Sizes, stride: _Sizes, padding: _Sizes, dilation: _Sizes, groups: int) -> Any:
    """The gradient of `convolution` with regard to its weight, which is of `shape`."""
    _checked(y, x)
    if not (y.size and x.size and prod(shape)):
        return cupy.zeros(shape, y.dtype)
    if y.dtype.kind == "c":
        return _complex(lambda a, b: _weight_and_sums(a, b, shape, None, stride, padding, dilation, groups), y, x)
    return _weight_and_sums(y, x, shape, None, stride, padding, dilation, groups)


def _convolution_backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    weight: Any = None,
    x: Any = None,
    x_shape: Any = None,
    weight_shape: Any = None,
    bias_shape: Any = None,
    **options: Any,
) -> Any:
    """The rules of `convolution`, where the kernel that makes the weight's gradient adds up what it reads, for the bias."""
    if x is None or bias_shape is None or x.dtype is not g.dtype or g.dtype not in C_NAME or not (g.size and x.size):
        return NotImplemented
    of_bias = cupy.empty(bias_shape, g.dtype)
    numbers = (options[name] for name in ("stride", "padding", "dilation", "groups"))
    of_weight = _weight_and_sums(g, x, weight_shape, of_bias, *numbers)
    grads = {"weight": of_weight, "bias": of_bias}
    if "x" in needed:
        grads["x"] = convolution_input(g, weight, None, shape=x_shape, **options)
    return [grads[name] for name in needed]


CONVOLUTIONS = {"convolution": (None, _convolution_backward)}
