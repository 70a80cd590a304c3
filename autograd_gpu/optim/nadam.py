"""NAdam."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from .numbered import NumberedOptimizer, single
from .options import check_betas, check_differentiable, check_not_negative


class NAdam(NumberedOptimizer):
    """Adam with Nesterov's momentum (Dozat, 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ).

    lr                      learning rate
    betas                   decay rates of the running means of the gradient and of its square
    eps                     added to the denominator
    weight_decay            L2 penalty, added to the gradient (to the parameters themselves if decoupled_weight_decay)
    momentum_decay          how fast the momentum grows to betas[0]
    maximize                climb instead of descend

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = ag.optim.NAdam([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.4718, -1.4718], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        check_betas(betas)
        check_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _first(self, group: dict[str, Any]) -> dict[str, float]:
        return {"mu_product": 1.0}

    @staticmethod
    def _after(numbers: tuple, step: int, group: dict[str, Any]) -> tuple:
        return (single(numbers[0] * single(_momentum(step, group))),)

    def _apply(self, xp: Any, bucket: Any, gradients: list[Any], states: tuple, step: int, group: dict[str, Any]) -> None:
        *arrays, mu_product = states
        (mu_product,) = self._after((mu_product,), step, group)
        mu, mu_next = _momentum(step, group), _momentum(step + 1, group)
        lr, (beta1, beta2), decay = float(group["lr"]), group["betas"], group["weight_decay"]
        decoupled = group["decoupled_weight_decay"]
        xp.nadam_(
            bucket,
            gradients,
            *arrays,
            gradient_rate=lr * (1.0 - mu) / (1.0 - mu_product),
            momentum_rate=lr * mu_next / (1.0 - mu_product * mu_next),
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            root=math.sqrt(1.0 - beta2**step),
            weight_decay=0.0 if decoupled else decay,
            shrink=1.0 - lr * decay if decoupled else 1.0,
            maximize=group["maximize"],
        )


def _momentum(step: int, group: dict[str, Any]) -> float:
    return group["betas"][0] * (1.0 - 0.5 * 0.96 ** (step * group["momentum_decay"]))
