"""Products of vectors, matrices and batches of matrices, and the linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ..core.dispatch import NOTHING
from ..core.graph import words
from ..core.primitive import bilinear, primitive
from ..core.tensor import Tensor
from .arguments import axis_of
from .contraction import einsum
from .shape import shaped

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bmm",
    "dot",
    "einsum",
    "ger",
    "inner",
    "linear",
    "matmul",
    "mm",
    "mv",
    "outer",
    "tensordot",
    "vdot",
]
METHODS: tuple[str, ...] = tuple(name for name in __all__ if name not in ("einsum", "linear", "tensordot"))
IN_PLACE: tuple[str, ...] = ("addbmm", "addmm", "addmv", "addr", "baddbmm")


# -- matmul ------------------------------------------------------------------------------------------------------------


def _times(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _check_dtypes(a: Tensor, b: Tensor) -> None:
    if a.dtype != b.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {a.dtype} != {b.dtype}: convert one with .to()")


def _matmul_errors(a: Tensor, b: Tensor) -> None:
    """Raise PyTorch's error if a and b cannot be multiplied."""
    _check_dtypes(a, b)
    if a.shape[-1] != b.shape[-2]:
        if a.ndim == b.ndim == 2:
            raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({_times(a.shape)} and {_times(b.shape)})")
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: {[*b.shape[:-2], a.shape[-1]]} but got: "
            f"{list(b.shape[:-1])}: matmul of shapes {list(a.shape)} and {list(b.shape)}"
        )
    for back in range(3, min(a.ndim, b.ndim) + 1):
        m, n = a.shape[-back], b.shape[-back]
        if m != n and 1 not in (m, n):
            raise RuntimeError(
                f"The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton dimension "
                f"{max(a.ndim, b.ndim) - back}: matmul of shapes {list(a.shape)} and {list(b.shape)}"
            )


@bilinear(
    a=lambda xp, g, b: xp.matmul(g, xp.mT(b)), b=lambda xp, g, a: xp.matmul(xp.mT(a), g), promote=True, errors=_matmul_errors
)
def _matmul(xp: Any, a: Any, b: Any) -> Any:
    """The op behind `matmul`: both have two dimensions or more, and the engine sums gradients over broadcast batches."""
    ...


