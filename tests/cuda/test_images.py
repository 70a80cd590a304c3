"""Pooling, resampling and sampling on a CUDA device: values, indices and gradients are the CPU's, and repeat bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import autograd_gpu as ag

CALLS: dict[str, tuple[tuple[int, ...], Callable]] = {
    "max_pool1d": ((2, 3, 9), lambda x: ag.max_pool1d(x, 3, 2, 1, return_indices=True)),
    "max_pool2d": ((2, 3, 8, 7), lambda x: ag.max_pool2d(x, 2)),
    "max_pool2d overlapping": ((2, 3, 8, 7), lambda x: ag.max_pool2d(x, 3, 2, 1, return_indices=True)),
    "max_pool3d": ((1, 2, 4, 6, 5), lambda x: ag.max_pool3d(x, (3, 2, 2), 2, (1, 0, 1), ceil_mode=True, return_indices=True)),
    "avg_pool2d": ((2, 3, 8, 7), lambda x: ag.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    "avg_pool3d": ((1, 2, 4, 6, 5), lambda x: ag.avg_pool3d(x, 2, 1, divisor_override=3)),
    "adaptive_avg_pool2d": ((2, 3, 8, 7), lambda x: ag.adaptive_avg_pool2d(x, (3, 2))),
    "adaptive_max_pool2d": ((2, 3, 8, 7), lambda x: ag.adaptive_max_pool2d(x, (3, 2), return_indices=True)),
    "max_unpool2d": ((2, 3, 8, 6), lambda x: ag.max_unpool2d(*ag.max_pool2d(x, 2, return_indices=True), 2)),
    "nearest": ((1, 2, 4, 5), lambda x: ag.interpolate(x, (7, 8))),
    "nearest, twice": ((1, 2, 4, 5), lambda x: ag.interpolate(x, scale_factor=2)),
    "bilinear": ((1, 2, 4, 5), lambda x: ag.interpolate(x, (7, 3), mode="bilinear", align_corners=True)),
    "bicubic": ((1, 2, 4, 5), lambda x: ag.interpolate(x, scale_factor=1.7, mode="bicubic")),
    "pixel_shuffle": ((1, 8, 3, 2), lambda x: ag.pixel_shuffle(x, 2)),
}


def of(x: np.ndarray, call: Callable, device: str) -> list[np.ndarray]:
    """The results of a call, its gradient and the gradient of that, as NumPy arrays."""
    t = ag.tensor(x, device=device, requires_grad=True)
    outs = call(t)
    outs = list(outs) if isinstance(outs, tuple) else [outs]
    w = ag.ones_like(outs[0]).requires_grad_()
    (g,) = ag.autograd.grad([outs[0] * outs[0]], [t], [w], create_graph=True)
    (second,) = ag.autograd.grad([(g * g).sum()], [t])
    assert all(str(y.device).startswith(device) for y in (*outs, g, second))
    return [y.detach().cpu().numpy() for y in (*outs, g, second)]


@pytest.mark.parametrize("name", CALLS)
def test_as_on_the_cpu(name: str) -> None:
    shape, call = CALLS[name]
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    found, again, wanted = of(x, call, "cuda"), of(x, call, "cuda"), of(x, call, "cpu")
    for a, b, c in zip(found, again, wanted, strict=True):
        assert a.tobytes() == b.tobytes() and a.dtype == c.dtype
        np.testing.assert_allclose(a, c, 1e-4, 1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_sampling(mode: str) -> None:
    rng = np.random.default_rng(0)
    x, theta = rng.normal(size=(2, 3, 4, 5)).astype("float32"), rng.normal(size=(2, 2, 3)).astype("float32")
    results = []
    for device in ("cuda", "cpu"):
        image, map = (ag.tensor(a, device=device, requires_grad=True) for a in (x, theta))
        out = ag.grid_sample(image, ag.affine_grid(map, (2, 3, 6, 4)), mode=mode, padding_mode="reflection")
        grads = ag.autograd.grad([out.square().sum()], [image, map], materialize_grads=True)
        results.append([t.detach().cpu().numpy() for t in (out, *grads)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, 1e-4, 1e-4)
