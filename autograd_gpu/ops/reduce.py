"""Sums, means, variances, products, norms and what else takes all elements of a line into one.

NOTE [Reduced dimensions]
    A rule meets the gradient of a reduction without the dimensions that it reduced, or, under keepdim, with size 1 in their
    place. `kept` gives both the second form, in which the operators broadcast it against the input. So no rule asks how the
    reduction was called, and the shape of the input is all that a sum keeps.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from ..backend.promotion import category
from ..core.graph import words
from ..core.primitive import linear, nondifferentiable, primitive
from ..core.tensor import Tensor
from .arguments import axes_of, axis_of, dtype_of

__all__ = [
    "all",
    "any",
    "count_nonzero",
    "mean",
    "nanmean",
    "nansum",
    "norm",
    "prod",
    "std",
    "std_mean",
    "sum",
    "var",
    "var_mean",
]
METHODS: tuple[str, ...] = tuple(name for name in __all__ if not name.endswith("_mean"))
IN_PLACE: tuple[str, ...] = ()


def kept(xp: Any, g: Any, shape: Sequence[int], axis: Any) -> Any:
    """The gradient, or the result, of a reduction of `shape` over `axis`, with reduced dimensions of size 1."""
    if g.ndim == len(shape) or not g.ndim:
        return g
    sizes = list(shape)
    for i in (axis,) if isinstance(axis, int) else axis:
        sizes[i] = 1
    return xp.reshape(g, shape=tuple(sizes))


def size_along(shape: Sequence[int], axis: Any) -> int:
    """How many elements a reduction of `shape` over `axis` takes into each of its results."""
    return math.prod([shape[i] for i in ((axis,) if isinstance(axis, int) else axis)])


def axes(dim: Any, axis: Any, ndim: int) -> tuple[int, ...]:
    """The dimensions to reduce, given as `dim` or as `axis`. None, and as in PyTorch an empty list too, stands for all."""
    dim = axis if dim is None else dim
    return axes_of(None if dim == () or dim == [] else dim, ndim)


def cast(input: Tensor, dtype: Any) -> Tensor:
    """`input` in the dtype asked for, if one is."""
    dtype = dtype_of(dtype)
    return input if dtype is None or input.array.dtype == dtype else words.astype(input, dtype=dtype)


# -- sums --------------------------------------------------------------------------------------------------------------


@linear(lambda xp, g, x_shape: xp.broadcast_to(g, shape=x_shape))
def _sum_to(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """The op that undoes broadcasting: a word for the engine and for rules."""
    ...


@linear(lambda xp, g, x_shape, axis: xp.broadcast_to(kept(xp, g, x_shape, axis), shape=x_shape))
def _sum(xp: Any, x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The op behind `sum`."""
    ...


@linear(lambda xp, g, x_shape, axis: xp.broadcast_to(kept(xp, g, x_shape, axis) / size_along(x_shape, axis), shape=x_shape))
def _mean(xp: Any, x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The op behind `mean`."""
    ...


def sum(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: bool = False
) -> Tensor:
    """The sum over the dimensions `dim`, by default over all. Integers and bools give int64; `dtype` casts first.

    >>> import autograd_gpu as ag
    >>> ag.sum(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    if dtype is not None:
        input = cast(input, dtype)
    return words.sum(input, axis=axes(dim, axis, input.array.ndim), keepdims=keepdim or keepdims)


def mean(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: bool = False
) -> Tensor:
    """The mean over the dimensions `dim`, by default over all; NaN where there is nothing to average.

    Raises RuntimeError for integers and bools: convert them first, or give a `dtype`.

    >>> import autograd_gpu as ag
    >>> ag.mean(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([1.5000, 3.5000])
    """
    if dtype is not None:
        input = cast(input, dtype)
    if category(input.array.dtype) < 2:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {input.dtype}. Convert the input, as in x.float(), or give a dtype"
        )
    return words.mean(input, axis=axes(dim, axis, input.array.ndim), keepdims=keepdim or keepdims)


def _numbers(input: Tensor) -> Tensor:
    """`input` with zeros in place of NaN, through which no gradient flows."""
    return words.where(words.isnan(input), words.zeros_like(input), input)


def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None) -> Tensor:
    """The sum over the dimensions `dim`, with NaN counted as zero.

    >>> import autograd_gpu as ag
    >>> ag.nansum(ag.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """
    return sum(_numbers(input) if category(input.array.dtype) >= 2 else input, dim, keepdim, dtype=dtype, axis=axis)


