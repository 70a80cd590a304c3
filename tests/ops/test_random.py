"""Random numbers: the stream of backend.random's NOTE, the distributions, the generator's state, and errors."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.backend import random as stream

# -- an independent Philox4x64-10, from the paper ----------------------------------------------------------------------

MASK = (1 << 64) - 1


def philox(counter: int, key: tuple[int, int]) -> list[int]:
    c = [counter >> 64 * i & MASK for i in range(4)]
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [(p1 >> 64) ^ c[1] ^ k0, p1 & MASK, (p0 >> 64) ^ c[3] ^ k1, p0 & MASK]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
    return c


def word(seed: int, i: int) -> int:
    return philox(i // 4 + 1, (seed, 0))[i % 4]


def half(seed: int, i: int) -> int:
    return word(seed, i // 2) >> 32 * (i % 2) & 0xFFFFFFFF


@pytest.mark.parametrize("seed", [0, 1, 67280421310721, MASK])
@pytest.mark.parametrize("first", [0, 1, 4, 7, 1001, 2**40 + 3])
def test_words_are_philox(seed, first):
    assert stream.words(seed, first, 11).tolist() == [word(seed, first + i) for i in range(11)]
    assert stream.halves(seed, first, 11).tolist() == [half(seed, first + i) for i in range(11)]


def test_words_are_numpys():
    assert (stream.words(5, 0, 100) == np.random.Philox(key=5).random_raw(100)).all()


def test_elements_from_their_positions():
    ag.manual_seed(3)
    u = ag.rand(9)
    assert u.tolist() == [(half(3, i) >> 8) * 2.0**-24 for i in range(9)]
    d = ag.rand(4, dtype=ag.float64)  # from an even position: half 9 is skipped
    assert d.tolist() == [(word(3, 5 + i) >> 11) * 2.0**-53 for i in range(4)]
    n = ag.randint(1000, (5,))
    assert n.tolist() == [word(3, 9 + i) * 1000 >> 64 for i in range(5)]
    big = ag.randint(-(2**62), 2**62 + 5, (5,))
    assert big.tolist() == [(word(3, 14 + i) * (2**63 + 5) >> 64) - 2**62 for i in range(5)]
    p = ag.randperm(6)
    words = [word(3, 19 + i) for i in range(6)]
    assert p.tolist() == sorted(range(6), key=lambda i: words[i])
    h = ag.rand(3, dtype=ag.float16)
    assert h.tolist() == [(half(3, 50 + i) >> 21) * 2.0**-11 for i in range(3)]
    b = ag.rand(3, dtype=ag.bfloat16)
    assert b.tolist() == [(half(3, 53 + i) >> 24) * 2.0**-8 for i in range(3)]


def test_normals_from_their_positions():
    ag.manual_seed(4)
    ag.rand(1)  # so that the draw begins with the second half of a pair
    z = ag.randn(6).tolist()
    for i, value in enumerate(z, start=1):
        x, y = half(4, i & ~1), half(4, i | 1)
        r, a = math.sqrt(-2 * math.log((x + 0.5) / 2**32)), 2 * math.pi * y / 2**32
        assert value == pytest.approx(r * (math.sin(a) if i & 1 else math.cos(a)), abs=1e-5)
    ag.manual_seed(4)
    ag.rand(2)
    for i, value in enumerate(ag.randn(5, dtype=ag.float64).tolist(), start=1):
        x, y = word(4, i & ~1), word(4, i | 1)
        r = math.sqrt(-2 * math.log(((x >> 12) + 0.5) * 2.0**-52))
        a = 2 * math.pi * (y >> 11) * 2.0**-53
        assert value == pytest.approx(r * (math.sin(a) if i & 1 else math.cos(a)), abs=1e-12)


DRAWS = {
    "rand": lambda n: ag.rand(n),
    "rand64": lambda n: ag.rand(n, dtype=ag.float64),
    "randn": lambda n: ag.randn(n),
    "randn64": lambda n: ag.randn(n, dtype=ag.float64),
    "randn16": lambda n: ag.randn(n, dtype=ag.float16),
    "randint": lambda n: ag.randint(100, (n,)),
    "bernoulli": lambda n: ag.bernoulli(ag.full((n,), 0.5)),
    "exponential": lambda n: ag.empty(n).exponential_(),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("parts", [(4, 6), (3, 7), (1, 1, 1, 7), (10, 0), (0, 10)])
def test_a_draw_in_parts_is_the_same_draw(draw, parts):
    ag.manual_seed(11)
    whole = draw(10).tolist()
    ag.manual_seed(11)
    assert sum((draw(n).tolist() for n in parts), []) == whole


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_seeds(draw):
    ag.manual_seed(1)
    first, second = draw(50).tolist(), draw(50).tolist()
    ag.manual_seed(1)
    assert draw(50).tolist() == first != second
    ag.manual_seed(2)
    assert draw(50).tolist() != first


# -- the generator -----------------------------------------------------------------------------------------------------


def test_generator():
    g = ag.Generator()
    assert g.manual_seed(5) is g and g.initial_seed() == 5 and g.device == "cpu"
    before = ag.get_rng_state().tolist()
    a = ag.rand(3, generator=g)
    assert ag.get_rng_state().tolist() == before
    state = g.get_state()
    assert state.dtype == ag.uint8
    b = ag.randn(7, generator=g)
    g.set_state(state)
    assert ag.equal(ag.randn(7, generator=g), b)
    twin = pickle.loads(pickle.dumps(g))
    other = copy.deepcopy(g)
    c = ag.rand(2, generator=g)
    assert ag.equal(ag.rand(2, generator=twin), c) and ag.equal(ag.rand(2, generator=other), c)
    assert ag.equal(ag.rand(3, generator=g.manual_seed(5)), a)
    assert g.manual_seed(-1).initial_seed() == MASK
    assert g.seed() == g.initial_seed()
    assert g.seed() != g.seed()
    with pytest.raises(RuntimeError, match="Overflow"):
        g.manual_seed(1 << 64)
    with pytest.raises(TypeError, match="uint8"):
        g.set_state(ag.zeros(16))
    with pytest.raises(RuntimeError, match="wrong size"):
        g.set_state(ag.zeros(3, dtype=ag.uint8))


def test_state_of_the_default_generator():
    ag.manual_seed(8)
    assert ag.initial_seed() == 8 == ag.random.initial_seed()
    ag.rand(3)
    state = ag.get_rng_state()
    a = ag.rand(3)
    ag.set_rng_state(state)
    assert ag.equal(ag.rand(3), a)
    ag.set_rng_state(state)
    with ag.random.fork_rng():
        ag.rand(100)
        ag.manual_seed(77)
    assert ag.equal(ag.rand(3), a)


# -- distributions -----------------------------------------------------------------------------------------------------

N = 100_000


def quantiles_fit(x: ag.Tensor, inverse, tolerance: float = 0.02) -> None:
    """The quartiles and octiles are where the distribution has them."""
    x = np.sort(x.double().numpy())
    for q in (0.125, 0.25, 0.5, 0.75, 0.875):
        assert x[int(q * len(x))] == pytest.approx(inverse(q), abs=tolerance)


@pytest.mark.parametrize("dtype", [ag.float16, ag.bfloat16, ag.float32, ag.float64], ids=str)
def test_distributions(dtype):
    from statistics import NormalDist

    ag.manual_seed(0)
    u = ag.rand(N, dtype=dtype)
    quantiles_fit(u, lambda q: q)
    assert u.dtype == dtype and u.double().numpy().min() >= 0 and u.double().numpy().max() < 1
    z = ag.randn(N, dtype=dtype)
    quantiles_fit(z, NormalDist().inv_cdf)
    assert z.dtype == dtype and abs(z.double().numpy()).max() > 3.5
    assert z.double().numpy().var() == pytest.approx(1, abs=0.02)
    x = ag.empty(N, dtype=dtype)
    quantiles_fit(x.uniform_(-3, 1), lambda q: 4 * q - 3, 0.03)
    quantiles_fit(x.normal_(1, 2), NormalDist(1, 2).inv_cdf, 0.05)
    quantiles_fit(x.exponential_(2.0), lambda q: -math.log(1 - q) / 2)
    assert x.double().numpy().min() > 0
    quantiles_fit(x.cauchy_(1, 0.5), lambda q: 1 + 0.5 * math.tan(math.pi * (q - 0.5)), 0.05)
    quantiles_fit(x.log_normal_(0, 0.25), lambda q: math.exp(0.25 * NormalDist().inv_cdf(q)))
    assert x.bernoulli_(0.3).double().numpy().mean() == pytest.approx(0.3, abs=0.01)
    assert x.geometric_(0.5).double().numpy().mean() == pytest.approx(2, abs=0.03)


def test_integers():
    ag.manual_seed(0)
    assert np.bincount(ag.randint(7, (N,)).numpy(), minlength=7) / N == pytest.approx(np.full(7, 1 / 7), abs=0.01)
    x = ag.randint(-3, 3, (1000,), dtype=ag.int8)
    assert x.dtype == ag.int8 and set(x.tolist()) == set(range(-3, 3))
    assert ag.randint(3, (2,), dtype=ag.float32).dtype == ag.float32
    assert ag.randint(high=3, size=(2, 2)).shape == (2, 2)
    assert ag.randint_like(ag.zeros(3), 5, 6).tolist() == [5, 5, 5]
    assert set(ag.empty(100, dtype=ag.bool).random_().tolist()) == {True, False}
    assert ag.empty(1000, dtype=ag.uint8).random_().numpy().max() > 240
    assert ag.empty(1000, dtype=ag.int64).random_().numpy().min() >= 0
    assert set(ag.empty(100).random_(3).tolist()) == {0, 1, 2}
    assert set(ag.empty(100).random_(2, 4).tolist()) == {2, 3}
    assert sorted(ag.randperm(1000).tolist()) == list(range(1000))
    assert ag.randperm(3, dtype=ag.int32).dtype == ag.int32
    assert ag.randperm(0).shape == (0,)


def test_like():
    x = ag.zeros(2, 3, dtype=ag.float64)
    assert ag.rand_like(x).dtype == ag.randn_like(x).dtype == ag.float64
    assert ag.rand_like(x, dtype=ag.float32).shape == (2, 3)
    assert ag.randn(2, requires_grad=True).requires_grad
    z = ag.randn(1000, dtype=ag.complex64)
    assert z.dtype == ag.complex64 and (abs(z.numpy()) ** 2).mean() == pytest.approx(1, abs=0.1)
    assert ag.rand(3, 0).shape == (3, 0) and ag.rand(()).shape == () and ag.randn(()).array.__class__ is np.ndarray


def test_normal_of_tensors():
    ag.manual_seed(0)
    mean, std = ag.tensor([[0.0], [10.0]]), ag.tensor([1.0, 0.0, 2.0])
    x = ag.normal(mean, std)
    assert x.shape == (2, 3) and x[:, 1].tolist() == [0, 10]
    assert ag.normal(mean).shape == (2, 1) and ag.normal(1.0, std).shape == (3,)
    assert ag.normal(1.0, 2.0, (4,), dtype=ag.float64).dtype == ag.float64


def test_bernoulli():
    ag.manual_seed(0)
    p = ag.tensor([0.0, 0.25, 1.0], dtype=ag.float64)
    x = ag.bernoulli(ag.broadcast_to(p, (4000, 3)))
    assert x.dtype == ag.float64 and x.numpy().mean(0) == pytest.approx([0, 0.25, 1], abs=0.03)
    assert ag.bernoulli(ag.zeros(5, dtype=ag.int64), 1.0).tolist() == [1] * 5
    assert ag.tensor([1, 1]).bernoulli_(ag.tensor([0.0, 1.0])).tolist() == [0, 1]
    assert ag.bernoulli(ag.zeros(0)).shape == (0,)


def test_multinomial():
    ag.manual_seed(0)
    weights = ag.tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 2.0]])
    x = ag.multinomial(weights, N, replacement=True)
    assert x.dtype == ag.int64 and x.shape == (2, N)
    for row, w in zip(x.numpy(), weights.numpy(), strict=True):
        assert np.bincount(row, minlength=3) / N == pytest.approx(w / w.sum(), abs=0.01)
    firsts = [ag.multinomial(ag.tensor([1.0, 3.0]), 2).tolist() for _ in range(4000)]
    assert {tuple(f) for f in firsts} == {(0, 1), (1, 0)}
    assert sum(f[0] for f in firsts) / 4000 == pytest.approx(0.75, abs=0.03)
    assert ag.multinomial(ag.tensor([0.0, 0.0, 1.0]), 1).tolist() == [2]


def test_filling_recorded_tensors():
    x = ag.ones(3, requires_grad=True)
    y = x * 2
    y.uniform_()
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
    with pytest.raises(RuntimeError, match="leaf"):
        x.normal_()
    with ag.no_grad():
        assert x.normal_() is x
    z = ag.zeros(2, 3)
    z[0].fill_(1)
    z[1].bernoulli_(1.0)
    assert z.tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: ag.randint(5, 5, (2,)), RuntimeError, "from=5 >= to=5"),
        (lambda: ag.randint(3), TypeError, "needs a size"),
        (lambda: ag.randint(300, (2,), dtype=ag.uint8), RuntimeError, "out of bounds"),
        (lambda: ag.rand(2, dtype=ag.int64), NotImplementedError, "not implemented for int64"),
        (lambda: ag.rand(-1), RuntimeError, "non-negative"),
        (lambda: ag.randperm(-1), RuntimeError, "negative dimension -1"),
        (lambda: ag.bernoulli(ag.tensor([2.0])), RuntimeError, r"in \[0, 1\]"),
        (lambda: ag.bernoulli(ag.tensor([float("nan")])), RuntimeError, r"in \[0, 1\]"),
        (lambda: ag.bernoulli(ag.tensor([1])), NotImplementedError, "not implemented for int64"),
        (lambda: ag.zeros(1).bernoulli_(-0.5), RuntimeError, r"in \[0, 1\]"),
        (lambda: ag.zeros(1, dtype=ag.int64).uniform_(), NotImplementedError, "uniform_"),
        (lambda: ag.zeros(1).uniform_(2, 1), RuntimeError, "from=2 > to=1"),
        (lambda: ag.zeros(1).normal_(0, -1), RuntimeError, "std >= 0.0"),
        (lambda: ag.normal(0.0, -1.0, (2,)), RuntimeError, "std >= 0.0"),
        (lambda: ag.normal(ag.zeros(2), ag.tensor([-1.0, 1.0])), RuntimeError, "std >= 0.0"),
        (lambda: ag.zeros(1).exponential_(-1), RuntimeError, "lambda > 0.0"),
        (lambda: ag.zeros(1).random_(5, 4), RuntimeError, "from=5 >= to=4"),
        (lambda: ag.multinomial(ag.tensor([1, 2]), 1), RuntimeError, "floating-point"),
        (lambda: ag.multinomial(ag.tensor([1.0, 0.0]), 3), RuntimeError, "without replacement"),
        (lambda: ag.multinomial(ag.tensor([1.0, -1.0]), 1), RuntimeError, "element < 0"),
        (lambda: ag.multinomial(ag.tensor([0.0, 0.0]), 1), RuntimeError, "sum of probabilities"),
        (lambda: ag.multinomial(ag.tensor([1.0]), 0), RuntimeError, "<= 0 samples"),
        (lambda: ag.multinomial(ag.zeros(1, 1, 1), 1), RuntimeError, "1 or 2 dim"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "drawn",
    [
        lambda: ag.randint(5, ()),
        lambda: ag.rand(()),
        lambda: ag.randn(()),
        lambda: ag.bernoulli(ag.tensor(0.5)),
        lambda: ag.bernoulli(ag.zeros(()), 0.5),
        lambda: ag.tensor(0.0).uniform_(),
    ],
)
def test_a_draw_without_dimensions_is_an_array(drawn: Callable[[], ag.Tensor]) -> None:
    out = drawn()
    assert isinstance(out.array, np.ndarray) and out.shape == () and repr(out).startswith("tensor(")
