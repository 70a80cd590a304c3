"""conv.cu: strides, padding, dilation and groups; rows and columns of several tiles and of one that is not full; any grid."""

from __future__ import annotations

from itertools import product

import numpy as np

from ..array import to_device
from . import TYPES, Get, case, computed, equal, normal, out, wide

AXIS = np.dtype([(n, "i4") for n in ("source", "target", "kernel", "stride", "padding", "dilation")])
CONV = np.dtype([("axis", AXIS, 3), *((n, "i4") for n in ("images", "groups", "rows", "channels", "back"))])
COLUMNS = {8: 128, 32: 128, 64: 64}  # of a tile, by its rows

# images, groups, filters and channels of a group, sizes, kernel, stride, padding, dilation
PLAIN = (3, 1, 5, 3, (1, 7, 6), (1, 3, 3), (1, 1, 1), (0, 1, 1), (1, 1, 1))
ODD = (2, 2, 3, 4, (1, 9, 11), (1, 3, 2), (1, 2, 3), (0, 2, 0), (1, 1, 2))
GAPS = (2, 1, 2, 2, (5, 6, 7), (2, 1, 3), (2, 2, 1), (0, 0, 1), (1, 1, 2))  # that no window reaches
SHARED = (1, 1, 3, 2, (1, 1, 23), (1, 1, 4), (1, 1, 4), (0, 0, 3), (1, 1, 6))  # factors of stride and dilation
EVEN = (2, 1, 3, 2, (1, 8, 6), (1, 3, 3), (1, 2, 1), (0, 1, 1), (1, 1, 1))  # packs of neighbours and others
SMALL = (1, 1, 2, 2, (1, 1, 2), (1, 1, 3), (1, 1, 3), (0, 0, 2), (1, 1, 1))  # less than the stride
POINT = (70, 1, 2, 33, (1, 1, 1), (1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1))
MANY = (2, 1, 70, 9, (1, 8, 8), (1, 3, 3), (1, 1, 1), (0, 1, 1), (1, 1, 1))  # filters
SHAPES = (PLAIN, ODD, GAPS, SHARED, EVEN, SMALL, POINT)


def _arrays(shape: tuple, t: str) -> tuple[np.ndarray, ...]:
    """x, weight and the gradient of the output."""
    images, groups, filters, channels, sizes, kernel, *options = shape
    outs = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(sizes, kernel, *options, strict=True)]
    x = normal((images, groups, channels, *sizes), t, 1)
    weight = normal((groups, filters, channels, *kernel), t, 2)
    return x, weight, normal((images, groups, filters, *outs), t, 3)


