"""Worker processes of a DataLoader.

NOTE [Workers]
    1. Each worker has a pipe for what it is to do and one for what it has done, and does things in order. Batch k is given to the
       workers in turn, so the main process knows which pipe batch k comes from, and waits for that one only.
    2. A worker has at most `prefetch` batches to do. A thread of it takes them off the pipe at once, so the main process never
       waits when it sends. The pipe's end tells that thread that the main process is gone; it then ends the worker.
    3. A worker that dies closes its pipe and its sentinel, so nobody waits for it for ever.
    4. Workers are forked where that is safe, which is quick and needs no pickling: when no other thread of this process may hold
       a lock. Otherwise they come from a fork server, or are spawned where there is none; then the dataset is pickled, and the
       script's main part must be guarded by `if __name__ == "__main__":`.
    5. An epoch has a number that goes with each message: what is left of an epoch that was broken off is thrown away.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import random
import shutil
import signal
import sys
import threading
import traceback
import warnings
import weakref
from collections import deque
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import numpy as np

from ..backend.cpu.threads import set_num_threads
from ..ops.generator import manual_seed
from .fetch import EndOfSamples, WorkerInfo, current_worker, fetcher
from .transport import Message, receive, shared_folder

BATCH, ERROR, END = range(3)
NOT_FORKED = (
    " Workers are started by {0!r} here, as always where other threads may hold locks: the dataset, collate_fn and "
    "worker_init_fn must be pickled, so they must be defined in a file that can be imported, and what a script does must stand "
    "under if __name__ == '__main__'. If no thread holds a lock now, multiprocessing_context='fork' needs none of that."
)


class Job(NamedTuple):
    """What all workers of a DataLoader are told: the arguments of `fetcher`, and whom to call first."""

    dataset: Any
    batched: bool
    collate: Any
    drop_last: bool
    size: int | None
    init: Any
    workers: int


class Failure(NamedTuple):
    """An exception in a worker."""

    kind: type
    message: str


# -- in the worker ---------------------------------------------------------------------------------------------------------


def _take_in(tasks: Connection, todo: queue.SimpleQueue, folder: str | None) -> None:
    """Put what comes from the main process into a queue, until it sends None or is gone."""
    try:
        while (task := tasks.recv()) is not None:
            todo.put(task)
    except (EOFError, OSError):
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)
    todo.put(None)


def work(number: int, job: Job, tasks: Connection, results: Connection, folder: str | None, inherited: list[Connection]) -> None:
    """The life of a worker. `inherited` are ends of pipes that are the main process's, of which forking makes copies: while one
    is open, that the main process is gone cannot be seen."""
    for connection in inherited:
        connection.close()
    gc.freeze()  # what came along by forking is not to be finalized here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process is told, and it ends this one
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        set_num_threads(1)
    todo: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_take_in, args=(tasks, todo, folder), daemon=True).start()
    fetch: Any = None
    broken: Failure | None = None  # what went wrong before the first batch of this epoch
    started, count = False, 0
    while (task := todo.get()) is not None:
        epoch, numbers, seed = task
        if seed is not None:  # a new epoch
            broken = None
            try:
                _seed(seed + number)
                current_worker[0] = WorkerInfo(number, job.workers, seed + number, job.dataset)
                if job.init is not None and not started:
                    job.init(number)
                started = True
                fetch = fetcher(job.dataset, job.batched, job.collate, job.drop_last, job.size)
            except Exception:
                broken = _failure(number)
            continue
        try:
            if broken is not None:
                message, kind = Message(broken), ERROR
            else:
                message, kind = Message(fetch(numbers)), BATCH
        except EndOfSamples:
            message, kind = Message(None), END
        except Exception:
            message, kind = Message(_failure(number)), ERROR
        count += 1
        try:
            message.send(results, (epoch, kind), None if folder is None else f"{folder}/{number}-{count}")
        except OSError:  # nobody waits for it any more
            return


def _seed(seed: int) -> None:
    manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def _failure(number: int) -> Failure:
    kind = sys.exc_info()[0] or RuntimeError
    if getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is not kind:
        kind = RuntimeError  # it cannot be found by name
    text = f"Caught {kind.__name__} in DataLoader worker process {number}.\nOriginal {traceback.format_exc()}"
    return Failure(kind, text)


# -- in the main process ---------------------------------------------------------------------------------------------------


class _Verbatim(str):
    """A message that KeyError shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _raise(failure: Failure) -> None:
    message = _Verbatim(failure.message) if failure.kind is KeyError else failure.message
    try:
        error = failure.kind(message)
    except Exception:  # it takes other arguments
        error = RuntimeError(message)
    raise error


def context_of(given: Any) -> Any:
    """The multiprocessing context to start workers with: the given one, or by rule 4 of the NOTE."""
    import multiprocessing

    if given is not None and not isinstance(given, str):
        return given
    methods = multiprocessing.get_all_start_methods()
    if given is not None:
        if given not in methods:
            raise ValueError(
                f"multiprocessing_context option should specify a valid start method in {methods!r}, but got "
                f"multiprocessing_context={given!r}"
            )
        return multiprocessing.get_context(given)
    if "fork" in methods and sys.platform != "darwin" and threading.active_count() == 1:
        return multiprocessing.get_context("fork")
    if "forkserver" not in methods:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["autograd_gpu.data"])
    return context


