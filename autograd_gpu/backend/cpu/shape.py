"""Words that rearrange: most give views."""

from __future__ import annotations

from typing import Any

import numpy as np


def broadcast_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """A read-only view of x stretched to `shape`."""
    return np.broadcast_to(x, shape)


def reshape(x: Any, *, shape: tuple[int, ...]) -> Any:
    """x with another shape: a view where the strides allow it, else a copy."""
    return x.reshape(shape)
