"""The slot between the engine and those who call for a backward."""

from __future__ import annotations

import threading

import pytest

import autograd_gpu as ag
from autograd_gpu.core.between import release, slot, surround


def note(name: str, seen: list):
    """What surrounds a backward and notes that it was called."""

    def around(run):
        def call(*args):
            seen.append(name)
            return run(*args)

        return call

    return around


def backward() -> None:
    x = ag.ones(2, requires_grad=True)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_who_comes_later_stands_outside_unless_it_asks() -> None:
    seen: list = []
    arounds = [note(name, seen) for name in "abc"]
    for around in arounds:
        surround(around, innermost=around is arounds[2])
    backward()
    release(arounds[0])
    backward()
    release(arounds[1])
    release(arounds[2])
    backward()
    assert seen == ["b", "a", "c", "b", "c"] and slot.call is None


def test_quiet_backwards_are_counted_and_not_called() -> None:
    seen: list = []
    around, quiet = note("a", seen), [3, threading.get_ident()]
    surround(around, quiet)
    try:
        for left in (2, 1, 0, 0):
            backward()
            assert quiet[0] == left
        assert seen == ["a"]
        quiet[0] = 3
        x = ag.ones(2, requires_grad=True)
        ag.autograd.grad((x * x).sum(), x)  # of some tensors
        thread = threading.Thread(target=backward)  # of another thread
        thread.start()
        thread.join()
        assert seen == ["a"] * 3 and quiet[0] == 3
        other = note("b", seen)
        surround(other)  # the engine cannot count for one of two
        backward()
        assert seen[3:] == ["b", "a"] and quiet[0] == 3
        release(other)
        backward()
        assert len(seen) == 5 and quiet[0] == 2
    finally:
        release(around)
    assert slot.call is None


def test_an_error_passes_and_the_slot_stays() -> None:
    def around(run):
        def call(*args):
            raise ZeroDivisionError

        return call

    surround(around)
    with pytest.raises(ZeroDivisionError):
        backward()
    release(around)
    backward()
