"""Gathering and scattering: reading and writing along a dimension by an index tensor, and by masks.

Three pairs of words do all of it: `index` and `unindex` (slices of a tensor), `take_along` and `untake_along` (single elements),
each with the word that writes there, `index_put` and `put_along`. What reads is linear, and what adds is its transpose.

Where an index comes twice, additions are all made, in the order of the index; of plain writes the last one stays, and the
gradient reaches each value that was written to the place, as in PyTorch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import backend
from ..backend.promotion import category
from ..core.dispatch import NUMBERS, constant
from ..core.graph import words
from ..core.primitive import linear, primitive
from ..core.tensor import Tensor
from .arguments import axis_of
from .index import index_tensors, result_shape, without_leading_ones

__all__ = [
    "gather", "index_add", "index_copy", "index_fill", "index_put", "index_reduce", "index_select", "masked_fill", "masked_scatter",
    "masked_select", "put", "scatter", "scatter_add", "scatter_reduce", "take", "take_along_dim",
]  # fmt: skip
METHODS: tuple[str, ...] = tuple(__all__)
IN_PLACE: tuple[str, ...] = (
    "index_add", "index_copy", "index_fill", "index_put", "index_reduce", "masked_fill", "masked_scatter", "put", "scatter",
    "scatter_add", "scatter_reduce",
)  # fmt: skip

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


def _along(function: Callable) -> Callable:
    """The function with `axis` accepted for `dim`, and with PyTorch's error for an index out of bounds."""

    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Tensor:
        if "axis" in keywords:
            keywords["dim"] = keywords.pop("axis")
        try:
            return function(*args, **keywords)
        except IndexError as error:
            if "out of bounds" in str(error):
                raise RuntimeError(str(error)) from None
            raise

    return call


def _tensor_of(value: Any, like: Tensor) -> Tensor:
    """A number as a Tensor of the dtype of `like`; a Tensor as it is."""
    if isinstance(value, Tensor):
        return value
    if not isinstance(value, NUMBERS):
        raise TypeError(f"expected a Tensor or a number, not {type(value).__name__}")
    dtype = like.data.dtype
    if np.iscomplexobj(value) and dtype.kind != "c":
        raise RuntimeError(f"value cannot be converted to type {dtype} without overflow")
    return constant(value, dtype, backend.of(like.data.__class__))


def _integers(name: str, index: Tensor) -> None:
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}(): argument 'index' must be Tensor, not {type(index).__name__}")
    if index.data.dtype not in (np.int64, np.int32):
        raise RuntimeError(f"{name}(): Expected dtype int64 for index, and got {index.data.dtype}")


def _same_dtype(name: str, input: Tensor, src: Tensor) -> None:
    if src.data.dtype != input.data.dtype:
        raise RuntimeError(
            f"{name}(): Expected self.dtype to be equal to src.dtype, and got {input.data.dtype} and {src.data.dtype}"
        )


def _at_least_1d(t: Tensor) -> Tensor:
    return t if t.data.ndim else words.reshape(t, shape=(1,))


