"""Activation functions on the CPU: the fused gradients against the rules that they stand for, blocks, precision."""

from __future__ import annotations

import math

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.backend import cpu
from autograd_gpu.backend.cpu import activation
from autograd_gpu.backend.residue import Unwritten
from autograd_gpu.core.graph import words

OPTIONS = [
    ("elu", {"alpha": 1.0, "scale": 1.0, "input_scale": 1.0}),
    ("elu", {"alpha": 1.5, "scale": 1.0, "input_scale": 0.5}),
    ("elu", {"alpha": 1.6732632423543772, "scale": 1.0507009873554805, "input_scale": 1.0}),
    ("gelu", {}),
    ("gelu_tanh", {}),
    ("huber", {"delta": 0.7}),
    ("hardswish", {}),
    ("leaky_relu", {"negative_slope": 0.1}),
    ("leaky_relu", {"negative_slope": 1.5}),
    ("logsigmoid", {}),
    ("mish", {}),
    ("sigmoid", {}),
    ("silu", {}),
    ("softplus", {"beta": 1.0, "threshold": 40.0}),
    ("tanh", {}),
]
BLOCK = 4096  # elements of float32
SHAPES = [(2500,), (BLOCK + 1, 2), (2 * BLOCK,), (3, BLOCK + 5)]
ids = [f"{name}-{k}" for k, (name, _) in enumerate(OPTIONS)]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(activation, "_BLOCK", 4 * BLOCK)


def test_all_are_tried():
    assert {name for name, _ in OPTIONS} == set(activation.ACTIVATIONS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=ids)
def test_fused_gradient_is_the_rule(name, options, dtype):
    rng = np.random.default_rng(0)
    _, fused = activation.ACTIVATIONS[name]
    op = getattr(words, name).op
    (rule,) = op.rules.values()
    (saved,) = {"x", "out"} & set(rule.names)
    given = {k: v for k, v in options.items() if k in rule.names}
    for shape in SHAPES:
        x, g = (rng.uniform(-9, 9, shape).astype(dtype) for _ in range(2))
        x.reshape(-1)[:3] = 0.0, 3.0, -3.0
        kept = x if saved == "x" else np.asarray(op.forward(cpu, x, **options) if not op.is_word else getattr(cpu, name)(x))
        before = g.copy(), kept.copy()
        (found,) = fused(cpu, g, ("x",), **{saved: kept}, **given)
        expected = rule.function(cpu, g, **{saved: kept}, **given)
        assert found.dtype == dtype and found.shape == shape
        limit = 2e-6 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(found, expected, limit, 10 * limit)
        np.testing.assert_array_equal(g, before[0])
        np.testing.assert_array_equal(kept, before[1])


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=ids)
def test_what_is_declined(name, options):
    _, fused = activation.ACTIVATIONS[name]
    op = getattr(words, name).op
    (rule,) = op.rules.values()
    (saved,) = {"x", "out"} & set(rule.names)
    given = {k: v for k, v in options.items() if k in rule.names}

    def declined(s, g):
        return fused(cpu, g, ("x",), **{saved: s}, **given) is NotImplemented

    many = np.ones((3 * BLOCK, 2), np.float32)
    assert declined(many.T, many.T)
    assert declined(many, np.broadcast_to(np.float32(1), many.shape))
    assert declined(many, many[:1])
    assert declined(many, many.astype(np.float64))
    assert declined(many.astype(np.float16), many.astype(np.float16))
    assert declined(np.ones((), np.float32), np.ones((), np.float32))
    assert not declined(many, many)


def test_softplus_with_other_options_takes_the_rule():
    _, fused = activation.ACTIVATIONS["softplus"]
    x = np.ones(5000, np.float32)
    assert fused(cpu, x, ("x",), x=x, beta=2.0, threshold=20.0) is NotImplemented
    assert fused(cpu, x, ("x",), x=x, beta=1.0, threshold=5.0) is NotImplemented
    assert fused(cpu, x, ("x",), x=x, beta=1.0, threshold=20.0) is not NotImplemented
    assert fused(cpu, x, ("x",), x=x.astype(float), beta=1.0, threshold=20.0) is NotImplemented


@pytest.mark.parametrize("name", activation.__all__)
def test_blocks_change_nothing(name):
    """Words of large arrays, in blocks, of arrays that are not contiguous, and of pieces are the same bit for bit."""
    word = getattr(cpu, name)
    x = np.random.default_rng(1).uniform(-30, 30, (3, BLOCK + 7)).astype(np.float32)
    whole = word(x)
    pieces = np.stack([np.concatenate([word(row[:1000]), word(row[1000:])]) for row in x])
    np.testing.assert_allclose(whole, pieces, 2e-7, 1e-7)
    np.testing.assert_allclose(word(x.T).T, whole, 2e-7, 1e-7)


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "gelu_tanh", "sigmoid", "softplus", "logsigmoid"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_at_the_ends(name, dtype):
    """Of huge inputs the gradient is 0 or 1, never NaN, and nothing overflows on the way."""
    x = np.array([-1e12, -1e10, -1e4, -200.0, -50.0, 50.0, 200.0, 1e4, 1e10, 1e12] * 500, dtype)
    t = ag.tensor(x, requires_grad=True)
    (grad,) = ag.autograd.grad(getattr(words, name)(t), t, ag.ones_like(t))
    slope = {"sigmoid": 0.0}.get(name, 1.0)
    expected = np.where(x > 0, slope, 0.0)
    if name == "logsigmoid":
        expected = 1.0 - expected
    np.testing.assert_allclose(grad.numpy(), expected, 1e-6, 1e-6)


