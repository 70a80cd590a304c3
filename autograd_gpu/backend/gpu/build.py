"""Making kernels of one line of CUDA: elementwise ones and reductions, compiled by CuPy when they first meet a dtype."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import cupy
import numpy as np

FLOAT32, FLOAT64, INT64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)

# Wide<T>::type is what elements of type T are computed in
WIDE = """
template <class T> struct Wide { typedef float type; };
template <> struct Wide<double> { typedef double type; };
template <class T> struct Wide<complex<T> > { typedef complex<T> type; };
template <> struct Wide<bool> { typedef long long type; };
template <> struct Wide<signed char> { typedef long long type; };
template <> struct Wide<unsigned char> { typedef long long type; };
template <> struct Wide<short> { typedef long long type; };
template <> struct Wide<unsigned short> { typedef long long type; };
template <> struct Wide<int> { typedef long long type; };
template <> struct Wide<unsigned int> { typedef long long type; };
template <> struct Wide<long long> { typedef long long type; };
template <> struct Wide<unsigned long long> { typedef long long type; };
template <class T> __device__ T infinity() { return T(__int_as_float(0x7f800000)); }
template <class T> __device__ T not_a_number() { return T(__int_as_float(0x7fc00000)); }
template <class T> __device__ T most(T) { return infinity<T>(); }  // no number is greater
template <> __device__ long long most(long long) { return 0x7fffffffffffffffLL; }
template <class T> __device__ T least(T) { return -infinity<T>(); }
template <> __device__ long long least(long long) { return -0x7fffffffffffffffLL - 1; }
template <class T> __device__ T larger(T a, T b) { return a > b || a != a ? a : b; }  // NaN is larger, and smaller
template <class T> __device__ T smaller(T a, T b) { return a < b || a != a ? a : b; }
"""
_A = "typedef typename Wide<T>::type A;\n"


def accumulator(dtype: Any) -> Any:
    """The dtype in which elements of `dtype` are summed: what Wide says."""
    kind = dtype.kind
    if kind in "fV":
        return FLOAT32 if dtype.itemsize == 2 else dtype
    return INT64 if kind in "biu" else dtype


def elementwise(name: str, inputs: str, outputs: str, body: str, preamble: str = "", **options: Any) -> Any:
    """An elementwise kernel. In its body A is the type that elements of type T are computed in."""
    return cupy.ElementwiseKernel(inputs, outputs, _A + body, f"autograd_gpu_{name}", preamble=WIDE + preamble, **options)


def function(name: str, expression: str, parameters: str = "", preamble: str = "") -> Any:
    """A function of one floating point element, `expression` in terms of x; `parameters` such as "alpha beta" are numbers."""
    names = parameters.split()
    inputs = ", ".join(["T in0", *(f"float64 {n}_" for n in names)])
    head = "const A x = A(in0); " + "".join(f"const A {n} = A({n}_); " for n in names)
    return elementwise(name, inputs, "T out", f"{head}out = T({expression});", preamble)


def floating(f: Callable | None = None, *, ints: bool = True) -> Callable:
    """Let `f`, written for floating point arrays, take integers too, computed in float32; or refuse them."""
    if f is None:
        return lambda f: floating(f, ints=ints)

    @wraps(f)
    def word(x: Any, **options: Any) -> Any:
        kind = x.dtype.kind
        if kind in "fV":
            return f(x, **options)
        if kind == "c" or not ints:
            raise TypeError(f"it is defined for floating point numbers, not for {x.dtype}")
        return f(x.astype(FLOAT32), **options)

    return word


def on_device(*arrays: Any) -> None:
    """Raise TypeError for an array that lies in the host's memory."""
    for x in arrays:
        if not isinstance(x, cupy.ndarray):
            raise TypeError(f"Unsupported type {type(x)}: it must lie on the CUDA device")


_PARTS = 512  # of a long reduction that few blocks of threads would share
_LONG, _FEW = 1 << 14, 256


class Fold:
    """A reduction: `map` of each element x (or of several inputs), folded two by two, and `post` of the result a.

    CuPy gives each result to one block of threads; a long reduction with few results therefore goes in parts, always the same
    ones for a shape, so that results repeat. `n` in `post` is the number of elements that went into each result."""

    def __init__(self, name: str, map: str, fold: str, identity: str, post: str = "y = O(a)", kind: str = "A"):

        def kernel(suffix: str, map: str, post: str) -> Any:
            return cupy.ReductionKernel(
                "T x, float64 n", "O y", map, fold, post, identity, f"autograd_gpu_{name}{suffix}",
                reduce_type=kind, preamble=WIDE + _A,
            )  # fmt: skip

        self.whole = kernel("", map, post)
        self.part = kernel("_part", map, "y = a")
        self.rest = kernel("_rest", "x", post)
        self.parted = kind == "A"

    def __call__(self, x: Any, axis: Any, keepdims: bool, dtype: Any) -> Any:
        """Reduce x over axes, the result in `dtype`."""
        on_device(x)
        axes = (axis,) if axis.__class__ is int else tuple(axis)
        n = math.prod([x.shape[i] for i in axes])
        kept = [1 if i in axes else m for i, m in enumerate(x.shape)]
        out = cupy.empty(kept, dtype)
        if out.size:
            neighbours = axes == (*range(axes[0], axes[-1] + 1),) if axes else False
            if self.parted and n >= _LONG and out.size <= _FEW and neighbours and x.flags.c_contiguous:
                self._in_parts(x, axes, n, out)
            else:
                self.whole(x, float(n), out=out, axis=axes, keepdims=True)
        return out if keepdims else out.reshape([m for i, m in enumerate(kept) if i not in axes])

    def _in_parts(self, x: Any, axes: Sequence[int], n: int, out: Any) -> None:
        outer, inner = math.prod(x.shape[: axes[0]]), math.prod(x.shape[axes[-1] + 1 :])
        x = x.reshape(outer, n, inner)
        size = n // _PARTS
        head = x[:, : size * _PARTS].reshape(outer, _PARTS, size, inner)
        parts = cupy.empty((outer, _PARTS + 1, inner), accumulator(x.dtype))
        self.part(head, 0.0, out=parts[:, :_PARTS], axis=2)
        self.part(x[:, size * _PARTS :], 0.0, out=parts[:, _PARTS], axis=1)
        self.rest(parts, float(n), out=out.reshape(outer, inner), axis=1)
