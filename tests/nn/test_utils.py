"""nn.utils: clipping gradients, parameters as a vector, modules without first values, calls with other tensors; as PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.backend import cpu

torch = pytest.importorskip("torch")

LIBS = pytest.mark.parametrize("lib", [ag, torch], ids=["ours", "theirs"])
SHAPES = [(3, 4), (5,), (), (0, 2)]


def parameters(lib, scale=1.0, dtype="float32", shapes=SHAPES):
    rng = np.random.default_rng(0)
    made = []
    for shape in shapes:
        p = lib.tensor(np.zeros(shape, dtype), requires_grad=True)
        p.grad = lib.tensor((rng.normal(size=shape) * scale).astype(dtype))
        made.append(p)
    return [*made, lib.tensor([1.0], requires_grad=True)]  # the last one has no gradient


def same_gradients(ours, theirs, rtol=1e-5):
    for p, q in zip(ours, theirs, strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=rtol, atol=1e-7)


@pytest.mark.parametrize("order", [2, 2.0, 1, 3, 0.5, math.inf])
@pytest.mark.parametrize("scale", [0.01, 10.0])
def test_clip_grad_norm(order, scale):
    shapes = SHAPES[:-1] if order == math.inf else SHAPES  # PyTorch refuses the largest of nothing
    ours, theirs = parameters(ag, scale, shapes=shapes), parameters(torch, scale, shapes=shapes)
    arrays = [None if p.grad is None else p.grad.array for p in ours]
    got = nn.utils.clip_grad_norm_(iter(ours), 1.5, norm_type=order)
    wanted = torch.nn.utils.clip_grad_norm_([p for p in theirs], 1.5, norm_type=order)
    assert got.shape == () and got.dtype == ag.float32 and float(got) == pytest.approx(float(wanted), rel=1e-5)
    same_gradients(ours, theirs)
    assert all(p.grad is None or p.grad.array is a for p, a in zip(ours, arrays, strict=True))


def test_clip_grad_norm_over_dtypes_and_strides():
    ours = parameters(ag, 5.0) + parameters(ag, 5.0, "float64")
    theirs = parameters(torch, 5.0) + parameters(torch, 5.0, "float64")
    ours[0].grad = ag.tensor(theirs[0].grad.T.contiguous().numpy()).T
    got, wanted = nn.utils.clip_grad_norm_(ours, 2.0), torch.nn.utils.clip_grad_norm_(theirs, 2.0)
    assert got.dtype == ag.float64 and float(got) == pytest.approx(float(wanted), rel=1e-5)
    same_gradients(ours, theirs)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_clip_grad_norm_of_what_is_not_finite(bad):
    for lib in (ag, torch):
        with np.errstate(all="ignore"):
            p = parameters(lib)
            p[1].grad[2] = bad
            before = p[0].grad.numpy().copy()
            with pytest.raises(RuntimeError, match="non-finite, so it cannot be clipped"):
                lib.nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
            np.testing.assert_array_equal(p[0].grad.numpy(), before)
            norm = lib.nn.utils.clip_grad_norm_(p, 1.0)
            assert not math.isfinite(float(norm))
            np.testing.assert_array_equal(p[0].grad.numpy(), before * (1 / bad))


@LIBS
def test_nothing_to_clip(lib):
    assert float(lib.nn.utils.clip_grad_norm_([], 1.0)) == 0
    assert float(lib.nn.utils.clip_grad_norm_(lib.ones(2), 1.0)) == 0
    with pytest.warns(UserWarning, match="empty generator"):
        lib.nn.utils.clip_grad_norm_((p for p in ()), 1.0)
    nn.utils.clip_grad_value_([], 1.0)


def test_clip_grad_value_and_the_parts_of_clip_grad_norm():
    ours, theirs = parameters(ag), parameters(torch)
    nn.utils.clip_grad_value_(ours, 0.5)
    torch.nn.utils.clip_grad_value_(theirs, 0.5)
    same_gradients(ours, theirs)
    norms = []
    for lib, p in ((ag, ours), (torch, theirs)):
        total = lib.nn.utils.get_total_norm([q.grad for q in p if q.grad is not None])
        lib.nn.utils.clip_grads_with_norm_(p, 0.1, total)
        norms.append(float(total))
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    same_gradients(ours, theirs)


def test_writing_into_gradients_is_noted():
    w = ag.ones(2, requires_grad=True)
    (g,) = ag.autograd.grad((w**3).sum(), w, create_graph=True)
    y = (g * g).sum()
    w.grad = g
    nn.utils.clip_grad_norm_([w], 0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


@pytest.mark.parametrize("dtype", [ag.float16, ag.bfloat16])
def test_clipping_sixteen_bits_does_not_overflow(dtype):
    w = ag.zeros(1000, dtype=dtype, requires_grad=True)
    w.grad = ag.full((1000,), 3e4, dtype=dtype)
    norm = nn.utils.clip_grad_norm_([w], 10.0)
    assert float(norm) == pytest.approx(3e4 * math.sqrt(1000), rel=1e-2)
    assert float(w.grad.float().norm()) == pytest.approx(10, rel=1e-2)
    assert cpu.all_finite([w.grad.array]).tolist() == [True]


def test_sums_of_squares_that_overflow_are_no_infinities():
    arrays = [np.full(3, 1e30, "float32"), np.array([1.0, np.nan], "float32"), np.array([np.inf]), np.zeros(0), np.ones(2)]
    assert cpu.all_finite(arrays).tolist() == [True, False, False, True, True]
    assert float(cpu.norm_of_all(arrays[:1], ord=2)) == pytest.approx(1e30 * math.sqrt(3))


def test_vectors_of_parameters():
    for lib in (ag, torch):
        net = lib.nn.Linear(3, 2)
        vector = lib.nn.utils.parameters_to_vector(net.parameters())
        assert vector.shape == (8,) and vector.requires_grad
        lib.nn.utils.vector_to_parameters(lib.arange(8.0), net.parameters())
        assert net.weight.tolist() == [[0, 1, 2], [3, 4, 5]] and net.bias.tolist() == [6, 7] and net.weight.is_leaf
        lib.nn.utils.parameters_to_vector(net.parameters()).sum().backward()
        assert net.weight.grad.tolist() == [[1.0] * 3] * 2
    with pytest.raises(TypeError, match="expected"):
        nn.utils.vector_to_parameters([1.0], net.parameters())


def test_skip_init_draws_nothing():
    ag.manual_seed(0)
    a = ag.rand(1).item()
    ag.manual_seed(0)
    layer = nn.utils.skip_init(nn.Linear, 30, 20, bias=False)
    assert layer.weight.shape == (20, 30) and ag.rand(1).item() == a
    assert float(nn.Linear(3, 2).weight.abs().sum()) > 0
    with pytest.raises(RuntimeError, match="Expected a Module"):
        nn.utils.skip_init(int)


def tied(lib):
    class Tied(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = lib.nn.Linear(2, 2)
            self.b = lib.nn.Linear(2, 2)
            self.b.weight = self.a.weight
            self.register_buffer("shift", lib.ones(2))

        def forward(self, x, scale=1.0):
            return self.b(self.a(x)) * scale + self.shift

    return Tied()


@pytest.mark.parametrize("options", [{}, {"tie_weights": False}])
def test_functional_call(options):
    values = {"a.weight": [[1.0, 2.0], [3.0, 4.0]], "a.bias": [1.0, 0.0], "b.bias": [0.0, 1.0], "shift": [5.0, 6.0]}
    results = []
    for lib, call in ((ag, nn.utils.stateless.functional_call), (torch, torch.func.functional_call)):
        net = tied(lib)
        with lib.no_grad():
            net.a.weight.fill_(0.5)
        before = dict(net.named_parameters())
        tensors = {name: lib.tensor(value, requires_grad=True) for name, value in values.items()}
        out = call(net, tensors, (lib.ones(1, 2),), {"scale": 2.0}, **options)
        out.sum().backward()
        results.append([out.detach().numpy(), *(t.grad.numpy() for t in tensors.values())])
        assert all(p is before[name] and (p.grad is None or options) for name, p in net.named_parameters())
        assert not net.shift.requires_grad
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_functional_call_refuses():
    net = nn.Linear(2, 2)
    weight = net.weight
    with pytest.raises(KeyError, match="no parameter or buffer 'other'"):
        nn.utils.stateless.functional_call(net, {"weight": ag.ones(2, 2), "other": ag.ones(1)}, ag.ones(1, 2))
    assert net.weight is weight
    with pytest.raises(RuntimeError, match=r"missing \['bias'\]"):
        nn.utils.stateless.functional_call(net, {"weight": ag.ones(2, 2)}, ag.ones(1, 2), strict=True)


@pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d", "Linear"])
@pytest.mark.parametrize("affine", [True, False])
def test_folding_a_batch_norm(kind, affine):
    rng = np.random.default_rng(0)
    layer = nn.Linear(3, 4) if kind == "Linear" else getattr(nn, kind)(3, 4, 3, bias=affine)
    bn = (nn.BatchNorm1d if kind == "Linear" else nn.BatchNorm2d)(4, affine=affine)
    for t in (bn.running_mean, bn.running_var, *bn.parameters()):
        t.data.copy_(ag.tensor(rng.uniform(0.5, 2, 4).astype("float32")))
    x = ag.tensor(rng.normal(size=(2, 3) if kind == "Linear" else (2, 3, 5, 5)).astype("float32"))
    with pytest.raises(AssertionError, match="Fusion only for eval"):
        nn.utils.fuse_linear_bn_eval(layer, bn)
    layer.eval(), bn.eval()
    if kind == "Linear":
        fused = nn.utils.fuse_linear_bn_eval(layer, bn)
    else:
        fused = nn.utils.fuse_conv_bn_eval(layer, bn, transpose=kind != "Conv2d")
    np.testing.assert_allclose(fused(x).detach().numpy(), bn(layer(x)).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert isinstance(fused.bias, nn.Parameter) and fused.weight.requires_grad and fused is not layer
