"""The checker: it names the line of each mistake in samples/wrong.cu, and is silent about samples/right.cu."""

from __future__ import annotations

import ctypes
import re
import threading
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from . import build, kernel
from .array import DeviceArray, runtime, to_device, used_bytes

pytestmark = pytest.mark.skipif(build.missing() is not None, reason=str(build.missing()))

SAMPLES = Path(__file__).parent / "samples"
N = 101  # two blocks of 64, the second one not full; no whole number of packs


def expectations() -> dict[str, dict[int, list[str]]]:
    """The marked lines of samples/wrong.cu: kernel, line, kinds."""
    found: dict[str, dict[int, list[str]]] = {}
    name = ""
    for number, line in enumerate((SAMPLES / "wrong.cu").read_text().splitlines(), 1):
        if match := re.match(r"KERNEL\((\w+)\)", line):
            name = match[1]
        if "// <- " in line:
            found.setdefault(name, {})[number] = line.split("// <- ")[1].split(" | ")
    return found


EXPECTED = expectations()


def wrong(name: str, *, checked: bool = True, **options) -> kernel.KernelError:
    """What is raised by a launch of a wrong kernel."""
    module = kernel.load(SAMPLES / "wrong.cu", checked=checked)
    x, y = to_device(np.zeros(N, np.float32)), to_device(np.arange(N, dtype=np.float32))
    with pytest.raises(kernel.KernelError) as caught:
        module[name]((2,), (64,), (x, y, np.int32(N)), 256, timeout_ms=100, **options)
    return caught.value


@pytest.mark.parametrize("order", [kernel.ASCENDING, kernel.DESCENDING, kernel.RANDOM])
@pytest.mark.parametrize("name", EXPECTED)
def test_mistake_is_found(name: str, order: int) -> None:
    error = wrong(name, order=order)
    lines = EXPECTED[name]
    place = re.search(r"wrong\.cu:(\d+)", error.where)
    assert place is not None, str(error)
    assert int(place[1]) in lines, str(error)
    assert error.kind in {kind for kinds in lines.values() for kind in kinds}, str(error)
    if error.kind == "RACE":
        assert re.search(r"wrong\.cu:\d+", error.other), str(error)


@pytest.mark.parametrize(
    "name",
    ["far_away", "null_pointer", "dynamic_overrun", "static_overrun", "return_before_barrier", "two_collectives", "endless"],
)
def test_plain_execution_finds_the_worst(name: str) -> None:
    error = wrong(name, checked=False)
    if name == "far_away":  # a fault knows the address only
        assert error.kind in ("OUT OF BOUNDS", "ILLEGAL ADDRESS")
    elif name != "static_overrun":  # found when the block has ended
        assert error.kind in {kind for kinds in EXPECTED[name].values() for kind in kinds}


def test_error_names_kernel_thread_and_both_lines() -> None:
    error = wrong("lost_update_between_blocks", order=kernel.ASCENDING)
    assert error.kernel == "lost_update_between_blocks"
    assert re.search(
        r"RACE: read after write of byte 0 of an allocation of 404 bytes, .* block \(0,0,0\) thread \(0,0,0\)", str(error)
    )
    assert "[block (1,0,0) thread (0,0,0)]" in str(error)
    assert error.where == error.other


def test_lines_of_inlined_functions() -> None:
    source = "__device__ __forceinline__ float get(const float* p) {\n  return *p;\n}\n"
    source += 'extern "C" __global__ void k(float* x) {\n  x[0] = get(x + 1);\n}\n'
    module = kernel.load_source(source, path="inlined.cu")
    with pytest.raises(kernel.KernelError) as caught:
        module["k"]((1,), (1,), (DeviceArray(1),))
    assert caught.value.where.endswith("inlined.cu:5")
    assert "inlined.cu:2" in caught.value.where


