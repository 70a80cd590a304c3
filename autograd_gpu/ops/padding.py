"""Padding: more elements around those there are."""

from __future__ import annotations

from collections.abc import Sequence

from .. import backend
from ..core.graph import words
from ..core.inplace import put_view
from ..core.tensor import Tensor
from .arguments import FULL, shape_of

__all__ = ["pad"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """More elements before and after those there are. `pad` holds two numbers for each dimension, that of the last first;
    negative ones take elements away.

    mode: "constant", new elements are `value`, by default 0; "replicate", they are the nearest; "reflect", those as far on
    the other side of the border element; "circular", those of the other end. All but constant are for the last 1, 2 or 3
    dimensions behind one or two others.

    >>> import autograd_gpu as ag
    >>> ag.pad(ag.tensor([[1, 2, 3]]), (2, 1))
    tensor([[0, 0, 1, 2, 3, 0]])
    >>> ag.pad(ag.tensor([[1, 2, 3]]), (2, 1), mode="reflect")
    tensor([[3, 2, 1, 2, 3, 2]])
    """
    pad, ndim = shape_of((pad,)), input.array.ndim
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {ndim}"
        )
    widths = {ndim - 1 - k: (pad[2 * k], pad[2 * k + 1]) for k in range(len(pad) // 2)}
    if mode == "constant":
        return _constant(input, widths, 0 if value is None else value)
    if mode not in _SIDES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if len(pad) not in (2, 4, 6) or ndim - len(pad) // 2 not in (1, 2):
        raise NotImplementedError(
            f"Padding size {len(pad)} is not supported for {ndim}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    if mode != "circular" and 0 in input.array.shape[ndim - len(pad) // 2 - 1 :]:
        raise RuntimeError(
            f"Expected {ndim}D tensor with possibly 0 batch size and other non-zero dimensions for input, but got: "
            f"{list(input.array.shape)}"
        )
    for axis, (before, after) in widths.items():
        input = _sides(input, axis, before, after, mode)
    return input


def _constant(x: Tensor, widths: dict[int, tuple[int, int]], value: float) -> Tensor:
    x = _cropped(x, widths)
    both = [tuple(max(n, 0) for n in widths.get(i, (0, 0))) for i in range(x.array.ndim)]
    if not any(map(any, both)):
        return words.clone(x)
    shape = tuple([before + n + after for n, (before, after) in zip(x.array.shape, both, strict=True)])
    inner = tuple([(before, before + n, None) for n, (before, _) in zip(x.array.shape, both, strict=True)])
    if not value:
        return words.unslice(x, spec=(*inner, ...), shape=shape)
    around = Tensor(backend.beside(x.array).full(shape, value, x.array.dtype))
    return put_view(around, x, chain=((words.slice.op, {"spec": (*inner, ...)}, None),))


def _cropped(x: Tensor, widths: dict[int, tuple[int, int]]) -> Tensor:
    """x without what negative widths take away."""
    spec = [FULL] * x.array.ndim
    for axis, (before, after) in widths.items():
        n = x.array.shape[axis]
        start, stop = max(-before, 0), n - max(-after, 0)
        if start > stop:
            raise RuntimeError(
                f"narrow(): length must be non-negative. Padding ({before}, {after}) takes more than the {n} of dimension {axis}."
            )
        if stop - start < n:
            spec[axis] = (start, stop, None)
    return x if all(s is FULL for s in spec) else words.slice(x, spec=(*spec, ...))


# what stands before and after a dimension of n elements: the slice of it, and what is done with that
_SIDES = {
    "reflect": lambda n, before, after: ((1, before + 1), (n - 1 - after, n - 1)),
    "replicate": lambda n, before, after: ((0, 1), (n - 1, n)),
    "circular": lambda n, before, after: ((n - before, n), (0, after)),
}


def _sides(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """x with one dimension padded by elements of its own."""
    if mode == "circular":
        x = _cropped(x, {axis: (before, after)})  # here what is taken away is not seen at the other end
    n, widths = x.array.shape[axis], (max(before, 0), max(after, 0))
    if mode == "reflect" and max(widths) >= n:
        raise RuntimeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
            f"({before}, {after}) at dimension {axis} of input {list(x.array.shape)}"
        )
    if mode == "circular" and max(widths) > n:
        raise RuntimeError("Padding value causes wrapping around more than once.")
    pieces = [x]
    for place, width, (start, stop) in zip((0, 2), widths, _SIDES[mode](n, *widths), strict=True):
        if width:
            piece = words.slice(x, spec=(FULL,) * axis + ((start, stop, None), ...))
            if mode == "reflect":
                piece = words.flip(piece, axis=(axis,))
            elif mode == "replicate":
                piece = words.broadcast_to(piece, shape=(*x.array.shape[:axis], width, *x.array.shape[axis + 1 :]))
            pieces.insert(place, piece)
    x = words.cat(*pieces, axis=axis)
    return x if mode == "circular" else _cropped(x, {axis: (min(before, 0), min(after, 0))})
