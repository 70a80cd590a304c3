"""cast.cu, embedding.cu, reduce.cu and scatter.cu: kernels on rows."""

from __future__ import annotations

import numpy as np

from ..array import to_device
from . import TYPES, Get, case, computed, equal, normal, out, wide


@case("cast.cu", *(f"cast<T, {u}>" for u in TYPES), *(f"cast_rows<T, {u}>" for u in TYPES))
def cast(get: Get, t: str) -> None:
    n = 1067
    x = normal(n, t, 1, 100)
    for u, dtype in TYPES.items():
        coarse = t if TYPES[t].itemsize < dtype.itemsize else u
        for x_shift, y_shift in ((0, 0), (1, 0), (0, 1)):
            source = to_device(np.concatenate([x[:x_shift], x])).part(x_shift)
            y = out(n + y_shift, dtype).part(y_shift)
            get(f"cast<{t}, {u}>")((3,), (64,), (source, y, np.int64(n)))
            equal(y.host, wide(x), coarse, dtype)
        # rows one by one and in packs, these aligned or not
        for columns, stride, x_shift, y_shift in (
            (20, 59, 0, 0),
            (21, 64, 0, 0),
            (16, 56, 0, 0),
            (16, 56, 1, 0),
            (16, 56, 0, 1),
            (16, 18, 0, 0),
        ):
            rows = 17
            source = to_device(x[: x_shift + (rows - 1) * stride + columns]).part(x_shift)  # ends with the last row
            y = out(rows * columns + y_shift, dtype).part(y_shift)
            get(f"cast_rows<{t}, {u}>")((3,), (64,), (source, y, np.int64(rows), np.int64(columns), np.int64(stride)))
            wanted = [wide(x)[x_shift + r * stride :][:columns] for r in range(rows)]
            equal(y.host.reshape(rows, columns), np.stack(wanted), coarse, dtype)


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


LAYOUTS = ((1, 70, 37, 0, 0), (3, 5, 40, 0, 0), (2, 33, 320, 8, 0), (2, 9, 64, 0, 1), (3, 8, 16, 3, 0), (2, 9, 30, 2, 0))


@case("reduce.cu", "column_sums<T, A>", "column_sums<A, T>", "row_sums<T, A>", "row_sums<A, T>")
def sums(get: Get, t: str) -> None:
    number = computed(t)
    a = "double" if t == "double" else "float"
    one, two = number.type(1), number.type(2)
    chunk = 16
    # columns in packs and one by one (odd numbers of them, rows or planes that are not aligned), whole tiles and parts of one
    for outer, n, inner, gap, shift in LAYOUTS:
        apart = inner + gap
        far = n * apart + (gap and 8)
        x = normal(shift + (outer - 1) * far + (n - 1) * apart + inner, t, 3)
        view = np.lib.stride_tricks.as_strided(x[shift:], (outer, n, inner), [k * x.itemsize for k in (far, apart, 1)])
        chunks = -(-n // chunk)
        results = []
        for blocks in (1, 5):
            parts, y = out((outer, chunks, inner), number), out((outer, inner), TYPES[t])
            sizes = tuple(np.int64(k) for k in (outer, n, inner, far, apart, chunk))
            get(f"column_sums<{t}, {a}>")((blocks,), (32, 8), (to_device(x).part(shift), parts, *sizes, one))
            sizes = tuple(np.int64(k) for k in (outer, chunks, inner, chunks * inner, inner, chunks))
            get(f"column_sums<{a}, {t}>")((blocks,), (32, 8), (parts, y, *sizes, two))
            equal(y.host, wide(view).sum(1) / 2, t)
            results.append(y.host.tobytes())
        assert results[0] == results[1]  # whatever the grid
    x = normal((3, 10, 37), t, 3)  # planes that are not aligned, of rows that are
    y = out((3, 16), number)
    sizes = tuple(np.int64(k) for k in (3, 4, 16, 37, 16, 4))
    get(f"column_sums<{t}, {a}>")((3,), (32, 8), (to_device(x), y, *sizes, one))
    equal(y.host, np.stack([wide(x).reshape(-1)[k * 37 : k * 37 + 64].reshape(4, 16).sum(0) for k in range(3)]), t, number)
    for outer, n, far, block in ((7, 301, 301, 96), (3, 1, 1, 64), (2, 129, 140, 256), (19, 10, 16, 64)):
        x = normal((outer, far), t, 4)
        chunk, chunks = 100, -(-n // 100)
        for threads in (32, 4, 1, block):
            if block % threads or threads & (threads - 1) and threads != block:
                continue
            parts, y = out((outer, chunks), number), out(outer, TYPES[t])
            sizes = tuple(np.int64(k) for k in (outer, n, far, chunk))
            get(f"row_sums<{t}, {a}>")((3,), (block,), (to_device(x), parts, *sizes, one, np.int32(threads)))
            sizes = tuple(np.int64(k) for k in (outer, chunks, chunks, chunks))
            get(f"row_sums<{a}, {t}>")((2,), (64,), (parts, y, *sizes, two, np.int32(32)))
            equal(y.host, wide(x[:, :n]).sum(1) / 2, t)


@case("scatter.cu", "run_sums<T, T>", "run_sums<A, T>")
def scatter(get: Get, t: str) -> None:
    # runs that lie in a chunk, fill it, cross one border and several, end with the list; places that are none
    many = np.array([3] * 11 + [0, 8, 8, 1, 5] + [2] * 4 + [0] * 3 + [-1, 9])
    to_the_end = np.array([7] * 6 + [1] * 3)
    for places, chunk, columns, shift in ((many, 4, 5, 0), (many, 5, 16, 0), (to_the_end, 4, 16, 1), (to_the_end, 9, 3, 0)):
        _scatter(get, t, places, chunk, columns, shift)


def _scatter(get: Get, t: str, places: np.ndarray, chunk: int, columns: int, shift: int) -> None:
    n, a = len(places), "double" if t == "double" else "float"
    order = np.argsort(places, kind="stable")
    x = normal((n, columns), t, 5)
    start = normal((9, columns), t, 6)
    y = to_device(start)
    rows = to_device(np.concatenate([x.reshape(-1)[:shift], x.reshape(-1)])).part(shift)
    name, order_now, places_now = f"run_sums<{t}, {t}>", to_device(order), to_device(places[order])
    while True:
        chunks = -(-n // chunk)
        parts = out((2 * chunks, columns), computed(t)) if chunks > 1 else None
        part_places = out(2 * chunks, np.dtype(np.int64)) if chunks > 1 else None
        sizes = tuple(np.int64(k) for k in (n, columns, 9, chunk))
        get(name)((2,), (64,), (rows, order_now, places_now, y, parts, part_places, *sizes))
        if chunks == 1:
            break
        rows, order_now, places_now, n, name = parts, None, part_places, 2 * chunks, f"run_sums<{a}, {t}>"
    expected = wide(start)
    inside = (places >= 0) & (places < 9)
    np.add.at(expected, places[inside], wide(x)[inside])
    equal(y.host, expected, t)
