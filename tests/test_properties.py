"""Properties that hold for all shapes, indices and axes: compared with NumPy, and with sums that must come out the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd_gpu as ag
from autograd_gpu.core.tensor import Tensor

from .support import as_array

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
filled = hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=4)


def array(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).uniform(-1, 1, shape)


def leaf(a: np.ndarray) -> Tensor:
    return Tensor(a.copy()).requires_grad_()


def same(t: Any, a: Any) -> None:
    assert tuple(t.shape) == np.shape(a)
    np.testing.assert_allclose(as_array(t), a, 1e-12, 1e-12)


# -- broadcasting ----------------------------------------------------------------------------------------------------------


@given(hnp.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=4, max_dims=4))
def test_broadcasting(found: Any) -> None:
    """a * b + c: NumPy's values, and gradients that are the sums over what was stretched."""
    arrays = [array(shape, k) for k, shape in enumerate(found.input_shapes)]
    a, b, c = tensors = [leaf(x) for x in arrays]
    out = a * b + c
    same(out, arrays[0] * arrays[1] + arrays[2])
    w = array(found.result_shape, 9)
    out.backward(Tensor(w))
    full = [np.broadcast_to(x, found.result_shape) for x in arrays]
    for t, g in zip(tensors, (w * full[1], w * full[0], w), strict=True):
        same(t.grad, unbroadcast(g, t.array.shape))


def unbroadcast(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    g = g.sum(tuple(range(g.ndim - len(shape))))
    return g.sum(tuple(k for k, n in enumerate(shape) if n == 1), keepdims=True).reshape(shape)


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=1, max_side=3, max_dims=3))
def test_broadcasting_to_second_order(found: Any) -> None:
    """d/da of the sum of (d/db of (a² b))² is 2 · Σ a² · 2a, whatever is stretched to what."""
    arrays = [array(shape, k) for k, shape in enumerate(found.input_shapes)]
    a, b = (leaf(x) for x in arrays)
    (gb,) = ag.autograd.grad((a * a * b).sum(), b, create_graph=True)
    (ga,) = ag.autograd.grad((gb * gb).sum(), a)
    full = np.broadcast_to(arrays[0], found.result_shape)
    of_b = np.broadcast_to(unbroadcast(full * full, arrays[1].shape), found.result_shape)
    same(ga, unbroadcast(4 * of_b * full, arrays[0].shape))


@given(shapes, shapes)
def test_shapes_that_broadcast_or_not(first: tuple, second: tuple) -> None:
    a, b = Tensor(array(first)), Tensor(array(second))
    try:
        expected = np.broadcast_shapes(first, second)
    except ValueError:
        with pytest.raises(RuntimeError, match="must match the size of tensor b"):
            a + b
        return
    assert tuple((a + b).shape) == expected


# -- indexing --------------------------------------------------------------------------------------------------------------


@st.composite
def indexed(draw: Any) -> tuple[np.ndarray, Any]:
    """An array and an index of any kind that NumPy and PyTorch read alike."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    index: list[Any] = []
    for n in shape[: draw(st.integers(0, len(shape)))]:
        kind = draw(st.sampled_from(["slice", "int", "none"]))
        if kind == "slice":
            start, stop = draw(st.integers(-n - 1, n + 1)), draw(st.integers(-n - 1, n + 1))
            index.append(
                slice(draw(st.sampled_from([None, start])), draw(st.sampled_from([None, stop])), draw(st.integers(1, 3)))
            )
        elif kind == "int":
            index.append(draw(st.integers(-n, n - 1)))
        else:
            index += [None, slice(None)]
    if draw(st.booleans()):
        index.insert(draw(st.integers(0, len(index))), Ellipsis)
    return array(shape), tuple(index)


@given(indexed())
def test_basic_indexing(case: Any) -> None:
    """x[index], its gradient, and x[index] = v with the gradients of both."""
    a, index = case
    try:
        expected = a[index]
    except IndexError:
        with pytest.raises(IndexError):
            Tensor(a)[index]
        return
    x = leaf(a)
    y = x[index]
    same(y, expected)
    w = array(expected.shape, 3)
    y.backward(Tensor(w))
    g = np.zeros_like(a)
    g[index] = w
    same(x.grad, g)
    # writing
    x, v = leaf(a), leaf(array(expected.shape, 4))
    z = x * 2.0
    z[index] = v
    written = a * 2.0
    written[index] = v.array
    same(z, written)
    w = array(a.shape, 5)
    z.backward(Tensor(w))
    rest = 2.0 * w
    rest[index] = 0.0
    same(x.grad, rest)
    same(v.grad, w[index])


@st.composite
def advanced(draw: Any) -> tuple[np.ndarray, Any]:
    """An array and an index with arrays of integers or booleans in it."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    if draw(st.booleans()):
        ndim = draw(st.integers(1, len(shape)))
        return array(shape), (draw(hnp.arrays(bool, shape[:ndim])),)
    index: list[Any] = []
    common = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3))
    for n in shape[: draw(st.integers(1, len(shape)))]:
        kind = draw(st.sampled_from(["array", "slice", "int", "array"]))
        if kind == "array":
            index.append(draw(hnp.arrays(np.int64, common, elements=st.integers(-n, n - 1))))
        elif kind == "slice":
            index.append(slice(draw(st.integers(0, n)), None, draw(st.integers(1, 2))))
        else:
            index.append(draw(st.integers(-n, n - 1)))
    return array(shape), tuple(index)


