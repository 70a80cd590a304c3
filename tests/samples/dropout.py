"""Dropout of next to nothing, which is not random: what is dropped otherwise, tests/nn/test_dropout.py looks at."""

from __future__ import annotations

from . import S, f

SAMPLES = [
    *[S(n, f(3, 4), 1e-12, True, torch="nn.functional." + n) for n in ("dropout", "alpha_dropout", "feature_alpha_dropout")],
    *[S(n, f(*(2, 3, 4, 2, 2)[:k]), 1e-12, torch="nn.functional." + n) for n, k in
      (("dropout1d", 3), ("dropout1d", 2), ("dropout2d", 4), ("dropout3d", 5), ("dropout3d", 4))],
    *[S(n, f(2, 3, 4), 0.5, False, torch="nn.functional." + n) for n in ("dropout", "dropout1d", "alpha_dropout")],
    S("dropout", f(3, 4), 1.0, torch="nn.functional.dropout"),
]  # fmt: skip
