"""Rows added at places that repeat: the words that do it, for runs of any length."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import autograd_gpu as ag

DTYPES = {name: np.dtype(name) for name in ("float32", "float64", "float16")} | {"bfloat16": np.dtype(ml_dtypes.bfloat16)}
TOLERANCE = {"float32": 5e-6, "float64": 1e-13, "float16": 2e-3, "bfloat16": 1.6e-2}


@pytest.fixture
def cupy(cuda_device):
    return pytest.importorskip("cupy")


def places_of(kind: str, n: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(2)
    if kind == "one":
        return np.full(n, count // 2)
    if kind == "few":
        return np.where(rng.random(n) < 0.9, 3, rng.integers(0, count, n))
    return rng.permutation(n) % count


@pytest.mark.parametrize("kind", ["one", "few", "all"])
@pytest.mark.parametrize(("n", "columns"), [(1500, 1), (700, 36), (33, 7), (16, 3), (1, 5)])
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_rows_are_added(cupy, dtype, n, columns, kind):
    from autograd_gpu.backend.gpu.runs import add_rows

    count = 11
    rng = np.random.default_rng(0)
    x, start = (rng.standard_normal((rows, columns)).astype(dtype) for rows in (n, count))
    places = places_of(kind, n, count)
    wanted = start.astype(np.float64)
    np.add.at(wanted, places, x.astype(np.float64))
    results = []
    for _ in range(2):
        out = cupy.asarray(start)
        add_rows(out, cupy.asarray(places), cupy.asarray(x))
        results.append(out.get())
    tolerance = TOLERANCE[dtype.name]
    np.testing.assert_allclose(results[0].astype(np.float64), wanted, tolerance, tolerance * 8)
    assert results[0].tobytes() == results[1].tobytes()


def test_no_thread_adds_up_more_than_a_chunk(cupy, monkeypatch):
    """Ten thousand rows for one place: each launch has as many chunks as its rows fill."""
    from autograd_gpu.backend.gpu import runs

    launched = []
    original = runs.kernel

    def spied(file, name):
        launch = original(file, name)
        return lambda *a: launched.append((int(a[8]), int(a[11]))) or launch(*a)

    monkeypatch.setattr(runs, "kernel", spied)
    x = cupy.ones((10000, 1), np.float32)
    out = cupy.zeros((4, 1), np.float32)
    runs.add_rows(out, cupy.full(10000, 2), x)
    assert out.get().ravel().tolist() == [0, 0, 10000, 0]
    assert launched == [(10000, 16), (1250, 32), (80, 32), (6, 32)]


def test_words_go_by_it(cupy, monkeypatch):
    from autograd_gpu.backend.gpu import embeddings, indexing

    calls = []
    for module in (embeddings, indexing):
        original = module.add_rows
        monkeypatch.setattr(module, "add_rows", lambda *a, original=original: calls.append(1) or original(*a))
    results = []
    for device in ("cuda", "cpu"):
        x = ag.arange(12.0, device=device).reshape(4, 3).requires_grad_()
        i = ag.tensor([1, 1, 3, 1, -1], device=device)
        y = x.index_add(0, i.remainder(4), ag.ones(5, 3, device=device))
        z = x.scatter_add(1, ag.tensor([[0, 0, 2]], device=device), ag.ones(1, 3, device=device))
        w = x[i]
        (y.sum() + z.sum() + (w * w).sum() + ag.nn.functional.embedding(i.remainder(4), x).sum()).backward()
        results.append([t.detach().cpu().array for t in (y, z, x.grad)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, 1e-6)
    assert len(calls) >= 4
