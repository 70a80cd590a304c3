"""Fused kernels against the rules they stand for, and the kernels that no op uses yet against NumPy: every dtype, odd shapes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import autograd_gpu  # noqa: F401  declares the ops
from autograd_gpu.backend import cpu, kernels
from autograd_gpu.core.graph import words

DTYPES = {name: np.dtype(name) for name in ("float32", "float64", "float16")} | {"bfloat16": np.dtype(ml_dtypes.bfloat16)}
TOLERANCE = {"float32": 4e-6, "float64": 1e-12, "float16": 2e-3, "bfloat16": 1.6e-2}
SHAPES = [(1003,), (3, 5), (1,), (), (2, 3, 33)]
OPTIONS = {
    "leaky_relu": {"negative_slope": 0.1},
    "elu": {"alpha": 1.5, "scale": 1.0, "input_scale": 1.0},
    "softplus": {"beta": 2.0, "threshold": 20.0},
}


# float16 under the checker: it takes the widest packs
@pytest.fixture(params=[pytest.param(d, marks=pytest.mark.checked_kernels) if d == "float16" else d for d in DTYPES])
def dtype(request):
    return DTYPES[request.param]


@pytest.fixture
def cupy(cuda_device):
    return pytest.importorskip("cupy")


@pytest.fixture
def fused(cupy):
    return import_module("autograd_gpu.backend.gpu.fusions")


def normal(shape: tuple[int, ...], dtype: np.dtype, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return np.asarray((np.random.default_rng(seed).standard_normal(shape) * scale).astype(dtype))


def wide(x: Any) -> Any:
    return x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype.kind in "fV" else x


def close(found: Any, wanted: Any, dtype: np.dtype) -> None:
    assert found.dtype == dtype
    tolerance = TOLERANCE[dtype.name]
    np.testing.assert_allclose(np.asarray(found.get(), np.float64), np.asarray(wanted, np.float64), tolerance, tolerance)


def backward_is_the_rule(cupy: Any, backward: Any, name: str, wanted: str, g: np.ndarray, have: dict[str, Any]) -> None:
    """Compare a fused backward with the rule for the input `wanted`, both given what the rule saves."""
    rule = getattr(words, name).op.rules[wanted]
    saved = {k: have[k] for k in rule.names}
    on_device = {k: cupy.asarray(v) if isinstance(v, np.ndarray) else v for k, v in saved.items()}
    found = backward(None, cupy.asarray(g), (wanted,), **on_device)
    (found,) = found
    close(found, rule.function(cpu, wide(g), **{k: wide(v) for k, v in saved.items()}), g.dtype)


# -- ops -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["relu", "leaky_relu", "tanh", "sigmoid", "silu", "gelu", "gelu_tanh", "elu", "softplus"]
)  # fmt: skip
def test_activations(cupy, fused, name, dtype):
    forward, backward = fused.FUSED[name]
    options = OPTIONS.get(name, {})
    for k, shape in enumerate(SHAPES):
        x = normal(shape, dtype, 4, k)
        out = forward(cupy.asarray(x), **options)
        close(out, getattr(cpu, name)(wide(x), **options), dtype)
        backward_is_the_rule(
            cupy, backward, name, "x", normal(shape, dtype, 1, 9), {"x": x, "out": np.asarray(out.get()), **options}
        )


def test_activations_at_the_ends(cupy, fused):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 100.0, -100.0, 3e38, -3e38], np.float32)
    for name in ("relu", "tanh", "sigmoid", "gelu", "softplus", "elu"):
        found = fused.FUSED[name][0](cupy.asarray(x), **OPTIONS.get(name, {})).get()
        np.testing.assert_allclose(found, getattr(cpu, name)(x, **OPTIONS.get(name, {})), 1e-6, 1e-30, err_msg=name)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmaxes(cupy, fused, name, dtype):
    forward, backward = fused.FUSED[name]
    for shape in ((37, 10), (3, 1500), (2, 3, 33), (5,)):
        x = normal(shape, dtype, 5)
        x.flat[0] = -np.inf
        out = forward(cupy.asarray(x), axis=(len(shape) - 1,))
        close(out, getattr(cpu, name)(wide(x), axis=-1), dtype)
        if name == "softmax":
            backward_is_the_rule(cupy, backward, name, "x", normal(shape, dtype, 1, 1), {"out": out.get(), "axis": -1})
    x = normal((9, 40), dtype)
    close(forward(cupy.asarray(x)[:, 3:20], axis=-1), getattr(cpu, name)(wide(x)[:, 3:20], axis=-1), dtype)
    out = forward(cupy.asarray(x), axis=-1)
    backward_is_the_rule(cupy, backward, name, "x", normal((9, 40), dtype, 1, 1), {"out": out.get(), "axis": -1})


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(37, 10), (5, 1100), (1, 1)])
def test_cross_entropy(cupy, fused, shape, reduction, dtype):
    forward, backward = fused.FUSED["cross_entropy"]
    x = normal(shape, dtype, 5)
    target = np.random.default_rng(1).integers(0, shape[1], shape[0])
    target[1::3] = -100
    wanted = words.cross_entropy.op.forward(cpu, wide(x), target, reduction=reduction)
    close(forward(cupy.asarray(x), cupy.asarray(target), reduction=reduction), wanted, dtype)
    have = {"input": x, "target": target, "ignore_index": -100, "reduction": reduction}
    backward_is_the_rule(cupy, backward, "cross_entropy", "input", normal(wanted.shape, dtype, 1, 2), have)


def test_cross_entropy_of_what_is_no_class(cupy, fused):
    x, target = cupy.ones((3, 4), "float32"), cupy.asarray([0, 4, -1])
    found = fused.FUSED["cross_entropy"][0](x, target, reduction="none").get()
    assert np.isnan(found).tolist() == [False, True, True]


def test_what_is_declined(cupy, fused):
    x = cupy.ones((4, 6), "float32")
    g = cupy.broadcast_to(cupy.ones((), "float32"), (4, 6))
    for forward in (fused.FUSED["relu"][0], lambda x: fused.FUSED["softmax"][0](x, axis=-1)):
        for given in (x.astype("int64"), cupy.ones((0, 6), "float32"), x.T, x[:, ::2]):
            assert forward(given) is NotImplemented
    assert fused.FUSED["softmax"][0](x, axis=0) is fused.FUSED["softmax"][0](x, axis=(0, 1)) is NotImplemented
    assert fused.FUSED["elu"][0](x, alpha=1.0, scale=2.0) is NotImplemented
    assert fused.FUSED["relu"][1](None, g, ("x",), out=x) is NotImplemented
    assert fused.FUSED["relu"][1](None, x.astype("float64"), ("x",), out=x) is NotImplemented
    assert fused.FUSED["cross_entropy"][0](x.reshape(2, 3, 4), cupy.zeros((2, 4), "int64")) is NotImplemented


# -- optimizers ------------------------------------------------------------------------------------------------------------

LENGTHS = [(3, 4), (5000,), (7,), (0,), (8192,)] + [(2,)] * 70  # more than one table holds, more than one chunk


def updated(cupy: Any, fused: Any, word: str, slots: int, options: dict, dtype: np.dtype) -> None:
    """Three steps here and on the CPU."""
    host = [normal(s, dtype, 1, k) for k, s in enumerate(LENGTHS)]
    device = [cupy.asarray(p) for p in host]
    device[0] = cupy.asarray(host[0].T.copy()).T  # of a layout that is updated as a copy
    n = sum(p.size for p in host)
    host_state, device_state = [np.zeros(n, dtype) for _ in range(slots)], [cupy.zeros(n, dtype) for _ in range(slots)]
    theirs, ours = cpu.Bucket(host, cpu.bucket_scratch(n, dtype)), fused.Bucket(device)
    for step in (1, 2, 3):
        grads = [normal(s, dtype, 1, 100 * step + k) for k, s in enumerate(LENGTHS)]
        getattr(cpu, word)(theirs, grads, *host_state, step=step, lr=0.01, **options)
        getattr(fused, word)(ours, [cupy.asarray(g) for g in grads], *device_state, step=step, lr=0.01, **options)
    for found, wanted in zip(device + device_state, host + host_state, strict=True):
        close(found, wanted, dtype)


@pytest.mark.parametrize(
    "options", [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled": True}, {"maximize": True}], ids=str
)
def test_adam(cupy, fused, options, dtype):
    for slots in (2, 3):
        updated(cupy, fused, "adam_", slots, {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8, **options}, dtype)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        {"momentum": 0.9, "dampening": 0.5, "maximize": True},
    ],
    ids=str,
)
def test_sgd(cupy, fused, options, dtype):
    updated(cupy, fused, "sgd_", 1 if options else 0, options, dtype)


def test_clip_by_norm(cupy, fused, dtype):
    arrays = [cupy.asarray(normal(s, dtype, 1, k)) for k, s in enumerate(LENGTHS)]
    before = [wide(a.get()) for a in arrays]
    norm = np.sqrt(sum((a * a).sum() for a in before))
    np.testing.assert_allclose(float(fused.clip_by_norm_(arrays, 3.0)), norm, 1e-5)
    for found, wanted in zip(arrays, before, strict=True):
        close(found, wanted * (3.0 / (norm + 1e-6)), dtype)
    assert fused.clip_by_norm_([cupy.ones(4, "float32")[::2]], 1.0) is NotImplemented


# -- kernels of ops to come ------------------------------------------------------------------------------------------------


def launch(file: str, name: str, n: int, *arguments: Any) -> None:
    kernels.kernel(file, name)(*kernels.elementwise(max(n, 1)), *arguments)


def c_names(dtype: np.dtype) -> tuple[str, str]:
    """The names of an element type and of the type it is computed in."""
    return kernels.C_NAME[dtype], kernels.C_NAME[kernels.computed(dtype)]


def test_embedding(cupy, dtype):
    """Rows taken; a number that is no row."""
    c, _ = c_names(dtype)
    table, index = normal((9, 6), dtype), np.array([3] * 11 + [0, 8, 8, 1, 5] + [2] * 4 + [0] * 3)
    n, columns = len(index), table.shape[1]
    y, bad = cupy.empty((n, columns), dtype), cupy.zeros(1, "int32")
    sizes = (np.int64(n), np.int64(9), np.int64(columns))
    launch("embedding.cu", f"gather_rows<{c}>", n * columns, cupy.asarray(table), cupy.asarray(index), y, *sizes, bad)
    assert y.get().tobytes() == table[index].tobytes() and not bad.get()[0]
    wrong = cupy.asarray(np.array([1, 9, -1]))
    launch("embedding.cu", f"gather_rows<{c}>", 18, cupy.asarray(table), wrong, y[:3], np.int64(3), *sizes[1:], bad)
    assert np.isnan(wide(y[1:3].get())).all() and bad.get()[0] == 1


def test_dropout(cupy, dtype):
    """The kept are those of the stream; the gradient's are the same."""
    from autograd_gpu.backend.random import kept

    dropout = import_module("autograd_gpu.backend.gpu").dropout
    for n, offset, p in ((1001, 0, 0.25), (1001, 14, 0.3), (3, 8, 1e-6), (40, 2, 1.0)):
        x, scale = normal((n,), dtype), 1 / (1 - p) if p < 1 else 0.0
        close(dropout(cupy.asarray(x), p=p, seed=7, offset=offset), np.where(kept(7, offset, n, p), wide(x) * scale, 0), dtype)


