"""backward(): order, accumulation, what is kept and what is freed, errors, hooks, threads."""

from __future__ import annotations

import gc
import pickle
import sys
import threading
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.autograd import backward, grad
from autograd_gpu.core.graph import mode
from autograd_gpu.core.primitive import elementwise, primitive
from autograd_gpu.core.tensor import Tensor


def leaf(*values: Any, dtype: Any = np.float64) -> Tensor:
    return Tensor(np.array(values[0] if len(values) == 1 else values, dtype)).requires_grad_()


def constant(*values: Any) -> Tensor:
    return Tensor(np.array(values[0] if len(values) == 1 else values, np.float64))


def equal(t: Tensor, values: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(t.array, values, tolerance, tolerance)


def share(a: Tensor, b: Tensor) -> bool:
    return np.shares_memory(a.array, b.array)


# -- order and accumulation ------------------------------------------------------------------------------------------------


def test_diamond() -> None:
    x = leaf(3.0)
    a = x * x
    b = a * 2.0
    c = a * a
    (b * c).backward()  # 2 x^6
    equal(x.grad, 12 * 3.0**5)


def test_each_node_runs_once_and_newest_first() -> None:
    order = []
    x = leaf(1.0)
    a = x * 2.0
    b = a * 3.0
    c = a * 5.0
    d = b * c
    e = d + a
    for name, t in dict(a=a, b=b, c=c, d=d, e=e).items():
        t.register_hook(lambda g, name=name: order.append((name, float(g.array))))
    e.backward()
    assert [name for name, _ in order] == ["e", "d", "c", "b", "a"]
    equal(x.grad, 2 * 3 * 5 * 2 * 2 + 2)


def test_long_diamonds_do_not_multiply_work() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(200):  # 2^200 paths
        y = (y + y) * 0.5
    y.backward()
    equal(x.grad, 1.0)


def test_a_gradient_gathered_from_many_places() -> None:
    x = leaf([1.0, 2.0])
    parts = [x * float(k) for k in range(1, 8)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    (total * total).sum().backward()
    equal(x.grad, 2 * 28 * 28 * np.array([1.0, 2.0]))


def test_leaves_accumulate() -> None:
    x = leaf([1.0, 2.0])
    for times in (1, 2, 3):
        (x * 3.0).sum().backward()
        equal(x.grad, [3.0 * times] * 2)


def test_the_grad_tensor_stays_the_same_object() -> None:
    x = leaf([1.0, 2.0])
    (x * 3.0).sum().backward()
    first, memory = x.grad, x.grad.array
    (x * 3.0).sum().backward()
    assert x.grad is first
    assert x.grad.array is memory
    assert first._version > 0


def test_grad_can_be_assigned_and_deleted() -> None:
    x = leaf([1.0, 2.0])
    x.grad = constant(1.0, 1.0)
    (x * 3.0).sum().backward()
    equal(x.grad, [4.0, 4.0])
    x.grad = None
    assert x.grad is None
    x.grad = constant(1.0, 1.0)
    del x.grad
    assert x.grad is None
    with pytest.raises(RuntimeError, match="size"):
        x.grad = constant(1.0, 2.0, 3.0)
    with pytest.raises(RuntimeError, match="dtype"):
        x.grad = Tensor(np.zeros(2, np.float32))
    with pytest.raises(TypeError):
        x.grad = 3.0


def test_backward_with_inputs_touches_nothing_else() -> None:
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (x * y).sum().backward(inputs=[x])
    equal(x.grad, [3.0, 4.0])
    assert y.grad is None
    with pytest.raises(RuntimeError, match="cannot be empty"):
        (x * y).sum().backward(inputs=[])
    with pytest.raises(RuntimeError, match="does not require grad"):
        (x * y).sum().backward(inputs=[constant(1.0)])


def test_backward_with_inputs_that_were_computed() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2.0
    y.retain_grad()
    (y * y).sum().backward(inputs=[y])
    equal(y.grad, [4.0, 8.0])
    assert x.grad is None


def test_a_leaf_is_its_own_gradient_of_one() -> None:
    x = leaf(2.0)
    x.backward()
    equal(x.grad, 1.0)
    g = constant(5.0)
    x.backward(g)
    equal(x.grad, 6.0)
    equal(g, 5.0)


def test_several_roots() -> None:
    x = leaf([1.0, 2.0])
    y = x * x
    backward([y.sum(), (y * 2.0).sum(), x], [None, constant(10.0), constant(100.0, 200.0)])
    equal(x.grad, [2 + 40 + 100, 4 + 80 + 200])
    x.grad = None
    y = x * x
    backward([y, y], [constant(1.0, 1.0), constant(1.0, 1.0)])
    equal(x.grad, [4.0, 8.0])


def test_a_root_that_another_root_depends_on() -> None:
    x = leaf(2.0)
    y = x * x
    z = y * y
    backward([y, z])
    equal(x.grad, 2 * 2 + 4 * 2**3)


# -- who owns a gradient ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("create", [False, True])
def test_two_leaves_of_a_sum_do_not_share_their_gradient(create: bool) -> None:
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (x + y).backward(constant(1.0, 1.0), create_graph=create)
    assert not share(x.grad, y.grad)
    with ag.no_grad():
        x.grad.mul_(7.0)
    equal(x.grad, [7.0, 7.0])
    equal(y.grad, [1.0, 1.0])


@pytest.mark.parametrize("create", [False, True])
def test_the_gradient_passed_in_is_not_taken(create: bool) -> None:
    x, g = leaf([1.0, 2.0]), constant(1.0, 1.0)
    for build in (lambda: x, lambda: x + 0.0, lambda: x.reshape((2,)), lambda: x + x):
        x.grad = None
        build().backward(g, create_graph=create)
        assert not share(x.grad, g)
        (x * 1.0).sum().backward()
        equal(g, [1.0, 1.0])


def test_the_gradient_of_a_broadcast_is_writable_and_whole() -> None:
    x = leaf([1.0, 2.0, 3.0])
    x.sum().backward()
    assert x.grad.array.flags.writeable
    assert x.grad.array.strides == (8,)
    with ag.no_grad():
        x.grad[0] = 5.0
    equal(x.grad, [5.0, 1.0, 1.0])


def test_views_of_one_gradient_are_not_kept() -> None:
    x, y = leaf([1.0, 2.0]), leaf([[3.0], [4.0]])
    (x + y.reshape((2,))).backward(constant(1.0, 1.0))
    assert not share(x.grad, y.grad)
    with ag.no_grad():
        y.grad.zero_()
    equal(x.grad, [1.0, 1.0])


def test_what_a_hook_kept_is_not_written_into() -> None:
    x = leaf([1.0, 2.0])
    seen = []
    y = x * 2.0
    y.register_hook(lambda g: seen.append(g))
    y.retain_grad()
    (y + y).sum().backward()
    (x * 5.0).sum().backward()
    equal(seen[0], [2.0, 2.0])
    equal(y.grad, [2.0, 2.0])
    with ag.no_grad():
        x.grad.zero_()
    equal(seen[0], [2.0, 2.0])


def test_a_hook_that_returns_what_it_got() -> None:
    x = leaf([1.0, 2.0])
    held = []
    x.register_hook(lambda g: held.append(g) or g)
    (x * 2.0).sum().backward()
    (x * 2.0).sum().backward()
    equal(held[0], [2.0, 2.0])
    equal(x.grad, [4.0, 4.0])


# -- autograd.grad ---------------------------------------------------------------------------------------------------------


def test_grad_accumulates_nothing() -> None:
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    gx, gy = grad((x * y).sum(), [x, y])
    equal(gx, [3.0, 4.0])
    equal(gy, [1.0, 2.0])
    assert x.grad is None
    assert y.grad is None
    assert not gx.requires_grad


def test_grad_of_unused_inputs() -> None:
    x, unused = leaf([1.0, 2.0]), leaf([[1.0]])
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph. Set allow_unused=True"):
        grad((x * x).sum(), [x, unused])
    g, none = grad((x * x).sum(), [x, unused], allow_unused=True)
    equal(g, [2.0, 4.0])
    assert none is None
    g, zeros = grad((x * x).sum(), [x, unused], materialize_grads=True)
    equal(zeros, [[0.0]])
    assert zeros.dtype == unused.dtype
    with pytest.raises(ValueError, match="allow_unused"):
        grad((x * x).sum(), [x, unused], allow_unused=False, materialize_grads=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        grad((x * x).sum(), [constant(1.0)])


def test_grad_of_several_outputs() -> None:
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    gx, gy = grad([x * y, x + y], [x, y], [constant(1.0, 10.0), constant(100.0, 1000.0)])
    equal(gx, [103.0, 1040.0])
    equal(gy, [101.0, 1020.0])
    with pytest.raises(RuntimeError):
        grad([x * y, x + y], [x, y], [constant(1.0, 10.0)])


def test_grad_of_computed_inputs() -> None:
    x = leaf([1.0, 2.0])
    y = x * 3.0
    z = y * y
    gy, gx = grad(z.sum(), [y, x], retain_graph=True)
    equal(gy, [6.0, 12.0])
    equal(gx, [18.0, 36.0])
    gz, gy = grad(z.sum(), [z, y])
    equal(gz, [1.0, 1.0])
    equal(gy, [6.0, 12.0])


def test_grad_of_an_input_that_is_the_output() -> None:
    x = leaf(2.0)
    equal(grad(x, x)[0], 1.0)
    y = x * x
    equal(grad(y, y)[0], 1.0)
    one, two = grad(y, [x, x])
    equal(one, 4.0)
    equal(two, 4.0)


def test_grad_runs_no_rule_that_it_does_not_need() -> None:
    ran = []

    @elementwise(a=lambda xp, g, b: (ran.append("a"), g * b)[1], b=lambda xp, g, a: (ran.append("b"), g * a)[1])
    def test_noisy_mul(xp: Any, a: Any, b: Any) -> Any:
        return xp.mul(a, b)

    x, y = leaf(2.0), leaf(3.0)
    deep = y * 2.0
    equal(grad(test_noisy_mul(x, deep), x)[0], 6.0)
    assert ran == ["a"]


# -- errors ----------------------------------------------------------------------------------------------------------------


def test_not_a_scalar() -> None:
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs"):
        (leaf([1.0, 2.0]) * 2.0).backward()
    (leaf([[1.0]]) * 2.0).backward()  # one element will do


def test_nothing_to_differentiate() -> None:
    with pytest.raises(RuntimeError, match="does not require grad and does not have a grad_fn"):
        constant(1.0).backward()
    with pytest.raises(RuntimeError, match="only Tensors of floating point and complex dtype can require gradients"):
        Tensor(np.array([1])).requires_grad_()


def test_gradient_of_the_wrong_shape_or_type() -> None:
    y = leaf([1.0, 2.0]) * 2.0
    with pytest.raises(RuntimeError, match=r"[Mm]ismatch in shape.*\[3\].*\[2\]"):
        y.backward(constant(1.0, 2.0, 3.0))
    with pytest.raises(TypeError, match="gradients can be either Tensors or None, but got"):
        y.backward(np.ones(2))


def test_second_backward() -> None:
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    with pytest.raises(
        RuntimeError,
        match=r"Trying to backward through the graph a second time.*(sum|mul) at .*test_engine.py:\d+.*retain_graph=True",
    ):
        y.backward()


def test_retain_graph() -> None:
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    for times in (1, 2, 3):
        y.backward(retain_graph=True)
        equal(x.grad, [2.0 * times, 4.0 * times])
    y.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()


def test_an_error_in_a_rule_leaves_the_mode_as_it_was() -> None:
    def fail(xp: Any, g: Any) -> Any:
        raise FloatingPointError("from the rule")

    @elementwise(fail)
    def test_failing(xp: Any, x: Any) -> Any:
        return xp.mul(x, x)

    for create in (False, True):
        x = leaf([1.0])
        y = test_failing(x)
        with pytest.raises(FloatingPointError, match="from the rule"):
            y.backward(create_graph=create)
        assert mode.state == 0
        with ag.no_grad():
            with pytest.raises(FloatingPointError):
                test_result = y
                test_result.backward(create_graph=create)
            assert not ag.is_grad_enabled()
        assert ag.is_grad_enabled()
    assert (x * 2.0).requires_grad


# -- higher orders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function, derivatives",
    [
        (lambda x: x * x * x * x * x, [lambda x: 5 * x**4, lambda x: 20 * x**3, lambda x: 60 * x**2, lambda x: 120 * x]),
        (lambda x: x.exp() * x, [lambda x, k=k: np.exp(x) * (x + k) for k in range(1, 5)]),
        (
            lambda x: (x * 2.0).sin(),
            [
                lambda x: 2 * np.cos(2 * x),
                lambda x: -4 * np.sin(2 * x),
                lambda x: -8 * np.cos(2 * x),
                lambda x: 16 * np.sin(2 * x),
            ],
        ),
        (lambda x: 1.0 / x, [lambda x: -(x**-2.0), lambda x: 2 * x**-3.0, lambda x: -6 * x**-4.0, lambda x: 24 * x**-5.0]),
        (lambda x: (x * x).log(), [lambda x: 2 / x, lambda x: -2 / x**2, lambda x: 4 / x**3, lambda x: -12 / x**4]),
        (
            lambda x: x.tanh(),
            [
                lambda x: 1 - np.tanh(x) ** 2,
                lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2),
                lambda x: (6 * np.tanh(x) ** 2 - 2) * (1 - np.tanh(x) ** 2),
                lambda x: (16 * np.tanh(x) - 24 * np.tanh(x) ** 3) * (1 - np.tanh(x) ** 2),
            ],
        ),
    ],
)
def test_four_orders(function: Any, derivatives: list) -> None:
    values = np.array([0.5, 1.3, 2.0])
    x = leaf(values)
    y = function(x)
    for derivative in derivatives:
        (y,) = grad(y.sum(), x, create_graph=True)
        equal(y, derivative(values), 1e-10)


def test_mixed_partials_are_symmetric() -> None:
    x, y = leaf(0.7), leaf(1.3)
    z = (x * y).sin() * x.exp()
    gx, gy = grad(z, [x, y], create_graph=True)
    equal(grad(gx, y, retain_graph=True)[0], grad(gy, x)[0].array)


def test_create_graph_through_backward() -> None:
    x = leaf([1.0, 2.0])
    (x * x * x).sum().backward(create_graph=True)
    first = x.grad
    assert first.requires_grad
    x.grad = None
    first.sum().backward()
    equal(x.grad, [6.0, 12.0])


def test_a_gradient_penalty() -> None:
    w, x = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([0.5, -0.5])
    (g,) = grad((w * x).tanh().sum(), x, create_graph=True)
    (g * g).sum().backward()
    assert w.grad.shape == (2, 2)
    step = 1e-6

    def penalty(values: np.ndarray) -> float:
        gx = (values * (1 - np.tanh(values * x.array) ** 2)).sum(0)
        return float((gx * gx).sum())

    for index in np.ndindex(2, 2):
        above, below = w.array.copy(), w.array.copy()
        above[index] += step
        below[index] -= step
        assert abs((penalty(above) - penalty(below)) / (2 * step) - w.grad.array[index]) < 1e-6


# -- hooks -----------------------------------------------------------------------------------------------------------------


def test_hooks_see_replace_and_go_away() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2.0
    seen = []
    first = y.register_hook(lambda g: g * 10.0)
    y.register_hook(lambda g: seen.append(g.array.copy()))
    (y * 1.0).sum().backward(retain_graph=True)
    np.testing.assert_array_equal(seen, [[10.0, 10.0]])
    equal(x.grad, [20.0, 20.0])
    first.remove()
    first.remove()
    x.grad = None
    z = (y * 1.0).sum()
    z.backward()
    equal(x.grad, [2.0, 2.0])
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        constant(1.0).register_hook(lambda g: None)


def test_a_hook_sees_the_whole_gradient_once() -> None:
    x = leaf(1.0)
    y = x * 2.0
    seen = []
    y.register_hook(lambda g: seen.append(float(g.array)))
    x.register_hook(lambda g: seen.append(float(g.array)))
    (y * 3.0 + y * 4.0 + y).backward()
    assert seen == [8.0, 16.0]


def test_hooks_under_create_graph_are_differentiated() -> None:
    x = leaf(3.0)
    y = x * x
    y.register_hook(lambda g: g * x)
    (g,) = grad(y, x, create_graph=True)  # 2 x * x
    equal(g, 18.0)
    equal(grad(g, x)[0], 12.0)


def test_retain_grad() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2.0
    y.retain_grad()
    y.retain_grad()
    assert y.retains_grad
    assert y.grad is None
    (y * y).sum().backward(retain_graph=True)
    equal(y.grad, [4.0, 8.0])
    (y * y).sum().backward()
    equal(y.grad, [8.0, 16.0])
    x.retain_grad()  # no effect
    with pytest.raises(RuntimeError):
        constant(1.0).retain_grad()


def test_hooks_after_accumulation() -> None:
    x = leaf([1.0, 2.0])
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda t: seen.append((t is x, t.grad.array.copy())))
    (x * 2.0 + x).sum().backward()
    assert len(seen) == 1
    assert seen[0][0]
    np.testing.assert_array_equal(seen[0][1], [3.0, 3.0])
    handle.remove()
    (x * 2.0).sum().backward()
    assert len(seen) == 1
    with pytest.raises(RuntimeError, match="non-leaf"):
        (x * 2.0).register_post_accumulate_grad_hook(lambda t: None)


def test_an_optimizer_in_the_backward_pass() -> None:
    x = leaf([1.0, 2.0])

    def step(t: Tensor) -> None:
        with ag.no_grad():
            t.sub_(t.grad)
        t.grad = None

    x.register_post_accumulate_grad_hook(step)
    (x * 2.0).sum().backward()
    equal(x, [-1.0, 0.0])
    assert x.grad is None


# -- several outputs -------------------------------------------------------------------------------------------------------


@primitive(x=lambda xp, g, out0, out1: g[0] * out1 + g[1] * out0, outputs=("out0", "out1"))
def test_cosh_sinh(xp: Any, x: Any) -> Any:  # d cosh = sinh, d sinh = cosh
    return 0.5 * (xp.exp(x) + xp.exp(-x)), 0.5 * (xp.exp(x) - xp.exp(-x))


test_cosh_sinh.__test__ = False


def test_an_op_with_two_outputs() -> None:
    for use in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0)):
        x = leaf([0.3, -1.2])
        c, s = test_cosh_sinh(x)
        y = sum(t * w for t, w in zip((c, s), use, strict=True) if w)
        (g,) = grad(y.sum(), x, create_graph=True)
        equal(g, use[0] * np.sinh(x.array) + use[1] * np.cosh(x.array))
        (h,) = grad(g.sum(), x, create_graph=True)
        equal(h, use[0] * np.cosh(x.array) + use[1] * np.sinh(x.array))
        (h3,) = grad(h.sum(), x)
        equal(h3, use[0] * np.sinh(x.array) + use[1] * np.cosh(x.array))


