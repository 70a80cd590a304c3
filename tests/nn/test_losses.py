"""Losses against PyTorch's: modules with all their options, values at limits, deprecated flags, errors."""

from __future__ import annotations

import math
import re
import warnings

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn

F = nn.functional
pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def real(*shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return rng().uniform(low, high, shape)


def whole(*shape: int, low: int = 0, high: int = 3) -> np.ndarray:
    return rng().integers(low, high, shape)


def signs(*shape: int) -> np.ndarray:
    return whole(*shape, high=2) * 2 - 1


def pdf(*shape: int) -> np.ndarray:
    e = np.exp(real(*shape))
    return e / e.sum(1, keepdims=True)


A, B, C = real(4, 3), real(4, 3)[::-1].copy(), np.roll(real(4, 3), 1, 0)
CLASSES, WEIGHT = whole(4), real(3, low=0.5)
LABELS = np.array([[1, -1, 0], [0, 2, -1], [-1, 1, 2], [2, 1, 0]])
PART = real(4, 3, low=0.1, high=0.9)

# module, arguments of its constructor, arrays it is called with (floats get gradients)
MODULES = [
    ("L1Loss", {}, (A, B)),
    ("MSELoss", {}, (A, B)),
    ("SmoothL1Loss", {}, (A, B)),
    ("SmoothL1Loss", {"beta": 0.3}, (A, B)),
    ("SmoothL1Loss", {"beta": 0.0}, (A, B)),
    ("HuberLoss", {}, (A, B)),
    ("HuberLoss", {"delta": 0.3}, (A, B)),
    ("PoissonNLLLoss", {}, (A, PART * 4)),
    ("PoissonNLLLoss", {"log_input": False, "full": True, "eps": 1e-3}, (PART, PART[::-1] * 4)),
    ("GaussianNLLLoss", {}, (A, B, PART)),
    ("GaussianNLLLoss", {"full": True, "eps": 0.5}, (A, B, PART[:, :1])),
    ("BCELoss", {}, (PART, PART[::-1])),
    ("BCELoss", {"weight": WEIGHT}, (PART, PART[::-1])),
    ("BCEWithLogitsLoss", {}, (A, PART)),
    ("BCEWithLogitsLoss", {"weight": WEIGHT}, (A, PART)),
    ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": WEIGHT[::-1] + 1}, (A * 30, PART)),
    ("KLDivLoss", {}, (np.log(pdf(4, 3)), pdf(4, 3)[::-1])),
    ("KLDivLoss", {"log_target": True}, (np.log(pdf(4, 3)), np.log(pdf(4, 3)[::-1]))),
    ("NLLLoss", {}, (A, CLASSES)),
    ("NLLLoss", {"weight": WEIGHT, "ignore_index": 1}, (A, CLASSES)),
    ("NLLLoss", {"ignore_index": 0}, (real(2, 3, 2, 2), whole(2, 2, 2))),
    ("CrossEntropyLoss", {}, (A, CLASSES)),
    ("CrossEntropyLoss", {"weight": WEIGHT, "ignore_index": 1, "label_smoothing": 0.2}, (A, CLASSES)),
    ("CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.2}, (A, pdf(4, 3))),
    ("CrossEntropyLoss", {"weight": WEIGHT, "ignore_index": 1}, (real(2, 3, 2, 2), whole(2, 2, 2))),
    ("CrossEntropyLoss", {"label_smoothing": 1.0}, (real(2, 3, 4), whole(2, 4))),
    ("SoftMarginLoss", {}, (A, signs(4, 3))),
    ("MultiMarginLoss", {}, (A, CLASSES)),
    ("MultiMarginLoss", {"p": 2, "margin": 0.4, "weight": WEIGHT}, (A, CLASSES)),
    ("MultiLabelMarginLoss", {}, (A, LABELS)),
    ("MultiLabelSoftMarginLoss", {}, (A, PART)),
    ("MultiLabelSoftMarginLoss", {"weight": WEIGHT}, (A, PART)),
    ("HingeEmbeddingLoss", {}, (A, signs(4, 3))),
    ("HingeEmbeddingLoss", {"margin": 0.3}, (A, signs(4, 3))),
    ("MarginRankingLoss", {}, (A[0], B[0], signs(3))),
    ("MarginRankingLoss", {"margin": 0.3}, (A, B, signs(4, 3))),
    ("CosineEmbeddingLoss", {}, (A, B, signs(4))),
    ("CosineEmbeddingLoss", {"margin": 0.3}, (A, B, signs(4))),
    ("TripletMarginLoss", {}, (A, B, C)),
    ("TripletMarginLoss", {"margin": 0.5, "p": 1.0, "eps": 0.1, "swap": True}, (A, B, C)),
    ("TripletMarginWithDistanceLoss", {}, (A, B, C)),
    ("TripletMarginWithDistanceLoss", {"margin": 0.5, "swap": True}, (A, B, C)),
]


def options_of(library, options: dict) -> dict:
    return {k: library.tensor(v.copy()) if isinstance(v, np.ndarray) else v for k, v in options.items()}


def tensors(library, arrays) -> list:
    made = [library.tensor(np.ascontiguousarray(a)) for a in arrays]
    return [t.requires_grad_() if a.dtype.kind == "f" else t for t, a in zip(made, arrays, strict=True)]


def compare(torch, call, arrays, limit: float = 1e-9, second: bool = True) -> None:
    """Values, gradients and, where PyTorch has them, second derivatives of `call(library, *tensors)`."""
    ours, theirs = tensors(ag, arrays), tensors(torch, arrays)
    a, b = call(ag, *ours), call(torch, *theirs)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), limit, limit)
    weights = 1.0 + np.arange(b.numel()).reshape(tuple(b.shape))
    x, y = ([t for t in made if t.requires_grad] for made in (ours, theirs))
    again = {"create_graph": True, "allow_unused": True}
    first = ag.autograd.grad(a, x, ag.tensor(weights), **again)
    expected = torch.autograd.grad(b, y, torch.tensor(weights), **again)
    for g, e in zip(first, expected, strict=True):
        assert (g is None) == (e is None)
        if g is not None:
            np.testing.assert_allclose(g.detach().numpy(), e.numpy(force=True), limit, limit)
    if not second:
        return
    try:
        total = sum((e * e).sum() for e in expected if e is not None)
        expected = torch.autograd.grad(total, y, allow_unused=True, materialize_grads=True)
    except (RuntimeError, NotImplementedError):
        return  # PyTorch has none
    total = sum((g * g).sum() for g in first if g is not None)
    if not total.requires_grad:  # which then means that it is zero
        assert not any(e.numpy(force=True).any() for e in expected)
        return
    second = ag.autograd.grad(total, x, allow_unused=True, materialize_grads=True)
    for g, e in zip(second, expected, strict=True):
        np.testing.assert_allclose(g.detach().numpy(), e.numpy(force=True), 100 * limit, 100 * limit)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "options", "arrays"), MODULES, ids=[f"{n}-{'-'.join(o)}" for n, o, _ in MODULES])
