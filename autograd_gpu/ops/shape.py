"""Ops that give a tensor another shape: views, save where the strides do not allow it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import backend
from ..core.graph import words
from ..core.primitive import linear
from ..core.tensor import Size, Tensor
from ..dtypes import dtype
from .arguments import axes_of, axis_of, shape_of

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_shapes",
    "broadcast_tensors",
    "broadcast_to",
    "flatten",
    "ravel",
    "reshape",
    "squeeze",
    "unflatten",
    "unsqueeze",
]
METHODS: tuple[str, ...] = (
    "broadcast_to",
    "expand",
    "expand_as",
    "flatten",
    "ravel",
    "reshape",
    "reshape_as",
    "squeeze",
    "unflatten",
    "unsqueeze",
    "view",
    "view_as",
)
IN_PLACE: tuple[str, ...] = ()


def spread(function: Callable) -> Callable:
    """Let the second argument of `function`, a sequence of ints, be given as f(x, 2, 3) as well as f(x, (2, 3))."""

    @functools.wraps(function)
    def call(input: Tensor, *sizes: Any, **keywords: Any) -> Any:
        if len(sizes) == 1 and not hasattr(sizes[0], "__index__"):
            sizes = sizes[0]
        elif keywords and not sizes:
            return function(input, **keywords)
        return function(input, sizes, **keywords)

    return call


def ints(dims: Any) -> list[int]:
    """Dimensions or sizes, given as one int or as a sequence of them."""
    return [dims] if hasattr(dims, "__index__") else list(dims)


def shaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x in another shape; itself if that is its own."""
    return x if x.array.shape == shape else words.reshape(x, shape=shape)


def some_dimension(x: Tensor) -> Tensor:
    """x, with one dimension if it has none: `atleast_1d` of one tensor."""
    return x if x.array.ndim else words.reshape(x, shape=(1,))


