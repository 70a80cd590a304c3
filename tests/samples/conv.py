"""Convolutions, sliding blocks, bilinear forms."""

from __future__ import annotations

from . import S, f

F = "nn.functional."
# PyTorch's convolution of nothing has other channels than the weight says, and its bilinear form refuses some of what is empty:
# tests/nn/test_conv.py has what makes sense of it
ODD = ("zero_size",)


def conv(d, *args, **kw):
    return S(f"conv{d}d", *args, torch=f"{F}conv{d}d", skip=ODD, **kw)


def transpose(d, *args, **kw):
    return S(f"conv_transpose{d}d", *args, torch=f"{F}conv_transpose{d}d", skip=ODD, **kw)


def pooled(torch, x, weight, bias, padding):
    functional = torch.nn.functional
    return functional.max_pool2d(functional.relu(functional.conv2d(x, weight, bias, padding=padding)), 2)


def conv_pool(*args):
    return S("ops.conv_pool.conv_relu_pool", *args, torch=pooled, skip=ODD)


SAMPLES = [
    conv(1, f(2, 3, 8), f(4, 3, 3)),
    conv(1, f(2, 4, 9), f(6, 2, 3), f(6), stride=2, padding=1, dilation=2, groups=2),
    conv(1, f(3, 8), f(2, 3, 4), f(2), padding="same"),
    conv(1, f(2, 1, 30), f(5, 1, 3), f(5)),  # columns instead of rows
    conv(2, f(2, 3, 5, 6), f(4, 3, 2, 3)),
    conv(2, f(2, 3, 5, 6), f(4, 3, 3, 3), f(4), padding=1),
    conv(2, f(2, 5, 4, 4), f(3, 5, 1, 1), f(3)),
    conv(2, f(2, 7, 6, 5), f(2, 7, 3, 3), f(2), stride=(2, 1), padding=(1, 2)),  # rows
    conv(2, f(1, 4, 7, 7), f(6, 2, 3, 2), f(6), stride=2, padding=(1, 0), dilation=(2, 1), groups=2),
    conv(2, f(2, 3, 6, 6), f(3, 1, 3, 3), f(3), padding=1, groups=3),  # a filter for each channel
    conv(2, f(2, 3, 6, 6), f(6, 1, 2, 2), f(6), stride=2, groups=3),
    conv(2, f(2, 3, 6, 6), f(4, 3, 2, 2), f(4), stride=2),  # windows side by side
    conv(2, f(3, 5, 5), f(2, 3, 2, 2), f(2), padding="same", dilation=2),
    conv(2, f(3, 5, 5), f(2, 3, 3, 3), padding="valid"),
    conv(3, f(1, 2, 4, 3, 5), f(3, 2, 2, 2, 3), f(3), padding=(1, 0, 1), stride=(1, 1, 2)),
    conv_pool(f(2, 1, 6, 7), f(3, 1, 3, 3), f(3), (1, 1)),
    conv_pool(f(2, 6, 5, 6), f(4, 6, 3, 3), f(4), (1, 1)),
    conv_pool(f(2, 7, 5, 6), f(2, 7, 2, 3), None, (0, 1)),
    transpose(1, f(2, 3, 5), f(3, 2, 3), f(2), stride=2, padding=1, output_padding=1),
    transpose(1, f(3, 5), f(3, 2, 4)),
    transpose(1, f(2, 3, 4), f(3, 2, 3), dilation=3, output_padding=2),
    transpose(2, f(2, 3, 4, 3), f(3, 4, 2, 2), f(4), stride=2),
    transpose(2, f(2, 4, 4, 3), f(4, 3, 3, 3), f(6), stride=2, padding=1, output_padding=1, groups=2),
    transpose(2, f(2, 3, 4, 4), f(3, 1, 4, 4), f(3), stride=2, padding=1, groups=3),
    transpose(2, f(1, 3, 3, 3), f(3, 2, 2, 2), f(2), stride=(3, 1), dilation=(1, 2)),
    transpose(3, f(1, 2, 2, 3, 2), f(2, 3, 2, 2, 2), f(3), stride=(1, 2, 2)),
    S("nn.functional.unfold", f(2, 3, 5, 6), (2, 3)),
    S("nn.functional.unfold", f(3, 6, 5), 2, dilation=2, padding=(1, 0), stride=(1, 2)),
    S("nn.functional.fold", f(2, 12, 12), (4, 5), 2),
    S("nn.functional.fold", f(8, 6), (5, 4), 2, dilation=(2, 1), padding=(1, 0), stride=2),
    S("bilinear", f(4, 3), f(4, 2), f(5, 3, 2), f(5), skip=ODD),
    S("bilinear", f(2, 4, 3), f(2, 4, 2), f(5, 3, 2), skip=ODD),
]
