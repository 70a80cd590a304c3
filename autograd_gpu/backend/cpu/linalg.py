"""Words for products of matrices.

`a.dot(b)` costs a third of `np.matmul(a, b)` on small matrices. Half precision is multiplied in float32 and rounded once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .reduce import _TALL, _is_half, _ones, _widened

FULL = frozenset(np.dtype(t) for t in ("float32", "float64", "complex64", "complex128"))  # what BLAS multiplies


def matmul(a: Any, b: Any) -> Any:
    """The product of matrices, over broadcast leading dimensions. Both have two dimensions or more."""
    if a.ndim == b.ndim == 2:
        if a.dtype in FULL and b.__class__ is a.__class__:  # `dot` would ask an array of another device for its elements
            return a.dot(b)
    elif b.ndim == 2 and a.flags.c_contiguous:  # one large product instead of many small ones
        return matmul(a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), b).reshape(a.shape[:-1] + b.shape[1:])
    if _is_half(a.dtype):
        return np.matmul(_widened(a), _widened(b)).astype(a.dtype)
    return np.matmul(a, b)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x times the transpose of `weight`, a matrix (out, in), plus `bias`, for leading dimensions of x, at least one."""
    if x.ndim == 2 and x.dtype in FULL and weight.__class__ is x.__class__:
        out = x.dot(weight.T)
    else:
        out = matmul(x, weight.T)
    if bias is not None:
        if bias.dtype is not out.dtype:
            raise TypeError("the bias is of another dtype")
        np.add(out, bias, out)
    return out


def _linear_backward(
    xp: Any, g: Any, needed: tuple[str, ...], x: Any = None, weight: Any = None, bias_shape: tuple[int, ...] | None = None
) -> Any:
    """The rules of `linear`. What an input's gradient is computed from is given exactly if it is needed."""
    rows = len(g)
    if g.ndim != 2 or rows > _TALL or g.dtype not in FULL:  # the word `sum_to` takes longer sums in blocks
        return NotImplemented
    grads = [] if weight is None else [g.dot(weight)]
    if x is not None:
        grads.append(g.T.dot(x))
    if bias_shape is not None:
        grads.append(_ones(rows, g.dtype).dot(g))
    return grads


PRODUCTS = {"linear": (None, _linear_backward)}
