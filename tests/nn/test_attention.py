"""Attention: its fused kernels against the rule, on each device, dropout, bytes, and MultiheadAttention against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.backend import cpu
from autograd_gpu.core.graph import words

from ..ops.test_saved_bytes import saved_bytes

F = nn.functional
OP = words.scaled_dot_product_attention.op
NAMES = ("q", "k", "v")


def normal(*shape: int, seed: int = 0, dtype: Any = np.float64) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def layout(x: np.ndarray) -> np.ndarray:
    """The same numbers (batch, heads, length, size), lying in memory as (batch, length, heads, size)."""
    return np.ascontiguousarray(x.swapaxes(-2, -3)).swapaxes(-2, -3) if x.ndim > 2 else x


def mask_of(kind: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray | None:
    if kind == "none":
        return None
    seen = np.random.default_rng(5).random(shape) < 0.6
    seen[..., 2, :] = False  # a query that sees no key
    return seen if kind == "bool" else np.where(seen, normal(*shape, seed=6), -np.inf).astype(dtype)


def both(forward: Any, backward: Any, arrays: dict, options: dict, g: Any) -> tuple[Any, Any]:
    """(output, gradients) of a fused pair."""
    out, residue = forward(*arrays.values(), **options)
    grads = backward(None, g, NAMES, **arrays, out=out, residue=residue, **options)
    return out, grads


def by_rule(arrays: dict, options: dict, g: np.ndarray) -> tuple[Any, Any]:
    """(output, gradients) of the op's own text, in float64."""
    wide = {n: a if a is None or a.dtype == bool else a.astype(np.float64) for n, a in arrays.items()}
    out = OP.forward(cpu, *wide.values(), **options)
    have = {**wide, "out": out, "p": 0.0, "seed": 0, "offset": 0, **options}
    rules = [OP.rules[n] for n in NAMES]
    return out, [rule.function(cpu, g.astype(np.float64), *[have[n] for n in rule.names]) for rule in rules]


def sample(queries: int, keys: int, sizes: tuple[int, int], mask: str, dtype: Any, factor: float = 1.0) -> dict:
    arrays = {
        "q": layout(normal(2, 3, queries, sizes[0], seed=1) * factor).astype(dtype),
        "k": layout(normal(2, 3, keys, sizes[0], seed=2) * factor).astype(dtype),
        "v": layout(normal(2, 3, keys, sizes[1], seed=3)).astype(dtype),
        "mask": mask_of(mask, (2, 3, queries, keys), dtype),
    }
    return arrays


CASES = [
    # queries, keys, sizes, mask, causal, factor
    (37, 37, (8, 8), "none", True, 1),
    (37, 45, (8, 5), "none", True, 1),
    (45, 37, (8, 5), "none", True, 1),
    (20, 33, (8, 8), "none", False, 1),
    (20, 33, (8, 8), "bool", False, 1),
    (20, 33, (8, 8), "float", False, 1),
    (20, 33, (8, 8), "bool", False, 30),  # exponentials overflow
    (37, 37, (8, 8), "none", True, 30),
]


