"""Each program trains to the same losses and the same weights on PyTorch and on autograd_gpu."""

from __future__ import annotations

import numpy as np
import pytest

from . import control, generative, language, science, tricks, vision  # noqa: F401 (they fill the table)
from .libraries import PROGRAMS, library, ran


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_trains_as_on_pytorch(program, torch) -> None:
    theirs = ran(library("torch"), program)
    ours = ran(library("autograd_gpu"), program, begin=theirs.first)
    assert [what for what, _ in ours.logged] == [what for what, _ in theirs.logged]
    for k, ((what, mine), (_, expected)) in enumerate(zip(ours.logged, theirs.logged, strict=True)):
        where = f"{what} (report {k} of {len(ours.logged)})"
        if isinstance(expected, (str, bool, tuple)) or expected is None:
            assert mine == expected, where
            continue
        assert np.shape(mine) == np.shape(expected), where
        np.testing.assert_allclose(mine, expected, program.tolerance, program.tolerance, err_msg=where)
    losses = [float(value) for what, value in theirs.logged if "loss" in what.lower()]
    assert len(set(losses)) >= 5, "a program trains"
    assert list(ours.last) == list(theirs.last)
    for name, expected in theirs.last.items():
        mine = ours.last[name]
        assert mine.dtype == expected.dtype and mine.shape == expected.shape, f"{name}: {mine.dtype}{mine.shape}"
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(mine, expected, 10 * program.tolerance, 10 * program.tolerance * scale, err_msg=name)
