"""What happens when an op is called: inputs made ready, computed, wrapped, recorded.

`general` does everything, for any op. Most calls never come here: core.fast does the same in straight-line code for inputs that
are Tensors of one dtype.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import backend
from ..backend.promotion import category, default_dtype, result_type
from ..backend.residue import Instead
from .graph import NO_GRAD, Fan, Node, mode, outside, tick, words
from .op import PUBLIC, Lane, Op, Plan
from .tensor import Tensor
from .views import note_view

NUMBERS = (int, float, complex, np.number, np.bool_)
OPERANDS = (Tensor, *NUMBERS)
NOTHING = Tensor(None)  # stands for an optional input that was not given

_new = object.__new__


def any_arity(op: Op) -> Callable:
    """The function that calls an op with a variadic input or several outputs."""

    def call(*inputs, **keywords):
        return general(op, inputs, keywords)

    return call


def general(op: Op, inputs: Sequence[Any], keywords: dict[str, Any]) -> Any:
    """Call an op: make the inputs Tensors of one dtype, compute, wrap, record."""
    try:
        nodes = [x.node for x in inputs]
    except AttributeError:
        inputs = _with_number(op, inputs) or _lift(op, inputs)
        nodes = [x.node for x in inputs]
    if op.promoted:
        dtype = inputs[op.promoted[0]].array.dtype
        for i in op.promoted:
            if inputs[i].array.dtype is not dtype:
                if op.errors is not None:
                    op.errors(*inputs)
                inputs = _promote(op, inputs, result_type([inputs[i].array for i in op.promoted]))
                nodes = [x.node for x in inputs]
                dtype = inputs[op.promoted[0]].array.dtype
                break
    arrays = [x.array for x in inputs]
    lane = op.lanes[arrays[0].__class__]
    try:
        out = lane.forward(*arrays, **keywords)
    except (ValueError, TypeError) as error:
        moved = _joined(op, inputs)
        if moved is None:
            _explain(op, inputs, error)
            raise
        return general(op, moved, keywords)
    residue = None
    if op.residue and out.__class__ is tuple:
        out, residue = out
    if op.several:
        return _several(op, lane, inputs, arrays, keywords, out)
    if out.__class__ is not arrays[0].__class__:
        out = lane.whole(out)
    if op.promoted and out.dtype is not dtype and category(out.dtype) >= 2 > category(dtype):
        return general(op, _promote(op, inputs, default_dtype[0]), keywords)  # integers to a function that has none: floats
    t = Tensor(out)
    if not mode.state & NO_GRAD and any(nodes):
        t.node = attach(op, lane, inputs, arrays, keywords, out)
        if op.residue and t.node is not None:
            saved = (*t.node.saved, residue)
            if residue.__class__ is Instead:
                saved = [None if name == op.inputs[0] else x for name, x in zip((*t.node.plan.names, ""), saved, strict=True)]
            t.node.saved = tuple(saved)
    if op.view:
        note_view(t, inputs[0], op, keywords, None)
    return t


def attach(
    op: Op, lane: Lane, inputs: Sequence[Tensor], arrays: Sequence[Any], keywords: dict[str, Any], out: Any
) -> Node | None:
    """The node of the call of `op` that gave `out`, None if no input that has a rule needs a gradient."""
    mask = _mask(op, inputs)
    if not mask:
        return None
    plan = lane.plans[mask]
    node = _record(Node, plan, inputs)
    node.saved = plan.keep(out, *arrays, **keywords)
    if op.broadcasts:
        node.shapes = shapes(arrays, mask, out.shape)
    return node


def _mask(op: Op, inputs: Sequence[Tensor]) -> int:
    mask, bit = 0, 1
    for i, x in enumerate(inputs):
        if x.node is not None and op.differentiable(i):
            mask |= bit
        bit <<= 1
    return mask


def _several(
    op: Op, lane: Lane, inputs: Sequence[Tensor], arrays: list, keywords: dict, outs: Sequence[Any]
) -> tuple[Tensor, ...]:
    """The second half of `general` for an op with several outputs."""
    tensors = tuple(Tensor(lane.xp.asarray(out)) for out in outs)
    mask = 0 if mode.state & NO_GRAD else _mask(op, inputs)
    carriers = [t for t in tensors if category(t.array.dtype) >= 2]
    if mask and carriers:
        plan = lane.plans[mask]
        alone = len(carriers) == 1 and op.outputs != ("*",)
        node = _record(Node if alone else Fan, plan, inputs)
        if alone:
            carriers[0].node = node
        else:
            node.outs = [(t.array.shape, t.array.dtype) for t in tensors]
            node.made = {}
            for k, t in enumerate(tensors):
                if category(t.array.dtype) >= 2:
                    t.node = node.output(k)
        outs = [t.array for t in tensors]
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
    frame = outside(sys._getframe(2))
    node.code, node.at = frame.f_code, frame.f_lasti
    return node


def shapes(arrays: Sequence[Any], mask: int, shape: tuple[int, ...]) -> tuple | None:
    """Per needed input its shape if it is not the output's; None if all are."""
    found = tuple([None if a.shape == shape else a.shape for i, a in enumerate(arrays) if mask >> i & 1])
    return found if any(s is not None for s in found) else None


# -- inputs that are not yet what the op takes ---------------------------------------------------------------------------

_constants: dict[tuple, Tensor] = {}
_ON_CPU = backend.cpu.zeros((), np.float32)


