"""Adadelta."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .flat import FlatOptimizer
from .options import check_differentiable, check_not_negative


class Adadelta(FlatOptimizer):
    """Steps whose size follows that of earlier steps (Zeiler, 2012, https://arxiv.org/abs/1212.5701): along the gradient, times
    the root mean square of the steps, divided by that of the gradient.

    lr            learning rate
    rho           decay rate of both means of squares
    eps           added to both under the root
    weight_decay  L2 penalty, added to the gradient
    maximize      climb instead of descend

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = ag.optim.Adadelta([w], lr=10.0, eps=1e-4)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.6838, -1.6838], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho} (it must be in [0, 1])")
        check_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    def _apply(self, xp: Any, bucket: Any, gradients: list[Any], states: tuple, step: int, group: dict[str, Any]) -> None:
        xp.adadelta_(
            bucket,
            gradients,
            *states,
            lr=float(group["lr"]),
            rho=group["rho"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )
