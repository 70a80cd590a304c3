"""Activation functions that are linear in pieces, as modules."""

from __future__ import annotations

import warnings
from typing import Any

from ..core.graph import words
from ..core.tensor import Tensor
from ..ops.create import empty
from . import functional as F
from . import init as initial
from .module import Module
from .parameter import Parameter

__all__ = [
    "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "PReLU", "RReLU", "ReLU", "ReLU6", "Softshrink",
    "Threshold",
]  # fmt: skip


class MayOverwrite(Module):
    """Base class of activation functions that write into its input with inplace=True."""

    _shown: tuple[str, ...] = ()  # the attributes that repr shows

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return ", ".join([f"{name}={getattr(self, name)}" for name in self._shown] + ["inplace=True"] * bool(self.inplace))


class ReLU(MayOverwrite):
    """max(x, 0).

    >>> import autograd_gpu as ag
    >>> ag.nn.ReLU()(ag.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return input.relu_() if self.inplace else words.relu(input)


class LeakyReLU(MayOverwrite):
    """x where it is positive, else negative_slope * x.

    >>> import autograd_gpu as ag
    >>> ag.nn.LeakyReLU(0.5)(ag.tensor([-1.0, 2.0]))
    tensor([-0.5000,  2.0000])
    """

    _shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False):
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class RReLU(MayOverwrite):
    """x where it is positive, else x times a slope: drawn between `lower` and `upper` for each element in training, their mean in
    evaluation.

    >>> import autograd_gpu as ag
    >>> ag.nn.RReLU(0.25, 0.75).eval()(ag.tensor([-1.0, 2.0]))
    tensor([-0.5000,  2.0000])
    """

    _shown = ("lower", "upper")

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False):
        super().__init__(inplace)
        self.lower = lower
        self.upper = upper

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class PReLU(Module):
    """x where it is positive, else weight * x, with one weight, or one for each channel, dimension 1.

    weight   (num_parameters,), `init` at first

    >>> import autograd_gpu as ag
    >>> ag.nn.PReLU()(ag.tensor([-1.0, 2.0])).tolist()
    [-0.25, 2.0]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None):
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Make the weights what they were at first."""
        initial.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class Threshold(MayOverwrite):
    """x where it is above `threshold`, else `value`.

    >>> import autograd_gpu as ag
    >>> ag.nn.Threshold(1.0, 20.0)(ag.tensor([0.5, 2.0]))
    tensor([20.,  2.])
    """

    _shown = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)


class Hardtanh(MayOverwrite):
    """x limited to [min_val, max_val].

    >>> import autograd_gpu as ag
    >>> ag.nn.Hardtanh()(ag.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """

    _shown = ("min_val", "max_val")

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ):
        super().__init__(inplace)
        for old, new, value in (("min_value", "min_val", min_value), ("max_value", "max_val", max_value)):
            if value is not None:
                warnings.warn(f"keyword argument `{old}` is deprecated and renamed to `{new}`", FutureWarning, stacklevel=2)
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        if self.max_val <= self.min_val:
            raise AssertionError(f"max_val ({self.max_val}) must be greater than min_val ({self.min_val})")

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class ReLU6(Hardtanh):
    """min(max(x, 0), 6).

    >>> import autograd_gpu as ag
    >>> ag.nn.ReLU6()(ag.tensor([-1.0, 2.0, 7.0]))
    tensor([0., 2., 6.])
    """

    _shown = ()

    def __init__(self, inplace: bool = False):
        super().__init__(0.0, 6.0, inplace)


class Hardsigmoid(MayOverwrite):
    """relu6(x + 3) / 6.

    >>> import autograd_gpu as ag
    >>> ag.nn.Hardsigmoid()(ag.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardswish(MayOverwrite):
    """x * hardsigmoid(x).

    >>> import autograd_gpu as ag
    >>> ag.nn.Hardswish()(ag.tensor([1.0, 4.0]))
    tensor([0.6667, 4.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Softshrink(Module):
    """x moved towards 0 by `lambd`, 0 if it is not farther away.

    >>> import autograd_gpu as ag
    >>> ag.nn.Softshrink()(ag.tensor([-1.0, 0.25, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(Module):
    """x outside [-lambd, lambd], 0 inside.

    >>> import autograd_gpu as ag
    >>> ag.nn.Hardshrink()(ag.tensor([-1.0, 0.25, 2.0]))
    tensor([-1.,  0.,  2.])
    """

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)
