"""The counts of sectors and bank conflicts, on kernels where they are known; and floors for the project's own kernels."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import emulated_device, kernel
from .array import DeviceArray
from .profile import Traffic

ROOT = Path(__file__).resolve().parents[2]
SOURCE = """
extern "C" __global__ void apart(const float* x, float* y, int stride) { y[threadIdx.x] = x[threadIdx.x * stride]; }
extern "C" __global__ void packs(const float4* x, float4* y) { y[threadIdx.x] = x[threadIdx.x]; }
extern "C" __global__ void banks(float* y, int stride) {
  __shared__ float s[2048];
  for (int i = threadIdx.x; i < 2048; i += 32) s[i] = i;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x * stride % 2048];
}
"""


def rows(name: str, *arguments: Any) -> list[kernel.Traffic]:
    """What each instruction of a launch of one warp moved."""
    module = kernel.load_source(SOURCE)
    module[name]((1,), (32,), arguments, profile=True)
    return kernel.profile()


@pytest.mark.parametrize("stride, sectors", [(0, 1), (1, 4), (2, 8), (8, 32), (3, 12)])
def test_sectors_of_strided_reads(stride: int, sectors: int):
    x, y = DeviceArray(32 * max(stride, 1)), DeviceArray(32)
    assert x.pointer % 32 == 0 == y.pointer % 32
    x.host[...] = 0
    (read,) = [r for r in rows("apart", x, y, np.int32(stride)) if not r.write]
    (written,) = [r for r in rows("apart", x, y, np.int32(stride)) if r.write]
    assert (read.requests, read.moved, read.least) == (1, sectors, 1 if stride == 0 else 4)
    assert (written.requests, written.moved, written.least) == (1, 4, 4)


def test_sectors_of_an_array_that_is_not_aligned():
    x, y = DeviceArray(40), DeviceArray(32)
    x.host[...] = 0
    (read,) = [r for r in rows("apart", x.part(1), y, np.int32(1)) if not r.write]
    assert (read.moved, read.least) == (5, 4)


def test_packs_of_sixteen_bytes_are_one_request():
    x, y = DeviceArray(128), DeviceArray(128)
    x.host[...] = 0
    assert [(r.requests, r.moved, r.least) for r in rows("packs", x, y)] == [(1, 16, 16)] * 2


@pytest.mark.parametrize("stride, ways", [(1, 1), (2, 2), (32, 32), (33, 1), (0, 1)])
def test_bank_conflicts(stride: int, ways: int):
    found = [r for r in rows("banks", DeviceArray(32), np.int32(stride)) if r.shared and not r.write]
    assert [(r.requests, r.moved, r.least) for r in found] == [(1, ways, 1)]


# -- the project's kernels: the least share of what they move that must be needed ----------------------------------------------


def _ops() -> dict[str, tuple[Callable[[Any, Any, Any], Any], dict[str, float]]]:
    """name -> (what to run of (ag, x, y), {kernel: floor})."""

    def trained(name: str, **options: Any) -> Callable:
        def step(ag: Any, x: Any, y: Any) -> None:
            x.grad = y
            getattr(ag.optim, name)([x], **options).step()

        return step

    def back(f: Callable) -> Callable:
        return lambda ag, x, y: f(ag.nn.functional, x, y).backward(y)

    return {
        "relu": (back(lambda F, x, y: F.relu(x)), {"activation_forward": 1, "activation_backward": 1}),
        "gelu": (back(lambda F, x, y: F.gelu(x)), {"activation_forward": 1, "activation_backward": 1}),
        "softmax": (back(lambda F, x, y: F.softmax(x, -1)), {"softmax_forward": 1, "softmax_backward": 1}),
        "log_softmax": (back(lambda F, x, y: F.log_softmax(x, -1)), {"softmax_forward": 1, "softmax_backward": 1}),
        "layer_norm": (back(lambda F, x, y: F.layer_norm(x, (x.shape[-1],))), {"norm_forward": 1, "norm_backward_x": 1}),
        "rms_norm": (back(lambda F, x, y: F.rms_norm(x, (x.shape[-1],))), {"norm_forward": 1, "norm_backward_x": 1}),
        # a draw is for eight elements: a thread has two packs side by side, of which the second comes from the cache
        "dropout": (back(lambda F, x, y: F.dropout(x, 0.5)), {"dropout": 0.5}),
        "Adam": (trained("Adam"), {"adam": 0.98}),
        "SGD": (trained("SGD", lr=0.1, momentum=0.9), {"sgd": 0.98}),
        "RMSprop": (trained("RMSprop"), {"update": 0.98}),
    }


@pytest.fixture
def profiled(cp: Any) -> Any:
    device = emulated_device()
    device.traffic.clear()
    with device.using(checked=True):
        device.profiled = True
        yield device
        device.profiled = False


@pytest.mark.parametrize("columns", [128, 2048])
@pytest.mark.parametrize("name", _ops())
def test_the_projects_kernels_move_whole_sectors(name: str, columns: int, profiled: Any):
    """Rows read by a warp, and by a block."""
    import autograd_gpu as ag

    run, floors = _ops()[name]
    shape = (33, columns) if columns < 1000 else (3, columns)
    x, y = (ag.ones(*shape, device="cuda") for _ in range(2))
    run(ag, x.requires_grad_(), y)
    ag.cuda.synchronize()
    for wanted, floor in floors.items():
        found = [t for kernel_name, t in profiled.traffic.items() if wanted == kernel_name.partition("<")[0]]
        assert found, f"{wanted} was not launched: {list(profiled.traffic)}"
        assert min(t.coalesced for t in found) >= floor, found
        assert min(t.without_conflict for t in found) >= 0.9, found


@pytest.mark.parametrize("filters", [70, 32, 7])
def test_convolutions_meet_no_bank_conflicts(filters: int, profiled: Any, monkeypatch: pytest.MonkeyPatch):
    """The tiles of each height. A warp reads 8 neighbours for each of 4 rows, which seldom begin where a sector does."""
    import autograd_gpu as ag
    from autograd_gpu.backend import cudnn

    monkeypatch.setattr(cudnn, "_convolutions", lambda device: None)
    x, weight = (ag.ones(*shape, device="cuda", requires_grad=True) for shape in ((1, 16, 16, 16), (filters, 16, 3, 3)))
    out = ag.conv2d(x, weight, padding=1)
    out.backward(ag.ones_like(out))
    ag.cuda.synchronize()
    for wanted in ("conv_gather", "conv_weight"):
        found = [t for name, t in profiled.traffic.items() if wanted == name.partition("<")[0]]
        assert found, f"{wanted} was not launched: {list(profiled.traffic)}"
        assert min(t.without_conflict for t in found) >= 0.9, found
        assert min(t.coalesced for t in found) >= 0.4, found


def test_shares():
    t = Traffic(1, (8, 4), (2, 1), (4, 1))
    assert t.coalesced == 0.5 and t.without_conflict == 0.25 and Traffic().coalesced == 1


def test_a_program_can_be_profiled(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text("import cupy\nx = cupy.arange(64, dtype='f4')\nprint((x + x).sum())\n")
    command = [sys.executable, "-m", "tests.emulated_cuda", "--profile", str(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "4032" in done.stdout and "coalesced" in done.stdout and "cupy_add" in done.stdout
