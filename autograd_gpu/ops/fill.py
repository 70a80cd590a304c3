"""Filling tensors with random numbers, in place: Tensor's methods `uniform_`, `normal_` and the like."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from .. import backend
from ..backend.promotion import bfloat16, boolean, category, float16, float32, float64
from ..core.graph import words
from ..core.inplace import in_place
from ..core.tensor import Tensor
from ..dtypes import iinfo
from .generator import Generator
from .random import chances, draw, integers

__all__: list[str] = []
METHODS: tuple[str, ...] = (
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


def _fill(t: Tensor, name: str, numbers: Callable[[Any], Any]) -> Tensor:
    """Write `numbers(xp)`, of the shape and dtype of t, into t."""

    def drawn(array: Any) -> Any:
        xp = backend.beside(array)
        return xp.guarded(numbers, name)(xp)

    def filled(x: Tensor) -> Tensor:
        return words.overwrite(x, Tensor(drawn(x.array)))

    def directly(xp: Any, array: Any) -> None:
        xp.copyto(array, drawn(array))

    return in_place(filled, name, directly)(t)


def _from_draw(t: Tensor, name: str, kind: str, generator: Generator | None, change: Callable[[Any, Any], Any]) -> Tensor:
    """Fill t with `change(xp, numbers)` of numbers drawn, computed in float32 for the 16-bit dtypes."""
    shape, dtype = t.array.shape, t.array.dtype
    wide = float32 if dtype in (float16, bfloat16) else dtype
    return _fill(t, name, lambda xp: xp.astype(change(xp, draw(kind, shape, wide, xp, generator, name)), dtype=dtype))


def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None, **bounds: float) -> Tensor:
    """Fill this tensor with numbers uniform in [a, b)."""
    a, b = bounds.pop("from", a), bounds.pop("to", b)
    if bounds:
        raise TypeError(f"uniform_() got an unexpected keyword argument '{next(iter(bounds))}'")
    if a > b:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}")
    shape, dtype = self.array.shape, self.array.dtype
    if (a, b) == (0.0, 1.0):
        return _fill(self, "uniform_", lambda xp: draw("uniform", shape, dtype, xp, generator, "uniform_"))
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
    return _from_draw(self, "log_normal_", "normal", generator, lambda xp, z: xp.exp(z * z.dtype.type(std) + z.dtype.type(mean)))


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
        lambda xp, u: xp.tan((u - u.dtype.type(0.5)) * u.dtype.type(math.pi)) * u.dtype.type(sigma) + u.dtype.type(median),
    )


def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor with the number of trials until one of probability p succeeds: 1, 2, ..."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    shape, dtype, scale = self.array.shape, self.array.dtype, 1 / math.log1p(-p)

    def numbers(xp: Any) -> Any:
        u = draw("open_uniform", shape, float64, xp, generator, "geometric_")
        return xp.astype(xp.ceil(xp.log(u) * scale), dtype=dtype)

    return _fill(self, "geometric_", numbers)


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor with ones with probability p, a number or a tensor of probabilities, and zeros."""
    given = p.array if isinstance(p, Tensor) else p
    shape, dtype = self.array.shape, self.array.dtype
    return _fill(self, "bernoulli_", lambda xp: chances(given, shape, dtype, xp, generator, "bernoulli_"))


def random_(self: Tensor, low: int = 0, high: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Fill this tensor with integers: `random_(low, high)` in [low, high), `random_(high)` in [0, high), and `random_()` in
    all that the dtype holds from 0 up, for floating point as far as it holds every integer."""
    dtype = self.array.dtype
    if high is None:
        high = low or _beyond(dtype)
        low = 0
    low, high = operator.index(low), operator.index(high)
    return _fill(self, "random_", lambda xp: integers(low, high, self.array.shape, dtype, xp, generator))


def _beyond(dtype: Any) -> int:
    """One more than the largest integer that `random_()` gives."""
    if dtype == boolean:
        return 2
    if category(dtype) == 1:
        return iinfo(dtype).max + 1
    return {float16: 2**11, bfloat16: 2**8, float32: 2**24}.get(dtype, 2**53) + 1
