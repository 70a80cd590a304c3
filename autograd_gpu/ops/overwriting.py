"""Activation functions that write their result into their input: torch.nn.functional's names with an underscore."""

from __future__ import annotations

from ..core.tensor import Tensor
from . import activation

__all__ = ["celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_", "selu_", "threshold_"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


def relu_(input: Tensor) -> Tensor:
    """`relu`, written into the input.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.relu_(ag.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return activation.relu(input, True)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu`, written into the input.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.leaky_relu_(ag.tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5000,  2.0000])
    """
    return activation.leaky_relu(input, negative_slope, True)


def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """`rrelu`, written into the input.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.rrelu_(ag.tensor([-24.0, 2.0]))
    tensor([-5.5000,  2.0000])
    """
    return activation.rrelu(input, lower, upper, training, True)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`elu`, written into the input.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.elu_(ag.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return activation.elu(input, alpha, True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`celu`, written into the input.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.celu_(ag.tensor([-1.0, 2.0]), 2.0)
    tensor([-0.7869,  2.0000])
    """
    return activation.celu(input, alpha, True)


def selu_(input: Tensor) -> Tensor:
    """`selu`, written into the input.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.selu_(ag.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    return activation.selu(input, True)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`hardtanh`, written into the input.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.hardtanh_(ag.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    return activation.hardtanh(input, min_val, max_val, True)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """`threshold`, written into the input.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.threshold_(ag.tensor([0.5, 2.0]), 1.0, 20.0)
    tensor([20.,  2.])
    """
    return activation.threshold(input, threshold, value, True)
