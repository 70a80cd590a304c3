"""autograd.Function: an op of one's own, written over Tensors with a backward beside its forward."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .backend import of
from .backend.promotion import category
from .core.graph import NO_GRAD, Fan, Node, mode, outside, set_mode, tick, touch, words
from .core.inplace import note_custom_view, rebase, refuse_unwritable
from .core.tensor import Tensor


class Context:
    """What forward hands to backward: `save_for_backward(*tensors)`, any attributes, and `needs_input_grad`."""

    def __init__(self, needs_input_grad: tuple[bool, ...]):
        self.needs_input_grad = needs_input_grad
        self.saved_tensors: tuple[Tensor | None, ...] = ()
        self._silent: tuple[Tensor, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._materialize = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs for backward, where they are in `saved_tensors`; what was overwritten since is an error."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_backward can only save tensors, but argument {i} is of type {type(t).__name__}")
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say which outputs have no gradient."""
        self._silent = outputs

    def mark_dirty(self, *inputs: Tensor) -> None:
        """Say which inputs forward wrote into, and returns."""
        self._dirty = inputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether an output without a gradient gets zeros (the default) or None in backward."""
        self._materialize = value


class _Plan:
    """Takes the place of a core.op.Plan at the node of one call of a Function."""

    rule = None

    def __init__(self, op: type[Function], ctx: Context, xp: Any, inputs: Sequence[Any]):
        self.op, self.ctx, self.xp = _Named(op.__name__), ctx, xp
        self.backward = op.backward
        self.needed = [i for i, needs in enumerate(ctx.needs_input_grad) if needs]
        self.count = len(inputs)
        self.like = [(inputs[i].array.shape, inputs[i].array.dtype) for i in self.needed]
        self.sources: list[tuple[str, Any]] = []
        self.names: list[str] = []
        self.makers: list[Any] = []  # the nodes of what was saved, but for outputs: backward may differentiate by them

    def save(self, inputs: Sequence[Any], outputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The arrays of ctx.saved_tensors, noting where each came from so that it can be put back in its place."""
        arrays = []
        for k, t in enumerate(self.ctx.saved_tensors):
            inside = next((i for i, x in enumerate(inputs) if x is t), None)
            out = next((i for i, y in enumerate(outputs) if y is t), None)
            if out is not None:
                self.sources.append(("output", out))
            elif inside is not None:
                self.sources.append(("input", inside))
            else:
                self.sources.append(("node", None if t is None else t.node))
            self.names.append(f"saved tensor {k}")
            self.makers.append(None if t is None or out is not None else t.node)
            arrays.append(None if t is None else t.array)
        self.ctx.saved_tensors = ()
        return tuple(arrays)

    def array_places(self, saved: Sequence[Any]) -> list[int]:
        return list(range(len(saved)))

    def as_tensors(self, node: Node) -> list[Any]:
        edges = dict(zip(self.needed, node.edges, strict=True))
        tensors: list[Any] = []
        for array, (kind, which) in zip(node.saved, self.sources, strict=True):
            made_by: Any = which if kind == "node" else None
            if kind == "input":
                made_by = edges.get(which)
            elif kind == "output" and category(array.dtype) >= 2:
                made_by = node.output(which) if isinstance(node, Fan) else node
            tensors.append(None if array is None else Tensor(array, made_by))
        return tensors

    def pull(self, xp: Any, g: Any, *saved: Any) -> list[Any]:
        recording = xp is words
        gs = g if g.__class__ is list else [g]
        if not recording:
            gs = [x if x is None else Tensor(_own(xp.asarray(x))) for x in gs]
            saved = tuple(x if x is None else Tensor(x, made_by) for x, made_by in zip(saved, self.makers, strict=True))
        self.ctx.saved_tensors = saved
        before = mode.state if recording else set_mode(mode.state | NO_GRAD)
        try:
            grads = self.backward(self.ctx, *gs)
        finally:
            set_mode(before)
            self.ctx.saved_tensors = ()
        grads = grads if isinstance(grads, (tuple, list)) else (grads,)
        while len(grads) > self.count and grads[-1] is None:
            grads = grads[:-1]
        if len(grads) != self.count:
            raise RuntimeError(
                f"function {self.op.name}Backward returned an incorrect number of gradients (expected {self.count}, got "
                f"{len(grads)})"
            )
        return [self._fitted(grads[i], *like, i, recording) for i, like in zip(self.needed, self.like, strict=True)]

    def _fitted(self, grad: Any, shape: tuple[int, ...], dtype: Any, i: int, recording: bool) -> Any:
        if grad is None:
            return None
        if not isinstance(grad, Tensor):
            raise TypeError(
                f"Function {self.op.name}Backward returned an invalid gradient at index {i}: expected Tensor or None, got "
                f"{type(grad).__name__}"
            )
        if grad.array.shape != shape:
            try:
                grad = words.sum_to(grad, shape=shape)
            except (ValueError, RuntimeError, IndexError):
                raise RuntimeError(
                    f"Function {self.op.name}Backward returned an invalid gradient at index {i} - got {list(grad.array.shape)} "
                    f"but expected shape compatible with {list(shape)}"
                ) from None
        if grad.array.dtype != dtype:
            grad = words.astype(grad, dtype=dtype)
        return grad if recording else grad.array

    def pull_only(self, xp: Any, g: Any, saved: Sequence[Any], wanted: Sequence[bool]) -> list[Any]:
        return [grad if want else None for grad, want in zip(self.pull(xp, g, *saved), wanted, strict=True)]


