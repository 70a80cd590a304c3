"""Losses with a margin: of pairs and triplets of vectors, and of scores of classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.graph import words
from ..core.tensor import Tensor
from .distance import pairwise_distance
from .linalg import check_tensors
from .loss import _counting
from .reducing import check_classes, reduced, reduction_of
from .shape import broadcast_shapes

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


def _where(condition: Any, x: Tensor) -> Tensor:
    """x where the condition holds, else 0."""
    return words.where(condition, x, words.zeros_like(x))


# -- pairs and triplets --------------------------------------------------------------------------------------------------


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos for pairs (N, D) of vectors that should be alike, target (N) 1; max(0, cos - margin) for those that should not,
    target -1. One pair (D) has a target without dimensions.

    >>> import autograd_gpu as ag
    >>> a, b = ag.tensor([[1.0, 0.0], [1.0, 0.0]]), ag.tensor([[0.0, 1.0], [1.0, 0.0]])
    >>> ag.cosine_embedding_loss(a, b, ag.tensor([1, -1]), margin=0.5, reduction="none")
    tensor([1.0000, 0.5000])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("cosine_embedding_loss", input1=input1, input2=input2, target=target)
    if target.ndim > 1:
        raise RuntimeError(f"0D or 1D target tensor expected, multi-target not supported: it has the shape {list(target.shape)}")
    if input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    last = (target.ndim,)
    squares1, squares2 = (words.add(words.sum(x * x, axis=last), 1e-12) for x in (input1, input2))
    cos = words.sum(input1 * input2, axis=last) / words.sqrt(squares1 * squares2)
    alike, other = words.sub(1, cos), words.clamp(cos - margin, min=0)
    return reduced(_where(target == 1, alike) + _where(target == -1, other), reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin - target * (input1 - input2)): for target 1 the first should be larger by `margin`, for -1 the second.

    >>> import autograd_gpu as ag
    >>> ag.margin_ranking_loss(ag.tensor([1.0, 2.0]), ag.tensor([3.0, 0.0]), ag.tensor([1, 1]), reduction="none")
    tensor([2., 0.])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("margin_ranking_loss", input1=input1, input2=input2, target=target)
    if input1.ndim != input2.ndim or input1.ndim != target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"{list(input1.shape)}, input2: {list(input2.shape)}, target: {list(target.shape)} "
        )
    return reduced(words.clamp(words.add(-target * (input1 - input2), margin), min=0), reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The distances `input` for target 1, max(0, margin - input) for target -1.

    >>> import autograd_gpu as ag
    >>> ag.hinge_embedding_loss(ag.tensor([0.25, 0.25]), ag.tensor([1, -1]), reduction="none")
    tensor([0.2500, 0.7500])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("hinge_embedding_loss", input=input, target=target)
    far = words.clamp(words.sub(margin, input), min=0)
    return reduced(_where(target != 1, far) + _where(target != -1, input), reduction)


def _check_triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: anchor "
            f"{anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + d(anchor, positive) - d(anchor, negative)) for the p-norm distances d of vectors (N, D) or (D). `swap`
    takes d(positive, negative) where that is smaller than d(anchor, negative).

    >>> import autograd_gpu as ag
    >>> ag.triplet_margin_loss(ag.tensor([[0.0, 0.0]]), ag.tensor([[0.0, 1.0]]), ag.tensor([[1.5, 0.0]]))
    tensor(0.5000)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("triplet_margin_loss", anchor=anchor, positive=positive, negative=negative)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """As `triplet_margin_loss`, for any function that gives the distances of pairs.

    >>> import autograd_gpu as ag
    >>> a, p, n = ag.tensor([[0.0, 0.0]]), ag.tensor([[0.0, 1.0]]), ag.tensor([[1.5, 0.0]])
    >>> ag.triplet_margin_with_distance_loss(a, p, n, distance_function=lambda x, y: (x - y).abs().sum(1))
    tensor(0.5000)
    """
    reduction = reduction_of(None, None, reduction)
    check_tensors("triplet_margin_with_distance_loss", anchor=anchor, positive=positive, negative=negative)
    return _triplet(anchor, positive, negative, distance_function or pairwise_distance, margin, swap, reduction)


def _triplet(
    anchor: Tensor, positive: Tensor, negative: Tensor, distance: Callable, margin: float, swap: bool, reduction: str
) -> Tensor:
    _check_triplet(anchor, positive, negative, margin)
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = words.minimum(far, distance(positive, negative))
    return reduced(words.clamp(words.add(near, margin) - far, min=0), reduction)


# -- scores of classes ---------------------------------------------------------------------------------------------------


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target * input)) for targets 1 and -1, without overflow.

    >>> import autograd_gpu as ag
    >>> ag.soft_margin_loss(ag.tensor([0.0, 2.0]), ag.tensor([1.0, -1.0]), reduction="none")
    tensor([0.6931, 2.1269])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("soft_margin_loss", input=input, target=target)
    shape = input.array.shape
    if target.array.shape != shape and tuple(broadcast_shapes(target.array.shape, shape)) != shape:
        raise RuntimeError(f"the target does not broadcast to the input: the shapes are {list(target.shape)} and {list(shape)}")
    return reduced(words.neg(words.logsigmoid(target * input)), reduction)


def _in_rows(name: str, input: Tensor) -> Tensor:
    """The scores of one sample (C) or of several (N, C) as (N, C)."""
    shape = input.array.shape
    if len(shape) > 2 or 0 in shape[-1:]:
        raise RuntimeError(f"{name}: Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(shape)}")
    return input if len(shape) == 2 else words.reshape(input, shape=(1, -1))


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes of max(0, margin - input[target] + input[i]) ** p for the scores of all others i: input (C) or
    (N, C), target a class each, p 1 or 2.

    weight   (C) what each class counts
    Raises RuntimeError for shapes that do not fit and for a target that is no class (on the CPU).

    >>> import autograd_gpu as ag
    >>> ag.multi_margin_loss(ag.tensor([[0.5, 1.0, 0.0]]), ag.tensor([1]))
    tensor(0.1667)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("multi_margin_loss", input=input, target=target)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    rows = _in_rows("multi_margin_loss", input)
    n, classes = rows.array.shape
    if target.ndim > 1 or target.array.size != n:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). "
            f"Expected target size [{n}], but got {list(target.shape)}. Input has shape {list(input.shape)}."
        )
    check_classes(target)
    if weight is not None and weight.array.shape != (classes,):
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    of_row = words.reshape(target, shape=(n,))
    losses = words.relu(words.add(rows - _taken(rows, words.reshape(target, shape=(n, 1)), "target out of range"), margin))
    if p == 2:
        losses = losses * losses
    own = words.reshape(of_row, shape=(n, 1)) == _counting(words, classes, of_row)
    losses = words.where(own, words.zeros_like(losses), losses)
    if weight is not None:
        losses = losses * _taken(words.reshape(weight, shape=(1, classes)), of_row.reshape((1, n)), "").reshape((n, 1))
    losses = words.sum(losses, axis=(1,)) / classes
    return (
        words.reshape(losses, shape=target.array.shape if input.ndim < 2 else (n,))
        if reduction == "none"
        else (reduced(losses, reduction))
    )


def _taken(x: Tensor, places: Tensor, message: str) -> Tensor:
    """Elements of each row at `places`. Raises RuntimeError with a message for places that do not exist."""
    try:
        return words.take_along(x, places, axis=1)
    except (IndexError, RuntimeError):
        raise RuntimeError(f"{message}: the classes are 0 to {x.array.shape[1] - 1}") from None


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The sum of max(0, 1 - input[t] + input[i]) over the classes t of a sample and all others i, divided by the number of
    classes. The classes of a sample are the numbers in its row of `target`, of the shape of `input`, up to the first -1.

    Raises RuntimeError for shapes that do not fit and for a target that is no class (on the CPU).

    >>> import autograd_gpu as ag
    >>> ag.multilabel_margin_loss(ag.tensor([[0.1, 0.2, 0.4, 0.8]]), ag.tensor([[3, 0, -1, 1]]))
    tensor(0.8500)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("multilabel_margin_loss", input=input, target=target)
    rows = _in_rows("multilabel_margin_loss", input)
    if target.array.shape != input.array.shape:
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")
    check_classes(target)
    n, classes = rows.array.shape
    target = words.reshape(target, shape=(n, classes))
    counted = words.cumprod(words.astype(target >= 0, dtype=rows.dtype), axis=1)  # 1 up to the first -1
    target = words.where(counted > 0, target, words.zeros_like(target))
    scores = _taken(rows, target, "argument #2 'target' is out of range")
    numbers = _counting(words, classes, target)
    same = (words.reshape(target, shape=(n, classes, 1)) == numbers) & (words.reshape(counted, shape=(n, classes, 1)) > 0)
    others = words.logical_not(words.any(same, axis=(1,)))
    losses = words.relu(words.sub(1, words.reshape(scores, shape=(n, classes, 1)) - words.reshape(rows, shape=(n, 1, classes))))
    pairs = words.reshape(counted, shape=(n, classes, 1)) * words.reshape(others, shape=(n, 1, classes))
    losses = words.sum(losses * pairs, axis=(1, 2)) / classes
    return words.reshape(losses, shape=input.array.shape[:-1]) if reduction == "none" else reduced(losses, reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`binary_cross_entropy_with_logits`, its mean over the last dimension taken first.

    weight   what each class counts, in a shape that broadcasts

    >>> import autograd_gpu as ag
    >>> ag.multilabel_soft_margin_loss(ag.tensor([[0.0, 2.0]]), ag.tensor([[0.0, 1.0]]))
    tensor(0.4100)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("multilabel_soft_margin_loss", input=input, target=target)
    losses = words.neg(target * words.logsigmoid(input) + (1 - target) * words.logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    last = input.ndim - 1
    return reduced(losses.sum(last) / input.shape[last], reduction)
