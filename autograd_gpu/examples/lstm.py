"""An LSTM forecasts a chaotic time series.

The series solves the equation of M. Mackey and L. Glass (1977), whose value changes by what it was 17 time units ago. The network
(S. Hochreiter and J. Schmidhuber, 1997) learns to say the next sample; a forecast feeds its own output back to it.

Target: forecasts of 40 samples, more than two turns of the series, that are off by at most 0.1 standard deviations (root mean
square) on a part of the series that it has not seen. Takes about 5 s on two cores.

from autograd_gpu.examples import lstm
result = lstm.train(steps=500, seed=0)
print(result.score)
"""

from __future__ import annotations

import os
import time

import numpy as np

import autograd_gpu as ag
from autograd_gpu import nn, optim
from autograd_gpu.nn import functional as F

from .common import Report, Result, figure

SEEN, AHEAD = 48, 40  # samples that a forecast starts from, and samples that it says


def mackey_glass(samples: int, every: float = 3.0, delay: float = 17.0, step: float = 0.1) -> np.ndarray:
    """Samples of x' = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x, `every` time units apart, brought to mean 0 and standard
    deviation 1. Euler's method.

    >>> mackey_glass(2000).shape
    (2000,)
    """
    stride, late, settled = round(every / step), round(delay / step), 2000
    x = np.full(late + settled + samples * stride, 1.2)
    for i in range(late, len(x)):
        past = x[i - late]
        x[i] = x[i - 1] + step * (0.2 * past / (1 + past**10) - 0.1 * x[i - 1])
    x = x[late + settled :: stride]
    return ((x - x.mean()) / x.std()).astype(np.float32)


class Forecaster(nn.Module):
    """A series (n, samples) to what it says of the sample after each: (n, samples)."""

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: ag.Tensor, state: tuple[ag.Tensor, ag.Tensor] | None = None) -> tuple[ag.Tensor, tuple]:
        out, state = self.lstm(x.unsqueeze(-1), state)
        # the network says by how much the sample changes
        return x + self.head(out).squeeze(-1), state

    @ag.no_grad()
    def forecast(self, seen: ag.Tensor, ahead: int) -> ag.Tensor:
        """The `ahead` samples that follow on `seen` (n, samples): each is fed back to give the next."""
        said, state = self(seen)
        samples = [said[:, -1:]]
        while len(samples) < ahead:
            said, state = self(samples[-1], state)
            samples.append(said)
        return ag.cat(samples, dim=1)


def series(device: str = "cpu") -> tuple[ag.Tensor, ag.Tensor]:
    """The part to learn from, and the part to forecast, cut into windows of SEEN + AHEAD samples."""
    x = ag.tensor(mackey_glass(3000), device=device)
    return x[:2000], x[2000:].unfold(0, SEEN + AHEAD, 10)


def error(model: Forecaster, windows: ag.Tensor) -> float:
    """How far forecasts are off: root mean square, in standard deviations of the series."""
    return F.mse_loss(model.forecast(windows[:, :SEEN], AHEAD), windows[:, SEEN:]).sqrt().item()


def train(
    steps: int = 500, seed: int = 0, device: str = "cpu", batch: int = 32, lr: float = 5e-3, report: Report | None = None
) -> Result:
    """Train the network. `report(step, loss, error of forecasts)` is called after each tenth step."""
    started = time.perf_counter()
    ag.manual_seed(seed)
    x, windows = series(device)
    inside = ag.arange(SEEN + AHEAD + 1, device=device)
    model = Forecaster().to(device)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    loss_value = off = float("nan")
    for step in range(1, steps + 1):
        starts = ag.randint(len(x) - len(inside), (batch, 1), device=device)
        pieces = x[starts + inside]
        said, _ = model(pieces[:, :-1])
        loss = F.mse_loss(said, pieces[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if step % 10 == 0 or step == steps:
            loss_value = loss.item()
            off = error(model, windows) if step % 100 == 0 or step == steps else off
            if report is not None:
                report(step, loss_value, off)
    return Result(model, loss_value, off, time.perf_counter() - started)


def picture(result: Result, path: str | os.PathLike) -> None:
    """Four forecasts beside what came."""
    device = next(result.model.parameters()).device
    windows = series(device)[1][::25][:4]
    said = result.model.forecast(windows[:, :SEEN], AHEAD).cpu().numpy()
    drawn = figure(9, 5)
    for axes, window, forecast in zip(drawn.subplots(2, 2).flat, windows.cpu().numpy(), said, strict=True):
        axes.plot(window, color="black", label="the series")
        axes.plot(range(SEEN, SEEN + AHEAD), forecast, color="tab:red", linestyle="--", label="forecast")
        axes.axvline(SEEN - 0.5, color="gray", linewidth=0.5)
    axes.legend()
    drawn.suptitle(f"Forecasts of {AHEAD} samples, off by {result.score:.3f} standard deviations")
    drawn.savefig(path)