def check_tensors(name: str, **given: Any) -> None:
    """Raise TypeError, naming the function `name`, unless all its arguments `given` are tensors."""
    for position, (argument, x) in enumerate(given.items(), 1):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type(x).__name__}")


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The product of matrices, of batches of matrices (leading dimensions broadcast), or of vectors: the operator @.

    Vectors count as a row on the left and a column on the right, and that dimension is dropped from the result.
    Raises RuntimeError for shapes that do not fit, different dtypes and tensors without dimensions.

    >>> import autograd_gpu as ag
    >>> ag.matmul(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), ag.tensor([1.0, 10.0]))
    tensor([21., 43.])
    """
    try:
        m, n = input.array.ndim, other.array.ndim
    except AttributeError:
        check_tensors("matmul", input=input, other=other)
        raise
    if m > 1 < n:
        return words.matmul(input, other)
    if m == 0 or n == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {m}D and {n}D")
    if m == n == 1:
        return dot(input, other)
    if m == 1:
        out = words.matmul(shaped(input, (1, *input.array.shape)), other)
        return shaped(out, (*out.array.shape[:-2], out.array.shape[-1]))
    if n == 1 and m == 2:
        return mv(input, other)
    out = words.matmul(input, shaped(other, (*other.array.shape, 1)))
    return shaped(out, out.array.shape[:-1])


def check_ndim(x: Tensor, ndim: int, what: str) -> None:
    """Raise RuntimeError that speaks of `what` unless x has `ndim` dimensions."""
    if x.array.ndim != ndim:
        kind = "matrix" if ndim == 2 else f"{ndim}D tensor"
        raise RuntimeError(f"{what} must be a {kind}, got {x.array.ndim}-D tensor of shape {list(x.shape)}")


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices.

    >>> import autograd_gpu as ag
    >>> ag.mm(ag.ones(2, 3), ag.ones(3, 1))
    tensor([[3.],
            [3.]])
    """
    check_tensors("mm", input=input, mat2=mat2)
    check_ndim(input, 2, "self")
    check_ndim(mat2, 2, "mat2")
    return words.matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices, (b, n, m) and (b, m, p), without broadcasting.

    >>> import autograd_gpu as ag
    >>> ag.bmm(ag.ones(2, 1, 3), ag.ones(2, 3, 1))
    tensor([[[3.]],
    <BLANKLINE>
            [[3.]]])
    """
    check_tensors("bmm", input=input, mat2=mat2)
    check_ndim(input, 3, "batch1")
    check_ndim(mat2, 3, "batch2")
    _check_batches(input, mat2)
    return words.matmul(input, mat2)


def _check_batches(a: Tensor, b: Tensor) -> None:
    expected = [a.shape[0], a.shape[2]]
    if expected != list(b.shape[:2]):
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: {expected} but got: {list(b.shape[:2])}: the shapes "
            f"are {list(a.shape)} and {list(b.shape)}"
        )


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector.

    >>> import autograd_gpu as ag
    >>> ag.mv(ag.ones(2, 3), ag.tensor([1.0, 2.0, 3.0]))
    tensor([6., 6.])
    """
    check_tensors("mv", input=input, vec=vec)
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {input.ndim}, {vec.ndim}")
    (n, m), (k,) = input.array.shape, vec.array.shape
    if m != k:
        raise RuntimeError(f"size mismatch, got input ({n}), mat ({n}x{m}), vec ({k})")
    return shaped(words.matmul(input, shaped(vec, (k, 1))), (n,))


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors of one length.

    >>> import autograd_gpu as ag
    >>> ag.dot(ag.tensor([2.0, 3.0]), ag.tensor([2.0, 1.0]))
    tensor(7.)
    """
    check_tensors("dot", input=input, tensor=tensor)
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    if input.dtype != tensor.dtype:
        raise RuntimeError(f"dot : expected both vectors to have same dtype, but found {input.dtype} and {tensor.dtype}")
    (n,), (k,) = input.array.shape, tensor.array.shape
    if n != k:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{n}] and src [{k}] to have the same number of elements, but got {n} and "
            f"{k} elements respectively"
        )
    return shaped(words.matmul(shaped(input, (1, n)), shaped(tensor, (n, 1))), ())


vdot = dot  # they differ for complex numbers only


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The inner products of the last dimensions, for all pairs of leading ones; the plain product if one has no dimensions.

    >>> import autograd_gpu as ag
    >>> ag.inner(ag.ones(2, 3), ag.tensor([1.0, 2.0, 3.0]))
    tensor([6., 6.])
    """
    check_tensors("inner", input=input, other=other)
    if not input.ndim or not other.ndim:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(input.shape)} and "
            f"{list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of all pairs of elements of two vectors, as a matrix.

    >>> import autograd_gpu as ag
    >>> ag.outer(ag.tensor([1.0, 2.0]), ag.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    check_tensors("outer", input=input, vec2=vec2)
    for name, x in (("self", input), ("vec2", vec2)):
        if x.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {x.ndim}-D")
    return shaped(input, (*input.array.shape, 1)) * vec2


ger = outer


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The product of a and b summed over pairs of dimensions: the last `dims` of a with the first of b, or those in two lists.

    >>> import autograd_gpu as ag
    >>> ag.tensordot(ag.ones(2, 3, 4), ag.ones(4, 3), dims=([1, 2], [1, 0]))
    tensor([12., 12.])
    """
    check_tensors("tensordot", a=a, b=b)
    if hasattr(dims, "__index__"):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        dims = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    of_a, of_b = ([d] if hasattr(d, "__index__") else list(d) for d in dims)
    if len(of_a) != len(of_b):
        raise RuntimeError(f"both dimension lists should have the same length: {of_a} and {of_b}")
    of_a, of_b = [axis_of(d, a.ndim) for d in of_a], [axis_of(d, b.ndim) for d in of_b]
    for i, j in zip(of_a, of_b, strict=True):
        if a.shape[i] != b.shape[j]:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} and second has size "
                f"{b.shape[j]} in dim {j}: the shapes are {list(a.shape)} and {list(b.shape)}"
            )
    kept_a, kept_b = [i for i in range(a.ndim) if i not in of_a], [j for j in range(b.ndim) if j not in of_b]
    shape_a, shape_b = [a.array.shape[i] for i in kept_a], [b.array.shape[j] for j in kept_b]
    summed = prod(a.array.shape[i] for i in of_a)
    left = shaped(words.transpose(a, axes=(*kept_a, *of_a)), (prod(shape_a), summed))
    right = shaped(words.transpose(b, axes=(*of_b, *kept_b)), (summed, prod(shape_b)))
    return shaped(words.matmul(left, right), (*shape_a, *shape_b))


# -- products added to something -----------------------------------------------------------------------------------------


def _plus(input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta * input + alpha * product; with beta = 0 what is in `input` does not matter, not even NaN."""
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        return product
    return (input if beta == 1 else input * beta) + product


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2).

    >>> import autograd_gpu as ag
    >>> ag.addmm(ag.tensor([1.0]), ag.ones(1, 2), ag.ones(2, 2), alpha=3)
    tensor([[7., 7.]])
    """
    return _plus(input, mm(mat1, mat2), beta, alpha)


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec).

    >>> import autograd_gpu as ag
    >>> ag.addmv(ag.tensor([1.0, 2.0]), ag.ones(2, 3), ag.ones(3), beta=10)
    tensor([13., 23.])
    """
    return _plus(input, mv(mat, vec), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2).

    >>> import autograd_gpu as ag
    >>> ag.addr(ag.zeros(2, 2), ag.tensor([1.0, 2.0]), ag.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    return _plus(input, outer(vec1, vec2), beta, alpha)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * bmm(batch1, batch2).

    >>> import autograd_gpu as ag
    >>> ag.baddbmm(ag.ones(2, 1, 1), ag.ones(2, 1, 3), ag.ones(2, 3, 1))
    tensor([[[4.]],
    <BLANKLINE>
            [[4.]]])
    """
    return _plus(input, bmm(batch1, batch2), beta, alpha)


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * the sum of the products in the batch.

    >>> import autograd_gpu as ag
    >>> ag.addbmm(ag.ones(1, 1), ag.ones(2, 1, 3), ag.ones(2, 3, 1))
    tensor([[7.]])
    """
    check_ndim(batch1, 3, "batch1")
    check_ndim(batch2, 3, "batch2")
    _check_batches(batch1, batch2)
    return _plus(input, tensordot(batch1, batch2, ([0, 2], [0, 1])), beta, alpha)


# -- linear ------------------------------------------------------------------------------------------------------------


def _rows(xp: Any, x: Any) -> Any:
    """x as a matrix: all dimensions but the last in one."""
    return x if x.ndim == 2 else xp.reshape(x, shape=(prod(x.shape[:-1]), x.shape[-1]))


def _linear_errors(x: Tensor, weight: Tensor, bias: Tensor = NOTHING) -> None:
    """Raise PyTorch's error if a linear layer cannot be computed of these."""
    _check_dtypes(x, weight)
    if weight.ndim != 2:
        raise RuntimeError(f"linear(): weight must be a matrix (out, in), but its shape is {list(weight.shape)}")
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        rows = x.shape if x.ndim == 2 else (prod(x.shape[:-1]), x.shape[-1] if x.ndim else 1)
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({_times(rows)} and {_times(weight.shape[::-1])}): linear() of input "
            f"{list(x.shape)} with weight {list(weight.shape)}, whose columns must be as many as the last dimension of the input"
        )
    if bias.array is not None:
        if bias.dtype != x.dtype:
            raise RuntimeError(f"linear(): input and bias must have the same dtype, but got {x.dtype} and {bias.dtype}")
        have = bias.shape[-1] if bias.ndim else 1
        raise RuntimeError(
            f"The expanded size of the tensor ({weight.shape[0]}) must match the existing size ({have}) at "
            f"non-singleton dimension 1: bias {list(bias.shape)} with weight {list(weight.shape)}"
        )


