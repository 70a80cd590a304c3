"""A large layer_norm keeps its output in the place of its input: what that must not change."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.backend.residue import Instead, kept
from autograd_gpu.core.tensor import Tensor
from autograd_gpu.nn import functional as F

from ..support import graph_of

RNG = np.random.default_rng(11)
SHAPES = {"rows": ((300, 129), (129,)), "matrices": ((2, 80, 7, 33), (7, 33))}


def recorded(*arrays, dtype="float64"):
    return [None if a is None else Tensor(a.astype(dtype)).requires_grad_() for a in arrays]


def given(shape, what="weight bias", of_bias=1.0):
    """Weight and bias, each None unless it is asked for."""
    weight = RNG.uniform(0.3, 2, shape) * RNG.choice([-1.0, 1.0], shape)
    bias = RNG.uniform(-of_bias, of_bias, shape) * np.abs(weight)
    return weight if "weight" in what else None, bias if "bias" in what else None


def composed(x, weight, bias, axes, eps=1e-5):
    d = x - x.mean(axes, keepdim=True)
    y = d / ((d * d).mean(axes, keepdim=True) + eps).sqrt()
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def last(shape):
    return tuple(range(-len(shape), 0))


def without_input(y):
    return y.node.saved[-1].__class__ is Instead and y.node.saved[0] is None


@pytest.mark.parametrize("what", ["", "weight", "bias", "weight bias"])
@pytest.mark.parametrize("name", SHAPES)
def test_three_orders(name, what):
    shape, ends = SHAPES[name]
    x, *p = recorded(RNG.standard_normal(shape) * 3 + 1, *given(ends, what))
    inputs = [t for t in (x, *p) if t is not None]
    g = [Tensor(RNG.standard_normal(shape)) for _ in range(3)]
    found = []
    for call in (lambda: F.layer_norm(x, ends, *p), lambda: composed(x, *p, last(ends))):
        y = call()
        plain = ag.autograd.grad([y], inputs, g[:1], retain_graph=True)
        alone = ag.autograd.grad([y], inputs[-1:], g[:1], retain_graph=True)
        first = ag.autograd.grad([y], inputs, g[:1], create_graph=True)
        second = ag.autograd.grad(first[:1], inputs[:2] if p[0] is not None else inputs[:1], g[1:2], create_graph=True)
        third = ag.autograd.grad(second[:1], [x], g[2:], retain_graph=True)
        found.append([y, *plain, *alone, *first, *second, *third])
    assert without_input(found[0][0])
    for ours, expected in zip(*found, strict=True):
        limit = 1e-12 * float(np.abs(expected.array).max())
        np.testing.assert_allclose(ours.array, expected.array, 1e-11, limit)


@pytest.mark.parametrize("centre", [0.0, 50.0, 3e4])
@pytest.mark.parametrize("of_bias", [0.0, 0.5, 3.99, 4.5, 300.0])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_digits_around_the_bounds(of_bias, scale, centre):
    """The gradients of float32 against those of float64: as near whichever way is taken."""
    shape, ends = SHAPES["rows"]
    weight, bias = given(ends, of_bias=of_bias)
    bias[0] = weight[0] * of_bias
    x = (RNG.standard_normal(shape) + centre).astype(np.float32)
    g = RNG.standard_normal(shape).astype(np.float32)
    ours = recorded(x, weight * scale, bias * scale, dtype="float32")
    y = F.layer_norm(ours[0], ends, *ours[1:])
    assert without_input(y) == (of_bias < 4)
    exact = recorded(*(t.detach().array for t in ours))
    y.backward(Tensor(g))
    composed(exact[0], *exact[1:], (-1,)).backward(Tensor(g.astype("float64")))
    for a, b in zip(ours, exact, strict=True):
        a, b = a.grad.array, b.grad.array
        assert np.abs(a - b).max() <= max(1e-6, 2e-7 * centre) * np.abs(b).max()


@pytest.mark.parametrize("spread", [1.0, 1e-2, 4e-3, 1e-3, 1e-4, 1e-6, 0.0])
def test_digits_of_rows_that_are_all_but_constant(spread):
    """Beside eps there is nothing of them in the output but the bias."""
    shape, ends = (64, 1024), (1024,)
    x = (spread * RNG.standard_normal(shape)).astype(np.float32)
    p = np.ones(ends, np.float32), RNG.uniform(-3.9, 3.9, ends).astype(np.float32)
    g = RNG.standard_normal(shape).astype(np.float32)
    ours = recorded(x, *p, dtype="float32")
    y = F.layer_norm(ours[0], ends, *ours[1:])
    assert without_input(y) == (spread >= 4e-3)
    y.backward(Tensor(g))
    exact = recorded(x, *p)
    composed(exact[0], *exact[1:], (-1,)).backward(Tensor(g.astype("float64")))
    for a, b in zip(ours, exact, strict=True):
        a, b = a.grad.array, b.grad.array
        assert np.abs(a - b).max() <= 1e-6 * np.abs(b).max()


def test_one_constant_row():
    x = ag.randn(300, 129, requires_grad=True)
    weight, bias = ag.ones(129, requires_grad=True), ag.full((129,), 0.7)
    rows = x.detach().clone()
    rows[7] = 0.3
    y = F.layer_norm(rows, (129,), weight, bias)
    assert not without_input(y)
    (grad,) = ag.autograd.grad([y[7].sum()], [weight])
    assert float(grad.abs().max()) < 1e-4  # 0.3 less a mean of 0.3 is a rounding, over the root of eps


def test_weights_that_hide_the_input():
    x = ag.randn(300, 129, requires_grad=True)
    for bad in (0.0, 1e-30, math.nan):
        weight = ag.ones(129)
        weight[5] = bad
        assert not without_input(F.layer_norm(x, (129,), weight, ag.zeros(129)))
        assert not without_input(F.layer_norm(x, (129,), weight))
    assert without_input(F.layer_norm(x, (129,), ag.full((129,), 1e-8)))
    assert not without_input(F.layer_norm(x, (129,), None, ag.full((129,), 5.0)))
    assert not without_input(F.layer_norm(x[:200], (129,)))  # small
    for dtype in (ag.float16, ag.bfloat16):
        assert not without_input(F.layer_norm(x.to(dtype), (129,)))
        assert not without_input(F.layer_norm(x.to(dtype), (129,), ag.ones(129)))


def test_bytes_kept():
    """A linear layer behind keeps the output; nothing keeps the input."""
    x, (weight, bias) = ag.randn(300, 129, requires_grad=True) * 1.0, given((129,))
    p = recorded(weight, bias, RNG.standard_normal((129, 129)), dtype="float32")
    y = F.linear(F.layer_norm(x, (129,), p[0], p[1]), p[2])
    held = {}
    for node in graph_of([y]):
        for value in node.saved:
            arrays = (*value.arrays, *value.rest) if isinstance(value, Instead) else (value,)
            held |= {id(a if a.base is None else a.base): a.nbytes for a in arrays if isinstance(a, np.ndarray) and a.ndim}
    of_parameters = sum(t.array.nbytes for t in p)
    assert sum(held.values()) - of_parameters == x.array.nbytes + 2 * 300 * 4
    assert id(x.array) not in held


WRITES = {
    "the tensor": lambda y: y.mul_(2),
    "a view": lambda y: (y.view(-1).mul_(2), y)[1],
    "a part": lambda y: (y[3].fill_(2.0), y)[1],
    "an assignment": lambda y: (y.__setitem__((slice(None), 0), 1.0), y)[1],
    "relu_": lambda y: F.relu(y, inplace=True),
    "twice": lambda y: y.add_(1).mul_(y.detach() * 1.0),
}


def twin(name, y):
    y = y.clone()
    return WRITES[name](y)


@pytest.mark.parametrize("name", WRITES)
def test_writing_into_the_output(name):
    """PyTorch keeps the input, so programs write into the output."""
    ends = (129,)
    x, *p = recorded(RNG.standard_normal((300, 129)), *given(ends))
    found = []
    for write in (WRITES[name], lambda y: twin(name, y)):
        y = F.layer_norm(x, ends, *p)
        assert without_input(y)
        found.append(ag.autograd.grad([(write(y) ** 2).sum()], [x, *p]))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.array, b.array, 1e-12, 1e-12)


def test_writing_without_recording():
    x, *p = recorded(RNG.standard_normal((300, 129)), *given((129,)))
    expected = ag.autograd.grad([F.layer_norm(x, (129,), *p).sum()], [x, *p])
    y = F.layer_norm(x, (129,), *p)
    total = y.sum()
    with ag.no_grad():
        y.zero_()
        y[0] = 3.0
    for a, b in zip(ag.autograd.grad([total], [x, *p]), expected, strict=True):
        np.testing.assert_array_equal(a.array, b.array)


class Zeroed(ag.autograd.Function):
    """Written into as an array, which is said."""

    @staticmethod
    def forward(ctx, a, how):
        ctx.mark_dirty(a)
        (a.detach().numpy() if how == "numpy" else a.array)[...] = 0.0
        return a

    @staticmethod
    def backward(ctx, g):
        return g * 0.0, None


# ways in which y, or its memory, is written into, without a record
BESIDE = {
    "detach": lambda y: y.detach().mul_(2),
    "a view of detach": lambda y: y.detach().view(-1)[3:].mul_(2),
    "data": lambda y: y.data.mul_(2),
    "an assignment to data": lambda y: y.data.__setitem__(0, 9.0),
    "a mean that moves": lambda y: y.detach().mul_(0.9).add_(y.detach() * 0.1),
    "detach_": lambda y: y.detach_().mul_(2),
    "init": lambda y: ag.nn.init.zeros_(y),
    "init of a part": lambda y: ag.nn.init.normal_(y.detach()[5:9]),
    "drawing": lambda y: y.detach().normal_(),
    "numpy": lambda y: y.detach().numpy().fill(0.0),
    "numpy by force": lambda y: y.numpy(force=True).fill(0.0),
    "numpy of a view": lambda y: y.detach()[3].numpy().fill(0.0),
    "asarray": lambda y: np.asarray(y.detach()).fill(0.0),
    "from_numpy": lambda y: ag.from_numpy(y.detach().numpy()).mul_(2),
    "from_dlpack": lambda y: ag.from_dlpack(y.detach()).mul_(2),
    "dlpack of another": lambda y: Tensor(np.from_dlpack(y.detach())).mul_(2),
    "an embedding": lambda y: F.embedding(ag.tensor([3]), y.detach(), max_norm=1e-3),
}
# and with a record
OVER = {
    "squeeze_": lambda y: y.squeeze_().mul_(2),
    "unsqueeze_": lambda y: y.unsqueeze_(0).mul_(2),
    "t_": lambda y: y.t_().mul_(2),
    "a Function": lambda y: Zeroed.apply(y, "numpy"),
}
OPS = {"layer_norm": lambda x: F.layer_norm(x, (129,)), "gelu": F.gelu}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("op", OPS)
def test_writing_into_the_memory_of_the_output(op, name):
    """PyTorch's op keeps its input, so its gradient is what it would be without the write."""
    (x,) = recorded(RNG.standard_normal((300, 129)))
    g = Tensor(RNG.standard_normal((300, 129)))
    (expected,) = ag.autograd.grad([OPS[op](x)], [x], [g])
    y = OPS[op](x)
    z = y * 2
    BESIDE[name](y)
    (found,) = ag.autograd.grad([z], [x], [g])
    np.testing.assert_allclose(found.array, 2 * expected.array, 1e-11, 1e-11)


