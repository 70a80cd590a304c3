"""Dispatch of an op with a fixed number of inputs as straight-line code, written out for that op.

`dispatch.general` loops over inputs and keywords; here the loops are unrolled, as text that is compiled when the op is declared,
the way NamedTuple does it. What the text does not handle goes to `general`: numbers among the inputs, dtypes to promote, no_grad,
errors to explain. For `softmax(x, *, axis)` it reads:

    def call(x, *, axis):
        try:
            x_data, x_node = x.data, x.node
            if unusual[0]:
                return general(op, (x,), dict(axis=axis))
            _lane = lanes[x_data.__class__]
            _out = _lane.quick(x_data, axis=axis)
            if _out is NotImplemented:
                _out = _lane.plain(x_data, axis=axis)
        except (AttributeError, ValueError, TypeError):
            return general(op, (x,), dict(axis=axis))
        if _out.__class__ is not x_data.__class__:
            _out = _lane.xp.asarray(_out)
        _t = new(Tensor)
        _t.data = _out
        _mask = 0
        if x_node is not None:
            _mask = 1
        if not _mask:
            _t.node = None
            return _t
        _t.node = _node = new(Node)
        _node.plan = _plan = _lane.plans[_mask]
        _node.edges = (x_node,)
        _node.saved = _plan.keep(_out, x_data, axis=axis)
        _node.number = tick()
        _node.shapes = None
        _frame = getframe(1)
        _node.code = _code = _frame.f_code
        if ours[_code.co_filename]:
            _frame = outside(_frame)
            _node.code = _frame.f_code
        _node.lasti = _frame.f_lasti
        return _t
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable

from .dispatch import _shapes, general
from .graph import PACKAGE, Node, ours, outside, tick, unusual
from .op import Op
from .tensor import Tensor
from .views import note_view

TEMPLATE = """
def call({parameters}):
    try:
        {data}, {node} = {data_of}, {node_of}
        if unusual[0]{differ}:
            return general(op, ({inputs},), {keywords})
        _lane = lanes[{first}.__class__]
        _out = _lane.quick({arguments})
        if _out is NotImplemented:
            _out = _lane.plain({arguments})
    except (AttributeError, ValueError, TypeError):
        return general(op, ({inputs},), {keywords})
    if _out.__class__ is not {first}.__class__:
        _out = _lane.xp.asarray(_out)
    {check_dtype}
    _t = new(Tensor)
    _t.data = _out
    {note_view}
    _mask = 0
    {count_mask}
    if not _mask:
        _t.node = None
        return _t
    _t.node = _node = new(Node)
    _node.plan = _plan = _lane.plans[_mask]
    _node.edges = {edges}
    _node.saved = _plan.keep(_out, {arguments})
    _node.number = tick()
    _node.shapes = {shapes}
    _frame = getframe(1)
    _node.code = _code = _frame.f_code
    if ours[_code.co_filename]:
        _frame = outside(_frame)
        _node.code = _frame.f_code
    _node.lasti = _frame.f_lasti
    return _t
"""


def straight(op: Op) -> Callable:
    """The function that calls `op`, which has neither a variadic input nor several outputs."""
    names = op.inputs
    data = [f"{n}_data" for n in names]
    carrying = [n for n in names if n in op.rules]
    nodes = ", ".join(f"{n}_node" for n in carrying)
    given = [f"{n}={n}" for n in op.keywords]
    again = f"general(op, ({', '.join(names)},), dict({', '.join(given)}))"
    promoted = [data[i] for i in op.promoted]
    parameters = [n if d is inspect.Parameter.empty else f"{n}=default_{n}" for n, d in op.keywords.items()]
    text = TEMPLATE.format(
        parameters=", ".join(names + ["*"] * bool(parameters) + parameters),
        data=", ".join(data),
        node=", ".join(f"{n}_node" for n in names),
        data_of=", ".join(f"{n}.data" for n in names),
        node_of=", ".join(f"{n}.node" for n in names),
        differ="".join(f" or {d}.dtype is not {promoted[0]}.dtype" for d in promoted[1:]),
        inputs=", ".join(names),
        keywords=f"dict({', '.join(given)})",
        first=data[0],
        arguments=", ".join(data + given),
        check_dtype=f"if _out.dtype is not {promoted[0]}.dtype:\n        return {again}" if promoted else "",
        note_view=f"note_view(_t, {names[0]}, op, dict({', '.join(given)}), None)" if op.view else "",
        count_mask="\n    ".join(f"if {n}_node is not None:\n        _mask |= {1 << names.index(n)}" for n in carrying),
        edges=f"({nodes},)" if len(carrying) == 1 else f"tuple([n for n in ({nodes},) if n is not None])" if carrying else "()",
        shapes=_shapes_text(op, data),
    )
    scope = {f"default_{n}": d for n, d in op.keywords.items()}
    scope |= {"op": op, "lanes": op.lanes, "general": general, "unusual": unusual, "new": object.__new__, "Tensor": Tensor}
    scope |= {"Node": Node, "tick": tick, "getframe": sys._getframe, "ours": ours, "outside": outside, "shapes": _shapes}
    scope |= {"note_view": note_view}
    exec(compile(text, f"{PACKAGE}core/<{op.name}>", "exec"), scope)
    return scope["call"]


def _shapes_text(op: Op, data: list[str]) -> str:
    """Where nothing can have been broadcast, None; a product of two matrices broadcasts nothing either."""
    if not op.broadcasts:
        return "None"
    everything = " == ".join([*(f"{d}.shape" for d in data), "_out.shape"])
    alike = "_out.ndim < 3" if op.kind == "bilinear" else everything
    return f"None if {alike} else shapes(({', '.join(data)},), _mask, _out.shape)"
