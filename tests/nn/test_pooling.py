"""Pooling: modules and functions against PyTorch in every layout, ties and NaN, what is saved, and errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.backend import cpu
from autograd_gpu.core.tensor import Tensor

torch = pytest.importorskip("torch")


def laid(x: np.ndarray, order: str) -> np.ndarray:
    """The same numbers with the channels last in memory, or in a layout without any order."""
    if order == "channels last":
        axes = (0, *range(2, x.ndim), 1)
        return np.ascontiguousarray(x.transpose(axes)).transpose(np.argsort(axes))
    if order == "strided":
        wide = np.zeros([2 * n for n in x.shape], x.dtype)
        wide[tuple(slice(None, None, 2) for _ in x.shape)] = x
        return wide[tuple(slice(None, None, 2) for _ in x.shape)]
    return x.copy()


ORDERS = ["C", "channels last", "strided"]


def compare(ours, theirs, x: np.ndarray, order: str = "C", seed: int = 0) -> tuple[Tensor, Tensor]:
    """Values, indices and gradients of a call are PyTorch's; returns the output and the gradient."""
    a, b = Tensor(laid(x, order)).requires_grad_(), torch.tensor(x, requires_grad=True)
    out, expected = ours(a), theirs(b)
    if isinstance(expected, tuple):
        np.testing.assert_array_equal(out[1].array, expected[1].numpy())
        out, expected = out[0], expected[0]
    np.testing.assert_allclose(out.array, expected.detach().numpy(), 1e-5, 1e-6 if x.dtype == "float32" else 1e-12)
    w = np.random.default_rng(seed).normal(size=expected.shape).astype(x.dtype)
    (g,) = ag.autograd.grad([out], [a], [Tensor(w)])
    (e,) = torch.autograd.grad([expected], [b], [torch.tensor(w)])
    np.testing.assert_allclose(g.array, e.numpy(), 1e-5, 1e-6)
    return out, g


MODULES = [
    ("MaxPool1d", (2,), {}, (2, 3, 9)),
    ("MaxPool2d", ((3, 2),), {"stride": (2, 1), "padding": (1, 0), "ceil_mode": True}, (2, 3, 8, 7)),
    ("MaxPool2d", (2,), {}, (2, 3, 8, 7)),
    ("MaxPool3d", (2,), {"return_indices": True}, (1, 2, 4, 6, 5)),
    ("AvgPool1d", (2,), {"stride": 1}, (2, 3, 9)),
    ("AvgPool2d", (3,), {"stride": 2, "padding": 1, "count_include_pad": False}, (2, 3, 8, 7)),
    ("AvgPool3d", (2,), {"divisor_override": 3}, (1, 2, 4, 6, 5)),
    ("LPPool1d", (2, 3), {}, (2, 3, 9)),
    ("LPPool2d", (2, 2), {"stride": 1}, (2, 3, 5, 4)),
    ("LPPool3d", (3, 2), {}, (1, 2, 4, 4, 5)),
    ("AdaptiveAvgPool1d", (4,), {}, (2, 3, 9)),
    ("AdaptiveAvgPool2d", (1,), {}, (2, 3, 8, 7)),
    ("AdaptiveAvgPool2d", ((None, 3),), {}, (2, 3, 8, 7)),
    ("AdaptiveAvgPool3d", (2,), {}, (1, 2, 4, 6, 5)),
    ("AdaptiveMaxPool1d", (4,), {}, (2, 3, 9)),
    ("AdaptiveMaxPool2d", ((2, 3),), {"return_indices": True}, (2, 3, 8, 7)),
    ("AdaptiveMaxPool3d", (2,), {}, (1, 2, 4, 6, 5)),
]


