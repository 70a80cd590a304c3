"""What benchmarks/gpu.py has measured on a card, in a process that may be lost (gpu_child.py): one row after the other.

    python benchmarks/gpu_bench.py rows [--small]        times and rates
    python benchmarks/gpu_bench.py launch [--small]      each job once, for a checker to watch

A job (gpu_jobs.py) is the same work for each contender that knows it. GB/s count what must be read and written at least, TFLOP/s
the multiplications and additions of the products, over the time of the device alone (gpu_clock.py), so that figures of different
contenders can be compared, and with what the card does at best: a plain copy, by the driver, and CuPy's largest product. Rows of
a size that fits into the card's second cache are marked: there a copy, like anything else, is faster than memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from math import prod
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "benchmarks"):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

import cupy  # noqa: E402
import numpy as np  # noqa: E402
from gpu_child import Log  # noqa: E402
from gpu_clock import Clock, Contender, synchronize  # noqa: E402
from gpu_jobs import Job, Library, attention_jobs, image_jobs, row_jobs  # noqa: E402
from gpu_steps import NETWORKS, agreement, jax_on_card, jax_step, torch_on_card, training  # noqa: E402

import autograd_gpu as ag  # noqa: E402
from autograd_gpu.backend import epilogues, gemm  # noqa: E402
from autograd_gpu.backend import kernels as loader  # noqa: E402

MB = 1 << 20
Failed = Callable[[str, Exception], None]
Row = tuple[str, str, Callable[[Failed], dict[str, Any]]]  # section, name, measure(failed) -> figures


@cache
def clock() -> Clock:
    """The clock of this process."""
    return Clock(ag.cuda.get_device_name().startswith("Emulated"))


def timed(contenders: dict[str, Contender], failed: Failed, seconds: float = 0.25, most: int = 20) -> dict[str, Any]:
    """A row: the figures of each contender, and ours over PyTorch's, on the device alone and as a program sees it."""
    clock().side_by_side(contenders, seconds, failed, most)
    row: dict[str, Any] = {who: figures for who, c in contenders.items() if (figures := c.figures())}
    for name, key in (("device_ms", "device_ratio_to_torch"), ("wall_ms", "ratio_to_torch")):
        if row.get("torch", {}).get(name) and row.get("autograd_gpu", {}).get(name):
            row[key] = round(row["autograd_gpu"][name] / row["torch"][name], 3)
    return row


# -- the card ----------------------------------------------------------------------------------------------------------------


@cache
def copy_rate(n: int) -> float:
    """GB/s of a plain copy of n bytes, read and written."""
    x = cupy.zeros(n, np.uint8)
    y = cupy.empty_like(x)
    took = timed({"copy": Contender(lambda: y.data.copy_from_device_async(x.data, n))}, _raise, 0.1)
    return round(2 * n / max(took["copy"]["device_ms"], 1e-6) / 1e6, 4)


def _raise(who: str, error: Exception) -> None:
    raise error


@cache
def second_cache() -> int:
    """Bytes of the card's L2 cache."""
    return int(cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id).get("l2CacheSize", 0))


# -- kernels -----------------------------------------------------------------------------------------------------------------


def kernel(shape: tuple[int, ...], dtype: str, job: Job, failed: Failed) -> dict[str, Any]:
    """GB/s of each contender and what share of a copy's rate of that size ours is, or TFLOP/s."""
    size = prod(shape) * np.dtype(getattr(ag, dtype)).itemsize
    contenders: dict[str, Contender] = {}
    for who, prepare in job.contenders(dtype, torch_on_card()):
        try:
            contenders[who] = Contender(prepare())
        except Exception as error:
            failed(who, error)
    row = {"job": job.name, "shape": list(shape), "dtype": dtype, "bytes": size, **timed(contenders, failed)}
    work, unit, scale = (job.flops, "tflop_s", 1e9) if job.flops else (job.bytes, "gb_s", 1e6)
    for who in contenders:
        if row.get(who, {}).get("device_ms"):
            row[who][unit] = round(work / row[who]["device_ms"] / scale, 3)
    if not job.flops:
        row["in_l2"] = size <= second_cache()
        row["copy_gb_s"] = copy_rate(size)
        if "gb_s" in row.get("autograd_gpu", {}) and row["copy_gb_s"]:
            row["share_of_copy"] = round(row["autograd_gpu"]["gb_s"] / row["copy_gb_s"], 3)
    return row


Works = list[tuple[tuple[int, ...], list[str], Callable[[str], Iterator[Job]]]]  # shape, dtypes, its jobs


