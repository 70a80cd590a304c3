"""Settings of convolutions on CUDA. None has an effect: the algorithm is the first that cuDNN's heuristics name, none sums in an
order that changes from run to run, and TF32 is used where `backends.cuda.matmul.allow_tf32` lets matrix products use it."""

from __future__ import annotations

benchmark = False
deterministic = True
enabled = True
allow_tf32 = False
