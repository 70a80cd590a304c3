"""Tensors on a CUDA device do what they do on the CPU: creation, ops, gradients, training, conversions."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.nn import functional as F


def numbers(*shape: int, seed: int = 0, dtype: Any = ag.float32) -> ag.Tensor:
    """A tensor on the CPU, the same for a shape and seed."""
    return ag.tensor(np.random.default_rng(seed).normal(size=shape), dtype=dtype)


def same(found: Any, wanted: Any, digits: float = 1e-5) -> None:
    """Assert that a result on CUDA equals the CPU's: dtype and shape exactly, floats to rounding."""
    if isinstance(wanted, (tuple, list)):
        assert len(found) == len(wanted)
        for f, w in zip(found, wanted, strict=True):
            same(f, w, digits)
        return
    assert str(found.device) == "cuda:0" and str(wanted.device) == "cpu"
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_allclose(
        found.detach().cpu().double().numpy(), wanted.detach().double().numpy(), rtol=digits, atol=digits, equal_nan=True
    )


# -- making and moving -----------------------------------------------------------------------------------------------------

CREATED = {
    "zeros": lambda d: ag.zeros(2, 3, device=d),
    "ones": lambda d: ag.ones(2, device=d, dtype=ag.int64),
    "full": lambda d: ag.full((2,), 3.5, device=d),
    "tensor": lambda d: ag.tensor([[1, 2], [3, 4]], device=d),
    "as_tensor": lambda d: ag.as_tensor(np.arange(3), device=d),
    "arange": lambda d: ag.arange(2, 9, 3, device=d),
    "linspace": lambda d: ag.linspace(0, 1, 5, device=d),
    "eye": lambda d: ag.eye(3, 4, device=d),
    "zeros_like": lambda d: ag.zeros_like(ag.ones(2, 2, device=d)),
    "full_like": lambda d: ag.full_like(ag.ones(2, device=d), 7),
    "new_tensor": lambda d: ag.ones(2, device=d).new_tensor([1.0, 2.0]),
    "tril_indices": lambda d: ag.tril_indices(3, 3, device=d),
    "scalar": lambda d: ag.tensor(2.5, device=d),
    "empty": lambda d: ag.empty(0, 3, device=d),
}


@pytest.mark.parametrize("name", CREATED)
def test_creation(name: str):
    same(CREATED[name]("cuda"), CREATED[name]("cpu"), 0)


def test_devices_have_names_numbers_and_equality():
    x = ag.ones(2, device="cuda")
    assert x.device == ag.device("cuda:0") == ag.device("cuda", 0) and x.device.type == "cuda" and x.device.index == 0
    assert x.to("cuda") is x and x.cuda() is x and x.to(0) is x
    assert x.cpu().device == ag.device("cpu") and x.cpu().cpu().tolist() == [1, 1]
    assert x.to("cpu", ag.float64).dtype == ag.float64
    assert x.cpu().to(x).device == x.device and x.cpu().type_as(x.half()).dtype == ag.float16
    assert x.type() == "autograd_gpu.cuda.FloatTensor"
    with pytest.raises(RuntimeError, match="there is no CUDA device 7"):
        ag.ones(2, device="cuda:7")


def test_names_of_types_move():
    x = ag.tensor([1.5, 2.5], requires_grad=True)
    for name in ("torch.cuda.DoubleTensor", "autograd_gpu.cuda.DoubleTensor", "cuda.DoubleTensor"):
        y = x.type(name)
        assert (str(y.device), y.dtype, y.type()) == ("cuda:0", ag.float64, "autograd_gpu.cuda.DoubleTensor")
    z = y.type("torch.FloatTensor")
    assert (str(z.device), z.dtype) == ("cpu", ag.float32)
    z.sum().backward()
    assert x.grad.tolist() == [1, 1]
    assert str(x.cuda().type(ag.float16).device) == str(x.cuda().type(y.type()).device) == "cuda:0"


def test_gradients_flow_through_moves():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    (x.to("cuda") ** 2).cpu().sum().backward()
    assert x.grad.tolist() == [2, 4] and x.grad.device.type == "cpu"
    y = ag.tensor([1.0, 2.0], device="cuda", requires_grad=True)
    (g,) = ag.autograd.grad((y.cpu() ** 3).sum(), y, create_graph=True)
    assert str(g.device) == "cuda:0"
    g.sum().backward()
    assert y.grad.tolist() == [6, 12] and str(y.grad.device) == "cuda:0"


