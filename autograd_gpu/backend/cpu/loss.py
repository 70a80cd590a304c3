"""Fused kernels of the losses: what the compositions and rules in `autograd_gpu.ops.loss` compute, in few calls of NumPy.

A small network pays for each call, so probabilities are first taken without subtracting the maxima of rows, and a product
of a vector with itself tells whether any of its elements left the range in which that is exact."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

_REAL = frozenset((np.dtype(np.float32), np.dtype(np.float64)))
_FEW = 64  # classes for which a table of one-hot rows is kept
_SAFE = 60.0  # exp(x) and sums of it are exact as long as the logarithm of the sum stays within


@lru_cache(64)
def _ones(n: int, dtype: Any) -> Any:
    return np.ones(n, dtype)


@lru_cache(64)
def _table(classes: int, dtype: Any) -> Any:
    return np.eye(classes, dtype=dtype)


def _one_hot(x: Any, target: Any, ignore_index: int) -> Any:
    """Rows of zeros with a one at the class, or None where there are many classes or some target is none of them."""
    classes = x.shape[1]
    if classes > _FEW or ignore_index >= 0 or x.dtype not in _REAL or x.ndim != 2 or b"\xff" in target.tobytes():
        return None  # a byte of ones tells of a negative target
    try:
        return _table(classes, x.dtype).take(target, 0)
    except IndexError:
        return None


def _log_sum_exp(rows: Any) -> Any:
    """log(sum(exp(row))) of each row."""
    out = np.log(np.exp(rows).dot(_ones(rows.shape[1], rows.dtype)))
    if out.dot(out) < _SAFE * _SAFE:
        return out
    if out.size and -_SAFE < np.minimum.reduce(out) and np.maximum.reduce(out) < _SAFE:
        return out
    top = np.maximum.reduce(rows, axis=1, initial=-np.inf)
    top[np.isinf(top)] = 0
    return np.log(np.add.reduce(np.exp(rows - top[:, None]), axis=1)) + top


def _softmax(rows: Any) -> Any:
    e = np.exp(rows)
    total = e.dot(_ones(rows.shape[1], rows.dtype))
    inverse = np.reciprocal(total)
    if total.dot(total) < 1e36 and inverse.dot(inverse) < 1e36:
        return np.multiply(e, inverse[:, None], e)
    np.subtract(rows, np.maximum.reduce(rows, axis=1, keepdims=True, initial=-np.inf), e)
    np.exp(e, e)
    return np.divide(e, np.add.reduce(e, axis=1, keepdims=True), e)


def _to_rows(x: Any, target: Any, ignore_index: int) -> tuple[Any, Any, Any]:
    """x as rows of classes in float32 or float64, where in them the targets lie, and which targets count (None: all).

    Raises IndexError for a target that is no class."""
    classes = x.shape[1]
    dtype = x.dtype if x.dtype in _REAL else np.float32
    rows = x if x.ndim == 2 else np.moveaxis(x, 1, -1).reshape(prod(target.shape), classes)
    rows = np.ascontiguousarray(rows, dtype)
    flat = target.reshape(-1)
    counted = flat != ignore_index
    if counted.all():
        counted = None
    else:
        flat = np.where(counted, flat, 0)
    if flat.size and (flat.min() < 0 or flat.max() >= classes):
        bad = next(int(t) for t in flat if not 0 <= t < classes)
        raise IndexError(f"Target {bad} is out of bounds.")
    return rows, flat + np.arange(flat.size) * classes, counted


def _reduce(losses: Any, counted: Any, shape: tuple[int, ...], reduction: str, dtype: Any) -> Any:
    if counted is not None:
        losses[~counted] = 0
    if reduction == "none":
        return losses.reshape(shape).astype(dtype, copy=False)
    out = np.add.reduce(losses)
    if reduction == "mean":
        out = out / losses.dtype.type(losses.size if counted is None else np.count_nonzero(counted))
    return np.asarray(out, dtype)


def cross_entropy(input: Any, target: Any, *, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """The forward of `cross_entropy`."""
    if reduction != "none":
        hot = _one_hot(input, target, ignore_index)
        if hot is not None and len(hot):
            sums = _log_sum_exp(input)
            n = len(hot)
            out = sums.dot(_ones(n, sums.dtype)) - input.ravel().dot(hot.ravel())
            if reduction == "mean":
                out /= n
            if out == out:  # an infinite logit of another class gave 0 * inf
                return np.asarray(out)
    rows, places, counted = _to_rows(input, target, ignore_index)
    losses = _log_sum_exp(rows) - rows.ravel()[places]
    return _reduce(losses, counted, target.shape, reduction, input.dtype)


def cross_entropy_backward(
    xp: Any, g: Any, needed: tuple[str, ...], input: Any, target: Any, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """The rule of `cross_entropy`: (softmax - one-hot) times what each row gets of g."""
    if reduction != "none":
        hot = _one_hot(input, target, ignore_index)
        if hot is not None and len(hot):
            out = _softmax(input)
            np.subtract(out, hot, out)
            return (np.multiply(out, g / len(hot) if reduction == "mean" else g, out),)
    rows, places, counted = _to_rows(input, target, ignore_index)
    out = _softmax(rows)
    out.ravel()[places] -= 1
    share = np.asarray(g, out.dtype).reshape(-1, 1)
    if reduction == "mean":
        share = share / out.dtype.type(len(out) if counted is None else np.count_nonzero(counted))
    if counted is not None:
        share = np.where(counted[:, None], share, 0)
        out[~counted] = 0
    np.multiply(out, share, out)
    if input.ndim > 2:
        moved = (input.shape[0], *input.shape[2:], input.shape[1])
        out = np.moveaxis(out.reshape(moved), -1, 1)
    return (out.astype(input.dtype, copy=False),)


def nll_loss(input: Any, target: Any, *, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """The forward of `nll_loss`."""
    rows, places, counted = _to_rows(input, target, ignore_index)
    return _reduce(-rows.ravel()[places], counted, target.shape, reduction, input.dtype)


def mse_loss(input: Any, target: Any, *, reduction: str = "mean") -> Any:
    """The forward of `mse_loss`."""
    if input.dtype not in _REAL or input.shape != target.shape:
        return NotImplemented
    d = np.subtract(input, target)
    if reduction == "none":
        return d * d
    d = d.ravel()
    out = d.dot(d) if d.size < 4096 else np.add.reduce(np.multiply(d, d, d))
    return np.asarray(out / out.dtype.type(d.size) if reduction == "mean" else out)


LOSSES = {
    "cross_entropy": (cross_entropy, cross_entropy_backward),
    "nll_loss": (nll_loss, None),
    "mse_loss": (mse_loss, None),
}
