"""Words that update parameters: an optimizer's step on a bucket of parameters, in place and without temporaries of their size.

A bucket is a handful of small parameters, or a block of a large one: so few elements that they and their state stay in the
cache while the dozen passes over them run. The gradients are gathered, already scaled, into one flat scratch; the passes run
on that and on the state, which is flat too; and the result is subtracted from each parameter where it lies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_add, _subtract, _multiply, _divide, _sqrt, _maximum = np.add, np.subtract, np.multiply, np.divide, np.sqrt, np.maximum

__all__ = ["Bucket", "adam_", "bucket_elements", "bucket_scratch", "drop_denormals_", "sgd_"]

PIECE = 65536  # elements of a bucket: with two kinds of state and the scratch it fits in the second-level cache as float32


def bucket_elements(total: int) -> int:
    """The most elements that a bucket of parameters should hold that have so many together."""
    return PIECE


def bucket_scratch(elements: int, dtype: Any) -> Any:
    """What buckets of up to so many elements share: an array of the dtype that they are computed in, at least float32."""
    return np.empty(elements, np.float32 if dtype.itemsize == 2 else dtype)


_TINY = {np.dtype(np.float32): 1e-34, np.dtype(np.float64): 1e-300}


def drop_denormals_(state: Any) -> None:
    """Zeros for the numbers of a flat state that are about to become denormal: processors take 100 times as long for those. The
    running means of parameters whose gradients have ended, as those of a dead unit, get there after some hundred steps."""
    tiny = _TINY.get(state.dtype)
    if tiny is not None:
        for start in range(0, state.size, PIECE):
            part = state[start : start + PIECE]
            np.copyto(part, 0, where=np.less(np.absolute(part), tiny))


class Bucket:
    """Blocks of parameters (arrays, views), with a view of the flat scratch in the shape of each.

    The numbers of a step, such as the learning rate, are arrays without dimensions: NumPy takes those 200 ns faster."""

    __slots__ = ("blocks", "parts", "flat", "numbers", "half", "given")

    def __init__(self, blocks: Sequence[Any], scratch: Any):
        self.blocks = list(blocks)
        self.parts = []
        start = 0
        for block in self.blocks:
            self.parts.append(scratch[start : start + block.size].reshape(block.shape))
            start += block.size
        self.flat = scratch[:start]
        self.numbers = tuple(np.zeros((), scratch.dtype) for _ in range(7))
        self.given: Any = None  # the hyperparameters that the numbers now hold
        self.half = bool(self.blocks) and self.blocks[0].dtype != scratch.dtype


def _gather(bucket: Bucket, gradients: Sequence[Any], scale: Any, decay: float, maximize: bool) -> None:
    """flat = scale * (gradients + decay * parameters). The sign of gradients that are to be climbed is in `scale`, unless
    there is decay, which would be turned round with them."""
    if not decay:
        for g, part in zip(gradients, bucket.parts):  # noqa: B905 (strict costs as much as a small array's work)
            _multiply(g, scale, part)
        return
    rate = bucket.numbers[6]
    rate[()] = decay
    combine = _subtract if maximize else _add
    for g, part, block in zip(gradients, bucket.parts, bucket.blocks):  # noqa: B905
        _multiply(block, rate, part)
        combine(part, g, part)
        _multiply(part, scale, part)


def _shrink(bucket: Bucket, factor: float) -> None:
    """Weight decay apart from the gradient: parameters *= factor."""
    for block in bucket.blocks:
        if bucket.half:
            np.copyto(block, block.astype(bucket.flat.dtype) * bucket.flat.dtype.type(factor), casting="unsafe")
        else:
            block *= factor


def _scatter(bucket: Bucket) -> None:
    """parameters -= flat."""
    if bucket.half:
        for block, part in zip(bucket.blocks, bucket.parts, strict=True):
            np.copyto(block, block.astype(part.dtype) - part, casting="unsafe")
    else:
        for block, part in zip(bucket.blocks, bucket.parts):  # noqa: B905
            _subtract(block, part, block)


def adam_(
    bucket: Bucket,
    gradients: Sequence[Any],
    exp_avg: Any,
    exp_avg_sq: Any,
    max_exp_avg_sq: Any = None,
    *,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
) -> None:
    """One step of Adam (Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980), of AdamW (Loshchilov and Hutter, 2019) if the
    weight decay is decoupled, of AMSGrad (Reddi et al., 2018) if there is an array for the largest second moments.

    The bias corrections are folded into two numbers: with r = sqrt(1 - beta2**step),
    m / (1 - beta1**step) / (sqrt(v) / r + eps) = r / (1 - beta1**step) * m / (sqrt(v) + r * eps)."""
    if bucket.half:
        states = [None if s is None else s.astype(bucket.flat.dtype) for s in (exp_avg, exp_avg_sq, max_exp_avg_sq)]
        m, v, v_max = states
    else:
        m, v, v_max = exp_avg, exp_avg_sq, max_exp_avg_sq
    flat = bucket.flat
    keep_m, take_m, keep_v, take_v, floor, rate, _ = bucket.numbers
    root = math.sqrt(1.0 - beta2**step)
    decay = 0.0 if decoupled else weight_decay
    given = (beta1, beta2, maximize, decay)
    if bucket.given != given:
        bucket.given = given
        keep_m[()] = beta1
        take_m[()] = beta1 - 1.0 if maximize and not decay else 1.0 - beta1
        keep_v[()] = beta2
        take_v[()] = (1.0 - beta2) / (1.0 - beta1) ** 2
    floor[()] = eps * root
    rate[()] = lr * root / (1.0 - beta1**step)
    if decoupled and weight_decay:
        _shrink(bucket, 1.0 - lr * weight_decay)
    _gather(bucket, gradients, take_m, decay, maximize)  # flat = (1 - beta1) * g
    _multiply(m, keep_m, m)
    _add(m, flat, m)
    _multiply(flat, flat, flat)
    _multiply(flat, take_v, flat)  # flat = (1 - beta2) * g * g
    _multiply(v, keep_v, v)
    _add(v, flat, v)
    if v_max is None:
        _sqrt(v, flat)
    else:
        _maximum(v_max, v, out=v_max)
        _sqrt(v_max, flat)
    _add(flat, floor, flat)
    _divide(m, flat, flat)
    _multiply(flat, rate, flat)
    _scatter(bucket)
    if bucket.half:
        for kept, computed in zip((exp_avg, exp_avg_sq, max_exp_avg_sq), states, strict=True):
            if kept is not None:
                np.copyto(kept, computed, casting="unsafe")


def sgd_(
    bucket: Bucket,
    gradients: Sequence[Any],
    momentum_buffer: Any = None,
    *,
    step: int,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> None:
    """One step of gradient descent, with momentum (Sutskever et al., 2013) if there is a buffer for it."""
    flat = bucket.flat
    scale, keep, rate, _, _, _, _ = bucket.numbers
    sign = -1.0 if maximize and not weight_decay else 1.0
    if momentum_buffer is None:
        scale[()] = sign * lr
        _gather(bucket, gradients, scale, weight_decay, maximize)
        _scatter(bucket)
        return
    m = momentum_buffer.astype(flat.dtype) if bucket.half else momentum_buffer
    scale[()] = sign if step == 1 else sign * (1.0 - dampening)  # the first gradient is taken whole
    keep[()] = momentum
    rate[()] = lr
    _gather(bucket, gradients, scale, weight_decay, maximize)
    _multiply(m, keep, m)
    _add(m, flat, m)
    if nesterov:  # g + momentum * m, in two parts because there is one scratch
        _multiply(flat, rate, flat)
        _scatter(bucket)
        rate[()] = lr * momentum
    _multiply(m, rate, flat)
    _scatter(bucket)
    if bucket.half:
        np.copyto(momentum_buffer, m, casting="unsafe")
