"""The fast path of a call: straight-line code written out for each op, because small networks pay for every 10 ns in it.

`dispatch.general` loops over inputs and keywords and does everything. Here the loops are unrolled, as text that is compiled
when the op is first called, the way NamedTuple does it at once. What the text does not handle goes to `general`: numbers among
the inputs, dtypes to promote, errors to explain. For `mul(a, b)` it reads:

    def call(input, other):
        global caller
        try:
            a_data, b_data = input.array, other.array
            a_node, b_node = input.node, other.node
            _dtype = a_data.dtype
            if b_data.dtype is not _dtype:
                return otherwise(op, (input, other), {})
            _kind = a_data.__class__
            _lane = lane if _kind is ndarray else lanes[_kind]
            _out = _lane.quick(a_data, b_data)
            if _out.__class__ is not _kind:
                if _out is NotImplemented:
                    _out = _lane.plain(a_data, b_data)
                if _out.__class__ is not _kind:
                    _out = _lane.whole(_out)
        except (AttributeError, ValueError, TypeError):
            return otherwise(op, (input, other), {})
        if _out.dtype is not _dtype:
            return otherwise(op, (input, other), {})
        _t = new(Tensor)
        _t.array = _out
        if a_node is None:
            if b_node is None:
                _t.node = None
                return _t
            else:
                _edges, _mask, _saved = (b_node,), 2, (a_data,)
        else:
            if b_node is None:
                _edges, _mask, _saved = (a_node,), 1, (b_data,)
            else:
                _edges, _mask, _saved = (a_node, b_node), 3, (b_data, a_data)
        if unusual[0] and mode.state & NO_GRAD:
            _t.node = None
            return _t
        _t.node = _node = Node()
        _node.plan = _lane.plans[_mask]
        _node.edges = _edges
        _node.saved = _saved
        _node.number = tick()
        _node.shapes = None if a_data.shape == b_data.shape else shapes((a_data, b_data), _mask, _out.shape)
        _place = site[0]
        if _place and _place[2] == thread():
            _node.code = _place
        else:
            _frame = getframe(1)
            _code = _frame.f_code
            if _code is not caller:
                if ours[_code.co_filename]:
                    _frame = outside(_frame.f_back)
                    _code = _frame.f_code
                else:
                    caller = _code
            _node.code = _code
            _node.at = _frame.f_lasti
        return _t

`lane` is that of NumPy's arrays, and `caller` the code outside of this package that called this op last.

NOTE [Site]
    The user's line is in the nearest frame that is not this package's. Each frame on the way to it costs 0.2 us, for Python
    makes an object of it. So while a module of this package runs that the user's code has called, the line of that call is
    in `site`, with the thread that called, and ops of that thread take it from there. A module of the user's own puts it aside
    for the time it runs, so that the lines in its forward are named. There is one `site` for all threads, because a variable of
    each costs 50 ns: a thread that finds another's looks for its own line as if there were none.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import CodeType

import numpy as np

from ..backend.residue import Instead
from .dispatch import general, shapes
from .graph import NO_GRAD, PACKAGE, Node, mode, ours, outside, tick, unusual
from .op import REQUIRED, Op, saved_names, saved_text
from .tensor import Tensor
from .views import note_view

site: list[tuple[CodeType, int, int] | None] = [None]  # see NOTE [Site]

TEMPLATE = """
def call({parameters}):
    global caller
    try:
        {data} = {data_of}
        {node} = {node_of}
        {dtype}
        {differ}
        _kind = {first}.__class__
        _lane = lane if _kind is ndarray else lanes[_kind]
        _out = _lane.quick({arguments})
        {no_residue}
        if _out.__class__ is not _kind:
            if _out is NotImplemented:
                _out = _lane.plain({arguments})
            {take_residue}
            if _out.__class__ is not _kind:
                _out = _lane.whole(_out)
    except (AttributeError, ValueError, TypeError):
        return {otherwise}
    {check_dtype}
    _t = new(Tensor)
    _t.array = _out
    {note_view}
    {count_edges}
    if unusual[0] and mode.state & NO_GRAD:
        _t.node = None
        return _t
    _t.node = _node = Node()
    _node.plan = _lane.plans[_mask]
    _node.edges = _edges
    _node.saved = _saved{residue}
    _node.number = tick()
    _node.shapes = {shapes}
    _place = site[0]
    if _place and _place[2] == thread():
        _node.code = _place
    else:
        _frame = getframe(1)
        _code = _frame.f_code
        if _code is not caller:
            if ours[_code.co_filename]:
                _frame = outside(_frame.f_back)
                _code = _frame.f_code
            else:
                caller = _code
        _node.code = _code
        _node.at = _frame.f_lasti
    return _t
