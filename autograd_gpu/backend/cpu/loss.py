"""Fused kernels of the losses: what the compositions and rules in `autograd_gpu.ops.loss` compute, in few calls of NumPy.

A small network pays for each call, so probabilities are first taken without subtracting the maxima of rows, and a product
of a vector with itself tells whether any of its elements left the range in which that is exact."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from .reduce import _ones

_REAL = frozenset((np.dtype(np.float32), np.dtype(np.float64)))
_FEW = 64  # classes for which a table of one-hot rows is kept
_NEGATIVE = b"\xff"  # a byte of a target that is negative, or beyond the classes of such a table
_SMALL = 16384  # elements of an input whose gradient is made in the forward
_SAFE = 60.0  # exp(x) and sums of it are exact as long as the logarithm of the sum stays within


class Constants:
    """What losses of a matrix of one shape need, made once.

    ones      a vector of ones, to sum over classes
    share     what each row has of the loss: 1 / N for a mean, 1 for a sum
    shares    (N) the same for each row
    one_hot   (C, C) a row for each class, with the share at its place"""

    __slots__ = ("ones", "share", "shares", "one_hot")

    def __init__(self, n: int, classes: int, dtype: Any, reduction: str):
        self.share = np.asarray(1 / n if reduction == "mean" else 1, dtype)
        self.shares = np.full(n, self.share, dtype)
        self.ones = _ones(classes, dtype)
        self.one_hot = np.eye(classes, dtype=dtype) * self.share


@lru_cache(64)
def _constants(shape: tuple[int, ...], dtype: Any, reduction: str, ignore_index: int) -> Constants | None:
    """None where one-hot rows are not worth it or not possible, and losses are computed row by row."""
    if len(shape) != 2 or not shape[0] or not 0 < shape[1] <= _FEW:
        return None
    if dtype not in _REAL or ignore_index >= 0 or reduction == "none":
        return None
    return Constants(*shape, dtype, reduction)


def _hot_rows(c: Constants, target: Any) -> Any:
    """The one-hot rows of classes, or None if some target is no class."""
    if _NEGATIVE in target.tobytes():
        return None
    try:
        return c.one_hot.take(target, 0)
    except IndexError:
        return None


def _safe(logs: Any) -> bool:
    """Whether sums of exponentials with these logarithms are exact, as they are too if the sum of their squares is small. NaN and
    infinity are not safe."""
    return bool(-_SAFE < np.minimum.reduce(logs, initial=np.inf) and np.maximum.reduce(logs, initial=-np.inf) < _SAFE)


def _losses(rows: Any, places: Any) -> Any:
    """The loss of each row, whose class is at one of `places` in the elements of all."""
    logs = np.log(np.exp(rows).dot(_ones(rows.shape[1], rows.dtype)))
    if not _safe(logs):
        rows = rows - np.maximum.reduce(rows, axis=1, keepdims=True, initial=-np.inf)
        logs = np.log(np.add.reduce(np.exp(rows), axis=1))
    return logs - rows.ravel()[places]


def _softmax(rows: Any, ones: Any, share: Any) -> Any:
    """softmax of each row, times `share`, an array without dimensions."""
    e = np.exp(rows)
    total = e.dot(ones)
    inverse = np.divide(share, total)
    if total.dot(total) < 1e36 and inverse.dot(inverse) < 1e36:
        return np.multiply(e, inverse[:, None], e)
    np.subtract(rows, np.maximum.reduce(rows, axis=1, keepdims=True, initial=-np.inf), e)
    np.exp(e, e)
    return np.multiply(e, share / np.add.reduce(e, axis=1, keepdims=True), e)


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
    """The forward of `cross_entropy`. Its residue is the gradient, for which all is at hand; of large inputs it is made anew."""
    c = _constants(input.shape, input.dtype, reduction, ignore_index)
    if c is not None:
        hot = _hot_rows(c, target)
        if hot is not None:
            e = np.exp(input)
            total = e.dot(c.ones)
            logs = np.log(total)
            if logs.dot(logs) < _SAFE * _SAFE or _safe(logs):
                out = logs.dot(c.shares) - input.ravel().dot(hot.ravel())
                if out == out:  # else an infinite logit of another class gave 0 * inf
                    if e.size > _SMALL:
                        return out.__array__(), None
                    np.multiply(e, np.divide(c.share, total)[:, None], e)  # (softmax - one-hot) times the share of each row
                    return out.__array__(), np.subtract(e, hot, e)
    rows, places, counted = _to_rows(input, target, ignore_index)
    return _reduce(_losses(rows, places), counted, target.shape, reduction, input.dtype)


def cross_entropy_backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    input: Any,
    target: Any,
    ignore_index: int = -100,
    reduction: str = "mean",
    residue: Any = None,
    label_smoothing: float = 0.0,
) -> Any:
    """The rule of `cross_entropy`: (softmax - one-hot) times what each row gets of g; and of `smoothed_cross_entropy`."""
    if residue is not None:
        return ((residue if g.item() == 1 else np.multiply(residue, g)),)
    c = None if label_smoothing else _constants(input.shape, input.dtype, reduction, ignore_index)
    if c is not None:
        hot = _hot_rows(c, target)
        if hot is not None:
            out = _softmax(input, c.ones, c.share)
            np.subtract(out, hot, out)
            return ((out if g.item() == 1 else np.multiply(out, g, out)),)
    rows, places, counted = _to_rows(input, target, ignore_index)
    out = _softmax(rows, _ones(rows.shape[1], rows.dtype), np.ones((), rows.dtype))
    out.ravel()[places] -= 1 - label_smoothing
    if label_smoothing:
        out -= label_smoothing / rows.shape[1]
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


def smoothed_cross_entropy(
    input: Any, target: Any, *, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float
) -> Any:
    """The forward of `smoothed_cross_entropy`: the logarithm of the sum of exponentials, less the mean of logits that the
    smoothed target asks for."""
    rows, places, counted = _to_rows(input, target, ignore_index)
    rows = rows - np.maximum.reduce(rows, axis=1, keepdims=True, initial=-np.inf)
    ones = _ones(rows.shape[1], rows.dtype)
    losses = np.log(np.exp(rows).dot(ones))
    losses -= rows.ravel()[places] * (1 - label_smoothing)
    losses -= rows.dot(ones) * (label_smoothing / rows.shape[1])
    return _reduce(losses, counted, target.shape, reduction, input.dtype)


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


def binary_cross_entropy(input: Any, target: Any) -> Any:
    """The forward of `binary_cross_entropy`. Raises RuntimeError for what are no probabilities."""
    if input.size and not (np.minimum.reduce(input, None) >= 0 and np.maximum.reduce(input, None) <= 1):
        raise RuntimeError("all elements of input should be between 0 and 1")
    if input.dtype not in _REAL or not input.ndim or input.shape != target.shape:
        return NotImplemented
    no = np.negative(input)
    np.log1p(no, no)
    np.maximum(no, -100, out=no)
    out = np.log(input)
    np.maximum(out, -100, out=out)
    np.subtract(no, out, out)
    np.multiply(out, target, out)
    return np.subtract(out, no, out)


def binary_cross_entropy_backward(xp: Any, g: Any, needed: tuple[str, ...], input: Any, target: Any = None) -> Any:
    """The rule of `binary_cross_entropy` for the input."""
    if needed != ("input",) or input.dtype not in _REAL or not input.ndim or not input.shape == target.shape == g.shape:
        return NotImplemented
    scale = np.multiply(input, input)
    np.subtract(input, scale, scale)
    np.maximum(scale, 1e-12, out=scale)
    np.divide(g, scale, scale)
    d = np.subtract(input, target)
    return (np.multiply(d, scale, d),)


LOSSES = {
    "binary_cross_entropy": (binary_cross_entropy, binary_cross_entropy_backward),
    "cross_entropy": (cross_entropy, cross_entropy_backward),
    "nll_loss": (nll_loss, None),
    "smoothed_cross_entropy": (smoothed_cross_entropy, cross_entropy_backward),
    "mse_loss": (mse_loss, None),
}
