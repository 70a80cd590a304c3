"""What a CUDA card makes of this package: one stage a call, its results in a JSON file named by the card.

    python benchmarks/gpu.py tests|kernels|bench|memory [--small] [--seconds N] [--out FOLDER]

    tests      the whole suite on the card: counts, and the names of what failed
    kernels    each kernel under compute-sanitizer's memcheck and racecheck
    bench      training steps beside PyTorch's and JAX's, and their weights beside the CPU's; GB/s and TFLOP/s of kernels and
               products beside what the card can do and beside CuPy's and PyTorch's for the same work
    memory     bytes allocated, at most, reserved and in use by the driver during a training run

What is measured is written at once, into what earlier stages wrote, with the versions it was measured with. The work is done in
processes that may hang or be lost (gpu_child.py): that costs one row, launch or test. What is missing on the machine, failed or
came too late is named under "left_out", and "complete" says whether the stage came to its end. Times on an emulated device mean
nothing: its file says so.
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
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BEGAN = time.monotonic()  # what is imported below takes seconds where nothing has been read from the disk yet
ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "benchmarks"):  # a checkout need not be installed
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from gpu_child import STOPPED, Watched, run_all  # noqa: E402

from autograd_gpu import cuda  # noqa: E402
from autograd_gpu.backend import kernels as loader  # noqa: E402

LIBRARIES = ("autograd_gpu", "cupy", "numpy", "torch", "jax", "pytest", "hypothesis", "nvmath-python", "nvidia-cudnn-frontend")


class Results:
    """The file that results go into: a section a stage, each written at once and kept when a later stage fails."""

    def __init__(self, folder: Path):
        self.card, self.versions = card(), versions()  # once: later the driver may not answer
        name = re.sub(r"[^a-z0-9]+", "-", self.card["name"].lower()).strip("-")
        self.path = folder / f"{name}.json"
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, stage: str, section: dict[str, Any]) -> None:
        """Put a section in the place of an older one, in a file that is never half written."""
        try:
            everything = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            everything = {}
        everything["card"] = self.card
        measured = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        everything[stage] = {"measured": measured, "versions": self.versions, **section}
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


Save = Callable[[dict[str, Any]], None]


def processes(most: int) -> int:
    """How many processes may share the work of a stage that measures no time: two processors are left to others."""
    return max(1, min(most, len(os.sched_getaffinity(0)) - 2))


def noted(child: Watched, what: str, left_out: list[str]) -> None:
    """Say what a child's end cost."""
    left_out += [f"{item}: {why}" for item, why in child.lost]
    if not child.whole:
        left_out.append(f"{what}: {child.why} before all was done; printed last: {child.printed[-1000:].strip() or 'nothing'}")


# -- tests -------------------------------------------------------------------------------------------------------------------


def suite(options: argparse.Namespace, left_out: list[str], save: Save) -> None:
    """The test suite on the card, its tests dealt out to processes."""
    if importlib.util.find_spec("pytest") is None:
        left_out.append("the test suite: pytest is not installed")
        return
    started = time.monotonic()
    parts = 2 if options.small else processes(12)
    counts = {"collected": 0, "on_device": 0}
    ended: dict[str, dict[str, Any]] = {}
    chosen = ["tests/cuda/test_pinning.py", "tests/cuda/test_prefetch.py"] if options.small else ["tests"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.emulated_cuda.plugin", "-p", "gpu_pytest", "--cuda=real"]
    command += ["-p", "no:cacheprovider", "-p", "no:xdist", "--continue-on-collection-errors", *chosen]

    def heard(line: dict[str, Any]) -> None:
        for name in counts:
            counts[name] += line.get(name, 0)
        if "end" in line:
            ended[line["end"]] = line
        if "failed" in line:
            left_out.append(line["failed"])

    def progress() -> None:
        failures = [line for line in ended.values() if line.get("outcome") == "failed"]
        failures += [{"end": item, "message": why} for child in children for item, why in child.lost if why not in STOPPED]
        of = {kind: sum(line.get("outcome") == kind for line in ended.values()) for kind in ("passed", "skipped")}
        section = {"seconds": round(time.monotonic() - started, 1), "processes": parts, "command": command[1:]}
        section |= {**counts, "tests": len(ended), "failed": len(failures), **of}
        section["failures"] = [{"test": line["end"], "message": line.get("message", "")} for line in failures[:200]]
        save(section | {"exit_status": int(bool(failures))})

    folders = os.pathsep.join([str(ROOT / "benchmarks"), *filter(None, [os.environ.get("PYTHONPATH")])])
    patience = max(20.0, options.seconds / 3)
    children = [
        Watched(command, heard, patience, PYTHONPATH=folders, SHARD=f"{k}/{parts}", OMP_NUM_THREADS="1") for k in range(parts)
    ]
    try:
        run_all(children, started + options.seconds, progress)
    finally:
        for child in children:
            noted(child, "a process of the tests", left_out)
        if len(ended) < counts["collected"]:
            left_out.append(f"{counts['collected'] - len(ended)} of {counts['collected']} tests were not done")
        progress()
    whole = all(child.whole for child in children)
    save({"complete": whole} | ({} if whole else {"exit_status": 1}))


# -- kernels under NVIDIA's checkers -----------------------------------------------------------------------------------------


def sanitizer() -> str | None:
    """compute-sanitizer, wherever CUDA's toolkit lies."""
    places = [Path(p) / "bin" for p in (os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda") if p]
    return shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, places)]))


