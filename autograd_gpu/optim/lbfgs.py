"""L-BFGS."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..core.tensor import Tensor
from ..ops.create import zeros_like
from ..ops.join import cat
from .optimizer import Optimizer
from .options import check_not_negative


class LBFGS(Optimizer):
    """The limited-memory method of Broyden, Fletcher, Goldfarb and Shanno: steps along an estimate of the inverse Hessian times
    the gradient, from the last `history_size` steps (Nocedal and Wright, "Numerical Optimization", 2006, algorithms 7.4, 7.5, 3.5
    and 3.6). For functions that are computed without noise. There is one group, and `step` needs a closure, which it calls often.

    lr                learning rate, the first length that is tried
    max_iter          iterations in a step
    max_eval          calls of the closure in a step; 1.25 * max_iter if None
    tolerance_grad    end a step when no element of the gradient is larger
    tolerance_change  end a step when the function or the parameters change less
    history_size      how many changes of parameters and gradients to keep, each as large as all parameters together
    line_search_fn    "strong_wolfe", or None for steps of length lr

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([-1.0, 2.0], requires_grad=True)
    >>> optimizer = ag.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(3):
    ...     loss = optimizer.step(closure)
    >>> w.detach().round(decimals=3)
    tensor([1., 1.])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        check_not_negative(lr=lr)
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """There is one group."""
        if self.param_groups:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        super().add_param_group(param_group)

    def _taken(self, name: str, value: Any, p: Tensor) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._taken(name, v, p) for v in value]
        if hasattr(value, "ndim") and value.ndim == 0:  # numbers are numbers here
            return float(value)
        if isinstance(value, (Tensor, np.ndarray)):  # of all parameters, so of another shape than this one
            value = value if isinstance(value, Tensor) else Tensor(value)
            return Tensor(value.to(p.device).array.astype(p.array.dtype))
        return copy.deepcopy(value)

    # -- all parameters as one vector ------------------------------------------------------------------------------------

    def _gradient(self) -> Tensor:
        parts = [p.grad.detach() if p.grad is not None else zeros_like(p) for p in self.param_groups[0]["params"]]
        return cat([part.reshape(-1) for part in parts]) if len(parts) > 1 else parts[0].clone().reshape(-1)

    def _move(self, length: float, direction: Tensor) -> None:
        """parameters += length * direction."""
        start = 0
        for p in self.param_groups[0]["params"]:
            size = p.numel()
            p.add_(direction[start : start + size].view(p.shape), alpha=length)
            start += size

    # -- the method ------------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any]) -> Any:
        """Some iterations. `closure` clears the gradients, computes the loss and its gradients, and returns the loss; the first
        one is returned."""
        with no_grad():
            return self._step(closure)

    def _step(self, closure: Callable[[], Any]) -> Any:
        params, group = self.param_groups[0]["params"], self.param_groups[0]
        lr, search, least = float(group["lr"]), group["line_search_fn"], group["tolerance_change"]
        if search not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        state = self.state[params[0]]  # there is one state, kept as that of the first parameter
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = self._loss(closure)
        loss, evaluations = float(first_loss), 1
        state["func_evals"] += 1
        g = self._gradient()
        if _largest(g) <= group["tolerance_grad"]:
            return first_loss

        def at(length: float, direction: Tensor) -> tuple[float, Tensor]:
            """The loss and its gradient at a distance; the parameters stay where they are."""
            kept = [p.detach().clone() for p in params]
            self._move(length, direction)
            value = float(self._loss(closure))
            slope = self._gradient()
            for p, before in zip(params, kept, strict=True):
                p.copy_(before)
            return value, slope

        d, t, before, loss_before = (state.get(name) for name in ("d", "t", "prev_flat_grad", "prev_loss"))
        memory = [state.get(name) or [] for name in ("old_dirs", "old_stps", "ro")]
        scale = state.get("H_diag", 1.0)
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d, scale = -g, 1.0
                memory = [[], [], []]
            else:
                scale = _remember(memory, g - before, d * t, scale, group["history_size"])
                d = _direction(memory, g, scale)
            before, loss_before = g, loss
            t = lr * (min(1.0, 1.0 / float(g.abs().sum())) if state["n_iter"] == 1 else 1.0)
            slope = float(g.dot(d))
            if slope > -least:
                break
            tried, done = 0, False
            if search is not None:
                loss, g, t, tried = strong_wolfe(at, t, d, loss, g, slope, max_ls=group["max_eval"] - evaluations)
                self._move(t, d)
                done = _largest(g) <= group["tolerance_grad"]
            else:
                self._move(t, d)
                if iteration != group["max_iter"]:
                    loss = float(self._loss(closure))
                    g = self._gradient()
                    done = _largest(g) <= group["tolerance_grad"]
                    tried = 1
            evaluations += tried
            state["func_evals"] += tried
            if evaluations >= group["max_eval"] or done or abs(t) * _largest(d) <= least or abs(loss - loss_before) < least:
                break
        names = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")
        state.update(zip(names, (d, t, *memory, scale, before, loss_before), strict=True))
        return first_loss


