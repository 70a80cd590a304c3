"""Normalization as modules."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from typing import Any

from .. import backend
from ..core.dispatch import NOTHING
from ..core.graph import words
from ..core.tensor import Tensor
from ..ops.create import ones, zeros
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class _Affine(Module):
    """A module with a weight that begins as ones and a bias that begins as zeros; either may be left out."""

    weight: Parameter | None
    bias: Parameter | None

    def _make(self, shape: Any, weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        for name, wanted, fill in (("weight", weight, ones), ("bias", bias, zeros)):
            if wanted:
                setattr(self, name, Parameter(fill(shape, device=device, dtype=dtype)))
            else:
                self.register_parameter(name, None)

    def reset_parameters(self) -> None:
        """Set the weight to ones and the bias to zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if getattr(self, "bias", None) is not None:
            init.zeros_(self.bias)


class LayerNorm(_Affine):
    """Normalizes over the last dimensions, of the shape `normalized_shape`. See `functional.layer_norm`.

    weight, bias   (*normalized_shape), None with elementwise_affine=False; bias=False leaves out the bias alone

    >>> import autograd_gpu as ag
    >>> ag.nn.LayerNorm(2)(ag.tensor([[1.0, 3.0]])).detach()
    tensor([[-1.0000,  1.0000]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        weight, bias, shape = self.weight, self.bias, self.normalized_shape
        array = input.array
        # what `F.layer_norm` would pass on to after its checks, in the common case
        if weight is not None and len(shape) == 1 and array.shape[-1:] == shape and array.dtype is weight.array.dtype:
            return words.layer_norm(input, weight, NOTHING if bias is None else bias, axes=(array.ndim - 1,), eps=self.eps)
        return F.layer_norm(input, shape, weight, bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(_Affine):
    """Divides by the root of the mean square over the last dimensions, of the shape `normalized_shape`. See
    `functional.rms_norm`.

    >>> import autograd_gpu as ag
    >>> ag.nn.RMSNorm(2)(ag.tensor([[3.0, 4.0]])).detach()
    tensor([[0.8485, 1.1314]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        if elementwise_affine:
            self.weight = Parameter(ones(self.normalized_shape, device=device, dtype=dtype))
        else:
            self.register_parameter("weight", None)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Affine):
    """Normalizes over each of `num_groups` groups of the channels of a sample. See `functional.group_norm`.

    weight, bias   (num_channels), None with affine=False

    >>> import autograd_gpu as ag
    >>> ag.nn.GroupNorm(2, 4)(ag.tensor([[1.0, 3.0, 0.0, 8.0]])).detach()
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make(num_channels, affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(Module):
    """Divides by what neighbouring channels respond. See `functional.local_response_norm`.

    >>> import autograd_gpu as ag
    >>> ag.nn.LocalResponseNorm(2)
    LocalResponseNorm(2, alpha=0.0001, beta=0.75, k=1.0)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


# -- with running statistics -------------------------------------------------------------------------------------------------


class _Running(_Affine):
    """What BatchNorm and InstanceNorm share. `dims` are the numbers of dimensions that the input may have.

    running_mean, running_var   (num_features); None with track_running_stats=False
    num_batches_tracked         how many batches they are of, int64"""

    _version = 2  # since this, num_batches_tracked is saved
    dims: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._make(num_features, affine, affine and bias, device, dtype)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", ones(num_features, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", zeros((), device=device, dtype="int64") if tracked else None)

    def reset_running_stats(self) -> None:
        """Begin the running statistics anew."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Begin the running statistics anew; set the weight to ones and the bias to zeros."""
        self.reset_running_stats()
        super().reset_parameters()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *rest: Any) -> None:
        count, key = self.num_batches_tracked, prefix + "num_batches_tracked"
        if count is not None and key not in state_dict and (local_metadata.get("version") or 1) < 2:
            state_dict[key] = count.detach()
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self.dims:
            dims = " or ".join(f"{n}D" for n in self.dims)
            raise ValueError(f"expected {dims} input (got {input.ndim}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Running):
    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        momentum, mean, var = self.momentum, self.running_mean, self.running_var
        training = self.training
        if training and self.track_running_stats and self.num_batches_tracked is not None:
            count = self.num_batches_tracked.array
            backend.of(count.__class__).guarded(operator.iadd, "batch_norm")(count, 1)
            if momentum is None:
                momentum = 1.0 / int(count)  # the mean of all batches
        if momentum is None:
            momentum = 0.0
        if training and not self.track_running_stats:
            return F.batch_norm(input, None, None, self.weight, self.bias, True, momentum, self.eps)
        own = training or mean is None and var is None
        return F.batch_norm(input, mean, var, self.weight, self.bias, own, momentum, self.eps)


class BatchNorm1d(_BatchNorm):
    """Normalizes each channel of (N, C) or (N, C, L) over the batch; in evaluation mode by the running statistics of training.
    See `functional.batch_norm`.

    momentum   how far running statistics move towards those of a batch; None: they are the means of all batches

    >>> import autograd_gpu as ag
    >>> ag.nn.BatchNorm1d(1)(ag.tensor([[1.0], [3.0]])).detach()
    tensor([[-1.0000],
            [ 1.0000]])
    """

    dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for (N, C, H, W).

    >>> import autograd_gpu as ag
    >>> ag.nn.BatchNorm2d(3)(ag.ones(2, 3, 4, 4)).shape
    Size([2, 3, 4, 4])
    """

    dims = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for (N, C, D, H, W).

    >>> import autograd_gpu as ag
    >>> ag.nn.BatchNorm3d(3)(ag.ones(2, 3, 4, 4, 4)).shape
    Size([2, 3, 4, 4, 4])
    """

    dims = (5,)


class _InstanceNorm(_Running):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        single = input.ndim == self.dims[0]  # no batch
        axis = 0 if single else 1
        if input.array.shape[axis] != self.num_features:
            size = input.array.shape[axis]
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={axis} to match num_features ({self.num_features}), but got: {size}."
                )
            warnings.warn(
                f"input's size at dim={axis} does not match num_features. You can silence this warning by not passing in "
                "num_features, which is not used because affine=False",
                stacklevel=2,
            )
        x = words.reshape(input, shape=(1, *input.array.shape)) if single else input
        out = F.instance_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum if self.momentum is not None else 0.0,
            self.eps,
        )
        return words.reshape(out, shape=input.array.shape) if single else out


class InstanceNorm1d(_InstanceNorm):
    """Normalizes each channel of each sample of (N, C, L) or (C, L). See `functional.instance_norm`.

    >>> import autograd_gpu as ag
    >>> ag.nn.InstanceNorm1d(1)(ag.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """

    dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for (N, C, H, W) or (C, H, W).

    >>> import autograd_gpu as ag
    >>> ag.nn.InstanceNorm2d(3)(ag.ones(2, 3, 4, 4)).shape
    Size([2, 3, 4, 4])
    """

    dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for (N, C, D, H, W) or (C, D, H, W).

    >>> import autograd_gpu as ag
    >>> ag.nn.InstanceNorm3d(3)(ag.ones(2, 3, 4, 4, 4)).shape
    Size([2, 3, 4, 4, 4])
    """

    dims = (4, 5)
