"""Normalization: layer_norm, rms_norm and group_norm by the kernels of norm.cu, batch_norm by sums and elementwise kernels.

What the forwards leave for the backwards are mean and spread of each row, in the dtype that kernels compute in."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import cupy
import numpy as np
from cupy import ndarray

from ..kernels import C_NAME, computed, kernel
from ..kernels import elementwise as grid_of
from .build import accumulator, elementwise
from .reduce import _sum

__all__: list[str] = []

_int32, _int64 = np.int32, np.int64
_MOST_COLUMNS = 2**31 - 1024  # a column number and the threads of a block must fit in an int
_MOST_BLOCKS = 1 << 16


def _dense(x: Any) -> bool:
    """Whether x has elements, of a dtype that kernels take, in C order without gaps."""
    return x.__class__ is ndarray and x.dtype in C_NAME and x.size > 0 and x.flags.c_contiguous


def _fits(p: Any, dtype: Any) -> bool:
    """Whether an optional weight or bias is such that kernels for `dtype` take it."""
    return p is None or _dense(p) and p.dtype is dtype


def _launch_of(rows: int, columns: int) -> tuple[tuple[int], tuple[int]]:
    """Grid and block where a block does a row. How a row is summed depends on the number of columns alone."""
    return (min(rows, _MOST_BLOCKS),), (min(256, max(32, 1 << columns.bit_length() >> 2)),)


@cache
def _kernel(name: str, dtype: Any, rms: bool) -> Callable:
    return kernel("norm.cu", f"{name}<{C_NAME[dtype]},{str(rms).lower()}>")


def _normalize_rows(x: Any, columns: int, weight: Any, bias: Any, eps: float, rms: bool) -> tuple[Any, tuple[Any, Any]]:
    """x with its rows of so many columns normalized, and (mean, spread) of each row."""
    dtype, rows = x.dtype, x.size // columns
    number, out = computed(dtype), ndarray(x.shape, x.dtype)
    mean, rstd = None if rms else ndarray((rows,), number), ndarray((rows,), number)
    launch = _kernel("norm_forward", dtype, rms)
    sizes = (_int64(rows), _int32(columns), number.type(eps))
    launch(*_launch_of(rows, columns), x, weight, bias, out, mean, rstd, *sizes)
    return out, (mean, rstd)


def _rows_backward(g: Any, x: Any, columns: int, weight: Any, residue: tuple[Any, Any], rms: bool) -> Any:
    """The gradient of x."""
    dtype, rows, dx = x.dtype, x.size // columns, ndarray(x.shape, x.dtype)
    launch = _kernel("norm_backward_x", dtype, rms)
    launch(*_launch_of(rows, columns), g, x, weight, *residue, dx, _int64(rows), _int32(columns))
    return dx


def _columns_backward(g: Any, x: Any, columns: int, residue: tuple[Any, Any], rms: bool) -> tuple[Any, Any]:
    """The gradients of weight and bias, each summed up in a fixed order."""
    dtype, rows = x.dtype, x.size // columns
    chunk = max(32, -(-rows // 64))
    lines = -(-rows // chunk)
    parts = ndarray((2, lines, columns), computed(dtype))
    launch = _kernel("norm_backward_parts", dtype, rms)
    sizes = (_int64(rows), _int32(columns), _int64(chunk))
    launch((-(-columns // 32), lines), (32, 8), g, x, *residue, parts, *sizes)
    found = []
    for part in parts[:1] if rms else parts:
        out = ndarray((columns,), dtype)
        kernel("norm.cu", f"add_parts<{C_NAME[dtype]}>")(*grid_of(columns), part, out, _int32(lines), _int32(columns))
        found.append(out)
    return (*found, None)[:2]


def _last(rms: bool) -> tuple[Callable, Callable]:
    """Forward and backward of layer_norm or rms_norm."""

    def forward(x: Any, weight: Any = None, bias: Any = None, *, axes: tuple[int, ...], eps: float = 1e-5) -> Any:
        if not _dense(x) or not _fits(weight, x.dtype) or not _fits(bias, x.dtype):
            return NotImplemented
        columns = math.prod(x.shape[x.ndim - len(axes) :])
        if columns >= _MOST_COLUMNS:
            return NotImplemented
        return _normalize_rows(x, columns, weight, bias, eps, rms)

    def backward(
        xp: Any,
        g: Any,
        needed: tuple[str, ...],
        x: Any = None,
        weight: Any = None,
        axes: Any = (),
        eps: float = 0.0,
        weight_shape: Any = None,
        bias_shape: Any = None,
        residue: Any = None,
    ) -> Any:
        if residue is None or x is None or g.__class__ is not ndarray or g.dtype is not x.dtype:
            return NotImplemented
        g, columns = cupy.ascontiguousarray(g), math.prod(x.shape[x.ndim - len(axes) :])
        found = {}
        if "x" in needed:
            found["x"] = _rows_backward(g, x, columns, weight, residue, rms)
        if "weight" in needed or "bias" in needed:
            w, b = _columns_backward(g, x, columns, residue, rms)
            found["weight"] = w.reshape(weight_shape) if weight_shape is not None else None
            found["bias"] = b.reshape(bias_shape) if bias_shape is not None else None
        return [found[name] for name in needed]

    return forward, backward


# -- groups --------------------------------------------------------------------------------------------------------------------

_by_channel = elementwise(
    "by_channel", "raw T weight, raw T bias, int64 inner, int64 channels, bool shifted", "T y",
    "const long long c = i / inner % channels; A v = A(y) * A(weight[c]); if (shifted) v += A(bias[c]); y = T(v);",
)  # fmt: skip
_scaled_gradient = elementwise(
    "scaled_gradient", "T g, raw T weight, int64 inner, int64 channels", "T out",
    "out = T(A(g) * A(weight[i / inner % channels]));",
)  # fmt: skip
_along = elementwise(
    "along", "T g, T x, raw U mean, raw U rstd, int64 columns", "U out",
    "out = U(g) * (U(x) - mean[i / columns]) * rstd[i / columns];",
)  # fmt: skip


def _group_norm(x: Any, weight: Any = None, bias: Any = None, *, groups: int, eps: float = 1e-5) -> Any:
    """The forward of `group_norm`."""
    columns = math.prod(x.shape[1:]) // max(groups, 1)
    if not _dense(x) or not _fits(weight, x.dtype) or not _fits(bias, x.dtype) or columns >= _MOST_COLUMNS:
        return NotImplemented
    out, residue = _normalize_rows(x, columns, None, None, eps, False)
    if weight is not None or bias is not None:
        weight = cupy.ones(x.shape[1], x.dtype) if weight is None else weight
        inner = math.prod(x.shape[2:])
        _by_channel(weight, weight if bias is None else bias, inner, x.shape[1], bias is not None, out)
    return out, residue


def _group_norm_backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    x: Any = None,
    weight: Any = None,
    groups: int = 1,
    eps: float = 1e-5,
    residue: Any = None,
) -> Any:
    """The rules of `group_norm`."""
    if residue is None or x is None or g.__class__ is not ndarray or g.dtype is not x.dtype:
        return NotImplemented
    g, found, inner = cupy.ascontiguousarray(g), {}, math.prod(x.shape[2:])
    columns = math.prod(x.shape[1:]) // groups
    if "x" in needed:
        scaled = g if weight is None else _scaled_gradient(g, weight, inner, x.shape[1])
        found["x"] = _rows_backward(scaled, x, columns, None, residue, False)
    if "weight" in needed:
        found["weight"] = _channel_sums(_along(g, x, *residue, columns)).astype(x.dtype, copy=False)
    if "bias" in needed:
        found["bias"] = _channel_sums(g).astype(x.dtype, copy=False)
    return [found[name] for name in needed]


# -- the batch -----------------------------------------------------------------------------------------------------------------


def _channel_sums(x: Any) -> Any:
    """The sum of each channel, dimension 1, in the accumulator's dtype."""
    if x.ndim > 2:
        x = _sum(x, tuple(range(2, x.ndim)), False, accumulator(x.dtype))
    return _sum(x, (0,), False, accumulator(x.dtype))


