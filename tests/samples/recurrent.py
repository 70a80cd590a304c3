"""Recurrent networks as functions. Two layers of two directions, in one flat list of parameters, as PyTorch takes them."""

from __future__ import annotations

from typing import Any

from . import S, f

# networks and cells refuse sizes that do not belong together, and those of zero: each library in its own way
REFUSE = ("zero_size", "no_dimensions")


def parameters(gates: int, size: int, inputs: int, biases: bool, projected: int = 0) -> list[Any]:
    """Those of one direction of a layer."""
    state = projected or size
    found = [f(gates * size, inputs), f(gates * size, state)]
    found += [f(gates * size), f(gates * size)] if biases else []
    return found + ([f(projected, size)] if projected else [])


def network(kind: str, *, layers: int = 1, bidirectional: bool = False, biases: bool = True, projected: int = 0, **kw: Any):
    gates, size, directions = {"lstm": 4, "gru": 3}.get(kind, 1), 2, 1 + bidirectional
    state = projected or size
    params = []
    for layer in range(layers):
        for _ in range(directions):
            params += parameters(gates, size, state * directions if layer else 3, biases, projected)
    h = f(layers * directions, 2, state)
    hx = (h, f(layers * directions, 2, size)) if kind == "lstm" else h
    batch_first = kw.pop("batch_first", False)
    x = f(2, 3, 3) if batch_first else f(3, 2, 3)
    return S(kind, x, hx, params, biases, layers, 0.0, True, bidirectional, batch_first, skip=REFUSE, tolerance=1e-7, **kw)


def cell(kind: str, gates: int, biases: bool):
    hx = (f(2, 2), f(2, 2)) if kind == "lstm_cell" else f(2, 2)
    more = [f(2 * gates), f(2 * gates)] if biases else []
    return S(kind, f(2, 3), hx, f(2 * gates, 3), f(2 * gates, 2), *more, skip=REFUSE, tolerance=1e-7)


SAMPLES = [
    network("lstm"),
    network("lstm", layers=2, bidirectional=True, batch_first=True),
    network("lstm", biases=False, projected=1),
    network("gru"),
    network("gru", bidirectional=True, biases=False),
    network("rnn_tanh"),
    network("rnn_tanh", layers=2, bidirectional=True),
    network("rnn_relu", bidirectional=True),
    *[cell("lstm_cell", 4, biases) for biases in (True, False)],
    *[cell("gru_cell", 3, biases) for biases in (True, False)],
    *[cell("rnn_tanh_cell", 1, biases) for biases in (True, False)],
    cell("rnn_relu_cell", 1, True),
]
