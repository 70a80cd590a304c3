"""A variational autoencoder draws handwritten digits from two numbers (D. Kingma and M. Welling, 2014).

The encoder gives each image a normal distribution in a plane, the decoder gives each point of the plane an image. Both learn to
make the evidence lower bound of the images large: images come back as they were, and the points lie as if drawn from N(0, 1).

Target: a bound of at least -25 nats an image on digits that it has not seen. Takes about 6 s on two cores.

from autograd_gpu.examples import vae
result = vae.train(epochs=100, seed=0)
vae.picture(result, "vae.png")
"""

from __future__ import annotations

import os
import time

import numpy as np

import autograd_gpu as ag
from autograd_gpu import nn, optim
from autograd_gpu.data import DataLoader, TensorDataset
from autograd_gpu.nn import functional as F

from . import digits
from .common import Report, Result, save_images

LATENT = 2


class VAE(nn.Module):
    """Images (n, 64) to logits of images (n, 64), and the mean and log variance (n, LATENT) of what they were drawn from."""

    def __init__(self, hidden: int = 256) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.mean = nn.Linear(hidden, LATENT)
        self.log_variance = nn.Linear(hidden, LATENT)
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 64)
        )

    def forward(self, x: ag.Tensor) -> tuple[ag.Tensor, ag.Tensor, ag.Tensor]:
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        # the noise is drawn first and then stretched and moved, so that gradients reach the mean and the variance
        point = mean + ag.randn_like(mean) * ag.exp(0.5 * log_variance)
        return self.decoder(point), mean, log_variance


def negative_bound(model: VAE, x: ag.Tensor) -> ag.Tensor:
    """Minus the evidence lower bound, in nats an image: what is lost on the way and back, and how far from N(0, 1) points lie."""
    logits, mean, log_variance = model(x)
    lost = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = -0.5 * ag.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return (lost + divergence) / len(x)


def train(
    epochs: int = 100, seed: int = 0, device: str = "cpu", batch: int = 64, lr: float = 2e-3, report: Report | None = None
) -> Result:
    """Train the autoencoder. `report(epoch, loss, bound on test digits)` is called after each epoch."""
    started = time.perf_counter()
    ag.manual_seed(seed)
    x, _, x_test, _ = digits.split(device)
    x, x_test = x.flatten(1), x_test.flatten(1)
    loader = DataLoader(TensorDataset(x), batch_size=batch, shuffle=True)
    model = VAE().to(device)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    loss_value = bound = float("nan")
    for epoch in range(1, epochs + 1):
        total = 0.0
        for (images,) in loader:
            loss = negative_bound(model, images)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        scheduler.step()
        with ag.no_grad():
            loss_value, bound = total / len(loader), -negative_bound(model, x_test).item()
        if report is not None:
            report(epoch, loss_value, bound)
    return Result(model, loss_value, bound, time.perf_counter() - started)


def picture(result: Result, path: str | os.PathLike, across: int = 15) -> None:
    """The images that points of the plane give."""
    device = next(result.model.parameters()).device
    # points that lie on even quantiles of N(0, 1): each stands for the same share of the images
    places = np.sqrt(2) * np.sort(ag.erfinv(ag.linspace(-0.95, 0.95, across)).numpy())
    plane = np.stack(np.meshgrid(places, places), -1).reshape(-1, LATENT)
    with ag.no_grad():
        images = ag.sigmoid(result.model.decoder(ag.tensor(plane, dtype=ag.float32, device=device)))
    save_images(images.reshape(-1, 8, 8).cpu().numpy(), path, across, title="What the decoder makes of the plane")
