"""Every optimizer, averaged models and saved states on a CUDA device do what they do on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import optim
from autograd_gpu.optim import swa_utils

LINES: list[tuple[str, dict[str, Any]]] = [
    ("Adamax", {"weight_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"betas": (0.5, 0.6), "lr": 0.1}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "eps": 0.1}),
    ("Adagrad", {"initial_accumulator_value": 0.2, "lr_decay": 0.1}),
    ("Adadelta", {"maximize": True}),
    ("Rprop", {"lr": 0.1}),
    ("ASGD", {"t0": 2, "lr": 0.1, "weight_decay": 0.1}),
    ("Lion", {"lr": 0.1, "weight_decay": 0.1}),
    ("Muon", {"lr": 0.1}),
]


def parameters(device: str, matrices: bool) -> list[ag.Tensor]:
    rng = np.random.default_rng(0)
    shapes = [(4, 3), (2, 5)] if matrices else [(4, 3), (5,), (), (2, 0), (90, 100)]
    return [ag.tensor(rng.normal(size=s).astype("float32"), device=device).requires_grad_() for s in shapes]


def gradients(params: list[ag.Tensor], step: int) -> None:
    rng = np.random.default_rng(step + 1)
    for i, p in enumerate(params):
        g = ag.tensor(rng.normal(size=tuple(p.shape)).astype("float32"), device=str(p.device))
        p.grad = None if (step, i) == (1, 1) else g


def near(found: list, wanted: list, tolerance: float) -> None:
    for p, q in zip(found, wanted, strict=True):
        np.testing.assert_allclose(p.detach().cpu().numpy(), q.detach().cpu().numpy(), tolerance, tolerance)


@pytest.mark.parametrize(("name", "options"), LINES, ids=[name for name, _ in LINES])
def test_optimizers_are_the_cpus(name: str, options: dict) -> None:
    tolerance = 5e-2 if name == "Muon" else 2e-5  # the directions of Muon are worked out in bfloat16 there
    ours, theirs = (parameters(device, name == "Muon") for device in ("cuda", "cpu"))
    optimizers = [getattr(optim, name)(params, **options) for params in (ours, theirs)]
    for step in range(4):
        for params, optimizer in zip((ours, theirs), optimizers, strict=True):
            gradients(params, step)
            optimizer.step()
        near(ours, theirs, tolerance)
    states = [optimizer.state_dict() for optimizer in optimizers]
    for number, held in states[1]["state"].items():
        for key, value in held.items():
            near([states[0]["state"][number][key]], [value], tolerance)
    moved = getattr(optim, name)(ours, **options)  # the state of the CPU goes on here
    moved.load_state_dict(states[1])
    gradients(ours, 9)
    gradients(theirs, 9)
    moved.step()
    optimizers[1].step()
    near(ours, theirs, tolerance)


def test_lbfgs() -> None:
    ends = []
    for device in ("cuda", "cpu"):
        w = ag.tensor([-1.2, 1.0], dtype=ag.float64, device=device, requires_grad=True)
        optimizer = optim.LBFGS([w], line_search_fn="strong_wolfe", max_iter=6)

        def closure(w: ag.Tensor = w, optimizer: Any = optimizer) -> ag.Tensor:
            optimizer.zero_grad()
            loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
            loss.backward()
            return loss

        optimizer.step(closure)
        ends.append(w)
    near(ends[:1], ends[1:], 1e-6)


def test_averaged_models() -> None:
    means = []
    for device in ("cuda", "cpu"):
        model = ag.nn.Linear(2, 2).to(device)
        averaged = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.75))
        for value in (1.0, 2.0, 4.0):
            for p in model.parameters():
                p.detach().fill_(value)
            averaged.update_parameters(model)
        means.append(list(averaged.parameters()))
        assert all(str(p.device).startswith(device) for p in means[-1])
    near(*means, 1e-6)
