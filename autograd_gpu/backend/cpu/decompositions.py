"""Words for inverses and factors of matrices, or of batches of them, in the last two dimensions: LAPACK, by way of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["cholesky", "det", "eigh", "inverse", "pinv", "qr", "slogdet", "solve", "svd"]


class LinAlgError(RuntimeError):
    """A matrix has no inverse, or no factors of the kind asked for.

    >>> import autograd_gpu as ag
    >>> ag.linalg.inv(ag.zeros(2, 2))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    autograd_gpu.backend.cpu.decompositions.LinAlgError: ...
    """


def inverse(x: Any) -> Any:
    """The inverses."""
    try:
        return np.linalg.inv(x)
    except np.linalg.LinAlgError:
        raise LinAlgError("linalg.inv: The inversion could not be completed because the input matrix is singular.") from None


def solve(a: Any, b: Any) -> Any:
    """The matrices x for which a @ x is b."""
    try:
        return np.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        raise LinAlgError("linalg.solve: The solver failed because the input matrix is singular.") from None


def cholesky(x: Any) -> Any:
    """The lower triangles whose product with their transpose is x, of which only the lower triangle is read."""
    try:
        return np.linalg.cholesky(x)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            "linalg.cholesky: The factorization could not be completed because the input is not positive-definite."
        ) from None


def det(x: Any) -> Any:
    """The determinants."""
    return np.asarray(np.linalg.det(x), x.dtype)


def slogdet(x: Any) -> tuple[Any, Any]:
    """(signs, logarithms of the absolute values) of the determinants."""
    sign, size = np.linalg.slogdet(x)
    return np.asarray(sign, x.dtype), np.asarray(size, x.dtype)


def eigh(x: Any) -> tuple[Any, Any]:
    """(eigenvalues in order, eigenvectors as columns) of symmetric matrices, of which only the lower triangle is read."""
    try:
        values, vectors = np.linalg.eigh(x)
    except np.linalg.LinAlgError:
        raise LinAlgError("linalg.eigh: The algorithm failed to converge because the input matrix is ill-conditioned.") from None
    return values, vectors


def svd(x: Any) -> tuple[Any, Any, Any]:
    """(u, s, vh): x is u @ diag(s) @ vh, s as long as the shorter side."""
    try:
        u, s, vh = np.linalg.svd(x, full_matrices=False)
    except np.linalg.LinAlgError:
        raise LinAlgError("linalg.svd: The algorithm failed to converge because the input matrix is ill-conditioned.") from None
    return u, s, vh


def qr(x: Any) -> tuple[Any, Any]:
    """(q, r): x is q @ r, q with orthonormal columns, r upper triangular."""
    q, r = np.linalg.qr(x)
    return q, r


def pinv(x: Any, *, rtol: float, atol: float) -> Any:
    """The pseudo-inverses, with singular values up to max(atol, rtol * the largest one) taken as zero."""
    u, s, vh = svd(x)
    limit = np.maximum(atol, rtol * s.max(axis=-1, keepdims=True, initial=0))
    kept = s > limit
    return (np.swapaxes(vh, -1, -2) * np.divide(1, s, out=np.zeros_like(s), where=kept)[..., None, :]) @ np.swapaxes(u, -1, -2)
