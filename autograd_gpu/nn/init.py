"""Filling parameters with their first values, in place: torch.nn.init's names.

Each function fills `tensor`, whether or not it requires grad, records nothing and returns it. `generator` draws the random
numbers, by default the package's own."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backend
from ..core.graph import keep_apart, touch
from ..core.tensor import Tensor
from ..ops import random

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_", "orthogonal_",
    "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip

GAINS = {
    "linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0, "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4,
}  # fmt: skip


class _Skipping(threading.local):
    on = False


skipping = _Skipping()  # while on, the functions here fill nothing: for modules that are about to be loaded


def _fill(tensor: Tensor, name: str, values: Callable[[], Any]) -> Tensor:
    """Write what `values` makes, an array or a number, into `tensor`."""
    if not skipping.on:
        xp = backend.beside(tensor.array)
        keep_apart(tensor.array)
        xp.copyto(tensor.array, xp.guarded(values, name)())
        touch(tensor.array, f"init.{name}")
    return tensor


def _drawn(draw: Callable, tensor: Tensor, generator: Any, scale: float, shift: float) -> Any:
    """Random numbers of the shape and dtype of `tensor`, times `scale` plus `shift`."""
    array = draw(tensor.array.shape, generator=generator, dtype=tensor.array.dtype, device=tensor.device).array
    if scale != 1:
        array *= array.dtype.type(scale)
    if shift:
        array += array.dtype.type(shift)
    return array


def _from_host(tensor: Tensor, array: np.ndarray) -> Any:
    """An array of the host as one of the dtype and device of `tensor`."""
    return backend.move(np.ascontiguousarray(array.astype(tensor.array.dtype)), tensor.device)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity shrinks the spread of its input.

    >>> import autograd_gpu as ag
    >>> ag.nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        if param is not None and (isinstance(param, bool) or not isinstance(param, (int, float))):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}: it can be leaky_relu or one of {', '.join(GAINS)}")
    return GAINS[nonlinearity]


def _fans(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output has, and how many outputs an input has."""
    shape = tensor.array.shape
    if len(shape) < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


