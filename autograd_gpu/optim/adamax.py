"""Adamax."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .flat import FlatOptimizer
from .options import check_betas, check_differentiable, check_not_negative


class Adamax(FlatOptimizer):
    """Adam by the largest gradient (Kingma and Ba, 2015, section 7, https://arxiv.org/abs/1412.6980): steps along the running
    mean of the gradient divided by its largest size so far, which decays.

    lr            learning rate
    betas         decay rates of the running mean and of the largest size
    eps           added to the size of the gradient
    weight_decay  L2 penalty, added to the gradient
    maximize      climb instead of descend

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = ag.optim.Adamax([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        check_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf")

    def _apply(self, xp: Any, bucket: Any, gradients: list[Any], states: tuple, step: int, group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        xp.adamax_(
            bucket,
            gradients,
            *states,
            rate=float(group["lr"]) / (1.0 - beta1**step),
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )
