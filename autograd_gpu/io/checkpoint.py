"""Checkpoints: all that a training run needs to go on as if it had not stopped, bit for bit.

NOTE [What a checkpoint holds]
    Of each object its state: `state_dict()` of models, optimizers, schedulers, scalers and DataLoaders, `get_state()` of
    Generators; numbers, strings, tensors and nested dicts and lists of them stand for themselves. And the state of the random
    numbers of this package, of Python's `random` and of NumPy's old functions, under the name "random".
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops.generator import Generator, get_rng_state, set_rng_state
from .files import WEIGHTS, load, save

if TYPE_CHECKING:
    from pathlib import Path

RANDOM = "random"


def random_state() -> dict[str, Any]:
    """The state of all random numbers: of this package, of Python's `random` and of NumPy's old functions.

    >>> import autograd_gpu as ag
    >>> state = ag.io.random_state()
    >>> first = ag.rand(3)
    >>> ag.io.set_random_state(state)
    >>> ag.equal(first, ag.rand(3))
    True
    """
    version, words, normal = random.getstate()
    _, key, position, has_normal, cached = np.random.get_state()
    return {
        "autograd_gpu": get_rng_state(),
        "python": {"version": version, "words": np.array(words, np.uint32), "normal": normal},
        "numpy": {"key": key, "position": position, "has_normal": has_normal, "normal": cached},
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Go where `random_state` was called.

    >>> import autograd_gpu as ag
    >>> ag.io.set_random_state(ag.io.random_state())
    """
    set_rng_state(state["autograd_gpu"])
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["normal"]))
    np.random.set_state(("MT19937", numpy["key"], numpy["position"], numpy["has_normal"], numpy["normal"]))


def _state_of(value: Any) -> Any:
    if isinstance(value, Generator):
        return value.get_state()
    if callable(getattr(value, "state_dict", None)):
        return value.state_dict()
    return value


def save_checkpoint(path: str | os.PathLike, metadata: Mapping[str, str] | None = None, **parts: Any) -> Path:
    """Write the state of the given objects, the given values and the state of the random numbers to an npz archive, whatever its
    name. A file of that name is replaced only once the new one is complete. Returns the path.

    >>> import autograd_gpu as ag
    >>> import os, tempfile
    >>> model = ag.nn.Linear(2, 1)
    >>> optimizer = ag.optim.Adam(model.parameters())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = ag.io.save_checkpoint(os.path.join(folder, "run.npz"), model=model, optimizer=optimizer, epoch=3)
    ...     found = ag.io.load_checkpoint(path, model=model, optimizer=optimizer)
    >>> found
    {'epoch': 3}
    """
    if RANDOM in parts:
        raise TypeError(f"the name {RANDOM!r} is that of the state of the random numbers: choose another one")
    if os.fspath(path).endswith(WEIGHTS):
        raise ValueError(f"a checkpoint is an npz archive: {os.fspath(path)} should end in .npz, or in another way")
    held = {name: _state_of(value) for name, value in parts.items()}
    return save({**held, RANDOM: random_state()}, path, metadata)


def load_checkpoint(path: str | os.PathLike, map_location: Any = "cpu", **objects: Any) -> dict[str, Any]:
    """Put the given objects and the random numbers in the state that `save_checkpoint` wrote under the same names. Returns what
    else the file holds.

    Raises KeyError, before anything is changed, if the file has no state of that name."""
    found = load(path, map_location)
    if not isinstance(found, dict) or RANDOM not in found:
        raise ValueError(f"{os.fspath(path)} is no checkpoint: it was not written by save_checkpoint. Use load() for it")
    missing = [name for name in objects if name not in found]
    if missing:
        raise KeyError(f"{os.fspath(path)} holds no state of {missing}: it has {sorted(set(found) - {RANDOM})}")
    for name, value in objects.items():
        if not isinstance(value, Generator) and not callable(getattr(value, "load_state_dict", None)):
            raise TypeError(f"{name} cannot be loaded into: a {type(value).__name__} has no load_state_dict")
    for name, value in objects.items():
        state = found.pop(name)
        if isinstance(value, Generator):
            value.set_state(state)
        else:
            value.load_state_dict(state)
    set_random_state(found.pop(RANDOM))
    return found
