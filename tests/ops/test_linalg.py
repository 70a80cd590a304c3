"""Products and losses where tests/samples does not reach: errors, extremes, gradients of several losses, half precision."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import autograd_gpu as ag

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def leaf(array: Any) -> Any:
    return ag.tensor(np.asarray(array)).requires_grad_()


def numbers(*shape: int, dtype: str = "float64", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


# -- errors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ag.ones(2, 3) @ ag.ones(4, 5), RuntimeError, r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x5\)"),
        (lambda: ag.ones(2, 3) @ ag.ones(3, 5).double(), RuntimeError, "expected m1 and m2 to have the same dtype"),
        (lambda: ag.ones(2, 2, 3) @ ag.ones(3, 3, 5), RuntimeError, r"The size of tensor a \(2\) must match .* tensor b \(3\)"),
        (lambda: ag.ones(2, 2, 3) @ ag.ones(2, 4, 5), RuntimeError, r"to be: \[2, 3\] but got: \[2, 4\]"),
        (lambda: ag.ones(2, 3) @ ag.ones(4), RuntimeError, r"size mismatch, got input \(2\), mat \(2x3\), vec \(4\)"),
        (lambda: ag.ones(()) @ ag.ones(4), RuntimeError, "need to be at least 1D, but they are 0D and 1D"),
        (lambda: ag.matmul(ag.ones(2), [1, 2]), TypeError, r"argument 'other' \(position 2\) must be Tensor, not list"),
        (lambda: ag.mm(ag.ones(2), ag.ones(2, 2)), RuntimeError, "self must be a matrix"),
        (lambda: ag.bmm(ag.ones(2, 2, 3), ag.ones(1, 3, 2)), RuntimeError, r"to be: \[2, 3\] but got: \[1, 3\]"),
        (lambda: ag.dot(ag.ones(3), ag.ones(4)), RuntimeError, r"expected tensor \[3\] and src \[4\]"),
        (lambda: ag.dot(ag.ones(2, 2), ag.ones(4)), RuntimeError, "1D tensors expected, but got 2D and 1D tensors"),
        (lambda: ag.linear(ag.ones(2, 3), ag.ones(5, 4)), RuntimeError, r"cannot be multiplied \(2x3 and 4x5\)"),
        (lambda: ag.linear(ag.ones(2, 3), ag.ones(5, 3), ag.ones(4)), RuntimeError, r"bias \[4\] with weight \[5, 3\]"),
        (lambda: ag.linear(ag.ones(2, 3), ag.ones(5, 3).double()), RuntimeError, "same dtype"),
        (lambda: ag.linear(ag.ones(2, 3), ag.ones(5, 3), ag.ones(5).double()), RuntimeError, "same dtype"),
        (lambda: ag.trace(ag.ones(3)), RuntimeError, "expected a matrix, but got tensor with dim 1"),
        (lambda: ag.tensordot(ag.ones(2, 3), ag.ones(2, 3), 1), RuntimeError, "contracted dimensions need to match"),
        (lambda: ag.einsum("ij,jk", ag.ones(2, 3)), RuntimeError, "fewer operands were provided"),
        (lambda: ag.einsum("ij", ag.ones(2, 3), ag.ones(2)), RuntimeError, "more operands were provided"),
        (lambda: ag.einsum("ijk", ag.ones(2, 3)), RuntimeError, r"subscripts in the equation \(3\) does not match .* \(2\)"),
        (lambda: ag.einsum("ij->z", ag.ones(2, 3)), RuntimeError, "output subscript z does not appear"),
        (lambda: ag.einsum("ij->ii", ag.ones(2, 3)), RuntimeError, "output subscript i appears more than once"),
        (lambda: ag.einsum("i1", ag.ones(2, 3)), RuntimeError, "invalid subscript given at index 1"),
        (lambda: ag.einsum("ij,jk", ag.ones(2, 3), ag.ones(4, 5)), RuntimeError, "has size 4 for operand 1 .* seen size 3"),
        (lambda: ag.einsum("ii", ag.ones(2, 3)), RuntimeError, "subscript i"),
        (lambda: ag.linalg.norm(ag.ones(2, 2, 2), 1), RuntimeError, "the input must be 1D or 2D. Got 3D"),
        (lambda: ag.linalg.vector_norm(ag.arange(3)), RuntimeError, "Expected a floating point"),
        (lambda: ag.linalg.cross(ag.ones(2), ag.ones(2)), RuntimeError, "must have length 3"),
        (lambda: ag.cross_entropy(ag.ones(3, 5), ag.zeros(4).long()), ValueError, r"batch_size \(3\) to match .* \(4\)"),
        (lambda: ag.cross_entropy(ag.ones(3, 5), ag.tensor([0, 7, 1])), IndexError, "Target 7 is out of bounds."),
        (lambda: ag.cross_entropy(ag.ones(3, 5), ag.tensor([0, -1, 1])), IndexError, "Target -1 is out of bounds."),
        (lambda: ag.cross_entropy(ag.ones(3, 500), ag.tensor([0, 500, 1])), IndexError, "Target 500 is out of bounds."),
        (lambda: ag.nll_loss(ag.ones(3, 5), ag.tensor([0, 7, 1])), IndexError, "Target 7 is out of bounds."),
        (lambda: ag.cross_entropy(ag.ones(3, 5), ag.tensor([0, 1, 2]), reduction="max"), ValueError, "not a valid value for red"),
        (lambda: ag.cross_entropy(ag.ones(3, 5), ag.tensor([0, 1, 2]), ag.ones(4)), RuntimeError, "all 5 classes"),
    ],
)
def test_errors_are_pytorchs_and_name_the_shapes(call: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# -- values PyTorch users rely on ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.dtype("float16"), BFLOAT16])
def test_half_precision_is_multiplied_in_float32(dtype: Any) -> None:
    a, b = numbers(8, 300).astype(dtype), numbers(300, 4, seed=1).astype(dtype)
    expected = (a.astype("float32") @ b.astype("float32")).astype(dtype)
    x, w = leaf(a), leaf(b)
    out = x @ w
    out.sum().backward()
    assert out.dtype == x.grad.dtype == dtype
    np.testing.assert_array_equal(out.detach().numpy(), expected)
    layer = ag.linear(x, leaf(np.ascontiguousarray(b.T)), leaf(np.ones(4, dtype)))
    np.testing.assert_allclose(layer.detach().numpy().astype(float), expected.astype(float) + 1, rtol=0.02)


def test_beta_zero_ignores_what_is_added() -> None:
    out = ag.addmm(ag.full((2, 2), float("nan")), ag.ones(2, 3), ag.ones(3, 2), beta=0)
    assert out.tolist() == [[3, 3], [3, 3]]


def test_norm_of_zeros_has_gradient_zero() -> None:
    for ord in (2, 3, 1, 0.5):
        x = leaf(np.zeros(3))
        ag.linalg.vector_norm(x, ord).backward()
        assert x.grad.tolist() == [0, 0, 0], ord


def test_chain_takes_the_cheap_order() -> None:
    a, b, c = ag.ones(100, 1), ag.ones(1, 100), leaf(np.ones((100, 1), "float32"))
    out = ag.chain_matmul(a, b, c)
    assert out.node.edges[0].name() == "matmul"  # a @ (b @ c): the product in brackets comes first
    assert ag.linalg.multi_dot([a, b, c]).shape == (100, 1)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 50.0, 90.0, 1e4, 1e30])
@pytest.mark.parametrize("shift", [0.0, -95.0, 95.0, -1e4])
def test_cross_entropy_of_extreme_logits(scale: float, shift: float) -> None:
    x = numbers(16, 7, dtype="float32") * np.float32(scale) + np.float32(shift)
    target = np.arange(16) % 7
    a, b = leaf(x), leaf(x.astype("float64"))
    one, two = ag.cross_entropy(a, ag.tensor(target)), ag.cross_entropy(b, ag.tensor(target))
    one.backward()
    two.backward()
    np.testing.assert_allclose(one.item(), two.item(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-6)
    shifted = x.astype("float64") - x.max(1, keepdims=True)
    exact = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(16), target]
    np.testing.assert_allclose(two.item(), exact.mean(), rtol=1e-9, atol=1e-12)


def test_cross_entropy_of_infinite_logits() -> None:
    masked = leaf([[0.0, -np.inf, 0.0], [1.0, 1.0, -np.inf]])
    loss = ag.cross_entropy(masked, ag.tensor([0, 1]))
    loss.backward()
    np.testing.assert_allclose(loss.item(), np.log(2))
    np.testing.assert_allclose(masked.grad.numpy(), [[-0.25, 0, 0.25], [0.25, -0.25, 0]])
    assert ag.cross_entropy(ag.tensor([[0.0, -np.inf]]), ag.tensor([1])).item() == np.inf
    assert np.isnan(ag.cross_entropy(ag.tensor([[0.0, np.nan]]), ag.tensor([1])).item())


def test_cross_entropy_of_ignored_targets_only_is_nan() -> None:
    assert np.isnan(ag.cross_entropy(ag.ones(2, 3), ag.tensor([-100, -100])).item())
    assert ag.cross_entropy(ag.ones(2, 3), ag.tensor([-100, -100]), reduction="sum").item() == 0


# -- gradients of cross_entropy ------------------------------------------------------------------------------------------------


def gradient(x: Any, target: Any, **kw: Any) -> np.ndarray:
    t = leaf(x.copy())
    ag.cross_entropy(t, ag.tensor(target), **kw).backward()
    return t.grad.numpy()


def test_interleaved_losses_get_their_own_gradients() -> None:
    x, y, target, other = numbers(6, 5), numbers(6, 5, seed=1), np.arange(6) % 5, np.arange(6)[::-1] % 5
    a, b, t, s = leaf(x), leaf(y), ag.tensor(target), ag.tensor(other.copy())
    losses = [
        ag.cross_entropy(a, t),
        ag.cross_entropy(b, t),
        ag.cross_entropy(a, s),
        ag.cross_entropy(a, t, reduction="sum"),
        ag.cross_entropy(a, t),
    ]
    expected = [
        gradient(x, target),
        gradient(y, target),
        gradient(x, other),
        gradient(x, target, reduction="sum"),
        gradient(x, target),
    ]
    for order in (range(5), reversed(range(5))):
        for i in order:
            (g,) = ag.autograd.grad(losses[i], [b if i == 1 else a], retain_graph=True)
            np.testing.assert_allclose(g.numpy(), expected[i], rtol=1e-12, err_msg=str(i))


def test_a_second_backward_gives_the_same() -> None:
    x = leaf(numbers(4, 3))
    loss = ag.cross_entropy(x, ag.tensor([0, 1, 2, 0]))
    first, second = (ag.autograd.grad(loss, [x], retain_graph=True)[0].numpy().copy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_an_incoming_gradient_scales() -> None:
    x, target = numbers(4, 3), np.array([0, 1, 2, 0])
    a = leaf(x)
    (ag.cross_entropy(a, ag.tensor(target)) * 3).backward()
    np.testing.assert_allclose(a.grad.numpy(), 3 * gradient(x, target), rtol=1e-12)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 3)], ids=str)
def test_linear_with_a_vector_for_weight(shape):
    x, w = ag.randn(*shape, requires_grad=True), ag.randn(3, requires_grad=True)
    out = ag.nn.functional.linear(x, w)
    assert out.shape == shape[:-1]
    out.sum().backward()
    np.testing.assert_allclose(x.grad.array, np.broadcast_to(w.detach().array, shape))
    np.testing.assert_allclose(w.grad.array, x.detach().array.reshape(-1, 3).sum(0), 1e-5)


def test_linear_refuses_what_has_no_dimensions_and_biases_of_vectors():
    with pytest.raises(RuntimeError, match="at least 1D, but they are 0D and 2D"):
        ag.nn.functional.linear(ag.tensor(1.0), ag.ones(2, 3))
    with pytest.raises(RuntimeError, match=r"must be a matrix, got 1-D tensor: weight \[3\] and input \[2, 3\]"):
        ag.nn.functional.linear(ag.ones(2, 3), ag.ones(3), ag.ones(1))
    with pytest.raises(RuntimeError, match="dtype"):
        ag.nn.functional.linear(ag.ones(2, 3), ag.ones(3).double())
