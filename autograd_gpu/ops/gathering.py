"""Gathering and scattering: reading and writing single elements along a dimension by an index tensor.

`take_along` reads, `untake_along` adds and is its transpose, `put_along` writes and `reduce_along` multiplies or compares.

Where an index comes twice, additions are all made, in the order of the index; of plain writes the last one stays, and the
gradient reaches each value that was written to the place, as in PyTorch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import backend
from ..backend.promotion import category, int32, int64
from ..core.dispatch import NUMBERS, constant
from ..core.graph import words
from ..core.primitive import linear, primitive
from ..core.tensor import Tensor
from ..dtypes import iinfo
from .arguments import axis_of
from .index import number_like
from .shape import broadcast_shapes, shaped, some_dimension, stretched

__all__ = ["gather", "scatter", "scatter_add", "scatter_reduce", "take_along_dim"]
METHODS: tuple[str, ...] = tuple(__all__)
IN_PLACE: tuple[str, ...] = ("scatter", "scatter_add", "scatter_reduce")

# -- the ops ---------------------------------------------------------------------------------------------------------------


@linear(lambda xp, g, x_shape, index, axis: xp.untake_along(g, index, axis=axis, shape=x_shape))
def _take_along(xp: Any, x: Any, index: Any, *, axis: int) -> Any:
    """out[i, j, k] = x[i, index[i, j, k], k] for axis 1."""
    ...


@linear(lambda xp, g, index, axis: xp.take_along(g, index, axis=axis))
def _untake_along(xp: Any, x: Any, index: Any, *, axis: int, shape: tuple[int, ...]) -> Any:
    """Zeros with x added where `take_along` reads."""
    ...


@linear(
    x=lambda xp, g, index, axis: xp.put_along(g, index, xp.zeros((), g.dtype), axis=axis),
    value=lambda xp, g, index, value_shape, axis: xp.sum_to(xp.take_along(g, index, axis=axis), shape=value_shape),
)
def _put_along(xp: Any, x: Any, index: Any, value: Any, *, axis: int) -> Any:
    """x with `value` where `take_along` reads."""
    ...


def _reduce_x(xp: Any, g: Any, x: Any, index: Any, value: Any, out: Any, axis: int, how: str) -> Any:
    if how == "prod":
        return g * xp.reduce_along(xp.ones_like(x), index, value, axis=axis, how=how)
    return _share(xp, g, x, index, value, out, axis) * (x == out)


def _reduce_value(xp: Any, g: Any, x: Any, index: Any, value: Any, out: Any, axis: int, how: str) -> Any:
    if how != "prod":
        mine = value == xp.take_along(out, index, axis=axis)
        return xp.take_along(_share(xp, g, x, index, value, out, axis), index, axis=axis) * mine
    zero = value == 0  # the product of the others: a quotient, but where there is a zero
    zeros = xp.take_along(xp.untake_along(xp.astype(zero, dtype=value.dtype), index, axis=axis, shape=x.shape), index, axis=axis)
    safe = xp.where(zero, xp.ones_like(value), value)
    product = xp.take_along(g * xp.reduce_along(x, index, safe, axis=axis, how=how), index, axis=axis)
    return product / safe * (zeros == zero)


def _share(xp: Any, g: Any, x: Any, index: Any, value: Any, out: Any, axis: int) -> Any:
    """The gradient of an extremum, shared evenly among the elements that attain it."""
    ties = xp.astype(value == xp.take_along(out, index, axis=axis), dtype=g.dtype)
    return g / (xp.untake_along(ties, index, axis=axis, shape=x.shape) + (x == out))


@primitive(x=_reduce_x, value=_reduce_value)
def _reduce_along(xp: Any, x: Any, index: Any, value: Any, *, axis: int, how: str) -> Any:
    """x with each element of `value` multiplied in ("prod") or compared ("amax", "amin") where `take_along` reads."""
    ...


# -- checks ------------------------------------------------------------------------------------------------------------------


def dim_or_axis(function: Callable) -> Callable:
    """The function with `axis` accepted for `dim`."""

    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Tensor:
        if "axis" in keywords:
            keywords["dim"] = keywords.pop("axis")
        return function(*args, **keywords)

    return call


def _along(function: Callable) -> Callable:
    """As `dim_or_axis`, with PyTorch's type of error for an index out of bounds."""

    @dim_or_axis
    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Tensor:
        try:
            return function(*args, **keywords)
        except IndexError as error:
            if "out of bounds" in str(error):
                raise RuntimeError(str(error)) from None
            raise

    return call


