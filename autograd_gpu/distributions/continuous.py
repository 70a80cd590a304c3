"""Distributions over the real numbers."""

from __future__ import annotations

import math
from typing import Any

from ..core.tensor import Tensor
from ..ops.random import rand, randn
from .base import Distribution, together


def _like(make: Any, shape: tuple[int, ...], x: Tensor) -> Tensor:
    return make(shape, dtype=x.dtype, device=x.device)


class Normal(Distribution):
    """Normal numbers of mean `loc` and standard deviation `scale`.

    >>> import autograd_gpu as ag
    >>> ag.distributions.Normal(0.0, 1.0).log_prob(ag.tensor(0.0))
    tensor(-0.9189)
    """

    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.loc, self.scale = together(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)
        self._check(self.scale.detach() > 0, "scale must be positive", self.scale)
        self._check_numbers(self.loc)

    @property
    def mean(self) -> Tensor:
        """The mean of each."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """The standard deviation of each."""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """The variance of each."""
        return self.scale.square()

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """loc + scale * normal numbers."""
        return self.loc + self.scale * _like(randn, self._extended(sample_shape), self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density of values."""
        self._check_numbers(value)
        return -((value - self.loc) ** 2) / (2 * self.scale**2) - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def entropy(self) -> Tensor:
        """The entropy, log(scale) + log(2 pi e) / 2."""
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a number below each value."""
        return 0.5 * (1 + ((value - self.loc) * self.scale.reciprocal() / math.sqrt(2)).erf())

    def icdf(self, value: Tensor) -> Tensor:
        """The number below which samples lie with each probability."""
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)


class LogNormal(Distribution):
    """Numbers whose logarithm is normal, of mean `loc` and standard deviation `scale`."""

    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.base_dist = Normal(loc, scale, validate_args)
        self.loc, self.scale = self.base_dist.loc, self.base_dist.scale
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        """The mean of each."""
        return (self.loc + self.scale.square() / 2).exp()

    @property
    def variance(self) -> Tensor:
        """The variance of each."""
        square = self.scale.square()
        return square.expm1() * (2 * self.loc + square).exp()

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """e to the power of normal numbers."""
        return self.base_dist.rsample(sample_shape).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density of values."""
        self._check(value.detach() > 0, "values are positive", value)
        log = value.log()
        return self.base_dist.log_prob(log) - log

    def entropy(self) -> Tensor:
        """The entropy."""
        return self.base_dist.entropy() + self.loc


class Laplace(Distribution):
    """Numbers with a density that falls off exponentially on both sides of `loc`, over `scale`."""

    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.loc, self.scale = together(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)
        self._check(self.scale.detach() > 0, "scale must be positive", self.scale)
        self._check_numbers(self.loc)

    @property
    def mean(self) -> Tensor:
        """The mean of each."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The variance of each."""
        return 2 * self.scale.square()

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """loc minus a signed exponential number times scale."""
        u = _like(rand, self._extended(sample_shape), self.loc) - 0.5
        return self.loc - self.scale * u.sign() * (-2 * u.abs()).clamp(min=-1 + 1e-7).log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density of values."""
        self._check_numbers(value)
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def entropy(self) -> Tensor:
        """The entropy, 1 + log(2 scale)."""
        return 1 + (2 * self.scale).log()


class Exponential(Distribution):
    """Waiting times of events that come at a `rate`."""

    has_rsample = True

    def __init__(self, rate: Any, validate_args: bool | None = None):
        (self.rate,) = together(rate)
        super().__init__(self.rate.shape, (), validate_args)
        self._check(self.rate.detach() > 0, "rate must be positive", self.rate)

    @property
    def mean(self) -> Tensor:
        """The mean of each."""
        return self.rate.reciprocal()

    @property
    def variance(self) -> Tensor:
        """The variance of each."""
        return self.rate.pow(-2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """-log(1 - u) / rate of uniform numbers u."""
        return -(-_like(rand, self._extended(sample_shape), self.rate)).log1p() / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density of values."""
        self._check(value.detach() >= 0, "values must not be negative", value)
        return self.rate.log() - self.rate * value

    def entropy(self) -> Tensor:
        """The entropy, 1 - log(rate)."""
        return 1.0 - self.rate.log()


class Uniform(Distribution):
    """Numbers between `low` and `high`, all alike."""

    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None):
        self.low, self.high = together(low, high)
        super().__init__(self.low.shape, (), validate_args)
        self._check(self.low.detach() < self.high.detach(), "low must be below high", self.high)

    @property
    def mean(self) -> Tensor:
        """The mean of each."""
        return (self.high + self.low) / 2

    @property
    def variance(self) -> Tensor:
        """The variance of each."""
        return (self.high - self.low).pow(2) / 12

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """low + (high - low) * uniform numbers."""
        return self.low + _like(rand, self._extended(sample_shape), self.low) * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density of values: -inf outside, where validate_args is False."""
        self._check((value >= self.low) & (value <= self.high), "values are from low to high", value)
        inside = (self.low <= value) & (self.high > value)
        return inside.type_as(self.low).log() - (self.high - self.low).log()

    def entropy(self) -> Tensor:
        """The entropy, log(high - low)."""
        return (self.high - self.low).log()
