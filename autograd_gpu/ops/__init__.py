"""Every op, each declared once with its rule. `words` of `core.graph` holds them as a vocabulary, `methods` puts them on Tensor."""

from __future__ import annotations

from . import activation, create, elementwise, index, linalg, loss, random, reduce, shape, sort

FAMILIES = (elementwise, activation, reduce, shape, index, sort, linalg, loss, create, random)

from . import methods  # noqa: E402 (attaches what the families have declared)

__all__ = [name for family in FAMILIES for name in family.__all__]
