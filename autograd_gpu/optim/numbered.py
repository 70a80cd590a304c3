"""Optimizers that keep numbers of each parameter beside the count of its steps, such as a product of momenta."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from ..core.tensor import Tensor
from .flat import Flat, FlatOptimizer


def single(value: float) -> float:
    """The float32 number next to `value`, which is what state_dict holds: training goes on from it as it would have."""
    return struct.unpack("f", struct.pack("f", value))[0]


class NumberedFlat(Flat):
    """A Flat whose parameters have numbers, given to the update after the arrays of the state. Parameters that have come to
    have different ones are updated apart."""

    def __init__(
        self,
        params: list[Tensor],
        states: list[dict[str, Any]],
        slots: tuple[str, ...],
        counts: list[int],
        first: dict[str, float],
        after: Callable[[tuple, int, dict], tuple],
    ):
        super().__init__(params, states, slots, counts, True)
        self.numbers = [tuple(float(state[n].array) if n in state else single(v) for n, v in first.items()) for state in states]
        self.after = after
        self.shown = [self.xp.zeros((len(params),), "float32") for _ in first]
        for i, state in enumerate(states):
            for name, array, value in zip(first, self.shown, self.numbers[i], strict=True):
                array[i] = value
                state[name] = Tensor(array[i : i + 1].reshape(()))
        self.uniform = self.uniform and len(set(self.numbers)) == 1

    def _with(self, apply: Callable, numbers: tuple) -> Callable:
        def applied(xp: Any, bucket: Any, gradients: list[Any], states: tuple, step: int, group: dict[str, Any]) -> None:
            apply(xp, bucket, gradients, (*states, *numbers), step, group)

        return applied

    def update_all(self, apply: Callable, group: dict, gradients: list[Any]) -> None:
        """Every parameter has a gradient, and they have equal numbers."""
        numbers = self.numbers[0]
        super().update_all(self._with(apply, numbers), group, gradients)
        numbers = self.after(numbers, self.counts[0], group)
        self.numbers = [numbers] * len(self.numbers)
        for array, value in zip(self.shown, numbers, strict=True):
            array.fill(value)

    def update_some(self, apply: Callable, group: dict, gradients: list[Any]) -> None:
        """Those of equal numbers together."""
        before = list(self.numbers)
        for numbers in sorted({n for n, g in zip(before, gradients, strict=True) if g is not None}):
            chosen = [g if n == numbers else None for n, g in zip(before, gradients, strict=True)]
            super().update_some(self._with(apply, numbers), group, chosen)
        for i, g in enumerate(gradients):
            if g is not None:
                self.numbers[i] = self.after(before[i], self.counts[i], group)
                for array, value in zip(self.shown, self.numbers[i], strict=True):
                    array[i] = value
        self.uniform = len(set(self.counts)) == 1 and len(set(self.numbers)) == 1


class NumberedOptimizer(FlatOptimizer):
    """A FlatOptimizer with numbers. A subclass defines, beside what that asks for,

    _first(group)                    the names of the numbers and what they begin as
    _after(numbers, step, group)     what they are after the step (a static method: a layout holds it, not the optimizer)"""

    def _flat(self, group: dict[str, Any], params: list[Tensor], states: list[dict], slots: tuple, counts: list[int]) -> Flat:
        return NumberedFlat(params, states, slots, counts, self._first(group), self._after)

    def _first(self, group: dict[str, Any]) -> dict[str, float]:
        raise NotImplementedError

    @staticmethod
    def _after(numbers: tuple, step: int, group: dict[str, Any]) -> tuple:
        raise NotImplementedError
