"""Weights that stay orthogonal while they are learned (Lezcano-Casado, 2019, https://arxiv.org/abs/1909.09501)."""

from __future__ import annotations

from ...autograd import no_grad
from ...core.tensor import Tensor
from ...ops.decompositions import householder_product, linalg_qr, matrix_exp, solve
from ...ops.grid import eye
from ...ops.join import cat
from ..module import Module
from . import parametrize

MAPS = ("matrix_exp", "cayley", "householder")


def _identity(x: Tensor) -> Tensor:
    return eye(x.shape[-1], dtype=x.dtype, device=x.device)


def _made_orthogonal(x: Tensor) -> Tensor:
    """The orthogonal factor of x, of the QR decomposition whose R has a positive diagonal."""
    q, r = linalg_qr(x)
    return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


class _Orthogonal(Module):
    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool):
        super().__init__()
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.shape[-2] < x.shape[-1]
        if wide:
            x = x.mT
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            a = x.tril(diagonal=-1)
            q = householder_product(a, 2.0 / (1.0 + (a * a).sum(dim=-2)))
            q = q * x.detach().diagonal(dim1=-2, dim2=-1).trunc().unsqueeze(-2)  # of ones and minus ones
        else:
            x = x.tril()
            if n != k:
                x = cat([x, x.new_zeros(*x.shape[:-1], n - k)], dim=-1)
            a = x - x.mT
            if self.orthogonal_map == "matrix_exp":
                q = matrix_exp(a)
            else:
                q = solve(_identity(a) - a * 0.5, _identity(a) + a * 0.5)
            if n != k:
                q = q[..., :k]
        if hasattr(self, "base"):
            q = self.base @ q
        return q.mT if wide else q

    @no_grad()
    def right_inverse(self, q: Tensor) -> Tensor:
        """With trivialization the map is one around `base`, which becomes the orthogonal matrix next to q."""
        if q.shape != self.shape:
            raise ValueError(f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {q.shape}.")
        if not hasattr(self, "base"):
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                "use_trivialization=False."
            )
        tall = q.mT if q.shape[-2] < q.shape[-1] else q
        n, k = tall.shape[-2:]
        if n != k:
            tall = cat([tall, tall.new_empty(*tall.shape[:-1], n - k).normal_()], dim=-1)
        self.base = _made_orthogonal(tall)
        start = q.new_zeros(*q.shape)
        start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)  # at which all maps but householder ignore the diagonal, and that is I
        return start


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Let a weight be an orthogonal matrix, or one with orthonormal rows or columns; of more than two dimensions a batch of them.
    It starts as the one next to what it was.

    orthogonal_map       from which parameter: "matrix_exp" and "cayley" of a skew-symmetric one, "householder" of reflections. By
                         default matrix_exp for square matrices and householder for others
    use_trivialization   whether the map is taken around the start (needed for householder here)

    >>> import autograd_gpu as ag
    >>> layer = ag.nn.utils.parametrizations.orthogonal(ag.nn.Linear(3, 5))
    >>> ag.allclose(layer.weight.T @ layer.weight, ag.eye(3), atol=1e-5)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}')
    if orthogonal_map == "householder" and not use_trivialization:
        raise NotImplementedError("orthogonal_map='householder' is supported with use_trivialization=True only")
    made = _Orthogonal(weight, orthogonal_map, use_trivialization)
    return parametrize.register_parametrization(module, name, made, unsafe=True)
