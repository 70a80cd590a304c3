"""Losses, distances and activation modules on a CUDA device equal the CPU's: values, gradients, second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.nn import functional as F

from ..nn.test_losses import CTC, MODULES, A, B, options_of, real

pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")


def on(device: str, arrays: Any) -> list[ag.Tensor]:
    made = [ag.tensor(np.ascontiguousarray(a), device=device) for a in arrays]
    return [t.float().detach().requires_grad_() if a.dtype.kind == "f" else t for t, a in zip(made, arrays, strict=True)]


def same_on_both(call: Callable, arrays: Any, second: bool = False, digits: float = 2e-5) -> None:
    """Compare values and gradients of `call(device, *tensors)` on both devices."""
    results = []
    for device in ("cuda", "cpu"):
        given = on(device, arrays)
        out = call(device, *given)
        assert out.device.type == device
        wanted = [t for t in given if t.requires_grad]
        grads = ag.autograd.grad((out * out).sum(), wanted, create_graph=second, allow_unused=True, materialize_grads=True)
        if second:
            total = sum((g * g).sum() for g in grads)
            grads = (*grads, *ag.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True))
        results.append([x.detach().cpu().numpy() for x in (out, *grads)])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, digits, digits * max(1.0, np.abs(expected).max(initial=0)))


@pytest.mark.parametrize(("name", "options", "arrays"), MODULES, ids=[f"{n}-{'-'.join(o)}" for n, o, _ in MODULES])
def test_losses(name, options, arrays):
    def call(device, *given):
        found = {k: v.float() if isinstance(v, ag.Tensor) else v for k, v in options_of(ag, options).items()}
        return getattr(nn, name)(**found, reduction="mean").to(device)(*given)

    same_on_both(call, arrays)


def test_ctc():
    for steps, batch, classes, targets, inputs, lengths, blank in CTC[:6]:

        def call(device, x, targets=targets, inputs=inputs, lengths=lengths, blank=blank):
            return F.ctc_loss(F.log_softmax(x, 2), ag.tensor(targets, device=device), inputs, lengths, blank, "none")

        same_on_both(call, (real(steps, batch, classes),))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
def test_distances(p):
    same_on_both(lambda device, x, y: ag.cdist(x, y, p), (A, B[:3] + 0.1), second=p != 3.0)
    same_on_both(lambda device, x: ag.pdist(x, p), (A,))
    same_on_both(lambda device, x, y: F.pairwise_distance(x, y, p), (A, B))
    same_on_both(lambda device, x, y: ag.cdist(x, y, p), (real(30, 3), real(5, 3)[::-1] + 0.1))


def test_choices_and_random_slopes():
    """The same numbers are drawn on both devices."""

    def drawn(function):
        def call(device, x):
            ag.manual_seed(3)
            return function(x)

        return call

    same_on_both(drawn(lambda x: F.gumbel_softmax(x, 0.5)), (A,))
    same_on_both(drawn(lambda x: F.gumbel_softmax(x, 0.5, hard=True)), (A,))
    same_on_both(drawn(lambda x: F.rrelu(x, 0.25, 0.75, training=True)), (A,))


@pytest.mark.parametrize("name", ["celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_", "selu_"])
def test_functions_that_write(name):
    same_on_both(lambda device, x: getattr(F, name)(x * 1.0), (A,))