RIGHT = {
    "reverse_block": lambda x: x[:64] == 63 - np.arange(64),
    "last_block": lambda x: (x[0] == 0, x[1] == 3),
    "last_block_one_fence": lambda x: (x[0] == 0, x[1] == 3),
    "spin_on_flag": lambda x: x[1] == 7,
    "histogram": lambda x: x[:4] == 48,
    "warp_exchange": lambda x: x[:64] == np.arange(64) ^ 1,
    "scan": lambda x: x[:32] == np.cumsum(np.arange(32)),
    "exited_lanes": lambda x: x[0] == 20,
    "half_warps": lambda x: x[:64] == np.where(np.arange(64) % 32 < 16, 1, 2),
    "neighbouring_halves": lambda x: x.view(np.float16)[:64] == np.arange(64),
    "bytes_then_words": lambda x: x[:64] == 1,
    "counting_barriers": lambda x: x[:3] == [21, 1, 0],
    "compare_and_swap": lambda x: x[0] == 192,
    "grid_barrier": lambda x: x[:192] == (np.arange(192) + 64) % 192,
    "tiles": lambda x: x[:64] == 28,
    "async_copies": lambda x: x[:64] == np.arange(64),
    "tensor_cores": lambda x: x.reshape(16, 16) == np.arange(16)[:, None],
    "constants": lambda x: x[:64] == 11 + np.arange(64) % 4,
}


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("name", RIGHT)
def test_no_false_alarm(name: str, checked: bool) -> None:
    module = kernel.load(SAMPLES / "right.cu", checked=checked)
    together = name in ("grid_barrier", "spin_on_flag")
    y = to_device(np.arange(256, dtype=np.float32))
    schedules = [(kernel.ASCENDING, 1, 0), (kernel.DESCENDING, 1, 0), *((kernel.RANDOM, seed, seed % 2 * 3) for seed in range(6))]
    for order, seed, preempt in schedules:
        x = to_device(np.zeros(256, np.float32))
        resident = 3 if together else 1 + seed % 3
        module[name]((3,), (64,), (x, y, np.int32(256)), 256, order=order, seed=seed, preempt=preempt, resident=resident)
        assert np.all(RIGHT[name](x.host)), (order, seed)


def test_every_sample_is_tested() -> None:
    assert set(kernel.load(SAMPLES / "right.cu", checked=True).kernels) == set(RIGHT)
    assert set(kernel.load(SAMPLES / "wrong.cu", checked=True).kernels) == set(EXPECTED)


def test_lenient_mode_takes_a_shuffle_for_a_barrier() -> None:
    module = kernel.load(SAMPLES / "wrong.cu", checked=True)
    x, y = DeviceArray(N), DeviceArray(N)
    module["shuffle_is_no_barrier"]((1,), (64,), (x, y, np.int32(N)), 256, strict=False)
    assert np.all(x.host[:64] == 2)


def test_blocks_that_must_run_together_say_so() -> None:
    module = kernel.load(SAMPLES / "right.cu", checked=True)
    with pytest.raises(kernel.KernelError, match="1 of 3 blocks run at the same time"):
        module["grid_barrier"]((3,), (64,), (DeviceArray(256), DeviceArray(256), np.int32(256)), 256)


# ---- memory


def test_use_after_free() -> None:
    for checked in (False, True):
        module = kernel.load(SAMPLES / "right.cu", checked=checked)
        x, y = DeviceArray(256), DeviceArray(256)
        y.free()
        with pytest.raises(kernel.KernelError, match="USE AFTER FREE"):
            module["reverse_block"]((1,), (64,), (x, y, np.int32(256)), 256)


def test_host_pointer() -> None:
    module = kernel.load(SAMPLES / "right.cu", checked=True)
    host = np.zeros(256, np.float32)
    values = [ctypes.c_uint64(host.ctypes.data), ctypes.c_uint64(host.ctypes.data), ctypes.c_int32(256)]
    pointers = (ctypes.c_void_p * 3)(*map(ctypes.addressof, values))
    with pytest.raises(kernel.KernelError, match="ILLEGAL ADDRESS"):
        module["reverse_block"].launch_raw((1,), (64,), pointers, 256)


def test_memory_is_counted_limited_and_watched() -> None:
    before = used_bytes()
    a = DeviceArray(5)
    assert used_bytes() == before + 32
    assert runtime().emu_is_device(a.pointer, 20)
    assert not runtime().emu_is_device(a.pointer, 21)
    assert runtime().emu_base(a.pointer + 8, None) == a.pointer
    runtime().emu_set_limit(before + 64)
    try:
        with pytest.raises(MemoryError):
            DeviceArray(100)
    finally:
        runtime().emu_set_limit(2**64 - 1)
    a.free()
    assert used_bytes() == before
    p = runtime().emu_malloc(20)
    (ctypes.c_ubyte * 32).from_address(p)[20] = 1  # beside it
    assert runtime().emu_free(p) == 1
    assert runtime().emu_free(p) == -1
    assert DeviceArray((0, 3)).host.shape == (0, 3)


def test_views_keep_memory_alive() -> None:
    view = to_device(np.arange(6, dtype=np.int16)).host[2:]
    assert list(view) == [2, 3, 4, 5]


def test_touched_bytes() -> None:
    module = kernel.load(SAMPLES / "right.cu", checked=True)
    x, y = to_device(np.zeros(256, np.float32)), to_device(np.zeros(256, np.float32))
    module["reverse_block"]((1,), (64,), (x, y, np.int32(256)), 256)
    found = {t.base: t for t in kernel.touched()}
    assert found[x.pointer] == kernel.Touch(x.pointer, None, (x.pointer, x.pointer + 256))
    assert found[y.pointer] == kernel.Touch(y.pointer, (y.pointer, y.pointer + 256), None)