@pytest.mark.parametrize("name", OVER)
@pytest.mark.parametrize("op", OPS)
def test_writing_over_the_output(op, name):
    """What comes of it before and after the write, together."""
    (x,) = recorded(RNG.standard_normal((300, 129)))
    g = Tensor(RNG.standard_normal((300, 129)))
    found = []
    for copied in (False, True):
        y = OPS[op](x)
        total = (y * g).sum()
        y = OVER[name](y.clone() if copied else y)
        found += ag.autograd.grad([total + (y.reshape(-1)[7:] ** 2).sum()], [x])
    np.testing.assert_allclose(found[0].array, found[1].array, 1e-11, 1e-11)


def test_outputs_are_found_as_long_as_they_are_kept():
    x = ag.randn(300, 129, requires_grad=True)
    before = len(kept)
    y, z = F.layer_norm(x, (129,)), F.gelu(x)
    assert len(kept) == before + 2
    copied = y.node.saved[-1]
    y.detach().zero_()
    assert len(kept) == before + 1 and copied.arrays[0] is not y.array and copied.arrays[0].any()
    y = F.layer_norm(x, (129,))
    (y.sum() + z.sum()).backward()
    assert len(kept) == before
    with ag.no_grad():
        F.layer_norm(x, (129,)), F.gelu(x)
    assert len(kept) == before


