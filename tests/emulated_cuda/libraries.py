"""cuBLAS's matrix products and Thrust's sorts on NumPy, and a clear error for the libraries that cannot run here.

CuPy calls these through Python modules, so a module of the same name takes their place. Matrices and keys lie in the arena, which
the host can address: an operation in the current stream looks at them as NumPy arrays when its time comes.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .device import Device
from .streams import Place

try:
    from ml_dtypes import bfloat16
except ImportError:
    bfloat16 = None

CUBLAS_CONSTANTS = {
    "CUBLAS_OP_N": 0, "CUBLAS_OP_T": 1, "CUBLAS_OP_C": 2,
    "CUBLAS_POINTER_MODE_HOST": 0, "CUBLAS_POINTER_MODE_DEVICE": 1,
    "CUBLAS_DEFAULT_MATH": 0, "CUBLAS_TENSOR_OP_MATH": 1, "CUBLAS_PEDANTIC_MATH": 2, "CUBLAS_TF32_TENSOR_OP_MATH": 3,
    "CUBLAS_GEMM_DEFAULT": -1, "CUBLAS_GEMM_DEFAULT_TENSOR_OP": 99,
    "CUBLAS_COMPUTE_16F": 64, "CUBLAS_COMPUTE_16F_PEDANTIC": 65, "CUBLAS_COMPUTE_32F": 68, "CUBLAS_COMPUTE_32F_PEDANTIC": 69,
    "CUBLAS_COMPUTE_64F": 70, "CUBLAS_COMPUTE_64F_PEDANTIC": 71, "CUBLAS_COMPUTE_32I": 72, "CUBLAS_COMPUTE_32I_PEDANTIC": 73,
    "CUBLAS_COMPUTE_32F_FAST_16F": 74, "CUBLAS_COMPUTE_32F_FAST_16BF": 75, "CUBLAS_COMPUTE_32F_FAST_TF32": 77,
}  # fmt: skip

# cudaDataType_t -> dtype
DATA_TYPES = {0: np.dtype("f4"), 1: np.dtype("f8"), 2: np.dtype("f2"), 3: np.dtype("i1"), 4: np.dtype("c8"), 5: np.dtype("c16")}
DATA_TYPES[10] = np.dtype("i4")
if bfloat16 is not None:
    DATA_TYPES[14] = np.dtype(bfloat16)
# cublasComputeType_t (or, as before CUDA 11, cudaDataType_t) -> dtype of alpha and beta; sums are in float32 or wider
SCALAR_TYPES = {64: "f2", 65: "f2", 70: "f8", 71: "f8", 72: "i4", 73: "i4", 1: "f8", 2: "f2", 5: "f8", 10: "i4"}
FAST_TF32, TF32_MATH = 77, 3


def array_at(address: int, dtype: np.dtype, shape: tuple[int, ...], strides: tuple[int, ...] | None = None) -> np.ndarray:
    """Device memory as a NumPy array; `strides` in items."""
    strides = strides or tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    length = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) if all(shape) else 0
    flat = np.frombuffer((ctypes.c_char * (length * dtype.itemsize)).from_address(address), dtype)
    return np.lib.stride_tricks.as_strided(flat, shape, tuple(s * dtype.itemsize for s in strides))


@dataclass
class Matrices:
    """`batch` column-major matrices of device memory, `stride` items apart, their columns `leading` items apart."""

    address: int
    dtype: np.dtype
    rows: int
    columns: int
    leading: int
    stride: int
    batch: int

    def array(self) -> np.ndarray:
        shape, strides = (self.batch, self.rows, self.columns), (self.stride, 1, self.leading)
        return array_at(self.address, self.dtype, shape, strides)

    @property
    def size(self) -> int:
        items = (self.batch - 1) * self.stride + (self.columns - 1) * self.leading + self.rows
        return items * self.dtype.itemsize if self.batch and self.rows and self.columns else 0


def to_tf32(x: np.ndarray) -> np.ndarray:
    """float32 rounded to TF32's ten bits of mantissa."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0xFFF) + ((bits >> np.uint32(13)) & np.uint32(1))) & np.uint32(0xFFFFE000)
    return np.where(np.isfinite(x), rounded.view(np.float32), x)


@dataclass
class Handle:
    """State of a cuBLAS handle."""

    stream: int = 0
    math: int = 0
    pointer_mode: int = 0


