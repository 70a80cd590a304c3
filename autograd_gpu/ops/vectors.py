"""Norms, cross products and what else `autograd_gpu.linalg` has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..backend.promotion import float32
from ..core.graph import words
from ..core.primitive import primitive
from ..core.tensor import Tensor
from .arguments import axes_of, axis_of, dtype_of
from .linalg import matmul
from .matrices import chain_matmul
from .reduce import kept

__all__ = ["cross"]
METHODS: tuple[str, ...] = ("cross",)
IN_PLACE: tuple[str, ...] = ()


# -- norms ---------------------------------------------------------------------------------------------------------------


def _vector_norm_x(xp: Any, g: Any, x: Any, out: Any, axis: tuple[int, ...], ord: float) -> Any:
    """The gradient of a p-norm: zero where the norm is zero."""
    g, out = kept(xp, g, x.shape, axis), kept(xp, out, x.shape, axis)
    ratio = x / xp.where(out == 0, xp.ones_like(out), out)
    if ord == 2:
        return g * ratio
    power = xp.where(x == 0, xp.zeros_like(ratio), xp.abs(ratio) ** (ord - 1))  # 0 to a negative power is infinite
    return g * xp.sign(x) * power


@primitive(x=_vector_norm_x)
def _vector_norm(xp: Any, x: Any, *, axis: tuple[int, ...], ord: float, keepdims: bool = False) -> Any:
    """The op behind `vector_norm`, for ord other than 0, 1 and infinity."""
    dtype = x.dtype
    if dtype.itemsize == 2:  # powers of half precision overflow early
        x = xp.astype(x, dtype=float32)
    if ord == 2:
        out = xp.sqrt(xp.sum(x * x, axis=axis, keepdims=keepdims))
    else:
        out = xp.sum(xp.abs(x) ** ord, axis=axis, keepdims=keepdims) ** (1 / ord)
    return out if out.dtype is dtype else xp.astype(out, dtype=dtype)


def vector_norm(
    input: Tensor,
    ord: float = 2,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    axis: Any = None,
) -> Tensor:
    """sum(abs(x) ** ord) ** (1 / ord) over the dimensions `dim`, by default all; for ord 0 how many elements are not zero, for
    infinity and minus infinity the largest and the smallest absolute value.

    Raises RuntimeError for dtypes that are neither floating point nor complex. The gradient where the norm is zero is zero.

    >>> import autograd_gpu as ag
    >>> ag.linalg.vector_norm(ag.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = _floating(input, dtype, "linalg.vector_norm")
    axes = axes_of(axis if dim is None else dim, x.ndim)
    ord = float(ord)
    if ord in (math.inf, -math.inf):
        size = math.prod(x.shape[i] for i in axes)
        if not size:
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the operation does not have an "
                "identity"
            )
        magnitude = words.abs(x)
        return (magnitude.amax if ord > 0 else magnitude.amin)(axes, keepdim) if axes else magnitude
    if ord == 1:
        return words.sum(words.abs(x), axis=axes, keepdims=keepdim)
    if ord == 0:
        return words.sum(words.where(x != 0, words.ones_like(x), x * 0), axis=axes, keepdims=keepdim)
    return words.vector_norm(x, axis=axes, ord=ord, keepdims=keepdim)


def _floating(x: Tensor, dtype: Any, name: str) -> Tensor:
    if dtype is not None:
        x = x.to(dtype_of(dtype))
    if x.dtype.kind not in "fVc":
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {x.dtype}")
    return x


