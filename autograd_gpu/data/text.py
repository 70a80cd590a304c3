"""Plain text for language models of characters."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..ops.generator import Generator
from ..ops.random import randint
from .dataset import Dataset
from .files import read_bytes


def read_text(path: str | os.PathLike, encoding: str = "utf-8") -> str:
    """The text in a file, which may be compressed by gzip. Line ends become "\\n".

    Raises FileNotFoundError, or ValueError that names the file if it is empty or not in this encoding.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "poem.txt")
    ...     with open(path, "w") as file:
    ...         _ = file.write("to be")
    ...     read_text(path)
    'to be'
    """
    path = os.fspath(path)
    data = read_bytes(path, "a text file")
    try:
        text = data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not {encoding}: byte {error.start}, in line {line}, is {data[error.start]:#04x}. Give its "
            "encoding, or it is no text"
        ) from None
    if not text:
        raise ValueError(f"{path} is empty: it should be a text file")
    return text.replace("\r\n", "\n").replace("\r", "\n")


class CharVocabulary:
    """The characters of a text, numbered in the order of their code points.

    >>> vocabulary = CharVocabulary("hello")
    >>> len(vocabulary), vocabulary.characters
    (4, 'ehlo')
    >>> vocabulary.encode("hole")
    tensor([1, 3, 2, 0])
    >>> vocabulary.decode(vocabulary.encode("hole"))
    'hole'
    """

    def __init__(self, text: str, unknown: str | None = None):
        """`unknown` is the character that takes the place of those that are not in the text."""
        points = np.unique(_points(text))
        if unknown is not None:
            if len(unknown) != 1:
                raise ValueError(f"unknown should be one character, not {unknown!r}")
            points = np.union1d(points, _points(unknown))
        if not points.size:
            raise ValueError("a vocabulary needs at least one character")
        self._codes = points.astype("<u4")
        self.unknown = unknown

    @property
    def characters(self) -> str:
        """All characters: number i is characters[i]. CharVocabulary(characters) is the same vocabulary."""
        return _text(self._codes)

    def __len__(self) -> int:
        return len(self._codes)

    def __contains__(self, character: str) -> bool:
        return character in self.characters

    def encode(self, text: str) -> Tensor:
        """The numbers of the characters, int64.

        Raises ValueError for characters that are not in the vocabulary, unless `unknown` was given."""
        points = _points(text)
        found = np.searchsorted(self._codes, points)
        np.minimum(found, len(self._codes) - 1, out=found)
        wrong = self._codes[found] != points
        if wrong.any():
            if self.unknown is None:
                at = int(np.flatnonzero(wrong)[0])
                raise ValueError(
                    f"character {text[at]!r} (U+{ord(text[at]):04X}), number {at} of the text, is not in the vocabulary of "
                    f"{len(self)} characters"
                )
            found[wrong] = np.searchsorted(self._codes, _points(self.unknown))
        return Tensor(found.astype(np.int64, copy=False))

    def decode(self, tokens: Tensor | Iterable[int]) -> str:
        """The text of numbers, of one or more dimensions that are read in order."""
        numbers = tokens.cpu().numpy() if isinstance(tokens, Tensor) else np.asarray(list(tokens), np.int64)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise ValueError(
                f"numbers should be from 0 to {len(self) - 1}, and these are from {numbers.min()} to {numbers.max()}"
            )
        return _text(self._codes[numbers.reshape(-1)])

    def __repr__(self) -> str:
        return f"CharVocabulary({self.characters!r})"


def _points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _text(codes: np.ndarray) -> str:
    return codes.tobytes().decode("utf-32-le", "surrogatepass")


def split_tokens(tokens: Tensor, fraction: float = 0.9) -> tuple[Tensor, Tensor]:
    """The first `fraction` of tokens, to train with, and the rest, to validate with.

    >>> import autograd_gpu as ag
    >>> train, validation = split_tokens(ag.arange(10), 0.8)
    >>> len(train), validation
    (8, tensor([8, 9]))
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction should be between 0 and 1, not {fraction}")
    n = round(len(tokens) * fraction)
    return tokens[:n], tokens[n:]


class Blocks(Dataset[tuple[Tensor, Tensor]]):
    """Pieces of `length` tokens, one each `stride` tokens (by default one behind the other). A sample is (piece, the same moved
    by one token): what comes in, and what is to be predicted.

    >>> import autograd_gpu as ag
    >>> blocks = Blocks(ag.arange(8), length=3)
    >>> len(blocks), blocks[1]
    (2, (tensor([3, 4, 5]), tensor([4, 5, 6])))
    """

    def __init__(self, tokens: Tensor, length: int, stride: int | None = None):
        stride = length if stride is None else stride
        if length < 1 or stride < 1:
            raise ValueError(f"length and stride should be positive, not {length} and {stride}")
        _check_length(tokens, length)
        self.tokens, self.length, self.stride = tokens, length, stride

    def __len__(self) -> int:
        return (len(self.tokens) - self.length - 1) // self.stride + 1

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"block {index} is out of range for {n}")
        start = index % n * self.stride
        return self.tokens[start : start + self.length], self.tokens[start + 1 : start + 1 + self.length]

    def __getbatch__(self, numbers: Any) -> list[Tensor]:
        starts = np.asarray(numbers, np.int64)
        if starts.size and not -len(self) <= starts.min() <= starts.max() < len(self):
            raise IndexError(f"blocks {starts.min()} to {starts.max()} are out of range for {len(self)}")
        return list(_pieces(self.tokens, starts % len(self) * self.stride, self.length))


def random_blocks(tokens: Tensor, length: int, batch: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """`batch` pieces of `length` tokens from anywhere, and the same moved by one token: two tensors (batch, length).

    >>> import autograd_gpu as ag
    >>> x, y = random_blocks(ag.arange(100), length=4, batch=2)
    >>> x.shape, ag.equal(x + 1, y)
    (Size([2, 4]), True)
    """
    _check_length(tokens, length)
    starts = randint(len(tokens) - length, (batch,), generator=generator).array
    return _pieces(tokens, starts, length)


def _check_length(tokens: Tensor, length: int) -> None:
    if tokens.array.ndim != 1:
        raise ValueError(f"tokens should have one dimension, and their shape is {list(tokens.shape)}")
    if len(tokens) <= length:
        raise ValueError(f"{len(tokens)} tokens are too few: a piece of {length} and the token behind it need {length + 1}")


def _pieces(tokens: Tensor, starts: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
    places = starts[:, np.newaxis] + np.arange(length + 1)
    both = Tensor(tokens.array[places]) if tokens.array.__class__ is np.ndarray else tokens[places]
    return both[:, :-1].contiguous(), both[:, 1:].contiguous()
