"""Words for extrema and what they lie at, and for picking elements there."""

from __future__ import annotations

from math import prod
from typing import Any

import cupy
import numpy as np

from .build import FLOAT32, INT64, WIDE, Fold, elementwise, on_device

__all__ = ["amax", "amin", "argmax", "argmedian", "argmin", "argmode", "pick", "place"]

_amax = Fold("amax", "A(x)", "larger(a, b)", "least(A())")
_amin = Fold("amin", "A(x)", "smaller(a, b)", "most(A())")

# An element and where it lies; -1 for none. `best` prefers NaN, then the extremum, then what comes first.
_FOUND = """
template <class A> struct Found {
  A value;
  long long place;
  __device__ Found() : value(0), place(-1) {}
  __device__ Found(A value, long long place) : value(value), place(place) {}
};
template <class A> __device__ Found<A> best(Found<A> a, Found<A> b) {
  if (a.place < 0 || b.place < 0) return a.place < 0 ? b : a;
  const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
  if (a_nan != b_nan) return a_nan ? a : b;
  if (a_nan || a.value == b.value) return a.place < b.place ? a : b;
  return (a.value SIGN b.value) ? a : b;
}
"""


def _search(name: str, sign: str) -> Any:
    preamble = f"{WIDE}typedef typename Wide<T>::type A;\n{_FOUND.replace('SIGN', sign)}"
    return cupy.ReductionKernel(
        "T x", "int64 y", "Found<A>(A(x), _J)", "best(a, b)", "y = a.place", "Found<A>()", f"autograd_gpu_{name}",
        reduce_type="Found<A>", preamble=preamble,
    )  # fmt: skip


_argmax, _argmin = _search("argmax", ">"), _search("argmin", "<")


def _some(x: Any, axis: Any) -> None:
    if not x.size and 0 in [x.shape[i] for i in ((axis,) if axis.__class__ is int else axis)]:
        raise ValueError("zero-size array to reduction operation, which has no identity")


def amax(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The largest element along axes; NaN if one is NaN."""
    _some(x, axis)
    return _amax(x, axis, keepdims, x.dtype)


def amin(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The smallest element along axes; NaN if one is NaN."""
    _some(x, axis)
    return _amin(x, axis, keepdims, x.dtype)


def _find(kernel: Any, x: Any, axis: int | None, keepdims: bool) -> Any:
    on_device(x)
    shape = (1,) * x.ndim
    if axis is None:  # of all elements, counted in their order
        x, axis = x.reshape(-1), 0
        return _find(kernel, x, 0, False).reshape(shape if keepdims else ())
    _some(x, axis)
    out = cupy.empty([n for i, n in enumerate(x.shape) if i != axis], INT64)
    if out.size:
        kernel(x, out=out, axis=axis)
    return cupy.expand_dims(out, axis) if keepdims else out


def argmax(x: Any, *, axis: int, keepdims: bool = False) -> Any:
    """Where the largest element lies along an axis: the first of those that tie; the first NaN if there is one."""
    return _find(_argmax, x, axis, keepdims)


def argmin(x: Any, *, axis: int, keepdims: bool = False) -> Any:
    """Where the smallest element lies along an axis: the first of those that tie; the first NaN if there is one."""
    return _find(_argmin, x, axis, keepdims)


def ordered(x: Any, axis: int) -> Any:
    """The places of the elements in ascending order, equal ones as they stood, NaN last: what Thrust sorts, and how."""
    on_device(x)
    if x.dtype.kind == "V" or x.dtype == np.float16:
        x = x.astype(FLOAT32)
    elif x.dtype.kind == "b":
        x = x.view(np.uint8)
    return x.argsort(axis)


def argmedian(x: Any, *, axis: int, keepdims: bool = False, omit_nan: bool = False) -> Any:
    """Where the lower median of each line lies; a NaN if there is one, unless they are left out."""
    n = x.shape[axis]
    order = ordered(x, axis)
    if x.dtype.kind in "fV":
        from .reduce import count_nonzero

        numbers = count_nonzero(x == x, axis=axis, keepdims=True)
        if omit_nan:
            middle = cupy.maximum(numbers - 1, 0) // 2
        else:
            middle = cupy.where(numbers == n, (n - 1) // 2, cupy.minimum(numbers, n - 1))
        out = pick(order, middle, axis=axis)
    else:
        out = order[(slice(None),) * axis + (slice((n - 1) // 2, (n - 1) // 2 + 1),)]
    return out if keepdims else out.squeeze(axis)


# how many equal elements come before each in a line that is in order: found by bisection
_run = elementwise(
    "run", "raw T x, int64 n, int64 inner", "int64 out",
    "const long long k = i / inner % n, line = i - k * inner;\n"
    "const A v = A(x[i]);\n"
    "long long low = 0, high = k;\n"
    "while (low < high) {\n"
    "  const long long middle = (low + high) / 2;\n"
    "  if (A(x[line + middle * inner]) == v || v != v) high = middle; else low = middle + 1;\n"
    "}\n"
    "out = v != v ? 0 : k - low;",
)  # fmt: skip


def argmode(x: Any, *, axis: int, keepdims: bool = False) -> Any:
    """Where the most frequent element of each line lies: the smallest of those that tie, at its last place."""
    order = ordered(x, axis)
    n, inner = x.shape[axis], prod(x.shape[axis + 1 :])
    ranked = pick(x, order, axis=axis)
    runs = _run(cupy.ascontiguousarray(ranked), n, inner, cupy.empty(x.shape, INT64))
    out = pick(order, argmax(runs, axis=axis, keepdims=True), axis=axis)
    return out if keepdims else out.squeeze(axis)


# x[..., index, ...] with the index's own length along the axis, for any strides of x. See gpu.NOTE [Words on a device], 2
_pick = elementwise(
    "pick", "raw T x, I index, int32 axis, int64 size", "T out",
    "ptrdiff_t at[_ind.ndim > 0 ? _ind.ndim : 1];\n"
    "for (int d = 0; d < _ind.ndim; ++d) at[d] = _ind.get()[d];\n"
    "long long k = (long long)index;\n"
    "if (k < 0 || k >= size) k = (k % size + size) % size;\n"
    "at[axis] = k;\n"
    "out = x[at];", reduce_dims=False,
)  # fmt: skip
_place = elementwise(
    "place", "T x, I index, int64 n, int64 inner", "raw T out",
    "out[(i / inner * n + index) * inner + i % inner] = x;",
)  # fmt: skip


def pick(x: Any, index: Any, *, axis: int) -> Any:
    """The element at `index` of each line along the axis."""
    if index.ndim < x.ndim:
        return pick(x, cupy.expand_dims(index, axis), axis=axis).reshape(index.shape)
    if index.size and not x.shape[axis]:
        raise IndexError(f"index is out of bounds for dimension {axis} with size 0")
    return _pick(x, index, axis, x.shape[axis])


def place(x: Any, index: Any, *, shape: tuple[int, ...], axis: int) -> Any:
    """Zeros, with the elements of x at `index` of each line along the axis."""
    out = cupy.zeros(shape, x.dtype)
    if x.size:
        _place(x, index, shape[axis], prod(shape[axis + 1 :]), out)
    return out
