"""Calling a module with other tensors in the place of its parameters and buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...core.tensor import Tensor
from ..module import Module


@contextmanager
def _replaced(module: Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """`module` with other tensors under the dotted names, for a while."""
    kept: list[tuple[dict, str, Any]] = []
    try:
        for name, tensor in tensors.items():
            path, _, last = name.rpartition(".")
            owner = module.get_submodule(path)
            kind = next((k for k in (owner._parameters, owner._buffers) if last in k), None)
            if kind is None:
                raise KeyError(f"{type(owner).__name__} has no parameter or buffer '{last}' (in '{name}')")
            kept.append((kind, last, kind[last]))
            kind[last] = tensor
        yield
    finally:
        for kind, last, value in reversed(kept):
            kind[last] = value


def _tied(module: Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` under all names that a shared parameter or buffer has."""
    same: dict[int, list[str]] = {}  # id of one -> its names
    for named in (module.named_parameters(remove_duplicate=False), module.named_buffers(remove_duplicate=False)):
        for name, value in named:
            same.setdefault(id(value), []).append(name)
    found = dict(tensors)
    for names in same.values():
        given = [name for name in names if name in tensors]
        if given:
            found.update((name, tensors[given[0]]) for name in names if name not in tensors)
    return found


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Tensor] | tuple[Mapping[str, Tensor], ...],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """module(*args, **kwargs), with the given tensors in the place of the parameters and buffers of those names: gradients flow
    to them. The module itself is left as it is.

    tie_weights  a tensor for a parameter that is shared stands under all its names
    strict       every parameter and buffer must be given

    >>> import autograd_gpu as ag
    >>> layer = ag.nn.Linear(2, 1, bias=False)
    >>> ag.nn.utils.stateless.functional_call(layer, {"weight": ag.ones(1, 2)}, ag.tensor([[3.0, 4.0]]))
    tensor([[7.]])
    """
    if not isinstance(parameters_and_buffers, Mapping):
        parameters_and_buffers = {name: t for part in parameters_and_buffers for name, t in part.items()}
    if strict:
        own = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
        missing = [name for name in own if name not in parameters_and_buffers]
        unknown = [name for name in parameters_and_buffers if name not in own]
        if missing or unknown:
            raise RuntimeError(
                f"Error(s) in calling {type(module).__name__} with other parameters: missing {missing}, unexpected {unknown}"
            )
    tensors = _tied(module, parameters_and_buffers) if tie_weights else parameters_and_buffers
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, tensors):
        return module(*args, **(kwargs or {}))