_centred_square = elementwise("centred_square", "T x, U mean", "U out", "const U d = U(x) - mean; out = d * d;")
_centred_product = elementwise("centred_product", "T g, T x, U mean", "U out", "out = U(g) * (U(x) - mean);")
_affine = elementwise("affine", "T x, U mean, U scale, U shift", "T y", "y = T((U(x) - mean) * scale + shift);")
_batch_gradient = elementwise(
    "batch_gradient", "T g, T x, U mean, U scale, U slope, U plain", "T out",
    "out = T(U(g) * scale + (U(x) - mean) * slope + plain);",
)  # fmt: skip


def _floats(*arrays: Any) -> bool:
    return all(a is None or a.__class__ is ndarray and a.dtype in C_NAME for a in arrays)


def _column(v: Any, x: Any) -> Any:
    """A number a channel with the dimensions of x."""
    return v.reshape((1, -1) + (1,) * (x.ndim - 2))


def _batch_norm(x: Any, weight: Any = None, bias: Any = None, *, eps: float) -> Any:
    """The forward of `batch_norm`. The result has the layout of x."""
    if not _floats(x, weight, bias) or not x.size:
        return NotImplemented
    n = x.size // x.shape[1]
    mean = _channel_sums(x)
    mean /= n
    square = cupy.empty_like(x, mean.dtype)
    _centred_square(x, _column(mean, x), square)
    var = _channel_sums(square)
    var /= n
    scale = cupy.reciprocal(cupy.sqrt(var + eps))
    if weight is not None:
        scale *= weight.astype(scale.dtype, copy=False)
    shift = cupy.zeros_like(scale) if bias is None else bias.astype(scale.dtype, copy=False)
    out = cupy.empty_like(x)
    _affine(x, _column(mean, x), _column(scale, x), _column(shift, x), out)
    return out, mean, var


def _batch_norm_backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    x: Any = None,
    mean: Any = None,
    var: Any = None,
    weight: Any = None,
    eps: float = 0.0,
) -> Any:
    """The rules of `batch_norm`."""
    if x is None or not _floats(g[0], x, weight) or g[0].dtype is not x.dtype or not x.size:
        return NotImplemented
    g, to_mean, to_var = g
    product = cupy.empty_like(x, mean.dtype)
    _centred_product(g, x, _column(mean, x), product)
    plain, along = _channel_sums(g), _channel_sums(product)
    rstd = cupy.reciprocal(cupy.sqrt(var + eps))
    found = {"weight": along * rstd, "bias": plain}
    if "x" in needed:
        n = x.size // x.shape[1]
        scale = rstd if weight is None else rstd * weight.astype(rstd.dtype, copy=False)
        slope = (to_var - along * scale * rstd * rstd * 0.5) * (2 / n)
        plain = (to_mean - plain * scale) / n
        found["x"] = cupy.empty_like(x)
        _batch_gradient(g, x, *(_column(v, x) for v in (mean, scale, slope, plain)), found["x"])
    return [found[name] for name in needed]


def _scale_channels(x: Any, scale: Any, shift: Any) -> Any:
    """The forward of `scale_channels`."""
    if not _floats(x, scale, shift) or not x.size:
        return NotImplemented
    number, out = accumulator(x.dtype), cupy.empty_like(x)
    scale, shift = scale.astype(number, copy=False), shift.astype(number, copy=False)
    _affine(x, cupy.zeros((), number), _column(scale, x), _column(shift, x), out)
    return out


NORMS = {
    "layer_norm": _last(False),
    "rms_norm": _last(True),
    "batch_norm": (_batch_norm, _batch_norm_backward),
    "group_norm": (_group_norm, _group_norm_backward),
    "scale_channels": (_scale_channels, None),
}
