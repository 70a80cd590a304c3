"""Matrix products on CUDA: cuBLASLt, by nvmath-python's bindings where they are installed, else through ctypes, on the current
stream.

NOTE [cuBLASLt]
    1. cuBLASLt thinks in columns. A matrix (m, n) of ours, whose rows lie one after the other, is its matrix (n, m) read without
       turning it; so C = A B is asked for as C' = B' A', and a transposed operand is a flag instead of a copy.
    2. What adding a bias would read and write again is done on the way out; and the sums of a factor's rows, which are a bias's
       gradient, on its way in. Activations and their slopes are in `epilogues`.
    3. Which algorithm is best, cuBLASLt guesses once for a kind of product: shapes, strides, alignments, dtype. It is kept, so
       that a product gives the same bits each time. The workspace is ours, one for each stream, because cuBLASLt may not allocate
       while a stream is captured.
    4. float16 and bfloat16 are summed in float32. float32 is multiplied in full precision, unless `allow_tf32[0]` is set.
    5. A wrong number in an argument list is not found by a compiler here. So before a dtype is first multiplied so, small
       products are compared with CuPy's; if they differ or fail, a warning says so, and CuPy multiplies from then on. CuPy also
       multiplies what cuBLASLt does not take (integers, complex numbers), and where there is no cuBLASLt.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
import warnings
from collections.abc import Callable
from ctypes import addressof, byref, c_double, c_float, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .promotion import bfloat16, float16, float32, float64

# whether float32 may be rounded to the 10 bits of TF32 before it is multiplied, three to eight times as fast
allow_tf32 = [False]

WORKSPACE = 32 << 20  # bytes, what NVIDIA recommends for Hopper; older cards are content with less

# cublasLt.h: cudaDataType_t and cublasComputeType_t
_DATA = {float32: 0, float64: 1, float16: 2, bfloat16: 14}
_COMPUTE = {float32: 68, float64: 70, float16: 68, bfloat16: 68}
_COMPUTE_TF32 = 77
# attributes of products, matrices and preferences, and the bits of epilogues
_TRANSPOSE_A, _TRANSPOSE_B, _EPILOGUE, _BIAS_POINTER, _AUX_POINTER, _AUX_LEAD = 3, 4, 7, 8, 11, 12
_BATCH_COUNT, _BATCH_STRIDE = 5, 6
_MOST_WORKSPACE, _ALIGNMENTS = 1, (5, 6, 7, 8)
_WITH_BIAS, _PLAIN = 4, 1
_ROW_SUMS = 512  # CUBLASLT_EPILOGUE_BGRADB: its B is our left factor, see rule 1


class _Algorithm(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t; the algorithm itself is its first 64 bytes."""

    _fields_ = [("data", c_uint64 * 8), ("workspace", c_size_t), ("state", c_int), ("waves", c_float), ("reserved", c_int * 4)]


class _Matrix(NamedTuple):
    """One operand as cuBLASLt reads it: columns of `rows` elements, `lead` apart; `turned` says that it is to be transposed."""

    rows: int
    columns: int
    lead: int
    stride: int  # elements from one matrix of the batch to the next
    turned: bool
    alignment: int  # bytes, a power of two up to 256


class _Kind(NamedTuple):
    """What the choice of an algorithm depends on."""

    dtype: np.dtype
    batch: int
    left: _Matrix
    right: _Matrix
    out: _Matrix
    epilogue: int
    tf32: bool
    aux_lead: int  # of the matrix that `epilogues` read or write beside, in its elements; 0 for none


def multiply(a: Any, b: Any, *, bias: Any = None, out: Any = None, row_sums: Any = None) -> Any:
    """The product of matrices a (..., m, k) and b (..., k, n), over broadcast leading dimensions, on the current stream.

    bias        (n,), added to each row
    out         where to write, C-contiguous and of the result's shape; it must not overlap a or b
    row_sums    (m,), where the sums of the rows of a, a matrix, go as well; without a bias

    All are cupy.ndarrays of one dtype on the current device. Raises ValueError for shapes that do not fit."""
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matrices of shapes {a.shape} and {b.shape} cannot be multiplied")
    if a.dtype is b.dtype and a.dtype in _DATA and a.size and b.size:
        run = _products(_current_device())
        if run is not None and run.trusted(a.dtype):
            done = run(a, b, bias, out, row_sums)
            if done is not None:
                return done
    if row_sums is not None:
        _sum_rows(a, row_sums)
    return _by_cupy(a, b, bias, out)


