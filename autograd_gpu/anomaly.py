"""Where numbers stop being finite: which op, and which line called it. Costs nothing until it is turned on.

NOTE [Seeing what is computed]
    What sees each backward stands between the engine and its callers (core.between.NOTE [Getting between]). What a backward
    begins at goes by `engine._root`, and is noted there while `note` asks for it. To see what each
    rule gives, the nodes of the graph get a `_Checked` plan for the time of one backward, which the engine runs as it runs any.
    To see what each op gives, the functions that compute (core.op.Lane) are exchanged for others that look at the result. So
    neither ops nor engine know of any of this.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType
from typing import Any

import numpy as np

from . import backend
from .core import engine
from .core.between import release, surround
from .core.format import grad_fn_name
from .core.graph import Node, outside, where, words
from .core.tensor import Tensor

__all__ = ["detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_detect_anomaly"]

plain_root = engine._root
_noted = threading.local()  # .outputs: what the backward of this thread begins at, weakly
_readers = [0]  # how many want to know
_lock = threading.Lock()


def note(wanted: bool) -> None:
    """From now on, if it is wanted, `began_at` can be asked; to be called with False as many times as with True."""
    with _lock:
        _readers[0] += 1 if wanted else -1
        engine._root = _noting if _readers[0] else plain_root


def _noting(i: int, t: Tensor, *rest: Any) -> Any:
    if not i:
        _noted.outputs = []
    _noted.outputs.append(weakref.ref(t))
    return plain_root(i, t, *rest)


def began_at() -> list[Any]:
    """The arrays of the tensors that the present backward, of this thread, was called for."""
    return [t.array for t in [known() for known in getattr(_noted, "outputs", ())] if t is not None]


def is_finite(array: Any) -> bool:
    """Whether an array has neither NaN nor infinity; integers never have."""
    xp = backend.of(array.__class__)
    return array.dtype.kind not in "fVc" or bool(xp.isfinite(array).all())


def has_nan(array: Any) -> bool:
    """Whether there is NaN in an array."""
    return bool((array != array).any())


# -- backward ----------------------------------------------------------------------------------------------------------------


def nodes_below(roots: Sequence[Any]) -> list[Node]:
    """All recorded calls that `roots` were computed from, oldest first."""
    seen: dict[int, Any] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.number not in seen:
            seen[node.number] = node
            stack.extend(node.edges)
    return [seen[number] for number in sorted(seen) if isinstance(seen[number], Node)]


class _Checked:
    """Takes the place of the plan of one node, and shows what its rules give to `see(node, gradients)`."""

    rule = None

    def __init__(self, node: Node, see: Callable[[Node, Sequence[Any]], None]):
        self.node, self.plan, self.see = node, node.plan, see

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plan, name)

    def pull(self, xp: Any, g: Any, *saved: Any) -> Any:
        grads = self.plan.pull(xp, g, *saved)
        self.see(self.node, grads)
        return grads

    def pull_only(self, xp: Any, g: Any, saved: Sequence[Any], wanted: Sequence[bool]) -> Any:
        grads = self.plan.pull_only(xp, g, saved, wanted)
        self.see(self.node, grads)
        return grads


def run_checked(run: Callable, see: Callable[[Node, Sequence[Any]], None], roots: list, *options: Any) -> Any:
    """A backward, `run(roots, *options)`, in which the gradients that each node gives are shown to `see`."""
    nodes = nodes_below([node for node, _ in roots])
    plans = [node.plan for node in nodes]
    for node in nodes:
        node.plan = _Checked(node, see)
    try:
        return run(roots, *options)
    finally:
        for node, plan in zip(nodes, plans, strict=True):
            node.plan = plan


def _refuse_nan(node: Node, grads: Sequence[Any]) -> None:
    for i, g in enumerate(grads):
        if g is not None and has_nan(g.array if isinstance(g, Tensor) else g):
            name, place = grad_fn_name(node.name()), where(node.place)
            raise RuntimeError(f"Function '{name}' returned nan values in its {i}th output. It was called at {place}")


# -- forward -----------------------------------------------------------------------------------------------------------------


@contextmanager
def each_output(see: Callable[[str, tuple[CodeType, int], Sequence[Any], Any], None]) -> Iterator[None]:
    """Within it, `see(op, place, inputs, output)` is called with the arrays of each op that is computed, in any thread."""
    exchanged = []
    for call in vars(words).values():
        op = getattr(call, "op", None)
        if op is None:
            continue
        op.lanes[np.ndarray]  # made now if it was not yet, so that none comes in between
        for lane in op.lanes.values():
            computing = {name: getattr(lane, name) for name in ("quick", "plain", "forward")}
            exchanged.append((lane, computing))
            for name, function in computing.items():
                setattr(lane, name, _shown(op.name, function, see))
    try:
        yield
    finally:
        for lane, computing in exchanged:
            for name, function in computing.items():
                setattr(lane, name, function)


def _shown(name: str, compute: Callable, see: Callable) -> Callable:
    def call(*inputs: Any, **keywords: Any) -> Any:
        out = compute(*inputs, **keywords)
        if out is not NotImplemented:
            frame = outside(sys._getframe(1))
            see(name, (frame.f_code, frame.f_lasti), inputs, out)
        return out

    return call


# -- PyTorch's face ----------------------------------------------------------------------------------------------------------

_state = [False, True]  # is it on, does it look for NaN


def _detecting(run: Callable) -> Callable:
    def detecting(roots: list, *options: Any) -> Any:
        return run_checked(run, _refuse_nan, roots, *options) if _state[1] else run(roots, *options)

    return detecting


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on.

    >>> import autograd_gpu as ag
    >>> with ag.autograd.detect_anomaly():
    ...     ag.is_anomaly_enabled()
    True
    """
    return _state[0]


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly detection, if it is on, looks for NaN.

    >>> import autograd_gpu as ag
    >>> ag.is_anomaly_check_nan_enabled()
    True
    """
    return _state[1]


class set_detect_anomaly:  # noqa: N801 (PyTorch's name)
    """Turn anomaly detection on or off, at once; as a context manager, turn it back at the end. See `detect_anomaly`.

    >>> import autograd_gpu as ag
    >>> with ag.autograd.set_detect_anomaly(True):
    ...     ag.is_anomaly_enabled()
    True
    >>> ag.is_anomaly_enabled()
    False
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = list(_state)
        self._set(bool(mode), check_nan)

    @staticmethod
    def _set(mode: bool, check_nan: bool) -> None:
        if mode != _state[0]:
            (surround if mode else release)(_detecting)
        _state[:] = [mode, check_nan]

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        self._set(*self._before)


class detect_anomaly:  # noqa: N801 (PyTorch's name)
    """Within it a backward whose rules give NaN raises RuntimeError, which names the op and the line that called it. In all
    threads; for looking for errors, for it costs time.

    check_nan   look for NaN

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([0.0, 4.0], requires_grad=True)
    >>> with ag.autograd.detect_anomaly():  # doctest: +ELLIPSIS
    ...     (x.sqrt() * x).sum().backward()
    Traceback (most recent call last):
    RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output. It was called at ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        self._entered: list[set_detect_anomaly] = []

    def __enter__(self) -> None:
        self._entered.append(set_detect_anomaly(True, self.check_nan))

    def __exit__(self, *exc: Any) -> None:
        self._entered.pop().__exit__(*exc)
