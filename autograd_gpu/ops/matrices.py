"""Traces, powers, chains of products and Kronecker products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.graph import words
from ..core.tensor import Tensor
from .decompositions import inverse
from .grid import eye
from .linalg import check_ndim, check_tensors
from .shape import shaped

__all__ = ["chain_matmul", "kron", "matrix_power", "trace"]
METHODS: tuple[str, ...] = ("kron", "matrix_power", "trace")
IN_PLACE: tuple[str, ...] = ()


def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix.

    >>> import autograd_gpu as ag
    >>> ag.trace(ag.eye(3))
    tensor(3.)
    """
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return words.sum(words.diagonal(input, offset=0, axis1=0, axis2=1), axis=(0,))


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: `other` times each element of `input`, in blocks.

    >>> import autograd_gpu as ag
    >>> ag.kron(ag.tensor([[1.0, 2.0]]), ag.ones(2, 1))
    tensor([[1., 2.],
            [1., 2.]])
    """
    check_tensors("kron", input=input, other=other)
    ndim = max(input.ndim, other.ndim)
    m = (1,) * (ndim - input.ndim) + input.array.shape
    n = (1,) * (ndim - other.ndim) + other.array.shape
    left = shaped(input, tuple(size for a in m for size in (a, 1)))
    right = shaped(other, tuple(size for b in n for size in (1, b)))
    return shaped(left * right, tuple(a * b for a, b in zip(m, n, strict=True)))


def matrix_power(input: Tensor, n: int) -> Tensor:
    """The n-th power of a square matrix or of a batch of them, by repeated squaring.

    >>> import autograd_gpu as ag
    >>> ag.matrix_power(ag.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise RuntimeError(f"linalg.matrix_power: A must be batches of square matrices, but they are {list(input.shape)}")
    if n < 0:
        return matrix_power(inverse(input), -n)
    if n == 0:
        return _identity_like(input)
    result, square = None, input
    while True:
        if n & 1:
            result = square if result is None else words.matmul(result, square)
        n >>= 1
        if not n:
            return result
        square = words.matmul(square, square)


def _identity_like(x: Tensor) -> Tensor:
    identity = eye(x.array.shape[-1], dtype=x.dtype, device=x.device)
    return words.overwrite(x, identity)  # part of the graph, as in PyTorch, with a gradient of zero


def chain_matmul(*matrices: Any) -> Tensor:
    """The product of several matrices, in the order that needs the fewest multiplications.

    >>> import autograd_gpu as ag
    >>> ag.chain_matmul(ag.ones(2, 3), ag.ones(3, 4), ag.ones(4, 1))
    tensor([[12.],
            [12.]])
    """
    given = list(matrices[0]) if len(matrices) == 1 and not isinstance(matrices[0], Tensor) else list(matrices)
    if not given:
        raise ValueError("chain_matmul(): Expected one or more matrices")
    for i, x in enumerate(given):
        check_ndim(x, 2, f"matrix {i} of chain_matmul")
    return _chain(given, _best_splits(given), 0, len(given) - 1)


def _best_splits(matrices: Sequence[Tensor]) -> dict[tuple[int, int], int]:
    """Where to split each run of matrices, by the classic table (Cormen et al., Introduction to Algorithms, 14.2)."""
    sizes = [matrices[0].shape[0], *(x.shape[1] for x in matrices)]
    cost = {(i, i): 0 for i in range(len(matrices))}
    split = {}
    for length in range(1, len(matrices)):
        for i in range(len(matrices) - length):
            j = i + length
            cost[i, j], split[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )
    return split


def _chain(matrices: Sequence[Tensor], split: dict[tuple[int, int], int], i: int, j: int) -> Tensor:
    if i == j:
        return matrices[i]
    k = split[i, j]
    return words.matmul(_chain(matrices, split, i, k), _chain(matrices, split, k + 1, j))
