"""no_grad, enable_grad, set_grad_enabled, inference_mode: as context managers and decorators, nested, in threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.core.tensor import Tensor

MODES = {
    "no_grad": (lambda: ag.no_grad(), False),
    "enable_grad": (lambda: ag.enable_grad(), True),
    "set_grad_enabled(False)": (lambda: ag.set_grad_enabled(False), False),
    "set_grad_enabled(True)": (lambda: ag.set_grad_enabled(True), True),
    "inference_mode": (lambda: ag.inference_mode(), False),
}
each = pytest.mark.parametrize("make, on", MODES.values(), ids=MODES)


def x() -> Tensor:
    return Tensor(np.array([1.0, 2.0])).requires_grad_()


@each
def test_as_context_manager(make: Any, on: bool) -> None:
    for outside in (True, False):
        with ag.set_grad_enabled(outside):
            with make():
                assert ag.is_grad_enabled() is on
                assert (x() * 2.0).requires_grad is on
                assert x().sum().requires_grad is on
                assert x().tanh().requires_grad is on
            assert ag.is_grad_enabled() is outside
    assert ag.is_grad_enabled()


@each
def test_after_an_error(make: Any, on: bool) -> None:
    with pytest.raises(KeyError):
        with make():
            raise KeyError
    assert ag.is_grad_enabled()


@each
def test_as_decorator(make: Any, on: bool) -> None:
    @make()
    def function(depth: int = 2) -> bool:
        """What it says."""
        assert ag.is_grad_enabled() is on
        return function(depth - 1) if depth else (x() * 2.0).requires_grad

    assert function() is on
    assert function() is on
    assert ag.is_grad_enabled()
    assert function.__name__ == "function"
    assert function.__doc__ == "What it says."


def test_as_decorator_without_parentheses() -> None:
    for decorator in (ag.no_grad, ag.inference_mode):

        @decorator
        def function() -> bool:
            return ag.is_grad_enabled()

        assert function() is False
        assert ag.is_grad_enabled()


@each
def test_of_generator_functions(make: Any, on: bool) -> None:
    closed = []

    @make()
    def generate() -> Iterator[Any]:
        try:
            got = yield ag.is_grad_enabled()
            while True:
                try:
                    got = yield (got, ag.is_grad_enabled())
                except KeyError:
                    got = yield ("caught", ag.is_grad_enabled())
        finally:
            closed.append(ag.is_grad_enabled())

    generator = generate()
    assert next(generator) is on
    assert ag.is_grad_enabled()
    assert generator.send(1) == (1, on)
    assert ag.is_grad_enabled()
    with ag.set_grad_enabled(not on):
        assert generator.send(2) == (2, on)
    assert generator.throw(KeyError()) == ("caught", on)
    assert ag.is_grad_enabled()
    generator.close()
    assert closed == [on]
    assert ag.is_grad_enabled()

    @make()
    def finite() -> Any:
        yield 1
        return "end"

    def outer() -> Any:
        result = yield from finite()
        yield result

    assert list(outer()) == [1, "end"]
    assert ag.is_grad_enabled()


def test_nested_and_reentered() -> None:
    outer = ag.no_grad()
    with outer:
        with ag.enable_grad():
            with outer:
                assert not ag.is_grad_enabled()
            assert ag.is_grad_enabled()
        assert not ag.is_grad_enabled()
    assert ag.is_grad_enabled()


def test_set_grad_enabled_acts_at_once() -> None:
    ag.set_grad_enabled(False)
    try:
        assert not (x() * 2.0).requires_grad
    finally:
        ag.set_grad_enabled(True)
    assert (x() * 2.0).requires_grad
    ag.set_grad_enabled(True)
    assert ag.is_grad_enabled()


def test_threads_have_their_own() -> None:
    seen = []
    with ag.no_grad():
        thread = threading.Thread(target=lambda: seen.append(((x() * 2.0).requires_grad, ag.is_grad_enabled())))
        thread.start()
        thread.join()
        assert not ag.is_grad_enabled()
    assert seen == [(True, True)]


def test_inference_mode() -> None:
    assert not ag.is_inference_mode_enabled()
    with ag.inference_mode():
        assert ag.is_inference_mode_enabled()
    with ag.inference_mode(False):
        assert not ag.is_inference_mode_enabled()
        assert ag.is_grad_enabled()
    with ag.no_grad(), ag.inference_mode(False):
        assert (x() * 2.0).requires_grad
    with ag.inference_mode():
        with ag.enable_grad():
            assert not (x() * 2.0).requires_grad
        with ag.set_grad_enabled(True):
            assert not (x() * 2.0).requires_grad
        with ag.inference_mode(False):
            assert not ag.is_inference_mode_enabled()
            assert (x() * 2.0).requires_grad
        assert ag.is_inference_mode_enabled()


def test_leaves_made_under_no_grad() -> None:
    with ag.no_grad():
        w = x()
        assert w.requires_grad
        assert w.is_leaf
        y = w * 2.0
        assert not y.requires_grad
        assert y.is_leaf
    (w * 2.0).sum().backward()
    np.testing.assert_array_equal(w.grad.array, [2.0, 2.0])


def test_backward_under_no_grad() -> None:
    w = x()
    y = (w * w).sum()
    with ag.no_grad():
        y.backward()
        assert not ag.is_grad_enabled()
    np.testing.assert_array_equal(w.grad.array, [2.0, 4.0])


def test_rules_do_not_record() -> None:
    w = x()
    seen = []
    y = w * w
    y.register_hook(lambda g: seen.append((ag.is_grad_enabled(), (w * 2.0).requires_grad)))
    y.sum().backward()
    assert seen == [(False, False)]
    y = w * w
    y.register_hook(lambda g: seen.append((ag.is_grad_enabled(), (w * 2.0).requires_grad)))
    loss = y.sum()
    with ag.no_grad():
        loss.backward(create_graph=True)
    assert seen[1] == (True, True)
