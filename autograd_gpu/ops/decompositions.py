"""Inverses, determinants and factors of matrices, and of batches of them in the last two dimensions.

The rules are those of M. Giles, An extended collection of matrix derivative results (2008), and of PyTorch where a matrix is not
square. Where eigenvalues or singular values are equal, their vectors have no derivative: it is infinite or NaN, as in PyTorch."""

from __future__ import annotations

import math
from typing import Any

from ..core.graph import words
from ..core.primitive import primitive
from ..core.tensor import Tensor
from . import return_types
from .grid import eye
from .join import cat
from .shape import shaped

__all__ = [
    "cholesky", "cholesky_inverse", "cholesky_solve", "det", "inverse", "logdet", "matrix_exp", "pinverse", "qr", "slogdet",
    "svd",
]  # fmt: skip
METHODS: tuple[str, ...] = tuple(__all__)
IN_PLACE: tuple[str, ...] = ()


# -- the ops -------------------------------------------------------------------------------------------------------------


@primitive(x=lambda xp, g, out: -xp.matmul(xp.matmul(xp.mT(out), g), xp.mT(out)))
def _inverse(xp: Any, x: Any) -> Any:
    """The inverse."""
    ...


@primitive(
    a=lambda xp, g, a, out: xp.sum_to(-xp.matmul(xp.solve(xp.mT(a), g), xp.mT(out)), shape=a.shape),
    b=lambda xp, g, a, b_shape: xp.sum_to(xp.solve(xp.mT(a), g), shape=b_shape),  # batches broadcast
)
def _solve(xp: Any, a: Any, b: Any) -> Any:
    """The matrix x for which a @ x is b."""
    ...


def _cholesky_x(xp: Any, g: Any, out: Any) -> Any:
    upper = xp.mT(out)
    p = xp.matmul(upper, g)
    p = (xp.tril(p, diagonal=0) + xp.tril(p, diagonal=-1)) * 0.5
    p = xp.solve(upper, xp.mT(xp.solve(upper, xp.mT(p + xp.mT(p)))))
    return p * 0.5


@primitive(x=_cholesky_x)
def _cholesky(xp: Any, x: Any) -> Any:
    """The lower triangle whose product with its transpose is x."""
    ...


def _column(xp: Any, x: Any) -> Any:
    """Vectors as matrices of one column, numbers as matrices of one element."""
    return xp.reshape(x, shape=(*x.shape, 1))


def _row(xp: Any, x: Any) -> Any:
    return xp.reshape(x, shape=(*x.shape[:-1], 1, x.shape[-1]))


def _number(xp: Any, x: Any) -> Any:
    return xp.reshape(x, shape=(*x.shape, 1, 1))


@primitive(x=lambda xp, g, x, out: _number(xp, g * out) * xp.mT(xp.inverse(x)))
def _det(xp: Any, x: Any) -> Any:
    """The determinant."""
    ...


@primitive(x=lambda xp, gs, x: _number(xp, gs[1]) * xp.mT(xp.inverse(x)), outputs=("sign", "logabsdet"))
def _slogdet(xp: Any, x: Any) -> Any:
    """The sign of the determinant, which has no gradient, and the logarithm of its absolute value."""
    ...


def _over_differences(xp: Any, x: Any, values: Any) -> Any:
    """x[i, j] / (values[j] - values[i]), and 0 where both are 0: between equal values nothing is asked for then."""
    d = _row(xp, values) - _column(xp, values)
    return x / xp.where(xp.abs(d) + xp.abs(x) == 0, xp.ones_like(d), d)


def _eigh_x(xp: Any, gs: Any, w: Any, v: Any) -> Any:
    gw, gv = gs
    vh = xp.mT(v)
    inner = xp.matmul(vh, gv)
    inner = _over_differences(xp, xp.tril(inner, diagonal=-1) + xp.triu(inner, diagonal=1), w)
    return xp.matmul(xp.matmul(v, inner) + v * _row(xp, gw), vh)


