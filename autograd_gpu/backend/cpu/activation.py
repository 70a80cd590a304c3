"""Words for activation functions, and their gradients in place: chains of ufuncs over blocks that stay in the cache.

A kernel `kernel(x, out, **options)` writes its result for float32 and float64 arrays; `out` is none of its inputs. `_word` makes
a word of it, `_gradient` the fused backward of an op, which equals the op's rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np

from ..residue import Unwritten
from .arrays import memory
from .special import FLOAT32, FLOAT64, NDTR_TANH, erf, other_dtypes

try:  # the ufunc: np.clip is 1.5 microseconds of Python around it
    from numpy._core.umath import clip as _clip
except ImportError:
    _clip = np.clip

__all__ = [
    "elu", "gelu", "gelu_tanh", "hardshrink", "hardsigmoid", "hardswish", "leaky_relu", "logsigmoid", "mish", "sigmoid", "silu",
    "softplus", "softshrink", "softsign", "tanhshrink",
]  # fmt: skip

_BLOCK = 1 << 18  # bytes: a chain of ufuncs over a few such blocks stays in the cache
_FEW = 1 << 11  # elements
_empty, _empty_like = np.empty, np.empty_like


class Numbers:
    """Numbers as arrays of a dtype: a ufunc takes them 200 ns faster than Python's."""

    def __init__(self, dtype: Any):
        def number(value: float) -> Any:
            return np.asarray(value, dtype)

        k = math.sqrt(2 / math.pi)
        self.zero, self.half, self.one, self.two, self.three, self.four = map(number, (0, 0.5, 1, 2, 3, 4))
        self.six, self.twenty, self.sixth, self.third = map(number, (6, 20, 1 / 6, 1 / 3))
        self.dense, self.minus_quarter_pi = map(number, (k, -math.pi / 4))
        self.k, self.kc, self.half_k, self.half_kc3 = map(number, (k, 0.044715 * k, 0.5 * k, 1.5 * 0.044715 * k))
        self.minus_half, self.log_density, self.least = map(number, (-0.5, -0.5 * math.log(2 * math.pi), 1e-30))
        self.inf = number(np.inf)


_NUMBERS = {dtype: Numbers(dtype) for dtype in (FLOAT32, FLOAT64)}


def _word(kernel: Callable | None = None, *, ints: bool = False) -> Any:
    """The word that a kernel computes. Narrower floats are computed in float32, integers too (or refused)."""
    if kernel is None:
        return lambda kernel: _word(kernel, ints=ints)

    @wraps(kernel)
    def word(x: Any, **options: Any) -> Any:
        dtype = x.dtype
        if dtype is not FLOAT32 and dtype is not FLOAT64:
            return other_dtypes(word, x, ints, options)
        if not x.ndim:
            return word(x.reshape(1), **options).reshape(())
        out = _empty_like(x)
        if x.nbytes <= _BLOCK or not x.flags.c_contiguous:
            kernel(x, out, **options)
            return out
        flat, flat_out, step = x.reshape(-1), out.reshape(-1), _BLOCK // dtype.itemsize
        for i in range(0, x.size, step):
            kernel(flat[i : i + step], flat_out[i : i + step], **options)
        return out

    given = signature(kernel)
    word.__signature__ = given.replace(parameters=[p for p in given.parameters.values() if p.name != "out"])
    return word