# -- computing, forward and backward, first and second order -----------------------------------------------------------------

I = [2, 0, 2]  # noqa: E741 (an index with a repetition)
COMPUTED: dict[str, tuple[Callable, list[tuple[int, ...]]]] = {
    "arithmetic": (lambda a, b: (a * 2 + 1) / (b * b + 2) - a**3, [(3, 4), (3, 4)]),
    "broadcast": (lambda a, b, c: a * b + c, [(3, 1), (4,), ()]),
    "functions": (lambda a: a.sigmoid() + a.exp().log1p() + a.tanh() * a.sin(), [(3, 4)]),
    "sums": (lambda a: a.sum(0) * a.mean(0) + a.var(0), [(3, 4)]),
    "std": (lambda a: a.std(1), [(3, 4)]),
    "std of equals": (lambda a: (a * 0).std() + a.sum(), [(3, 4)]),
    "extrema": (lambda a: a.max(1).values + a.min(1).values + a.amax(1), [(3, 4)]),
    "prod and cumsum": (lambda a: a.prod(1) + a.cumsum(1).sum(1), [(3, 4)]),
    "norm": (lambda a: a.norm() + ag.linalg.vector_norm(a, 3), [(3, 4)]),
    "logsumexp": (lambda a: a.logsumexp(1) + a.softmax(1)[:, 0] + a.log_softmax(0).sum(1), [(3, 4)]),
    "matmul": (lambda a, b: a @ b, [(3, 4), (4, 2)]),
    "matmul of batches": (lambda a, b: a @ b, [(2, 1, 3, 4), (3, 4, 2)]),
    "vectors": (lambda a, b: (a @ b) * a.dot(a), [(4,), (4,)]),
    "linear": (F.linear, [(2, 3, 4), (5, 4), (5,)]),
    "layout": (lambda a: a.t().reshape(2, 6).permute(1, 0).unsqueeze(1).expand(6, 3, 2).flatten(1), [(3, 4)]),
    "join": (lambda a, b: ag.cat([a, b]).sum(0) * ag.stack([a, a]).mean(0)[0], [(3, 4), (2, 4)]),
    "split": (lambda a: a.split(2, 1)[0] * a.chunk(2, 1)[1], [(3, 4)]),
    "slices": (lambda a: a[1:, ::2] * a[0, 1] + a[..., -1:][:2], [(3, 4)]),
    "index": (lambda a: a[I] * a[:, I][0, 0], [(3, 4)]),
    "mask": (lambda a: (a[a > 0] ** 2).sum() + a.masked_fill(a < 0, 2.0).sum(), [(3, 4)]),
    "gather": (lambda a: a.gather(1, ag.tensor([[0, 3], [1, 1], [2, 0]], device=a.device)) ** 2, [(3, 4)]),
    "scatter": (lambda a, b: a.scatter(0, ag.tensor([[0, 2, 1, 0]], device=a.device), b) ** 2, [(3, 4), (1, 4)]),
    "index_add": (lambda a, b: a.index_add(0, ag.tensor(I, device=a.device), b) ** 2, [(3, 4), (3, 4)]),
    "where": (lambda a, b: ag.where(a > b, a * b, b), [(3, 4), (4,)]),
    "sort": (lambda a: a.sort(1).values * a.topk(4, 1).values, [(3, 4)]),
    "quantile": (lambda a: a.quantile(0.3, dim=1) + a.median(1).values, [(3, 4)]),
    "pad": (lambda a: F.pad(a, (1, 2)) ** 2, [(3, 4)]),
    "relu and others": (lambda a: F.relu(a) + F.gelu(a) + F.silu(a) + F.elu(a) + F.softplus(a), [(3, 4)]),
    "cross_entropy": (lambda a: F.cross_entropy(a, ag.tensor([0, 3, 1], device=a.device)), [(3, 4)]),
    "cross_entropy of pixels": (lambda a: F.cross_entropy(a, ag.tensor([[0, 3], [1, 1]], device=a.device)), [(2, 4, 2)]),
    "mse_loss": (F.mse_loss, [(3, 4), (3, 4)]),
    "written in place": (lambda a, b: written(a, b), [(3, 4), (4,)]),
    "cpu scalar": (lambda a: a * ag.tensor(2.0) + ag.tensor(1.5, dtype=ag.float64), [(3, 4)]),
    "cpu index": (lambda a: a[ag.tensor([0, 2])] ** 2, [(3, 4)]),
}