def test_an_output_as_input_of_grad() -> None:
    x = leaf([0.3, -1.2])
    c, s = test_cosh_sinh(x)
    y = c * s
    gc_, gs = grad(y.sum(), [c, s], retain_graph=True)
    equal(gc_, s.array)
    equal(gs, c.array)
    c.retain_grad()
    y.sum().backward()
    equal(c.grad, s.array)
    equal(x.grad, np.sinh(x.array) ** 2 + np.cosh(x.array) ** 2)


def test_second_order_reaches_an_output_through_what_the_rule_saved() -> None:
    x = leaf([0.3, -1.2])
    c, s = test_cosh_sinh(x)
    (g,) = grad(c.sum(), x, create_graph=True)  # is s, as the rule says it
    (through_s,) = grad(g.sum(), s, allow_unused=True)
    assert through_s is not None
    equal(through_s, [1.0, 1.0])


# -- memory ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_collector() -> Any:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_saved_arrays_are_freed_as_backward_passes(no_collector: None) -> None:
    n, alive = 12, []

    def watch(xp: Any, g: Any, x: Any) -> Any:
        del x
        alive.append(sum(ref() is not None for ref in saved))
        return g

    @elementwise(watch)
    def test_watched(xp: Any, x: Any) -> Any:
        return xp.mul(x, 1.0)

    y = leaf(np.ones(10))
    saved = []
    for _ in range(n):
        y = test_watched(y * 1.5)
        saved.append(weakref.ref(y.node.saved[0]))
    y.sum().backward()
    # the k-th from the end runs: what it saved is still held by the call of its rule, all newer ones are gone
    assert alive == [n - k for k in range(n)]


