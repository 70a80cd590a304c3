"""Tensor's methods, operators and in-place forms: one table, filled from what each family of ops declares."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dispatch import OPERANDS, operand
from ..core.fast import fast
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
UNARY = {"neg": "neg", "pos": "positive", "abs": "abs", "invert": "bitwise_not"}


def _into(name: str) -> Any:
    return lambda xp, x: getattr(xp, name)(x, out=x)


# writes without a temporary where nothing is recorded
DIRECT = {
    "add": lambda xp, x, other: xp.add(x, other, out=x),
    "sub": lambda xp, x, other: xp.sub(x, other, out=x),
    "mul": lambda xp, x, other: xp.mul(x, other, out=x),
    "div": lambda xp, x, other: xp.div(x, other, out=x),
    "relu": lambda xp, x: xp.relu(x, out=x),
    **{n: _into(n) for n in ("neg", "abs", "exp", "log", "sqrt", "square", "tanh", "sin", "cos", "floor", "ceil", "trunc")},
}
DIRECT |= {"multiply": DIRECT["mul"], "divide": DIRECT["div"], "subtract": DIRECT["sub"], "true_divide": DIRECT["div"]}


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
    Tensor.where = lambda self, condition, other: functions["where"](condition, self, other)
    for operator, name in BINARY.items():
        if name in functions:
            function = getattr(words, name) if name in DIRECT else functions[name]
            setattr(Tensor, f"__{operator}__", fast(function.op, operand) if name in DIRECT else _or_not_implemented(function))
            setattr(Tensor, f"__r{operator}__", _exchanged(function))
            if name != "matmul":
                setattr(Tensor, f"__i{operator}__", in_place(function, f"__i{operator}__", DIRECT.get(name)))
    for operator, name in COMPARISONS.items():
        setattr(Tensor, f"__{operator}__", fast(getattr(words, name).op, _comparand))
    for operator, name in UNARY.items():
        setattr(Tensor, f"__{operator}__", functions[name])


def _or_not_implemented(function: Any) -> Any:
    def operator(x: Tensor, other: Any) -> Any:
        return function(x, other) if isinstance(other, OPERANDS) else NotImplemented

    return operator


def _comparand(op: Any, inputs: Any, keywords: Any) -> Any:
    x, other = inputs
    if other.__class__ is np.ndarray:  # or `array == tensor` would be False, for Python then compares identities
        other = Tensor(other)
    return operand(op, (x, other), keywords)


def _exchanged(function: Any) -> Any:
    def reflected(x: Tensor, other: Any) -> Any:
        return function(other, x) if isinstance(other, OPERANDS) else NotImplemented

    return reflected


_attach()
