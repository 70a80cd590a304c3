"""CUDA devices, streams, events and memory: what torch.cuda has. Nothing here imports CuPy before it is needed.

Without CUDA `is_available()` is False, `device_count()` 0, and the functions that need a device raise RuntimeError that says what
is missing and how to get it.

>>> import autograd_gpu as ag
>>> device = "cuda" if ag.cuda.is_available() else "cpu"
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from types import SimpleNamespace, TracebackType
from typing import Any

from .backend import Device as _Device
from .backend import vocabulary as _vocabulary
from .backend.driver import why_not as _why_not
from .backend.memory import OutOfMemoryError as OutOfMemoryError
from .ops.generator import default_generator as _default_generator
from .ops.generator import get_rng_state as _get_rng_state
from .ops.generator import set_rng_state as _set_rng_state

# -- is there any? ---------------------------------------------------------------------------------------------------------


def why_not() -> str | None:
    """What is missing for CUDA and how to get it, None if nothing is."""
    return _why_not()


def is_available() -> bool:
    """Whether tensors can be put on a CUDA device. `why_not` says what is missing."""
    return _why_not() is None


def _cupy() -> Any:
    """CuPy, with the vocabulary for its arrays.

    Raises RuntimeError that says what is missing if CUDA cannot be used."""
    _vocabulary(_Device("cuda"))
    import cupy

    return cupy


def is_initialized() -> bool:
    """Whether CUDA has been used in this process."""
    import sys

    return f"{__package__}.backend.gpu" in sys.modules


def init() -> None:
    """Make CUDA ready now instead of at its first use. Raises RuntimeError if it cannot be used."""
    _cupy().cuda.runtime.free(0)


def gpu_names() -> list[str]:
    """The names of the NVIDIA GPUs in this machine, whether or not they can be used."""
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.strip().splitlines() if answer.returncode == 0 else []


# -- devices ---------------------------------------------------------------------------------------------------------------


def device_count() -> int:
    """The number of CUDA devices that can be used."""
    return 0 if _why_not() else _cupy().cuda.runtime.getDeviceCount()


def _index(device: Any) -> int:
    """The number of a device given by its number, its name, a Device or None, the current one."""
    if device is None:
        return current_device()
    if isinstance(device, int):
        return device
    device = _Device(device)
    if device.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {device}")
    return current_device() if device.index is None else device.index


def current_device() -> int:
    """The number of the device that "cuda" means in this thread."""
    return _cupy().cuda.runtime.getDevice()


def set_device(device: Any) -> None:
    """Make "cuda" mean this device, in this thread. Negative numbers are ignored."""
    index = _index(device)
    if index >= 0:
        _check(index)
        _cupy().cuda.runtime.setDevice(index)


def _check(index: int) -> None:
    count = _cupy().cuda.runtime.getDeviceCount()
    if not 0 <= index < count:
        raise RuntimeError(f"invalid device ordinal {index}: this machine has {count} CUDA devices, numbered from 0")


class device:
    """`with device(1):` makes "cuda" mean that device in the block. None and negative numbers change nothing."""

    def __init__(self, device: Any):
        self.idx = -1 if device is None else _index(device)
        self.prev_idx = -1

    def __enter__(self) -> None:
        if self.idx >= 0:
            self.prev_idx = current_device()
            set_device(self.idx)

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self.prev_idx >= 0:
            set_device(self.prev_idx)


def synchronize(device: Any = None) -> None:
    """Wait until a device, the current one by default, has done all it was given."""
    index = _index(device)
    _check(index)
    _cupy().cuda.Device(index).synchronize()


def _properties(device: Any) -> dict[str, Any]:
    index = _index(device)
    _check(index)
    return _cupy().cuda.runtime.getDeviceProperties(index)


def get_device_name(device: Any = None) -> str:
    """What NVIDIA calls a device, as in "NVIDIA H200"."""
    return _properties(device)["name"].decode()


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability of a device: (9, 0) of an H200."""
    found = _properties(device)
    return found["major"], found["minor"]


