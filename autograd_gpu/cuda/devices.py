"""Whether there are CUDA devices, which, and which is the current one. Nothing here imports CuPy before it is needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from types import SimpleNamespace, TracebackType
from typing import Any

from ..backend import Device as _Device
from ..backend import vocabulary as _vocabulary
from ..backend.driver import why_not as _why_not


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
    return _vocabulary.__module__ + ".gpu" in sys.modules


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
