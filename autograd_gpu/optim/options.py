"""Checks of the options that optimizers are given."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor


def check_not_negative(**options: Any) -> None:
    """Raise ValueError, worded as PyTorch's, for an option below zero (or not a number at all)."""
    for name, value in options.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element")
        if not 0.0 <= value:
            what = {"lr": "learning rate", "eps": "epsilon value"}.get(name, f"{name} value")
            raise ValueError(f"Invalid {what}: {value} (it must not be negative)")


def check_betas(betas: tuple[float, float]) -> None:
    """Raise ValueError for decay rates outside [0, 1)."""
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta} (it must be in [0, 1))")


def check_differentiable(differentiable: bool) -> None:
    """Raise NotImplementedError for what no optimizer here can do."""
    if differentiable:
        raise NotImplementedError("differentiable=True: the updates are made in place and not recorded")
