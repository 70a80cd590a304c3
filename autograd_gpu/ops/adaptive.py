"""Adaptive pooling: as many windows as are asked for, of about the same size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

from .. import backend
from ..backend.promotion import category, int64
from ..core.graph import words
from ..core.tensor import Tensor
from .linalg import check_tensors
from .mixing import Tables, adaptive_bounds, average_tables, choice_of
from .pool import average, largest

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


def _wanted(name: str, dims: int, input: Tensor, output_size: Any) -> tuple[int, ...]:
    """The size of the result along each pooled dimension."""
    check_tensors(name, input=input)
    shape = input.array.shape
    if len(shape) not in (dims + 1, dims + 2):
        raise RuntimeError(f"{name}(): Expected {dims + 1}D or {dims + 2}D tensor, but got {list(shape)}")
    if category(input.array.dtype) < 2:
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}')
    given = (output_size,) * dims if output_size is None or hasattr(output_size, "__index__") else tuple(output_size)
    if len(given) == 1:
        given *= dims
    if len(given) != dims:
        raise RuntimeError(f"{name}: output_size must be {dims}")
    size = tuple(n if m is None else m for n, m in zip(shape[-dims:], given, strict=True))
    if min(size) < 0:
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received {{{', '.join(map(str, size))}}}"
        )
    if 0 in shape[1:]:
        first = 1 if "max" in name or dims == 3 else len(shape) - dims
        for axis in range(first, len(shape)):
            if not shape[axis] and (size != (1,) * dims or "max" in name):
                raise RuntimeError(
                    f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes {list(shape)} "
                    f"with dimension {axis} being empty"
                )
    return size


def _even(shape: tuple[int, ...], size: tuple[int, ...]) -> tuple | None:
    """The windows, if they are of one size and lie side by side."""
    windows, axis = [], len(shape) - len(size)
    for k, m in enumerate(size):
        if not m or shape[axis + k] % m:
            return None
        kernel = shape[axis + k] // m
        windows.append((axis + k, kernel, kernel, 0, 1, m))
    return tuple(windows)


# -- the average -----------------------------------------------------------------------------------------------------------


def _average(name: str, input: Tensor, output_size: Any) -> Tensor:
    dims = int(name[-2])
    size = _wanted(name, dims, input, output_size)
    shape = input.array.shape
    if size == (1,) * dims:
        return words.mean(input, axis=tuple(range(len(shape) - dims, len(shape))), keepdims=True)
    windows = _even(shape, size)
    if windows is not None:
        return average(input, windows)
    for axis, m in enumerate(size, len(shape) - dims):
        if m != shape[axis]:
            tables = average_tables(shape[axis], m, input.array.dtype, input.device)
            input = words.mix(input, tables=tables, axis=axis)
    return input


def adaptive_avg_pool1d(input: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """The averages of `output_size` windows that together cover (N, C, L) or (C, L).

    Window i of m reaches from floor(i * L / m) to ceil((i + 1) * L / m). Raises RuntimeError for shapes that do not fit.

    >>> import autograd_gpu as ag
    >>> ag.adaptive_avg_pool1d(ag.tensor([[1.0, 3.0, 2.0, 6.0]]), 2)
    tensor([[2., 4.]])
    """
    return _average("adaptive_avg_pool1d", input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: int | None | Sequence[int | None]) -> Tensor:
    """The averages of windows that together cover (N, C, H, W) or (C, H, W): as many along each dimension as `output_size` says,
    None for as many as there are elements. The rest is as for `adaptive_avg_pool1d`.

    >>> import autograd_gpu as ag
    >>> ag.adaptive_avg_pool2d(ag.arange(9.0).reshape(1, 3, 3), (None, 1))
    tensor([[[1.],
             [4.],
             [7.]]])
    """
    return _average("adaptive_avg_pool2d", input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: int | None | Sequence[int | None]) -> Tensor:
    """The averages of windows that together cover (N, C, D, H, W) or (C, D, H, W): as many along each dimension as `output_size`
    says. The rest is as for `adaptive_avg_pool2d`.

    >>> import autograd_gpu as ag
    >>> ag.adaptive_avg_pool3d(ag.arange(8.0).reshape(1, 2, 2, 2), (2, 1, 1))
    tensor([[[[1.5000]],
    <BLANKLINE>
             [[5.5000]]]])
    """
    return _average("adaptive_avg_pool3d", input, output_size)


# -- the largest -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _spread(n: int, m: int, dtype: Any, device: Any) -> tuple[Tables, int]:
    """The elements of m windows that cover n, one window behind the other, and how many are of one: of those that are smaller the
    last element comes twice."""
    bounds = adaptive_bounds(n, m)
    kernel = max([stop - start for start, stop in bounds], default=1)
    flat = [min(start + j, stop - 1) for start, stop in bounds for j in range(kernel)]
    return choice_of(flat, n, dtype, device), kernel


def _largest(name: str, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    dims = int(name[-2])
    size = _wanted(name, dims, input, output_size)
    shape = input.array.shape
    first = len(shape) - dims
    windows = _even(shape, size)
    if windows is not None:
        return largest(input, windows, return_indices)
    made, known = [], []
    for axis, m in enumerate(size, first):  # windows of several sizes, laid side by side
        rows, kernel = _spread(shape[axis], m, input.array.dtype, input.device)
        input = words.mix(input, tables=rows, axis=axis)
        known.append(Tensor(rows.places[0]))
        made.append((axis, kernel, kernel, 0, 1, m))
    if not prod(size):
        input = words.reshape(input, shape=(*shape[:first], *size))
        return (input, Tensor(backend.beside(input.array).zeros(input.array.shape, int64))) if return_indices else input
    found = largest(input, tuple(made), return_indices)
    if not return_indices:
        return found
    out, at = found
    total = None
    for k, rows in enumerate(known):
        inner = prod(input.array.shape[first + k + 1 :])
        here = at if inner == 1 else at // inner
        at = at - here * inner
        place = words.index(rows, here, axes=(0,))
        total = place if total is None else total * shape[first + k] + place
    return out, total


def adaptive_max_pool1d(input: Tensor, output_size: int | Sequence[int], return_indices: bool = False) -> Any:
    """The largest elements of `output_size` windows that together cover (N, C, L) or (C, L). With `return_indices`, and where in
    L they lie. The windows are those of `adaptive_avg_pool1d`.

    >>> import autograd_gpu as ag
    >>> ag.adaptive_max_pool1d(ag.tensor([[1.0, 3.0, 2.0]]), 2)
    tensor([[3., 3.]])
    """
    return _largest("adaptive_max_pool1d", input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: int | None | Sequence[int | None], return_indices: bool = False) -> Any:
    """The largest elements of windows that together cover (N, C, H, W) or (C, H, W). With `return_indices`, and where they lie:
    at `row * W + column`. The windows are those of `adaptive_avg_pool2d`.

    >>> import autograd_gpu as ag
    >>> ag.adaptive_max_pool2d(ag.arange(9.0).reshape(1, 3, 3), 2)
    tensor([[[4., 5.],
             [7., 8.]]])
    """
    return _largest("adaptive_max_pool2d", input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: int | None | Sequence[int | None], return_indices: bool = False) -> Any:
    """The largest elements of windows that together cover (N, C, D, H, W) or (C, D, H, W). With `return_indices`, and where they
    lie: at `(depth * H + row) * W + column`. The windows are those of `adaptive_avg_pool3d`.

    >>> import autograd_gpu as ag
    >>> ag.adaptive_max_pool3d(ag.arange(8.0).reshape(1, 2, 2, 2), 1)
    tensor([[[[7.]]]])
    """
    return _largest("adaptive_max_pool3d", input, output_size, return_indices)
