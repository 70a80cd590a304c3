"""Streams of the emulated devices: operations that run later, in an order that the program did not choose.

A CUDA call that enqueues work returns at once; when the work happens is decided by what other work it must wait for, and by
chance. Here each call becomes an `Operation` that waits for its predecessors, and a policy decides which of the possible orders
happens:

========  =============================================================================================================
eager     at once, before the call returns: as with CUDA_LAUNCH_BLOCKING=1, for finding the call that fails
lazy      as late as may be: only what the host waits for runs, and what that waits for. A result read too early is always old
random    whatever is ready may run next, chosen by a seeded generator, as soon as the host waits for anything
========  =============================================================================================================

Each operation carries a vector clock: for each stream, how many of its operations happen before this one *because the program
said so* (same stream, event, wait of the host). `hazards.py` asks it whether two accesses to the same bytes are ordered.

A stream that is being captured does not run operations but adds nodes to a `Graph`; launching it is one operation that runs the
nodes, in the order of capture, or, by the random policy, in any that their edges allow.
"""

from __future__ import annotations

import enum
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .errors import Error, fail

QUEUE_LENGTH = 1024
"""Operations that may wait in a stream; a call that enqueues one more lets the first of them run, as on a card."""


class Policy(enum.Enum):
    EAGER = "eager"
    LAZY = "lazy"
    RANDOM = "random"


class CaptureMode(enum.IntEnum):
    """What may not be called while a stream is captured: ``cudaStreamCaptureMode``."""

    GLOBAL = 0
    THREAD_LOCAL = 1
    RELAXED = 2


Clock = dict[int, int]
"""Number of a stream -> number of its operations that happened before."""


class Place(NamedTuple):
    """Where an action runs: in an operation, and in which node of it if the operation launches a graph."""

    operation: Operation
    node: Node | None = None


Action = Callable[[Place], None]


class Operation:
    """Work in a stream: `action` runs once all of `after` have run."""

    __slots__ = ("action", "after", "clock", "done", "name", "number", "stream")

    def __init__(self, name: str, action: Action, stream: Stream, number: int, after: list[Operation], clock: Clock) -> None:
        self.name, self.action, self.stream, self.number = name, action, stream, number
        self.after, self.clock, self.done = after, clock, False

    def precedes(self, other: Operation) -> bool:
        """Whether the program made this operation happen before `other`."""
        return other.clock.get(self.stream.number, 0) >= self.number


class Node:
    """Work in a graph. `ancestors` has the bit `1 << index` of every node that must run before."""

    __slots__ = ("action", "ancestors", "index", "name")

    def __init__(self, name: str, action: Action, index: int, after: Iterable[Node]) -> None:
        self.name, self.action, self.index, self.ancestors = name, action, index, 0
        for node in after:
            self.ancestors |= node.ancestors | 1 << node.index

    def precedes(self, other: Node) -> bool:
        return bool(other.ancestors >> self.index & 1)


@dataclass(eq=False)
class Graph:
    """Operations that were captured; while the capture lasts, also from which streams."""

    mode: CaptureMode = CaptureMode.RELAXED
    origin: Stream | None = None
    nodes: list[Node] = field(default_factory=list)
    tails: dict[Stream, Node | None] = field(default_factory=dict)
    invalid: bool = False

    def add(self, stream: Stream, name: str, action: Action, after: Node | None = None) -> Node:
        node = Node(name, action, len(self.nodes), [n for n in (self.tails[stream], after) if n is not None])
        self.nodes.append(node)
        self.tails[stream] = node
        return node

    def order(self, chance: random.Random | None) -> Iterator[Node]:
        """The nodes, each after its ancestors."""
        if chance is None:
            yield from self.nodes
            return
        left, done = list(self.nodes), 0
        while left:
            node = chance.choice([n for n in left if n.ancestors & ~done == 0])
            left.remove(node)
            done |= 1 << node.index
            yield node


class Stream:
    """A queue of operations on device `ordinal`. A blocking stream waits for the legacy default stream, and it for them."""

    def __init__(self, number: int, handle: int, ordinal: int, blocking: bool, priority: int = 0) -> None:
        self.number, self.handle, self.ordinal, self.blocking, self.priority = number, handle, ordinal, blocking, priority
        self.count = 0
        self.tail: Operation | None = None
        self.queue: deque[Operation] = deque()
        self.capture: Graph | None = None
        self.destroyed = False

    @property
    def is_legacy(self) -> bool:
        return self.handle == 0

    def __str__(self) -> str:
        name = "default stream" if self.is_legacy else f"stream {self.number}"
        return f"{name} of device {self.ordinal}" if self.ordinal else name


