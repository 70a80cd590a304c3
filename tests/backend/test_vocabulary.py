"""The vocabulary on CUDA against the vocabulary on the CPU, word by word: names, keywords, values, dtypes, shapes."""

from __future__ import annotations

import inspect
import os
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from autograd_gpu import backend
from autograd_gpu.backend import Device, cpu, random, why_not

from ..emulated_cuda import installed
from .vocabulary_lines import BFLOAT16, DTYPES, LINES, Line, arrays

HELPERS = {"Any", "as_strided", "wide", "double", "lru_cache", "polynomial", "gemm"}
ULP = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 2e-6, np.dtype(np.float16): 2e-3, BFLOAT16: 1.6e-2}


@pytest.fixture(scope="module")
def gpu() -> Any:
    """The vocabulary on CUDA, real or emulated."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    return backend.vocabulary(Device("cuda"))


def words(module: Any) -> dict[str, Any]:
    """The words that a module speaks: its public functions, ufuncs and classes."""
    found = {n: f for n, f in vars(module).items() if callable(f) and not n.startswith("_") and n not in HELPERS}
    return {n: f for n, f in found.items() if not isinstance(f, types.ModuleType)}


def parameters(f: Any) -> list[tuple]:
    """The names of the parameters of a function, how they are given and what they are by default."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()]


def to(gpu: Any, args: list) -> list:
    """Arrays copied to the device."""
    return [gpu.from_host(a, Device("cuda")) if isinstance(a, np.ndarray) else a for a in args]


def called(f: Any, args: list, kw: dict) -> tuple[Any, type | None]:
    """(the result, None) or (None, the kind of error)."""
    try:
        with np.errstate(all="ignore"):
            return f(*args, **kw), None
    except (TypeError, ValueError, IndexError) as error:
        return None, type(error)


def same(ours: Any, theirs: Any, scale: float) -> None:
    """Assert that a result on CUDA is the CPU's."""
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b, scale)
        return
    theirs = np.asarray(theirs)
    host = ours.get()
    assert type(ours).__module__.startswith("cupy")
    assert (host.dtype, host.shape) == (theirs.dtype, theirs.shape)
    if theirs.dtype in ULP:
        tolerance = ULP[theirs.dtype] * scale
        a, b = host.astype(np.float64), theirs.astype(np.float64)
        np.testing.assert_allclose(a, b, tolerance, tolerance, equal_nan=True)
    else:
        np.testing.assert_array_equal(host, theirs)


# On an emulated device each dtype is a kernel to compile, half a second each. So there the others than the first are for the
# words below, one or more of each way in which words are written. AUTOGRAD_GPU_EVERY_DTYPE=1 runs all, as does a real device.
EVERY_DTYPE = {
    "add", "argmax", "argsort", "asarray", "astype", "clamp", "cumsum", "exp", "gelu", "index", "index_put", "linear",
    "logsumexp", "matmul", "mean", "nan_to_num", "pow", "remainder", "sign", "softmax", "sum", "unindex",
    "var", "where",
}  # fmt: skip
THOROUGH = not installed() or os.environ.get("AUTOGRAD_GPU_EVERY_DTYPE") == "1"


def cases() -> Iterator[Any]:
    """Each line with each of the dtypes to call it with."""
    for case in LINES:
        for letter in case.dtypes if THOROUGH or case.word in EVERY_DTYPE else case.dtypes[0]:
            yield pytest.param(case, letter, id=f"{case.word}-{'-'.join(str(a) for a in case.args)}-{letter}")


@pytest.mark.parametrize("case, letter", list(cases()))
def test_results_equal_the_cpus(gpu: Any, case: Line, letter: str) -> None:
    args = arrays(case.args, DTYPES[letter])
    theirs, refused = called(getattr(cpu, case.word), args, case.kw)
    ours, ours_refused = called(getattr(gpu, case.word), to(gpu, args), case.kw)
    assert bool(ours_refused) == bool(refused), f"CPU: {refused or 'a result'}, CUDA: {ours_refused or 'a result'}"
    if not refused:
        same(ours, theirs, case.scale)


def test_the_same_words_with_the_same_keywords(gpu: Any) -> None:
    theirs, ours = words(cpu), words(gpu)
    assert set(ours) == set(theirs)
    for name, f in theirs.items():
        if isinstance(f, types.FunctionType) and f.__module__.startswith("autograd_gpu"):
            assert parameters(ours[name]) == parameters(f), name
            assert ours[name].__doc__, name