def constant(value: Any, dtype: Any, like: Any) -> Tensor:
    """A Python number as a Tensor without dimensions, on the device of the array `like`. The last few thousand are kept, for
    `x * 2` comes again and again."""
    kind = like.__class__
    key = (value, dtype, kind if kind is np.ndarray else backend.workplace(like))
    if value and key in _constants:  # not zero: 0.0 and -0.0 are equal keys
        return _constants[key]
    t = Tensor(backend.beside(like).asarray(value, dtype))
    if value:
        if len(_constants) > 4096:
            _constants.clear()
        _constants[key] = t
    return t


def _with_number(op: Op, inputs: Sequence[Any]) -> tuple[Tensor, Tensor] | None:
    """A Tensor and a Python number that takes its dtype, by far the most common of what `_lift` does; else None."""
    if len(inputs) == 2 == len(op.promoted):
        for k in (1, 0):
            kind, x = inputs[k].__class__, inputs[1 - k]
            if (kind is float or kind is int) and isinstance(x, Tensor):
                dtype = x.array.dtype
                if dtype.kind in "fV" or (kind is int and dtype.kind == "i" and -128 <= inputs[k] < 128):  # fits in any
                    number = constant(inputs[k], dtype, x.array)
                    return (x, number) if k else (number, x)
    return None


def operand(op: Op, inputs: Sequence[Any], keywords: dict[str, Any]) -> Any:
    """`general` for Python's operators: NotImplemented for operands that are neither Tensors nor numbers."""
    pair = _with_number(op, inputs)
    if pair is not None:
        return getattr(words, op.name)(*pair)
    return general(op, inputs, keywords) if all(isinstance(x, OPERANDS) for x in inputs) else NotImplemented


def _lift(op: Op, inputs: Sequence[Any]) -> list[Tensor]:
    """The inputs with Python numbers made Tensors of the dtype that the result will have, and None made NOTHING."""
    first = next((x for x in inputs if isinstance(x, Tensor)), None)
    inputs = [x.item() if isinstance(x, np.generic) else x for x in inputs]  # NumPy's scalars are weak, as Python's numbers
    if first is None and not all(isinstance(x, NUMBERS) for x in inputs):
        _refuse(op, inputs)
    like = _ON_CPU if first is None else first.array
    lifted: list[Tensor] = []
    for i, x in enumerate(inputs):
        if isinstance(x, Tensor):
            lifted.append(x)
        elif x is None and i not in op.promoted:
            lifted.append(NOTHING)
        elif isinstance(x, NUMBERS):
            among = [inputs[j] for j in op.promoted] if i in op.promoted else [x]
            dtype = result_type([y.array if isinstance(y, Tensor) else y for y in among if y is not None])
            lifted.append(constant(_wrapped(x, dtype), dtype, like))
        else:
            _refuse(op, inputs)
    return lifted


def _wrapped(value: Any, dtype: Any) -> Any:
    """A Python int that `dtype` does not hold, wrapped around as PyTorch does: -1 is 255 in uint8."""
    if dtype.kind not in "iu" or not isinstance(value, int) or not -(2**63) <= value < 2**64:
        return value
    bits = 8 * dtype.itemsize
    value &= (1 << bits) - 1
    return value - (1 << bits) if dtype.kind == "i" and value >> (bits - 1) else value


def _refuse(op: Op, inputs: Sequence[Any]) -> None:
    for i, x in enumerate(inputs):
        if not isinstance(x, (Tensor, *NUMBERS)) and (x is not None or i in op.promoted):
            raise TypeError(
                f"{op.name}(): argument '{PUBLIC.get(op.input_name(i), op.input_name(i))}' (position {i + 1}) must be Tensor, "
                f"not {type(x).__name__}"
                + (": wrap it with autograd_gpu.as_tensor" if type(x).__name__ in ("ndarray", "list", "tuple") else "")
            )
    raise TypeError(f"{op.name}() needs at least one Tensor")


def _promote(op: Op, inputs: Sequence[Tensor], dtype: Any) -> list[Tensor]:
    """The inputs with those that take part in promotion cast to `dtype`: an op like any other, so its gradient is cast back."""
    return [words.astype(x, dtype=dtype) if i in op.promoted and x.array.dtype != dtype else x for i, x in enumerate(inputs)]


def _joined(op: Op, inputs: Sequence[Tensor]) -> list[Tensor] | None:
    """The inputs with those of the CPU that have no dimensions moved to the CUDA device of the others, as PyTorch allows; None
    if there is nothing to move, or if that would not help."""
    places = {str(x.device): x.device for x in inputs if x.array is not None and (x.array.ndim or x.device.type != "cpu")}
    place = next(iter(places.values()), None)
    if len(places) != 1 or place.type == "cpu" or all(x.array is None or x.device == place for x in inputs):
        return None
    return [x if x.array is None or x.device == place else words.move(x, device=place, source=x.device) for x in inputs]


def _explain(op: Op, inputs: Sequence[Tensor], error: Exception) -> None:
    """Raise what PyTorch raises in place of NumPy's `error`, if the shapes or devices of the inputs are to blame."""
    given = [x for x in inputs if x.array is not None]
    devices = list(dict.fromkeys(str(x.device) for x in given))
    if len(devices) > 1:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {devices[0]} and {devices[1]}, "
            f"in {op.name}(): move one with .to('{devices[0]}')"
        ) from None
    if op.errors is not None:
        op.errors(*given)
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
        raise RuntimeError(f'"{op.name}" not implemented for {", ".join(str(x.dtype) for x in given)}: {error}') from None
