"""Sums of a few elements along one dimension, with weights: what interpolation and averages of uneven windows are made of.

NOTE [Tables]
    A linear map along a dimension, from n elements to m, of which each depends on a few of the n only, is kept as two tables of
    shape (few, m): `places` and `weights`. Its transpose is again such a map, with tables of shape (few others, n). The op is
    given both, so that its gradient is as fast as itself, and sums up in a fixed order. Where an element has fewer than the
    others, the last of its places comes again, with a weight of zero.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .. import backend
from ..backend import cpu
from ..backend.promotion import int64
from ..core.graph import words
from ..core.primitive import linear
from ..core.tensor import Tensor

__all__: list[str] = []
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


class Tables:
    """The two tables of a map, and those of its transpose: lists of their rows. No weights stand for ones."""

    __slots__ = ("places", "weights", "back_places", "back_weights")

    def __init__(self, places: list, weights: list, back_places: list, back_weights: list):
        self.places, self.weights, self.back_places, self.back_weights = places, weights, back_places, back_weights


def _mixed(xp: Any, x: Any, places: list, weights: list, axis: int) -> Any:
    total, shape = None, (-1,) + (1,) * (x.ndim - 1 - axis)
    for place, weight in zip(places, weights, strict=True):
        part = xp.index(x, Tensor(place) if xp is words else place, axes=(axis,))
        if weight is not None:
            weight = weight.reshape(shape)
            part = part * (Tensor(weight) if xp is words else weight)
        total = part if total is None else total + part
    return total


@linear(lambda xp, g, tables, axis: _mixed(xp, g, tables.back_places, tables.back_weights, axis))
def _mix(xp: Any, x: Any, *, tables: Tables, axis: int) -> Any:
    """out[..., i, ...] = the sum over k of weights[k, i] * x[..., places[k, i], ...]. See NOTE [Tables]."""
    return _mixed(xp, x, tables.places, tables.weights, axis)


def _even(lines: list[list[tuple[int, float]]], dtype: Any, device: Any) -> tuple[list, list]:
    """Lines of (place, weight) as two tables."""
    few = max(1, *map(len, lines)) if lines else 1
    lines = [line + [(line[-1][0] if line else 0, 0.0)] * (few - len(line)) for line in lines]
    rows = [[cpu.asarray([line[k][i] for line in lines], (int64, dtype)[i]) for k in range(few)] for i in (0, 1)]
    return tuple([backend.move(row, device) for row in table] for table in rows)


def tables_of(lines: list[list[tuple[int, float]]], n: int, dtype: Any, device: Any) -> Tables:
    """The tables of a map from n elements, of which `lines` holds (place, weight) for each element of the result."""
    across: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    for i, line in enumerate(lines):
        for place, weight in line:
            if weight:
                across[place].append((i, weight))
    return Tables(*_even(lines, dtype, device), *_even(across, dtype, device))


def choice_of(rows: list[int], n: int, dtype: Any, device: Any) -> Tables:
    """The tables of the map that gives, of n elements, those at `rows`."""
    tables = tables_of([[(row, 1.0)] for row in rows], n, dtype, device)
    tables.weights = [None]
    return tables


@lru_cache(maxsize=256)
def average_tables(n: int, m: int, dtype: Any, device: Any) -> Tables:
    """Those of the averages of m windows that cover n elements, as adaptive pooling lays them."""
    bounds = adaptive_bounds(n, m)
    return tables_of([[(j, 1.0 / (stop - start)) for j in range(start, stop)] for start, stop in bounds], n, dtype, device)


def adaptive_bounds(n: int, m: int) -> list[tuple[int, int]]:
    """Where each of m windows that cover n elements begins and ends: they overlap if m does not divide n."""
    return [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
