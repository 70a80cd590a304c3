"""The functions behind the modules: torch.nn.functional's names. The ops themselves stand in `autograd_gpu.ops`."""

from __future__ import annotations

from ..ops.activation import (
    celu,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    rrelu,
    selu,
    sigmoid,
    silu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)
from ..ops.elementwise import tanh
from ..ops.grid import one_hot
from ..ops.linalg import linear
from ..ops.loss import cross_entropy, nll_loss
from ..ops.padding import pad
from ..ops.softmaxes import log_softmax, softmax, softmin

try:  # TEMPORARY until it has landed
    from ..ops.loss import mse_loss
except ImportError:
    mse_loss = None

__all__ = [
    "celu", "cross_entropy", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "linear",
    "log_softmax", "logsigmoid", "mish", "mse_loss", "nll_loss", "one_hot", "pad", "prelu", "relu", "relu6", "rrelu", "selu",
    "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
]  # fmt: skip
