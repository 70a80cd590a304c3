"""Parametrizations: a parameter of a module computed from others each time it is read.

NOTE [Parametrized modules]
    `register_parametrization(layer, "weight", P)` takes the parameter out of the layer and keeps it, as `original`, in a
    `ParametrizationList` at `layer.parametrizations.weight`, with P. The layer gets a class of its own, a subclass of the one
    it had, in which `weight` is a property: reading it calls the list, which computes P(original); assigning to it stores
    what P's `right_inverse` makes of the value. So `forward` and optimizers need not know. Keys of state_dict are PyTorch's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ...autograd import no_grad
from ...core.tensor import Tensor
from ..container import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip

_caching = [0]  # how many `cached` we are in
_cache: dict[tuple[int, str], Any] = {}


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized tensor once within, however often it is read.

    >>> import autograd_gpu as ag
    >>> layer = ag.nn.utils.parametrizations.weight_norm(ag.nn.Linear(2, 2))
    >>> with ag.nn.utils.parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    _caching[0] += 1
    try:
        yield
    finally:
        _caching[0] -= 1
        if not _caching[0]:
            _cache.clear()


def _register_parameter_or_buffer(module: Module, name: str, value: Tensor) -> None:
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, applied one after the other, and the tensors that it is computed from: `original`, or
    `original0`, `original1` ... if the `right_inverse` of the first gives several."""

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False):
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        given: Any = original
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    with suppress(NotImplementedError):  # then it is taken as the identity
                        given = module.right_inverse(given)
        self.is_tensor = isinstance(given, Tensor)
        self.ntensors = 1 if self.is_tensor else len(given)
        if self.is_tensor:
            self._check(original, given)
            original.data = given.data  # keeps the identity of the parameter, which an optimizer may know
            _register_parameter_or_buffer(self, "original", original)
        else:
            for i, tensor in enumerate(given):
                if not isinstance(tensor, Tensor):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors, but element "
                        f"{i} of the sequence has type {type(tensor).__name__}."
                    )
                if isinstance(original, Parameter):
                    tensor = Parameter(tensor, original.requires_grad)
                _register_parameter_or_buffer(self, f"original{i}", tensor)

    def _check(self, original: Tensor, given: Tensor) -> None:
        if not self.unsafe and given.dtype != original.dtype:
            raise ValueError(
                "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                f"original.dtype: {original.dtype}\nright_inverse(original).dtype: {given.dtype}"
            )

    def originals(self) -> list[Tensor]:
        """The tensors that it is computed from."""
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self) -> Tensor:
        first, *others = self
        x = first(*self.originals())
        for module in others:
            x = module(x)
        return x

    def right_inverse(self, value: Tensor) -> None:
        """Store what makes the tensor equal `value`: what assigning to it does."""
        with no_grad():
            given: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse, and so cannot be assigned to"
                    )
                given = module.right_inverse(given)
            given = [given] if self.is_tensor else list(given)
            if len(given) != self.ntensors:
                raise ValueError(
                    f"'right_inverse' must return a sequence of {self.ntensors} tensors. Got a sequence of {len(given)}"
                )
            for old, new in zip(self.originals(), given, strict=True):
                if not isinstance(new, Tensor):
                    raise ValueError(f"`right_inverse` should return tensors. Got {type(new).__name__}")
                if old.dtype != new.dtype:
                    raise ValueError(
                        f"The tensor returned by `right_inverse` has dtype {new.dtype} while the original has {old.dtype}"
                    )
                old.data = new.data if new is not value else new.data.clone()


def _injected(name: str) -> property:
    """The property that takes the place of the tensor `name`."""

    def read(self: Any) -> Any:
        if not _caching[0]:
            return self.parametrizations[name]()
        key = id(self), name
        if key not in _cache:
            _cache[key] = self.parametrizations[name]()
        return _cache[key]

    def write(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)
        _cache.pop((id(self), name), None)

    return property(read, write)


def _refuse_pickle(self: Module) -> Any:
    raise RuntimeError(
        "Serialization of parametrized modules is only supported through state_dict(): make the module anew, parametrize it, and "
        "load that"
    )


def _deepcopy(self: Any, memo: dict[int, Any]) -> Any:
    made = memo[id(self)] = object.__new__(type(self))
    made.__setstate__(copy.deepcopy(self.__dict__, memo))
    return made


