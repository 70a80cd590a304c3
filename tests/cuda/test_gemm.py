"""Matrix products: what CuPy is asked for, and what cuBLASLt would be asked for, with a stand-in for the library."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.backend import epilogues, gemm
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


class Bindings:
    """What nvmath.bindings.cublasLt is, over the stand-in: pointers are ints, and what is made is returned."""

    class cuBLASLtError(Exception):  # noqa: N801 (nvmath's name)
        pass

    def __init__(self, library: Any):
        def function(name: str, letters: str) -> Any:
            found = getattr(gemm._Library(library), name)
            kinds = [int] * (len(letters) - letters.startswith("r"))

            def call(*arguments: Any) -> Any:
                assert [type(x) for x in arguments] == kinds, name
                try:
                    return found(*arguments)
                except gemm.CublasLtError as error:
                    raise self.cuBLASLtError(str(error)) from None

            return call

        for name, letters in gemm._SIGNATURES.items():
            setattr(self, name, function(name, letters))


@pytest.fixture(params=["CuPy", "cuBLASLt", "nvmath"])
def way(request: pytest.FixtureRequest, cupy: Any, monkeypatch: pytest.MonkeyPatch, cuda_mode: str) -> str:
    """By CuPy, or by cuBLASLt, with nvmath's bindings or without: on the emulated device, whose memory is the host's, by the
    stand-in."""
    gemm._products.cache_clear()
    if request.param == "CuPy":
        monkeypatch.setattr(gemm, "_load", lambda: None)
    elif cuda_mode == "emulated":
        loaded = request.getfixturevalue("library")
        loaded = Bindings(loaded) if request.param == "nvmath" else loaded
        monkeypatch.setattr(gemm, "_load", lambda: loaded)
    else:
        monkeypatch.setenv("AUTOGRAD_GPU_CUBLASLT", "1" if request.param == "nvmath" else "ctypes")
        if gemm._load() is None:
            pytest.skip("there is no libcublasLt")
    yield request.param
    gemm._products.cache_clear()


def expected(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    out = np.matmul(a.astype("f8"), b.astype("f8"))
    return out if bias is None else out + bias.astype("f8")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_products(way: str, cupy: Any, dtype: np.dtype):
    rng = np.random.default_rng(0)
    for name, (first, second, cut) in PRODUCTS.items():
        host = [rng.normal(size=shape).astype(dtype) for shape in (first, second)]
        device = [cupy.asarray(x) for x in host]
        a, b = cut(*device)
        for start in (None, 0, 1):  # where the bias begins: at 1 it is not aligned
            bias = on_device = None
            if start is not None:
                numbers = rng.normal(size=b.shape[-1] + 1).astype(dtype)
                bias, on_device = (x[start : start + b.shape[-1]] for x in (numbers, cupy.asarray(numbers)))
            got = gemm.multiply(a, b, bias=on_device)
            wanted = expected(*cut(*host), bias)
            assert got.dtype == dtype and got.shape == wanted.shape, name
            np.testing.assert_allclose(got.get().astype("f8"), wanted, rtol=CLOSE[dtype], atol=4 * CLOSE[dtype], err_msg=name)
    run = gemm._products(0)
    assert (run is not None and run.checked == {dtype: True}) == (way != "CuPy")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_sums_of_rows(way: str, cupy: Any, dtype: np.dtype):
    """What the gradient of a bias is: with the product, or beside it where the library has no such epilogue (float64)."""
    rng = np.random.default_rng(0)
    for name, (first, second, cut) in PRODUCTS.items():
        host = [rng.normal(size=shape).astype(dtype) for shape in (first, second)]
        if len(first) > 2 or len(second) > 2:
            continue
        a, b = cut(*map(cupy.asarray, host))
        sums = cupy.empty(len(a), dtype)
        got = gemm.multiply(a, b, row_sums=sums).get().astype("f8")
        wanted = [x.astype("f8") for x in cut(*host)]
        np.testing.assert_allclose(got, wanted[0] @ wanted[1], rtol=CLOSE[dtype], atol=4 * CLOSE[dtype], err_msg=name)
        np.testing.assert_allclose(sums.get().astype("f8"), wanted[0].sum(1), CLOSE[dtype], 4 * CLOSE[dtype], err_msg=name)
    assert gemm.sums_rows(a) == (way != "CuPy" and dtype != np.float64)


@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 4)], ids=str)
def test_linear_layers_get_the_gradient_of_the_bias_with_the_weights(
    way: str, request: pytest.FixtureRequest, cuda_mode: str, shape: tuple
):
    """One product in the place of a product and a sum, where there is cuBLASLt; the same gradients."""
    layer, rng = ag.nn.Linear(4, 5), np.random.default_rng(0)
    x, weights = (ag.tensor(rng.normal(size=s).astype("f4")) for s in (shape, (*shape[:-1], 5)))
    found = []
    stand_in = cuda_mode == "emulated" and way != "CuPy"
    count = request.getfixturevalue("library").products_with_epilogue if stand_in else None
    for device in ("cpu", "cuda"):
        model, leaf = layer.to(device), x.clone().to(device).requires_grad_()
        for _ in range(2):
            before = stand_in and count(512)
            model.zero_grad()
            leaf.grad = None
            (model(leaf) * weights.to(device)).sum().backward()
        if stand_in and device == "cuda":
            assert count(512) == before + 1 and count(4) > 0  # and the forward adds the bias
        found.append([t.cpu().numpy() for t in (leaf.grad, model.weight.grad, model.bias.grad)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, 1e-5, 1e-5)


def test_tf32_only_where_it_is_allowed(way: str, cupy: Any, request: pytest.FixtureRequest, cuda_mode: str):
    matmul = ag.backends.cuda.matmul
    a, b = (cupy.asarray(np.random.default_rng(k).normal(size=(16, 16)).astype("f4")) for k in (0, 1))
    exact = a.get().astype("f8") @ b.get().astype("f8")

    def error() -> float:
        return float(np.abs(gemm.multiply(a, b).get() - exact).max())

    assert not matmul.allow_tf32 and error() < 1e-5
    try:
        matmul.allow_tf32 = True
        assert ag.get_float32_matmul_precision() == "high"
        loose = error()
        if cuda_mode == "emulated" and way != "CuPy":
            assert 1e-4 < loose < 1e-1 and request.getfixturevalue("library").products_computed_in(77) > 0
        double = cupy.ones((3, 3))
        assert np.array_equal(gemm.multiply(double, double).get(), np.full((3, 3), 3.0))  # which has none
    finally:
        matmul.allow_tf32 = False
    assert error() < 1e-5


def test_nvmaths_functions_take_what_they_are_given():
    """The names and the numbers of arguments of the real bindings, where they are installed."""
    module = pytest.importorskip("nvmath.bindings.cublasLt", exc_type=ImportError)
    assert issubclass(module.cuBLASLtError, Exception)
    for name, letters in gemm._SIGNATURES.items():
        assert getattr(module, name).__code__.co_argcount == len(letters) - letters.startswith("r"), name
    attribute, epilogue = module.MatmulDescAttribute, module.Epilogue
    assert epilogue.BGRADB == gemm._ROW_SUMS and attribute.BIAS_POINTER == gemm._BIAS_POINTER
    assert (attribute.EPILOGUE_AUX_POINTER, attribute.EPILOGUE_AUX_LD) == (gemm._AUX_POINTER, gemm._AUX_LEAD)
    assert {"relu": epilogue.RELU_AUX, "gelu_tanh": epilogue.GELU_AUX} == epilogues._FORWARD
    assert {"relu": epilogue.DRELU, "gelu_tanh": epilogue.DGELU} == epilogues._BACKWARD
    assert epilogue.RELU_AUX_BIAS == epilogue.RELU_AUX + epilogues._BIAS == epilogue.RELU_BIAS + epilogues._AUX
    assert epilogue.DGELU_BGRAD == epilogue.DGELU + epilogues._SUMS


LAYERS = [("relu", 16, 8), ("relu", 5, 136), ("relu", 3, 7), ("gelu_tanh", 5, 24), ("gelu_tanh", 3, 7)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("activation", "m", "n"), LAYERS)
def test_a_layer_with_its_activation_and_the_way_back(
    way: str, cupy: Any, cuda_mode: str, dtype: np.dtype, activation: str, m: int, n: int
):
    """Operands cut out of larger ones and turned; with a bias and sums of columns, and without."""
    rng = np.random.default_rng(0)
    shapes = (m, 20), (n, 12), (n,), (m, 6), (6, n)
    host = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    a, b, bias, g, w = map(cupy.asarray, host)
    a, b, wide_a, wide_b = a[:, 4:16], b.T, host[0][:, 4:16].astype("f8"), host[1].T.astype("f8")
    close = {"rtol": CLOSE[dtype], "atol": 8 * CLOSE[dtype]}
    for with_bias in (True, False):
        before = wide_a @ wide_b + (host[2].astype("f8") if with_bias else 0)
        wanted, slope = epilogues._active(before, activation)
        for kept in (True, False):
            made = epilogues.forward(a, b, bias if with_bias else None, activation, kept)
            if cuda_mode == "emulated":  # the stand-in has none in double; and rows of gelu's input would have gaps
                refused = way == "CuPy" or dtype == np.float64 or (kept and activation == "gelu_tanh" and n % 8)
                assert (made is None) == bool(refused)
            if made is None:
                continue
            out, aux = made
            np.testing.assert_allclose(out.get().astype("f8"), wanted, **close)
            assert (aux is None) == (not kept)
        made = epilogues.forward(a, b, bias if with_bias else None, activation)
        if made is None:
            continue
        if activation == "relu":
            assert aux_bits(made[1].get(), n).tolist() == (made[0].get() > 0).tolist()
        else:
            np.testing.assert_allclose(made[1].get().astype("f8"), before, **close)
        back, sums = epilogues.backward(g, w, made[1], activation, with_bias)
        through = host[3].astype("f8") @ host[4].astype("f8") * slope
        np.testing.assert_allclose(back.get().astype("f8"), through, **close)
        assert (sums is None) == (not with_bias)
        if with_bias:
            np.testing.assert_allclose(sums.get().astype("f8"), through.sum(0), rtol=CLOSE[dtype], atol=8 * m * CLOSE[dtype])


def aux_bits(aux: np.ndarray, n: int) -> np.ndarray:
    return np.unpackbits(aux, axis=1, bitorder="little")[:, :n].astype(bool)


def test_layers_with_activations_go_by_epilogues(way: str, request: pytest.FixtureRequest, cuda_mode: str):
    """Each product of a network there and back, and which epilogue it has; the gradients are those of the CPU."""
    stand_in = cuda_mode == "emulated" and way != "CuPy"
    count = request.getfixturevalue("library").products_with_epilogue if stand_in else None
    rng = np.random.default_rng(0)
    for act, there, back in ((ag.nn.ReLU(), 134, 152), (ag.nn.GELU("tanh"), 164, 208), (ag.nn.GELU(), 0, 0)):
        model = ag.nn.Sequential(ag.nn.Linear(4, 16), act, ag.nn.Linear(16, 24), act, ag.nn.Linear(24, 3))
        for shape, frozen in (((6, 4), ()), ((2, 3, 4), ()), ((6, 4), (0, 1)), ((6, 4), (1, 3, 5)), ((6, 4), (2, 3, 4, 5))):
            for i, p in enumerate(model.parameters()):
                p.requires_grad_(i not in frozen)
            x, weights = (rng.normal(size=s).astype("f4") for s in (shape, (*shape[:-1], 3)))
            found = []
            for device in ("cpu", "cuda"):
                model = model.to(device)
                leaf = ag.tensor(x, device=device, requires_grad=True)
                for _ in range(2):  # the first time there are checks
                    before = [count(e) for e in (there, back, back - 16, 4, 512)] if stand_in and there else None
                    model.zero_grad()
                    leaf.grad = None
                    y = model(leaf)
                    (y * ag.tensor(weights, device=device)).sum().backward()
                if before and device == "cuda":
                    more = [count(e) - b for e, b in zip((there, back, back - 16, 4, 512), before, strict=True)]
                    sums = sum(i not in frozen for i in (1, 3))
                    last = int(4 not in frozen and 5 not in frozen)
                    assert more == [2, sums, 2 - sums, 1, last], (act, frozen)
                grads = [p.grad for p in model.parameters()]
                found.append([y.detach(), leaf.grad, *grads])
            for a, b in zip(*found, strict=True):
                assert (a is None) == (b is None)
                if a is not None:
                    np.testing.assert_allclose(b.cpu().numpy(), a.numpy(), 1e-4, 1e-5)
            with ag.no_grad():
                np.testing.assert_allclose(model(ag.tensor(x, device="cuda")).cpu().numpy(), found[0][0].numpy(), 1e-4, 1e-5)
            model = model.to("cpu")


def test_second_derivatives_of_layers_with_activations(way: str):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 4))
    for act in (ag.nn.ReLU(), ag.nn.GELU("tanh"), ag.nn.GELU()):
        model, found = ag.nn.Sequential(ag.nn.Linear(4, 16), act, ag.nn.Linear(16, 8), act, ag.nn.Linear(8, 3)), []
        for device in ("cpu", "cuda"):
            model, leaf = model.to(device), ag.tensor(x, dtype=ag.float32, device=device, requires_grad=True)
            (g,) = ag.autograd.grad((model(leaf) ** 2).sum(), leaf, create_graph=True)
            model.zero_grad()
            (g * g).sum().backward()
            found.append([g.detach(), leaf.grad, *[p.grad for p in model.parameters() if p.grad is not None]])
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(b.cpu().numpy(), a.numpy(), 1e-4, 1e-5)


def test_epilogues_that_err_are_not_used(library: Any, cupy: Any, monkeypatch: pytest.MonkeyPatch, cuda_mode: str):
    """A relu that makes 0 of NaN, and a slope that is another's: in silence, for other kernels do that."""
    if cuda_mode != "emulated":
        pytest.skip("the stand-in computes on the host")
    monkeypatch.setattr(gemm, "_load", lambda: library)
    a, b = cupy.ones((2, 3), "f"), cupy.ones((3, 8), "f")
    a[0, 0] = np.nan

    def product() -> Any:
        gemm._products.cache_clear()
        return epilogues.forward(a, b, None, "relu")

    try:
        assert np.isnan(product()[0].get()[0]).all() and epilogues.forward(a, b, None, "gelu_tanh") is not None
        library.drop_nan(1)
        assert product() is None
        layer = ag.nn.Sequential(ag.nn.Linear(3, 8), ag.nn.ReLU(), ag.nn.Linear(8, 2)).cuda()
        assert layer(ag.tensor(a)).isnan()[0].all()
        library.drop_nan(0)
        right = epilogues._active
        monkeypatch.setattr(epilogues, "_active", lambda *given: (right(*given)[0], right(*given)[1] + 1))
        assert product() is None and gemm.multiply(a, b).shape == (2, 8)
    finally:
        library.drop_nan(0)
        gemm._products.cache_clear()


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


def test_a_library_that_errs_is_not_used(library: Any, cupy: Any, monkeypatch: pytest.MonkeyPatch, cuda_mode: str):
    """Both one that refuses and one that gives wrong products: a warning, then CuPy's results."""
    if cuda_mode != "emulated":
        pytest.skip("the stand-in computes on the host")
    a, b = cupy.ones((2, 3), "f"), cupy.ones((3, 4), "f")
    monkeypatch.setattr(gemm, "_load", lambda: library)
    for name, value, message in (("_COMPUTE", {np.dtype("f"): 70}, "status 7"), ("_WITH_BIAS", 6, "is wrong")):
        gemm._products.cache_clear()
        with monkeypatch.context() as m:
            m.setattr(gemm, name, value)
            with pytest.warns(RuntimeWarning, match=message):
                first = gemm.multiply(a, b)
            assert np.array_equal(first.get(), np.full((2, 4), 3))
            assert np.array_equal(gemm.multiply(a, b).get(), np.full((2, 4), 3))  # in silence
    gemm._products.cache_clear()
