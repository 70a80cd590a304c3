"""Normalization: over the last dimensions, over the batch, over groups of channels, over neighbouring channels.

NOTE [Statistics]
    The ops save their input and no statistics: a mean kept as a raw array would be a constant to the second order, and the
    second derivative wrong. So rules compute the statistics again. The fused forwards hand mean and spread to the fused
    backwards as residue, two numbers a row. `batch_norm` has its statistics as outputs, since the running ones are made of them;
    its rule names them and is right to any order, because they are in the graph.
    A fused layer_norm may keep its output in the place of its input: what comes behind it, a linear layer for one, keeps it too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import backend
from ..backend.promotion import category
from ..core.dispatch import NOTHING
from ..core.graph import touch, words
from ..core.primitive import primitive
from ..core.tensor import Tensor
from ..dtypes import finfo
from .arguments import FULL
from .linalg import check_tensors
from .vectors import vector_norm

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "normalize", "rms_norm"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


def _given(x: Any) -> bool:
    """Whether an optional input, an array or a Tensor, was given."""
    return x is not None and getattr(x, "array", x) is not None


def _cast(xp: Any, x: Any, like: Any) -> Any:
    """x in the dtype of `like`: statistics of half precision are float32."""
    return x if x.dtype == like.dtype else xp.astype(x, dtype=like.dtype)


def _sum_to(xp: Any, x: Any, shape: tuple[int, ...]) -> Any:
    return x if x.shape == shape else xp.sum_to(x, shape=shape)


# -- over the last dimensions ------------------------------------------------------------------------------------------------


def _standard(xp: Any, x: Any, axes: tuple[int, ...], eps: float, centred: bool = True) -> tuple[Any, Any]:
    """x less its mean (if `centred`) over its standard deviation along axes, and one over that deviation."""
    if centred:
        x = x - xp.mean(x, axis=axes, keepdims=True)
    r = xp.rsqrt(xp.mean(x * x, axis=axes, keepdims=True) + eps)
    return x * r, r


def _standard_x(xp: Any, g: Any, x: Any, axes: tuple[int, ...], eps: float, centred: bool = True) -> Any:
    """The gradient of x where g is that of `_standard`."""
    y, r = _standard(xp, x, axes, eps, centred)
    along = g - y * xp.mean(g * y, axis=axes, keepdims=True)
    return _cast(xp, (along - xp.mean(g, axis=axes, keepdims=True) if centred else along) * r, x)


def _layer_norm_x(xp: Any, g: Any, x: Any, weight: Any, axes: tuple[int, ...], eps: float) -> Any:
    return _standard_x(xp, g * weight if _given(weight) else g, x, axes, eps)


@primitive(
    x=_layer_norm_x,
    weight=lambda xp, g, x, weight_shape, axes, eps: _sum_to(xp, g * _standard(xp, x, axes, eps)[0], weight_shape),
    bias=lambda xp, g, bias_shape: _sum_to(xp, g, bias_shape),
    residue=True,
)
def _layer_norm(xp: Any, x: Any, weight: Any = None, bias: Any = None, *, axes: tuple[int, ...], eps: float = 1e-5) -> Any:
    """The op behind `layer_norm`: `axes` are the last dimensions, `weight` and `bias` have their shape."""
    out, _ = _standard(xp, x, axes, eps)
    out = out * weight if _given(weight) else out
    return _cast(xp, out + bias if _given(bias) else out, x)


def _rms_norm_x(xp: Any, g: Any, x: Any, weight: Any, axes: tuple[int, ...], eps: float) -> Any:
    return _standard_x(xp, g * weight if _given(weight) else g, x, axes, eps, False)


@primitive(
    x=_rms_norm_x,
    weight=lambda xp, g, x, weight_shape, axes, eps: _sum_to(xp, g * _standard(xp, x, axes, eps, False)[0], weight_shape),
    residue=True,
)
def _rms_norm(xp: Any, x: Any, weight: Any = None, *, axes: tuple[int, ...], eps: float) -> Any:
    """The op behind `rms_norm`."""
    out, _ = _standard(xp, x, axes, eps, False)
    return _cast(xp, out * weight if _given(weight) else out, x)


def _last_axes(
    name: str, input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None, bias: Tensor | None = None
) -> tuple[int, ...]:
    """The dimensions that `normalized_shape` means. Raises RuntimeError for shapes and dtypes that do not fit."""
    check_tensors(name, input=input)
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    n = len(shape)
    if not n:
        raise RuntimeError(
            f"Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            f"normalized_shape = {list(shape)}"
        )
    if input.array.shape[-n:] != shape:
        sizes = "".join(f", {size}" for size in shape)
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*{sizes}], but got input of size"
            f"{list(input.array.shape)}"
        )
    for what, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.array.shape != shape:
            raise RuntimeError(
                f"Expected {what} to be of same shape as normalized_shape, but got {what} of shape {list(t.array.shape)} and "
                f"normalized_shape = {list(shape)}"
            )
    _check_dtypes(name, input, weight, bias)
    return tuple(range(input.array.ndim - n, input.array.ndim))


def _check_dtypes(name: str, input: Tensor, *others: Tensor | None) -> None:
    """Raise unless input is of floating point, and the others of its dtype, or float32 where it is of half precision."""
    dtype = input.array.dtype
    if category(dtype) != 2:
        raise NotImplementedError(f"\"{name}\" not implemented for '{dtype}': convert it, as in x.float()")
    for t in others:
        if t is not None and t.array.dtype != dtype and not (dtype.itemsize == 2 and t.array.dtype.name == "float32"):
            raise RuntimeError(f"{name}: expected scalar type {dtype} but found {t.array.dtype}: convert one with .to()")


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias, with mean and variance over the last dimensions, whose shape is
    `normalized_shape`. (Ba, Kiros and Hinton, "Layer normalization", 2016.)

    Raises RuntimeError for shapes that do not fit.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.layer_norm(ag.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    axes = _last_axes("layer_norm", input, normalized_shape, weight, bias)
    return words.layer_norm(input, NOTHING if weight is None else weight, NOTHING if bias is None else bias, axes=axes, eps=eps)


def rms_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight, with the mean over the last dimensions, whose shape is `normalized_shape`. Without
    `eps` it is the distance from 1 to the next number of the dtype. (Zhang and Sennrich, 2019.)

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.rms_norm(ag.tensor([[3.0, 4.0]]), (2,))
    tensor([[0.8485, 1.1314]])
    """
    axes = _last_axes("rms_norm", input, normalized_shape, weight)
    if eps is None:
        eps = float(finfo("float64" if input.array.dtype.itemsize == 8 else "float32").eps)
    return words.rms_norm(input, NOTHING if weight is None else weight, axes=axes, eps=eps)


