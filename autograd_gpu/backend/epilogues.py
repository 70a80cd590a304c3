"""Products of matrices with an activation function on the way out, and the way back through both.

NOTE [Epilogues]
    Where cuBLASLt (see gemm.NOTE [cuBLASLt]) takes the shapes, it does beside the product
    1. on the way there: add a bias, and apply relu or gelu (its approximation by tanh). Beside the result it writes what the way
       back needs, `aux`: of relu a bit for each element, 1 if it is positive, in rows of a multiple of 128 bits; of gelu what it
       was computed from, in rows of a multiple of 8 elements. Bit i of a row is bit i % 8 of its byte i // 8.
    2. On the way back it multiplies the product, the gradient of the activation's output, by the slopes that `aux` tells, and
       adds up each column of that, which gives the gradient of the bias.
    3. What it does not take it refuses, and then None is returned: there are kernels for each of these steps. Nor is it asked
       after it got a small example wrong. One is NaN, which must not become 0: what relu makes of that NVIDIA does not say.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import gemm
from .promotion import bfloat16, float16, float32, float64

_FORWARD = {"relu": 130, "gelu_tanh": 160}  # CUBLASLT_EPILOGUE_RELU_AUX, GELU_AUX; without AUX, 128 less
_BACKWARD = {"relu": 136, "gelu_tanh": 192}  # CUBLASLT_EPILOGUE_DRELU, DGELU
_AUX, _BIAS, _SUMS = 128, 4, 16
_DIGITS = {float32: 1e-5, float64: 1e-12, float16: 4e-3, bfloat16: 3e-2}


def forward(a: Any, b: Any, bias: Any, activation: str, kept: bool = True) -> tuple[Any, Any] | None:
    """activation(a @ b + bias) and `aux`, or None for that if it is not to be kept. None: cuBLASLt does not do it.

    a, b   matrices (m, k) and (k, n) of one dtype;  bias   (n,), or None"""
    run = _run(a, b, activation)
    if run is None or (bias is not None and (bias.dtype is not a.dtype or bias.shape != b.shape[1:])):
        return None
    return _forward(run, a, b, bias, activation, kept)


def backward(a: Any, b: Any, aux: Any, activation: str, sums: bool) -> tuple[Any, Any] | None:
    """a @ b times the slopes that `aux` tells, (m, n), and if `sums` is set the sums of its columns, else None. None: cuBLASLt
    does not do it."""
    run = _run(a, b, activation)
    return None if run is None else _backward(run, a, b, aux, activation, sums)


def _run(a: Any, b: Any, activation: str) -> Any:
    """What multiplies, None if it does not do so with this activation."""
    if a.dtype is not b.dtype or a.dtype not in _DIGITS or not a.size or not b.size or activation not in _FORWARD:
        return None
    run = gemm._products(gemm._current_device())
    return run if run is not None and run.trusted(a.dtype) and _trusted(run, a.dtype, activation) else None


def _forward(run: Any, a: Any, b: Any, bias: Any, activation: str, kept: bool) -> tuple[Any, Any] | None:
    import cupy

    m, n = a.shape[0], b.shape[1]
    out, aux, lead = cupy.empty((m, n), a.dtype), None, 0
    epilogue = _FORWARD[activation] | (_BIAS if bias is not None else 0)
    if not kept:
        epilogue -= _AUX
    elif activation == "relu":
        lead = -(-n // 128) * 128
        aux = cupy.empty((m, lead // 8), np.uint8)
    elif n % 8:
        return None  # its rows would not lie next to each other
    else:
        aux, lead = cupy.empty((m, n), a.dtype), n
    return (out, aux) if run.write(out, a, b, epilogue, gemm.readable(bias), aux, lead) else None


def _backward(run: Any, a: Any, b: Any, aux: Any, activation: str, sums: bool) -> tuple[Any, Any] | None:
    import cupy

    n = b.shape[1]
    out, of_columns = cupy.empty((a.shape[0], n), a.dtype), cupy.empty(n, a.dtype) if sums else None
    lead = aux.shape[1] * (8 if activation == "relu" else 1)
    epilogue = _BACKWARD[activation] | (_SUMS if sums else 0)
    return (out, of_columns) if run.write(out, a, b, epilogue, of_columns, aux, lead) else None


# -- the check of rule 3 -----------------------------------------------------------------------------------------------------


def _trusted(run: Any, dtype: np.dtype, activation: str) -> bool:
    """Whether this comes out right, found out at the first."""
    known = run.checked.get((dtype, activation))
    if known is None:
        import cupy

        if cupy.cuda.runtime.streamIsCapturing(cupy.cuda.get_current_stream().ptr):
            return False  # nothing can be compared now
        with run.lock:
            try:
                known = all(_agrees(run, dtype, activation, *shape) for shape in ((16, 24, 8), (5, 16, 136), (40, 8, 24)))
            except run.error:
                known = False
            run.checked[dtype, activation] = known
    return known


def _agrees(run: Any, dtype: np.dtype, activation: str, m: int, k: int, n: int) -> bool:
    """Whether both ways through a layer give what NumPy gives, as far as they are taken."""
    import cupy

    rng = np.random.default_rng(0)
    a, b, bias, g, w = (rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), n, (m, k), (k, n)))
    on_device = [cupy.asarray(x) for x in (a, b, bias, g, w)]
    wide = [x.astype(float64) for x in (a, b, bias, g, w)]
    digits = 1e-2 if dtype == float32 and gemm.allow_tf32[0] else _DIGITS[dtype]

    def close(x: Any, y: np.ndarray, of: int = 1) -> bool:
        return bool(np.allclose(x.get().astype(float64), y, digits, digits * 8 * of, equal_nan=True))

    for with_bias in (True, False):
        inner = wide[0] @ wide[1] + (wide[2] if with_bias else 0)
        wanted, slope = _active(inner, activation)
        there = _forward(run, *on_device[:2], on_device[2] if with_bias else None, activation, True)
        plain = _forward(run, *on_device[:2], on_device[2] if with_bias else None, activation, False)
        if not all(made is None or close(made[0], wanted) for made in (there, plain)):
            return False
        back = there and _backward(run, *on_device[3:], there[1], activation, with_bias)
        through = wide[3] @ wide[4] * slope
        if back and not (close(back[0], through) and (not with_bias or close(back[1], through.sum(0), m))):
            return False
    broken = on_device[0].copy()
    broken[0, 0] = math.nan
    made = _forward(run, broken, on_device[1], None, activation, True)
    return made is None or bool(np.isnan(made[0][0].get().astype(float64)).all())


def _active(x: np.ndarray, activation: str) -> tuple[np.ndarray, np.ndarray]:
    """An activation and its slopes."""
    if activation == "relu":
        return np.maximum(x, 0), (x > 0).astype(x.dtype)
    k, c = math.sqrt(2 / math.pi), 0.044715
    t = np.tanh(k * (x + c * x**3))
    return 0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + 3 * c * x * x)
