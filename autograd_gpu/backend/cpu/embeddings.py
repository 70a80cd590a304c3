"""The rows of tables that embeddings take, and the gradient: what the op in `autograd_gpu.ops.embeddings` composes, faster."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .indexing import _sum_rows


def _embedding(weight: Any, index: Any, *, padding: int | None = None, by_frequency: bool = False) -> Any:
    """The forward of `embedding`. Raises IndexError for a number that is no row."""
    rows = len(weight)
    index = index.astype(np.int64, copy=False)
    if index.size and int(index.view(np.uint64).max()) >= rows:  # a negative one is a huge one
        wrong = index[(index < 0) | (index >= rows)].reshape(-1)[0]
        raise IndexError(f"index out of range in self: row {wrong} of a table with {rows} rows")
    return weight.take(index, 0, mode="clip") if rows else NotImplemented


def _embedding_backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    *,
    index: Any,
    weight_shape: tuple[int, int],
    padding: int | None = None,
    by_frequency: bool = False,
) -> Any:
    """The rule of `embedding`."""
    rows, width = weight_shape
    if not index.size or not width:
        return NotImplemented
    places = index.reshape(-1).astype(np.int64, copy=False)
    out = _sum_rows(g.reshape(math.prod(index.shape), width), places, rows)
    if padding is not None:
        out[padding] = 0
    if by_frequency:
        counts = np.maximum(np.bincount(places, minlength=rows), 1)
        out = (out / counts[:, None]).astype(out.dtype, copy=False)
    return (out,)


EMBEDDINGS = {"embedding": (_embedding, _embedding_backward)}
