"""A machine with one CUDA device, as most are: nothing is guarded there. The emulated machine has two, so that this runs a part
of the tests in a process that has one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALONE = """
import autograd_gpu as ag
from autograd_gpu import backend

assert ag.cuda.device_count() == 1
x = ag.ones(3, device="cuda", requires_grad=True)
(x * 2).sum().backward()
assert x.grad.tolist() == [2, 2, 2]
xp = backend.of(type(x.array))
assert not backend.apart[0] and not backend.placed[0] and xp is backend.vocabulary(ag.device("cuda"))  # the module itself
assert xp.guarded(len, "len") is len
try:
    ag.ones(3, device="cuda:1")
except RuntimeError as error:
    print(error)
"""
CHOSEN = "streams or training or gradients or mixed or hooks or elsewhere or modules or versions or numbers or second_order"


def run(*arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"EMULATED_CUDA_DEVICES": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)


@pytest.fixture(autouse=True)
def _needs_the_emulated_device(cuda_mode: str) -> None:
    if cuda_mode != "emulated":
        pytest.skip("a card is what it is")


def test_nothing_is_paid_for_others() -> None:
    done = run("-c", ALONE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "there is no CUDA device 1: this machine has 1, numbered from 0" in done.stdout


def test_what_is_done_with_two_devices_is_done_with_one() -> None:
    files = [f"tests/cuda/test_{name}.py" for name in ("end_to_end", "streams")]
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--cuda=emulated", "-k", CHOSEN, *files)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = int(done.stdout.rpartition(" passed")[0].split()[-1])
    assert passed >= 40, done.stdout
