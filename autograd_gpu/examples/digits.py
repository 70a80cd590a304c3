"""The main job: a small network learns to read handwritten digits.

Target: 97% of the test digits read right. Takes about 3 s on two cores.

from autograd_gpu.examples import digits
result = digits.train(epochs=60, seed=0)
print(result.accuracy)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

import autograd_gpu as ag
from autograd_gpu import nn, optim
from autograd_gpu.nn import functional as F

from .common import save_images

HIDDEN = 128
SHIFTED = 0.3  # the share of scans that are moved by a pixel, another one each epoch: worth 2 of the 3% that are else misread


@dataclass
class Result:
    """What training gave: the model, the share of test digits that it reads right, and the seconds it took."""

    model: nn.Module
    loss: float
    accuracy: float
    seconds: float

    @property
    def score(self) -> float:
        """The accuracy, as what has a target."""
        return self.accuracy


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
    """64 pixels to 10 classes."""
    return nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))


def split(device: str = "cpu") -> tuple[ag.Tensor, ag.Tensor, ag.Tensor, ag.Tensor]:
    """Images (n, 8, 8) between 0 and 1 and labels to train with, and those to test with: every sixth."""
    images, labels = load()
    x = ag.tensor(images, dtype=ag.float32, device=device) / 16
    y = ag.tensor(labels, dtype=ag.int64, device=device)
    held_back = ag.arange(len(x), device=device) % 6 == 5
    return x[~held_back], y[~held_back], x[held_back], y[held_back]


def shifts(images: ag.Tensor) -> ag.Tensor:
    """The images moved by -1, 0 or 1 pixels each way: (n, 8, 8) -> (9, n, 64). Number 4 is where they were."""
    padded = F.pad(images, (1, 1, 1, 1))
    return ag.stack([padded[:, i : i + 8, j : j + 8].reshape(-1, 64) for i in range(3) for j in range(3)])


def accuracy(model: nn.Module, images: ag.Tensor, labels: ag.Tensor) -> float:
    """The share of images that the model gives the right label."""
    with ag.no_grad():
        return float((model(images).argmax(1) == labels).float().mean())


def train(
    epochs: int = 60,
    seed: int = 0,
    device: str = "cpu",
    batch: int = 32,
    lr: float = 1e-2,
    report: Callable[[int, float, float], None] | None = None,
) -> Result:
    """Train the network with Adam, its learning rate going down to nothing. `report(epoch, loss, test accuracy)` is called
    after each epoch. The same seed gives the same result, bit for bit, on one machine."""
    started = time.perf_counter()
    ag.manual_seed(seed)
    x, y, x_test, y_test = split(device)
    x_test = x_test.reshape(-1, 64)
    shifted, n = shifts(x), len(x)
    every = ag.arange(n, device=device)
    model = network().to(device)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    loss_of = nn.CrossEntropyLoss()
    step, steps = 0, epochs * -(-n // batch)
    mean_loss = right = float("nan")
    for epoch in range(1, epochs + 1):
        where_to = ag.where(ag.rand(n, device=device) < SHIFTED, ag.randint(9, (n,), device=device), 4)
        order = ag.randperm(n, device=device)
        x_epoch, y_epoch = shifted[where_to, every][order], y[order]
        losses = []
        for images, labels in zip(x_epoch.split(batch), y_epoch.split(batch), strict=True):
            loss = loss_of(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
            optimizer.step()
            losses.append(loss.detach())
            step += 1
        mean_loss = float(ag.stack(losses).mean())
        right = accuracy(model, x_test, y_test)
        if report is not None:
            report(epoch, mean_loss, right)
    return Result(model, mean_loss, right, time.perf_counter() - started)


def picture(result: Result, path: str | os.PathLike) -> None:
    """What each of 40 hidden units looks for in an image."""
    weights = result.model[0].weight.detach()[:40].reshape(-1, 8, 8).cpu().numpy()
    title = f"What hidden units look for; {result.accuracy:.1%} of the test digits are read right"
    save_images(0.5 + 0.5 * weights / abs(weights).max(), path, 10, title=title)
