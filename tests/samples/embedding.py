"""Rows of tables."""

from __future__ import annotations

from . import S, f, i

F = "nn.functional."
TABLE = f(7, 3)


def e(*args, **kw):
    """A sample of `embedding`."""
    return S("embedding", *args, torch=F + "embedding", **kw)


def bag(*args, **kw):
    """A sample of `embedding_bag`."""
    return S("embedding_bag", *args, torch=F + "embedding_bag", **kw)


# The gradient that padding does not get, and that which is divided by how often a row is wanted, are no derivatives.
CHANGED = {"skip": ("zero_size", "gradient_against_differences", "tangent_by_two_gradients"), "second": False}
BAGS = {"skip": ("zero_size",), "second": False}  # PyTorch refuses some bags of nothing, and second derivatives
SAMPLES = [
    e(i(5, high=7), TABLE),
    e(i(2, 3, high=7), TABLE),
    e(i(high=7), TABLE),
    e(i(2, 9, high=7), TABLE, padding_idx=3, **CHANGED),
    e(i(2, 9, high=7), TABLE, padding_idx=-1, **CHANGED),
    e(i(2, 9, high=7), TABLE, scale_grad_by_freq=True, **CHANGED),
    e(i(4, 6, high=7), f(7, 4), padding_idx=0, scale_grad_by_freq=True, **CHANGED),
    bag(i(4, 5, high=7), TABLE, mode="sum", **BAGS),
    bag(i(4, 5, high=7), TABLE, **BAGS),
    bag(i(4, 5, high=7), TABLE, mode="max", **BAGS),
    bag(i(4, 5, high=7), TABLE, mode="sum", padding_idx=2, **BAGS),
    bag(i(4, 5, high=7), TABLE, padding_idx=2, **BAGS),
    bag(i(4, 5, high=7), TABLE, mode="max", padding_idx=2, **BAGS),
    bag(i(4, 5, high=7), TABLE, mode="sum", per_sample_weights=f(4, 5), **BAGS),
    bag(i(9, high=7), TABLE, per_sample_weights=f(9), mode="sum", offsets=i(1, high=1), **BAGS),
]
