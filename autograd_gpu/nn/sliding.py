"""Blocks of an image as columns, and back."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from ..ops.sliding import fold, unfold
from .module import Module


class Unfold(Module):
    """The blocks of (n, channels, height, width) as columns: (n, channels * prod(kernel_size), blocks).

    >>> import autograd_gpu as ag
    >>> ag.nn.Unfold((2, 3))(ag.ones(1, 5, 3, 4)).shape
    Size([1, 30, 4])
    """

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """The sum of blocks at their places in an image of `output_size`, where blocks that overlap add up.

    >>> import autograd_gpu as ag
    >>> ag.nn.Fold((3, 4), (2, 3))(ag.ones(1, 30, 4)).shape
    Size([1, 5, 3, 4])
    """

    def __init__(self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )
