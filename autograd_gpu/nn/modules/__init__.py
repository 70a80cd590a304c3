"""PyTorch's second place for what is in `nn`: `nn.modules.Linear` is `nn.Linear`, and so is `nn.modules.linear.Linear`.

>>> from autograd_gpu import nn
>>> from autograd_gpu.nn.modules.activation import ReLU
>>> ReLU is nn.ReLU
True
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from . import batchnorm, conv, module, utils

# PyTorch's module -> the modules of nn in which that lies, names that begin with _ too
PLACES = {
    "activation": ("activation", "rectifiers", "attention"),
    "channelshuffle": ("resample",),
    "container": ("container", "parameter_container"),
    "distance": ("distance",),
    "dropout": ("dropout",),
    "flatten": ("flatten",),
    "fold": ("sliding",),
    "instancenorm": ("normalization", "lazy"),
    "linear": ("linear", "bilinear", "lazy"),
    "loss": ("loss",),
    "normalization": ("normalization",),
    "padding": ("padding",),
    "pixelshuffle": ("resample",),
    "pooling": ("pooling",),
    "rnn": ("rnn",),
    "sparse": ("sparse",),
    "transformer": ("transformer",),
    "upsampling": ("resample",),
}

__all__ = ["batchnorm", "conv", "module", "utils", *PLACES]


def _place(name: str, sources: tuple[str, ...]) -> ModuleType:
    """PyTorch's module of a name: it finds what programs ask it for when they do, for nn is not yet there when it is made."""
    place = ModuleType(f"{__name__}.{name}", f"What PyTorch has in nn.modules.{name}.")

    def find(wanted: str) -> Any:
        if not wanted.startswith("__"):
            for source in sources:
                found = getattr(import_module(f"autograd_gpu.nn.{source}"), wanted, None)
                if isinstance(found, type):
                    return found
        raise AttributeError(f"module {place.__name__!r} has no attribute {wanted!r}")

    place.__getattr__ = find  # type: ignore[method-assign]
    return place


for _name, _sources in PLACES.items():
    globals()[_name] = sys.modules[f"{__name__}.{_name}"] = _place(_name, _sources)


def __getattr__(name: str) -> Any:
    from autograd_gpu import nn

    if name not in nn.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(nn, name)
