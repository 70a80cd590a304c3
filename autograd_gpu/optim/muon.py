"""Muon."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from .. import backend
from ..autograd import no_grad
from ..core.tensor import Tensor
from .optimizer import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ADJUSTMENTS = (None, "original", "match_rms_adamw")


class Muon(Optimizer):
    """Steps along the nearest orthogonal matrix to the running mean of the gradient, for matrices only (Jordan et al., 2024,
    https://kellerjordan.github.io/posts/muon; rates that follow AdamW's: Liu et al., 2025, https://arxiv.org/abs/2502.16982).
    Leave vectors, embeddings and the last layer to AdamW.

    lr               learning rate
    weight_decay     the parameters shrink by lr * weight_decay a step
    momentum         decay rate of the running mean
    nesterov         step along the mean of the gradient and its running mean
    ns_coefficients  of the polynomial a * x + b * x^3 + c * x^5 of a Newton-Schulz iteration
    eps              least norm that a matrix is divided by
    ns_steps         how many iterations
    adjust_lr_fn     "original" (None): lr * sqrt(max(1, rows / columns)); "match_rms_adamw": lr * 0.2 * sqrt(max(rows, columns))

    >>> import autograd_gpu as ag
    >>> w = ag.ones(2, 2, requires_grad=True)
    >>> optimizer = ag.optim.Muon([w], lr=0.5, weight_decay=0.2)
    >>> (w @ ag.tensor([[3.0, 0.0], [0.0, 1.0]])).sum().backward()
    >>> optimizer.step()
    >>> bool(w[0, 0] < w[0, 1] < 0.9)
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = COEFFICIENTS,
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        for name, value in (("Learning rate", lr), ("momentum", momentum), ("weight decay", weight_decay)):
            if not 0.0 <= value:
                raise ValueError(f"{name} should be >= 0 but is: {value}")
        if adjust_lr_fn not in ADJUSTMENTS:
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: a dict with "params", matrices, and the options in which it differs from the defaults."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for p in group["params"]:
            if p.ndim != 2:
                raise ValueError(f"Muon only supports 2D parameters whereas we found a parameter with size: {p.shape}")
        if group["ns_steps"] >= 100:
            raise ValueError("Number of steps must be less than 100 for computational efficiency")
        if len(group["ns_coefficients"]) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters from their gradients; those without one are left alone. A closure, if given, is called first
        to compute the gradients; what it returns is returned."""
        loss = self._loss(closure)
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self._update(p, p.grad.detach(), group)
        return loss

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any]) -> None:
        momentum, lr, (rows, columns) = group["momentum"], float(group["lr"]), p.shape
        xp = backend.beside(p.array)
        state = self.state[p]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = Tensor(xp.zeros(g.array.shape, g.array.dtype))
        mean = state["momentum_buffer"]
        mean.lerp_(g, 1.0 - momentum)
        update = g.lerp(mean, momentum) if group["nesterov"] else mean
        options = {"coefficients": group["ns_coefficients"], "steps": group["ns_steps"], "eps": group["eps"]}
        direction = Tensor(xp.orthogonalized(update.array, **options)).to(p.dtype)
        if group["adjust_lr_fn"] == "match_rms_adamw":
            ratio = 0.2 * math.sqrt(max(rows, columns))
        else:
            ratio = math.sqrt(max(1.0, rows / columns)) if columns else 1.0
        p.mul_(1.0 - lr * group["weight_decay"])
        p.sub_(direction, alpha=lr * ratio)
