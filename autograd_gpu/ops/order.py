"""Ops that bring dimensions, or the elements along them, into another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.graph import words
from ..core.primitive import linear
from ..core.tensor import Tensor
from .arguments import axes_of, axis_of
from .shape import ints, spread

__all__ = ["adjoint", "flip", "fliplr", "flipud", "moveaxis", "movedim", "permute", "roll", "rot90"]
__all__ += ["swapaxes", "swapdims", "t", "transpose"]
METHODS: tuple[str, ...] = tuple(__all__)
PROPERTIES: tuple[str, ...] = ("T", "H", "mT", "mH")  # attributes of Tensor, computed by the function of the same name
IN_PLACE: tuple[str, ...] = ()


# -- the ops -----------------------------------------------------------------------------------------------------------


@linear(lambda xp, g, axes: xp.transpose(g, axes=_inverse(axes)), view=True)
def _transpose(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    """The op behind `transpose`, `permute` and `movedim`: `axes` are the old places of the new dimensions."""
    ...


def _inverse(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


@linear(lambda xp, g: xp.mT(g), view=True)
def _mT(xp: Any, x: Any) -> Any:
    """The op behind the property `mT`."""
    ...


@linear(lambda xp, g, axis: xp.flip(g, axis=axis))
def _flip(xp: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    """The op behind `flip`."""
    ...


@linear(lambda xp, g, shifts, axis: xp.roll(g, shifts=tuple([-n for n in shifts]), axis=axis))
def _roll(xp: Any, x: Any, *, shifts: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    """The op behind `roll`."""
    ...


# -- another order -----------------------------------------------------------------------------------------------------


@spread
def permute(input: Tensor, dims: Sequence[int]) -> Tensor:
    """A view with the dimensions in the order `dims`.

    Raises RuntimeError if `dims` does not name each dimension once.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, 3, 4).permute(2, 0, 1).shape
    Size([4, 2, 3])
    """
    ndim, dims = input.array.ndim, tuple(dims)
    if len(dims) != ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering "
            f"of dimensions i.e. input.dim() = {ndim} is not equal to len(dims) = {len(dims)}"
        )
    axes = tuple([axis_of(d, ndim) for d in dims])
    if len(set(axes)) < ndim:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return words.transpose(input, axes=axes)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view with two dimensions exchanged.

    >>> import autograd_gpu as ag
    >>> ag.tensor([[1, 2], [3, 4]]).transpose(0, 1)
    tensor([[1, 3],
            [2, 4]])
    """
    ndim = input.array.ndim
    a, b = axis_of(dim0, ndim), axis_of(dim1, ndim)
    axes = list(range(ndim))
    if ndim:
        axes[a], axes[b] = b, a
    return words.transpose(input, axes=tuple(axes))


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """A view with the dimensions of `source` moved to the places of `destination`; the others keep their order.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, 3, 4).movedim(0, -1).shape
    Size([3, 4, 2])
    """
    ndim, source, destination = input.array.ndim, ints(source), ints(destination)
    if len(source) != len(destination):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({source} dims) should contain the same number of dims as "
            f"destination ({destination} dims)"
        )
    old, new = [axis_of(d, ndim) for d in source], [axis_of(d, ndim) for d in destination]
    for name, given, axes in (("source", source, old), ("destination", destination, new)):
        if len(set(axes)) < len(axes):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({given})")
    axes = [i for i in range(ndim) if i not in old]
    for place, axis in sorted(zip(new, old, strict=True)) if ndim else ():
        axes.insert(place, axis)
    return words.transpose(input, axes=tuple(axes))


