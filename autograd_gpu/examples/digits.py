"""The main job: a small network learns to read handwritten digits.

    from autograd_gpu.examples import digits
    result = digits.train(epochs=40, seed=0)
    print(result.accuracy)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

import autograd_gpu as ag
from autograd_gpu import nn, optim

HELD_BACK = 297  # scans that are tested on and never trained with


@dataclass
class Result:
    """What training gave: the model, the share of test digits that it reads right, and the seconds it took."""

    model: nn.Module
    loss: float
    accuracy: float
    seconds: float


def load() -> tuple[np.ndarray, np.ndarray]:
    """1,797 scans of handwritten digits: images (1797, 8, 8) with values from 0 to 16, and labels (1797,), both uint8.

    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
    https://doi.org/10.24432/C50P49, licence CC BY 4.0. See DIGITS.md beside the data.

    >>> images, labels = load()
    >>> images.shape, labels[:5].tolist()
    ((1797, 8, 8), [0, 1, 2, 3, 4])
    """
    with (files(__package__) / "digits.npz").open("rb") as file, np.load(file) as data:
        return data["images"], data["labels"]


def network() -> nn.Sequential:
    """64 pixels to 10 classes, by way of 64 hidden units."""
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def accuracy(model: nn.Module, images: ag.Tensor, labels: ag.Tensor) -> float:
    """The share of images that the model gives the right label."""
    with ag.no_grad():
        return float((model(images).argmax(1) == labels).float().mean())


def train(
    epochs: int = 40,
    seed: int = 0,
    device: str = "cpu",
    batch: int = 32,
    lr: float = 3e-3,
    report: Callable[[int, float, float], None] | None = None,
) -> Result:
    """Train the network. `report(epoch, loss, test accuracy)` is called after each epoch. The same seed gives the same
    result, bit for bit, on one machine."""
    started = time.perf_counter()
    ag.manual_seed(seed)
    images, labels = load()
    x = ag.tensor(images.reshape(len(images), -1), dtype=ag.float32, device=device) / 16
    y = ag.tensor(labels, dtype=ag.int64, device=device)
    order = ag.randperm(len(x), device=device)
    x, y = x[order], y[order]
    x_test, y_test, x, y = x[:HELD_BACK], y[:HELD_BACK], x[HELD_BACK:], y[HELD_BACK:]

    model = network().to(device)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    steps = epochs * -(-len(x) // batch)
    loss_of = nn.CrossEntropyLoss()
    mean_loss = right = float("nan")
    done = 0
    for epoch in range(1, epochs + 1):
        order = ag.randperm(len(x), device=device)
        losses = []
        for start in range(0, len(x), batch):
            chosen = order[start : start + batch]
            loss = loss_of(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.param_groups[0]["lr"] = lr * (1 - done / steps)  # down to nothing, which settles the last per cent
            optimizer.step()
            losses.append(loss.detach())
            done += 1
        mean_loss = float(ag.stack(losses).mean())
        right = accuracy(model, x_test, y_test)
        if report is not None:
            report(epoch, mean_loss, right)
    return Result(model, mean_loss, right, time.perf_counter() - started)