@pytest.mark.parametrize("name", ["gelu", "silu", "mish"])
def test_precision(name):
    """float32 is within a few units in the last place of the largest values."""
    x = np.linspace(-12, 12, 40001)
    exact = {
        "gelu": x * np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x]),
        "silu": x / (1 + np.exp(-x)),
        "mish": x * np.tanh(np.log1p(np.exp(x))),
    }[name]
    error = np.abs(getattr(cpu, name)(x.astype(np.float32)) - exact) - np.abs(x - x.astype(np.float32))
    assert (error <= 4e-7 * np.maximum(1, np.abs(x))).all()


def test_gelu_at_the_ends():
    x = np.array([0.0, -0.0, 1e10, -1e10, 3e38, -3e38, 1e-40, np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(cpu.gelu(x), np.array([0, 0, 1e10, 0, 3e38, 0, 5e-41, np.inf, np.nan], np.float32))
    _, fused = activation.ACTIVATIONS["gelu"]
    (grad,) = fused(cpu, np.ones_like(x), ("x",), x=x)
    np.testing.assert_array_equal(grad[:7], np.array([0.5, 0.5, 1, 0, 1, 0, 0.5], np.float32))


def test_huber_forward():
    x = np.random.default_rng(3).uniform(-2, 2, (3, BLOCK)).astype(np.float32)
    forward, _ = activation.ACTIVATIONS["huber"]
    np.testing.assert_allclose(forward(x, delta=0.7), words.huber.op.forward(cpu, x, delta=0.7), 1e-6, 1e-7)
    assert forward(x.astype(np.int64), delta=0.7) is NotImplemented


def test_probabilities_of_binary_cross_entropy():
    rng = np.random.default_rng(2)
    x, t, g = (rng.uniform(0.01, 0.99, (7, 9)) for _ in range(3))
    forward, backward = cpu.fused["binary_cross_entropy"]
    op = words.binary_cross_entropy.op
    np.testing.assert_allclose(forward(x, t), op.forward(cpu, x, t), 1e-13)
    rule = op.rules["input"].function
    np.testing.assert_allclose(backward(cpu, g, ("input",), input=x, target=t)[0], rule(cpu, g, x, t), 1e-13)
    assert backward(cpu, g, ("input", "target"), input=x, target=t) is NotImplemented
    assert forward(x, t[0]) is NotImplemented
    assert forward(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0, 3)


def gelu_gradient(x, g, after=lambda y: y):
    t = ag.tensor(x, requires_grad=True)
    y = ag.nn.functional.gelu(t)
    (grad,) = ag.autograd.grad([after(y)], [t], [ag.tensor(g)])
    return grad.numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("zeros", [0.0, 0.01, 1.0])
def test_gelu_from_its_output(dtype, zeros, monkeypatch):
    """The gradient found from input and output is that from the input, to rounding, in every block, and at 0 / 0."""
    rng = np.random.default_rng(4)
    x = rng.uniform(-13, 13, (5, BLOCK)).astype(dtype)
    x[2:][rng.random((3, BLOCK)) < zeros] = 0
    x[0, :4] = 1e-30, -1e-20, 1e-12, -1e-8
    g = rng.uniform(-1, 1, x.shape).astype(dtype)
    exact = np.array([0.5 * math.erfc(-v / math.sqrt(2)) + v * math.exp(-v * v / 2) / math.sqrt(2 * math.pi) for v in x.flat])
    used = []
    kernel = activation._gelu_x_out
    _, backward = activation._gradient(activation._gelu_x, "x", from_both=lambda *a: used.append(1) or kernel(*a))
    out = cpu.gelu(x)
    residue = Unwritten(out, out)
    (found,) = backward(cpu, g, ("x",), x=x, residue=residue)
    assert len(used) == 5 * x.itemsize // 4
    np.testing.assert_allclose(found, exact.reshape(x.shape) * g, 0, 6e-7 if dtype == "float32" else 1e-14)
    np.testing.assert_array_equal(gelu_gradient(x, g), found)


@pytest.mark.parametrize("shape", [(3, BLOCK), (2500,)])
def test_gelu_whose_output_was_written(shape):
    """PyTorch keeps the input alone, so that a program may write into the output: nothing is then found from that."""
    rng = np.random.default_rng(5)
    x, g = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    expected = gelu_gradient(x, g)
    writes = {
        "the tensor": lambda y: y.mul_(1),
        "a view": lambda y: (y.view(-1).mul_(1), y)[1],
        "an assignment": lambda y: (y.detach().__setitem__(0, 9.0), y)[1],
        "other memory": lambda y: (y.detach().clone().zero_(), y)[1],
        "a detached tensor": lambda y: (y.detach().zero_(), y)[1],
    }
    for name, write in writes.items():
        found = gelu_gradient(x, g, write)
        np.testing.assert_allclose(found, expected, 1e-6, 1e-6, err_msg=name)
    t = ag.tensor(x, requires_grad=True)
    y = ag.nn.functional.gelu(t)
    t.detach().mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation: gelu"):
        y.sum().backward()


@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_lets_the_output_of_gelu_go(inplace):
    """It does not keep its input, so that gelu would be the only one."""
    x = ag.randn(50, 100, requires_grad=True)
    y = ag.nn.functional.gelu(x)
    node = y.node
    assert node.saved[-1] is not None
    z = ag.nn.functional.dropout(y, 0.1, inplace=inplace)
    assert node.saved[-1] is None
    (found,) = ag.autograd.grad([z.sum()], [x])
    kept = z.detach().numpy() != 0
    expected = gelu_gradient(x.detach().numpy(), np.ones((50, 100), np.float32)) * kept / 0.9
    np.testing.assert_allclose(found.numpy(), expected, 1e-5, 1e-6)
