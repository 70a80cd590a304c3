"""Where random numbers come from: a Generator is a seed and a position in the stream that backend.random defines."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import backend
from ..backend.random import positions
from ..core.tensor import Tensor
from .create import place_of

__all__ = [
    "Generator",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


class Generator:
    """A stream of random numbers, at a position. Draws with two generators of one seed give the same numbers, on any device.

    >>> import autograd_gpu as ag
    >>> g = ag.Generator().manual_seed(1)
    >>> first = ag.rand(3, generator=g)
    >>> ag.equal(first, ag.rand(3, generator=g.manual_seed(1)))
    True
    """

    def __init__(self, device: Any = "cpu"):
        self._device = place_of(device)
        self._lock = threading.Lock()
        self._seed = 67280421310721  # PyTorch's
        self._offset = 0

    @property
    def device(self) -> backend.Device:
        """The device that the generator was made for. The numbers do not depend on it."""
        return self._device

    def manual_seed(self, seed: int) -> Generator:
        """Go to the beginning of the stream of `seed`, an int of at most 64 bits. Returns the generator."""
        seed = int(seed)
        if not -(1 << 63) <= seed < 1 << 64:
            raise RuntimeError(f"Overflow when unpacking long long: a seed has at most 64 bits, and {seed} has more")
        with self._lock:
            self._seed, self._offset = seed % (1 << 64), 0
        return self

    def seed(self) -> int:
        """Go to the beginning of the stream of a seed that cannot be foreseen, and return it."""
        return self.manual_seed(secrets.randbits(64)).initial_seed()

    def initial_seed(self) -> int:
        """The seed."""
        return self._seed

    def get_state(self) -> Tensor:
        """Seed and position, as 16 bytes (uint8)."""
        with self._lock:
            state = np.array([self._seed, self._offset], "<u8")
        return Tensor(state.view(np.uint8))

    def set_state(self, new_state: Tensor) -> None:
        """Go where `get_state` was called.

        Raises TypeError or RuntimeError for what it did not return."""
        if not isinstance(new_state, Tensor) or new_state.array.dtype != np.uint8:
            raise TypeError("expected a uint8 tensor, as get_state returns")
        if new_state.array.size != 16:
            raise RuntimeError(f"RNG state is wrong size: {new_state.array.size} bytes where 16 are expected")
        host = backend.of(new_state.array.__class__).to_host(new_state.array)
        seed, offset = np.frombuffer(host.tobytes(), "<u8").tolist()
        with self._lock:
            self._seed, self._offset = seed, offset

    def take(self, n: int, dtype: Any) -> tuple[int, int]:
        """(seed, offset) for a draw of n numbers of a dtype, and move past it. See backend.random NOTE, rules 1 and 2."""
        used = positions(n, dtype)
        with self._lock:
            offset = self._offset
            if used == 2 * n:
                offset += offset & 1
            self._offset = offset + used
            return self._seed, offset

    def __getstate__(self) -> tuple:
        return str(self._device), self._seed, self._offset

    def __setstate__(self, state: tuple) -> None:
        self.__init__(state[0])
        _, self._seed, self._offset = state


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the default stream of random numbers over, for all devices. Returns the default generator.

    >>> import autograd_gpu as ag
    >>> _ = ag.manual_seed(0)
    >>> ag.initial_seed()
    0
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Give the default generator a seed that cannot be foreseen, and return it.

    >>> import autograd_gpu as ag
    >>> ag.seed() == ag.initial_seed()
    True
    """
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator.

    >>> import autograd_gpu as ag
    >>> _ = ag.manual_seed(7)
    >>> ag.initial_seed()
    7
    """
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator, 16 bytes (uint8).

    >>> import autograd_gpu as ag
    >>> _ = ag.manual_seed(7)
    >>> ag.get_rng_state()
    tensor([7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], dtype=autograd_gpu.uint8)
    """
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Set the state of the default generator to one that `get_rng_state` returned.

    Raises TypeError or RuntimeError for anything else.

    >>> import autograd_gpu as ag
    >>> state = ag.get_rng_state()
    >>> first = ag.rand(3)
    >>> ag.set_rng_state(state)
    >>> ag.equal(first, ag.rand(3))
    True
    """
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices: Sequence[Any] | None = None, enabled: bool = True, device_type: str = "cuda") -> Iterator[None]:
    """Inside the `with` block random numbers are drawn as usual; after it the default stream goes on as if none were.

    One generator serves all devices, so `devices` and `device_type` are accepted and do nothing.

    >>> import autograd_gpu as ag
    >>> with ag.fork_rng():
    ...     inside = ag.rand(3)
    >>> ag.equal(inside, ag.rand(3))
    True
    """
    state = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if state is not None:
            set_rng_state(state)
