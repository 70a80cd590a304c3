"""Optimizers against PyTorch's: the same numbers, the same state, the same refusals."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.backend.cpu import optim as words
from autograd_gpu.optim import SGD, Adam, AdamW
from autograd_gpu.optim.flat import blocks

SHAPES = [(5, 3), (7,), (), (2, 0), (4, 3, 2)]


def parameters(dtype="float64", shapes=SHAPES, seed=0):
    rng = np.random.default_rng(seed)
    return [ag.tensor(rng.normal(size=s).astype(dtype), requires_grad=True) for s in shapes]


def set_gradients(params, seed, without=()):
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=p.array.shape).astype(p.array.dtype) for p in params]
    for i, (p, g) in enumerate(zip(params, arrays, strict=True)):
        p.grad = None if i in without else ag.tensor(g)
    return arrays


OPTIONS = [
    (Adam, {}),
    (Adam, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}),
    (Adam, {"weight_decay": 0.1}),
    (Adam, {"amsgrad": True}),
    (Adam, {"maximize": True}),
    (Adam, {"maximize": True, "weight_decay": 0.1, "amsgrad": True}),
    (AdamW, {}),
    (AdamW, {"weight_decay": 0.3, "maximize": True}),
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "weight_decay": 0.1}),
    (SGD, {"lr": 0.1, "maximize": True}),
    (SGD, {"lr": 0.1, "maximize": True, "weight_decay": 0.1, "momentum": 0.5}),
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
]
ids = [f"{kind.__name__}-{'-'.join(options)}" for kind, options in OPTIONS]


@pytest.mark.parametrize(("kind", "options"), OPTIONS, ids=ids)
@pytest.mark.parametrize("piece", [words.PIECE, 4], ids=["whole", "pieces"])
def test_same_path_as_pytorch(kind, options, piece, monkeypatch):
    """Thirty steps, in some of which some parameters have no gradient, with large parameters cut into pieces or not."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(words, "PIECE", piece)
    ours = parameters()
    theirs = [torch.nn.Parameter(torch.tensor(p.numpy(force=True).copy())) for p in ours]
    arrays = [p.array for p in ours]
    optimizer, oracle = kind(ours, **options), getattr(torch.optim, kind.__name__)(theirs, **options)
    for step in range(30):
        without = {0: (4,), 5: (0, 3), 6: (1,), 7: (0, 1, 2, 3, 4)}.get(step, ())
        gradients = set_gradients(ours, step, without)
        for i, (p, g) in enumerate(zip(theirs, gradients, strict=True)):
            p.grad = None if i in without else torch.tensor(g)
        optimizer.step()
        oracle.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.array, q.detach().numpy(), rtol=1e-10, atol=1e-12)
    assert all(p.array is a for p, a in zip(ours, arrays, strict=True)), "a parameter was given another array"
    state, expected = optimizer.state_dict(), oracle.state_dict()
    assert state["state"].keys() == expected["state"].keys()
    for number, held in expected["state"].items():
        assert set(held) == set(state["state"][number])
        for name, value in held.items():
            np.testing.assert_allclose(state["state"][number][name].array, value.numpy(), rtol=1e-9, atol=1e-12)
    assert state["param_groups"][0]["params"] == expected["param_groups"][0]["params"]
    assert state["param_groups"][0].keys() <= expected["param_groups"][0].keys()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize(("kind", "options"), [(Adam, {"lr": 0.01, "eps": 1e-3}), (SGD, {"lr": 0.01, "momentum": 0.9})])
def test_other_dtypes_stay_near_float64(kind, options, dtype):
    low = [p.to(getattr(ag, dtype)).detach().requires_grad_() for p in parameters()]
    high = [p.detach().to(ag.float64).requires_grad_() for p in low]
    optimizers = kind(low, **options), kind(high, **options)
    for step in range(5):
        set_gradients(high, step)
        for p, q in zip(low, high, strict=True):
            p.grad = q.grad.to(p.dtype)
            q.grad = p.grad.to(q.dtype)
        for optimizer in optimizers:
            optimizer.step()
    tolerance = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-6}[dtype]
    for p, q in zip(low, high, strict=True):
        assert p.dtype == getattr(ag, dtype)
        np.testing.assert_allclose(p.array.astype("float64"), q.array, rtol=tolerance, atol=tolerance)


