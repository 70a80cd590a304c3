"""Apple's GPUs, on which this package does not compute."""

from __future__ import annotations


def is_available() -> bool:
    """Whether tensors can lie there: False."""
    return False


def is_built() -> bool:
    """Whether this package can use them: False."""
    return False
