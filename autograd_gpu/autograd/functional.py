"""torch.autograd.functional: Jacobians, Hessians and their products with vectors, of functions instead of graphs.

>>> import autograd_gpu as ag
>>> ag.autograd.functional.jacobian(lambda x: x * x, ag.tensor([1.0, 2.0]))
tensor([[2., 0.],
        [0., 4.]])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.tensor import Tensor
from ..ops.create import ones_like, zeros_like
from ..ops.join import stack
from . import enable_grad, grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Given = Tensor | tuple[Tensor, ...]


def _tuple(x: Any, what: str, of: str) -> tuple[tuple[Tensor, ...], bool]:
    """(the tensors, whether they came as a tuple)."""
    many = isinstance(x, (tuple, list))
    tensors = tuple(x) if many else (x,)
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            where = f"The value at index {i} of the {what}" if many else f"The {what}"
            raise TypeError(f"{where} {of} must be either a Tensor or a tuple of Tensors but got {type(t).__name__}")
    return tensors, many


def _leaves(inputs: tuple[Tensor, ...], create: bool) -> tuple[Tensor, ...]:
    """Tensors to differentiate by: of the graph that the inputs come from if the result is to be differentiated."""
    return tuple(x.view_as(x) if create and x.requires_grad else x.detach().requires_grad_() for x in inputs)


def _call(func: Callable, inputs: tuple[Tensor, ...], name: str) -> tuple[tuple[Tensor, ...], bool]:
    return _tuple(func(*inputs), f"outputs of the user-provided function given to {name}", "")


def _grads(
    outputs: Any, inputs: tuple[Tensor, ...], weights: Any, create: bool, strict: bool, what: str, retain: bool = True
) -> tuple[Tensor, ...]:
    """The gradients, zeros where there are none, which is an error if `strict`."""
    places = [i for i, t in enumerate(outputs) if t.requires_grad]
    found: tuple[Any, ...] = (None,) * len(inputs)
    if places:
        found = grad([outputs[i] for i in places], inputs, [weights[i] for i in places], retain, create, allow_unused=True)
    if strict and any(g is None for g in found):
        i = next(i for i, g in enumerate(found) if g is None)
        raise RuntimeError(f"{what} is independent of input {i}. This is not allowed in strict mode.")
    return tuple(zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True))


def _given(x: Any, many: bool, create: bool) -> Any:
    """A result in the form of what was given: a tuple, or the one tensor; cut off unless it is to be differentiated."""
    done = tuple(t if create else t.detach() for t in x)
    return done if many else done[0]


def _vector(v: Any, like: tuple[Tensor, ...], what: str) -> tuple[Tensor, ...]:
    """The vectors of a product, which must have the shapes of `like`."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"The vector v can only be None if {what}.")
        return (ones_like(like[0]),)
    vectors = _tuple(v, "v", "vector")[0]
    if len(vectors) != len(like):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(vectors)}.")
    for i, (a, b) in enumerate(zip(vectors, like, strict=True)):
        if a.shape != b.shape:
            raise RuntimeError(f"Entry {i} of v has invalid size: should be {b.shape} but got {a.shape}.")
    return vectors


