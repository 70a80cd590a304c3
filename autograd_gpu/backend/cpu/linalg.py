"""Words for products of matrices.

`a.dot(b)` costs a third of `np.matmul(a, b)` on small matrices. Half precision is multiplied in float32 and rounded once."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

FULL = frozenset(np.dtype(t) for t in ("float32", "float64", "complex64", "complex128"))  # what BLAS multiplies


def matmul(a: Any, b: Any) -> Any:
    """The product of matrices, over broadcast leading dimensions. Both have two dimensions or more."""
    if a.ndim == b.ndim == 2:
        if a.dtype in FULL:
            return a.dot(b)
    elif b.ndim == 2 and a.flags.c_contiguous:  # one large product instead of many small ones
        return matmul(a.reshape(prod(a.shape[:-1]), a.shape[-1]), b).reshape(a.shape[:-1] + b.shape[1:])
    if a.dtype.itemsize == 2 and a.dtype.kind in "fV":
        return np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    return np.matmul(a, b)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x times the transpose of `weight`, a matrix (out, in), plus `bias`, for leading dimensions of x, at least one."""
    if x.ndim == 2 and x.dtype in FULL:
        out = x.dot(weight.T)
    else:
        out = matmul(x, weight.T)
    if bias is not None:
        if bias.dtype is not out.dtype:
            raise TypeError("the bias is of another dtype")
        np.add(out, bias, out)
    return out


_TALL = 4096  # longer sums of rows are left to the word `sum_to`, which takes them in blocks


@lru_cache(64)
def _ones(n: int, dtype: Any) -> Any:
    return np.ones(n, dtype)


def linear_backward(
    xp: Any, g: Any, needed: tuple[str, ...], x: Any = None, weight: Any = None, bias_shape: tuple[int, ...] | None = None
) -> Any:
    """The rules of `linear`. What an input's gradient is computed from is given exactly if it is needed."""
    dtype = g.dtype
    if g.ndim != 2 or dtype not in FULL or len(g) > _TALL:
        return NotImplemented
    grads = []
    if weight is not None:
        grads.append(g.dot(weight))
    if x is not None:
        grads.append(g.T.dot(x))
    if bias_shape is not None:
        grads.append(_ones(len(g), dtype).dot(g))
    return grads


PRODUCTS = {"linear": (None, linear_backward)}
