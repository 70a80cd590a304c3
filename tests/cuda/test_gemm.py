"""Matrix products: what CuPy is asked for, and what cuBLASLt would be asked for, with a stand-in for the library."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograd_gpu.backend import gemm
from autograd_gpu.backend.promotion import bfloat16

DTYPES = [np.dtype(t) for t in ("float32", "float64", "float16")] + [bfloat16]
CLOSE = {np.dtype("float64"): 1e-12, np.dtype("float32"): 1e-5, np.dtype("float16"): 5e-3, bfloat16: 4e-2}
PRODUCTS = {  # name: the shapes in memory, and how they are turned and cut before they are multiplied
    "plain": ((4, 6), (6, 5), lambda a, b: (a, b)),
    "left transposed": ((6, 4), (6, 5), lambda a, b: (a.T, b)),
    "right transposed": ((4, 6), (5, 6), lambda a, b: (a, b.T)),
    "both transposed": ((6, 4), (5, 6), lambda a, b: (a.T, b.T)),
    "rows apart": ((4, 9), (6, 8), lambda a, b: (a[:, 1:7], b[:, 2:7])),
    "every other column": ((4, 12), (6, 5), lambda a, b: (a[:, ::2], b)),
    "backwards": ((4, 6), (6, 5), lambda a, b: (a[::-1], b[:, ::-1])),
    "a row": ((1, 6), (6, 5), lambda a, b: (a, b)),
    "a column": ((4, 6), (6, 1), lambda a, b: (a, b)),
    "outer": ((4, 1), (1, 5), lambda a, b: (a, b)),
    "batch": ((3, 4, 6), (3, 6, 5), lambda a, b: (a, b)),
    "batch by one": ((3, 4, 6), (6, 5), lambda a, b: (a, b)),
    "one by batch": ((4, 6), (3, 5, 6), lambda a, b: (a, b.swapaxes(1, 2))),
    "two batches": ((2, 1, 4, 6), (3, 6, 5), lambda a, b: (a, b)),
    "batch of views": ((4, 3, 6), (6, 3, 5), lambda a, b: (a.swapaxes(0, 1), b.transpose(1, 0, 2))),
}
EPILOGUES = [(False, None), (True, None), (True, "relu"), (False, "gelu_tanh"), (True, "gelu_tanh")]


@pytest.fixture
def cupy(cuda_device: Any) -> Any:
    import cupy

    return cupy


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The stand-in for libcublasLt."""
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    path = tmp_path_factory.mktemp("cublaslt") / "libcublasLt.so"
    source = Path(__file__).parent / "cublaslt.cpp"
    done = subprocess.run(["g++", "-O1", "-shared", "-fPIC", "-std=c++17", source, "-o", path], capture_output=True, text=True)
    if "_Float16" in done.stderr:
        pytest.skip("this g++ has no _Float16")
    assert done.returncode == 0, done.stderr
    loaded = ctypes.CDLL(str(path))
    loaded.wait = ctypes.CFUNCTYPE(None)(_wait)  # kept alive by what calls it
    loaded.wait_by(loaded.wait)
    return loaded


def _wait() -> None:
    import cupy

    cupy.cuda.Device().synchronize()


@pytest.fixture(params=["CuPy", "cuBLASLt"])
def way(request: pytest.FixtureRequest, cupy: Any, monkeypatch: pytest.MonkeyPatch, cuda_mode: str) -> str:
    """By CuPy, or by cuBLASLt: on the emulated device, whose memory is the host's, by the stand-in."""
    gemm._products.cache_clear()
    if request.param == "CuPy":
        monkeypatch.setattr(gemm, "_load", lambda: None)
    elif cuda_mode == "emulated":
        loaded = request.getfixturevalue("library")
        monkeypatch.setattr(gemm, "_load", lambda: loaded)
    elif gemm._load() is None:
        pytest.skip("there is no libcublasLt")
    yield request.param
    gemm._products.cache_clear()


def expected(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None, activation: str | None) -> np.ndarray:
    out = np.matmul(a.astype("f8"), b.astype("f8"))
    if bias is not None:
        out += bias.astype("f8")
    if activation == "relu":
        return np.maximum(out, 0)
    return out if activation is None else 0.5 * out * (1 + np.tanh(np.sqrt(2 / np.pi) * (out + 0.044715 * out**3)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_products(way: str, cupy: Any, dtype: np.dtype):
    rng = np.random.default_rng(0)
    for name, (first, second, cut) in PRODUCTS.items():
        host = [rng.normal(size=shape).astype(dtype) for shape in (first, second)]
        device = [cupy.asarray(x) for x in host]
        a, b = cut(*device)
        for with_bias, activation in EPILOGUES:
            bias = rng.normal(size=b.shape[-1]).astype(dtype) if with_bias else None
            on_device = None if bias is None else cupy.asarray(bias)
            got = gemm.multiply(a, b, bias=on_device, activation=activation)
            wanted = expected(*cut(*host), bias, activation)
            assert got.dtype == dtype and got.shape == wanted.shape, name
            np.testing.assert_allclose(got.get().astype("f8"), wanted, rtol=CLOSE[dtype], atol=4 * CLOSE[dtype], err_msg=name)
    run = gemm._products(0)
    assert (run is not None and run.checked == {dtype: True}) == (way == "cuBLASLt")


def test_out_and_what_else_is_asked(way: str, cupy: Any):
    a, b = cupy.arange(6.0).reshape(2, 3), cupy.arange(12.0).reshape(3, 4)
    wanted = a.get() @ b.get()
    for out in (cupy.empty((2, 4)), cupy.empty((4, 2)).T, cupy.empty((2, 8))[:, ::2]):
        assert gemm.multiply(a, b, out=out) is out
        assert np.array_equal(out.get(), wanted)
    assert gemm.multiply(a[:, :0], b[:0]).get().tolist() == np.zeros((2, 4)).tolist()
    assert gemm.multiply(a[:0], b).shape == (0, 4)
    integers = cupy.arange(6).reshape(2, 3)
    assert np.array_equal(gemm.multiply(integers, integers.T).get(), integers.get() @ integers.get().T)
    with pytest.raises(ValueError, match="cannot be multiplied"):
        gemm.multiply(a, a)
    with pytest.raises(ValueError, match="activation"):
        gemm.multiply(a, b, activation="softmax")


def test_a_library_that_errs_is_not_used(library: Any, cupy: Any, monkeypatch: pytest.MonkeyPatch, cuda_mode: str):
    """Both one that refuses and one that gives wrong products: a warning, then CuPy's results."""
    if cuda_mode != "emulated":
        pytest.skip("the stand-in computes on the host")
    a, b = cupy.ones((2, 3), "f"), cupy.ones((3, 4), "f")
    monkeypatch.setattr(gemm, "_load", lambda: library)
    epilogues = {**gemm._ACTIVATIONS, "relu": 32}
    for name, value, message in (("_COMPUTE", {np.dtype("f"): 70}, "status 7"), ("_ACTIVATIONS", epilogues, "is wrong")):
        gemm._products.cache_clear()
        with monkeypatch.context() as m:
            m.setattr(gemm, name, value)
            with pytest.warns(RuntimeWarning, match=message):
                first = gemm.multiply(a, b)
            assert np.array_equal(first.get(), np.full((2, 4), 3))
            assert np.array_equal(gemm.multiply(a, b).get(), np.full((2, 4), 3))  # in silence
    gemm._products.cache_clear()