class Cublas:
    """The products of ``cupy_backends.cuda.libs.cublas``: argument lists as cuBLAS documents them."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.handles: list[Handle] = []

    # ------------------------------------------------------------------ handles

    def create(self) -> int:
        self.handles.append(Handle())
        return len(self.handles)

    def destroy(self, handle: int) -> None:
        pass

    def getVersion(self, handle: int) -> int:
        return 130000

    def setStream(self, handle: int, stream: int) -> None:
        self.handles[handle - 1].stream = stream

    def getStream(self, handle: int) -> int:
        return self.handles[handle - 1].stream

    def setMathMode(self, handle: int, mode: int) -> None:
        self.handles[handle - 1].math = mode

    def getMathMode(self, handle: int) -> int:
        return self.handles[handle - 1].math

    def setPointerMode(self, handle: int, mode: int) -> None:
        self.handles[handle - 1].pointer_mode = mode

    def getPointerMode(self, handle: int) -> int:
        return self.handles[handle - 1].pointer_mode

    def setWorkspace(self, handle: int, address: int, size: int) -> None:
        pass

    # ------------------------------------------------------------------ products

    def gemmEx(self, handle, ta, tb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc, compute, algorithm):
        self._product(
            handle, ta, tb, m, n, k, alpha, (a, a_type, lda, 0), (b, b_type, ldb, 0), beta, (c, c_type, ldc, 0), compute
        )

    def sgemmEx(self, handle, ta, tb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc):
        self._product(handle, ta, tb, m, n, k, alpha, (a, a_type, lda, 0), (b, b_type, ldb, 0), beta, (c, c_type, ldc, 0), 68)

    def gemmStridedBatchedEx(
        self, handle, ta, tb, m, n, k, alpha, a, a_type, lda, a_stride, b, b_type, ldb, b_stride,
        beta, c, c_type, ldc, c_stride, batch, compute, algorithm,
    ):  # fmt: skip
        left, right, out = (a, a_type, lda, a_stride), (b, b_type, ldb, b_stride), (c, c_type, ldc, c_stride)
        self._product(handle, ta, tb, m, n, k, alpha, left, right, beta, out, compute, batch)

    def typed(self, type: int, compute: int) -> tuple[Callable[..., None], Callable[..., None]]:
        """The ``?gemm`` and ``?gemmStridedBatched`` of one type."""

        def gemm(handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
            self._product(handle, ta, tb, m, n, k, alpha, (a, type, lda, 0), (b, type, ldb, 0), beta, (c, type, ldc, 0), compute)

        def batched(handle, ta, tb, m, n, k, alpha, a, lda, a_stride, b, ldb, b_stride, beta, c, ldc, c_stride, batch):
            left, right, out = (a, type, lda, a_stride), (b, type, ldb, b_stride), (c, type, ldc, c_stride)
            self._product(handle, ta, tb, m, n, k, alpha, left, right, beta, out, compute, batch)

        return gemm, batched

    def _product(self, handle, ta, tb, m, n, k, alpha, left, right, beta, out, compute, batch=1) -> None:
        """C = alpha op(A) op(B) + beta C, later, in the current stream."""
        state, device = self.handles[handle - 1], self.device
        a = self._matrices(left, *((m, k) if ta == 0 else (k, m)), batch)
        b = self._matrices(right, *((k, n) if tb == 0 else (n, k)), batch)
        c = self._matrices(out, m, n, batch)
        complexes = c.dtype.kind == "c"
        scalar = np.dtype(SCALAR_TYPES.get(compute, "f4"))
        if complexes:
            scalar = np.dtype("c16" if scalar == "f8" or c.dtype == "c16" else "c8")
        accumulate = np.result_type(scalar, np.int64 if scalar.kind == "i" else np.float32)
        tf32 = accumulate == np.float32 and (compute == FAST_TF32 or state.math == TF32_MATH) and a.dtype == np.float32
        stream = device.stream(_current_stream())
        if stream.capture is not None:  # CuPy's own refusal, in its words
            raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
        for matrices in (a, b, c):
            if matrices.size:
                device.memory.require(matrices.address, matrices.size, "a matrix product")

        def read_scalar(address: int) -> Any:
            return np.frombuffer(ctypes.string_at(address, scalar.itemsize), scalar)[0]

        # scalars in host memory are read now, those on the device when the product runs
        now = (read_scalar(alpha), read_scalar(beta)) if state.pointer_mode == 0 else None

        def action(place: Place) -> None:
            for matrices, write in ((a, False), (b, False), (c, True)):
                device.hazards.touched(place, matrices.address, matrices.address + matrices.size, write)
            scale, keep = now or (read_scalar(alpha), read_scalar(beta))
            x, y = _operand(a.array(), ta).astype(accumulate), _operand(b.array(), tb).astype(accumulate)
            if tf32:
                x, y = to_tf32(x), to_tf32(y)
            result = c.array()
            with np.errstate(all="ignore"):
                value = scale.astype(accumulate) * np.matmul(x, y)
                if keep != 0:  # else C may hold anything, NaN included
                    value += keep.astype(accumulate) * result.astype(accumulate)
                result[...] = value.astype(c.dtype)

        device.counters.products += 1
        if m and n and batch:
            device.streams.enqueue(stream, "matrix product", action)

    @staticmethod
    def _matrices(argument: tuple[int, int, int, int], rows: int, columns: int, batch: int) -> Matrices:
        address, type, leading, stride = argument
        if type not in DATA_TYPES:
            raise NotImplementedError(f"the emulated cuBLAS has no data type {type}")
        return Matrices(address, DATA_TYPES[type], rows, columns, leading, stride, batch)


def _operand(matrices: np.ndarray, operation: int) -> np.ndarray:
    if operation == 0:
        return matrices
    turned = matrices.swapaxes(-1, -2)
    return turned.conj() if operation == 2 else turned


def _current_stream() -> int:
    import cupy

    return cupy.cuda.get_current_stream().ptr


class Thrust:
    """The sorts of ``cupy.cuda.thrust``: rows along the last axis, NaN last, as NumPy's."""

    available = True

    def __init__(self, device: Device) -> None:
        self.device = device

    def get_build_version(self) -> int:
        return 0

    def sort(self, dtype, address, keys, shape):
        self._enqueue("sort", lambda: array_at(address, np.dtype(dtype), tuple(shape)).sort(-1), address, dtype, shape)

    def argsort(self, dtype, indices, address, keys, shape):
        def action():
            data = array_at(address, np.dtype(dtype), tuple(shape))
            array_at(indices, np.dtype("i8"), tuple(shape))[...] = data.argsort(-1, kind="stable")

        self._enqueue("argsort", action, indices, "i8", shape)

    def lexsort(self, dtype, indices, address, keys, length):
        def action():
            data = array_at(address, np.dtype(dtype), (keys, length))
            array_at(indices, np.dtype("i8"), (length,))[...] = np.lexsort(data)

        self._enqueue("lexsort", action, indices, "i8", (length,))

    def _enqueue(self, name: str, action: Callable[[], None], address: int, dtype: Any, shape: tuple[int, ...]) -> None:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize

        def run(place: Place) -> None:
            self.device.hazards.touched(place, address, address + size, write=True)
            action()

        self.device.streams.enqueue(self.device.stream(_current_stream()), name, run)


