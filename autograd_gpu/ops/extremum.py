"""Extrema, medians, modes and quantiles: what picks elements instead of summing them.

NOTE [Ties]
    Of elements that tie, PyTorch gives the gradient to all in equal shares where the result does not say which one it is
    (`amax`, `max()`), and to the one that it names where it gives indices (`max(dim)`). So the first kind are ops with the
    rule `_evenly`, and the second kind look for the index, which has no gradient, and `pick` the element there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import backend
from ..backend.promotion import int64
from ..core.graph import words
from ..core.primitive import linear, nondifferentiable, primitive
from ..core.tensor import Tensor
from . import return_types
from .arguments import axis_of
from .reduce import axes, kept

__all__ = [
    "amax",
    "amin",
    "aminmax",
    "argmax",
    "argmin",
    "max",
    "median",
    "min",
    "mode",
    "nanmedian",
    "nanquantile",
    "quantile",
]
METHODS: tuple[str, ...] = tuple(__all__)
IN_PLACE: tuple[str, ...] = ()


def _evenly(xp: Any, g: Any, x: Any, out: Any, axis: Any) -> Any:
    """The gradient in equal shares to the elements that equal the result. See NOTE [Ties]."""
    ties = xp.astype(x == kept(xp, out, x.shape, axis), dtype=g.dtype)
    return ties * (kept(xp, g, x.shape, axis) / xp.sum(ties, axis=axis, keepdims=True))


@primitive(_evenly)
def _amax(xp: Any, x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The op behind `amax` and `max()`."""
    ...


@primitive(_evenly)
def _amin(xp: Any, x: Any, *, axis: Any, keepdims: bool = False) -> Any:
    """The op behind `amin` and `min()`."""
    ...


@primitive(_evenly)
def _amedian(xp: Any, x: Any, *, axis: tuple[int, ...], omit_nan: bool = False) -> Any:
    """The op behind `median()` and `nanmedian()`: over all dimensions, which `axis` lists."""
    flat = xp.reshape(x, shape=(-1,))
    return xp.pick(flat, xp.argmedian(flat, axis=0, omit_nan=omit_nan), axis=0)


@linear(x=lambda xp, g, index, x_shape, axis: xp.place(g, index, shape=x_shape, axis=axis))
def _pick(xp: Any, x: Any, index: Any, *, axis: int) -> Any:
    """The element at `index` of each line along the axis; index has the shape of x without the axis, or with size 1 there."""
    ...


@linear(x=lambda xp, g, index, axis: xp.pick(g, index, axis=axis))
def _place(xp: Any, x: Any, index: Any, *, shape: tuple[int, ...], axis: int) -> Any:
    """Zeros of `shape` with the elements of x where `pick` would have found them."""
    ...


@nondifferentiable()
def _argmax(xp: Any, x: Any, *, axis: int, keepdims: bool = False) -> Any:
    """The op behind `argmax`."""
    ...


@nondifferentiable()
def _argmin(xp: Any, x: Any, *, axis: int, keepdims: bool = False) -> Any:
    """The op behind `argmin`."""
    ...


@nondifferentiable()
def _argmedian(xp: Any, x: Any, *, axis: int, keepdims: bool = False, omit_nan: bool = False) -> Any:
    """Where the medians lie."""
    ...


@nondifferentiable()
def _argmode(xp: Any, x: Any, *, axis: int, keepdims: bool = False) -> Any:
    """Where the most frequent elements lie."""
    ...


# -- what the public functions share -----------------------------------------------------------------------------------


def _nonempty(name: str, shape: Sequence[int], over: Sequence[int] | None) -> None:
    """Refuse to look for an element where there is none: in all of `shape` if `over` is None, else along those dimensions."""
    if over is None:
        if 0 in shape:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
                f"'dim' argument. The input has shape {list(shape)}."
            )
        return
    for i in over:
        if i < len(shape) and shape[i] == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim {i} to have non-zero size, and the input has shape {list(shape)}."
            )


def along(kind: Any, word: str, input: Tensor, dim: int, keepdim: bool, **options: Any) -> Any:
    """(values, indices) as a named tuple of type `kind`: one element of each line along `dim`, at the index that `word` finds."""
    ndim = input.array.ndim
    axis = axis_of(dim, ndim)
    if not ndim:
        result = along(kind, word, words.reshape(input, shape=(1,)), 0, False, **options)
        return result
    _nonempty(kind.__name__, input.array.shape, (axis,))
    index = getattr(words, word)(input, axis=axis, keepdims=keepdim, **options)
    return kind(words.pick(input, index, axis=axis), index)


def _extremum(kind: Any, whole: str, word: str, both: str, input: Tensor, dim: Any, keepdim: bool, other: Any, axis: Any) -> Any:
    """max and min in their three forms: of two tensors, of all elements, along a dimension."""
    if other is not None or isinstance(dim, Tensor):
        return getattr(words, both)(input, dim if other is None else other)
    dim = axis if dim is None else dim
    if dim is None:
        _nonempty(kind.__name__, input.array.shape, None)
        return getattr(words, whole)(input, axis=tuple(range(input.array.ndim)))
    return along(kind, word, input, dim, keepdim)