@pytest.mark.parametrize("name, args, options, shape", MODULES, ids=[f"{m[0]}-{k}" for k, m in enumerate(MODULES)])
def test_modules(name: str, args: tuple, options: dict, shape: tuple[int, ...]) -> None:
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    assert repr(ours) == repr(theirs) and not list(ours.state_dict())
    public = {k: v for k, v in vars(theirs).items() if k[0] != "_"}
    assert {k: getattr(ours, k) for k in public} == public
    compare(ours, theirs, np.random.default_rng(1).uniform(0.1, 2, shape))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpooling(dims: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3) + (7,) * dims)
    pooled, indices = getattr(torch.nn.functional, f"max_pool{dims}d")(torch.tensor(x), 3, 2, 1, return_indices=True)
    ours, theirs = getattr(nn, f"MaxUnpool{dims}d")(3, 2, 1), getattr(torch.nn, f"MaxUnpool{dims}d")(3, 2, 1)
    assert repr(ours) == repr(theirs)
    for size in (None, (8,) * dims, (2, 3) + (6,) * dims):
        if size == (2, 3) + (6,) * dims:
            with pytest.raises(RuntimeError, match="invalid max index"):
                ours(Tensor(pooled.numpy()), Tensor(np.full(indices.shape, 6**dims)), size)
        else:
            at = Tensor(indices.numpy())
            compare(lambda t, s=size, at=at: ours(t, at, s), lambda t, s=size: theirs(t, indices, s), pooled.numpy())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kernel, stride, padding, dilation", [(2, 2, 0, 1), (3, 2, 1, 1), (2, 1, 0, 1), (2, 3, 1, 2)])
def test_ties_and_what_is_no_number(order: str, kernel: int, stride: int, padding: int, dilation: int) -> None:
    rng = np.random.default_rng(kernel + stride)
    for special, dtype, channels in itertools.product((0.0, np.nan, np.inf, -np.inf), ("float32", "float64"), (3, 5)):
        x = rng.integers(-1, 2, (2, channels, 8, 7)).astype(dtype)
        x[rng.random(x.shape) < 0.5] = special
        options = {"padding": padding, "dilation": dilation, "return_indices": True}
        compare(
            lambda t, o=options: ag.max_pool2d(t, kernel, stride, **o),
            lambda t, o=options: torch.nn.functional.max_pool2d(t, kernel, stride, **o),
            x,
            order,
        )


@pytest.mark.parametrize("order", ORDERS)
def test_layouts(order: str) -> None:
    """Results and gradients lie in memory as the input does."""
    x = np.random.default_rng(0).normal(size=(2, 16, 12, 8)).astype("float32")
    for name, kernel, options in itertools.product(("max_pool2d", "avg_pool2d"), (2, 3, 4), ({}, {"stride": 1, "padding": 1})):
        out, _ = compare(
            lambda t, n=name, k=kernel, o=options: getattr(ag, n)(t, k, **o),
            lambda t, n=name, k=kernel, o=options: getattr(torch.nn.functional, n)(t, k, **o),
            x,
            order,
        )
        assert (np.argsort(out.array.strides)[0] == 1) == (order == "channels last")
    windows = ((2, 2, 2, 0, 1, 6), (3, 2, 2, 0, 1, 4))
    out, offsets = cpu.max_pool(laid(x, order), windows=windows)
    back = cpu.max_pool_back(out.copy(), offsets, windows=windows, shape=x.shape)
    assert (np.argsort(back.strides)[0] == 1) == (order == "channels last")


@pytest.mark.parametrize("order", ORDERS)
def test_large_arrays(order: str) -> None:
    """Those go other ways than small ones: plane by plane, some at once."""
    x = np.random.default_rng(0).integers(-4, 5, (9, 16, 24, 26)).astype("float32")
    for kernel, options in ((2, {}), (3, {"stride": 2, "padding": 1}), (2, {"stride": 1}), ((3, 2), {"stride": 3}), (5, {})):
        compare(
            lambda t, k=kernel, o=options: ag.max_pool2d(t, k, **o),
            lambda t, k=kernel, o=options: torch.nn.functional.max_pool2d(t, k, **o),
            x,
            order,
        )
    for kernel, options in ((2, {}), (3, {"stride": 2, "padding": 1})):
        compare(
            lambda t, k=kernel, o=options: ag.max_pool1d(t, k, **o),
            lambda t, k=kernel, o=options: torch.nn.functional.max_pool1d(t, k, **o),
            x[..., 0].repeat(4, axis=0),
            order,
        )
        compare(
            lambda t, k=kernel, o=options: ag.max_pool3d(t, k, **o),
            lambda t, k=kernel, o=options: torch.nn.functional.max_pool3d(t, k, **o),
            x.reshape(9, 4, 4, 24, 26),
            order,
        )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "shape, kernel, stride", [((2, 3, 6, 6), 2, 2), ((8, 4, 32, 32), 2, 2), ((2, 3, 7, 7), 3, 2), ((2, 3, 9, 9), 2, 3)]
)
def test_an_infinite_gradient_goes_to_the_largest_alone(shape, kernel, stride, order: str) -> None:
    x = np.random.default_rng(0).permutation(int(np.prod(shape))).reshape(shape).astype(np.float32)
    a, b = Tensor(laid(x, order)).requires_grad_(), torch.tensor(x, requires_grad=True)
    ag.max_pool2d(a, kernel, stride).sum().mul(float("inf")).backward()
    torch.nn.functional.max_pool2d(b, kernel, stride).sum().mul(float("inf")).backward()
    np.testing.assert_array_equal(a.grad.array, b.grad.numpy())


@pytest.mark.parametrize("order", ORDERS)
def test_a_window_beyond_the_end_leaves_elements_between_its_own_at_zero(order: str) -> None:
    """One window with gaps, as long as the input: it has the first of two elements, and what lies behind them."""
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    filled = [np.full(x.shape, 7.0) for _ in range(8)]  # what memory that is not set would hold
    del filled
    options = {"kernel_size": 2, "dilation": 2, "ceil_mode": True}
    a, b = Tensor(laid(x, order)).requires_grad_(), torch.tensor(x, requires_grad=True)
    ag.max_pool2d(a, **options).sum().backward()
    torch.nn.functional.max_pool2d(b, **options).sum().backward()
    np.testing.assert_array_equal(a.grad.array, b.grad.numpy())


def test_integers() -> None:
    x = np.random.default_rng(0).integers(-9, 9, (2, 3, 7, 6))
    options = {"stride": 2, "padding": 1}
    ours, theirs = ag.max_pool2d(Tensor(x), 3, **options), torch.nn.functional.max_pool2d(torch.tensor(x), 3, **options)
    np.testing.assert_array_equal(ours.array, theirs)
    ours, theirs = ag.avg_pool2d(Tensor(x), 3, **options), torch.nn.functional.avg_pool2d(torch.tensor(x), 3, **options)
    np.testing.assert_array_equal(ours.array, theirs)
    assert ours.array.dtype == np.int64


@pytest.mark.parametrize("dtype", [ag.float16, ag.bfloat16])
def test_half_precision_is_rounded_once(dtype: np.dtype) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 9, 8)).astype("float32")
    half = ag.tensor(x).to(dtype)
    for f in (lambda t: ag.avg_pool2d(t, 3, 1, 1), lambda t: ag.max_pool2d(t, 3, 2)):
        np.testing.assert_array_equal(f(half).array, f(half.float()).to(dtype).array)


