"""How an op is declared, and how a call of one is dispatched and recorded.

An op is a function of raw arrays over a vocabulary `xp`, with a rule beside it for each input that has a gradient:

    @elementwise(a=lambda xp, g, b: g * b, b=lambda xp, g, a: g * a)
    def mul(xp, a, b):
        '''The product, element by element.'''
        return xp.multiply(a, b)

A body of `...` stands for the word of the same name: `return xp.mul(a, b)`, without the cost of a call in between.

The decorator states the shape of the Jacobian; the rule gives the gradient of its input from `g`, the gradient of the output.

NOTE [What a rule names is what is saved]
    The parameters of a rule after `xp, g` are what the op keeps for backward, and nothing else is kept:
    1. the name of an input: its array;  2. `out`, or a name from `outputs`: what the op computed;
    3. `<input>_shape`: the shape alone;  4. the name of a keyword: its value.
    Any other name fails at import. Which rules run depends on which inputs need a gradient, and only what those rules name
    is saved: `x * w` with constant x keeps x and not w. One such choice is a Plan, made once and kept in the op.

NOTE [One text, several meanings]
    Rules run over raw arrays in an ordinary backward, and over Tensors, which record, under create_graph: then `xp` is
    `words`, the namespace of the ops themselves. So a rule may use operators and the words of the vocabulary, and must not
    write into anything. Every op is a word under its own name (without the underscore that marks an op which a public
    function of the same name wraps), and the words' keywords are NumPy's: axis, keepdims.

Dispatch is by arity. `_unary` and `_binary` are the fast paths for elementwise ops without keywords, straight-line code
because small networks pay for every 10 ns in it; `_general` does everything and is what they fall back to.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import backend
from ..backend.promotion import category, default_dtype, result_type
from .graph import NO_GRAD, Fan, Node, Output, mode, ours, outside, tick, unusual, words
from .tensor import Tensor
from .views import note_view

NUMBERS = (int, float, complex, np.number, np.bool_)
NOTHING = Tensor(None)  # stands for an optional input that was not given

_new = object.__new__
_getframe = sys._getframe


class Rule(NamedTuple):
    """The gradient of one input: `function(xp, g, *names)`."""

    function: Callable
    names: tuple[str, ...]


def _documented() -> None:
    """A function with `...` for a body."""
    ...


def _undocumented() -> None: ...


_BODY_LEFT_OUT = {_documented.__code__.co_code, _undocumented.__code__.co_code}


class Op:
    """A differentiable function of arrays: its forward, its rules, and what the dispatcher must know about it."""

    def __init__(
        self,
        forward: Callable,
        rules: dict[str, Callable],
        kind: str,
        outputs: tuple[str, ...] | str = "out",
        view: bool = False,
        promote: bool | tuple[str, ...] = False,
        jvp: Any = None,
        write: Callable | None = None,
    ):
        self.name = forward.__name__.lstrip("_")
        self.is_word = forward.__code__.co_code in _BODY_LEFT_OUT
        self.forward = forward
        self.kind = kind
        self.view = view
        self.jvp = jvp
        self.write = write
        parameters = list(inspect.signature(forward).parameters.values())[1:]
        self.inputs = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self.variadic = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
        self.keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        self.outputs = (outputs,) if isinstance(outputs, str) else tuple(outputs)
        self.several = not isinstance(outputs, str) or outputs == "*"
        self.broadcasts = kind in ("elementwise", "bilinear")
        self.promoted = range(len(self.inputs)) if promote is True else [self.inputs.index(n) for n in promote or ()]
        self.rules = {name: Rule(f, tuple(inspect.signature(f).parameters)[2:]) for name, f in rules.items()}
        self.lanes = Lanes(self)
        self._check()

    def _check(self) -> None:
        known = {*self.inputs, *self.keywords, *(f"{n}_shape" for n in self.inputs)}
        known |= set() if self.outputs == ("*",) else set(self.outputs)
        for name, rule in self.rules.items():
            if name not in self.inputs:
                raise TypeError(f"{self.name}: a rule is given for '{name}', which is none of its inputs {self.inputs}")
            for wanted in rule.names:
                if wanted not in known:
                    raise TypeError(f"{self.name}: the rule for '{name}' names '{wanted}'; it can name {sorted(known)}")

    def input_name(self, i: int) -> str:
        """The name of the i-th input of a call; those of a variadic op share one."""
        return self.inputs[min(i, len(self.inputs) - 1)]

    def differentiable(self, i: int) -> bool:
        """Whether there is a rule for the i-th input."""
        return self.input_name(i) in self.rules

    def __repr__(self) -> str:
        return f"<op {self.name}>"


class Lane:
    """An op on one kind of array: the vocabulary, the forward over it, and the plans by the set of inputs needing gradients."""

    __slots__ = ("xp", "forward", "plans")

    def __init__(self, op: Op, xp: Any):
        self.xp = xp
        forward = getattr(xp, op.name) if op.is_word else partial(op.forward, xp)
        fused, _ = xp.fused.get(op.name, (None, None))
        self.forward = forward if fused is None else _may_decline(fused, forward)
        self.plans = Plans(op, xp)


class Lanes(dict):
    """The class of an array -> the Lane of it, made when first asked for."""

    def __init__(self, op: Op):
        self.op = op

    def __missing__(self, kind: type) -> Lane:
        lane = self[kind] = Lane(self.op, backend.of(kind))
        return lane


class Plans(dict):
    """mask -> Plan, made when first asked for. Bit i of the mask is set if input i needs a gradient."""

    def __init__(self, op: Op, xp: Any):
        self.op = op
        self.xp = xp

    def __missing__(self, mask: int) -> Plan:
        plan = self[mask] = Plan(self.op, self.xp, mask)
        return plan


def _may_decline(fused: Callable, plain: Callable) -> Callable:
    """`fused`, or `plain` for the arguments that `fused` does not take."""

    def either(*args: Any, **kw: Any) -> Any:
        out = fused(*args, **kw)
        return plain(*args, **kw) if out is NotImplemented else out

    return either


class Plan:
    """What one op does for backward when a given set of its inputs needs gradients.

    keep(*outputs, *inputs, **keywords)   -> what is saved, from the arrays of a call
    pull(xp, g, *saved)                   -> the gradients of those inputs, in order
    sources                               per saved item where it came from: ("input", i), ("output", k) or ("constant", None)
    """

    __slots__ = ("op", "xp", "mask", "needed", "names", "sources", "keep", "pull", "rules")

    def __init__(self, op: Op, xp: Any, mask: int):
        self.op, self.xp, self.mask = op, xp, mask
        self.needed = [i for i in range(mask.bit_length()) if mask >> i & 1]
        active = [op.rules[name] for name in dict.fromkeys(op.input_name(i) for i in self.needed)]
        # a variadic input's arrays come last, because there can be any number of them
        self.names = sorted(dict.fromkeys(n for rule in active for n in rule.names), key=lambda n: n == op.variadic)
        self.sources = [self._source(n) for n in self.names]
        self.rules = [(rule.function, [self.names.index(n) for n in rule.names]) for rule in active]
        self.keep = self._compile_keep()
        self.pull = self._compile_pull(active)

    def _source(self, name: str) -> tuple[str, int | None]:
        if name in self.op.outputs:
            return "output", self.op.outputs.index(name)
        if name in self.op.inputs:
            return "input", self.op.inputs.index(name)
        return "constant", None

    # The two functions below are written as text and evaluated, as NamedTuple does it, so that saving and pulling are one
    # plain call each. For mul with both inputs needing gradients:
    #   keep = lambda out, a, b: (b, a,)
    #   pull = lambda xp, g, b, a: (rule_0(xp, g, b), rule_1(xp, g, a),)

    def _compile_keep(self) -> Callable:
        op, star = self.op, self.op.variadic
        values = []
        for name, (kind, _) in zip(self.names, self.sources, strict=True):
            if name == star:
                values.append(f"*{name}")
            elif kind != "constant" or name in op.keywords:
                values.append(name)
            elif name == f"{star}_shape":
                values.append(f"[x.shape for x in {star}]")
            else:
                values.append(f"{name.removesuffix('_shape')}.shape")
        outputs = ["outs"] if op.outputs == ("*",) else list(op.outputs)
        inputs = ["*" + n if n == star else n for n in op.inputs]
        keywords = ([] if star or not op.keywords else ["*"]) + [
            n if d is inspect.Parameter.empty else f"{n}=default_{n}" for n, d in op.keywords.items()
        ]
        scope = {f"default_{n}": d for n, d in op.keywords.items()}
        head = ", ".join(outputs + inputs + keywords)
        return eval(f"lambda {head}: ({_tuple(values)})", scope)

    def _compile_pull(self, active: list[Rule]) -> Callable:
        star = self.op.variadic
        scope: dict[str, Any] = {f"rule_{i}": rule.function for i, rule in enumerate(active)}
        calls = []
        for i, rule in enumerate(active):
            calls.append(f"rule_{i}({', '.join(['xp', 'g', *('*' + n if n == star else n for n in rule.names)])})")
        head = ", ".join(["xp", "g", *("*" + n if n == star else n for n in self.names)])
        if star in self.op.rules:  # its rule gives the gradients of all: pick those that are needed
            scope["pick"] = lambda grads: [grads[i] for i in self.needed]
            return eval(f"lambda {head}: pick({calls[0]})", scope)
        plain = eval(f"lambda {head}: ({_tuple(calls)})", scope)
        _, fused = self.xp.fused.get(self.op.name, (None, None))
        if fused is None:
            return plain
        names, needed = self.names, tuple(self.op.input_name(i) for i in self.needed)

        def pull(xp: Any, g: Any, *saved: Any) -> Any:
            if xp is words:
                return plain(xp, g, *saved)
            grads = fused(xp, g, needed, **dict(zip(names, saved, strict=False)))
            return plain(xp, g, *saved) if grads is NotImplemented else grads

        return pull

    def pull_only(self, xp: Any, g: Any, saved: Sequence[Any], wanted: Sequence[bool]) -> Sequence[Any]:
        """As `pull`, running only the rules of the wanted edges: None stands for the others."""
        if self.op.variadic in self.op.rules or all(wanted):
            return [grad if want else None for grad, want in zip(self.pull(xp, g, *saved), wanted, strict=True)]
        return [
            rule(xp, g, *(saved[p] for p in places)) if want else None
            for want, (rule, places) in zip(wanted, self.rules, strict=True)
        ]

    def source(self, i: int) -> tuple[str, int | None]:
        """Where the i-th saved item came from; the arrays of a variadic input are the last ones."""
        last = len(self.sources) - 1
        kind, which = self.sources[min(i, last)]
        return (kind, which + i - last) if i > last else (kind, which)

    def array_places(self, saved: Sequence[Any]) -> list[int]:
        """Which of the saved items are arrays of the call, as opposed to shapes and keywords."""
        return [i for i in range(len(saved)) if self.source(i)[0] != "constant"]

    def as_tensors(self, node: Node) -> list[Any]:
        """What `node` saved, its arrays as Tensors in their places in the graph: what a rule needs to be differentiated."""
        edges = dict(zip(self.needed, node.edges, strict=True))
        result = []
        for i, value in enumerate(node.saved):
            kind, which = self.source(i)
            if kind == "input":
                value = Tensor(value, edges.get(which))
            elif kind == "output":
                made_by = (Output(node, which) if node.__class__ is Fan else node) if category(value.dtype) >= 2 else None
                value = Tensor(value, made_by)
            result.append(value)
        return result


def _tuple(items: list[str]) -> str:
    return "".join(item + ", " for item in items)


# -- dispatch ----------------------------------------------------------------------------------------------------------


def _unary(op: Op) -> Callable:
    lanes = op.lanes

    def call(x):
        try:
            before, data = x.node, x.data
            lane = lanes[data.__class__]
            out = lane.forward(data)
        except (AttributeError, ValueError, TypeError):
            return _general(op, (x,), {})
        if out.__class__ is not data.__class__:
            out = lane.xp.asarray(out)  # NumPy makes scalars of results without dimensions
        if out.dtype is not data.dtype or unusual[0]:
            return _general(op, (x,), {})
        t = _new(Tensor)
        t.data = out
        if before is None:
            t.node = None
            return t
        t.node = node = _new(Node)
        node.plan = plan = lane.plans[1]
        node.edges = (before,)
        node.saved = plan.keep(out, data)
        node.number = tick()
        node.shapes = None
        frame = _getframe(1)
        node.code = code = frame.f_code
        if ours[code.co_filename]:
            frame = outside(frame)
            node.code = frame.f_code
        node.lasti = frame.f_lasti
        return t

    return call


def _binary(op: Op) -> Callable:
    lanes = op.lanes

    def call(a, b):
        try:
            before_a, before_b, data_a, data_b = a.node, b.node, a.data, b.data
            dtype = data_a.dtype
            if dtype is not data_b.dtype or unusual[0]:
                return _general(op, (a, b), {})
            lane = lanes[data_a.__class__]
            out = lane.forward(data_a, data_b)
        except (AttributeError, ValueError, TypeError):
            return _general(op, (a, b), {})
        if out.__class__ is not data_a.__class__:
            out = lane.xp.asarray(out)
        if out.dtype is not dtype:
            return _general(op, (a, b), {})
        t = _new(Tensor)
        t.data = out
        if before_a is None:
            if before_b is None:
                t.node = None
                return t
            edges, mask = (before_b,), 2
        elif before_b is None:
            edges, mask = (before_a,), 1
        else:
            edges, mask = (before_a, before_b), 3
        t.node = node = _new(Node)
        node.plan = plan = lane.plans[mask]
        node.edges = edges
        node.saved = plan.keep(out, data_a, data_b)
        node.number = tick()
        node.shapes = None if data_a.shape == data_b.shape else _shapes((data_a, data_b), mask, out.shape)
        frame = _getframe(1)
        node.code = code = frame.f_code
        if ours[code.co_filename]:
            frame = outside(frame)
            node.code = frame.f_code
        node.lasti = frame.f_lasti
        return t

    return call


def _any(op: Op) -> Callable:
    def call(*inputs, **keywords):
        return _general(op, inputs, keywords)

    return call


def _general(op: Op, inputs: Sequence[Any], keywords: dict[str, Any]) -> Any:
    """Call an op: make the inputs Tensors of one dtype, compute, wrap, record."""
    try:
        nodes = [x.node for x in inputs]
    except AttributeError:
        inputs = _lift(op, inputs)
        nodes = [x.node for x in inputs]
    if op.promoted:
        dtype = inputs[op.promoted[0]].data.dtype
        for i in op.promoted:
            if inputs[i].data.dtype is not dtype:
                inputs = _promote(op, inputs, result_type([inputs[i].data for i in op.promoted]))
                nodes = [x.node for x in inputs]
                break
    arrays = [x.data for x in inputs]
    lane = op.lanes[arrays[0].__class__]
    try:
        out = lane.forward(*arrays, **keywords)
    except (ValueError, TypeError) as error:
        _explain(op, inputs, error)
        raise
    if op.several:
        return _several(op, lane, inputs, arrays, keywords, out)
    if out.__class__ is not arrays[0].__class__:
        out = lane.xp.asarray(out)
    if op.promoted and out.dtype is not dtype and category(out.dtype) >= 2 > category(dtype):
        return _general(op, _promote(op, inputs, default_dtype[0]), keywords)  # integers to a function that has none: floats
    t = Tensor(out)
    if not mode.state & NO_GRAD and any(nodes):
        t.node = attach(op, lane, inputs, arrays, keywords, out)
    if op.view:
        note_view(t, inputs[0], op, keywords, None)
    return t


def attach(op: Op, lane: Lane, inputs: Sequence[Tensor], arrays: Sequence[Any], keywords: dict[str, Any], out: Any) -> Node | None:
    """The node of the call of `op` that gave `out`, None if no input that has a rule needs a gradient."""
    mask = _mask(op, inputs)
    if not mask:
        return None
    plan = lane.plans[mask]
    node = _record(Node, plan, inputs)
    node.saved = plan.keep(out, *arrays, **keywords)
    if op.broadcasts:
        node.shapes = _shapes(arrays, mask, out.shape)
    return node


def _mask(op: Op, inputs: Sequence[Tensor]) -> int:
    mask, bit = 0, 1
    for i, x in enumerate(inputs):
        if x.node is not None and op.differentiable(i):
            mask |= bit
        bit <<= 1
    return mask


def _several(op: Op, lane: Lane, inputs: Sequence[Tensor], arrays: list, keywords: dict, outs: Sequence[Any]) -> tuple[Tensor, ...]:
    """The second half of `_general` for an op with several outputs."""
    tensors = tuple(Tensor(lane.xp.asarray(out)) for out in outs)
    mask = 0 if mode.state & NO_GRAD else _mask(op, inputs)
    carriers = [t for t in tensors if category(t.data.dtype) >= 2]
    if mask and carriers:
        plan = lane.plans[mask]
        alone = len(carriers) == 1 and op.outputs != ("*",)
        node = _record(Node if alone else Fan, plan, inputs)
        if alone:
            carriers[0].node = node
        else:
            node.outs = [(t.data.shape, t.data.dtype) for t in tensors]
            for k, t in enumerate(tensors):
                if category(t.data.dtype) >= 2:
                    t.node = Output(node, k)
        outs = [t.data for t in tensors]
        node.saved = plan.keep(*([outs] if op.outputs == ("*",) else outs), *arrays, **keywords)
    if op.view:
        for k, t in enumerate(tensors):
            note_view(t, inputs[0], op, keywords, k)
    return tensors


def _record(kind: type, plan: Plan, inputs: Sequence[Tensor]) -> Any:
    """A node without its saved values yet; they are added once the output knows it."""
    node = _new(kind)
    node.plan = plan
    node.edges = tuple([inputs[i].node for i in plan.needed])
    node.number = tick()
    node.shapes = None
    frame = outside(_getframe(2))
    node.code = frame.f_code
    node.lasti = frame.f_lasti
    return node


def _shapes(arrays: Sequence[Any], mask: int, shape: tuple[int, ...]) -> tuple | None:
    """Per needed input its shape if it is not the output's; None if all are."""
    shapes = tuple([None if a.shape == shape else a.shape for i, a in enumerate(arrays) if mask >> i & 1])
    return shapes if any(s is not None for s in shapes) else None


