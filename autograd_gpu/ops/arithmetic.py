"""Arithmetic of two and more tensors, powers among it, and the cast between dtypes that promotion makes."""

from __future__ import annotations

from typing import Any

from ..backend.promotion import category, float64, promote_types, result_type
from ..core.graph import words
from ..core.primitive import elementwise, linear
from ..core.tensor import Tensor

__all__ = [
    "add", "addcdiv", "addcmul", "arctan2", "atan2", "copysign", "div", "divide", "float_power", "floor_divide", "fmod",
    "hypot", "lerp", "logaddexp", "logaddexp2", "mul", "multiply", "pow", "remainder", "rsub", "sub", "subtract",
    "true_divide", "xlogy",
]  # fmt: skip
METHODS: tuple[str, ...] = tuple(name for name in __all__ if name != "rsub")
IN_PLACE: tuple[str, ...] = tuple(name for name in METHODS if name not in ("logaddexp", "logaddexp2"))

LN2 = 0.6931471805599453


# -- casts -------------------------------------------------------------------------------------------------------------


@linear(lambda xp, g, origin: xp.astype(g, dtype=origin))
def _cast(xp: Any, x: Any, *, dtype: Any, origin: Any) -> Any:
    """The op behind the word `astype`, which adds the dtype to go back to."""
    return xp.astype(x, dtype=dtype)


def _astype(x: Tensor, *, dtype: Any) -> Tensor:
    if category(dtype) < 2:
        x = Tensor(x.array)  # integers and bools carry no gradient
    return words.cast(x, dtype=dtype, origin=x.array.dtype)


words.astype = _astype


# -- sums and products -------------------------------------------------------------------------------------------------


@elementwise(a=lambda xp, g: g, b=lambda xp, g: g)
def _add(xp: Any, a: Any, b: Any) -> Any:
    """The op behind `add`."""
    ...


def _no_bools(*inputs: Tensor) -> None:
    bools = sum(x.array.dtype.kind == "b" for x in inputs)
    if bools:
        what = "a bool tensor" if bools == 1 else "two bool tensors"
        raise RuntimeError(
            f"Subtraction, the `-` operator, with {what} is not supported. If you are trying to invert a mask, use the `~` or "
            "`logical_not()` operator instead, or `^` for the elements that differ."
        )


@elementwise(a=lambda xp, g: g, b=lambda xp, g: -g, errors=_no_bools)
def _sub(xp: Any, a: Any, b: Any) -> Any:
    """The op behind `sub`."""
    ...


@elementwise(a=lambda xp, g, b: g * b, b=lambda xp, g, a: g * a)
def mul(xp: Any, a: Any, b: Any) -> Any:
    """The product, element by element, with broadcasting.

    >>> import autograd_gpu as ag
    >>> ag.mul(ag.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    ...


# not `out`, though it would do: PyTorch lets a quotient be written in place, as in `x = x / norm; x += bias`
@elementwise(a=lambda xp, g, b: g / b, b=lambda xp, g, a, b: -g * (a / b) / b)
def _div(xp: Any, a: Any, b: Any) -> Any:
    """The op behind `div`."""
    ...


def add(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other, with broadcasting and promotion of dtypes.

    >>> import autograd_gpu as ag
    >>> ag.add(ag.tensor([1.0, 2.0]), 1, alpha=10)
    tensor([11., 12.])
    """
    return words.add(input, other if alpha == 1 else _times(input, other, alpha))


def sub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other, with broadcasting and promotion of dtypes.

    >>> import autograd_gpu as ag
    >>> ag.sub(ag.tensor([1.0, 2.0]), ag.tensor([0.5, 0.5]), alpha=2)
    tensor([0., 1.])
    """
    return words.sub(input, other if alpha == 1 else _times(input, other, alpha))


def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input.

    >>> import autograd_gpu as ag
    >>> ag.rsub(ag.tensor([1.0, 2.0]), 3)
    tensor([2., 1.])
    """
    return sub(other, input, alpha=alpha) if isinstance(other, Tensor) else words.sub(other, _times(input, input, alpha))


def _times(input: Any, other: Any, alpha: Any) -> Any:
    if isinstance(alpha, float) and all(not isinstance(x, Tensor) or category(x.array.dtype) < 2 for x in (input, other)):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    return alpha * other


