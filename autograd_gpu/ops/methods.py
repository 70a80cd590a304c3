"""Tensor's methods, operators and in-place forms: one table, filled from what each family of ops declares."""

from __future__ import annotations

from typing import Any

from ..core.graph import words
from ..core.inplace import in_place
from ..core.tensor import Tensor
from . import FAMILIES

# operator -> (word, the operator with the operands exchanged, in-place form)
BINARY = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}
COMPARISONS = {"eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge"}
UNARY = {"neg": "neg", "abs": "abs", "invert": "bitwise_not"}

# writes without a temporary where nothing is recorded
DIRECT = {
    "add": lambda xp, x, other: xp.add(x, other, out=x),
    "sub": lambda xp, x, other: xp.sub(x, other, out=x),
    "mul": lambda xp, x, other: xp.mul(x, other, out=x),
    "div": lambda xp, x, other: xp.div(x, other, out=x),
}


def _attach() -> None:
    functions = {name: getattr(family, name) for family in FAMILIES for name in family.__all__}
    for family in FAMILIES:
        for name in family.METHODS:
            if name not in vars(Tensor):
                setattr(Tensor, name, getattr(family, name))
        for name in getattr(family, "PROPERTIES", ()):
            if name not in vars(Tensor):
                setattr(Tensor, name, property(getattr(family, name)))
        for name in family.IN_PLACE:
            if name + "_" not in vars(Tensor):
                setattr(Tensor, name + "_", in_place(getattr(family, name), direct=DIRECT.get(name)))
    for operator, name in BINARY.items():
        if name in functions:
            setattr(Tensor, f"__{operator}__", _or_not_implemented(functions[name]))
            setattr(Tensor, f"__r{operator}__", _exchanged(functions[name]))
            if name in ("add", "sub", "mul", "div", "floor_divide", "remainder", "pow", "bitwise_and", "bitwise_or", "bitwise_xor"):
                setattr(Tensor, f"__i{operator}__", in_place(functions[name], direct=DIRECT.get(name)))
    for operator, name in {**COMPARISONS, **UNARY}.items():
        if name in functions:
            setattr(Tensor, f"__{operator}__", functions[name])


def _or_not_implemented(function: Any) -> Any:
    return function


def _exchanged(function: Any) -> Any:
    def reflected(x: Tensor, other: Any) -> Any:
        return function(other, x)

    return reflected


_attach()