# -- inputs that are not yet what the op takes ---------------------------------------------------------------------------

_constants: dict[tuple, Tensor] = {}


def constant(value: Any, dtype: Any, xp: Any) -> Tensor:
    """A Python number as a Tensor without dimensions. The last few thousand are kept, for `x * 2` comes again and again."""
    key = (value, dtype, xp)
    if value and key in _constants:  # not zero: 0.0 and -0.0 are equal keys
        return _constants[key]
    t = Tensor(xp.asarray(value, dtype))
    if value:
        if len(_constants) > 4096:
            _constants.clear()
        _constants[key] = t
    return t


def _lift(op: Op, inputs: Sequence[Any]) -> list[Tensor]:
    """The inputs with Python numbers made Tensors of the dtype that the result will have, and None made NOTHING."""
    first = next((x for x in inputs if isinstance(x, Tensor)), None)
    if first is None and not all(isinstance(x, NUMBERS) for x in inputs):
        _refuse(op, inputs)
    xp = backend.cpu if first is None else backend.of(first.data.__class__)
    lifted: list[Tensor] = []
    for i, x in enumerate(inputs):
        if isinstance(x, Tensor):
            lifted.append(x)
        elif x is None:
            lifted.append(NOTHING)
        elif isinstance(x, NUMBERS):
            among = [inputs[j] for j in op.promoted] if i in op.promoted else [x]
            lifted.append(constant(x, result_type([y.data if isinstance(y, Tensor) else y for y in among if y is not None]), xp))
        else:
            _refuse(op, inputs)
    return lifted


