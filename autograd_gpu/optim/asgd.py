"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .numbered import NumberedOptimizer, single
from .options import check_differentiable, check_not_negative


class ASGD(NumberedOptimizer):
    """Gradient descent that keeps the mean of the parameters over the steps (Polyak and Juditsky, 1992,
    https://doi.org/10.1137/0330046), in `optimizer.state[p]["ax"]`.

    lr            learning rate
    lambd         L2 penalty; it and alpha say how the rate falls: lr / (1 + lambd * lr * t) ** alpha
    t0            the step after which the mean begins
    weight_decay  L2 penalty, added to the gradient
    maximize      climb instead of descend

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = ag.optim.ASGD([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5000, -1.0000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        check_not_negative(lr=lr, weight_decay=weight_decay)
        check_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("ax",)

    def _first(self, group: dict[str, Any]) -> dict[str, float]:
        return {"eta": float(group["lr"]), "mu": 1.0}

    @staticmethod
    def _after(numbers: tuple, step: int, group: dict[str, Any]) -> tuple:
        lr = float(group["lr"])
        eta = lr / (1.0 + group["lambd"] * lr * step) ** group["alpha"]
        return single(eta), single(1.0 / max(1, step - group["t0"]))

    def _apply(self, xp: Any, bucket: Any, gradients: list[Any], states: tuple, step: int, group: dict[str, Any]) -> None:
        ax, eta, mu = states
        xp.asgd_(
            bucket,
            gradients,
            ax,
            eta=eta,
            mu=mu,
            weight_decay=group["weight_decay"],
            shrink=1.0 - group["lambd"] * eta,
            maximize=group["maximize"],
        )
