"""What all distributions share."""

from __future__ import annotations

from typing import Any

from ..autograd import no_grad
from ..backend.promotion import default_dtype
from ..core.tensor import Size, Tensor
from ..ops.create import tensor
from ..ops.shape import broadcast_tensors


class Distribution:
    """A batch of distributions: `batch_shape` of them, each over elements of `event_shape`.

    A subclass defines `log_prob`, `mean`, `variance`, `entropy` and `sample` or `rsample`. With `validate_args`, as by default,
    parameters and values that the distribution cannot have raise ValueError."""

    has_rsample = False  # whether `rsample` gives samples through which gradients flow to the parameters
    validates = True

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None):
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self.validates = validate_args

    @property
    def batch_shape(self) -> Size:
        """The shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of what one distribution is over: () for numbers."""
        return self._event_shape

    @property
    def mean(self) -> Tensor:
        """The mean of each distribution."""
        raise NotImplementedError

    @property
    def variance(self) -> Tensor:
        """The variance of each distribution."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The standard deviation of each distribution."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples of shape `sample_shape + batch_shape + event_shape`, cut off from the parameters."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Samples through which gradients flow to the parameters. Raises NotImplementedError where that cannot be."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample: its samples do not depend smoothly on its parameters")

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or probability, of values."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The entropy of each distribution, in nats."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """e to the power of the entropy."""
        return self.entropy().exp()

    def _extended(self, sample_shape: Any) -> tuple[int, ...]:
        return (*sample_shape, *self._batch_shape, *self._event_shape)

    def _check(self, fits: Any, what: str, value: Tensor) -> None:
        if self.validates and not bool(fits.all()):
            raise ValueError(f"{type(self).__name__}: {what}, but the tensor of shape {list(value.shape)} has other elements")

    def _check_numbers(self, *values: Tensor) -> None:
        for value in values:
            self._check(value.detach() == value.detach(), "nan is no number", value)

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}: {v if v.numel() == 1 else v.shape}" for k, v in vars(self).items() if isinstance(v, Tensor))
        return f"{type(self).__name__}({shown})"


def together(*values: Any) -> list[Tensor]:
    """Numbers and tensors as tensors of one shape."""
    like = next((v for v in values if isinstance(v, Tensor)), None)
    dtype, device = (default_dtype[0], None) if like is None else (like.dtype, like.device)
    tensors = [v if isinstance(v, Tensor) else tensor(v, dtype=dtype, device=device) for v in values]
    return list(broadcast_tensors(*tensors))


class Independent(Distribution):
    """A batch of distributions whose last dimensions are taken as one event: `log_prob` and `entropy` are summed over them.

    >>> import autograd_gpu as ag
    >>> normal = ag.distributions.Normal(ag.zeros(3, 2), 1.0)
    >>> ag.distributions.Independent(normal, 1).log_prob(ag.zeros(3, 2)).shape
    Size([3])
    """

    def __init__(self, base_distribution: Distribution, reinterpreted_batch_ndims: int, validate_args: bool | None = None):
        n = len(base_distribution.batch_shape) - reinterpreted_batch_ndims
        if n < 0:
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual "
                f"{reinterpreted_batch_ndims} vs {len(base_distribution.batch_shape)}"
            )
        shape = base_distribution.batch_shape + base_distribution.event_shape
        super().__init__(shape[:n], shape[n:], validate_args)
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, reinterpreted_batch_ndims
        self.has_rsample = base_distribution.has_rsample

    @property
    def mean(self) -> Tensor:
        """The mean of each."""
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        """The variance of each."""
        return self.base_dist.variance

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples, cut off from the parameters."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Samples through which gradients flow to the parameters."""
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density of values."""
        return self._summed(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        """The entropy of each event."""
        return self._summed(self.base_dist.entropy())

    def _summed(self, x: Tensor) -> Tensor:
        n = self.reinterpreted_batch_ndims
        return x.sum(tuple(range(-n, 0))) if n else x

    def __repr__(self) -> str:
        return f"Independent({self.base_dist!r}, {self.reinterpreted_batch_ndims})"
