"""What all optimizers share: groups of parameters with their options, the state, and saving and loading them."""

from __future__ import annotations

import copy
import functools
import warnings
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..core.graph import NO_GRAD, mode, set_mode, touch
from ..core.tensor import Handle, Tensor

_everywhere: dict[str, dict] = {"before": {}, "after": {}}  # hooks of steps that all optimizers share
_alive: weakref.WeakSet[Optimizer] = weakref.WeakSet()


def _register_everywhere(when: str, hook: Callable) -> Handle:
    for optimizer in _alive:
        optimizer._watch()
    return Handle(_everywhere[when], hook)


def register_optimizer_step_pre_hook(hook: Callable) -> Handle:
    """Call `hook(optimizer, args, kwargs)` before every step of every optimizer. It may return (args, kwargs) to take the place
    of those given.

    >>> import autograd_gpu as ag
    >>> handle = ag.optim.optimizer.register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: print("a step"))
    >>> optimizer = ag.optim.SGD([ag.zeros(1, requires_grad=True)])
    >>> optimizer.step()
    a step
    >>> handle.remove()
    """
    return _register_everywhere("before", hook)


def register_optimizer_step_post_hook(hook: Callable) -> Handle:
    """Call `hook(optimizer, args, kwargs)` after every step of every optimizer.

    >>> import autograd_gpu as ag
    >>> handle = ag.optim.optimizer.register_optimizer_step_post_hook(lambda optimizer, args, kwargs: print("done"))
    >>> optimizer = ag.optim.SGD([ag.zeros(1, requires_grad=True)])
    >>> optimizer.step()
    done
    >>> handle.remove()
    """
    return _register_everywhere("after", hook)


def _first(hooks: dict, handle: Handle) -> None:
    """Move the hook just registered to the front."""
    key = handle._key
    hook = hooks.pop(key)
    rest = dict(hooks)
    hooks.clear()
    hooks.update({key: hook, **rest})