def written(a: ag.Tensor, b: ag.Tensor) -> ag.Tensor:
    """Writes into a tensor and its views."""
    y = a * 2
    row = y[1]
    row.mul_(b)
    y[0] = b * 3
    y[:, 1] += 1
    y[ag.tensor([2], device=a.device)] = 0.5
    return y.tanh_() * row.sum()


def gradients(f: Callable, tensors: list[ag.Tensor]) -> list[ag.Tensor]:
    """The result, the gradients, and the gradients of a sum of the gradients."""
    out = f(*tensors)
    weights = numbers(*out.shape, seed=9).to(out.device)
    first = ag.autograd.grad((out * weights).sum(), tensors, create_graph=True)
    needed = [g for g in first if g.requires_grad]
    second = ag.autograd.grad(sum((g * g).sum() for g in needed), tensors, allow_unused=True) if needed else ()
    return [out, *first, *(g for g in second if g is not None)]


@pytest.mark.parametrize("name", COMPUTED)
def test_results_and_gradients_equal_the_cpus(name: str):
    f, shapes = COMPUTED[name]
    on_cpu = [numbers(*shape, seed=i).requires_grad_() for i, shape in enumerate(shapes)]
    on_cuda = [x.detach().cuda().requires_grad_() for x in on_cpu]
    same(gradients(f, on_cuda), gradients(f, on_cpu), 2e-4)
    for tensors in (on_cpu, on_cuda):  # the ordinary backward takes other ways: fused kernels, accumulation into leaves
        for _ in range(2):
            f(*tensors).sum().backward()
    same([x.grad for x in on_cuda], [x.grad for x in on_cpu], 2e-5)


@pytest.mark.parametrize("dtype", [ag.float16, ag.bfloat16, ag.float64], ids=str)
def test_other_dtypes(dtype: Any):
    def f(x: ag.Tensor, w: ag.Tensor) -> ag.Tensor:
        return F.cross_entropy(F.relu(x @ w + 1), ag.tensor([0, 1, 1], device=x.device))

    on_cpu = [numbers(3, 4, dtype=dtype).requires_grad_(), numbers(4, 2, seed=1, dtype=dtype).requires_grad_()]
    on_cuda = [x.detach().cuda().requires_grad_() for x in on_cpu]
    losses = [f(*tensors) for tensors in (on_cuda, on_cpu)]
    for loss in losses:
        loss.backward()
    digits = {ag.float16: 5e-3, ag.bfloat16: 4e-2, ag.float64: 1e-12}[dtype]
    same(losses[0], losses[1], digits)
    same([x.grad for x in on_cuda], [x.grad for x in on_cpu], digits)


# -- the machinery around it -------------------------------------------------------------------------------------------------


def test_versions_and_views():
    x = ag.ones(3, device="cuda", requires_grad=True)
    y = x * 2
    z = y.exp()
    z.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()
    v = y[1:]
    assert v._base is y and v._version == y._version
    v.zero_()
    assert y.tolist() == [2, 0, 0] and v._version == y._version == 1
    with pytest.raises(RuntimeError, match="a leaf Variable"):
        x.add_(1)


