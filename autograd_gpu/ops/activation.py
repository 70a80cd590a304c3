"""Activation functions: torch's and those of torch.nn.functional. With inplace=True the result is written into the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.graph import words
from ..core.inplace import in_place
from ..core.primitive import elementwise
from ..core.tensor import Tensor
from .arguments import axis_of
from .limits import passed
from .random import rand_like

__all__ = [
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish",
    "prelu", "relu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softplus", "softshrink", "softsign", "tanhshrink",
    "threshold",
]  # fmt: skip
METHODS: tuple[str, ...] = ("hardshrink", "prelu", "relu", "sigmoid")
IN_PLACE: tuple[str, ...] = ("relu", "sigmoid")

K, KC = 0.7978845608028654, 0.044715 * 0.7978845608028654  # sqrt(2 / pi), and that times gelu's cubic coefficient
PDF = 0.3989422804014327  # 1 / sqrt(2 pi)
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _call(word: Callable, input: Tensor, inplace: bool, **options: Any) -> Tensor:
    return in_place(word)(input, **options) if inplace else word(input, **options)


# -- rectifiers ----------------------------------------------------------------------------------------------------------


@elementwise(lambda xp, g, out: passed(xp, g, out != 0))
def _relu(xp: Any, x: Any) -> Any:
    """The op behind `relu`, which keeps its output alone. As in PyTorch the gradient passes where that is NaN."""
    ...


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0). The gradient at 0 is 0.

    >>> import autograd_gpu as ag
    >>> ag.relu(ag.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return input.relu_() if inplace else words.relu(input)


def _leaky_relu_x(xp: Any, g: Any, out: Any, negative_slope: float) -> Any:
    return xp.where(out > 0, g, g * negative_slope)


@elementwise(_leaky_relu_x)
def _leaky_relu(xp: Any, x: Any, *, negative_slope: float) -> Any:
    """The op behind `leaky_relu` with a slope that is not negative: the output has the sign of the input."""
    return xp.leaky_relu(x, negative_slope=negative_slope)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x for x > 0, else negative_slope * x.

    >>> import autograd_gpu as ag
    >>> ag.leaky_relu(ag.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    if negative_slope < 0:
        if inplace:
            return in_place(leaky_relu)(input, negative_slope)
        return words.where(words.gt(input, 0), input, words.mul(input, negative_slope))
    return _call(words.leaky_relu, input, inplace, negative_slope=negative_slope)


def rrelu(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False) -> Tensor:
    """`leaky_relu` with the mean of `lower` and `upper` for a slope; training, with a slope drawn between them for each element.

    >>> import autograd_gpu as ag
    >>> ag.rrelu(ag.tensor([-24.0, 2.0]))
    tensor([-5.5000,  2.0000])
    """
    if lower > upper:
        raise RuntimeError(f"Lower bound should be less than or equal to the upper bound: they are {lower} and {upper}")
    if not training or lower == upper:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slope = words.add(words.mul(rand_like(input.detach()), upper - lower), lower)
    return _call(words.mul, input, inplace, other=words.where(words.gt(input, 0), words.ones_like(slope), slope))


@elementwise(
    x=lambda xp, g, x, weight: xp.where(x > 0, g, g * weight),
    weight=lambda xp, g, x: g * xp.minimum(x, 0),
)
def _prelu(xp: Any, x: Any, weight: Any) -> Any:
    """The op behind `prelu`, with a weight that broadcasts."""
    return xp.where(x > 0, x, x * weight)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x for x > 0, else weight * x, with one weight or one for each channel, dimension 1. Raises RuntimeError if the number of
    weights is another.

    >>> import autograd_gpu as ag
    >>> ag.prelu(ag.tensor([-1.0, 2.0]), ag.tensor([0.25]))
    tensor([-0.2500,  2.0000])
    """
    n = weight.array.size
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    if n != 1:
        channels = input.array.shape[1] if input.ndim > 1 else 1
        if n != channels:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {n} and channel size = "
                f"{channels}."
            )
        weight = words.reshape(weight, shape=(n,) + (1,) * (input.ndim - 2))
    elif weight.ndim and not input.ndim:
        weight = words.reshape(weight, shape=())
    return words.prelu(input, weight)


@elementwise(lambda xp, g, x, threshold: passed(xp, g, xp.logical_not(x <= threshold)))
def _threshold(xp: Any, x: Any, *, threshold: float, value: float) -> Any:
    """The op behind `threshold`."""
    return xp.where(x <= threshold, xp.asarray(value, x.dtype), x)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`value` for x <= threshold, else x: also for NaN.

    >>> import autograd_gpu as ag
    >>> ag.threshold(ag.tensor([0.5, 2.0]), 1.0, 20.0)
    tensor([20.,  2.])
    """
    return _call(words.threshold, input, inplace, threshold=threshold, value=value)


@elementwise(lambda xp, g, out, min, max: passed(xp, g, (out > min) & (out < max)))
def _hardtanh(xp: Any, x: Any, *, min: float, max: float) -> Any:
    """The op behind `hardtanh`: `clamp` with no gradient at the limits."""
    return xp.clamp(x, min=min, max=max)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x limited to [min_val, max_val]. The gradient at the limits is 0.

    >>> import autograd_gpu as ag
    >>> ag.hardtanh(ag.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _call(words.hardtanh, input, inplace, min=min_val, max=max_val)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6).

    >>> import autograd_gpu as ag
    >>> ag.relu6(ag.tensor([-2.0, 0.5, 7.0]))
    tensor([0.0000, 0.5000, 6.0000])
    """
    return _call(words.hardtanh, input, inplace, min=0, max=6)


