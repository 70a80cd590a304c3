"""Module: a part of a network, with its parameters, its buffers and its parts.

NOTE [Attributes]
    Parameters, buffers and submodules are ordinary attributes of a module, so that reading one in `forward` costs what
    reading any attribute costs, and they are listed once more, by kind, in the dicts `_parameters`, `_buffers` and `_modules`.
    `__setattr__` keeps both, and so do those dicts where they are changed: each is a `Registry`.

The parts of Module that have to do with hooks and with saving are in `hooks` and `state`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ..backend import Device
from ..backend.promotion import category
from ..core.fast import site
from ..core.graph import touch
from ..core.tensor import Tensor
from ..ops.arguments import dtype_of
from ..ops.create import empty_like
from .hooks import Hookable
from .parameter import Buffer, Parameter
from .registry import Registry
from .state import Stateful

_PACKAGE = __name__.partition(".")[0] + "."
_getframe = sys._getframe
_get_ident = threading.get_ident
KINDS = ("_parameters", "_buffers", "_modules")


class Module(Hookable, Stateful):
    """Base class of all parts of networks. A subclass calls `super().__init__()`, assigns parameters and modules to attributes,
    and defines `forward`.

    >>> import autograd_gpu as ag
    >>> class Scale(ag.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = ag.nn.Parameter(ag.tensor(2.0))
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(ag.tensor(3.0))
    tensor(6., grad_fn=<MulBackward0>)
    """

    training: bool
    _ours = False  # whether it is a module of this package, and not one of the user's

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        cls._ours = cls.__module__.startswith(_PACKAGE)

    def __init__(self) -> None:
        attributes = self.__dict__
        attributes["training"] = True
        for kind in KINDS:
            attributes[kind] = Registry(self)
        attributes["_not_saved"] = set()

    def forward(self, *input: Any) -> Any:
        """What the module computes. Every subclass defines it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = site[0]  # see core.fast NOTE [Site]
        if self._hooked:
            return self._call_aside(args, kwargs)
        if not self._ours:
            return self.forward(*args, **kwargs) if before is None else self._call_aside(args, kwargs)
        thread = _get_ident()
        if before is not None and before[2] == thread:
            return self.forward(*args, **kwargs)
        frame = _getframe(1)
        site[0] = frame.f_code, frame.f_lasti, thread
        try:
            return self.forward(*args, **kwargs)
        finally:
            site[0] = None

    def _call_aside(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Call with the site put aside: what is then called is, or may be, the user's own code."""
        before, site[0] = site[0], None
        try:
            return self._call_hooked(args, kwargs) if self._hooked else self.forward(*args, **kwargs)
        finally:
            site[0] = before

    # -- attributes: see NOTE [Attributes] -------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        if isinstance(value, Parameter):
            kind = "_parameters"
        elif isinstance(value, Module):
            kind = "_modules"
        elif isinstance(value, Buffer) and "_buffers" in attributes:
            kind = "_buffers"
            (self._not_saved.discard if value.persistent else self._not_saved.add)(name)
        elif "_parameters" not in attributes:
            kind = None
        else:  # what was registered under this name stays so if the new value can take its place
            kind = next((k for k in KINDS if name in attributes[k]), None)
            if value is not None and kind is not None and not (kind == "_buffers" and isinstance(value, Tensor)):
                what = {"_parameters": "parameter", "_buffers": "buffer", "_modules": "child module"}[kind]
                wanted = {"_parameters": "autograd_gpu.nn.Parameter", "_buffers": "Tensor", "_modules": "autograd_gpu.nn.Module"}
                raise TypeError(f"cannot assign '{type(value).__name__}' as {what} '{name}' ({wanted[kind]} or None expected)")
        if kind is None:
            object.__setattr__(self, name, value)
            return
        if "_parameters" not in attributes:
            raise AttributeError(f"cannot assign {kind[1:]} before Module.__init__() call: begin with super().__init__()")
        if "." in name:
            raise KeyError(f'a name cannot be empty or contain ".": {name!r}')
        for other in KINDS:
            if other != kind:
                attributes[other].pop(name, None)
        attributes[kind][name] = value

    def __delattr__(self, name: str) -> None:
        for kind in KINDS:
            if name in self.__dict__[kind]:
                del self.__dict__[kind][name]
                self._not_saved.discard(name)
                return
        object.__delattr__(self, name)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for kind in KINDS:  # which come as plain dicts, see Registry
            if kind in state:
                self.__dict__[kind] = Registry(self, state[kind])

    def _check_name(self, name: str, own: str) -> None:
        """Raise if `name` cannot be that of one more of the kind `own`; what has it among these is replaced."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot register anything before Module.__init__() call: begin with super().__init__()")
        if not isinstance(name, str):
            raise TypeError(f"a name must be a string, not {type(name).__name__}")
        if "." in name or not name:
            raise KeyError(f'a name cannot be empty or contain ".": {name!r}')
        if hasattr(self, name) and name not in self.__dict__[own]:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make `param` the parameter `name`. None reserves the name for a parameter that is left out."""
        self._check_name(name, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' (nn.Parameter or None required)"
            )
        if param is not None and not param.is_leaf:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}': make it in the constructor and compute in forward"
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Make `tensor` the buffer `name`: moved and, unless persistent=False, saved with the module, but not trained."""
        self._check_name(name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (Tensor or None required)")
        self._buffers[name] = tensor
        if persistent:
            self._not_saved.discard(name)
        else:
            self._not_saved.add(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Make `module` the submodule `name`."""
        self._check_name(name, "_modules")
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._modules[name] = module

    add_module = register_module

    # -- what it consists of ---------------------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules, each once, with their names."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, depth first, with their dotted names."""
        memo = set() if memo is None else memo
        if remove_duplicate:
            if self in memo:
                return
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def _named(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in module.__dict__[kind].items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters of this module and, with `recurse`, of all below it, with their dotted names."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of this module and, with `recurse`, of all below it. What optimizers take."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers of this module and, with `recurse`, of all below it, with their dotted names."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of this module and, with `recurse`, of all below it."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module below this one with the dotted name `target`."""
        module = self
        for name in target.split(".") if target else ():
            if module._modules.get(name) is None:
                raise AttributeError(f"{type(module).__name__} has no submodule '{name}' (in '{target}')")
            module = module._modules[name]
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` in the place with the dotted name `target`; with `strict` there must be one already."""
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and parent._modules.get(name) is None:
            raise AttributeError(f"{type(parent).__name__} has no submodule '{name}' (in '{target}')")
        setattr(parent, name, module)

    def _get(self, kind: str, what: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if module.__dict__[kind].get(name) is None:
            raise AttributeError(f"{type(module).__name__} has no {what} '{name}' (in '{target}')")
        return getattr(module, name)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with the dotted name `target`."""
        return self._get("_parameters", "parameter", target)

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with the dotted name `target`."""
        return self._get("_buffers", "buffer", target)

    # -- changing all of it ----------------------------------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], None]) -> Module:
        """Call `fn` on every module below and on this one. Returns this module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Module:
        """Put this module and all below it in training mode, or with False in evaluation mode."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Module:
        """Put this module and all below it in evaluation mode."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Let all parameters collect gradients, or stop them."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with set_to_none=False fill them with zeros."""
        for p in self.parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad.detach_()
                p.grad.array[...] = 0
                touch(p.grad.array, "zero_grad")

    def to(self, *args: Any, **kwargs: Any) -> Module:
        """Move parameters and buffers to a device, convert those of floating point to a dtype, or both: `to(device)`,
        `to(dtype)`, `to(device, dtype)`, `to(tensor)`. They stay the same Parameters, with new elements."""
        device, dtype, non_blocking = _target(args, kwargs)

        def convert(t: Tensor) -> Tensor:
            if device is not None:
                t = t.to(device, non_blocking=non_blocking)
            return t.to(dtype) if dtype is not None and category(t.array.dtype) >= 2 else t

        return self._apply(convert)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Module:
        """Replace the elements of each parameter, of its gradient and of each buffer by what `fn` makes of them. Parameters stay
        the same objects, so that optimizers still know them."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for p in self._parameters.values():
            if p is not None:
                grad = p.grad
                if grad is not None:
                    p.grad = None
                p.array = fn(p.detach()).array
                if grad is not None:
                    p.grad = fn(grad.detach())
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer.detach())
        return self

    def to_empty(self, *, device: Any, recurse: bool = True) -> Module:
        """Move parameters and buffers to a device without their elements, which are then anything."""

        return self._apply(lambda t: empty_like(t, device=device), recurse)

    def cpu(self) -> Module:
        """Move parameters and buffers to the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Module:
        """Move parameters and buffers to a CUDA device."""
        return self.to(Device("cuda", device) if device is None or isinstance(device, int) else device)

    def float(self) -> Module:
        """Convert floating point parameters and buffers to float32."""
        return self.to("float32")

    def double(self) -> Module:
        """Convert floating point parameters and buffers to float64."""
        return self.to("float64")

    def type(self, dst_type: Any) -> Module:
        """Convert all parameters and buffers to a dtype."""
        return self._apply(lambda t: t.to(dtype_of(dst_type)))

    def half(self) -> Module:
        """Convert floating point parameters and buffers to float16."""
        return self.to("float16")

    def bfloat16(self) -> Module:
        """Convert floating point parameters and buffers to bfloat16."""
        return self.to("bfloat16")

    def share_memory(self) -> Module:
        """This module itself: see `Tensor.share_memory_`."""
        return self._apply(lambda t: t.share_memory_())

    # -- printing --------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands between the parentheses when the module is printed."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        parts = [f"({name}): " + "\n  ".join(repr(module).split("\n")) for name, module in self._modules.items()]
        if not parts and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + parts) + "\n)"

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name[0].isdigit()]


def _target(args: tuple, kwargs: dict[str, Any]) -> tuple[Device | None, Any, bool]:
    """The device and the dtype that the arguments of `to` name, and whether it may return before the elements are there."""
    device, dtype, like = kwargs.pop("device", None), kwargs.pop("dtype", None), kwargs.pop("tensor", None)
    non_blocking = bool(kwargs.pop("non_blocking", False))
    unknown = set(kwargs) - {"memory_format", "copy"}
    if unknown:
        raise TypeError(f"to() got an unexpected keyword argument '{unknown.pop()}'")
    for a in (*args, like):
        if isinstance(a, Tensor):
            device, dtype = a.device, a.dtype
        elif isinstance(a, bool):
            non_blocking = non_blocking or a
        elif isinstance(a, (Device, int)) or (isinstance(a, str) and a.partition(":")[0] in ("cpu", "cuda", "meta")):
            device = Device("cuda", a) if isinstance(a, int) else a
        elif a is not None:
            dtype = a
    if dtype is not None:
        dtype = dtype_of(dtype)
        if category(dtype) < 2:
            raise TypeError(f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}")
    return None if device is None else Device(device), dtype, non_blocking
