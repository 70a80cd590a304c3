"""Fixtures of the tests of the emulated device."""

from __future__ import annotations

import pytest


@pytest.fixture
def emulated(cuda_device):
    """The device's controls. What is tested here is the emulation, so there is nothing to do on a card."""
    if cuda_device is None:
        pytest.skip("for the emulated device")
    return cuda_device


@pytest.fixture
def cp(emulated):
    import cupy

    return cupy


@pytest.fixture
def raises(cp):
    """``raises(name)`` expects the CUDA error of this name."""
    return lambda name: pytest.raises(cp.cuda.runtime.CUDARuntimeError, match=name)


@pytest.fixture
def synchronize(cp):
    """Waits for the current device."""
    return lambda: cp.cuda.Device().synchronize()


@pytest.fixture
def increment(cp):
    """A kernel that adds 1 to as many floats as there are threads."""
    source = """extern "C" __global__ void increment(float* x) { x[blockIdx.x * blockDim.x + threadIdx.x] += 1; }"""
    return cp.RawKernel(source, "increment")


@pytest.fixture
def pool(cp):
    """A fresh memory pool, so that no cached block of another test is handed out."""
    pool = cp.cuda.MemoryPool()
    with cp.cuda.using_allocator(pool.malloc):
        yield pool