@pytest.mark.parametrize(("block", "rows"), [(1 << 17, 64), (1 << 17, 16), (3000, 16), (100, 64)])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_kernels_on_the_cpu_are_the_rule(case: tuple, block: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of several matrices, of one, and of some rows of one."""
    from autograd_gpu.backend.cpu import attention

    monkeypatch.setattr(attention, "_BLOCK", block)
    monkeypatch.setattr(attention, "_ROWS", rows)
    queries, keys, sizes, mask, causal, factor = case
    arrays, options = sample(queries, keys, sizes, mask, np.float64, factor), {"scale": 0.4, "causal": causal}
    g = layout(normal(2, 3, queries, sizes[1], seed=4))
    out, grads = both(attention.forward, attention.backward, arrays, options, g)
    wanted_out, wanted = by_rule(arrays, options, g)
    np.testing.assert_allclose(out, wanted_out, 1e-12, 1e-12)
    for found, expected in zip(grads, wanted, strict=True):
        np.testing.assert_allclose(found, expected, 1e-10, 1e-10 * factor)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_other_dtypes_on_the_cpu(dtype: str) -> None:
    from autograd_gpu.backend.cpu import attention

    dtype = np.dtype(getattr(ag, dtype))
    arrays, options = sample(20, 20, (8, 8), "none", dtype), {"scale": 0.4, "causal": True}
    g = layout(normal(2, 3, 20, 8, seed=4)).astype(dtype)
    out, grads = both(attention.forward, attention.backward, arrays, options, g)
    wanted_out, wanted = by_rule(arrays, options, g)
    tolerance = {"float32": 2e-6, "float16": 4e-3, "bfloat16": 3e-2}[dtype.name]
    for found, expected in zip([out, *grads], [wanted_out, *wanted], strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(found.astype(np.float64), expected, tolerance, 2 * tolerance)


def test_memory_order_of_the_results() -> None:
    """The output and the gradients lie as the inputs do, so that joining the heads copies nothing."""
    x = ag.tensor(normal(2, 5, 3, 4)).requires_grad_()
    heads = x.transpose(1, 2)
    out = F.scaled_dot_product_attention(heads, heads, heads)
    assert out.transpose(1, 2).is_contiguous()
    out.sum().backward()
    assert x.grad.is_contiguous()


# -- dropout -------------------------------------------------------------------------------------------------------------


def dropped_by_hand(q: Any, k: Any, v: Any, p: float, causal: bool) -> Any:
    """What attention with dropout is, step by step, by ops that are tested elsewhere and the same random numbers."""
    scores = q @ k.mT * 0.5
    if causal:
        scores = scores.masked_fill(ag.ones(scores.shape[-2:], dtype=ag.bool).triu(1), -np.inf)
    return F.dropout(scores.softmax(-1), p) @ v


@pytest.mark.parametrize("block", [1 << 16, 200])
@pytest.mark.parametrize("causal", [False, True])
def test_dropout_is_that_of_the_weights(causal: bool, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Value, gradients and second order."""
    from autograd_gpu.backend.cpu import attention

    monkeypatch.setattr(attention, "_BLOCK", block)
    for p in (0.3, 1.0):
        results = []
        for fused in (True, False):
            q, k, v = (ag.tensor(normal(2, 3, 21, 4, seed=s), requires_grad=True) for s in range(3))
            ag.manual_seed(3)
            if fused:
                out = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=causal)
            else:
                out = dropped_by_hand(q, k, v, p, causal)
            g = ag.tensor(normal(*out.shape, seed=4))
            first = ag.autograd.grad(out, [q, k, v], g, create_graph=True, materialize_grads=True)
            plain = ag.autograd.grad(out, [q, k, v], g, retain_graph=True, materialize_grads=True)
            second = ag.autograd.grad((first[0] * first[1]).sum() + (first[2] ** 3).sum(), [q, k, v], materialize_grads=True)
            results.append([t.detach().numpy() for t in (out, *first, *plain, *second)])
        for ours, wanted in zip(*results, strict=True):
            np.testing.assert_allclose(ours, wanted, 1e-9, 1e-10)


def test_dropout_goes_on_with_the_stream() -> None:
    q = ag.tensor(normal(2, 3, 5, 4), requires_grad=True)
    ag.manual_seed(0)
    a, b = (F.scaled_dot_product_attention(q, q, q, dropout_p=0.5).detach().numpy() for _ in range(2))
    ag.manual_seed(0)
    c = F.scaled_dot_product_attention(q, q, q, dropout_p=0.5).detach().numpy()
    assert (a != b).any() and (a == c).all()


def test_what_is_kept() -> None:
    """Inputs, output, and a number a query: no matrix of scores, with dropout neither. (The inputs share one memory here.)"""
    x = ag.tensor(normal(2, 32, 3, 16, dtype=np.float32), requires_grad=True)
    heads = x.transpose(1, 2)
    out = F.scaled_dot_product_attention(heads, heads, heads, is_causal=True, dropout_p=0.1)
    assert saved_bytes(out) == 2 * x.array.nbytes + 4 * 2 * 3 * 32


# -- on a device ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask, causal", [("none", True), ("bool", False), ("float", False)])
def test_on_cuda(cuda_device: Any, mask: str, causal: bool) -> None:
    cupy = pytest.importorskip("cupy")
    from autograd_gpu.backend.gpu import attention

    arrays, options = sample(19, 19, (8, 8), mask, np.float32), {"scale": 0.4, "causal": causal}
    if mask == "bool":  # broadcast, as the op is given it
        arrays["mask"] = np.broadcast_to(arrays["mask"][:1, :1], arrays["mask"].shape)
    g = layout(normal(2, 3, 19, 8, seed=4, dtype=np.float32))

    def to_device(a: np.ndarray) -> Any:
        own = cupy.asarray(a[tuple(slice(0, 1) if step == 0 else slice(None) for step in a.strides)])
        return cupy.broadcast_to(own, a.shape) if own.shape != a.shape else own

    there = {n: None if a is None else to_device(a) for n, a in arrays.items()}
    out, grads = both(attention._forward, attention._backward, there, options, cupy.asarray(g))
    wanted_out, wanted = by_rule(arrays, options, g)
    for found, expected in zip([out, *grads], [wanted_out, *wanted], strict=True):
        np.testing.assert_allclose(found.get(), expected, 1e-5, 1e-5)


