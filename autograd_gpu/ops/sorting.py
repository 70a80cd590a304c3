"""Sorting and searching. The values of a sort are gathered by its indices, so only these are kept for backward."""

from __future__ import annotations

import math
from typing import Any

from .. import backend
from ..backend.promotion import boolean, category, float64, int32, int64, result_type
from ..core.dispatch import NUMBERS
from ..core.graph import words
from ..core.primitive import nondifferentiable
from ..core.tensor import Tensor
from . import return_types
from .arguments import FULL, axis_of, dtype_of
from .create import place_of

__all__ = ["argsort", "argwhere", "bincount", "bucketize", "histc", "isin", "kthvalue", "msort", "nonzero", "searchsorted"]
__all__ += ["sort", "topk", "tril_indices", "triu_indices", "unique", "unique_consecutive"]
FUNCTIONS_ONLY = ("bucketize", "searchsorted", "tril_indices", "triu_indices")
METHODS: tuple[str, ...] = tuple(name for name in __all__ if name not in FUNCTIONS_ONLY)
IN_PLACE: tuple[str, ...] = ()

# -- the ops -----------------------------------------------------------------------------------------------------------------


@nondifferentiable(outputs="*")
def _nonzero(xp: Any, x: Any) -> Any:
    """Where x is not zero: an array of places for each dimension."""
    ...


@nondifferentiable()
def _argsort(xp: Any, x: Any, *, axis: int, descending: bool) -> Any:
    """The places of the elements in their order."""
    ...


@nondifferentiable()
def _argtopk(xp: Any, x: Any, *, k: int, axis: int, largest: bool) -> Any:
    """The places of the k greatest or smallest elements, in order."""
    ...


@nondifferentiable()
def _searchsorted(xp: Any, sorted: Any, values: Any, *, right: bool) -> Any:
    """Where to insert values into a sorted last dimension."""
    ...


@nondifferentiable()
def _bincount(xp: Any, x: Any, weights: Any, *, minlength: int = 0) -> Any:
    """How often each number comes up, or the sum of their weights."""
    ...


@nondifferentiable(outputs=("places", "inverse", "counts"))
def _unique(xp: Any, x: Any, *, axis: int, consecutive: bool = False) -> Any:
    """The different slices of x along a dimension."""
    ...


# -- sorting -----------------------------------------------------------------------------------------------------------------


def _values(input: Tensor, indices: Tensor, axis: int) -> Tensor:
    if not input.array.ndim:
        return words.clone(input)
    return words.take_along(input, indices, axis=axis)


def sort(
    input: Tensor, dim: int | None = None, descending: bool = False, stable: bool | None = False, *, axis: int | None = None
) -> return_types.sort:
    """The elements in order along a dimension, by default the last, and the places they had. NaN is greater than anything.
    Equal elements always keep their order.

    >>> import autograd_gpu as ag
    >>> ag.sort(ag.tensor([3.0, 1.0, 2.0])).indices
    tensor([1, 2, 0])
    """
    indices = argsort(input, dim, descending, axis=axis)
    return return_types.sort(_values(input, indices, _dim(input, dim, axis)), indices)


def _dim(input: Tensor, dim: int | None, axis: int | None) -> int:
    dim = axis if dim is None else dim
    return axis_of(-1 if dim is None else dim, input.array.ndim)


def argsort(
    input: Tensor, dim: int | None = None, descending: bool = False, stable: bool = False, *, axis: int | None = None
) -> Tensor:
    """The places of the elements in order along a dimension, by default the last. See `sort`.

    >>> import autograd_gpu as ag
    >>> ag.argsort(ag.tensor([3.0, 1.0, 2.0]), descending=True)
    tensor([0, 2, 1])
    """
    if isinstance(dim, bool):  # sort(x, True) would otherwise sort along dimension 1
        raise TypeError("sort(): argument 'dim' must be int, not bool")
    place = _dim(input, dim, axis)
    if category(input.array.dtype) == 3:
        raise RuntimeError(f"Sort currently does not support complex dtypes on CPU: {input.array.dtype}")
    if not input.array.ndim:
        return Tensor(backend.beside(input.array).zeros((), int64))
    return words.argsort(input, axis=place, descending=bool(descending))


