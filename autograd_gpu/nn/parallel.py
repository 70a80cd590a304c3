"""DataParallel, which public programs wrap networks in: here on one device."""

from __future__ import annotations

from typing import Any

from .module import Module


class DataParallel(Module):
    """Calls `module`, on the device where it is: with several devices each batch is computed on one of them all the same.

    The names in its state_dict begin with "module.", as PyTorch's.

    >>> import autograd_gpu as ag
    >>> list(ag.nn.DataParallel(ag.nn.Linear(2, 1)).state_dict())
    ['module.weight', 'module.bias']
    """

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0):
        super().__init__()
        self.module = module
        self.device_ids = [] if device_ids is None else list(device_ids)
        self.output_device, self.dim = output_device, dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)
