"""x[...], read and written: slices, None, Ellipsis, ints, bools, integer and boolean tensors, and mixtures of them.
How the key is read stands in `subscript`."""

from __future__ import annotations

from math import prod
from typing import Any

from .. import backend
from ..backend.promotion import category, scalar_dtype
from ..core.dispatch import NUMBERS, constant
from ..core.graph import NO_GRAD, Leaf, keep_apart, mode, touch, unusual, words
from ..core.inplace import in_place
from ..core.primitive import linear
from ..core.tensor import Tensor
from .subscript import read_key, result_shape

__all__: list[str] = []
METHODS: tuple[str, ...] = ("__getitem__", "__setitem__", "copy_", "fill_", "zero_")
IN_PLACE: tuple[str, ...] = ()

# -- the ops ---------------------------------------------------------------------------------------------------------------


@linear(lambda xp, g, x_shape, spec: xp.unslice(g, spec=spec, shape=x_shape), view=True)
def _slice(xp: Any, x: Any, *, spec: tuple) -> Any:
    """A view: `spec` holds an int, None, Ellipsis or (start, stop, step) per dimension, and Ellipsis once at least."""
    return xp.slice(x, spec=spec)


@linear(lambda xp, g, spec: xp.slice(g, spec=spec))
def _unslice(xp: Any, x: Any, *, spec: tuple, shape: tuple[int, ...]) -> Any:
    """Zeros with x where `slice` reads."""
    ...


@linear(lambda xp, g, x_shape, axes, *indices: xp.unindex(g, *indices, axes=axes, shape=x_shape))
def _index(xp: Any, x: Any, *indices: Any, axes: tuple[int, ...]) -> Any:
    """x at integer arrays, one for each of the dimensions `axes`."""
    ...


@linear(lambda xp, g, axes, *indices: xp.index(g, *indices, axes=axes))
def _unindex(xp: Any, x: Any, *indices: Any, axes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """Zeros with x added where `index` reads."""
    ...


@linear(
    x=lambda xp, g, axes, *indices: xp.index_put(g, xp.zeros((), g.dtype), *indices, axes=axes),
    value=lambda xp, g, value_shape, axes, *indices: xp.sum_to(xp.index(g, *indices, axes=axes), shape=value_shape),
)
def _index_put(xp: Any, x: Any, value: Any, *indices: Any, axes: tuple[int, ...]) -> Any:
    """x with `value` where `index` reads."""
    ...


@linear(x=lambda xp, g: xp.zeros_like(g), value=lambda xp, g, value_shape: xp.sum_to(g, shape=value_shape))
def _overwrite(xp: Any, x: Any, value: Any) -> Any:
    """`value` in the shape of x: what x becomes when it is written over."""
    return xp.broadcast_to(value, shape=x.shape).copy()


# -- reading and writing -----------------------------------------------------------------------------------------------------


def __getitem__(self: Tensor, key: Any) -> Tensor:
    """x[key]: a view for ints, slices, None and Ellipsis; a copy where tensors, lists or arrays take part.

    Raises IndexError for what lies outside, for too many indices and for those of a dtype that cannot be one, ValueError for
    a slice with a step that is not positive.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> x[1], x[:, 0], x[x > 1.5]
    (tensor([3., 4.]), tensor([1., 3.]), tensor([2., 3., 4.]))
    """
    kind = key.__class__
    if kind is int and key >= 0 and self.array.ndim and key < self.array.shape[0]:  # the same as below, in half the time
        return words.slice(self, spec=(key, Ellipsis))
    spec, axes, indices = read_key(key, self)
    if spec is not None:
        self = words.slice(self, spec=spec)
    return words.index(self, *indices, axes=axes) if axes else self


def __setitem__(self: Tensor, key: Any, value: Any) -> None:
    """x[key] = value, broadcast and cast to the dtype of x. Recorded if x or value is.

    Raises RuntimeError if x is a leaf that requires grad (use no_grad), or if the shape of value does not fit."""
    spec, axes, indices = read_key(key, self)
    value = _assignable(value, self, bool(axes))
    node, base = self.node, self._base
    if (node is None and value.node is None and (base is None or base.node is None)) or (unusual[0] and mode.state & NO_GRAD):
        _write_now(self, value, spec, axes, indices)
        return
    if isinstance(node, Leaf) or base is not None and isinstance(base.node, Leaf):
        _written(self, value)  # which refuses
    view = self if spec is None else words.slice(self, spec=spec)
    if axes:
        _fits(value, result_shape(view.array.shape, axes, indices))
        _put_in_place(view, value, *indices, axes=axes)
    else:
        _fits(value, view.array.shape, self)
        _written(view, value)


def _write_now(x: Tensor, value: Tensor, spec: tuple | None, axes: tuple[int, ...], indices: list[Tensor]) -> None:
    """Write into the memory of x without recording anything."""
    array = x.array
    keep_apart(array)
    xp = backend.beside(array)
    try:
        if not axes:
            xp.write_slice(array, value.array, spec=spec)
        else:
            target = array if spec is None else xp.slice(array, spec=spec)
            xp.write_index(target, value.array, *[i.array for i in indices], axes=axes)
    except ValueError as error:
        if "read-only" in str(error):
            raise RuntimeError(
                "unsupported operation: more than one element of the written-to tensor refers to a single memory location, or "
                "the memory is read-only. Please clone() the tensor before performing the operation."
            ) from None
        if axes:
            view = array if spec is None else xp.slice(array, spec=spec)
            _fits(value, result_shape(view.shape, axes, indices))
        else:
            _fits(value, xp.slice(array, spec=spec).shape, x)
        raise
    touch(array, "__setitem__")


def _assignable(value: Any, x: Tensor, looked_up: bool) -> Tensor:
    """The value of an assignment as a Tensor of the dtype of x."""
    array = x.array
    if value.__class__ is not Tensor and not isinstance(value, Tensor):
        if not isinstance(value, NUMBERS):
            raise TypeError(f"can't assign a {type(value).__name__} to a {array.dtype} tensor: make it a tensor first")
        return number_like(value, x)
    if value.array.dtype is not array.dtype and value.array.dtype != array.dtype:
        if looked_up and value.array.ndim:
            raise RuntimeError(
                f"Index put requires the source and destination dtypes match, got {array.dtype} for the destination and "
                f"{value.array.dtype} for the source: cast with .to()"
            )
        value = words.astype(value, dtype=array.dtype)
    return value if value.array.__class__ is array.__class__ and not backend.apart[0] else value.to(x.device)


def number_like(value: Any, x: Tensor) -> Tensor:
    """A number as a Tensor of the dtype of x. Negative ones wrap around in uint8.

    Raises RuntimeError for a number that the dtype does not hold."""
    dtype = x.array.dtype
    try:
        if category(scalar_dtype(value)) == 3 > category(dtype):
            raise OverflowError
        if dtype == "uint8" and -256 < value < 0:
            value = int(value) % 256
        return constant(value, dtype, x.array)
    except (OverflowError, ValueError):
        raise RuntimeError(f"value cannot be converted to type {dtype} without overflow: {value!r}") from None


def _fits(value: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> None:
    """Raise RuntimeError unless value broadcasts to `shape`, leading dimensions of size 1 aside."""
    have = value.array.shape
    short = have[max(len(have) - len(shape), 0) :]
    if prod(have) == prod(short) and all(m in (1, n) for m, n in zip(short[::-1], shape[::-1], strict=False)):
        return
    if x is None:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(have)} cannot be broadcast to indexing result of shape {list(shape)}"
        )
    at = next((i for i in range(1, min(len(have), len(shape)) + 1) if have[-i] not in (1, shape[-i])), len(have))
    wanted, given = (shape[-at], have[-at]) if at <= len(shape) else (1, have[0])
    raise RuntimeError(
        f"The expanded size of the tensor ({wanted}) must match the existing size ({given}) at non-singleton dimension "
        f"{len(shape) - at}.  Target sizes: {list(shape)}.  Tensor sizes: {list(have)}"
    )


