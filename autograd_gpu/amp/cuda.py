"""The older names of mixed precision on CUDA, which programs also import from `cuda.amp`: `autocast()` and `GradScaler()`."""

from __future__ import annotations

import sys
from typing import Any

from .. import cuda
from .casting import autocast as _autocast
from .casting import custom_bwd, custom_fwd
from .scaler import GradScaler as _GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


class autocast(_autocast):  # noqa: N801 (PyTorch's name)
    """`amp.autocast("cuda", ...)`."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True):
        super().__init__("cuda", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


class GradScaler(_GradScaler):
    """`amp.GradScaler("cuda", ...)`."""

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


cuda.amp = sys.modules[f"{cuda.__name__}.amp"] = sys.modules[__name__]  # so that it can be imported from
