"""DataLoader: the same batches however they are made, and errors of workers that say what happened."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import data
from autograd_gpu.data import DataLoader, TensorDataset, get_worker_info
from autograd_gpu.data.transport import SHARED

WAIT = 30  # seconds after which a worker counts as lost: no test hangs


class Numbers(data.Dataset):
    """Number i as a float and an int; `fail` does something to it first. Large enough for shared memory with width=5000."""

    def __init__(self, n=10, fail=None, width=2):
        self.n, self.fail, self.width = n, fail, width

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if self.fail is not None:
            self.fail(i)
        return ag.full((self.width,), float(i)), i, f"no. {i}"


class Stream(data.IterableDataset):
    """The numbers below n, split over the workers."""

    def __init__(self, n=10):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        return iter(range(self.n)) if info is None else iter(range(info.id, self.n, info.num_workers))


class Drawn(data.Dataset):
    """Random numbers of three kinds."""

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return float(ag.rand(())), random.random(), np.random.rand()


def lists(batch):
    return [x.tolist() if isinstance(x, ag.Tensor) else x for x in batch] if isinstance(batch, (list, tuple)) else batch.tolist()


def all_of(loader):
    return [lists(batch) for batch in loader]


@pytest.fixture(autouse=True)
def _nothing_is_left():
    """No file stays in shared memory, no child process."""
    import multiprocessing

    def ours():
        return {p for p in os.listdir(SHARED) if p.startswith(f"autograd_gpu-{os.getpid()}-")} if os.path.isdir(SHARED) else set()

    before = ours(), set(multiprocessing.active_children())
    yield
    gc.collect()  # exceptions hold the frames that they went through
    assert not ours() - before[0]
    assert not set(multiprocessing.active_children()) - before[1]


# -- batches ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"drop_last": True}, {"batch_size": None}, {"batch_size": 4}, {"batch_size": 1}], ids=str
)
def test_batches_are_pytorchs(torch, options):
    options = {"batch_size": 3, **options}
    x = np.arange(20.0, dtype=np.float32).reshape(10, 2)
    theirs = torch.utils.data.TensorDataset(torch.tensor(x), torch.arange(10))
    if options["batch_size"] is None:
        options.pop("drop_last", None)
    ours = DataLoader(TensorDataset(ag.tensor(x), ag.arange(10)), **options)
    theirs = torch.utils.data.DataLoader(theirs, **options)
    assert len(ours) == len(theirs) and all_of(ours) == [[t.tolist() for t in batch] for batch in theirs]


@pytest.mark.parametrize("shuffle", [False, True])
def test_whole_batches_are_what_collating_gives(shuffle):
    """The fast path of TensorDataset and of its subsets."""
    dataset = TensorDataset(ag.randn(11, 3), ag.arange(11), ag.randn(11).to(ag.bfloat16))
    part = data.Subset(dataset, [5, 1, 8, 9, 2])
    for d in (dataset, part, data.Subset(part, [0, 3, 4])):
        g = ag.Generator()
        found = []
        for collate in (None, lambda samples: data.default_collate(samples)):
            g.manual_seed(1)
            found.append(list(DataLoader(d, 4, shuffle=shuffle, collate_fn=collate, generator=g)))
        for fast, slow in zip(*found, strict=True):
            assert type(fast) is type(slow) is list
            for a, b in zip(fast, slow, strict=True):
                assert a.dtype == b.dtype and ag.equal(a, b)


def test_batches_are_copies():
    x = ag.zeros(4, 2)
    for shuffle in (False, True):
        for (batch,) in DataLoader(TensorDataset(x), 2, shuffle=shuffle):
            batch += 1
    assert x.sum() == 0


def test_a_subclass_that_changes_samples_is_asked_for_them():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return [2 * t for t in super().__getitem__(index)]

    doubled = Doubled(ag.arange(4))
    assert all_of(DataLoader(doubled, 2)) == [[[0, 2]], [[4, 6]]]
    assert all_of(DataLoader(data.Subset(doubled, [3, 1]), 2)) == [[[6, 2]]]


class Negated(data.Subset):
    """The usual part of a dataset with a transform."""

    def __getitem__(self, index):
        return -super().__getitem__(index)


class Listed(Negated):
    """What defines the way of many samples itself is asked for many."""

    def __getitems__(self, numbers):
        return [100 + self[i] for i in numbers]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("collate", [None, list])
def test_a_subset_that_changes_samples_is_asked_for_them(workers, collate):
    split = Negated(list(range(6)), [5, 0, 3])
    cases = [
        (split, [-5, 0, -3]),
        (data.Subset(split, [2, 0]), [-3, -5]),
        (Listed(list(range(6)), [5, 0, 3]), [95, 100, 97]),
        (data.Subset(Listed(list(range(6)), [5, 0, 3]), [2, 0]), [97, 95]),
        (Negated(split, [2, 1]), [3, 0]),
    ]
    for dataset, expected in cases:
        (batch,) = DataLoader(dataset, 4, num_workers=workers, collate_fn=collate, timeout=WAIT if workers else 0)
        assert list(map(int, batch)) == expected


def test_a_state_of_something_else_is_refused():
    loader = DataLoader(Numbers(4), 2)
    for state in ({}, {"given": 1}, {"weight": ag.ones(1)}, [1], None):
        with pytest.raises(ValueError, match="not that of a DataLoader"):
            loader.load_state_dict(state)
    assert len(list(loader)) == 2


def test_gradients_flow_to_the_dataset():
    x = ag.ones(4, requires_grad=True)
    for (batch,) in DataLoader(TensorDataset(x), 3, shuffle=True):
        batch.sum().backward()
    assert x.grad.tolist() == [1, 1, 1, 1]


def test_samplers_and_generators():
    assert all_of(DataLoader(Numbers(5), sampler=[4, 2], batch_size=2))[0][1] == [4, 2]
    for numbers in (ag.tensor([1, 3]), np.array([1, 3]), ag.tensor([3, 1]).flip(0)):
        assert all_of(DataLoader(Numbers(5), sampler=numbers, batch_size=2))[0][1] == [1, 3]
        assert [b[1] for b in all_of(DataLoader(Numbers(5), sampler=numbers, batch_size=None))] == [1, 3]
    assert [b[1] for b in all_of(DataLoader(Numbers(5), batch_sampler=[[4], [1, 2]]))] == [[4], [1, 2]]
    g = ag.Generator().manual_seed(3)
    loader = DataLoader(TensorDataset(ag.arange(20)), 6, shuffle=True, generator=g)
    epochs = [all_of(loader), all_of(loader)]
    assert epochs[0] != epochs[1]
    g.manual_seed(3)
    assert [all_of(loader), all_of(loader)] == epochs
    assert all_of(DataLoader(Stream(5), batch_size=2)) == [[0, 1], [2, 3], [4]]
    assert all_of(DataLoader(Stream(5), batch_size=2, drop_last=True)) == [[0, 1], [2, 3]]
    assert list(DataLoader(Stream(3), batch_size=None)) == [0, 1, 2]
    with pytest.raises(TypeError):
        len(DataLoader(Stream(3)))


@pytest.mark.parametrize(
    "options, match",
    [
        ({"num_workers": -1}, "non-negative"),
        ({"timeout": -1}, "timeout"),
        ({"prefetch_factor": 2}, "num_workers > 0"),
        ({"num_workers": 1, "prefetch_factor": 0}, "positive"),
        ({"persistent_workers": True}, "num_workers > 0"),
        ({"sampler": [1], "shuffle": True}, "mutually exclusive"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "auto-batching"),
        ({"batch_size": 0}, "positive"),
        ({"multiprocessing_context": "fork"}, "multi-process"),
    ],
)
def test_options_that_do_not_fit(options, match):
    with pytest.raises(ValueError, match=match):
        DataLoader(Numbers(), **options)
    for unfit in ({"shuffle": True}, {"sampler": [1]}, {"batch_sampler": [[1]]}):
        with pytest.raises(ValueError, match="IterableDataset"):
            DataLoader(Stream(), **unfit)


def test_pinning_without_cuda_warns(monkeypatch):
    monkeypatch.setattr("autograd_gpu.cuda.is_available", lambda: False)
    with pytest.warns(UserWarning, match="no accelerator"):
        next(iter(DataLoader(Numbers(), pin_memory=True)))


# -- going on in the middle ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", [False, True], ids=["default generator", "own generator"])
@pytest.mark.parametrize("given", [None, 0, 2, 4])
def test_going_on_in_the_middle_of_an_epoch(own, given):
    def loader():
        g = ag.Generator().manual_seed(8) if own else None
        return DataLoader(TensorDataset(ag.arange(10)), 3, shuffle=True, generator=g)

    ag.manual_seed(4)
    first = loader()
    all_of(first)  # an epoch before
    it = first if given is None else iter(first)
    for _ in range(given or 0):
        next(it)
        ag.rand(3)
    state, numbers = first.state_dict(), ag.get_rng_state()
    rest = all_of(it), all_of(first), ag.rand(2).tolist()

    second = loader()
    ag.rand(5)
    second.load_state_dict(state)
    ag.set_rng_state(numbers)
    assert (all_of(second), all_of(second), ag.rand(2).tolist()) == rest


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_loop_within_a_loop(num_workers):
    loader = DataLoader(ag.arange(4), batch_size=2, num_workers=num_workers)
    pairs = [(a.tolist(), b.tolist()) for a in loader for b in loader]
    assert pairs == [([0, 1], [0, 1]), ([0, 1], [2, 3]), ([2, 3], [0, 1]), ([2, 3], [2, 3])]


def test_going_on_with_an_iterable_dataset():
    loader = DataLoader(Stream(7), batch_size=2)
    it = iter(loader)
    next(it)
    state, rest = loader.state_dict(), [b.tolist() for b in it]
    other = DataLoader(Stream(7), batch_size=2)
    other.load_state_dict(state)
    assert all_of(other) == rest and all_of(other)[0] == [0, 1]


# -- workers ---------------------------------------------------------------------------------------------------------------


def test_the_same_batches_whatever_the_workers():
    wide = Numbers(10, width=5000)
    found = []
    for workers in (0, 1, 3):
        ag.manual_seed(6)
        loader = DataLoader(wide, 3, shuffle=True, num_workers=workers, timeout=WAIT if workers else 0)
        found.append([all_of(loader), all_of(loader), ag.rand(1).item()])
    assert found[0] == found[1] == found[2]


def test_batches_through_the_pipe_where_there_is_no_shared_memory(monkeypatch):
    monkeypatch.setattr("autograd_gpu.data.workers.shared_folder", lambda: None)
    batches = list(DataLoader(Numbers(9, width=20000), 3, num_workers=2, timeout=WAIT))
    assert [b[1].tolist() for b in batches] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]] and all(
        ag.equal(b[0], b[1].float().unsqueeze(1).expand(3, 20000)) for b in batches
    )
    batches[0][0] += 1  # they are ours to write into


def test_dtypes_survive_the_way():
    x = [ag.ones(3, 4, dtype=d) for d in (ag.bfloat16, ag.float16, ag.bool, ag.int8, ag.float64)]
    (batch,) = DataLoader(TensorDataset(*x, ag.ones(3, 0)), 3, num_workers=1, timeout=WAIT)
    for t in batch[:-1]:
        assert ag.equal(t + t, ag.ones(3, 4, dtype=t.dtype) + ag.ones(3, 4, dtype=t.dtype))
    assert [t.dtype for t in batch[:-1]] == [t.dtype for t in x] and batch[-1].shape == (3, 0)


def test_iterable_datasets_are_split():
    loader = DataLoader(Stream(11), batch_size=2, num_workers=3, timeout=WAIT)
    batches = all_of(loader)
    assert sorted(x for b in batches for x in b) == list(range(11)) and batches == all_of(loader)
    assert batches[:3] == [[0, 3], [1, 4], [2, 5]]


def test_persistent_workers():
    pids = []

    def collate(samples):
        return os.getpid(), [s[1] for s in samples], get_worker_info().id

    loader = DataLoader(Numbers(8), 2, num_workers=2, persistent_workers=True, collate_fn=collate, timeout=WAIT)
    for _ in range(2):
        found = list(loader)
        pids.append({b[0] for b in found})
        assert [b[1] for b in found] == [[0, 1], [2, 3], [4, 5], [6, 7]] and [b[2] for b in found] == [0, 1, 0, 1]
    left = iter(loader)
    next(left)
    assert [b[1] for b in loader][0] == [0, 1]  # what is left of that epoch is thrown away
    with pytest.raises(RuntimeError, match="a newer loop"):
        next(left)
    assert pids[0] == pids[1] and len(pids[0]) == 2 and os.getpid() not in pids[0]


def test_workers_draw_their_own_random_numbers_again_and_again():
    def drawn():
        ag.manual_seed(2)
        loader = DataLoader(Drawn(), 2, num_workers=2, timeout=WAIT)
        return [all_of(loader), all_of(loader)]

    first = drawn()
    assert first == drawn()
    assert len({repr(batch) for epoch in first for batch in epoch}) == 4


def test_worker_init_and_info():
    def init(number):
        info = get_worker_info()
        assert (info.id, info.num_workers) == (number, 1)
        info.dataset.n = 2  # a copy

    dataset = Numbers(3)
    loader = DataLoader(
        dataset, collate_fn=lambda s: get_worker_info().dataset.n, num_workers=1, worker_init_fn=init, timeout=WAIT
    )
    assert list(loader) == [2, 2, 2] and dataset.n == 3 and get_worker_info() is None


class Odd(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


def _raise(kind, *args):
    def fail(i):
        if i == 4:
            raise kind(*args)

    return fail


@pytest.mark.parametrize(
    "error, expected", [((ValueError, "no such number"), ValueError), ((KeyError, "x"), KeyError), ((Odd, 1, 2), RuntimeError)]
)
def test_an_exception_in_a_worker(error, expected):
    loader = DataLoader(Numbers(8, _raise(*error)), 2, num_workers=2, timeout=WAIT)
    it = iter(loader)
    assert next(it)[1].tolist() == [0, 1] and next(it)[1].tolist() == [2, 3]
    with pytest.raises(expected) as caught:
        next(it)
    text = str(caught.value)
    assert f"Caught {error[0].__name__} in DataLoader worker process 0" in text
    assert "Traceback" in text and "in __getitem__" in text and "in fail" in text and "\n" in text
    assert next(it)[1].tolist() == [6, 7]  # the others were made


def test_exceptions_at_the_beginning():
    def init(number):
        raise ValueError("not today")

    for options in ({"worker_init_fn": init}, {"collate_fn": lambda samples: threading.Lock()}):
        with pytest.raises((ValueError, TypeError), match="in DataLoader worker process 0"):
            next(iter(DataLoader(Numbers(), num_workers=1, timeout=WAIT, **options)))


def kill(i):
    if i == 2:
        os.kill(os.getpid(), signal.SIGKILL)


def leave(i):
    if i == 2:
        os._exit(3)


@pytest.mark.parametrize("how, match", [(kill, "killed by signal: SIGKILL"), (leave, "exit code 3")])
def test_a_worker_that_dies(how, match):
    with pytest.raises(RuntimeError, match=rf"DataLoader worker \(pid \d+\) .*{match}"):
        list(DataLoader(Numbers(8, how), num_workers=2, timeout=WAIT))


def test_a_worker_that_is_late():
    late = threading.Event()
    it = iter(DataLoader(Numbers(4, lambda i: late.wait(20)), num_workers=1, timeout=0.2))
    with pytest.raises(RuntimeError, match="timed out after 0.2 seconds"):
        next(it)


def test_leaving_early_ends_the_workers():
    for batch in DataLoader(Numbers(1000, width=5000), num_workers=2, timeout=WAIT):
        assert batch[1].item() == 0
        break


SCRIPT = """
import sys, threading, time
import autograd_gpu as ag
from autograd_gpu.data import DataLoader, TensorDataset

