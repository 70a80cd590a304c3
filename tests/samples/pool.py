"""Pooling."""

from __future__ import annotations

from typing import Any

from . import S, Sample, f, i

F = "nn.functional."


def p(name: str, *args: Any, **kw: Any) -> Sample:
    return S(name, *args, torch=F + name, **kw)


def max_pool(dims: int, x: Any, *args: Any, **kw: Any) -> Sample:
    return p(f"max_pool{dims}d", x, *args, **kw)


SAMPLES = [
    # side by side, overlapping, with gaps, padded, dilated, reaching beyond the end; no two elements tie
    max_pool(1, f(2, 3, 8, gap=0.01), 2),
    max_pool(1, f(3, 9, gap=0.01), 3, 2, 1, return_indices=True),
    max_pool(1, f(2, 2, 9, gap=0.01), 2, 3, 1, 2, ceil_mode=True, return_indices=True),
    max_pool(2, f(2, 3, 6, 4, gap=0.01), 2),
    max_pool(2, f(2, 6, 5, gap=0.01), 2, return_indices=True),
    max_pool(2, f(2, 2, 7, 6, gap=0.01), 3, 2, 1, return_indices=True),
    max_pool(2, f(1, 2, 7, 8, gap=0.01), (3, 2), (2, 1), (1, 0), (1, 2), ceil_mode=True, return_indices=True),
    max_pool(2, f(1, 2, 5, 7, gap=0.01), 1, 3),
    max_pool(2, f(1, 1, 18, 17, gap=0.01), (17, 16), return_indices=True),
    max_pool(3, f(1, 2, 4, 4, 6, gap=0.01), 2),
    max_pool(3, f(2, 5, 4, 6, gap=0.01), (3, 2, 2), (2, 1, 2), (1, 0, 1), ceil_mode=True, return_indices=True),
    p("avg_pool1d", f(2, 3, 8), 2),
    p("avg_pool1d", f(3, 9), 3, 2, 1, count_include_pad=False),
    p("avg_pool2d", f(2, 3, 6, 4), 2),
    p("avg_pool2d", f(2, 7, 6), 3, 2, 1, ceil_mode=True),
    p("avg_pool2d", f(1, 2, 7, 6), 3, 2, 1, ceil_mode=True, count_include_pad=False),
    p("avg_pool2d", f(1, 2, 7, 8), (3, 2), (1, 3), (1, 0), divisor_override=4),
    p("avg_pool2d", f(1, 2, 5, 4), 1),
    # PyTorch has no averages of three dimensions in half precision on the CPU
    p("avg_pool3d", f(1, 2, 4, 4, 6), 2, skip=("half_precision_stays",)),
    p("avg_pool3d", f(2, 5, 4, 6), (3, 2, 2), (2, 1, 2), (1, 0, 1), ceil_mode=True, count_include_pad=False),
    p("avg_pool3d", f(1, 1, 4, 4, 6), 2, 1, divisor_override=3),
    p("lp_pool1d", f(2, 3, 7, low=0.2), 2, 3, 2),
    p("lp_pool2d", f(2, 3, 6, 5, low=0.2), 3, 2),
    p("lp_pool2d", f(1, 2, 7, 5, low=0.2), 1, (3, 2), 2, ceil_mode=True),
    p("lp_pool3d", f(1, 2, 4, 4, 4, low=0.2), 2, 2),
    # windows of one size, of several, as many as elements, more than elements
    p("adaptive_avg_pool1d", f(2, 3, 8), 4),
    p("adaptive_avg_pool1d", f(3, 7), 3),
    p("adaptive_avg_pool2d", f(2, 3, 6, 4), 1),
    p("adaptive_avg_pool2d", f(2, 3, 6, 4), (3, 2)),
    p("adaptive_avg_pool2d", f(2, 7, 5), (3, None)),
    p("adaptive_avg_pool2d", f(1, 2, 3, 5), (4, 2)),
    p("adaptive_avg_pool3d", f(1, 2, 4, 5, 3), (2, 3, 1)),
    p("adaptive_avg_pool3d", f(2, 4, 6, 2), 2),
    p("adaptive_max_pool1d", f(2, 3, 8, gap=0.01), 4, return_indices=True),
    p("adaptive_max_pool1d", f(3, 7, gap=0.01), 3),
    p("adaptive_max_pool2d", f(2, 3, 6, 4, gap=0.01), (3, 2), return_indices=True),
    p("adaptive_max_pool2d", f(2, 7, 5, gap=0.01), (3, None), return_indices=True),
    p("adaptive_max_pool2d", f(1, 2, 3, 5, gap=0.01), (4, 2), return_indices=True),
    p("adaptive_max_pool3d", f(1, 2, 4, 5, 3, gap=0.01), (2, 3, 1), return_indices=True),
    # nothing to put back is refused, as in PyTorch
    p("max_unpool1d", f(1, 1, 4), i(1, 1, 4, high=8, distinct=True), 2, skip=("zero_size",)),
    p("max_unpool2d", f(1, 1, 2, 3), i(1, 1, 2, 3, high=24, distinct=True), 2, skip=("zero_size",)),
    p("max_unpool3d", f(1, 1, 1, 2, 2), i(1, 1, 1, 2, 2, high=32, distinct=True), 2, skip=("zero_size",)),
]
