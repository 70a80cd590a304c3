"""A convolution, relu and pooling in a sequence, computed at once, against one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.backend.cpu import conv_pool
from autograd_gpu.ops.conv_pool import conv_relu_pool

from ..ops.test_saved_bytes import saved_bytes
from ..support import graph_of

JOINED = "convolution_relu_pool"

# channels in and out, height and width, kernel, padding
CASES = [
    (1, 16, (28, 28), (3, 3), (1, 1)),
    (16, 32, (14, 14), (3, 3), (1, 1)),
    (3, 5, (9, 11), (5, 5), (2, 1)),
    (6, 3, (7, 8), (2, 3), (0, 0)),
    (4, 1, (10, 5), (1, 1), (0, 1)),
    (20, 7, (13, 4), (4, 1), (3, 4)),
    (2, 2, (2, 3), (3, 3), (1, 3)),
]


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: Any) -> None:
    """Small arrays are computed as large ones are."""
    monkeypatch.setattr(conv_pool, "_FEW", 0)


def network(channels: int, many: int, kernel: Any = 3, padding: Any = 1, bias: bool = True, dtype: Any = ag.float64) -> Any:
    ag.manual_seed(0)
    return nn.Sequential(nn.Conv2d(channels, many, kernel, padding=padding, bias=bias, dtype=dtype), nn.ReLU(), nn.MaxPool2d(2))


def apart(model: Any, x: Any) -> Any:
    for module in model:
        x = module(x)
    return x


def ops_of(out: Any) -> set[str]:
    return {node.plan.op.name for node in graph_of([out]) if hasattr(node.plan, "mask")}


def images(*shape: int, dtype: str = "float64", last: bool = False) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if last else x


def results(model: Any, call: Any, x: np.ndarray, needed: str) -> list[np.ndarray]:
    """The output, and the gradients of those of x, weight and bias that are needed."""
    given = ag.from_numpy(x.copy("K")).requires_grad_("x" in needed)
    model[0].weight.requires_grad_("w" in needed)
    if model[0].bias is not None:
        model[0].bias.requires_grad_("b" in needed)
    out = call(model, given)
    found = [out.detach().numpy()]
    tensors = [t for t in (given, *model.parameters()) if t.requires_grad]
    if tensors:
        g = np.cos(np.arange(out.numel(), dtype=x.dtype)).reshape(out.shape)
        found += [t.numpy() for t in ag.autograd.grad(out, tensors, ag.from_numpy(g))]
    return found


def same(have: list[np.ndarray], want: list[np.ndarray], tolerance: float = 1e-10) -> None:
    assert len(have) == len(want)
    for a, b in zip(have, want, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, tolerance, tolerance * max(1, np.nanmax(np.abs(b), initial=0)))


@pytest.mark.parametrize("block", [None, 1 << 13, 1])
@pytest.mark.parametrize(("channels", "many", "sizes", "kernel", "padding"), CASES)
def test_results(monkeypatch, channels, many, sizes, kernel, padding, block):
    """The same, whatever the blocks, the layout, and what needs a gradient."""
    if block is not None:
        monkeypatch.setattr(conv_pool, "_BLOCK", block)
        monkeypatch.setattr(conv_pool, "_ROWS", block)
        monkeypatch.setattr(conv_pool, "_LEAST", 1)
    for k, needed in enumerate(("xwb", "wb", "x", "b", "xw", "")):
        model = network(channels, many, kernel, padding, bias=k != 4)
        x = images(5, channels, *sizes, last=k % 2 == 1)
        if needed.strip("b"):
            assert JOINED in ops_of(model(ag.from_numpy(x).requires_grad_("x" in needed)))
        same(results(model, lambda m, x: m(x), x, needed), results(model, apart, x, needed))


def test_products_that_are_not_small(monkeypatch):
    monkeypatch.setattr(conv_pool, "_SMALL", 1)
    model, x = network(1, 4), images(3, 1, 12, 12)
    same(results(model, lambda m, x: m(x), x, "wb"), results(model, apart, x, "wb"))


def test_few_elements(monkeypatch):
    monkeypatch.setattr(conv_pool, "_FEW", 1 << 12)
    model, x = network(3, 4), images(2, 3, 8, 8)
    for needed in ("xwb", "wb", "b", ""):
        same(results(model, lambda m, x: m(x), x, needed), results(model, apart, x, needed))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_dtypes(dtype):
    """16 bits too: those are computed one after the other."""
    model = network(3, 8, dtype=getattr(ag, dtype))
    x = ag.from_numpy(images(4, 3, 8, 8)).to(getattr(ag, dtype)).requires_grad_()
    both = []
    for out in (model(x), apart(model, x)):
        grads = ag.autograd.grad(out.float().square().sum(), [x, *model.parameters()])
        assert out.dtype == x.dtype and all(g.dtype == x.dtype for g in grads)
        both.append([t.detach().float().numpy() for t in (out, *grads)])
    same(*both, tolerance={"float32": 2e-5, "float16": 5e-3, "bfloat16": 4e-2}[dtype])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite(value):
    for channels in (1, 20):
        model, x = network(channels, 4), images(2, channels, 8, 8)
        x[0, 0, 3, 4] = value
        with np.errstate(invalid="ignore"):
            have, want = results(model, lambda m, x: m(x), x, "xwb"), results(model, apart, x, "xwb")
        for a, b in zip(have[:2], want[:2], strict=True):  # the output and the gradient of the input
            np.testing.assert_allclose(a, b, 1e-10, 1e-10)


def test_an_infinite_gradient_stays_where_it_belongs():
    model, x = network(20, 4), ag.from_numpy(images(2, 20, 8, 8)).requires_grad_()
    grads = []
    for out in (model(x), apart(model, x)):
        g = ag.zeros_like(out)
        g[0, 0].flatten()[out[0, 0].argmax()] = float("inf")  # where relu lets it pass
        with np.errstate(invalid="ignore"):
            grads.append(ag.autograd.grad(out, x, g)[0].numpy())
    np.testing.assert_array_equal(np.isfinite(grads[0]), np.isfinite(grads[1]))
    assert not np.isfinite(grads[0]).all() and np.isfinite(grads[0][1]).all()


def test_elements_that_tie():
    """The gradient goes to the first of them, and nowhere where they are not positive; also if it is the bias that makes them
    tie."""
    x = np.round(images(3, 1, 8, 8))
    x[1] *= 1e-20
    for bias in (0.0, 1.0, -5.0):
        model = network(1, 3)
        with ag.no_grad():
            model[0].weight[...] = 1.0
            model[0].bias[...] = bias
        have, want = results(model, lambda m, x: m(x), x, "xwb"), results(model, apart, x, "xwb")
        same(have, want)


# what is done to the output before backward
WRITES = {
    "dropout_": lambda y: nn.functional.dropout(y, 0.25, inplace=True),
    "dropout2d_": lambda y: nn.functional.dropout2d(y, 0.25, inplace=True),
    "leaky_relu_": lambda y: nn.functional.leaky_relu(y, 0.1, inplace=True),
    "relu_": lambda y: nn.functional.relu(y, inplace=True),
    "hardtanh_": lambda y: nn.functional.hardtanh(y, inplace=True),
    "mul_": lambda y: y.mul_(2),
    "add_ that is not recorded": ag.no_grad()(lambda y: y.add_(1)),
    "detach": lambda y: y.detach().zero_(),
    "numpy": lambda y: y.detach().numpy().fill(0),
}


@pytest.mark.parametrize("write", WRITES)
def test_the_output_may_be_written_into(write, monkeypatch):
    """No gradient is computed from it, as none is from what pooling gives: of many elements, of few, and by the rules."""
    for few, fused in ((0, True), (1 << 20, True), (0, False)):
        monkeypatch.setattr(conv_pool, "_FEW", few)
        for needed in ("xwb", "wb", "b"):
            found = []
            for call in (lambda m, x: m(x), apart):
                model = network(3, 4)
                model[0].weight.requires_grad_("w" in needed)
                x = ag.from_numpy(images(2, 3, 8, 8)).requires_grad_("x" in needed)
                ag.manual_seed(1)
                y = call(model, x)
                kept = y * 1  # its gradient reaches what made y, whatever y becomes
                written = WRITES[write](y)
                loss = kept.sum() + (0 if written is None or not written.requires_grad else (written * written).sum())
                inputs = [t for t in (x, *model.parameters()) if t.requires_grad]
                found.append([g.detach().numpy() for g in ag.autograd.grad(loss, inputs, create_graph=not fused)])
            same(*found)
            assert all(g.any() for g in found[0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_output_may_be_written_into_in_16_bits(dtype):
    grads = []
    for call in (lambda m, x: m(x), apart):
        model = network(3, 8, dtype=getattr(ag, dtype))
        y = call(model, ag.from_numpy(images(4, 3, 8, 8)).to(getattr(ag, dtype)).requires_grad_())
        y.mul_(2)
        grads.append([g.float().numpy() for g in ag.autograd.grad(y.float().sum(), list(model.parameters()))])
    same(*grads, tolerance={"float16": 5e-3, "bfloat16": 4e-2}[dtype])


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_what_is_saved(value):
    """The inputs that gradients need, and one byte for each element of the output; also where the output has NaN."""
    for needed in ("xwb", "wb", "x", "b"):
        model, x = network(3, 4), images(2, 3, 8, 8)
        x[0, 0, 0, 0] = value
        given = ag.from_numpy(x).requires_grad_("x" in needed)
        for parameter, name in zip(model.parameters(), "wb", strict=True):
            parameter.requires_grad_(name in needed)
        weight = model[0].weight.numel() * 8
        arrays = {"xwb": x.nbytes + weight, "wb": x.nbytes, "x": weight, "b": 0}[needed]
        out = model(given)
        assert JOINED in ops_of(out)
        assert saved_bytes(out) == arrays + out.numel()


def test_second_order():
    model = network(2, 3)
    x = ag.from_numpy(images(2, 2, 6, 6)).requires_grad_()
    found = []
    for call in (lambda m, x: m(x), apart):
        inputs = [x, *model.parameters()]
        first = ag.autograd.grad(call(model, x).square().sum(), inputs, create_graph=True)
        found.append([t.numpy() for t in ag.autograd.grad(sum(g.square().sum() for g in first), inputs)])
    same(*found)


def test_without_gradients():
    model, x = network(3, 4), ag.from_numpy(images(2, 3, 8, 8))
    with ag.no_grad():
        out = model(x)
    assert not out.requires_grad
    np.testing.assert_allclose(out.numpy(), apart(model, x).detach().numpy(), 1e-12, 1e-12)


def test_in_longer_sequences():
    """Several times in one, between other modules, and with a module that is there twice."""
    conv, relu, pool = network(4, 4)
    model = nn.Sequential(nn.Tanh(), conv, relu, pool, conv, relu, conv, relu, pool, nn.Flatten(), nn.Identity())
    x = ag.from_numpy(images(2, 4, 12, 12))
    out = model(x)
    assert [n.plan.op.name for n in graph_of([out]) if hasattr(n.plan, "mask")].count(JOINED) == 2
    np.testing.assert_allclose(out.detach().numpy(), apart(model, x).detach().numpy(), 1e-12, 1e-12)


def conv(**options: Any) -> Any:
    return nn.Conv2d(4, 4, 3, **options)


class Mine(nn.ReLU):
    """A relu of the user's."""


