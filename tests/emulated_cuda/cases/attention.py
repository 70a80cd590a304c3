"""attention.cu: several tiles of queries and keys, none of them full, causal and masked, and a query that sees no key."""

from __future__ import annotations

import numpy as np

from ..array import to_device
from . import TYPES, Get, case, computed, equal, normal, out, wide

SIZES = np.dtype([(n, "i4") for n in ("heads", "queries", "keys", "size", "causal")])
STRIDES = np.dtype([(n, "i8") for n in ("batch", "head", "row", "column")])
BATCH, HEADS = 2, 2
KERNELS = ("attention_forward", "attention_backward_kv", "attention_backward_q")


def _tile(d: int, t: str) -> int:
    bytes_ = computed(t).itemsize
    return min(128 // bytes_, 8192 // (d * bytes_))


def _attention(get: Get, t: str, d: int, queries: int, keys: int, size: int, causal: bool, masked: bool) -> None:
    number = computed(t)
    # views of (batch, sequence, heads, size)
    q, k, v = (normal((BATCH, n, HEADS, size), t, seed) for n, seed in ((queries, 1), (keys, 2), (keys, 3)))
    q[0, 3] *= TYPES[t].type(100)  # one key has it all
    g = normal((BATCH, HEADS, queries, size), t, 4)
    mask = None
    if masked:  # (heads, queries, keys), for all of the batch
        mask = normal((HEADS, queries, keys), t, 5)
        mask[:, :, 5] = mask[0, 2] = -np.inf
    scale = number.type(size**-0.5)

    a, b, c = (wide(x).transpose(0, 2, 1, 3) for x in (q, k, v))
    scores = a @ b.swapaxes(-1, -2) * float(scale)
    if mask is not None:
        scores = scores + wide(mask)
    if causal:
        scores = np.where(np.tril(np.ones((queries, keys), bool)), scores, -np.inf)
    top = scores.max(-1, keepdims=True)
    e = np.exp(scores - np.where(np.isfinite(top), top, 0))
    total = e.sum(-1, keepdims=True)
    p = e / np.where(total == 0, 1, total)
    expected = p @ c
    with np.errstate(divide="ignore"):
        norms = (np.where(total == 0, -np.inf, top) + np.log(total))[..., 0]

    strides = [np.array((x.shape[1] * HEADS * size, size, HEADS * size, 1), STRIDES)[()] for x in (q, k, v)]
    strides.append(np.array((0, queries * keys, keys, 1), STRIDES)[()])
    sizes = np.array((HEADS, queries, keys, size, causal), SIZES)[()]
    inputs = [to_device(q), to_device(k), to_device(v), None if mask is None else to_device(mask)]
    y, norm = out(expected.shape, TYPES[t]), out(norms.shape, number)
    tile = _tile(d, t)
    by_queries, by_keys = ((BATCH * HEADS, -(-n // tile)) for n in (queries, keys))
    get(f"attention_forward<{t}, {d}>")(by_queries, (128,), (*inputs, y, norm, sizes, *strides, scale))
    equal(y.host, expected, t)
    tight = "double" if t == "double" else "float"
    equal(norm.host, norms, tight, number)

    grad, delta = to_device(g), out(norms.shape, number)
    rows = (np.int64(norms.size), np.int32(size))
    get(f"attention_delta<{t}>")((3,), (64,), (grad, y, delta, *rows))
    equal(delta.host, (wide(g) * wide(y.host)).sum(-1), tight, number)
    deltas = (wide(g) * expected).sum(-1, keepdims=True)
    slope = p * (wide(g) @ c.swapaxes(-1, -2) - deltas) * float(scale)
    given = (*inputs, grad, norm, delta)
    dq, dk, dv = (out((BATCH, HEADS, n, size), TYPES[t]) for n in (queries, keys, keys))
    get(f"attention_backward_kv<{t}, {d}>")(by_keys, (128,), (*given, dk, dv, sizes, *strides, scale))
    get(f"attention_backward_q<{t}, {d}>")(by_queries, (128,), (*given, dq, sizes, *strides, scale))
    for found, wanted in ((dq, slope @ b), (dk, slope.swapaxes(-1, -2) @ a), (dv, p.swapaxes(-1, -2) @ wide(g))):
        # sums of terms of both signs, so the error is one of the largest; and scores of some hundreds round the exponentials
        by = 4 * (1 + np.abs(wanted).max())
        equal(found.host / TYPES[t].type(by), wanted / by, t)


@case("attention.cu", *(f"{k}<T, 32>" for k in KERNELS), "attention_delta<T>")
def attention(get: Get, t: str) -> None:
    _attention(get, t, 32, 37, 45, 24, False, True)
    _attention(get, t, 32, 35, 35, 32, True, False)


@case("attention.cu", *(f"{k}<T, 64>" for k in KERNELS), "attention_delta<T>", types=("float",))
def attention_of_64(get: Get, t: str) -> None:
    _attention(get, t, 64, 9, 40, 50, False, False)
