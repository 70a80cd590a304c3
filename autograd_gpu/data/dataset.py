"""Datasets: what gives samples by their number, and what gives them one after another."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from ..core.tensor import Tensor
from ..ops.generator import Generator
from ..ops.random import randperm
from .collate import default_collate

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Samples by their number. A subclass defines `__getitem__`, and `__len__` for most samplers.

    It may also define `__getitems__(numbers)`, which gives a list of samples at once, or `__getbatch__(numbers)`, which gives
    them collated, as default_collate would: a DataLoader without a collate_fn then asks for whole batches.

    >>> import autograd_gpu as ag
    >>> class Squares(ag.data.Dataset):
    ...     def __getitem__(self, index):
    ...         return index, float(index**2)
    ...     def __len__(self):
    ...         return 4
    >>> for x, y in ag.data.DataLoader(Squares(), batch_size=2):
    ...     print(x, y)
    tensor([0, 1]) tensor([0., 1.], dtype=autograd_gpu.float64)
    tensor([2, 3]) tensor([4., 9.], dtype=autograd_gpu.float64)
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Samples one after another. A subclass defines `__iter__`, which in a worker process is called in each: let it look at
    `get_worker_info()` to give a part of the samples in each.

    >>> import autograd_gpu as ag
    >>> class Count(ag.data.IterableDataset):
    ...     def __iter__(self):
    ...         info = ag.data.get_worker_info()
    ...         first, step = (0, 1) if info is None else (info.id, info.num_workers)
    ...         return iter(range(first, 5, step))
    >>> list(ag.data.DataLoader(Count(), batch_size=3))
    [tensor([0, 1, 2]), tensor([3, 4])]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")

    def __add__(self, other: Dataset) -> ChainDataset:
        return ChainDataset([self, other])


def many_at_once(dataset: Any, name: str) -> Callable[[Any], Any] | None:
    """The `__getbatch__` or `__getitems__` of a dataset, as `name` says, or None if it has none or a subclass has changed since
    what a sample is."""
    for kind in type(dataset).__mro__:
        own = vars(kind)
        if name in own:
            return getattr(dataset, name)
        if "__getitem__" in own or "__getitems__" in own:
            return None
    return None


def rows(tensor: Tensor, numbers: Any) -> Tensor:
    """A copy of the rows of a tensor with these numbers: a range of step 1, an array or a list."""
    array = tensor.array
    if array.__class__ is np.ndarray and tensor.node is None:
        if numbers.__class__ is range:
            if numbers.stop > len(array):
                raise IndexError(f"index {numbers.stop - 1} is out of bounds for dimension 0 with size {len(array)}")
            return Tensor(array[numbers.start : numbers.stop].copy())
        return Tensor(array.take(numbers, 0))
    if numbers.__class__ is range:
        return tensor[numbers.start : numbers.stop].clone()
    return tensor[np.asarray(numbers, np.int64)]


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """The rows of tensors of one length: sample i is the tuple of their rows i. A DataLoader takes whole batches of it.

    >>> import autograd_gpu as ag
    >>> dataset = ag.data.TensorDataset(ag.arange(6).view(3, 2), ag.tensor([7, 8, 9]))
    >>> len(dataset), dataset[1]
    (3, (tensor([2, 3]), tensor(8)))
    """

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor):
        if not tensors:
            raise ValueError("TensorDataset takes at least one tensor")
        if any(t.array.ndim == 0 or len(t) != len(tensors[0]) for t in tensors):
            raise AssertionError(f"Size mismatch between tensors: their shapes are {[list(t.shape) for t in tensors]}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([t[index] for t in self.tensors])

    def __getbatch__(self, numbers: Any) -> list[Tensor]:
        return [rows(t, numbers) for t in self.tensors]

    def __len__(self) -> int:
        return len(self.tensors[0])


class StackDataset(Dataset[Any]):
    """Datasets of one length side by side: a sample is the tuple of their samples, or a dict where they are given by name.

    >>> import autograd_gpu as ag
    >>> ag.data.StackDataset(image=["a", "b"], label=[0, 1])[1]
    {'image': 'b', 'label': 1}
    """

    datasets: tuple | dict

    def __init__(self, *args: Any, **kwargs: Any):
        if bool(args) == bool(kwargs):
            if args:
                raise ValueError(
                    "Supported either ``tuple``- (via ``args``) or ``dict``- (via ``kwargs``) like input, but not both"
                )
            raise ValueError("At least one dataset should be passed")
        self.datasets = args or kwargs
        lengths = [len(d) for d in self._all()]
        if len(set(lengths)) > 1:
            raise ValueError(f"Size mismatch between datasets: their lengths are {lengths}")
        self._length = lengths[0]

    def _all(self) -> Iterable[Any]:
        return self.datasets.values() if isinstance(self.datasets, dict) else self.datasets

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[Any]):
    """Datasets one behind the other: what `a + b` gives.

    >>> import autograd_gpu as ag
    >>> both = ag.data.ConcatDataset([[1, 2], [3]])
    >>> len(both), both[2], both[-1], both.cumulative_sizes
    (3, 3, 3, [2, 3])
    """

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset: use ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __getitem__(self, index: int) -> Any:
        if index < 0:
            if -index > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            index += len(self)
        which = bisect.bisect_right(self.cumulative_sizes, index)
        if which == len(self.datasets):
            raise IndexError(f"index {index} is out of range for {len(self)} samples")
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[Any]):
    """Iterable datasets one behind the other: what `a + b` gives.

    >>> import autograd_gpu as ag
    >>> class Words(ag.data.IterableDataset):
    ...     def __init__(self, text):
    ...         self.text = text
    ...     def __iter__(self):
    ...         return iter(self.text.split())
    >>> list(Words("to be") + Words("or not"))
    ['to', 'be', 'or', 'not']
    """

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = datasets

    def _checked(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            yield dataset

    def __iter__(self) -> Iterator[Any]:
        for dataset in self._checked():
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self._checked())


class Subset(Dataset[Any]):
    """The samples of a dataset with the numbers `indices`, in that order.

    >>> import autograd_gpu as ag
    >>> evens = ag.data.Subset(["a", "b", "c"], [0, 2])
    >>> len(evens), evens[1]
    (2, 'c')
    """

    def __init__(self, dataset: Any, indices: Sequence[int]):
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, numbers: Any) -> list:
        """The samples with these numbers."""
        numbers, many = self._of_dataset(numbers), many_at_once(self.dataset, "__getitems__")
        return [self.dataset[i] for i in numbers] if many is None else many(numbers)

    def __getbatch__(self, numbers: Any) -> Any:
        whole = many_at_once(self.dataset, "__getbatch__")
        return default_collate(self.__getitems__(numbers)) if whole is None else whole(self._of_dataset(numbers))

    def _of_dataset(self, numbers: Any) -> list[int]:
        indices = self.indices
        return [indices[i] for i in (numbers.tolist() if isinstance(numbers, np.ndarray) else numbers)]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[int | float], generator: Generator | None = None) -> list[Subset]:
    """Part a dataset by chance into subsets of the given lengths, or of lengths given as fractions that sum up to 1.

    >>> import autograd_gpu as ag
    >>> train, test = ag.data.random_split(range(10), [0.8, 0.2], generator=ag.Generator().manual_seed(1))
    >>> len(train), len(test), sorted([*train, *test]) == list(range(10))
    (8, 2, True)
    """
    total = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 or any(isinstance(n, float) for n in lengths):
        if not math.isclose(sum(lengths), 1):
            raise ValueError(f"Sum of input lengths does not equal the length of the input dataset: fractions {list(lengths)}")
        for i, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"Fraction at index {i} is not between 0 and 1")
        counts = [math.floor(total * fraction) for fraction in lengths]
        for i in range(total - sum(counts)):
            counts[i % len(counts)] += 1
        for i, n in enumerate(counts):
            if n == 0:
                warnings.warn(f"Length of split at index {i} is 0. This might result in an empty dataset.", stacklevel=2)
        lengths = counts
    if sum(lengths) != total:
        raise ValueError(f"Sum of input lengths does not equal the length of the input dataset: {list(lengths)} and {total}")
    order = randperm(total, generator=generator).array.tolist()
    ends = itertools.accumulate(lengths)
    return [Subset(dataset, order[end - n : end]) for n, end in zip(lengths, ends, strict=True)]
