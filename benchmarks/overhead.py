"""What recording and backward cost, side by side with PyTorch in one run, as ratios: below 1 this package is faster.

    python benchmarks/overhead.py [--save] [--quick]

Contenders take turns, so that a busy moment of the machine meets both. One thread each. Shown are the medians and minima
over the turns; the ratio that counts is that of the minima, which other processes disturb least."""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import autograd_gpu as ag
from autograd_gpu.core import fast, graph
from autograd_gpu.ops import perceptron

RESULTS = Path(__file__).parent / "results" / "overhead.json"
README = Path(__file__).parent.parent / "README.md"


def take_turns(contenders: dict[str, Callable[[], Any]], calls: int, turns: int) -> dict[str, list[float]]:
    """Seconds a call, per turn."""
    for run in contenders.values():
        for _ in range(max(2, calls // 10)):
            run()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(turns):
        for name, run in contenders.items():
            start = time.perf_counter()
            for _ in range(calls):
                run()
            times[name].append((time.perf_counter() - start) / calls)
    return times


# -- the jobs ----------------------------------------------------------------------------------------------------------------


def frameworks() -> dict[str, SimpleNamespace]:
    """What the jobs need of each contender."""
    found = {"autograd_gpu": SimpleNamespace(lib=ag, nn=ag.nn, optim=ag.optim, tensor=ag.tensor)}
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)
        found["torch"] = SimpleNamespace(lib=torch, nn=torch.nn, optim=torch.optim, tensor=torch.tensor)
    return found


def chain(f: SimpleNamespace, ops: int = 999) -> Callable[[], None]:
    """y = tanh(y * w + b), over and over, on 8 elements: forward and backward."""
    rng = np.random.default_rng(0)
    x, w, b = (f.tensor(rng.normal(size=8).astype("float32")) for _ in range(3))
    w.requires_grad_()
    b.requires_grad_()
    tanh = f.lib.tanh

    def run() -> None:
        y = x
        for _ in range(ops // 3):
            y = tanh(y * w + b)
        y.sum().backward()
        w.grad = b.grad = None

    return run


def mlp(f: SimpleNamespace, sizes: list[int], batch: int) -> Callable[[], None]:
    """One training step of a network with ReLUs, cross entropy and Adam."""
    rng = np.random.default_rng(0)
    layers: list[Any] = []
    for m, n in zip(sizes, sizes[1:], strict=False):
        layers += [f.nn.Linear(m, n), f.nn.ReLU()]
    model = f.nn.Sequential(*layers[:-1])
    optimizer = f.optim.Adam(model.parameters())
    loss_of = f.nn.CrossEntropyLoss()
    # always new batches, as in training: on one alone the network would be done after some hundred steps, with logits and
    # gradients that are no more those of training
    batches = itertools.cycle(
        [
            (f.tensor(rng.normal(size=(batch, sizes[0])).astype("float32")), f.tensor(rng.integers(0, sizes[-1], batch)))
            for _ in range(64)
        ]
    )

    def run() -> None:
        x, y = next(batches)
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


JOBS = [  # name, goal of the ratio, how to make it, calls a turn
    ("chain of 999 ops on 8 elements", 0.5, chain, 10),
    ("digits step 64-32-10, batch 32", 0.2, lambda f: mlp(f, [64, 32, 10], 32), 300),
    ("MLP step 784-256-128-10, batch 64", 0.8, lambda f: mlp(f, [784, 256, 128, 10], 64), 30),
    ("MLP step 784-256-128-10, batch 512", 0.95, lambda f: mlp(f, [784, 256, 128, 10], 512), 6),
]


def compare(turns: int) -> list[dict[str, Any]]:
    """A row a job: microseconds of each contender, their ratio and the goal."""
    rows = []
    for name, goal, make, calls in JOBS:
        times = take_turns({who: make(f) for who, f in frameworks().items()}, calls, turns)
        row: dict[str, Any] = {"job": name, "goal": goal}
        for who, seconds in times.items():
            row[who] = {"median_us": 1e6 * statistics.median(seconds), "min_us": 1e6 * min(seconds)}
        if "torch" in times:
            row["ratio"] = min(times["autograd_gpu"]) / min(times["torch"])
            row["ratio_of_medians"] = statistics.median(times["autograd_gpu"]) / statistics.median(times["torch"])
        rows.append(row)
    return rows


# -- a single op -------------------------------------------------------------------------------------------------------------


def per_op(turns: int) -> list[dict[str, Any]]:
    """Microseconds that recording adds to the bare NumPy call, and those of a node in backward, for an op on 8 elements."""
    n = 1000
    x = ag.ones(8)
    leaf = x.clone().requires_grad_()
    a, out = x.array, np.empty(8, "float32")

    def record(step: Callable[[Any], Any]) -> Callable[[], Any]:
        def run() -> Any:
            y = leaf
            for _ in range(n):
                y = step(y)
            return y

        return run

    def bare(step: Callable[[Any], Any]) -> Callable[[], Any]:
        def run() -> Any:
            y = a
            for _ in range(n):
                y = step(y)
            return y

        return run

    one = ag.ones(8)

    def backward_of(step: Callable[[Any], Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
        forward = record(step)

        def both() -> None:
            forward().backward(one)
            leaf.grad = None

        return both, forward

    cases = []
    for name, recorded, plain, rule in (
        ("unary (tanh)", ag.tanh, np.tanh, lambda g: g - g * out * out),
        ("binary (mul)", lambda y: ag.mul(y, x), lambda y: np.multiply(y, a), lambda g: g * a),
    ):
        both, forward = backward_of(recorded)
        out[...] = 0.5
        times = take_turns({"record": forward, "both": both, "bare": bare(plain), "rule": bare(rule)}, 3, turns)
        best = {k: 1e6 * min(v) / n for k, v in times.items()}
        cases.append(
            {
                "op": name,
                "recording_us": best["record"] - best["bare"],
                "backward_us": best["both"] - best["record"],
                "bare_us": best["bare"],
                "rule_us": best["rule"],
            }
        )
    return cases


# -- naming the lines --------------------------------------------------------------------------------------------------------


def call_without_site(self: Any, *args: Any, **kwargs: Any) -> Any:
    """What calling a module would be if it did not note where."""
    if self._hooked:
        return self._call_hooked(args, kwargs)
    return self.forward(*args, **kwargs)


@contextmanager
def no_lines() -> Iterator[None]:
    """Ops and optimizers that do not note the line which called them, by leaving that out of the text of each op."""
    whole, of_layers = fast.TEMPLATE, perceptron.TEMPLATE

    def without(template: str) -> str:
        lines = template.split("\n")
        first = next(i for i, line in enumerate(lines) if "site[0]" in line)
        last = max(i for i, line in enumerate(lines) if "node.at" in line)
        return "\n".join(lines[:first] + lines[last + 1 :])

    swapped = []
    outside, call = graph.outside, ag.nn.Module.__call__
    try:
        ag.nn.Module.__call__ = call_without_site
        fast.TEMPLATE, perceptron.TEMPLATE = without(whole), without(of_layers)
        layers = perceptron.layers_of("relu", 2).call  # what the model below is computed by
        swapped.append((layers, layers.__code__))
        layers.__code__ = perceptron.Layers("relu", 2).compiled().__code__
        for word in vars(graph.words).values():
            if hasattr(word, "op") and word.__code__.co_filename.endswith(f"<{word.op.name}>"):
                swapped.append((word, word.__code__))
                word.__code__ = fast.compiled(word.op, word.__globals__).__code__
        graph.outside = lambda frame: frame
        yield
    finally:
        fast.TEMPLATE, perceptron.TEMPLATE = whole, of_layers
        graph.outside, ag.nn.Module.__call__ = outside, call
        for word, code in swapped:
            word.__code__ = code


def naming(turns: int) -> dict[str, float]:
    """The digits step with the lines named and without, in microseconds."""
    run = mlp(frameworks()["autograd_gpu"], [64, 32, 10], 32)
    named: list[float] = []
    unnamed: list[float] = []
    take_turns({"warm": run}, 100, 1)
    for _ in range(3 * turns):  # many short turns: the difference is small
        named += take_turns({"": run}, 200, 1)[""]
        with no_lines():
            unnamed += take_turns({"": run}, 200, 1)[""]
    return {"named_us": 1e6 * min(named), "unnamed_us": 1e6 * min(unnamed), "share": min(named) / min(unnamed) - 1, "goal": 0.03}


# -- showing it --------------------------------------------------------------------------------------------------------------


def show(title: str, head: list[str], rows: list[list[str]]) -> None:
    """A table, by rich if it is installed."""
    if importlib.util.find_spec("rich") is not None:
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title, title_justify="left")
        for i, name in enumerate(head):
            table.add_column(name, justify="right" if i else "left")
        for row in rows:
            table.add_row(*row)
        Console(width=120).print(table)
        return
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    print(title)
    for row in [head, *rows]:
        print(
            "  "
            + "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        )


def machine() -> dict[str, Any]:
    """What it was measured on."""
    cpu = platform.processor()
    try:
        text = Path("/proc/cpuinfo").read_text()
        cpu = next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    found = {"cpu": cpu, "python": platform.python_version(), "numpy": np.__version__, "autograd_gpu": ag.__version__}
    if importlib.util.find_spec("torch") is not None:
        import torch

        found["torch"] = torch.__version__
    return found


def with_figures(readme: str, measured: dict[str, Any]) -> str:
    """The text of the README with these figures between its marks."""
    machine, ops = measured["machine"], measured["ops"]
    lines = ["| job | ratio |", "|---|---|"]
    lines += [f"| {row['job']} | {row['ratio']:.2f} |" for row in measured["steps"]]
    recording = " and ".join(f"{op['recording_us']:.2f} µs ({op['op'].split()[0]})" for op in ops)
    backward = " and ".join(f"{op['backward_us']:.2f} µs" for op in ops)
    lines += ["", f"Recording an op costs {recording} over the NumPy call, and backward {backward} with its arithmetic."]
    versions = f"Python {machine['python']}, NumPy {machine['numpy']} and PyTorch {machine['torch']}"
    lines += [f"Measured on one thread of {machine['cpu']} with {versions}."]
    return re.sub(r"(<!-- overhead -->\n).*(\n<!-- end -->)", lambda m: m[1] + "\n".join(lines) + m[2], readme, flags=re.DOTALL)


def _us(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def main() -> None:
    """Measure, show, and with --save keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--save", action="store_true", help="write benchmarks/results/overhead.json and the figures in the README"
    )
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    options = parser.parse_args()
    turns = 5 if options.quick else 25
    one_thread = nullcontext()
    if importlib.util.find_spec("threadpoolctl") is not None:
        from threadpoolctl import threadpool_limits

        one_thread = threadpool_limits(1)
    with one_thread:
        jobs, ops, lines = compare(turns), per_op(turns), naming(turns)

    table = []
    for row in jobs:
        cells = [row["job"], f"{_us(row['autograd_gpu']['min_us'])} ({_us(row['autograd_gpu']['median_us'])})"]
        if "torch" in row:
            cells += [f"{_us(row['torch']['min_us'])} ({_us(row['torch']['median_us'])})"]
            cells += [f"{row['ratio']:.2f} ({row['ratio_of_medians']:.2f})", f"{row['goal']:.2f}"]
            cells += ["yes" if row["ratio"] <= row["goal"] else "no"]
        table.append(cells)
    head = ["job, µs: minimum (median)", "autograd_gpu", "torch", "ratio", "goal", "met"]
    show("Steps", head if "torch" in jobs[0] else head[:2], table)
    show(
        "One op on 8 elements, µs",
        ["op", "recording over NumPy", "backward in all", "NumPy forward", "its rule in NumPy"],
        [[r["op"], *(f"{r[k]:.2f}" for k in ("recording_us", "backward_us", "bare_us", "rule_us"))] for r in ops],
    )
    print(
        f"Naming the lines: {lines['named_us']:.1f} µs a digits step with, {lines['unnamed_us']:.1f} without: "
        f"{lines['share']:+.1%} (goal: at most {lines['goal']:.0%})"
    )
    if options.save and "torch" not in jobs[0]:
        print("Not saved: the ratios need PyTorch (pip install -e '.[peers]')")
    elif options.save:
        RESULTS.parent.mkdir(exist_ok=True)
        measured = {"machine": machine(), "steps": jobs, "ops": ops, "lines": lines}
        RESULTS.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        README.write_text(with_figures(README.read_text(encoding="utf-8"), measured), encoding="utf-8")
        print(f"Written to {RESULTS} and into the README")


if __name__ == "__main__":
    main()
