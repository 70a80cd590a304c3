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
        (lambda w: init.trunc_normal_(w), 0.8796),
        (lambda w: init.trunc_normal_(w, std=100.0), 2 / math.sqrt(3)),
        (lambda w: init.orthogonal_(w), 1 / math.sqrt(2 * N)),
        (lambda w: init.sparse_(w, 0.25, std=2.0), 2 * math.sqrt(0.75)),
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
        (lambda: init.calculate_gain("leaky_relu", "steep"), "negative_slope steep not a valid number"),
        (lambda: init.eye_(ag.ones(3)), "Only tensors with 2 dimensions are supported"),
        (lambda: init.sparse_(ag.ones(3), 0.1), "Only tensors with 2 dimensions are supported"),
        (lambda: init.dirac_(ag.ones(3, 3)), "Only tensors with 3, 4, or 5 dimensions are supported"),
        (lambda: init.dirac_(ag.ones(3, 3, 3), groups=2), "dim 0 must be divisible by groups"),
        (lambda: init.orthogonal_(ag.ones(3)), "Only tensors with 2 or more dimensions are supported"),
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


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 2, 3)])
def test_orthogonal_matrices(shape):
    w = init.orthogonal_(ag.empty(shape, dtype=ag.float64), gain=2.0).reshape(shape[0], -1)
    gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    assert ag.allclose(gram, 4 * ag.eye(gram.shape[0], dtype=ag.float64))


@pytest.mark.parametrize(("shape", "groups"), [((4, 3, 3), 1), ((4, 2, 5), 2), ((2, 3, 3, 4), 1), ((6, 2, 3, 1, 2), 3)])
def test_dirac_is_pytorchs(shape, groups):
    torch = pytest.importorskip("torch")
    w = init.dirac_(ag.ones(shape), groups)
    assert w.tolist() == torch.nn.init.dirac_(torch.ones(shape), groups).tolist()
    assert init.eye_(ag.ones(shape[:2])).tolist() == torch.nn.init.eye_(torch.ones(shape[:2])).tolist()


def test_sparse_columns():
    w = init.sparse_(ag.ones(10, 7), 0.25)
    assert (w == 0).sum(0).tolist() == [3] * 7


def test_truncated_normals_stay_inside():
    w = init.trunc_normal_(ag.empty(1000, dtype=ag.float16), mean=1.0, std=2.0, a=-1.0, b=1.5)
    assert float(w.min()) >= -1 and float(w.max()) <= 1.5 and float((w < 0).float().mean()) > 0.2
    with pytest.warns(UserWarning, match="more than 2 std from"):
        init.trunc_normal_(w, mean=9.0)


@pytest.mark.parametrize("dtype", [ag.float16, ag.bfloat16, ag.float64])
def test_every_dtype(dtype):
    for fill in (init.uniform_, init.normal_, init.trunc_normal_, init.xavier_normal_, init.orthogonal_, init.eye_, init.ones_):
        w = fill(ag.empty(8, 8, dtype=dtype))
        assert w.dtype == dtype and 0 < float(w.float().abs().max()) < 10
