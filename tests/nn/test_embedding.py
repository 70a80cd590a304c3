"""Embedding and EmbeddingBag against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_gpu as ag

F = ag.nn.functional
RNG = np.random.default_rng(0)


def same_gradients(torch, ours, theirs, *arguments):
    """Call both modules on the same arguments, go back, and compare."""
    y = ours(*[None if a is None else ag.tensor(a) for a in arguments])
    z = theirs(*[None if a is None else torch.tensor(a) for a in arguments])
    np.testing.assert_allclose(y.detach().array, z.detach(), 1e-5, 1e-6)
    g = RNG.standard_normal(y.shape).astype(np.float32)
    y.backward(ag.tensor(g))
    z.backward(torch.tensor(g))
    np.testing.assert_allclose(ours.weight.grad.array, theirs.weight.grad, 1e-4, 1e-5)
    np.testing.assert_allclose(ours.weight.detach().array, theirs.weight.detach(), 1e-5, 1e-6)


OPTIONS = [
    {},
    {"padding_idx": 2},
    {"padding_idx": -1, "scale_grad_by_freq": True},
    {"max_norm": 1.0},
    {"max_norm": 2.0, "norm_type": 1.0},
    {"sparse": False, "scale_grad_by_freq": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_embedding(torch, options):
    theirs = torch.nn.Embedding(9, 4, **options)
    ours = ag.nn.Embedding(9, 4, **options)
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({"weight": ag.tensor(theirs.weight.detach().numpy())})
    for shape in ((5,), (3, 20), ()):
        for dtype in (np.int64, np.int32):
            ours.weight.grad = theirs.weight.grad = None
            same_gradients(torch, ours, theirs, RNG.integers(0, 9, shape).astype(dtype))
    theirs.load_state_dict({"weight": torch.tensor(ours.state_dict()["weight"].array)})


BAGS = [
    {"mode": "sum"},
    {"mode": "mean"},
    {"mode": "max"},
    {"mode": "sum", "padding_idx": 2},
    {"mode": "mean", "padding_idx": 0},
    {"mode": "max", "padding_idx": 3},
    {"mode": "mean", "max_norm": 1.0},
    {"mode": "sum", "include_last_offset": True},
    {"mode": "max", "include_last_offset": True},
]


@pytest.mark.parametrize("options", BAGS, ids=str)
def test_embedding_bag(torch, options):
    theirs, ours = torch.nn.EmbeddingBag(7, 3, **options), ag.nn.EmbeddingBag(7, 3, **options)
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({"weight": ag.tensor(theirs.weight.detach().numpy())})
    numbers = RNG.integers(0, 7, 12)
    numbers[:2] = numbers[5] = options.get("padding_idx", 1)
    offsets = np.array([0, 2, 2, 6, 9])  # one bag of padding, one of nothing
    if options.get("include_last_offset"):
        offsets = np.array([*offsets, 12])
    same_gradients(torch, ours, theirs, numbers, offsets)
    if not options.get("include_last_offset"):
        ours.weight.grad = theirs.weight.grad = None
        same_gradients(torch, ours, theirs, RNG.integers(0, 7, (4, 5)))
    if options == {"mode": "sum"}:
        ours.weight.grad = theirs.weight.grad = None
        same_gradients(torch, ours, theirs, numbers, offsets, RNG.uniform(0.5, 2, 12).astype(np.float32))


def test_from_pretrained():
    table = ag.randn(5, 3)
    for kind in (ag.nn.Embedding, ag.nn.EmbeddingBag):
        module = kind.from_pretrained(table)
        assert module.weight.array is table.array and not module.weight.requires_grad
        assert kind.from_pretrained(table, freeze=False).weight.requires_grad
        with pytest.raises(AssertionError, match="2-dimensional"):
            kind.from_pretrained(ag.ones(3))
    assert ag.nn.Embedding.from_pretrained(table, padding_idx=-1).padding_idx == 4


def test_the_padding_begins_as_zeros():
    module = ag.nn.Embedding(4, 3, padding_idx=1)
    assert (module.weight.detach() != 0).any(1).tolist() == [True, False, True, True]


def test_gradients_repeat_bit_for_bit_in_the_order_of_the_index():
    index = ag.tensor(RNG.integers(0, 5, 3000))
    weight = ag.randn(5, 6, requires_grad=True)
    g = ag.randn(3000, 6)
    found = []
    for _ in range(2):
        weight.grad = None
        F.embedding(index, weight).backward(g)
        found.append(weight.grad.array.tobytes())
    expected = np.zeros((5, 6), np.float32)
    np.add.at(expected, index.array, g.array)
    assert found[0] == found[1] == expected.tobytes()


def test_max_norm_writes_in_place_and_says_so():
    weight = ag.full((3, 2), 2.0, requires_grad=True)
    y = weight * weight
    array = weight.array
    F.embedding(ag.tensor([0, 0, 2]), weight, max_norm=1.0)
    assert weight.array is array
    np.testing.assert_allclose(array, [[0.5**0.5] * 2, [2, 2], [0.5**0.5] * 2], 1e-5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda w: F.embedding(ag.tensor([0, 3]), w), IndexError, "index out of range in self: row 3 of a table with 3 rows"),
        (lambda w: F.embedding(ag.tensor([-1]), w), IndexError, "index out of range in self: row -1"),
        (lambda w: F.embedding_bag(ag.tensor([[3]]), w), IndexError, "index out of range in self"),
        (lambda w: F.embedding(ag.ones(2), w), RuntimeError, "Long, Int; but got float32"),
        (lambda w: F.embedding(ag.tensor([0]), ag.ones(3)), RuntimeError, r"'weight' must be 2-D"),
        (lambda w: F.embedding([0], w), TypeError, "must be Tensor, not list"),
        (lambda w: F.embedding(ag.tensor([0]), w, padding_idx=3), AssertionError, "within num_embeddings"),
        (lambda w: F.embedding_bag(ag.tensor([0]), w), ValueError, "offsets has to be a 1D Tensor"),
        (lambda w: F.embedding_bag(ag.tensor([[0]]), w, ag.tensor([0])), ValueError, "offsets has to be None"),
        (lambda w: F.embedding_bag(ag.tensor([0]), w, ag.tensor([1])), RuntimeError, r"offsets\[0\] has to be 0"),
        (lambda w: F.embedding_bag(ag.tensor([0]), w, ag.tensor([0, 2])), RuntimeError, r"offsets\[-1\] can not be greater"),
        (lambda w: F.embedding_bag(ag.tensor([[0]]), w, mode="min"), ValueError, "one of sum, mean or max"),
        (
            lambda w: F.embedding_bag(ag.tensor([[0]]), w, per_sample_weights=ag.ones(1, 1)),
            NotImplementedError,
            "only supported for mode='sum'",
        ),
        (
            lambda w: F.embedding_bag(ag.tensor([[0]]), w, mode="sum", per_sample_weights=ag.ones(2)),
            ValueError,
            "must have the same shape",
        ),
        (lambda w: ag.nn.Embedding(3, 2, padding_idx=3), AssertionError, "within num_embeddings"),
        (lambda w: ag.nn.Embedding(3, 2, _weight=ag.ones(2, 2)), AssertionError, "does not match num_embeddings"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call(ag.ones(3, 2))


def test_bags_of_padding_alone_are_in_the_graph():
    table = ag.ones(4, 2, requires_grad=True)
    out = ag.nn.functional.embedding_bag(ag.tensor([[1, 1], [1, 1]]), table, mode="max", padding_idx=1)
    assert out.tolist() == [[0, 0], [0, 0]]
    out.sum().backward()
    assert table.grad.tolist() == [[0, 0]] * 4
