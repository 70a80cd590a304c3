"""Errors and memory of the emulated device, as real CuPy meets them."""

from __future__ import annotations

import gc

import numpy as np
import pytest


def test_out_of_memory(cp, emulated, pool, raises):
    with emulated.using(capacity=emulated.memory.used[0] + (64 << 20)):
        kept = [cp.empty(4 << 20, "f4") for _ in range(4)]
        with pytest.raises(cp.cuda.memory.OutOfMemoryError):
            cp.empty(4 << 20, "f4")
        assert cp.cuda.runtime.memGetInfo() == (0, emulated.memory.capacity)
        kept.pop()
        kept.append(cp.empty(4 << 20, "f4"))
        with raises("cudaErrorMemoryAllocation") as caught:
            cp.cuda.runtime.malloc(100)
        assert "100 bytes asked for" in caught.value.__notes__[0]


OVERRUN = """extern "C" __global__ void overrun(float* x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= n) x[i] = 1;
}"""


@pytest.mark.checked_kernels
def test_an_overrun_is_found_and_nothing_works_after_it(cp, emulated, raises, synchronize):
    x = cp.zeros(100, "f4")
    cp.RawKernel(OVERRUN, "overrun")((4,), (32,), (x, np.int32(100)))
    with raises("cudaErrorIllegalAddress") as caught:
        synchronize()
    assert "OUT OF BOUNDS" in caught.value.__notes__[0]
    for call in (lambda: x + 1, lambda: x.get(), lambda: cp.empty(1 << 20), lambda: synchronize()):
        with raises("cudaErrorIllegalAddress"):
            call()
    (entry,) = emulated.take_log()
    assert "overrun" in entry and ".cu:3" in entry


def test_an_overrun_is_found_without_the_checker_when_it_leaves_the_page(cp, emulated, raises, synchronize):
    with cp.cuda.using_allocator(None):
        x = cp.zeros(128, "f4")
    cp.RawKernel(OVERRUN, "overrun")((5,), (32,), (x, np.int32(128)))
    with raises("cudaErrorIllegalAddress"):
        synchronize()
    assert len(emulated.take_log()) == 1


def test_eager_errors_surface_at_the_call(cp, emulated, raises):
    with cp.cuda.using_allocator(None):
        x = cp.zeros(128, "f4")
    with emulated.using(policy="eager"), raises("cudaErrorIllegalAddress"):
        cp.RawKernel(OVERRUN, "overrun")((5,), (32,), (x, np.int32(128)))
    emulated.take_log()


def test_launches_that_cuda_refuses(cp, increment, raises):
    x = cp.zeros(32, "f4")
    for grid, block in (((1,), (1025,)), ((1, 65536), (1,)), ((1,), (1, 1, 65))):
        with raises("cudaErrorInvalidValue"):
            increment(grid, block, (x,))
    assert x.get().sum() == 0


def test_dynamic_shared_memory_has_a_limit(cp, raises):
    source = """extern "C" __global__ void k(float* x) {
        extern __shared__ float s[];
        s[threadIdx.x] = 1;
        x[threadIdx.x] = s[threadIdx.x];
    }"""
    kernel, x = cp.RawKernel(source, "k"), cp.zeros(32, "f4")
    with raises("cudaErrorInvalidValue"):
        kernel((1,), (32,), (x,), shared_mem=60000)
    kernel.max_dynamic_shared_size_bytes = 60000
    kernel((1,), (32,), (x,), shared_mem=60000)
    assert x.get().sum() == 32
    with raises("cudaErrorInvalidValue"):
        kernel.max_dynamic_shared_size_bytes = 228 << 10


def test_memory_of_another_device(cp, emulated, increment, raises, synchronize):
    with cp.cuda.Device(1):
        x = cp.zeros(8, "f4")
    increment((1,), (8,), (x,))
    with raises("cudaErrorIllegalAddress"):
        synchronize()
    assert "memory of device 1 used by a kernel on device 0" in emulated.take_log()[0]


