"""Modules that a sequence of them computes at once, where the device has a kernel for that and nobody can tell the difference."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from ..ops.conv_pool import at_once, conv_relu_pool
from .conv import Conv2d
from .module import Module
from .pooling import MaxPool2d
from .rectifiers import ReLU

_KINDS = [Conv2d, ReLU, MaxPool2d]


def pooled(modules: list[Module], input: Any) -> Tensor | None:
    """What a Conv2d, a ReLU and a MaxPool2d without hooks make of `input`; None for other modules, and if it is better to call
    one after the other."""
    if [m.__class__ for m in modules] != _KINDS or any([m._hooked or "forward" in vars(m) for m in modules]):
        return None
    conv, _, pool = modules
    if pool.kernel_size not in (2, (2, 2)) or pool.stride not in (2, (2, 2)) or pool.padding not in (0, (0, 0)):
        return None
    if pool.dilation not in (1, (1, 1)) or pool.ceil_mode or pool.return_indices:
        return None
    if conv.stride != (1, 1) or conv.dilation != (1, 1) or conv.groups != 1 or conv.padding_mode != "zeros":
        return None
    if not at_once(input, conv.weight, conv.bias, conv.padding):
        return None
    return conv_relu_pool(input, conv.weight, conv.bias, conv.padding)
