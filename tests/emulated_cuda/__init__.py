"""A CUDA device made of software: real CuPy and unmodified CUDA sources on a machine without a GPU.

`install()` makes the next ``import cupy`` in this process, and in Python processes that it starts, use the device;
``python -m tests.emulated_cuda SCRIPT`` runs a script so; `plugin.py` is for pytest. README.md tells how it works.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .device import Device

VARIABLE = "EMULATED_CUDA"
"""Environment variable: processes in which it is 1 use the emulated device (see site/sitecustomize.py)."""

_device: Device | None = None


def missing() -> str | None:
    """Why the device cannot be installed here, or None."""
    from importlib import metadata, util

    from . import build

    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return "the emulated CUDA device needs Linux on x86-64"
    if (reason := build.missing()) is not None:
        return reason
    if util.find_spec("cupy") is None:
        return "CuPy is not installed: pip install cupy-cuda13x"
    for name in ("cupy-cuda13x", "cupy-cuda12x", "cupy"):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if version.split(".")[0] != "14":
            return f"the emulated CUDA device knows CuPy 14, and {name} {version} is installed"
    return None


def emulated_device() -> Device:
    """The emulated device of this process, its memory and its controls."""
    global _device
    if _device is None:
        from .device import Device

        _device = Device()
    return _device


def device_if_up() -> Device | None:
    """The emulated device, or None if nothing has asked for it yet."""
    return _device


class _AroundCupy(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Brings the device up around the first ``import cupy``, so that processes without one pay nothing."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "cupy":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("cupy")
        if spec is not None:
            _before_cupy()
            self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        _after_cupy()


def installed() -> bool:
    """Whether CuPy uses the emulated device in this process, or will."""
    return _device is not None or any(isinstance(finder, _AroundCupy) for finder in sys.meta_path)


def install() -> None:
    """Make the next ``import cupy`` use the emulated device, here and in Python processes started from here.

    Raises RuntimeError if CuPy is imported already, or if something that the device needs is missing.
    """
    if installed():
        return
    if "cupy" in sys.modules:
        raise RuntimeError("the emulated CUDA device must be installed before CuPy is imported")
    if (reason := missing()) is not None:
        raise RuntimeError(reason)
    os.environ[VARIABLE] = "1"
    here = os.path.dirname(os.path.abspath(__file__))
    paths = [os.path.join(here, "site"), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    sys.meta_path.insert(0, _AroundCupy())


def _before_cupy() -> None:
    """Everything that must be in place before CuPy's modules look each other's functions up, in this order."""
    from . import build

    cache = build.cache_directory()
    from .compiler import MAGIC

    os.environ["CUPY_CACHE_DIR"] = str(cache / f"cupy-{MAGIC.decode().strip(':')}")  # apart from what a real compiler made
    os.environ["CUPY_COMPILE_WITH_PTX"] = "1"
    os.environ["CUPY_ACCELERATORS"] = ""  # cub and cuTENSOR run device code of their own
    import cupy_backends.cuda.api.runtime as runtime

    from . import trampolines
    from .runtime_api import Runtime

    the_device = emulated_device()
    trampolines.replace(runtime, Runtime(the_device), cache, the_device.locked)
    import cupy_backends.cuda.api.driver as driver

    from . import compiler, libraries
    from .driver_api import Driver

    trampolines.replace(driver, Driver(the_device), cache, the_device.locked)
    libraries.install(the_device)
    compiler.install(the_device)


def _after_cupy() -> None:
    from . import libraries

    libraries.finish()
