"""Linear algebra under the names of torch.linalg.

>>> import autograd_gpu as ag
>>> ag.linalg.norm(ag.tensor([3.0, 4.0]))
tensor(5.)
"""

from __future__ import annotations

from .backend.cpu.decompositions import LinAlgError
from .ops.decompositions import (
    cholesky,
    det,
    eigh,
    eigvalsh,
    householder_product,
    matrix_exp,
    pinv,
    slogdet,
    solve,
    solve_triangular,
    svdvals,
)
from .ops.decompositions import inverse as inv
from .ops.decompositions import linalg_qr as qr
from .ops.decompositions import linalg_svd as svd
from .ops.linalg import matmul
from .ops.matrices import matrix_power
from .ops.vectors import linalg_cross as cross
from .ops.vectors import matrix_norm, multi_dot, norm, vecdot, vector_norm

__all__ = [
    "LinAlgError", "cholesky", "cross", "det", "eigh", "eigvalsh", "householder_product", "inv", "matmul", "matrix_exp",
    "matrix_norm", "matrix_power", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd",
    "svdvals", "vecdot", "vector_norm",
]  # fmt: skip
