"""The runtime's library, and arrays in the memory of the emulated device."""

from __future__ import annotations

import ctypes
import functools
import weakref

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .build import build_runtime


@functools.cache
def runtime() -> ctypes.PyDLL:
    """The library of runtime/, with the entry points of runtime/api.h.

    PyDLL keeps the interpreter's lock during calls, so that one launch runs at a time and no allocation comes in between.
    RTLD_GLOBAL lets the modules find the checker's callbacks.
    """
    library = ctypes.PyDLL(str(build_runtime()), mode=ctypes.RTLD_GLOBAL)
    pointer, size = ctypes.c_void_p, ctypes.c_uint64
    declarations: dict[str, tuple[type | None, list[type]]] = {
        "emu_malloc": (pointer, [size]),
        "emu_free": (ctypes.c_int, [pointer]),
        "emu_used": (size, []),
        "emu_set_limit": (None, [size]),
        "emu_is_device": (ctypes.c_int, [pointer, size]),
        "emu_base": (size, [pointer, pointer]),
        "emu_touched": (size, [pointer, pointer, size]),
        "emu_profile": (size, [pointer, size]),
        "emu_module_open": (None, [pointer]),
        "emu_launch": (ctypes.c_int, [pointer] * 5 + [ctypes.c_uint32, pointer, pointer]),
    }
    for name, (result, arguments) in declarations.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class DeviceArray:
    """An array in device memory. `host` is a NumPy view of that very memory, `pointer` its address.

    The memory is freed when neither the array nor a view of it is left, or by `free`, after which no view may be used.
    """

    def __init__(self, shape: int | tuple[int, ...], dtype: DTypeLike = np.float32) -> None:
        dtype = np.dtype(dtype)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        address = runtime().emu_malloc(size)
        if not address:
            raise MemoryError(f"the emulated device has no room for {size} bytes")
        self.pointer: int = address
        memory = (ctypes.c_ubyte * size).from_address(address)
        self._free = weakref.finalize(memory, runtime().emu_free, address)
        self._free.atexit = False
        self.host = np.frombuffer(memory, np.uint8).view(dtype).reshape(shape) if size else np.empty(shape, dtype)

    def part(self, start: int) -> DeviceArray:
        """All from the flat index `start` on, in the same memory: often not aligned to 16 bytes."""
        result = object.__new__(DeviceArray)
        result.host = self.host.reshape(-1)[start:]
        result.pointer, result._free = self.pointer + start * self.host.itemsize, self._free
        return result

    def free(self) -> None:
        """Frees the memory now."""
        self._free()


def to_device(array: ArrayLike) -> DeviceArray:
    """A copy in device memory."""
    array = np.asarray(array)
    result = DeviceArray(array.shape, array.dtype)
    result.host[...] = array
    return result


def used_bytes() -> int:
    """Bytes in allocations, each rounded up to 16."""
    return runtime().emu_used()
