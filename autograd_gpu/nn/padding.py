"""Padding as modules: what stands at both ends of the last one, two or three dimensions. See `functional.pad`."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from . import functional as F
from .module import Module

_KINDS = {"ConstantPad": "constant", "ZeroPad": "constant", "ReflectionPad": "reflect", "ReplicationPad": "replicate",
          "CircularPad": "circular"}  # fmt: skip

__all__ = [f"{kind}{dims}d" for kind in _KINDS for dims in (1, 2, 3)]


class _Pad(Module):
    _dims, _mode = 1, "constant"
    value: Any = None

    def __init__(self, padding: Any):
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * (2 * self._dims)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad1d(_Pad):
    """More elements, `value`, before and after those of the last dimension: `padding` of them, or (left, right).

    >>> import autograd_gpu as ag
    >>> ag.nn.ConstantPad1d((1, 2), 0.5)(ag.tensor([[1.0, 2.0]]))
    tensor([[0.5000, 1.0000, 2.0000, 0.5000, 0.5000]])
    """

    def __init__(self, padding: Any, value: float):
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad2d(ConstantPad1d):
    """More elements, `value`, around those of the last two dimensions: `padding` is (left, right, top, bottom)."""

    _dims = 2


class ConstantPad3d(ConstantPad1d):
    """More elements, `value`, around those of the last three dimensions: `padding` is (left, right, top, bottom, front, back)."""

    _dims = 3


class ZeroPad1d(_Pad):
    """Zeros before and after the elements of the last dimension: `padding` of them, or (left, right).

    >>> import autograd_gpu as ag
    >>> ag.nn.ZeroPad1d(1)(ag.tensor([[1.0, 2.0]]))
    tensor([[0., 1., 2., 0.]])
    """

    def __init__(self, padding: Any):
        super().__init__(padding)
        self.value = 0.0


class ZeroPad2d(ZeroPad1d):
    """Zeros around the elements of the last two dimensions: `padding` is (left, right, top, bottom)."""

    _dims = 2


class ZeroPad3d(ZeroPad1d):
    """Zeros around the elements of the last three dimensions: `padding` is (left, right, top, bottom, front, back)."""

    _dims = 3


class ReflectionPad1d(_Pad):
    """The elements mirrored at the first and the last of the last dimension: `padding` of them, or (left, right).

    >>> import autograd_gpu as ag
    >>> ag.nn.ReflectionPad1d(2)(ag.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    _mode = "reflect"


class ReflectionPad2d(ReflectionPad1d):
    """The elements mirrored at the border of the last two dimensions: `padding` is (left, right, top, bottom)."""

    _dims = 2


class ReflectionPad3d(ReflectionPad1d):
    """The elements mirrored at the border of the last three dimensions: `padding` is (left, right, top, bottom, front, back)."""

    _dims = 3


class ReplicationPad1d(_Pad):
    """The first and the last element of the last dimension again: `padding` times, or (left, right) times.

    >>> import autograd_gpu as ag
    >>> ag.nn.ReplicationPad1d(2)(ag.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 1., 2., 3., 3., 3.]])
    """

    _mode = "replicate"


class ReplicationPad2d(ReplicationPad1d):
    """The elements of the border of the last two dimensions again: `padding` is (left, right, top, bottom)."""

    _dims = 2


class ReplicationPad3d(ReplicationPad1d):
    """The elements of the border of the last three dimensions again: `padding` is (left, right, top, bottom, front, back)."""

    _dims = 3


class CircularPad1d(_Pad):
    """The elements of the other end of the last dimension: `padding` of them, or (left, right).

    >>> import autograd_gpu as ag
    >>> ag.nn.CircularPad1d(1)(ag.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    _mode = "circular"


class CircularPad2d(CircularPad1d):
    """The elements of the other ends of the last two dimensions: `padding` is (left, right, top, bottom)."""

    _dims = 2


class CircularPad3d(CircularPad1d):
    """The elements of the other ends of the last three dimensions: `padding` is (left, right, top, bottom, front, back)."""

    _dims = 3
