"""The state of the emulated CUDA devices, and the controls that tests have over it."""

from __future__ import annotations

import functools
import os
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TypeVar

from .errors import Error, fail
from .hazards import Hazards
from .memory import Memory
from .profile import Traffic
from .streams import Policy, Stream, Streams

DEVICES = int(os.environ.get("EMULATED_CUDA_DEVICES", "2"))
CAPACITY = 2 << 30
CAPABILITY = (9, 0)
SHARED_PER_BLOCK = 48 << 10
SHARED_PER_BLOCK_OPTIN = 227 << 10
THREADS_PER_MULTIPROCESSOR = 2048
MULTIPROCESSORS = 4

T = TypeVar("T")


@dataclass
class Counters:
    """What was asked of the device since the process began."""

    compiled: int = 0
    launches: int = 0
    checked_launches: int = 0
    graph_launches: int = 0
    products: int = 0
    host_to_device: int = 0
    device_to_host: int = 0
    device_to_device: int = 0
    synchronizations: int = 0
    hazards: int = 0

    def __sub__(self, earlier: Counters) -> Counters:
        return Counters(*(getattr(self, f.name) - getattr(earlier, f.name) for f in fields(self)))

    def copy(self) -> Counters:
        return self - Counters()


class Device:
    """The emulated devices, `DEVICES` of them, with `memory`, `streams` and `hazards` of all.

    Controls: `checked` (launches run under the checker of the kernels, and their accesses are compared between streams),
    `profiled` (of checked launches, what they moved goes into `traffic`, see `profile.py`), `policy` and `seed` (see
    `streams.py`), `memory.capacity`; `using` sets them for a while. `log` is what went wrong.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()  # of all calls: a kernel's fibers must not meet another thread's
        self.memory = Memory(DEVICES, CAPACITY)
        self.streams = Streams(DEVICES)
        self.hazards = Hazards(self.memory)
        self.counters = Counters()
        self.checked = self.profiled = False
        self.traffic: dict[str, Traffic] = {}
        self.faults: list[str] = []
        self._objects: dict[int, object] = {}
        self._next_handle = 0x1000
        self._thread = threading.local()
        self._depth = 0
        self._later: deque[Callable[[], object]] = deque()

    # ------------------------------------------------------------------ controls

    @property
    def policy(self) -> str:
        return self.streams.policy.value

    @policy.setter
    def policy(self, policy: str) -> None:
        self.streams.policy = Policy(policy)

    @property
    def seed(self) -> None:
        raise AttributeError("the seed of the random policy can only be set")

    @seed.setter
    def seed(self, seed: int) -> None:
        self.streams.chance = random.Random(seed)

    @contextmanager
    def using(
        self, *, policy: str | None = None, seed: int | None = None, checked: bool | None = None, capacity: int | None = None
    ) -> Iterator[Device]:
        """Other settings for a while. On the way out everything that was enqueued has run."""
        before = self.policy, self.checked, self.memory.capacity
        self.policy, self.checked = policy or before[0], before[1] if checked is None else checked
        self.memory.capacity = before[2] if capacity is None else capacity
        if seed is not None:
            self.seed = seed
        try:
            yield self
            self.locked(self.streams.drain)()
        finally:
            self.policy, self.checked, self.memory.capacity = before

    @property
    def log(self) -> list[str]:
        """Why the sticky error came up, and accesses that nothing orders."""
        return self.faults + self.hazards.log

    def take_log(self) -> list[str]:
        """The log, which is empty afterwards: what the caller expected."""
        log = self.log
        self.counters.hazards += len(self.hazards.log)
        self.faults.clear()
        self.hazards.log.clear()
        return log

    def reset(self) -> list[str]:
        """A device as new but for its memory: nothing enqueued, no error, no capture. Returns the log that nobody took."""
        self.locked(self.streams.reset)()
        log = self.take_log()
        self.hazards.reset()
        self.current = 0
        return log

    # ------------------------------------------------------------------ for the calls

    @property
    def current(self) -> int:
        """Ordinal of the calling thread's device."""
        return getattr(self._thread, "ordinal", 0)

    @current.setter
    def current(self, ordinal: int) -> None:
        if not 0 <= ordinal < DEVICES:
            fail(Error.INVALID_DEVICE)
        self._thread.ordinal = ordinal

    def locked(self, function: Callable[..., T]) -> Callable[..., T]:
        """`function` so that one thread at a time is inside the device, and calls from inside that come at a bad time wait."""

        @functools.wraps(function)
        def call(*arguments: object) -> T:
            with self.lock:
                self._depth += 1
                try:
                    return function(*arguments)
                finally:
                    while self._depth == 1 and self._later:
                        self._later.popleft()()
                    self._depth -= 1

        return call

    def outermost(self, function: Callable[[], object]) -> None:
        """Call `function` when no call to the device is half done.

        The garbage collector may run in the middle of any call, and arrays that it finds give their memory back. Freeing
        waits for the device: operations would run while the one before them has only begun.
        """
        if self._depth > 1:
            self._later.append(function)
        else:
            function()

    def handle(self, thing: object) -> int:
        """A number for `thing`, as the calls of CUDA give and take."""
        self._next_handle += 16
        self._objects[self._next_handle] = thing
        return self._next_handle

    def get(self, handle: int, kind: type[T]) -> T:
        thing = self._objects.get(handle)
        if not isinstance(thing, kind):
            fail(Error.INVALID_HANDLE, f"{handle:#x} is no {kind.__name__}, or one that was destroyed")
        return thing

    def forget(self, handle: int) -> None:
        self._objects.pop(handle, None)

    def stream(self, handle: int) -> Stream:
        """The stream of a handle; 0 and 1 are the legacy default stream of the current device, 2 the thread's own."""
        if handle in (0, 1):
            return self.streams.legacy[self.current]
        if handle == 2:
            own = self._thread.__dict__.setdefault("streams", {})
            if self.current not in own:
                own[self.current] = self.streams.create(2, self.current, blocking=True)
            return own[self.current]
        return self.get(handle, Stream)

    def crash(self, reason: str) -> None:
        """A kernel did what ends the context on a card: `reason` goes into the log, every later call fails."""
        self.faults.append(reason)
        self.streams.crash(reason)
