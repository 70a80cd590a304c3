"""The dicts in which a module lists its parameters, buffers and submodules."""

from __future__ import annotations

import weakref
from typing import Any

_MISSING = object()


class Registry(dict):
    """A dict whose items are attributes of a module as well: what is put in or taken out here is so there. See `module`,
    NOTE [Attributes].

    The module is held weakly, so that it is freed as soon as nobody has it. A copy or a pickle of a registry is a plain dict, of
    which the module that is copied or loaded with it makes a registry of its own.

    known   what `runs.known` found out about the items; None after each change of them"""

    __slots__ = ("_module", "known")

    def __init__(self, module: Any, *items: Any):
        dict.__init__(self, *items)
        self._module = weakref.ref(module)
        self.known: list[Any] | None = None

    @property
    def _attributes(self) -> dict[str, Any]:
        module = self._module()
        return {} if module is None else module.__dict__

    def __setitem__(self, name: str, value: Any) -> None:
        dict.__setitem__(self, name, value)
        self.known = None
        self._attributes[name] = value

    def __delitem__(self, name: str) -> None:
        dict.__delitem__(self, name)
        self.known = None
        self._attributes.pop(name, None)

    def __ior__(self, other: Any) -> Registry:  # type: ignore[override]
        self.update(other)
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return dict, (dict(self),)

    def pop(self, name: str, default: Any = _MISSING) -> Any:
        """As dict's."""
        if default is not _MISSING and name not in self:
            return default
        value = self[name]
        del self[name]
        return value

    def popitem(self) -> tuple[str, Any]:
        """As dict's."""
        name, value = dict.popitem(self)
        self.known = None
        self._attributes.pop(name, None)
        return name, value

    def clear(self) -> None:
        """As dict's."""
        for name in list(self):
            del self[name]

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As dict's."""
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *items: Any, **more: Any) -> None:
        """As dict's."""
        for name, value in dict(*items, **more).items():
            self[name] = value
