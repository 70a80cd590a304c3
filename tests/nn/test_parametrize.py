"""Parametrizations: what is computed, learned, saved and removed, as in PyTorch."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.nn.utils import parametrize

torch = pytest.importorskip("torch")

LIBS = pytest.mark.parametrize("lib", [ag, torch], ids=["ours", "theirs"])


def same(ours, theirs, rtol=1e-5):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=1e-6)


def pair(make):
    """A module of each library with the same state."""
    ours, theirs = make(ag), make(torch)
    state = {name: ag.tensor(t.numpy()) for name, t in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    theirs.load_state_dict({name: torch.tensor(t.numpy()) for name, t in ours.state_dict().items()})
    return ours, theirs


def new(which, **options):
    return lambda lib, module: getattr(lib.nn.utils.parametrizations, which)(module, **options)


def old(which, **options):
    return lambda lib, module: getattr(lib.nn.utils, which)(module, **options)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    "wrap",
    [
        new("weight_norm"), new("weight_norm", dim=1), new("weight_norm", dim=None), new("weight_norm", name="bias"),
        new("spectral_norm"), new("spectral_norm", n_power_iterations=3, dim=1), new("spectral_norm", name="bias"),
        old("weight_norm"), old("weight_norm", dim=None), old("spectral_norm"), old("spectral_norm", n_power_iterations=2, dim=1),
    ],
    ids=lambda wrap: "-".join(str(c.cell_contents) for c in wrap.__closure__),
)  # fmt: skip
def test_normalized_weights_compute_and_learn_as_pytorchs(wrap):
    ours, theirs = pair(lambda lib: wrap(lib, lib.nn.Linear(4, 3)))
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    for net, lib in ((ours, ag), (theirs, torch)):
        optimizer = lib.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (net(lib.tensor(x)) ** 2).sum().backward()
            optimizer.step()
        net.eval()
    same(ours(ag.tensor(x)), theirs(torch.tensor(x)), 1e-4)
    for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5, err_msg=name)
    assert {name for name, p in ours.named_parameters() if p.grad is None} == set()


class Symmetric:
    """Made a Module of either library by `_class`."""

    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)

    def right_inverse(self, x):
        return x.triu()


class Doubled:
    def forward(self, x):
        return x * 2

    def right_inverse(self, x):
        return x / 2


class Product:
    def forward(self, a, b):
        return a * b

    def right_inverse(self, x):
        return x.abs().sqrt(), x.sign() * x.abs().sqrt()


class Shorter:
    def forward(self, x):
        return x[1:]


class NoInverse:
    def forward(self, x):
        return x + 1


def _class(kind, lib):
    return type(kind.__name__, (lib.nn.Module,), {k: v for k, v in vars(kind).items() if callable(v)})()


def parametrized(lib, *kinds, **options):
    layer = lib.nn.Linear(3, 3)
    for kind in kinds:
        lib.nn.utils.parametrize.register_parametrization(layer, "weight", _class(kind, lib), **options)
    return layer


@pytest.mark.parametrize("kinds", [(Symmetric,), (Doubled, Symmetric), (Symmetric, Doubled), (Product,), (NoInverse,)], ids=str)
def test_registering_and_removing(kinds):
    ours, theirs = pair(lambda lib: parametrized(lib, *kinds))
    assert repr(ours) == repr(theirs)
    assert type(ours).__name__ == "ParametrizedLinear" and isinstance(ours, nn.Linear)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    same(ours.weight, theirs.weight)
    assert parametrize.is_parametrized(ours, "weight") and not parametrize.is_parametrized(ours, "bias")
    value = np.arange(9, dtype="float32").reshape(3, 3)
    if NoInverse not in kinds:
        for layer, lib in ((ours, ag), (theirs, torch)):
            layer.weight = lib.tensor(value)
        same(ours.weight, theirs.weight)
    weight = ours.weight.detach().numpy().copy()
    for layer, lib in ((ours, ag), (theirs, torch)):
        lib.nn.utils.parametrize.remove_parametrizations(layer, "weight")
    assert type(ours) is nn.Linear and "weight" not in vars(nn.Linear) and isinstance(ours.weight, nn.Parameter)
    assert list(ours.state_dict()) == list(theirs.state_dict()) and not parametrize.is_parametrized(ours)
    np.testing.assert_allclose(ours.weight.detach().numpy(), weight, rtol=1e-6)
    same(ours.weight, theirs.weight)


def test_an_optimizer_still_knows_the_original():
    layer = nn.Linear(3, 3)
    weight = layer.weight
    parametrize.register_parametrization(layer, "weight", _class(Doubled, ag))
    assert layer.parametrizations.weight.original is weight
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert layer.weight is weight


def test_two_layers_do_not_share_a_class():
    a, b = parametrized(ag, Doubled), parametrized(ag, Symmetric)
    assert type(a) is not type(b) and not ag.equal(a.weight, a.weight.T) and ag.equal(b.weight, b.weight.T)


@LIBS
def test_refusals(lib):
    utils = lib.nn.utils.parametrize
    layer = lib.nn.Linear(3, 3)
    before = layer.weight.detach().clone()
    for do, error, message in (
        (lambda: utils.register_parametrization(layer, "nothing", _class(Doubled, lib)), ValueError, "does not have a parameter"),
        (lambda: utils.register_parametrization(layer, "weight", _class(Shorter, lib)), ValueError, "may not change the shape"),
        (lambda: utils.remove_parametrizations(layer, "weight"), ValueError, "does not have a parametrization"),
        (lambda: setattr(parametrized(lib, NoInverse), "weight", before), RuntimeError, "right_inverse"),
        (lambda: utils.remove_parametrizations(parametrized(lib, Product), "weight", False), ValueError, "Cannot leave"),
        (lambda: pickle.dumps(parametrized(lib, Doubled)), RuntimeError, "state_dict"),
        (lambda: lib.nn.utils.parametrizations.spectral_norm(layer, n_power_iterations=0), ValueError, "to be positive"),
        (lambda: lib.nn.utils.parametrizations.spectral_norm(layer, name="x"), ValueError, "no parameter or buffer"),
        (lambda: lib.nn.utils.remove_spectral_norm(layer), ValueError, "not found in"),
    ):
        with pytest.raises(error, match=message):
            do()
    assert bool((layer.weight == before).all())
    assert parametrized(lib, Shorter, unsafe=True).weight.shape == (2, 3)


def test_copies_are_apart():
    layer = parametrized(ag, Doubled)
    other = copy.deepcopy(layer)
    with ag.no_grad():
        other.parametrizations.weight.original.zero_()
    assert float(other.weight.abs().sum()) == 0 != float(layer.weight.abs().sum())
    other.weight = ag.ones(3, 3)
    assert other.weight.tolist() == [[1.0] * 3] * 3


def test_cached_computes_once():
    calls = []

    class Counting(nn.Module):
        def forward(self, x):
            calls.append(1)
            return x * 1

    layer = nn.Linear(2, 2)
    parametrize.register_parametrization(layer, "weight", Counting())
    calls.clear()
    with parametrize.cached():
        (layer(ag.ones(1, 2)) + layer(ag.ones(1, 2))).sum().backward()
        assert len(calls) == 1
    layer(ag.ones(1, 2))
    assert len(calls) == 2


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_old_states_load_into_the_new_weight_norm():
    before, after = nn.utils.weight_norm(nn.Linear(3, 2)), nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    after.load_state_dict(before.state_dict())
    x = ag.ones(1, 3)
    assert ag.allclose(before(x), after(x))


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
def test_old_forms_go_away_again(name):
    layer = getattr(nn.utils, name)(nn.Linear(3, 2)).eval()
    with pytest.raises(RuntimeError, match="Cannot register two"):
        getattr(nn.utils, name)(layer)
    y = layer(ag.ones(1, 3))
    getattr(nn.utils, f"remove_{name}")(layer)
    assert [n for n, _ in layer.named_parameters()] == ["bias", "weight"] and not layer._forward_pre_hooks
    assert ag.allclose(layer(ag.ones(1, 3)), y)


def test_gradients_of_two_forwards_under_spectral_norm():
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2))
    (layer(ag.ones(1, 3)) - layer(ag.zeros(1, 3))).sum().backward()
    assert layer.parametrizations.weight.original.grad is not None


def test_transfer():
    a, b = parametrized(ag, Product), nn.Linear(3, 3)
    parametrize.transfer_parametrizations_and_params(a, b)
    assert ag.equal(a.weight, b.weight) and parametrize.type_before_parametrizations(b) is nn.Linear


@pytest.mark.parametrize("which", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
@pytest.mark.parametrize("trivialization", [True, False])
def test_orthogonal_weights_learn_as_pytorchs(which, shape, trivialization):
    if which == "householder" and not trivialization:
        with pytest.raises(NotImplementedError, match="use_trivialization=True only"):
            nn.utils.parametrizations.orthogonal(nn.Linear(2, 3), orthogonal_map=which, use_trivialization=False)
        return
    ag.manual_seed(0)
    wrap = new("orthogonal", orthogonal_map=which, use_trivialization=trivialization)
    ours, theirs = pair(lambda lib: wrap(lib, lib.nn.Linear(*shape, dtype=lib.float64)))
    x = np.random.default_rng(0).normal(size=(5, shape[0]))
    for net, lib in ((ours, ag), (theirs, torch)):
        optimizer = lib.optim.SGD(net.parameters(), lr=0.005)
        for _ in range(3):
            optimizer.zero_grad()
            (net(lib.tensor(x)) ** 3).sum().backward()
            optimizer.step()
    same(ours.weight, theirs.weight, rtol=1e-4)
    w = ours.weight.detach()
    small = w @ w.T if shape[1] <= shape[0] else w.T @ w
    same(small, torch.eye(min(shape), dtype=torch.float64), rtol=1e-4)


def test_orthogonal_starts_next_to_the_weight_and_takes_a_new_one():
    layer = nn.Linear(3, 3)
    u, _, vh = ag.linalg.svd(layer.weight.detach())
    with ag.no_grad():
        layer.weight.copy_(u @ vh)
    before = layer.weight.detach().clone()
    nn.utils.parametrizations.orthogonal(layer)
    same(layer.weight, torch.tensor(before.numpy()), rtol=1e-4)
    layer.weight = ag.eye(3)[[2, 0, 1]]
    same(layer.weight, torch.eye(3)[[2, 0, 1]])
    with pytest.raises(ValueError, match="Got a tensor of 1 dimensions"):
        nn.utils.parametrizations.orthogonal(nn.Linear(2, 2), "bias")
    with pytest.raises(ValueError, match="has to be one of"):
        nn.utils.parametrizations.orthogonal(nn.Linear(2, 2), orthogonal_map="qr")
