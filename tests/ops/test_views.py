"""Views: what shares memory, and what writing through a view does to its base, to its other views and to gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.core.tensor import Tensor

from ..support import close, to_torch

# -- which results share memory ------------------------------------------------------------------------------------------

# of a contiguous tensor of shape (2, 3, 4)
VIEWS: dict[str, Callable] = {
    "reshape": lambda x: x.reshape(4, 6),
    "reshape to its own shape": lambda x: x.reshape(2, 3, 4),
    "view": lambda x: x.view(-1),
    "view_as": lambda x: x.view_as(x.reshape(24)),
    "flatten": lambda x: x.flatten(1),
    "unflatten": lambda x: x.unflatten(2, (2, 2)),
    "ravel": lambda x: x.ravel(),
    "squeeze": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "transpose": lambda x: x.transpose(0, 2),
    "permute": lambda x: x.permute(2, 0, 1),
    "movedim": lambda x: x.movedim(0, 2),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "T": lambda x: x[0].T,
    "mT": lambda x: x.mT,
    "H": lambda x: x[0].H,
    "t": lambda x: x[0].t(),
    "expand": lambda x: x.unsqueeze(0).expand(5, 2, 3, 4),
    "expand_as": lambda x: x[:1].expand_as(x),
    "select": lambda x: x.select(1, 2),
    "narrow": lambda x: x.narrow(2, 1, 2),
    "split": lambda x: x.split(2, 1)[1],
    "split_with_sizes": lambda x: x.split_with_sizes([1, 3], 2)[1],
    "chunk": lambda x: x.chunk(2)[1],
    "tensor_split": lambda x: x.tensor_split(3, 2)[0],
    "unbind": lambda x: x.unbind(1)[2],
    "iteration": lambda x: list(x)[1],
    "diagonal": lambda x: x.diagonal(1, 1, 2),
    "unfold": lambda x: x.unfold(2, 2, 1),
    "as_strided": lambda x: x.as_strided((3, 4), (8, 1), 1),
    "indexing": lambda x: x[1, ::2],
    "contiguous of a contiguous one": lambda x: x.contiguous(),
    "several in a row": lambda x: x.transpose(0, 1)[1].unsqueeze(0).narrow(2, 0, 3).mT,
}

COPIES: dict[str, Callable] = {
    "reshape of a transposed one": lambda x: x.transpose(0, 2).reshape(-1),
    "flatten of a transposed one": lambda x: x.mT.flatten(),
    "contiguous of a transposed one": lambda x: x.mT.contiguous(),
    "flip": lambda x: x.flip(0),
    "flip of nothing": lambda x: x.flip(()),
    "roll": lambda x: x.roll(1, 0),
    "rot90": lambda x: x.rot90(4),
    "repeat": lambda x: x.repeat(1, 1, 1),
    "tile": lambda x: x.tile(1),
    "repeat_interleave": lambda x: x.repeat_interleave(1, 0),
    "diag": lambda x: x[0].diag(),
    "diag_embed": lambda x: x.diag_embed(),
    "clone": lambda x: x.clone(),
    "select_scatter": lambda x: x.select_scatter(x[0], 0, 0),
}


@pytest.mark.parametrize("name", VIEWS)
def test_shares_memory(name: str, maybe_torch: Any) -> None:
    x = Tensor(np.arange(24.0).reshape(2, 3, 4))
    out = VIEWS[name](x)
    assert np.shares_memory(out.array, x.array)
    assert out._base is x or out is x
    if maybe_torch:
        theirs = to_torch(maybe_torch, x.array.copy())
        there = VIEWS[name](theirs)
        assert there is theirs or there._base is theirs
        assert out.stride() == there.stride()
        assert out.storage_offset() == there.storage_offset()


@pytest.mark.parametrize("name", COPIES)
def test_copies(name: str) -> None:
    x = Tensor(np.arange(24.0).reshape(2, 3, 4))
    out = COPIES[name](x)
    assert not np.shares_memory(out.array, x.array)
    assert out._base is None
    out.zero_()
    assert (x.array == np.arange(24.0).reshape(2, 3, 4)).all()


@pytest.mark.parametrize("name", [n for n in VIEWS if n not in ("expand", "expand_as", "unfold")])
def test_writing_through_a_view_reaches_the_base(name: str, torch: Any) -> None:
    x = Tensor(np.arange(24.0).reshape(2, 3, 4))
    y = to_torch(torch, x.array.copy())
    VIEWS[name](x).mul_(-2.0)
    VIEWS[name](y).mul_(-2.0)
    close(x, y, 0, name)


# -- programs run by both ------------------------------------------------------------------------------------------------


def run(library: Any, program: Callable, leaf: Callable, create: bool) -> list[Any]:
    """The output of a program of (x of shape (3, 4), w of shape (4,)), its gradients, and with `create` those of a
    projection of the gradients."""
    rng = np.random.default_rng(3)
    x, w = (leaf(a) for a in (rng.uniform(0.5, 2.0, (3, 4)), rng.uniform(0.5, 2.0, 4)))
    out = program(library, x, w)
    total = (out * out * out).sum()
    grads = library.autograd.grad(total, [x, w], create_graph=create, allow_unused=True)
    found = [out, *grads]
    if create:
        again = sum(((g * g * g).sum() for g in grads if g is not None), 0 * x.sum())
        found += library.autograd.grad(again, [x, w], allow_unused=True)
    return found


def compare(torch: Any, program: Callable, theirs: Callable | None = None) -> None:
    """Assert that a program gives PyTorch's values, gradients and second-order gradients. `theirs`: if it differs there."""
    for create in (False, True):
        ours = run(ag, program, lambda a: Tensor(a).requires_grad_(), create)
        expected = run(torch, theirs or program, lambda a: torch.tensor(a, requires_grad=True), create)
        for k, (a, b) in enumerate(zip(ours, expected, strict=True)):
            if b is None:
                assert a is None or not a.array.any()
            else:
                close(a, b, 1e-12, f"result {k}")


