"""The work that gpu_bench.py gives each contender, written once over the names that this package and PyTorch share.

A job says how many bytes must be read and written at least, or how many multiplications and additions there are, and makes ready
what is then timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np

import autograd_gpu as ag

PERIOD = (1 << 20) + 7  # numbers that the host draws; they are repeated on the card, for drawing all takes longer than measuring


@cache
def drawn(below: int = 0) -> np.ndarray:
    """PERIOD numbers: normal, or integers below a limit."""
    rng = np.random.default_rng(below)
    return rng.integers(0, below, PERIOD) if below else rng.standard_normal(PERIOD, dtype="f4")


class Library:
    """A contender: this package, or PyTorch. Both get the same numbers."""

    def __init__(self, name: str, root: Any, dtype: str):
        self.name, self.root, self.F, self.kind = name, root, root.nn.functional, getattr(root, dtype)

    def tensor(self, *shape: int, seed: int = 0, grad: bool = False) -> Any:
        """Normal numbers on the card."""
        t = self._repeated(drawn(), prod(shape), 1001 * seed).reshape(shape).to(self.kind)
        return t.requires_grad_() if grad else t

    def indices(self, n: int, below: int) -> Any:
        """n integers, each below a limit."""
        return self._repeated(drawn(below), n, 0)

    def _repeated(self, host: np.ndarray, n: int, start: int) -> Any:
        piece = self.root.tensor(host[start : start + n], device="cuda")
        return piece.repeat(-(-n // len(piece)))[:n].contiguous() if len(piece) < n else piece


@dataclass
class Job:
    """prepare(library) -> the function to be timed. `by_cupy` makes the same of CuPy's array; `peer`: PyTorch can do it too."""

    name: str
    prepare: Callable[[Library], Callable[[], Any]]
    bytes: float = 0.0
    flops: float = 0.0
    by_cupy: Callable[[Any], Callable[[], Any]] | None = None
    peer: bool = True

    def contenders(self, dtype: str, torch: Any) -> Iterator[tuple[str, Callable[[], Callable[[], Any]]]]:
        """Each contender, and what makes ready what it does."""
        ours = Library("autograd_gpu", ag, dtype)
        yield ours.name, lambda: self.prepare(ours)
        if self.by_cupy is not None:
            yield "cupy", lambda: self.by_cupy(ours)
        if torch is not None and self.peer:
            yield "torch", lambda: self.prepare(Library("torch", torch, dtype))


def forward(f: Callable, inputs: Callable[[Library], list]) -> Callable:
    """An op alone, no graph recorded."""

    def prepare(library: Library) -> Callable[[], Any]:
        given = inputs(library)
        return lambda: f(library, *given)

    return prepare


def backward(f: Callable, inputs: Callable[[Library], list]) -> Callable:
    """The backward of an op alone, its graph kept."""

    def prepare(library: Library) -> Callable[[], Any]:
        given = inputs(library)
        leaves = [t.requires_grad_() for t in given if t.is_floating_point()]
        out = f(library, *given)
        g = library.tensor(*out.shape, seed=9) if out.ndim else None

        def run() -> None:
            for leaf in leaves:
                leaf.grad = None
            out.backward(g, retain_graph=True)

        return run

    return prepare


def pair(
    name: str, f: Callable, inputs: Callable, there: float, back: float, flops: float = 0.0, by_cupy: Callable | None = None
) -> Iterator[Job]:
    """The jobs of an op: bytes there and back, or operations, of which there are twice as many on the way back."""
    yield Job(name, forward(f, inputs), there, flops, by_cupy)
    if back:
        yield Job(f"{name} backward", backward(f, inputs), back, 2 * flops)


def updates(name: str, moved: float, shape: tuple[int, ...], **options: Any) -> Job:
    """A step of an optimizer: parameters, gradients and state are read, all but the gradients written."""

    def prepare(library: Library) -> Callable[[], Any]:
        p = library.tensor(*shape, grad=True)
        p.grad = library.tensor(*shape, seed=1)
        fused = {"fused": True} if library.name == "torch" and name in ("Adam", "AdamW", "SGD") else {}
        return getattr(library.root.optim, name)([p], **options, **fused).step

    return Job(f"{name} step" + (", momentum" if "momentum" in options else ""), prepare, moved)


