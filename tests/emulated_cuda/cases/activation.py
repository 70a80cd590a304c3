"""activation.cu: every function, forward and backward."""

from __future__ import annotations

import functools
import math

import numpy as np

from ..array import to_device
from . import EXTREMES, TYPES, Get, case, computed, equal, normal, out, wide

_erf = np.vectorize(math.erf, otypes=[np.float64])
_normal_density = 0.3989422804014327


def _logistic(x):
    return 1 / (1 + np.exp(-x))


def _gelu_inner(x):
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def _gelu_tanh_slope(x):
    t = np.tanh(_gelu_inner(x))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)


# name: saves its output, f(x, p, q), gradient (g, saved, p, q)
ACTIVATIONS = {
    "Relu": (True, lambda x, p, q: np.where(x < 0, 0, x), lambda g, s, p, q: np.where(s <= 0, 0, g)),
    "LeakyRelu": (False, lambda x, p, q: np.where(x > 0, x, p * x), lambda g, s, p, q: np.where(s > 0, g, p * g)),
    "Tanh": (True, lambda x, p, q: np.tanh(x), lambda g, s, p, q: g * (1 - s * s)),
    "Sigmoid": (True, lambda x, p, q: _logistic(x), lambda g, s, p, q: g * s * (1 - s)),
    "Exp": (True, lambda x, p, q: np.exp(x), lambda g, s, p, q: g * s),
    "Silu": (
        False,
        lambda x, p, q: x * _logistic(x),
        lambda g, s, p, q: g * _logistic(s) * (1 + s * (1 - _logistic(s))),
    ),
    "Gelu": (
        False,
        lambda x, p, q: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
        lambda g, s, p, q: g * (0.5 * (1 + _erf(s / math.sqrt(2))) + s * _normal_density * np.exp(-0.5 * s * s)),
    ),
    "GeluTanh": (False, lambda x, p, q: 0.5 * x * (1 + np.tanh(_gelu_inner(x))), lambda g, s, p, q: g * _gelu_tanh_slope(s)),
    "Elu": (True, lambda x, p, q: np.where(x > 0, x, p * np.expm1(x)), lambda g, s, p, q: np.where(s > 0, g, g * (s + p))),
    "Softplus": (
        False,
        lambda x, p, q: np.where(x * p > q, x, np.log1p(np.exp(np.minimum(x * p, 700))) / p),
        lambda g, s, p, q: np.where(s * p > q, g, g * _logistic(s * p)),
    ),
}


def _activation(get: Get, t: str, function: str) -> None:
    _, forward, backward = ACTIVATIONS[function]
    dtype, number = TYPES[t], computed(t).type
    p, q = number(0.75), number(20)
    n = 1003
    with np.errstate(all="ignore"):
        x, g = normal(n, t, 1, 3), normal(n, t, 2)
        x[: len(EXTREMES)] = x[-len(EXTREMES) :] = EXTREMES
        for shifts in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)):  # which of the pointers are not aligned to 16 bytes
            source, grad = (to_device(np.concatenate([a[:s], a])).part(s) for a, s in zip((x, g), shifts, strict=False))
            y = out(n + shifts[2], dtype).part(shifts[2])
            get(f"activation_forward<{t}, {function}>")((3,), (64,), (source, y, np.int64(n), p, q))
            equal(y.host, forward(wide(x), float(p), float(q)), t)
            get(f"activation_backward<{t}, {function}>")((3,), (64,), (grad, source, y, np.int64(n), p, q))
            equal(y.host, backward(wide(g), wide(x), float(p), float(q)), t)


for _function in ACTIVATIONS:
    _names = [f"{kernel}<T, {_function}>" for kernel in ("activation_forward", "activation_backward")]
    _types = tuple(TYPES) if _function in ("Gelu", "Elu") else ("float",)
    case("activation.cu", *_names, types=_types, name=_function)(functools.partial(_activation, function=_function))