def _own(g: Any) -> Any:
    """A gradient that the user may write into."""
    return g if getattr(g.flags, "writeable", True) else g.copy()


class _Named:
    def __init__(self, name: str):
        self.name = name


class Function:
    """An op of one's own: subclass it with static methods `forward(ctx, *args)` and `backward(ctx, *grads)`, call `apply`.

    backward gets a gradient for each output and returns one for each argument of forward (None for those that are no tensors).
    It is written with Tensor ops, so it can be differentiated again. In the other style forward takes no ctx and
    `setup_context(ctx, inputs, output)` saves.

    >>> import autograd_gpu as ag
    >>> class Exp(ag.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         y = x.exp()
    ...         ctx.save_for_backward(y)
    ...         return y
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (y,) = ctx.saved_tensors
    ...         return g * y
    >>> x = ag.tensor([0.0], requires_grad=True)
    >>> Exp.apply(x).backward()
    >>> x.grad
    tensor([1.])
    """

    setup_context: Callable | None = None

    @staticmethod
    def forward(*args: Any, **kw: Any) -> Any:
        """What the op computes."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """The gradients of the inputs from those of the outputs."""
        raise NotImplementedError(
            "You must implement the backward method for your custom autograd.Function to use it with backward"
        )

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Call the op."""
        needs = tuple(isinstance(a, Tensor) and a.node is not None for a in args)
        ctx = Context(needs)
        recording = any(needs) and not mode.state & NO_GRAD
        before = set_mode(mode.state | NO_GRAD)
        try:
            if cls.setup_context is None:
                result = cls.forward(ctx, *args)
            else:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
        finally:
            set_mode(before)
        several = isinstance(result, (tuple, list))
        returned = tuple(result) if several else (result,)
        # an input handed through is a tensor of its own, unless forward wrote into it
        outputs = tuple(
            Tensor(y.array) if isinstance(y, Tensor) and any(y is a for a in args) and not any(y is d for d in ctx._dirty) else y
            for y in returned
        )
        for x in ctx._dirty:
            if not mode.state & NO_GRAD:
                refuse_unwritable(x)
            if not any(x is y for y in returned):
                raise RuntimeError(
                    f"Some elements marked as dirty during the forward method of {cls.__name__} were not returned as output. The "
                    "inputs that are modified inplace must all be outputs of the Function."
                )
            touch(x.array, cls.__name__)
        if recording:
            _record(cls, ctx, args, returned, outputs)
        return outputs if several else outputs[0]


def _record(cls: type[Function], ctx: Context, args: tuple, returned: tuple, outputs: tuple) -> None:
    carriers = [
        isinstance(y, Tensor) and category(y.array.dtype) >= 2 and not any(r is s for s in ctx._silent)
        for y, r in zip(outputs, returned, strict=True)
    ]
    if not any(carriers):
        return
    first = next(a for a in args if isinstance(a, Tensor))
    plan = _Plan(cls, ctx, of(first.array.__class__), args)
    node = object.__new__(Node if len(outputs) == 1 else Fan)
    node.plan = plan
    node.edges = tuple(args[i].node for i in plan.needed)
    node.saved = plan.save(args, returned)
    node.number = tick()
    node.shapes = None
    frame = outside(sys._getframe(2))
    node.code, node.at = frame.f_code, frame.f_lasti
    if isinstance(node, Fan):
        node.made = {}
        node.outs = [(y.array.shape, y.array.dtype) if isinstance(y, Tensor) and ctx._materialize else None for y in outputs]
    for k, (y, carries) in enumerate(zip(outputs, carriers, strict=True)):
        if carries:
            made_by = node.output(k) if isinstance(node, Fan) else node
            if any(y is d for d in ctx._dirty):
                rebase(y, made_by)
            else:
                y.node = made_by
                note_custom_view(y, args)


def once_differentiable(backward: Callable) -> Callable:
    """Decorate a Function's backward that must not be differentiated again: doing so raises RuntimeError.

    >>> import autograd_gpu as ag
    >>> class Double(ag.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     @ag.autograd.once_differentiable
    ...     def backward(ctx, g):
    ...         return g * 2
    >>> x = ag.tensor([3.0], requires_grad=True)
    >>> (g,) = ag.autograd.grad(Double.apply(x) * x, x, create_graph=True)
    >>> g.backward()
    Traceback (most recent call last):
    RuntimeError: trying to differentiate twice a function that was marked with @once_differentiable
    """

    @functools.wraps(backward)
    def wrapper(ctx: Context, *grads: Any) -> Any:
        recording = not mode.state & NO_GRAD
        before = set_mode(mode.state | NO_GRAD)
        try:
            found = backward(ctx, *grads)
        finally:
            set_mode(before)
        if not recording:
            return found
        several = isinstance(found, (tuple, list))
        made = tuple(_Refusing.apply(g, *grads) if isinstance(g, Tensor) else g for g in (found if several else (found,)))
        return made if several else made[0]

    return wrapper


class _Refusing(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, *others: Any) -> Tensor:
        return x

    @staticmethod
    def backward(ctx: Context, *grads: Any) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
