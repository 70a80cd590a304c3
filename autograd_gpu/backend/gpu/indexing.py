"""Words for indexing, searching and sorting.

Reading and writing come in pairs, of which one is the other's transpose: what `slice`, `index` and `take_along` read,
`unslice`, `unindex` and `untake_along` add up into zeros.

NOTE [Writing to one place twice]
    Threads that write, or add, to one place at the same time do it in an order of their own. So places are sorted first, equal
    ones as they stood; the thread that finds the first of a run of equal places folds all of them, in their order. Sums of
    floating point numbers go by the kernel of scatter.cu, which shares out a long run: see runs.NOTE [Long runs]. Results repeat
    bit for bit.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import cupy
import numpy as np

from ..kernels import BLOCKING, C_NAME
from .build import FLOAT32, INT64, elementwise, on_device
from .extremum import ordered, pick
from .runs import add_rows

__all__ = [
    "argsort", "argtopk", "bincount", "index", "index_put", "nonzero", "put_along", "reduce_along", "searchsorted", "slice",
    "take_along", "unindex", "unique", "unslice", "untake_along", "write_index", "write_slice",
]  # fmt: skip

# -- slices and integers ---------------------------------------------------------------------------------------------------


def slice(x: Any, *, spec: tuple) -> Any:
    """A view of x: `spec` holds an int, None, Ellipsis or (start, stop, step) per dimension, and Ellipsis once at least."""
    return x[_key(spec)]


def unslice(x: Any, *, spec: tuple, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` in which `slice` with the same spec finds x."""
    on_device(x)
    out = cupy.zeros(shape, x.dtype)
    out[_key(spec)] = x
    return out


def write_slice(x: Any, value: Any, *, spec: tuple) -> None:
    """Write into the part of x that `slice` gives. For use outside of ops."""
    if isinstance(value, np.ndarray):
        on_device(value)
    x[_key(spec)] = value


def _key(spec: tuple) -> tuple:
    return tuple([builtins.slice(*i) if i.__class__ is tuple else i for i in spec])


# -- integer arrays --------------------------------------------------------------------------------------------------------


def index(x: Any, *indices: Any, axes: tuple[int, ...]) -> Any:
    """x at integer arrays, one for each of the dimensions `axes`, broadcast against one another. Their dimensions stand in
    the result where `axes` stood, if these are neighbours, else in front. Or one array for all of `axes`, which are
    neighbours then: it counts, within bounds, along all of them as if they were one."""
    on_device(x, *indices)
    moved, first, tail = _in_front(x, axes)
    places = _positions(indices, axes, x.shape)
    out = moved.reshape(-1, *tail).take(places, 0) if moved.size else _from_nothing(moved, places, tail, axes)
    return out if not first else out.transpose(_order_back(places.ndim, first, out.ndim))