def _refuse(op: Op, inputs: Sequence[Any]) -> None:
    for i, x in enumerate(inputs):
        if not isinstance(x, Tensor) and not (isinstance(x, NUMBERS) or x is None):
            raise TypeError(
                f"{op.name}(): argument '{op.input_name(i)}' (position {i + 1}) must be Tensor, not {type(x).__name__}"
                + (": wrap it with autograd_gpu.as_tensor" if type(x).__name__ in ("ndarray", "list", "tuple") else "")
            )
    raise TypeError(f"{op.name}() needs at least one Tensor")


def _promote(op: Op, inputs: Sequence[Tensor], dtype: Any) -> list[Tensor]:
    """The inputs with those that take part in promotion cast to `dtype`: an op like any other, so its gradient is cast back."""
    return [words.astype(x, dtype=dtype) if i in op.promoted and x.data.dtype != dtype else x for i, x in enumerate(inputs)]


def _explain(op: Op, inputs: Sequence[Tensor], error: Exception) -> None:
    """Raise what PyTorch raises in place of NumPy's `error`, if the shapes or devices of the inputs are to blame."""
    given = [x for x in inputs if x.data is not None]
    devices = list(dict.fromkeys(str(x.device) for x in given))
    if len(devices) > 1:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {devices[0]} and {devices[1]}, "
            f"in {op.name}(): move one with .to('{devices[0]}')"
        ) from None
    if op.kind != "elementwise":
        return
    for x in given:
        for y in given:
            for back in range(1, min(x.ndim, y.ndim) + 1):
                m, n = x.shape[-back], y.shape[-back]
                if m != n and 1 not in (m, n):
                    raise RuntimeError(
                        f"The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton dimension "
                        f"{max(x.ndim, y.ndim) - back}: {op.name}() of shapes {list(x.shape)} and {list(y.shape)}"
                    ) from None
    if isinstance(error, TypeError):
        raise RuntimeError(f"\"{op.name}\" not implemented for {', '.join(str(x.dtype) for x in given)}: {error}") from None