QUIET = re.compile(r"========= (COMPUTE-SANITIZER|\w+ SUMMARY: 0 )|=========\s*$")  # lines of a checker that found nothing


class Checked:
    """What one checker says of the kernels, which are launched in several processes."""

    def __init__(self, name: str, command: list[str], options: argparse.Namespace, parts: int):
        self.name = name
        self.planned = 0
        self.launched: list[str] = []
        self.failed: list[str] = []
        self.kernels: set[str] = set()
        launches = [*command, sys.executable, str(ROOT / "benchmarks" / "gpu_bench.py"), "launch"]
        launches += ["--small"] * options.small
        patience = max(20.0, options.seconds / 2)
        self.children = [Watched([*launches, f"--part={k}/{parts}"], self.heard, patience) for k in range(parts)]

    def heard(self, line: dict[str, Any]) -> None:
        self.planned += line.get("planned", 0)
        if "end" not in line:
            return
        self.kernels.update(line["kernels"])
        if "failed" in line:
            self.failed.append(f"{line['end']}: {line['failed']}")
        else:
            self.launched.append(line["end"])

    def section(self) -> dict[str, Any]:
        """What is known by now."""
        printed = "\n".join(child.printed for child in self.children)
        errors = [int(a or b) for a, b in re.findall(r"ERROR SUMMARY: (\d+)|RACECHECK SUMMARY: (\d+)", printed)]
        reported = [line for line in re.findall(r"^=========.*$", printed, re.M) if not QUIET.match(line)]
        lost = [f"{item}: {why}" for child in self.children for item, why in child.lost]
        died = any(why not in STOPPED for child in self.children for _, why in child.lost)
        whole = all(child.whole for child in self.children)
        section = {"complete": whole, "errors": sum(errors), "summaries": len(errors), "planned": self.planned}
        section |= {"launched": self.launched, "failed": self.failed, "lost": lost, "kernels": sorted(self.kernels)}
        statuses = [child.status for child in self.children]
        bad = any(errors) or any(statuses) or bool(self.failed or reported or died)
        if bad or lost:
            section["reported"], section["printed"] = reported[:200], printed[-3000:]
        if whole:
            known = {name.partition("<")[0] for name in self.kernels}
            every = [f"{file}: {name}" for file in loader.files() for name in loader.templates(file)]
            section["not launched"] = [name for name in every if name not in known]
        section["exit_status"] = int(bad or not whole)
        return section


def checked(options: argparse.Namespace, left_out: list[str], save: Save) -> None:
    """Kernels launched under memcheck and racecheck side by side, for no time is measured; and which of them no op launches."""
    ends = time.monotonic() + options.seconds
    program = sanitizer()
    tools = {"no checker": []}
    if program is None:
        left_out.append("compute-sanitizer is not installed: kernels were launched without it")
    else:
        tools = {name: [program, "--tool", name, "--error-exitcode", "9"] for name in ("memcheck", "racecheck")}
        tools["memcheck"] += ["--report-api-errors", "no"]  # CuPy asks for what a driver may not have; its own errors are raised
    checkers: list[Checked] = []

    def progress() -> None:
        sections = {checker.name: checker.section() for checker in checkers}
        save(sections | {"exit_status": max(section["exit_status"] for section in sections.values())})

    def watch(tools: dict[str, list[str]]) -> None:
        new = [Checked(name, tool, options, 1 if options.small else processes(4)) for name, tool in tools.items()]
        checkers.extend(new)
        try:
            run_all([child for checker in new for child in checker.children], ends, progress)
        finally:
            for checker in new:
                for child in checker.children:
                    noted(child, checker.name, left_out)
            progress()

    watch(tools)
    if not any(checker.launched for checker in checkers) and program is not None and time.monotonic() < ends:
        left_out.append("compute-sanitizer let no kernel run: they were launched without it")
        watch({"no checker": []})
    save({"complete": all(child.whole for checker in checkers for child in checker.children)})


