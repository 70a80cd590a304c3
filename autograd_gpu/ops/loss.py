"""Losses. The fused ones are ops; the others are compositions."""

from __future__ import annotations

import warnings
from math import prod
from typing import Any

from .. import backend
from ..core.graph import words
from ..core.primitive import linear, primitive
from ..core.tensor import Tensor
from .linalg import check_tensors
from .shape import broadcast_shapes

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
]
METHODS: tuple[str, ...] = ()  # those that are methods of Tensor too
IN_PLACE: tuple[str, ...] = ()  # those that have an in-place form, a method and a function with an underscore


# -- classification ----------------------------------------------------------------------------------------------------
#
# Inputs are (N, C) or (N, C, d1, ...), targets (N) or (N, d1, ...) of classes.


def _column(target: Any) -> tuple[int, ...]:
    """The shape of `target` with a dimension for the classes."""
    return (target.shape[0], 1, *target.shape[1:])


def _counting(xp: Any, n: int, like: Any) -> Any:
    """0, 1, ..., n - 1 on the device of `like`."""
    return Tensor(backend.of(like.array.__class__).arange(n)) if xp is words else xp.arange(n)


def _one_hot(xp: Any, target: Any, classes: int, dtype: Any) -> Any:
    """One where the class is the target's, else zero: (N, C, d1, ...)."""
    numbers = xp.reshape(_counting(xp, classes, target), shape=(classes,) + (1,) * (target.ndim - 1))
    return xp.astype(xp.reshape(target, shape=_column(target)) == numbers, dtype=dtype)


def _shares(xp: Any, g: Any, target: Any, ignore_index: int, reduction: str) -> Any:
    """What each row gets of g, the gradient of the reduced loss: (N, 1, d1, ...)."""
    counted = xp.astype(xp.reshape(target, shape=_column(target)) != ignore_index, dtype=g.dtype)
    if reduction == "none":
        return xp.reshape(g, shape=_column(target)) * counted
    return g * counted / xp.sum(counted, axis=tuple(range(counted.ndim))) if reduction == "mean" else g * counted


def _reduced(xp: Any, losses: Any, target: Any, ignore_index: int, reduction: str) -> Any:
    """The losses of the rows that count, reduced."""
    counted = target != ignore_index
    losses = xp.where(counted, losses, xp.zeros_like(losses))
    if reduction == "none":
        return losses
    everything = tuple(range(losses.ndim))
    total = xp.sum(losses, axis=everything)
    return total / xp.sum(xp.astype(counted, dtype=losses.dtype), axis=everything) if reduction == "mean" else total


def _picked(xp: Any, input: Any, target: Any) -> Any:
    """The element of each row at the target's class."""
    hot = _one_hot(xp, target, input.shape[1], bool)
    return xp.sum(xp.where(hot, input, xp.zeros_like(input)), axis=1)


