"""Distances against PyTorch's: modules, options that need a value at a limit, large inputs, errors."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn


def pair(*shapes: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def both(torch, arrays, call, limit=1e-9):
    """Compare values and gradients of `call(library, *tensors)`."""
    ours = [ag.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    a, b = call(ag, *ours), call(torch, *theirs)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), limit, limit)
    a.sum().backward()
    b.sum().backward()
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), limit, limit)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("PairwiseDistance", {}),
        ("PairwiseDistance", {"p": 1.0, "eps": 0.1, "keepdim": True}),
        ("CosineSimilarity", {}),
        ("CosineSimilarity", {"dim": -1, "eps": 0.1}),
    ],
)
def test_modules(name, options, torch):
    assert repr(getattr(nn, name)(**options)) == repr(getattr(torch.nn, name)(**options))
    both(torch, pair((5, 3), (5, 3)), lambda library, x, y: getattr(library.nn, name)(**options)(x, y))


def test_cosine_similarity_of_short_vectors(torch):
    """A length below eps is taken as eps, and the gradient does not know it."""
    x, y = pair((4, 3), (4, 3))
    x[0] *= 1e-4
    x[1] = 0
    both(torch, [x, y], lambda library, x, y: library.cosine_similarity(x, y, eps=0.01))
    both(torch, [x, y], lambda library, x, y: library.cosine_similarity(x, y))


@pytest.mark.parametrize("p", [0.0, 1.0, 1.5, 2.0, 3.0, float("inf")])
def test_equal_vectors_have_gradient_zero(p, torch):
    x, y = pair((4, 3), (5, 3))
    y[2] = x[1]
    both(torch, [x, y], lambda library, x, y: library.cdist(x, y, p))
    both(torch, [np.concatenate([x, x[:1]])], lambda library, x: library.pdist(x, p))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
def test_many_pairs(p, torch, monkeypatch):
    """In pieces, and by products of matrices."""
    monkeypatch.setattr("autograd_gpu.ops.distance._PIECE", 1000)
    both(torch, pair((2, 40, 3), (2, 30, 3)), lambda library, x, y: library.cdist(x, y, p), 1e-6)


def test_digits_of_small_distances():
    x = np.full((30, 2), 1e4, np.float32)
    x[0] += 0.5
    exact = ag.cdist(ag.tensor(x), ag.tensor(x), compute_mode="donot_use_mm_for_euclid_dist")
    np.testing.assert_allclose(exact[0, 1].item(), 0.5 * 2**0.5, 1e-3)
    assert not exact.numpy().diagonal().any()


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda lib, r: lib.cdist(r(3, 4), r(3, 5)), "X1 and X2 must have the same number of columns. X1: 4 X2: 5"),
        (lambda lib, r: lib.cdist(r(4), r(3, 4)), "cdist only supports at least 2D tensors, X1 got: 1D"),
        (lambda lib, r: lib.cdist(r(3, 4), r(3, 4), p=-1), "cdist only supports non-negative p values"),
        (lambda lib, r: lib.cdist(r(3, 4).long(), r(3, 4)), "cdist only supports floating-point dtypes, X1 got: "),
        (lambda lib, r: lib.cdist(r(3, 4).double(), r(3, 4)), "expected scalar type "),
        (lambda lib, r: lib.cdist(r(3, 4), r(3, 4), compute_mode="x"), "x is not a valid value for compute_mode"),
        (lambda lib, r: lib.cdist(r(2, 3, 4), r(3, 3, 4)), ""),
        (lambda lib, r: lib.pdist(r(4)), "pdist only supports 2D tensors, got: 1D"),
        (lambda lib, r: lib.pdist(r(4, 2), p=-1), "pdist only supports non-negative p values"),
        (lambda lib, r: lib.pdist(r(4, 2).long()), "pdist only supports floating-point dtypes"),
        (lambda lib, r: lib.cosine_similarity(r(3, 4), r(3, 5)), "The size of tensor a (4) must match the size of tensor b (5)"),
        (lambda lib, r: lib.cosine_similarity(r(3, 4), r(3, 4), 2), "Dimension out of range"),
        (lambda lib, r: lib.cosine_similarity(r(3).long(), r(3).long(), 0), "expected common dtype to be floating point"),
        (lambda lib, r: lib.pairwise_distance(r(3, 4), r(2, 4)), "The size of tensor a (3) must match the size of tensor b (2)"),
    ],
)
def test_errors_are_pytorchs(do, message, torch):
    with pytest.raises((RuntimeError, ValueError, IndexError)) as theirs:
        do(torch, torch.rand)
    assert message in str(theirs.value)
    with pytest.raises(theirs.type) as ours:
        do(ag, ag.rand)
    assert message in str(ours.value)