def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None) -> Tensor:
    """The mean over the dimensions `dim` of the elements that are not NaN; NaN where there are none.

    >>> import autograd_gpu as ag
    >>> ag.nanmean(ag.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)
    """
    if category(input.array.dtype) < 2:
        raise RuntimeError(f"nanmean(): expected input to have floating point or complex dtype but got {input.dtype}")
    over = axes(dim, axis, input.array.ndim)
    return sum(_numbers(input), over, keepdim, dtype=dtype) / sum(words.logical_not(words.isnan(input)), over, keepdim)


# -- products ----------------------------------------------------------------------------------------------------------


def _prod_x(xp: Any, g: Any, x: Any, axis: int) -> Any:
    """The product of the elements before each times that of those after it: right with zeros too, to any order."""
    before = xp.cumprod(x, axis=axis, exclusive=True)
    return kept(xp, g, x.shape, axis) * before * xp.cumprod(x, axis=axis, exclusive=True, reverse=True)


@primitive(_prod_x)
def _prod(xp: Any, x: Any, *, axis: int, keepdims: bool = False) -> Any:
    """The op behind `prod`."""
    ...


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None, axis: int | None = None) -> Tensor:
    """The product over the dimension `dim`, by default of all elements. Integers and bools give int64; `dtype` casts first.

    >>> import autograd_gpu as ag
    >>> ag.prod(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), 0)
    tensor([3., 8.])
    """
    input, dim = cast(input, dtype), axis if dim is None else dim
    if dim is None or not input.array.ndim:
        if dim is not None:
            axis_of(dim, 0)
        return words.prod(words.reshape(input, shape=(-1,)), axis=0)
    return words.prod(input, axis=axis_of(dim, input.array.ndim), keepdims=keepdim)


# -- variances ---------------------------------------------------------------------------------------------------------


def _var_x(xp: Any, g: Any, x: Any, axis: Any, correction: Any) -> Any:
    slope = kept(xp, g, x.shape, axis) * 2 / _degrees(x.shape, axis, correction)
    return (x - xp.mean(x, axis=axis, keepdims=True)) * slope


def _std_x(xp: Any, g: Any, x: Any, out: Any, axis: Any, correction: Any) -> Any:
    # where the spread is zero the slope is taken as zero, as PyTorch does; dividing by infinity makes it so to any order
    slope = g / xp.where(out == 0, xp.full(out.shape, math.inf, out.dtype), out)
    slope = kept(xp, slope, x.shape, axis) / _degrees(x.shape, axis, correction)
    return (x - xp.mean(x, axis=axis, keepdims=True)) * slope


def _degrees(shape: Sequence[int], axis: Any, correction: Any) -> Any:
    """The degrees of freedom: what the sum of squares is divided by, never less than zero."""
    n = size_along(shape, axis) - correction
    return n if n > 0 else 0


@primitive(_var_x)
def _var(xp: Any, x: Any, *, axis: Any, correction: Any, keepdims: bool = False) -> Any:
    """The op behind `var`."""
    ...


@primitive(_std_x)
def _std(xp: Any, x: Any, *, axis: Any, correction: Any, keepdims: bool = False) -> Any:
    """The op behind `std`."""
    return xp.sqrt(xp.var(x, axis=axis, correction=correction, keepdims=keepdims))


