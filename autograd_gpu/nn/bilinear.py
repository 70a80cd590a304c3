"""The module of a bilinear form."""

from __future__ import annotations

import math
from typing import Any

from ..core.tensor import Tensor
from ..ops.create import empty
from ..ops.forms import bilinear as _bilinear
from . import init
from .module import Module
from .parameter import Parameter


class Bilinear(Module):
    """x1 @ weight[k] @ x2 + bias[k]: (*, in1_features) and (*, in2_features) -> (*, out_features).

    weight   (out_features, in1_features, in2_features), uniform in +-1/sqrt(in1_features) at first
    bias     (out_features,), likewise; None with bias=False

    >>> import autograd_gpu as ag
    >>> ag.nn.Bilinear(2, 3, 4)
    Bilinear(in1_features=2, in2_features=3, out_features=4, bias=True)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got (in1_features={in1_features})")
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = Parameter(empty((out_features, in1_features, in2_features), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return _bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )
