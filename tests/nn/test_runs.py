"""Linear layers with an activation between them, computed as one: nobody must be able to tell, but by the clock."""

from __future__ import annotations

import copy
import gc
import itertools
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.core.graph import words
from autograd_gpu.nn import runs
from autograd_gpu.ops import perceptron

from ..ops.test_saved_bytes import saved_bytes
from ..support import graph_of

ACTIVATIONS = ("relu", "gelu", "gelu_tanh")
DTYPES = ("float32", "float64", "float16", "bfloat16")
SIZES = [(6, 4), (6,), (7, 6), (7,), (3, 7), (3,)]


def inputs(dtype: str, shape: tuple[int, ...], needs: tuple[int, ...], scale: float = 1.0) -> list[Any]:
    """x and the parameters of three layers."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=size) * scale for size in (shape, *SIZES)]
    return [ag.tensor(a, dtype=getattr(ag, dtype)).requires_grad_(bool(need)) for a, need in zip(arrays, needs, strict=True)]


def apart(given: list[Any], activation: str) -> Any:
    """The ops, one after the other."""
    out = given[0]
    for i in (1, 3, 5):
        out = words.linear(out, given[i], given[i + 1])
        out = getattr(words, activation)(out) if i < 5 else out
    return out


def together(given: list[Any], activation: str) -> Any:
    return perceptron.mlp(given[0], given[1:], perceptron.layers_of(activation, 3))


def same(a: Any, b: Any) -> bool:
    return (a is None) == (b is None) and (a is None or (a.dtype == b.dtype and np.array_equal(a.array, b.array)))


NEEDS = [needs for needs in itertools.product((0, 1), repeat=7) if any(needs)]
SOME = [
    (0, 1, 1, 1, 1, 1, 1),
    (1,) * 7,
    (1, 0, 0, 0, 0, 0, 0),
    (0, 0, 1, 1, 0, 0, 1),
    (0, 0, 0, 0, 1, 1, 1),
    (1, 0, 0, 1, 0, 1, 1),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_numbers_are_those_of_the_ops(activation: str, dtype: str):
    """Bit for bit, whatever is frozen: values, gradients, and gradients that are recorded."""
    for shape in ((5, 4), (2, 3, 4), (0, 4), (300, 4)):
        for needs in NEEDS if shape == (5, 4) else SOME:
            one, other = inputs(dtype, shape, needs), inputs(dtype, shape, needs)
            y, z = together(one, activation), apart(other, activation)
            assert same(y, z) and y.requires_grad
            g = ag.tensor(np.random.default_rng(1).normal(size=y.shape), dtype=y.dtype)
            for create in (True, False):
                found, wanted = (
                    ag.autograd.grad(out, [t for t in given if t.requires_grad], g, create_graph=create)
                    for out, given in ((y, one), (z, other))
                )
                assert all(map(same, found, wanted)), (shape, needs, create)
            y, z = together(one, activation), apart(other, activation)
            y.backward(g)
            z.backward(g)
            assert all(same(a.grad, b.grad) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_higher_derivatives(activation: str):
    """The second derivative is that of the ops, and backward through it reaches every input, twice."""
    for needs in NEEDS:
        found = []
        for compute in (together, apart):
            given = inputs("float64", (5, 4), needs, 0.5)
            wanted = [t for t in given if t.requires_grad]
            y = compute(given, activation)
            first = ag.autograd.grad((y * y).sum(), wanted, create_graph=True)
            again = ag.autograd.grad((y * y * y).sum(), wanted, create_graph=True)  # through the same nodes between
            total = sum((g * g).sum() for g in first) + sum((g * h).sum() for g, h in zip(first, again, strict=True))
            found.append(ag.autograd.grad(total, wanted, create_graph=True, allow_unused=True))
            found[-1] += ag.autograd.grad(sum((g * g).sum() for g in found[-1] if g is not None), wanted, allow_unused=True)
        for a, b in zip(*found, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), 1e-11, 1e-11)


def test_some_gradients_alone():
    """autograd.grad and backward(inputs=...) of some inputs do not touch the others."""
    for wanted in itertools.product((0, 1), repeat=7):
        if any(wanted):
            one, other = inputs("float32", (5, 4), (1,) * 7), inputs("float32", (5, 4), (1,) * 7)
            pick = [i for i, want in enumerate(wanted) if want]
            found = ag.autograd.grad(together(one, "relu").sum(), [one[i] for i in pick])
            apart(other, "relu").sum().backward(inputs=[other[i] for i in pick])
            assert all(same(g, other[i].grad) for g, i in zip(found, pick, strict=True))
            together(one, "relu").sum().backward(inputs=[one[i] for i in pick])
            assert all(same(a.grad, b.grad) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_more_is_saved(activation: str):
    def kept(given: list[Any], y: Any) -> int:
        """The bytes of what nodes saved, those between the layers too."""
        between = [node.saved[0][0] for node in graph_of([y]) if node.saved and node.saved[0].__class__ is list]
        arrays = {id(a): a.nbytes for hidden in between for entry in hidden for a in entry if a is not None}
        return saved_bytes(y) + sum(arrays.values())

    for needs in NEEDS:
        one, other = inputs("float32", (5, 4), needs), inputs("float32", (5, 4), needs)
        assert kept(one, together(one, activation)) == kept(other, apart(other, activation)), needs


# -- modules ---------------------------------------------------------------------------------------------------------------------


def network(activation: Callable[[], Any] = nn.ReLU, **kw: Any) -> Any:
    ag.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6, **kw), activation(), nn.Linear(6, 5, **kw), activation(), nn.Linear(5, 3, **kw))


def one_by_one(model: Any, x: Any) -> Any:
    for module in model:
        x = module(x)
    return x


def nodes(y: Any) -> int:
    return len([node for node in graph_of([y]) if hasattr(node, "plan")])


X = ag.tensor(np.random.default_rng(0).normal(size=(5, 4)).astype("f4"))


@pytest.mark.parametrize(
    "make", [nn.ReLU, nn.GELU, lambda: nn.GELU("tanh"), lambda: nn.ReLU(inplace=True)], ids=("relu", "gelu", "tanh", "inplace")
)
@pytest.mark.parametrize("bias", [True, False])
def test_sequential(make: Callable, bias: bool):
    model = network(make, bias=bias)
    x, z = X.clone().requires_grad_(), X.clone().requires_grad_()
    y = model(x)
    assert nodes(y) == 1 and y.grad_fn.name() == "linear" and "grad_fn=<LinearBackward0>" in repr(y)
    y.sum().backward()
    found = [x.grad, *[p.grad for p in model.parameters()]]
    model.zero_grad()
    w = one_by_one(model, z)
    assert same(y, w)
    w.sum().backward()
    assert all(map(same, found, [z.grad, *[p.grad for p in model.parameters()]]))
    with ag.no_grad():
        assert same(model(x), y) and not model(x).requires_grad
    assert same(model(x[0]), one_by_one(model, x[0]))
    model.requires_grad_(False)
    assert not model(X).requires_grad and same(model(X), y)


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    for ours, theirs in ((nn.ReLU, torch.nn.ReLU), (nn.GELU, torch.nn.GELU)):
        model = network(ours).double()
        t = torch.nn.Sequential(
            *[theirs() if i % 2 else torch.nn.Linear(*n) for i, n in enumerate([(4, 6), 0, (6, 5), 0, (5, 3)])]
        )
        t = t.double()
        t.load_state_dict({k: torch.tensor(v.numpy()) for k, v in model.state_dict().items()})
        x, z = X.double().requires_grad_(), torch.tensor(X.numpy()).double().requires_grad_()
        (g,) = ag.autograd.grad((model(x) ** 2).sum(), x, create_graph=True)
        (h,) = torch.autograd.grad((t(z) ** 2).sum(), z, create_graph=True)
        ((g**2).sum() + model(x).sum()).backward()
        ((h**2).sum() + t(z).sum()).backward()
        for a, b in zip([g.detach(), x.grad, *[p.grad for p in model.parameters()]],
                        [h.detach(), z.grad, *[p.grad for p in t.parameters()]], strict=True):  # fmt: skip
            np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-9, 1e-11)


def doubled(module: Any, args: Any, out: Any) -> Any:
    return out * 2


class Mine(nn.Linear):
    pass


class Tripled(nn.Module):
    def forward(self, w: Any) -> Any:
        return w * 3


# name -> what is done to a model that was called before; whether it is still computed as one after that
CHANGES: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "nothing": (lambda m: None, True),
    "a layer replaced": (lambda m: m.__setitem__(2, nn.Linear(6, 5)), True),
    "a layer replaced in the dict": (lambda m: m._modules.update({"2": nn.Linear(6, 5)}), True),
    "an activation replaced": (lambda m: m.__setitem__(1, nn.Tanh()), False),
    "one activation of two": (lambda m: m.__setitem__(1, nn.GELU()), False),
    "all activations": (lambda m: (m.__setitem__(1, nn.GELU()), m.__setitem__(3, nn.GELU())), True),
    "a layer of the user's": (lambda m: m.__setitem__(2, Mine(6, 5)), False),
    "a parameter replaced": (lambda m: setattr(m[2], "weight", nn.Parameter(ag.ones(5, 6))), True),
    "a bias taken away": (lambda m: setattr(m[2], "bias", None), True),
    "data of a parameter": (lambda m: setattr(m[0].weight, "data", ag.ones(6, 4)), True),
    "frozen": (lambda m: m[0].requires_grad_(False), True),
    "evaluated": (lambda m: m.eval(), True),
    "a forward hook": (lambda m: m[2].register_forward_hook(doubled), False),
    "a hook of an activation": (lambda m: m[1].register_forward_hook(doubled), False),
    "a forward pre-hook": (lambda m: m[2].register_forward_pre_hook(lambda module, args: (args[0] * 2,)), False),
    "a backward hook": (lambda m: m[2].register_full_backward_hook(lambda module, gi, go: (gi[0] * 2,)), False),
    "another forward": (lambda m: setattr(m[2], "forward", lambda x: words.linear(x, m[2].weight, m[2].bias) * 2), False),
    "another class": (lambda m: setattr(m[2], "__class__", Mine), False),
    "a parametrization": (lambda m: nn.utils.parametrize.register_parametrization(m[2], "weight", Tripled()), False),
    "weight norm": (lambda m: nn.utils.parametrizations.weight_norm(m[2]), False),
    "shorter": (lambda m: m.__delitem__(slice(3, 5)), True),
    "longer": (lambda m: m.extend([nn.ReLU(), nn.Linear(3, 2)]), True),
    "something behind it": (lambda m: m.append(nn.Tanh()), False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen_at_the_next_call(change: str):
    model, (do, as_one) = network(), CHANGES[change]
    assert nodes(model(X)) == 1
    do(model)
    y = model(X)
    assert (nodes(y) == 1) == as_one
    y.sum().backward()
    found = [p.grad for p in model.parameters()]
    model.zero_grad()
    z = one_by_one(model, X)
    z.sum().backward()
    assert same(y, z) and all(map(same, found, [p.grad for p in model.parameters()]))


class Equal(nn.Module):
    """Equal to all others of its class."""

    def __init__(self, k: float):
        super().__init__()
        self.k = k

    def __eq__(self, other: Any) -> bool:
        return type(other) is Equal

    def __hash__(self) -> int:
        return 1

    def forward(self, x: Any) -> Any:
        return x * self.k


def test_modules_that_are_equal_are_not_the_same():
    model = nn.Sequential(Equal(2.0), nn.Identity())
    assert same(model(X), X * 2)
    for k, replace in enumerate((model.__setitem__, lambda _, m: model._modules.update({"0": m})), 3):
        replace(0, Equal(float(k)))
        assert same(model(X), X * k)


def test_a_module_that_was_replaced_is_freed():
    """At once: neither a later call nor the collector is needed."""
    ag.manual_seed(0)
    model, layer = network(), nn.TransformerEncoderLayer(4, 2, 6).eval()
    gc.disable()
    try:
        for owner, name, new in ((model, "2", nn.Linear(6, 5)), (model, "1", nn.ReLU()), (layer, "linear1", nn.Linear(4, 6))):
            owner(X)
            part = weakref.ref(getattr(owner, name))
            setattr(owner, name, new)
            assert part() is None, name
        model(X)
        other, part = copy.copy(model), weakref.ref(model[4])
        other(X)
        del model[3:]
        other[4] = nn.Linear(5, 3)
        assert part() is None
    finally:
        gc.enable()


def test_copies_know_their_own_modules():
    model = network()
    model(X)
    other = copy.copy(model)
    other[2] = nn.Linear(6, 5)
    for _ in range(2):
        for each in (model, other):
            assert same(each(X), one_by_one(each, X)) and nodes(each(X)) == 1
    assert not same(model(X), other(X))


def test_modules_in_another_dict():
    model = network()
    model._modules = dict(model._modules)
    assert same(model(X), one_by_one(model, X))
    model._modules["2"] = nn.Linear(6, 5)
    assert same(model(X), one_by_one(model, X)) and nodes(model(X)) == 1


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_deleted_parameter_is_named(name: str):
    model = network()
    model(X)
    delattr(model[2], name)
    with pytest.raises(AttributeError, match=f"'Linear' object has no attribute '{name}'"):
        model(X)


def test_what_is_not_alike_is_left_to_the_modules():
    """Dtypes that differ, shapes that do not fit, things that are no tensors: the errors are those of the modules."""
    model = network()
    model(X)
    for wrong in (X.double(), X[:, :3], X[0, 0], X.numpy(), None, 3.0):
        messages = []
        for call in (model, lambda x: one_by_one(model, x)):
            with pytest.raises((RuntimeError, TypeError, AttributeError)) as caught:
                call(wrong)
            messages.append((caught.type, str(caught.value)))
        assert messages[0] == messages[1]
    model[2].double()
    with pytest.raises(RuntimeError, match="same dtype"):
        model(X)
    model.double()
    assert nodes(model(X.double())) == 1


def test_hooks_of_all_modules_and_watching_for_nan():
    model, seen = network(), []
    with nn.modules.module.register_module_forward_hook(lambda module, args, out: seen.append(type(module).__name__)):
        model(X)
    assert seen == ["Linear", "ReLU", "Linear", "ReLU", "Linear", "Sequential"]
    with ag.autograd.detect_anomaly():
        y = model(X * np.inf)
        assert nodes(y) == 5
        with pytest.raises(RuntimeError, match="Function 'LinearBackward0' returned nan values"):
            y.sum().backward()
    assert nodes(model(X)) == 1


def test_the_error_of_an_overwritten_array_names_it_and_both_lines():
    model = network()
    y = model(X)  # saved here
    with ag.no_grad():
        model[2].weight.mul_(2.0)  # written here
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as caught:
        y.sum().backward()
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    lines = {mark: n for n, line in enumerate(source, 1) for mark in ("saved here", "written here") if f"# {mark}" in line}
    text = str(caught.value)
    assert f"linear at {__file__}:{lines['saved here']} saved its weight (float32 [5, 6])" in text
    assert f"{__file__}:{lines['written here']} wrote into it" in text
    x = X.clone()
    y = model(x)
    x.add_(1.0)
    with pytest.raises(RuntimeError, match=r"saved its x \(float32 \[5, 4\]\)"):
        y.sum().backward()
    y = model(X)
    with ag.no_grad():
        model[0].weight.zero_()  # which no gradient is computed from, nor from a bias
        model[2].bias.zero_()
    y.sum().backward()
    with pytest.raises(RuntimeError, match=f"a second time: what linear at {__file__}"):
        y.sum().backward()


def test_autocast():
    """As of the modules one by one: products in 16 bits, gradients in 32."""
    for make in (nn.ReLU, nn.GELU):
        model, found = network(make), []
        for call in (model, lambda x, model=model: one_by_one(model, x)):
            model.zero_grad()
            x = X.clone().requires_grad_()
            with ag.autocast("cpu", dtype=ag.bfloat16):
                y = call(x)
                assert y.dtype == ag.bfloat16
            y.sum().backward()
            found.append([y, x.grad, *[p.grad for p in model.parameters()]])
        assert all(map(same, *found)) and found[0][1].dtype == ag.float32
        with ag.autocast("cpu"):
            assert nodes(model(X)) == nodes(model(X.bfloat16())) == 1 + 6  # and a cast of each parameter


@pytest.mark.parametrize("kind", [nn.Linear, nn.ReLU])
def test_another_forward_for_a_whole_class(kind: type, monkeypatch: pytest.MonkeyPatch):
    model, calls, forward = network(), [], kind.forward
    y = model(X)
    monkeypatch.setattr(kind, "forward", lambda self, x: (calls.append(self), forward(self, x))[1])
    assert same(model(X), y) and len(calls) == sum(type(m) is kind for m in model)


def test_who_looks_at_each_output_sees_all():
    from autograd_gpu import anomaly

    model, seen = network(), []
    model(X)
    with anomaly.each_output(lambda op, place, given, out: seen.append((op, place[0].co_filename, out.shape))):
        model(X)
    ops = ["linear", "relu", "linear", "relu", "linear"]
    assert seen == [(op, __file__, (5, n)) for op, n in zip(ops, (6, 6, 5, 5, 3), strict=True)]


def test_the_layer_that_overflowed_first_is_named():
    """Of the layers that are one node, the one that backward comes to first."""
    for lost, name in ((None, "4.weight"), (4, "2.weight"), (2, "4.weight")):
        model = network()
        if lost is not None:
            model[lost].requires_grad_(False)
        optimizer = ag.optim.SGD(model.named_parameters(), lr=0.1)
        scaler = ag.amp.GradScaler("cpu", init_scale=1024.0)
        for context in (ag.autocast("cpu", dtype=ag.float16), ag.enable_grad()):
            with context:
                loss = model(X).float().sum() * 1e38
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            assert scaler.overflow.name == name and scaler.overflow.op.startswith(f"linear at {__file__}")
            optimizer.zero_grad()


@pytest.mark.parametrize("make", [nn.ReLU, nn.GELU])
def test_a_layer_that_occurs_several_times(make: type):
    """Its gradients add up in the order of the ops, so that the sums are the same bit for bit."""
    for seed in range(5):
        ag.manual_seed(seed)
        layers, active = [nn.Linear(6, 6), nn.Linear(6, 6)], make()
        model = nn.Sequential(*[m for i in (0, 1, 0, 0, 1, 0, 1) for m in (layers[i], active)][:-1])
        for needs in (True, False):
            found = []
            for call in (model, lambda x, model=model: one_by_one(model, x)):
                model.zero_grad()
                x = ag.tensor(np.random.default_rng(seed).normal(size=(9, 6)).astype("f4")).requires_grad_(needs)
                y = call(x)
                y.square().sum().backward()
                found.append([*[p.grad for p in model.parameters()], *[x.grad] * needs])
            assert nodes(model(x)) == 1
            assert all(map(same, *found))


def test_of_layers_that_occur_several_times_the_last_overflows_first():
    first, active = nn.Linear(4, 4), nn.ReLU()
    model = nn.Sequential(first, active, nn.Linear(4, 4), active, first)
    optimizer = ag.optim.SGD(model.named_parameters(), lr=0.1)
    for call in (model, lambda x: one_by_one(model, x)):
        scaler = ag.amp.GradScaler("cpu", init_scale=1024.0)
        loss = call(X).sum() * 1e38
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        assert scaler.overflow.name == "0.weight"
        optimizer.zero_grad()


def test_copies_and_pickles():
    model = network()
    y = model(X)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.copy(model)):
        assert same(other(X), y) and nodes(other(X)) == 1
    other = copy.deepcopy(model)
    with ag.no_grad():
        other[0].weight.zero_()
    assert not same(other(X), model(X)) and same(model(X), y)


def test_what_was_kept_is_freed():
    model = network()
    y = model(X)
    arrays = [weakref.ref(entry[0]) for entry in y.grad_fn.saved[0][0]]
    y.sum().backward()
    assert all(a() is None for a in arrays)
    gc.collect()
    gc.disable()
    try:
        y = model(X)
        ag.autograd.grad(y.sum(), list(model.parameters()), create_graph=True)
        node = weakref.ref(y)
        del y
        assert node() is None  # no cycle keeps it
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_transformer_layers(kind: str, monkeypatch: pytest.MonkeyPatch):
    """Their two linear layers are computed as one where no dropout comes between them."""
    ag.manual_seed(0)
    make = nn.TransformerEncoderLayer if kind == "encoder" else nn.TransformerDecoderLayer
    x, calls = ag.randn(2, 3, 8), []
    mlp = runs.mlp
    monkeypatch.setattr(runs, "mlp", lambda *given: (calls.append(given), mlp(*given))[1])
    for activation, as_one in (("relu", 1), ("gelu", 1), (ag.tanh, 0), (nn.GELU("tanh"), 1), (lambda t: t * 2, 0)):
        layer = make(8, 2, 12, dropout=0.5, activation=activation)
        given = (x,) if kind == "encoder" else (x, x)

        def counted(layer: Any = layer, given: tuple = given) -> tuple[int, Any]:
            calls.clear()
            out = layer(*given)
            return len(calls), out

        assert counted()[0] == 0
        layer.eval()
        as_found, out = counted()
        assert as_found == as_one
        handle = layer.linear1.register_forward_hook(lambda *_: None)
        as_found, wanted = counted()
        assert as_found == 0 and same(out, wanted)
        handle.remove()
        layer.linear1 = nn.Linear(8, 12)
        as_found, out = counted()
        assert as_found == as_one and not same(out, wanted)
        layer.train().dropout.p = 0.0
        assert counted()[0] == as_one


def test_another_forward_for_dropout_is_called_in_transformer_layers(monkeypatch: pytest.MonkeyPatch):
    layer, calls, forward = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.5).eval(), [], nn.Dropout.forward
    layer(X)
    monkeypatch.setattr(nn.Dropout, "forward", lambda self, x: (calls.append(self), forward(self, x))[1])
    layer(X)
    assert calls == [layer.dropout1, layer.dropout, layer.dropout2]


def test_another_function_between_the_layers_of_a_transformer():
    layer, x = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0), X
    for activation in (ag.relu, ag.nn.functional.gelu, ag.tanh, ag.relu):
        layer.activation = activation
        wanted = layer.linear2(activation(layer.linear1(x)))
        assert same(runs.feed_forward(layer, x), wanted)
        assert (nodes(runs.feed_forward(layer, x)) == 1) == (activation is not ag.tanh)
