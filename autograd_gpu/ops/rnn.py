"""Recurrent networks and cells as functions of their parameters: PyTorch's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.tensor import Tensor
from .linalg import check_tensors
from .recurrent import layer, recurrent

__all__ = ["gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


def _grouped(name: str, params: Sequence[Tensor], has_biases: bool, count: int) -> list[list[Tensor | None]]:
    """The flat list of parameters by layers and directions, of which there are `count`."""
    each, left = divmod(len(params), count)
    if left or each not in ((4, 5) if has_biases else (2, 3)):
        raise RuntimeError(f"{name}: expected the parameters of {count} directions of layers, got {len(params)} tensors")
    groups = []
    for k in range(count):
        w_ih, w_hh, *rest = params[k * each : (k + 1) * each]
        biases = [rest.pop(0), rest.pop(0)] if has_biases else [None, None]
        groups.append([w_ih, w_hh, *biases, *(rest or [None])])
    return groups


def _network(kind: str, *given: Any) -> tuple[Tensor, ...]:
    """PyTorch's two signatures, told apart by where the list of parameters stands."""
    if isinstance(given[3], (list, tuple)):
        x, sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional = given
        sizes, batch_first = tuple([int(n) for n in sizes.tolist()]), False
    else:
        (x, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first), sizes = given, None
    states = tuple(hx) if kind == "lstm" else (hx,)
    check_tensors(kind, input=x, **{f"hx[{i}]": s for i, s in enumerate(states)})
    directions = 2 if bidirectional else 1
    groups = _grouped(kind, params, has_biases, num_layers * directions)
    _check_dtypes(kind, x, [*states, *params])
    rate = dropout if train else 0.0
    return tuple(recurrent(kind, x, states, groups, sizes=sizes, directions=directions, dropout=rate, batch_first=batch_first))


def _check_dtypes(name: str, x: Tensor, others: Sequence[Tensor | None]) -> None:
    for p in others:
        if p is not None and p.array.dtype != x.array.dtype:
            raise RuntimeError(f"{name}: the input is {x.dtype} and a state or parameter is {p.dtype}: they must be of one dtype")


