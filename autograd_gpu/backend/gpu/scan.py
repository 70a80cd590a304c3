"""Words that run along an axis: cumulative sums, products, extrema, and the linear recurrence behind their gradients.

float16 and bfloat16 accumulate in float32, integers in int64. `reverse` runs from the last element to the first;
`exclusive` leaves the element itself out of what its result takes in. What CuPy has no scan for goes by doubling (Hillis and
Steele, 1986): log2(n) passes, in which element i learns of 1, 2, 4 ... before it.
"""

from __future__ import annotations

from math import prod
from typing import Any

import cupy

from .build import INT64, accumulator, elementwise, on_device

__all__ = ["argcummax", "argcummin", "cumprod", "cumsum", "logcumsumexp", "recurrence"]


def _turned(x: Any, axis: int, reverse: bool) -> Any:
    """A view of x that runs the other way along the axis, if `reverse`."""
    return x[(slice(None),) * axis + (slice(None, None, -1),)] if reverse else x


def _part(axis: int, start: int | None, stop: int | None) -> tuple:
    return (slice(None),) * axis + (slice(start, stop),)


def _narrow(x: Any, dtype: Any) -> Any:
    return x if x.dtype is dtype or dtype.kind in "biu" else x.astype(dtype)


def _steps(n: int) -> list[int]:
    return [1 << k for k in range(max(n - 1, 0).bit_length())]


def cumsum(x: Any, *, axis: int, reverse: bool = False) -> Any:
    """The sum of each element and those before it."""
    on_device(x)
    out = cupy.cumsum(_turned(x, axis, reverse), axis, accumulator(x.dtype))
    return _turned(_narrow(out, x.dtype), axis, reverse)


def cumprod(x: Any, *, axis: int, reverse: bool = False, exclusive: bool = False) -> Any:
    """The product of each element and those before it."""
    on_device(x)
    turned, dtype = _turned(x, axis, reverse), accumulator(x.dtype)
    if exclusive:
        out = cupy.ones(x.shape, dtype)
        if x.shape[axis] > 1:
            out[_part(axis, 1, None)] = cupy.cumprod(turned[_part(axis, None, -1)], axis, dtype)
    else:
        out = cupy.cumprod(turned, axis, dtype)
    return _turned(_narrow(out, x.dtype), axis, reverse)


_recur = elementwise(
    "recur", "raw T sums, raw T factors, int64 n, int64 inner, int64 step", "T sum, T factor",
    "sum = sums[i];\nfactor = factors[i];\n"
    "if (i / inner % n >= step) {\n"
    "  sum += factor * sums[i - step * inner];\n"
    "  factor *= factors[i - step * inner];\n"
    "}",
)  # fmt: skip


def recurrence(b: Any, a: Any, *, axis: int, reverse: bool = False) -> Any:
    """t with t[0] = 0 and t[i + 1] = b[i] + a[i] * t[i] along the axis: what comes before each element, carried to it."""
    on_device(a, b)
    n, inner = b.shape[axis], prod(b.shape[axis + 1 :])
    dtype = accumulator(b.dtype)
    out = cupy.zeros(b.shape, dtype)
    if n > 1 and b.size:
        part = _part(axis, None, -1)
        sums = _turned(b, axis, reverse)[part].astype(dtype, order="C")
        factors = _turned(a, axis, reverse)[part].astype(dtype, order="C")
        for step in _steps(n - 1):
            pair = cupy.empty_like(sums), cupy.empty_like(factors)
            sums, factors = _recur(sums, factors, n - 1, inner, step, *pair)
        out[_part(axis, 1, None)] = sums
    return _turned(_narrow(out, b.dtype), axis, reverse)


_log_add = elementwise(
    "log_add", "raw T x, int64 n, int64 inner, int64 step", "T out",
    "const T a = x[i];\n"
    "out = a;\n"
    "if (i / inner % n >= step) {\n"
    "  const T b = x[i - step * inner], top = larger(a, b), low = a == top ? b : a;\n"
    "  out = top - top == T(0) ? top + log1p(exp(low - top)) : top;\n"
    "}",
)  # fmt: skip


def logcumsumexp(x: Any, *, axis: int) -> Any:
    """The logarithm of the sum of exp over each element and those before it."""
    on_device(x)
    out = x.astype(accumulator(x.dtype), order="C")
    n, inner = x.shape[axis], prod(x.shape[axis + 1 :])
    for step in _steps(n):
        out = _log_add(out, n, inner, step, cupy.empty_like(out))
    return _narrow(out, x.dtype)


def _cumulative_place(name: str, sign: str) -> Any:
    return elementwise(
        name, "raw T x, raw int64 places, int64 n, int64 inner, int64 step", "int64 out",
        "const long long k = i / inner % n, line = i - k * inner;\n"
        "out = places[i];\n"
        "if (k >= step) {\n"
        "  const long long before = places[i - step * inner];\n"
        "  const A v = A(x[line + out * inner]), w = A(x[line + before * inner]);\n"
        f"  if (v == v && !(v {sign} w)) out = before;\n"
        "}",
    )  # fmt: skip


_cummax, _cummin = _cumulative_place("cummax", ">="), _cumulative_place("cummin", "<=")


def _scan_places(kernel: Any, x: Any, axis: int) -> Any:
    on_device(x)
    n, inner = x.shape[axis], prod(x.shape[axis + 1 :])
    places = cupy.arange(n, dtype=INT64).reshape((-1,) + (1,) * (x.ndim - axis - 1))
    places = cupy.ascontiguousarray(cupy.broadcast_to(places, x.shape))
    x = cupy.ascontiguousarray(x)
    for step in _steps(n):
        places = kernel(x, places, n, inner, step, cupy.empty_like(places))
    return places


def argcummax(x: Any, *, axis: int) -> Any:
    """Where the largest element so far lies: the last of those that tie; a NaN stays the largest."""
    return _scan_places(_cummax, x, axis)


def argcummin(x: Any, *, axis: int) -> Any:
    """Where the smallest element so far lies: the last of those that tie; a NaN stays the smallest."""
    return _scan_places(_cummin, x, axis)
