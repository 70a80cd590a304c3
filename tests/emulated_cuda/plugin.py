"""Pytest plugin: tests for "cuda" run on the emulated device, on a real card, or not at all.

``--cuda=emulated|real|none`` chooses; without it, a card is used where one answers, else the emulated device where CuPy and g++
are there, else tests that need a device are skipped, and the header says why. Load it before anything imports CuPy: by
``pytest_plugins`` in the top conftest.py, or ``-p tests.emulated_cuda.plugin``.

On the emulated device a test fails if it leaves an error behind, or if operations of different streams touched the same bytes
in no order; one that expects that takes it out of the log (`Device.take_log`). ``@pytest.mark.checked_kernels`` runs each kernel
of a test under the checker, and gives each array an allocation of its own, so that an overrun does not end in its neighbour.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import device_if_up, emulated_device, install, installed, missing

if TYPE_CHECKING:
    from .device import Device

MODE = pytest.StashKey[str]()
NOTE = pytest.StashKey[str]()
TOTALS = pytest.StashKey[Counter]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cuda", choices=["emulated", "real", "none"], help="where tests for cuda run (default: the best that is there)"
    )


def _no_card() -> str | None:
    """Why there is no real device to use, or None."""
    try:
        from cupy_backends.cuda.api import runtime
    except ImportError as error:
        return f"CuPy cannot be imported: {error}"
    try:
        count = runtime.getDeviceCount()
    except Exception as error:  # CUDARuntimeError; also whatever a half-installed driver causes
        return str(error)
    return None if count else "no device"


def _choose(wanted: str | None) -> tuple[str, str]:
    """The mode, and a note on it for the header. A rehearsal of ``--cuda=real`` takes the device that it was started on."""
    if wanted != "none" and installed():
        return "emulated", " (this process was started so)"
    if wanted in (None, "real"):
        reason = _no_card()
        if reason is None:
            return "real", ""
        if wanted == "real":
            raise pytest.UsageError(f"--cuda=real: {reason}")
    if wanted in (None, "emulated"):
        reason = missing()
        if reason is None:
            return "emulated", ""
        if wanted == "emulated":
            raise pytest.UsageError(f"--cuda=emulated: {reason}")
        return "none", f" (neither a card nor the emulated device: {reason})"
    return "none", ""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "checked_kernels: run each kernel under the checker, on the emulated device")
    config.stash[MODE], config.stash[NOTE] = _choose(config.getoption("--cuda"))
    config.stash[TOTALS] = Counter()
    if config.stash[MODE] == "emulated":
        install()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """The examples in files that import CuPy are left out where it does not load."""
    if {"backend", "gpu"} <= set(collection_path.parts):
        try:
            import cupy  # noqa: F401
        except ImportError:
            return True
    return None


def pytest_report_header(config: pytest.Config) -> str:
    return f"cuda: {config.stash[MODE]}{config.stash[NOTE]}"


@pytest.fixture(scope="session")
def cuda_mode(request: pytest.FixtureRequest) -> str:
    """``emulated``, ``real`` or ``none``."""
    return request.config.stash[MODE]


@pytest.fixture
def cuda_device(cuda_mode: str) -> Device | None:
    """The controls of the emulated device, or None on a real card. Tests that ask for it are skipped where there is neither."""
    if cuda_mode == "none":
        pytest.skip("no CUDA device, real or emulated")
    if cuda_mode == "real":
        return None
    import cupy  # noqa: F401  brings the device up

    return emulated_device()


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    """Runs the test for "cpu" and for "cuda"."""
    if request.param == "cuda":
        request.getfixturevalue("cuda_device")
    return request.param


@contextlib.contextmanager
def _checked(device: Device) -> Iterator[None]:
    import cupy

    with device.using(checked=True), cupy.cuda.using_allocator(None):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """A device without a past before each test, and without a log after it."""
    checked = item.get_closest_marker("checked_kernels") is not None and item.config.stash[MODE] == "emulated"
    if checked:
        import cupy  # noqa: F401  brings the device up
    try:
        with _checked(emulated_device()) if checked else contextlib.nullcontext():
            result = yield
    except BaseException:
        if (device := device_if_up()) is not None and (log := device.reset()):
            item.add_report_section("call", "emulated CUDA device", "\n".join(log))
        raise
    if (device := device_if_up()) is not None and (log := device.reset()):
        pytest.fail("the emulated CUDA device reports:\n" + "\n".join(log), pytrace=False)
    return result


# ---------------------------------------------------------------------- the summary, of all workers of pytest-xdist


def _totals() -> dict[str, int]:
    device = device_if_up()
    return asdict(device.counters) if device is not None else {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["emulated_cuda"] = _totals()
    else:
        session.config.stash[TOTALS].update(_totals())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    node.config.stash[TOTALS].update(getattr(node, "workeroutput", {}).get("emulated_cuda", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    totals = config.stash[TOTALS]
    if totals:
        terminalreporter.write_sep("-", "emulated CUDA device")
        terminalreporter.write_line(
            "{compiled} kernels compiled, {launches} launches, {checked_launches} of them checked, "
            "{graph_launches} graphs launched, {products} matrix products, {hazards} hazards logged".format(**totals)
        )
