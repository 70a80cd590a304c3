"""CIFAR-10 and CIFAR-100 in their binary version: https://www.cs.toronto.edu/~kriz/cifar.html (A. Krizhevsky, "Learning multiple
layers of features from tiny images", 2009).

A record is the label, one byte (CIFAR-100: two, the coarse label and the fine one), and 3072 bytes of the image: 32 rows of 32
red values, then green, then blue.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .files import existing, read_bytes
from .images import Images, check_labels

PIXELS = 3 * 32 * 32


def read_cifar(path: str | os.PathLike, labels: int = 1, records: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(images, labels) of a binary batch of CIFAR: uint8 of shapes (n, 3, 32, 32) and (n, labels), where `labels` is 1 for
    CIFAR-10 and 2 for CIFAR-100. `records` is how many there should be.

    Raises FileNotFoundError or ValueError that names the file.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "data_batch_1.bin")
    ...     with open(path, "wb") as file:
    ...         _ = file.write(bytes([7]) + bytes(3072))
    ...     images, labels = read_cifar(path)
    >>> images.shape, labels.tolist()
    ((1, 3, 32, 32), [[7]])
    """
    path, size = os.fspath(path), labels + PIXELS
    data = read_bytes(path, "a binary batch of CIFAR")
    wanted = len(data) - len(data) % size if records is None else records * size
    if len(data) != wanted or not data:
        should = (
            f"whole records of {size} bytes are"
            if records is None
            else f"{records} records of {size} bytes, {wanted} in all, are"
        )
        raise ValueError(f"{path} is damaged or ends too early: it has {len(data)} bytes, where {should} expected")
    table = np.frombuffer(data, np.uint8).reshape(-1, size)
    return table[:, labels:].reshape(-1, 3, 32, 32), table[:, :labels].copy()


class CIFAR10(Images):
    """The 60,000 images of CIFAR-10, from its binary files in the folder `root` or in root/cifar-10-batches-bin. A sample is
    (image, label): float32 of shape (3, 32, 32) between 0 and 1, and an int. Nothing is downloaded.

    Raises FileNotFoundError or ValueError that names the file.

    >>> CIFAR10.classes[:3]
    ['airplane', 'automobile', 'bird']
    """

    classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    folder = "cifar-10-batches-bin"
    files = {True: [f"data_batch_{i}.bin" for i in range(1, 6)], False: ["test_batch.bin"]}
    records = {True: 10_000, False: 10_000}  # in each file
    number, labels = 10, 1

    def __init__(
        self,
        root: str | os.PathLike,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ):
        root = os.fspath(root)
        folders = [root, os.path.join(root, self.folder)]
        images, labels = [], []
        for name in self.files[train]:
            path = existing(folders, [name, f"{name}.gz"], f"the binary files of {type(self).__name__}")
            found, given = read_cifar(path, self.labels, self.records[train])
            check_labels(given[:, -1], self.number, path)
            images.append(found)
            labels.append(given[:, -1])
        super().__init__(np.concatenate(images), np.concatenate(labels), transform, target_transform)
        self.train = train


class CIFAR100(CIFAR10):
    """As CIFAR10, with the 100 fine labels of CIFAR-100, from its binary files in `root` or in root/cifar-100-binary. `classes`
    are read from fine_label_names.txt if it is there.

    >>> CIFAR100.files[True]
    ['train.bin']
    """

    classes: list[str] = []
    folder = "cifar-100-binary"
    files = {True: ["train.bin"], False: ["test.bin"]}
    records = {True: 50_000, False: 10_000}
    number, labels = 100, 2

    def __init__(
        self,
        root: str | os.PathLike,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ):
        super().__init__(root, train, transform, target_transform)
        for folder in (os.fspath(root), os.path.join(root, self.folder)):
            path = os.path.join(folder, "fine_label_names.txt")
            if os.path.isfile(path):
                self.classes = read_bytes(path, "the names of labels").decode("utf-8", "replace").split()
