"""Dropout: elements, or whole channels, set to 0 at random, and the rest scaled so that the mean stays.

What is dropped is a function of a seed and an offset, so the op keeps these two; the CPU's backward also has a bit for each
element, because drawing again costs more. (Srivastava et al., "Dropout: a simple way to prevent neural networks from
overfitting", JMLR 2014.)
"""

from __future__ import annotations

import warnings
from typing import Any

from .. import backend
from ..backend.promotion import category, int64
from ..core.graph import let_go, words
from ..core.inplace import in_place
from ..core.primitive import primitive
from ..core.tensor import Tensor
from .generator import default_generator
from .linalg import check_tensors

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()

_SATURATION = -1.7580993408473766  # what selu tends to for small x


@primitive(lambda xp, g, p, seed, offset: xp.dropout(g, p=p, seed=seed, offset=offset), jvp="symmetric", residue=True)
def _dropout(xp: Any, x: Any, *, p: float, seed: int, offset: int) -> Any:
    """The op behind `dropout`: its own rule, for what is dropped is the same again."""
    ...


def _check(name: str, input: Tensor, p: float) -> None:
    check_tensors(name, input=input)
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _check_scales(input: Tensor) -> None:
    if category(input.array.dtype) < 2:
        raise RuntimeError(f"result type Float can't be cast to the desired output type {input.dtype}: dropout scales its input")


def _dropped(input: Tensor, p: float) -> Tensor:
    if p == 1.0:
        return input * 0.0
    let_go(input)
    seed, offset = default_generator.take((input.array.size + 3) // 4, int64)
    return words.dropout(input, p=p, seed=seed, offset=offset)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training each element is 0 with probability p, else divided by 1 - p.

    Raises ValueError for a p that is no probability.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.dropout(ag.ones(3), 0.0)
    tensor([1., 1., 1.])
    >>> ag.nn.functional.dropout(ag.ones(3), 0.9, training=False)
    tensor([1., 1., 1.])
    """
    _check("dropout", input, p)
    if not training or not p or not input.array.size:
        return input
    _check_scales(input)
    return in_place(_dropped, "dropout_")(input, p) if inplace else _dropped(input, p)


def _features(input: Tensor, p: float) -> Tensor:
    """For each channel of each sample (N, C, ...) 1 / (1 - p), or 0 with probability p, with the dimensions of input."""
    shape = input.array.shape
    shape = shape[:2] + (1,) * (len(shape) - 2)
    xp = backend.beside(input.array)
    return _dropped(Tensor(xp.ones(shape, input.array.dtype)), p)


def _drop_features(input: Tensor, p: float) -> Tensor:
    return input * _features(input, p)


def _of_channels(name: str, input: Tensor, p: float, training: bool, inplace: bool, dims: tuple[int, ...], batch: int) -> Tensor:
    """Dropout of whole channels. `batch` is the number of dimensions of an input with a batch."""
    _check(name, input, p)
    ndim = input.array.ndim
    if ndim not in dims:
        message = f"{name}: Received a {ndim}-D input to {name}, which is not recommended"
        if name == "dropout1d":
            raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {ndim}D input: {list(input.array.shape)}")
        warnings.warn(f"{message}: it takes {' or '.join(map(str, dims))} dimensions.", stacklevel=3)
    if not training or not p or not input.array.size:
        return input
    if ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    _check_scales(input)

    def apply(x: Tensor) -> Tensor:
        if ndim == batch - 1 and name != "dropout2d":  # (C, ...)
            return words.reshape(_drop_features(words.reshape(x, shape=(1, *x.array.shape)), p), shape=x.array.shape)
        return _drop_features(x, p)

    return in_place(apply, name + "_")(input) if inplace else apply(input)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training each channel of (N, C, L) or (C, L) is 0 with probability p, else divided by 1 - p.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.dropout1d(ag.ones(2, 3, 4), 0.9, training=False).shape
    Size([2, 3, 4])
    """
    return _of_channels("dropout1d", input, p, training, inplace, (2, 3), 3)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training each channel of (N, C, H, W) is 0 with probability p, else divided by 1 - p. Of fewer dimensions than four the
    first counts as the batch, as in PyTorch.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.dropout2d(ag.ones(2, 3, 4, 4), 0.9, training=False).shape
    Size([2, 3, 4, 4])
    """
    return _of_channels("dropout2d", input, p, training, inplace, (3, 4), 4)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training each channel of (N, C, D, H, W) or (C, D, H, W) is 0 with probability p, else divided by 1 - p.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.dropout3d(ag.ones(2, 3, 4, 4, 4), 0.9, training=False).shape
    Size([2, 3, 4, 4, 4])
    """
    return _of_channels("dropout3d", input, p, training, inplace, (4, 5), 5)


def _alpha(input: Tensor, p: float, features: bool) -> Tensor:
    """`input` with what is dropped set to the limit of selu, then scaled and shifted to mean and variance as they were."""
    if p == 1.0:
        return input * 0.0
    a = ((1 - p) * (1 + p * _SATURATION**2)) ** -0.5
    b = -a * p * _SATURATION
    x = input - _SATURATION
    x = _drop_features(x, p) if features else _dropped(x, p)
    return x * (a * (1 - p)) + (a * _SATURATION + b)


def _alpha_dropout(name: str, input: Tensor, p: float, training: bool, inplace: bool, features: bool) -> Tensor:
    _check(name, input, p)
    if not training or not p or not input.array.size:
        return input
    if features and input.array.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return in_place(_alpha, name + "_")(input, p, features) if inplace else _alpha(input, p, features)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for networks of selu: what is dropped gets the value that selu tends to for small x, and all is scaled so that
    mean 0 and variance 1 stay. (Klambauer et al., "Self-normalizing neural networks", 2017.)

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.alpha_dropout(ag.ones(3), 0.5)
    tensor([1., 1., 1.])
    """
    return _alpha_dropout("alpha_dropout", input, p, training, inplace, False)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of (N, C, ...).

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.feature_alpha_dropout(ag.ones(1, 2, 3), 0.5).shape
    Size([1, 2, 3])
    """
    return _alpha_dropout("feature_alpha_dropout", input, p, training, inplace, True)