def sums_rows(a: Any) -> bool:
    """Whether `row_sums` of a left factor such as a costs less than adding up by itself."""
    if a.dtype not in _DATA or a.dtype == float64:
        return False
    run = _products(_current_device())
    return run is not None and run.trusted(a.dtype)


def _sum_rows(a: Any, out: Any) -> None:
    from .gpu.sums import sum_rows

    sum_rows(a, out)


def _by_cupy(a: Any, b: Any, bias: Any, out: Any) -> Any:
    import cupy

    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    # CuPy would make a list of pointers on the host where it has to repeat an operand; and it has no batches of bfloat16
    a, b = (x if x.shape[:-2] == lead else cupy.ascontiguousarray(cupy.broadcast_to(x, lead + x.shape[-2:])) for x in (a, b))
    if lead and a.dtype == bfloat16:
        product = cupy.matmul(a.astype(float32), b.astype(float32)).astype(bfloat16)
    else:
        product = cupy.matmul(a, b)
    if bias is not None:
        cupy.add(product, bias, product)
    if out is None:
        return product
    out[...] = product
    return out


def _current_device() -> int:
    from cupy_backends.cuda.api import runtime

    return runtime.getDevice()


# -- the library -----------------------------------------------------------------------------------------------------------


def _load() -> Any:
    """nvmath's module for cuBLASLt, or libcublasLt of the major version that CuPy uses, or None. CuPy's cuBLAS loads the library,
    so it is mostly in memory already. AUTOGRAD_GPU_CUBLASLT=ctypes leaves nvmath alone, 0 all of it."""
    from cupy_backends.cuda.libs import cublas

    if getattr(cublas, "__file__", None) is None or os.environ.get("AUTOGRAD_GPU_CUBLASLT", "1") == "0":
        return None  # not wanted; or something stands in for cuBLAS, and then for the device too
    handle = cublas.create()  # which loads it
    major = cublas.getVersion(handle) // 10000
    cublas.destroy(handle)
    if os.environ.get("AUTOGRAD_GPU_CUBLASLT") != "ctypes":
        try:
            from nvmath.bindings import cublasLt

            return cublasLt
        except Exception:  # not installed, or something that it needs is not
            pass
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return ctypes.CDLL(load_nvidia_dynamic_lib("cublasLt").abs_path)
    except Exception:  # not installed, or what it finds is none: every library of this name that loads will do
        pass
    for name in (f"libcublasLt.so.{major}", f"cublasLt64_{major}.dll", "libcublasLt.so"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


# nvmath's functions, named as in C but for the spelling. p: a pointer, i: int, u: uint64_t, l: int64_t, n: size_t; r, which comes
# first: a pointer to what nvmath's function returns
_SIGNATURES = {
    "create": "r",
    "matmul_desc_create": "rii",
    "matmul_desc_set_attribute": "pipn",
    "matrix_layout_create": "riuul",
    "matrix_layout_set_attribute": "pipn",
    "matmul_preference_create": "r",
    "matmul_preference_set_attribute": "pipn",
    "matmul_preference_destroy": "p",
    # handle, product, matrices A B C D, preference, results wanted, results, results found
    "matmul_algo_get_heuristic": "ppppppp" + "ipp",
    # handle, product, alpha, A and its layout, B, beta, C, D, algorithm, workspace and its size, stream
    "matmul": "ppp" + "pp" + "pp" + "p" + "pp" + "pp" + "p" + "pn" + "p",
}
_C_TYPES = {"p": c_void_p, "r": c_void_p, "i": c_int, "u": c_uint64, "l": c_int64, "n": c_size_t}


class CublasLtError(RuntimeError):
    """A function of cuBLASLt returned another status than success."""


class _Library:
    """The functions of cuBLASLt as nvmath's module has them: pointers are ints, and a status that is not success is an error."""

    cuBLASLtError = CublasLtError

    def __init__(self, library: Any):
        for name, letters in _SIGNATURES.items():
            in_c = "cublasLt" + "".join(word.capitalize() for word in name.split("_"))
            function = getattr(library, in_c)
            function.argtypes, function.restype = [_C_TYPES[letter] for letter in letters], c_int
            setattr(self, name, _raising(in_c, function, letters.startswith("r")))


def _raising(name: str, function: Callable, returns: bool) -> Callable:
    def call(*arguments: Any) -> None:
        status = function(*arguments)
        if status:
            raise CublasLtError(f"{name} returned the status {status}")

    def made(*arguments: Any) -> int:
        result = c_void_p()
        call(byref(result), *arguments)
        return result.value

    return made if returns else call


@cache
def _products(device: int) -> _Products | None:
    """What multiplies on a device, the current one; None where there is no cuBLASLt."""
    library = _load()
    if library is None:
        return None
    try:
        return _Products(library if hasattr(library, "matmul_algo_get_heuristic") else _Library(library))
    except Exception as error:  # whatever keeps it from being used
        _distrust(str(error))
        return None


def _distrust(reason: str) -> None:
    warnings.warn(f"matrix products go through CuPy instead of cuBLASLt: {reason}", RuntimeWarning, stacklevel=3)


# -- products --------------------------------------------------------------------------------------------------------------


class _Plan(NamedTuple):
    """A kind of product made ready: descriptors, the algorithm, and alpha and beta in the type that they are read as."""

    product: int
    layouts: tuple[int, int, int]
    algorithm: _Algorithm
    one: Any
    zero: Any


class _Products:
    """The products of one device. See NOTE [cuBLASLt]."""

    def __init__(self, library: Any):
        self.library = library
        self.error = library.cuBLASLtError
        self.handle = library.create()
        self.plans: dict[_Kind, _Plan | None] = {}
        self.workspaces: dict[int, Any] = {}
        self.checked: dict[Any, bool] = {}  # a dtype, or with what `epilogues` does -> does it come out right?
        self.lock = threading.RLock()  # a plan's pointer to the bias is set and used in two steps

    def __call__(self, a: Any, b: Any, bias: Any, out: Any, row_sums: Any = None) -> Any:
        """As `multiply`; None for what is left to CuPy."""
        import cupy

        if bias is not None and (bias.dtype is not a.dtype or bias.shape != b.shape[-1:]):
            return None
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        shape = (*lead, a.shape[-2], b.shape[-1])
        fits = out is not None and out.shape == shape and out.dtype is a.dtype and out.flags.c_contiguous
        result = out if fits else cupy.empty(shape, a.dtype)
        epilogue = _ROW_SUMS if row_sums is not None else _PLAIN if bias is None else _WITH_BIAS
        done = self.write(result, a, b, epilogue, readable(bias) if row_sums is None else row_sums)
        if not done and epilogue != _PLAIN:
            done = self.write(result, a, b, _PLAIN)
            if done and row_sums is None:
                cupy.add(result, bias, result)
            elif done:
                _sum_rows(a, row_sums)
        if not done:
            return None
        if out is not None and not fits:
            out[...] = result
        return result if out is None else out

    def write(self, out: Any, a: Any, b: Any, epilogue: int, vector: Any = None, aux: Any = None, aux_lead: int = 0) -> bool:
        """Write the product of a and b into `out`, which is C-contiguous. False if cuBLASLt has no algorithm for it.

        vector   what the epilogue adds to each row, or where it puts sums
        aux      another array that it reads or writes, whose rows are `aux_lead` elements apart"""
        lead, (m, n) = out.shape[:-2], out.shape[-2:]
        batch = math.prod(lead)
        (a, right), (b, left) = _operand(a, lead), _operand(b, lead)
        target = _Matrix(n, m, n, m * n if batch > 1 else 0, False, _alignment(out))
        kind = _Kind(a.dtype, batch, left, right, target, epilogue, a.dtype == float32 and allow_tf32[0], aux_lead)
        with self.lock:
            plan = self.plan(kind, vector, aux)
            if plan is not None:
                self.multiply(plan, a, b, vector, out, aux)
        return plan is not None

    def multiply(self, plan: _Plan, a: Any, b: Any, bias: Any, out: Any, aux: Any) -> None:
        """Launch a product. B comes before A, see rule 1."""
        import cupy

        self.set_pointers(plan.product, bias, aux)
        stream = cupy.cuda.get_current_stream().ptr
        workspace = self.workspaces.get(stream)
        if workspace is None:
            workspace = self.workspaces[stream] = cupy.empty(WORKSPACE, np.uint8)
        left, right, target = plan.layouts
        self.library.matmul(
            self.handle, plan.product, addressof(plan.one), b.data.ptr, left, a.data.ptr, right, addressof(plan.zero),
            out.data.ptr, target, out.data.ptr, target, addressof(plan.algorithm), workspace.data.ptr, WORKSPACE, stream,
        )  # fmt: skip

    def set_pointers(self, product: int, bias: Any, aux: Any) -> None:
        if bias is not None:
            self.set_attribute(product, _BIAS_POINTER, c_uint64(bias.data.ptr))
        if aux is not None:
            self.set_attribute(product, _AUX_POINTER, c_uint64(aux.data.ptr))

    def set_attribute(self, product: int, which: int, value: Any) -> None:
        self.library.matmul_desc_set_attribute(product, which, addressof(value), ctypes.sizeof(value))

    def plan(self, kind: _Kind, bias: Any, aux: Any) -> _Plan | None:
        """The plan for a kind of product, None if cuBLASLt has no algorithm for it."""
        try:
            return self.plans[kind]
        except KeyError:
            pass
        if len(self.plans) >= 4096:  # shapes that never come again
            self.plans.clear()
        plan = self.plans[kind] = self.make_plan(kind, bias, aux)
        return plan

    def make_plan(self, kind: _Kind, bias: Any, aux: Any) -> _Plan | None:
        scalar = c_double if kind.dtype == float64 else c_float
        compute = _COMPUTE_TF32 if kind.tf32 else _COMPUTE[kind.dtype]
        product = self.library.matmul_desc_create(compute, _DATA[float64 if kind.dtype == float64 else float32])
        self.set_attribute(product, _TRANSPOSE_A, c_int32(kind.left.turned))
        self.set_attribute(product, _TRANSPOSE_B, c_int32(kind.right.turned))
        self.set_attribute(product, _EPILOGUE, c_uint32(kind.epilogue))
        if kind.aux_lead:
            self.set_attribute(product, _AUX_LEAD, c_int64(kind.aux_lead))
        self.set_pointers(product, bias, aux)
        layouts = tuple(self.make_layout(kind, matrix) for matrix in (kind.left, kind.right, kind.out))
        algorithm = self.choose(product, layouts, kind)
        return None if algorithm is None else _Plan(product, layouts, algorithm, scalar(1), scalar(0))

    def make_layout(self, kind: _Kind, matrix: _Matrix) -> int:
        layout = self.library.matrix_layout_create(_DATA[kind.dtype], matrix.rows, matrix.columns, matrix.lead)
        for which, value in ((_BATCH_COUNT, c_int32(kind.batch)), (_BATCH_STRIDE, c_int64(matrix.stride))):
            self.library.matrix_layout_set_attribute(layout, which, addressof(value), ctypes.sizeof(value))
        return layout

    def choose(self, product: int, layouts: tuple, kind: _Kind) -> _Algorithm | None:
        """The algorithm that cuBLASLt holds for the best."""
        preference, found, count = self.library.matmul_preference_create(), _Algorithm(), c_int()
        wishes: list[tuple[int, Any]] = [(_MOST_WORKSPACE, c_uint64(WORKSPACE))]
        aligned = (kind.left.alignment, kind.right.alignment, kind.out.alignment, kind.out.alignment)
        wishes += [(which, c_uint32(n)) for which, n in zip(_ALIGNMENTS, aligned, strict=True)]
        for which, value in wishes:
            self.library.matmul_preference_set_attribute(preference, which, addressof(value), ctypes.sizeof(value))
        left, right, target = layouts
        try:
            self.library.matmul_algo_get_heuristic(
                self.handle, product, left, right, target, target, preference, 1, addressof(found), addressof(count)
            )
        except self.error:  # CUBLAS_STATUS_NOT_SUPPORTED
            return None
        finally:
            self.library.matmul_preference_destroy(preference)
        return found if count.value and not found.state else None

    # -- the check of rule 5 -----------------------------------------------------------------------------------------------

    def trusted(self, dtype: np.dtype) -> bool:
        """Whether products of a dtype come out right, found out at the first."""
        known = self.checked.get(dtype)
        if known is None:
            import cupy

            if cupy.cuda.runtime.streamIsCapturing(cupy.cuda.get_current_stream().ptr):
                return True  # nothing can be compared now
            with self.lock:
                known = self.checked[dtype] = self.check(dtype)
        return known

    def check(self, dtype: np.dtype) -> bool:
        try:
            wrong = [line for line in _examples(dtype) if not self.agrees(*line)]
        except self.error as error:
            _distrust(f"{dtype}: {error}")
            return False
        if wrong:
            a, b, bias = wrong[0]
            epilogue = " with a bias" if bias is not None else ""
            _distrust(f"the product of {dtype} matrices of shapes {a.shape} and {b.shape}{epilogue} is wrong")
        return not wrong

    def agrees(self, a: Any, b: Any, bias: Any) -> bool:
        import cupy

        sums = cupy.empty(len(a), a.dtype) if a.ndim == 2 and bias is None else None
        ours = self(a, b, bias, None, sums)
        if ours is None:
            return True
        wide = [x if x is None else x.astype(float64) for x in (a, b, bias)]
        theirs = _by_cupy(*wide, None)
        digits = {float64: 1e-12, float32: 1e-2 if allow_tf32[0] else 1e-5, float16: 4e-3, bfloat16: 3e-2}[a.dtype]

        def close(x: Any, y: Any) -> bool:
            return bool(np.allclose(x.get().astype(float64), y.get(), rtol=digits, atol=digits * 8))

        return close(ours, theirs) and (sums is None or close(sums, wide[0].sum(1)))


def _examples(dtype: np.dtype) -> list[tuple]:
    """Small products: (a, b, bias)."""
    import cupy

    def matrix(*shape: int) -> Any:
        numbers = np.random.default_rng(0).standard_normal(shape)
        return cupy.asarray(numbers.astype(dtype))

    a, b, bias = matrix(16, 24), matrix(24, 8), matrix(8)
    return [
        (a, b, None),
        (matrix(24, 16).T, b, None),
        (a, b, bias),
        (a, matrix(8, 24).T, bias),
        (matrix(24, 16).T, b, bias),
        (matrix(3, 5, 7), matrix(7, 9), None),
        (matrix(3, 5, 7), matrix(3, 9, 7).swapaxes(1, 2), matrix(9)),
    ]


def readable(vector: Any) -> Any:
    """A vector, or a copy of it, that lies as epilogues read it: in one piece, from a multiple of 16 bytes on."""
    import cupy

    vector = None if vector is None else cupy.ascontiguousarray(vector)
    return vector if vector is None or not vector.data.ptr % 16 else vector.copy()


def _alignment(x: Any) -> int:
    return min(x.data.ptr & -x.data.ptr, 256)


def _operand(x: Any, lead: tuple[int, ...]) -> tuple[Any, _Matrix]:
    """x, or a copy of it that cuBLASLt can read, and how it reads it."""
    import cupy

    batch, stride = math.prod(lead), _batch_stride(x, lead)
    described = None if stride is None else _columns(x)
    if described is None:
        x = cupy.ascontiguousarray(x if stride is not None else cupy.broadcast_to(x, (*lead, *x.shape[-2:])))
        stride, described = _batch_stride(x, lead), _columns(x)
    return x, _Matrix(*described[:3], stride if batch > 1 else 0, described[3], _alignment(x))


def _batch_stride(x: Any, lead: tuple[int, ...]) -> int | None:
    """Elements from one matrix to the next, 0 if all are the same one, None if that is not one number."""
    if math.prod(x.shape[:-2]) == 1:
        return 0
    if x.shape[:-2] != lead:
        return None
    sizes = [(n, s) for n, s in zip(x.shape[:-2], x.strides[:-2], strict=True) if n > 1]
    for (_, outer), (n, inner) in zip(sizes, sizes[1:], strict=False):
        if outer != n * inner:
            return None
    step = sizes[-1][1]
    return None if step < 0 or step % x.itemsize else step // x.itemsize


def _columns(x: Any) -> tuple[int, int, int, bool] | None:
    """(rows, columns, lead, turned) of the matrices of x as cuBLASLt reads them: the rows of x are its columns; None if neither
    rows nor columns of x have their elements next to each other."""
    item, (r, c), (down, right) = x.itemsize, x.shape[-2:], x.strides[-2:]
    for rows, columns, inner, outer, turned in ((c, r, right, down, False), (r, c, down, right, True)):
        inner, outer = item if rows == 1 else inner, rows * item if columns == 1 else outer
        if inner == item and outer >= rows * item and outer % item == 0:
            return rows, columns, outer // item, turned
    return None