def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dimension.

    >>> import autograd_gpu as ag
    >>> ag.msort(ag.tensor([3.0, 1.0, 2.0]))
    tensor([1., 2., 3.])
    """
    return sort(input, 0).values


def topk(
    input: Tensor, k: int, dim: int | None = None, largest: bool = True, sorted: bool = True, *, axis: int | None = None
) -> return_types.topk:
    """The k greatest (or smallest) elements along a dimension, by default the last, and their places, in order always.

    Raises RuntimeError if there are no k elements.

    >>> import autograd_gpu as ag
    >>> ag.topk(ag.tensor([3.0, 1.0, 2.0]), 2).values
    tensor([3., 2.])
    """
    place = _dim(input, dim, axis)
    k = int(k)
    if not 0 <= k <= (input.array.shape[place] if input.array.ndim else 1):
        raise RuntimeError(f"selected index k out of range: {k} of shape {list(input.array.shape)} along dimension {place}")
    if not input.array.ndim:
        return return_types.topk(words.clone(input), argsort(input))
    indices = words.argtopk(input, k=k, axis=place, largest=largest)
    return return_types.topk(words.take_along(input, indices, axis=place), indices)


def kthvalue(
    input: Tensor, k: int, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None
) -> return_types.kthvalue:
    """The k-th smallest element along a dimension, by default the last, counted from 1, and its place.

    >>> import autograd_gpu as ag
    >>> ag.kthvalue(ag.tensor([3.0, 1.0, 2.0]), 2).values
    tensor(2.)
    """
    place = _dim(input, dim, axis)
    n = input.array.shape[place] if input.array.ndim else 1
    if not 1 <= k <= n:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {place}: {k} of {n}")
    if not input.array.ndim:
        return return_types.kthvalue(words.clone(input), argsort(input))
    order = words.argsort(input, axis=place, descending=False)
    indices = words.slice(order, spec=(*[FULL] * place, (k - 1, k, None), Ellipsis))
    indices = words.clone(indices)
    values = words.take_along(input, indices, axis=place)
    if not keepdim:
        shape = input.array.shape[:place] + input.array.shape[place + 1 :]
        values, indices = words.reshape(values, shape=shape), words.reshape(indices, shape=shape)
    return return_types.kthvalue(values, indices)


# -- searching ---------------------------------------------------------------------------------------------------------------


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Where input is not zero: a row of places for each such element, int64; or, as a tuple, a vector for each dimension.

    >>> import autograd_gpu as ag
    >>> ag.nonzero(ag.tensor([[1, 0], [0, 2]]))
    tensor([[0, 0],
            [1, 1]])
    """
    xp = backend.beside(input.array)
    if not input.array.ndim:
        if as_tuple:
            return tuple(words.nonzero(words.reshape(input, shape=(1,))))
        (places,) = xp.nonzero(input.array.reshape(1))
        return Tensor(xp.zeros((places.size, 0), int64))
    places = words.nonzero(input)
    return tuple(places) if as_tuple else Tensor(xp.stack(*[p.array for p in places], axis=1))


