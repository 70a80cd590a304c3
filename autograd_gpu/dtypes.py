"""The dtypes under PyTorch's names. They are NumPy's dtype objects, so NumPy takes and gives them too."""

from __future__ import annotations

import builtins
from typing import Any

import ml_dtypes
import numpy as np

from . import backend
from .backend import promotion

__all__ = [
    "bfloat16",
    "bool",
    "can_cast",
    "cdouble",
    "cfloat",
    "complex64",
    "complex128",
    "double",
    "dtype",
    "finfo",
    "float",
    "float16",
    "float32",
    "float64",
    "get_default_device",
    "get_default_dtype",
    "half",
    "iinfo",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "long",
    "promote_types",
    "result_type",
    "set_default_device",
    "set_default_dtype",
    "short",
    "uint8",
]

dtype = np.dtype

float16 = half = promotion.float16
bfloat16 = promotion.bfloat16
float32 = float = promotion.float32
float64 = double = promotion.float64
int8, uint8 = np.dtype(np.int8), np.dtype(np.uint8)
int16 = short = np.dtype(np.int16)
int32 = int = promotion.int32
int64 = long = promotion.int64
bool = promotion.boolean
complex64 = cfloat = promotion.complex64
complex128 = cdouble = promotion.complex128


def get_default_device() -> backend.Device:
    """Where tensors are made that name no device: the CPU unless `set_default_device` or `with device(...)` said otherwise.

    >>> import autograd_gpu as ag
    >>> ag.get_default_device()
    device(type='cpu')
    """
    return backend.default_device[0]


def set_default_device(device: Any) -> None:
    """Make tensors that name no device there from now on, those of layers too; None means the CPU. What lies somewhere already
    stays there.

    >>> import autograd_gpu as ag
    >>> ag.set_default_device("cuda" if ag.cuda.is_available() else "cpu")
    >>> layer = ag.nn.Linear(2, 2)
    >>> ag.set_default_device(None)
    """
    if builtins.isinstance(device, builtins.int):
        device = backend.Device("cuda", device)
    device = backend.CPU if device is None else backend.Device(device)
    if device.type == "cuda":
        backend.vocabulary(device)  # raises if there is none
    backend.default_device[0] = backend.CPU if device.type == "cpu" else device


def get_default_dtype() -> np.dtype:
    """The dtype of tensors made from Python floats: float32 unless `set_default_dtype` said otherwise."""
    return promotion.default_dtype[0]


def set_default_dtype(d: Any) -> None:
    """Make `d` the dtype of tensors made from Python floats, and of factories that are given none.

    Raises TypeError for a dtype that is not floating point."""
    d = np.dtype(d)
    if promotion.category(d) != 2:
        raise TypeError(f"only floating-point types are supported as the default type, not {d}")
    promotion.default_dtype[0] = d


def promote_types(type1: Any, type2: Any) -> np.dtype:
    """The smallest dtype that holds results of both, by PyTorch's table.

    >>> import autograd_gpu as ag
    >>> ag.promote_types(ag.int64, ag.float16)
    dtype('float16')
    """
    return promotion.promote_types(np.dtype(type1), np.dtype(type2))


def result_type(tensor1: Any, tensor2: Any) -> np.dtype:
    """The dtype of a result of two tensors or Python numbers, numbers being weak.

    >>> import autograd_gpu as ag
    >>> ag.result_type(ag.tensor([1, 2]), 1.0)
    dtype('float32')
    """
    return promotion.result_type([getattr(x, "array", x) if hasattr(x, "node") else x for x in (tensor1, tensor2)])


def can_cast(from_: Any, to: Any) -> builtins.bool:
    """Whether a result of dtype `from_` may be written into a tensor of dtype `to`: not from a higher category to a lower
    one, in the order complex, floating point, integer, bool.

    >>> import autograd_gpu as ag
    >>> ag.can_cast(ag.float64, ag.float32), ag.can_cast(ag.float32, ag.int64)
    (True, False)
    """
    return promotion.category(np.dtype(from_)) <= promotion.category(np.dtype(to))


class finfo:
    """The numbers that a floating point dtype can hold: bits, eps, max, min, tiny, smallest_normal, resolution.

    >>> import autograd_gpu as ag
    >>> ag.finfo(ag.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: Any = None):
        d = promotion.default_dtype[0] if type is None else np.dtype(type)
        if promotion.category(d) < 2:
            raise TypeError(f"finfo() requires a floating point input type. Use iinfo to handle '{d}'")
        info = ml_dtypes.finfo(d)
        self.dtype = str(info.dtype)
        self.bits = info.bits
        self.eps = builtins.float(info.eps)
        self.max = builtins.float(info.max)
        self.min = builtins.float(info.min)
        self.tiny = self.smallest_normal = builtins.float(info.smallest_normal)
        self.resolution = 10.0**-info.precision

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """The numbers that an integer dtype can hold: bits, max, min.

    >>> import autograd_gpu as ag
    >>> ag.iinfo(ag.int8)
    iinfo(min=-128, max=127, dtype=int8)
    """

    def __init__(self, type: Any):
        d = np.dtype(type)
        if promotion.category(d) != 1:
            raise TypeError(f"iinfo() requires an integer input type. Use finfo to handle '{d}'")
        info = np.iinfo(d)
        self.dtype, self.bits, self.min, self.max = str(d), info.bits, builtins.int(info.min), builtins.int(info.max)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