@given(advanced())
def test_advanced_indexing(case: Any) -> None:
    """Arrays as indices, repeated elements included: the gradient adds up where an element was read twice."""
    a, index = case
    ours = tuple(Tensor(i) if isinstance(i, np.ndarray) else i for i in index)
    x = leaf(a)
    expected = a[index]
    y = x[ours]
    if not all(isinstance(i, np.ndarray) for i in index) and y.shape != expected.shape:
        return  # integers beside arrays: NumPy moves the dimensions to the front where PyTorch does not
    same(y, expected)
    w = array(expected.shape, 3)
    y.backward(Tensor(w))
    g = np.zeros_like(a)
    np.add.at(g, index, w)
    same(x.grad, g)


# -- reductions ------------------------------------------------------------------------------------------------------------


@st.composite
def reduced(draw: Any, sides: Any = shapes) -> tuple[np.ndarray, Any, bool]:
    shape = draw(sides)
    axes = draw(st.one_of(st.none(), st.sets(st.integers(0, max(len(shape) - 1, 0))))) if shape else None
    dim = None if not axes else tuple(k - len(shape) if draw(st.booleans()) else k for k in axes)
    return array(shape), dim, draw(st.booleans())


@given(reduced())
def test_sums(case: Any) -> None:
    a, dim, keep = case
    x = leaf(a)
    y = x.sum(dim, keepdim=keep) if dim is not None else x.sum()
    keep = keep and dim is not None
    same(y, a.sum(dim, keepdims=keep))
    w = array(tuple(y.shape), 3)
    y.backward(Tensor(w))
    same(x.grad, np.broadcast_to(expanded(w, dim, keep, a.ndim), a.shape))


def expanded(w: np.ndarray, dim: Any, keep: bool, ndim: int) -> np.ndarray:
    if keep:
        return w
    axes = range(ndim) if dim is None else sorted(d % ndim for d in dim)
    for k in axes:
        w = np.expand_dims(w, k)
    return w


@given(reduced(filled))
def test_means_variances_extrema_and_logsumexp(case: Any) -> None:
    a, dim, keep = case
    x = leaf(a)
    every = tuple(range(a.ndim)) if dim is None else dim
    for name, theirs in {
        "mean": a.mean(every, keepdims=keep),
        "amax": a.max(every, keepdims=keep),
        "amin": a.min(every, keepdims=keep),
        "logsumexp": np.log(np.exp(a).sum(every, keepdims=keep)),
    }.items():
        y = getattr(x, name)(every, keepdim=keep)
        same(y, theirs)
        x.grad = None
        y.sum().backward()
        # each of these sends the whole gradient back: over what was reduced, it adds up to one
        same(x.grad.sum(), math.prod(tuple(y.shape)) * 1.0)
    if a.size and all(a.shape[d] > 1 for d in every) and a.ndim:
        y = x.var(every, keepdim=keep)
        same(y, a.var(every, ddof=1, keepdims=keep))
        x.grad = None
        y.sum().backward()
        same(x.grad.sum(), 0.0)


@given(filled.filter(len), st.integers(-4, 3))
def test_softmax_and_scans(shape: tuple, dim: int) -> None:
    if not -len(shape) <= dim < len(shape):
        with pytest.raises(IndexError, match="Dimension out of range"):
            Tensor(array(shape)).softmax(dim)
        return
    a = array(shape)
    x = leaf(a)
    s = x.softmax(dim)
    same(s, np.exp(a) / np.exp(a).sum(dim, keepdims=True))
    same(x.log_softmax(dim).exp(), s.array)
    w = array(shape, 3)
    s.backward(Tensor(w))
    same(x.grad.sum(dim), np.zeros_like(a.sum(dim)))
    same(x.cumsum(dim), a.cumsum(dim))
    x.grad = None
    x.cumsum(dim).backward(Tensor(w))
    same(x.grad, np.flip(np.flip(w, dim).cumsum(dim), dim))


# -- shape -----------------------------------------------------------------------------------------------------------------


@given(shapes, st.data())
def test_rearranging_is_undone_by_its_gradient(shape: tuple, data: Any) -> None:
    """permute, reshape, flip, roll: the gradient of a permutation of the elements is the permutation back."""
    a = array(shape)
    order = tuple(data.draw(st.permutations(range(len(shape)))))
    shift = data.draw(st.integers(-3, 3))
    x = leaf(a)
    y = x.permute(order).reshape(-1).roll(shift).flip(0)
    same(y, np.flip(np.roll(a.transpose(order).reshape(-1), shift), 0))
    y.backward(y.detach())
    same(x.grad, a)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2))
def test_split_and_cat(n: int, size: int, dim: int) -> None:
    a = np.moveaxis(array((n, 2, 3)), 0, dim)
    x = leaf(a)
    for parts in (x.split(size, dim), x.chunk(size, dim), x.tensor_split(size, dim)):
        assert sum(p.shape[dim] for p in parts) == n
        y = ag.cat(parts, dim)
        same(y, a)
        x.grad = None
        y.backward(Tensor(a))
        same(x.grad, a)


@settings(max_examples=50)
@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 2))
def test_matrix_products(n: int, k: int, m: int, batch: int) -> None:
    for left, right in (
        ((n, k), (k, m)),
        ((batch, n, k), (k, m)),
        ((batch, n, k), (batch, k, m)),
        ((k,), (k, m)),
        ((n, k), (k,)),
        ((k,), (k,)),
    ):
        a, b = array(left), array(right, 1)
        x, y = leaf(a), leaf(b)
        z = x @ y
        same(z, a @ b)
        w = array(tuple(z.shape), 3)
        z.backward(Tensor(w))
        # <w, a b> is linear in each: the gradient times the array is the value again
        same((x.grad * x.detach()).sum(), (w * (a @ b)).sum())
        same((y.grad * y.detach()).sum(), (w * (a @ b)).sum())
