"""backward(): gradients flow from the newest node to the oldest, each array freed as it is passed.

    pending   number of a node -> [node, the gradient gathered for it so far, do we own that array?]
    heap      the same numbers, negated, so that the newest comes off first: a topological order, see graph.NOTE [One clock].
              Leaves are not among them: nothing comes behind them, so they keep what they gathered until the end

The node whose turn comes next is most often an input of the one just done. It is then taken in hand without the detour
through heap and pending, which is safe if it is newer than all that is pending: nothing older can contribute to it.
The same loop runs on raw arrays and, under create_graph, on Tensors: only `xp` and the kind of `g` differ.

NOTE [Owning a gradient]
    A rule may return an array that something else holds too: add hands the same g to both inputs, a view of g shares its
    memory. So nothing is written into a gradient unless it is ours: either we made it (the sum of two), or nothing but the
    pending entry refers to it and it is no view. The first lets a third contribution be added in place; the second lets a
    leaf keep the array as its .grad without a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from sys import getrefcount
from threading import RLock, get_ident
from typing import Any

import numpy as np

from .. import backend
from . import between
from .between import slot
from .dispatch import NUMBERS
from .graph import NO_GRAD, Fan, Leaf, Node, Output, check_unwritten, last_write, mode, set_mode, tick, touch, where, words
from .tensor import Tensor


def run(
    roots: list[tuple[Any, Any]],
    retain: bool | None,
    create: bool,
    only: set | None = None,
    catch: set | None = None,
    inner: bool = False,
    going: Any = None,
) -> dict:
    """Pull the gradients of `roots`, pairs (node, gradient), back through the graph.

    only    the nodes to visit; None: all
    catch   nodes whose gradient is returned, in a dict; a leaf among them does not accumulate it
    inner   for calls from what stands between, see between.NOTE [Getting between]
    going   for calls from here: there are several CUDA devices or streams, and those of each node are made the current ones"""
    call = slot.call
    if call is not None and not inner:
        quiet = slot.quiet
        if not quiet[0] or only is not None or catch is not None or quiet[1] != get_ident():
            return call(roots, retain, create, only, catch)
        quiet[0] -= 1
    if backend.placed[0] and going is None:
        with backend.placing(tick if create else None) as going:
            found = run(roots, retain, create, only, catch, True, going)
            going.hand([x.array if create else x for x in found.values()])
            return found
    caught: dict[Any, Any] = {}
    pending: dict[int, list] = {}
    heap: list[int] = []
    waiting = 0  # the number of the newest node in the heap
    written = last_write
    end = Leaf if catch is None else None  # the class of nodes that wait for the end
    entry = None
    node, g = roots[0] if len(roots) == 1 else (None, None)  # the newest node, in hand
    if node is None:
        _add(roots, pending, heap, going)
    while True:
        if node is None:
            if not heap:
                break
            node, g, _ = entry = pending.pop(-heappop(heap))
            waiting = -heap[0] if heap else 0
        if going:
            _go_to(g, going, node)
        if node.__class__ is not Node or catch is not None:
            if entry is None:
                entry = [node, g, False]
            g = None
            if not _special(entry, pending, heap, create, only, catch, caught):
                node = entry = None
                continue
            g = entry[1]
        entry = None
        if node.saved is None:
            raise _passed_before(node)
        if written[0] > node.number:
            check_unwritten(node)
        saved = node.saved
        plan, edges, shapes = node.plan, node.edges, node.shapes
        xp = plan.xp
        if create:
            mode.constants, xp, saved = xp, words, plan.as_tensors(node)
        if saved and not retain:
            node.saved = None
        if only is not None:
            grads = plan.pull_only(xp, g, saved, [edge in only for edge in edges])
        elif plan.rule is None:
            grads = plan.pull(xp, g, *saved)
        else:  # a single gradient, and most often that of the next node: it is spared the loop below
            g = plan.rule(xp, g, *saved)
            if shapes is None and g is not None:
                (node,) = edges
                if node.number > waiting and node.__class__ is not Leaf:
                    saved = None
                    continue
            grads = (g,)
        saved = g = node = None
        if shapes is not None:
            grads = _fit(xp, grads, shapes)
        i = -1
        for edge in edges:  # not over zip(edges, grads), which costs 20 ns a node
            i += 1
            g_edge = grads[i]
            if g_edge is None:
                continue
            if going:
                _go_to(g_edge)
            number = edge.number
            entry = pending.get(number)
            if entry is not None:
                if entry[2]:
                    g_sum = entry[1]
                    g_sum += g_edge
                else:
                    entry[1] = g_sum = entry[1] + g_edge
                    entry[2] = not create and g_sum.ndim > 0  # a sum without dimensions is a NumPy scalar
                g_sum = None
            elif edge.__class__ is end:
                pending[number] = [edge, g_edge, False]
            elif node is None:
                node, newest, g = edge, number, g_edge
            elif number == newest:
                g = g + g_edge
            elif number < newest:
                pending[number] = [edge, g_edge, False]
                heappush(heap, -number)
            else:
                pending[newest] = [node, g, False]
                heappush(heap, -newest)
                node, newest, g = edge, number, g_edge
        grads = g_edge = entry = None
        if heap:
            waiting = -heap[0]
            if node is not None and newest < waiting:
                pending[newest] = [node, g, False]
                heappush(heap, -newest)
                node = g = None
    if pending:
        with _accumulating:
            while pending:
                leaf, g, _ = pending.popitem()[1]
                if going:
                    _go_to(g, going, leaf)
                _accumulate(leaf, g, create)
    return caught


def _inner(roots: list, retain: bool | None, create: bool, only: set | None = None, catch: set | None = None) -> dict:
    return run(roots, retain, create, only, catch, True)


between.begin(_inner)


def _fit(xp: Any, grads: Sequence[Any], shapes: Sequence[Any]) -> list[Any]:
    """The gradients summed down to the shapes of inputs that were broadcast."""
    return [
        g if shape is None or g is None or g.shape == shape else xp.sum_to(g, shape=shape)
        for g, shape in zip(grads, shapes, strict=True)
    ]


def _go_to(g: Any, going: Any = None, node: Any = None) -> None:
    """Make the CUDA device of a gradient, or of a list of them, and the stream of its node the current ones."""
    arrays = [x.array if isinstance(x, Tensor) else x for x in (g if g.__class__ is list else [g])]
    if backend.apart[0]:
        backend.go_to(arrays)
    if going:
        going.to(None if isinstance(node, Leaf) else node.number, arrays)


def _passed_before(node: Node) -> RuntimeError:
    return RuntimeError(
        f"Trying to backward through the graph a second time: what {node.name()} at {where(node.place)} "
        "saved was freed by the first. Specify retain_graph=True in the first call if you need both."
    )


def _add(roots: list[tuple[Any, Any]], pending: dict, heap: list, going: Any) -> None:
    """Put roots where they wait for their turn; what comes twice, once with the sum."""
    for node, g in roots:
        entry = pending.get(node.number)
        if entry is None:
            pending[node.number] = [node, g, False]
            heappush(heap, -node.number)
        else:
            if going:
                _go_to(g)
            entry[1] = entry[1] + g


def _special(entry: list, pending: dict, heap: list, create: bool, only: set | None, catch: set | None, caught: dict) -> bool:
    """The nodes that are not plain: leaves, outputs of ops with several, hooks, caught ones. True: go on to run its rules."""
    node = entry[0]
    if node.__class__ is Fan:
        xp = words if create else node.plan.xp
        if create:
            mode.constants = node.plan.xp
        entry[1] = [xp.zeros(*node.outs[k]) if g is None and node.outs[k] is not None else g for k, g in enumerate(entry[1])]
    elif node.__class__ is not Node and node.hooks:
        g = _call_hooks(node.hooks, create, entry[1] if create else Tensor(_fitted(entry[1], node.hooks)))
        entry[1] = g if create else g.array
        entry[2] = False
        g = None
    if catch is not None and node in catch:
        g, entry[1] = entry[1], None
        caught[node] = entry[1] = g if create or _alone(g) else g.copy("K")
        g = None
        if only is not None and not any(edge in only for edge in node.edges):
            return False
    elif isinstance(node, Leaf):
        g, entry[1] = entry[1], None
        with _accumulating:
            _accumulate(node, g, create)
        if node.after:
            _call_hooks(node.after, create)
    if isinstance(node, Leaf):
        return False
    if node.__class__ is Output:
        fan = node.edges[0]
        at_fan = pending.get(fan.number)
        if at_fan is None:
            at_fan = pending[fan.number] = [fan, [None] * len(fan.outs), False]
            heappush(heap, -fan.number)
        held = at_fan[1][node.index]
        at_fan[1][node.index] = entry[1] if held is None else held + entry[1]
        return False
    return True


def _fitted(g: Any, like: Any) -> Any:
    """A gradient as an array of the dtype of `like`. NumPy makes scalars of results without dimensions, and a rule with a
    Python number in it makes float32 of bfloat16."""
    g = _whole(g)
    return g if g.dtype == like.dtype else backend.of(g.__class__).astype(g, dtype=like.dtype)


def _whole(g: Any) -> Any:
    return backend.cpu.asarray(g) if isinstance(g, (np.generic, *NUMBERS)) else g


_new = object.__new__
_accumulating = RLock()  # two threads may give gradients to one leaf


def _accumulate(leaf: Leaf, g: Any, create: bool) -> None:
    """Add a gradient to a leaf's; the caller holds `_accumulating`. See NOTE [Owning a gradient]."""
    old, tensor = leaf.grad, leaf.tensor()
    if create:
        leaf.grad = words.clone(g) if old is None else old + g
    elif old is None:
        if tensor is not None and (g.dtype is not tensor.array.dtype or g.__class__ is not tensor.array.__class__):
            g = _fitted(g, tensor.array).copy()
        elif g.base is not None or getrefcount(g) > _ALONE:
            g = g.copy("K")
        leaf.grad = old = _new(Tensor)
        old.array, old.node = g, None
    elif old.node is None:
        array = old.array
        array += _fitted(g, array)
        touch(array, "backward")
    else:
        leaf.grad = Tensor(_fitted(old.array + g, old.array))


