"""`import autograd_gpu` is quick and brings in nothing that the core does not need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

UNWANTED = ("cupy", "matplotlib", "rich", "scipy", "torch", "safetensors", "pandas", "numba", "IPython", "pytest")


def seconds(program: str, compiled: Path) -> float:
    """How long a line takes in a fresh interpreter, as it measures itself; the best of several, which find what the first
    compiled."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(compiled)
    timed = f"import time; import numpy, ml_dtypes; t = time.perf_counter(); {program}; print(time.perf_counter() - t)"
    return min(
        float(subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True, env=environment).stdout)
        for _ in range(12)
    )


def test_importing_is_quick(tmp_path: Path) -> None:
    """Under 0.15 s over NumPy and ml_dtypes."""
    assert seconds("import autograd_gpu", tmp_path) < 0.15


def test_importing_brings_in_little() -> None:
    program = "import sys, autograd_gpu; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "autograd_gpu" in modules
    assert not set(UNWANTED) & set(modules)


def test_importing_says_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import autograd_gpu"], capture_output=True, text=True, check=True
    )
    assert done.stdout == done.stderr == ""


def test_what_is_imported_when_asked_for() -> None:
    program = "import sys, autograd_gpu as ag; print('autograd_gpu.doctor' in sys.modules, ag.doctor.watch.__name__, dir(ag))"
    words = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert words[:2] == ["False", "watch"]
    assert "'doctor'," in words
