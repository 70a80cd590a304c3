"""Losses with a margin, distances, likelihoods, and connectionist temporal classification."""

from __future__ import annotations

from . import S, f, i

F = "nn.functional."


def loss(name, *args, **kw):
    return S(name, *args, torch=F + name, **kw)


def ctc(*args, **kw):
    # PyTorch's gradient is that of log_softmax too, in one: see tests/nn/test_losses.py for it
    return S("ctc_loss", *args, torch=F + "ctc_loss", skip=("gradient", "second_order", "zero_size", "no_dimensions"), **kw)


_SIGNS = i(4, low=-1, high=2)

SAMPLES = [
    # pairs of vectors
    loss("cosine_similarity", f(4, 3), f(4, 3)),
    loss("cosine_similarity", f(4, 3), f(1, 3), dim=-1),
    loss("cosine_similarity", f(2, 4, 3), f(4, 3), dim=0),
    loss("cosine_similarity", f(2, 4, 3), f(2, 4, 3)),
    *[loss("pairwise_distance", f(4, 3), f(4, 3), p=p) for p in (2.0, 1.0, 3.0, float("inf"), 0.5)],
    loss("pairwise_distance", f(2, 4, 3), f(4, 3), keepdim=True),
    loss("pairwise_distance", f(4, 3), f(3), eps=0.1),
    *[S("cdist", f(2, 4, 3), f(2, 5, 3), p=p, tolerance=1e-7) for p in (2.0, 1.0, 3.0, float("inf"), 0.0, 1.5)],
    S("cdist", f(4, 3), f(5, 3), compute_mode="use_mm_for_euclid_dist", tolerance=1e-6),
    S("cdist", f(2, 1, 4, 3), f(3, 5, 3)),
    S("cdist", f(30, 3), f(5, 3), tolerance=1e-6),
    # PyTorch's gradient of no rows ends in a crash
    *[S("pdist", f(4, 3), p=p, skip=("zero_size",)) for p in (2.0, 1.0, 3.0, float("inf"), 0.0)],
    # margins of pairs and triplets
    *[loss("cosine_embedding_loss", f(4, 3), f(4, 3), _SIGNS, margin=m, reduction=r) for m, r in ((0.0, "mean"), (0.3, "none"))],
    loss("cosine_embedding_loss", f(4, 3), f(4, 3), _SIGNS, reduction="sum"),
    loss("cosine_embedding_loss", f(3), f(3), i(low=1, high=2)),
    *[loss("margin_ranking_loss", f(4), f(4), _SIGNS, margin=0.5, reduction=r) for r in ("mean", "sum", "none")],
    *[loss("hinge_embedding_loss", f(4), _SIGNS, margin=0.5, reduction=r) for r in ("mean", "sum", "none")],
    loss("triplet_margin_loss", f(4, 3), f(4, 3), f(4, 3)),
    loss("triplet_margin_loss", f(4, 3), f(4, 3), f(4, 3), margin=2.0, p=1.0, swap=True, reduction="none"),
    loss("triplet_margin_loss", f(3), f(3), f(3), margin=9.0, eps=0.1, reduction="sum"),
    loss("triplet_margin_with_distance_loss", f(4, 3), f(4, 3), f(4, 3)),
    loss("triplet_margin_with_distance_loss", f(4, 3), f(4, 3), f(4, 3), margin=0.5, swap=True, reduction="none"),
    # margins of scores
    *[loss("soft_margin_loss", f(4, 3), f(4, 3, grad=False), reduction=r) for r in ("mean", "sum", "none")],
    # PyTorch's mean of no samples is what memory holds
    loss("multi_margin_loss", f(4, 3), i(4, high=3), skip=("zero_size",)),
    loss("multi_margin_loss", f(4, 3), i(4, high=3), p=2, margin=0.5, reduction="none"),
    loss("multi_margin_loss", f(4, 3), i(4, high=3), weight=f(3, low=0.5, grad=False), reduction="sum"),
    loss("multi_margin_loss", f(4), i(high=4)),
    loss("multi_margin_loss", f(4), i(high=4), reduction="none"),
    loss("multilabel_margin_loss", f(4, 6), i(4, 6, low=-1, high=6), skip=("zero_size",)),
    *[loss("multilabel_margin_loss", f(4, 6), i(4, 6, low=-1, high=6), reduction=r) for r in ("sum", "none")],
    loss("multilabel_margin_loss", f(6), i(6, low=-1, high=6)),
    loss("multilabel_soft_margin_loss", f(4, 3), f(4, 3, low=0, high=1, grad=False)),
    loss("multilabel_soft_margin_loss", f(4, 3), f(4, 3, low=0, high=1), f(3, low=0.5, grad=False), reduction="none"),
    # likelihoods
    loss("poisson_nll_loss", f(4, 3), f(4, 3, low=0, high=5)),
    loss("poisson_nll_loss", f(4, 3, low=0.1), f(4, 3, low=0, high=5, grad=False), log_input=False, full=True, reduction="none"),
    loss("poisson_nll_loss", f(4, 3), f(4, 3, low=1.1, high=5), full=True, reduction="sum"),
    loss("gaussian_nll_loss", f(4, 3), f(4, 3), f(4, 3, low=0.1)),
    loss("gaussian_nll_loss", f(4, 3), f(4, 3), f(4, low=0.1), full=True, reduction="none"),
    loss("gaussian_nll_loss", f(4, 3), f(4, 3), f(4, 1, low=0.1), reduction="sum"),
    loss("gaussian_nll_loss", f(4, 3), f(4, 3), 2.0),
    # sequences
    ctc(f(6, 3, 5), i(3, 2, low=1), [6, 5, 6], [2, 2, 1]),
    ctc(f(6, 3, 5), i(5, low=1), [6, 4, 6], [2, 2, 1], reduction="none"),
    ctc(f(6, 3, 5), i(3, 4, high=4), [6, 5, 6], [2, 0, 3], blank=4, reduction="sum"),
    ctc(f(6, 5), i(2, low=1), [6], [2]),
]