def works(small: bool) -> Works:
    """What is measured, the most telling first, for time may be up before the last: memory's rate, then small sizes (4 KB,
    64 KB, 1 MB of float32), where it is the calls that take time, then other shapes."""
    f, b = ["float32"], ["bfloat16"]
    if small:
        rows, images, heads = [((33, 7), f)], [((2, 8, 6), f)], [((1, 2, 9, 8), f)]
        return _works(rows, images, heads)
    large = _works([((16384, 1024), f)], [((128, 64, 64), f)], [((8, 16, 1024, 64), f + b)])
    halves = _works([((16384, 4096), b)], [((128, 64, 64), b)], [])
    little: Works = []
    for row, image, head in (
        ((16, 64), (2, 8, 8), (1, 2, 32, 16)),
        ((64, 256), (4, 16, 16), (2, 4, 64, 32)),
        ((512, 512), (16, 16, 32), (4, 8, 128, 64)),
    ):
        little += _works([(row, f)], [(image, f)], [(head, f)])
    more = [((16384, 4096), f), ((131072, 128), f + b), ((64, 256), b), ((512, 512), b), ((32, 8192), f), ((1024, 1024), f + b)]
    return [*large, *halves, *little, *_works(more, [((256, 32, 16), f + b)], [((32, 8, 256, 64), b + f)])]


def _works(rows: list, images: list, heads: list) -> Works:
    found: Works = [(shape, dtypes, partial(row_jobs, *shape)) for shape, dtypes in rows]
    found += [((n, c, s, s), dtypes, partial(image_jobs, n, c, s)) for (n, c, s), dtypes in images]
    return found + [(shape, dtypes, partial(attention_jobs, *shape)) for shape, dtypes in heads]


def kernel_rows(small: bool) -> Iterator[Row]:
    """A row a job, shape and dtype."""
    for shape, dtypes, jobs in works(small):
        for dtype in dtypes:
            for job in jobs(dtype):
                yield "kernels", f"{job.name} {'x'.join(map(str, shape))} {dtype}", partial(kernel, shape, dtype, job)


# -- products and training steps ---------------------------------------------------------------------------------------------


def product(n: int, dtype: str, failed: Failed) -> dict[str, Any]:
    """A square product: TFLOP/s of ours, CuPy's and PyTorch's. float32 is in full precision for all three."""
    torch = torch_on_card()
    a = Library("autograd_gpu", ag, dtype).tensor(n, n).array
    bias = a[0].copy()
    contenders = {
        "autograd_gpu": Contender(lambda: gemm.multiply(a, a)),
        "autograd_gpu, transposed": Contender(lambda: gemm.multiply(a, a.T)),
        "autograd_gpu, bias": Contender(lambda: gemm.multiply(a, a, bias=bias)),
        "cupy": Contender(lambda: cupy.matmul(a, a)),
    }
    if epilogues.forward(a, a, bias, "relu") is not None:  # cuBLASLt does it
        contenders["autograd_gpu, bias and relu"] = Contender(lambda: epilogues.forward(a, a, bias, "relu"))
    if torch is not None:
        b = Library("torch", torch, dtype).tensor(n, n)
        contenders["torch"] = Contender(lambda: b @ b)
    row = timed(contenders, failed)
    for who in contenders:
        if row.get(who, {}).get("device_ms"):
            row[who]["tflop_s"] = round(2 * n**3 / row[who]["device_ms"] / 1e9, 2)
    return {"n": n, "dtype": dtype, "through_cublaslt": gemm._products(0) is not None, **row}


def step(name: str, failed: Failed) -> dict[str, Any]:
    """Milliseconds of a training step of each contender, eager but for JAX."""
    contenders = {}
    makers: dict[str, Callable[[], Contender]] = {"autograd_gpu": lambda: Contender(training(ag, name)[1])}
    if (torch := torch_on_card()) is not None:
        makers["torch"] = lambda: Contender(training(torch, name)[1])
    if (jax := jax_on_card()) is not None:
        makers["jax"] = lambda: jax_step(jax, name)
    for who, make in makers.items():
        try:
            contenders[who] = make()
        except Exception as error:
            failed(who, error)
    return {"step": name, **timed(contenders, failed, 1.0, 5)}  # more than five may not fit into the device's queue


def rate(n: int, failed: Failed) -> dict[str, Any]:
    """The rate of a plain copy."""
    return {"bytes": n, "gb_s": copy_rate(n), "in_l2": n <= second_cache()}


