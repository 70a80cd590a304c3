"""What benchmarks/gpu.py measures on a card: kernels, products, training steps, memory.

    python benchmarks/gpu_bench.py launch [--small]      launches each job once, for a checker to watch

A job (gpu_jobs.py) is the same work for each contender that knows it. GB/s count what must be read and written at least, TFLOP/s
the multiplications and additions of the products, so that figures of different contenders can be compared, and with what the card
does at best: `copy`, the rate of a plain copy (of the driver), and `matmul`, that of CuPy's largest product.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "benchmarks"):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

import cupy  # noqa: E402
import numpy as np  # noqa: E402
from gpu_jobs import Job, attention_jobs, image_jobs, row_jobs  # noqa: E402

import autograd_gpu as ag  # noqa: E402
from autograd_gpu.backend import gemm  # noqa: E402
from autograd_gpu.backend import kernels as loader  # noqa: E402

MB = 1 << 20
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else JAX takes most of the card's memory


# -- the clock ---------------------------------------------------------------------------------------------------------------


def milliseconds(run: Callable[[], Any], wait: Callable[[], Any], repeats: int, calls: int) -> dict[str, float]:
    """Time of a call: `calls` calls between two waits, `repeats` times, after two that do not count."""
    for _ in range(2):
        run()
    wait()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        for _ in range(calls):
            run()
        wait()
        times.append((time.perf_counter() - started) * 1e3 / calls)
    return {"median_ms": statistics.median(times), "min_ms": min(times)}


def synchronize() -> None:
    """Wait for the device."""
    cupy.cuda.Device().synchronize()


def torch_on_card() -> Any:
    """PyTorch, if it is installed and sees the card that CuPy uses; else None."""
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


# -- kernels -----------------------------------------------------------------------------------------------------------------


def copy_rate(n: int, repeats: int) -> float:
    """GB/s of a plain copy of n bytes, read and written."""
    x = cupy.zeros(n, np.uint8)
    y = cupy.empty_like(x)
    took = milliseconds(lambda: y.data.copy_from_device_async(x.data, n), synchronize, repeats, 10)
    return 2 * n / took["min_ms"] / 1e6


def kernels(
    works: list[tuple[list[int], Callable[[str], Iterator[Job]]]], dtypes: list[str], repeats: int, calls: int, ends: float
) -> Iterator[dict[str, Any]]:
    """A row a job, shape and dtype: GB/s of each contender and what share of a copy's rate of that size ours is, or TFLOP/s."""
    torch = torch_on_card()
    for shape, jobs in works:
        for dtype in dtypes:
            copied = copy_rate(math.prod(shape) * np.dtype(getattr(ag, dtype)).itemsize, repeats)
            for job in jobs(dtype):
                if time.perf_counter() > ends:
                    return
                row: dict[str, Any] = {"job": job.name, "shape": shape, "dtype": dtype, "copy_gb_s": round(copied, 1)}
                for who, call in job.contenders(dtype, torch):
                    took = milliseconds(call, synchronize, repeats, calls)
                    if job.flops:
                        row[who] = {**took, "tflop_s": round(job.flops / took["min_ms"] / 1e9, 3)}
                    else:
                        row[who] = {**took, "gb_s": round(job.bytes / took["min_ms"] / 1e6, 1)}
                    del call  # before the next contender makes its arrays
                if not job.flops:
                    row["share_of_copy"] = round(row["autograd_gpu"]["gb_s"] / copied, 3)
                if "torch" in row:
                    row["ratio_to_torch"] = round(row["autograd_gpu"]["min_ms"] / row["torch"]["min_ms"], 3)
                yield row


def works(small: bool) -> list[tuple[list[int], Callable[[str], Iterator[Job]]]]:
    """What is measured: (shape, its jobs), the most telling first, for time may be up before the last."""
    rows = [(33, 7)] if small else [(16384, 1024), (16384, 4096), (32, 1024), (131072, 128), (1024, 1024)]
    images = [(2, 8, 6)] if small else [(64, 64, 56), (256, 32, 16)]
    heads = [(1, 2, 9, 8)] if small else [(8, 16, 1024, 64), (32, 8, 256, 64)]
    found: list[tuple[list[int], Callable[[str], Iterator[Job]]]] = []
    found += [([n, c, s, s], partial(image_jobs, n, c, s)) for n, c, s in images]
    found += [(list(shape), partial(attention_jobs, *shape)) for shape in heads]
    by_rows = [([m, n], partial(row_jobs, m, n)) for m, n in rows]
    return [*by_rows[:1], *found, *by_rows[1:]]


