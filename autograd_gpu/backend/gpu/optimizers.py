"""Words that update parameters, one an optimizer: further ones beside `adam_` and `sgd_`, on the same buckets.

They are the functors of one kernel, `update` in optim.cu: one launch for 64 parameters. Arguments as in
`backend.cpu.optimizers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np

from ..kernels import struct
from ..promotion import bfloat16
from .build import elementwise
from .fusions import Bucket, bucket_dtype
from .linalg import matmul

__all__ = [
    "adadelta_", "adagrad_", "adamax_", "approach_", "asgd_", "lion_", "nadam_", "orthogonalized", "radam_", "rmsprop_",
    "rprop_",
]  # fmt: skip


def _update(
    functor: str,
    bucket: Bucket,
    gradients: Sequence[Any],
    states: tuple,
    numbers: tuple,
    weight_decay: float = 0.0,
    shrink: float = 1.0,
    maximize: bool = False,
) -> None:
    """Launch a functor of optim.cu with the numbers of the step."""
    if not bucket.blocks:
        return
    table = np.zeros((), struct("optim.cu", f"Numbers<{bucket.name}>"))
    table["r"][: len(numbers)] = numbers
    bucket.bind((*states, None, None, None)[:3])
    number = bucket_dtype(bucket.blocks[0].dtype).type
    rates = number(weight_decay), number(shrink)
    bucket.launch("update", gradients, table, *rates, np.int32(maximize), functor=functor)


def adamax_(
    bucket: Bucket,
    gradients: Sequence[Any],
    exp_avg: Any,
    exp_inf: Any,
    *,
    rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> None:
    """m = mean of g, u = max(beta2 * u, |g| + eps); parameters -= rate * m / u."""
    numbers = beta1, beta2, eps, rate
    _update("Adamax", bucket, gradients, (exp_avg, exp_inf), numbers, weight_decay, maximize=maximize)


def nadam_(
    bucket: Bucket,
    gradients: Sequence[Any],
    exp_avg: Any,
    exp_avg_sq: Any,
    *,
    gradient_rate: float,
    momentum_rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    root: float,
    weight_decay: float = 0.0,
    shrink: float = 1.0,
    maximize: bool = False,
) -> None:
    """parameters -= (gradient_rate * g + momentum_rate * m) / (sqrt(v) / root + eps), with m and v the means of g and g * g."""
    numbers = beta1, beta2, eps, root, gradient_rate, momentum_rate
    _update("NAdam", bucket, gradients, (exp_avg, exp_avg_sq), numbers, weight_decay, shrink, maximize)


def radam_(
    bucket: Bucket,
    gradients: Sequence[Any],
    exp_avg: Any,
    exp_avg_sq: Any,
    *,
    rate: float,
    adaptive: bool,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
    shrink: float = 1.0,
    maximize: bool = False,
) -> None:
    """parameters -= rate * m, divided by sqrt(v) + eps if `adaptive`, with m and v the means of g and g * g."""
    numbers = beta1, beta2, eps, rate, adaptive
    _update("RAdam", bucket, gradients, (exp_avg, exp_avg_sq), numbers, weight_decay, shrink, maximize)


def rmsprop_(
    bucket: Bucket,
    gradients: Sequence[Any],
    square_avg: Any,
    momentum_buffer: Any = None,
    grad_avg: Any = None,
    *,
    lr: float,
    alpha: float,
    eps: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> None:
    """parameters -= lr * g / (sqrt(v) + eps), with v the mean of g * g, less the square of the mean of g if there is an array
    for that; with momentum if there is a buffer for it."""
    numbers = lr, alpha, eps, momentum, momentum_buffer is not None, grad_avg is not None
    states = square_avg, momentum_buffer, grad_avg
    _update("RMSprop", bucket, gradients, states, numbers, weight_decay, maximize=maximize)


def adagrad_(
    bucket: Bucket,
    gradients: Sequence[Any],
    squares: Any,
    *,
    rate: float,
    eps: float,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> None:
    """parameters -= rate * g / (sqrt(squares) + eps), with the sum of all g * g in `squares`."""
    _update("Adagrad", bucket, gradients, (squares,), (rate, eps), weight_decay, maximize=maximize)


def adadelta_(
    bucket: Bucket,
    gradients: Sequence[Any],
    square_avg: Any,
    acc_delta: Any,
    *,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> None:
    """parameters -= lr * d, d = g * sqrt(acc_delta + eps) / sqrt(v + eps), with v and acc_delta the means of g * g and d * d."""
    _update("Adadelta", bucket, gradients, (square_avg, acc_delta), (lr, rho, eps), weight_decay, maximize=maximize)


def rprop_(
    bucket: Bucket,
    gradients: Sequence[Any],
    prev: Any,
    step_size: Any,
    *,
    eta_minus: float,
    eta_plus: float,
    smallest: float,
    largest: float,
    maximize: bool = False,
) -> None:
    """parameters -= sign(g) * step_size, which grows by eta_plus where g has the sign of `prev` and shrinks by eta_minus where it
    has the other; there g is taken as 0."""
    numbers = eta_minus, eta_plus, smallest, largest
    _update("Rprop", bucket, gradients, (prev, step_size), numbers, maximize=maximize)


def asgd_(
    bucket: Bucket,
    gradients: Sequence[Any],
    ax: Any,
    *,
    eta: float,
    mu: float,
    weight_decay: float = 0.0,
    shrink: float = 1.0,
    maximize: bool = False,
) -> None:
    """parameters = shrink * parameters - eta * g; ax += mu * (parameters - ax)."""
    _update("ASGD", bucket, gradients, (ax,), (eta, mu), weight_decay, shrink, maximize)


def lion_(
    bucket: Bucket,
    gradients: Sequence[Any],
    exp_avg: Any,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    shrink: float = 1.0,
    maximize: bool = False,
) -> None:
    """parameters -= lr * sign(beta1 * m + (1 - beta1) * g), and then m = beta2 * m + (1 - beta2) * g."""
    _update("Lion", bucket, gradients, (exp_avg,), (lr, beta1, beta2), 0.0, shrink, maximize)


_approach = elementwise("approach", "T array, float64 weight", "T mean", "mean = T(A(mean) + A(weight) * (A(array) - A(mean)));")


def approach_(means: Sequence[Any], arrays: Sequence[Any], weight: float) -> None:
    """means += weight * (arrays - means), for lists of arrays of floating point."""
    for mean, array in zip(means, arrays, strict=True):
        _approach(array, weight, mean)


def orthogonalized(x: Any, *, coefficients: Sequence[float], steps: int, eps: float) -> Any:
    """About the nearest matrix to x with orthogonal rows or columns, by `steps` of a Newton-Schulz iteration with the odd
    polynomial a * x + b * x^3 + c * x^5, in bfloat16 as PyTorch has it (float64 for float64)."""
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    wide = x.astype(cupy.float64 if x.dtype == cupy.float64 else cupy.float32)
    y = wide.T if tall else wide
    norm = cupy.sqrt((y * y).sum())
    y = cupy.ascontiguousarray(y / cupy.maximum(norm, eps), x.dtype if x.dtype == cupy.float64 else bfloat16)
    kind = np.dtype(y.dtype)
    factors = [cupy.asarray(v, wide.dtype) for v in (a, b, c)]
    for _ in range(steps):
        gram = matmul(y, y.T)
        update = (factors[1] * gram + factors[2] * matmul(gram, gram)).astype(kind)
        y = (factors[0] * y + matmul(update, y)).astype(kind)
    return y.T if tall else y
