"""Adding rows at places that may repeat, by scatter.cu.

NOTE [Long runs]
    Rows that go to one place are added up in their order, in chunks; the sums of chunks are rows to be added up in their turn. So
    one place that takes millions of rows is work for as many threads as a million places, and the order of sums depends on the
    number of rows and on the places alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from cupy import ndarray

from ..kernels import C_NAME, computed, elementwise, kernel

__all__: list[str] = []

_CHUNK, _NARROW = 32, 16  # rows that a thread adds up; of narrow ones fewer, because neighbours in memory are other rows then


def add_rows(out: Any, places: Any, x: Any) -> None:
    """Add each row of x to the row of `out` that `places`, int64, names; where it names none, it is left out. out and x are
    matrices in C order, of one dtype that kernels take."""
    order = places.argsort()
    places = places.take(order)
    n, columns, dtype = places.size, x.shape[1], x.dtype
    chunk = _CHUNK if columns >= 32 else _NARROW
    rows: Any = order
    while True:
        chunks = -(-n // chunk)
        parts = part_places = None
        if chunks > 1:
            parts, part_places = ndarray((2 * chunks, columns), computed(dtype)), ndarray((2 * chunks,), np.int64)
        launch = kernel("scatter.cu", f"run_sums<{C_NAME[x.dtype]},{C_NAME[dtype]}>")
        grid, block = elementwise(chunks * max(1, columns * x.dtype.itemsize // 16))
        sizes = (np.int64(n), np.int64(columns), np.int64(len(out)), np.int64(chunk))
        launch(grid, block, x, rows, places, out, parts, part_places, *sizes)
        if chunks == 1:
            return
        x, rows, places, n, chunk = parts, None, part_places, 2 * chunks, _CHUNK