@primitive(
    x=lambda xp, g, weight: xp.matmul(g, weight),
    weight=lambda xp, g, x: xp.matmul(xp.mT(_rows(xp, g)), _rows(xp, x)),
    bias=lambda xp, g, bias_shape: xp.sum_to(g, shape=bias_shape),
    promote=("x", "weight"),
    errors=_linear_errors,
)
def _linear(xp: Any, x: Any, weight: Any, bias: Any) -> Any:
    """The op behind `linear`: x has two dimensions or more."""
    ...


def _linear_vector(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`linear` with a vector for weight: a number for each vector of the input."""
    if bias is not None and input.ndim > 1:
        raise RuntimeError(f"mat2 must be a matrix, got 1-D tensor: weight {list(weight.shape)} and input {list(input.shape)}")
    _check_dtypes(input, weight)
    out = matmul(input, weight)
    return out if bias is None else out + bias


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias as one op, for `input` (..., in), `weight` (out, in), or (in) without a bias, and `bias` (out).

    Raises RuntimeError for shapes that do not fit and for different dtypes.

    >>> import autograd_gpu as ag
    >>> ag.linear(ag.tensor([1.0, 2.0]), ag.tensor([[1.0, 1.0], [0.0, 3.0]]), ag.tensor([10.0, 20.0]))
    tensor([13., 26.])
    """
    if isinstance(input, Tensor) and isinstance(weight, Tensor):
        if weight.array.ndim == 1:
            return _linear_vector(input, weight, bias)
        if input.array.ndim == 1:
            return linear(shaped(input, (1, *input.array.shape)), weight, bias).reshape((-1,))
        if not input.array.ndim:
            raise RuntimeError(f"both arguments to linear need to be at least 1D, but they are 0D and {weight.ndim}D")
    return words.linear(input, weight, NOTHING if bias is None else bias)
