"""Tensors that follow a pattern: ranges, grids, triangles, one-hot vectors, powers."""

from __future__ import annotations

import math
import operator
from itertools import combinations as index_combinations
from itertools import combinations_with_replacement
from typing import Any

from .. import backend
from ..backend.promotion import category, complex64, default_dtype, float32, float64, int64, scalar_dtype
from ..core.graph import words
from ..core.primitive import linear
from ..core.tensor import Tensor
from .arguments import dtype_of
from .create import made, place_of, tensor
from .nested import array_of

__all__ = [
    "arange",
    "cartesian_prod",
    "combinations",
    "eye",
    "linspace",
    "logspace",
    "meshgrid",
    "one_hot",
    "tril",
    "triu",
    "vander",
]
METHODS: tuple[str, ...] = ("tril", "triu")
IN_PLACE: tuple[str, ...] = ("tril", "triu")


# -- ranges ------------------------------------------------------------------------------------------------------------


def arange(
    start: Any = None, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The numbers start, start + step, ... before `end`; `arange(end)` starts at 0. int64 unless an argument is a float.

    Raises RuntimeError if step is zero or leads away from `end`.

    >>> import autograd_gpu as ag
    >>> ag.arange(1, 2, 0.25)
    tensor([1.0000, 1.2500, 1.5000, 1.7500])
    """
    if end is None:
        start, end = None, start
    if end is None:
        raise TypeError("arange() missing 1 required argument: 'end'")
    start, end, step = (x.item() if hasattr(x, "item") else x for x in (start or 0, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (step > 0) != (end >= start) and end != start:
        raise RuntimeError(f"upper bound and lower bound inconsistent with step sign: arange({start}, {end}, {step})")
    integers = all(isinstance(x, int) for x in (start, end, step))
    dtype = dtype_of(dtype) or (int64 if integers else default_dtype[0])
    n = -((start - end) // step) if integers else math.ceil((end - start) / step)
    xp = backend.vocabulary(place_of(device))
    return made(xp.guarded(_line, "arange")(xp, n, start, step, dtype), requires_grad)


def _line(xp: Any, n: int, start: Any, step: Any, dtype: Any) -> Any:
    """start + i * step for i below n, computed exactly or in float64."""
    i = xp.arange(n)
    if dtype == int64 and isinstance(start, int) and isinstance(step, int):
        return i if (start, step) == (0, 1) else i * step + start
    return xp.astype(xp.astype(i, dtype=float64) * step + start, dtype=dtype)


def linspace(start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`steps` numbers at equal distances from `start` to `end`, both included.

    >>> import autograd_gpu as ag
    >>> ag.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    xp = backend.vocabulary(place_of(device))
    dtype = dtype_of(dtype) or scalar_dtype(1j if any(isinstance(x, complex) for x in (start, end)) else 1.0)
    return made(xp.guarded(spaced, "linspace")(xp, start, end, steps, dtype), requires_grad)


def spaced(xp: Any, start: Any, end: Any, steps: int, dtype: Any) -> Any:
    """The numbers of `linspace`, bit by bit those of PyTorch: the distance is rounded to `dtype`, the first half is counted from
    `start` and the rest back from `end`. Integers count in float64."""
    steps = operator.index(steps)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    if category(dtype) == 3:
        start, end = (complex(x.item() if isinstance(x, Tensor) else x) for x in (start, end))
        part = float32 if dtype == complex64 else float64
        real, imag = (spaced(xp, a, b, steps, part) for a, b in ((start.real, end.real), (start.imag, end.imag)))
        return xp.astype(real + imag * 1j, dtype=dtype)
    first, last = (array_of(x.item() if isinstance(x, Tensor) else x, dtype, copy=False) for x in (start, end))
    counted = dtype if category(dtype) == 2 else float64
    first, last = first.astype(counted), last.astype(counted)
    step = (last - first) / first.dtype.type(max(steps - 1, 1))
    i = xp.arange(steps)
    from_first, from_last = _counted(xp, first, step, i), _counted(xp, last, -step, (steps - 1) - i)
    return xp.astype(xp.where(i < steps // 2 if steps > 1 else i < 1, from_first, from_last), dtype=dtype)


def _counted(xp: Any, start: Any, step: Any, i: Any) -> Any:
    """start + i * step, rounded once; that of halves is rounded after each operation, as they are everywhere."""
    dtype, start, step = start.dtype, float(start), float(step)
    if dtype.itemsize == 2:
        i = xp.astype(xp.astype(i, dtype=dtype), dtype=float32)
        return xp.astype(xp.astype(i * step, dtype=dtype), dtype=float32) + start
    i = xp.astype(i, dtype=float64)
    plain = i * step + start
    if dtype != float64 or not abs(step) < 2.0**900:
        return plain
    # What the product and the sum lose is found and added. A step has 53 bits: of each half of them the product is exact.
    # T. J. Dekker, "A floating-point technique for extending the available precision", 1971
    many = step * (2.0**27 + 1)
    high = many - (many - step)
    a, b = i * high, i * (step - high)
    product, lost = _sum(a, b)
    total, lost_too = _sum(product, start)
    return total + (lost + lost_too)


def _sum(a: Any, b: Any) -> tuple[Any, Any]:
    """a + b, and what its rounding loses."""
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers from base ** start to base ** end at equal ratios.

    >>> import autograd_gpu as ag
    >>> ag.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    xp = backend.vocabulary(place_of(device))
    powers = xp.guarded(lambda: base ** spaced(xp, start, end, steps, float64), "logspace")()
    return made(xp.astype(powers, dtype=dtype_of(dtype) or default_dtype[0]), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The n by m matrix with ones on its diagonal and zeros elsewhere; m is n unless given.

    >>> import autograd_gpu as ag
    >>> ag.eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    n = operator.index(n)
    m = n if m is None else operator.index(m)
    for name, value in (("n", n), ("m", m)):
        if value < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {value}")
    xp = backend.vocabulary(place_of(device))
    ones = xp.eq(xp.arange(n)[:, None], xp.arange(m))
    return made(xp.astype(ones, dtype=dtype_of(dtype) or default_dtype[0]), requires_grad)


# -- grids -------------------------------------------------------------------------------------------------------------


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The grids of coordinates that vectors span, as views: of n vectors, n tensors of n dimensions each.

    indexing   "ij": dimension k runs along vector k; "xy": the first two dimensions are exchanged, as for pictures

    >>> import autograd_gpu as ag
    >>> ag.meshgrid(ag.tensor([1, 2]), ag.tensor([3, 4, 5]), indexing="ij")[0]
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        tensors = tuple(tensors[0])
    if not tensors:
        raise ValueError("meshgrid expects a non-empty TensorList")
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for t in tensors:
        if t.array.ndim > 1:
            raise RuntimeError(f"meshgrid: Expected 0D or 1D tensor in the tensor list but got one of shape {list(t.shape)}")
        if t.array.dtype != tensors[0].array.dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    n = len(tensors)
    along = list(range(n))  # the dimension of each vector
    if indexing == "xy" and n >= 2:
        along[:2] = 1, 0
    shape = [1] * n
    for t, k in zip(tensors, along, strict=True):
        shape[k] = t.array.size
    grids = []
    for t, k in zip(tensors, along, strict=True):
        column = words.reshape(t, shape=tuple(t.array.size if i == k else 1 for i in range(n)))
        grids.append(words.broadcast_to(column, shape=tuple(shape)))
    return tuple(grids)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Every choice of one element of each vector, a row each; of a single vector, the vector.

    >>> import autograd_gpu as ag
    >>> ag.cartesian_prod(ag.tensor([1, 2]), ag.tensor([4, 5]))
    tensor([[1, 4],
            [1, 5],
            [2, 4],
            [2, 5]])
    """
    for t in tensors:
        if t.array.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    columns = [words.reshape(grid, shape=(grid.array.size, 1)) for grid in meshgrid(*tensors)]
    return words.cat(*columns, axis=1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of `r` elements of a vector, in order, a row each.

    >>> import autograd_gpu as ag
    >>> ag.combinations(ag.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.array.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    choose = combinations_with_replacement if with_replacement else index_combinations
    rows = list(choose(range(input.array.size), r)) if r else []
    index = tensor(rows, dtype=int64, device=input.device)
    return input[words.reshape(index, shape=(len(rows), r)) if r else index]


# -- triangles, one-hot, powers ----------------------------------------------------------------------------------------


@linear(lambda xp, g, diagonal: xp.tril(g, diagonal=diagonal))
def _tril(xp: Any, x: Any, *, diagonal: int = 0) -> Any:
    """The op behind `tril`."""
    ...


@linear(lambda xp, g, diagonal: xp.triu(g, diagonal=diagonal))
def _triu(xp: Any, x: Any, *, diagonal: int = 0) -> Any:
    """The op behind `triu`."""
    ...


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix, or each matrix of a batch, with zeros above a diagonal: 0 the main one, 1 the one above it.

    >>> import autograd_gpu as ag
    >>> ag.tril(ag.ones(2, 3))
    tensor([[1., 0., 0.],
            [1., 1., 0.]])
    """
    if input.array.ndim < 2:
        raise RuntimeError(f"tril: input tensor must have at least 2 dimensions, but its shape is {list(input.shape)}")
    return words.tril(input, diagonal=operator.index(diagonal))


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix, or each matrix of a batch, with zeros below a diagonal: 0 the main one, 1 the one above it.

    >>> import autograd_gpu as ag
    >>> ag.triu(ag.ones(2, 3))
    tensor([[1., 1., 1.],
            [0., 1., 1.]])
    """
    if input.array.ndim < 2:
        raise RuntimeError(f"triu: input tensor must have at least 2 dimensions, but its shape is {list(input.shape)}")
    return words.triu(input, diagonal=operator.index(diagonal))


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Class numbers as vectors with a one at that place and zeros elsewhere: shape (*, num_classes), dtype int64.

    Without `num_classes` there are as many as the largest number asks for. Raises RuntimeError for numbers out of range.

    >>> import autograd_gpu as ag
    >>> ag.one_hot(ag.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    array = tensor.array
    if array.dtype != int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type LongTensor, not {array.dtype}")
    if array.size == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
    else:
        if backend.asked(array, "min") < 0:
            raise RuntimeError("Class values must be non-negative.")
        most = backend.asked(array, "max")
        if num_classes == -1:
            num_classes = most + 1
        elif num_classes < 1:
            raise RuntimeError("num_classes should be positive")
        elif most >= num_classes:
            raise RuntimeError(f"Class values must be smaller than num_classes: got {most} of {num_classes}")
    xp = backend.beside(array)
    return Tensor(xp.astype(xp.eq(array[..., None], xp.arange(num_classes)), dtype=int64))


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The Vandermonde matrix of a vector: its powers 0 to N - 1 as columns, from the highest down unless `increasing`.

    >>> import autograd_gpu as ag
    >>> ag.vander(ag.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    if x.array.ndim != 1:
        raise RuntimeError(f"x must be a one-dimensional tensor, but its shape is {list(x.shape)}")
    n = x.array.size if N is None else N
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    if n == 0:
        return Tensor(backend.beside(x.array).zeros((x.array.size, 0), x.array.dtype))
    powers: list[Tensor] = [words.ones_like(x)]
    while len(powers) < n:
        powers.append(powers[-1] * x if len(powers) > 1 else x)
    columns = [words.reshape(p, shape=(x.array.size, 1)) for p in (powers if increasing else reversed(powers))]
    return words.cat(*columns, axis=1)
