"""The memory of the emulated devices: who owns an address, how much is used, which host memory is pinned."""

from __future__ import annotations

import bisect
import ctypes
from dataclasses import dataclass

from .array import runtime
from .errors import Error, fail


@dataclass(frozen=True, slots=True)
class Allocation:
    """Device memory: `size` bytes from `address` on device `ordinal`."""

    address: int
    size: int
    ordinal: int


class Memory:
    """Device memory with a capacity, in bytes for each device, and the host memory that is pinned.

    The bytes lie in the arena of the kernels' runtime, where each allocation ends at an unreadable page, no address is ever given
    out twice, and new memory holds a pattern that is a NaN: what a kernel must not touch, it cannot touch unnoticed.
    """

    def __init__(self, devices: int, capacity: int) -> None:
        self.capacity = capacity
        self.used = [0] * devices
        self.peak = [0] * devices
        self._allocations: dict[int, Allocation] = {}
        self._addresses: list[int] = []  # sorted
        self._pinned: dict[int, tuple[int, object]] = {}  # address -> bytes, what keeps them alive

    def allocate(self, size: int, ordinal: int) -> int:
        """Address of `size` new bytes; cudaErrorMemoryAllocation if they do not fit."""
        if self.used[ordinal] + size > self.capacity:
            fail(Error.OUT_OF_MEMORY, f"{size} bytes asked for, {self.used[ordinal]} of {self.capacity} in use")
        address = runtime().emu_malloc(size)
        if not address:
            fail(Error.OUT_OF_MEMORY, "the arena of the emulated device is used up")
        self._allocations[address] = Allocation(address, size, ordinal)
        bisect.insort(self._addresses, address)
        self.used[ordinal] += size
        self.peak[ordinal] = max(self.peak[ordinal], self.used[ordinal])
        return address

    def release(self, address: int) -> str | None:
        """Free an allocation. Returns a complaint if someone wrote beside it, where no checker was looking."""
        allocation = self._allocations.pop(address, None)
        if allocation is None:
            fail(Error.INVALID_VALUE, f"{address:#x} was not allocated, or is freed already")
        del self._addresses[bisect.bisect_left(self._addresses, address)]
        self.used[allocation.ordinal] -= allocation.size
        if runtime().emu_free(address) == 1:
            return f"OUT OF BOUNDS: someone wrote beside an allocation of {allocation.size} bytes (found when it was freed)"
        return None

    def owner(self, address: int) -> Allocation | None:
        """The allocation that holds `address`, or None: not device memory."""
        i = bisect.bisect_right(self._addresses, address) - 1
        if i < 0:
            return None
        allocation = self._allocations[self._addresses[i]]
        return allocation if address < allocation.address + max(1, allocation.size) else None

    def require(self, address: int, size: int, what: str) -> Allocation:
        """The allocation that holds all `size` bytes from `address`; cudaErrorInvalidValue if there is none."""
        allocation = self.owner(address)
        if allocation is None or address + size > allocation.address + allocation.size:
            fail(Error.INVALID_VALUE, f"{what}: {size} bytes at {address:#x} are not (all) inside one allocation of a device")
        return allocation

    def allocate_pinned(self, size: int) -> int:
        """Address of `size` new bytes of page-locked host memory."""
        block = ctypes.create_string_buffer(size + 64)
        address = (ctypes.addressof(block) + 63) & ~63
        self._pinned[address] = (size, block)
        return address

    def pin(self, address: int, size: int) -> None:
        """Count existing host memory as page-locked."""
        self._pinned[address] = (size, None)

    def unpin(self, address: int) -> None:
        self._pinned.pop(address, None)

    def is_pinned(self, address: int, size: int) -> bool:
        return any(start <= address and address + size <= start + length for start, (length, _) in self._pinned.items())
