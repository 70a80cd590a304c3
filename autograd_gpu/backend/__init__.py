"""Arrays only: the vocabulary that each kind of array speaks, and the devices they lie on. Nothing here knows of Tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from . import cpu, memory
from .driver import why_not


class Device:
    """Where a tensor's elements lie: `device("cpu")`, `device("cuda")`, `device("cuda:1")`, `device("cuda", 1)`. In a `with`
    block of one, what is made without naming a device is made there."""

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

    def __enter__(self) -> Device:
        _before.append(default_device[0])
        default_device[0] = CPU if self.type == "cpu" else self
        return self

    def __exit__(self, *exc: object) -> None:
        default_device[0] = _before.pop()


CPU = Device("cpu")
default_device = [CPU]  # where tensors are made that name no device; always CPU itself for the CPU
_before: list[Device] = []

_speakers: dict[type, Any] = {np.ndarray: cpu}
apart = [False]  # whether there are several CUDA devices; known once CUDA is used. See gpu.guard NOTE [Several devices]
streamed = [False]  # whether a stream was chosen. See streams.NOTE [Backward in streams]
placed = [False]  # whether either is so: then backward must see to where it runs


def of(kind: type) -> Any:
    """The vocabulary of arrays of type `kind`.

    Raises TypeError for a type that is no array of a device this package knows."""
    try:
        return _speakers[kind]
    except KeyError:
        pass
    if kind.__module__.partition(".")[0] == "cupy" and kind.__name__ == "ndarray":  # then it is imported already
        _gpu()
        return _speakers[kind]
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} is not an array type that autograd_gpu computes with") from None


@cache
def _gpu() -> ModuleType:
    """The vocabulary on CuPy, which is not imported before it is needed."""
    reason = why_not()
    if reason is not None:
        raise RuntimeError(f"device 'cuda' is not available: {reason}")
    import cupy

    from . import gpu
    from .gpu.guard import everywhere, several_devices

    memory.install()
    apart[0] = several_devices()
    placed[0] = placed[0] or apart[0]
    _speakers[cupy.ndarray] = everywhere(gpu) if apart[0] else gpu
    return gpu


def beside(array: Any) -> Any:
    """The vocabulary that makes arrays on the device of `array`, and not, as that of its kind, on the current one."""
    xp = of(array.__class__)
    return xp if xp is cpu or not apart[0] else vocabulary(xp.device_of(array))


def workplace(array: Any) -> tuple[int, int]:
    """The device of a CUDA array, and the stream into which work goes there: who made something in one must wait in another."""
    index = device_of(array).index
    if not streamed[0]:
        return index, 0
    import cupy

    return index, cupy.cuda.get_current_stream(index).ptr


def asked(array: Any, method: str) -> Any:
    """What a method of an array without arguments gives, such as "min" or "all", as a Python number. Waits for a device."""
    return of(array.__class__).guarded(_ask, method)(array, method)


def _ask(array: Any, method: str) -> Any:
    return getattr(array, method)().item()


def go_to(array: Any) -> None:
    """Make the CUDA device of an array, or of those in a list, the current one. Only needed where devices are `apart`."""
    from .gpu.guard import go_to

    go_to(array)


@contextmanager
def coming_back() -> Iterator[None]:
    """Whatever device is made the current one within: afterwards it is the one that was."""
    import cupy

    before = cupy.cuda.runtime.getDevice()
    try:
        yield
    finally:
        cupy.cuda.runtime.setDevice(before)


@contextmanager
def placing(clock: Callable[[], int] | None) -> Iterator[Any]:
    """What takes a backward to the device and stream of each node, and back. See streams.NOTE [Backward in streams]."""
    from .streams import Going

    going = Going(clock)
    with coming_back():
        try:
            yield going
        finally:
            going.back()


class _Elsewhere:
    """The vocabulary of a CUDA device that is not the current one: each word runs with that device as the current one."""

    def __init__(self, index: int):
        self._index = index

    def guarded(self, function: Any, name: str) -> Any:
        """`function` with that device as the current one."""
        return self._there(_gpu().guarded(function, name))

    def __getattr__(self, name: str) -> Any:
        found = getattr(_gpu(), name)
        return self._there(found) if callable(found) else found

    def _there(self, function: Any) -> Any:
        import cupy

        def word(*args: Any, **keywords: Any) -> Any:
            with cupy.cuda.Device(self._index):
                return function(*args, **keywords)

        return word


def current_index() -> int:
    """The number of the CUDA device that "cuda" means in this thread."""
    _gpu()
    import cupy

    return cupy.cuda.runtime.getDevice()


def vocabulary(device: Device) -> Any:
    """The vocabulary of the arrays of a device.

    Raises RuntimeError that says what is missing and how to install it if the device cannot be used."""
    if device.type == "cpu":
        return cpu
    if device.type != "cuda":
        raise RuntimeError(f"device '{device}' is not available: tensors lie on the CPU or on a CUDA device")
    _gpu()
    if device.index is None or device.index == current_index():
        import cupy

        return _speakers[cupy.ndarray]
    reason = why_not(device.index)
    if reason is not None:
        raise RuntimeError(f"device '{device}' is not available: {reason}")
    return _Elsewhere(device.index)


def adopted(array: Any) -> Any:
    """The array of another library that lies on a CUDA device as an array of ours, without a copy."""
    _gpu()
    import cupy

    if isinstance(array, cupy.ndarray):
        return array
    return cupy.from_dlpack(array) if hasattr(array, "__dlpack__") else cupy.asarray(array)


def device_of(array: Any) -> Device:
    """The device of an array."""
    return of(array.__class__).device_of(array)


def together(a: Any, b: Any) -> bool:
    """Whether two arrays lie on one device."""
    return a.__class__ is b.__class__ and (not apart[0] or device_of(a) == device_of(b))


def move(array: Any, device: Device) -> Any:
    """The array itself if it lies on `device`, else a copy there. "cuda" means the current device."""
    here = device_of(array)
    if here == device or (device.type, device.index) == (here.type, None) and here.index == current_index():
        return array
    there = vocabulary(device)
    if here.type == device.type == "cuda":
        from .gpu.guard import brought

        return brought(array, current_index() if device.index is None else device.index)
    return there.from_host(of(array.__class__).to_host(array), device)
