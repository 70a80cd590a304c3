"""What MNIST and CIFAR have in common: images of bytes with labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from .dataset import Dataset

_SCALE = np.float32(255)


class Images(Dataset[Any]):
    """Images, uint8 of shape (n, channels, height, width), with labels. A sample is (image, label): float32 between 0 and 1,
    changed by `transform`, and an int, changed by `target_transform`. Without these a DataLoader takes whole batches at once.

    data     the images as they are in the file, a uint8 tensor
    targets  the labels, an int64 tensor
    classes  the names of the labels"""

    classes: list[str] = []

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        transform: Callable[[Tensor], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ):
        self.data = Tensor(images)
        self.targets = Tensor(labels.astype(np.int64))
        self.transform = transform
        self.target_transform = target_transform

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = Tensor(np.divide(self.data.array[index], _SCALE, dtype=np.float32)), int(self.targets.array[index])
        return (
            image if self.transform is None else self.transform(image),
            label if self.target_transform is None else self.target_transform(label),
        )

    def __getbatch__(self, numbers: Any) -> Any:
        if self.transform is not None or self.target_transform is not None:
            from .collate import default_collate

            return default_collate([self[i] for i in numbers])
        if numbers.__class__ is range:
            numbers = slice(numbers.start, numbers.stop)
        return [
            Tensor(np.divide(self.data.array[numbers], _SCALE, dtype=np.float32)),
            Tensor(self.targets.array[numbers].copy()),
        ]

    def __len__(self) -> int:
        return len(self.targets)


def check_labels(labels: np.ndarray, classes: int, path: str) -> None:
    """Raise ValueError, naming the file, if a label is not below `classes`."""
    wrong = np.flatnonzero(labels >= classes)
    if wrong.size:
        raise ValueError(f"{path} is damaged: label {wrong[0]} is {labels[wrong[0]]}, and there are {classes} classes")
