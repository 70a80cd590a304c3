"""Words for indexing, searching and sorting.

Reading and writing come in pairs, of which one is the other's transpose: what `slice`, `index` and `take_along` read,
`unslice`, `unindex` and `untake_along` add up into zeros. Indices that come twice are summed in their order, always the same.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from .reduce import _is_half, _widened

# -- slices and integers ---------------------------------------------------------------------------------------------------


def slice(x: Any, *, spec: tuple) -> Any:
    """A view of x: `spec` holds an int, None, Ellipsis or (start, stop, step) per dimension, and Ellipsis once at least."""
    return x[_key(spec)]


def unslice(x: Any, *, spec: tuple, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` in which `slice` with the same spec finds x."""
    out = np.zeros(shape, x.dtype)
    out[_key(spec)] = x
    return out


def write_slice(x: Any, value: Any, *, spec: tuple) -> None:
    """Write into the part of x that `slice` gives. For use outside of ops."""
    x[_key(spec)] = value


def _key(spec: tuple) -> tuple:
    return tuple([builtins.slice(*i) if i.__class__ is tuple else i for i in spec])


# -- integer arrays --------------------------------------------------------------------------------------------------------


def index(x: Any, *indices: Any, axes: tuple[int, ...]) -> Any:
    """x at integer arrays, one for each of the dimensions `axes`, broadcast against one another. Their dimensions stand in
    the result where `axes` stood, if these are neighbours, else in front. Or one array for all of `axes`, which are
    neighbours then: it counts, within bounds, along all of them as if they were one."""
    try:
        if len(indices) == 1 and x.flags.c_contiguous:
            return _merged(x, axes).take(indices[0], axes[0])
        return x[_places(x, indices, axes)]
    except IndexError as error:
        raise _worded(error) from None


def _merged(x: Any, axes: tuple[int, ...]) -> Any:
    """x with neighbouring dimensions made one."""
    if len(axes) == 1:
        return x
    first, after = axes[0], axes[-1] + 1
    return x.reshape(*x.shape[:first], math.prod(x.shape[first:after]), *x.shape[after:])


