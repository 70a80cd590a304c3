"""Hooks of modules: functions called before and after forward, and with the gradients of inputs and outputs.

A module without hooks pays nothing for them: its flag `_hooked` is False, and a call goes straight to `forward`.

NOTE [Full backward hooks]
    A hook is to see the gradients of all inputs of a call together, and those of all its outputs. So the inputs, and the
    outputs, are each handed through an identity op (`_Pass`), whose backward has the gradients of all of them at once:
    1. backward comes to the outputs' identity first. Pre-hooks may replace the gradients there, and they are put by.
    2. It comes to the inputs' identity last, where the hooks are called with both and may replace those of the inputs.
    3. If no input needs a gradient there is no 2, and the hooks are called in 1, with None for the inputs.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from ..core.graph import NO_GRAD, mode
from ..core.tensor import Handle, Tensor
from ..function import Function

KINDS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
NONE: Any = MappingProxyType({})


class Hook(NamedTuple):
    """A hook and how it wants to be called."""

    call: Callable
    with_kwargs: bool = False
    always_call: bool = False


everywhere: dict[str, OrderedDict] = {kind: OrderedDict() for kind in KINDS}  # the hooks of all modules


class Hookable:
    """The part of Module that has to do with hooks."""

    _hooked = False  # whether there are hooks: without, a call pays nothing for them
    _forward_pre_hooks = _forward_hooks = _backward_pre_hooks = _backward_hooks = NONE

    forward: Callable

    def _hook(self, kind: str, hook: Hook, prepend: bool) -> Handle:
        if "_forward_hooks" not in self.__dict__:
            self.__dict__.update({kind: OrderedDict() for kind in KINDS}, _hooked=True)
        return _add(self.__dict__[kind], hook, prepend)

    def register_forward_pre_hook(self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False) -> Handle:
        """Call `hook(module, args)` before each forward; what it returns, if not None, replaces the arguments.

        with_kwargs   call `hook(module, args, kwargs)`, which returns None or (args, kwargs)
        prepend       call it before the hooks that are there"""
        return self._hook("_forward_pre_hooks", Hook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> Handle:
        """Call `hook(module, args, output)` after each forward; what it returns, if not None, replaces the output.

        with_kwargs   call `hook(module, args, kwargs, output)`
        always_call   call it, with None for the output, if forward raised
        prepend       call it before the hooks that are there"""
        return self._hook("_forward_hooks", Hook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the inputs are known: tuples, with None for what is
        no tensor or needs none. What it returns, if not None, replaces grad_input."""
        return self._hook("_backward_hooks", Hook(hook), prepend)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call `hook(module, grad_output)` when the gradients of the outputs are known; what it returns, if not None, replaces
        them."""
        return self._hook("_backward_pre_hooks", Hook(hook), prepend)

    def _hooks_of(self, kind: str) -> list[tuple[Any, Hook]]:
        return [*everywhere[kind].items(), *getattr(self, kind).items()]

    def _call_hooked(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        call = _Call(self, args, kwargs)
        try:
            return call.run()
        except Exception:
            call.run_what_always_runs()
            raise


def _add(hooks: OrderedDict, hook: Any, prepend: bool, handle: type[Handle] = Handle) -> Handle:
    made = handle(hooks, hook)
    if prepend:
        hooks.move_to_end(made._key, last=False)
    return made


class _Call:
    """One call of a module with hooks."""

    def __init__(self, module: Any, args: tuple, kwargs: dict[str, Any]):
        self.module, self.args, self.kwargs = module, args, kwargs
        self.result: Any = None
        self.called: set[Any] = set()  # keys of the forward hooks that were called

    def run(self) -> Any:
        module = self.module
        for _, hook in module._hooks_of("_forward_pre_hooks"):
            self._before(hook)
        hooks, pre_hooks = ([h.call for _, h in module._hooks_of(kind)] for kind in ("_backward_hooks", "_backward_pre_hooks"))
        watch = _Backward(module, hooks, pre_hooks) if hooks or pre_hooks else None
        if watch is not None:
            self.args = watch.inputs(self.args)
        self.result = module.forward(*self.args, **self.kwargs)
        for key, hook in module._hooks_of("_forward_hooks"):
            self.called.add(key)
            replaced = self._after(hook)
            if replaced is not None:
                self.result = replaced
        return self.result if watch is None else watch.outputs(self.result)

    def _before(self, hook: Hook) -> None:
        if not hook.with_kwargs:
            replaced = hook.call(self.module, self.args)
            if replaced is not None:
                self.args = replaced if isinstance(replaced, tuple) else (replaced,)
            return
        replaced = hook.call(self.module, self.args, self.kwargs)
        if replaced is not None:
            if not isinstance(replaced, tuple) or len(replaced) != 2:
                raise RuntimeError(f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {replaced}.")
            self.args, self.kwargs = replaced

    def _after(self, hook: Hook) -> Any:
        if hook.with_kwargs:
            return hook.call(self.module, self.args, self.kwargs, self.result)
        return hook.call(self.module, self.args, self.result)

    def run_what_always_runs(self) -> None:
        """Forward or a hook raised: call the hooks that are always called and have not been."""
        for key, hook in self.module._hooks_of("_forward_hooks"):
            if hook.always_call and key not in self.called:
                try:
                    self._after(hook)
                except Exception as error:
                    warnings.warn(
                        f"module forward hook with ``always_call=True`` raised an exception that was silenced as another error "
                        f"was raised in forward: {error}",
                        stacklevel=4,
                    )


class _Pass(Function):
    """The identity on some tensors; `watch` sees, and may replace, their gradients."""

    @staticmethod
    def forward(ctx: Any, watch: Callable, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.mark_non_differentiable(*(t for t in tensors if not t.requires_grad))
        ctx.watch = watch
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple:
        return (None, *ctx.watch(grads))


class _Backward:
    """The backward hooks of one call. See NOTE [Full backward hooks]."""

    def __init__(self, module: Any, hooks: list[Callable], pre_hooks: list[Callable]):
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.inputs_at: list[int] | None = None  # where the tensors are among the inputs; None: none needs a gradient
        self.grad_outputs: tuple | None = None

    def inputs(self, args: tuple) -> tuple:
        self.input_count = len(args)
        passed, self.inputs_at = _passed(self._at_inputs, args)
        return passed

    def outputs(self, result: Any) -> Any:
        results = result if isinstance(result, tuple) else (result,)
        self.output_count = len(results)
        passed, self.outputs_at = _passed(self._at_outputs, results)
        if results is not result:
            return passed[0]
        return result._make(passed) if hasattr(result, "_make") else passed

    def _at_outputs(self, grads: Sequence[Any]) -> list[Any]:
        self.grad_outputs = _among(self.output_count, self.outputs_at, grads)
        for hook in self.pre_hooks:
            self.grad_outputs = self._replaced(hook(self.module, self.grad_outputs), self.grad_outputs, "grad_output")
        given = self.grad_outputs
        if self.inputs_at is None and self.hooks:
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs require "
                "gradients.",
                stacklevel=2,
            )
            for hook in self.hooks:
                replaced = hook(self.module, (None,) * self.input_count, given)
                if replaced is not None and not (isinstance(replaced, tuple) and all(r is None for r in replaced)):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None for all "
                        "gradients."
                    )
            self.grad_outputs = None
        return [given[i] for i in self.outputs_at or ()]

    def _at_inputs(self, grads: Sequence[Any]) -> Sequence[Any]:
        if self.grad_outputs is None:  # backward did not come from the outputs
            return grads
        found = _among(self.input_count, self.inputs_at, grads)
        for hook in self.hooks:
            found = self._replaced(hook(self.module, found, self.grad_outputs), found, "grad_input")
        self.grad_outputs = None
        return [found[i] for i in self.inputs_at or ()]

    @staticmethod
    def _replaced(by: Any, grads: tuple, what: str) -> tuple:
        if by is None:
            return grads
        by = by if isinstance(by, tuple) else (by,)
        if len(by) != len(grads):
            raise RuntimeError(f"Backward hook returned an invalid number of {what}, got {len(by)}, but expected {len(grads)}")
        return by


def _passed(watch: Callable, values: tuple) -> tuple[tuple, list[int] | None]:
    """`values` with the tensors among them handed through a _Pass, and their places; None if there is nothing to watch."""
    places = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
    if mode.state & NO_GRAD or not any(values[i].node is not None for i in places):
        return values, None
    passed = list(values)
    for i, t in zip(places, _Pass.apply(watch, *(values[i] for i in places)), strict=True):
        passed[i] = t
    return tuple(passed), places


def _among(count: int, places: Sequence[int] | None, grads: Sequence[Any]) -> tuple:
    """`grads` at `places` in a tuple that is None elsewhere."""
    found: list[Any] = [None] * count
    for i, g in zip(places or (), grads, strict=True):
        found[i] = g
    return tuple(found)


# -- hooks of all modules ------------------------------------------------------------------------------------------------


class _EverywhereHandle(Handle):
    __slots__ = ()

    def remove(self) -> None:
        """Take the hook away; with the last one, modules without hooks of their own are as fast as ever again."""
        Handle.remove(self)
        Hookable._hooked = any(everywhere.values())


def _everywhere(kind: str, hook: Hook) -> Handle:
    Hookable._hooked = True
    return _add(everywhere[kind], hook, False, _EverywhereHandle)


def register_module_forward_pre_hook(hook: Callable) -> Handle:
    """Call `hook(module, args)` before each forward of any module; what it returns, if not None, replaces the arguments."""
    return _everywhere("_forward_pre_hooks", Hook(hook))


def register_module_forward_hook(hook: Callable, *, with_kwargs: bool = False, always_call: bool = False) -> Handle:
    """Call `hook(module, args, output)` after each forward of any module; what it returns, if not None, replaces the output.

    >>> import autograd_gpu as ag
    >>> from autograd_gpu.nn.modules.module import register_module_forward_hook
    >>> with register_module_forward_hook(lambda module, args, output: print(type(module).__name__)):
    ...     x = ag.nn.Sequential(ag.nn.ReLU(), ag.nn.Tanh())(ag.zeros(1))
    ReLU
    Tanh
    Sequential
    """
    return _everywhere("_forward_hooks", Hook(hook, with_kwargs, always_call))


def register_module_full_backward_hook(hook: Callable) -> Handle:
    """Call `hook(module, grad_input, grad_output)` in the backward of each call of any module."""
    return _everywhere("_backward_hooks", Hook(hook))


def register_module_full_backward_pre_hook(hook: Callable) -> Handle:
    """Call `hook(module, grad_output)` in the backward of each call of any module, before that of what it called."""
    return _everywhere("_backward_pre_hooks", Hook(hook))
