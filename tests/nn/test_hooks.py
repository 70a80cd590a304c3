"""Hooks of modules: when they are called, with what, and what they may replace, as in PyTorch."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.nn.modules import module as everywhere

torch = pytest.importorskip("torch")


def logged(lib, nn, kind, register):
    """What hooks saw, in order, in a forward and a backward of a small network."""
    log = []

    def short(x):
        if isinstance(x, (tuple, list)):
            return tuple(short(y) for y in x)
        return np.asarray(x.detach().numpy()).round(4).tolist() if hasattr(x, "detach") else x

    class Both(nn.Module):
        def forward(self, x, y, flag, scale=1.0):
            return x * y * scale, x + y if flag else None, flag

    net = Both()
    register(net, lambda *given: log.append((kind, *(short(g) for g in given[1:]))))
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    y = lib.tensor([3.0, 5.0])
    out, total, _ = net(x * 2, y, True, scale=2.0)
    (out.sum() + 3 * total.sum()).backward()
    log.append(short(x.grad))
    return log


REGISTER = {
    "pre": lambda net, hook: net.register_forward_pre_hook(hook),
    "pre with kwargs": lambda net, hook: net.register_forward_pre_hook(hook, with_kwargs=True),
    "forward": lambda net, hook: net.register_forward_hook(hook),
    "forward with kwargs": lambda net, hook: net.register_forward_hook(hook, with_kwargs=True),
    "backward": lambda net, hook: net.register_full_backward_hook(hook),
    "backward pre": lambda net, hook: net.register_full_backward_pre_hook(hook),
}


@pytest.mark.parametrize("kind", REGISTER)
def test_what_hooks_are_given(kind):
    ours, theirs = (logged(lib, lib.nn, kind, REGISTER[kind]) for lib in (ag, torch))
    assert len(ours) == 2 and ours == theirs


def chain(lib, register):
    """The gradient of the input of two linear layers and a tanh, under hooks."""
    lib.manual_seed(0)
    net = lib.nn.Sequential(lib.nn.Linear(2, 2), lib.nn.Tanh(), lib.nn.Linear(2, 1))
    with lib.no_grad():
        for p in net.parameters():
            p.fill_(0.5)
    register(net)
    x = lib.tensor([[1.0, -2.0]], requires_grad=True)
    net(x).sum().backward()
    return [x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]


REPLACING = {
    "inputs": lambda net: net[1].register_full_backward_hook(lambda m, gi, go: (gi[0] * 2 + go[0],)),
    "one after the other": lambda net: [
        net[2].register_full_backward_hook(lambda m, gi, go: (gi[0] + 1,)),
        net[2].register_full_backward_hook(lambda m, gi, go: (gi[0] * 3,)),
    ],
    "prepended": lambda net: [
        net[2].register_full_backward_hook(lambda m, gi, go: (gi[0] + 1,)),
        net[2].register_full_backward_hook(lambda m, gi, go: (gi[0] * 3,), prepend=True),
    ],
    "outputs": lambda net: net[0].register_full_backward_pre_hook(lambda m, go: (go[0] * 5,)),
    "outputs, then inputs": lambda net: [
        net[1].register_full_backward_pre_hook(lambda m, go: (go[0] * 5,)),
        net[1].register_full_backward_hook(lambda m, gi, go: (go[0],)),
    ],
    "of the whole": lambda net: net.register_full_backward_hook(lambda m, gi, go: (gi[0] * 0 + 7,)),
    "arguments": lambda net: net[1].register_forward_pre_hook(lambda m, args: args[0] * 2),
    "kwargs": lambda net: net[1].register_forward_pre_hook(lambda m, args, kw: ((args[0] - 1,), kw), with_kwargs=True),
    "output": lambda net: net[1].register_forward_hook(lambda m, args, out: out * args[0]),
    "prepended forward": lambda net: [
        net[1].register_forward_hook(lambda m, args, out: out + 1),
        net[1].register_forward_hook(lambda m, args, out: out * 3, prepend=True),
    ],
}


@pytest.mark.parametrize("case", REPLACING)
def test_what_hooks_replace(case):
    for ours, theirs in zip(chain(ag, REPLACING[case]), chain(torch, REPLACING[case]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lib", [ag, torch], ids=["ours", "theirs"])
def test_backward_hooks_where_no_input_needs_a_gradient(lib):
    layer, seen = lib.nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, len(go))))
    with pytest.warns(UserWarning, match="no inputs require grad"):
        layer(lib.ones(1, 2)).sum().backward()
    assert seen == [((None,), 1)]
    layer.register_full_backward_hook(lambda m, gi, go: go)
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="should always return None"):
        layer(lib.ones(1, 2)).sum().backward()
    with lib.no_grad():
        assert not layer(lib.ones(1, 2)).requires_grad


@pytest.mark.parametrize("lib", [ag, torch], ids=["ours", "theirs"])
def test_refusals(lib):
    def run(register):
        layer = lib.nn.Tanh()
        register(layer)
        layer(lib.ones(2, requires_grad=True)).sum().backward()

    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
        run(lambda layer: layer.register_full_backward_hook(lambda m, gi, go: gi * 2))
    with pytest.raises(RuntimeError, match="invalid number of grad_output, got 2, but expected 1"):
        run(lambda layer: layer.register_full_backward_pre_hook(lambda m, go: go * 2))
    with pytest.raises(RuntimeError, match="tuple of .new_args, new_kwargs."):
        run(lambda layer: layer.register_forward_pre_hook(lambda m, args, kw: args, with_kwargs=True))


@pytest.mark.parametrize("lib", [ag, torch], ids=["ours", "theirs"])
def test_hooks_that_are_always_called(lib):
    seen = []

    class Fails(lib.nn.Module):
        def forward(self, x):
            raise ValueError("no")

    net = Fails()
    net.register_forward_hook(lambda m, args, out: seen.append("only after success"))
    net.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    net.register_forward_hook(lambda m, args, out: 1 / 0, always_call=True)
    with pytest.warns(UserWarning, match="silenced"), pytest.raises(ValueError, match="no"):
        net(1)
    assert seen == [None]


def test_second_order_goes_through_hooks():
    results = []
    for lib in (ag, torch):
        net = lib.nn.Tanh()
        net.register_full_backward_hook(lambda m, gi, go: (gi[0] * go[0],))
        x = lib.tensor([0.5, -1.0], requires_grad=True)
        (g,) = lib.autograd.grad((net(x) ** 2).sum(), x, create_graph=True)
        g.sum().backward()
        results.append(x.grad.numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5)


def test_hooks_of_all_modules():
    logs = []
    for lib, place in ((ag, everywhere), (torch, torch.nn.modules.module)):
        log = []
        net = lib.nn.Sequential(lib.nn.Tanh(), lib.nn.Tanh())
        handles = [
            place.register_module_forward_pre_hook(lambda m, args, log=log: log.append(("pre", type(m).__name__))),
            place.register_module_forward_hook(lambda m, args, out, log=log: log.append(("after", type(m).__name__))),
            place.register_module_full_backward_pre_hook(lambda m, go, log=log: log.append(("back", type(m).__name__))),
            place.register_module_full_backward_hook(lambda m, gi, go, log=log: log.append(("backed", type(m).__name__))),
        ]
        net(lib.ones(2, requires_grad=True)).sum().backward()
        for handle in handles:
            handle.remove()
        seen = len(log)
        net(lib.ones(2, requires_grad=True)).sum().backward()
        assert len(log) == seen == 12
        logs.append(log)
    assert logs[0] == logs[1]
    assert not nn.Module._hooked


def test_removed_hooks_are_not_called_and_copies_keep_theirs():
    layer, seen = nn.Tanh(), []
    handle = layer.register_forward_hook(lambda m, args, out: seen.append(m))
    other = copy.deepcopy(layer)
    handle.remove()
    layer(ag.ones(1))
    other(ag.ones(1))
    assert seen == [other]
    layer.register_forward_hook(print_nothing)
    assert len(pickle.loads(pickle.dumps(layer))._forward_hooks) == 1


def print_nothing(module, args, output):
    pass


# -- state_dict ------------------------------------------------------------------------------------------------------------


def test_state_dict_hooks():
    logs = []
    for lib in (ag, torch):
        log = []
        net = lib.nn.Sequential(lib.nn.Linear(1, 1))
        net[0].register_state_dict_pre_hook(lambda m, prefix, keep, log=log: log.append(("pre", prefix, keep)))
        net[0].register_state_dict_post_hook(lambda m, state, prefix, meta: state.update({prefix + "extra": 1}))
        net.register_load_state_dict_post_hook(lambda m, keys, log=log: log.append(("post", *map(list, keys))))
        net[0].register_load_state_dict_pre_hook(
            lambda m, state, prefix, meta, strict, missing, unexpected, errors, log=log: (
                state.pop(prefix + "extra", None),
                log.append((prefix, strict, meta.get("version"))),
            )
        )
        state = net.state_dict()
        assert list(state) == ["0.weight", "0.bias", "0.extra"]
        net.load_state_dict(state)
        del state["0.weight"]
        net.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
        net.load_state_dict(state)
        logs.append(log)
    assert logs[0] == logs[1] and len(logs[0]) == 5


def test_a_post_hook_may_not_return():
    net = nn.Tanh()
    net.register_state_dict_post_hook(lambda *given: {})
    with pytest.raises(RuntimeError, match="must return None"):
        net.state_dict()
    net = nn.Tanh()
    net._register_state_dict_hook(lambda *given: {"mine": 1})
    assert net.state_dict() == {"mine": 1}