# -- decorators ----------------------------------------------------------------------------------------------------------


def _declare(op: Op) -> Callable:
    """The function that calls `op`, which becomes a word of the Tensors' vocabulary."""
    plain = not op.keywords and not op.variadic and not op.view and not op.several and op.promoted
    if plain and len(op.inputs) == 1:
        call = _unary(op)
    elif plain and len(op.inputs) == 2:
        call = _binary(op)
    else:
        call = _any(op)
    call.op = op
    call.__name__ = call.__qualname__ = op.name
    call.__module__ = op.forward.__module__
    call.__doc__ = op.forward.__doc__
    signature = inspect.signature(op.forward)
    call.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
    if hasattr(words, op.name):
        raise TypeError(f"there are two ops named {op.name}")
    setattr(words, op.name, call)
    return call


def _decorator(kind: str, rule: Callable | None, rules: dict[str, Callable], **options: Any) -> Callable:
    def decorate(forward: Callable) -> Callable:
        given = rules
        if rule is not None:
            first = list(inspect.signature(forward).parameters)[1]
            given = {first: rule}
        return _declare(Op(forward, given, kind, **options))

    return decorate


def elementwise(rule: Callable | None = None, *, promote: Any = True, write: Callable | None = None, **rules: Callable) -> Callable:
    """Declare an op whose output element depends on the elements at the same place alone (after broadcasting).

    The Jacobian is diagonal, so the rule that pulls g back also pushes a tangent forward. Inputs are promoted to one dtype.
    A single positional rule is that of the first input."""
    return _decorator("elementwise", rule, rules, promote=promote, write=write)


