"""Schedules beside PyTorch's: the rates and momenta of thirty steps, saved states, the order of calls, refusals."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import autograd_gpu as ag
from autograd_gpu.optim import lr_scheduler

# PyTorch warns of its own deprecated steps, and of the first step that one sequence in another makes; so do we
warned = pytest.mark.filterwarnings("ignore:The epoch parameter", "ignore:Detected call of `lr_scheduler.step")


class Decay:
    """A callable with state of its own."""

    def __init__(self, rate: float):
        self.rate = rate

    def __call__(self, epoch: int) -> float:
        return self.rate**epoch


def sequence(s: Any, o: Any) -> Any:
    parts = [s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingLR(o, 8), s.StepLR(o, 3, 0.5)]
    return s.SequentialLR(o, parts, [4, 13])


def nested(s: Any, o: Any) -> Any:
    inner = s.SequentialLR(o, [s.ConstantLR(o, 0.2, 3), s.ExponentialLR(o, 0.9)], [5])
    return s.SequentialLR(o, [inner, s.PolynomialLR(o, 10, 2.0)], [12])


MAKE: dict[str, Callable[[Any, Any], Any]] = {
    "lambda": lambda s, o: s.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1 / (1 + e)]),
    "lambda of one": lambda s, o: s.LambdaLR(o, Decay(0.8)),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.9 if e % 2 else 1.05),
    "step": lambda s, o: s.StepLR(o, 4, 0.5),
    "multistep": lambda s, o: s.MultiStepLR(o, [3, 7, 7, 20], 0.5),
    "constant": lambda s, o: s.ConstantLR(o, 0.25, 6),
    "linear": lambda s, o: s.LinearLR(o, 0.2, 0.9, 10),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "polynomial": lambda s, o: s.PolynomialLR(o, 20, 1.5),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 7, 0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4, 2, 0.01),
    "restarts of one length": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.1, [0.5, 0.9], 3, 5),
    "cyclic triangular2": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 4, mode="triangular2", base_momentum=[0.5, 0.6]),
    "cyclic exp_range": lambda s, o: s.CyclicLR(o, [0.1, 0.2], 0.5, 4, mode="exp_range", gamma=0.9, cycle_momentum=False),
    "cyclic of a function": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 4, scale_fn=Decay(0.7), scale_mode="iterations"),
    "one cycle": lambda s, o: s.OneCycleLR(o, [1.0, 2.0], 31),
    "one cycle linear": lambda s, o: s.OneCycleLR(o, 1.0, epochs=8, steps_per_epoch=4, anneal_strategy="linear", pct_start=0.4),
    "one cycle of three phases": lambda s, o: s.OneCycleLR(o, 1.0, 40, three_phase=True, cycle_momentum=False),
    "sequential": sequence,
    "sequential in sequential": nested,
    "chained": lambda s, o: s.ChainedScheduler([s.LinearLR(o, 0.5, total_iters=5), s.ExponentialLR(o, 0.9), s.StepLR(o, 6)]),
}


def optimizers(torch: Any, kind: str = "SGD", tensors: bool = False) -> tuple[Any, Any]:
    """The same two groups here and in PyTorch."""
    made = []
    for library in (ag, torch):
        a, b = (library.ones(2, requires_grad=True) for _ in range(2))
        rates = [library.tensor(r, dtype=library.float64) if tensors else r for r in (0.5, 0.3)]
        options = {"momentum": 0.9} if kind == "SGD" else {}
        made.append(getattr(library.optim, kind)([{"params": [a]}, {"params": [b], "lr": rates[1]}], lr=rates[0], **options))
    return tuple(made)


def numbers(optimizer: Any) -> list[float]:
    """Rates and momenta of all groups."""
    return [float(x) for g in optimizer.param_groups for x in (g["lr"], g.get("momentum", 0.0), *g.get("betas", ()))]


def go(optimizer: Any, scheduler: Any, steps: int) -> list[list[float]]:
    found = []
    for _ in range(steps):
        found.append(numbers(optimizer))
        optimizer.step()
        scheduler.step()
    return found


def theirs_of(torch: Any) -> Any:
    return torch.optim.lr_scheduler


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", MAKE)
@warned
def test_thirty_steps(name, kind):
    torch = pytest.importorskip("torch")
    ours, theirs = optimizers(torch, kind)
    scheduler, oracle = MAKE[name](lr_scheduler, ours), MAKE[name](theirs_of(torch), theirs)
    for mine, other in zip(go(ours, scheduler, 30), go(theirs, oracle, 30), strict=True):
        assert mine == pytest.approx(other, rel=1e-12)
    assert scheduler.get_last_lr() == pytest.approx(oracle.get_last_lr(), rel=1e-12)
    mine, other = scheduler.state_dict(), oracle.state_dict()
    assert mine.keys() == other.keys()
    for key, value in mine.items():
        if key not in ("_schedulers", "_last_lr", "base_lrs", "lr_lambdas"):
            assert value == other[key] or value == pytest.approx(other[key]), key


@pytest.mark.parametrize("name", MAKE)
@warned
def test_goes_on_from_a_state(name):
    """Half of the steps here or in PyTorch, and the rest from its state."""
    torch = pytest.importorskip("torch")
    theirs_first, oracle_optimizer = optimizers(torch)
    expected = go(theirs_first, MAKE[name](lr_scheduler, theirs_first), 30)[11:]
    first, _ = optimizers(torch)
    scheduler = MAKE[name](lr_scheduler, first)
    go(first, scheduler, 11)
    oracle = MAKE[name](theirs_of(torch), oracle_optimizer)
    go(oracle_optimizer, oracle, 11)
    for state, groups in ((scheduler.state_dict(), first), (oracle.state_dict(), oracle_optimizer)):
        other, _ = optimizers(torch)
        resumed = MAKE[name](lr_scheduler, other)
        saved = groups.state_dict()["param_groups"]
        other.load_state_dict({"state": {}, "param_groups": copy.deepcopy(saved)})
        resumed.load_state_dict(copy.deepcopy(state))
        for mine, wanted in zip(go(other, resumed, 19), expected, strict=True):
            assert mine == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    "name", ["lambda", "step", "multistep", "exponential", "cosine", "restarts", "cyclic", "one cycle", "polynomial", "linear"]
)
def test_last_epoch(name):
    """Made with last_epoch=8 over groups that know their initial rates."""
    torch = pytest.importorskip("torch")
    pair = optimizers(torch)
    results = []
    for optimizer, s in zip(pair, (lr_scheduler, theirs_of(torch)), strict=True):
        for group in optimizer.param_groups:
            group.update(initial_lr=0.7, max_lr=1.0, min_lr=1e-3, base_momentum=0.8, max_momentum=0.9)
        make = {
            "lambda": lambda o, s=s: s.LambdaLR(o, lambda e: 0.9**e, last_epoch=8),
            "step": lambda o, s=s: s.StepLR(o, 3, last_epoch=8),
            "multistep": lambda o, s=s: s.MultiStepLR(o, [3, 9, 12], last_epoch=8),
            "exponential": lambda o, s=s: s.ExponentialLR(o, 0.9, last_epoch=8),
            "cosine": lambda o, s=s: s.CosineAnnealingLR(o, 12, last_epoch=8),
            "restarts": lambda o, s=s: s.CosineAnnealingWarmRestarts(o, 5, last_epoch=8),
            "cyclic": lambda o, s=s: s.CyclicLR(o, 0.1, 0.5, 3, last_epoch=8),
            "one cycle": lambda o, s=s: s.OneCycleLR(o, 1.0, 40, last_epoch=8),
            "polynomial": lambda o, s=s: s.PolynomialLR(o, 20, last_epoch=8),
            "linear": lambda o, s=s: s.LinearLR(o, total_iters=15, last_epoch=8),
        }[name]
        results.append(go(optimizer, make(optimizer), 10))
    for mine, other in zip(*results, strict=True):
        assert mine == pytest.approx(other, rel=1e-12)


@pytest.mark.parametrize("name", ["step", "multistep", "constant", "linear", "exponential", "polynomial", "cosine", "restarts"])
@warned
def test_steps_to_an_epoch(name):
    torch = pytest.importorskip("torch")
    ours, theirs = optimizers(torch)
    scheduler, oracle = MAKE[name](lr_scheduler, ours), MAKE[name](theirs_of(torch), theirs)
    ours.step()
    theirs.step()
    for epoch in (3, 9, 4.5 if name == "restarts" else 4, 25):
        scheduler.step(epoch)
        oracle.step(epoch)
        assert numbers(ours) == pytest.approx(numbers(theirs), rel=1e-12)


@pytest.mark.parametrize("name", ["step", "exponential", "cyclic", "cosine", "chained"])
def test_rates_that_are_tensors_stay_the_same_tensors(name):
    torch = pytest.importorskip("torch")
    ours, theirs = optimizers(torch, tensors=True)
    rates = [group["lr"] for group in ours.param_groups]
    scheduler, oracle = MAKE[name](lr_scheduler, ours), MAKE[name](theirs_of(torch), theirs)
    for _ in range(9):
        ours.step()
        theirs.step()
        scheduler.step()
        oracle.step()
        assert numbers(ours) == pytest.approx(numbers(theirs), rel=1e-6)
    assert all(group["lr"] is rate for group, rate in zip(ours.param_groups, rates, strict=True))
    assert scheduler.get_last_lr()[0] is not rates[0]


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"mode": "max", "patience": 1, "threshold": 0.2},
        {"threshold_mode": "abs", "threshold": 0.1, "patience": 1, "cooldown": 2},
        {"mode": "max", "threshold_mode": "abs", "patience": 0, "min_lr": [0.1, 0.2]},
        {"patience": 0, "min_lr": 0.29999, "eps": 1e-3, "factor": 0.5},
    ],
    ids=str,
)
def test_plateau(options):
    torch = pytest.importorskip("torch")
    ours, theirs = optimizers(torch)
    scheduler = lr_scheduler.ReduceLROnPlateau(ours, **options)
    oracle = theirs_of(torch).ReduceLROnPlateau(theirs, **options)
    for i, loss in enumerate([3.0, 2.5, 2.6, 2.45, 2.4, 2.7, 2.7, 2.7, 2.7, 1.0, 1.1, 1.2, 1.3, 1.4, float("nan"), 5.0]):
        scheduler.step(ag.tensor(loss))
        oracle.step(torch.tensor(loss))
        assert numbers(ours) == pytest.approx(numbers(theirs), rel=1e-12)
        assert scheduler.state_dict() == oracle.state_dict()
        if i == 7:
            state = scheduler.state_dict()
            scheduler = lr_scheduler.ReduceLROnPlateau(ours)
            scheduler.load_state_dict(state)


def test_plain_functions_are_not_saved():
    optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=1.0)
    plain = lr_scheduler.LambdaLR(optimizer, lambda epoch: 1.0)
    assert plain.state_dict()["lr_lambdas"] == [None]
    scheduler = lr_scheduler.LambdaLR(optimizer, Decay(0.5))
    state = scheduler.state_dict()
    assert state["lr_lambdas"] == [{"rate": 0.5}]
    other = lr_scheduler.LambdaLR(optimizer, Decay(0.1))
    other.load_state_dict(state)
    assert other.lr_lambdas[0].rate == 0.5 and "lr_lambdas" in state


def test_order_of_calls():
    """The scheduler is to be stepped after the optimizer."""
    optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=1.0)
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match=r"`lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        scheduler.step()
    optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=1.0)
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    optimizer.step = lambda: None
    with pytest.warns(UserWarning, match="has been overridden"):
        scheduler.step()
    optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=1.0)
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            optimizer.step()
            scheduler.step()
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(7)


def test_training_with_a_schedule():
    """The schedule reaches the updates: each step is as long as its rate."""
    w = ag.zeros(1, requires_grad=True)
    optimizer = ag.optim.SGD([w], lr=1.0)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    for _ in range(4):
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()
        scheduler.step()
    assert w.item() == -1.875


S = lr_scheduler
REFUSED: list[tuple[Callable[[Any], Any], type, str]] = [
    (lambda o: S.StepLR("optimizer", 3), TypeError, "str is not an Optimizer"),
    (lambda o: S.StepLR(o, 3, last_epoch=2), KeyError, "param 'initial_lr' is not specified in param_groups"),
    (lambda o: S.LambdaLR(o, [lambda e: 1.0]), ValueError, "Expected 2 lr_lambdas, but got 1"),
    (lambda o: S.MultiplicativeLR(o, 0.5), TypeError, "lr_lambda should be a function, but got float"),
    (lambda o: S.ConstantLR(o, 1.5), ValueError, "expected to be between 0 and 1"),
    (lambda o: S.LinearLR(o, 0.0), ValueError, "Starting multiplicative factor"),
    (lambda o: S.LinearLR(o, end_factor=1.5), ValueError, "Ending multiplicative factor"),
    (lambda o: S.SequentialLR(o, [], []), ValueError, "expects at least one scheduler, but got no scheduler"),
    (lambda o: S.SequentialLR(o, [S.StepLR(o, 1)], [3]), ValueError, "one more than the number of milestone points"),
    (lambda o: S.SequentialLR(o, [S.ReduceLROnPlateau(o)], []), ValueError, "does not support `ReduceLROnPlateau`"),
    (lambda o: S.ChainedScheduler([]), ValueError, "expects at least one scheduler to be chained"),
    (lambda o: S.ChainedScheduler([3]), TypeError, "should have `optimizer` as its attribute"),
    (
        lambda o: S.ChainedScheduler([S.StepLR(o, 1), S.StepLR(ag.optim.SGD([ag.ones(1)]), 1)]),
        ValueError,
        "belong to the same optimizer",
    ),
    (lambda o: S.ReduceLROnPlateau(o, factor=1.0), ValueError, "Factor should be < 1.0"),
    (lambda o: S.ReduceLROnPlateau(o, mode="up"), ValueError, "mode up is unknown"),
    (lambda o: S.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold mode x is unknown"),
    (lambda o: S.ReduceLROnPlateau(o, min_lr=[1.0]), ValueError, "expected 2 min_lrs, got 1"),
    (lambda o: S.CyclicLR(o, 0.1, 0.2, mode="x"), ValueError, "mode is invalid and scale_fn is None"),
    (lambda o: S.CyclicLR(o, [0.1], 0.2), ValueError, "base_lr must have the same length as optimizer.param_groups"),
    (lambda o: S.CyclicLR(ag.optim.Adagrad([ag.ones(1)]), 0.1, 0.2), ValueError, "must support momentum or beta1"),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 0), ValueError, "Expected positive integer T_0, but got 0"),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 3, 0), ValueError, "Expected integer T_mult >= 1, but got 0"),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 3).step(-1), ValueError, "Expected non-negative epoch, but got -1"),
    (lambda o: S.OneCycleLR(o, 0.1), ValueError, "You must define either total_steps OR"),
    (lambda o: S.OneCycleLR(o, 0.1, -1), ValueError, "Expected positive integer total_steps, but got -1"),
    (lambda o: S.OneCycleLR(o, 0.1, 5, pct_start=2.0), ValueError, "Expected float between 0 and 1 pct_start, but got 2.0"),
    (lambda o: S.OneCycleLR(o, 0.1, 5, anneal_strategy="x"), ValueError, "must be one of 'cos' or 'linear', instead got x"),
    (lambda o: go(o, S.OneCycleLR(o, 0.1, 2), 4), ValueError, "Tried to step 3 times. The specified number of total steps is 2"),
]


@pytest.mark.parametrize(("make", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_refusals(make, error, message):
    a, b = (ag.ones(2, requires_grad=True) for _ in range(2))
    with pytest.raises(error, match=message):
        make(ag.optim.SGD([{"params": [a]}, {"params": [b]}], lr=0.5, momentum=0.9))