# words that are no functions of arrays to arrays, and those that the tests below call
NOT_IN_LINES = {
    "adadelta_", "adagrad_", "adam_", "adamax_", "address", "approach_", "arange", "asgd_", "Bucket", "bucket_elements",
    "all_finite", "bucket_scratch", "clip_by_norm_", "copyto", "drop_denormals_", "guarded", "norm_of_all", "rescale_",
    "device_of", "empty", "from_host", "full", "lion_", "memory", "move", "nadam_", "ones", "orthogonalized", "radam_",
    "random_integers", "random_normal", "random_open_uniform", "random_permutation", "random_uniform", "rmsprop_", "rprop_",
    "sgd_", "to_host", "write_index", "write_slice", "zeros",
}  # fmt: skip


def test_each_word_has_a_line() -> None:
    assert set(words(cpu)) - NOT_IN_LINES == {case.word for case in LINES}


VIEWS = {
    "reshape", "transpose", "mT", "broadcast_to", "split", "unbind", "diagonal", "windows", "slice", "clone",
    "contiguous", "flip", "astype",
}  # fmt: skip


@pytest.mark.parametrize("word", sorted({case.word for case in LINES} - VIEWS))
def test_a_host_array_does_not_slip_in(gpu: Any, word: str) -> None:
    case = next(c for c in LINES if c.word == word)
    args = arrays(case.args, DTYPES[case.dtypes[0]])
    for k, a in enumerate(args):
        if isinstance(a, np.ndarray):
            mixed = to(gpu, args)
            mixed[k] = a
            out, refused = called(getattr(gpu, word), mixed, case.kw)
            assert refused is TypeError, f"argument {k} was taken from the host: {type(out)}"


@pytest.mark.parametrize("word", ["unindex", "untake_along", "index_put", "sum", "reduce_along", "cumsum", "softmax", "argsort"])
def test_results_repeat_bit_for_bit(gpu: Any, word: str) -> None:
    case = next(c for c in LINES if c.word == word)
    args = to(gpu, arrays(case.args, DTYPES["f"]))
    assert len({getattr(gpu, word)(*args, **case.kw).get().tobytes() for _ in range(3)}) == 1


def test_strided_arrays(gpu: Any) -> None:
    host = np.arange(60, dtype=np.float32).reshape(3, 5, 4)[::2, ::-1].transpose(2, 0, 1)
    x = gpu.from_host(np.arange(60, dtype=np.float32).reshape(3, 5, 4), Device("cuda"))[::2, ::-1].transpose(2, 0, 1)
    at = np.array([[[1], [0]]] * 4)
    for word, more, kw in (
        ("sum", (), {"axis": 1}), ("softmax", (), {"axis": 2}), ("argmax", (), {"axis": 0}), ("cumsum", (), {"axis": 2}),
        ("pick", (at,), {"axis": 2}), ("take_along", (at,), {"axis": 2}), ("index", (np.array([1, 0, 1]),), {"axes": (1,)}),
        ("tril", (), {}), ("argsort", (), {"axis": 1, "descending": True}), ("logcumsumexp", (), {"axis": 2}),
        ("argmode", (), {"axis": 2}), ("argcummax", (), {"axis": 2}), ("var", (), {"axis": (0, 1)}),
    ):  # fmt: skip
        same(getattr(gpu, word)(x, *to(gpu, list(more)), **kw), getattr(cpu, word)(host, *more, **kw), 8)


# -- making, copying, writing --------------------------------------------------------------------------------------------------


def test_making_arrays(gpu: Any) -> None:
    for dtype in (*DTYPES.values(), np.dtype(np.uint8)):
        same(gpu.zeros((2, 3), dtype), cpu.zeros((2, 3), dtype), 1)
        same(gpu.ones((2, 3), dtype), cpu.ones((2, 3), dtype), 1)
        same(gpu.full((3,), 1, dtype), cpu.full((3,), 1, dtype), 1)
        same(gpu.asarray(1, dtype), cpu.asarray(1, dtype), 1)
        if dtype.kind != "b":
            same(gpu.arange(1, 6, 2, dtype), cpu.arange(1, 6, 2, dtype), 1)
        assert gpu.empty((2,), dtype).dtype is dtype
    for number in (True, 3, 2.5, 1 + 2j):
        same(gpu.asarray(number), cpu.asarray(number), 1)
    with pytest.raises(TypeError):
        gpu.asarray(np.ones(3))