def test_only_what_is_the_same():
    """One after the other where modules are of another kind, or have hooks or options that are not served."""
    x = ag.randn(2, 4, 12, 12, requires_grad=True)
    relu, pool = nn.ReLU(), nn.MaxPool2d(2)
    assert JOINED in ops_of(nn.Sequential(conv(), nn.ReLU(inplace=True), nn.MaxPool2d((2, 2)))(x))
    sequences = [
        *[(conv(**options), relu, pool) for options in ({"stride": 2}, {"dilation": 2}, {"groups": 2}, {"padding": "same"})],
        (conv(padding=1, padding_mode="reflect"), relu, pool),
        *[(conv(), relu, nn.MaxPool2d(*a)) for a in ((3,), (2, 1), (2, 2, 1))],
        (conv(), relu, nn.MaxPool2d(2, dilation=2)),
        (conv(), relu, nn.MaxPool2d(2, ceil_mode=True)),
        (conv(), Mine(), pool),
        (conv(), nn.ReLU6(), pool),
        (conv(), relu, nn.AvgPool2d(2)),
        (conv(), relu),
        (conv(), pool, relu),
    ]
    for modules in sequences:
        model = nn.Sequential(*modules)
        out = model(x)
        assert JOINED not in ops_of(out), model
        assert ag.equal(out, apart(model, x))
    for k in range(3):
        model, seen = network(4, 4, dtype=ag.float32), []
        model[k].register_forward_hook(lambda module, args, out, seen=seen: seen.append(out))
        assert JOINED not in ops_of(model(x)) and len(seen) == 1
        model = network(4, 4, dtype=ag.float32)
        model[k].forward = lambda given: given.sin()
        assert "sin" in ops_of(model(x))
    out, indices = nn.Sequential(conv(), relu, nn.MaxPool2d(2, return_indices=True))(x)
    assert indices.shape == out.shape


