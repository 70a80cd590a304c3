"""Activation modules against PyTorch's: values, gradients, what they print, what they write into their input."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn

# name, arguments, keywords
MODULES = [
    ("Threshold", (0.1, 20.0), {}),
    ("ReLU", (), {}),
    ("RReLU", (), {}),
    ("RReLU", (0.25, 0.75), {}),
    ("Hardtanh", (), {}),
    ("Hardtanh", (-2, 0.5), {}),
    ("ReLU6", (), {}),
    ("Sigmoid", (), {}),
    ("Hardsigmoid", (), {}),
    ("Tanh", (), {}),
    ("SiLU", (), {}),
    ("Mish", (), {}),
    ("Hardswish", (), {}),
    ("ELU", (), {}),
    ("ELU", (0.5,), {}),
    ("CELU", (), {}),
    ("CELU", (2.0,), {}),
    ("SELU", (), {}),
    ("GLU", (), {}),
    ("GLU", (1,), {}),
    ("GELU", (), {}),
    ("GELU", ("tanh",), {}),
    ("Hardshrink", (), {}),
    ("Hardshrink", (1.0,), {}),
    ("LeakyReLU", (), {}),
    ("LeakyReLU", (0.3,), {}),
    ("LogSigmoid", (), {}),
    ("Softplus", (), {}),
    ("Softplus", (2.0, 1.0), {}),
    ("Softshrink", (), {}),
    ("Softshrink", (1.0,), {}),
    ("PReLU", (), {}),
    ("PReLU", (4, 0.1), {}),
    ("Softsign", (), {}),
    ("Tanhshrink", (), {}),
    ("Softmin", (1,), {}),
    ("Softmax", (), {"dim": -1}),
    ("Softmax2d", (), {}),
    ("LogSoftmax", (0,), {}),
]
OVERWRITING = [
    "CELU", "ELU", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "Mish", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU",
    "Threshold",
]  # fmt: skip
ids = [f"{name}{args or kw or ''}" for name, args, kw in MODULES]


def data() -> np.ndarray:
    return np.random.default_rng(0).uniform(-4, 4, (2, 4, 6)).astype(np.float32)


@pytest.mark.parametrize(("name", "args", "kw"), MODULES, ids=ids)
def test_values_gradients_and_repr(name, args, kw, torch):
    ours, theirs = getattr(nn, name)(*args, **kw).eval(), getattr(torch.nn, name)(*args, **kw).eval()
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x, y = ag.tensor(data(), requires_grad=True), torch.tensor(data(), requires_grad=True)
    a, b = ours(x), theirs(y)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), 1e-5, 1e-6)
    (a * a).sum().backward()
    (b * b).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), 2e-5, 1e-5)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), 2e-5, 1e-5)


def test_all_of_pytorch_is_there(torch):
    left = {"MultiheadAttention"}  # tested elsewhere
    missing = [n for n in torch.nn.modules.activation.__all__ if not hasattr(nn, n) and n not in left]
    assert not missing
    assert {name for name, _, _ in MODULES} == set(torch.nn.modules.activation.__all__) - left


@pytest.mark.parametrize("name", OVERWRITING)
def test_inplace(name, torch):
    args = (0.1, 20.0) if name == "Threshold" else ()
    plain, module = getattr(nn, name)(*args).eval(), getattr(nn, name)(*args, inplace=True).eval()
    assert repr(module) == repr(getattr(torch.nn, name)(*args, inplace=True))
    x = ag.tensor(data(), requires_grad=True)
    y = x * 1.0
    memory = y.array
    out = module(y)
    assert out is y
    assert out.array is memory
    np.testing.assert_array_equal(out.detach().numpy(), plain(ag.tensor(data())).numpy())
    out.sum().backward()
    z = ag.tensor(data(), requires_grad=True)
    plain(z).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), 1e-6, 1e-6)
    with pytest.raises(RuntimeError, match="in-place operation"):
        module(x)


@pytest.mark.parametrize("name", ["relu_", "elu_", "celu_", "selu_", "hardtanh_", "leaky_relu_", "rrelu_", "threshold_"])
def test_functions_that_write(name, torch):
    args = (0.1, 20.0) if name == "threshold_" else ()
    x, y = ag.tensor(data()), torch.tensor(data())
    assert getattr(nn.functional, name)(x, *args) is x
    getattr(torch.nn.functional, name)(y, *args)
    np.testing.assert_allclose(x.numpy(), y.numpy(), 1e-6, 1e-6)


@pytest.mark.parametrize("inplace", [False, True])
def test_rrelu_draws_slopes_in_training(inplace):
    ag.manual_seed(0)
    x = ag.tensor(data(), requires_grad=True)
    out = nn.RReLU(0.25, 0.75, inplace)(x * 1.0)
    negative, values, given = data() < 0, out.detach().numpy(), data()
    np.testing.assert_array_equal(values[~negative], given[~negative])
    slopes = values[negative] / given[negative]
    assert 0.25 <= slopes.min() < 0.35 and 0.65 < slopes.max() <= 0.75
    out.sum().backward()
    np.testing.assert_allclose(x.grad.numpy()[negative], slopes, 1e-5)
    np.testing.assert_array_equal(x.grad.numpy()[~negative], 1)


def test_prelu_has_a_parameter():
    module = nn.PReLU(3, init=0.5, dtype=ag.float64)
    assert module.weight.tolist() == [0.5, 0.5, 0.5]
    assert module.weight.dtype is ag.float64 and module.weight.requires_grad


@pytest.mark.parametrize("name", ["Softmax", "Softmin", "LogSoftmax"])
@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_implicit_dimension(name, ndim, torch):
    x = data().reshape(-1)[: 2**ndim].reshape((2,) * ndim)
    with pytest.warns(UserWarning, match="Implicit dimension choice for ") as ours:
        out = getattr(nn, name)()(ag.tensor(x))
    with pytest.warns(UserWarning) as theirs:
        expected = getattr(torch.nn, name)()(torch.tensor(x))
    assert str(ours[0].message) == str(theirs[0].message)
    assert ours[0].filename == __file__
    np.testing.assert_allclose(out.numpy(), expected.numpy(), 1e-6, 1e-6)


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
@pytest.mark.parametrize("ndim", [0, 1, 2, 3, 4])
def test_implicit_dimension_of_functions(name, ndim, torch):
    x = data().reshape(-1)[: 2**ndim].reshape((2,) * ndim)
    with pytest.warns(UserWarning, match="Implicit dimension choice for ") as ours:
        out = getattr(nn.functional, name)(ag.tensor(x))
    with pytest.warns(UserWarning) as theirs:
        expected = getattr(torch.nn.functional, name)(torch.tensor(x))
    assert str(ours[0].message) == str(theirs[0].message) and len(ours) == 1
    assert ours[0].filename == __file__
    np.testing.assert_allclose(out.numpy(), expected.numpy(), 1e-6, 1e-6)


@pytest.mark.parametrize(
    ("do", "error"),
    [
        (lambda nn, x: nn.Hardtanh(2.0, 1.0), AssertionError),
        (lambda nn, x: nn.Softshrink(-1.0)(x), RuntimeError),
        (lambda nn, x: nn.Softmax2d()(x[0]), ValueError),
        (lambda nn, x: nn.GLU()(x[..., :3]), RuntimeError),
        (lambda nn, x: nn.GELU("other")(x), RuntimeError),
        (lambda nn, x: nn.PReLU(3)(x), RuntimeError),
        (lambda nn, x: nn.CELU(0.0)(x), RuntimeError),
        (lambda nn, x: nn.RReLU(0.5, 0.2)(x), RuntimeError),
    ],
)
def test_errors_are_pytorchs(do, error, torch):
    with pytest.raises(error) as theirs:
        do(torch.nn, torch.tensor(data()))
    first = re.split(r"[.:,\[(0]", str(theirs.value))[0]
    with pytest.raises(error, match=re.escape(first)):
        do(nn, ag.tensor(data()))


def test_deprecated_names_of_limits(torch):
    with pytest.warns(FutureWarning, match="`min_value` is deprecated"):
        module = nn.Hardtanh(min_value=-3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert repr(module) == repr(torch.nn.Hardtanh(min_value=-3.0))


CHOICES = {
    "relu": lambda ns, x: ns.relu(x),
    "relu6": lambda ns, x: ns.nn.functional.relu6(x),
    "hardtanh": lambda ns, x: ns.nn.functional.hardtanh(x),
    "leaky_relu": lambda ns, x: ns.nn.functional.leaky_relu(x),
    "threshold": lambda ns, x: ns.nn.functional.threshold(x, 0.5, 0.0),
    "hardshrink": lambda ns, x: ns.nn.functional.hardshrink(x),
    "softshrink": lambda ns, x: ns.nn.functional.softshrink(x),
    "hardsigmoid": lambda ns, x: ns.nn.functional.hardsigmoid(x),
    "selu": lambda ns, x: ns.nn.functional.selu(x),
    "clamp": lambda ns, x: x.clamp(-1, 1),
    "clamp to tensors": lambda ns, x: x.clamp(ns.zeros_like(x), ns.ones_like(x)),
    "maximum": lambda ns, x: ns.maximum(x, x.detach().flip(0)),
    "fmin": lambda ns, x: ns.fmin(x, x.detach().flip(0)),
    "where": lambda ns, x: ns.where(x > 0, x, x * 2),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("n", [9, 900, 9000])
@pytest.mark.parametrize("name", CHOICES)
def test_what_is_not_chosen_gets_nothing_of_an_infinite_gradient(name, n, dtype, torch):
    """0, and not NaN as 0 times infinity would be."""
    if name == "selu" and dtype == "float16":
        pytest.skip("its slope far below zero is told from the output, and rounds to 0")
    x = np.linspace(-8, 8, n).astype(dtype)
    g = np.where(np.arange(n) % 3, np.inf, 2.0).astype(dtype)
    ours, theirs = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    CHOICES[name](ag, ours).backward(ag.tensor(g))
    CHOICES[name](torch, theirs).backward(torch.tensor(g))
    np.testing.assert_allclose(ours.grad.array, theirs.grad.numpy(), 2e-3)


@pytest.mark.parametrize("n", [2, 1000, 100_000])
def test_relu_does_not_hide_nan(n):
    """The gradient passes where the output is NaN, as in PyTorch: else parameters that are spoilt would get none."""
    x = ag.full((n,), float("nan"), requires_grad=True)
    ag.relu(x).backward(ag.full((n,), 3.0))
    assert bool((x.grad == 3).all())


def test_the_root_of_what_is_cut_off():
    x = ag.tensor([-1.0, 0.0, 4.0], requires_grad=True)
    (ag.relu(x).sqrt() + ag.clamp(x, min=0.5).sqrt()).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.5]


@pytest.mark.parametrize("f", [ag.nn.functional.hardtanh, ag.nn.functional.hardswish, lambda x: x.clamp(-1, 1)])
def test_bfloat16_without_dimensions(f):
    x = ag.tensor(0.5, dtype=ag.bfloat16, requires_grad=True)
    f(x).backward()
    assert x.grad.dtype == ag.bfloat16
    assert x.grad.item() > 0.5
