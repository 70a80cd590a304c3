"""The device that is not the CPU, whatever it is: torch.accelerator's names. Here that is CUDA or none.

>>> import autograd_gpu as ag
>>> device = ag.accelerator.current_accelerator() if ag.accelerator.is_available() else ag.device("cpu")
"""

from __future__ import annotations

from typing import Any

from . import cuda
from .backend import Device

__all__ = ["current_accelerator", "current_device_index", "device_count", "is_available", "set_device_index", "synchronize"]


def is_available() -> bool:
    """Whether there is an accelerator."""
    return cuda.is_available()


def current_accelerator(check_available: bool = False) -> Device | None:
    """The accelerator as a device, None if there is none."""
    return Device("cuda") if is_available() else None


def device_count() -> int:
    """How many there are."""
    return cuda.device_count()


def current_device_index() -> int:
    """The number of the one that tensors are made on."""
    return cuda.current_device()


def set_device_index(device: Any) -> None:
    """Make tensors on another one."""
    cuda.set_device(device)


def synchronize(device: Any = None) -> None:
    """Wait until all its work is done."""
    cuda.synchronize(device)
