"""In-place writes: what they do to history, views and versions, and what backward says about them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.core.tensor import Tensor

THIS_FILE = re.escape(__file__)


def leaf(values: Any) -> Tensor:
    return Tensor(np.array(values, np.float64)).requires_grad_()


def constant(values: Any) -> Tensor:
    return Tensor(np.array(values, np.float64))


def equal(t: Tensor, values: Any) -> None:
    np.testing.assert_allclose(t.array, values, 1e-12, 1e-12)


def line_of(text: str) -> int:
    """The number of the line of this file that carries the comment `# text`."""
    with open(__file__) as file:
        return next(n for n, line in enumerate(file, 1) if line.rstrip().endswith("# " + text))


# -- errors ----------------------------------------------------------------------------------------------------------------


def test_the_error_names_op_array_and_both_lines() -> None:
    x = leaf([1.0, 2.0])
    y = x.tanh()  # saved here
    y.mul_(2.0)  # written here
    # mul_ by a constant saves nothing of y, tanh saved its output
    with pytest.raises(RuntimeError) as error:
        y.sum().backward()
    text = str(error.value)
    assert "modified by an inplace operation" in text
    assert "tanh" in text
    assert "mul_" in text
    assert "out" in text
    assert "float64 [2]" in text
    assert f"{__file__}:{line_of('saved here')}" in text
    assert f"{__file__}:{line_of('written here')}" in text


def test_each_kind_of_write_is_seen() -> None:
    def iadd(t: Tensor) -> None:
        t += 1.0

    def index(t: Tensor) -> None:
        t[0] = 1.0

    def through_a_view(t: Tensor) -> None:
        t[1:].zero_()

    def through_detach(t: Tensor) -> None:
        t.detach().add_(1.0)

    def through_reshape(t: Tensor) -> None:
        t.reshape((2, 1)).fill_(1.0)

    def without_grad(t: Tensor) -> None:
        with ag.no_grad():
            t.copy_(constant([5.0, 5.0]))

    for write in (iadd, index, through_a_view, through_detach, through_reshape, without_grad):
        x = leaf([1.0, 2.0])
        y = x * 1.0
        z = y * y
        write(y)
        with pytest.raises(
            RuntimeError, match=rf"inplace operation: mul at {THIS_FILE}:\d+ saved its [ab] .* at {THIS_FILE}:\d+ wrote into it"
        ):
            z.sum().backward()


def test_what_was_not_saved_may_be_written() -> None:
    x = leaf([1.0, 2.0])
    y = x * 3.0
    z = y * 2.0 + y
    y.mul_(5.0)
    (z.sum() + y.sum()).backward()
    equal(x.grad, [9 + 15.0] * 2)


def test_a_write_before_saving_is_no_error() -> None:
    x = leaf([1.0, 2.0])
    y = x * 3.0
    y.add_(1.0)
    z = y * y
    z.sum().backward()
    equal(x.grad, 2 * (3 * x.array + 1) * 3)


def test_leaves_may_not_be_written() -> None:
    x = leaf([1.0, 2.0])
    for write in (
        lambda: x.mul_(2.0),
        lambda: x.zero_(),
        lambda: x.__setitem__(0, 1.0),
        lambda: x[0:1].mul_(2.0),
        lambda: x.__iadd__(1.0),
    ):
        with pytest.raises(
            RuntimeError, match="a (view of a )?leaf Variable that requires grad is being used in an in-place operation"
        ):
            write()
    equal(x, [1.0, 2.0])
    with ag.no_grad():
        x.mul_(2.0)
        x[0] = 7.0
    equal(x, [7.0, 4.0])
    assert x.is_leaf
    assert x.requires_grad


def test_wrong_shapes_and_dtypes() -> None:
    x = constant([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"output with shape \[2\] doesn't match the broadcast shape \[3, 2\]"):
        x.mul_(constant([[1.0], [2.0], [3.0]]))
    i = Tensor(np.array([1, 2]))
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type"):
        i.mul_(1.5)
    i.mul_(2)
    np.testing.assert_array_equal(i.array, [2, 4])
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor refers to a single memory location"):
        constant([1.0]).broadcast_to((3,)).mul_(2.0)


def test_a_failed_write_changes_nothing() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2.0
    node = y.node
    with pytest.raises(RuntimeError):
        y.mul_(constant([1.0, 2.0, 3.0]))
    assert y.node is node
    equal(y, [2.0, 4.0])
    assert y._version == 0


# -- history ---------------------------------------------------------------------------------------------------------------


def test_written_tensors_take_the_new_history() -> None:
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = x * 2.0
    before = y
    y *= w
    assert y is before
    equal(y, [6.0, 16.0])
    y.sum().backward()
    equal(x.grad, [6.0, 8.0])
    equal(w.grad, [2.0, 4.0])


def test_a_constant_that_a_recorded_value_is_written_into() -> None:
    x, out = leaf([1.0, 2.0]), constant([10.0, 20.0])
    out.add_(x)
    assert out.requires_grad
    out.mul_(x)
    out.sum().backward()
    equal(x.grad, [10 + 2.0, 20 + 4.0])


def test_a_tensor_multiplied_by_itself() -> None:
    x = leaf([1.0, 2.0])
    y = x * 1.0
    y.mul_(y)
    y.mul_(y)
    y.sum().backward()
    equal(x.grad, 4 * x.array**3)


def test_saved_outputs_follow_the_memory() -> None:
    x = leaf([1.0, 2.0])
    y = x * 1.0
    y.tanh_()
    assert y.node.saved[0] is y.array
    y.sum().backward()
    equal(x.grad, 1 - np.tanh(x.array) ** 2)


def test_history_forgotten() -> None:
    x = leaf([1.0, 2.0])
    for forget in (lambda t: t.zero_(), lambda t: t.fill_(3.0), lambda t: t.copy_(constant([5.0, 6.0]))):
        y = x * x
        forget(y)
        z = y * x
        x.grad = None
        z.sum().backward()
        equal(x.grad, y.array)


def test_copy_takes_the_gradient_of_its_source() -> None:
    x, y = leaf([1.0, 2.0]), leaf([[3.0], [4.0]])
    z = x.broadcast_to((2, 2)).clone()
    z[0].copy_(y[1])
    z.sum().backward()
    equal(x.grad, [1.0, 1.0])
    equal(y.grad, [[0.0], [2.0]])


# -- views -----------------------------------------------------------------------------------------------------------------


def test_writing_into_a_view_is_writing_into_its_base() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = x * 2.0
    v = y[0]
    v.mul_(3.0)
    equal(y, [[6.0, 12.0], [6.0, 8.0]])
    (y * constant([[1.0, 10.0], [100.0, 1000.0]])).sum().backward()
    equal(x.grad, [[6.0, 60.0], [200.0, 2000.0]])


def test_writing_into_a_base_is_writing_into_its_views() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = x * 2.0
    v, w = y[0], y[1][1:]
    y.mul_(constant([[1.0, 2.0], [3.0, 4.0]]))
    equal(v, [2.0, 8.0])
    (v.sum() + w.sum()).backward()
    equal(x.grad, [[2.0, 4.0], [0.0, 8.0]])


def test_views_of_views_and_their_sisters() -> None:
    x = leaf(np.arange(6.0).reshape(2, 3))
    y = x * 1.0
    row = y[1]
    cell = row[1:2]
    sister = y.reshape((6,))[3:]
    cell.mul_(10.0)
    equal(row, [3.0, 40.0, 5.0])
    (sister * constant([1.0, 2.0, 3.0])).sum().backward(retain_graph=True)
    equal(x.grad, [[0.0] * 3, [1.0, 20.0, 3.0]])
    x.grad = None
    row.sum().backward()
    equal(x.grad, [[0.0] * 3, [1.0, 10.0, 1.0]])


def test_indexed_assignment() -> None:
    x, v = leaf(np.arange(6.0).reshape(2, 3)), leaf([10.0, 20.0])
    y = x * 2.0
    y[:, 1] = v * v
    y[0, 0] = 5.0
    y[1] += 1.0
    y.sum().backward()
    equal(x.grad, [[0.0, 0.0, 2.0], [2.0, 0.0, 2.0]])
    equal(v.grad, [20.0, 40.0])


def test_versions_are_shared() -> None:
    y = constant([[1.0, 2.0], [3.0, 4.0]])
    v, d = y[0], y.detach()
    assert y._version == v._version == d._version == 0
    v.add_(1.0)
    d.add_(1.0)
    y.add_(1.0)
    assert y._version == v._version == d._version == 3
    assert y.clone()._version == 0


def test_contiguous_copies_what_is_not() -> None:
    x = leaf(np.arange(6.0).reshape(2, 3))
    y = (x * 1.0).transpose(0, 1)
    z = y.contiguous()
    assert z is not y
    assert z.array.flags.c_contiguous
    assert z._base is None
    assert z.contiguous() is z
    w = np.arange(6.0).reshape(3, 2)
    (g,) = ag.autograd.grad((z * z * constant(w)).sum(), x, create_graph=True)
    equal(g, 2 * x.array * w.T)
    equal(ag.autograd.grad(g.sum(), x)[0], 2 * w.T)


def test_what_is_a_view_of_what() -> None:
    y = constant([[1.0, 2.0], [3.0, 4.0]])
    assert y._base is None
    assert y[0]._base is y
    assert y[0][1:]._base is y
    assert y.reshape((4,))._base is y
    assert (y * 1.0)._base is None
    assert y.detach()._base is None


# -- random programs, against PyTorch --------------------------------------------------------------------------------------

try:
    from hypothesis import given, settings
    from hypothesis import strategies as st
except ImportError:
    pytest.skip("hypothesis is not installed", allow_module_level=True)

OUT_OF_PLACE = {
    "tanh": lambda m, x, y: x.tanh(),
    "sin": lambda m, x, y: x.sin(),
    "double": lambda m, x, y: x * 2.0,
    "neg": lambda m, x, y: -x,
    "square": lambda m, x, y: x * x,
    "relu": lambda m, x, y: x.relu(),
    "add": lambda m, x, y: x + y,
    "sub": lambda m, x, y: x - y,
    "mul": lambda m, x, y: x * y,
    "div": lambda m, x, y: x / (y * y + 1.0),
    "clone": lambda m, x, y: x.clone(),
    "rowsum": lambda m, x, y: x.sum(0),
}
VIEWS = {
    "first": lambda m, x, y: x[0],
    "last": lambda m, x, y: x[-1],
    "tail": lambda m, x, y: x[1:],
    "steps": lambda m, x, y: x[::2],
    "column": lambda m, x, y: x[..., 1],
    "new": lambda m, x, y: x[None],
    "transpose": lambda m, x, y: x.transpose(0, -1),
    "flat": lambda m, x, y: x.reshape(-1),
    "view": lambda m, x, y: x.view(-1),
    "unsqueeze": lambda m, x, y: x.unsqueeze(-1),
    "expand": lambda m, x, y: x.unsqueeze(0).expand(2, *x.shape),
    "detach": lambda m, x, y: x.detach(),
    "itself": lambda m, x, y: x.view(x.shape),
}
WRITES = {
    "mul_": lambda m, x, y: x.mul_(y),
    "add_": lambda m, x, y: x.add_(y),
    "sub_": lambda m, x, y: x.sub_(y),
    "double_": lambda m, x, y: x.mul_(2.0),
    "add1_": lambda m, x, y: x.add_(1.0),
    "tanh_": lambda m, x, y: x.tanh_(),
    "sin_": lambda m, x, y: x.sin_(),
    "relu_": lambda m, x, y: x.relu_(),
    "square_": lambda m, x, y: x.mul_(x.clone()),
    "zero_": lambda m, x, y: x.zero_(),
    "fill_": lambda m, x, y: x.fill_(0.5),
    "copy_": lambda m, x, y: x.copy_(y),
    "set_first": lambda m, x, y: x.__setitem__(0, y),
    "set_tail": lambda m, x, y: x.__setitem__(slice(1, None), y),
    "set_number": lambda m, x, y: x.__setitem__((Ellipsis, 0), 0.25),
    "clamp_": lambda m, x, y: x.clamp_(-0.9, 0.9),
}
NO_GRAD_WRITES = {
    f"{name} under no_grad": under
    for name, under in (
        (n, lambda m, x, y, f=f: _under_no_grad(m, f, x, y))
        for n, f in WRITES.items()
        if n in ("mul_", "zero_", "add1_", "set_first")
    )
}


def _under_no_grad(m: Any, f: Any, x: Any, y: Any) -> Any:
    with m.no_grad():
        return f(m, x, y)


INSTRUCTIONS = {**OUT_OF_PLACE, **VIEWS, **WRITES, **NO_GRAD_WRITES}
WRITING = {*WRITES, *NO_GRAD_WRITES}

programs = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(sorted(OUT_OF_PLACE)), st.sampled_from(sorted(VIEWS)), st.sampled_from(sorted(WRITING))),
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    min_size=2,
    max_size=10,
)


class Machine:
    """Runs a program on one of the two libraries, an instruction at a time."""

    def __init__(self, library: Any, make: Any):
        self.library = library
        rng = np.random.default_rng(7)
        self.leaves = [make(rng.uniform(-1, 1, shape)).requires_grad_() for shape in ((3, 2), (2,))]
        self.pool = [self.leaves[0] * 1.0, make(rng.uniform(-1, 1, (3, 2))), self.leaves[1], self.leaves[1] * 0.5]

    def step(self, name: str, i: int, j: int, aside: bool = False) -> bool:
        """Do an instruction; False if it was refused. aside: read and write copies, so that nothing saved is overwritten."""
        x, y = self.pool[i % len(self.pool)], self.pool[j % len(self.pool)]
        try:
            if aside and name not in VIEWS:
                copy = x.clone()
                result = INSTRUCTIONS[name](self.library, copy, y.clone())
                if name in NO_GRAD_WRITES:
                    with self.library.no_grad():
                        x.copy_(copy)
                elif name in WRITES:
                    x.copy_(copy)
                else:
                    result = result.clone()
            else:
                result = INSTRUCTIONS[name](self.library, x, y)
        except (RuntimeError, IndexError, TypeError, ValueError) as refusal:
            self.refusal = refusal
            return False
        if name not in WRITING:
            self.pool.append(result)
        return True

    def unlike(self, i: int, j: int) -> bool:
        """Whether a write is one where PyTorch is different: into a part of an expanded tensor, which we refuse, or from memory
        that overlaps in part, where it refuses or gives what happens to come out."""
        x, y = self.pool[i % len(self.pool)].array, self.pool[j % len(self.pool)].array
        return not x.flags.writeable or (x is not y and np.shares_memory(x, y))

    def state(self) -> list:
        return [(tuple(t.shape), t.requires_grad, t.is_leaf, np.array(t.tolist()).round(9).tolist()) for t in self.pool]

    def gradients(self, k: int) -> list | str:
        """The leaves' gradients of a weighted sum of what is in the pool."""
        total = 0.0
        for n, t in enumerate(self.pool):
            if (k >> n) & 1 or n == len(self.pool) - 1:
                total = total + (t * float(n + 1)).sum()
        if not total.requires_grad:
            return "nothing"
        try:
            total.backward()
        except RuntimeError as error:
            self.refusal = error
            return "written" if "modified by an inplace operation" in str(error) else str(error)
        return [None if t.grad is None else np.array(t.grad.tolist()) for t in self.leaves]


