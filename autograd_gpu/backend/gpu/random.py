"""Words that draw random numbers: the same stream as on the CPU, see the NOTE in `backend.random`.

The kernel `random_words` makes the words of the stream, each from its position alone; an elementwise kernel makes of them
what is asked for."""

from __future__ import annotations

import math
from typing import Any

import cupy
import numpy as np

from ..kernels import kernel
from ..promotion import bfloat16, float16, float32, float64
from .build import elementwise

_MASK = (1 << 64) - 1
_BITS = {float16: 11, bfloat16: 8, float32: 24, float64: 53}


def _words(seed: int, first: int, n: int) -> Any:
    """Words first to first + n of the stream, uint64."""
    out = cupy.empty(n, np.uint64)
    if n:
        blocks = min((n // 4 + 256) // 256, 1 << 16)
        key = (np.uint64(seed & _MASK), np.uint64(0))
        kernel("random.cu", "random_words")((blocks,), (256,), out, np.int64(n), *key, np.uint64(first & _MASK))
    return out


def _halves(seed: int, first: int, n: int) -> Any:
    """Halves first to first + n of the stream, uint32."""
    start = first // 2
    whole = _words(seed, start, (first + n + 1) // 2 - start)
    return whole.view(np.uint32)[first - 2 * start :][:n]


def _raw(seed: int, offset: int, n: int, dtype: Any) -> Any:
    return _words(seed, offset // 2, n) if dtype == float64 else _halves(seed, offset, n)


_uniform = elementwise(
    "uniform", "U h, int32 shift, float64 add, float64 scale", "T out", "out = T((A(h >> shift) + A(add)) * A(scale));"
)


def random_uniform(seed: int, offset: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """Numbers in [0, 1). Rule 4 of the NOTE."""
    raw, bits, out = _raw(seed, offset, math.prod(shape), dtype), _BITS[dtype], cupy.empty(shape, dtype)
    return _uniform(raw.reshape(shape), raw.dtype.itemsize * 8 - bits, 0.0, 2.0**-bits, out)


def random_open_uniform(seed: int, offset: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """Numbers in (0, 1), float64 for float64 and float32 for the others. Rule 5 of the NOTE."""
    wide, bits = (float64, 52) if dtype == float64 else (float32, 23)
    raw, out = _raw(seed, offset, math.prod(shape), dtype), cupy.empty(shape, wide)
    return _uniform(raw.reshape(shape), raw.dtype.itemsize * 8 - bits, 0.5, 2.0**-bits, out)


_normal = elementwise(
    "normal", "raw U h, int64 skip", "T out",
    "const long long at = i + skip, first = at & ~1LL;\n"
    "if (sizeof(T) == 8) {\n"
    "  const double x = ((double)((unsigned long long)h[first] >> 12) + 0.5) * 0x1p-52;\n"
    "  const double angle = (double)((unsigned long long)h[first + 1] >> 11) * (2 * 3.14159265358979323846 * 0x1p-53);\n"
    "  out = T(sqrt(-2 * log(x)) * (at & 1 ? sin(angle) : cos(angle)));\n"
    "} else {\n"  # a whole number of quarter turns, and from there less than half of one more or less
    "  const double x = ((double)h[first] + 0.5) * 0x1p-32;\n"
    "  const unsigned int y = h[first + 1], quarter = ((y + (1u << 29)) >> 30) + (at & 1 ? 3 : 0);\n"
    "  const double rest = (double)(int)(y << 2) * 0x1p-33, v = quarter & 1 ? sinpi(rest) : cospi(rest);\n"
    "  out = T((float)(sqrt(-2 * log(x)) * ((quarter + 1) & 2 ? -v : v)));\n"
    "}",
)  # fmt: skip


def random_normal(seed: int, offset: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """Numbers of mean 0 and standard deviation 1. Rule 6 of the NOTE."""
    n = math.prod(shape)
    first = offset // 2 if dtype == float64 else offset
    start = first & ~1
    pairs = (first + n + 1) // 2 - start // 2
    raw = (_words if dtype == float64 else _halves)(seed, start, 2 * pairs)
    return _normal(raw, first - start, cupy.empty(shape, dtype)) if n else cupy.empty(shape, dtype)


_high_word = elementwise("high_word", "T word, uint64 n", "T out", "out = __umul64hi(word, n);")


def random_integers(seed: int, offset: int, shape: tuple[int, ...], n: int) -> Any:
    """Integers in [0, n), uint64, for n up to 2^64. Rule 7 of the NOTE."""
    raw = _words(seed, offset // 2, math.prod(shape)).reshape(shape)
    return raw if n > _MASK else _high_word(raw, np.uint64(n))


def random_permutation(seed: int, offset: int, n: int) -> Any:
    """The integers below n in a random order, int64. Rule 8 of the NOTE."""
    return _words(seed, offset // 2, n).argsort()
