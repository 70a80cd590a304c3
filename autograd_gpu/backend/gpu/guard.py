"""Where ops run: on the device of their arrays, and, if asked for, until they are done.

NOTE [Several devices]
    CuPy launches on the thread's current device and refuses arrays of another one. PyTorch's ops run on the device of their
    tensors, whichever is current. So on a machine with several CUDA devices, and only there,
    1. what an op calls is `guarded`: the device of the first array among its arguments is made the current one for the time of
       the call. Arguments on two devices are a TypeError, which the dispatcher explains;
    2. the vocabulary that `backend.of` gives out is that of this package with each word guarded (`everywhere`). Words that
       make arrays from nothing make them on the current device; `backend.beside` is the vocabulary of an array's device;
    3. backward makes the device of a gradient the current one before it is pulled on or added to, and comes back at its end.
    Where there is one device `guarded` is the identity, and nothing is paid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, wraps
from types import ModuleType, SimpleNamespace
from typing import Any

import cupy
from cupy import ndarray
from cupy.cuda import runtime

from .. import kernels

__all__ = ["guarded"]

_get, _set = runtime.getDevice, runtime.setDevice


@cache
def several_devices() -> bool:
    """Whether there is more than one CUDA device."""
    return runtime.getDeviceCount() > 1


def guarded(function: Callable, name: str) -> Callable:
    """`function` so that it runs on the device of its arrays, and, with AUTOGRAD_GPU_LAUNCH_BLOCKING=1, returns when the device
    is done, so that an error is raised where it was made: a RuntimeError with `name` in it."""
    if kernels.BLOCKING:
        function = _waiting(function, name)
    return _on_its_device(function) if several_devices() else function


def _waiting(function: Callable, name: str) -> Callable:
    @wraps(function, updated=())
    def waited(*args: Any, **keywords: Any) -> Any:
        out = function(*args, **keywords)
        kernels.wait(name)
        return out

    return waited


def _on_its_device(function: Callable) -> Callable:
    @wraps(function, updated=())
    def there(*args: Any, **keywords: Any) -> Any:
        index = _index(args) if not keywords else _index((*args, *keywords.values()))
        if index is None:
            return function(*args, **keywords)
        before = _get()
        if index == before:
            return function(*args, **keywords)
        _set(index)
        try:
            return function(*args, **keywords)
        finally:
            _set(before)

    return there


def _index(values: Iterable[Any]) -> int | None:
    """The number of the device of the arrays among `values` and in lists there; None if there are none."""
    found = None
    for x in values:
        kind = x.__class__
        if kind is ndarray:
            index = x.data.device_id
        elif kind is list or kind is tuple:
            index = _index(x)
        else:
            continue
        if found is None:
            found = index
        elif index is not None and index != found:
            raise TypeError(f"arrays on cuda:{found} and on cuda:{index} cannot be computed with together")
    return found


def go_to(array: Any) -> None:
    """Make the device of an array, or of those in a list, the current one."""
    index = _index((array,))
    if index is not None:
        _set(index)


def brought(array: Any, index: int) -> Any:
    """A copy of an array on another device. Either device's current stream waits for the other's, and nobody else does."""
    source = array.data.device_id
    with cupy.cuda.Device(source):
        array = array if array.flags.c_contiguous or array.flags.f_contiguous else array.copy("K")
        made = cupy.cuda.Event(disable_timing=True)
        made.record(cupy.cuda.get_current_stream())
    with cupy.cuda.Device(index):
        here = cupy.cuda.get_current_stream()
        here.wait_event(made)
        out = ndarray(array.shape, array.dtype, order="C" if array.flags.c_contiguous else "F")
        if array.nbytes:
            runtime.memcpyPeerAsync(out.data.ptr, index, array.data.ptr, source, array.nbytes, here.ptr)
        copied = cupy.cuda.Event(disable_timing=True)
        copied.record(here)
    with cupy.cuda.Device(source):  # whose memory may be written into, or used anew, when the copy is done
        cupy.cuda.get_current_stream().wait_event(copied)
    return out


_LAUNCH_NOTHING = {"address", "device_of", "guarded", "memory", "move"}


def everywhere(vocabulary: ModuleType) -> SimpleNamespace:
    """A vocabulary with each word guarded. See NOTE [Several devices]."""
    words = {}
    for name, word in vars(vocabulary).items():
        if not name.startswith("_"):
            words[name] = _on_its_device(word) if callable(word) and name not in _LAUNCH_NOTHING else word
    return SimpleNamespace(__name__=vocabulary.__name__, **words)
