"""Averaged models beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.optim import swa_utils


def models(torch: Any) -> tuple[Any, Any]:
    """The same network here and in PyTorch, with a buffer each of floats and of integers."""
    made = []
    for library in (ag, torch):
        model = library.nn.Sequential(library.nn.Linear(3, 4), library.nn.Linear(4, 2))
        model[1].register_buffer("scale", library.zeros(2))
        model[1].register_buffer("count", library.tensor(0))
        made.append(model)
    return tuple(made)


def change(torch: Any, ours: Any, theirs: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for (name, p), q in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        value = rng.normal(size=p.shape).astype("float32") if name != "1.count" else np.array(7 * seed)
        p.array[...] = value
        q.copy_(torch.tensor(value))


def averages(library: Any, kind: str) -> dict[str, Any]:
    utils = library.optim.swa_utils
    return {
        "plain": {},
        "plain, with buffers": {"use_buffers": True},
        "ema": {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.9)},
        "ema, with buffers": {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.75), "use_buffers": True},
        "ema one by one": {"avg_fn": utils.get_ema_avg_fn(0.9)},
        "swa one by one": {"avg_fn": utils.get_swa_avg_fn()},
        "swa all at once": {"multi_avg_fn": utils.get_swa_multi_avg_fn()},
        "of one's own": {"avg_fn": lambda mean, p, n: 0.5 * mean + 0.25 * p + n},
    }[kind]


KINDS = ["plain", "plain, with buffers", "ema", "ema, with buffers", "ema one by one", "swa one by one", "swa all at once"]


@pytest.mark.parametrize("kind", [*KINDS, "of one's own"])
def test_means_are_those_of_pytorch(kind):
    torch = pytest.importorskip("torch")
    ours, theirs = models(torch)
    change(torch, ours, theirs, 0)
    averaged = swa_utils.AveragedModel(ours, **averages(ag, kind))
    oracle = torch.optim.swa_utils.AveragedModel(theirs, **averages(torch, kind))
    for seed in range(1, 6):
        change(torch, ours, theirs, seed)
        averaged.update_parameters(ours)
        oracle.update_parameters(theirs)
    state, expected = averaged.state_dict(), oracle.state_dict()
    assert list(state) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(state[name].array, value.numpy(), rtol=1e-5, atol=1e-6, err_msg=name)
    assert all(p.requires_grad for p in averaged.parameters())
    x = np.random.default_rng(9).normal(size=(5, 3)).astype("float32")
    np.testing.assert_allclose(averaged(ag.tensor(x)).numpy(force=True), oracle(torch.tensor(x)).detach().numpy(), 1e-4, 1e-5)


def test_the_model_itself_is_left_alone():
    model = ag.nn.Linear(2, 2)
    averaged = swa_utils.AveragedModel(model)
    before = model.weight.numpy(force=True).copy()
    for _ in range(3):
        averaged.update_parameters(model)
        averaged.module.weight.array[...] += 1
    np.testing.assert_array_equal(model.weight.numpy(force=True), before)
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
        swa_utils.AveragedModel(model, avg_fn=max, multi_avg_fn=max)
    with pytest.raises(ValueError, match="Invalid decay value 1.5 provided"):
        swa_utils.get_ema_avg_fn(1.5)


def test_a_written_mean_is_noticed():
    """An average that is used in a graph must not change under it in silence."""
    model = ag.nn.Linear(2, 1)
    averaged = swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    x = ag.ones(1, 2, requires_grad=True)
    y = averaged(x).sum()
    averaged.update_parameters(model)
    with pytest.raises(RuntimeError, match="update_parameters"):
        y.backward()


class Norm(ag.nn.Module):
    """Keeps a running mean, as batch normalization does; momentum None is the plain mean of the batches."""

    def __init__(self) -> None:
        super().__init__()
        self.momentum: float | None = 0.1
        self.register_buffer("running_mean", ag.zeros(2))
        self.batches = 0

    def reset_running_stats(self) -> None:
        self.running_mean.zero_()
        self.batches = 0

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        if self.training:
            self.batches += 1
            weight = 1 / self.batches if self.momentum is None else self.momentum
            with ag.no_grad():
                self.running_mean.lerp_(x.mean(0), weight)
        return x - self.running_mean


def test_update_bn():
    model = ag.nn.Sequential(Norm(), ag.nn.Linear(2, 2)).eval()
    batches = [ag.full((3, 2), float(k)) for k in (1, 2, 6)]
    model[0].running_mean.fill_(100.0)
    swa_utils.update_bn([(batch, "label") for batch in batches], model, device="cpu")
    np.testing.assert_allclose(model[0].running_mean.numpy(), 3.0, rtol=1e-6)
    assert model[0].momentum == 0.1 and not model.training
    swa_utils.update_bn(iter(batches[:1]), model)
    np.testing.assert_allclose(model[0].running_mean.numpy(), 1.0)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_statistics_of_batch_normalization_are_those_of_pytorch(momentum):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    batches = [rng.normal(k, k + 1, (6, 3)).astype("float32") for k in range(4)]
    found = []
    for library in (ag, torch):
        model = library.nn.Sequential(library.nn.BatchNorm1d(3, momentum=momentum))
        model(library.ones(4, 3) * 7)
        library.optim.swa_utils.update_bn([library.tensor(batch) for batch in batches], model.eval())
        assert model[0].momentum == momentum and not model.training
        found.append({name: value.numpy() for name, value in model.state_dict().items() if "running" in name})
    for name, value in found[1].items():
        np.testing.assert_allclose(found[0][name], value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "options",
    [
        {"swa_lr": 0.05},
        {"swa_lr": [0.05, 0.2], "anneal_epochs": 4, "anneal_strategy": "linear"},
        {"swa_lr": 0.7, "anneal_epochs": 0},
        {"swa_lr": 0.1, "anneal_epochs": 1},
    ],
    ids=str,
)
def test_swalr(options):
    torch = pytest.importorskip("torch")
    pairs = []
    for library in (ag, torch):
        a, b = (library.ones(1, requires_grad=True) for _ in range(2))
        optimizer = library.optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.3}], lr=0.5)
        first = library.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        swa = library.optim.swa_utils.SWALR(optimizer, **options)
        rates = []
        for step in range(30):
            optimizer.step()
            (swa if step > 5 else first).step()
            rates.append([group["lr"] for group in optimizer.param_groups])
            if step == 8:  # from its saved state
                state = swa.state_dict()
                swa = library.optim.swa_utils.SWALR(optimizer, 1.0)
                for group, held in zip(optimizer.param_groups, state["_last_lr"], strict=True):
                    group["lr"] = held
                swa.load_state_dict(state)
        pairs.append(rates)
    np.testing.assert_allclose(pairs[0], pairs[1], rtol=1e-12)


def test_swalr_refusals():
    optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.1)
    with pytest.raises(ValueError, match="anneal_strategy must be one of 'cos' or 'linear', instead got x"):
        swa_utils.SWALR(optimizer, 0.1, anneal_strategy="x")
    with pytest.raises(ValueError, match="anneal_epochs must be equal or greater than 0, got -1"):
        swa_utils.SWALR(optimizer, 0.1, anneal_epochs=-1)
    with pytest.raises(ValueError, match="swa_lr must have the same length as optimizer.param_groups"):
        swa_utils.SWALR(optimizer, [0.1, 0.2])
