"""Resampling, padding and pixel modules against PyTorch; positions for sizes and factors that do not divide."""

from __future__ import annotations

import random

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.core.tensor import Tensor

torch = pytest.importorskip("torch")
F = torch.nn.functional


def compare(ours, theirs, x: np.ndarray, tolerance: float = 1e-10) -> None:
    """Values and gradients of a call are PyTorch's."""
    a, b = Tensor(x.copy()).requires_grad_(), torch.tensor(x, requires_grad=True)
    out, expected = ours(a), theirs(b)
    np.testing.assert_allclose(out.array, expected.detach().numpy(), tolerance, tolerance)
    assert out.array.dtype == x.dtype
    w = np.random.default_rng(0).normal(size=expected.shape).astype(x.dtype)
    (g,), (e,) = ag.autograd.grad([out], [a], [Tensor(w)]), torch.autograd.grad([expected], [b], [torch.tensor(w)])
    np.testing.assert_allclose(g.array, e.numpy(), tolerance, tolerance * max(1, abs(e).max()))


PADS = [
    (f"{kind}Pad{dims}d", dims) for kind in ("Constant", "Zero", "Reflection", "Replication", "Circular") for dims in (1, 2, 3)
]
MODULES = [
    ("Upsample", (), {"scale_factor": 2}, (2, 3, 4)),
    ("Upsample", ((3, 5),), {"mode": "bilinear", "align_corners": True}, (2, 3, 4, 4)),
    ("Upsample", (), {"scale_factor": (2, 3), "mode": "bicubic"}, (2, 3, 4, 4)),
    ("Upsample", (), {"scale_factor": 1.7, "mode": "trilinear", "recompute_scale_factor": True}, (1, 2, 3, 4, 4)),
    ("UpsamplingNearest2d", (), {"scale_factor": 3}, (1, 2, 3, 4)),
    ("UpsamplingBilinear2d", (7,), {}, (1, 2, 3, 4)),
    ("PixelShuffle", (2,), {}, (2, 8, 3, 2)),
    ("PixelUnshuffle", (2,), {}, (2, 3, 4, 6)),
    ("ChannelShuffle", (3,), {}, (2, 6, 4, 2)),
    *[(name, (1, 2.5) if name.startswith("Constant") else (2,), {}, (2, 2) + (4,) * dims) for name, dims in PADS],
    ("ZeroPad2d", ((1, 2, 0, 3),), {}, (2, 3, 4, 5)),
    ("ReflectionPad2d", ((1, 2, 0, 3),), {}, (3, 4, 5)),
    ("ConstantPad1d", ((3, -1), 1), {}, (2, 4)),
]


@pytest.mark.parametrize("name, args, options, shape", MODULES, ids=[f"{m[0]}-{k}" for k, m in enumerate(MODULES)])
def test_modules(name: str, args: tuple, options: dict, shape: tuple[int, ...]) -> None:
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    assert repr(ours) == repr(theirs) and not list(ours.state_dict())
    public = {k: v for k, v in vars(theirs).items() if k[0] != "_" and k != "value"}
    assert {k: getattr(ours, k) for k in public} == public
    compare(ours, theirs, np.random.default_rng(1).uniform(-2, 2, shape))


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "linear"])
@pytest.mark.parametrize("dtype, tolerance", [("float32", 3e-5), ("float64", 1e-10)])
def test_positions_of_every_size(mode: str, dtype: str, tolerance: float) -> None:
    """The nearest element depends on the last digit of where an element lies: it is PyTorch's for all sizes."""
    for n in (1, 2, 3, 5, 7, 10, 49, 97):
        x = np.random.default_rng(n).normal(size=(1, 1, n)).astype(dtype)
        for m in (1, 2, 3, 4, 7, 10, 11, 20, 49, 63, 98, 128, 343):
            compare(lambda t, m=m: ag.interpolate(t, m, mode=mode), lambda t, m=m: F.interpolate(t, m, mode=mode), x, tolerance)