def _largest(x: Tensor) -> float:
    return float(x.abs().max())


def _remember(memory: list[list], y: Tensor, s: Tensor, scale: float, most: int) -> float:
    """Add a change of the gradient, y, and of the parameters, s, unless they do not curve upwards. Returns the new scale of the
    inverse Hessian that the estimate begins with."""
    changes, steps, inverse = memory
    ys = float(y.dot(s))
    if not ys > 1e-10:
        return scale
    if len(changes) == most:
        for kept in memory:
            kept.pop(0)
    changes.append(y)
    steps.append(s)
    inverse.append(1.0 / ys)
    return ys / float(y.dot(y))


def _direction(memory: list[list], g: Tensor, scale: float) -> Tensor:
    """Minus the estimate of the inverse Hessian times g: two loops over the memory (Nocedal and Wright, algorithm 7.4)."""
    kept = list(zip(*memory, strict=True))
    q, shares = -g, []
    for y, s, inverse in reversed(kept):
        share = float(s.dot(q)) * inverse
        q.sub_(y, alpha=share)
        shares.append(share)
    q.mul_(scale)
    for (y, s, inverse), share in zip(kept, reversed(shares), strict=True):
        q.add_(s, alpha=share - float(y.dot(q)) * inverse)
    return q


# -- line search -----------------------------------------------------------------------------------------------------------


def cubic_minimum(
    x1: float, f1: float, g1: float, x2: float, f2: float, g2: float, bounds: tuple[float, float] | None = None
) -> float:
    """Where the cubic of values f and slopes g at two points is least, within bounds: those points, if none are given; half way
    between the bounds if it has no minimum (Nocedal and Wright, equation 3.59)."""
    low, high = bounds if bounds is not None else (min(x1, x2), max(x1, x2))
    if x1 > x2:
        x1, f1, g1, x2, f2, g2 = x2, f2, g2, x1, f1, g1
    if x1 != x2:
        d1 = g1 + g2 - 3.0 * (f1 - f2) / (x1 - x2)
        square = d1 * d1 - g1 * g2
        if square >= 0.0:
            d2 = math.sqrt(square)
            below = g2 - g1 + 2.0 * d2
            if below != 0.0:
                return min(max(x2 - (x2 - x1) * ((g2 + d2 - d1) / below), low), high)
    return (low + high) / 2.0


def strong_wolfe(
    at: Callable[[float, Tensor], tuple[float, Tensor]],
    t: float,
    d: Tensor,
    f: float,
    g: Tensor,
    slope: float,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance_change: float = 1e-9,
    max_ls: int = 25,
) -> tuple[float, Tensor, float, int]:
    """A length along d, tried from t on, that meets the strong Wolfe conditions: the function falls enough (c1), and its slope
    has become flat enough (c2). `at(length, d)` gives the function and its gradient; f, g and slope are those here.

    Returns the function, the gradient, the length, and how often `at` was called (at most max_ls + 1 times)."""

    def tried(length: float) -> tuple[float, float, Tensor, float]:
        value, gradient = at(length, d)
        return length, value, gradient, float(gradient.dot(d))

    here = (0.0, f, g, slope)
    last, new, calls = here, tried(t), 1
    bracket: list[tuple[float, float, Tensor, float]] = [here, new]
    done = False
    while calls <= max_ls:  # go further until a minimum lies between the last two
        length, value, _, rise = new
        bracket = [last, new]
        if value > f + c1 * length * slope or (calls > 2 and value >= last[1]):
            break
        if abs(rise) <= -c2 * slope:
            bracket, done = [new], True
            break
        if rise >= 0:
            break
        bounds = length + 0.01 * (length - last[0]), length * 10
        further = cubic_minimum(last[0], last[1], last[3], length, value, rise, bounds)
        last, new = new, tried(further)
        calls += 1
    else:
        bracket = [here, new]
    low = 0 if bracket[0][1] <= bracket[-1][1] else 1  # which of the two is the better
    size, stuck = _largest(d), False
    while not done and calls <= max_ls and abs(bracket[1][0] - bracket[0][0]) * size >= tolerance_change:
        (x1, f1, _, g1), (x2, f2, _, g2) = bracket
        t = cubic_minimum(x1, f1, g1, x2, f2, g2)
        left, right = min(x1, x2), max(x1, x2)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:  # close to an end: the second time, or outside, a tenth away from it
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new = tried(t)
        calls += 1
        _, value, _, rise = new
        high = 1 - low
        if value > f + c1 * t * slope or value >= bracket[low][1]:
            bracket[high] = new
            low = 0 if bracket[0][1] <= bracket[1][1] else 1
        else:
            if abs(rise) <= -c2 * slope:
                done = True
            elif rise * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = new
    length, value, gradient, _ = bracket[low]
    return value, gradient, length, calls
