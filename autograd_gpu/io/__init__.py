"""Files of tensors: safetensors for weights, npz without pickle for everything else, and checkpoints of training runs.

A name that ends in .safetensors is written as that, any other, .pt too, as npz; a file is read as what its first bytes say.
Loading never unpickles; a file is replaced only by a complete one.

>>> import autograd_gpu as ag
>>> import os, tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     path = ag.io.save({"w": ag.ones(2)}, os.path.join(folder, "w.npz"))
...     ag.io.load(path)
{'w': tensor([1., 1.])}
"""

from __future__ import annotations

from .checkpoint import load_checkpoint, random_state, save_checkpoint, set_random_state
from .files import load, read_metadata, save
from .weights import have_safetensors

__all__ = [
    "have_safetensors",
    "load",
    "load_checkpoint",
    "random_state",
    "read_metadata",
    "save",
    "save_checkpoint",
    "set_random_state",
]
