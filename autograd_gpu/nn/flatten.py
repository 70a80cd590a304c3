"""Modules that change the shape of their input."""

from __future__ import annotations

from ..core.tensor import Tensor
from .module import Module


class Flatten(Module):
    """Joins the dimensions from `start_dim` to `end_dim` into one.

    >>> import autograd_gpu as ag
    >>> ag.nn.Flatten()(ag.zeros(2, 3, 4)).shape
    Size([2, 12])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
