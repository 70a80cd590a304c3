"""Normalization: layer_norm, rms_norm and group_norm by the kernels of norm.cu, batch_norm by those of channels.cu.

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
from .reduce import _sum, _summed

__all__: list[str] = []

_int32, _int64 = np.int32, np.int64
_MOST_COLUMNS = 2**31 - 1024  # a column number and the threads of a block must fit in an int
_MOST_BLOCKS = 1 << 16
_BLOCKS = 1024  # so many have work on any device


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
    return _summed(_sum, x, (0, *range(2, x.ndim)), False, accumulator(x.dtype))


def _of_channels(x: Any, last: bool) -> Any:
    """x with its elements in order and without gaps in memory; `last`: in the order in which channels come last."""
    if last:
        x = x.transpose(0, *range(2, x.ndim), 1)
    return cupy.ascontiguousarray(x)


class _Channels:
    """How the launches of channels.cu are made for an array: in which order it lies, how channels are cut into chunks, and in how
    many blocks. The order of sums depends on the shape alone."""

    def __init__(self, x: Any):
        self.last = x.ndim > 2 and not x.flags.c_contiguous and x.transpose(0, *range(2, x.ndim), 1).flags.c_contiguous
        self.x, self.name, self.number = _of_channels(x, self.last), C_NAME[x.dtype], computed(x.dtype)
        count = self.count = x.shape[1]
        self.n, inner = x.size // count, 1 if self.last else math.prod(x.shape[2:])
        lanes = 1 if inner >= 32 else min(32, 1 << (count - 1).bit_length())
        tiles = -(-count // lanes)
        wanted = -(-self.n * tiles // _BLOCKS)
        chunk = max(4096 // lanes, min(-(-wanted // 8) * 8, 8192 // lanes))
        self.chunks = -(-self.n // chunk)
        merged = 1 << max(0, min(5, (1024 // self.chunks).bit_length() - 1))  # channels of a block that puts chunks together
        self.cut = (min(self.chunks * tiles, _MOST_BLOCKS),), (256,)
        self.put = (min(-(-count // merged), _MOST_BLOCKS),), (256,)
        self.each = grid_of(x.size * x.itemsize // 16 + 1)
        self.sizes = _int64(self.n), _int64(count), _int32(inner), _int64(chunk), _int32(lanes)
        self.merge = _int64(self.n), _int64(count), _int64(chunk)
        self.merged = _int32(merged)
        self.all_sizes = _int64(x.size), _int64(count), _int64(inner)

    def launch(self, shape: Any, name: str, *arguments: Any) -> None:
        kernel("channels.cu", f"{name}<{self.name}>")(*shape, *arguments)

    def of(self, v: Any) -> Any:
        """A number a channel as the kernels take it."""
        return None if v is None else cupy.ascontiguousarray(v, self.number)

    def parts(self) -> Any:
        return ndarray((2, self.chunks, self.count), self.number)

    def result(self) -> Any:
        """An array for a result, in the order of the input."""
        return cupy.empty_like(self.x)

    def shaped(self, out: Any) -> Any:
        """Such a result with its dimensions in the usual order."""
        return out.transpose(0, out.ndim - 1, *range(1, out.ndim - 1)) if self.last else out


def _floats(*arrays: Any) -> bool:
    return all(a is None or a.__class__ is ndarray and a.dtype in C_NAME for a in arrays)


def _batch_norm(x: Any, weight: Any = None, bias: Any = None, *, eps: float) -> Any:
    """The forward of `batch_norm`."""
    if not _floats(x, weight, bias) or not x.size:
        return NotImplemented
    c = _Channels(x)
    means, spreads = c.parts()
    mean, var, scale = (ndarray((c.count,), c.number) for _ in range(3))
    out = c.result()
    c.launch(c.cut, "chunk_statistics", c.x, means, spreads, *c.sizes)
    weight, eps = c.of(weight), c.number.type(eps)
    c.launch(c.put, "channel_statistics", means, spreads, weight, mean, var, scale, *c.merge, eps, c.merged)
    c.launch(c.each, "channel_forward", c.x, mean, scale, c.of(bias), out, *c.all_sizes)
    return c.shaped(out), mean, var


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
    c = _Channels(x)
    (plains, alongs), numbers, grad = c.parts(), ndarray((5, c.count), c.number), _of_channels(g[0], c.last)
    c.launch(c.cut, "chunk_gradients", grad, c.x, mean, plains, alongs, *c.sizes)
    weight, eps, to_mean, to_var = c.of(weight), c.number.type(eps), c.of(g[1]), c.of(g[2])
    c.launch(c.put, "channel_gradients", plains, alongs, var, weight, to_mean, to_var, numbers, *c.merge, eps, c.merged)
    found = {"weight": numbers[0], "bias": numbers[1]}
    if "x" in needed:
        out = c.result()
        c.launch(c.each, "channel_backward", grad, c.x, mean, numbers, out, *c.all_sizes)
        found["x"] = c.shaped(out)
    return [found[name] for name in needed]


def _scale_channels(x: Any, scale: Any, shift: Any) -> Any:
    """The forward of `scale_channels`."""
    if not _floats(x, scale, shift) or not x.size:
        return NotImplemented
    c = _Channels(x)
    out = c.result()
    c.launch(c.each, "channel_forward", c.x, None, c.of(scale), c.of(shift), out, *c.all_sizes)
    return c.shaped(out)


NORMS = {
    "layer_norm": _last(False),
    "rms_norm": _last(True),
    "batch_norm": (_batch_norm, _batch_norm_backward),
    "group_norm": (_group_norm, _group_norm_backward),
    "scale_channels": (_scale_channels, None),
}
