"""Words that sum, average and count.

Axes are ints or tuples of ints, counted from the front. float16 and bfloat16 accumulate in float32; integers in int64.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from .build import FLOAT64, INT64, WIDE, Fold, accumulator, on_device
from .sums import sums

__all__ = ["all", "any", "count_nonzero", "mean", "prod", "sum", "sum_to", "var"]

_sum = Fold("sum", "A(x)", "a + b", "A(0)")
_mean = Fold("mean", "A(x)", "a + b", "A(0)", "y = O(a / A(n))")
_prod = Fold("prod", "A(x)", "a * b", "A(1)")
_all = Fold("all", "x != T(0)", "a && b", "true", kind="bool")
_any = Fold("any", "x != T(0)", "a || b", "false", kind="bool")
_count = Fold("count", "x != T(0) ? 1 : 0", "a + b", "0", kind="long long")
_var = cupy.ReductionKernel(
    "T x, M mean, float64 n", "O y", "squared(A(x) - A(mean))", "a + b", "y = O(a / A(n))", "A(0)", "autograd_gpu_var",
    reduce_type="A",
    preamble=f"{WIDE}typedef typename Wide<T>::type A;\ntemplate <class A> __device__ A squared(A d) {{ return d * d; }}",
)  # fmt: skip


def _result(dtype: Any) -> Any:
    return INT64 if dtype.kind in "biu" else dtype


def _summed(fold: Fold, x: Any, axis: Any, keepdims: bool, dtype: Any, by: float = 1.0) -> Any:
    """Sums over axes in a dtype, divided by a number: by our kernels, else by `fold`, which says the same to CuPy."""
    on_device(x)
    axes = (axis,) if axis.__class__ is int else tuple(axis)
    out = sums(x, axes, dtype, by)
    if out is None:
        return fold(x, axes, keepdims, dtype)
    return out.reshape([1 if i in axes else m for i, m in enumerate(x.shape)]) if keepdims else out


def sum(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The sum over axes: in the dtype of x, int64 for integers and bools."""
    return _summed(_sum, x, axis, keepdims, _result(x.dtype))


def sum_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """Sum x over the dimensions that broadcasting `shape` to x's shape has added or stretched."""
    extra = x.ndim - len(shape)
    axes = tuple([i for i in range(x.ndim) if i < extra or shape[i - extra] == 1 != x.shape[i]])
    return sum(x, axis=axes, keepdims=True).reshape(shape)


def mean(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The mean over axes, NaN where there is nothing to average."""
    if x.dtype.kind in "biu":
        x = x.astype(FLOAT64)
    return _averaged(x, axis, keepdims, x.dtype)


def _averaged(x: Any, axis: Any, keepdims: bool, dtype: Any) -> Any:
    return _summed(_mean, x, axis, keepdims, dtype, _count_of(x.shape, axis))


def _count_of(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements a reduction over `axis` takes into each of its results."""
    n = 1
    for i in (axis,) if axis.__class__ is int else axis:
        n *= shape[i]
    return n


def var(x: Any, *, axis: Any, correction: float = 1, keepdims: bool = False) -> Any:
    """The mean squared distance from the mean, over n - correction."""
    on_device(x)
    if x.dtype.kind in "biu":
        x = x.astype(FLOAT64)
    axes = (axis,) if axis.__class__ is int else tuple(axis)
    mean = _averaged(x, axes, True, accumulator(x.dtype))
    n = max(_count_of(x.shape, axes) - correction, 0)
    if x.size >= 1 << 16 and mean.size <= 256:  # a long reduction with few results, which goes in parts
        d = x.astype(mean.dtype, copy=False) - mean
        d *= d
        out = _summed(_sum, d, axes, True, mean.dtype)
        out /= n
        out = out.astype(x.dtype, copy=False)
    else:
        out = cupy.empty(mean.shape, x.dtype)
        if out.size:
            _var(x, mean, float(n), out=out, axis=axes, keepdims=True)
    return out if keepdims else out.reshape([m for i, m in enumerate(x.shape) if i not in axes])


def prod(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The product over axes: in the dtype of x, int64 for integers and bools."""
    return _prod(x, axis, keepdims, _result(x.dtype))


def all(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """Whether all elements along axes are nonzero."""
    return _all(x, axis, keepdims, np.bool_)


def any(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """Whether any element along axes is nonzero."""
    return _any(x, axis, keepdims, np.bool_)


def count_nonzero(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """How many elements along axes are nonzero, as int64."""
    return _count(x, axis, keepdims, INT64)
