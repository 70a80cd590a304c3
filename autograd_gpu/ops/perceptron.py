"""Linear layers with an activation function between them, recorded as one node.

NOTE [One node for several layers]
    A small network pays more for recording its layers one by one than for computing them. So `mlp` computes a run of layers
    by the functions of the ops `linear` and relu or gelu, forward and backward, which gives the same numbers, and records it as
    one node, which passes for that of its last `linear`.
    1. It saves what the nodes of all these ops would: the input, the weights, and what lies between the layers. The latter is
       out of anybody's reach, so only the former is looked at for writes.
    2. Under create_graph the rules want what lies between in its place in the graph. The nodes that the ops would have made are
       then made, with numbers between that of this node and the one before it (see core.graph NOTE [One clock]).
    3. A kind of array may have something faster for a layer with its activation, and for the way back through both ("layers" in
       its table `fused`), which may decline with NotImplemented.
    4. The way there of the most common calls, and the way back, are straight-line text, as those of ops are (see core.fast):
       `Layers` writes the first, `_Chain` the second. For two layers with relu they read, what is looked at first left out:

        def call(x, parameters):                                def pull(xp, g, between, x, w0, w1):
            w0, b0, w1, b1 = parameters                             hidden, (b0, b1), tensors = between
            ...                                                     if xp is words:
            z0 = linear(x_, w0_, b0_)                                   hidden = tensors
            h0 = active(z0)                                         (h0, s0, r0), = hidden
            out = linear(h0, w1_, b1_)                              g, gw1, gb1 = pull7(xp, g, w1, h0, b1.shape)
            hidden = ((h0, h0, None),)                              g = rule(xp, g, s0)
            ...                                                     gw0, gb0 = pull6(xp, g, x, b0.shape)
            return t                                                return gw1, gb1, gw0, gb0
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from threading import get_ident
from typing import Any

from ..core.fast import RUNTIME, site
from ..core.graph import NO_GRAD, PACKAGE, Node, mode, outside, tick, unusual, words
from ..core.op import saved_text
from ..core.tensor import Tensor
from . import activation as _activation  # noqa: F401 (declares the ops that are called below)
from . import linalg as _linalg  # noqa: F401

__all__: list[str] = []
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()

_LINEAR = words.linear.op
_new = object.__new__


class _Way:
    """How arrays of one kind go through layers with one activation between them.

    linear, active   the ops on such arrays (core.op.Lane);  activated, through   what is faster, or None: see rule 3
    slope            the plan of the activation's backward;  of_out   whether that saves the output, or else the input
    over             whether the output of the activation is written over its input
    residue          whether the activation may leave one (core.primitive NOTE [Residue]), which its rule then takes
    plans            which inputs need gradients -> the plan of the node"""

    __slots__ = ("kind", "activation", "linear", "active", "activated", "through", "slope", "of_out", "over", "residue", "plans")

    def __init__(self, kind: type, activation: str):
        self.kind, self.activation = kind, activation
        self.linear, self.active = _LINEAR.lanes[kind], getattr(words, activation).op.lanes[kind]
        xp = self.linear.xp
        self.activated, self.through = [f and xp.guarded(f, "linear") for f in xp.fused.get("layers", (None, None))]
        self.slope = self.active.plans[1]
        self.residue = self.slope.op.residue
        self.of_out = self.slope.names == ["out"]
        self.over = self.of_out and self.activated is None
        self.plans: dict[tuple[bool, ...], _Chain] = {}

    def plan(self, needs: tuple[bool, ...]) -> _Chain:
        """The plan for the inputs that need gradients: the first, and weight and bias of each layer."""
        found = self.plans.get(needs)
        if found is None:
            found = self.plans[needs] = _Chain(self, needs)
        return found


class _Chain:
    """A plan (see core.op.Plan) that runs the plans of several layers. It saves what lies between, the input, and the weights.

    What lies between is a list of
    hidden   per layer but the last: its output, what the activation's rule saves, and what `through` wants or else the residue;
             None for what no gradient asks for
    biases   of all layers: of theirs the shapes are needed
    tensors  `hidden` in its place in the graph, once a backward was recorded, else None

    `needed`, and with it the edges, goes from the last layer to the first, so that the gradients of a layer that occurs several
    times add up as those of the ops would. `depths` has a number below 1 for each edge, the larger the later backward comes to
    its layer."""

    rule = None

    def __init__(self, way: _Way, needs: tuple[bool, ...]):
        self.op, self.xp, self.way, self.needs = _LINEAR, way.linear.xp, way, needs
        layers = len(needs) // 2
        self.needed = [i for k in range(layers, 0, -1) for i in (2 * k - 1, 2 * k) if needs[i]] + [0] * needs[0]
        below, self.masks = needs[0], []
        for weight, bias in zip(needs[1::2], needs[2::2], strict=True):
            self.masks.append(below | weight << 1 | bias << 2)
            below = below or weight or bias
        self.depths = [1 - (max(i - 1, 0) // 2 + 1) / layers for i in self.needed]
        self.keeps = (needs[1], *[bool(mask & 1) for mask in self.masks])  # the first input and each weight: are they saved?
        self.whole = all(mask & 3 == 3 for mask in self.masks[1:])
        self.names = ["between", "x"] + ["weight"] * layers
        self.sources = [("constant", None), ("input", 0)] + [("input", 2 * i + 1) for i in range(layers)]
        self.pull = self._pull_through if way.through is not None else self._compile_pull()

    def source(self, i: int) -> tuple[str, int | None]:
        """Where the i-th saved item came from."""
        return self.sources[i]

    def array_places(self, saved: Sequence[Any]) -> list[int]:
        """Which of the saved items are arrays of the call."""
        return list(range(1, len(saved)))

    def saved(self, between: list, x: Any, weights: Sequence[Any]) -> tuple[Any, ...]:
        """What is saved of these."""
        if not self.whole:
            between[0] = [
                (out if mask & 2 else None, *(rest if mask & 1 else (None, None)))
                for (out, *rest), mask in zip(between[0], self.masks[1:], strict=True)
            ]
        return (between, *[a if keep else None for a, keep in zip((x, *weights), self.keeps, strict=True)])

    def _compile_pull(self) -> Callable:
        """`pull(xp, g, *saved)`, which gives the gradients of the inputs that need one. See rule 4."""
        layers, plans = len(self.masks), self.way.linear.plans
        weights, biases = ([f"{letter}{i}" for i in range(layers)] for letter in "wb")
        lines = [f"hidden, ({', '.join(biases)},), tensors = between", "if xp is words:", "    hidden = tensors"]
        lines.append("".join(f"(h{i}, s{i}, r{i}), " for i in range(layers - 1)) + "= hidden")
        scope: dict[str, Any] = {"words": words, "rule": self.way.slope.rule}
        names = ["gx", *[f"g{letter}{i}" for i in range(layers) for letter in "wb"]]
        for i in range(layers - 1, -1, -1):
            mask = self.masks[i]
            if not mask:
                break
            scope[f"pull{mask}"] = plans[mask].pull
            given = {"x": f"h{i - 1}" if i else "x", "weight": f"w{i}", "bias": f"b{i}"}
            saved = saved_text(_LINEAR, plans[mask].names, given.__getitem__)
            made = [name for k, name in enumerate(("g" if i else "gx", f"gw{i}", f"gb{i}")) if mask >> k & 1]
            lines.append(f"{', '.join(made)}, = pull{mask}(xp, g, {', '.join(saved)})")
            if i and mask & 1:
                lines.append(f"g = rule(xp, g, s{i - 1}{f', r{i - 1}' if self.way.residue else ''})")
        lines.append(f"return [{', '.join(names[i] for i in self.needed)}]")
        text = f"def pull(xp, g, between, x, {', '.join(weights)}):\n    " + "\n    ".join(lines)
        exec(compile(text, f"{PACKAGE}ops/<backward of layers>", "exec"), scope)
        return scope["pull"]

    def _pull_through(self, xp: Any, g: Any, between: list, x: Any, *weights: Any) -> list[Any]:
        """The same where there may be something faster: rule 3."""
        found: list[Any] = [None] * len(self.needs)
        plans, rule, needs, biases = self.way.linear.plans, self.way.slope.rule, self.needs, between[1]
        hidden, through = (between[0], self.way.through) if xp is not words else (between[2], None)
        summed = False  # whether the gradient of this layer's bias is known already
        for i in range(len(weights) - 1, -1, -1):
            out, saved, wanted = hidden[i - 1] if i else (x, None, None)
            mask = below = self.masks[i]
            if summed:
                mask, summed = mask & 3, False
            passed = NotImplemented
            if wanted is not None and through is not None and below & 1:
                passed = through(g, weights[i], wanted, activation=self.way.activation, sums=needs[2 * i])
                if passed is not NotImplemented:
                    mask &= 6
            if mask:
                plan = plans[mask]
                grads = iter(plan.pull(xp, g, *plan.keep(None, out, weights[i], biases[i])))
                if mask & 1:
                    passed = next(grads)
                if mask & 2:
                    found[2 * i + 1] = next(grads)
                if mask & 4:
                    found[2 * i + 2] = next(grads)
            if not below & 1:
                break
            if not i:
                found[0] = passed
            elif passed.__class__ is tuple:
                g, found[2 * i] = passed
                summed = needs[2 * i]
            else:
                g = rule(xp, passed, saved, None) if self.way.residue else rule(xp, passed, saved)
        return [found[i] for i in self.needed]

    def pull_only(self, xp: Any, g: Any, saved: Sequence[Any], wanted: Sequence[bool]) -> list[Any]:
        """As `pull`, doing only what the wanted edges need: None stands for the others."""
        needs = [False] * len(self.needs)
        for i, want in zip(self.needed, wanted, strict=True):
            needs[i] = want
        grads = iter(self.way.plan(tuple(needs)).pull(xp, g, *saved)) if any(wanted) else None
        return [next(grads) if want else None for want in wanted]

    # -- under create_graph ------------------------------------------------------------------------------------------------------

    def as_tensors(self, node: Node) -> list[Any]:
        """What `node` saved, its arrays as Tensors in their places in the graph."""
        edges = dict(zip(self.needed, node.edges, strict=True))
        between, *arrays = node.saved
        if between[2] is None:
            between[2] = self._hidden(node, between, arrays[0], arrays[1:], edges)
        given = zip(arrays, self.sources[1:], strict=True)
        return [between, *[a if a is None else Tensor(a, edges.get(which)) for a, (_, which) in given]]

    def _hidden(self, node: Node, between: list, x: Any, weights: Sequence[Any], edges: dict[int, Node]) -> list[tuple]:
        """What lies between the layers as Tensors: rule 2."""
        found, made, layers = [], edges.get(0), len(weights)
        for i, (out, saved, _) in enumerate(between[0]):
            mask = self.masks[i]
            if mask:
                into = (made, edges.get(2 * i + 1), edges.get(2 * i + 2))
                plan = self.way.linear.plans[mask]
                number = node.number - 1 + i / layers
                given = x if not i else between[0][i - 1][0]
                before = _made(node, plan, [n for n in into if n is not None], number + 1 / (3 * layers))
                before.saved = plan.keep(None, given, weights[i], between[1][i])
                made = _made(node, self.way.slope, [before], number + 2 / (3 * layers))
                made.saved = (saved, None) if self.way.residue else (saved,)
            else:
                before = made = None
            of_saved = None if saved is None else Tensor(saved, made if self.way.of_out else before)
            found.append((None if out is None else Tensor(out, made), of_saved, None))
        return found


def _made(like: Node, plan: Any, edges: Sequence[Any], number: float) -> Node:
    """A node made at the line that made `like`."""
    node = _new(Node)
    node.plan, node.edges, node.number, node.shapes = plan, tuple(edges), number, None
    node.code = like.code
    if like.code.__class__ is not tuple:
        node.at = like.at
    return node


@cache
def _way(kind: type, activation: str) -> _Way:
    return _Way(kind, activation)


@cache
def layers_of(activation: str, count: int) -> Layers:
    """So many layers with "relu", "gelu" or "gelu_tanh" between them."""
    return Layers(activation, count)


class Layers:
    """Linear layers with an activation between them: what `mlp` is to compute. Made by `layers_of`.

    call   call(x, parameters), straight-line text for arrays of NumPy whose parameters all need gradients: rule 4"""

    def __init__(self, activation: str, count: int):
        self.activation, self.count = activation, count
        self.call: Callable = self._first

    def __reduce__(self) -> tuple:  # without the text, which cannot be pickled
        return layers_of, (self.activation, self.count)

    def __deepcopy__(self, memo: dict) -> Layers:
        return self

    def _first(self, x: Tensor, parameters: Sequence[Tensor]) -> Tensor | None:
        self.call = self.compiled()
        return self.call(x, parameters)

    def compiled(self) -> Callable:
        """The text for these layers."""
        count = self.count
        way = _way(RUNTIME["ndarray"], self.activation)
        names = [f"{letter}{i}" for i in range(count) for letter in "wb"]
        arrays, nodes = ", ".join(f"{n}_" for n in names), ", ".join(f"{n}_node" for n in names)
        edges = ", ".join(f"{letter}{i}_node" for i in range(count - 1, -1, -1) for letter in "wb")
        weights = "".join(f", w{i}_" for i in range(1, count))
        over, lines = ", out=z{i}" if way.over else "", []
        for i in range(count - 1):
            lines += [f"z{i} = linear({f'h{i - 1}' if i else 'x_'}, w{i}_, b{i}_)", f"h{i} = active(z{i}{over.format(i=i)})"]
            if way.residue:
                lines.append(f"h{i}, r{i} = h{i} if h{i}.__class__ is tuple else (h{i}, None)")
        text = TEMPLATE.format(
            names=", ".join(names),
            arrays=arrays,
            arrays_of=", ".join(f"{n}.array" for n in names),
            differ=" or ".join(f"{n}_.dtype is not dtype" for n in names),
            nodes=nodes,
            edges=edges,
            nodes_of=", ".join(f"{n}.node" for n in names),
            missing=" or ".join(f"{n}_node is None" for n in names),
            layers="\n        ".join(lines),
            last=f"linear(h{count - 2}, w{count - 1}_, b{count - 1}_)",
            hidden="".join(
                f"(h{i}, {f'h{i}' if way.of_out else f'z{i}'}, {f'r{i}' if way.residue else None}), " for i in range(count - 1)
            ),
            biases="".join(f"b{i}_, " for i in range(count)),
            weights=weights,
        )
        scope = RUNTIME | {"otherwise": _mlp, "layers": self, "lane": way.linear, "active_lane": way.active}
        scope |= {"below": way.plan((True,) * (2 * count + 1)), "first": way.plan((False,) + (True,) * (2 * count))}
        exec(compile(text, f"{PACKAGE}ops/<layers>", "exec"), scope)
        return scope["call"]


TEMPLATE = """
def call(x, parameters):
    try:
        {names}, = parameters
        x_ = x.array
        dtype = x_.dtype
        {arrays} = {arrays_of}
        if x_.__class__ is not ndarray or x_.ndim < 2 or unusual[0] or {differ}:
            return otherwise(x, parameters, layers)
        {nodes} = {nodes_of}
        if {missing}:
            return otherwise(x, parameters, layers)
        linear, active = lane.forward, active_lane.forward
        {layers}
        out = {last}
    except (AttributeError, ValueError, TypeError):
        return otherwise(x, parameters, layers)
    if out.ndim != x_.ndim or out.dtype is not dtype:
        return None
    t = new(Tensor)
    t.array = out
    t.node = node = Node()
    x_node = x.node
    between = [({hidden}), ({biases}), None]
    if x_node is None:
        node.plan = first
        node.edges = {edges}
        node.saved = between, x_, None{weights}
    else:
        node.plan = below
        node.edges = {edges}, x_node
        node.saved = between, x_, w0_{weights}
    node.number = tick()
    node.shapes = None
    place = site[0]
    if place and place[2] == thread():
        node.code = place
    else:
        frame = outside(getframe(1))
        node.code, node.at = frame.f_code, frame.f_lasti
    return t
