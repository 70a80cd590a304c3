"""x[...], read and written: slices, None, Ellipsis, ints, bools, integer and boolean tensors, and mixtures of them.

NOTE [Two steps]
    As in PyTorch, what stands between the brackets is applied in two steps.
    1. Ints, slices, None and Ellipsis give a view (op `slice`). A tensor, list or array stands aside as a full slice.
    2. Integer arrays are then looked up in the dimensions of that view where they stood (op `index`). A boolean mask stands
       for the places where it is True: one integer array for each of its dimensions. True and False alone are None in the
       first step, and [0] or [] in the second.
    So `x[0, :, [1, 2]]` has the dimension of the list last, where NumPy, which broadcasts the 0 with the list, has it first.
    A list that holds tensors, sequences, slices or None means the tuple of its elements, as in PyTorch.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from .. import backend
from ..core.dispatch import NUMBERS, constant
from ..core.graph import NO_GRAD, Leaf, mode, touch, unusual, words
from ..core.inplace import in_place
from ..core.primitive import linear
from ..core.tensor import Tensor

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


# -- what stands between the brackets ----------------------------------------------------------------------------------------

_FULL = (None, None, None)


def read_key(key: Any, x: Tensor) -> tuple[tuple | None, tuple[int, ...], list[Tensor]]:
    """What `x[key]` means: the spec of the view of the first step, or None if that is x itself; then the dimensions of this
    view that are looked up in, and the integer tensors for them, as `index` takes them. See NOTE [Two steps]."""
    shape = x.data.shape
    items = key if key.__class__ is tuple else (key,)
    used, special = 0, False
    for item in items:
        kind = item.__class__
        if kind is int or kind is slice:
            used += 1
        elif item is not None and item is not Ellipsis:
            special = True
    if special:
        items = [_plain(item) for item in (_unpacked(items) if key.__class__ is not tuple else items)]
        used = sum([_consumed(item) for item in items])
    if used > len(shape):
        if not shape:
            raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a number")
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    spec: list[Any] = []
    axes: list[int] = []
    indices: list[Tensor] = []
    alone = special and sum([item.__class__ is bool or isinstance(item, Tensor) for item in items]) == 1
    dim = out = 0  # the dimension of x, and of the view
    left, ellipsis = len(shape) - used, False
    for item in items:
        kind = item.__class__
        if kind is slice:
            spec.append(_range(item))
            dim += 1
            out += 1
        elif kind is int:
            size = shape[dim]
            if not -size <= item < size:
                raise IndexError(f"index {item} is out of bounds for dimension {dim} with size {size}")
            spec.append(item + size if item < 0 else item)
            dim += 1
        elif item is None:
            spec.append(None)
            out += 1
        elif item is Ellipsis:
            if not ellipsis:
                spec.append(item)
                dim += left
                out += left
                ellipsis = True
        elif kind is bool:
            spec.append(None)
            axes.append(out)
            indices.append(_like(np.zeros(int(item), np.int64), x))
            out += 1
        else:
            n = _consumed(item)
            if item.data.dtype.kind == "b":
                if item.data.shape != shape[dim : dim + n]:
                    raise _mask_mismatch(item.data.shape, shape, dim)
                indices.extend(_true_places(item, alone))
            else:
                indices.append(item)
            axes.extend(range(out, out + n))
            spec.extend([_FULL] * n)
            dim += n
            out += n
    if not axes:
        if not ellipsis:
            spec.append(Ellipsis)
        return tuple(spec), (), []
    indices = [_on_device_of(x, i) for i in indices]
    _check_broadcast(indices)
    view = None
    if any([item is not Ellipsis and item != _FULL for item in spec]):
        view = tuple(spec) if ellipsis else (*spec, Ellipsis)
    return view, tuple(axes), indices


def _unpacked(items: tuple) -> Sequence[Any]:
    """The elements of a list that PyTorch takes for a tuple, else the items as they are."""
    (item,) = items
    if isinstance(item, list) and len(item) < 32 and any([_in_tuple(i) for i in item]):
        return item
    return items


def _in_tuple(item: Any) -> bool:
    return item is None or item is Ellipsis or isinstance(item, (Tensor, slice, Sequence, np.ndarray)) and not isinstance(item, str)


def _plain(item: Any) -> Any:
    """An item as int, bool, slice, None, Ellipsis, or an integer or boolean Tensor with dimensions."""
    if item is None or item is Ellipsis or item.__class__ in (int, bool, slice):
        return item
    if not isinstance(item, Tensor):
        if isinstance(item, (list, tuple, range, np.ndarray)):
            array = np.asarray(item if isinstance(item, (range, np.ndarray)) else _numbers(item))
            item = Tensor(array if array.size or isinstance(item, np.ndarray) else array.astype(np.int64))
        elif isinstance(item, np.bool_):
            return bool(item)
        elif isinstance(item, slice):
            return item
        elif hasattr(item, "__index__"):
            return operator.index(item)
        else:
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
                f"(got {type(item).__name__})"
            )
    dtype = item.data.dtype
    if dtype == np.uint8:
        raise IndexError(
            "tensors of dtype uint8 are masks in old PyTorch and indices elsewhere: convert with .bool() or .long() first"
        )
    if dtype.kind != "b" and dtype not in (np.int64, np.int32):
        raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, and this one is {dtype}")
    if item.data.ndim == 0:
        return item.data.item()
    return item


def _numbers(items: Any) -> Any:
    """A nested list with the tensors in it made numbers."""
    if isinstance(items, (list, tuple, range)):
        return [_numbers(i) for i in items]
    return items.data.tolist() if isinstance(items, Tensor) else items


def _consumed(item: Any) -> int:
    """How many dimensions of x an item stands for."""
    kind = item.__class__
    if kind is int or kind is slice:
        return 1
    if kind is bool or item is None or item is Ellipsis:
        return 0
    return item.data.ndim if item.data.dtype.kind == "b" else 1


def _range(item: slice) -> tuple:
    start, stop, step = item.start, item.stop, item.step
    if start is not None and start.__class__ is not int:
        start = _bound(start)
    if stop is not None and stop.__class__ is not int:
        stop = _bound(stop)
    if step is not None:
        step = _bound(step)
        if step <= 0:
            raise ValueError("step must be greater than zero")
    return start, stop, step


def _bound(n: Any) -> int:
    if isinstance(n, Tensor):
        if n.data.size != 1 or n.data.dtype.kind not in "iub":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(n.data.item())
    try:
        return operator.index(n)
    except TypeError:
        raise TypeError(f"slice indices must be integers or None or have an __index__ method, not {type(n).__name__}") from None


def _mask_mismatch(mask: tuple[int, ...], shape: tuple[int, ...], dim: int) -> IndexError:
    at = next((i for i, (m, n) in enumerate(zip(mask, shape[dim:], strict=False)) if m != n), 0)
    return IndexError(
        f"The shape of the mask {list(mask)} at index {at} does not match the shape of the indexed tensor {list(shape)} at index {dim + at}"
    )


def _true_places(mask: Tensor, alone: bool) -> list[Tensor]:
    """The integer tensors that a mask stands for: one that counts along all its dimensions if it is the only index, else one
    for each dimension."""
    xp, array = backend.of(mask.data.__class__), mask.data
    return [Tensor(i) for i in xp.nonzero(array.reshape(-1) if alone else array)]


def _like(array: Any, x: Tensor) -> Tensor:
    """A NumPy array as a Tensor on the device of x."""
    return Tensor(backend.move(array, backend.device_of(x.data)))


def _on_device_of(x: Tensor, index: Tensor) -> Tensor:
    if index.data.__class__ is x.data.__class__:
        return index
    return Tensor(backend.move(index.data, backend.device_of(x.data)))


def _check_broadcast(indices: Sequence[Tensor]) -> None:
    shapes = [i.data.shape for i in indices]
    if shapes.count(shapes[0]) < len(shapes):
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            raise IndexError(
                "shape mismatch: indexing tensors could not be broadcast together with shapes " + ", ".join(str(list(s)) for s in shapes)
            ) from None


def index_tensors(x: Tensor, indices: Sequence[Tensor]) -> tuple[tuple[int, ...], list[Tensor]]:
    """Tensors that index the leading dimensions of x, as the dimensions they index and integer tensors for these."""
    axes: list[int] = []
    tensors: list[Tensor] = []
    dim = 0
    for item in indices:
        if item is None:
            dim += 1
            continue
        found = [item]
        if item.data.dtype.kind == "b":
            if item.data.shape != x.data.shape[dim : dim + item.data.ndim]:
                raise _mask_mismatch(item.data.shape, x.data.shape, dim)
            found = _true_places(item, len(indices) == 1)
        elif item.data.dtype not in (np.int64, np.int32):
            raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, and this one is {item.data.dtype}")
        used = _consumed(item)
        axes.extend(range(dim, dim + used))
        tensors.extend([_on_device_of(x, i) for i in found])
        dim += used
    if dim > x.data.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.data.ndim} (got {dim})")
    _check_broadcast(tensors)
    return tuple(axes), tensors


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
    if kind is int and key >= 0 and self.data.ndim and key < self.data.shape[0]:  # the same as below, in half the time
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
    if node.__class__ is Leaf or base is not None and base.node.__class__ is Leaf:
        _written(self, value)  # which refuses
    view = self if spec is None else words.slice(self, spec=spec)
    if axes:
        _fits(value, result_shape(view.data.shape, axes, indices))
        _put_in_place(view, value, *indices, axes=axes)
    else:
        _fits(value, view.data.shape, self)
        _written(view, value)


def _write_now(x: Tensor, value: Tensor, spec: tuple | None, axes: tuple[int, ...], indices: list[Tensor]) -> None:
    """Write into the memory of x without recording anything."""
    array = x.data
    xp = backend.of(array.__class__)
    try:
        if not axes:
            xp.write_slice(array, value.data, spec=spec)
        else:
            target = array if spec is None else xp.slice(array, spec=spec)
            xp.write_index(target, value.data, *[i.data for i in indices], axes=axes)
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
    array = x.data
    if value.__class__ is not Tensor and not isinstance(value, Tensor):
        if not isinstance(value, NUMBERS):
            raise TypeError(f"can't assign a {type(value).__name__} to a {array.dtype} tensor: make it a tensor first")
        if isinstance(value, (complex, np.complexfloating)) and array.dtype.kind != "c":
            raise RuntimeError(f"value cannot be converted to type {array.dtype} without overflow: {value!r}")
        return constant(value, array.dtype, backend.of(array.__class__))
    if value.data.dtype is not array.dtype and value.data.dtype != array.dtype:
        if looked_up and value.data.ndim:
            raise RuntimeError(
                f"Index put requires the source and destination dtypes match, got {array.dtype} for the destination and "
                f"{value.data.dtype} for the source: cast with .to()"
            )
        value = words.astype(value, dtype=array.dtype)
    return value if value.data.__class__ is array.__class__ else value.to(x.device)


def result_shape(shape: tuple[int, ...], axes: tuple[int, ...], indices: Sequence[Tensor]) -> tuple[int, ...]:
    """The shape that `index` gives."""
    found = np.broadcast_shapes(*[i.data.shape for i in indices])
    first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    rest = [n for i, n in enumerate(shape) if i not in axes]
    return (*rest[:first], *found, *rest[first:])


def _fits(value: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> None:
    """Raise RuntimeError unless value broadcasts to `shape`, leading dimensions of size 1 aside."""
    have = value.data.shape
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
    extra = value.data.ndim - ndim
    return value if extra <= 0 else words.reshape(value, shape=value.data.shape[extra:])


def _index_put_value(x: Tensor, value: Tensor, *indices: Tensor, axes: tuple[int, ...]) -> Tensor:
    ndim = len(result_shape(x.data.shape, axes, indices))
    return words.index_put(x, without_leading_ones(value, ndim), *indices, axes=axes)


def _overwritten(x: Tensor, value: Tensor) -> Tensor:
    return words.overwrite(x, without_leading_ones(value, x.data.ndim))


_put_in_place = in_place(_index_put_value, name="__setitem__")
_written = in_place(_overwritten, name="__setitem__")

# -- writing all of a tensor -------------------------------------------------------------------------------------------------


def _copied(input: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}")
    value = _assignable(src, input, False)
    have, shape = value.data.shape, input.data.shape
    if len(have) > len(shape) or any(m not in (1, n) for m, n in zip(have[::-1], shape[::-1], strict=False)):
        at = next((i for i in range(1, min(len(have), len(shape)) + 1) if have[-i] not in (1, shape[-i])), len(shape) + 1)
        n = shape[-at] if at <= len(shape) else 1
        raise RuntimeError(
            f"The size of tensor a ({n}) must match the size of tensor b ({have[-at]}) at non-singleton dimension "
            f"{max(len(have), len(shape)) - at}: copy_() of shape {list(have)} into {list(shape)}"
        )
    return words.overwrite(input, value)


def _filled(input: Tensor, value: Any) -> Tensor:
    if isinstance(value, Tensor) and value.data.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.data.ndim} dimensions.")
    return words.overwrite(input, _assignable(value, input, False))


copy_ = in_place(_copied, name="copy_", direct=lambda xp, x, src: xp.copyto(x, src) if src.ndim <= x.ndim else NotImplemented)
fill_ = in_place(_filled, name="fill_", direct=lambda xp, x, value: x.fill(value) if isinstance(value, NUMBERS) else NotImplemented)
zero_ = in_place(lambda input: _filled(input, 0), name="zero_", direct=lambda xp, x: x.fill(0))
copy_.__doc__ = """Write the elements of `src`, broadcast and cast to this tensor's dtype, into this tensor and return it."""
fill_.__doc__ = """Write one value, a number or a tensor without dimensions, into all elements and return this tensor."""
zero_.__doc__ = """Write zero into all elements and return this tensor."""
