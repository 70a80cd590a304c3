"""Real CuPy on the emulated device computes what NumPy computes, with its own kernels and with the project's."""

from __future__ import annotations

import pickle
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from .libraries import to_tf32

KERNELS = Path(__file__).resolve().parents[2] / "kernels"

rng = np.random.default_rng(0)
M = rng.standard_normal((5, 37)).astype(np.float32)

FUNCTIONS = {
    "ufunc": lambda xp, x: xp.tanh(x) * 2 + xp.exp(-x * x),
    "broadcast": lambda xp, x: x[:, None, :3] - x[None, :, 3:6],
    "sum": lambda xp, x: x.sum(axis=1),
    "max": lambda xp, x: x.max(axis=0),
    "argmax": lambda xp, x: x.argmax(axis=1),
    "mean_all": lambda xp, x: x.mean(),
    "cumsum": lambda xp, x: xp.cumsum(x, axis=1),
    "concatenate": lambda xp, x: xp.concatenate([x, x[:2]]),
    "take": lambda xp, x: x[xp.asarray([0, 3, 3])],
    "where": lambda xp, x: xp.where(x > 0, x, 0),
    "nonzero": lambda xp, x: xp.nonzero(x > 0)[1],
    "sort": lambda xp, x: xp.sort(x, axis=1),
    "argsort": lambda xp, x: xp.argsort(x, axis=1),
    "matmul": lambda xp, x: x @ x.T,
    "matmul_transposed": lambda xp, x: x.T @ x,
    "batched": lambda xp, x: x[:, :36].reshape(5, 4, 9) @ x[:, :36].reshape(5, 9, 4),
    "einsum": lambda xp, x: xp.einsum("ij,kj->ik", x, x),
    "float64": lambda xp, x: x.astype("f8") @ x.astype("f8").T,
    "complex": lambda xp, x: (x + 1j * x[::-1]) @ (x - 1j * x[::-1]).T,
    "half": lambda xp, x: (x.astype("f2") * x.astype("f2")).astype("f4"),
    "half_matmul": lambda xp, x: (x.astype("f2") @ x.astype("f2").T).astype("f4"),
    "bfloat16": lambda xp, x: (x.astype(ml_dtypes.bfloat16) * x.astype(ml_dtypes.bfloat16)).astype("f4"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_are_numpys(cp, name):
    compare(cp, name)


@pytest.mark.checked_kernels
@pytest.mark.parametrize("name", ["ufunc", "sum", "argmax", "cumsum", "take", "nonzero", "batched"])
def test_results_are_numpys_under_the_checker(cp, name):
    """And its own kernels give no false alarm."""
    compare(cp, name)


def compare(cp, name):
    function = FUNCTIONS[name]
    wanted, got = function(np, M), function(cp, cp.asarray(M)).get()
    assert got.dtype == wanted.dtype
    tolerance = 2e-3 if name.startswith("half") else 1e-5
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def test_bfloat16_products_round_once(cp):
    x = M.astype(ml_dtypes.bfloat16)
    wanted = (x.astype("f4") @ x.astype("f4").T).astype(ml_dtypes.bfloat16)
    got = (cp.asarray(x) @ cp.asarray(x).T).get()
    assert got.dtype == wanted.dtype
    np.testing.assert_allclose(got.astype("f4"), wanted.astype("f4"), rtol=1e-2)


def test_gemm_ex(cp):
    """The call that a library of matrix products makes itself: column-major, alpha and beta in host memory."""
    from cupy_backends.cuda.libs import cublas

    a, b, c = (cp.asarray(rng.standard_normal(s).astype("f4")) for s in ((4, 3), (3, 6), (4, 6)))
    wanted = 2 * a.get() @ b.get() + 0.5 * c.get()
    alpha, beta = np.array(2, "f4"), np.array(0.5, "f4")
    handle = cp.cuda.Device().cublas_handle
    cublas.gemmEx(
        handle, cublas.CUBLAS_OP_N, cublas.CUBLAS_OP_N, 6, 4, 3, alpha.ctypes.data, b.data.ptr, 0, 6, a.data.ptr, 0, 3,
        beta.ctypes.data, c.data.ptr, 0, 6, cublas.CUBLAS_COMPUTE_32F, cublas.CUBLAS_GEMM_DEFAULT,
    )  # fmt: skip
    np.testing.assert_allclose(c.get(), wanted, rtol=1e-5)


def test_tf32_is_coarser(cp):
    from cupy_backends.cuda.libs import cublas

    x, handle = cp.asarray(M), cp.cuda.Device().cublas_handle
    exact = (x @ x.T).get()
    before = cublas.getMathMode(handle)
    cublas.setMathMode(handle, cublas.CUBLAS_TF32_TENSOR_OP_MATH)
    try:
        assert to_tf32(np.float32([1 + 2**-10, 1 + 2**-12, np.inf])).tolist() == [1 + 2**-10, 1, np.inf]
        coarse = cp.empty((5, 5), "f4")
        one, zero = np.array(1, "f4"), np.array(0, "f4")
        alpha, beta, a, c = one.ctypes.data, zero.ctypes.data, x.data.ptr, coarse.data.ptr
        cublas.sgemm(handle, cublas.CUBLAS_OP_T, cublas.CUBLAS_OP_N, 5, 5, 37, alpha, a, 37, a, 37, beta, c, 5)
        difference = np.abs(coarse.get() - exact).max()
        assert 1e-5 < difference < 5e-2
    finally:
        cublas.setMathMode(handle, before)


def project_softmax(cp, type="float"):
    name = f"softmax_forward<{type}, false>"
    source = (KERNELS / "softmax.cu").read_text()
    module = cp.RawModule(code=source, options=("--std=c++17", f"-I{KERNELS}"), name_expressions=[name])
    return module.get_function(name)


@pytest.mark.checked_kernels
@pytest.mark.parametrize("type, dtype", [("float", "f4"), ("__half", "f2")])
def test_raw_module_with_templates(cp, emulated, type, dtype):
    x = cp.asarray(M.astype(dtype))
    y = cp.empty_like(x)
    before = emulated.counters.copy()
    project_softmax(cp, type)((2,), (96,), (x, y, np.int64(5), np.int32(37), np.int64(37), np.int32(32)))
    wanted = np.exp(M.astype("f8")) / np.exp(M.astype("f8")).sum(1, keepdims=True)
    np.testing.assert_allclose(y.get().astype("f8"), wanted, rtol=1e-5 if type == "float" else 5e-3, atol=1e-4)
    assert (emulated.counters - before).checked_launches == 1


def test_a_source_that_does_not_compile(cp):
    with pytest.raises(cp.cuda.compiler.CompileException, match="nonsense"):
        cp.RawKernel('extern "C" __global__ void k(float* x) { nonsense; }', "k").compile()


def test_an_unknown_kernel(cp, raises):
    with raises("cudaErrorSymbolNotFound"):
        cp.RawKernel('extern "C" __global__ void k(float* x) {}', "other").compile()


@pytest.mark.parametrize(
    "use",
    [
        lambda cp: cp.random.default_rng(0),
        lambda cp: cp.random.uniform(size=4),
        lambda cp: cp.linalg.svd(cp.ones((4, 4))),
    ],
    ids=["generator", "curand", "cusolver"],
)
def test_libraries_with_device_code_are_refused(cp, use):
    with pytest.raises(NotImplementedError, match="device code inside a library"):
        use(cp)


def test_calls_that_are_not_emulated_say_so(cp):
    with pytest.raises(NotImplementedError, match="runtime.mallocArray"):
        cp.cuda.runtime.mallocArray(0, 1, 1)


def test_pickle(cp):
    x = pickle.loads(pickle.dumps(cp.asarray(M)))
    np.testing.assert_array_equal(x.get(), M)
