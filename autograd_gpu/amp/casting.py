"""autocast: products in 16 bits, what needs the range in 32, without a change to the network.

NOTE [How autocast gets between]
    An op's fast path is straight-line code that asks nothing about autocast, and is called from everywhere under the name
    that it was imported by: no table of functions could be exchanged for another. So while autocast is on in any thread,
    the listed functions (amp.lists) have other bodies: `_on` gives each the code of `_detour`, and `_off` gives it its own
    back. Nobody pays for autocast who does not use it, not a single instruction.
    1. `_detour` casts the arguments as the function's list says, and calls the function proper, of which it has a copy.
       A cast is a recorded op like any other (`words.astype`), so gradients are cast back on their way.
    2. Whether autocast is on is asked there, of the thread: other threads go on as ever, half a microsecond later a call.
    3. Inside a listed function autocast is off, so that a function computes in the dtype that its own list says, whatever
       it is made of.
    4. Backward runs with autocast off (`_off_in`, which stands next to the engine, core.between NOTE [Getting between]): a
       gradient has the dtype of what it is the gradient of, at any order.

NOTE [The cache of casts]
    A float32 parameter that is used several times is cast once: casts of leaves that need gradients are kept until the
    outermost autocast ends, unless the parameter was written or a backward has passed the cast since.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import numpy as np

from .. import cuda
from ..backend.promotion import bfloat16, category, float16, float32, float64
from ..core.between import release, surround
from ..core.fast import ready
from ..core.graph import NO_GRAD, PACKAGE, Leaf, mode, words, written
from ..core.tensor import Tensor
from . import lists

TYPES = ("cpu", "cuda")
CHOICES = (float16, bfloat16)


class State(threading.local):
    """What this thread casts to."""

    def __init__(self) -> None:
        self.dtypes: dict[str, Any] = {}  # kind of device -> autocast's dtype; without an entry it is off there
        self.defaults = {"cpu": bfloat16, "cuda": float16}
        self.caching = True
        self.depth = 0  # how many autocasts this thread is in
        self.casts: dict[tuple, tuple] = {}  # see NOTE [The cache of casts]


state = State()


# -- casting -----------------------------------------------------------------------------------------------------------------


def _place(x: Tensor) -> str:
    return "cpu" if x.array.__class__ is np.ndarray else "cuda"


def _castable(x: Any, dtypes: dict[str, Any]) -> bool:
    """Whether autocast concerns `x`: floating point numbers, but float64, on a device where it is on."""
    if not isinstance(x, Tensor) or x.array is None:
        return False
    dtype = x.array.dtype
    return dtype is not float64 and category(dtype) == 2 and _place(x) in dtypes


def is_cast(x: Tensor) -> bool:
    """Whether autocast is on for `x`, so that its dtype need not be that of what it meets."""
    return _castable(x, state.dtypes)


def _cast(x: Tensor, dtype: Any) -> Tensor:
    if x.array.dtype is dtype:
        return x
    if x.node.__class__ is not Leaf or x.array.dtype is not float32 or not state.caching:
        return words.astype(x, dtype=dtype)
    key = id(x), dtype, mode.state & NO_GRAD
    write = written(x.array)
    number = write.number if write is not None else 0
    kept = state.casts.get(key)
    stale = kept is None or kept[1] is not x.array or kept[2] != number
    if stale or (kept[3].node is not None and kept[3].node.saved is None):  # the second: a backward has passed it
        kept = state.casts[key] = (x, x.array, number, words.astype(x, dtype=dtype))
    return kept[3]


def _changed(x: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """`x` with `change` done to the tensors in it."""
    if isinstance(x, Tensor):
        return change(x)
    if x.__class__ is tuple or x.__class__ is list:
        return x.__class__([_changed(y, change) for y in x])
    if x.__class__ is dict:
        return {key: _changed(y, change) for key, y in x.items()}
    return x


def _tensors(x: Any) -> Iterator[Tensor]:
    if isinstance(x, Tensor):
        yield x
    elif x.__class__ is tuple or x.__class__ is list:
        for y in x:
            yield from _tensors(y)
    elif x.__class__ is dict:
        yield from _tensors(list(x.values()))


def _to_lower(args: tuple, kwargs: dict, dtypes: dict[str, Any]) -> tuple[tuple, dict]:
    def change(x: Tensor) -> Tensor:
        return _cast(x, dtypes[_place(x)]) if _castable(x, dtypes) else x

    return _changed(args, change), _changed(kwargs, change) if kwargs else kwargs


def _to_float32(args: tuple, kwargs: dict, dtypes: dict[str, Any]) -> tuple[tuple, dict]:
    def change(x: Tensor) -> Tensor:
        return _cast(x, float32) if _castable(x, dtypes) else x

    return _changed(args, change), _changed(kwargs, change) if kwargs else kwargs


def _to_float32_unless_asked(args: tuple, kwargs: dict, dtypes: dict[str, Any]) -> tuple[tuple, dict]:
    if kwargs.get("dtype") is not None or any(isinstance(a, (np.dtype, type)) for a in args):
        return args, kwargs
    return _to_float32(args, kwargs, dtypes)


def _to_widest(args: tuple, kwargs: dict, dtypes: dict[str, Any]) -> tuple[tuple, dict]:
    found = {x.array.dtype for x in _tensors([args, kwargs]) if _castable(x, dtypes)}
    if len(found) < 2:
        return args, kwargs
    widest = float32  # of two that differ: float32 and another, or float16 and bfloat16, neither of which holds the other

    def change(x: Tensor) -> Tensor:
        return _cast(x, widest) if _castable(x, dtypes) else x

    return _changed(args, change), _changed(kwargs, change)


def _as_they_are(args: tuple, kwargs: dict, dtypes: dict[str, Any]) -> tuple[tuple, dict]:
    return args, kwargs


# -- getting between: see NOTE [How autocast gets between] ---------------------------------------------------------------------


def _between(plain: Callable, policy: Callable) -> Callable:
    """What `_detour` does for the function `plain`."""

    def call(args: tuple, kwargs: dict[str, Any]) -> Any:
        dtypes = state.dtypes
        if not dtypes:
            return plain(*args, **kwargs)
        args, kwargs = policy(args, kwargs, dtypes)
        state.dtypes = {}
        try:
            return plain(*args, **kwargs)
        finally:
            state.dtypes = dtypes

    return call


@functools.cache
def _detour(free: tuple[str, ...]) -> Any:
    """The code that a listed function has while autocast is on. `free` are the names that its own code takes from around it:
    Python wants as many in a code that takes its place."""
    names = "".join(f"{name}, " for name in free)
    text = (
        f"def around({names}):\n    def detour(*args, _call, **kwargs):\n        ({names})\n        return _call(args, kwargs)\n"
    )
    scope: dict[str, Any] = {}
    exec(compile(f"{text}    return detour", f"{PACKAGE}amp/<detour>", "exec"), scope)
    return scope["around"](*free).__code__


class _Listed:
    """A listed function: its own code, and what takes the place of that."""

    __slots__ = ("function", "code", "defaults", "detour", "detour_defaults")

    def __init__(self, function: FunctionType, policy: Callable):
        ready(function)
        self.function = function
        self.code, self.defaults = function.__code__, function.__kwdefaults__
        plain = FunctionType(self.code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
        plain.__kwdefaults__ = self.defaults
        self.detour = _detour(self.code.co_freevars)
        self.detour_defaults = {**(self.defaults or {}), "_call": _between(plain, policy)}

    def on(self) -> None:
        function = self.function
        function.__kwdefaults__ = self.detour_defaults  # first: its own code does not mind one name more
        function.__code__ = self.detour

    def off(self) -> None:
        function = self.function
        function.__code__ = self.code
        function.__kwdefaults__ = self.defaults


POLICIES = (
    (lists.LOWER, _to_lower),
    (lists.FLOAT32, _to_float32),
    (lists.FLOAT32_UNLESS_ASKED, _to_float32_unless_asked),
    (lists.WIDEST, _to_widest),
    (lists.OFF, _as_they_are),
)


def functions_named(name: str) -> list[FunctionType]:
    """The functions that a name on the lists means."""
    from .. import linalg, ops
    from ..nn import functional

    places = [words, *ops.FAMILIES, linalg, functional]
    found = [getattr(place, name, None) for place in places]
    return [f for f in found if isinstance(f, FunctionType)]


@functools.cache
def _listed() -> list[_Listed]:
    policies: dict[FunctionType, Callable] = {}
    for names, policy in POLICIES:
        for name in names:
            for function in functions_named(name):
                policies.setdefault(function, policy)
    return [_Listed(function, policy) for function, policy in policies.items()]


def _off_in(run: Callable) -> Callable:
    """Backward with autocast off."""
    call = _between(run, _as_they_are)
    return lambda *args: call(args, {})


_lock = threading.Lock()
_active = [0]  # how many autocasts are on, in all threads


def _count(change: int) -> None:
    """Note that an autocast was turned on, or off; the first gets between the functions and their callers, the last gets out."""
    with _lock:
        before = _active[0]
        _active[0] += change
        if not before:
            for listed in _listed():
                listed.on()
            surround(_off_in, innermost=True)
        elif not _active[0]:
            for listed in _listed():
                listed.off()
            release(_off_in)


# -- the context -------------------------------------------------------------------------------------------------------------


class autocast:  # noqa: N801 (PyTorch's name)
    """Within it, ops compute in the dtypes that suit them: products in `dtype`, what needs the range of float32 in that. For the
    forward pass and the loss; backward follows, and is best called outside. Also a decorator.

    device_type    "cuda" or "cpu": the tensors that it concerns
    dtype          float16 or bfloat16; None: float16 on CUDA and bfloat16 on the CPU
    cache_enabled  keep the casts of parameters until it ends

    >>> import autograd_gpu as ag
    >>> layer, x = ag.nn.Linear(2, 3), ag.ones(1, 2)
    >>> with ag.autocast("cpu", dtype=ag.bfloat16):
    ...     y = layer(x)
    ...     loss = y.softmax(1).sum()
    >>> y.dtype, loss.dtype
    (dtype(bfloat16), dtype('float32'))
    >>> loss.backward()
    >>> layer.weight.grad.dtype
    dtype('float32')
    """

    def __init__(
        self, device_type: str = "cuda", dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if device_type not in TYPES:
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.device = device_type
        self.fast_dtype = state.defaults[device_type] if dtype is None else np.dtype(dtype)
        self.cache_enabled = cache_enabled
        self._before: list[tuple] = []
        if enabled and device_type == "cuda" and not cuda.is_available():
            warnings.warn("User provided device_type of 'cuda', but CUDA is not available. Disabling", stacklevel=2)
            enabled = False
        if enabled and self.fast_dtype not in CHOICES:
            warnings.warn(
                f"In {device_type.upper()} autocast, but the target dtype {self.fast_dtype} is not supported. Disabling "
                "autocast. It can be float16 or bfloat16.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled

    def __enter__(self) -> autocast:
        self._before.append((state.dtypes, state.caching))
        dtypes = {kind: dtype for kind, dtype in state.dtypes.items() if kind != self.device}
        if self._enabled:
            dtypes[self.device] = self.fast_dtype
            _count(1)
        state.dtypes = dtypes
        state.depth += 1
        if self.cache_enabled is not None:
            state.caching = self.cache_enabled
        return self

    def __exit__(self, *exc: Any) -> None:
        state.dtypes, state.caching = self._before.pop()
        state.depth -= 1
        if not state.depth:
            state.casts.clear()
        if self._enabled:
            _count(-1)

    def _again(self) -> autocast:
        """A fresh one for each call of a decorated function, which may be called from several threads."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__, _before=[])
        return made

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return call


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on in this thread, for a kind of device.

    >>> import autograd_gpu as ag
    >>> with ag.autocast("cpu"):
    ...     ag.is_autocast_enabled("cpu"), ag.is_autocast_enabled("cuda")
    (True, False)
    """
    return _known(device_type) in state.dtypes


def is_autocast_available(device_type: str) -> bool:
    """Whether there is autocast for a kind of device.

    >>> is_autocast_available("cpu")
    True
    """
    return device_type in TYPES


def get_autocast_dtype(device_type: str) -> Any:
    """The dtype that autocast casts to on a kind of device, or would if it were on.

    >>> get_autocast_dtype("cuda")
    dtype('float16')
    """
    return state.dtypes.get(_known(device_type), state.defaults[device_type])


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Set the dtype that an autocast of this thread casts to if it is not told one."""
    state.defaults[_known(device_type)] = np.dtype(dtype)


