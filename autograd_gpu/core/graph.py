"""The recorded graph: nodes, leaves, the one clock that orders them and the writes, and the thread's mode.

NOTE [One clock]
    Nodes, leaves and in-place writes draw their numbers from one counter, `tick`. So
    1. a node is newer than everything it was computed from: backward pops the largest number first, and that is a
       topological order;
    2. an array was overwritten after a node saved it exactly if its memory's last write has a larger number than the node.
    Writes are noted by the memory they go to (`touch`): by the array that owns it, so that views, detached tensors and
    whatever else shares the memory share the version too. A saved array keeps its memory alive, so a later write to that
    memory is a write to that array. Thus tensors carry no version counters and nodes keep none: recording pays nothing, and
    backward looks only if anything was written after the node was made (`last_write`).

NOTE [Where]
    A node notes the line of the user's code that made it as a code object and an instruction offset, which cost 60 ns; the
    line number is worked out only when an error message asks for it.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import weakref
from types import CodeType, FrameType, SimpleNamespace
from typing import Any

from .. import backend
from ..backend.residue import Instead, Unwritten, kept

words = SimpleNamespace()  # the vocabulary that Tensors speak: a word for each op, put here by the decorators of core.primitive

tick = itertools.count(1).__next__

NO_GRAD, INFERENCE = 1, 2


class Mode(threading.local):
    """What this thread does with the ops it calls. State 0 is plain recording, the only one that the fast paths know."""

    state: int = 0
    constants: Any = backend.cpu  # the vocabulary of the arrays that `words.zeros` and its like make: that of the rule that runs


mode = Mode()
_counting = threading.Lock()
unusual = [0]  # how many threads are in another state: the fast paths read this, which is cheaper than a thread-local


def set_mode(state: int) -> int:
    """Set this thread's state and return what it was."""
    before = mode.state
    mode.state = state
    change = bool(state) - bool(before)
    if change:
        with _counting:  # `+=` is no atomic step: a thread may be interrupted in the middle of it
            unusual[0] += change
    return before


class Node:
    """One recorded call of an op: where the gradient of its output goes, and what is needed to get it there.

    plan    what to save and which rules to run (core.op.Plan)
    edges   the nodes of the inputs that need a gradient
    saved   the arrays, shapes and keywords that the rules named; None once backward has passed
    number  this node's time on the one clock
    shapes  per edge the shape to sum the gradient down to, or None where nothing was broadcast
    code    the user's code that called the op, or what stands in core.fast.site of the call
    at      at which of its instructions: see NOTE [Where]
    """

    __slots__ = ("plan", "edges", "saved", "number", "shapes", "code", "at", "hooks", "outs")

    def name(self) -> str:
        """The name of the op, as in `mul`."""
        return self.plan.op.name

    @property
    def place(self) -> tuple[CodeType, int]:
        """Where the user called the op, for `where`."""
        return self.code[:2] if self.code.__class__ is tuple else (self.code, self.at)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes of the inputs that need gradients, each with an output number, as PyTorch gives them."""
        return tuple((edge, 0) for edge in self.edges)

    def __repr__(self) -> str:
        return f"<{self.name()} made at {where(self.place)}>"


class Fan(Node):
    """The node of an op with several outputs. `outs` holds shape and dtype of each, for those that get no gradient; `made`
    the Output of each, weakly, so that what a rule under create_graph finds saved is in the same place of the graph."""

    __slots__ = ("made",)

    def output(self, index: int) -> Output:
        """The Output at `index`: the one that there is, or a new one."""
        found = self.made[index]() if index in self.made else None
        if found is None:
            found = Output(self, index)
            self.made[index] = weakref.ref(found)
        return found


class Hooked(Node):
    """A node with hooks: functions that see, and may replace, the gradient of its output. Same layout as Node, so that
    registering a hook only changes the node's class and a plain node pays nothing."""

    __slots__ = ()