def _parametrized_class(module: Module) -> type:
    """A class of its own for `module`, which a property can be put in."""
    kind = type(module)
    body = {
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        "__reduce_ex__": lambda self, protocol: _refuse_pickle(self),
        "_parametrized": kind,
    }
    if not hasattr(kind, "__deepcopy__"):
        body["__deepcopy__"] = _deepcopy
    return type(f"Parametrized{kind.__name__}", (kind,), body)


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Module:
    """Let the parameter or buffer `tensor_name` of `module` be computed by `parametrization`, a Module, from what it now is.

    parametrization  its forward(original) gives the tensor. With a method right_inverse(value), the original is what that gives
                     for the present value, and the tensor can be assigned to. A second one takes what the first gives
    unsafe           it may change shape and dtype, and is not tried out

    >>> import autograd_gpu as ag
    >>> class Symmetric(ag.nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> layer = ag.nn.Linear(3, 3)
    >>> _ = ag.nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    >>> ag.equal(layer.weight, layer.weight.T)
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        _append(module, tensor_name, parametrization, unsafe)
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    original = getattr(module, tensor_name)
    held = module._parameters if tensor_name in module._parameters else module._buffers
    before = original.detach().clone()
    parametrizations = ParametrizationList([parametrization], original, unsafe)
    if not unsafe:
        _try(parametrizations, original, before)
    del held[tensor_name]
    if not is_parametrized(module):
        module.__class__ = _parametrized_class(module)
        module.parametrizations = ModuleDict()
    setattr(type(module), tensor_name, _injected(tensor_name))
    module.parametrizations[tensor_name] = parametrizations
    return module


def _try(parametrizations: ParametrizationList, original: Tensor, before: Tensor) -> None:
    """Raise ValueError, and put the original back, unless the parametrization gives a tensor like it."""
    with no_grad():
        made = parametrizations()
    if not isinstance(made, Tensor):
        wrong = f"A parametrization must return a tensor. Got {type(made).__name__}."
    elif made.dtype != before.dtype:
        wrong = (
            "Registering a parametrization may not change the dtype of the tensor, unless the `unsafe` flag is enabled.\n"
            f"unparametrized dtype: {before.dtype}\nparametrized dtype: {made.dtype}"
        )
    elif made.shape != before.shape:
        wrong = (
            "Registering a parametrization may not change the shape of the tensor, unless the `unsafe` flag is enabled.\n"
            f"unparametrized shape: {before.shape}\nparametrized shape: {made.shape}"
        )
    else:
        return
    original.data = before
    raise ValueError(wrong)


def _append(module: Module, name: str, parametrization: Module, unsafe: bool) -> None:
    """A further parametrization of a tensor that has one."""
    held = module.parametrizations[name]
    with no_grad():
        before = getattr(module, name)
        if not unsafe:
            made = parametrization(before)
            if not isinstance(made, Tensor) or (made.shape, made.dtype) != (before.shape, before.dtype):
                raise ValueError(
                    "Registering a parametrization may not change the shape or the dtype of the tensor, unless the `unsafe` flag "
                    f"is enabled: {before.shape} and {before.dtype} became "
                    f"{(made.shape, made.dtype) if isinstance(made, Tensor) else type(made).__name__}"
                )
        inverse = hasattr(parametrization, "right_inverse")
        value = parametrization.right_inverse(before) if inverse else None
    if inverse and isinstance(value, Tensor) and all(hasattr(m, "right_inverse") for m in held):
        held.right_inverse(value)
    held.append(parametrization)
    held.unsafe = held.unsafe or unsafe


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module has a parametrization, or one of the tensor of that name.

    >>> import autograd_gpu as ag
    >>> ag.nn.utils.parametrize.is_parametrized(ag.nn.Linear(1, 1))
    False
    """
    found = module.__dict__.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make the tensor an ordinary parameter or buffer again: with its present value, or with leave_parametrized=False with that
    of the original.

    >>> import autograd_gpu as ag
    >>> layer = ag.nn.utils.parametrizations.weight_norm(ag.nn.Linear(2, 2))
    >>> ag.nn.utils.parametrize.remove_parametrizations(layer, "weight")
    Linear(in_features=2, out_features=2, bias=True)
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    held = module.parametrizations[tensor_name]
    originals = held.originals()
    original = originals[0]
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name)
        if held.is_tensor and value.dtype == original.dtype:
            original.data = value.data.clone() if value.array is original.array else value.data
        else:
            learned = any(isinstance(t, Parameter) for t in originals)
            original = Parameter(value.detach(), any(t.requires_grad for t in originals)) if learned else value.detach()
    elif not held.is_tensor:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence of "
            "tensors."
        )
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type_before_parametrizations(module)
    _register_parameter_or_buffer(module, tensor_name, original)
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that a module had before it was parametrized.

    >>> import autograd_gpu as ag
    >>> layer = ag.nn.utils.parametrizations.weight_norm(ag.nn.Linear(2, 2))
    >>> ag.nn.utils.parametrize.type_before_parametrizations(layer).__name__
    'Linear'
    """
    return type(module).__dict__.get("_parametrized", type(module))


def transfer_parametrizations_and_params(from_module: Module, to_module: Module, tensor_name: str | None = None) -> Module:
    """Give `to_module` copies of the parametrizations of `from_module`, with their tensors.

    >>> import autograd_gpu as ag
    >>> a, b = ag.nn.utils.parametrizations.weight_norm(ag.nn.Linear(2, 2)), ag.nn.Linear(2, 2)
    >>> b = ag.nn.utils.parametrize.transfer_parametrizations_and_params(a, b)
    >>> ag.equal(a.weight, b.weight)
    True
    """
    for name in list(from_module.parametrizations) if tensor_name is None else [tensor_name]:
        held = from_module.parametrizations[name]
        for parametrization in held:
            register_parametrization(to_module, name, copy.deepcopy(parametrization), unsafe=True)
        for theirs, ours in zip(held.originals(), to_module.parametrizations[name].originals(), strict=True):
            ours.data = theirs.data.clone()
    return to_module
