"""Normalization: what the compositions and rules in `autograd_gpu.ops.normalization` compute, in few passes.

NOTE [One pass for the spread]
    Sums come from products with vectors of ones and of rows with themselves, which take a fifth of the time of elementwise work.
    So variances are mean(x^2) - mean(x)^2, which loses digits where the mean is large: where its square is more than `_FAR`
    variances, all is done again with x less its mean. Half precision is computed in float32.

NOTE [Layer norm without its input]
    (out - bias) / weight is the input normalized. No more digits are lost than the forward lost if no weight is near zero beside
    its bias, and no row is all but constant beside `eps`, so that hardly more than the bias comes out of it. Then a large
    layer_norm keeps its output, which what comes behind it most often keeps too, and not its input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..residue import Instead
from .arrays import memory
from .channels import _FAR, CHANNELS
from .reduce import _narrow, _ones, _widened

_BLOCK = 1 << 17  # elements that are worked on at a time, so that they stay in the cache
_LARGE = 1 << 15  # elements of what is worth being kept by way of the output
_MOST = 4  # times a weight its bias may be for that
_EPS_SHARE = 0.75  # of a variance, with eps in it, eps may be for that: the input normalized is 1/2 or more
_SMALL = 1 << 13  # elements of what is done in the fewest calls


def _matrix(x: Any, axes: tuple[int, ...]) -> Any:
    """x as a matrix with a row for all that lies along `axes`, the last ones."""
    shape = x.shape
    columns = math.prod(shape[len(shape) - len(axes) :])
    return np.ascontiguousarray(_widened(x)).reshape(x.size // columns, columns)


def _flat(v: Any, dtype: Any) -> Any:
    """An optional weight or bias as a vector of `dtype`."""
    return None if v is None else v.reshape(-1).astype(dtype, copy=False)


def _blocks_of(rows: Any) -> Iterator[Any]:
    """Slices of so many rows that they stay in the cache."""
    n = len(rows)
    step = -(-n // -(-rows.size // _BLOCK))
    return (slice(i, i + step) for i in range(0, n, step))


def _scaled_rows(rows: Any, scale: Any, shift: Any, weight: Any, bias: Any) -> Any:
    """(rows * scale + shift) * weight + bias, with a scale and a shift for each row and the others for each column. Products of
    vectors make the matrices to multiply and to add: broadcasting short rows costs more, where they are many."""
    if rows.size <= _SMALL:
        out = rows * scale[:, None]
        if shift is not None:
            np.add(out, shift[:, None], out)
        if weight is not None:
            np.multiply(out, weight, out)
        return out if bias is None else np.add(out, bias, out)
    out = np.empty_like(rows)
    if weight is None:
        left, right = scale[:, None], None
    else:
        left, right = scale[:, None], weight[None, :]
    if shift is not None:
        columns = _ones(rows.shape[1], rows.dtype) if weight is None else weight
        second = np.stack((shift, np.ones_like(shift)), 1) if bias is not None else shift[:, None]
        added = np.stack((columns, bias)) if bias is not None else columns[None, :]
    for part in _blocks_of(rows):
        to = out[part]
        if right is None:
            np.multiply(rows[part], left[part], to)
        else:
            np.dot(left[part], right, to)
            np.multiply(to, rows[part], to)
        if shift is not None:
            np.add(to, np.dot(second[part], added), to)
    return out


def _layer_norm(x: Any, weight: Any = None, bias: Any = None, *, axes: tuple[int, ...], eps: float = 1e-5) -> Any:
    """The forward of `layer_norm`. Its residue is what to take off rows first, or None, their mean then, and the spread."""
    if not x.size:
        return NotImplemented
    rows, given = _matrix(x, axes), (weight, bias)
    dtype = rows.dtype
    weight, bias = _flat(weight, dtype), _flat(bias, dtype)
    mean, square, var = _row_moments(rows)
    far = None
    if (square > var * _FAR).any():
        far = mean
        rows = rows - far[:, None]
        mean, _, var = _row_moments(rows)
    var += eps
    rstd = np.sqrt(var, var)
    np.reciprocal(rstd, rstd)
    np.multiply(mean, rstd, square)
    out = _scaled_rows(rows, rstd, np.negative(square, square), weight, bias).reshape(x.shape)
    if x.size < _LARGE or not _gives_back(dtype, given, x.dtype, eps, rstd):
        return _narrow(out, x.dtype), (far, mean, rstd)
    if far is not None:
        mean += far
    return out, Instead(_input_of, ("out", "weight", "bias"), (out, *given), (mean, rstd, axes), memory(out))


def _gives_back(dtype: Any, given: tuple[Any, Any], of_x: Any, eps: float, rstd: Any) -> bool:
    """See NOTE [Layer norm without its input]. `dtype` is that of the result."""
    weight, bias = given
    if dtype is not of_x or any([v is not None and v.dtype is not dtype for v in given]):
        return False
    room = dtype.type(_MOST * _MOST) if weight is None else np.multiply(weight, weight) * dtype.type(_MOST * _MOST)
    if bias is not None:
        if not eps * float(np.maximum.reduce(rstd)) ** 2 < _EPS_SHARE:
            return False
        room = room - np.multiply(bias, bias)
    return bool(np.minimum.reduce(room, None) > 1e-20)  # false for NaN too


def _input_of(out: Any, weight: Any, bias: Any, mean: Any, rstd: Any, axes: tuple[int, ...]) -> Any:
    """The input of `layer_norm`, from what it kept."""
    x = out if bias is None else out - bias
    x = x if weight is None else x / weight
    shape = out.shape[: out.ndim - len(axes)] + (1,) * len(axes)
    return x / rstd.reshape(shape) + mean.reshape(shape)


def _row_moments(rows: Any) -> tuple[Any, Any, Any]:
    """Mean, its square, and variance of each row."""
    n = rows.dtype.type(rows.shape[1])
    mean = rows.dot(_ones(rows.shape[1], rows.dtype))
    mean /= n
    square = mean * mean
    var = np.vecdot(rows, rows)
    var /= n
    var -= square
    return mean, square, var


def _rms_norm(x: Any, weight: Any = None, *, axes: tuple[int, ...], eps: float) -> Any:
    """The forward of `rms_norm`. Its residue is the spread."""
    if not x.size:
        return NotImplemented
    rows = _matrix(x, axes)
    rstd = np.vecdot(rows, rows)
    rstd /= rows.shape[1]
    rstd += eps
    np.sqrt(rstd, rstd)
    np.reciprocal(rstd, rstd)
    out = _scaled_rows(rows, rstd, None, _flat(weight, rows.dtype), None)
    return _narrow(out.reshape(x.shape), x.dtype), (None, None, rstd)


def _row_norm_backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    x: Any = None,
    weight: Any = None,
    axes: Any = None,
    eps: float = 0.0,
    weight_shape: Any = None,
    bias_shape: Any = None,
    residue: Any = None,
) -> Any:
    """The rules of `layer_norm` and `rms_norm`, from the statistics that the forward has left."""
    if residue.__class__ is Instead:
        return _layer_norm_backward(g, needed, residue, bias_shape)
    if residue is None or x is None:
        return NotImplemented
    far, mean, rstd = residue
    rows, grads, kind = _matrix(x, axes), _matrix(g, axes), x.dtype
    dtype, n = rows.dtype, rows.shape[1]
    if far is not None:
        rows = rows - far[:, None]
    w = _flat(weight, dtype)
    per_column = _ones(n, dtype) if w is None else w
    scaled_mean = None if mean is None else rstd * mean
    out = np.empty_like(rows) if "x" in needed else None
    d_weight, d_bias = dtype.type(0), dtype.type(0)
    for part in _blocks_of(rows):
        some, own, r = rows[part], grads[part], rstd[part]
        product = np.multiply(own, some)
        if weight_shape is not None:
            d_weight = d_weight + r.dot(product)
            if mean is not None:
                d_weight = d_weight - scaled_mean[part].dot(own)
        if bias_shape is not None:
            d_bias = d_bias + _ones(len(own), dtype).dot(own)
        if out is None:
            continue
        along = product.dot(per_column)  # what the spread of each row gets
        if mean is not None:
            plain = own.dot(per_column)
            along -= plain * mean[part]
            plain *= r
            plain /= -n
        along *= r * r * r
        along /= -n
        if mean is not None:
            plain -= along * mean[part]
        to = out[part]
        if w is None:
            np.multiply(own, r[:, None], to)
        else:
            np.dot(r[:, None], w[None, :], to)
            np.multiply(to, own, to)
        np.add(to, np.multiply(some, along[:, None], product), to)
        if mean is not None:
            np.add(to, plain[:, None], to)
    found: dict[str, Any] = {}
    if weight_shape is not None:
        found["weight"] = d_weight.reshape(weight_shape)
    if bias_shape is not None:
        found["bias"] = d_bias.reshape(bias_shape)
    if out is not None:
        found["x"] = _narrow(out.reshape(x.shape), kind)
    return [found[name] for name in needed]


def _layer_norm_backward(g: Any, needed: tuple[str, ...], residue: Instead, bias_shape: Any) -> Any:
    """The rules of `layer_norm`. See NOTE [Layer norm without its input]."""
    (out, weight, bias), (_, rstd, axes) = residue.arrays, residue.rest
    rows, grads = _matrix(out, axes), _matrix(g, axes)
    dtype, n = rows.dtype, rows.shape[1]
    w = _ones(n, dtype) if weight is None else weight.reshape(-1)
    b = None if bias is None else bias.reshape(-1)
    # products of the `shares` of a row and these: what g is multiplied by, what `out` is, and what is added
    columns = np.zeros((3, 3, n), dtype)
    columns[0, 0] = w
    over = np.reciprocal(w, columns[1, 1])
    columns[2, 2] = 1
    if b is not None:
        np.negative(np.multiply(b, over, columns[2, 1]), columns[2, 1])
    d_weight, d_bias, found = dtype.type(0), dtype.type(0), np.empty_like(rows) if "x" in needed else None
    for part in _blocks_of(rows):
        some, own = rows[part], grads[part]
        product = np.multiply(own, some)
        column = _ones(len(own), dtype)
        d_weight, d_bias = d_weight + column.dot(product), d_bias + column.dot(own)
        if found is None:
            continue
        r = rstd[part]
        shares = np.empty((len(r), 3), dtype)
        shares[:, 0] = r
        along = product.dot(_ones(n, dtype))
        if b is not None:
            along -= own.dot(b)
        r = r / -n
        np.multiply(along, r, shares[:, 1])
        np.multiply(own.dot(w), r, shares[:, 2])
        to = np.dot(shares, columns[0], found[part])
        np.multiply(to, own, to)
        np.dot(shares, columns[1], product)
        np.add(to, np.multiply(product, some, product), to)
        np.add(to, np.dot(shares, columns[2], product), to)
    grad = {"x": found, "bias": d_bias}
    if "weight" in needed:
        grad["weight"] = (d_weight if b is None else d_weight - b * d_bias) * over
    shapes = {"x": out.shape, "weight": None if weight is None else weight.shape, "bias": bias_shape}
    return [grad[name].reshape(shapes[name]) for name in needed]


NORMS = {
    "layer_norm": (_layer_norm, _row_norm_backward),
    "rms_norm": (_rms_norm, _row_norm_backward),
    **CHANNELS,
}
