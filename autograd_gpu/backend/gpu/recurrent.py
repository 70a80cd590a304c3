"""Words for one direction of one layer of a recurrent network, as in `backend.cpu.recurrent`: a product of matrices and a kernel
for each step; what belongs to all steps is done at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import cupy
import numpy as np

from ..gemm import multiply
from ..steps import added, before, ends, following, rows_before, sizes_of, steps_of
from .build import elementwise, on_device
from .reduce import sum as add_up

__all__ = ["gru_layer", "gru_layer_backward", "lstm_layer", "lstm_layer_backward", "rnn_layer", "rnn_layer_backward"]

_SIGMOID = "template <class A> __device__ A sigmoid(A x) { return A(1) / (A(1) + exp(-x)); }\n"
_PLACE = "const long long row = i / size, j = i - row * size;\n"


def _wide(f: Callable) -> Callable:
    """Let `f` compute half precision in float32, and refuse arrays of the host."""

    @wraps(f)
    def word(*arrays: Any, **options: Any) -> Any:
        given = [a for a in arrays if a is not None]
        on_device(*given)
        dtype = given[0].dtype
        if dtype.itemsize != 2:
            return f(*arrays, **options)
        outs = f(*[None if a is None else a.astype(np.float32) for a in arrays], **options)
        return tuple([None if out is None else out.astype(dtype) for out in outs])

    return word


def _rows(x: Any) -> Any:
    return x if x.ndim == 2 else cupy.ascontiguousarray(x).reshape(x.shape[0] * x.shape[1], x.shape[2])


def _dense(a: Any) -> Any:
    return None if a is None else cupy.ascontiguousarray(a)


def _first(h0: Any, n: int, size: int, dtype: Any) -> Any:
    return cupy.zeros((n, size), dtype) if h0 is None else cupy.ascontiguousarray(h0[:n])


def _start(g: Any, n: int, size: int, dtype: Any) -> Any:
    """The gradient of the last states, to be written into."""
    return cupy.zeros((n, size), dtype) if g is None else cupy.array(g, dtype, order="C")


def _gradients(d: Any, states: Any, x: Any, w_ih: Any, b_ih: Any, b_hh: Any, of_state: Any, dx: bool) -> tuple[Any, ...]:
    """The gradients of x, w_ih, w_hh, b_ih, b_hh from those of the linear parts in x and in the states."""
    return (
        multiply(d, w_ih).reshape(x.shape) if dx else None,
        multiply(d.T, _rows(x)),
        multiply(of_state.T, states),
        None if b_ih is None else add_up(d, axis=0),
        None if b_hh is None else add_up(of_state, axis=0),
    )


# -- tanh and relu -----------------------------------------------------------------------------------------------------------


@_wide
def rnn_layer(
    x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, h0: Any, *, relu: bool, sizes: Any = None, reverse: bool = False
) -> Any:
    """y and h_n of h = tanh(w_ih x + w_hh h + b_ih + b_hh), or of relu."""
    sizes = sizes_of(x, sizes, reverse)
    y = multiply(_rows(x), w_ih.T, bias=added(b_ih, b_hh))
    steps = steps_of(y, sizes, reverse)
    h = None if h0 is None else _first(h0, sizes[0], len(w_hh), y.dtype)
    for k, out in enumerate(steps):
        if h is not None:
            cupy.add(out, multiply(h, w_hh.T), out=out)
        if relu:
            cupy.maximum(out, 0, out=out)
        else:
            cupy.tanh(out, out=out)
        if k < len(steps) - 1:
            h = following(cupy, out, h0, sizes[k + 1])
    return y.reshape((*x.shape[:-1], len(w_hh))), ends(cupy, steps, sizes)


@_wide
def rnn_layer_backward(
    y: Any,
    x: Any,
    w_ih: Any,
    w_hh: Any,
    b_ih: Any,
    b_hh: Any,
    h0: Any,
    gy: Any,
    gh: Any,
    *,
    relu: bool,
    sizes: Any = None,
    reverse: bool = False,
    dx: bool = True,
) -> Any:
    """The gradients of the inputs of `rnn_layer`, from those of y and h_n, None for one that is zero."""
    sizes, y = sizes_of(x, sizes, reverse), _rows(y)
    d = (y > 0).astype(y.dtype) if relu else 1 - y * y
    steps = steps_of(d, sizes, reverse)
    gys = None if gy is None else steps_of(gy, sizes, reverse)
    dh = _start(gh, max(sizes), len(w_hh), y.dtype)
    for k in range(len(sizes) - 1, -1, -1):
        now = dh[: sizes[k]]
        if gys is not None:
            now += gys[k]
        steps[k] *= now
        multiply(steps[k], w_hh, out=now)
    states = rows_before(cupy, steps_of(y, sizes, reverse), h0, sizes, reverse)
    return *_gradients(d, states, x, w_ih, b_ih, b_hh, d, dx), None if h0 is None else dh


# -- LSTM --------------------------------------------------------------------------------------------------------------------

_lstm = elementwise(
    "lstm", "raw T x, raw T product, int64 size, int64 block", "raw T now, raw T after, raw T h",
    _PLACE + "const long long at = row * 4 * size + j;\n"
    "const A i_ = sigmoid(A(x[at]) + A(product[at])), f = sigmoid(A(x[at + size]) + A(product[at + size]));\n"
    "const A g = tanh(A(x[at + 2 * size]) + A(product[at + 2 * size]));\n"
    "const A o = sigmoid(A(x[at + 3 * size]) + A(product[at + 3 * size]));\n"
    "const A c = f * A(now[i]) + i_ * g;\n"
    "now[block + i] = T(g); now[2 * block + i] = T(f); now[3 * block + i] = T(i_); now[4 * block + i] = T(o);\n"
    "after[i] = T(c); h[i] = T(o * tanh(c));",
    _SIGMOID,
)  # fmt: skip

_lstm_backward = elementwise(
    "lstm_backward", "raw T now, raw T after, raw T dr, int64 size, int64 block", "raw T dc, raw T d",
    _PLACE + "const long long at = row * 4 * size + j;\n"
    "const A t = tanh(A(after[i])), g = A(now[block + i]), f = A(now[2 * block + i]), i_ = A(now[3 * block + i]);\n"
    "const A o = A(now[4 * block + i]), dh = A(dr[i]), c = A(dc[i]) + dh * o * (A(1) - t * t);\n"
    "d[at] = T(c * g * i_ * (A(1) - i_)); d[at + size] = T(c * A(now[i]) * f * (A(1) - f));\n"
    "d[at + 2 * size] = T(c * i_ * (A(1) - g * g)); d[at + 3 * size] = T(dh * t * o * (A(1) - o));\n"
    "dc[i] = T(c * f);",
)  # fmt: skip


@_wide
def lstm_layer(
    x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, h0: Any, c0: Any, w_hr: Any, *, sizes: Any = None, reverse: bool = False
) -> Any:
    """y, h_n, c_n and what is kept of c = f c + i g, h = o tanh(c), with i, f, o the sigmoids of their parts of
    w_ih x + w_hh h + b_ih + b_hh and g the tanh of its part. With w_hr, h is projected by it."""
    sizes, dtype = sizes_of(x, sizes, reverse), x.dtype
    count, most, size = len(sizes), max(sizes), len(w_ih) // 4
    inputs = steps_of(multiply(_rows(x), w_ih.T, bias=added(b_ih, b_hh)), sizes, reverse)
    y = cupy.empty((sum(sizes), w_hh.shape[1]), dtype)
    steps = steps_of(y, sizes, reverse)
    kept = cupy.zeros((count + 1, 5, most, size), dtype)
    if c0 is not None:
        kept[0, 0, : sizes[0]] = c0[: sizes[0]]
    h, hidden = _first(h0, sizes[0], w_hh.shape[1], dtype), cupy.empty((most, size), dtype)
    for k, n in enumerate(sizes):
        out = steps[k] if w_hr is None else hidden[:n]
        _lstm(inputs[k], multiply(h, w_hh.T), size, most * size, kept[k], kept[k + 1], out, size=n * size)
        h = steps[k] if w_hr is None else multiply(out, w_hr.T, out=steps[k])
        if k < count - 1:
            h = following(cupy, h, h0, sizes[k + 1])
            if sizes[k + 1] > n and c0 is not None:
                kept[k + 1, 0, n : sizes[k + 1]] = c0[n : sizes[k + 1]]
    cells = [kept[k + 1, 0, :n] for k, n in enumerate(sizes)]
    return y.reshape((*x.shape[:-1], y.shape[1])), ends(cupy, steps, sizes), ends(cupy, cells, sizes), kept


@_wide
def lstm_layer_backward(
    y: Any,
    kept: Any,
    x: Any,
    w_ih: Any,
    w_hh: Any,
    b_ih: Any,
    b_hh: Any,
    h0: Any,
    c0: Any,
    w_hr: Any,
    gy: Any,
    gh: Any,
    gc: Any,
    *,
    sizes: Any = None,
    reverse: bool = False,
    dx: bool = True,
) -> Any:
    """The gradients of the inputs of `lstm_layer`, from those of y, h_n and c_n, None for one that is zero."""
    sizes, dtype, y, kept = sizes_of(x, sizes, reverse), x.dtype, _rows(y), _dense(kept)
    most, size = max(sizes), len(w_ih) // 4
    d = cupy.empty((len(y), 4 * size), dtype)
    steps = steps_of(d, sizes, reverse)
    gys = None if gy is None else steps_of(gy, sizes, reverse)
    dh_all, dc = _start(gh, most, w_hh.shape[1], dtype), _start(gc, most, size, dtype)
    dys = cupy.empty_like(y) if w_hr is not None else None
    dy_steps = None if dys is None else steps_of(dys, sizes, reverse)
    for k in range(len(sizes) - 1, -1, -1):
        n = sizes[k]
        dh = dh_all[:n]
        if gys is not None:
            dh += gys[k]
        dr = dh
        if w_hr is not None:
            dy_steps[k][...] = dh
            dr = multiply(dh, w_hr)
        _lstm_backward(kept[k], kept[k + 1], dr, size, most * size, dc, steps[k], size=n * size)
        multiply(steps[k], w_hh, out=dh)
    states = rows_before(cupy, steps_of(y, sizes, reverse), h0, sizes, reverse)
    dw_hr = None
    if w_hr is not None:
        hidden = [kept[k, 4, :n] * cupy.tanh(kept[k + 1, 0, :n]) for k, n in enumerate(sizes)]
        dw_hr = multiply(dys.T, cupy.concatenate(hidden[::-1] if reverse else hidden))
    return (
        *_gradients(d, states, x, w_ih, b_ih, b_hh, d, dx),
        None if h0 is None else dh_all,
        None if c0 is None else dc,
        dw_hr,
    )


# -- GRU ---------------------------------------------------------------------------------------------------------------------

_gru = elementwise(
    "gru", "raw T x, raw T product, raw T before, int64 size, int64 block", "raw T now, raw T h",
    _PLACE + "const long long at = row * 3 * size + j;\n"
    "const A r = sigmoid(A(x[at]) + A(product[at])), z = sigmoid(A(x[at + size]) + A(product[at + size]));\n"
    "const A q = A(product[at + 2 * size]), n = tanh(A(x[at + 2 * size]) + r * q);\n"
    "now[i] = T(r); now[block + i] = T(z); now[2 * block + i] = T(n); now[3 * block + i] = T(q);\n"
    "h[i] = T(n + z * (A(before[i]) - n));",
    _SIGMOID,
)  # fmt: skip

_gru_backward = elementwise(
    "gru_backward", "raw T now, raw T before, int64 size, int64 block", "raw T dh, raw T d",
    _PLACE + "const long long at = row * 4 * size + j;\n"
    "const A r = A(now[i]), z = A(now[block + i]), n = A(now[2 * block + i]), q = A(now[3 * block + i]), g = A(dh[i]);\n"
    "const A dn = g * (A(1) - z) * (A(1) - n * n);\n"
    "d[at] = T(dn); d[at + size] = T(dn * q * r * (A(1) - r));\n"
    "d[at + 2 * size] = T(g * (A(before[i]) - n) * z * (A(1) - z)); d[at + 3 * size] = T(dn * r);\n"
    "dh[i] = T(g * z);",
)  # fmt: skip


@_wide
def gru_layer(x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, h0: Any, *, sizes: Any = None, reverse: bool = False) -> Any:
    """y, h_n and what is kept of h = n + z (h - n), with r, z the sigmoids of their parts of w_ih x + b_ih + q,
    q = w_hh h + b_hh, and n the tanh of its part of w_ih x + b_ih + r q. Kept are r, z, n and n's part of q: (T, 4, B, H)."""
    sizes, dtype = sizes_of(x, sizes, reverse), x.dtype
    count, most, size = len(sizes), max(sizes), len(w_ih) // 3
    inputs = steps_of(multiply(_rows(x), w_ih.T, bias=b_ih), sizes, reverse)
    y = cupy.empty((sum(sizes), size), dtype)
    steps = steps_of(y, sizes, reverse)
    kept = cupy.zeros((count, 4, most, size), dtype)
    h = _first(h0, sizes[0], size, dtype)
    for k, n in enumerate(sizes):
        _gru(inputs[k], multiply(h, w_hh.T, bias=b_hh), h, size, most * size, kept[k], steps[k], size=n * size)
        h = steps[k] if k == count - 1 else following(cupy, steps[k], h0, sizes[k + 1])
    return y.reshape((*x.shape[:-1], size)), ends(cupy, steps, sizes), kept


@_wide
def gru_layer_backward(
    y: Any,
    kept: Any,
    x: Any,
    w_ih: Any,
    w_hh: Any,
    b_ih: Any,
    b_hh: Any,
    h0: Any,
    gy: Any,
    gh: Any,
    *,
    sizes: Any = None,
    reverse: bool = False,
    dx: bool = True,
) -> Any:
    """The gradients of the inputs of `gru_layer`, from those of y and h_n, None for one that is zero."""
    sizes, dtype, y, kept = sizes_of(x, sizes, reverse), x.dtype, _rows(y), _dense(kept)
    most, size = max(sizes), len(w_ih) // 3
    d = cupy.empty((len(y), 4 * size), dtype)  # of n, r, z as the input has a part in them, and of q
    steps, states = steps_of(d, sizes, reverse), steps_of(y, sizes, reverse)
    befores = before(cupy, states, _first(h0, most, size, dtype), sizes)
    gys = None if gy is None else steps_of(gy, sizes, reverse)
    dh_all = _start(gh, most, size, dtype)
    for k in range(len(sizes) - 1, -1, -1):
        dh = dh_all[: sizes[k]]
        if gys is not None:
            dh += gys[k]
        _gru_backward(kept[k], befores[k], size, most * size, dh, steps[k], size=dh.size)
        dh += multiply(cupy.ascontiguousarray(steps[k][:, size:]), w_hh)
    of_input = cupy.concatenate((d[:, size : 3 * size], d[:, :size]), axis=1)
    of_state = cupy.ascontiguousarray(d[:, size:])
    rows = rows_before(cupy, states, h0, sizes, reverse)
    return *_gradients(of_input, rows, x, w_ih, b_ih, b_hh, of_state, dx), None if h0 is None else dh_all
