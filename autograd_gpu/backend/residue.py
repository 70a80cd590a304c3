"""What the fused forward of an op may leave for backward that is more than an array or two: core.primitive NOTE [Residue]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Instead(NamedTuple):
    """`make(*arrays, *rest)` is the input that is not kept. `arrays` are others of the call, by `names`, that must not be written
    until then; `rest` is what was computed besides."""

    make: Callable
    names: tuple[str, ...]
    arrays: tuple[Any, ...]
    rest: tuple[Any, ...]

    def input(self) -> Any:
        """The input."""
        return self.make(*self.arrays, *self.rest)


class Unwritten(NamedTuple):
    """An array that spares backward work as long as nobody writes into it; if somebody has, the residue is None."""

    array: Any
