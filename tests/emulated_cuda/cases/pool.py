"""pool.cu: windows that overlap, leave gaps, reach into the padding, and are dilated."""

from __future__ import annotations

import numpy as np

from ..array import to_device
from . import TYPES, Get, case, equal, normal, out

WINDOW = np.dtype([(n, "i4") for n in ("height width out_height out_width kh kw sh sw ph pw dh dw").split()])
PLANES, HEIGHT, WIDTH = 3, 11, 9
# kernel, stride, padding, dilation, each of height and width
WINDOWS = [(3, 2, 2, 1, 1, 0, 1, 2), (2, 2, 3, 2, 0, 0, 1, 1), (5, 3, 1, 2, 2, 1, 1, 1)]


def _windows(window: tuple[int, ...]) -> tuple[np.void, list[list[tuple[int, list[tuple[int, int, int]]]]]]:
    """The structure, and the elements (number in the window, row, column) of each window that lie in the image."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    oh, ow = (HEIGHT + 2 * ph - (kh - 1) * dh - 1) // sh + 1, (WIDTH + 2 * pw - (kw - 1) * dw - 1) // sw + 1
    places = [[[] for _ in range(ow)] for _ in range(oh)]
    for i, j in np.ndindex(oh, ow):
        for a, b in np.ndindex(kh, kw):
            h, w = i * sh - ph + a * dh, j * sw - pw + b * dw
            if 0 <= h < HEIGHT and 0 <= w < WIDTH:
                places[i][j].append((a * kw + b, h, w))
    return np.array((HEIGHT, WIDTH, oh, ow, *window), WINDOW)[()], places


@case("pool.cu", *(f"max_pool_{way}<T, {kind}>" for way in ("forward", "backward") for kind in ("byte_t", "int")))
def max_pool(get: Get, t: str) -> None:
    for window in WINDOWS:
        w, places = _windows(window)
        x = np.round(normal((PLANES, HEIGHT, WIDTH), t, 1, 3))  # with ties
        x[0, 2, 3], x[1, 4, 4], x[2, :3] = np.nan, np.inf, -np.inf
        shape = (PLANES, len(places), len(places[0]))
        g = normal(shape, t, 2)
        expected, which, dx = np.empty(shape), np.empty(shape, int), np.zeros(x.shape)
        for p, i, j in np.ndindex(*shape):
            values = np.array([x[p, h, v] for _, h, v in places[i][j]], np.float64)
            best = int(np.argmax(values))  # NaN wins, and the first of equals
            expected[p, i, j], (which[p, i, j], h, v) = values[best], places[i][j][best]
            dx[p, h, v] += float(g[p, i, j])
        for kind, dtype in (("byte_t", np.uint8), ("int", np.int32)):
            y, kept, gradient = out(shape, TYPES[t]), out(shape, dtype), out(x.shape, TYPES[t])
            get(f"max_pool_forward<{t}, {kind}>")((2,), (64,), (to_device(x), y, kept, np.int64(PLANES), w))
            equal(y.host, expected, t)
            np.testing.assert_array_equal(kept.host, which)
            get(f"max_pool_backward<{t}, {kind}>")((2,), (64,), (to_device(g), kept, gradient, np.int64(PLANES), w))
            equal(gradient.host, dx, t)
        get(f"max_pool_forward<{t}, int>")((2,), (64,), (to_device(x), y, None, np.int64(PLANES), w))


@case("pool.cu", "average_pool_forward<T>", "average_pool_backward<T>")
def average_pool(get: Get, t: str) -> None:
    for window in WINDOWS:
        window = (*window[:6], 1, 1)
        w, places = _windows(window)
        x = normal((PLANES, HEIGHT, WIDTH), t, 3)
        shape = (PLANES, len(places), len(places[0]))
        g = normal(shape, t, 4)
        for counts_padding, divisor in ((0, 0), (1, 0), (0, 5)):
            expected, dx = np.zeros(shape), np.zeros(x.shape)
            for p, i, j in np.ndindex(*shape):
                size = divisor or (window[0] * window[1] if counts_padding else len(places[i][j]))
                for _, h, v in places[i][j]:
                    expected[p, i, j] += float(x[p, h, v]) / size
                    dx[p, h, v] += float(g[p, i, j]) / size
            y, gradient = out(shape, TYPES[t]), out(x.shape, TYPES[t])
            tail = (np.int64(PLANES), w, np.int32(counts_padding), np.int32(divisor))
            get(f"average_pool_forward<{t}>")((2,), (64,), (to_device(x), y, *tail))
            equal(y.host, expected, t)
            get(f"average_pool_backward<{t}>")((2,), (64,), (to_device(g), gradient, *tail))
            equal(gradient.host, dx, t)
