"""What a CUDA card makes of this package: one stage a call, its results in a JSON file named by the card.

    python benchmarks/gpu.py tests|kernels|bench|memory [--small] [--seconds N] [--out FOLDER]

    tests      the whole suite on the card: counts, and the names of what failed
    kernels    the tests of the kernels under compute-sanitizer's memcheck and racecheck
    bench      GB/s and TFLOP/s of kernels and products beside what the card can do and beside CuPy's and PyTorch's for the same
               work; training steps beside PyTorch's and JAX's
    memory     bytes allocated, at most, reserved and in use by the driver during a training run

Each section is written as soon as it is there, into what earlier stages wrote, with the versions it was measured with. What is
missing on the machine is left out, and named under "left_out". Times on an emulated device mean nothing: its file says so.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "benchmarks"):  # a checkout need not be installed
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from autograd_gpu import cuda  # noqa: E402

LIBRARIES = ("autograd_gpu", "cupy", "numpy", "torch", "jax", "pytest", "hypothesis")


class Results:
    """The file that results go into: a section a stage, each written at once and kept when a later stage fails."""

    def __init__(self, folder: Path):
        name = re.sub(r"[^a-z0-9]+", "-", cuda.get_device_name().lower()).strip("-")
        self.path = folder / f"{name}.json"
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, stage: str, section: dict[str, Any]) -> None:
        """Put a section in the place of an older one, in a file that is never half written."""
        everything = json.loads(self.path.read_text()) if self.path.exists() else {}
        everything["card"] = card()
        everything[stage] = {"measured": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "versions": versions(), **section}
        with tempfile.NamedTemporaryFile("w", dir=self.path.parent, suffix=".tmp", delete=False) as file:
            json.dump(everything, file, indent=1, sort_keys=True)
            file.write("\n")
        os.replace(file.name, self.path)


def card() -> dict[str, Any]:
    """The device, the driver and what CUDA version it runs."""
    import cupy

    found = cuda.get_device_properties()
    return {
        "name": found.name,
        "capability": f"{found.major}.{found.minor}",
        "memory_bytes": found.total_memory,
        "multiprocessors": found.multi_processor_count,
        "driver_cuda": cupy.cuda.runtime.driverGetVersion(),
        "runtime_cuda": cupy.cuda.runtime.runtimeGetVersion(),
        "emulated": emulated(),
    }


def emulated() -> bool:
    """Whether the device is software. Its times mean nothing."""
    return cuda.get_device_name().startswith("Emulated")


def versions() -> dict[str, str]:
    """The versions of what takes part, of those that are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        for distribution in (name, "cupy-cuda13x", "cupy-cuda12x") if name == "cupy" else (name,):
            try:
                found[name] = importlib.metadata.version(distribution)
                break
            except importlib.metadata.PackageNotFoundError:
                continue
    return found


# -- tests -------------------------------------------------------------------------------------------------------------------


def run(command: list[str], seconds: float) -> tuple[int | None, str]:
    """(exit status, None if time was up; what it printed)."""
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds)
    except subprocess.TimeoutExpired as late:
        text = late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else late.stdout or ""
        return None, text
    return done.returncode, done.stdout