class Output:
    """One output of an op with several: carries its gradient to position `index` at the Fan node, its only edge."""

    __slots__ = ("number", "edges", "index", "hooks", "__weakref__")

    def __init__(self, fan: Fan, index: int):
        self.number = tick()
        self.edges = (fan,)
        self.index = index
        self.hooks = None

    def name(self) -> str:
        """The name of the op whose output this is."""
        return self.edges[0].name()

    def __repr__(self) -> str:
        return f"<output {self.index} of {self.edges[0]!r}>"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The node that has this as an output."""
        return ((self.edges[0], self.index),)


class Leaf:
    """The end of the graph: a Tensor made by the user with requires_grad=True. Its gradient accumulates here."""

    __slots__ = ("number", "grad", "hooks", "after", "tensor", "__weakref__")
    edges = ()

    def __init__(self, tensor: Any) -> None:
        self.number = tick()
        self.tensor = weakref.ref(tensor)  # asked for its dtype
        self.grad = None
        self.hooks = None
        self.after = None

    def name(self) -> str:
        """PyTorch's name for the node that accumulates a leaf's gradient."""
        return "AccumulateGrad"

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


class HookedLeaf(Leaf):
    """A leaf that has hooks, or had. Same layout as Leaf, as Hooked has that of Node."""

    __slots__ = ()


PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class _Ours(dict):
    """file name -> is it part of this package?"""

    def __missing__(self, name: str) -> bool:
        ours = self[name] = os.path.abspath(name).startswith(PACKAGE)
        return ours


ours = _Ours()


def outside(frame: FrameType) -> FrameType:
    """The nearest frame of the user's code, or `frame` itself if this package was not called by anyone."""
    f: FrameType | None = frame
    while ours[f.f_code.co_filename]:
        f = f.f_back
        if f is None:
            return frame
    return f


def where(place: tuple[CodeType, int]) -> str:
    """'file:line' of an instruction."""
    code, lasti = place
    for start, end, line in code.co_lines():
        if start <= lasti < end and line is not None:
            return f"{code.co_filename}:{line}"
    return f"{code.co_filename}:{code.co_firstlineno}"


class Write:
    """The last write to a piece of memory: its number on the one clock, and `by`: the op and where the user called it."""

    __slots__ = ("number", "count", "by", "memory")

    def __init__(self, memory: Any):
        key = id(memory)
        self.number = self.count = 0
        self.memory = weakref.ref(memory, lambda _: _writes.pop(key, None))


_writes: dict[int, Write] = {}  # id of the object that owns the memory -> its last write; gone when the memory is
last_write = [0]


def touch(array: Any, op: str) -> None:
    """Note that `op`, called from the user's line now running, writes into the memory of an array."""
    touch_all([write_of(array)], op, sys._getframe(1))


def write_of(array: Any) -> Write:
    """What is noted of writes to the memory of an array. Who writes to it again and again keeps this for `touch_all`."""
    memory = backend.of(array.__class__).memory(array)
    write = _writes.get(id(memory))
    if write is None:
        write = _writes[id(memory)] = Write(memory)
    return write


def touch_all(writes: list[Write], op: str, frame: FrameType) -> None:
    """Note that `op` writes into all these; `frame` is where to look for the user's line that called it."""
    code = frame.f_code
    if ours[code.co_filename]:
        frame = outside(frame)
        code = frame.f_code
    by = op, (code, frame.f_lasti)
    number = last_write[0] = tick()
    for write in writes:
        write.number = number
        write.count += 1
        write.by = by


def written(array: Any) -> Write | None:
    """The last write to the memory of an array, None if there was none."""
    return _writes.get(id(backend.of(array.__class__).memory(array)))


def keep_apart(array: Any) -> None:
    """Before a write into the memory of an array, or before it is handed out to where writes are not noted: see backend.residue
    NOTE [Kept outputs]."""
    if not kept:
        return
    memory = backend.of(array.__class__).memory(array)
    found = kept.get(id(memory))
    if found is None:
        return
    write, residue = _writes.get(id(memory)), found()
    if residue is not None and (write is None or not write.number):  # else it is too late
        del kept[id(memory)]
        residue.part()


def let_go(x: Any) -> None:
    """Take from the op that made tensor x the output that it kept to spare work. For what comes behind and does not keep x: alone
    for that, x is not worth its memory."""
    saved = getattr(x.node, "saved", None)
    if saved and saved[-1].__class__ is Unwritten:
        x.node.saved = (*saved[:-1], None)


def check_unwritten(node: Node) -> None:
    """Raise RuntimeError if an array that `node` saved was overwritten since. See NOTE [One clock]. A residue that can be done
    without is taken away instead."""
    names, saved = node.plan.names, node.saved
    places, residue = node.plan.array_places(saved), saved[-1] if saved else None
    arrays = [saved[i] for i in places]
    if residue.__class__ is Instead:
        arrays += residue.arrays
    elif residue.__class__ is Unwritten:
        write = None if residue.array is None else written(residue.array)
        if write is not None and write.number > node.number:
            node.saved = (*saved[:-1], None)
    for k, array in enumerate(arrays):
        write = None if array is None else written(array)
        if write is not None and write.number > node.number:
            name = names[min(places[k], len(names) - 1)] if k < len(places) else residue.names[k - len(places)]
            op, place = write.by
            raise RuntimeError(
                f"an array needed for gradient computation has been modified by an inplace operation: {node.name()} at "
                f"{where(node.place)} saved its {name} ({array.dtype} {list(array.shape)}), and {op} at "
                f"{where(place)} wrote into it. Write out of place there, or give one of the two a clone()."
            )
