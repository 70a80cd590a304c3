"""How deep networks are made to learn: plain, highway and residual layers side by side.

Three networks of 30 hidden layers of 32 units read handwritten digits. The plain one hardly learns, for its gradients vanish on
their way down. Highway layers (R. Srivastava, K. Greff and J. Schmidhuber, 2015) let each unit choose how much of its input it
carries on, residual layers (K. He et al., 2016) add their input to their output: both give gradients a way past each layer.

Target: the highway and the residual network both read 90% of the test digits right. Takes about 6 s on two cores.

from autograd_gpu.examples import depth
result = depth.train(epochs=20, seed=0)
print(result.shown["accuracy"])
"""

from __future__ import annotations

import os
import time

import autograd_gpu as ag
from autograd_gpu import nn, optim
from autograd_gpu.data import DataLoader, TensorDataset
from autograd_gpu.nn import functional as F

from . import digits
from .common import Report, Result, figure

LAYERS, WIDTH = 30, 32


class Plain(nn.Module):
    """y = tanh(W x + b)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        return ag.tanh(self.linear(x))


class Highway(nn.Module):
    """y = t h + (1 - t) x: a gate t between 0 and 1, learned too, says how much of the new value h replaces the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        nn.init.constant_(self.gate.bias, -2.0)  # at first most of the input is carried on

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        return ag.lerp(x, ag.tanh(self.linear(x)), ag.sigmoid(self.gate(x)))


class Residual(nn.Module):
    """y = x + W2 relu(W1 norm(x)): the layer learns what to add to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, width)
        self.linear2 = nn.Linear(width, width)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        return x + self.linear2(F.relu(self.linear1(self.norm(x))))


def network(layer: type[nn.Module]) -> nn.Sequential:
    """64 pixels to 10 classes, through LAYERS layers of one kind."""
    return nn.Sequential(nn.Linear(64, WIDTH), *(layer(WIDTH) for _ in range(LAYERS)), nn.Linear(WIDTH, 10))


def train(
    epochs: int = 20, seed: int = 0, device: str = "cpu", batch: int = 32, lr: float = 2e-3, report: Report | None = None
) -> Result:
    """Train the three networks in step with each other. `report(epoch, loss, accuracy)` is called after each epoch with the mean
    loss of the highway and the residual network and the test accuracy of the worse of the two."""
    started = time.perf_counter()
    ag.manual_seed(seed)
    x, y, x_test, y_test = digits.split(device)
    x, x_test = x.flatten(1), x_test.flatten(1)
    loader = DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True)
    models = nn.ModuleDict({"plain": network(Plain), "highway": network(Highway), "residual": network(Residual)}).to(device)
    optimizers = {name: optim.Adam(model.parameters(), lr=lr) for name, model in models.items()}
    losses: dict[str, list[float]] = {name: [] for name in models}
    accuracy = dict.fromkeys(models, float("nan"))
    mean = worse = float("nan")
    for epoch in range(1, epochs + 1):
        for name, model in models.items():
            total = 0.0
            for images, labels in loader:
                loss = F.cross_entropy(model(images), labels)
                optimizers[name].zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizers[name].step()
                total += loss.item()
            losses[name].append(total / len(loader))
            accuracy[name] = digits.accuracy(model, x_test, y_test)
        mean = (losses["highway"][-1] + losses["residual"][-1]) / 2
        worse = min(accuracy["highway"], accuracy["residual"])
        if report is not None:
            report(epoch, mean, worse)
    return Result(models, mean, worse, time.perf_counter() - started, {"losses": losses, "accuracy": accuracy})


def picture(result: Result, path: str | os.PathLike) -> None:
    """The three losses by epoch."""
    drawn = figure(6, 4)
    axes = drawn.subplots()
    for name, losses in result.shown["losses"].items():
        axes.plot(range(1, len(losses) + 1), losses, label=f"{name}: {result.shown['accuracy'][name]:.1%} read right")
    axes.set(xlabel="epoch", ylabel="training loss", yscale="log", title=f"{LAYERS} layers of {WIDTH} units")
    axes.legend()
    drawn.savefig(path)
