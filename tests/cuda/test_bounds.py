"""Indices and classes that do not exist. The device does not look: an index is taken modulo the size, a class that is none makes
a loss NaN. With AUTOGRAD_GPU_LAUNCH_BLOCKING=1, in a process of its own, each is refused with the CPU's error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.nn import functional as F

ROOT = Path(__file__).resolve().parents[2]

WRONG = """
import autograd_gpu as ag
from autograd_gpu.nn import functional as F

def index(*i, device):
    return ag.tensor(i, device=device)

x = {device: ag.arange(9.0, device=device).reshape(3, 3) for device in ("cpu", "cuda")}
CALLS = {
    "gather": lambda d: x[d].gather(0, index([9, 0, 0], device=d)),
    "gather, negative": lambda d: x[d].gather(0, index([-1, 0, 0], device=d)),
    "scatter": lambda d: x[d].scatter(0, index([0, 3, 0], device=d), 1.0),
    "take_along_dim": lambda d: ag.take_along_dim(x[d], index([5, 0, 0], device=d), 0),
    "index": lambda d: x[d][index(4, device=d)],
    "nll_loss": lambda d: F.nll_loss(x[d], index(0, 1, 99, device=d)),
    "nll_loss with weights": lambda d: F.nll_loss(x[d], index(0, -1, 2, device=d), ag.ones(3, device=d)),
    "cross_entropy": lambda d: F.cross_entropy(x[d], index(0, 1, 3, device=d)),
    "cross_entropy of images": lambda d: F.cross_entropy(x[d].reshape(1, 3, 3), index([7, 0, 0], device=d)),
    "label smoothing": lambda d: F.cross_entropy(x[d], index(0, 1 << 35, 1, device=d), label_smoothing=0.1),
    "embedding": lambda d: F.embedding(index(0, 3, device=d), x[d]),
}
"""
SCRIPT = (
    WRONG
    + """
for name, call in CALLS.items():
    said = []
    for device in ("cpu", "cuda"):
        try:
            said.append(f"no error, {call(device).tolist()}")
        except (IndexError, RuntimeError) as error:
            said.append(f"{type(error).__name__}: {error}")
    print("same" if said[0] == said[1] else f"{name}: {said}")
F.nll_loss(x["cuda"], index(0, -100, 2, device="cuda")).item()
"""
)


def on_cuda(*rows: object, dtype: object = None) -> ag.Tensor:
    return ag.tensor(rows, dtype=dtype, device="cuda")


def test_indices_are_taken_modulo_the_size() -> None:
    x = ag.arange(9.0, device="cuda").reshape(3, 3)
    index = on_cuda([9, -1, 1 << 40], [4, 0, -7])
    wanted = np.take_along_axis(np.arange(9.0).reshape(3, 3), np.array([[9, -1, 1 << 40], [4, 0, -7]]) % 3, 0)
    assert x.gather(0, index).tolist() == wanted.tolist()
    assert ag.take_along_dim(x, index, 0).tolist() == wanted.tolist()
    assert x.T.gather(1, index.T).tolist() == wanted.T.tolist()
    assert x.gather(0, index.int()).tolist()[0][:2] == wanted.tolist()[0][:2]
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        ag.zeros(0, 2, device="cuda").gather(0, on_cuda([0, 0]))


@pytest.mark.parametrize("bad", [3, 99, 1 << 30, 1 << 35, -1])
def test_a_class_that_is_none_makes_the_loss_nan(bad: int) -> None:
    x = ag.arange(9.0, device="cuda").reshape(3, 3)
    target = on_cuda(0, bad, 1)
    for loss in (F.nll_loss, F.cross_entropy, lambda *a, **k: F.cross_entropy(*a, label_smoothing=0.1, **k)):
        assert loss(x, target).isnan().item()
        assert loss(x, target, reduction="none").isnan().tolist() == [False, True, False]
        assert loss(x.T.reshape(1, 3, 3), target.reshape(1, 3)).isnan().item()
        assert not loss(x, target, ignore_index=bad).isnan().item()


def test_a_process_that_looks_refuses_them(cuda_mode: str) -> None:
    environment = os.environ | {"AUTOGRAD_GPU_LAUNCH_BLOCKING": "2"}  # anything but 0 and nothing
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["same"] * WRONG.count("lambda d"), done.stdout
