"""Sums by the kernels of reduce.cu: which arrays they take, what comes out, and in how many blocks."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import ml_dtypes
import numpy as np
import pytest

DTYPES = {name: np.dtype(name) for name in ("float32", "float64", "float16")} | {"bfloat16": np.dtype(ml_dtypes.bfloat16)}
TOLERANCE = {"float32": 2e-6, "float64": 1e-13, "float16": 1e-3, "bfloat16": 8e-3}


@pytest.fixture
def cupy(cuda_device):
    return pytest.importorskip("cupy")


@pytest.fixture
def sums(cupy):
    return import_module("autograd_gpu.backend.gpu.sums")


# shape, axes, what is done to the array before
TAKEN: list[tuple[tuple[int, ...], tuple[int, ...], Any]] = [
    ((700, 37), (0,), None),
    ((1300, 64), (0,), None),
    ((2048, 3), (0,), None),  # narrow columns, laid side by side
    ((3, 1301, 5), (1,), None),
    ((5, 1030), (1,), None),
    ((70, 10), (1,), None),
    ((9, 1), (0,), None),
    ((40000,), (0,), None),
    ((2, 17000), (0, 1), None),
    ((4, 3, 5, 6), (0, 2, 3), None),  # channels: rows, then columns
    ((4, 3, 5, 6), (1, 3), None),
    ((4, 3, 5, 6), (3, 0), None),
    ((60, 40), (0,), lambda x: x[:, 3:30]),
    ((60, 40), (1,), lambda x: x[::2, 1:]),
    ((60, 40), (0,), lambda x: x.T),
    ((60, 40), (1,), lambda x: x.T),
    ((5, 6, 7, 8), (0, 2, 3), lambda x: x.transpose(0, 3, 1, 2)),
    ((4, 1, 6), (0, 1), None),
]
DECLINED = [
    ((4, 5, 6), (1,), lambda x: x.transpose(2, 1, 0)),  # the result's dimensions would lie the other way around
    ((40, 6), (0,), lambda x: x[:, ::2]),
    ((40, 6), (0,), lambda x: x[::-1]),
    ((1, 6), (0,), lambda x: x[[0] * 0]),
    ((6, 4), (), None),
    ((8, 4, 6), (0, 2), lambda x: x[:, 1:3]),
]


def made(shape: tuple[int, ...], dtype: np.dtype, change: Any) -> np.ndarray:
    x = np.random.default_rng(3).standard_normal(shape).astype(dtype)
    return change(x) if change else x


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
@pytest.mark.parametrize(("shape", "axes", "change"), TAKEN, ids=lambda v: str(v) if isinstance(v, tuple) else "")
def test_sums_are_numpys(cupy, sums, shape, axes, change, dtype):
    x = made(shape, dtype, change)
    on_device = cupy.asarray(np.random.default_rng(3).standard_normal(shape).astype(dtype))
    on_device = change(on_device) if change else on_device
    wanted = x.astype(np.float64).sum(axes)
    n = x.size // wanted.size
    for wide in {dtype, np.dtype("f8" if dtype == "f8" else "f4")}:
        found = sums.sums(on_device, axes, wide, n)
        assert found is not None and found.dtype == wide and found.shape == wanted.shape
        tolerance = TOLERANCE[wide.name]
        np.testing.assert_allclose(found.get().astype(np.float64), wanted / n, tolerance, tolerance)
        assert found.get().tobytes() == sums.sums(on_device, axes, wide, n).get().tobytes()


@pytest.mark.parametrize(("shape", "axes", "change"), DECLINED, ids=lambda v: str(v) if isinstance(v, tuple) else "")
def test_the_rest_is_declined_and_summed_all_the_same(cupy, sums, shape, axes, change):
    backend = import_module("autograd_gpu.backend.gpu")
    x = cupy.asarray(np.random.default_rng(3).standard_normal(shape).astype("f4"))
    x = change(x) if change else x
    assert sums.sums(x, axes, x.dtype) is None and sums.sums(x.astype("i4"), (0,), np.dtype("i8")) is None
    np.testing.assert_allclose(backend.sum(x, axis=axes).get(), x.get().sum(axes, dtype="f8"), 1e-5, 1e-5)


def test_words_launch_these_kernels(cupy):
    from autograd_gpu.backend import gpu, kernels

    x = cupy.asarray(np.random.default_rng(0).standard_normal((33, 20)).astype("f4"))
    launched = []
    original = kernels.kernel
    module = import_module("autograd_gpu.backend.gpu.sums")
    module.kernel = lambda file, name: launched.append(name.split("<")[0]) or original(file, name)
    try:
        gpu.sum(x, axis=0), gpu.mean(x, axis=(1,)), gpu.sum_to(x, shape=(20,)), gpu.sum(x, axis=(0, 1), keepdims=True)
    finally:
        module.kernel = original
    assert launched == ["column_sums", "row_sums", "column_sums", "row_sums"]


def test_sums_of_rows_for_the_gradient_of_a_bias(cupy, sums):
    g = cupy.asarray(np.random.default_rng(0).standard_normal((33, 20)).astype("f2"))
    for a in (g, g.T, g[::2].T, cupy.broadcast_to(g[:1], (5, 20))):
        out = cupy.empty(a.shape[0], a.dtype)
        sums.sum_rows(a, out)
        np.testing.assert_allclose(out.get(), a.get().astype("f8").sum(1), 2e-3, 2e-3)


@pytest.mark.parametrize(
    ("shape", "axes"), [((16384, 1024), (0,)), ((1 << 24,), (0,)), ((64, 1 << 18), (1,)), ((1 << 20, 8), (0,))]
)
def test_large_sums_are_work_for_a_large_device(sums, shape, axes):
    """At least four blocks for each of 132 multiprocessors, and the launches after the first are small."""
    strides = [4]
    for n in shape[:0:-1]:
        strides.insert(0, strides[0] * n)
    first, *rest = sums._plan(shape, tuple(strides), axes, 4, 4)
    assert first.grid[0] >= 4 * 132 and rest
    assert first.written <= np.prod(shape) // 64
