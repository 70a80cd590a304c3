"""Page-locked memory of the host, from which CUDA copies without anybody waiting. Nothing here imports CuPy before it is needed.

NOTE [What is read later]
    A copy from page-locked memory reads it when it runs, not when it is asked for, and CuPy's pool of such memory does not know.
    Arrays that are being copied from are kept until an event behind the copy has happened; then the pool may give their memory to
    others.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Any

import numpy as np

_read: deque[tuple[Any, Any]] = deque()  # (event, array on the host)
_lock = Lock()


def is_pinned(array: Any) -> bool:
    """Whether a NumPy array lies in page-locked memory that `pinned` made."""
    base = array
    while base is not None:
        if type(base).__name__ == "PinnedMemoryPointer":
            return True
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return False


def pinned(array: np.ndarray) -> np.ndarray:
    """A NumPy array copied to page-locked memory; itself if it is there, or empty.

    Raises RuntimeError that says what is missing without CUDA."""
    if not array.nbytes or is_pinned(array):
        return array
    from . import Device, vocabulary

    vocabulary(Device("cuda"))
    import cupy

    memory = cupy.cuda.alloc_pinned_memory(array.nbytes)
    copy = np.frombuffer(memory, np.uint8, array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def copied(array: np.ndarray, device: Any) -> Any:
    """An array in page-locked memory copied to a CUDA device in its current stream, without waiting."""
    import cupy

    with cupy.cuda.Device(device.index):
        copy = cupy.empty(array.shape, array.dtype)
        copy.data.copy_from_host_async(array.ctypes.data, array.nbytes)
        event = cupy.cuda.Event(disable_timing=True)
        event.record()
    with _lock:
        while _read and _read[0][0].done:
            _read.popleft()
        _read.append((event, array))
    return copy


def copies_without_waiting(array: Any) -> bool:
    """Whether `copied` can take this array."""
    return array.__class__ is np.ndarray and array.flags.c_contiguous and is_pinned(array)
