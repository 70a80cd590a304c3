"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .flat import FlatOptimizer
from .options import check_betas, check_differentiable, check_not_negative


class Adam(FlatOptimizer):
    """Adam (Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980): steps of about `lr`, along the running mean of the
    gradient divided by the root of the running mean of its square.

    lr            learning rate
    betas         decay rates of the two running means
    eps           added to the denominator
    weight_decay  L2 penalty, added to the gradient (to the parameters themselves if decoupled_weight_decay, as AdamW)
    amsgrad       divide by the largest second moment so far (Reddi et al., 2018)
    maximize      climb instead of descend

    `foreach`, `capturable` and `fused` are accepted for PyTorch's sake: the update is always done many parameters at once.

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = ag.optim.Adam([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
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
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def _apply(self, xp: Any, bucket: Any, gradients: list[Any], states: tuple, step: int, group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        xp.adam_(
            bucket,
            gradients,
            *states,
            step=step,
            lr=float(group["lr"]),
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            decoupled=group["decoupled_weight_decay"],
            maximize=group["maximize"],
        )


class AdamW(Adam):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101).

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([1.0], requires_grad=True)
    >>> ag.optim.AdamW([w], lr=0.5).param_groups[0]["weight_decay"]
    0.01
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        **options: Any,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **options, decoupled_weight_decay=True)