def test_gradients_are_freed_as_backward_passes(no_collector: None) -> None:
    refs, alive = [], []

    def watch(xp: Any, g: Any) -> Any:
        refs.append(weakref.ref(g))
        alive.append(sum(ref() is not None for ref in refs))
        return g * 1.0

    @elementwise(watch)
    def test_watched_gradient(xp: Any, x: Any) -> Any:
        return xp.mul(x, 1.0)

    y = leaf(np.ones(10))
    for _ in range(8):
        y = test_watched_gradient(y)
    y.sum().backward()
    assert max(alive) == 1


def test_backward_of_a_chain_needs_two_gradients(no_collector: None) -> None:
    size, n = 1 << 18, 20
    x = Tensor(np.ones(size)).requires_grad_()
    y = x
    for _ in range(n):
        y = y.tanh()
    loss = y.sum()
    del y
    tracemalloc.start()
    try:
        loss.backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # g, what the rule makes of it, and its temporaries; what is freed on the way was not traced and does not count
    assert peak < 5 * size * 8, f"{peak / size / 8:.1f} arrays"


@pytest.mark.parametrize("create", [False, True])
def test_nothing_of_the_graph_is_alive_after_backward(no_collector: None, create: bool) -> None:
    x, w = leaf(np.ones((4, 4))), leaf(np.ones((4, 4)))
    refs = []
    y = x
    for _ in range(5):
        y = (y * w).tanh()
        refs += [weakref.ref(y), weakref.ref(y.array)]
        y = y + x
        y = y.reshape((16,)).reshape((4, 4))
        refs += [weakref.ref(y), weakref.ref(y.array)]
    loss = y.sum()
    del y
    loss.backward(create_graph=create)
    if create:
        x.grad = w.grad = None
    del loss
    assert [ref() for ref in refs if ref() is not None] == []