"""

RUNTIME = {
    "__name__": __name__,  # by which the filter for NumPy's warnings knows this package
    "new": object.__new__,
    "getframe": sys._getframe,
    "Instead": Instead,
    **{"ndarray": np.ndarray, "Tensor": Tensor, "Node": Node, "NO_GRAD": NO_GRAD, "mode": mode, "unusual": unusual, "tick": tick},
    **{"site": site, "thread": threading.get_ident, "ours": ours, "outside": outside, "note_view": note_view, "shapes": shapes},
}


def fast(op: Op, otherwise: Callable = general) -> Callable:
    """The function that calls `op`, which has neither a variadic input nor several outputs.

    `otherwise(op, inputs, keywords)` does what the text does not handle."""
    scope = {f"default_{n}": d for n, d in op.keywords.items()} | RUNTIME
    scope |= {"op": op, "lanes": op.lanes, "otherwise": otherwise, "caller": None}
    inputs, keywords = ", ".join(op.public), ", ".join(f"{n}={n}" for n in op.keywords)

    def first(*given: object, **options: object) -> object:
        """The first call compiles the text and puts it in the place of this."""
        made = compiled(op, scope)
        call.__code__, call.__kwdefaults__ = made.__code__, made.__kwdefaults__
        return call(*given, **options)

    scope["first"] = first
    call = eval(compile(f"lambda {_parameters(op)}: first({inputs}, {keywords})", f"{PACKAGE}core/<{op.name}>", "eval"), scope)
    return call


def ready(call: Callable) -> None:
    """Compile the text of an op that was not called yet, if `call` is one: what its first call would do."""
    if call.__code__.co_name == "<lambda>" and "first" in call.__code__.co_names:
        made = compiled(call.op, call.__globals__)
        call.__code__, call.__kwdefaults__ = made.__code__, made.__kwdefaults__


def compiled(op: Op, scope: dict) -> Callable:
    """The text for `op`, compiled in `scope`."""
    scope["lane"] = op.lanes[np.ndarray]
    data = [f"{n}_data" for n in op.inputs]
    given = [f"{n}={n}" for n in op.keywords]
    again = f"otherwise(op, ({', '.join(op.public)},), dict({', '.join(given)}))"
    promoted = [data[i] for i in op.promoted]
    differ = " or ".join(f"{d}.dtype is not _dtype" for d in promoted[1:])
    kept = promoted and op.kind != "nondifferentiable"  # those give bools or integers
    text = TEMPLATE.format(
        parameters=_parameters(op),
        data=", ".join(data),
        data_of=", ".join(f"{n}.array" for n in op.public),
        node=", ".join(f"{n}_node" for n in op.inputs),
        node_of=", ".join(f"{n}.node" for n in op.public),
        dtype=f"_dtype = {promoted[0]}.dtype" if kept or differ else "",
        differ=f"if {differ}:\n            return {again}" if differ else "",
        first=data[0],
        arguments=", ".join(data + given),
        otherwise=again,
        check_dtype=f"if _out.dtype is not _dtype:\n        return {again}" if kept else "",
        no_residue="_residue = None" if op.residue else "",
        take_residue="if _out.__class__ is tuple:\n                _out, _residue = _out" if op.residue else "",
        residue=" + (_residue,)" if op.residue else "",
        note_view=f"note_view(_t, {op.public[0]}, op, dict({', '.join(given)}), None)" if op.view else "",
        count_edges=_count_edges(op, [n for n in op.inputs if n in op.rules]),
        shapes=_shapes(op, data),
    )
    exec(compile(text, f"{PACKAGE}core/<{op.name}>", "exec"), scope)
    return scope["call"]


def _parameters(op: Op) -> str:
    options = [n if d is REQUIRED else f"{n}=default_{n}" for n, d in op.keywords.items()]
    return ", ".join(op.public + ["*"] * bool(options) + options)


def _count_edges(op: Op, carrying: list[str], known: tuple[str, ...] = (), indent: str = "    ") -> str:
    """The lines that find which inputs with a rule need a gradient: a tree of ifs, whose leaves set _edges, _mask and _saved."""
    if carrying:
        name, rest, deeper = carrying[0], carrying[1:], indent + "    "
        without = _count_edges(op, rest, known, deeper)
        needed = _count_edges(op, rest, (*known, name), deeper)
        return f"if {name}_node is None:\n{deeper}{without}\n{indent}else:\n{deeper}{needed}"
    if not known:
        return f"_t.node = None\n{indent}return _t"
    places = [op.inputs.index(n) for n in known]
    saved = saved_text(op, saved_names(op, op.active_rules(places)), lambda n: "_out" if n in op.outputs else f"{n}_data")
    if op.residue:
        saved = [f"None if _residue.__class__ is Instead else {s}" if s == f"{op.inputs[0]}_data" else s for s in saved]
    nodes, kept = "".join(f"{n}_node, " for n in known), "".join(f"{text}, " for text in saved)
    return f"_edges, _mask, _saved = ({nodes}), {sum(1 << i for i in places)}, ({kept})"


def _shapes(op: Op, data: list[str]) -> str:
    """Where nothing can have been broadcast, None; a product of two matrices broadcasts nothing either."""
    if not op.broadcasts or len(data) == 1:
        return "None"
    alike = "_out.ndim < 3" if op.kind == "bilinear" else " == ".join([*(f"{d}.shape" for d in data), "_out.shape"])
    if op.kind != "bilinear" and len(data) == 2:
        alike = f"{data[0]}.shape == {data[1]}.shape"
    return f"None if {alike} else shapes(({', '.join(data)},), _mask, _out.shape)"
