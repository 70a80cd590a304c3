"""Muon: its directions, and its path beside PyTorch's, which computes in bfloat16."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.optim import Muon

OPTIONS = [
    {},
    {"lr": 0.02, "weight_decay": 0.3, "momentum": 0.8},
    {"lr": 0.02, "nesterov": False, "adjust_lr_fn": "original"},
    {"lr": 0.02, "adjust_lr_fn": "match_rms_adamw"},
    {"lr": 0.02, "ns_coefficients": (1.5, -0.5, 0.0), "ns_steps": 12},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_near_the_path_of_pytorch(options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    shapes = [(6, 4), (4, 8), (5, 5)]
    values = [rng.normal(size=s).astype("float32") for s in shapes]
    ours = [ag.tensor(v, requires_grad=True) for v in values]
    theirs = [torch.nn.Parameter(torch.tensor(v)) for v in values]
    optimizer, oracle = Muon(ours, **options), torch.optim.Muon(theirs, **options)
    lr = options.get("lr", 1e-3) * (0.2 * 8**0.5 if options.get("adjust_lr_fn") == "match_rms_adamw" else 1.5**0.5)
    for step in range(5):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            g = rng.normal(size=p.shape).astype("float32")
            p.grad, q.grad = (None, None) if (step, i) == (1, 2) else (ag.tensor(g), torch.tensor(g))
        optimizer.step()
        oracle.step()
        for p, q, v in zip(ours, theirs, values, strict=True):
            error = np.abs(p.array - q.detach().numpy()).max()
            assert error < 0.05 * lr * (step + 1), "further than the rounding of bfloat16"
            assert np.abs(p.array - v).max() > 0.2 * lr
    state, expected = optimizer.state_dict(), oracle.state_dict()
    assert state["param_groups"] == expected["param_groups"]
    for number, held in expected["state"].items():
        assert set(held) == set(state["state"][number])
        np.testing.assert_allclose(state["state"][number]["momentum_buffer"].array, held["momentum_buffer"], 1e-5, 1e-6)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (1, 7), (3, 1)])
def test_directions_are_orthogonal(shape):
    """With a polynomial that converges, the step is the polar factor of the gradient, U V^T."""
    g = np.random.default_rng(0).normal(size=shape)
    w = ag.zeros(shape, dtype=ag.float64, requires_grad=True)
    w.grad = ag.tensor(g)
    Muon([w], lr=1.0, weight_decay=0.0, nesterov=False, ns_coefficients=(2.0, -1.5, 0.5), ns_steps=30).step()
    u, _, v = np.linalg.svd(g, full_matrices=False)
    np.testing.assert_allclose(w.array, -(u @ v) * max(1.0, shape[0] / shape[1]) ** 0.5, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_keeps_the_dtype(dtype):
    w = ag.ones(3, 4, dtype=getattr(ag, dtype), requires_grad=True)
    w.grad = ag.ones(3, 4, dtype=getattr(ag, dtype))
    Muon([w], lr=0.5).step()
    assert w.dtype == getattr(ag, dtype) and np.all(w.detach().float().numpy() < 1.0)


def test_trains():
    """A small regression gets better by a factor of a hundred."""
    rng = np.random.default_rng(0)
    x, target = ag.tensor(rng.normal(size=(64, 8))), ag.tensor(rng.normal(size=(8, 3)))
    w = ag.zeros(8, 3, dtype=ag.float64, requires_grad=True)
    optimizer = Muon([w], lr=0.05, weight_decay=0.0)
    scheduler = ag.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, 100)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = ((x @ w - x @ target) ** 2).mean()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "Learning rate should be >= 0 but is: -1.0"),
        ({"momentum": -1.0}, "momentum should be >= 0 but is: -1.0"),
        ({"weight_decay": -1.0}, "weight decay should be >= 0 but is: -1.0"),
        ({"adjust_lr_fn": "x"}, "Adjust learning rate function x is not supported"),
        ({"ns_steps": 100}, "Number of steps must be less than 100"),
        ({"ns_coefficients": (1.0, 2.0)}, "Coefficients must be a tuple of exactly 3 values"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        Muon([ag.ones(2, 2, requires_grad=True)], **options)


def test_only_matrices():
    with pytest.raises(ValueError, match="Muon only supports 2D parameters"):
        Muon([ag.ones(2, requires_grad=True)])
