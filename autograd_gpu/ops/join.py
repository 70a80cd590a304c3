"""Ops that put tensors together, or copies of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import backend
from ..backend.promotion import result_type
from ..core.graph import words
from ..core.primitive import linear
from ..core.tensor import Tensor
from .arguments import FULL, axis_of, shape_of
from .order import own
from .shape import atleast_1d, atleast_2d, atleast_3d, spread

__all__ = ["block_diag", "cat", "column_stack", "concat", "concatenate", "dstack", "hstack", "repeat_interleave", "row_stack"]
__all__ += ["stack", "tile", "vstack"]
METHODS: tuple[str, ...] = ("repeat", "repeat_interleave", "tile")
IN_PLACE: tuple[str, ...] = ()


@linear(lambda xp, g, xs_shape, axis: xp.split(g, axis=axis, sizes=tuple([shape[axis] for shape in xs_shape])))
def _cat(xp: Any, *xs: Any, axis: int) -> Any:
    """The op behind `cat`."""
    ...


@linear(lambda xp, g, axis: xp.unbind(g, axis=axis))
def _stack(xp: Any, *xs: Any, axis: int) -> Any:
    """The op behind `stack`."""
    ...


@linear(lambda xp, g, x_shape, repeats: _sum_tiles(xp, g, x_shape, repeats))
def _tile(xp: Any, x: Any, *, repeats: tuple[int, ...]) -> Any:
    """The op behind `repeat` and `tile`: a number for each dimension, for more than x has where new ones come in front."""
    ...


def _sum_tiles(xp: Any, g: Any, shape: tuple[int, ...], repeats: tuple[int, ...]) -> Any:
    """The sum of the tiles of g: the axis of each is the first of the two that a dimension of g is taken apart into."""
    sizes = (1,) * (len(repeats) - len(shape)) + shape
    apart = xp.reshape(g, shape=tuple([n for pair in zip(repeats, sizes, strict=True) for n in pair]))
    return xp.reshape(xp.sum(apart, axis=tuple(range(0, 2 * len(sizes), 2))), shape=shape)


# -- joining -----------------------------------------------------------------------------------------------------------


def _promoted(tensors: Sequence[Tensor], name: str) -> list[Tensor]:
    """The tensors cast to the dtype that they promote to."""
    tensors = list(tensors)
    if not tensors:
        if name == "cat":
            raise ValueError("torch.cat(): expected a non-empty list of Tensors")
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
    if all(t.array.dtype == tensors[0].array.dtype for t in tensors):
        return tensors
    dtype = result_type([t.array for t in tensors])
    return [t if t.array.dtype == dtype else words.astype(t, dtype=dtype) for t in tensors]


def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: Any = None) -> Tensor:
    """The tensors one after another along `dim`. Their dtypes promote to one; tensors of shape (0,) are left out.

    Raises RuntimeError where the sizes of another dimension differ.

    >>> import autograd_gpu as ag
    >>> ag.cat([ag.tensor([1, 2]), ag.tensor([3.0])])
    tensor([1., 2., 3.])
    """
    tensors = _promoted(tensors, "cat")
    for i, t in enumerate(tensors):
        if t.array.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    filled = [(i, t) for i, t in enumerate(tensors) if t.array.shape != (0,)] or [(0, tensors[0])]
    first = filled[0][1].array.shape
    axis = axis_of(dim if axis is None else axis, len(first))
    for i, t in filled:
        shape = t.array.shape
        if len(shape) != len(first):
            raise RuntimeError(f"Tensors must have same number of dimensions: got {len(first)} and {len(shape)}")
        for d, (want, have) in enumerate(zip(first, shape, strict=True)):
            if want != have and d != axis:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size {want} but got size {have} for "
                    f"tensor number {i} in the list."
                )
    return words.cat(*[t for _, t in filled], axis=axis)


concat = concatenate = cat


def stack(tensors: Sequence[Tensor], dim: int = 0, *, axis: Any = None) -> Tensor:
    """The tensors, all of one shape, side by side in a new dimension `dim`.

    >>> import autograd_gpu as ag
    >>> ag.stack([ag.tensor([1, 2]), ag.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    tensors = _promoted(tensors, "stack")
    first = tensors[0].array.shape
    for i, t in enumerate(tensors):
        if t.array.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and {list(t.array.shape)} at "
                f"entry {i}"
            )
    return words.stack(*tensors, axis=axis_of(dim if axis is None else axis, len(first) + 1))


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors beside one another: along the columns; vectors along their only dimension.

    >>> import autograd_gpu as ag
    >>> ag.hstack([ag.tensor([[1], [2]]), ag.tensor([[3], [4]])])
    tensor([[1, 3],
            [2, 4]])
    """
    parts = [atleast_1d(t) for t in _promoted(tensors, "hstack")]
    return cat(parts, 0 if parts[0].array.ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors below one another: along the rows; vectors are rows.

    >>> import autograd_gpu as ag
    >>> ag.vstack([ag.tensor([1, 2]), ag.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat([atleast_2d(t) for t in _promoted(tensors, "vstack")], 0)


row_stack = vstack


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors behind one another: along the third dimension.

    >>> import autograd_gpu as ag
    >>> ag.dstack([ag.tensor([1, 2]), ag.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return cat([atleast_3d(t) for t in _promoted(tensors, "dstack")], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors beside one another, along the columns; vectors and numbers are columns.

    >>> import autograd_gpu as ag
    >>> ag.column_stack([ag.tensor([1, 2]), ag.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    tensors = _promoted(tensors, "column_stack")
    return cat([t if t.array.ndim > 1 else words.reshape(t, shape=(t.array.size, 1)) for t in tensors], 1)


def block_diag(*tensors: Tensor) -> Tensor:
    """The matrices on the diagonal of one matrix, zeros elsewhere; vectors and numbers are matrices of one row.

    >>> import autograd_gpu as ag
    >>> ag.block_diag(ag.tensor([[1]]), ag.tensor([2, 3]))
    tensor([[1, 0, 0],
            [0, 2, 3]])
    """
    blocks = [atleast_2d(t) for t in _promoted(tensors, "block_diag")]
    for i, t in enumerate(blocks):
        if t.array.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t.array.ndim} dimensions"
            )
    width, left, rows = sum(t.array.shape[1] for t in blocks), 0, []
    for t in blocks:
        m, n = t.array.shape
        rows.append(words.unslice(t, spec=(FULL, (left, left + n, None), ...), shape=(m, width)))
        left += n
    return cat(rows, 0)


# -- copies of one -----------------------------------------------------------------------------------------------------


def _repeated(input: Tensor, repeats: tuple[int, ...]) -> Tensor:
    sizes = (1,) * (len(repeats) - input.array.ndim) + input.array.shape
    shape = [n * k for n, k in zip(sizes, repeats, strict=True)]
    if any(k < 0 for k in repeats):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {shape}")
    return words.tile(input, repeats=repeats)


@spread
def repeat(input: Tensor, repeats: Sequence[int]) -> Tensor:
    """The tensor laid side by side so many times in each dimension. More numbers than dimensions put new ones in front.

    >>> import autograd_gpu as ag
    >>> ag.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    repeats = shape_of((repeats,))
    if len(repeats) < input.array.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    return _repeated(input, repeats)


@spread
def tile(input: Tensor, dims: Sequence[int]) -> Tensor:
    """As `Tensor.repeat`, but fewer numbers than dimensions are those of the last ones.

    >>> import autograd_gpu as ag
    >>> ag.tile(ag.tensor([[1], [2]]), (3,))
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    dims = shape_of((dims,))
    return _repeated(input, (1,) * (input.array.ndim - len(dims)) + dims)


def repeat_interleave(
    input: Tensor, repeats: int | Tensor | None = None, dim: int | None = None, *, output_size: Any = None, axis: Any = None
) -> Tensor:
    """Each place of a dimension, by default of the flattened tensor, so many times in a row: a number of times, or one for
    each place. A tensor of repeats alone gives the places themselves.

    >>> import autograd_gpu as ag
    >>> ag.tensor([1, 2, 3]).repeat_interleave(2)
    tensor([1, 1, 2, 2, 3, 3])
    >>> ag.tensor([1, 2, 3]).repeat_interleave(ag.tensor([0, 2, 1]))
    tensor([2, 2, 3])
    """
    xp = backend.beside(input.array)
    if repeats is None:
        if input.array.ndim != 1:
            raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
        input, repeats = Tensor(xp.arange(input.array.size)), input
    dim = axis if dim is None else dim
    if dim is None:
        input, dim = words.reshape(input, shape=(input.array.size,)), 0
    axis, shape = axis_of(dim, input.array.ndim), input.array.shape or (1,)
    if isinstance(repeats, Tensor):
        if repeats.array.dtype.kind not in "iu":
            raise NotImplementedError(f"repeat_interleave: repeats must be of an integer dtype, not {repeats.dtype}")
        if repeats.array.ndim > 1:
            raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
        if repeats.array.size != 1:
            return words.index(
                words.reshape(input, shape=shape),
                xp.guarded(_places, "repeat_interleave")(xp, backend.move(repeats.array, input.device), shape[axis]),
                axes=(axis,),
            )
        repeats = int(repeats.array.item())
    if repeats < 0:
        raise RuntimeError("Repeats must be non-negative")
    apart = words.reshape(input, shape=(*shape[: axis + 1], 1, *shape[axis + 1 :]))
    several = words.tile(apart, repeats=(1,) * (axis + 1) + (repeats,) + (1,) * (len(shape) - axis - 1))
    return own(words.reshape(several, shape=(*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :])))


def _places(xp: Any, counts: Any, n: int) -> Tensor:
    """The indices that repeat each place as often as `counts` says: up to the sum of the counts up to a place, it is that."""
    if len(counts) != n:
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {len(counts)} and input.size(0) = {n}"
        )
    if (counts < 0).any():
        raise RuntimeError("repeats can not be negative")
    ends = xp.cumsum(counts, axis=0)
    return Tensor(xp.searchsorted(ends, xp.arange(int(ends[-1]) if n else 0), right=True))
