"""What the tests of this folder share."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _needs_a_device(cuda_device: Any) -> None:
    """Everything here runs on a CUDA device, real or emulated."""