@primitive(x=_eigh_x, outputs=("w", "v"))
def _eigh(xp: Any, x: Any) -> Any:
    """Eigenvalues in order and eigenvectors of a symmetric matrix."""
    ...


def _svd_x(xp: Any, gs: Any, u: Any, s: Any, vh: Any) -> Any:
    gu, gs_, gvh = gs
    m, n, k = u.shape[-2], vh.shape[-1], s.shape[-1]
    uh, v = xp.mT(u), xp.mT(vh)
    of_u, of_v = xp.matmul(uh, gu), xp.matmul(gvh, v)
    inner = _over_differences(xp, of_u - xp.mT(of_u), s * s) * _row(xp, s)
    inner = inner + _column(xp, s) * _over_differences(xp, xp.mT(of_v) - of_v, s * s)
    left = xp.matmul(u, inner) + u * _row(xp, gs_)
    if m > k:
        left = left + (gu - xp.matmul(u, of_u)) / _row(xp, s)
    g = xp.matmul(left, vh)
    return g + xp.matmul(u, (gvh - xp.matmul(of_v, vh)) / _column(xp, s)) if n > k else g


@primitive(x=_svd_x, outputs=("u", "s", "vh"))
def _svd(xp: Any, x: Any) -> Any:
    """Singular values, and as many vectors on either side."""
    ...


def _qr_x(xp: Any, gs: Any, q: Any, r: Any) -> Any:
    gq, gr = gs
    p = xp.triu(xp.matmul(gr, xp.mT(r)) - xp.matmul(xp.mT(q), gq), diagonal=0)
    p = p + xp.mT(xp.triu(p, diagonal=1))
    return xp.mT(xp.solve(r, xp.mT(gq + xp.matmul(q, p))))


@primitive(x=_qr_x, outputs=("q", "r"))
def _qr(xp: Any, x: Any) -> Any:
    """Factors of a matrix that has as many rows as columns, or more."""
    ...


def _pinv_x(xp: Any, g: Any, x: Any, out: Any) -> Any:
    p, gt = xp.mT(out), xp.mT(g)
    k = xp.matmul(gt, out)
    kp = xp.matmul(k, p)
    return xp.matmul(p, xp.matmul(out, gt - xp.matmul(k, x))) + kp - xp.matmul(x, xp.matmul(out, kp)) - xp.mT(xp.matmul(out, k))


@primitive(x=_pinv_x)
def _pinv(xp: Any, x: Any, *, rtol: float, atol: float) -> Any:
    """The pseudo-inverse."""
    ...


# -- as PyTorch calls them -----------------------------------------------------------------------------------------------


def _check(name: str, *matrices: Any, square: bool = True) -> None:
    """Raise PyTorch's error for what has no matrices of floating point numbers, square ones if `square`."""
    for a in matrices:
        if not isinstance(a, Tensor):
            raise TypeError(f"{name}(): argument 'A' must be Tensor, not {type(a).__name__}")
        if a.ndim < 2:
            raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
        if a.array.dtype.kind != "f" or a.array.dtype.itemsize < 4:
            raise RuntimeError(f"{name}: Expected a tensor of float32 or float64 as input. Got {a.dtype}")
        if square and a.shape[-1] != a.shape[-2]:
            raise RuntimeError(
                f"{name}: A must be batches of square matrices, but they are {a.shape[-2]} by {a.shape[-1]} matrices"
            )