def test_errors_are_those_of_the_modules():
    model = network(3, 4, dtype=ag.float32)
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 4 channels"):
        model(ag.zeros(2, 4, 8, 8))
    with pytest.raises(RuntimeError, match="should be the same"):
        model(ag.zeros(2, 3, 8, 8, dtype=ag.float64))
    with pytest.raises(RuntimeError, match="Output size is too small"):
        model(ag.zeros(2, 3, 1, 8))
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        nn.Sequential(conv(), nn.ReLU(), nn.MaxPool2d(2))(ag.zeros(2, 4, 2, 8))
    assert model(ag.zeros(3, 8, 8)).shape == (4, 4, 4)
    assert model(ag.zeros(0, 3, 8, 8)).shape == (0, 4, 4, 4)


def test_autocast():
    model, x = network(3, 4, dtype=ag.float32), ag.randn(2, 3, 8, 8)
    with ag.autocast("cpu", dtype=ag.bfloat16):
        out, other = model(x), apart(model, x)
    assert out.dtype == other.dtype == ag.bfloat16
    assert ag.equal(out, other)


def test_another_device(cuda_device):
    """One after the other, where the device has no kernel for all at once."""
    model, x = network(3, 4, dtype=ag.float32), ag.randn(2, 3, 8, 8)
    want = model(x).detach().numpy()
    out = model.to("cuda")(x.to("cuda"))
    assert JOINED not in ops_of(out)
    np.testing.assert_allclose(out.detach().cpu().numpy(), want, 1e-5, 1e-5)


def test_the_op_on_another_device(cuda_device):
    """Its rules hold there all the same."""
    found = []
    for device in ("cpu", "cuda"):
        model = network(3, 4, dtype=ag.float32).to(device)
        x = ag.from_numpy(images(2, 3, 8, 8, dtype="float32")).to(device).requires_grad_()
        inputs = [x, *model.parameters()]
        out = conv_relu_pool(*inputs, (1, 1))
        assert JOINED in ops_of(out)
        found.append([t.detach().cpu().numpy() for t in (out, *ag.autograd.grad(out.square().sum(), inputs))])
    same(*found, tolerance=1e-5)