class _Worker(NamedTuple):
    process: Any
    tasks: Connection
    results: Connection


def _end(workers: list[_Worker], folder: str | None, owner: int) -> None:
    """Let workers end, and end those that do not."""
    if os.getpid() != owner:  # in a fork of the process that they belong to
        return
    for worker in workers:
        try:
            worker.tasks.send(None)
        except OSError:
            pass
        worker.results.close()
    for patience, force in ((1.0, "terminate"), (1.0, "kill"), (5.0, None)):
        for worker in workers:
            worker.process.join(patience)
        for worker in workers:
            if force is not None and worker.process.is_alive():
                getattr(worker.process, force)()
    for worker in workers:
        worker.tasks.close()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


class Workers:
    """The worker processes of a DataLoader."""

    def __init__(self, job: Job, context: Any, prefetch: int, timeout: float):
        self._prefetch, self._timeout = prefetch, timeout
        self._epoch = 0
        self._hint = ""
        self._workers: list[_Worker] = []
        folder = shared_folder()
        self._close = weakref.finalize(self, _end, self._workers, folder, os.getpid())
        context = context_of(context)
        method = context.get_start_method()
        if method != "fork":
            self._hint = NOT_FORKED.format(method)
        try:
            for number in range(job.workers):
                here, tasks = context.Pipe(duplex=False)[::-1]
                results, there = context.Pipe(duplex=False)
                ours = [here, results, *(end for w in self._workers for end in (w.tasks, w.results))]
                inherited = ours if method == "fork" else []
                process = context.Process(target=work, args=(number, job, tasks, there, folder, inherited), daemon=True)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)  # see rule 4: threads that fork are not Python's
                    self._started(process)
                tasks.close()
                there.close()
                self._workers.append(_Worker(process, here, results))
        except BaseException:
            self._close()
            raise

    def _started(self, process: Any) -> None:
        try:
            process.start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            if not self._hint:
                raise
            raise RuntimeError(f"DataLoader cannot start a worker: {error}.{self._hint}") from error

    @property
    def alive(self) -> bool:
        """Whether they can be used."""
        return self._close.alive

    def close(self) -> None:
        """End the processes."""
        self._close()

    def batches(self, numbers: Any, seed: int) -> Any:
        """Give the workers the batches of one epoch to do, and yield what they make of them, in order: functions that return a
        batch, or raise what the worker did."""
        self._epoch += 1
        epoch = self._epoch
        for worker in self._workers:
            self._send(worker, (epoch, None, seed))
        active = deque(self._workers)
        due: deque[_Worker] = deque()  # who does the batches that are to come
        given = iter(numbers)
        ended: set[int] = set()

        def more(count: int) -> None:
            for _ in range(count):
                if not active:
                    return
                try:
                    task = next(given)
                except StopIteration:
                    return
                worker = active.popleft()
                active.append(worker)
                self._send(worker, (epoch, task, None))
                due.append(worker)

        more(self._prefetch * len(self._workers))
        while due:
            worker = due.popleft()
            if id(worker) in ended:
                continue
            if self._epoch != epoch:
                raise RuntimeError(
                    "a newer loop over this DataLoader has taken its persistent workers over: end one before the next"
                )
            kind, value = self._receive(worker, epoch)
            if kind == END:
                ended.add(id(worker))
                active.remove(worker)
                more(sum(w is worker for w in due))  # those will come to nothing
                continue
            more(1)
            yield value if kind == BATCH else partial(_raise, value())

    def _send(self, worker: _Worker, task: Any) -> None:
        try:
            worker.tasks.send(task)
        except OSError:
            self._dead(worker)

    def _receive(self, worker: _Worker, epoch: int) -> tuple[int, Any]:
        """The next message of a worker in this epoch: its kind, and a function that gives its value."""
        while True:
            ready = wait([worker.results, worker.process.sentinel], self._timeout or None)
            if not ready:
                self._close()
                raise RuntimeError(
                    f"DataLoader timed out after {self._timeout} seconds, waiting for worker process (pid {worker.process.pid})"
                )
            if worker.results not in ready and not worker.results.poll(0):
                self._dead(worker)
            try:
                (sent, kind), value = receive(worker.results)
            except (EOFError, OSError):
                self._dead(worker)
            self._hint = ""  # they do start
            if sent == epoch:
                return kind, value

    def _dead(self, worker: _Worker) -> None:
        process = worker.process
        process.join(5)
        code, pid = process.exitcode, process.pid
        self._close()
        if code is not None and code < 0:
            try:
                how = f"is killed by signal: {signal.Signals(-code).name}"
            except ValueError:
                how = f"is killed by signal {-code}"
            how += ". It may have run out of memory" if -code == 9 else ""
        else:
            how = f"exited unexpectedly with exit code {code}"
        raise RuntimeError(
            f"DataLoader worker (pid {pid}) {how}. Look above for what it wrote, or use num_workers=0 to see why.{self._hint}"
        )
