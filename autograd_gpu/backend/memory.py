"""What is said when a device's memory runs out. Nothing here imports CuPy before it is needed."""

from __future__ import annotations

from typing import Any

__all__ = ["OutOfMemoryError"]


class OutOfMemoryError(RuntimeError):
    """Raised when a CUDA device has no memory left for an array. The message has how much was asked for, how much is free and
    how much is held, and what helps."""


OutOfMemoryError.__module__ = "autograd_gpu"  # its public place

HELP = (
    "A smaller batch helps, float16 or bfloat16 under autocast, no_grad() around what needs no gradients, gradients set to None "
    "(zero_grad does), and letting go of tensors that are not needed any more: a list of losses keeps their graphs, a list of "
    "loss.item() does not"
)


def size(n: int) -> str:
    """Bytes in words: 1.50 GiB."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if n >= 1 << power:
            return f"{n / (1 << power):.2f} {unit}"
    return f"{n} bytes"


def explained(asked: int, device: int, free: int, total: int, used: int, kept: int, limit: int) -> str:
    """The message, of numbers of bytes. `used` is what arrays take, `kept` what CuPy's pool keeps for new ones, `limit` what it
    may hold, 0 for any amount."""
    elsewhere = max(total - free - used - kept, 0)
    text = (
        f"CUDA out of memory. Tried to allocate {size(asked)}. GPU {device} has a total capacity of {size(total)} of which "
        f"{size(free)} is free. Arrays of this process take {size(used)}, its pool keeps {size(kept)} more in blocks that are "
        f"free but too small or of other streams, and {size(elsewhere)} is held by other libraries and processes. "
    )
    if limit:
        text += f"CuPy's pool may hold {size(limit)} at most (CUPY_GPU_MEMORY_LIMIT or set_limit). "
    if kept > asked:
        text += "autograd_gpu.cuda.empty_cache() gives back what the pool keeps. "
    return text + HELP


def install() -> None:
    """Let CuPy's pool raise OutOfMemoryError, which still is CuPy's own, a MemoryError, too. The pool looks its error up by name
    when it raises it, so nothing is paid before."""
    import cupy
    from cupy.cuda import memory

    class Raised(OutOfMemoryError, memory.OutOfMemoryError):
        def __init__(self, size: int, total: int, limit: int = 0):
            try:
                device, pool = cupy.cuda.runtime.getDevice(), cupy.get_default_memory_pool()
                free, capacity = cupy.cuda.runtime.memGetInfo()
                text = explained(size, device, free, capacity, pool.used_bytes(), pool.free_bytes(), limit)
            except Exception as error:  # what went wrong first is what must be said
                text = f"CUDA out of memory. Tried to allocate {size} bytes; {total} are held. ({error})"
            Exception.__init__(self, text)
            self._size, self._total, self._limit = size, total, limit

        def __reduce__(self) -> Any:
            return OutOfMemoryError, self.args

    Raised.__name__ = Raised.__qualname__ = "OutOfMemoryError"
    Raised.__module__, Raised.__doc__ = "autograd_gpu", OutOfMemoryError.__doc__
    memory.OutOfMemoryError = Raised
