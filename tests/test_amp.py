"""Mixed precision: which dtype each function computes in, that nothing is left behind, and the scaler's steps, as in PyTorch."""

from __future__ import annotations

import copy
import math
import pickle
import threading
import warnings

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import amp, nn
from autograd_gpu.amp import casting
from autograd_gpu.core.between import slot
from autograd_gpu.core.graph import words
from autograd_gpu.nn import functional as F  # noqa: N812

HALVES = pytest.mark.parametrize("dtype", [ag.float16, ag.bfloat16], ids=["float16", "bfloat16"])


def on(dtype=ag.bfloat16, **options):
    return ag.autocast("cpu", dtype, **options)


# -- the lists -----------------------------------------------------------------------------------------------------------------


def test_every_name_on_the_lists_is_a_function():
    names = [name for names, _ in casting.POLICIES for name in names]
    assert [name for name in names if not casting.functions_named(name)] == []
    assert len(names) == len(set(names))


A, V, B, T = (3, 3), (3,), (2, 3, 3), (2, 3, 6, 6)
LOW = {  # computed in autocast's dtype; the numbers are shapes of float32 tensors
    "matmul": (A, A), "mm": (A, A), "bmm": (B, B), "mv": (A, V), "addmm": (A, A, A), "addmv": (V, A, V), "addr": (A, V, V),
    "addbmm": (A, B, B), "baddbmm": (B, B, B), "chain_matmul": (A, A, A), "linear": (A, A, V), "prelu": (A, (1,)),
    "conv1d": ((2, 3, 6), (4, 3, 3)), "conv2d": (T, (4, 3, 3, 3)), "conv_transpose2d": (T, (3, 4, 3, 3)),
    "scaled_dot_product_attention": (B, B, B),
}  # fmt: skip
HIGH = {  # computed in float32; the shapes are of tensors in 16 bits
    **{n: (A,) for n in ("acos asin cosh erfinv exp expm1 log log10 log1p log2 reciprocal rsqrt sinh tan softplus prod sum "
                         "norm").split()},
    "cdist": (A, A), "cosine_similarity": (A, A), "layer_norm": (A, V), "group_norm": (T, 3), "rms_norm": (A, V),
    "binary_cross_entropy_with_logits": (A, A), "huber_loss": (A, A), "kl_div": (A, A), "l1_loss": (A, A), "mse_loss": (A, A),
    "smooth_l1_loss": (A, A), "soft_margin_loss": (A, A), "poisson_nll_loss": (A, A), "logsumexp": (A, 1), "softmax": (A, 1),
    "log_softmax": (A, 1), "cumsum": (A, 1), "cumprod": (A, 1), "pow": (A, 2),
}  # fmt: skip
SAME = {"relu": (A,), "tanh": (A,), "add": (A, A), "mul": (A, A), "mean": (A,), "cat": ([A, A],), "max_pool2d": (T, 2)}


def called(name, args, dtype):
    def made(a):
        if isinstance(a, list):
            return [made(x) for x in a]
        return ag.full(a, 0.5, dtype=dtype) if isinstance(a, tuple) else a

    given = [made(a) for a in args]
    if name in ("layer_norm", "rms_norm"):
        given[1] = (3,)
    return (getattr(F, name, None) or getattr(ag, name))(*given)


@HALVES
@pytest.mark.parametrize("name", LOW)
def test_products_compute_in_sixteen_bits(name, dtype):
    with on(dtype):
        assert called(name, LOW[name], ag.float32).dtype == dtype
        assert called(name, LOW[name], ag.float64).dtype == ag.float64
    assert called(name, LOW[name], ag.float32).dtype == ag.float32


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@HALVES
@pytest.mark.parametrize("name", HIGH)
def test_what_needs_the_range_computes_in_float32(name, dtype):
    with on(dtype):
        assert called(name, HIGH[name], dtype).dtype == ag.float32
        assert called(name, HIGH[name], ag.float64).dtype == ag.float64
    assert called(name, HIGH[name], dtype).dtype == dtype


@pytest.mark.parametrize("name", SAME)
def test_the_others_compute_as_ever(name):
    with on():
        for dtype in (ag.float32, ag.bfloat16):
            assert called(name, SAME[name], dtype).dtype == dtype


