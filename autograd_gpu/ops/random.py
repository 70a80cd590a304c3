"""Random tensors, and tensors filled with random numbers. What numbers these are says backend.random."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .. import backend
from ..backend.promotion import category, default_dtype, float32, float64, int64
from ..core.tensor import Tensor
from .arguments import dtype_of, shape_of
from .create import made, place_of, sizes_of
from .generator import Generator, default_generator

__all__ = [
    "bernoulli",
    "multinomial",
    "normal",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
]
METHODS: tuple[str, ...] = ("bernoulli", "multinomial")
IN_PLACE: tuple[str, ...] = ()


# -- drawing arrays ----------------------------------------------------------------------------------------------------


def draw(kind: str, shape: tuple[int, ...], dtype: np.dtype, xp: Any, generator: Generator | None, what: str) -> Any:
    """An array of floating point numbers; kind: uniform, open_uniform or normal."""
    if category(dtype) != 2:
        if category(dtype) == 3 and kind != "open_uniform":
            return _draw_complex(kind, shape, dtype, xp, generator, what)
        raise NotImplementedError(f'"{what}" not implemented for {dtype}: random numbers of this kind are floating point')
    seed, offset = (generator or default_generator).take(math.prod(shape), dtype)
    return getattr(xp, f"random_{kind}")(seed, offset, shape, dtype)


def _draw_complex(kind: str, shape: tuple[int, ...], dtype: np.dtype, xp: Any, generator: Generator | None, what: str) -> Any:
    part = float32 if dtype.itemsize == 8 else float64
    pairs = draw(kind, (*shape, 2), part, xp, generator, what)
    scale = part.type(0.5**0.5 if kind == "normal" else 1)  # of variance 1 in all
    parts = xp.guarded(lambda re, im: re * scale + im * scale * dtype.type(1j), what)(pairs[..., 0], pairs[..., 1])
    return xp.astype(parts, dtype=dtype)


def integers(low: int, high: int, shape: tuple[int, ...], dtype: np.dtype, xp: Any, generator: Generator | None) -> Any:
    """An array of integers in [low, high)."""
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if category(dtype) == 1:
        info = np.iinfo(dtype)
        for name, value in (("from", low), ("to - 1", high - 1)):
            if not info.min <= value <= info.max:
                raise RuntimeError(f"{name} is out of bounds for {dtype}: {value}")
    seed, offset = (generator or default_generator).take(math.prod(shape), int64)
    drawn = xp.astype(xp.random_integers(seed, offset, shape, high - low), dtype=int64)
    return xp.astype(xp.add(drawn, xp.full((), low, int64)) if low else drawn, dtype=dtype)


def _factory(
    kind: str, size: tuple[int, ...], dtype: Any, device: Any, requires_grad: bool, generator: Generator | None, what: str
) -> Tensor:
    xp = backend.vocabulary(place_of(device))
    return made(draw(kind, size, dtype_of(dtype) or default_dtype[0], xp, generator, what), requires_grad)


# -- new tensors -------------------------------------------------------------------------------------------------------


def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **shape: Any,
) -> Tensor:
    """Numbers uniform in [0, 1). The size is given as ints or as one sequence.

    >>> import autograd_gpu as ag
    >>> ag.rand(2, 3).shape
    Size([2, 3])
    """
    return _factory("uniform", sizes_of("rand", size, shape), dtype, device, requires_grad, generator, "rand")


def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **shape: Any,
) -> Tensor:
    """Numbers of the normal distribution of mean 0 and variance 1. The size is given as ints or as one sequence.

    >>> import autograd_gpu as ag
    >>> ag.randn(2, 3).shape
    Size([2, 3])
    """
    return _factory("normal", sizes_of("randn", size, shape), dtype, device, requires_grad, generator, "randn")


def rand_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Numbers uniform in [0, 1), in the shape, dtype and device of `input`.

    >>> import autograd_gpu as ag
    >>> ag.rand_like(ag.zeros(2, 3)).shape
    Size([2, 3])
    """
    return rand(
        input.array.shape,
        generator=generator,
        dtype=dtype or input.dtype,
        device=device or input.device,
        requires_grad=requires_grad,
    )


def randn_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Normal numbers of mean 0 and variance 1, in the shape, dtype and device of `input`.

    >>> import autograd_gpu as ag
    >>> ag.randn_like(ag.zeros(2, 3)).shape
    Size([2, 3])
    """
    return randn(
        input.array.shape,
        generator=generator,
        dtype=dtype or input.dtype,
        device=device or input.device,
        requires_grad=requires_grad,
    )


def randint(
    low: Any = None,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers in [low, high), int64 unless `dtype` says otherwise: `randint(high, size)` or `randint(low, high, size)`.

    Raises RuntimeError if there are none.

    >>> import autograd_gpu as ag
    >>> ag.randint(3, 4, (2,))
    tensor([3, 3])
    """
    if size is None:
        low, high, size = None, low, high
    if high is None:
        low, high = None, low
    low = 0 if low is None else low
    if size is None or high is None:
        raise TypeError("randint() needs a size: randint(high, size) or randint(low, high, size)")
    xp = backend.vocabulary(place_of(device))
    shape = sizes_of("randint", (size,)) if not hasattr(size, "__index__") else shape_of((size,))
    dtype = dtype_of(dtype) or int64
    return made(integers(operator.index(low), operator.index(high), shape, dtype, xp, generator), requires_grad)