def _gradient(
    kernel: Callable, saved: str, takes: Callable | None = None, least: int = _FEW, from_both: Callable | None = None
) -> tuple[None, Callable]:
    """The fused backward of an op of one input that saves `saved`, by `kernel(g, s, out, **options)`, from `least` elements on:
    below, the rule is as fast. `takes(dtype, **options)` says for which options. Where the residue is the output, it is found by
    `from_both(g, x, y, out)`."""

    def run(g: Any, s: Any, options: dict[str, Any], kernel: Callable = kernel, *more: Any) -> Any:
        dtype = s.dtype
        if dtype is not g.dtype or (dtype is not FLOAT32 and dtype is not FLOAT64) or not s.ndim or s.shape != g.shape:
            return NotImplemented
        if takes is not None and not takes(dtype, **options):
            return NotImplemented
        out = _empty_like(s)
        if s.nbytes <= _BLOCK:
            kernel(g, s, *more, out, **options)
            return (out,)
        if not s.flags.c_contiguous or not g.flags.c_contiguous:
            return NotImplemented
        flat, step = [a.reshape(-1) for a in (g, s, *more, out)], _BLOCK // dtype.itemsize
        for i in range(0, s.size, step):
            kernel(*[a[i : i + step] for a in flat], **options)
        return (out,)

    def of_out(xp: Any, g: Any, needed: Any, out: Any, **options: Any) -> Any:
        return run(g, out, options)

    def of_x(xp: Any, g: Any, needed: Any, x: Any, residue: Any = None, **options: Any) -> Any:
        return run(g, x, options) if residue is None or residue.array is None else run(g, x, options, from_both, residue.array)

    backward: Any = of_out if saved == "out" else of_x
    backward.least = least
    return None, backward


# -- smooth ones ---------------------------------------------------------------------------------------------------------


def _sigmoid(x: Any, out: Any) -> Any:
    # 1 / (1 + exp(-x)) keeps its relative precision on both sides, which (1 + tanh(x/2)) / 2 does not; exp may overflow
    np.negative(x, out)
    np.exp(out, out)
    np.add(out, _NUMBERS[out.dtype].one, out)
    return np.reciprocal(out, out)


def _log1p_exp(x: Any, out: Any, beta: float = 1.0) -> None:
    """log(1 + exp(beta x)) / beta."""
    numbers = _NUMBERS[x.dtype]
    np.absolute(x if beta == 1.0 else x * beta, out)
    np.negative(out, out)
    np.exp(out, out)
    np.log1p(out, out)
    if beta != 1.0:
        out /= beta
    np.add(out, _clip(x, numbers.zero, numbers.inf) if beta > 0 else _clip(x, -numbers.inf, numbers.zero), out)


@_word(ints=True)
def sigmoid(x: Any, out: Any) -> None:
    """1 / (1 + exp(-x))."""
    _sigmoid(x, out)


def _sigmoid_out(g: Any, s: Any, out: Any) -> None:
    np.multiply(g, s, out)
    np.subtract(g, out, out)
    np.multiply(out, s, out)


def _tanh_out(g: Any, s: Any, out: Any) -> None:
    np.multiply(s, s, out)
    np.subtract(_NUMBERS[out.dtype].one, out, out)
    np.multiply(out, g, out)


@_word
def silu(x: Any, out: Any) -> None:
    """x sigmoid(x)."""
    np.negative(x, out)
    np.exp(out, out)
    np.add(out, _NUMBERS[out.dtype].one, out)
    np.divide(x, out, out)


def _silu_x(g: Any, x: Any, out: Any) -> None:
    one = _NUMBERS[out.dtype].one
    rest = np.subtract(one, _sigmoid(x, out))
    np.multiply(rest, x, rest)
    np.add(rest, one, rest)
    np.multiply(out, rest, out)
    np.multiply(out, g, out)


def _ndtr_of(scale: float) -> tuple[tuple[Any, ...], Any]:
    """What `_twice_ndtr_less_one` needs to take scale * x for x: coefficients of float32, and a factor for float64."""
    powers = zip(range(13, 0, -2), NDTR_TANH, strict=True)
    return tuple(np.asarray(float(c) / scale**k, FLOAT32) for k, c in powers), np.asarray(math.sqrt(0.5) / scale, FLOAT64)


# times the second scale, x exp(-x^2 / 2) is twice x times the normal density
_OF_HALF, _OF_DENSE = _ndtr_of(0.5), _ndtr_of(math.sqrt(2 / math.pi))


