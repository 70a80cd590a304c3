"""Batches are copied to the device on a stream of their own, in time and whole."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.backend.pinning import is_pinned
from autograd_gpu.data import CUDAPrefetcher, DataLoader, TensorDataset, pin_memory


@pytest.fixture
def emulated(cuda_device):
    """The emulated device's controls."""
    if cuda_device is None:
        pytest.skip("for the emulated device")
    return cuda_device


def loader(pin: bool, n: int = 20, workers: int = 0) -> DataLoader:
    x = ag.arange(float(n * 8)).view(n, 8)
    return DataLoader(
        TensorDataset(x, ag.arange(n)), batch_size=4, pin_memory=pin, num_workers=workers, timeout=60 if workers else 0
    )


def trained(batches) -> list[float]:
    """Something whose every step uses a batch and writes memory of its own."""
    w, losses = ag.zeros(8, device="cuda"), []
    for x, y in batches:
        w = w * 0.5 + (x * y.float().unsqueeze(1)).sum(0)
        losses.append(w)
    return [float(w.sum()) for w in losses]


@pytest.mark.parametrize("pin", [False, True])
def test_the_same_batches_as_without(pin):
    plain = [(x.cuda(), y.cuda()) for x, y in loader(False)]
    found = CUDAPrefetcher(loader(pin))
    assert len(found) == 5 and trained(found) == trained(plain) == trained(found)
    for x, y in found:
        assert str(x.device) == str(y.device) == "cuda:0"


@pytest.mark.parametrize("policy", ["lazy", "random", "eager"])
def test_nothing_is_read_too_early(emulated, policy):
    """The emulated device runs copies as late or as oddly as may be, and logs what nothing orders."""
    expected = trained([(x.cuda(), y.cuda()) for x, y in loader(False)])
    for pin in (False, True):
        with emulated.using(policy=policy, checked=True):  # each access of a kernel is seen
            assert trained(CUDAPrefetcher(loader(pin))) == expected


def test_copies_do_not_wait_for_the_step_before(emulated):
    """The copy of the next batch is in the queue of another stream than the step that uses this one."""
    with emulated.using(policy="lazy"):
        it = iter(CUDAPrefetcher(loader(True)))
        x, _ = next(it)
        y = x.exp().exp()
        event = ag.cuda.Event()
        event.record()
        it.gi_frame.f_locals["stream"].synchronize()
        assert not event.query()  # all copies so far are done, the step is not
        it.close()
        del x, y


def test_batches_of_workers():
    """A process that uses CUDA makes workers; these do not."""
    expected = trained([(x.cuda(), y.cuda()) for x, y in loader(False)])
    assert trained(CUDAPrefetcher(loader(True, workers=2))) == expected


def test_leaving_early_leaves_nothing_behind():
    for x, _ in CUDAPrefetcher(loader(True)):
        assert float(x.sum()) == sum(range(32))
        break


def test_pinned_batches():
    (x, y), _ = pin_memory(((ag.ones(3), np.arange(2)), "name"))
    assert is_pinned(x.array) and is_pinned(y) and x.tolist() == [1, 1, 1] and y.tolist() == [0, 1]
    b = pin_memory(ag.ones(2, 3, dtype=ag.bfloat16))
    assert b.dtype == ag.bfloat16 and is_pinned(b.array) and (b.cuda() * 2).cpu().float().sum() == 12
    assert not is_pinned(np.ones(3)) and pin_memory(ag.zeros(0)).shape == (0,)
    assert all(is_pinned(x.array) for x, _ in loader(True))


def test_datasets_on_the_device():
    x = ag.arange(6.0, device="cuda").view(3, 2)
    batches = list(DataLoader(TensorDataset(x), 2, shuffle=True))
    assert sum(float(b.sum()) for (b,) in batches) == 15 and str(batches[0][0].device) == "cuda:0"
    with pytest.raises(RuntimeError, match="num_workers=0"):
        next(iter(DataLoader(TensorDataset(x), 2, num_workers=1)))
