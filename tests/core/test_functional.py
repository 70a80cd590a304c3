"""autograd.functional against PyTorch's, and gradcheck, which must find gradients that are wrong."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.autograd import GradcheckError, functional, gradcheck, gradgradcheck

RNG = np.random.default_rng(0)
A, B, V = RNG.normal(size=(2, 3)), RNG.normal(size=(3,)), RNG.normal(size=(2, 3))


def numbers(x):
    """A result with its tensors as arrays."""
    return [numbers(t) for t in x] if isinstance(x, (tuple, list)) else np.asarray(x.detach().numpy())


def same(ours, theirs):
    assert isinstance(ours, (tuple, list)) == isinstance(theirs, (tuple, list))
    if isinstance(ours, (tuple, list)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
    else:
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


# (function of the library, how it is called with it)
CASES = {
    "jacobian": lambda f, t: f.jacobian(lambda x: (x * x).sum(1), t(A)),
    "jacobian, transposed": lambda f, t: f.jacobian(lambda x: x.exp().T, t(A)),
    "jacobian of numbers": lambda f, t: f.jacobian(lambda x: (x**3).sum(), t(A)),
    "jacobian of tuples": lambda f, t: f.jacobian(lambda x, y: (x @ y, x * y, y.sum()), (t(A), t(B))),
    "jacobian of a constant": lambda f, t: f.jacobian(lambda x, y: x.sin(), (t(A), t(B))),
    "jacobian, vectorize": lambda f, t: f.jacobian(lambda x: x.sin(), t(B), vectorize=True),
    "hessian": lambda f, t: f.hessian(lambda x: (x.sin() * x).sum(), t(A)),
    "hessian of tuples": lambda f, t: f.hessian(lambda x, y: ((x @ y) ** 2).sum(), (t(A), t(B))),
    "vjp": lambda f, t: f.vjp(lambda x: x.sin() * x, t(A), t(V)),
    "vjp of one number": lambda f, t: f.vjp(lambda x: x.sin().sum(), t(A)),
    "vjp of tuples": lambda f, t: f.vjp(lambda x, y: (x @ y, x.exp()), (t(A), t(B)), (t(V)[:, 0], t(V))),
    "jvp": lambda f, t: f.jvp(lambda x: x.sin() * x, t(A), t(V)),
    "jvp of tuples": lambda f, t: f.jvp(lambda x, y: (x @ y, x.exp()), (t(A), t(B)), (t(V), t(B))),
    "vhp": lambda f, t: f.vhp(lambda x: (x.sin() * x).sum(), t(A), t(V)),
    "hvp": lambda f, t: f.hvp(lambda x: (x**3).sum() + x[0, 0] * x[1, 1], t(A), t(V)),
    "hvp of tuples": lambda f, t: f.hvp(lambda x, y: ((x @ y) ** 2).sum(), (t(A), t(B)), (t(V), t(B))),
}


@pytest.mark.parametrize("name", CASES)
def test_as_in_pytorch(name, torch):
    ours, theirs = CASES[name](functional, ag.tensor), CASES[name](torch.autograd.functional, torch.tensor)
    same(numbers(ours), numbers(theirs))


def test_results_can_be_differentiated_where_asked(torch):
    def third(library):
        x = library.tensor(B, requires_grad=True)
        h = library.autograd.functional.hessian(lambda x: (x**4).sum(), x, create_graph=True)
        j = library.autograd.functional.jacobian(lambda x: x**3, x, create_graph=True)
        _, p = library.autograd.functional.jvp(lambda x: x**3, x, library.tensor(B), create_graph=True)
        return library.autograd.grad(h.sum() + j.sum() + p.sum(), x)

    same(numbers(third(ag)), numbers(third(torch)))
    x = ag.tensor(B, requires_grad=True)
    assert not functional.jacobian(lambda x: x**3, x).requires_grad and x.grad is None


def test_errors():
    x = ag.tensor(B)
    with pytest.raises(RuntimeError, match="can only be None"):
        functional.vjp(lambda x: x, x)
    with pytest.raises(RuntimeError, match="invalid size"):
        functional.vjp(lambda x: x, x, x[:2])
    with pytest.raises(RuntimeError, match="single element"):
        functional.hessian(lambda x: x, x)
    with pytest.raises(RuntimeError, match="independent of input 1"):
        functional.jacobian(lambda x, y: x * 2, (x, x), strict=True)
    with pytest.raises(TypeError, match="must be either a Tensor or a tuple of Tensors but got float"):
        functional.jacobian(lambda x: x, 1.0)
    with pytest.raises(TypeError, match="but got int"):
        functional.jacobian(lambda x: 1, x)


# -- gradcheck -------------------------------------------------------------------------------------------------------------


class Wrong(ag.autograd.Function):
    """exp, whose gradient is right or not, and whose second one is."""

    factor = 1.0

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.exp().detach() * Wrong.factor


@pytest.mark.parametrize("fast", [False, True])
def test_gradcheck(fast, monkeypatch):
    x = ag.tensor(A, requires_grad=True)
    y = ag.tensor(B, requires_grad=True)
    assert gradcheck(lambda x, y: (x @ y, x.sin() * y, 3), (x, y), fast_mode=fast) and x.grad is None
    assert gradgradcheck(lambda x, y: (x @ y, x.sin() * y), (x, y), fast_mode=fast)
    assert gradgradcheck(lambda x: x.sin(), x, ag.ones(2, 3, dtype=ag.float64, requires_grad=True), fast_mode=fast)
    assert gradcheck(lambda x, n: x**n, (x, 3), fast_mode=fast)  # numbers stay as they are
    assert gradcheck(Wrong.apply, x, fast_mode=fast)
    with pytest.raises(GradcheckError):
        gradgradcheck(Wrong.apply, x, fast_mode=fast)  # the gradient is right, its own is not
    monkeypatch.setattr(Wrong, "factor", 1.01)
    with pytest.raises(RuntimeError, match="mismatch for output 0 with respect to input 0" if not fast else "direction"):
        gradcheck(Wrong.apply, x, fast_mode=fast)
    assert gradcheck(Wrong.apply, (x,), raise_exception=False, fast_mode=fast) is False
    assert gradcheck(Wrong.apply, x, rtol=0.1, fast_mode=fast)


def test_gradients_that_differ_from_time_to_time():
    class Restless(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2 + ag.rand((), dtype=ag.float64) * 1e-7

    x = ag.tensor(B, requires_grad=True)
    with pytest.raises(GradcheckError, match="not reentrant"):
        gradcheck(Restless.apply, x)
    assert gradcheck(Restless.apply, x, nondet_tol=1e-3)


def test_what_gradcheck_cannot_do():
    x = ag.tensor(B, requires_grad=True)
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(lambda x: x, x.detach())
    with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double precision"):
        gradcheck(lambda x: x, x.float().detach().requires_grad_(), raise_exception=False)
    for option in ("check_forward_ad", "check_batched_grad"):
        with pytest.raises(NotImplementedError, match=option):
            gradcheck(lambda x: x, x, **{option: True})


def test_compile_gives_back_what_it_got():
    model, f = ag.nn.Linear(2, 1), ag.sin
    assert ag.compile(model) is model and ag.compile(f, fullgraph=True, mode="max-autotune") is f
    assert ag.compile(f, backend="eager") is ag.compile(mode="default")(f) is ag.compiler.disable()(f) is f
    with pytest.raises(RuntimeError, match="takes a model or a function, not int"):
        ag.compile(3)
