"""Blocks that slide over an image, as columns, and their sum back into an image: torch.nn.functional's unfold and fold."""

from __future__ import annotations

from math import prod
from typing import Any

from ..core.graph import words
from ..core.tensor import Tensor
from .arguments import FULL
from .shape import shaped

__all__ = ["fold", "unfold"]


def _pair(value: Any, name: str) -> tuple[int, int]:
    """A number, or two, for height and width."""
    if hasattr(value, "__index__"):
        return value.__index__(), value.__index__()
    sizes = tuple([n.__index__() for n in value])
    if len(sizes) == 1:
        return sizes * 2
    if len(sizes) != 2:
        raise RuntimeError(f"It is expected {name} equals to 2, but got size {len(sizes)}")
    return sizes


def _options(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> list[tuple[int, int]]:
    """Kernel, dilation, padding and stride as pairs.

    Raises RuntimeError for those that mean nothing."""
    given = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
    pairs = [_pair(value, name) for name, value in given.items()]
    for (name, _), pair in zip(given.items(), pairs, strict=True):
        if min(pair) < (name != "padding"):
            wanted = "non-negative" if name == "padding" else "greater than zero"
            what = name.replace("kernel_size", "kernel")
            raise RuntimeError(f"{name} should be {wanted}, but got {what}_height: {pair[0]} {what}_width: {pair[1]}")
    return pairs


def _counts(sizes: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> list[int]:
    """How many blocks there are along height and width."""
    each = zip(sizes, kernel, dilation, padding, stride, strict=True)
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in each]


def _taps(kernel: Any, dilation: Any) -> tuple:
    """The spec of those of a block's elements that count, behind those of the blocks."""
    each = zip(kernel, dilation, strict=True)
    return (*[FULL] * 4, *[(0, (k - 1) * d + 1, d) for k, d in each], ...)


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The blocks of (n, channels, height, width), or without n, as columns: (n, channels * prod(kernel_size), blocks).

    Raises RuntimeError where no block fits.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.unfold(ag.arange(6.0).reshape(1, 1, 2, 3), (2, 2))
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """
    kernel, dilation, padding, stride = _options(kernel_size, dilation, padding, stride)
    shape = input.array.shape
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: "
            f"{list(shape)}"
        )
    if len(shape) == 3:
        out = unfold(shaped(input, (1, *shape)), kernel, dilation, padding, stride)
        return shaped(out, out.array.shape[1:])
    n, channels, *sizes = shape
    counts = _counts(sizes, kernel, dilation, padding, stride)
    if min(counts) < 1:
        raise RuntimeError(
            f"Given input with spatial size {tuple(sizes)}, kernel_size={kernel}, dilation={dilation}, padding={padding}, "
            f"calculated shape of the array of sliding blocks as {tuple(counts)}, but its components must be at least one."
        )
    x = input
    if any(padding):
        inner = [(p, p + m, None) for p, m in zip(padding, sizes, strict=True)]
        around = [m + 2 * p for p, m in zip(padding, sizes, strict=True)]
        x = words.unslice(x, spec=(FULL, FULL, *inner, ...), shape=(n, channels, *around))
    for axis in (0, 1):
        x = words.windows(x, axis=2 + axis, size=(kernel[axis] - 1) * dilation[axis] + 1, step=stride[axis])
    if dilation != (1, 1):
        x = words.slice(x, spec=_taps(kernel, dilation))
    x = words.transpose(x, axes=(0, 1, 4, 5, 2, 3))
    return shaped(x, (n, channels * prod(kernel), prod(counts)))


def fold(input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The sum of blocks, (n, channels * prod(kernel_size), blocks) or without n, at their places in an image of `output_size`:
    the transpose of `unfold`.

    Raises RuntimeError for another number of rows or blocks than the sizes say.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.fold(ag.ones(1, 4, 2), (2, 3), (2, 2))
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    size = _pair(output_size, "output_size")
    kernel, dilation, padding, stride = _options(kernel_size, dilation, padding, stride)
    shape = input.array.shape
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but "
            f"got: {list(shape)}"
        )
    if len(shape) == 2:
        out = fold(shaped(input, (1, *shape)), size, kernel, dilation, padding, stride)
        return shaped(out, out.array.shape[1:])
    n, rows, blocks = shape
    if rows % prod(kernel):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={rows} and kernel_size={kernel}."
        )
    channels, counts = rows // prod(kernel), _counts(size, kernel, dilation, padding, stride)
    if min(counts) < 1 or prod(counts) != blocks:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={kernel}, dilation={dilation}, padding={padding}, stride={stride}, expected "
            f"size of input's dimension 2 to match the calculated number of sliding blocks {counts[0]} * {counts[1]} = "
            f"{prod(counts)}, but got input.size(2)={blocks}."
        )
    x = words.transpose(shaped(input, (n, channels, *kernel, *counts)), axes=(0, 1, 4, 5, 2, 3))
    if dilation != (1, 1):
        extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        x = words.unslice(x, spec=_taps(kernel, dilation), shape=(n, channels, *counts, *extents))
    around = [m + 2 * p for p, m in zip(padding, size, strict=True)]
    for axis in (1, 0):
        x = words.sum_windows(x, axis=2 + axis, step=stride[axis], length=around[axis])
    if any(padding):
        x = words.slice(x, spec=(FULL, FULL, *[(p, p + m, None) for p, m in zip(padding, size, strict=True)], ...))
    return x
