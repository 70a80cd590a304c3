"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...core.tensor import Tensor
from ...ops.join import cat


def _one_place(parameters: list[Tensor]) -> None:
    devices = {str(p.device) for p in parameters}
    if len(devices) > 1:
        raise TypeError(f"Found two parameters on different devices, {sorted(devices)}, this is currently not supported.")


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters in one vector; gradients flow back to each.

    >>> import autograd_gpu as ag
    >>> ag.nn.utils.parameters_to_vector([ag.zeros(2), ag.ones(1, 2)])
    tensor([0., 0., 1., 1.])
    """
    parameters = list(parameters)
    _one_place(parameters)
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give each parameter its part of a vector as its elements: a view, not a copy.

    >>> import autograd_gpu as ag
    >>> w = ag.nn.Parameter(ag.zeros(1, 2))
    >>> ag.nn.utils.vector_to_parameters(ag.tensor([1.0, 2.0]), [w])
    >>> w
    Parameter containing:
    tensor([[1., 2.]], requires_grad=True)
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected a Tensor, but got: {type(vec).__name__}")
    parameters = list(parameters)
    _one_place(parameters)
    start = 0
    for p in parameters:
        size: Any = p.array.size
        p.data = vec.data[start : start + size].reshape(p.shape)
        start += size
