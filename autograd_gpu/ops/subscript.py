"""What stands between the brackets of x[...]: read here for `index`, which reads and writes the elements.

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
from typing import Any

import numpy as np

from .. import backend
from ..backend.promotion import int32, int64
from ..core.tensor import Tensor
from .arguments import FULL


def read_key(key: Any, x: Tensor) -> tuple[tuple | None, tuple[int, ...], list[Tensor]]:
    """What `x[key]` means: the spec of the view of the first step, or None if that is x itself; then the dimensions of this
    view that are looked up in, and the integer tensors for them, as `index` takes them. See NOTE [Two steps]."""
    shape = x.array.shape
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
            indices.append(_like(np.zeros(int(item), int64), x))
            out += 1
        else:
            n = _consumed(item)
            if item.array.dtype.kind == "b":
                if item.array.shape != shape[dim : dim + n]:
                    raise _mask_mismatch(item.array.shape, shape, dim)
                indices.extend(_true_places(item, alone))
            else:
                indices.append(item)
            axes.extend(range(out, out + n))
            spec.extend([FULL] * n)
            dim += n
            out += n
    if not axes:
        if not ellipsis:
            spec.append(Ellipsis)
        return tuple(spec), (), []
    indices = [_on_device_of(x, i) for i in indices]
    _check_broadcast(indices)
    view = None
    if any([item is not Ellipsis and item != FULL for item in spec]):
        view = tuple(spec) if ellipsis else (*spec, Ellipsis)
    return view, tuple(axes), indices


def _unpacked(items: tuple) -> Sequence[Any]:
    """The elements of a list that PyTorch takes for a tuple, else the items as they are."""
    (item,) = items
    if isinstance(item, list) and len(item) < 32 and any([_in_tuple(i) for i in item]):
        return item
    return items


def _in_tuple(item: Any) -> bool:
    if isinstance(item, str):
        return False
    return item is None or item is Ellipsis or isinstance(item, (Tensor, slice, Sequence, np.ndarray))


def _plain(item: Any) -> Any:
    """An item as int, bool, slice, None, Ellipsis, or an integer or boolean Tensor with dimensions."""
    if item is None or item is Ellipsis or item.__class__ in (int, bool, slice):
        return item
    if not isinstance(item, Tensor):
        if isinstance(item, (list, tuple, range, np.ndarray)):
            array = np.asarray(item if isinstance(item, (range, np.ndarray)) else _numbers(item))
            item = Tensor(array if array.size or isinstance(item, np.ndarray) else array.astype(int64))
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
    dtype = item.array.dtype
    if dtype == np.uint8:
        raise IndexError(
            "tensors of dtype uint8 are masks in old PyTorch and indices elsewhere: convert with .bool() or .long() first"
        )
    if dtype.kind != "b":
        _check_integers(item)
    if item.array.ndim == 0:
        return item.array.item()
    return item


def _numbers(items: Any) -> Any:
    """A nested list with the tensors in it made numbers."""
    if isinstance(items, (list, tuple, range)):
        return [_numbers(i) for i in items]
    return items.array.tolist() if isinstance(items, Tensor) else items


def _consumed(item: Any) -> int:
    """How many dimensions of x an item stands for."""
    kind = item.__class__
    if kind is int or kind is slice:
        return 1
    if kind is bool or item is None or item is Ellipsis:
        return 0
    return item.array.ndim if item.array.dtype.kind == "b" else 1


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
        if n.array.size != 1 or n.array.dtype.kind not in "iub":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(n.array.item())
    try:
        return operator.index(n)
    except TypeError:
        raise TypeError(f"slice indices must be integers or None or have an __index__ method, not {type(n).__name__}") from None


def _mask_mismatch(mask: tuple[int, ...], shape: tuple[int, ...], dim: int) -> IndexError:
    at = next((i for i, (m, n) in enumerate(zip(mask, shape[dim:], strict=False)) if m != n), 0)
    return IndexError(
        f"The shape of the mask {list(mask)} at index {at} does not match the shape of the indexed tensor {list(shape)} "
        f"at index {dim + at}"
    )


def _true_places(mask: Tensor, alone: bool) -> list[Tensor]:
    """The integer tensors that a mask stands for: one that counts along all its dimensions if it is the only index, else one
    for each dimension."""
    xp, array = backend.beside(mask.array), mask.array
    return [Tensor(i) for i in xp.nonzero(array.reshape(-1) if alone else array)]


def _like(array: Any, x: Tensor) -> Tensor:
    """A NumPy array as a Tensor on the device of x."""
    return Tensor(backend.move(array, backend.device_of(x.array)))


def _on_device_of(x: Tensor, index: Tensor) -> Tensor:
    """An index of the CPU where x is; a CUDA device's indices what lies there."""
    if index.array.__class__ is x.array.__class__:
        return index
    if x.array.__class__ is np.ndarray:
        raise RuntimeError(
            "indices should be either on cpu or on the same device as the indexed tensor (cpu), and this one is on "
            f"{index.device}: move it with .cpu()"
        )
    return Tensor(backend.move(index.array, backend.device_of(x.array)))


def _check_integers(index: Tensor) -> None:
    dtype = index.array.dtype
    if dtype not in (int64, int32):
        raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, and this one is {dtype}")


def _check_broadcast(indices: Sequence[Tensor]) -> None:
    shapes = [i.array.shape for i in indices]
    if shapes.count(shapes[0]) < len(shapes):
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            raise IndexError(
                "shape mismatch: indexing tensors could not be broadcast together with shapes "
                + ", ".join(str(list(s)) for s in shapes)
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
        if item.array.dtype.kind == "b":
            if item.array.shape != x.array.shape[dim : dim + item.array.ndim]:
                raise _mask_mismatch(item.array.shape, x.array.shape, dim)
            found = _true_places(item, len(indices) == 1)
        else:
            _check_integers(item)
        used = _consumed(item)
        axes.extend(range(dim, dim + used))
        tensors.extend([_on_device_of(x, i) for i in found])
        dim += used
    if dim > x.array.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.array.ndim} (got {dim})")
    _check_broadcast(tensors)
    return tuple(axes), tensors


def result_shape(shape: tuple[int, ...], axes: tuple[int, ...], indices: Sequence[Tensor]) -> tuple[int, ...]:
    """The shape that `index` gives."""
    found = np.broadcast_shapes(*[i.array.shape for i in indices])
    first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    rest = [n for i, n in enumerate(shape) if i not in axes]
    return (*rest[:first], *found, *rest[first:])