PROGRAMS: list[Callable] = []


def program(function: Callable) -> Callable:
    PROGRAMS.append(function)
    return function


@program
def row_of_a_recorded_tensor(m: Any, x: Any, w: Any) -> Any:
    y = x * 2
    y[0].mul_(w)
    return y


@program
def the_view_itself(m: Any, x: Any, w: Any) -> Any:
    y = x * 2
    v = y[1]
    v.mul_(w)
    return v


@program
def another_view_sees_it(m: Any, x: Any, w: Any) -> Any:
    y = x * 2
    other = y.t()
    y[1].mul_(w)
    return other


@program
def views_of_views(m: Any, x: Any, w: Any) -> Any:
    y = x * 1
    v = y.t().unsqueeze(0)
    u = v.narrow(1, 1, 2)[0].mT
    u.mul_(w[:2])
    u.add_(w[2:])
    return y * v.sum() + u.sum()


@program
def writing_the_base_changes_views(m: Any, x: Any, w: Any) -> Any:
    y = x * 1
    v = y.view(4, 3)[1:3]
    y.mul_(w)
    return v


@program
def base_and_view_in_turn(m: Any, x: Any, w: Any) -> Any:
    y = x * 1
    v = y.select(1, 2)
    v.mul_(3.0)
    y.mul_(w)
    v.mul_(v.clone())
    y.add_(y)
    return y + v.sum()


@program
def flattened(m: Any, x: Any, w: Any) -> Any:
    y = x * x
    y.view(-1)[2:10:3].mul_(w[:3])
    return y


@program
def reshape_that_only_this_layout_allows(m: Any, x: Any, w: Any) -> Any:
    y = x.t() * 2  # lies in memory as x does
    v = y.t().view(-1)
    v[1:5].mul_(w)
    return y


@program
def view_of_a_number(m: Any, x: Any, w: Any) -> Any:
    y = x.sum() * 1
    y.view(1).mul_(w[0])
    return y


@program
def diagonal_written(m: Any, x: Any, w: Any) -> Any:
    y = x * 1
    y.diagonal(1).mul_(w[:3])
    return y


@program
def windows_written(m: Any, x: Any, w: Any) -> Any:
    y = x * 1
    y.unfold(1, 2, 2).mul_(w[:2])
    return y


@program
def a_constant_becomes_recorded(m: Any, x: Any, w: Any) -> Any:
    y = m.zeros(3, 4, dtype=m.float64)
    v = y[1]
    v.copy_(w)
    y[:, 0].add_(x[:, 1])
    return y * 2 + v


