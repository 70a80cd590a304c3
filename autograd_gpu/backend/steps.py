"""The steps of recurrent layers, for words of every kind of array: `np` below is NumPy or CuPy.

`sizes` says how many sequences each step has, in the order in which steps are taken. They never grow in time, so that with
`reverse` they never shrink: sequences begin instead of ending."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any


def sizes_of(x: Any, sizes: Sequence[int] | None, reverse: bool) -> Sequence[int]:
    """The sizes for an input (T, B, I), or for one of rows from its sizes in time."""
    if sizes is None:
        return (x.shape[1],) * x.shape[0]
    return sizes[::-1] if reverse else sizes


def steps_of(a: Any, sizes: Sequence[int], reverse: bool) -> list[Any]:
    """The rows of each step, in the order in which they are taken; `a` may have a dimension for steps."""
    n = sizes[0]
    if a.ndim == 3:
        return list(a[::-1] if reverse else a)
    if n == sizes[-1]:
        a = a.reshape(len(sizes), n, a.shape[1])
        return list(a[::-1] if reverse else a)
    in_time = sizes[::-1] if reverse else sizes
    steps = [a[end - n : end] for end, n in zip(accumulate(in_time), in_time, strict=True)]
    return steps[::-1] if reverse else steps


def ends(np: Any, steps: Sequence[Any], sizes: Sequence[int]) -> Any:
    """The state after the last step of each sequence."""
    out = np.empty((max(sizes), steps[0].shape[1]), steps[0].dtype)
    for a, n, after in zip(steps, sizes, (*sizes[1:], 0), strict=True):
        if after < n:
            out[after:n] = a[after:]
    return out


def following(np: Any, state: Any, start: Any, after: int) -> Any:
    """The state for a step of `after` sequences: those that end are left out, those that begin have `start`, or zeros."""
    n = len(state)
    if after <= n:
        return state[:after]
    more = np.zeros((after - n, state.shape[1]), state.dtype) if start is None else start[n:after]
    return np.concatenate((state, more))


def before(np: Any, steps: Sequence[Any], start: Any, sizes: Sequence[int]) -> list[Any]:
    """The state before each step, None for zeros before the first."""
    first = None if start is None else start[: sizes[0]]
    return [first, *[following(np, a, start, after) for a, after in zip(steps, sizes[1:])]]  # noqa: B905 (the last has no next)


def rows_before(np: Any, steps: Sequence[Any], start: Any, sizes: Sequence[int], reverse: bool) -> Any:
    """The states before all steps, as the rows of the steps lie in memory."""
    states = before(np, steps, start, sizes)
    if start is None:
        states[0] = np.zeros_like(steps[0])
    return np.concatenate(states[::-1] if reverse else states)


def added(a: Any, b: Any) -> Any:
    """a + b, where either may be None."""
    return b if a is None else a if b is None else a + b
