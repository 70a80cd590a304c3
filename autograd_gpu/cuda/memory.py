"""The memory of CUDA devices.

CuPy's pool asks the driver for memory and keeps what is freed. It does not note how much was in use at most: `_Peak` does."""

from __future__ import annotations

from typing import Any

from ..backend.memory import OutOfMemoryError as OutOfMemoryError
from .devices import _check, _cupy, _index, is_available


class _Peak:
    """The most bytes in use since it was started, on each device: a hook of CuPy's allocator in this thread."""

    def __init__(self) -> None:
        import cupy

        self.used: dict[int, int] = {}
        self.places: dict[int, int] = {}  # address -> device: CuPy's events name the first device that was used, for all
        self.most: dict[int, int] = {}
        self.reserved: dict[int, int] = {}  # the most bytes that the pool held
        peak = self

        class Hook(cupy.cuda.MemoryHook):
            name = "autograd_gpu.cuda"

            def malloc_postprocess(self, **event: Any) -> None:
                """Count what was allocated."""
                index = peak.places[event["mem_ptr"]] = cupy.cuda.runtime.getDevice()
                used = peak.used[index] = peak.used.get(index, 0) + event["mem_size"]
                if used > peak.most.get(index, 0):
                    peak.most[index] = used

            def alloc_postprocess(self, **event: Any) -> None:
                """Note what the pool holds when it asked the driver for more."""
                held = cupy.get_default_memory_pool().total_bytes()
                index = cupy.cuda.runtime.getDevice()
                if held > peak.reserved.get(index, 0):
                    peak.reserved[index] = held

            def free_postprocess(self, **event: Any) -> None:
                """Count what was freed."""
                index = peak.places.pop(event["mem_ptr"], event["device_id"])
                peak.used[index] = peak.used.get(index, 0) - event["mem_size"]

        self.hook = Hook()
        self.hook.__enter__()


_peak: _Peak | None = None


def _pool(device: Any) -> tuple[Any, int]:
    index = _index(device)
    _check(index)
    return _cupy().get_default_memory_pool(), index


def memory_allocated(device: Any = None) -> int:
    """Bytes that arrays on a device take now."""
    pool, index = _pool(device)
    with _cupy().cuda.Device(index):
        return pool.used_bytes()


def memory_reserved(device: Any = None) -> int:
    """Bytes that CuPy's pool holds on a device: those of arrays and those that are free for new ones."""
    pool, index = _pool(device)
    with _cupy().cuda.Device(index):
        return pool.total_bytes()


def reset_peak_memory_stats(device: Any = None) -> None:
    """Let `max_memory_allocated` and `max_memory_reserved` count from now on. From the first call on, each allocation costs about
    a microsecond more."""
    global _peak
    allocated, index = memory_allocated(device), _index(device)
    if _peak is None:
        _peak = _Peak()
    _peak.used[index] = _peak.most[index] = allocated
    _peak.reserved[index] = memory_reserved(index)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that arrays on a device have taken at a time since `reset_peak_memory_stats` was called. What other
    threads allocate is not counted. If it never was, counting starts now."""
    index = _index(device)
    if _peak is None or index not in _peak.most:
        reset_peak_memory_stats(index)
    return _peak.most[index]


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that CuPy's pool has held on a device since `reset_peak_memory_stats` was called, or from now on."""
    index = _index(device)
    max_memory_allocated(index)
    return _peak.reserved[index]


def memory_stats(device: Any = None) -> dict[str, int]:
    """The bytes of `memory_allocated` and `memory_reserved`, now and at most, by PyTorch's names. Its allocator counts more."""
    index = _index(device)
    return {
        "allocated_bytes.all.current": memory_allocated(index),
        "allocated_bytes.all.peak": max_memory_allocated(index),
        "reserved_bytes.all.current": memory_reserved(index),
        "reserved_bytes.all.peak": max_memory_reserved(index),
    }


def empty_cache() -> None:
    """Give the memory that CuPy's pools hold and no array takes back to the driver. Without CUDA there is none."""
    if not is_available():
        return
    cupy = _cupy()
    cupy.get_default_memory_pool().free_all_blocks()
    cupy.get_default_pinned_memory_pool().free_all_blocks()


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes of a device, as the driver counts them."""
    _, index = _pool(device)
    with _cupy().cuda.Device(index):
        return _cupy().cuda.runtime.memGetInfo()


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """A table of a device's memory: what arrays take, now and at most since `reset_peak_memory_stats`, what CuPy's pool holds,
    and what the driver counts. PyTorch's allocator counts more, which CuPy's does not."""
    index = _index(device)
    free, total = mem_get_info(index)
    most = max_memory_allocated(index)
    rows = {
        "allocated": memory_allocated(index), "most allocated": most, "reserved by the pool": memory_reserved(index),
        "free on the device": free, "in all on the device": total,
    }  # fmt: skip
    lines = [f"| {name:<22} | {value / 2**20:>12,.1f} MiB |" for name, value in rows.items()]
    return "\n".join([f"Memory of CUDA device {index}", *lines])
