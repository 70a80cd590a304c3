"""What the dispatcher and the engine must know of an op: its rules, and per set of inputs needing gradients a Plan.

An op is declared with the decorators of core.primitive, whose head explains rules and what they save.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from .. import backend
from ..backend.promotion import category
from ..backend.residue import Instead
from .graph import Fan, Node, words
from .tensor import Tensor


class Rule(NamedTuple):
    """The gradient of one input: `function(xp, g, *names)`."""

    function: Callable
    names: tuple[str, ...]


PUBLIC = {"x": "input", "a": "input", "b": "other"}  # what a caller calls the inputs that rules give a letter
REQUIRED = object()  # stands for the default of a keyword that has none


def parameters(function: Callable) -> tuple[list[str], str | None, dict[str, Any]]:
    """The names of a function's positional parameters, that of its variadic one, and its keywords with their defaults. What
    `inspect.signature` says, 20 times faster: several hundred ops are declared at import."""
    code = function.__code__
    names, n, k = code.co_varnames, code.co_argcount, code.co_kwonlyargcount
    defaults = function.__kwdefaults__ or {}
    star = names[n + k] if code.co_flags & 0x04 else None
    return list(names[:n]), star, {name: defaults.get(name, REQUIRED) for name in names[n : n + k]}


def _saved_by(rule: Callable) -> tuple[str, ...]:
    names, star, keywords = parameters(rule)
    return (*names[2:], *([star] if star else []), *keywords)


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
        errors: Callable | None = None,
        residue: bool = False,
        moves: bool = False,
    ):
        self.name = forward.__name__.lstrip("_")
        self.is_word = forward.__code__.co_code in _BODY_LEFT_OUT
        self.forward = forward
        self.kind = kind
        self.view = view
        self.jvp = jvp
        self.errors = errors
        self.residue = residue
        self.moves = moves  # its output may be on another device than its inputs
        inputs, self.variadic, self.keywords = parameters(forward)
        self.inputs = inputs[1:] + ([self.variadic] if self.variadic else [])
        self.public = [PUBLIC.get(n, n) for n in self.inputs]
        self.outputs = (outputs,) if isinstance(outputs, str) else tuple(outputs)
        self.several = not isinstance(outputs, str) or outputs == "*"
        self.broadcasts = kind in ("elementwise", "bilinear")
        self.promoted = range(len(self.inputs)) if promote is True else [self.inputs.index(n) for n in promote or ()]
        self.rules = {name: Rule(f, _saved_by(f)) for name, f in rules.items()}
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

    def active_rules(self, needed: Sequence[int]) -> list[Rule]:
        """The rules that run if these inputs need gradients."""
        return [self.rules[name] for name in dict.fromkeys(self.input_name(i) for i in needed)]

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def saved_names(op: Op, rules: Sequence[Rule]) -> list[str]:
    """What `rules` name, each once; a variadic input's arrays come last, because there can be any number of them."""
    return sorted(dict.fromkeys(n for rule in rules for n in rule.names), key=lambda n: n == op.variadic)


def saved_text(op: Op, names: Sequence[str], array: Callable[[str], str]) -> list[str]:
    """Text for each saved item, where `array(name)` is text for the array of an input or output."""
    star, arrays = op.variadic, {*op.inputs, *op.outputs}
    values = []
    for name in names:
        if name == star:
            values.append(f"*{name}")
        elif name in arrays:
            values.append(array(name))
        elif name in op.keywords:
            values.append(name)
        elif name == f"{star}_shape":
            values.append(f"[x.shape for x in {star}]")
        else:
            values.append(f"{array(name.removesuffix('_shape'))}.shape")
    return values


class Lane:
    """An op on one kind of array: the vocabulary, the forward over it, and the plans by the set of inputs needing gradients."""

    # forward is complete; quick may return NotImplemented, and plain is then to be called; whole makes arrays of NumPy's scalars
    __slots__ = ("xp", "forward", "quick", "plain", "plans", "whole")

    def __init__(self, op: Op, xp: Any):
        self.xp = xp
        self.plain = xp.guarded(getattr(xp, op.name) if op.is_word else partial(op.forward, xp), op.name)
        fused, _ = xp.fused.get(op.name, (None, None))
        fused = fused and xp.guarded(fused, op.name)
        self.quick = fused or self.plain
        self.forward = self.plain if fused is None else _may_decline(fused, self.plain)
        self.plans = Plans(op, xp)
        self.whole = _as_it_is if op.moves else xp.asarray


