"""Pytest plugin for a watched process (gpu_child.py): what became of each test is on disk before the next one begins.

SHARD is k/n: this process runs every n-th test from the k-th on. Those that use the device come first, for time may be up before
the last; and where the device is lost, which no later test of this process could survive, the process ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from gpu_child import Log  # noqa: E402

_log = Log(os.environ["CHILD_LOG"])
_part, _parts = (int(number) for number in os.environ.get("SHARD", "0/1").split("/"))
_outcome: dict[str, Any] = {}


def rank(item: pytest.Item) -> int:
    """0 for a test that uses the device, 1 for one that does not, 2 for those of the emulated device."""
    if "emulated_cuda" in item.path.parts:
        return 2
    given = getattr(item, "callspec", None)
    values = [] if given is None else list(given.params.values())
    on_device = any(isinstance(value, str) and value.startswith("cuda") for value in values)
    return 0 if on_device or "cuda_device" in getattr(item, "fixturenames", ()) else 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mine = sorted(items, key=rank)[_part::_parts]
    left = [item for item in mine if item.nodeid not in _log.begun]
    if len(left) == len(mine):
        _log.write(collected=len(mine), on_device=sum(rank(item) == 0 for item in mine))
    chosen = set(left)
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = left


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _log.write(failed=f"{report.nodeid} was not collected: {_message(report)}")


def pytest_runtest_logstart(nodeid: str) -> None:
    _outcome.clear()
    _log.write(begin=nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _outcome.setdefault("message", _message(report))
        _outcome["outcome"] = "failed"
    else:
        if report.skipped or report.when == "call":
            _outcome.setdefault("outcome", "skipped" if report.skipped else "passed")


def pytest_runtest_logfinish(nodeid: str) -> None:
    _log.write(end=nodeid, **_outcome)
    if _outcome.get("outcome") == "failed" and _lost():
        _log.write(failed=f"{nodeid}: the device was lost")
        os._exit(3)  # the ordinary way out would wait for the device


def pytest_sessionfinish(exitstatus: int) -> None:
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        _log.write(finished=True)


def _message(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return (crash.message if crash is not None else str(report.longrepr))[:300]


def _lost() -> bool:
    """Whether the device answers no more in this process."""
    cupy = sys.modules.get("cupy")
    if cupy is None:
        return False
    try:
        cupy.cuda.runtime.deviceSynchronize()
    except Exception:
        return True
    return False
