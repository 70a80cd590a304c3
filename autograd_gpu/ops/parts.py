"""Ops that take a tensor apart, into views, and that put new values in the place of such a part."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ..backend.promotion import int64
from ..core.graph import words
from ..core.inplace import put_view
from ..core.primitive import linear
from ..core.tensor import Tensor
from .arguments import FULL, axis_of, shape_of

__all__ = ["as_strided", "chunk", "diag", "diag_embed", "diagflat", "diagonal", "diagonal_scatter", "dsplit", "hsplit", "narrow"]
__all__ += ["select", "select_scatter", "slice_scatter", "split", "split_with_sizes", "tensor_split", "unbind", "vsplit"]
METHODS: tuple[str, ...] = (*__all__, "unfold", "__iter__")
IN_PLACE: tuple[str, ...] = ()

# -- the ops -----------------------------------------------------------------------------------------------------------


@linear(lambda xp, g, axis: xp.cat(*g, axis=axis), view=True, outputs="*")
def _split(xp: Any, x: Any, *, axis: int, sizes: tuple[int, ...]) -> Any:
    """The op behind `split`, `chunk` and `tensor_split`: one node for all pieces, so that backward joins them once."""
    ...


@linear(lambda xp, g, axis: xp.stack(*g, axis=axis), view=True, outputs="*")
def _unbind(xp: Any, x: Any, *, axis: int) -> Any:
    """The op behind `unbind` and iteration, with one node for all as well."""
    ...


def _places(xp: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Any:
    """The places in the vector of the elements of `strided`, as a vector."""
    places = xp.zeros((), int64) + offset
    for i, (n, step) in enumerate(zip(shape, strides, strict=True)):
        places = places + xp.reshape(xp.arange(n) * step, shape=(n, *(1,) * (len(shape) - i - 1)))
    return xp.reshape(places, shape=(prod(shape),))


@linear(
    lambda xp, g, x_shape, shape, strides, offset: xp.unindex(
        xp.reshape(g, shape=(prod(shape),)), _places(xp, shape, strides, offset), axes=(0,), shape=x_shape
    ),
    view=True,
)
def _strided(xp: Any, x: Any, *, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Any:
    """The op behind `as_strided`, of a vector."""
    ...


@linear(
    lambda xp, g, x_shape, offset, axis1, axis2: xp.from_diagonal(g, shape=x_shape, offset=offset, axis1=axis1, axis2=axis2),
    view=True,
)
def _diagonal(xp: Any, x: Any, *, offset: int, axis1: int, axis2: int) -> Any:
    """The op behind `diagonal`."""
    ...


@linear(lambda xp, g, offset, axis1, axis2: xp.diagonal(g, offset=offset, axis1=axis1, axis2=axis2))
def _from_diagonal(xp: Any, x: Any, *, shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Any:
    """The op behind `diag_embed`: zeros of `shape` whose diagonal is x."""
    ...


@linear(lambda xp, g, x_shape, axis, step: xp.sum_windows(g, axis=axis, step=step, length=x_shape[axis]), view=True)
def _windows(xp: Any, x: Any, *, axis: int, size: int, step: int) -> Any:
    """The op behind `Tensor.unfold`."""
    ...


@linear(lambda xp, g, x_shape, axis, step: xp.windows(g, axis=axis, size=x_shape[-1], step=step))
def _sum_windows(xp: Any, x: Any, *, axis: int, step: int, length: int) -> Any:
    """The op that undoes `windows`, the elements that overlap summed."""
    ...


# -- one part ----------------------------------------------------------------------------------------------------------


def _index(x: Tensor, axis: int, index: int) -> int:
    n = x.array.shape[axis]
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(x.array.shape)} at dimension {axis}")
    return index % n


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """A view of `input` at one place of a dimension, which goes away.

    >>> import autograd_gpu as ag
    >>> ag.tensor([[1, 2], [3, 4]]).select(1, 0)
    tensor([1, 3])
    """
    if not input.array.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = axis_of(dim, input.array.ndim)
    return words.slice(input, spec=((FULL,) * axis + (_index(input, axis, index), ...)))


def narrow(input: Tensor, dim: int, start: int | Tensor, length: int) -> Tensor:
    """A view of `length` places of a dimension, beginning at `start`.

    >>> import autograd_gpu as ag
    >>> ag.tensor([1, 2, 3, 4]).narrow(0, 1, 2)
    tensor([2, 3])
    """
    if not input.array.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    axis, start = axis_of(dim, input.array.ndim), int(start)
    n = input.array.shape[axis]
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start += n if start < 0 else 0
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return words.slice(input, spec=((FULL,) * axis + ((start, start + length, None), ...)))


def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the elements of `input`, in their order in memory, that goes stride[i] elements on for a step in dimension i.

    Raises RuntimeError for a view that leaves the input, and for an input that is not contiguous or, with a storage_offset, is
    itself a view: unlike PyTorch's storage, nothing is there but the elements of the input.

    >>> import autograd_gpu as ag
    >>> ag.as_strided(ag.arange(5), (3, 3), (1, 1))
    tensor([[0, 1, 2],
            [1, 2, 3],
            [2, 3, 4]])
    """
    shape, strides, offset = tuple(shape_of(size)), tuple(int(n) for n in stride), storage_offset or 0
    if len(shape) != len(strides):
        raise RuntimeError(
            f"mismatch in length of strides and shape: there are {len(strides)} strides {list(strides)} for sizes {list(shape)}"
        )
    if min(strides, default=0) < 0 or offset < 0:
        raise RuntimeError(f"as_strided: Negative strides are not supported, got strides: {list(strides)} and offset {offset}")
    if not input.is_contiguous() or storage_offset is not None and input._base is not None:
        raise RuntimeError("as_strided: the input must be contiguous, and with storage_offset no view: call clone() on it first")
    last = offset + sum(step * (n - 1) for n, step in zip(shape, strides, strict=True))
    if 0 not in shape and last >= input.numel():
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset {offset} need {last + 1} elements, and "
            f"the tensor of shape {list(input.shape)} has {input.numel()}"
        )
    return words.strided(words.reshape(input, shape=(input.numel(),)), shape=shape, strides=strides, offset=offset)


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """A view of all windows of `size` places that lie in a dimension at every `step`; their elements are the last dimension.

    >>> import autograd_gpu as ag
    >>> ag.tensor([1, 2, 3, 4, 5]).unfold(0, 3, 2)
    tensor([[1, 2, 3],
            [3, 4, 5]])
    """
    axis = axis_of(dimension, input.array.ndim)
    n = input.array.shape[axis] if input.array.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {axis} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if not input.array.ndim:
        return words.slice(words.reshape(input, shape=(1,)), spec=((0, size, None), ...))
    return words.windows(input, axis=axis, size=size, step=step)


# -- all parts ---------------------------------------------------------------------------------------------------------


def unbind(input: Tensor, dim: int = 0, *, axis: Any = None) -> tuple[Tensor, ...]:
    """Views of `input` at each place of a dimension.

    >>> import autograd_gpu as ag
    >>> ag.tensor([[1, 2], [3, 4]]).unbind()
    (tensor([1, 2]), tensor([3, 4]))
    """
    dim = dim if axis is None else axis
    if not input.array.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return words.unbind(input, axis=axis_of(dim, input.array.ndim))


def __iter__(self: Tensor) -> Any:
    """Views at each place of the first dimension."""
    if not self.array.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(words.unbind(self, axis=0))


def split(
    tensor: Tensor, split_size_or_sections: int | Sequence[int] | None = None, dim: int = 0, *, split_size: Any = None
) -> tuple[Tensor, ...]:
    """Views of consecutive pieces along a dimension: of one size, the last perhaps smaller, or of the sizes in a list.

    Raises RuntimeError if the sizes in the list do not sum to that of the dimension.

    >>> import autograd_gpu as ag
    >>> ag.arange(5).split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    size = split_size if split_size_or_sections is None else split_size_or_sections
    if not tensor.array.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    axis = axis_of(dim, tensor.array.ndim)
    if not hasattr(size, "__index__"):
        return split_with_sizes(tensor, size, axis)
    n = tensor.array.shape[axis]
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    return words.split(tensor, axis=axis, sizes=tuple([min(size, n - i) for i in range(0, n, size or 1)]) or (0,))


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive pieces of the given sizes along a dimension.

    Raises RuntimeError if they do not sum to the size of the dimension.

    >>> import autograd_gpu as ag
    >>> ag.split_with_sizes(ag.arange(5), (1, 4))
    (tensor([0]), tensor([1, 2, 3, 4]))
    """
    if not input.array.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    axis, sizes = axis_of(dim, input.array.ndim), shape_of((split_sizes,))
    if any(n < 0 for n in sizes):
        raise RuntimeError(
            f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={list(sizes)}"
        )
    if sum(sizes) != input.array.shape[axis]:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {input.array.shape[axis]} (input tensor's size at dimension "
            f"{axis}), but got split_sizes={list(sizes)}"
        )
    return words.split(input, axis=axis, sizes=sizes)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of at most `chunks` pieces of one size along a dimension, the last perhaps smaller.

    >>> import autograd_gpu as ag
    >>> ag.arange(5).chunk(2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if not input.array.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    axis = axis_of(dim, input.array.ndim)
    n = input.array.shape[axis]
    return words.split(input, axis=axis, sizes=(0,) * chunks) if n == 0 else split(input, -(-n // chunks), axis)


def tensor_split(
    input: Tensor, indices_or_sections: Any = None, dim: int = 0, *, indices: Any = None, sections: int | None = None
) -> tuple[Tensor, ...]:
    """Views of pieces along a dimension: of as many as a number says, the first of them one larger where it does not divide
    evenly, or cut at the indices in a sequence or tensor, which are read as in slices.

    >>> import autograd_gpu as ag
    >>> ag.arange(5).tensor_split(3)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    >>> ag.arange(5).tensor_split((1, -1))
    (tensor([0]), tensor([1, 2, 3]), tensor([4]))
    """
    if not input.array.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    axis = axis_of(dim, input.array.ndim)
    n = input.array.shape[axis]
    cuts = next((given for given in (indices_or_sections, indices, sections) if given is not None), ())
    if isinstance(cuts, Tensor):
        cuts = cuts.tolist()
    if hasattr(cuts, "__index__"):
        if cuts <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {cuts}")
        small, larger = divmod(n, cuts)
        return words.split(input, axis=axis, sizes=(small + 1,) * larger + (small,) * (cuts - larger))
    cuts = [min(max(i + n if i < 0 else i, 0), n) for i in shape_of((cuts,))]
    starts, stops = [0, *cuts], [*cuts, n]
    if all(a <= b for a, b in zip(starts, stops, strict=True)):
        return words.split(input, axis=axis, sizes=tuple([b - a for a, b in zip(starts, stops, strict=True)]))
    return tuple([narrow(input, axis, a, max(b - a, 0)) for a, b in zip(starts, stops, strict=True)])


def _split_evenly(name: str, input: Tensor, cuts: Any, least: int, dim: int) -> tuple[Tensor, ...]:
    shape = input.array.shape
    if len(shape) < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {len(shape)} dimensions!"
        )
    if hasattr(cuts, "__index__") and (cuts <= 0 or shape[dim] % cuts):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {shape[dim]} is not divisible "
            f"by the split_size {cuts}!"
        )
    return tensor_split(input, cuts, dim)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along the columns; of a vector, along its only dimension. A number of pieces must divide it evenly.

    >>> import autograd_gpu as ag
    >>> ag.hsplit(ag.tensor([[1, 2], [3, 4]]), 2)
    (tensor([[1],
            [3]]), tensor([[2],
            [4]]))
    """
    return _split_evenly("hsplit", input, indices_or_sections, 1, 0 if input.array.ndim == 1 else 1)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along the rows. A number of pieces must divide it evenly.

    >>> import autograd_gpu as ag
    >>> ag.vsplit(ag.tensor([[1, 2], [3, 4]]), 2)
    (tensor([[1, 2]]), tensor([[3, 4]]))
    """
    return _split_evenly("vsplit", input, indices_or_sections, 2, 0)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along the third dimension. A number of pieces must divide it evenly.

    >>> import autograd_gpu as ag
    >>> ag.dsplit(ag.tensor([[[1, 2, 3]]]), [1])
    (tensor([[[1]]]), tensor([[[2, 3]]]))
    """
    return _split_evenly("dsplit", input, indices_or_sections, 3, 2)


# -- diagonals ---------------------------------------------------------------------------------------------------------


def _two_axes(dim1: int, dim2: int, ndim: int) -> tuple[int, int]:
    a, b = axis_of(dim1, ndim), axis_of(dim2, ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return a, b


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of the elements whose place in `dim2` is that in `dim1` plus `offset`, as a new last dimension.

    >>> import autograd_gpu as ag
    >>> ag.tensor([[1, 2], [3, 4]]).diagonal()
    tensor([1, 4])
    """
    a, b = _two_axes(dim1, dim2, input.array.ndim)
    return words.diagonal(input, offset=offset, axis1=a, axis2=b)


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros with the last dimension of `input` on the diagonal of two new dimensions.

    >>> import autograd_gpu as ag
    >>> ag.tensor([1, 2]).diag_embed(1)
    tensor([[0, 1, 0],
            [0, 0, 2],
            [0, 0, 0]])
    """
    shape = input.array.shape
    a, b = _two_axes(dim1, dim2, len(shape) + 1)
    n, new = shape[-1] + abs(offset), list(shape[:-1])
    for axis in sorted((a, b)):
        new.insert(axis, n)
    return words.from_diagonal(input, shape=tuple(new), offset=offset, axis1=a, axis2=b)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """Of a matrix a copy of its diagonal, of a vector the matrix that has it as its diagonal.

    >>> import autograd_gpu as ag
    >>> ag.diag(ag.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if input.array.ndim == 1:
        return diag_embed(input, diagonal)
    if input.array.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.array.ndim}D")
    return words.clone(words.diagonal(input, offset=diagonal, axis1=0, axis2=1))


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements of `input` on its diagonal, or on another one.

    >>> import autograd_gpu as ag
    >>> ag.diagflat(ag.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(words.reshape(input, shape=(input.array.size,)), offset)


# -- copies with a part replaced ---------------------------------------------------------------------------------------


def _scatter(input: Tensor, src: Tensor, part: Any, **keywords: Any) -> Tensor:
    """A copy of `input` with `src` where the view op `part` looks."""
    chain = ((part.op, keywords, None),)
    shape = part(input.detach(), **keywords).array.shape
    if src.array.shape != shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.array.shape)}, slice size = "
            f"{list(shape)}"
        )
    src = src if src.array.dtype == input.array.dtype else words.astype(src, dtype=input.array.dtype)
    return put_view(input, src, chain=chain)


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` at one place of a dimension.

    >>> import autograd_gpu as ag
    >>> ag.select_scatter(ag.zeros(2, 2), ag.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    axis = axis_of(dim, input.array.ndim)
    return _scatter(input, src, words.slice, spec=(FULL,) * axis + (_index(input, axis, index), ...))


def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of `input` with `src` in the slice start:end:step of a dimension.

    >>> import autograd_gpu as ag
    >>> ag.slice_scatter(ag.zeros(4), ag.ones(2), start=1, step=2)
    tensor([0., 1., 0., 1.])
    """
    axis = axis_of(dim, input.array.ndim)
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return _scatter(input, src, words.slice, spec=(FULL,) * axis + ((start, end, step), ...))


def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with `src` on a diagonal.

    >>> import autograd_gpu as ag
    >>> ag.diagonal_scatter(ag.zeros(2, 2), ag.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    a, b = _two_axes(dim1, dim2, input.array.ndim)
    return _scatter(input, src, words.diagonal, offset=offset, axis1=a, axis2=b)