def products(sizes: list[int], dtypes: list[str], repeats: int, calls: int, ends: float) -> Iterator[dict[str, Any]]:
    """A row a square product: TFLOP/s of ours, CuPy's and PyTorch's. float32 is in full precision for all three."""
    torch = torch_on_card()
    for n in sizes:
        for dtype in dtypes:
            if time.perf_counter() > ends:
                return
            x = ag.tensor(np.random.default_rng(0).standard_normal((n, n)), dtype=getattr(ag, dtype), device="cuda")
            a, bias = x.array, x.array[0].copy()
            contenders: dict[str, Callable] = {
                "autograd_gpu": lambda a=a: gemm.multiply(a, a),
                "autograd_gpu, transposed": lambda a=a: gemm.multiply(a, a.T),
                "autograd_gpu, bias and relu": lambda a=a, bias=bias: gemm.multiply(a, a, bias=bias, activation="relu"),
                "cupy": lambda a=a: cupy.matmul(a, a),
            }
            if torch is not None:
                b = torch.tensor(x.double().cpu().numpy(), device="cuda").to(getattr(torch, dtype))
                contenders["torch"] = lambda b=b: b @ b
            row: dict[str, Any] = {"n": n, "dtype": dtype, "through_cublaslt": gemm._products(0) is not None}
            for who, call in contenders.items():
                took = milliseconds(call, synchronize, repeats, calls)
                row[who] = {**took, "tflop_s": round(2 * n**3 / took["min_ms"] / 1e9, 2)}
            yield row


# -- training steps ----------------------------------------------------------------------------------------------------------


def training_step(f: SimpleNamespace, sizes: list[int], batch: int) -> Callable[[], None]:
    """A step of a network with ReLUs, cross entropy and Adam: ours, or PyTorch's."""
    rng = np.random.default_rng(0)
    layers: list[Any] = []
    for m, n in zip(sizes, sizes[1:], strict=False):
        layers += [f.nn.Linear(m, n), f.nn.ReLU()]
    model = f.nn.Sequential(*layers[:-1]).to("cuda")
    optimizer, loss_of = f.optim.Adam(model.parameters()), f.nn.CrossEntropyLoss()
    x = f.tensor(rng.normal(size=(batch, sizes[0])).astype("f4"), device="cuda")
    y = f.tensor(rng.integers(0, sizes[-1], batch), device="cuda")

    def run() -> None:
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


def jax_step(jax: Any, sizes: list[int], batch: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """The same step in JAX, compiled, and how to wait for it."""
    jnp, rng = jax.numpy, np.random.default_rng(0)
    weights = [(rng.normal(size=(m, n)) / m**0.5, np.zeros(n)) for m, n in zip(sizes, sizes[1:], strict=False)]
    weights = jax.tree.map(lambda a: jnp.asarray(a, "float32"), weights)
    x, y = jnp.asarray(rng.normal(size=(batch, sizes[0])), "float32"), jnp.asarray(rng.integers(0, sizes[-1], batch))

    def loss(weights: Any) -> Any:
        h = x
        for w, b in weights[:-1]:
            h = jax.nn.relu(h @ w + b)
        logits = jax.nn.log_softmax(h @ weights[-1][0] + weights[-1][1])
        return -jnp.take_along_axis(logits, y[:, None], 1).mean()

    @jax.jit
    def step(state: Any) -> Any:
        weights, m, v, t = state
        g = jax.grad(loss)(weights)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        new = jax.tree.map(lambda w, m, v: w - 1e-3 * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), weights, m, v)
        return new, m, v, t + 1

    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = [(weights, zeros, zeros, jnp.float32(1))]

    def run() -> None:
        state[0] = step(state[0])

    return run, lambda: jax.block_until_ready(state[0])


STEPS = {"digits 64-128-10, batch 32": ([64, 128, 10], 32), "MLP 784-256-128-10, batch 64": ([784, 256, 128, 10], 64)}
STEPS["MLP 784-256-128-10, batch 512"] = ([784, 256, 128, 10], 512)


def steps(names: list[str], repeats: int, calls: int, left_out: list[str]) -> Iterator[dict[str, Any]]:
    """A row a network: milliseconds of a step of each contender, eager but for JAX."""
    torch = torch_on_card()
    jax = None
    try:
        import jax

        if jax.default_backend() != "gpu":
            left_out.append("JAX does not see the card")
            jax = None
    except ImportError:
        pass
    for name in names:
        sizes, batch = STEPS[name]
        runs = {
            "autograd_gpu": (
                training_step(SimpleNamespace(nn=ag.nn, optim=ag.optim, tensor=ag.tensor), sizes, batch),
                synchronize,
            )
        }
        if torch is not None:
            runs["torch"] = (
                training_step(SimpleNamespace(nn=torch.nn, optim=torch.optim, tensor=torch.tensor), sizes, batch),
                synchronize,
            )
        if jax is not None:
            runs["jax"] = jax_step(jax, sizes, batch)
        row: dict[str, Any] = {"step": name}
        for who, (call, wait) in runs.items():
            row[who] = milliseconds(call, wait, repeats, calls)
        if "torch" in row:
            row["ratio_to_torch"] = round(row["autograd_gpu"]["min_ms"] / row["torch"]["min_ms"], 3)
        yield row


