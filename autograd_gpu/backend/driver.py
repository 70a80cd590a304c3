"""Whether CUDA can be used and, if not, what is missing and how to get it. CuPy is not imported before it is known to load."""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
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
        return _too_old(driver) or f"CuPy is not installed: pip install '{_extra(driver)}'"
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        return f"CuPy is installed but does not load ({str(error).strip().splitlines()[0]}): reinstall it, in one version only"
    if int(cupy.__version__.split(".")[0]) < 14:
        return _too_old(driver) or f"CuPy {cupy.__version__} is too old, bfloat16 needs 14: {_instead(driver)}"
    return _why_not_runtime(cupy.cuda.runtime, index)


def _extra(driver: int | None) -> str:
    """The extra whose CuPy a driver runs."""
    return f"autograd_gpu[{'cuda12' if driver is not None and driver < 13000 else 'cuda13'}]"


def _too_old(driver: int | None) -> str | None:
    """What to say of a driver that runs the CuPy of no extra."""
    if not driver or driver >= 12000:
        return None
    return (
        f"the NVIDIA driver runs CUDA {_version(driver)} and 12.0 is the oldest supported: update the driver "
        "(https://www.nvidia.com/drivers)"
    )


def _version(cuda: int) -> str:
    return f"{cuda // 1000}.{cuda % 1000 // 10}"


def _instead(driver: int | None) -> str:
    """How to get the CuPy that a driver runs in the place of the one that is installed: of two in one place none works."""
    extra = _extra(driver)
    wanted = f"cupy-{extra[-7:-1]}x"
    others = [name for name in ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x") if name != wanted and _installed(name)]
    if others:
        return f"pip uninstall {' '.join(others)}, then pip install '{extra}'"
    return f"pip install -U '{extra}'"


def _installed(name: str) -> bool:
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


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
        return _too_old(driver) or (
            f"the NVIDIA driver runs CUDA {_version(driver)} and CuPy was built for {_version(needed)}: update the driver, or "
            f"{_instead(driver)}"
        )
    if "NoDevice" in error:
        return "no CUDA device was found: is there an NVIDIA GPU, and does CUDA_VISIBLE_DEVICES hide it?"
    return f"CUDA does not start: {error}. Does nvidia-smi run? A reboot helps after an update of the driver"
