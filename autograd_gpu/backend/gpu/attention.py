"""Attention by the kernels of attention.cu, which keep no matrix of scores: forward and backward of the op."""

from __future__ import annotations

import math
from typing import Any

import cupy
import numpy as np
from cupy import ndarray

from ..kernels import C_NAME, computed, kernel, struct

_FILE = "attention.cu"
_SIZES = (32, 64, 128)  # of heads, that kernels are compiled for
_MOST_TILES = 65535  # blocks along the second dimension of a grid


class _Launch:
    """What the kernels are told of a call, and how they are launched. Leading dimensions are (batch, heads), all but the last
    of them taken together as the batch.

    None of this is made, and `fits` is False, for arrays that the kernels do not take."""

    def __init__(self, q: Any, k: Any, v: Any, mask: Any, scale: float, causal: bool, p: float):
        self.fits = False
        dtype, lead = q.dtype, q.shape[:-2]
        if p or dtype not in C_NAME or not all(x.__class__ is ndarray and x.size for x in (q, k, v)):
            return
        size, device = q.shape[-1], q.data.device_id
        if size > _SIZES[-1] or v.shape[-1] != size or k.data.device_id != device or v.data.device_id != device:
            return
        if mask is not None and (mask.__class__ is not ndarray or mask.data.device_id != device):
            return
        self.queries, self.keys = q.shape[-2], k.shape[-2]
        self.heads = lead[-1] if lead else 1
        self.matrices = math.prod(lead)
        self.d = next(d for d in _SIZES if d >= size)
        number = computed(dtype)
        tile = min(128 // number.itemsize, 8192 // (self.d * number.itemsize))  # as in the kernels
        self.by_queries, self.by_keys = ((self.matrices, -(-n // tile)) for n in (self.queries, self.keys))
        if max(self.by_queries[1], self.by_keys[1]) > _MOST_TILES or self.matrices >= 2**31:
            return
        self.scale = number.type(scale)
        self.c, self.number = C_NAME[dtype], number
        self.arrays = [_in_one_batch(x, lead) for x in (q, k, v)]
        self.mask = None if mask is None else _in_one_batch(_added(mask, dtype), lead, columns_apart=True)
        self.strides = [_strides(x) for x in self.arrays]
        self.strides.append(_strides(self.mask) if self.mask is not None else np.zeros((), struct(_FILE, "Strides")))
        self.sizes = np.array((self.heads, self.queries, self.keys, size, causal), struct(_FILE, "Sizes"))
        self.fits = True

    def launch(self, name: str, grid: tuple[int, int], *arrays: Any) -> None:
        """Launch a kernel with the inputs, `arrays` and what else it takes."""
        call = kernel(_FILE, f"{name}<{self.c},{self.d}>")
        call(grid, (128,), *self.arrays, self.mask, *arrays, self.sizes, *self.strides, self.scale)


def _in_one_batch(x: Any, lead: tuple[int, ...], columns_apart: bool = False) -> Any:
    """x as (batch, heads, rows, columns): a view where its strides allow it, and where its columns lie next to each other unless
    they may lie apart."""
    if not columns_apart and x.shape[-1] > 1 and x.strides[-1] != x.itemsize:
        x = cupy.ascontiguousarray(x)
    heads = lead[-1] if lead else 1
    shape = (math.prod(lead[:-1]), heads, *x.shape[-2:])
    return x if x.shape == shape else x.reshape(shape)


def _added(mask: Any, dtype: Any) -> Any:
    """A mask as what is added to scores, made of its own elements only where it was broadcast."""
    if mask.dtype.kind != "b":
        return mask
    own = mask[tuple([slice(0, 1) if step == 0 else slice(None) for step in mask.strides])]
    return cupy.broadcast_to(cupy.where(own, dtype.type(0), dtype.type(-np.inf)), mask.shape)


def _strides(x: Any) -> Any:
    """The strides of (batch, heads, rows, columns), in elements."""
    return np.array(tuple([step // x.itemsize for step in x.strides]), struct(_FILE, "Strides"))


def _forward(
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    *,
    scale: float,
    causal: bool = False,
    p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
) -> Any:
    """(out, residue): the residue is the logarithm of the sum of exponentials of each row."""
    call = _Launch(q, k, v, mask, scale, causal, p)
    if not call.fits:
        return NotImplemented
    out, norm = ndarray(q.shape, q.dtype), ndarray(q.shape[:-1], call.number)
    call.launch("attention_forward", call.by_queries, out, norm)
    return out, norm


def _backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    *,
    q: Any,
    k: Any,
    v: Any = None,
    mask: Any = None,
    out: Any = None,
    scale: float,
    causal: bool = False,
    p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
    residue: Any = None,
) -> Any:
    """The rules for q, k and v: one launch for queries, one for keys and values."""
    if residue is None or v is None or out is None or "mask" in needed:
        return NotImplemented
    call = _Launch(q, k, v, mask, scale, causal, p)
    if not call.fits or g.__class__ is not ndarray or g.dtype is not q.dtype:
        return NotImplemented
    g, delta = cupy.ascontiguousarray(g), ndarray(residue.shape, call.number)
    rows, size = delta.size, q.shape[-1]
    blocks = min((rows + 7) // 8, 1 << 16)
    kernel(_FILE, f"attention_delta<{call.c}>")((blocks,), (256,), g, out, delta, np.int64(rows), np.int32(size))
    grads = {}
    if "q" in needed:
        grads["q"] = ndarray(q.shape, q.dtype)
        call.launch("attention_backward_q", call.by_queries, g, residue, delta, grads["q"])
    if "k" in needed or "v" in needed:
        grads["k"], grads["v"] = ndarray(k.shape, k.dtype), ndarray(v.shape, v.dtype)
        call.launch("attention_backward_kv", call.by_keys, g, residue, delta, grads["k"], grads["v"])
    return [grads[name] for name in needed]


ATTENTION = {"scaled_dot_product_attention": (_forward, _backward)}