def test_operators_methods_and_keywords():
    a, h = ag.ones(2, 2), ag.ones(2, 2, dtype=ag.bfloat16)
    with on():
        assert (a @ a).dtype == a.mm(a).dtype == ag.bfloat16 and (h**2).dtype == (2**h).dtype == h.exp().dtype == ag.float32
        assert ag.addmm(input=a, mat1=a, mat2=a, beta=2).dtype == ag.einsum("ij,jk->ik", a, a).dtype == ag.bfloat16
        assert h.sum(dtype=ag.bfloat16).dtype == h.softmax(0, ag.bfloat16).dtype == ag.bfloat16
        assert ag.dot(a[0], h[0]).dtype == ag.tensordot(h, a).dtype == ag.float32 and ag.dot(h[0], h[0]).dtype == ag.bfloat16
        assert (a + h).dtype == ag.cat([a, h]).dtype == ag.float32 and ag.ones(2, dtype=ag.int64).sum().dtype == ag.int64
        assert h.exp_().dtype == ag.bfloat16
    assert h.log_().dtype == ag.bfloat16


LAYERS = {
    "Linear": (lambda: nn.Linear(6, 4), "low"), "Conv1d": (lambda: nn.Conv1d(3, 4, 3), "low"),
    "LSTM": (lambda: nn.LSTM(6, 4, 2), "low"), "GRU": (lambda: nn.GRU(6, 4, bidirectional=True), "low"),
    "RNN": (lambda: nn.RNN(6, 4), "low"), "MultiheadAttention": (lambda: nn.MultiheadAttention(6, 2), "low"),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), "input"), "InstanceNorm1d": (lambda: nn.InstanceNorm1d(3, True), "input"),
    "LayerNorm": (lambda: nn.LayerNorm(6), "float32"), "GroupNorm": (lambda: nn.GroupNorm(1, 3), "float32"),
    "Dropout": (lambda: nn.Dropout(0.5), "input"), "ReLU": (lambda: nn.ReLU(), "input"),
    "Softmax": (lambda: nn.Softmax(1), "float32"),
}  # fmt: skip


@HALVES
@pytest.mark.parametrize("name", LAYERS)
def test_layers_take_both(name, dtype):
    make, wanted = LAYERS[name]
    for given in (ag.float32, dtype):
        layer, x = make(), ag.randn(2, 3, 6).to(given).requires_grad_()
        with on(dtype):
            out = layer(x, x, x) if name == "MultiheadAttention" else layer(x)
            out = out[0] if isinstance(out, tuple) else out
        assert out.dtype == {"low": dtype, "input": given, "float32": ag.float32}[wanted]
        out.float().sum().backward()
        assert x.grad.dtype == given and all(p.grad.dtype == ag.float32 for p in layer.parameters())


# -- where it holds --------------------------------------------------------------------------------------------------------------


def kind():
    return (ag.ones(2, 2) @ ag.ones(2, 2)).dtype


def test_contexts_nest_and_end():
    codes = {listed.function: listed.function.__code__ for listed in casting._listed()}
    assert "<lambda>" not in {code.co_name for f, code in codes.items() if hasattr(f, "op")}
    with on(ag.float16):
        assert kind() == ag.float16 and amp.get_autocast_dtype("cpu") == ag.float16
        with on():
            assert kind() == ag.bfloat16
            with on(enabled=False):
                assert kind() == ag.float32 and not ag.is_autocast_enabled("cpu")
            assert kind() == ag.bfloat16 and ag.is_autocast_enabled("cpu") and not ag.is_autocast_enabled("cuda")
        with pytest.raises(ZeroDivisionError), on():
            kind() / 0 if kind() is None else 1 / 0
        assert kind() == ag.float16
    assert kind() == ag.float32 and amp.get_autocast_dtype("cpu") == ag.bfloat16
    assert all(f.__code__ is code for f, code in codes.items())
    assert not any("_call" in (f.__kwdefaults__ or {}) for f in codes)
    assert slot.call is None


def test_as_a_decorator():
    @on()
    def decorated(again):
        return kind(), decorated(False) if again else None

    assert decorated(True) == (ag.bfloat16, (ag.bfloat16, None)) and kind() == ag.float32


def test_other_threads_go_on_as_ever():
    found, inside, done = [], threading.Event(), threading.Event()

    def other():
        inside.wait(10)
        found.append(kind())
        with on(ag.float16):
            found.append(kind())
            done.set()
            left.wait(10)
            found.append(kind())

    left = threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    with on():
        inside.set()
        done.wait(10)
        found.append(kind())
    assert kind() == ag.float32
    left.set()
    thread.join()
    assert found == [ag.float32, ag.float16, ag.bfloat16, ag.float16] and casting._active == [0]


def test_refusals():
    torch = pytest.importorskip("torch")
    for autocast in (ag.autocast, torch.autocast):
        with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
            autocast(3)
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'meta'"):
        ag.autocast("meta")
    with pytest.warns(UserWarning, match="not supported. Disabling"), on(ag.float64):
        assert kind() == ag.float32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ag.autocast("cuda"):  # off, or another device's: CPU tensors are as ever
            assert kind() == ag.float32
    with pytest.raises(RuntimeError, match="unknown device type"):
        amp.is_autocast_enabled("tpu")


# -- gradients -------------------------------------------------------------------------------------------------------------------


def test_casts_are_part_of_the_graph():
    rng = np.random.default_rng(0)
    w, b, x = (ag.tensor(rng.normal(size=s).astype("float32"), requires_grad=True) for s in ((4, 3), (4,), (5, 3)))
    with on():
        loss = F.softmax(F.linear(x, w, b), 1).log().pow(2).sum()
    assert loss.dtype == ag.float32
    got = ag.autograd.grad(loss, (w, b, x))
    low = [t.detach().bfloat16().requires_grad_() for t in (w, b, x)]
    plain = F.softmax(F.linear(low[2], low[0], low[1]).float(), 1).log().pow(2).sum()
    for mine, wanted in zip(got, ag.autograd.grad(plain, low), strict=True):
        assert mine.dtype == ag.float32 and ag.allclose(mine, wanted.float())


def test_backward_inside_and_second_order():
    results = []
    for context in (on(), on(enabled=False)):
        w = ag.tensor([[0.5, -1.0], [0.25, 2.0]], requires_grad=True)  # exact in 16 bits
        with context:
            y = (w @ w).sum()
            (g,) = ag.autograd.grad(y, w, create_graph=True)
            assert g.dtype == ag.float32
            (g * g).sum().backward()
        assert w.grad.dtype == ag.float32
        results.append(w.grad.numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-2)


def test_training_follows_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 8)).astype("float32"), rng.integers(0, 4, 32)
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
    ours = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    ours.load_state_dict({name: ag.tensor(t.numpy()) for name, t in theirs.state_dict().items()})
    losses = []
    for lib, net in ((ag, ours), (torch, theirs)):
        optimizer = lib.optim.SGD(net.parameters(), lr=0.5)
        found = []
        for _ in range(10):
            optimizer.zero_grad()
            with lib.autocast("cpu", dtype=lib.bfloat16):
                loss = lib.nn.functional.cross_entropy(net(lib.tensor(x)).float(), lib.tensor(y))
            loss.backward()
            optimizer.step()
            found.append(float(loss.detach()))
        losses.append(found)
    np.testing.assert_allclose(losses[0], losses[1], rtol=2e-2)
    assert losses[0][-1] < 0.9 * losses[0][0]


def casts_of(t):
    nodes, stack = set(), [t.node]
    while stack:
        node = stack.pop()
        if node not in nodes:
            nodes.add(node)
            stack.extend(node.edges)
    return sum(node.name() == words.cast.op.name for node in nodes)


def test_a_parameter_is_cast_once():
    w, x = ag.ones(2, 2, requires_grad=True), ag.ones(2, 2)
    with on():
        a = x @ w
        assert casts_of(a + x @ w) == 1
        with on(enabled=False), ag.no_grad():
            w += 1
        b = x @ w
        assert casts_of(a + b) == 2 and b.tolist() == [[4, 4], [4, 4]]  # written since: cast anew
        with ag.no_grad():
            assert not (x @ w).requires_grad
        assert (x @ w).requires_grad
        amp.clear_autocast_cache()
        assert casts_of(b + x @ w) == 2
    assert not casting.state.casts
    with on(cache_enabled=False):
        assert casts_of(x @ w + x @ w) == 2 and not amp.is_autocast_cache_enabled()
    assert amp.is_autocast_cache_enabled()


