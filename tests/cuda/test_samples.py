"""Every line of tests/samples on a CUDA device: values and gradients are the CPU's. Where there are several devices, the tensors
lie on the second while the first is the current one, so that each op finds its device by itself.

On the emulated device every kernel is compiled when it first runs. A second process runs the same lines from the last to the
first, so that two compilers are at work: who comes to a kernel second finds it in the cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.core.tensor import Tensor

from ..samples import Sample, discover
from ..support import DTYPES, Call, close, cotangents, gradients, same_results

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = discover()
# float32: how far sums in another order, and functions of another library, may be apart, relative to the largest element
TOLERANCE = 5e-6
STAYS = {"create.Tensor.to-1"}  # asks for the CPU

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def _second_compiler(cuda_mode: str) -> Iterator[None]:
    """See the head of this file. Workers of pytest-xdist are several already."""
    if cuda_mode != "emulated" or "PYTEST_XDIST_WORKER" in os.environ or (os.cpu_count() or 1) < 2:
        yield
        return
    command = [sys.executable, "-m", f"{__package__}.{Path(__file__).stem}"]
    other = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield
    other.kill()
    other.wait()


def place() -> str:
    return f"cuda:{ag.cuda.device_count() - 1}"


def devices(tensors: list[Any]) -> set[str]:
    return {str(t.device) for t in tensors if isinstance(t, Tensor)}


def on_device(call: Call, dtype: np.dtype) -> tuple[Any, list[np.ndarray], list[Tensor]]:
    """What a call gives on the device, the gradients of its outputs that were chosen, and the gradients of its inputs."""
    ag.manual_seed(0)
    ran = call.ours(call.cast(dtype), device=place())
    if not (call.sample.grad and call.floats and ran.recorded):
        return ran, [], []
    weights = cotangents(ran)
    return ran, weights, gradients(ran, weights)


def chosen(sample: Sample) -> np.dtype:
    return DTYPES["float32" if "float32" in sample.dtypes else sample.dtypes[0]]


@pytest.mark.usefixtures("_second_compiler")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.id)
def test_results_equal_the_cpus(sample: Sample):
    call, dtype = Call(sample), chosen(sample)
    limit = (TOLERANCE if sample.tolerance <= 1e-8 else 1e-4) if dtype == np.float32 else max(1e-12, sample.tolerance)
    ours, weights, found = on_device(call, dtype)
    ag.manual_seed(0)
    theirs = call.ours(call.cast(dtype))
    assert ag.cuda.current_device() == 0
    if sample.id not in STAYS:
        assert devices(ours.outs) <= {place()} and devices(found) <= {place()}
    same_results(ours, theirs, limit)
    assert len(ours.recorded) == len(theirs.recorded)
    for g, e in zip(found, gradients(theirs, weights) if weights else [], strict=True):
        assert g.dtype == e.dtype
        close(g, e, limit, "gradient", scale=True)


def _compile() -> None:
    import warnings

    from ..emulated_cuda import install

    install()
    warnings.simplefilter("ignore")
    for sample in reversed(SAMPLES):
        try:
            on_device(Call(sample), chosen(sample))
        except Exception:  # the test says so
            continue


if __name__ == "__main__":
    _compile()
