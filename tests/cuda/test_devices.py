"""Several CUDA devices: what runs where, whichever is the current one. tests/cuda/test_samples.py runs every op so."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import backend
from autograd_gpu.nn import functional as F


@pytest.fixture(autouse=True)
def _two_devices(cuda_device: Any):
    """All tests here need two, leave the first as the current one, and warn of nothing."""
    if ag.cuda.device_count() < 2:
        pytest.skip("one CUDA device")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert ag.cuda.current_device() == 0


def numbers(*shape: int, seed: int = 0, device: str = "cuda:1") -> ag.Tensor:
    return ag.tensor(np.random.default_rng(seed).standard_normal(shape).astype("f4"), device=device)


def where(*tensors: ag.Tensor) -> list[str]:
    return [str(t.device) for t in tensors]


def test_the_emulated_machine_has_two(cuda_mode: str):
    assert backend.apart == [True] and (cuda_mode != "emulated" or ag.cuda.device_count() == 2)


MADE: dict[str, Callable[..., ag.Tensor]] = {
    "zeros": lambda device: ag.zeros(3, device=device),
    "full": lambda device: ag.full((3,), 2.5, device=device),
    "arange": lambda device: ag.arange(3, device=device),
    "linspace": lambda device: ag.linspace(0, 1, 5, device=device),
    "logspace": lambda device: ag.logspace(0, 2, 5, device=device),
    "eye": lambda device: ag.eye(3, device=device),
    "tensor": lambda device: ag.tensor([1.0, 2.0], device=device),
    "tril_indices": lambda device: ag.tril_indices(3, 3, device=device),
    "rand": lambda device: ag.rand(1000, device=device),
    "randn": lambda device: ag.randn(1000, device=device),
    "randint": lambda device: ag.randint(3, 9, (1000,), device=device),
    "randperm": lambda device: ag.randperm(100, device=device),
    "normal": lambda device: ag.normal(1.0, 2.0, (100,), device=device),
    "bernoulli": lambda device: ag.bernoulli(ag.full((100,), 0.3, device=device)),
    "multinomial": lambda device: ag.multinomial(ag.ones(5, device=device), 3),
    "uniform_": lambda device: ag.empty(50, device=device).uniform_(-1, 1),
    "exponential_": lambda device: ag.empty(50, device=device).exponential_(),
    "random_": lambda device: ag.empty(50, device=device, dtype=ag.int64).random_(3, 7),
    "dropout": lambda device: F.dropout(ag.ones(100, device=device)),
    "like": lambda device: ag.rand_like(ag.zeros_like(ag.ones(4, device=device))),
    "new": lambda device: ag.ones(1, device=device).new_full((3,), 2.0),
    "init": lambda device: ag.nn.init.orthogonal_(ag.empty(4, 3, device=device)),
    "layer": lambda device: ag.nn.Linear(3, 2, device=device).weight.detach(),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int64", "uint8"])
def test_linspace_has_the_same_bits_everywhere(dtype: str):
    for ends in ((0, 1), (0.1, 7.7), (9, 2)):
        for n in (0, 1, 2, 7, 28, 65):
            here, there = (ag.linspace(*ends, n, dtype=dtype, device=device).cpu().array for device in ("cpu", "cuda"))
            assert here.dtype == there.dtype and here.tobytes() == there.tobytes()


@pytest.mark.parametrize("name", MADE)
def test_tensors_are_made_where_they_are_wanted(name: str):
    made = []
    for device in ("cpu", "cuda:0", "cuda:1"):
        ag.manual_seed(7)
        made.append(MADE[name](device))
    assert where(*made) == ["cpu", "cuda:0", "cuda:1"]
    with ag.cuda.device(1):
        ag.manual_seed(7)
        assert where(MADE[name]("cuda")) == ["cuda:1"]
    for t in made[1:]:
        np.testing.assert_allclose(t.cpu().numpy(), made[0].numpy(), 2e-6, 2e-6)


def test_copies_between_devices():
    host = np.arange(24.0, dtype="f4").reshape(4, 6)
    for source, target in (("cuda:0", "cuda:1"), ("cuda:1", "cuda:0"), ("cuda:1", "cpu"), ("cpu", "cuda:1")):
        for current in (0, 1):
            with ag.cuda.device(current):
                x = ag.tensor(host, device=source)
                for view in (x, x.t(), x[::2, 1:], x[:0], x.half(), x[0, 0]):
                    y = view.to(target)
                    assert where(y) == [target] and y.dtype == view.dtype
                    assert np.array_equal(y.cpu().numpy(), view.cpu().numpy())
                    y.zero_()  # is a copy
                assert np.array_equal(x.cpu().numpy(), host)
                assert where(x.to("cuda")) == [f"cuda:{current}"]
                assert (x.to("cuda") is x) == (source == f"cuda:{current}")
    x = ag.zeros(4, 6, device="cuda:0")
    x.copy_(ag.tensor(host, device="cuda:1"))
    x[0] = ag.full((6,), 9.0, device="cuda:1")
    assert x[:2, 0].tolist() == [9.0, 6.0] and where(x) == ["cuda:0"]


def test_a_copy_waits_for_what_it_copies_and_is_waited_for():
    """Streams of both devices: the emulated device reports accesses that nothing orders."""
    streams = [ag.cuda.Stream(device=k) for k in (0, 1)]
    with ag.cuda.stream(streams[1]), ag.cuda.stream(streams[0]):
        x = ag.ones(1000, device="cuda:0") * 2
        y = x.to("cuda:1")
        x += 1
        assert y.sum().item() == 2000 and x.sum().item() == 3000


def test_ops_and_backward_run_where_their_tensors_are():
    x, w = numbers(5, 4).requires_grad_(), numbers(4, 3, seed=1).requires_grad_()
    out = F.softmax((x @ w * 2 + 1).relu(), -1)
    loss = (out**2).sum() + F.cross_entropy(x, ag.tensor([0, 1, 2, 3, 0], device="cuda:1")) + x.std() + w.max()
    loss.backward()
    a, b = (t.detach().cpu().requires_grad_() for t in (x, w))
    on_cpu = (F.softmax((a @ b * 2 + 1).relu(), -1) ** 2).sum() + F.cross_entropy(a, ag.tensor([0, 1, 2, 3, 0]))
    on_cpu = on_cpu + a.std() + b.max()
    on_cpu.backward()
    assert where(out, loss, x.grad, w.grad) == ["cuda:1"] * 4
    for on_device, expected in ((loss, on_cpu), (x.grad, a.grad), (w.grad, b.grad)):
        np.testing.assert_allclose(on_device.detach().cpu().numpy(), expected.detach().numpy(), 1e-5, 1e-6)


def test_derivatives_of_second_order():
    x = numbers(3, 4).requires_grad_()
    (g,) = ag.autograd.grad((x.tanh() * x.exp()).sum(), x, create_graph=True)
    (h,) = ag.autograd.grad((g * g).sum(), x)
    a = x.detach().cpu().requires_grad_()
    (g_cpu,) = ag.autograd.grad((a.tanh() * a.exp()).sum(), a, create_graph=True)
    (h_cpu,) = ag.autograd.grad((g_cpu * g_cpu).sum(), a)
    assert where(g, h) == ["cuda:1", "cuda:1"]
    np.testing.assert_allclose(h.cpu().numpy(), h_cpu.numpy(), 1e-4, 1e-5)


def test_a_graph_across_devices():
    """Halves of a model on two devices, with gradients that meet again on the first, twice, so that .grad adds up."""

    def loss_of(x: ag.Tensor, w: ag.Tensor, first: str, second: str) -> ag.Tensor:
        h = (x * 2).relu()
        y = (h.to(second) @ w.t() + x.to(second).sum()).split(2, 1)[0]
        return (y.to(first) * h.sum()).mean() + (x * x).sum()

    found = []
    for first, second in (("cpu", "cpu"), ("cuda:0", "cuda:1"), ("cuda:1", "cuda:0")):
        x, w = numbers(3, 4, device=first).requires_grad_(), numbers(5, 4, seed=1, device=second).requires_grad_()
        for _ in range(2):
            loss_of(x, w, first, second).backward()
        hessian = ag.autograd.grad(loss_of(x, w, first, second), [x, w], create_graph=True)
        again = ag.autograd.grad(sum((g.to(first) ** 2).sum() for g in hessian), [x, w])
        assert where(x.grad, w.grad, *again) == [first, second] * 2
        found.append([t.cpu().numpy() for t in (x.grad, w.grad, *again)])
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            np.testing.assert_allclose(a, b, 1e-4, 1e-4)


def test_hooks_and_functions_of_ones_own():
    class Double(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
            (x,) = ctx.saved_tensors
            return g * x * 2

    x, seen = numbers(4).requires_grad_(), []
    y = x.clone()
    y.register_hook(lambda g: seen.append(str(g.device)) or g * 3)
    y.retain_grad()
    x.register_post_accumulate_grad_hook(lambda t: seen.append(str(t.grad.device)))
    (Double.apply(y) + Double.apply(y)).sum().backward()
    assert seen == ["cuda:1", "cuda:1"] and where(y.grad) == ["cuda:1"]
    np.testing.assert_allclose(x.grad.cpu().numpy(), 12 * x.detach().cpu().numpy(), 1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam", "Adadelta", "Muon"])
def test_optimizers(name: str):
    """Parameters on both devices, one of them without a gradient at first; clipping and averages on the way."""
    options = {"lr": 0.1, "momentum": 0.9} if name in ("SGD", "Muon") else {}
    ends = []
    for devices in (("cpu", "cpu", "cpu"), ("cuda:0", "cuda:1", "cuda:1")):
        params = [numbers(4, 3, seed=k, device=d).requires_grad_() for k, d in enumerate(devices)]
        optimizer = getattr(ag.optim, name)(params, **options)
        for step in range(4):
            optimizer.zero_grad()
            used = params if step else params[:2]
            sum((p**2).sum().to(devices[0]) for p in used).backward()
            ag.nn.utils.clip_grad_norm_(params, 2.0)
            optimizer.step()
        assert where(*params) == list(devices)
        state = optimizer.state[params[2]]
        assert all(t.device == params[2].device for k, t in state.items() if isinstance(t, ag.Tensor) and t.ndim)
        ends.append([p.detach().cpu().numpy() for p in params])
    limit = 2e-2 if name == "Muon" else 2e-5  # which computes in bfloat16
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(b, a, limit, limit)


def test_training_on_the_device_that_is_not_current():
    def train(device: str) -> list[float]:
        ag.manual_seed(0)
        model = ag.nn.Sequential(
            ag.nn.Conv2d(1, 4, 3, padding=1, bias=False), ag.nn.BatchNorm2d(4), ag.nn.GELU(), ag.nn.MaxPool2d(2), ag.nn.Flatten(),
            ag.nn.Dropout(0.2), ag.nn.Linear(4 * 4 * 4, 8), ag.nn.LayerNorm(8), ag.nn.Linear(8, 3),
        ).to(device)  # fmt: skip
        optimizer, scaler = ag.optim.AdamW(model.parameters(), lr=0.01), ag.amp.GradScaler(init_scale=8.0)
        x, y = numbers(6, 1, 8, 8, device=device), ag.tensor([0, 1, 2, 0, 1, 2], device=device)
        losses = []
        for _ in range(3):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            (scaler.scale(loss) if device != "cpu" else loss).backward()
            if device != "cpu":
                scaler.unscale_(optimizer)
            ag.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            if device == "cpu":
                optimizer.step()
            else:
                scaler.step(optimizer)
                scaler.update()
            losses.append(loss.item())
        model.eval()
        assert {str(p.device) for p in (*model.parameters(), *model.buffers())} == {device}
        return [*losses, model(x).sum().item()]

    np.testing.assert_allclose(train("cuda:1"), train("cpu"), 1e-4, 1e-4)


def test_the_device_in_a_with_block_is_what_cuda_means():
    with ag.cuda.device(1):
        x = ag.ones(3, device="cuda").requires_grad_()
        y = ag.ones(3, device="cuda:0")
        assert where(x, (x * 2).sum(), y.cuda(), x.to("cuda:0").cuda()) == ["cuda:1"] * 4 and where(y * 2) == ["cuda:0"]
        (y.requires_grad_() * 3).sum().backward()
        assert ag.cuda.current_device() == 1 and y.grad.tolist() == [3, 3, 3]
    with pytest.raises(ZeroDivisionError), ag.cuda.device(1):
        raise ZeroDivisionError


def test_reading_printing_writing():
    x = ag.arange(6.0, device="cuda:1").reshape(2, 3)
    assert repr(x) == "tensor([[0., 1., 2.],\n        [3., 4., 5.]], device='cuda:1')"
    assert x[1, 2].item() == 5 and float(x[0, 1]) == 1 and 4 in x and 7 not in x and bool(x[1, 0] > 2)
    x[0] = 7
    x[:, 1] += 1
    x[x > 7] = -1
    x[ag.tensor([1], device="cuda:1"), 2:] = 0.5
    x.mul_(2).clamp_(max=12)
    assert x.tolist() == [[12, -2, 12], [6, 10, 1]]
    assert x.numpy(force=True).shape == (2, 3) and len(list(x.split(1))) == 2
    assert ag.from_dlpack(x).device == x.device


def test_devices_do_not_mix():
    a, b = ag.ones(3, device="cuda:0").requires_grad_(), ag.ones(3, device="cuda:1")
    mixed: dict[str, Callable] = {
        "add": lambda: a + b,
        "mul": lambda: b * a,
        "cat": lambda: ag.cat([a, b]),
        "where": lambda: ag.where(a > 0, a, b),
        "matmul": lambda: a.reshape(1, 3) @ b.reshape(3, 1),
        "linear": lambda: F.linear(a.reshape(1, 3), b.reshape(1, 3)),
        "layer_norm": lambda: F.layer_norm(a, (3,), b, b),
        "add_": lambda: b.add_(a.detach()),
        "index": lambda: a[ag.tensor([0], device="cuda:1")],
    }
    for name, call in mixed.items():
        with pytest.raises(RuntimeError, match="on the same device, but found at least two devices") as raised:
            call()
        assert "cuda:0" in str(raised.value) and "cuda:1" in str(raised.value), name
    with pytest.raises(RuntimeError, match="expected device cuda:0 but got cuda:1"):
        (a * 2).backward(b)
    with pytest.raises(RuntimeError, match="with device 'cuda:1' to a tensor with device 'cuda:0'"):
        a.grad = b
    scalar = ag.tensor(2.0)  # one of the CPU goes with any device
    assert where(a * scalar, b * scalar) == ["cuda:0", "cuda:1"]


def test_memory_is_counted_by_device():
    before = [ag.cuda.memory_allocated(k) for k in (0, 1)]
    x = ag.zeros(1 << 18, device="cuda:1")
    y = (x + 1).relu()
    assert ag.cuda.memory_allocated(0) == before[0]
    assert ag.cuda.memory_allocated(1) - before[1] >= x.nbytes + y.nbytes
