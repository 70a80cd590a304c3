"""Runs of modules that are computed as one: linear layers with a ReLU or a GELU between them; a convolution, ReLU and pooling.

NOTE [Runs]
    One op takes the place of modules only if nobody could tell: no hook, no `forward` in the place of a module's own, no class of
    the user's, no watching for NaN. Of that, and of the parameters, everything may change without anybody being told. So all of
    it is asked at each call, which costs half a microsecond for two linear layers; only which modules there are is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from operator import is_
from typing import Any

from ..anomaly import is_anomaly_enabled
from ..core.dispatch import NOTHING
from ..core.graph import PACKAGE
from ..core.tensor import Tensor
from ..ops.activation import gelu, relu
from ..ops.conv_pool import at_once, conv_relu_pool
from ..ops.perceptron import layers_of, mlp
from .activation import GELU
from .conv import Conv2d
from .dropout import Dropout
from .hooks import Hookable
from .linear import Linear
from .module import Module
from .pooling import MaxPool2d
from .rectifiers import ReLU
from .registry import Registry

_GELUS = {"none": "gelu", "tanh": "gelu_tanh"}
_POOLED = (Conv2d, ReLU, MaxPool2d)
_FORWARD = {kind: kind.forward for kind in (Linear, GELU, Dropout, *_POOLED)}  # taken now: it may be replaced later


def _activation(module: Any) -> str | None:
    """The activation that a module, or a function, stands for; None for others."""
    if module.__class__ is ReLU or module is relu:
        return "relu"
    if module is gelu:
        return "gelu"
    return _GELUS.get(module.approximate) if module.__class__ is GELU else None


class Run:
    """Linear layers, and the modules for one activation between them; none if that is a function."""

    __slots__ = ("modules", "layers", "ask")

    def __init__(self, linears: Sequence[Module], between: Sequence[Module], activation: str):
        self.modules, self.layers = (*linears, *between), layers_of(activation, len(linears))
        self.ask = _asking(activation, len(linears), len(between))

    def __call__(self, x: Tensor) -> Tensor | None:
        """What they make of x; None if they are to be called one by one."""
        parameters = self.ask(*self.modules)
        return None if parameters is None else mlp(x, parameters, self.layers)


@cache
def _asking(activation: str, linears: int, between: int) -> Callable[..., tuple[Tensor, ...] | None]:
    """`ask(*modules)`, which gives the parameters, or None if modules are to be called one by one. See NOTE [Runs]. It is written
    out without loops, which would take twice as long."""
    count = linears + between
    wrong = [f"m{i}.__class__ is not {'Linear' if i < linears else 'Active'}" for i in range(count)]
    wrong += [f'"{name}" in d{i}' for i in range(count) for name in ("forward", "_hooked")]
    if activation != "relu":
        wrong += [f'd{i}["approximate"] != approximate' for i in range(linears, count)]
    lines = [f"d{i} = m{i}.__dict__" for i in range(count)]
    wrong += ["Linear.forward is not linear", "Active.forward is not active", "Hookable._hooked", "is_anomaly_enabled()"]
    lines += [f"if {' or '.join(wrong)}:", "    return None"]
    lines += [f'b{i} = d{i}["bias"]' for i in range(linears)]
    given = [f'd{i}["weight"], NOTHING if b{i} is None else b{i}' for i in range(linears)]
    lines.append(f"return {', '.join(given)}")
    text = f"def ask({', '.join(f'm{i}' for i in range(count))}):\n    try:\n        " + "\n        ".join(lines)
    text += "\n    except KeyError:\n        return None"  # a parameter was deleted: its module is to name it
    scope = {"Hookable": Hookable, "is_anomaly_enabled": is_anomaly_enabled, "NOTHING": NOTHING, "Linear": Linear}
    active = ReLU if activation == "relu" else GELU
    scope |= {"Active": active, "approximate": "tanh" if activation == "gelu_tanh" else "none"}
    scope |= {"linear": _FORWARD[Linear], "active": _FORWARD[active]}
    exec(compile(text, f"{PACKAGE}nn/<run>", "exec"), scope)
    return scope["ask"]


class Pooled:
    """A Conv2d, a ReLU and a MaxPool2d."""

    __slots__ = ("modules",)

    def __init__(self, modules: Sequence[Module]):
        self.modules = modules

    def __call__(self, x: Tensor) -> Tensor | None:
        """What they make of x; None if they are to be called one by one, or if that is as fast."""
        if Hookable._hooked or is_anomaly_enabled():
            return None
        for module, kind in zip(self.modules, _POOLED, strict=True):
            own = module.__dict__
            if module.__class__ is not kind or kind.forward is not _FORWARD[kind] or "forward" in own or "_hooked" in own:
                return None
        conv, _, pool = self.modules
        if pool.kernel_size not in (2, (2, 2)) or pool.stride not in (2, (2, 2)) or pool.padding not in (0, (0, 0)):
            return None
        if pool.dilation not in (1, (1, 1)) or pool.ceil_mode or pool.return_indices:
            return None
        if conv.stride != (1, 1) or conv.dilation != (1, 1) or conv.groups != 1 or conv.padding_mode != "zeros":
            return None
        if not at_once(x, conv.weight, conv.bias, conv.padding):
            return None
        return conv_relu_pool(x, conv.weight, conv.bias, conv.padding)


def known(owner: Module, find: Callable[[Any], Any]) -> Any:
    """`find(owner)`, found before unless the modules that `owner` consists of have changed."""
    registry = owner._modules
    if registry.__class__ is not Registry:  # somebody put another dict in its place
        return find(owner)
    kept = registry.known
    if not kept:
        kept = registry.known = []  # before anything is looked at: what another thread changes meanwhile drops this list
        kept.append(find(owner))
    return kept[0]


def parts_of(owner: Module) -> list[tuple[Run | Pooled | None, Sequence[Module]]]:
    """The modules of `owner`, parted into runs and what is none."""
    modules = list(owner._modules.values())
    parts: list[Any] = []
    i = 0
    while i < len(modules):
        if tuple([m.__class__ for m in modules[i : i + 3]]) == _POOLED:
            parts.append((Pooled(modules[i : i + 3]), modules[i : i + 3]))
            i += 3
            continue
        end, activation = i, None
        while end + 2 < len(modules) and modules[end].__class__ is Linear is modules[end + 2].__class__:
            between = _activation(modules[end + 1])
            if between is None or activation not in (None, between):
                break
            end, activation = end + 2, between
        part = modules[i : end + 1]
        parts.append((None if activation is None else Run(part[::2], part[1::2], activation), part))
        i = end + 1
    return parts


def _of_transformer(layer: Any) -> tuple[Sequence[Any], Run | None]:
    first, activation, second = parts = layer.linear1, layer.activation, layer.linear2
    name = _activation(activation)
    if name is None:
        return parts, None
    return parts, Run([first, second], [activation] if isinstance(activation, Module) else [], name)


def feed_forward(layer: Any, x: Tensor) -> Tensor:
    """The two linear layers of a transformer's layer, with its activation and its dropout between them."""
    dropout = layer.dropout
    drops = dropout.__class__ is not Dropout or (dropout.training and dropout.p) or Dropout.forward is not _FORWARD[Dropout]
    if not drops and "forward" not in dropout.__dict__ and not dropout._hooked:
        parts, run = known(layer, _of_transformer)
        if not all(map(is_, parts, (layer.linear1, layer.activation, layer.linear2))):
            run = _of_transformer(layer)[1]  # a function in the place of another is no change of its modules
        out = None if run is None else run(x)
        if out is not None:
            return out
    return layer.linear2(dropout(layer.activation(layer.linear1(x))))
