"""Losses of classes: cross entropy, and the negative log-likelihood. The fused ones are ops; the others are compositions."""

from __future__ import annotations

from typing import Any

from .. import backend
from ..core.graph import words
from ..core.primitive import linear, primitive
from ..core.tensor import Tensor
from .linalg import check_tensors
from .reducing import REDUCTIONS, check_classes, reduced, reduction_of

__all__ = ["cross_entropy", "nll_loss"]
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
    return Tensor(backend.beside(like.array).arange(n)) if xp is words else xp.arange(n)


def _one_hot(xp: Any, target: Any, classes: int, dtype: Any) -> Any:
    """One where the class is the target's, else zero: (N, C, d1, ...)."""
    numbers = xp.reshape(_counting(xp, classes, target), shape=(classes,) + (1,) * (target.ndim - 1))
    return xp.astype(xp.reshape(target, shape=_column(target)) == numbers, dtype=dtype)


def _shares(xp: Any, g: Any, target: Any, ignore_index: int, reduction: str) -> Any:
    """What each row gets of g, the gradient of the reduced loss: (N, 1, d1, ...)."""
    counted = xp.astype(xp.reshape(target, shape=_column(target)) != ignore_index, dtype=g.dtype)
    if reduction == "none":
        return xp.reshape(g, shape=_column(target)) * counted
    if reduction == "mean":
        return g * counted / xp.clamp(xp.sum(counted, axis=tuple(range(counted.ndim))), min=1)
    return g * counted


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
    """The element of each row at the target's class; NaN where it is no class: raising an error would have to wait for a GPU."""
    classes = input.shape[1]
    hot = _one_hot(xp, target, classes, bool)
    picked = xp.sum(xp.where(hot, input, xp.zeros_like(input)), axis=1)
    return xp.where((target >= 0) & (target < classes), picked, xp.full(picked.shape, float("nan"), picked.dtype))


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


def _smoothed_cross_entropy_input(
    xp: Any, g: Any, input: Any, target: Any, ignore_index: int, reduction: str, label_smoothing: float
) -> Any:
    classes = input.shape[1]
    wanted = _one_hot(xp, target, classes, input.dtype) * (1 - label_smoothing) + label_smoothing / classes
    return (xp.softmax(input, axis=1) - wanted) * _shares(xp, g, target, ignore_index, reduction)


@primitive(input=_smoothed_cross_entropy_input)
def _smoothed_cross_entropy(
    xp: Any, input: Any, target: Any, *, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float
) -> Any:
    """The op behind `cross_entropy` with label smoothing."""
    log_p = xp.log_softmax(input, axis=1)
    own, all_of_them = xp.asarray(1 - label_smoothing, input.dtype), xp.asarray(label_smoothing / input.shape[1], input.dtype)
    losses = -(_picked(xp, log_p, target) * own + xp.sum(log_p, axis=1) * all_of_them)
    return _reduced(xp, losses, target, ignore_index, reduction)