def _shaped(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    return t if t.data.shape == shape else words.reshape(t, shape=shape)


def _scattering(name: str, input: Tensor, dim: int, index: Tensor, src: Any = None) -> tuple[int, Tensor, Tensor, Any]:
    """Check the arguments of gather, scatter and the like; return dim from the front, and input, index and src with at least
    one dimension, src cut to the shape of index."""
    _integers(name, index)
    axis = axis_of(dim, input.ndim)
    if isinstance(src, Tensor):
        _same_dtype(name, input, src)
    x, index = _at_least_1d(input), _at_least_1d(index)
    shape, sizes = x.data.shape, index.data.shape
    if not index.data.size and len(sizes) != len(shape):
        index = words.reshape(index, shape=(0,) * len(shape))
        return axis, x, index, src if src is None or not src.data.ndim else words.reshape(src, shape=(-1,))[:0]
    if len(sizes) != len(shape):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as input tensor: {name}() of {list(sizes)} and {list(shape)}"
        )
    wrong = next((d for d, (m, n) in enumerate(zip(sizes, shape, strict=True)) if d != axis and m > n), None)
    if src is None or not src.data.ndim and input.data.ndim:
        if wrong is not None:
            raise RuntimeError(
                f"Size does not match at dimension {wrong} expected index {list(sizes)} to be no larger than self {list(shape)} "
                f"apart from dimension {axis}"
            )
        return axis, x, index, src
    src = _at_least_1d(src)
    if src.data.ndim != len(shape):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as src tensor: {name}() of {list(sizes)} and {list(src.shape)}"
        )
    if wrong is not None or any(m > n for m, n in zip(sizes, src.data.shape, strict=True)):
        raise RuntimeError(
            f"Expected index {list(sizes)} to be no larger than self {list(shape)} apart from dimension {axis} and to be no "
            f"larger size than src {list(src.data.shape)}"
        )
    if src.data.shape != sizes:
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
    if x.data.ndim != places.data.ndim:
        return words.zeros(index.data.shape, input.data.dtype)
    return _shaped(words.take_along(x, places, axis=axis), index.data.shape)


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
    given = _tensor_of(value if src is None else src, input)
    axis, x, places, given = _scattering("scatter", input, dim, index, given)
    if reduce is None:
        out = words.put_along(x, places, given, axis=axis)
    else:
        if given.data.shape != places.data.shape:
            given = words.broadcast_to(given, shape=places.data.shape)
        out = _combined(x, places, given, axis, "sum" if reduce == "add" else "prod")
    return _shaped(out, input.data.shape)


def _combined(x: Tensor, index: Tensor, src: Tensor, axis: int, how: str) -> Tensor:
    if how == "sum":
        return words.add(x, words.untake_along(src, index, axis=axis, shape=x.data.shape))
    return words.reduce_along(x, index, src, axis=axis, how=how)


