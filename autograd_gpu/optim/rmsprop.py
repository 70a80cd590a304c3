"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .flat import FlatOptimizer
from .options import check_differentiable, check_not_negative


class RMSprop(FlatOptimizer):
    """Steps along the gradient divided by the root of the running mean of its square (Tieleman and Hinton, 2012, lecture 6.5 of
    "Neural Networks for Machine Learning"; centered: Graves, 2013, https://arxiv.org/abs/1308.0850).

    lr            learning rate
    alpha         decay rate of the running mean
    eps           added to the denominator
    weight_decay  L2 penalty, added to the gradient
    momentum      of the steps
    centered      divide by the standard deviation of the gradient: less the square of its running mean
    maximize      climb instead of descend

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = ag.optim.RMSprop([w], lr=0.1, alpha=0.96)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        check_not_negative(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        check_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        momentum = ("momentum_buffer",) if group["momentum"] > 0 else ()
        return ("square_avg", *momentum, *(("grad_avg",) if group["centered"] else ()))

    def _apply(self, xp: Any, bucket: Any, gradients: list[Any], states: tuple, step: int, group: dict[str, Any]) -> None:
        xp.rmsprop_(
            bucket,
            gradients,
            **dict(zip(self._slots(group), states, strict=True)),
            lr=float(group["lr"]),
            alpha=group["alpha"],
            eps=group["eps"],
            momentum=group["momentum"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )
