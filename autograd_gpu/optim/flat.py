"""Optimizers that update many parameters at once, in place and without temporaries of parameter size.

NOTE [Flat]
    Small parameters cost their number, not their size: ten array operations on each of four parameters are forty calls, of
    which the fewest do any work. So
    1. the state of all parameters of one dtype in a group lies in one flat array a kind of state (`Flat`), and what
       `optimizer.state[p]` shows are views of it;
    2. it is worked on in buckets, made of whole small parameters and of blocks of large ones. How many elements they hold is a
       word of the vocabulary: on a CPU as many as stay in the cache, on a device all, so that an update is one launch;
    3. parameters and gradients keep their own arrays, which others may hold views of. A bucket gathers the gradients into a
       scratch that all buckets share, and subtracts the update from each parameter where it lies.
    A parameter without a gradient is skipped, as in PyTorch: its state stays and its steps are not counted. Then the others
    of its bucket are updated one by one.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from operator import is_
from types import FrameType
from typing import Any

from .. import backend
from ..core.graph import touch_all, write_of
from ..core.tensor import Tensor
from .optimizer import Optimizer


def blocks(shape: Sequence[int], most: int) -> Iterator[tuple[slice | int, ...]]:
    """Indices that cut an array into blocks of at most `most` elements, each contiguous in C order and in that order.

    >>> list(blocks((2, 3), 6)), list(blocks((3, 2), 4))
    ([()], [(slice(0, 2, None),), (slice(2, 3, None),)])
    """
    size = 1
    for n in shape:
        size *= n
    if size <= most:
        yield ()
        return
    row = size // shape[0]
    if row <= most:
        rows = most // row
        for start in range(0, shape[0], rows):
            yield (slice(start, min(start + rows, shape[0])),)
    else:
        for i in range(shape[0]):
            for index in blocks(shape[1:], most):
                yield (i, *index)


class Flat:
    """Parameters of one group, dtype and device, and their state laid end to end. See NOTE [Flat]."""

    def __init__(self, params: list[Tensor], states: list[dict[str, Any]], slots: tuple[str, ...], counts: list[int], show: bool):
        self.params = params
        self.arrays = [p.array for p in params]
        self.pairs = list(zip(params, self.arrays, strict=True))
        self.xp = xp = backend.of(self.arrays[0].__class__)
        self.writes = [write_of(array) for array in self.arrays]
        self.before, self.since = counts, 0  # the steps that each has seen: so many, and those that all took together since
        self.uniform = len(set(counts)) == 1
        self.steps = xp.zeros((len(params),), "float32")
        dtype = self.arrays[0].dtype
        total = sum(a.size for a in self.arrays)
        self.most = xp.bucket_elements(total)
        self.scratch = xp.bucket_scratch(min(self.most, total), dtype)
        self.flats = [xp.zeros((total,), dtype) for _ in slots]
        self._adopt(states, slots, show)
        self.state = states[0]  # that of the first parameter, and what stands in it under the first name
        self.mark = states[0].get(slots[0] if slots else "step")
        self.pieces = [(i, index) for i, a in enumerate(self.arrays) for index in blocks(a.shape, self.most)]
        self.buckets = self._pack()

    @property
    def counts(self) -> list[int]:
        """The steps that each parameter has seen."""
        return [n + self.since for n in self.before]

    def _adopt(self, states: list[dict[str, Any]], slots: tuple[str, ...], show: bool) -> None:
        """Copy what there is of state into the flat arrays, and show views of these in its place."""
        start = 0
        for i, (array, state) in enumerate(zip(self.arrays, states, strict=True)):
            self.steps[i] = self.before[i]
            if show:
                state["step"] = Tensor(self.steps[i : i + 1].reshape(()))
            for name, flat in zip(slots, self.flats, strict=True):
                view = flat[start : start + array.size].reshape(array.shape)
                old = state.get(name)
                if old is not None:
                    view[...] = old.array
                state[name] = Tensor(view)
            start += array.size

    def _pack(self) -> list[tuple]:
        """The buckets: (bucket, its slices of the flat state, its pieces or None for all parameters whole)."""
        packed, start, held, size = [], 0, [], 0
        for i, index in self.pieces:
            n = self.arrays[i][index].size
            if held and size + n > self.most:
                packed.append((start, size, held))
                start, held, size = start + size, [], 0
            held.append((i, index))
            size += n
        packed.append((start, size, held))
        return [self._bucket(start, size, held) for start, size, held in packed]

    def _bucket(self, start: int, size: int, held: list[tuple]) -> tuple:
        bucket = self.xp.Bucket([self.arrays[i][index] if index else self.arrays[i] for i, index in held], self.scratch)
        whole = len(held) == len(self.params) and not any(index for _, index in held)
        return bucket, tuple(flat[start : start + size] for flat in self.flats), None if whole else held

    def update_all(self, apply: Callable, group: dict, gradients: list[Any]) -> None:
        """Every parameter has a gradient and they have seen equally many steps: bucket by bucket."""
        self.since += 1
        count = self.before[0] + self.since
        self.steps.fill(count)
        for bucket, states, held in self.buckets:
            given = gradients if held is None else [gradients[i][index] if index else gradients[i] for i, index in held]
            apply(self.xp, bucket, given, states, count, group)
        if not count & 63:
            for flat in self.flats:
                self.xp.drop_denormals_(flat)

    def update_some(self, apply: Callable, group: dict, gradients: list[Any]) -> None:
        """Piece by piece, for some of the gradients are None or the parameters have seen different numbers of steps."""
        self.before, self.since = counts, _ = self.counts, 0
        for i, g in enumerate(gradients):
            if g is not None:
                counts[i] += 1
                self.steps[i] = counts[i]
        self.uniform = len(set(counts)) == 1
        start = 0
        for i, index in self.pieces:
            size = self.arrays[i][index].size
            g = gradients[i]
            if g is not None:
                bucket, states, _ = self._bucket(start, size, [(i, index)])
                apply(self.xp, bucket, [g[index] if index else g], states, counts[i], group)
            start += size


class Layout:
    """How a group is laid out: its Flats, and the parameters that have never had a gradient and so are in none."""

    def __init__(self, group: dict[str, Any], slots: tuple[str, ...], optimizer: FlatOptimizer):
        self.slots = slots
        self.params = list(group["params"])
        times = Counter(self.params)
        self.more = {p: n - 1 for p, n in times.items() if n > 1}  # how often the group names a parameter again
        self.keeps = bool(slots or optimizer.counts_steps)
        self.absent: list[Tensor] = []
        kinds: dict[tuple, list[Tensor]] = {}
        for p in times:
            if p.grad is None and p not in optimizer.state:
                self.absent.append(p)
            else:
                kinds.setdefault((p.array.dtype, p.array.__class__, str(p.device)), []).append(p)
        self.flats = []
        for params in kinds.values():
            counts = [optimizer._count(p) for p in params]
            if backend.apart[0]:
                backend.go_to(params[0].array)
            states = [optimizer.state[p] if self.keeps else {} for p in params]
            self.flats.append(optimizer._flat(group, params, states, slots, counts))
        self.known = len(optimizer.state)
        self.shown = slots[0] if slots else "step"

    def outdated(self, group: dict[str, Any], slots: tuple[str, ...], state: dict[Any, Any]) -> bool:
        """Whether the group, or what the optimizer keeps of its parameters, has changed so that it must be laid out anew. Every
        step asks: so of the state it looks at how many parameters have one, and at that of the first of each Flat."""
        params, keeps = group["params"], self.keeps
        if slots != self.slots or len(params) != len(self.params) or not all(map(is_, params, self.params)):
            return True
        for p in self.absent:
            if p.grad is not None:
                return True
        for flat in self.flats:
            for p, array in flat.pairs:
                if p.array is not array:
                    return True
            p = flat.params[0]
            if keeps and (state.get(p) is not flat.state or flat.state.get(self.shown) is not flat.mark):
                return True
        return keeps and len(state) != self.known


class FlatOptimizer(Optimizer):
    """An optimizer whose update is a word of the vocabulary, applied to buckets. A subclass defines

    _slots(group)      the names of what it keeps of each parameter, in arrays of the parameter's shape
    _apply(xp, bucket, gradients, states, step, group)      the update; `states` in the order of _slots, step from 1
    """

    counts_steps = True  # whether the state shows the number of steps, as "step"

    def __init__(self, params: Any, defaults: dict[str, Any]):
        super().__init__(params, defaults)
        self._reset()

    def _reset(self) -> None:
        self._layouts: dict[int, Layout] = {}
        self._op = f"{type(self).__name__}.step"

    def _flat(self, group: dict[str, Any], params: list[Tensor], states: list[dict], slots: tuple, counts: list[int]) -> Flat:
        """Lay out parameters of one kind. A subclass that has state which does not begin as zeros sets it here."""
        return Flat(params, states, slots, counts, self.counts_steps)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        raise NotImplementedError

    def _apply(self, xp: Any, bucket: Any, gradients: list[Any], states: tuple, step: int, group: dict[str, Any]) -> None:
        raise NotImplementedError

    def _count(self, p: Tensor) -> int:
        """How many steps have updated p."""
        step = self.state[p].get("step", 0) if p in self.state else 0
        return int(step.array) if isinstance(step, Tensor) else int(step)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters from their gradients; those without one are left alone. A closure, if given, is called first
        to compute the gradients; what it returns is returned."""
        loss = None if closure is None else self._loss(closure)
        frame = sys._getframe(1)
        if backend.apart[0]:  # several CUDA devices
            with backend.coming_back():
                self._update(frame, True)
        else:
            self._update(frame, False)
        return loss

    def _update(self, frame: FrameType, apart: bool) -> None:
        """Update all parameters, those on each device with that as the current one if devices are `apart`. `frame` called."""
        layouts, state = self._layouts, self.state
        for k, group in enumerate(self.param_groups):
            slots = self._slots(group)
            layout = layouts.get(k)
            if layout is None or layout.outdated(group, slots, state):
                layout = layouts[k] = Layout(group, slots, self)
            for flat in layout.flats:
                if apart:
                    backend.go_to(flat.arrays[0])
                try:
                    gradients = [p.node.grad.array for p in flat.params]
                except AttributeError:  # one has none, or does not require grad
                    gradients = [None if p.grad is None else p.grad.array for p in flat.params]
                    flat.update_some(self._apply, group, gradients)
                    touch_all([w for w, g in zip(flat.writes, gradients, strict=True) if g is not None], self._op, frame)
                else:
                    if flat.uniform:
                        flat.update_all(self._apply, group, gradients)
                    else:
                        flat.update_some(self._apply, group, gradients)
                    touch_all(flat.writes, self._op, frame)
                if layout.more:
                    for k in range(max(layout.more.values())):
                        again = [g if layout.more.get(p, 0) > k else None for p, g in zip(flat.params, gradients, strict=True)]
                        flat.update_some(self._apply, group, again)