def test_modules(name, options, arrays, reduction, torch):
    ours = getattr(nn, name)(**options_of(ag, options), reduction=reduction)
    theirs = getattr(torch.nn, name)(**options_of(torch, options), reduction=reduction)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    compare(torch, lambda library, *given: (ours if library is ag else theirs)(*given), arrays)


def test_all_of_pytorch_is_there(torch):
    left = {"NLLLoss2d", "LinearCrossEntropyLoss"}  # deprecated; a way to save memory
    assert not [n for n in torch.nn.modules.loss.__all__ if not hasattr(nn, n) and n not in left]
    tested = {name for name, _, _ in MODULES} | {"CTCLoss"}
    assert tested == set(torch.nn.modules.loss.__all__) - left


def test_kl_div_batchmean(torch):
    compare(torch, lambda lib, x, t: lib.nn.KLDivLoss(reduction="batchmean")(x, t), (np.log(pdf(4, 3)), pdf(4, 3)))
    with pytest.warns(UserWarning, match="'batchmean' divides only by"):
        F.kl_div(ag.tensor(A), ag.tensor(PART))


# -- values at limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_every_target_ignored(name, weight, reduction, torch):
    def call(lib, x, t):
        w = lib.tensor(WEIGHT) if weight else None
        return getattr(lib.nn.functional, name)(x, t, w, ignore_index=1, reduction=reduction)

    compare(torch, call, (A, np.ones(4, int)))


def test_targets_beyond_the_classes_may_be_ignored(torch):
    for weight in (None, WEIGHT):
        for smooth in (0.0, 0.1):

            def call(lib, x, t, weight=weight, smooth=smooth):
                w = None if weight is None else lib.tensor(weight)
                return lib.nn.functional.cross_entropy(x, t, w, ignore_index=255, label_smoothing=smooth)

            compare(torch, call, (A, np.array([0, 255, 2, 255])))


def test_confident_logits(torch):
    x, t = np.array([-200.0, -30.0, 0.0, 30.0, 200.0]), np.array([0.0, 0.0, 0.5, 1.0, 1.0])
    for target in (t, 1 - t):
        compare(torch, lambda lib, x, t: lib.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="none"), (x, target))
    small = F.binary_cross_entropy_with_logits(ag.tensor([15.0]), ag.tensor([1.0])).item()
    np.testing.assert_allclose(small, math.log1p(math.exp(-15)), 1e-5)


def test_probabilities_of_zero_and_one(torch):
    x, t = np.array([0.0, 1.0, 0.0, 1.0, 0.5]), np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    call = lambda lib, x, t: lib.nn.functional.binary_cross_entropy(x, t, reduction="none")  # noqa: E731
    ours, theirs = tensors(ag, (x, t)), tensors(torch, (x, t))
    np.testing.assert_allclose(call(ag, *ours).detach().numpy(), call(torch, *theirs).detach().numpy(), 1e-12)
    call(ag, *ours).sum().backward()
    call(torch, *theirs).sum().backward()
    np.testing.assert_allclose(ours[0].grad.numpy(), theirs[0].grad.numpy(), 1e-7)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_probabilities_out_of_range(value):
    with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"):
        F.binary_cross_entropy(ag.tensor([0.5, value]), ag.tensor([0.0, 1.0]))


def test_margins_that_are_met_exactly(torch):
    """The gradient where a margin is met exactly is PyTorch's."""
    x, t = np.array([[1.0, 0.0, 0.5]]), np.array([0])
    compare(torch, lambda lib, x, t: lib.nn.functional.multi_margin_loss(x, t), (x, t))
    compare(torch, lambda lib, x, t: lib.nn.functional.hinge_embedding_loss(x, t, 0.5), (x, np.array([[-1, -1, -1]])))
    compare(torch, lambda lib, x, y, t: lib.nn.functional.margin_ranking_loss(x, y, t, 0.5), (x[0], x[0] - 0.5, np.ones(3, int)))
    compare(torch, lambda lib, x, t: lib.nn.functional.multilabel_margin_loss(x, t), (x, np.array([[0, -1, 2]])))
    equal = np.array([1.0, -1.0, 0.5])
    compare(torch, lambda lib, x, t: lib.nn.functional.smooth_l1_loss(x, t), (equal, np.zeros(3)), second=False)
    compare(torch, lambda lib, x, t: lib.nn.functional.l1_loss(x, t), (equal, equal.copy()))


def test_weights_of_elements(torch):
    for name in ("mse_loss", "l1_loss", "huber_loss"):
        for reduction in ("mean", "sum", "none"):

            def call(lib, x, y, w, name=name, reduction=reduction):
                return getattr(lib.nn.functional, name)(x, y, reduction=reduction, weight=w)

            compare(torch, call, (A, B, PART))


# -- connectionist temporal classification ---------------------------------------------------------------------------------

