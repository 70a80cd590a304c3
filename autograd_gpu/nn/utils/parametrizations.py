"""Parametrizations to use: weights with a learned length, with a bounded spectral norm, and orthogonal ones."""

from __future__ import annotations

from typing import Any

from ...autograd import no_grad
from ...core.tensor import Tensor
from .. import functional as F  # noqa: N812 (its usual name)
from ..module import Module
from . import parametrize
from .orthogonality import orthogonal

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def norm_except(v: Tensor, dim: int) -> Tensor:
    """The 2-norms of the slices of `v` along a dimension, with 1 for the others; of everything for dim = -1."""
    if dim == -1:
        return v.norm()
    return v.norm(dim=[i for i in range(v.ndim) if i != dim % v.ndim], keepdim=True) if v.ndim > 1 else v.abs()


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        return v * (g / norm_except(v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(weight, self.dim), weight.clone()


def _from_old_names(name: str) -> Any:
    """A hook that loads what the old `weight_norm` saved."""

    def rename(state: dict[str, Any], prefix: str, *rest: Any) -> None:
        old, new = (f"{prefix}{name}_g", f"{prefix}{name}_v"), [f"{prefix}parametrizations.{name}.original{i}" for i in (0, 1)]
        if all(key in state for key in old):
            for o, n in zip(old, new, strict=True):
                state[n] = state.pop(o)

    return rename


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let a weight be g * v / |v|, with its length g and its direction v learned apart: one length for each slice along `dim`, or
    one for all with None (Salimans and Kingma, 2016, https://arxiv.org/abs/1602.07868). g is `original0`, v `original1`.

    >>> import autograd_gpu as ag
    >>> layer = ag.nn.utils.parametrizations.weight_norm(ag.nn.Linear(4, 3))
    >>> [(name, tuple(p.shape)) for name, p in layer.named_parameters()]
    [('bias', (3,)), ('parametrizations.weight.original0', (3, 1)), ('parametrizations.weight.original1', (3, 4))]
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module._register_load_state_dict_pre_hook(_from_old_names(name))
    return module


class _SpectralNorm(Module):
    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12):
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{weight.ndim}, {weight.ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
        self.dim = dim if dim >= 0 else dim + weight.ndim
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            with no_grad():
                matrix = self._matrix(weight)
                self.register_buffer("_u", F.normalize(matrix.new_empty(matrix.shape[0]).normal_(), dim=0, eps=eps))
                self.register_buffer("_v", F.normalize(matrix.new_empty(matrix.shape[1]).normal_(), dim=0, eps=eps))
                self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        if self.dim:
            weight = weight.permute(self.dim, *(d for d in range(weight.ndim) if d != self.dim))
        return weight.flatten(1)

    def _iterate(self, matrix: Tensor, times: int) -> None:
        """Bring _u and _v closer to the first singular vectors, in place."""
        u, v = self._u, self._v
        for _ in range(times):
            u = F.normalize(matrix.mv(v), dim=0, eps=self.eps)
            v = F.normalize(matrix.T.mv(u), dim=0, eps=self.eps)
        self._u.copy_(u)
        self._v.copy_(v)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            with no_grad():
                self._iterate(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # what the graph keeps is not to be written by the next forward
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def transposed(module: Module) -> bool:
    """Whether the weight of a module has its outputs in the second dimension."""
    return type(module).__name__.removeprefix("Parametrized").startswith("ConvTranspose")


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value, estimated by power iteration, one step a forward in training mode (Miyato et
    al., 2018, https://arxiv.org/abs/1802.05957). `dim` is that of the outputs.

    >>> import autograd_gpu as ag
    >>> layer = ag.nn.utils.parametrizations.spectral_norm(ag.nn.Linear(4, 4), n_power_iterations=20)
    >>> x = ag.randn(4)
    >>> bool((layer.weight @ x).norm() <= x.norm() * 1.01)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        dim = 1 if transposed(module) else 0
    return parametrize.register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