def inverse(input: Tensor) -> Tensor:
    """The inverse of a square matrix. Raises linalg.LinAlgError if there is none.

    >>> import autograd_gpu as ag
    >>> ag.inverse(ag.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    _check("linalg.inv", input)
    return words.inverse(input)


def det(input: Tensor) -> Tensor:
    """The determinant of a square matrix. Its gradient is computed by the inverse, so backward needs a regular matrix.

    >>> import autograd_gpu as ag
    >>> ag.det(ag.tensor([[2.0, 1.0], [0.0, 4.0]]))
    tensor(8.)
    """
    _check("linalg.det", input)
    return words.det(input)


def slogdet(input: Tensor) -> return_types.slogdet:
    """(sign, logabsdet): the sign of the determinant of a square matrix and the logarithm of its absolute value.

    >>> import autograd_gpu as ag
    >>> ag.slogdet(ag.tensor([[1.0, 0.0], [0.0, -1.0]])).sign
    tensor(-1.)
    """
    _check("linalg.slogdet", input)
    return return_types.slogdet(*words.slogdet(input))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant of a square matrix: NaN if that is negative.

    >>> import autograd_gpu as ag
    >>> ag.logdet(ag.eye(2))
    tensor(0.)
    """
    sign, size = slogdet(input)
    return size + words.log(sign.detach())


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:  # noqa: N803 (PyTorch's names)
    """The X for which A @ X is B, or X @ A with left=False: of a matrix B, or of a vector. Raises linalg.LinAlgError if A is
    singular.

    >>> import autograd_gpu as ag
    >>> ag.linalg.solve(ag.tensor([[2.0, 0.0], [0.0, 4.0]]), ag.tensor([1.0, 1.0]))
    tensor([0.5000, 0.2500])
    """
    _check("linalg.solve", A)
    if not isinstance(B, Tensor) or B.dtype != A.dtype:
        raise RuntimeError(f"linalg.solve: Expected A and B to have the same dtype, but found {A.dtype} and {_dtype(B)} instead")
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1])
    b = shaped(B, (*B.array.shape, 1)) if vector else B
    if not left:
        if vector:
            raise RuntimeError("linalg.solve: Vector broadcasting of the left hand side is not supported for left=False.")
        return words.mT(solve(words.mT(A), words.mT(b)))
    if A.shape[-1] != b.shape[-2]:
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation AX = B ({A.shape[-2]}x{A.shape[-1]} and "
            f"{b.shape[-2]}x{b.shape[-1]})"
        )
    out = words.solve(A, b)
    return shaped(out, out.array.shape[:-1]) if vector else out


def _dtype(x: Any) -> Any:
    return x.dtype if isinstance(x, Tensor) else type(x).__name__


def solve_triangular(
    A: Tensor,  # noqa: N803
    B: Tensor,  # noqa: N803
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
) -> Tensor:
    """`solve` with the upper or the lower triangle of A, which alone is read; `unitriangular` takes its diagonal as ones.

    >>> import autograd_gpu as ag
    >>> ag.linalg.solve_triangular(ag.tensor([[2.0, 9.0], [1.0, 4.0]]), ag.tensor([[1.0], [1.0]]), upper=False)
    tensor([[0.5000],
            [0.1250]])
    """
    _check("linalg.solve_triangular", A)
    offset = int(unitriangular)
    triangle = words.triu(A, diagonal=offset) if upper else words.tril(A, diagonal=-offset)
    if unitriangular:
        triangle = triangle + eye(A.shape[-1], dtype=A.dtype, device=A.device)
    return solve(triangle, B, left=left)