def _from_nothing(moved: Any, places: Any, tail: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    if places.size and 0 in moved.shape[: len(axes)]:
        raise IndexError(f"index is out of bounds for dimension {axes[0]} with size 0")
    return cupy.empty((*places.shape, *tail), moved.dtype)


def _in_front(x: Any, axes: tuple[int, ...]) -> tuple[Any, int, tuple[int, ...]]:
    """(x with the dimensions `axes` first, how many others the dimensions of the indices stand behind, those others)."""
    rest = [i for i in range(x.ndim) if i not in axes]
    first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    moved = x.transpose(*axes, *rest)
    return moved, first, moved.shape[len(axes) :]


def _order_back(count: int, first: int, ndim: int) -> tuple[int, ...]:
    """The order of dimensions that puts the first `count` behind `first` others."""
    return (*range(count, count + first), *range(count), *range(count + first, ndim))


def _positions(indices: tuple, axes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The places that index arrays mean, counted along the dimensions `axes` as if these were one; negative ones from the end."""
    if len(indices) < len(axes):
        return indices[0]
    total: Any = None
    for axis, i in zip(axes, indices, strict=True):
        if BLOCKING:  # looking at them waits for the device
            _check_bounds(i, axis, shape[axis])
        size = max(shape[axis], 1)
        total = _wrapped(i, size) if total is None else _joined(total, i, size)
    return total


_wrapped = elementwise(
    "wrapped", "T i_, int64 size", "int64 out", "const long long k = (long long)i_ % size; out = k < 0 ? k + size : k;"
)
_joined = elementwise(
    "joined", "int64 before, T i_, int64 size", "int64 out",
    "const long long k = (long long)i_ % size; out = before * size + (k < 0 ? k + size : k);",
)  # fmt: skip


def _check_bounds(i: Any, axis: int, size: int, least: int | None = None) -> None:
    """Raise IndexError if an element is out of bounds, which begin at -size or at `least`. Waits for the device."""
    wrong = (i < (-size if least is None else least)) | (i >= size)
    if i.size and bool(wrong.any()):
        raise IndexError(f"index {int(i[wrong][0])} is out of bounds for dimension {axis} with size {size}")


def unindex(x: Any, *indices: Any, axes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with x added where `index` would have read it."""
    on_device(x, *indices)
    out = cupy.zeros(shape, x.dtype)
    return _folded(out, x, indices, axes, "sum")


def index_put(x: Any, value: Any, *indices: Any, axes: tuple[int, ...]) -> Any:
    """A copy of x with `value`, broadcast, at the places that `index` reads. Of values for one place the last one stays."""
    out = x.copy("C")
    write_index(out, value, *indices, axes=axes)
    return out


def write_index(x: Any, value: Any, *indices: Any, axes: tuple[int, ...]) -> None:
    """Write at the places of x that `index` reads. For use outside of ops."""
    on_device(x, value, *indices)
    out = _folded(x, value, indices, axes, "last")
    if out is not x:
        x[...] = out


def _folded(out: Any, value: Any, indices: tuple, axes: tuple[int, ...], how: str) -> Any:
    """`out` with value folded into the places that `index` reads, in place if these are rows of it."""
    moved, first, tail = _in_front(out, axes)
    places = _positions(indices, axes, out.shape)
    if not moved.size or not places.size:
        return out
    rows = cupy.ascontiguousarray(moved)
    wanted = (*tail[:first], *places.shape, *tail[first:])
    value = cupy.broadcast_to(value, wanted)
    if first:
        value = value.transpose(*range(first, first + places.ndim), *range(first), *range(first + places.ndim, value.ndim))
    width = math.prod(tail)
    value = value.astype(out.dtype, order="C", copy=False)
    _fold_rows(rows.reshape(-1, width), places.reshape(-1), cupy.ascontiguousarray(value).reshape(-1, width), how)
    if rows.data.ptr == out.data.ptr:
        return out
    order = (*axes, *[i for i in range(out.ndim) if i not in axes])
    return rows.transpose([order.index(i) for i in range(out.ndim)])


# The thread of the first element of a run of equal places takes the others; `width` threads do a row.
def _run_kernel(name: str, start: str, step: str) -> Any:
    return elementwise(
        f"fold_{name}", "raw int64 places, raw int64 order, raw T x, int64 n, int64 width", "raw T out",
        "const long long k = i / width, column = i % width, place = places[k];\n"
        "if (k == 0 || places[k - 1] != place) {\n"
        f"  A sum = {start};\n"
        "  for (long long j = k; j < n && places[j] == place; ++j) {\n"
        "    const A v = A(x[order[j] * width + column]);\n"
        f"    {step};\n"
        "  }\n"
        "  out[place * width + column] = T(sum);\n"
        "}",
    )  # fmt: skip


_held = "A(out[place * width + column])"
_FOLDS = {
    "sum": _run_kernel("sum", _held, "sum += v"),
    "prod": _run_kernel("prod", _held, "sum *= v"),
    "amax": _run_kernel("amax", _held, "sum = larger(sum, v)"),
    "amin": _run_kernel("amin", _held, "sum = smaller(sum, v)"),
    "last": _run_kernel("last", "A(0)", "sum = v"),
}


def _fold_rows(out: Any, places: Any, x: Any, how: str) -> None:
    """Fold each row of x into the row of `out` that `places`, int64, names. See NOTE [Writing to one place twice]."""
    places = places.astype(INT64, copy=False)
    if how == "sum" and out.dtype is x.dtype and x.dtype in C_NAME:
        return add_rows(out, places, x)
    order = places.argsort()
    _FOLDS[how](places.take(order), order, x, places.size, x.shape[1], out, size=x.size)


# -- along one dimension ---------------------------------------------------------------------------------------------------


def take_along(x: Any, index: Any, *, axis: int) -> Any:
    """out[i, j, k] = x[i, index[i, j, k], k] for axis 1. index may be smaller than x in the other dimensions."""
    on_device(x, index)
    _look_along(index, axis, x.shape)
    return pick(x, index, axis=axis)


def untake_along(x: Any, index: Any, *, axis: int, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with x added where `take_along` would have read it."""
    on_device(x)
    return _fold_along(cupy.zeros(shape, x.dtype), x, index, axis, "sum")


def put_along(x: Any, index: Any, value: Any, *, axis: int) -> Any:
    """A copy of x with `value`, broadcast, where `take_along` reads. Of values for one place the last one stays."""
    return _fold_along(x.copy("C"), value, index, axis, "last")


def reduce_along(x: Any, index: Any, value: Any, *, axis: int, how: str) -> Any:
    """A copy of x in which each element of value is taken together with the one where `take_along` reads: their product
    (`how` is "prod"), the larger ("amax") or the smaller ("amin")."""
    return _fold_along(x.copy("C"), value, index, axis, how)


def _fold_along(out: Any, value: Any, index: Any, axis: int, how: str) -> Any:
    on_device(value, index)
    _look_along(index, axis, out.shape)
    if index.size:
        value = cupy.ascontiguousarray(cupy.broadcast_to(value, index.shape).astype(out.dtype, copy=False))
        _fold_rows(out.reshape(-1, 1), _along(index, axis, out.shape).reshape(-1), value.reshape(-1, 1), how)
    return out


def _look_along(index: Any, axis: int, shape: tuple[int, ...]) -> None:
    if BLOCKING:
        _check_bounds(index, axis, shape[axis], 0)


def _along(index: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """The places in the flattened array of `shape` that an index along `axis` means."""
    step, offset = 1, cupy.zeros((), INT64)
    places = index
    for i in range(len(shape) - 1, -1, -1):
        if i == axis:
            places = _wrapped(index, max(shape[i], 1)) * step
        elif index.shape[i] > 1:
            along = cupy.arange(0, index.shape[i] * step, step).reshape((-1,) + (1,) * (len(shape) - 1 - i))
            offset = offset + along
        step *= shape[i]
    return places + offset if offset.ndim else places


# -- searching and sorting -------------------------------------------------------------------------------------------------


def nonzero(x: Any) -> list[Any]:
    """Where x is not zero: an array of places for each dimension, in the order of the elements. Waits for the device."""
    on_device(x)
    return list(cupy.nonzero(x)) if x.ndim else []


def argsort(x: Any, *, axis: int, descending: bool) -> Any:
    """The places of the elements in their order, equal ones as they stood; NaN is greater than anything."""
    on_device(x)
    if not descending:
        return ordered(x, axis)
    back: Any = [builtins.slice(None)] * x.ndim
    back[axis] = builtins.slice(None, None, -1)
    return x.shape[axis] - 1 - ordered(cupy.ascontiguousarray(x[tuple(back)]), axis)[tuple(back)]


def argtopk(x: Any, *, k: int, axis: int, largest: bool) -> Any:
    """The places of the k greatest or smallest elements along a dimension, in order; NaN is greater than anything."""
    some: Any = [builtins.slice(None)] * x.ndim
    some[axis] = builtins.slice(k)
    return cupy.ascontiguousarray(argsort(x, axis=axis, descending=largest)[tuple(some)])


_bisect = elementwise(
    "bisect", "raw T sorted, T value, int64 n, int64 line, bool right", "int64 out",
    "const long long first = line ? i / line * n : 0;\n"
    "const A v = A(value);\n"
    "long long low = 0, high = n;\n"
    "while (low < high) {\n"
    "  const long long middle = (low + high) / 2;\n"
    "  const A w = A(sorted[first + middle]);\n"
    "  const bool less = w < v || (v != v && w == w), equal = w == v || (v != v && w != w);\n"
    "  if (less || (right && equal)) low = middle + 1; else high = middle;\n"
    "}\n"
    "out = low;",
)  # fmt: skip


def searchsorted(sorted: Any, values: Any, *, right: bool) -> Any:
    """Where to insert `values` to keep the last dimension of `sorted` in order, before or (right) after equal elements. All
    but the last dimension agree, unless `sorted` has only one."""
    on_device(sorted, values)
    dtype = cupy.promote_types(sorted.dtype, values.dtype)
    sorted, values = cupy.ascontiguousarray(sorted.astype(dtype, copy=False)), values.astype(dtype, copy=False)
    line = 0 if sorted.ndim == 1 else values.shape[-1]
    return _bisect(sorted, values, sorted.shape[-1], line, right)


def bincount(x: Any, weights: Any = None, *, minlength: int = 0) -> Any:
    """How often each number from 0 on comes up in x, or the sum of the weights of those. Waits for the device."""
    on_device(x)
    if weights is None:
        return cupy.bincount(x, minlength=minlength).astype(INT64, copy=False)
    on_device(weights)
    if x.size and int(x.min()) < 0:
        raise ValueError("bincount: the first argument must not have negative elements")
    out = cupy.zeros((max(int(x.max()) + 1 if x.size else 0, minlength), 1), np.float64)
    if x.size:
        _fold_rows(out, x, weights.astype(np.float64).reshape(-1, 1), "sum")
    return out.reshape(-1).astype(FLOAT32 if weights.dtype == FLOAT32 else np.float64, copy=False)


def unique(x: Any, *, axis: int, consecutive: bool = False) -> tuple[Any, Any, Any]:
    """The different slices of x along a dimension, as (places, inverse, counts): x at `places` are they, in order (if
    `consecutive`: as they come, only neighbours compared), and they at `inverse` are x. NaN differs from itself. Waits for
    the device."""
    on_device(x)
    n = x.shape[axis]
    rows = cupy.moveaxis(x, axis, 0).reshape(n, x.size // n if n else 0)
    order = cupy.arange(n)
    if not consecutive:
        for column in range(rows.shape[1] - 1, -1, -1):  # the last column first: each sort keeps the order of the one before
            order = order.take(ordered(rows[:, column].take(order), 0))
        rows = rows.take(order, 0)
    new = cupy.ones(n, np.bool_)
    if n > 1 and rows.shape[1]:
        new[1:] = (rows[1:] != rows[:-1]).any(1)
    elif n > 1:
        new[1:] = False
    starts = cupy.nonzero(new)[0]
    inverse = cupy.empty(n, INT64)
    if n:
        _unsort(cupy.cumsum(new, dtype=INT64), order, inverse)
    return order.take(starts), inverse, cupy.diff(starts, append=cupy.full(1, n, INT64))


_unsort = elementwise("unsort", "T counted, int64 place", "raw T out", "out[place] = counted - 1;")