@_along
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input with src[i, j, k] added to out[i, index[i, j, k], k], here for dim 1.

    >>> import autograd_gpu as ag
    >>> ag.scatter_add(ag.zeros(3), 0, ag.tensor([0, 0, 2]), ag.ones(3))
    tensor([2., 0., 1.])
    """
    axis, x, places, src = _scattering("scatter_add", input, dim, index, src)
    return _shaped(_combined(x, places, src, axis, "sum"), input.data.shape)


@_along
def scatter_reduce(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """As `scatter_add`, with "sum", "prod", "mean", "amax" or "amin" of what falls in one place, and of what stood there if
    include_self. The gradient of an extremum is shared by the elements that attain it.

    >>> import autograd_gpu as ag
    >>> ag.scatter_reduce(ag.zeros(2), 0, ag.tensor([0, 0, 1]), ag.tensor([1.0, 3.0, 5.0]), "amax")
    tensor([3., 5.])
    """
    return _scatter_reduce("scatter_reduce", input, dim, index, src, reduce, include_self)


def _scatter_reduce(name: str, input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool) -> Tensor:
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    axis, x, places, src = _scattering(name, input, dim, index, src)
    if not include_self:
        nothing = constant(_identity(reduce, x.data.dtype), x.data.dtype, backend.of(x.data.__class__))
        out = words.put_along(x, places, nothing, axis=axis)
    else:
        out = x
    out = _combined(out, places, src, axis, "sum" if reduce == "mean" else reduce)
    if reduce == "mean":
        xp = backend.of(x.data.__class__)
        counts = xp.untake_along(xp.ones(places.data.shape, x.data.dtype), places.data, axis=axis, shape=x.data.shape)
        counts = Tensor(counts + xp.ones((), counts.dtype) if include_self else xp.maximum(counts, xp.ones((), counts.dtype)))
        out = words.div(out, counts) if category(x.data.dtype) >= 2 else words.floor_divide(out, counts)
    return _shaped(out, input.data.shape)


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
    return np.iinfo(dtype).min if reduce == "amax" else np.iinfo(dtype).max


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """The elements of input that the result of argmax or argsort along `dim` means; the other dimensions are broadcast.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([[3.0, 1.0], [2.0, 4.0]])
    >>> ag.take_along_dim(x, ag.argsort(x, 1), 1)
    tensor([[1., 3.],
            [2., 4.]])
    """
    dim = axis if dim is None else dim
    _integers("take_along_dim", indices)
    if dim is None:
        return gather(words.reshape(input, shape=(input.data.size,)), 0, words.reshape(indices, shape=(indices.data.size,)))
    if input.data.ndim != indices.data.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input.data.ndim} dimensions for input, and {indices.data.ndim} dimensions for indices"
        )
    place = axis_of(dim, input.data.ndim)
    have, wanted = list(input.data.shape), list(indices.data.shape)
    sizes = list(np.broadcast_shapes((*have[:place], 1, *have[place + 1 :]), (*wanted[:place], 1, *wanted[place + 1 :])))
    for t in (have, wanted):
        t[:] = [*sizes[:place], t[place], *sizes[place + 1 :]]
    return gather(_spread(input, tuple(have)), place, _spread(indices, tuple(wanted)))


def _spread(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    return t if t.data.shape == shape else words.broadcast_to(t, shape=shape)


# -- slices --------------------------------------------------------------------------------------------------------------------


def _slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor | None = None) -> tuple[int, Tensor, Tensor]:
    """Check the arguments of index_select, index_add and the like; return dim from the front, and index as a vector."""
    _integers(name, index)
    axis = axis_of(dim, input.data.ndim)
    if index.data.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, and has shape {list(index.data.shape)}")
    index = _at_least_1d(index)
    if isinstance(source, Tensor):
        if source.data.dtype != input.data.dtype:
            raise RuntimeError(
                f"{name}(): self ({input.data.dtype}) and source ({source.data.dtype}) must have the same scalar type"
            )
        n = index.data.size
        have = source.data.shape[axis] if axis < source.data.ndim else 1
        if n != have:
            raise (IndexError if name == "index_copy_" else RuntimeError)(
                f"{name}(): Number of indices ({n}) should be equal to source.size(dim): ({have}), for dim: {axis}"
            )
        rest, given = list(input.data.shape), list(source.data.shape)
        rest[axis : axis + 1], given[axis : axis + 1] = [], []
        if rest != given:
            raise RuntimeError(
                f"{name}(): Source/destination tensor must have same slice shapes. Destination slice shape: {rest} at dimension "
                f"{axis} and source slice shape: {given} at dimension {axis}."
            )
    return axis, index, _at_least_1d(input)


def _not_negative(name: str, index: Tensor, size: int, axis: int, error: type[Exception] = IndexError) -> None:
    """Raise for a negative index, which x[...] takes and these functions do not."""
    if index.data.size and int(index.data.min()) < 0:
        raise error(f"{name}(): index {int(index.data.min())} is out of bounds for dimension {axis} with size {size}")


def index_select(input: Tensor, dim: int | None = None, index: Tensor = None, *, axis: int | None = None) -> Tensor:
    """The slices of input along `dim` that the vector `index` names.

    >>> import autograd_gpu as ag
    >>> ag.index_select(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, ag.tensor([1, 1]))
    tensor([[2., 2.],
            [4., 4.]])
    """
    place, vector, x = _slices("index_select", input, axis if dim is None else dim, index)
    _not_negative("index_select", vector, x.data.shape[place], place)
    out = words.index(x, vector, axes=(place,))
    return out if input.data.ndim else words.reshape(out, shape=())


@_along
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """input with alpha times the slices of source added to the slices along `dim` that `index` names.

    >>> import autograd_gpu as ag
    >>> ag.index_add(ag.zeros(3), 0, ag.tensor([0, 0, 2]), ag.ones(3), alpha=2)
    tensor([4., 0., 2.])
    """
    axis, index, x = _slices("index_add_", input, dim, index, source)
    _not_negative("index_add_", index, x.data.shape[axis], axis, RuntimeError)
    source = _at_least_1d(source)
    if alpha != 1:
        source = words.mul(source, alpha)
    return _shaped(words.add(x, words.unindex(source, index, axes=(axis,), shape=x.data.shape)), input.data.shape)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """input with the slices along `dim` that `index` names replaced by those of source.

    >>> import autograd_gpu as ag
    >>> ag.index_copy(ag.zeros(3), 0, ag.tensor([2, 0]), ag.tensor([5.0, 6.0]))
    tensor([6., 0., 5.])
    """
    axis, index, x = _slices("index_copy_", input, dim, index, source)
    _not_negative("index_copy_", index, x.data.shape[axis], axis)
    return _shaped(words.index_put(x, _at_least_1d(source), index, axes=(axis,)), input.data.shape)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """input with the slices along `dim` that `index` names filled with one value, a number or a tensor without dimensions.

    >>> import autograd_gpu as ag
    >>> ag.index_fill(ag.zeros(3), 0, ag.tensor([2, 0]), 7)
    tensor([7., 0., 7.])
    """
    axis, index, x = _slices("index_fill_", input, dim, index)
    value = _single("index_fill_", value, input)
    xp, n = backend.of(x.data.__class__), x.data.shape[axis]
    filled = xp.unindex(xp.ones(index.data.shape, np.bool_), index.data, axes=(0,), shape=(n,))
    mask = Tensor(filled.reshape([n if i == axis else 1 for i in range(x.data.ndim)]))
    return _shaped(words.where(mask, value, x), input.data.shape)


def _single(name: str, value: Any, input: Tensor) -> Tensor:
    """A fill value as a Tensor without dimensions of the dtype of input."""
    value = _tensor_of(value, input)
    if value.data.ndim:
        raise RuntimeError(
            f"{name} only supports a 0-dimensional value tensor, but got tensor with {value.data.ndim} dimension(s)."
        )
    return value if value.data.dtype == input.data.dtype else words.astype(value, dtype=input.data.dtype)


@_along
def index_reduce(input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """As `index_add`, with the "prod", "mean", "amax" or "amin" of what falls on one slice, and of it itself if include_self.

    >>> import autograd_gpu as ag
    >>> ag.index_reduce(ag.ones(2), 0, ag.tensor([0, 0]), ag.tensor([3.0, 4.0]), "prod")
    tensor([12.,  1.])
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either prod, mean, amax or amin, got {reduce}")
    axis, index, x = _slices("index_reduce_", input, dim, index, source)
    shape = [1] * x.data.ndim
    shape[axis] = index.data.size
    source = _at_least_1d(source)
    places = words.broadcast_to(words.reshape(index, shape=tuple(shape)), shape=source.data.shape)
    return _shaped(_scatter_reduce("index_reduce_", x, axis, places, source, reduce, include_self), input.data.shape)