# -- extrema -----------------------------------------------------------------------------------------------------------


def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None, axis: int | None = None) -> Any:
    """The largest element; with `dim`, a named tuple (values, indices) of those along it; of two tensors, their `maximum`.

    NaN is larger than anything. Of elements that tie the first is named. Raises RuntimeError if there are no elements,
    IndexError if there are none along `dim`.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([[1.0, 5.0], [4.0, 2.0]])
    >>> ag.max(x)
    tensor(5.)
    >>> ag.max(x, dim=0).indices
    tensor([1, 0])
    """
    return _extremum(return_types.max, "amax", "argmax", "maximum", input, dim, keepdim, other, axis)


def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None, axis: int | None = None) -> Any:
    """The smallest element; with `dim`, a named tuple (values, indices) of those along it; of two tensors, their `minimum`.

    NaN is smaller than anything. Of elements that tie the first is named. Raises RuntimeError if there are no elements,
    IndexError if there are none along `dim`.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([[1.0, 5.0], [4.0, 2.0]])
    >>> ag.min(x)
    tensor(1.)
    >>> ag.min(x, dim=1).values
    tensor([1., 2.])
    """
    return _extremum(return_types.min, "amin", "argmin", "minimum", input, dim, keepdim, other, axis)


def _over(name: str, input: Tensor, dim: Any, axis: Any) -> tuple[int, ...]:
    over = axes(dim, axis, input.array.ndim)
    everything = dim is None and axis is None or dim == ()
    _nonempty(name, input.array.shape, None if everything else over)
    return over


def amax(input: Tensor, dim: Any = (), keepdim: bool = False, *, axis: Any = None) -> Tensor:
    """The largest element along one or several dimensions, by default all. Those that tie share the gradient.

    >>> import autograd_gpu as ag
    >>> ag.amax(ag.tensor([[1.0, 5.0], [4.0, 2.0]]), dim=0)
    tensor([4., 5.])
    """
    dim = axis if axis is not None and dim == () else dim
    return words.amax(input, axis=_over("amax", input, dim, None), keepdims=keepdim)


def amin(input: Tensor, dim: Any = (), keepdim: bool = False, *, axis: Any = None) -> Tensor:
    """The smallest element along one or several dimensions, by default all. Those that tie share the gradient.

    >>> import autograd_gpu as ag
    >>> ag.amin(ag.tensor([[1.0, 5.0], [4.0, 2.0]]), dim=0)
    tensor([1., 2.])
    """
    dim = axis if axis is not None and dim == () else dim
    return words.amin(input, axis=_over("amin", input, dim, None), keepdims=keepdim)


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False, axis: int | None = None) -> Any:
    """The smallest and the largest element, by default of all, as a named tuple (min, max).

    >>> import autograd_gpu as ag
    >>> ag.aminmax(ag.tensor([3.0, 1.0, 2.0])).min
    tensor(1.)
    """
    dim = axis if dim is None else dim
    over = _over("aminmax", input, dim, None)
    least, most = (word(input, axis=over, keepdims=keepdim) for word in (words.amin, words.amax))
    return return_types.aminmax(least, most)


def _where(name: str, input: Tensor, dim: int | None, keepdim: bool, axis: int | None) -> Tensor:
    dim, shape = axis if dim is None else dim, input.array.shape
    word = getattr(words, name)
    if dim is None or not shape:
        if dim is not None:
            axis_of(dim, 0)
        if 0 in shape:
            raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0, shape {list(shape)}.")
        index = word(words.reshape(input, shape=(-1,)), axis=0)
        return words.reshape(index, shape=(1,) * len(shape)) if keepdim else index
    over = axis_of(dim, len(shape))
    _nonempty(name, shape, (over,))
    return word(input, axis=over, keepdims=keepdim)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None) -> Tensor:
    """Where the largest element lies along `dim`, by default in the flattened tensor. The first of those that tie.

    >>> import autograd_gpu as ag
    >>> ag.argmax(ag.tensor([[1.0, 5.0], [4.0, 2.0]]), dim=1)
    tensor([1, 0])
    """
    return _where("argmax", input, dim, keepdim, axis)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None) -> Tensor:
    """Where the smallest element lies along `dim`, by default in the flattened tensor. The first of those that tie.

    >>> import autograd_gpu as ag
    >>> ag.argmin(ag.tensor([[1.0, 5.0], [4.0, 2.0]]), dim=1)
    tensor([0, 1])
    """
    return _where("argmin", input, dim, keepdim, axis)


# -- medians, modes, quantiles -----------------------------------------------------------------------------------------


def _median(kind: Any, input: Tensor, dim: int | None, keepdim: bool, axis: int | None, omit_nan: bool) -> Any:
    dim = axis if dim is None else dim
    if dim is not None:
        return along(kind, "argmedian", input, dim, keepdim, omit_nan=omit_nan)
    if 0 in input.array.shape:
        return words.sum(input, axis=tuple(range(input.array.ndim))) + float("nan")
    return words.amedian(input, axis=tuple(range(input.array.ndim)), omit_nan=omit_nan)


