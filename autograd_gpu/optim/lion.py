"""Lion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.tensor import Tensor
from .flat import FlatOptimizer
from .options import check_betas, check_differentiable, check_not_negative


class Lion(FlatOptimizer):
    """Steps of one size along the sign of a running mean of the gradient (Chen et al., 2023, https://arxiv.org/abs/2302.06675).
    It takes a learning rate 3 to 10 times smaller, and a weight decay that much larger, than AdamW's.

    lr            learning rate, the size of each step
    betas         how much of the running mean is in the direction of a step, and its decay rate
    weight_decay  the parameters shrink by lr * weight_decay a step
    maximize      climb instead of descend

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = ag.optim.Lion([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    counts_steps = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        check_not_negative(lr=lr, weight_decay=weight_decay)
        check_betas(betas)
        check_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg",)

    def _count(self, p: Tensor) -> int:
        return 0  # which step it is makes no difference

    def _apply(self, xp: Any, bucket: Any, gradients: list[Any], states: tuple, step: int, group: dict[str, Any]) -> None:
        lr, (beta1, beta2) = float(group["lr"]), group["betas"]
        xp.lion_(
            bucket,
            gradients,
            *states,
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            shrink=1.0 - lr * group["weight_decay"],
            maximize=group["maximize"],
        )
