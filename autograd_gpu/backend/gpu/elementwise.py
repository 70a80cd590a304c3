"""Words that work element by element: CuPy's ufuncs where they do what NumPy's do, else kernels of a line."""

from __future__ import annotations

import builtins
from typing import Any

import cupy
import numpy as np

from .build import FLOAT64, elementwise, floating, function, on_device

__all__ = [
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_left_shift",
    "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clamp", "copysign", "cos", "cosh", "deg2rad",
    "div", "eq", "exp", "exp2", "expm1", "floor", "floor_divide", "fmax", "fmin", "fmod", "ge", "gt", "hypot", "isfinite",
    "isinf", "isnan", "le", "lerp", "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not",
    "logical_or", "logical_xor", "logit", "lt", "maximum", "minimum", "mul", "nan_to_num", "ne", "neg", "pow", "rad2deg",
    "reciprocal", "relu", "remainder", "round", "rsqrt", "sign", "signbit", "sin", "sinc", "sinh", "sqrt", "square", "sub",
    "tan", "tanh", "trunc", "trunc_divide", "where", "xlogy",
]  # fmt: skip

add, sub, mul, div, neg = cupy.add, cupy.subtract, cupy.multiply, cupy.divide, cupy.negative
exp, exp2, expm1, log, log2, log10, log1p = cupy.exp, cupy.exp2, cupy.expm1, cupy.log, cupy.log2, cupy.log10, cupy.log1p
sqrt, square, abs = cupy.sqrt, cupy.square, cupy.absolute
sin, cos, tan, asin, acos, atan, atan2 = cupy.sin, cupy.cos, cupy.tan, cupy.arcsin, cupy.arccos, cupy.arctan, cupy.arctan2
sinh, cosh, tanh, asinh, acosh, atanh = cupy.sinh, cupy.cosh, cupy.tanh, cupy.arcsinh, cupy.arccosh, cupy.arctanh
deg2rad, rad2deg, hypot, logaddexp, logaddexp2 = cupy.deg2rad, cupy.rad2deg, cupy.hypot, cupy.logaddexp, cupy.logaddexp2
floor, ceil, trunc, copysign = cupy.floor, cupy.ceil, cupy.trunc, cupy.copysign
maximum, minimum, fmax, fmin = cupy.maximum, cupy.minimum, cupy.fmax, cupy.fmin
eq, ne, lt, le, gt, ge = cupy.equal, cupy.not_equal, cupy.less, cupy.less_equal, cupy.greater, cupy.greater_equal
isnan, isinf, isfinite, signbit = cupy.isnan, cupy.isinf, cupy.isfinite, cupy.signbit
logical_and, logical_or, logical_xor, logical_not = cupy.logical_and, cupy.logical_or, cupy.logical_xor, cupy.logical_not
bitwise_and, bitwise_or, bitwise_xor, bitwise_not = cupy.bitwise_and, cupy.bitwise_or, cupy.bitwise_xor, cupy.invert
bitwise_left_shift, bitwise_right_shift = cupy.left_shift, cupy.right_shift


def _no_bools(name: str, *arrays: Any) -> None:
    for x in arrays:
        if x.dtype.kind == "b":
            raise TypeError(f"{name} has no meaning for bool")


_where = elementwise("where", "C condition, T a, T b", "T out", "out = bool(condition) ? a : b;")


