"""The softmax family: softmax, its logarithm and the logarithm of its denominator."""

from __future__ import annotations

import warnings
from typing import Any

from ..backend.promotion import category, default_dtype
from ..core.graph import words
from ..core.primitive import primitive
from ..core.tensor import Tensor
from .arguments import axes_of
from .reduce import axes, cast, kept

__all__ = ["log_softmax", "logsumexp", "softmax", "softmin"]
METHODS: tuple[str, ...] = ("log_softmax", "logsumexp", "softmax")
IN_PLACE: tuple[str, ...] = ()


def _softmax_x(xp: Any, g: Any, out: Any, axis: Any) -> Any:
    weighed = g * out
    return weighed - out * xp.sum(weighed, axis=axis, keepdims=True)


@primitive(_softmax_x, jvp="symmetric")
def _softmax(xp: Any, x: Any, *, axis: Any) -> Any:
    """The op behind `softmax`."""
    ...


@primitive(lambda xp, g, out, axis: g - xp.exp(out) * xp.sum(g, axis=axis, keepdims=True))
def _log_softmax(xp: Any, x: Any, *, axis: Any) -> Any:
    """The op behind `log_softmax`."""
    ...


@primitive(lambda xp, g, x, out, axis: kept(xp, g, x.shape, axis) * xp.exp(x - kept(xp, out, x.shape, axis)))
def _logsumexp(xp: Any, x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The op behind `logsumexp`."""
    ...


def implicit_dim(name: str, input: Tensor, above: int) -> int:
    """The dimension where none is given: PyTorch's old choice, with its warning. The caller is so many calls `above`."""
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=above + 1,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


def _normalized(word: str, input: Tensor, dim: Any, dtype: Any, axis: Any) -> Tensor:
    dim = axis if dim is None else dim
    if dim is None:
        dim = implicit_dim(word, input, 3)
    input = cast(input, dtype)
    if category(input.array.dtype) < 2:
        raise NotImplementedError(f"\"{word}\" not implemented for '{input.dtype}': convert it, as in x.float(), or give a dtype")
    return getattr(words, word)(input, axis=axes_of(dim, input.array.ndim))


def softmax(input: Tensor, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Tensor:
    """exp(x), scaled so that it sums to one along the dimension `dim`. `dtype` casts first.

    Raises NotImplementedError for integers without a `dtype`.

    >>> import autograd_gpu as ag
    >>> ag.softmax(ag.tensor([0.0, 1.0, 2.0]), dim=0)
    tensor([0.0900, 0.2447, 0.6652])
    """
    return _normalized("softmax", input, dim, dtype, axis)


def log_softmax(input: Tensor, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Tensor:
    """The logarithm of `softmax`, without the loss of digits of taking one after the other.

    >>> import autograd_gpu as ag
    >>> ag.log_softmax(ag.tensor([0.0, 1.0, 2.0]), dim=0)
    tensor([-2.4076, -1.4076, -0.4076])
    """
    return _normalized("log_softmax", input, dim, dtype, axis)


def softmin(input: Tensor, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Tensor:
    """The softmax of -x: large where x is small.

    >>> import autograd_gpu as ag
    >>> ag.softmin(ag.tensor([0.0, 1.0, 2.0]), dim=0)
    tensor([0.6652, 0.2447, 0.0900])
    """
    if dim is None and axis is None:
        dim = implicit_dim("softmin", input, 2)
    return _normalized("softmax", -cast(input, dtype), dim, None, axis)


def logsumexp(input: Tensor, dim: Any, keepdim: bool = False, *, axis: Any = None) -> Tensor:
    """The logarithm of the sum of exp(x) over the dimensions `dim`, without overflow. Integers give the default dtype.

    >>> import autograd_gpu as ag
    >>> ag.logsumexp(ag.tensor([1000.0, 1000.0]), dim=0)
    tensor(1000.6932)
    """
    if category(input.array.dtype) < 2:
        input = words.astype(input, dtype=default_dtype[0])
    return words.logsumexp(input, axis=axes(dim, axis, input.array.ndim), keepdims=keepdim)
