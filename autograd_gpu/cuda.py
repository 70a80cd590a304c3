"""CUDA devices: whether there are any and, if not, why."""

from __future__ import annotations

import ctypes
import importlib.util

from .backend import Device as _Device
from .backend import vocabulary


def is_available() -> bool:
    """Whether tensors can be put on a CUDA device. `why_not` says what is missing."""
    return why_not() is None


def device_count() -> int:
    """The number of CUDA devices that can be used."""
    return 0 if why_not() else 1


def why_not() -> str | None:
    """What is missing for CUDA and how to get it, None if nothing is."""
    try:
        vocabulary(_Device("cuda"))
    except RuntimeError as error:
        refusal = str(error)
    else:
        return None
    major = _driver()
    if major is None:
        return "no NVIDIA driver was found: install one (https://www.nvidia.com/drivers) on a machine with an NVIDIA GPU"
    if importlib.util.find_spec("cupy") is None:
        extra = "cuda13" if major >= 13 else "cuda12"
        return f"CuPy is not installed: pip install 'autograd_gpu[{extra}]'"
    return refusal


def _driver() -> int | None:
    """The newest CUDA version that the installed driver can run, None without a driver."""
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            version = ctypes.c_int()
            if ctypes.CDLL(name).cuDriverGetVersion(ctypes.byref(version)) == 0:
                return version.value // 1000
        except (OSError, AttributeError):
            continue
    return None


def gpu_names() -> list[str]:
    """The names of the NVIDIA GPUs in this machine, whether or not they can be used."""
    import shutil
    import subprocess

    if shutil.which("nvidia-smi") is None:
        return []
    try:
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.strip().splitlines() if answer.returncode == 0 else []
