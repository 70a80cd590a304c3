"""Words for products of matrices. All go through `gemm`; half precision accumulates in float32 and is rounded once."""

from __future__ import annotations

import math
from typing import Any

import cupy

from ..gemm import multiply as product
from ..gemm import sums_rows
from .build import on_device

__all__ = ["gemm", "linear", "matmul"]


def gemm(a: Any, b: Any, bias: Any = None) -> Any:
    """The product of matrices, over broadcast leading dimensions, plus a bias for each row."""
    on_device(a, b)
    if a.dtype.kind == "b":
        return cupy.matmul(a.astype("int32"), b.astype("int32")).astype(a.dtype)
    return product(a, b, bias=bias)


def matmul(a: Any, b: Any) -> Any:
    """The product of matrices, over broadcast leading dimensions. Both have two dimensions or more."""
    if a.ndim > b.ndim == 2 and a.flags.c_contiguous:  # one large product instead of many small ones
        return gemm(a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), b).reshape(a.shape[:-1] + b.shape[1:])
    return gemm(a, b)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x times the transpose of `weight`, a matrix (out, in), plus `bias`, for leading dimensions of x, at least one."""
    if bias is not None and bias.dtype is not x.dtype:
        raise TypeError("the bias is of another dtype")
    if bias is not None:
        on_device(bias)
    rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return gemm(rows, weight.T, bias).reshape(*x.shape[:-1], len(weight))


def _linear_backward(
    xp: Any, g: Any, needed: tuple[str, ...], x: Any = None, weight: Any = None, bias_shape: tuple[int, ...] | None = None
) -> Any:
    """The gradients of `linear`, that of the bias from the product that gives the weight's: it adds up what it reads."""
    if x is None or bias_shape is None or not x.size or not g.size or g.dtype is not x.dtype or not sums_rows(g):
        return NotImplemented
    n = g.shape[-1]
    of_bias = cupy.empty(n, g.dtype)
    of_weight = product(g.reshape(-1, n).T, x.reshape(-1, x.shape[-1]), row_sums=of_bias)
    grads = [of_weight, of_bias.reshape(bias_shape)]
    return grads if weight is None else [matmul(g, weight), *grads]


PRODUCTS = {"linear": (None, _linear_backward)}
