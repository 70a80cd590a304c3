"""Activation functions."""

from __future__ import annotations

__all__: list[str] = []
METHODS: tuple[str, ...] = ()  # those that are methods of Tensor too
IN_PLACE: tuple[str, ...] = ()  # those that have an in-place form, a method and a function with an underscore
