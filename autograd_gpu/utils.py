"""PyTorch's place for loading data: `utils.data` is `data`, by this name too.

>>> import autograd_gpu as ag
>>> from autograd_gpu.utils.data import DataLoader
>>> DataLoader is ag.utils.data.DataLoader is ag.data.DataLoader
True
"""

from __future__ import annotations

import sys

from . import data

__all__ = ["data"]

sys.modules[f"{__name__}.data"] = data  # so that it can be imported from