def _alone(g: Any) -> bool:
    """Whether nothing but one name in the caller refers to `g`, which is no view either."""
    return g.base is None and getrefcount(g) <= _ALONE


def _count_alone() -> int:
    """The references that `getrefcount` tells `_accumulate` and `_alone` of in that case: Python's versions differ."""
    g = backend.cpu.zeros((1,), "float32")
    return (lambda g: getrefcount(g))(g)


# Both count the caller's name for the array and their own parameter. Whoever holds it under another name in between, or calls
# them through one more function, makes every gradient look shared: it is then copied, never written into.
_ALONE = _count_alone()


def _call_hooks(hooks: dict, create: bool, *arguments: Any) -> Any:
    """Call hooks one after the other, without recording unless the backward is recorded; each may replace the argument."""
    before = mode.state if create else set_mode(mode.state | NO_GRAD)
    try:
        for hook in list(hooks.values()):
            replaced = hook(*arguments)
            if replaced is not None and arguments:
                _check_replaced(hook, replaced, *arguments)
                arguments = (replaced,)
    finally:
        set_mode(before)
    return arguments[0] if arguments else None


def _check_replaced(hook: Any, replaced: Any, g: Tensor) -> None:
    if not isinstance(replaced, Tensor):
        raise TypeError(f"expected Tensor, but hook returned '{type(replaced).__name__}'")
    name = getattr(hook, "__name__", repr(hook))
    if replaced.array.shape != g.array.shape:
        raise RuntimeError(
            f"hook '{name}' has changed the size of value: it got {list(g.shape)} and returned {list(replaced.shape)}"
        )
    if replaced.array.dtype != g.array.dtype:
        raise RuntimeError(f"hook '{name}' has changed the type of value: it got {g.dtype} and returned {replaced.dtype}")
    if not backend.together(replaced.array, g.array):
        raise RuntimeError(f"hook '{name}' has changed the device of value: it got {g.device} and returned {replaced.device}")


