"""Networks trained on data that ships with the package, or that is made on the spot. Nothing is downloaded.

>>> from autograd_gpu.examples import EXAMPLES
>>> EXAMPLES["vae"].target_text
'at least -25.00'
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class Example:
    """What is known of an example before it is imported."""

    name: str  # of its module, too
    about: str
    measure: str  # what its score is
    target: float
    length: int
    unit: str  # what `length` counts: epochs or steps
    seconds: int  # on two cores
    form: str = "{:.1%}"  # how a score is written
    lower: bool = False  # whether a lower score is better
    file: tuple[str, str] | None = None  # an option that names a file or folder, and its help

    @property
    def module(self) -> ModuleType:
        """The module, with `train` and `picture`."""
        return importlib.import_module(f"{__name__}.{self.name}")

    def reached(self, score: float) -> bool:
        """Whether a score is as good as the target. One that is not a number is not."""
        return score <= self.target if self.lower else score >= self.target

    @property
    def target_text(self) -> str:
        """The target in words."""
        return f"at {'most' if self.lower else 'least'} {self.form.format(self.target)}"


EXAMPLES = {
    example.name: example
    for example in (
        Example("digits", "a network of 64-128-10 units reads handwritten digits", "test accuracy", 0.97, 60, "epochs", 3),
        Example("cnn", "a convolutional network reads handwritten digits", "test accuracy", 0.98, 15, "epochs", 4),
        Example("depth", "30 plain, highway and residual layers read digits", "accuracy of the worse", 0.90, 20, "epochs", 6),
        Example(
            "resnet", "ResNet-20 names shapes and textures, or CIFAR-10", "test accuracy", 0.90, 5, "epochs", 50,
            file=("data", "a folder with CIFAR-10's binary batches (default: images drawn on the spot)"),
        ),
        Example("lstm", "an LSTM forecasts a chaotic time series", "error", 0.1, 500, "steps", 5, "{:.3f}", lower=True),
        Example("vae", "a variational autoencoder draws digits from two numbers", "bound", -25.0, 100, "epochs", 6, "{:.2f}"),
        Example("dcgan", "a convolutional GAN draws digits", "Frechet distance", 0.15, 50, "epochs", 25, "{:.3f}", lower=True),
        Example(
            "gpt", "a character GPT writes like Python's documentation", "nats a character", 1.7, 1000, "steps", 32, "{:.2f}",
            lower=True, file=("text", "a text file to read (default: the topics of pydoc)"),
        ),
        Example("reinforce", "a policy learns to balance a pole on a cart", "steps upright", 475, 60, "steps", 5, "{:.0f}"),
        Example("pinn", "a network solves Burgers' equation", "relative error", 0.01, 80, "steps", 10, "{:.2%}", lower=True),
        Example("wgan", "a WGAN with gradient penalty learns a ring", "distance", 0.12, 1000, "steps", 12, "{:.3f}", lower=True),
    )
}  # fmt: skip
