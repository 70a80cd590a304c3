"""Products of recurrent layers on the CPU: made in pieces, they are what the whole product is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autograd_gpu.backend.cpu import gates

ORDER, SCALE = (2, 0, 1), (1, 0.5, 2)
# rows, width and columns: whole, columns cut, rows cut evenly and unevenly, rows beside a piece, too large for small products
SIZES = [(3, 5, 4), (32, 40, 128), (32, 300, 128), (31, 600, 64), (9, 1800, 64), (16, 1990, 64), (40, 300, 100), (34, 500, 60)]


def numbers(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape)


def in_order(w: Any) -> Any:
    """The gates of a weight or bias as `by_gate` gives them, not turned."""
    parts = w.reshape(3, -1, *w.shape[1:])
    return np.stack([parts[j] * scale for j, scale in zip(ORDER, SCALE, strict=True)])


def multiplications(products: gates.Products, n: int) -> list[int]:
    """Multiplications in each of the pieces that products of n rows are made in."""
    _, cut, weights, pieces = products.plans[n]
    if pieces is None:
        return [size for start, end, p in cut for size in multiplications(p, end - start)]
    return [pieces.shape[-2] * weights.shape[-2] * weights.shape[-1]]


@pytest.mark.parametrize("n, width, size", SIZES)
@pytest.mark.parametrize("with_bias", [False, True])
def test_products_with_gates(n: int, width: int, size: int, with_bias: bool) -> None:
    w, b, x = numbers(3 * size, width), numbers(3 * size), numbers(n, width)
    expected = np.einsum("ni,ghi->gnh", x, in_order(w)) + (in_order(b)[:, None] if with_bias else 0)
    rows = gates.rows_of(x, ones=with_bias)
    out = np.full((3, n + 2, size), 7.0)
    products = gates.Products(gates.by_gate(w, ORDER, SCALE, n, b if with_bias else None), out)
    for _ in range(2):  # as planned at first, too
        given = products(rows)
        np.testing.assert_allclose(given, expected, rtol=1e-10, atol=1e-10)
    assert np.shares_memory(given, out) and (out[:, n:] == 7).all()
    few = products(rows[:2])
    np.testing.assert_allclose(few, expected[:, :2], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "n, width, size", [(32, 128, 128), (31, 256, 256), (31, 512, 512), (128, 128, 128), (24, 100, 400), (31, 400, 100)]
)
def test_pieces_are_small(n: int, width: int, size: int) -> None:
    products = gates.Products(gates.by_gate(np.ones((3 * size, width)), ORDER, SCALE, n), np.empty((3, n, size)))
    products(np.ones((n, width)))
    assert max(multiplications(products, n)) < 1_000_000


@pytest.mark.parametrize(
    "n, size, back", [(3, 4, 5), (32, 128, 128), (31, 128, 128), (20, 700, 64), (21, 1000, 128), (31, 100, 100)]
)
def test_sums_over_gates(n: int, size: int, back: int) -> None:
    w, d = numbers(3 * size, back), numbers(n + 1, 3 * size + 2)[:n, 1:-1]
    weights = gates.backwards(w, 3, n)
    assert len(weights) == (3 if size >= 700 or back == 100 else 1)
    out = np.empty((n, back))
    given = gates.Products(weights, np.empty((len(weights), n, back))).sum(d, out)
    np.testing.assert_allclose(given, d @ w, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n, width, size", SIZES)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("even", [False, True])
def test_inputs_of_all_steps(n: int, width: int, size: int, reverse: bool, even: bool) -> None:
    in_time = (n, n, n if even else n - 1)
    sizes = in_time[::-1] if reverse else in_time
    w, x = numbers(3 * size, width), numbers(sum(sizes), width)
    out = np.zeros((4, 5, n, size))
    gates.write_inputs(x, gates.by_gate(w, ORDER, SCALE, n), sizes, reverse, out[:-1, 1:4])
    steps = np.split(x, np.cumsum(in_time)[:-1])
    for k, rows in enumerate(steps[::-1] if reverse else steps):
        expected = np.einsum("ni,ghi->gnh", rows, in_order(w))
        np.testing.assert_allclose(out[k, 1:4, : len(rows)], expected, rtol=1e-10, atol=1e-10)
    assert not out[:, 0].any() and not out[-1].any()


def test_large_buffers_begin_at_multiples_of_64_bytes() -> None:
    for shape in ((3, 4), (5, 7, 300), (1024,)):
        a = gates.aligned(shape, np.dtype("float32"))
        assert a.shape == shape and a.dtype == np.float32 and a.flags.c_contiguous
        assert a.nbytes < 4096 or a.ctypes.data % 64 == 0
