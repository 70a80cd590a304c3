"""Words that work element by element."""

from __future__ import annotations

import numpy as np

add, sub, mul, div, neg = np.add, np.subtract, np.multiply, np.divide, np.negative
exp, log, sqrt, tanh = np.exp, np.log, np.sqrt, np.tanh
maximum, minimum, where = np.maximum, np.minimum, np.where