def is_autocast_cache_enabled() -> bool:
    """Whether the casts of parameters are kept for the time of an autocast."""
    return state.caching


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Set whether the casts of parameters are kept for the time of an autocast."""
    state.caching = enabled


def clear_autocast_cache() -> None:
    """Forget the casts of parameters that are kept."""
    state.casts.clear()


def _known(device_type: str) -> str:
    if device_type not in TYPES:
        raise RuntimeError(f"unknown device type for autocast: '{device_type}', use 'cpu' or 'cuda'")
    return device_type


# -- autograd.Function under autocast ------------------------------------------------------------------------------------------


def custom_fwd(fwd: Callable | None = None, *, device_type: str, cast_inputs: Any = None) -> Callable:
    """Decorate the forward of an autograd.Function: its backward, under `custom_bwd`, then has autocast as forward had.

    cast_inputs   with autocast on, cast floating point inputs to this dtype, and run forward with autocast off

    >>> import autograd_gpu as ag
    >>> class Product(ag.autograd.Function):
    ...     @staticmethod
    ...     @ag.amp.custom_fwd(device_type="cpu")
    ...     def forward(ctx, a, b):
    ...         ctx.save_for_backward(a, b)
    ...         return a.mm(b)
    ...     @staticmethod
    ...     @ag.amp.custom_bwd(device_type="cpu")
    ...     def backward(ctx, g):
    ...         a, b = ctx.saved_tensors
    ...         return g.mm(b.t()), a.t().mm(g)
    >>> with ag.autocast("cpu"):
    ...     Product.apply(ag.ones(2, 2), ag.ones(2, 2)).dtype
    dtype(bfloat16)
    """
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)
    _known(device_type)

    @functools.wraps(fwd)
    def decorated(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx._dtype = get_autocast_dtype(device_type)
        on = is_autocast_enabled(device_type)
        ctx._fwd_used_autocast = on and cast_inputs is None
        if cast_inputs is None or not on:
            return fwd(ctx, *args, **kwargs)
        dtypes, dtype = dict(state.dtypes), np.dtype(cast_inputs)

        def change(x: Tensor) -> Tensor:
            return _cast(x, dtype) if _castable(x, dtypes) and _place(x) == device_type else x

        with autocast(device_type, enabled=False):
            return fwd(ctx, *_changed(args, change), **_changed(kwargs, change))

    return decorated


def custom_bwd(bwd: Callable | None = None, *, device_type: str) -> Callable:
    """Decorate the backward of an autograd.Function whose forward has `custom_fwd`."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)
    _known(device_type)

    @functools.wraps(bwd)
    def decorated(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, dtype=ctx._dtype, enabled=ctx._fwd_used_autocast):
            return bwd(ctx, *args, **kwargs)

    return decorated