@program
def overwritten(m: Any, x: Any, w: Any) -> Any:
    y = x * 1
    y[0].zero_()
    y[1, 1:].fill_(2.0)
    y.t()[3].copy_(w[:3])
    return y


@program
def expanded_into(m: Any, x: Any, w: Any) -> Any:
    y = x * 1
    y.narrow(0, 1, 2).mul_(w.expand(2, 4))
    return y


@program
def squeezed_and_moved(m: Any, x: Any, w: Any) -> Any:
    y = x * 1
    y.unsqueeze(1).movedim(0, 2).squeeze(0).permute(0, 1)[2].mul_(w[1])
    return y


@program
def a_loop_over_slices(m: Any, x: Any, w: Any) -> Any:
    y = m.zeros_like(x)
    for i in range(3):
        y[i] = x[i] * w + (y[i - 1] if i else 0)
    return y


@program
def a_detached_copy_is_apart(m: Any, x: Any, w: Any) -> Any:
    y = x * 1
    held = y.clone()
    y[0].mul_(w)
    return held + y


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_program(program: Callable, torch: Any) -> None:
    compare(torch, program)


# -- views that come several at once ----------------------------------------------------------------------------------------


def pieces(name: str) -> tuple[Callable, Callable]:
    """The pieces of a tensor of shape (3, 4) by an op with several outputs, and by slices."""
    return {
        "unbind": (lambda y: y.unbind(), lambda y: [y[0], y[1], y[2]]),
        "split": (lambda y: y.split([1, 2], 0), lambda y: [y[:1], y[1:]]),
        "chunk": (lambda y: y.chunk(2, 1), lambda y: [y[:, :2], y[:, 2:]]),
        "iteration": (lambda y: list(y), lambda y: [y[0], y[1], y[2]]),
    }[name]


@pytest.mark.parametrize("name", ["unbind", "split", "chunk", "iteration"])
def test_several_views(name: str, torch: Any) -> None:
    take, _ = pieces(name)

    def used(m: Any, x: Any, w: Any) -> Any:
        parts = take(x * w)
        return parts[0].sum() * parts[-1] + parts[-1]

    compare(torch, used)


@pytest.mark.parametrize("name", ["unbind", "split", "chunk", "iteration"])
def test_writing_into_one_of_several_views(name: str, torch: Any) -> None:
    """PyTorch refuses this where the base is recorded; here it is as if the view had been taken by a slice."""
    take, slices = pieces(name)

    def written(how: Callable) -> Callable:
        def program(m: Any, x: Any, w: Any) -> Any:
            y = x * 1
            parts = how(y)
            parts[1].mul_(w[1])
            parts[0].mul_(parts[0].clone())
            return y + parts[0].sum() * parts[1].sum()

        return program

    compare(torch, written(take), written(slices))


@pytest.mark.parametrize("name", ["unbind", "split", "chunk", "iteration"])
def test_several_views_of_what_is_not_recorded(name: str, torch: Any) -> None:
    """Where PyTorch allows it: the base records nothing, what is written does not either."""
    take, _ = pieces(name)
    x = Tensor(np.arange(12.0).reshape(3, 4))
    y = to_torch(torch, x.array.copy())
    for t in (x, y):
        parts = take(t)
        parts[0].add_(parts[1].sum())
        parts[1].mul_(-1.0)
    close(x, y, 0, name)


def test_backward_of_all_slices_takes_one_node() -> None:
    x = Tensor(np.ones((100, 3))).requires_grad_()
    rows = (x * 1).unbind()
    assert len({id(r.grad_fn.next_functions[0][0]) for r in rows}) == 1
    assert [r.grad_fn.next_functions[0][1] for r in rows] == list(range(100))
    total = rows[0]
    for r in rows[1:]:
        total = total + r
    total.sum().backward()
    assert (x.grad.array == 1).all()


def test_gradients_of_some_of_several_outputs(torch: Any) -> None:
    def one(m: Any, x: Any, w: Any) -> Any:
        a, b, c = (x * w).unbind()
        return b * b

    def asked_for(m: Any, x: Any, w: Any) -> Any:
        a, b, c = (x * 2).split(1)
        (g,) = m.autograd.grad((b * b * c).sum(), b, create_graph=True)  # an output itself, caught on the way
        return g * x

    compare(torch, one)
    compare(torch, asked_for)


