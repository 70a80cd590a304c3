"""How samples become a batch: tensors are stacked, numbers become tensors, dicts, tuples and lists of them keep their form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..ops.create import tensor
from ..ops.join import stack
from ..ops.nested import native


def _is_namedtuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _like(value: Any, items: Any) -> Any:
    """A dict or list of the kind that `value` is, if one can be made."""
    try:
        return type(value)(items)
    except TypeError:  # a kind with a constructor of its own
        return dict(items) if isinstance(value, Mapping) else list(items)


def nested(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with `change` done to all Tensors and arrays in its dicts, tuples and lists."""
    if isinstance(value, (Tensor, np.ndarray)):
        return change(value)
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, Mapping):
        return _like(value, {name: nested(x, change) for name, x in value.items()})
    if _is_namedtuple(value):
        return type(value)(*(nested(x, change) for x in value))
    if isinstance(value, tuple):
        return [nested(x, change) for x in value]  # as default_collate
    if isinstance(value, Sequence):
        return _like(value, [nested(x, change) for x in value])
    return value


def default_convert(data: Any) -> Any:
    """`data` with the NumPy arrays and numbers in it made tensors, which share their memory: what a DataLoader that makes no
    batches does to a sample.

    >>> import autograd_gpu as ag
    >>> import numpy as np
    >>> ag.data.default_convert({"x": np.array([1, 2]), "name": "a"})
    {'x': tensor([1, 2]), 'name': 'a'}
    """
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "SUO" else Tensor(native(np.asarray(data)))
    return _converted(data)


def _converted(data: Any) -> Any:
    """The dicts, tuples and lists in `data` converted by default_convert."""
    if isinstance(data, Mapping):
        return _like(data, {name: default_convert(x) for name, x in data.items()})
    if _is_namedtuple(data):
        return type(data)(*(default_convert(x) for x in data))
    if isinstance(data, tuple):
        return [default_convert(x) for x in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like(data, [default_convert(x) for x in data])
    return data


def default_collate(batch: Sequence[Any]) -> Any:
    """Samples as one batch: tensors and arrays stacked, numbers as a tensor (floats as float64), text as a list, and the items
    of dicts, tuples and lists each by itself. A tuple becomes a list.

    Raises TypeError for samples of other kinds, RuntimeError if they differ in shape or length.

    >>> import autograd_gpu as ag
    >>> ag.data.default_collate([(ag.tensor([1, 2]), 0), (ag.tensor([3, 4]), 1)])
    [tensor([[1, 2],
             [3, 4]]), tensor([0, 1])]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        if all(t.array.__class__ is np.ndarray and t.node is None for t in batch):
            return Tensor(_stacked([t.array for t in batch]))
        return stack(list(batch))
    if isinstance(first, np.ndarray):
        if first.dtype.kind in "SUO":
            raise TypeError(_cannot(first.dtype))
        return Tensor(_stacked([native(a) for a in batch]))
    if isinstance(first, np.generic) and first.dtype.kind not in "SUO":
        return Tensor(native(np.array(batch, first.dtype)))
    if isinstance(first, float):
        return tensor(batch, dtype=np.dtype(np.float64))
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _like(first, {name: default_collate([sample[name] for sample in batch]) for name in first})
    if _is_namedtuple(first):
        return type(first)(*(default_collate(items) for items in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        items = [default_collate(samples) for samples in zip(*batch, strict=True)]
        return items if isinstance(first, tuple) else _like(first, items)
    raise TypeError(_cannot(type(first)))


def _cannot(kind: Any) -> str:
    return f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {kind}"


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    """Arrays of one shape along a new first dimension."""
    first = arrays[0]
    out = np.empty((len(arrays), *first.shape), first.dtype)
    for i, a in enumerate(arrays):
        if a.shape != first.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first.shape)} at entry 0 and {list(a.shape)} at "
                f"entry {i}"
            )
        if a.dtype != first.dtype:
            return np.stack(arrays)
        out[i] = a
    return out
