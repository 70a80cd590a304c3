"""Random numbers as pure functions of (seed, offset): the same stream on every device.

NOTE [The stream of random numbers]
    Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) maps a counter of 256 bits and a key
    of 128 to four words of 64 bits. With the key (seed, 0), block b of the stream is what it makes of the counter b + 1: this
    is NumPy's Philox(key=seed), which counts before it computes.

    1. Positions count halves: half h is half h % 2 (0: low bits) of word h // 2, which is word (h // 2) % 4 of block h // 8.
       A generator is (seed, offset), offset being the first half that is not used yet. All is computed from a position by
       itself: a thread of a kernel makes element i of a draw from position first + i and knows no other thread.
    2. float16, bfloat16 and float32 take a half for each element. float64 and integers take a word: a draw of them starts at
       an even position, so a half may be skipped.
    3. Thus a draw of n elements followed by one of m gives what a draw of n + m gives. (Words after an odd number of halves
       skip one; so do two draws of different widths, whichever comes first.)
    4. uniform    in [0, 1): the highest bits of the half or word, times 2^-bits. 24 bits for float32, 53 for float64, 11 for
                  float16, 8 for bfloat16, as many as the dtype holds exactly: 1.0 never appears.
    5. open       in (0, 1): (the highest 23 bits of a half + 1/2) 2^-23, or (the highest 52 of a word + 1/2) 2^-52.
    6. normal     Box and Muller's: positions 2p and 2p + 1 (for float64 words 2p and 2p + 1) hold x and y, and give
                  r cos a and r sin a with r = sqrt(-2 log((x + 1/2) 2^-32)), a = 2 pi y 2^-32; for float64
                  r = sqrt(-2 log(open(x))), a = 2 pi uniform(y). Computed in float64 and rounded to float32, then, for the
                  16-bit dtypes, once more. Nothing is rejected, so element i needs only its own pair, half of it if a draw
                  begins or ends inside one.
    7. integer    below n: the high word of the product word * n. Biased by less than n / 2^64, and never rejected.
    8. permutation   argsort of n words; ties, should there be any, by index.
    9. kept       what dropout keeps. Element i is decided by 32 bits: quarter i from the offset on (16 bits, the low ones of a
                  half first) and, below it, the other quarter of the same half. It is dropped if they are less than p 2^32.
                  So p is exact to 2^-32 though an element costs 16 bits; sharing a half binds two elements with a correlation
                  of 2^-16 at the most.
    Uniforms, integers, permutations and what is kept are the same bits on every device. Normals of float32 may differ by one
    in the last place, those of float64 by what log, sin and cos of the device do; so may what else takes logarithms.
"""

from __future__ import annotations

import threading
from functools import cache
from math import prod
from typing import Any

import numpy as np

from .promotion import bfloat16, float16, float32, float64

_MASK = (1 << 64) - 1
_BITS = {float16: 11, bfloat16: 8, float32: 24, float64: 53}


class _Kept(threading.local):
    """This thread's bit generator and the word of the stream it stands at: draws mostly continue where the last one ended,
    and a new bit generator costs 6 us."""

    seed: int | None = None
    word: int = 0
    source: Any = None


_kept = _Kept()


def words(seed: int, first: int, n: int) -> np.ndarray:
    """Words first to first + n of the stream, uint64."""
    if _kept.seed != seed or _kept.word != first:
        block, skip = divmod(first, 4)
        counter = np.array([block & _MASK, block >> 64, 0, 0], np.uint64)
        _kept.source = np.random.Philox(counter=counter, key=np.array([seed & _MASK, 0], np.uint64))
        _kept.seed = seed
        if skip:
            _kept.source.random_raw(skip)
    _kept.word = first + n
    return _kept.source.random_raw(n)


