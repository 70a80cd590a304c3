"""Activation functions as modules: the smooth ones, and softmaxes. `rectifiers` has those that are linear in pieces."""

from __future__ import annotations

from ..core.graph import words
from ..core.tensor import Tensor
from ..ops.softmaxes import implicit_dim
from . import functional as F
from .module import Module
from .rectifiers import MayOverwrite

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "LogSigmoid", "LogSoftmax", "Mish", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmax2d",
    "Softmin", "Softplus", "Softsign", "Tanh", "Tanhshrink",
]  # fmt: skip


class Sigmoid(Module):
    """1 / (1 + exp(-x)).

    >>> import autograd_gpu as ag
    >>> ag.nn.Sigmoid()(ag.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        return words.sigmoid(input)


class LogSigmoid(Module):
    """log(sigmoid(x)).

    >>> import autograd_gpu as ag
    >>> ag.nn.LogSigmoid()(ag.tensor([0.0, -100.0]))
    tensor([  -0.6931, -100.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return words.logsigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent.

    >>> import autograd_gpu as ag
    >>> ag.nn.Tanh()(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        return words.tanh(input)


class Tanhshrink(Module):
    """x - tanh(x).

    >>> import autograd_gpu as ag
    >>> ag.nn.Tanhshrink()(ag.tensor([-1.0, 1.0]))
    tensor([-0.2384,  0.2384])
    """

    def forward(self, input: Tensor) -> Tensor:
        return words.tanhshrink(input)


class Softsign(Module):
    """x / (1 + |x|).

    >>> import autograd_gpu as ag
    >>> ag.nn.Softsign()(ag.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        return words.softsign(input)


class Softplus(Module):
    """log(1 + exp(beta * x)) / beta, and x where beta * x is above the threshold.

    >>> import autograd_gpu as ag
    >>> ag.nn.Softplus()(ag.tensor([0.0, 100.0]))
    tensor([  0.6931, 100.0000])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return words.softplus(input, beta=self.beta, threshold=self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class ELU(MayOverwrite):
    """x where it is positive, else alpha * (exp(x) - 1).

    >>> import autograd_gpu as ag
    >>> ag.nn.ELU()(ag.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)


class CELU(MayOverwrite):
    """x where it is positive, else alpha * (exp(x / alpha) - 1).

    >>> import autograd_gpu as ag
    >>> ag.nn.CELU(2.0)(ag.tensor([-1.0, 2.0]))
    tensor([-0.7869,  2.0000])
    """

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)


class SELU(MayOverwrite):
    """`ELU` scaled to keep mean and variance.

    >>> import autograd_gpu as ag
    >>> ag.nn.SELU()(ag.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class SiLU(MayOverwrite):
    """x * sigmoid(x).

    >>> import autograd_gpu as ag
    >>> ag.nn.SiLU()(ag.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, True) if self.inplace else words.silu(input)


class Mish(MayOverwrite):
    """x * tanh(softplus(x)).

    >>> import autograd_gpu as ag
    >>> ag.nn.Mish()(ag.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, True) if self.inplace else words.mish(input)


class GELU(Module):
    """x times the normal distribution function of x; approximate="tanh" for the cheaper form.

    >>> import autograd_gpu as ag
    >>> ag.nn.GELU()(ag.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """

    def __init__(self, approximate: str = "none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return words.gelu(input) if self.approximate == "none" else F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class GLU(Module):
    """The first half of the input along `dim` times the sigmoid of the second.

    >>> import autograd_gpu as ag
    >>> ag.nn.GLU()(ag.tensor([1.0, 2.0, 0.0, 100.0]))
    tensor([0.5000, 2.0000])
    """

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


# -- softmaxes -----------------------------------------------------------------------------------------------------------


class _AlongDimension(Module):
    """A function along a dimension. Without one, PyTorch's old choice is taken, with its warning."""

    _function = ""

    def __init__(self, dim: int | None = None):
        super().__init__()
        self.dim = dim

    def _dim(self, input: Tensor) -> int:
        return self.dim if self.dim is not None else implicit_dim(self._function, input, 4)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongDimension):
    """exp(x), divided by its sum over the dimension `dim`.

    >>> import autograd_gpu as ag
    >>> ag.nn.Softmax(dim=0)(ag.tensor([0.0, 0.0]))
    tensor([0.5000, 0.5000])
    """

    _function = "softmax"

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self._dim(input))


class Softmin(_AlongDimension):
    """The softmax of -x over the dimension `dim`.

    >>> import autograd_gpu as ag
    >>> ag.nn.Softmin(dim=0)(ag.tensor([0.0, 1.0]))
    tensor([0.7311, 0.2689])
    """

    _function = "softmin"

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self._dim(input))


class LogSoftmax(_AlongDimension):
    """The logarithm of softmax over the dimension `dim`.

    >>> import autograd_gpu as ag
    >>> ag.nn.LogSoftmax(dim=0)(ag.tensor([0.0, 0.0]))
    tensor([-0.6931, -0.6931])
    """

    _function = "log_softmax"

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self._dim(input))


class Softmax2d(Module):
    """The softmax over the channels of (N, C, H, W) or (C, H, W).

    >>> import autograd_gpu as ag
    >>> ag.nn.Softmax2d()(ag.zeros(2, 1, 1)).tolist()
    [[[0.5]], [[0.5]]]
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3)
