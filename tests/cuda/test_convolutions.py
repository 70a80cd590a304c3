"""Convolutions on CUDA without cuDNN: by the kernels of conv.cu and by products, values and gradients of any shape and dtype."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.backend import Device, cpu, cudnn, vocabulary
from autograd_gpu.backend.promotion import bfloat16

DIGITS = {"f4": 2e-6, "f8": 1e-13, "f2": 1e-3, bfloat16: 8e-3, "c8": 2e-6, "c16": 1e-13}


def line(x: tuple, weight: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int = 1) -> tuple:
    return x, weight, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


LINES = {
    "1d": line((2, 3, 19), (5, 3, 4), (2,), (3,), (2,)),
    "2d": line((3, 4, 9, 8), (6, 4, 3, 3), (1, 1), (1, 1), (1, 1)),
    "far padding": line((2, 2, 4, 5), (3, 2, 2, 3), (1, 1), (2, 1), (1, 1)),  # more than the kernel covers
    "strides": line((2, 2, 11, 10), (4, 2, 3, 2), (3, 2), (1, 0), (1, 2)),
    "groups": line((2, 6, 7, 6), (9, 2, 2, 3), (1, 2), (1, 1), (2, 1), 3),
    "depthwise": line((2, 10, 6, 6), (10, 1, 3, 3), (1, 1), (1, 1), (1, 1), 10),
    "points": line((2, 7, 5, 5), (40, 7, 1, 1), (1, 1), (0, 0), (1, 1)),
    "patches": line((2, 3, 8, 9), (70, 3, 4, 4), (4, 4), (0, 0), (1, 1)),
    "3d": line((2, 2, 4, 5, 6), (3, 2, 2, 3, 2), (1, 2, 1), (1, 0, 1), (1, 1, 2)),
    "long sum": line((1, 2, 60, 50), (3, 2, 1, 2), (1, 1), (0, 0), (1, 1)),  # in parts
}


@pytest.fixture
def conv(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the words, without cuDNN."""
    monkeypatch.setattr(cudnn, "_convolutions", lambda device: None)
    return import_module("autograd_gpu.backend.gpu.conv")


def always_products(conv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv, "_TENSOR", (0, 0))
    monkeypatch.setattr(conv, "_PLAIN", (0, 0))


def numbers(seed: int, shape: tuple, dtype: Any) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = rng.normal(size=shape)
    return (made + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else made).astype(dtype)


def arrays(of: tuple, dtype: Any) -> list[np.ndarray]:
    """x, weight, bias and the gradient of the output."""
    x, weight, options = of
    x, weight, bias = numbers(1, x, dtype), numbers(2, weight, dtype), numbers(3, weight[:1], dtype)
    shape = cpu.convolution(x.astype("f4"), weight.astype("f4"), **options).shape if x.dtype.kind != "c" else None
    shape = shape or cpu.convolution(x.real, weight.real, **options).shape
    return [x, weight, bias, numbers(4, shape, dtype)]


def results(xp: Any, x: Any, weight: Any, bias: Any, y: Any, options: dict) -> list[Any]:
    return [
        xp.convolution(x, weight, bias, **options),
        xp.convolution_input(y, weight, x[(0, slice(None), *[0] * (x.ndim - 2))], shape=x.shape, **options),
        xp.convolution_weight(y, x, shape=weight.shape, **options),
    ]


def same(ours: list[Any], theirs: list[np.ndarray], dtype: Any) -> None:
    for mine, wanted in zip(ours, theirs, strict=True):
        assert mine.dtype == np.dtype(dtype) and mine.shape == wanted.shape
        wide = "c16" if np.dtype(dtype).kind == "c" else "f8"
        found, wanted = mine.get().astype(wide), wanted.astype(wide)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=DIGITS[dtype] * (1 + np.abs(wanted).max(initial=0)))


OTHERS = [("groups", t) for t in DIGITS if t != "f4"] + [("long sum", "f2")]
WORDS = [(name, t, False) for name, t in [*((name, "f4") for name in LINES), *OTHERS]]
WORDS += [(name, "f4", True) for name in LINES] + [("groups", "f2", True), ("long sum", "f2", True)]


