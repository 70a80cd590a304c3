"""Sampling: images read at places that a grid names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

from .. import backend
from ..backend import cpu
from ..backend.promotion import boolean, category, int64
from ..core.graph import words
from ..core.tensor import Tensor
from .arguments import shape_of
from .grid import spaced
from .linalg import check_tensors
from .resample import cubic_weights

__all__ = ["affine_grid", "grid_sample"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


# -- coordinates -----------------------------------------------------------------------------------------------------------
#
# A grid holds places between -1 and 1; here they are counted in elements of a dimension of n. What lies on the border, or
# beyond it, has no gradient, as in PyTorch.


def _counted(place: Tensor, n: int, align_corners: bool) -> Tensor:
    return (place + 1) * ((n - 1) / 2) if align_corners else ((place + 1) * n - 1) / 2


def _clipped(x: Tensor, n: int) -> Tensor:
    within = words.logical_and(x > 0, x < n - 1)
    return words.where(within, x, words.clamp(x.detach(), min=0, max=n - 1))


def _reflected(x: Tensor, n: int, align_corners: bool) -> Tensor:
    """x thrown back at the border elements' centers, or at their outer edges, as often as it takes."""
    low, span = (0.0, float(n - 1)) if align_corners else (-0.5, float(n))
    if not span:
        return x * 0
    held = x.detach()
    times = words.floor(words.abs(held - low) / span)
    sign = words.where(held < low, words.ones_like(held) * -1, words.ones_like(held))
    away = (x - low) * sign - times * span  # with the gradient of the branch that x is in
    odd = times - words.floor(times / 2) * 2 > 0
    return words.where(odd, span - away, away) + low


_PADDINGS: dict[str, Callable] = {
    "zeros": lambda x, n, align_corners: x,
    "border": lambda x, n, align_corners: _clipped(x, n),
    "reflection": lambda x, n, align_corners: _clipped(_reflected(x, n, align_corners), n),
}


class _Image:
    """The elements of (N, C, ...) as rows of C, and a row of zeros for what lies outside."""

    def __init__(self, x: Tensor):
        n, c, *self.sizes = x.array.shape
        self.count = n * prod(self.sizes)
        rows = words.reshape(words.transpose(x, axes=(0, *range(2, x.array.ndim), 1)), shape=(self.count, c))
        self.rows = words.unslice(rows, spec=((0, self.count, None), ...), shape=(self.count + 1, c))
        xp = backend.beside(x.array)
        first = xp.mul(xp.arange(n), xp.full((), prod(self.sizes), int64))
        self.first = Tensor(first.reshape((n,) + (1,) * len(self.sizes)))

    def at(self, places: Sequence[Tensor]) -> Tensor:
        """The elements at whole numbers, one tensor a dimension."""
        index, inside = self.first, None
        for axis, (x, n) in enumerate(zip(places, self.sizes, strict=True)):
            here = words.logical_and(x >= 0, x <= n - 1)
            inside = here if inside is None else words.logical_and(inside, here)
            whole = words.astype(words.where(here, x, words.zeros_like(x)), dtype=int64)
            index = index + whole * prod(self.sizes[axis + 1 :])
        index = words.where(inside, index, words.ones_like(index) * self.count)
        return words.index(self.rows, index, axes=(0,))


def _nearest(image: _Image, places: list[Tensor]) -> Tensor:
    found = image.at([words.round(x.detach()) for x in places])
    if places[0].node is None:
        return found
    always = Tensor(backend.beside(found.array).ones((), boolean))  # by which the grid gets a gradient, of zeros
    return words.where(always, found, words.reshape(places[0], shape=(*places[0].array.shape, 1)))


def _linear(image: _Image, places: list[Tensor]) -> Tensor:
    """The sum of the elements around, each by how near it is."""
    low = [words.floor(x.detach()) for x in places]
    part = [x - f for x, f in zip(places, low, strict=True)]
    total = None
    for corner in product((0, 1), repeat=len(places)):
        weight = None
        for k, far in enumerate(corner):
            share = part[k] if far else 1 - part[k]
            weight = share if weight is None else weight * share
        found = image.at([f + far if far else f for f, far in zip(low, corner, strict=True)])
        found = found * words.reshape(weight, shape=(*weight.array.shape, 1))
        total = found if total is None else total + found
    return total


def _cubic(image: _Image, places: list[Tensor], back_in: Callable) -> Tensor:
    """The sum of sixteen elements, whose places are brought `back_in` one by one."""
    low = [words.floor(x.detach()) for x in places]
    rows, columns = [cubic_weights(x - f) for x, f in zip(places, low, strict=True)]
    total = None
    for i, j in product(range(4), repeat=2):
        weight = rows[i] * columns[j]
        found = image.at([back_in(low[0] + (i - 1), 0), back_in(low[1] + (j - 1), 1)])
        found = found * words.reshape(weight, shape=(*weight.array.shape, 1))
        total = found if total is None else total + found
    return total


