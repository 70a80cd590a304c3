"""The fused kernels of gelu on the CPU against the rule in float64."""

from __future__ import annotations

import numpy as np
import pytest

from autograd_gpu.backend import cpu
from autograd_gpu.backend.cpu import gelus
from autograd_gpu.core.graph import words


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gelus, "_FEW", 1)
    monkeypatch.setattr(gelus, "_BLOCK", 1000)


def test_values_and_gradients() -> None:
    x = np.linspace(-12, 12, 20_001, dtype=np.float32).reshape(3, -1)
    g = np.random.default_rng(0).uniform(0.5, 1.5, x.shape).astype(np.float32)
    wide = x.astype(np.float64)
    out, (grad,) = gelus.forward(x), gelus.backward(None, g, ("x",), x=x)
    assert out.dtype == grad.dtype == np.float32
    np.testing.assert_array_less(np.abs(out - cpu.gelu(wide)), 2e-7 * np.maximum(1, np.abs(wide)))
    np.testing.assert_allclose(grad, words.gelu.op.rules["x"].function(cpu, g, wide), 0, 4e-7)


def test_at_the_ends() -> None:
    x = np.array([0.0, -0.0, 1e10, -1e10, 3e38, -3e38, 1e-40, np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(gelus.forward(x), np.array([0, 0, 1e10, 0, 3e38, 0, 5e-41, np.inf, np.nan], np.float32))
    (grad,) = gelus.backward(None, np.ones_like(x), ("x",), x=x)
    np.testing.assert_array_equal(grad[:7], np.array([0.5, 0.5, 1, 0, 1, 0, 0.5], np.float32))


def test_what_they_decline() -> None:
    x = np.ones((4, 4), np.float32)
    assert gelus.forward(x.astype(np.float64)) is NotImplemented
    assert gelus.forward(x.T[::2]) is NotImplemented
    assert gelus.backward(None, x[:1], ("x",), x=x) is NotImplemented