# -- what must not be written ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grad", [False, True])
def test_expanded_tensors_are_not_written(grad: bool, torch: Any) -> None:
    x = Tensor(np.ones((1, 3)))
    y = (x.requires_grad_() * 1 if grad else x).expand(2, 3)
    for write in (lambda t: t.add_(1.0), lambda t: t.zero_(), lambda t: t.mul_(t), lambda t: t.__setitem__(0, 1.0)):
        with pytest.raises(RuntimeError, match="refers to a single memory"):
            write(y)
    with pytest.raises(RuntimeError, match="refers to a single memory"):
        to_torch(torch, np.ones((1, 3))).expand(2, 3).add_(1.0)
    assert (x.array == 1).all()


def test_expanding_nothing_can_be_written(torch: Any) -> None:
    for t in (Tensor(np.ones((2, 3))), to_torch(torch, np.ones((2, 3)))):
        t.expand(1, 2, 3).add_(1.0)
        t.expand(2, 3).add_(1.0)
        assert (np.asarray(t) == 3).all()


def test_overlapping_windows_are_not_written() -> None:
    """PyTorch does not notice that they overlap, and adds more than once in places."""
    t = Tensor(np.ones(5))
    with pytest.raises(RuntimeError, match="single memory location"):
        t.unfold(0, 3, 1).add_(1.0)
    t.unfold(0, 2, 2).add_(1.0)
    assert t.array.tolist() == [2, 2, 2, 2, 1]


@pytest.mark.parametrize("view", [lambda x: x[0], lambda x: x.t(), lambda x: x.view(-1), lambda x: x.unbind()[0]])
def test_views_of_leaves_are_not_written(view: Callable, torch: Any) -> None:
    for x in (Tensor(np.ones((2, 2))).requires_grad_(), torch.ones(2, 2, requires_grad=True)):
        with pytest.raises(RuntimeError):
            view(x).mul_(2.0)
    x = Tensor(np.ones((2, 2))).requires_grad_()
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad is being used in an in-place operation"):
        view(x).mul_(2.0)
    with ag.no_grad():
        view(x).mul_(2.0)
    assert x.array[0, 0] == 2
    assert x.is_leaf


def test_a_saved_array_overwritten_through_a_view() -> None:
    x = Tensor(np.ones((2, 2))).requires_grad_()
    y = x * 2
    z = y * y
    y.t()[0].zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_versions_are_shared() -> None:
    x = Tensor(np.ones((2, 2)))
    v, d = x.t()[0], x.detach()
    before = x._version
    v.add_(1.0)
    d.view(-1).add_(1.0)
    assert x._version == v._version == d._version == before + 2


def test_views_do_not_keep_each_other_alive() -> None:
    x = Tensor(np.ones(3))
    for _ in range(100):
        x.view(3, 1)
    assert len(x.views) <= 32


# -- small things ------------------------------------------------------------------------------------------------------------


def test_sizes(torch: Any) -> None:
    for shape in ((2, 3), (), (0, 3), (1,)):
        x, y = Tensor(np.ones(shape)), torch.ones(shape, dtype=torch.float64)
        for name in ("numel", "nelement", "dim", "ndimension", "element_size", "is_contiguous", "storage_offset"):
            assert getattr(x, name)() == getattr(y, name)(), name
        assert x.size() == tuple(y.size())
        assert x.nbytes == y.nbytes
        assert x.itemsize == y.itemsize
        if shape:
            assert len(x) == len(y)
            assert x.size(-1) == y.size(-1)
            assert len(list(x)) == len(list(y))
    assert not Tensor(np.ones((2, 3))).t().is_contiguous()
    for refused in (len, iter):
        with pytest.raises(TypeError, match="0-d tensor"):
            refused(Tensor(np.ones(())))


def test_view_refuses_what_would_copy(torch: Any) -> None:
    for x in (Tensor(np.ones((2, 3))), torch.ones(2, 3)):
        with pytest.raises(RuntimeError, match="view size is not compatible with input tensor's size and stride"):
            x.t().view(6)
        assert tuple(x.t().view(3, 2, 1).shape) == (3, 2, 1)


# -- errors ------------------------------------------------------------------------------------------------------------------

