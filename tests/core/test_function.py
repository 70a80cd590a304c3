"""autograd.Function: what it saves, what its backward may return, writing in place in and around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.autograd import Function, grad


def function(forward: Callable, backward: Callable) -> Callable:
    return type("Made", (Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)}).apply


def leaf(*values: float) -> ag.Tensor:
    return ag.tensor(values, requires_grad=True)


def _square(ctx: Any, x: ag.Tensor) -> ag.Tensor:
    ctx.save_for_backward(x)
    return x * x


square = function(_square, lambda ctx, g: 2 * g * ctx.saved_tensors[0])
doubled_in_place = function(lambda ctx, x: (ctx.mark_dirty(x), x.mul_(2))[1], lambda ctx, g: g * 2)


def test_higher_orders() -> None:
    x = leaf(3.0)
    (g,) = grad(square(x).sum(), x, create_graph=True)
    (g2,) = grad(g.sum(), x)
    assert (g.item(), g2.item()) == (6.0, 2.0)


def test_second_order_reaches_a_saved_tensor_that_is_no_argument() -> None:
    w = leaf(5.0)

    def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
        ctx.save_for_backward(x, w)
        return x * x * w.detach()

    def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
        x, weight = ctx.saved_tensors
        return 2 * g * x * weight

    x = leaf(3.0)
    (g,) = grad(function(forward, backward)(x).sum(), x, create_graph=True)
    assert grad(g.sum(), w)[0].item() == 6.0


@pytest.mark.parametrize("create", (False, True))
def test_gradients_get_the_dtype_of_the_input(create: bool) -> None:
    x = leaf(1.0, 2.0)
    function(lambda ctx, x: x * 2, lambda ctx, g: g.double())(x).sum().backward(create_graph=create)
    assert x.grad.dtype == ag.float32
    x.grad = None


def test_outputs_without_a_gradient() -> None:
    seen: list = []

    def forward(ctx: Any, x: ag.Tensor, materialize: bool) -> tuple:
        ctx.set_materialize_grads(materialize)
        return x * 2, x * 3

    two = function(forward, lambda ctx, a, b: (seen.append(b), (a * 2, None))[1])
    for materialize in (True, False):
        x = leaf(1.0)
        two(x, materialize)[0].sum().backward()
        assert x.grad.item() == 2.0
    assert seen[0].tolist() == [0.0]
    assert seen[1] is None


def test_what_is_refused() -> None:
    with pytest.raises(TypeError, match="can only save tensors, but argument 1 is of type int"):
        function(lambda ctx, x: ctx.save_for_backward(x, 3), None)(leaf(1.0))
    y = function(lambda ctx, x: x * 1, lambda ctx, g: np.ones(1))(leaf(1.0))
    with pytest.raises(TypeError, match="index 0: expected Tensor or None, got ndarray"):
        y.backward()
    y = function(lambda ctx, x: x * 1, lambda ctx, g: (g, g))(leaf(1.0))
    with pytest.raises(RuntimeError, match="expected 1, got 2"):
        y.backward()
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        doubled_in_place(leaf(1.0))
    with pytest.raises(RuntimeError, match="were not returned as output"):
        function(lambda ctx, x: (ctx.mark_dirty(x), x.mul_(2) + 1)[1], None)(leaf(1.0) * 1)
    assert ag.is_grad_enabled()


def test_a_view_written_in_place() -> None:
    x = leaf(1.0, 1.0)
    y = x * 1
    doubled_in_place(y[:1])
    y.sum().backward()
    assert y.tolist() == [2.0, 1.0]
    assert x.grad.tolist() == [2.0, 1.0]
    with ag.no_grad():
        view = y[:1]
    with pytest.raises(RuntimeError, match="view was created in no_grad mode"):
        doubled_in_place(view)


@pytest.mark.parametrize("forward", (lambda ctx, x: x, lambda ctx, x: x[:], lambda ctx, x: x.detach()))
def test_views_that_a_function_returns(forward: Callable) -> None:
    hundredfold = function(forward, lambda ctx, g: g * 100)
    x = leaf(1.0, 2.0)
    y = x * 1
    for view in (hundredfold(y), hundredfold(y)[:1]):
        with pytest.raises(RuntimeError, match="a custom Function returned .* is being modified"):
            view.mul_(3)
    view = hundredfold(y)
    view.sum().backward(retain_graph=True)
    assert x.grad.tolist() == [100.0, 100.0]
    y.mul_(3)
    with pytest.raises(RuntimeError, match="had its base, or another view of that, modified"):
        view.sum().backward()
    (y.sum() + hundredfold(y).sum()).backward()
    assert x.grad.tolist() == [403.0, 403.0]
    with ag.no_grad():
        hundredfold(y).mul_(2)
    assert y.tolist() == [6.0, 12.0]


def test_a_saved_tensor_that_was_overwritten() -> None:
    x = leaf(1.0) * 1
    y = square(x)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="Made at .* saved its saved tensor 0"):
        y.backward()


def test_a_hundred_thousand_calls() -> None:
    x = leaf(1.0)
    one = function(lambda ctx, x: x * 1, lambda ctx, g: g)
    y = x
    for _ in range(100_000):
        y = one(y)
    y.backward()
    assert x.grad.item() == 1.0
    del y