def get_device_properties(device: Any = None) -> SimpleNamespace:
    """What there is to know of a device: name, major, minor, total_memory (bytes), multi_processor_count, warp_size,
    max_threads_per_multi_processor, regs_per_multiprocessor, shared_memory_per_block, shared_memory_per_multiprocessor and
    L2_cache_size (bytes)."""
    found = _properties(device)
    return SimpleNamespace(
        name=found["name"].decode(),
        major=found["major"],
        minor=found["minor"],
        total_memory=found["totalGlobalMem"],
        multi_processor_count=found["multiProcessorCount"],
        warp_size=found["warpSize"],
        max_threads_per_multi_processor=found["maxThreadsPerMultiProcessor"],
        regs_per_multiprocessor=found["regsPerMultiprocessor"],
        shared_memory_per_block=found["sharedMemPerBlock"],
        shared_memory_per_multiprocessor=found["sharedMemPerMultiprocessor"],
        L2_cache_size=found["l2CacheSize"],
    )


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether bfloat16 can be computed with: on every CUDA device, but in hardware only from compute capability 8.0 on, and
    asked without emulation that alone counts. False without CUDA."""
    return is_available() and (including_emulation or get_device_capability()[0] >= 8)


# -- streams and events ----------------------------------------------------------------------------------------------------


class Event:
    """A point in a stream, to wait for or to measure time with.

    enable_timing   whether `elapsed_time` can be asked
    blocking        whether the host sleeps while it waits, instead of asking again and again"""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False):
        if interprocess:
            raise NotImplementedError("events cannot be shared between processes")
        self._event = _cupy().cuda.Event(block=blocking, disable_timing=not enable_timing)

    @property
    def cuda_event(self) -> int:
        """The cudaEvent_t."""
        return self._event.ptr

    def record(self, stream: Stream | None = None) -> None:
        """Put the event behind what is in a stream now, the current one by default."""
        self._event.record(_current() if stream is None else stream._stream)

    def wait(self, stream: Stream | None = None) -> None:
        """Let what comes into a stream from now on, the current one by default, wait for the event. The host goes on."""
        (_current() if stream is None else stream._stream).wait_event(self._event)

    def query(self) -> bool:
        """Whether everything before the event is done."""
        return self._event.done

    def synchronize(self) -> None:
        """Wait until everything before the event is done."""
        self._event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to a later one; both must have happened and have `enable_timing`."""
        return _cupy().cuda.get_elapsed_time(self._event, end_event._event)

    def __repr__(self) -> str:
        return f"<autograd_gpu.cuda.Event {self.cuda_event:#x}>"


class Stream:
    """Work that a device does in order; what is in different streams may run at the same time.

    priority    the lower the number, the sooner its work is taken: 0 or -1"""

    def __init__(self, device: Any = None, priority: int = 0):
        cupy, self._index = _cupy(), _index(device)
        with cupy.cuda.Device(self._index):
            self._stream = cupy.cuda.Stream(non_blocking=True, priority=priority)

    @classmethod
    def _of(cls, stream: Any, index: int) -> Stream:
        self = cls.__new__(cls)
        self._stream, self._index = stream, index
        return self

    @property
    def cuda_stream(self) -> int:
        """The cudaStream_t; 0 for the default stream."""
        return self._stream.ptr

    @property
    def device(self) -> _Device:
        """The device that does the work."""
        return _Device("cuda", self._index)

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self._stream.ptr

    def query(self) -> bool:
        """Whether everything in the stream is done."""
        return self._stream.done

    def synchronize(self) -> None:
        """Wait until everything in the stream is done."""
        self._stream.synchronize()

    def record_event(self, event: Event | None = None) -> Event:
        """Put an event, a new one by default, behind what is in the stream now."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let what comes into the stream from now on wait for an event."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Let what comes into the stream from now on wait for what is in another one now."""
        self.wait_event(stream.record_event())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self._index, self.cuda_stream) == (other._index, other.cuda_stream)

    def __hash__(self) -> int:
        return hash((self._index, self.cuda_stream))

    def __repr__(self) -> str:
        return f"<autograd_gpu.cuda.Stream device=cuda:{self._index} cuda_stream={self.cuda_stream:#x}>"


