"""Rprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.tensor import Tensor
from .adagrad import filled
from .flat import Flat, FlatOptimizer
from .options import check_differentiable, check_not_negative


class Rprop(FlatOptimizer):
    """Resilient backpropagation (Riedmiller and Braun, 1993, https://doi.org/10.1109/ICNN.1993.298623): each element has a step
    size of its own, which grows while its gradient keeps its sign. For gradients of all the data, not of batches.

    lr          what the step sizes begin as
    etas        factors by which a step size shrinks and grows
    step_sizes  the smallest and the largest
    maximize    climb instead of descend

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = ag.optim.Rprop([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        check_not_negative(lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]} (one must be in (0, 1), the other above 1)")
        check_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("prev", "step_size")

    def _flat(self, group: dict[str, Any], params: list[Tensor], states: list[dict], slots: tuple, counts: list[int]) -> Flat:
        return filled(super()._flat, "step_size", float(group["lr"]), group, params, states, slots, counts)

    def _apply(self, xp: Any, bucket: Any, gradients: list[Any], states: tuple, step: int, group: dict[str, Any]) -> None:
        (eta_minus, eta_plus), (smallest, largest) = group["etas"], group["step_sizes"]
        xp.rprop_(
            bucket,
            gradients,
            *states,
            eta_minus=eta_minus,
            eta_plus=eta_plus,
            smallest=smallest,
            largest=largest,
            maximize=group["maximize"],
        )
