"""Words for one direction of one layer of a recurrent network: all steps in one call, and its backward.

    x      (T, B, I), or the rows of sequences of different lengths one step after the other, (N, I) with `sizes`: how many
           sequences are still running at each step, never growing. Steps are taken in order, or with `reverse` from the last
    w_ih   (k H, I), w_hh (k H, P): weights of the input and of the state, k gates one below the other in PyTorch's order
    h0     (B, P), c0 (B, H): the states at first, None for zeros. P is H unless an LSTM projects its states by w_hr (P, H)
    y      the states of all steps, in the shape of x; h_n (B, P), c_n (B, H): those after the last step of each sequence

NOTE [Fast recurrent steps]
    A step is a small product of matrices and a chain of elementwise functions on (B, H), so calls and passes count.
    1. What is kept of a step are its gates, each a block of (B, H) that lies in one piece, in an order in which those that are
       treated alike are neighbours. For an LSTM `kept` is (T + 1, 5, B, H): the cell before the step, g, f, i, o; so
       f * c and i * g are one call, and the cell after it is the first block of the next step.
    2. OpenBLAS multiplies matrices of less than a million multiplications without copying them, half as fast again as others, and
       from memory at multiples of 64 bytes. So weights are taken apart by gates, and these into pieces of 64 columns, and rows
       too where that is not enough, the backward's likewise. Where no piece is small, as that of a single step, products are
       whole. The gradient of each weight is one product over all steps.
    3. sigmoid(x) is (1 + tanh(x / 2)) / 2, and the halving is done to the weights: all gates take one call of tanh.
    4. Biases are a last row of the input's weights, and the inputs have a last column of ones: adding them needs no pass.
    5. Of the backward, what does not depend on later steps is made for several of them at once, as many as a cache holds.
    6. Sequences that have ended leave a part of the blocks unused, which is zero.
    7. `np.dot` copies a matrix that is some columns of another, which takes longer than the product; `np.matmul` does not.
The gradient of x, a large product that the first layer of a network does not need, is left out with dx=False.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..steps import added, before, ends, following, rows_before, sizes_of, steps_of
from .gates import (
    Products,
    aligned,
    arranged,
    backwards,
    bias_by_gate,
    by_gate,
    in_full_precision,
    rows_of,
    write_inputs,
    write_step,
)
from .reduce import _ones

__all__ = ["gru_layer", "gru_layer_backward", "lstm_layer", "lstm_layer_backward", "rnn_layer", "rnn_layer_backward"]

_ORDER = (2, 1, 0, 3)  # the gates of an LSTM as they are kept, g f i o, in PyTorch's i f g o


def _blocks(steps: Sequence[Any], count: int) -> list[Any]:
    """The steps (n, count H) as (count, n, H)."""
    h = steps[0].shape[1] // count
    return [a.reshape(len(a), count, h).transpose(1, 0, 2) for a in steps]


def _state_gradient(d: Any, y: Any, h0: Any, sizes: Sequence[int], reverse: bool) -> Any:
    """The gradient of w_hh: the sum over all steps of d, rows of gradients, times the states before them."""
    n = sizes[0]
    if n != sizes[-1]:
        return np.matmul(d.T, rows_before(np, steps_of(y, sizes, reverse), h0, sizes, reverse))
    y = rows_of(y)
    later, earlier, first = (d[:-n], y[n:], d[-n:]) if reverse else (d[n:], y[: len(y) - n], d[:n])
    out = np.matmul(later.T, earlier)
    if h0 is not None:
        out += np.matmul(first.T, h0)
    return out


def _start(g: Any, n: int, size: int, dtype: Any) -> Any:
    """The gradient of the last states, to be written into."""
    out = aligned((n, size), dtype)
    out[...] = 0 if g is None else g
    return out


def _sum(d: Any) -> Any:
    """The sum of rows."""
    return _ones(len(d), d.dtype).dot(d)


# -- tanh and relu -----------------------------------------------------------------------------------------------------------


@in_full_precision
def rnn_layer(
    x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, h0: Any, *, relu: bool, sizes: Any = None, reverse: bool = False
) -> Any:
    """y and h_n of h = tanh(w_ih x + w_hh h + b_ih + b_hh), or of relu."""
    sizes, rows = sizes_of(x, sizes, reverse), rows_of(x)
    y = rows.dot(w_ih.T)
    bias = added(b_ih, b_hh)
    if bias is not None:
        y += bias
    steps, last = steps_of(y, sizes, reverse), len(sizes) - 1
    most = max(sizes)
    products = None if last == 0 else Products(by_gate(w_hh, (0,), (1,), most), np.empty((1, most, len(w_hh)), y.dtype))
    h = None if h0 is None else h0[: sizes[0]]
    zero = np.zeros((), y.dtype)
    for k, n in enumerate(sizes):
        out = steps[k]
        if h is not None:
            np.add(out, h.dot(w_hh.T) if products is None else products(h)[0], out=out)
        if relu:
            np.maximum(out, zero, out=out)
        else:
            np.tanh(out, out=out)
        if k < last:
            h = out if sizes[k + 1] == n else following(np, out, h0, sizes[k + 1])
    return y.reshape((*x.shape[:-1], len(w_hh))), ends(np, steps, sizes)


@in_full_precision
def rnn_layer_backward(
    y: Any, x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, h0: Any, gy: Any, gh: Any, *, relu: bool, sizes: Any = None,
    reverse: bool = False, dx: bool = True,
) -> Any:  # fmt: skip
    """The gradients of the inputs of `rnn_layer`, from those of y and h_n, None for one that is zero."""
    sizes, rows = sizes_of(x, sizes, reverse), rows_of(x)
    slope = np.multiply(y, y) if not relu else np.greater(y, 0).astype(y.dtype)
    d = rows_of(slope if relu else np.subtract(1, slope, out=slope))
    steps = steps_of(d, sizes, reverse)
    gys = None if gy is None else steps_of(gy, sizes, reverse)
    dh = _start(gh, max(sizes), len(w_hh), y.dtype)
    products = None if len(sizes) == 1 else Products(backwards(w_hh, 1, len(dh)), dh[None])
    for k in range(len(sizes) - 1, -1, -1):
        now = dh[: sizes[k]]
        if gys is not None:
            now += gys[k]
        out = steps[k]
        out *= now
        if products is None:
            np.matmul(out, w_hh, out=now)
        elif k or h0 is not None:
            products(out)
    total = _sum(d)
    return (
        d.dot(w_ih).reshape(x.shape) if dx else None,
        np.matmul(d.T, rows),
        _state_gradient(d, y, h0, sizes, reverse),
        None if b_ih is None else total,
        None if b_hh is None else total.copy(),
        None if h0 is None else dh,
    )


# -- LSTM --------------------------------------------------------------------------------------------------------------------

_HALVED = (1, 0.5, 0.5, 0.5)
_FEW = 1 << 15  # elements that are treated at once; more would leave the cache


def _lstm_slopes(kept: Any, slopes: Any, t: Any, room: Any) -> None:
    """What the gradients of some steps' gates are to be multiplied with, from (K + 1, 5, B, H) what is kept of them.

    slopes   (K, 5, B, H), of i, f, g, o: the slope of the function, times what multiplies the gate: g, c before, i, tanh(c);
             and that of h = o tanh(c) in c
    t        (K, B, H): tanh(c)
    room     (K, 2, B, H) to work in"""
    now = kept[:-1]
    g, sigmoids, i, o = now[:, 1], now[:, 2:4], now[:, 3], now[:, 4]
    pair, of_g, h, through, one = slopes[:, 1::-1], slopes[:, 2], slopes[:, 3], slopes[:, 4], room[:, 0]
    np.multiply(sigmoids, now[:, :2], out=pair)  # f c and i g, of which c is the sum
    np.multiply(slopes[:, 0], g, out=of_g)
    np.subtract(i, of_g, out=of_g)
    np.subtract(pair, np.multiply(pair, sigmoids, out=room), out=pair)
    np.tanh(kept[1:, 0], out=t)
    np.multiply(o, t, out=h)
    np.subtract(o, np.multiply(h, t, out=one), out=through)
    np.subtract(h, np.multiply(h, o, out=one), out=h)


@in_full_precision
def lstm_layer(
    x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, h0: Any, c0: Any, w_hr: Any, *, sizes: Any = None, reverse: bool = False
) -> Any:
    """y, h_n, c_n and what is kept of c = f c + i g, h = o tanh(c), with i, f, o the sigmoids of their parts of
    w_ih x + w_hh h + b_ih + b_hh and g the tanh of its part. With w_hr, h is projected by it."""
    sizes, dtype = sizes_of(x, sizes, reverse), x.dtype
    count, most, size = len(sizes), max(sizes), len(w_ih) // 4
    kept = aligned((count + 1, 5, most, size), dtype)
    if sizes[0] != sizes[-1]:
        kept[...] = 0
    kept[0, 0, : sizes[0]] = 0 if c0 is None else c0[: sizes[0]]
    kept[count, 1:] = 0  # behind the last step there are no gates: not what memory happens to hold
    y = aligned((sum(sizes), w_hh.shape[1]), dtype)
    steps, cells = steps_of(y, sizes, reverse), []
    h, products, projection, pair = None, None, None, aligned((2, most, size), dtype)
    if count == 1:
        write_step([(rows_of(x), w_ih), (h0, w_hh)], [b_ih, b_hh], _ORDER, _HALVED, kept[0, 1:])
    else:
        bias = added(b_ih, b_hh)
        write_inputs(rows_of(x, bias is not None), by_gate(w_ih, _ORDER, _HALVED, most, bias), sizes, reverse, kept[:-1, 1:])
        h = None if h0 is None else h0[: sizes[0]]
        products = Products(by_gate(w_hh, _ORDER, _HALVED, most), aligned((4, most, size), dtype))
    if w_hr is not None:
        projection = Products(by_gate(w_hr, (0,), (1,), most), np.empty((1, most, len(w_hr)), dtype))
    half = np.array(0.5, dtype)
    for k, n in enumerate(sizes):
        now, q, c, h_now = kept[k], pair, kept[k + 1, 0], steps[k]
        if n < most:
            now, q, c = now[:, :n], q[:, :n], c[:n]
        gates, sigmoids = now[1:], now[2:]
        if h is not None:
            np.add(gates, products(h), out=gates)
        np.tanh(gates, out=gates)
        np.multiply(sigmoids, half, out=sigmoids)
        np.add(sigmoids, half, out=sigmoids)
        np.multiply(now[2:4], now[:2], out=q)
        q, t = q
        cells.append(np.add(q, t, out=c))
        np.tanh(c, out=t)
        h = h_now
        if projection is None:
            np.multiply(now[4], t, out=h)
        else:
            h[...] = projection(np.multiply(now[4], t, out=t))[0]
        if k < count - 1 and sizes[k + 1] != n:
            h = following(np, h, h0, sizes[k + 1])
            if sizes[k + 1] > n:
                kept[k + 1, 0, n : sizes[k + 1]] = 0 if c0 is None else c0[n : sizes[k + 1]]
    return y.reshape((*x.shape[:-1], y.shape[1])), ends(np, steps, sizes), ends(np, cells, sizes), kept


@in_full_precision
def lstm_layer_backward(
    y: Any, kept: Any, x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, h0: Any, c0: Any, w_hr: Any, gy: Any, gh: Any,
    gc: Any, *, sizes: Any = None, reverse: bool = False, dx: bool = True,
) -> Any:  # fmt: skip
    """The gradients of the inputs of `lstm_layer`, from those of y, h_n and c_n, None for one that is zero."""
    sizes, rows, dtype = sizes_of(x, sizes, reverse), rows_of(x), x.dtype
    most, size = max(sizes), len(w_ih) // 4
    d = aligned((len(rows), 4 * size), dtype)
    steps = steps_of(d, sizes, reverse)
    parts = _blocks(steps, 4)
    gys = None if gy is None else steps_of(gy, sizes, reverse)
    count, block = len(sizes), min(len(sizes), _FEW // (4 * most * size) + 1)
    dh_all, dc_all = _start(gh, most, w_hh.shape[1], dtype), _start(gc, most, size, dtype)
    products = None
    if count > 1:
        weights = backwards(w_hh, 4, most)
        products = Products(weights, dh_all[None] if len(weights) == 1 else np.empty((4, *dh_all.shape), dtype))
    room = aligned((8, block, most, size), dtype)
    slopes, room, ts = room[:5].reshape(block, 5, most, size), room[5:7].reshape(block, 2, most, size), room[7]
    if w_hr is not None:
        dys, hidden = np.empty_like(y).reshape(len(rows), len(w_hr)), np.empty((len(rows), size), dtype)
        dy_steps, hidden_steps = steps_of(dys, sizes, reverse), steps_of(hidden, sizes, reverse)
    start = count
    for k in range(count - 1, -1, -1):
        if k < start:
            start, end = max(0, k + 1 - block), k + 1
            _lstm_slopes(kept[start : end + 1], slopes[: end - start], ts[: end - start], room[: end - start])
        n, slope, dh, dc = sizes[k], slopes[k - start], dh_all, dc_all
        if n < most:
            slope, dh, dc = slope[:, :n], dh[:n], dc[:n]
        if gys is not None:
            np.add(dh, gys[k], out=dh)
        dr = dh
        if w_hr is not None:
            dy_steps[k][...] = dh
            np.multiply(kept[k, 4, :n], ts[k - start, :n], out=hidden_steps[k])
            dr = dh.dot(w_hr)
        np.multiply(slope[3:], dr, out=slope[3:])
        np.add(dc, slope[4], out=dc)
        np.multiply(slope[:3], dc, out=slope[:3])
        parts[k][...] = slope[:4]
        if k or c0 is not None:
            np.multiply(dc, kept[k, 2, :n], out=dc)
        if count == 1:
            dh_all = None if h0 is None else d.dot(w_hh)
        elif k or h0 is not None:
            products.sum(steps[k], dh)
    total = None if b_ih is None and b_hh is None else _sum(d)
    return (
        d.dot(w_ih).reshape(x.shape) if dx else None,
        np.matmul(d.T, rows),
        _state_gradient(d, y, h0, sizes, reverse),
        None if b_ih is None else total,
        None if b_hh is None else total.copy(),
        None if h0 is None else dh_all,
        None if c0 is None else dc_all,
        None if w_hr is None else np.matmul(dys.T, hidden),
    )


# -- GRU ---------------------------------------------------------------------------------------------------------------------


@in_full_precision
def gru_layer(x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, h0: Any, *, sizes: Any = None, reverse: bool = False) -> Any:
    """y, h_n and what is kept of h = n + z (h - n), with r, z the sigmoids of their parts of w_ih x + b_ih + q,
    q = w_hh h + b_hh, and n the tanh of its part of w_ih x + b_ih + r q. Kept are r, z, n and n's part of q: (T, 4, B, H)."""
    sizes, dtype = sizes_of(x, sizes, reverse), x.dtype
    count, most, size = len(sizes), max(sizes), len(w_ih) // 3
    order, halved = (0, 1, 2), (0.5, 0.5, 1)
    kept = (np.empty if sizes[0] == sizes[-1] else np.zeros)((count, 4, most, size), dtype)
    y, p = np.empty((sum(sizes), size), dtype), aligned((3, most, size), dtype)
    steps, bias = steps_of(y, sizes, reverse), None
    if count == 1:
        write_step([(rows_of(x), w_ih)], [b_ih], order, halved, kept[0, :3])
        write_step([(h0, w_hh)], [b_hh], order, halved, p)
    else:
        write_inputs(rows_of(x, b_ih is not None), by_gate(w_ih, order, halved, most, b_ih), sizes, reverse, kept[:, :3])
        products, bias = Products(by_gate(w_hh, order, halved, most), p), bias_by_gate(b_hh, most, order, halved)
    half = np.array(0.5, dtype)
    h = np.zeros((sizes[0], size), dtype) if h0 is None else h0[: sizes[0]]
    for k, n in enumerate(sizes):
        now = kept[k] if n == most else kept[k, :, :n]
        if count > 1:
            p = products(h)
        if bias is not None:
            np.add(p, bias[:, :n], out=p)
        sigmoids, r, z, new, q = now[:2], now[0], now[1], now[2], now[3]
        np.add(sigmoids, p[:2], out=sigmoids)
        np.tanh(sigmoids, out=sigmoids)
        np.multiply(sigmoids, half, out=sigmoids)
        np.add(sigmoids, half, out=sigmoids)
        q[...] = p[2]
        np.add(new, np.multiply(r, q, out=p[0]), out=new)
        np.tanh(new, out=new)
        out = steps[k]
        np.subtract(h, new, out=out)
        np.multiply(out, z, out=out)
        h = np.add(out, new, out=out)
        if k < count - 1 and sizes[k + 1] != n:
            h = following(np, h, h0, sizes[k + 1])
    return y.reshape((*x.shape[:-1], size)), ends(np, steps, sizes), kept


