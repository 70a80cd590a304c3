"""What losses share: how the losses of all elements are reduced, and checks of what they are given."""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import Any

from ..core.graph import ours, words
from ..core.tensor import Tensor
from .linalg import check_tensors
from .shape import broadcast_shapes

REDUCTIONS = ("none", "mean", "sum")


def warn(message: str) -> None:
    """Warn of the line that called this package."""
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and ours[frame.f_code.co_filename]:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that the deprecated flags `size_average` and `reduce` ask for, with a warning, or `reduction` without them.

    Raises ValueError for another than "none", "mean" and "sum"."""
    if size_average is not None or reduce is not None:
        reduction = "none" if reduce is not None and not reduce else "mean" if size_average in (None, True) else "sum"
        warn(f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.")
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction: use 'none', 'mean' or 'sum'")
    return reduction


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """Losses of all elements: their mean, their sum, or as they are."""
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def weighed(losses: Tensor, weight: Tensor, input: Tensor, reduction: str, over_weights: bool = True) -> Tensor:
    """Losses times a weight for each element, reduced; the mean is over weights, or over elements."""
    if weight.array.shape != input.array.shape:
        raise ValueError(
            f"Weights and input must have the same size: they have the shapes {list(weight.shape)} and {list(input.shape)}"
        )
    losses = losses * weight
    return losses.sum() / weight.sum() if reduction == "mean" and over_weights else reduced(losses, reduction)


def alike(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both with one shape, and a warning if they had not."""
    check_tensors(name, input=input, target=target)
    if input.array.shape == target.array.shape:
        return input, target
    warn(
        f"Using a target size ({list(target.shape)}) that is different to the input size ({list(input.shape)}). This will likely "
        "lead to incorrect results due to broadcasting. Please ensure they have the same size."
    )
    shape = broadcast_shapes(input.array.shape, target.array.shape)
    return words.broadcast_to(input, shape=shape), words.broadcast_to(target, shape=shape)


def check_classes(target: Tensor) -> None:
    """Raise RuntimeError unless the elements of `target` can be numbers of classes."""
    kind: Any = target.array.dtype.kind
    if kind not in "iu":
        raise RuntimeError(f"expected scalar type Long but found {target.dtype}: targets that are classes are int64")
