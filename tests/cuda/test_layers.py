"""Normalization, dropout and embedding on CUDA against the CPU: values, gradients, second order, what runs a kernel of ours."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

import autograd_gpu as ag

pytest.importorskip("cupy")

F = ag.nn.functional
RNG = np.random.default_rng(0)


def norm(call, shape=(5, 6), w=(6,), b=(6,)):
    return call, {"x": shape, "w": w, "b": b}


CALLS = {
    "layer_norm": norm(lambda x, w, b: F.layer_norm(x, (6,), w, b)),
    "layer_norm 2d": norm(lambda x, w, b: F.layer_norm(x, (3, 70), w, b), (40, 3, 70), (3, 70), (3, 70)),
    "layer_norm bare": norm(lambda x, w, b: F.layer_norm(x, (300,)), (3, 300)),
    "rms_norm": norm(lambda x, w, b: F.rms_norm(x, (6,), w)),
    "group_norm": norm(lambda x, w, b: F.group_norm(x, 2, w, b), (3, 6, 5, 4)),
    "group_norm bare": norm(lambda x, w, b: F.group_norm(x, 3, None, None), (3, 6)),
    "group_norm bias": norm(lambda x, w, b: F.group_norm(x, 3, None, b), (3, 6)),
    "batch_norm": norm(lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), (4, 6, 3, 5)),
    "batch_norm flat": norm(lambda x, w, b: F.batch_norm(x, None, None, w, training=True), (9, 6)),
    "batch_norm turned": norm(lambda x, w, b: F.batch_norm(x.permute(0, 3, 1, 2), None, None, w, b, training=True), (4, 3, 5, 6)),
    "instance_norm": norm(lambda x, w, b: F.instance_norm(x, None, None, w, b), (4, 6, 9)),
    "dropout": norm(lambda x, w, b: F.dropout(x, 0.3), (7, 11)),
    "dropout2d": norm(lambda x, w, b: F.dropout2d(x, 0.5), (7, 11, 2, 2)),
    "alpha_dropout": norm(lambda x, w, b: F.alpha_dropout(x, 0.3, training=True), (7, 11)),
    "embedding": norm(lambda x, w, b: F.embedding(numbers(x, 90), w), (1,), (9, 6)),
    "embedding padded": norm(lambda x, w, b: F.embedding(numbers(x, 20), w, padding_idx=3), (1,), (9, 5)),
    "embedding by frequency": norm(lambda x, w, b: F.embedding(numbers(x, 20), w, scale_grad_by_freq=True), (1,), (9, 5)),
    "embedding renormalized": norm(lambda x, w, b: F.embedding(numbers(x, 4), w * 1.0, max_norm=1.0), (1,), (9, 5)),
    "bag": norm(lambda x, w, b: F.embedding_bag(numbers(x, 20).reshape(4, 5), w), (1,), (9, 5)),
    "bag of the largest": norm(
        lambda x, w, b: F.embedding_bag(numbers(x, 20), w, ag.tensor([0, 3, 3], device=x.device), mode="max"), (1,), (9, 5)
    ),
}
FUSED = {"layer_norm", "rms_norm", "group_norm", "batch_norm", "embedding", "scale_channels"}


def numbers(x, n):
    """Numbers of rows of nine, on the device of x."""
    return ag.tensor((np.arange(n) * 7 + np.arange(n) // 3) % 9, device=x.device)


def run(name, device, dtype):
    call, shapes = CALLS[name]
    ag.manual_seed(3)
    rng = np.random.default_rng(1)
    inputs = [ag.tensor(rng.standard_normal(s) + 1).to(dtype).to(device).requires_grad_() for s in shapes.values()]
    out = call(*inputs)
    g = ag.tensor(rng.standard_normal(tuple(out.shape))).to(dtype).to(device)
    out.backward(g)
    return [out.detach(), *(t.grad for t in inputs)]


@pytest.mark.parametrize("name", CALLS)
def test_as_on_the_cpu(name, cuda_device):
    for dtype in (ag.float32, *((ag.float16,) if name in ("layer_norm", "batch_norm", "dropout") else ())):
        limit = 1e-5 if dtype == ag.float32 else 4e-3
        for found, wanted in zip(run(name, "cuda", dtype), run(name, "cpu", dtype), strict=True):
            assert (found is None) == (wanted is None)
            if found is not None:
                assert found.dtype == wanted.dtype and found.device.type == "cuda"
                np.testing.assert_allclose(found.cpu().float().array, wanted.float().array, limit, limit * 4)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "group_norm", "batch_norm"])
def test_second_order(name, cuda_device):
    """The rule runs over Tensors where a fused backward would be a constant."""
    call, shapes = CALLS[name]
    found = []
    for device in ("cuda", "cpu"):
        rng = np.random.default_rng(1)
        inputs = [ag.tensor(rng.standard_normal(s), device=device, requires_grad=True) for s in shapes.values()]
        g = ag.tensor(rng.standard_normal(shapes["x"]), device=device)
        first = ag.autograd.grad(call(*inputs), inputs[:2], g, create_graph=True)
        second = ag.autograd.grad((first[0] ** 2).sum() + (first[1] ** 3).sum(), inputs[:2])
        found.append([t.detach().cpu().array for t in (*first, *second)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, 1e-7, 1e-7)


def test_running_statistics(cuda_device):
    states = []
    for device in ("cuda", "cpu"):
        m = ag.nn.BatchNorm2d(3, momentum=None, device=device)
        ag.manual_seed(0)
        for _ in range(3):
            m(ag.randn(4, 3, 2, 2, device=device))
        m.eval()
        states.append([*m.state_dict().values(), m(ag.ones(1, 3, 2, 2, device=device)).detach()])
    for a, b in zip(*states, strict=True):
        np.testing.assert_allclose(a.cpu().array, b.array, 1e-5, 1e-6)


@pytest.mark.parametrize("name", sorted(FUSED))
def test_kernels_are_used(name, cuda_device):
    """Neither forward nor backward declines what networks give them."""
    fused = import_module("autograd_gpu.backend.gpu.fusions").FUSED
    x, w, table = (ag.ones(s, device="cuda") for s in ((4, 6, 2), (6,), (6, 6)))
    arrays = {
        "layer_norm": (x.array.reshape(8, 6), w.array, w.array),
        "rms_norm": (x.array.reshape(8, 6), w.array),
        "group_norm": (x.array, w.array, w.array),
        "batch_norm": (x.array, w.array, w.array),
        "embedding": (table.array, ag.tensor([1, 1, 3], device="cuda").array),
        "scale_channels": (x.array, w.array, w.array),
    }[name]
    options = {"layer_norm": {"axes": (1,)}, "rms_norm": {"axes": (1,), "eps": 1e-5}, "group_norm": {"groups": 2}}
    options |= {"batch_norm": {"eps": 1e-5}}
    out = fused[name][0](*arrays, **options.get(name, {}))
    assert out is not NotImplemented
    if name == "batch_norm":
        g, kept = [out[0], out[1], out[2]], {"x": arrays[0], "mean": out[1], "var": out[2], "weight": arrays[1], "eps": 1e-5}
    elif name == "embedding":
        g, kept = out, {"index": arrays[1], "weight_shape": (6, 6)}
    elif name == "scale_channels":
        return
    else:
        g, kept = out[0], {"x": arrays[0], "weight": arrays[1], "weight_shape": (6,), "residue": out[1], **options[name]}
        if name == "group_norm":
            del kept["weight_shape"]
    needed = ("weight",) if name == "embedding" else ("x", "weight")
    grads = fused[name][1](None, g, needed, **kept)
    assert grads is not NotImplemented and len(grads) == len(needed)
