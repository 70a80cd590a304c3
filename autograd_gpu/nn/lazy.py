"""Modules that learn the size of their input from the first one: torch.nn's Lazy modules.

NOTE [Lazy modules]
    A lazy module is one of its ordinary class, made for an input of size 0. The first call, or the first state_dict loaded, tells
    the size: the parameters, which stay the same objects, get their elements, and the module becomes one of the ordinary class.
    Make the optimizer after that."""

from __future__ import annotations

from typing import Any

from ..backend import beside
from ..core.tensor import Tensor
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .module import Module
from .normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from .parameter import Parameter


class UninitializedParameter(Parameter):
    """A parameter whose shape is not known yet."""


def is_lazy(param: Any) -> bool:
    """Whether a parameter has no shape yet."""
    return isinstance(param, UninitializedParameter)


class _Lazy:
    """What lazy modules share: `_sized` is the attribute that the first input tells, from its dimension `_dim`."""

    _sized = ""
    _dim = 1
    cls_to_become: type[Module]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(0, *args, **kwargs)
        for parameter in self._parameters.values():
            if parameter is not None and not parameter.array.size:
                parameter.__class__ = UninitializedParameter

    def reset_parameters(self) -> None:
        """Nothing yet: done when the size is known."""

    def _shapes(self, size: int) -> dict[str, tuple[int, ...]]:
        raise NotImplementedError

    def initialize_parameters(self, size: int) -> None:
        """Become a module of the ordinary class for inputs of that size. See NOTE [Lazy modules]."""
        setattr(self, self._sized, size)
        for name, shape in self._shapes(size).items():
            t = getattr(self, name)
            if t is not None:
                t.array = beside(t.array).empty(shape, t.array.dtype)
                if is_lazy(t):
                    t.__class__ = Parameter
        self.__class__ = self.cls_to_become
        self.reset_parameters()

    def forward(self, input: Tensor, *args: Any) -> Tensor:
        if isinstance(self, _Lazy):  # no more, where somebody has kept this method and calls it again
            self.initialize_parameters(input.array.shape[self._dim])
        return type(self).forward(self, input, *args)  # of the ordinary class: self.forward may be what has called this

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        size = self._size_of(state_dict, prefix)
        if size is None:
            super()._load_from_state_dict(state_dict, prefix, *rest)
        else:
            self.initialize_parameters(size)
            self._load_from_state_dict(state_dict, prefix, *rest)  # that of the ordinary class

    def _size_of(self, state_dict: dict[str, Any], prefix: str) -> int | None:
        """The size that saved parameters were made for."""
        found = next((state_dict[prefix + n] for n in ("weight", "running_mean") if prefix + n in state_dict), None)
        return None if found is None or not found.array.size else found.array.shape[0]


class LazyLinear(_Lazy, Linear):
    """`Linear` whose in_features is the last size of the first input.

    >>> import autograd_gpu as ag
    >>> layer = ag.nn.LazyLinear(2)
    >>> layer(ag.ones(4, 3)).shape, layer
    (Size([4, 2]), Linear(in_features=3, out_features=2, bias=True))
    """

    _sized, _dim, cls_to_become = "in_features", -1, Linear

    def _shapes(self, size: int) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.out_features, size)}

    def _size_of(self, state_dict: dict[str, Any], prefix: str) -> int | None:
        found = state_dict.get(prefix + "weight")
        return None if found is None or not found.array.size else found.array.shape[1]


class _LazyConv(_Lazy):
    _sized = "in_channels"

    def _shapes(self, size: int) -> dict[str, tuple[int, ...]]:
        if size % self.groups:
            raise ValueError(f"in_channels must be divisible by groups: the input has {size} channels, groups is {self.groups}")
        inside, outside = (self.out_channels, size) if self._transposed else (size, self.out_channels)
        return {"weight": (outside, inside // self.groups, *self.kernel_size)}

    def _size_of(self, state_dict: dict[str, Any], prefix: str) -> int | None:
        found = state_dict.get(prefix + "weight")
        if found is None or not found.array.size:
            return None
        return found.array.shape[0] if self._transposed else found.array.shape[1] * self.groups


class _LazyNorm(_Lazy):
    _sized = "num_features"

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(eps, momentum, affine, track_running_stats, device, dtype)

    def _shapes(self, size: int) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (size,))


def _made(base: type[Module], mixin: type, **attributes: Any) -> type:
    about = f"""`{base.__name__}` whose {mixin._sized} is told by the first input.

    >>> import autograd_gpu as ag
    >>> isinstance(ag.nn.Lazy{base.__name__}, type)
    True
    """
    body = {"__doc__": about, "__module__": __name__, "cls_to_become": base, **attributes}
    return type(f"Lazy{base.__name__}", (mixin, base), body)


LazyConv1d = _made(Conv1d, _LazyConv, _dim=-2)
LazyConv2d = _made(Conv2d, _LazyConv, _dim=-3)
LazyConv3d = _made(Conv3d, _LazyConv, _dim=-4)
LazyConvTranspose1d = _made(ConvTranspose1d, _LazyConv, _dim=-2)
LazyConvTranspose2d = _made(ConvTranspose2d, _LazyConv, _dim=-3)
LazyConvTranspose3d = _made(ConvTranspose3d, _LazyConv, _dim=-4)
LazyBatchNorm1d = _made(BatchNorm1d, _LazyNorm)
LazyBatchNorm2d = _made(BatchNorm2d, _LazyNorm)
LazyBatchNorm3d = _made(BatchNorm3d, _LazyNorm)
LazyInstanceNorm1d = _made(InstanceNorm1d, _LazyNorm, _dim=-2)
LazyInstanceNorm2d = _made(InstanceNorm2d, _LazyNorm, _dim=-3)
LazyInstanceNorm3d = _made(InstanceNorm3d, _LazyNorm, _dim=-4)
