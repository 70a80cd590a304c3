"""Parameters: tensors that a module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from ..ops.create import empty


class Parameter(Tensor):
    """A Tensor that a Module counts among its parameters. Shares memory with `data`.

    >>> import autograd_gpu as ag
    >>> ag.nn.Parameter(ag.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    def __init__(self, data: Any = None, requires_grad: bool = True):
        if data is None:
            data = empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter() takes a Tensor, not {type(data).__name__}: wrap it with autograd_gpu.tensor")
        super().__init__(data.array)
        if requires_grad:
            self.requires_grad_()

    def __repr__(self) -> str:
        return "Parameter containing:\n" + Tensor.__repr__(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """A parameter with a memory of its own; unlike a Tensor's copy, and as in PyTorch, without the gradient."""
        if id(self) not in memo:
            memo[id(self)] = type(self)(Tensor(self.array.copy("K")), self.requires_grad)
        return memo[id(self)]


class Buffer(Tensor):
    """A Tensor that a Module counts among its buffers when it is assigned to an attribute: moved and, if `persistent`, saved with
    the module, but not trained. Shares memory with `data`.

    >>> import autograd_gpu as ag
    >>> module = ag.nn.Module()
    >>> module.mean = ag.nn.Buffer(ag.zeros(2))
    >>> module.state_dict()
    OrderedDict([('mean', tensor([0., 0.]))])
    """

    def __init__(self, data: Any = None, *, persistent: bool = True):
        if data is not None and not isinstance(data, Tensor):
            raise TypeError(f"Buffer() takes a Tensor, not {type(data).__name__}: wrap it with autograd_gpu.tensor")
        super().__init__(empty(0).array if data is None else data.array)
        self.persistent = persistent
