"""First values of parameters: their spread, and that they are written in place."""

from __future__ import annotations

import math

import pytest

import autograd_gpu as ag
from autograd_gpu.nn import init

N = 300


def weight():
    return ag.nn.Parameter(ag.zeros(N, 2 * N))


@pytest.mark.parametrize(
    ("fill", "std"),
    [
        (lambda w: init.uniform_(w, -1, 1), 1 / math.sqrt(3)),
        (lambda w: init.normal_(w, 0.0, 2.0), 2.0),
        (lambda w: init.xavier_uniform_(w), math.sqrt(2 / (3 * N))),
        (lambda w: init.xavier_normal_(w, gain=2.0), 2 * math.sqrt(2 / (3 * N))),
        (lambda w: init.kaiming_uniform_(w, nonlinearity="relu"), math.sqrt(2 / (2 * N))),
        (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / N)),
        (lambda w: init.kaiming_uniform_(w, a=math.sqrt(5)), math.sqrt(1 / 3 / (2 * N))),
    ],
)
def test_spread(fill, std):
    w = weight()
    array = w.array
    assert fill(w) is w and w.array is array and w.requires_grad
    assert float(w.detach().std()) == pytest.approx(std, rel=0.02)
    assert float(w.detach().mean()) == pytest.approx(0, abs=0.02 * std)


@pytest.mark.parametrize(("fill", "value"), [(init.zeros_, 0), (init.ones_, 1), (lambda w: init.constant_(w, 2.5), 2.5)])
def test_constants(fill, value):
    w = weight()
    assert bool((fill(w) == value).all())


def test_generator_decides():
    a = init.uniform_(weight(), generator=ag.Generator().manual_seed(3))
    b = init.uniform_(weight(), generator=ag.Generator().manual_seed(3))
    assert ag.equal(a, b)


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda: init.xavier_uniform_(ag.ones(3)), "fewer than 2 dimensions"),
        (lambda: init.kaiming_uniform_(ag.ones(3, 3), mode="fan"), "Mode fan not supported"),
        (lambda: init.calculate_gain("what"), "Unsupported nonlinearity what"),
    ],
)
def test_refusals(do, message):
    with pytest.raises(ValueError, match=message):
        do()


def test_gains_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name in init.GAINS:
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert init.calculate_gain("leaky_relu", 0.2) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.2))