# -- the stages --------------------------------------------------------------------------------------------------------------


def bench(options: argparse.Namespace, left_out: list[str], save: Callable[[dict], None]) -> dict[str, Any]:
    """Rates and times; what is measured is saved as it comes."""
    small = options.small
    repeats, calls = (1, 1) if small else (9, 20)
    ends = time.perf_counter() + options.seconds * 0.8
    if torch_on_card() is None:
        left_out.append("PyTorch does not see the card")
    section: dict[str, Any] = {"steps": list(steps(list(STEPS)[: 1 if small else None], repeats, 2 if small else 100, left_out))}
    save(section)
    sizes = [64] if small else [256, 1024, 4096, 8192]
    half = time.perf_counter() + (ends - time.perf_counter()) * 0.4
    dtypes = ["float32"] if small else ["float32", "bfloat16", "float16", "float64"]
    section["products"] = list(products(sizes, dtypes, min(repeats, 5), 1 if small else 5, half))
    save(section)
    section["kernels"] = []
    for row in kernels(works(small), dtypes[:1] if small else ["float32", "bfloat16"], repeats, calls, ends):
        section["kernels"].append(row)
    if time.perf_counter() > ends:
        left_out.append("kernels: not all were measured in time")
    section["copy_gb_s"] = round(copy_rate(MB if small else 256 * MB, repeats), 1)
    return section


def memory(options: argparse.Namespace, left_out: list[str]) -> dict[str, Any]:
    """Bytes during a training run: allocated at its end and at most, held by the pool, in use by the driver."""
    batch = 64 if options.small else 8192
    sizes = [64, 32, 10] if options.small else [784, 4096, 4096, 10]
    ag.cuda.synchronize()
    free, total = ag.cuda.mem_get_info()
    ag.cuda.reset_peak_memory_stats()
    before = ag.cuda.memory_allocated()
    step = training_step(SimpleNamespace(nn=ag.nn, optim=ag.optim, tensor=ag.tensor), sizes, batch)
    for _ in range(3):
        step()
    ag.cuda.synchronize()
    parameters = sum(m * n + n for m, n in zip(sizes, sizes[1:], strict=False))
    section = {
        "network": "-".join(map(str, sizes)),
        "batch": batch,
        "parameter_bytes": 4 * parameters,
        "allocated": ag.cuda.memory_allocated() - before,
        "most_allocated": ag.cuda.max_memory_allocated() - before,
        "reserved": ag.cuda.memory_reserved(),
        "driver_in_use": free - ag.cuda.mem_get_info()[0],
        "total": total,
    }
    torch = torch_on_card()
    if torch is None:
        left_out.append("PyTorch does not see the card")
        return section
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step = training_step(SimpleNamespace(nn=torch.nn, optim=torch.optim, tensor=torch.tensor), sizes, batch)
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    section["torch"] = {
        "allocated": torch.cuda.memory_allocated() - before,
        "most_allocated": torch.cuda.max_memory_allocated() - before,
        "reserved": torch.cuda.memory_reserved(),
    }
    return section


def launch(small: bool) -> None:
    """Each job once, on sizes that leave tails. Says which jobs, which kernels of kernels/*.cu they launched, and which not."""
    made: list[str] = []
    prepare = loader._launcher

    def noted(name: str, *rest: Any) -> Callable:
        made.append(name)
        return prepare(name, *rest)

    loader._launcher = noted
    for dtype in ["float32"] if small else ["float32", "float16", "bfloat16", "float64"]:
        shapes = [] if small else [([17, 1025], partial(row_jobs, 17, 1025))]
        for shape, jobs in [*works(True), *shapes]:
            for job in jobs(dtype):
                _, call = next(job.contenders(dtype, None))
                call()
                synchronize()
                print(f"launched: {job.name} {dtype} {'x'.join(map(str, shape))}", flush=True)
    for draw in (ag.rand, ag.randn):
        draw(1001, device="cuda")
        synchronize()
    for name in made:
        print(f"kernel: {name}")
    known = {name.partition("<")[0] for name in made}
    for file in loader.files():
        for name in loader.templates(file):
            if f"{file}: {name}" not in known:
                print(f"not launched: {file}: {name}")


if __name__ == "__main__":
    if sys.argv[1:2] != ["launch"]:
        sys.exit(__doc__)
    launch("--small" in sys.argv)
