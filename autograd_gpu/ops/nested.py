"""Arrays of what tensors are made of: numbers in nested sequences, NumPy arrays, other tensors."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from .. import backend
from ..backend.promotion import bfloat16, category, default_dtype, promote_types, scalar_dtype
from ..core.tensor import Tensor

_ARRAY_DTYPES = {
    d: d for d in map(np.dtype, ("f2", "f4", "f8", "c8", "c16", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"))
}
_ARRAY_DTYPES[bfloat16] = bfloat16


def native(array: np.ndarray) -> np.ndarray:
    """The array itself, or one of the same elements whose dtype is the very object that this package compares with.

    Raises TypeError for dtypes that no tensor has, such as strings and objects."""
    if array.__class__ is not np.ndarray:
        array = np.asarray(array)
    known = _ARRAY_DTYPES.get(array.dtype)
    if known is None:
        if array.dtype.newbyteorder() in _ARRAY_DTYPES:
            return array.astype(_ARRAY_DTYPES[array.dtype.newbyteorder()])
        raise TypeError(
            f"can't convert np.ndarray of type {array.dtype}. The only supported types are: "
            f"{', '.join(d.name for d in _ARRAY_DTYPES)}."
        )
    return array if array.dtype is known else array.view(known)


def cast(array: Any, dtype: np.dtype | None) -> Any:
    """The array, or a copy in another dtype if that is not its own. Complex numbers lose their imaginary part."""
    if dtype is None or array.dtype == dtype:
        return array
    xp = backend.beside(array)
    return xp.astype(array.real if array.dtype.kind == "c" != dtype.kind else array, dtype=dtype)


def _is_sequence(data: Any) -> bool:
    return hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, (str, bytes, dict))


def _dtypes_in(data: Any, found: set[np.dtype]) -> None:
    """Collect the dtypes of the numbers and arrays in nested sequences."""
    if not _is_sequence(data):
        data = (data,)
    for kind in set(map(type, data)):  # a loop in C: most often all items are of one type
        if kind in (float, int, bool, complex):
            found.add(scalar_dtype(kind()))
        else:
            for x in data:
                if type(x) is not kind:
                    continue
                if isinstance(x, Tensor) and x.array.size != 1:
                    raise ValueError(
                        "only one element tensors can be converted to Python scalars, and this one has shape "
                        f"{list(x.array.shape)}: use stack() to join tensors"
                    )
                if isinstance(getattr(x, "dtype", None), np.dtype):
                    found.add(x.dtype)
                elif isinstance(x, (int, float, complex)):
                    found.add(scalar_dtype(x))
                elif _is_sequence(x):
                    _dtypes_in(x, found)
                elif isinstance(x, str):
                    raise ValueError(f"too many dimensions '{kind.__name__}': a tensor holds numbers")
                else:
                    raise RuntimeError(f"Could not infer dtype of {kind.__name__}")


def _without_tensors(data: Any) -> Any:
    """Nested sequences with the Tensors in them made numbers."""
    if isinstance(data, Tensor):
        return data.item()
    if isinstance(data, np.ndarray) or not _is_sequence(data):
        return data
    return [_without_tensors(x) for x in data]


def _why_ragged(data: Any) -> Exception:
    """What is wrong with nested sequences that are no array."""
    lengths = []
    first = data
    while _is_sequence(first):
        lengths.append(len(first))
        if not lengths[-1]:
            break
        first = first[0]

    def check(x: Any, dim: int) -> Exception | None:
        if dim == len(lengths):
            return TypeError(f"must be a number, not {type(x).__name__}, at dim {dim}") if _is_sequence(x) else None
        if not _is_sequence(x):
            return TypeError(f"not a sequence: {type(x).__name__} where one of length {lengths[dim]} is expected at dim {dim}")
        if len(x) != lengths[dim]:
            return ValueError(f"expected sequence of length {lengths[dim]} at dim {dim} (got {len(x)})")
        return next((error for error in (check(y, dim + 1) for y in x) if error is not None), None)

    return check(data, 0) or ValueError("these nested sequences do not form an array")


def _from_python(data: Any, dtype: np.dtype | None) -> np.ndarray:
    """A new array of Python numbers in nested sequences."""
    if isinstance(data, str):
        raise TypeError("tensor(): invalid data type 'str'")
    found: set[np.dtype] = set()
    _dtypes_in(data, found)
    own = reduce(promote_types, found) if found else default_dtype[0]
    target = own if dtype is None else dtype
    try:
        if category(target) >= category(own) >= 2:
            return np.array(data, dtype=target)
        array = np.array(data, dtype=own)  # integers go by way of int64, to see which do not fit
    except OverflowError:
        raise ValueError("Overflow when unpacking long long: integers must fit in 64 bits") from None
    except (ValueError, TypeError, RuntimeError) as error:  # the last from a tensor that requires grad
        if any(isinstance(x, Tensor) for x in _flat(data)):
            return _from_python(_without_tensors(data), target)
        raise _why_ragged(data) from error
    if category(target) < 3 == category(own):
        raise TypeError(f"must be real number, not complex, for a tensor of dtype {target}")
    if category(target) == 1 and array.size and target != own:
        info = np.iinfo(target)
        low = -info.max if target.kind == "u" else info.min  # as PyTorch, which lets negative numbers wrap around
        if not (low <= array.min() and array.max() <= info.max):
            raise RuntimeError(f"value cannot be converted to type {target} without overflow")
    return array.astype(target, copy=False)


def _flat(data: Any) -> Any:
    if isinstance(data, Tensor) or not _is_sequence(data):
        yield data
    else:
        for x in data:
            yield from _flat(x)


def array_of(data: Any, dtype: np.dtype | None, copy: bool) -> Any:
    """An array of anything that tensors are made of."""
    if isinstance(data, Tensor):
        data = data.array
    if data.__class__ not in backend._speakers:
        if hasattr(data, "__cuda_array_interface__"):
            data = backend.adopted(data)
        elif isinstance(data, (np.ndarray, np.generic)) or hasattr(data, "__array__"):
            data = np.asarray(data)
        else:
            return _from_python(data, dtype)
    if isinstance(data, np.ndarray):
        data = native(data)
    array = cast(data, dtype)
    return array.copy() if copy and array is data else array
