"""DataLoader: batches of the samples of a dataset, made here or in worker processes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..core.tensor import Tensor
from ..ops.generator import Generator, default_generator
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .fetch import EndOfSamples, fetcher
from .sampler import BatchSampler, RandomSampler, SequentialSampler, drawn_seed, number_batches

if TYPE_CHECKING:
    from .workers import Workers

T_co = TypeVar("T_co", covariant=True)


def _always() -> Iterator[None]:
    while True:
        yield None


class DataLoader(Generic[T_co]):
    """Iterates over a dataset in batches; each `for` loop is an epoch. The order of the samples, and with a TensorDataset the
    batches, are the same for a seed whatever `num_workers` is.

    dataset             a Dataset, or an IterableDataset, or anything with `__getitem__` and `__len__`
    batch_size          samples in a batch; None for single samples
    shuffle             whether the order is random, another one in each epoch
    sampler             gives the numbers of the samples, instead of shuffle; `batch_sampler` gives lists of them
    num_workers         processes that make batches; 0 for none
    collate_fn          makes a batch of a list of samples
    pin_memory          copy batches to page-locked memory, from which CUDA copies without waiting
    drop_last           leave a last batch out that is not full
    timeout             seconds to wait for a worker, 0 for ever
    worker_init_fn      called in each worker with its number
    generator           where random numbers come from, the default generator if not given
    prefetch_factor     batches that each worker may be ahead, 2 if not given
    persistent_workers  keep the processes from one epoch to the next

    An exception in a worker is raised here, with the worker's traceback in its message. A worker that dies or is late is a
    RuntimeError. `state_dict` and `load_state_dict` go on in the middle of an epoch.

    >>> import autograd_gpu as ag
    >>> x, y = ag.arange(10.0).view(5, 2), ag.arange(5)
    >>> loader = ag.data.DataLoader(ag.data.TensorDataset(x, y), batch_size=2, shuffle=True)
    >>> len(loader), sorted(label for _, labels in loader for label in labels.tolist())
    (3, [0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable | None = None,
        batch_sampler: Iterable | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ):
        if num_workers < 0:
            raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError("prefetch_factor option could only be specified in multiprocessing: let num_workers > 0")
        if prefetch_factor is not None and prefetch_factor < 1:
            raise ValueError("prefetch_factor option should be positive")
        if num_workers == 0 and persistent_workers:
            raise ValueError("persistent_workers option needs num_workers > 0")
        if num_workers == 0 and multiprocessing_context is not None:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got num_workers=0"
            )
        if isinstance(dataset, IterableDataset):
            for name, given in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
                if given is not None:
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={given}"
                    )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        self.dataset = dataset
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        if sampler is None and not isinstance(dataset, IterableDataset):
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(() if sampler is None else sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self._batched = batch_sampler is not None
        self.collate_fn = collate_fn if collate_fn is not None else default_collate if self._batched else default_convert
        self._workers: Workers | None = None
        self._given: int | None = None  # batches of the present epoch, None between epochs
        self._began: list[Any] = []  # the states of the generators when it began
        self._resumed: dict[str, Any] | None = None

    def __len__(self) -> int:
        """The number of batches. Raises TypeError if the dataset has no length."""
        if isinstance(self.dataset, IterableDataset):
            n = len(self.dataset)
            if self.batch_size is None:
                return n
            return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        return len(self.batch_sampler if self._batched else self.sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[T_co]:
        resumed, self._resumed = self._resumed, None
        skip = None if resumed is None else resumed["given"]
        if skip is None:
            return self._epoch(0)
        # The epoch that was left is begun again from the random numbers that it began with. What others have drawn from the
        # default generator since then stays as it is.
        now = default_generator.get_state()
        for generator, state in zip(self._generators(), resumed["began"], strict=True):
            generator.set_state(state)
        epoch = self._epoch(skip)
        default_generator.set_state(now)
        return epoch

    def _epoch(self, skip: int) -> Iterator[T_co]:
        self._began = [generator.get_state() for generator in self._generators()]
        self._given = skip
        seed = drawn_seed(self.generator)
        numbers = self._numbers()
        iterable = isinstance(self.dataset, IterableDataset)
        if skip and not iterable:
            for _ in range(skip):
                next(numbers, None)
        found = self._in_workers(numbers, seed) if self.num_workers else self._here(numbers)
        return _Batches(self, found, skip if iterable else 0)

    def _numbers(self) -> Iterator[Any]:
        if isinstance(self.dataset, IterableDataset):
            return _always()
        return number_batches(self.batch_sampler) if self._batched else iter(self.sampler)  # type: ignore[arg-type]

    def _here(self, numbers: Iterator[Any]) -> Iterator[Any]:
        fetch = fetcher(self.dataset, self._batched, self.collate_fn, self.drop_last, self.batch_size)
        if not isinstance(self.dataset, IterableDataset):
            return map(fetch, numbers)
        return _until_the_end(fetch)

    def _in_workers(self, numbers: Iterator[Any], seed: int) -> Iterator[Any]:
        from .workers import Job, Workers  # here, for multiprocessing takes time to import

        if any(not t.is_cpu for t in getattr(self.dataset, "tensors", ()) if isinstance(t, Tensor)):
            raise RuntimeError(
                "worker processes cannot use tensors on a CUDA device: keep the dataset on the CPU, or num_workers=0"
            )
        workers = self._workers
        if workers is None or not workers.alive:
            job = Job(
                self.dataset,
                self._batched,
                self.collate_fn,
                self.drop_last,
                self.batch_size,
                self.worker_init_fn,
                self.num_workers,
            )
            workers = Workers(job, self.multiprocessing_context, self.prefetch_factor or 2, self.timeout)
            if self.persistent_workers:
                self._workers = workers
        return _From(workers, workers.batches(numbers, seed), self.persistent_workers)

    # -- going on in the middle of an epoch --------------------------------------------------------------------------------

    def _generators(self) -> list[Generator]:
        """The generators that the order depends on."""
        sampler = getattr(self.batch_sampler, "sampler", None)
        if sampler is None:
            sampler = self.sampler
        found = [self.generator or default_generator, getattr(sampler, "generator", None)]
        return [g for i, g in enumerate(found) if isinstance(g, Generator) and all(g is not other for other in found[:i])]

    def state_dict(self) -> dict[str, Any]:
        """Where in the present epoch this is: after the batches that were given so far, of the latest `for` loop."""
        between = self._given is None
        began = [generator.get_state() for generator in self._generators()] if between else list(self._began)
        return {"given": self._given, "began": began}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next `for` loop go on where `state_dict` was called, with the same batches. The default generator stays as
        it is: its state is saved with the other random numbers.

        Raises ValueError for what is no such state, or that of a DataLoader with other generators."""
        if not isinstance(state_dict, Mapping) or not {"given", "began"} <= state_dict.keys():
            raise ValueError("the state_dict is not that of a DataLoader: what state_dict() of one gave has 'given' and 'began'")
        if len(state_dict["began"]) != len(self._generators()):
            raise ValueError("the state_dict is that of a DataLoader with other generators")
        self._resumed = dict(state_dict)
        if state_dict["given"] is None:
            for generator, state in zip(self._generators(), state_dict["began"], strict=True):
                if generator is not default_generator:
                    generator.set_state(state)
        self._given, self._began = state_dict["given"], list(state_dict["began"])


class _Batches(Iterator):
    """The batches of one epoch, counted."""

    def __init__(self, loader: DataLoader, found: Iterator[Any], skip: int):
        self._loader, self._found = loader, found
        self._began = loader._began  # which says whether a newer loop has begun: the loader speaks of the latest
        self._pin: Callable[[Any], Any] | None = None
        if loader.pin_memory:
            from ..cuda import is_available
            from .prefetch import pin_memory

            if is_available():
                self._pin = pin_memory
            else:
                warnings.warn(
                    "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be used.",
                    stacklevel=4,
                )
        for _ in range(skip):
            next(found, None)

    def __len__(self) -> int:
        return len(self._loader)

    def __next__(self) -> Any:
        loader = self._loader
        latest = loader._began is self._began
        try:
            batch = next(self._found)
        except StopIteration:
            if latest:
                loader._given = None
            raise
        if latest:
            loader._given += 1
        return batch if self._pin is None else self._pin(batch)


class _From(Iterator):
    """What workers make. They end with it unless they persist."""

    def __init__(self, workers: Workers, functions: Iterator[Callable[[], Any]], persist: bool):
        self._workers, self._functions, self._persist = workers, functions, persist

    def __next__(self) -> Any:
        try:
            function = next(self._functions)
        except StopIteration:
            if not self._persist:
                self._workers.close()
            raise
        return function()


def _until_the_end(fetch: Callable[[Any], Any]) -> Iterator[Any]:
    while True:
        try:
            batch = fetch(None)
        except EndOfSamples:
            return
        yield batch
