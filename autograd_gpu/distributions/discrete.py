"""Distributions over classes."""

from __future__ import annotations

from typing import Any

from ..autograd import no_grad
from ..core.tensor import Tensor
from ..dtypes import finfo
from ..ops.create import zeros_like
from ..ops.join import stack
from ..ops.random import bernoulli, multinomial
from ..ops.regression import binary_cross_entropy_with_logits
from .base import Distribution, together


def _one_of(probs: Any, logits: Any) -> None:
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


def _logarithm(probs: Tensor) -> Tensor:
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


class Categorical(Distribution):
    """One of the classes 0 to n - 1, with probabilities, or logits, along the last dimension; they need not be normalised.

    >>> import autograd_gpu as ag
    >>> ag.distributions.Categorical(ag.tensor([0.25, 0.75])).entropy()
    tensor(0.5623)
    """

    def __init__(self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None):
        _one_of(probs, logits)
        given = probs if probs is not None else logits
        if given.ndim < 1:
            raise ValueError("`probs` or `logits` parameter must be at least one-dimensional.")
        super().__init__(given.shape[:-1], (), validate_args)
        self._num_events = given.shape[-1]
        if probs is not None:
            self._check(probs.detach() >= 0, "probabilities must not be negative", probs)
            self._probs, self._logits = probs / probs.sum(-1, keepdim=True), None
            self._check(self._probs.detach() >= 0, "probabilities must not sum up to 0", probs)
        else:
            self._check_numbers(logits)
            self._probs, self._logits = None, logits - logits.logsumexp(-1, keepdim=True)

    @property
    def probs(self) -> Tensor:
        """The probabilities, normalised."""
        if self._probs is None:
            self._probs = self._logits.softmax(-1)
        return self._probs

    @property
    def logits(self) -> Tensor:
        """The logarithms of the probabilities."""
        if self._logits is None:
            self._logits = _logarithm(self._probs).log()
        return self._logits

    @property
    def mode(self) -> Tensor:
        """The most probable class."""
        return self.probs.argmax(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Classes, int64."""
        count = 1
        for n in sample_shape:
            count *= n
        drawn = multinomial(self.probs.detach().reshape(-1, self._num_events), count, True)
        return drawn.t().reshape(self._extended(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of classes."""
        if self.validates:
            classes = (value >= 0) & (value < self._num_events) & (value == value.long())
            self._check(classes, f"classes are 0 to {self._num_events - 1}", value)
        logits, shape = self.logits, value.shape
        if shape != self._batch_shape:
            value = value.expand(*shape) if len(shape) >= len(self._batch_shape) else value.expand(*self._batch_shape)
            logits = logits.expand(*value.shape, self._num_events)
        return logits.gather(-1, value.long().unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        """The entropy of each distribution."""
        logits = self.logits.clamp(min=finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def __repr__(self) -> str:
        given, what = (self._probs, "probs") if self._logits is None else (self._logits, "logits")
        return f"Categorical({what}: {given if given.numel() == 1 else given.shape})"


class OneHotCategorical(Distribution):
    """As `Categorical`, over vectors with a 1 at the class."""

    def __init__(self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None):
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, (self._categorical._num_events,), validate_args)

    @property
    def probs(self) -> Tensor:
        """The probabilities, normalised."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """The logarithms of the probabilities."""
        return self._categorical.logits

    @property
    def mean(self) -> Tensor:
        """The mean of each."""
        return self.probs

    @property
    def variance(self) -> Tensor:
        """The variance of each."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """One-hot vectors of the dtype of the parameters."""
        drawn = self._categorical.sample(sample_shape).unsqueeze(-1)
        shape = (*drawn.shape[:-1], self._categorical._num_events)
        return zeros_like(self.probs.detach()).expand(shape).clone().scatter_(-1, drawn, 1.0)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of one-hot vectors."""
        if value.shape[-1:] != self._event_shape:
            raise ValueError(
                f"the last dimension of values should be {self._event_shape[0]}, and their shape is {list(value.shape)}"
            )
        self._check(((value == 0) | (value == 1)) & (value.sum(-1, keepdim=True) == 1), "values are one-hot", value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        """The entropy of each distribution."""
        return self._categorical.entropy()


class Bernoulli(Distribution):
    """1 with a probability, given as such or as logits, and 0 otherwise.

    >>> import autograd_gpu as ag
    >>> ag.distributions.Bernoulli(0.25).log_prob(ag.tensor(1.0)).exp()
    tensor(0.2500)
    """

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        _one_of(probs, logits)
        self._probs = self._logits = None
        if probs is not None:
            (self._probs,) = together(probs)
        else:
            (self._logits,) = together(logits)
        super().__init__((self._probs if logits is None else self._logits).shape, (), validate_args)
        if self._probs is not None:
            inside = self._probs.detach()
            self._check((inside >= 0) & (inside <= 1), "probabilities are 0 to 1", self._probs)
        else:
            self._check_numbers(self._logits)

    @property
    def probs(self) -> Tensor:
        """The probabilities of 1."""
        if self._probs is None:
            self._probs = self._logits.sigmoid()
        return self._probs

    @property
    def logits(self) -> Tensor:
        """The logarithms of the odds."""
        if self._logits is None:
            inner = _logarithm(self._probs)
            self._logits = inner.log() - (-inner).log1p()
        return self._logits

    @property
    def mean(self) -> Tensor:
        """The mean of each."""
        return self.probs

    @property
    def variance(self) -> Tensor:
        """The variance of each."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Zeros and ones of the dtype of the parameters."""
        with no_grad():
            return bernoulli(self.probs.detach().expand(self._extended(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of zeros and ones."""
        self._check((value == 0) | (value == 1), "values are 0 or 1", value)
        logits, value = together(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value.to(logits.dtype), reduction="none")

    def entropy(self) -> Tensor:
        """The entropy of each distribution."""
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values: 0 and 1, in a first dimension."""
        zero = zeros_like(self.probs.detach())
        values = stack([zero, zero + 1])
        return values if expand else values.reshape(2, -1)[:, :1].reshape(2, *[1] * len(self._batch_shape))