def training(name: str, make: Callable[[Any], Any], shape: tuple[int, ...], flops: float) -> Job:
    """Forward and backward of a network that `make(nn)` makes, with a gradient for its input."""

    def prepare(library: Library) -> Callable[[], Any]:
        model = make(library.root.nn).to(device="cuda", dtype=library.kind)
        x = library.tensor(*shape, grad=True)
        g = library.tensor(*shape, seed=1)

        def run() -> None:
            x.grad = None
            model.zero_grad()
            model(x).backward(g)

        return run

    return Job(name, prepare, flops=flops)


def clipping(shape: tuple[int, ...], moved: float) -> Job:
    """The norm of all gradients, and scaling them by it."""

    def prepare(library: Library) -> Callable[[], Any]:
        params = [library.tensor(*shape, grad=True)]
        params[0].grad = library.tensor(*shape, seed=1)
        return lambda: library.root.nn.utils.clip_grad_norm_(params, 1e-3)

    return Job("clip_grad_norm", prepare, moved)


def row_jobs(rows: int, columns: int, dtype: str) -> Iterator[Job]:
    """Ops on an array (rows, columns)."""
    moved = rows * columns * np.dtype(getattr(ag, dtype)).itemsize

    def x(library: Library) -> list:
        return [library.tensor(rows, columns)]

    def with_labels(library: Library) -> list:
        return [library.tensor(rows, columns), library.indices(rows, columns)]

    def scaled(library: Library) -> list:
        return [library.tensor(rows, columns), library.tensor(columns, seed=1)]

    def scaled_and_shifted(library: Library) -> list:
        return [*scaled(library), library.tensor(columns, seed=2)]

    def two(library: Library) -> list:
        return [library.tensor(rows, columns), library.tensor(rows, columns, seed=1)]

    def by_cupy(f: Callable, inputs: Callable[[Library], list]) -> Callable:
        def prepare(library: Library) -> Callable[[], Any]:
            given = [t.array for t in inputs(library)]
            return lambda: f(*given)

        return prepare

    yield from pair("add", lambda lib, x, y: x + y, two, 3 * moved, 0, by_cupy=by_cupy(lambda a, b: a + b, two))
    yield from pair("sum", lambda lib, x: x.sum(), x, moved, 0, by_cupy=by_cupy(lambda a: a.sum(), x))
    yield from pair("sum of columns", lambda lib, x: x.sum(0), x, moved, 0, by_cupy=by_cupy(lambda a: a.sum(0), x))
    yield from pair("mean of rows", lambda lib, x: x.mean(1), x, moved, 0, by_cupy=by_cupy(lambda a: a.mean(1), x))
    for name in ("relu", "gelu", "silu"):
        yield from pair(name, lambda lib, x, name=name: getattr(lib.F, name)(x), x, 2 * moved, 3 * moved)
    for name in ("softmax", "log_softmax"):
        yield from pair(name, lambda lib, x, name=name: getattr(lib.F, name)(x, -1), x, 2 * moved, 3 * moved)
    yield from pair("cross_entropy", lambda lib, x, y: lib.F.cross_entropy(x, y), with_labels, moved, 2 * moved)
    yield from pair(
        "layer_norm", lambda lib, x, w, b: lib.F.layer_norm(x, (columns,), w, b), scaled_and_shifted, 2 * moved, 3 * moved
    )
    yield from pair("rms_norm", lambda lib, x, w: lib.F.rms_norm(x, (columns,), w), scaled, 2 * moved, 3 * moved)
    yield from pair("dropout", lambda lib, x: lib.F.dropout(x, 0.3), x, 2 * moved, 2 * moved)
    yield from pair("cast to float16", lambda lib, x: x.to(lib.root.float16), x, moved + 2 * rows * columns, 0)
    half = columns // 2
    yield from pair(
        "copy of half the columns", lambda lib, x: x[:, half:].contiguous(), x, 2 * moved * (columns - half) / columns, 0
    )
    yield from pair(
        "embedding",
        lambda lib, i, table: lib.F.embedding(i, table),
        lambda lib: [lib.indices(rows, rows), lib.tensor(rows, columns)],
        2 * moved,
        2 * moved,
    )
    yield from pair(
        "index_add",
        lambda lib, x, i, y: x.index_add(0, i, y),
        lambda lib: [lib.tensor(rows, columns), lib.indices(rows, rows), lib.tensor(rows, columns, seed=1)],
        3 * moved,
        0,
    )
    yield from pair(
        "index_add to ten rows",
        lambda lib, x, i, y: x.index_add(0, i, y),
        lambda lib: [lib.tensor(10, columns), lib.indices(rows, 10), lib.tensor(rows, columns, seed=1)],
        moved,
        0,
    )
    yield from pair(
        "scatter_add",
        lambda lib, x, i, y: x.scatter_add(0, i, y),
        lambda lib: [
            lib.tensor(rows, columns),
            lib.indices(rows * columns, rows).reshape(rows, columns),
            lib.tensor(rows, columns, seed=1),
        ],
        3 * moved + 8 * rows * columns,
        0,
    )
    yield updates("Adam", 7 * moved, (rows, columns))
    yield updates("AdamW", 7 * moved, (rows, columns))
    yield updates("SGD", 5 * moved, (rows, columns), lr=1e-3, momentum=0.9)
    yield updates("RMSprop", 5 * moved, (rows, columns))
    yield clipping((rows, columns), 3 * moved)


