"""Collecting: what a network does in the steps that are looked at, as plain numbers. `diagnose` says what they mean.

NOTE [What it costs]
    A step is a backward pass. Between the steps that are looked at, watching is one call more in each backward (see
    core.between NOTE [Getting between]) and nothing else: no module has a hook. For the forward of a step that is looked at, a
    `_Tap` stands in the place of `forward` of the modules in question and keeps references to what goes in and comes out. When
    backward has passed, these arrays and the gradients are reduced to a handful of numbers and let go.
    1. The first steps (FULL) are looked at in full, because a bad start shows there.
    2. After that a look is at half of the layers, and at one of four things: gradients, updates, moments, idle units. They take
       turns: a small network, whose step is a few dozen calls, could not pay for more.
    3. Of large arrays some rows stand for all (LARGE, and FEW for what is copied).
    4. An update is looked for at each backward until there is one (at most PATIENCE times): gradients may be those of several
       backwards, and the backward after a look may be that of another network.
    Numbers stay on their device until the report is asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any

import numpy as np

from .. import anomaly
from ..backend import of
from ..core.between import release, surround
from ..core.tensor import Tensor
from ..nn.module import Module
from .locate import locate
from .record import ACTIVATIONS, DIES, SATURATES, Layer, Look, Record
from .report import Report

FULL = 3  # so many steps at the beginning are looked at in full
PATIENCE = 64  # backwards in which an update is waited for
LARGE, FEW = 16384, 4096  # elements: of larger arrays some rows stand for all
GRADIENT, MOMENTS, UPDATE, IDLE = KINDS = 1, 2, 4, 8  # what a look is at
FORWARD, FULLY = MOMENTS | IDLE, 15
CHANNELS_FIRST = ("Conv", "BatchNorm", "InstanceNorm", "GroupNorm")  # modules whose units are along dimension 1


class _Tap:
    """Stands in the place of `forward` of one module during a step that is looked at."""

    __slots__ = ("forward", "module", "args", "kwargs", "out", "before", "thread")

    def __init__(self, module: Module):
        self.module = module
        self.args = self.out = None
        self.kwargs: dict[str, Any] = {}
        self.thread: int | None = None  # in which it was called

    def put(self) -> None:
        attributes = self.module.__dict__
        self.before = attributes.get("forward")  # somebody else's, who had the same idea
        self.forward = self.module.forward
        attributes["forward"] = self

    def take(self) -> None:
        attributes = self.module.__dict__
        top = attributes.get("forward")
        if top is self:
            if self.before is None:
                del attributes["forward"]
            else:
                attributes["forward"] = self.before
        while isinstance(top, _Tap):  # that of another watch came later
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


class _Part:
    """A layer and what is needed to look at it, which is no plain data."""

    def __init__(self, name: str, module: Module, activation: str | None):
        self.tap = _Tap(module)
        self.parameters = [p for p in module.__dict__["_parameters"].values() if p is not None]
        weights = [p for p in self.parameters if p.array.ndim > 1]
        self.weight = weights[0] if weights else self.parameters[0] if self.parameters else None
        self.alive: Any = None  # units that were not zero at some time
        self.before: Any = None  # the weight before the update that is waited for,
        self.waiting: list[Look] = []  # and the looks that wait for it
        self.is_activation = activation is not None
        self.channels_first = type(module).__name__.startswith(CHANNELS_FIRST)
        kind = type(module).__name__
        self.layer = Layer(name or kind, kind, activation, sum(p.array.size for p in self.parameters))
        if self.weight is not None:
            self.layer.bytes = self.weight.array.itemsize

    def look(self, step: int, at: int, scale: float) -> None:
        """Reduce what came through the tap and the gradients, or the one of it that is asked for, to numbers. The loss was
        multiplied by `scale`."""
        look = Look(step)
        self.layer.looks.append(look)
        if at & GRADIENT:
            grads = [p.grad for p in self.parameters]
            look.gradient = sum([_square(g.array) for g in grads if g is not None])
            if scale != 1:
                look.gradient = look.gradient / scale**2
        if at & UPDATE and self.weight is not None:
            self.before = rows = _some(self.weight.array, FEW).copy()
            look.weight = _square(rows)
            self.waiting.append(look)
        if at & FORWARD:
            out = self.output()
            if out is not None:
                self._look_forward(look, at, _some(out.array, thin=False))

    def _look_forward(self, look: Look, at: int, out: Any) -> None:
        look.count = out.size
        if at & MOMENTS:
            flat = _flat(out)
            look.sum, look.square = _total(flat), flat.dot(flat)
        if at & IDLE:
            activation = self.layer.activation
            if activation in DIES:
                on = out > 0
                look.idle = look.count - _count(on)
                across = 1 if out.ndim > 2 and self.channels_first else out.ndim - 1
                alive = on.any(axis=tuple([i for i in range(out.ndim) if i != across]) if out.ndim != 2 else 0)
                self.alive = alive if self.alive is None or self.alive.shape != alive.shape else self.alive | alive
            elif activation in SATURATES:
                given = self.tap.args[0] if self.is_activation and self.tap.args else None
                x = _some(given.array, thin=False) if isinstance(given, Tensor) else out
                look.idle = _count(abs(x) > SATURATES[activation])

    def output(self) -> Tensor | None:
        """What the module gave, the first if it gave several; None if that is no tensor of floating point numbers."""
        out = self.tap.out
        if out.__class__ is tuple:
            out = out[0]
        return out if isinstance(out, Tensor) and out.array.dtype.kind in "fV" else None

    def update(self) -> Any:
        """By how much the weight differs from what it was at the look: a sum of squares, None if it cannot be compared."""
        rows = None if self.before is None else _some(self.weight.array, FEW)
        return None if rows is None or rows.shape != self.before.shape else _square(self.before - rows)

    def updated(self, update: Any) -> None:
        """This is the update that was waited for."""
        for look in self.waiting:
            look.update = update
        self.waiting, self.before = [], None


def _some(array: Any, most: int = LARGE, thin: bool = True) -> Any:
    """The array, or some of its rows if it is large: every k-th, or with thin=False the first, which is as good for batches."""
    size = array.size
    if size <= most or array.ndim == 0:
        return array
    rows = array.shape[0]
    keep = max(1, rows * most // size)
    return array[:: rows // keep] if thin else array[:keep]


def _total(flat: Any) -> Any:
    """The sum, without the warnings of `flat.sum()`, which come from NumPy's own files."""
    return np.add.reduce(flat) if flat.__class__ is np.ndarray else flat.sum()


