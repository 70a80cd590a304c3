"""How well a kernel's accesses to memory fit together: what runtime/profile.cpp counted, by kernel.

A card moves global memory in sectors of 32 bytes, and serves the 32 banks of shared memory side by side. `Traffic` says how many
sectors and wavefronts the launches of a kernel took, and how few would have done for the same bytes. Caches are not looked at:
two requests for one sector count twice.
"""

from __future__ import annotations

import atexit
from dataclasses import dataclass

from . import emulated_device, kernel


@dataclass
class Traffic:
    """Totals of the launches of a kernel: [moved, least] of what is read and written globally, and of shared memory."""

    launches: int = 0
    read: tuple[int, int] = (0, 0)
    written: tuple[int, int] = (0, 0)
    shared: tuple[int, int] = (0, 0)

    @property
    def coalesced(self) -> float:
        """How much of what global memory moved was needed: 1 if no sector was moved for a part of it."""
        return _share(self.read[0] + self.written[0], self.read[1] + self.written[1])

    @property
    def without_conflict(self) -> float:
        """How much of the time for shared memory was needed: 1 if no words met in a bank."""
        return _share(*self.shared)


def _share(moved: int, least: int) -> float:
    return least / moved if moved else 1.0


def note(traffic: dict[str, Traffic], name: str) -> None:
    """Add the last launch, which was of the kernel `name`."""
    total = traffic.setdefault(name, Traffic())
    total.launches += 1
    for row in kernel.profile():
        field = "shared" if row.shared else "written" if row.write else "read"
        moved, least = getattr(total, field)
        setattr(total, field, (moved + row.moved, least + row.least))


def table(traffic: dict[str, Traffic]) -> str:
    """The totals as text, the worst first."""
    lines = [f"{'launches':>8} {'read':>10} {'written':>10} {'coalesced':>9} {'shared':>10} {'no conflict':>11}  kernel"]
    for name, t in sorted(traffic.items(), key=lambda item: item[1].coalesced):
        moved = f"{t.launches:8} {t.read[0]:10} {t.written[0]:10} {t.coalesced:9.1%}"
        lines.append(f"{moved} {t.shared[0]:10} {t.without_conflict:11.1%}  {name}")
    return "\n".join([*lines, "read, written: sectors of 32 bytes; shared: wavefronts"])


def at_exit() -> None:
    """Profile the device from now on, and print the table when the process ends."""
    device = emulated_device()
    device.checked = device.profiled = True
    atexit.register(lambda: print(table(device.traffic)))
