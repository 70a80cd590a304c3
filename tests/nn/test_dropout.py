"""Dropout: how much is dropped, what is scaled, that the gradient drops the same, and where the random numbers come from."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.backend.random import kept, words
from autograd_gpu.core.tensor import Tensor

from ..ops.test_saved_bytes import saved_bytes

F = ag.nn.functional


def test_what_is_kept_is_decided_by_32_bits():
    """Against the rule as it is written down, with ends inside of words, and a tie of the high bits made likely."""
    quarters = words(5, 0, 4000).view(np.uint16).astype(np.uint64)
    numbers = quarters << np.uint64(16) | quarters.reshape(-1, 2)[:, ::-1].reshape(-1)
    tied = (int(numbers[77]) + 1) * 2.0**-32  # drops element 77 by its low bits
    for p in (0.1, 0.5, 1e-9, 1 - 1e-9, tied, tied - 2.0**-32):
        for offset, first, n in ((0, 0, 1000), (2, 0, 37), (8, 3, 500), (7, 1, 9), (4, 0, 0)):
            expected = numbers[2 * offset + first :][:n] >= round(p * 2**32)
            np.testing.assert_array_equal(kept(5, offset, n, p, first), expected, f"{p} {offset} {first}")
    assert not kept(5, 0, 100, 1.0).any() and kept(5, 0, 100, 0.0).all()


@pytest.mark.parametrize("p", [0.1, 0.25, 0.3, 0.5, 0.9])
def test_share_and_independence(p):
    ag.manual_seed(1)
    n = 400_000
    x = ag.ones(n)
    y = F.dropout(x, p).array
    there = y != 0
    assert abs(1 - there.mean() - p) < 4 * np.sqrt(p * (1 - p) / n)
    np.testing.assert_allclose(y[there], 1 / (1 - p), 1e-6)
    for apart in (1, 2, 3, 4, 8, 16):
        assert abs(np.corrcoef(there[apart:], there[:-apart])[0, 1]) < 5 / np.sqrt(n)
    assert (F.dropout(x, p).array != 0).tolist() != there.tolist()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_gradient_drops_the_same(dtype):
    x = ag.rand(7, 9).to(getattr(ag, dtype)).requires_grad_()
    y = F.dropout(x, 0.4)
    g = ag.rand(7, 9, dtype=x.dtype)
    y.backward(g)
    mask = y.detach().float().array != 0
    assert y.dtype == x.grad.dtype == x.dtype and 0 < mask.sum() < 63
    np.testing.assert_allclose(y.detach().float().array, x.detach().float().array * mask / 0.6, 1e-2)
    np.testing.assert_allclose(x.grad.float().array, g.float().array * mask / 0.6, 1e-2)


def test_second_order_and_layout():
    """The rule, which draws again, agrees with the bits; and with a channels-last input, a gradient in another order."""
    x = Tensor(np.random.default_rng(0).uniform(1, 2, (2, 5, 4, 3)).transpose(0, 3, 1, 2)).requires_grad_()
    g = ag.rand(2, 3, 5, 4, dtype=ag.float64, requires_grad=True)
    y = F.dropout(x, 0.5)
    (first,) = ag.autograd.grad(y, x, g, create_graph=True)
    (plain,) = ag.autograd.grad(y, x, g, retain_graph=True)
    np.testing.assert_array_equal(first.array, plain.array)
    np.testing.assert_allclose(first.array, np.where(y.array != 0, g.array / 0.5, 0))
    (second,) = ag.autograd.grad(first, g, x)
    np.testing.assert_allclose(second.array, y.array)


def test_state_brings_back_what_was_dropped():
    x = ag.ones(1000)
    state = ag.get_rng_state()
    first = [F.dropout(x, 0.3), F.dropout2d(ag.ones(9, 9, 2, 2), 0.3), F.alpha_dropout(x, 0.3, training=True)]
    ag.set_rng_state(state)
    again = [F.dropout(x, 0.3), F.dropout2d(ag.ones(9, 9, 2, 2), 0.3), F.alpha_dropout(x, 0.3, training=True)]
    assert all(ag.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_bit_an_element_is_saved():
    x = ag.rand(64, 65, requires_grad=True)
    y = F.dropout(x, 0.1)
    assert saved_bytes(y) == 64 * 65 // 8
    assert not [v for v in y.node.saved if isinstance(v, np.ndarray) and v.nbytes > 64 * 65 // 8]


CHANNELS = [("dropout1d", (50, 8, 3)), ("dropout1d", (50, 3)), ("dropout2d", (50, 8, 3, 2)), ("dropout3d", (50, 8, 3, 2, 2))]
CHANNELS += [("dropout3d", (50, 3, 2, 2))]


@pytest.mark.parametrize(("name", "shape"), CHANNELS, ids=str)
def test_whole_channels(name, shape):
    y = getattr(F, name)(ag.ones(shape, requires_grad=True), 0.5)
    single = len(shape) + 1 == {"dropout1d": 3, "dropout2d": 4, "dropout3d": 5}[name]
    rows = y.detach().array.reshape(shape[0] if single else shape[0] * shape[1], -1)
    assert (rows == rows[:, :1]).all() and set(np.unique(rows)) == {0.0, 2.0}
    module = getattr(ag.nn, name.capitalize())(0.5)
    assert set(np.unique(module(ag.ones(shape)).array)) == {0.0, 2.0}


def test_alpha_dropout_keeps_mean_and_variance():
    x = ag.randn(300_000)
    for name in ("alpha_dropout", "feature_alpha_dropout"):
        y = getattr(F, name)(x.reshape(-1, 3, 1), 0.3, training=True).array
        assert abs(y.mean()) < 0.02 and abs(y.std() - 1) < 0.02
        a, b = (0.7 * (1 + 0.3 * 1.7580993408473766**2)) ** -0.5, 1.7580993408473766
        dropped = np.isclose(y, -a * b + a * 0.3 * b, atol=1e-6)
        assert abs(dropped.mean() - 0.3) < 0.01


MODULES = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]


@pytest.mark.parametrize("name", MODULES)
def test_modules(torch, name):
    module = getattr(ag.nn, name)
    assert repr(module(0.25, inplace=True)) == repr(getattr(torch.nn, name)(0.25, inplace=True))
    shape = (20, 6) + (2,) * {"Dropout1d": 1, "Dropout2d": 2, "Dropout3d": 3}.get(name, 0)
    x = ag.randn(shape)
    before = x.clone()
    assert module(0.5).eval()(x) is x and module(0.0)(x) is x
    assert not ag.equal(module(0.5)(x), x) and ag.equal(x, before)
    y = module(0.5, inplace=True)(x)
    assert y is x and not ag.equal(x, before)
    assert module(1.0)(before).abs().sum().item() == 0
    for p in (-0.1, 1.5):
        with pytest.raises(ValueError, match=f"dropout probability has to be between 0 and 1, but got {p}"):
            module(p)


def test_refusals():
    for name in ("dropout", "dropout1d", "alpha_dropout", "feature_alpha_dropout"):
        with pytest.raises(ValueError, match="has to be between 0 and 1, but got 2"):
            getattr(F, name)(ag.ones(2, 3), 2)
    with pytest.raises(RuntimeError, match="Expected 2D or 3D input, but received a 4D input"):
        F.dropout1d(ag.ones(1, 1, 1, 1))
    with pytest.raises(RuntimeError, match="can't be cast"):
        F.dropout(ag.ones(3, dtype=ag.int64))
    with pytest.raises(RuntimeError, match="leaf"):
        F.dropout(ag.ones(3, requires_grad=True), 0.5, inplace=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        F.dropout3d(ag.ones(2, 3), training=False)
    assert "which is not recommended" in str(caught[0].message)
