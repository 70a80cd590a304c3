"""Whole training steps side by side with PyTorch eager in one run, as ratios: below 1 this package is faster.

    python benchmarks/train.py [--save] [--quick] [--only WORD]

Both run the same code, which is given the framework's namespace. They take turns, one thread each. Counted is the time of the
processor that the process was given, so that other processes disturb little, and the ratio that counts is that of the minima.
PyTorch's convolutions depend on the layout: the network runs in its default one, with the channels before the rows, and in
channels_last, and the ratio that counts is that to the faster of the two.

Last comes what a block of the GPT keeps for backward: the distinct pieces of memory that its graph holds, in bytes per element of
its input, with what fused kernels keep besides what their rules name, and without parameters. The input is counted, for both."""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT / "benchmarks") not in sys.path:
    sys.path.insert(0, str(ROOT / "benchmarks"))

from overhead import frameworks, machine, mlp, show  # noqa: E402

from autograd_gpu.backend.residue import Instead, Unwritten  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "train.json"
README = ROOT / "README.md"
LAYOUT = "torch channels_last"  # a third contender, of convolutions alone

# -- the networks: `f` is a framework ---------------------------------------------------------------------------------------


def step_of(f: SimpleNamespace, model: Any, optimizer: Any, batches: list[tuple[Any, Any]]) -> Callable[[], None]:
    """One training step, on the next batch each time."""
    loss_of = f.nn.CrossEntropyLoss()
    endless = itertools.cycle(batches)

    def run() -> None:
        x, y = next(endless)
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


def images(f: SimpleNamespace, batch: int = 64, layout: str | None = None) -> Callable[[], None]:
    """A small convolutional network for 28x28 pixels: two convolutions with pooling, of 16 and 32 channels."""
    rng = np.random.default_rng(0)
    nn = f.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, 10)),
    )
    batches = [
        (f.tensor(rng.normal(size=(batch, 1, 28, 28)).astype("float32")), f.tensor(rng.integers(0, 10, batch))) for _ in range(16)
    ]
    if layout is not None:
        model = model.to(memory_format=getattr(f.lib, layout))
        batches = [(x.to(memory_format=getattr(f.lib, layout)), y) for x, y in batches]
    return step_of(f, model, f.optim.Adam(model.parameters()), batches)


