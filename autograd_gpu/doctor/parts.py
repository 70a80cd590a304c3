"""What is looked at: a layer, its input and output, its weight and gradients, and how they become numbers.

NOTE [Cheap looks]
    A step of a small network takes 40 us, and what runs in every tenth step only is cold whenever it does: the processor takes
    several times as long for it as for the same in a loop. So a look does as little as it can:
    1. Of an output, and of a weight before and after its update, some elements are copied, no more. When there are KEPT such
       copies, or the report is asked for, they become numbers.
    2. Numbers are appended to flat lists, as they come and on their device. Whatever is made of them, the report makes. (A tuple
       for each would sooner or later set off the garbage collector.)
    3. Whether the optimizer has made its step is known from the log of writes (core.graph NOTE [One clock]). Elements are
       compared only if there is nothing in it.
"""

from __future__ import annotations

from threading import get_ident
from typing import Any

import numpy as np

from ..backend import of
from ..core.graph import write_of
from ..core.tensor import Tensor
from ..nn.module import Module
from .record import DIES, SATURATES, Layer, Look

LARGE, FEW, GLANCE = 16384, 4096, 1024  # elements: of larger arrays some rows stand for all
KEPT = 16  # so many outputs, or updates, become numbers together
CHANNELS_FIRST = ("Conv", "BatchNorm", "InstanceNorm", "GroupNorm")  # modules whose units are along dimension 1


class Tap:
    """Stands in the place of `forward` of one module during a step that is looked at."""

    __slots__ = ("forward", "module", "args", "kwargs", "out", "before", "thread")

    def __init__(self, module: Module):
        self.module = module
        self.args = self.out = None
        self.kwargs: dict[str, Any] = {}
        self.thread: int | None = None  # in which it was called

    def put(self) -> None:
        """From now on the module's forward is this."""
        attributes = self.module.__dict__
        self.before = attributes.get("forward")  # somebody else's, who had the same idea
        self.forward = self.module.forward
        attributes["forward"] = self

    def take(self) -> None:
        """Undo `put`, if it was called, and let go of what came through."""
        attributes = self.module.__dict__
        top = attributes.get("forward")
        if top is self:
            if self.before is None:
                del attributes["forward"]
            else:
                attributes["forward"] = self.before
        while isinstance(top, Tap):  # that of another watch came later
            if top.forward is self:
                top.forward, top.before = self.forward, self.before
            top = top.forward
        self.args = self.out = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.args, self.kwargs, self.thread = args, kwargs, get_ident()
        out = self.out = self.forward(*args, **kwargs)
        return out

    def __reduce__(self) -> Any:
        """A copy of the model, or what it is pickled to, is not watched: it has the forward that it would have had."""
        return (getattr, (self.module, "forward")) if self.before is None else (_itself, (self.before,))


def _itself(x: Any) -> Any:
    return x