def test_several_steps_in_one_autocast():
    layer = nn.Linear(2, 2)
    with on():
        for _ in range(2):
            layer(ag.ones(1, 2)).sum().backward()
    assert layer.bias.grad.tolist() == [2, 2]


@pytest.mark.parametrize("cast_inputs", [None, "float32"])
def test_functions_of_ones_own(cast_inputs):
    seen = []

    class Product(ag.autograd.Function):
        @staticmethod
        @amp.custom_fwd(device_type="cpu", cast_inputs=cast_inputs)
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            seen.append((a.dtype, ag.is_autocast_enabled("cpu")))
            return a.mm(b)

        @staticmethod
        @amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            seen.append(ag.is_autocast_enabled("cpu"))
            return g.mm(b.t()), a.t().mm(g)

    a = ag.ones(2, 2, requires_grad=True)
    with on():
        out = Product.apply(a.bfloat16(), ag.ones(2, 2))
    out.sum().backward()
    if cast_inputs is None:
        assert out.dtype == ag.bfloat16 and seen == [(ag.bfloat16, True), True]
    else:
        assert out.dtype == ag.float32 and seen == [(ag.float32, False), False]
    assert a.grad.dtype == ag.float32 and a.grad.tolist() == [[2, 2], [2, 2]]
    assert Product.apply(a, a).dtype == ag.float32 and seen[-1] == (ag.float32, False)


# -- the scaler ------------------------------------------------------------------------------------------------------------------


def run_scaler(lib, factors, **options):
    """Scales, parameters and state after steps with gradients `factors`."""
    w = lib.nn.Parameter(lib.ones(2))
    optimizer = lib.optim.SGD([w], lr=0.125, momentum=0.5)
    scaler = lib.amp.GradScaler("cpu", **options)
    trace = []
    for k, factor in enumerate(factors):
        optimizer.zero_grad()
        scaler.scale((w * factor).sum()).backward()
        if k % 2:
            scaler.unscale_(optimizer)
            lib.nn.utils.clip_grad_norm_([w], 2.0)
        scaler.step(optimizer)
        scaler.update()
        trace.append((scaler.get_scale(), w.tolist()))
    state = scaler.state_dict()
    other = lib.amp.GradScaler("cpu")
    other.load_state_dict(state)
    assert other.state_dict() == state
    return trace, state


@pytest.mark.parametrize(
    "options", [{}, {"init_scale": 8.0, "growth_interval": 2}, {"growth_factor": 4.0, "backoff_factor": 0.25}, {"enabled": False}]
)
def test_the_scaler_steps_as_pytorchs(options):
    torch = pytest.importorskip("torch")
    factors = [1.0, 2.0, 3.0, math.inf, 1.0, math.nan, 1.0, 1.0, 2.0]
    if options.get("enabled") is False:
        factors = [1.0, 2.0]
        (ours, state), (theirs, wanted) = (
            (lib.amp.GradScaler("cpu", enabled=False).get_scale(), lib.amp.GradScaler("cpu", enabled=False).state_dict())
            for lib in (ag, torch)
        )
        assert ours == theirs == 1 and state == wanted == {}
        return
    ours, theirs = run_scaler(ag, factors, **options), run_scaler(torch, factors, **options)
    assert ours[1] == theirs[1]
    for (scale, w), (scale_, w_) in zip(ours[0], theirs[0], strict=True):
        assert scale == scale_ and w == pytest.approx(w_, rel=1e-6)


def test_what_scale_takes():
    scaler = amp.GradScaler("cpu", init_scale=4.0)
    a, h = ag.ones(2), ag.tensor(2.0, dtype=ag.float16)
    assert scaler.scale(a).tolist() == [4, 4] and scaler.scale(h).dtype == ag.float32
    scaled = scaler.scale([a, (a, h)])
    assert scaled[1][1].item() == 8 and isinstance(scaled, list) and isinstance(scaled[1], tuple)
    with pytest.raises(ValueError, match="must be a Tensor or an iterable"):
        scaler.scale(3)


