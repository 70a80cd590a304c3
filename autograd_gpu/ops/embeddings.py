"""Rows of a table by their numbers, one by one or summed up in bags."""

from __future__ import annotations

from typing import Any

from .. import backend
from ..backend.promotion import int32, int64
from ..core.graph import keep_apart, touch, words
from ..core.primitive import linear
from ..core.tensor import Tensor
from .linalg import check_tensors

__all__ = ["embedding", "embedding_bag"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


def _embedding_weight(xp: Any, g: Any, index: Any, weight_shape: tuple[int, int], padding: int | None, by_frequency: bool) -> Any:
    """The gradients of equal numbers are summed in their order."""
    column = (*index.shape, 1)
    if padding is not None:
        g = xp.where(xp.reshape(index != padding, shape=column), g, xp.zeros_like(g))
    if by_frequency:
        counts = xp.unindex(xp.ones(index.shape, g.dtype), index, axes=(0,), shape=weight_shape[:1])
        g = g / xp.reshape(xp.index(counts, index, axes=(0,)), shape=column)
    return xp.unindex(g, index, axes=(0,), shape=weight_shape)


@linear(weight=_embedding_weight)
def _embedding(xp: Any, weight: Any, index: Any, *, padding: int | None = None, by_frequency: bool = False) -> Any:
    """The op behind `embedding`: `index` holds numbers of rows, none of them negative."""
    return xp.index(weight, index, axes=(0,))


def _check_table(name: str, input: Tensor, weight: Tensor) -> None:
    check_tensors(name, input=input, weight=weight)
    if input.array.dtype not in (int64, int32):
        raise RuntimeError(
            f"Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{input.array.dtype} instead (while checking arguments for {name})"
        )
    if weight.array.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, and its shape is {list(weight.array.shape)}")


def _padding(padding_idx: int | None, rows: int) -> int | None:
    """The padding's row, counted from the front."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise AssertionError(f"Padding_idx must be within num_embeddings: {padding_idx} of {rows} rows")
    return padding_idx % rows


def _renormalize(weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale in place those rows among the wanted whose norm is more than `max_norm`."""
    xp = backend.beside(weight.array)
    if not input.array.size or not weight.array.shape[1]:
        return
    places, _, _ = xp.unique(input.array.reshape(-1), axis=0)
    numbers = input.array.reshape(-1).take(places)
    rows = Tensor(xp.index(weight.array, numbers, axes=(0,)))
    norms = rows.norm(norm_type, 1, True)
    scale = words.where(norms > max_norm, max_norm / (norms + 1e-7), words.ones_like(norms))
    keep_apart(weight.array)
    xp.write_index(weight.array, (rows * scale).array, numbers, axes=(0,))
    touch(weight.array, "embedding_renorm_")


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight`, (rows, size), that the integers in `input` name: (*, size).

    padding_idx         a row that gets no gradient
    max_norm            the rows wanted whose norm (the `norm_type`-norm) is more are scaled to it first, in place
    scale_grad_by_freq  divide the gradient of a row by how often it is wanted
    sparse              accepted; gradients are dense
    Raises IndexError for a number that is no row, on the CPU; on CUDA the row is NaN.

    >>> import autograd_gpu as ag
    >>> ag.nn.functional.embedding(ag.tensor([1, 1]), ag.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [3., 4.]])
    """
    _check_table("embedding", input, weight)
    rows = weight.array.shape[0]
    padding = _padding(padding_idx, rows)
    if max_norm is not None:
        _renormalize(weight, input, max_norm, norm_type)
    return words.embedding(weight, input, padding=padding, by_frequency=scale_grad_by_freq)


def _bags(input: Tensor, offsets: Tensor | None, include_last_offset: bool) -> tuple[Any, Any, Any]:
    """(numbers as a vector, the bag of each, how many bags). Raises ValueError for arguments that do not fit."""
    array = input.array
    xp = backend.beside(array)
    if array.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. "
                f"However, found offsets of type {type(offsets).__name__}"
            )
        bags, n = array.shape
        return array.reshape(-1), xp.guarded(lambda: xp.arange(bags).repeat(n), "embedding_bag")(), bags
    if array.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {array.ndim}")
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    starts = offsets.array
    if starts.ndim != 1:
        raise ValueError(f"offsets has to be a 1D Tensor, but its shape is {list(starts.shape)}")
    host = backend.of(starts.__class__).to_host(starts)
    if host.size and int(host[0]) != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got "
            f"{host[0]}"
        )
    if host.size and int(host.max()) > array.size:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length({array.size}), but got offsets[-1] of {host.max()}"
        )
    bags = len(host) - 1 if include_last_offset else len(host)
    of = xp.searchsorted(xp.astype(starts, dtype=int64)[:bags], xp.arange(array.size), right=True)
    of = xp.sub(of, xp.ones((), int64))
    return array, of, bags


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or largest elements of the rows of `weight` in each bag: (bags, size).

    input               (bags, n) numbers of rows, or a vector of them all, with `offsets`, where each bag begins
    per_sample_weights  what each row counts in a sum
    padding_idx         a row that does not count
    include_last_offset the last of the offsets is the end of the last bag
    Else as `embedding`. A bag with nothing in it gives zeros.

    >>> import autograd_gpu as ag
    >>> table = ag.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> ag.nn.functional.embedding_bag(ag.tensor([0, 1, 1]), table, ag.tensor([0, 2]), mode="sum")
    tensor([[4., 6.],
            [3., 4.]])
    """
    _check_table("embedding_bag", input, weight)
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(
                "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got "
                f"mode='{mode}')."
            )
        if per_sample_weights.array.shape != input.array.shape:
            raise ValueError(
                f"embedding_bag: If per_sample_weights ({list(per_sample_weights.array.shape)}) is not None, then it must have "
                f"the same shape as the input ({list(input.array.shape)})"
            )
    numbers, of, bags = _bags(input, offsets, include_last_offset)
    table = weight.array.shape[0]
    padding = _padding(padding_idx, table)
    if max_norm is not None:
        _renormalize(weight, input, max_norm, norm_type)
    xp, dtype = backend.beside(numbers), weight.array.dtype
    counted = None if padding is None else xp.ne(numbers, xp.full((), padding, numbers.dtype))
    rows = words.embedding(weight, Tensor(numbers), padding=padding, by_frequency=scale_grad_by_freq)
    if mode == "max":
        return xp.guarded(_largest, "embedding_bag")(rows, of, bags, counted)
    if per_sample_weights is not None:
        rows = rows * words.reshape(per_sample_weights, shape=(numbers.size, 1))
    if counted is not None:
        rows = rows * Tensor(xp.astype(counted, dtype=dtype).reshape(-1, 1))
    out = words.unindex(rows, Tensor(of), axes=(0,), shape=(bags, weight.array.shape[1]))
    if mode == "mean":
        ones = xp.ones(numbers.shape, dtype) if counted is None else xp.astype(counted, dtype=dtype)
        sizes = xp.unindex(ones, of, axes=(0,), shape=(bags,))
        out = out / Tensor(xp.maximum(sizes, xp.ones((), dtype)).reshape(-1, 1))
    return out


def _largest(rows: Tensor, of: Any, bags: int, counted: Any) -> Tensor:
    """The largest elements of the rows of each bag; of equal ones the first gets the gradient."""
    xp = backend.beside(of)
    if counted is not None:
        (places,) = xp.nonzero(counted)
        rows, of = words.index(rows, Tensor(places), axes=(0,)), of.take(places)
    sizes = xp.unindex(xp.ones(of.shape, int64), of, axes=(0,), shape=(bags,))
    longest = int(sizes.max()) if bags else 0
    size = rows.array.shape[1]
    if not longest:  # zeros, in the graph
        return words.unindex(rows, Tensor(of), axes=(0,), shape=(bags, size))
    # a matrix with the rows of a bag side by side, where there are fewer the last one again
    ends = xp.cumsum(sizes, axis=0, reverse=False)
    last = xp.maximum(ends - 1, xp.zeros((), int64))
    at = xp.minimum((ends - sizes).reshape(-1, 1) + xp.arange(longest).reshape(1, -1), last.reshape(-1, 1))
    values = words.index(rows, Tensor(at), axes=(0,)).max(1)[0]
    return words.where(Tensor((sizes > 0).reshape(-1, 1)), values, words.zeros_like(values))
