"""Making tensors: values, dtypes and errors as PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_gpu as ag


def same(ours, theirs):
    """Equal in shape, dtype and values to a torch tensor."""
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert f"torch.{ours.dtype}" == str(theirs.dtype)
    np.testing.assert_allclose(ours.double().numpy(), theirs.detach().double().numpy(), rtol=1e-6)


# -- from data ---------------------------------------------------------------------------------------------------------

DATA = [
    1,
    1.5,
    True,
    [],
    [[], []],
    [1, 2],
    [1, 2.5],
    [True, False],
    [True, 2],
    [[1.5, 2], [3, 4]],
    ((1, 2), (3, 4)),
    range(3),
    [range(2), range(2)],
    np.float64(1.5),
    np.int32(3),
    [np.float64(1.5)],
    [np.float32(1.5), 2],
    [1.5, np.float16(2)],
    [np.int8(1), 2],
    np.arange(3, dtype=np.int16),
    np.ones((2, 2)),
    np.array(True),
]


@pytest.mark.parametrize("data", DATA, ids=str)
@pytest.mark.parametrize("dtype", [None, "float32", "float64", "int64", "uint8", "bool"])
def test_tensor_of_data(data, dtype):
    torch = pytest.importorskip("torch")
    ours = ag.tensor(data, dtype=None if dtype is None else np.dtype(dtype))
    if isinstance(data, list) and any(isinstance(x, np.floating) for x in data) and dtype in ("int64", "uint8", "bool"):
        data = [float(x) for x in data]  # PyTorch takes only Python's floats for these
    same(ours, torch.tensor(data, dtype=None if dtype is None else getattr(torch, dtype)))


def test_tensor_copies_and_as_tensor_shares():
    a = np.zeros(3, np.float32)
    copy, shared, also = ag.tensor(a), ag.as_tensor(a), ag.from_numpy(a)
    a[0] = 1
    assert copy.tolist() == [0, 0, 0] and shared.tolist() == also.tolist() == [1, 0, 0]
    assert ag.as_tensor(shared) is shared
    assert ag.as_tensor(shared, dtype=ag.float64).dtype == ag.float64
    assert ag.asarray(a).numpy() is a
    assert not np.shares_memory(ag.asarray(a, copy=True).numpy(), a)
    with pytest.raises(ValueError, match="can't alias"):
        ag.asarray(a, dtype=ag.float64, copy=False)


def test_tensor_of_tensors():
    x = ag.tensor([ag.tensor(1.0), 2])
    assert x.dtype == ag.float32 and x.tolist() == [1, 2]
    y = ag.tensor(ag.tensor([1.0, 2.0], requires_grad=True))
    assert not y.requires_grad and y.tolist() == [1, 2]
    with pytest.raises(ValueError, match="only one element tensors can be converted"):
        ag.tensor([ag.ones(2), ag.ones(2)])


class Odd(np.ndarray):
    """A kind of array that is not quite NumPy's."""


def test_arrays_of_foreign_kinds():
    assert ag.tensor(np.array([1, 2], ">i4")).tolist() == [1, 2]
    assert ag.tensor(np.array([1, 2], ">i4")).dtype == ag.int32
    assert ag.tensor(np.ones(2).view(Odd)).array.__class__ is np.ndarray
    with pytest.raises(TypeError, match="can't convert np.ndarray of type"):
        ag.tensor(np.array(["a"]))
    with pytest.raises(TypeError, match="can't convert np.ndarray of type object"):
        ag.from_numpy(np.array([None]))


@pytest.mark.parametrize(
    "data, error, message",
    [
        ([[1, 2], [3]], ValueError, r"expected sequence of length 2 at dim 1 \(got 1\)"),
        ([[1.0, 2.0, 3.0], [1.0, 2.0]], ValueError, r"expected sequence of length 3 at dim 1 \(got 2\)"),
        ([[1, 2], 3], TypeError, "not a sequence"),
        ([1, [2]], TypeError, "must be a number, not list"),
        (None, RuntimeError, "Could not infer dtype of NoneType"),
        ([None], RuntimeError, "Could not infer dtype of NoneType"),
        ("a", TypeError, "invalid data type 'str'"),
        (["a"], ValueError, "too many dimensions 'str'"),
        ({1: 2}, RuntimeError, "Could not infer dtype of dict"),
        (2**64, ValueError, "Overflow when unpacking long long"),
        ([2**64], ValueError, "Overflow when unpacking long long"),
    ],
)
def test_bad_data(data, error, message):
    with pytest.raises(error, match=message):
        ag.tensor(data)