def test_saved_is_gone_though_the_loss_is_held(no_collector: None) -> None:
    x = leaf(np.ones(100))
    y = x.tanh()
    ref = weakref.ref(y.array)
    loss = (y * y).sum()
    del y
    assert ref() is not None
    loss.backward()
    assert ref() is None
    assert loss.requires_grad


def test_views_and_writes_make_no_cycles(no_collector: None) -> None:
    x = leaf(np.ones((3, 4)))
    y = x * 2.0
    v = y[1]
    v.mul_(3.0)
    y[0] = v
    y += 1.0
    refs = [weakref.ref(t) for t in (y, v, y.array)]
    loss = y.sum()
    del y, v
    loss.backward()
    del loss
    assert [ref() for ref in refs if ref() is not None] == []


def test_a_hundred_thousand_ops() -> None:
    x = leaf([1.0, 2.0])
    y = x
    for _ in range(50_000):
        y = y * 1.0
        y = y + x
    assert len(repr(y)) < 200
    repr(y.node)
    y.sum().backward()
    assert x.grad.array[0] == 50_001.0
    del y
    y = x
    for _ in range(100_000):
        y = y.tanh()
    equal(pickle.loads(pickle.dumps(y)), y.array)  # does not follow the graph
    del y  # freed without backward


def test_a_long_chain_of_retained_and_recorded_gradients() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y * 1.0
    (g,) = grad(y, x, create_graph=True)
    equal(g, 1.0)
    del y, g


