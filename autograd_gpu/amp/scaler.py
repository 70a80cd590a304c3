"""GradScaler: keeps small float16 gradients from becoming zero by scaling the loss, and says where large ones overflowed."""

from __future__ import annotations

import logging
import math
import warnings
import weakref
from collections.abc import Iterable
from typing import Any, NamedTuple

from .. import backend, cuda
from ..backend.promotion import float16
from ..core.graph import Leaf, Node, touch, where, words
from ..core.tensor import Tensor

READY, UNSCALED, STEPPED = range(3)
_log = logging.getLogger("autograd_gpu.amp")
_used: weakref.WeakSet[GradScaler] = weakref.WeakSet()  # those that have scaled a loss


class Overflow(NamedTuple):
    """Where gradients overflowed first: in backward, which begins at the loss.

    name     of the parameter whose gradient was the first with inf or NaN
    shape    its shape
    op       what the parameter goes into, and in which line of the user's; None if the loss is gone
    scale    what the loss was multiplied by
    of       how many parameters' gradients are not finite, and of how many
    loss     the loss before scaling, if that was not finite already; None if it was finite or is gone"""

    name: str
    shape: tuple[int, ...]
    op: str | None
    scale: float
    of: tuple[int, int]
    loss: float | None

    def __str__(self) -> str:
        text = f"gradients overflowed at a loss scale of {self.scale:g}, first that of {self.name} {list(self.shape)}"
        text += "" if self.op is None else f", which goes into {self.op}"
        text += f" ({self.of[0]} of {self.of[1]} gradients are not finite)"
        return text if self.loss is None else f"{text}; the loss itself is {self.loss}"


class _Unscaled:
    """What is known of one optimizer since the last update()."""

    def __init__(self) -> None:
        self.stage = READY
        self.finite: list[tuple[list[Tensor], Any]] = []  # parameters, and for each whether its gradient is: still on the device


