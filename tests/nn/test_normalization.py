"""Normalization: modules against PyTorch's, running statistics, layouts, numbers far from zero, what is saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.core.graph import words
from autograd_gpu.core.tensor import Tensor

from ..ops.test_saved_bytes import saved_bytes

F = ag.nn.functional
RNG = np.random.default_rng(0)

# name, arguments, keywords, shape of the input
MODULES: list[tuple[str, tuple, dict[str, Any], tuple[int, ...]]] = [
    ("LayerNorm", (6,), {}, (4, 3, 6)),
    ("LayerNorm", ([3, 6],), {"eps": 0.1}, (4, 3, 6)),
    ("LayerNorm", (6,), {"bias": False}, (4, 6)),
    ("LayerNorm", (6,), {"elementwise_affine": False}, (4, 6)),
    ("RMSNorm", (6,), {}, (4, 6)),
    ("RMSNorm", ((3, 6),), {"eps": 0.1, "elementwise_affine": False}, (4, 3, 6)),
    ("BatchNorm1d", (3,), {}, (5, 3)),
    ("BatchNorm1d", (3,), {"momentum": None}, (5, 3, 4)),
    ("BatchNorm2d", (3,), {"momentum": 0.3, "eps": 0.1}, (2, 3, 4, 5)),
    ("BatchNorm2d", (3,), {"affine": False}, (2, 3, 4, 5)),
    ("BatchNorm2d", (3,), {"track_running_stats": False, "bias": False}, (2, 3, 9, 9)),
    ("BatchNorm3d", (3,), {}, (2, 3, 2, 3, 2)),
    ("GroupNorm", (2, 6), {}, (3, 6, 4, 4)),
    ("GroupNorm", (3, 6), {"affine": False}, (3, 6)),
    ("InstanceNorm1d", (3,), {}, (2, 3, 5)),
    ("InstanceNorm1d", (3,), {"affine": True}, (3, 5)),
    ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True}, (2, 3, 4, 5)),
    ("InstanceNorm3d", (3,), {"track_running_stats": True, "momentum": 0.3}, (2, 3, 2, 3, 2)),
    ("LocalResponseNorm", (3,), {"alpha": 0.5}, (2, 5, 3, 3)),
]


def pair(torch: Any, name: str, args: tuple, options: dict) -> tuple[Any, Any]:
    """Our module and PyTorch's, with the same parameters, drawn at random."""
    theirs = getattr(torch.nn, name)(*args, **options)
    with torch.no_grad():
        for p in theirs.parameters():
            p.uniform_(0.5, 1.5)
    ours = getattr(ag.nn, name)(*args, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: ag.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize(("name", "args", "options", "shape"), MODULES, ids=lambda x: str(x))
def test_modules(torch, name, args, options, shape):
    ours, theirs = pair(torch, name, args, options)
    assert repr(ours) == repr(theirs)
    for step in range(4):
        if step == 3:
            ours.eval()
            theirs.eval()
        x, g = RNG.standard_normal((2, *shape)).astype(np.float32) * 2 + 1
        a, b = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = ours(a), theirs(b)
        np.testing.assert_allclose(y.detach().array, z.detach(), 1e-5, 1e-5)
        y.backward(ag.tensor(g))
        z.backward(torch.tensor(g))
        np.testing.assert_allclose(a.grad.array, b.grad, 1e-4, 1e-5)
    for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.array, q.grad, 1e-4, 1e-4, err_msg=key)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].array, value, 1e-5, 1e-6, err_msg=key)
    theirs.load_state_dict({k: torch.tensor(v.array) for k, v in ours.state_dict().items()})


