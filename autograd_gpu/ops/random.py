"""Random tensors, and tensors filled with random numbers. What numbers these are says backend.random."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backend
from ..backend.promotion import bfloat16, boolean, category, default_dtype, float16, float32, float64, int64
from ..core.graph import words
from ..core.inplace import in_place
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
METHODS: tuple[str, ...] = (
    "bernoulli",
    "multinomial",
    "bernoulli_",
    "cauchy_",
    "exponential_",
    "geometric_",
    "log_normal_",
    "normal_",
    "random_",
    "uniform_",
)
IN_PLACE: tuple[str, ...] = ()


# -- drawing arrays ----------------------------------------------------------------------------------------------------


def _draw(kind: str, shape: tuple[int, ...], dtype: np.dtype, xp: Any, generator: Generator | None, what: str) -> Any:
    """An array of floating point numbers; kind: uniform, open_uniform or normal."""
    if category(dtype) != 2:
        if category(dtype) == 3 and kind != "open_uniform":
            return _draw_complex(kind, shape, dtype, xp, generator, what)
        raise NotImplementedError(f'"{what}" not implemented for {dtype}: random numbers of this kind are floating point')
    n = 1
    for size in shape:
        n *= size
    seed, offset = (generator or default_generator).take(n, dtype)
    return getattr(xp, f"random_{kind}")(seed, offset, shape, dtype)


def _draw_complex(kind: str, shape: tuple[int, ...], dtype: np.dtype, xp: Any, generator: Generator | None, what: str) -> Any:
    part = float32 if dtype.itemsize == 8 else float64
    pairs = _draw(kind, (*shape, 2), part, xp, generator, what)
    scale = part.type(0.5**0.5 if kind == "normal" else 1)  # of variance 1 in all
    return xp.astype(pairs[..., 0] * scale + pairs[..., 1] * scale * dtype.type(1j), dtype=dtype)


def _integers(low: int, high: int, shape: tuple[int, ...], dtype: np.dtype, xp: Any, generator: Generator | None) -> Any:
    """An array of integers in [low, high)."""
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if category(dtype) == 1:
        info = np.iinfo(dtype)
        for name, value in (("from", low), ("to - 1", high - 1)):
            if not info.min <= value <= info.max:
                raise RuntimeError(f"{name} is out of bounds for {dtype}: {value}")
    n = 1
    for size in shape:
        n *= size
    seed, offset = (generator or default_generator).take(n, int64)
    drawn = xp.astype(xp.random_integers(seed, offset, shape, high - low), dtype=int64)
    return xp.astype(drawn + np.int64(low), dtype=dtype)


def _factory(
    kind: str, size: tuple[int, ...], dtype: Any, device: Any, requires_grad: bool, generator: Generator | None, what: str
) -> Tensor:
    xp = backend.vocabulary(place_of(device))
    return made(_draw(kind, size, dtype_of(dtype) or default_dtype[0], xp, generator, what), requires_grad)


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
    return _factory("uniform", _sizes("rand", size, shape), dtype, device, requires_grad, generator, "rand")


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
    return _factory("normal", _sizes("randn", size, shape), dtype, device, requires_grad, generator, "randn")


def _sizes(name: str, size: tuple, keywords: dict[str, Any]) -> tuple[int, ...]:
    unknown = [keyword for keyword in keywords if keyword != "size"]
    if unknown:
        raise TypeError(f"{name}() got an unexpected keyword argument '{unknown[0]}'")
    return sizes_of(name, size, keywords.get("size"))


def rand_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Numbers uniform in [0, 1), in the shape, dtype and device of `input`."""
    return rand(
        input.data.shape,
        generator=generator,
        dtype=dtype or input.dtype,
        device=device or input.device,
        requires_grad=requires_grad,
    )


