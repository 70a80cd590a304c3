"""In-place writes on recorded tensors and on their views.

NOTE [In place]
    An in-place op is its ordinary op, whose result is then written into the tensor's own memory. What makes that right:
    1. The tensor takes over the node of the result: from now on its history is the new value's ("rebased").
    2. A node just recorded that saved the *old* elements gets a copy of them, made before they are overwritten; one that
       saved the *result* gets the tensor's own array instead, so that `relu_` keeps one array and not two.
    3. Nodes recorded earlier that saved these elements are not helped: they find, at backward, that the memory was written
       after them, and raise (graph.check_unwritten).
    4. Writing into a view is writing into its base. The base's new history is put_view(old base, new value of the view),
       and every living view of that base gets a fresh history by following its chain of view ops from the base again:
           y = x * 2; v = y[0]; v.mul_(3)        # y.node is now put_view(mul(x, 2), mul(v, 3)), v.node is y[0] anew
    5. Two kinds of views have a history that does not lead to their base, so that rule 4 would lose it or the base would miss
       the write. One made under no_grad has none: writing into it is an error. One that a custom Function returned has the
       Function's: `custom_view` at the end of its chain makes writing into it an error, and, once its base was written, so
       is the backward through it.
    6. An op that keeps its output where PyTorch does not (backend.residue) lets go of it before that is written into, through
       whatever tensor shares its memory, and before a tensor hands it out: `keep_apart`. Not seen are writes into `Tensor.array`.
    A tensor knows its views by weak references, a view holds its base, and the chain holds no array: no cycle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import backend
from ..backend.promotion import category
from .dispatch import NUMBERS
from .graph import NO_GRAD, Leaf, keep_apart, mode, tick, touch, words
from .primitive import attach, linear
from .tensor import RETAIN, Tensor
from .views import apply, follow, note_view


def in_place(function: Callable, name: str | None = None, direct: Callable | None = None) -> Callable:
    """The in-place form of a function: `in_place(exp)(x)` writes exp(x) into x and returns x.

    direct   (xp, array, *arguments) -> None, a faster way to write where nothing needs recording; arguments that are
             Tensors come as arrays. It may return NotImplemented."""
    name = name or function.__name__ + "_"

    def call(x: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
        recording = not mode.state & NO_GRAD
        if recording:
            refuse_unwritable(x)
        keep_apart(x.array)
        if direct is not None and not keywords and not (recording and _recorded(x, arguments)):
            if _directly(direct, x, arguments, name):
                return x
        return _write(function, x, arguments, keywords, name)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"In-place form of `{function.__name__}`: writes the result into this tensor and returns it."
    return call


def refuse_unwritable(x: Tensor) -> None:
    """Raise RuntimeError for a leaf, and for a view that a write would give a wrong history. See NOTE [In place]."""
    for t, what in ((x, "a leaf"), (x._base, "a view of a leaf")):
        if t is not None and isinstance(t.node, Leaf):
            raise RuntimeError(
                f"{what} Variable that requires grad is being used in an in-place operation: do it under no_grad(), or out "
                "of place"
            )
    if x._base is None:
        return
    base, chain = x.base
    if base.node is not None and x.node is None:
        raise RuntimeError(
            "A view was created in no_grad mode and is being modified inplace with grad mode enabled: the gradient of its base "
            "would miss the write. Take the view and write into it both inside no_grad(), or both outside"
        )
    if any(op is custom_view.op for op, _, _ in chain):
        raise RuntimeError(CUSTOM_VIEW.format("is being modified inplace"))


def _recorded(x: Tensor, arguments: tuple) -> bool:
    return any(isinstance(t, Tensor) and t.node is not None for t in (x, x._base, *arguments))


def _directly(direct: Callable, x: Tensor, arguments: tuple, name: str) -> bool:
    """Write without computing a temporary, if dtypes and shapes allow it. False: not done, take the general way."""
    array = x.array
    raw = []
    for a in arguments:
        if isinstance(a, Tensor):
            if a.array.__class__ is not array.__class__ or category(a.array.dtype) > category(array.dtype):
                return False
            a = a.array
        elif not isinstance(a, NUMBERS):
            return False
        raw.append(a)
    xp = backend.of(array.__class__)
    if backend.apart[0]:
        direct = xp.guarded(direct, name)
    try:
        if direct(xp, array, *raw) is NotImplemented:
            return False
    except (TypeError, ValueError, OverflowError):
        return False  # the general way explains what is wrong, or does it
    touch(array, name)
    return True


def _write(function: Callable, x: Tensor, arguments: tuple, keywords: dict[str, Any], name: str) -> Tensor:
    """Compute, write, and give x the history of the result. See NOTE [In place]."""
    start = tick()
    array = x.array
    result = _fitting(function(x, *arguments, **keywords), array, name)
    node = result.node
    if node is not None:
        _keep_old(node, start, array, result.array)
    try:
        backend.of(array.__class__).copyto(array, result.array)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise RuntimeError(
            f"unsupported operation in {name}(): more than one element of the written-to tensor refers to a single memory "
            "location, or the memory is read-only. Please clone() the tensor before performing the operation."
        ) from None
    touch(array, name)
    if node is not None:
        if node.number > start:
            _replace_saved(node, lambda saved: saved is result.array, lambda saved: array)
            node.number = tick()  # after the write, which is no change to what it saved
        rebase(x, node)
    return x


def _fitting(result: Tensor, array: Any, name: str) -> Tensor:
    """The result, cast to the dtype of the array that it is to be written into.

    Raises RuntimeError if its shape or its kind of dtype does not fit."""
    if result.array.shape != array.shape:
        raise RuntimeError(
            f"output with shape {list(array.shape)} doesn't match the broadcast shape {list(result.array.shape)} in {name}()"
        )
    if result.array.dtype == array.dtype:
        return result
    if category(result.array.dtype) > category(array.dtype):
        raise RuntimeError(
            f"result type {result.array.dtype} can't be cast to the desired output type {array.dtype} in {name}(): "
            f"convert the tensor first, or use {name.rstrip('_')}()"
        )
    return words.astype(result, dtype=array.dtype)


def _keep_old(node: Any, start: int, array: Any, result: Any) -> None:
    """Give the nodes made since `start` copies of what they saved of `array`, which is about to be overwritten."""
    memory = backend.of(array.__class__).memory
    stack, seen = [node], set()
    while stack:
        node = stack.pop()
        if node.number < start or node in seen:
            continue
        seen.add(node)
        stack.extend(node.edges)
        if hasattr(node, "saved"):
            _replace_saved(node, lambda saved: saved is not result and memory(saved) is memory(array), lambda saved: saved.copy())


def _replace_saved(node: Any, which: Callable, by: Callable) -> None:
    """Replace the saved arrays that `which` picks by what `by` makes of them."""
    saved = list(node.saved)
    for i in node.plan.array_places(saved):
        if saved[i] is not None and which(saved[i]):
            saved[i] = by(saved[i])
    node.saved = tuple(saved)


def rebase(x: Tensor, node: Any) -> None:
    """Make `node` the history of x and, through it, of x's base and all views of that."""
    base = x._base
    if base is None:
        base = x
        _take_over(x, node)
    else:
        inputs = Tensor(base.array, base.node), Tensor(x.array, node)
        lane = put_view.op.lanes[base.array.__class__]
        _take_over(base, attach(put_view.op, lane, inputs, [t.array for t in inputs], {"chain": x.base[1]}, base.array))
    for view in getattr(base, "views", ())[:]:
        t = view()
        if t is not None and not isinstance(t.node, Leaf):
            _take_over(t, follow(words, base, t.base[1]).node)


