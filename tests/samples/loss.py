"""Losses."""

from __future__ import annotations

from . import S, f, i

F = "nn.functional."


def ce(*args, **kw):
    return S("cross_entropy", *args, torch=F + "cross_entropy", **kw)


def nll(*args, **kw):
    return S("nll_loss", *args, torch=F + "nll_loss", **kw)


def loss(name, *args, **kw):
    return S(name, *args, torch=F + name, **kw)


SAMPLES = [
    ce(f(6, 5), i(6, high=5)),
    ce(f(6, 5), i(6, high=5), reduction="sum"),
    ce(f(6, 5), i(6, high=5), reduction="none"),
    ce(f(6, 5), i(6, high=5), ignore_index=2),
    ce(f(6, 5), i(6, high=5), ignore_index=2, reduction="none"),
    ce(f(5), i(high=5)),
    ce(f(5), i(high=5), reduction="none"),
    ce(f(2, 5, 3), i(2, 3, high=5)),
    ce(f(2, 5, 3, 2), i(2, 3, 2, high=5), ignore_index=0, reduction="sum"),
    ce(f(2, 5, 3), i(2, 3, high=5), reduction="none"),
    ce(f(4, 100), i(4, high=100)),
    ce(f(4, 7, low=-300, high=300), i(4, high=7)),
    ce(f(4, 7, low=-300, high=-200), i(4, high=7)),
    ce(f(6, 5), i(6, high=5), f(5, low=0.5, grad=False)),
    ce(f(6, 5), i(6, high=5), f(5, low=0.5, grad=False), ignore_index=1, reduction="sum"),
    ce(f(2, 5, 3), i(2, 3, high=5), f(5, low=0.5, grad=False), reduction="none"),
    ce(f(6, 5), i(6, high=5), label_smoothing=0.1),
    ce(f(6, 5), i(6, high=5), f(5, low=0.5, grad=False), label_smoothing=0.1, ignore_index=1),
    ce(f(2, 5, 3), i(2, 3, high=5), label_smoothing=0.3, reduction="none"),
    ce(f(6, 5), f(6, 5, low=0)),
    ce(f(6, 5), f(6, 5, low=0), f(5, low=0.5, grad=False), label_smoothing=0.1),
    ce(f(2, 5, 3), f(2, 5, 3, low=0), reduction="sum"),
    nll(f(6, 5), i(6, high=5)),
    nll(f(6, 5), i(6, high=5), reduction="sum"),
    nll(f(6, 5), i(6, high=5), reduction="none", ignore_index=1),
    nll(f(5), i(high=5)),
    nll(f(2, 5, 3), i(2, 3, high=5), ignore_index=2),
    nll(f(6, 5), i(6, high=5), f(5, low=0.5, grad=False)),
    nll(f(6, 5), i(6, high=5), f(5, low=0.5, grad=False), reduction="none", ignore_index=1),
    loss("mse_loss", f(3, 4), f(3, 4)),
    loss("mse_loss", f(3, 4), f(3, 4), reduction="sum"),
    loss("mse_loss", f(3, 4), f(3, 4), reduction="none"),
    loss("mse_loss", f(), f()),
    loss("l1_loss", f(3, 4, gap=0.1), f(3, 4, gap=0.1)),
    # both warn of shapes that differ, and warnings are errors
    loss("l1_loss", f(3, 4), f(3, 4), reduction="none", skip=("broadcasting",)),
    loss("smooth_l1_loss", f(3, 4), f(3, 4)),
    loss("smooth_l1_loss", f(3, 4), f(3, 4), reduction="none", beta=0.5, skip=("broadcasting",)),
    loss("huber_loss", f(3, 4), f(3, 4)),
    loss("huber_loss", f(3, 4), f(3, 4), reduction="sum", delta=0.5),
    loss("binary_cross_entropy", f(3, 4, low=0.1, high=0.9), f(3, 4, low=0, high=1, grad=False)),
    loss("binary_cross_entropy", f(3, 4, low=0.1, high=0.9), f(3, 4, low=0, high=1, grad=False), f(3, 4, low=0.1, grad=False)),
    loss("binary_cross_entropy", f(3, 4, low=0.1, high=0.9), f(3, 4, low=0, high=1), reduction="sum"),
    loss("binary_cross_entropy_with_logits", f(3, 4), f(3, 4, low=0, high=1, grad=False)),
    loss("binary_cross_entropy_with_logits", f(3, 4), f(3, 4, low=0, high=1), f(4, low=0.5, grad=False), reduction="none"),
    loss(
        "binary_cross_entropy_with_logits",
        f(3, 4),
        f(3, 4, low=0, high=1, grad=False),
        reduction="sum",
        pos_weight=f(4, low=0.5, grad=False),
    ),
    loss("kl_div", f(3, 4, high=0), f(3, 4, low=0.1, high=1, grad=False), reduction="batchmean"),
    loss("kl_div", f(3, 4, high=0), f(3, 4, high=0, grad=False), log_target=True, reduction="none"),
]