class Blocked(types.ModuleType):
    """A module whose functions run device code inside CuPy's or NVIDIA's libraries: it imports, and using it raises."""

    available = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _BlockedName(f"{self.__name__}.{name}")


class _BlockedName:
    def __init__(self, name: str) -> None:
        self._name = name

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(
            f"{self._name} runs device code inside a library, which the emulated CUDA device cannot run. Write it with CuPy's "
            "ufuncs, reductions and matmul or a kernel of your own, or run with --cuda=real on a machine with a card"
        )

    __call__ = __getattr__ = __index__ = __int__ = __or__ = __getitem__ = _refuse


BLOCKED_MODULES = [
    "cupy.cuda.cufft",
    "cupy.random._generator_api",
    "cupy_backends.cuda.libs.curand",
    "cupy_backends.cuda.libs.cusolver",
    "cupy_backends.cuda.libs.cusparse",
]
BLOCKED_FUNCTIONS = ["cupy.cuda.cub"]  # of modules that CuPy's own need at import


def install(device: Device) -> None:
    """Put the modules in place of CuPy's."""
    cublas = Cublas(device)
    for letter, type, compute in (("s", 0, 68), ("d", 1, 70), ("c", 4, 68), ("z", 5, 70)):
        plain, batched = cublas.typed(type, compute)
        setattr(cublas, f"{letter}gemm", plain)
        setattr(cublas, f"{letter}gemmStridedBatched", batched)
    module = _module("cupy_backends.cuda.libs.cublas", cublas, device, partial(_BlockedName))
    module.__dict__.update(CUBLAS_CONSTANTS)
    _module("cupy.cuda.thrust", Thrust(device), device)
    for name in BLOCKED_MODULES:
        sys.modules[name] = Blocked(name)
    _bind(lambda parent: parent.startswith("cupy_backends"))


def _bind(chosen: Callable[[str], bool]) -> None:
    """Make the modules attributes of their packages, which else look for the real libraries."""
    for name in (*BLOCKED_MODULES, "cupy_backends.cuda.libs.cublas", "cupy.cuda.thrust"):
        parent, _, leaf = name.rpartition(".")
        if chosen(parent):
            setattr(importlib.import_module(parent), leaf, sys.modules[name])


def finish() -> None:
    """What `install` could not do before CuPy was imported."""
    _bind(lambda parent: not parent.startswith("cupy_backends"))
    for name in BLOCKED_FUNCTIONS:
        module = sys.modules[name]
        for attribute, value in list(vars(module).items()):
            if callable(value) and not attribute.startswith("_"):
                setattr(module, attribute, _BlockedName(f"{name}.{attribute}"))


def _module(name: str, implementation: object, device: Device, missing: Callable[[str], Any] | None = None) -> types.ModuleType:
    module = types.ModuleType(name, implementation.__doc__)
    for attribute in dir(implementation):
        value = getattr(implementation, attribute)
        if not attribute.startswith("_"):
            setattr(module, attribute, device.locked(value) if callable(value) else value)
    if missing is not None:

        def __getattr__(attribute: str) -> Any:
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            return missing(f"{name}.{attribute}")

        module.__getattr__ = __getattr__  # type: ignore[method-assign]
    sys.modules[name] = module
    return module
