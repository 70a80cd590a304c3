"""Small questions about tensors, and methods that programs call on them though little hangs on it here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..backend import pinning
from ..core.graph import words
from ..core.inplace import in_place
from ..core.tensor import Tensor
from .arguments import axis_of
from .create import ones_like, tensor
from .limits import where
from .reduce import norm
from .shape import spread
from .vectors import vector_norm

__all__ = ["corrcoef", "cov", "dist", "is_nonzero", "is_same_size", "is_signed", "renorm"]
METHODS: tuple[str, ...] = (
    *__all__,
    "apply_",
    "conj",
    "get_device",
    "is_conj",
    "is_inference",
    "is_neg",
    "is_pinned",
    "pin_memory",
    "is_shared",
    "record_stream",
    "map_",
    "resolve_conj",
    "resolve_neg",
    "share_memory_",
    "sum_to_size",
)
PROPERTIES: tuple[str, ...] = ("imag", "real")
IN_PLACE: tuple[str, ...] = ("renorm",)


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of the difference of two tensors.

    >>> import autograd_gpu as ag
    >>> ag.dist(ag.tensor([1.0, 2.0]), ag.tensor([4.0, 6.0]))
    tensor(5.)
    """
    return norm(input - other, p)


def cov(input: Tensor, *, correction: int = 1) -> Tensor:
    """The covariances of variables, the rows of a matrix of observations: (variables, variables). A vector is one variable.

    >>> import autograd_gpu as ag
    >>> ag.cov(ag.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.array.ndim > 2:
        raise RuntimeError(f"cov(): expected input to have two or fewer dimensions but got an input with {input.array.ndim}")
    x = input if input.array.ndim == 2 else input.reshape(1, input.array.size)
    x = x - x.mean(1, keepdim=True)
    result = x @ x.t() / max(x.array.shape[1] - correction, 0)
    return result if input.array.ndim == 2 else result.reshape(())


def corrcoef(input: Tensor) -> Tensor:
    """The correlation coefficients of variables, the rows of a matrix of observations, between -1 and 1.

    >>> import autograd_gpu as ag
    >>> ag.corrcoef(ag.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    c = cov(input)
    if not c.array.ndim:
        return c / c
    deviation = c.diagonal().sqrt()
    return (c / deviation.unsqueeze(1) / deviation.unsqueeze(0)).clamp(-1, 1)


def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """A copy in which each slice along `dim` whose p-norm is above `maxnorm` is scaled down to that.

    >>> import autograd_gpu as ag
    >>> ag.renorm(ag.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if input.array.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.array.ndim} dimensions")
    dim = axis_of(dim, input.array.ndim)
    others = tuple(k for k in range(input.array.ndim) if k != dim)
    norms = vector_norm(input, p, others, keepdim=True)
    return input * where(norms > maxnorm, maxnorm / (norms + 1e-7), ones_like(norms))


def is_nonzero(input: Tensor) -> bool:
    """Whether a tensor of one element is not zero. Raises RuntimeError for other numbers of elements.

    >>> import autograd_gpu as ag
    >>> ag.is_nonzero(ag.tensor([0.0]))
    False
    """
    return bool(input)


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape.

    >>> import autograd_gpu as ag
    >>> ag.is_same_size(ag.zeros(2), ag.zeros(1, 2))
    False
    """
    return input.array.shape == other.array.shape


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has numbers below zero.

    >>> import autograd_gpu as ag
    >>> ag.is_signed(ag.zeros(2)), ag.is_signed(ag.zeros(2, dtype=ag.uint8))
    (True, False)
    """
    return input.array.dtype.kind not in "ub"


@spread
def sum_to_size(self: Tensor, size: Any) -> Tensor:
    """This tensor summed over what broadcasting `size` to its shape would repeat.

    Raises RuntimeError if `size` cannot be broadcast to its shape."""
    shape, size = self.array.shape, tuple(int(n) for n in size)
    padded = (1,) * (len(shape) - len(size)) + size
    if len(padded) != len(shape) or any(n not in (1, m) for n, m in zip(padded, shape, strict=True)):
        raise RuntimeError(f"size {list(size)} is not expandable to size {list(shape)}")
    return words.sum_to(self, shape=size)


def apply_(self: Tensor, callable: Callable) -> Tensor:
    """Replace each element of this tensor on the CPU by what a function of Python makes of it. Slow."""
    return _elements_written(self, "apply_", callable, ())


def map_(self: Tensor, tensor: Tensor, callable: Callable) -> Tensor:
    """Replace each element by callable(element, element of `tensor`), with `tensor` broadcast. On the CPU; slow."""
    return _elements_written(self, "map_", callable, (tensor,))


def _elements_written(self: Tensor, name: str, function: Callable, others: tuple[Tensor, ...]) -> Tensor:
    if self.requires_grad or any(other.requires_grad for other in others):
        raise RuntimeError(f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead.")
    if not self.is_cpu:
        raise TypeError(f"{name} is only implemented on CPU tensors")
    shape = self.array.shape

    def computed(x: Tensor) -> Tensor:
        columns = [t.detach().expand(shape).reshape(-1).tolist() for t in (x, *others)]
        return tensor([function(*row) for row in zip(*columns, strict=True)], dtype=x.dtype).reshape(shape)

    return in_place(computed, name)(self)


def get_device(self: Tensor) -> int:
    """The number of the CUDA device that the elements lie on, -1 for the CPU."""
    return -1 if self.is_cpu else (self.device.index or 0)


def is_inference(self: Tensor) -> bool:
    """False: tensors made in inference mode are tensors like others."""
    return False


def is_pinned(self: Tensor, device: Any = None) -> bool:
    """Whether the elements lie in page-locked memory of the host, where `pin_memory` puts them."""
    return pinning.is_pinned(self.array) if self.is_cpu else False


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """This tensor in page-locked memory, from which `to("cuda", non_blocking=True)` copies while the host goes on; itself if it
    lies there already. The host must not write into it before the device has read it: see `cuda.synchronize`.

    Raises RuntimeError without CUDA, and for tensors that are not on the CPU.

    >>> import autograd_gpu as ag
    >>> batch = ag.ones(2)
    >>> if ag.cuda.is_available():
    ...     batch = batch.pin_memory().to("cuda", non_blocking=True)
    """
    if not self.is_cpu:
        raise RuntimeError(f"cannot pin '{self.type()}': only dense CPU tensors can be pinned")
    array = pinning.pinned(self.array)
    return self if array is self.array else Tensor(array)


def record_stream(self: Tensor, stream: Any) -> None:
    """Say that a stream uses this tensor, which was made in another one: when the tensor is gone, its memory is not given to
    others before the stream has done what it was given by then. Raises NotImplementedError for tensors on the CPU."""
    if not self.is_cuda:
        raise NotImplementedError(f"record_stream(): tensors of streams lie on a CUDA device, and this one on {self.device}")
    from ..backend.streams import record

    record(self.array, stream._stream)


def conj(self: Tensor) -> Tensor:
    """The complex conjugates; of real numbers the tensor itself."""
    return Tensor(self.array.conj()) if self.array.dtype.kind == "c" else self


def real(self: Tensor) -> Tensor:
    """The real parts; of real numbers the tensor itself."""
    return Tensor(self.array.real) if self.array.dtype.kind == "c" else self


def imag(self: Tensor) -> Tensor:
    """The imaginary parts. Raises RuntimeError for real numbers."""
    if self.array.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return Tensor(self.array.imag)


def is_conj(self: Tensor) -> bool:
    """False: conjugates are computed, not noted."""
    return False


def is_neg(self: Tensor) -> bool:
    """False: negatives are computed, not noted."""
    return False


def resolve_conj(self: Tensor) -> Tensor:
    """This tensor itself: see `is_conj`."""
    return self


def resolve_neg(self: Tensor) -> Tensor:
    """This tensor itself: see `is_neg`."""
    return self


def share_memory_(self: Tensor) -> Tensor:
    """This tensor itself. Its memory stays its own: another process gets a copy when the tensor is sent to it."""
    return self


def is_shared(self: Tensor) -> bool:
    """Whether other processes see writes into this tensor: no, except where they lie on a CUDA device, as PyTorch says."""
    return self.is_cuda