"""


def mlp(x: Tensor, parameters: Sequence[Tensor], layers: Layers) -> Tensor | None:
    """Linear layers with an activation between them: linear(...activation(linear(x, w0, b0))..., wn, bn).

    x            (..., in), of two dimensions or more
    parameters   weight and bias of each layer, one after the other; NOTHING (core.dispatch) for no bias

    None for what the ops, one after the other, are to do or to refuse: other dimensions, several dtypes."""
    return layers.call(x, parameters)


def _mlp(x: Tensor, parameters: Sequence[Tensor], layers: Layers) -> Tensor | None:
    """What `mlp` does, for any arrays and any inputs that need gradients."""
    try:
        array = x.array
        dtype, kind = array.dtype, array.__class__
        arrays = [p.array for p in parameters]
        if array.ndim < 2 or any(a is not None and a.dtype is not dtype for a in arrays):
            return None
        nodes = [x.node, *[p.node for p in parameters]]
        needs = tuple([n is not None for n in nodes])
        recorded = True in needs and not (unusual[0] and mode.state & NO_GRAD)
        way = _way(kind, layers.activation)
        linear, active, activated, of_out = way.linear.forward, way.active.forward, way.activated, way.of_out
        if linear is not way.linear.plain:
            activated = None  # somebody looks at what each op gives: anomaly.each_output
        out, hidden = array, []
        for i in range(0, len(arrays) - 2, 2):
            made = NotImplemented
            if activated is not None:
                made = activated(out, arrays[i], arrays[i + 1], activation=way.activation, kept=recorded)
            if made is NotImplemented:
                before = linear(out, arrays[i], arrays[i + 1])
                out = active(before, out=before) if way.over else active(before)
                out, residue = out if out.__class__ is tuple else (out, None)
                made = (out, out if of_out else before, residue)
            else:
                out = made[0]
            if recorded:
                hidden.append(made)
        out = linear(out, arrays[-2], arrays[-1])
    except (AttributeError, ValueError, TypeError):
        return None
    if out.ndim != array.ndim or out.dtype is not dtype:
        return None
    t = Tensor(out)
    if recorded:
        t.node = node = Node()
        node.plan = way.plan(needs)
        node.edges = tuple([nodes[i] for i in node.plan.needed])
        node.saved = node.plan.saved([hidden, arrays[1::2], None], array, arrays[::2])
        node.number = tick()
        node.shapes = None
        place = site[0]
        if place and place[2] == get_ident():
            node.code = place
        else:
            frame = outside(sys._getframe(1))
            node.code, node.at = frame.f_code, frame.f_lasti
    return t
