"""A physics-informed network solves Burgers' equation (M. Raissi, P. Perdikaris and G. Karniadakis, 2019).

The network is u(t, x). It has no data: its loss is by how much it fails u_t + u u_x = v u_xx inside, u = -sin(pi x) at the
start and u = 0 at both ends. The derivatives of the network by its inputs are taken with autograd.grad(create_graph=True), and
the loss, which holds them, is differentiated again by the weights. L-BFGS makes it small.

Target: at most 1% off the exact solution (relative error in the 2-norm). Takes about 10 s on two cores.

from autograd_gpu.examples import pinn
result = pinn.train(steps=80, seed=0)
pinn.picture(result, "burgers.png")
"""

from __future__ import annotations

import math
import os
import time

import numpy as np

import autograd_gpu as ag
from autograd_gpu import nn, optim

from .common import Report, Result, figure

VISCOSITY = 0.05


class Net(nn.Module):
    """Time and place (n, 1) each to u (n, 1)."""

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(),
            nn.Linear(hidden, 1),
        )  # fmt: skip

    def forward(self, t: ag.Tensor, x: ag.Tensor) -> ag.Tensor:
        return self.layers(ag.cat([t, x], dim=1))


def derivative(y: ag.Tensor, x: ag.Tensor) -> ag.Tensor:
    """dy/dx, row by row, as a tensor that can be differentiated again."""
    (slope,) = ag.autograd.grad(y, x, grad_outputs=ag.ones_like(y), create_graph=True)
    return slope


def residual(model: nn.Module, t: ag.Tensor, x: ag.Tensor) -> ag.Tensor:
    """By how much the network fails the equation at points (t, x): u_t + u u_x - v u_xx."""
    u = model(t, x)
    u_x = derivative(u, x)
    return derivative(u, t) + u * u_x - VISCOSITY * derivative(u_x, x)


def exact(t: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The solution, by the transform of E. Hopf (1950) and J. Cole (1951) and Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite.hermgauss(60)
    moved = x[..., None] - np.sqrt(4 * VISCOSITY * t)[..., None] * nodes
    weights = weights * np.exp(-np.cos(np.pi * moved) / (2 * np.pi * VISCOSITY))
    return -(np.sin(np.pi * moved) * weights).sum(-1) / weights.sum(-1)


def grid(device: str = "cpu") -> tuple[ag.Tensor, ag.Tensor, ag.Tensor]:
    """Times, places and the exact solution on a grid of 51 x 101 points."""
    t, x = np.meshgrid(np.linspace(0, 1, 51), np.linspace(-1, 1, 101), indexing="ij")
    t, x, u = (ag.tensor(a, dtype=ag.float32, device=device) for a in (t, x, exact(t, x)))
    return t, x, u


def error(model: nn.Module, device: str) -> float:
    """The network's distance from the exact solution on a grid, as a share of the solution's norm."""
    t, x, u = grid(device)
    with ag.no_grad():
        said = model(t.reshape(-1, 1), x.reshape(-1, 1)).reshape(u.shape)
    return ((said - u).norm() / u.norm()).item()


def train(steps: int = 80, seed: int = 0, device: str = "cpu", points: int = 512, report: Report | None = None) -> Result:
    """Train the network on fixed points with L-BFGS, 20 iterations a step. `report(step, loss, relative error)` is called after
    each step."""
    started = time.perf_counter()
    ag.manual_seed(seed)
    model = Net().to(device)
    t = ag.rand(points, 1, device=device).requires_grad_()
    x = (2 * ag.rand(points, 1, device=device) - 1).requires_grad_()
    place = ag.linspace(-1, 1, points // 4, device=device).unsqueeze(1)
    now = ag.linspace(0, 1, points // 4, device=device).unsqueeze(1)
    optimizer = optim.LBFGS(model.parameters(), max_iter=20, history_size=50, line_search_fn="strong_wolfe")

    def closure() -> ag.Tensor:
        inside = residual(model, t, x).pow(2).mean()
        start = (model(ag.zeros_like(place), place) + ag.sin(math.pi * place)).pow(2).mean()
        ends = model(now, ag.ones_like(now)).pow(2).mean() + model(now, -ag.ones_like(now)).pow(2).mean()
        loss = inside + 10 * (start + ends)
        optimizer.zero_grad()
        loss.backward()
        return loss

    loss_value = off = float("nan")
    for step in range(1, steps + 1):
        loss_value = optimizer.step(closure).item()
        off = error(model, device)
        if report is not None:
            report(step, loss_value, off)
    return Result(model, loss_value, off, time.perf_counter() - started)


def picture(result: Result, path: str | os.PathLike) -> None:
    """The solution in time and place, and the network beside the exact solution at four times."""
    t, x, u = grid()
    model = result.model
    device = next(model.parameters()).device
    with ag.no_grad():
        said = model(t.reshape(-1, 1).to(device), x.reshape(-1, 1).to(device)).reshape(u.shape).cpu().numpy()
    drawn = figure(10, 4)
    left, right = drawn.subplots(1, 2)
    drawn.colorbar(left.pcolormesh(t.numpy(), x.numpy(), said, cmap="coolwarm", shading="gouraud"), ax=left, label="u")
    left.set(xlabel="t", ylabel="x", title=f"the network, {result.score:.2%} off")
    for row in (0, 15, 30, 50):
        (line,) = right.plot(x[row].numpy(), said[row], label=f"t = {t[row, 0].item():.1f}")
        right.plot(x[row].numpy(), u[row].numpy(), color="black", linestyle=":", zorder=3)
    right.set(xlabel="x", ylabel="u", title="dotted: exact")
    right.legend()
    drawn.savefig(path)
