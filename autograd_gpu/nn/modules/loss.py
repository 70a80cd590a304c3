"""The base classes of losses, where PyTorch has them: programs derive their own from nn.modules.loss._Loss."""

from __future__ import annotations

from ..loss import _Loss, _WeightedLoss

__all__ = ["_Loss", "_WeightedLoss"]
