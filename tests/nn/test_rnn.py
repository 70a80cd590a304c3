"""Recurrent networks, their cells and packed sequences, against PyTorch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.core.graph import words
from autograd_gpu.ops import recurrent
from autograd_gpu.testing import check_grads

from ..support import close

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(3)


def numbers(*shape: int) -> np.ndarray:
    return RNG.uniform(-1, 1, shape)


def pair(name: str, *args: Any, dtype: str = "float64", **kw: Any) -> tuple[Any, Any]:
    """Our module and PyTorch's with the same parameters, which are larger than PyTorch draws them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(torch.nn, name)(*args, dtype=getattr(torch, dtype), **kw)
        ours = getattr(nn, name)(*args, dtype=dtype, **kw)
    for p in theirs.parameters():
        p.data.uniform_(-0.8, 0.8)
    ours.load_state_dict({k: ag.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    return ours, theirs


def flat(x: Any) -> list[Any]:
    return [t for part in x for t in flat(part)] if isinstance(x, (tuple, list)) else [x]


def compare(ours: Any, theirs: Any, arrays: list[np.ndarray], call: Any = lambda m, x, *hx: m(x, *hx), tolerance: float = 1e-9):
    """Values, and the gradients of the inputs and of the parameters for a random gradient of all outputs."""
    a = [ag.tensor(x, requires_grad=True) for x in arrays]
    b = [torch.tensor(x, requires_grad=True) for x in arrays]
    outs, expected = flat(call(ours, *a)), flat(call(theirs, *b))
    assert len(outs) == len(expected)
    rng, total, wanted = np.random.default_rng(0), 0, 0
    for k, (t, e) in enumerate(zip(outs, expected, strict=True)):
        close(t, e, tolerance, f"output {k}")
        w = rng.uniform(-1, 1, tuple(e.shape)).astype(arrays[0].dtype)
        total, wanted = total + (t * ag.tensor(w)).sum(), wanted + (e * torch.tensor(w)).sum()
    total.backward()
    wanted.backward()
    for k, (t, e) in enumerate(zip(a, b, strict=True)):
        close(t.grad, e.grad, tolerance, f"gradient of input {k}", scale=True)
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        close(p.grad, q.grad, tolerance, f"gradient of {name}", scale=True)


NETWORKS = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
    ("RNN", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("LSTM", {}),
    ("LSTM", {"bias": False}),
    ("LSTM", {"num_layers": 3, "bidirectional": True}),
    ("LSTM", {"batch_first": True, "bidirectional": True}),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True}),
    ("GRU", {}),
    ("GRU", {"bias": False, "bidirectional": True}),
    ("GRU", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
]
EACH = pytest.mark.parametrize("name, kw", NETWORKS, ids=lambda x: x if isinstance(x, str) else "-".join(x) or "plain")


def states(name: str, kw: dict[str, Any], batch: tuple[int, ...], size: int = 4) -> list[np.ndarray]:
    n = kw.get("num_layers", 1) * (1 + kw.get("bidirectional", False))
    h = numbers(n, *batch, kw.get("proj_size", size))
    return [h, numbers(n, *batch, size)] if name == "LSTM" else [h]


def with_states(m: Any, x: Any, *hx: Any) -> Any:
    return m(x, hx if len(hx) == 2 else hx[0])


@EACH
def test_networks(name: str, kw: dict[str, Any]) -> None:
    ours, theirs = pair(name, 3, 4, **kw)
    x = numbers(2, 5, 3) if kw.get("batch_first") else numbers(5, 2, 3)
    compare(ours, theirs, [x])
    compare(*pair(name, 3, 4, **kw), [x, *states(name, kw, (2,))], with_states)


@EACH
def test_without_a_batch(name: str, kw: dict[str, Any]) -> None:
    compare(*pair(name, 3, 4, **kw), [numbers(5, 3), *states(name, kw, ())], with_states)
    compare(*pair(name, 3, 4, **kw), [numbers(1, 3)])


@EACH
def test_empty_batches(name: str, kw: dict[str, Any]) -> None:
    """Have no results, and gradients of zeros."""
    x = numbers(0, 5, 3) if kw.get("batch_first") else numbers(5, 0, 3)
    compare(*pair(name, 3, 4, **kw), [x])
    compare(*pair(name, 3, 4, **kw), [x, *states(name, kw, (0,))], with_states)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_empty_batches_in_cells(name: str, bias: bool) -> None:
    compare(*pair(name, 3, 4, bias=bias), [numbers(0, 3)])
    compare(*pair(name, 3, 4, bias=bias), [numbers(0, 3), *[numbers(0, 4)] * (1 + (name == "LSTMCell"))], with_states)


def test_empty_batches_on_cuda(cuda_device: Any) -> None:
    if cuda_device is None:
        pytest.skip("no CUDA device")
    net = nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2).to("cuda")
    out, (h, c) = net(ag.ones(5, 0, 3, device="cuda"))
    assert (out.shape, h.shape, c.shape) == ((5, 0, 4), (4, 0, 2), (4, 0, 4)) and out.is_cuda
    (out.sum() + h.sum() + c.sum()).backward()
    assert all(p.grad.is_cuda and not p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("batch, width", [(32, 40), (64, 128)])
def test_sizes_of_real_networks(name: str, batch: int, width: int) -> None:
    """Large enough for products to be made in pieces, as small ones are not."""
    ours, theirs = pair(name, width, 128, dtype="float32", bidirectional=True)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        p.array *= 0.1
        q.data *= 0.1
    compare(ours, theirs, [numbers(3, batch, width).astype("float32")], tolerance=2e-5)


LENGTHS = [2, 5, 3, 5, 1]


def packed(m: Any, x: Any, *hx: Any) -> Any:
    rnn = (nn if isinstance(m, nn.Module) else torch.nn).utils.rnn
    sequence = rnn.pack_padded_sequence(x, LENGTHS, batch_first=m.batch_first, enforce_sorted=False)
    out, last = m(sequence, *([hx if len(hx) == 2 else hx[0]] if hx else []))
    return rnn.pad_packed_sequence(out, m.batch_first, padding_value=0.5, total_length=6)[0], last


@EACH
def test_packed_sequences(name: str, kw: dict[str, Any]) -> None:
    x = numbers(5, 5, 3)
    compare(*pair(name, 3, 4, **kw), [x], packed)
    compare(*pair(name, 3, 4, **kw), [x, *states(name, kw, (5,))], packed)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_each_output_alone(name: str, which: int) -> None:
    """Outputs without a gradient get no zeros, and the others' gradients are right."""
    if which < (3 if name == "LSTM" else 2):
        arrays = [numbers(5, 2, 3), *states(name, {}, (2,))]
        compare(*pair(name, 3, 4), arrays, lambda m, *x: flat(with_states(m, *x))[which])


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_dtypes(name: str) -> None:
    compare(*pair(name, 3, 4, dtype="float32", num_layers=2), [numbers(5, 2, 3).astype("float32")], tolerance=2e-5)
    ours, theirs = pair(name, 3, 4, dtype="float32")
    for dtype in (ag.float16, ag.bfloat16):
        x = numbers(5, 2, 3).astype("float32")
        out, last = ours.to(dtype)(ag.tensor(x, requires_grad=True).to(dtype))
        assert all(t.dtype == dtype for t in flat([out, last]))
        close(out.float(), theirs(torch.tensor(x))[0], 0.05, str(dtype))
        out.sum().backward()
        assert all(p.grad.dtype == dtype for p in ours.parameters())


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("bias", [True, False])
def test_cells(name: str, bias: bool) -> None:
    several = 2 if name == "LSTMCell" else 1
    compare(*pair(name, 3, 4, bias=bias), [numbers(2, 3)])
    compare(*pair(name, 3, 4, bias=bias), [numbers(3), *[numbers(4) for _ in range(several)]], with_states)
    compare(*pair(name, 3, 4, bias=bias), [numbers(2, 3), *[numbers(2, 4) for _ in range(several)]], with_states)
    if several == 1:
        assert repr(getattr(nn, name)(3, 4, bias=bias)) == repr(getattr(torch.nn, name)(3, 4, bias=bias))


def test_relu_cell_in_a_loop() -> None:
    def loop(m: Any, x: Any, h: Any) -> Any:
        for t in range(3):
            h = m(x[t], h)
        return h

    compare(*pair("RNNCell", 3, 4, nonlinearity="relu"), [numbers(3, 2, 3), numbers(2, 4)], loop)


@EACH
def test_second_order(name: str, kw: dict[str, Any]) -> None:
    """The gradient of the norm of the gradient, of inputs and parameters, is PyTorch's."""
    ours, theirs = pair(name, 2, 3, **kw)
    arrays = [numbers(3, 3, 2), *states(name, kw, (3,), 3)]

    def penalty(lib: Any, m: Any) -> list[Any]:
        a = [lib.tensor(x, requires_grad=True) for x in arrays]
        out, last = with_states(m, *a)
        total = sum((t * t).sum() for t in flat([out, last]))
        found = lib.autograd.grad(total, a, create_graph=True)
        sum((g * g).sum() for g in found).backward()
        return [*[x.grad for x in a], *[p.grad for p in m.parameters()]]

    expected = penalty(torch, theirs)
    for k, (g, e) in enumerate(zip(penalty(ag, ours), expected, strict=True)):
        close(g, e, 1e-8, f"second-order gradient {k}", scale=True)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_three_orders_against_differences(name: str) -> None:
    net = getattr(nn, name)(2, 2, dtype="float64", bidirectional=True)
    lengths = [3, 1]

    def run(x: Any, *weights: Any) -> Any:
        for key, w in zip(names, weights, strict=True):
            object.__setattr__(net, key, w)
        out, last = net(nn.utils.rnn.pack_padded_sequence(x, lengths))
        return (out.data, *flat(last))

    names = [key for key, _ in net.named_parameters()]
    inputs = [ag.tensor(numbers(3, 2, 2), requires_grad=True), *[p.detach().requires_grad_() for p in net.parameters()]]
    check_grads(run, inputs, order=3)


@pytest.mark.parametrize("name, kw", [NETWORKS[k] for k in (1, 2, 5, 7, 10)], ids=str)
@pytest.mark.parametrize("sizes", [None, (3, 3, 2, 1)])
def test_the_backward_of_a_layer_is_its_rule(name: str, kw: dict[str, Any], sizes: Any) -> None:
    """What the vocabulary computes equals the loop in words, on arrays as well as on tensors."""
    net = getattr(nn, name)(3, 4, dtype="float64", **kw)
    kind = {"LSTM": "lstm", "GRU": "gru"}.get(name, "rnn")
    weights = [None if w is None else w.array for w in net._parameters_of_layers()[-1]]
    width = weights[0].shape[1]
    x = numbers(9, width) if sizes else numbers(4, 3, width)
    keywords: dict[str, Any] = {"sizes": sizes, "reverse": bool(kw.get("bidirectional"))}
    if kind == "rnn":
        keywords["relu"] = kw.get("nonlinearity") == "relu"
    first = [numbers(3, weights[1].shape[1]), numbers(3, 4)][: 1 + (kind == "lstm")]
    inputs = [x, *weights[:4], *first, *([weights[4]] if kind == "lstm" else [])]
    op = getattr(words, f"{kind}_layer").op
    xp = ag.backend.cpu
    outs = getattr(xp, f"{kind}_layer")(*inputs, **keywords)
    g = [numbers(*t.shape) for t in outs[: 1 + len(first)]]
    rule = getattr(recurrent, f"_{kind}_inputs")
    kept = outs[len(g) :]
    options = [keywords.get("relu")] if kind == "rnn" else []
    fixed = [*options, sizes, keywords["reverse"], True]
    fused = rule(xp, [*g, *[None] * len(kept)], outs[0], *kept, *fixed, *inputs)
    zeros = [np.zeros_like(k) for k in kept]
    plain = rule(xp, [*g, *zeros], outs[0], *kept, *fixed, *inputs) if kept else None
    tensors = [[ag.Tensor(a) for a in group] for group in (g, [outs[0], *kept], inputs)]
    by_words = rule(words, [*tensors[0], *[None] * len(kept)], *tensors[1], *fixed, *tensors[2])
    assert op.name == f"{kind}_layer" and len(fused) == len(inputs)
    for k, (a, b) in enumerate(zip(fused, by_words, strict=True)):
        assert (a is None) == (b is None)
        if a is not None:
            close(a, b, 1e-11, f"gradient of input {k}")
            if plain is not None:
                close(plain[k], b, 1e-11, f"gradient of input {k} by words on arrays")


def test_no_gradient_of_the_input_is_computed_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    word = ag.backend.cpu.lstm_layer_backward

    def spy(*args: Any, **kw: Any) -> Any:
        asked.append(kw["dx"])
        return word(*args, **kw)

    monkeypatch.setattr(ag.backend.cpu, "lstm_layer_backward", spy)
    nn.LSTM(3, 4, num_layers=2)(ag.ones(5, 2, 3))[0].sum().backward()
    assert asked == [True, False]


@pytest.mark.parametrize("name, kw", [NETWORKS[k] for k in (2, 7, 10)], ids=str)
def test_on_cuda(name: str, kw: dict[str, Any], cuda_device: Any) -> None:
    """Values, gradients and second order are the CPU's, with packed sequences too."""
    if cuda_device is None:
        pytest.skip("no CUDA device")

    def run(device: str) -> list[Any]:
        net = getattr(nn, name)(2, 3, **kw)
        for k, p in enumerate(net.parameters()):
            p.array[...] = np.random.default_rng(k).uniform(-1, 1, tuple(p.shape))
        net.to(device)
        x = ag.tensor(np.random.default_rng(9).uniform(-1, 1, (3, 3, 2)).astype("float32")).to(device).requires_grad_()
        packed = nn.utils.rnn.pack_padded_sequence(x, [2, 3, 1], enforce_sorted=False)
        outs = [*flat(net(x)), net(packed)[0].data]
        (g,) = ag.autograd.grad(sum((t * t).sum() for t in outs), x, create_graph=True)
        (g * g).sum().backward()
        return [*outs, g, x.grad, *[p.grad for p in net.parameters()]]

    for k, (a, b) in enumerate(zip(run("cuda"), run("cpu"), strict=True)):
        assert str(a.device).startswith("cuda")
        close(a.detach().cpu(), b, 2e-4, f"result {k}", scale=True)


# -- what modules hold and say -----------------------------------------------------------------------------------------------


@EACH
def test_parameters(name: str, kw: dict[str, Any]) -> None:
    """Names, order, shapes and initialisation are PyTorch's, and weights go both ways."""
    torch.manual_seed(0)
    ag.manual_seed(0)
    theirs, ours = getattr(torch.nn, name)(3, 4, **kw), getattr(nn, name)(3, 4, **kw)
    assert [(k, tuple(v.shape)) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    assert repr(ours) == repr(theirs)
    for p in ours.parameters():
        assert float(abs(p).max()) <= 0.5 and float(p.std()) > 0.1
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    compare(ours.double(), theirs.double(), [numbers(5, 2, 3)])
    ours.flatten_parameters()
    assert [[k for k, _ in ours.named_parameters()][0]] == ["weight_ih_l0"] and len(ours.all_weights) == len(theirs.all_weights)


def test_dropout_between_layers() -> None:
    net = nn.LSTM(3, 50, num_layers=2, dropout=0.5)
    x = ag.ones(4, 2, 3)
    assert not np.array_equal(net(x)[0].detach().numpy(), net(x)[0].detach().numpy())
    plain = nn.LSTM(3, 50, num_layers=2)
    plain.load_state_dict(net.state_dict())
    net.eval()
    np.testing.assert_array_equal(net(x)[0].detach().numpy(), plain(x)[0].detach().numpy())
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        nn.GRU(3, 4, dropout=0.5)


ERRORS = [
    (lambda lib: lib.nn.RNN(3, 4, nonlinearity="sine"), ValueError, "Unknown nonlinearity"),
    (lambda lib: lib.nn.LSTM(3, 4, dropout=2), ValueError, "dropout should be a number in range"),
    (lambda lib: lib.nn.LSTM(3, 0), ValueError, "hidden_size must be greater than zero"),
    (lambda lib: lib.nn.LSTM(3.0, 4), TypeError, "input_size should be of type int, got: float"),
    (lambda lib: lib.nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size has to be smaller than hidden_size"),
    (lambda lib: lib.nn.LSTM(3, 4)(lib.ones(5, 2, 7)), RuntimeError, "must be equal to input_size. Expected 3, got 7"),
    (lambda lib: lib.nn.GRU(3, 4)(lib.ones(3)), ValueError, "GRU: Expected input to be 2D or 3D, got 1D"),
    (lambda lib: lib.nn.GRU(3, 4)(lib.ones(5, 2, 3), lib.ones(1, 3, 4)), RuntimeError, r"Expected hidden size \(1, 2, 4\), got"),
    (lambda lib: lib.nn.GRU(3, 4)(lib.ones(5, 2, 3), lib.ones(2, 4)), RuntimeError, "hx should also be 3-D but got"),
    (lambda lib: lib.nn.LSTM(3, 4)(lib.ones(5, 2, 3), (lib.ones(1, 2, 4), lib.ones(1, 2, 5))), RuntimeError, r"hidden\[1\] size"),
    (lambda lib: lib.nn.RNN(3, 4)(lib.ones(5, 2, 3, dtype=lib.float64)), ValueError, "does not match weight dtype"),
    (lambda lib: lib.nn.RNN(3, 4)(lib.ones(0, 2, 3)), RuntimeError, "Expected sequence length"),
    (lambda lib: lib.nn.LSTMCell(3, 4)(lib.ones(1, 2, 3)), ValueError, "LSTMCell: Expected input to be 1D or 2D, got 3D"),
    (
        lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(3, 2), [1, 2]),
        RuntimeError,
        "must be sorted in decreasing order",
    ),
    (lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(3, 2), [2, 0]), RuntimeError, "has to be greater than 0"),
    (lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(3, 2), [2]), RuntimeError, "to be equal to batch_size"),
    (
        lambda lib: lib.nn.utils.rnn.pad_sequence([lib.ones(3)], padding_side="top"),
        RuntimeError,
        "padding_side to be one of left or right",
    ),
]