def test_hooks_no_grad_and_custom_functions():
    seen = []

    class Cube(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
            (x,) = ctx.saved_tensors
            seen.append(str(g.device))
            return 3 * x * x * g

    x = ag.tensor([1.0, 2.0], device="cuda", requires_grad=True)
    y = Cube.apply(x)
    y.register_hook(lambda g: seen.append(str(g.device)) or g * 2)
    x.register_hook(lambda g: g + 1)
    (g,) = ag.autograd.grad(y.sum(), x, create_graph=True)
    assert g.tolist() == [7, 25] and seen == ["cuda:0", "cuda:0"]
    g.sum().backward()
    assert x.grad.tolist() == [13, 25]  # 2 * 6 x, and the hook's 1
    with ag.no_grad():
        assert not (x * 2).requires_grad
        x += 1
    assert x.tolist() == [2, 3]


MIXED = {
    "add": lambda a, b: a + b,
    "matmul": lambda a, b: a @ b,
    "linear": lambda a, b: F.linear(a, b),
    "cat": lambda a, b: ag.cat([a, b]),
    "where": lambda a, b: ag.where(a > 0, a, b),
    "in place": lambda a, b: a.add_(b),
    "cross_entropy": lambda a, b: F.cross_entropy(a, b[0].long()),
}


@pytest.mark.parametrize("name", MIXED)
def test_mixed_devices_are_refused(name: str):
    a, b = ag.ones(2, 2, device="cuda"), ag.ones(2, 2)
    with pytest.raises(RuntimeError, match="at least two devices, cuda:0 and cpu"):
        MIXED[name](a, b)
    if name != "cross_entropy":
        with pytest.raises(RuntimeError, match="at least two devices, cpu and cuda:0"):
            MIXED[name](b, a)
    assert a.tolist() == [[1, 1], [1, 1]]


def test_gradients_from_elsewhere_are_refused():
    w = ag.ones(3, device="cuda", requires_grad=True)
    with pytest.raises(
        RuntimeError, match="invalid gradient at index 0 - expected device cuda:0 but got cpu.* at least two devices"
    ):
        (w * 2).backward(ag.ones(3))
    with pytest.raises(RuntimeError, match="expected device cpu but got cuda:0"):
        (ag.ones(3, requires_grad=True) * 2).backward(ag.ones(3, device="cuda"))
    (w[0] * 2).backward(ag.tensor(3.0))  # a number of the CPU goes with any device
    assert w.grad.tolist() == [6, 0, 0]
    with pytest.raises(RuntimeError, match="a gradient with device 'cpu' to a tensor with device 'cuda:0'"):
        w.grad = ag.ones(3)
    cpu = ag.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="a gradient with device 'cuda:0' to a tensor with device 'cpu'"):
        cpu.grad = ag.ones(3, device="cuda")
    with pytest.raises(RuntimeError, match="different size"):
        w.grad = ag.ones(4, device="cuda")
    with pytest.raises(RuntimeError, match="dtype float64"):
        w.grad = ag.ones(3, device="cuda", dtype=ag.float64)
    assert w.grad.tolist() == [6, 0, 0] and cpu.grad is None
    y = w * 2
    y.register_hook(lambda g: g.cpu())
    with pytest.raises(RuntimeError, match="changed the device of value: it got cuda:0 and returned cpu"):
        y.sum().backward()


def test_indices_from_elsewhere():
    x = ag.arange(3.0)
    assert x.cuda()[ag.tensor([2, 0])].tolist() == x.cuda()[x > 5].tolist() + [2, 0]
    for index in (ag.tensor([2, 0], device="cuda"), ag.tensor([True, False, True], device="cuda")):
        with pytest.raises(RuntimeError, match="indices should be either on cpu or on the same device as the indexed tensor"):
            x[index]
        with pytest.raises(RuntimeError, match="indices should be either on cpu"):
            x[index] = 1.0


# -- random numbers ----------------------------------------------------------------------------------------------------------

DRAWN = {
    "rand": lambda d: ag.rand(5, 7, device=d),
    "rand float64": lambda d: ag.rand(9, device=d, dtype=ag.float64),
    "rand float16": lambda d: ag.rand(9, device=d, dtype=ag.float16),
    "randint": lambda d: ag.randint(-5, 1000, (11,), device=d),
    "randperm": lambda d: ag.randperm(50, device=d),
    "bernoulli": lambda d: ag.bernoulli(ag.full((40,), 0.3, device=d)),
    "dropout": lambda d: F.dropout(ag.ones(40, device=d), 0.5) if hasattr(F, "dropout") else ag.rand(3, device=d),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_seed_gives_the_same_bits_on_both_devices(name: str):
    drawn = []
    for device in ("cuda", "cpu"):
        ag.cuda.manual_seed(3)
        ag.rand(1, device=device)  # so that the second draw begins inside a block
        drawn.append([DRAWN[name](device), DRAWN[name](device)])
    same(*drawn, 0)


def test_normal_numbers_agree_to_rounding():
    drawn = []
    for device in ("cuda", "cpu"):
        ag.manual_seed(3)
        drawn.append(ag.randn(1001, device=device))
    same(*drawn, 1e-5)


# -- training ----------------------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "SGD": lambda p: ag.optim.SGD(p, lr=0.05),
    "momentum": lambda p: ag.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-2),
    "Adam": lambda p: ag.optim.Adam(p, lr=0.01),
    "AdamW": lambda p: ag.optim.AdamW(p, lr=0.01, weight_decay=0.1),
}