def where(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, b elsewhere."""
    if getattr(a, "dtype", None) is getattr(b, "dtype", 0):
        return _where(condition, a, b)
    on_device(condition)
    if np.ndarray in (a.__class__, b.__class__):
        on_device(a, b)
    dtype = cupy.result_type(a, b)
    a, b = (x.astype(dtype) if isinstance(x, cupy.ndarray) else cupy.full((), x, dtype) for x in (a, b))
    return _where(condition, a, b)


# -- arithmetic --------------------------------------------------------------------------------------------------------

# C's % and / are those of truncation, for floats fmod. As in Python and NumPy, quotient and remainder fit together.
_DIVISION = """
template <class A> __device__ A rest_of(A a, A b) {
  const A r = fmod(a, b);
  return r == 0 ? copysign(A(0), b) : (r < 0) != (b < 0) && r == r ? r + b : r;
}
template <> __device__ long long rest_of(long long a, long long b) {
  if (b == 0 || b == -1) return 0;
  const long long r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
template <class A> __device__ A floor_of(A a, A b) {
  if (b == 0) return a / b;
  A r = fmod(a, b);
  A q = (a - r) / b;
  if (r != 0 && (r < 0) != (b < 0)) q -= 1;
  if (q == 0) return copysign(A(0), a / b);
  const A down = floor(q);
  return q - down > A(0.5) ? down + 1 : down;
}
template <> __device__ long long floor_of(long long a, long long b) {
  if (b == 0) return 0;
  if (b == -1) return (long long)(0ULL - (unsigned long long)a);
  const long long r = a % b, q = a / b;
  return r != 0 && (r < 0) != (b < 0) ? q - 1 : q;
}
template <class A> __device__ A cut_rest(A a, A b) { return fmod(a, b); }
template <> __device__ long long cut_rest(long long a, long long b) { return b == 0 || b == -1 ? 0 : a % b; }
template <class A> __device__ A cut_quotient(A a, A b) { return trunc(a / b); }
template <> __device__ long long cut_quotient(long long a, long long b) {
  return b == 0 ? 0 : b == -1 ? (long long)(0ULL - (unsigned long long)a) : a / b;
}
"""


def _division(name: str, expression: str) -> Any:
    kernel = elementwise(name, "T a, T b", "T out", f"out = T({expression}(A(a), A(b)));", _DIVISION)

    def word(a: Any, b: Any) -> Any:
        _no_bools("division with a rounded result", a)
        if a.dtype is not b.dtype:
            on_device(a, b)
            dtype = cupy.result_type(a, b)
            a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
        return kernel(a, b)

    return word


_floor_divide, _remainder = _division("floor_divide", "floor_of"), _division("remainder", "rest_of")
_fmod, _trunc_divide = _division("fmod", "cut_rest"), _division("trunc_divide", "cut_quotient")


def floor_divide(a: Any, b: Any) -> Any:
    """a / b rounded down. Integers divided by zero give 0."""
    return _floor_divide(a, b)


def remainder(a: Any, b: Any) -> Any:
    """a - b * floor(a / b): it has the sign of b."""
    return _remainder(a, b)


def fmod(a: Any, b: Any) -> Any:
    """a - b * trunc(a / b): it has the sign of a."""
    return _fmod(a, b)


def trunc_divide(a: Any, b: Any) -> Any:
    """a / b rounded towards zero."""
    return _trunc_divide(a, b)


def reciprocal(x: Any) -> Any:
    """1 / x."""
    return cupy.reciprocal(x) if x.dtype.kind in "fcV" else 1.0 / x


_POWERS = {2: cupy.square, 1: cupy.positive, 0.5: cupy.sqrt, -1: cupy.reciprocal, 0: cupy.ones_like}
_scalar_power = function("scalar_power", "pow(x, b)", "b")
_float_power = elementwise("float_power", "T a, T b", "T out", "out = T(pow(A(a), A(b)));")
_int_power = elementwise(
    "int_power", "T a, T b", "T out",
    "long long base = a, left = b, result = 1;\n"
    "if (left < 0) {  // 1 / a, rounded towards zero\n"
    "  result = base == 1 ? 1 : base == -1 ? (left % 2 ? -1 : 1) : 0;\n"
    "} else {\n"
    "  for (; left; left >>= 1, base *= base) if (left & 1) result *= base;\n"
    "}\n"
    "out = T(result);",
)  # fmt: skip


def pow(a: Any, b: Any) -> Any:
    """a to the power b, an array or a Python number."""
    kind = a.dtype.kind
    if b.__class__ is builtins.float or b.__class__ is builtins.int:
        if kind in "fV":
            special = _POWERS.get(b)
            if special is not None:
                return special(a)
            if b == 3:
                return a * a * a
            return rsqrt(a) if b == -0.5 else _scalar_power(a, builtins.float(b))
        _no_bools("pow", a)
        if kind in "iu" and b.__class__ is builtins.int and b < 0:
            raise ValueError("Integers to negative integer powers are not allowed.")
        return cupy.power(a, b)
    _no_bools("pow", a)
    if a.dtype is b.dtype and kind in "fViu":
        return (_int_power if kind in "iu" else _float_power)(a, b)
    return cupy.power(a, b)


_rsqrt = function("rsqrt", "rsqrt(x)")


@floating
def rsqrt(x: Any) -> Any:
    """1 / sqrt(x)."""
    return _rsqrt(x)


_lerp = elementwise(
    "lerp", "T a_, T end_, T weight", "T out",
    "const A a = A(a_), end = A(end_), w = A(weight), step = end - a;\n"
    "out = T((w < 0 ? -w : w) < A(0.5) ? a + w * step : end - step * (1 - w));",
)  # fmt: skip


def lerp(a: Any, end: Any, weight: Any) -> Any:
    """a + weight * (end - a), exact at both ends."""
    return _lerp(a, end, weight)


# -- signs, rounding, limits -------------------------------------------------------------------------------------------

_sign = elementwise("sign", "T x", "T out", "out = T(A(x > T(0)) - A(x < T(0)));")


def sign(x: Any) -> Any:
    """-1, 0 or 1; 0 for NaN."""
    kind = x.dtype.kind
    if kind in "fViu":
        return _sign(x)
    return x.copy() if kind == "b" else cupy.sign(x)


def round(x: Any) -> Any:
    """The nearest integer, the even one of two."""
    return cupy.rint(x) if x.dtype.kind in "fV" else x.copy()


_clamp = elementwise("clamp", "T x, float64 low, float64 high", "T out", "out = T(smaller(larger(A(x), A(low)), A(high)));")
_clamp_ints = elementwise(
    "clamp_ints", "T x, int64 low, int64 high", "T out",
    "const long long v = x, floored = v < low ? low : v;\nout = T(floored > high ? high : floored);",
)  # fmt: skip


def clamp(x: Any, *, min: Any = None, max: Any = None, out: Any = None) -> Any:
    """min(max(x, min), max), where min and max are Python numbers or None. NaN stays."""
    if x.dtype.kind in "fV":
        low, high = -np.inf if min is None else min, np.inf if max is None else max
        kernel, number = _clamp, np.float64
    else:
        limits = (0, 1) if x.dtype.kind == "b" else (np.iinfo(x.dtype).min, builtins.min(np.iinfo(x.dtype).max, 2**63 - 1))
        low, high = limits[0] if min is None else builtins.int(min), limits[1] if max is None else builtins.int(max)
        kernel, number = _clamp_ints, np.int64
    return kernel(x, number(low), number(high)) if out is None else kernel(x, number(low), number(high), out)


_relu = elementwise("relu", "T x", "T out", "out = x > T(0) || x != x ? x : T(0);")


def relu(x: Any, out: Any = None) -> Any:
    """max(x, 0)."""
    _no_bools("relu", x)
    return _relu(x) if out is None else _relu(x, out)


_nan_to_num = elementwise(
    "nan_to_num", "T x, float64 nan, float64 above, float64 below", "T out",
    "const A v = A(x);\nout = v != v ? T(A(nan)) : v == infinity<A>() ? T(A(above)) : v == -infinity<A>() ? T(A(below)) : x;",
)  # fmt: skip


def nan_to_num(x: Any, *, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """x with NaN and infinities replaced, infinities by default by the largest numbers of the dtype."""
    if x.dtype.kind not in "fV":
        return x.copy()
    largest = 3.3895313892515355e38 if x.dtype.kind == "V" else builtins.float(np.finfo(x.dtype).max)
    numbers = (nan, largest if posinf is None else posinf, -largest if neginf is None else neginf)
    return _nan_to_num(x, *[np.float64(n) for n in numbers])


# -- functions ---------------------------------------------------------------------------------------------------------

_sinc = function("sinc", "x == 0 ? A(1) : sin(x * A(3.14159265358979323846)) / (x * A(3.14159265358979323846))")
_logit = function("logit", "log(x / (1 - x))")
_xlogy = elementwise("xlogy", "T a, T b", "T out", "const A w = A(a), v = A(b);\nout = T(w == 0 && v == v ? A(0) : w * log(v));")


@floating
def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x), 1 at 0."""
    return _sinc(x)


@floating
def logit(x: Any) -> Any:
    """log(x / (1 - x))."""
    return _logit(x)


def xlogy(a: Any, b: Any) -> Any:
    """a * log(b), 0 where a is 0 unless b is NaN."""
    if a.dtype.kind in "iub":
        on_device(a, b)
        a, b = a.astype(FLOAT64), b.astype(FLOAT64)
    return _xlogy(a, b)