def test_dtypes_mix_in_a_group():
    params = [*parameters("float32", [(3,)]), *parameters("float64", [(2, 2)])]
    optimizer = Adam(params, lr=0.5)
    set_gradients(params, 1)
    before = [p.array.copy() for p in params]
    optimizer.step()
    for p, old in zip(params, before, strict=True):
        np.testing.assert_allclose(np.abs(p.array - old), 0.5, rtol=1e-4)


def test_groups_have_their_own_options():
    a, b = parameters(shapes=[(3,), (3,)])
    optimizer = SGD([{"params": a}, {"params": [b], "lr": 1.0}], lr=0.5)
    before = a.array.copy(), b.array.copy()
    a.grad, b.grad = ag.ones(3, dtype=ag.float64), ag.ones(3, dtype=ag.float64)
    optimizer.step()
    np.testing.assert_allclose(before[0] - a.array, 0.5)
    np.testing.assert_allclose(before[1] - b.array, 1.0)
    optimizer.param_groups[1]["lr"] = 0.0
    optimizer.step()
    np.testing.assert_allclose(before[0] - a.array, 1.0)
    np.testing.assert_allclose(before[1] - b.array, 1.0)


def test_groups_added_and_arrays_replaced_between_steps():
    a, b = parameters(shapes=[(3,), (2,)])
    optimizer = Adam([a], lr=0.1)
    set_gradients([a, b], 0)
    optimizer.step()
    optimizer.add_param_group({"params": [b]})
    optimizer.step()
    assert float(optimizer.state[a]["step"]) == 2 and float(optimizer.state[b]["step"]) == 1
    a.array = a.array.copy()
    moved = a.array.copy()
    optimizer.step()
    assert not np.allclose(moved, a.array)
    assert float(optimizer.state[a]["step"]) == 3


@pytest.mark.parametrize("copied", ["state_dict", "deepcopy", "pickle"])
@pytest.mark.parametrize(("kind", "options"), [(Adam, {"amsgrad": True}), (SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.1})])
def test_goes_on_from_a_saved_state(kind, options, copied):
    ours = parameters()
    optimizer = kind(ours, **options)
    for step in range(3):
        set_gradients(ours, step)
        optimizer.step()
    if copied == "state_dict":
        others = [p.detach().clone().requires_grad_() for p in ours]
        other = kind(others, lr=77.0)
        other.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    else:
        other = copy.deepcopy(optimizer) if copied == "deepcopy" else pickle.loads(pickle.dumps(optimizer))
        others = other.param_groups[0]["params"]
    for step in range(3, 6):
        set_gradients(ours, step)
        set_gradients(others, step)
        optimizer.step()
        other.step()
    for p, q in zip(ours, others, strict=True):
        assert p is not q
        np.testing.assert_array_equal(p.array, q.array)


def test_reads_a_state_of_pytorch():
    torch = pytest.importorskip("torch")
    theirs = [torch.nn.Parameter(torch.ones(3, dtype=torch.float64))]
    oracle = torch.optim.Adam(theirs, lr=0.1)
    ours = [ag.ones(3, dtype=ag.float64, requires_grad=True)]
    optimizer = Adam(ours)
    for step in range(4):
        g = np.arange(3.0) + step
        theirs[0].grad, ours[0].grad = torch.tensor(g), ag.tensor(g)
        oracle.step()
        if step == 2:
            state = oracle.state_dict()
            state["state"] = {0: {k: ag.tensor(v.numpy()) for k, v in state["state"][0].items()}}
            optimizer.load_state_dict(state)
            ours[0].array[...] = theirs[0].detach().numpy()
        elif step > 2:
            optimizer.step()
    np.testing.assert_allclose(ours[0].array, theirs[0].detach().numpy(), rtol=1e-12)


def test_state_shows_what_is_used():
    p = ag.ones(3, requires_grad=True)
    optimizer = Adam([p])
    assert len(optimizer.state) == 0
    p.grad = ag.ones(3)
    optimizer.step()
    held = optimizer.state[p]
    first = held["exp_avg"].array.copy()
    optimizer.step()
    assert not np.array_equal(held["exp_avg"].array, first)
    assert float(held["step"]) == 2 and held["exp_avg"].shape == (3,)


def test_views_of_parameters_see_the_update_and_saved_arrays_notice_it():
    w = ag.ones(2, 3, requires_grad=True)
    view = w.detach()[0]
    x = ag.ones(3, requires_grad=True)
    y = (w * x).sum()
    w.grad = ag.ones(2, 3)
    SGD([w], lr=0.5).step()
    np.testing.assert_array_equal(view.array, 0.5)
    with pytest.raises(RuntimeError, match=r"SGD\.step at .*test_optimizers\.py"):
        y.backward()


