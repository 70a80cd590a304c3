"""channels.cu: batch_norm's statistics, forward, sums of gradients and backward, for each way that channels may lie."""

from __future__ import annotations

import numpy as np

from ..array import to_device
from . import TYPES, Get, case, computed, equal, normal, out, wide

KERNELS = (
    "chunk_statistics",
    "channel_statistics",
    "channel_forward",
    "chunk_gradients",
    "channel_gradients",
    "channel_backward",
)

# images, channels, inner, elements of a chunk, lanes, how far from aligned
SHAPES = [
    (3, 5, 48, 64, 1, 0),  # in packs, chunks that begin and end inside of an image
    (2, 3, 1032, 1100, 1, 0),  # chunks that begin and end within a pack
    (2, 3, 1032, 1030, 1, 0),
    (7, 3, 37, 300, 1, 0),
    (8, 3, 37, 148, 1, 0),
    (3, 2, 48, 64, 1, 1),
    (70, 41, 1, 16, 32, 0),
    (9, 37, 3, 10, 32, 0),
    (20, 3, 4, 80, 4, 0),
]


@case("channels.cu", *(f"{k}<T>" for k in KERNELS))
def channels(get: Get, t: str) -> None:
    for shape in SHAPES:
        _channels(get, t, *shape)


def _channels(get: Get, t: str, images: int, count: int, inner: int, chunk: int, lanes: int, shift: int) -> None:
    number, n = computed(t), images * inner
    eps, tight = number.type(1e-5), "double" if t == "double" else "float"
    x, g = (normal((images, count, inner), t, seed) + TYPES[t].type(offset) for seed, offset in ((1, 3), (2, 0)))
    weight, bias, to_mean, to_var = (normal(count, tight, seed) for seed in (3, 4, 5, 6))
    wx, wg = wide(x), wide(g)
    mean, var = wx.mean((0, 2)), wx.var((0, 2))
    r = 1 / np.sqrt(var + float(eps))
    d = wx - mean[:, None]
    plain, along = wg.sum((0, 2)), (wg * d).sum((0, 2))

    def placed(a: np.ndarray):
        return to_device(np.concatenate([a.reshape(-1)[:shift], a.reshape(-1)])).part(shift)

    def fresh():
        return out(x.size, TYPES[t])

    source, grad = placed(x), placed(g)
    chunks = -(-n // chunk)
    sizes = (np.int64(n), np.int64(count), np.int32(inner), np.int64(chunk), np.int32(lanes))
    all_sizes = (np.int64(x.size), np.int64(count), np.int64(inner))
    for w, b, blocks, merged in ((None, None, 1, 32), (weight, bias, 3, 1), (weight, None, 2, 4)):
        w_device, b_device = (None if a is None else to_device(a) for a in (w, b))
        parts = [out((chunks, count), number) for _ in range(2)]
        m, v, scale = (out(count, number) for _ in range(3))
        get(f"chunk_statistics<{t}>")((blocks,), (256,), (source, *parts, *sizes))
        tail = (np.int64(n), np.int64(count), np.int64(chunk), eps, np.int32(merged))
        get(f"channel_statistics<{t}>")((blocks,), (256,), (*parts, w_device, m, v, scale, *tail))
        by = r if w is None else r * wide(w)
        for found, wanted in ((m, mean), (v, var), (scale, by)):
            equal(found.host, wanted, tight, number)
        y = fresh()
        get(f"channel_forward<{t}>")((blocks,), (64,), (source, m, scale, b_device, y, *all_sizes))
        forward = d * by[:, None] + (0 if b is None else wide(b)[:, None])
        equal(y.host.reshape(x.shape), forward, t)

        get(f"chunk_gradients<{t}>")((blocks,), (256,), (grad, source, m, *parts, *sizes))
        numbers, dx = out((5, count), number), fresh()
        from_elsewhere = (to_device(to_mean), to_device(to_var))
        get(f"channel_gradients<{t}>")((blocks,), (256,), (*parts, v, w_device, *from_elsewhere, numbers, *tail))
        slope, rest = (wide(to_var) - along * by * r * r / 2) * 2 / n, (wide(to_mean) - plain * by) / n
        for found, wanted in zip(numbers.host, (along * r, plain, by, slope, rest), strict=True):
            equal(found / n**0.5, wanted / n**0.5, tight, number)
        get(f"channel_backward<{t}>")((blocks,), (64,), (grad, source, m, numbers, dx, *all_sizes))
        equal(dx.host.reshape(x.shape), wg * by[:, None] + d * slope[:, None] + rest[:, None], t)
    y = fresh()
    get(f"channel_forward<{t}>")((2,), (64,), (source, None, to_device(weight), to_device(bias), y, *all_sizes))
    equal(y.host.reshape(x.shape), wx * wide(weight)[:, None] + wide(bias)[:, None], t)