def _current() -> Any:
    return _cupy().cuda.get_current_stream()


def current_stream(device: Any = None) -> Stream:
    """The stream that ops of this thread go into."""
    index = _index(device)
    return Stream._of(_cupy().cuda.get_current_stream(index), index)


def default_stream(device: Any = None) -> Stream:
    """The stream that ops go into unless another one is chosen."""
    return Stream._of(_cupy().cuda.Stream.null, _index(device))


def set_stream(stream: Stream | None) -> None:
    """Let the ops of this thread go into a stream from now on; None changes nothing."""
    if stream is not None:
        set_device(stream._index)
        stream._stream.use()


class stream:
    """`with stream(s):` lets the ops in the block go into `s`, on its device; None changes nothing."""

    def __init__(self, stream: Stream | None):
        self.stream = stream
        self._before: tuple[Stream, Stream] | None = None

    def __enter__(self) -> None:
        if self.stream is not None:
            self._before = current_stream(), current_stream(self.stream._index)
            set_stream(self.stream)

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._before is not None:
            current, there = self._before
            set_stream(there)
            set_stream(current)


# -- random numbers --------------------------------------------------------------------------------------------------------
#
# One generator serves all devices: a seed gives the same numbers on each.


def manual_seed(seed: int) -> None:
    """Go to the beginning of the stream of random numbers of `seed`: the same as `autograd_gpu.manual_seed`."""
    _default_generator.manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Choose a seed by chance."""
    _default_generator.seed()


seed_all = seed


def initial_seed() -> int:
    """The seed that random numbers are drawn with."""
    return _default_generator.initial_seed()


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of the generator, a tensor of bytes on the CPU."""
    return _get_rng_state()


def get_rng_state_all() -> list[Any]:
    """The state of the generator, in a list with an item for each device."""
    return [_get_rng_state() for _ in range(device_count())]


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Go where the generator was when `get_rng_state` gave `new_state`."""
    _set_rng_state(new_state)


def set_rng_state_all(new_states: Iterable[Any]) -> None:
    """Go where the generator was when `get_rng_state_all` gave `new_states`."""
    for state in new_states:
        _set_rng_state(state)


# -- memory ----------------------------------------------------------------------------------------------------------------
#
# CuPy's pool asks the driver for memory and keeps what is freed. It does not note how much was in use at most: `_Peak` does.


class _Peak:
    """The most bytes in use since it was started, on each device: a hook of CuPy's allocator in this thread."""

    def __init__(self) -> None:
        import cupy

        self.used: dict[int, int] = {}
        self.places: dict[int, int] = {}  # address -> device: CuPy's events name the first device that was used, for all
        self.most: dict[int, int] = {}
        peak = self

        class Hook(cupy.cuda.MemoryHook):
            name = "autograd_gpu.cuda"

            def malloc_postprocess(self, **event: Any) -> None:
                """Count what was allocated."""
                index = peak.places[event["mem_ptr"]] = cupy.cuda.runtime.getDevice()
                used = peak.used[index] = peak.used.get(index, 0) + event["mem_size"]
                if used > peak.most.get(index, 0):
                    peak.most[index] = used

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
    """Let `max_memory_allocated` count from now on. From the first call on, each allocation costs about a microsecond more."""
    global _peak
    allocated, index = memory_allocated(device), _index(device)
    if _peak is None:
        _peak = _Peak()
    _peak.used[index] = _peak.most[index] = allocated


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that arrays on a device have taken at a time since `reset_peak_memory_stats` was called. What other
    threads allocate is not counted. If it never was, counting starts now."""
    index = _index(device)
    if _peak is None or index not in _peak.most:
        reset_peak_memory_stats(index)
    return _peak.most[index]


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
