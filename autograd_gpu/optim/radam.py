"""RAdam."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from .flat import FlatOptimizer
from .options import check_betas, check_differentiable, check_not_negative


class RAdam(FlatOptimizer):
    """Rectified Adam (Liu et al., 2020, https://arxiv.org/abs/1908.03265): Adam that begins as gradient descent with momentum,
    until the second moments are known well enough to divide by them.

    lr            learning rate
    betas         decay rates of the running means of the gradient and of its square
    eps           added to the denominator
    weight_decay  L2 penalty, added to the gradient (to the parameters themselves if decoupled_weight_decay)
    maximize      climb instead of descend

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = ag.optim.RAdam([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5000, -1.0000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _apply(self, xp: Any, bucket: Any, gradients: list[Any], states: tuple, step: int, group: dict[str, Any]) -> None:
        lr, (beta1, beta2), decay = float(group["lr"]), group["betas"], group["weight_decay"]
        decoupled, rest = group["decoupled_weight_decay"], 1.0 - beta2**step
        longest = 2.0 / (1.0 - beta2) - 1.0  # how many steps the running mean remembers at most, and now
        length = longest - 2.0 * step * beta2**step / rest
        rate = lr / (1.0 - beta1**step)
        if length > 5.0:
            share = (length - 4.0) * (length - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * length)
            rate *= math.sqrt(rest * share)
        xp.radam_(
            bucket,
            gradients,
            *states,
            rate=rate,
            adaptive=length > 5.0,
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=0.0 if decoupled else decay,
            shrink=1.0 - lr * decay if decoupled else 1.0,
            maximize=group["maximize"],
        )
