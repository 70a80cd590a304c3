"""Checks of gradients, for those who write ops: a random direction instead of every element, in every order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backend import of
from .core import engine
from .core.tensor import Tensor

__all__ = ["assert_close", "check_grads"]

_TOLERANCE = {"float16": 1e-3, "bfloat16": 1.6e-2, "float32": 1.3e-6, "float64": 1e-7, "complex64": 1.3e-6, "complex128": 1e-7}


def assert_close(
    actual: Any, expected: Any, *, rtol: float | None = None, atol: float | None = None, equal_nan: bool = False
) -> None:
    """Raise AssertionError, with the greatest difference and its place, unless two tensors are element by element within
    `atol + rtol * |expected|`, and of one shape and dtype. The defaults are `torch.testing.assert_close`'s.

    >>> import autograd_gpu as ag
    >>> from autograd_gpu.testing import assert_close
    >>> assert_close(ag.tensor([1.0, 2.0]), ag.tensor([1.0, 2.0000001]))
    >>> assert_close(ag.tensor([1.0, 2.0]), ag.tensor([1.0, 2.5]))
    Traceback (most recent call last):
    AssertionError: 1 of 2 elements are not close: the greatest difference is 0.5 at index (1,), where 2.0 should be 2.5
    """
    a, b = _host(actual), _host(expected)
    if (rtol is None) != (atol is None):
        raise ValueError("rtol and atol must both be given or both be left out")
    if a.shape != b.shape:
        raise AssertionError(f"the shapes differ: {list(a.shape)} should be {list(b.shape)}")
    if isinstance(actual, Tensor) and isinstance(expected, Tensor) and a.dtype != b.dtype:
        raise AssertionError(f"the dtypes differ: {a.dtype} should be {b.dtype}")
    if rtol is None or atol is None:
        rtol = max(_TOLERANCE.get(str(x.dtype), 0.0) for x in (a, b))
        atol = min(rtol, 1e-5)
    wide = np.result_type(np.float64, np.complex128 if "c" in (a.dtype.kind, b.dtype.kind) else np.float64)
    a, b = a.astype(wide), b.astype(wide)
    with np.errstate(all="ignore"):
        difference = np.where(a == b, 0.0, np.abs(a - b))
        close = (difference <= atol + rtol * np.abs(b)) & (np.isfinite(a + b) | (a == b))
    if equal_nan:
        close |= np.isnan(a) & np.isnan(b)
    if not close.all():
        distance = np.where(close, -1.0, np.where(np.isnan(difference), np.inf, difference))
        index = tuple(int(i) for i in np.unravel_index(int(distance.argmax()), a.shape))
        raise AssertionError(
            f"{int((~close).sum())} of {a.size} elements are not close: the greatest difference is {difference[index]} at index "
            f"{index}, where {a[index]} should be {b[index]}"
        )


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    *,
    eps: float = 1e-5,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    seed: int = 0,
) -> None:
    """Raise AssertionError unless the gradients of `f(*args)` up to `order` are what central differences give in a random
    direction. float64 tensors among `args` that require grad are differentiated, and are left as they were.

    One direction v costs two calls of f, however many elements there are: with a random u, u·(J v) is compared with (Jᵀ u)·v.
    The second order is the first order of the function x -> Jᵀ u, and so on.

    >>> import autograd_gpu as ag
    >>> from autograd_gpu.testing import check_grads
    >>> x = ag.tensor([0.3, 1.2], dtype=ag.float64, requires_grad=True)
    >>> check_grads(lambda x: x.sin() * x, [x], order=3)
    """
    rng = np.random.default_rng(seed)
    places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
    if not places:
        raise ValueError("none of the arguments requires grad: there is nothing to check")
    for i in places:
        if str(args[i].dtype) not in ("float64", "complex128"):
            raise ValueError(f"argument {i} is {args[i].dtype}: differences are exact enough in float64 only")
    for number in range(1, order + 1):
        _check(f, list(args), places, rng, eps, (rtol, atol), number)
        f = _gradient(f, places, int(rng.integers(1 << 30)))


def _check(
    f: Callable, args: list, places: list[int], rng: np.random.Generator, eps: float, tolerance: tuple, number: int
) -> None:
    leaves = {i: args[i].detach().clone().requires_grad_() for i in places}
    outs = _tensors(f(*[leaves.get(i, a) for i, a in enumerate(args)]))
    weights = [rng.uniform(-1, 1, tuple(t.shape)) for t in outs]
    directions = {i: rng.uniform(-1, 1, tuple(t.shape)) for i, t in leaves.items()}

    def at(step: float) -> float:
        moved = {}
        for i, t in leaves.items():
            array = of(t.array.__class__).asarray(_host(t) + step * directions[i])
            moved[i] = Tensor(array).requires_grad_()
        found = _tensors(f(*[moved.get(i, a) for i, a in enumerate(args)]))
        return float(sum((_host(t) * w).sum() for t, w in zip(found, weights, strict=True)))

    numeric = (at(eps) - at(-eps)) / (2 * eps)
    recorded = [(t, w) for t, w in zip(outs, weights, strict=True) if t.requires_grad]
    exact, size = 0.0, 0.0
    if recorded:
        cotangents = [Tensor(of(t.array.__class__).asarray(w)) for t, w in recorded]
        grads = engine.gradients_of([t for t, _ in recorded], list(leaves.values()), cotangents, False, False)
        for i, g in zip(leaves, grads, strict=True):
            if g is not None:
                part = _host(g) * directions[i]
                exact, size = exact + float(part.sum()), size + float(np.abs(part).sum())
    if not abs(exact - numeric) <= tolerance[1] + tolerance[0] * max(abs(numeric), size):
        raise AssertionError(
            f"order {number}: in a random direction the derivative is {exact:.10g} by backward and {numeric:.10g} by differences"
        )


def _gradient(f: Callable, places: list[int], seed: int) -> Callable:
    """The function that gives the gradients of a random projection of f's result, recorded."""

    def gradient(*args: Any) -> list[Tensor]:
        outs = [t for t in _tensors(f(*args)) if t.requires_grad]
        inputs = [args[i] for i in places]
        if not outs:
            return [Tensor(of(x.array.__class__).zeros(x.array.shape, x.array.dtype)) for x in inputs]
        rng = np.random.default_rng(seed)
        weights = [Tensor(of(t.array.__class__).asarray(rng.uniform(-1, 1, tuple(t.shape)))) for t in outs]
        found = engine.gradients_of(outs, inputs, weights, True, True)
        return [
            Tensor(of(x.array.__class__).zeros(x.array.shape, x.array.dtype)) if g is None else g
            for g, x in zip(found, inputs, strict=True)
        ]

    return gradient


def _tensors(result: Any) -> list[Tensor]:
    """The floating tensors in a result."""
    found = []
    for t in result if isinstance(result, (tuple, list)) else [result]:
        if isinstance(t, Tensor) and t.array.dtype.kind in "fcV":
            found.append(t)
    return found


def _host(x: Any) -> np.ndarray:
    """The elements as a NumPy array."""
    return of(x.array.__class__).to_host(x.array) if isinstance(x, Tensor) else np.asarray(x)