# -- threads ---------------------------------------------------------------------------------------------------------------


def in_threads(*functions: Any) -> None:
    errors = []

    def guarded(f: Any) -> None:
        try:
            f()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def test_threads_do_not_meet() -> None:
    def train() -> None:
        rng = np.random.default_rng(0)
        w = leaf(rng.normal(size=(4, 4)))
        for _ in range(200):
            y = (w * w).tanh().sum()
            assert y.requires_grad
            w.grad = None
            y.backward()
            np.testing.assert_allclose(w.grad.array, 2 * w.array * (1 - np.tanh(w.array**2) ** 2))

    def infer() -> None:
        w = leaf([1.0, 2.0])
        for _ in range(200):
            with ag.no_grad():
                assert not (w * w).tanh().requires_grad
                with ag.enable_grad():
                    assert (w * w).requires_grad

    in_threads(train, infer, train, infer)


def test_threads_are_counted_right() -> None:
    def flip() -> None:
        for _ in range(3000):
            with ag.no_grad():
                pass

    in_threads(*[flip] * 4)
    from autograd_gpu.core.graph import unusual

    assert unusual[0] == 0
    assert (leaf(1.0) * 2.0).requires_grad


def test_a_graph_can_be_made_in_one_thread_and_used_in_another() -> None:
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    in_threads(y.backward)
    equal(x.grad, [2.0, 4.0])


