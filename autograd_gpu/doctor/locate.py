"""Finding the op that made the first number that is not finite, and the line that called it.

NOTE [The first non-finite number]
    Looking for it costs nothing until there is one: the gradients of a step that is looked at, or in a full look the loss, are
    not finite. Then the batch
    is still there, and the parameters are what they were, for the optimizer comes later. So
    1. the forward of the model is run once more, with a look at what each op gives; random numbers and buffers are put back;
    2. if it is finite, the graph from the loss down is searched for saved arrays that are not;
    3. if they are finite, backward is run once more, with a look at what each rule gives.
    For 2 and 3 what the graph saved is held for the time of the backward, which otherwise frees it on the way; that is done in
    full looks only. A step that was not looked at has spoilt the parameters by the next look, which then says no more than so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import anomaly
from ..core.graph import NO_GRAD, Leaf, Node, mode, set_mode, where
from ..core.tensor import Tensor
from ..nn.module import Module
from ..ops.generator import get_rng_state, set_rng_state
from .record import Trouble


def locate(
    step: int, model: Module, call: Any, run: Callable, roots: list, nodes: Sequence[Node], saved: Sequence[Any]
) -> Trouble:
    """What made the first non-finite number of `step`.

    call    forward, args and kwargs with which the model was called
    run     backward
    roots   what it was called with; `nodes` is the graph below, oldest first, and `saved` what they had saved. Without
            these it only says whether it was a parameter"""
    spoilt = next((name for name, p in model.named_parameters() if not anomaly.is_finite(p.array)), None)
    if spoilt is not None:
        return Trouble(step, "parameters", detail=spoilt)
    found = None
    if nodes:
        found = _in_forward(model, call) or _in_graph(nodes, saved) or _in_backward(run, roots, nodes, saved)
    if found is None:
        return Trouble(step, "unknown")
    phase, op, place, dtype = found
    return Trouble(step, phase, op, where(place), str(dtype))


def _array(x: Any) -> Any:
    """An array of what may be one of NumPy's scalars or a Python number."""
    return np.asarray(x) if isinstance(x, (np.generic, float, int)) else x


def _in_forward(model: Module, call: Any) -> tuple | None:
    """Run the model once more."""
    first: list[tuple] = []

    def see(op: str, place: Any, inputs: Sequence[Any], out: Any) -> None:
        if not first:
            outs = [_array(x) for x in (out if isinstance(out, (tuple, list)) else (out,)) if hasattr(x, "dtype")]
            first.extend(("forward", op, place, x.dtype) for x in outs if not anomaly.is_finite(x))

    buffers = [(b, b.array.copy()) for b in model.buffers()]
    random, before = get_rng_state(), set_mode(mode.state | NO_GRAD)
    try:
        with anomaly.each_output(see):
            out = call.forward(*call.args, **call.kwargs)
    finally:
        set_mode(before)
        set_rng_state(random)
        for buffer, array in buffers:
            buffer.array[...] = array
    outs = out if isinstance(out, (tuple, list)) else (out,)
    finite = all(anomaly.is_finite(x.array) for x in outs if isinstance(x, Tensor))
    return None if finite or not first else first[0]  # infinity in between may be meant: a mask before softmax


def _in_graph(nodes: Sequence[Node], saved: Sequence[Any]) -> tuple | None:
    """The oldest node whose output is known from what was saved, or can be computed from it, and is not finite."""
    broken: dict[int, tuple[Any, Any]] = {}

    def known(node: Any, array: Any) -> None:
        if node is not None and not isinstance(node, Leaf) and hasattr(array, "dtype") and not anomaly.is_finite(array):
            broken.setdefault(node.number, (node, array))

    for node, held in zip(nodes, saved, strict=True):
        plan = node.plan
        if held is None or not hasattr(plan, "source"):  # a Function of the user's, whose inner ops are not in the graph
            continue
        edges = dict(zip(plan.needed, node.edges, strict=True))
        for place in plan.array_places(held):
            kind, which = plan.source(place)
            known(node if kind == "output" else edges.get(which), held[place])
        op, named = plan.op, dict(zip(plan.names, held, strict=False))
        if not op.several and not op.variadic and all(name in named for name in (*op.inputs, *op.keywords)):
            arrays, keywords = [named[name] for name in op.inputs], {name: named[name] for name in op.keywords}
            lane = op.lanes[arrays[0].__class__]
            known(node, lane.whole(lane.plain(*arrays, **keywords)))
    if not broken:
        return None
    maker, array = broken[min(broken)]
    maker = maker if isinstance(maker, Node) else maker.edges[0]
    return "forward", maker.name(), maker.place, array.dtype


def _in_backward(run: Callable, roots: list, nodes: Sequence[Node], saved: Sequence[Any]) -> tuple | None:
    """Run backward once more, into no leaf."""
    first: list[tuple] = []

    def see(node: Node, grads: Sequence[Any]) -> None:
        if not first:
            arrays = [_array(g) for g in grads if g is not None]
            first.extend(("backward", node.name(), node.place, g.dtype) for g in arrays if not anomaly.is_finite(g))

    for node, held in zip(nodes, saved, strict=True):
        node.saved = held
    leaves = {edge for node in nodes for edge in node.edges if isinstance(edge, Leaf)}
    try:
        anomaly.run_checked(run, see, roots, False, False, None, leaves)
    except RuntimeError:  # an array was overwritten since
        pass
    return first[0] if first else None
