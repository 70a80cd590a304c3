"""Conversions between dtypes, and to and from Python, NumPy, DLPack, pickle and copy."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import autograd_gpu as ag

CASTS = {
    "half": ag.float16,
    "bfloat16": ag.bfloat16,
    "float": ag.float32,
    "double": ag.float64,
    "byte": ag.uint8,
    "char": ag.int8,
    "short": ag.int16,
    "int": ag.int32,
    "long": ag.int64,
    "bool": ag.bool,
    "cfloat": ag.complex64,
    "cdouble": ag.complex128,
}


# -- dtypes and devices ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASTS)
def test_casts(name):
    torch = pytest.importorskip("torch")
    dtype = CASTS[name]
    for data in ([0.0, 1.5, 100.25], [True, False], [3, 4], [1.5 + 2j]):
        x = ag.tensor(data)
        if x.is_complex() and name not in ("cfloat", "cdouble"):
            continue  # below: PyTorch warns
        y = getattr(x, name)()
        assert y.dtype == dtype and y.tolist() == getattr(torch.tensor(data), name)().tolist()
        assert getattr(y, name)() is y
        assert x.to(dtype).dtype == x.type(dtype).dtype == x.type_as(y).dtype == x.to(y).dtype == dtype


def test_complex_to_real_keeps_the_real_part():
    assert ag.tensor([1.5 + 2j]).float().tolist() == [1.5]


def test_to():
    x = ag.tensor([1.0, 2.0])
    assert x.to("cpu") is x.to(ag.device("cpu")) is x.to(ag.float32) is x.cpu() is x.to(x) is x
    assert x.to("cpu", ag.float64).dtype == x.to(device="cpu", dtype=ag.float64).dtype == ag.float64
    assert x.to(ag.float64, True).dtype == ag.float64
    assert x.to(np.float64).dtype == x.to(float).dtype == ag.float64
    y = x.to(ag.float32, copy=True)
    assert y is not x and not np.shares_memory(y.array, x.array)
    with pytest.raises(TypeError, match="a dtype, a device or a tensor"):
        x.to([1])


def test_type():
    x = ag.tensor([1.0])
    assert x.type() == "autograd_gpu.FloatTensor"
    assert x.type("torch.LongTensor").type() == "autograd_gpu.LongTensor"
    assert ag.zeros(1, dtype=ag.bfloat16).type() == "autograd_gpu.BFloat16Tensor"
    with pytest.raises(ValueError, match="invalid type"):
        x.type("FancyTensor")


def test_gradients_through_casts_and_clone():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    (x.double() * 3).sum().backward()
    assert x.grad.dtype == ag.float32 and x.grad.tolist() == [3, 3]
    x.grad = None
    (x.clone() * x.to(ag.float32, copy=True)).sum().backward()
    assert x.grad.tolist() == [2, 4]
    (g,) = ag.autograd.grad((x.clone() ** 3).sum(), x, create_graph=True)
    (h,) = ag.autograd.grad(g.sum(), x)
    assert h.tolist() == [6, 12]
    assert not x.long().requires_grad


def test_what_it_is():
    x = ag.tensor([1.0, 2.0])
    assert x.is_cpu and not x.is_cuda and not x.is_meta and not x.is_sparse
    assert x.is_floating_point() and ag.is_floating_point(x) and not x.is_complex() and not ag.is_complex(x)
    assert ag.tensor([1.0], dtype=ag.bfloat16).is_floating_point() and ag.tensor([1j]).is_complex()
    assert ag.is_tensor(x) and not ag.is_tensor(x.array)
    assert x.itemsize == 4 and x.nbytes == 8
    assert ag.ones(3).clone().array.flags.owndata


# -- Python's numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [v for v in CASTS.values() if v.kind != "c"], ids=str)
def test_numbers(dtype):
    x = ag.tensor([[1.0]]).to(dtype)
    assert x.item() == 1 and float(x) == 1.0 and int(x) == 1 and complex(x) == 1 and bool(x)
    assert type(x.item()) is (bool if x.dtype == ag.bool else float if x.is_floating_point() else int)
    assert x.tolist() == [[1]] and type(x.tolist()[0][0]) is type(x.item())
    assert ag.tensor(1).to(dtype).tolist() == 1


def test_number_errors():
    two, none = ag.tensor([1.0, 2.0]), ag.tensor([])
    with pytest.raises(RuntimeError, match="a Tensor with 2 elements cannot be converted to Scalar"):
        two.item()
    for kind in (int, float, complex):
        with pytest.raises(ValueError, match="only one element tensors can be converted to Python scalars"):
            kind(two)
    with pytest.raises(RuntimeError, match="Boolean value of Tensor with more than one value is ambiguous"):
        bool(two)
    with pytest.raises(RuntimeError, match="Boolean value of Tensor with no values is ambiguous"):
        bool(none)


def test_index():
    assert [10, 20, 30][ag.tensor(1)] == 20 and list(range(ag.tensor([2]))) == [0, 1]
    for x in (ag.tensor(1.0), ag.tensor([1, 2])):
        with pytest.raises(TypeError, match="only integer tensors of a single element"):
            [1, 2][x]


def test_contains_and_hash():
    x = ag.tensor([1.0, 2.0])
    assert 2 in x and 3 not in x and ag.tensor(1.0) in x
    with pytest.raises(RuntimeError, match="only supports Tensor or scalar"):
        "a" in x  # noqa: B015
    assert len({x, ag.tensor([1.0, 2.0]), x}) == 2
    y = ag.tensor([1.0], requires_grad=True)
    assert {y: 1}[y] == 1 and 1 in y


# -- NumPy -------------------------------------------------------------------------------------------------------------


def test_numpy():
    x = ag.tensor([1.0, 2.0])
    a = x.numpy()
    a[0] = 5
    assert x.tolist() == [5, 2] and np.asarray(x) is a
    assert not np.shares_memory(np.array(x), a)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="without a copy"):
        np.array(x, dtype=np.float64, copy=False)
    x.requires_grad_()
    for call in (x.numpy, lambda: np.asarray(x), lambda: (x * 2).numpy()):
        with pytest.raises(RuntimeError, match="Use tensor.detach\\(\\).numpy\\(\\) instead"):
            call()
    assert x.detach().numpy() is a and x.numpy(force=True) is a


def test_numpy_functions_and_operators():
    x, a = ag.tensor([1.0, 4.0]), np.array([2.0, 3.0], np.float32)
    assert isinstance(np.sqrt(x), ag.Tensor) and np.sqrt(x).tolist() == [1, 2]
    assert np.concatenate([x, x]).tolist() == [1, 4, 1, 4]
    assert (np.float32(2) * x).tolist() == [2, 8] and isinstance(np.float32(2) * x, ag.Tensor)
    np.testing.assert_array_equal(x, [1, 4])
    assert np.add(a, x).tolist() == [3, 7]


# -- DLPack ------------------------------------------------------------------------------------------------------------


def test_dlpack_both_ways():
    x = ag.tensor([[1.0, 2.0], [3.0, 4.0]])
    a = np.from_dlpack(x)
    x.array[0, 0] = 9
    assert a[0, 0] == 9 and np.shares_memory(a, x.array)
    b = np.arange(3, dtype=np.float32)
    y = ag.from_dlpack(b)
    b[1] = 7
    assert y.tolist() == [0, 7, 2]
    y.add_(1)
    assert b.tolist() == [1, 8, 3]
    z = ag.from_dlpack(x)
    assert np.shares_memory(z.array, x.array) and x.__dlpack_device__()[0] == 1
    with pytest.raises(BufferError, match="require gradient"):
        np.from_dlpack(ag.ones(2, requires_grad=True))
    with pytest.raises(BufferError, match="require gradient"):
        ag.from_dlpack(ag.ones(2, requires_grad=True))


def test_dlpack_with_pytorch():
    torch = pytest.importorskip("torch")
    t = torch.arange(3.0)
    x = ag.from_dlpack(t)
    t[0] = 5
    assert x.tolist() == [5, 1, 2]
    back = torch.from_dlpack(ag.tensor([1, 2]))
    assert back.tolist() == [1, 2]


# -- pickle and copy ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", list(CASTS.values()), ids=str)
@pytest.mark.parametrize("protocol", [2, 5])
def test_pickle(dtype, protocol):
    x = ag.tensor([[1.0, 0.0]]).to(dtype)
    y = pickle.loads(pickle.dumps(x, protocol))
    assert y.dtype is x.dtype and y.tolist() == x.tolist() and not y.requires_grad
    if not x.is_complex() and dtype != ag.bool:
        assert (y + x).tolist() == (x + x).tolist()  # by way of dispatch, which compares dtypes by identity


def test_pickle_of_leaves_and_results():
    x = ag.tensor([1.0], requires_grad=True)
    assert pickle.loads(pickle.dumps(x)).requires_grad
    y = pickle.loads(pickle.dumps(x * 2))
    assert y.is_leaf and y.requires_grad and y.tolist() == [2]


def test_deepcopy():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad and y.is_leaf and y.tolist() == [1, 2] and y.grad.tolist() == [2, 4]
    assert not np.shares_memory(x.array, y.array) and not np.shares_memory(x.grad.array, y.grad.array)
    a, b = copy.deepcopy([x, x])
    assert a is b
    with pytest.raises(RuntimeError, match=r"Only Tensors created explicitly by the user \(graph leaves\)"):
        copy.deepcopy(x * 2)


def test_subclasses_survive():
    x = Marked(np.ones(2, np.float32))
    x.mark = [1]
    y = copy.deepcopy(x)
    assert type(y) is Marked and y.mark == [1] and y.mark is not x.mark
    z = pickle.loads(pickle.dumps(x))
    assert type(z) is Marked and z.tolist() == [1, 1] and z.mark == [1]


class Marked(ag.Tensor):
    """A tensor with something of its own."""