# ---- arguments and launches

SIGNATURE = """
#include <cuda_bf16.h>
#include <cuda_fp16.h>
struct Pair { float a; int b; };
extern "C" __global__ void __launch_bounds__(8 * 16) many(const double* d, __half* h, __nv_bfloat16* g, const void* v, bool b,
    long long i, unsigned u, float f, __half half, Pair pair) {
  if (threadIdx.x == 0) h[0] = __float2half(f + pair.a + pair.b + (float)half);
}
"""


def test_arguments_must_have_exactly_the_right_type() -> None:
    module = kernel.load_source(SIGNATURE)
    assert list(map(str, module["many"].parameters)) == (
        [*"float64* half* bfloat16* void* bool int64 uint32 float32 half".split(), "struct of 8 bytes"]
    )
    d, h = DeviceArray(1, np.float64), DeviceArray(1, np.float16)
    g, v = DeviceArray(1, ml_dtypes.bfloat16), DeviceArray(1, np.int8)
    pair = np.array((2, 3), [("a", "f4"), ("b", "i4")])
    good = [d, h, g, v, np.bool_(True), np.int64(1), np.uint32(2), np.float32(1.5), np.float16(4), pair[()]]
    module["many"]((1,), (128,), good)
    assert h.host[0] == 10.5
    arrays = [(0, h), (1, g), (2, h), (0, np.ones(1))]
    scalars = [(4, 1), (5, np.int32(1)), (6, np.int32(1)), (7, 1.5), (7, np.float64(1)), (9, b"")]
    for i, bad in arrays + scalars:
        with pytest.raises(TypeError, match=f"argument {i} must be"):
            module["many"]((1,), (1,), [*good[:i], bad, *good[i + 1 :]])
    with pytest.raises(TypeError, match="takes 10 arguments"):
        module["many"]((1,), (1,), good[:9])


def test_shared_memory_of_each_kernel() -> None:
    source = """
    __device__ int helper(int i) { __shared__ int h[4]; h[i] = i; __syncthreads(); return h[0]; }
    template <class T> __global__ void first(T* x) {
      __shared__ T room[32];
      room[threadIdx.x] = 1;
      __syncthreads();
      x[0] = room[1];
    }
    extern "C" __global__ void second(float* x) { __shared__ char c; c = 2; __syncthreads(); x[0] = c; }
    extern "C" __global__ void third(float* x) { x[0] = helper(threadIdx.x); }
    """
    module = kernel.load_source(source, ["first<float>", "first<double>"])
    sizes = {name: k.shared_bytes for name, k in module.kernels.items()}
    # what a function that is no kernel declares counts for each
    assert sizes == {"first<float>": 128 + 16, "first<double>": 256 + 16, "second": 1 + 16, "third": 16}


def test_impossible_launches() -> None:
    module = kernel.load(SAMPLES / "right.cu", checked=True)
    arguments = (DeviceArray(256), DeviceArray(256), np.int32(256))
    shapes = [((0,), (64,), 0), ((1,), (1025,), 0), ((1,), (1, 1, 65), 0), ((1, 70000), (1,), 0), ((1,), (64,), 240 << 10)]
    for grid, block, shared in shapes:
        with pytest.raises(kernel.LaunchError):
            module["scan"](grid, block, arguments, shared)
    with pytest.raises(kernel.LaunchError, match="launch bounds"):
        kernel.load_source(SIGNATURE)["many"].launch_raw((1,), (129,), None)


def test_compiler_errors_are_shown() -> None:
    with pytest.raises(build.BuildError, match="bad.cu:2.*undeclared_thing"):
        kernel.load_source('extern "C" __global__ void k(float* x) {\n  x[0] = undeclared_thing;\n}', path="bad.cu")


def test_launches_from_another_thread() -> None:
    module = kernel.load(SAMPLES / "right.cu", checked=True)
    failures = []

    def work() -> None:
        try:
            x, y = to_device(np.zeros(256, np.float32)), to_device(np.arange(256, dtype=np.float32))
            for name in ("warp_exchange", "bytes_then_words"):
                module[name]((3,), (64,), (x, y, np.int32(256)), 256)
                assert np.all(RIGHT[name](x.host))
            with pytest.raises(kernel.KernelError, match="TIMEOUT"):
                kernel.load(SAMPLES / "wrong.cu", checked=True)["endless"]((1,), (64,), (x, y, np.int32(256)), 256, timeout_ms=50)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
