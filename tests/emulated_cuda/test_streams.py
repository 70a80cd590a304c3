"""Streams, events and graphs of the emulated device: what runs when, and what nothing orders."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest


def test_a_result_read_too_early_is_old(cp, increment, synchronize):
    stream, x = cp.cuda.Stream(non_blocking=True), cp.zeros(8, "f4")
    synchronize()
    with stream:
        increment((1,), (8,), (x,))
    assert x.get()[0] == 0  # the default stream does not wait for a non-blocking one
    event = stream.record()
    assert not event.done
    cp.cuda.get_current_stream().wait_event(event)
    assert x.get()[0] == 1
    assert event.done


def test_the_default_stream_waits_for_blocking_streams(cp, increment):
    stream, x = cp.cuda.Stream(), cp.zeros(8, "f4")
    with stream:
        increment((1,), (8,), (x,))
    assert x.get()[0] == 1


def two_streams(cp, increment, order):
    first, second = cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True)
    x = cp.zeros(8, "f4")
    cp.cuda.Device().synchronize()
    with first:
        increment((1,), (8,), (x,))
    order(first, second)
    with second:
        increment((1,), (8,), (x,))
    cp.cuda.Device().synchronize()
    return x.get()[0]


@pytest.mark.checked_kernels
def test_hazards_between_streams(cp, emulated, increment):
    assert two_streams(cp, increment, lambda first, second: None) == 2  # a harmless order, this time
    log = emulated.take_log()
    assert log and all(e.startswith("UNORDERED") and "increment" in e and "bytes 0 to 32" in e for e in log)


@pytest.mark.checked_kernels
@pytest.mark.parametrize(
    "order",
    [lambda first, second: second.wait_event(first.record()), lambda first, second: first.synchronize()],
    ids=["event", "host"],
)
@pytest.mark.parametrize("policy", ["lazy", "random", "eager"])
def test_no_hazard_where_the_program_orders(cp, emulated, increment, order, policy):
    with emulated.using(policy=policy):
        assert two_streams(cp, increment, order) == 2
    assert emulated.log == []


@pytest.mark.parametrize("checked", [True, False])
def test_memory_that_an_allocator_reuses_too_early(cp, emulated, pool, checked, synchronize):
    """A block goes back to the pool of the default stream while another stream has not read it yet."""
    copy = cp.RawKernel('extern "C" __global__ void copy(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }', "copy")
    side = cp.cuda.Stream(non_blocking=True)
    with emulated.using(checked=checked):
        x, y = cp.full(128, 7, "f4"), cp.empty(128, "f4")
        synchronize()
        with side:
            copy((1,), (128,), (x, y))
        del x
        z = cp.full(128, 1, "f4")
        cp.cuda.get_current_stream().synchronize()
        side.synchronize()
        assert y.get()[0] == 1  # 7 was meant
        log = emulated.take_log()
        assert bool(log) == checked
        assert all("copy" in entry for entry in log)
    del z


def test_pinned_memory_is_read_when_the_copy_runs(cp):
    pinned = cp.cuda.alloc_pinned_memory(32)
    host = np.frombuffer(pinned, "f4", 8)
    stream, x, y = cp.cuda.Stream(non_blocking=True), cp.empty(8, "f4"), cp.empty(8, "f4")
    host[:] = 5
    x.set(host, stream=stream)
    host[:] = 9
    stream.synchronize()
    assert x.get()[0] == 9
    pageable = np.full(8, 5, "f4")
    y.set(pageable, stream=stream)
    pageable[:] = 9
    stream.synchronize()
    assert y.get()[0] == 5


def test_events_measure_time_and_refuse_to_before_they_happen(cp, increment, raises):
    start, end, x = cp.cuda.Event(), cp.cuda.Event(), cp.zeros(8, "f4")
    start.record()
    increment((1,), (8,), (x,))
    end.record()
    with raises("cudaErrorNotReady"):
        cp.cuda.get_elapsed_time(start, end)
    end.synchronize()
    assert cp.cuda.get_elapsed_time(start, end) > 0
    with raises("cudaErrorInvalidResourceHandle"):
        cp.cuda.get_elapsed_time(start, cp.cuda.Event(disable_timing=True))


def test_polling_gets_there(cp, increment):
    stream, x = cp.cuda.Stream(non_blocking=True), cp.zeros(8, "f4")
    with stream:
        for _ in range(5):
            increment((1,), (8,), (x,))
    polls = 1
    while not stream.done:
        polls += 1
    assert 2 <= polls <= 6


def test_host_functions_run_in_their_place(cp, increment):
    stream, x, seen = cp.cuda.Stream(), cp.zeros(8, "f4"), []
    with stream:
        increment((1,), (8,), (x,))
        stream.launch_host_func(seen.append, "reached")
    assert seen == []
    stream.synchronize()
    assert seen == ["reached"]


def test_random_order_is_decided_by_the_seed(cp, emulated, synchronize):
    def order(seed):
        seen, streams = [], [cp.cuda.Stream(non_blocking=True) for _ in range(4)]
        with emulated.using(policy="random", seed=seed):
            for i in range(12):
                streams[i % 4].launch_host_func(seen.append, i)
            synchronize()
        return seen

    orders = [order(seed) for seed in (1, 1, 2, 3)]
    assert orders[0] == orders[1]
    assert len({tuple(o) for o in orders}) > 1
    for seen in orders:
        assert sorted(seen) == list(range(12))
        assert all(seen.index(i) < seen.index(i + 4) for i in range(8))


def test_results_do_not_depend_on_the_order(cp, emulated):
    def train():
        generator = np.random.default_rng(0)
        x, y = (cp.asarray(generator.standard_normal(s).astype("f4")) for s in ((16, 8), (16, 4)))
        w = cp.asarray(generator.standard_normal((8, 4)).astype("f4"))
        side = cp.cuda.Stream(non_blocking=True)
        for _ in range(3):
            error = x @ w - y
            side.wait_event(cp.cuda.get_current_stream().record())
            with side:
                loss = (error * error).sum()
            w -= 0.01 * (x.T @ error)
            cp.cuda.get_current_stream().wait_event(side.record())
        return w.get().tobytes(), loss.get().tobytes()

    results = set()
    for policy, seed in (("lazy", 0), ("eager", 0), ("random", 1), ("random", 2)):
        with emulated.using(policy=policy, seed=seed, checked=policy == "random"):
            results.add(train())
    assert len(results) == 1


def test_garbage_that_is_collected_inside_a_call(cp):
    """Its memory is freed, which waits for the device, but not before the operation that was running is done."""
    seen, stream = [], cp.cuda.Stream(non_blocking=True)
    with cp.cuda.using_allocator(None):
        cycle = [cp.zeros(8, "f4")]
    cycle.append(cycle)

    def first(_):
        gc.collect()
        seen.append("first")

    del cycle
    stream.launch_host_func(first, None)
    stream.launch_host_func(seen.append, "second")
    stream.synchronize()
    assert seen == ["first", "second"]


def test_threads_take_turns(cp, emulated, increment):
    """Each on its own device and stream; the fibers of two kernels never meet."""
    results: dict[int, list[float]] = {}

    def work(number):
        with cp.cuda.Device(number % 2), cp.cuda.Stream(non_blocking=True) as stream:
            x = cp.zeros(64, "f4")
            for _ in range(20):
                increment((2,), (32,), (x,))
            results[number] = x.get(stream=stream).tolist()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [20] * 64 for n in range(4)}


# ---------------------------------------------------------------------- graphs


def test_capture_and_replay(cp, emulated, increment, synchronize):
    x, stream = cp.zeros(8, "f4"), cp.cuda.Stream(non_blocking=True)
    synchronize()
    with stream:
        stream.begin_capture()
        for _ in range(3):
            increment((1,), (8,), (x,))
        graph = stream.end_capture()
    synchronize()
    assert x.get()[0] == 0
    before = emulated.counters.copy()
    for _ in range(4):
        graph.launch(stream)
    stream.synchronize()
    assert x.get()[0] == 12
    assert (emulated.counters - before).graph_launches == 4


@pytest.mark.checked_kernels
@pytest.mark.parametrize("joined", [True, False])
def test_branches_of_a_graph(cp, emulated, increment, joined, synchronize):
    """Two branches on the same bytes: a hazard inside the graph, unless an event orders them."""
    main, side, x = cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True), cp.zeros(8, "f4")
    synchronize()
    with main:
        main.begin_capture()
        side.wait_event(main.record())
        with side:
            increment((1,), (8,), (x,))
            done = side.record()
        if joined:
            main.wait_event(done)
        increment((1,), (8,), (x,))
        if not joined:
            main.wait_event(done)
        graph = main.end_capture()
    with emulated.using(policy="random", seed=1):
        graph.launch(main)
        main.synchronize()
    assert bool(emulated.take_log()) != joined


def test_a_branch_must_be_joined(cp, increment, raises):
    main, side, x = cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True), cp.zeros(8, "f4")
    with main:
        main.begin_capture()
        side.wait_event(main.record())
        with side:
            increment((1,), (8,), (x,))
        with raises("cudaErrorStreamCaptureUnjoined"):
            main.end_capture()


def copy_pageable(cp, stream, x):
    cp.cuda.runtime.memcpyAsync(x.data.ptr, np.zeros(8, "f4").ctypes.data, 32, cp.cuda.runtime.memcpyHostToDevice, stream.ptr)


FORBIDDEN = {
    "synchronize": (lambda cp, stream, x: stream.synchronize(), "cudaErrorStreamCaptureUnsupported"),
    "device": (lambda cp, stream, x: cp.cuda.Device().synchronize(), "cudaErrorStreamCaptureUnsupported"),
    "malloc": (lambda cp, stream, x: cp.cuda.runtime.malloc(100), "cudaErrorStreamCaptureUnsupported"),
    "pageable": (lambda cp, stream, x: copy_pageable(cp, stream, x), "cudaErrorStreamCaptureUnsupported"),
    "memcpy": (lambda cp, stream, x: cp.cuda.runtime.memcpy(x.data.ptr, x.data.ptr, 32, 3), "cudaErrorStreamCaptureUnsupported"),
    "old_event": (lambda cp, stream, x: stream.wait_event(cp.cuda.Stream.null.record()), "cudaErrorStreamCaptureIsolation"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_calls_that_spoil_a_capture(cp, what, raises):
    call, error = FORBIDDEN[what]
    stream, x = cp.cuda.Stream(non_blocking=True), cp.zeros(8, "f4")
    with stream:
        stream.begin_capture(mode=cp.cuda.runtime.streamCaptureModeGlobal)
        with raises(error):
            call(cp, stream, x)
        with raises("cudaErrorStreamCaptureInvalidated"):
            stream.end_capture()


def test_the_default_stream_spoils_the_capture_of_a_blocking_stream(cp, raises):
    stream, x = cp.cuda.Stream(), cp.zeros(8, "f4")
    with stream:
        stream.begin_capture()
    with raises("cudaErrorStreamCaptureImplicit"):
        x.fill(1)
    with raises("cudaErrorStreamCaptureInvalidated"):
        stream.end_capture()


def test_cublas_is_refused_during_capture(cp):
    stream, x = cp.cuda.Stream(non_blocking=True), cp.ones((4, 4), "f4")
    with stream:
        stream.begin_capture()
        with pytest.raises(NotImplementedError, match="during stream capture"):
            cp.matmul(x, x, out=cp.empty_like(x))
        stream.end_capture()
