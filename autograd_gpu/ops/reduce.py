"""Reductions, scans and the softmax family."""

from __future__ import annotations

from typing import Any

from ..core.graph import words
from ..core.primitive import linear
from ..core.tensor import Tensor
from .arguments import axes_of

__all__ = ["sum"]
METHODS: tuple[str, ...] = ("sum",)
IN_PLACE: tuple[str, ...] = ()


@linear(lambda xp, g, x_shape: xp.broadcast_to(g, shape=x_shape))
def _sum_to(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """The op that undoes broadcasting: a word for the engine and for rules."""
    return xp.sum_to(x, shape=shape)


@linear(lambda xp, g, x_shape, axis, keepdims: xp.broadcast_to(_kept(xp, g, axis, keepdims), shape=x_shape))
def _sum(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool = False) -> Any:
    """The op behind `sum`."""
    return xp.sum(x, axis=axis, keepdims=keepdims)


def _kept(xp: Any, g: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The gradient of a reduction with the reduced dimensions of size 1 put back."""
    if keepdims or not axis:
        return g
    shape = list(g.shape)
    for i in sorted(axis):
        shape.insert(i, 1)
    return xp.reshape(g, shape=tuple(shape))


def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, axis: Any = None, dtype: Any = None) -> Tensor:
    """The sum over the dimensions `dim`, by default over all."""
    dim = axis if dim is None else dim
    return words.sum(input, axis=axes_of(dim, input.ndim), keepdims=keepdim)
