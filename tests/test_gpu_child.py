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
