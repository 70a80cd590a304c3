"""How many bytes an op keeps for backward, counted: a table, and what a partner without gradient saves."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.core.tensor import Tensor

from ..support import graph_of

N = 64  # elements of the inputs below, float32


def saved_bytes(*tensors: Tensor, but: tuple[Tensor, ...] = ()) -> int:
    """The bytes that the graph of tensors keeps alive, each piece of memory counted once, numbers left out, which are shared by
    all ops that use them. `but`: memory not counted."""
    ours, seen = [t.array for t in but], {}
    for node in graph_of(list(tensors)):
        for value in node.saved:
            if isinstance(value, np.ndarray) and value.ndim and not any(np.shares_memory(value, a) for a in ours if a.size):
                owner = value if value.base is None else value.base
                seen[id(owner)] = getattr(owner, "nbytes", value.nbytes)
    return sum(seen.values())


def x(*shape: int, grad: bool = True) -> Tensor:
    t = Tensor(np.random.default_rng(len(shape)).uniform(0.2, 0.9, shape or (8, 8)).astype(np.float32))
    return t.requires_grad_() if grad else t


# name -> (call, bytes per element of the float32 input that are kept, the input's and the output's own memory included)
TABLE: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "add a number": (lambda t: t + 1.0, 0),
    "add": (lambda t: t + x(), 0),
    "sub": (lambda t: t - x(), 0),
    "neg": (lambda t: -t, 0),
    "mul by a number": (lambda t: t * 2.0, 0),
    "div by a number": (lambda t: t / 2.0, 0),
    "mul by a constant": (lambda t: t * x(grad=False), 4),
    "mul by a tensor": (lambda t: t * x(), 8),
    "mul by itself": (lambda t: t * t, 4),
    "square": (lambda t: t.square(), 4),
    "div by a constant": (lambda t: t / x(grad=False), 4),
    "exp": (lambda t: t.exp(), 4),
    "log": (lambda t: t.log(), 4),
    "sqrt": (lambda t: t.sqrt(), 4),
    "tanh": (lambda t: t.tanh(), 4),
    "sigmoid": (lambda t: t.sigmoid(), 4),
    "relu": (lambda t: ag.relu(t), 4),
    "relu6": (lambda t: ag.nn.functional.relu6(t), 4),
    "gelu": (lambda t: ag.nn.functional.gelu(t), 4),
    "silu": (lambda t: ag.nn.functional.silu(t), 4),
    "abs": (lambda t: t.abs(), 4),
    "clamp": (lambda t: t.clamp(0.3, 0.6), 4),
    "maximum of a constant": (lambda t: ag.maximum(t, x(grad=False)), 8),
    "sum": (lambda t: t.sum(), 0),
    "sum over a dim": (lambda t: t.sum(1), 0),
    "mean": (lambda t: t.mean(), 0),
    "softmax": (lambda t: t.softmax(-1), 4),
    "log_softmax": (lambda t: t.log_softmax(-1), 4),
    "cumsum": (lambda t: t.cumsum(0), 0),
    "amax": (lambda t: t.amax(0), 4 + 4 / 8),
    "max over a dim": (lambda t: t.max(0)[0], 1),
    "reshape": (lambda t: t.reshape(-1), 0),
    "transpose": (lambda t: t.transpose(0, 1), 0),
    "expand": (lambda t: t.unsqueeze(0).expand(3, 8, 8), 0),
    "slice": (lambda t: t[1:, ::2], 0),
    "integer": (lambda t: t[3], 0),
    "cat": (lambda t: ag.cat([t, x()]), 0),
    "stack": (lambda t: ag.stack([t, x()]), 0),
    "flip": (lambda t: t.flip(0), 0),
    "pad": (lambda t: ag.nn.functional.pad(t, (1, 1)), 0),
    "clone": (lambda t: t.clone(), 0),
    "double": (lambda t: t.double(), 0),
    "detach": (lambda t: t.detach() + t, 0),
    "matmul by a constant": (lambda t: t @ x(grad=False), 4),
    "matmul": (lambda t: t @ x(), 8),
    "linear": (lambda t: ag.nn.functional.linear(t, x(), x(8)), 8),
    "linear of data": (lambda t: ag.nn.functional.linear(x(grad=False), t, x(8)), 4),
    "linear, weight frozen": (lambda t: ag.nn.functional.linear(t, x(grad=False)), 4),
}
# the labels, the log-probabilities or the logits, and what a row needs
LABELS = np.arange(8) % 8


def test_the_table() -> None:
    wrong = []
    for name, (call, per_element) in TABLE.items():
        try:
            kept = saved_bytes(call(x())) / N
        except AttributeError as missing:
            wrong.append(f"{name}: {missing}")
            continue
        if kept > per_element:
            wrong.append(f"{name} keeps {kept} bytes per element, {per_element} allowed")
    assert not wrong, "\n".join(wrong)


def test_the_table_is_not_too_generous() -> None:
    slack = {name: saved_bytes(call(x())) / N for name, (call, _) in TABLE.items()}
    loose = [
        f"{name} keeps {slack[name]}, the table says {allowed}" for name, (_, allowed) in TABLE.items() if slack[name] < allowed
    ]
    assert not loose, "better than the table: tighten it\n" + "\n".join(loose)


def test_indices_alone() -> None:
    t, index = x(100, 8), Tensor(np.array([3, 1, 3]))
    kept = saved_bytes(t[index], but=(index,))
    assert kept <= index.array.nbytes
    assert saved_bytes(ag.gather(t, 0, Tensor(np.zeros((2, 8), np.int64)))) <= 2 * 8 * 8
    if hasattr(ag.nn.functional, "embedding"):
        assert saved_bytes(ag.nn.functional.embedding(index, t)) <= index.array.nbytes


def test_cross_entropy() -> None:
    """The logits, the labels, and of a small input the gradient, which is its residue; of a large one no more than the logits."""
    t, labels = x(32, 10), Tensor(np.arange(32) % 10)
    assert saved_bytes(ag.nn.functional.cross_entropy(t, labels)) <= 2 * t.array.nbytes + labels.array.nbytes
    t, labels = x(2000, 10), Tensor(np.arange(2000) % 10)
    assert saved_bytes(ag.nn.functional.cross_entropy(t, labels)) <= t.array.nbytes + labels.array.nbytes


def test_losses() -> None:
    t, target = x(32, 10), x(32, 10, grad=False)
    assert saved_bytes(ag.nn.functional.mse_loss(t, target)) <= 2 * t.array.nbytes
    labels = Tensor(np.arange(32) % 10)
    assert saved_bytes(ag.nn.functional.nll_loss(t.log_softmax(-1), labels)) <= t.array.nbytes + labels.array.nbytes + 32 * 8


def test_a_chain_saves_each_array_once() -> None:
    """What one op gave and the next one took is one array."""
    t = x(64, 64)
    y = t
    for _ in range(5):
        y = y.tanh() * y.sigmoid()
    one = t.array.nbytes
    assert saved_bytes(y) <= 10 * one  # tanh, sigmoid: each its output, which mul saves too


def kept_names(t: Tensor) -> set[str]:
    return set(t.node.plan.names)


@pytest.mark.parametrize(
    "call",
    [
        lambda a, b: a * b,
        lambda a, b: a @ b,
        lambda a, b: ag.nn.functional.linear(a, b),
        lambda a, b: ag.bmm(a.unsqueeze(0), b.unsqueeze(0)),
        lambda a, b: ag.dot(a.reshape(-1), b.reshape(-1)),
        lambda a, b: ag.mv(a, b[0]),
        lambda a, b: ag.outer(a[0], b[0]),
        lambda a, b: ag.addmm(ag.zeros(8, 8), a, b),
    ],
    ids=["mul", "matmul", "linear", "bmm", "dot", "mv", "outer", "addmm"],
)
def test_an_input_whose_partner_needs_no_gradient_is_not_saved(call: Any) -> None:
    for first in (True, False):
        a, b = x(grad=first), x(grad=not first)
        saved = [v for node in graph_of([call(a, b)]) for v in node.saved if isinstance(v, np.ndarray) and v.size > 1]
        own = a if first else b
        assert saved, "the partner must be saved"
        assert not any(np.shares_memory(v, own.array) for v in saved), "it saves its own input"


def test_the_exponent_of_a_constant_power_saves_no_base() -> None:
    assert saved_bytes(x() ** 2) / N <= 4
    assert saved_bytes(x() ** 3.0) / N <= 4
    assert saved_bytes(2.0 ** x()) / N <= 4


def test_nothing_is_saved_where_nothing_is_recorded() -> None:
    with ag.no_grad():
        assert (x() * x()).node is None
    assert (x(grad=False) * x(grad=False)).node is None


def test_in_place_relu_keeps_one_array() -> None:
    t = x()
    y = t * 1.0
    y.relu_()
    assert saved_bytes(y, but=(y,)) == 0


def test_a_block_of_a_transformer() -> None:
    """What the benchmark counts: per element of the input (64 bytes are sixteen arrays of its size), masks in bits and, of each
    row, what attention and normalization note. PyTorch keeps 120."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "train.py"
    spec = importlib.util.spec_from_file_location("train", path)
    assert spec is not None and spec.loader is not None
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    kept = train.bytes_kept(SimpleNamespace(lib=ag, nn=ag.nn, tensor=ag.tensor), batch=2, length=16)
    assert 64 < kept["with_input"] <= 64.5
    assert kept["with_input"] - kept["without_input"] == 4