class Part:
    """A layer and what is needed to look at it, which is no plain data."""

    def __init__(self, name: str, module: Module, activation: str | None):
        self.tap = Tap(module)
        self.parameters = [p for p in module.__dict__["_parameters"].values() if p is not None]
        weights = [p for p in self.parameters if p.array.ndim > 1]
        self.weight = weights[0] if weights else self.parameters[0] if self.parameters else None
        self.on: Any = None  # where its outputs were not zero at some time; as long as their shape does not change
        self.alive: Any = None  # the same of its units, but for what is in `on`
        self.known = self.before = self.write = None  # the array of the weight, some of it as it was at the look, writes to it,
        self.writes = self.most = 0  # how many there were, and how many elements are looked at
        self.waiting: list[int] = []  # the steps of the looks that wait for an update
        # What was seen, number by number: step, ...
        self.gradients: list[Any] = []  # sum of squares
        self.updates: list[Any] = []  # that of the weight, that of its change, how many times as large it is in all
        self.outputs: list[Any] = []  # elements, sum, sum of squares, how many of them are idle
        # and what still is to be looked at
        self.kept_updates: list[Any] = []  # the weight before, and after
        self.kept_outputs: list[Any] = []  # the output, and the input if that is looked at too
        self.is_activation = activation is not None
        self.channels_first = type(module).__name__.startswith(CHANNELS_FIRST)
        kind = type(module).__name__
        self.layer = Layer(name or kind, kind, activation, sum(p.array.size for p in self.parameters))
        if self.weight is not None:
            self.layer.bytes = self.weight.array.itemsize

    def look_at_gradient(self, step: int, scale: float) -> None:
        """How large the gradients of the parameters are. The loss was multiplied by `scale`."""
        total = 0
        for p in self.parameters:
            g = p.grad
            if g is not None:
                total += square_of(g.array)
        gradients = self.gradients
        gradients.append(step)
        gradients.append(total if scale == 1 else total / scale**2)

    def keep_weight(self, step: int, most: int) -> None:
        """Keep the weight, or some rows of it, until it is updated."""
        if self.weight is None:
            return
        array = self.weight.array
        if array is not self.known:
            self.known, self.write = array, write_of(array)
        self.before, self.most, self.writes = some_of(array, most).copy(), most, self.write.count
        self.waiting.append(step)

    def is_updated(self) -> bool:
        """Whether the weight was written to since it was kept."""
        if self.before is None:
            return False
        if self.write.count != self.writes or self.weight.array is not self.known:
            return True
        return bool((some_of(self.known, self.most) != self.before).any())  # if it is written to as a raw array

    def keep_update(self, known: bool = True) -> None:
        """This is the update that was waited for, unless it will never be known."""
        before, self.before = self.before, None
        if before is not None:
            after = some_of(self.weight.array, self.most).copy() if known else None
            for step in self.waiting:
                self.kept_updates += (step, before, after)
            self.waiting.clear()
            if before.size > 2 * GLANCE or len(self.kept_updates) > KEPT * 3:
                self.look_at_updates()

    def look_at_updates(self) -> None:
        """How large the weight was before each update that was kept, and the update."""
        for step, before, after in _rows(self.kept_updates, 3):
            share = self.weight.array.size / max(1, before.size)
            alike = before.__class__ is after.__class__ and before.shape == after.shape
            update = square_of(before - after) if alike else None
            self.updates += (step, square_of(before), update, share)

    def keep_output(self, step: int) -> None:
        """Keep some of what came through the tap."""
        out = self.output()
        if out is None:
            return
        rows = some_of(out.array, GLANCE, thin=False)
        if rows.size > FEW:  # a single one is large: no sixteen of these
            self._reduce(step, rows, self._given(GLANCE))
            return
        self.kept_outputs += (step, rows.copy(), self._given(GLANCE))
        if len(self.kept_outputs) > KEPT * 3:
            self.look_at_outputs()

    def _given(self, most: int) -> Any:
        """Some of the input of a module that is an activation which saturates."""
        if self.is_activation and self.layer.activation in SATURATES and self.tap.args:
            given = self.tap.args[0]
            return some_of(given.array, most, thin=False).copy() if isinstance(given, Tensor) else None
        return None

    def look_at_output(self, step: int) -> None:
        """Reduce what came through the tap to numbers."""
        out = self.output()
        if out is not None:
            self._reduce(step, some_of(out.array, thin=False), self._given(LARGE))

    def look_at_outputs(self) -> None:
        """Reduce what was kept to numbers."""
        for kept in _rows(self.kept_outputs, 3):
            self._reduce(*kept)

    def _reduce(self, step: int, out: Any, given: Any) -> None:
        flat = flat_of(out)
        activation, idle = self.layer.activation, None
        if activation in DIES:
            on = out > 0
            idle = flat.size - _count_of(on)
            if self.on is not None and self.on.shape == on.shape:
                self.on |= on  # which units these are is asked by the report
            else:
                self.settle()
                self.on = on
        elif activation in SATURATES:
            idle = _count_of(abs(out if given is None else given) > SATURATES[activation])
        self.outputs += (step, flat.size, _total_of(flat), flat.dot(flat), idle)

    def settle(self) -> None:
        """Put what is in `on` into `alive`."""
        on, self.on = self.on, None
        if on is not None:
            across = 1 if on.ndim > 2 and self.channels_first else on.ndim - 1
            alive = on.any(axis=tuple([i for i in range(on.ndim) if i != across]))
            self.alive = alive if self.alive is None or self.alive.shape != alive.shape else self.alive | alive

    def output(self) -> Tensor | None:
        """What the module gave, the first if it gave several; None if that is no tensor of floating point numbers."""
        out = self.tap.out
        if out.__class__ is tuple:
            out = out[0]
        return out if isinstance(out, Tensor) and out.array.dtype.kind in "fV" else None

    def tell(self) -> None:
        """Put what was seen into the layer, as plain numbers."""
        looks = {look.step: look for look in self.layer.looks}

        def at(step: int) -> Look:
            return looks.setdefault(step, Look(step))

        for step, gradient in _rows(self.gradients, 2):
            at(step).gradient = float(gradient)
        self.look_at_updates()
        for step, weight, update, share in _rows(self.updates, 4):
            at(step).weight = float(weight) * share
            at(step).update = None if update is None else float(update) * share
        self.look_at_outputs()
        for step, count, total, square, idle in _rows(self.outputs, 5):
            look = at(step)
            look.count, look.sum, look.square = count, float(total), float(square)
            look.idle = None if idle is None else float(idle)
        self.layer.looks[:] = sorted(looks.values(), key=lambda look: look.step)
        self.settle()
        if self.alive is not None:
            self.layer.units = self.alive.size
            self.layer.dead = 1 - float(self.alive.sum()) / max(1, self.alive.size)


def _rows(numbers: list, width: int) -> list[tuple]:
    """What was appended in pieces of `width`, which are taken away."""
    rows = list(zip(*[iter(numbers)] * width, strict=True))
    numbers.clear()
    return rows


def some_of(array: Any, most: int = LARGE, thin: bool = True) -> Any:
    """The array, or some of its rows if it is large: every k-th, or with thin=False the first, which is as good for batches."""
    size = array.size
    if size <= most or array.ndim == 0:
        return array
    rows = array.shape[0]
    keep = max(1, rows * most // size)
    return array[:: rows // keep] if thin else array[:keep]


_ones = np.ones(LARGE, "float32")


def _total_of(flat: Any) -> Any:
    """The sum, without the warnings of `flat.sum()`, which come from NumPy's own files."""
    if flat.__class__ is not np.ndarray:
        return flat.sum()
    # BLAS takes a third of the time that NumPy takes
    return flat.dot(_ones[: flat.size]) if flat.dtype == _ones.dtype and flat.size <= LARGE else np.add.reduce(flat)


def _count_of(mask: Any) -> Any:
    """How many are true: a fifth of what NumPy takes for `mask.sum()`."""
    return np.count_nonzero(mask) if mask.__class__ is np.ndarray else mask.sum()


def flat_of(array: Any) -> Any:
    """The elements in one dimension, in float32 or better."""
    return (array if array.itemsize > 2 else of(array.__class__).astype(array, dtype=np.dtype("float32"))).ravel()


def square_of(array: Any) -> Any:
    """The sum of squares; of a large array an estimate from some of its rows."""
    if array.size <= LARGE and array.itemsize > 2:
        flat = array.ravel()
        return flat.dot(flat)
    rows = some_of(array)
    flat = flat_of(rows)
    return flat.dot(flat) * (array.size / max(1, rows.size))
