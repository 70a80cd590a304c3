"""Losses. The fused ones are ops; the others are compositions."""

from __future__ import annotations

from typing import Any

from ..core.graph import words
from ..core.primitive import linear, primitive
from ..core.tensor import Tensor

__all__ = ["cross_entropy", "nll_loss"]
METHODS: tuple[str, ...] = ()  # those that are methods of Tensor too
IN_PLACE: tuple[str, ...] = ()  # those that have an in-place form, a method and a function with an underscore


# -- classification ----------------------------------------------------------------------------------------------------
#
# Inputs are (N, C) or (N, C, d1, ...), targets (N) or (N, d1, ...) of classes.


def _column(target: Any) -> tuple[int, ...]:
    """The shape of `target` with a dimension for the classes."""
    return (target.shape[0], 1, *target.shape[1:])


def _one_hot(xp: Any, target: Any, classes: int, dtype: Any) -> Any:
    """One where the class is the target's, else zero: (N, C, d1, ...)."""
    numbers = xp.reshape(xp.arange(classes), shape=(classes,) + (1,) * (target.ndim - 1))
    return xp.astype(xp.reshape(target, shape=_column(target)) == numbers, dtype=dtype)


def _shares(xp: Any, g: Any, target: Any, ignore_index: int, reduction: str) -> Any:
    """What each row gets of g, the gradient of the reduced loss: (N, 1, d1, ...)."""
    counted = xp.astype(xp.reshape(target, shape=_column(target)) != ignore_index, dtype=g.dtype)
    if reduction == "none":
        return xp.reshape(g, shape=_column(target)) * counted
    return g * counted / xp.sum(counted, axis=tuple(range(counted.ndim))) if reduction == "mean" else g * counted


def _reduced(xp: Any, losses: Any, target: Any, ignore_index: int, reduction: str) -> Any:
    """The losses of the rows that count, reduced."""
    counted = target != ignore_index
    losses = xp.where(counted, losses, xp.zeros_like(losses))
    if reduction == "none":
        return losses
    everything = tuple(range(losses.ndim))
    total = xp.sum(losses, axis=everything)
    return total / xp.sum(xp.astype(counted, dtype=losses.dtype), axis=everything) if reduction == "mean" else total


def _picked(xp: Any, input: Any, target: Any) -> Any:
    """The element of each row at the target's class."""
    hot = _one_hot(xp, target, input.shape[1], bool)
    return xp.sum(xp.where(hot, input, xp.zeros_like(input)), axis=1)


@primitive(
    input=lambda xp, g, input, target, ignore_index, reduction: (
        (xp.softmax(input, axis=1) - _one_hot(xp, target, input.shape[1], input.dtype))
        * _shares(xp, g, target, ignore_index, reduction)
    )
)
def _cross_entropy(xp: Any, input: Any, target: Any, *, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """The op behind `cross_entropy`."""
    return _reduced(xp, -_picked(xp, xp.log_softmax(input, axis=1), target), target, ignore_index, reduction)


@linear(
    input=lambda xp, g, input_shape, target, ignore_index, reduction: (
        -_one_hot(xp, target, input_shape[1], g.dtype) * _shares(xp, g, target, ignore_index, reduction)
    )
)
def _nll_loss(xp: Any, input: Any, target: Any, *, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """The op behind `nll_loss`."""
    return _reduced(xp, -_picked(xp, input, target), target, ignore_index, reduction)


_REDUCTIONS = ("none", "mean", "sum")


def _check_reduction(reduction: str) -> None:
    if reduction not in _REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction: use 'none', 'mean' or 'sum'")


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross entropy between logits and target classes."""
    if weight is None and not label_smoothing and target.data.dtype.char == "l":
        shape, classes = input.data.shape, target.data.shape
        if len(shape) > 1 and shape[0] == classes[0] and shape[2:] == classes[1:] and reduction in _REDUCTIONS:
            return words.cross_entropy(input, target, ignore_index=ignore_index, reduction=reduction)
    raise NotImplementedError


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """The negative log likelihood."""
    return words.nll_loss(input, target, ignore_index=ignore_index, reduction=reduction)