def test_reset():
    m = ag.nn.BatchNorm1d(2)
    m(ag.randn(5, 2))
    m.weight.detach().array[...] = 7
    m.reset_parameters()
    assert [v.tolist() for v in m.state_dict().values()] == [[1, 1], [0, 0], [0, 0], [1, 1], 0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ag.nn.BatchNorm1d(3)(ag.ones(2, 3, 4, 4)), ValueError, r"expected 2D or 3D input \(got 4D input\)"),
        (lambda: ag.nn.BatchNorm2d(3)(ag.ones(2, 3)), ValueError, r"expected 4D input \(got 2D input\)"),
        (lambda: ag.nn.BatchNorm1d(3)(ag.ones(2, 4)), RuntimeError, r"running_mean should contain 4 elements not 3"),
        (lambda: ag.nn.BatchNorm1d(3)(ag.ones(1, 3)), ValueError, r"more than 1 value per channel when training, .*\[1, 3\]"),
        (lambda: ag.nn.InstanceNorm1d(3)(ag.ones(2, 3, 1)), ValueError, "more than 1 spatial element when training"),
        (lambda: ag.nn.InstanceNorm1d(3, affine=True)(ag.ones(2, 4, 5)), ValueError, r"to match num_features \(3\)"),
        (lambda: ag.nn.GroupNorm(2, 5), ValueError, r"num_channels \(5\) must be divisible by num_groups \(2\)"),
        (lambda: F.instance_norm(ag.ones(2, 3)), ValueError, r"more than 1 spatial element when training, .*\[2, 3\]"),
        (lambda: F.group_norm(ag.ones(1, 3), 3), ValueError, r"more than 1 value per channel when training, .*\[1, 3\]"),
        (lambda: F.group_norm(ag.ones(2, 5), 2), RuntimeError, r"divisible by num_groups, but got input of shape \[2, 5\]"),
        (lambda: ag.nn.LayerNorm(3)(ag.ones(2, 4)), RuntimeError, r"expected input with shape \[\*, 3\], but got .*\[2, 4\]"),
        (lambda: F.layer_norm(ag.ones(2, 3), (3,), ag.ones(2)), RuntimeError, "Expected weight to be of same shape"),
        (lambda: F.layer_norm(ag.ones(2, 3), ()), RuntimeError, "at least 1-dimensional"),
        (lambda: F.layer_norm(ag.ones(2, 3), (3,), ag.ones(3).double()), RuntimeError, "expected scalar type float32"),
        (lambda: F.layer_norm(ag.ones(2, 3, dtype=ag.int64), (3,)), NotImplementedError, "int64"),
        (lambda: F.batch_norm(ag.ones(2, 3), None, None), RuntimeError, "to be defined when training=False"),
        (lambda: F.local_response_norm(ag.ones(2, 3), 2), ValueError, "Expected 3D or higher"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


# -- layouts -----------------------------------------------------------------------------------------------------------------

NORMS = {
    "batch": lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
    "running": lambda x, w, b: F.batch_norm(x, ag.ones(4), ag.ones(4), w, b),
    "group": lambda x, w, b: F.group_norm(x, 2, w, b),
    "instance": lambda x, w, b: F.instance_norm(x, None, None, w, b),
}


def nearest(x: np.ndarray) -> np.ndarray:
    """The same numbers with channels as neighbours in memory."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)).transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


@pytest.mark.parametrize("shape", [(3, 4, 5, 7), (2, 4, 40, 41), (70, 4, 3, 3), (2, 4, 1, 1), (3, 4, 300)], ids=str)
@pytest.mark.parametrize("name", NORMS)
def test_layouts(name, shape):
    """Channels as neighbours in memory, or images of which every other column is left out: the same results, and in the first
    case the same layout. What is in blocks is not the first dimension alone."""
    if name == "instance" and shape[2:] == (1, 1):
        return
    x, g = RNG.standard_normal((2, *shape))
    results = []
    for change in (np.ascontiguousarray, nearest, lambda a: np.repeat(a, 2, -1)[..., ::2]):
        for change_g in (np.ascontiguousarray, nearest):
            t, w, b = (Tensor(a).requires_grad_() for a in (change(x), np.linspace(0.5, 2, 4), np.linspace(-1, 1, 4)))
            if name == "running":
                t = Tensor(t.array.astype("float32")).requires_grad_()
                w, b = (Tensor(v.array.astype("float32")).requires_grad_() for v in (w, b))
            out = NORMS[name](t, w, b)
            if change is nearest:
                assert out.array.strides == t.array.strides
            out.backward(Tensor(change_g(g).astype(out.dtype)))
            results.append([out.array, t.grad.array, w.grad.array, b.grad.array])
    with np.errstate(all="raise"):
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_allclose(a, b, *((2e-4, 2e-4) if name == "running" else (1e-9, 1e-9)))


# -- numbers -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["layer", "rms", *NORMS])
@pytest.mark.parametrize("centre", [0.0, 5.0, 1000.0, 1e5])
def test_far_from_zero(name, centre):
    """float32 with a mean of many deviations, against the composition in float64."""
    shape, scale = (6, 4, 33), 0.5
    x = (RNG.standard_normal(shape) * scale + centre).astype(np.float32)
    g = RNG.standard_normal(shape).astype(np.float32)
    norms = {
        "layer": lambda x, w, b: F.layer_norm(x.transpose(1, 2), (4,), w, b).transpose(1, 2),
        "rms": lambda x, w, b: F.rms_norm(x.transpose(1, 2), (4,), w, 1e-5).transpose(1, 2) + b.reshape(4, 1),
        **NORMS,
        "running": lambda x, w, b: F.batch_norm(x, ag.full((4,), centre, dtype=x.dtype), ag.ones(4, dtype=x.dtype), w, b),
    }
    results = []
    for dtype in ("float32", "float64"):
        arrays = (x, np.linspace(0.5, 2, 4), np.linspace(-1, 1, 4))
        t, w, b = (Tensor(a.astype(dtype)).requires_grad_() for a in arrays)
        out = norms[name](t, w, b)
        out.backward(Tensor(g.astype(dtype)))
        results.append([out.array, t.grad.array, w.grad.array, b.grad.array])
    for k, (a, b) in enumerate(zip(*results, strict=True)):
        if name == "running" and k in (0, 2) and centre > 1000:
            continue  # x * scale + shift, as in PyTorch
        limit = 1e-3 if name == "running" and centre >= 1000 else 3e-5
        np.testing.assert_allclose(a, b, limit, limit * max(1.0, float(np.abs(b).max())), err_msg=f"{name} {k}")


@pytest.mark.parametrize("given", ["", "weight", "bias", "weight bias"])
def test_many_rows(torch, given):
    """More than are worked on at a time."""
    x, g = RNG.standard_normal((2, 1500, 190)).astype(np.float32)
    p = {name: RNG.uniform(0.5, 1.5, 190).astype(np.float32) for name in given.split()}
    a, b = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours = {k: ag.tensor(v, requires_grad=True) for k, v in p.items()}
    theirs = {k: torch.tensor(v, requires_grad=True) for k, v in p.items()}
    y, z = F.layer_norm(a, (190,), **ours), torch.nn.functional.layer_norm(b, (190,), **theirs)
    np.testing.assert_allclose(y.detach().array, z.detach(), 1e-5, 1e-5)
    y.backward(ag.tensor(g))
    z.backward(torch.tensor(g))
    np.testing.assert_allclose(a.grad.array, b.grad, 1e-4, 1e-5)
    for k in p:
        np.testing.assert_allclose(ours[k].grad.array, theirs[k].grad, 1e-4, 2e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["layer", "rms", *NORMS])
def test_half_precision(name, dtype):
    """Computed in float32 and rounded at the end; weights may be float32 too."""
    x, g = RNG.standard_normal((2, 3, 4, 50)).astype(np.float32) * 3
    norms = {"layer": lambda x, w, b: F.layer_norm(x, (50,)), "rms": lambda x, w, b: F.rms_norm(x, (50,)), **NORMS}
    w, b = ag.linspace(0.5, 2, 4), ag.linspace(-1, 1, 4)
    for of_weights in (dtype, "float32"):
        t = ag.tensor(x).to(getattr(ag, dtype)).requires_grad_()
        v, c = (p.to(getattr(ag, of_weights)).requires_grad_() for p in (w, b))
        if name == "running" and of_weights == dtype:
            continue
        out = norms[name](t, v, c)
        wide = t.detach().float().requires_grad_()
        v2, c2 = (p.detach().float().requires_grad_() for p in (v, c))
        expected = norms[name](wide, v2, c2)
        assert out.dtype == t.dtype
        limit = 2e-3 if dtype == "float16" else 1.6e-2
        np.testing.assert_allclose(out.detach().float().array, expected.detach().array, limit, limit)
        out.backward(ag.tensor(g).to(getattr(ag, dtype)))
        expected.backward(ag.tensor(g).to(getattr(ag, dtype)).float())
        assert t.grad.dtype == t.dtype
        np.testing.assert_allclose(t.grad.float().array, wide.grad.array, limit, limit * 3)
        if v.grad is not None:
            assert v.grad.dtype == v.dtype
            np.testing.assert_allclose(v.grad.float().array, v2.grad.array, limit, limit * 30)


@pytest.mark.parametrize("name", ["layer", *NORMS])
def test_a_bias_alone_is_trained(name):
    """All other inputs are constants: nothing but the bias gets a gradient."""
    norms = {"layer": lambda x, w, b: F.layer_norm(x.transpose(1, 2), (4,), w, b), **NORMS}
    bias = ag.zeros(4, requires_grad=True)
    norms[name](ag.randn(3, 4, 5), ag.ones(4), bias).sum().backward()
    assert bias.grad.tolist() == [15.0] * 4


def test_rows_of_one_number_and_not_numbers():
    assert F.layer_norm(ag.full((2, 3), 7.0), (3,)).tolist() == [[0, 0, 0]] * 2
    assert F.batch_norm(ag.full((4, 2), 7.0), None, None, training=True).tolist() == [[0, 0]] * 4
    x = ag.ones(3, 4)
    x[1, 2] = float("nan")
    assert np.isnan(F.layer_norm(x, (4,)).array).all(1).tolist() == [False, True, False]
    assert np.isnan(F.batch_norm(x, None, None, training=True).array).all(0).tolist() == [False, False, True, False]


# -- the graph ---------------------------------------------------------------------------------------------------------------


def test_statistics_of_a_batch_are_differentiable():
    """Mean and variance are outputs of the op, with gradients of their own, to the second order."""
    x, w, b = (ag.randn(*s, dtype=ag.float64, requires_grad=True) for s in ((5, 3, 4), (3,), (3,)))
    g = [ag.randn(*s, dtype=ag.float64) for s in ((5, 3, 4), (3,), (3,))]

    def composed() -> list[Tensor]:
        mean = x.mean((0, 2))
        var = x.var((0, 2), correction=0)
        out = (x - mean.reshape(3, 1)) / (var.reshape(3, 1) + 1e-5).sqrt() * w.reshape(3, 1) + b.reshape(3, 1)
        return [out, mean, var]

    found = []
    for outs in (list(words.batch_norm(x, w, b, eps=1e-5)), composed()):
        first = ag.autograd.grad(outs, [x, w, b], g, create_graph=True)
        plain = ag.autograd.grad(outs, [x, w, b], g, retain_graph=True)
        second = ag.autograd.grad([first[0]], [x, w], [ag.ones(5, 3, 4, dtype=ag.float64) * x.detach()])
        found.append([*outs, *first, *plain, *second])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.array, b.array, 1e-8, 1e-8)


def test_bytes_saved():
    """The input, and of a row or a channel two numbers."""
    x = ag.randn(64, 32, requires_grad=True)
    p = [ag.ones(32, requires_grad=True) for _ in range(2)]
    assert saved_bytes(F.layer_norm(x, (32,), *p), but=(*p,)) == x.array.nbytes
    assert saved_bytes(F.rms_norm(x, (32,), p[0]), but=(*p,)) == x.array.nbytes
    assert saved_bytes(F.batch_norm(x, None, None, *p, training=True), but=(*p,)) <= x.array.nbytes + 2 * 32 * 4
    assert saved_bytes(F.group_norm(x, 4, *p), but=(*p,)) == x.array.nbytes


def test_running_statistics_are_written_in_place():
    m = ag.nn.BatchNorm1d(2)
    before = m.running_mean.array
    y = m.running_var * m(ag.randn(4, 2))  # saves the running variance as it is now
    m(ag.randn(4, 2))
    assert m.running_mean.array is before and m.num_batches_tracked.item() == 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_states_from_before_batches_were_counted(torch):
    """They are loaded, and the count stays as it is; what says that it is newer has to have one."""
    found = []
    for lib in (ag, torch):
        net = lib.nn.Sequential(lib.nn.BatchNorm1d(3), lib.nn.InstanceNorm1d(3, track_running_stats=True))
        net(lib.ones(4, 3, 2))
        saved = net.state_dict()
        assert saved._metadata["0"] == {"version": 2} == saved._metadata["1"]
        plain = {name: value + 1 for name, value in saved.items() if "tracked" not in name}
        net.load_state_dict(plain)
        assert not any("tracked" in name for name in plain)
        del saved["0.num_batches_tracked"]
        with pytest.raises(RuntimeError, match='Missing key.s. in state_dict: "0.num_batches_tracked"'):
            net.load_state_dict(saved)
        with pytest.raises(RuntimeError, match="Missing key.s. in state_dict"):
            net.load_state_dict({name: value for name, value in plain.items() if "running_var" not in name})
        found.append([(name, value.tolist()) for name, value in net.state_dict().items()])
        if lib is ag:
            lazy = ag.nn.Sequential(ag.nn.LazyBatchNorm1d())
            lazy.load_state_dict({name: value for name, value in plain.items() if name.startswith("0.")})
            assert lazy[0].num_features == 3 and int(lazy[0].num_batches_tracked) == 0
    assert found[0] == [(name, pytest.approx(value)) for name, value in found[1]]