def suite(options: argparse.Namespace, left_out: list[str], save: Callable[[dict], None]) -> dict[str, Any]:
    """The test suite on the card."""
    if importlib.util.find_spec("pytest") is None:
        left_out.append("the test suite: pytest is not installed")
        return {}
    chosen = ["tests/cuda/test_gemm.py"] if options.small else ["tests"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.emulated_cuda.plugin", "--cuda=real", *chosen]
        command += [f"--junitxml={report}", "-p", "no:cacheprovider"]
        if importlib.util.find_spec("xdist") is not None:
            command += ["-n", str(2 if options.small else min(8, os.cpu_count() or 1))]
        started = time.perf_counter()
        status, printed = run(command, options.seconds)
        section: dict[str, Any] = {
            "seconds": round(time.perf_counter() - started, 1),
            "exit_status": status,
            "command": command[1:],
        }
        if report.exists():
            section |= counted(report)
        else:
            section["printed"] = printed[-3000:]
        if status is None:
            left_out.append(f"the tests that came after {options.seconds} s")
        return section


def counted(report: Path) -> dict[str, Any]:
    """Counts, and the names of failed tests, of a report in JUnit's format."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
    skipped = [c for c in cases if c.find("skipped") is not None]
    return {
        "tests": len(cases),
        "failed": len(failed),
        "skipped": len(skipped),
        "passed": len(cases) - len(failed) - len(skipped),
        "failures": [f"{c.get('classname')}.{c.get('name')}" for c in failed][:100],
    }


# -- kernels under NVIDIA's checkers -----------------------------------------------------------------------------------------


def sanitizer() -> str | None:
    """compute-sanitizer, wherever CUDA's toolkit lies."""
    places = [Path(p) / "bin" for p in (os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda") if p]
    return shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, places)]))


def checked(options: argparse.Namespace, left_out: list[str], save: Callable[[dict], None]) -> dict[str, Any]:
    """Kernels launched under memcheck and racecheck; those that no op launches yet are named."""
    program = sanitizer()
    if program is None:
        left_out.append("compute-sanitizer is not installed: kernels were launched without it")
    section: dict[str, Any] = {}
    tools = [[]] if program is None else [[program, "--tool", t, "--error-exitcode", "9"] for t in ("memcheck", "racecheck")]
    deadline = time.perf_counter() + options.seconds
    for tool in tools:
        name = tool[2] if tool else "no checker"
        launches = [sys.executable, str(ROOT / "benchmarks" / "gpu_bench.py"), "launch", *(["--small"] if options.small else [])]
        status, printed = run([*tool, *launches], max(10.0, deadline - time.perf_counter()))
        errors = re.findall(r"ERROR SUMMARY: (\d+)|RACECHECK SUMMARY: (\d+)", printed)
        section[name] = {"exit_status": status, "errors": [int(a or b) for a, b in errors]}
        for line in ("launched", "kernel", "not launched"):
            section[name][line] = re.findall(rf"^{line}: (.*)$", printed, re.M)
        if status != 0:
            section[name]["printed"] = printed[-3000:]
            if status is None:
                left_out.append(f"{name}: not done in time")
    section["exit_status"] = max((s["exit_status"] or 0 for s in section.values()), default=0)
    return section


def bench(options: argparse.Namespace, left_out: list[str], save: Callable[[dict], None]) -> dict[str, Any]:
    """Rates and times, saved as they come."""
    import gpu_bench  # which imports CuPy

    return gpu_bench.bench(options, left_out, save)


def memory(options: argparse.Namespace, left_out: list[str], save: Callable[[dict], None]) -> dict[str, Any]:
    """Bytes during a training run."""
    import gpu_bench

    return gpu_bench.memory(options, left_out)


STAGES: dict[str, Callable] = {"tests": suite, "kernels": checked, "bench": bench, "memory": memory}


def main() -> int:
    """Run one stage; the exit status is not zero if something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--small", action="store_true", help="little work: a rehearsal")
    parser.add_argument("--seconds", type=float, default=120, help="how long the stage may take (default: 120)")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or ROOT / "benchmarks" / "results"))
    options = parser.parse_args()
    reason = cuda.why_not()
    if reason is not None:
        print(f"no CUDA device: {reason}", file=sys.stderr)
        return 2
    results, left_out = Results(options.out), []
    for name in ("torch", "jax"):
        if options.stage == "bench" and importlib.util.find_spec(name) is None:
            left_out.append(f"{name} is not installed")
    section: dict[str, Any] = {"left_out": left_out}

    def save(part: dict[str, Any]) -> None:
        section.update(part)
        results.write(options.stage, section)

    stage = STAGES[options.stage]
    try:
        save(stage(options, left_out, save))
    except Exception as error:  # what was measured before is kept
        save({"failed": f"{type(error).__name__}: {error}"})
        raise
    print(f"{options.stage}: {results.path}")
    return 1 if section.get("exit_status", 0) != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
