"""Processes with the emulated device, and the pytest plugin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from . import missing
from .test_device import OVERRUN

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("emulated")

SCRIPT = """
import cupy
x = cupy.arange(4)
s = cupy.cuda.Stream(non_blocking=True)
with s:
    y = x + 1
e = cupy.cuda.Event()
assert cupy.cuda.runtime.getDeviceProperties(0)["name"] == b"Emulated CUDA device"
print("sum", int(x.sum()))
"""  # ends with arrays, a stream and pending work alive


def test_child_processes_have_the_device_and_end_in_peace():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stdout, done.stderr) == (0, "sum 6\n", "")


def test_run_a_script(tmp_path, monkeypatch):
    monkeypatch.delenv("EMULATED_CUDA")
    monkeypatch.delenv("PYTHON", raising=False)
    script = tmp_path / "script.py"
    script.write_text("import sys\n" + SCRIPT + "print(sys.argv[1:])\n")
    shell = tmp_path / "script.sh"
    shell.write_text(f'#!/bin/sh\n"$PYTHON" {script} $1\n')
    shell.chmod(0o755)
    for path in (script, shell):
        command = [sys.executable, "-m", "tests.emulated_cuda", str(path), "argument"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert (done.returncode, done.stdout, done.stderr) == (0, "sum 6\n['argument']\n", "")


def test_nothing_is_loaded_until_cupy_is():
    code = "import sys; assert not any(m.startswith('cupy') or m == 'numpy' for m in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_process_that_ends_after_an_error_ends_in_peace():
    code = f"""
import cupy
cupy.cuda.set_allocator(None)
x, s = cupy.zeros(128, "f"), cupy.cuda.Stream()
cupy.RawKernel({OVERRUN!r}, "overrun")((5,), (32,), (x, cupy.int32(128)))
try:
    s.synchronize(), cupy.cuda.Device().synchronize()
except cupy.cuda.runtime.CUDARuntimeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cudaErrorIllegalAddress" in done.stdout


def test_what_is_missing_is_said(monkeypatch):
    assert missing() is None
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler" in missing()
    monkeypatch.delenv("CXX")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "13.6.0")
    assert missing() == "the emulated CUDA device knows CuPy 14, and cupy-cuda13x 13.6.0 is installed"


TESTS = """
import numpy as np
import pytest

KERNEL = 'extern "C" __global__ void increment(float* x) { x[threadIdx.x] += 1; }'

@pytest.mark.checked_kernels
def test_hazard():
    import cupy as cp
    a, b, x = cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True), cp.zeros(8, "f4")
    cp.cuda.Device().synchronize()
    for stream in (a, b):
        with stream:
            cp.RawKernel(KERNEL, "increment")((1,), (8,), (x,))

def test_overrun():
    import cupy as cp
    with cp.cuda.using_allocator(None):
        x = cp.zeros(4096, "f4")
    cp.RawKernel(KERNEL.replace("threadIdx.x", "4096"), "increment")((1,), (1,), (x,))

def test_goes_on():
    import cupy as cp
    assert cp.ones(3).sum() == 3

def test_device(device):
    assert device in ("cpu", "cuda")
"""


@pytest.mark.parametrize(
    "mode, summary", [("emulated", "2 failed, 3 passed"), ("real", "2 failed, 3 passed"), ("none", "1 passed, 1 skipped")]
)
def test_plugin(tmp_path, mode, summary):
    """What a test leaves behind fails it, and not the next. ``real`` is rehearsed: these processes are children of the device."""
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.emulated_cuda.plugin", "-p", "no:cacheprovider", f"--cuda={mode}"]
    chosen = ["-k", "test_device"] if mode == "none" else []
    command += ["--rootdir", str(tmp_path), *chosen, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert summary in done.stdout, done.stdout
    if mode != "none":
        assert "UNORDERED: increment" in done.stdout
        assert "overrun" in done.stdout and "increment: " in done.stdout
        assert "kernels compiled" in done.stdout and "2 hazards logged" in done.stdout  # a read and a write