def test_a_byte_is_saved_for_each_window() -> None:
    x = ag.ones(4, 3, 8, 8, requires_grad=True)
    for kernel, kind in ((2, np.uint8), (4, np.uint8)):
        saved = [s for s in ag.max_pool2d(x, kernel).node.saved if isinstance(s, np.ndarray)]
        assert [(s.dtype, s.size) for s in saved] == [(kind, 4 * 3 * (8 // kernel) ** 2)]
    assert not any(isinstance(s, np.ndarray) for s in ag.avg_pool2d(x, 2).node.saved)
    big = ag.max_pool2d(ag.ones(1, 1, 20, 20, requires_grad=True), 20).node.saved
    assert [s.dtype for s in big if isinstance(s, np.ndarray)] == [np.int32]


ERRORS = [
    (lambda f, x: f.max_pool2d(x[0, 0], 2), "tensor.*expected|Expected.*tensor"),
    (lambda f, x: f.max_pool2d(x, 2, 0), "stride should not be zero"),
    (lambda f, x: f.max_pool2d(x, 2, 2, 2), "pad should be at most half of effective kernel size, but got pad=2, kernel_size=2"),
    (
        lambda f, x: f.max_pool2d(x, 5),
        "Given input size: .2x4x4.. Calculated output size: .2x0x0.. Output size is too small",
    ),
    (lambda f, x: f.max_pool2d(x, (2, 2, 2)), "max_pool2d: kernel_size must either be a single int, or a tuple of two ints"),
    (lambda f, x: f.max_pool2d(x, 2, dilation=0), "dilation should be greater than zero"),
    (lambda f, x: f.max_pool2d(x, 2, padding=-1), "pad must be non-negative, but got pad: -1"),
    (lambda f, x: f.max_pool2d(x[:, :, :0], 2), "Expected 3D or 4D .* for input, but got:.1, 2, 0, 4"),
    (lambda f, x: f.max_pool1d(x, 2), "Expected 2D or 3D .* for input, but got:.1, 2, 4, 4"),
    (lambda f, x: f.max_pool1d(x[0], 5), "Invalid computed output size: 0"),
    (lambda f, x: f.avg_pool2d(x, 2, divisor_override=0), "divisor must be not zero"),
    (
        lambda f, x: f.adaptive_avg_pool2d(x[:, :, :0], 2),
        "non-zero size for non-batch .* sizes .1, 2, 0, 4",
    ),
    (lambda f, x: f.adaptive_max_pool2d(x, (1, 1, 1)), "output_size.* must be 2"),
    (lambda f, x: f.adaptive_avg_pool2d(x, -1), "must be greater than or equal to 0 but received {-1, -1}"),
]


@pytest.mark.parametrize("call, words", ERRORS, ids=[str(k) for k in range(len(ERRORS))])
def test_errors(call, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        call(ag, ag.ones(1, 2, 4, 4))
    with pytest.raises(RuntimeError, match=words):
        call(torch.nn.functional, torch.ones(1, 2, 4, 4))


@pytest.mark.parametrize(
    "dims, shape, kernel, stride, padding, dilation",
    [
        (1, (1,), 2, 1, 1, 2),
        (2, (3, 3), (2, 1), (2, 1), (1, 0), (2, 1)),
        (2, (1, 1), (2, 2), (1, 1), (1, 1), (2, 2)),
        (3, (1, 3, 3), (2, 3, 1), (1, 1, 1), (1, 1, 0), (2, 2, 1)),
        (3, (1, 3, 3), (2, 3, 1), None, (1, 1, 0), (2, 2, 1)),
        (3, (2, 1, 1), (1, 2, 2), (1, 1, 1), (0, 1, 1), (1, 2, 2)),
    ],
)
def test_windows_that_lie_in_the_padding(dims, shape, kernel, stride, padding, dilation):
    """As a whole: they have no element, and the number that PyTorch gives them."""
    x = np.random.default_rng(0).normal(size=(1, 2, *shape))
    results = []
    for lib in (ag, torch):
        pool = getattr(lib.nn.functional, f"max_pool{dims}d")
        results.append(pool(lib.tensor(x), kernel, stride, padding, dilation, ceil_mode=True, return_indices=True))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    t = ag.tensor(x, requires_grad=True)
    out, _ = getattr(ag.nn.functional, f"max_pool{dims}d")(t, kernel, stride, padding, dilation, True, True)
    (g,) = ag.autograd.grad([out.clamp(min=-9) ** 2], [t], [ag.ones_like(out)], create_graph=True)
    ag.autograd.grad([g.sum()], [t])