def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers in [low, high), or [0, low), in the shape, dtype and device of `input`.

    >>> import autograd_gpu as ag
    >>> ag.randint_like(ag.zeros(2), 3, 4)
    tensor([3., 3.])
    """
    if high is None:
        low, high = 0, low
    return randint(
        low,
        high,
        input.array.shape,
        generator=generator,
        dtype=dtype or input.dtype,
        device=device or input.device,
        requires_grad=requires_grad,
    )


def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = int64, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The integers below n in a random order.

    >>> import autograd_gpu as ag
    >>> ag.randperm(4).sort().values
    tensor([0, 1, 2, 3])
    """
    n = operator.index(n)
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    xp = backend.vocabulary(place_of(device))
    seed, offset = (generator or default_generator).take(n, int64)
    return made(xp.astype(xp.random_permutation(seed, offset, n), dtype=dtype_of(dtype)), requires_grad)


def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers of a mean and a standard deviation each: tensors, which broadcast, or numbers and a `size`.

    Raises RuntimeError for a negative `std`.

    >>> import autograd_gpu as ag
    >>> ag.normal(2.0, 0.0, (3,))
    tensor([2., 2., 2.])
    """
    given = [t for t in (mean, std) if isinstance(t, Tensor)]
    if isinstance(std, Tensor):
        if std.array.size and backend.asked(std.array, "min") < 0:
            raise RuntimeError("normal expects all elements of std >= 0.0")
    elif std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    if given:
        if size is not None:
            raise TypeError("normal() takes a size only where mean and std are numbers")
        xp = backend.beside(given[0].array)
        shape = np.broadcast_shapes(*(t.array.shape for t in given))
        numbers = draw("normal", shape, given[0].array.dtype, xp, generator, "normal")
    else:
        if size is None:
            raise TypeError("normal() of numbers needs a size")
        xp = backend.vocabulary(place_of(device))
        numbers = draw("normal", shape_of((size,)), dtype_of(dtype) or default_dtype[0], xp, generator, "normal")
    mean, std = (t.array if isinstance(t, Tensor) else numbers.dtype.type(t) for t in (mean, std))
    numbers = xp.guarded(lambda z: z * std + mean, "normal")(numbers)
    return made(xp.astype(numbers, dtype=numbers.dtype), requires_grad)


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """Ones with the probabilities in `input` (or `p`), else zeros, in the dtype of `input`. Gradients do not flow through it.

    Raises RuntimeError for probabilities outside [0, 1].

    >>> import autograd_gpu as ag
    >>> ag.bernoulli(ag.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    array = input.array
    if p is None and category(array.dtype) != 2:
        raise NotImplementedError(f'"bernoulli" not implemented for {array.dtype}: probabilities are floating point')
    given = array if p is None else p
    return Tensor(chances(given, array.shape, array.dtype, backend.beside(array), generator, "bernoulli"))


def chances(p: Any, shape: tuple[int, ...], dtype: np.dtype, xp: Any, generator: Generator | None, what: str) -> Any:
    """One where a uniform number is below p, else zero."""
    low, high = (p, p) if not hasattr(p, "shape") else (backend.asked(p, "min"), backend.asked(p, "max")) if p.size else (0, 1)
    if not (low >= 0 and high <= 1):
        raise RuntimeError(f"{what} expects p to be in [0, 1], but got p={low if not low >= 0 else high}")
    wide = float64 if getattr(p, "dtype", None) == float64 else float32
    below = xp.guarded(lambda u: u < p, what)(draw("uniform", shape, wide, xp, generator, what))
    return xp.asarray(below, dtype)


def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Tensor:
    """`num_samples` indices into each row of `input`, drawn with probabilities proportional to its elements: int64, shape
    (num_samples,) or (rows, num_samples). Without `replacement` an index is drawn once at most.

    Raises RuntimeError for rows that are no weights, and where there are fewer elements than samples.

    >>> import autograd_gpu as ag
    >>> ag.multinomial(ag.tensor([0.0, 1.0, 0.0]), 3, replacement=True)
    tensor([1, 1, 1])
    """
    array = input.array
    if array.ndim not in (1, 2):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, but its shape is {list(array.shape)}")
    if category(array.dtype) != 2:
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {array.dtype}")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > array.shape[-1]:
        raise RuntimeError(
            f"cannot sample n_sample > prob_dist.size(-1) samples without replacement: {num_samples} of {array.shape[-1]}"
        )
    host = backend.of(array.__class__).to_host(array)
    weights = np.atleast_2d(host.astype(float64))
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if not (weights.sum(1) > 0).all():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    if replacement:
        chosen = _with_replacement(weights, num_samples, generator)
    else:  # the first arrivals of a race in which each index has the exponential distribution of its weight for a rate
        times = -np.log(draw("open_uniform", weights.shape, float64, backend.cpu, generator, "multinomial")) / weights
        chosen = np.argsort(times, axis=1, kind="stable")[:, :num_samples]
    chosen = chosen.reshape(*array.shape[:-1], num_samples).astype(int64, copy=False)
    return Tensor(backend.move(chosen, input.device))


def _with_replacement(weights: np.ndarray, n: int, generator: Generator | None) -> np.ndarray:
    cumulative = np.cumsum(weights, axis=1)
    u = draw("uniform", (len(weights), n), float64, backend.cpu, generator, "multinomial") * cumulative[:, -1:]
    rows = [np.searchsorted(c, x, side="right") for c, x in zip(cumulative, u, strict=True)]
    last = weights.shape[1] - 1 - np.argmax(weights[:, ::-1] > 0, axis=1)  # u may round up to the sum
    return np.minimum(np.stack(rows), last[:, None]) if rows else np.zeros((0, n), np.int64)
