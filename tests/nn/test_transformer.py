"""Transformer layers and stacks against PyTorch: names of weights, values, gradients, masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn

D, H, N, L, S = 8, 2, 3, 5, 7
NONE: dict[str, Any] = {"dropout": 0.0}


def encoder_layer(lib: Any, **kw: Any) -> Any:
    return lib.nn.TransformerEncoderLayer(D, H, 12, dtype=lib.float64, **{**NONE, **kw})


def decoder_layer(lib: Any, **kw: Any) -> Any:
    return lib.nn.TransformerDecoderLayer(D, H, 12, dtype=lib.float64, **{**NONE, **kw})


def encoder(lib: Any, **kw: Any) -> Any:
    norm = lib.nn.LayerNorm(D, dtype=lib.float64)
    return lib.nn.TransformerEncoder(encoder_layer(lib, **kw), 2, norm, enable_nested_tensor=False)


def decoder(lib: Any, **kw: Any) -> Any:
    return lib.nn.TransformerDecoder(decoder_layer(lib, **kw), 2)


def transformer(lib: Any, **kw: Any) -> Any:
    return lib.nn.Transformer(D, H, 1, 2, 12, dtype=lib.float64, **{**NONE, **kw})


def upper(n: int) -> np.ndarray:
    return np.triu(np.ones((n, n), bool), 1)


def added(n: int) -> np.ndarray:
    return np.triu(np.full((n, n), -np.inf), 1)


PADDING = np.array([[0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0]], bool)
FLOATS = np.random.default_rng(3).standard_normal((L, S))

# what it is: how it is made, which sequences it takes, options, masks
CASES: list[tuple[str, Callable, tuple[int, ...], dict, dict]] = [
    ("encoder layer", encoder_layer, (S,), {}, {}),
    ("encoder layer, norm first, gelu", encoder_layer, (S,), {"norm_first": True, "activation": "gelu"}, {}),
    ("encoder layer, batch first, no bias", encoder_layer, (S,), {"batch_first": True, "bias": False}, {}),
    ("encoder layer, causal", encoder_layer, (S,), {}, {"src_mask": upper(S), "is_causal": True}),
    ("encoder layer, padding", encoder_layer, (S,), {}, {"src_mask": upper(S), "src_key_padding_mask": PADDING}),
    ("decoder layer", decoder_layer, (L, S), {}, {}),
    ("decoder layer, norm first", decoder_layer, (L, S), {"norm_first": True}, {"tgt_mask": upper(L)}),
    ("decoder layer, masks", decoder_layer, (L, S), {"layer_norm_eps": 0.1}, {"tgt_mask": added(L), "memory_mask": FLOATS}),
    ("decoder layer, padding", decoder_layer, (L, S), {"batch_first": True}, {"memory_key_padding_mask": PADDING}),
    ("encoder", encoder, (S,), {}, {}),
    ("encoder, recognised", encoder, (S,), {}, {"mask": added(S)}),
    ("encoder, recognised by truth", encoder, (S,), {"batch_first": True}, {"mask": upper(S)}),
    ("encoder, another mask", encoder, (S,), {}, {"mask": FLOATS.T @ FLOATS}),
    ("decoder", decoder, (L, S), {}, {"tgt_mask": added(L), "memory_key_padding_mask": PADDING}),
    ("decoder, told", decoder, (L, S), {"norm_first": True}, {"tgt_mask": added(L), "tgt_is_causal": True}),
    ("transformer", transformer, (S, L), {}, {"tgt_mask": added(L)}),
    (
        "transformer, batch first",
        transformer,
        (S, L),
        {"batch_first": True, "norm_first": True},
        {"src_key_padding_mask": PADDING},
    ),
]


def load(ours: Any, theirs: Any, torch: Any) -> None:
    """Weights of PyTorch's into ours by name, and back."""
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    assert [tuple(v.shape) for v in ours.state_dict().values()] == [tuple(v.shape) for v in state.values()]
    ours.load_state_dict({name: ag.tensor(value.numpy()) for name, value in state.items()})
    theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in ours.state_dict().items()})