def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """The lower triangle L for which L @ L.mT is a positive-definite matrix, or the upper one, its transpose. Raises
    linalg.LinAlgError if the matrix is not positive-definite.

    >>> import autograd_gpu as ag
    >>> ag.cholesky(ag.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    _check("linalg.cholesky", input)
    lower = words.cholesky(input)
    return words.mT(lower) if upper else lower


def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:  # noqa: N803
    """The X for which A @ X is B, by the Cholesky factor L of A.

    >>> import autograd_gpu as ag
    >>> ag.cholesky_solve(ag.tensor([[8.0]]), ag.tensor([[2.0]]))
    tensor([[2.]])
    """
    _check("cholesky_solve", L)
    lower = words.mT(L) if upper else L
    return solve_triangular(words.mT(lower), solve_triangular(lower, B, upper=False), upper=True)


def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:  # noqa: N803
    """The inverse of a matrix, by its Cholesky factor L.

    >>> import autograd_gpu as ag
    >>> ag.cholesky_inverse(ag.tensor([[2.0]]))
    tensor([[0.2500]])
    """
    _check("cholesky_inverse", L)
    return cholesky_solve(eye(L.shape[-1], dtype=L.dtype, device=L.device), L, upper)


def _symmetric(name: str, a: Tensor, triangle: str) -> Tensor:
    if triangle not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {triangle}")
    _check(name, a)
    return a if triangle == "L" else words.mT(a)


def eigh(A: Tensor, UPLO: str = "L") -> return_types.linalg_eigh:  # noqa: N803
    """(eigenvalues in ascending order, eigenvectors as columns) of a symmetric matrix, of which one triangle is read.

    >>> import autograd_gpu as ag
    >>> ag.linalg.eigh(ag.tensor([[1.0, 0.0], [0.0, 3.0]])).eigenvalues
    tensor([1., 3.])
    """
    return return_types.linalg_eigh(*words.eigh(_symmetric("linalg.eigh", A, UPLO)))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:  # noqa: N803
    """The eigenvalues of a symmetric matrix in ascending order.

    >>> import autograd_gpu as ag
    >>> ag.linalg.eigvalsh(ag.tensor([[0.0, 1.0], [1.0, 0.0]]))
    tensor([-1.,  1.])
    """
    return words.eigh(_symmetric("linalg.eigvalsh", A, UPLO))[0]


def linalg_svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> return_types.linalg_svd:  # noqa: N803
    """(U, S, Vh) for which U @ diag(S) @ Vh is A, singular values descending. Raises NotImplementedError with full_matrices, the
    default, for a matrix that is not square.

    >>> import autograd_gpu as ag
    >>> ag.linalg.svd(ag.tensor([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0]]), full_matrices=False).S
    tensor([3., 2.])
    """
    _check("linalg.svd", A, square=False)
    if full_matrices and A.shape[-1] != A.shape[-2]:
        raise NotImplementedError("linalg.svd: full_matrices=True of a matrix that is not square: pass full_matrices=False")
    return return_types.linalg_svd(*words.svd(A))


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:  # noqa: N803
    """The singular values of a matrix, descending.

    >>> import autograd_gpu as ag
    >>> ag.linalg.svdvals(ag.tensor([[0.0, 2.0], [1.0, 0.0]]))
    tensor([2., 1.])
    """
    _check("linalg.svdvals", A, square=False)
    return words.svd(A)[1]


def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> return_types.svd:
    """(U, S, V) for which U @ diag(S) @ V.mT is the input: PyTorch's older form of `linalg.svd`.

    >>> import autograd_gpu as ag
    >>> ag.svd(ag.tensor([[0.0, 2.0], [1.0, 0.0]])).S
    tensor([2., 1.])
    """
    if not compute_uv:
        raise NotImplementedError("svd: compute_uv=False is not supported: use linalg.svdvals")
    u, s, vh = linalg_svd(input, full_matrices=not some)
    return return_types.svd(u, s, words.mT(vh))


def linalg_qr(A: Tensor, mode: str = "reduced") -> return_types.linalg_qr:  # noqa: N803
    """(Q, R) for which Q @ R is A, Q with orthonormal columns, R upper triangular; Q is empty for mode "r".

    >>> import autograd_gpu as ag
    >>> q, r = ag.linalg.qr(ag.tensor([[0.0, 2.0], [1.0, 3.0], [0.0, 0.0]]))
    >>> q.shape, ag.allclose(q @ r, ag.tensor([[0.0, 2.0], [1.0, 3.0], [0.0, 0.0]]))
    (Size([3, 2]), True)
    """
    _check("linalg.qr", A, square=False)
    m, n = A.shape[-2:]
    if mode == "complete" and m > n:
        raise NotImplementedError("linalg.qr: mode='complete' of a matrix with more rows than columns: use mode='reduced'")
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'")
    if m >= n:
        q, r = words.qr(A)
    else:  # Q is that of the first columns
        q, r = words.qr(A[..., :m])
        r = cat([r, words.matmul(words.mT(q), A[..., m:])], -1)
    return return_types.linalg_qr(A.new_empty(0) if mode == "r" else q, r)


def qr(input: Tensor, some: bool = True) -> return_types.qr:
    """(Q, R): PyTorch's older form of `linalg.qr`.

    >>> import autograd_gpu as ag
    >>> ag.qr(ag.eye(2)).R.abs()
    tensor([[1., 0.],
            [0., 1.]])
    """
    return return_types.qr(*linalg_qr(input, "reduced" if some else "complete"))


def householder_product(A: Tensor, tau: Tensor) -> Tensor:  # noqa: N803
    """The first columns of the product of the reflections 1 - tau[i] * v @ v.T: v is column i of A below the diagonal, 1 on it.

    >>> import autograd_gpu as ag
    >>> ag.linalg.householder_product(ag.zeros(2, 1), ag.tensor([2.0]))
    tensor([[-1.],
            [ 0.]])
    """
    _check("linalg.householder_product", A, square=False)
    n, k = A.shape[-2:]
    if n < k or tau.shape[-1] > k:
        raise RuntimeError(
            f"linalg.householder_product: A must have as many rows as columns or more, and tau no more elements than A columns; "
            f"the shapes are {list(A.shape)} and {list(tau.shape)}"
        )
    identity = eye(n, k, dtype=A.dtype, device=A.device)
    vectors, out = words.tril(A, diagonal=-1) + identity, identity
    for i in reversed(range(tau.shape[-1])):
        v = vectors[..., i : i + 1]
        out = out - words.matmul(v * tau[..., None, i : i + 1], words.matmul(words.mT(v), out))
    return out


def pinv(
    A: Tensor,  # noqa: N803
    *,
    atol: float | None = None,
    rtol: float | None = None,
    hermitian: bool = False,
) -> Tensor:
    """The pseudo-inverse of a matrix; singular values up to max(atol, rtol * the largest) count as zero. rtol is by default
    max(rows, columns) times the dtype's epsilon, or 0 if atol is given.

    >>> import autograd_gpu as ag
    >>> ag.linalg.pinv(ag.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    _check("linalg.pinv", A, square=False)
    if rtol is None:
        rtol = 0.0 if atol else max(A.shape[-2:]) * 2.0 ** (-52 if A.array.dtype.itemsize == 8 else -23)
    return words.pinv(A, rtol=float(rtol), atol=float(atol or 0.0))


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudo-inverse, with singular values up to rcond * the largest one taken as zero.

    >>> import autograd_gpu as ag
    >>> ag.pinverse(ag.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    return pinv(input, rtol=rcond)


def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of a square matrix: by its series, of a matrix halved until it is small, squared as often.

    >>> import autograd_gpu as ag
    >>> ag.matrix_exp(ag.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    _check("linalg.matrix_exp", input)
    size = float(words.sum(words.abs(input.detach()), axis=(-2 % input.ndim,)).max()) if input.numel() else 0.0
    halvings = max(0, math.ceil(math.log2(size)) + 1) if 0 < size < math.inf else 0
    x = input * 0.5**halvings
    identity = eye(input.shape[-1], dtype=input.dtype, device=input.device)
    out = identity + x * (1 / 16)
    for i in range(15, 0, -1):  # what is left out is less than 0.5 ** 17 / 17!
        out = identity + words.matmul(x, out) * (1 / i)
    for _ in range(halvings):
        out = words.matmul(out, out)
    return out