def halves(seed: int, first: int, n: int) -> np.ndarray:
    """Halves first to first + n of the stream, uint32."""
    start = first // 2
    whole = words(seed, start, (first + n + 1) // 2 - start)
    return whole.astype("<u8", copy=False).view("<u4")[first - 2 * start :][:n]


def positions(n: int, dtype: Any) -> int:
    """How many halves a draw of n elements uses, from an offset that is even where it must be."""
    return n if dtype.itemsize < 8 and dtype in _BITS else 2 * n


def _raw(seed: int, offset: int, n: int, dtype: Any) -> np.ndarray:
    return words(seed, offset // 2, n) if dtype == float64 else halves(seed, offset, n)


def uniform(seed: int, offset: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Numbers in [0, 1). Rule 4 of the NOTE."""
    bits = _BITS[dtype]
    raw = _raw(seed, offset, prod(shape), dtype)
    wide = float64 if dtype == float64 else float32
    out = (raw >> raw.dtype.type(raw.dtype.itemsize * 8 - bits)).astype(wide)
    out *= wide.type(2.0**-bits)
    return out.astype(dtype, copy=False).reshape(shape)


def open_uniform(seed: int, offset: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Numbers in (0, 1), float64 for float64 and float32 for the others. Rule 5 of the NOTE."""
    wide = float64 if dtype == float64 else float32
    return _open(_raw(seed, offset, prod(shape), dtype), wide).reshape(shape)


def _open(raw: np.ndarray, wide: Any) -> np.ndarray:
    bits = 52 if wide == float64 else 23
    out = (raw >> raw.dtype.type(raw.dtype.itemsize * 8 - bits)).astype(wide)
    out += wide.type(0.5)
    out *= wide.type(2.0**-bits)
    return out


def normal(seed: int, offset: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Numbers of mean 0 and standard deviation 1. Rule 6 of the NOTE."""
    n = prod(shape)
    first = offset // 2 if dtype == float64 else offset  # of the elements' positions, in words or in halves
    start = first & ~1
    pairs = (first + n + 1) // 2 - start // 2
    if dtype == float64:
        x, y = words(seed, start, 2 * pairs).reshape(pairs, 2).T
        out, r, a = np.empty((pairs, 2)), _open(x, float64), (y >> np.uint64(11)).astype(float64)
        a *= 2 * np.pi * 2.0**-53
        np.log(r, out=r)
        r *= -2.0
        np.sqrt(r, out=r)
        np.multiply(r, np.cos(a), out=out[:, 0])
        np.multiply(r, np.sin(a), out=out[:, 1])
    else:
        x, y = halves(seed, start, 2 * pairs).reshape(pairs, 2).T
        out = np.empty(pairs, np.complex64)
        for k in range(0, pairs, _PART):
            _turned(x[k : k + _PART], y[k : k + _PART], out[k : k + _PART])
        out = out.view(float32)
    return out.reshape(-1)[first - start :][:n].astype(dtype, copy=False).reshape(shape)


_PART = 8192  # pairs at a time, whose temporaries fit in the second cache
_TURN = 1 << 14


@cache
def _turns() -> np.ndarray:
    """cos a + i sin a for so many angles around the circle."""
    out = np.exp(2j * np.pi / _TURN * np.arange(_TURN))
    out[:: _TURN // 4] = 1, 1j, -1, -1j
    return out


def _turned(x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """Pairs of normals as complex numbers r (cos a + i sin a). The angle is the nearest one of the table, and a rest d of less
    than 2e-4: of that, 1 + i d does for float32, and costs a tenth of NumPy's float64 cos and sin."""
    rest = x + 0.5
    rest *= 2.0**-32
    np.log(rest, out=rest)
    rest *= -2.0
    z = np.empty(len(x), np.complex128)
    r = z.real
    np.sqrt(rest, out=r)
    np.multiply((y << np.uint32(14)).view(np.int32), 2 * np.pi * 2.0**-46, out=rest)
    np.multiply(rest, r, out=z.imag)
    np.multiply(z, _turns().take((y + np.uint32(1 << 17)) >> np.uint32(18)), out=out, casting="same_kind")


def integers(seed: int, offset: int, shape: tuple[int, ...], n: int) -> np.ndarray:
    """Integers in [0, n), uint64, for n up to 2^64. Rule 7 of the NOTE."""
    raw = words(seed, offset // 2, prod(shape)).reshape(shape)
    return raw if n > _MASK else np.asarray(_high_word(raw, n))  # NumPy makes scalars of what has no dimensions


def _high_word(a: np.ndarray, n: int) -> np.ndarray:
    """The high 64 bits of a * n, by halves."""
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    n0, n1 = np.uint64(n & 0xFFFFFFFF), np.uint64(n >> 32)
    a0, a1 = a & low, a >> half
    middle = a1 * n0 + (a0 * n0 >> half)
    if not n >> 32:
        return middle >> half
    return a1 * n1 + (middle >> half) + (a0 * n1 + (middle & low) >> half)


def permutation(seed: int, offset: int, n: int) -> np.ndarray:
    """The integers below n in a random order, int64. Rule 8 of the NOTE."""
    return np.argsort(words(seed, offset // 2, n), kind="stable").astype(np.int64, copy=False)


def threshold(p: float) -> int:
    """What the number of an element must reach to be kept, 2^32 for none."""
    return round(min(max(p, 0.0), 1.0) * 2**32)


def kept(seed: int, offset: int, n: int, p: float, first: int = 0) -> np.ndarray:
    """Whether elements `first` to first + n of a draw are kept, where each is dropped with probability p. Rule 9 of the NOTE."""
    least = threshold(p)
    high, low = least >> 16, least & 0xFFFF
    if high > 0xFFFF:
        return np.zeros(n, np.bool_)
    start = 2 * offset + first
    word = start // 4
    quarters = words(seed, word, (start + n + 3) // 4 - word).astype("<u8", copy=False).view("<u2")
    if low:
        found = quarters > high
        ties = np.flatnonzero(quarters == high)
        found[ties] = quarters[ties ^ 1] >= low
    else:
        found = quarters >= high
    return found[start - 4 * word :][:n]