def argwhere(input: Tensor) -> Tensor:
    """Where input is not zero: a row of places for each such element.

    >>> import autograd_gpu as ag
    >>> ag.argwhere(ag.tensor([0, 3, 4]))
    tensor([[1],
            [2]])
    """
    return nonzero(input)


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where each element of input would be inserted into the sorted last dimension of sorted_sequence: before equal elements,
    or (right=True or side="right") after them. All but the last dimension agree, or sorted_sequence has only one.

    >>> import autograd_gpu as ag
    >>> ag.searchsorted(ag.tensor([1.0, 3.0, 5.0]), ag.tensor([3.0, 4.0]))
    tensor([1, 2])
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(f"searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError("searchsorted(): side and right can't be set to opposites, got side of left while right was True")
    values = _number_or_tensor(input, sorted_sequence)
    seq = sorted_sequence
    if seq.array.ndim != 1 and (not values.array.ndim or seq.array.shape[:-1] != values.array.shape[:-1]):
        raise RuntimeError(
            "searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and "
            f"input value tensor must match, but we got boundaries tensor {list(seq.shape)} and input value tensor "
            f"{list(values.shape)}"
        )
    if isinstance(input, Tensor) and seq.array.dtype != values.array.dtype:
        raise RuntimeError(
            "searchsorted(): boundary tensor and input value tensor should have same dtype, but got boundary tensor dtype "
            f"{seq.array.dtype} and input value tensor dtype {values.array.dtype}"
        )
    if sorter is not None:
        if sorter.array.shape != seq.array.shape:
            raise RuntimeError(
                f"searchsorted(): boundary and sorter must have the same size, but got {list(seq.shape)} and {list(sorter.shape)}"
            )
        seq = words.take_along(seq, sorter, axis=seq.array.ndim - 1)
    found = words.searchsorted(seq, values, right=right or side == "right")
    return words.astype(found, dtype=int32) if out_int32 else found


def _number_or_tensor(value: Any, like: Tensor) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if not isinstance(value, NUMBERS):
        raise TypeError(f"expected a Tensor or a number, not {type(value).__name__}")
    return Tensor(backend.beside(like.array).asarray(value, result_type([like.array, value])))


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The number of the bucket between sorted boundaries that each element falls in; one on a boundary falls in the bucket
    below it, or (right) above.

    >>> import autograd_gpu as ag
    >>> ag.bucketize(ag.tensor([3.0, 6.0]), ag.tensor([1.0, 3.0, 5.0]))
    tensor([1, 3])
    """
    if boundaries.array.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.array.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is one of test_elements.

    >>> import autograd_gpu as ag
    >>> ag.isin(ag.tensor([1, 2, 3]), ag.tensor([2, 5]))
    tensor([False,  True, False])
    """
    like = elements if isinstance(elements, Tensor) else test_elements
    if not isinstance(like, Tensor):
        raise TypeError("isin(): at least one of elements and test_elements must be a Tensor")
    elements, tests = _number_or_tensor(elements, like), _number_or_tensor(test_elements, like)
    xp = backend.beside(like.array)
    dtype = result_type([elements.array, tests.array])
    return Tensor(xp.guarded(_is_in, "isin")(xp, elements.array, tests.array, dtype, invert))


def _is_in(xp: Any, x: Any, among: Any, dtype: Any, invert: bool) -> Any:
    x, among = x.astype(dtype), among.astype(dtype).reshape(-1)
    if not among.size:
        found = xp.zeros(x.shape, boolean)
    else:
        among = xp.take_along(among, xp.argsort(among, axis=0, descending=False), axis=0)
        places = xp.searchsorted(among, x, right=False)
        found = xp.asarray(xp.index(among, places * (places < among.size), axes=(0,)) == x)
    return xp.asarray(~found) if invert else found


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number from 0 on comes up in a vector of non-negative ints, or the sum of their weights.

    >>> import autograd_gpu as ag
    >>> ag.bincount(ag.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    x = input.array
    if x.ndim != 1 or category(x.dtype) != 1 or x.size and backend.asked(x, "min") < 0:
        raise RuntimeError(f"bincount only supports 1-d non-negative integral inputs, not {x.dtype} {list(x.shape)}")
    if weights is not None and weights.array.shape != x.shape:
        raise RuntimeError(f"weights should be 1-d and have the same length as input: {list(weights.shape)} and {list(x.shape)}")
    return words.bincount(input, weights, minlength=minlength)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements fall in each of equal intervals between min and max (if equal: those of the elements).

    >>> import autograd_gpu as ag
    >>> ag.histc(ag.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    if bins <= 0:
        raise RuntimeError(f"bins must be > 0, not {bins}")
    if category(input.array.dtype) != 2:
        raise RuntimeError(f"\"histogram_cpu\" not implemented for '{input.array.dtype}'")
    xp, x = backend.beside(input.array), input.array.reshape(-1)
    low, high = float(min), float(max)
    if low == high and x.size:
        low, high = float(backend.asked(x, "min")), float(backend.asked(x, "max"))
    if low == high:
        low, high = low - 1, high + 1
    if low > high:
        raise RuntimeError("max must be larger than min")
    if not math.isfinite(low) or not math.isfinite(high):
        raise RuntimeError(f"range of [{low}, {high}] is not finite")
    return Tensor(xp.guarded(_counted, "histc")(xp, x, bins, low, high))


def _counted(xp: Any, x: Any, bins: int, low: float, high: float) -> Any:
    inside = x[(x >= low) & (x <= high)].astype(float64)
    places = ((inside - low) / (high - low) * bins).astype(int64)
    return xp.bincount(places - (places == bins), minlength=bins).astype(x.dtype)


def _distinct(input: Tensor, dim: int | None, consecutive: bool, return_inverse: bool, return_counts: bool) -> Any:
    x = words.reshape(input, shape=(input.array.size,)) if dim is None else input
    axis = 0 if dim is None else axis_of(dim, x.array.ndim)
    if not x.array.size and x.array.shape[axis]:
        raise RuntimeError(
            f"There are 0 sized dimensions, and they aren't selected, so unique cannot be applied: dim {dim} of {list(x.shape)}"
        )
    places, inverse, counts = words.unique(x, axis=axis, consecutive=consecutive)
    values = words.index(x, places, axes=(axis,))
    if dim is None:
        inverse = words.reshape(inverse, shape=input.array.shape)
    results = [values] + [inverse] * return_inverse + [counts] * return_counts
    return results[0] if len(results) == 1 else tuple(results)


def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The different elements, or slices along `dim`, in order; and where asked, for each element its place among them, and
    how often each comes up. A gradient goes to the first of equal elements.

    >>> import autograd_gpu as ag
    >>> ag.unique(ag.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    return _distinct(input, dim, False, return_inverse, return_counts)


def unique_consecutive(input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The elements, or slices along `dim`, without those that equal the one before. See `unique`.

    >>> import autograd_gpu as ag
    >>> ag.unique_consecutive(ag.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    return _distinct(input, dim, True, return_inverse, return_counts)


# -- triangles ---------------------------------------------------------------------------------------------------------------


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The places on and below a diagonal of a matrix, row by row: an int64 tensor of two rows.

    >>> import autograd_gpu as ag
    >>> ag.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _triangle("tril", row, col, offset, dtype, device)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The places on and above a diagonal of a matrix, row by row: an int64 tensor of two rows.

    >>> import autograd_gpu as ag
    >>> ag.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return _triangle("triu", row, col, offset, dtype, device)


def _triangle(word: str, row: int, col: int, offset: int, dtype: Any, device: Any) -> Tensor:
    if row < 0 or col < 0:
        raise RuntimeError(f"row and col must be non-negative, got row {row} and col {col}")
    xp = backend.vocabulary(place_of(device))
    inside = getattr(xp, word)(xp.ones((row, col), boolean), diagonal=offset)
    return Tensor(xp.astype(xp.stack(*xp.nonzero(inside), axis=0), dtype=dtype_of(dtype) or int64))