def tensor_of(value: Any, like: Tensor) -> Tensor:
    """A number as a Tensor of the dtype of `like`; a Tensor as it is."""
    if isinstance(value, Tensor):
        return value
    if not isinstance(value, NUMBERS):
        raise TypeError(f"expected a Tensor or a number, not {type(value).__name__}")
    return number_like(value, like)


def check_integers(name: str, index: Tensor) -> None:
    """Raise TypeError or RuntimeError, naming the function `name`, unless `index` is a tensor of int64 or int32."""
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}(): argument 'index' must be Tensor, not {type(index).__name__}")
    if index.array.dtype not in (int64, int32):
        raise RuntimeError(f"{name}(): Expected dtype int64 for index, and got {index.array.dtype}")


def check_same_dtype(name: str, input: Tensor, src: Tensor) -> None:
    """Raise RuntimeError, naming the function `name`, unless both have one dtype."""
    if src.array.dtype != input.array.dtype:
        raise RuntimeError(
            f"{name}(): Expected self.dtype to be equal to src.dtype, and got {input.array.dtype} and {src.array.dtype}"
        )


def _scattering(name: str, input: Tensor, dim: int, index: Tensor, src: Any = None) -> tuple[int, Tensor, Tensor, Any]:
    """Check the arguments of gather, scatter and the like; return dim from the front, and input, index and src with at least
    one dimension, src cut to the shape of index."""
    check_integers(name, index)
    axis = axis_of(dim, input.ndim)
    if isinstance(src, Tensor):
        check_same_dtype(name, input, src)
    x, index = some_dimension(input), some_dimension(index)
    shape, sizes = x.array.shape, index.array.shape
    if not index.array.size and len(sizes) != len(shape):
        index = words.reshape(index, shape=(0,) * len(shape))
        return axis, x, index, src if src is None or not src.array.ndim else words.reshape(src, shape=(-1,))[:0]
    if len(sizes) != len(shape):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as input tensor: {name}() of {list(sizes)} and {list(shape)}"
        )
    wrong = next((d for d, (m, n) in enumerate(zip(sizes, shape, strict=True)) if d != axis and m > n), None)
    if src is None or not src.array.ndim and input.array.ndim:
        if wrong is not None:
            raise RuntimeError(
                f"Size does not match at dimension {wrong} expected index {list(sizes)} to be no larger than self {list(shape)} "
                f"apart from dimension {axis}"
            )
        return axis, x, index, src
    src = some_dimension(src)
    if src.array.ndim != len(shape):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as src tensor: {name}() of {list(sizes)} and {list(src.shape)}"
        )
    if wrong is not None or any(m > n for m, n in zip(sizes, src.array.shape, strict=True)):
        raise RuntimeError(
            f"Expected index {list(sizes)} to be no larger than self {list(shape)} apart from dimension {axis} and to be no "
            f"larger size than src {list(src.array.shape)}"
        )
    if src.array.shape != sizes:
        src = words.slice(src, spec=(*[(0, n, None) for n in sizes], Ellipsis))
    return axis, x, index, src


# -- single elements along a dimension -----------------------------------------------------------------------------------------


@_along
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """The elements out[i, j, k] = input[i, index[i, j, k], k], here for dim 1. index may be smaller than input elsewhere.

    Raises RuntimeError for an index of the wrong dtype, number of dimensions or size, or out of bounds.

    >>> import autograd_gpu as ag
    >>> ag.gather(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, ag.tensor([[0], [1]]))
    tensor([[1.],
            [4.]])
    """
    axis, x, places, _ = _scattering("gather", input, dim, index)
    if x.array.ndim != places.array.ndim:
        return input.new_zeros(index.array.shape)
    return shaped(words.take_along(x, places, axis=axis), index.array.shape)