def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """input with input[indices] = values, or += where accumulate, which counts each of equal indices.

    >>> import autograd_gpu as ag
    >>> ag.index_put(ag.zeros(3), (ag.tensor([0, 0]),), ag.tensor([1.0, 2.0]), accumulate=True)
    tensor([3., 0., 0.])
    """
    axes, tensors = index_tensors(input, indices)
    if input.data.dtype != values.data.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {input.data.dtype} for the destination and "
            f"{values.data.dtype} for the source."
        )
    shape = result_shape(input.data.shape, axes, tensors)
    values = without_leading_ones(values, len(shape))
    if not accumulate:
        return words.index_put(input, values, *tensors, axes=axes)
    spread = _spread(values, shape)
    return words.add(input, words.unindex(spread, *tensors, axes=axes, shape=input.data.shape))


# -- as if flat ----------------------------------------------------------------------------------------------------------------


def _flat(t: Tensor) -> Tensor:
    return t if t.data.ndim == 1 else words.reshape(t, shape=(t.data.size,))


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at `index` of input read as if it were flat, in the shape of index.

    >>> import autograd_gpu as ag
    >>> ag.take(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), ag.tensor([0, 3]))
    tensor([1., 4.])
    """
    _integers("take", index)
    _in_range(input, index)
    return words.index(_flat(input), index, axes=(0,))


def _in_range(input: Tensor, index: Tensor) -> None:
    n, i = input.data.size, index.data
    if i.size and not (-n <= int(i.min()) and int(i.max()) < n):
        wrong = int(i.max()) if int(i.max()) >= n else int(i.min())
        raise IndexError(f"out of range: tried to access index {wrong} on a tensor of {n} elements.")


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """input with the elements at `index`, read as if it were flat, replaced by those of source, or added to.

    >>> import autograd_gpu as ag
    >>> ag.put(ag.zeros(2, 2), ag.tensor([3, 0]), ag.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 1.]])
    """
    _integers("put_", index)
    _in_range(input, index)
    if index.data.size != source.data.size:
        raise IndexError(f"put_(): Expected source and index to have the same number of elements, but got {source.data.size} and {index.data.size}")
    return words.reshape(index_put(_flat(input), (_flat(index),), _flat(source), accumulate), shape=input.data.shape)


def _mask(name: str, input: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """input and mask broadcast to one shape."""
    if not isinstance(mask, Tensor):
        raise TypeError(f"{name}(): argument 'mask' must be Tensor, not {type(mask).__name__}")
    if mask.data.dtype.kind != "b":
        raise RuntimeError(f"{name} only supports boolean masks, but got mask with dtype {mask.data.dtype}")
    if input.data.shape == mask.data.shape:
        return input, mask
    try:
        shape = np.broadcast_shapes(input.data.shape, mask.data.shape)
    except ValueError:
        raise RuntimeError(
            f"The shape of the mask {list(mask.data.shape)} must broadcast with that of the tensor {list(input.data.shape)} "
            f"in {name}()"
        ) from None
    return _spread(input, shape), _spread(mask, shape)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input with one value, a number or a tensor without dimensions, where mask is True; they are broadcast.

    >>> import autograd_gpu as ag
    >>> ag.masked_fill(ag.ones(3), ag.tensor([True, False, True]), 0.0)
    tensor([0., 1., 0.])
    """
    _mask("masked_fill_", input, mask)
    return words.where(mask, _single("masked_fill_", value, input), input)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements of input where mask is True, as a vector; they are broadcast.

    >>> import autograd_gpu as ag
    >>> ag.masked_select(ag.tensor([1.0, 2.0, 3.0]), ag.tensor([True, False, True]))
    tensor([1., 3.])
    """
    input, mask = _mask("masked_select", input, mask)
    return words.index(_flat(input), *words.nonzero(_flat(mask)), axes=(0,))


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """input with the elements of source, one after another, where mask is True.

    >>> import autograd_gpu as ag
    >>> ag.masked_scatter(ag.zeros(3), ag.tensor([True, False, True]), ag.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    _same_dtype("masked_scatter", input, source)
    input, mask = _mask("masked_scatter_", input, mask)
    (places,) = words.nonzero(_flat(mask))
    n = places.data.size
    if source.data.size < n:
        raise RuntimeError(f"Number of elements of source < number of ones in mask: {source.data.size} < {n}")
    values = words.slice(_flat(source), spec=((0, n, None), Ellipsis))
    return words.reshape(words.index_put(_flat(input), values, places, axes=(0,)), shape=input.data.shape)
