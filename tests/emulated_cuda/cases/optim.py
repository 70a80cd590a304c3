"""optim.cu: lists of tensors that are longer and shorter than a chunk, and empty."""

from __future__ import annotations

import math

import numpy as np

from ..array import DeviceArray, to_device
from . import TYPES, Get, case, computed, equal, normal, out, wide

TABLE = np.dtype(
    [(name, "u8", 64) for name in ("p", "g", "m", "v", "most")]
    + [("size", "i8", 64), ("first_block", "i4", 65), ("count", "i4")],
    align=True,
)
CHUNK = 4096
SIZES = (10, 5000, 0, 4096, 1, 4097)


def _table(t: str, moments: bool = True) -> tuple[np.ndarray, list[list[DeviceArray]], int]:
    """The table of some tensors, the tensors in device memory in the order of its fields, and how many blocks they take."""
    table, tensors, blocks = np.zeros((), TABLE), [], 0
    for i, n in enumerate(SIZES):
        arrays = [normal(n, t, 20 + i), normal(n, t, 40 + i)]
        if moments:
            arrays += [normal(n, t, 60 + i), np.abs(normal(n, t, 80 + i)), np.abs(normal(n, t, 100 + i))]
            arrays[2:] = [a.astype(computed(t)) for a in arrays[2:]]
        tensors.append([to_device(a) for a in arrays])
        for name, array in zip(TABLE.names, tensors[-1], strict=False):
            table[name][i] = array.pointer
        table["size"][i] = n
        table["first_block"][i] = blocks
        blocks += -(-n // CHUNK)
    table["first_block"][len(SIZES)] = blocks
    table["count"] = len(SIZES)
    return table, tensors, blocks


def _copies(tensors: list[list[DeviceArray]]) -> list[list[np.ndarray]]:
    return [[wide(a.host) for a in arrays] for arrays in tensors]


@case("optim.cu", "adam<T>")
def adam(get: Get, t: str) -> None:
    number, tight = computed(t), "double" if t == "double" else "float"
    step_size, beta1, beta2, eps, decay, shrink, root = (number.type(v) for v in (0.01, 0.9, 0.99, 1e-8, 0.02, 0.98, 0.5))
    for scale, maximize in ((None, 0), (0.25, 1)):
        table, tensors, blocks = _table(t)
        if scale is None:
            table["most"] = 0  # null: not wanted
        before = _copies(tensors)
        by = None if scale is None else to_device(np.array([scale], number))
        arguments = (table, step_size, beta1, beta2, eps, decay, shrink, root, by, np.int32(maximize))
        get(f"adam<{t}>")((blocks,), (96,), arguments)
        for (p, g, m, v, most), after in zip(before, tensors, strict=True):
            p = p * float(shrink)
            g = g * (1 if scale is None else scale) * (-1 if maximize else 1) + float(decay) * p
            m = float(beta1) * m + (1 - float(beta1)) * g
            v = float(beta2) * v + (1 - float(beta2)) * g * g
            equal(after[2].host, m, tight, number)
            equal(after[3].host, v, tight, number)
            if scale is not None:
                v = np.maximum(most, v)
                equal(after[4].host, v, tight, number)
            equal(after[0].host, p - float(step_size) * m / (np.sqrt(v) / float(root) + float(eps)), t)


@case("optim.cu", "sgd<T>")
def sgd(get: Get, t: str) -> None:
    number, tight = computed(t), "double" if t == "double" else "float"
    lr, dampening, decay = number.type(0.1), number.type(0.2), number.type(0.01)
    for momentum, nesterov, first, maximize in ((0, 0, 0, 0), (0.9, 0, 1, 1), (0.9, 0, 0, 0), (0.9, 1, 0, 0)):
        table, tensors, blocks = _table(t, moments=momentum != 0)
        before = _copies(tensors)
        scale = to_device(np.array([0.5], number))
        arguments = (
            table,
            lr,
            number.type(momentum),
            dampening,
            decay,
            scale,
            np.int32(nesterov),
            np.int32(first),
            np.int32(maximize),
        )
        get(f"sgd<{t}>")((blocks,), (96,), arguments)
        mu = float(number.type(momentum))
        for (p, g, *moments), after in zip(before, tensors, strict=True):
            g = g * (-0.5 if maximize else 0.5) + float(decay) * p
            if momentum:
                m = g if first else mu * moments[0] + (1 - float(dampening)) * g
                equal(after[2].host, m, tight, number)
                g = g + mu * m if nesterov else m
            equal(after[0].host, p - float(lr) * g, t)


@case("optim.cu", "squares<T>")
def squares(get: Get, t: str) -> None:
    table, tensors, blocks = _table(t, moments=False)
    parts = out(blocks, computed(t))
    get(f"squares<{t}>")((blocks,), (96,), (table, parts))
    chunks = [wide(g.host)[i : i + CHUNK] for _, g in tensors for i in range(0, g.host.size, CHUNK)]
    equal(parts.host, np.array([(c * c).sum() for c in chunks]), "double" if t == "double" else "float", computed(t))


@case("optim.cu", "rescale<T>")
def rescale(get: Get, t: str) -> None:
    table, tensors, blocks = _table(t, moments=False)
    before = _copies(tensors)
    get(f"rescale<{t}>")((blocks,), (96,), (table, to_device(np.array([0.3], computed(t)))))
    for (p, _), after in zip(before, tensors, strict=True):
        equal(after[0].host, p * float(computed(t).type(0.3)), t)


@case("optim.cu", "total_norm<T>", types=("float", "double"))
def total_norm(get: Get, t: str) -> None:
    for count in (1, 7, 301):
        parts = np.abs(normal(count, t, 13))
        for max_norm in (0.5, 1e6):
            result = out(2, TYPES[t])
            get(f"total_norm<{t}>")((1,), (96,), (to_device(parts), np.int32(count), result, TYPES[t].type(max_norm)))
            norm = math.sqrt(wide(parts).sum())
            equal(result.host, np.array([norm, min(1.0, max_norm / (norm + 1e-6))]), t)
