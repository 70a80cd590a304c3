"""The compile gate: what NVIDIA's compiler makes of a kernel for each architecture, without a GPU.

NVRTC compiles to machine code with CuPy's own options; ptxas reports registers, shared memory, stack, spills and barriers in the
program log, and the occupancy follows from the limits of each architecture. `compile_all` works in processes: NVRTC in threads of
one process waits for itself.
"""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import VARIABLE
from .build import cccl_include, cuda_include


@dataclass(frozen=True)
class Limits:
    """Of one multiprocessor. CUDA C++ Programming Guide, "Technical Specifications per Compute Capability"."""

    threads: int
    blocks: int
    shared: int
    registers: int = 65536
    reserved_shared: int = 1024  # that the system takes for each block


ARCHITECTURES = {
    75: Limits(1024, 16, 64 << 10, reserved_shared=0),
    80: Limits(2048, 32, 164 << 10),
    86: Limits(1536, 16, 100 << 10),
    89: Limits(1536, 24, 100 << 10),
    90: Limits(2048, 32, 228 << 10),
    100: Limits(2048, 32, 228 << 10),
    120: Limits(1536, 24, 100 << 10),
}


@dataclass(frozen=True)
class Usage:
    """What ptxas says of a kernel: registers of a thread, and bytes of a block (shared) or of a thread (the rest)."""

    registers: int
    shared: int
    stack: int
    spill_stores: int
    spill_loads: int
    barriers: int

    def occupancy(self, architecture: int, threads: int, dynamic_shared: int = 0) -> float:
        """The share of a multiprocessor's threads that blocks of so many can fill."""
        limits = ARCHITECTURES[architecture]
        warps = -(-threads // 32)
        blocks = min(limits.blocks, limits.threads // 32 // warps)
        registers_of_warp = -(-self.registers * 32 // 256) * 256
        if registers_of_warp:
            warps_of_quarter = limits.registers // 4 // registers_of_warp
            blocks = min(blocks, 4 * warps_of_quarter // warps)
        shared = self.shared + dynamic_shared + limits.reserved_shared
        if shared:
            blocks = min(blocks, limits.shared // shared)
        return blocks * warps * 32 / limits.threads


@dataclass(frozen=True)
class Job:
    """A file, an architecture, and the name expressions of the kernels wanted."""

    path: Path
    architecture: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What came of a job: `kernels` by name expression; `error` is the compiler's log if it refused."""

    job: Job
    kernels: dict[str, Usage]
    warnings: tuple[str, ...]
    error: str = ""


_NUMBERS = {
    "registers": r"Used (\d+) registers",
    "shared": r"(\d+) bytes smem",
    "stack": r"(\d+) bytes stack frame",
    "spill_stores": r"(\d+) bytes spill stores",
    "spill_loads": r"(\d+) bytes spill loads",
    "barriers": r"used (\d+) barriers",
}


def parse_log(log: str) -> dict[str, Usage]:
    """The usage of each kernel, by its mangled name, from the log of --ptxas-options=-v."""
    found = {}
    for name, text in re.findall(
        r"Compiling entry function '([^']+)' for '[^']+'(.*?)(?=Compiling entry function|\Z)", log, re.DOTALL
    ):
        numbers = {key: re.search(pattern, text) for key, pattern in _NUMBERS.items()}
        found[name] = Usage(**{key: int(match[1]) if match else 0 for key, match in numbers.items()})
    return found


def compile_one(job: Job) -> Report:
    """Compiles in this process. Needs CuPy and the wheel nvidia-cuda-nvrtc, but no driver."""
    from cupy_backends.cuda.libs import nvrtc

    options = (
        f"--gpu-architecture=sm_{job.architecture}",
        "--std=c++17",
        "-ftz=true",
        "--ptxas-options=-v",
        *(f"-I{p}" for p in (job.path.parent, cuda_include(), cccl_include())),
    )
    program = nvrtc.createProgram(job.path.read_text(), str(job.path), (), ())
    try:
        for name in job.names:
            nvrtc.addNameExpression(program, name)
        try:
            nvrtc.compileProgram(program, options)
        except nvrtc.NVRTCError:
            return Report(job, {}, (), nvrtc.getProgramLog(program).rstrip("\0\n "))
        log = nvrtc.getProgramLog(program).replace("\0", "")
        names = {nvrtc.getLoweredName(program, name): name for name in job.names}
        assert nvrtc.getCUBIN(program)
    finally:
        nvrtc.destroyProgram(program)
    kernels = {names.get(mangled, mangled): usage for mangled, usage in parse_log(log).items()}
    return Report(job, kernels, tuple(line for line in log.splitlines() if "warning" in line.lower()))


def compile_all(jobs: Iterable[Job], processes: int | None = None) -> list[Report]:
    """Compiles all, in processes of their own: as many as there are processors."""
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    emulated = os.environ.pop(VARIABLE, None)  # the compiler wanted is NVIDIA's
    try:
        with ProcessPoolExecutor(processes or os.cpu_count(), mp_context=context) as pool:
            return list(pool.map(compile_one, jobs))
    finally:
        if emulated is not None:
            os.environ[VARIABLE] = emulated


def table(reports: Sequence[Report], threads: int = 256) -> str:
    """The reports as text, a line for each kernel and architecture."""
    lines = [f"{'kernel':60s} arch  registers  shared  stack  spills  barriers  occupancy"]
    for report in reports:
        for name, use in sorted(report.kernels.items()):
            occupancy = use.occupancy(report.job.architecture, threads)
            lines.append(
                f"{name[:60]:60s} {report.job.architecture:4d} {use.registers:10d} {use.shared:7d} {use.stack:6d} "
                f"{use.spill_stores + use.spill_loads:7d} {use.barriers:9d} {occupancy:9.0%}"
            )
    return "\n".join(lines)
