"""Connectionist temporal classification: the loss of a labelling without times.

A. Graves et al., Connectionist Temporal Classification: Labelling Unsegmented Sequence Data with Recurrent Neural Networks, 2006.

NOTE [States]
    A target of L labels is read as S = 2 L + 1 states: blank, label, blank, ..., label, blank. In each step of time a path stays
    in its state, goes to the next, or jumps over a blank between two labels that differ.
    1. `alpha[t, n, s]` is the logarithm of the probability of all paths that end in state s at time t, what is seen at t
       included; `beta[t, n, s]` that of all ways to go on from there to the end. Their sum, less the logarithm of the whole
       probability, is that of being in s at t: minus the gradient.
    2. Two columns stand in front of the states, which makes the first step like all others: before it, all paths are in the
       state -1. For beta two columns stand behind.
    3. The logarithm of 0 is _NOTHING, a finite number, so that no infinity is subtracted from another.
    4. The columns of a sample whose sequence is over stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..backend.promotion import float32, int64
from ..core.graph import words
from ..core.primitive import primitive
from ..core.tensor import Tensor
from .create import tensor
from .linalg import check_tensors
from .loss import _counting
from .reducing import reduced, reduction_of

__all__ = ["ctc_loss"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()

_NOTHING = -1e30


def _states(xp: Any, log_probs: Any, targets: Any, blank: int) -> tuple[Any, Any, Any]:
    """The labels of the states (T, N, S), their logarithms of probabilities (T, N, S), and what a jump into each state adds
    (N, S): 0 where it is allowed."""
    steps, n, _ = log_probs.shape
    dtype, length = log_probs.dtype, targets.shape[1]
    pairs = xp.reshape(xp.stack(targets * 0 + blank, targets, axis=2), shape=(n, 2 * length))
    labels = xp.cat(pairs, xp.full((n, 1), blank, int64), axis=1)
    differ = labels[:, 2:] != labels[:, :-2]
    jump = xp.where(differ, xp.zeros(differ.shape, dtype), xp.full(differ.shape, _NOTHING, dtype))
    jump = xp.cat(xp.zeros((n, 2), dtype), jump, axis=1)[:, : 2 * length + 1]
    labels = xp.broadcast_to(labels, shape=(steps, n, 2 * length + 1))
    return labels, xp.clamp(xp.take_along(log_probs, labels, axis=2), min=_NOTHING), jump


def _log_of_sum(xp: Any, *logs: Any) -> Any:
    """log(exp(a) + exp(b) + ...)."""
    top = logs[0]
    for x in logs[1:]:
        top = xp.maximum(top, x)
    total = xp.exp(logs[0] - top)
    for x in logs[1:]:
        total = total + xp.exp(x - top)
    return xp.log(total) + top


def _alive(xp: Any, input_lengths: Any, steps: int) -> list[Any]:
    """For each step which samples it belongs to: (N, 1)."""
    column = xp.reshape(input_lengths, shape=(-1, 1))
    return [column > t for t in range(steps)]


def _alphas(xp: Any, seen: Any, jump: Any, input_lengths: Any) -> list[Any]:
    """alpha with its two columns in front, before the first step and after each."""
    steps, (n, s) = seen.shape[0], jump.shape
    dtype = seen.dtype
    front = xp.full((n, 2), _NOTHING, dtype)
    a = xp.cat(front[:, :1], xp.zeros((n, 1), dtype), xp.full((n, s), _NOTHING, dtype), axis=1)
    found = [a]
    for t, alive in enumerate(_alive(xp, input_lengths, steps)):
        new = _log_of_sum(xp, a[:, 2:], a[:, 1:-1], a[:, :-2] + jump) + seen[t]
        a = xp.where(alive, xp.cat(front, new, axis=1), a)
        found.append(a)
    return found


def _betas(xp: Any, seen: Any, jump: Any, input_lengths: Any, target_lengths: Any) -> list[Any]:
    """beta for each step."""
    steps, (n, s) = seen.shape[0], jump.shape
    dtype = seen.dtype
    behind = xp.full((n, 2), _NOTHING, dtype)
    away = xp.reshape(target_lengths * 2, shape=(-1, 1)) - _counting(xp, s, target_lengths)  # from the last state
    last = (away == 0) | (away == 1)
    b = xp.where(last, xp.zeros(last.shape, dtype), xp.full(last.shape, _NOTHING, dtype))
    onward = xp.cat(jump, xp.zeros((n, 2), dtype), axis=1)[:, 2:]
    found = []
    alive = _alive(xp, input_lengths, steps)
    for t in range(steps - 1, -1, -1):
        found.append(b)
        w = xp.cat(b + seen[t], behind, axis=1)
        b = xp.where(alive[t], _log_of_sum(xp, w[:, :-2], w[:, 1:-1], w[:, 2:] + onward), b)
    return found[::-1]


def _ctc_loss_log_probs(
    xp: Any,
    g: Any,
    log_probs: Any,
    out: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int,
) -> Any:
    if not log_probs.shape[0]:
        return xp.zeros_like(log_probs)
    labels, seen, jump = _states(xp, log_probs, targets, blank)
    alpha = xp.stack(*[a[:, 2:] for a in _alphas(xp, seen, jump, input_lengths)[1:]], axis=0)
    beta = xp.stack(*_betas(xp, seen, jump, input_lengths, target_lengths), axis=0)
    possible = out < math.inf
    loss = xp.reshape(xp.where(possible, out, xp.zeros_like(out)), shape=(1, -1, 1))
    here = xp.stack(*_alive(xp, input_lengths, seen.shape[0]), axis=0) & xp.reshape(possible, shape=(1, -1, 1))
    share = xp.exp(alpha + beta + loss)
    share = xp.where(here, share, xp.zeros_like(share)) * xp.reshape(g, shape=(1, -1, 1))
    return -xp.untake_along(share, labels, axis=2, shape=log_probs.shape)


@primitive(log_probs=_ctc_loss_log_probs)
def _ctc_loss(xp: Any, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, *, blank: int) -> Any:
    """The op behind `ctc_loss`: the loss of each sample. Beyond the length of a target stand blanks. See NOTE [States]."""
    _, seen, jump = _states(xp, log_probs, targets, blank)
    end = _alphas(xp, seen, jump, input_lengths)[-1]
    ends = xp.take_along(end, xp.stack(target_lengths * 2 + 2, target_lengths * 2 + 1, axis=1), axis=1)
    loss = -_log_of_sum(xp, ends[:, 0], ends[:, 1])
    return xp.where(loss > _NOTHING / -10, xp.full(loss.shape, math.inf, loss.dtype), loss)


def _lengths(name: str, lengths: Any, batch: int) -> list[int]:
    """Lengths, one a sample, as ints."""
    if isinstance(lengths, Tensor):
        if lengths.array.dtype.kind not in "iu":
            raise RuntimeError(f"{name} must be integral")
        lengths = lengths.reshape((-1,)).tolist()
    lengths = [lengths] if hasattr(lengths, "__index__") else [int(n) for n in lengths]
    if len(lengths) != batch:
        raise RuntimeError(f"{name} must be of size batch_size, which is {batch}, and it has {len(lengths)}")
    for n in lengths:
        if n < 0:
            raise RuntimeError(f"Expected {name} to have value at least 0, but got value {n}")
    return lengths


def _padded(targets: Tensor, lengths: list[int], target_lengths: Tensor, blank: int) -> Tensor:
    """Targets, one after another or a row each, as rows of the length of the longest, with blanks behind the others."""
    longest, n = max(lengths, default=0), len(lengths)
    places = words.reshape(_counting(words, longest, targets), shape=(1, longest))
    within = places < words.reshape(target_lengths, shape=(n, 1))
    if targets.ndim == 1:
        if targets.array.size != sum(lengths):
            raise RuntimeError(
                f"Expected tensor to have size {sum(lengths)} at dimension 0, the sum of target_lengths, but got size "
                f"{targets.array.size} for argument #2 'targets'"
            )
        starts = words.reshape(words.cumsum(target_lengths, axis=0) - target_lengths, shape=(n, 1))
        places = (places + starts) * within
        rows = words.index(targets, places, axes=(0,)) if targets.array.size else places
    else:
        if targets.array.shape[0] != n or targets.array.shape[1] < longest:
            raise RuntimeError(
                f"Expected tensor to have size {n} at dimension 0 and at least {longest} at dimension 1, but got "
                f"{list(targets.shape)} for argument #2 'targets'"
            )
        rows = targets[:, :longest]
    return words.where(within, rows, rows * 0 + blank)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Minus the logarithm of the probability of all ways to read `targets` from a sequence: labels in order, each lasting any
    number of steps, with blanks between them or not.

    log_probs        (T, N, C) logarithms of probabilities, as `log_softmax` gives them, or (T, C) for one sequence
    targets          (N, L) labels in rows, or (sum of target_lengths) one target after another; never the blank
    input_lengths    (N) how many steps each sequence has
    target_lengths   (N) how many labels each target has
    reduction        "mean" divides each loss by the length of its target, and takes the mean over the batch
    zero_infinity    takes the loss of a target too long for its sequence as 0 instead of infinity; it has no gradient either way
    Raises RuntimeError for lengths and shapes that do not fit, and for labels that are none.

    >>> import autograd_gpu as ag
    >>> log_probs = ag.log_softmax(ag.zeros(4, 1, 3), 2)
    >>> ag.ctc_loss(log_probs, ag.tensor([[1, 2]]), [4], [2], reduction="none")  # 15 of 81 readings
    tensor([1.6864])
    """
    reduction = reduction_of(None, None, reduction)
    check_tensors("ctc_loss", log_probs=log_probs, targets=targets)
    if log_probs.ndim not in (2, 3):
        raise RuntimeError(f"log_probs must be (T, N, C) or (T, C), and its shape is {list(log_probs.shape)}")
    if log_probs.array.dtype.kind not in "fV":
        raise NotImplementedError(f"\"ctc_loss\" not implemented for '{log_probs.dtype}'")
    if targets.array.dtype.kind not in "iu" or targets.ndim not in (1, 2):
        raise RuntimeError(f"targets must be integers (N, L) or (L), and it is {targets.dtype} {list(targets.shape)}")
    single = log_probs.ndim == 2
    if single:
        log_probs = words.reshape(log_probs, shape=(log_probs.array.shape[0], 1, -1))
    steps, n, classes = log_probs.array.shape
    if not n:
        raise RuntimeError("log_probs tensor must not be empty")
    if not 0 <= blank < classes:
        raise RuntimeError(f"blank must be in label range, 0 to {classes - 1}, and it is {blank}")
    inputs, lengths = _lengths("input_lengths", input_lengths, n), _lengths("target_lengths", target_lengths, n)
    if max(inputs) > steps:
        raise RuntimeError(f"Expected input_lengths to have value at most {steps}, but got value {max(inputs)}")
    device = log_probs.device
    input_lengths, target_lengths = (tensor(x, dtype=int64, device=device) for x in (inputs, lengths))
    rows = _padded(targets.to(device).to(int64), lengths, target_lengths, blank)
    if rows.array.size:
        least, most = rows.min().item(), rows.max().item()
        if least < 0 or most >= classes:
            raise RuntimeError(f"targets must be labels, 0 to {classes - 1}, and {least if least < 0 else most} is among them")
    narrow = log_probs.array.dtype if log_probs.array.dtype.itemsize == 2 else None
    if narrow is not None:
        log_probs = words.astype(log_probs, dtype=float32)
    losses = words.ctc_loss(log_probs, rows, input_lengths, target_lengths, blank=blank)
    if zero_infinity:
        losses = words.where(losses < math.inf, losses, words.zeros_like(losses))
    if reduction == "mean":
        losses = losses / words.astype(words.clamp(target_lengths, min=1), dtype=losses.dtype)
    if narrow is not None:
        losses = words.astype(losses, dtype=narrow)
    return words.reshape(losses, shape=()) if single else reduced(losses, reduction)
