"""torch.special's names for functions that live in `ops`, and a few compositions of them.

>>> import autograd_gpu as ag
>>> ag.special.expit(ag.tensor([0.0]))
tensor([0.5000])
"""

from __future__ import annotations

from .core.graph import words
from .core.tensor import Tensor
from .ops.activation import sigmoid as expit
from .ops.arithmetic import xlogy
from .ops.elementwise import exp2, expm1, log1p, logit, round
from .ops.functions import digamma, erf, erfc, erfinv, ndtr, polygamma
from .ops.functions import lgamma as gammaln
from .ops.trigonometry import sinc

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammaln", "log1p", "logit", "ndtr", "ndtri",
    "polygamma", "psi", "round", "sinc", "xlog1py", "xlogy",
]  # fmt: skip

psi = digamma


def entr(input: Tensor) -> Tensor:
    """-x log(x), 0 at 0 and minus infinity below: the terms of an entropy.

    >>> import autograd_gpu as ag
    >>> ag.special.entr(ag.tensor([0.25, 0.5]))
    tensor([0.3466, 0.3466])
    """
    return words.where(words.lt(input, 0), float("-inf"), words.neg(words.xlogy(input, input)))


def ndtri(input: Tensor) -> Tensor:
    """The inverse of the standard normal distribution's `ndtr`.

    >>> import autograd_gpu as ag
    >>> ag.special.ndtri(ag.tensor([0.5, 0.975]))
    tensor([0.0000, 1.9600])
    """
    return words.erfinv(input * 2 - 1) * 2**0.5


def xlog1py(input: Tensor, other: Tensor) -> Tensor:
    """input * log(1 + other), 0 where `input` is 0.

    >>> import autograd_gpu as ag
    >>> ag.special.xlog1py(ag.tensor([0.0, 2.0]), ag.tensor([-1.0, 1.0]))
    tensor([0.0000, 1.3863])
    """
    return words.xlogy(input, other + 1)
