"""Conversions between dtypes and devices, copies, and tensors from other libraries."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from .. import backend
from ..backend import pinning, promotion
from ..backend.promotion import category
from ..core.graph import words
from ..core.primitive import linear
from ..core.tensor import Tensor
from .arguments import dtype_of
from .create import place_of
from .nested import native

__all__ = ["clone", "from_dlpack", "is_tensor"]
METHODS: tuple[str, ...] = ("clone", "cpu", "cuda", "to", "type", "type_as")
IN_PLACE: tuple[str, ...] = ()

DLPACK_CUDA = 2  # what DLPack calls CUDA devices

# methods that cast: name -> dtype
CASTS = {
    "half": promotion.float16,
    "bfloat16": promotion.bfloat16,
    "float": promotion.float32,
    "double": promotion.float64,
    "cfloat": promotion.complex64,
    "cdouble": promotion.complex128,
    "byte": np.dtype(np.uint8),
    "char": np.dtype(np.int8),
    "short": np.dtype(np.int16),
    "int": np.dtype(np.int32),
    "long": promotion.int64,
    "bool": promotion.boolean,
}

# what `type()` calls tensors of a dtype
TYPES = {
    "HalfTensor": "half",
    "BFloat16Tensor": "bfloat16",
    "FloatTensor": "float",
    "DoubleTensor": "double",
    "ComplexFloatTensor": "cfloat",
    "ComplexDoubleTensor": "cdouble",
    "ByteTensor": "byte",
    "CharTensor": "char",
    "ShortTensor": "short",
    "IntTensor": "int",
    "LongTensor": "long",
    "BoolTensor": "bool",
}


@linear(lambda xp, g: g)
def _clone(xp: Any, x: Any) -> Any:
    """The op behind `clone`."""
    ...


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with a memory of its own, through which gradients flow back to `input`.

    >>> import autograd_gpu as ag
    >>> ag.clone(ag.tensor([1, 2]))
    tensor([1, 2])
    """
    return words.clone(input)


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a Tensor.

    >>> import autograd_gpu as ag
    >>> ag.is_tensor(ag.zeros(2)), ag.is_tensor([0.0, 0.0])
    (True, False)
    """
    return isinstance(obj, Tensor)


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor that shares the memory of an array of another library, through DLPack: anything with `__dlpack__`.

    >>> import autograd_gpu as ag
    >>> import numpy as np
    >>> ag.from_dlpack(np.array([1.5, 2.5], dtype=np.float32))
    tensor([1.5000, 2.5000])
    """
    if isinstance(ext_tensor, Tensor):
        if ext_tensor.node is not None:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return Tensor(ext_tensor.array)
    if ext_tensor.__class__ is np.ndarray:  # NumPy would make it read-only
        return Tensor(native(ext_tensor))
    if ext_tensor.__dlpack_device__()[0] == DLPACK_CUDA:
        return Tensor(backend.adopted(ext_tensor))
    return Tensor(native(np.from_dlpack(ext_tensor)))


def _cast(t: Tensor, dtype: np.dtype) -> Tensor:
    if t.array.dtype == dtype:
        return t
    if category(t.array.dtype) == 3 > category(dtype):
        return Tensor(t.array.real.astype(dtype))  # complex tensors carry no gradients
    return words.astype(t, dtype=dtype)


def _destination(args: tuple, dtype: Any, device: Any) -> tuple[np.dtype | None, backend.Device | None]:
    """What `to` was asked for: (dtype, device), None for what stays."""
    for what in args[:2]:
        if isinstance(what, Tensor):
            dtype, device = what.dtype, what.device
        elif isinstance(what, (str, backend.Device)) or (isinstance(what, int) and not isinstance(what, bool)):
            device = what
        elif isinstance(what, np.dtype) or isinstance(what, builtins.type):
            dtype = what
        elif what is not None and not isinstance(what, bool):
            raise TypeError(f"to() takes a dtype, a device or a tensor, not {builtins.type(what).__name__}")
    return dtype_of(dtype), None if device is None else place_of(device)


def to(
    self: Tensor,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """This tensor with another dtype, on another device, or with those of another tensor: `x.to(dtype)`, `x.to(device)`,
    `x.to(device, dtype)`, `x.to(other)`. The tensor itself if nothing changes, unless `copy`. Gradients flow back through it.
    With `non_blocking` what lies in page-locked memory (`pin_memory`) is copied to a CUDA device while the host goes on.

    >>> import autograd_gpu as ag
    >>> ag.tensor([1.5, 2.5]).to(ag.int64)
    tensor([1, 2])
    """
    dtype, device = _destination(args, dtype, device)
    if device is not None and device.type == "cuda" and device.index is None:
        device = backend.Device("cuda", backend.current_index())
    t = self
    if device is not None and device != self.device and not (device.type == "cpu" == self.device.type):
        if self.node is not None:
            t = words.move(t, device=device, source=self.device)
        elif non_blocking and device.type == "cuda" and pinning.copies_without_waiting(self.array):
            t = Tensor(pinning.copied(self.array, device))
        else:
            t = Tensor(backend.move(self.array, device))
    if dtype is not None:
        t = _cast(t, dtype)
    return words.clone(self) if copy and t is self else t


@linear(lambda xp, g, device, source: xp.move(g, device=source, source=device), moves=True)
def _move(xp: Any, x: Any, *, device: Any, source: Any) -> Any:
    """The op behind `to(device)`: x, which is on the device `source`, copied to `device`."""
    ...


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor with the dtype and on the device of `other`."""
    return to(self, other)


def type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """This tensor with another dtype, given as one or by a name; without one, the name of its own. A name says where too:
    "torch.cuda.FloatTensor" is on a CUDA device, the current one if the tensor is on none, "torch.FloatTensor" on the CPU.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2).type()
    'autograd_gpu.FloatTensor'
    """
    if dtype is None:
        place = "" if self.device.type == "cpu" else f"{self.device.type}."
        name = next(name for name, method in TYPES.items() if CASTS[method] == self.array.dtype)
        return f"autograd_gpu.{place}{name}"
    if isinstance(dtype, str):
        package, _, name = dtype.rpartition(".")
        if name not in TYPES:
            raise ValueError(f"invalid type: '{dtype}'")
        place = "cuda" if package.rpartition(".")[2] == "cuda" else "cpu"
        if place != self.device.type:
            self = to(self, device=place, non_blocking=non_blocking)
        dtype = CASTS[TYPES[name]]
    return _cast(self, np.dtype(dtype))


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor on the CPU; itself if it is there."""
    return to(self, device=backend.CPU)


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """This tensor on a CUDA device. Raises RuntimeError that says what is missing if there is none."""
    return to(self, device="cuda" if device is None else device, non_blocking=non_blocking)


def _casting(name: str, dtype: np.dtype) -> Any:
    def method(self: Tensor, memory_format: Any = None) -> Tensor:
        return _cast(self, dtype)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"This tensor as {dtype}; itself if it is that already."
    return method


for _name, _dtype in CASTS.items():
    setattr(Tensor, _name, _casting(_name, _dtype))
