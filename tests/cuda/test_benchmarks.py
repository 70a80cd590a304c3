"""The script for a machine with a card, rehearsed on the emulated device so that it does not rot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNELS = {"activation", "attention", "cast", "channels", "conv", "embedding", "norm", "optim"}  # files of kernels/
KERNELS |= {"pool", "random", "reduce", "scatter", "softmax"}


CHECKERS = {
    "works": 'until [[ $1 == */python* ]]; do shift; done; "$@"; code=$?; echo "========= ERROR SUMMARY: 0 errors"; exit $code',
    "hangs": "sleep 300",
    "refuses": "echo 'Device not supported'; exit 1",
}


@pytest.fixture
def script(tmp_path: Path, cuda_mode: str) -> Callable[..., tuple[subprocess.CompletedProcess, dict[str, Any]]]:
    """script(*arguments, checker=name): run it on the emulated device -> (what it printed, its results)."""
    if cuda_mode != "emulated":
        pytest.skip("on a card the script itself is run")
    if shutil.which("bash") is None:
        pytest.skip("no bash")

    def run(*arguments: str, checker: str) -> tuple[subprocess.CompletedProcess, dict[str, Any]]:
        program = tmp_path / "bin" / "compute-sanitizer"
        program.parent.mkdir()
        program.write_text(f"#!/bin/bash\n{CHECKERS[checker]}\n")
        program.chmod(0o755)
        environment = os.environ | {"OUT": str(tmp_path / "out"), "PYTHON": sys.executable}
        environment["PATH"] = f"{program.parent}{os.pathsep}{environment['PATH']}"
        command = [str(ROOT / ".ci" / "gpu"), "--emulated", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
        (file,) = (tmp_path / "out").iterdir()
        assert file.name == "emulated-cuda-device.json"
        return done, json.loads(file.read_text())

    return run


def test_every_stage_writes_its_section(script: Callable):
    stages = ["memory", "bench", "kernels", "tests"]
    done, found = script(*stages, checker="works")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(found) == {"card", *stages} and found["card"]["emulated"]
    assert all(found[stage]["complete"] for stage in stages)
    assert found["memory"]["most_allocated"] >= found["memory"]["allocated"] >= 3 * found["memory"]["parameter_bytes"]
    bench = found["bench"]
    assert {row["job"] for row in bench["kernels"]} >= {
        "add",
        "gelu backward",
        "softmax",
        "cross_entropy backward",
        "Adam step",
        "layer_norm backward",
        "embedding backward",
        "dropout",
        "batch_norm backward",
        "max_pool2d backward",
        "conv2d 3x3 backward",
        "causal attention backward",
        "two linear layers with ReLU, there and back",
        "clip_grad_norm",
    }
    assert all(row["autograd_gpu"]["device_ms"] > 0 for row in bench["kernels"])
    assert bench["steps"][0]["autograd_gpu"]["wall_ms"] > 0 and bench["products"][0]["cupy"]["tflop_s"] >= 0
    assert 0 < bench["agreement"][0]["autograd_gpu"]["SGD"] < 1e-5 and bench["copy"][0]["gb_s"] > 0
    assert bench["not_measured"] == [] and {"PyTorch does not see the card"} <= set(bench["left_out"])
    for checker in ("memcheck", "racecheck"):
        launched = found["kernels"][checker]
        assert len(launched["launched"]) == launched["planned"] > 40 and launched["summaries"] == 1
        assert {name.partition(".cu:")[0] for name in launched["kernels"]} >= KERNELS
    tests = found["tests"]
    assert tests["passed"] == tests["collected"] - tests["skipped"] >= 12 and tests["failed"] == 0


def test_a_checker_that_hangs_ends_in_time_with_results(script: Callable):
    started = time.monotonic()
    done, found = script("--seconds", "12", "kernels", checker="hangs")
    assert done.returncode == 1 and time.monotonic() - started < 25
    assert not found["kernels"]["complete"] and found["kernels"]["racecheck"]["launched"] == []
    assert any("memcheck: not done in time" in line for line in found["kernels"]["left_out"])


def test_kernels_are_launched_without_a_checker_that_refuses(script: Callable):
    done, found = script("kernels", checker="refuses")
    assert done.returncode == 1 and found["kernels"]["memcheck"]["printed"] == "Device not supported\n"
    assert len(found["kernels"]["no checker"]["launched"]) > 40
    assert "compute-sanitizer let no kernel run: they were launched without it" in found["kernels"]["left_out"]


def test_time_is_up_before_all_is_done(tmp_path: Path, cuda_mode: str):
    """A second is too little to begin with the tests in."""
    if cuda_mode != "emulated":
        pytest.skip("for the emulated device")
    stage = ["benchmarks/gpu.py", "tests", "--small", "--seconds", "1", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "tests.emulated_cuda", *stage], capture_output=True, text=True, cwd=ROOT)
    found = json.loads((tmp_path / "emulated-cuda-device.json").read_text())["tests"]
    assert done.returncode == 1 and found["exit_status"] == 1, done.stdout + done.stderr
    assert not found["complete"] and any("not done in time" in line for line in found["left_out"])


def test_the_interpreter_is_the_one_that_has_the_device(tmp_path: Path, cuda_mode: str):
    if cuda_mode != "emulated":
        pytest.skip("for the emulated device")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHON", "EMULATED_CUDA")}
    environment["OUT"] = str(tmp_path)
    command = [sys.executable, "-m", "tests.emulated_cuda", ".ci/gpu", "memory"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "emulated-cuda-device.json").read_text())["memory"]["network"] == "64-32-10"  # the small one


FOUND = "========= Invalid __global__ read of size 4 bytes"


@pytest.mark.parametrize(
    "printed, lost, launched, status",
    [
        (["========= COMPUTE-SANITIZER", "=========", "========= ERROR SUMMARY: 0 errors"], None, {}, 0),
        (["========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)"], None, {}, 0),
        ([FOUND, "========= ERROR SUMMARY: 3 errors"], None, {}, 1),
        ([FOUND], "the process ended with status 139", {}, 1),  # no summary of a process that was lost
        ([], "no sign of life for 50 s", {}, 1),
        ([], None, {"failed": "CUDARuntimeError: an illegal address"}, 1),
    ],
)
def test_what_a_checker_finds_is_told(printed: list[str], lost: str | None, launched: dict[str, str], status: int, bench: Any):
    import argparse

    import gpu

    checker = gpu.Checked("memcheck", [], argparse.Namespace(small=True, seconds=10), 1)
    (child,) = checker.children
    child.on_line({"planned": 2})
    child.on_line({"end": "softmax", "kernels": ["softmax.cu: softmax_forward<float,false>"]} | launched)
    child.whole, child.status, child.printed = True, 0, "\n".join(printed)
    child.lost = [] if lost is None else [("relu", lost)]
    section = checker.section()
    assert section["exit_status"] == status and section["complete"]
    assert (
        section["launched"] == ([] if launched else ["softmax"]) and "softmax.cu: softmax_forward" not in section["not launched"]
    )
    assert status == 0 or FOUND not in printed or section["reported"][0] == FOUND
    child.folder.cleanup()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/gpu_bench.py, in this process."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import gpu_bench

    return gpu_bench


def test_what_raises_is_left_out_and_the_rest_is_measured(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from gpu_clock import Contender

    def broken() -> None:
        raise ValueError("no such thing")

    calls: list[int] = []

    def late() -> None:
        calls.append(0)
        if len(calls) > 2:
            raise ValueError("after a while")

    contenders = {"autograd_gpu": Contender(lambda: None), "cupy": Contender(broken), "torch": Contender(late)}
    rows = [("kernels", "first", lambda failed: bench.timed(contenders, failed)), ("kernels", "second", lambda failed: broken())]
    rows.append(("steps", "third", lambda failed: {"value": 3}))
    monkeypatch.setattr(bench, "rows", lambda small: iter(rows))
    (tmp_path / "log").touch()
    log = bench.Log(tmp_path / "log")
    bench.measure(log, True)
    log.file.close()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["failed"] for line in lines if "failed" in line] == [
        "first: cupy: ValueError: no such thing",
        "first: torch: ValueError: after a while",
        "second: the row: ValueError: no such thing",
    ]
    measured = {line["end"]: line.get("row") for line in lines if "end" in line}
    assert measured["third"] == {"value": 3} and measured["first"]["autograd_gpu"]["wall_ms"] >= 0
    assert lines[-1] == {"finished": True}


def test_what_a_checker_watches_takes_its_memory_from_no_pool(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import cupy

    reserved: list[int] = []

    def run() -> None:
        pool = cupy.get_default_memory_pool()
        before = pool.used_bytes()
        x = cupy.zeros(1000, "f4")
        reserved.append(pool.used_bytes() - before)
        del x

    monkeypatch.setattr(bench, "launches", lambda small: iter([("first", run), ("second", bench.ag.tensor)]))
    monkeypatch.setattr(bench.loader, "_launcher", bench.loader._launcher)
    (tmp_path / "log").touch()
    log = bench.Log(tmp_path / "log")
    allocator = cupy.cuda.get_allocator()
    try:
        bench.launch(log, True, 0, 1)
    finally:
        cupy.cuda.set_allocator(allocator)
        log.file.close()
    assert reserved == [0]
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert lines[0] == {"planned": 2} and lines[-1] == {"finished": True}
    assert [("failed" in line) for line in lines if "end" in line] == [False, True]


def test_rows_stand_beside_those_of_a_peer(bench: Any, monkeypatch: pytest.MonkeyPatch):
    import autograd_gpu

    monkeypatch.setattr(bench, "torch_on_card", lambda: autograd_gpu)  # the names are the same
    failed: list[str] = []
    every = {name: measure for _, name, measure in bench.rows(True)}
    for name in ("add 33x7 float32", "softmax backward 33x7 float32", "step of digits 64-32-10"):
        row = every[name](lambda who, error: failed.append(f"{who}: {error}"))
        assert row["torch"]["device_ms"] > 0 and row["device_ratio_to_torch"] > 0 and row["ratio_to_torch"] > 0
    assert failed == []


def test_the_goals_have_rows(bench: Any):
    names = [name for _, name, _ in bench.rows(False)]
    assert len(names) == len(set(names))
    wanted = ["step of digits 64-32-10", "step of MLP-64 784-256-128-10", "step of CNN 16-32", "CNN 16-32, card and CPU"]
    wanted += [f"softmax backward {shape} float32" for shape in ("16384x1024", "16x64", "64x256", "512x512")]
    assert set(wanted) <= set(names) and [names.index(name) for name in wanted] == sorted(names.index(name) for name in wanted)


def test_wrong_use_is_explained():
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    done = subprocess.run([str(ROOT / ".ci" / "gpu"), "everything"], capture_output=True, text=True)
    assert done.returncode == 2 and "tests] [kernels]" in done.stderr
