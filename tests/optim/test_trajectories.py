"""Every optimizer over some steps beside PyTorch's: two groups, missing gradients, large parameters in pieces, saved states."""

from __future__ import annotations

import copy
import tracemalloc
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import optim
from autograd_gpu.backend.cpu import optim as words

SHAPES = [(5, 3), (7,), (), (2, 0), (4, 3, 2)]

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.1, "amsgrad": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adamax", {"lr": 0.1, "maximize": True, "weight_decay": 0.1}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.1, "betas": (0.5, 0.9), "momentum_decay": 0.1, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("NAdam", {"lr": 0.1, "betas": (0.0, 0.9)}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.9, "weight_decay": 0.1, "eps": 1e-3}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.9, "maximize": True}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.5, "centered": True, "eps": 1e-2}),
    ("RMSprop", {"lr": 0.1, "centered": True, "eps": 1e-2, "maximize": True, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.3}),
    ("Adagrad", {"lr": 0.1, "maximize": True, "eps": 1e-2}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.5, "eps": 1e-3, "weight_decay": 0.1}),
    ("Adadelta", {"maximize": True, "weight_decay": 0.1}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (1e-2, 0.2)}),
    ("Rprop", {"maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.01, "alpha": 0.5, "t0": 3, "weight_decay": 0.1}),
    ("ASGD", {"lr": 0.1, "t0": 2, "maximize": True}),
]
IDS = [f"{name}-{'-'.join(options)}" for name, options in OPTIONS]
EACH = [next(line for line in reversed(OPTIONS) if line[0] == name) for name in dict(OPTIONS)]  # one line each
TOLERANCE = {"float64": 1e-9, "float32": 2e-5}


def pair(torch: Any, dtype: str, shapes: list = SHAPES) -> tuple[list, list]:
    """The same parameters here and in PyTorch."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s).astype(dtype) for s in shapes]
    return [ag.tensor(a, requires_grad=True) for a in arrays], [torch.nn.Parameter(torch.tensor(a)) for a in arrays]


def set_gradients(torch: Any, ours: list, theirs: list, step: int, without: tuple = ()) -> None:
    rng = np.random.default_rng(100 + step)
    for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
        g = rng.normal(size=p.array.shape).astype(p.array.dtype)
        p.grad, q.grad = (None, None) if i in without else (ag.tensor(g), torch.tensor(g))


def groups(params: list) -> list[dict[str, Any]]:
    """Two groups, of which the second has a rate of its own."""
    return [{"params": params[:3]}, {"params": params[3:], "lr": 0.03}]


def same(ours: list, theirs: list, tolerance: float) -> None:
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.array, q.detach().numpy(), tolerance, tolerance)


def same_state(ours: dict, theirs: dict, tolerance: float) -> None:
    assert ours["state"].keys() == theirs["state"].keys()
    for number, held in theirs["state"].items():
        assert set(held) == set(ours["state"][number])
        for name, value in held.items():
            np.testing.assert_allclose(ours["state"][number][name].array, value.numpy(), tolerance, tolerance, err_msg=name)
    for mine, other in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        assert mine.keys() <= other.keys()
        assert all(mine[name] == other[name] for name in mine)


def arrays_of(state: dict) -> dict:
    """A state dict of PyTorch with arrays for its tensors."""
    held = {n: {k: v.numpy().copy() for k, v in s.items()} for n, s in state["state"].items()}
    return {"state": held, "param_groups": copy.deepcopy(state["param_groups"])}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=IDS)
def test_same_path_as_pytorch(name, options, dtype, monkeypatch):
    """Twelve steps in two groups; in some, some have no gradient; a rate changes on the way; some are cut into pieces."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(words, "PIECE", 6)
    ours, theirs = pair(torch, dtype)
    optimizer = getattr(optim, name)(groups(ours), **options)
    oracle = getattr(torch.optim, name)(groups(theirs), **options)
    for step in range(12):
        set_gradients(torch, ours, theirs, step, {0: (4,), 4: (0, 3), 5: (1,), 6: (0, 1, 2, 3, 4)}.get(step, ()))
        if step == 8:
            optimizer.param_groups[0]["lr"] = oracle.param_groups[0]["lr"] = 0.05
        optimizer.step()
        oracle.step()
        same(ours, theirs, TOLERANCE[dtype])
    same_state(optimizer.state_dict(), oracle.state_dict(), TOLERANCE[dtype])


@pytest.mark.parametrize(("name", "options"), EACH, ids=[name for name, _ in EACH])
def test_state_goes_both_ways(name, options):
    """From PyTorch after three steps to here and, after three more, back; a group is added last."""
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, "float64")
    optimizer = getattr(optim, name)(groups(ours), lr=77.0)
    oracle = getattr(torch.optim, name)(groups(theirs), **options)
    for step in range(3):
        set_gradients(torch, ours, theirs, step)
        oracle.step()
    for p, q in zip(ours, theirs, strict=True):
        p.array[...] = q.detach().numpy()
    optimizer.load_state_dict(arrays_of(oracle.state_dict()))
    for step in range(3, 6):
        set_gradients(torch, ours, theirs, step)
        optimizer.step()
        oracle.step()
    same(ours, theirs, 1e-9)
    back = optimizer.state_dict()
    state = {n: {k: torch.tensor(v.numpy()) for k, v in s.items()} for n, s in back["state"].items()}
    fresh = getattr(torch.optim, name)(groups(theirs), lr=77.0)
    fresh.load_state_dict({"state": state, "param_groups": back["param_groups"]})
    set_gradients(torch, ours, theirs, 6)
    optimizer.step()
    fresh.step()
    same(ours, theirs, 1e-9)
    (mine,), (other,) = pair(torch, "float64", [(3,)])
    optimizer.add_param_group({"params": mine, "lr": 0.5})
    fresh.add_param_group({"params": other, "lr": 0.5})
    set_gradients(torch, [*ours, mine], [*theirs, other], 7)
    optimizer.step()
    fresh.step()
    same([*ours, mine], [*theirs, other], 1e-9)


