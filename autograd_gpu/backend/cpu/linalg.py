"""Words for products of matrices."""

from __future__ import annotations

import numpy as np

matmul = np.matmul
