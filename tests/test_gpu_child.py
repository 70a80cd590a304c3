"""Work in a watched process: one that hangs, dies or is interrupted loses the item that it is at, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu_child.py"
WORK = """
import os, sys, time
sys.path.insert(0, {folder!r})
from gpu_child import Log
log = Log(os.environ["CHILD_LOG"])
for item in sys.argv[1:]:
    if item in log.begun:
        continue
    log.write(begin=item)
    print("at", item, flush=True)
    if item.startswith("hang"):
        time.sleep(60)
    if item.startswith("die"):
        os._exit(7)
    if item.startswith("cut"):
        log.file.write('{{"end": "cu'); log.file.flush(); os._exit(7)
    log.write(end=item, value=len(item))
log.write(finished=True)
sys.exit(5 if "five" in sys.argv else 0)
"""


@pytest.fixture
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_child", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def watched(module: ModuleType, items: list[str], lines: list[dict[str, Any]], patience: float = 30) -> Any:
    code = WORK.format(folder=str(FILE.parent))
    return module.Watched([sys.executable, "-c", code, *items], lines.append, patience)


def ended(lines: list[dict[str, Any]]) -> list[str]:
    return [line["end"] for line in lines if "end" in line]


def test_all_goes_well(module: ModuleType):
    lines: list[dict[str, Any]] = []
    child = watched(module, ["a", "bc", "five"], lines)
    module.run_all([child], time.monotonic() + 60)
    assert lines[1] == {"end": "a", "value": 1} and ended(lines) == ["a", "bc", "five"]
    assert (child.whole, child.lost, child.status, child.starts) == (True, [], 5, 1)
    assert child.printed.splitlines() == ["at a", "at bc", "at five"]


def test_an_item_that_ends_the_process_costs_itself_alone(module: ModuleType):
    lines: list[dict[str, Any]] = []
    child = watched(module, ["a", "die", "b", "cut", "die too", "c"], lines)
    module.run_all([child], time.monotonic() + 60)
    assert ended(lines) == ["a", "b", "c"] and child.whole and child.starts == 4
    assert child.lost == [(item, "the process ended with status 7") for item in ("die", "cut", "die too")]


def test_an_item_that_hangs_costs_itself_and_the_patience(module: ModuleType):
    lines: list[dict[str, Any]] = []
    child = watched(module, ["a", "hang", "b"], lines, patience=2)
    module.run_all([child], time.monotonic() + 60)
    assert ended(lines) == ["a", "b"] and child.whole
    assert child.lost == [("hang", "no sign of life for 2 s")]


def test_time_is_up_for_all_at_once(module: ModuleType):
    lines: list[dict[str, Any]] = []
    children = [watched(module, ["a", "hang", "b"], lines) for _ in range(3)]
    started = time.monotonic()
    module.run_all(children, started + 4)
    assert time.monotonic() - started < 8
    assert ended(lines) == ["a"] * 3 and not any(child.whole for child in children)
    assert [child.lost for child in children] == [[("hang", "not done in time")]] * 3


def test_a_child_that_never_gets_further_is_given_up(module: ModuleType):
    lines: list[dict[str, Any]] = []
    child = module.Watched([sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"], lines.append, 30)
    module.run_all([child], time.monotonic() + 60)
    assert (lines, child.whole, child.lost, child.status, child.starts) == ([], False, [], 3, 1)
    assert child.printed == "no such thing\n"


def test_no_child_is_left_behind_by_an_interruption(module: ModuleType):
    def interrupt() -> None:
        raise KeyboardInterrupt

    lines: list[dict[str, Any]] = []
    child = watched(module, ["a", "hang"], lines)
    child.start()
    process = child.process
    with pytest.raises(KeyboardInterrupt):
        module.run_all([child], time.monotonic() + 60, interrupt)
    assert process.poll() is not None
    assert child.lost == [("hang", "interrupted")] and ended(lines) == ["a"]


SUITE = """
import pytest, time
import numpy as np
@pytest.fixture
def cuda_device(): pass
def test_on_the_host(): pass
def test_on_the_device(cuda_device): pass
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_fails(device): assert device == "cpu", "not here"
@pytest.mark.skip
def test_skipped(): pass
@pytest.mark.parametrize("value", [np.arange(3)])
def test_of_an_array(value): pass
def test_teardown(broken): pass
@pytest.fixture
def broken():
    yield
    raise ValueError("late")
def test_hangs(): time.sleep(60)
def test_never_reached(): pass
"""


def test_what_became_of_each_test_outlives_an_interrupted_run(module: ModuleType, tmp_path: Path):
    (tmp_path / "test_it.py").write_text(SUITE)
    (tmp_path / "test_broken.py").write_text("import no_such_module")
    lines: list[dict[str, Any]] = []
    command = [sys.executable, "-m", "pytest", "-q", "-p", "gpu_pytest", "-p", "no:cacheprovider", "-c", "/dev/null"]
    command += [f"--rootdir={tmp_path}", "--continue-on-collection-errors", str(tmp_path)]
    child = module.Watched(command, lines.append, 60, PYTHONPATH=str(FILE.parent), PYTEST_ADDOPTS="", SHARD="0/1")

    def heard(line: dict[str, Any]) -> None:
        lines.append(line)
        if line.get("begin", "").endswith("test_hangs"):
            child.patience = 1

    child.on_line = heard
    module.run_all([child], time.monotonic() + 60)
    found = {line["end"].rpartition("::")[2]: line for line in lines if "end" in line}
    assert list(found)[:2] == ["test_on_the_device", "test_fails[cuda]"]  # time may be up before the host's
    outcomes = {name: line["outcome"] for name, line in found.items()}
    assert outcomes.pop("test_never_reached") == "passed"  # by the second process
    assert outcomes == {
        "test_on_the_device": "passed",
        "test_fails[cuda]": "failed",
        "test_on_the_host": "passed",
        "test_fails[cpu]": "passed",
        "test_skipped": "skipped",
        "test_of_an_array[value0]": "passed",
        "test_teardown": "failed",
    }
    assert "not here" in found["test_fails[cuda]"]["message"] and "late" in found["test_teardown"]["message"]
    assert [(item.rpartition("::")[2], why) for item, why in child.lost] == [("test_hangs", "no sign of life for 1 s")]
    assert [line["collected"] for line in lines if "collected" in line] == [9] and child.whole
    assert any("test_broken.py was not collected" in line.get("failed", "") for line in lines)


def test_tests_are_dealt_out(module: ModuleType, tmp_path: Path):
    (tmp_path / "test_it.py").write_text("import pytest\n@pytest.mark.parametrize('k', range(7))\ndef test(k): pass")
    lines: list[dict[str, Any]] = []
    command = [sys.executable, "-m", "pytest", "-q", "-p", "gpu_pytest", "-p", "no:cacheprovider", "-c", "/dev/null"]
    command += [f"--rootdir={tmp_path}", str(tmp_path)]
    children = [
        module.Watched(command, lines.append, 60, PYTHONPATH=str(FILE.parent), PYTEST_ADDOPTS="", SHARD=f"{k}/3")
        for k in range(3)
    ]
    module.run_all(children, time.monotonic() + 60)
    assert sorted(ended(lines)) == [f"test_it.py::test[{k}]" for k in range(7)] and all(child.whole for child in children)
    assert sorted(line["collected"] for line in lines if "collected" in line) == [2, 2, 3]
