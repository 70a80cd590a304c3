"""Running samples: making their arguments, calling the op and the oracle, walking the graph, finite differences."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np

import autograd_gpu as ag
from autograd_gpu.core import engine
from autograd_gpu.core.graph import Leaf
from autograd_gpu.core.tensor import Tensor

from .samples import B, F, I, Sample

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = {
    name: np.dtype(name)
    for name in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool", "complex64", "complex128")
} | {"bfloat16": BFLOAT16}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


# -- arguments -------------------------------------------------------------------------------------------------------------


def array_of(spec: F | I | B, rng: np.random.Generator) -> np.ndarray:
    """Numbers for a spec: float64, int64 or bool."""
    if isinstance(spec, F):
        if spec.gap:
            n = math.prod(spec.shape)
            grid = np.linspace(spec.low, spec.high, max(n, 2)) + rng.uniform(0, 1e-3)
            return rng.permutation(grid[:n]).reshape(spec.shape)
        return rng.uniform(spec.low, spec.high, spec.shape)
    if isinstance(spec, I):
        if spec.distinct:
            n = math.prod(spec.shape)
            return rng.permutation(np.arange(spec.low, max(spec.high, spec.low + n)))[:n].reshape(spec.shape)
        return rng.integers(spec.low, spec.high, spec.shape, dtype=np.int64)
    return rng.integers(0, 2, spec.shape).astype(bool)


def mapped(x: Any, change: Callable) -> Any:
    """`x` with `change` done to every leaf of its lists, tuples, slices and dicts."""
    if isinstance(x, slice):
        return slice(*(mapped(y, change) for y in (x.start, x.stop, x.step)))
    if type(x) in (list, tuple):
        return type(x)(mapped(y, change) for y in x)
    if isinstance(x, dict):
        return {k: mapped(y, change) for k, y in x.items()}
    return change(x)


class Call:
    """The arguments of a sample as arrays, from which calls of the op and of the oracle are made.

    arrays    what stands for the F, I and B specs, in order
    floats    the places among them of those that require grad"""

    def __init__(self, sample: Sample, shapes: Callable | None = None, ints: bool = False):
        rng = np.random.default_rng(zlib.crc32(repr((sample.name, sample.args, sorted(sample.kw))).encode()))
        self.sample = sample
        self.arrays: list[np.ndarray] = []
        self.floats: list[int] = []
        self.ints = ints

        def place(x: Any) -> Any:
            if not isinstance(x, (F, I, B)):
                return x
            if shapes is not None:
                x = type(x)(**{**vars(x), "shape": shapes(x.shape, len(self.arrays))})
            if isinstance(x, F) and ints:
                x = I(x.shape, math.ceil(x.low), max(math.floor(x.high), math.ceil(x.low)) + 1, distinct=x.gap > 0)
            elif isinstance(x, F) and x.grad:
                self.floats.append(len(self.arrays))
            self.arrays.append(array_of(x, rng))
            self.kinds.append(type(x))
            return Place(len(self.arrays) - 1)

        self.kinds: list[type] = []
        self.args = mapped(tuple(sample.args), place)
        self.kw = mapped(sample.kw, place)

    def cast(self, dtype: np.dtype) -> list[np.ndarray]:
        """The arrays with the floating ones in `dtype`."""
        return [a.astype(dtype) if kind is F else a.copy() for a, kind in zip(self.arrays, self.kinds, strict=True)]

    def ours(self, arrays: list[np.ndarray], grad: bool = True, device: str = "cpu") -> Ran:
        """Call the op on arrays, copied to a device. What has no tensor among its arguments is told the device."""
        tensors = [Tensor(a).to(device) for a in arrays]
        if grad and self.sample.grad:
            for k in self.floats:
                tensors[k].requires_grad_()
        args, kw = self._with(tensors, lambda x: x)
        if device != "cpu" and not tensors:
            kw["device"] = device
        return Ran(tensors, resolve(ag, self.sample.name)(*args, **kw), self.floats)

    def theirs(self, torch: Any, arrays: list[np.ndarray], grad: bool = True) -> Ran:
        """Call the oracle on arrays."""
        tensors = [to_torch(torch, a) for a in arrays]
        if grad and self.sample.grad:
            for k in self.floats:
                tensors[k].requires_grad_()
        args, kw = self._with(tensors, lambda x: torch_constant(torch, x))
        which = self.sample.torch
        if callable(which):
            out = which(torch, *args, **kw)
        else:
            out = resolve(torch, which or self.sample.name)(*args, **kw)
        return Ran(tensors, out, self.floats)

    def _with(self, tensors: list, constant: Callable) -> tuple[tuple, dict]:
        def fill(x: Any) -> Any:
            return tensors[x.k] if isinstance(x, Place) else constant(x)

        return mapped(self.args, fill), mapped(self.kw, fill)


class Place:
    """Where the k-th array of a Call goes."""

    def __init__(self, k: int):
        self.k = k


class Ran(SimpleNamespace):
    """A call that was made: its input tensors, its result and, flat, the tensors in that."""

    def __init__(self, tensors: list, result: Any, floats: list[int]):
        super().__init__(tensors=tensors, result=result, outs=list(flat(result)), inputs=[tensors[k] for k in floats])

    @property
    def recorded(self) -> list:
        """The outputs that have a gradient."""
        return [t for t in self.outs if getattr(t, "requires_grad", False)]


def flat(result: Any) -> Iterator[Any]:
    """The tensors and numbers in a result."""
    if isinstance(result, (tuple, list)) and type(result).__name__ not in ("Size",):
        for x in result:
            yield from flat(x)
    else:
        yield result


def resolve(root: Any, name: str) -> Any:
    """The function under a dotted name."""
    for part in name.split("."):
        root = getattr(root, part)
    return root


# -- PyTorch ---------------------------------------------------------------------------------------------------------------


def to_torch(torch: Any, a: np.ndarray) -> Any:
    """A NumPy array as a tensor of PyTorch, with its own memory."""
    if a.dtype == BFLOAT16:
        return torch.tensor(a.astype(np.float32)).to(torch.bfloat16)
    return torch.tensor(a)


def torch_constant(torch: Any, x: Any) -> Any:
    """Our dtypes and devices as PyTorch's."""
    if isinstance(x, np.dtype) or (isinstance(x, type) and issubclass(x, np.generic)):
        return getattr(torch, NAMES[np.dtype(x)])
    return torch.device(str(x)) if isinstance(x, ag.device) else x