def matrix_norm(
    input: Tensor, ord: Any = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm of the matrices in two dimensions of A: "fro" (Frobenius), 1 or -1 (largest or smallest column sum of absolute
    values), infinity or minus infinity (the same of rows).

    Raises RuntimeError for tensors with fewer dimensions, NotImplementedError for the norms that need singular values.

    >>> import autograd_gpu as ag
    >>> ag.linalg.matrix_norm(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor(6.)
    """
    A = _floating(input, dtype, "linalg.matrix_norm")
    if A.ndim < 2:
        raise RuntimeError(f"linalg.matrix_norm: The input tensor A must have at least 2 dimensions. Got shape {list(A.shape)}")
    rows, columns = axes_of(dim, A.ndim)
    if ord == "fro":
        return words.vector_norm(A, axis=(rows, columns), ord=2.0, keepdims=keepdim)
    if ord in ("nuc", 2, -2):
        raise NotImplementedError(f"linalg.matrix_norm of order {ord!r} needs singular values, which are not available")
    if ord not in (1, -1, math.inf, -math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    summed, compared = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = words.sum(words.abs(A), axis=(summed,), keepdims=True)
    if ord > 0:
        out = sums.amax((compared,), True) if sums.shape[compared] else words.sum(sums, axis=(compared,), keepdims=True)
    else:
        out = sums.amin((compared,), True)
    return out if keepdim else words.reshape(out, shape=tuple(n for i, n in enumerate(A.array.shape) if i not in (rows, columns)))


def norm(input: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The vector norm over one dimension, the matrix norm over two; without `ord` the 2-norm of all elements.

    >>> import autograd_gpu as ag
    >>> ag.linalg.norm(ag.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5.)
    """
    if ord is None:
        return vector_norm(input, 2, dim, keepdim, dtype=dtype)
    if dim is None:
        if input.ndim not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {input.ndim}D: "
                f"{list(input.shape)}"
            )
        dim = tuple(range(input.ndim))
    dims = (dim,) if hasattr(dim, "__index__") else tuple(dim)
    if len(dims) == 2:
        return matrix_norm(input, ord, dims, keepdim, dtype=dtype)
    if isinstance(ord, str):
        raise RuntimeError(f"linalg.norm: ord={ord!r} needs two dimensions, and dim is {dim}")
    return vector_norm(input, ord, dims, keepdim, dtype=dtype)


# -- products ------------------------------------------------------------------------------------------------------------


def _cross(name: str, input: Tensor, other: Tensor, dim: int) -> Tensor:
    if input.ndim != other.ndim:
        raise RuntimeError(f"{name}: inputs must have the same number of dimensions: {list(input.shape)} and {list(other.shape)}")
    axis = axis_of(dim, input.ndim)
    if input.shape[axis] != 3 or other.shape[axis] != 3:
        raise RuntimeError(
            f"{name}: inputs dimension {dim} must have length 3. Got {input.shape[axis]} and {other.shape[axis]}: the shapes are "
            f"{list(input.shape)} and {list(other.shape)}"
        )

    def turned(x: Tensor, by: int) -> Tensor:
        return words.roll(x, shifts=(by,), axis=(axis,))

    return turned(input, -1) * turned(other, -2) - turned(input, -2) * turned(other, -1)


def cross(input: Tensor, other: Tensor, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """The cross product along `dim`, by default the first dimension of size 3.

    >>> import autograd_gpu as ag
    >>> ag.cross(ag.tensor([1.0, 0.0, 0.0]), ag.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    dim = axis if dim is None else dim
    if dim is None:
        dim = next((i for i, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError(f"no dimension of size 3 in input of shape {list(input.shape)}")
    return _cross("cross", input, other, dim)


def linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product along `dim`, by default the last.

    >>> import autograd_gpu as ag
    >>> ag.linalg.cross(ag.tensor([1.0, 0.0, 0.0]), ag.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    return _cross("linalg.cross", input, other, dim)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The inner products of the vectors along `dim`, the other dimensions broadcasting.

    >>> import autograd_gpu as ag
    >>> ag.linalg.vecdot(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), ag.tensor([1.0, 10.0]))
    tensor([21., 43.])
    """
    product = x * y
    return words.sum(product, axis=axes_of(dim, product.ndim))


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of two or more matrices, in the order that needs the fewest multiplications. The first and the last may be
    vectors: a row and a column, dropped from the result.

    >>> import autograd_gpu as ag
    >>> ag.linalg.multi_dot([ag.ones(3), ag.ones(3, 4), ag.ones(4)])
    tensor(12.)
    """
    tensors = list(tensors)
    if len(tensors) < 2:
        raise RuntimeError("multi_dot(): expected at least 2 tensors but got " + str(len(tensors)))
    first, last = tensors[0], tensors[-1]
    if len(tensors) == 2:
        return matmul(first, last)
    if first.ndim == 1:
        tensors[0] = words.reshape(first, shape=(1, *first.array.shape))
    if last.ndim == 1:
        tensors[-1] = words.reshape(last, shape=(*last.array.shape, 1))
    out = chain_matmul(*tensors)
    rows, columns = first.array.shape[:-1], last.array.shape[1:]  # () for vectors
    return words.reshape(out, shape=rows + columns)
