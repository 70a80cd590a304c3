"""Special functions that NumPy does not have, as rational and asymptotic approximations in ufuncs.

`wide` and `double` say what precision a function is computed in. The coefficients are those of W. J. Cody (Rational Chebyshev
approximations for the error function, 1969) and S. Moshier (Cephes), accurate to about one unit in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

__all__ = ["digamma", "erf", "erfc", "erfinv", "lgamma", "ndtr", "polygamma"]

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
BLOCK = 1 << 14  # elements: a chain of ufuncs over a block stays in the cache


def wide(f: Callable | None = None, *, ints: bool = True, blocks: bool = True) -> Callable:
    """Let `f`, a chain of ufuncs written for float32 and float64 arrays with dimensions, take all arrays: narrower floats are
    computed in float32, integers too (or refused), large arrays in blocks."""
    if f is None:
        return lambda f: wide(f, ints=ints, blocks=blocks)

    @wraps(f)
    def word(x: Any, **options: Any) -> Any:
        dtype = x.dtype
        if dtype is not FLOAT32 and dtype is not FLOAT64:
            return other_dtypes(word, x, ints, options)
        if not x.ndim:
            return f(x.reshape(1), **options).reshape(())
        if blocks and x.size >= 2 * BLOCK and x.flags.c_contiguous:
            return _in_blocks(f, x, options)
        return f(x, **options)

    return word


def double(f: Callable) -> Callable:
    """As `wide`, computing in float64 throughout: for functions called too rarely to have an approximation of their own."""

    def in_double(x: Any, **options: Any) -> Any:
        return f(x.astype(FLOAT64), **options).astype(x.dtype)

    return wide(wraps(f)(in_double))


def other_dtypes(word: Callable, x: Any, ints: bool, options: dict[str, Any]) -> Any:
    """`word` of an array that is neither float32 nor float64: narrower floats in float32, integers too (or refused)."""
    kind = x.dtype.kind
    if kind == "c" or kind in "iub" and not ints:
        raise TypeError(f"it is defined for floating point numbers, not for {x.dtype}")
    result = word(np.asarray(x).astype(FLOAT32), **options)
    return result if kind in "iub" else result.astype(x.dtype)


def _in_blocks(f: Callable, x: Any, options: dict[str, Any]) -> Any:
    out = np.empty_like(x)
    flat, flat_out = x.reshape(-1), out.reshape(-1)
    for i in range(0, x.size, BLOCK):
        flat_out[i : i + BLOCK] = f(flat[i : i + BLOCK], **options)
    return out


def polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """The polynomial with these coefficients, highest first, at x."""
    out = x * coefficients[0]
    for c in coefficients[1:-1]:
        out += c
        out *= x
    out += coefficients[-1]
    return out


# -- the error function ------------------------------------------------------------------------------------------------

# erf(x) = tanh(x P(x^2)) to 4 units in the last place of float32: NumPy's tanh is vectorised, and saturates by itself
_ERF_TANH = (
    1.418937695588622e-07, -5.669029734285655e-06, 8.763988496307218e-05, -6.197896368330493e-04,
    -1.9182682293443376e-04, 1.0276905473065573e-01, 1.1283792743541672,
)  # fmt: skip
# the normal distribution function is (1 + tanh(x Q(x^2))) / 2, with x / sqrt(2) put in for x
NDTR_TANH = tuple(np.asarray(c * math.sqrt(0.5) * 0.5 ** (6 - i), FLOAT32) for i, c in enumerate(_ERF_TANH))
_ERF_TANH = tuple(np.asarray(c, FLOAT32) for c in _ERF_TANH)  # arrays, for they are added faster than Python numbers
_HALF = np.asarray(0.5, FLOAT32)

# |x| < 1: erf(x) = x T(x^2) / U(x^2)
_T = (
    9.60497373987051638749, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
    5.55923013010394962768e4,
)  # fmt: skip
_U = (
    1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3, 2.26290000613890934246e4,
    4.92673942608635921086e4,
)  # fmt: skip
# 1 <= x < 8: erfc(x) = exp(-x^2) P(x) / Q(x);  8 <= x: exp(-x^2) R(x) / S(x)
_P = (
    2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687, 4.86371970985681366614e1,
    1.96520832956077098242e2, 5.26445194995477358631e2, 9.34528527171957607540e2, 1.02755188689515710272e3,
    5.57535335369399327526e2,
)  # fmt: skip
_Q = (
    1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2, 9.75708501743205489753e2,
    1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3, 5.57535340817727675546e2,
)  # fmt: skip
_R = (
    5.64189583547755073984e-1, 1.27536670759978104416, 5.01905042251180477414, 6.16021097993053585195, 7.40974269950448939160,
    2.97886665372100240670,
)  # fmt: skip
_S = (
    1.0, 2.26052863220117276590, 9.39603524938001434673, 1.20489539808096656605e1, 1.70814450747565897222e1,
    9.60896809063285878198, 3.36907645100081516050,
)  # fmt: skip


def _erf_small(x: Any) -> Any:
    z = x * x
    return x * polynomial(z, _T) / polynomial(z, _U)


def _erfc_large(x: Any) -> Any:
    """erfc for x >= 1. exp(-x^2) as exp(-h^2) exp(-(x-h)(x+h)), with h^2 exact, or it would lose two digits at x = 20."""
    x = np.minimum(x, 30.0)
    h = x.astype(FLOAT32).astype(FLOAT64)
    e = np.exp(-h * h) * np.exp((h - x) * (h + x))
    near = polynomial(x, _P) / polynomial(x, _Q)
    return e * np.where(x < 8, near, polynomial(x, _R) / polynomial(x, _S))


def _erfc_double(x: Any) -> Any:
    out = 1.0 - _erf_small(np.clip(x, -1.0, 1.0))
    large = np.abs(x) > 1.0
    if large.any():
        v = x[large]
        tail = _erfc_large(np.abs(v))
        out[large] = np.where(v > 0, tail, 2.0 - tail)
    return out


def _erf_double(x: Any) -> Any:
    out = _erf_small(np.clip(x, -1.0, 1.0))
    large = np.abs(x) > 1.0
    if large.any():
        v = x[large]
        out[large] = np.copysign(1.0 - _erfc_large(np.abs(v)), v)
    return out


@wide
def erf(x: Any) -> Any:
    """The error function."""
    if x.dtype is FLOAT64:
        return _erf_double(x)
    out = polynomial(x * x, _ERF_TANH)
    out *= x
    return np.tanh(out, out=out)


@double
def erfc(x: Any) -> Any:
    """1 - erf(x), accurate where that is small."""
    return _erfc_double(x)


@wide
def ndtr(x: Any) -> Any:
    """The distribution function of the standard normal distribution."""
    if x.dtype is FLOAT64:
        return _erfc_double(x * -math.sqrt(0.5)) * 0.5
    out = polynomial(x * x, NDTR_TANH)
    out *= x
    np.tanh(out, out=out)
    out *= _HALF
    out += _HALF
    return out


@double
def erfinv(x: Any) -> Any:
    """The inverse of erf: a rational start, then Newton's method, on erfc where x is near 1."""
    a = np.abs(x)
    z = np.minimum(a, 0.7) ** 2
    centre = a * polynomial(z, (-0.140543331, 0.914624893, -1.645349621, 0.886226899))
    centre /= polynomial(z, (0.012229801, -0.329097515, 1.442710462, -2.118377725, 1.0))
    rest = 1.0 - a  # exact for a >= 0.5
    z = np.sqrt(-np.log(np.clip(rest, 1e-300, 0.3) * 0.5))
    tail = polynomial(z, (1.641345311, 3.429567803, -1.624906493, -1.970840454)) / polynomial(z, (1.637067800, 3.543889200, 1.0))
    out = np.where(a <= 0.7, centre, tail)
    for _ in range(2):
        error = np.where(a < 0.5, _erf_double(out) - a, rest - _erfc_double(out))
        error /= np.exp(-out * out) * (2 / math.sqrt(math.pi))
        out -= error / (1.0 + out * error)  # Halley's correction
    out = np.where(a == 1.0, np.inf, out)
    return np.copysign(np.where(a > 1.0, np.nan, out), x)