class GradScaler:
    """Multiplies the loss by a scale, so that gradients in float16 do not become zero, and divides the gradients by it before the
    optimizer's step. A step with gradients that are not finite is left out, and the scale shrinks by `backoff_factor`; after
    `growth_interval` good steps it grows by `growth_factor`.

    `overflow` tells of the last overflow which layer's gradient was the first (see Overflow), by name if `named_parameters` (a
    Module, or what its named_parameters() gives) is given here or to the optimizer. It is logged to "autograd_gpu.amp", and a
    scale that falls below 1 is a RuntimeWarning: the gradients are then too large without any scale.

    >>> import autograd_gpu as ag
    >>> w = ag.nn.Parameter(ag.ones(1))
    >>> optimizer = ag.optim.SGD([("w", w)], lr=0.5)
    >>> scaler = ag.amp.GradScaler("cpu", init_scale=1024.0)
    >>> for factor in (2.0, float("inf")):
    ...     optimizer.zero_grad()
    ...     scaler.scale((w * factor).sum()).backward()
    ...     _ = scaler.step(optimizer)
    ...     scaler.update()
    >>> w.item(), scaler.get_scale(), scaler.overflow.name
    (0.0, 512.0, 'w')
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
        *,
        named_parameters: Any = None,
    ) -> None:
        if enabled and device == "cuda" and not cuda.is_available():
            warnings.warn("GradScaler is enabled for CUDA, but CUDA is not available. Disabling.", stacklevel=2)
            enabled = False
        if growth_factor <= 1.0:
            raise ValueError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise ValueError("The backoff factor must be < 1.0.")
        self._device = device
        self._enabled = enabled
        self._scale = float(init_scale)
        self._growth_factor, self._backoff_factor, self._growth_interval = growth_factor, backoff_factor, growth_interval
        self._growth_tracker = 0
        self._found: dict[int, _Unscaled] = {}  # id of an optimizer -> ...
        self._losses: list[weakref.ref] = []  # what was scaled since the last update()
        self._names: dict[int, str] = {}
        if named_parameters is not None:
            named = getattr(named_parameters, "named_parameters", None)
            self._names = {id(p): name for name, p in (named() if named is not None else dict(named_parameters).items())}
        self.overflow: Overflow | None = None

    # -- a step ----------------------------------------------------------------------------------------------------------

    def scale(self, outputs: Any) -> Any:
        """A tensor, or the tensors of an iterable, multiplied by the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            _used.add(self)
            self._losses.append(weakref.ref(outputs))
            if outputs.array.ndim == 0 and outputs.array.dtype.itemsize == 2:  # which may not hold the scale
                outputs = outputs.float()
            return outputs * self._scale
        if isinstance(outputs, Iterable):
            scaled = [self.scale(x) for x in outputs]
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else iter(scaled)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer's parameters by the scale, in place: call it before clipping them. `step` does it
        if it was not done."""
        if not self._enabled:
            return
        found = self._of(optimizer)
        if found.stage == UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if found.stage == STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        kinds: dict[tuple, list[Tensor]] = {}
        for group in optimizer.param_groups:
            for p in dict.fromkeys(group["params"]):
                if p.grad is not None:
                    if p.grad.array.dtype == float16:
                        raise ValueError("Attempting to unscale FP16 gradients.")
                    kinds.setdefault((p.grad.array.__class__, p.grad.array.dtype, str(p.device)), []).append(p)
        for parameters in kinds.values():
            arrays = [p.grad.array for p in parameters]
            xp = backend.of(arrays[0].__class__)
            found.finite.append((parameters, xp.all_finite(arrays)))
            xp.rescale_(arrays, 1.0 / self._scale)
            for array in arrays:
                touch(array, "unscale_")
        found.stage = UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """optimizer.step(), left out if a gradient is not finite. Returns what it returned."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        found = self._of(optimizer)
        if found.stage == STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if found.stage == READY:
            self.unscale_(optimizer)
        if not found.finite:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        found.stage = STEPPED
        found.finite = [(parameters, _on_host(finite)) for parameters, finite in found.finite]
        if all(finite.all() for _, finite in found.finite):
            return optimizer.step(*args, **kwargs)
        return None

    def update(self, new_scale: Any = None) -> None:
        """Shrink or grow the scale, once all optimizers have made their steps; or set it."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        else:
            checks = [check for found in self._found.values() for check in found.finite]
            if not checks:
                raise AssertionError("No inf checks were recorded prior to update.")
            checks = [(parameters, _on_host(finite)) for parameters, finite in checks]
            if all(finite.all() for _, finite in checks):
                self._grow()
            else:
                self.overflow = self._first(checks)
                _log.info("%s", self.overflow)
                self._shrink()
        self._found, self._losses = {}, []

    def _grow(self) -> None:
        self._growth_tracker += 1
        if self._growth_tracker == self._growth_interval:
            self._growth_tracker = 0
            if self._scale * self._growth_factor < 3.4e38:  # the largest float32
                self._scale *= self._growth_factor

    def _shrink(self) -> None:
        self._growth_tracker = 0
        self._scale *= self._backoff_factor
        if self._scale < 1:
            warnings.warn(
                f"the loss scale falls to {self._scale:g}, below 1: {self.overflow}. The gradients are not finite whatever the "
                "scale: look for inf or NaN in the data or the loss, lower the learning rate, or use bfloat16",
                RuntimeWarning,
                stacklevel=3,
            )

    def _of(self, optimizer: Any) -> _Unscaled:
        found = self._found.setdefault(id(optimizer), _Unscaled())
        for group in optimizer.param_groups:
            for name, p in zip(group.get("param_names") or (), group["params"], strict=False):
                self._names.setdefault(id(p), name)
        return found

    # -- the first overflow ----------------------------------------------------------------------------------------------

    def _first(self, checks: list[tuple[list[Tensor], Any]]) -> Overflow:
        parameters = [p for group, _ in checks for p in group]
        bad = [p for group, finite in checks for p, good in zip(group, finite, strict=True) if not good]
        losses = [t for t in (ref() for ref in self._losses) if t is not None]
        users = _users(losses, {p.node for p in bad})
        # the one that goes into the newest node; without a graph the last one, for modules list their parts in order
        first = max(bad, key=lambda p: users[p.node][0] if p.node in users else 0) if users else bad[-1]
        _, user = users.get(first.node, (0, None))
        name = self._names.get(id(first), f"parameter {[p is first for p in parameters].index(True)} of the optimizer")
        loss = next((float(x) for t in losses for x in t.detach().reshape(-1).tolist() if not math.isfinite(x)), None)
        op = None if user is None else f"{user.name()} at {where(user.place)}"
        return Overflow(name, tuple(first.shape), op, self._scale, (len(bad), len(parameters)), loss)

    # -- the numbers -----------------------------------------------------------------------------------------------------

    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self._enabled

    def get_scale(self) -> float:
        """The scale; 1 if disabled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by when it grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set what the scale is multiplied by when it grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by when it shrinks."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set what the scale is multiplied by when it shrinks."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many good steps the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set after how many good steps the scale grows."""
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on from here; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._scale = float(state_dict["scale"])
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval, self._growth_tracker = state_dict["growth_interval"], state_dict["_growth_tracker"]

    def __getstate__(self) -> dict[str, Any]:
        if self._found:
            raise AssertionError("A GradScaler instance may only be pickled at the beginning of an iteration, or at the end.")
        return {**self.__dict__, "_losses": []}


def scaler_of(nodes: Iterable[Node]) -> GradScaler | None:
    """The scaler that has scaled, since its last update(), a loss that one of these nodes gave."""
    known = {id(node) for node in nodes}
    for scaler in list(_used):
        losses = [ref() for ref in scaler._losses]
        if any(loss is not None and id(loss.node) in known for loss in losses):
            return scaler
    return None


def _on_host(array: Any) -> Any:
    """A copy that can be looked at: waits for the device."""
    return backend.of(array.__class__).to_host(array)


def _users(losses: list[Tensor], leaves: set[Leaf]) -> dict[Leaf, tuple[float, Node]]:
    """For each leaf the newest node that takes it, which is the one that backward comes to first, and its number, or that of the
    layer if the node stands for several. Casts are passed over."""
    seen: dict[int, Any] = {}
    stack = [t.node for t in losses if t.node is not None]
    while stack:
        node = stack.pop()
        if node.number not in seen:
            seen[node.number] = node
            stack.extend(node.edges)
    users: dict[Any, Any] = {}
    for number in sorted(seen, reverse=True):
        node = seen[number]
        cast = node.name() == words.cast.op.name
        depths = getattr(getattr(node, "plan", None), "depths", None) or [0.0] * len(node.edges)
        for edge, depth in zip(node.edges, depths, strict=True):
            made = (number - depth, node)
            users.setdefault(edge, users.get(node, made) if cast else made)
    return {leaf: users[leaf] for leaf in leaves if leaf in users}