@linear(
    input=lambda xp, g, input_shape, target, ignore_index, reduction: (
        -_one_hot(xp, target, input_shape[1], g.dtype) * _shares(xp, g, target, ignore_index, reduction)
    )
)
def _nll_loss(xp: Any, input: Any, target: Any, *, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """The op behind `nll_loss`."""
    return _reduced(xp, -_picked(xp, input, target), target, ignore_index, reduction)


def _check_classes(input: Tensor, target: Tensor) -> None:
    """Raise PyTorch's error if `target` cannot hold the classes of `input`, which has the dimension for them."""
    shape, classes = input.array.shape, target.array.shape
    if len(shape) < 2:
        raise RuntimeError(f"input should have at least 2 dimensions here, and its shape is {list(shape)}")
    if not classes or shape[0] != classes[0]:
        raise ValueError(
            f"Expected input batch_size ({shape[0]}) to match target batch_size ({classes[0] if classes else 1}): the shapes are "
            f"{list(shape)} and {list(classes)}"
        )
    if len(shape) == 2 < len(classes) + 1:
        raise RuntimeError(
            f"0D or 1D target tensor expected, multi-target not supported: the shapes are {list(shape)} and {list(classes)}"
        )
    if shape[2:] != classes[1:]:
        raise RuntimeError(f"Expected target size {[shape[0], *shape[2:]]}, got {list(classes)}: the input is {list(shape)}")
    check_classes(target)


def _one_row(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """An input (C) and its class, a number or a vector of one, as a batch of one."""
    shape = target.array.shape
    if len(shape) == 1 and shape != (1,):
        raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {shape[0]}")
    return input.reshape((1, *input.shape)), target if shape else target.reshape((1,))


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
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
    if size_average is not None or reduce is not None:
        reduction = reduction_of(size_average, reduce, reduction)
    try:
        rows, classes = input.array, target.array
        if weight is None and not label_smoothing and rows.ndim == 2 and classes.ndim == 1 and len(rows) == len(classes):
            if classes.dtype.kind == "i" and reduction in REDUCTIONS:
                return words.cross_entropy(input, target, ignore_index=ignore_index, reduction=reduction)
    except AttributeError:
        pass  # explained below
    reduction = reduction_of(None, None, reduction)
    check_tensors("cross_entropy", input=input, target=target)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if target.shape == input.shape and target.dtype.kind in "fV":
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        return _cross_entropy_of_probabilities(input, target, weight, reduction, label_smoothing)
    if input.ndim == 1:
        input, target = _one_row(input, target)
        out = cross_entropy(input, target, weight, None, ignore_index, None, reduction, label_smoothing)
        return out.reshape(()) if reduction == "none" else out
    _check_classes(input, target)
    if weight is None:
        options = {"ignore_index": ignore_index, "reduction": reduction}
        if label_smoothing and input.array.shape[1]:
            return words.smoothed_cross_entropy(input, target, label_smoothing=label_smoothing, **options)
        return words.cross_entropy(input, target, **options)
    log_p = words.log_softmax(input, axis=(1,))
    loss = nll_loss(log_p, target, weight, None, ignore_index, None, reduction)
    if not label_smoothing:
        return loss
    smooth = -(log_p * _along_classes(weight, input)).sum(1)
    smooth = _mean_of_counted(smooth, target, weight, ignore_index, reduction)
    return loss * (1 - label_smoothing) + smooth * (label_smoothing / input.shape[1])


def _along_classes(weight: Tensor, input: Tensor) -> Tensor:
    """`weight` in a shape that broadcasts against `input`."""
    axis = 1 if input.ndim > 1 else 0
    if weight.shape != (input.shape[axis],):
        raise RuntimeError(
            f"weight tensor should be defined either for all {input.shape[axis]} classes or no classes but got weight tensor of "
            f"shape: {list(weight.shape)}"
        )
    return weight.reshape((-1,) + (1,) * (input.ndim - axis - 1))


def _mean_of_counted(losses: Tensor, target: Tensor, weight: Tensor, ignore_index: int, reduction: str) -> Tensor:
    """Losses of rows reduced, rows with the ignored class left out; the mean is over the weights of the targets' classes."""
    losses = words.where(target != ignore_index, losses, words.zeros_like(losses))
    return _mean(losses, _weights_of(weight, target, ignore_index)) if reduction == "mean" else reduced(losses, reduction)


def _mean(losses: Tensor, counts: Tensor) -> Tensor:
    """The sum of losses over that of counts. Where nothing counts, the mean is NaN, and the gradient zero as PyTorch's."""
    count = counts.sum()
    none = count == 0
    mean = losses.sum() / words.where(none, words.ones_like(count), count)
    return words.where(none, count.detach() * float("nan"), mean)


def _weights_of(weight: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """The weight of each target's class, 0 for the ignored one."""
    counted = target != ignore_index
    weights = words.index(weight, words.where(counted, target, words.zeros_like(target)), axes=(0,))
    return words.where(counted, weights, words.zeros_like(weights))


def _cross_entropy_of_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    axis = 1 if input.ndim > 1 else 0
    classes = input.shape[axis]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / max(classes, 1)
    products = words.log_softmax(input, axis=(axis,)) * target
    if weight is not None:
        products = products * _along_classes(weight, input)
    losses = -products.sum(axis)
    if reduction == "mean" and not classes:
        return losses.sum() * float("nan")
    return reduced(losses, reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the elements of `input`, log-probabilities (C), (N, C) or (N, C, d1, ...), at the classes `target`.

    weight         (C) what each class counts; the mean is then over weights
    ignore_index   a class whose rows do not count
    Raises ValueError or RuntimeError for shapes that do not fit, IndexError for a target that is no class.

    >>> import autograd_gpu as ag
    >>> ag.nll_loss(ag.tensor([[-1.0, -2.0], [-3.0, -4.0]]), ag.tensor([0, 1]))
    tensor(2.5000)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("nll_loss", input=input, target=target)
    if input.ndim == 1:
        input, target = _one_row(input, target)
        out = nll_loss(input, target, weight, None, ignore_index, None, reduction)
        return out.reshape(()) if reduction == "none" else out
    _check_classes(input, target)
    if weight is None:
        return words.nll_loss(input, target, ignore_index=ignore_index, reduction=reduction)
    _along_classes(weight, input)
    losses = words.nll_loss(input, target, ignore_index=ignore_index, reduction="none")
    weights = _weights_of(weight, target, ignore_index)
    losses = losses * weights
    return _mean(losses, weights) if reduction == "mean" else reduced(losses, reduction)
