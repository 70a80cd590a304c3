"""cast.cu, embedding.cu, reduce.cu and scatter.cu: kernels on rows."""

from __future__ import annotations

import numpy as np

from ..array import to_device
from . import TYPES, Get, case, computed, equal, normal, out, wide


@case("cast.cu", *(f"cast<T, {u}>" for u in TYPES), *(f"cast_rows<T, {u}>" for u in TYPES))
def cast(get: Get, t: str) -> None:
    n, columns, stride = 1003, 20, 59
    x = normal(n, t, 1, 100)
    for u, dtype in TYPES.items():
        coarse = t if TYPES[t].itemsize < dtype.itemsize else u
        for x_shift, y_shift in ((0, 0), (1, 0), (0, 1)):
            source = to_device(np.concatenate([x[:x_shift], x])).part(x_shift)
            y = out(n + y_shift, dtype).part(y_shift)
            get(f"cast<{t}, {u}>")((3,), (64,), (source, y, np.int64(n)))
            equal(y.host, wide(x), coarse, dtype)
        rows = n // stride
        y = out((rows, columns), dtype)
        get(f"cast_rows<{t}, {u}>")((3,), (64,), (source, y, np.int64(rows), np.int64(columns), np.int64(stride)))
        equal(y.host, wide(x[: rows * stride]).reshape(rows, stride)[:, :columns], coarse, dtype)


@case("embedding.cu", "gather_rows<T>")
def embedding(get: Get, t: str) -> None:
    index = np.array([3, 8, 0, 9, -1, 2**40] + [5, 1] * 10)
    good = (index >= 0) & (index < 9)
    for columns in (6, 16):
        table = normal((9, columns), t, 2)
        for wrong in (False, True):
            chosen = index if wrong else index[good]
            n = len(chosen)
            for bad in (to_device(np.zeros(1, np.int32)), None):
                y = out((n, columns), TYPES[t])
                tail = (np.int64(n), np.int64(9), np.int64(columns), bad)
                get(f"gather_rows<{t}>")((2,), (64,), (to_device(table), to_device(chosen), y, *tail))
                ok = good if wrong else np.ones(n, bool)
                equal(y.host, np.where(ok[:, None], wide(table)[np.where(ok, chosen, 0)], np.nan), t)
                assert bad is None or bad.host[0] == wrong


@case("reduce.cu", "column_sums<T, A>", "column_sums<A, T>", "row_sums<T, A>", "row_sums<A, T>")
def sums(get: Get, t: str) -> None:
    number = computed(t)
    a = "double" if t == "double" else "float"
    one, half = number.type(1), number.type(0.5)
    chunk = 16
    for outer, n, inner in ((1, 70, 37), (3, 5, 40), (2, 33, 64)):
        x = normal((outer, n, inner), t, 3)
        chunks = -(-n // chunk)
        results = []
        for blocks in (1, 5):
            parts, y = out((outer, chunks, inner), number), out((outer, inner), TYPES[t])
            sizes = (np.int64(outer), np.int64(n), np.int64(inner), np.int64(chunk), one)
            get(f"column_sums<{t}, {a}>")((blocks,), (32, 8), (to_device(x), parts, *sizes))
            sizes = (np.int64(outer), np.int64(chunks), np.int64(inner), np.int64(chunks), half)
            get(f"column_sums<{a}, {t}>")((blocks,), (32, 8), (parts, y, *sizes))
            equal(y.host, wide(x).sum(1) / 2, t)
            results.append(y.host.tobytes())
        assert results[0] == results[1]  # whatever the grid
    for outer, n, block in ((7, 301, 96), (3, 1, 64), (2, 129, 256)):
        x = normal((outer, n), t, 4)
        chunk, chunks = 100, -(-n // 100)
        for threads in (32, block):
            parts, y = out((outer, chunks), number), out(outer, TYPES[t])
            sizes = (np.int64(outer), np.int64(n), np.int64(chunk), one, np.int32(threads))
            get(f"row_sums<{t}, {a}>")((3,), (block,), (to_device(x), parts, *sizes))
            sizes = (np.int64(outer), np.int64(chunks), np.int64(chunks), half, np.int32(32))
            get(f"row_sums<{a}, {t}>")((2,), (64,), (parts, y, *sizes))
            equal(y.host, wide(x).sum(1) / 2, t)


@case("scatter.cu", *(f"run_{k}<T, {add}>" for k in ("sums", "ends") for add in ("false", "true")))
def scatter(get: Get, t: str) -> None:
    # runs that lie in a chunk, fill it, cross one border and several, end with the list; places that are none
    many = np.array([3] * 11 + [0, 8, 8, 1, 5] + [2] * 4 + [0] * 3 + [-1, 9])
    to_the_end = np.array([7] * 6 + [1] * 3)
    for places, chunk in ((many, 4), (many, 5), (to_the_end, 4)):
        _scatter(get, t, places, chunk)


def _scatter(get: Get, t: str, places: np.ndarray, chunk: int) -> None:
    outer, n, inner = 2, len(places), 5
    order = np.argsort(places, kind="stable")
    x = normal((outer, n, inner), t, 5)
    chunks = -(-n // chunk)
    for add in (False, True):
        start = normal((outer, 9, inner), t, 6) if add else np.zeros((outer, 9, inner), TYPES[t])
        y = to_device(start)
        heads, tails = (out((outer, chunks, inner), computed(t)) for _ in range(2))
        sizes = tuple(np.int64(v) for v in (outer, n, inner, 9, chunk))
        sorted_places, flag = to_device(places[order]), str(add).lower()
        get(f"run_sums<{t}, {flag}>")((2,), (64,), (to_device(x), to_device(order), sorted_places, y, heads, tails, *sizes))
        get(f"run_ends<{t}, {flag}>")((2,), (64,), (sorted_places, y, heads, tails, *sizes))
        expected = wide(start)
        inside = (places >= 0) & (places < 9)
        np.add.at(expected, (slice(None), places[inside]), wide(x)[:, inside])
        equal(y.host, expected, t)
