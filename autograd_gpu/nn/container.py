"""Modules that hold modules."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any

from .module import Module


class _Numbered(Module):
    """Modules under the names "0", "1" and so on."""

    def _index(self, i: int) -> int:
        i, n = operator.index(i), len(self._modules)
        if not -n <= i < n:
            raise IndexError(f"index {i} is out of range: there are {n} modules")
        return i % n

    def _renumber(self, modules: list[Module]) -> None:
        for name in list(self._modules):
            delattr(self, name)
        for i, module in enumerate(modules):
            self.register_module(str(i), module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, i: int | slice) -> Any:
        modules = list(self._modules.values())
        if isinstance(i, slice):
            return self._like(modules[i])
        return modules[self._index(i)]

    def __setitem__(self, i: int, module: Module) -> None:
        setattr(self, list(self._modules)[self._index(i)], module)

    def __delitem__(self, i: int | slice) -> None:
        modules = list(self._modules.values())
        del modules[i if isinstance(i, slice) else self._index(i)]
        self._renumber(modules)

    def insert(self, i: int, module: Module) -> Any:
        """Put `module` before the i-th."""
        modules = list(self._modules.values())
        modules.insert(i, module)
        self._renumber(modules)
        return self

    def append(self, module: Module) -> Any:
        """Put `module` at the end. Returns this module."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Put `modules` at the end. Returns this module."""
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, i: int = -1) -> Module:
        """Take the i-th module out."""
        module = self[i]
        del self[i]
        return module

    def _like(self, modules: list[Module]) -> Any:
        raise NotImplementedError


class Sequential(_Numbered):
    """One module after the other, given as arguments or as a dict with their names.

    >>> import autograd_gpu as ag
    >>> ag.nn.Sequential(ag.nn.Linear(4, 2), ag.nn.ReLU())
    Sequential(
      (0): Linear(in_features=4, out_features=2, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *args: Any):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], dict):
            for name, module in args[0].items():
                self.register_module(name, module)
        else:
            for i, module in enumerate(args):
                self.register_module(str(i), module)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module.forward(input) if module._ours and not module._hooked else module(input)
        return input

    def _like(self, modules: list[Module]) -> Sequential:
        names = {id(module): name for name, module in self._modules.items()}
        return Sequential({names[id(module)]: module for module in modules})


class ModuleList(_Numbered):
    """A list of modules, whose parameters are found.

    >>> import autograd_gpu as ag
    >>> layers = ag.nn.ModuleList([ag.nn.Linear(2, 2) for _ in range(3)])
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _like(self, modules: list[Module]) -> ModuleList:
        return ModuleList(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> ModuleList:
        return self.extend(other)
