"""LBFGS beside PyTorch's, on functions with known minima."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.optim import LBFGS
from autograd_gpu.optim.lbfgs import cubic_minimum


def rosenbrock(a: Any, b: Any) -> Any:
    """Of four variables in two parameters; 0 at all ones."""
    x, y, z, w = a[0], a[1], b[0, 0], b[0, 1]
    return 100 * (y - x * x) ** 2 + (1 - x) ** 2 + 100 * (z - y * y) ** 2 + (1 - y) ** 2 + 100 * (w - z * z) ** 2 + (1 - z) ** 2


def bumps(a: Any, b: Any) -> Any:
    """Not convex: the line search has to bracket and to zoom."""
    return (a * a).sum().cos() + 0.1 * ((a - 2) ** 2).sum() + (b * 3).sin().sum() + 0.2 * (b**4).sum()


def made(library: Any, dtype: str, **options: Any) -> tuple[list, Any]:
    starts = np.array([-1.2, 1.0], dtype), np.array([[0.7, -0.4]], dtype)
    params = [library.tensor(s) for s in starts]
    for p in params:
        p.requires_grad_()
    return params, library.optim.LBFGS(params, **options)


def closure_of(params: list, optimizer: Any, function: Any, calls: list) -> Any:
    def closure() -> Any:
        calls.append(1)
        optimizer.zero_grad()
        loss = function(*params)
        loss.backward()
        return loss

    return closure


OPTIONS: list[dict[str, Any]] = [
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 7},
    {"line_search_fn": "strong_wolfe", "lr": 0.1, "max_eval": 9},
    {"line_search_fn": "strong_wolfe", "lr": 4.0, "tolerance_change": 1e-3},
    {"lr": 0.1, "max_iter": 5},
    {"lr": 0.5, "history_size": 2, "max_iter": 10, "tolerance_grad": 1e-2},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("function", [rosenbrock, bumps])
def test_same_path_as_pytorch(function, options):
    torch = pytest.importorskip("torch")
    (ours, optimizer), (theirs, oracle) = (made(library, "float64", **options) for library in (ag, torch))
    calls: tuple[list, list] = ([], [])
    for _ in range(6):
        loss = optimizer.step(closure_of(ours, optimizer, function, calls[0]))
        expected = oracle.step(closure_of(theirs, oracle, function, calls[1]))
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6, abs=1e-12)
        assert len(calls[0]) == len(calls[1])
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.array, q.detach().numpy(), rtol=1e-5, atol=1e-8)
    state, wanted = optimizer.state_dict()["state"][0], oracle.state_dict()["state"][0]
    assert state.keys() == wanted.keys() - {"al"}
    assert state["n_iter"] == wanted["n_iter"] and state["func_evals"] == wanted["func_evals"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_finds_the_minimum(dtype):
    params, optimizer = made(ag, dtype, line_search_fn="strong_wolfe", max_iter=100)
    params[0].array[0] = 1.5  # from where it was, the way leads to another minimum
    optimizer.step(closure_of(params, optimizer, rosenbrock, []))
    for p in params:
        np.testing.assert_allclose(p.array, 1.0, atol=1e-3 if dtype == "float32" else 1e-4)


@pytest.mark.parametrize("source", ["torch", "here"])
def test_goes_on_from_a_state(source):
    torch = pytest.importorskip("torch")
    options = {"line_search_fn": "strong_wolfe", "max_iter": 6}
    theirs, oracle = made(torch, "float64", **options)
    ours, optimizer = made(ag, "float64", **options)
    for _ in range(2):
        oracle.step(closure_of(theirs, oracle, rosenbrock, []))
        optimizer.step(closure_of(ours, optimizer, rosenbrock, []))

    def converted(x: Any) -> Any:
        if isinstance(x, list):
            return [converted(y) for y in x]
        return x.numpy().copy() if isinstance(x, torch.Tensor) else x

    others, other = made(ag, "float64")
    if source == "torch":
        state = oracle.state_dict()
        state = {"state": {0: {k: converted(v) for k, v in state["state"][0].items()}}, "param_groups": state["param_groups"]}
    else:
        state = copy.deepcopy(optimizer.state_dict())
    other.load_state_dict(state)
    for p, q in zip(others, theirs, strict=True):
        p.array[...] = q.detach().numpy()
    other.step(closure_of(others, other, rosenbrock, []))
    oracle.step(closure_of(theirs, oracle, rosenbrock, []))
    for p, q in zip(others, theirs, strict=True):
        np.testing.assert_allclose(p.array, q.detach().numpy(), rtol=1e-6)


def test_a_parameter_without_a_gradient_stays():
    a, b = ag.ones(2, requires_grad=True), ag.ones(3, requires_grad=True)
    optimizer = LBFGS([a, b], lr=0.1)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (a * a).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert np.all(a.array < 1.0) and np.all(b.array == 1.0)


@pytest.mark.parametrize(
    ("points", "least"),
    [
        ((0.0, 1.0, -2.0, 2.0, 1.0, 2.0), 1.0),  # (x - 1)^2
        ((2.0, 1.0, 2.0, 0.0, 1.0, -2.0), 1.0),
        ((0.0, 0.0, 1.0, 1.0, 5.0, 1.0), 0.0),
        ((1.0, 0.0, 1.0, 1.0, 0.0, 1.0), 1.0),  # no way between them
        ((0.0, 0.0, -1.0, 1.0, -1.0, -1.0), 0.5),  # a straight line has no minimum
    ],
)
def test_cubic_minimum(points, least):
    assert cubic_minimum(*points) == pytest.approx(least)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda w: LBFGS([w], lr=-1.0), ValueError, "Invalid learning rate: -1.0"),
        (lambda w: LBFGS([{"params": [w]}, {"params": [ag.ones(1)]}]), ValueError, "doesn't support per-parameter options"),
        (lambda w: LBFGS([w], line_search_fn="armijo").step(lambda: 0.0), RuntimeError, "only 'strong_wolfe' is supported"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make(ag.ones(2, requires_grad=True))
