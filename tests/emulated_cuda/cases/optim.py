"""optim.cu: lists of tensors that are longer and shorter than a chunk, and empty."""

from __future__ import annotations

import math

import numpy as np

from ..array import DeviceArray, to_device
from . import TYPES, Get, case, computed, equal, normal, out, wide

TABLE = np.dtype(
    [(name, "u8", 64) for name in ("p", "g", "m", "v", "most")]
    + [("size", "i8", 64), ("first_block", "i4", 65), ("count", "i4")],
    align=True,
)
CHUNK = 4096
SIZES = (10, 5000, 0, 4096, 1, 4097, 21, 21, 21, 21, 21)
ALIGNED = 6  # so many tensors; of the others one array each is not aligned


def _table(
    t: str, moments: bool = True, state: np.dtype | None = None, positive: str = "bc", large: str = ""
) -> tuple[np.ndarray, list[list[DeviceArray]], int]:
    """The table of some tensors, the tensors in device memory in the order of its fields, and how many blocks they take.

    `state` is the dtype of their state, and `positive` says which parts of that have no negative elements,
    `large` which are about 20."""
    table, tensors, blocks = np.zeros((), TABLE), [], 0
    for i, n in enumerate(SIZES):
        arrays = [normal(n, t, 20 + i), normal(n, t, 40 + i)]
        if moments:
            moment = [normal(n, t, seed + i) for seed in (60, 80, 100)]
            moment = [np.abs(a) if slot in positive else a for slot, a in zip("abc", moment, strict=True)]
            moment = [np.abs(a) + 20 if slot in large else a for slot, a in zip("abc", moment, strict=True)]
            arrays += [a.astype(state or computed(t)) for a in moment]
        tensors.append(
            [to_device(np.append(a[:1], a)).part(1) if i - ALIGNED == k else to_device(a) for k, a in enumerate(arrays)]
        )
        for name, array in zip(TABLE.names, tensors[-1], strict=False):
            table[name][i] = array.pointer
        table["size"][i] = n
        table["first_block"][i] = blocks
        blocks += -(-n // CHUNK)
    table["first_block"][len(SIZES)] = blocks
    table["count"] = len(SIZES)
    return table, tensors, blocks


def _copies(tensors: list[list[DeviceArray]]) -> list[list[np.ndarray]]:
    return [[wide(a.host) for a in arrays] for arrays in tensors]


@case("optim.cu", "adam<T>")
def adam(get: Get, t: str) -> None:
    number, tight = computed(t), "double" if t == "double" else "float"
    step_size, beta1, beta2, eps, decay, shrink, root = (number.type(v) for v in (0.01, 0.9, 0.99, 1e-8, 0.02, 0.98, 0.5))
    for scale, maximize in ((None, 0), (0.25, 1)):
        table, tensors, blocks = _table(t)
        if scale is None:
            table["most"] = 0  # null: not wanted
        before = _copies(tensors)
        by = None if scale is None else to_device(np.array([scale], number))
        arguments = (table, step_size, beta1, beta2, eps, decay, shrink, root, by, np.int32(maximize))
        get(f"adam<{t}>")((blocks,), (96,), arguments)
        for (p, g, m, v, most), after in zip(before, tensors, strict=True):
            p = p * float(shrink)
            g = g * (1 if scale is None else scale) * (-1 if maximize else 1) + float(decay) * p
            m = float(beta1) * m + (1 - float(beta1)) * g
            v = float(beta2) * v + (1 - float(beta2)) * g * g
            equal(after[2].host, m, tight, number)
            equal(after[3].host, v, tight, number)
            if scale is not None:
                v = np.maximum(most, v)
                equal(after[4].host, v, tight, number)
            equal(after[0].host, p - float(step_size) * m / (np.sqrt(v) / float(root) + float(eps)), t)


@case("optim.cu", "sgd<T>")
def sgd(get: Get, t: str) -> None:
    number, tight = computed(t), "double" if t == "double" else "float"
    lr, dampening, decay = number.type(0.1), number.type(0.2), number.type(0.01)
    for momentum, nesterov, first, maximize in ((0, 0, 0, 0), (0.9, 0, 1, 1), (0.9, 0, 0, 0), (0.9, 1, 0, 0)):
        table, tensors, blocks = _table(t, moments=momentum != 0)
        before = _copies(tensors)
        scale = to_device(np.array([0.5], number))
        arguments = (
            table,
            lr,
            number.type(momentum),
            dampening,
            decay,
            scale,
            np.int32(nesterov),
            np.int32(first),
            np.int32(maximize),
        )
        get(f"sgd<{t}>")((blocks,), (96,), arguments)
        mu = float(number.type(momentum))
        for (p, g, *moments), after in zip(before, tensors, strict=True):
            g = g * (-0.5 if maximize else 0.5) + float(decay) * p
            if momentum:
                m = g if first else mu * moments[0] + (1 - float(dampening)) * g
                equal(after[2].host, m, tight, number)
                g = g + mu * m if nesterov else m
            equal(after[0].host, p - float(lr) * g, t)


def _sign(x: np.ndarray) -> np.ndarray:
    return np.sign(x)


# functor -> (its numbers, what of its state there is, the formula: (p, g, a, b, c, *numbers) -> (step, a, b, c))
FUNCTORS: dict[str, tuple] = {
    "Adamax": (
        (0.9, 0.99, 1e-3, 0.1),
        "ab",
        lambda p, g, a, b, c, b1, b2, eps, lr: (
            lr * (m := b1 * a + (1 - b1) * g) / (u := np.maximum(b2 * b, np.abs(g) + eps)), m, u, c),
    ),
    "NAdam": (
        (0.9, 0.99, 1e-3, 0.5, 0.1, 0.2),
        "ab",
        lambda p, g, a, b, c, b1, b2, eps, root, rate, mean_rate: (
            (rate * g + mean_rate * (m := b1 * a + (1 - b1) * g)) / (np.sqrt(v := b2 * b + (1 - b2) * g * g) / root + eps),
            m, v, c),
    ),
    "RAdam": (
        (0.9, 0.99, 1e-3, 0.1, 1.0),
        "ab",
        lambda p, g, a, b, c, b1, b2, eps, lr, adaptive: (
            lr * (m := b1 * a + (1 - b1) * g) / (np.sqrt(v := b2 * b + (1 - b2) * g * g) + eps), m, v, c),
    ),
    "RMSprop": (
        (0.1, 0.9, 0.1, 0.8, 1.0, 1.0),
        "abc",
        lambda p, g, a, b, c, lr, alpha, eps, mu, has_b, has_c: (
            lr * (m := mu * b + g / (np.sqrt(
                (v := alpha * a + (1 - alpha) * g * g) - (e := alpha * c + (1 - alpha) * g) ** 2) + eps)), v, m, e),
    ),
    "Adagrad": ((0.1, 1e-3), "a", lambda p, g, a, b, c, lr, eps: (lr * g / (np.sqrt(s := a + g * g) + eps), s, b, c)),
    "Adadelta": (
        (0.5, 0.9, 1e-3),
        "ab",
        lambda p, g, a, b, c, lr, rho, eps: (
            lr * (d := g * np.sqrt(b + eps) / np.sqrt((v := rho * a + (1 - rho) * g * g) + eps)), v,
            rho * b + (1 - rho) * d * d, c),
    ),
    "Rprop": (
        (0.5, 1.2, 1e-3, 1.0),
        "ab",
        lambda p, g, a, b, c, down, up, low, high: (
            _sign(kept := np.where(g * a < 0, 0, g)) * (size := np.clip(b * np.where(g * a > 0, up, np.where(g * a < 0, down, 1)),
                                                                        low, high)), kept, size, c),
    ),
    "ASGD": ((0.1, 0.25), "a", lambda p, g, a, b, c, eta, mu: (eta * g, a + mu * (p - eta * g - a), b, c)),
    "Lion": (
        (0.1, 0.9, 0.99),
        "a",
        lambda p, g, a, b, c, lr, b1, b2: (lr * _sign(b1 * a + (1 - b1) * g), b2 * a + (1 - b2) * g, b, c),
    ),
}  # fmt: skip


def _update(functor: str) -> None:
    numbers, kept, formula = FUNCTORS[functor]

    def update(get: Get, t: str) -> None:
        number, decay, shrink = computed(t), 0.02, 0.98
        given = np.zeros((), np.dtype([("r", number, 8)], align=True))
        given["r"][: len(numbers)] = numbers
        for maximize in (0, 1):
            positive = "" if functor in ("ASGD", "Lion") else "b" if functor == "Rprop" else "ab"
            table, tensors, blocks = _table(t, state=TYPES[t], positive=positive, large="a" if functor == "RMSprop" else "")
            for slot, name in zip("abc", ("m", "v", "most"), strict=True):
                if slot not in kept:
                    table[name] = 0  # null: not kept
            before = _copies(tensors)
            get(f"update<{t},{t},{functor}>")(
                (blocks,), (96,), (table, given, number.type(decay), number.type(shrink), np.int32(maximize))
            )
            for (p, g, *state), after in zip(before, tensors, strict=True):
                g = (-g if maximize else g) + float(number.type(decay)) * p
                p = p * float(number.type(shrink))
                step, *state = formula(p, g, *state, *(float(number.type(n)) for n in numbers))
                for slot, value, array in zip("abc", state, after[2:], strict=True):
                    if slot in kept:
                        equal(array.host, value, t)
                equal(after[0].host, p - step, t)

    case("optim.cu", f"update<T,T,{functor}>", name=f"update_{functor}")(update)


for _functor in FUNCTORS:
    _update(_functor)


@case("optim.cu", "squares<T>")
def squares(get: Get, t: str) -> None:
    table, tensors, blocks = _table(t, moments=False)
    parts = out(blocks, computed(t))
    get(f"squares<{t}>")((blocks,), (96,), (table, parts))
    chunks = [wide(g.host)[i : i + CHUNK] for _, g in tensors for i in range(0, g.host.size, CHUNK)]
    equal(parts.host, np.array([(c * c).sum() for c in chunks]), "double" if t == "double" else "float", computed(t))


@case("optim.cu", "rescale<T>")
def rescale(get: Get, t: str) -> None:
    table, tensors, blocks = _table(t, moments=False)
    before = _copies(tensors)
    get(f"rescale<{t}>")((blocks,), (96,), (table, to_device(np.array([0.3], computed(t)))))
    for (p, _), after in zip(before, tensors, strict=True):
        equal(after[0].host, p * float(computed(t).type(0.3)), t)


@case("optim.cu", "total_norm<T>", types=("float", "double"))
def total_norm(get: Get, t: str) -> None:
    for count in (1, 7, 301):
        parts = np.abs(normal(count, t, 13))
        for max_norm in (0.5, 1e6):
            result = out(2, TYPES[t])
            get(f"total_norm<{t}>")((1,), (96,), (to_device(parts), np.int32(count), result, TYPES[t].type(max_norm)))
            norm = math.sqrt(wide(parts).sum())
            equal(result.host, np.array([norm, min(1.0, max_norm / (norm + 1e-6))]), t)