@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_values_and_gradients(torch: Any, case: tuple, batched: bool) -> None:
    _, make, lengths, kw, masks = case
    theirs, ours = make(torch, **kw), make(ag, **kw)
    load(ours, theirs, torch)
    rng = np.random.default_rng(0)
    shapes = [((N, n) if kw.get("batch_first") else (n, N)) if batched else (n,) for n in lengths]
    arrays = [rng.standard_normal((*shape, D)) for shape in shapes]
    if not batched:
        masks = {name: m[0] if m is PADDING else m for name, m in masks.items()}
    a, b = ([t(x, requires_grad=True) for x in arrays] for t in (ag.tensor, torch.tensor))
    found, wanted = (
        module(*x, **{name: t(m) if isinstance(m, np.ndarray) else m for name, m in masks.items()})
        for module, x, t in ((ours, a, ag.tensor), (theirs, b, torch.tensor))
    )
    g = rng.standard_normal(found.shape)
    found.backward(ag.tensor(g)), wanted.backward(torch.tensor(g))
    pairs = [(found, wanted), *((x.grad, y.grad) for x, y in zip(a, b, strict=True))]
    pairs += [(p.grad, q.grad) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True)]
    for f, w in pairs:
        np.testing.assert_allclose(f.detach().numpy(), w.detach().numpy(), 1e-9, 1e-10)


def test_dropout_is_in_training_only() -> None:
    layer, x = encoder_layer(ag, dropout=0.5), ag.tensor(np.random.default_rng(0).standard_normal((S, N, D)))
    a, b = layer(x), layer(x)
    assert not ag.equal(a, b)
    layer.eval()
    assert ag.equal(layer(x), layer(x))
    ag.manual_seed(1)
    layer.train()
    a = layer(x)
    ag.manual_seed(1)
    assert ag.equal(a, layer(x))


def test_copies_are_their_own() -> None:
    model = encoder(ag)
    first, second = model.layers
    assert first.linear1.weight is not second.linear1.weight and ag.equal(first.linear1.weight, second.linear1.weight)


def test_activation_may_be_a_module(torch: Any) -> None:
    ours = nn.TransformerEncoderLayer(D, H, 12, 0.0, nn.PReLU())
    assert "activation.weight" in dict(ours.named_parameters())
    ours = nn.TransformerEncoderLayer(D, H, 12, 0.0, lambda x: x.tanh())
    assert ours(ag.ones(S, D)).shape == (S, D)


@pytest.mark.parametrize("dtype", [None, "float64"])
def test_subsequent_mask(torch: Any, dtype: str | None) -> None:
    ours, theirs = (
        lib.nn.Transformer.generate_square_subsequent_mask(4, dtype=dtype and getattr(lib, dtype)) for lib in (ag, torch)
    )
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert ours.numpy().dtype == theirs.numpy().dtype


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: encoder_layer(ag, activation="tanh"), RuntimeError, "should be relu/gelu, not tanh"),
        (lambda: transformer(ag)(ag.ones(S, 2, D), ag.ones(L, 3, D)), RuntimeError, "batch number of src and tgt"),
        (lambda: transformer(ag)(ag.ones(S, 2, D), ag.ones(L, 2, 4)), RuntimeError, "feature number of src and tgt"),
        (lambda: encoder_layer(ag)(ag.ones(S, N, D), is_causal=True), RuntimeError, "Need attn_mask"),
    ],
)
def test_refusals(do: Callable, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        do()


def test_a_small_model_learns() -> None:
    """To give the sequence back in reverse."""
    ag.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True)
    embed, place = ag.randn(6, 16) * 0.5, ag.randn(5, 16) * 0.5
    model = nn.Sequential(nn.TransformerEncoder(layer, 1), nn.Linear(16, 6))
    optimizer = ag.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(80):
        x = ag.randint(0, 6, (32, 5))
        out = model(embed[x] + place)
        loss = nn.functional.cross_entropy(out.reshape(-1, 6), x.flip(1).reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5]), losses[::10]