def test_what_an_indexer_held_before_is_no_memory_of_another_device(cp, synchronize):
    """CuPy hands its CIndexer over with the place for indices as the heap left it: often an address of some earlier launch."""
    source = '#include <cupy/carray.cuh>\nextern "C" __global__ void sizes(long long* out, CIndexer<1> i) { *out = i.size(); }'
    with cp.cuda.Device(1):
        elsewhere = cp.zeros(8, "f4")
    out = cp.zeros(1, "i8")
    indexer = np.array((5, 5, elsewhere.data.ptr), [("size", "i8"), ("shape", "i8"), ("index", "i8")])
    cp.RawKernel(source, "sizes")((1,), (1,), (out, indexer))
    synchronize()
    assert out.get() == 5


def test_devices(cp, raises):
    assert cp.cuda.runtime.getDeviceCount() == 2
    assert cp.cuda.Device(1).compute_capability == "90"
    with cp.cuda.Device(1):
        x = cp.arange(4)
        assert x.device.id == 1
    np.testing.assert_array_equal((x.get()), np.arange(4))
    with raises("cudaErrorInvalidDevice"):
        cp.cuda.Device(2).use()
    assert cp.cuda.runtime.getDeviceProperties(0)["name"] == b"Emulated CUDA device"


def test_a_write_beside_an_allocation_is_found_when_it_is_freed(cp, emulated, synchronize):
    with cp.cuda.using_allocator(None):
        x = cp.zeros(25, "f4")  # 100 bytes, in 112
    cp.RawKernel(OVERRUN, "overrun")((4,), (32,), (x, np.int32(25)))
    synchronize()
    del x
    assert "wrote beside an allocation of 100 bytes" in emulated.take_log()[0]


# ---------------------------------------------------------------------- memory


def test_accounts(cp, emulated):
    gc.collect()
    used = emulated.memory.used[0]
    with cp.cuda.using_allocator(None):
        x = cp.empty(1000, "f4")
        assert emulated.memory.used[0] == used + 4000
        free, total = cp.cuda.runtime.memGetInfo()
        assert total - free == used + 4000
        assert emulated.memory.peak[0] >= used + 4000
        before = emulated.counters.copy()
        x.set(np.zeros(1000, "f4"))
        x.get()
        x.data.copy_from_device(cp.empty_like(x).data, 400)
    counted = emulated.counters - before
    assert (counted.host_to_device, counted.device_to_host, counted.device_to_device) == (1, 1, 1)
    del x
    assert emulated.memory.used[0] == used


def test_pools_keep_blocks(cp, emulated, pool):
    used = emulated.memory.used[0]
    x = cp.empty(1000, "f4")
    address = x.data.ptr
    del x
    assert pool.free_bytes() == 4096
    x = cp.empty(1000, "f4")
    assert x.data.ptr == address
    del x
    pool.free_all_blocks()
    assert emulated.memory.used[0] == used


def test_stream_ordered_allocator(cp, emulated, synchronize):
    used = emulated.memory.used[0]
    with cp.cuda.using_allocator(cp.cuda.malloc_async):
        x = cp.ones(1000, "f4")
        assert float(x.sum()) == 1000
    del x
    synchronize()
    assert emulated.memory.used[0] == used


def test_copies_outside_an_allocation_are_refused(cp, raises):
    with cp.cuda.using_allocator(None):
        x = cp.zeros(10, "f4")
    host = np.zeros(20, "f4")
    with raises("cudaErrorInvalidValue"):
        cp.cuda.runtime.memcpy(x.data.ptr, host.ctypes.data, 80, 1)
    with raises("cudaErrorInvalidValue"):
        cp.cuda.runtime.memcpy(x.data.ptr, host.ctypes.data, 40, 2)  # the wrong direction


def test_dlpack_shares_memory(cp):
    x = cp.arange(6, dtype="f4")
    y = cp.from_dlpack(x)
    y += 1
    assert y.data.ptr == x.data.ptr
    np.testing.assert_array_equal(x.get(), np.arange(1, 7))