def _count(mask: Any) -> Any:
    """How many are true: a fifth of what NumPy takes for `mask.sum()`."""
    return np.count_nonzero(mask) if mask.__class__ is np.ndarray else mask.sum()


def _flat(array: Any) -> Any:
    """The elements in one dimension, in float32 or better."""
    return (array if array.itemsize > 2 else of(array.__class__).astype(array, dtype=np.dtype("float32"))).ravel()


def _square(array: Any) -> Any:
    """The sum of squares; of a large array an estimate from some of its rows."""
    if array.size <= LARGE and array.itemsize > 2:
        flat = array.ravel()
        return flat.dot(flat)
    rows = _some(array)
    flat = _flat(rows)
    return flat.dot(flat) * (array.size / max(1, rows.size))


class Watch:
    """A network under observation. Made by `watch`; see there."""

    def __init__(self, model: Module, optimizer: Any = None, every: int = 10, scaler: Any = None):
        if not isinstance(model, Module):
            raise TypeError(f"watch() takes a Module, not {type(model).__name__}")
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"every is a number of steps, at least 1, and got {every!r}")
        self.model, self.optimizer, self.every, self.scaler = model, optimizer, every, scaler
        self._parts = [
            _Part(name, module, _activation_of(module))
            for name, module in model.named_modules()
            if _activation_of(module) or any(p is not None for p in module.__dict__["_parameters"].values())
        ]
        if not self._parts:
            raise ValueError("there is nothing to watch: the model has neither parameters nor activations")
        self._root = _Tap(model)
        self._taps = {part.tap for part in self._parts}
        own = next((tap for tap in self._taps if tap.module is model), None)
        self._root = own or self._root
        self._smallest = min((p for p in self._parts[0].parameters), key=lambda p: p.array.size, default=None)
        self._record = Record([part.layer for part in self._parts])
        self._step = 0  # the step that is looked at next
        self._left = 0  # after so many others
        self._looking: Sequence[_Part] = ()  # the parts to look at next,
        self._at = 0  # and at what of them
        self._waiting: Sequence[_Part] = ()  # the parts whose update is waited for,
        self._patience = 0  # in so many backwards more
        self._running, self._noting = True, False
        self._arm()
        surround(self._around)

    # -- step by step --------------------------------------------------------------------------------------------------------

    def _around(self, run: Callable) -> Callable:
        """What is called in place of each backward, which is `run`."""
        return functools.partial(self._pass, run)

    def _pass(self, run: Callable, roots: list, retain: Any, create: bool, only: Any = None, catch: Any = None) -> Any:
        """Called in place of each backward."""
        thread = self._root.thread
        if only is not None or catch is not None or (thread is not None and thread != get_ident()):
            # asked for the gradients of some tensors, or of what another thread trains: no step
            return run(roots, retain, create, only, catch)
        if self._waiting:
            self._updates()
        if not self._left:
            return self._look(run, roots, retain, create)
        found = run(roots, retain, create)
        self._left -= 1
        if not self._left:
            self._arm()
        return found

    def _arm(self) -> None:
        """Make ready for a look in the step to come."""
        if self._step < FULL or self.every == 1:
            self._looking, self._at = self._parts, FULLY
        else:
            turn = self._step // self.every
            self._at = KINDS[turn % 4]
            self._looking = self._parts[turn // 4 % min(2, len(self._parts)) :: 2]
        if self._at & FORWARD:
            for part in self._looking:
                part.tap.put()
            if self._at == FULLY:
                if self._root not in self._taps:
                    self._root.put()
                self._note(True)

    def _disarm(self) -> None:
        if self._at & FORWARD:
            for part in self._looking:
                part.tap.take()
            if self._at == FULLY:
                self._root.take()
                self._note(False)

    def _note(self, wanted: bool) -> None:
        """For the time of a full look it is noted which tensor backward is called of."""
        if wanted != self._noting:
            self._noting = wanted
            anomaly.note(wanted)

    def _look(self, run: Callable, roots: list, retain: Any, create: bool) -> Any:
        step, at = self._step, self._at
        if at & FORWARD and (self._root if at == FULLY else self._looking[0].tap).out is None:
            return run(roots, retain, create)  # a backward of something that the model did not give
        nodes = saved = losses = ()
        if at == FULLY:
            nodes = anomaly.nodes_below([node for node, _ in roots])
            saved = [node.saved for node in nodes]
            if not step:
                self._begin(nodes)
            losses = anomaly.began_at()
        found = run(roots, retain, create)
        if at & UPDATE and self._waiting and self._waiting is not self._looking:
            self._updates(last=True)
        scale = 1.0 if self.scaler is None else self.scaler.get_scale()
        for part in self._looking:
            part.look(step, at, scale)
        # A step that is not finite is left out by a scaler, which then goes lower, if it can.
        if (scale <= 1 or self.scaler is None) and not (self._finite() and all(map(anomaly.is_finite, losses))):
            self._step = step + 1
            self._record.trouble = locate(step, self.model, self._root, run, roots, nodes, saved)
            self.stop()
            return found
        self._disarm()
        if at & UPDATE:
            self._waiting, self._patience = self._looking, PATIENCE
        if step < FULL:
            self._uniformity()
            self._step = step + 1
        if self._step >= FULL:
            self._step = step + self.every - step % self.every
        self._left = self._step - step - 1
        if not self._left:
            self._arm()
        return found

    def _finite(self) -> bool:
        """Whether the gradient of the first layer, where gradients that are not finite arrive, is finite."""
        g = None if self._smallest is None else self._smallest.grad
        if g is None:
            return True
        total = _square(g.array)
        return bool(total - total == 0)

    def _updates(self, last: bool = False) -> None:
        """If the optimizer has made its step since the look, or waiting for that ends: by how much did the weights change?"""
        found = [part.update() for part in self._waiting]
        self._patience -= 1
        if last or self._patience < 0 or any(update is not None and bool(update) for update in found):
            for part, update in zip(self._waiting, found, strict=True):
                part.updated(update)
            self._waiting = ()

    def _begin(self, nodes: list) -> None:
        """In the first step: which functions come after which layers, what goes in, and what the learning rate is."""
        after = {id(edge): node.name() for node in nodes for edge in node.edges if node.name() in ACTIVATIONS}
        outputs = {}
        for part in self._parts:
            if not part.is_activation:
                out = part.output()
                if out is not None:
                    outputs[id(out)] = part
                    part.layer.activation = after.get(id(out.node))
                part.layer.frozen = bool(part.parameters) and all(p.node is None for p in part.parameters)
        for part in list(self._parts):  # an activation that is a module is one with the layer that it comes after
            before = outputs.get(id(part.tap.args[0])) if part.is_activation and part.tap.args else None
            if before is not None:
                before.layer.activation = part.layer.activation
                self._drop(part)
        given = next((x for x in self._root.args or () if isinstance(x, Tensor) and x.array.dtype.kind in "fV"), None)
        if given is not None and given.array.size:
            flat = _flat(_some(given.array, thin=False)).astype("float64")
            self._record.input_mean, self._record.input_std = float(flat.mean()), float(flat.std())
        groups = getattr(self.optimizer, "param_groups", None)
        if groups:
            self._record.lr = float(groups[0]["lr"])

    def _drop(self, part: _Part) -> None:
        part.tap.take()
        self._parts.remove(part)
        self._record.layers.remove(part.layer)

    def _uniformity(self) -> None:
        """Which layers have units that are all the same."""
        for part in self._parts:
            w = None if part.weight is None else part.weight.array
            part.layer.same = w is not None and w.ndim > 1 and w.shape[0] > 1 and bool((w == w[:1]).all())

    # -- for the user ---------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Watch no longer. Doing so twice is harmless."""
        if self._running:
            self._running = False
            if self._waiting:
                self._updates(last=True)
            self._disarm()
            release(self._around)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.stop()

    def record(self) -> Record:
        """What was collected up to now, as plain numbers."""
        if self._waiting:
            self._updates(last=True)
        self._record.steps = max(0, self._step - self._left)
        for part in self._parts:
            if part.alive is not None:
                part.layer.units = part.alive.size
                part.layer.dead = 1 - float(part.alive.sum()) / max(1, part.alive.size)
            for look in part.layer.looks:
                for name in ("gradient", "weight", "update", "sum", "square", "idle"):
                    value = getattr(look, name)
                    setattr(look, name, None if value is None else float(value))
        return self._record

    def report(self) -> Report:
        """What is wrong and what helps against it: an object with plain data, which prints as a table."""
        return Report(self.record())


def _activation_of(module: Module) -> str | None:
    """The name of the activation that a module is, None for other modules."""
    name = type(module).__name__
    name = {"LeakyReLU": "leaky_relu", "ReLU6": "relu6"}.get(name, name.lower())
    return name if name in ACTIVATIONS and not module.__dict__["_modules"] else None


def watch(model: Module, optimizer: Any = None, every: int = 10, scaler: Any = None) -> Watch:
    """Look at the flow of gradients through `model` in the first three steps, and after that in every `every`-th, where a step is
    a backward pass in the thread that calls the model. It begins at once and ends with `stop()` or, used as a context manager,
    with the block. `report()` then names what is wrong, and the remedy.

    optimizer   asked for its learning rate, which the report then names
    every       1: look at each step in full, which is what finds the first line that gives NaN wherever it is. With 10 it
                costs less than 3% of a step
    scaler      the amp.GradScaler that the loss is multiplied by, if there is one

    >>> import autograd_gpu as ag
    >>> from autograd_gpu import doctor, nn, optim
    >>> _ = ag.manual_seed(0)
    >>> model = nn.Sequential(*[layer for _ in range(8) for layer in (nn.Linear(16, 16), nn.Sigmoid())], nn.Linear(16, 1))
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> with doctor.watch(model, optimizer) as watching:
    ...     for _ in range(30):
    ...         loss = (model(ag.randn(32, 16)) ** 2).mean()
    ...         optimizer.zero_grad()
    ...         loss.backward()
    ...         optimizer.step()
    >>> [(finding.kind, finding.layer) for finding in watching.report().findings]
    [('vanishing', '0')]
    """
    return Watch(model, optimizer, every, scaler)