def _spread(word: str, input: Tensor, dim: Any, unbiased: bool | None, correction: Any, keepdim: bool, axis: Any) -> Tensor:
    """var and std, given PyTorch's two forms of arguments: (dim, unbiased, keepdim) and (dim, correction=)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    elif unbiased is not None:
        raise TypeError(f"{word}() takes unbiased or correction, not both")
    if category(input.array.dtype) < 2:
        raise RuntimeError(f"std and var only support floating point and complex dtypes, and this tensor is {input.dtype}")
    over = axes(dim, axis, input.array.ndim)
    n = size_along(input.array.shape, over)
    if n <= correction:
        warnings.warn(
            f"{word}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor (input "
            f"numel divided by output numel), and here {correction} of {n} elements are subtracted.",
            UserWarning,
            stacklevel=3,
        )
    correction = int(correction) if correction == int(correction) else correction
    return getattr(words, word)(input, axis=over, correction=correction, keepdims=keepdim)


def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    axis: Any = None,
) -> Tensor:
    """The variance over the dimensions `dim`: squared distances from the mean, divided by their number minus `correction`.

    The correction is 1 by default, and 0 with unbiased=False. Raises RuntimeError for integers.

    >>> import autograd_gpu as ag
    >>> ag.var(ag.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor(1.6667)
    """
    return _spread("var", input, dim, unbiased, correction, keepdim, axis)


def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    axis: Any = None,
) -> Tensor:
    """The standard deviation over the dimensions `dim`: the square root of `var`. Where it is 0 its gradient is taken as 0.

    >>> import autograd_gpu as ag
    >>> ag.std(ag.tensor([1.0, 2.0, 3.0, 4.0]), correction=0)
    tensor(1.1180)
    """
    return _spread("std", input, dim, unbiased, correction, keepdim, axis)


def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    axis: Any = None,
) -> tuple[Tensor, Tensor]:
    """The variance and the mean over the dimensions `dim`.

    >>> import autograd_gpu as ag
    >>> ag.var_mean(ag.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    dims = None if isinstance(dim, bool) else dim
    return _spread("var", input, dim, unbiased, correction, keepdim, axis), mean(input, dims, keepdim, axis=axis)


def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    axis: Any = None,
) -> tuple[Tensor, Tensor]:
    """The standard deviation and the mean over the dimensions `dim`.

    >>> import autograd_gpu as ag
    >>> ag.std_mean(ag.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    dims = None if isinstance(dim, bool) else dim
    return _spread("std", input, dim, unbiased, correction, keepdim, axis), mean(input, dims, keepdim, axis=axis)


# -- norms -------------------------------------------------------------------------------------------------------------


def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None) -> Tensor:
    """The p-norm over the dimensions `dim`, by default of all elements, as `linalg.vector_norm`; "fro" stands for 2.

    Raises RuntimeError for integers without a `dtype`.

    >>> import autograd_gpu as ag
    >>> ag.norm(ag.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5.)
    """
    from .vectors import vector_norm  # which builds on this module

    if p is None or p == "fro":
        p = 2
    elif isinstance(p, str):
        raise NotImplementedError(f"norm(): p={p!r} is not available: give a number or 'fro'")
    return vector_norm(
        input, p, None if dim is None and axis is None else axes(dim, axis, input.array.ndim), keepdim, dtype=dtype
    )


# -- truth and counts --------------------------------------------------------------------------------------------------


@nondifferentiable()
def _all(xp: Any, x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The op behind `all`."""
    ...


@nondifferentiable()
def _any(xp: Any, x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The op behind `any`."""
    ...


@nondifferentiable()
def _count_nonzero(xp: Any, x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The op behind `count_nonzero`."""
    ...


def _truth(word: Any, input: Tensor, dim: Any, keepdim: bool, axis: Any) -> Tensor:
    result = word(input, axis=axes(dim, axis, input.array.ndim), keepdims=keepdim)
    return words.astype(result, dtype=input.dtype) if input.array.dtype == "uint8" else result  # as in PyTorch


def all(input: Tensor, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Tensor:
    """Whether all elements along the dimensions `dim` are nonzero. The result is bool, uint8 for uint8.

    >>> import autograd_gpu as ag
    >>> ag.all(ag.tensor([[True, False], [True, True]]), dim=1)
    tensor([False,  True])
    """
    return _truth(words.all, input, dim, keepdim, axis)


def any(input: Tensor, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Tensor:
    """Whether any element along the dimensions `dim` is nonzero. The result is bool, uint8 for uint8.

    >>> import autograd_gpu as ag
    >>> ag.any(ag.tensor([[False, False], [True, False]]), dim=1)
    tensor([False,  True])
    """
    return _truth(words.any, input, dim, keepdim, axis)


def count_nonzero(input: Tensor, dim: Any = None, *, axis: Any = None) -> Tensor:
    """How many elements along the dimensions `dim` are not zero, as int64.

    >>> import autograd_gpu as ag
    >>> ag.count_nonzero(ag.tensor([[0, 1], [2, 3]]), dim=0)
    tensor([1, 2])
    """
    return words.count_nonzero(input, axis=axes(dim, axis, input.array.ndim))
