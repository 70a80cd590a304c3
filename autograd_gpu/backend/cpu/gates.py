"""What the words of recurrent layers on NumPy are made of: weights taken apart by gates, and products with them. See NOTE [Fast
recurrent steps] in `recurrent`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from math import prod
from typing import Any

import numpy as np

from ..steps import steps_of
from .reduce import _is_half


def in_full_precision(f: Callable) -> Callable:
    """Let `f` compute half precision in float32."""

    @wraps(f)
    def word(*arrays: Any, **options: Any) -> Any:
        like = next(a for a in arrays if a is not None)
        if not _is_half(like.dtype):
            return f(*arrays, **options)
        outs = f(*[None if a is None else a.astype(np.float32) for a in arrays], **options)
        return tuple([None if out is None else out.astype(like.dtype) for out in outs])

    return word


def arranged(w: Any, order: Sequence[int]) -> Any:
    """The gates of a weight or bias in another order."""
    return w.reshape(len(order), -1, *w.shape[1:])[list(order)].reshape(w.shape)


def aligned(shape: tuple[int, ...], dtype: Any) -> Any:
    """An empty array, at a multiple of 64 bytes if it is large."""
    size = prod(shape) * dtype.itemsize
    if size < 1 << 12:
        return np.empty(shape, dtype)
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


# -- products in small pieces, see 2. of the NOTE -----------------------------------------------------------------------------

_SMALL = 1_000_000  # multiplications in a product that OpenBLAS does without copying
_COLUMNS, _ROWS = 64, 8  # of a piece: as many columns, at least so many rows


def _columns(n: int, width: int, size: int) -> int:
    """How many columns of a (width, size) matrix to multiply n rows with at once."""
    return _COLUMNS if n >= 2 * _ROWS and size % _COLUMNS == 0 and _ROWS * width * _COLUMNS < _SMALL else size


def _rows(n: int, width: int, columns: int) -> int:
    """How many of n rows to multiply with a (width, columns) matrix at once, a divisor of n: n if none makes a small product."""
    for count in range(1, n // _ROWS + 1):
        if n % count == 0 and n // count * width * columns < _SMALL:
            return n // count
    return n


def by_gate(w: Any, order: Sequence[int], scale: Sequence[float], n: int, bias: Any = None) -> Any:
    """A weight in pieces for products with n rows, (gates, pieces, I, columns): its gates in another order, scaled and turned.
    With a bias, which is for a last column of ones beside the rows, I is one more."""
    gates, width = len(order), w.shape[1]
    size, used = len(w) // gates, width if bias is None else width + 1
    columns = _columns(n, used, size)
    out = aligned((gates, size // columns, used, columns), w.dtype)
    parts = w.reshape(gates, -1, columns, width).transpose(0, 1, 3, 2)
    for k, (j, part) in enumerate(zip(order, scale, strict=True)):
        out[k, :, :width] = parts[j]
        if bias is not None:
            out[k, :, width] = bias.reshape(gates, -1, columns)[j]
        if part != 1:
            np.multiply(out[k], w.dtype.type(part), out=out[k])
    return out


def backwards(w: Any, gates: int, n: int) -> Any:
    """A weight (gates H, P) in pieces for products of n rows of gradients with it, (1, pieces, gates H, columns), or where these
    are not small or have a rest, (gates, pieces, H, columns) for products that are to be added."""
    size = w.shape[1]
    if _ROWS * len(w) * _COLUMNS < _SMALL and (size % _COLUMNS == 0 or size < _COLUMNS):
        gates = 1
    width = len(w) // gates
    columns = _columns(n, width, size)
    out = aligned((gates, size // columns, width, columns), w.dtype)
    out[...] = w.reshape(gates, width, -1, columns).transpose(0, 2, 1, 3)
    return out


class Products:
    """Products of rows x (n, I) with the matrices of gates, in pieces, written into the first rows of `out` (gates, most, H)."""

    def __init__(self, weights: Any, out: Any):
        self.weights, self.out = weights, out
        self.plans: dict[int, tuple[Any, ...]] = {}

    def __call__(self, x: Any) -> Any:
        n = x.shape[-2]
        out, cut, weights, pieces = self.plans.get(n) or self._plan(n)
        if pieces is None:
            for start, end, products in cut:
                products(x[..., start:end, :])
        else:
            np.matmul(x if cut is None else x.reshape(x.shape[:-2] + cut), weights, out=pieces)
        return out

    def _plan(self, n: int) -> tuple[Any, ...]:
        """For n rows: what is given back, how they are cut, the weights, and where the products with them are written. If no
        divisor of n makes these small, the rows are cut into parts, each with products of its own."""
        gates, pieces, width, columns = self.weights.shape
        rows, out = _rows(n, width, columns), self.out[:, :n]
        if n > 2 * _ROWS and _ROWS * width * columns < _SMALL <= rows * width * columns:
            parts = [(k, min(k + 2 * _ROWS, n)) for k in range(0, n, 2 * _ROWS)]
            plan = out, [(*part, Products(self.weights, out[:, slice(*part)])) for part in parts], None, None
        elif rows == n:
            plan = out, None, self.weights, out.reshape(gates, n, pieces, columns).transpose(0, 2, 1, 3)
        else:
            where = out.reshape(gates, n // rows, rows, pieces, columns).transpose(0, 3, 1, 2, 4)
            plan = out, (n // rows, rows, width), self.weights[:, :, None], where
        self.plans[n] = plan
        return plan

    def sum(self, d: Any, out: Any) -> Any:
        """The sum over gates of the products of rows d, (n, gates H): in `out`, or where they are if all are one product."""
        gates = len(self.weights)
        if gates == 1:
            return self(d)[0]
        return np.add.reduce(self(d.reshape(len(d), gates, 1, -1).transpose(1, 2, 0, 3)), 0, out=out)


def rows_of(x: Any, ones: bool = False) -> Any:
    """The rows of x, (N, I); with `ones`, beside a last column of them, (N, I + 1)."""
    n, width = prod(x.shape[:-1]), x.shape[-1]
    if not ones:
        return x if x.ndim == 2 else np.ascontiguousarray(x).reshape(n, width)
    out = np.empty((*x.shape[:-1], width + 1), x.dtype)
    out[..., :width] = x
    out[..., width] = 1
    return out.reshape(n, width + 1)


def write_inputs(x: Any, weights: Any, sizes: Sequence[int], reverse: bool, out: Any) -> None:
    """Write the part of the inputs, rows x, in the gates of all steps into `out`, (T, gates, B, H). `weights` as of `by_gate`."""
    t, n, (gates, pieces, width, columns) = len(sizes), sizes[0], weights.shape
    m = _rows(n, width, columns)
    if n == sizes[-1] and m * width * columns < _SMALL and m * width * columns * pieces > 1 << 14:
        x = x.reshape(t, -1, m, width)
        out = out.reshape(t, gates, -1, m, pieces, columns).transpose(1, 4, 0, 2, 3, 5)
        np.matmul(x[::-1] if reverse else x, weights[:, :, None, None], out=out, order="C")  # a piece of the weights at a time
        return
    rows = x.dot(weights.transpose(2, 0, 1, 3).reshape(width, -1))
    for k, (row, n) in enumerate(zip(steps_of(rows, sizes, reverse), sizes, strict=True)):
        out[k, :, :n] = row.reshape(n, gates, -1).transpose(1, 0, 2)


def write_step(products: Any, biases: Any, order: Sequence[int], scale: Sequence[float], out: Any) -> None:
    """Write the linear parts of the gates of a single step, for which it does not pay to take weights apart, into `out`, (gates,
    n, H): the sum of the products, pairs of x (n, I) or None and a weight (gates H, I), and of the biases, None or (gates H)."""
    total = None
    for x, w in products:
        if x is not None:
            total = x.dot(w.T) if total is None else np.add(total, x.dot(w.T), out=total)
    if total is None:
        total = np.zeros((out.shape[1], len(order) * out.shape[2]), out.dtype)
    for b in biases:
        if b is not None:
            np.add(total, b, out=total)
    gates = total.reshape(len(total), len(order), -1).transpose(1, 0, 2)
    for k, j in enumerate(order):
        np.multiply(gates[j], out.dtype.type(scale[k]), out=out[k])


def bias_by_gate(b: Any, n: int, order: Sequence[int], scale: Sequence[float]) -> Any:
    """A bias for each of n rows by gates, (gates, n, H), so that adding it needs no broadcasting; None for None."""
    if b is None:
        return None
    out = np.empty((len(order), n, len(b) // len(order)), b.dtype)
    for k, (j, part) in enumerate(zip(order, scale, strict=True)):
        out[k] = b.reshape(len(order), -1)[j] * b.dtype.type(part)
    return out
