"""What the fused forward of an op may leave for backward that is more than an array or two: core.primitive NOTE [Residue].

NOTE [Kept outputs]
    The residues here hold the output of their op, which PyTorch does not keep, so that its programs write into it in whatever way
    they like: through a tensor that was detached, through another that shares its memory, through NumPy. So a residue is found
    by the memory of that output, in `kept`, for as long as it lives, and `core.graph.keep_apart` has it let the output go
    before it is written into, or handed out to where that would not be noted. Who writes into `Tensor.array` itself is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

kept: dict[int, weakref.ref] = {}  # id of the object that owns an output's memory -> what holds that output


class _Kept:
    __slots__ = ("__weakref__",)

    def _note(self, memory: Any) -> None:
        key = id(memory)
        kept[key] = weakref.ref(self, lambda _: kept.pop(key, None))


class Instead(_Kept):
    """`make(*arrays, *rest)` is the input that is not kept. `arrays` are others of the call, by `names`, that must not be written
    until then, first the output, in `memory`; `rest` is what was computed besides."""

    __slots__ = ("make", "names", "arrays", "rest")

    def __init__(self, make: Callable, names: tuple[str, ...], arrays: tuple[Any, ...], rest: tuple[Any, ...], memory: Any):
        self.make, self.names, self.arrays, self.rest = make, names, arrays, rest
        self._note(memory)

    def input(self) -> Any:
        """The input."""
        return self.make(*self.arrays, *self.rest)

    def part(self) -> None:
        """Hold a copy of the output in its place."""
        out, *others = self.arrays
        self.arrays = (out.copy(), *others)


class Unwritten(_Kept):
    """The output, in `memory`, that spares backward work as long as nobody writes into it; then None."""

    __slots__ = ("array",)

    def __init__(self, array: Any, memory: Any):
        self.array = array
        self._note(memory)

    def part(self) -> None:
        """Do without the output."""
        self.array = None