if __name__ == "__main__":
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    loader = DataLoader(TensorDataset(ag.arange(6)), 2, num_workers=2, timeout=60)
    print([b.tolist() for (b,) in loader])
    import multiprocessing
    from autograd_gpu.data.workers import context_of
    assert context_of(None).get_start_method() != "fork"
"""


def test_with_other_threads_nothing_is_forked(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join([str(Path(ag.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=100, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.stdout.strip() == "[[0, 1], [2, 3], [4, 5]]", done.stderr


def test_what_cannot_be_pickled_is_said_before_workers_start():
    class Local(data.Dataset):
        def __len__(self):
            return 1

    with pytest.raises(RuntimeError, match="cannot start a worker.*must be pickled.*multiprocessing_context='fork'"):
        next(iter(DataLoader(Local(), num_workers=1, multiprocessing_context="spawn", timeout=WAIT)))


def test_workers_end_with_the_main_process(tmp_path):
    code = (
        "import os, signal, autograd_gpu as ag; from autograd_gpu.data import *\n"
        "it = iter(DataLoader(TensorDataset(ag.zeros(900, 9000)), 2, num_workers=2)); next(it)\n"
        "print(*[w.process.pid for w in it._found._workers._workers], flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = os.pathsep.join([str(Path(ag.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    # the pipe for its output is closed only when the workers, who share it, are gone too
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == -signal.SIGKILL and len(done.stdout.split()) == 2, done.stderr