class Optimizer:
    """Base class of all optimizers.

    params    an iterable of Tensors, or of dicts that each give a group its own options: {"params": ..., "lr": 0.1}
    defaults  the options of groups that do not say otherwise

    A subclass defines `step`. What it keeps of a parameter p lies in `self.state[p]`, a dict."""

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]):
        if isinstance(params, Tensor):
            raise TypeError("params argument given to the optimizer should be an iterable of Tensors or dicts, but got a Tensor")
        self.defaults = defaults
        self.state: dict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._begin()
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: a dict with "params" and the options in which it differs from the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group).__name__}")
        group = dict(param_group)
        given = group["params"]
        if isinstance(given, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but a set has no order: use a list"
            )
        given = [given] if isinstance(given, Tensor) else list(given)
        named = [p for p in given if isinstance(p, tuple)]  # as named_parameters() gives them
        if named:
            if len(named) < len(given):
                raise ValueError("all optimizer params should be with/without names. Some param names are missing")
            group["param_names"] = [name for name, _ in given]
            given = [p for _, p in given]
        if self.param_groups and ("param_names" in group) != ("param_names" in self.param_groups[0]):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if 'param_names' in group else 'without'} names to the optimizer"
            )
        for p in given:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        group["params"] = given
        for name, default in self.defaults.items():
            group.setdefault(name, default)
        known = {id(p) for other in self.param_groups for p in other["params"]}
        if any(id(p) in known for p in given):
            raise ValueError("some parameters appear in more than one parameter group")
        if len({id(p) for p in given}) < len(given):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters: each step updates these more than once",
                stacklevel=3,
            )
        self.param_groups.append(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with set_to_none=False fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    try:
                        p.node.grad = None
                    except AttributeError:  # it does not require grad at the moment
                        p.grad = None
                elif (grad := p.grad) is not None:
                    grad.node = None
                    grad.array[...] = 0
                    touch(grad.array, "zero_grad")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters from their gradients. A closure, if given, is called first to compute them again; what it
        returns is returned."""
        raise NotImplementedError(f"{type(self).__name__} defines no step()")

    def _loss(self, closure: Callable[[], Any] | None) -> Any:
        """What the closure returns, called with gradients enabled."""
        if closure is None:
            return None
        before = set_mode(mode.state & ~NO_GRAD)
        try:
            return closure()
        finally:
            set_mode(before)

    # -- hooks -----------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """What an optimizer has beside its state and options: hooks, and whether `step` was called since it was watched."""
        self._hooks: dict[str, dict] = defaultdict(dict)
        self._opt_called = False
        _alive.add(self)
        if _everywhere["before"] or _everywhere["after"]:
            self._watch()

    def _watch(self) -> None:
        """From now on `step` runs hooks and is seen to be called. Before that a step pays nothing for them."""
        step = self.__dict__.get("step", type(self).step)
        if getattr(step, "_watched", False):
            return
        me, free = weakref.ref(self), "step" not in self.__dict__  # no strong reference, which would make a cycle

        @functools.wraps(step)
        def watched(*args: Any, **kwargs: Any) -> Any:
            self = me()
            for hook in (*_everywhere["before"].values(), *self._hooks["before"].values()):
                changed = hook(self, args, kwargs)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(f"{hook} must return None or a tuple of (new_args, new_kwargs), but got {changed}.")
                    args, kwargs = changed
            self._opt_called = True
            result = step(self, *args, **kwargs) if free else step(*args, **kwargs)
            for hook in (*self._hooks["after"].values(), *_everywhere["after"].values()):
                hook(self, args, kwargs)
            return result

        watched._watched = True
        self.step = watched

    def _register(self, when: str, hook: Callable, prepend: bool = False) -> Handle:
        handle = Handle(self._hooks[when], hook)
        if prepend:
            _first(self._hooks[when], handle)
        return handle

    def register_step_pre_hook(self, hook: Callable) -> Handle:
        """Call `hook(optimizer, args, kwargs)` before each step; what it returns, if not None, replaces (args, kwargs)."""
        self._watch()
        return self._register("before", hook)

    def register_step_post_hook(self, hook: Callable) -> Handle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        self._watch()
        return self._register("after", hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call `hook(optimizer)` before each `state_dict`."""
        return self._register("before saving", hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call `hook(optimizer, state_dict)` with what `state_dict` made; what it returns, if not None, is given instead."""
        return self._register("after saving", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call `hook(optimizer, state_dict)` before each `load_state_dict`; what it returns, if not None, is loaded instead."""
        return self._register("before loading", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call `hook(optimizer)` after each `load_state_dict`."""
        return self._register("after loading", hook, prepend)

    # -- saving and loading ----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state and the options, with parameters given by their number, in the layout of PyTorch. Tensors are not copied."""
        for hook in list(self._hooks["before saving"].values()):
            hook(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            groups.append({**group, "params": [numbers[id(p)] for p in group["params"]]})
            groups[-1]["params"] = groups[-1].pop("params")  # last, as PyTorch has it
        state = {numbers.get(id(p), p): dict(held) for p, held in self.state.items() if id(p) in numbers or isinstance(p, int)}
        packed: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in list(self._hooks["after saving"].values()):
            packed = _or(hook(self, packed), packed)
        return packed

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state and the options that `state_dict` of an optimizer of the same parameters gave, here or in PyTorch:
        arrays are taken as well as Tensors.

        Raises ValueError if its groups are not as many or as large as those of this optimizer."""
        state_dict = dict(state_dict)
        for hook in list(self._hooks["before loading"].values()):
            state_dict = _or(hook(self, state_dict), state_dict)
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"loaded state dict has {len(saved)} parameter groups and this optimizer has {len(self.param_groups)}"
            )
        for i, (theirs, ours) in enumerate(zip(saved, self.param_groups, strict=True)):
            if len(theirs["params"]) != len(ours["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: group "
                    f"{i} has {len(theirs['params'])} parameters there and {len(ours['params'])} here"
                )
        by_number = {
            number: p
            for theirs, ours in zip(saved, self.param_groups, strict=True)
            for number, p in zip(theirs["params"], ours["params"], strict=True)
        }
        state: dict[Tensor, dict[str, Any]] = defaultdict(dict)
        for number, held in state_dict["state"].items():
            p = by_number.get(number)
            if p is None:
                state[number] = copy.deepcopy(held)
            else:
                state[p] = {name: self._taken(name, value, p) for name, value in held.items()}
        self.state = state
        for theirs, ours in zip(saved, self.param_groups, strict=True):
            for name in [n for n in ours if n not in theirs and n not in (*self.defaults, "params", "param_names")]:
                del ours[name]  # as a scheduler's "initial_lr": the saved optimizer had none
            ours.update({name: copy.deepcopy(value) for name, value in theirs.items() if name != "params"})
        self._reset()
        for hook in list(self._hooks["after loading"].values()):
            hook(self)

    def _taken(self, name: str, value: Any, p: Tensor) -> Any:
        """A copy of a piece of state that was saved of p."""
        return _copied(name, value, p)

    def _reset(self) -> None:
        """Called when the state was replaced."""

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()
        self._reset()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def _copied(name: str, value: Any, p: Tensor) -> Any:
    """A copy of a piece of state, in the dtype and on the device of its parameter; numbers keep their dtype."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = Tensor(np.asarray(value))
    if not isinstance(value, Tensor):
        return copy.deepcopy(value)
    if name == "step" or (not value.array.shape and p.array.shape):
        return Tensor(value.array.copy())
    if value.array.shape != p.array.shape:
        raise ValueError(
            f"loaded state dict has a {name} of shape {list(value.array.shape)} for a parameter of shape {list(p.array.shape)}"
        )
    return Tensor(value.to(p.device).array.astype(p.array.dtype))


def _or(changed: Any, before: Any) -> Any:
    return before if changed is None else changed
