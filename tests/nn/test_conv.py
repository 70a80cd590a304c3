"""Modules of convolutions, and what samples do not show of the functions: errors, layouts, dtypes, what is computed."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.backend import cpu
from autograd_gpu.backend.cpu import columns
from autograd_gpu.backend.cpu import conv as words
from autograd_gpu.nn import functional as F

torch = pytest.importorskip("torch")

# (class, arguments, keywords, shape of the input)
MODULES = [
    ("Conv1d", (3, 4, 3), {}, (2, 3, 9)),
    ("Conv1d", (4, 6, 2), {"padding": "same", "groups": 2}, (2, 4, 9)),
    ("Conv2d", (3, 4, 3), {"padding": 1}, (2, 3, 6, 5)),
    ("Conv2d", (4, 4, (3, 2)), {"stride": (2, 1), "padding": (1, 0), "dilation": 2, "groups": 4, "bias": False}, (2, 4, 8, 9)),
    ("Conv2d", (2, 3, 3), {"padding": (1, 2), "padding_mode": "reflect"}, (2, 2, 6, 5)),
    ("Conv2d", (2, 3, 3), {"padding": 1, "padding_mode": "replicate"}, (2, 6, 5)),
    ("Conv2d", (2, 3, (4, 3)), {"padding": "same", "padding_mode": "circular"}, (2, 2, 6, 5)),
    ("Conv2d", (2, 3, 3), {"padding": "valid", "padding_mode": "circular"}, (2, 2, 6, 5)),
    ("Conv3d", (2, 3, 2), {"stride": 2}, (1, 2, 4, 5, 4)),
    ("ConvTranspose1d", (3, 4, 3), {"stride": 2, "padding": 1, "output_padding": 1}, (2, 3, 5)),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "groups": 2, "dilation": 2, "bias": False}, (2, 4, 3, 4)),
    ("ConvTranspose2d", (4, 3, 2), {"stride": 2}, (4, 3, 4)),
    ("ConvTranspose3d", (2, 3, 2), {}, (1, 2, 2, 3, 2)),
    ("Bilinear", (3, 3, 4), {}, (5, 3)),
]


def pair(name, args, kw):
    """Our module and PyTorch's, with the same parameters."""
    ours, theirs = getattr(nn, name)(*args, **kw), getattr(torch.nn, name)(*args, **kw)
    state = {k: ag.tensor(v.numpy()) for k, v in theirs.state_dict().items()}
    assert [(k, tuple(v.shape)) for k, v in ours.state_dict().items()] == [(k, tuple(v.shape)) for k, v in state.items()]
    ours.load_state_dict(state)
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    return ours, theirs


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("name", "args", "kw", "shape"), MODULES)
def test_modules_are_pytorchs(name, args, kw, shape):
    ours, theirs = pair(name, args, kw)
    assert repr(ours) == repr(theirs)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    a, b = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out, expected = (ours(a, a), theirs(b, b)) if name == "Bilinear" else (ours(a), theirs(b))
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), 1e-4, 1e-5)
    (out * out).sum().backward()
    (expected * expected).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), 1e-3, 1e-4)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), 1e-3, 1e-4)


@pytest.mark.parametrize(("name", "args", "kw", "shape"), MODULES)
def test_first_values_are_spread_as_pytorchs(name, args, kw, shape):
    layer, like = getattr(nn, name)(*args, **kw), getattr(torch.nn, name)(*args, **kw)
    for p, q in zip(layer.parameters(), like.parameters(), strict=True):
        bound = 1 / np.sqrt(args[0] if name == "Bilinear" else np.prod(like.weight.shape[1:]))
        assert np.abs(p.detach().numpy()).max() <= bound and q.detach().abs().max() <= bound
        assert p.numel() < 12 or np.abs(p.detach().numpy()).max() > 0.6 * bound


def test_output_size():
    ours, theirs = pair("ConvTranspose2d", (3, 2, 3), {"stride": 3})
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    for size in ((12, 14), (13, 12), (2, 2, 12, 12)):
        out, expected = ours(ag.tensor(x), output_size=size), theirs(torch.tensor(x), output_size=size)
        np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), 1e-4, 1e-5)
    with pytest.raises(ValueError, match=r"requested an output size of \(20, 20\), but valid sizes range from \[12, 12\]"):
        ours(ag.tensor(x), output_size=(20, 20))
    with pytest.raises(ValueError, match="must have 2 or 4 elements"):
        ours(ag.tensor(x), output_size=(12,))


def test_unfold_and_fold_modules():
    for name, args, shape in (("Unfold", ((2, 3), 1, 1, 2), (2, 3, 5, 6)), ("Fold", ((4, 5), 2), (2, 12, 12))):
        ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
        x = np.random.default_rng(0).normal(size=shape)
        assert repr(ours) == repr(theirs)
        np.testing.assert_allclose(ours(ag.tensor(x)).numpy(), theirs(torch.tensor(x)).numpy())


def z(*shape):
    return ag.zeros(shape)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: F.conv2d(z(1, 2, 5, 5), z(4, 3, 3, 3)),
            r"Given groups=1, weight of size \[4, 3, 3, 3\], expected input\[1, 2, 5, 5\] to have 3 channels, but got 2 channels",
        ),
        (
            lambda: F.conv2d(z(1, 2), z(4, 3, 3, 3)),
            r"Expected 3D \(unbatched\) or 4D \(batched\) input to conv2d.*size: \[1, 2\]",
        ),
        (
            lambda: F.conv2d(z(1, 2, 2, 2), z(4, 2, 3, 3)),
            r"padded input size per channel: \(2 x 2\). Kernel size: \(3 x 3\). Kernel size can't be greater than actual input",
        ),
        (lambda: F.conv2d(z(1, 4, 5, 5), z(5, 2, 3, 3), groups=2), "expected weight to be divisible by 2 at dimension 0"),
        (lambda: F.conv2d(z(1, 4, 5, 5), z(1, 2, 3, 3), groups=2), "expected weight to be at least 2 at dimension 0"),
        (lambda: F.conv2d(z(1, 4, 5, 5), z(4, 4, 3, 3), z(3)), r"bias to be 1-dimensional with 4 elements.*size \[3\]"),
        (lambda: F.conv2d(z(1, 4, 5, 5), z(4, 4, 3, 3), stride=(1, 2, 3)), "expected stride to be .* a list of 2 values"),
        (lambda: F.conv2d(z(1, 4, 5, 5), z(4, 4, 3, 3), stride=0), "non-positive stride"),
        (lambda: F.conv2d(z(1, 4, 5, 5), z(4, 4, 3, 3), padding=-1), "negative padding"),
        (lambda: F.conv2d(z(1, 4, 5, 5), z(4, 4, 3, 3), padding="same", stride=2), "not supported for strided"),
        (lambda: F.conv2d(z(1, 4, 5, 5), z(4, 4, 3, 3), padding="foo"), "Invalid padding string: 'foo'"),
        (lambda: F.conv2d(z(1, 4, 5, 5), z(4, 4, 3, 3).double()), "should be the same"),
        (lambda: F.conv2d(z(1, 4, 5, 5), z(4, 4, 3, 3), z(4).double()), r"bias type \(float64\) should be the same"),
        (lambda: F.conv2d(z(1, 4, 5, 5).long(), z(4, 4, 3, 3).long()), "not implemented for int64"),
        (lambda: F.conv_transpose2d(z(1, 2, 5, 5), z(4, 3, 3, 3)), "Given transposed=1.* to have 4 channels, but got 2"),
        (lambda: F.conv_transpose2d(z(1, 4, 5, 5), z(4, 3, 3, 3), output_padding=1), "smaller than either stride or dilation"),
        (lambda: F.conv_transpose2d(z(1, 4, 1, 1), z(4, 3, 1, 1), padding=1), r"output size per channel: \(-1 x -1\)"),
        (lambda: F.unfold(z(1, 2, 3, 3), 4), "calculated shape of the array of sliding blocks as"),
        (lambda: F.fold(z(1, 7, 4), (3, 3), 2), "divisible by the product of kernel_size"),
        (lambda: F.fold(z(1, 8, 5), (3, 3), 2), r"sliding blocks 2 \* 2 = 4"),
        (lambda: F.bilinear(z(5, 2), z(5, 3), z(4, 2, 4)), "input2 size does not match weight size: got 3 but expected 4"),
    ],
)
def test_errors(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "in_channels must be divisible by groups"),
        (lambda: nn.Conv2d(4, 3, 3, groups=2), "out_channels must be divisible by groups"),
        (lambda: nn.Conv2d(4, 4, 3, padding="x"), "Invalid padding string 'x'"),
        (lambda: nn.Conv2d(4, 4, 3, padding="same", stride=2), "not supported for strided"),
        (lambda: nn.Conv2d(4, 4, 3, padding_mode="x"), "padding_mode must be one of"),
        (lambda: nn.ConvTranspose2d(4, 4, 3, padding_mode="reflect"), 'Only "zeros" padding mode'),
        (lambda: nn.Bilinear(0, 3, 4), "in1_features must be > 0"),
    ],
)
def test_modules_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_no_images():
    x, w = ag.zeros(0, 3, 5, 5, requires_grad=True), ag.ones(4, 3, 3, 3, requires_grad=True)
    out = F.conv2d(x, w, padding=1)
    assert out.shape == (0, 4, 5, 5)
    out.sum().backward()
    assert x.grad.shape == x.shape and w.grad.abs().sum().item() == 0
    assert F.conv_transpose2d(ag.zeros(0, 3, 5, 5), ag.ones(3, 2, 3, 3), stride=2).shape == (0, 2, 11, 11)


@pytest.mark.parametrize("dtype", [ag.float16, ag.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    rng = np.random.default_rng(0)
    x, w, b = (ag.tensor(rng.normal(size=s)).to(dtype) for s in ((2, 40, 9, 9), (8, 40, 3, 3), (8,)))
    for t in (x, w, b):
        t.requires_grad_()
    wide = [t.detach().float().requires_grad_() for t in (x, w, b)]
    out, expected = F.conv2d(x, w, b, padding=1), F.conv2d(*wide, padding=1)
    assert out.dtype == dtype and ag.equal(out.detach(), expected.detach().to(dtype))
    out.sum().backward()
    expected.sum().backward()
    for t, e in zip((x, w), wide, strict=False):  # the gradient of the sum is exact: one rounding is left
        assert t.grad.dtype == dtype and ag.equal(t.grad, e.grad.to(dtype))


def test_channels_lie_next_to_each_other_from_one_to_the_next():
    x = ag.randn(2, 3, 8, 8)
    out = F.relu(F.conv2d(x, ag.randn(16, 3, 3, 3)))
    assert out.stride() == (6 * 6 * 16, 1, 6 * 16, 16)
    assert out.view(2, -1).shape == (2, 16 * 36)  # as scripts do that were written for another layout
    np.testing.assert_array_equal(out.view(2, -1).numpy(), out.numpy().reshape(2, -1))


def test_what_is_not_needed_is_not_computed(monkeypatch):
    def never(*args, **kw):
        raise AssertionError("the gradient of the input was computed")

    monkeypatch.setattr(words, "_inputs", never)
    monkeypatch.setattr(words, "_both", never)
    w, b = ag.randn(4, 3, 3, 3, requires_grad=True), ag.randn(4, requires_grad=True)
    F.conv2d(ag.randn(2, 3, 8, 8), w, b).sum().backward()
    assert w.grad is not None and b.grad is not None


OPTIONS = [  # shapes of x and weight, options
    ((3, 5, 9, 8), (4, 5, 3, 3), {"padding": (1, 1)}),
    ((3, 1, 9, 8), (4, 1, 3, 3), {"padding": (2, 1)}),
    ((3, 4, 9, 8), (4, 1, 3, 2), {"stride": (2, 1), "groups": 4}),
    ((2, 4, 9, 7), (6, 2, 3, 3), {"stride": (2, 3), "padding": (0, 4), "dilation": (2, 1), "groups": 2}),
    ((7, 6, 4, 5), (3, 6, 1, 1), {}),
    ((3, 2, 8, 8), (3, 2, 2, 2), {"stride": (2, 2)}),
    ((4, 2, 40), (3, 2, 3), {"dilation": (3,)}),
    ((1, 3, 5, 4, 6), (2, 3, 3, 3, 3), {"padding": (1, 1, 1)}),
]


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize(("x", "w", "options"), OPTIONS)
def test_blocks_change_nothing(monkeypatch, x, w, options, small):
    """Blocks of all sizes, down to single lines, and products in parts give what one of everything gives."""
    rng = np.random.default_rng(0)
    d = len(x) - 2
    kw = {"stride": (1,) * d, "padding": (0,) * d, "dilation": (1,) * d, "groups": 1} | options
    a, k, b = rng.normal(size=x), rng.normal(size=w), rng.normal(size=w[0])
    results = []
    for block, rows, most in ((1 << 30, 384, 1), (1, 5, 300 if small else 10**9), (1, 1, 10**6), (2000, 40, 10**6)):
        for name, value in (("_BLOCK", block), ("_ROWS", rows), ("_SMALL", most)):
            monkeypatch.setattr(columns, name, value)
        columns._parts.cache_clear()
        monkeypatch.setattr(words, "_quicker_laid_down", lambda g, filters, *_: len(filters) == 1 and len(results) % 2 == small)
        out = cpu.convolution(a, k, b, **kw)
        g = np.cos(np.arange(out.size, dtype=float)).reshape(out.shape)
        results.append((out, cpu.convolution_input(g, k, None, shape=x, **kw), cpu.convolution_weight(g, a, shape=w, **kw)))
        _, backward = cpu.fused["convolution"]
        saved = {"x": a, "weight": k, "x_shape": x, "weight_shape": w, "bias_shape": b.shape}
        fused = backward(cpu, g, ("x", "weight", "bias"), **saved, **kw)
        for have, want in zip(fused, (*results[-1][1:], g.sum(axis=(0, *range(2, g.ndim)))), strict=True):
            np.testing.assert_allclose(have, want, 1e-9, 1e-9)
    columns._parts.cache_clear()
    for other in results[1:]:
        for have, want in zip(other, results[0], strict=True):
            np.testing.assert_allclose(have, want, 1e-9, 1e-9)


def test_every_layout_of_the_arrays_gives_the_same():
    rng = np.random.default_rng(0)
    kw = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    x, w = rng.normal(size=(3, 6, 7, 8)), rng.normal(size=(4, 6, 3, 3))
    g = rng.normal(size=(3, 4, 7, 8))

    def layouts(a):
        return [
            a,
            np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1),
            np.repeat(a, 2, axis=3)[..., ::2],
            np.ascontiguousarray(a[::-1])[::-1],
            np.asfortranarray(a),
        ]

    expected = [cpu.convolution(x, w, **kw), cpu.convolution_input(g, w, shape=x.shape, **kw)]
    expected.append(cpu.convolution_weight(g, x, shape=w.shape, **kw))
    for a, b, k in zip(layouts(x), layouts(g)[::-1], layouts(w), strict=True):
        np.testing.assert_allclose(cpu.convolution(a, k, **kw), expected[0], 1e-12, 1e-12)
        np.testing.assert_allclose(cpu.convolution_input(b, k, shape=x.shape, **kw), expected[1], 1e-12, 1e-12)
        np.testing.assert_allclose(cpu.convolution_weight(b, a, shape=w.shape, **kw), expected[2], 1e-12, 1e-12)
    constant = np.broadcast_to(np.ones(()), g.shape)  # what the gradient of a sum is
    np.testing.assert_allclose(
        cpu.convolution_weight(constant, x, shape=w.shape, **kw), cpu.convolution_weight(constant.copy(), x, shape=w.shape, **kw)
    )
