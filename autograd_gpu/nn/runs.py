"""Runs of modules that are computed as one op: linear layers with a ReLU or a GELU between them.

NOTE [Runs]
    `Sequential`, and what else has linear layers one after the other, may call `ops.perceptron.mlp` in the place of the modules
    only if nobody could tell: no hook, no `forward` put in the place of a module's own, no class of the user's, no watching for
    NaN. What modules a Sequential has is found out once (`parts_of`). What of it may change without anybody being told, all but
    the modules themselves, is asked at each call (`Run`), because the questions cost less than being told would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..anomaly import is_anomaly_enabled
from ..core.dispatch import NOTHING
from ..core.tensor import Tensor
from ..ops.perceptron import Layers, mlp
from .activation import GELU
from .hooks import Hookable
from .linear import Linear
from .module import Module
from .rectifiers import ReLU

_GELUS = {"none": "gelu", "tanh": "gelu_tanh"}


def _activation(module: Module) -> str | None:
    """The activation that a module stands for, None for other modules."""
    if module.__class__ is ReLU:
        return "relu"
    return _GELUS.get(module.approximate) if module.__class__ is GELU else None


class Run:
    """Modules that may be computed as one: linear, activation, linear and so on, with the same activation throughout."""

    __slots__ = ("modules", "layers")

    def __init__(self, modules: Sequence[Module]):
        self.modules = tuple(modules)
        self.layers = Layers(_activation(modules[1]), len(modules) // 2 + 1)

    def __call__(self, x: Tensor) -> Tensor | None:
        """What they make of x; None if they are to be called one by one."""
        if Hookable._hooked or is_anomaly_enabled():
            return None
        parameters, activation = [], self.layers.activation
        for module in self.modules:
            attributes = module.__dict__
            if "forward" in attributes or "_hooked" in attributes:
                return None
            if module.__class__ is Linear:
                bias = attributes["bias"]
                parameters += (attributes["weight"], NOTHING if bias is None else bias)
            elif _activation(module) != activation:
                return None
        return mlp(x, parameters, self.layers)


def parts_of(modules: Sequence[Module]) -> list[tuple[Run | None, Sequence[Module]]]:
    """Modules, parted into runs and what is none."""
    parts: list[Any] = []
    i = 0
    while i < len(modules):
        end, activation = i, None
        while end + 2 < len(modules) and modules[end].__class__ is Linear is modules[end + 2].__class__:
            between = _activation(modules[end + 1])
            if between is None or activation not in (None, between):
                break
            end, activation = end + 2, between
        part = modules[i : end + 1]
        parts.append((Run(part) if end > i else None, part))
        i = end + 1
    return parts
