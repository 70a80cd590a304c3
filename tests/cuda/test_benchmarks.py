"""The script for a machine with a card, rehearsed on the emulated device so that it does not rot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNELS = {"activation", "attention", "conv", "embedding", "norm", "optim", "pool", "random", "scatter", "softmax"}  # files


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_every_stage_writes_its_section(tmp_path: Path, cuda_mode: str):
    import sys

    if cuda_mode != "emulated":
        pytest.skip("on a card the script itself is run")
    environment = os.environ | {"OUT": str(tmp_path), "PYTHON": sys.executable}
    stages = ["memory", "bench", "kernels", "tests"]
    command = [str(ROOT / ".ci" / "gpu"), "--emulated", *stages]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = tmp_path.iterdir()
    assert file.name == "emulated-cuda-device.json"
    found = json.loads(file.read_text())
    assert set(found) == {"card", *stages} and found["card"]["emulated"]
    assert found["memory"]["most_allocated"] >= found["memory"]["allocated"] >= 3 * found["memory"]["parameter_bytes"]
    assert {row["job"] for row in found["bench"]["kernels"]} >= {
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
    assert found["bench"]["steps"][0]["autograd_gpu"]["min_ms"] > 0 and found["bench"]["products"][0]["cupy"]["tflop_s"] >= 0
    assert "PyTorch does not see the card" in found["bench"]["left_out"] or found["bench"]["steps"][0]["torch"]
    launched = next(section for section in found["kernels"].values() if isinstance(section, dict) and "launched" in section)
    assert len(launched["launched"]) > 40 and launched["exit_status"] == 0
    assert {line.partition(".cu:")[0] for line in launched["kernel"]} >= KERNELS
    assert found["tests"]["passed"] >= 9 and found["tests"]["failed"] == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_wrong_use_is_explained():
    done = subprocess.run([str(ROOT / ".ci" / "gpu"), "everything"], capture_output=True, text=True)
    assert done.returncode == 2 and "tests] [kernels]" in done.stderr
