"""The compile gate: every kernel for every architecture, with the registers, spills and occupancy that ptxas reports."""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path

import pytest

from . import build, cases, gate

pytestmark = pytest.mark.skipif(
    build.missing() is not None or importlib.util.find_spec("cupy") is None,
    reason=f"needs CuPy and NVIDIA's headers: {build.missing()}",
)

SPILLED = 16
"""Bytes that a thread may spill: ptxas does so now and then to fit one block more."""

SPILLED_DOUBLE = 64
OCCUPANCY = 0.5
"""At least this share of a multiprocessor's threads, at the launch bounds of the kernel, unless the table below says less."""

# attention and convolutions keep tiles in shared memory and in registers
LEAST = {"attention_forward": 0.12, "attention_backward_kv": 0.06, "attention_backward_q": 0.06}
LEAST |= {"conv_gather": 0.18, "conv_weight": 0.12}


def jobs() -> list[gate.Job]:
    """float32 for every architecture; bfloat16 for one that does not know it, too; all types for Hopper."""
    types = dict.fromkeys(gate.ARCHITECTURES, ("float",)) | {75: ("float", "bfloat_t"), 90: tuple(cases.TYPES)}
    found = []
    for file in cases.files():
        for architecture in gate.ARCHITECTURES:
            # a file without the type float has one type
            names = cases.names_of(file, types[architecture]) or cases.names_of(file)
            found.append(gate.Job(cases.KERNELS / file, architecture, names))
    return sorted(found, key=lambda job: -len(job.names))  # the long ones first


@functools.cache
def reports() -> list[gate.Report]:
    return gate.compile_all(jobs())


@functools.cache
def launch_bounds(path: Path) -> dict[str, int]:
    """The most threads of a block, by kernel."""
    text = path.read_text()
    macros = dict(re.findall(r"^#define (\w+) (\d+)$", text, re.MULTILINE))
    found = re.findall(r"__launch_bounds__\((\w+)\)\s+(?:void\s+)?(\w+)\s*\(", text)
    return {name: int(macros.get(bound, bound)) for bound, name in found}


def each() -> list[tuple[gate.Report, str, gate.Usage]]:
    return [(r, name, usage) for r in reports() for name, usage in r.kernels.items()]


def test_everything_compiles_without_a_warning() -> None:
    for report in reports():
        assert not report.error, f"{report.job.path.name} for sm_{report.job.architecture}:\n{report.error}"
        assert not report.warnings, report.warnings
        missing = set(report.job.names) - set(report.kernels)
        assert not missing, f"{report.job.path.name} for sm_{report.job.architecture}: no report of {missing}"


def test_no_spills() -> None:
    too_many = [
        f"sm_{report.job.architecture} {name}: {usage}"
        for report, name, usage in each()
        if max(usage.spill_loads, usage.spill_stores, usage.stack) > (SPILLED_DOUBLE if "double" in name else SPILLED)
    ]
    assert not too_many, "\n".join(too_many)


def test_occupancy() -> None:
    too_low = []
    for report, name, usage in each():
        kernel = name.split("<")[0]
        threads = launch_bounds(report.job.path)[kernel]
        occupancy = usage.occupancy(report.job.architecture, threads)
        if occupancy < LEAST.get(kernel, OCCUPANCY):
            too_low.append(f"sm_{report.job.architecture} {name}: {occupancy:.0%} at {threads} threads, {usage}")
    assert not too_low, "\n".join(too_low)


def test_shared_memory_fits_without_asking() -> None:
    assert all(usage.shared <= 48 << 10 for _, _, usage in each())


def test_log_is_understood() -> None:
    log = """ptxas info    : Compiling entry function '_Z1kPf' for 'sm_90'
ptxas info    : Function properties for _Z1kPf
    16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 16 bytes cumulative stack size, 2112 bytes smem, 360 bytes cmem[0]
ptxas info    : Compiling entry function '_Z1jPf' for 'sm_90'
ptxas info    : Used 12 registers, used 0 barriers"""
    assert gate.parse_log(log) == {"_Z1kPf": gate.Usage(40, 2112, 16, 8, 4, 1), "_Z1jPf": gate.Usage(12, 0, 0, 0, 0, 0)}


@pytest.mark.parametrize(
    ("registers", "shared", "architecture", "threads", "occupancy"),
    [
        (32, 0, 80, 256, 1.0),
        (40, 0, 80, 256, 0.75),
        (65, 0, 90, 256, 0.375),
        (255, 0, 75, 256, 0.25),
        (32, 48 << 10, 80, 128, 3 * 128 / 2048),
        (32, 0, 86, 32, 16 * 32 / 1536),
        (65, 0, 90, 1024, 0.0),
    ],
)
def test_occupancy_follows_the_tables(registers: int, shared: int, architecture: int, threads: int, occupancy: float) -> None:
    assert gate.Usage(registers, shared, 0, 0, 0, 0).occupancy(architecture, threads) == occupancy
