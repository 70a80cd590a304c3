"""A deep convolutional GAN draws handwritten digits (A. Radford, L. Metz and S. Chintala, 2016).

The generator turns noise into images by transposed convolutions, the discriminator tells them from real ones by convolutions;
both use batch normalisation and no pooling.

How good the images are is said by the Frechet distance (M. Heusel et al., 2017) between real and generated images, in what a
network that reads digits sees of them. It is given as a share of the variance of the real ones: a generator that always draws
the same mean image would have 1, one half of the real digits is about 0.02 from the other.

Target: a distance of at most 0.15. Takes about 25 s on two cores.

from autograd_gpu.examples import dcgan
result = dcgan.train(epochs=50, seed=0)
dcgan.picture(result, "dcgan.png")
"""

from __future__ import annotations

import os
import time

import numpy as np

import autograd_gpu as ag
from autograd_gpu import nn, optim
from autograd_gpu.data import DataLoader, TensorDataset
from autograd_gpu.nn import functional as F

from . import cnn, digits
from .common import Report, Result, save_images

LATENT = 32
READER_EPOCHS = 8  # of training of the network that judges


def generator(width: int = 32) -> nn.Sequential:
    """Noise (n, LATENT, 1, 1) to images (n, 1, 8, 8) between -1 and 1."""
    return nn.Sequential(
        nn.ConvTranspose2d(LATENT, 2 * width, 2, bias=False),  # 2 x 2
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),  # 4 x 4
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),  # 8 x 8
        nn.Tanh(),
    )


def discriminator(width: int = 32) -> nn.Sequential:
    """Images (n, 1, 8, 8) to logits (n,): above 0 where an image looks real."""
    return nn.Sequential(
        nn.Conv2d(1, width, 4, stride=2, padding=1),  # 4 x 4
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),  # 2 x 2
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Conv2d(2 * width, 1, 2),  # 1 x 1
        nn.Flatten(0),
    )


def initialize(module: nn.Module) -> None:
    """The paper's: weights from N(0, 0.02), those of normalisations about 1."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def frechet_distance(real: np.ndarray, made: np.ndarray) -> float:
    """The distance of the normal distributions that two sets of features (n, d) have, as a share of the variance of the first:
    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))."""
    c1, c2 = np.cov(real, rowvar=False), np.cov(made, rowvar=False)
    values, vectors = np.linalg.eigh(c1)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    # the eigenvalues of C1 C2 are those of the symmetric matrix C1^(1/2) C2 C1^(1/2)
    mixed = np.sqrt(np.linalg.eigvalsh(root @ c2 @ root).clip(0)).sum()
    apart = ((real.mean(0) - made.mean(0)) ** 2).sum() + np.trace(c1) + np.trace(c2) - 2 * mixed
    return float(apart / np.trace(c1))


class Judge:
    """Says how far generated images are from real ones, by what a network that reads digits sees of them."""

    def __init__(self, device: str, seed: int) -> None:
        self.reader = cnn.train(epochs=READER_EPOCHS, seed=seed, device=device).model
        self.real = self.features(ag.cat(digits.split(device)[::2]).unsqueeze(1))

    @ag.no_grad()
    def features(self, images: ag.Tensor) -> np.ndarray:
        """What the last layer of the reader sees of images between 0 and 1."""
        return self.reader.features(images).cpu().double().numpy()

    @ag.no_grad()
    def __call__(self, maker: nn.Module, n: int = 1797) -> float:
        maker.eval()
        images = maker(ag.randn(n, LATENT, 1, 1, device=next(maker.parameters()).device)) / 2 + 0.5
        maker.train()
        return frechet_distance(self.real, self.features(images))


def train(
    epochs: int = 50, seed: int = 0, device: str = "cpu", batch: int = 32, lr: float = 1e-3, report: Report | None = None
) -> Result:
    """Train both networks on all digits. `report(epoch, loss of the generator, Frechet distance)` is called after each epoch; the
    distance is measured after each tenth."""
    started = time.perf_counter()
    judge = Judge(device, seed)
    ag.manual_seed(seed)
    x = ag.cat(digits.split(device)[::2]).unsqueeze(1) * 2 - 1
    loader = DataLoader(TensorDataset(x), batch_size=batch, shuffle=True)
    maker, critic = generator().to(device).apply(initialize), discriminator().to(device).apply(initialize)
    maker_optimizer = optim.Adam(maker.parameters(), lr=lr, betas=(0.5, 0.999))
    critic_optimizer = optim.Adam(critic.parameters(), lr=lr, betas=(0.5, 0.999))
    loss_value = distance = float("nan")
    for epoch in range(1, epochs + 1):
        total = 0.0
        for (real,) in loader:
            made = maker(ag.randn(len(real), LATENT, 1, 1, device=device))
            # -log D(real) - log(1 - D(made)), with 0.9 for a real one's label, so that the discriminator is never too sure
            judged_real, judged_made = critic(real), critic(made.detach())
            critic_loss = F.binary_cross_entropy_with_logits(judged_real, ag.full_like(judged_real, 0.9))
            critic_loss = critic_loss + F.binary_cross_entropy_with_logits(judged_made, ag.zeros_like(judged_made))
            critic_optimizer.zero_grad()
            critic_loss.backward()
            critic_optimizer.step()

            judged = critic(made)
            loss = F.binary_cross_entropy_with_logits(judged, ag.ones_like(judged))
            maker_optimizer.zero_grad()
            loss.backward()
            maker_optimizer.step()
            total += loss.item()
        loss_value = total / len(loader)
        if epoch % 10 == 0 or epoch == epochs:
            distance = judge(maker)
        if report is not None:
            report(epoch, loss_value, distance)
    model = nn.ModuleDict({"generator": maker, "discriminator": critic})
    return Result(model, loss_value, distance, time.perf_counter() - started)


def picture(result: Result, path: str | os.PathLike) -> None:
    """A hundred digits that nobody wrote."""
    maker = result.model["generator"].eval()
    with ag.no_grad():
        images = maker(ag.randn(100, LATENT, 1, 1, device=next(maker.parameters()).device)) / 2 + 0.5
    save_images(images.squeeze(1).cpu().numpy(), path, 10, title=f"Drawn by the generator, Frechet distance {result.score:.3f}")