def randn_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Normal numbers of mean 0 and variance 1, in the shape, dtype and device of `input`."""
    return randn(
        input.data.shape,
        generator=generator,
        dtype=dtype or input.dtype,
        device=device or input.device,
        requires_grad=requires_grad,
    )


def randint(
    low: int,
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
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None:
        raise TypeError("randint() needs a size: randint(high, size) or randint(low, high, size)")
    xp = backend.vocabulary(place_of(device))
    shape = sizes_of("randint", (size,)) if not hasattr(size, "__index__") else shape_of((size,))
    dtype = dtype_of(dtype) or int64
    return made(_integers(operator.index(low), operator.index(high), shape, dtype, xp, generator), requires_grad)


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
    """Integers in [low, high), or [0, low), in the shape, dtype and device of `input`."""
    if high is None:
        low, high = 0, low
    return randint(
        low,
        high,
        input.data.shape,
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
        if std.data.size and std.data.min() < 0:
            raise RuntimeError("normal expects all elements of std >= 0.0")
    elif std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    if given:
        if size is not None:
            raise TypeError("normal() takes a size only where mean and std are numbers")
        xp = backend.of(given[0].data.__class__)
        shape = np.broadcast_shapes(*(t.data.shape for t in given))
        numbers = _draw("normal", shape, given[0].data.dtype, xp, generator, "normal")
    else:
        if size is None:
            raise TypeError("normal() of numbers needs a size")
        xp = backend.vocabulary(place_of(device))
        numbers = _draw("normal", shape_of((size,)), dtype_of(dtype) or default_dtype[0], xp, generator, "normal")
    mean, std = (t.data if isinstance(t, Tensor) else numbers.dtype.type(t) for t in (mean, std))
    return made(xp.astype(numbers * std + mean, dtype=numbers.dtype), requires_grad)


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """Ones with the probabilities in `input` (or `p`), else zeros, in the dtype of `input`. Gradients do not flow through it.

    Raises RuntimeError for probabilities outside [0, 1].

    >>> import autograd_gpu as ag
    >>> ag.bernoulli(ag.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    array = input.data
    if p is None and category(array.dtype) != 2:
        raise NotImplementedError(f'"bernoulli" not implemented for {array.dtype}: probabilities are floating point')
    chances = array if p is None else p
    return Tensor(_chances(chances, array.shape, array.dtype, backend.of(array.__class__), generator, "bernoulli"))


def _chances(p: Any, shape: tuple[int, ...], dtype: np.dtype, xp: Any, generator: Generator | None, what: str) -> Any:
    """One where a uniform number is below p, else zero."""
    low, high = (p, p) if not hasattr(p, "shape") else (p.min(), p.max()) if p.size else (0, 1)
    if not (low >= 0 and high <= 1):
        raise RuntimeError(f"{what} expects p to be in [0, 1], but got p={low if not low >= 0 else high}")
    wide = float64 if getattr(p, "dtype", None) == float64 else float32
    return xp.astype(_draw("uniform", shape, wide, xp, generator, what) < p, dtype=dtype)


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """`num_samples` indices into each row of `input`, drawn with probabilities proportional to its elements: int64, shape
    (num_samples,) or (rows, num_samples). Without `replacement` an index is drawn once at most.

    Raises RuntimeError for rows that are no weights, and where there are fewer elements than samples.

    >>> import autograd_gpu as ag
    >>> ag.multinomial(ag.tensor([0.0, 1.0, 0.0]), 3, replacement=True)
    tensor([1, 1, 1])
    """
    array = input.data
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
        times = -np.log(_draw("open_uniform", weights.shape, float64, backend.cpu, generator, "multinomial")) / weights
        chosen = np.argsort(times, axis=1, kind="stable")[:, :num_samples]
    chosen = chosen.reshape(*array.shape[:-1], num_samples).astype(int64, copy=False)
    return Tensor(backend.move(chosen, input.device))


def _with_replacement(weights: np.ndarray, n: int, generator: Generator | None) -> np.ndarray:
    cumulative = np.cumsum(weights, axis=1)
    u = _draw("uniform", (len(weights), n), float64, backend.cpu, generator, "multinomial") * cumulative[:, -1:]
    rows = [np.searchsorted(c, x, side="right") for c, x in zip(cumulative, u, strict=True)]
    last = weights.shape[1] - 1 - np.argmax(weights[:, ::-1] > 0, axis=1)  # u may round up to the sum
    return np.minimum(np.stack(rows), last[:, None]) if rows else np.zeros((0, n), np.int64)


# -- filling tensors ---------------------------------------------------------------------------------------------------




def _fill(t: Tensor, name: str, numbers: Callable[[Any], Any]) -> Tensor:
    """Write `numbers(xp)`, of the shape and dtype of t, into t."""

    def filled(x: Tensor) -> Tensor:
        return words.overwrite(x, Tensor(numbers(backend.of(x.data.__class__))))

    def directly(xp: Any, array: Any) -> None:
        xp.copyto(array, numbers(xp))

    return in_place(filled, name, directly)(t)


def _from_draw(t: Tensor, name: str, kind: str, generator: Generator | None, change: Callable[[Any, Any], Any]) -> Tensor:
    """Fill t with `change(xp, numbers)` of numbers drawn, computed in float32 for the 16-bit dtypes."""
    shape, dtype = t.data.shape, t.data.dtype
    wide = float32 if dtype in (float16, bfloat16) else dtype
    return _fill(t, name, lambda xp: xp.astype(change(xp, _draw(kind, shape, wide, xp, generator, name)), dtype=dtype))


def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None, **bounds: float) -> Tensor:
    """Fill this tensor with numbers uniform in [a, b)."""
    a, b = bounds.pop("from", a), bounds.pop("to", b)
    if bounds:
        raise TypeError(f"uniform_() got an unexpected keyword argument '{next(iter(bounds))}'")
    if a > b:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}")
    shape, dtype = self.data.shape, self.data.dtype
    if (a, b) == (0.0, 1.0):
        return _fill(self, "uniform_", lambda xp: _draw("uniform", shape, dtype, xp, generator, "uniform_"))
    return _from_draw(self, "uniform_", "uniform", generator, lambda xp, u: u * u.dtype.type(b - a) + u.dtype.type(a))


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor with normal numbers of a mean and a standard deviation."""
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    return _from_draw(self, "normal_", "normal", generator, lambda xp, z: z * z.dtype.type(std) + z.dtype.type(mean))


def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor with exp(z), z being normal numbers of this mean and standard deviation."""
    if std <= 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    return _from_draw(
        self, "log_normal_", "normal", generator, lambda xp, z: xp.exp(z * z.dtype.type(std) + z.dtype.type(mean))
    )


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor with numbers of density lambd exp(-lambd x)."""
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return _from_draw(self, "exponential_", "open_uniform", generator, lambda xp, u: xp.log(u) * u.dtype.type(-1 / lambd))


def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor with numbers of density sigma / (pi ((x - median)^2 + sigma^2))."""
    if sigma <= 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    return _from_draw(
        self,
        "cauchy_",
        "open_uniform",
        generator,
        lambda xp, u: xp.tan((u - u.dtype.type(0.5)) * u.dtype.type(np.pi)) * u.dtype.type(sigma) + u.dtype.type(median),
    )