def test_values_that_do_not_fit():
    assert ag.tensor([-1], dtype=ag.uint8).tolist() == [255]
    for data in ([300], [1e10], float("nan")):
        with pytest.raises(RuntimeError, match="cannot be converted to type uint8 without overflow"):
            ag.tensor(data, dtype=ag.uint8)
    with pytest.raises(RuntimeError, match="without overflow"):
        ag.full((2,), 300, dtype=ag.uint8)
    with pytest.raises(TypeError, match="must be real number, not complex"):
        ag.tensor(1j, dtype=ag.float32)


def test_gradients_are_for_floating_point():
    assert ag.tensor([1.0], requires_grad=True).requires_grad
    assert ag.zeros(2, requires_grad=True).is_leaf
    with pytest.raises(RuntimeError, match="can require gradients"):
        ag.tensor([1], requires_grad=True)
    with pytest.raises(RuntimeError, match="complex tensors cannot require gradients"):
        ag.tensor([1j], requires_grad=True)


# -- filled, ranges, grids ---------------------------------------------------------------------------------------------

CALLS = [
    ("zeros", (2, 3), {}),
    ("zeros", ((2, 3),), {"dtype": "int64"}),
    ("zeros", (), {"size": (2,)}),
    ("zeros", ((),), {}),
    ("zeros", (0, 3), {}),
    ("ones", (2,), {"dtype": "bool"}),
    ("ones", ([2, 2],), {"dtype": "float16"}),
    ("full", ((2,), 1), {}),
    ("full", ((2,), 1.5), {}),
    ("full", ((2,), True), {}),
    ("full", ((), 2), {"dtype": "float64"}),
    ("arange", (5,), {}),
    ("arange", (5.0,), {}),
    ("arange", (1, 5), {}),
    ("arange", (5, 1, -2), {}),
    ("arange", (1, 2, 0.3), {}),
    ("arange", (0, 5), {"dtype": "float64"}),
    ("arange", (0.5, 5), {"dtype": "int64"}),
    ("arange", (3, 3), {}),
    ("linspace", (0, 1, 5), {}),
    ("linspace", (3, -2, 4), {"dtype": "float64"}),
    ("linspace", (0, 10, 4), {"dtype": "int64"}),
    ("linspace", (2, 3, 1), {}),
    ("linspace", (0, 1, 0), {}),
    ("logspace", (0, 2, 5), {}),
    ("logspace", (0, 1, 3), {"base": 2}),
    ("eye", (3,), {}),
    ("eye", (2, 4), {"dtype": "int64"}),
    ("eye", (0,), {}),
]


def in_torch(torch, keywords):
    return {k: getattr(torch, v) if k == "dtype" else v for k, v in keywords.items()}


@pytest.mark.parametrize("name, args, keywords", CALLS, ids=str)
def test_factories(name, args, keywords):
    torch = pytest.importorskip("torch")
    same(getattr(ag, name)(*args, **keywords), getattr(torch, name)(*args, **in_torch(torch, keywords)))


ENDS = [(-1, 1), (0, 1), (-0.95, 0.95), (1e-4, 0.02), (0.3, 7.7), (3, -2), (100, 7)]
DTYPES = "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 complex64 complex128".split()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_bit_of_linspace(dtype):
    """In all dtypes, and so that the last bit does not depend on how many numbers there are."""
    torch = pytest.importorskip("torch")
    for start, end in ENDS:
        if dtype == "uint8" and min(start, end) < 0:
            continue  # PyTorch's wrap around, and so do the distances
        for n in (*range(70), 100, 127, 224, 257, 1000):
            ours = ag.linspace(start, end, n, dtype=dtype)
            theirs = torch.linspace(start, end, n, dtype=getattr(torch, dtype))
            if dtype == "bfloat16":
                ours, theirs = ours.float(), theirs.float()
            assert ours.numpy().dtype == theirs.numpy().dtype
            assert ours.numpy().tobytes() == theirs.numpy().tobytes(), (start, end, n)


def test_linspace_at_the_limits():
    torch = pytest.importorskip("torch")
    inf = float("inf")
    for args in ((0, inf, 4), (-inf, 0, 3), (0, float("nan"), 3), (-1e308, 1e308, 3), (0, 1 + 1j, 5), (True, 3, 3)):
        for dtype in (None, "float64") if complex not in map(type, args) and args[1] != 1e308 else ("complex128",):
            theirs = torch.linspace(*args, dtype=dtype and getattr(torch, dtype))
            np.testing.assert_array_equal(ag.linspace(*args, dtype=dtype).numpy(), theirs.numpy())
    assert ag.linspace(0, 1j, 2).dtype == ag.complex64
    assert ag.linspace(ag.tensor(1), ag.tensor(2.0), ag.tensor(3)).tolist() == [1, 1.5, 2]
    for end, steps, error in ((300, 3, RuntimeError), (1, 2.0, TypeError)):
        for lib in (ag, torch):
            with pytest.raises(error):
                lib.linspace(0, end, steps, dtype=lib.uint8)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "float16"])
