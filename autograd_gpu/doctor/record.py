"""What was collected, as plain data: no tensors, no modules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# op or module that saturates -> how far from zero its input is where its slope is below a twentieth of the steepest
SATURATES = {"sigmoid": 4.4, "tanh": 2.2, "hardtanh": 1.0, "hardsigmoid": 3.0, "softsign": 3.5}
DIES = {"relu", "relu6"}  # zero, and with no slope, for all inputs below zero
ACTIVATIONS = {*SATURATES, *DIES, "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus"}
INNER = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")  # modules that apply one weight many times


@dataclass(slots=True)
class Look:
    """What one look at a layer gave. `gradient`, `weight`, `update` and `square` are sums of squares; None: not looked at."""

    step: int
    gradient: Any = None  # of the gradients of its parameters; 0 where they got none
    weight: Any = None  # of some rows of its weight
    update: Any = None  # of how these rows changed in this step
    count: int = 0  # elements of its output that were looked at
    sum: Any = None
    square: Any = None
    idle: Any = None  # elements where its activation has no slope, or next to none


@dataclass
class Layer:
    """A part of the network that is looked at, and what was seen of it."""

    name: str
    kind: str  # the class of the module
    activation: str | None  # the activation that it is or that comes after it
    size: int  # elements of its parameters
    bytes: int = 4  # an element
    frozen: bool = False
    same: bool = False  # its units have the same weights, still at the last full look
    dead: float | None = None  # share of units that were zero for all that was seen
    units: int = 0
    looks: list[Look] = field(default_factory=list)


@dataclass
class Trouble:
    """The first number that is not finite: in which step, made by what, called where."""

    step: int
    phase: str  # "forward", "backward", "parameters", or "unknown"
    op: str | None = None
    place: str | None = None  # file:line of the user's code
    dtype: str | None = None
    detail: str = ""  # the name of a parameter


@dataclass
class Record:
    """All that was collected: layers in the order of their first call, plain numbers and strings."""

    layers: list[Layer]
    steps: int = 0
    lr: float | None = None
    input_mean: float | None = None
    input_std: float | None = None
    trouble: Trouble | None = None