@in_full_precision
def gru_layer_backward(
    y: Any, kept: Any, x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, h0: Any, gy: Any, gh: Any, *, sizes: Any = None,
    reverse: bool = False, dx: bool = True,
) -> Any:  # fmt: skip
    """The gradients of the inputs of `gru_layer`, from those of y and h_n, None for one that is zero."""
    sizes, rows, dtype = sizes_of(x, sizes, reverse), rows_of(x), x.dtype
    most, size = max(sizes), len(w_ih) // 3
    d = aligned((len(rows), 4 * size), dtype)  # of n, r, z as the input has a part in them, and of q
    steps = steps_of(d, sizes, reverse)
    parts = _blocks(steps, 4)
    befores = before(np, steps_of(y, sizes, reverse), h0, sizes)
    gys = None if gy is None else steps_of(gy, sizes, reverse)
    dh_all, one = _start(gh, most, size, dtype), np.ones((), dtype)
    slope_all, t_all = np.empty((2, most, size), dtype), np.empty((most, size), dtype)
    products = None
    if len(sizes) > 1:
        weights = backwards(w_hh, 3, most)
        products = Products(weights, np.empty((len(weights), most, size), dtype))
    for k in range(len(sizes) - 1, -1, -1):
        n = sizes[k]
        now, dh, t, slope, (dn, dr, dz, dq) = kept[k, :, :n], dh_all[:n], t_all[:n], slope_all[:, :n], parts[k]
        sigmoids, r, z, new, q = now[:2], now[0], now[1], now[2], now[3]
        if gys is not None:
            np.add(dh, gys[k], out=dh)
        np.multiply(sigmoids, sigmoids, out=slope)
        np.subtract(sigmoids, slope, out=slope)
        if befores[k] is None:
            np.negative(new, out=t)
        else:
            np.subtract(befores[k], new, out=t)
        np.multiply(t, slope[1], out=t)
        np.multiply(t, dh, out=dz)
        np.multiply(new, new, out=t)
        np.subtract(one, t, out=t)
        np.multiply(t, dh, out=t)
        np.multiply(dh, z, out=dh)
        np.subtract(t, np.multiply(t, z, out=slope[1]), out=t)
        dn[...] = t
        np.multiply(t, r, out=dq)
        np.multiply(t, q, out=t)
        np.multiply(t, slope[0], out=dr)
        if products is None:
            np.add(dh, np.matmul(d[:, size:], w_hh), out=dh)
        elif k or h0 is not None:
            np.add(dh, products.sum(steps[k][:, size:], t), out=dh)
    of_input, total, back = d[:, : 3 * size], _sum(d), (1, 2, 0)
    return (
        np.matmul(of_input, arranged(w_ih, (2, 0, 1))).reshape(x.shape) if dx else None,
        arranged(np.matmul(of_input.T, rows), back),
        _state_gradient(d[:, size:], y, h0, sizes, reverse),
        None if b_ih is None else arranged(total[: 3 * size], back),
        None if b_hh is None else total[size:].copy(),
        None if h0 is None else dh_all,
    )
