"""softmax.cu: rows read by a warp and by a block, with infinities, NaN, and logits of 1e4."""

from __future__ import annotations

import numpy as np

from ..array import to_device
from . import TYPES, Get, case, computed, equal, normal, out, wide

# columns, distance of rows, threads for a row, threads of a block
ROW_SHAPES = [(5, 5, 32, 64), (301, 310, 32, 96), (301, 304, 96, 96), (70, 70, 256, 256)]
ROW_SHAPES += [(64, 66, 32, 64), (66, 72, 32, 64), (320, 320, 64, 64)]  # read aligned or written so, or both
ROWS = 11


def _log_softmax(x: np.ndarray) -> np.ndarray:
    top = x.max(-1, keepdims=True)
    return x - top - np.log(np.exp(x - top).sum(-1, keepdims=True))


def _logits(columns: int, stride: int, t: str) -> np.ndarray:
    x = normal((ROWS, stride), t, 4, 3)
    x[1, :2] = 1e4, -1e4
    x[2, 1:3] = -np.inf
    x[3, :columns] = -np.inf
    x[4, 1] = np.inf
    x[5, 2] = np.nan
    x[6, :columns] = 6e4
    x[7, :columns] = -np.inf
    x[7, columns // 2] = np.nan
    return x


def _softmax_forward(get: Get, t: str, log: bool) -> None:
    for columns, stride, threads, block in ROW_SHAPES:
        x = _logits(columns, stride, t)
        y = out((ROWS, columns), TYPES[t])
        arguments = (to_device(x), y, np.int64(ROWS), np.int32(columns), np.int64(stride), np.int32(threads))
        get(f"softmax_forward<{t}, {str(log).lower()}>")((3,), (block,), arguments)
        with np.errstate(all="ignore"):
            expected = _log_softmax(wide(x[:, :columns]))
            equal(y.host, expected if log else np.exp(expected), t)


@case("softmax.cu", "softmax_forward<T, false>")
def softmax_forward(get: Get, t: str) -> None:
    _softmax_forward(get, t, False)


@case("softmax.cu", "softmax_forward<T, true>")
def log_softmax_forward(get: Get, t: str) -> None:
    _softmax_forward(get, t, True)


def _softmax_backward(get: Get, t: str, log: bool) -> None:
    for columns, stride, threads, block in ROW_SHAPES:
        y = _log_softmax(wide(normal((ROWS, columns), t, 5, 3)))
        y = (y if log else np.exp(y)).astype(TYPES[t])
        g, dx = normal((ROWS, stride), t, 6), out((ROWS, columns), TYPES[t])
        arguments = (to_device(g), to_device(y), dx, np.int64(ROWS), np.int32(columns), np.int64(stride), np.int32(threads))
        get(f"softmax_backward<{t}, {str(log).lower()}>")((3,), (block,), arguments)
        grad, o = wide(g[:, :columns]), wide(y)
        if log:
            expected = grad - np.exp(o) * grad.sum(-1, keepdims=True)
        else:
            expected = o * (grad - (grad * o).sum(-1, keepdims=True))
        equal(dx.host, expected, t)


@case("softmax.cu", "softmax_backward<T, false>")
def softmax_backward(get: Get, t: str) -> None:
    _softmax_backward(get, t, False)


@case("softmax.cu", "softmax_backward<T, true>")
def log_softmax_backward(get: Get, t: str) -> None:
    _softmax_backward(get, t, True)


@case("softmax.cu", "cross_entropy_forward<T>", "cross_entropy_backward<T>")
def cross_entropy(get: Get, t: str) -> None:
    ignored = -100
    number = computed(t)
    for columns, stride, threads, block in ROW_SHAPES:
        x = normal((ROWS, stride), t, 7, 3)
        x[1, :2] = 1e4, -1e4
        target = np.random.default_rng(8).integers(0, columns, ROWS)
        target[[0, 4, 5]] = columns - 1, ignored, columns
        loss, norm, dx = out(ROWS, number), out(ROWS, number), out((ROWS, columns), TYPES[t])
        logits, targets = to_device(x), to_device(target)
        arguments = (
            logits,
            targets,
            loss,
            norm,
            np.int64(ROWS),
            np.int32(columns),
            np.int64(stride),
            np.int64(ignored),
            np.int32(threads),
        )
        get(f"cross_entropy_forward<{t}>")((3,), (block,), arguments)
        narrow = wide(x[:, :columns])
        logs = _log_softmax(narrow)
        used, wrong = target != ignored, target >= columns
        onehot = (np.arange(columns) == target[:, None]).astype(np.float64)
        tight = "double" if t == "double" else "float"
        expected = np.where(used, np.where(wrong, np.nan, -np.where(onehot, logs, 0).sum(-1)), 0)
        equal(loss.host, expected, tight, number)
        equal(norm.host, (narrow - logs)[:, 0], tight, number)
        for scale_stride in (0, 1):
            scale = np.linspace(0.5, 2, ROWS).astype(number)
            tail = (np.int32(scale_stride), np.int64(ignored), np.int32(threads))
            arguments = (logits, targets, norm, to_device(scale), dx, np.int64(ROWS), np.int32(columns), np.int64(stride), *tail)
            get(f"cross_entropy_backward<{t}>")((3,), (block,), arguments)
            by = np.where(used, scale if scale_stride else scale[0], 0)[:, None]
            expected = (np.exp(logs) - onehot) * by
            equal(dx.host[2:], expected[2:], t)
            equal(dx.host, expected, t if t != "float" else "half_t")  # the logsumexp of 1e4 has few digits after the point
            arguments = (*arguments[:2], None, *arguments[3:])  # made again
            get(f"cross_entropy_backward<{t}>")((3,), (block,), arguments)
            equal(dx.host, expected, t)


@case("softmax.cu", "cross_entropy_total<T>", "cross_entropy_share<T>")
def cross_entropy_of_all(get: Get, t: str) -> None:
    ignored, n = -100, 301
    loss = np.abs(normal(n, t, 14)).astype(computed(t))
    target = np.random.default_rng(15).integers(0, 5, n)
    target[::3] = ignored
    loss[::3] = 0
    count = (target != ignored).sum()
    g = normal(1, t, 16)
    for mean in (0, 1):
        total, scale = out(1, TYPES[t]), out(1, computed(t))
        tail = (np.int64(n), np.int64(ignored), np.int32(mean))
        get(f"cross_entropy_total<{t}>")((1,), (96,), (to_device(loss), to_device(target), total, *tail))
        equal(total.host, np.array([wide(loss).sum() / (count if mean else 1)]), t)
        get(f"cross_entropy_share<{t}>")((1,), (96,), (to_device(g), to_device(target), scale, *tail))
        equal(scale.host, wide(g) / (count if mean else 1), "double" if t == "double" else "float", computed(t))
