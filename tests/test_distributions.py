"""Distributions: densities, entropies, moments, divergences and their gradients as PyTorch's; samples by their moments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag

RNG = np.random.default_rng(5)
REAL, OTHER = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4))
POSITIVE, MORE = RNG.uniform(0.5, 2, (3, 4)), RNG.uniform(0.5, 2, (3, 4))
SHARE = RNG.uniform(0.1, 0.9, (3, 4))
CLASSES, BITS = np.array([1, 0, 3]), RNG.integers(0, 2, (3, 4)).astype(float)

# name, parameters, values
LINES = [
    ("Normal", {"loc": REAL, "scale": POSITIVE}, OTHER),
    ("Normal", {"loc": REAL, "scale": 2.0}, OTHER),
    ("LogNormal", {"loc": REAL, "scale": POSITIVE}, MORE),
    ("Laplace", {"loc": REAL, "scale": POSITIVE}, OTHER),
    ("Exponential", {"rate": POSITIVE}, MORE),
    ("Uniform", {"low": REAL, "high": REAL + POSITIVE}, REAL + 0.3),
    ("Categorical", {"probs": POSITIVE}, CLASSES),
    ("Categorical", {"logits": REAL}, CLASSES),
    ("Categorical", {"logits": REAL}, np.array([[1, 0, 3], [2, 2, 2]])),
    ("OneHotCategorical", {"logits": REAL}, np.eye(4)[CLASSES]),
    ("Bernoulli", {"probs": SHARE}, BITS),
    ("Bernoulli", {"logits": REAL}, BITS),
]
IDS = [f"{name}-{k}" for k, (name, _, _) in enumerate(LINES)]


def made(library: Any, name: str, parameters: dict[str, Any]) -> tuple[Any, list[Any]]:
    """A distribution, and its parameters that need gradients."""
    tensors = {
        key: library.tensor(value, requires_grad=True) if isinstance(value, np.ndarray) else value
        for key, value in parameters.items()
    }
    return getattr(library.distributions, name)(**tensors), [t for t in tensors.values() if not isinstance(t, float)]


def facts(library: Any, name: str, parameters: dict[str, Any], value: np.ndarray) -> list[np.ndarray]:
    """What a distribution says, and the gradients of the sum of it."""
    d, tensors = made(library, name, parameters)
    said = [d.log_prob(library.tensor(value)), d.entropy(), d.perplexity()]
    for what in ("mean", "variance", "stddev"):
        if name != "Categorical":
            said.append(getattr(d, what))
    for what in ("probs", "logits"):
        if hasattr(d, what):
            said.append(getattr(d, what))
    if name == "Normal":
        said += [d.cdf(library.tensor(value)), d.icdf(library.tensor(SHARE)), d.mode]
    total = sum((t * (k + 1)).sum() for k, t in enumerate(said))
    shapes = [np.array(tuple(d.batch_shape)), np.array(tuple(d.event_shape)), np.array(tuple(d.sample((5, 2)).shape))]
    return [t.detach().numpy() for t in said] + [g.numpy() for g in library.autograd.grad(total, tensors)] + shapes


@pytest.mark.parametrize(("name", "parameters", "value"), LINES, ids=IDS)
def test_as_pytorch(name: str, parameters: dict[str, Any], value: np.ndarray, torch: Any) -> None:
    ours, theirs = facts(ag, name, parameters, value), facts(torch, name, parameters, value)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, 1e-9, 1e-9)


@pytest.mark.parametrize(("name", "parameters", "value"), LINES, ids=IDS)
def test_samples(name: str, parameters: dict[str, Any], value: np.ndarray) -> None:
    ag.manual_seed(1)
    d, tensors = made(ag, name, parameters)
    samples = d.sample((4000,))
    assert not samples.requires_grad and samples.shape == (4000, *d.batch_shape, *d.event_shape)
    if name == "Categorical":
        shares = ag.nn.functional.one_hot(samples, 4).double().mean(0)
        np.testing.assert_allclose(shares.numpy(), d.probs.detach().numpy(), atol=0.05)
    else:
        error = (samples.double().mean(0) - d.mean.detach()) / d.stddev.detach()
        assert error.abs().max() < (0.3 if name == "LogNormal" else 0.08)
    assert bool(ag.isfinite(d.log_prob(samples)).all())
    if d.has_rsample:
        assert all(g is not None for g in ag.autograd.grad(d.rsample((3,)).sum(), tensors))
    else:
        with pytest.raises(NotImplementedError):
            d.rsample()


PAIRS = [
    ("Normal", {"loc": REAL, "scale": POSITIVE}, {"loc": OTHER, "scale": MORE}),
    ("Categorical", {"logits": REAL}, {"probs": MORE}),
    ("OneHotCategorical", {"logits": REAL}, {"logits": OTHER}),
    ("Bernoulli", {"logits": REAL}, {"probs": SHARE}),
    ("Exponential", {"rate": POSITIVE}, {"rate": MORE}),
    ("Uniform", {"low": REAL, "high": REAL + 1}, {"low": REAL - 1, "high": REAL + MORE + 0.4}),
]


@pytest.mark.parametrize(("name", "first", "second"), PAIRS, ids=[p[0] for p in PAIRS])
def test_divergence(name: str, first: dict[str, Any], second: dict[str, Any], torch: Any) -> None:
    results = []
    for library in (ag, torch):
        (p, tensors), (q, others) = made(library, name, first), made(library, name, second)
        kl = library.distributions.kl_divergence(p, q)
        finite = library.where(library.isfinite(kl), kl, library.zeros_like(kl))
        gradients = library.autograd.grad(finite.sum(), tensors + others)
        results.append([kl.detach().numpy(), *(g.numpy() for g in gradients)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, 1e-8, 1e-9)


def test_divergence_from_what_is_certain(torch: Any) -> None:
    p, q = [0.3, 0.5, 0.0, 1.0, 0.5, 0.0, 1.0, 1.0], [0.0, 1.0, 0.5, 0.5, 1.0, 0.0, 1.0, 0.0]
    results = []
    for library in (ag, torch):
        D = library.distributions
        results.append(D.kl_divergence(D.Bernoulli(library.tensor(p)), D.Bernoulli(library.tensor(q))).numpy())
    np.testing.assert_allclose(*results, 1e-5)


def test_independent(torch: Any) -> None:
    results = []
    for library in (ag, torch):
        D = library.distributions
        p = D.Independent(D.Normal(library.tensor(REAL), 1.0), 1)
        q = D.Independent(D.Normal(library.tensor(OTHER), 2.0), 1)
        results.append(
            [p.log_prob(library.tensor(OTHER)), p.entropy(), p.mean, D.kl_divergence(p, q), p.rsample((2,)).new_zeros(1)]
        )
        assert tuple(p.batch_shape) == (3,) and tuple(p.event_shape) == (4,) and tuple(p.sample((2,)).shape) == (2, 3, 4)
        with pytest.raises(ValueError):
            D.Independent(D.Normal(0.0, 1.0), 1)
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-10)


def test_refuses_what_it_cannot_be() -> None:
    D = ag.distributions
    for wrong in (
        lambda: D.Normal(0.0, -1.0),
        lambda: D.Categorical(),
        lambda: D.Categorical(ag.ones(2), ag.ones(2)),
        lambda: D.Categorical(ag.tensor(1.0)),
        lambda: D.Categorical(ag.tensor([-1.0, 2.0])),
        lambda: D.Bernoulli(1.5),
        lambda: D.Bernoulli(0.5).log_prob(ag.tensor(0.5)),
        lambda: D.Categorical(ag.ones(2)).log_prob(ag.tensor(2)),
        lambda: D.Uniform(1.0, 0.0),
        lambda: D.Normal(0.0, 1.0).log_prob(ag.tensor(float("nan"))),
        lambda: D.Laplace(float("nan"), 1.0),
        lambda: D.Laplace(0.0, 1.0).log_prob(ag.tensor(float("nan"))),
        lambda: D.LogNormal(0.0, 1.0).log_prob(ag.tensor(-1.0)),
        lambda: D.Exponential(1.0).log_prob(ag.tensor(-1.0)),
        lambda: D.Uniform(0.0, 1.0).log_prob(ag.tensor(2.0)),
        lambda: D.Categorical(ag.zeros(2)),
        lambda: D.Categorical(ag.ones(2)).log_prob(ag.tensor(0.5)),
        lambda: D.Bernoulli(logits=float("nan")),
        lambda: D.OneHotCategorical(ag.ones(2)).log_prob(ag.ones(2)),
        lambda: D.OneHotCategorical(ag.ones(2)).log_prob(ag.tensor([1.0, 0.0, 0.0])),
    ):
        with pytest.raises(ValueError):
            wrong()
    assert D.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
    assert D.Uniform(0.0, 1.0, validate_args=False).log_prob(ag.tensor(2.0)).item() == -float("inf")
    with pytest.raises(NotImplementedError, match="KL"):
        D.kl_divergence(D.Normal(0.0, 1.0), D.Uniform(0.0, 1.0))


def test_printed(torch: Any) -> None:
    for name, parameters, _ in LINES:
        if name in ("Normal", "Categorical", "Uniform", "Exponential", "Laplace"):
            assert repr(made(ag, name, parameters)[0]) == repr(made(torch, name, parameters)[0]).replace("torch.", "")
