"""A convolution, relu and the largest of windows of 2 by 2 as one op, which a sequence of those three modules is."""

from __future__ import annotations

from typing import Any

from ..backend import of
from ..core.dispatch import NOTHING
from ..core.graph import NO_GRAD, mode, words
from ..core.primitive import primitive
from ..core.tensor import Tensor
from .conv import _channel_sum, _dtype_errors
from .limits import passed

__all__: list[str] = []
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()

_APART = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}


def _slope(xp: Any, g: Any, offsets: Any, windows: Any, padding: Any, x_shape: Any, weight_shape: Any) -> Any:
    """The gradient of the convolution's output."""
    sizes = [n + 2 * p - k + 1 for n, p, k in zip(x_shape[2:], padding, weight_shape[2:], strict=True)]
    shape = x_shape[0], weight_shape[0], *sizes
    return xp.max_pool_back(passed(xp, g, offsets < 4), offsets % 4, windows=windows, shape=shape)


@primitive(
    x=lambda xp, g, weight, x_shape, weight_shape, offsets, padding, windows: xp.convolution_input(
        _slope(xp, g, offsets, windows, padding, x_shape, weight_shape), weight, None, shape=x_shape, padding=padding, **_APART
    ),
    weight=lambda xp, g, x, x_shape, weight_shape, offsets, padding, windows: xp.convolution_weight(
        _slope(xp, g, offsets, windows, padding, x_shape, weight_shape), x, shape=weight_shape, padding=padding, **_APART
    ),
    bias=lambda xp, g, offsets: _channel_sum(xp, passed(xp, g, offsets < 4)),
    outputs=("out", "offsets"),
    promote=("x", "weight"),
    errors=_dtype_errors,
)
def _convolution_relu_pool(xp: Any, x: Any, weight: Any, bias: Any, *, padding: Any, windows: Any, named: bool = True) -> Any:
    """The op behind `conv_relu_pool`. relu comes last, for it and the maximum can change places, and their gradients too.

    In `offsets` is 4 where relu stops the gradient. So the output is not kept, and may be written into, as that of pooling."""
    out, offsets = xp.max_pool(xp.convolution(x, weight, bias, padding=padding, **_APART), windows=windows, named=named)
    out = xp.relu(out)
    return out, xp.maximum(offsets, xp.astype(out == 0, dtype=offsets.dtype) * 4) if named else offsets


def conv_relu_pool(x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """max_pool2d(relu(conv2d(x, weight, bias, padding=padding)), 2), of inputs that fit each other."""
    windows = tuple(
        [
            (i, 2, 2, 0, 1, (n + 2 * p - k + 1) // 2)
            for i, n, p, k in zip((2, 3), x.array.shape[2:], padding, weight.array.shape[2:], strict=True)
        ]
    )
    bias = NOTHING if bias is None else bias
    named = not mode.state & NO_GRAD and any([t.node is not None for t in (x, weight, bias)])
    return words.convolution_relu_pool(x, weight, bias, padding=padding, windows=windows, named=named)[0]


def at_once(x: Any, weight: Tensor, bias: Tensor | None, padding: Any) -> bool:
    """Whether `conv_relu_pool` takes these, and the device has a kernel for it."""
    if not isinstance(x, Tensor) or padding.__class__ is not tuple:
        return False
    a, w = x.array, weight.array
    if "convolution_relu_pool" not in of(a.__class__).fused or a.ndim != 4 or a.shape[1] != w.shape[1]:
        return False
    if a.dtype is not w.dtype or (bias is not None and bias.array.dtype is not w.dtype):
        return False
    return all([n + 2 * p > k for n, p, k in zip(a.shape[2:], padding, w.shape[2:], strict=True)])
