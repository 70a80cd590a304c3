"""Times of work on a card: of the device alone, of the host alone, and of both as a program sees them.

NOTE [Three times of a call]
    1. wall     from a quiet device to a quiet device, over a number of calls: what a program that calls in a loop waits. Small
                work takes as long as Python needs to ask for it.
    2. device   between two events, while the device has all the calls before it starts the first: a kernel that spins goes in
                front, for longer than the host needs to ask. Where the spin was over too soon a longer one is tried. A call that
                waits for the device itself, or fills its queue, has no such time: the host's is in it, and the figures say so.
    3. host     of asking, while the device spins.
    A contender's own streams are not seen by the events, so there is no device time for JAX.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cupy

SPIN = """extern "C" __global__ void spin(long long cycles) {
    long long start = clock64();
    while (clock64() - start < cycles) {}
}"""
LONGEST_SPIN = 0.05  # seconds


def synchronize() -> None:
    """Wait for the device."""
    cupy.cuda.Device().synchronize()


@dataclass
class Contender:
    """What is timed, how to wait for it, and what was measured, in milliseconds a call."""

    call: Callable[[], Any]
    wait: Callable[[], Any] = synchronize
    seen: bool = True  # by events on CuPy's stream, which is PyTorch's too
    calls: int = 1
    longer: float = 1.5  # than the host needs, the spin
    wall: list[float] = field(default_factory=list)
    device: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)  # times of the device in which it waited for the host
    host: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Median and least of each time."""
        found: dict[str, Any] = {}
        if self.waited and not self.device:
            found["device_waits_for_host"] = True
        for name, times in (("wall", self.wall), ("device", self.device or self.waited), ("host", self.host)):
            if times:
                found[f"{name}_ms"] = round(statistics.median(times), 6)
                found[f"{name}_min_ms"] = round(min(times), 6)
        return found


class Clock:
    """Takes the times of contenders in turns. `emulated`: a device on which a spin would never end."""

    def __init__(self, emulated: bool):
        self.emulated = emulated
        self.spin = cupy.RawKernel(SPIN, "spin")
        # at the highest clock: at a lower one it spins for longer, which does no harm
        self.per_second = 0.0 if emulated else 1e3 * cupy.cuda.Device().attributes.get("ClockRate", 2_000_000)

    def side_by_side(
        self, contenders: dict[str, Contender], seconds: float, failed: Callable[[str, Exception], None], most: int = 20
    ) -> None:
        """Measure them in turns, for about so many seconds in all, at most so many calls between two waits. One that raises is
        reported, and taken out."""
        alive = {who: c for who, c in contenders.items() if self._tried(who, lambda c=c: self._warm(c, most), failed)}
        if not alive:
            return
        took = sum(c.calls * c.wall.pop() / 1e3 for c in alive.values())
        turns = 1 if self.emulated else max(3, min(15, int(seconds / (2.5 * took))))
        for _ in range(turns):
            for who, contender in list(alive.items()):
                if not self._tried(who, lambda c=contender: self._turn(c), failed):
                    del alive[who]

    @staticmethod
    def _tried(who: str, run: Callable[[], None], failed: Callable[[str, Exception], None]) -> bool:
        try:
            run()
        except Exception as error:
            failed(who, error)
            return False
        return True

    def _warm(self, c: Contender, most: int) -> None:
        """Some calls that do not count, and from their time the number of calls that a turn has."""
        c.call()
        c.wait()
        started = time.perf_counter()
        for _ in range(1 if self.emulated else 3):
            c.call()
        c.wait()
        each = (time.perf_counter() - started) / (1 if self.emulated else 3)
        c.calls = 1 if self.emulated else max(1, min(most, int(0.002 / each)))
        c.wall.append(each * 1e3)

    def _turn(self, c: Contender) -> None:
        c.wait()
        started = time.perf_counter()
        for _ in range(c.calls):
            c.call()
        c.wait()
        c.wall.append((time.perf_counter() - started) * 1e3 / c.calls)
        if not c.seen:
            return
        expected = c.longer * (max(c.host) if c.host else c.wall[-1]) * c.calls / 1e3 + 1e-4
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        self.spin((1,), (1,), (cupy.int64(min(expected, LONGEST_SPIN) * self.per_second),))
        start.record()
        started = time.perf_counter()
        for _ in range(c.calls):
            c.call()
        asked = time.perf_counter() - started
        late = start.done and not self.emulated
        end.record()
        end.synchronize()
        (c.waited if late else c.device).append(cupy.cuda.get_elapsed_time(start, end) / c.calls)
        if late:
            c.longer = min(2 * c.longer, 12)
        else:
            c.host.append(asked * 1e3 / c.calls)
