"""Hazards between streams: two operations touch the same bytes, one of them writes, and nothing orders them.

That the emulated device ran them in a harmless order proves nothing about a card. So each operation tells which bytes it read and
wrote, and the vector clocks of `streams.py` say whether the program ordered it before or after every other one that touched them:
in the same stream, through an event, through a wait of the host, or by an edge of a graph. Memory that an allocator took back and
handed out again too early shows up here too, as two operations on the same bytes.

Copies, fills, matrix products and sorts know what they touch. Of kernels it is known when they run
checked: the checker sees each access.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from .memory import Memory
from .streams import Place

REMEMBERED = 64
"""Accesses that are remembered of each allocation."""


class Access(NamedTuple):
    place: Place
    low: int
    high: int
    write: bool

    def ordered(self, other: Access) -> bool:
        """Whether the program decided which of the two comes first."""
        mine, theirs = self.place, other.place
        if mine.operation is theirs.operation:
            if mine.node is None or theirs.node is None or mine.node is theirs.node:
                return True
            return mine.node.precedes(theirs.node) or theirs.node.precedes(mine.node)
        return mine.operation.precedes(theirs.operation) or theirs.operation.precedes(mine.operation)

    def __str__(self) -> str:
        name = self.place.node.name if self.place.node is not None else self.place.operation.name
        return f"{name} ({self.place.operation.stream})"


class Hazards:
    """What touched which bytes lately, and a log of what was not ordered."""

    def __init__(self, memory: Memory) -> None:
        self.log: list[str] = []
        self._memory = memory
        self._history: defaultdict[int, list[Access]] = defaultdict(list)

    def touched(self, place: Place, low: int, high: int, write: bool) -> None:
        """The action at `place` reads or writes the bytes from `low` to `high`."""
        allocation = self._memory.owner(low)
        if allocation is None or low >= high:
            return
        new, kept = Access(place, low, high, write), []
        for old in self._history[allocation.address]:
            ordered = new.ordered(old)
            if not ordered and (new.write or old.write) and old.low < high and low < old.high:
                verb, other = ("writes" if new.write else "reads"), ("writes" if old.write else "reads")
                start = allocation.address
                text = (
                    f"UNORDERED: {new} {verb} bytes {low - start} to {high - start} of an allocation of {allocation.size} bytes, "
                    f"{old} {other} bytes {old.low - start} to {old.high - start}"
                )
                if text not in self.log:
                    self.log.append(text)
            # an access that comes before this one in every sense: whoever is ordered after the new is ordered after the old
            if not (ordered and low <= old.low and old.high <= high and (new.write or not old.write)):
                kept.append(old)
        self._history[allocation.address] = [*kept[1 - REMEMBERED :], new]

    def forget(self, address: int) -> None:
        """The allocation is gone."""
        self._history.pop(address, None)

    def reset(self) -> None:
        self.log.clear()
        self._history.clear()
