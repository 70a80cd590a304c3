"""The fused kernels of attention: what the rules in `autograd_gpu.ops.attention` compute, block by block.

Dao, Fu, Ermon, Rudra and Re, "FlashAttention", 2022: the matrix of scores is made in pieces that stay in the cache, and made
again in the backward, from one or two numbers that the forward kept of each row.

NOTE [Attention on a CPU]
    1. Exponentials are taken without subtracting the largest score of a row where the sums tell that it was not needed, and are
       never divided by their sum: the output is, and in the backward its gradient. A pass over a block of scores costs as much
       as a product.
    2. The residue is the inverse of the sums (..., queries); where the largest scores had to be subtracted somewhere, it is
       (2, ..., queries), with those behind.
    3. Keys and values are copied where BLAS would have to multiply by their transposes: of matrices this small that takes twice
       the time, more than the copy. The scale goes into the copy. Whatever else is strided is multiplied as it lies.
    4. What is dropped is told by the stream of random numbers, anew in the backward: nothing is kept of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from ..random import kept
from .reduce import _narrow, _ones, _widened

_BLOCK = 1 << 17  # scores at a time
_ROWS = 64  # queries at a time where later ones see more keys
_LEAST, _MOST = 1e-10, 1e10  # sums of exponentials with which these, and gradients divided by the sums, keep their digits


class _Call:
    """The arguments of a call, and blocks of them. In a block `seen` is how many keys its queries see at most.

    q, k, v   (..., queries or keys, size)
    mask      (..., queries, keys): bool, False where a key is hidden, or what is added to the scores; None"""

    def __init__(self, q: Any, k: Any, v: Any, mask: Any, scale: float, causal: bool, p: float, seed: int, offset: int):
        self.q, self.k, self.v, self.mask = _widened(q), _widened(k), _widened(v), mask
        self.scale, self.causal = self.q.dtype.type(scale), causal
        self.share, self.p, self.seed, self.offset = self.q.dtype.type(1 - p), p, seed, offset
        self.lead, (self.queries, self.keys) = q.shape[:-2], (q.shape[-2], k.shape[-2])

    def blocks(self) -> Iterator[tuple[tuple, slice, int, int]]:
        """(index of the leading dimensions, rows of queries, keys that they see, number of the first score) of blocks that cover
        all scores. The last rows come first: with a causal mask they see the most keys."""
        queries, keys = self.queries, self.keys
        step = queries if queries * keys <= _BLOCK else max(16, _BLOCK // keys)
        if self.causal and not self.p:
            step = min(step, _ROWS)
        alone = self.p and step < queries  # numbers of the stream are drawn for whole matrices, or for rows of one
        for start in range(0, queries, step)[::-1]:
            stop = min(start + step, queries)
            rows, seen = slice(start, stop), min(keys, stop) if self.causal else keys
            for index, i in self._matrices(_BLOCK + 1 if alone else (stop - start) * seen):
                yield index, rows, seen, i * queries * keys + start * keys

    def _matrices(self, size: int) -> Iterator[tuple[tuple, int]]:
        """(index of the leading dimensions, number of the first matrix) of so many matrices, of `size` elements each, that they
        make a block."""
        lead = self.lead
        axis, inner = len(lead), 1
        while axis and size * inner * lead[axis - 1] <= _BLOCK:
            axis -= 1
            inner *= lead[axis]
        if not axis:
            yield (), 0
            return
        n = lead[axis - 1]
        step = -(-n // -(-n * inner * size // _BLOCK)) if size * inner <= _BLOCK else 1  # as even as it goes
        for i, index in enumerate(np.ndindex(*lead[: axis - 1])):
            for start in range(0, n, step):
                yield (*index, slice(start, start + step)), (i * n + start) * inner

    def turned(self, x: Any, index: tuple, seen: int) -> Any:
        """The transpose of keys or values, times the scale."""
        return np.multiply(x[index][..., :seen, :].swapaxes(-1, -2), self.scale, order="C")

    def _scores(self, index: tuple, rows: slice, seen: int) -> tuple[Any, Any]:
        """Scores, and which of them are not hidden by the mask (None: all)."""
        e = np.matmul(self.q[index][..., rows, :], self.turned(self.k, index, seen))
        if self.mask is None:
            return e, None
        mask = self.mask[index][..., rows, :seen]
        if mask.dtype.kind == "b":
            return e, mask
        e += _widened(mask)
        return e, None

    def exponentials(self, index: tuple, rows: slice, seen: int) -> Any:
        """exp(score), 0 where a key is hidden."""
        e, mask = self._scores(index, rows, seen)
        np.exp(e, out=e)
        if mask is not None:
            e *= mask
        if self.causal and rows.start < seen:
            corner = e[..., rows.start :]
            corner *= _triangle(e.shape[-2], e.dtype)[:, : seen - rows.start]
        return e

    def careful(self, index: tuple, rows: slice, seen: int, top: Any = None) -> tuple[Any, Any]:
        """(exp(score - top), top), where top is the largest score of each row; it is looked for if it is not given."""
        e, mask = self._scores(index, rows, seen)
        if mask is not None:
            e[~mask] = -np.inf
        if self.causal and rows.start < seen:
            hidden = _triangle(e.shape[-2], e.dtype)[:, : seen - rows.start] == 0
            e[..., rows.start :][np.broadcast_to(hidden, e[..., rows.start :].shape)] = -np.inf
        if top is None:
            top = np.maximum.reduce(e, axis=-1)
            top[top == -np.inf] = 0
        e -= top[..., None]
        return np.exp(e, out=e), top

    def kept(self, shape: tuple[int, ...], number: int) -> Any:
        """Which weights of a block dropout keeps."""
        whole = (*shape[:-1], self.keys)
        n = 1
        for size in whole:
            n *= size
        return kept(self.seed, self.offset, n, self.p, number).reshape(whole)[..., : shape[-1]]


@lru_cache(8)
def _triangle(n: int, dtype: Any) -> Any:
    """(n, n) ones on and below the diagonal."""
    return np.tril(np.ones((n, n), dtype))


def _takes(q: Any, k: Any, v: Any, p: float) -> bool:
    """Whether the arrays are of a dtype that is computed here, and not empty."""
    return q.dtype.kind in "fV" and q.size > 0 and k.size > 0 and v.size > 0 and p < 1


def forward(
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    *,
    scale: float,
    causal: bool = False,
    p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
) -> Any:
    """(out, residue), see the NOTE."""
    if not _takes(q, k, v, p):
        return NotImplemented
    call = _Call(q, k, v, mask, scale, causal, p, seed, offset)
    dtype, v = call.q.dtype, call.v
    out = np.empty_like(call.q, shape=(*q.shape[:-1], v.shape[-1]))  # in memory the dimensions have the order that q's have
    inverse, tops = np.empty(q.shape[:-1], dtype), None
    for index, rows, seen, number in call.blocks():
        e = call.exponentials(index, rows, seen)
        ones = _ones(seen, dtype)
        total = e.reshape(-1, seen).dot(ones)
        if not (np.minimum.reduce(total) >= _LEAST and np.maximum.reduce(total) <= _MOST):
            e, top = call.careful(index, rows, seen)
            tops = np.zeros_like(inverse) if tops is None else tops
            tops[index][..., rows] = top
            total = e.reshape(-1, seen).dot(ones)
            total[total == 0] = np.inf  # a query that sees no key gives zeros
        inverse[index][..., rows] = np.reciprocal(total, out=total).reshape(e.shape[:-1])
        if p:
            e *= call.kept(e.shape, number)
        np.matmul(e, v[index][..., :seen, :], out=out[index][..., rows, :])
    _times_rows(out, inverse / call.share if p else inverse, out)
    return _narrow(out, q.dtype), inverse if tops is None else np.stack([inverse, tops])


def backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    *,
    q: Any,
    k: Any,
    v: Any = None,
    mask: Any = None,
    out: Any = None,
    scale: float,
    causal: bool = False,
    p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
    residue: Any = None,
) -> Any:
    """The rules for q, k and v."""
    if residue is None or v is None or out is None or "mask" in needed:
        return NotImplemented
    narrow = q.dtype
    call = _Call(q, k, v, mask, scale, causal, p, seed, offset)
    q, k, v, out = call.q, call.k, call.v, _widened(out)
    inverse, tops = residue if residue.ndim == q.ndim else (residue, None)
    # with which exponentials need not be divided by their sums
    g = _times_rows(_widened(g), inverse / call.share if p else inverse, np.empty_like(out))
    deltas = np.vecdot(g, out)
    deltas *= call.scale * call.share
    dq, dk, dv = [np.empty_like(x) if name in needed else None for name, x in (("q", q), ("k", k), ("v", v))]
    for d in (dk, dv):
        if d is not None and causal and call.queries < call.keys:
            d[..., call.queries :, :] = 0  # which no query sees
    for index, rows, seen, number in call.blocks():
        if tops is None:
            e = call.exponentials(index, rows, seen)
        else:
            e, _ = call.careful(index, rows, seen, tops[index][..., rows])
        g_rows = g[index][..., rows, :]
        weights = e * call.kept(e.shape, number) if p else e
        add = rows.stop < call.queries
        if dv is not None:
            _product(weights.swapaxes(-1, -2), g_rows, dv[index][..., :seen, :], add)
        if dq is None and dk is None:
            continue
        delta = deltas[index][..., rows, None]
        d = np.matmul(g_rows, call.turned(v, index, seen))
        if p:
            d *= weights
            e *= delta
            d -= e
        else:
            d -= delta
            d *= e
        if dq is not None:
            np.matmul(d, k[index][..., :seen, :], out=dq[index][..., rows, :])
        if dk is not None:
            _product(d.swapaxes(-1, -2), q[index][..., rows, :], dk[index][..., :seen, :], add)
    return [_narrow(d, narrow) for d in (dq, dk, dv) if d is not None]


def _times_rows(x: Any, factors: Any, out: Any) -> Any:
    """Each row of x, along its last dimension, times its factor. In the order in which the rows of `out` lie in memory, and with
    the factors repeated, for NumPy spends more on beginning a short row than on multiplying it."""
    order = sorted(range(factors.ndim), key=lambda i: -out.strides[i])
    repeated = np.repeat(factors.transpose(order), x.shape[-1])
    order.append(factors.ndim)
    y = out.transpose(order)
    np.multiply(x.transpose(order), repeated.reshape(y.shape), out=y)
    return out


def _product(a: Any, b: Any, out: Any, add: bool) -> None:
    """The product of matrices into `out`, or added to it."""
    if add:
        out += np.matmul(a, b)
    else:
        np.matmul(a, b, out=out)


ATTENTION = {"scaled_dot_product_attention": (forward, backward)}
