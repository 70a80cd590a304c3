"""Words for arrays as such: making, copying and converting them, and the memory they lie in."""

from __future__ import annotations

from typing import Any

import numpy as np

# the words that draw random numbers: each takes (seed, offset, ...), see the NOTE in backend.random
from ..random import integers as random_integers  # noqa: F401
from ..random import normal as random_normal  # noqa: F401
from ..random import open_uniform as random_open_uniform  # noqa: F401
from ..random import permutation as random_permutation  # noqa: F401
from ..random import uniform as random_uniform  # noqa: F401

asarray, copyto = np.asarray, np.copyto
zeros, ones, empty, full, arange = np.zeros, np.ones, np.empty, np.full, np.arange
zeros_like, ones_like = np.zeros_like, np.ones_like


def guarded(function: Any, name: str) -> Any:
    """`function` as the op `name` calls it: as it is."""
    return function


def device_of(array: Any) -> Any:
    """The device of every NumPy array."""
    from .. import CPU

    return CPU


def to_host(array: Any) -> Any:
    """The array as a NumPy array."""
    return array


def from_host(array: Any, device: Any) -> Any:
    """A NumPy array as an array of this vocabulary."""
    return array


def memory(x: Any) -> Any:
    """The array that owns the memory of x: the same one for all views of it."""
    owner, base = x, x.base
    while base is not None:
        if isinstance(base, np.ndarray):
            owner = base
        base = getattr(base, "base", None)
    return owner


def astype(x: Any, *, dtype: Any) -> Any:
    """A copy of x in another dtype."""
    return x.astype(dtype)


def clone(x: Any) -> Any:
    """A copy of x, its dimensions in the same order in memory."""
    return x.copy("K")


def move(x: Any, *, device: Any, source: Any) -> Any:
    """x copied to another device; `source` is the one it is on, for the way back."""
    from .. import move

    return move(x, device)


def tril(x: Any, *, diagonal: int = 0) -> Any:
    """x with zeros above a diagonal of its last two dimensions."""
    return np.tril(x, diagonal)


def triu(x: Any, *, diagonal: int = 0) -> Any:
    """x with zeros below a diagonal of its last two dimensions."""
    return np.triu(x, diagonal)
