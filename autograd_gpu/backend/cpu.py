"""The vocabulary on NumPy arrays: what `xp` means on a CPU. Words are NumPy's where NumPy has them."""

from __future__ import annotations

import ctypes
import os
import warnings
from typing import Any

import numpy as np

# NumPy warns where PyTorch is silent: 1/0, log(0), overflow. The filter is for calls made by this package's modules only.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"autograd_gpu\.")


def _keep_freed_memory() -> None:
    """Tell glibc to keep large freed blocks for the next step instead of returning them to the system and paying page
    faults for them again: 1.5 to 2 times faster training. Opt out with AUTOGRAD_GPU_MALLOPT=0."""
    if os.environ.get("AUTOGRAD_GPU_MALLOPT", "1") == "0":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # not glibc
    m_trim_threshold, m_mmap_threshold = -1, -3
    mallopt(m_mmap_threshold, 1 << 30)
    mallopt(m_trim_threshold, 2**31 - 1)


_keep_freed_memory()

name = "cpu"
fused: dict[str, tuple[Any, Any]] = {}

asarray, copyto = np.asarray, np.copyto
zeros, ones, empty, full, arange = np.zeros, np.ones, np.empty, np.full, np.arange
zeros_like, ones_like = np.zeros_like, np.ones_like
mul = np.multiply
add, subtract, multiply, divide, negative = np.add, np.subtract, np.multiply, np.divide, np.negative
exp, log, tanh, sqrt = np.exp, np.log, np.tanh, np.sqrt
matmul, broadcast_to, reshape = np.matmul, np.broadcast_to, np.reshape


def device_of(array: Any) -> Any:
    """The device of every NumPy array."""
    from . import CPU

    return CPU


def memory(x: Any) -> Any:
    """The array that owns the memory of x: the same one for all views of it."""
    owner, base = x, x.base
    while base is not None:
        if isinstance(base, np.ndarray):
            owner = base
        base = getattr(base, "base", None)
    return owner


def astype(x: Any, *, dtype: Any) -> Any:
    """A copy of x in another dtype."""
    return x.astype(dtype)


def sum(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum over axes, in the dtype of x."""
    return np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def sum_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """Sum x over the dimensions that broadcasting `shape` to x's shape has added or stretched."""
    extra = x.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 != x.shape[i + extra])
    return np.add.reduce(x, axis=axes, dtype=x.dtype, keepdims=True).reshape(shape)
