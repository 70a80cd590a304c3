"""Normalization by channels: batch_norm, group_norm, and a scale and a shift for each channel.

NOTE [Channels]
    Channels lie apart, (N, C, S), or are neighbours, (N, S, C), which is how images come out of a convolution. Both are matrices
    with a number for each row or each column. Rows of few elements are slow, so those numbers are repeated until rows are long.
    Variances come in one pass: see the NOTE in normalization.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .reduce import _is_half, _narrow, _ones, _widened

_FAR = 16
_BLOCK = 1 << 16  # elements that are worked on at a time, so that they stay in the cache
_LONG, _SHORT = 1024, 64  # elements of rows that are worth repeating for, and of those that are too short


def _channels_last(x: Any) -> bool:
    """Whether channels, dimension 1, are neighbours in memory."""
    return x.ndim == 2 or not x.flags.c_contiguous and x.transpose(0, *range(2, x.ndim), 1).flags.c_contiguous


def _volume(x: Any, last: bool) -> Any:
    """x as (N, S, C) or, where channels are not last, as (N, C, S). See NOTE [Channels]."""
    x = _widened(x)
    n, c = x.shape[:2]
    s = math.prod(x.shape[2:])
    if last:
        return np.ascontiguousarray(x.transpose(0, *range(2, x.ndim), 1)).reshape(n, s, c)
    return np.ascontiguousarray(x).reshape(n, c, s)


def _as_before(volume: Any, x: Any, last: bool) -> Any:
    """A volume with shape and dtype of x, which it was made from."""
    if last:
        n, c = x.shape[:2]
        out = volume.reshape(n, *x.shape[2:], c).transpose(0, x.ndim - 1, *range(1, x.ndim - 1))
    else:
        out = volume.reshape(x.shape)
    return _narrow(out, x.dtype)


def _pieces(volumes: Sequence[Any], numbers: Sequence[Any], last: bool) -> Iterator[tuple[list[Any], list[Any]]]:
    """Matrices that together are the volumes, small enough for the cache, and beside them the `numbers`, (N, C) or (1, C), ready
    to broadcast."""
    shape = volumes[0].shape
    alike = all([len(k) == 1 for k in numbers])  # for all samples
    if not last:
        n, c, s = shape
        if s < _SHORT or alike and c * s <= _BLOCK:
            volumes = [v.reshape(n, c * s) for v in volumes]
            numbers = [np.repeat(k, s, 1) for k in numbers]
            step = max(1, _BLOCK // (c * s))
        else:
            volumes = [v.reshape(n * c, s) for v in volumes]
            numbers = [np.broadcast_to(k, (n, c)).reshape(n * c, 1) for k in numbers]
            step = max(1, _BLOCK // s)
        for i in range(0, len(volumes[0]), step):
            yield [v[i : i + step] for v in volumes], [k if len(k) == 1 else k[i : i + step] for k in numbers]
        return
    n, s, c = shape
    if not alike:
        times = next(k for k in range(max(1, min(s, _LONG // c)), 0, -1) if s % k == 0)
        volumes = [v.reshape(n, s // times, times * c) for v in volumes]
        numbers = [np.tile(np.broadcast_to(k, (n, c)), (1, times))[:, None] for k in numbers]
        step = max(1, _BLOCK // (s * c))
        for i in range(0, n, step):
            yield [v[i : i + step] for v in volumes], [k[i : i + step] for k in numbers]
        return
    volumes, s = [v.reshape(n * s, c) for v in volumes], n * s
    times = max(1, min(s, _LONG // c))
    whole, step = s // times * times, max(1, _BLOCK // (c * times)) * times
    long = [np.tile(k[0], times) for k in numbers]
    for j in range(0, whole, step):
        yield [v[j : min(j + step, whole)].reshape(-1, times * c) for v in volumes], long
    if whole < s:
        yield [v[whole:] for v in volumes], numbers


def _sums(volumes: Sequence[Any], pairs: Sequence[tuple[int, ...]], last: bool, batch: bool) -> list[Any]:
    """For each of `pairs` the sums, over S (and over N if `batch`), of one volume or of the product of two: float64, (N, C) or
    (1, C)."""
    first = volumes[0]
    n, c = first.shape[0], first.shape[2 if last else 1]
    if not last:
        found = []
        for pair in pairs:
            a = volumes[pair[0]]
            if len(pair) == 1:
                out = a.reshape(n * c, -1).dot(_ones(a.shape[2], a.dtype)).reshape(n, c)
            else:
                out = np.vecdot(a, volumes[pair[1]])
            found.append(np.add.reduce(out, axis=0, keepdims=True, dtype=np.float64) if batch else out.astype(np.float64))
        return found
    found = [np.zeros((1 if batch else n, c)) for _ in pairs]
    if not batch:
        step = max(1, _BLOCK // (first.shape[1] * c))
        for i in range(0, n, step):
            some = [v[i : i + step] for v in volumes]
            for pair, total in zip(pairs, found, strict=True):
                a = some[pair[0]] if len(pair) == 1 else np.multiply(some[pair[0]], some[pair[1]])
                total[i : i + step] = np.matmul(_ones(first.shape[1], first.dtype), a)
        return found
    for matrices, _ in _pieces(volumes, (), True):
        ones = _ones(len(matrices[0]), first.dtype)
        for pair, total in zip(pairs, found, strict=True):
            a = matrices[pair[0]] if len(pair) == 1 else np.multiply(matrices[pair[0]], matrices[pair[1]])
            total[0] += np.add.reduce(ones.dot(a).reshape(-1, c), axis=0)
    return found


def _moments(volume: Any, last: bool, groups: int | None) -> tuple[Any, Any]:
    """Mean and variance of each channel over the batch, (1, C), or of each group of a sample, (N, groups): float64."""
    n, c = volume.shape[0], volume.shape[2 if last else 1]
    count = volume.size // c if groups is None else volume.size // (n * groups)

    def over(sums: Any) -> Any:
        return (sums if groups is None else _over_groups(sums, groups)) / count

    total, squares = _sums((volume,), ((0,), (0, 0)), last, groups is None)
    mean, square = over(total), over(squares)
    var = square - mean * mean
    if (mean * mean > _FAR * var).any():
        per_channel = _per_channel(mean, c).astype(volume.dtype)
        volume = volume - _beside(per_channel, last)
        total, squares = _sums((volume,), ((0,), (0, 0)), last, groups is None)
        off = over(total)
        mean, var = _per_group(per_channel, mean) + off, over(squares) - off * off
    return mean, np.maximum(var, 0)


def _beside(v: Any, last: bool) -> Any:
    """Numbers (N, C) or (1, C) that broadcast to a volume."""
    return v[:, None, :] if last else v[:, :, None]


def _over_groups(v: Any, groups: int) -> Any:
    """(N, C) summed up to (N, groups)."""
    n, c = v.shape
    return np.add.reduce(v.reshape(n, groups, c // groups), axis=2)


def _per_channel(v: Any, c: int) -> Any:
    """(N, groups) as (N, C)."""
    return v if v.shape[1] == c else np.repeat(v, c // v.shape[1], 1)


def _per_group(v: Any, like: Any) -> Any:
    """What `_per_channel` made, as it was."""
    return v[:, :: v.shape[1] // like.shape[1]].astype(np.float64)


def _scaled(volume: Any, scale: Any, shift: Any, last: bool) -> Any:
    """volume * scale + shift, with numbers (N, C) or (1, C)."""
    out, dtype = np.empty_like(volume), volume.dtype
    for (a, to), (k, b) in _pieces((volume, out), (scale.astype(dtype), shift.astype(dtype)), last):
        np.multiply(a, k, to)
        np.add(to, b, to)
    return out


def _normalized(volume: Any, mean: Any, var: Any, weight: Any, bias: Any, eps: float, last: bool) -> Any:
    """The volume less its means, over its spreads, times weight, plus bias."""
    scale = 1 / np.sqrt(var + eps)
    c = volume.shape[2 if last else 1]
    scale, mean = _per_channel(scale, c), _per_channel(mean, c)
    scale = scale if weight is None else scale * weight.astype(np.float64)
    if (mean * mean * scale * scale > 1e6).any():  # then x * scale + shift would lose too many
        near = mean.astype(volume.dtype)
        volume = volume - _beside(near, last)
        mean = mean - near
    shift = -mean * scale
    return _scaled(volume, scale, shift if bias is None else shift + bias.astype(np.float64), last)


def _batch_norm(x: Any, weight: Any = None, bias: Any = None, *, eps: float) -> Any:
    """The forward of `batch_norm`."""
    if not x.size:
        return NotImplemented
    if x.ndim == 2 and x.size <= _BLOCK and x.dtype.char in "fd":
        return _flat_batch_norm(x, weight, bias, eps)
    last = _channels_last(x)
    volume = _volume(x, last)
    mean, var = _moments(volume, last, None)
    out = _normalized(volume, mean, var, weight, bias, eps, last)
    return _as_before(out, x, last), mean[0].astype(volume.dtype), var[0].astype(volume.dtype)


def _flat_batch_norm(x: Any, weight: Any, bias: Any, eps: float) -> Any:
    """`_batch_norm` of a small matrix, in the fewest calls."""
    ones = _ones(len(x), x.dtype)
    mean = ones.dot(x)
    mean /= len(x)
    out = x - mean
    var = ones.dot(out * out)
    var /= len(x)
    scale = np.sqrt(var + eps)
    np.reciprocal(scale, scale)
    np.multiply(out, scale if weight is None else scale * weight, out)
    return out if bias is None else np.add(out, bias, out), mean, var


def _flat_batch_backward(
    g: Any, x: Any, mean: Any, var: Any, weight: Any, needed: tuple[str, ...], eps: float, more: tuple[Any, Any]
) -> Any:
    """The gradients of `_flat_batch_norm`."""
    n = len(x)
    ones, d = _ones(n, x.dtype), x - mean
    rstd = np.sqrt(var + eps)
    np.reciprocal(rstd, rstd)
    plain, along = ones.dot(g), ones.dot(g * d)
    along *= rstd
    found = {"weight": along, "bias": plain}
    if "x" in needed:
        scale = rstd if weight is None else rstd * weight
        np.multiply(d, more[1] * (2 / n) - along * scale * rstd * (1 / n), d)
        out = g * scale
        np.add(out, d, out)
        found["x"] = np.add(out, (more[0] - plain * scale) * (1 / n), out)
    return [found[name] for name in needed]


def _group_norm(x: Any, weight: Any = None, bias: Any = None, *, groups: int, eps: float = 1e-5) -> Any:
    """The forward of `group_norm`. Its residue is mean and variance."""
    if not x.size:
        return NotImplemented
    last = _channels_last(x) and x.ndim > 2
    volume = _volume(x, last)
    mean, var = _moments(volume, last, groups)
    out = _normalized(volume, mean, var, weight, bias, eps, last)
    return _as_before(out, x, last), (mean.astype(volume.dtype), var.astype(volume.dtype))


def _channel_backward(
    g: Any, x: Any, mean: Any, var: Any, weight: Any, needed: tuple[str, ...], eps: float, more: tuple[Any, Any] | None
) -> Any:
    """The gradients of what `_normalized` made. `more`: what mean and variance get from outside (a batch), None for groups."""
    batch = more is not None
    last = _channels_last(x) and (batch or x.ndim > 2)
    volume, grads = _volume(x, last), _volume(g, last)
    n, c = volume.shape[0], volume.shape[2 if last else 1]
    mean, var = mean.astype(np.float64), var.astype(np.float64)
    rstd = 1 / np.sqrt(var + eps)
    centre, r = _per_channel(mean, c), _per_channel(rstd, c)
    if (mean * mean * rstd * rstd > _FAR).any():
        volume = volume - _beside(centre.astype(volume.dtype), last)
        (off,) = _sums((volume,), ((0,),), last, batch)
        centre = (
            off / (volume.size // c) if batch else _per_channel(_over_groups(off, mean.shape[1]) / (volume.size // mean.size), c)
        )
    plain, along = _sums((grads, volume), ((0,), (0, 1)), last, batch)
    along -= plain * centre  # sum of g * (x - mean)
    found: dict[str, Any] = {}
    if "weight" in needed:
        found["weight"] = np.add.reduce(along * r, axis=0)
    if "bias" in needed:
        found["bias"] = np.add.reduce(plain, axis=0)
    if "x" in needed:
        scale = r if weight is None else r * weight.astype(np.float64)
        if batch:
            count = volume.size // c
            to_mean = more[0] - plain * scale
            to_var = more[1] - along * scale * r * r * 0.5
        else:
            groups = mean.shape[1]
            count = volume.size // (n * groups)
            w = 1.0 if weight is None else weight.astype(np.float64)
            to_mean = _per_channel(-_over_groups(plain * w, groups) * rstd, c)
            to_var = _per_channel(-_over_groups(along * w, groups) * rstd**3 * 0.5, c)
        slope = to_var * (2 / count)
        out, dtype = np.empty_like(volume), volume.dtype
        numbers = [np.broadcast_to(k, slope.shape).astype(dtype) for k in (scale, slope, to_mean / count - slope * centre)]
        for (a, b, to), (k, m, p) in _pieces((grads, volume, out), numbers, last):
            np.multiply(a, k, to)
            np.add(to, np.multiply(b, m), to)
            np.add(to, p, to)
        found["x"] = _as_before(out, x, last)
    dtype = volume.dtype
    return [found[name] if name == "x" else found[name].astype(dtype) for name in needed]


def _batch_norm_backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    x: Any = None,
    mean: Any = None,
    var: Any = None,
    weight: Any = None,
    eps: float = 0.0,
) -> Any:
    """The rules of `batch_norm`."""
    if x is None or not x.size or g[0].dtype is not x.dtype:
        return NotImplemented
    if x.ndim == 2 and x.size <= _BLOCK and x.dtype.char in "fd":
        return _flat_batch_backward(g[0], x, mean, var, weight, needed, eps, g[1:])
    return _channel_backward(g[0], x, mean[None], var[None], weight, needed, eps, (g[1][None], g[2][None]))


def _group_norm_backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    x: Any = None,
    weight: Any = None,
    groups: int = 1,
    eps: float = 1e-5,
    residue: Any = None,
) -> Any:
    """The rules of `group_norm`."""
    if x is None or residue is None or g.dtype is not x.dtype:
        return NotImplemented
    return _channel_backward(g, x, *residue, weight, needed, eps, None)


def _scale_channels(x: Any, scale: Any, shift: Any) -> Any:
    """The forward of `scale_channels`."""
    if not x.size or _is_half(scale.dtype):
        return NotImplemented
    last = _channels_last(x)
    out = _scaled(_volume(x, last), scale.reshape(1, -1), shift.reshape(1, -1), last)
    return _as_before(out, x, last)


def _scale_channels_backward(
    xp: Any, g: Any, needed: tuple[str, ...], x_shape: Any = None, scale: Any = None, x: Any = None
) -> Any:
    """The rules of `scale_channels`."""
    if not g.size or g.dtype.char not in "fd" or x is not None and x.dtype is not g.dtype:
        return NotImplemented
    like = g if x is None else x
    last = _channels_last(like)
    volume, found = _volume(g, last), {}
    if "x" in needed:
        found["x"] = _as_before(_scaled(volume, scale.reshape(1, -1), np.zeros_like(scale).reshape(1, -1), last), like, last)
    if "scale" in needed:
        found["scale"] = _sums((volume, _volume(x, last)), ((0, 1),), last, True)[0][0].astype(g.dtype)
    if "shift" in needed:
        found["shift"] = _sums((volume,), ((0,),), last, True)[0][0].astype(g.dtype)
    return [found[name] for name in needed]


CHANNELS = {
    "batch_norm": (_batch_norm, _batch_norm_backward),
    "group_norm": (_group_norm, _group_norm_backward),
    "scale_channels": (_scale_channels, _scale_channels_backward),
}