# what raises, of a tensor x of shape (2, 3): the type and the first words of the message are PyTorch's
ERRORS: list[str] = [
    "x.reshape(4, -1)",
    "x.reshape(5)",
    "x.reshape(-1, -1)",
    "x.reshape(-2, 3)",
    "x.reshape(2, 3.0)",
    "m.zeros(0).reshape(-1, 0)",
    "x.view(5)",
    "x.flatten(1, 0)",
    "x.flatten(2)",
    "x.unflatten(1, (2, 2))",
    "x.unflatten(1, ())",
    "x.squeeze(2)",
    "x.squeeze((0, 0))",
    "x.unsqueeze(3)",
    "x.expand(3)",
    "x.expand(4, 3)",
    "x.expand(-1, 2, 3)",
    "m.broadcast_shapes((2,), (3,))",
    "m.broadcast_tensors(x, m.zeros(2))",
    "x.permute(0)",
    "x.permute(0, 0)",
    "x.permute(0, 2)",
    "x.transpose(0, 2)",
    "x.movedim((0, 1), (0,))",
    "x.movedim((0, 0), (0, 1))",
    "x.movedim(0, 2)",
    "x[0].mT",
    "x.unsqueeze(0).H",
    "x.unsqueeze(0).t()",
    "x.flip(0, 0)",
    "x.flip(2)",
    "x[0].fliplr()",
    "x.roll((1, 2), 0)",
    "x.roll(1, 2)",
    "x[0].rot90()",
    "x.rot90(1, (0, 0))",
    "x.rot90(1, (0, 2))",
    "x.select(0, 2)",
    "x.select(2, 0)",
    "x.sum().select(0, 0)",
    "x.narrow(1, 2, 3)",
    "x.narrow(1, 5, 1)",
    "x.narrow(1, 0, -1)",
    "x.sum().unbind()",
    "x.split(-1)",
    "x.split(0)",
    "x.split([1, 2])",
    "x.split([3, -1])",
    "x.chunk(0)",
    "x.tensor_split(0)",
    "x.hsplit(2)",
    "x[0].vsplit(1)",
    "x.diagonal(0, 0, 0)",
    "x[0].diagonal()",
    "x.unsqueeze(0).diag()",
    "x.unfold(1, 4, 1)",
    "x.unfold(1, 2, 0)",
    "m.cat([])",
    "m.cat([x, m.zeros(2)])",
    "m.cat([x, m.zeros(2, 4)])",
    "m.cat([x.sum(), x])",
    "m.cat([x, x], 2)",
    "m.cat([x, 1])",
    "m.stack([])",
    "m.stack([x, m.zeros(3)])",
    "m.stack([x], 3)",
    "m.vstack([m.zeros(2), m.zeros(3)])",
    "x.repeat(2)",
    "x.repeat(2, -1)",
    "x[0].repeat_interleave(m.tensor([1, 2]))",
    "x.repeat_interleave(-1)",
    "x[0].repeat_interleave(m.tensor([1, -1, 1]))",
    "m.select_scatter(x, x, 0, 0)",
    "m.slice_scatter(x, x, 0, 1)",
    "pad(x, (1,))",
    "pad(x[0], (1, 1, 1, 1))",
    "pad(x, (-2, -2))",
    "pad(x, (3, 1), 'reflect')",
    "pad(x, (4, 1), 'circular')",
    "pad(x, (1, 1), 'nothing')",
    "pad(x[0], (1, 1), 'replicate')",
    "pad(x, (1, 1), 'reflect', value=1.0)",
    "len(x.sum())",
    "x.size(2)",
]


@pytest.mark.parametrize("text", ERRORS)
def test_error(text: str, torch: Any) -> None:
    """The type of each error is PyTorch's, and so are the numbers in its message."""
    with pytest.raises(Exception) as theirs:
        eval(text, {"x": torch.zeros(2, 3), "m": torch, "pad": torch.nn.functional.pad})
    with pytest.raises(type(theirs.value)) as ours:
        eval(text, {"x": ag.zeros(2, 3), "m": ag, "pad": ag.pad})
    line = str(theirs.value).split("\n")[0].split("torch.FloatTensor")[0]
    assert str(ours.value).startswith(line) or isinstance(theirs.value, TypeError)