def sequences(f: SimpleNamespace, batch: int = 32, steps: int = 32, size: int = 128) -> Callable[[], None]:
    """An LSTM that reads a sequence and names its class."""
    rng = np.random.default_rng(0)

    class Reader(f.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = f.nn.LSTM(size, size, batch_first=True)
            self.head = f.nn.Linear(size, 10)

        def forward(self, x: Any) -> Any:
            out, _ = self.lstm(x)
            return self.head(out[:, -1])

    model = Reader()
    batches = [
        (f.tensor(rng.normal(size=(batch, steps, size)).astype("float32")), f.tensor(rng.integers(0, 10, batch)))
        for _ in range(16)
    ]
    return step_of(f, model, f.optim.Adam(model.parameters()), batches)


def block_of(f: SimpleNamespace, d: int, heads: int, dropout: float) -> Any:
    """A block of a GPT: attention and two linear layers, each behind a normalisation and beside a residual connection."""
    nn, functional = f.nn, f.nn.functional

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
            self.wide, self.narrow = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
            self.drop1, self.drop2 = nn.Dropout(dropout), nn.Dropout(dropout)

        def forward(self, x: Any) -> Any:
            batch, length, _ = x.shape
            parts = self.qkv(self.norm1(x)).split(d, dim=2)
            q, k, v = (t.view(batch, length, heads, d // heads).transpose(1, 2) for t in parts)
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
            x = x + self.drop1(self.proj(y.transpose(1, 2).reshape(batch, length, d)))
            return x + self.drop2(self.narrow(functional.gelu(self.wide(self.norm2(x)))))

    return Block()


def gpt(
    f: SimpleNamespace,
    dropout: float = 0.0,
    batch: int = 12,
    length: int = 64,
    d: int = 128,
    heads: int = 4,
    layers: int = 4,
    characters: int = 96,
) -> Callable[[], None]:
    """A GPT that reads characters, with AdamW."""
    rng = np.random.default_rng(0)
    nn = f.nn

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.position = nn.Embedding(characters, d), nn.Embedding(length, d)
            self.drop = nn.Dropout(dropout)
            self.blocks = nn.Sequential(*[block_of(f, d, heads, dropout) for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, characters, bias=False)
            self.places = f.lib.arange(length)

        def forward(self, x: Any) -> Any:
            h = self.drop(self.token(x) + self.position(self.places))
            return self.head(self.norm(self.blocks(h))).view(-1, characters)

    model = GPT()
    text = rng.integers(0, characters, (16, batch, length + 1))
    batches = [(f.tensor(t[:, :-1].copy()), f.tensor(t[:, 1:].reshape(-1).copy())) for t in text]
    return step_of(f, model, f.optim.AdamW(model.parameters(), lr=3e-4), batches)


JOBS: list[tuple[str, float, Callable, int]] = [  # name, goal of the ratio, how to make it, calls a turn
    ("MLP 784-256-128-10, batch 64", 0.8, lambda f: mlp(f, [784, 256, 128, 10], 64), 30),
    ("MLP 784-256-128-10, batch 512", 0.95, lambda f: mlp(f, [784, 256, 128, 10], 512), 6),
    ("CNN 16-32 on 28x28, batch 64", 0.85, images, 4),
    ("LSTM 128 over 32 steps, batch 32", 0.8, sequences, 4),
    ("character GPT, 4 layers of 128, 12 x 64", 0.95, gpt, 2),
    ("character GPT with dropout 0.1", 0.95, lambda f: gpt(f, 0.1), 2),
]


def contenders(make: Callable) -> dict[str, Callable[[], None]]:
    """The job made in each framework; if it is of convolutions, in PyTorch's second layout too."""
    found = frameworks()
    made = {who: make(f) for who, f in found.items()}
    if make is images and "torch" in found:
        made[LAYOUT] = make(found["torch"], layout="channels_last")
    return made


def take_turns(contenders: dict[str, Callable[[], None]], calls: int, turns: int) -> dict[str, list[float]]:
    """Seconds of the processor a call, per turn."""
    for run in contenders.values():
        for _ in range(max(3, calls // 3)):
            run()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(turns):
        for name, run in contenders.items():
            start = time.process_time()
            for _ in range(calls):
                run()
            times[name].append((time.process_time() - start) / calls)
    return times


def compare(turns: int, only: str) -> list[dict[str, Any]]:
    """A row a job: milliseconds of each contender, the ratio to PyTorch's faster one, and the goal."""
    rows = []
    for name, goal, make, calls in JOBS:
        if only not in name:
            continue
        times = take_turns(contenders(make), calls, turns)
        row: dict[str, Any] = {"job": name, "goal": goal}
        for who, seconds in times.items():
            row[who] = {"median_ms": 1e3 * statistics.median(seconds), "min_ms": 1e3 * min(seconds)}
        peers = [row[who] for who in times if who != "autograd_gpu"]
        if peers:
            row["ratio"] = row["autograd_gpu"]["min_ms"] / min(peer["min_ms"] for peer in peers)
            row["ratio_of_medians"] = row["autograd_gpu"]["median_ms"] / min(peer["median_ms"] for peer in peers)
        rows.append(row)
    return rows


# -- what is kept for backward ----------------------------------------------------------------------------------------------


BYTES = 60  # the goal, where PyTorch keeps 120


def arrays_in(value: Any) -> list[np.ndarray]:
    """The arrays in what a node saved, those in residues of fused kernels too; without single numbers."""
    if isinstance(value, (Instead, Unwritten)):
        value = (value.arrays, value.rest) if isinstance(value, Instead) else (value.array,)
    if isinstance(value, (tuple, list)):
        return [a for v in value for a in arrays_in(v)]
    return [value] if isinstance(value, np.ndarray) and value.ndim else []


def pieces_kept(output: Any) -> dict[int, int]:
    """Address -> bytes of the pieces of memory that the graph behind a tensor of this package holds."""
    pieces: dict[int, int] = {}
    seen, stack = set(), [output.node]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        stack.extend(node.edges)
        for array in arrays_in(getattr(node, "saved", None) or ()):
            while isinstance(array.base, np.ndarray):
                array = array.base
            pieces[array.__array_interface__["data"][0]] = array.nbytes
    return pieces


def bytes_kept(f: SimpleNamespace, batch: int = 8, length: int = 128, d: int = 128, heads: int = 4) -> dict[str, float]:
    """Bytes per element of its input that a block with dropout keeps, and those without the input, which is what the block before
    has made. Parameters are not counted."""
    block = block_of(f, d, heads, 0.1)
    x = f.tensor(np.random.default_rng(0).normal(size=(batch, length, d)).astype("float32")).requires_grad_()
    if f.lib.__name__ == "torch":
        pieces: dict[int, int] = {}

        def pack(t: Any) -> Any:
            if t.ndim:
                pieces[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t

        with f.lib.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            out = block(x)  # what it holds may not be freed before all is counted: an address would come twice
            kept = dict(pieces)
        addresses = [t.untyped_storage().data_ptr() for t in (*block.parameters(), x)]
    else:
        out = block(x)
        kept = pieces_kept(out)
        addresses = [t.array.__array_interface__["data"][0] for t in (*block.parameters(), x)]
    n = out.numel()
    without_parameters = sum(size for address, size in kept.items() if address not in addresses[:-1])
    without_input = sum(size for address, size in kept.items() if address not in addresses)
    return {"with_input": without_parameters / n, "without_input": without_input / n}


# -- showing it -------------------------------------------------------------------------------------------------------------


def with_figures(readme: str, measured: dict[str, Any]) -> str:
    """The text of the README with these figures between its marks."""
    machine, kept = measured["machine"], measured["kept"]
    lines = ["| training step | ratio |", "|---|---|"]
    lines += [f"| {row['job']} | {row['ratio']:.2f} |" for row in measured["steps"]]
    ours, theirs = kept["autograd_gpu"]["with_input"], kept["torch"]["with_input"]
    lines += ["", f"A block of that GPT keeps {ours:.1f} bytes for backward per element of its input; in PyTorch, {theirs:.1f}."]
    versions = f"Python {machine['python']}, NumPy {machine['numpy']} and PyTorch {machine['torch']}"
    lines += [f"Measured on one thread of {machine['cpu']} with {versions}."]
    return re.sub(
        r"(<!-- train -->\n).*?(\n<!-- train end -->)", lambda m: m[1] + "\n".join(lines) + m[2], readme, flags=re.DOTALL
    )


def _cell(row: dict[str, Any], who: str) -> str:
    return f"{row[who]['min_ms']:.2f} ({row[who]['median_ms']:.2f})" if who in row else ""


def main() -> None:
    """Measure, show, and with --save keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/train.json and the figures in the README")
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("--only", default="", metavar="WORD", help="only jobs with this in their name")
    options = parser.parse_args()
    one_thread = nullcontext()
    if importlib.util.find_spec("threadpoolctl") is not None:
        from threadpoolctl import threadpool_limits

        one_thread = threadpool_limits(1)
    with one_thread:
        jobs = compare(8 if options.quick else 40, options.only)
        kept = {who: bytes_kept(f) for who, f in frameworks().items()}

    peers = "torch" in kept
    table = []
    for row in jobs:
        cells = [row["job"], _cell(row, "autograd_gpu")]
        if peers:
            cells += [_cell(row, "torch"), _cell(row, LAYOUT), f"{row['ratio']:.2f} ({row['ratio_of_medians']:.2f})"]
            cells += [f"{row['goal']:.2f}", "yes" if row["ratio"] <= row["goal"] else "no"]
        table.append(cells)
    head = ["step, ms: minimum (median)", "autograd_gpu", "torch", "channels_last", "ratio to best", "goal", "met"]
    show("Training steps", head if peers else head[:2], table)
    shown = [[who, f"{found['with_input']:.1f}", f"{found['without_input']:.1f}"] for who, found in kept.items()]
    show(f"Bytes that a GPT block keeps, per element of its input (goal: {BYTES})", ["", "in all", "without the input"], shown)
    if options.save and not peers:
        print("Not saved: the ratios need PyTorch (pip install -e '.[peers]')")
    elif options.save and options.only:
        print("Not saved: some jobs were left out")
    elif options.save:
        RESULTS.parent.mkdir(exist_ok=True)
        measured = {"machine": machine(), "steps": jobs, "kept": kept}
        RESULTS.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        README.write_text(with_figures(README.read_text(encoding="utf-8"), measured), encoding="utf-8")
        print(f"Written to {RESULTS} and into the README")


if __name__ == "__main__":
    main()