def test_no_temporaries_of_parameter_size():
    """An Adam step of a million parameters allocates nothing near their size."""
    import tracemalloc

    p = ag.zeros(1000, 1000, requires_grad=True)
    p.grad = ag.ones(1000, 1000)
    optimizer = Adam([p])
    optimizer.step()
    tracemalloc.start()
    optimizer.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_transposed_gradients_and_parameters():
    w = ag.zeros(3, 2, requires_grad=True)
    w.array = np.zeros((2, 3), "float32").T
    g = np.arange(6.0, dtype="float32").reshape(2, 3).T
    w.grad = ag.tensor(0.0)[None, None].expand(3, 2)
    w.grad.array = g
    SGD([w], lr=1.0).step()
    np.testing.assert_array_equal(w.array, -g)


def test_closure():
    w = ag.tensor([1.0], requires_grad=True)
    optimizer = SGD([w], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with ag.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 1.0 and w.item() == pytest.approx(0.8)


def test_zero_grad():
    w = ag.tensor([1.0], requires_grad=True)
    optimizer = SGD([w])
    w.grad = ag.ones(1)
    held = w.grad
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is held and held.item() == 0.0
    optimizer.zero_grad()
    assert w.grad is None
    optimizer.step()
    assert w.item() == 1.0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda w: SGD([]), ValueError, "empty parameter list"),
        (lambda w: SGD(w), TypeError, "iterable of Tensors"),
        (lambda w: SGD([3.0]), TypeError, "can only optimize Tensors"),
        (lambda w: SGD({w}) if False else SGD([{"params": {w}}]), TypeError, "ordered"),
        (lambda w: SGD([w * 2]), ValueError, "non-leaf"),
        (lambda w: SGD([{"params": [w]}, {"params": [w]}]), ValueError, "more than one parameter group"),
        (lambda w: SGD([w], lr=-1.0), ValueError, "Invalid learning rate: -1.0"),
        (lambda w: SGD([w], momentum=-1.0), ValueError, "Invalid momentum value"),
        (lambda w: SGD([w], nesterov=True), ValueError, "Nesterov momentum requires"),
        (lambda w: Adam([w], eps=-1.0), ValueError, "Invalid epsilon value"),
        (lambda w: Adam([w], betas=(1.0, 0.9)), ValueError, "Invalid beta parameter at index 0"),
        (lambda w: Adam([w], weight_decay=-1.0), ValueError, "Invalid weight_decay value"),
        (lambda w: Adam([w], differentiable=True), NotImplementedError, "differentiable"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make(ag.ones(2, requires_grad=True))


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
@pytest.mark.parametrize(
    "name, options", [("SGD", {}), ("Adam", {}), ("NAdam", {}), ("RMSprop", {"momentum": 0.9}), ("Adagrad", {})]
)
def test_a_parameter_that_a_group_names_again_is_updated_again(name, options):
    torch = pytest.importorskip("torch")
    with pytest.warns(UserWarning, match="duplicate parameters"):
        SGD([ag.ones(1, requires_grad=True)] * 2)
    results = []
    for ns in (ag, torch):
        p, q, idle = (ns.ones(n, dtype=ns.float64, requires_grad=True) for n in (3, 2, 1))
        optimizer = getattr(ns.optim, name)([p, q, p, idle, idle, p], lr=0.01, **options)
        for step in range(4):
            p.grad, q.grad = ns.full((3,), 1.0 + step, dtype=ns.float64), ns.ones(2, dtype=ns.float64)
            optimizer.step()
        counts = [float(optimizer.state[x]["step"]) for x in (p, q) if "step" in optimizer.state[x]]
        results.append((p.detach().numpy(), q.detach().numpy(), counts))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, 1e-12)


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
def test_a_gradient_is_unscaled_once():
    p = ag.ones(2, requires_grad=True)
    optimizer, scaler = SGD([p, p], lr=0.1), ag.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(p.sum()).backward()
    scaler.unscale_(optimizer)
    assert p.grad.tolist() == [1, 1]


