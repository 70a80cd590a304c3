"""AUTOGRAD_GPU_LAUNCH_BLOCKING=1: an error on the device is raised by the op that made it, whose name it has.

The kernel that fails is a real one, on an array whose memory is gone: an illegal address, as on a card. It leaves the context
unusable, so that it runs in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
import cupy
import autograd_gpu as ag
from autograd_gpu.core.tensor import Tensor

def dangling(n):
    # an array at an address that was never allocated
    memory = cupy.cuda.UnownedMemory(1 << 20, 4 * n, None, 0)
    return Tensor(cupy.ndarray((n,), "f4", cupy.cuda.MemoryPointer(memory, 0)))

x = ag.ones(100, device="cuda").requires_grad_()
y = x * 2
try:
    if sys.argv[1] == "forward":
        z = getattr(dangling(100), sys.argv[2])()
    else:
        z = x.exp() if sys.argv[2] == "exp" else x.relu()
        z.node.saved = (dangling(100).array,)
        z.backward(ag.ones(100, device="cuda"))
except RuntimeError as error:
    print("at the op:", error)
    sys.exit(3)
try:
    y.tolist()
except Exception as error:
    print("later:", error)
"""


def run(*arguments: str, blocking: str) -> subprocess.CompletedProcess:
    # the device is emulated in processes started from here too
    environment = os.environ | {"AUTOGRAD_GPU_LAUNCH_BLOCKING": blocking}
    command = [sys.executable, "-c", SCRIPT, *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "way, op, named",
    [
        ("forward", "exp", "exp:"),  # CuPy's kernel
        ("forward", "sum", "reduce.cu"),
        ("forward", "relu", "activation.cu"),  # ours, which waits by itself
        ("backward", "exp", "backward of exp:"),
        ("backward", "relu", "activation.cu"),
    ],
)
def test_an_error_is_raised_where_it_was_made(way: str, op: str, named: str, cuda_mode: str):
    if cuda_mode != "emulated":
        pytest.skip("a lost context would be lost for the tests that follow")
    done = run(way, op, blocking="1")
    assert done.returncode == 3, done.stdout + done.stderr
    assert named in done.stdout and "at the op:" in done.stdout


def test_else_it_comes_up_later(cuda_mode: str):
    if cuda_mode != "emulated":
        pytest.skip("a lost context would be lost for the tests that follow")
    done = run("forward", "exp", blocking="0")
    assert done.returncode == 0 and "later:" in done.stdout, done.stdout + done.stderr