def lstm(
    input: Tensor,
    hx: Any,
    params: Any,
    has_biases: Any,
    num_layers: Any,
    dropout: Any,
    train: Any,
    bidirectional: Any,
    batch_first: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    """The output, h_n and c_n of an LSTM with the states hx = (h0, c0), as `nn.LSTM` computes them from its parameters.

    For packed sequences the arguments are data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional.

    >>> import autograd_gpu as ag
    >>> net = ag.nn.LSTM(3, 4)
    >>> zeros = ag.zeros(1, 2, 4)
    >>> [t.shape for t in ag.lstm(ag.ones(5, 2, 3), (zeros, zeros), list(net.parameters()), True, 1, 0.0, False, False, False)]
    [Size([5, 2, 4]), Size([1, 2, 4]), Size([1, 2, 4])]
    """
    return _network("lstm", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)


def gru(
    input: Tensor,
    hx: Any,
    params: Any,
    has_biases: Any,
    num_layers: Any,
    dropout: Any,
    train: Any,
    bidirectional: Any,
    batch_first: Any,
) -> tuple[Tensor, Tensor]:
    """The output and h_n of a GRU with the state hx, as `nn.GRU` computes them from its parameters.

    For packed sequences the arguments are data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional.

    >>> import autograd_gpu as ag
    >>> net = ag.nn.GRU(3, 4)
    >>> out, h = ag.gru(ag.ones(5, 2, 3), ag.zeros(1, 2, 4), list(net.parameters()), True, 1, 0.0, False, False, False)
    >>> out.shape, h.shape
    (Size([5, 2, 4]), Size([1, 2, 4]))
    """
    return _network("gru", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)


def rnn_tanh(
    input: Tensor,
    hx: Any,
    params: Any,
    has_biases: Any,
    num_layers: Any,
    dropout: Any,
    train: Any,
    bidirectional: Any,
    batch_first: Any,
) -> tuple[Tensor, Tensor]:
    """The output and h_n of a recurrent network of tanh, as `nn.RNN` computes them from its parameters.

    For packed sequences the arguments are data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional.

    >>> import autograd_gpu as ag
    >>> ones = ag.ones(1, 1)
    >>> ag.rnn_tanh(ag.ones(1, 1, 1), ones[None], [ones, ones], False, 1, 0.0, False, False, False)[0]
    tensor([[[0.9640]]])
    """
    return _network("rnn_tanh", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)


def rnn_relu(
    input: Tensor,
    hx: Any,
    params: Any,
    has_biases: Any,
    num_layers: Any,
    dropout: Any,
    train: Any,
    bidirectional: Any,
    batch_first: Any,
) -> tuple[Tensor, Tensor]:
    """The output and h_n of a recurrent network of relu, as `nn.RNN` computes them from its parameters.

    For packed sequences the arguments are data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional.

    >>> import autograd_gpu as ag
    >>> ones = ag.ones(1, 1)
    >>> ag.rnn_relu(ag.ones(1, 1, 1), ones[None], [ones, ones], False, 1, 0.0, False, False, False)[0]
    tensor([[[2.]]])
    """
    return _network("rnn_relu", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)


# -- cells -------------------------------------------------------------------------------------------------------------------


def _cell(kind: str, x: Tensor, states: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Any, b_hh: Any) -> tuple[Tensor, ...]:
    """The states after one step: that of a layer whose sequences have one."""
    check_tensors(kind, input=x, **{f"hx[{i}]": s for i, s in enumerate(states)}, w_ih=w_ih, w_hh=w_hh)
    _check_dtypes(kind, x, [*states, w_ih, w_hh, b_ih, b_hh])
    for what, a, b, size in (("input", x, w_ih, x.shape[0]), *[("hidden", s, w_hh, x.shape[0]) for s in states]):
        if a.ndim != 2 or a.shape[0] != size or a.shape[1] != b.shape[1]:
            raise RuntimeError(f"{kind}: {what} of shape {list(a.shape)} does not fit {size} rows of weights {list(b.shape)}")
    return layer(kind.removesuffix("_cell"), x, (w_ih, w_hh, b_ih, b_hh, None), states, (x.shape[0],), False)[1:]


def lstm_cell(
    input: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """h and c after a step of an LSTM: input (B, I), hx = (h, c), (B, H) each.

    >>> import autograd_gpu as ag
    >>> h, c = ag.lstm_cell(ag.ones(1, 1), (ag.zeros(1, 1), ag.zeros(1, 1)), ag.ones(4, 1), ag.ones(4, 1))
    >>> h, c
    (tensor([[0.3696]]), tensor([[0.5568]]))
    """
    return _cell("lstm_cell", input, tuple(hx), w_ih, w_hh, b_ih, b_hh)


def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """h after a step of a GRU: input (B, I), hx (B, H).

    >>> import autograd_gpu as ag
    >>> ag.gru_cell(ag.ones(1, 1), ag.zeros(1, 1), ag.ones(3, 1), ag.ones(3, 1))
    tensor([[0.2048]])
    """
    return _cell("gru_cell", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """tanh(w_ih input + b_ih + w_hh hx + b_hh): input (B, I), hx (B, H).

    >>> import autograd_gpu as ag
    >>> ag.rnn_tanh_cell(ag.ones(1, 1), ag.ones(1, 1), ag.ones(1, 1), ag.ones(1, 1))
    tensor([[0.9640]])
    """
    return _cell("rnn_tanh_cell", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """relu(w_ih input + b_ih + w_hh hx + b_hh): input (B, I), hx (B, H).

    >>> import autograd_gpu as ag
    >>> ag.rnn_relu_cell(ag.ones(1, 1), ag.ones(1, 1), ag.ones(1, 1), ag.ones(1, 1))
    tensor([[2.]])
    """
    return _cell("rnn_relu_cell", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]