def unindex(x: Any, *indices: Any, axes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with x added where `index` would have read it."""
    places = _positions(indices, axes, shape)
    first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    if first:
        others = (*range(first), *range(first + places.ndim, x.ndim))
        x = x.transpose(*range(first, first + places.ndim), *others)
    rest = [i for i in range(len(shape)) if i not in axes]
    sizes = [shape[i] for i in (*axes, *rest)]
    width = math.prod(sizes[len(axes) :])
    rows = _sum_rows(x.reshape(places.size, width), places.reshape(-1), math.prod(sizes[: len(axes)]))
    out = rows.reshape(sizes)
    if first or rest and axes[-1] > rest[0]:
        order = (*axes, *rest)
        out = out.transpose([order.index(i) for i in range(len(shape))])
    return out


def index_put(x: Any, value: Any, *indices: Any, axes: tuple[int, ...]) -> Any:
    """A copy of x with `value`, broadcast, at the places that `index` reads. Of values for one place the last one stays."""
    out = x.copy("C")
    write_index(out, value, *indices, axes=axes)
    return out


def write_index(x: Any, value: Any, *indices: Any, axes: tuple[int, ...]) -> None:
    """Write at the places of x that `index` reads. For use outside of ops."""
    try:
        if len(indices) == 1 and x.flags.c_contiguous:
            x, axes = _merged(x, axes), axes[:1]
        x[_places(x, indices, axes)] = value
    except IndexError as error:
        raise _worded(error) from None


def _places(x: Any, indices: tuple, axes: tuple[int, ...]) -> tuple:
    if len(indices) < len(axes):
        indices = np.unravel_index(indices[0], [x.shape[i] for i in axes])
    key: list[Any] = [builtins.slice(None)] * (axes[-1] + 1)
    for axis, i in zip(axes, indices, strict=True):
        key[axis] = i
    return tuple(key)


def _positions(indices: tuple, axes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The places that index arrays mean, counted along the dimensions `axes` as if these were one. Checks the bounds."""
    if len(indices) < len(axes):
        return indices[0]
    if any([not i.size for i in indices]):
        return np.zeros(np.broadcast_shapes(*[i.shape for i in indices]), np.int64)
    total: Any = 0
    for axis, i in zip(axes, indices, strict=True):
        size = shape[axis]
        i = i.astype(np.int64, copy=False)
        if int(i.min()) < 0:
            i = np.where(i < 0, i + size, i)
        _check_bounds(i, axis, size)
        total = i if axis == axes[0] else total * size + i
    return total


def _check_bounds(i: Any, axis: int, size: int) -> None:
    """Raise IndexError if an element of the int64 array i is negative or not less than size."""
    if int(i.view(np.uint64).max()) >= size:  # a negative one is a huge one
        wrong = i[(i < 0) | (i >= size)].reshape(-1)[0]
        raise IndexError(f"index {wrong} is out of bounds for dimension {axis} with size {size}")


def _worded(error: IndexError) -> IndexError:
    """NumPy's error in PyTorch's words."""
    return IndexError(str(error).replace("for axis", "for dimension"))


def _sum_rows(x: Any, places: Any, count: int) -> Any:
    """Zeros of `count` rows with each row of x added to the row that `places` names."""
    dtype, width = x.dtype, x.shape[1]
    half = _is_half(dtype)
    out = np.zeros((count, width), np.float32 if half else dtype)
    if places.size < 2 or bool((places[1:] > places[:-1]).all()):  # no place twice: indices that came from a mask, a range
        out[places] = x
    elif dtype.kind == "b":
        np.logical_or.at(out, places, x)
    elif width > 4096:
        for place, row in zip(places.tolist(), x, strict=True):
            out[place] += row
    else:
        _add_at(out, places, np.ascontiguousarray(x, out.dtype))
    return out.astype(dtype) if half else out


_PAIR = {np.dtype(np.float32): np.complex64, np.dtype(np.float64): np.complex128}


def _add_at(out: Any, places: Any, x: Any) -> None:
    """out[places[k]] += x[k] for each k in turn. `np.add.at` is fast in one dimension only, and there faster than sorting,
    `bincount` and a product with a one-hot matrix; adding two floats at a time as one complex number halves its work."""
    width = x.shape[1]
    if width % 2 == 0 and x.dtype in _PAIR:
        x, out, width = x.view(_PAIR[x.dtype]), out.view(_PAIR[x.dtype]), width // 2
    if width != 1:
        places = (places[:, None] * width + np.arange(width)).reshape(-1)
    np.add.at(out.reshape(-1), places, x.reshape(-1))


# -- along one dimension ---------------------------------------------------------------------------------------------------


def take_along(x: Any, index: Any, *, axis: int) -> Any:
    """out[i, j, k] = x[i, index[i, j, k], k] for axis 1. index may be smaller than x in the other dimensions."""
    return x.reshape(-1).take(_along(index, axis, x.shape))


def untake_along(x: Any, index: Any, *, axis: int, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with x added where `take_along` would have read it."""
    places = _along(index, axis, shape).reshape(-1)
    return _sum_rows(x.reshape(places.size, 1), places, math.prod(shape)).reshape(shape)


def put_along(x: Any, index: Any, value: Any, *, axis: int) -> Any:
    """A copy of x with `value`, broadcast, where `take_along` reads. Of values for one place the last one stays."""
    out = x.copy("C")
    out.reshape(-1)[_along(index, axis, x.shape)] = value
    return out


_REDUCERS = {"amax": np.maximum, "amin": np.minimum, "prod": np.multiply}


def reduce_along(x: Any, index: Any, value: Any, *, axis: int, how: str) -> Any:
    """A copy of x in which each element of value is taken together with the one where `take_along` reads: their product
    (`how` is "prod"), the larger ("amax") or the smaller ("amin")."""
    half = _is_half(x.dtype)
    out = x.astype(np.float32) if half else x.copy("C")
    places = _along(index, axis, x.shape).reshape(-1)
    _REDUCERS[how].at(out.reshape(-1), places, value.reshape(-1).astype(out.dtype, copy=False))
    return out.astype(x.dtype) if half else out


def _along(index: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """The places in the flattened array of `shape` that an index along `axis` means."""
    index = index.astype(np.int64, copy=False)
    if not index.size:
        return index
    _check_bounds(index, axis, shape[axis])
    step, offset = 1, np.int64(0)
    for i in range(len(shape) - 1, -1, -1):
        if i == axis:
            places = index if step == 1 else index * step
        elif index.shape[i] > 1:
            along = np.arange(0, index.shape[i] * step, step).reshape((-1,) + (1,) * (len(shape) - 1 - i))
            offset = offset + along
        step *= shape[i]
    return places + offset if offset.ndim else places


# -- searching and sorting -------------------------------------------------------------------------------------------------


def nonzero(x: Any) -> list[Any]:
    """Where x is not zero: an array of places for each dimension, in the order of the elements."""
    if x.ndim == 1:
        return [np.flatnonzero(x)]
    if x.ndim == 0:
        return []
    return list(np.unravel_index(np.flatnonzero(x), x.shape))


def argsort(x: Any, *, axis: int, descending: bool) -> Any:
    """The places of the elements in their order, equal ones as they stood; NaN is greater than anything."""
    x = _widened(x)
    if not descending:
        return x.argsort(axis, kind="stable")
    back: Any = [builtins.slice(None)] * x.ndim
    back[axis] = builtins.slice(None, None, -1)
    return x.shape[axis] - 1 - x[tuple(back)].argsort(axis, kind="stable")[tuple(back)]


def argtopk(x: Any, *, k: int, axis: int, largest: bool) -> Any:
    """The places of the k greatest or smallest elements along a dimension, in order; NaN is greater than anything."""
    n = x.shape[axis]
    if 16 * k > n or n < 128:
        return argsort(x, axis=axis, descending=largest).take(range(k), axis)
    few: Any = [builtins.slice(None)] * x.ndim
    few[axis] = builtins.slice(n - k, None) if largest else builtins.slice(k)
    found = np.sort(_widened(x).argpartition(n - k if largest else k, axis)[tuple(few)], axis)  # equal ones as they stood
    order = argsort(take_along(x, found, axis=axis), axis=axis, descending=largest)
    return take_along(found, order, axis=axis)


def searchsorted(sorted: Any, values: Any, *, right: bool) -> Any:
    """Where to insert `values` to keep the last dimension of `sorted` in order, before or (right) after equal elements. All
    but the last dimension agree, unless `sorted` has only one."""
    side = "right" if right else "left"
    if sorted.ndim == 1:
        return np.asarray(sorted.searchsorted(values, side), np.int64)
    out = np.empty(values.shape, np.int64)
    for row in np.ndindex(sorted.shape[:-1]):
        out[row] = sorted[row].searchsorted(values[row], side)
    return out


def bincount(x: Any, weights: Any = None, *, minlength: int = 0) -> Any:
    """How often each number from 0 on comes up in x, or the sum of the weights of those."""
    counts = np.bincount(x, weights, minlength)
    return counts.astype(np.float32) if weights is not None and weights.dtype == np.float32 else counts


def unique(x: Any, *, axis: int, consecutive: bool = False) -> tuple[Any, Any, Any]:
    """The different slices of x along a dimension, as (places, inverse, counts): x at `places` are they, in order (if
    `consecutive`: as they come, only neighbours compared), and they at `inverse` are x. NaN differs from itself."""
    n = x.shape[axis]
    rows = _widened(np.moveaxis(x, axis, 0).reshape(n, x.size // n if n else 0))
    if consecutive or not rows.shape[1]:
        order = np.arange(n)
    else:
        order = rows[:, 0].argsort(kind="stable") if rows.shape[1] == 1 else np.lexsort(rows.T[::-1])
        rows = rows[order]
    new = np.ones(n, np.bool_)
    if n:
        new[1:] = (rows[1:] != rows[:-1]).any(1)
    starts = np.flatnonzero(new)
    inverse = np.empty(n, np.int64)
    inverse[order] = np.cumsum(new) - 1
    return order[starts], inverse, np.diff(starts, append=n)
