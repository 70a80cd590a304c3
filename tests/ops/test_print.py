"""Tensors print as PyTorch prints them, but for the package's name."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_gpu as ag

SHAPES = [(), (1,), (0,), (0, 3), (2, 0, 3), (5,), (40,), (2, 3), (3, 30), (2, 2, 2)]
SHAPES += [(1001,), (50, 50), (7, 200), (20, 8, 9), (4, 3, 2, 2)]
DTYPES = ["float32", "float64", "float16", "int64", "int32", "uint8", "bool", "complex64", "complex128"]


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers of one magnitude or many, whole or not, with some that are zero, infinite or none at all."""
    a = np.asarray(rng.standard_normal(shape) * 10.0 ** rng.integers(-6, 10))
    if rng.random() < 0.3:
        a = np.asarray(np.round(a))
    if rng.random() < 0.2:
        a = np.abs(a)
    if dtype.startswith(("int", "uint", "bool")):
        return np.clip(a, 0, 200).astype(dtype)
    if rng.random() < 0.4 and a.size:
        flat = a.reshape(-1)
        flat[rng.integers(a.size, size=2)] = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0], size=2)
        a = flat.reshape(shape)
    with np.errstate(all="ignore"):
        return (a + 1j * rng.standard_normal(shape) if dtype.startswith("complex") else a).astype(dtype)


def as_pytorch(torch, array: np.ndarray) -> str:
    return repr(torch.from_numpy(array.copy())).replace("torch.", "autograd_gpu.")


@pytest.mark.parametrize("dtype", DTYPES)
def test_prints_as_pytorch(dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        for _ in range(6):
            a = np.asarray(numbers(rng, shape, dtype))
            assert repr(ag.from_numpy(a)) == as_pytorch(torch, a)


@pytest.mark.parametrize(
    "given",
    [
        dict(precision=2),
        dict(threshold=5),
        dict(threshold=5, edgeitems=1),
        dict(threshold=5, edgeitems=0),
        dict(linewidth=30),
        dict(sci_mode=True),
        dict(sci_mode=False),
        dict(profile="short"),
        dict(profile="full"),
        dict(profile="short", precision=6),
    ],
)
def test_options_as_pytorch(given):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    torch.set_printoptions(**given)
    try:
        with ag.printoptions(**given):
            for shape in [(), (9,), (30,), (3, 4), (8, 9), (2, 9, 2)]:
                for dtype in ("float32", "int64", "complex64"):
                    a = np.asarray(numbers(rng, shape, dtype))
                    assert repr(ag.from_numpy(a)) == as_pytorch(torch, a)
    finally:
        torch.set_printoptions(profile="default")
    assert ag.get_printoptions() == dict(precision=4, threshold=1000, edgeitems=3, linewidth=80, sci_mode=None)


def test_suffixes():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "tensor([1., 2.], requires_grad=True)"
    assert repr(x * x) == "tensor([1., 4.], grad_fn=<MulBackward0>)"
    assert repr(x.detach()) == "tensor([1., 2.])"
    assert repr(ag.tensor([1.5], dtype=ag.bfloat16)) == "tensor([1.5000], dtype=autograd_gpu.bfloat16)"
    long = ag.full((9,), 1.25, requires_grad=True)
    assert repr(long).endswith("1.2500],\n       requires_grad=True)")
    assert repr(ag.tensor([], dtype=ag.int64)) == "tensor([], dtype=autograd_gpu.int64)"


def test_the_default_dtype_is_not_printed():
    ag.set_default_dtype(ag.float64)
    try:
        assert repr(ag.tensor([1.0])) == "tensor([1.])"
        assert repr(ag.tensor([1.0], dtype=ag.float32)) == "tensor([1.], dtype=autograd_gpu.float32)"
    finally:
        ag.set_default_dtype(ag.float32)


def test_bad_profile():
    with pytest.raises(ValueError, match="short"):
        ag.set_printoptions(profile="huge")


def test_format():
    assert f"{ag.tensor(1.23456):.2f}" == "1.23"
    assert f"{ag.tensor([1.0])}" == "tensor([1.])"
