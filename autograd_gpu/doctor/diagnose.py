"""From what was collected to what is wrong: pure functions of plain numbers, with all thresholds in one table.

X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010, and K. He
et al., "Delving deep into rectifiers", ICCV 2015, are where the signs and the remedies of bad scales come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from .record import INNER, SATURATES, Layer, Look, Record


class Limit(NamedTuple):
    """A threshold, and why it stands there."""

    value: float
    why: str


LIMITS = {
    "vanishing": Limit(
        1e-3, "gradient of the first layer's weights over that of the last's: sound networks of any depth stay within 1e-2 to 1e2"
    ),
    "exploding": Limit(1e3, "the same, on the other side; also for outputs, from the first layer to the last"),
    "steep": Limit(1e2, "gradient of a layer over its weights, in norm: a plain step would need a learning rate below 1e-4"),
    "dead": Limit(0.6, "share of units that were never on. With He's initialisation less than a tenth are off for a whole batch"),
    "dying": Limit(0.95, "share of outputs that are zero, in the latest looks: half of them is what one expects"),
    "saturated": Limit(0.5, "share of activations with less than a twentieth of the steepest slope: sound networks have some"),
    "logits": Limit(20.0, "standard deviation of the outputs at the start: softmax of such is 0 or 1 in float32"),
    "inputs": Limit(20.0, "mean or standard deviation of the inputs: initialisation reckons with 0 and 1"),
    "fast": Limit(0.5, "change of a layer's weights in one step over the weights, in norm: 1e-3 is usual, 0.1 comes with Adam"),
    "leap": Limit(1.0, "the same in the first step: nothing is left of how the weights were drawn"),
    "grown": Limit(20.0, "norm of a layer's weights over what it was at the first step: a small last layer may grow sixfold"),
    "shrunk": Limit(0.5, "the same, for weights that a penalty draws to zero"),
    "slow": Limit(1e-5, "change of the weights in each of the first steps: a hundred thousand steps to move by their own size"),
    "rounded": Limit(1e-6, "expected update over weights, in norm: with less, float32 may round it away"),
    "tiny": Limit(0.1, "outputs of the last hidden layer over those of the first, in standard deviation"),
}

ADVICE = {
    "initialisation": "draw the weights anew with nn.init: kaiming_normal_ before ReLU, xavier_uniform_ before tanh and sigmoid, "
    "orthogonal_ in recurrent layers; biases 0",
    "activation": "ReLU, GELU or LeakyReLU in place of sigmoid or tanh in hidden layers",
    "normalisation": "LayerNorm or BatchNorm after each layer",
    "residual": "residual or highway connections, x + f(x), so that gradients pass by the layers",
    "clipping": "nn.utils.clip_grad_norm_(model.parameters(), 1.0) before each optimizer.step()",
    "learning rate down": "a lower learning rate, by a factor of 10 to begin with, or a schedule that warms up from zero",
    "learning rate up": "a higher learning rate, by factors of 10 until the loss moves",
    "weight decay": "less weight decay",
    "inputs": "standardise the inputs: subtract their mean and divide by their standard deviation",
    "numerics": "keep the argument away from where the function or its slope is infinite: add an eps, clamp, or use the fused "
    "form (log_softmax, cross_entropy, logsumexp, binary_cross_entropy_with_logits)",
    "precision": "bfloat16, whose range is that of float32; or float16 by amp.autocast with amp.GradScaler",
    "connection": "use the layer in forward without detach() or no_grad(), let its parameters require gradients, and give them "
    "to the optimizer",
    "closer look": "watch(model, every=1) from the start, which names the op and the line",
}

SINGULAR = {"log", "div", "sqrt", "pow", "reciprocal", "rsqrt", "norm", "acos", "asin", "log2", "log10", "log1p", "exp", "xlogy",
            "logsumexp", "std", "var", "atan2", "acosh", "atanh"}  # fmt: skip


@dataclass
class Finding:
    """One thing that is wrong.

    kind       vanishing, exploding, dead, saturated, symmetric, disconnected, inputs, diverging, stalled, decaying or nonfinite
    layer      the name of the module; "" for the network as a whole
    evidence   the numbers that speak for it, and for nonfinite the op and the line
    remedy     one of the keys of ADVICE
    """

    kind: str
    layer: str
    evidence: dict[str, Any] = field(default_factory=dict)
    remedy: str = ""

    @property
    def advice(self) -> str:
        """The remedy in a sentence."""
        return ADVICE.get(self.remedy, "")

    def __str__(self) -> str:
        numbers = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.evidence.items())
        return f"{self.kind}{f' in {self.layer}' if self.layer else ''} ({numbers}): {self.advice}"


@dataclass
class Summary:
    """The numbers of one layer, each the median of its looks; None: not known. The shares are of its activations."""

    layer: Layer
    gradient: float | None  # root mean square of the gradient
    first_gradient: float | None
    first_steepness: float | None  # gradient over weights, in norm
    update: float | None  # change in a step over weights, in norm
    mean: float | None
    std: float | None
    idle: float | None
    leap: float | None  # the update of the first step
    first_update: float | None  # the median of the first three
    first_std: float | None
    first_idle: float | None
    late_idle: float | None
    growth: float | None  # weights at the last look over those at the first, in norm

    @property
    def name(self) -> str:
        """The name of the layer."""
        return self.layer.name


def _median(values: list[float]) -> float | None:
    found = [v for v in values if v is not None and math.isfinite(v)]
    return median(found) if found else None


def _std(look: Look) -> float | None:
    if not look.count or look.square is None:
        return None
    mean = look.sum / look.count
    return math.sqrt(max(0.0, look.square / look.count - mean * mean))


def _ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else math.sqrt(max(a, 0.0) / b) if math.isfinite(a) and math.isfinite(b) else None


def summary(layer: Layer) -> Summary:
    """The looks at a layer in a few numbers."""
    looks = layer.looks
    stds = [s for s in map(_std, looks) if s is not None and math.isfinite(s)]
    idles = [look.idle / look.count for look in looks if look.count and look.idle is not None]
    weights = [look.weight for look in looks if look.weight is not None and math.isfinite(look.weight)]
    drawn = bool(weights) and weights[0] > 0  # zeros are no scale to grow from
    updates = [_ratio(look.update, look.weight) for look in looks]
    late = [u for u in updates if u is not None][2:] or updates  # the first steps of adaptive optimizers are long
    return Summary(
        layer,
        gradient=_median([_ratio(look.gradient, float(layer.size)) for look in looks]) if layer.size else None,
        first_gradient=_ratio(looks[0].gradient, float(layer.size)) if layer.size and looks else None,
        first_steepness=_ratio(looks[0].gradient, looks[0].weight) if looks else None,
        update=_median(late),
        leap=updates[0] if updates else None,
        first_update=_median(updates[:3]),
        mean=_median([look.sum / look.count for look in looks if look.count and look.sum is not None]),
        std=_median(stds),
        idle=_median(idles),
        first_std=stds[0] if stds else None,
        first_idle=idles[0] if idles else None,
        late_idle=_median(idles[-3:]),
        growth=_ratio(weights[-1], weights[0]) if drawn else None,
    )


def findings_of(record: Record) -> list[Finding]:
    """What is wrong, the likely causes before their consequences."""
    layers = [summary(layer) for layer in record.layers]
    found: list[Finding] = []
    for rule in (_nonfinite, _inputs, _unconnected, _symmetric, _dead, _saturated, _scales, _rates):
        found += rule(record, layers, found)
    return found


def _over(value: float | None, limit: str) -> bool:
    return value is not None and value > LIMITS[limit].value


def _under(value: float | None, limit: str) -> bool:
    return value is not None and value < LIMITS[limit].value


def _nonfinite(record: Record, layers: list[Summary], found: list[Finding]) -> Iterator[Finding]:
    t = record.trouble
    if t is None:
        return
    evidence = {"step": t.step, "phase": t.phase, "op": t.op, "line": t.place, "dtype": t.dtype, "parameter": t.detail or None}
    evidence = {k: v for k, v in evidence.items() if v is not None}
    if t.dtype == "float16":
        remedy = "precision"
    elif t.op not in SINGULAR and any(s.layer.kind in INNER for s in layers):
        remedy = "clipping"
    elif any(_over(s.update, "fast") or _over(s.growth, "grown") for s in layers):
        remedy = "learning rate down"
    elif t.op in SINGULAR:
        remedy = "numerics"
    elif t.op is None:
        remedy = "closer look"
    else:
        remedy = "initialisation"
    yield Finding("nonfinite", "", evidence, remedy)


def _inputs(record: Record, layers: list[Summary], found: list[Finding]) -> Iterator[Finding]:
    mean, std = record.input_mean, record.input_std
    if mean is not None and (_over(abs(mean), "inputs") or _over(std, "inputs")):
        yield Finding("inputs", "", {"mean": mean, "std": std}, "inputs")


def _blocked(layers: list[Summary]) -> bool:
    """Whether a layer lets no gradient through, so that those before it get none, connected or not."""
    return any(s.layer.same or _over(s.layer.dead, "dying") or _over(s.late_idle, "dying") for s in layers)


def _unconnected(record: Record, layers: list[Summary], found: list[Finding]) -> Iterator[Finding]:
    for s in layers:
        if not s.layer.size:
            continue
        gradients = [look.gradient for look in s.layer.looks if look.gradient is not None]
        updates = [look.update for look in s.layer.looks if look.update is not None]
        if s.layer.frozen:
            yield Finding("disconnected", s.name, {"requires gradient": False}, "connection")
        elif gradients and not any(gradients):
            if not _blocked(layers):
                yield Finding("disconnected", s.name, {"gradient": 0.0}, "connection")
        elif updates and not any(updates) and _noticeable(record, s) and not _blocked(layers):
            yield Finding("disconnected", s.name, {"gradient": s.gradient, "update": 0.0}, "connection")


def _noticeable(record: Record, s: Summary) -> bool:
    """Whether the first update should have moved the weights, and not have been rounded away."""
    if s.first_steepness is None or s.layer.bytes <= 2:
        return False
    return s.first_steepness * (1e-3 if record.lr is None else record.lr) > LIMITS["rounded"].value


def _symmetric(record: Record, layers: list[Summary], found: list[Finding]) -> Iterator[Finding]:
    for s in layers:
        if s.layer.same and not s.layer.frozen:
            yield Finding("symmetric", s.name, {"different units": 1}, "initialisation")


def _dead(record: Record, layers: list[Summary], found: list[Finding]) -> Iterator[Finding]:
    for s in layers:
        if (
            s.layer.dead is None
            or s.first_idle is None
            or len(s.layer.looks) < 3
            or not (_over(s.layer.dead, "dead") or _over(s.late_idle, "dying"))
            or s.layer.same
        ):
            continue
        evidence = {"dead": s.layer.dead, "zero": s.late_idle, "zero at first": s.first_idle}
        died = s.late_idle - s.first_idle > 0.2
        shrunk = _under(s.growth, "shrunk")
        remedy = "initialisation" if not died else "weight decay" if shrunk else "learning rate down"
        yield Finding("dead", s.name, evidence, "inputs" if found and found[-1].kind == "inputs" else remedy)


def _saturated(record: Record, layers: list[Summary], found: list[Finding]) -> Iterator[Finding]:
    scaled = any(f.kind == "inputs" for f in found)
    for s in layers:
        if s.layer.activation in SATURATES and (_over(s.idle, "saturated") or _over(s.late_idle, "saturated")):
            early = _over(s.first_idle, "saturated")
            remedy = "inputs" if scaled else "initialisation" if early else "learning rate down"
            yield Finding("saturated", s.name, {"saturated": s.late_idle, "at first": s.first_idle}, remedy)
    last = next((s for s in reversed(layers) if s.std is not None), None)
    if last is not None and last.layer.activation is None and _over(last.first_std, "logits"):
        if len(layers) < 2 or not _grows(layers):
            yield Finding("saturated", last.name, {"output std": last.first_std}, "inputs" if scaled else "initialisation")


def _weighty(layers: list[Summary]) -> list[Summary]:
    """The layers whose gradients can be compared: those with a matrix of weights, and a gradient."""
    plain = ("Norm", "Embedding", "PReLU")
    return [s for s in layers if s.first_gradient and not any(p in s.layer.kind for p in plain)]


DEEP = 12  # layers: with more, no initialisation keeps all scales


def _grows(layers: list[Summary]) -> bool:
    stds = [s.first_std for s in layers if s.first_std]
    return len(stds) > 2 and stds[-1] / stds[0] > LIMITS["exploding"].value


def _scales(record: Record, layers: list[Summary], found: list[Finding]) -> Iterator[Finding]:
    """Vanishing and exploding, by the first look: what training then makes of it is a consequence."""
    held = _weighty(layers)
    blocked = any(f.kind == "symmetric" or (f.kind == "dead" and _over(f.evidence["zero"], "dying")) for f in found)
    if len(held) > 2:
        first, last = held[0], held[-1]
        ratio = first.first_gradient / last.first_gradient
        evidence = {"gradient": first.first_gradient, "of the last layer's": ratio}
        if ratio < LIMITS["vanishing"].value and not blocked:
            yield Finding("vanishing", first.name, evidence, _against_vanishing(layers, found))
            return
        if ratio > LIMITS["exploding"].value or _grows(layers):
            yield Finding("exploding", first.name, evidence | {"output std": layers[-1].first_std}, "initialisation")
            return
    if any(f.kind in ("inputs", "symmetric") for f in found):  # which explain it
        return
    for s in layers:
        if _over(s.first_steepness, "steep"):
            remedy = "clipping" if s.layer.kind in INNER else "initialisation"
            yield Finding("exploding", s.name, {"gradient over weights": s.first_steepness}, remedy)
            return


def _against_vanishing(layers: list[Summary], found: list[Finding]) -> str:
    """What fits: better weights where outputs shrink, another activation where slopes do, ways around in very deep networks."""
    if any(f.kind == "saturated" for f in found):
        return next(f.remedy for f in found if f.kind == "saturated")
    if len(layers) >= DEEP:
        return "residual"
    if sum(s.layer.activation == "sigmoid" for s in layers) > 1:
        return "activation"
    hidden = [s.first_std for s in layers if s.first_std]
    shrinks = len(hidden) > 2 and hidden[-1] / hidden[0] < LIMITS["tiny"].value
    return "initialisation" if shrinks or any(s.layer.kind in INNER for s in layers) else "normalisation"


def _rates(record: Record, layers: list[Summary], found: list[Finding]) -> Iterator[Finding]:
    """The learning rate, and what weight decay does."""
    lr = {} if record.lr is None else {"lr": record.lr}
    moved = [s for s in layers if s.update is not None and s.first_update is not None]
    fast = max(moved, key=lambda s: s.update, default=None)
    grown = max((s for s in layers if s.growth is not None), key=lambda s: s.growth, default=None)
    explained = any(f.kind in ("symmetric", "inputs") for f in found)  # by what makes weights, or gradients, start wrong
    if not explained:
        leap = max((s for s in layers if s.leap is not None and s.growth is not None), key=lambda s: s.leap, default=None)
        if fast is not None and _over(fast.update, "fast"):
            yield Finding("diverging", fast.name, {"update over weights": fast.update, **lr}, "learning rate down")
        elif leap is not None and _over(leap.leap, "leap"):
            yield Finding("diverging", leap.name, {"first update over weights": leap.leap, **lr}, "learning rate down")
        elif grown is not None and _over(grown.growth, "grown"):
            yield Finding("diverging", grown.name, {"weights over those at first": grown.growth, **lr}, "learning rate down")
    shrunk = [s for s in layers if _under(s.growth, "shrunk")]
    if shrunk:
        yield Finding("decaying", shrunk[0].name, {"weights over those at first": shrunk[0].growth}, "weight decay")
    if moved and not found and all(_under(s.first_update, "slow") for s in moved):
        yield Finding("stalled", "", {"update over weights": max(s.first_update for s in moved), **lr}, "learning rate up")
