"""torch.cuda's public face."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import autograd_gpu as ag
from autograd_gpu import cuda


def test_devices():
    assert cuda.is_available() and cuda.why_not() is None and cuda.device_count() >= 1 and cuda.is_initialized()
    assert cuda.current_device() == 0 and isinstance(cuda.get_device_name(), str)
    found = cuda.get_device_properties("cuda:0")
    assert (found.major, found.minor) == cuda.get_device_capability() >= (7, 5)
    assert cuda.is_bf16_supported() and cuda.is_bf16_supported(False) == (found.major >= 8)
    assert found.name == cuda.get_device_name(0) and found.total_memory == cuda.mem_get_info()[1] > 0
    assert found.warp_size == 32 and found.multi_processor_count > 0
    cuda.synchronize()
    for wrong in (cuda.synchronize, cuda.set_device, cuda.get_device_name):
        with pytest.raises(RuntimeError, match="invalid device ordinal 99"):
            wrong(99)
    with pytest.raises(ValueError, match="Expected a cuda device, but got: cpu"):
        cuda.set_device("cpu")


def test_the_current_device_is_what_cuda_means():
    if cuda.device_count() < 2:
        pytest.skip("one device")
    with cuda.device(1):
        assert cuda.current_device() == 1 and ag.ones(2, device="cuda").device == ag.device("cuda:1")
        assert (ag.ones(2, device="cuda") * 2 + 1).tolist() == [3, 3]
        with cuda.device(None), cuda.device(-1):
            assert cuda.current_device() == 1
    assert cuda.current_device() == 0
    assert ag.ones(2, device="cuda:1").to("cuda:0").device == ag.device("cuda:0")


def test_streams_and_events():
    s = cuda.Stream()
    assert cuda.current_stream() == cuda.default_stream() != s and s.device == ag.device("cuda:0")
    start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    x = ag.ones(1000, device="cuda")
    s.wait_stream(cuda.current_stream())
    with cuda.stream(s):
        assert cuda.current_stream() == s and len({s, cuda.current_stream()}) == 1
        start.record()
        y = x * 2
        end.record()
        with cuda.stream(None):
            assert cuda.current_stream() == s
    assert cuda.current_stream() == cuda.default_stream()
    cuda.current_stream().wait_stream(s)
    assert float(y.sum()) == 2000
    end.synchronize()
    s.synchronize()
    assert start.query() and s.query() and start.elapsed_time(end) >= 0
    assert s.record_event().query() in (True, False) and hex(s.cuda_stream) in repr(s)
    assert cuda.Stream(priority=-1).__cuda_stream__()[0] == 0


def test_random_numbers_have_one_generator():
    cuda.manual_seed_all(5)
    state = cuda.get_rng_state()
    first = ag.rand(3, device="cuda")
    cuda.set_rng_state(state)
    assert ag.equal(ag.rand(3), first.cpu()) and cuda.initial_seed() == 5
    states = cuda.get_rng_state_all()
    assert len(states) == cuda.device_count()
    cuda.set_rng_state_all(states)
    cuda.seed_all()
    assert cuda.initial_seed() != 5


def test_memory():
    cuda.empty_cache()
    ag.zeros(1, device="cuda") + 1  # the number is kept
    before = cuda.memory_allocated()
    cuda.reset_peak_memory_stats()
    x = ag.zeros(1 << 16, device="cuda")
    y = x + 1
    del y
    assert cuda.memory_allocated() - before == 1 << 18 and cuda.max_memory_allocated() - before >= 1 << 19
    assert cuda.memory_reserved() >= cuda.memory_allocated()
    summary = cuda.memory_summary()
    assert "device 0" in summary and f"{cuda.max_memory_allocated() / 2**20:,.1f} MiB" in summary
    cuda.reset_peak_memory_stats()
    assert cuda.max_memory_allocated() == cuda.memory_allocated()
    free, total = cuda.mem_get_info()
    assert 0 < free < total and x is not None


def test_what_the_pool_held_at_most():
    cuda.empty_cache()
    cuda.reset_peak_memory_stats()
    before = cuda.memory_reserved()
    assert cuda.max_memory_reserved() == before
    x = ag.zeros(3 << 20, device="cuda")
    held = cuda.memory_reserved()
    assert cuda.max_memory_reserved() == held >= before + x.nbytes
    del x
    cuda.empty_cache()
    assert cuda.memory_reserved() < held == cuda.max_memory_reserved()
    stats = cuda.memory_stats()
    assert stats["reserved_bytes.all.peak"] == held and stats["reserved_bytes.all.current"] == cuda.memory_reserved()
    assert stats["allocated_bytes.all.peak"] == cuda.max_memory_allocated() > stats["allocated_bytes.all.current"]
    cuda.reset_peak_memory_stats()
    assert cuda.max_memory_reserved() == cuda.memory_reserved()


def test_out_of_memory(cuda_device):
    total, held = cuda.mem_get_info()[1], ag.zeros(1 << 18, device="cuda")
    says = (
        rf"CUDA out of memory. Tried to allocate {total * 4 >> 30}.00 GiB. GPU 0 has a total capacity of .* is free. Arrays of "
        "this process take .*iB, its pool keeps .* A smaller batch helps"
    )
    for kind in (ag.OutOfMemoryError, cuda.OutOfMemoryError, RuntimeError, MemoryError):
        with pytest.raises(kind, match=says):
            ag.zeros(total, device="cuda")
    with pytest.raises(ag.OutOfMemoryError, match="Tried to allocate") as raised:
        (held.reshape(-1, 1) + ag.zeros(total // 4, device="cuda")).sum()  # in an op
    again = pickle.loads(pickle.dumps(raised.value))
    assert type(again) is ag.OutOfMemoryError and str(again) == str(raised.value)
    assert cuda.OutOfMemoryError.__mro__[1] is RuntimeError and (held + 1).sum().item() == 1 << 18
    if cuda_device is not None:
        with cuda_device.using(capacity=cuda.memory_reserved() + (1 << 20)), pytest.raises(RuntimeError, match="out of memory"):
            x = ag.zeros(1 << 10, device="cuda", requires_grad=True)
            for _ in range(1000):
                x = ag.cat([x, x]).exp()
    limit = pytest.importorskip("cupy").get_default_memory_pool()
    limit.set_limit(cuda.memory_reserved() + (1 << 20))
    try:
        with pytest.raises(ag.OutOfMemoryError, match="CuPy's pool may hold .* at most"):
            ag.zeros(1 << 20, device="cuda")
    finally:
        limit.set_limit(0)


WITHOUT = """
import sys
import autograd_gpu as ag
assert not any(m.partition(".")[0] in ("cupy", "cupy_backends") for m in sys.modules)
sys.modules["cupy"] = None
import importlib.util
importlib.util.find_spec = lambda name, *a, f=importlib.util.find_spec: None if name == "cupy" else f(name, *a)
cuda = ag.cuda
assert not cuda.is_available() and cuda.device_count() == 0 and not cuda.is_initialized()
assert "pip install" in cuda.why_not()
cuda.manual_seed(1)
for call in (cuda.current_device, cuda.Stream, cuda.Event, cuda.synchronize, cuda.memory_allocated,
             lambda: ag.ones(2, device="cuda"), lambda: ag.ones(2).cuda(), lambda: cuda.set_device(0)):
    try:
        call()
    except RuntimeError as error:
        assert "pip install" in str(error), error
    else:
        raise AssertionError(call)
try:
    raise ValueError
except cuda.OutOfMemoryError:
    raise
except ValueError:
    print("well")
"""


def test_without_cupy_the_remedy_is_named():
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr
