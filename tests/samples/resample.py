"""Resampling and sampling, and pixels exchanged for channels."""

from __future__ import annotations

from typing import Any

from . import S, Sample, f

F = "nn.functional."
KEPT = ("no_cycles",)  # places are kept for the next call


def p(name: str, *args: Any, **kw: Any) -> Sample:
    return S(name, *args, torch=F + name, **kw)


def size(*args: Any, **kw: Any) -> Sample:
    return p("interpolate", *args, **kw)


def sampled(x: Any, grid: Any, **kw: Any) -> Sample:
    return p("grid_sample", x, grid, tolerance=1e-7, **kw)


SAMPLES = [
    size(f(2, 3, 4), scale_factor=2),
    size(f(2, 3, 5), 7),
    size(f(2, 2, 4, 3), scale_factor=(2, 3)),
    size(f(1, 2, 5, 4), (3, 7)),
    size(f(1, 2, 6, 5), scale_factor=0.7),
    size(f(1, 2, 3, 4, 2), scale_factor=2),
    size(f(2, 3, 5), 7, mode="nearest-exact"),
    size(f(1, 2, 5, 4), scale_factor=1.7, mode="nearest-exact"),
    size(f(1, 2, 6, 4), (3, 3), mode="area"),
    size(f(2, 3, 5), scale_factor=1.5, mode="area"),
    size(f(2, 3, 4), 7, mode="linear"),
    size(f(2, 3, 4), 7, mode="linear", align_corners=True),
    size(f(2, 3, 7), scale_factor=0.6, mode="linear", recompute_scale_factor=True),
    size(f(1, 2, 4, 3), scale_factor=2, mode="bilinear"),
    size(f(1, 2, 4, 5), (7, 2), mode="bilinear", align_corners=True),
    size(f(1, 2, 4, 5), scale_factor=(1.3, 2.6), mode="bilinear"),
    size(f(1, 2, 9, 7), (4, 5), mode="bilinear", antialias=True),
    size(f(1, 2, 4, 3), scale_factor=2, mode="bicubic"),
    size(f(1, 2, 4, 5), (7, 3), mode="bicubic", align_corners=True),
    size(f(1, 1, 9, 7), (4, 5), mode="bicubic", antialias=True),
    size(f(1, 2, 3, 4, 2), (4, 3, 5), mode="trilinear"),
    size(f(1, 2, 3, 2, 2), scale_factor=2, mode="trilinear", align_corners=True),
    *[
        sampled(f(2, 2, 4, 5), f(2, 3, 2, 2, low=-1.4, high=1.4), mode=mode, padding_mode=padding, align_corners=align)
        for mode in ("bilinear", "bicubic")
        for padding, align in (("zeros", False), ("border", True), ("reflection", False), ("reflection", True))
    ],
    *[
        sampled(f(1, 2, 3, 4), f(1, 3, 2, 2, low=-1.4, high=1.4, grad=False), mode="nearest", padding_mode=padding)
        for padding in ("zeros", "border", "reflection")
    ],
    sampled(f(1, 2, 3, 4, 2), f(1, 2, 2, 3, 3, low=-1.4, high=1.4)),
    sampled(f(1, 2, 3, 4, 2), f(1, 2, 2, 3, 3, low=-1.4, high=1.4), padding_mode="reflection", align_corners=True),
    p("affine_grid", f(2, 2, 3), (2, 1, 3, 4), skip=KEPT),
    p("affine_grid", f(2, 3, 4), (2, 1, 3, 1, 4), align_corners=True, skip=KEPT),
    p("pixel_shuffle", f(2, 8, 3, 2), 2, ints=True),
    p("pixel_shuffle", f(9, 1, 2), 3),
    p("pixel_unshuffle", f(2, 2, 4, 6), 2, ints=True, skip=("zero_size",)),  # where PyTorch leaves the shape as it was
    S("channel_shuffle", f(2, 6, 3), 3, ints=True),
]
