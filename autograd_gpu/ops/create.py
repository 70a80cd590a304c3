"""Making tensors: from data, and filled with a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backend
from ..backend import pinning
from ..backend.promotion import (
    complex64,
    complex128,
    default_dtype,
    float32,
    float64,
)
from ..core.graph import mode, words
from ..core.tensor import Tensor
from .arguments import dtype_of, shape_of
from .nested import array_of, native

__all__ = [
    "as_tensor",
    "asarray",
    "complex",
    "empty",
    "empty_like",
    "from_numpy",
    "full",
    "full_like",
    "ones",
    "ones_like",
    "polar",
    "scalar_tensor",
    "tensor",
    "zeros",
    "zeros_like",
]
METHODS: tuple[str, ...] = ("new_empty", "new_full", "new_ones", "new_tensor", "new_zeros")
IN_PLACE: tuple[str, ...] = ()


# -- where and how -----------------------------------------------------------------------------------------------------


def place_of(device: Any) -> backend.Device:
    """The Device meant by one, by a name, by the number of a CUDA device, or by None, the default."""
    if device is None:
        return backend.default_device[0]
    return backend.Device("cuda", device) if isinstance(device, int) else backend.Device(device)


def made(array: Any, requires_grad: bool) -> Tensor:
    """A new tensor of an array."""
    t = Tensor(array)
    return t.requires_grad_() if requires_grad else t


def sizes_of(name: str, size: Sequence[Any], keywords: dict[str, Any] | None = None) -> tuple[int, ...]:
    """The shape that the factory `name` was given, as `f(2, 3)`, `f((2, 3))` or `f(size=(2, 3))`.

    Raises RuntimeError for a negative size, TypeError for other keywords."""
    if keywords:
        unknown = [keyword for keyword in keywords if keyword != "size"]
        if unknown:
            raise TypeError(f"{name}() got an unexpected keyword argument '{unknown[0]}'")
        size = (keywords["size"],)
    shape = shape_of(size)
    if shape and min(shape) < 0:
        raise RuntimeError(f"{name}: Dimension size must be non-negative, but got shape {list(shape)}")
    return shape


# -- from data ---------------------------------------------------------------------------------------------------------


def _placed(array: Any, device: Any) -> Any:
    """The array on a device, or left where it is if neither `device` nor a default one of the user's says where it should be."""
    if device is None and backend.default_device[0] is backend.CPU:
        return array
    return backend.move(array, place_of(device))


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """A new tensor with a copy of `data`: a number, nested sequences of numbers, an array, or a tensor.

    Without `dtype`, Python floats become the default dtype (float32), ints int64, bools bool, and arrays keep theirs.
    Raises ValueError or TypeError if the sequences are ragged, RuntimeError for what is no number.

    >>> import autograd_gpu as ag
    >>> ag.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    array = array_of(data, dtype_of(dtype), copy=True)
    array = _placed(array, device)
    return made(_pinned(array) if pin_memory else array, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor, without a copy where it is a tensor or an array of the dtype and on the device asked for.

    >>> import autograd_gpu as ag
    >>> import numpy as np
    >>> ag.as_tensor(np.array([1, 2]))
    tensor([1, 2])
    """
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    array = array_of(data, dtype_of(dtype), copy=False)
    return Tensor(_placed(array, device))


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False) -> Tensor:
    """`obj` as a tensor. copy: True always copies, False never does (ValueError if it must), None only where it must.

    >>> import autograd_gpu as ag
    >>> ag.asarray([1, 2], dtype=ag.float32)
    tensor([1., 2.])
    """
    if copy:
        return tensor(obj, dtype=dtype, device=device, requires_grad=requires_grad)
    t = as_tensor(obj, dtype, device)
    if copy is False and not np.shares_memory(t.array, getattr(obj, "array", None) if isinstance(obj, Tensor) else obj):
        raise ValueError("can't alias this object with the dtype and device asked for: use copy=None")
    return t.requires_grad_() if requires_grad else t


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array.

    Raises TypeError for anything else, and for dtypes that no tensor has.

    >>> import autograd_gpu as ag
    >>> import numpy as np
    >>> a = np.zeros(2)
    >>> t = ag.from_numpy(a)
    >>> a[0] = 1
    >>> t
    tensor([1., 0.], dtype=autograd_gpu.float64)
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    return Tensor(native(ndarray))


