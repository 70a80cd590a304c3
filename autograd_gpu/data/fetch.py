"""How the samples of one batch are taken from a dataset: the same in the main process and in workers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from .collate import default_collate
from .dataset import IterableDataset, many_at_once


class WorkerInfo(NamedTuple):
    """What `get_worker_info` says of a worker: its number `id`, how many there are, the seed that its random numbers began with,
    and its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


current_worker: list[WorkerInfo | None] = [None]


def get_worker_info() -> WorkerInfo | None:
    """What a worker process of a DataLoader may know of itself; None in the main process.

    >>> import autograd_gpu as ag
    >>> ag.data.get_worker_info() is None
    True
    """
    return current_worker[0]


class EndOfSamples(Exception):
    """An iterable dataset has given its last sample."""


def fetcher(
    dataset: Any, batched: bool, collate: Callable[[Any], Any], drop_last: bool, size: int | None
) -> Callable[[Any], Any]:
    """A function from what a sampler gives (numbers, or one number where there are no batches) to a batch.

    That of an iterable dataset takes no notice of the numbers and raises EndOfSamples at the end."""
    if isinstance(dataset, IterableDataset):
        samples = iter(dataset)

        def following(numbers: Any) -> Any:
            if not batched:
                for sample in samples:
                    return collate(sample)
                raise EndOfSamples
            batch = list(itertools.islice(samples, size))
            if not batch or (drop_last and len(batch) < size):
                raise EndOfSamples
            return collate(batch)

        return following
    if not batched:
        return lambda number: collate(dataset[number])
    whole = many_at_once(dataset, "__getbatch__") if collate is default_collate else None
    if whole is not None:
        return whole
    many = many_at_once(dataset, "__getitems__")
    if many is not None:
        return lambda numbers: collate(many(_list(numbers)))
    return lambda numbers: collate([dataset[i] for i in _list(numbers)])


def _list(numbers: Any) -> Any:
    return numbers if isinstance(numbers, (list, range)) else list(numbers.tolist() if hasattr(numbers, "tolist") else numbers)
