"""Averages of weights over the steps of training: the names of torch.optim.swa_utils."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

from .. import backend
from ..autograd import no_grad
from ..core.graph import touch
from ..core.tensor import Tensor
from ..nn.module import Module
from ..ops.create import zeros
from .lr_scheduler.base import LRScheduler, each
from .optimizer import Optimizer

__all__ = [
    "AveragedModel",
    "SWALR",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _approach(means: list[Tensor], tensors: list[Tensor], weight: float) -> None:
    """means += weight * (tensors - means), in place; of numbers that are no floats the result is cut off."""
    if not means:
        return
    if not means[0].is_floating_point():
        for mean, t in zip(means, tensors, strict=True):
            mean.copy_(mean * (1 - weight) + t * weight)
        return
    arrays = [t.detach().to(mean.device).to(mean.dtype).array for mean, t in zip(means, tensors, strict=True)]
    backend.of(means[0].array.__class__).approach_([mean.array for mean in means], arrays, weight)
    for mean in means:
        touch(mean.array, "update_parameters")


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    """A function of lists (means, tensors, count) that makes means = decay * means + (1 - decay) * tensors, in place.

    >>> import autograd_gpu as ag
    >>> mean = ag.tensor([1.0, 2.0])
    >>> ag.optim.swa_utils.get_ema_multi_avg_fn(0.75)([mean], [ag.tensor([5.0, 2.0])], 1)
    >>> mean
    tensor([2., 2.])
    """
    _check_decay(decay)

    def ema_update(ema_param_list: list[Tensor], current_param_list: list[Tensor], _: Any) -> None:
        _approach(ema_param_list, current_param_list, 1 - decay)

    return ema_update


def get_swa_multi_avg_fn() -> Callable:
    """A function of lists (means of `count` tensors each, tensors, count) that takes one more into each mean, in place.

    >>> import autograd_gpu as ag
    >>> mean = ag.tensor([1.0, 2.0])
    >>> ag.optim.swa_utils.get_swa_multi_avg_fn()([mean], [ag.tensor([5.0, 2.0])], 3)
    >>> mean
    tensor([2., 2.])
    """

    def swa_update(averaged_param_list: list[Tensor], current_param_list: list[Tensor], num_averaged: Any) -> None:
        _approach(averaged_param_list, current_param_list, 1.0 / (float(num_averaged) + 1))

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    """A function (mean, tensor, count) that gives decay * mean + (1 - decay) * tensor.

    >>> import autograd_gpu as ag
    >>> ag.optim.swa_utils.get_ema_avg_fn(0.75)(ag.tensor([1.0, 2.0]), ag.tensor([5.0, 2.0]), 1)
    tensor([2., 2.])
    """
    _check_decay(decay)

    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        with no_grad():
            return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> Callable:
    """A function (mean of `count` tensors, tensor, count) that gives the mean with one more.

    >>> import autograd_gpu as ag
    >>> ag.optim.swa_utils.get_swa_avg_fn()(ag.tensor([1.0, 2.0]), ag.tensor([5.0, 2.0]), 3)
    tensor([2., 2.])
    """

    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        with no_grad():
            return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose parameters are the mean of the model's at each `update_parameters` (stochastic weight averaging:
    Izmailov et al., 2018, https://arxiv.org/abs/1803.05407), or another mean: the exponential moving average of Polyak averaging
    by multi_avg_fn=get_ema_multi_avg_fn(decay).

    device        where the copy is kept
    avg_fn        (mean, tensor, count so far) -> the new mean, for each parameter; or
    multi_avg_fn  a function of lists of those, in place, for all of a dtype and device at once
    use_buffers   average buffers too; else they are copied

    >>> import autograd_gpu as ag
    >>> model = ag.nn.Linear(1, 1, bias=False)
    >>> averaged = ag.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = ag.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged.module.weight.item(), averaged.n_averaged.item()
    (3.0, 3)
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable | None = None,
        multi_avg_fn: Callable | None = None,
        use_buffers: bool = False,
    ):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", zeros((), dtype="int64", device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model computes."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the parameters that the model now has into the mean. The first ones are copied."""
        with no_grad():
            self._update(model)

    def _update(self, model: Module) -> None:
        means, tensors = self.module.parameters(), model.parameters()
        if self.use_buffers:
            means, tensors = itertools.chain(means, self.module.buffers()), itertools.chain(tensors, model.buffers())
        pairs = [(mean.detach(), t.detach().to(mean.device)) for mean, t in zip(means, tensors, strict=True)]
        count = int(self.n_averaged)
        if count == 0:
            for mean, t in pairs:
                mean.copy_(t)
        elif self.avg_fn is not None:
            for mean, t in pairs:
                mean.copy_(self.avg_fn(mean, t, self.n_averaged.to(mean.device)))
        else:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            kinds: dict[tuple, list] = {}
            for mean, t in pairs:
                kinds.setdefault((str(mean.device), mean.dtype), []).append((mean, t))
            for (device, _), group in kinds.items():
                update([mean for mean, _ in group], [t for _, t in group], self.n_averaged.to(device))
        if not self.use_buffers:
            for mean, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
                mean.detach().copy_(buffer.detach().to(mean.device))
        self.n_averaged += 1


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of batch normalization in `model` anew, from one pass over `loader`: batches that are
    Tensors, or lists or tuples that begin with one, moved to `device` if one is given.

    >>> import autograd_gpu as ag
    >>> ag.optim.swa_utils.update_bn([ag.ones(4, 2)], ag.nn.Linear(2, 2))  # nothing to do
    """
    modules = [m for m in model.modules() if hasattr(m, "running_mean") and hasattr(m, "reset_running_stats")]
    momenta = [m.momentum for m in modules]
    if not modules:
        return
    for m in modules:
        m.reset_running_stats()
        m.momentum = None  # a plain mean over all batches
    was_training = model.training
    model.train()
    with no_grad():
        for batch in loader:
            given = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(given if device is None else given.to(device))
    for m, momentum in zip(modules, momenta, strict=True):
        m.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the rates of the groups to `swa_lr`, a number or one for each, in `anneal_epochs` epochs, as half a cosine ("cos") or
    in a straight line ("linear"); to be stepped in the place of another scheduler late in training.

    >>> import autograd_gpu as ag
    >>> optimizer = ag.optim.SGD([ag.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = ag.optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.75]
    """

    _unsaved = ("optimizer", "anneal_func")

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ):
        for rate, group in zip(each("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t: float) -> float:
        """How much of the way is gone after the share t of the epochs."""
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list:
        """The rates of this epoch."""
        self._check_within_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = (self.anneal_func(max(0, min(1, k / max(1, self.anneal_epochs)))) for k in (step - 1, step))
        rates = []
        for group in self.optimizer.param_groups:  # each follows from the one before, so that others can be stepped in between
            goal = group["swa_lr"]
            start = goal if before == 1 else (group["lr"] - before * goal) / (1 - before)
            rates.append(goal * now + start * (1 - now))
        return rates