def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor without dimensions, of the default dtype unless `dtype` says otherwise.

    >>> import autograd_gpu as ag
    >>> ag.scalar_tensor(2)
    tensor(2.)
    """
    return tensor(s, dtype=default_dtype[0] if dtype is None else dtype, device=device, requires_grad=requires_grad)


# -- filled ------------------------------------------------------------------------------------------------------------


def _pinned(array: Any) -> Any:
    """A copy of an array in page-locked memory, for pin_memory=True. Raises RuntimeError where there is none."""
    if array.__class__ is not np.ndarray:
        raise RuntimeError("Only dense CPU tensors can be pinned")
    return pinning.pinned(array)


def zeros(
    *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False, **shape: Any
) -> Tensor:
    """A tensor of zeros. The size is given as ints or as one sequence.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    xp = backend.vocabulary(place_of(device))
    array = xp.zeros(sizes_of("zeros", size, shape), dtype_of(dtype) or default_dtype[0])
    return made(_pinned(array) if pin_memory else array, requires_grad)


def ones(
    *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False, **shape: Any
) -> Tensor:
    """A tensor of ones. The size is given as ints or as one sequence.

    >>> import autograd_gpu as ag
    >>> ag.ones(2, dtype=ag.int64)
    tensor([1, 1])
    """
    xp = backend.vocabulary(place_of(device))
    array = xp.ones(sizes_of("ones", size, shape), dtype_of(dtype) or default_dtype[0])
    return made(_pinned(array) if pin_memory else array, requires_grad)


def empty(
    *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False, **shape: Any
) -> Tensor:
    """A tensor whose elements are whatever was in memory. The size is given as ints or as one sequence.

    >>> import autograd_gpu as ag
    >>> ag.empty(2, 0).shape
    Size([2, 0])
    """
    xp = backend.vocabulary(place_of(device))
    array = xp.empty(sizes_of("empty", size, shape), dtype_of(dtype) or default_dtype[0])
    return made(_pinned(array) if pin_memory else array, requires_grad)


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with every element `fill_value`, of its dtype unless `dtype` says otherwise.

    >>> import autograd_gpu as ag
    >>> ag.full((2,), 3.0)
    tensor([3., 3.])
    """
    xp = backend.vocabulary(place_of(device))
    return made(_filled(xp, sizes_of("full", (size,)), fill_value, dtype_of(dtype)), requires_grad)


def _filled(xp: Any, shape: tuple[int, ...], value: Any, dtype: np.dtype | None) -> Any:
    if isinstance(value, Tensor):
        value = value.item()
    value = array_of(value, dtype, copy=False)
    return xp.full(shape, value, value.dtype)


def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """Zeros of the shape, dtype and device of `input`.

    >>> import autograd_gpu as ag
    >>> ag.zeros_like(ag.tensor([1, 2]))
    tensor([0, 0])
    """
    xp = _xp_like(input, device)
    return made(xp.zeros(input.array.shape, dtype_of(dtype) or input.array.dtype), requires_grad)


def ones_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """Ones of the shape, dtype and device of `input`.

    >>> import autograd_gpu as ag
    >>> ag.ones_like(ag.tensor([1.5, 2.5]))
    tensor([1., 1.])
    """
    xp = _xp_like(input, device)
    return made(xp.ones(input.array.shape, dtype_of(dtype) or input.array.dtype), requires_grad)


def empty_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """A tensor of the shape, dtype and device of `input` whose elements are whatever was in memory.

    >>> import autograd_gpu as ag
    >>> ag.empty_like(ag.zeros(2, 0)).shape
    Size([2, 0])
    """
    xp = _xp_like(input, device)
    return made(xp.empty(input.array.shape, dtype_of(dtype) or input.array.dtype), requires_grad)


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """`fill_value` everywhere, in the shape, dtype and device of `input`.

    >>> import autograd_gpu as ag
    >>> ag.full_like(ag.zeros(2), 7)
    tensor([7., 7.])
    """
    xp = _xp_like(input, device)
    return made(_filled(xp, input.array.shape, fill_value, dtype_of(dtype) or input.array.dtype), requires_grad)


def _xp_like(t: Tensor, device: Any) -> Any:
    return backend.beside(t.array) if device is None else backend.vocabulary(place_of(device))


def new_tensor(self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of `data`, of the dtype and device of this one unless they are given."""
    return tensor(data, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)


