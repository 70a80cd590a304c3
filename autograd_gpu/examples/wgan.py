"""A Wasserstein GAN with gradient penalty learns a distribution in the plane (I. Gulrajani et al., 2017).

The points lie on eight small bumps around a circle. The critic tells drawn points from the generator's; its gradient by its
input is held near 1 by a penalty, which is differentiated by its weights: a derivative of second order.

Target: a distance of at most 0.12 between the generator's points and those of the distribution (Wasserstein-1, mean over
directions), where the circle's radius is 2. Takes about 12 s on two cores.

from autograd_gpu.examples import wgan
result = wgan.train(steps=1000, seed=0)
wgan.picture(result, "wgan.png")
"""

from __future__ import annotations

import math
import os
import time

import autograd_gpu as ag
from autograd_gpu import nn, optim

from .common import Report, Result, figure

LATENT, BUMPS, RADIUS, SPREAD = 2, 8, 2.0, 0.1


def network(inputs: int, outputs: int, hidden: int = 128) -> nn.Sequential:
    """The generator (LATENT to 2 numbers) and the critic (2 numbers to 1) are both of this form."""
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, outputs)
    )


def draw(n: int, device: str = "cpu") -> ag.Tensor:
    """Points (n, 2) of the distribution."""
    angle = ag.randint(BUMPS, (n,), device=device) * (2 * math.pi / BUMPS)
    return RADIUS * ag.stack([ag.cos(angle), ag.sin(angle)], dim=1) + SPREAD * ag.randn(n, 2, device=device)


def gradient_penalty(critic: nn.Module, real: ag.Tensor, made: ag.Tensor) -> ag.Tensor:
    """How far the critic's gradient is from length 1, at points between real and made ones."""
    share = ag.rand(len(real), 1, device=real.device)
    between = (share * real + (1 - share) * made).requires_grad_()
    judged = critic(between)
    (slope,) = ag.autograd.grad(judged, between, grad_outputs=ag.ones_like(judged), create_graph=True)
    return (slope.norm(dim=1) - 1).pow(2).mean()


@ag.no_grad()
def distance(generator: nn.Module, device: str, n: int = 2000, directions: int = 32) -> float:
    """The mean distance that points must be moved to become the others, seen along each of some directions."""
    real, made = draw(n, device), generator(ag.randn(n, LATENT, device=device))
    angle = ag.arange(directions, device=device) * (math.pi / directions)
    along = ag.stack([ag.cos(angle), ag.sin(angle)])
    return ((real @ along).sort(dim=0).values - (made @ along).sort(dim=0).values).abs().mean().item()


def train(
    steps: int = 1000, seed: int = 0, device: str = "cpu", batch: int = 256, critic_steps: int = 5, lr: float = 1e-3,
    weight: float = 1.0, report: Report | None = None,
) -> Result:  # fmt: skip
    """Train both networks. A step is `critic_steps` of the critic and one of the generator. `report(step, the critic's loss,
    distance)` is called after each tenth step."""
    started = time.perf_counter()
    ag.manual_seed(seed)
    generator, critic = network(LATENT, 2).to(device), network(2, 1).to(device)
    generator_optimizer = optim.Adam(generator.parameters(), lr=lr, betas=(0.5, 0.9))
    critic_optimizer = optim.Adam(critic.parameters(), lr=lr, betas=(0.5, 0.9))
    schedulers = [
        optim.lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.05, total_iters=steps)
        for optimizer in (generator_optimizer, critic_optimizer)
    ]
    loss_value = apart = float("nan")
    for step in range(1, steps + 1):
        for _ in range(critic_steps):
            real = draw(batch, device)
            made = generator(ag.randn(batch, LATENT, device=device)).detach()
            loss = critic(made).mean() - critic(real).mean() + weight * gradient_penalty(critic, real, made)
            critic_optimizer.zero_grad()
            loss.backward()
            critic_optimizer.step()
        generator_loss = -critic(generator(ag.randn(batch, LATENT, device=device))).mean()
        generator_optimizer.zero_grad()
        generator_loss.backward()
        generator_optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
        if step % 10 == 0 or step == steps:
            loss_value, apart = loss.item(), distance(generator, device)
            if report is not None:
                report(step, loss_value, apart)
    model = nn.ModuleDict({"generator": generator, "critic": critic})
    return Result(model, loss_value, apart, time.perf_counter() - started)


def picture(result: Result, path: str | os.PathLike) -> None:
    """Points of the distribution and of the generator, on what the critic thinks of each place."""
    generator, critic = result.model["generator"], result.model["critic"]
    device = str(next(critic.parameters()).device)
    side = ag.linspace(-3, 3, 80, device=device)
    y, x = ag.meshgrid(side, side, indexing="ij")
    with ag.no_grad():
        height = critic(ag.stack([x, y], dim=-1).reshape(-1, 2)).reshape(x.shape)
        made = generator(ag.randn(1000, LATENT, device=device)).cpu().numpy()
    real = draw(1000, device).cpu().numpy()
    drawn = figure(6, 5.5)
    axes = drawn.subplots()
    axes.contourf(x.cpu().numpy(), y.cpu().numpy(), height.cpu().numpy(), levels=20, cmap="Greys", alpha=0.6)
    axes.scatter(*real.T, s=4, color="tab:blue", label="the distribution")
    axes.scatter(*made.T, s=4, color="tab:red", label="the generator")
    axes.set(title=f"distance {result.score:.3f}", xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    axes.legend(loc="upper right")
    drawn.savefig(path)