# -- the gamma function and its derivatives ----------------------------------------------------------------------------

_LGAMMA_STIRLING = (
    8.11614167470508450300e-4, -5.95061904284301438324e-4, 7.93650340457716943945e-4, -2.77777777730099687205e-3,
    8.33333333333331927722e-2,
)  # fmt: skip
# 2 <= x < 3: lgamma(x) = (x - 2) B(x - 2) / C(x - 2)
_B = (
    -1.37825152569120859100e3, -3.88016315134637840924e4, -3.31612992738871184744e5, -1.16237097492762307383e6,
    -1.72173700820839662146e6, -8.53555664245765465627e5,
)  # fmt: skip
_C = (
    1.0, -3.51815701436523470549e2, -1.70642106651881159223e4, -2.20528590553854454839e5, -1.13933444367982507207e6,
    -2.53252307177582951285e6, -2.01889141433532773231e6,
)  # fmt: skip


# lgamma(1 + e) = -gamma e + sum of zeta(k) (-e)^k / k
_ZETA = (
    1.6449340668482264, 1.2020569031595943, 1.0823232337111382, 1.03692775514337, 1.0173430619844491, 1.0083492773819228,
    1.0040773561979443, 1.0020083928260822, 1.0009945751278181, 1.0004941886041195, 1.000246086553308, 1.0001227133475785,
)  # fmt: skip
_LGAMMA_1 = tuple((-1) ** k * z / k for k, z in reversed(list(enumerate(_ZETA, 2)))) + (-0.5772156649015329,)