def _twice_ndtr_less_one(w: Any, z: Any, out: Any, scaled: tuple[tuple[Any, ...], Any]) -> None:
    """2 ndtr(x) - 1, from w = scale * x, z = w^2: tanh(x R(x^2)) for a polynomial R in float32, erf(x / sqrt(2)) in float64."""
    coefficients, factor = scaled
    if out.dtype is FLOAT32:
        np.multiply(z, coefficients[0], out)
        for c in coefficients[1:-1]:
            np.add(out, c, out)
            np.multiply(out, z, out)
        np.add(out, coefficients[-1], out)
        np.multiply(out, w, out)
        np.tanh(out, out)
    else:
        np.copyto(out, erf(w * factor))


@_word
def gelu(x: Any, out: Any) -> None:
    """x times the normal distribution function of x."""
    h = np.multiply(x, _NUMBERS[out.dtype].half)
    _twice_ndtr_less_one(h, np.multiply(h, h), out, _OF_HALF)
    np.multiply(out, h, out)
    np.add(out, h, out)


def _gelu_x(g: Any, x: Any, out: Any) -> None:
    numbers = _NUMBERS[out.dtype]
    w = np.multiply(x, numbers.dense)
    z = np.multiply(w, w)
    _twice_ndtr_less_one(w, z, out, _OF_DENSE)
    np.multiply(z, numbers.minus_quarter_pi, z)
    np.exp(z, z)
    np.multiply(z, w, z)
    np.add(out, z, out)
    np.add(out, numbers.one, out)
    np.multiply(out, numbers.half, out)
    np.multiply(out, g, out)


def _gelu_forward(x: Any) -> Any:
    """The forward of `gelu`. Its residue is the output, which over x is the distribution function: a linear layer behind it
    keeps that anyway."""
    out = gelu(x)
    return (out, Unwritten(out, memory(out))) if x.size >= _FEW and x.dtype in _NUMBERS else out


def _gelu_x_out(g: Any, x: Any, y: Any, out: Any) -> None:
    """`_gelu_x` from the output too."""
    numbers = _NUMBERS[out.dtype]
    z = np.multiply(x, x)
    if not np.minimum.reduce(z, None) > numbers.least:  # 0 over 0, and numbers of few digits
        return _gelu_x(g, x, out)
    np.multiply(z, numbers.minus_half, z)
    np.add(z, numbers.log_density, z)
    np.exp(z, z)
    np.multiply(z, x, z)
    np.divide(y, x, out)
    np.add(z, out, z)
    np.multiply(z, g, out)


@_word
def gelu_tanh(x: Any, out: Any) -> None:
    """gelu by a tanh approximation."""
    numbers = _NUMBERS[out.dtype]
    _tanh_of_cubic(x, np.multiply(x, x), out, numbers)
    np.add(out, numbers.one, out)
    np.multiply(out, x, out)
    np.multiply(out, numbers.half, out)


def _tanh_of_cubic(x: Any, z: Any, out: Any, numbers: Numbers) -> None:
    np.multiply(z, numbers.kc, out)
    np.add(out, numbers.k, out)
    np.multiply(out, x, out)
    np.tanh(out, out)


def _gelu_tanh_x(g: Any, x: Any, out: Any) -> None:
    # (1 + t) (1 + w (1 - t)) / 2 for t = tanh(u), w = x u'
    numbers = _NUMBERS[out.dtype]
    z = np.multiply(x, x)
    _tanh_of_cubic(x, z, out, numbers)
    np.multiply(z, numbers.half_kc3, z)
    np.add(z, numbers.half_k, z)
    np.multiply(z, x, z)
    rest = np.subtract(numbers.one, out)
    np.multiply(z, rest, z)
    np.add(z, numbers.half, z)
    np.add(out, numbers.one, out)
    np.multiply(out, z, out)
    np.multiply(out, g, out)