@settings(max_examples=1500)
@given(programs, st.integers(0, 2**12))
def check_program(torch: Any, program: list, k: int) -> None:
    def torch_machine() -> Machine:
        return Machine(torch, lambda a: torch.tensor(a))

    ours, theirs = Machine(ag, lambda a: Tensor(a.copy())), torch_machine()
    text, done = [], []
    for name, i, j in program:
        if name in WRITING and ours.unlike(i, j):
            continue
        text.append(f"{name}({i % len(theirs.pool)}, {j % len(theirs.pool)})")
        did = theirs.step(name, i, j)
        assert ours.step(name, i, j) == did, f"{text}: PyTorch {'did it, we: ' + str(ours.refusal) if did else theirs.refusal}"
        assert ours.state() == theirs.state(), text
        done.append((name, i, j))
    a, b = ours.gradients(k), theirs.gradients(k)
    if b == "written" and not isinstance(a, str):
        # x.mul_(x) is refused by PyTorch and right here, x / y saves less here: the oracle is then PyTorch with copies
        theirs = torch_machine()
        for step in done:
            theirs.step(*step, aside=True)
        b = theirs.gradients(k)
    if isinstance(b, str) or isinstance(a, str):
        assert a == b, f"{text}: {getattr(ours, 'refusal', '')}"
        return
    for g, e in zip(a, b, strict=True):
        assert (g is None) == (e is None), text
        if g is not None:
            np.testing.assert_allclose(g, e, 1e-9, 1e-9, err_msg=str(text))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_random_programs(torch: Any) -> None:
    """Sequences of ops, views and writes give PyTorch's values and gradients, or are refused where PyTorch refuses."""
    check_program(torch)