def test_calls_in_the_wrong_order_are_refused():
    torch = pytest.importorskip("torch")
    for lib in (ag, torch):
        w = lib.nn.Parameter(lib.ones(2))
        optimizer, scaler = lib.optim.SGD([w], lr=0.1), lib.amp.GradScaler("cpu")
        with pytest.raises(AssertionError, match="No inf checks were recorded"):
            scaler.scale(w.sum())
            scaler.step(optimizer)
        scaler = lib.amp.GradScaler("cpu")
        scaler.scale(w.sum()).backward()
        scaler.unscale_(optimizer)
        with pytest.raises(RuntimeError, match="unscale_.. has already been called"):
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        with pytest.raises(RuntimeError, match="step.. has already been called"):
            scaler.step(optimizer)
        with pytest.raises(RuntimeError, match="unscale_.. is being called after step"):
            scaler.unscale_(optimizer)
        with pytest.raises(RuntimeError, match="Closure use is not currently supported"):
            scaler.step(optimizer, closure=lambda: 0)
        scaler.update()
        with pytest.raises(RuntimeError, match="source state dict is empty"):
            scaler.load_state_dict({})


def test_it_names_the_layer_that_overflowed_first():
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = ag.optim.SGD(net.parameters(), lr=0.1)
    scaler = amp.GradScaler("cpu", named_parameters=net)

    def step(spoil):
        optimizer.zero_grad()
        loss = net(ag.ones(1, 2)).sum()
        scaler.scale(loss).backward()
        spoil()
        scaler.step(optimizer)
        scaler.update()
        return loss

    before = copy.deepcopy(net.state_dict())
    step(lambda: [net[i].weight.grad.fill_(math.inf) for i in (0, 2)])
    found = scaler.overflow
    assert found.name == "2.weight" and found.shape == (4, 3) and found.of == (2, 6) and found.loss is None
    assert found.op.startswith(f"linear at {__file__}:") and found.scale == 2.0**16
    assert "first that of 2.weight [4, 3], which goes into linear" in str(found)
    assert all(ag.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))
    step(lambda: None)
    assert scaler.overflow is found and not ag.equal(before["4.weight"], net[4].weight)
    with ag.no_grad():
        net[2].weight.fill_(math.nan)
    loss = step(lambda: None)
    assert scaler.overflow.name.startswith("4.") and math.isnan(scaler.overflow.loss) and math.isnan(loss.item())


def test_names_from_the_optimizer_or_none():
    for named in (True, False):
        w = nn.Parameter(ag.ones(3))
        optimizer = ag.optim.SGD([("head.w", w)] if named else [w], lr=0.1)
        scaler = amp.GradScaler("cpu")
        scaler.scale((w * math.inf).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        assert scaler.overflow.name == ("head.w" if named else "parameter 0 of the optimizer")
        assert scaler.overflow.op is None  # the loss is gone


def test_a_scale_below_one_is_no_secret():
    w = nn.Parameter(ag.ones(3))
    optimizer, scaler = ag.optim.SGD([("w", w)], lr=0.1), amp.GradScaler("cpu", init_scale=2.0)

    def step():
        loss = (w * math.inf).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step()
    for scale in (0.5, 0.25):
        with pytest.warns(RuntimeWarning, match=f"falls to {scale}, below 1: gradients .* first that of w .*loss itself is inf"):
            step()
    assert scaler.get_scale() == 0.25


def test_two_optimizers_share_a_scaler():
    a, b = nn.Parameter(ag.ones(1)), nn.Parameter(ag.ones(1))
    first, second = ag.optim.SGD([a], lr=0.5), ag.optim.SGD([b], lr=0.5)
    scaler = amp.GradScaler("cpu", init_scale=16.0)
    scaler.scale((a + b * math.inf).sum()).backward()
    scaler.step(first)
    scaler.step(second)
    scaler.update()
    assert (a.item(), b.item(), scaler.get_scale()) == (0.5, 1.0, 8.0)


def test_gradients_in_float16_are_refused_and_scalers_pickle():
    w = nn.Parameter(ag.ones(1, dtype=ag.float16))
    optimizer, scaler = ag.optim.SGD([w], lr=0.5), amp.GradScaler("cpu")
    w.sum().backward()
    with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
        scaler.unscale_(optimizer)
    assert pickle.loads(pickle.dumps(amp.GradScaler("cpu", init_scale=3.0))).get_scale() == 3
