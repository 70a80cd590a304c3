"""Every op, each declared once with its rule. `words` of `core.graph` holds them as a vocabulary, `methods` puts them on Tensor."""

from __future__ import annotations

from . import activation, arithmetic, comparison, convert, create, elementwise, extremum, functions, gather, fill, generator, grid, index, join, layout, limits, linalg, lookup, loss, matrices, order, padding, parts, random, reduce, scan, shape, softmaxes, sort, trigonometry, vectors

FAMILIES = (arithmetic, limits, elementwise, trigonometry, functions, comparison, activation, reduce, extremum, scan, softmaxes, shape, order, parts, join, padding, layout, index, gather, lookup, sort, linalg, matrices, vectors, loss, create, convert, grid, generator, random, fill)

from . import methods  # noqa: E402 (attaches what the families have declared)

__all__ = [name for family in FAMILIES for name in family.__all__]