def _expected(shape: tuple, x: np.ndarray, weight: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """The output, and the gradients of input and weight, one offset of the kernel after the other."""
    *_, sizes, kernel, stride, padding, dilation = shape
    around = [n + 2 * p for n, p in zip(sizes, padding, strict=True)]
    inner = (..., *(slice(p, p + n) for n, p in zip(sizes, padding, strict=True)))
    padded, dx = np.zeros((*x.shape[:3], *around)), np.zeros((*x.shape[:3], *around))
    padded[inner] = x
    made, dw = np.zeros(y.shape), np.zeros(weight.shape)
    for offset in product(*map(range, kernel)):
        starts = [k * d for k, d in zip(offset, dilation, strict=True)]
        where = (..., *(slice(b, b + (n - 1) * s + 1, s) for b, n, s in zip(starts, y.shape[3:], stride, strict=True)))
        w = wide(weight[(..., *offset)])
        made += np.einsum("gfc,ngcdhw->ngfdhw", w, padded[where])
        dx[where] += np.einsum("gfc,ngfdhw->ngcdhw", w, wide(y))
        dw[(..., *offset)] = np.einsum("ngfdhw,ngcdhw->gfc", wide(y), padded[where])
    return made, dx[inner], dw


def _conv(shape: tuple, y: np.ndarray, back: bool) -> np.void:
    images, groups, filters, channels, sizes, kernel, *options = shape
    source, target = (y.shape[3:], sizes) if back else (sizes, y.shape[3:])
    rows, over = (channels, filters) if back else (filters, channels)
    axes = np.array([*zip(source, target, kernel, *options, strict=True)], AXIS)
    return np.array((axes, images, groups, rows, over, back), CONV)[()]


def _near(found: np.ndarray, wanted: np.ndarray, t: str) -> None:
    """Sums of terms of both signs, so the error is one of the largest."""
    by = 1 + np.abs(wanted).max()
    equal(wide(found) / by, wanted / by, t, np.dtype("f8"))


def _gather(get: Get, t: str, rows: int, shapes: tuple, back: bool) -> None:
    launch = get(f"conv_gather<{t}, {rows}>")
    for number, shape in enumerate(shapes):
        x, weight, y = _arrays(shape, t)
        expected = _expected(shape, x, weight, y)[back]
        images, groups, filters, channels, _, _, stride, *_ = shape
        read, across = (y, channels) if back else (x, filters)
        phases = np.prod(stride) if back else 1
        columns = images * np.prod([-(-n // s) if back else n for n, s in zip(expected.shape[3:], stride, strict=True)])
        row_tiles, column_tiles = -(-across // rows), -(-columns // COLUMNS[rows])
        tiles = row_tiles * column_tiles * phases * groups
        bias = normal((groups, across), t, 4) if number % 2 else None
        if bias is not None:
            expected = expected + wide(bias)[None, :, :, None, None, None]
        counts = np.array([row_tiles, column_tiles, tiles], np.int32)
        results = []
        for grid, shift in ((int(tiles), 0), (2 - number % 2, 1)):
            into = out(expected.size + shift, TYPES[t]).part(shift)
            given = (to_device(read), to_device(weight), None if bias is None else to_device(bias))
            launch((grid,), (128,), (*given, into, _conv(shape, y, back), *counts))
            results.append(into.host.copy().reshape(expected.shape))
        _near(results[0], expected, t)
        np.testing.assert_array_equal(wide(results[1]), wide(results[0]))


@case("conv.cu", "conv_gather<T, 64>")
def conv_forward(get: Get, t: str) -> None:
    _gather(get, t, 64, (*SHAPES, MANY), False)


@case("conv.cu", "conv_gather<T, 32>")
def conv_back(get: Get, t: str) -> None:
    _gather(get, t, 32, (*SHAPES, MANY), True)


@case("conv.cu", *(f"conv_gather<T, {rows}>" for rows in COLUMNS))
def conv_of_other_tiles(get: Get, t: str) -> None:
    _gather(get, t, 8, SHAPES, False)
    _gather(get, t, 8, (ODD, EVEN, MANY), True)
    _gather(get, t, 32, (ODD, MANY), False)
    _gather(get, t, 64, (ODD, POINT), True)


def _weight(get: Get, t: str, rows: int, shapes: tuple) -> None:
    number = computed(t)
    launch = get(f"conv_weight<{t}, {rows}>")
    for shape in shapes:
        x, weight, y = _arrays(shape, t)
        expected, sums = _expected(shape, x, weight, y)[2], wide(y).sum((0, 3, 4, 5))
        row_tiles, column_tiles = -(-shape[2] // rows), -(-weight[0, 0].size // COLUMNS[rows])
        slices = -(-y.size // (shape[1] * shape[2] * 16))
        results = []
        for each, grid, summed in ((slices, 1, True), (slices, 3, False), (3, 2, True), (3, 5, True)):
            parts = -(-slices // each)
            tiles = row_tiles * column_tiles * shape[1] * parts
            counts = (*np.array([row_tiles, column_tiles, tiles], np.int32), np.int64(each))
            if parts == 1:
                into = [out(expected.shape, TYPES[t]), None, out(sums.shape, TYPES[t]), None]
            else:
                into = [None, out((parts, *expected.shape), number), None, out((parts, *sums.shape), number)]
            if not summed:
                into[2] = into[3] = None
            launch((grid,), (128,), (to_device(y), to_device(x), *into, _conv(shape, y, False), *counts))
            kind = t if parts == 1 or t == "double" else "float"
            made = [wide(a.host) if parts == 1 else wide(a.host).sum(0) for a in into if a is not None]
            for found, wanted in zip(made, (expected, sums), strict=False):
                _near(found, wanted, kind)
            results.append(made[0])
        for a, b in (results[:2], results[2:]):
            np.testing.assert_array_equal(a, b)


@case("conv.cu", "conv_weight<T, 32>")
def conv_weight(get: Get, t: str) -> None:
    _weight(get, t, 32, (*SHAPES, MANY))


@case("conv.cu", "conv_weight<T, 8>", "conv_weight<T, 64>")
def conv_weight_of_other_tiles(get: Get, t: str) -> None:
    _weight(get, t, 8, (*SHAPES, MANY))
    _weight(get, t, 64, (ODD, MANY))
