"""Tensor: an array and the node that made it. No maths: `ops.methods` adds PyTorch's methods."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from .. import backend
from ..backend.promotion import default_dtype
from .graph import Hooked, HookedLeaf, Leaf, Node, written
from .interop import Interop

RETAIN = "retain_grad"  # the place of that hook among a node's


class Tensor(Interop):
    """An n-dimensional array that remembers how it was computed. Made by `tensor`, `zeros`, `randn` and the like.

    `array` is the array itself, numpy.ndarray on a CPU, cupy.ndarray on a GPU; writing into it is seen by no check. `data` is, as
    in PyTorch, a Tensor of the same elements without a graph.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    # array and node are always set. The others are set only on the few tensors that need them and are otherwise
    # absent, because every slot that is filled costs each op 10 ns:
    #   base   (Tensor, chain of view ops)   on a view: what it is a view of, and how to get from there to here
    #   views  weak references to the views of this tensor
    #   kept   the gradient of a tensor that is not a leaf (retain_grad), or of one that no longer requires it
    __slots__ = ("array", "node", "base", "views", "kept", "__weakref__")

    __array_priority__ = 1000

    def __init__(self, array: Any = (), node: Node | None = None, *sizes: int):
        kind = array.__class__
        if kind is not np.ndarray and kind in OLD:
            array, node = old(array, node, sizes)
        self.array = array
        self.node = node

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return Size(self.array.shape)

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    @property
    def device(self) -> backend.Device:
        """Where the elements lie."""
        return backend.device_of(self.array)

    @property
    def is_cpu(self) -> bool:
        """Whether the elements lie in the computer's memory."""
        return self.device.type == "cpu"

    @property
    def is_cuda(self) -> bool:
        """Whether the elements lie on a CUDA device."""
        return self.device.type == "cuda"

    @property
    def is_meta(self) -> bool:
        """Whether there are no elements, only a shape and a dtype."""
        return self.device.type == "meta"

    is_sparse = is_quantized = is_nested = False  # kinds of tensors that this package does not have

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.array.nbytes

    @property
    def data(self) -> Tensor:
        """The same elements, without a graph. Assigning a tensor gives this one its elements in place of its own.

        >>> import autograd_gpu as ag
        >>> w = ag.tensor([1.0], requires_grad=True)
        >>> w.data -= 0.5
        >>> w
        tensor([0.5000], requires_grad=True)
        """
        return Tensor(self.array)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data can only be set to a Tensor, not to {type(value).__name__}: wrap it with as_tensor")
        self.array = value.array

    # -- its place in the graph ----------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Make this a leaf that collects a gradient, or stop it. Only floating point tensors can.

        Raises RuntimeError for other dtypes, and for False on a tensor that an op computed (use `detach`)."""
        if requires_grad:
            if self.node is None:
                if self.array.dtype.kind == "c":
                    raise RuntimeError(
                        "complex tensors cannot require gradients: autograd_gpu differentiates floating point numbers only; keep "
                        "real and imaginary parts as two tensors"
                    )
                if self.array.dtype.kind not in "fV":
                    raise RuntimeError(
                        f"only Tensors of floating point and complex dtype can require gradients, and this one is "
                        f"{self.array.dtype}: convert it first, as in x.float()"
                    )
                grad = self.grad
                if grad is not None:
                    self.kept = None
                self.node = Leaf(self)
                self.node.grad = grad
        elif self.node is not None:
            if not isinstance(self.node, Leaf):
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables: this tensor was computed by "
                    f"{self.node.name()}; use x.detach() to get one that does not require grad"
                )
            self.kept = self.node.grad
            self.node = None
        return self

    @property
    def is_leaf(self) -> bool:
        """True if no recorded op made this tensor."""
        return self.node is None or isinstance(self.node, Leaf)

    @property
    def grad_fn(self) -> Node | None:
        """The node that made this tensor, None for leaves."""
        return None if self.is_leaf else self.node

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward has accumulated here, or None. Kept for leaves, and where `retain_grad` asked."""
        if isinstance(self.node, Leaf):
            return self.node.grad
        return getattr(self, "kept", None)

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"assigned grad has to be a Tensor or None, not {type(value).__name__}")
            if value.array.shape != self.array.shape:
                raise RuntimeError(
                    f"assigned grad has data of a different size: {list(value.shape)} where the tensor is {list(self.shape)}"
                )
            if value.array.dtype != self.array.dtype:
                raise RuntimeError(f"assigned grad has dtype {value.dtype} where the tensor has {self.dtype}")
            if not backend.together(value.array, self.array):
                raise RuntimeError(
                    f"attempting to assign a gradient with device '{value.device}' to a tensor with device '{self.device}'. "
                    "Please ensure that the gradient and the tensor are on the same device"
                )
        if isinstance(self.node, Leaf):
            self.node.grad = value
        else:
            self.kept = value

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

    def retain_grad(self) -> None:
        """Keep the gradient of this computed tensor in `.grad` when backward passes it. Nothing to do for leaves."""
        if self.node is None:
            raise RuntimeError("can't retain_grad on a Tensor that has requires_grad=False")
        if self.is_leaf or self.retains_grad:
            return
        self.kept = getattr(self, "kept", None)
        me = weakref.ref(self)

        def keep(g: Tensor) -> None:
            tensor = me()
            if tensor is not None:
                tensor.kept = g.clone() if tensor.kept is None else tensor.kept + g

        self.register_hook(keep, RETAIN)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on this computed tensor."""
        node = self.node
        return not self.is_leaf and node.__class__ is not Node and bool(node.hooks) and RETAIN in node.hooks

    def register_hook(self, hook: Any, key: Any = None) -> Handle:
        """Call `hook(grad)` when the gradient of this tensor is known; what it returns, if not None, replaces it."""
        node = self.node
        if node is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if node.__class__ is Leaf:
            node.__class__ = HookedLeaf
        if node.__class__ is Node:
            node.__class__ = Hooked
            node.hooks = Hooks(self.array.dtype)
        elif node.hooks is None:
            node.hooks = Hooks(self.array.dtype)
        handle = Handle(node.hooks, hook, key)
        if RETAIN in node.hooks:  # comes last, whatever was registered after it
            node.hooks[RETAIN] = node.hooks.pop(RETAIN)
        return handle

    def register_post_accumulate_grad_hook(self, hook: Any) -> Handle:
        """Call `hook(tensor)` after backward has accumulated a gradient in this leaf."""
        if not isinstance(self.node, Leaf):
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        if self.node.after is None:
            self.node.__class__ = HookedLeaf
            self.node.after = {}
        me = weakref.ref(self)
        return Handle(self.node.after, lambda: hook(me()) if me() is not None else None)

    def detach(self) -> Tensor:
        """The same elements, cut off from the graph. Shares memory and version."""
        return Tensor(self.array)

    def detach_(self) -> Tensor:
        """Cut this tensor off from the graph that made it."""
        if hasattr(self, "base"):
            raise RuntimeError("can't detach views in-place: use detach() instead")
        if isinstance(self.node, Leaf):
            self.kept = self.node.grad
        self.node = None
        return self

    @property
    def _version(self) -> int:
        """How often the elements were written in place."""
        write = written(self.array)
        return 0 if write is None else write.count

    @property
    def _base(self) -> Tensor | None:
        """The tensor that this is a view of, or None."""
        found = getattr(self, "base", None)
        return None if found is None else found[0]


class Size(tuple):
    """A shape: a tuple of ints that prints and counts as PyTorch's does."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements: the product of the sizes."""
        n = 1
        for size in self:
            n *= size
        return n

    def __repr__(self) -> str:
        return f"Size({list(self)})"

    def __getitem__(self, key: Any) -> Any:
        item = tuple.__getitem__(self, key)
        return Size(item) if isinstance(key, slice) else item

    def __add__(self, other: Any) -> Size:
        return Size(tuple.__add__(self, tuple(other)))