def test_loading_replaces_the_groups():
    """What a scheduler noted in them does not outlive it, what the defaults say does."""
    torch = pytest.importorskip("torch")
    found = []
    for ns in (ag, torch):
        p = ns.ones(1, requires_grad=True)
        optimizer = ns.optim.SGD([p], lr=0.1)
        start = copy.deepcopy(optimizer.state_dict())
        group = optimizer.param_groups[0]
        ns.optim.lr_scheduler.StepLR(optimizer, 1)
        group["mine"] = 3
        optimizer.load_state_dict(start)
        group = optimizer.param_groups[0]
        group["lr"] = 1.0
        rates = ns.optim.lr_scheduler.ConstantLR(optimizer, 1.0).base_lrs
        found.append((rates, "mine" in group, group["momentum"], group["params"] == [p]))
    assert found[0] == found[1] == ([1.0], False, 0, True)
    old = {"state": {}, "param_groups": [{"lr": 0.5, "params": [0]}]}
    optimizer = SGD([("w", ag.ones(1, requires_grad=True))], momentum=0.9)
    optimizer.load_state_dict(old)  # of a version that had fewer options
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["param_names"]) == (0.5, 0.9, ["w"])


def test_load_state_dict_refuses_other_parameters():
    a, b = ag.ones(2, requires_grad=True), ag.ones(3, requires_grad=True)
    state = Adam([a, b]).state_dict()
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        Adam([a]).load_state_dict(state)
    with pytest.raises(ValueError, match="parameter groups"):
        Adam([{"params": a}, {"params": b}]).load_state_dict(state)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (10, 7), (3, 5, 4), (2, 30), (0, 5)])
@pytest.mark.parametrize("most", [1, 4, 7, 1000])
def test_blocks_cover_in_order(shape, most):
    array = np.arange(int(np.prod(shape))).reshape(shape)
    pieces = [array[index] for index in blocks(shape, most)]
    assert all(piece.size <= most for piece in pieces)
    np.testing.assert_array_equal(np.concatenate([p.ravel() for p in pieces]) if pieces else [], array.ravel())


@pytest.mark.parametrize("make", [lambda ps: SGD(ps, lr=0.1, momentum=0.7), lambda ps: Adam(ps, betas=(0.5, 0.6))])
def test_state_does_not_end_in_denormals(make):
    """Which take a processor a hundred times as long: where the gradients of a unit have ended, its means decay to them."""
    w = ag.ones(4, requires_grad=True)
    optimizer = make([w])
    for step in range(256):
        w.grad = ag.tensor([1.0, 1.0, 0.0, 0.0]) * (step < 2 or ag.tensor([1.0, 0.0, 0.0, 0.0]))
        optimizer.step()
    smallest = np.finfo("float32").smallest_normal
    for name, kept in optimizer.state[w].items():
        values = np.abs(np.atleast_1d(kept.numpy()))
        assert not ((values > 0) & (values < smallest)).any(), (name, values)
        assert values[0] > 0, name


OWNERS = ["SGD", "Adam", "Adagrad", "RMSprop", "NAdam"]


def rewritten(ns, name):
    """What parameters become whose group, or state, is written into between steps: in a list, the same for both frameworks."""
    p, q = ns.ones(3, requires_grad=True), ns.ones(2, requires_grad=True)
    optimizer = getattr(ns.optim, name)([p, q], lr=0.1, **({"momentum": 0.9} if name == "SGD" else {}))
    group, seen = optimizer.param_groups[0], []

    def steps():
        for _ in range(2):
            optimizer.zero_grad()
            sum(((x + 1) ** 2).sum() for x in group["params"]).backward()
            optimizer.step()
        seen.append([float(v) for x in (p, q, *group["params"]) for v in x.detach()])

    steps()
    larger = ns.nn.Parameter(p.detach() * 2)  # another tensor in the place of p, with its state
    optimizer.state[larger] = optimizer.state.pop(p)
    group["params"][0] = larger
    steps()
    part = ns.nn.Parameter(larger.detach()[:2].clone())  # a part of it, with a part of its state
    held = optimizer.state.pop(larger)
    optimizer.state[part] = {k: v[:2].clone() if getattr(v, "ndim", 0) else v for k, v in held.items()}
    group["params"][0] = part
    steps()
    group["params"].reverse()
    steps()
    kind = next(k for k, v in optimizer.state[q].items() if getattr(v, "ndim", 0))
    optimizer.state[q][kind] = ns.ones(2) * 3
    steps()
    if name != "Adagrad":  # which PyTorch gives its state when it is made
        optimizer.state.clear()
        steps()
    return seen


@pytest.mark.parametrize("name", OWNERS)
def test_groups_and_state_may_be_written_into(name):
    torch = pytest.importorskip("torch")
    for ours, theirs in zip(rewritten(ag, name), rewritten(torch, name), strict=True):
        np.testing.assert_allclose(ours, theirs, 1e-4, 1e-5)
