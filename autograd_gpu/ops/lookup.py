"""Reading and writing many slices or elements at once: named by a vector along a dimension, by places in the flattened tensor, or
by a mask. All of it is the ops of `index` with their arguments checked.

Additions to one place are all made, in the order of the index; of plain writes to one place the last one stays, and the gradient
reaches each value that was written there, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import backend
from ..backend.promotion import boolean
from ..core.graph import words
from ..core.tensor import Tensor
from .arguments import axis_of
from .gathering import check_integers, check_same_dtype, dim_or_axis, reduce_into, tensor_of
from .index import without_leading_ones
from .shape import broadcast_shapes, shaped, some_dimension, stretched
from .subscript import index_tensors, result_shape

__all__ = ["index_add", "index_copy", "index_fill", "index_put", "index_reduce", "index_select", "masked_fill", "masked_scatter"]
__all__ += ["masked_select", "put", "take"]
METHODS: tuple[str, ...] = tuple(__all__)
IN_PLACE: tuple[str, ...] = tuple(name for name in __all__ if name not in ("index_select", "masked_select", "take"))

# -- slices --------------------------------------------------------------------------------------------------------------------


def _slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor | None = None) -> tuple[int, Tensor, Tensor]:
    """Check the arguments of index_select, index_add and the like; return dim from the front, and index as a vector."""
    check_integers(name, index)
    axis = axis_of(dim, input.array.ndim)
    if index.array.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, and has shape {list(index.array.shape)}")
    index = some_dimension(index)
    if isinstance(source, Tensor):
        if source.array.dtype != input.array.dtype:
            raise RuntimeError(
                f"{name}(): self ({input.array.dtype}) and source ({source.array.dtype}) must have the same scalar type"
            )
        n = index.array.size
        have = source.array.shape[axis] if axis < source.array.ndim else 1
        if n != have:
            raise (IndexError if name == "index_copy_" else RuntimeError)(
                f"{name}(): Number of indices ({n}) should be equal to source.size(dim): ({have}), for dim: {axis}"
            )
        rest, given = list(input.array.shape), list(source.array.shape)
        rest[axis : axis + 1], given[axis : axis + 1] = [], []
        if rest != given:
            raise RuntimeError(
                f"{name}(): Source/destination tensor must have same slice shapes. Destination slice shape: {rest} at dimension "
                f"{axis} and source slice shape: {given} at dimension {axis}."
            )
    return axis, index, some_dimension(input)


def _not_negative(name: str, index: Tensor, size: int, axis: int, error: type[Exception] = IndexError) -> None:
    """Raise for a negative index, which x[...] takes and these functions do not."""
    if index.array.size and (least := backend.asked(index.array, "min")) < 0:
        raise error(f"{name}(): index {least} is out of bounds for dimension {axis} with size {size}")


@dim_or_axis
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of input along `dim` that the vector `index` names.

    >>> import autograd_gpu as ag
    >>> ag.index_select(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, ag.tensor([1, 1]))
    tensor([[2., 2.],
            [4., 4.]])
    """
    place, vector, x = _slices("index_select", input, dim, index)
    _not_negative("index_select", vector, x.array.shape[place], place)
    out = words.index(x, vector, axes=(place,))
    return out if input.array.ndim else words.reshape(out, shape=())


@dim_or_axis
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """input with alpha times the slices of source added to the slices along `dim` that `index` names.

    >>> import autograd_gpu as ag
    >>> ag.index_add(ag.zeros(3), 0, ag.tensor([0, 0, 2]), ag.ones(3), alpha=2)
    tensor([4., 0., 2.])
    """
    axis, index, x = _slices("index_add_", input, dim, index, source)
    _not_negative("index_add_", index, x.array.shape[axis], axis, RuntimeError)
    source = some_dimension(source)
    if alpha != 1:
        source = words.mul(source, alpha)
    return shaped(words.add(x, words.unindex(source, index, axes=(axis,), shape=x.array.shape)), input.array.shape)


@dim_or_axis
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """input with the slices along `dim` that `index` names replaced by those of source.

    >>> import autograd_gpu as ag
    >>> ag.index_copy(ag.zeros(3), 0, ag.tensor([2, 0]), ag.tensor([5.0, 6.0]))
    tensor([6., 0., 5.])
    """
    axis, index, x = _slices("index_copy_", input, dim, index, source)
    _not_negative("index_copy_", index, x.array.shape[axis], axis)
    return shaped(words.index_put(x, some_dimension(source), index, axes=(axis,)), input.array.shape)


@dim_or_axis
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """input with the slices along `dim` that `index` names filled with one value, a number or a tensor without dimensions.

    >>> import autograd_gpu as ag
    >>> ag.index_fill(ag.zeros(3), 0, ag.tensor([2, 0]), 7)
    tensor([7., 0., 7.])
    """
    axis, index, x = _slices("index_fill_", input, dim, index)
    value = _single("index_fill_", value, input)
    xp, n = backend.beside(x.array), x.array.shape[axis]
    filled = xp.unindex(xp.ones(index.array.shape, boolean), index.array, axes=(0,), shape=(n,))
    mask = Tensor(filled.reshape([n if i == axis else 1 for i in range(x.array.ndim)]))
    return shaped(words.where(mask, value, x), input.array.shape)