def as_array(x: Any) -> np.ndarray:
    """A result of either as a NumPy array; bfloat16 as float32."""
    if isinstance(x, Tensor):
        x = x.array if x.is_cpu else x.detach().cpu().array
    elif hasattr(x, "detach"):
        x = x.detach()
        x = (x.float() if str(x.dtype) == "torch.bfloat16" else x).resolve_conj().numpy(force=True)
    x = np.asarray(x)
    return x.astype(np.float32) if x.dtype == BFLOAT16 else x


def dtype_name(x: Any) -> str:
    """The name of a result's dtype, of a Python number its type."""
    if isinstance(x, Tensor):
        return NAMES.get(x.array.dtype, str(x.array.dtype))
    return str(x.dtype).removeprefix("torch.") if hasattr(x, "dtype") else type(x).__name__


# -- comparing -------------------------------------------------------------------------------------------------------------

TOLERANCE = {"float32": 1e-4, "float16": 4e-3, "bfloat16": 3e-2}


def close(ours: Any, theirs: Any, tolerance: float, what: str, scale: bool = False) -> None:
    """Assert that two results have one shape and are close. `scale`: relative to the largest element, not to each."""
    a, b = as_array(ours), as_array(theirs)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
    if scale and b.size:
        finite = np.abs(b[np.isfinite(b)])
        np.testing.assert_allclose(a, b, tolerance, tolerance * max(1.0, finite.max() if finite.size else 1.0), err_msg=what)
    else:
        np.testing.assert_allclose(a, b, tolerance, tolerance, err_msg=what)


def same_results(ours: Ran, theirs: Ran, tolerance: float, what: str = "value") -> None:
    """Assert that two calls gave the same shapes, dtypes and values."""
    assert len(ours.outs) == len(theirs.outs), f"{len(ours.outs)} outputs, expected {len(theirs.outs)}"
    for k, (a, b) in enumerate(zip(ours.outs, theirs.outs, strict=True)):
        label = f"{what} of output {k}"
        assert dtype_name(a) == dtype_name(b), f"{label}: dtype {dtype_name(a)}, expected {dtype_name(b)}"
        close(a, b, tolerance, label)


# -- gradients -------------------------------------------------------------------------------------------------------------


def cotangents(ran: Ran, seed: int = 0) -> list[np.ndarray]:
    """A random gradient for each recorded output."""
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.uniform(0.5, 1.5, tuple(t.shape)) * rng.choice([-1.0, 1.0], tuple(t.shape))) for t in ran.recorded]


def gradients(ran: Ran, weights: list, create: bool = False, retain: bool = True) -> list[Tensor]:
    """Our gradients of the inputs, zeros where there are none. The weights of the outputs are arrays or Tensors."""
    outs = ran.recorded
    weights = [
        w if isinstance(w, Tensor) else Tensor(w.astype(t.array.dtype)).to(t.device) for w, t in zip(weights, outs, strict=True)
    ]
    found = engine.gradients_of(outs, ran.inputs, weights, retain, create)
    return [ag.zeros_like(x) if g is None else g for g, x in zip(found, ran.inputs, strict=True)]


def torch_gradients(torch: Any, ran: Ran, weights: list[np.ndarray], create: bool = False) -> list:
    """PyTorch's gradients of the inputs."""
    outs = ran.recorded
    weights = [torch.tensor(w).to(t.dtype) for w, t in zip(weights, outs, strict=True)]
    return torch.autograd.grad(outs, ran.inputs, weights, create_graph=create, allow_unused=True, materialize_grads=True)


def differences(function: Callable, arrays: list[np.ndarray], places: list[int], eps: float = 1e-6) -> list[np.ndarray]:
    """The gradient of a real function of float64 arrays, one element at a time, by central differences."""
    result = []
    for k in places:
        a = arrays[k]
        d = np.zeros_like(a)
        for index in np.ndindex(*a.shape):
            held = a[index]
            step = eps * max(1.0, abs(held))
            a[index] = held + step
            above = function(arrays)
            a[index] = held - step
            below = function(arrays)
            a[index] = held
            d[index] = (above - below) / (2 * step)
        result.append(d)
    return result


def graph_of(tensors: list[Tensor]) -> list[Any]:
    """All nodes that tensors were computed by, leaves and outputs left out."""
    seen: dict[int, Any] = {}
    stack = [t.node for t in tensors if isinstance(t, Tensor) and t.node is not None]
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            stack.extend(node.edges)
    return [n for n in seen.values() if not isinstance(n, Leaf) and hasattr(n, "saved")]
