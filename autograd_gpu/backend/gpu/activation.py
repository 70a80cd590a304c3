"""Words for activation functions: one kernel each. Formulas are chosen to keep their precision at both ends."""

from __future__ import annotations

from typing import Any

from .build import floating, function

__all__ = [
    "elu", "gelu", "gelu_tanh", "hardshrink", "hardsigmoid", "hardswish", "leaky_relu", "logsigmoid", "mish", "sigmoid", "silu",
    "softplus", "softshrink", "softsign", "tanhshrink",
]  # fmt: skip

_LOG1P_EXP = """
template <class A> __device__ A log1p_exp(A x) {
  const A size = x < 0 ? x : -x;
  return (x > 0 || x != x ? x : A(0)) + log1p(exp(size));
}
template <class A> __device__ A between(A x, A low, A high) { return smaller(larger(x, low), high); }
"""

_sigmoid = function("sigmoid", "1 / (1 + exp(-x))")
_silu = function("silu", "x / (1 + exp(-x))")
_gelu = function("gelu", "x * A(0.5) * erfc(x * A(-0.70710678118654752))")
_gelu_tanh = function("gelu_tanh", "A(0.5) * x * (1 + tanh(A(0.79788456080286536) * x * (1 + A(0.044715) * x * x)))")
_mish = function("mish", "x * mish_factor(exp(smaller(x, A(20))))", preamble="""
template <class A> __device__ A mish_factor(A e) { return e * (e + 2) / (e * (e + 2) + 2); }  // tanh(log(1 + e))
""")  # fmt: skip
_softplus = function("softplus", "x * beta > threshold ? x : log1p_exp(x * beta) / beta", "beta threshold", _LOG1P_EXP)
_logsigmoid = function("logsigmoid", "-log1p_exp(-x)", preamble=_LOG1P_EXP)
_softsign = function("softsign", "x / (1 + (x < 0 ? -x : x))")
_tanhshrink = function("tanhshrink", "x - tanh(x)")
_elu = function("elu", "scale * (x > 0 ? x : alpha * expm1(input_scale * x))", "alpha scale input_scale")
_leaky_relu = function("leaky_relu", "x > 0 ? x : slope * x", "slope")
_hardsigmoid = function("hardsigmoid", "between(x + 3, A(0), A(6)) / 6", preamble=_LOG1P_EXP)
_hardswish = function("hardswish", "x * between(x + 3, A(0), A(6)) / 6", preamble=_LOG1P_EXP)
_softshrink = function("softshrink", "x - between(x, -lambd, lambd)", "lambd", _LOG1P_EXP)
_hardshrink = function("hardshrink", "x > lambd || x < -lambd || x != x ? x : A(0)", "lambd")


@floating
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return _sigmoid(x)


@floating(ints=False)
def silu(x: Any) -> Any:
    """x sigmoid(x)."""
    return _silu(x)


@floating(ints=False)
def gelu(x: Any) -> Any:
    """x times the normal distribution function of x."""
    return _gelu(x)


@floating(ints=False)
def gelu_tanh(x: Any) -> Any:
    """gelu by a tanh approximation."""
    return _gelu_tanh(x)


@floating(ints=False)
def mish(x: Any) -> Any:
    """x tanh(softplus(x)). With e = exp(x), the tanh is n / (n + 2) for n = e (e + 2)."""
    return _mish(x)


@floating(ints=False)
def softplus(x: Any, *, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta x)) / beta, x itself where beta x > threshold."""
    return _softplus(x, float(beta), float(threshold))


@floating(ints=False)
def logsigmoid(x: Any) -> Any:
    """log(sigmoid(x))."""
    return _logsigmoid(x)


@floating(ints=False)
def softsign(x: Any) -> Any:
    """x / (1 + |x|)."""
    return _softsign(x)


@floating(ints=False)
def tanhshrink(x: Any) -> Any:
    """x - tanh(x)."""
    return _tanhshrink(x)


@floating(ints=False)
def elu(x: Any, *, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    """scale x for x > 0, else scale alpha (exp(input_scale x) - 1)."""
    return _elu(x, float(alpha), float(scale), float(input_scale))


@floating(ints=False)
def leaky_relu(x: Any, *, negative_slope: float = 0.01) -> Any:
    """x for x > 0, else negative_slope x."""
    return _leaky_relu(x, float(negative_slope))


@floating(ints=False)
def hardsigmoid(x: Any) -> Any:
    """(x + 3) / 6 between 0 and 1."""
    return _hardsigmoid(x)


@floating(ints=False)
def hardswish(x: Any) -> Any:
    """x hardsigmoid(x)."""
    return _hardswish(x)


@floating(ints=False)
def softshrink(x: Any, *, lambd: float = 0.5) -> Any:
    """x - lambd above lambd, x + lambd below -lambd, 0 between."""
    return _softshrink(x, float(lambd))


@floating(ints=False)
def hardshrink(x: Any, *, lambd: float = 0.5) -> Any:
    """x outside [-lambd, lambd], 0 inside."""
    return _hardshrink(x, float(lambd))
