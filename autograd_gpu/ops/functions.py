"""The error function, the gamma function, and their families."""

from __future__ import annotations

from typing import Any

from ..core.graph import words
from ..core.primitive import elementwise
from ..core.tensor import Tensor

__all__ = [
    "digamma", "erf", "erfc", "erfinv", "lgamma", "polygamma",
]  # fmt: skip
METHODS: tuple[str, ...] = tuple(__all__)
IN_PLACE: tuple[str, ...] = METHODS

TWO_BY_SQRT_PI, SQRT_PI_BY_TWO, ONE_BY_SQRT_TWO_PI = 1.1283791670955126, 0.886226925452758, 0.3989422804014327


@elementwise(lambda xp, g, x: g * xp.exp(-x * x) * TWO_BY_SQRT_PI)
def erf(xp: Any, x: Any) -> Any:
    """The error function.

    >>> import autograd_gpu as ag
    >>> ag.erf(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    ...


@elementwise(lambda xp, g, x: g * xp.exp(-x * x) * -TWO_BY_SQRT_PI)
def erfc(xp: Any, x: Any) -> Any:
    """1 - erf(x), accurate where that is small.

    >>> import autograd_gpu as ag
    >>> ag.erfc(ag.tensor([0.0, 1.0]))
    tensor([1.0000, 0.1573])
    """
    ...


@elementwise(lambda xp, g, out: g * xp.exp(out * out) * SQRT_PI_BY_TWO)
def erfinv(xp: Any, x: Any) -> Any:
    """The inverse of erf, NaN outside [-1, 1].

    >>> import autograd_gpu as ag
    >>> ag.erfinv(ag.tensor([0.0, 0.5]))
    tensor([0.0000, 0.4769])
    """
    ...


@elementwise(lambda xp, g, x: g * xp.exp(x * x * -0.5) * ONE_BY_SQRT_TWO_PI)
def ndtr(xp: Any, x: Any) -> Any:
    """The distribution function of the standard normal distribution, which PyTorch has as `special.ndtr`.

    >>> import autograd_gpu as ag
    >>> ag.special.ndtr(ag.tensor([0.0, 1.96]))
    tensor([0.5000, 0.9750])
    """
    ...


@elementwise(lambda xp, g, x: g * xp.digamma(x))
def lgamma(xp: Any, x: Any) -> Any:
    """The logarithm of the absolute value of the gamma function.

    >>> import autograd_gpu as ag
    >>> ag.lgamma(ag.tensor([0.5, 5.0]))
    tensor([0.5724, 3.1781])
    """
    ...


@elementwise(lambda xp, g, x: g * xp.polygamma(x, n=1))
def digamma(xp: Any, x: Any) -> Any:
    """The derivative of `lgamma`.

    >>> import autograd_gpu as ag
    >>> ag.digamma(ag.tensor([0.5, 5.0]))
    tensor([-1.9635,  1.5061])
    """
    ...


@elementwise(lambda xp, g, x, n: g * xp.polygamma(x, n=n + 1))
def _polygamma(xp: Any, x: Any, *, n: int) -> Any:
    """The op behind `polygamma`."""
    return xp.polygamma(x, n=n)


def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of `digamma`. Raises RuntimeError for negative n.

    >>> import autograd_gpu as ag
    >>> ag.polygamma(1, ag.tensor([1.0, 0.5]))
    tensor([1.6449, 4.9348])
    """
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return words.digamma(input) if n == 0 else words.polygamma(input, n=n)
