"""What the CPU refuses after a look at the data is refused here too with AUTOGRAD_GPU_LAUNCH_BLOCKING=1: classes and rows that
do not exist. (Indices are looked at in `indexing`.) A look waits for the device, so it is not paid for otherwise."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

__all__: list[str] = []


def _look_at_classes(input: Any, target: Any, ignore_index: int = -100, **options: Any) -> None:
    wrong = ((target < 0) | (target >= input.shape[1])) & (target != ignore_index)
    if target.size and bool(wrong.any()):
        raise IndexError(f"Target {int(target[wrong][0])} is out of bounds.")


def _look_at_rows(weight: Any, index: Any, **options: Any) -> None:
    wrong = (index < 0) | (index >= len(weight))
    if index.size and bool(wrong.any()):
        raise IndexError(f"index out of range in self: row {int(index[wrong][0])} of a table with {len(weight)} rows")


_LOOKS = {
    "cross_entropy": _look_at_classes,
    "embedding": _look_at_rows,
    "nll_loss": _look_at_classes,
    "smoothed_cross_entropy": _look_at_classes,
}


def _declines(*args: Any, **options: Any) -> Any:
    return NotImplemented


def looking(fused: dict[str, tuple]) -> dict[str, tuple]:
    """A table like FUSED with forwards that look before they compute, or decline."""

    def looked(name: str, look: Callable) -> tuple:
        forward, backward = fused.get(name, (_declines, None))

        @wraps(forward)
        def call(*args: Any, **options: Any) -> Any:
            look(*args, **options)
            return forward(*args, **options)

        return call, backward

    return fused | {name: looked(name, look) for name, look in _LOOKS.items()}
