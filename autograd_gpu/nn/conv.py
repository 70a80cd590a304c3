"""Convolutions as modules."""

from __future__ import annotations

import math
from typing import Any

from ..core.tensor import Tensor
from ..ops.conv import convolve, sizes_of, transposed
from ..ops.create import empty
from ..ops.padding import pad
from . import init
from .module import Module
from .parameter import Parameter

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What convolutions of both kinds and of all dimensions share. `_d` is the number of dimensions."""

    _d: int
    _transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ):
        super().__init__()
        d = self._d
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups:
            raise ValueError("out_channels must be divisible by groups")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = sizes_of(kernel_size, d, "kernel_size"), sizes_of(stride, d, "stride")
        self.dilation = sizes_of(dilation, d, "dilation")
        self.output_padding = sizes_of(output_padding, d, "output_padding")
        if isinstance(padding, str):
            if padding not in ("valid", "same"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
            if padding == "same" and set(self.stride) != {1}:
                raise ValueError("padding='same' is not supported for strided convolutions")
            self.padding: Any = padding
        else:
            self.padding = sizes_of(padding, d, "padding")
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {_PADDING_MODES}, but got padding_mode='{padding_mode}'")
        self.padding_mode = padding_mode
        shape = (in_channels, out_channels // groups) if self._transposed else (out_channels, in_channels // groups)
        self.weight = Parameter(empty((*shape, *self.kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew: uniform in +-1/sqrt(inputs of an output)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = math.prod(self.weight.array.shape[1:])
            if fan_in:
                init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        none = (0,) * self._d
        if self.padding != none:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self._d:
            text += f", dilation={self.dilation}"
        if self.output_padding != none:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Convolution(_Conv):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device, dtype
        )

    def forward(self, input: Tensor) -> Tensor:
        if self.padding_mode != "zeros":
            padded = pad(input, self._around(), mode=self.padding_mode)
            return convolve(self._d, padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return convolve(self._d, input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def _around(self) -> list[int]:
        """The padding as `pad` takes it: before and behind, the last dimension first."""
        each = []
        for k, n in enumerate(self.kernel_size):
            if self.padding == "same":
                total = self.dilation[k] * (n - 1)
                each.append((total // 2, total - total // 2))
            else:
                each.append((0, 0) if self.padding == "valid" else (self.padding[k],) * 2)
        return [n for pair in reversed(each) for n in pair]


class Conv1d(_Convolution):
    """A convolution (n, in_channels, length) -> (n, out_channels, length of the output). Options: `conv1d`.

    weight         (out_channels, in_channels / groups, kernel), uniform in +-1/sqrt(inputs of an output) at first
    bias           (out_channels,), likewise; None with bias=False
    padding_mode   what stands around the input: "zeros", "reflect", "replicate" or "circular"

    >>> import autograd_gpu as ag
    >>> ag.nn.Conv1d(2, 4, 3, padding=1)(ag.ones(1, 2, 5)).shape
    Size([1, 4, 5])
    """

    _d = 1


class Conv2d(_Convolution):
    """A convolution (n, in_channels, height, width) -> (n, out_channels, ...). As `Conv1d`; kernel_size, stride, padding and
    dilation can be one number or one for each dimension.

    >>> import autograd_gpu as ag
    >>> ag.nn.Conv2d(1, 8, 3, stride=2, padding=1)
    Conv2d(1, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
    """

    _d = 2
    _leads = True


class Conv3d(_Convolution):
    """A convolution (n, in_channels, depth, height, width) -> (n, out_channels, ...). As `Conv2d`.

    >>> import autograd_gpu as ag
    >>> ag.nn.Conv3d(1, 2, 3, bias=False)
    Conv3d(1, 2, kernel_size=(3, 3, 3), stride=(1, 1, 1), bias=False)
    """

    _d = 3


class _Transposed(_Conv):
    _transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias, padding_mode,
            device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._extra(input, list(output_size))
        return transposed(self._d, input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, input: Tensor, wanted: list[int]) -> tuple[int, ...]:
        """The output_padding that gives the size that is wanted."""
        d, shape = self._d, input.array.shape
        if len(wanted) == len(shape):
            wanted = wanted[-d:]
        if len(wanted) != d:
            raise ValueError(
                f"{type(self).__name__}: for {len(shape)}D input, output_size must have {d} or {len(shape)} elements "
                f"(got {len(wanted)})"
            )
        least = [
            (n - 1) * s - 2 * p + t * (k - 1) + 1
            for n, s, p, t, k in zip(shape[-d:], self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        ]
        most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
        if any(not low <= n <= high for n, low, high in zip(wanted, least, most, strict=True)):
            raise ValueError(
                f"requested an output size of {tuple(wanted)}, but valid sizes range from {least} to {most} (for an input of "
                f"{list(shape[-d:])})"
            )
        return tuple([n - low for n, low in zip(wanted, least, strict=True)])


class ConvTranspose1d(_Transposed):
    """A transposed convolution (n, in_channels, length) -> (n, out_channels, length of the output). Options:
    `conv_transpose1d`. `forward` takes an `output_size` too, in place of output_padding.

    weight   (in_channels, out_channels / groups, kernel)
    bias     (out_channels,); None with bias=False

    >>> import autograd_gpu as ag
    >>> up = ag.nn.ConvTranspose1d(4, 2, 3, stride=2)
    >>> up(ag.ones(1, 4, 5)).shape, up(ag.ones(1, 4, 5), output_size=[12]).shape
    (Size([1, 2, 11]), Size([1, 2, 12]))
    """

    _d = 1


class ConvTranspose2d(_Transposed):
    """A transposed convolution (n, in_channels, height, width) -> (n, out_channels, ...). As `ConvTranspose1d`.

    >>> import autograd_gpu as ag
    >>> ag.nn.ConvTranspose2d(4, 2, 2, stride=2)
    ConvTranspose2d(4, 2, kernel_size=(2, 2), stride=(2, 2))
    """

    _d = 2


class ConvTranspose3d(_Transposed):
    """A transposed convolution (n, in_channels, depth, height, width) -> (n, out_channels, ...). As `ConvTranspose1d`.

    >>> import autograd_gpu as ag
    >>> ag.nn.ConvTranspose3d(4, 2, 2, stride=2)(ag.ones(4, 1, 1, 1)).shape
    Size([2, 2, 2, 2])
    """

    _d = 3
