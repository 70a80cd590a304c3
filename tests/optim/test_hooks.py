"""Hooks of steps and of states, names of parameters, and what an optimizer leaves behind."""

from __future__ import annotations

import copy
import gc
import weakref

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.optim import SGD, Adam
from autograd_gpu.optim import optimizer as module


def one() -> tuple:
    w = ag.ones(2, requires_grad=True)
    w.grad = ag.ones(2)
    return w, Adam([w], lr=0.5)


def test_step_hooks():
    w, optimizer = one()
    seen: list = []
    optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(("before", o is optimizer, w.array[0])))
    handle = optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("after", args, kwargs, w.array[0].round(3))))
    optimizer.step()
    assert seen == [("before", True, 1.0), ("after", (), {}, 0.5)]
    handle.remove()
    optimizer.step()
    assert len(seen) == 3


def test_a_pre_hook_replaces_the_arguments():
    w, optimizer = one()
    handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: ((lambda: 7.0,), {}))
    assert optimizer.step() == 7.0
    handle.remove()
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match="must return None or a tuple of"):
        optimizer.step()


def test_hooks_of_all_optimizers():
    w, optimizer = one()
    seen: list = []
    handles = [
        module.register_optimizer_step_pre_hook(lambda o, args, kwargs: seen.append("before")),
        module.register_optimizer_step_post_hook(lambda o, args, kwargs: seen.append("after")),
    ]
    try:
        later = SGD([w])
        optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("own"))
        optimizer.step()
        later.step()
    finally:
        for handle in handles:
            handle.remove()
    assert seen == ["before", "own", "after", "before", "after"]
    later.step()
    assert len(seen) == 5


def test_state_dict_hooks():
    _, optimizer = one()
    seen: list = []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append(2))
    optimizer.register_state_dict_pre_hook(lambda o: seen.append(1), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "extra": 5})
    optimizer.register_state_dict_post_hook(lambda o, state: None)
    state = optimizer.state_dict()
    assert seen == [1, 2] and state["extra"] == 5
    optimizer.register_load_state_dict_pre_hook(lambda o, s: {"state": {}, "param_groups": [{**s["param_groups"][0], "lr": 9.0}]})
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append(o.param_groups[0]["lr"]))
    optimizer.load_state_dict(state)
    assert seen[-1] == 9.0 and state["param_groups"][0]["lr"] == 0.5


def test_hooks_and_copies():
    """Copies have no hooks, as in PyTorch, and work."""
    w, optimizer = one()
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 1 / 0)
    other = copy.deepcopy(optimizer)
    (v,) = other.param_groups[0]["params"]
    v.grad = ag.ones(2)
    other.step()
    np.testing.assert_allclose(v.array, 0.5, rtol=1e-6)
    np.testing.assert_array_equal(w.array, 1.0)


@pytest.mark.parametrize("kind", ["Adam", "NAdam", "ASGD", "Rprop"])
def test_is_freed_without_the_collector(kind):
    """An optimizer that was stepped and scheduled goes when its last name does: state as large as the parameters is in it."""
    w, _ = one()
    gc.collect()
    gc.disable()
    try:
        optimizer = getattr(ag.optim, kind)([w])
        optimizer.register_step_post_hook(lambda o, args, kwargs: None)
        ag.optim.lr_scheduler.StepLR(optimizer, 2)
        optimizer.step()
        gone = weakref.ref(optimizer)
        del optimizer
        assert gone() is None
    finally:
        gc.enable()


def test_named_parameters():
    torch = pytest.importorskip("torch")
    model, theirs = ag.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    optimizer, oracle = (o.Adam(m.named_parameters()) for o, m in ((ag.optim, model), (torch.optim, theirs)))
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    assert oracle.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    unnamed = Adam(model.parameters())
    state = unnamed.state_dict()
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match="cannot add param group without names"):
        optimizer.add_param_group({"params": [ag.ones(1)]})


def test_state_of_no_parameter_is_kept():
    w, optimizer = one()
    state = optimizer.state_dict()
    state["state"][17] = {"note": [1, 2]}
    optimizer.load_state_dict(state)
    assert optimizer.state_dict()["state"][17] == {"note": [1, 2]}
    optimizer.step()