CTC = [
    # steps, batch, classes, targets, input lengths, target lengths, blank
    (8, 3, 5, whole(3, 3, low=1, high=5), (8, 6, 7), (3, 2, 1), 0),
    (8, 3, 5, whole(6, low=1, high=5), (8, 6, 7), (3, 2, 1), 0),
    (8, 3, 5, whole(3, 3, high=4), (8, 6, 7), (3, 0, 2), 4),
    (9, 2, 4, np.array([[1, 1, 1, 1], [1, 2, 1, 2]]), (9, 7), (4, 4), 0),
    (6, 2, 4, np.array([1, 2, 3]), (6, 6), (0, 3), 0),
    (5, 1, 3, np.array([[1, 2, 77]]), (5,), (2,), 0),
    (4, 2, 3, np.zeros((2, 0), int), (4, 2), (0, 0), 0),
    (30, 4, 20, whole(4, 10, low=1, high=20), (30, 30, 25, 29), (10, 9, 8, 10), 0),
]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("case", CTC, ids=range(len(CTC)))
def test_ctc(case, reduction, torch):
    steps, batch, classes, targets, inputs, lengths, blank = case

    def call(lib, x):
        loss = lib.nn.CTCLoss(blank, reduction)
        return loss(lib.nn.functional.log_softmax(x, 2), lib.tensor(targets), lib.tensor(inputs), lib.tensor(lengths))

    ours, theirs = (tensors(lib, (real(steps, batch, classes),)) for lib in (ag, torch))
    a, b = call(ag, *ours), call(torch, *theirs)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), 1e-9)
    weights = 1.0 + np.arange(b.numel()).reshape(tuple(b.shape))
    a.backward(ag.tensor(weights))
    b.backward(torch.tensor(weights))
    np.testing.assert_allclose(ours[0].grad.numpy(), theirs[0].grad.numpy(), 1e-9, 1e-12)


def test_ctc_of_one_sequence_and_lists(torch):
    def call(lib, x, lengths=(6,)):
        return lib.nn.functional.ctc_loss(lib.log_softmax(x, 1), lib.tensor([1, 2]), lengths, (2,), reduction="none")

    ours, theirs = (tensors(lib, (real(6, 4),)) for lib in (ag, torch))
    a, b = call(ag, *ours), call(torch, *theirs)
    assert a.shape == tuple(b.shape) == ()
    np.testing.assert_allclose(a.item(), b.item(), 1e-9)


def test_ctc_of_targets_too_long(torch):
    x, targets = real(3, 2, 4), np.array([[1, 1, 1], [1, 2, 3]])

    def call(lib, x, zero):
        return lib.nn.functional.ctc_loss(
            lib.log_softmax(x, 2), lib.tensor(targets), (3, 3), (3, 3), reduction="none", zero_infinity=zero
        )

    (x_ours,), (x_theirs,) = tensors(ag, (x,)), tensors(torch, (x,))
    for zero in (False, True):
        np.testing.assert_allclose(call(ag, x_ours, zero).detach().numpy(), call(torch, x_theirs, zero).detach().numpy(), 1e-9)
    call(ag, x_ours, True).sum().backward()
    call(torch, x_theirs, True).sum().backward()
    np.testing.assert_allclose(x_ours.grad.numpy(), x_theirs.grad.numpy(), 1e-9, 1e-12)
    assert not x_ours.grad[:, 0].numpy().any()


def test_ctc_in_float32_and_half(torch):
    x = real(60, 2, 10).astype(np.float32)
    targets = whole(2, 20, low=1, high=10)
    ours = F.ctc_loss(ag.log_softmax(ag.tensor(x), 2), ag.tensor(targets), (60, 55), (20, 20), reduction="none")
    theirs = torch.nn.functional.ctc_loss(
        torch.tensor(x).log_softmax(2), torch.tensor(targets), (60, 55), (20, 20), reduction="none"
    )
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), 1e-5)
    half = F.ctc_loss(ag.log_softmax(ag.tensor(x), 2).half(), ag.tensor(targets), (60, 55), (20, 20), reduction="none")
    assert half.dtype is ag.float16
    np.testing.assert_allclose(half.numpy(), theirs.numpy(), 1e-2)


# -- gumbel softmax --------------------------------------------------------------------------------------------------------


def test_gumbel_softmax():
    ag.manual_seed(0)
    logits = ag.log(ag.tensor([0.6, 0.3, 0.1])).reshape(1, 3).expand(4000, 3).clone().requires_grad_()
    hard = F.gumbel_softmax(logits, tau=0.5, hard=True)
    np.testing.assert_allclose(np.sort(hard.detach().numpy(), 1), np.tile([0, 0, 1], (4000, 1)), atol=1e-6)
    np.testing.assert_allclose(hard.detach().numpy().mean(0), [0.6, 0.3, 0.1], atol=0.03)
    (hard * ag.tensor([1.0, 2.0, 3.0])).sum().backward()
    grad = logits.grad.numpy()
    assert np.abs(grad).max() > 0.1
    np.testing.assert_allclose(grad.sum(1), 0, atol=1e-5)
    soft = F.gumbel_softmax(ag.zeros(3, 5), tau=2.0, dim=0)
    np.testing.assert_allclose(soft.numpy().sum(0), 1, 1e-6)
    assert soft.numpy().std() > 0
    with pytest.warns(UserWarning, match="`eps` parameter is deprecated"):
        F.gumbel_softmax(ag.zeros(3, 5), eps=1.0)


# -- deprecated flags ------------------------------------------------------------------------------------------------------

FLAGGED = [
    ("l1_loss", "L1Loss", (A, B)),
    ("mse_loss", "MSELoss", (A, B)),
    ("smooth_l1_loss", "SmoothL1Loss", (A, B)),
    ("poisson_nll_loss", "PoissonNLLLoss", (A, PART)),
    ("binary_cross_entropy", "BCELoss", (PART, PART)),
    ("binary_cross_entropy_with_logits", "BCEWithLogitsLoss", (A, PART)),
    ("kl_div", "KLDivLoss", (A, PART)),
    ("nll_loss", "NLLLoss", (A, CLASSES)),
    ("cross_entropy", "CrossEntropyLoss", (A, CLASSES)),
    ("soft_margin_loss", "SoftMarginLoss", (A, signs(4, 3))),
    ("multi_margin_loss", "MultiMarginLoss", (A, CLASSES)),
    ("multilabel_margin_loss", "MultiLabelMarginLoss", (A, LABELS)),
    ("multilabel_soft_margin_loss", "MultiLabelSoftMarginLoss", (A, PART)),
    ("hinge_embedding_loss", "HingeEmbeddingLoss", (A, signs(4, 3))),
    ("margin_ranking_loss", "MarginRankingLoss", (A, B, signs(4, 3))),
    ("cosine_embedding_loss", "CosineEmbeddingLoss", (A, B, signs(4))),
    ("triplet_margin_loss", "TripletMarginLoss", (A, B, C)),
]


@pytest.mark.parametrize(("function", "module", "arrays"), FLAGGED, ids=[f for f, _, _ in FLAGGED])
def test_deprecated_flags(function, module, arrays, torch):
    for flags in ({"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True}):
        with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated") as ours:
            a = getattr(F, function)(*tensors(ag, arrays), **flags)
        with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated") as theirs:
            b = getattr(torch.nn.functional, function)(*tensors(torch, arrays), **flags)
        assert str(ours[0].message) == str(theirs[0].message)
        assert ours[0].filename == __file__
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), 1e-9)
        with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated") as ours:
            made = getattr(nn, module)(**flags)
        assert ours[0].filename == __file__
        assert made.reduction == {False: "sum", None: "none", True: "mean"}[flags.get("size_average")]


def test_signatures_are_pytorchs(torch):
    """Names and order of parameters, so that calls by position mean the same."""
    import inspect

    for name in F.__all__:
        if "loss" in name or "entropy" in name or name in ("kl_div", "gumbel_softmax", "rrelu"):
            wanted = list(inspect.signature(getattr(torch.nn.functional, name)).parameters)
            assert list(inspect.signature(getattr(F, name)).parameters) == wanted, name
    for name, _, _ in MODULES:
        ours, theirs = (inspect.signature(getattr(lib.nn, name)).parameters for lib in (ag, torch))
        assert list(ours) == list(theirs), name
        assert [p.default for p in ours.values()] == [p.default for p in theirs.values()], name


# -- errors ----------------------------------------------------------------------------------------------------------------