def without_leading_ones(value: Tensor, ndim: int) -> Tensor:
    """value without the first dimensions that it has more than `ndim`, which all have size 1."""
    extra = value.array.ndim - ndim
    return value if extra <= 0 else words.reshape(value, shape=value.array.shape[extra:])


def _index_put_value(x: Tensor, value: Tensor, *indices: Tensor, axes: tuple[int, ...]) -> Tensor:
    ndim = len(result_shape(x.array.shape, axes, indices))
    return words.index_put(x, without_leading_ones(value, ndim), *indices, axes=axes)


def _overwritten(x: Tensor, value: Tensor) -> Tensor:
    return words.overwrite(x, without_leading_ones(value, x.array.ndim))


_put_in_place = in_place(_index_put_value, name="__setitem__")
_written = in_place(_overwritten, name="__setitem__")

# -- writing all of a tensor -------------------------------------------------------------------------------------------------


def _copied(input: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}")
    value = _assignable(src, input, False)
    have, shape = value.array.shape, input.array.shape
    if len(have) > len(shape) or any(m not in (1, n) for m, n in zip(have[::-1], shape[::-1], strict=False)):
        at = next((i for i in range(1, min(len(have), len(shape)) + 1) if have[-i] not in (1, shape[-i])), len(shape) + 1)
        n = shape[-at] if at <= len(shape) else 1
        raise RuntimeError(
            f"The size of tensor a ({n}) must match the size of tensor b ({have[-at]}) at non-singleton dimension "
            f"{max(len(have), len(shape)) - at}: copy_() of shape {list(have)} into {list(shape)}"
        )
    return words.overwrite(input, value)


def _filled(input: Tensor, value: Any) -> Tensor:
    if isinstance(value, Tensor) and value.array.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.array.ndim} dimensions.")
    return words.overwrite(input, _assignable(value, input, False))


def _copy_now(xp: Any, x: Any, src: Any, *_: Any) -> Any:
    return xp.copyto(x, src) if src.ndim <= x.ndim else NotImplemented


def _fill_now(xp: Any, x: Any, value: Any) -> Any:
    try:
        return x.fill(value) if value.__class__ in (int, float) else NotImplemented
    except (OverflowError, ValueError):
        return NotImplemented


copy_ = in_place(_copied, name="copy_", direct=_copy_now)
fill_ = in_place(_filled, name="fill_", direct=_fill_now)
zero_ = in_place(lambda input: _filled(input, 0), name="zero_", direct=lambda xp, x: x.fill(0))
copy_.__doc__ = """Write the elements of `src`, broadcast and cast to this tensor's dtype, into this tensor and return it."""
fill_.__doc__ = """Write one value, a number or a tensor without dimensions, into all elements and return this tensor."""
zero_.__doc__ = """Write zero into all elements and return this tensor."""
