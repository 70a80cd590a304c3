"""Every op, each declared once with its rule. `words` of `core.graph` holds them as a vocabulary, `methods` puts them on Tensor."""

from __future__ import annotations

from . import activation, arithmetic, comparison, convert, create, elementwise, grid, index, join, layout, linalg, loss, order, padding, parts, random, reduce, shape, softmaxes, sort

FAMILIES = (arithmetic, elementwise, comparison, activation, reduce, softmaxes, shape, order, parts, join, padding, layout, index, sort, linalg, loss, create, convert, grid, random)

from . import methods  # noqa: E402 (attaches what the families have declared)

__all__ = [name for family in FAMILIES for name in family.__all__]
