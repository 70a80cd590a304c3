"""Names of older programs, methods that give a tensor itself another shape, and small questions: as in PyTorch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag

TYPES = (
    "HalfTensor",
    "FloatTensor",
    "DoubleTensor",
    "ByteTensor",
    "CharTensor",
    "ShortTensor",
    "IntTensor",
    "LongTensor",
    "BoolTensor",
)


@pytest.mark.parametrize("name", TYPES)
def test_types_of_tensors(name: str, torch: Any) -> None:
    ours, theirs = getattr(ag, name), getattr(torch, name)
    for data in ([1, 0, 2], [[1.0, 0.0]], np.array([3, 0])):
        if isinstance(data, np.ndarray):  # PyTorch wants the array to have the dtype
            data = data.astype(ours.dtype)
        mine, expected = ours(data), theirs(data)
        assert mine.numpy().dtype == expected.numpy().dtype and mine.tolist() == expected.tolist()
    assert ours(2, 3).shape == ours(ag.Size([2, 3])).shape == (2, 3) and ours().shape == (0,)
    assert ours(np.int64(2), 3).shape == (2, 3)
    assert isinstance(ours(2), ours) and not isinstance(ag.zeros(2, dtype=ag.int64), ours) or name == "LongTensor"
    assert ag.ones(2).type(ours).dtype == ours(1).dtype == ag.ones(2).type(name).dtype
    assert ours([0]).new([1]).tolist() == [1] and ours([1]).new(2, 2).dtype == ours.dtype
    with pytest.raises(TypeError):
        ours([1], [2])


def test_variable() -> None:
    x = ag.ones(2, requires_grad=True)
    v = ag.autograd.Variable(x * 2)
    assert isinstance(v, ag.autograd.Variable) and isinstance(x, ag.autograd.Variable) and not v.requires_grad
    assert ag.autograd.Variable(v, requires_grad=True).is_leaf and not isinstance(2.0, ag.autograd.Variable)


def history(library: Any) -> list[Any]:
    """A tensor that is given other shapes, written through views of before and after, and differentiated."""
    x = library.arange(6.0).reshape(2, 3).requires_grad_()
    y = x * 2
    early = y[0]
    shapes = [tuple(y.unsqueeze_(0).shape), tuple(y.transpose_(1, 2).shape), tuple(y.squeeze_(0).shape), tuple(y.t_().shape)]
    late = y[:, 1]
    late.mul_(3.0)
    y.t_()
    y.swapaxes_(0, 1).swapdims_(0, 1)
    early.add_(1.0)
    (y * library.arange(6.0).reshape(3, 2)).sum().backward()
    v = library.arange(4.0)[:2]
    v.unsqueeze_(1)
    v += 1
    return [shapes, y.tolist(), early.tolist(), x.grad.tolist(), v.tolist()]


def test_reformed_in_place(torch: Any) -> None:
    assert history(ag) == history(torch)
    plain, twin = ag.arange(6).reshape(1, 2, 3), torch.arange(6).reshape(1, 2, 3)
    assert plain.squeeze_().t_().tolist() == twin.squeeze_().t_().tolist()
    assert plain.squeeze_(0).tolist() == twin.squeeze_(0).tolist()
    leaf = ag.zeros(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        leaf.unsqueeze_(0)


@pytest.mark.parametrize(
    ("shape", "wrap"), [((3, 3), False), ((2, 4), True), ((7, 2), False), ((7, 2), True), ((2, 2, 2), False)]
)
def test_fill_diagonal(shape: tuple[int, ...], wrap: bool, torch: Any) -> None:
    results = []
    for library in (ag, torch):
        x = library.ones(shape, requires_grad=True)
        y = x * 2
        y.fill_diagonal_(5.0, wrap=wrap)
        (y * y).sum().backward()
        results.append((y.tolist(), x.grad.tolist()))
    assert results[0] == results[1]
    with pytest.raises(RuntimeError):
        ag.zeros(2).fill_diagonal_(1.0)
    with pytest.raises(RuntimeError):
        ag.zeros(2, 3, 2).fill_diagonal_(1.0)


def asked(library: Any) -> list[Any]:
    x, y = library.tensor([[1.0, -2.0], [3.0, 4.0]]), library.tensor([2.0, 5.0])
    return [
        library.dist(x, y).item(),
        x.dist(y, p=1).item(),
        library.is_nonzero(library.tensor(0)),
        x.is_same_size(y),
        x.is_signed(),
        x.bool().is_signed(),
        x.get_device(),
        x.is_conj(),
        x.is_inference(),
        x.resolve_conj() is x,
        x.sum_to_size(2).tolist(),
        x.sum_to_size((1, 1)).tolist(),
        x.clone().apply_(lambda a: a * 2 + 1).tolist(),
        x.clone().map_(y, lambda a, b: a + b).tolist(),
        x.share_memory_() is x,
    ]


def test_small_questions(torch: Any) -> None:
    assert asked(ag) == asked(torch)
    with pytest.raises(RuntimeError, match="expandable"):
        ag.zeros(2, 3).sum_to_size(2)
    with pytest.raises(RuntimeError, match="detach"):
        ag.zeros(2, requires_grad=True).apply_(abs)


def test_settings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ag.backends.cudnn.benchmark = ag.backends.cudnn.benchmark
        assert not ag.backends.mps.is_available() and not ag.backends.mps.is_built()
        assert ag.backends.cuda.is_built() == ag.cuda.is_available()
        ag.set_float32_matmul_precision("high")
        try:
            assert ag.backends.cuda.matmul.allow_tf32 and ag.get_float32_matmul_precision() == "high"
        finally:
            ag.set_float32_matmul_precision("highest")
        assert not ag.backends.cuda.matmul.allow_tf32
        ag.use_deterministic_algorithms(True, warn_only=True)
        assert ag.are_deterministic_algorithms_enabled()
        ag.use_deterministic_algorithms(False)
    with pytest.raises(ValueError, match="highest"):
        ag.set_float32_matmul_precision("exact")


def test_saved_inputs_can_be_differentiated_by_in_backward(torch: Any) -> None:
    """As the adjoint method and checkpointing do: the saved parameter is the leaf that the inner graph leads to."""
    results = []
    for library in (ag, torch):
        w = library.tensor([2.0, 3.0], requires_grad=True)

        class Inner(library.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any, weight: Any) -> Any:
                ctx.save_for_backward(x, weight)
                return x * weight.sin()

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                x, weight = ctx.saved_tensors
                assert weight.requires_grad and weight.is_leaf
                with library.enable_grad():  # noqa: B023 (called in this round)
                    x = x.detach().requires_grad_()
                    again = x * w.sin()  # noqa: B023 (called in this round)
                return library.autograd.grad(again, (x, weight), g)  # noqa: B023

        x = library.tensor([0.5, -1.0], requires_grad=True)
        Inner.apply(x * 3, w).sum().backward()
        results.append(x.grad.tolist() + w.grad.tolist())
    np.testing.assert_allclose(*results, rtol=1e-6)