def image_jobs(n: int, channels: int, size: int, dtype: str) -> Iterator[Job]:
    """Ops on images (n, channels, size, size)."""
    shape = (n, channels, size, size)
    moved = n * channels * size**2 * np.dtype(getattr(ag, dtype)).itemsize

    def x(library: Library) -> list:
        return [library.tensor(*shape)]

    def normalized(library: Library) -> list:
        return [library.tensor(*shape), library.tensor(channels, seed=1), library.tensor(channels, seed=2)]

    yield from pair(
        "batch_norm",
        lambda lib, x, w, b: lib.F.batch_norm(x, None, None, w, b, training=True),
        normalized,
        2 * moved,
        3 * moved,
    )
    groups = 8 if channels % 8 == 0 else 1
    yield from pair("group_norm", lambda lib, x, w, b: lib.F.group_norm(x, groups, w, b), normalized, 2 * moved, 3 * moved)
    for name, places in (("max_pool2d", prod(shape) / 4), ("avg_pool2d", 0)):  # a byte says where a maximum was
        yield from pair(name, lambda lib, x, name=name: getattr(lib.F, name)(x, 2), x, 1.25 * moved, 1.25 * moved + places)
    for name, stride, groups in (("conv2d 3x3", 1, 1), ("conv2d 3x3, stride 2", 2, 1), ("depthwise conv2d 3x3", 1, channels)):
        yield from pair(
            name,
            lambda lib, x, w, b, s=stride, g=groups: lib.F.conv2d(x, w, b, padding=1, stride=s, groups=g),
            lambda lib, g=groups: [
                lib.tensor(*shape),
                lib.tensor(channels, channels // g, 3, 3, seed=1),
                lib.tensor(channels, seed=2),
            ],
            0,
            1,
            flops=2 * 9 * n * channels**2 * size**2 / stride**2 / groups,
        )


def attention_jobs(batch: int, heads: int, length: int, size: int, dtype: str) -> Iterator[Job]:
    """Attention of (batch, heads, length, size), and linear layers on as many rows, whose backward sums the bias gradient."""
    shape = (batch, heads, length, size)

    def qkv(library: Library) -> list:
        return [library.tensor(*shape, seed=k) for k in range(3)]

    work = 4.0 * batch * heads * length**2 * size
    for name, causal in (("attention", False), ("causal attention", True)):
        yield from pair(
            name,
            lambda lib, q, k, v, causal=causal: lib.F.scaled_dot_product_attention(q, k, v, is_causal=causal),
            qkv,
            0,
            1,
            flops=work / 2 if causal else work,
        )
    width = heads * size
    yield from pair(
        "linear",
        lambda lib, x, w, b: lib.F.linear(x, w, b),
        lambda lib: [lib.tensor(batch * length, width), lib.tensor(width, width, seed=1), lib.tensor(width, seed=2)],
        0,
        1,
        flops=2.0 * batch * length * width**2,
    )
    wide = 4 * width
    for name, activation in (("ReLU", lambda nn: nn.ReLU()), ("tanh GELU", lambda nn: nn.GELU(approximate="tanh"))):
        yield training(
            f"two linear layers with {name}, there and back",
            lambda nn, activation=activation: nn.Sequential(nn.Linear(width, wide), activation(nn), nn.Linear(wide, width)),
            (batch * length, width),
            flops=3 * 2 * 2.0 * batch * length * width * wide,
        )
