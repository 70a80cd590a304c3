"""NaN, infinities and what is far out: the device gives what the CPU does, both what PyTorch does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.nn import functional as F

INF, NAN = float("inf"), float("nan")
DTYPES = ["float32", "float16", "bfloat16"]


def slopes(function: Callable, values: list[float], dtype: str, device: str) -> list[float]:
    x = ag.tensor(values, dtype=getattr(ag, dtype), device=device, requires_grad=True)
    function(x).backward(ag.ones_like(x))
    return x.grad.float().tolist()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_relu_lets_the_gradient_of_nan_pass(device: str, dtype: str) -> None:
    assert slopes(F.relu, [NAN, 1.0, -1.0, 0.0, -0.0, INF, -INF], dtype, device) == [1, 1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_dropping_what_is_not_finite_gives_nan(device: str, dtype: str) -> None:
    for n in (1, 64):  # alone and in packs
        x = ag.tensor([NAN, INF, -INF, -1.0] * n, dtype=getattr(ag, dtype), device=device)
        ag.manual_seed(0)
        kept = ~(F.dropout(ag.ones_like(x), 0.5) == 0).cpu()
        for function in (F.dropout, F.alpha_dropout):
            ag.manual_seed(0)
            out = function(x, 0.5, True).float().cpu()
            assert out[0::4].isnan().all() and out[1::4].isnan().tolist() == (~kept[1::4]).tolist()
        ag.manual_seed(0)
        out = F.dropout(x, 0.5).float().cpu()
        assert np.signbit(out[3::4].numpy()).all()  # minus zero where it is dropped
    assert F.dropout(x, 1 - 1e-12)[0].isnan().item()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_logcumsumexp(device: str, maybe_torch: Any) -> None:
    lines = [[-INF, INF, 1.0], [INF, -INF, 2.0], [-INF, -INF, 0.0], [NAN, INF, 1.0], [INF, NAN, 1.0], [INF, INF, INF]]
    found = ag.logcumsumexp(ag.tensor(lines, device=device), 1).cpu().numpy()
    np.testing.assert_equal(found[0], [-INF, INF, INF])
    if maybe_torch is not None:
        np.testing.assert_allclose(found, maybe_torch.logcumsumexp(maybe_torch.tensor(lines), 1).numpy(), rtol=1e-6)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_lgamma(device: str) -> None:
    for dtype in (ag.float32, ag.float64):
        assert ag.lgamma(ag.tensor([-INF, INF, 0.0, -3.0, NAN], dtype=dtype, device=device)).tolist()[:4] == [INF] * 4


@pytest.mark.parametrize("dtype", [*DTYPES, "float64"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_gelu_far_out(device: str, dtype: str) -> None:
    values = [65000.0, -65000.0, 300.0, -300.0, 11.0, -11.0]
    assert slopes(lambda x: F.gelu(x, approximate="tanh"), values, dtype, device) == [1, 0] * 3


@pytest.mark.parametrize("dtype", [*DTYPES, "float64"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_order_statistics_with_nan(device: str, dtype: str) -> None:
    x = ag.tensor([[3.0, NAN, 1.0, 2.0, 2.0], [NAN, NAN, 0.0, -1.0, -1.0]], dtype=getattr(ag, dtype), device=device)
    assert x.median(1).values.isnan().tolist() == [True, True]
    assert x.nanmedian(1).values.tolist() == [2.0, -1.0]
    assert x.mode(1).values.tolist() == [2.0, -1.0]
    assert x[0].median().isnan().item()
