"""Views: which tensor a tensor is a view of, and how to get there again. Used by dispatch and by in-place writes."""

from __future__ import annotations

import weakref
from typing import Any

from .. import backend
from .graph import words
from .tensor import Tensor


def note_view(t: Tensor, x: Tensor, op: Any, keywords: dict[str, Any], output: int | None) -> None:
    """Make `t`, just computed from `x` by a view op, a view of what x is a view of, if the two share memory at all."""
    inner, outer = t.array.base, x.array
    if inner is None or inner is not outer and inner is not outer.base:  # else it is plain that they share
        memory = backend.of(outer.__class__).memory
        if memory(t.array) is not memory(outer):
            return
    base, chain = getattr(x, "base", (x, ()))
    t.base = (base, (*chain, (op, keywords, output)))
    try:
        views = base.views
    except AttributeError:
        views = base.views = []
    if len(views) >= 16 and len(views) & (len(views) - 1) == 0:  # at 16, 32, 64 ...: forget those that died
        views[:] = [view for view in views if view() is not None]
    views.append(weakref.ref(t))


def apply(op: Any, xp: Any, *inputs: Any, **keywords: Any) -> Any:
    """Call `op` over Tensors if `xp` is their vocabulary, else on raw arrays."""
    if xp is words or op.is_word:
        return getattr(xp, op.name)(*inputs, **keywords)
    return op.forward(xp, *inputs, **keywords)


def follow(xp: Any, x: Any, chain: tuple) -> Any:
    """What the view ops in `chain` make of `x`."""
    for op, keywords, output in chain:
        x = apply(op, xp, x, **keywords)
        if output is not None:
            x = x[output]
    return x