FACTORS = [2, 3, 1.3, 0.7, 2.6, 0.51, 1 / 3, 1 / 7]


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
def test_factors(mode: str) -> None:
    """A factor that does not divide is used as it is, unless it is to be computed again from the sizes."""
    draw = random.Random(0)
    done = 0
    while done < 25:
        shape = (2, 3, draw.randint(2, 10), draw.randint(2, 10))
        factors = draw.choice(FACTORS), draw.choice(FACTORS)
        sizes = [int(n * s) for n, s in zip(shape[2:], factors, strict=True)]
        if 0 in sizes or any(m == n for m, n in zip(sizes, shape[2:], strict=True)):
            continue  # where a size stays as it is, PyTorch's gradients are not those of what it computes
        options = {"scale_factor": factors, "mode": mode, "recompute_scale_factor": draw.choice([None, True, False])}
        if mode[:2] == "bi":
            options["align_corners"] = draw.choice([True, False])
        x = np.random.default_rng(done).normal(size=shape)
        compare(lambda t, o=options: ag.interpolate(t, **o), lambda t, o=options: F.interpolate(t, **o), x)
        done += 1


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialias(mode: str) -> None:
    x = np.random.default_rng(0).normal(size=(1, 2, 13, 11))
    for size in ((5, 4), (2, 20), (20, 3), (13, 5)):
        options = {"size": size, "mode": mode, "antialias": True}
        compare(lambda t, o=options: ag.interpolate(t, **o), lambda t, o=options: F.interpolate(t, **o), x)


def test_bytes() -> None:
    x = np.random.default_rng(0).integers(0, 255, (1, 3, 4, 5)).astype(np.uint8)
    for size in ((8, 10), (3, 7)):
        np.testing.assert_array_equal(ag.interpolate(Tensor(x), size).array, F.interpolate(torch.tensor(x), size))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("align", [True, False])
def test_bytes_are_mixed_in_whole_numbers(mode: str, antialias: bool, align: bool) -> None:
    rng = np.random.default_rng(0)
    options = {"mode": mode, "antialias": antialias, "align_corners": align}
    for shape in ((7, 9), (11, 11), (1, 5), (2, 28)):
        x = rng.integers(0, 256, (2, 3, *shape)).astype(np.uint8)
        for given in ((14, 18), (3, 4), (5, 20), shape, (1, 6), 1.3, 0.7):
            how = {"size": given} if isinstance(given, tuple) else {"scale_factor": given}
            if isinstance(given, float) and min(shape) * given < 1:
                continue
            found = ag.interpolate(Tensor(x), **how, **options).array
            expected = F.interpolate(torch.tensor(x), **how, **options).numpy()
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, expected, f"{shape} {given}")
    for f, lib in ((nn.functional, ag), (F, torch)):
        with pytest.raises(NotImplementedError, match="linear"):
            f.interpolate(lib.ones(1, 1, 4, dtype=lib.uint8), 3, mode="linear")
        with pytest.raises(NotImplementedError):
            f.interpolate(lib.ones(1, 1, 4, 4, dtype=lib.int64), 3, mode="bilinear")


def test_old_names_of_interpolate() -> None:
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 4))
    for name in ("upsample", "upsample_nearest", "upsample_bilinear"):
        for options in ({"size": (5, 6)}, {"scale_factor": 2}):
            with pytest.warns(UserWarning, match=f"`nn.functional.{name}` is deprecated") as caught:
                found = getattr(nn.functional, name)(Tensor(x), **options)
                expected = getattr(F, name)(torch.tensor(x), **options)
            assert caught[0].filename == __file__ and str(caught[0].message) == str(caught[1].message)
            np.testing.assert_allclose(found.array, expected, 1e-12)


def test_sampling_where_nothing_is() -> None:
    """What lies outside has no part in a result, not even as NaN times zero."""
    x = np.array([[[[1.0, np.nan]]]])
    grid = np.array([[[[5.0, 0.0], [-5.0, 0.0], [0.9, 0.0]]]])
    found = ag.grid_sample(Tensor(x), Tensor(grid)).array
    np.testing.assert_array_equal(found, F.grid_sample(torch.tensor(x), torch.tensor(grid), align_corners=False))
    np.testing.assert_array_equal(found, [[[[0.0, 0.0, np.nan]]]])


