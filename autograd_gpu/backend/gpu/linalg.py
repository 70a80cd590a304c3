"""Words for products of matrices. All go through `gemm`; half precision accumulates in float32 and is rounded once."""

from __future__ import annotations

import math
from typing import Any

import cupy

from .. import epilogues
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


def _activated(x: Any, weight: Any, bias: Any, *, activation: str, kept: bool) -> Any:
    """A linear layer and its activation by one product: the output, what the activation's rule saves, and what `_through` wants.
    The latter two are None unless they are to be kept."""
    if weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
        return NotImplemented
    made = epilogues.forward(x.reshape(-1, x.shape[-1]), weight.T, bias, activation, kept)
    if made is None:
        return NotImplemented
    out, aux = made[0].reshape(*x.shape[:-1], len(weight)), made[1]
    return out, out if activation == "relu" or aux is None else aux.reshape(out.shape), aux


def _through(g: Any, weight: Any, aux: Any, *, activation: str, sums: bool) -> Any:
    """The gradient g of a layer's output taken back through its weight and the activation before it, by one product, and if
    `sums` is set the gradient of the bias before that."""
    made = epilogues.backward(g.reshape(-1, g.shape[-1]), weight, aux, activation, sums)
    return NotImplemented if made is None else (made[0].reshape(*g.shape[:-1], weight.shape[1]), made[1])


PRODUCTS = {"linear": (None, _linear_backward), "layers": (_activated, _through)}