def test_threads_give_one_leaf_its_first_gradient() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(100):
            x = leaf(1.0, 2.0)
            barrier = threading.Barrier(4)

            def work(x: Tensor = x, barrier: threading.Barrier = barrier) -> None:
                barrier.wait()
                x.sum().backward()

            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            equal(x.grad, [4.0, 4.0])
    finally:
        sys.setswitchinterval(before)


# -- what is handed out belongs to who gets it -----------------------------------------------------------------------------


def test_the_first_gradient_may_be_written() -> None:
    x = leaf(2.0)
    (g,) = grad(x, x, create_graph=True)
    g.mul_(3.0)
    y = x * 5.0
    y.register_hook(lambda g: g.mul_(3.0))
    y.backward()
    assert (x.detach() + 1.0).item() == 3.0  # no constant has changed
    (g,) = grad(x, x)
    assert g.item() == 1.0


def test_gradients_without_dimensions_are_arrays() -> None:
    x = ag.tensor(2.0, dtype=ag.bfloat16, requires_grad=True)
    y = x * x
    y.register_hook(lambda g: seen.append(g.array))
    seen: list = []
    y.backward()
    w = leaf(2.0)
    (w * w).backward(create_graph=True)
    (w * w).backward()
    for array in (x.grad.array, seen[0], grad(x * x, x)[0].array, w.grad.array):
        assert array.__class__ is np.ndarray
    assert (x.grad.item(), w.grad.item()) == (4.0, 8.0)
    w.grad = None


def test_hooks_get_the_dtype_of_their_tensor() -> None:
    x = ag.tensor([0.5, 0.25], dtype=ag.bfloat16, requires_grad=True)
    y = x * 1
    y.retain_grad()
    ag.erf(y).sum().backward()
    assert y.grad.dtype == ag.bfloat16


def test_what_a_hook_may_return() -> None:
    for wrong, error, match in (
        (3.0, TypeError, "hook returned 'float'"),
        (ag.ones(3, dtype=ag.float64), RuntimeError, r"size of value: it got \[2\] and returned \[3\]"),
        (ag.ones(2), RuntimeError, "type of value: it got float64 and returned float32"),
    ):
        y = leaf(1.0, 2.0) * 2.0
        y.register_hook(lambda g, wrong=wrong: wrong)
        with pytest.raises(error, match=match):
            y.sum().backward()


def test_zeros_for_unused_inputs_can_be_differentiated_again() -> None:
    x, unused = leaf(1.0), leaf(1.0)
    _, g = grad((x * x).sum(), [x, unused], create_graph=True, materialize_grads=True)
    assert grad(g.sum(), unused, allow_unused=True) == (None,)
    with pytest.raises(RuntimeError, match="cannot be empty"):
        grad(x.sum(), [])


def test_nodes_print() -> None:
    y = leaf(1.0, 2.0)
    assert repr(y.node) == "<AccumulateGrad>"
    assert repr(ag.unbind(y)[1].grad_fn).startswith("<output 1 of <unbind made at ")
