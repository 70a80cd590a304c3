"""Batch normalisation, where PyTorch has it: programs ask isinstance(m, nn.modules.batchnorm._BatchNorm)."""

from __future__ import annotations

from ..normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, _BatchNorm

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "_BatchNorm"]