@_along
def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
    """input with out[i, index[i, j, k], k] = src[i, j, k], here for dim 1, or with the number `value` there. With reduce "add"
    or "multiply", what stood there takes part.

    >>> import autograd_gpu as ag
    >>> ag.scatter(ag.zeros(2, 3), 1, ag.tensor([[0], [2]]), 1.0)
    tensor([[1., 0., 0.],
            [0., 0., 1.]])
    """
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if (src is None) == (value is None):
        raise TypeError("scatter() takes one of the arguments src and value")
    given = tensor_of(value if src is None else src, input)
    axis, x, places, given = _scattering("scatter", input, dim, index, given)
    if reduce is None:
        out = words.put_along(x, places, given, axis=axis)
    else:
        out = _combined(x, places, stretched(given, places.array.shape), axis, "sum" if reduce == "add" else "prod")
    return shaped(out, input.array.shape)


def _combined(x: Tensor, index: Tensor, src: Tensor, axis: int, how: str) -> Tensor:
    if how == "sum":
        return words.add(x, words.untake_along(src, index, axis=axis, shape=x.array.shape))
    return words.reduce_along(x, index, src, axis=axis, how=how)


@_along
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input with src[i, j, k] added to out[i, index[i, j, k], k], here for dim 1.

    >>> import autograd_gpu as ag
    >>> ag.scatter_add(ag.zeros(3), 0, ag.tensor([0, 0, 2]), ag.ones(3))
    tensor([2., 0., 1.])
    """
    axis, x, places, src = _scattering("scatter_add", input, dim, index, src)
    return shaped(_combined(x, places, src, axis, "sum"), input.array.shape)


@_along
def scatter_reduce(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """As `scatter_add`, with "sum", "prod", "mean", "amax" or "amin" of what falls in one place, and of what stood there if
    include_self. The gradient of an extremum is shared by the elements that attain it.

    >>> import autograd_gpu as ag
    >>> ag.scatter_reduce(ag.zeros(2), 0, ag.tensor([0, 0, 1]), ag.tensor([1.0, 3.0, 5.0]), "amax")
    tensor([3., 5.])
    """
    return reduce_into("scatter_reduce", input, dim, index, src, reduce, include_self)


def reduce_into(name: str, input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool) -> Tensor:
    """`scatter_reduce`, for whoever needs it under the name that errors show."""
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    axis, x, places, src = _scattering(name, input, dim, index, src)
    if not include_self:
        nothing = constant(_identity(reduce, x.array.dtype), x.array.dtype, x.array)
        out = words.put_along(x, places, nothing, axis=axis)
    else:
        out = x
    out = _combined(out, places, src, axis, "sum" if reduce == "mean" else reduce)
    if reduce == "mean":
        xp = backend.beside(x.array)
        counts = xp.untake_along(xp.ones(places.array.shape, x.array.dtype), places.array, axis=axis, shape=x.array.shape)
        counts = Tensor((xp.add if include_self else xp.maximum)(counts, xp.ones((), counts.dtype)))
        out = words.div(out, counts) if category(x.array.dtype) >= 2 else words.floor_divide(out, counts)
    return shaped(out, input.array.shape)


def _identity(reduce: str, dtype: Any) -> Any:
    """The value that changes nothing in a reduction."""
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    if category(dtype) >= 2:
        return float("-inf" if reduce == "amax" else "inf")
    if dtype.kind == "b":
        return reduce == "amin"
    return iinfo(dtype).min if reduce == "amax" else iinfo(dtype).max


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """The elements of input that the result of argmax or argsort along `dim` means; the other dimensions are broadcast.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([[3.0, 1.0], [2.0, 4.0]])
    >>> ag.take_along_dim(x, ag.argsort(x, 1), 1)
    tensor([[1., 3.],
            [2., 4.]])
    """
    dim = axis if dim is None else dim
    check_integers("take_along_dim", indices)
    if dim is None:
        return gather(words.reshape(input, shape=(input.array.size,)), 0, words.reshape(indices, shape=(indices.array.size,)))
    if input.array.ndim != indices.array.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input.array.ndim} dimensions for input, and {indices.array.ndim} dimensions for indices"
        )
    place = axis_of(dim, input.array.ndim)
    have, wanted = list(input.array.shape), list(indices.array.shape)
    sizes = list(broadcast_shapes((*have[:place], 1, *have[place + 1 :]), (*wanted[:place], 1, *wanted[place + 1 :])))
    for t in (have, wanted):
        t[:] = [*sizes[:place], t[place], *sizes[place + 1 :]]
    return gather(stretched(input, tuple(have)), place, stretched(indices, tuple(wanted)))