def test_the_op_on_cuda(cuda_device: Any) -> None:
    """Through Tensors: the kernels, and what they decline (dropout, heads of more than 128, a mask with a gradient)."""
    g = ag.tensor(normal(2, 4, 5, 6, dtype=np.float32))
    for kw in ({"is_causal": True}, {"enable_gqa": True}, {"attn_mask": ag.tensor(normal(5, 5, dtype=np.float32))}):
        results = []
        for device in ("cpu", "cuda"):
            options = {n: a.to(device) if isinstance(a, ag.Tensor) else a for n, a in kw.items()}
            heads = 2 if "enable_gqa" in kw else 4
            arrays = [normal(2, h, 5, 6, seed=s, dtype=np.float32) for s, h in enumerate((4, heads, heads))]
            q, k, v = (ag.tensor(a, device=device, requires_grad=True) for a in arrays)
            if "attn_mask" in options:
                options["attn_mask"] = options["attn_mask"].detach().requires_grad_()
            out = F.scaled_dot_product_attention(q, k, v, **options)
            out.backward(g.to(device))
            results.append([t.detach().cpu().numpy() for t in (out, q.grad, k.grad, v.grad)])
        for ours, theirs in zip(*results, strict=True):
            np.testing.assert_allclose(ours, theirs, 1e-5, 1e-5)


# -- the function ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shapes", "kw", "error", "message"),
    [
        (((5, 4), (6, 3), (6, 4)), {}, RuntimeError, r"query \[5, 4\], key \[6, 3\]"),
        (((5, 4), (6, 4), (7, 4)), {}, RuntimeError, "keys and values be as many"),
        (((4,), (6, 4), (6, 4)), {}, RuntimeError, "at least 2 dimensional"),
        (((5, 4), (6, 4), (6, 4)), {"attn_mask": ag.ones(5, 6), "is_causal": True}, RuntimeError, "should not be set when"),
        (((5, 4), (6, 4), (6, 4)), {"attn_mask": ag.ones(5, 6, dtype=ag.int64)}, RuntimeError, "Expected attn_mask dtype"),
        (((5, 4), (6, 4), (6, 4)), {"dropout_p": 1.5}, RuntimeError, "between 0 and 1"),
        (((3, 5, 4), (2, 6, 4), (2, 6, 4)), {"enable_gqa": True}, RuntimeError, "must divide"),
        (((5, 4), (6, 4), (6, 4)), {"enable_gqa": True}, RuntimeError, "dimension of heads"),
    ],
)
def test_refusals(shapes: tuple, kw: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        F.scaled_dot_product_attention(*[ag.ones(*s) for s in shapes], **kw)


def test_dtypes_must_be_one() -> None:
    with pytest.raises(RuntimeError, match="to have the same dtype, but got query.dtype: float32 key.dtype"):
        F.scaled_dot_product_attention(ag.ones(2, 2), ag.ones(2, 2, dtype=ag.float64), ag.ones(2, 2))


# -- MultiheadAttention ----------------------------------------------------------------------------------------------------

L, N, S, E, H = 5, 3, 7, 8, 2


def pair(torch: Any, **kw: Any) -> tuple[Any, Any]:
    """A module of ours and PyTorch's with the same weights, which came by name."""
    theirs = torch.nn.MultiheadAttention(E, H, dtype=torch.float64, **kw)
    ours = nn.MultiheadAttention(E, H, dtype=ag.float64, **kw)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({name: ag.tensor(value.numpy()) for name, value in theirs.state_dict().items()})
    theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in ours.state_dict().items()})
    return ours, theirs


def masks_of(kind: str, batch: int, keys: int, batched: bool) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    pad, attn, of_heads = rng.random((batch, keys)) > 0.7, rng.random((L, keys)) > 0.7, rng.random((batch * H, L, keys)) > 0.7
    pad[:, 0] = attn[:, 0] = of_heads[:, :, 0] = False
    floats = {"attn_mask": normal(L, keys, seed=8), "key_padding_mask": normal(batch, keys, seed=9)}
    table = {
        "none": {},
        "pad": {"key_padding_mask": pad},
        "attn": {"attn_mask": attn},
        "of heads": {"attn_mask": of_heads},
        "both": {"attn_mask": of_heads, "key_padding_mask": pad},
        "floats": floats,
        "mixed": {"attn_mask": floats["attn_mask"], "key_padding_mask": pad},
        "causal": {"attn_mask": np.triu(np.ones((L, keys), bool), 1)},
    }
    return {n: m[0] if n == "key_padding_mask" and not batched else m for n, m in table[kind].items()}


