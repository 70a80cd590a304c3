"""Samplers: in which order a DataLoader takes the samples of a dataset, and which of them make a batch.

Each draws all its random numbers when it begins, so the order that a seed gives does not depend on when samples are asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from ..core.tensor import Tensor
from ..ops.create import as_tensor
from ..ops.generator import Generator
from ..ops.random import multinomial, randint, randperm

T_co = TypeVar("T_co", covariant=True)


def drawn_seed(generator: Generator | None) -> int:
    """A number to begin a stream of random numbers with, drawn from another stream: the default one if none is given."""
    return int(randint(2**63 - 1, (1,), generator=generator))


class Sampler(Generic[T_co]):
    """The base class of samplers. A subclass defines `__iter__`, which gives numbers of samples (or, to be used as a
    batch_sampler, lists of them), and mostly `__len__`.

    >>> import autograd_gpu as ag
    >>> class Backwards(ag.data.Sampler):
    ...     def __init__(self, n):
    ...         self.n = n
    ...     def __iter__(self):
    ...         return iter(range(self.n - 1, -1, -1))
    >>> list(ag.data.DataLoader(ag.arange(3), sampler=Backwards(3)))
    [tensor([2]), tensor([1]), tensor([0])]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__")


class SequentialSampler(Sampler[int]):
    """All samples in the order of their numbers.

    >>> import autograd_gpu as ag
    >>> list(ag.data.SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized):
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """All samples in a random order, or `num_samples` of them; with `replacement` each may come several times.

    >>> import autograd_gpu as ag
    >>> order = list(ag.data.RandomSampler(range(5), generator=ag.Generator().manual_seed(1)))
    >>> sorted(order)
    [0, 1, 2, 3, 4]
    """

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, generator: Generator | None = None
    ):
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        if num_samples is not None and (not isinstance(num_samples, int) or num_samples <= 0):
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator

    @property
    def num_samples(self) -> int:
        """How many samples are taken; the dataset may have grown since."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def order(self) -> np.ndarray:
        """The numbers of the samples, newly drawn."""
        n, generator = len(self.data_source), self.generator
        if generator is None:
            generator = Generator().manual_seed(drawn_seed(None))
        wanted = self.num_samples
        if not wanted:
            return np.empty(0, np.int64)
        if n == 0:
            raise ValueError("cannot draw samples of an empty dataset")
        if self.replacement:
            return randint(n, (wanted,), generator=generator).array
        drawn = [randperm(n, generator=generator).array for _ in range(-(-wanted // n))]
        return (drawn[0] if len(drawn) == 1 else np.concatenate(drawn))[:wanted]

    def __iter__(self) -> Iterator[int]:
        return iter(self.order().tolist())

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The samples with the numbers `indices`, in a random order.

    >>> import autograd_gpu as ag
    >>> sorted(ag.data.SubsetRandomSampler([1, 5, 3]))
    [1, 3, 5]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None):
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        order = randperm(len(self.indices), generator=self.generator).array.tolist()
        return iter([self.indices[i] for i in order])

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` numbers from 0 to len(weights) - 1, each with a probability in proportion to its weight.

    >>> import autograd_gpu as ag
    >>> list(ag.data.WeightedRandomSampler([0.0, 1.0, 0.0], 4))
    [1, 1, 1, 1]
    """

    def __init__(
        self, weights: Sequence[float] | Tensor, num_samples: int, replacement: bool = True, generator: Generator | None = None
    ):
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.weights = as_tensor(weights, dtype=np.dtype(np.float64))
        if self.weights.array.ndim != 1:
            raise ValueError(f"weights should be a 1d sequence but given weights have shape {tuple(self.weights.shape)}")
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        return iter(multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator).tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """The numbers that a sampler gives, in lists of `batch_size`; the last may be shorter, unless `drop_last`.

    >>> import autograd_gpu as ag
    >>> list(ag.data.BatchSampler(ag.data.SequentialSampler(range(5)), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        return self._lists(iter(self.sampler))  # which draws its order now

    def _lists(self, numbers: Iterator[int]) -> Iterator[list[int]]:
        while batch := list(itertools.islice(numbers, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


def number_batches(sampler: Any) -> Iterator[Any]:
    """The batches of numbers of a batch sampler: as ranges or arrays instead of lists where their order is known beforehand."""
    if type(sampler) is not BatchSampler or type(sampler.sampler) not in (SequentialSampler, RandomSampler):
        return iter(sampler)
    inner, size = sampler.sampler, sampler.batch_size
    order = range(len(inner)) if type(inner) is SequentialSampler else inner.order()
    ends = range(size, len(order) + 1, size) if sampler.drop_last else range(size, len(order) + size, size)
    return (order[end - size : end] for end in ends)
