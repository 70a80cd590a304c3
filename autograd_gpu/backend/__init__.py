"""Arrays only: the vocabulary that each kind of array speaks, and the devices they lie on. Nothing here knows of Tensor."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from . import cpu


class Device:
    """Where a tensor's elements lie: `device("cpu")`, `device("cuda")`, `device("cuda:1")`, `device("cuda", 1)`."""

    __slots__ = ("type", "index")

    def __init__(self, type: str | Device, index: int | None = None):
        if isinstance(type, Device):
            type, index = type.type, type.index
        elif not isinstance(type, str):
            raise TypeError(f"device() takes a name such as 'cpu' or 'cuda:0', not {type!r}")
        name, colon, number = type.partition(":")
        if name not in ("cpu", "cuda", "meta") or (colon and not number.isdigit()):
            raise RuntimeError(f"Expected one of cpu, cuda, cuda:N as device string, not {type!r}")
        if colon:
            if index is not None:
                raise RuntimeError(f"device index given twice: {type!r} and {index}")
            index = int(number)
        self.type = name
        self.index = index

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            other = Device(other)
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"


CPU = Device("cpu")

_speakers: dict[type, ModuleType] = {np.ndarray: cpu}


def of(kind: type) -> ModuleType:
    """The vocabulary of arrays of type `kind`.

    Raises TypeError for a type that is no array of a device this package knows."""
    try:
        return _speakers[kind]
    except KeyError:
        raise TypeError(f"{kind.__module__}.{kind.__qualname__} is not an array type that autograd_gpu computes with") from None


def vocabulary(device: Device) -> ModuleType:
    """The vocabulary of the arrays of a device.

    Raises RuntimeError that says what is missing and how to install it if the device cannot be used."""
    if device.type == "cpu":
        return cpu
    raise RuntimeError(f"device '{device}' is not available: this build computes on the CPU only")


def device_of(array: Any) -> Device:
    """The device of an array."""
    return of(array.__class__).device_of(array)


def move(array: Any, device: Device) -> Any:
    """The array itself if it lies on `device`, else a copy there."""
    if device_of(array) == device:
        return array
    return vocabulary(device).from_host(of(array.__class__).to_host(array), device)