OLD = frozenset({list, tuple, int, float, Size, Tensor})  # what PyTorch's old constructor is called with


def old(data: Any, node: Any, sizes: tuple) -> tuple[Any, None]:
    """(array, no node) of `Tensor(2, 3)`, which has that shape and any elements, of `Tensor([1, 2])` and `Tensor(x)`."""
    kind = data.__class__
    if kind is float:
        raise TypeError(
            "Tensor(): data must be a sequence (got float): make tensors with tensor(1.5), or empty(2, 3) for a shape"
        )
    shape = data if kind is Size else (data, *(() if node is None else (node,)), *sizes) if kind is int else None
    if shape is None:
        if node is not None:
            raise TypeError(f"Tensor() takes the sizes as ints or one sequence of elements, not a {kind.__name__} and more")
        return data.array if kind is Tensor else np.asarray(data, default_dtype[0]), None
    if any(n < 0 for n in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    return np.empty(shape, default_dtype[0]), None


class Hooks(dict):
    """The hooks on the gradient of a tensor, which they are given in the tensor's dtype."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype


class Handle:
    """What registering a hook returns: `remove()` takes the hook away again."""

    __slots__ = ("_hooks", "_key")

    def __init__(self, hooks: dict, hook: Any, key: Any = None):
        self._hooks = hooks
        self._key = object() if key is None else key
        hooks[self._key] = hook

    def remove(self) -> None:
        """Take the hook away. Doing so twice is harmless."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.remove()