def median(input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None) -> Any:
    """The median, of an even number the lower one; with `dim`, a named tuple (values, indices) of those along it.

    >>> import autograd_gpu as ag
    >>> ag.median(ag.tensor([4.0, 1.0, 3.0, 2.0]))
    tensor(2.)
    """
    return _median(return_types.median, input, dim, keepdim, axis, False)


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None) -> Any:
    """The `median` of the elements that are not NaN.

    >>> import autograd_gpu as ag
    >>> ag.nanmedian(ag.tensor([4.0, float("nan"), 3.0]))
    tensor(3.)
    """
    return _median(return_types.nanmedian, input, dim, keepdim, axis, True)


def mode(input: Tensor, dim: int = -1, keepdim: bool = False, *, axis: int | None = None) -> Any:
    """The most frequent element along `dim`, the smallest of those that tie, as a named tuple (values, indices).

    >>> import autograd_gpu as ag
    >>> ag.mode(ag.tensor([3, 1, 2, 1])).values
    tensor(1)
    """
    return along(return_types.mode, "argmode", input, dim if axis is None else axis, keepdim)


_RANKS: dict[str, Callable[[Tensor], tuple[Tensor, Tensor | None]]] = {  # rank -> (the place below, what of the way to the next)
    "lower": lambda rank: (words.floor(rank), None),
    "higher": lambda rank: (words.ceil(rank), None),
    "nearest": lambda rank: (words.round(rank), None),
    "linear": lambda rank: (words.floor(rank), rank - words.floor(rank)),
    "midpoint": lambda rank: (words.floor(rank), words.zeros_like(rank) + 0.5),
}


def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    axis: int | None = None,
) -> Tensor:
    """The q-th quantiles along `dim`, by default of all elements, for `q` a number or a tensor of numbers in [0, 1].

    A tensor q adds a first dimension. `interpolation` between elements: linear, lower, higher, midpoint or nearest.
    A line with a NaN gives NaN.

    >>> import autograd_gpu as ag
    >>> ag.quantile(ag.tensor([0.0, 1.0, 2.0, 3.0]), 0.4)
    tensor(1.2000)
    """
    return _quantile("quantile", input, q, axis if dim is None else dim, keepdim, interpolation, False)


def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    axis: int | None = None,
) -> Tensor:
    """The `quantile` of the elements that are not NaN.

    >>> import autograd_gpu as ag
    >>> ag.nanquantile(ag.tensor([0.0, float("nan"), 2.0]), 0.5)
    tensor(1.)
    """
    return _quantile("nanquantile", input, q, axis if dim is None else dim, keepdim, interpolation, True)


def _quantile(name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, omit_nan: bool) -> Tensor:
    """The elements sorted into the last dimension, and there those next to each rank, interpolated."""
    dtype, shape = input.array.dtype, input.array.shape
    if dtype not in ("float32", "float64"):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype, not {dtype}")
    if not input.array.size:
        raise RuntimeError(f"{name}() input tensor must be non-empty, and this one has shape {list(shape)}")
    if interpolation not in _RANKS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
        q = Tensor(backend.beside(input.array).full((), q, dtype))
    elif q.ndim > 1 or q.dtype != dtype:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor of the input's dtype {dtype}, not {q.ndim}D of {q.dtype}")
    if dim is None:
        lines, last, rest = words.reshape(input, shape=(-1,)), 0, (1,) * len(shape)
    else:
        last = axis_of(dim, len(shape))
        rest = tuple([1 if i == last else n for i, n in enumerate(shape)])
        lines = input if shape else words.reshape(input, shape=(1,))
        order = [i for i in range(lines.array.ndim) if i != last]
        lines = words.transpose(lines, axes=(*order, last))
    final = lines.array.ndim - 1
    count = lines.array.shape[-1]
    lines = words.take_along(lines, words.argsort(lines, axis=final, descending=False), axis=final)
    numbers = words.sum(words.astype(lines == lines, dtype=dtype), axis=(final,), keepdims=True)
    rank = words.reshape(q, shape=(-1,)) * ((numbers - 1) if omit_nan else (count - 1))
    rank = words.clamp(rank, min=0) if omit_nan else words.where(numbers < count, count - 1, rank)
    below, part = _RANKS[interpolation](rank)
    result = _at(lines, below, final)
    if part is not None:
        result = result + (_at(lines, words.ceil(rank), final) - result) * part
    if q.ndim:
        result = words.transpose(result, axes=(final, *range(final)))
        return words.reshape(result, shape=(q.array.shape[0], *(rest if keepdim else result.array.shape[1:])))
    return words.reshape(result, shape=rest if keepdim else result.array.shape[:-1])


def _at(lines: Tensor, rank: Tensor, axis: int) -> Tensor:
    index = words.astype(rank, dtype=int64)
    index = words.broadcast_to(index, shape=(*lines.array.shape[:-1], rank.array.shape[-1]))
    return words.take_along(lines, index, axis=axis)