def stretched(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x broadcast to a shape; itself if that is its own."""
    return x if x.array.shape == shape else words.broadcast_to(x, shape=shape)


# -- the ops -----------------------------------------------------------------------------------------------------------


@linear(lambda xp, g, x_shape: xp.reshape(g, shape=x_shape), view=True)
def _reshape(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """The op behind all that only puts the elements into another shape."""
    ...


@linear(lambda xp, g, x_shape: xp.sum_to(g, shape=x_shape), view=True)
def _broadcast_to(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """The op behind `broadcast_to` and `expand`."""
    ...


# -- another shape -----------------------------------------------------------------------------------------------------


def _shape_for(shape: Sequence[Any], count: int) -> tuple[int, ...]:
    """`shape` with its -1, if it has one, worked out for so many elements.

    Raises RuntimeError if it holds another number of elements."""
    shape = shape_of((shape,))
    if -1 in shape:
        known, unknown = 1, 0
        for n in shape:
            unknown += n == -1
            known *= 1 if n == -1 else n
        if unknown > 1:
            raise RuntimeError("only one dimension can be inferred")
        if known == 0 == count:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can "
                "be any value and is ambiguous"
            )
        if known > 0 and count % known == 0:
            return tuple([count // known if n == -1 else n for n in shape])
    elif math.prod(shape) == count and min(shape, default=0) >= 0:
        return shape
    for n in shape:
        if n < -1:
            raise RuntimeError(f"invalid shape dimension {n} at index {shape.index(n)} of shape {list(shape)}")
    raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {count}")


@spread
def reshape(input: Tensor, shape: Sequence[int]) -> Tensor:
    """The same elements in another shape: a view where the strides allow it, else a copy. One size may be -1.

    Raises RuntimeError if the number of elements is not the same.

    >>> import autograd_gpu as ag
    >>> ag.arange(4).reshape(2, -1)
    tensor([[0, 1],
            [2, 3]])
    """
    return words.reshape(input, shape=_shape_for(shape, input.array.size))


@spread
def view(input: Tensor, size: Sequence[int]) -> Tensor:
    """The same elements in another shape, not copied. One size may be -1. (What convolutions compute has its channels last in
    memory, where PyTorch's would lie in order: a result that is no view of another tensor is copied if it has to be.)

    Raises RuntimeError if the number of elements is not the same, or if no strides lead to that shape.

    >>> import autograd_gpu as ag
    >>> x = ag.zeros(4)
    >>> x.view(2, 2)[0] = 1
    >>> x
    tensor([1., 1., 0., 0.])
    """
    if isinstance(size, (dtype, type)):
        raise TypeError(f"view() to another dtype is not supported: convert the values with .to({size}), or view input.numpy()")
    out = reshape(input, size)
    memory = backend.of(out.array.__class__).memory
    if out.array.size and memory(out.array) is not memory(input.array) and hasattr(input, "base"):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous "
            f"subspaces). Use .reshape(...) instead. The shape is {list(input.array.shape)}, the view's {list(out.array.shape)}."
        )
    return out


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`input.view` with the shape of another tensor."""
    return view(input, other.array.shape)


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """`input.reshape` with the shape of another tensor."""
    return reshape(input, other.array.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from `start_dim` to `end_dim`, included, made one. A view where the strides allow it.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, 3, 4).flatten(1).shape
    Size([2, 12])
    """
    shape = input.array.shape
    start, end = axis_of(start_dim, len(shape)), axis_of(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if start == end and shape:
        return input
    return words.reshape(input, shape=(*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """A view with one dimension made several, whose sizes multiply to its size; one of them may be -1.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, 12).unflatten(1, (3, -1)).shape
    Size([2, 3, 4])
    """
    shape = input.array.shape
    axis, sizes = axis_of(dim, len(shape)), shape_of((sizes,))
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        inner = _shape_for(sizes, shape[axis] if shape else 1)
    except RuntimeError as error:
        if "is invalid" not in str(error):
            raise
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {axis} "
            f"({shape[axis] if shape else 1}) in the input tensor"
        ) from None
    return words.reshape(input, shape=(*shape[:axis], *inner, *shape[axis + 1 :]))


def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension: a view where the strides allow it, else a copy.

    >>> import autograd_gpu as ag
    >>> ag.ravel(ag.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    return words.reshape(input, shape=(input.array.size,))


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None, *, axis: Any = None) -> Tensor:
    """A view without the dimensions of size 1: all of them, or those of `dim` that have size 1.

    >>> import autograd_gpu as ag
    >>> ag.zeros(1, 3, 1).squeeze(0).shape
    Size([3, 1])
    """
    shape = input.array.shape
    axes = axes_of(axis if dim is None else dim, len(shape))
    return words.reshape(input, shape=tuple([n for i, n in enumerate(shape) if n != 1 or i not in axes]))


def unsqueeze(input: Tensor, dim: int | None = None, *, axis: Any = None) -> Tensor:
    """A view with a dimension of size 1 put in at `dim`.

    >>> import autograd_gpu as ag
    >>> ag.zeros(3).unsqueeze(-1).shape
    Size([3, 1])
    """
    shape = list(input.array.shape)
    shape.insert(axis_of(axis if dim is None else dim, len(shape) + 1), 1)
    return words.reshape(input, shape=tuple(shape))


# -- stretched ---------------------------------------------------------------------------------------------------------


@spread
def expand(input: Tensor, size: Sequence[int]) -> Tensor:
    """A view in which dimensions of size 1, and new ones in front, are stretched to `size`; -1 leaves a dimension as it is.

    No element is copied, so nothing can be written into it. Raises RuntimeError for a dimension of another size."""
    shape, size = input.array.shape, shape_of((size,))
    missing = len(size) - len(shape)
    if missing < 0:
        raise RuntimeError(
            f"expand({input.dtype} {list(shape)}, size={list(size)}): the number of sizes provided ({len(size)}) must be "
            f"greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    target = []
    for i, want in enumerate(size):
        have = shape[i - missing] if i >= missing else 1
        if want == -1 and i < missing:
            raise RuntimeError(
                f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {i}.  "
                f"Target sizes: {list(size)}.  Tensor sizes: {list(shape)}"
            )
        if want not in (-1, have) and have != 1 or want < -1:
            raise RuntimeError(
                f"The expanded size of the tensor ({want}) must match the existing size ({have}) at non-singleton dimension "
                f"{i}.  Target sizes: {list(size)}.  Tensor sizes: {list(shape)}"
            )
        target.append(have if want == -1 else want)
    return words.broadcast_to(input, shape=tuple(target))


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """A view of `input` stretched to the shape `size`: see `Tensor.expand`.

    >>> import autograd_gpu as ag
    >>> ag.broadcast_to(ag.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, size)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`input.expand` to the shape of another tensor."""
    return expand(input, other.array.shape)


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that shapes, each a tuple or an int, broadcast to.

    >>> import autograd_gpu as ag
    >>> ag.broadcast_shapes((2, 1), (3,))
    Size([2, 3])
    """
    result: list[int] = []
    for i, shape in enumerate(tuple(ints(s)) for s in shapes):
        if any(n < 0 for n in shape):
            raise ValueError("Attempting to broadcast a dimension with negative length!")
        result[:0] = [1] * (len(shape) - len(result))
        for back, n in enumerate(reversed(shape), 1):
            if n != result[-back] and n != 1:
                if result[-back] != 1:
                    raise RuntimeError(
                        f"Attempting to broadcast a dimension of length {n} at -{back}! Mismatching argument at index {i} had "
                        f"{shape}; but expected shape should be broadcastable to {result}"
                    )
                result[-back] = n
    return Size(result)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Views of the tensors, each stretched to the shape they broadcast to.

    >>> import autograd_gpu as ag
    >>> [x.shape for x in ag.broadcast_tensors(ag.zeros(2, 1), ag.zeros(3))]
    [Size([2, 3]), Size([2, 3])]
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    shape: tuple[int, ...] = ()
    for x in tensors:
        for back in range(1, min(len(shape), x.array.ndim) + 1):
            a, b = shape[-back], x.array.shape[-back]
            if a != b and 1 not in (a, b):
                raise RuntimeError(
                    f"The size of tensor a ({a}) must match the size of tensor b ({b}) at non-singleton dimension "
                    f"{max(len(shape), x.array.ndim) - back}: shapes {[list(t.array.shape) for t in tensors]}"
                )
        shape = tuple(broadcast_shapes(shape, x.array.shape))
    return tuple([words.broadcast_to(x, shape=shape) for x in tensors])


# -- at least so many dimensions ---------------------------------------------------------------------------------------


def _at_least(tensors: tuple, shape_with: Callable) -> Any:
    """One tensor, several, or a list of them, each with the dimensions that it lacks."""
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return shaped(tensors[0], shape_with(tensors[0].array.shape))
    return tuple([_at_least((x,), shape_with) for x in (tensors[0] if len(tensors) == 1 else tensors)])


def atleast_1d(*tensors: Any) -> Any:
    """Views with one dimension at least. Takes a tensor, several, or a sequence of them; gives a tuple for several.

    >>> import autograd_gpu as ag
    >>> ag.atleast_1d(ag.tensor(1), ag.tensor([2, 3]))
    (tensor([1]), tensor([2, 3]))
    """
    return _at_least(tensors, lambda shape: shape or (1,))


def atleast_2d(*tensors: Any) -> Any:
    """Views with two dimensions at least, new ones in front. Takes and gives what `atleast_1d` does.

    >>> import autograd_gpu as ag
    >>> ag.atleast_2d(ag.tensor([1, 2]))
    tensor([[1, 2]])
    """
    return _at_least(tensors, lambda shape: (1,) * (2 - len(shape)) + shape)


def atleast_3d(*tensors: Any) -> Any:
    """Views with three dimensions at least: (n,) becomes (1, n, 1) and (m, n) becomes (m, n, 1).

    >>> import autograd_gpu as ag
    >>> ag.atleast_3d(ag.zeros(3)).shape
    Size([1, 3, 1])
    """
    return _at_least(tensors, lambda shape: ((1,) * (2 - len(shape)) + shape)[:2] + (shape[2:] or (1,)))