@dataclass(eq=False)
class Event:
    """A mark in a stream: the operation or the node that was last when it was recorded."""

    flags: int = 0
    operation: Operation | None = None
    node: Node | None = None
    graph: Graph | None = None
    time: float | None = None


class Streams:
    """All streams, the policy that runs them, and the error that no call survives."""

    def __init__(self, devices: int) -> None:
        self.policy = Policy.LAZY
        self.chance = random.Random(0)
        self.sticky: Error | None = None
        self.sticky_reason = ""
        self.captures: list[Graph] = []
        self.host_clock: Clock = {}
        self._numbers = 0
        self._streams: list[Stream] = []
        self.legacy = [self.create(0, ordinal, True) for ordinal in range(devices)]

    def create(self, handle: int, ordinal: int, blocking: bool, priority: int = 0) -> Stream:
        stream = Stream(self._numbers, handle, ordinal, blocking, priority)
        self._numbers += 1
        self._streams.append(stream)
        return stream

    def destroy(self, stream: Stream) -> None:
        """What is still in the stream will run all the same."""
        stream.destroyed = True
        self._forget_destroyed()

    def _forget_destroyed(self) -> None:
        self._streams = [s for s in self._streams if not s.destroyed or s.queue]

    def reset(self) -> None:
        """Run or drop what is left, and forget the error, the captures and the past."""
        for stream in self._streams:
            stream.capture = None
        self.captures.clear()
        self.drain()
        self.sticky, self.sticky_reason = None, ""
        self.host_clock = {}
        for stream in self._streams:
            stream.tail = None

    # ------------------------------------------------------------------ errors

    def check(self) -> None:
        """Raise the sticky error, if there is one."""
        if self.sticky is not None:
            fail(self.sticky, self.sticky_reason)

    def crash(self, reason: str) -> None:
        """From now on every call fails: a kernel touched what it must not."""
        self.sticky, self.sticky_reason = Error.ILLEGAL_ADDRESS, reason

    # ------------------------------------------------------------------ work

    def enqueue(self, stream: Stream, name: str, action: Action, after: Operation | None = None) -> Operation | Node:
        """Put an action into a stream, or a node into the graph that the stream is captured into."""
        self.check()
        if stream.capture is not None:
            return stream.capture.add(stream, name, action)
        if stream.is_legacy:
            for graph in self.captures:
                if any(s.blocking and s.ordinal == stream.ordinal for s in graph.tails):
                    graph.invalid = True
                    fail(Error.CAPTURE_IMPLICIT, f"{name} in the default stream while a stream that waits for it is captured")
        before = [op for op in (stream.tail, after, *self._implied(stream)) if op is not None]
        stream.count += 1
        clock = _merge(self.host_clock, *(op.clock for op in before))
        clock[stream.number] = stream.count
        operation = Operation(name, action, stream, stream.count, [op for op in before if not op.done], clock)
        stream.tail = operation
        stream.queue.append(operation)
        if self.policy is Policy.EAGER:
            self._complete(operation)
            self.check()
        elif len(stream.queue) > QUEUE_LENGTH:
            self._complete(stream.queue[0])
        return operation

    def _implied(self, stream: Stream) -> list[Operation | None]:
        """The rules of the legacy default stream: it waits for all blocking streams of its device, and they wait for it."""
        if stream.is_legacy:
            return [s.tail for s in self._streams if s.ordinal == stream.ordinal and s.blocking and s is not stream]
        return [self.legacy[stream.ordinal].tail] if stream.blocking else []

    def _step(self, goal: Operation) -> None:
        """Run one operation: one that `goal` waits for, or, by the random policy, any that is ready."""
        if self.policy is Policy.RANDOM:
            heads = (s.queue[0] for s in self._streams if s.queue)
            operation = self.chance.choice([op for op in heads if all(before.done for before in op.after)])
        else:
            operation = goal.stream.queue[0]
            while (blocker := next((op for op in operation.after if not op.done), None)) is not None:
                operation = blocker.stream.queue[0]
        operation.stream.queue.popleft()
        operation.done = True
        action, operation.action, operation.after = operation.action, _nothing, []
        if self.sticky is None:
            action(Place(operation))

    def _complete(self, operation: Operation) -> None:
        while not operation.done:
            self._step(operation)

    def poll(self, operation: Operation | None) -> bool:
        """Whether `operation` is done. Time passes: each call that says no lets one operation run first."""
        if operation is not None and not operation.done:
            self._step(operation)
        done = operation is None or operation.done
        if done:
            self._host_saw(operation)
        return done

    def wait(self, operation: Operation | None) -> None:
        """The host waits for an operation: what comes later is ordered after it."""
        if operation is not None:
            self._complete(operation)
            self._host_saw(operation)
        self.check()

    def _host_saw(self, operation: Operation | None) -> None:
        if operation is not None:
            self.host_clock = _merge(self.host_clock, operation.clock)

    def drain(self, ordinal: int | None = None, host_waits: bool = False) -> None:
        """Run everything (of one device). `host_waits`: and order what comes later after it."""
        for stream in list(self._streams):
            if ordinal is None or stream.ordinal == ordinal:
                while stream.queue:
                    self._step(stream.queue[0])
                if host_waits:
                    self._host_saw(stream.tail)
        self._forget_destroyed()

    # ------------------------------------------------------------------ capture

    def forbid_in_capture(self, what: str, even_relaxed: bool = False) -> None:
        """Raise, and spoil the capture, if `what` is called while a stream is captured in a mode that forbids it."""
        for graph in self.captures:
            if even_relaxed or graph.mode is not CaptureMode.RELAXED:
                graph.invalid = True
                fail(Error.CAPTURE_UNSUPPORTED, f"{what} while a stream is captured")

    def begin_capture(self, stream: Stream, mode: CaptureMode) -> None:
        if stream.is_legacy:
            fail(Error.CAPTURE_UNSUPPORTED, "the default stream cannot be captured")
        if stream.capture is not None:
            fail(Error.INVALID_VALUE, f"{stream} is captured already")
        stream.capture = Graph(mode, stream, tails={stream: None})
        self.captures.append(stream.capture)

    def end_capture(self, stream: Stream) -> Graph:
        graph = stream.capture
        if graph is None or graph.origin is not stream:
            fail(Error.INVALID_VALUE, f"no capture began in {stream}")
        last = graph.tails[stream]
        reached = last.ancestors | 1 << last.index if last is not None else 0
        loose = [t for s, t in graph.tails.items() if s is not stream and t is not None and not reached >> t.index & 1]
        for member in graph.tails:
            member.capture = None
        self.captures.remove(graph)
        graph.tails, graph.origin = {}, None
        if graph.invalid:
            fail(Error.CAPTURE_INVALIDATED, "a call that is not permitted during capture spoilt it")
        if loose:
            fail(Error.CAPTURE_UNJOINED, f"nothing in {stream} waits for {', '.join(n.name for n in loose)}")
        return graph

    def launch_graph(self, stream: Stream, graph: Graph) -> None:
        def action(place: Place) -> None:
            for node in graph.order(self.chance if self.policy is Policy.RANDOM else None):
                if self.sticky is None:
                    node.action(Place(place.operation, node))

        self.enqueue(stream, "graph", action)

    # ------------------------------------------------------------------ events

    def record(self, event: Event, stream: Stream, action: Action) -> None:
        event.graph, event.time = stream.capture, None
        mark = self.enqueue(stream, "event", action)
        event.node = mark if isinstance(mark, Node) else None
        event.operation = mark if isinstance(mark, Operation) else None

    def wait_event(self, stream: Stream, event: Event) -> None:
        """Later work in `stream` waits for the event; an event recorded in a capture brings the stream into it."""
        if event.node is not None and event.graph in self.captures:
            if stream.capture is None and not stream.is_legacy:
                stream.capture = event.graph
                event.graph.tails[stream] = None
            if stream.capture is not event.graph:
                fail(Error.CAPTURE_ISOLATION, f"{stream} cannot wait for an event of a capture that it is not in")
            event.graph.add(stream, "wait", _nothing, event.node)
        elif stream.capture is not None:
            stream.capture.invalid = True
            fail(Error.CAPTURE_ISOLATION, f"{stream} is captured and cannot wait for an event from before")
        elif event.operation is not None:
            self.enqueue(stream, "wait", _nothing, event.operation)


def _merge(*clocks: Clock) -> Clock:
    merged = dict(clocks[0])
    for clock in clocks[1:]:
        for stream, number in clock.items():
            if merged.get(stream, 0) < number:
                merged[stream] = number
    return merged


def _nothing(_: Place) -> None:
    pass
