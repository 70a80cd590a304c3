"""Resampling: images and signals at another size, and pixels exchanged for channels.

NOTE [Positions]
    Element i of m lies, in an input of n elements, at (i + 0.5) * scale - 0.5, where scale is n / m, or with align_corners at
    i * (n - 1) / (m - 1). As in PyTorch, a scale factor that was given is taken in place of m / n, though the size was rounded
    down, and all this is computed in the input's dtype (float32 for half precision), because the element that is nearest depends
    on the last digit. "nearest" leaves both halves out, which is off by half an element; "nearest-exact" does not.
    A dimension is a linear map of its own, so that two or three dimensions are resampled one by one.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ..backend import cpu
from ..backend.promotion import category, float64
from ..core.graph import words
from ..core.tensor import Tensor
from .adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .linalg import check_tensors
from .mixing import Tables, choice_of, tables_of

__all__ = ["channel_shuffle", "interpolate", "pixel_shuffle", "pixel_unshuffle"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()

_AREAS = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}
_NEAREST = ("nearest", "nearest-exact")
_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}  # the modes that need so many dimensions


# -- where the elements come from ------------------------------------------------------------------------------------------


def _positions(n: int, m: int, kind: Any, align_corners: bool, scale: float | None, halves: bool = True) -> tuple[Any, Any]:
    """Where each of m elements lies among n, and how far apart they are, in the dtype `kind`. See NOTE [Positions]."""
    one = cpu.asarray(1, kind)
    i = cpu.arange(m).astype(kind)
    if align_corners:
        step = (one * (n - 1)) / (m - 1) if m > 1 else one * 0
        return i * step, step
    step = cpu.asarray(1.0 / scale, kind) if scale else (one * n) / m
    half = cpu.asarray(0.5, kind)
    return (step * (i + half) - half if halves else i * step), step


def _linear(n: int, m: int, kind: Any, align_corners: bool, scale: float | None) -> list:
    if n == m:
        return [[(i, 1.0)] for i in range(n)]
    real = cpu.maximum(_positions(n, m, kind, align_corners, scale)[0], cpu.zeros((), kind))
    low = [min(int(p), n - 1) for p in real.tolist()]
    part = cpu.clamp(real - cpu.asarray(low, kind), min=0, max=1)
    rest = cpu.ones((), kind) - part
    lines = zip(low, rest.tolist(), part.tolist(), strict=True)
    return [[(p, a), (min(p + 1, n - 1), b)] for p, a, b in lines]


def _cubic_near(x: Any, a: float) -> Any:
    return ((a + 2) * x - (a + 3)) * x * x + 1


def _cubic_far(x: Any, a: float) -> Any:
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a


def cubic_weights(t: Any, a: float = -0.75) -> list[Any]:
    """The weights of the four elements around a place that lies t behind the second of them (Keys, "Cubic convolution
    interpolation for digital image processing", 1981)."""
    return [_cubic_far(t + 1, a), _cubic_near(t, a), _cubic_near(1 - t, a), _cubic_far(2 - t, a)]


def _cubic(n: int, m: int, kind: Any, align_corners: bool, scale: float | None) -> list:
    real, _ = _positions(n, m, kind, align_corners, scale)
    low = [min(math.floor(p), n - 1) for p in real.tolist()]
    part = cpu.clamp(real - cpu.asarray(low, kind), min=0, max=1)
    weights = [w.tolist() for w in cubic_weights(part)]
    return [[(min(max(p + k - 1, 0), n - 1), weights[k][i]) for k in range(4)] for i, p in enumerate(low)]


def _antialiased(n: int, m: int, kind: Any, align_corners: bool, scale: float | None, cubic: bool) -> list:
    """Wider weights where the result is smaller, so that no element is left out."""
    _, step = _positions(n, m, kind, align_corners, scale)
    step = float(step)
    reach = (2.0 if cubic else 1.0) * max(step, 1.0)
    narrow = 1.0 / step if step >= 1.0 else 1.0
    lines = []
    for i in range(m):
        center = step * (i + 0.5)
        start, stop = max(int(center - reach + 0.5), 0), min(int(center + reach + 0.5), n)
        away = [abs((j - center + 0.5) * narrow) for j in range(start, stop)]
        if cubic:
            weights = [_cubic_near(x, -0.5) if x < 1 else _cubic_far(x, -0.5) if x < 2 else 0.0 for x in away]
        else:
            weights = [max(1.0 - x, 0.0) for x in away]
        total = sum(weights)
        lines.append([(j, w / total if total else w) for j, w in zip(range(start, stop), weights, strict=True)])
    return lines


_LINES = {
    "linear": _linear,
    "cubic": _cubic,
    "linear-aa": lambda *args: _antialiased(*args, False),
    "cubic-aa": lambda *args: _antialiased(*args, True),
}


@lru_cache(maxsize=256)
def _tables(mode: str, n: int, m: int, dtype: Any, align_corners: bool, scale: float | None, device: Any) -> Tables:
    kind = dtype if dtype.itemsize > 2 else "float32"
    return tables_of(_LINES[mode](n, m, kind, align_corners, scale), n, dtype, device)


@lru_cache(maxsize=256)
def _rows(mode: str, n: int, m: int, dtype: Any, scale: float | None, device: Any) -> Tables | int:
    """The elements that are nearest; or, if each of them comes so many times, how many."""
    kind = dtype if category(dtype) >= 2 and dtype.itemsize > 2 else "float32"
    if m == n and mode == "nearest":
        return 1
    if mode == "nearest":
        real = _positions(n, m, kind, False, scale, halves=False)[0]
    else:
        half = cpu.asarray(0.5, kind)
        real = cpu.maximum(_positions(n, m, kind, False, scale)[0], cpu.zeros((), kind)) + half
    rows = [min(math.floor(p), n - 1) for p in real.astype("float32").tolist()]
    times = m // n
    if times * n == m and all([row == i // times for i, row in enumerate(rows)]):
        return times
    return choice_of(rows, n, dtype, device)


@lru_cache(maxsize=256)
def _byte_tables(mode: str, n: int, m: int, align_corners: bool, scale: float | None, device: Any) -> Tables:
    """`_tables` whose weights are whole numbers of a power of two, as many bits as 16 with a sign have room for."""
    lines = []
    for line in _LINES[mode](n, m, "float64", align_corners, scale):
        together = dict.fromkeys([j for j, _ in line], 0.0)  # at the borders an element comes several times
        for j, w in line:
            together[j] += w
        lines.append(list(together.items()))
    most, bits = max(w for line in lines for _, w in line), 0
    while bits < 22 and int(0.5 + most * 2 ** (bits + 1)) < 2**15:
        bits += 1
    lines = [[(j, math.trunc(w * 2**bits + math.copysign(0.5, w)) / 2**bits) for j, w in line] for line in lines]
    return tables_of(lines, n, float64, device)


def _bytes(input: Tensor, mode: str, sizes: list[int], scales: list, align_corners: bool) -> Tensor:
    """What PyTorch and Pillow give for images of bytes: rounded to bytes after each dimension, the width first."""
    out = words.astype(input, dtype=float64)
    for axis in (3, 2):
        n, m = input.array.shape[axis], sizes[axis - 2]
        if n != m:
            tables = _byte_tables(mode, n, m, align_corners, scales[axis - 2], input.device)
            out = words.clamp(words.floor(words.mix(out, tables=tables, axis=axis) + 0.5), min=0, max=255)
    return words.astype(out, dtype=input.array.dtype)


def _nearest(x: Tensor, axis: int, mode: str, m: int, scale: float | None) -> Tensor:
    """x with the elements of one dimension that are nearest."""
    shape = x.array.shape
    rows = _rows(mode, shape[axis], m, x.array.dtype, scale, x.device)
    if isinstance(rows, Tables):
        return words.mix(x, tables=rows, axis=axis)
    if rows == 1:
        return x
    x = words.reshape(x, shape=(*shape[: axis + 1], 1, *shape[axis + 1 :]))
    x = words.broadcast_to(x, shape=(*shape[: axis + 1], rows, *shape[axis + 1 :]))
    return words.reshape(x, shape=(*shape[:axis], m, *shape[axis + 1 :]))


# -- the function ----------------------------------------------------------------------------------------------------------


def _sizes(input: Tensor, size: Any, scale_factor: Any, mode: str, recompute: bool | None) -> tuple[list[int], list]:
    """The size of each dimension of the result, and the scale factor to compute positions with, or None."""
    shape = list(input.array.shape[2:])
    dims = len(shape)
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    given = size if scale_factor is None else scale_factor
    given = list(given) if isinstance(given, (tuple, list)) else [given] * dims
    if len(given) != dims:
        what, letter = ("output size", "o") if scale_factor is None else ("scale_factor", "s")
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of "
            f"{shape} and {what} of {given}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and {what} in "
            f"({letter}1, {letter}2, ...,{letter}K) format."
        )
    if scale_factor is None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return [operator.index(m) for m in given], [None] * dims
    factors = [float(s) for s in given]
    sizes = [math.floor(n * s) for n, s in zip(shape, factors, strict=True)]
    return sizes, [None if recompute or s <= 0 else s for s in factors]


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """(N, C, L), (N, C, H, W) or (N, C, D, H, W) at another size: `size`, or the old one times `scale_factor`, rounded down.

    mode                     "nearest", "nearest-exact", "area" (averages); "linear", "bilinear", "trilinear" for 1, 2, 3
                             dimensions; "bicubic" for 2
    align_corners            the first and the last elements of both lie on each other, and not the outer edges of those
    recompute_scale_factor   compute positions by the ratio of the sizes, and not by `scale_factor`
    antialias                for "bilinear" and "bicubic": make smaller without leaving elements out
    Raises ValueError or NotImplementedError for arguments that do not fit.

    >>> import autograd_gpu as ag
    >>> ag.interpolate(ag.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    >>> ag.interpolate(ag.tensor([[[1.0, 3.0]]]), size=3, mode="linear", align_corners=True)
    tensor([[[1., 2., 3.]]])
    """
    check_tensors("interpolate", input=input)
    shape = input.array.shape
    if mode in (*_NEAREST, "area"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
            )
    sizes, scales = _sizes(input, size, scale_factor, mode, recompute_scale_factor)
    dims = len(shape) - 2
    if antialias and (mode not in ("bilinear", "bicubic") or dims != 2):
        raise ValueError(
            f"Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input: got {mode} and "
            f"{list(shape)}"
        )
    if dims not in (1, 2, 3) or mode not in (*_NEAREST, "area", *_DIMS):
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported (got "
            f"{len(shape)}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact (got {mode})"
        )
    if _DIMS.get(mode, dims) != dims:
        raise NotImplementedError(f"Got {len(shape)}D input, but {mode} mode needs {_DIMS[mode] + 2}D input")
    if mode == "area":
        return _AREAS[dims](input, sizes)
    if min(*shape[1:], *sizes) < 1:
        raise RuntimeError(f"Input and output sizes should be greater than 0, but got input {list(shape)} and output {sizes}")
    kind = ("cubic" if mode == "bicubic" else "linear") + ("-aa" if antialias else "")
    if category(input.array.dtype) < 2:
        if input.array.dtype.name != "uint8" or (mode not in _NEAREST and dims != 2):
            raise NotImplementedError(f'"interpolate" with mode {mode} not implemented for {input.dtype}')
        if mode not in _NEAREST:
            return _bytes(input, kind, sizes, scales, bool(align_corners))
    out = input
    for axis in sorted(range(2, len(shape)), key=lambda i: (sizes[i - 2] / shape[i], -i)):  # what grows the least comes first
        n, m, scale = shape[axis], sizes[axis - 2], scales[axis - 2]
        if mode in _NEAREST:
            out = _nearest(out, axis, mode, m, scale)
        elif n != m or kind == "cubic":
            tables = _tables(kind, n, m, out.array.dtype, bool(align_corners), scale, out.device)
            out = words.mix(out, tables=tables, axis=axis)
    return words.clone(out) if out is input else out


# -- pixels and channels ---------------------------------------------------------------------------------------------------


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C * r * r, H, W) as (*, C, H * r, W * r): groups of r * r channels become squares of pixels. Raises RuntimeError if
    r * r does not divide the number of channels.

    >>> import autograd_gpu as ag
    >>> ag.pixel_shuffle(ag.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    check_tensors("pixel_shuffle", input=input)
    shape, r = input.array.shape, operator.index(upscale_factor)
    if len(shape) < 3:
        raise RuntimeError(
            f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *lead, c, h, w = shape
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={c} is not divisible by {r * r}"
        )
    k = len(lead)
    x = words.reshape(input, shape=(*lead, c // (r * r), r, r, h, w))
    x = words.transpose(x, axes=(*range(k), k, k + 3, k + 1, k + 4, k + 2))
    return words.reshape(x, shape=(*lead, c // (r * r), h * r, w * r))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H * r, W * r) as (*, C * r * r, H, W): what pixel_shuffle undoes. Raises RuntimeError if r does not divide height
    and width.

    >>> import autograd_gpu as ag
    >>> ag.pixel_unshuffle(ag.arange(4.0).reshape(1, 2, 2), 2).shape
    Size([4, 1, 1])
    """
    check_tensors("pixel_unshuffle", input=input)
    shape, r = input.array.shape, operator.index(downscale_factor)
    if len(shape) < 3:
        raise RuntimeError(
            f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *lead, c, h, w = shape
    for n, what, place in ((h, "height", 2), (w, "width", 1)):
        if n % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {what} to be divisible by downscale_factor, but input.size(-{place})={n} is not "
                f"divisible by {r}"
            )
    k = len(lead)
    x = words.reshape(input, shape=(*lead, c, h // r, r, w // r, r))
    x = words.transpose(x, axes=(*range(k), k, k + 2, k + 4, k + 1, k + 3))
    return words.reshape(x, shape=(*lead, c * r * r, h // r, w // r))


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """(N, C, *) with its channels in another order: the first of each group, the second of each, and so on. Raises RuntimeError
    if `groups` does not divide C.

    >>> import autograd_gpu as ag
    >>> ag.channel_shuffle(ag.arange(4.0).reshape(1, 4, 1), 2).flatten()
    tensor([0., 2., 1., 3.])
    """
    check_tensors("channel_shuffle", input=input)
    shape, g = input.array.shape, operator.index(groups)
    if len(shape) < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(shape)}")
    if g <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{g}")
    n, c, *rest = shape
    if c % g:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {c} channels and {g} groups.")
    x = words.reshape(input, shape=(n, g, c // g, *rest))
    x = words.transpose(x, axes=(0, 2, 1, *range(3, len(shape) + 1)))
    return words.reshape(x, shape=shape)