# -- by channels: dimension 1 ------------------------------------------------------------------------------------------------


def _column(xp: Any, v: Any, x: Any) -> Any:
    """v, a number a channel, with the dimensions of x."""
    return xp.reshape(v, shape=(1, x.shape[1]) + (1,) * (x.ndim - 2))


def _others(x: Any) -> tuple[int, ...]:
    """The dimensions but that of the channels."""
    return (0, *range(2, x.ndim))


def _batch_norm_x(xp: Any, gs: Any, x: Any, mean: Any, var: Any, weight: Any, eps: float) -> Any:
    g, g_mean, g_var = gs
    n = max(math.prod(x.shape) // max(x.shape[1], 1), 1)
    d, r, axes = x - _column(xp, mean, x), xp.rsqrt(var + eps), _others(x)
    a = r * weight if _given(weight) else r
    # what mean and variance get, each through the output and from outside
    g_mean = g_mean - a * xp.sum(g, axis=axes)
    g_var = g_var - xp.sum(g * d, axis=axes) * (a * r * r) * 0.5
    return _cast(xp, g * _column(xp, a, x) + d * _column(xp, g_var * (2 / n), x) + _column(xp, g_mean * (1 / n), x), x)


@primitive(
    x=_batch_norm_x,
    weight=lambda xp, gs, x, mean, var, eps: xp.sum(gs[0] * (x - _column(xp, mean, x)), axis=_others(x)) * xp.rsqrt(var + eps),
    bias=lambda xp, gs: xp.sum(gs[0], axis=tuple(i for i in range(gs[0].ndim) if i != 1)),
    outputs=("out", "mean", "var"),
)
def _batch_norm(xp: Any, x: Any, weight: Any = None, bias: Any = None, *, eps: float) -> Any:
    """The op behind `batch_norm` in training. Outputs are the result, and mean and variance (over n) of each channel."""
    axes = _others(x)
    mean = xp.mean(x, axis=axes)
    d = x - _column(xp, mean, x)
    var = xp.mean(d * d, axis=axes)
    r = xp.rsqrt(var + eps)
    out = d * _column(xp, r * weight if _given(weight) else r, x)
    return _cast(xp, out + _column(xp, bias, x) if _given(bias) else out, x), mean, var


@primitive(
    x=lambda xp, g, x_shape, scale: _cast(xp, g * xp.reshape(scale, shape=(1, -1) + (1,) * (len(x_shape) - 2)), g),
    scale=lambda xp, g, x: xp.sum(g * x, axis=_others(x)),
    shift=lambda xp, g: xp.sum(g, axis=tuple(i for i in range(g.ndim) if i != 1)),
)
def _scale_channels(xp: Any, x: Any, scale: Any, shift: Any) -> Any:
    """x * scale + shift, with a number of each for a channel."""
    return _cast(xp, x * _column(xp, scale, x) + _column(xp, shift, x), x)


def _grouped(xp: Any, x: Any, groups: int) -> Any:
    return xp.reshape(x, shape=(x.shape[0], groups, math.prod(x.shape[1:]) // groups))


def _group_norm_x(xp: Any, g: Any, x: Any, weight: Any, groups: int, eps: float) -> Any:
    g = g * _column(xp, weight, x) if _given(weight) else g
    return xp.reshape(_standard_x(xp, _grouped(xp, g, groups), _grouped(xp, x, groups), (2,), eps), shape=x.shape)


def _group_norm_weight(xp: Any, g: Any, x: Any, groups: int, eps: float) -> Any:
    y, _ = _standard(xp, _grouped(xp, x, groups), (2,), eps)
    return xp.sum(g * xp.reshape(y, shape=x.shape), axis=_others(x))


@primitive(
    x=_group_norm_x,
    weight=_group_norm_weight,
    bias=lambda xp, g, groups: xp.sum(g, axis=tuple(i for i in range(g.ndim) if i != 1)),  # a residue comes behind a name
    residue=True,
)
def _group_norm(xp: Any, x: Any, weight: Any = None, bias: Any = None, *, groups: int, eps: float = 1e-5) -> Any:
    """The op behind `group_norm`, and behind `instance_norm`, whose groups are single channels."""
    y, _ = _standard(xp, _grouped(xp, x, groups), (2,), eps)
    out = xp.reshape(y, shape=x.shape)
    out = out * _column(xp, weight, x) if _given(weight) else out
    return _cast(xp, out + _column(xp, bias, x) if _given(bias) else out, x)


def _check_channels(name: str, input: Tensor, least: int, **given: Tensor | None) -> int:
    """The number of channels. Raises unless input has `least` dimensions and all else has a number for each channel."""
    check_tensors(name, input=input)
    shape = input.array.shape
    if len(shape) < least:
        raise RuntimeError(f"{name}: expected at least {least} dimensions, and the shape is {list(shape)}")
    for what, t in given.items():
        if t is not None and t.array.shape != (shape[1],):
            raise RuntimeError(f"{what} should contain {shape[1]} elements not {t.array.size}: the input is {list(shape)}")
    _check_dtypes(name, input, *given.values())
    return shape[1]


def _more_than_one(shape: Sequence[int], spatial: bool = False) -> None:
    """Raise ValueError if a channel has one value, which has no variance."""
    if math.prod(shape[2:]) * (1 if spatial else shape[0]) == 1:
        what = "more than 1 spatial element" if spatial else "more than 1 value per channel"
        raise ValueError(f"Expected {what} when training, got input size Size({list(shape)})")


def _follow(running: Tensor | None, value: Any, momentum: float, name: str, factor: float = 1.0) -> None:
    """Move a running statistic towards a new value, times a factor, in place."""
    if running is not None:
        backend.of(running.array.__class__).guarded(_approach, name)(running.array, value, momentum, factor)
        touch(running.array, name)


def _approach(running: Any, value: Any, momentum: float, factor: float) -> None:
    running[...] = running * (1 - momentum) + value * (momentum * factor)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias for each channel, dimension 1 of (N, C, ...). In training with mean and
    variance of the batch, towards which the running ones are moved in place; else with the running ones.
    (Ioffe and Szegedy, "Batch normalization", 2015.)

    Raises ValueError for training on one value a channel, RuntimeError for shapes that do not fit.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.batch_norm(ag.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    _check_channels("batch_norm", input, 2, **given)
    if training:
        shape = input.array.shape
        _more_than_one(shape)
        out, mean, var = words.batch_norm(
            input, NOTHING if weight is None else weight, NOTHING if bias is None else bias, eps=eps
        )
        n = math.prod(shape) // max(shape[1], 1)
        if running_mean is not None and n:
            _follow(running_mean, mean.array, momentum, "batch_norm")
            _follow(running_var, var.array, momentum, "batch_norm", n / (n - 1))
        return out
    if running_mean is None or running_var is None:
        raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
    return _with_running(input, running_mean, running_var, weight, bias, eps)


def _with_running(
    input: Tensor, running_mean: Tensor, running_var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    scale = words.rsqrt(running_var.detach() + eps)
    if weight is not None:
        scale = scale * weight
    shift = -(running_mean.detach() * scale)
    return words.scale_channels(input, scale, shift if bias is None else shift + bias)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias, with mean and variance over each group of neighbouring channels of a
    sample (N, C, ...), and weight and bias for each channel. (Wu and He, "Group normalization", 2018.)

    Raises RuntimeError if the groups are not of one size, ValueError if a batch of one sample has groups of one value.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.group_norm(ag.tensor([[1.0, 3.0, 0.0, 8.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    channels = _check_channels("group_norm", input, 2, weight=weight, bias=bias)
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if channels % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(input.array.shape)} and num_groups={num_groups}"
        )
    shape = input.array.shape
    if math.prod((*shape[:1], channels // num_groups, *shape[2:])) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(shape)}")
    weight, bias = NOTHING if weight is None else weight, NOTHING if bias is None else bias
    return words.group_norm(input, weight, bias, groups=num_groups, eps=eps)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As `batch_norm`, with mean and variance of each channel of each sample (N, C, ...), towards whose means over the batch the
    running ones are moved; without `use_input_stats` with the running ones. (Ulyanov et al., 2016.)

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.instance_norm(ag.tensor([[[1.0, 3.0], [0.0, 8.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    channels = _check_channels("instance_norm", input, 2, **given)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return _with_running(input, running_mean, running_var, weight, bias, eps)
    shape = input.array.shape
    _more_than_one(shape, True)
    out = group_norm(input, channels, weight, bias, eps) if channels else input.clone()
    if running_mean is not None and input.array.size:
        xp, axes, n = backend.beside(input.array), tuple(range(2, len(shape))), math.prod(shape[2:])
        mean = xp.mean(xp.mean(input.array, axis=axes), axis=0)
        var = xp.mean(xp.var(input.array, axis=axes, correction=0), axis=0)
        _follow(running_mean, mean, momentum, "instance_norm")
        _follow(running_var, var, momentum, "instance_norm", n / (n - 1))
    return out


# -- by size -------------------------------------------------------------------------------------------------------------------


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha * mean of the squares of `size` neighbouring channels) ** beta, where channels beyond the ends count as 0.
    (Krizhevsky et al., 2012.)

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.local_response_norm(ag.ones(1, 2, 1), 2, alpha=1.0, beta=1.0)
    tensor([[[0.6667],
             [0.5000]]])
    """
    check_tensors("local_response_norm", input=input)
    ndim = input.array.ndim
    if ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {ndim} dimensions)")
    if not input.array.size:
        return input
    channels, squares = input.array.shape[1], words.square(input)
    total = squares
    for apart in (*range(-(size // 2), 0), *range(1, (size - 1) // 2 + 1)):  # the neighbour so many channels away
        if abs(apart) >= channels:
            continue
        first = (max(apart, 0), channels + min(apart, 0), None)
        part = words.slice(squares, spec=(FULL, first, Ellipsis))
        to = (FULL, (max(-apart, 0), channels - max(apart, 0), None), Ellipsis)
        total = total + words.unslice(part, spec=to, shape=input.array.shape)
    return input / (total * (alpha / size) + k) ** beta


def normalize(
    input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None, *, axis: Any = None
) -> Tensor:
    """x divided by its p-norm along `dim`, a dimension or several or None for all, which counts as `eps` where it is smaller.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.normalize(ag.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    if out is not None:
        raise NotImplementedError("normalize() takes no out=: assign its result")
    check_tensors("normalize", input=input)
    return input / vector_norm(input, p, dim if axis is None else axis, True).clamp(min=eps)
