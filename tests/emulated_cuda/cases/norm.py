"""norm.cu: layer_norm and rms_norm, forward, backward, and the gradients of weight and bias."""

from __future__ import annotations

import numpy as np

from ..array import to_device
from . import TYPES, Get, case, computed, equal, normal, out, wide

ROWS = 11

NORM_SHAPES = [(5, 64), (33, 32), (301, 96), (70, 256), (64, 32)]  # columns, threads of a block


def _norm(get: Get, t: str, rms: bool) -> None:
    number, flag = computed(t), str(rms).lower()
    eps = number.type(1e-5)
    for columns, block in NORM_SHAPES:
        x = normal((ROWS, columns), t, 9) + TYPES[t].type(0 if rms else 3)
        g, weight, bias = normal((ROWS, columns), t, 10), normal(columns, t, 11), normal(columns, t, 12)
        mean, rstd = out(ROWS, number), out(ROWS, number)
        y, dx = out((ROWS, columns), TYPES[t]), out((ROWS, columns), TYPES[t])
        wx, wg = wide(x), wide(g)
        center = np.zeros((ROWS, 1)) if rms else wx.mean(-1, keepdims=True)
        r = 1 / np.sqrt(((wx - center) ** 2).mean(-1, keepdims=True) + float(eps))
        xhat = (wx - center) * r
        source, grad = to_device(x), to_device(g)
        for w, b in ((None, None), (weight, None), (None, bias), (weight, bias)):
            shift = columns == 64 and b is not None  # rows that are aligned, and a weight or a bias that is not
            w_device, b_device = (None if a is None else to_device(np.append(a[:shift], a)).part(shift) for a in (w, b))
            scale = 1.0 if w is None else wide(w)
            tail = (np.int64(ROWS), np.int32(columns))
            get(f"norm_forward<{t}, {flag}>")((3,), (block,), (source, w_device, b_device, y, mean, rstd, *tail, eps))
            equal(y.host, xhat * scale + (0 if b is None else wide(b)), t)
            tight = "double" if t == "double" else "float"
            equal(rstd.host, r[:, 0], tight, number)
            if not rms:
                equal(mean.host, center[:, 0], tight, number)
            get(f"norm_backward_x<{t}, {flag}>")((3,), (block,), (grad, source, w_device, mean, rstd, dx, *tail))
            d = wg * scale
            plain = 0 if rms else d.mean(-1, keepdims=True)
            equal(dx.host, (d - plain - xhat * (d * xhat).mean(-1, keepdims=True)) * r, t)
        lines, chunk = 2, 9  # more rows than a block has lines of threads, and fewer
        parts = out((2, lines, columns), number)
        arguments = (grad, source, mean, rstd, parts, np.int64(ROWS), np.int32(columns), np.int64(chunk))
        get(f"norm_backward_parts<{t}, {flag}>")(((columns + 31) // 32, lines), (32, 8), arguments)
        for part, expected in zip((0, 1), ((wg * xhat).sum(0), wg.sum(0)), strict=True):
            result = out(columns, TYPES[t])
            arguments = (parts.part(part * lines * columns), result, np.int32(lines), np.int32(columns))
            get(f"add_parts<{t}>")((2,), (64,), arguments)
            equal(result.host, expected, t)


_NORM_KERNELS = ("norm_forward", "norm_backward_x", "norm_backward_parts")


@case("norm.cu", *(f"{k}<T, false>" for k in _NORM_KERNELS), "add_parts<T>")
def layer_norm(get: Get, t: str) -> None:
    _norm(get, t, False)


@case("norm.cu", *(f"{k}<T, true>" for k in _NORM_KERNELS), "add_parts<T>")
def rms_norm(get: Get, t: str) -> None:
    _norm(get, t, True)