def _check(input: Tensor, grid: Tensor, mode: str) -> None:
    x, g = input.array.shape, grid.array.shape
    both = f"but got input with sizes {list(x)} and grid with sizes {list(g)}"
    if x[:1] != g[:1]:
        raise RuntimeError(f"grid_sampler(): expected grid and input to have same batch size, {both}")
    if not g or g[-1] != len(x) - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {len(x) - 2} in last dimension, but got grid with sizes {list(g)}"
        )
    for axis in range(2, len(x)):
        if not x[axis]:
            raise RuntimeError(
                f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(x)} with "
                f"dimension {axis} being empty"
            )
    if len(x) not in (4, 5) or len(g) != len(x):
        raise RuntimeError(f"grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, {both}")
    if input.array.dtype != grid.array.dtype or category(input.array.dtype) < 2:
        raise RuntimeError(
            "grid_sampler(): expected input and grid to have same dtype, of floating point, but input has "
            f"{input.dtype} and grid has {grid.dtype}"
        )
    if mode == "bicubic" and len(x) != 4:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """The elements of `input`, (N, C, H, W) or (N, C, D, H, W), at the places in `grid`, (N, H', W', 2) or (N, D', H', W', 3):
    x, y (and z) of each element of the result, between -1 and 1.

    mode            "bilinear" (of 8 elements in three dimensions), "nearest", or "bicubic" (two dimensions only)
    padding_mode    what lies outside: "zeros", "border" (the nearest element) or "reflection"
    align_corners   whether -1 and 1 are the centers of the border elements, or their outer edges (the default)
    Raises RuntimeError for shapes that do not fit, ValueError for a mode there is not.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> ag.grid_sample(x, ag.tensor([[[[0.0, 0.0], [1.0, 1.0]]]]), align_corners=True)
    tensor([[[[2.5000, 4.0000]]]])
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    check_tensors("grid_sample", input=input, grid=grid)
    _check(input, grid, mode)
    align, sizes = bool(align_corners), input.array.shape[2:]
    axes = range(len(sizes))
    named = [words.slice(grid, spec=(..., len(sizes) - 1 - k)) for k in axes]  # the last of the grid is the first dimension
    places = [_counted(named[k], sizes[k], align) for k in axes]
    inside = _PADDINGS[padding_mode]
    image = _Image(input)
    if mode == "bicubic":
        out = _cubic(image, places, lambda x, k: inside(x, sizes[k], align))
    else:
        places = [inside(places[k], sizes[k], align) for k in axes]
        out = (_nearest if mode == "nearest" else _linear)(image, places)
    last = len(sizes) + 1
    return words.transpose(out, axes=(0, last, *range(1, last)))


# -- grids -----------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _base(sizes: tuple[int, ...], align_corners: bool, dtype: Any, device: Any) -> Tensor:
    """The places of all elements of an image of `sizes`, x first, and a one: a row for each element."""
    count, columns = prod(sizes), []
    for axis in reversed(range(len(sizes))):
        line = _places(sizes[axis], align_corners, dtype).reshape((-1,) + (1,) * (len(sizes) - 1 - axis))
        columns.append(cpu.broadcast_to(line, shape=sizes).reshape(count, 1))
    columns.append(cpu.ones((count, 1), dtype))
    return Tensor(backend.move(cpu.cat(*columns, axis=1), device))


def _places(n: int, align_corners: bool, dtype: Any) -> Any:
    """The places of n elements in a row. They lie on the kinks of what `grid_sample` computes, so that their last bit decides on
    a gradient: they are PyTorch's."""
    if n == 1:
        return cpu.zeros((1,), dtype)
    line = cpu.guarded(spaced, "affine_grid")(cpu, -1, 1, n, dtype)
    return line if align_corners else line * dtype.type(n - 1) / dtype.type(n)


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid with which `grid_sample` draws an image of `size`, (N, C, H, W) or (N, C, D, H, W), moved by the affine maps
    `theta`, (N, 2, 3) or (N, 3, 4). Raises RuntimeError, ValueError or NotImplementedError for shapes that do not fit.

    >>> import autograd_gpu as ag
    >>> ag.affine_grid(ag.tensor([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2), align_corners=True)
    tensor([[[[-0.5000,  0.0000],
              [ 1.5000,  0.0000]]]])
    """
    check_tensors("affine_grid", theta=theta)
    if category(theta.array.dtype) < 2:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    size, shape = shape_of((size,)), theta.array.shape
    if len(size) not in (4, 5):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size {list(size)}."
        )
    dims = len(size) - 2
    if len(shape) != 3 or shape[1:] != (dims, dims + 1):
        raise ValueError(
            f"Expected a batch of {dims}D affine matrices of shape Nx{dims}x{dims + 1} for size {list(size)}. Got {list(shape)}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {list(size)}")
    if shape[0] != size[0]:
        raise RuntimeError(f"Expected as many affine matrices as there are images: theta is {list(shape)}, size {list(size)}")
    base = _base(size[2:], bool(align_corners), theta.array.dtype, theta.device)
    out = words.matmul(base, words.transpose(theta, axes=(0, 2, 1)))
    return words.reshape(out, shape=(size[0], *size[2:], dims))
