"""Ops that rearrange: views, joining, splitting, padding."""

from __future__ import annotations

from typing import Any

from ..core.graph import words
from ..core.primitive import linear
from ..core.tensor import Tensor
from .arguments import shape_of

__all__ = ["broadcast_to"]
METHODS: tuple[str, ...] = ("broadcast_to",)
IN_PLACE: tuple[str, ...] = ()


@linear(lambda xp, g, x_shape: xp.sum_to(g, shape=x_shape), view=True)
def _broadcast_to(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """The op behind `broadcast_to`."""
    return xp.broadcast_to(x, shape=shape)


def broadcast_to(input: Tensor, size: Any) -> Tensor:
    """A view of `input` stretched to the shape `size`, in which dimensions of size 1 and new leading ones may grow."""
    return words.broadcast_to(input, shape=shape_of((size,)))
