"""Convolutions: one op and its two gradients, which are each other's, for any number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ..core.dispatch import NOTHING
from ..core.graph import words
from ..core.primitive import bilinear, primitive
from ..core.tensor import Tensor
from .linalg import check_tensors
from .shape import shaped

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


# -- the ops -----------------------------------------------------------------------------------------------------------------
#
# convolution(x, weight) is linear in both. So with a gradient y of its output,
#   <y, convolution(x, weight)> = <convolution_input(y, weight), x> = <convolution_weight(y, x), weight>,
# and whatever one of the three is differentiated by, the gradient is another one. stride, padding and dilation are tuples.


def _channel_sum(xp: Any, g: Any) -> Any:
    """The sum over all but the channels, (n, channels, *sizes): a view of rows where the channels come last in memory."""
    rows = xp.transpose(g, axes=(0, *range(2, g.ndim), 1))
    return xp.sum(xp.reshape(rows, shape=(prod(rows.shape[:-1]), rows.shape[-1])), axis=0)


def _conv_to(xp: Any, x: Any, weight: Any, shape: tuple[int, ...], **options: Any) -> Any:
    """The convolution, as far as `shape` goes: where the output of a transposed one was padded, x holds more windows."""
    out = xp.convolution(x, weight, None, **options)
    return out if out.shape == shape else xp.slice(out, spec=(*[(0, n, None) for n in shape], ...))


def _dtype_errors(x: Tensor, weight: Tensor, bias: Tensor = NOTHING) -> None:
    """Raise PyTorch's error for inputs of different dtypes, and for those that are no floating point numbers."""
    if x.dtype != weight.dtype:
        raise RuntimeError(f"Input type ({x.dtype}) and weight type ({weight.dtype}) should be the same")
    if bias.array is not None and bias.dtype != x.dtype:
        raise RuntimeError(f"Input type ({x.dtype}) and bias type ({bias.dtype}) should be the same")
    if not x.is_floating_point() and not x.is_complex():
        raise RuntimeError(f"convolutions are not implemented for {x.dtype}: convert input and weight with .float()")


