"""Words for arrays as such: making, copying and converting them, and the memory they lie in."""

from __future__ import annotations

from functools import cache
from typing import Any

import cupy
import numpy as np

from .build import elementwise, on_device
from .casts import copied
from .random import (  # the words that draw random numbers: each takes (seed, offset, ...), see the NOTE in backend.random
    random_integers,
    random_normal,
    random_open_uniform,
    random_permutation,
    random_uniform,
)

__all__ = [
    "arange", "asarray", "astype", "clone", "copyto", "device_of", "empty", "from_host", "full", "memory", "move", "ones",
    "ones_like", "random_integers", "random_normal", "random_open_uniform", "random_permutation", "random_uniform", "to_host",
    "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip

zeros, ones, empty, full, arange = cupy.zeros, cupy.ones, cupy.empty, cupy.full, cupy.arange


def zeros_like(x: Any) -> Any:
    """Zeros of the shape and dtype of x."""
    on_device(x)
    return cupy.zeros_like(x)


def ones_like(x: Any) -> Any:
    """Ones of the shape and dtype of x."""
    on_device(x)
    return cupy.ones_like(x)


def asarray(x: Any, dtype: Any = None) -> Any:
    """An array, or a Python number as one without dimensions, in a dtype. Arrays of the host are refused: see `from_host`."""
    if isinstance(x, cupy.ndarray):
        return x if dtype is None else x.astype(dtype, copy=False)
    if isinstance(x, np.ndarray):
        on_device(x)
    if isinstance(x, (list, tuple)):
        return cupy.asarray(np.asarray(x, dtype))
    return cupy.full((), x, np.asarray(x).dtype if dtype is None else dtype)  # a number goes with the launch: nothing is copied


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """Write src, an array or a number, into dst, where `where` holds."""
    if isinstance(src, np.ndarray):
        on_device(src)
    cupy.copyto(dst, src, casting, True if where is True else where)


@cache
def _device(index: int) -> Any:
    from .. import Device

    return Device("cuda", index)


def device_of(array: Any) -> Any:
    """The device that an array lies on."""
    return _device(array.data.device_id)


def to_host(array: Any) -> Any:
    """The array as a NumPy array. Waits for the device."""
    return array.get()


def from_host(array: Any, device: Any) -> Any:
    """A NumPy array as an array of this vocabulary. CuPy copies by way of pinned memory, and does not wait."""
    with cupy.cuda.Device(device.index):
        return cupy.array(array)


def memory(x: Any) -> Any:
    """The array that owns the memory of x: the same one for all views of it."""
    base = x.base
    while base is not None:
        x, base = base, base.base
    return x


def astype(x: Any, *, dtype: Any) -> Any:
    """A copy of x in another dtype."""
    on_device(x)
    out = copied(x, dtype)
    return x.astype(dtype) if out is None else out


def clone(x: Any) -> Any:
    """A copy of x, its dimensions in the same order in memory."""
    return x.copy("K")


def move(x: Any, *, device: Any, source: Any) -> Any:
    """x copied to another device; `source` is the one it is on, for the way back."""
    from .. import move

    return move(x, device)


_triangle = elementwise(
    "triangle", "T x, int64 rows, int64 columns, int64 diagonal, bool lower", "T out",
    "const long long column = i % columns, row = i / columns % rows;\n"
    "const bool kept = lower ? column - row <= diagonal : column - row >= diagonal;\n"
    "out = kept ? x : T(0);",
)  # fmt: skip


def tril(x: Any, *, diagonal: int = 0) -> Any:
    """x with zeros above a diagonal of its last two dimensions."""
    return _triangle(x, x.shape[-2], x.shape[-1], diagonal, True)


def triu(x: Any, *, diagonal: int = 0) -> Any:
    """x with zeros below a diagonal of its last two dimensions."""
    return _triangle(x, x.shape[-2], x.shape[-1], diagonal, False)