@_word
def mish(x: Any, out: Any) -> None:
    """x tanh(softplus(x)). With e = exp(x), the tanh is n / (n + 2) for n = e (e + 2)."""
    numbers = _NUMBERS[out.dtype]
    _clip(x, -numbers.inf, numbers.twenty, out)
    np.exp(out, out)
    n = np.add(out, numbers.two)
    np.multiply(n, out, n)
    np.add(n, numbers.two, out)
    np.divide(n, out, out)
    np.multiply(out, x, out)


def _mish_x(g: Any, x: Any, out: Any) -> None:
    # e ((e + 2) d + 4 x (1 + e)) / d^2 for d = n + 2
    numbers = _NUMBERS[out.dtype]
    x = _clip(x, -numbers.inf, numbers.twenty)
    e = np.exp(x)
    np.add(e, numbers.two, out)
    d = np.multiply(e, out)
    np.add(d, numbers.two, d)
    np.multiply(out, d, out)
    np.multiply(x, numbers.four, x)
    np.add(out, x, out)
    np.multiply(x, e, x)
    np.add(out, x, out)
    np.multiply(out, e, out)
    np.multiply(d, d, d)
    np.divide(out, d, out)
    np.multiply(out, g, out)


@_word
def softplus(x: Any, out: Any, *, beta: float = 1.0, threshold: float = 20.0) -> None:
    """log(1 + exp(beta x)) / beta, x itself where beta x > threshold."""
    _log1p_exp(x, out, beta)
    if threshold < (20.0 if x.dtype is FLOAT32 else 40.0):  # above, they are equal by rounding
        linear = x * beta > threshold
        if linear.any():
            np.copyto(out, x, where=linear)


def _softplus_x(g: Any, x: Any, out: Any, beta: float = 1.0, threshold: float = 20.0) -> None:
    np.multiply(_sigmoid(x, out), g, out)


def _is_sigmoid(dtype: Any, beta: float = 1.0, threshold: float = 20.0) -> bool:
    return beta == 1.0 and threshold >= (20.0 if dtype is FLOAT32 else 40.0)


@_word
def logsigmoid(x: Any, out: Any) -> None:
    """log(sigmoid(x))."""
    _log1p_exp(np.negative(x), out)
    np.negative(out, out)


def _logsigmoid_out(g: Any, s: Any, out: Any) -> None:
    np.expm1(s, out)
    np.multiply(out, g, out)
    np.negative(out, out)


@_word
def softsign(x: Any, out: Any) -> None:
    """x / (1 + |x|)."""
    np.absolute(x, out)
    np.add(out, _NUMBERS[out.dtype].one, out)
    np.divide(x, out, out)


@_word
def tanhshrink(x: Any, out: Any) -> None:
    """x - tanh(x)."""
    np.tanh(x, out)
    np.subtract(x, out, out)


