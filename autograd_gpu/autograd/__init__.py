"""torch.autograd's public face: backward and grad, the modes, and ops of one's own with `Function`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..anomaly import detect_anomaly, is_anomaly_check_nan_enabled, is_anomaly_enabled, set_detect_anomaly
from ..backend import beside
from ..core import engine
from ..core.graph import INFERENCE, NO_GRAD, mode, set_mode
from ..core.tensor import Tensor
from ..function import Function, once_differentiable
from ..ops.legacy import Variable

__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
]


def _sequence(x: Any) -> tuple:
    return (x,) if isinstance(x, Tensor) or x is None else tuple(x)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradients of the sum of `tensors`, each weighted by its grad_tensor, into the leaves' `.grad`.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> ag.autograd.backward([x.sum(), (x * x).sum()])
    >>> x.grad
    tensor([3., 5.])
    """
    tensors = _sequence(tensors)
    grads = (None,) * len(tensors) if grad_tensors is None else _sequence(grad_tensors)
    if len(grads) != len(tensors):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(grads)} gradients")
    engine.backward(tensors, grads, retain_graph, create_graph, inputs)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the sum of `outputs` with respect to `inputs`. Nothing is accumulated in `.grad`.

    An input that the outputs do not depend on is an error, None under allow_unused, zeros under materialize_grads. With
    create_graph the gradients are recorded themselves, so that they can be differentiated again.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor(2.0, requires_grad=True)
    >>> (g,) = ag.autograd.grad(x * x * x, x, create_graph=True)
    >>> ag.autograd.grad(g, x)
    (tensor(12.),)
    """
    if not only_inputs:
        raise ValueError("only_inputs=False is not supported: call backward() to accumulate in all leaves")
    if is_grads_batched:
        raise NotImplementedError("is_grads_batched is not supported: call grad() once for each grad_outputs")
    outputs, inputs = _sequence(outputs), _sequence(inputs)
    if not inputs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    weights = (None,) * len(outputs) if grad_outputs is None else _sequence(grad_outputs)
    if len(weights) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} outputs and {len(weights)} grad_outputs")
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    retain = create_graph if retain_graph is None else retain_graph
    found = engine.gradients_of(outputs, inputs, weights, retain, create_graph)
    if None not in [None if g is None else 0 for g in found]:
        return tuple(found)
    if materialize_grads:
        return tuple(
            Tensor(beside(x.array).zeros(x.array.shape, x.array.dtype)).requires_grad_(create_graph) if g is None else g
            for g, x in zip(found, inputs, strict=True)
        )
    if not allow_unused:
        raise RuntimeError(
            "One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if this is the "
            f"desired behavior. It is input {next(i for i, g in enumerate(found) if g is None)}."
        )
    return tuple(found)


# -- modes ---------------------------------------------------------------------------------------------------------------


def is_grad_enabled() -> bool:
    """Whether this thread records the ops it calls.

    >>> import autograd_gpu as ag
    >>> with ag.no_grad():
    ...     ag.is_grad_enabled()
    False
    """
    return not mode.state & NO_GRAD


def is_inference_mode_enabled() -> bool:
    """Whether this thread is in inference_mode.

    >>> import autograd_gpu as ag
    >>> with ag.inference_mode():
    ...     ag.is_inference_mode_enabled()
    True
    """
    return bool(mode.state & INFERENCE)


_GENERATOR = 0x20  # the flag of the code of a generator function


class _Mode:
    """A state of the thread for a while: as `with no_grad():`, or as a decorator of a function or a generator function."""

    def __init__(self) -> None:
        self._before: list[int] = []

    def _state(self, now: int) -> int:
        raise NotImplementedError

    def __enter__(self) -> None:
        self._before.append(set_mode(self._state(mode.state)))

    def __exit__(self, *exc: Any) -> None:
        set_mode(self._before.pop())

    def _again(self) -> _Mode:
        """A fresh one for each call of a decorated function, which may be called from several threads."""
        return type(self)()

    def __call__(self, function: Callable) -> Callable:
        if isinstance(function, type):
            function.__init__ = self(function.__init__)
            return function
        if getattr(function, "__code__", None) is not None and function.__code__.co_flags & _GENERATOR:

            @functools.wraps(function)
            def generate(*args: Any, **kw: Any) -> Any:
                generator = function(*args, **kw)
                try:
                    with self._again():
                        item = next(generator)
                    while True:
                        try:
                            sent = yield item
                        except GeneratorExit:
                            with self._again():
                                generator.close()
                            raise
                        except BaseException as error:
                            with self._again():
                                item = generator.throw(error)
                        else:
                            with self._again():
                                item = generator.send(sent)
                except StopIteration as stop:
                    return stop.value

            return generate

        @functools.wraps(function)
        def call(*args: Any, **kw: Any) -> Any:
            with self._again():
                return function(*args, **kw)

        return call


class no_grad(_Mode):  # noqa: N801 (PyTorch's name)
    """Record nothing: for inference, and for writing into parameters.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([1.0], requires_grad=True)
    >>> with ag.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __new__(cls, function: Callable | None = None) -> Any:
        self = super().__new__(cls)
        if function is None:
            return self
        self.__init__()
        return self(function)

    def __init__(self, function: Callable | None = None) -> None:
        super().__init__()

    def _state(self, now: int) -> int:
        return now | NO_GRAD


class enable_grad(no_grad):  # noqa: N801
    """Record again, inside no_grad. Inside inference_mode nothing is recorded all the same.

    >>> import autograd_gpu as ag
    >>> with ag.no_grad(), ag.enable_grad():
    ...     ag.is_grad_enabled()
    True
    """

    def _state(self, now: int) -> int:
        return now if now & INFERENCE else now & ~NO_GRAD


class inference_mode(_Mode):  # noqa: N801
    """no_grad for code whose results never meet recorded ones. `inference_mode(False)` ends it, and no_grad, for a while.

    >>> import autograd_gpu as ag
    >>> with ag.inference_mode():
    ...     ag.is_grad_enabled()
    False
    """

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self._on = mode

    def __new__(cls, mode: Any = True) -> Any:
        self = super().__new__(cls)
        if isinstance(mode, bool):
            return self
        self.__init__()
        return self(mode)

    def _again(self) -> inference_mode:
        return inference_mode(self._on)

    def _state(self, now: int) -> int:
        return now | NO_GRAD | INFERENCE if self._on else now & ~(NO_GRAD | INFERENCE)


class set_grad_enabled(_Mode):  # noqa: N801
    """Turn recording on or off, at once; as a context manager, turn it back at the end.

    >>> import autograd_gpu as ag
    >>> with ag.set_grad_enabled(False):
    ...     ag.is_grad_enabled()
    False
    """

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self._on = mode
        self._at_once: int | None = self._set()

    def _set(self) -> int:
        return set_mode(self._state(mode.state))

    def _state(self, now: int) -> int:
        if self._on:
            return now if now & INFERENCE else now & ~NO_GRAD
        return now | NO_GRAD

    def __enter__(self) -> None:
        if self._at_once is not None:
            self._before.append(self._at_once)
            self._at_once = None
        else:
            super().__enter__()

    def _again(self) -> set_grad_enabled:
        return set_grad_enabled(self._on)

    def __call__(self, function: Callable) -> Callable:
        if self._at_once is not None:
            set_mode(self._at_once)
            self._at_once = None
        return super().__call__(function)


from . import functional  # noqa: E402 (these are made of the functions above)
from .checks import GradcheckError, gradcheck, gradgradcheck  # noqa: E402