@elementwise(lambda xp, g, out: passed(xp, g * (1 / 6), (out > 0) & (out < 1)))
def _hardsigmoid(xp: Any, x: Any) -> Any:
    """The op behind `hardsigmoid`."""
    ...


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """relu6(x + 3) / 6.

    >>> import autograd_gpu as ag
    >>> ag.hardsigmoid(ag.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
    return _call(words.hardsigmoid, input, inplace)


def _hardswish_x(xp: Any, g: Any, x: Any) -> Any:
    slope = xp.clamp(x, min=-3, max=3) * (1 / 3) + 0.5  # limited to where it counts, for an infinite x
    return xp.where(x >= 3, g, passed(xp, g * slope, x > -3))


@elementwise(_hardswish_x)
def _hardswish(xp: Any, x: Any) -> Any:
    """The op behind `hardswish`."""
    ...


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x).

    >>> import autograd_gpu as ag
    >>> ag.hardswish(ag.tensor([-4.0, 1.0, 4.0]))
    tensor([-0.0000, 0.6667, 4.0000])
    """
    return _call(words.hardswish, input, inplace)


@elementwise(lambda xp, g, out: passed(xp, g, out != 0))
def _softshrink(xp: Any, x: Any, *, lambd: float) -> Any:
    """The op behind `softshrink`."""
    return xp.softshrink(x, lambd=lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by `lambd`, 0 if it is not farther away. Raises RuntimeError for a negative `lambd`.

    >>> import autograd_gpu as ag
    >>> ag.softshrink(ag.tensor([-1.0, 0.25, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """
    if lambd < 0:
        raise RuntimeError(f"lambda must be in range [0, inf), but found {lambd}")
    return words.softshrink(input, lambd=lambd)


@elementwise(lambda xp, g, out: passed(xp, g, out != 0))
def _hardshrink(xp: Any, x: Any, *, lambd: float) -> Any:
    """The op behind `hardshrink`."""
    return xp.hardshrink(x, lambd=lambd)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x outside [-lambd, lambd], 0 inside.

    >>> import autograd_gpu as ag
    >>> ag.hardshrink(ag.tensor([-1.0, 0.25, 2.0]))
    tensor([-1.,  0.,  2.])
    """
    return words.hardshrink(input, lambd=lambd)


# -- smooth ones -----------------------------------------------------------------------------------------------------------


@elementwise(lambda xp, g, out: (g - g * out) * out)
def _sigmoid(xp: Any, x: Any) -> Any:
    """The op behind `sigmoid`."""
    ...


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x)).

    >>> import autograd_gpu as ag
    >>> ag.sigmoid(ag.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7311])
    """
    return words.sigmoid(input)


@elementwise(lambda xp, g, out: -g * xp.expm1(out))
def _logsigmoid(xp: Any, x: Any) -> Any:
    """The op behind `logsigmoid`."""
    ...


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)), without loss of precision for large and small x.

    >>> import autograd_gpu as ag
    >>> ag.logsigmoid(ag.tensor([0.0, -100.0]))
    tensor([  -0.6931, -100.0000])
    """
    return words.logsigmoid(input)


def _silu_x(xp: Any, g: Any, x: Any) -> Any:
    s = xp.sigmoid(x)
    y = x * s
    return g * (s + (y - y * s))  # in this order a large x gives 1: s would be lost in s + y


@elementwise(_silu_x)
def _silu(xp: Any, x: Any) -> Any:
    """The op behind `silu`."""
    ...


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x).

    >>> import autograd_gpu as ag
    >>> ag.silu(ag.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """
    return _call(words.silu, input, inplace)


def _mish_x(xp: Any, g: Any, x: Any) -> Any:
    t = xp.tanh(xp.softplus(x))
    return g * (t + x * xp.sigmoid(x) * (1 - t * t))


@elementwise(_mish_x)
def _mish(xp: Any, x: Any) -> Any:
    """The op behind `mish`."""
    ...


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)).

    >>> import autograd_gpu as ag
    >>> ag.mish(ag.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """
    return _call(words.mish, input, inplace)


# where exp(-beta x) has become small enough to be neglected the slope is exactly 1: softplus has gone over to x itself
@elementwise(
    lambda xp, g, x, beta, threshold: g * xp.maximum(xp.sigmoid(x * beta), xp.astype(x * beta > threshold, dtype=x.dtype))
)
def _softplus(xp: Any, x: Any, *, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """The op behind `softplus`."""
    return xp.softplus(x, beta=beta, threshold=threshold)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold.

    >>> import autograd_gpu as ag
    >>> ag.softplus(ag.tensor([0.0, 100.0]))
    tensor([  0.6931, 100.0000])
    """
    return words.softplus(input, beta=beta, threshold=threshold)


@elementwise(lambda xp, g, x: g / xp.square(xp.abs(x) + 1))
def _softsign(xp: Any, x: Any) -> Any:
    """The op behind `softsign`."""
    ...


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|).

    >>> import autograd_gpu as ag
    >>> ag.softsign(ag.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return words.softsign(input)


@elementwise(lambda xp, g, x: g * xp.square(xp.tanh(x)))
def _tanhshrink(xp: Any, x: Any) -> Any:
    """The op behind `tanhshrink`."""
    ...


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x).

    >>> import autograd_gpu as ag
    >>> ag.tanhshrink(ag.tensor([-1.0, 1.0]))
    tensor([-0.2384,  0.2384])
    """
    return words.tanhshrink(input)


@elementwise(lambda xp, g, x: g * (xp.ndtr(x) + x * xp.exp(x * x * -0.5) * PDF), residue=True)
def _gelu(xp: Any, x: Any) -> Any:
    """The op behind `gelu`."""
    ...


def _gelu_tanh_x(xp: Any, g: Any, x: Any) -> Any:
    x = xp.clamp(x, min=-10, max=10)  # beyond, the slope is 0 or 1, and the square of a float16 infinite
    x2 = x * x
    t = xp.tanh(x * (x2 * KC + K))
    return g * (t + x * (1 - t * t) * (x2 * (3 * KC) + K) + 1) * 0.5


@elementwise(_gelu_tanh_x)
def _gelu_tanh(xp: Any, x: Any) -> Any:
    """The op behind `gelu` with approximate="tanh"."""
    ...


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x; with approximate="tanh", 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).

    >>> import autograd_gpu as ag
    >>> ag.gelu(ag.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    >>> ag.gelu(ag.tensor([-1.0, 1.0]), approximate="tanh")
    tensor([-0.1588,  0.8412])
    """
    if approximate == "none":
        return words.gelu(input)
    if approximate == "tanh":
        return words.gelu_tanh(input)
    raise RuntimeError(f"approximate argument must be either none or tanh, not {approximate!r}")


def _elu_x(xp: Any, g: Any, out: Any, alpha: float, scale: float, input_scale: float) -> Any:
    # below 0 the slope is (out + at_zero / input_scale) * input_scale, above it is scale
    at_zero = alpha * scale * input_scale
    slope = xp.minimum(out, 0)
    slope = (slope if input_scale == 1.0 else slope * input_scale) + at_zero
    return g * slope if at_zero == scale else xp.where(out > 0, g * scale, g * slope)


@elementwise(_elu_x)
def _elu(xp: Any, x: Any, *, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    """The op behind `elu`, `celu` and `selu` for alpha > 0: the output, which has the sign of the input, is all it keeps."""
    return xp.elu(x, alpha=alpha, scale=scale, input_scale=input_scale)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x for x > 0, else alpha * (exp(x) - 1).

    >>> import autograd_gpu as ag
    >>> ag.elu(ag.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    if alpha < 0:
        if inplace:
            return in_place(elu)(input, alpha)
        return words.where(words.gt(input, 0), input, words.mul(words.expm1(input), alpha))
    return _call(words.elu, input, inplace, alpha=alpha)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x for x > 0, else alpha * (exp(x / alpha) - 1).

    >>> import autograd_gpu as ag
    >>> ag.celu(ag.tensor([-1.0, 2.0]), alpha=2.0)
    tensor([-0.7869,  2.0000])
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    if alpha < 0:
        if inplace:
            return in_place(celu)(input, alpha)
        return words.where(words.gt(input, 0), input, words.mul(words.expm1(words.div(input, alpha)), alpha))
    return _call(words.elu, input, inplace, alpha=alpha, input_scale=1.0 / alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507 x for x > 0, else 1.7581 (exp(x) - 1): `elu` scaled to keep mean and variance.

    >>> import autograd_gpu as ag
    >>> ag.selu(ag.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    return _call(words.elu, input, inplace, alpha=SELU_ALPHA, scale=SELU_SCALE)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of `input` along `dim` times the sigmoid of the second. Raises RuntimeError if the size is odd.

    >>> import autograd_gpu as ag
    >>> ag.glu(ag.tensor([1.0, 2.0, 0.0, 100.0]))
    tensor([0.5000, 2.0000])
    """
    if not input.ndim:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    dim = axis_of(dim, input.ndim)
    size = input.array.shape[dim]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {size}")
    before = (slice(None),) * dim
    return words.mul(input[(*before, slice(0, size // 2))], words.sigmoid(input[(*before, slice(size // 2, size))]))
