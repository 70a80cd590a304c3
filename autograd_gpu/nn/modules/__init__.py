"""PyTorch's second place for what is in `nn`: `nn.modules.Linear` is `nn.Linear`."""

from __future__ import annotations

from typing import Any

from . import batchnorm, conv, loss, module, utils

__all__ = ["batchnorm", "conv", "loss", "module", "utils"]


def __getattr__(name: str) -> Any:
    from autograd_gpu import nn

    if name not in nn.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(nn, name)
