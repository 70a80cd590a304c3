"""Inverses, determinants and factors of matrices against PyTorch: values, gradients, second order, errors."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.testing import check_grads

RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 3))
BATCH = RNG.normal(size=(2, 3, 3)) + 2 * np.eye(3)
TALL, WIDE = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(3, 5))
V, B = RNG.normal(size=(3,)), RNG.normal(size=(3, 2))


def definite(library, x):
    return x @ x.mT + library.eye(x.shape[-1], dtype=x.dtype)


def projected(vectors):
    """What does not depend on the signs of vectors in columns."""
    return vectors[..., :2] @ vectors[..., :2].mT


CASES = {
    "inv": (lambda t, x: t.linalg.inv(x), BATCH),
    "inverse": (lambda t, x: t.inverse(x), A),
    "Tensor.inverse": (lambda t, x: x.inverse(), A),
    "det": (lambda t, x: t.linalg.det(x), BATCH),
    "Tensor.det": (lambda t, x: x.det(), A),
    "slogdet": (lambda t, x: t.linalg.slogdet(x), BATCH),
    "logdet": (lambda t, x: t.logdet(definite(t, x)), BATCH),
    "solve a vector": (lambda t, x, b: t.linalg.solve(x, b), A, V),
    "solve": (lambda t, x, b: t.linalg.solve(x, b), A, B),
    "solve a batch": (lambda t, x, b: t.linalg.solve(x, b), BATCH, RNG.normal(size=(2, 3))),
    "solve, broadcast": (lambda t, x, b: t.linalg.solve(x, b), BATCH, B),
    "solve on the right": (lambda t, x, b: t.linalg.solve(x, b.mT, left=False), A, B),
    "solve_triangular": (lambda t, x, b: t.linalg.solve_triangular(x, b, upper=False), BATCH, B),
    "solve_triangular, upper": (lambda t, x, b: t.linalg.solve_triangular(x, b, upper=True, unitriangular=True), A, B),
    "cholesky": (lambda t, x: t.linalg.cholesky(definite(t, x)), BATCH),
    "cholesky, upper": (lambda t, x: t.cholesky(definite(t, x), upper=True), A),
    "cholesky_solve": (lambda t, x, b: t.cholesky_solve(b, t.linalg.cholesky(definite(t, x))), A, B),
    "cholesky_inverse": (lambda t, x: t.cholesky_inverse(t.linalg.cholesky(definite(t, x)).mT, upper=True), A),
    "eigh, values": (lambda t, x: t.linalg.eigh(x + x.mT)[0], BATCH),
    "eigh, vectors": (lambda t, x: projected(t.linalg.eigh(x + x.mT).eigenvectors), BATCH),
    "eigh, rebuilt": (lambda t, x: (lambda w, v: (v * w.exp()) @ v.mT)(*t.linalg.eigh(x + x.mT)), A),
    "eigh, U": (lambda t, x: t.linalg.eigh(x + x.mT, UPLO="U").eigenvalues, A),
    "eigvalsh": (lambda t, x: t.linalg.eigvalsh(x + x.mT), A),
    "svd": (lambda t, x: (lambda u, s, vh: (u * s**2) @ vh)(*t.linalg.svd(x)), A),
    "svd, tall": (lambda t, x: (lambda u, s, vh: (u * s.sin()[..., None, :]) @ vh)(*t.linalg.svd(x, full_matrices=False)), TALL),
    "svd, wide": (lambda t, x: (lambda u, s, vh: (u * s.sin()[..., None, :]) @ vh)(*t.linalg.svd(x, full_matrices=False)), WIDE),
    "svd, left vectors": (lambda t, x: projected(t.linalg.svd(x, full_matrices=False).U), TALL),
    "svd, right vectors": (lambda t, x: projected(t.linalg.svd(x, full_matrices=False).Vh.mT), WIDE),
    "svdvals": (lambda t, x: t.linalg.svdvals(x), TALL),
    "torch.svd": (lambda t, x: (lambda u, s, v: (u * s[..., None, :] ** 2) @ v.mT)(*t.svd(x)), TALL),
    "qr": (lambda t, x: tuple(t.linalg.qr(x)), A),
    "qr, tall": (lambda t, x: tuple(t.linalg.qr(x)), TALL),
    "qr, wide": (lambda t, x: tuple(t.linalg.qr(x)), WIDE),
    "qr, complete": (lambda t, x: t.linalg.qr(x, mode="complete").R, WIDE),
    "Tensor.qr": (lambda t, x: x.qr().Q, TALL),
    "householder_product": (lambda t, x, tau: t.linalg.householder_product(x, tau), TALL, RNG.normal(size=(2, 3))),
    "householder_product, fewer": (lambda t, x, tau: t.linalg.householder_product(x, tau), A, V[:2]),
    "pinv": (lambda t, x: t.linalg.pinv(x), TALL),
    "pinv, wide": (lambda t, x: t.linalg.pinv(x), WIDE),
    "pinv of a product of rank 2": (lambda t, x: t.linalg.pinv(x[:, :2] @ x[:2], rtol=1e-8), WIDE),
    "pinverse": (lambda t, x: t.pinverse(x), TALL),
    "matrix_exp": (lambda t, x: t.matrix_exp(x), BATCH),
    "matrix_exp of a large matrix": (lambda t, x: t.linalg.matrix_exp(x - 8 * t.eye(3, dtype=x.dtype)), A),
    "matrix_exp of a small matrix": (lambda t, x: t.linalg.matrix_exp(x * 1e-3), A),
    "matrix_power": (lambda t, x: t.linalg.matrix_power(x, -2), BATCH),
}  # fmt: skip


def results(library, name):
    """The outputs, the gradients of a random projection of them, and those of a projection of these."""
    f, *arrays = CASES[name]
    inputs = [library.tensor(x, requires_grad=True) for x in arrays]
    outs = f(library, *inputs)
    outs = list(outs) if isinstance(outs, tuple) else [outs]
    rng = np.random.default_rng(1)
    total = sum((out * library.tensor(rng.normal(size=tuple(out.shape)))).sum() for out in outs)
    first = library.autograd.grad(total, inputs, create_graph=True)
    total = sum((g * library.tensor(rng.normal(size=tuple(g.shape)))).sum() for g in first)
    second = library.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)
    return [x.detach().numpy() for x in (*outs, *first, *second)]


@pytest.mark.filterwarnings("ignore:torch.*is deprecated")
@pytest.mark.parametrize("name", CASES)
def test_as_in_pytorch(name, torch):
    for ours, theirs in zip(results(ag, name), results(torch, name), strict=True):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-8 * max(1, np.abs(theirs).max(initial=0)))


@pytest.mark.parametrize(
    "name", ["inv", "slogdet", "solve", "cholesky", "eigh, rebuilt", "svd, tall", "qr, wide", "pinv", "matrix_exp"]
)
def test_third_order(name):
    f, *arrays = CASES[name]
    inputs = [ag.tensor(x, requires_grad=True) for x in arrays]
    check_grads(lambda *xs: f(ag, *xs), inputs, order=3, rtol=1e-4)


@pytest.mark.parametrize("name", ["inv", "solve", "cholesky", "eigh, values", "svdvals", "qr", "pinv", "det", "matrix_exp"])
def test_on_devices_in_float32(name, device):
    f, *arrays = CASES[name]
    expected = f(ag, *(ag.tensor(x) for x in arrays))
    inputs = [ag.tensor(x, dtype=ag.float32, device=device, requires_grad=True) for x in arrays]
    g = ag if device == "cpu" else None
    with ag.device(device):
        found = f(g or ag, *inputs)
        total = sum(x.sum() for x in (found if isinstance(found, tuple) else [found]))
        total.backward()
    for a, b in zip(*(x if isinstance(x, tuple) else (x,) for x in (found, expected)), strict=True):
        assert a.dtype == ag.float32 and a.device.type == device
        np.testing.assert_allclose(a.detach().cpu().numpy(), b.numpy(), rtol=2e-3, atol=1e-4)
    assert all(x.grad.device.type == device and x.grad.dtype == ag.float32 for x in inputs)


def test_equal_eigenvalues():
    """They have derivatives, their vectors have none."""
    x = ag.eye(3, dtype=ag.float64).requires_grad_()
    w, v = ag.linalg.eigh(x)
    (w.exp() * ag.tensor([1.0, 1.0, 1.0], dtype=ag.float64)).sum().backward(retain_graph=True)
    assert ag.allclose(x.grad, np.e * ag.eye(3, dtype=ag.float64))
    (g,) = ag.autograd.grad(((v * w) @ v.mT).sum(), x)
    assert not g.isfinite().all()
    (g,) = ag.autograd.grad(ag.linalg.svdvals(x).sum(), x)
    assert ag.allclose(g, ag.eye(3, dtype=ag.float64))


def test_empty_matrices():
    for f in (ag.linalg.inv, ag.linalg.cholesky, ag.matrix_exp):
        assert f(ag.zeros(0, 0)).shape == (0, 0) and f(ag.zeros(0, 2, 2)).shape == (0, 2, 2)
    assert ag.det(ag.zeros(0, 0)).item() == 1 and ag.linalg.solve(ag.eye(2), ag.zeros(2, 0)).shape == (2, 0)
    assert ag.linalg.pinv(ag.zeros(0, 3)).shape == (3, 0) and ag.linalg.svdvals(ag.zeros(2, 0)).shape == (0,)


SINGULAR = np.ones((2, 2))
ERRORS = {
    "inv": (lambda t, x: t.linalg.inv(x), "inversion could not be completed because the input matrix is singular"),
    "solve": (lambda t, x: t.linalg.solve(x, x), "solver failed because the input matrix is singular"),
    "cholesky": (lambda t, x: t.linalg.cholesky(-x), "could not be completed because the input is not positive-definite"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_matrices_without(name, torch):
    f, message = ERRORS[name]
    for library in (ag, torch):
        with pytest.raises(library.linalg.LinAlgError, match=f"(?i)linalg.{name}: .*{message}") as caught:
            f(library, library.tensor(SINGULAR))
        assert isinstance(caught.value, RuntimeError)


def test_arguments():
    with pytest.raises(RuntimeError, match="linalg.inv: A must be batches of square matrices, but they are 2 by 3 matrices"):
        ag.linalg.inv(ag.ones(2, 3))
    with pytest.raises(RuntimeError, match="linalg.det: The input tensor A must have at least 2 dimensions"):
        ag.det(ag.ones(2))
    for dtype in (ag.int64, ag.float16, ag.bfloat16):
        with pytest.raises(RuntimeError, match=f"float32 or float64 as input. Got {dtype}"):
            ag.linalg.cholesky(ag.ones(2, 2, dtype=dtype))
    with pytest.raises(RuntimeError, match="same dtype"):
        ag.linalg.solve(ag.eye(2), ag.ones(2, dtype=ag.float64))
    with pytest.raises(RuntimeError, match=r"Incompatible shapes of A and B for the equation AX = B \(2x2 and 3x1\)"):
        ag.linalg.solve(ag.eye(2), ag.ones(3, 1))
    with pytest.raises(NotImplementedError, match="full_matrices=False"):
        ag.linalg.svd(ag.ones(2, 3))
    with pytest.raises(TypeError, match="must be Tensor, not list"):
        ag.linalg.inv([[1.0]])
