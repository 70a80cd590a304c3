"""What all optimizers share: groups of parameters with their options, the state, and saving and loading them."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from ..core.graph import NO_GRAD, mode, set_mode, touch
from ..core.tensor import Tensor


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
        if given and all(isinstance(p, tuple) for p in given):  # as named_parameters() gives them
            group["param_names"] = [name for name, _ in given]
            given = [p for _, p in given]
        for p in given:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        group["params"] = given
        for name, default in self.defaults.items():
            group.setdefault(name, default)
        known = {id(p) for other in self.param_groups for p in other["params"]}
        if len({id(p) for p in given}) < len(given) or any(id(p) in known for p in given):
            raise ValueError("some parameters appear in more than one parameter group, or twice in one")
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

    # -- saving and loading ----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state and the options, with parameters given by their number, in the layout of PyTorch. Tensors are not copied."""
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            groups.append({**group, "params": [numbers[id(p)] for p in group["params"]]})
            groups[-1]["params"] = groups[-1].pop("params")  # last, as PyTorch has it
        state = {numbers[id(p)]: dict(held) for p, held in self.state.items() if id(p) in numbers}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state and the options that `state_dict` of an optimizer of the same parameters gave.

        Raises ValueError if its groups are not as many or as large as those of this optimizer."""
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
            p = by_number[number]
            state[p] = {name: _copied(name, value, p) for name, value in held.items()}
        self.state = state
        for theirs, ours in zip(saved, self.param_groups, strict=True):
            ours.update({name: copy.deepcopy(value) for name, value in theirs.items() if name != "params"})
        self._reset()

    def _reset(self) -> None:
        """Called when the state was replaced."""

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def _copied(name: str, value: Any, p: Tensor) -> Any:
    """A copy of a piece of state, in the dtype of its parameter; step counts keep theirs."""
    if not isinstance(value, Tensor):
        return copy.deepcopy(value)
    if name == "step":
        return Tensor(value.array.copy())
    if value.array.shape != p.array.shape and value.array.ndim == p.array.ndim:
        raise ValueError(
            f"loaded state dict has a {name} of shape {list(value.array.shape)} for a parameter of shape {list(p.array.shape)}"
        )
    return Tensor(value.array.astype(p.array.dtype))
