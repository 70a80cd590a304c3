"""What each kernel of the project must compute: a case launches kernels and compares with float64 arithmetic on NumPy.

Sizes are odd, there is more than one block and warp, rows are longer than a block and shorter, pointers are aligned and not, and
among the values are the largest, infinities and NaN. A case names the kernels that it needs, so that a build holds no others.
There is a module of cases for each kernel file, or for some small ones.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np

from ..array import DeviceArray
from ..kernel import Kernel

KERNELS = Path(__file__).resolve().parents[3] / "kernels"

TYPES = {"float": np.dtype("f4"), "half_t": np.dtype("f2"), "bfloat_t": np.dtype(ml_dtypes.bfloat16), "double": np.dtype("f8")}
TOLERANCE = {"float": 5e-6, "half_t": 1.1e-3, "bfloat_t": 8.5e-3, "double": 1e-13}

Get = Callable[[str], Kernel]


@dataclass(frozen=True)
class Case:
    """`run(get)` raises unless the kernels `get(name)` compute what they must. `names` are all that it gets."""

    file: str
    type: str
    name: str
    names: tuple[str, ...]
    run: Callable[[Get], None]

    def __str__(self) -> str:
        return f"{self.name}-{self.type}"


_declared: list[Case] = []


def case(file: str, *names: str, types: tuple[str, ...] = tuple(TYPES), name: str = "") -> Callable[[Callable], Callable]:
    """Declares a function of (get, type name) as a case for each of the types.

    In the names of the kernels, T stands for the type and A for the one that it is computed in.
    """

    def declare(function: Callable) -> Callable:
        for t in types:
            a = "double" if t == "double" else "float"
            full = tuple(re.sub(r"\bA\b", a, re.sub(r"\bT\b", t, n)) for n in names)
            _declared.append(Case(file, t, name or function.__name__, full, functools.partial(function, t=t)))
        return function

    return declare


@functools.cache
def all_cases() -> tuple[Case, ...]:
    """Every case."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return tuple(_declared)


def names_of(file: str, types: tuple[str, ...] = tuple(TYPES)) -> tuple[str, ...]:
    """The kernels of a file that the cases of some types need."""
    return tuple(sorted({n for c in all_cases() if c.file == file and c.type in types for n in c.names}))


def files() -> list[str]:
    """The kernel files that have cases."""
    return sorted({c.file for c in all_cases()})


# ---- values, and comparing them


def computed(t: str) -> np.dtype:
    """The type that the kernels compute in."""
    return np.dtype("f8") if t == "double" else np.dtype("f4")


def wide(a: np.ndarray) -> np.ndarray:
    """In float64."""
    return a.astype(np.float64)


def normal(shape: int | tuple[int, ...], t: str, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Random numbers, the same for a seed."""
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(TYPES[t])


EXTREMES = [0.0, -0.0, 1e4, -1e4, 88.0, -88.0, np.inf, -np.inf, np.nan, 1e-7]


def equal(actual: np.ndarray, expected: np.ndarray, t: str, dtype: np.dtype | None = None) -> None:
    """Up to the rounding of type `t`; infinities and NaN in the same places."""
    with np.errstate(all="ignore"):
        expected = wide(expected.astype(dtype or TYPES[t]))  # what overflows the type is infinite
        actual = wide(actual)
        assert actual.shape == expected.shape, (actual.shape, expected.shape)
        finite = np.isfinite(expected)
        np.testing.assert_array_equal(actual[~finite], expected[~finite])
        error = np.abs(actual - expected)[finite] / (1 + np.abs(expected[finite]))
        worst = error.max(initial=0.0)
        assert worst <= TOLERANCE[t], f"error {worst}"


def out(shape: int | tuple[int, ...], dtype: np.dtype) -> DeviceArray:
    """Fresh memory: full of a large negative number, so what a kernel leaves out is seen."""
    return DeviceArray(shape, dtype)
