"""Each check below is run on each line of tests/samples: a new line there is tested by all of them."""

from __future__ import annotations

import gc
import re
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.core.tensor import Tensor

from ..samples import F, Sample, discover
from ..support import (
    BFLOAT16,
    DTYPES,
    TOLERANCE,
    Call,
    Ran,
    as_array,
    close,
    cotangents,
    differences,
    dtype_name,
    gradients,
    graph_of,
    same_results,
    torch_gradients,
)

SAMPLES = discover()
FLOAT64 = np.dtype("float64")
REFUSALS = (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning:torch")  # those of PyTorch


def each(which: Callable[[Sample], Any] = lambda s: True) -> Callable:
    """Run a test on the samples that `which` picks and that do not ask to be left out."""

    def decorate(test: Callable) -> Callable:
        name = test.__name__.removeprefix("test_")
        picked = [s for s in SAMPLES if which(s) and name not in s.skip]
        return pytest.mark.parametrize("sample", picked, ids=lambda s: s.id)(test)

    return decorate


def has_floats(sample: Sample) -> bool:
    return sample.grad and bool(Call(sample).floats)


def tolerance(sample: Sample, dtype: str) -> float:
    return max(sample.tolerance, TOLERANCE.get(dtype, 0.0))


def oracle(torch: Any, ran: Ran, weights: list[np.ndarray], create: bool = False) -> list:
    """PyTorch's gradients. Where it refuses to go back (scatter with more in src than index takes), differences judge alone."""
    try:
        return torch_gradients(torch, ran, weights, create)
    except REFUSALS as refusal:
        pytest.skip(f"PyTorch: {refusal}")


# -- against PyTorch -------------------------------------------------------------------------------------------------------


@each()
def test_value(sample: Sample, torch: Any) -> None:
    """Value, shape and dtype are PyTorch's, in each dtype; and the same things require grad."""
    call = Call(sample)
    for dtype in sample.dtypes:
        ours, theirs = call.ours(call.cast(DTYPES[dtype])), call.theirs(torch, call.cast(DTYPES[dtype]))
        same_results(ours, theirs, tolerance(sample, dtype), f"{dtype} value")
        if sample.grad:
            needs = [[getattr(t, "requires_grad", False) for t in run.outs] for run in (ours, theirs)]
            assert needs[0] == needs[1], "requires_grad of the outputs"


@each(has_floats)
def test_gradient(sample: Sample, torch: Any) -> None:
    """Gradients are PyTorch's, in each dtype, and have their input's dtype."""
    call = Call(sample)
    for dtype in sample.dtypes:
        ours, theirs = call.ours(call.cast(DTYPES[dtype])), call.theirs(torch, call.cast(DTYPES[dtype]))
        weights = cotangents(ours)
        expected = oracle(torch, theirs, weights)
        for k, (g, e) in enumerate(zip(gradients(ours, weights), expected, strict=True)):
            assert g.dtype == ours.inputs[k].dtype, f"{dtype} gradient of input {k} has dtype {g.dtype}"
            close(g, e, max(tolerance(sample, dtype), 1e-7), f"{dtype} gradient of input {k}", scale=True)


@each(lambda s: has_floats(s) and s.second)
def test_second_order(sample: Sample, torch: Any) -> None:
    """The gradient of a random projection of the gradient is PyTorch's."""
    call = Call(sample)
    ours, theirs = call.ours(call.cast(FLOAT64)), call.theirs(torch, call.cast(FLOAT64))
    weights = cotangents(ours)
    first, expected = gradients(ours, weights, create=True), oracle(torch, theirs, weights, create=True)
    for a, b in zip(first, expected, strict=True):
        close(a, b, max(sample.tolerance, 1e-7), "gradient under create_graph", scale=True)
    ours.outs, theirs.outs = [g for g in first if g.requires_grad], [g for g in expected if g.requires_grad]
    if len(ours.outs) != len(theirs.outs):
        return  # one of us knows that a second derivative is zero: finite differences judge
    if ours.outs:
        weights = cotangents(ours, 1)
        second = zip(gradients(ours, weights), oracle(torch, theirs, weights), strict=True)
        for k, (a, b) in enumerate(second):
            close(a, b, max(sample.tolerance, 1e-6), f"second-order gradient of input {k}", scale=True)


@each(lambda s: s.ints)
def test_ints(sample: Sample, torch: Any) -> None:
    """int64 in place of floats: values and dtype of the result are PyTorch's."""
    call = Call(sample, ints=True)
    ours, theirs = call.ours(call.cast(FLOAT64), grad=False), call.theirs(torch, call.cast(FLOAT64), grad=False)
    same_results(ours, theirs, 1e-4, "value of ints")


def compare_or_both_refuse(call: Call, torch: Any, dtype: np.dtype = FLOAT64, limit: float = 1e-7) -> Ran | None:
    """Values and gradients equal PyTorch's, or both raise. Returns our call, None if it was refused."""
    sample, error = call.sample, None
    try:
        theirs = call.theirs(torch, call.cast(dtype))
    except REFUSALS as refusal:
        error = refusal
    if error is not None:
        with pytest.raises(REFUSALS):
            call.ours(call.cast(dtype))
        return None
    ours = call.ours(call.cast(dtype))
    limit = max(sample.tolerance, limit)
    same_results(ours, theirs, limit)
    if sample.grad and call.floats and ours.recorded and theirs.recorded:
        weights = cotangents(ours)
        for a, b in zip(gradients(ours, weights), oracle(torch, theirs, weights), strict=True):
            close(a, b, limit, "gradient", scale=True)
    return ours


@each()
def test_zero_size(sample: Sample, torch: Any) -> None:
    """Every size that occurs in the shapes, set to 0 wherever it occurs: PyTorch's result, or both raise."""
    sizes = {n for a in Call(sample).arrays for n in a.shape if n > 1}
    for size in sorted(sizes):
        call = Call(sample, shapes=lambda shape, k, size=size: tuple(0 if n == size else n for n in shape))
        compare_or_both_refuse(call, torch)


@each()
def test_no_dimensions(sample: Sample, torch: Any) -> None:
    """Every tensor without dimensions: PyTorch's result, or both raise."""
    if Call(sample).arrays:
        compare_or_both_refuse(Call(sample, shapes=lambda shape, k: ()), torch)


def elementwise(sample: Sample) -> bool:
    """Whether nothing but elementwise ops lie between the inputs and the one output."""
    if sample.name.startswith("Tensor.") or not has_floats(sample):
        return False
    try:
        ours = Call(sample).ours(Call(sample).cast(FLOAT64))
        shape = np.broadcast_shapes(*(t.array.shape for t in ours.tensors)) if ours.tensors else None
    except Exception:
        return False  # the other tests say so
    one = len(ours.outs) == 1 and isinstance(ours.outs[0], Tensor) and ours.outs[0].array.shape == shape
    return one and all(node.plan.op.kind == "elementwise" for node in graph_of(ours.outs) if hasattr(node.plan, "mask"))


@each(elementwise)
def test_broadcasting(sample: Sample, torch: Any) -> None:
    """Elementwise ops of several tensors: each of them smaller than the others, in several ways."""
    count = len(Call(sample).arrays)
    for k in range(count if count > 1 else 0):
        for small in ((4,), (3, 1), (1,), ()):
            call = Call(sample, shapes=lambda shape, j, k=k, small=small: small if j == k else (3, 4))
            compare_or_both_refuse(call, torch)


@each(elementwise)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(sample: Sample, dtype: str, torch: Any) -> None:
    """Elementwise ops in half precision: PyTorch's dtype, values as near as the format allows, gradients of the same dtype."""
    call = Call(sample)
    try:
        theirs = call.theirs(torch, call.cast(DTYPES[dtype]))
    except (RuntimeError, NotImplementedError):
        return
    ours, exact = (
        call.ours(call.cast(DTYPES[dtype])),
        call.ours([a.astype(FLOAT64) if a.dtype in HALVES else a for a in call.cast(DTYPES[dtype])]),
    )
    assert [dtype_name(t) for t in ours.outs] == [dtype_name(t) for t in theirs.outs]
    for a, b, c in zip(ours.outs, exact.outs, theirs.outs, strict=True):
        a, b, c = as_array(a), as_array(b), as_array(c)
        allowed = np.maximum(TOLERANCE[dtype] * (1 + np.abs(b)), 2 * np.abs(c - b))
        wrong = ~(np.abs(a - b) <= allowed) & ~(np.isnan(a) & np.isnan(c)) & ~(a == c)
        assert not wrong.any(), f"{a[wrong]} where exact is {b[wrong]} and PyTorch has {c[wrong]}"
    weights = cotangents(ours)
    for g, x in zip(gradients(ours, weights), ours.inputs, strict=True):
        assert g.dtype == x.dtype
        assert g.shape == x.shape


@each(lambda s: not elementwise(s))
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_stays(sample: Sample, dtype: str, torch: Any) -> None:
    """The other ops in half precision: what PyTorch takes is taken, the dtypes are PyTorch's, gradients have their input's."""
    call = Call(sample)
    try:
        theirs = call.theirs(torch, call.cast(DTYPES[dtype]))
    except REFUSALS:
        return
    ours = call.ours(call.cast(DTYPES[dtype]))
    assert [dtype_name(t) for t in ours.outs] == [dtype_name(t) for t in theirs.outs]
    if sample.grad and ours.recorded:
        for g, x in zip(gradients(ours, cotangents(ours)), ours.inputs, strict=True):
            assert g.dtype == x.dtype


HALVES = (np.dtype("float16"), BFLOAT16)


# -- by themselves ---------------------------------------------------------------------------------------------------------


def projection(call: Call, weights: list[np.ndarray]) -> Callable:
    """A random projection of the outputs, as a function of the arrays."""

    def value(arrays: list[np.ndarray]) -> float:
        outs = [t for t, keep in zip(call.ours([a.copy() for a in arrays], grad=False).outs, which, strict=True) if keep]
        return float(sum((as_array(t) * w).sum() for t, w in zip(outs, weights, strict=True)))

    which = [getattr(t, "requires_grad", False) for t in call.ours(call.cast(FLOAT64)).outs]
    return value


@each(has_floats)
def test_gradient_against_differences(sample: Sample) -> None:
    """The gradient of a random projection of the outputs is what central differences give, element by element."""
    call = Call(sample)
    arrays = call.cast(FLOAT64)
    ours = call.ours(call.cast(FLOAT64))
    weights = cotangents(ours)
    expected = differences(projection(call, weights), arrays, call.floats)
    for k, (g, e) in enumerate(zip(gradients(ours, weights), expected, strict=True)):
        close(g, e, max(sample.tolerance, 2e-6), f"gradient of input {k}", scale=True)


@each(lambda s: has_floats(s) and s.second)
def test_second_order_against_differences(sample: Sample) -> None:
    """The gradient of a random projection of the gradient is what differences of the first gradient give."""
    call = Call(sample)
    ours = call.ours(call.cast(FLOAT64))
    weights = cotangents(ours)
    rng = np.random.default_rng(5)
    directions = [np.asarray(rng.uniform(-1, 1, x.array.shape)) for x in ours.inputs]

    def value(arrays: list[np.ndarray]) -> float:
        found = gradients(call.ours([a.copy() for a in arrays]), weights)
        return float(sum((as_array(g) * d).sum() for g, d in zip(found, directions, strict=True)))

    first = gradients(ours, weights, create=True)
    chosen = [(g, d) for g, d in zip(first, directions, strict=True) if g.requires_grad]
    if chosen:
        again = Ran(ours.tensors, [g for g, _ in chosen], call.floats)
        second = gradients(again, [d for _, d in chosen])
    else:
        second = [Tensor(np.zeros_like(x.array)) for x in ours.inputs]
    for k, (g, e) in enumerate(zip(second, differences(value, call.cast(FLOAT64), call.floats), strict=True)):
        close(g, e, max(sample.tolerance, 1e-5), f"second-order gradient of input {k}", scale=True)


@each(lambda s: has_floats(s) and s.second)
def test_tangent_by_two_gradients(sample: Sample) -> None:
    """J d, had by differentiating (Jᵀ w)·d with respect to w, is the directional derivative. It runs the rules of the ops that
    stand in rules."""
    call = Call(sample)
    ours = call.ours(call.cast(FLOAT64))
    weights = [Tensor(w.astype(t.array.dtype)).requires_grad_() for w, t in zip(cotangents(ours), ours.recorded, strict=True)]
    rng = np.random.default_rng(6)
    directions = [np.asarray(rng.uniform(-1, 1, x.array.shape)) for x in ours.inputs]
    chosen = [(g, Tensor(d)) for g, d in zip(gradients(ours, weights, create=True), directions, strict=True) if g.requires_grad]
    if not chosen:
        return
    found = ag.autograd.grad([g for g, _ in chosen], weights, [d for _, d in chosen], materialize_grads=True)

    def moved(step: float) -> list[np.ndarray]:
        arrays = call.cast(FLOAT64)
        for k, d in zip(call.floats, directions, strict=True):
            arrays[k] = np.asarray(arrays[k] + step * d)
        return [as_array(t) for t in call.ours(arrays).recorded]

    for k, (t, above, below) in enumerate(zip(found, moved(1e-6), moved(-1e-6), strict=True)):
        close(t, (above - below) / 2e-6, max(sample.tolerance, 2e-6), f"tangent of output {k}", scale=True)


def strided(a: np.ndarray) -> np.ndarray:
    """The same numbers in a layout that is contiguous in no order."""
    if a.ndim == 0:
        return a
    wide = np.zeros([2 * n for n in a.shape[::-1]], a.dtype)
    view = wide.T[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


@each(lambda s: not s.name.endswith((".view", ".is_contiguous", ".stride", "as_strided", ".contiguous")))
def test_not_contiguous(sample: Sample) -> None:
    """Transposed and strided inputs and gradients give the same results."""
    call = Call(sample)
    plain, ours = call.ours(call.cast(FLOAT64)), call.ours([strided(a) for a in call.cast(FLOAT64)])
    same_results(ours, plain, max(sample.tolerance, 1e-10))
    if has_floats(sample):
        weights = cotangents(plain)
        outs = ours.recorded
        found = ag.autograd.grad(
            outs,
            ours.inputs,
            [Tensor(strided(w.astype(t.dtype))) for w, t in zip(weights, outs, strict=True)],
            materialize_grads=True,
        )
        for a, b in zip(found, gradients(plain, weights), strict=True):
            close(a, b, max(sample.tolerance, 1e-10), "gradient", scale=True)


@each()
def test_changes_nothing(sample: Sample) -> None:
    """Neither forward nor backward writes into an input or into the gradient that comes in."""
    call = Call(sample)
    before, arrays = call.cast(FLOAT64), call.cast(FLOAT64)
    ours = call.ours(arrays)
    weights = [w.astype(t.array.dtype) for w, t in zip(cotangents(ours), ours.recorded, strict=True)]
    held = [w.copy() for w in weights]
    outs = [as_array(t).copy() for t in ours.outs]
    if ours.recorded:
        for _ in range(2):
            ag.autograd.grad(ours.recorded, ours.inputs, [Tensor(w) for w in weights], retain_graph=True, allow_unused=True)
    for a, b in zip((*arrays, *weights), (*before, *held), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(ours.outs, outs, strict=True):
        np.testing.assert_array_equal(as_array(a), b)


@each(has_floats)
def test_no_cycles(sample: Sample) -> None:
    """With the garbage collector off, nothing that the call made is alive once its results are dropped."""
    call = Call(sample)
    for backward in (False, True):
        gc.disable()
        try:
            ours = call.ours(call.cast(FLOAT64))
            watched = [weakref.ref(t) for t in ours.outs if isinstance(t, Tensor)]
            watched += [weakref.ref(t.array) for t in ours.outs if isinstance(t, Tensor)]
            inputs = {id(t.array) for t in ours.tensors}
            watched += [
                weakref.ref(x)
                for n in graph_of(ours.outs)
                for x in n.saved
                if isinstance(x, np.ndarray) and x.ndim and id(x) not in inputs
            ]
            if backward:
                gradients(ours, cotangents(ours), create=sample.second)
            del ours
            alive = [ref() for ref in watched if ref() is not None]
            assert not alive, f"alive {'after backward' if backward else 'without backward'}: {alive}"
        finally:
            gc.enable()


@each(has_floats)
def test_saves_what_it_declares(sample: Sample) -> None:
    """What nodes keep is what the rules that will run name: arrays of the call, shapes and keywords, in that number."""
    ours = Call(sample).ours(Call(sample).cast(FLOAT64))
    for node in graph_of(ours.outs):
        plan = node.plan
        if not hasattr(plan, "mask"):
            continue  # a Function's
        op = plan.op
        wanted = {n for i in plan.needed for n in op.rules[op.input_name(i)].names}
        assert set(plan.names) == wanted, f"{op.name} keeps {plan.names} and its rules name {sorted(wanted)}"
        if op.variadic not in plan.names and op.outputs != ("*",):
            assert len(node.saved) == len(plan.names) + op.residue
        places = set(plan.array_places(node.saved))
        for k, value in enumerate(node.saved):
            if k not in places and plan.names[min(k, len(plan.names) - 1)] not in op.keywords:
                assert not isinstance(value, np.ndarray), f"{op.name} keeps an array under {plan.names[k]}"


def method_of(sample: Sample, suffix: str = "") -> Any:
    """The method of Tensor with the sample's name, if PyTorch-like code would call it on the first argument."""
    first = sample.args and isinstance(sample.args[0], F)
    return getattr(ag.Tensor, sample.name + suffix, None) if first and "." not in sample.name else None


@each(method_of)
def test_method(sample: Sample) -> None:
    """x.f(...) is f(x, ...)."""
    call = Call(sample)
    plain = call.ours(call.cast(FLOAT64))
    method = Call(Sample(**{**vars(sample), "name": f"Tensor.{sample.name}", "args": sample.args}))
    method.arrays, method.args, method.kw = call.arrays, call.args, call.kw
    same_results(method.ours(method.cast(FLOAT64)), plain, 1e-12)


LOOK_ANEW = (
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "transpose",
    "unsqueeze",
)  # their in-place forms look at the same memory anew


@each(lambda s: method_of(s, "_"))
def test_in_place(sample: Sample) -> None:
    """x.f_(...) writes f(x, ...) into x and gives the same gradients."""
    call = Call(sample)
    plain = call.ours(call.cast(FLOAT64))
    out = plain.outs[0]
    if out.shape != plain.tensors[0].shape or out.dtype != plain.tensors[0].dtype:
        return  # nothing that could be written into x
    written = call.ours(call.cast(FLOAT64), grad=False)  # only for the tensors
    written.inputs = [written.tensors[k].requires_grad_() for k in call.floats if has_floats(sample)]
    copies = [t.clone() if i == 0 else t for i, t in enumerate(written.tensors)]
    args, kw = call._with(copies, lambda x: x)
    memory = copies[0].array
    result = getattr(args[0], sample.name + "_")(*args[1:], **kw)
    assert result is args[0]
    if sample.name in LOOK_ANEW:
        assert np.shares_memory(result.array, memory)
    else:
        assert result.array is memory
    close(result, out, 1e-12, "value")
    if has_floats(sample) and plain.recorded:
        weights = cotangents(plain)
        written.outs = [result]
        for a, b in zip(gradients(written, weights), gradients(plain, weights), strict=True):
            close(a, b, 1e-10, "gradient", scale=True)


@each()
def test_is_silent(sample: Sample) -> None:
    """NumPy's warnings about 1/0, log(0) and overflow do not reach the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=re.escape("autograd_gpu."))
        call = Call(sample)
        for value in (0.0, np.inf, -np.inf, np.nan, 1e308):
            arrays = [np.full_like(a, value) if a.dtype == FLOAT64 else a for a in call.cast(FLOAT64)]
            try:
                ours = call.ours(arrays)
            except REFUSALS:
                continue
            if ours.recorded:
                gradients(ours, cotangents(ours))


def test_samples_are_found() -> None:
    assert SAMPLES
    assert len({s.id for s in SAMPLES}) == len(SAMPLES)
