"""Special functions: CUDA's own where it has them, else the formulas of `backend.cpu.special`, in double precision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .build import floating, function

__all__ = ["digamma", "erf", "erfc", "erfinv", "lgamma", "ndtr", "polygamma"]

_erf, _erfc, _lgamma = function("erf", "erf(x)"), function("erfc", "erfc(x)"), function("lgamma", "lgamma(x)")
_ndtr = function("ndtr", "A(0.5) * erfc(x * A(-0.70710678118654752))")

_PI = "3.14159265358979323846"


def _horner(coefficients: tuple[float, ...], x: str) -> str:
    """The polynomial with these coefficients, highest first, as an expression of CUDA."""
    text = repr(coefficients[0])
    for c in coefficients[1:]:
        text = f"({text} * {x} + {c!r})"
    return text


# a rational start, then two steps of Halley's method, on erfc where x is near 1
_ERFINV = f"""
__device__ double inverse_erf(double x) {{
  const double a = fabs(x), rest = 1 - a;
  if (!(a < 1)) return a == 1 ? copysign(infinity<double>(), x) : not_a_number<double>();
  double out;
  if (a <= 0.7) {{
    const double z = a * a;
    out = a * {_horner((-0.140543331, 0.914624893, -1.645349621, 0.886226899), "z")}
        / {_horner((0.012229801, -0.329097515, 1.442710462, -2.118377725, 1.0), "z")};
  }} else {{
    const double z = sqrt(-log(rest * 0.5));
    out = {_horner((1.641345311, 3.429567803, -1.624906493, -1.970840454), "z")}
        / {_horner((1.637067800, 3.543889200, 1.0), "z")};
  }}
  for (int k = 0; k < 2; ++k) {{
    const double error = (a < 0.5 ? erf(out) - a : rest - erfc(out)) / (exp(-out * out) * 1.12837916709551257390);
    out -= error / (1 + out * error);
  }}
  return copysign(out, x);
}}
"""
_erfinv = function("erfinv", "inverse_erf(double(x))", preamble=_ERFINV)

_SERIES = _horner(
    (
        8.33333333333333333333e-2, -2.10927960927960927961e-2, 7.57575757575757575758e-3, -4.16666666666666666667e-3,
        3.96825396825396825397e-3, -8.33333333333333333333e-3, 8.33333333333333333333e-2,
    ), "z",
)  # fmt: skip
_DIGAMMA = f"""
__device__ double derivative_of_lgamma(double x) {{
  if (x == 0) return copysign(infinity<double>(), -x);
  if (x == infinity<double>() || x != x) return x;
  const double part = x - trunc(x);
  if (x < 0 && part == 0 || x == -infinity<double>()) return not_a_number<double>();
  double v = x < 0 ? 1 - x : x, shift = 0;
  for (; v < 10; v += 1) shift += 1 / v;
  const double z = 1 / (v * v), out = log(v) - 0.5 / v - z * {_SERIES} - shift;
  return x < 0 ? out - {_PI} / tan({_PI} * part) : out;
}}
"""
_digamma = function("digamma", "derivative_of_lgamma(double(x))", preamble=_DIGAMMA)

# the sum of (q + k)^-s over k >= 0: the first terms, then the Euler-Maclaurin formula
_BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330]
_TERMS = ", ".join(repr(b / math.factorial(2 * k)) for k, b in enumerate(_BERNOULLI, 1))
_POLYGAMMA = f"""
__device__ double hurwitz_zeta(double s, double q) {{
  const double terms[] = {{{_TERMS}}};
  double total = 0, v = q;
  if (v == infinity<double>()) return 0;
  for (; v < 12; v += 1) total += pow(v, -s);
  double out = total + pow(v, 1 - s) / (s - 1) + 0.5 * pow(v, -s), rising = s;
  for (int k = 1; k <= {len(_BERNOULLI)}; ++k) {{
    out += terms[k - 1] * rising * pow(v, 1 - s - 2 * k);
    rising *= (s + 2 * k - 1) * (s + 2 * k);
  }}
  return out;
}}
__device__ double derivative_of_digamma(double x, double n) {{
  if (x != x) return x;
  if (n == 1) {{  // reflection keeps the number of terms small
    const double out = hurwitz_zeta(2, x < 0.5 ? 1 - x : x), sine = {_PI} / sin({_PI} * x);
    return x < 0.5 ? sine * sine - out : out;
  }}
  const double sign = fmod(n, 2.0) == 1 ? 1 : -1, factorial = tgamma(n + 1);
  if (x <= 0 && x == floor(x)) return sign * infinity<double>();
  return sign * factorial * hurwitz_zeta(n + 1, x);
}}
"""
_polygamma = function("polygamma", "derivative_of_digamma(double(x), double(n))", "n", _POLYGAMMA)


@floating
def erf(x: Any) -> Any:
    """The error function."""
    return _erf(x)


@floating
def erfc(x: Any) -> Any:
    """1 - erf(x), accurate where that is small."""
    return _erfc(x)


@floating
def ndtr(x: Any) -> Any:
    """The distribution function of the standard normal distribution."""
    return _ndtr(x)


@floating
def erfinv(x: Any) -> Any:
    """The inverse of erf."""
    return _erfinv(x)


@floating
def lgamma(x: Any) -> Any:
    """log |gamma(x)|, infinite at 0, -1, -2 ..."""
    return _lgamma(x)


@floating
def digamma(x: Any) -> Any:
    """The derivative of log gamma(x): recurrence up to 10, then the asymptotic series; reflection for x < 0."""
    return _digamma(x)


def polygamma(x: Any, *, n: int) -> Any:
    """The n-th derivative of digamma."""
    return digamma(x) if n == 0 else floating(_nth)(x, n=n)


def _nth(x: Any, *, n: int) -> Any:
    return _polygamma(x, np.float64(n))
