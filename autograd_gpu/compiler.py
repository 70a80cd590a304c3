"""torch.compile and torch.compiler, for programs that call them: nothing is compiled here.

Kernels are fused where ops say so, and training steps are captured by other means; a function that "is compiled" runs as it is
written, op by op, at the speed it had before.

>>> import autograd_gpu as ag
>>> model = ag.nn.Linear(2, 1)
>>> ag.compile(model) is model
True
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["compile", "disable", "is_compiling", "is_dynamo_compiling"]


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """The model or function that was given, unchanged: nothing is compiled, and the options change nothing. It is here so that
    programs which compile where they can run as they are. As a decorator too, with options or without.

    >>> import autograd_gpu as ag
    >>> @ag.compile(mode="reduce-overhead")
    ... def twice(x):
    ...     return x + x
    >>> twice(ag.ones(2))
    tensor([2., 2.])
    """
    if model is None:
        return lambda given: given
    if not callable(model):
        raise RuntimeError(f"compile() takes a model or a function, not {type(model).__name__}")
    return model


def disable(fn: Callable | None = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """The function that was given, which is not compiled: none is. As a decorator too.

    >>> import autograd_gpu as ag
    >>> ag.compiler.disable(len)([1, 2])
    2
    """
    return (lambda given: given) if fn is None else fn


def is_compiling() -> bool:
    """False: nothing is ever compiled.

    >>> import autograd_gpu as ag
    >>> ag.compiler.is_compiling()
    False
    """
    return False


is_dynamo_compiling = is_compiling