@pytest.mark.parametrize(("name", "dtype", "products"), WORDS, ids=str)
def test_words_are_the_cpus(name: str, dtype: Any, products: bool, conv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import cupy

    if products:
        always_products(conv, monkeypatch)
        monkeypatch.setattr(conv, "_BLOCK", 20000)  # several blocks
    options, given = LINES[name][2], arrays(LINES[name], dtype)
    wide = [a.astype("c16" if a.dtype.kind == "c" else "f8") for a in given]
    ours = results(vocabulary(Device("cuda")), *map(cupy.asarray, given), options)
    same(ours, results(cpu, *wide, options), dtype)


def test_half_precision_is_not_widened_for_one_product(conv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import cupy

    seen = []
    product = conv.product
    monkeypatch.setattr(conv, "product", lambda a, b: seen.append((a.dtype, b.dtype)) or product(a, b))
    always_products(conv, monkeypatch)
    given = arrays(LINES["2d"], "f2")
    results(vocabulary(Device("cuda")), *map(cupy.asarray, given), LINES["2d"][2])
    assert len(seen) == 3 and {t for pair in seen for t in pair} == {np.dtype("f2")}


def test_arrays_that_are_not_dense(conv: Any) -> None:
    import cupy

    given = arrays(LINES["groups"], "f4")
    last = [cupy.moveaxis(cupy.asarray(np.ascontiguousarray(np.moveaxis(a, 1, -1))), -1, 1) for a in (given[0], given[3])]
    flipped = cupy.asarray(given[1][::-1].copy())[::-1]
    ours = results(vocabulary(Device("cuda")), last[0], flipped, cupy.asarray(given[2]), last[1], LINES["groups"][2])
    same(ours, results(cpu, *given, LINES["groups"][2]), "f4")


def test_each_is_one_launch_and_sums_repeat(conv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import cupy

    modules, launched = [import_module(f"autograd_gpu.backend.gpu.{name}") for name in ("conv_kernels", "sums")], []
    kernel = modules[0].kernel

    def logged(file: str, name: str) -> Any:
        launch = kernel(file, name)
        return lambda grid, *rest: launched.append(name.partition("<")[0]) or launch(grid, *rest)

    for module in modules:
        monkeypatch.setattr(module, "kernel", logged)
    options, given = LINES["2d"][2], [*map(cupy.asarray, arrays(LINES["2d"], "f4"))]
    once = results(vocabulary(Device("cuda")), *given, options)
    assert launched == ["conv_gather", "conv_gather", "conv_weight", "column_sums"]
    for a, b in zip(once, results(vocabulary(Device("cuda")), *given, options), strict=True):
        np.testing.assert_array_equal(a.get(), b.get())
    # the grid is the number of tiles; with fewer blocks, each goes over several
    for module in modules:
        monkeypatch.setattr(module, "kernel", lambda file, name: lambda grid, *rest: kernel(file, name)((1,), *rest))
    for a, b in zip(once, results(vocabulary(Device("cuda")), *given, options), strict=True):
        np.testing.assert_array_equal(a.get(), b.get())


@pytest.mark.parametrize("products", [False, True], ids=["kernels", "products"])
@pytest.mark.parametrize("name", ["2d", "long sum", "1d"])
def test_gradients_of_all_three(name: str, products: bool, conv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backward of an input, a weight and a bias together, and of each by itself."""
    if products:
        always_products(conv, monkeypatch)
    *given, g = arrays(LINES[name], "f8")
    options, d = LINES[name][2], given[0].ndim - 2
    for wanted in ((0, 1, 2), (1, 2), (2,), (0, 2), (1,)):
        found = []
        for device in ("cpu", "cuda"):
            leaves = [ag.tensor(a, device=device, requires_grad=i in wanted) for i, a in enumerate(given)]
            out = getattr(ag, f"conv{d}d")(*leaves, **options)
            out.backward(ag.tensor(g, device=device))
            found.append([t.grad.cpu().numpy() for i, t in enumerate(leaves) if i in wanted])
        for theirs, ours in zip(*found, strict=True):
            np.testing.assert_allclose(ours, theirs, 1e-10, 1e-10)


def test_nothing_and_infinity(conv: Any) -> None:
    import cupy

    xp, options = vocabulary(Device("cuda")), LINES["2d"][2]
    weight, bias = cupy.ones((6, 4, 3, 3), "f4"), cupy.arange(6, dtype="f4")
    empty, none = cupy.ones((0, 4, 9, 8), "f4"), cupy.ones((0, 6, 9, 8), "f4")
    assert xp.convolution(empty, weight, bias, **options).shape == none.shape
    assert xp.convolution_input(none, weight, None, shape=empty.shape, **options).shape == empty.shape
    assert not xp.convolution_weight(none, empty, shape=weight.shape, **options).any()
    x = np.ones((1, 4, 9, 8), "f4")
    x[0, 1, 4, 4], x[0, 2, 0, 0] = np.nan, np.inf
    theirs = cpu.convolution(x, weight.get(), bias.get(), **options)
    np.testing.assert_array_equal(xp.convolution(cupy.asarray(x), weight, bias, **options).get(), theirs)
    y = np.ones((1, 6, 9, 8), "f4")
    y[0, 1, 4, 4], y[0, 2, 0, 0] = np.nan, -np.inf
    theirs = cpu.convolution_input(y, weight.get(), None, shape=x.shape, **options)
    np.testing.assert_array_equal(xp.convolution_input(cupy.asarray(y), weight, None, shape=x.shape, **options).get(), theirs)


def test_which_work_is_for_products(conv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large layer of many filters by products, in half precision sooner; no gradient of an input through a stride."""

    class Made:
        def __init__(self, dtype: str, size: int):
            self.dtype, self.itemsize, self.size = np.dtype(dtype), np.dtype(dtype).itemsize, size

    def pays(what: str, dtype: str, size: int, weight: tuple, stride: int = 1, padding: int = 1, groups: int = 1) -> bool:
        return conv._products_pay(what, Made(dtype, size), weight, (stride,) * 2, (padding,) * 2, (1, 1), groups)

    many, some, few = 1 << 24, 1 << 21, 1 << 10
    for what in ("output", "input", "weight"):
        assert pays(what, "f4", many, (256, 256, 3, 3)) and not pays(what, "f4", many, (64, 64, 3, 3))
        assert pays(what, "f2", some, (64, 64, 3, 3)) and not pays(what, "f4", some, (64, 64, 3, 3))
        assert not pays(what, "f2", few, (64, 64, 3, 3)) and not pays(what, "f2", 1 << 30, (64, 1, 3, 3), groups=64)
    assert pays("output", "f2", some, (64, 64, 3, 3), stride=2) and not pays("input", "f2", some, (64, 64, 3, 3), stride=2)
    assert not pays("input", "f2", some, (64, 64, 3, 3), padding=3)
    monkeypatch.setattr(conv.gemm, "allow_tf32", [True])
    assert pays("output", "f4", some, (64, 64, 3, 3))
