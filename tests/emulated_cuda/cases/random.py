"""random.cu: the stream is NumPy's."""

from __future__ import annotations

import numpy as np

from ..array import to_device
from . import TYPES, Get, case, computed, equal, normal, out, wide


@case("random.cu", "random_words", types=("double",))
def random_words(get: Get, t: str) -> None:
    key = np.array([0x123456789ABCDEF, 2**64 - 5], np.uint64)
    for offset, n in ((0, 1003), (6, 997), (3, 2), (4 * 10**9 + 1, 301)):
        words = out(n, np.dtype("u8"))
        get("random_words")((2,), (64,), (words, np.int64(n), *key, np.uint64(offset)))
        stream = np.random.Philox(key=key)
        stream.advance(offset // 4)
        np.testing.assert_array_equal(words.host, stream.random_raw(offset % 4 + n)[offset % 4 :])


@case("random.cu", "dropout<T>")
def dropout(get: Get, t: str) -> None:
    key = np.array([7, 2**63 + 1], np.uint64)
    threshold = int(0.3 * 2**32)
    scale = computed(t).type(1 / 0.7)
    for first, n, shift in ((0, 1007, 0), (16, 640, 1), (8, 333, 0), (13, 997, 0), (5, 2, 0)):
        x = normal(n + shift, t, 17)
        y = out(n + shift, TYPES[t])
        arguments = (to_device(x).part(shift), y.part(shift), np.int64(n), *key, np.uint64(first), np.uint32(threshold), scale)
        get(f"dropout<{t}>")((3,), (64,), arguments)
        quarters = np.random.Philox(key=key).random_raw((first + n) // 4 + 1).view(np.uint16).astype(np.uint32)
        numbers = (quarters << 16 | quarters.reshape(-1, 2)[:, ::-1].reshape(-1))[first : first + n]
        equal(y.host[shift:], np.where(numbers >= threshold, wide(x[shift:]) * float(scale), 0), t)
