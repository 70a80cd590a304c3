"""Scaled dot product attention. What is dropped is random, so dropout is tested in tests/nn/test_attention.py."""

from __future__ import annotations

from . import S, b, f


def attention(*args, **kw):
    return S("nn.functional.scaled_dot_product_attention", *args, **kw)


SAMPLES = [
    attention(f(2, 3, 5, 4), f(2, 3, 6, 4), f(2, 3, 6, 2)),
    attention(f(2, 5, 4), f(2, 5, 4), f(2, 5, 3), is_causal=True),
    attention(f(2, 5, 4), f(2, 7, 4), f(2, 7, 4), is_causal=True),
    attention(f(7, 4), f(5, 4), f(5, 3), is_causal=True, scale=0.3),
    attention(f(2, 3, 5, 4), f(2, 3, 6, 4), f(2, 3, 6, 2), b(2, 3, 5, 6)),
    attention(f(2, 3, 5, 4), f(2, 3, 6, 4), f(2, 3, 6, 2), b(5, 6), scale=1.5),
    attention(f(2, 3, 5, 4), f(2, 3, 6, 4), f(2, 3, 6, 2), f(3, 5, 6)),
    attention(f(2, 3, 5, 4), f(2, 3, 6, 4), f(2, 3, 6, 2), f(1, 6, grad=False)),
    attention(f(3, 5, 4), f(2, 1, 6, 4), f(3, 6, 2), skip=("zero_size",)),  # PyTorch forgets the batch where there are no keys
    # PyTorch divides by no heads
    attention(f(2, 4, 5, 3), f(2, 2, 6, 3), f(2, 2, 6, 3), enable_gqa=True, skip=("zero_size",)),
    attention(f(2, 4, 5, 3), f(2, 2, 6, 3), f(2, 1, 6, 3), b(2, 4, 5, 6), enable_gqa=True, skip=("zero_size",)),
    # exponentials that overflow if the largest score is not subtracted
    attention(f(2, 5, 4, low=-30, high=30), f(2, 6, 4, low=-30, high=30), f(2, 6, 3), tolerance=1e-6, second=False),
]