@primitive(
    input=lambda xp, g, input, target, ignore_index, reduction: (
        (xp.softmax(input, axis=1) - _one_hot(xp, target, input.shape[1], input.dtype))
        * _shares(xp, g, target, ignore_index, reduction)
    ),
    residue=True,
)
def _cross_entropy(xp: Any, input: Any, target: Any, *, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """The op behind `cross_entropy`."""
    return _reduced(xp, -_picked(xp, xp.log_softmax(input, axis=1), target), target, ignore_index, reduction)


@linear(
    input=lambda xp, g, input_shape, target, ignore_index, reduction: (
        -_one_hot(xp, target, input_shape[1], g.dtype) * _shares(xp, g, target, ignore_index, reduction)
    )
)
def _nll_loss(xp: Any, input: Any, target: Any, *, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """The op behind `nll_loss`."""
    return _reduced(xp, -_picked(xp, input, target), target, ignore_index, reduction)


_REDUCTIONS = ("none", "mean", "sum")


def _check_reduction(reduction: str) -> None:
    if reduction not in _REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction: use 'none', 'mean' or 'sum'")


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    """Losses of all elements, reduced."""
    _check_reduction(reduction)
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def _check_classes(input: Tensor, target: Tensor, reduction: str) -> None:
    """Raise PyTorch's error if `target` cannot hold the classes of `input`, which has the dimension for them."""
    _check_reduction(reduction)
    shape, classes = input.array.shape, target.array.shape
    if len(shape) < 2:
        raise RuntimeError(f"input should have at least 2 dimensions here, and its shape is {list(shape)}")
    if target.array.dtype.kind not in "iu":
        raise RuntimeError(f"expected scalar type Long but found {target.array.dtype}: targets that are classes are int64")
    if not classes or shape[0] != classes[0]:
        raise ValueError(
            f"Expected input batch_size ({shape[0]}) to match target batch_size ({classes[0] if classes else 1}): the shapes are "
            f"{list(shape)} and {list(classes)}"
        )
    if shape[2:] != classes[1:]:
        raise RuntimeError(f"Expected target size {[shape[0], *shape[2:]]}, got {list(classes)}: the input is {list(shape)}")


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross entropy between logits (C), (N, C) or (N, C, d1, ...) and targets: classes, int64 of the shape without C, or
    probabilities of the same shape and dtype as the input.

    weight            (C) what each class counts; the mean is then over weights
    ignore_index      a class whose rows do not count
    label_smoothing   this part of each target is spread over all classes evenly
    Raises ValueError or RuntimeError for shapes that do not fit, IndexError for a target that is no class.

    >>> import autograd_gpu as ag
    >>> ag.cross_entropy(ag.tensor([[2.0, 0.0], [0.0, 0.0]]), ag.tensor([0, 1]))
    tensor(0.4100)
    """
    try:
        shape, classes = input.array.shape, target.array.shape
        if weight is None and not label_smoothing and len(shape) > 1 and shape[0] == classes[0] and shape[2:] == classes[1:]:
            if target.array.dtype.kind == "i" and reduction in _REDUCTIONS:
                return words.cross_entropy(input, target, ignore_index=ignore_index, reduction=reduction)
    except (AttributeError, IndexError):
        pass  # explained below
    check_tensors("cross_entropy", input=input, target=target)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    axis = 1 if input.ndim > 1 else 0
    if target.shape == input.shape and target.dtype.kind in "fV":
        return _cross_entropy_of_probabilities(input, target, weight, reduction, label_smoothing, axis)
    if input.ndim == 1:
        input, target = input.reshape((1, *input.shape)), target.reshape((1, *target.shape))
        out = cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
        return out.reshape(()) if reduction == "none" else out
    _check_classes(input, target, reduction)
    if weight is None and not label_smoothing:
        return words.cross_entropy(input, target, ignore_index=ignore_index, reduction=reduction)
    log_p = words.log_softmax(input, axis=1)
    loss = nll_loss(log_p, target, weight, ignore_index, reduction)
    if not label_smoothing:
        return loss
    smooth = -(log_p if weight is None else log_p * _along_classes(weight, input)).sum(1)
    smooth = _mean_of_counted(smooth, target, weight, ignore_index, reduction, input.shape[1])
    return loss * (1 - label_smoothing) + smooth * (label_smoothing / input.shape[1])


def _along_classes(weight: Tensor, input: Tensor) -> Tensor:
    if weight.shape != (input.shape[1],):
        raise RuntimeError(
            f"weight tensor should be defined either for all {input.shape[1]} classes or no classes but got weight tensor of "
            f"shape: {list(weight.shape)}"
        )
    return weight.reshape((-1,) + (1,) * (input.ndim - 2))


def _mean_of_counted(
    losses: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, classes: int
) -> Tensor:
    """Losses of rows reduced, rows with the ignored class left out; the mean is over the weights of the targets' classes."""
    counted = target != ignore_index
    losses = words.where(counted, losses, words.zeros_like(losses))
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    counts = words.astype(counted, dtype=losses.dtype)
    return losses.sum() / (counts if weight is None else counts * _weights_of(weight, target, ignore_index)).sum()


def _weights_of(weight: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """The weight of each target's class, 0 for the ignored one."""
    one_hot = _one_hot(words, target, weight.shape[0], weight.dtype)
    weights = (one_hot * weight.reshape((-1,) + (1,) * (target.ndim - 1))).sum(1)
    return words.where(target != ignore_index, weights, words.zeros_like(weights))


def _cross_entropy_of_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float, axis: int
) -> Tensor:
    _check_reduction(reduction)
    classes = input.shape[axis]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / max(classes, 1)
    products = words.log_softmax(input, axis=axis) * target
    if weight is not None:
        products = products * (_along_classes(weight, input) if axis else weight)
    losses = -products.sum(axis)
    if reduction == "mean":
        return losses.mean() if classes else losses.sum() * float("nan")
    return _reduce(losses, reduction)


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """Minus the elements of `input`, log-probabilities (C), (N, C) or (N, C, d1, ...), at the classes `target`.

    Raises ValueError or RuntimeError for shapes that do not fit, IndexError for a target that is no class.

    >>> import autograd_gpu as ag
    >>> ag.nll_loss(ag.tensor([[-1.0, -2.0], [-3.0, -4.0]]), ag.tensor([0, 1]))
    tensor(2.5000)
    """
    check_tensors("nll_loss", input=input, target=target)
    if input.ndim == 1:
        out = nll_loss(input.reshape((1, *input.shape)), target.reshape((1, *target.shape)), weight, ignore_index, reduction)
        return out.reshape(()) if reduction == "none" else out
    _check_classes(input, target, reduction)
    if weight is None:
        return words.nll_loss(input, target, ignore_index=ignore_index, reduction=reduction)
    _along_classes(weight, input)
    losses = words.nll_loss(input, target, ignore_index=ignore_index, reduction="none")
    weights = _weights_of(weight, target, ignore_index)
    if reduction == "none":
        return losses * weights
    total = (losses * weights).sum()
    return total / weights.sum() if reduction == "mean" else total


# -- regression ----------------------------------------------------------------------------------------------------------


def _mse_loss_input(xp: Any, g: Any, input: Any, target: Any, reduction: str) -> Any:
    scale = g * (2 / max(prod(input.shape), 1) if reduction == "mean" else 2)
    return (input - target) * scale


@primitive(
    input=_mse_loss_input,
    target=lambda xp, g, input, target, reduction: _mse_loss_input(xp, g, target, input, reduction),
    promote=True,
)
def _mse_loss(xp: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    """The op behind `mse_loss`, for two of one shape."""
    d = input - target
    everything = tuple(range(d.ndim))
    return d * d if reduction == "none" else getattr(xp, reduction)(d * d, axis=everything)


def _alike(name: str, input: Tensor, target: Tensor, stretch: bool = True) -> tuple[Tensor, Tensor]:
    """Both with one shape, and a warning if they had not."""
    check_tensors(name, input=input, target=target)
    if input.array.shape == target.array.shape:
        return input, target
    if not stretch:
        raise ValueError(
            f"Target size ({list(target.shape)}) must be the same as input size ({list(input.shape)}): reshape one of them"
        )
    warnings.warn(
        f"Using a target size ({list(target.shape)}) that is different to the input size ({list(input.shape)}). This will likely "
        "lead to incorrect results due to broadcasting. Please ensure they have the same size.",
        stacklevel=3,
    )
    shape = broadcast_shapes(input.array.shape, target.array.shape)
    return words.broadcast_to(input, shape=shape), words.broadcast_to(target, shape=shape)


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The squared differences of two tensors of one shape: their mean, their sum, or each.

    >>> import autograd_gpu as ag
    >>> ag.mse_loss(ag.tensor([1.0, 2.0]), ag.tensor([0.0, 0.0]))
    tensor(2.5000)
    """
    input, target = _alike("mse_loss", input, target)
    _check_reduction(reduction)
    return words.mse_loss(input, target, reduction=reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The absolute differences of two tensors of one shape.

    >>> import autograd_gpu as ag
    >>> ag.l1_loss(ag.tensor([1.0, 2.0]), ag.tensor([0.0, 0.0]))
    tensor(1.5000)
    """
    input, target = _alike("l1_loss", input, target)
    return _reduce(words.abs(input - target), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """Squares of differences smaller than `beta`, over 2 * beta, and absolute differences less beta / 2 of larger ones.

    >>> import autograd_gpu as ag
    >>> ag.smooth_l1_loss(ag.tensor([0.5, 2.0]), ag.tensor([0.0, 0.0]), reduction="none")
    tensor([0.1250, 1.5000])
    """
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    input, target = _alike("smooth_l1_loss", input, target)
    if beta == 0:
        return _reduce(words.abs(input - target), reduction)
    d = input - target
    size = words.abs(d)
    return _reduce(words.where(size < beta, d * d * (0.5 / beta), size - 0.5 * beta), reduction)


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """Half the squares of differences up to `delta`, and delta * (absolute difference - delta / 2) of larger ones.

    >>> import autograd_gpu as ag
    >>> ag.huber_loss(ag.tensor([0.5, 4.0]), ag.tensor([0.0, 0.0]), reduction="none", delta=2.0)
    tensor([0.1250, 6.0000])
    """
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    input, target = _alike("huber_loss", input, target)
    d = input - target
    size = words.abs(d)
    return _reduce(words.where(size <= delta, d * d * 0.5, size * delta - 0.5 * delta * delta), reduction)


def binary_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean") -> Tensor:
    """The cross entropy of probabilities and targets, both between 0 and 1. Logarithms are taken as -100 at the least.

    >>> import autograd_gpu as ag
    >>> ag.binary_cross_entropy(ag.tensor([0.5, 0.9]), ag.tensor([0.0, 1.0]), reduction="none")
    tensor([0.6931, 0.1054])
    """
    input, target = _alike("binary_cross_entropy", input, target, stretch=False)
    losses = -(target * input.log().clamp(min=-100) + (1 - target) * (-input).log1p().clamp(min=-100))
    return _reduce(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean", pos_weight: Tensor | None = None
) -> Tensor:
    """The cross entropy of sigmoid(input) and targets between 0 and 1, exact for large logits too. `pos_weight` weighs the
    part of the targets.

    >>> import autograd_gpu as ag
    >>> ag.binary_cross_entropy_with_logits(ag.tensor([0.0, 2.0]), ag.tensor([0.0, 1.0]), reduction="none")
    tensor([0.6931, 0.1269])
    """
    input, target = _alike("binary_cross_entropy_with_logits", input, target, stretch=False)
    softplus = words.logaddexp(-input, words.zeros_like(input))  # -log(sigmoid(input))
    if pos_weight is None:
        losses = (1 - target) * input + softplus
    else:
        losses = (1 - target) * input + ((pos_weight - 1) * target + 1) * softplus
    return _reduce(losses if weight is None else losses * weight, reduction)


def kl_div(input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """target * (log(target) - input), for log-probabilities `input` and probabilities `target`, or their logarithms
    (log_target). "batchmean" divides the sum by the size of the first dimension.

    >>> import autograd_gpu as ag
    >>> ag.kl_div(ag.tensor([-0.6931, -0.6931]), ag.tensor([0.5, 0.5]), reduction="sum").item() < 1e-4
    True
    """
    check_tensors("kl_div", input=input, target=target)
    losses = words.exp(target) * (target - input) if log_target else words.xlogy(target, target) - target * input
    if reduction == "batchmean":
        return losses.sum() / (losses.shape[0] if losses.ndim else 1)
    return _reduce(losses, reduction)