def reachable(roots: Sequence[Any], targets: set) -> set:
    """The nodes on the ways from `roots` to `targets`."""
    seen: dict[int, Any] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.number not in seen:
            seen[node.number] = node
            stack.extend(node.edges)
    found: set = set()
    for number in sorted(seen):
        node = seen[number]
        if node in targets or any(edge in found for edge in node.edges):
            found.add(node)
    return found


# -- the checks around it --------------------------------------------------------------------------------------------------


def _roots(tensors: Sequence[Tensor], gradients: Sequence[Tensor | None], create: bool) -> list[tuple[Any, Any]]:
    """(node, gradient) for each tensor that needs one, with a one for scalars that were given none."""
    return [_root(i, t, g, create) for i, (t, g) in enumerate(zip(tensors, gradients, strict=True))]


def _root(i: int, t: Tensor, g: Tensor | None, create: bool) -> tuple[Any, Any]:
    node, array = t.node, t.array
    if node is None:
        raise RuntimeError(
            f"element {i} of tensors does not require grad and does not have a grad_fn: compute it from a tensor with "
            "requires_grad=True, outside no_grad()"
        )
    if g is None:
        if array.size != 1:
            raise RuntimeError(
                f"grad can be implicitly created only for scalar outputs, and this one has shape {list(t.shape)}: "
                "reduce it, as in loss.sum().backward(), or pass a gradient of that shape"
            )
        one = _one(array)
        if create:
            return node, Tensor(backend.of(one.__class__).clone(one))  # the caller may write into it; and hooks may:
        return node, one if node.__class__ is Node else backend.of(one.__class__).clone(one)
    if not isinstance(g, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if g.array.shape != array.shape:
        raise RuntimeError(f"Mismatch in shape: grad has shape {list(g.shape)} and the output has shape {list(t.shape)}")
    if not backend.together(g.array, array):
        if g.array.ndim:
            raise RuntimeError(
                f"invalid gradient at index {i} - expected device {t.device} but got {g.device}: Expected all tensors to be on "
                f"the same device, but found at least two devices, {t.device} and {g.device}: move it with .to('{t.device}')"
            )
        g = words.move(g, device=t.device, source=g.device)
    if g.array.dtype != array.dtype:
        g = words.astype(g, dtype=array.dtype)
    return node, g if create else g.array


_ones: dict[Any, Any] = {}  # dtype -> a one that nobody can write into


def _one(like: Any) -> Any:
    """Ones in the place and shape of `like`, of which there is a single element."""
    if like.ndim or like.__class__ is not np.ndarray:
        return backend.beside(like).ones(like.shape, like.dtype)
    one = _ones.get(like.dtype)
    if one is None:
        one = _ones[like.dtype] = np.ones((), like.dtype)
        one.flags.writeable = False
    return one


def _run(roots: list, retain: bool, create: bool, only: set | None, catch: set | None) -> dict:
    """`run`, in recording mode under create_graph. Otherwise rules see raw arrays, which no mode concerns."""
    if not create:
        return run(roots, retain, create, only, catch)
    before, constants = set_mode(mode.state & ~NO_GRAD), mode.constants
    try:
        return run(roots, retain, create, only, catch)
    finally:
        set_mode(before)
        mode.constants = constants


def backward(
    tensors: Sequence[Tensor], gradients: Sequence[Tensor | None], retain: bool | None, create: bool, inputs: Any
) -> None:
    """Accumulate gradients in leaves: all, or only `inputs`. What Tensor.backward and autograd.backward do."""
    roots = _roots(tensors, gradients, create)
    retain = create if retain is None else retain
    if inputs is None:
        _run(roots, retain, create, None, None)
        return
    wanted = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not wanted:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    if any(t.node is None for t in wanted):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    only = reachable([node for node, _ in roots], {t.node for t in wanted})
    computed = [t for t in wanted if not t.is_leaf]
    roots = [(node, g) for node, g in roots if node in only]
    caught = _run(roots, retain, create, only, {t.node for t in computed} or None)
    for t in computed:
        g = caught.get(t.node)
        if g is not None and not t.retains_grad:
            g = g if create else Tensor(_fitted(g, t.array))
            t.kept = g if t.grad is None else t.grad + g


def gradients_of(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], gradients: Sequence[Tensor | None], retain: bool, create: bool
) -> list[Tensor | None]:
    """The gradients of `outputs` with respect to `inputs`, None for those that are not used; nothing is accumulated."""
    for t in inputs:
        if t.node is None:
            raise RuntimeError(
                "One of the differentiated Tensors does not require grad: create it with requires_grad=True before it is used"
            )
    roots = _roots(outputs, gradients, create)
    targets = {t.node for t in inputs}
    only = reachable([node for node, _ in roots], targets)
    caught = _run([(node, g) for node, g in roots if node in only], retain, create, only, targets)
    if not create:
        caught |= {t.node: _fitted(caught[t.node], t.array) for t in inputs if t.node in caught}
    found = [caught.get(t.node) for t in inputs]
    return [g if g is None or create else Tensor(g) for g in found]


def _backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradient of this tensor with respect to each leaf into the leaf's `.grad`.

    `gradient`, of this tensor's shape, is needed unless it has one element. The graph is freed on the way unless
    retain_graph (by default: create_graph) asks to keep it. With `inputs`, only those leaves get gradients."""
    if inputs is None and not create_graph:
        run([_root(0, self, gradient, False)], retain_graph, False)
    else:
        backward([self], [gradient], retain_graph, create_graph, inputs)


Tensor.backward = _backward  # here, because the engine is built on Tensor