_calculate_fan_in_and_fan_out = _fans  # PyTorch's name, which programs use


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with numbers drawn uniformly from [a, b).

    >>> import autograd_gpu as ag
    >>> w = ag.nn.init.uniform_(ag.empty(3, 5), -0.1, 0.1)
    >>> bool((w.abs() <= 0.1).all())
    True
    """
    return _fill(tensor, "uniform_", lambda: _drawn(random.rand, tensor, generator, b - a, a))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with numbers drawn from a normal distribution.

    >>> import autograd_gpu as ag
    >>> ag.nn.init.normal_(ag.empty(3, 5), mean=1.0, std=0.02).shape
    Size([3, 5])
    """
    return _fill(tensor, "normal_", lambda: _drawn(random.randn, tensor, generator, std, mean))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Fill with numbers drawn from a normal distribution cut off outside [a, b].

    >>> import autograd_gpu as ag
    >>> w = ag.nn.init.trunc_normal_(ag.empty(3, 5), std=10.0)
    >>> bool((w.abs() <= 2).all())
    True
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be incorrect.",
            stacklevel=2,
        )

    def values() -> Any:
        low, high = (0.5 * (1 + math.erf((x - mean) / std / math.sqrt(2))) for x in (a, b))
        wide = "float64" if tensor.array.dtype.itemsize == 8 else "float32"
        u = random.rand(tensor.array.shape, generator=generator, dtype=wide, device=tensor.device).array
        xp = backend.beside(u)
        u *= 2 * (high - low)
        u += 2 * low - 1
        x = xp.erfinv(u)  # the inverse of the distribution function
        x *= std * math.sqrt(2)
        x += mean
        return xp.astype(xp.clamp(x, min=a, max=b, out=x), dtype=tensor.array.dtype)

    return _fill(tensor, "trunc_normal_", values)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value.

    >>> import autograd_gpu as ag
    >>> ag.nn.init.constant_(ag.empty(2), 3.0)
    tensor([3., 3.])
    """
    return _fill(tensor, "constant_", lambda: val)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros.

    >>> import autograd_gpu as ag
    >>> ag.nn.init.zeros_(ag.empty(2))
    tensor([0., 0.])
    """
    return _fill(tensor, "zeros_", lambda: 0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones.

    >>> import autograd_gpu as ag
    >>> ag.nn.init.ones_(ag.empty(2))
    tensor([1., 1.])
    """
    return _fill(tensor, "ones_", lambda: 1)


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity: a linear layer then keeps as many of its inputs as there is room for.

    >>> import autograd_gpu as ag
    >>> ag.nn.init.eye_(ag.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _fill(tensor, "eye_", lambda: _from_host(tensor, np.eye(*tensor.array.shape)))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the weight of a convolution (3 to 5 dimensions) so that it keeps as many of its input channels as there is room for,
    in each of `groups`.

    >>> import autograd_gpu as ag
    >>> ag.nn.init.dirac_(ag.empty(2, 1, 3))
    tensor([[[0., 1., 0.]],
    <BLANKLINE>
            [[0., 0., 0.]]])
    """
    shape = tensor.array.shape
    if not 3 <= len(shape) <= 5:
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if shape[0] % groups:
        raise ValueError("dim 0 must be divisible by groups")
    out = shape[0] // groups

    def values() -> Any:
        array = np.zeros(shape)
        middle = tuple(n // 2 for n in shape[2:])
        for group in range(groups):
            for d in range(min(out, shape[1])):
                array[(group * out + d, d, *middle)] = 1
        return _from_host(tensor, array)

    return _fill(tensor, "dirac_", values)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform, with the spread that keeps both signals and gradients in scale (Glorot and Bengio, 2010).

    >>> import autograd_gpu as ag
    >>> w = ag.nn.init.xavier_uniform_(ag.empty(3, 5))
    >>> bool((w.abs() <= (6 / 8) ** 0.5).all())
    True
    """
    fan_in, fan_out = _fans(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal, with the spread that keeps both signals and gradients in scale (Glorot and Bengio, 2010).

    >>> import autograd_gpu as ag
    >>> ag.nn.init.xavier_normal_(ag.empty(3, 5)).shape
    Size([3, 5])
    """
    fan_in, fan_out = _fans(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2 / (fan_in + fan_out)), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of fan_in, fan_out")
    fan = _fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Uniform, with the spread that keeps signals in scale through rectifiers of negative slope `a` (He et al., 2015).

    >>> import autograd_gpu as ag
    >>> w = ag.nn.init.kaiming_uniform_(ag.empty(3, 6), nonlinearity="relu")
    >>> bool((w.abs() <= 1).all())
    True
    """
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Normal, with the spread that keeps signals in scale through rectifiers of negative slope `a` (He et al., 2015).

    >>> import autograd_gpu as ag
    >>> ag.nn.init.kaiming_normal_(ag.empty(3, 5), mode="fan_out", nonlinearity="relu").shape
    Size([3, 5])
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """Fill with a (semi) orthogonal matrix, times `gain`; dimensions after the second count as columns (Saxe et al., 2014,
    https://arxiv.org/abs/1312.6120). Computed on the CPU.

    >>> import autograd_gpu as ag
    >>> w = ag.nn.init.orthogonal_(ag.empty(3, 5))
    >>> ag.allclose(w @ w.T, ag.eye(3), atol=1e-5)
    True
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")

    def values() -> Any:
        shape = tensor.array.shape
        rows, columns = shape[0], math.prod(shape[1:])
        tall = (max(rows, columns), min(rows, columns))
        drawn = random.randn(tall, generator=generator, dtype="float32", device=tensor.device).numpy(force=True)
        q, r = np.linalg.qr(drawn.astype(np.float64))
        q *= np.sign(np.diag(r))  # so that all orthogonal matrices are equally likely
        return _from_host(tensor, gain * (q if rows >= columns else q.T).reshape(shape))

    return _fill(tensor, "orthogonal_", values) if tensor.array.size else tensor


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Fill a matrix with numbers drawn from a normal distribution, and a share `sparsity` of each column with zeros (Martens,
    2010).

    >>> import autograd_gpu as ag
    >>> (ag.nn.init.sparse_(ag.empty(10, 2), 0.3) == 0).sum(0)
    tensor([3, 3])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")

    def values() -> Any:
        rows, columns = tensor.array.shape
        zeros = math.ceil(sparsity * rows)
        drawn = random.randn((rows, columns), generator=generator, dtype="float32", device=tensor.device).numpy(force=True) * std
        for j in range(columns):
            drawn[random.randperm(rows, generator=generator).numpy()[:zeros], j] = 0
        return _from_host(tensor, drawn)

    return _fill(tensor, "sparse_", values)


def _old_name(function: Callable) -> Callable:
    name = function.__name__

    def old(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(f"`nn.init.{name[:-1]}` is now deprecated in favor of `nn.init.{name}`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    old.__name__ = old.__qualname__ = name[:-1]
    old.__doc__ = f"The deprecated name of `{name}`."
    return old


uniform, normal, constant = _old_name(uniform_), _old_name(normal_), _old_name(constant_)
xavier_uniform, xavier_normal = _old_name(xavier_uniform_), _old_name(xavier_normal_)
kaiming_uniform, kaiming_normal = _old_name(kaiming_uniform_), _old_name(kaiming_normal_)
eye, dirac, orthogonal, sparse = _old_name(eye_), _old_name(dirac_), _old_name(orthogonal_), _old_name(sparse_)
