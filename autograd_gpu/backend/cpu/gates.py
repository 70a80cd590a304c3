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


def _aligned(shape: tuple[int, ...], dtype: Any) -> Any:
    """An empty array at a multiple of 64 bytes."""
    size = prod(shape) * dtype.itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def by_gate(w: Any, order: Sequence[int], scale: Sequence[float] | None = None) -> Any:
    """A weight as a matrix for each gate, in another order; with `scale`, each transposed and scaled."""
    parts = w.reshape(len(order), -1, w.shape[1])
    if scale is None:
        out = _aligned(parts.shape, w.dtype)
        for k, j in enumerate(order):
            out[k] = parts[j]
        return out
    out = _aligned((len(order), w.shape[1], parts.shape[1]), w.dtype)
    for k, j in enumerate(order):
        np.multiply(parts[j].T, w.dtype.type(scale[k]), out=out[k])
    return out


_SMALL = 1_000_000  # multiplications in a product that OpenBLAS does without copying


def _parts(n: int, width: int, size: int) -> int:
    """Into how many parts to cut n rows, so that their products with a (width, size) matrix are small; 1 if that does not pay."""
    for count in range(1, n // 16 + 1):
        if n % count == 0 and n // count * width * size < _SMALL:
            return count
    return 1


def write_inputs(x: Any, weights: Any, sizes: Sequence[int], reverse: bool, out: Any) -> None:
    """Write the part of the inputs in the gates of all steps into `out`, (T, gates, B, H)."""
    t, n, (gates, width, size) = len(sizes), sizes[0], weights.shape
    parts = _parts(n, width, size)
    m = n // parts
    if n == sizes[-1] and 1 << 14 < m * width * size < _SMALL:
        x = x.reshape(t, parts, 1, m, width)
        out = out.reshape(t, gates, parts, m, size).transpose(0, 2, 1, 3, 4)
        np.matmul(x[::-1] if reverse else x, weights, out=out)
        return
    rows = x.dot(weights.transpose(1, 0, 2).reshape(width, gates * size))
    for k, (row, n) in enumerate(zip(steps_of(rows, sizes, reverse), sizes, strict=True)):
        out[k, :, :n] = row.reshape(n, gates, size).transpose(1, 0, 2)


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


class Products:
    """Products of the states of each step with the matrices of the gates, and of the gradients of gates with them.

    forward(h (n, P))           -> (gates, n, H), for weights (gates, P, H)
    backward(d (gates, n, H))   -> (n, P), the sum over gates, for weights (gates, H, P)
    Both write over what they gave before, or into `out`."""

    def __init__(self, weights: Any, most: int):
        self.weights = weights
        self.gates, width, size = weights.shape
        self.out = np.empty((self.gates, most, size), weights.dtype)
        self.most, self.parts = most, _parts(most, width, size)
        if self.parts > 1:
            self.rows = most // self.parts
            self.cut = self.out.reshape(self.gates, self.parts, self.rows, size)

    def forward(self, h: Any) -> Any:
        n = len(h)
        if self.parts == 1 or n < self.most:
            return np.matmul(h, self.weights, out=self.out if n == self.most else self.out[:, :n])
        np.matmul(h.reshape(self.parts, 1, self.rows, h.shape[1]), self.weights, out=self.cut.transpose(1, 0, 2, 3))
        return self.out

    def backward(self, d: Any, out: Any) -> Any:
        n = len(out)
        if self.parts == 1 or n < self.most:
            products = np.matmul(d, self.weights, out=self.out[:, :n])
        else:
            products = self.out
            np.matmul(d.reshape(self.gates, self.parts, self.rows, d.shape[2]), self.weights[:, None], out=self.cut)
        return np.add.reduce(products, 0, out=out)


def bias_by_gate(b: Any, n: int, order: Sequence[int], scale: Sequence[float]) -> Any:
    """A bias for each of n rows by gates, (gates, n, H), so that adding it needs no broadcasting; None for None."""
    if b is None:
        return None
    out = np.empty((len(order), n, len(b) // len(order)), b.dtype)
    for k, (j, part) in enumerate(zip(order, scale, strict=True)):
        out[k] = b.reshape(len(order), -1)[j] * b.dtype.type(part)
    return out
