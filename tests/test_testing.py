"""The checker is checked: it passes right gradients and catches wrong ones, of each order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.core.primitive import elementwise
from autograd_gpu.core.tensor import Tensor
from autograd_gpu.testing import assert_close, check_grads


def x(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(0).uniform(0.5, 1.5, shape)).requires_grad_()


@elementwise(lambda xp, g, x: g * x)  # should be 2 * x
def test_wrong_square(xp: Any, x: Any) -> Any:
    return xp.mul(x, x)


@elementwise(lambda xp, g, x: g * xp.exp(xp.test_wrong_log(x)) * 0.0 + xp.test_wrong_log(xp.exp(g * x * 2.0)))
def test_right_square(xp: Any, x: Any) -> Any:  # its first order is right, and made of an op whose rule is wrong
    return xp.mul(x, x)


@elementwise(lambda xp, g, x: g / x * 1.01)
def test_wrong_log(xp: Any, x: Any) -> Any:
    return xp.log(x)


for op in (test_wrong_square, test_right_square, test_wrong_log):
    op.__test__ = False


def test_right_gradients_pass() -> None:
    check_grads(lambda a, b: (a * b).tanh().sum(0), [x(3, 2), x(2)], order=4, rtol=1e-4)
    check_grads(lambda a, b: (a @ b, a.exp()), [x(3, 2), x(2, 2)], order=2)
    check_grads(lambda a: a * 2.0, [x(3)], order=3)


def test_wrong_gradients_are_caught() -> None:
    with pytest.raises(AssertionError, match="order 1"):
        check_grads(test_wrong_square, [x(3)])
    with pytest.raises(AssertionError, match="order 1"):
        check_grads(lambda a: a.detach() * a, [x(3)])


def test_wrong_second_orders_are_caught(monkeypatch: Any) -> None:
    from autograd_gpu.backend import cpu

    monkeypatch.setattr(cpu, "test_wrong_log", cpu.log, raising=False)
    check_grads(test_right_square, [x(3)], order=1)
    with pytest.raises(AssertionError, match="order 2"):
        check_grads(test_right_square, [x(3)], order=2)


def test_what_it_cannot_check() -> None:
    with pytest.raises(ValueError, match="requires grad"):
        check_grads(lambda a: a, [Tensor(np.ones(2))])
    with pytest.raises(ValueError, match="float64"):
        check_grads(lambda a: a, [Tensor(np.ones(2, np.float32)).requires_grad_()])


def test_close() -> None:
    one = Tensor(np.array([1.0, np.inf, np.nan]))
    assert_close(one, one, equal_nan=True)
    assert_close(1.0, 1.0)
    for other, text in (
        (Tensor(np.array([1.0, np.inf, np.nan])), "1 of 3 elements"),
        (Tensor(np.array([1.0, -np.inf, 0.0])), "2 of 3 elements"),
        (Tensor(np.array([1.0])), "shapes differ"),
        (Tensor(np.array([1.0, np.inf, np.nan], np.float32)), "dtypes differ"),
    ):
        with pytest.raises(AssertionError, match=text):
            assert_close(one, other)
    with pytest.raises(ValueError, match="both"):
        assert_close(one, one, rtol=1.0)
    assert_close(ag.tensor([1.0]), ag.tensor([1.1]), rtol=0.2, atol=0.0)
