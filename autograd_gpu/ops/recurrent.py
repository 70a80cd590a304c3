"""Recurrent layers: one op for all steps of one direction of a layer, and networks of them. PyTorch's functions are in `rnn`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import backend
from ..core.dispatch import NOTHING
from ..core.graph import words
from ..core.primitive import primitive
from ..core.tensor import Tensor
from .dropouts import dropout as dropped

__all__: list[str] = []
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()

# NOTE [Rules of recurrent layers]
#     A layer's op gives out what it keeps of its steps, so its rule is an expression of inputs and outputs that can be
#     differentiated again: the loop over the steps from the last to the first, in words. It stands below for each kind of layer
#     as `_rnn_by_words` and so on. The word `rnn_layer_backward` is that loop for Tensors; for arrays the vocabulary has a faster
#     one, and tests prove them equal. It knows only of gradients of the states: that of what is kept, which a second derivative
#     may have, goes through the loop in words. `_call` tells the engine to make no zeros for outputs without a gradient.


@primitive(lambda xp, g, y, relu, sizes, reverse, dx, *inputs: _rnn_inputs(xp, g, y, relu, sizes, reverse, dx, *inputs),
           outputs=("y", "h_n"))  # fmt: skip
def _rnn_layer(xp: Any, *inputs: Any, relu: bool, sizes: Any = None, reverse: bool = False, dx: bool = True) -> Any:
    """One direction of a layer, of x, w_ih, w_hh, b_ih, b_hh, h0. `dx`: whether x needs a gradient."""
    return xp.rnn_layer(*inputs, relu=relu, sizes=sizes, reverse=reverse)


@primitive(lambda xp, g, y, kept, sizes, reverse, dx, *inputs: _lstm_inputs(xp, g, y, kept, sizes, reverse, dx, *inputs),
           outputs=("y", "h_n", "c_n", "kept"))  # fmt: skip
def _lstm_layer(xp: Any, *inputs: Any, sizes: Any = None, reverse: bool = False, dx: bool = True) -> Any:
    """One direction of a layer, of x, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr. `dx`: whether x needs a gradient."""
    return xp.lstm_layer(*inputs, sizes=sizes, reverse=reverse)


@primitive(lambda xp, g, y, kept, sizes, reverse, dx, *inputs: _gru_inputs(xp, g, y, kept, sizes, reverse, dx, *inputs),
           outputs=("y", "h_n", "kept"))  # fmt: skip
def _gru_layer(xp: Any, *inputs: Any, sizes: Any = None, reverse: bool = False, dx: bool = True) -> Any:
    """One direction of a layer, of x, w_ih, w_hh, b_ih, b_hh, h0. `dx`: whether x needs a gradient."""
    return xp.gru_layer(*inputs, sizes=sizes, reverse=reverse)


# -- the rules ---------------------------------------------------------------------------------------------------------------


def _given(x: Any) -> Any:
    """x, None for an input that was not given."""
    return None if getattr(x, "array", x) is None else x


def _head(xp: Any, a: Any, n: int) -> Any:
    """The first n rows."""
    return a if a.shape[0] == n else xp.split(a, axis=0, sizes=(n, a.shape[0] - n))[0]


def _rest(xp: Any, a: Any, n: int, end: int) -> Any:
    """Rows n to end."""
    return xp.split(a, axis=0, sizes=(n, end - n, a.shape[0] - end))[1]


def _over(xp: Any, new: Any, old: Any) -> Any:
    """`old` with its first rows replaced by `new`."""
    n, end = new.shape[0], old.shape[0]
    return new if n == end else xp.cat(new, _rest(xp, old, n, end), axis=0)


class _Steps:
    """The steps of a layer in the order in which they are taken.

    sizes   how many sequences each has;  most   the largest of these"""

    def __init__(self, xp: Any, x: Any, sizes: Sequence[int] | None, reverse: bool):
        self.xp, self.reverse = xp, reverse
        in_time = (x.shape[1],) * x.shape[0] if sizes is None else tuple(sizes)
        self.sizes = in_time[::-1] if reverse else in_time
        self.most = max(in_time)
        self._in_time = in_time

    def of(self, a: Any) -> Sequence[Any]:
        """The rows of each step, Nones for None."""
        if a is None:
            return [None] * len(self.sizes)
        xp = self.xp
        steps = xp.unbind(a, axis=0) if a.ndim == 3 else xp.split(a, axis=0, sizes=self._in_time)
        return steps[::-1] if self.reverse else steps

    def kept(self, a: Any) -> list[Any]:
        """The blocks of each step, of all sequences."""
        return [self.xp.unbind(step, axis=0) for step in self.xp.unbind(a, axis=0)]

    def rows(self, steps: Sequence[Any]) -> Any:
        """The rows of all steps, as they lie in memory."""
        steps = steps[::-1] if self.reverse else steps
        return steps[0] if len(steps) == 1 else self.xp.cat(*steps, axis=0)

    def before(self, states: Sequence[Any], start: Any) -> list[Any]:
        """The state before each step, with those that begin in `start`."""
        xp, found, sizes = self.xp, [_head(self.xp, start, self.sizes[0])], self.sizes
        for a, n, after in zip(states, sizes, sizes[1:]):  # noqa: B905 (the last has no next)
            found.append(_head(xp, a, after) if after <= n else xp.cat(a, _rest(xp, start, n, after), axis=0))
        return found


def _unrolled(xp: Any, cell: Callable, steps: _Steps, y: Any, gy: Any, gh: Any, dx: bool, inputs: Sequence[Any]) -> list[Any]:
    """The gradients of x, w_ih, w_hh, b_ih, b_hh, h0.

    cell(k, dh, h) -> of the step k, given the gradient of its state and the state before it: the gradients of its linear parts
    in the input and in the state, and of the state before it where it is used otherwise, or None"""
    x, w_ih, w_hh, b_ih, b_hh, h0 = inputs
    width = w_hh.shape[1]
    dh = xp.zeros((steps.most, width), y.dtype) if gh is None else gh
    befores = steps.before(steps.of(y), xp.zeros((steps.most, width), y.dtype) if h0 is None else h0)
    gys, of_input, of_state = steps.of(gy), [], []
    for k in range(len(steps.sizes) - 1, -1, -1):
        now = _head(xp, dh, steps.sizes[k])
        d_input, d_state, direct = cell(k, now if gys[k] is None else now + gys[k], befores[k])
        back = xp.matmul(d_state, w_hh)
        dh = _over(xp, back if direct is None else back + direct, dh)
        of_input.append(d_input)
        of_state.append(d_state)
    d_input, d_state = steps.rows(of_input[::-1]), steps.rows(of_state[::-1])
    rows = x if x.ndim == 2 else xp.reshape(x, shape=(x.shape[0] * x.shape[1], x.shape[2]))
    return [
        xp.reshape(xp.matmul(d_input, w_ih), shape=tuple(x.shape)) if dx else None,
        xp.matmul(xp.mT(d_input), rows),
        xp.matmul(xp.mT(d_state), steps.rows(befores)),
        None if b_ih is None else xp.sum(d_input, axis=0),
        None if b_hh is None else xp.sum(d_state, axis=0),
        None if h0 is None else dh,
    ]


def _plus(a: Any, b: Any) -> Any:
    return a if b is None else a + b


def _rnn_by_words(
    xp: Any, g: Sequence[Any], y: Any, relu: bool, sizes: Any, reverse: bool, dx: bool, *inputs: Any
) -> Sequence[Any]:
    steps = _Steps(xp, inputs[0], sizes, reverse)
    states = steps.of(y)

    def cell(k: int, dh: Any, h: Any) -> tuple[Any, Any, None]:
        out = states[k]
        d = dh * xp.astype(out > 0, dtype=dh.dtype) if relu else dh - dh * out * out
        return d, d, None

    return _unrolled(xp, cell, steps, y, *g, dx, [_given(x) for x in inputs])


def _lstm_by_words(
    xp: Any, g: Sequence[Any], y: Any, kept: Any, sizes: Any, reverse: bool, dx: bool, *inputs: Any
) -> Sequence[Any]:
    gy, gh, gc, gk = g
    *inputs, c0, w_hr = [_given(x) for x in inputs]
    steps = _Steps(xp, inputs[0], sizes, reverse)
    blocks, gks = steps.kept(kept), None if gk is None else steps.kept(gk)
    dc = xp.zeros((steps.most, kept.shape[3]), y.dtype) if gc is None else gc
    dys, hidden = [], []

    def cell(k: int, dh: Any, h: Any) -> tuple[Any, Any, None]:
        nonlocal dc
        n = steps.sizes[k]
        c_before, gate, f, i, o = [_head(xp, b, n) for b in blocks[k]]
        t = xp.tanh(_head(xp, blocks[k + 1][0], n))
        dr = dh
        if w_hr is not None:
            dys.append(dh)
            hidden.append(o * t)
            dr = xp.matmul(dh, w_hr)
        if gks is not None:
            dc = dc + gks[k + 1][0]
        through = dr * o
        now = _head(xp, dc, n) + through - through * t * t
        d = [now * i, now * c_before, now * gate, dr * t]
        if gks is not None:
            d = [a + _head(xp, b, n) for a, b in zip(d, gks[k][1:], strict=True)]
        dg, df, di, do = d
        dc = _over(xp, now * f, dc)
        d = xp.cat(di * (i - i * i), df * (f - f * f), dg - dg * gate * gate, do * (o - o * o), axis=1)
        return d, d, None

    found = _unrolled(xp, cell, steps, y, gy, gh, dx, inputs)
    if gks is not None:
        dc = dc + gks[0][0]
    found.append(None if c0 is None else dc)
    found.append(None if w_hr is None else xp.matmul(xp.mT(steps.rows(dys[::-1])), steps.rows(hidden[::-1])))
    return found


def _gru_by_words(
    xp: Any, g: Sequence[Any], y: Any, kept: Any, sizes: Any, reverse: bool, dx: bool, *inputs: Any
) -> Sequence[Any]:
    gy, gh, gk = g
    steps = _Steps(xp, inputs[0], sizes, reverse)
    blocks = steps.kept(kept)
    gks = None if gk is None else steps.kept(gk)

    def cell(k: int, dh: Any, h: Any) -> tuple[Any, Any, Any]:
        r, z, n, q = [_head(xp, b, dh.shape[0]) for b in blocks[k]]
        g_r, g_z, g_n, g_q = [None] * 4 if gks is None else [_head(xp, b, dh.shape[0]) for b in gks[k]]
        dz = _plus(dh * (h - n), g_z)
        dn = _plus(dh - dh * z, g_n)
        dn = dn - dn * n * n
        dr, dq = _plus(dn * q, g_r), _plus(dn * r, g_q)
        dr, dz = dr * (r - r * r), dz * (z - z * z)
        return xp.cat(dr, dz, dn, axis=1), xp.cat(dr, dz, dq, axis=1), dh * z

    return _unrolled(xp, cell, steps, y, gy, gh, dx, [_given(x) for x in inputs])


def _rnn_inputs(xp: Any, g: Sequence[Any], y: Any, relu: bool, sizes: Any, reverse: bool, dx: bool, *inputs: Any) -> Any:
    return xp.rnn_layer_backward(y, *inputs, *g, relu=relu, sizes=sizes, reverse=reverse, dx=dx)


def _lstm_inputs(xp: Any, g: Sequence[Any], y: Any, kept: Any, sizes: Any, reverse: bool, dx: bool, *inputs: Any) -> Any:
    *states, of_kept = g
    if of_kept is not None:
        return _lstm_by_words(xp, g, y, kept, sizes, reverse, dx, *inputs)
    return xp.lstm_layer_backward(y, kept, *inputs, *states, sizes=sizes, reverse=reverse, dx=dx)


def _gru_inputs(xp: Any, g: Sequence[Any], y: Any, kept: Any, sizes: Any, reverse: bool, dx: bool, *inputs: Any) -> Any:
    *states, of_kept = g
    if of_kept is not None:
        return _gru_by_words(xp, g, y, kept, sizes, reverse, dx, *inputs)
    return xp.gru_layer_backward(y, kept, *inputs, *states, sizes=sizes, reverse=reverse, dx=dx)


def _backward_words() -> None:
    words.rnn_layer_backward = lambda y, *rest, relu, sizes, reverse, dx: _rnn_by_words(
        words, rest[-2:], y, relu, sizes, reverse, dx, *rest[:-2]
    )
    words.lstm_layer_backward = lambda y, kept, *rest, sizes, reverse, dx: _lstm_by_words(
        words, (*rest[-3:], None), y, kept, sizes, reverse, dx, *rest[:-3]
    )
    words.gru_layer_backward = lambda y, kept, *rest, sizes, reverse, dx: _gru_by_words(
        words, (*rest[-2:], None), y, kept, sizes, reverse, dx, *rest[:-2]
    )


_backward_words()


# -- calls of a layer --------------------------------------------------------------------------------------------------------


def _call(layer: Callable, x: Tensor, weights: Sequence[Tensor | None], **keywords: Any) -> tuple[Tensor, ...]:
    """Call the op of a layer. See NOTE [Rules of recurrent layers]."""
    outs = layer(x, *[NOTHING if w is None else w for w in weights], dx=x.node is not None, **keywords)
    if outs[0].node is not None:
        fan = outs[0].node.edges[0]
        fan.outs = [None] * len(fan.outs)
    return outs


def layer(kind: str, x: Tensor, p: Sequence[Any], states: Sequence[Any], sizes: Any, reverse: bool) -> tuple[Tensor, ...]:
    """y, h_n and for an LSTM c_n, of one direction of one layer. `p`: w_ih, w_hh, b_ih, b_hh and for an LSTM w_hr."""
    if 0 in x.shape[:-1]:
        return _of_no_sequences(x, p, states)
    if kind == "lstm":
        return _call(words.lstm_layer, x, (*p[:4], *states, p[4]), sizes=sizes, reverse=reverse)[:3]
    if kind == "gru":
        return _call(words.gru_layer, x, (*p[:4], *states), sizes=sizes, reverse=reverse)[:2]
    return _call(words.rnn_layer, x, (*p[:4], *states), relu=kind == "rnn_relu", sizes=sizes, reverse=reverse)


def _of_no_sequences(x: Tensor, p: Sequence[Any], states: Sequence[Any]) -> tuple[Tensor, ...]:
    """`layer` for a batch of size 0: results without elements, through which all inputs get gradients of zeros."""
    w_ih, w_hh, b_ih, b_hh, w_hr = p
    h0, *cells = states
    gates, width = words.matmul(x, words.mT(w_ih)), w_hh.shape[1]
    if h0 is None:
        h0 = Tensor(backend.beside(x.array).zeros((0, width), x.array.dtype))
    gates = gates + words.matmul(h0, words.mT(w_hh))
    for bias in (b_ih, b_hh):
        gates = gates if bias is None else gates + bias
    last = gates if gates.ndim == 2 else words.unbind(gates, axis=0)[-1]
    y, h = (words.slice(a, spec=(..., (0, width, None))) for a in (gates, last))
    if not cells:
        return y, h
    c = words.slice(last, spec=(..., (0, w_hh.shape[0] // 4, None)))
    c = c if cells[0] is None else c + cells[0]
    if w_hr is not None:
        h = h + words.matmul(c, words.mT(w_hr))
        y = y + h
    return y, h, c


def recurrent(
    kind: str,
    x: Tensor,
    states: Sequence[Tensor | None],
    params: Sequence[Sequence[Tensor | None]],
    *,
    sizes: tuple[int, ...] | None = None,
    directions: int = 1,
    dropout: float = 0.0,
    batch_first: bool = False,
) -> list[Tensor]:
    """The output of the last layer and the last states, (layers * directions, B, ...) each, of a network of recurrent layers.

    kind     "lstm", "gru", "rnn_tanh" or "rnn_relu"
    states   h0, and c0 of an LSTM, None for zeros
    params   w_ih, w_hh, b_ih, b_hh, w_hr of each direction of each layer, None for what there is not
    sizes    how many sequences each step has, if x is (N, I)
    dropout  the share of the elements between layers to drop"""
    if batch_first and sizes is None:
        x = words.transpose(x, axes=(1, 0, 2))
    if x.shape[0] == 0:
        raise RuntimeError(f"Expected sequence length to be larger than 0 in RNN, and the input is {list(x.shape)}")
    starts = [[None] * len(params) if s is None else words.unbind(s, axis=0) for s in states]
    ends: list[list[Tensor]] = [[] for _ in states]
    for first in range(0, len(params), directions):
        if first and dropout:
            x = dropped(x, dropout)
        outs = []
        for k in range(first, first + directions):
            out, *last = layer(kind, x, params[k], [s[k] for s in starts], sizes, k > first)
            outs.append(out)
            for end, state in zip(ends, last, strict=True):
                end.append(state)
        x = outs[0] if directions == 1 else words.cat(*outs, axis=x.ndim - 1)
    if batch_first and sizes is None:
        x = words.transpose(x, axes=(1, 0, 2))
    return [x, *[words.reshape(e[0], shape=(1, *e[0].shape)) if len(e) == 1 else words.stack(*e, axis=0) for e in ends]]
