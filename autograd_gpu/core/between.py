"""What stands between those who call for a backward and the engine that runs it.

NOTE [Getting between]
    Anomaly detection, the doctor and autocast want to see each backward, or to run it in a way of their own. For them there is
    one slot, which the engine's `run` looks at first: it is empty, and then nothing else is asked or called, unless somebody
    has called `surround`.
    1. `surround(around)`: from now on each backward is a call of what `around(run)` gave, where `run` is the backward itself, or
       the next one in between. Both take (roots, retain, create, only, catch), of which the last two may be left out.
    2. Who comes later stands outside, unless it asks for the place next to the engine.
    3. `quiet`, which may be given with it, is a list of two numbers: so many backwards of the thread with that number need no
       call. If nobody else is in between, the engine counts them down by itself, which is all that they then cost. If there
       are others, each backward is a call, and the number is left as it is.
    4. `release(around)` undoes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

Around = Callable[[Callable], Callable]


class Slot:
    """What the engine looks at."""

    __slots__ = ("call", "quiet")

    def __init__(self) -> None:
        self.call: Callable | None = None  # in place of each backward
        self.quiet = _never


_never = [0, 0]
slot = Slot()
_present: list[tuple[Around, list[int]]] = []  # from the innermost to the outermost
_engine: list[Callable] = []  # the backward itself, as the engine has it
_lock = threading.Lock()


def begin(run: Callable) -> None:
    """This is the backward itself: said by the engine, once."""
    _engine[:] = [run]


def surround(around: Around, quiet: list[int] | None = None, innermost: bool = False) -> None:
    """See NOTE [Getting between]."""
    with _lock:
        _present.insert(0 if innermost else len(_present), (around, _never if quiet is None else quiet))
        _rebuild()


def release(around: Around) -> None:
    """Undo `surround`."""
    with _lock:
        place = max(i for i, (other, _) in enumerate(_present) if other == around)
        del _present[place]
        _rebuild()


def _rebuild() -> None:
    run = _engine[0]
    slot.quiet = _never
    for around, _ in _present:
        run = around(run)
    slot.call = run if _present else None
    if len(_present) == 1:
        slot.quiet = _present[0][1]