def test_like_and_new(dtype):
    torch = pytest.importorskip("torch")
    x, t = ag.ones(2, 3, dtype=dtype), torch.ones(2, 3, dtype=getattr(torch, dtype))
    same(ag.zeros_like(x), torch.zeros_like(t))
    same(ag.ones_like(x), torch.ones_like(t))
    same(ag.full_like(x, 1), torch.full_like(t, 1))
    same(ag.zeros_like(x, dtype=ag.float64), torch.zeros_like(t, dtype=torch.float64))
    assert ag.empty_like(x).shape == (2, 3)
    same(x.new_zeros(2), t.new_zeros(2))
    same(x.new_ones((2, 1)), t.new_ones((2, 1)))
    same(x.new_full((2,), 1), t.new_full((2,), 1))
    same(x.new_tensor([0, 1]), t.new_tensor([0, 1]))
    assert x.new_empty(3).dtype == x.dtype


def test_grids():
    torch = pytest.importorskip("torch")
    a, b = [1.0, 2.0], [3.0, 4.0, 5.0]
    for indexing in ("ij", "xy"):
        for ours, theirs in zip(
            ag.meshgrid(ag.tensor(a), ag.tensor(b), indexing=indexing),
            torch.meshgrid(torch.tensor(a), torch.tensor(b), indexing=indexing),
            strict=True,
        ):
            same(ours, theirs)
    same(ag.cartesian_prod(ag.tensor(a), ag.tensor(b)), torch.cartesian_prod(torch.tensor(a), torch.tensor(b)))
    for r in (0, 1, 2, 3):
        for again in (False, True):
            same(ag.combinations(ag.tensor(b), r, again), torch.combinations(torch.tensor(b), r, again))
    same(ag.vander(ag.tensor(b)), torch.vander(torch.tensor(b)))
    same(ag.vander(ag.tensor(b), 5, True), torch.vander(torch.tensor(b), 5, True))
    same(ag.vander(ag.tensor(b), 1), torch.vander(torch.tensor(b), 1))
    x = np.arange(24.0).reshape(2, 3, 4)
    for k in (-2, 0, 1, 9):
        same(ag.tril(ag.tensor(x), k), torch.tril(torch.tensor(x), k))
        same(ag.triu(ag.tensor(x), k), torch.triu(torch.tensor(x), k))


