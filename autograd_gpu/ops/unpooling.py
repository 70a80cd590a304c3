"""Undoing max pooling: elements back to where they had been found."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from .. import backend
from ..backend.promotion import int64
from ..core.graph import words
from ..core.tensor import Tensor
from .linalg import check_tensors
from .pool import Sizes, merged, sizes

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


def _unpool(
    name: str, input: Tensor, indices: Tensor, kernel: Any, stride: Any, padding: Any, output_size: Sequence[int] | None
) -> Tensor:
    check_tensors(name, input=input, indices=indices)
    dims, shape = int(name[10]), input.array.shape
    kernel = sizes(name, "kernel_size", kernel, dims)
    stride = kernel if stride is None or stride == () or stride == [] else sizes(name, "stride", stride, dims)
    padding = sizes(name, "padding", padding, dims)
    if len(shape) not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Input to max_unpooling{dims}d should be a {dims + 1}d or {dims + 2}d Tensor, but got a tensor with {len(shape)} "
            "dimensions."
        )
    if indices.array.dtype != int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {indices.dtype}")
    if indices.array.shape != shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(shape)}) but got indices tensor with "
            f"shape: {list(indices.array.shape)}"
        )
    if 0 in shape[len(shape) - dims :]:
        raise RuntimeError(f"{name}(): Expected input to have non-zero size for non-batch dimensions, but got {list(shape)}")
    size = _unpooled_size(shape[-dims:], kernel, stride, padding, output_size)
    axis = len(shape) - dims
    whole = (*shape[:axis], prod(size))
    xp = backend.beside(input.array)
    flat = [words.reshape(x, shape=merged(shape, axis, dims)) for x in (indices, input)]
    try:
        out = words.put_along(Tensor(xp.zeros(whole, input.array.dtype)), *flat, axis=axis)
    except IndexError as error:
        volume = "x".join(map(str, size))
        raise RuntimeError(f"Found an invalid max index (output volumes are of size {volume}): {error}") from None
    return words.reshape(out, shape=(*shape[:axis], *size))


def _unpooled_size(
    shape: Sequence[int], kernel: tuple, stride: tuple, padding: tuple, output_size: Sequence[int] | None
) -> tuple[int, ...]:
    usual = [(n - 1) * s + k - 2 * p for n, k, s, p in zip(shape, kernel, stride, padding, strict=True)]
    if output_size is None:
        return tuple(usual)
    dims, wanted = len(kernel), tuple(output_size)
    if len(wanted) == dims + 2:
        wanted = wanted[2:]
    if len(wanted) != dims:
        raise ValueError(
            f"output_size should be a sequence containing {dims} or {dims + 2} elements, but it has a length of '{len(wanted)}'"
        )
    for k, (n, d, s) in enumerate(zip(wanted, usual, stride, strict=True)):
        if not d - s < n < d + s:
            raise ValueError(f'invalid output_size "{wanted}" (dim {k} must be between {d - s} and {d + s})')
    return wanted


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Zeros with the elements of `input` where max_pool1d, by the `indices` that it returned, had found them.

    >>> import autograd_gpu as ag
    >>> ag.max_unpool1d(*ag.max_pool1d(ag.tensor([[1.0, 3.0, 5.0, 4.0]]), 2, return_indices=True), 2)
    tensor([[0., 3., 5., 0.]])
    """
    return _unpool("max_unpool1d", input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Zeros with the elements of `input` where max_pool2d, by the `indices` that it returned, had found them.

    >>> import autograd_gpu as ag
    >>> ag.max_unpool2d(*ag.max_pool2d(ag.arange(4.0).reshape(1, 2, 2), 2, return_indices=True), 2)
    tensor([[[0., 0.],
             [0., 3.]]])
    """
    return _unpool("max_unpool2d", input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Zeros with the elements of `input` where max_pool3d, by the `indices` that it returned, had found them.

    >>> import autograd_gpu as ag
    >>> ag.max_unpool3d(*ag.max_pool3d(ag.arange(4.0).reshape(1, 1, 2, 2), (1, 2, 2), return_indices=True), (1, 2, 2))
    tensor([[[[0., 0.],
              [0., 3.]]]])
    """
    return _unpool("max_unpool3d", input, indices, kernel_size, stride, padding, output_size)
