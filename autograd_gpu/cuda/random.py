"""Random numbers. One generator serves all devices: a seed gives the same numbers on each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.generator import default_generator as _default_generator
from ..ops.generator import get_rng_state as _get_rng_state
from ..ops.generator import set_rng_state as _set_rng_state
from .devices import device_count


def manual_seed(seed: int) -> None:
    """Go to the beginning of the stream of random numbers of `seed`: the same as `autograd_gpu.manual_seed`."""
    _default_generator.manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Choose a seed by chance."""
    _default_generator.seed()


seed_all = seed


def initial_seed() -> int:
    """The seed that random numbers are drawn with."""
    return _default_generator.initial_seed()


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of the generator, a tensor of bytes on the CPU."""
    return _get_rng_state()


def get_rng_state_all() -> list[Any]:
    """The state of the generator, in a list with an item for each device."""
    return [_get_rng_state() for _ in range(device_count())]


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Go where the generator was when `get_rng_state` gave `new_state`."""
    _set_rng_state(new_state)


def set_rng_state_all(new_states: Iterable[Any]) -> None:
    """Go where the generator was when `get_rng_state_all` gave `new_states`."""
    for state in new_states:
        _set_rng_state(state)
