"""What a tensor is: its sizes, and how its elements lie in memory."""

from __future__ import annotations

from typing import Any

from .. import backend
from ..core.graph import words
from ..core.primitive import linear
from ..core.tensor import Size, Tensor
from .arguments import axis_of

__all__ = ["numel"]
METHODS: tuple[str, ...] = (
    "__len__",
    "contiguous",
    "data_ptr",
    "dim",
    "element_size",
    "is_contiguous",
    "ndimension",
    "nelement",
    "numel",
    "size",
    "storage_offset",
    "stride",
)
PROPERTIES: tuple[str, ...] = ("itemsize", "nbytes")
IN_PLACE: tuple[str, ...] = ()


def numel(input: Tensor) -> int:
    """The number of elements.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, 3).numel()
    6
    """
    return input.array.size


nelement = numel


def size(input: Tensor, dim: int | None = None) -> Any:
    """The shape, or the size of one dimension.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, 3).size(), ag.zeros(2, 3).size(-1)
    (Size([2, 3]), 3)
    """
    return Size(input.array.shape) if dim is None else input.array.shape[_one(dim, input)]


def _one(dim: int, x: Tensor) -> int:
    if not x.array.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return axis_of(dim, x.array.ndim)


def dim(input: Tensor) -> int:
    """The number of dimensions."""
    return input.array.ndim


ndimension = dim


def __len__(self: Tensor) -> int:
    """The size of the first dimension."""
    if not self.array.ndim:
        raise TypeError("len() of a 0-d tensor")
    return self.array.shape[0]


def itemsize(input: Tensor) -> int:
    """The bytes of an element."""
    return input.array.itemsize


def element_size(input: Tensor) -> int:
    """The bytes of an element."""
    return input.array.itemsize


def nbytes(input: Tensor) -> int:
    """The bytes of all elements."""
    return input.array.nbytes


def stride(input: Tensor, dim: int | None = None) -> Any:
    """How many elements lie between neighbours in each dimension, or in one.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, 3).stride()
    (3, 1)
    """
    strides = tuple([n // input.array.itemsize for n in input.array.strides])
    return strides if dim is None else strides[_one(dim, input)]


def data_ptr(input: Tensor) -> int:
    """The address of the first element: equal for tensors that begin at the same place of one memory.

    >>> import autograd_gpu as ag
    >>> x = ag.zeros(2, 3)
    >>> x.t().data_ptr() == x.data_ptr()
    True
    """
    return backend.of(input.array.__class__).address(input.array)


def storage_offset(input: Tensor) -> int:
    """How many elements of its memory lie before the first of this tensor."""
    xp = backend.beside(input.array)
    return (xp.address(input.array) - xp.address(xp.memory(input.array))) // input.array.itemsize


def is_contiguous(input: Tensor, memory_format: Any = None) -> bool:
    """Whether the elements lie one after another, the last dimension fastest."""
    return bool(input.array.flags.c_contiguous)


@linear(lambda xp, g: g)
def _contiguous(xp: Any, x: Any) -> Any:
    """The op behind `contiguous`."""
    ...


def contiguous(input: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself if `is_contiguous`, else a copy that is.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, 3).T.contiguous().stride()
    (2, 1)
    """
    return input if input.array.flags.c_contiguous else words.contiguous(input)