def test_gradients_of_grids():
    x, y = ag.tensor([1.0, 2.0], requires_grad=True), ag.tensor([3.0, 4.0, 5.0], requires_grad=True)
    (ag.meshgrid(x, y, indexing="xy")[0] * ag.meshgrid(x, y, indexing="xy")[1]).sum().backward()
    assert x.grad.tolist() == [12, 12] and y.grad.tolist() == [3, 3, 3]
    m = ag.ones(2, 2, requires_grad=True)
    (ag.tril(m) * ag.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert m.grad.tolist() == [[1, 0], [3, 4]]
    z = ag.tensor([2.0, 3.0], requires_grad=True)
    ag.vander(z, 3).sum().backward()
    assert z.grad.tolist() == [5, 7]


def test_one_hot():
    assert ag.one_hot(ag.tensor([[0], [2]])).tolist() == [[[1, 0, 0]], [[0, 0, 1]]]
    assert ag.one_hot(ag.tensor([1]), 4).tolist() == [[0, 1, 0, 0]]
    assert ag.one_hot(ag.zeros(0, dtype=ag.int64), 4).shape == (0, 4)


def test_complex():
    torch = pytest.importorskip("torch")
    real, imag = ag.tensor([1.0, 2.0]), ag.tensor([3.0, -4.0])
    z = ag.complex(real, imag)
    assert z.dtype == ag.complex64 and z.tolist() == [1 + 3j, 2 - 4j]
    assert ag.complex(real.double(), imag.double()).dtype == ag.complex128
    p = ag.polar(real, imag)
    np.testing.assert_allclose(p.numpy(), torch.polar(torch.tensor([1.0, 2.0]), torch.tensor([3.0, -4.0])).numpy(), rtol=1e-6)
    assert (z * z).tolist() == [(1 + 3j) ** 2, (2 - 4j) ** 2]
    with pytest.raises(RuntimeError, match="Expected object of scalar type"):
        ag.complex(real, imag.double())
    with pytest.raises(RuntimeError, match="Expected both inputs"):
        ag.complex(ag.tensor([1]), ag.tensor([1]))


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: ag.zeros(-1), RuntimeError, "zeros: Dimension size must be non-negative"),
        (lambda: ag.zeros(2.0), TypeError, "a shape must be ints"),
        (lambda: ag.zeros(2, colour=1), TypeError, "unexpected keyword argument 'colour'"),
        (lambda: ag.arange(0, 5, 0), RuntimeError, "step must be nonzero"),
        (lambda: ag.arange(5, 0, 1), RuntimeError, "inconsistent with step sign"),
        (lambda: ag.arange(float("nan")), RuntimeError, "unsupported range"),
        (lambda: ag.linspace(0, 1, -1), RuntimeError, "number of steps must be non-negative"),
        (lambda: ag.eye(-1), RuntimeError, "n must be greater or equal to 0, got -1"),
        (lambda: ag.tril(ag.zeros(3)), RuntimeError, "at least 2 dimensions"),
        (lambda: ag.one_hot(ag.tensor([1, 2]), 2), RuntimeError, "smaller than num_classes"),
        (lambda: ag.one_hot(ag.tensor([-1])), RuntimeError, "must be non-negative"),
        (lambda: ag.one_hot(ag.tensor([1.0])), RuntimeError, "only applicable to index tensor"),
        (lambda: ag.one_hot(ag.zeros(0, dtype=ag.int64)), RuntimeError, "Can not infer total number of classes"),
        (lambda: ag.meshgrid(ag.zeros(2, 2)), RuntimeError, "Expected 0D or 1D tensor"),
        (lambda: ag.meshgrid(ag.zeros(2), ag.tensor([1])), RuntimeError, "the same dtype"),
        (lambda: ag.meshgrid(ag.zeros(2), indexing="yx"), RuntimeError, "indexing must be one of"),
        (lambda: ag.from_numpy([1]), TypeError, r"expected np.ndarray \(got list\)"),
        (lambda: ag.zeros(2, device="abacus"), RuntimeError, "Expected one of cpu, cuda"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


# -- dtypes ------------------------------------------------------------------------------------------------------------

NAMES = ["float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]
NAMES += ["complex64", "complex128"]


def test_promotion_as_pytorch():
    torch = pytest.importorskip("torch")
    for a in NAMES:
        for b in NAMES:
            pair = getattr(ag, a), getattr(ag, b)
            theirs = getattr(torch, a), getattr(torch, b)
            assert f"torch.{ag.promote_types(*pair)}" == str(torch.promote_types(*theirs)), (a, b)
            assert ag.can_cast(*pair) == torch.can_cast(*theirs), (a, b)
            x, y = torch.ones(2, dtype=theirs[0]), torch.ones((), dtype=theirs[1])
            ours = ag.result_type(ag.ones(2, dtype=pair[0]), ag.ones((), dtype=pair[1]))
            theirs = str(torch.result_type(x, y)).replace("complex32", "complex64")  # which NumPy does not have
            assert f"torch.{ours}" == theirs, (a, b)


def test_limits_as_pytorch():
    torch = pytest.importorskip("torch")
    for name in ("float16", "bfloat16", "float32", "float64"):
        ours, theirs = ag.finfo(getattr(ag, name)), torch.finfo(getattr(torch, name))
        for what in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
            assert getattr(ours, what) == pytest.approx(getattr(theirs, what)), (name, what)
    for name in ("int8", "int16", "int32", "int64", "uint8"):
        assert repr(ag.iinfo(getattr(ag, name))) == repr(torch.iinfo(getattr(torch, name)))
    with pytest.raises(TypeError):
        ag.finfo(ag.int32)
    with pytest.raises(TypeError):
        ag.iinfo(ag.float32)


def test_default_dtype():
    ag.set_default_dtype(ag.float64)
    try:
        assert ag.get_default_dtype() == ag.tensor(1.0).dtype == ag.zeros(1).dtype == ag.rand(1).dtype == ag.float64
        assert ag.tensor(1j).dtype == ag.complex128
    finally:
        ag.set_default_dtype(ag.float32)
    assert ag.tensor(1j).dtype == ag.complex64
    with pytest.raises(TypeError, match="only floating-point types"):
        ag.set_default_dtype(ag.int64)