def _take_over(t: Tensor, node: Any) -> None:
    """Make `node` the history of t. `retain_grad` asked for the gradient of what t now holds, other hooks for the old value's."""
    keep = t.node.hooks.pop(RETAIN) if t.retains_grad else None
    t.node = node
    if keep is not None:
        t.register_hook(keep, RETAIN)


CUSTOM_VIEW = (
    "a view that a custom Function returned (or an input that it returned as it was) {}: the history that the write gives it "
    "would take the place of the Function's backward. clone() it first, or write out of place"
)


def _lost(xp: Any, g: Any) -> Any:
    raise RuntimeError(CUSTOM_VIEW.format("had its base, or another view of that, modified inplace"))


@linear(_lost, view=True)
def custom_view(xp: Any, x: Any) -> Any:
    """Stands in a chain of view ops for the custom Function that returned the view."""
    return x


def note_custom_view(y: Tensor, inputs: tuple) -> None:
    """Note that a custom Function returned `y`, if it is a view or shares the memory of one of `inputs`."""
    if y._base is not None:
        base, chain = y.base
        y.base = (base, (*chain, (custom_view.op, {}, None)))
        return
    for x in inputs:
        if isinstance(x, Tensor) and y._base is None and y.array is x.array:
            note_view(y, x, custom_view.op, {}, None)


@linear(
    base=lambda xp, g, value_shape, chain: apply(put_view.op, xp, g, xp.zeros(value_shape, g.dtype), chain=chain),
    value=lambda xp, g, chain: follow(xp, g, chain),
)
def put_view(xp: Any, base: Any, value: Any, *, chain: tuple) -> Any:
    """`base` with the region that the view ops in `chain` lead to replaced by `value`."""
    steps = [xp.asarray(base).copy()]
    for link in chain:
        steps.append(follow(xp, steps[-1], (link,)))
    xp.copyto(steps[-1], value)
    for before, after in zip(steps[-2::-1], steps[:0:-1], strict=True):
        if xp.memory(after) is not xp.memory(before):  # reshape copies where this copy lies otherwise than the base did
            xp.copyto(before, xp.reshape(after, shape=before.shape))
    return steps[0]
