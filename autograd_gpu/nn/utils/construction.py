"""Making modules without filling their parameters."""

from __future__ import annotations

from typing import Any

from .. import init
from ..module import Module


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """A module whose parameters hold anything, for those that are about to be loaded: while it is made, the functions of nn.init
    do nothing.

    >>> import autograd_gpu as ag
    >>> ag.nn.utils.skip_init(ag.nn.Linear, 3, 2).weight.shape
    Size([2, 3])
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    before, init.skipping.on = init.skipping.on, True
    try:
        return module_cls(*args, **kwargs)
    finally:
        init.skipping.on = before
