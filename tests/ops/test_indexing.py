"""x[...]: random shapes and random index expressions, read, written and accumulated, against NumPy and PyTorch; and bad ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_gpu as ag

# -- random index expressions ------------------------------------------------------------------------------------------------


@st.composite
def shapes_and_keys(draw: Any, like_pytorch: bool = False) -> tuple[tuple[int, ...], list]:
    """A shape and a list of what may stand between brackets, with NumPy arrays for tensors. NumPy takes an int beside an array
    for an array (see NOTE [Two steps] in ops/index.py), and arrays with ... between them for separate even if it stands for no
    dimension. PyTorch does not: unless `like_pytorch`, both are left out."""
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 4, 2, 3, 0]), min_size=0, max_size=4)))
    common = draw(st.sampled_from([(2,), (3,), (2, 3), (1,)]))  # the arrays must broadcast against one another
    items: list[Any] = []
    dim, arrays, ints, dots = 0, False, False, False
    while dim < len(shape) and draw(st.integers(0, 9)):
        n = shape[dim]
        kind = draw(st.sampled_from(["none", "dots", "int", "slice", "slice", "array", "array", "list", "mask"]))
        if kind == "none":
            items.append(None)
        elif kind == "dots" and not dots and (like_pytorch or not arrays):
            skip = draw(st.integers(0, len(shape) - dim))
            items.append(...)
            dots, dim = True, dim + skip
        elif kind == "int" and n and (like_pytorch or not arrays):
            items.append(draw(st.integers(-n, n - 1)))
            ints, dim = True, dim + 1
        elif kind == "slice":
            ends = st.none() | st.integers(-n - 1, n + 1)
            items.append(slice(draw(ends), draw(ends), draw(st.sampled_from([None, 1, 2, 3]))))
            dim += 1
        elif kind in ("array", "list") and n and (like_pytorch or not ints):
            size = draw(st.sampled_from([common, common[-1:], (1,)]))
            numbers = draw(st.lists(st.integers(-n, n - 1), min_size=int(np.prod(size)), max_size=int(np.prod(size))))
            array = np.array(numbers, np.int64).reshape(size)
            items.append(array if kind == "array" else array.tolist())
            arrays, dim = True, dim + 1
        elif kind == "mask" and not arrays and not ints:
            size = shape[dim : dim + draw(st.integers(1, 2))]
            bits = draw(st.lists(st.booleans(), min_size=int(np.prod(size)), max_size=int(np.prod(size))))
            items.append(np.array(bits, np.bool_).reshape(size))
            arrays, dim = True, dim + len(size)
    if dots:
        left = len(shape) - dim
        items.extend([slice(None)] * left)
    return shape, items


def key_of(items: list, wrap: Any) -> tuple:
    return tuple(wrap(item) if isinstance(item, np.ndarray) else item for item in items)


def numbers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape)).reshape(shape)


def numpy_read(a: np.ndarray, items: list) -> np.ndarray | None:
    """a[items], or None if NumPy finds that the arrays do not fit."""
    try:
        return np.asarray(a[tuple(np.array(i) if isinstance(i, list) else i for i in items)])
    except IndexError:
        return None


@settings(deadline=None, max_examples=300)
@given(shapes_and_keys(), st.booleans())
def test_read_against_numpy(case: tuple, transposed: bool) -> None:
    """Value and gradient: each element of x gets what was read from it, summed."""
    shape, items = case
    a = numbers(shape, 0)
    if transposed:
        a = a.T.copy().T
    x = ag.tensor(a, requires_grad=True)
    expected = numpy_read(a, items)
    if expected is None:
        with pytest.raises(IndexError):
            x[key_of(items, ag.tensor)]
        return
    out = x[key_of(items, ag.tensor)]
    np.testing.assert_array_equal(out.detach().numpy(), expected)
    g = numbers(expected.shape, 1)
    (grad,) = ag.autograd.grad(out, x, ag.tensor(g))
    places = numpy_read(np.arange(a.size).reshape(a.shape), items)
    summed = np.bincount(places.reshape(-1), g.reshape(-1), a.size).reshape(a.shape)
    np.testing.assert_allclose(grad.numpy(), summed, atol=1e-12)


@settings(deadline=None, max_examples=300)
@given(shapes_and_keys(), st.data())
def test_write_against_numpy(case: tuple, data: Any) -> None:
    """x[i] = v, v broadcast: recorded and unrecorded, the gradient of what was overwritten is zero and v gets the rest."""
    shape, items = case
    a = numbers(shape, 0)
    read = numpy_read(a, items)
    if read is None:
        return
    keep = data.draw(st.integers(0, read.ndim))
    size = tuple(1 if data.draw(st.booleans()) else n for n in read.shape[keep:])
    v = numbers(size, 1)
    expected = np.array(a * 2)
    places = numpy_read(np.arange(a.size).reshape(a.shape), items).reshape(-1)
    once = len(set(places.tolist())) == places.size
    expected[tuple(np.array(i) if isinstance(i, list) else i for i in items)] = v
    key = key_of(items, ag.tensor)
    plain = ag.tensor(a * 2)
    plain[key] = ag.tensor(v)
    np.testing.assert_array_equal(plain.numpy(), expected)
    x, value = ag.tensor(a, requires_grad=True), ag.tensor(v, requires_grad=True)
    y = x * 2
    y[key] = value
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    g = numbers(shape, 2)
    grad_x, grad_value = ag.autograd.grad(y, [x, value], ag.tensor(g))
    kept = np.ones(a.size)
    kept[places] = 0
    np.testing.assert_allclose(grad_x.numpy(), 2 * g * kept.reshape(a.shape))
    if once:
        whole = np.asarray(g.reshape(-1)[places]).reshape(read.shape)
        over = tuple(range(keep)) + tuple(i + keep for i, n in enumerate(size) if n == 1)
        np.testing.assert_allclose(grad_value.numpy(), whole.sum(over, keepdims=True).reshape(size), atol=1e-12)


@settings(deadline=None, max_examples=150)
@given(shapes_and_keys())
def test_accumulate_against_numpy(case: tuple) -> None:
    """index_put with accumulate is np.add.at, bit for bit the same each time."""
    shape, items = case
    masked = any(isinstance(i, np.ndarray) and i.dtype == np.bool_ for i in items)
    if masked and not all(isinstance(i, (np.ndarray, list)) for i in items):
        return  # without the slices, the mask would stand at other dimensions
    items = [np.array(i) if isinstance(i, list) else i for i in items if isinstance(i, (np.ndarray, list))]
    a = numbers(shape, 0)
    read = numpy_read(a, items)
    if read is None or not items:
        return
    v = numbers(read.shape, 1)
    expected = a.copy()
    np.add.at(expected, tuple(items), v)
    x, value = ag.tensor(a, requires_grad=True), ag.tensor(v, requires_grad=True)
    key = key_of(items, ag.tensor)
    out = ag.index_put(x, key, value, accumulate=True)
    np.testing.assert_allclose(out.detach().numpy(), expected, atol=1e-12)
    assert (out == ag.index_put(x, key, value, accumulate=True)).all()
    g = numbers(shape, 2)
    grad_x, grad_value = ag.autograd.grad(out, [x, value], ag.tensor(g))
    np.testing.assert_array_equal(grad_x.numpy(), g)
    np.testing.assert_array_equal(grad_value.numpy(), np.asarray(g[tuple(items)]))


def outcome(f: Any) -> Any:
    try:
        return f()
    except (IndexError, ValueError, TypeError, RuntimeError) as error:
        return type(error)


@settings(deadline=None, max_examples=300)
@given(case=shapes_and_keys(like_pytorch=True), booleans=st.lists(st.booleans(), max_size=1), whole=st.booleans())
@pytest.mark.filterwarnings("ignore")
def test_against_pytorch(torch: Any, case: tuple, booleans: list, whole: bool) -> None:
    """Mixtures that NumPy understands differently, True and False, second order, and which expressions are refused."""
    shape, items = case
    items = booleans + items
    a = numbers(shape, 0)
    x, t = ag.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
    key, torch_key = key_of(items, ag.tensor), key_of(items, torch.tensor)
    if whole and len(key) == 1:
        key, torch_key = key[0], torch_key[0]
    out, expected = outcome(lambda: x[key]), outcome(lambda: t[torch_key])
    if isinstance(expected, type):
        assert out is expected
        return
    np.testing.assert_array_equal(out.detach().numpy(), expected.detach().numpy())
    assert tuple(out.shape) == tuple(expected.shape)
    (g,) = ag.autograd.grad((out * out * out).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad((expected**3).sum(), t, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), h.detach().numpy())
    (g,), (h,) = ag.autograd.grad((g * g).sum(), x), torch.autograd.grad((h * h).sum(), t)
    np.testing.assert_allclose(g.numpy(), h.numpy())


# -- views and writes ----------------------------------------------------------------------------------------------------------


def test_views_share_memory() -> None:
    """Ints and slices give views: writing into one writes into the other."""
    x = ag.zeros(3, 4)
    x[1][2] = 5.0
    x[:, 0].fill_(1.0)
    row = x[2]
    x[2, 1:] = ag.tensor([2.0, 3.0, 4.0])
    assert x.tolist() == [[1, 0, 0, 0], [1, 0, 5, 0], [1, 2, 3, 4]]
    assert row.tolist() == [1, 2, 3, 4]
    assert x[[0]].array.base is None


def test_a_view_written_through_itself() -> None:
    x = ag.arange(5.0)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3]


def test_write_of_recorded_value_into_plain_tensor() -> None:
    """The tensor written into becomes recorded, and so do its other views."""
    x, v = ag.zeros(3), ag.tensor(2.0, requires_grad=True)
    tail = x[1:]
    x[1] = v * v
    assert x.requires_grad and tail.requires_grad
    (tail.sum() * 3).backward()
    assert v.grad.item() == 12


def test_write_needs_no_grad_on_leaves() -> None:
    x = ag.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        x[0] = 2.0
    with pytest.raises(RuntimeError, match="leaf"):
        x[[0, 1]] = 2.0
    with ag.no_grad():
        x[0] = 2.0
        x[[1, 2]] = 3.0
    assert x.tolist() == [2, 3, 3] and x.is_leaf


def test_write_after_save_is_noticed() -> None:
    x = ag.ones(3, requires_grad=True) * 1.0
    y = x * x
    x[0] = 5.0
    with pytest.raises(RuntimeError, match="__setitem__"):
        y.sum().backward()


def test_value_is_cast() -> None:
    x = ag.zeros(3, dtype=ag.int64)
    x[0] = 2.9
    x[1:] = ag.tensor([1.5, -1.5])
    x[ag.tensor([True, False, False])] = ag.tensor(7.5)
    assert x.tolist() == [7, 1, -1] and x.dtype == ag.int64


def test_copy_fill_zero() -> None:
    x = ag.ones(2, 3, requires_grad=True)
    src = ag.tensor([1.0, 2.0, 3.0], dtype=ag.float64, requires_grad=True)
    y = x * 1.0
    y.copy_(src)
    (y * y).sum().backward()
    assert src.grad.tolist() == [4, 8, 12] and src.grad.dtype == ag.float64
    assert x.grad.tolist() == [[0, 0, 0]] * 2
    y = x * 1.0
    y.fill_(src[0])
    assert y.tolist() == [[1, 1, 1]] * 2 and y.requires_grad
    assert (x * 1.0).zero_().sum().item() == 0
    assert ag.zeros(2, dtype=ag.int32).copy_(ag.tensor([1.7, 2.2])).tolist() == [1, 2]
    with pytest.raises(RuntimeError, match=r"size of tensor a \(3\) must match the size of tensor b \(2\)"):
        ag.zeros(3).copy_(ag.zeros(2))


# -- what is refused -------------------------------------------------------------------------------------------------------------

X = ag.arange(8.0).reshape(4, 2)
LONG = ag.tensor([0, 1, 2])

MASK = "The shape of the mask [3] at index 0 does not match the shape of the indexed tensor [4, 2] at index 0"

REFUSED: list[tuple[Any, type[Exception], str]] = [
    (5, IndexError, "index 5 is out of bounds for dimension 0 with size 4"),
    ((slice(None), -3), IndexError, "index -3 is out of bounds for dimension 1 with size 2"),
    (ag.tensor([0, 9]), IndexError, "index 9 is out of bounds for dimension 0 with size 4"),
    (([0], [7]), IndexError, "index 7 is out of bounds for dimension 1 with size 2"),
    ((0, 0, 0), IndexError, "too many indices for tensor of dimension 2"),
    (ag.tensor([True, False, True]), IndexError, MASK),
    ((slice(None), ag.tensor([True])), IndexError, "The shape of the mask [1] at index 0 does not match"),
    (ag.tensor([1.0]), IndexError, "tensors used as indices must be long, int, byte or bool tensors"),
    (1.5, IndexError, "only integers, slices"),
    (slice(None, None, -1), ValueError, "step must be greater than zero"),
    (slice(None, None, 0), ValueError, "step must be greater than zero"),
    (slice(0, 1.5), TypeError, "slice indices must be integers or None"),
    (slice(0, ag.tensor([1, 2])), TypeError, "only integer tensors of a single element can be converted to an index"),
    (([0, 1], [0, 1, 1]), IndexError, "shape mismatch: indexing tensors could not be broadcast together with shapes [2], [3]"),
]  # fmt: skip


def write(key: Any, value: Any) -> None:
    X.clone()[key] = value


@pytest.mark.parametrize(("key", "error", "message"), REFUSED, ids=[m[:40] for _, _, m in REFUSED])
def test_refused(key: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as reading:
        X[key]
    with pytest.raises(error) as writing:
        X[key] = 0.0
    assert message in str(reading.value) and message in str(writing.value)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ag.tensor(3.0)[0], IndexError, "invalid index of a 0-dim tensor"),
        (lambda: write(0, ag.ones(3)), RuntimeError, "expanded size of the tensor (2) must match the existing size (3)"),
        (lambda: write([0, 1], ag.ones(3)), RuntimeError, "of shape [3] cannot be broadcast to indexing result of shape [2, 2]"),
        (lambda: write(0, [1.0, 2.0]), TypeError, "can't assign a list"),
        (lambda: write([0], ag.ones(1, 2, dtype=ag.float64)), RuntimeError, "source and destination dtypes match"),
        (lambda: X.gather(1, LONG.float()), RuntimeError, "int64"),
        (lambda: X.gather(1, LONG), RuntimeError, "same number of dimensions"),
        (lambda: X.gather(1, ag.zeros(5, 2, dtype=ag.int64)), RuntimeError, "index [5, 2] to be no larger than self [4, 2]"),
        (lambda: X.gather(0, ag.tensor([[4]])), RuntimeError, "index 4 is out of bounds for dimension 0 with size 4"),
        (lambda: X.gather(0, ag.tensor([[-1]])), RuntimeError, "index -1 is out of bounds"),
        (lambda: X.scatter(0, ag.zeros(2, 2, dtype=ag.int64), ag.ones(1, 2)), RuntimeError, "no larger size than src [1, 2]"),
        (lambda: X.scatter(0, ag.tensor([[0]]), ag.ones(1, 1).double()), RuntimeError, "self.dtype to be equal to src.dtype"),
        (lambda: X.scatter(0, ag.tensor([[0]]), 1.0, reduce="sum"), RuntimeError, "must be either add or multiply"),
        (lambda: X.index_select(0, ag.tensor([-1])), IndexError, "out of bounds"),
        (lambda: X.index_select(0, ag.tensor([[0]])), IndexError, "vector"),
        (lambda: X.index_add(0, LONG, X), RuntimeError, "Number of indices (3) should be equal to source.size(dim): (4)"),
        (lambda: X.masked_fill(X, 0.0), RuntimeError, "boolean mask"),
        (lambda: X.masked_fill(X > 1, ag.ones(2)), RuntimeError, "0-dimensional value tensor"),
        (lambda: X.masked_scatter(X > 1, ag.ones(2)), RuntimeError, "Number of elements of source < number of ones in mask"),
        (lambda: X.take(ag.tensor([8])), IndexError, "tried to access index 8 on a tensor of 8 elements"),
        (lambda: X.topk(3), RuntimeError, "selected index k out of range"),
        (lambda: X.kthvalue(0), RuntimeError, "selected number k out of range for dimension 1"),
        (lambda: ag.bincount(ag.tensor([-1])), RuntimeError, "1-d non-negative integral"),
        (lambda: ag.searchsorted(X, X[0]), RuntimeError, "boundaries tensor"),
        (lambda: X.sort(2), IndexError, "Dimension out of range"),
    ],
)  # fmt: skip
def test_refused_call(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert message in str(raised.value)


# -- order -----------------------------------------------------------------------------------------------------------------------


def test_nan_is_the_greatest() -> None:
    x = ag.tensor([2.0, float("nan"), 1.0])
    assert ag.argsort(x).tolist() == [2, 0, 1]
    assert ag.argsort(x, descending=True).tolist() == [1, 0, 2]
    assert ag.topk(x, 2).indices.tolist() == [1, 0]
    long = ag.cat([ag.arange(500.0), x[1:2]])
    assert ag.topk(long, 2).indices.tolist() == [500, 499]
    assert ag.topk(long, 2, largest=False).indices.tolist() == [0, 1]


def test_sort_is_stable() -> None:
    x = ag.tensor([1, 0, 1, 0])
    assert ag.argsort(x).tolist() == [1, 3, 0, 2]
    assert ag.argsort(x, descending=True).tolist() == [0, 2, 1, 3]


def test_half_precision_sums_in_single() -> None:
    """2,000 ones added in one place: float16 itself would stop at 2,048, bfloat16 at 256."""
    for dtype in (ag.float16, ag.bfloat16):
        total = ag.zeros(1, dtype=dtype).scatter_add(0, ag.zeros(2000, dtype=ag.int64), ag.ones(2000, dtype=dtype))
        assert total.item() == 2000
