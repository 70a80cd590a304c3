"""The words on lists of gradients, on CUDA against the CPU, and those against NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from autograd_gpu.backend import CPU, Device, cpu

from .test_vocabulary import DTYPES, ULP, gpu  # noqa: F401 (a fixture)

SHAPES = ((3, 4), (5,), (), (0, 2), (2, 3, 7))
LETTERS = pytest.mark.parametrize("letter", "fdhb")


def gradients(letter: str) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.asarray(rng.normal(size=s), DTYPES[letter]) for s in SHAPES]


def on(xp: Any, arrays: list[np.ndarray]) -> list[Any]:
    return [xp.from_host(a.copy(), CPU if xp is cpu else Device("cuda")) for a in arrays]


def wide(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([a.astype(np.float64).ravel() for a in arrays])


@pytest.fixture(params=["cpu", "cuda"])
def xp(request: Any) -> Any:
    return cpu if request.param == "cpu" else request.getfixturevalue("gpu")


@LETTERS
@pytest.mark.parametrize("order", [2, 1, 0, 3, math.inf, -math.inf])
def test_norms(xp: Any, letter: str, order: float) -> None:
    if letter in "dh" and order not in (2, math.inf):
        pytest.skip("one dtype of each width for the rarer norms")
    arrays = gradients(letter)
    found = xp.to_host(xp.norm_of_all(on(xp, arrays), ord=order))
    assert found.shape == () and found.dtype == (np.float64 if letter == "d" else np.float32)
    np.testing.assert_allclose(float(found), np.linalg.norm(wide(arrays), order), 10 * ULP[found.dtype])
    assert float(xp.norm_of_all(on(xp, arrays[3:4]), ord=order)) == 0


@LETTERS
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clipping(xp: Any, letter: str, max_norm: float) -> None:
    before = gradients(letter)
    arrays = on(xp, before)
    norm = np.linalg.norm(wide(before))
    np.testing.assert_allclose(float(xp.clip_by_norm_(arrays, max_norm)), norm, 1e-5)
    after = wide([xp.to_host(a) for a in arrays])
    np.testing.assert_allclose(after, wide(before) * min(1, max_norm / (norm + 1e-6)), ULP[DTYPES[letter]], ULP[DTYPES[letter]])


def test_clipping_spreads_nan_and_makes_zeros_of_infinite_norms(xp: Any) -> None:
    for bad, others in ((np.nan, np.nan), (np.inf, 0.0)):
        arrays = on(xp, [np.array([1.0, bad], np.float32), np.ones(3, np.float32)])
        xp.clip_by_norm_(arrays, 1.0)
        np.testing.assert_array_equal(xp.to_host(arrays[1]), np.full(3, others))
        assert np.isnan(xp.to_host(arrays[0])[1])


@LETTERS
def test_rescaling(xp: Any, letter: str) -> None:
    before = gradients(letter)
    for factor in (0.25, 1, np.array(0.25, np.float32)):
        arrays = on(xp, before)
        xp.rescale_(arrays, on(xp, [factor])[0] if isinstance(factor, np.ndarray) else factor)
        after = [xp.to_host(a) for a in arrays]
        assert [a.dtype for a in after] == [a.dtype for a in before]
        np.testing.assert_array_equal(wide(after), wide(before) * float(factor))


@LETTERS
def test_finiteness(xp: Any, letter: str) -> None:
    arrays = gradients(letter) + [np.full(20000, 2.0, DTYPES[letter])]
    arrays[0][1, 2], arrays[4][1, 1, 1] = np.inf, np.nan
    found = xp.to_host(xp.all_finite(on(xp, arrays)))
    assert found.dtype == bool and found.tolist() == [False, True, True, True, False, True]
    arrays[5][12345] = -np.inf
    assert not xp.to_host(xp.all_finite(on(xp, arrays)))[5]
