"""Collecting: what a network does in the steps that are looked at, as plain numbers. `diagnose` says what they mean.

NOTE [What it costs]
    A step is a backward pass. Between the steps that are looked at nothing is called: the engine counts them, if nobody else
    stands between (core.between NOTE [Getting between], 3), and no module has a hook. For the forward of a step that is looked
    at, a `Tap` stands in the place of `forward` of the modules in question and keeps references to what goes in and comes out.
    1. The first steps (FULL) are looked at in full, because a bad start shows there.
    2. After that it is asked in each look whether gradients are finite, and some of the looks (TURNS) are at one thing more:
       gradients, updates or outputs. A small network, whose step is a few dozen calls, could not pay for more. All layers are
       looked at then, for the second costs less than the first: parts.NOTE [Cheap looks].
    3. Of large arrays some rows stand for all (LARGE in full looks, and FEW for what is copied; then GLANCE).
    4. An update is looked for at each backward until there is one (at most PATIENCE times): gradients may be those of several
       backwards, and the backward after a look may be that of another network.
    Numbers stay on their device until the report is asked for.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any

from .. import anomaly
from ..amp.scaler import scaler_of
from ..core.between import release, surround
from ..core.tensor import Tensor
from ..nn.module import Module
from .locate import locate
from .parts import FEW, GLANCE, Part, Tap, flat_of, some_of, square_of
from .record import ACTIVATIONS, Record
from .report import Report

FULL = 3  # so many steps at the beginning are looked at in full
PATIENCE = 64  # backwards in which an update is waited for
GRADIENT, FORWARD, UPDATE = 1, 2, 4  # what a look is at
FULLY = GRADIENT | FORWARD | UPDATE
TURNS = (GRADIENT, UPDATE, FORWARD, 0, 0, 0, 0, 0)  # with 0 it is only asked whether gradients are finite


class Watch:
    """A network under observation. Made by `watch`; see there."""

    def __init__(self, model: Module, optimizer: Any = None, every: int = 10, scaler: Any = None):
        if not isinstance(model, Module):
            raise TypeError(f"watch() takes a Module, not {type(model).__name__}")
        if optimizer is not None and not hasattr(optimizer, "param_groups"):
            raise TypeError(
                f"watch() takes an optimizer beside the model, not {type(optimizer).__name__}: every=... for a number"
            )
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"every is a number of steps, at least 1, and got {every!r}")
        self.model, self.optimizer, self.every, self.scaler = model, optimizer, every, scaler
        self._parts = [
            Part(name, module, _activation_of(module))
            for name, module in model.named_modules()
            if _activation_of(module) or any(p is not None for p in module.__dict__["_parameters"].values())
        ]
        if not self._parts:
            raise ValueError("there is nothing to watch: the model has neither parameters nor activations")
        self._root = Tap(model)
        self._taps = {part.tap for part in self._parts}
        own = next((tap for tap in self._taps if tap.module is model), None)
        self._root = own or self._root
        self._smallest = min((p for p in self._parts[0].parameters), key=lambda p: p.array.size, default=None)
        self._record = Record([part.layer for part in self._parts])
        self._step = 0  # the step that is looked at next
        self._left = 0  # after so many others,
        self._quiet = [0, 0]  # and so many more, of this thread, in which there is nothing to do but to count
        self._at = FULLY  # at what,
        self._turns = itertools.cycle(TURNS)  # and after the first steps, at what in turn
        self._waiting, self._patience = False, 0  # whether an update is waited for, and in how many backwards more
        self._running, self._noting = True, False
        self._arm()
        surround(self._around, self._quiet)

    # -- step by step --------------------------------------------------------------------------------------------------------

    def _around(self, run: Callable) -> Callable:
        """What is called in place of each backward, which is `run`."""
        return functools.partial(self._pass, run)

    def _pass(self, run: Callable, roots: list, retain: Any, create: bool, only: Any = None, catch: Any = None) -> Any:
        """A backward, which may be one to look at."""
        thread = self._root.thread
        if only is not None or catch is not None or (thread is not None and thread != get_ident()):
            # asked for the gradients of some tensors, or of what another thread trains: no step
            return run(roots, retain, create, only, catch)
        if self._quiet[0]:  # which the engine has not counted, for the watch is not alone
            self._left, self._quiet[0] = self._left + self._quiet[0], 0
        if self._waiting:
            self._updates()
        if not self._left:
            return (self._look if self._at == FULLY else self._glance)(run, roots, retain, create)
        found = run(roots, retain, create)
        self._left -= 1
        self._rest()
        return found

    def _rest(self) -> None:
        """Wait for the next look. The step before it is for making ready, and there is nothing to do in the others."""
        left = self._left
        if self._waiting or not left:
            if not left:
                self._arm()
        elif self._at & FORWARD:
            self._quiet[:], self._left = (left - 1, self._root.thread), 1
        else:
            self._quiet[:], self._left = (left, self._root.thread), 0

    def _next(self) -> None:
        """After a look in full: when to look again, and at what."""
        step, every = self._step, self.every
        if step < FULL - 1:
            self._step = step + 1
        else:
            self._step = step + every - step % every
            self._left = self._step - step - 1
            if every > 1:
                self._at = next(self._turns)
        self._rest()

    def _arm(self) -> None:
        """Make ready for a look in the step to come."""
        if self._at & FORWARD:
            for part in self._parts:
                part.tap.put()
            if self._at == FULLY:
                if self._root not in self._taps:
                    self._root.put()
                self._note(True)

    def _disarm(self) -> None:
        if self._at & FORWARD:
            for part in self._parts:
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
        """A backward, and a look at all of it."""
        if self._root.out is None:
            return run(roots, retain, create)  # a backward of something that the model did not give
        nodes = anomaly.nodes_below([node for node, _ in roots])
        saved = [node.saved for node in nodes]
        if not self._step:
            self._begin(nodes)
        losses = anomaly.began_at()
        if self.scaler is None:
            self.scaler = scaler_of(nodes)
        found = run(roots, retain, create)
        scale = 1.0 if self.scaler is None else self.scaler.get_scale()
        for part in self._parts:
            part.look_at_gradient(self._step, scale)
            part.keep_weight(self._step, FEW)
            part.look_at_output(self._step)
        if not self._left_out(scale) and not (self._finite() and all(map(anomaly.is_finite, losses))):
            self._trouble(run, roots, nodes, saved)
            return found
        self._disarm()
        self._waiting, self._patience = True, PATIENCE
        if self._step < FULL:
            self._uniformity()
        self._next()
        return found

    def _left_out(self, scale: float) -> bool:
        """Whether a step that is not finite is left out by a scaler, which then goes lower, if it can."""
        return self.scaler is not None and scale > 1

    def _trouble(self, run: Callable, roots: list, nodes: Sequence[Any] = (), saved: Sequence[Any] = ()) -> None:
        """A step was not finite: look for the reason, and watch no longer."""
        self._record.trouble = locate(self._step, self.model, self._root, run, roots, nodes, saved)
        self._step += 1
        for part in self._parts:
            part.keep_update(known=self._waiting)
        self._waiting = False
        self.stop()

    def _glance(self, run: Callable, roots: list, retain: Any, create: bool) -> Any:
        """A backward, and a look at one thing, or only whether it was finite."""
        at, step = self._at, self._step
        if at == FORWARD and all([part.tap.out is None for part in self._parts]):
            return run(roots, retain, create)
        found = run(roots, retain, create)
        scale = 1.0 if self.scaler is None else self.scaler.get_scale()
        if at == GRADIENT:
            for part in self._parts:
                part.look_at_gradient(step, scale)
        elif at == FORWARD:
            for part in self._parts:
                part.keep_output(step)
                part.tap.take()
        elif at == UPDATE:
            for part in self._parts:
                part.keep_weight(step, GLANCE)
            self._waiting, self._patience = True, PATIENCE
        if not self._finite() and not self._left_out(scale):
            self._trouble(run, roots)
            return found
        self._step = step + self.every
        self._left = self.every - 1
        self._at = next(self._turns)
        self._rest()
        return found

    def _finite(self) -> bool:
        """Whether the gradient of the first layer, where gradients that are not finite arrive, is finite."""
        g = None if self._smallest is None else self._smallest.grad
        if g is None:
            return True
        total = square_of(g.array)
        return bool(total - total == 0)

    def _updates(self, last: bool = False) -> None:
        """If the optimizer has made its step since the look, or waiting for that ends: keep what the weights are now."""
        self._patience -= 1
        if not last and self._patience >= 0:
            for part in self._parts:
                if part.is_updated():
                    break
            else:
                return
        for part in self._parts:
            part.keep_update()
        self._waiting = False

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
            flat = flat_of(some_of(given.array, thin=False)).astype("float64")
            self._record.input_mean, self._record.input_std = float(flat.mean()), float(flat.std())
        groups = getattr(self.optimizer, "param_groups", None)
        if groups:
            self._record.lr = float(groups[0]["lr"])

    def _drop(self, part: Part) -> None:
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
        self._record.steps = max(0, self._step - self._left - self._quiet[0])
        for part in self._parts:
            part.tell()
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
    scaler      the amp.GradScaler that the loss is multiplied by, if there is one. It is noticed too if it is not given

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