ALL = [*EACH, ("Lion", {"weight_decay": 0.1})]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("name", "options"), ALL, ids=[name for name, _ in ALL])
def test_half_precision_stays_near(name, options, dtype):
    """Parameters and gradients that are the same numbers in float32 take nearly the same path."""
    options = {**options, "lr": 0.01}
    if "eps" in options:
        options["eps"] = 1e-2
    kind = getattr(optim, name)
    rng = np.random.default_rng(0)
    low = [ag.tensor(rng.normal(size=s)).to(getattr(ag, dtype)).requires_grad_() for s in [(5, 3), (4,)]]
    high = [p.detach().float().requires_grad_() for p in low]
    optimizers = kind(low, **options), kind(high, **options)
    for _ in range(3):
        for p, q in zip(low, high, strict=True):
            p.grad = ag.tensor(np.sign(rng.normal(size=p.shape)) * rng.uniform(0.5, 1.5, p.shape)).to(p.dtype)
            q.grad = p.grad.float()
        for optimizer in optimizers:
            optimizer.step()
    for p, q in zip(low, high, strict=True):
        assert p.dtype == getattr(ag, dtype)
        np.testing.assert_allclose(p.float().numpy(force=True), q.numpy(force=True), atol=4e-3 if dtype == "float16" else 4e-2)


@pytest.mark.parametrize(("name", "options"), ALL, ids=[name for name, _ in ALL])
def test_no_temporaries_of_parameter_size(name, options):
    """A step of half a million parameters in one tensor, of 2 MB, allocates the size of a piece or two."""
    p = ag.zeros(700, 700, requires_grad=True)
    p.grad = ag.ones(700, 700)
    optimizer = getattr(optim, name)([p], **options)
    optimizer.step()
    tracemalloc.start()
    try:
        optimizer.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 120_000


@pytest.mark.parametrize("maximize", [False, True])
def test_lion_by_its_formula(maximize):
    rng = np.random.default_rng(0)
    value, mean = rng.normal(size=(4, 3)), np.zeros((4, 3))
    w = ag.tensor(value, requires_grad=True)
    optimizer = optim.Lion([w], lr=0.1, betas=(0.8, 0.6), weight_decay=0.2, maximize=maximize)
    for _ in range(5):
        g = rng.normal(size=(4, 3))
        w.grad = ag.tensor(g)
        optimizer.step()
        g = -g if maximize else g
        value = value * (1 - 0.1 * 0.2) - 0.1 * np.sign(0.8 * mean + 0.2 * g)
        mean = 0.6 * mean + 0.4 * g
        np.testing.assert_allclose(w.array, value, rtol=1e-12)
    np.testing.assert_allclose(optimizer.state[w]["exp_avg"].array, mean, rtol=1e-12)


def test_rates_that_are_tensors():
    a, b = ag.ones(3, requires_grad=True), ag.ones(3, requires_grad=True)
    a.grad, b.grad = ag.ones(3), ag.ones(3)
    optim.RMSprop([a], lr=ag.tensor(0.25)).step()
    optim.RMSprop([b], lr=0.25).step()
    np.testing.assert_array_equal(a.array, b.array)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda w: optim.Adamax([w], lr=-1.0), ValueError, "Invalid learning rate: -1.0"),
        (lambda w: optim.Adamax([w], lr=ag.ones(2)), ValueError, "Tensor lr must be 1-element"),
        (lambda w: optim.Adamax([w], betas=(0.9, 1.0)), ValueError, "Invalid beta parameter at index 1: 1.0"),
        (lambda w: optim.NAdam([w], momentum_decay=-1.0), ValueError, "Invalid momentum_decay value: -1.0"),
        (lambda w: optim.RAdam([w], eps=-1.0), ValueError, "Invalid epsilon value: -1.0"),
        (lambda w: optim.RMSprop([w], alpha=-1.0), ValueError, "Invalid alpha value: -1.0"),
        (lambda w: optim.RMSprop([w], momentum=-1.0), ValueError, "Invalid momentum value: -1.0"),
        (lambda w: optim.Adagrad([w], lr_decay=-1.0), ValueError, "Invalid lr_decay value: -1.0"),
        (lambda w: optim.Adagrad([w], initial_accumulator_value=-1.0), ValueError, "Invalid initial_accumulator_value value"),
        (lambda w: optim.Adagrad([w], fused=True, foreach=True), RuntimeError, "cannot be `True` together"),
        (lambda w: optim.Adadelta([w], rho=1.5), ValueError, "Invalid rho value: 1.5"),
        (lambda w: optim.Adadelta([w], weight_decay=-1.0), ValueError, "Invalid weight_decay value: -1.0"),
        (lambda w: optim.Rprop([w], etas=(0.5, 0.9)), ValueError, "Invalid eta values: 0.5, 0.9"),
        (lambda w: optim.ASGD([w], weight_decay=-1.0), ValueError, "Invalid weight_decay value: -1.0"),
        (lambda w: optim.Lion([w], betas=(-0.1, 0.9)), ValueError, "Invalid beta parameter at index 0: -0.1"),
        (lambda w: optim.NAdam([w], differentiable=True), NotImplementedError, "differentiable"),
        (lambda w: optim.SGD([("w", w), ag.zeros(1)]), ValueError, "Some param names are missing"),
        (lambda w: optim.SGD([{"params": [("w", w)]}, {"params": [ag.zeros(1)]}]), ValueError, "group without names"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make(ag.ones(2, requires_grad=True))
