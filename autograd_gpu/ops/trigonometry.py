"""Angles: sines and their like, hyperbolic ones, their inverses."""

from __future__ import annotations

from typing import Any

from ..core.primitive import elementwise

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "asin", "asinh", "atan", "atanh", "cos",
    "cosh", "deg2rad", "rad2deg", "sin", "sinc", "sinh", "tan", "tanh",
]  # fmt: skip
METHODS: tuple[str, ...] = tuple(__all__)
IN_PLACE: tuple[str, ...] = METHODS

PI = 3.141592653589793


@elementwise(lambda xp, g, x: g * xp.cos(x))
def sin(xp: Any, x: Any) -> Any:
    """The sine of angles in radians.

    >>> import autograd_gpu as ag
    >>> ag.sin(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8415])
    """
    ...


@elementwise(lambda xp, g, x: -g * xp.sin(x))
def cos(xp: Any, x: Any) -> Any:
    """The cosine of angles in radians.

    >>> import autograd_gpu as ag
    >>> ag.cos(ag.tensor([0.0, 1.0]))
    tensor([1.0000, 0.5403])
    """
    ...


@elementwise(lambda xp, g, out: g + g * out * out)
def tan(xp: Any, x: Any) -> Any:
    """The tangent of angles in radians.

    >>> import autograd_gpu as ag
    >>> ag.tan(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5574])
    """
    ...


@elementwise(lambda xp, g, x: g * xp.rsqrt(1 - x * x))
def asin(xp: Any, x: Any) -> Any:
    """The angle in [-pi/2, pi/2] whose sine this is.

    >>> import autograd_gpu as ag
    >>> ag.asin(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5708])
    """
    ...


@elementwise(lambda xp, g, x: -g * xp.rsqrt(1 - x * x))
def acos(xp: Any, x: Any) -> Any:
    """The angle in [0, pi] whose cosine this is.

    >>> import autograd_gpu as ag
    >>> ag.acos(ag.tensor([0.0, 1.0]))
    tensor([1.5708, 0.0000])
    """
    ...


@elementwise(lambda xp, g, x: g / (x * x + 1))
def atan(xp: Any, x: Any) -> Any:
    """The angle in (-pi/2, pi/2) whose tangent this is.

    >>> import autograd_gpu as ag
    >>> ag.atan(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7854])
    """
    ...


@elementwise(lambda xp, g, x: g * xp.cosh(x))
def sinh(xp: Any, x: Any) -> Any:
    """The hyperbolic sine.

    >>> import autograd_gpu as ag
    >>> ag.sinh(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 1.1752])
    """
    ...


@elementwise(lambda xp, g, x: g * xp.sinh(x))
def cosh(xp: Any, x: Any) -> Any:
    """The hyperbolic cosine.

    >>> import autograd_gpu as ag
    >>> ag.cosh(ag.tensor([0.0, 1.0]))
    tensor([1.0000, 1.5431])
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


@elementwise(lambda xp, g, x: g * xp.rsqrt(x * x + 1))
def asinh(xp: Any, x: Any) -> Any:
    """The inverse of the hyperbolic sine.

    >>> import autograd_gpu as ag
    >>> ag.asinh(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8814])
    """
    ...


@elementwise(lambda xp, g, x: g * xp.rsqrt(x * x - 1))
def acosh(xp: Any, x: Any) -> Any:
    """The inverse of the hyperbolic cosine, NaN below 1.

    >>> import autograd_gpu as ag
    >>> ag.acosh(ag.tensor([1.0, 2.0]))
    tensor([0.0000, 1.3170])
    """
    ...


@elementwise(lambda xp, g, x: g / (1 - x * x))
def atanh(xp: Any, x: Any) -> Any:
    """The inverse of the hyperbolic tangent.

    >>> import autograd_gpu as ag
    >>> ag.atanh(ag.tensor([0.0, 0.5]))
    tensor([0.0000, 0.5493])
    """
    ...


@elementwise(lambda xp, g: xp.deg2rad(g))
def deg2rad(xp: Any, x: Any) -> Any:
    """Angles in degrees as radians.

    >>> import autograd_gpu as ag
    >>> ag.deg2rad(ag.tensor([180.0, 90.0]))
    tensor([3.1416, 1.5708])
    """
    ...


@elementwise(lambda xp, g: xp.rad2deg(g))
def rad2deg(xp: Any, x: Any) -> Any:
    """Angles in radians as degrees.

    >>> import autograd_gpu as ag
    >>> ag.rad2deg(ag.tensor([3.1415927, 1.0]))
    tensor([180.0000,  57.2958])
    """
    ...


@elementwise(lambda xp, g, x, out: g * (xp.cos(x * PI) - out) / (x + (x == 0)))
def sinc(xp: Any, x: Any) -> Any:
    """sin(pi x) / (pi x), 1 at 0.

    >>> import autograd_gpu as ag
    >>> ag.sinc(ag.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    ...


arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh
