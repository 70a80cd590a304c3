"""Containers: the same program run with this package and with PyTorch must print, list and refuse the same."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import pytest

import autograd_gpu as ag
from autograd_gpu import nn

torch = pytest.importorskip("torch")


def layers(lib, *sizes):
    return [lib.nn.Linear(n, n) for n in sizes]


def sequential(lib):
    a, b, c = layers(lib, 1, 2, 3)
    net = lib.nn.Sequential(a, b)
    yield net, len(net), [m is n for m, n in zip(net, (a, b), strict=True)]
    yield (net + lib.nn.Sequential(c)), net * 2, 2 * net
    net *= 2
    yield net, list(dict(net.named_children()))
    net.insert(1, c)
    yield net, net[1] is c, net[-1] is b
    yield net[1:3], type(net[:2]).__name__
    net[0] = lib.nn.ReLU()
    del net[1:3]
    yield net, net.pop(0), net
    net.append(c).extend([a, b])
    yield net
    named = lib.nn.Sequential(OrderedDict([("in", a), ("out", c)]))
    named.add_module("act", lib.nn.Tanh())
    yield named, named[0] is a, named.act, list(named.state_dict()), named[1:]


def module_list(lib):
    a, b, c = layers(lib, 1, 2, 2)
    items = lib.nn.ModuleList([a, b, c])
    yield items, len(items), a in items, lib.nn.ReLU() in items
    items.extend(layers(lib, 2, 1, 1)).append(lib.nn.Sequential(lib.nn.ReLU(), lib.nn.ReLU()))
    items.append(copy.deepcopy(items[-1]))
    yield items, list(items.state_dict()), items[2:5], items[-2]
    items.insert(0, lib.nn.ModuleList())
    items[1] = lib.nn.Identity()
    del items[2]
    yield items, items.pop(-1), items.pop(0), len(items)
    items += [lib.nn.ReLU()]
    yield items, items + [a], [name for name, _ in items.named_parameters()]


def module_dict(lib):
    a, b, c = layers(lib, 1, 2, 3)
    parts = lib.nn.ModuleDict({"b": b, "a": a})
    yield parts, len(parts), list(parts), "a" in parts, "c" in parts, list(parts.keys()), [m is b for m in parts.values()]
    parts["c"] = c
    parts.update([("d", lib.nn.ReLU()), ["e", lib.nn.Tanh()]])
    yield parts, list(parts.state_dict()), [k for k, _ in parts.items()]
    yield parts.pop("d"), parts
    del parts["a"]
    yield parts, lib.nn.ModuleDict(parts), lib.nn.ModuleDict([("x", a)])
    parts.clear()
    yield parts, lib.nn.ModuleDict(None)


def parameter_list(lib):
    ones, twos = lib.ones(2), lib.nn.Parameter(lib.ones(3, 1) * 2)
    values = lib.nn.ParameterList([ones, twos])
    yield len(values), values[1] is twos, type(values[0]).__name__, values[0].requires_grad
    values.append(lib.zeros(1)).extend([lib.ones(1), 5])
    yield len(values), [name for name, _ in values.named_parameters()], values[-1], list(values.state_dict())
    values[0] = lib.zeros(2)
    values += [lib.ones(2)]
    yield [v if isinstance(v, int) else v.tolist() for v in values], len(values[1:3]), type(values[1:3]).__name__
    yield sum(p.numel() for p in values.parameters())


def parameter_dict(lib):
    values = lib.nn.ParameterDict({"b": lib.ones(2), "a": lib.zeros(1)})
    values["c"] = lib.nn.Parameter(lib.ones(2, 2))
    values.update({"d": 7})
    yield list(values), len(values), [name for name, _ in values.named_parameters()], values["d"], "a" in values, "x" in values
    yield list(values.state_dict()), values.get("x"), values.get("x", 3), type(values["b"]).__name__
    yield values.setdefault("e", lib.zeros(1)).tolist(), values.pop("b").tolist(), list(values.keys()), list(reversed(values))
    both = values | lib.nn.ParameterDict({"z": lib.ones(1)})
    values |= {"y": lib.ones(1)}
    yield list(both), list(values), both.popitem()[0], list(both), list(values.copy()), [k for k, _ in values.items()]
    yield list(values.fromkeys(["p", "q"], 1).values())
    del values["a"]
    yield list(values), values["c"].requires_grad
    values.clear()
    yield len(values), [k for k, _ in lib.nn.ParameterDict([("m", lib.ones(1))]).items()]


def shown(x):
    """Modules as they print, and tuples of them."""
    return tuple(map(shown, x)) if isinstance(x, tuple) else repr(x)


@pytest.mark.parametrize("program", [sequential, module_list, module_dict, parameter_list, parameter_dict])
def test_the_same_program(program):
    steps = 0
    for ours, theirs in zip(program(ag), program(torch), strict=True):
        assert shown(ours) == shown(theirs)
        steps += 1
    assert steps >= 4


REFUSED = {
    "index": (lambda lib: lib.nn.Sequential(lib.nn.ReLU())[3], IndexError, "out of range"),
    "list index": (lambda lib: lib.nn.ModuleList()[0], IndexError, "out of range"),
    "parameter index": (lambda lib: lib.nn.ParameterList([])[-1], IndexError, "out of range"),
    "no module": (lambda lib: lib.nn.Sequential(3), TypeError, "is not a Module subclass"),
    "no module in a list": (lambda lib: lib.nn.ModuleList([3]), TypeError, "is not a Module subclass"),
    "extend": (lambda lib: lib.nn.ModuleList().extend(3), TypeError, "should be called with an iterable"),
    "extend parameters": (lambda lib: lib.nn.ParameterList().extend(lib.ones(2)), TypeError, "should be called with an iterable"),
    "plus": (lambda lib: lib.nn.Sequential() + 3, ValueError, "supports only objects of Sequential"),
    "times": (lambda lib: lib.nn.Sequential() * 0, ValueError, "Non-positive multiplication factor 0"),
    "dotted": (lambda lib: lib.nn.ModuleDict({"a.b": lib.nn.ReLU()}), KeyError, 'contain "."'),
    "method's name": (lambda lib: lib.nn.ModuleDict({"keys": lib.nn.ReLU()}), KeyError, "already exists"),
    "parameter with a method's name": (lambda lib: lib.nn.ParameterDict({"keys": lib.ones(1)}), KeyError, "already exists"),
    "parameter with a dot": (lambda lib: lib.nn.ParameterDict({"a.b": lib.ones(1)}), KeyError, 'contain "."'),
    "update": (lambda lib: lib.nn.ModuleDict().update(3), TypeError, "iterable of key/value pairs"),
    "pair": (lambda lib: lib.nn.ModuleDict([("a", lib.nn.ReLU(), 1)]), ValueError, "has length 3; 2 is required"),
    "key": (lambda lib: lib.nn.ParameterDict().__setitem__(1, lib.ones(1)), TypeError, "cannot be used as a key"),
    "missing": (lambda lib: lib.nn.ModuleDict()["a"], KeyError, "a"),
    "call a list": (lambda lib: lib.nn.ParameterList()(1), RuntimeError, "should not be called"),
    "call a dict": (lambda lib: lib.nn.ParameterDict()(1), RuntimeError, "should not be called"),
    "call modules": (lambda lib: lib.nn.ModuleList()(1), NotImplementedError, "forward"),
    "unflatten": (lambda lib: lib.nn.Unflatten(1, 3), TypeError, "unflattened_size must be"),
    "unflatten by": (lambda lib: lib.nn.Unflatten(1, (2, "a")), TypeError, "found element of type str at pos 1"),
}


@pytest.mark.parametrize("lib", [ag, torch], ids=["ours", "theirs"])
@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case, lib):
    do, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        do(lib)


def test_parameters_print_their_sizes():
    values = [ag.ones(2, 3), 5]
    assert repr(nn.ParameterList(values)) == (
        "ParameterList(\n    (0): Parameter containing: [float32 of size 2x3]\n    (1): Object of type: int\n)"
    )
    assert repr(nn.ParameterDict({"a": values[0]})) == "ParameterDict(  (a): Parameter containing: [float32 of size 2x3])"
    assert repr(torch.nn.ParameterList([torch.ones(2, 3), 5])).replace("torch.", "") == repr(nn.ParameterList(values))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies(duplicate):
    net = nn.ModuleDict({"list": nn.ParameterList([ag.ones(2)]), "dict": nn.ParameterDict({"w": ag.ones(1)})})
    other = duplicate(net)
    assert list(other.state_dict()) == list(net.state_dict()) == ["list.0", "dict.w"]
    assert other["list"][0] is not net["list"][0] and other["dict"]["w"].item() == 1


def test_flatten_and_unflatten():
    for lib in (ag, torch):
        x = lib.arange(24.0).reshape(2, 3, 4)
        flat = lib.nn.Flatten()(x)
        assert flat.shape == (2, 12) and lib.nn.Flatten(0, 1)(x).shape == (6, 4)
        back = lib.nn.Unflatten(1, (3, -1))(flat)
        assert bool((back == x).all())
    assert repr(nn.Unflatten(1, (3, 4))) == repr(torch.nn.Unflatten(1, (3, 4)))
    assert repr(nn.Flatten(0)) == repr(torch.nn.Flatten(0))


def test_a_user_module_in_a_sequential_is_called_and_not_only_its_forward():
    class Doubling(nn.Module):
        def __call__(self, x):
            return super().__call__(x) * 2

        def forward(self, x):
            return x + 1

    assert nn.Sequential(Doubling(), nn.Identity())(ag.tensor(1.0)).item() == 4
