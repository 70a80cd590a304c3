"""Ops that work element by element: arithmetic, functions, comparisons."""

from __future__ import annotations

from typing import Any

from ..core.primitive import elementwise

__all__ = ["mul", "tanh"]
METHODS: tuple[str, ...] = ("mul", "tanh")  # those that are methods of Tensor too
IN_PLACE: tuple[str, ...] = ("mul", "tanh")  # those that have an in-place form, a method with an underscore


@elementwise(a=lambda xp, g, b: g * b, b=lambda xp, g, a: g * a)
def mul(xp: Any, a: Any, b: Any) -> Any:
    """The product, element by element, with broadcasting.

    >>> import autograd_gpu as ag
    >>> ag.mul(ag.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    ...


@elementwise(lambda xp, g, out: g - g * out * out)
def tanh(xp: Any, x: Any) -> Any:
    """The hyperbolic tangent.

    >>> import autograd_gpu as ag
    >>> ag.tanh(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    ...