# -- views that have no history, or another one --------------------------------------------------------------------------------


def test_a_view_made_under_no_grad_is_not_written_while_recording() -> None:
    x = leaf([[1.0, 2.0]])
    y = x * 2.0
    with ag.no_grad():
        v = y[0]
        v.mul_(1.0)
    for write in (lambda: v.mul_(3.0), lambda: v.__setitem__(0, 3.0), lambda: v[:1].zero_()):
        with pytest.raises(RuntimeError, match="view was created in no_grad mode"):
            write()
    equal(v, [2.0, 4.0])
    equal(y, [[2.0, 4.0]])
    y.mul_(3.0)  # gives v a history
    v.mul_(2.0)
    y.sum().backward()
    equal(x.grad, [[12.0, 12.0]])


def test_retain_grad_follows_the_tensor() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2.0
    seen: list = []
    y.retain_grad()
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.mul_(3.0)
    y[0].mul_(5.0)
    assert y.retains_grad
    y.sum().backward()
    equal(y.grad, [1.0, 1.0])
    assert seen == [[15.0, 3.0]]  # the hook is on what y was


def test_only_tensors_and_numbers_are_written() -> None:
    for wrong in ([1.0, 2.0], np.ones(2)):
        with pytest.raises(TypeError, match="must be Tensor, not"):
            constant([1.0, 2.0]).add_(wrong)


def test_detach_in_place_leaves_the_gradient() -> None:
    x = leaf([1.0])
    x.sum().backward()
    assert x.detach_() is x
    assert not x.requires_grad
    equal(x.grad, [1.0])
    x.requires_grad_()
    equal(x.grad, [1.0])
