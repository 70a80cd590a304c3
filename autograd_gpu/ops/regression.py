"""Losses of elements: of numbers that should be near a target, and of probabilities of single events."""

from __future__ import annotations

import math
from math import prod
from typing import Any

from ..core.graph import words
from ..core.primitive import elementwise, primitive
from ..core.tensor import Tensor
from .linalg import check_tensors
from .reducing import alike, reduced, reduction_of, warn, weighed

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "gaussian_nll_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
]
METHODS: tuple[str, ...] = ()  # those that are methods of Tensor too
IN_PLACE: tuple[str, ...] = ()  # those that have an in-place form, a method and a function with an underscore


def _only_floats(name: str, x: Any) -> None:
    if x.dtype.kind in "iub":
        raise NotImplementedError(f'"{name}" not implemented for {x.dtype}: convert it, as in x.float()')


# -- distances to a target -----------------------------------------------------------------------------------------------


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
    _only_floats("mse_loss", input)
    d = input - target
    everything = tuple(range(d.ndim))
    return d * d if reduction == "none" else getattr(xp, reduction)(d * d, axis=everything)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The squared differences of two tensors of one shape: their mean, their sum, or each. With a `weight` for each element the
    mean is over weights.

    >>> import autograd_gpu as ag
    >>> ag.mse_loss(ag.tensor([1.0, 2.0]), ag.tensor([0.0, 0.0]))
    tensor(2.5000)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    given = input
    input, target = alike("mse_loss", input, target)
    if weight is not None:
        return weighed(words.mse_loss(input, target, reduction="none"), weight, given, reduction)
    return words.mse_loss(input, target, reduction=reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The absolute differences of two tensors of one shape: their mean, their sum, or each. With a `weight` for each element
    the mean is over weights.

    >>> import autograd_gpu as ag
    >>> ag.l1_loss(ag.tensor([1.0, 2.0]), ag.tensor([0.0, 0.0]))
    tensor(1.5000)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    given = input
    input, target = alike("l1_loss", input, target)
    losses = words.abs(words.sub(input, target))
    return reduced(losses, reduction) if weight is None else weighed(losses, weight, given, reduction)


@elementwise(lambda xp, g, x, delta: g * xp.clamp(x, min=-delta, max=delta))
def _huber(xp: Any, x: Any, *, delta: float) -> Any:
    """x^2 / 2 up to delta, and delta (|x| - delta / 2) above."""
    _only_floats("huber_loss", x)
    near = xp.clamp(x, min=-delta, max=delta)
    out = near * xp.asarray(-0.5, x.dtype)
    out += x
    out *= near
    return out


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Squares of differences smaller than `beta`, over 2 * beta, and absolute differences less beta / 2 of larger ones.

    >>> import autograd_gpu as ag
    >>> ag.smooth_l1_loss(ag.tensor([0.5, 2.0]), ag.tensor([0.0, 0.0]), reduction="none")
    tensor([0.1250, 1.5000])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    input, target = alike("smooth_l1_loss", input, target)
    d = words.sub(input, target)
    if beta == 0:
        return reduced(words.abs(d), reduction)
    losses = words.huber(d, delta=beta)
    return reduced(losses if beta == 1 else losses / beta, reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Half the squares of differences up to `delta`, and delta * (absolute difference - delta / 2) of larger ones, times a
    `weight` for each element if there is one.

    >>> import autograd_gpu as ag
    >>> ag.huber_loss(ag.tensor([0.5, 4.0]), ag.tensor([0.0, 0.0]), reduction="none", delta=2.0)
    tensor([0.1250, 6.0000])
    """
    reduction = reduction_of(None, None, reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    given = input
    input, target = alike("huber_loss", input, target)
    losses = words.huber(words.sub(input, target), delta=delta)
    return reduced(losses, reduction) if weight is None else weighed(losses, weight, given, reduction, over_weights=False)


# -- likelihoods ---------------------------------------------------------------------------------------------------------


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the logarithm of the probability of the counts `target` for a Poisson distribution with the expectation
    exp(input), or `input` itself (log_input=False), without the term that depends on the target alone. `full` adds that by
    Stirling's formula, for targets above 1.

    >>> import autograd_gpu as ag
    >>> ag.poisson_nll_loss(ag.tensor([0.0, 1.0]), ag.tensor([1.0, 2.0]), reduction="none")
    tensor([1.0000, 0.7183])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("poisson_nll_loss", input=input, target=target)
    losses = words.exp(input) - target * input if log_input else input - target * words.log(input + eps)
    if full:
        stirling = words.xlogy(target, target) - target + words.log(target * (2 * math.pi)) * 0.5
        losses = losses + words.where(target > 1, stirling, words.zeros_like(stirling))
    return reduced(losses, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """Minus the logarithm of the density of `target` for normal distributions with the means `input` and the variances `var`:
    of the shape of `input`, or with 1 for its last dimension or without it. `full` adds the constant log(2 pi) / 2.

    Variances are taken as `eps` at the least, which the gradient does not know. Raises ValueError for negative ones and for
    other shapes.

    >>> import autograd_gpu as ag
    >>> ag.gaussian_nll_loss(ag.tensor([0.0, 1.0]), ag.tensor([1.0, 1.0]), ag.tensor([1.0, 4.0]), reduction="none")
    tensor([0.5000, 0.6931])
    """
    check_tensors("gaussian_nll_loss", input=input, target=target)
    if isinstance(var, Tensor):
        negative = words.lt(var, 0).any().item()
    elif isinstance(var, (int, float)):
        negative = var < 0
        var = words.ones_like(input) * var
    else:
        raise TypeError(f"gaussian_nll_loss(): argument 'var' (position 3) must be Tensor or float, not {type(var).__name__}")
    if negative:
        raise ValueError("var has negative entry/entries")
    shape, given = input.array.shape, var.array.shape
    if given != shape:
        if given == shape[:-1]:
            var = words.reshape(var, shape=(*given, 1))
        elif len(given) != len(shape) or sum(n for m, n in zip(shape, given, strict=True) if m != n) != 1:
            raise ValueError(f"var is of incorrect size: {list(given)}, where the input has {list(shape)}")
    reduction = reduction_of(None, None, reduction)
    var = var + (words.clamp(var, min=eps) - var).detach()
    d = input - target
    losses = (words.log(var) + d * d / var) * 0.5
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input), for log-probabilities `input` and probabilities `target`, or their logarithms
    (log_target). "batchmean" divides the sum by the size of the first dimension, which is what the divergence means; "mean"
    divides by the number of elements, and warns.

    >>> import autograd_gpu as ag
    >>> ag.kl_div(ag.tensor([-0.6931, -0.6931]), ag.tensor([0.5, 0.5]), reduction="sum").item() < 1e-4
    True
    """
    batches = reduction == "batchmean" and size_average is None and reduce is None
    if reduction == "mean" and size_average is None and reduce is None:
        warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides only by "
            "the batch size, and aligns with the KL div math definition. 'mean' will be changed to behave the same as "
            "'batchmean' in the next major release."
        )
    reduction = "sum" if batches else reduction_of(size_average, reduce, reduction)
    check_tensors("kl_div", input=input, target=target)
    losses = words.exp(target) * (target - input) if log_target else words.xlogy(target, target) - target * input
    losses = reduced(losses, reduction)
    return losses / input.array.shape[0] if batches and input.ndim else losses


# -- probabilities of single events ----------------------------------------------------------------------------------------


def _binary_cross_entropy_input(xp: Any, g: Any, input: Any, target: Any) -> Any:
    return g * (input - target) / xp.clamp(input - input * input, min=1e-12)


@elementwise(
    input=_binary_cross_entropy_input,
    target=lambda xp, g, input: g * (xp.clamp(xp.log1p(-input), min=-100) - xp.clamp(xp.log(input), min=-100)),
)
def _binary_cross_entropy(xp: Any, input: Any, target: Any) -> Any:
    """The op behind `binary_cross_entropy`."""
    yes, no = xp.clamp(xp.log(input), min=-100), xp.clamp(xp.log1p(-input), min=-100)
    return target * (no - yes) - no


@elementwise(
    input=lambda xp, g, input, target: g * (xp.sigmoid(input) - target),
    target=lambda xp, g, input: -(g * input),
)
def _binary_cross_entropy_with_logits(xp: Any, input: Any, target: Any) -> Any:
    """The op behind `binary_cross_entropy_with_logits`: -log(sigmoid(x)) is softplus(-x)."""
    out = xp.softplus(-input, threshold=100.0)
    out += (1 - target) * input
    return out


def _check_target(input: Tensor, target: Tensor) -> None:
    """Raise PyTorch's errors for targets of other shapes, and for integers."""
    if target.array.shape != input.array.shape:
        raise ValueError(
            f"Target size ({list(target.shape)}) must be the same as input size ({list(input.shape)}): reshape one of them"
        )
    if target.array.dtype.kind in "iub":
        raise RuntimeError(f"Found dtype {target.dtype} but expected {input.dtype}: convert it, as in target.float()")


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The cross entropy of probabilities and targets, both between 0 and 1. Logarithms are taken as -100 at the least.

    weight   what each element counts, in a shape that broadcasts
    Raises ValueError for shapes that differ, RuntimeError for inputs that are not between 0 and 1 (on the CPU) and for integers.

    >>> import autograd_gpu as ag
    >>> ag.binary_cross_entropy(ag.tensor([0.5, 0.9]), ag.tensor([0.0, 1.0]), reduction="none")
    tensor([0.6931, 0.1054])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("binary_cross_entropy", input=input, target=target)
    _check_target(input, target)
    losses = words.binary_cross_entropy(input, target)
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """The cross entropy of sigmoid(input) and targets between 0 and 1, exact for large logits too.

    weight      what each element counts, in a shape that broadcasts
    pos_weight  weighs the part of the targets, in a shape that broadcasts: above 1 for more recall, below for more precision
    Raises ValueError for shapes that differ, RuntimeError for targets that are integers.

    >>> import autograd_gpu as ag
    >>> ag.binary_cross_entropy_with_logits(ag.tensor([0.0, 2.0]), ag.tensor([0.0, 1.0]), reduction="none")
    tensor([0.6931, 0.1269])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("binary_cross_entropy_with_logits", input=input, target=target)
    _check_target(input, target)
    if pos_weight is None:
        losses = words.binary_cross_entropy_with_logits(input, target)
    else:
        factor = (pos_weight - 1) * target + 1
        losses = (1 - target) * input - factor * words.logsigmoid(input)
    return reduced(losses if weight is None else losses * weight, reduction)
