"""Activations far out, at infinities and at NaN: values and gradients are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_gpu as ag
import autograd_gpu.nn.functional as F

torch = pytest.importorskip("torch")

INF, NAN = float("inf"), float("nan")
FAR = [1e4, 3e7, 1e30, -1e4, -1e30]
# name -> (options, inputs)
LINES = {
    "gelu": ({}, FAR),
    "hardsigmoid": ({}, [*FAR, INF, -INF]),
    "hardtanh": ({}, [*FAR, INF, -INF]),
    "leaky_relu": ({}, [*FAR, INF, -INF]),
    "logsigmoid": ({}, FAR),
    "relu": ({}, [*FAR, INF, -INF, NAN]),
    "sigmoid": ({}, [*FAR, INF, -INF, NAN]),
    "silu": ({}, [*FAR, NAN]),
    "softplus": ({}, [*FAR, INF, -INF]),
    "tanh": ({}, [*FAR, INF, -INF, NAN]),
    "threshold": ({"threshold": 0.5, "value": 2.0}, [*FAR, INF, -INF, NAN, 0.5]),
}


@pytest.mark.parametrize("n", [1, 512], ids=["few", "many"])  # many: the kernels in blocks
@pytest.mark.parametrize("name", LINES)
def test_values_and_gradients_far_out(name, n):
    options, values = LINES[name]
    x = np.tile(np.array(values, np.float32), n)
    ours, theirs = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, expected = getattr(F, name)(ours, **options), getattr(torch.nn.functional, name)(theirs, **options)
    y.backward(ag.ones_like(y))
    expected.backward(torch.ones_like(expected))
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-6)
