"""Words that update parameters, one an optimizer: further ones beside `adam_` and `sgd_`, on the same buckets.

Each is the arithmetic of its optimizer alone; what depends on the number of the step, such as a bias correction, is worked out
by the optimizer and comes as a number. All of them take

    bucket, gradients    the parameters and, in their order, their gradients
    further arrays       the state of all parameters of the bucket, end to end
    weight_decay         added to the gradients, times the parameters
    shrink               what the parameters are multiplied by first: weight decay apart from the gradient
    maximize             climb instead of descend

The gradients are gathered into the scratch of the bucket, `g` below, where the passes over them are made; a second scratch, `t`,
belongs to the thread and is shared by all buckets. At the end `g` holds what is subtracted from the parameters.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .optim import Bucket

_add, _subtract, _multiply, _divide, _sqrt, _maximum = np.add, np.subtract, np.multiply, np.divide, np.sqrt, np.maximum

__all__ = [
    "adadelta_", "adagrad_", "adamax_", "approach_", "asgd_", "lion_", "nadam_", "orthogonalized", "radam_", "rmsprop_",
    "rprop_",
]  # fmt: skip

_spare = threading.local()


def _second(g: Any) -> Any:
    """A scratch as large as g."""
    name = g.dtype.char
    held = _spare.__dict__.get(name)
    if held is None or held.size < g.size:
        held = _spare.__dict__[name] = np.empty(g.size, g.dtype)
    return held[: g.size]


@contextmanager
def _work(
    bucket: Bucket,
    gradients: Sequence[Any],
    states: Sequence[Any],
    weight_decay: float = 0.0,
    shrink: float = 1.0,
    maximize: bool = False,
    scale: float = 1.0,
) -> Iterator[tuple]:
    """Gather the gradients, times `scale`; give (g, the states in the dtype of g); and subtract g from the parameters."""
    g = bucket.flat
    number = g.dtype.type
    if weight_decay:
        rate, combine = number(weight_decay), _subtract if maximize else _add
        for given, part, block in zip(gradients, bucket.parts, bucket.blocks):  # noqa: B905 (strict costs as much as the work)
            _multiply(block, rate, part)
            combine(part, given, part)
        if scale != 1.0:
            _multiply(g, number(scale), g)
    else:
        sign = number(-scale if maximize else scale)
        for given, part in zip(gradients, bucket.parts):  # noqa: B905
            _multiply(given, sign, part)
    wide = [s if s is None or s.dtype == g.dtype else s.astype(g.dtype) for s in states]
    yield g, *wide
    for kept, computed in zip(states, wide):  # noqa: B905
        if computed is not kept:
            np.copyto(kept, computed, casting="unsafe")
    if bucket.half:
        for block, part in zip(bucket.blocks, bucket.parts):  # noqa: B905
            np.copyto(block, block.astype(g.dtype) * number(shrink) - part, casting="unsafe")
        return
    for block, part in zip(bucket.blocks, bucket.parts):  # noqa: B905
        if shrink != 1.0:
            block *= shrink
        _subtract(block, part, block)


def _mean(mean: Any, rate: float, value: Any) -> None:
    """mean = rate * mean + value."""
    _multiply(mean, rate, mean)
    _add(mean, value, mean)


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
    with _work(bucket, gradients, (exp_avg, exp_inf), weight_decay, maximize=maximize) as (g, m, u):
        t = _second(g)
        _multiply(g, 1.0 - beta1, t)
        _mean(m, beta1, t)
        np.abs(g, g)
        _add(g, eps, g)
        _multiply(u, beta2, u)
        _maximum(u, g, out=u)
        _divide(m, u, g)
        _multiply(g, rate, g)


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
    with _work(bucket, gradients, (exp_avg, exp_avg_sq), weight_decay, shrink, maximize) as (g, m, v):
        t = _second(g)
        _multiply(g, 1.0 - beta1, t)
        _mean(m, beta1, t)
        _multiply(g, g, t)
        _multiply(t, 1.0 - beta2, t)
        _mean(v, beta2, t)
        _multiply(g, gradient_rate, g)
        _multiply(m, momentum_rate, t)
        _add(g, t, g)
        _sqrt(v, t)
        _multiply(t, 1.0 / root, t)
        _add(t, eps, t)
        _divide(g, t, g)


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
    with _work(bucket, gradients, (exp_avg, exp_avg_sq), weight_decay, shrink, maximize, 1.0 - beta1) as (g, m, v):
        _mean(m, beta1, g)
        _multiply(g, g, g)
        _multiply(g, (1.0 - beta2) / (1.0 - beta1) ** 2, g)
        _mean(v, beta2, g)
        if not adaptive:
            _multiply(m, rate, g)
            return
        _sqrt(v, g)
        _add(g, eps, g)
        _divide(m, g, g)
        _multiply(g, rate, g)


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
    states = (square_avg, momentum_buffer, grad_avg)
    with _work(bucket, gradients, states, weight_decay, maximize=maximize) as (g, v, m, mean):
        t = _second(g)
        _multiply(g, g, t)
        _multiply(t, 1.0 - alpha, t)
        _mean(v, alpha, t)
        if mean is None:
            _sqrt(v, t)
        else:
            _multiply(g, 1.0 - alpha, t)
            _mean(mean, alpha, t)
            _multiply(mean, mean, t)
            _subtract(v, t, t)
            _sqrt(t, t)
        _add(t, eps, t)
        _divide(g, t, g)
        if m is not None:
            _mean(m, momentum, g)
            _multiply(m, lr, g)
        else:
            _multiply(g, lr, g)


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
    with _work(bucket, gradients, (squares,), weight_decay, maximize=maximize) as (g, s):
        t = _second(g)
        _multiply(g, g, t)
        _add(s, t, s)
        _sqrt(s, t)
        _add(t, eps, t)
        _divide(g, t, g)
        _multiply(g, rate, g)


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
    with _work(bucket, gradients, (square_avg, acc_delta), weight_decay, maximize=maximize) as (g, v, acc):
        t = _second(g)
        _multiply(g, g, t)
        _multiply(t, 1.0 - rho, t)
        _mean(v, rho, t)
        _add(v, eps, t)
        _sqrt(t, t)
        _divide(g, t, g)
        _add(acc, eps, t)
        _sqrt(t, t)
        _multiply(g, t, g)
        _multiply(g, g, t)
        _multiply(t, 1.0 - rho, t)
        _mean(acc, rho, t)
        _multiply(g, lr, g)


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
    with _work(bucket, gradients, (prev, step_size), maximize=maximize) as (g, before, size):
        t = _second(g)
        _multiply(g, before, t)
        chosen = np.greater(t, 0)
        _multiply(size, eta_plus, size, where=chosen)
        np.less(t, 0, out=chosen)
        _multiply(size, eta_minus, size, where=chosen)
        np.copyto(g, 0, where=chosen)
        _maximum(size, smallest, out=size)
        np.minimum(size, largest, out=size)
        np.copyto(before, g)
        np.sign(g, g)
        _multiply(g, size, g)


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
    with _work(bucket, gradients, (), weight_decay, shrink, maximize, eta):
        pass
    g = bucket.flat
    for block, part in zip(bucket.blocks, bucket.parts):  # noqa: B905
        np.copyto(part, block, casting="unsafe")
    if mu == 1.0:
        np.copyto(ax, g, casting="unsafe")
        return
    wide = ax.astype(g.dtype) if ax.dtype != g.dtype else ax
    _subtract(g, wide, g)
    _multiply(g, mu, g)
    _add(wide, g, g)
    np.copyto(ax, g, casting="unsafe")


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
    with _work(bucket, gradients, (exp_avg,), 0.0, shrink, maximize) as (g, m):
        t = _second(g)
        _multiply(g, 1.0 - beta2, t)
        if beta1:  # the sign of beta1 * m + (1 - beta1) * g is that of m + (1 - beta1) / beta1 * g
            _multiply(g, (1.0 - beta1) / beta1, g)
            _add(g, m, g)
        np.sign(g, g)
        _multiply(g, lr, g)
        _mean(m, beta2, t)


_BLOCK = 65536  # elements at a time, so that they stay in the cache


def approach_(means: Sequence[Any], arrays: Sequence[Any], weight: float) -> None:
    """means += weight * (arrays - means), for lists of arrays of floating point."""
    for mean, array in zip(means, arrays, strict=True):
        wide = np.float32 if mean.dtype.itemsize == 2 else mean.dtype
        if not (mean.flags.c_contiguous and array.flags.c_contiguous):
            np.copyto(mean, mean + (array - mean) * mean.dtype.type(weight), casting="unsafe")
            continue
        to, by = mean.reshape(-1), array.reshape(-1)
        room = np.empty(min(to.size, _BLOCK), wide)
        for start in range(0, to.size, _BLOCK):
            m = to[start : start + _BLOCK]
            t = room[: m.size]
            np.subtract(by[start : start + _BLOCK], m, out=t, dtype=wide)
            _multiply(t, weight, t)
            np.add(m, t, out=m, casting="unsafe")


def orthogonalized(x: Any, *, coefficients: Sequence[float], steps: int, eps: float) -> Any:
    """About the nearest matrix to x with orthogonal rows or columns, by `steps` of a Newton-Schulz iteration with the odd
    polynomial a * x + b * x^3 + c * x^5, in float32 (float64 for float64)."""
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    y = (x.T if tall else x).astype(np.float64 if x.dtype == np.float64 else np.float32)
    flat = y.ravel("K")
    y /= max(float(np.sqrt(flat.dot(flat))), eps)
    for _ in range(steps):
        gram = y.dot(y.T)
        polynomial = gram.dot(gram.T)  # symmetric: half of the product is worked out
        polynomial *= c
        gram *= b
        polynomial += gram
        polynomial.reshape(-1)[:: gram.shape[0] + 1] += a
        y = polynomial.dot(y)
    return y.T if tall else y
