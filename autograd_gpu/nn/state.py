"""state_dict and load_state_dict: the part of Module that saves and loads.

NOTE [Loading]
    As in PyTorch, each module takes its own entries in `_load_from_state_dict`, which a subclass may extend, and notes in lists
    what was missing, unexpected or wrong. Unlike in PyTorch nothing is copied before all modules have looked: the copies to
    make are gathered along with the errors (`_Errors.copies`), so that a state_dict that does not fit changes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from ..core.graph import touch
from ..core.tensor import Handle, Tensor

EXTRA = "_extra_state"  # the key under which what get_extra_state gives is saved
KINDS = ("_state_dict_pre_hooks", "_state_dict_hooks", "_load_pre_hooks", "_load_post_hooks")


class IncompatibleKeys(NamedTuple):
    """The names that `load_state_dict` missed and those it did not know: what it returns."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    __str__ = __repr__


class _Errors(list):
    """Messages, and the copies to make if there are none. See NOTE [Loading]."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[Callable[[], None]] = []


class Stateful:
    """The part of Module that saves and loads."""

    _version = 1  # of what it saves; told to `_load_from_state_dict`, in local_metadata
    _state_hooks: dict[str, OrderedDict] | None = None

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _not_saved: set[str]

    # -- saving ----------------------------------------------------------------------------------------------------------

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> dict[str, Any]:
        """Parameters and persistent buffers by their dotted names, sharing memory with the module's. With `keep_vars` they are
        the Parameters themselves; `destination` is a dict to add them to."""
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self._state_hooks_of("_state_dict_pre_hooks"):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_hooks_of("_state_dict_hooks"):
            replaced = hook(self, destination, prefix, metadata)
            if replaced is not None:
                destination = replaced
        return destination

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Add this module's own entries, not those of its parts, to `destination`. May be extended by a subclass."""
        for name, value in self._saved():
            destination[prefix + name] = value if keep_vars else value.detach()
        if self._has_extra("get_extra_state"):
            destination[prefix + EXTRA] = self.get_extra_state()

    def _saved(self) -> Iterator[tuple[str, Tensor]]:
        for values in (self._parameters, self._buffers):
            for name, value in values.items():
                if value is not None and name not in self._not_saved:
                    yield name, value

    def get_extra_state(self) -> Any:
        """What a subclass wants saved besides parameters and buffers: defined together with `set_extra_state`."""
        raise RuntimeError("get_extra_state() is called, and this module does not define it")

    def set_extra_state(self, state: Any) -> None:
        """Take what `get_extra_state` gave."""
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be reached: define it where get_extra_state() is"
        )

    def _has_extra(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(Stateful, method)

    # -- loading ---------------------------------------------------------------------------------------------------------

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copy what `state_dict` gave into the parameters and buffers of this module (with `assign`: take over its arrays).

        Raises RuntimeError, and changes nothing, if shapes differ or, with `strict`, if a name is missing or not known."""
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        keys = IncompatibleKeys([], [])
        errors = _Errors()
        metadata = getattr(state_dict, "_metadata", None)
        copied: OrderedDict = OrderedDict(state_dict)  # hooks may change it
        if metadata is not None:
            copied._metadata = metadata
        afterwards: list[Callable[[], Any]] = []
        _load(self, copied, "", metadata, strict, assign, keys, errors, afterwards)
        copies = errors.copies
        if afterwards and not errors:
            _run_all(copies)
            copies = []
            _run_all(afterwards)  # they may clear keys
        if strict and keys.unexpected_keys:
            errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(keys.unexpected_keys)}. ")
        if strict and keys.missing_keys:
            errors.insert(0, f"Missing key(s) in state_dict: {_quoted(keys.missing_keys)}. ")
        if errors:
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(errors))
        _run_all(copies)
        return keys

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Take this module's own entries, not those of its parts, from `state_dict`. May be extended by a subclass, which finds
        in local_metadata the version that was saved."""
        for hook in self._state_hooks_of("_load_pre_hooks"):
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        errors = error_msgs if isinstance(error_msgs, _Errors) else _Errors()
        own = dict(self._saved())
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, target in own.items():
            key = prefix + name
            if key in state_dict:
                _take(key, target, state_dict[key], assign, errors)
            elif strict:
                missing_keys.append(key)
        extra = prefix + EXTRA
        if self._has_extra("set_extra_state"):
            if extra in state_dict:
                errors.copies.append(lambda: self.set_extra_state(state_dict[extra]))
            elif strict:
                missing_keys.append(extra)
        elif strict and extra in state_dict:
            unexpected_keys.append(extra)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra:
                    name, *deeper = key[len(prefix) :].split(".", 1)
                    if (name not in self._modules) if deeper else (name not in own):
                        unexpected_keys.append(key)
        if errors is not error_msgs:  # called by somebody else than load_state_dict
            error_msgs.extend(errors)
            _run_all(errors.copies)

    # -- hooks -----------------------------------------------------------------------------------------------------------

    def _state_hooks_of(self, kind: str) -> list[Callable]:
        return [] if self._state_hooks is None else list(self._state_hooks[kind].values())

    def _state_hook(self, kind: str, hook: Callable) -> Handle:
        if self._state_hooks is None:
            self.__dict__["_state_hooks"] = {kind: OrderedDict() for kind in KINDS}
        return Handle(self._state_hooks[kind], hook)

    def register_state_dict_pre_hook(self, hook: Callable) -> Handle:
        """Call `hook(module, prefix, keep_vars)` before state_dict gathers this module's entries."""
        return self._state_hook("_state_dict_pre_hooks", hook)

    def register_state_dict_post_hook(self, hook: Callable) -> Handle:
        """Call `hook(module, state_dict, prefix, local_metadata)` when this module and its parts are in state_dict; it may change
        that in place."""
        return self._state_hook("_state_dict_hooks", partial(_in_place, hook))

    def _register_state_dict_hook(self, hook: Callable) -> Handle:
        """As `register_state_dict_post_hook`, for a hook that may return another dict."""
        return self._state_hook("_state_dict_hooks", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> Handle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)` before this
        module takes its entries from state_dict, which it may change."""
        return self._state_hook("_load_pre_hooks", partial(hook, self))  # no closure: copies of the module copy it

    def _register_load_state_dict_pre_hook(self, hook: Callable, with_module: bool = False) -> Handle:
        """As `register_load_state_dict_pre_hook`, for a hook that is not told the module."""
        return self.register_load_state_dict_pre_hook(hook) if with_module else self._state_hook("_load_pre_hooks", hook)

    def register_load_state_dict_post_hook(self, hook: Callable) -> Handle:
        """Call `hook(module, incompatible_keys)` after loading; it may clear the lists of keys, which are then no error."""
        return self._state_hook("_load_post_hooks", hook)


def _in_place(hook: Callable, *arguments: Any) -> None:
    if hook(*arguments) is not None:
        raise RuntimeError("state_dict post-hook must return None")


def _load(
    module: Any,
    state: OrderedDict,
    prefix: str,
    metadata: Any,
    strict: bool,
    assign: bool,
    keys: IncompatibleKeys,
    errors: _Errors,
    afterwards: list[Callable[[], Any]],
) -> None:
    """Let `module` and its parts take what is theirs; `afterwards` gathers their hooks for when they have it."""
    local = {} if metadata is None else dict(metadata.get(prefix[:-1], {}))
    if assign:
        local["assign_to_params_buffers"] = True
    module._load_from_state_dict(state, prefix, local, True, keys.missing_keys, keys.unexpected_keys, errors)
    for name, part in module._modules.items():
        if part is not None:
            below = f"{prefix}{name}."
            theirs = OrderedDict((key, value) for key, value in state.items() if key.startswith(below))
            _load(part, theirs, below, metadata, strict, assign, keys, errors, afterwards)
    for hook in module._state_hooks_of("_load_post_hooks"):
        afterwards.append(lambda hook=hook: hook(module, keys))


def _take(key: str, target: Tensor, value: Any, assign: bool, errors: _Errors) -> None:
    """Note the copy of `value` into `target`, or what is wrong with it."""
    if not isinstance(value, Tensor):
        errors.append(
            f'While copying the parameter named "{key}", expected Tensor or Tensor-like object from checkpoint but received '
            f"{type(value)}"
        )
        return
    if target.array.shape == () and value.array.shape == (1,):  # numbers were once saved so
        value = Tensor(value.array.reshape(()))
    if value.array.shape != target.array.shape:
        errors.append(
            f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, the shape in current model is "
            f"{target.shape}."
        )
        return

    def copy() -> None:
        if assign:
            target.array = value.array
        else:
            target.array[...] = value.detach().to(target.device).array
            touch(target.array, "load_state_dict")

    errors.copies.append(copy)


def _run_all(functions: list[Callable[[], Any]]) -> None:
    for function in functions:
        function()


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