@pytest.mark.parametrize("which", ["out", "weight", "bias"])
def test_writes_that_backward_reports(which):
    x, *p = recorded(RNG.standard_normal((300, 129)), *given((129,)))
    y = F.layer_norm(x, (129,), *p)
    if which == "out":
        total = y.sum()
        Zeroed.apply(y, "array")
        y.mul_(2)  # too late to save what it was
        y.detach().numpy()
        with pytest.raises(RuntimeError, match="layer_norm at .* saved its out"):
            total.backward()
        return
    {"weight": p[0].detach(), "bias": p[1].detach()}[which].mul_(2)
    with pytest.raises(RuntimeError, match=f"layer_norm at .* saved its {which}"):
        y.sum().backward()


SUBSETS = [names for k in (1, 2, 3) for names in itertools.combinations(("x", "weight", "bias"), k)]


@pytest.mark.parametrize("wanted", SUBSETS, ids="-".join)
def test_higher_orders_of_some_inputs(wanted):
    """Under create_graph rules run over Tensors, those of the wanted inputs alone."""
    shape, ends = SHAPES["rows"]
    arrays = RNG.standard_normal(shape), 1 + 0.1 * RNG.standard_normal(ends), 0.1 * RNG.standard_normal(ends)
    g = Tensor(RNG.standard_normal(shape))
    found = []
    for call in (lambda *t: F.layer_norm(t[0], ends, *t[1:]), lambda *t: composed(*t, (-1,))):
        for way in ("grad", "backward"):
            given = dict(zip(("x", "weight", "bias"), recorded(*arrays), strict=True))
            total = (call(*given.values()) ** 3 * g).sum()
            inputs = [given[name] for name in wanted]
            if way == "grad":
                first = ag.autograd.grad([total], inputs, create_graph=True)
            else:
                total.backward(inputs=inputs, create_graph=True)
                first = [t.grad for t in inputs]
            second = ag.autograd.grad([sum((t * t).sum() for t in first)], list(given.values()))
            found.append([*first, *second])
    for others in found[:2]:
        for ours, expected in zip(others, found[2], strict=True):
            np.testing.assert_allclose(ours.array, expected.array, 1e-10, 1e-11 * np.abs(expected.array).max())


def test_gradient_penalty():
    nn = ag.nn
    net = nn.Sequential(nn.Linear(20, 1024), nn.LayerNorm(1024), nn.Tanh(), nn.Linear(1024, 1))
    x, v = ag.randn(64, 20, requires_grad=True), ag.randn(64, 20)
    (slope,) = ag.autograd.grad(net(x).sum(), x, create_graph=True)
    (slope * v).sum().backward()
    _, product = ag.autograd.functional.hvp(lambda t: net(t).sum(), x.detach(), v)
    np.testing.assert_allclose(product.array, x.grad.array, 1e-3, 1e-5 * np.abs(product.array).max())
