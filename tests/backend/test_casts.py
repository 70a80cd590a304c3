"""Casts and copies of rows by cast.cu: which arrays they take, and that the words go by them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import ml_dtypes
import numpy as np
import pytest

DTYPES = {name: np.dtype(name) for name in ("float32", "float64", "float16")} | {"bfloat16": np.dtype(ml_dtypes.bfloat16)}


@pytest.fixture
def cupy(cuda_device):
    return pytest.importorskip("cupy")


def numbers(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    x.flat[:4] = [np.nan, np.inf, -np.inf, -0.0]
    return x


CUTS: list[Any] = [
    lambda x: x,
    lambda x: x.reshape(-1)[1:],
    lambda x: x[:, :, 8:24],
    lambda x: x[:, :, 1:12],
    lambda x: x[:, 2:3, 4:8],
    lambda x: x[1, ::2, :16],
]
NOT_TAKEN: list[Any] = [lambda x: x[:, 1:3], lambda x: x[:, :, ::2], lambda x: x.T, lambda x: x[::-1], lambda x: x[:0]]


@pytest.mark.parametrize("of", DTYPES.values(), ids=str)
@pytest.mark.parametrize("to", DTYPES.values(), ids=str)
def test_copies_are_numpys(cupy, of, to):
    casts = import_module("autograd_gpu.backend.gpu.casts")
    x = numbers((5, 6, 32), of)
    for cut in CUTS:
        found = casts.copied(cut(cupy.asarray(x)), to)
        if found is None:
            assert of == to and cut(x).flags.c_contiguous  # a plain copy is as good
            continue
        assert found.flags.c_contiguous and found.dtype == to
        np.testing.assert_array_equal(found.get().astype("f8"), cut(x).astype(to).astype("f8"))
        assert (np.signbit(found.get().astype("f8")) == np.signbit(cut(x).astype("f8"))).all()


@pytest.mark.parametrize("to", ["float32", "float16"])
def test_the_rest_is_copied_all_the_same(cupy, to):
    gpu, casts = (import_module(f"autograd_gpu.backend.gpu{name}") for name in ("", ".casts"))
    x = numbers((4, 6, 8), np.dtype("f4"))
    for cut in NOT_TAKEN:
        on_device = cut(cupy.asarray(x))
        assert casts.copied(on_device, np.dtype(to)) is None
        np.testing.assert_array_equal(gpu.astype(on_device, dtype=np.dtype(to)).get(), cut(x).astype(to))
        np.testing.assert_array_equal(gpu.contiguous(on_device).get(), cut(x))
    assert gpu.astype(cupy.arange(3), dtype=np.dtype("f4")).get().tolist() == [0, 1, 2]


def test_words_go_by_the_kernels(cupy, monkeypatch):
    gpu, casts = (import_module(f"autograd_gpu.backend.gpu{name}") for name in ("", ".casts"))
    launched, original = [], casts.kernel
    monkeypatch.setattr(casts, "kernel", lambda file, name: launched.append(name) or original(file, name))
    x = cupy.asarray(numbers((3, 8), np.dtype("f4")))
    (
        gpu.astype(x, dtype=DTYPES["bfloat16"]),
        gpu.contiguous(x[:, 2:]),
        gpu.astype(x[:, 2:], dtype=DTYPES["float64"]),
        gpu.contiguous(x),
    )
    assert launched == ["cast<float,bfloat_t>", "cast_rows<float,float>", "cast_rows<float,double>"]
