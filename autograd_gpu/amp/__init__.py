"""Mixed precision: torch.amp's names."""

from __future__ import annotations

from . import cuda
from .casting import (
    autocast,
    clear_autocast_cache,
    custom_bwd,
    custom_fwd,
    get_autocast_dtype,
    is_autocast_available,
    is_autocast_cache_enabled,
    is_autocast_enabled,
    set_autocast_cache_enabled,
    set_autocast_dtype,
)
from .scaler import GradScaler

__all__ = [
    "GradScaler", "autocast", "clear_autocast_cache", "cuda", "custom_bwd", "custom_fwd", "get_autocast_dtype",
    "is_autocast_available", "is_autocast_cache_enabled", "is_autocast_enabled", "set_autocast_cache_enabled",
    "set_autocast_dtype",
]  # fmt: skip