LP = [[[0.1, 0.2, 0.3, 0.4]] * 2] * 5
ERRORS = {
    "mse": lambda lib, F, r: F.mse_loss(r(3), r(3), reduction="bad"),
    "mse-weight": lambda lib, F, r: F.mse_loss(r(3), r(3), weight=r(4)),
    "mse-ints": lambda lib, F, r: F.mse_loss(r(3).long(), r(3).long()),
    "mse-shapes": lambda lib, F, r: F.mse_loss(r(3), r(4)),
    "smooth-beta": lambda lib, F, r: F.smooth_l1_loss(r(3), r(3), beta=-1.0),
    "huber-delta": lambda lib, F, r: F.huber_loss(r(3), r(3), delta=0.0),
    "poisson": lambda lib, F, r: F.poisson_nll_loss(r(3), r(2)),
    "poisson-reduction": lambda lib, F, r: F.poisson_nll_loss(r(3), r(3), reduction="batchmean"),
    "gaussian": lambda lib, F, r: F.gaussian_nll_loss(r(3, 4), r(3, 4), r(2)),
    "gaussian-negative": lambda lib, F, r: F.gaussian_nll_loss(r(3, 4), r(3, 4), -r(3, 4)),
    "gaussian-number": lambda lib, F, r: F.gaussian_nll_loss(r(3, 4), r(3, 4), -1.0),
    "bce-shape": lambda lib, F, r: F.binary_cross_entropy(r(3), r(3, 1)),
    "bce-range": lambda lib, F, r: F.binary_cross_entropy(r(3) + 1.1, r(3)),
    "bce-ints": lambda lib, F, r: F.binary_cross_entropy(r(3), r(3).long()),
    "logits-shape": lambda lib, F, r: F.binary_cross_entropy_with_logits(r(3), r(3, 1)),
    "logits-ints": lambda lib, F, r: F.binary_cross_entropy_with_logits(r(3), r(3).long()),
    "logits-weight": lambda lib, F, r: F.binary_cross_entropy_with_logits(r(3), r(3), r(4)),
    "kl": lambda lib, F, r: F.kl_div(r(3), r(3), reduction="bad"),
    "nll-class": lambda lib, F, r: F.nll_loss(r(3, 4), lib.tensor([0, 1, 9])),
    "nll-batch": lambda lib, F, r: F.nll_loss(r(3, 4), lib.tensor([0, 1])),
    "ce-weight": lambda lib, F, r: F.cross_entropy(r(3, 4), lib.tensor([0, 1, 2]), weight=r(3)),
    "ce-ignore": lambda lib, F, r: F.cross_entropy(r(3, 4), r(3, 4), ignore_index=1),
    "ce-multi": lambda lib, F, r: F.cross_entropy(r(3, 4), r(3, 5)),
    "ce-smoothing": lambda lib, F, r: F.cross_entropy(r(3, 4), lib.tensor([0, 1, 2]), label_smoothing=2.0),
    "ce-floats": lambda lib, F, r: F.cross_entropy(r(3, 4), r(3)),
    "cosine-target": lambda lib, F, r: F.cosine_embedding_loss(r(3, 4), r(3, 4), r(3, 4)),
    "cosine-one": lambda lib, F, r: F.cosine_embedding_loss(r(4), r(4), r(1)),
    "cosine-batch": lambda lib, F, r: F.cosine_embedding_loss(r(3, 4), r(3, 4), r(4)),
    "ranking": lambda lib, F, r: F.margin_ranking_loss(r(3), r(3), r(3, 1)),
    "triplet-dims": lambda lib, F, r: F.triplet_margin_loss(r(3, 4), r(3, 4), r(4)),
    "triplet-margin": lambda lib, F, r: F.triplet_margin_loss(r(3, 4), r(3, 4), r(3, 4), margin=0),
    "triplet-module": lambda lib, F, r: lib.nn.TripletMarginLoss(margin=-1.0),
    "distance-dims": lambda lib, F, r: F.triplet_margin_with_distance_loss(r(3, 4), r(3, 4), r(4)),
    "distance-reduction": lambda lib, F, r: F.triplet_margin_with_distance_loss(r(3, 4), r(3, 4), r(3, 4), reduction="bad"),
    "hinge": lambda lib, F, r: F.hinge_embedding_loss(r(3), r(4)),
    "soft": lambda lib, F, r: F.soft_margin_loss(r(3), r(4)),
    "multi-batch": lambda lib, F, r: F.multi_margin_loss(r(3, 4), lib.tensor([0, 1])),
    "multi-class": lambda lib, F, r: F.multi_margin_loss(r(3, 4), lib.tensor([0, 1, 4])),
    "multi-negative": lambda lib, F, r: F.multi_margin_loss(r(3, 4), lib.tensor([0, 1, -1])),
    "multi-floats": lambda lib, F, r: F.multi_margin_loss(r(3, 4), r(3)),
    "multi-dims": lambda lib, F, r: F.multi_margin_loss(r(2, 3, 4), lib.tensor([0, 1])),
    "multi-weight": lambda lib, F, r: F.multi_margin_loss(r(3, 4), lib.tensor([0, 1, 2]), weight=r(3)),
    "multi-p": lambda lib, F, r: F.multi_margin_loss(r(3, 4), lib.tensor([0, 1, 2]), p=3),
    "multi-module": lambda lib, F, r: lib.nn.MultiMarginLoss(p=3),
    "labels-shape": lambda lib, F, r: F.multilabel_margin_loss(r(3, 4), lib.tensor([0, 1, -1, 2])),
    "labels-class": lambda lib, F, r: F.multilabel_margin_loss(r(4), lib.tensor([0, 1, 4, 2])),
    "labels-floats": lambda lib, F, r: F.multilabel_margin_loss(r(4), r(4)),
    "ctc-inputs": lambda lib, F, r: F.ctc_loss(lib.tensor(LP), lib.tensor([[1, 2]] * 2), [5, 5, 5], [2, 2]),
    "ctc-targets": lambda lib, F, r: F.ctc_loss(lib.tensor(LP), lib.tensor([[1, 2]] * 2), [5, 5], [2]),
    "ctc-steps": lambda lib, F, r: F.ctc_loss(lib.tensor(LP), lib.tensor([[1, 2]] * 2), [6, 5], [2, 2]),
    "ctc-longer": lambda lib, F, r: F.ctc_loss(lib.tensor(LP), lib.tensor([[1, 2]] * 2), [5, 5], [2, 3]),
    "ctc-sum": lambda lib, F, r: F.ctc_loss(lib.tensor(LP), lib.tensor([1, 2, 3]), [5, 5], [2, 2]),
    "ctc-blank": lambda lib, F, r: F.ctc_loss(lib.tensor(LP), lib.tensor([[1, 2]] * 2), [5, 5], [2, 2], blank=4),
    "ctc-negative": lambda lib, F, r: F.ctc_loss(lib.tensor(LP), lib.tensor([[1, 2]] * 2), [5, 5], [-1, 2]),
    "ctc-reduction": lambda lib, F, r: F.ctc_loss(lib.tensor(LP), lib.tensor([[1, 2]] * 2), [5, 5], [2, 2], reduction="bad"),
}


