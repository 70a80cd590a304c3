"""The dicts `_parameters`, `_buffers` and `_modules`: what is changed in them is changed in the module."""

from __future__ import annotations

import copy
import pickle

import pytest

import autograd_gpu as ag
from autograd_gpu import nn


def net() -> nn.Module:
    ag.manual_seed(0)
    model = nn.Module()
    model.first, model.second = nn.Linear(2, 3), nn.Linear(3, 1)
    model.register_buffer("mean", ag.zeros(2))
    return model


def _set(d, name, value):
    d[name] = value


def _or(d, name, value):
    d |= {name: value}


@pytest.mark.parametrize("put", [_set, _or, lambda d, n, v: d.update({n: v}), lambda d, n, v: d.update(**{n: v})])
def test_what_is_put_in_is_an_attribute(put):
    model, layer = net(), nn.Tanh()
    put(model._modules, "second", layer)
    assert model.second is layer and list(model._modules) == ["first", "second"]
    weight = nn.Parameter(ag.ones(3, 2))
    put(model.first._parameters, "weight", weight)
    assert model.first.weight is weight
    model.first(ag.ones(2)).sum().backward()
    assert ag.equal(weight.grad, ag.ones(3, 2))
    put(model._buffers, "mean", ag.ones(2))
    assert ag.equal(model.mean, ag.ones(2))


@pytest.mark.parametrize(
    "take", [lambda d: d.pop("second"), lambda d: d.popitem(), lambda d: d.clear(), lambda d: d.__delitem__("second")]
)
def test_what_is_taken_out_is_no_attribute(take):
    model = net()
    take(model._modules)
    assert not hasattr(model, "second") and "second" not in model._modules


def test_pop_and_setdefault_as_of_any_dict():
    model = net()
    assert model._modules.pop("none", 5) == 5
    with pytest.raises(KeyError):
        model._modules.pop("none")
    first = model.first
    assert model._modules.setdefault("first", nn.ReLU()) is first
    third = model._modules.setdefault("third", nn.ReLU())
    assert model.third is third


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), copy.copy])
def test_copies_have_dicts_of_their_own(copied):
    model = net()
    other = copied(model)
    kept = model.first
    other._modules["first"] = nn.ReLU()
    assert type(other.first) is nn.ReLU and model.first is kept and model._modules["first"] is kept
    del other.second
    assert list(other._modules) == ["first"] and list(model._modules) == ["first", "second"]
    with pytest.raises(AttributeError):
        del other.second
