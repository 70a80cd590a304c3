"""Methods that give a tensor itself another shape: `unsqueeze_`, `squeeze_`, `t_`, `transpose_`; and `fill_diagonal_`."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from ..core.graph import Leaf
from ..core.tensor import Tensor
from .order import swapaxes, swapdims, t, transpose
from .shape import squeeze, unsqueeze

__all__: list[str] = []
METHODS: tuple[str, ...] = ("fill_diagonal_", "squeeze_", "swapaxes_", "swapdims_", "t_", "transpose_", "unsqueeze_")
IN_PLACE: tuple[str, ...] = ()


def _turned(x: Tensor, view: Callable, *arguments: Any, **keywords: Any) -> Tensor:
    """Make x what `view` makes of it."""
    if isinstance(x.node, Leaf):
        raise RuntimeError(
            f"a leaf Variable that requires grad is being used in an in-place operation: take x.{view.__name__}() instead"
        )
    own = x._base is None
    y = view(x, *arguments, **keywords)
    if y is x:
        return x
    if own and y._base is x:
        others = [other for other in getattr(x, "views", ()) if other() is not None and other() is not y]
        if not others:
            x.array, x.node = y.array, y.node
            del y.base
            x.views = []
            return x
        base = Tensor(x.array, x.node)  # stands for x as it was, of which there are views
        base.views = [*others, weakref.ref(x)]
        for other in others:
            other().base = (base, other().base[1])
        x.base, x.views = (base, y.base[1]), []
    elif y._base is not None:
        x.base = y.base
    x.array, x.node = y.array, y.node
    return x


def unsqueeze_(self: Tensor, dim: int) -> Tensor:
    """Give this tensor one dimension more, of size 1.

    >>> import autograd_gpu as ag
    >>> ag.zeros(3).unsqueeze_(0).shape
    Size([1, 3])
    """
    return _turned(self, unsqueeze, dim)


def squeeze_(self: Tensor, dim: Any = None) -> Tensor:
    """Take dimensions of size 1 from this tensor: all, or those named.

    >>> import autograd_gpu as ag
    >>> ag.zeros(1, 3, 1).squeeze_().shape
    Size([3])
    """
    return _turned(self, squeeze) if dim is None else _turned(self, squeeze, dim)


def t_(self: Tensor) -> Tensor:
    """Transpose this matrix itself."""
    return _turned(self, t)


def transpose_(self: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchange two dimensions of this tensor itself."""
    return _turned(self, transpose, dim0, dim1)


def swapaxes_(self: Tensor, axis0: int, axis1: int) -> Tensor:
    """Exchange two dimensions of this tensor itself."""
    return _turned(self, swapaxes, axis0, axis1)


def swapdims_(self: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchange two dimensions of this tensor itself."""
    return _turned(self, swapdims, dim0, dim1)


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write a number onto the main diagonal; with `wrap`, of a tall matrix, again after each square and a row between.

    Raises RuntimeError for fewer than two dimensions, and for more whose sizes differ.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, 3).fill_diagonal_(1.0)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    shape = self.array.shape
    if len(shape) < 2:
        raise RuntimeError(f"dimensions must larger than 1, and this tensor is {list(shape)}")
    if len(shape) > 2:
        if len(set(shape)) > 1:
            raise RuntimeError(f"all dimensions of input must be of equal length, and they are {list(shape)}")
        places = list(range(shape[0]))
        self[(places,) * len(shape)] = fill_value
        return self
    rows, columns = shape
    for start in range(0, rows if wrap else min(rows, 1), columns + 1):
        self[start : start + columns].diagonal().fill_(fill_value)
    return self
