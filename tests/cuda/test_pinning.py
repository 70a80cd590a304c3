"""Page-locked memory: what lies in it is copied to the device when the copy runs, and is not given to others before."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_gpu as ag


@pytest.fixture
def lazy(cuda_device):
    """A device that does nothing before somebody waits for it."""
    if cuda_device is None:
        pytest.skip("for the emulated device")
    with cuda_device.using(policy="lazy"):
        yield


def test_tensors_in_page_locked_memory():
    x = ag.arange(6.0).view(2, 3)
    pinned = x.pin_memory()
    assert pinned.is_pinned() and not x.is_pinned() and ag.equal(pinned, x) and pinned.pin_memory() is pinned
    assert pinned[0].is_pinned() and pinned.T.is_pinned() and not (pinned + 1).is_pinned()
    for source in (pinned, pinned.T, pinned[:, 1:], x, ag.zeros(0).pin_memory(), ag.ones(3, dtype=ag.bfloat16).pin_memory()):
        for found in (source.to("cuda", non_blocking=True), source.cuda(non_blocking=True)):
            assert str(found.device) == "cuda:0" and found.dtype == source.dtype and ag.equal(found.cpu(), source)
    assert ag.equal(x.T.pin_memory(), x.T)
    with pytest.raises(RuntimeError, match="only dense CPU tensors can be pinned"):
        x.cuda().pin_memory()


def test_tensors_are_made_there():
    for make in (lambda **k: ag.empty(3, 2, **k), lambda **k: ag.zeros(3, **k), lambda **k: ag.ones(3, **k)):
        assert make(pin_memory=True).is_pinned() and not make().is_pinned() and not make(pin_memory=False).is_pinned()
        with pytest.raises(RuntimeError, match="Only dense CPU tensors can be pinned"):
            make(pin_memory=True, device="cuda")
    assert ag.tensor([1.0, 2.0], pin_memory=True).is_pinned() and ag.ones(2, pin_memory=True).tolist() == [1, 1]
    x = ag.empty(4, pin_memory=True, requires_grad=True)
    assert x.requires_grad and x.cuda(non_blocking=True).shape == (4,)


def test_gradients_flow_through_copies_that_do_not_wait():
    x = ag.ones(3, requires_grad=True)
    (x.to("cuda", non_blocking=True) * 2).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_copies_run_later(lazy):
    """Written over before the copy has run, the source is read as it is then: so the host did go on."""
    pinned, plain = ag.zeros(4).pin_memory(), ag.zeros(4)
    late = pinned.to("cuda", non_blocking=True)
    pinned.fill_(7)
    assert late.tolist() == [7] * 4
    for x, options in ((pinned, {}), (plain, {"non_blocking": True})):  # these are read at once
        copy = x.fill_(3).to("cuda", **options)
        x.fill_(1)
        assert copy.tolist() == [3] * 4


def test_memory_that_is_still_to_be_read_is_kept(lazy):
    """The tensor is gone before its copy has run; the next one of its size must not get its memory."""
    copies = []
    for i in range(4):
        copies.append(ag.full((1000,), float(i)).pin_memory().to("cuda", non_blocking=True))
    assert [float(c.sum()) for c in copies] == [0, 1000, 2000, 3000]


def test_layers_and_batches():
    layer = ag.nn.Linear(2, 2).to("cuda", non_blocking=True)
    batch = ag.data.pin_memory({"x": ag.ones(1, 2), "y": np.ones(2)})
    out = layer(batch["x"].to("cuda", non_blocking=True))
    assert out.shape == (1, 2) and batch["x"].is_pinned()