@pytest.mark.parametrize("do, error, message", ERRORS)
def test_errors(do: Any, error: type, message: str) -> None:
    for lib in (torch, ag):
        with pytest.raises(error, match=message):
            do(lib)


# -- packing -----------------------------------------------------------------------------------------------------------------


def same(ours: Any, theirs: Any) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert str(a.dtype) == str(b.dtype).removeprefix("torch.")
            np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("rest", [(), (2,)])
@pytest.mark.parametrize("lengths, enforce", [([5, 3, 3, 1], True), ([1, 4, 2, 4], False), ([3, 3, 3, 3], True)])
def test_packing(lengths: list[int], enforce: bool, rest: tuple[int, ...], batch_first: bool) -> None:
    a, b = nn.utils.rnn, torch.nn.utils.rnn
    x = numbers(*((4, 5) if batch_first else (5, 4)), *rest)
    ours = a.pack_padded_sequence(ag.tensor(x), ag.tensor(lengths), batch_first, enforce)
    theirs = b.pack_padded_sequence(torch.tensor(x), torch.tensor(lengths), batch_first, enforce)
    same(ours[:2], theirs[:2])
    assert sorted(lengths) == sorted(lengths[i] for i in (ours.sorted_indices.tolist() if not enforce else range(4)))
    for more in ({}, {"padding_value": -1.0}, {"total_length": 7}):
        same(a.pad_packed_sequence(ours, batch_first, **more), b.pad_packed_sequence(theirs, batch_first, **more))
    same(a.unpack_sequence(ours), b.unpack_sequence(theirs))
    assert ours.to(ag.float32).data.dtype == ag.float32 and ours.to(ag.float64) is ours and not ours.is_cuda