def rows(small: bool) -> Iterator[Row]:
    """All rows, the most valuable first."""
    networks = list(NETWORKS)[: 1 if small else None]
    for name in networks:
        yield "steps", f"step of {name}", partial(step, name)
    for name in networks[:3]:
        count = 10 if small else 100
        yield (
            "agreement",
            f"{name}, card and CPU",
            lambda failed, name=name, count=count: agreement(name, count, torch_on_card(), failed),
        )
    for n in (1,) if small else (64, 256, 1024):
        yield "copy", f"copy of {n} MB", partial(rate, n * MB)
    squares = [(64, "float32")] if small else [(n, d) for n in (8192, 4096) for d in ("bfloat16", "float32")]
    for n, dtype in squares:
        yield "products", f"product {n} {dtype}", partial(product, n, dtype)
    yield from kernel_rows(small)
    if not small:
        for n in (1024, 256, 64, 4096, 8192):
            for dtype in ("float32", "bfloat16", "float16", "float64"):
                if (n, dtype) not in squares:
                    yield "products", f"product {n} {dtype}", partial(product, n, dtype)


# -- the child's side --------------------------------------------------------------------------------------------------------


def precision() -> dict[str, Any]:
    """What float32 means to each contender: only where it is float32 for all are their times of the same work."""
    found: dict[str, Any] = {"autograd_gpu allow_tf32": gemm.allow_tf32[0]}
    if (torch := torch_on_card()) is not None:
        found["torch matmul allow_tf32"] = torch.backends.cuda.matmul.allow_tf32
        found["torch cudnn allow_tf32"] = torch.backends.cudnn.allow_tf32
    if (jax := jax_on_card()) is not None:
        found["jax_default_matmul_precision"] = jax.config.jax_default_matmul_precision
    return found


def lost() -> bool:
    """Whether the device answers no more in this process, as after an illegal address: all that follows would fail."""
    try:
        synchronize()
    except Exception:
        return True
    return False


def measure(log: Log, small: bool) -> None:
    """Every row that no earlier child began, a line of the log each. A contender that raises is left out of its row."""
    if not log.begun:
        log.write(planned=[name for _, name, _ in rows(small)])
        log.write(precision=precision())
        for name, found in (("PyTorch", torch_on_card), ("JAX", jax_on_card)):
            if found() is None:
                log.write(left_out=f"{name} does not see the card")
    for section, name, measured in rows(small):
        if name in log.begun:
            continue
        log.write(begin=name)

        def failed(who: str, error: Exception, name: str = name) -> None:
            log.write(failed=f"{name}: {who}: {type(error).__name__}: {str(error)[:300]}")

        try:
            log.write(end=name, section=section, row=measured(failed))
        except Exception as error:
            failed("the row", error)
            log.write(end=name)
        if lost():
            log.write(failed=f"{name}: the device was lost")
            os._exit(3)  # the ordinary way out would wait for the device
    log.write(finished=True)


def launches(small: bool) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Each job on sizes that leave tails: its name, and what launches it, with everything that it needs."""
    shapes = [] if small else _works([((17, 1025), ["float32"])], [], [])

    def once(job: Job, dtype: str) -> None:
        _, prepare = next(job.contenders(dtype, None))
        prepare()()

    for dtype in ["float32"] if small else ["float32", "bfloat16", "float16", "float64"]:
        for shape, _, jobs in [*works(True), *shapes]:
            for job in jobs(dtype):
                yield f"{job.name} {dtype} {'x'.join(map(str, shape))}", partial(once, job, dtype)
        if dtype == "float32":
            yield "rand", lambda: ag.rand(1001, device="cuda")
            yield "randn", lambda: ag.randn(1001, device="cuda")


def launch(log: Log, small: bool, part: int, parts: int) -> None:
    """Every launch of this part that no earlier child began, with the kernels that it took from kernels/*.cu."""
    cupy.cuda.set_allocator(None)  # a pool rounds up, and what lies behind an array is then its neighbour: no overrun is seen
    made: list[str] = []
    prepare = loader._launcher

    def noted(name: str, *rest: Any) -> Callable:
        made.append(name)
        return prepare(name, *rest)

    loader._launcher = noted
    mine = list(launches(small))[part::parts]
    if not log.begun:
        log.write(planned=len(mine))
    for name, run in mine:
        if name in log.begun:
            continue
        log.write(begin=name)
        made.clear()
        try:
            run()
            synchronize()
            log.write(end=name, kernels=made)
        except Exception as error:
            log.write(end=name, kernels=made, failed=f"{type(error).__name__}: {str(error)[:300]}")
            if lost():
                os._exit(3)
    log.write(finished=True)


if __name__ == "__main__":
    if sys.argv[1:2] not in (["rows"], ["launch"]) or "CHILD_LOG" not in os.environ:
        sys.exit(__doc__)
    if sys.argv[1] == "rows":
        measure(Log(os.environ["CHILD_LOG"]), "--small" in sys.argv)
    else:
        of = next((a for a in sys.argv if a.startswith("--part=")), "--part=0/1").removeprefix("--part=").split("/")
        launch(Log(os.environ["CHILD_LOG"]), "--small" in sys.argv, int(of[0]), int(of[1]))
