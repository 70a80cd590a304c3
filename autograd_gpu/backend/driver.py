"""Whether CUDA can be used and, if not, what is missing and how to get it. CuPy is not imported before it is known to load."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util

OLDEST = 75  # the compute capability of Turing, the first that the kernels are compiled for
_NAMES = ("libcuda.so.1", "nvcuda.dll")


def driver_version() -> int | None:
    """The newest CUDA version that the installed driver runs, such as 13000 or 12040; None without a driver."""
    for name in _NAMES:
        try:
            version = ctypes.c_int()
            if ctypes.CDLL(name).cuDriverGetVersion(ctypes.byref(version)) == 0:
                return version.value
        except (OSError, AttributeError):
            continue
    return None


def why_not(index: int | None = None) -> str | None:
    """What is missing to use CUDA device `index` (None: any), and the remedy; None if nothing is."""
    driver = driver_version()
    if importlib.util.find_spec("cupy") is None:
        if driver is None:
            return (
                "no NVIDIA driver was found and CuPy is not installed: on a machine with an NVIDIA GPU and its driver "
                "(https://www.nvidia.com/drivers), pip install 'autograd_gpu[cuda13]'"
            )
        return f"CuPy is not installed: pip install 'autograd_gpu[{'cuda13' if driver >= 13000 else 'cuda12'}]'"
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        return f"CuPy is installed but does not load ({str(error).strip().splitlines()[0]}): reinstall it, in one version only"
    if int(cupy.__version__.split(".")[0]) < 14:
        return f"CuPy {cupy.__version__} is too old, bfloat16 needs 14: pip install -U 'autograd_gpu[cuda13]'"
    return _why_not_runtime(cupy.cuda.runtime, index)


def _why_not_runtime(runtime: object, index: int | None) -> str | None:
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        return _worded(str(error), runtime)
    if not count:
        return "no CUDA device was found: is there an NVIDIA GPU, and does CUDA_VISIBLE_DEVICES hide it?"
    if index is not None and index >= count:
        return f"there is no CUDA device {index}: this machine has {count}, numbered from 0"
    chosen = index or 0
    properties = runtime.getDeviceProperties(chosen)
    if properties["major"] * 10 + properties["minor"] < OLDEST:
        name = properties["name"].decode() if isinstance(properties["name"], bytes) else properties["name"]
        return (
            f"{name} has compute capability {properties['major']}.{properties['minor']}, and {OLDEST // 10}.{OLDEST % 10} is the "
            "oldest supported (GeForce RTX 20, T4 and later): compute on the CPU"
        )
    return None


def _worded(error: str, runtime: object) -> str:
    """CUDA's error at the first call in words that say what to do."""
    if "InsufficientDriver" in error:
        driver, needed = driver_version(), runtime.runtimeGetVersion()
        if not driver:
            return "no NVIDIA driver was found: install one (https://www.nvidia.com/drivers) on a machine with an NVIDIA GPU"
        return (
            f"the NVIDIA driver runs CUDA {driver // 1000}.{driver % 1000 // 10} and CuPy was built for {needed // 1000}."
            f"{needed % 1000 // 10}: update the driver, or pip install 'autograd_gpu[cuda{driver // 1000}]' in its place"
        )
    if "NoDevice" in error:
        return "no CUDA device was found: is there an NVIDIA GPU, and does CUDA_VISIBLE_DEVICES hide it?"
    return f"CUDA does not start: {error}. Does nvidia-smi run? A reboot helps after an update of the driver"
