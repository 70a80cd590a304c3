"""Linear algebra under the names of torch.linalg.

>>> import autograd_gpu as ag
>>> ag.linalg.norm(ag.tensor([3.0, 4.0]))
tensor(5.)
"""

from __future__ import annotations

from .ops.linalg import matmul
from .ops.matrices import matrix_power
from .ops.vectors import linalg_cross as cross
from .ops.vectors import matrix_norm, multi_dot, norm, vecdot, vector_norm

__all__ = ["cross", "matmul", "matrix_norm", "matrix_power", "multi_dot", "norm", "vecdot", "vector_norm"]
