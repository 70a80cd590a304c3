"""What every op is tested with: a line an op, in one file a family, as the ops themselves.

    S("mul", f(3, 4), f(4))                              calls ag.mul and, as the oracle, torch.mul on the same numbers
    S("erfinv", f(5, low=-0.9, high=0.9), torch="special.erfinv")    where PyTorch has it under another name
    S("leaky_relu", f(5), negative_slope=0.2, torch="nn.functional.leaky_relu")

The first argument is the dotted name below `autograd_gpu` ("linalg.norm", "Tensor.view"). Further arguments are what the call
takes: `f`, `i`, `b` below stand for random tensors, everything else is passed as it is, in lists too. The loop in
tests/ops/test_samples.py checks each line: values, dtype and shape against PyTorch, gradients against finite differences and
PyTorch, second order, non-contiguous and zero-size inputs, methods and in-place forms, and what is saved.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class F:
    """A float tensor, uniform in [low, high], that requires grad. `gap`: no two elements closer than this, for ops that have
    a kink where elements tie."""

    shape: tuple[int, ...]
    low: float = -2.0
    high: float = 2.0
    gap: float = 0.0
    grad: bool = True


@dataclass(frozen=True)
class I:  # noqa: E742 (beside F and B)
    """An int64 tensor, uniform in [low, high)."""

    shape: tuple[int, ...]
    low: int = 0
    high: int = 5
    distinct: bool = False


@dataclass(frozen=True)
class B:
    """A bool tensor."""

    shape: tuple[int, ...]


def f(*shape: int, **options: Any) -> F:
    return F(shape, **options)


def i(*shape: int, **options: Any) -> I:
    return I(shape, **options)


def b(*shape: int) -> B:
    return B(shape)


@dataclass
class Sample:
    """One call to test. See the head of this file.

    torch      dotted name of the oracle below `torch`, or a function(torch, *args, **kw); None: the same name
    dtypes     the floating dtypes it is run in
    grad       whether the result is differentiable
    second     whether second derivatives are checked (they are zero, or the op refuses: say why in a comment)
    ints       whether it is also run on int64 versions of its float inputs, comparing value and dtype
    tolerance  relative and absolute, for float64; 1e-4 is used for float32 where larger
    skip       names of checks that do not apply, as in skip=("zero_size",): say why in a comment. Their names are those of the
               test functions in tests/ops/test_samples.py without `test_`
    """

    name: str
    args: tuple
    kw: dict[str, Any]
    torch: str | Callable | None = None
    dtypes: tuple[str, ...] = ("float32", "float64")
    grad: bool = True
    second: bool = True
    ints: bool = False
    tolerance: float = 1e-8
    id: str = field(default="")
    skip: tuple[str, ...] = ()


def S(
    name: str,
    *args: Any,
    torch: str | Callable | None = None,
    dtypes: tuple[str, ...] = ("float32", "float64"),
    grad: bool = True,
    second: bool = True,
    ints: bool = False,
    tolerance: float = 1e-8,
    skip: tuple[str, ...] = (),
    **kw: Any,
) -> Sample:
    """A sample: see the head of this file and `Sample`."""
    return Sample(name, args, kw, torch, dtypes, grad, second, ints, tolerance, skip=skip)


def discover() -> list[Sample]:
    """The samples of all files in this folder, each with an id that says where it stands: "reduce.sum-3"."""
    found = []
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        seen: dict[str, int] = {}
        for sample in getattr(importlib.import_module(f"{__name__}.{module}"), "SAMPLES", ()):
            seen[sample.name] = n = seen.get(sample.name, 0) + 1
            found.append(replace(sample, id=f"{module}.{sample.name}-{n}"))
    return found
