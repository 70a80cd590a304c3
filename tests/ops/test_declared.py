"""What is declared of ops is true and complete: samples for all, words for all rules, the shape of each Jacobian."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.backend import cpu
from autograd_gpu.core.graph import words
from autograd_gpu.core.op import Op
from autograd_gpu.core.tensor import Tensor

from ..samples import discover
from ..support import Call, cotangents, gradients, graph_of

# public functions whose results cannot be compared number by number, or that make tensors: they have tests of their own
WITHOUT_SAMPLES = {
    "create": "makes tensors from no tensor: tests/ops/test_create.py",
    "random": "random: tests/ops/test_random.py",
    "generator": "random: tests/ops/test_random.py",
    "grid": "makes tensors from no tensor: tests/ops/test_create.py",
    "legacy": "makes tensors from no tensor: tests/ops/test_legacy.py",
    "gumbel": "random: tests/nn/test_losses.py",
    "overwriting": "write into their inputs: tests/nn/test_activation.py",
}
EXCEPTIONS = {
    "from_dlpack": "tests/ops/test_convert.py",
    "is_nonzero": "tests/ops/test_legacy.py",
    "is_same_size": "tests/ops/test_legacy.py",
    "is_signed": "tests/ops/test_legacy.py",
    "is_tensor": "tests/ops/test_convert.py",
    "broadcast_shapes": "tests/core/test_dispatch.py",
}
# ops that only the package itself calls, from other places than ops and rules
UNREACHED = {
    "put_view": "core.inplace: tests/core/test_inplace.py",
    "custom_view": "core.inplace, has a rule that raises: tests/core/test_function.py",
    "overwrite": "x[...] = v: tests/core/test_inplace.py",
    "contiguous": "does something only for arrays that are not: tests/core/test_inplace.py",
    "move": "to another device, of which tests have none",
}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def all_ops() -> dict[str, Op]:
    """Every op, by the name of its word; those that tests declare are left out."""
    found = {name: getattr(call, "op", None) for name, call in vars(words).items() if not name.startswith("test_")}
    return {name: op for name, op in sorted(found.items()) if op is not None}


def test_every_public_function_has_a_sample() -> None:
    sampled = {name for sample in discover() for name in (sample.name, sample.name.rpartition(".")[2])}
    missing = []
    for family in ag.ops.FAMILIES:
        if family.__name__.rpartition(".")[2] in WITHOUT_SAMPLES:
            continue
        for name in family.__all__:
            function = getattr(family, name)
            aliases = {n for n in family.__all__ if getattr(family, n) is function}
            if callable(function) and not inspect.isclass(function) and not aliases & sampled and name not in EXCEPTIONS:
                missing.append(f"{family.__name__.rpartition('.')[2]}.{name}")
    assert not missing, f"{len(missing)} functions without a line in tests/samples: {missing}"


def test_every_name_in_all_exists() -> None:
    for family in ag.ops.FAMILIES:
        assert len(set(family.__all__)) == len(family.__all__), family.__name__
        for name in family.__all__:
            assert hasattr(family, name), f"{family.__name__}.{name}"
        for name in (*family.METHODS, *family.IN_PLACE):
            assert hasattr(family, name), f"{family.__name__}: METHODS or IN_PLACE names {name}"


# -- the rules ----------------------------------------------------------------------------------------------------------------


def test_every_rule_is_exercised() -> None:
    """Between first and second order, the samples run every rule of every op."""
    ran: set[tuple[str, str]] = set()
    for sample in discover():
        if not sample.grad:
            continue
        call = Call(sample)
        ours = call.ours(call.cast(np.dtype("float64")))
        tensors = ours.recorded
        if tensors and sample.second:
            weights = [Tensor(w.astype(t.dtype)).requires_grad_() for w, t in zip(cotangents(ours), tensors, strict=True)]
            tensors = [*tensors, *gradients(ours, weights, create=True)]
        for node in graph_of(tensors):
            if hasattr(node.plan, "mask"):
                ran |= {(node.plan.op.name, node.plan.op.input_name(i)) for i in node.plan.needed}
    wanted = {(op.name, name) for word, op in all_ops().items() for name in op.rules if word not in UNREACHED}
    assert not wanted - ran, f"rules that no sample runs: {sorted(wanted - ran)}"


def words_of(function: Callable, place: int, seen: set | None = None) -> Iterator[str]:
    """The names that a function looks up on its argument at `place`, and that what it calls with it looks up."""
    seen = set() if seen is None else seen
    code = getattr(function, "__code__", None)
    if code is None or (code, place) in seen or place >= code.co_argcount + code.co_kwonlyargcount:
        return
    seen.add((code, place))
    xp = code.co_varnames[place]
    for inner in [code, *[c for c in code.co_consts if inspect.iscode(c)]]:
        before: Any = None
        for instruction in dis.get_instructions(inner):
            if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") and before == xp:
                yield instruction.argval
            if instruction.opname.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_CLOSURE")):
                value = instruction.argval
                before = value[-1] if isinstance(value, tuple) else value
            elif not instruction.opname.startswith(("CACHE", "EXTENDED", "PUSH_NULL", "COPY_FREE")):
                before = None
        for name in inner.co_names:  # helpers that take xp too
            helper = function.__globals__.get(name)
            if inspect.isfunction(helper):
                for k, parameter in enumerate(inspect.signature(helper).parameters):
                    if parameter == "xp":
                        yield from words_of(helper, k, seen)


def test_the_walker_sees_words() -> None:
    def helper(a: Any, xp: Any) -> Any:
        return xp.third(a)

    words_of.__globals__["test_helper_of_words"] = helper
    rule = eval(
        "lambda xp, g, x: xp.first(g * xp.second(x), *[xp.inner(y) for y in x]) + test_helper_of_words(g, xp)",
        words_of.__globals__,
    )
    assert {"first", "second", "third"} <= set(words_of(rule, 0))


def test_every_word_in_a_rule_exists_on_both_sides() -> None:
    """A rule runs over arrays and over Tensors: each word in it is in the vocabulary of arrays and is an op."""
    missing = []
    for name, op in all_ops().items():
        for wanted, rule in op.rules.items():
            for word in words_of(rule.function, 0):
                if not hasattr(cpu, word):
                    missing.append(f"the rule of {name} for {wanted} says xp.{word}: not a word of arrays")
                if not hasattr(words, word):
                    missing.append(f"the rule of {name} for {wanted} says xp.{word}: not an op")
        if op.is_word:
            if not hasattr(cpu, name):
                missing.append(f"{name} is left to a word that does not exist")
        else:
            missing += [
                f"{name} says xp.{word}: not a word of arrays" for word in words_of(op.forward, 0) if not hasattr(cpu, word)
            ]
    assert not missing, "\n".join(sorted(set(missing)))


def test_rules_hold_no_arrays() -> None:
    """What a rule needs it names: nothing comes in through a closure, a default or a global array."""
    for name, op in all_ops().items():
        for rule in op.rules.values():
            captured = [c.cell_contents for c in rule.function.__closure__ or ()] + list(rule.function.__defaults__ or ())
            captured += [rule.function.__globals__.get(n) for n in rule.function.__code__.co_names]
            assert not any(isinstance(value, (np.ndarray, Tensor)) for value in captured), name


def test_rules_use_no_numpy() -> None:
    for name, op in all_ops().items():
        for rule in op.rules.values():
            assert "np" not in rule.function.__code__.co_names, f"a rule of {name} uses NumPy: it cannot be differentiated again"


# -- the shapes of the Jacobians ---------------------------------------------------------------------------------------------


def calls_of_ops() -> dict[str, list[tuple]]:
    """Every call of an op over arrays that the samples make: (arrays, keywords, result), a few of each op."""
    calls: dict[str, list[tuple]] = {}
    lanes = {name: op.lanes[np.ndarray] for name, op in all_ops().items() if op.rules}
    plain = {name: lane.forward for name, lane in lanes.items()}

    def spy(name: str) -> Callable:
        def forward(*arrays: Any, **keywords: Any) -> Any:
            held = [a.copy() if isinstance(a, np.ndarray) else a for a in arrays]
            out = plain[name](*arrays, **keywords)
            if len(calls.setdefault(name, [])) < 40:
                calls[name].append((held, keywords, out))
            return out

        return forward

    try:
        for name, lane in lanes.items():
            lane.forward = spy(name)
        for sample in discover():
            call = Call(sample)
            call.ours(call.cast(np.dtype("float64")))
    finally:
        for name, lane in lanes.items():
            lane.forward = plain[name]
    return calls


CHECKED = ("elementwise", "linear", "bilinear")
STEP = 1e-6


@pytest.fixture(scope="module")
def calls() -> dict[str, list[tuple]]:
    return calls_of_ops()


def outputs(out: Any) -> list[np.ndarray]:
    return [np.asarray(o) for o in (out if isinstance(out, (tuple, list)) else [out])]


def jvp(op: Op, arrays: list, keywords: dict, out: Any, tangents: dict[int, np.ndarray]) -> list[np.ndarray]:
    """The tangent of the output as the kind of the op says it."""
    run = op.lanes[np.ndarray].forward
    if op.kind == "linear":
        return outputs(run(*[tangents.get(i, a) for i, a in enumerate(arrays)], **keywords))
    if op.kind == "bilinear":
        parts = [outputs(run(*[t if j == i else a for j, a in enumerate(arrays)], **keywords)) for i, t in tangents.items()]
    else:  # the rule itself pushes forward
        known = {**dict(zip(op.inputs, arrays, strict=False)), **op.keywords, **keywords}
        known |= {f"{n}_shape": np.shape(a) for n, a in zip(op.inputs, arrays, strict=False)}
        known |= dict(zip(op.outputs, outputs(out), strict=False))
        parts = []
        for i, t in tangents.items():
            rule = op.rules[op.input_name(i)]
            wide = np.broadcast_to(t, outputs(out)[0].shape) if op.kind == "elementwise" else t
            pushed = rule.function(cpu, wide, *[known[n] for n in rule.names])
            parts.append([np.zeros(outputs(out)[0].shape) if pushed is None else pushed])
    return [sum(p) for p in zip(*parts, strict=True)]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("name", [n for n, op in all_ops().items() if op.rules and (op.kind in CHECKED or op.jvp == "symmetric")])
def test_the_jacobian_has_the_declared_shape(name: str, calls: dict) -> None:
    """elementwise and symmetric: the rule applied to a tangent, linear: the op itself, bilinear: f(da, b) + f(a, db), give the
    directional derivative."""
    op = all_ops()[name]
    rng = np.random.default_rng(1)
    run = op.lanes[np.ndarray].forward
    for arrays, keywords, out in calls.get(name, ()):
        places = [i for i, a in enumerate(arrays) if op.differentiable(i) and isinstance(a, np.ndarray) and a.dtype == np.float64]
        if not places or any(
            op.differentiable(i) and getattr(a, "dtype", None) != np.float64 for i, a in enumerate(arrays) if a is not None
        ):
            continue
        tangents = {i: rng.uniform(-1, 1, arrays[i].shape) for i in places}
        above, below = ([a + s * STEP * tangents[i] if i in tangents else a for i, a in enumerate(arrays)] for s in (1, -1))
        expected = [
            np.where(p == m, 0.0, (np.asarray(p) - np.asarray(m)) / (2 * STEP))  # infinities too may stay where they are
            for p, m in zip(outputs(run(*above, **keywords)), outputs(run(*below, **keywords)), strict=True)
            if np.asarray(p).dtype == np.float64
        ]
        for got, e in zip(jvp(op, arrays, keywords, out, tangents), expected, strict=False):
            scale = max(1.0, np.abs(e[np.isfinite(e)]).max(initial=0.0))
            np.testing.assert_allclose(got, e, 1e-5, 1e-5 * scale, err_msg=f"{name} {keywords} {[np.shape(a) for a in arrays]}")


def test_kinds_are_known() -> None:
    for name, op in all_ops().items():
        assert op.kind in (*CHECKED, "primitive", "nondifferentiable"), name
        assert not op.rules or op.kind != "nondifferentiable", name
