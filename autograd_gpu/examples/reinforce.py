"""A policy learns to balance a pole on a cart by REINFORCE (R. Williams, 1992), many carts at a time.

The cart and its pole are those of A. Barto, R. Sutton and C. Anderson (1983). Each step that the pole stands gives a reward of 1;
an attempt ends when the pole leans by more than 12 degrees, the cart is more than 2.4 from the middle, or after 500 steps.

Target: the policy keeps the pole up for 475 of 500 steps, the mean of 100 attempts. Takes about 5 s on two cores.

from autograd_gpu.examples import reinforce
result = reinforce.train(steps=60, seed=0)
print(result.score)
"""

from __future__ import annotations

import math
import os
import time

import autograd_gpu as ag
from autograd_gpu import nn, optim
from autograd_gpu.nn import functional as F

from .common import Report, Result, figure

LIMIT = 500


class CartPole:
    """`n` carts side by side. A state holds place and speed of the cart, angle and angular speed of the pole: (n, 4)."""

    GRAVITY, CART, POLE, HALF_LENGTH, FORCE, STEP = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02  # m/s2, kg, kg, m, N, s

    def __init__(self, n: int, device: str = "cpu") -> None:
        self.state = ag.rand(n, 4, device=device) * 0.1 - 0.05
        self.up = ag.ones(n, dtype=ag.bool, device=device)

    def step(self, action: ag.Tensor) -> None:
        """Push each cart to the left (0) or to the right (1) for a step."""
        x, speed, angle, turning = self.state.unbind(1)
        force = self.FORCE * (2.0 * action - 1.0)
        sine, cosine, total = ag.sin(angle), ag.cos(angle), self.CART + self.POLE
        push = (force + self.POLE * self.HALF_LENGTH * turning * turning * sine) / total
        turn = (self.GRAVITY * sine - cosine * push) / (self.HALF_LENGTH * (4 / 3 - self.POLE * cosine * cosine / total))
        pull = push - self.POLE * self.HALF_LENGTH * turn * cosine / total
        change = ag.stack([speed, pull, turning, turn], dim=1)
        self.state = self.state + self.STEP * change
        self.up = self.up & (self.state[:, 0].abs() < 2.4) & (self.state[:, 2].abs() < math.radians(12))


def network(hidden: int = 32) -> nn.Sequential:
    """A state to the logits of left and right."""
    return nn.Sequential(nn.Linear(4, hidden), nn.Tanh(), nn.Linear(hidden, 2))


@ag.no_grad()
def attempts(policy: nn.Module, n: int, device: str, greedy: bool = False) -> tuple[ag.Tensor, ag.Tensor, ag.Tensor]:
    """Let the policy act on `n` carts: states (steps, n, 4), actions (steps, n), and whether the pole stood then (steps, n)."""
    carts = CartPole(n, device)
    states, actions, standing = [], [], []
    while len(states) < LIMIT and carts.up.any():
        logits = policy(carts.state)
        action = logits.argmax(1) if greedy else ag.multinomial(F.softmax(logits, 1), 1).squeeze(1)
        states.append(carts.state)
        actions.append(action)
        standing.append(carts.up)
        carts.step(action)
    return ag.stack(states), ag.stack(actions), ag.stack(standing)


def train(
    steps: int = 60, seed: int = 0, device: str = "cpu", carts: int = 32, lr: float = 2e-2, report: Report | None = None
) -> Result:
    """Train the policy, each step on `carts` attempts. `report(step, loss, mean length of the attempts)` is called after each
    step. The score is that of 100 attempts of the trained policy, which then takes the likelier action."""
    started = time.perf_counter()
    ag.manual_seed(seed)
    policy = network().to(device)
    optimizer = optim.Adam(policy.parameters(), lr=lr)
    scheduler = optim.lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.05, total_iters=steps)
    loss_value, lengths = float("nan"), []
    for step in range(1, steps + 1):
        states, actions, standing = attempts(policy, carts, device)
        reward = standing.float()
        to_come = reward.flip(0).cumsum(0).flip(0)  # the steps that each attempt still stood
        # better or worse than the other carts that still stood at that time
        alive = reward.sum(1, keepdim=True)
        advantage = (to_come - to_come.sum(1, keepdim=True) / alive) * reward
        advantage = advantage / (advantage.pow(2).sum() / reward.sum()).sqrt().clamp(min=1e-6)
        log_chance = F.log_softmax(policy(states), dim=-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)
        loss = -(log_chance * advantage).sum() / reward.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        loss_value = loss.item()
        lengths.append(reward.sum().item() / carts)
        if report is not None:
            report(step, loss_value, lengths[-1])
    _, _, standing = attempts(policy, 100, device, greedy=True)
    score = standing.float().sum(0).mean().item()
    return Result(policy, loss_value, score, time.perf_counter() - started, {"lengths": lengths})


def picture(result: Result, path: str | os.PathLike) -> None:
    """How long poles stood while the policy learned, and what ten attempts of the trained policy look like."""
    device = str(next(result.model.parameters()).device)
    states, _, _ = attempts(result.model, 10, device, greedy=True)
    drawn = figure(9, 3.5)
    left, right = drawn.subplots(1, 2)
    left.plot(range(1, len(result.shown["lengths"]) + 1), result.shown["lengths"])
    left.set(xlabel="step of training", ylabel="steps that the pole stood", ylim=(0, LIMIT * 1.04))
    right.plot(states[:, :, 2].rad2deg().cpu().numpy(), linewidth=0.5)
    right.set(xlabel="step", ylabel="angle of the pole, degrees", ylim=(-12, 12))
    drawn.suptitle(f"It stands for {result.score:.0f} of {LIMIT} steps, mean of 100 attempts")
    drawn.savefig(path)