# -- times and memory --------------------------------------------------------------------------------------------------------


def bench(options: argparse.Namespace, left_out: list[str], save: Save) -> None:
    """Rates and times, row by row."""
    ends = time.monotonic() + options.seconds
    sections: dict[str, list] = {}
    begun: set[str] = set()
    planned: list[str] = []
    failures: list[str] = []

    def heard(line: dict[str, Any]) -> None:
        planned.extend(line.get("planned", ()))
        left_out.extend(line[key] for key in ("left_out", "failed") if key in line)
        failures.extend(line[key] for key in ("failed",) if key in line)
        begun.add(line.get("begin", ""))
        if "precision" in line:
            save({"precision": line["precision"]})
        if "row" in line:
            sections.setdefault(line["section"], []).append(line["row"])
            save(sections | {"summary": summary(sections)})

    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_bench.py"), "rows", *["--small"] * options.small]
    child = Watched(command, heard, max(20.0, min(60.0, options.seconds / 3)))
    try:
        run_all([child], ends)
    finally:
        noted(child, "bench", left_out)
        late = [name for name in planned if name not in begun]
        if late:
            left_out.append(f"{len(late)} of {len(planned)} rows came too late: see not_measured")
        save({"not_measured": late})
    failures += [item for item, why in child.lost if why not in STOPPED]
    save({"complete": child.whole, "exit_status": int(bool(failures) or not begun - {""})})


def summary(sections: dict[str, list]) -> dict[str, Any]:
    """Where the goals are missed: rows below 90% of a copy's rate at 64 MB and up, and rows that take longer than PyTorch's."""

    def named(row: dict[str, Any], key: str) -> str:
        return f"{row['job']} {'x'.join(map(str, row['shape']))} {row['dtype']}: {row[key]}"

    rows = sections.get("kernels", [])
    large = [row for row in rows if row["bytes"] >= 1 << 26 and "share_of_copy" in row]
    found: dict[str, Any] = {
        "large": len(large),
        "below 0.9 of a copy": [named(row, "share_of_copy") for row in large if row["share_of_copy"] < 0.9],
    }
    for key in ("device_ratio_to_torch", "ratio_to_torch"):
        compared = [row for row in rows if key in row]
        found[key] = {"rows": len(compared), "above 1": [named(row, key) for row in compared if row[key] > 1]}
    found["steps"] = {row["step"]: row["ratio_to_torch"] for row in sections.get("steps", []) if "ratio_to_torch" in row}
    return found


def memory(options: argparse.Namespace, left_out: list[str], save: Save) -> None:
    """Bytes during a training run."""
    import gpu_steps  # which imports CuPy

    gpu_steps.memory(options.small, left_out, save)
    save({"complete": True})


STAGES: dict[str, Callable] = {"tests": suite, "kernels": checked, "bench": bench, "memory": memory}


def stop(number: int, frame: Any) -> None:
    """Asked to end: what was measured is written on the way out."""
    raise SystemExit(128 + number)


def main() -> int:
    """Run one stage; the exit status is not zero if something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--small", action="store_true", help="little work: a rehearsal, and all that an emulated device is asked")
    parser.add_argument("--seconds", type=float, default=120, help="how long the stage may take (default: 120)")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or ROOT / "benchmarks" / "results"))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    reason = cuda.why_not()
    if reason is not None:
        print(f"no CUDA device: {reason}", file=sys.stderr)
        return 2
    options.small |= emulated()
    results, left_out = Results(options.out), []
    section: dict[str, Any] = {"left_out": left_out, "complete": False, "seconds_given": options.seconds}

    def save(part: dict[str, Any]) -> None:
        section.update(part)
        results.write(options.stage, section)

    save({})
    options.seconds -= time.monotonic() - BEGAN
    try:
        STAGES[options.stage](options, left_out, save)
    except BaseException as error:  # what was measured before is kept
        save({"stopped": f"{type(error).__name__}: {error}", "exit_status": 1})
        raise
    if left_out:
        print(f"{options.stage}: left out:", *left_out[:20], sep="\n  ")
    print(f"{options.stage}: {results.path}")
    return 1 if section.get("exit_status", 0) != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