def test_the_identity_reads_the_image_itself() -> None:
    x = ag.tensor(np.random.default_rng(0).normal(size=(2, 3, 5, 4)))
    theta = ag.tensor(np.array([[[1.0, 0, 0], [0, 1, 0]]] * 2))
    for align in (True, False):
        grid = ag.affine_grid(theta, (2, 3, 5, 4), align_corners=align)
        np.testing.assert_allclose(ag.grid_sample(x, grid, align_corners=align).array, x.array, 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("align", [True, False])
def test_every_bit_of_the_grid_of_the_identity(dtype: str, align: bool) -> None:
    """The grid lies on the kinks of what is sampled with it."""
    identity = [[[1.0, 0, 0], [0, 1, 0]]]
    for n in (*range(2, 40), 64, 224):
        ours = ag.affine_grid(ag.tensor(identity, dtype=dtype), (1, 1, n, 3), align)
        theirs = F.affine_grid(torch.tensor(identity, dtype=getattr(torch, dtype)), (1, 1, n, 3), align)
        if dtype == "bfloat16":
            ours, theirs = ours.float(), theirs.float()
        assert ours.numpy().tobytes() == theirs.numpy().tobytes(), n
    assert ag.affine_grid(ag.tensor(identity, dtype=dtype), (1, 1, 1, 1), align).tolist() == [[[[0, 0]]]]


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("n", [7, 14, 28])
def test_a_spatial_transformer_begins_as_in_torch(n: int, align: bool) -> None:
    rng = np.random.default_rng(0)
    image, w = rng.normal(size=(2, 2, 1, n, n)).astype("float32")
    grads = []
    for lib, f in ((ag, nn.functional), (torch, F)):
        theta = lib.tensor([[[1.0, 0, 0], [0, 1, 0]]] * 2, requires_grad=True)
        grid = f.affine_grid(theta, image.shape, align_corners=align)
        (f.grid_sample(lib.tensor(image), grid, align_corners=align) * lib.tensor(w)).sum().backward()
        grads.append(theta.grad.numpy())
    np.testing.assert_allclose(*grads, 1e-5, 1e-5 * abs(grads[1]).max())


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_a_grid_of_which_the_nearest_is_taken_has_a_gradient_of_zeros(padding: str) -> None:
    rng = np.random.default_rng(0)
    image, grid = rng.normal(size=(1, 2, 3, 4)), rng.uniform(-2, 2, (1, 5, 2, 2))
    grid[0, 0, 0] = 50
    compare(
        lambda t: ag.grid_sample(Tensor(image), t, "nearest", padding, False),
        lambda t: F.grid_sample(torch.tensor(image), t, "nearest", padding, False),
        grid,
    )
    compare(
        lambda t: ag.grid_sample(t, Tensor(grid).requires_grad_(), "nearest", padding, False),
        lambda t: F.grid_sample(t, torch.tensor(grid), "nearest", padding, False),
        image,
    )


ERRORS = [
    (lambda f, x: f.interpolate(x), ValueError, "either size or scale_factor should be defined"),
    (lambda f, x: f.interpolate(x, 2, 2), ValueError, "only one of size or scale_factor should be defined"),
    (lambda f, x: f.interpolate(x, (2,)), ValueError, r"spatial dimensions of .4, 4. and output size of .2"),
    (lambda f, x: f.interpolate(x, scale_factor=(2, 2, 2)), ValueError, "scale_factor in .s1, s2, ...,sK. format"),
    (lambda f, x: f.interpolate(x, 2, align_corners=True), ValueError, "align_corners option can only be set with"),
    (lambda f, x: f.interpolate(x, 2, mode="linear"), NotImplementedError, "Got 4D input, but linear mode needs 3D input"),
    (lambda f, x: f.interpolate(x, 2, mode="cubic"), NotImplementedError, "Only 3D, 4D and 5D input Tensors supported"),
    (lambda f, x: f.interpolate(x, 0), RuntimeError, "Input and output sizes should be greater than 0"),
    (lambda f, x: f.interpolate(x, 2, recompute_scale_factor=True), ValueError, "not meaningful with an explicit size"),
    (lambda f, x: f.interpolate(x, 2, antialias=True), ValueError, "Anti-alias option is restricted to bilinear"),
    (lambda f, x: f.pixel_shuffle(x, 3), RuntimeError, "divisible by the square of upscale_factor"),
    (lambda f, x: f.pixel_unshuffle(x, 3), RuntimeError, "expects height to be divisible by downscale_factor"),
    (lambda f, x: f.grid_sample(x, x), RuntimeError, "expected grid to have size 2 in last dimension"),
    (lambda f, x: f.grid_sample(x, x[0]), RuntimeError, "expected grid and input to have same batch size"),
    (lambda f, x: f.grid_sample(x, x[..., :2].reshape(1, 16)[:, :2]), RuntimeError, "same number of dimensions"),
    (lambda f, x: f.grid_sample(x, x, mode="cubic"), ValueError, "expected mode to be 'bilinear', 'nearest' or 'bicubic'"),
    (lambda f, x: f.affine_grid(x, (1, 1, 2, 2)), ValueError, "Expected a batch of 2D affine matrices of shape Nx2x3"),
]


@pytest.mark.filterwarnings("ignore:Default grid_sample")
@pytest.mark.parametrize("call, kind, words", ERRORS, ids=[str(k) for k in range(len(ERRORS))])
def test_errors(call, kind: type, words: str) -> None:
    for f, ones in ((nn.functional, ag.ones), (F, torch.ones)):
        with pytest.raises(kind, match=words):
            call(f, ones(1, 2, 4, 4))