@pytest.mark.parametrize("kw", [{}, {"batch_first": True}, {"padding_value": 2.0, "padding_side": "left"}], ids=str)
def test_padding(kw: dict[str, Any]) -> None:
    a, b = nn.utils.rnn, torch.nn.utils.rnn
    arrays = [numbers(n, 2) for n in (2, 4, 1)]
    ours, theirs = a.pad_sequence([ag.tensor(x) for x in arrays], **kw), b.pad_sequence([torch.tensor(x) for x in arrays], **kw)
    same([ours], [theirs])
    first = kw.get("batch_first", False)
    same(a.unpad_sequence(ours, [2, 4, 1], first), b.unpad_sequence(theirs, torch.tensor([2, 4, 1]), first))
    same(
        a.pack_sequence([ag.tensor(x) for x in arrays], enforce_sorted=False)[:2],
        b.pack_sequence([torch.tensor(x) for x in arrays], enforce_sorted=False)[:2],
    )


def test_gradients_flow_through_packing() -> None:
    def back_and_forth(m: Any, x: Any) -> Any:
        rnn = (nn if isinstance(x, ag.Tensor) else torch.nn).utils.rnn
        return rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [2, 3], enforce_sorted=False))[0]

    compare(nn.Identity(), torch.nn.Identity(), [numbers(4, 2, 2)], back_and_forth)


# -- PyTorch's functions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
@pytest.mark.parametrize("lengths", [None, [5, 3]])
def test_functions(kind: str, lengths: Any) -> None:
    gates, count = {"lstm": 4, "gru": 3}.get(kind, 1), 2
    arrays = [numbers(5, 2, 3), numbers(count, 2, 4), *([numbers(count, 2, 4)] if kind == "lstm" else [])]
    for _ in range(count):
        arrays += [numbers(4 * gates, 3), numbers(4 * gates, 4), numbers(4 * gates), numbers(4 * gates)]

    def call(m: Any, x: Any, *rest: Any) -> Any:
        lib = ag if isinstance(x, ag.Tensor) else torch
        hx, params = (rest[:2], rest[2:]) if kind == "lstm" else (rest[0], rest[1:])
        if lengths is None:
            return getattr(lib, kind)(x, hx, params, True, 1, 0.0, True, True, False)
        packed = lib.nn.utils.rnn.pack_padded_sequence(x, lengths)
        return getattr(lib, kind)(packed.data, packed.batch_sizes, hx, params, True, 1, 0.0, True, True)

    compare(nn.Identity(), torch.nn.Identity(), arrays, call)
