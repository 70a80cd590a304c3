"""Several streams: backward runs where the forward did, and memory that another stream reads is not given away.

Operations of the emulated device run as late, or in as random an order, as what waits for what allows, and it notes accesses of
different streams that nothing orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import autograd_gpu as ag
from autograd_gpu import cuda

POLICIES = ["lazy", "random", "eager"]


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest, cuda_device: Any) -> Iterator[str]:
    """Runs the test in each order, and looks at each access of a kernel."""
    if cuda_device is None:
        yield "real"
        return
    with cuda_device.using(policy=request.param, seed=1, checked=True):
        yield request.param


def in_stream(s: cuda.Stream, function: Callable, *tensors: ag.Tensor) -> ag.Tensor:
    """What a function gives in a stream, which waits for the tensors."""
    s.wait_stream(cuda.current_stream())
    with cuda.stream(s):
        return function(*tensors)


def test_backward_runs_where_the_forward_did(policy: str) -> None:
    s, x = cuda.Stream(), ag.full((300,), 2.0, device="cuda", requires_grad=True)
    for _ in range(3):
        loss = in_stream(s, lambda x: (x * x * 3).relu().sum(), x)
        loss.backward()  # here, and nobody waited for s
        assert cuda.current_stream() == cuda.default_stream()
        x.grad.mul_(2)
        assert x.grad.tolist() == [24.0] * 300
        x.grad = None


def test_graphs_across_streams(policy: str) -> None:
    s, t = cuda.Stream(), cuda.Stream()
    x = ag.full((300,), 2.0, device="cuda", requires_grad=True)
    for k in range(3):
        a = in_stream(s, lambda x: (x * x).relu(), x)
        t.wait_stream(s)
        b = in_stream(t, lambda x, a: x * 3 + a, x, a)
        cuda.current_stream().wait_stream(t)
        loss = (b * a.exp() * 0 + b).sum()
        with cuda.stream(s if k else None):
            loss.backward()
            assert x.grad[0].item() == 7
            x.grad.add_(1)
            assert x.grad.tolist() == [8.0] * 300
        cuda.current_stream().wait_stream(s)
        x.grad = None


def test_second_order_and_gradients_that_are_returned(policy: str) -> None:
    s, x = cuda.Stream(), ag.full((300,), 2.0, device="cuda", requires_grad=True)
    for _ in range(2):
        loss = in_stream(s, lambda x: (x * x * x).sum(), x)
        (g,) = ag.autograd.grad(loss, x, create_graph=True)
        assert g.tolist() == [12.0] * 300
        (h,) = ag.autograd.grad(g.sum(), x)
        assert h.tolist() == [12.0] * 300
        del loss, g
        in_stream(s, lambda: ag.zeros(300, device="cuda") + 1)
        assert (h + 1).tolist() == [13.0] * 300


def test_hooks_and_leaves_of_streams(policy: str) -> None:
    s, seen = cuda.Stream(), []
    with s:
        x = ag.full((300,), 2.0, device="cuda", requires_grad=True)
        y = x * 2
        y.register_hook(lambda g: seen.append(cuda.current_stream()) or g * 2)
        loss = y.sum()
    loss.backward()
    assert seen == [s] and x.grad.tolist() == [4.0] * 300


@pytest.mark.parametrize("recorded", [True, False])
def test_memory_that_another_stream_reads(recorded: bool, cuda_device: Any) -> None:
    if cuda_device is None:
        pytest.skip("what happens without record_stream is left to chance")
    s, here = cuda.Stream(), cuda.current_stream()
    with cuda_device.using(policy="lazy"):
        with cuda.stream(s):
            x = ag.full((1000,), 5.0, device="cuda")
        here.wait_stream(s)
        y = x + 1
        if recorded:
            x.reshape(10, 100).record_stream(here)
        address = x.data_ptr()
        del x
        with cuda.stream(s):
            z = ag.full((1000,), 9.0, device="cuda")
            s.synchronize()
        assert (z.data_ptr() == address) is not recorded
        assert y.tolist() == [6.0 if recorded else 10.0] * 1000
    if recorded:  # it has been read, so that the next one may have it
        ag.ones(1, device="cuda").record_stream(here)
        with cuda.stream(s):
            assert ag.full((1000,), 9.0, device="cuda").data_ptr() == address
    elif cuda_device is not None:
        cuda_device.take_log()
    with pytest.raises(NotImplementedError, match="CUDA device"):
        ag.ones(1).record_stream(here)


def test_old_changes_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    from autograd_gpu.backend import streams

    s, x = cuda.Stream(), ag.ones(3, device="cuda", requires_grad=True)
    monkeypatch.setattr(streams, "MOST", 8)
    loss = in_stream(s, lambda x: (x * x).sum(), x)
    for _ in range(20):
        in_stream(s, lambda: None)
    assert all(len(numbers) <= 8 for numbers, _ in streams._thread.changes.values())
    cuda.current_stream().wait_stream(s)
    loss.backward()
    assert x.grad.tolist() == [2.0] * 3


def test_a_stream_is_a_block() -> None:
    s = cuda.Stream()
    with s as entered, s:
        assert cuda.current_stream() == entered == s
    assert cuda.current_stream() == cuda.default_stream()


def test_what_cannot_be_timed_is_said() -> None:
    plain, timed, never = cuda.Event(), cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    for event in (plain, timed):
        event.record()
    with pytest.raises(ValueError, match="enable_timing=True"):
        plain.elapsed_time(timed)
    with pytest.raises(ValueError, match="enable_timing=True"):
        timed.elapsed_time(plain)
    with pytest.raises(ValueError, match="must be recorded"):
        timed.elapsed_time(never)
    timed.synchronize()
    assert timed.elapsed_time(timed) == 0