def _lgamma_positive(x: Any) -> Any:
    """log gamma(x) for x >= 0: Stirling's series, or below 13 the recurrence into [2, 3)."""
    big = np.maximum(x, 13.0)
    inverse = 1.0 / (big * big)
    out = (big - 0.5) * np.log(big) - big + 0.5 * math.log(2 * math.pi) + polynomial(inverse, _LGAMMA_STIRLING) / big
    out = np.where(x == np.inf, np.inf, out)
    small = x < 13.0
    if small.any():
        v = x[small]
        factor = np.ones_like(v)
        for _ in range(10):
            above = v >= 3.0
            v = v - above
            factor *= np.where(above, v, 1.0)
        for _ in range(2):
            below = v < 2.0
            factor /= np.where(below, v, 1.0)
            v = v + below
        v = v - 2.0
        out[small] = v * polynomial(v, _B) / polynomial(v, _C) + np.log(factor)
    near = np.abs(np.abs(x - 1.5) - 0.5) < 0.06
    if near.any():  # at 1 and 2 it is zero: only the series around them keeps the relative precision
        v = x[near]
        e = np.where(v < 1.5, v - 1.0, v - 2.0)
        out[near] = e * polynomial(e, _LGAMMA_1) + np.where(v < 1.5, 0.0, np.log1p(e))
    return out


@double
def lgamma(x: Any) -> Any:
    """log |gamma(x)|, infinite at 0, -1, -2 ..."""
    out = _lgamma_positive(np.where(x < 0, 1.0 - x, x))
    negative = x < 0
    if negative.any():
        v = x[negative]
        part = np.abs(v - np.rint(v))  # sin has its zeros where part is 0
        infinite = (part == 0) | (v == -np.inf)
        out[negative] = np.where(infinite, np.inf, math.log(math.pi) - np.log(np.sin(math.pi * part)) - out[negative])
    return out


_DIGAMMA = (
    8.33333333333333333333e-2, -2.10927960927960927961e-2, 7.57575757575757575758e-3, -4.16666666666666666667e-3,
    3.96825396825396825397e-3, -8.33333333333333333333e-3, 8.33333333333333333333e-2,
)  # fmt: skip


@double
def digamma(x: Any) -> Any:
    """The derivative of log gamma(x): recurrence up to 10, then the asymptotic series; reflection for x < 0."""
    negative = x < 0
    v = np.where(negative, 1.0 - x, x)
    shift = np.zeros_like(v)
    for _ in range(10):
        below = v < 10.0
        if not below.any():
            break
        shift += np.where(below, 1.0 / v, 0.0)
        v = v + below
    z = 1.0 / (v * v)
    out = np.log(v) - 0.5 / v - z * polynomial(z, _DIGAMMA) - shift
    out = np.where(v == np.inf, np.inf, out)
    part = x - np.trunc(x)
    reflected = out - math.pi / np.tan(math.pi * part)
    out = np.where(negative, np.where(part == 0, np.nan, reflected), out)
    return np.where(x == 0, np.copysign(np.inf, -x), out)


_BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330]


def _hurwitz_zeta(s: int, q: Any) -> Any:
    """The sum of (q + k)^-s over k >= 0: the first terms, then the Euler-Maclaurin formula."""
    total = np.zeros_like(q)
    v = q.copy()
    first = max(0, math.floor(float(np.nanmin(np.where(np.isfinite(v), v, 0.0), initial=0.0))) * -1) + 12
    for _ in range(first):
        below = v < 12.0
        total += np.where(below, v**-s, 0.0)
        v = v + below
    out = total + v ** (1.0 - s) / (s - 1) + 0.5 * v**-s
    rising = float(s)
    for k, b in enumerate(_BERNOULLI, 1):  # b * s (s+1) ... (s+2k-2) / (2k)! * v^(1-s-2k)
        out += b / math.factorial(2 * k) * rising * v ** (1.0 - s - 2 * k)
        rising *= (s + 2 * k - 1) * (s + 2 * k)
    return out


def polygamma(x: Any, *, n: int) -> Any:
    """The n-th derivative of digamma."""
    return digamma(x) if n == 0 else _polygamma(x, n=n)


@double
def _polygamma(x: Any, *, n: int) -> Any:
    if n == 1:  # reflection keeps the number of terms small
        negative = x < 0.5
        out = _hurwitz_zeta(2, np.where(negative, 1.0 - x, x))
        return np.where(negative, (math.pi / np.sin(math.pi * x)) ** 2 - out, out)
    sign = 1.0 if n % 2 else -1.0
    poles = (x <= 0) & (x == np.floor(x))
    return sign * math.factorial(n) * np.where(poles, np.inf, _hurwitz_zeta(n + 1, np.where(poles, 1.0, x)))
