"""Names that programs use and little hangs on here: those of PyTorch's early years, `FloatTensor(2, 3)`, `LongTensor([1, 2])`,
`x.type(FloatTensor)`, and those of the orders in which elements may lie in memory, `x.to(memory_format=channels_last)`."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from .. import backend
from ..core.tensor import Tensor
from .arguments import shape_of
from .convert import CASTS, TYPES
from .create import as_tensor, empty

FORMATS = ("channels_last", "channels_last_3d", "contiguous_format", "preserve_format")
__all__ = [*(name for name in TYPES if not name.startswith("Complex")), *FORMATS]
METHODS: tuple[str, ...] = ("new",)
IN_PLACE: tuple[str, ...] = ()


class TensorType:
    """The tensors of one dtype in the computer's memory: called, it makes one; `isinstance(x, LongTensor)` asks for it.

    >>> import autograd_gpu as ag
    >>> ag.LongTensor([1, 2]), ag.FloatTensor(2, 3).shape, isinstance(ag.ones(2), ag.FloatTensor)
    (tensor([1, 2]), Size([2, 3]), True)
    """

    def __init__(self, name: str, dtype: Any):
        self.__name__ = self.__qualname__ = name
        self.__doc__ = TensorType.__doc__
        self.dtype = dtype

    def __call__(self, *data: Any) -> Tensor:
        """A tensor of a list, an array or a tensor; given ints, or a Size, one of that shape and with any elements."""
        return _made(data, self.dtype, backend.CPU)

    def __instancecheck__(self, x: Any) -> bool:
        return isinstance(x, Tensor) and x.array.dtype == self.dtype and x.is_cpu

    def __repr__(self) -> str:
        return f"<type of tensors autograd_gpu.{self.__name__}>"


def _made(data: tuple, dtype: Any, device: Any) -> Tensor:
    kind = data[0].__class__ if data else None
    if kind is None or kind.__name__ == "Size" or all(isinstance(n, Integral) for n in data):
        return empty(shape_of(data or (0,)), dtype=dtype, device=device)
    if len(data) > 1:
        raise TypeError(f"takes the sizes as ints or one sequence of elements, not {len(data)} arguments such as {kind.__name__}")
    return as_tensor(data[0], dtype=dtype, device=device)


def new(self: Tensor, *data: Any) -> Tensor:
    """A new tensor of the dtype and on the device of this one: of a shape, `x.new(2, 3)`, or of elements, `x.new([1.0])`.

    >>> import autograd_gpu as ag
    >>> ag.zeros(2, dtype=ag.int64).new([3, 4])
    tensor([3, 4])
    """
    return _made(data, self.array.dtype, self.device)


class _Named(type):
    def __instancecheck__(self, x: Any) -> bool:
        return isinstance(x, Tensor)


class Variable(metaclass=_Named):
    """What tensors were wrapped in once: gives a tensor of the same memory without a history. `isinstance(x, Variable)` is true
    of every tensor.

    >>> import autograd_gpu as ag
    >>> ag.autograd.Variable(ag.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data: Tensor, requires_grad: bool = False) -> Tensor:  # type: ignore[misc]
        """The tensor."""
        return data.detach().requires_grad_(requires_grad)


HalfTensor = TensorType("HalfTensor", CASTS["half"])
BFloat16Tensor = TensorType("BFloat16Tensor", CASTS["bfloat16"])
FloatTensor = TensorType("FloatTensor", CASTS["float"])
DoubleTensor = TensorType("DoubleTensor", CASTS["double"])
ByteTensor = TensorType("ByteTensor", CASTS["byte"])
CharTensor = TensorType("CharTensor", CASTS["char"])
ShortTensor = TensorType("ShortTensor", CASTS["short"])
IntTensor = TensorType("IntTensor", CASTS["int"])
LongTensor = TensorType("LongTensor", CASTS["long"])
BoolTensor = TensorType("BoolTensor", CASTS["bool"])


class MemoryFormat:
    """An order of elements in memory. Ops choose the order that suits them: asking for one changes neither values nor strides."""

    def __init__(self, name: str):
        self._name = name

    def __repr__(self) -> str:
        return f"autograd_gpu.{self._name}"


channels_last, channels_last_3d, contiguous_format, preserve_format = (MemoryFormat(name) for name in FORMATS)
