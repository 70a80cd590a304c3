"""The older forms of weight_norm and spectral_norm, whose keys in state_dict many programs know: hooks that compute the weight
anew before each forward. `parametrizations` has the newer ones."""

from __future__ import annotations

from typing import Any

from ...autograd import no_grad
from ...core.tensor import Tensor
from .. import functional as F  # noqa: N812 (its usual name)
from ..module import Module
from ..parameter import Parameter
from .parametrizations import norm_except, transposed


class _Renormalizing:
    """A forward pre-hook that sets the attribute `name` of a module."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, module: Any, args: Any) -> None:
        setattr(module, self.name, self.weight(module, module.training))

    def weight(self, module: Any, training: bool) -> Tensor:
        raise NotImplementedError


class _WeightNorm(_Renormalizing):
    def __init__(self, name: str, dim: int | None):
        super().__init__(name)
        self.dim = -1 if dim is None else dim

    def weight(self, module: Any, training: bool) -> Tensor:
        v = getattr(module, self.name + "_v")
        return v * (getattr(module, self.name + "_g") / norm_except(v, self.dim))


class _SpectralNorm(_Renormalizing):
    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float):
        super().__init__(name)
        if n_power_iterations <= 0:
            raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
        self.n_power_iterations, self.dim, self.eps = n_power_iterations, dim, eps

    def matrix(self, weight: Tensor) -> Tensor:
        if self.dim:
            weight = weight.permute(self.dim, *(d for d in range(weight.ndim) if d != self.dim))
        return weight.reshape(weight.shape[0], -1)

    def weight(self, module: Any, training: bool) -> Tensor:
        weight, u, v = (getattr(module, f"{self.name}_{what}") for what in ("orig", "u", "v"))
        matrix = self.matrix(weight)
        if training:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(matrix.T.mv(u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix.mv(v), dim=0, eps=self.eps))
                u, v = u.clone(), v.clone()  # what the graph keeps is not to be written by the next forward
        return weight / u.dot(matrix.mv(v))


def _hook_on(module: Module, kind: type[_Renormalizing], name: str, what: str) -> Any:
    """The key of the hook of that kind on a parameter. Raises ValueError if there is none."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook.call, kind) and hook.call.name == name:
            return key
    raise ValueError(f"{what} of '{name}' not found in {module}")


def _refuse_second(module: Module, kind: type[_Renormalizing], name: str, what: str) -> None:
    if any(isinstance(h.call, kind) and h.call.name == name for h in module._forward_pre_hooks.values()):
        raise RuntimeError(f"Cannot register two {what} hooks on the same parameter {name}")


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let a weight be g * v / |v|, with the parameters `<name>_g` and `<name>_v`; see `parametrizations.weight_norm`.

    >>> import autograd_gpu as ag
    >>> layer = ag.nn.utils.weight_norm(ag.nn.Linear(4, 3))
    >>> [(name, tuple(p.shape)) for name, p in layer.named_parameters()]
    [('bias', (3,)), ('weight_g', (3, 1)), ('weight_v', (3, 4))]
    """
    _refuse_second(module, _WeightNorm, name, "weight_norm")
    hook = _WeightNorm(name, dim)
    weight = getattr(module, name)
    delattr(module, name)
    module.register_parameter(name + "_g", Parameter(norm_except(weight.detach(), hook.dim)))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    setattr(module, name, hook.weight(module, False))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again, with its present value.

    >>> import autograd_gpu as ag
    >>> layer = ag.nn.utils.remove_weight_norm(ag.nn.utils.weight_norm(ag.nn.Linear(4, 3)))
    >>> [name for name, p in layer.named_parameters()]
    ['bias', 'weight']
    """
    key = _hook_on(module, _WeightNorm, name, "weight_norm")
    hook = module._forward_pre_hooks.pop(key)
    weight = hook.call.weight(module, False).detach()
    for each in (name, name + "_g", name + "_v"):
        delattr(module, each)
    module.register_parameter(name, Parameter(weight))
    return module


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value: the parameter `<name>_orig`, and in the buffers `<name>_u` and `<name>_v`
    the singular vectors; see `parametrizations.spectral_norm`.

    >>> import autograd_gpu as ag
    >>> layer = ag.nn.utils.spectral_norm(ag.nn.Linear(4, 3))
    >>> list(layer.state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    _refuse_second(module, _SpectralNorm, name, "spectral_norm")
    weight = module._parameters.get(name)
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    hook = _SpectralNorm(name, n_power_iterations, (1 if transposed(module) else 0) if dim is None else dim, eps)
    rows, columns = hook.matrix(weight.detach()).shape
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    setattr(module, name, weight.data)
    for what, size in (("u", rows), ("v", columns)):
        start = F.normalize(weight.detach().new_empty(size).normal_(), dim=0, eps=eps)
        module.register_buffer(f"{name}_{what}", start)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again, with its present value.

    >>> import autograd_gpu as ag
    >>> layer = ag.nn.utils.remove_spectral_norm(ag.nn.utils.spectral_norm(ag.nn.Linear(4, 3)))
    >>> list(layer.state_dict())
    ['bias', 'weight']
    """
    key = _hook_on(module, _SpectralNorm, name, "spectral_norm")
    hook = module._forward_pre_hooks.pop(key)
    weight = hook.call.weight(module, False).detach()
    for each in (name, *(f"{name}_{what}" for what in ("orig", "u", "v"))):
        delattr(module, each)
    module.register_parameter(name, Parameter(weight))
    return module