@pytest.mark.parametrize("window", [(3, 2, 2, 1, 1, 0, 1, 2), (2, 2, 2, 2, 0, 0, 1, 1), (5, 3, 1, 2, 2, 1, 1, 1)], ids=str)
def test_pools(cupy, torch, window, dtype):
    """(kernel, stride, padding, dilation) by (height, width), against PyTorch."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    c, _ = c_names(dtype)
    x = normal((2, 3, 11, 9), dtype)
    t = torch.tensor(wide(x), requires_grad=True)
    w = np.zeros((), kernels.struct("pool.cu", "Window"))

    def compare(wanted: Any, forward: str, backward: str, extra: tuple, which: Any) -> None:
        planes, (oh, ow) = np.int64(6), wanted.shape[2:]
        w[()] = (11, 9, oh, ow, *window)
        y, g, dx = cupy.empty(wanted.shape, dtype), normal(tuple(wanted.shape), dtype, 1, 1), cupy.empty(x.shape, dtype)
        kept = () if which is None else (cupy.empty(wanted.shape, which),)
        launch("pool.cu", forward, y.size, cupy.asarray(x), y, *kept, planes, w, *extra)
        launch("pool.cu", backward, dx.size, cupy.asarray(g), *kept, dx, planes, w, *extra)
        close(y, wanted.detach(), dtype)
        (wanted_dx,) = torch.autograd.grad(wanted, t, torch.tensor(wide(g)))
        close(dx, wanted_dx, dtype)

    for kind, which in (("byte_t", "uint8"), ("int", "int32")):
        wanted = torch.nn.functional.max_pool2d(t, (kh, kw), (sh, sw), (min(ph, kh // 2), pw), (dh, dw))
        compare(wanted, f"max_pool_forward<{c},{kind}>", f"max_pool_backward<{c},{kind}>", (), which)
    for ceil, counts, divisor in ((False, True, None), (True, False, None), (True, True, None), (False, True, 5)):
        wanted = torch.nn.functional.avg_pool2d(t, (kh, kw), (sh, sw), (ph, pw), ceil, counts, divisor)
        names = f"average_pool_forward<{c}>", f"average_pool_backward<{c}>"
        compare(wanted, *names, (np.int32(counts), np.int32(divisor or 0)), None)


@pytest.mark.parametrize(
    ("size", "queries", "keys", "causal", "masked"), [(24, 37, 45, 0, True), (64, 33, 33, 1, False), (100, 9, 20, 0, False)]
)
def test_attention(cupy, torch, size, queries, keys, causal, masked, dtype):
    """Forward and backward against PyTorch; q, k and v are views of (batch, sequence, heads, size)."""
    c, _ = c_names(dtype)
    batch, heads, d = 2, 2, next(d for d in (32, 64, 128) if d >= size)
    host = {"q": normal((batch, queries, heads, size), dtype), "k": normal((batch, keys, heads, size), dtype, 1, 1)}
    host["v"] = normal(host["k"].shape, dtype, 1, 2)
    mask = normal((1, heads, queries, keys), dtype, 1, 3) if masked else None
    if masked:
        mask[0, 1, 5] = -np.inf  # a query that sees nothing
    t = {name: torch.tensor(wide(x)).transpose(1, 2).requires_grad_() for name, x in host.items()}
    scores = t["q"] @ t["k"].transpose(2, 3) * size**-0.5 + (torch.tensor(wide(mask)) if masked else 0.0)
    if causal:
        scores = scores.masked_fill(torch.ones(queries, keys, dtype=torch.bool).triu(1), -torch.inf)
    blind = (scores == -torch.inf).all(-1, keepdim=True)
    wanted = (scores.masked_fill(blind, 0.0).softmax(-1) * ~blind) @ t["v"]
    g = normal((batch, heads, queries, size), dtype, 1, 4)

    def strides(*numbers: int) -> np.ndarray:
        return np.array(numbers, kernels.struct("attention.cu", "Strides"))

    number = kernels.computed(dtype)
    s = np.array((heads, queries, keys, size, causal), kernels.struct("attention.cu", "Sizes"))
    over = [strides(x.shape[1] * heads * size, size, heads * size, 1) for x in host.values()]
    over.append(strides(0, queries * keys, keys, 1))
    q, k, v = (cupy.asarray(x) for x in host.values())
    m = None if mask is None else cupy.asarray(mask)
    out, norm = cupy.empty(g.shape, dtype), cupy.empty(g.shape[:3], number)
    tile = min(128 // number.itemsize, 8192 // (d * number.itemsize))
    by_queries, by_keys = (batch * heads, -(-queries // tile)), (batch * heads, -(-keys // tile))
    scale = number.type(size**-0.5)
    kernels.kernel("attention.cu", f"attention_forward<{c},{d}>")(by_queries, (128,), q, k, v, m, out, norm, s, *over, scale)
    close(out, wanted.detach(), dtype)
    delta, g_device = cupy.empty_like(norm), cupy.asarray(g)
    launch("attention.cu", f"attention_delta<{c}>", norm.size * 32, g_device, out, delta, np.int64(norm.size), np.int32(size))
    given = (q, k, v, m, g_device, norm, delta)
    dq, dk, dv = (cupy.empty((batch, heads, n, size), dtype) for n in (queries, keys, keys))
    kernels.kernel("attention.cu", f"attention_backward_kv<{c},{d}>")(by_keys, (128,), *given, dk, dv, s, *over, scale)
    kernels.kernel("attention.cu", f"attention_backward_q<{c},{d}>")(by_queries, (128,), *given, dq, s, *over, scale)
    for found, x in zip((dq, dk, dv), torch.autograd.grad(wanted, list(t.values()), torch.tensor(wide(g))), strict=True):
        tolerance = 4 * TOLERANCE[dtype.name]
        np.testing.assert_allclose(wide(found.get()), x, tolerance, tolerance)
