"""What lets the rest of Python use a Tensor: numbers, lists, NumPy, DLPack, pickle, copy and print."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .. import backend
from ..backend.promotion import category
from ..backend.residue import kept
from .graph import keep_apart


def rebuilt(kind: type, array: np.ndarray, requires_grad: bool, device: str) -> Any:
    """The tensor that `__reduce_ex__` took apart."""
    t = kind.__new__(kind)
    if array.dtype is not np.dtype(array.dtype.type):  # dispatch compares dtypes by identity, and pickle makes new ones
        array = array.view(np.dtype(array.dtype.type))
    t.array = backend.move(array, backend.Device(device))
    t.node = None
    return t.requires_grad_() if requires_grad else t


class Interop:
    """The base class of Tensor that holds these methods."""

    __slots__ = ()

    # -- numbers and lists ---------------------------------------------------------------------------------------------

    def item(self) -> Any:
        """The only element as a Python number.

        Raises RuntimeError if there is not exactly one."""
        array = self.array
        if array.size != 1:
            raise RuntimeError(
                f"a Tensor with {array.size} elements cannot be converted to Scalar: its shape is "
                f"{list(array.shape)}, use tolist()"
            )
        if backend.apart[0]:
            array = backend.of(array.__class__).to_host(array)
        value = array.item()
        return value if isinstance(value, (float, int, complex)) else float(value)  # ml_dtypes has numbers of its own

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers; a number if there are no dimensions.

        >>> import autograd_gpu as ag
        >>> ag.tensor([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
        """
        array = backend.of(self.array.__class__).to_host(self.array)
        return (array.astype(np.float32) if array.dtype.kind == "V" else array).tolist()

    def _number(self) -> Any:
        if self.array.size != 1:
            raise ValueError(
                f"only one element tensors can be converted to Python scalars, and this one has shape {list(self.array.shape)}"
            )
        return self.item()

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __complex__(self) -> complex:
        return complex(self._number())

    def __index__(self) -> int:
        if self.array.size != 1 or category(self.array.dtype) > 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __bool__(self) -> bool:
        if self.array.size != 1:
            what = "no values" if self.array.size == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")
        return bool(self.item())

    def __contains__(self, element: Any) -> bool:
        if not isinstance(element, (Interop, int, float, complex, np.number, np.bool_)):
            raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")
        element = element.array if isinstance(element, Interop) else element
        return bool(backend.beside(self.array).guarded(lambda a: (a == element).any(), "contains")(self.array))

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.array.ndim == 0 else object.__format__(self, spec)

    # -- other libraries -----------------------------------------------------------------------------------------------

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The elements as a NumPy array that shares this tensor's memory.

        Raises RuntimeError if the tensor requires grad, TypeError if it is on a GPU. With `force` neither: a tensor on a
        GPU is copied.

        >>> import autograd_gpu as ag
        >>> ag.tensor([1, 2]).numpy()
        array([1, 2])
        """
        array = self.array
        if kept and array.__class__ is np.ndarray:
            keep_apart(array)
        if force:
            return backend.of(array.__class__).to_host(array)
        if self.node is not None:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if array.__class__ is not np.ndarray:
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. "
                "Use Tensor.cpu() to copy the tensor to host memory first."
            )
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is None or array.dtype == dtype:
            return array.copy() if copy else array
        if copy is False:
            raise ValueError(f"a tensor of dtype {array.dtype} can't become an array of dtype {np.dtype(dtype)} without a copy")
        return array.astype(dtype)

    def __array_wrap__(self, array: np.ndarray, context: Any = None, return_scalar: bool = False) -> Any:
        t = self.__class__.__new__(self.__class__)
        t.array, t.node = np.asarray(array), None
        return t

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """How CuPy, PyTorch, Numba and others find the elements on a CUDA device, to share them.

        Raises AttributeError for a tensor on the CPU, RuntimeError for one that requires grad."""
        if self.array.__class__ is np.ndarray:
            raise AttributeError("Can't get __cuda_array_interface__ on non-CUDA tensor type: use tensor.cuda()")
        if self.node is not None:
            raise RuntimeError(
                "Can't get __cuda_array_interface__ on Variable that requires grad. If gradients aren't required, use "
                "var.detach() to get Variable that doesn't require grad."
            )
        return self.array.__cuda_array_interface__

    def __dlpack__(self, **how: Any) -> Any:
        """The elements as a DLPack capsule, without a copy. Raises BufferError for a tensor that requires grad."""
        if self.node is not None:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        keep_apart(self.array)
        return self.array.__dlpack__(**how)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    # -- pickle and copy -----------------------------------------------------------------------------------------------

    def __reduce_ex__(self, protocol: Any) -> Any:
        array = self.array
        host = backend.of(array.__class__).to_host(array)
        own = getattr(self, "__dict__", None)  # of a subclass
        return rebuilt, (self.__class__, host, self.node is not None, str(self.device)), own or None

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy with a memory of its own, and a copy of the gradient. Raises RuntimeError for a tensor that an op computed."""
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment, "
                f"and this one was computed by {self.node.name()}: use x.detach().clone()"
            )
        if id(self) in memo:
            return memo[id(self)]
        t = memo[id(self)] = self.__class__.__new__(self.__class__)
        t.array, t.node = self.array.copy("K"), None
        if self.node is not None:
            t.requires_grad_()
        if self.grad is not None:
            t.grad = copy.deepcopy(self.grad.detach(), memo)
        for name, value in getattr(self, "__dict__", {}).items():  # of a subclass
            setattr(t, name, copy.deepcopy(value, memo))
        return t

    # -- print ---------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        from .format import text_of

        return text_of(self)
