"""Modules: what they register, save, move and print, as PyTorch's do."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(3, 2, bias=False))
        self.scale = nn.Parameter(ag.ones(2))
        self.register_buffer("mean", ag.zeros(2))
        self.register_buffer("seen", ag.tensor(0), persistent=False)
        self.plain = 3

    def forward(self, x):
        return self.rest(self.first(x)) * self.scale + self.mean


NAMES = ["scale", "first.weight", "first.bias", "rest.1.weight"]


def test_what_is_registered():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [name for name, _ in net.named_buffers()] == ["mean", "seen"]
    assert [name for name, _ in net.named_children()] == ["first", "rest"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "rest", "rest.0", "rest.1"]
    assert len(list(net.parameters(recurse=False))) == 1
    assert net.get_submodule("rest.1") is net.rest[1] and net.get_parameter("rest.1.weight") is net.rest[1].weight
    assert all(isinstance(p, nn.Parameter) and isinstance(p, ag.Tensor) and p.is_leaf for p in net.parameters())


def test_shared_parts_are_listed_once():
    net = nn.Module()
    net.a = net.b = nn.Linear(2, 2)
    net.c = nn.Linear(2, 2)
    net.c.weight = net.a.weight
    assert [name for name, _ in net.named_parameters()] == ["a.weight", "a.bias", "c.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 6
    assert list(net.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias", "c.weight", "c.bias"]


def test_attributes_change_and_go():
    net = Net()
    net.scale = nn.Parameter(ag.zeros(2))
    assert net.scale.tolist() == [0, 0] and dict(net.named_parameters())["scale"] is net.scale
    net.mean = ag.ones(2)
    assert dict(net.named_buffers())["mean"] is net.mean
    net.scale = None
    assert net.scale is None and "scale" not in dict(net.named_parameters())
    del net.first
    assert not hasattr(net, "first") and "first" not in dict(net.named_modules())
    net.plain = nn.ReLU()
    assert "plain" in dict(net.named_children())


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda net: setattr(net, "scale", 3), TypeError, "cannot assign 'int' as parameter 'scale'"),
        (lambda net: setattr(net, "scale", ag.ones(2)), TypeError, "cannot assign 'Tensor' as parameter 'scale'"),
        (lambda net: setattr(net, "first", 3), TypeError, "cannot assign 'int' as child module 'first'"),
        (lambda net: setattr(net, "mean", 3), TypeError, "cannot assign 'int' as buffer 'mean'"),
        (lambda net: net.register_parameter("a.b", None), KeyError, "cannot be empty or contain"),
        (lambda net: net.register_parameter("plain", None), KeyError, "attribute 'plain' already exists"),
        (lambda net: net.register_parameter("p", ag.ones(2)), TypeError, "cannot assign 'Tensor'"),
        (lambda net: net.register_buffer("p", 3), TypeError, "cannot assign 'int'"),
        (lambda net: net.add_module("p", 3), TypeError, "not a Module subclass"),
        (lambda net: net.missing, AttributeError, "missing"),
        (lambda net: nn.Module()(1), NotImplementedError, "forward"),
        (lambda net: net.get_submodule("rest.7"), AttributeError, "no submodule '7'"),
        (lambda net: net.train("yes"), ValueError, "boolean"),
        (lambda net: net.to(ag.int64), TypeError, "floating point"),
        (lambda net: nn.Parameter([1.0]), TypeError, "takes a Tensor"),
        (lambda net: nn.Parameter(ag.tensor([1])), RuntimeError, "floating point"),
    ],
)
def test_refusals(do, error, message):
    with pytest.raises(error, match=message):
        do(Net())


@pytest.mark.parametrize("name", ["parameter", "buffer", "module", "no_parameter", "no_buffer", "no_module", "training", "new"])
def test_a_name_is_registered_again_as_the_same_kind_only(name):
    torch = pytest.importorskip("torch")
    outcomes = []
    for lib in (ag, torch):
        for register in (
            lambda m, lib: m.register_parameter(name, lib.nn.Parameter(lib.ones(1))),
            lambda m, lib: m.register_parameter(name, None),
            lambda m, lib: m.register_buffer(name, lib.ones(1)),
            lambda m, lib: m.add_module(name, lib.nn.Linear(1, 1)),
        ):
            m = lib.nn.Module()
            m.register_parameter("parameter", lib.nn.Parameter(lib.ones(1)))
            m.register_buffer("buffer", lib.ones(1))
            m.add_module("module", lib.nn.Linear(1, 1))
            m.register_parameter("no_parameter", None)
            m.register_buffer("no_buffer", None)
            m.add_module("no_module", None)
            try:
                register(m, lib)
                outcomes.append("registered")
            except KeyError as error:
                outcomes.append(str(error))
    assert outcomes[:4] == outcomes[4:]


def test_assigning_before_init_says_so():
    class Early(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(ag.ones(1))

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Early()


def test_state_dict_round_trip():
    net, other = Net(), Net()
    state = net.state_dict()
    assert list(state) == ["scale", "mean", "first.weight", "first.bias", "rest.1.weight"]
    assert state["scale"].array is net.scale.array and not state["scale"].requires_grad
    arrays = [p.array for p in other.parameters()]
    answer = other.load_state_dict(state)
    assert repr(answer) == "<All keys matched successfully>" and answer.missing_keys == []
    for p, q, array in zip(net.parameters(), other.parameters(), arrays, strict=True):
        np.testing.assert_array_equal(p.array, q.array)
        assert q.array is array


def test_load_state_dict_names_what_does_not_fit():
    net = Net()
    before = net.first.bias.array.copy()
    state = {**net.state_dict(), "first.weight": ag.ones(5, 4), "first.bias": ag.ones(3), "extra": ag.ones(1)}
    del state["scale"]
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    message = str(caught.value)
    assert message.startswith("Error(s) in loading state_dict for Net:")
    assert 'Unexpected key(s) in state_dict: "extra".' in message
    assert 'Missing key(s) in state_dict: "scale".' in message
    assert "size mismatch for first.weight" in message and "[5, 4]" in message and "[3, 4]" in message
    np.testing.assert_array_equal(net.first.bias.array, before)
    state["first.weight"] = ag.ones(3, 4)
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert (missing, unexpected) == (["scale"], ["extra"])
    assert net.first.bias.tolist() == [1, 1, 1]


def test_to_keeps_the_parameters_and_leaves_integers():
    net = Net()
    net(ag.ones(1, 4)).sum().backward()
    params = list(net.parameters())
    assert net.double() is net
    assert [p is q for p, q in zip(params, net.parameters(), strict=True)] == [True] * 4
    assert {p.dtype for p in params} == {ag.float64} == {p.grad.dtype for p in params}
    assert net.mean.dtype == ag.float64 and net.seen.dtype == ag.int64
    assert net.to(ag.tensor(1.0, dtype=ag.float16)).scale.dtype == ag.float16
    assert net.to("cpu", ag.float32).scale.dtype == ag.float32
    assert net(ag.ones(1, 4)).dtype == ag.float32


def test_share_memory_returns_the_module():
    net = Net()
    before = [p.array for p in net.parameters()]
    assert net.share_memory() is net and all(p.array is a for p, a in zip(net.parameters(), before, strict=True))


def test_modes_gradients_and_apply():
    net = Net()
    assert net.training and not net.eval().rest[0].training and net.train().rest[0].training
    seen = []
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "ReLU", "Linear", "Sequential", "Net"]
    net(ag.ones(1, 4)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(float(p.grad.abs().sum()) == 0 for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(ag.ones(1, 4)).requires_grad


def test_hooks():
    net = nn.Sequential(nn.Identity())
    first = net.register_forward_pre_hook(lambda m, args: (args[0] * 2,))
    second = net.register_forward_hook(lambda m, args, out: out + args[0])
    assert net(ag.tensor(3.0)).item() == 12
    first.remove()
    assert net(ag.tensor(3.0)).item() == 6
    second.remove()
    assert net(ag.tensor(3.0)).item() == 3


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies(duplicate):
    net = Net()
    net.first.bias.requires_grad_(False)
    other = duplicate(net)
    x = ag.ones(2, 4)
    np.testing.assert_array_equal(net(x).array, other(x).array)
    assert dict(other.named_parameters())["scale"] is other.scale and other.scale is not net.scale
    assert [p.requires_grad for p in other.parameters()] == [p.requires_grad for p in net.parameters()]
    other.scale.array[...] = 7
    assert net.scale.tolist() == [1, 1]


def test_copies_of_a_parameter_leave_the_gradient_behind():
    p = nn.Parameter(ag.ones(2, 3).T, requires_grad=True)
    p.sum().backward()
    p.note = "kept by pickle, as in PyTorch"
    q, r = copy.deepcopy(p), pickle.loads(pickle.dumps(p))
    for other in (q, r):
        assert type(other) is nn.Parameter and other.requires_grad and other.grad is None
        assert other.tolist() == p.tolist() and other.array is not p.array
    assert q.stride() == p.stride()
    assert r.note == p.note and not hasattr(q, "note")
    a, b = copy.deepcopy([p, p])
    assert a is b


def test_modules_die_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        net = Net()
        net(ag.ones(1, 4)).sum().backward()
        parameter = weakref.ref(net.first.weight)
        del net
        assert parameter() is None
    finally:
        gc.enable()


def test_prints_as_pytorch():
    torch = pytest.importorskip("torch")

    def build(n):
        return n.Sequential(
            n.Linear(4, 3),
            n.ReLU(),
            n.Sequential(n.Linear(3, 2, bias=False), n.LeakyReLU(0.1), n.ReLU(inplace=True)),
            n.Flatten(),
            n.ModuleList([n.Identity(), n.GELU(), n.GELU(), n.Softmax(dim=1), n.ELU(), n.Softplus(), n.SiLU()]),
            n.ModuleDict({"loss": n.CrossEntropyLoss()}),
        )

    assert repr(build(nn)) == repr(build(torch.nn))

    class Described(nn.Module):
        def extra_repr(self):
            return "one=1\ntwo=2"

    class Theirs(torch.nn.Module):
        extra_repr = Described.extra_repr

    Theirs.__name__ = "Described"
    assert repr(nn.Sequential(Described())) == repr(torch.nn.Sequential(Theirs()))


def test_containers():
    a, b, c = nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 3)
    net = nn.Sequential(a, b, c)
    assert len(net) == 3 and net[-1] is c and list(net[:2]) == [a, b] and net[1] is b
    net[1] = nn.Tanh()
    assert isinstance(net[1], nn.Tanh) and len(net) == 3
    del net[1]
    assert list(net._modules) == ["0", "1"] and net[1] is c
    net.append(b).insert(0, b)
    assert [m for m in net] == [b, a, c, b]
    assert net.pop() is b and len(net) == 3
    with pytest.raises(IndexError, match="out of range"):
        net[7]
    named = nn.Sequential({"in": a, "out": c})
    assert [name for name, _ in named.named_children()] == ["in", "out"]
    layers = nn.ModuleList([a]) + [c]
    layers.extend([b])
    assert len(layers) == 3 and len(list(layers.parameters())) == 4


def test_buffers_by_assignment():
    net = nn.Module()
    net.mean = nn.Buffer(ag.zeros(2))
    net.seen = nn.Buffer(ag.zeros(1), persistent=False)
    assert [name for name, _ in net.named_buffers()] == ["mean", "seen"] and list(net.state_dict()) == ["mean"]
    net.mean = nn.Buffer(ag.ones(2), persistent=False)
    assert list(net.state_dict()) == [] and net.get_buffer("mean").tolist() == [1, 1]
    with pytest.raises(TypeError, match="takes a Tensor"):
        nn.Buffer([1.0])
    with pytest.raises(AttributeError, match="no buffer 'var'"):
        net.get_buffer("var")


def test_submodules_are_put_in_place():
    net = Net()
    net.set_submodule("rest.1", nn.Identity(), strict=True)
    assert isinstance(net.rest[1], nn.Identity)
    net.set_submodule("extra", nn.ReLU())
    assert isinstance(net.extra, nn.ReLU)
    for target, error in (("", ValueError), ("rest.7", AttributeError), ("gone.1", AttributeError)):
        with pytest.raises(error):
            net.set_submodule(target, nn.ReLU(), strict=True)
    with pytest.raises(ValueError, match="not an nn.Module"):
        net.set_submodule("rest.1", 3)
    with pytest.raises(KeyError, match="contain"):
        setattr(net, "a.b", nn.ReLU())


def test_train_calls_that_of_the_parts():
    class Frozen(nn.Sequential):
        def train(self, mode=True):
            return super().train(False)

    net = nn.Sequential(Frozen(nn.Dropout()), nn.Dropout())
    assert [m.training for m in net.train().modules()] == [True, False, False, True]


def test_conversions():
    net = Net()
    assert net.type(ag.float16).seen.dtype == ag.float16 and net.bfloat16().scale.dtype == ag.bfloat16
    assert net.to(dtype=ag.float32, non_blocking=True).scale.dtype == ag.float32 and net.half().scale.dtype == ag.float16
    weight = net.first.weight
    net.to_empty(device="cpu")
    assert net.first.weight is weight and weight.shape == (3, 4)
    with pytest.raises(TypeError, match="unexpected keyword argument 'where'"):
        net.to(where="cpu")


def test_gradients_become_zero_even_where_they_were_nan():
    w = nn.Linear(1, 1)
    w.weight.grad = ag.tensor([[float("nan")]])
    w.zero_grad(set_to_none=False)
    assert w.weight.grad.tolist() == [[0]]


def both(lib):
    """A module with what state_dict can have: extra state, a version, shared and absent parts."""

    class Part(lib.nn.Module):
        _version = 3

        def __init__(self):
            super().__init__()
            self.weight = lib.nn.Parameter(lib.ones(2))
            self.register_parameter("bias", None)
            self.register_buffer("count", lib.tensor(0))
            self.extra = {"steps": 1}
            self.seen = []

        def get_extra_state(self):
            return dict(self.extra)

        def set_extra_state(self, state):
            self.extra = state

        def _load_from_state_dict(self, state, prefix, metadata, *rest):
            self.seen.append((prefix, metadata.get("version")))
            if prefix + "old" in state:
                state[prefix + "weight"] = state.pop(prefix + "old")
            super()._load_from_state_dict(state, prefix, metadata, *rest)

    net = lib.nn.Module()
    net.a, net.b, net.c = Part(), Part(), None
    net.d = net.a
    return net


def test_state_of_all_kinds():
    torch = pytest.importorskip("torch")
    ours, theirs = both(ag), both(torch)
    state, wanted = ours.state_dict(), theirs.state_dict()
    assert list(state) == list(wanted) and state._metadata == wanted._metadata
    assert ours.state_dict(prefix="net.", keep_vars=True)["net.a.weight"] is ours.a.weight
    destination = {}
    assert ours.b.state_dict(destination=destination) is destination and len(destination) == 3
    for lib, net, given in ((ag, ours, state), (torch, theirs, wanted)):
        given["b._extra_state"] = {"steps": 7}
        given["b.old"] = lib.zeros(2)
        del given["b.weight"]
        given["b.count"] = lib.tensor([5])  # one element where there is a number
        net.load_state_dict(given)
        assert net.b.extra == {"steps": 7} and net.b.weight.tolist() == [0, 0] and net.b.count.item() == 5
    assert ours.a.seen == theirs.a.seen and ours.b.seen == theirs.b.seen


def test_messages_are_pytorchs():
    torch = pytest.importorskip("torch")
    messages = []
    for lib in (ag, torch):
        net = both(lib)
        state = net.state_dict()
        state["a.weight"] = lib.ones(3)
        state["b.weight"] = 3
        state["e.weight"] = state["a.other"] = lib.ones(1)
        del state["b.count"], state["b._extra_state"]
        with pytest.raises(RuntimeError) as caught:
            net.load_state_dict(state)
        messages.append(str(caught.value).replace("torch.", "").replace("autograd_gpu.core.tensor.", ""))
        with pytest.raises(RuntimeError, match="size mismatch"):
            net.load_state_dict(state, strict=False)
        state["a.weight"], state["b.weight"] = lib.ones(2), lib.ones(2)
        found = net.load_state_dict(state, strict=False)
        messages.append((*map(list, found), repr(found)))
        with pytest.raises(TypeError, match="Expected state_dict to be dict-like"):
            net.load_state_dict([1])
    (ours, keys), (theirs, wanted) = messages[:2], messages[2:]
    assert keys == wanted and ours.replace("Tensor or", "Tensor or").split("\n") == theirs.split("\n")


def test_loading_by_assignment_takes_the_arrays():
    net, other = Net(), Net().double()
    weight, state = net.first.weight, other.state_dict()
    net.load_state_dict(state, assign=True)
    assert net.first.weight is weight and weight.array is other.first.weight.array and weight.dtype == ag.float64
    assert weight.requires_grad and weight.is_leaf


def test_modules_of_pytorchs_second_name():
    from autograd_gpu.nn import modules

    assert modules.Linear is nn.Linear and modules.module.Module is nn.Module
    with pytest.raises(AttributeError, match="Lineal"):
        modules.Lineal  # noqa: B018


@pytest.mark.parametrize("name", ["ReLU", "LeakyReLU", "ELU", "SiLU", "GELU", "Softplus", "Sigmoid", "Tanh"])
def test_activations_compute_as_pytorch(name):
    torch = pytest.importorskip("torch")
    x = np.linspace(-3, 3, 12).reshape(3, 4)
    np.testing.assert_allclose(getattr(nn, name)()(ag.tensor(x)).array, getattr(torch.nn, name)()(torch.tensor(x)), atol=1e-7)


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
def test_softmaxes_compute_as_pytorch(name):
    torch = pytest.importorskip("torch")
    x = np.linspace(-3, 3, 12).reshape(3, 4)
    np.testing.assert_allclose(getattr(nn, name)(dim=1)(ag.tensor(x)).array, getattr(torch.nn, name)(dim=1)(torch.tensor(x)))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("CrossEntropyLoss", {}),
        ("CrossEntropyLoss", {"reduction": "sum", "ignore_index": 1}),
        ("CrossEntropyLoss", {"label_smoothing": 0.1}),
        ("NLLLoss", {"reduction": "none"}),
        ("MSELoss", {}),
        ("MSELoss", {"reduction": "sum"}),
    ],
)
def test_losses_compute_as_pytorch(name, options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 3))
    y = rng.normal(size=(5, 3)) if name == "MSELoss" else rng.integers(0, 3, 5)
    ours, theirs = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    loss, expected = getattr(nn, name)(**options)(ours, ag.tensor(y)), getattr(torch.nn, name)(**options)(theirs, torch.tensor(y))
    np.testing.assert_allclose(loss.array, expected.detach().numpy(), rtol=1e-12)
    loss.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(ours.grad.array, theirs.grad.numpy(), rtol=1e-10, atol=1e-15)


def test_linear_computes_as_pytorch():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Linear(4, 3)
    ours = nn.Linear(4, 3)
    ours.load_state_dict({name: ag.tensor(t.numpy()) for name, t in theirs.state_dict().items()})
    for shape in [(4,), (5, 4), (2, 5, 4), (0, 4)]:
        x = np.random.default_rng(0).normal(size=shape).astype("float32")
        np.testing.assert_allclose(ours(ag.tensor(x)).array, theirs(torch.tensor(x)).detach(), rtol=1e-5, atol=1e-6)
    with pytest.raises(RuntimeError, match="shapes"):
        ours(ag.ones(2, 3))


def test_linear_starts_within_pytorchs_bounds():
    layer = nn.Linear(100, 1000)
    for p in layer.parameters():
        assert float(p.abs().max()) <= 0.1 and float(p.std()) == pytest.approx(0.1 / np.sqrt(3), rel=0.05)
    assert nn.Linear(3, 2, dtype=ag.float64).weight.dtype == ag.float64


def test_the_same_seed_gives_the_same_weights():
    weights = []
    for seed in (1, 1, 2):
        ag.manual_seed(seed)
        weights.append(nn.Linear(5, 5).weight.numpy(force=True))
    assert np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])


def test_a_call_costs_little_more_than_forward():
    """At most 0.3 us, or half as much as the plain call again on a slow machine. The best of many short turns, as the machine is
    busy in most of them."""
    import timeit

    class Nothing(nn.Module):
        def forward(self, x):
            return x

    module = Nothing()
    plain = min(timeit.repeat(lambda: module.forward(1), number=2000, repeat=100)) / 2000
    called = min(timeit.repeat(lambda: module(1), number=2000, repeat=100)) / 2000
    assert called - plain < max(0.3e-6, 2 * plain)
