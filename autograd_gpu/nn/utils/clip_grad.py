"""Clipping gradients, in place."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Iterable
from typing import Any

from ... import backend
from ...core.graph import touch_all, write_of
from ...core.tensor import Tensor
from ...ops.join import stack
from ...ops.vectors import vector_norm


def _gradients(parameters: Any) -> list[Tensor]:
    """The gradients that there are."""
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    else:
        generated = isinstance(parameters, types.GeneratorType)
        parameters = list(parameters)
        if generated and not parameters:
            warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3)
    return [p.grad for p in parameters if p.grad is not None]


def _by_kind(tensors: Iterable[Tensor]) -> list[list[Any]]:
    """The arrays of tensors, those of one dtype and device together."""
    kinds: dict[tuple, list[Any]] = {}
    for t in tensors:
        kinds.setdefault((t.array.__class__, t.array.dtype, str(t.device)), []).append(t.array)
    return list(kinds.values())


def get_total_norm(tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
    """The norm of all elements of tensors together.

    Raises RuntimeError, with error_if_nonfinite, if it is not finite; only that waits for a CUDA device.

    >>> import autograd_gpu as ag
    >>> ag.nn.utils.get_total_norm([ag.tensor([3.0]), ag.tensor([[4.0]])])
    tensor(5.)
    """
    kinds = _by_kind([tensors] if isinstance(tensors, Tensor) else tensors)
    order = float(norm_type)
    norms = [Tensor(backend.of(arrays[0].__class__).norm_of_all(arrays, ord=order)) for arrays in kinds]
    if not norms:
        return Tensor(backend.cpu.zeros((), "float32"))
    total = norms[0] if len(norms) == 1 else vector_norm(stack([n.to(norms[0].device) for n in norms]), order)
    if error_if_nonfinite and not bool(total.isfinite()):
        raise RuntimeError(
            f"The total norm of order {order} for gradients from `parameters` is non-finite, so it cannot be clipped. To disable "
            "this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Tensor, foreach: bool | None = None) -> None:
    """Scale the gradients of parameters, whose norm together is `total_norm`, in place so that it is at most max_norm."""
    _scale(_gradients(parameters), float(max_norm), total_norm, "clip_grads_with_norm_")


def _scale(gradients: list[Tensor], max_norm: float, total_norm: Tensor, name: str) -> None:
    factor = (max_norm / (total_norm + 1e-6)).clamp(max=1.0)
    for arrays in _by_kind(gradients):
        here = factor.to(Tensor(arrays[0]).device)
        backend.of(arrays[0].__class__).rescale_(arrays, here.array)
    _written(gradients, name)


def _written(gradients: list[Tensor], name: str) -> None:
    touch_all([write_of(g.array) for g in gradients], name, sys._getframe(1))


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """Scale the gradients of parameters (a Tensor or an iterable of them) in place so that the norm of all together is at most
    max_norm. Returns the norm that they had.

    norm_type           2, 1, inf or any other p
    error_if_nonfinite  raise RuntimeError, and change nothing, if that norm is NaN or inf
    foreach             is accepted and ignored: all gradients are always done together

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([0.0, 0.0], requires_grad=True)
    >>> (w * ag.tensor([3.0, 4.0])).sum().backward()
    >>> ag.nn.utils.clip_grad_norm_([w], 1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    gradients = _gradients(parameters)
    max_norm, order = float(max_norm), float(norm_type)
    kinds = _by_kind(gradients)
    if order == 2 and len(kinds) == 1 and not error_if_nonfinite:
        norm = backend.of(kinds[0][0].__class__).clip_by_norm_(kinds[0], max_norm)
        if norm is not NotImplemented:
            _written(gradients, "clip_grad_norm_")
            return Tensor(norm)
    total = get_total_norm(gradients, order, error_if_nonfinite)
    _scale(gradients, max_norm, total, "clip_grad_norm_")
    return total


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Bring each element of the gradients of parameters between -clip_value and clip_value, in place.

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([0.0, 0.0], requires_grad=True)
    >>> (w * ag.tensor([3.0, -0.5])).sum().backward()
    >>> ag.nn.utils.clip_grad_value_(w, 1.0)
    >>> w.grad
    tensor([ 1.0000, -0.5000])
    """
    clip_value = float(clip_value)
    gradients = _gradients(parameters)
    for g in gradients:
        xp = backend.of(g.array.__class__)
        xp.clamp(g.array, min=-clip_value, max=clip_value, out=g.array)
    _written(gradients, "clip_grad_value_")


def clip_grad_norm(parameters: Any, max_norm: float, norm_type: float = 2.0) -> Tensor:
    """The deprecated name of `clip_grad_norm_`."""
    warnings.warn("`clip_grad_norm` is now deprecated in favor of `clip_grad_norm_`.", FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type)
