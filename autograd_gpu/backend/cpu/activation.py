"""Words for activation functions: a few passes over the array each, into their own temporaries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .special import FLOAT32, FLOAT64, erf, ndtr, wide

_ONE = {FLOAT32: np.ones((), FLOAT32), FLOAT64: np.ones((), FLOAT64)}  # an array is 200 ns cheaper than a Python number

__all__ = [
    "elu", "gelu", "gelu_tanh", "hardshrink", "hardsigmoid", "hardswish", "leaky_relu", "logsigmoid", "mish", "sigmoid", "silu",
    "softplus", "softshrink", "softsign", "tanhshrink",
]  # fmt: skip


def _sigmoid(x: Any) -> Any:
    # 1 / (1 + exp(-x)) keeps its relative precision on both sides, which (1 + tanh(x/2)) / 2 does not; exp may overflow
    out = np.negative(x)
    np.exp(out, out=out)
    out += _ONE[out.dtype]
    return np.reciprocal(out, out=out)


def _log1p_exp(x: Any) -> Any:
    """log(1 + exp(x))."""
    out = np.abs(x)
    np.negative(out, out=out)
    np.exp(out, out=out)
    np.log1p(out, out=out)
    out += np.maximum(x, 0)
    return out


@wide
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return _sigmoid(x)


@wide(ints=False)
def silu(x: Any) -> Any:
    """x sigmoid(x)."""
    out = _sigmoid(x)
    out *= x
    return out


@wide(ints=False)
def gelu(x: Any) -> Any:
    """x times the normal distribution function of x."""
    if x.dtype is FLOAT64:
        out = erf(x * math.sqrt(0.5))
        out += 1.0
        out *= 0.5
    else:
        out = ndtr(x)
    out *= x
    return out


@wide(ints=False)
def gelu_tanh(x: Any) -> Any:
    """gelu by a tanh approximation."""
    k = math.sqrt(2 / math.pi)
    out = x * x
    out *= 0.044715 * k
    out += k
    out *= x
    np.tanh(out, out=out)
    out += 1.0
    out *= x
    out *= 0.5
    return out


@wide(ints=False)
def mish(x: Any) -> Any:
    """x tanh(softplus(x)). With e = exp(x), the tanh is n / (n + 2) for n = e (e + 2)."""
    out = np.exp(np.minimum(x, 20.0))
    out *= out + 2.0
    out /= out + 2.0
    out *= x
    return out


@wide(ints=False)
def softplus(x: Any, *, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta x)) / beta, x itself where beta x > threshold."""
    if beta == 1.0 and threshold >= 40.0:  # where they are equal by rounding
        return _log1p_exp(x)
    z = x if beta == 1.0 else x * beta
    out = _log1p_exp(z)
    if beta != 1.0:
        out /= beta
    linear = z > threshold
    if linear.any():
        np.copyto(out, x, where=linear)
    return out


@wide(ints=False)
def logsigmoid(x: Any) -> Any:
    """log(sigmoid(x))."""
    out = _log1p_exp(-x)
    return np.negative(out, out=out)


@wide(ints=False)
def softsign(x: Any) -> Any:
    """x / (1 + |x|)."""
    out = np.abs(x)
    out += 1.0
    return np.divide(x, out, out=out)


@wide(ints=False)
def tanhshrink(x: Any) -> Any:
    """x - tanh(x)."""
    out = np.tanh(x)
    return np.subtract(x, out, out=out)


@wide(ints=False)
def elu(x: Any, *, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    """scale x for x > 0, else scale alpha (exp(input_scale x) - 1)."""
    out = np.minimum(x, 0.0)
    if input_scale != 1.0:
        out *= input_scale
    np.expm1(out, out=out)
    if alpha != 1.0:
        out *= alpha
    out += np.maximum(x, 0.0)
    if scale != 1.0:
        out *= scale
    return out


@wide(ints=False)
def leaky_relu(x: Any, *, negative_slope: float = 0.01) -> Any:
    """x for x > 0, else negative_slope x."""
    out = x * negative_slope
    return np.maximum(x, out, out=out) if negative_slope <= 1 else np.minimum(x, out, out=out)


@wide(ints=False)
def hardsigmoid(x: Any) -> Any:
    """(x + 3) / 6 between 0 and 1."""
    out = x + 3.0
    np.maximum(out, 0.0, out=out)
    np.minimum(out, 6.0, out=out)
    out *= 1 / 6
    return out


@wide(ints=False)
def hardswish(x: Any) -> Any:
    """x hardsigmoid(x)."""
    out = x + 3.0
    np.maximum(out, 0.0, out=out)
    np.minimum(out, 6.0, out=out)
    out *= x
    out *= 1 / 6
    return out


@wide(ints=False)
def softshrink(x: Any, *, lambd: float = 0.5) -> Any:
    """x - lambd above lambd, x + lambd below -lambd, 0 between."""
    out = np.minimum(x, lambd)
    np.maximum(out, -lambd, out=out)
    return np.subtract(x, out, out=out)


@wide(ints=False)
def hardshrink(x: Any, *, lambd: float = 0.5) -> Any:
    """x outside [-lambd, lambd], 0 inside."""
    return x * ((x > lambd) | (x < -lambd) | (x != x))
