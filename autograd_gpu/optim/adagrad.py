"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.tensor import Tensor
from .flat import Flat, FlatOptimizer
from .options import check_differentiable, check_not_negative


class Adagrad(FlatOptimizer):
    """Steps along the gradient divided by the root of the sum of its squares so far (Duchi, Hazan and Singer, 2011,
    https://jmlr.org/papers/v12/duchi11a.html).

    lr                         learning rate
    lr_decay                   the rate of step t is lr / (1 + (t - 1) * lr_decay)
    weight_decay               L2 penalty, added to the gradient
    initial_accumulator_value  what the sums begin as
    eps                        added to the denominator
    maximize                   climb instead of descend

    >>> import autograd_gpu as ag
    >>> w = ag.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = ag.optim.Adagrad([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        check_not_negative(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay)
        check_not_negative(initial_accumulator_value=initial_accumulator_value, eps=eps)
        check_differentiable(differentiable)
        if fused and foreach:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def _flat(self, group: dict[str, Any], params: list[Tensor], states: list[dict], slots: tuple, counts: list[int]) -> Flat:
        return filled(super()._flat, "sum", group["initial_accumulator_value"], group, params, states, slots, counts)

    def _apply(self, xp: Any, bucket: Any, gradients: list[Any], states: tuple, step: int, group: dict[str, Any]) -> None:
        xp.adagrad_(
            bucket,
            gradients,
            *states,
            rate=float(group["lr"]) / (1.0 + (step - 1) * group["lr_decay"]),
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )


def filled(lay_out: Any, name: str, value: float, group: dict, params: list[Tensor], states: list[dict], *rest: Any) -> Flat:
    """What lay_out(group, params, states, ...) gives, with the state `name` of new parameters begun as `value`."""
    new = [state for state in states if name not in state]
    flat = lay_out(group, params, states, *rest)
    for state in new:
        state[name].array.fill(value)
    return flat
