"""Samples of a choice that have a gradient.

E. Jang et al., Categorical Reparameterization with Gumbel-Softmax, 2017."""

from __future__ import annotations

import warnings

from ..core.graph import words
from ..core.tensor import Tensor
from .arguments import axis_of
from .create import empty_like
from .linalg import check_tensors

__all__ = ["gumbel_softmax"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """The softmax along `dim` of (logits + noise) / tau, with noise of the Gumbel distribution: near a one-hot sample of the
    classes for a small `tau`. With `hard` it is one-hot, and has the gradient of the soft one.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.gumbel_softmax(ag.zeros(2, 5), hard=True).sum(1)
    tensor([1., 1.])
    """
    check_tensors("gumbel_softmax", logits=logits)
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    axis = axis_of(dim, logits.ndim)
    noise = words.log(empty_like(logits.detach()).exponential_())
    soft = words.softmax(words.div(words.sub(logits, noise), tau), axis=(axis,))
    if not hard:
        return soft
    place = words.argmax(soft.detach(), axis=axis, keepdims=True)
    one_hot = words.place(words.ones_like(words.pick(soft.detach(), place, axis=axis)), place, shape=soft.array.shape, axis=axis)
    return one_hot - soft.detach() + soft