def test_copies_and_memory(gpu: Any) -> None:
    device = Device("cuda")
    x = gpu.from_host(np.arange(6, dtype=np.float32).reshape(2, 3), device)
    assert gpu.device_of(x) == Device("cuda", 0) and isinstance(gpu.to_host(x), np.ndarray)
    assert gpu.memory(x[1:].reshape(-1)[::2]) is x and gpu.memory(x) is x
    views = gpu.diagonal(x, offset=0, axis1=0, axis2=1), gpu.windows(x, axis=1, size=2, step=1)
    assert all(gpu.memory(v) is x for v in views)
    assert gpu.address(x[1:]) == gpu.address(x) + 12
    assert backend.move(x, device) is x and backend.move(x, Device("cuda:0")) is x
    assert isinstance(backend.move(x, backend.CPU), np.ndarray)
    gpu.copyto(x, gpu.zeros((3,), np.float32))
    gpu.write_slice(x, gpu.ones((2,), np.float32), spec=(Ellipsis, 0))
    gpu.write_index(x, gpu.asarray(5.0, np.float32), *to(gpu, [np.array([1]), np.array([2])]), axes=(0, 1))
    np.testing.assert_array_equal(x.get(), [[1, 0, 0], [1, 0, 5]])
    with pytest.raises(TypeError):
        gpu.copyto(x, np.zeros(3, np.float32))
    with pytest.raises(TypeError):
        gpu.write_slice(x, np.ones(2, np.float32), spec=(Ellipsis, 0))
    y = gpu.from_host(np.arange(6, dtype=np.float32).reshape(2, 3), device)
    gpu.write_index(y.T, gpu.full((2,), 9, np.float32), gpu.from_host(np.array([1]), device), axes=(0,))
    np.testing.assert_array_equal(y.get(), [[0, 9, 2], [3, 9, 5]])


# -- random numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [DTYPES[d] for d in "fhbd"], ids=str)
@pytest.mark.parametrize("offset, n", [(0, 21), (6, 14), (7, 1), (2**33 + 2, 5)])
def test_random_numbers_are_the_cpus(gpu: Any, dtype: np.dtype, offset: int, n: int) -> None:
    seed = 2**61 + 7
    if dtype.itemsize == 8:
        offset &= ~1
    for word in ("random_uniform", "random_open_uniform"):
        ours, theirs = getattr(gpu, word)(seed, offset, (n,), dtype).get(), getattr(cpu, word)(seed, offset, (n,), dtype)
        assert ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()
    ours, theirs = gpu.random_normal(seed, offset, (n,), dtype), cpu.random_normal(seed, offset, (n,), dtype)
    same(ours, theirs, 1)


@pytest.mark.parametrize("letter", "fd")
def test_normals_are_the_cpus_to_two_ulp(gpu: Any, letter: str) -> None:
    dtype = DTYPES[letter]
    ours, theirs = gpu.random_normal(123, 0, (120_001,), dtype).get(), cpu.random_normal(123, 0, (120_001,), dtype)
    apart = np.abs(ours.astype(np.longdouble) - theirs) / np.spacing(np.abs(theirs))
    assert apart.max() <= 2
    assert letter == "d" or apart.max() <= 1


def test_normals_are_what_the_formula_says() -> None:
    x, y = random.halves(5, 0, 100_000).reshape(-1, 2).T
    r, a = np.sqrt(-2 * np.log((x + 0.5) * 2.0**-32)), 2 * np.pi * 2.0**-32 * y
    exact = np.stack([r * np.cos(a), r * np.sin(a)], 1).ravel()
    found = cpu.random_normal(5, 0, (100_000,), DTYPES["f"])
    assert found.dtype == np.float32
    assert (np.abs(found - exact) <= np.spacing(np.abs(exact).astype(np.float32))).all()


def test_random_integers_are_the_cpus(gpu: Any) -> None:
    for n in (1, 10, 2**32 + 5, 2**64 - 3, 2**64):
        assert gpu.random_integers(5, 4, (3, 7), n).get().tobytes() == random.integers(5, 4, (3, 7), n).tobytes()
    same(gpu.random_permutation(5, 6, 37), cpu.random_permutation(5, 6, 37), 1)
    assert gpu.random_uniform(1, 0, (0, 3), DTYPES["f"]).shape == (0, 3)