def div(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; with rounding_mode "floor" or "trunc" the quotient rounded down or towards zero, of which integers remain
    integers. Raises RuntimeError for integers divided by zero with rounding.

    >>> import autograd_gpu as ag
    >>> ag.div(ag.tensor([7, -7]), 2)
    tensor([ 3.5000, -3.5000])
    >>> ag.div(ag.tensor([7, -7]), 2, rounding_mode="floor")
    tensor([ 3, -4])
    >>> ag.div(ag.tensor([7, -7]), 2, rounding_mode="trunc")
    tensor([ 3, -3])
    """
    if rounding_mode is None:
        return words.div(input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode == "trunc":
        return words.trunc_divide(input, other)
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")


def true_divide(input: Tensor, other: Any) -> Tensor:
    """input / other: `div` without rounding.

    >>> import autograd_gpu as ag
    >>> ag.true_divide(ag.tensor([3, 4]), 2)
    tensor([1.5000, 2.0000])
    """
    return words.div(input, other)


@elementwise(a=lambda xp, g: xp.zeros_like(g), b=lambda xp, g: xp.zeros_like(g))
def floor_divide(xp: Any, a: Any, b: Any) -> Any:
    """The quotient rounded down. Its gradient is zero. Raises RuntimeError for integers divided by zero.

    >>> import autograd_gpu as ag
    >>> ag.floor_divide(ag.tensor([7.0, -7.0]), 2)
    tensor([ 3., -4.])
    """
    ...


@elementwise(a=lambda xp, g: xp.zeros_like(g), b=lambda xp, g: xp.zeros_like(g))
def _trunc_divide(xp: Any, a: Any, b: Any) -> Any:
    """The quotient rounded towards zero."""
    ...


@elementwise(a=lambda xp, g: g, b=lambda xp, g, a, b: -g * xp.floor_divide(a, b))
def remainder(xp: Any, a: Any, b: Any) -> Any:
    """What division rounded down leaves: it has the sign of the divisor. Raises RuntimeError for integers divided by zero.

    >>> import autograd_gpu as ag
    >>> ag.remainder(ag.tensor([7.0, -7.0]), 3)
    tensor([1., 2.])
    """
    ...


@elementwise(a=lambda xp, g: g, b=lambda xp, g, a, b: -g * xp.trunc_divide(a, b))
def fmod(xp: Any, a: Any, b: Any) -> Any:
    """What division rounded towards zero leaves: it has the sign of the dividend. Raises RuntimeError for integers divided by
    zero.

    >>> import autograd_gpu as ag
    >>> ag.fmod(ag.tensor([7.0, -7.0]), 3)
    tensor([ 1., -1.])
    """
    ...


@elementwise(
    a=lambda xp, g, end, weight: g - g * weight,
    end=lambda xp, g, weight: g * weight,
    weight=lambda xp, g, a, end: g * (end - a),
)
def lerp(xp: Any, a: Any, end: Any, weight: Any) -> Any:
    """a + weight * (end - a), exactly `a` and `end` where weight is 0 and 1.

    >>> import autograd_gpu as ag
    >>> ag.lerp(ag.tensor([0.0, 10.0]), ag.tensor([1.0, 20.0]), 0.25)
    tensor([ 0.2500, 12.5000])
    """
    ...


@elementwise(
    a=lambda xp, g: g,
    b=lambda xp, g, c, value: g * c if value == 1 else g * c * value,
    c=lambda xp, g, b, value: g * b if value == 1 else g * b * value,
)
def _addcmul(xp: Any, a: Any, b: Any, c: Any, *, value: Any = 1) -> Any:
    """The op behind `addcmul`."""
    return a + b * c if value == 1 else a + b * c * xp.asarray(value, b.dtype)


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 * tensor2.

    >>> import autograd_gpu as ag
    >>> ag.addcmul(ag.tensor([1.0, 2.0]), ag.tensor([3.0, 4.0]), ag.tensor([5.0, 6.0]), value=0.1)
    tensor([2.5000, 4.4000])
    """
    return words.addcmul(input, tensor1, tensor2, value=value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 / tensor2. Raises RuntimeError if both are integers.

    >>> import autograd_gpu as ag
    >>> ag.addcdiv(ag.tensor([1.0, 2.0]), ag.tensor([3.0, 4.0]), ag.tensor([6.0, 2.0]), value=2)
    tensor([2., 6.])
    """
    if all(isinstance(t, Tensor) and category(t.array.dtype) < 2 for t in (tensor1, tensor2)):
        raise RuntimeError("Integer division with addcdiv is not supported: convert one of the tensors to a floating point dtype")
    quotient = words.div(tensor1, tensor2)
    return words.add(input, quotient if value == 1 else words.mul(quotient, value))


# -- powers ------------------------------------------------------------------------------------------------------------


# that exponent is b - 1, or 0 where b is 0 and the factor b makes the gradient 0: without it 0 ** -1 would make it NaN
@elementwise(
    a=lambda xp, g, a, b: g * b * xp.pow(a, b - xp.astype(b != 0, dtype=b.dtype)),
    b=lambda xp, g, a, out: g * out * xp.log(a + (a == 0)),
)
def _power(xp: Any, a: Any, b: Any) -> Any:
    """The op behind `pow` of tensors."""
    return xp.pow(a, b)


@elementwise(lambda xp, g, x, exponent: g * xp.pow(x, exponent - 1) * exponent if exponent else xp.zeros_like(g))
def _power_of(xp: Any, x: Any, *, exponent: Any) -> Any:
    """The op behind `pow` with a Python number for an exponent."""
    return xp.pow(x, exponent)


@elementwise(lambda xp, g, x: g * x * x * 3)
def _cube(xp: Any, x: Any) -> Any:
    """The third power: np.power takes a hundred times as long."""
    return x * x * x


def pow(input: Any, exponent: Any) -> Tensor:
    """`input` to the power `exponent`; one of them may be a Python number. Raises RuntimeError for integers to negative ones.

    >>> import autograd_gpu as ag
    >>> ag.pow(ag.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    >>> ag.pow(2, ag.tensor([1.0, 2.0, 3.0]))
    tensor([2., 4., 8.])
    """
    if not isinstance(exponent, (int, float)) or not isinstance(input, Tensor):
        return words.power(input, exponent)
    exponent = exponent.__class__ is bool and int(exponent) or exponent
    if category(input.array.dtype) < 2:
        dtype = result_type([input.array, exponent])
        if category(dtype) == 1 and exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        if dtype != input.array.dtype:
            input = words.astype(input, dtype=dtype)
    special = _POWERS.get(exponent)
    return words.power_of(input, exponent=exponent) if special is None else getattr(words, special)(input)


_POWERS = {2: "square", 3: "cube", 0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}
words.pow = pow


def float_power(input: Any, exponent: Any) -> Tensor:
    """`pow` computed in float64.

    >>> import autograd_gpu as ag
    >>> ag.float_power(ag.tensor([2, 3]), -1)
    tensor([0.5000, 0.3333], dtype=autograd_gpu.float64)
    """
    return pow(_widened(input), _widened(exponent))


def _widened(x: Any) -> Any:
    return words.astype(x, dtype=promote_types(x.array.dtype, float64)) if isinstance(x, Tensor) else float(x)


@elementwise(
    a=lambda xp, g, a, b: xp.xlogy(g * ((a != 0) | (b > 0)), b),
    b=lambda xp, g, a, b: g * a / b,
)
def xlogy(xp: Any, a: Any, b: Any) -> Any:
    """a * log(b), 0 where a is 0 and b is no NaN.

    >>> import autograd_gpu as ag
    >>> ag.xlogy(ag.tensor([0.0, 1.0, 2.0]), ag.tensor([0.0, 2.0, 3.0]))
    tensor([0.0000, 0.6931, 2.1972])
    """
    ...


@elementwise(a=lambda xp, g, a, b: g * xp.sigmoid(a - b), b=lambda xp, g, a, b: g * xp.sigmoid(b - a))
def logaddexp(xp: Any, a: Any, b: Any) -> Any:
    """log(exp(a) + exp(b)).

    >>> import autograd_gpu as ag
    >>> ag.logaddexp(ag.tensor([0.0, 100.0]), ag.tensor([0.0, 100.0]))
    tensor([  0.6931, 100.6931])
    """
    ...


@elementwise(a=lambda xp, g, a, b: g * xp.sigmoid((a - b) * LN2), b=lambda xp, g, a, b: g * xp.sigmoid((b - a) * LN2))
def logaddexp2(xp: Any, a: Any, b: Any) -> Any:
    """log2(2 ** a + 2 ** b).

    >>> import autograd_gpu as ag
    >>> ag.logaddexp2(ag.tensor([0.0, 100.0]), ag.tensor([0.0, 100.0]))
    tensor([  1., 101.])
    """
    ...


@elementwise(a=lambda xp, g, a, out: g * (a / out), b=lambda xp, g, b, out: g * (b / out))
def hypot(xp: Any, a: Any, b: Any) -> Any:
    """sqrt(a * a + b * b), without overflow on the way.

    >>> import autograd_gpu as ag
    >>> ag.hypot(ag.tensor([3.0, 5.0]), ag.tensor([4.0, 12.0]))
    tensor([ 5., 13.])
    """
    ...


def _over_square(xp: Any, g: Any, a: Any, b: Any) -> Any:
    d = a * a + b * b
    return g / (d + (d == 0))


@elementwise(a=lambda xp, g, a, b: _over_square(xp, g, a, b) * b, b=lambda xp, g, a, b: _over_square(xp, g, a, b) * -a)
def atan2(xp: Any, a: Any, b: Any) -> Any:
    """The angle of the point (b, a), in (-pi, pi].

    >>> import autograd_gpu as ag
    >>> ag.atan2(ag.tensor([1.0, -1.0]), ag.tensor([-1.0, 1.0]))
    tensor([ 2.3562, -0.7854])
    """
    ...


@elementwise(a=lambda xp, g, a, out: g * xp.sign(a) * xp.sign(out), b=lambda xp, g: xp.zeros_like(g))
def copysign(xp: Any, a: Any, b: Any) -> Any:
    """The magnitude of `a` with the sign of `b`.

    >>> import autograd_gpu as ag
    >>> ag.copysign(ag.tensor([1.0, -2.0]), ag.tensor([-0.0, 1.0]))
    tensor([-1.,  2.])
    """
    ...


arctan2, divide, multiply, subtract = atan2, div, mul, sub
