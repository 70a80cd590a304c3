"""Probability distributions whose parameters may need gradients: torch.distributions's names, those that policy gradients and
variational methods use most.

>>> import autograd_gpu as ag
>>> policy = ag.distributions.Categorical(logits=ag.zeros(2, requires_grad=True))
>>> policy.log_prob(ag.tensor(1)).exp().item()
0.5
"""

from __future__ import annotations

from .base import Distribution, Independent
from .continuous import Exponential, Laplace, LogNormal, Normal, Uniform
from .discrete import Bernoulli, Categorical, OneHotCategorical
from .divergence import kl_divergence, register_kl

__all__ = [
    "Bernoulli",
    "Categorical",
    "Distribution",
    "Exponential",
    "Independent",
    "Laplace",
    "LogNormal",
    "Normal",
    "OneHotCategorical",
    "Uniform",
    "kl_divergence",
    "register_kl",
]