# -- optimizers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", "fb")
@pytest.mark.parametrize(
    "word, slots, kw",
    [
        ("adam_", 2, {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1}),
        ("adam_", 3, {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1, "decoupled": True, "maximize": True}),
        ("sgd_", 0, {"weight_decay": 0.1, "maximize": True}),
        ("sgd_", 1, {"momentum": 0.9, "dampening": 0.5}),
        ("sgd_", 1, {"momentum": 0.9, "nesterov": True}),
        ("adamax_", 2, {"rate": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
        ("nadam_", 2, {"gradient_rate": 0.01, "momentum_rate": 0.1, "root": 0.5, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3}),
        ("radam_", 2, {"rate": 0.1, "adaptive": True, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "shrink": 0.9, "maximize": True}),
        ("radam_", 2, {"rate": 0.1, "adaptive": False, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "weight_decay": 0.1}),
        ("rmsprop_", 1, {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
        ("rmsprop_", 2, {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "momentum": 0.8, "maximize": True}),
        ("rmsprop_", 3, {"lr": 0.1, "alpha": 0.9, "eps": 0.1, "momentum": 0.8}),
        ("adagrad_", 1, {"rate": 0.1, "eps": 1e-3, "weight_decay": 0.1}),
        ("adadelta_", 2, {"lr": 0.5, "rho": 0.9, "eps": 1e-3, "maximize": True}),
        ("rprop_", 2, {"eta_minus": 0.5, "eta_plus": 1.2, "smallest": 0.01, "largest": 0.05}),
        ("asgd_", 1, {"eta": 0.1, "mu": 1.0, "shrink": 0.9, "weight_decay": 0.1}),
        ("asgd_", 1, {"eta": 0.1, "mu": 0.5, "shrink": 0.9, "maximize": True}),
        ("lion_", 1, {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "shrink": 0.9}),
    ],
)
def test_optimizer_steps_are_the_cpus(gpu: Any, letter: str, word: str, slots: int, kw: dict) -> None:
    dtype, rng, results = DTYPES[letter], np.random.default_rng(0), []
    values = [rng.normal(size=s).astype(dtype) for s in ((3, 4), (5,))]
    slopes = [[rng.normal(size=s).astype(dtype) for s in ((3, 4), (5,))] for _ in range(3)]
    for xp, device in ((cpu, backend.CPU), (gpu, Device("cuda"))):
        parameters = [xp.from_host(v.copy(), device) for v in values]
        bucket = xp.Bucket(parameters, xp.bucket_scratch(17, dtype))
        states = [xp.zeros((17,), dtype) for _ in range(slots)]
        for step, g in enumerate(slopes, 1):
            given = {"step": step, "lr": 0.05, **kw} if word in ("adam_", "sgd_") else kw
            getattr(xp, word)(bucket, [xp.from_host(a, device) for a in g], *states, **given)
        results.append([xp.to_host(a).astype(np.float64) for a in (*parameters, *states)])
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, 4 * ULP[dtype], 4 * ULP[dtype])


@pytest.mark.parametrize("letter", "fdbh")
def test_approach_is_the_cpus(gpu: Any, letter: str) -> None:
    dtype, rng, results = DTYPES[letter], np.random.default_rng(0), []
    means, arrays = ([rng.normal(size=s).astype(dtype) for s in ((3, 4), (5,), ())] for _ in range(2))
    for xp, device in ((cpu, backend.CPU), (gpu, Device("cuda"))):
        moved = [xp.from_host(m.copy(), device) for m in means]
        xp.approach_(moved, [xp.from_host(a, device) for a in arrays], 0.25)
        results.append([xp.to_host(m) for m in moved])
    for theirs, ours, m, a in zip(*results, means, arrays, strict=True):
        np.testing.assert_allclose(ours.astype(float), theirs.astype(float), 2 * ULP[dtype], 2 * ULP[dtype])
        np.testing.assert_allclose(theirs.astype(float), 0.75 * m.astype(float) + 0.25 * a.astype(float), 0, 4 * ULP[dtype])


@pytest.mark.parametrize("letter", "fdb")
def test_orthogonalized_is_the_cpus(gpu: Any, letter: str) -> None:
    """To the rounding of bfloat16, which a device computes it in unless it is float64."""
    for shape in ((6, 4), (4, 6), (5, 5)):
        x = np.random.default_rng(0).normal(size=shape).astype(DTYPES[letter])
        kw = {"coefficients": (2.0, -1.5, 0.5), "steps": 12, "eps": 1e-7}
        ours, theirs = gpu.orthogonalized(gpu.from_host(x, Device("cuda")), **kw), cpu.orthogonalized(x, **kw)
        gram = theirs @ theirs.T if shape[0] <= shape[1] else theirs.T @ theirs
        np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-5)
        found = gpu.to_host(ours).astype(np.float64)
        np.testing.assert_allclose(found, theirs, atol=1e-9 if letter == "d" else 0.03)