def new_zeros(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the size given and of the dtype and device of this tensor unless they are given."""
    return zeros(*size, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)


def new_ones(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of the size given and of the dtype and device of this tensor unless they are given."""
    return ones(*size, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)


def new_empty(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """An empty tensor of the size given and of the dtype and device of this tensor unless they are given."""
    return empty(*size, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)


def new_full(
    self: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`fill_value` in the size given and the dtype and device of this tensor unless they are given."""
    return full(size, fill_value, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)


# -- complex -----------------------------------------------------------------------------------------------------------


def complex(real: Tensor, imag: Tensor) -> Tensor:
    """Complex numbers of their real and imaginary parts, float32 (to complex64) or float64 (to complex128).

    >>> import autograd_gpu as ag
    >>> ag.complex(ag.tensor([1.0, 2.0]), ag.tensor([3.0, -4.0]))
    tensor([1.+3.j, 2.-4.j])
    """
    return Tensor(backend.beside(real.array).guarded(_complex, "complex")(real, imag, real.array, imag.array))


def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """Complex numbers of their absolute values and angles in radians, float32 or float64.

    >>> import autograd_gpu as ag
    >>> ag.polar(ag.tensor([2.0]), ag.tensor([0.0]))
    tensor([2.+0.j])
    """
    xp = backend.beside(abs.array)
    r, cos, sin = abs.array, xp.cos(angle.array), xp.sin(angle.array)
    return Tensor(xp.guarded(lambda: _complex(abs, angle, r * cos, r * sin), "polar")())


def _complex(a: Tensor, b: Tensor, real: Any, imag: Any) -> Any:
    first, second = a.array.dtype, b.array.dtype
    if first not in (float32, float64) or second not in (float32, float64):
        raise RuntimeError(f"Expected both inputs to be Float or Double tensors but got {first} and {second}")
    if first != second:
        raise RuntimeError(f"Expected object of scalar type {first} but got scalar type {second} for second argument")
    if a.requires_grad or b.requires_grad:
        raise RuntimeError("complex tensors cannot require gradients: detach() the parts first")
    return real + imag * (complex64 if first == float32 else complex128).type(1j)


# -- the words that make constants in rules ----------------------------------------------------------------------------


def _constant_words() -> None:
    """What rules make constants with, for Tensors: the same names that the vocabularies of arrays have."""
    words.zeros = lambda shape, dtype: Tensor(mode.constants.zeros(shape, dtype))
    words.ones = lambda shape, dtype: Tensor(mode.constants.ones(shape, dtype))
    words.full = lambda shape, value, dtype: Tensor(mode.constants.full(shape, value, dtype))
    words.arange = lambda *bounds, **dtype: Tensor(mode.constants.arange(*bounds, **dtype))
    words.asarray = lambda x, dtype=None: x if isinstance(x, Tensor) else Tensor(mode.constants.asarray(x, dtype))
    words.zeros_like = zeros_like
    words.ones_like = ones_like


_constant_words()
