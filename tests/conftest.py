"""What all tests share: PyTorch as an oracle where it is installed, the same random numbers for each test whichever ran before it,
and a clean mode before and after."""

from __future__ import annotations

import os
import warnings

import pytest

import autograd_gpu as ag
from autograd_gpu.core.graph import mode, unusual

os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["tests.emulated_cuda.plugin"]

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch as _torch

    _torch.set_num_threads(1)
except ImportError:
    _torch = None

try:
    import hypothesis

    hypothesis.settings.register_profile(
        "repeatable", deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck), database=None
    )
    hypothesis.settings.load_profile("repeatable")
except ImportError:
    pass


@pytest.fixture
def torch():
    """PyTorch, the oracle. Tests that ask for it are skipped where it is not installed."""
    if _torch is None:
        pytest.skip("PyTorch is not installed")
    return _torch


@pytest.fixture
def maybe_torch():
    """PyTorch or None, for tests that have something to check without it too."""
    return _torch


@pytest.fixture(autouse=True)
def _every_test_begins_alike():
    """Every test gets the same random numbers, and must leave the thread recording as it found it."""
    assert mode.state == 0
    ag.manual_seed(0)
    if _torch is not None:
        _torch.manual_seed(0)
    # pytest puts its own filters above the one that the package sets at import
    warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"autograd_gpu\.")
    yield
    state, mode.state = mode.state, 0
    if unusual[0] != 0:
        count, unusual[0] = unusual[0], 0
        raise AssertionError(f"{count} threads were left in a mode other than recording")
    assert state == 0, "the test left its thread in a mode other than recording"
