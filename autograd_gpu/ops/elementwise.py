"""Functions of one tensor, element by element: signs, roots, exponentials and logarithms, rounding."""

from __future__ import annotations

from typing import Any

from ..core.graph import words
from ..core.primitive import elementwise
from ..core.tensor import Tensor

__all__ = [
    "abs", "absolute", "ceil", "exp", "exp2", "expm1", "fix", "floor", "frac", "heaviside", "log", "log10", "log1p", "log2",
    "logit", "nan_to_num", "neg", "negative", "positive", "reciprocal", "round", "rsqrt", "sgn", "sign", "sqrt", "square",
    "trunc",
]  # fmt: skip
METHODS: tuple[str, ...] = tuple(__all__)
IN_PLACE: tuple[str, ...] = tuple(name for name in METHODS if name != "positive")

LN2, LN10 = 0.6931471805599453, 2.302585092994046


# -- signs and powers --------------------------------------------------------------------------------------------------


@elementwise(lambda xp, g: -g)
def neg(xp: Any, x: Any) -> Any:
    """The elements with the opposite sign. Raises RuntimeError for bools.

    >>> import autograd_gpu as ag
    >>> ag.neg(ag.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    ...


@elementwise(lambda xp, g, x: g * xp.sign(x))
def abs(xp: Any, x: Any) -> Any:
    """The absolute values. The gradient at 0 is 0.

    >>> import autograd_gpu as ag
    >>> ag.abs(ag.tensor([1.0, -2.0]))
    tensor([1., 2.])
    """
    ...


@elementwise(lambda xp, g: xp.zeros_like(g))
def sign(xp: Any, x: Any) -> Any:
    """-1, 0 or 1, as the elements are negative, zero (or NaN), or positive.

    >>> import autograd_gpu as ag
    >>> ag.sign(ag.tensor([-2.0, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])
    """
    ...


@elementwise(lambda xp, g, x: g * (x + x))
def square(xp: Any, x: Any) -> Any:
    """The elements times themselves.

    >>> import autograd_gpu as ag
    >>> ag.square(ag.tensor([1.0, -2.0]))
    tensor([1., 4.])
    """
    ...


@elementwise(lambda xp, g, out: g / (out + out))
def sqrt(xp: Any, x: Any) -> Any:
    """The square root, NaN of negative numbers.

    >>> import autograd_gpu as ag
    >>> ag.sqrt(ag.tensor([4.0, 2.0]))
    tensor([2.0000, 1.4142])
    """
    ...


@elementwise(lambda xp, g, out: g * out * out * out * -0.5)
def rsqrt(xp: Any, x: Any) -> Any:
    """One over the square root.

    >>> import autograd_gpu as ag
    >>> ag.rsqrt(ag.tensor([4.0, 2.0]))
    tensor([0.5000, 0.7071])
    """
    ...


@elementwise(lambda xp, g, out: -g * out * out)
def reciprocal(xp: Any, x: Any) -> Any:
    """One over the elements.

    >>> import autograd_gpu as ag
    >>> ag.reciprocal(ag.tensor([4.0, 0.5]))
    tensor([0.2500, 2.0000])
    """
    ...


def positive(input: Tensor) -> Tensor:
    """The tensor itself. Raises RuntimeError for bools.

    >>> import autograd_gpu as ag
    >>> ag.positive(ag.tensor([1.0, -2.0]))
    tensor([ 1., -2.])
    """
    if input.array.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


# -- exponentials and logarithms ---------------------------------------------------------------------------------------


@elementwise(lambda xp, g, out: g * out)
def exp(xp: Any, x: Any) -> Any:
    """e to the power of the elements.

    >>> import autograd_gpu as ag
    >>> ag.exp(ag.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    ...


@elementwise(lambda xp, g, out: g * out * LN2)
def exp2(xp: Any, x: Any) -> Any:
    """2 to the power of the elements.

    >>> import autograd_gpu as ag
    >>> ag.exp2(ag.tensor([0.0, 3.0]))
    tensor([1., 8.])
    """
    ...


@elementwise(lambda xp, g, out: g * out + g)
def expm1(xp: Any, x: Any) -> Any:
    """exp(x) - 1, accurate for small x.

    >>> import autograd_gpu as ag
    >>> ag.expm1(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 1.7183])
    """
    ...


@elementwise(lambda xp, g, x: g / x)
def log(xp: Any, x: Any) -> Any:
    """The natural logarithm.

    >>> import autograd_gpu as ag
    >>> ag.log(ag.tensor([1.0, 2.0]))
    tensor([0.0000, 0.6931])
    """
    ...


@elementwise(lambda xp, g, x: g / (x * LN2))
def log2(xp: Any, x: Any) -> Any:
    """The logarithm to base 2.

    >>> import autograd_gpu as ag
    >>> ag.log2(ag.tensor([1.0, 8.0]))
    tensor([0., 3.])
    """
    ...


@elementwise(lambda xp, g, x: g / (x * LN10))
def log10(xp: Any, x: Any) -> Any:
    """The logarithm to base 10.

    >>> import autograd_gpu as ag
    >>> ag.log10(ag.tensor([2.0, 50.0]))
    tensor([0.3010, 1.6990])
    """
    ...


@elementwise(lambda xp, g, x: g / (x + 1))
def log1p(xp: Any, x: Any) -> Any:
    """log(1 + x), accurate for small x.

    >>> import autograd_gpu as ag
    >>> ag.log1p(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.6931])
    """
    ...


@elementwise(lambda xp, g, x: g / (x - x * x))
def _logit(xp: Any, x: Any) -> Any:
    """The op behind `logit`."""
    ...


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), the inverse of sigmoid; with `eps`, of x clamped to [eps, 1 - eps].

    >>> import autograd_gpu as ag
    >>> ag.logit(ag.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    """
    return words.logit(input if eps is None else words.clamp(input, min=eps, max=1 - eps))


# -- rounding ----------------------------------------------------------------------------------------------------------


@elementwise(lambda xp, g: xp.zeros_like(g))
def floor(xp: Any, x: Any) -> Any:
    """The next integer below.

    >>> import autograd_gpu as ag
    >>> ag.floor(ag.tensor([1.5, -1.5]))
    tensor([ 1., -2.])
    """
    ...


@elementwise(lambda xp, g: xp.zeros_like(g))
def ceil(xp: Any, x: Any) -> Any:
    """The next integer above.

    >>> import autograd_gpu as ag
    >>> ag.ceil(ag.tensor([1.5, -1.5]))
    tensor([ 2., -1.])
    """
    ...


@elementwise(lambda xp, g: xp.zeros_like(g))
def trunc(xp: Any, x: Any) -> Any:
    """The next integer towards zero.

    >>> import autograd_gpu as ag
    >>> ag.trunc(ag.tensor([1.5, -1.5]))
    tensor([ 1., -1.])
    """
    ...


@elementwise(lambda xp, g: xp.zeros_like(g))
def _round(xp: Any, x: Any) -> Any:
    """The op behind `round`."""
    ...


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest number with `decimals` decimals, negative for tens and hundreds; of two, the even one.

    >>> import autograd_gpu as ag
    >>> ag.round(ag.tensor([0.5, 1.5, 2.25]))
    tensor([0., 2., 2.])
    >>> ag.round(ag.tensor([0.1234, 5.6789]), decimals=2)
    tensor([0.1200, 5.6800])
    """
    if decimals == 0:
        return words.round(input)
    if input.array.dtype.kind in "iub":
        raise RuntimeError(f"round with decimals is not implemented for {input.array.dtype}")
    factor = 10.0 ** (decimals if decimals > 0 else -decimals)
    if decimals > 0:
        return words.div(words.round(words.mul(input, factor)), factor)
    return words.mul(words.round(words.div(input, factor)), factor)


@elementwise(lambda xp, g: g)
def frac(xp: Any, x: Any) -> Any:
    """What `trunc` takes away: the part behind the point, with the sign of the element.

    >>> import autograd_gpu as ag
    >>> ag.frac(ag.tensor([1.5, -1.25]))
    tensor([ 0.5000, -0.2500])
    """
    return x - xp.trunc(x)


@elementwise()
def _heaviside(xp: Any, x: Any, values: Any) -> Any:
    """The op behind `heaviside`."""
    return xp.where(x == 0, values, xp.astype(x > 0, dtype=x.dtype))


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 for negative elements, 1 for positive ones, the element of `values` at 0. Has no gradient. Raises RuntimeError if the
    dtypes differ.

    >>> import autograd_gpu as ag
    >>> ag.heaviside(ag.tensor([-1.0, 0.0, 2.0]), ag.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    if input.dtype != values.dtype:
        raise RuntimeError(f"heaviside is not implemented for tensors with different dtypes: {input.dtype} and {values.dtype}")
    return words.heaviside(input, values)


@elementwise(lambda xp, g, x: g * xp.isfinite(x))
def _nan_to_num(xp: Any, x: Any, *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """The op behind `nan_to_num`."""
    return xp.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


def nan_to_num(input: Tensor, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """`input` with NaN and the infinities replaced; infinities by default by the largest numbers that the dtype has.

    >>> import autograd_gpu as ag
    >>> ag.nan_to_num(ag.tensor([float("nan"), float("inf"), 1.0]), posinf=9)
    tensor([0., 9., 1.])
    """
    return words.nan_to_num(input, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)


sgn, fix, absolute, negative = sign, trunc, abs, neg
