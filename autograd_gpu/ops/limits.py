"""The larger and the smaller of two, limits, and selection by a condition."""

from __future__ import annotations

from typing import Any

from ..backend.promotion import category, result_type
from ..core.dispatch import NUMBERS
from ..core.graph import words
from ..core.primitive import elementwise
from ..core.tensor import Tensor

__all__ = [
    "clamp", "clamp_max", "clamp_min", "clip", "fmax", "fmin", "maximum", "minimum", "where",
]  # fmt: skip
METHODS: tuple[str, ...] = tuple(name for name in __all__ if name != "where")  # that one is in methods
IN_PLACE: tuple[str, ...] = ("clamp", "clamp_max", "clamp_min", "clip")


def passed(xp: Any, g: Any, condition: Any) -> Any:
    """g where the condition holds, else 0. The product of the two would be NaN for an infinite g, such as sqrt(relu(x)) gives."""
    return xp.where(condition, g, xp.zeros((), g.dtype))


def _half_at_ties(xp: Any, g: Any, wins: Any, ties: Any) -> Any:
    """The gradient of the operand that is chosen where it `wins`, but half of it where it `ties`."""
    return passed(xp, xp.where(ties, g * 0.5, g), wins)


@elementwise(
    a=lambda xp, g, a, b: _half_at_ties(xp, g, xp.logical_not(a < b), a == b),
    b=lambda xp, g, a, b: _half_at_ties(xp, g, xp.logical_not(b < a), a == b),
)
def maximum(xp: Any, a: Any, b: Any) -> Any:
    """The larger element of two, NaN if one is. Equal ones share the gradient.

    >>> import autograd_gpu as ag
    >>> ag.maximum(ag.tensor([1.0, 5.0]), ag.tensor([3.0, 2.0]))
    tensor([3., 5.])
    """
    ...


@elementwise(
    a=lambda xp, g, a, b: _half_at_ties(xp, g, xp.logical_not(a > b), a == b),
    b=lambda xp, g, a, b: _half_at_ties(xp, g, xp.logical_not(b > a), a == b),
)
def minimum(xp: Any, a: Any, b: Any) -> Any:
    """The smaller element of two, NaN if one is. Equal ones share the gradient.

    >>> import autograd_gpu as ag
    >>> ag.minimum(ag.tensor([1.0, 5.0]), ag.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    ...


@elementwise(
    a=lambda xp, g, a, b: passed(xp, g, (a >= b) | (b != b)),
    b=lambda xp, g, a, b: passed(xp, g, (a < b) | ((a != a) & (b == b))),
)
def fmax(xp: Any, a: Any, b: Any) -> Any:
    """The larger element of two, the other one if one is NaN.

    >>> import autograd_gpu as ag
    >>> ag.fmax(ag.tensor([1.0, float("nan")]), ag.tensor([3.0, 2.0]))
    tensor([3., 2.])
    """
    ...


@elementwise(
    a=lambda xp, g, a, b: passed(xp, g, (a <= b) | (b != b)),
    b=lambda xp, g, a, b: passed(xp, g, (a > b) | ((a != a) & (b == b))),
)
def fmin(xp: Any, a: Any, b: Any) -> Any:
    """The smaller element of two, the other one if one is NaN.

    >>> import autograd_gpu as ag
    >>> ag.fmin(ag.tensor([1.0, float("nan")]), ag.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    ...


def _within(xp: Any, g: Any, x: Any, min: Any, max: Any) -> Any:
    if min is None:
        return passed(xp, g, x <= max)
    return passed(xp, g, x >= min if max is None else (x >= min) & (x <= max))


@elementwise(lambda xp, g, x, min, max: _within(xp, g, x, min, max))
def _clamp(xp: Any, x: Any, *, min: Any = None, max: Any = None) -> Any:
    """The op behind `clamp` with numbers for limits."""
    return xp.clamp(x, min=min, max=max)


@elementwise(a=lambda xp, g, a, b: passed(xp, g, a >= b), b=lambda xp, g, a, b: passed(xp, g, a < b))
def _at_least(xp: Any, a: Any, b: Any) -> Any:
    """The op behind `clamp` from below by a tensor."""
    return xp.maximum(a, b)


@elementwise(a=lambda xp, g, a, b: passed(xp, g, a <= b), b=lambda xp, g, a, b: passed(xp, g, a > b))
def _at_most(xp: Any, a: Any, b: Any) -> Any:
    """The op behind `clamp` from above by a tensor."""
    return xp.minimum(a, b)


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """`input` with elements below `min` or above `max`, numbers or tensors, replaced by those. The gradient passes at the limits.

    >>> import autograd_gpu as ag
    >>> ag.clamp(ag.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    >>> ag.clamp(ag.tensor([-2.0, 0.5, 2.0]), min=ag.tensor([0.0, 1.0, 1.0]))
    tensor([0., 1., 2.])
    """
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    if not isinstance(input, Tensor):
        raise TypeError(f"clamp(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        out = input if min is None else words.at_least(input, min)
        return out if max is None else words.at_most(out, max)
    for limit in (min, max):
        if limit is not None and not isinstance(limit, NUMBERS):
            raise TypeError(f"clamp(): a limit must be a Number or a Tensor, not {type(limit).__name__}")
    if category(input.array.dtype) < 2:
        dtype = result_type([input.array, *(limit for limit in (min, max) if limit is not None)])
        if dtype != input.array.dtype:
            input = words.astype(input, dtype=dtype)
    return words.clamp(input, min=min, max=max)


def clamp_min(input: Tensor, min: Any) -> Tensor:
    """`input` with elements below `min` replaced by it.

    >>> import autograd_gpu as ag
    >>> ag.clamp_min(ag.tensor([-2.0, 0.5]), 0)
    tensor([0.0000, 0.5000])
    """
    return clamp(input, min, None)


def clamp_max(input: Tensor, max: Any) -> Tensor:
    """`input` with elements above `max` replaced by it.

    >>> import autograd_gpu as ag
    >>> ag.clamp_max(ag.tensor([-2.0, 0.5]), 0)
    tensor([-2.,  0.])
    """
    return clamp(input, None, max)


@elementwise(
    promote=("a", "b"),
    a=lambda xp, g, condition: passed(xp, g, condition),
    b=lambda xp, g, condition: passed(xp, g, xp.logical_not(condition)),
)
def _where(xp: Any, condition: Any, a: Any, b: Any) -> Any:
    """The op behind `where`."""
    ...


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """Elements of `input` where `condition`, a bool tensor, holds, else of `other`; either may be a number. With the condition
    alone, the indices where it holds: a tensor for each dimension.

    >>> import autograd_gpu as ag
    >>> ag.where(ag.tensor([True, False]), ag.tensor([1.0, 2.0]), 0)
    tensor([1., 0.])
    """
    if input is None and other is None:
        from .sorting import nonzero

        return nonzero(condition, as_tuple=True)
    if not isinstance(condition, Tensor):
        raise TypeError(f"where(): argument 'condition' (position 1) must be Tensor, not {type(condition).__name__}")
    if condition.array.dtype.kind != "b":
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.array.dtype}"
        )
    return words.where(condition, input, other)


clip = clamp
