"""Public names are called as in PyTorch: by its parameter names, and the constants and small functions that scripts use."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag

X = np.arange(12.0).reshape(3, 4) / 7

# function -> keywords in PyTorch's words; an `input` goes before them
KEYWORDS: dict[str, dict[str, Any]] = {
    "amax": {"dim": 1, "keepdim": True},
    "argsort": {"dim": 0, "descending": True},
    "broadcast_to": {"size": (2, 3, 4)},
    "clamp": {"min": 0.1, "max": 0.5},
    "cummax": {"dim": 1},
    "diag_embed": {"offset": 1, "dim1": 0, "dim2": 2},
    "diagonal": {"offset": 1, "dim1": 0, "dim2": 1},
    "div": {"other": 2, "rounding_mode": "floor"},
    "flatten": {"start_dim": 0, "end_dim": 1},
    "kthvalue": {"k": 2, "dim": 1},
    "linalg.norm": {"ord": 1, "dim": 1},
    "linalg.vector_norm": {"ord": 3, "dim": 1, "keepdim": True},
    "linalg.matrix_norm": {"ord": "fro", "dim": (0, 1)},
    "logsumexp": {"dim": (0, 1)},
    "movedim": {"source": 0, "destination": 1},
    "nan_to_num": {"nan": 1.0, "posinf": 2.0, "neginf": 3.0},
    "narrow": {"dim": 1, "start": 1, "length": 2},
    "norm": {"p": 1, "dim": 1},
    "permute": {"dims": (1, 0)},
    "quantile": {"q": 0.3, "dim": 1, "interpolation": "lower"},
    "repeat_interleave": {"repeats": 2, "dim": 0},
    "roll": {"shifts": 1, "dims": 0},
    "rot90": {"k": 1, "dims": [0, 1]},
    "round": {"decimals": 1},
    "select": {"dim": 1, "index": 0},
    "sort": {"dim": 0, "descending": True},
    "std": {"dim": 1, "correction": 0},
    "sum": {"axis": 0, "keepdims": True},
    "swapaxes": {"axis0": 0, "axis1": 1},
    "swapdims": {"dim0": 0, "dim1": 1},
    "tensor_split": {"indices_or_sections": 2, "dim": 1},
    "topk": {"k": 2, "dim": 1, "largest": False},
    "transpose": {"dim0": 0, "dim1": 1},
    "tril": {"diagonal": -1},
    "unflatten": {"dim": 1, "sizes": (2, 2)},
    "var": {"dim": 1, "unbiased": False},
}


def called(library: Any, name: str, keywords: dict[str, Any]) -> list[np.ndarray]:
    """What the function gives for X, each output as an array."""
    function = library
    for part in name.split("."):
        function = getattr(function, part)
    if name == "tensor_split" and library is not ag:  # whose parser knows the documented name under others
        out = function(library.tensor(X), keywords["indices_or_sections"], dim=keywords["dim"])
    else:
        out = function(input=library.tensor(X), **keywords)
    return [np.asarray(x) for x in (out if isinstance(out, (tuple, list)) else (out,))]


@pytest.mark.parametrize("name", KEYWORDS)
def test_parameters_are_called_as_in_pytorch(name):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's tensors take no copy keyword from NumPy
        ours, theirs = called(ag, name, KEYWORDS[name]), called(torch, name, KEYWORDS[name])
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_arange_by_keywords():
    assert ag.arange(end=3).tolist() == [0, 1, 2]
    assert ag.arange(start=1, end=3).tolist() == ag.arange(1, 3).tolist() == [1, 2]
    with pytest.raises(TypeError, match="end"):
        ag.arange()


def test_constants():
    assert (ag.pi, ag.e, ag.inf) == (math.pi, math.e, math.inf) and math.isnan(ag.nan)
    assert ag.zeros(2)[ag.newaxis].shape == (1, 2)


def test_data_ptr():
    x = ag.zeros(2, 3)
    assert x.t().data_ptr() == x.view(-1).data_ptr() == x.data_ptr() != x.clone().data_ptr()
    assert x[1].data_ptr() == x.data_ptr() + 12


def test_threads():
    pytest.importorskip("threadpoolctl")
    before = ag.get_num_threads()
    try:
        ag.set_num_threads(1)
        assert ag.get_num_threads() == 1
    finally:
        ag.set_num_threads(before)
    assert ag.get_num_threads() == before
    with pytest.raises(RuntimeError, match="positive"):
        ag.set_num_threads(0)


def test_threads_without_threadpoolctl(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "threadpoolctl", None)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    assert ag.get_num_threads() == 3
    with pytest.warns(UserWarning, match="OPENBLAS_NUM_THREADS=1"):
        ag.set_num_threads(1)


def test_data_is_a_tensor_that_shares_the_elements() -> None:
    w = ag.ones(3, requires_grad=True)
    assert isinstance(w.data, ag.Tensor) and not w.data.requires_grad and w.is_leaf
    (w * w).sum().backward()
    w.data -= 0.5 * w.grad
    assert w.tolist() == [0, 0, 0] and w.requires_grad and w.is_leaf
    w.data[0] = 5.0
    w.data.mul_(2.0)
    assert w.tolist() == [10, 0, 0]
    w.data = ag.zeros(2)
    assert w.shape == (2,) and w.requires_grad
    layer = ag.nn.Linear(2, 2)
    layer.weight.data.fill_(0.25)
    assert layer.weight.sum().item() == 1.0
    with pytest.raises(TypeError, match="can only be set to a Tensor"):
        w.data = np.zeros(2)


def test_the_old_constructor():
    assert ag.Tensor([1, 2]).dtype == ag.float32
    for made, shape in ((ag.Tensor(2, 3), (2, 3)), (ag.Tensor(4), (4,)), (ag.Tensor(1, 0, 2, 3), (1, 0, 2, 3))):
        assert made.shape == shape and made.dtype == ag.float32 and not made.requires_grad
    assert ag.Tensor(ag.ones(3, 2).shape).shape == (3, 2) and ag.Tensor().shape == (0,)
    x = ag.ones(2)
    ag.Tensor(x).fill_(5)
    assert x.tolist() == [5, 5]
    weight = ag.nn.Parameter(ag.Tensor(4, 3))
    ag.nn.init.kaiming_uniform_(weight, a=5**0.5)
    assert weight.shape == (4, 3) and weight.requires_grad
    with pytest.raises(TypeError, match="must be a sequence"):
        ag.Tensor(1.5)
    with pytest.raises(RuntimeError, match="negative dimension -1"):
        ag.Tensor(2, -1)
    with pytest.raises(TypeError, match="sizes as ints"):
        ag.Tensor([1.0], 2)
