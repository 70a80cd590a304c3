"""Which streams of a device backward works in, and memory that several of them use. CuPy is imported by then.

NOTE [Backward in streams]
    As in PyTorch, the backward of an op runs in the stream that its forward went into, whichever is current when backward is
    called, and what comes after backward need not wait for anything.
    1. Nodes keep nothing for it. A change of stream is noted with the number that the clock gives then (graph.NOTE [One clock]):
       a node belongs to the stream that was current in this thread at its own number. Where no stream was ever chosen nothing is
       noted, and backward does not ask (`backend.placed`).
    2. Backward goes to the stream of a node before it pulls on it. The stream it comes from is waited for, so that what one
       backward does has one order.
    3. Leaves get their gradients in the stream in which backward was called. At its end this one waits for the last of the
       others, and each of them for it: memory that was freed on the way may be used anew there.
    4. CuPy's pool gives memory back to the stream that asked for it. What is handed to another one is kept, once nothing refers
       to it, until that stream has done what it was given by then: `record`.
    Changes are noted for each thread: an op that another thread put into a stream of its own is taken to be of this thread's.
"""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import cupy

from .gpu.arrays import memory

MOST = 1 << 16  # changes of stream that are remembered; what is older counts as of the stream in which backward is called


class _Thread(threading.local):
    """The changes of stream of a thread: device -> (numbers of the clock, the stream from each on)."""

    def __init__(self) -> None:
        self.changes: dict[int, tuple[list[int], list[Any]]] = {}


_thread = _Thread()


def note(number: int, device: int, stream: Any) -> bool:
    """Note that ops of this thread go into another stream of a device from a number of the clock on. False if they do already."""
    found = _thread.changes.get(device)
    if found is None:
        found = _thread.changes[device] = [0], [cupy.cuda.get_current_stream(device)]
    numbers, streams = found
    if streams[-1].ptr == stream.ptr:
        return len(streams) > 1
    numbers.append(number)
    streams.append(stream)
    if len(numbers) > MOST:
        del numbers[: MOST // 2], streams[: MOST // 2]
    return True


def _of(number: int, device: int) -> Any:
    """The stream of a device that an op of that number went into; None if that is not known."""
    found = _thread.changes.get(device)
    if found is None:
        return None
    k = bisect_right(found[0], number) - 1
    return found[1][k] if k >= 0 else None


def _wait(stream: Any, other: Any, device: int) -> None:
    """Let what comes into a stream wait for what is in another one."""
    with cupy.cuda.Device(device):
        event = cupy.cuda.Event(disable_timing=True)
        event.record(other)
        stream.wait_event(event)


class Going:
    """How a backward goes from stream to stream, and comes back. `clock` gives the numbers of nodes if it is recorded itself."""

    def __init__(self, clock: Callable[[], int] | None):
        self.clock = clock
        self.home: dict[int, Any] = {}  # device -> the stream that was current
        self.here: dict[int, Any] = {}
        self.used: dict[tuple[int, int], Any] = {}

    def to(self, number: int | None, g: Iterable[Any]) -> None:
        """To the stream of the node of that number, None for a leaf, which is given g, arrays or None."""
        g = [x for x in g if x.__class__ is cupy.ndarray]
        device = g[0].data.device_id if g else None
        if device is None or device not in _thread.changes:
            return
        if device not in self.home:
            self.home[device] = self.here[device] = cupy.cuda.get_current_stream(device)
        home = self.home[device]
        self._change(device, home if number is None else _of(number, device) or home)
        if number is None and self.used:
            self.hand(g)

    def hand(self, arrays: Iterable[Any]) -> None:
        """Let memory from other streams be used in the one that was current."""
        for x in arrays:
            if self.used and x.__class__ is cupy.ndarray and x.data.device_id in self.home:
                record(x, self.home[x.data.device_id])

    def _change(self, device: int, stream: Any) -> None:
        before = self.here[device]
        if stream.ptr == before.ptr:
            return
        _wait(stream, before, device)
        if self.clock is not None:
            note(self.clock(), device, stream)
        with cupy.cuda.Device(device):
            stream.use()
        self.here[device] = stream
        if stream.ptr != self.home[device].ptr:
            self.used[device, stream.ptr] = stream

    def back(self) -> None:
        """To the streams that were current."""
        for device, home in self.home.items():
            self._change(device, home)
        for (device, _), stream in self.used.items():
            _wait(stream, self.home[device], device)


# -- memory that several streams use ---------------------------------------------------------------------------------------

_recorded: dict[int, list[Any]] = {}  # id of the array that owns the memory -> streams
_waiting: deque[tuple[Any, Any]] = deque()  # (event, memory)


def record(array: Any, stream: Any) -> None:
    """Let a stream use the memory of an array that was made in another one: when nothing refers to it any more, it is not given
    to others before the stream has done what it was given by then."""
    base = memory(array)
    streams = _recorded.get(id(base))
    if streams is None:
        streams = _recorded[id(base)] = []
        weakref.finalize(base, _let_go, id(base), base.data.mem, streams).atexit = False
    if all(s.ptr != stream.ptr for s in streams):
        streams.append(stream)
    sweep()


def _let_go(key: int, memory: Any, streams: list[Any]) -> None:
    _recorded.pop(key, None)
    for stream in streams:
        with cupy.cuda.Device(memory.device_id):
            event = cupy.cuda.Event(disable_timing=True)
            event.record(stream)
        _waiting.append((event, memory))
    sweep()


def sweep() -> None:
    """Give back the memory that no stream needs any more."""
    while _waiting:
        try:
            first = _waiting.popleft()
        except IndexError:  # another thread was faster
            return
        if not first[0].done:
            _waiting.appendleft(first)
            return