def _single(name: str, value: Any, input: Tensor) -> Tensor:
    """A fill value as a Tensor without dimensions of the dtype of input."""
    value = tensor_of(value, input)
    if value.array.ndim:
        raise RuntimeError(
            f"{name} only supports a 0-dimensional value tensor, but got tensor with {value.array.ndim} dimension(s)."
        )
    return value if value.array.dtype == input.array.dtype else words.astype(value, dtype=input.array.dtype)


@dim_or_axis
def index_reduce(input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """As `index_add`, with the "prod", "mean", "amax" or "amin" of what falls on one slice, and of it itself if include_self.

    >>> import autograd_gpu as ag
    >>> ag.index_reduce(ag.ones(2), 0, ag.tensor([0, 0]), ag.tensor([3.0, 4.0]), "prod")
    tensor([12.,  1.])
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either prod, mean, amax or amin, got {reduce}")
    axis, index, x = _slices("index_reduce_", input, dim, index, source)
    shape = [1] * x.array.ndim
    shape[axis] = index.array.size
    source = some_dimension(source)
    places = words.broadcast_to(words.reshape(index, shape=tuple(shape)), shape=source.array.shape)
    return shaped(reduce_into("index_reduce_", x, axis, places, source, reduce, include_self), input.array.shape)


def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """input with input[indices] = values, or += where accumulate, which counts each of equal indices.

    >>> import autograd_gpu as ag
    >>> ag.index_put(ag.zeros(3), (ag.tensor([0, 0]),), ag.tensor([1.0, 2.0]), accumulate=True)
    tensor([3., 0., 0.])
    """
    axes, tensors = index_tensors(input, indices)
    if input.array.dtype != values.array.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {input.array.dtype} for the destination and "
            f"{values.array.dtype} for the source."
        )
    shape = result_shape(input.array.shape, axes, tensors)
    values = without_leading_ones(values, len(shape))
    if not accumulate:
        return words.index_put(input, values, *tensors, axes=axes)
    values = stretched(values, shape)
    return words.add(input, words.unindex(values, *tensors, axes=axes, shape=input.array.shape))


# -- as if flat ----------------------------------------------------------------------------------------------------------------


def _flat(t: Tensor) -> Tensor:
    return t if t.array.ndim == 1 else words.reshape(t, shape=(t.array.size,))


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at `index` of input read as if it were flat, in the shape of index.

    >>> import autograd_gpu as ag
    >>> ag.take(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), ag.tensor([0, 3]))
    tensor([1., 4.])
    """
    check_integers("take", index)
    _in_range(input, index)
    return words.index(_flat(input), index, axes=(0,))


def _in_range(input: Tensor, index: Tensor) -> None:
    n, i = input.array.size, index.array
    if not i.size:
        return
    least, most = backend.asked(i, "min"), backend.asked(i, "max")
    if least < -n or most >= n:
        wrong = most if most >= n else least
        raise IndexError(f"out of range: tried to access index {wrong} on a tensor of {n} elements.")


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """input with the elements at `index`, read as if it were flat, replaced by those of source, or added to.

    >>> import autograd_gpu as ag
    >>> ag.put(ag.zeros(2, 2), ag.tensor([3, 0]), ag.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 1.]])
    """
    check_integers("put_", index)
    _in_range(input, index)
    if index.array.size != source.array.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"{source.array.size} and {index.array.size}"
        )
    return words.reshape(index_put(_flat(input), (_flat(index),), _flat(source), accumulate), shape=input.array.shape)


def _mask(name: str, input: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """input and mask broadcast to one shape."""
    if not isinstance(mask, Tensor):
        raise TypeError(f"{name}(): argument 'mask' must be Tensor, not {type(mask).__name__}")
    if mask.array.dtype.kind != "b":
        raise RuntimeError(f"{name} only supports boolean masks, but got mask with dtype {mask.array.dtype}")
    if input.array.shape == mask.array.shape:
        return input, mask
    try:
        shape = broadcast_shapes(input.array.shape, mask.array.shape)
    except RuntimeError:
        raise RuntimeError(
            f"The shape of the mask {list(mask.array.shape)} must broadcast with that of the tensor {list(input.array.shape)} "
            f"in {name}()"
        ) from None
    return stretched(input, shape), stretched(mask, shape)


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
    check_same_dtype("masked_scatter", input, source)
    input, mask = _mask("masked_scatter_", input, mask)
    (places,) = words.nonzero(_flat(mask))
    n = places.array.size
    if source.array.size < n:
        raise RuntimeError(f"Number of elements of source < number of ones in mask: {source.array.size} < {n}")
    values = words.slice(_flat(source), spec=((0, n, None), Ellipsis))
    return words.reshape(words.index_put(_flat(input), values, places, axes=(0,)), shape=input.array.shape)