@primitive(
    x=lambda xp, g, weight, x_shape, stride, padding, dilation, groups: xp.convolution_input(
        g, weight, None, shape=x_shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    weight=lambda xp, g, x, weight_shape, stride, padding, dilation, groups: xp.convolution_weight(
        g, x, shape=weight_shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    bias=lambda xp, g: _channel_sum(xp, g),
    promote=("x", "weight"),
    errors=_dtype_errors,
)
def _convolution(xp: Any, x: Any, weight: Any, bias: Any, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """The op behind `conv1d` to `conv3d`."""
    ...


@primitive(
    y=lambda xp, g, weight, y_shape, stride, padding, dilation, groups: _conv_to(
        xp, g, weight, y_shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    weight=lambda xp, g, y, weight_shape, stride, padding, dilation, groups: xp.convolution_weight(
        y, g, shape=weight_shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    bias=lambda xp, g: _channel_sum(xp, g),
    promote=("y", "weight"),
    errors=_dtype_errors,
)
def _convolution_input(
    xp: Any, y: Any, weight: Any, bias: Any, *, shape: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """The gradient y of `convolution` taken to x, which is of `shape`: the op behind `conv_transpose1d` to `conv_transpose3d`."""
    ...


@bilinear(
    y=lambda xp, g, x, y_shape, stride, padding, dilation, groups: _conv_to(
        xp, x, g, y_shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    x=lambda xp, g, y, x_shape, stride, padding, dilation, groups: xp.convolution_input(
        y, g, None, shape=x_shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
)
def _convolution_weight(xp: Any, y: Any, x: Any, *, shape: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """The gradient of `convolution` with regard to its weight, which is of `shape`."""
    ...


# -- arguments ---------------------------------------------------------------------------------------------------------------


def sizes_of(value: Any, d: int, name: str) -> tuple[int, ...]:
    """An int, or one for each of d dimensions, as a tuple.

    Raises RuntimeError for another number of them."""
    if value.__class__ is int:
        return (value,) * d
    if hasattr(value, "__index__"):
        return (value.__index__(),) * d
    sizes = tuple([n.__index__() for n in value])
    if len(sizes) == 1:
        return sizes * d
    if len(sizes) != d:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {d} values to match the convolution dimensions, but got "
            f"{name}={list(sizes)}"
        )
    return sizes


def _check(
    name: str, x: Tensor, weight: Tensor, bias: Any, d: int, stride: Any, padding: Any, dilation: Any, groups: int
) -> None:
    """Raise PyTorch's error for what fits neither kind of convolution."""
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(dilation) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got {list(dilation)}")
    shape = weight.array.shape
    if len(shape) != d + 2:
        raise RuntimeError(f"expected a {d + 2}-dimensional weight for {name}, but got weight of size {list(shape)}")
    if 0 in shape[2:]:
        raise RuntimeError(f"kernel size should be greater than zero, but got {list(shape[2:])}")
    if shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{list(shape)} instead"
        )
    if shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of size "
            f"[{list(shape)}] instead"
        )


def _check_bias(bias: Any, weight: Tensor, channels: int, transposed: str = "") -> None:
    if bias is not None and bias.array.shape != (channels,):
        raise RuntimeError(
            f"Given {transposed}weight of size {list(weight.array.shape)}, expected bias to be 1-dimensional with {channels} "
            f"elements, but got bias of size {list(bias.array.shape)} instead"
        )


def _batched(name: str, x: Tensor, d: int) -> Tensor:
    """x with a dimension for the batch."""
    shape = x.array.shape
    if len(shape) == d + 2:
        return x
    if len(shape) != d + 1:
        raise RuntimeError(
            f"Expected {d + 1}D (unbatched) or {d + 2}D (batched) input to {name}, but got input of size: {list(shape)}"
        )
    return shaped(x, (1, *shape))


def _same(x: Tensor, kernel: Sequence[int], stride: Any, dilation: Any) -> tuple[Tensor, tuple[int, ...]]:
    """x and the padding for an output of the size of the input. Where an odd number of zeros is needed, one more stands
    behind: x is given it."""
    if set(stride) != {1}:
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if any(n % 2 for n in total):
        shape = x.array.shape
        larger = (*shape[:2], *(n + t % 2 for n, t in zip(shape[2:], total, strict=True)))
        x = words.unslice(x, spec=(*((0, n, None) for n in shape), ...), shape=larger)
    return x, tuple([n // 2 for n in total])


def convolve(
    d: int, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    """The convolution over d dimensions: what `conv1d` to `conv3d` do."""
    name = f"conv{d}d"
    try:
        given, kernel = x.array.shape, weight.array.shape[2:]
        stride, dilation = sizes_of(stride, d, "stride"), sizes_of(dilation, d, "dilation")
        named = padding if padding.__class__ is str else None
        padding = (0,) * d if named else sizes_of(padding, d, "padding")
        batched = _batched(name, x, d)
        _check(name, batched, weight, bias, d, stride, padding, dilation, groups)
        if named and named != "valid":
            if named != "same":
                raise RuntimeError(f"Invalid padding string: '{named}'")
            batched, padding = _same(batched, kernel, stride, dilation)
        shape = batched.array.shape
        if shape[1] != weight.array.shape[1] * groups:
            raise RuntimeError(
                f"Given groups={groups}, weight of size {list(weight.array.shape)}, expected input{list(given)} to have "
                f"{weight.array.shape[1] * groups} channels, but got {shape[1]} channels instead"
            )
        _check_bias(bias, weight, len(weight.array))
    except AttributeError:
        check_tensors(name, input=x, weight=weight)
        raise
    for n, k, p, s in zip(shape[2:], kernel, padding, dilation, strict=True):
        if n + 2 * p < s * (k - 1) + 1:
            padded = " x ".join(str(n + 2 * p) for n, p in zip(shape[2:], padding, strict=True))
            extent = " x ".join(str(s * (k - 1) + 1) for k, s in zip(kernel, dilation, strict=True))
            raise RuntimeError(
                f"Calculated padded input size per channel: ({padded}). Kernel size: ({extent}). Kernel size can't be greater "
                "than actual input size"
            )
    out = words.convolution(
        batched, weight, NOTHING if bias is None else bias, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    return out if len(given) == d + 2 else shaped(out, out.array.shape[1:])


def transposed(
    d: int,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    """The transposed convolution over d dimensions: what `conv_transpose1d` to `conv_transpose3d` do."""
    name = f"conv_transpose{d}d"
    if padding.__class__ is str:
        raise TypeError(f"{name}(): argument 'padding' must be tuple of ints, not str")
    try:
        given, kernel = x.array.shape, weight.array.shape[2:]
        stride, dilation = sizes_of(stride, d, "stride"), sizes_of(dilation, d, "dilation")
        padding, extra = sizes_of(padding, d, "padding"), sizes_of(output_padding, d, "output_padding")
        batched = _batched(name, x, d)
        if min(extra) < 0:
            raise RuntimeError("negative output_padding is not supported")
        _check(name, batched, weight, bias, d, stride, padding, dilation, groups)
        shape, size = batched.array.shape, weight.array.shape
        if shape[1] != size[0]:
            raise RuntimeError(
                f"Given transposed=1, weight of size {list(size)}, expected input{list(given)} to have {size[0]} channels, but "
                f"got {shape[1]} channels instead"
            )
        if not size[1]:
            raise RuntimeError(f"non-empty weight tensor expected, but got: {list(size)}")
        _check_bias(bias, weight, size[1] * groups, "transposed=1, ")
    except AttributeError:
        check_tensors(name, input=x, weight=weight)
        raise
    if any(e >= s and e >= t for e, s, t in zip(extra, stride, dilation, strict=True)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got output_padding: {list(extra)} stride: "
            f"{list(stride)} dilation: {list(dilation)}"
        )
    sizes = [
        (n - 1) * s - 2 * p + t * (k - 1) + e + 1
        for n, k, s, p, t, e in zip(shape[2:], kernel, stride, padding, dilation, extra, strict=True)
    ]
    if min(sizes) < 1:
        had, have = " x ".join(map(str, shape[2:])), " x ".join(map(str, sizes))
        raise RuntimeError(
            f"Given input size per channel: ({had}). Calculated output size per channel: ({have}). Output size is too small"
        )
    out = words.convolution_input(
        batched,
        weight,
        NOTHING if bias is None else bias,
        shape=(shape[0], size[1] * groups, *sizes),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    return out if len(given) == d + 2 else shaped(out, out.array.shape[1:])


# -- the functions -----------------------------------------------------------------------------------------------------------


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The cross-correlation of `input` (n, in, length), or (in, length), with `weight` (out, in / groups, kernel).

    bias       (out), added
    stride     how far apart the windows are; an int or a tuple of one
    padding    zeros at both ends: an int or a tuple; "same", so many that the output is as long as the input; "valid", none
    dilation   how far apart in the input the elements of a window are
    groups     parts of the channels, each of which sees its own part of the input alone
    Raises RuntimeError, with the shapes, for what does not fit.

    >>> import autograd_gpu as ag
    >>> ag.conv1d(ag.tensor([[1.0, 2.0, 4.0, 8.0]]), ag.tensor([[[1.0, 10.0]]]))
    tensor([[21., 42., 84.]])
    """
    return convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The cross-correlation of `input` (n, in, height, width), or without n, with `weight` (out, in / groups, *kernel).

    Options as of `conv1d`; stride, padding and dilation can be one number or one for each dimension. On the CPU the channels of
    the result lie next to each other in memory, which its strides show and nothing else does.

    >>> import autograd_gpu as ag
    >>> ag.conv2d(ag.ones(1, 1, 3, 3), ag.ones(1, 1, 2, 2), padding=(0, 1))
    tensor([[[[2., 4., 4., 2.],
              [2., 4., 4., 2.]]]])
    """
    return convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The cross-correlation of `input` (n, in, depth, height, width), or without n, with `weight` (out, in / groups, *kernel).

    Options as of `conv2d`.

    >>> import autograd_gpu as ag
    >>> ag.conv3d(ag.ones(1, 2, 2, 2, 2), ag.ones(1, 2, 2, 2, 2)).item()
    16.0
    """
    return convolve(3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The gradient of `conv1d` with regard to its input, as a function: `input` (n, in, length), `weight` (in, out / groups,
    kernel). The result is (length - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1 long.

    >>> import autograd_gpu as ag
    >>> ag.conv_transpose1d(ag.tensor([[1.0, 2.0]]), ag.tensor([[[1.0, 10.0, 100.0]]]), stride=2)
    tensor([[  1.,  10., 102.,  20., 200.]])
    """
    return transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """As `conv_transpose1d`, over two dimensions.

    >>> import autograd_gpu as ag
    >>> ag.conv_transpose2d(ag.ones(1, 1, 1, 2), ag.ones(1, 1, 2, 2))
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    return transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """As `conv_transpose1d`, over three dimensions.

    >>> import autograd_gpu as ag
    >>> ag.conv_transpose3d(ag.ones(1, 1, 1, 1, 1), ag.ones(1, 2, 2, 1, 1)).shape
    Size([1, 2, 2, 1, 1])
    """
    return transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation)