@_word
def elu(x: Any, out: Any, *, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> None:
    """scale x for x > 0, else scale alpha (exp(input_scale x) - 1)."""
    numbers = _NUMBERS[out.dtype]
    _clip(x, -numbers.inf, numbers.zero, out)
    if input_scale != 1.0:
        out *= input_scale
    np.expm1(out, out)
    if alpha != 1.0:
        out *= alpha
    np.add(out, _clip(x, numbers.zero, numbers.inf), out)
    if scale != 1.0:
        out *= scale


def _elu_out(g: Any, s: Any, out: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> None:
    numbers = _NUMBERS[out.dtype]
    at_zero = alpha * scale * input_scale
    _clip(s, -numbers.inf, numbers.zero, out)
    if input_scale != 1.0:
        out *= input_scale
    out += at_zero
    if at_zero != scale:
        np.add(out, np.multiply(s > numbers.zero, out.dtype.type(scale - at_zero)), out)
    np.multiply(out, g, out)


# -- piecewise linear ones -----------------------------------------------------------------------------------------------


@_word
def leaky_relu(x: Any, out: Any, *, negative_slope: float = 0.01) -> None:
    """x for x > 0, else negative_slope x."""
    np.multiply(x, negative_slope, out)
    (np.maximum if negative_slope <= 1 else np.minimum)(x, out, out=out)


def _leaky_relu_out(g: Any, s: Any, out: Any, negative_slope: float) -> None:
    np.multiply(s > _NUMBERS[out.dtype].zero, out.dtype.type(1 - negative_slope), out)
    out += negative_slope
    np.multiply(out, g, out)


def _hardsigmoid(x: Any, out: Any) -> None:
    """(x + 3), limited to 0 and 6."""
    numbers = _NUMBERS[out.dtype]
    np.add(x, numbers.three, out)
    _clip(out, numbers.zero, numbers.six, out)


@_word
def hardsigmoid(x: Any, out: Any) -> None:
    """(x + 3) / 6 between 0 and 1."""
    _hardsigmoid(x, out)
    np.multiply(out, _NUMBERS[out.dtype].sixth, out)


@_word
def hardswish(x: Any, out: Any) -> None:
    """x hardsigmoid(x)."""
    _hardsigmoid(x, out)
    np.multiply(out, x, out)
    np.multiply(out, _NUMBERS[out.dtype].sixth, out)


def _hardswish_x(g: Any, x: Any, out: Any) -> None:
    numbers = _NUMBERS[out.dtype]
    _clip(x, -numbers.three, numbers.three, out)
    np.multiply(out, numbers.third, out)
    np.add(out, numbers.half, out)
    np.multiply(out, np.abs(x) < numbers.three, out)
    np.add(out, x >= numbers.three, out)
    np.multiply(out, g, out)


@_word
def softshrink(x: Any, out: Any, *, lambd: float = 0.5) -> None:
    """x - lambd above lambd, x + lambd below -lambd, 0 between."""
    limit = x.dtype.type(lambd)
    _clip(x, -limit, limit, out)
    np.subtract(x, out, out)


@_word
def hardshrink(x: Any, out: Any, *, lambd: float = 0.5) -> None:
    """x outside [-lambd, lambd], 0 inside."""
    np.multiply(x, (x > lambd) | (x < -lambd) | (x != x), out)


def _huber(x: Any, out: Any, *, delta: float) -> None:
    """x^2 / 2 up to delta, and delta (|x| - delta / 2) above."""
    limit, numbers = x.dtype.type(delta), _NUMBERS[x.dtype]
    near = _clip(x, -limit, limit)
    np.multiply(near, numbers.half, out)
    np.subtract(x, out, out)
    np.multiply(out, near, out)


def _huber_x(g: Any, x: Any, out: Any, delta: float) -> None:
    limit = x.dtype.type(delta)
    np.multiply(_clip(x, -limit, limit, out), g, out)


_huber_word = _word(_huber)


def _huber_forward(x: Any, *, delta: float) -> Any:
    return _huber_word(x, delta=delta) if x.dtype in _NUMBERS and x.size >= _FEW else NotImplemented


ACTIVATIONS = {
    "huber": (_huber_forward, _gradient(_huber_x, "x")[1]),
    "elu": _gradient(_elu_out, "out"),
    "gelu": (_gelu_forward, _gradient(_gelu_x, "x", from_both=_gelu_x_out)[1]),
    "gelu_tanh": _gradient(_gelu_tanh_x, "x"),
    "hardswish": _gradient(_hardswish_x, "x"),
    "leaky_relu": _gradient(_leaky_relu_out, "out"),
    "logsigmoid": _gradient(_logsigmoid_out, "out"),
    "mish": _gradient(_mish_x, "x", least=0),
    "sigmoid": _gradient(_sigmoid_out, "out"),
    "silu": _gradient(_silu_x, "x"),
    "softplus": _gradient(_softplus_x, "x", _is_sigmoid, least=0),
    "tanh": _gradient(_tanh_out, "out"),
}