def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor with the number of trials until one of probability p succeeds: 1, 2, ..."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    shape, dtype, scale = self.data.shape, self.data.dtype, 1 / np.log1p(-p)

    def numbers(xp: Any) -> Any:
        u = _draw("open_uniform", shape, float64, xp, generator, "geometric_")
        return xp.astype(xp.ceil(xp.log(u) * scale), dtype=dtype)

    return _fill(self, "geometric_", numbers)


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor with ones with probability p, a number or a tensor of probabilities, and zeros."""
    chances = p.data if isinstance(p, Tensor) else p
    shape, dtype = self.data.shape, self.data.dtype
    return _fill(self, "bernoulli_", lambda xp: _chances(chances, shape, dtype, xp, generator, "bernoulli_"))


def random_(self: Tensor, low: int = 0, high: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor with integers: `random_(low, high)` in [low, high), `random_(high)` in [0, high), and `random_()` in
    all that the dtype holds from 0 up, for floating point as far as it holds every integer."""
    dtype = self.data.dtype
    if high is None:
        high = low or _beyond(dtype)
        low = 0
    low, high = operator.index(low), operator.index(high)
    return _fill(self, "random_", lambda xp: _integers(low, high, self.data.shape, dtype, xp, generator))


def _beyond(dtype: np.dtype) -> int:
    """One more than the largest integer that `random_()` gives."""
    if dtype == boolean:
        return 2
    if category(dtype) == 1:
        return int(np.iinfo(dtype).max) + 1
    return {float16: 2**11, bfloat16: 2**8, float32: 2**24}.get(dtype, 2**53) + 1
