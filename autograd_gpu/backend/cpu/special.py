"""Special functions that NumPy does not have."""

from __future__ import annotations
