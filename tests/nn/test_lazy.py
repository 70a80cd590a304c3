"""Lazy modules, DataParallel, and the second places of base classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag

# name, arguments, shape of the input
LAZY = [
    ("LazyLinear", (3,), {}, (5, 4)),
    ("LazyLinear", (3,), {"bias": False}, (4,)),
    ("LazyConv1d", (4, 3), {"padding": 1}, (2, 2, 5)),
    ("LazyConv2d", (4, 3), {"groups": 2, "bias": False}, (2, 2, 5, 5)),
    ("LazyConv3d", (2, 2), {"stride": 2}, (2, 3, 4, 4, 4)),
    ("LazyConvTranspose1d", (4, 3), {}, (2, 2, 5)),
    ("LazyConvTranspose2d", (4, 3), {"groups": 2, "stride": 2}, (2, 2, 3, 3)),
    ("LazyConvTranspose3d", (2, 2), {}, (1, 3, 2, 2, 2)),
    ("LazyBatchNorm1d", (), {}, (4, 3)),
    ("LazyBatchNorm2d", (), {"momentum": 0.5}, (4, 3, 2, 2)),
    ("LazyBatchNorm3d", (), {"affine": False}, (4, 3, 2, 2, 2)),
    ("LazyInstanceNorm1d", (), {"affine": True}, (4, 3, 5)),
    ("LazyInstanceNorm2d", (), {"affine": True, "track_running_stats": True}, (4, 3, 2, 3)),
    ("LazyInstanceNorm3d", (), {"affine": True}, (2, 3, 2, 2, 2)),
]
IDS = [f"{line[0]}-{k}" for k, line in enumerate(LAZY)]


@pytest.mark.parametrize(("name", "args", "options", "shape"), LAZY, ids=IDS)
def test_lazy(name: str, args: tuple, options: dict[str, Any], shape: tuple[int, ...], torch: Any) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    ours, theirs = (getattr(library.nn, name)(*args, **options) for library in (ag, torch))
    assert repr(ours) == repr(theirs) and type(ours).__name__ == name
    before = list(ours.parameters())
    theirs(torch.tensor(x))
    assert ours(ag.tensor(x)).shape == tuple(theirs(torch.tensor(x)).shape)
    assert repr(ours) == repr(theirs) and type(ours).__name__ == type(theirs).__name__ == name.removeprefix("Lazy")
    assert all(a is b and type(a) is ag.nn.Parameter for a, b in zip(before, ours.parameters(), strict=True))
    state = {key: ag.tensor(t.numpy()) for key, t in theirs.state_dict().items()}
    again = getattr(ag.nn, name)(*args, **options)
    for module in (ours, again):  # one that has its size, and one that has none yet
        module.load_state_dict(state)
        assert list(module.state_dict()) == list(theirs.state_dict())
        assert [p.shape for p in module.parameters()] == [tuple(p.shape) for p in theirs.parameters()]
    theirs.load_state_dict({key: torch.tensor(t.numpy()) for key, t in state.items()})
    again(ag.tensor(x, requires_grad=True)).square().sum().backward()
    theirs(torch.tensor(x, requires_grad=True)).square().sum().backward()
    for p, q in zip(again.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), 1e-4, 1e-4)


def test_lazy_in_a_network() -> None:
    net = ag.nn.Sequential(ag.nn.LazyConv2d(2, 3), ag.nn.ReLU(), ag.nn.Flatten(), ag.nn.LazyLinear(3)).double()
    assert net(ag.ones(2, 1, 4, 4, dtype=ag.float64)).shape == (2, 3)
    assert net[3].in_features == 8 and net[3].weight.dtype == ag.float64
    with pytest.raises(ValueError, match="groups"):
        ag.nn.LazyConv2d(4, 3, groups=2)(ag.ones(1, 3, 4, 4))


def test_the_forward_of_a_lazy_module_may_be_wrapped() -> None:
    """And called again, when it has become the forward of a module of another class."""
    for net, x in ((ag.nn.LazyLinear(3), ag.ones(2, 5)), (ag.nn.LazyConv1d(3, 2), ag.ones(2, 5, 4))):
        calls, inner = [], net.forward
        net.forward = lambda x, calls=calls, inner=inner: (calls.append(1), inner(x))[1]
        first, second = net(x), net(x)
        assert len(calls) == 2 and ag.equal(first, second) and "Lazy" not in type(net).__name__


def test_data_parallel() -> None:
    layer = ag.nn.Linear(3, 2)
    net = ag.nn.DataParallel(layer, device_ids=[0])
    x = ag.ones(4, 3)
    assert net.module is layer and net(x).tolist() == layer(x).tolist()
    assert list(net.state_dict()) == ["module.weight", "module.bias"]


def test_second_places(torch: Any) -> None:
    modules = ag.nn.modules
    assert isinstance(ag.nn.BatchNorm2d(1), modules.batchnorm._BatchNorm)
    assert isinstance(ag.nn.ConvTranspose1d(1, 1, 1), modules.conv._ConvNd)
    assert isinstance(ag.nn.MSELoss(), modules.loss._Loss) and issubclass(ag.nn.NLLLoss, modules.loss._WeightedLoss)
    for name in ("_single", "_pair", "_triple", "_quadruple"):
        for value in (3, (1, 2), [1, 2]):
            assert getattr(modules.utils, name)(value) == getattr(torch.nn.modules.utils, name)(value)
