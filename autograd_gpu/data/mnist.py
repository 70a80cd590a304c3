"""MNIST, and other data in its format, idx: http://yann.lecun.com/exdb/mnist (Y. LeCun, C. Cortes and C. Burges).

An idx file is two bytes 0, one that says the type of the elements, one the number of dimensions, the sizes of these as big-endian
32-bit integers, and the elements, big-endian, the last dimension running fastest.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .files import existing, read_bytes
from .images import Images, check_labels

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """The array in an idx file, which may be compressed by gzip.

    Raises FileNotFoundError, or ValueError if it is no idx file, is damaged, or ends too early; both name the file.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "labels-idx1-ubyte")
    ...     with open(path, "wb") as file:
    ...         _ = file.write(bytes([0, 0, 8, 1, 0, 0, 0, 3]) + bytes([7, 2, 1]))
    ...     read_idx(path).tolist()
    [7, 2, 1]
    """
    path = os.fspath(path)
    data = read_bytes(path, "an idx file, as MNIST has them")
    if len(data) < 4:
        raise ValueError(f"{path} is no idx file or ends too early: it has {len(data)} bytes, and the magic number alone has 4")
    if data[:2] != b"\0\0" or data[2] not in TYPES:
        raise ValueError(
            f"{path} is no idx file: it begins with {data[:4].hex(' ')}, where 00 00, a type of {sorted(TYPES)} and the "
            "number of dimensions are expected"
        )
    dtype, ndim = np.dtype(TYPES[data[2]]), data[3]
    start = 4 + 4 * ndim
    if len(data) < start:
        raise ValueError(f"{path} ends too early: it has {len(data)} bytes, and the sizes of its {ndim} dimensions need {start}")
    shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(ndim))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        what = "ends too early" if len(data) < expected else "is too long"
        raise ValueError(f"{path} {what}: it has {len(data)} bytes, where shape {shape} of {dtype.name} needs {expected}")
    try:
        array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    except ValueError as error:  # too many dimensions, or too large ones beside one of size 0
        raise ValueError(f"{path} is damaged: there is no array of {ndim} dimensions of its sizes ({error})") from None
    return array.astype(dtype.newbyteorder("="))


class MNIST(Images):
    """The handwritten digits of MNIST, from its four files in the folder `root`, in root/raw or in root/MNIST/raw, compressed by
    gzip or not. Fashion-MNIST and KMNIST come in files of the same names. A sample is (image, label): float32 of (1, 28, 28)
    between 0 and 1, and an int. Nothing is downloaded.

    Raises FileNotFoundError, or ValueError that names the file if one is damaged or the two do not fit each other.

    >>> MNIST("nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no train-images-idx3-ubyte or train-images.idx3-ubyte or train-images-idx3-ubyte.gz or
    train-images.idx3-ubyte.gz in nowhere or nowhere/raw or nowhere/MNIST/raw: put the files of MNIST there
    """

    classes = [str(i) for i in range(10)]

    def __init__(
        self,
        root: str | os.PathLike,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ):
        root, part = os.fspath(root), "train" if train else "t10k"
        folders = [root, os.path.join(root, "raw"), os.path.join(root, type(self).__name__, "raw")]
        found = []
        for kind, ndim in (("images", 3), ("labels", 1)):
            stems = [f"{part}-{kind}-idx{ndim}-ubyte", f"{part}-{kind}.idx{ndim}-ubyte"]
            path = existing(folders, [*stems, *(f"{stem}.gz" for stem in stems)], "the files of MNIST")
            array = read_idx(path)
            if array.dtype != np.uint8 or array.ndim != ndim:
                raise ValueError(
                    f"{path} holds no {kind}: {array.dtype} of shape {array.shape}, where uint8 of {ndim} dimensions is expected"
                )
            found.append((path, array))
        (images_path, images), (labels_path, labels) = found
        if len(images) != len(labels):
            raise ValueError(f"{images_path} has {len(images)} images and {labels_path} has {len(labels)} labels")
        check_labels(labels, len(self.classes), labels_path)
        super().__init__(images[:, np.newaxis], labels, transform, target_transform)
        self.train = train