def vjp(func: Callable, inputs: Given, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), vector times Jacobian), the vector being as the outputs.

    >>> import autograd_gpu as ag
    >>> ag.autograd.functional.vjp(lambda x: x.exp(), ag.zeros(2), ag.tensor([1.0, 2.0]))
    (tensor([1., 1.]), tensor([1., 2.]))
    """
    with enable_grad():
        given, many = _tuple(inputs, "inputs", "given to vjp")
        leaves = _leaves(given, create_graph)
        outputs, several = _call(func, leaves, "vjp")
        vectors = _vector(v, outputs, "the user-provided function returns a single Tensor with a single element")
        found = _grads(outputs, leaves, vectors, create_graph, strict, "The output of the user-provided function")
    return _given(outputs, several, create_graph), _given(found, many, create_graph)


def jvp(func: Callable, inputs: Given, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), Jacobian times vector), the vector being as the inputs: by differentiating vjp, linear in its vector.

    >>> import autograd_gpu as ag
    >>> ag.autograd.functional.jvp(lambda x: x * x, ag.tensor([1.0, 2.0]), ag.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    with enable_grad():
        given, _ = _tuple(inputs, "inputs", "given to jvp")
        vectors = _vector(v, given, "the input to the user-provided function is a single Tensor with a single element")
        leaves = _leaves(given, create_graph)
        outputs, several = _call(func, leaves, "jvp")
        dual = tuple(zeros_like(t).requires_grad_() for t in outputs)
        pulled = _grads(outputs, leaves, dual, True, strict, "The output of the user-provided function")
        found = _grads(pulled, dual, vectors, create_graph, False, "")
    return _given(outputs, several, create_graph), _given(found, several, create_graph)


def jacobian(
    func: Callable,
    inputs: Given,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The derivative of each element of func's outputs by each of the inputs: of the shape of the output followed by that of the
    input; a tuple for each output, input or both if there are tuples of them. One backward an element, also with `vectorize`.

    >>> import autograd_gpu as ag
    >>> a, b = ag.autograd.functional.jacobian(lambda a, b: a * b, (ag.tensor([1.0, 2.0]), ag.tensor(3.0)))
    >>> a, b
    (tensor([[3., 0.],
            [0., 3.]]), tensor([1., 2.]))
    """
    if strategy != "reverse-mode":
        raise NotImplementedError(f"strategy={strategy!r} is not supported: the only one here is 'reverse-mode'")
    with enable_grad():
        given, many = _tuple(inputs, "inputs", "given to jacobian")
        leaves = _leaves(given, create_graph)
        outputs, several = _call(func, leaves, "jacobian")
        rows = []
        for i, out in enumerate(outputs):
            if strict and not out.requires_grad:
                raise RuntimeError(
                    f"Output {i} of the user-provided function does not require gradients. The outputs must be computed in a "
                    "differentiable manner from the input when running in strict mode."
                )
            found = []
            for j in range(out.numel()):
                weight = out.new_zeros(out.numel())
                weight[j] = 1
                what = f"Output {i} of the user-provided function"
                found.append(_grads([out], leaves, [weight.reshape(out.shape)], create_graph, strict, what))
            row = []
            for k, x in enumerate(leaves):
                shape = (*out.shape, *x.shape)
                row.append(stack([g[k] for g in found]).reshape(shape) if found else x.new_zeros(shape))
            rows.append(_given(row, many, create_graph))
    return tuple(rows) if several else rows[0]


def _scalar(func: Callable, inputs: tuple[Tensor, ...], name: str) -> Tensor:
    outputs, several = _call(func, inputs, name)
    if several or outputs[0].numel() != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")
    return outputs[0].reshape(())


def hessian(
    func: Callable,
    inputs: Given,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function of one number: the Jacobian of its gradient; for a tuple of inputs, a tuple of tuples.

    >>> import autograd_gpu as ag
    >>> ag.autograd.functional.hessian(lambda x: (x**3).sum(), ag.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    many = isinstance(inputs, (tuple, list))

    def gradient(*xs: Tensor) -> Any:
        out = _scalar(func, xs, "hessian")
        found = _grads([out], xs, [ones_like(out)], True, strict, "The output of the user-provided function")
        return found if many else found[0]

    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def vhp(func: Callable, inputs: Given, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), vector times Hessian) of a function of one number, the vector being as the inputs.

    >>> import autograd_gpu as ag
    >>> ag.autograd.functional.vhp(lambda x: (x**3).sum(), ag.tensor([1.0, 2.0]), ag.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with enable_grad():
        given, many = _tuple(inputs, "inputs", "given to vhp")
        vectors = _vector(v, given, "the input to the user-provided function is a single Tensor with a single element")
        leaves = _leaves(given, create_graph)
        out = _scalar(func, leaves, "vhp")
        first = _grads([out], leaves, [ones_like(out)], True, strict, "The output of the user-provided function")
        found = _grads(first, leaves, vectors, create_graph, strict, "The gradient of the user-provided function")
    return _given((out,), False, create_graph), _given(found, many, create_graph)


def hvp(func: Callable, inputs: Given, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), Hessian times vector): `vhp`, for the Hessian of a function that has second derivatives is symmetric.

    >>> import autograd_gpu as ag
    >>> ag.autograd.functional.hvp(lambda x: (x**3).sum(), ag.tensor([1.0, 2.0]), ag.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return vhp(func, inputs, v, create_graph, strict)