def _as_it_is(x: Any) -> Any:
    return x


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
    rule(xp, g, *saved)                   -> the gradient, if there is only one; else None
    sources                               per saved item where it came from: ("input", i), ("output", k) or ("constant", None)
    """

    __slots__ = ("op", "xp", "mask", "needed", "names", "sources", "keep", "pull", "rule", "rules")

    def __init__(self, op: Op, xp: Any, mask: int):
        self.op, self.xp, self.mask = op, xp, mask
        self.needed = [i for i in range(mask.bit_length()) if mask >> i & 1]
        active = op.active_rules(self.needed)
        self.names = saved_names(op, active)
        self.sources = [self._source(n) for n in self.names]
        whose = f"backward of {op.name}"
        self.rules = [(xp.guarded(rule.function, whose), [self.names.index(n) for n in rule.names]) for rule in active]
        self.keep = self._compile_keep()
        self.rule: Callable | None = None
        self.pull = xp.guarded(self._compile_pull(active), whose)
        self.rule = self.rule and xp.guarded(self.rule, whose)
        if op.residue:  # comes behind what the rules name
            self.sources.append(("constant", None))

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
        values = saved_text(op, self.names, str)
        outputs = ["outs"] if op.outputs == ("*",) else list(op.outputs)
        inputs = ["*" + n if n == star else n for n in op.inputs]
        keywords = ([] if star or not op.keywords else ["*"]) + [
            n if d is REQUIRED else f"{n}=default_{n}" for n, d in op.keywords.items()
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
        if self.op.residue:
            head += ", residue"
        if star in self.op.rules:  # its rule gives the gradients of all: pick those that are needed
            scope["pick"] = lambda grads: [grads[i] for i in self.needed]
            return eval(f"lambda {head}: pick({calls[0]})", scope)
        plain = eval(f"lambda {head}: ({_tuple(calls)})", scope)
        if len(active) == 1:  # `rule` spares the engine a tuple and a loop over it
            as_saved = tuple(self.names) == active[0].names and not self.op.residue
            self.rule = active[0].function if as_saved else eval(f"lambda {head}: {calls[0]}", scope)
        _, fused = self.xp.fused.get(self.op.name, (None, None))
        if fused is None:
            return plain
        scope = {"plain": plain, "fused": fused, "needed": tuple(self.op.input_name(i) for i in self.needed), "words": words}
        given = ", ".join(["*" + n if n == star else f"{n}={n}" for n in self.names] + ["residue=residue"] * self.op.residue)
        least = getattr(fused, "least", 0)  # for fewer elements the rule is as fast
        declined = "xp is words or " + f"g.size < {least} or " * bool(least)
        declined += f"(grads := fused(xp, g, needed, {given})) is NotImplemented"
        if self.rule is not None:
            scope["rule"] = self.rule
            self.rule = eval(f"lambda {head}: rule({head}) if {declined} else grads[0]", scope)
        return eval(f"lambda {head}: plain({head}) if {declined} else grads", scope)

    def pull_only(self, xp: Any, g: Any, saved: Sequence[Any], wanted: Sequence[bool]) -> Sequence[Any]:
        """As `pull`, running only the rules of the wanted edges: None stands for the others."""
        if self.op.variadic in self.op.rules or all(wanted):
            return [grad if want else None for grad, want in zip(self.pull(xp, g, *saved), wanted, strict=True)]
        if xp is not words:  # else `as_tensors` has done it
            saved = self.restored(saved)
        return [
            rule(xp, g, *self._at(places, saved)) if want else None
            for want, (rule, places) in zip(wanted, self.rules, strict=True)
        ]

    def restored(self, saved: Sequence[Any]) -> Sequence[Any]:
        """`saved` with the first input, if its residue stands for that."""
        if not self.op.residue or saved[-1].__class__ is not Instead:
            return saved
        return [saved[-1].input() if name == self.op.inputs[0] else x for name, x in zip((*self.names, ""), saved, strict=True)]

    def _at(self, places: Sequence[int], saved: Sequence[Any]) -> list[Any]:
        """The saved items at `places`, of which that of a variadic input stands for all the last ones."""
        star = len(self.names) - 1 if self.op.variadic in self.names else None
        return [value for p in places for value in (saved[p:] if p == star else (saved[p],))]

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
        for i, value in enumerate(self.restored(node.saved)):
            kind, which = self.source(i)
            if kind == "input":
                value = Tensor(value, edges.get(which))
            elif kind == "output":
                made_by = (node.output(which) if node.__class__ is Fan else node) if category(value.dtype) >= 2 else None
                value = Tensor(value, made_by)
            result.append(value)
        return result


def _tuple(items: list[str]) -> str:
    return "".join(item + ", " for item in items)
