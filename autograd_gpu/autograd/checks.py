"""torch.autograd.gradcheck: gradients against central differences, element by element."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import backend
from ..core.tensor import Tensor
from ..testing import check_grads
from . import enable_grad, grad, no_grad

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """What `gradcheck` and `gradgradcheck` raise for gradients that are wrong.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([1.0], dtype=ag.float64, requires_grad=True)
    >>> ag.autograd.gradcheck(lambda x: x.detach() * x, x)
    Traceback (most recent call last):
    autograd_gpu.autograd.checks.GradcheckError: Jacobian mismatch for output 0 with respect to input 0,
    numerical:[[2.]]
    analytical:[[1.]]
    """


def _host(x: Tensor) -> np.ndarray:
    return backend.of(x.array.__class__).to_host(x.array)


def _there(array: np.ndarray, like: Tensor) -> Tensor:
    """The elements as a tensor of the dtype, and on the device, of another."""
    return Tensor(backend.move(np.asarray(array, like.dtype), like.device))


def _outputs(result: Any) -> list[Tensor]:
    found = result if isinstance(result, (tuple, list)) else [result]
    return [t for t in found if isinstance(t, Tensor) and t.dtype.kind in "fV"]


def _numerical(func: Callable, args: list[Any], i: int, eps: float) -> list[np.ndarray]:
    """The Jacobian of each output by args[i], (elements of the input, elements of the output), by central differences."""
    x = _host(args[i]).astype(np.float64)
    rows: list[list[np.ndarray]] = []
    for index in np.ndindex(x.shape):
        ends = []
        for step in (eps, -eps):
            moved = x.copy()
            moved[index] += step
            given = [*args[:i], _there(moved, args[i]).requires_grad_(), *args[i + 1 :]]
            ends.append([_host(t).astype(np.float64).ravel() for t in _outputs(func(*given))])
        rows.append([(a - b) / (2 * eps) for a, b in zip(*ends, strict=True)])
    return [np.array(columns) for columns in zip(*rows, strict=True)]


def _analytical(outputs: list[Tensor], inputs: list[Tensor]) -> list[list[np.ndarray]]:
    """The same for each output and input, by backward."""
    found = []
    for out in outputs:
        jacobians = [np.zeros((x.numel(), out.numel())) for x in inputs]
        for j in range(out.numel() if out.requires_grad else 0):
            weight = np.zeros(out.numel())
            weight[j] = 1
            grads = grad(out, inputs, _there(weight.reshape(out.shape), out), retain_graph=True, allow_unused=True)
            for jacobian, g in zip(jacobians, grads, strict=True):
                if g is not None:
                    jacobian[:, j] = _host(g).ravel()
        found.append(jacobians)
    return found


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the Jacobians of `func(*inputs)` by the inputs that require grad are, by backward, what central differences give,
    and the same when asked twice. The inputs should be float64. With `fast_mode` one random direction is compared instead of
    every element: see `testing.check_grads`.

    Raises GradcheckError, with both Jacobians, or returns False without `raise_exception`.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([0.5, 1.5], dtype=ag.float64, requires_grad=True)
    >>> ag.autograd.gradcheck(lambda x: x.sin() * x, x)
    True
    """
    for name, asked in (
        ("check_batched_grad", check_batched_grad),
        ("check_batched_forward_grad", check_batched_forward_grad),
        ("check_forward_ad", check_forward_ad),
    ):
        if asked:
            raise NotImplementedError(f"{name} is not supported: gradients are computed backward and one at a time here")
    args = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    places = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
    if not places:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True."
        )
    for i in places:
        if args[i].dtype != np.float64:
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex. This check will likely "
                "fail if all the inputs are not of double precision floating point or complex. ",
                stacklevel=2,
            )
    try:
        if fast_mode:
            check_grads(func, args, 1, eps=eps, rtol=rtol, atol=atol)
        else:
            _compare(func, args, places, eps, atol, rtol, nondet_tol)
    except (GradcheckError, AssertionError) as error:
        if not raise_exception:
            return False
        raise error if isinstance(error, GradcheckError) else GradcheckError(str(error)) from None
    return True


def _compare(func: Callable, args: list, places: list[int], eps: float, atol: float, rtol: float, nondet_tol: float) -> None:
    leaves = {i: args[i].detach().clone().requires_grad_() for i in places}
    args = [leaves.get(i, x) for i, x in enumerate(args)]
    with enable_grad():
        outputs = _outputs(func(*args))
        analytical = _analytical(outputs, list(leaves.values()))
        again = _analytical(outputs, list(leaves.values()))
    for n, i in enumerate(places):
        numerical = _numerical(func, args, i, eps)
        for o, numbers in enumerate(numerical):
            exact = analytical[o][n]
            if not np.allclose(exact, numbers, rtol, atol, equal_nan=True):
                raise GradcheckError(
                    f"Jacobian mismatch for output {o} with respect to input {i},\nnumerical:{numbers}\nanalytical:{exact}\n"
                )
            if not np.allclose(exact, again[o][n], 0, nondet_tol, equal_nan=True):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
                    f"different values, although analytical gradient matches numerical gradient. The tolerance for "
                    f"nondeterminism was {nondet_tol}."
                )


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """`gradcheck` of the gradients of `func`: by its inputs, and by `grad_outputs`, which are random unless they are given.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([0.5, 1.5], dtype=ag.float64, requires_grad=True)
    >>> ag.autograd.gradgradcheck(lambda x: x.sin() * x, x)
    True
    """
    if check_fwd_over_rev:
        raise NotImplementedError("check_fwd_over_rev is not supported: gradients are computed backward here")
    args = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if grad_outputs is None:
        with no_grad():
            outputs = _outputs(func(*args))
        rng = np.random.default_rng(0)
        weights = [_there(rng.uniform(-1, 1, tuple(t.shape)), t).requires_grad_() for t in outputs]
    else:
        weights = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    count = len(args)
    places = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]

    def gradients(*given: Any) -> tuple[Tensor, ...]:
        outputs, cotangents = _outputs(func(*given[:count])), given[count:]
        recorded = [(t, w) for t, w in zip(outputs, cotangents, strict=True) if t.requires_grad]
        with enable_grad():
            found = grad(
                [t for t, _ in recorded],
                [given[i] for i in places],
                [w for _, w in recorded],
                create_graph=True,
                allow_unused=True,
            )
        return tuple(g for g in found if g is not None)

    return gradcheck(
        gradients, [*args, *weights], eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, nondet_tol=nondet_tol,
        check_batched_grad=check_batched_grad, fast_mode=fast_mode,
    )  # fmt: skip
