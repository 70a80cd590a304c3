"""Recurrent networks and their cells."""

from __future__ import annotations

import math
import warnings
from numbers import Number
from typing import Any

from ..amp.casting import is_cast
from ..core.graph import words
from ..core.tensor import Tensor
from ..ops.create import empty, zeros
from ..ops.recurrent import layer, recurrent
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_KINDS = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn_tanh", "RNN_RELU": "rnn_relu"}


class RNNBase(Module):
    """What RNN, LSTM and GRU have in common. `mode` is "RNN_TANH", "RNN_RELU", "LSTM" or "GRU"."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_arguments()
        self.dropout = float(dropout)
        gates = _GATES[mode] * hidden_size
        state = proj_size or hidden_size
        shapes = {"weight_ih": (gates, input_size), "weight_hh": (gates, state)}
        if bias:
            shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
        if proj_size:
            shapes["weight_hr"] = (proj_size, hidden_size)
        directions = ("", "_reverse") if bidirectional else ("",)
        self._all_weights: list[list[str]] = []
        for n in range(num_layers):
            if n:
                shapes["weight_ih"] = (gates, state * len(directions))
            for direction in directions:
                names = {f"{name}_l{n}{direction}": shape for name, shape in shapes.items()}
                for name, shape in names.items():
                    setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
                self._all_weights.append(list(names))
        self.reset_parameters()

    def _check_arguments(self) -> None:
        if self.mode not in _GATES:
            raise ValueError(f"Unrecognized RNN mode: {self.mode}")
        p = self.dropout
        if not isinstance(p, Number) or isinstance(p, bool) or not 0 <= p <= 1:
            raise ValueError("dropout should be a number in range [0, 1] representing the probability of an element being zeroed")
        if p > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater "
                f"than 1, but got dropout={p} and num_layers={self.num_layers}",
                stacklevel=4,
            )
        for name, kind in (("bias", bool), ("batch_first", bool), ("input_size", int), ("hidden_size", int)):
            if not isinstance(getattr(self, name), kind):
                given = type(getattr(self, name)).__name__
                raise TypeError(f"{name} should be of type {kind.__name__}, got: {given}")
        for name in ("input_size", "hidden_size", "num_layers"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if self.proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform in +-1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing: parameters need not lie next to each other."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each direction of each layer."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def _parameters_of_layers(self) -> list[list[Any]]:
        """w_ih, w_hh, b_ih, b_hh, w_hr of each direction of each layer."""
        found = []
        for weights in self.all_weights:
            w_ih, w_hh, *rest = weights
            found.append([w_ih, w_hh, *(rest[:2] if self.bias else (None, None)), rest[-1] if self.proj_size else None])
        return found

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Any) -> tuple[int, int, int]:
        """The shape of h0 and h_n for an input."""
        batch = input.shape[0 if self.batch_first else 1] if batch_sizes is None else int(batch_sizes[0])
        return self.num_layers * (1 + self.bidirectional), batch, self.proj_size or self.hidden_size

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Any) -> tuple[int, int, int]:
        """The shape of c0 and c_n for an input."""
        return (*self.get_expected_hidden_size(input, batch_sizes)[:2], self.hidden_size)

    def check_input(self, input: Tensor, batch_sizes: Any) -> None:
        """Raise PyTorch's errors for an input of another dtype or size."""
        dtype = self.weight_ih_l0.dtype
        if input.array.dtype != dtype and not is_cast(input):
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). Convert input: input.to({dtype}), or "
                f"convert model: model.to({input.dtype})"
            )
        expected = 3 if batch_sizes is None else 2
        if input.ndim != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.ndim}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}: the input is "
                f"{list(input.shape)}"
            )

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple[int, int, int], msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """Raise RuntimeError for a state of another shape."""
        if tuple(hx.shape) != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.shape)))

    def _check_states(self, input: Tensor, states: tuple[Tensor, ...], batch_sizes: Any) -> None:
        messages = ("Expected hidden size {}, got {}", "Expected hidden size {}, got {}")
        if self.mode == "LSTM":
            messages = ("Expected hidden[0] size {}, got {}", "Expected hidden[1] size {}, got {}")
        expected = self.get_expected_hidden_size(input, batch_sizes), self.get_expected_cell_size(input, batch_sizes)
        for state, shape, message in zip(states, expected, messages):  # noqa: B905 (all but the LSTM have one state)
            self.check_hidden_size(state, shape, message)
            if state.array.dtype != input.array.dtype and not is_cast(input):
                raise RuntimeError(f"{self.mode}: the input is {input.dtype} and a state is {state.dtype}: convert one of them")

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The output and the last states, for an input and the first states, zeros by default."""
        states = (None, None) if self.mode == "LSTM" else (None,)
        if isinstance(input, PackedSequence):
            return self._packed(input, hx, states)
        name = type(self).__name__
        if input.array.ndim not in (2, 3):
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.ndim}D tensor instead")
        alone = input.array.ndim == 2
        if hx is not None:
            states = tuple(hx) if self.mode == "LSTM" else (hx,)
            if any(s.ndim != input.ndim for s in states):
                got = ", ".join(f"{s.ndim}-D" for s in states)
                kind = "unbatched 2-D" if alone else "batched 3-D"
                raise RuntimeError(f"For {kind} input, hx should also be {input.ndim}-D but got {got} tensors")
        if alone:
            input = input.unsqueeze(0 if self.batch_first else 1)
            states = tuple([s if s is None else s.unsqueeze(1) for s in states])
        self.check_input(input, None)
        if hx is not None:
            self._check_states(input, states, None)
        out, *last = self._run(input, states, None)
        if alone:
            out, last = out.squeeze(0 if self.batch_first else 1), [s.squeeze(1) for s in last]
        return out, last[0] if len(last) == 1 else tuple(last)

    def _run(self, x: Tensor, states: tuple[Any, ...], sizes: tuple[int, ...] | None) -> list[Tensor]:
        return recurrent(
            _KINDS[self.mode],
            x,
            states,
            self._parameters_of_layers(),
            sizes=sizes,
            directions=2 if self.bidirectional else 1,
            dropout=self.dropout if self.training else 0.0,
            batch_first=self.batch_first,
        )

    def _packed(self, input: PackedSequence, hx: Any, states: tuple[Any, ...]) -> Any:
        data, batch_sizes, order, back = input
        self.check_input(data, batch_sizes)
        if hx is not None:  # in the order of the batch, as the states that come out
            states = tuple(hx) if self.mode == "LSTM" else (hx,)
            states = tuple([self.permute_hidden(s, order) for s in states])
            self._check_states(data, states, batch_sizes)
        out, *last = self._run(data, states, tuple(batch_sizes.tolist()))
        last = [self.permute_hidden(s, back) for s in last]
        return PackedSequence(out, batch_sizes, order, back), last[0] if len(last) == 1 else tuple(last)

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """States with their sequences in another order."""
        if permutation is None:
            return hx
        if isinstance(hx, tuple):
            return tuple([self.permute_hidden(s, permutation) for s in hx])
        return words.index(hx, permutation, axes=(1,))

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if not self.bias:
            text += f", bias={self.bias}"
        if self.batch_first:
            text += f", batch_first={self.batch_first}"
        if self.dropout:
            text += f", dropout={self.dropout}"
        if self.bidirectional:
            text += f", bidirectional={self.bidirectional}"
        return text


class RNN(RNNBase):
    """Layers of h = tanh(weight_ih x + bias_ih + weight_hh h + bias_hh), or of relu, over a sequence.

    input    (T, B, input_size), with batch_first (B, T, input_size), without a batch (T, input_size), or a PackedSequence
    hx       (layers * directions, B, hidden_size), zeros by default
    Returns the states of the last layer at all steps, (T, B, directions * hidden_size), and the last states of all layers.
    `dropout` drops elements between layers.

    >>> import autograd_gpu as ag
    >>> out, h = ag.nn.RNN(3, 4, num_layers=2)(ag.ones(5, 2, 3))
    >>> out.shape, h.shape
    (Size([5, 2, 4]), Size([2, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype
        )
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Layers of long short-term memory (Hochreiter and Schmidhuber 1997) over a sequence: c = f c + i g, h = o tanh(c), with
    i, f, o the sigmoids and g the tanh of their parts of weight_ih x + bias_ih + weight_hh h + bias_hh.

    input      (T, B, input_size), with batch_first (B, T, input_size), without a batch (T, input_size), or a PackedSequence
    hx         (h0, c0), (layers * directions, B, size) each, zeros by default
    proj_size  the size of h, if it is projected by weight_hr; else it has hidden_size, as c
    Returns the h of the last layer at all steps, (T, B, directions * size), and the last (h, c) of all layers.

    >>> import autograd_gpu as ag
    >>> out, (h, c) = ag.nn.LSTM(3, 4, bidirectional=True)(ag.ones(5, 2, 3))
    >>> out.shape, h.shape, c.shape
    (Size([5, 2, 8]), Size([2, 2, 4]), Size([2, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        )


class GRU(RNNBase):
    """Layers of gated recurrent units (Cho et al. 2014) over a sequence: h = (1 - z) n + z h, with r and z the sigmoids of
    their parts of weight_ih x + bias_ih + q, q = weight_hh h + bias_hh, and n = tanh(its part of weight_ih x + bias_ih + r q).

    input    (T, B, input_size), with batch_first (B, T, input_size), without a batch (T, input_size), or a PackedSequence
    hx       (layers * directions, B, hidden_size), zeros by default
    Returns the states of the last layer at all steps, (T, B, directions * hidden_size), and the last states of all layers.

    >>> import autograd_gpu as ag
    >>> out, h = ag.nn.GRU(3, 4, batch_first=True)(ag.ones(2, 5, 3))
    >>> out.shape, h.shape
    (Size([2, 5, 4]), Size([1, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype
        )


# -- cells -------------------------------------------------------------------------------------------------------------------


class RNNCellBase(Module):
    """What the cells have in common: weights of `num_chunks` gates, uniform in +-1/sqrt(hidden_size) at first."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((gates, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(empty((gates, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(gates, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0.0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def _step(self, kind: str, input: Tensor, states: Any, count: int) -> list[Tensor]:
        """The states after a step; `states` are those before it, None for zeros."""
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        for k, s in enumerate(states or ()):
            if s.ndim not in (1, 2):
                what = f"hx[{k}]" if count > 1 else "hidden"
                raise ValueError(f"{name}: Expected {what} to be 1D or 2D, got {s.ndim}D instead")
        alone = input.ndim == 1
        if alone:
            input = input.unsqueeze(0)
        n = input.shape[0]
        if states is None:
            zero = zeros(n, self.hidden_size, dtype=input.dtype, device=input.device)
            states = [zero] * count
        elif alone:
            states = [s.unsqueeze(0) if s.ndim == 1 else s for s in states]
        self._check(input, states)
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, None)
        last = layer(kind, input, weights, states, (n,), False)[1:]
        return [s.squeeze(0) for s in last] if alone else list(last)

    def _check(self, input: Tensor, states: Any) -> None:
        if input.shape[1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {input.shape[1]}, expected {self.input_size}")
        for k, s in enumerate(states):
            if s.shape[0] != input.shape[0]:
                raise RuntimeError(f"Input batch size {input.shape[0]} doesn't match hidden{k or ''} batch size {s.shape[0]}")
            if s.shape[1] != self.hidden_size:
                raise RuntimeError(f"hidden{k or ''} has inconsistent hidden_size: got {s.shape[1]}, expected {self.hidden_size}")
        for t in (*states, self.weight_ih):
            if t.array.dtype != input.array.dtype and not is_cast(input):
                raise RuntimeError(f"{type(self).__name__}: expected tensors of one dtype, got {input.dtype} and {t.dtype}")


class RNNCell(RNNCellBase):
    """One step of an RNN: input (B, input_size) or (input_size), state (B, hidden_size), zeros by default.

    >>> import autograd_gpu as ag
    >>> ag.nn.RNNCell(3, 4)(ag.ones(2, 3)).shape
    Size([2, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(f"rnn_{self.nonlinearity}", input, None if hx is None else (hx,), 1)[0]


class LSTMCell(RNNCellBase):
    """One step of an LSTM: input (B, input_size) or (input_size), states (h, c), zeros by default. Returns the next (h, c).

    >>> import autograd_gpu as ag
    >>> h, c = ag.nn.LSTMCell(3, 4)(ag.ones(2, 3))
    >>> h.shape, c.shape
    (Size([2, 4]), Size([2, 4]))
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        h, c = self._step("lstm", input, hx, 2)
        return h, c


class GRUCell(RNNCellBase):
    """One step of a GRU: input (B, input_size) or (input_size), state (B, hidden_size), zeros by default.

    >>> import autograd_gpu as ag
    >>> ag.nn.GRUCell(3, 4)(ag.ones(2, 3)).shape
    Size([2, 4])
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step("gru", input, None if hx is None else (hx,), 1)[0]