def trained(device: str, optimizer: str, steps: int = 5) -> tuple[list[float], dict[str, ag.Tensor]]:
    ag.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 10)).to(device)
    opt, loss_of = OPTIMIZERS[optimizer](model.parameters()), nn.CrossEntropyLoss()
    losses = []
    for step in range(steps):
        x, y = numbers(32, 64, seed=step).to(device), (ag.arange(32) * (step + 3) % 10).to(device)
        loss = loss_of(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses, model.state_dict()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_equals_the_cpus(optimizer: str):
    (ours, state), (theirs, expected) = trained("cuda", optimizer), trained("cpu", optimizer)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert list(state) == list(expected)
    same(list(state.values()), list(expected.values()), 1e-4)


def test_training_repeats_bit_for_bit():
    first, second = trained("cuda", "Adam", 3), trained("cuda", "Adam", 3)
    assert first[0] == second[0]
    assert all(ag.equal(first[1][name], second[1][name]) for name in first[1])


def test_modules_and_state_move():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    before = list(model.parameters())
    assert model.to("cuda") is model and [p.device.type for p in model.parameters()] == ["cuda", "cuda"]
    assert all(p is q for p, q in zip(model.parameters(), before, strict=True))
    state = {name: t.cpu() for name, t in model.state_dict().items()}
    other = nn.Sequential(nn.Linear(3, 4), nn.ReLU()).cuda()
    other.load_state_dict(state)
    assert ag.equal(other[0].weight, model[0].weight) and other[0].weight.device.type == "cuda"
    x = ag.ones(2, 3)
    same(model(x.cuda()), copy.deepcopy(model).cpu()(x))
    assert model.half()[0].weight.dtype == ag.float16


# -- the rest of Python ------------------------------------------------------------------------------------------------------


def test_numbers_lists_and_print():
    x = ag.tensor([[1.5, 2.0]], device="cuda", requires_grad=True)
    assert repr(x) == "tensor([[1.5000, 2.0000]], device='cuda:0', requires_grad=True)"
    assert "device='cuda:0', grad_fn=<MulBackward0>" in repr(x * 2)
    assert x.tolist() == [[1.5, 2.0]] and x.sum().item() == 3.5 and float(x[0, 0]) == 1.5 and bool(x[0, 1] > 1)
    assert ag.ones(2, device="cuda", dtype=ag.bfloat16).tolist() == [1.0, 1.0]
    assert 2.0 in x and 7 not in x and len(x) == 1 and [row.tolist() for row in x] == [[1.5, 2.0]]
    assert ag.tensor(3, device="cuda").__index__() == 3


def test_numpy_is_never_reached_by_accident():
    x = ag.ones(2, device="cuda")
    message = r"can't convert cuda:0 device type tensor to numpy\. Use Tensor\.cpu\(\) to copy the tensor to host memory first\."
    for convert in (lambda: x.numpy(), lambda: np.asarray(x)):
        with pytest.raises(TypeError, match=message):
            convert()
    assert x.numpy(force=True).tolist() == x.cpu().numpy().tolist() == [1, 1]


def test_pickle_and_copy():
    x = ag.tensor([1.0, 2.0], device="cuda", requires_grad=True)
    (x * x).sum().backward()
    for again in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert str(again.device) == "cuda:0" and again.requires_grad and again.tolist() == [1, 2]
    again = copy.deepcopy(x)
    assert again.grad.tolist() == [2, 4] and again.array.data.ptr != x.array.data.ptr


def test_memory_is_shared_with_cupy():
    import cupy

    x = ag.arange(6.0, device="cuda").reshape(2, 3)
    for theirs in (cupy.asarray(x), cupy.from_dlpack(x), cupy.asarray(x.t()).T):
        assert theirs.data.ptr == x.array.data.ptr and theirs.shape == (2, 3)
    a = cupy.arange(6, dtype="f").reshape(2, 3).T
    for ours in (ag.from_dlpack(a), ag.as_tensor(a), ag.asarray(a)):
        assert ours.array.data.ptr == a.data.ptr and ours.stride() == (1, 3) and str(ours.device) == "cuda:0"
        ours.zero_()
    assert not a.any()
    assert ag.tensor(a).array.data.ptr != a.data.ptr
    x.requires_grad_()
    with pytest.raises(RuntimeError, match="requires grad"):
        cupy.asarray(x)
    with pytest.raises(BufferError, match="require gradient"):
        cupy.from_dlpack(x)
    assert not hasattr(ag.ones(2), "__cuda_array_interface__")
