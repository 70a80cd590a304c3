"""Modules that multiply by a matrix, and those that leave their input as it is."""

from __future__ import annotations

import math
from typing import Any

from ..core.graph import words
from ..core.tensor import Tensor
from ..ops.create import empty
from ..ops.linalg import linear
from . import init
from .module import Module
from .parameter import Parameter


class Identity(Module):
    """Returns its input. Takes any arguments and ignores them.

    >>> import autograd_gpu as ag
    >>> ag.nn.Identity()(ag.tensor([1.0]))
    tensor([1.])
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """x @ weight.T + bias over the last dimension: (*, in_features) -> (*, out_features).

    weight   (out_features, in_features), uniform in +-1/sqrt(in_features) at first
    bias     (out_features,), likewise; None with bias=False

    >>> import autograd_gpu as ag
    >>> ag.nn.Linear(3, 2)
    Linear(in_features=3, out_features=2, bias=True)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty((out_features, in_features), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        bias = self.bias
        if bias is None or input.array.ndim < 2:
            return linear(input, self.weight, bias)
        return words.linear(input, self.weight, bias)  # which is what `linear` would pass on to: each level costs 0.2 us

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