MODULES = [{}, {"bias": False}, {"add_bias_kv": True}, {"add_zero_attn": True}, {"kdim": 6, "vdim": 5}, {"batch_first": True}]


@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's, of masks of two kinds
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("masks", ["none", "pad", "attn", "of heads", "both", "floats", "mixed", "causal"])
@pytest.mark.parametrize("kw", MODULES, ids=str)
def test_multihead_attention(torch: Any, kw: dict, masks: str, need_weights: bool) -> None:
    """Output, weights, and all gradients: of self-attention, of keys that are the values, and of three inputs."""
    ours, theirs = pair(torch, **kw)
    average, first = masks != "both", kw.get("batch_first", False)
    causal = {"is_causal": True} if masks == "causal" else {}
    for which in ((0, 0, 0), (0, 1, 1), (0, 1, 2)):
        if ("kdim" in kw and which != (0, 1, 2)) or (causal and (which != (0, 0, 0) or len(kw) > first)):
            continue
        for batched in (True, False):
            keys = L if which == (0, 0, 0) else S
            sizes = [(L, E), (keys, ours.kdim), (keys, ours.vdim)][: max(which) + 1]
            arrays = [
                normal(*((N, n) if first else (n, N)) if batched else (n,), size, seed=k) for k, (n, size) in enumerate(sizes)
            ]
            given = masks_of(masks, N if batched else 1, keys, batched)
            options = {"need_weights": need_weights, "average_attn_weights": average, **causal}
            a = [ag.tensor(x, requires_grad=True) for x in arrays]
            b = [torch.tensor(x, requires_grad=True) for x in arrays]
            out, weights = ours(*[a[k] for k in which], **options, **{n: ag.tensor(m) for n, m in given.items()})
            wanted, their_weights = theirs(*[b[k] for k in which], **options, **{n: torch.tensor(m) for n, m in given.items()})
            g = normal(*out.shape, seed=11)
            ours.zero_grad(), theirs.zero_grad()
            out.backward(ag.tensor(g)), wanted.backward(torch.tensor(g))
            assert (weights is None) == (their_weights is None)
            found = [out, weights, *[x.grad for x in a], *[p.grad for p in ours.parameters()]]
            expected = [wanted, their_weights, *[x.grad for x in b], *[p.grad for p in theirs.parameters()]]
            for f, e in zip(found, expected, strict=True):
                if f is not None:
                    np.testing.assert_allclose(f.detach().numpy(), e.detach().numpy(), 1e-10, 1e-12)


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: nn.MultiheadAttention(0, 2), ValueError, "greater than 0"),
        (lambda: nn.MultiheadAttention(5, 2), AssertionError, "divisible"),
        (lambda: nn.MultiheadAttention(4, 2)(*[ag.ones(4)] * 3), AssertionError, "2D or batched 3D"),
        (lambda: nn.MultiheadAttention(4, 2)(ag.ones(3, 2, 4), *[ag.ones(3, 4)] * 2), AssertionError, "to be 3-D"),
        (lambda: nn.MultiheadAttention(4, 2)(*[ag.ones(3, 2, 6)] * 3), AssertionError, "embedding dimension of 4"),
        (lambda: nn.MultiheadAttention(4, 2)(*[ag.ones(3, 2, 4)] * 3, is_causal=True), RuntimeError, "Need attn_mask"),
        (lambda: nn.MultiheadAttention(4, 2)(*[ag.ones(3, 2, 4)] * 3, attn_mask=ag.ones(3, 4)), RuntimeError, "2D attn_mask"),
        (
            lambda: nn.MultiheadAttention(4, 2)(*[ag.ones(3, 2, 4)] * 3, key_padding_mask=ag.ones(2, 3, dtype=ag.int64)),
            AssertionError,
            "only bool and floating",
        ),
    ],
)  # fmt: skip
def test_refusals_of_the_module(do: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        do()


def test_initial_weights(torch: Any) -> None:
    """Bounds and variances of what is drawn, zeros of biases."""
    ours, theirs = nn.MultiheadAttention(64, 4, add_bias_kv=True), torch.nn.MultiheadAttention(64, 4, add_bias_kv=True)
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        a, b = p.detach().numpy(), q.detach().numpy()
        assert a.shape == b.shape, name
        np.testing.assert_allclose(a.std(), b.std(), rtol=0.4, atol=1e-9, err_msg=name)
        if "bias" not in name:
            np.testing.assert_allclose(np.abs(a).max(), np.abs(b).max(), rtol=0.02, err_msg=name)
