"""Datasets, samplers and collation: as in PyTorch, and reproducible."""

from __future__ import annotations

from collections import Counter, namedtuple

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import data
from autograd_gpu.data.sampler import number_batches

Point = namedtuple("Point", "x y")


def plain(x):
    """Tensors of either package as arrays, in nested dicts, tuples and lists."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(plain, x))
    if isinstance(x, (list, tuple)):
        return type(x)(map(plain, x))
    return (np.asarray(x.numpy()).tolist(), str(x.dtype).rpartition(".")[2]) if hasattr(x, "numpy") else x


# -- collation -------------------------------------------------------------------------------------------------------------

BATCHES = {
    "tensors": lambda p: [p.tensor([1.0, 2.0]), p.tensor([3.0, 4.0])],
    "arrays": lambda p: [np.array([1, 2], np.int16), np.array([3, 4], np.int16)],
    "numbers of NumPy": lambda p: [np.float32(1), np.float32(2)],
    "0-d arrays": lambda p: [np.array(1), np.array(2)],
    "ints": lambda p: [1, 2],
    "floats": lambda p: [1.0, 2.5],
    "bools": lambda p: [True, False],
    "text": lambda p: ["a", "b"],
    "bytes": lambda p: [b"a", b"b"],
    "tuples": lambda p: [(p.tensor(1), 2, "a"), (p.tensor(3), 4, "b")],
    "lists": lambda p: [[1, 2.0], [3, 4.0]],
    "dicts": lambda p: [{"x": 1, "y": (2, 3)}, {"x": 4, "y": (5, 6)}],
    "namedtuples": lambda p: [Point(1, np.zeros(2)), Point(2, np.ones(2))],
}


@pytest.mark.parametrize("name", BATCHES)
def test_collate(torch, name):
    from torch.utils.data import default_collate, default_convert

    ours, theirs = data.default_collate(BATCHES[name](ag)), default_collate(BATCHES[name](torch))
    assert plain(ours) == plain(theirs) and type(ours).__name__ == type(theirs).__name__
    for a, b in zip(BATCHES[name](ag), BATCHES[name](torch), strict=True):
        assert plain(data.default_convert(a)) == plain(default_convert(b))


def test_collate_keeps_graphs():
    x = ag.ones(2, requires_grad=True)
    data.default_collate([x, x * 2]).sum().backward()
    assert x.grad.tolist() == [3, 3]


@pytest.mark.parametrize(
    "batch, error, match",
    [
        ([ag.ones(2), ag.ones(3)], RuntimeError, r"equal size, but got \[2\] at entry 0 and \[3\] at entry 1"),
        ([[1], [1, 2]], RuntimeError, "equal size"),
        ([object()], TypeError, "must contain tensors.*object"),
        ([np.array(["a"])], TypeError, "must contain tensors"),
        ([None], TypeError, "NoneType"),
    ],
)
def test_collate_refuses(batch, error, match):
    with pytest.raises(error, match=match):
        data.default_collate(batch)


# -- datasets --------------------------------------------------------------------------------------------------------------


def test_tensor_dataset():
    x, y = ag.arange(12).view(4, 3), ag.arange(4)
    dataset = data.TensorDataset(x, y)
    assert len(dataset) == 4 and dataset[-1][0].tolist() == [9, 10, 11] and dataset[1:3][1].tolist() == [1, 2]
    for wrong in ((x, ag.arange(5)), (ag.tensor(1), ag.tensor(2))):
        with pytest.raises(AssertionError, match="Size mismatch"):
            data.TensorDataset(*wrong)


def test_stack_concat_subset():
    a, b = data.TensorDataset(ag.arange(3)), data.TensorDataset(ag.arange(3, 5))
    both = a + b
    assert [int(both[i][0]) for i in range(-5, 5)] == [0, 1, 2, 3, 4] * 2 and both.cumulative_sizes == [3, 5]
    for i in (5, 6):
        with pytest.raises(IndexError):
            both[i]
    with pytest.raises(ValueError, match="exceed dataset length"):
        both[-6]
    part = data.Subset(both, [4, 1])
    assert len(part) == 2 and int(part[0][0]) == 4 and [int(x) for (x,) in part.__getitems__([1, 0])] == [1, 4]
    pair = data.StackDataset([1, 2], "ab")
    assert len(pair) == 2 and pair[1] == (2, "b")
    for wrong in (lambda: data.StackDataset([1], [1, 2]), lambda: data.StackDataset([1], x=[1]), data.StackDataset):
        with pytest.raises(ValueError):
            wrong()
    with pytest.raises(AssertionError, match="empty"):
        data.ConcatDataset([])


def test_base_classes_refuse():
    with pytest.raises(NotImplementedError):
        data.Dataset()[0]
    with pytest.raises(NotImplementedError):
        iter(data.IterableDataset())
    with pytest.raises(NotImplementedError):
        iter(data.Sampler())


def test_random_split(torch):
    from torch.utils.data import random_split

    for n, lengths in ((10, [7, 3]), (10, [0.7, 0.3]), (11, [0.5, 0.25, 0.25]), (7, [0.34, 0.33, 0.33]), (3, [3])):
        g = ag.Generator().manual_seed(0)
        parts = data.random_split(range(n), lengths, generator=g)
        assert [len(p) for p in parts] == [len(p) for p in random_split(range(n), lengths)]
        assert sorted(i for p in parts for i in p) == list(range(n))
        again = data.random_split(range(n), lengths, generator=g.manual_seed(0))
        assert [p.indices for p in parts] == [p.indices for p in again]
    for wrong in ([5, 6], [0.5, 0.6], [0.2, 0.2]):
        with pytest.raises(ValueError, match="Sum of input lengths"):
            data.random_split(range(10), wrong)
    with pytest.warns(UserWarning, match="index 1 is 0"):
        data.random_split(range(2), [0.99, 0.01])


# -- samplers --------------------------------------------------------------------------------------------------------------


def test_random_sampler():
    order = list(data.RandomSampler(range(100)))
    assert sorted(order) == list(range(100)) and order != list(range(100))
    g = ag.Generator().manual_seed(5)
    sampler = data.RandomSampler(range(10), generator=g)
    first, second = list(sampler), list(sampler)
    assert first != second
    g.manual_seed(5)
    assert [list(sampler), list(sampler)] == [first, second]
    assert Counter(data.RandomSampler(range(4), num_samples=10)).most_common()[-1][1] >= 2
    assert len(data.RandomSampler(range(4), num_samples=3)) == len(set(data.RandomSampler(range(4), num_samples=3))) == 3
    drawn = list(data.RandomSampler(range(3), replacement=True, num_samples=60))
    assert len(drawn) == 60 and set(drawn) == {0, 1, 2}
    assert list(data.RandomSampler([])) == []
    ag.manual_seed(1)
    one = list(data.RandomSampler(range(20)))
    ag.manual_seed(1)
    assert one == list(data.RandomSampler(range(20)))


def test_the_order_is_drawn_at_the_beginning():
    """What is drawn between iter() and next() does not change it."""
    sampler = data.BatchSampler(data.RandomSampler(range(20)), 4, False)
    ag.manual_seed(3)
    now = list(sampler)
    ag.manual_seed(3)
    later = iter(sampler)
    ag.rand(7)
    assert list(later) == now


def test_weighted_and_subset_sampler():
    drawn = Counter(data.WeightedRandomSampler([1.0, 0.0, 3.0], 4000, generator=ag.Generator().manual_seed(0)))
    assert drawn[1] == 0 and 900 < drawn[0] < 1100
    assert sorted(data.WeightedRandomSampler(ag.ones(5), 5, replacement=False)) == [0, 1, 2, 3, 4]
    assert sorted(data.SubsetRandomSampler([7, 3, 9])) == [3, 7, 9]


@pytest.mark.parametrize("n", [0, 1, 6, 7])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batch_sampler(torch, n, drop_last):
    from torch.utils.data import BatchSampler, SequentialSampler

    ours = data.BatchSampler(data.SequentialSampler(range(n)), 3, drop_last)
    theirs = BatchSampler(SequentialSampler(range(n)), 3, drop_last)
    assert list(ours) == list(theirs) and len(ours) == len(theirs)
    assert [list(b) for b in number_batches(ours)] == list(ours)
    g = ag.Generator()
    shuffled = data.BatchSampler(data.RandomSampler(range(n), generator=g), 3, drop_last)
    g.manual_seed(2)
    lists = list(shuffled)
    g.manual_seed(2)
    assert [b.tolist() for b in number_batches(shuffled)] == lists


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: data.RandomSampler(range(3), num_samples=0), "positive integer"),
        (lambda: data.WeightedRandomSampler([1.0], 0), "positive integer"),
        (lambda: data.WeightedRandomSampler([[1.0]], 1), "1d sequence"),
        (lambda: data.BatchSampler([1], 0, False), "batch_size should be"),
        (lambda: data.BatchSampler([1], 1, None), "drop_last should be"),
    ],
)
def test_samplers_refuse(make, match):
    with pytest.raises(ValueError, match=match):
        make()
