"""How an op is declared. `dispatch` and `fast` tell how a call of one is computed and recorded.

An op is a function of raw arrays over a vocabulary `xp`, with a rule beside it for each input that has a gradient:

    @elementwise(a=lambda xp, g, b: g * b, b=lambda xp, g, a: g * a)
    def mul(xp, a, b):
        '''The product, element by element.'''
        return xp.multiply(a, b)

A body of `...` stands for the word of the same name: `return xp.mul(a, b)`, without the cost of a call in between.

The decorator states the shape of the Jacobian; the rule gives the gradient of its input from `g`, the gradient of the output.

NOTE [What a rule names is what is saved]
    The parameters of a rule after `xp, g` are what the op keeps for backward, and nothing else is kept:
    1. the name of an input: its array;  2. `out`, or a name from `outputs`: what the op computed;
    3. `<input>_shape`: the shape alone;  4. the name of a keyword: its value.
    Any other name fails at import. Which rules run depends on which inputs need a gradient, and only what those rules name
    is saved: `x * w` with constant x keeps x and not w. One such choice is a Plan, made once and kept in the op.

NOTE [Residue]
    The one exception: the fused forward of an op declared with residue=True may return (out, residue), and its fused backward
    is then given `residue`, else None. The rule, and with it higher orders, knows nothing of it. For what is dear to compute
    again and small, as the exponentials of a few logits.
    It may also be an `Instead`: the op's first input can be made of other arrays that live anyway, most often its output, and
    is not kept. `Plan.restored` puts it back for the rule. A write into the output that the caller may make, for he knows
    nothing of this, is no error: core.inplace NOTE [In place], rule 6. Or `Unwritten`: the output again, for what it spares.

NOTE [One text, several meanings]
    Rules run over raw arrays in an ordinary backward, and over Tensors, which record, under create_graph: then `xp` is
    `words`, the namespace of the ops themselves. So a rule may use operators and the words of the vocabulary, and must not
    write into anything. Every op is a word under its own name (without the underscore that marks an op which a public
    function of the same name wraps), and the words' keywords are NumPy's: axis, keepdims.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .dispatch import any_arity, attach, general
from .fast import fast
from .graph import words
from .op import PUBLIC, Op, parameters

__all__ = ["attach", "bilinear", "elementwise", "general", "linear", "nondifferentiable", "primitive"]


def _declare(op: Op) -> Callable:
    """The function that calls `op`, which becomes a word of the Tensors' vocabulary."""
    call = any_arity(op) if op.variadic or op.several else fast(op)
    call.op = op
    call.__name__ = call.__qualname__ = op.name
    call.__module__ = op.forward.__module__
    call.__doc__ = op.forward.__doc__
    call.__annotations__ = {PUBLIC.get(name, name): hint for name, hint in op.forward.__annotations__.items() if name != "xp"}
    if hasattr(words, op.name):
        raise TypeError(f"there are two ops named {op.name}")
    setattr(words, op.name, call)
    return call


def _decorator(kind: str, rule: Callable | None, rules: dict[str, Callable], **options: Any) -> Callable:
    def decorate(forward: Callable) -> Callable:
        given = rules
        if rule is not None:
            inputs, star, _ = parameters(forward)
            given = {(inputs[1:] or [star])[0]: rule}
        return _declare(Op(forward, given, kind, **options))

    return decorate


def elementwise(
    rule: Callable | None = None,
    *,
    promote: Any = True,
    errors: Callable | None = None,
    residue: bool = False,
    **rules: Callable,
) -> Callable:
    """Declare an op whose output element depends on the elements at the same place alone (after broadcasting).

    The Jacobian is diagonal, so the rule that pulls g back also pushes a tangent forward. Inputs are promoted to one dtype.
    A single positional rule is that of the first input. `residue`: see NOTE [Residue]."""
    return _decorator("elementwise", rule, rules, promote=promote, errors=errors, residue=residue)


def linear(
    rule: Callable | None = None,
    *,
    view: bool = False,
    promote: Any = False,
    outputs: Any = "out",
    moves: bool = False,
    **rules: Callable,
) -> Callable:
    """Declare an op that is linear in the inputs it has rules for, so that its JVP is itself. `view`: the output may share
    memory with the first input. `moves`: it may be on another device."""
    return _decorator("linear", rule, rules, view=view, promote=promote, outputs=outputs, moves=moves)


def bilinear(*, promote: Any = False, errors: Callable | None = None, **rules: Callable) -> Callable:
    """Declare an op that is linear in each of two inputs: its JVP is f(da, b) + f(a, db).

    `errors(*inputs)`, here and in `primitive`, raises PyTorch's error for inputs that the op does not take. It is asked where the
    forward raised, and where dtypes differ, which are then not promoted."""
    return _decorator("bilinear", None, rules, promote=promote, errors=errors)


def primitive(
    rule: Callable | None = None,
    *,
    jvp: Any = None,
    outputs: Any = "out",
    promote: Any = False,
    errors: Callable | None = None,
    residue: bool = False,
    **rules: Callable,
) -> Callable:
    """Declare any other differentiable op. jvp: "symmetric" if the Jacobian is its own transpose, or a function
    (xp, tangents, ...) -> tangent. `residue`: see NOTE [Residue]. `outputs` names the outputs of an op with several, or is
    "*" for any number."""
    return _decorator("primitive", rule, rules, jvp=jvp, outputs=outputs, promote=promote, errors=errors, residue=residue)


def nondifferentiable(*, promote: Any = False, outputs: Any = "out") -> Callable:
    """Declare an op that has no gradient: comparisons, rounding to integers, searches."""
    return _decorator("nondifferentiable", None, {}, promote=promote, outputs=outputs)
