"""Words of the softmax family: two reductions and a pass each. float16 and bfloat16 are computed in float32."""

from __future__ import annotations

from typing import Any

import cupy

from .build import WIDE, Fold, accumulator, elementwise, on_device

__all__ = ["log_softmax", "logsumexp", "softmax"]

_top = Fold("top", "A(x)", "larger(a, b)", "least(A())")
_total = cupy.ReductionKernel(
    "T x, M top", "O y", "exp(A(x) - top)", "a + b", "y = a", "A(0)", "autograd_gpu_total",
    reduce_type="A", preamble=f"{WIDE}typedef typename Wide<T>::type A;\n",
)  # fmt: skip
_softmax = elementwise("softmax", "T x, M top, M total", "T out", "out = T(exp(A(x) - top) / total);")
_log_softmax = elementwise("log_softmax", "T x, M top, M total", "T out", "out = T(A(x) - top - log(total));")
_finite = elementwise("finite", "T x", "T out", "out = x - x == T(0) ? x : T(0);")
_logsumexp = elementwise("logsumexp", "M top, M total", "T out", "out = T(log(total) + top);")


def _totals(x: Any, axis: Any, finite: bool) -> tuple[Any, Any]:
    """(largest along the axes, sum of exp(x - it)), with the axes kept."""
    on_device(x)
    wide = accumulator(x.dtype)
    top = _top(x, axis, True, wide)
    if finite:
        top = _finite(top)
    total = cupy.empty(top.shape, wide)
    if total.size:
        _total(x, top, out=total, axis=axis, keepdims=True)
    return top, total


def softmax(x: Any, *, axis: Any) -> Any:
    """exp(x), scaled so that it sums to one along the axis."""
    return _softmax(x, *_totals(x, axis, False))


def log_softmax(x: Any, *, axis: Any) -> Any:
    """The logarithm of softmax."""
    return _log_softmax(x, *_totals(x, axis, False))


def logsumexp(x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The logarithm of the sum of exp(x) along axes."""
    top, total = _totals(x, axis, True)
    out = _logsumexp(top, total, cupy.empty(top.shape, x.dtype))
    axes = (axis,) if axis.__class__ is int else axis
    return out if keepdims else out.reshape([n for i, n in enumerate(x.shape) if i not in axes])
