"""Dropout: what is kept is told by the stream of random numbers, rule 9 of the NOTE in `backend.random`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..random import kept
from .reduce import _narrow, _widened


def _masked(x: Any, mask: Any, p: float) -> Any:
    """x over 1 - p where the mask is True, else 0."""
    wide = _widened(x)
    out = mask.reshape(x.shape).astype(wide.dtype)
    out *= 1 / (1 - p) if p < 1 else 0.0
    np.multiply(wide, out, out)
    return _narrow(out, x.dtype)


def dropout(x: Any, *, p: float, seed: int, offset: int) -> Any:
    """x with each element 0 with probability p, else over 1 - p."""
    return _masked(x, kept(seed, offset, x.size, p), p)


def _dropout(x: Any, *, p: float, seed: int, offset: int) -> Any:
    """The forward of `dropout`. Its residue is what was kept, a bit an element: drawing it again takes twenty times longer."""
    mask = kept(seed, offset, x.size, p)
    return _masked(x, mask, p), np.packbits(mask)


def _dropout_backward(xp: Any, g: Any, needed: tuple[str, ...], *, p: float, seed: int, offset: int, residue: Any = None) -> Any:
    """The rule of `dropout`."""
    if residue is None:
        return NotImplemented
    return (_masked(g, np.unpackbits(residue, count=g.size), p),)


DROPOUTS = {"dropout": (_dropout, _dropout_backward)}