# of the same thing
SAID_OTHERWISE = {"mse-ints", "mse-shapes", "bce-shape", "bce-ints", "ce-floats", "logits-ints", "logits-weight", "hinge", "soft"}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_pytorchs(name, torch):
    """The type of the error, and the words that it begins with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as theirs:  # noqa: B017 whatever PyTorch raises
            ERRORS[name](torch, torch.nn.functional, torch.rand)
        with pytest.raises(theirs.type) as ours:
            ERRORS[name](ag, F, ag.rand)
    said = re.match(r"[^\[({.:\"']{0,24}", str(theirs.value)).group().strip()
    if name not in SAID_OTHERWISE:
        assert said in str(ours.value)


def test_labels_that_are_none_are_named():
    """PyTorch reads memory that is not there."""
    for bad in (9, -1):
        with pytest.raises(RuntimeError, match=f"targets must be labels, 0 to 3, and {bad} is among them"):
            F.ctc_loss(ag.tensor(LP), ag.tensor([[1, 2], [1, bad]]), [5, 5], [2, 2])


def test_shapes_that_differ_warn():
    for function in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss):
        with pytest.warns(UserWarning, match=r"Using a target size \(\[3\]\) that is different to the input size") as warned:
            function(ag.ones(2, 3), ag.ones(3))
        assert warned[0].filename == __file__


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss"])
def test_a_vector_of_logits_and_a_class_in_a_vector(loss, reduction):
    f = getattr(ag.nn.functional, loss)
    x = ag.tensor([0.5, 2.0, 1.0])
    out = f(x, ag.tensor([1]), reduction=reduction)
    assert out.shape == () and out.item() == f(x, ag.tensor(1), reduction=reduction).item()
    with pytest.raises(ValueError, match="1D target must have size 1, but got target size: 2"):
        f(x, ag.tensor([1, 2]), reduction=reduction)