moveaxis = movedim
swapdims = transpose


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`transpose` under NumPy's name.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, 3, 4).swapaxes(0, -1).shape
    Size([4, 3, 2])
    """
    return transpose(input, axis0, axis1)


def t(input: Tensor) -> Tensor:
    """A view of a matrix with its dimensions exchanged; of a vector or a number, itself.

    Raises RuntimeError for more than two dimensions.

    >>> import autograd_gpu as ag
    >>> ag.t(ag.tensor([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    if input.array.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.array.ndim}D")
    return T(input)


def T(input: Tensor) -> Tensor:
    """A view with the order of the dimensions reversed."""
    return words.transpose(input, axes=tuple(range(input.array.ndim))[::-1])


def mT(input: Tensor) -> Tensor:
    """A view with the last two dimensions exchanged: each matrix of a batch transposed."""
    return _matrices(input, "mT")


def H(input: Tensor) -> Tensor:
    """A matrix transposed and, if it is complex, conjugated."""
    if input.array.ndim not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {input.array.ndim}-D tensor. For batches of matrices, "
            "consider using tensor.mH"
        )
    return mH(input)


def mH(input: Tensor) -> Tensor:
    """Each matrix of a batch transposed and, if it is complex, conjugated."""
    return _matrices(input, "mH")


def adjoint(input: Tensor) -> Tensor:
    """Each matrix of a batch transposed and, if it is complex, conjugated: a view if it is real.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, 3, 4).adjoint().shape
    Size([2, 4, 3])
    """
    return _matrices(input, "adjoint()")


def _matrices(input: Tensor, name: str) -> Tensor:
    if input.array.ndim == 1:
        raise RuntimeError(f"tensor.{name} is only supported on matrices or batches of matrices. Got 1-D tensor.")
    if input.array.ndim == 0:
        return words.reshape(input, shape=())
    out = words.mT(input)
    return words.conj(out) if name != "mT" and input.array.dtype.kind == "c" else out


# -- copies with the elements in another order -------------------------------------------------------------------------


def own(x: Tensor) -> Tensor:
    """x, a view of a fresh tensor that nobody else holds, as a tensor of its own."""
    if hasattr(x, "base"):
        del x.base
    return x


@spread
def flip(input: Tensor, dims: Sequence[int]) -> Tensor:
    """A copy with the order of the elements along `dims` reversed.

    >>> import autograd_gpu as ag
    >>> ag.tensor([1, 2, 3]).flip(0)
    tensor([3, 2, 1])
    """
    return words.flip(input, axis=axes_of(tuple(ints(dims)), input.array.ndim))


def fliplr(input: Tensor) -> Tensor:
    """A copy with the columns in reverse order. Raises RuntimeError for fewer than two dimensions.

    >>> import autograd_gpu as ag
    >>> ag.fliplr(ag.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if input.array.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return words.flip(input, axis=(1,))


def flipud(input: Tensor) -> Tensor:
    """A copy with the rows in reverse order. Raises RuntimeError for a tensor without dimensions.

    >>> import autograd_gpu as ag
    >>> ag.flipud(ag.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    if input.array.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return words.flip(input, axis=(0,))


def roll(input: Tensor, shifts: int | Sequence[int], dims: Any = None, *, dim: Any = None, axis: Any = None) -> Tensor:
    """The elements moved by `shifts` along `dims`, those that fall out at one end coming in at the other; without `dims`,
    moved along the flattened tensor.

    >>> import autograd_gpu as ag
    >>> ag.tensor([1, 2, 3]).roll(1)
    tensor([3, 1, 2])
    """
    shifts, dims = ints(shifts), next((ints(d) for d in (dims, dim, axis) if d is not None), [])
    shape = input.array.shape
    if not dims and len(shifts) == 1:
        flat = words.reshape(input, shape=(input.array.size,))
        return own(words.reshape(words.roll(flat, shifts=tuple(shifts), axis=(0,)), shape=shape))
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if not shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return words.roll(input, shifts=tuple(shifts), axis=tuple([axis_of(d, len(shape)) for d in dims]))


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A copy turned k times by 90 degrees in the plane of two dimensions, from the first of them towards the second.

    >>> import autograd_gpu as ag
    >>> ag.rot90(ag.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    ndim = input.array.ndim
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
    a, b = (axis_of(d, ndim) for d in dims)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    if k % 2 == 0:
        return words.flip(input, axis=(a, b) if k % 4 else ())
    axes = list(range(ndim))
    axes[a], axes[b] = b, a
    turned = words.flip(input, axis=(b,) if k % 4 == 1 else (a,))
    return own(words.transpose(turned, axes=tuple(axes)))
