"""ResNet-20 on images of 32 x 32 pixels in colour (K. He et al., 2016, section 4.2).

Without data it learns ten shapes and textures that are drawn on the spot, turned, moved and in random colours. With `data`, a
folder that holds CIFAR-10's binary batches, it learns those: then give it 30 epochs and more, better on a GPU.

Target: 90% of the test images named right, on the drawn ones. Takes about 50 s on two cores.

from autograd_gpu.examples import resnet
result = resnet.train(epochs=5, seed=0)
print(result.score)
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import numpy as np

import autograd_gpu as ag
from autograd_gpu import nn, optim
from autograd_gpu.data import CIFAR10, DataLoader, TensorDataset
from autograd_gpu.nn import functional as F

from .common import Report, Result, save_images

SHAPES = ("disc", "ring", "square", "triangle", "cross", "stripes", "squares", "dots", "spiral", "moon")


class Block(nn.Module):
    """Two convolutions whose result is added to the input. Where the size changes, the input is thinned out and padded with
    channels of zeros (option A of the paper), which costs no parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        if self.stride != 1 or self.more:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(out + x)


class ResNet(nn.Module):
    """Images (n, 3, 32, 32) to classes, through three stages of `blocks` blocks: 20 layers with 3, 56 with 9."""

    def __init__(self, blocks: int = 3, classes: int = 10, width: int = 16) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        stages, inputs = [], width
        for outputs, stride in ((width, 1), (2 * width, 2), (4 * width, 2)):
            stages.append(Block(inputs, outputs, stride))
            stages.extend(Block(outputs, outputs) for _ in range(blocks - 1))
            inputs = outputs
        self.blocks = nn.Sequential(*stages)
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        x = self.blocks(F.relu(self.norm(self.conv(x))))
        return self.fc(x.mean(dim=(2, 3)))


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 32, 32) of SHAPES with values from 0 to 255, uint8, and labels (n,), int64.

    >>> images, labels = drawn(20)
    >>> images.shape, sorted(set(labels.tolist()))
    ((20, 3, 32, 32), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(n) % len(SHAPES))

    def each(low: float, high: float) -> np.ndarray:
        return random.uniform(low, high, (n, 1, 1))

    down, right = np.mgrid[-1:1:32j, -1:1:32j]
    turn, size = each(0, 2 * np.pi), each(0.7, 1.2)
    down, right = (down - each(-0.25, 0.25)) / size, (right - each(-0.25, 0.25)) / size
    x, y = right * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - right * np.sin(turn)
    far, widest, least = np.hypot(x, y), np.maximum(abs(x), abs(y)), np.minimum(abs(x), abs(y))
    masks = (
        far < 0.6,
        abs(far - 0.5) < 0.15,
        widest < 0.5,
        (y > -0.4) & (y < 0.7 - 1.75 * abs(x)),
        (least < 0.17) & (widest < 0.65),
        np.sin(9 * x) > 0,
        np.sin(7 * x) * np.sin(7 * y) > 0,
        np.cos(9 * x) + np.cos(9 * y) > 0.8,
        (np.sin(9 * far + np.arctan2(y, x)) > 0) & (far < 0.9),
        (far < 0.65) & (np.hypot(x - 0.35, y) > 0.5),
    )
    mask = np.stack(masks)[labels, np.arange(n)][:, None]
    ground = random.uniform(0, 1, (n, 3, 1, 1))
    colour = (ground + random.uniform(0.3, 0.7, (n, 3, 1, 1))) % 1.0  # far enough from the ground's
    images = np.where(mask, colour, ground) + random.normal(0, 0.06, (n, 3, 32, 32))
    return (255 * images.clip(0, 1)).astype(np.uint8), labels


def load(data: str | os.PathLike | None = None) -> tuple[list[ag.Tensor], Sequence[str]]:
    """Images and labels to train with, images and labels to test with, and the names of the classes: CIFAR-10's in the folder
    `data`, or 1,920 and 500 drawn ones."""
    if data is None:
        return [ag.tensor(part) for seed, n in ((1, 1920), (2, 500)) for part in drawn(n, seed)], SHAPES
    learned, tested = CIFAR10(data, train=True), CIFAR10(data, train=False)
    return [learned.data, learned.targets, tested.data, tested.targets], CIFAR10.classes


def normalized(images: ag.Tensor) -> ag.Tensor:
    """Bytes (n, 3, 32, 32) to numbers about 0."""
    return (images.float() - 128) / 64


def moved(images: ag.Tensor) -> ag.Tensor:
    """A batch moved by up to 4 pixels each way, and mirrored half of the time."""
    down, right, mirror = *ag.randint(9, (2,)).tolist(), ag.randint(2, ()).item()
    images = F.pad(images, (4, 4, 4, 4))[:, :, down : down + 32, right : right + 32]
    return images.flip(3) if mirror else images


def accuracy(model: nn.Module, images: ag.Tensor, labels: ag.Tensor, batch: int = 100) -> float:
    """The share of images that the model gives the right label."""
    with ag.no_grad():
        right = [(model(normalized(x)).argmax(1) == y).sum() for x, y in DataLoader(TensorDataset(images, labels), batch)]
    return ag.stack(right).sum().item() / len(images)


def train(
    epochs: int = 5, seed: int = 0, device: str = "cpu", batch: int = 16, lr: float = 0.05,
    data: str | os.PathLike | None = None, report: Report | None = None,
) -> Result:  # fmt: skip
    """Train ResNet-20 with SGD on one cycle of learning rates. `report(epoch, loss, test accuracy)` is called after each."""
    started = time.perf_counter()
    ag.manual_seed(seed)
    parts, classes = load(data)
    x, y, x_test, y_test = (part.to(device) for part in parts)
    loader = DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True)
    model = ResNet().to(device)
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, epochs=epochs, steps_per_epoch=len(loader), pct_start=0.2)
    loss_value = right = float("nan")
    for epoch in range(1, epochs + 1):
        model.train()
        total = 0.0
        for images, labels in loader:
            loss = F.cross_entropy(model(moved(normalized(images))), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item()
        model.eval()
        loss_value, right = total / len(loader), accuracy(model, x_test, y_test)
        if report is not None:
            report(epoch, loss_value, right)
    shown = {"images": x_test[:30], "labels": y_test[:30], "classes": classes}
    return Result(model, loss_value, right, time.perf_counter() - started, shown)


def picture(result: Result, path: str | os.PathLike) -> None:
    """Thirty test images and what each was taken for."""
    images, labels, classes = result.shown["images"], result.shown["labels"].tolist(), result.shown["classes"]
    with ag.no_grad():
        read = result.model(normalized(images)).argmax(1).tolist()
    titles = [classes[a] if a == b else f"{classes[a]}?" for a, b in zip(read, labels, strict=True)]
    title = f"{result.score:.1%} of the test images are named right"
    save_images(images.permute(0, 2, 3, 1).cpu().numpy(), path, 10, titles, title)