def linear(rule: Callable | None = None, *, view: bool = False, promote: Any = False, outputs: Any = "out", **rules: Callable) -> Callable:
    """Declare an op that is linear in the inputs it has rules for, so that its JVP is itself. `view`: the output may share
    memory with the first input."""
    return _decorator("linear", rule, rules, view=view, promote=promote, outputs=outputs)


def bilinear(*, promote: Any = False, **rules: Callable) -> Callable:
    """Declare an op that is linear in each of two inputs: its JVP is f(da, b) + f(a, db)."""
    return _decorator("bilinear", None, rules, promote=promote)


def primitive(
    rule: Callable | None = None, *, jvp: Any = None, outputs: Any = "out", promote: Any = False, write: Any = None, **rules: Callable
) -> Callable:
    """Declare any other differentiable op. jvp: "symmetric" if the Jacobian is its own transpose, or a function
    (xp, tangents, ...) -> tangent. `outputs` names the outputs of an op with several, or is "*" for any number."""
    return _decorator("primitive", rule, rules, jvp=jvp, outputs=outputs, promote=promote, write=write)


def nondifferentiable(*, promote: Any = False, outputs: Any = "out") -> Callable:
    """Declare an op that has no gradient: comparisons, rounding to integers, searches."""
    return _decorator("nondifferentiable", None, {}, promote=promote, outputs=outputs)
