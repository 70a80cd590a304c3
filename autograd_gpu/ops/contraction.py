"""einsum: sums of products in Einstein's notation, as matrix products.

Each operand is first brought to one dimension a label: diagonals are taken of labels that it repeats, and a dimension of size 1
whose label is larger elsewhere is dropped, which is what broadcasting means here. Then operands are multiplied two at a time,
from the left. Of the labels of two, those in both and still wanted are a batch, those in both and wanted no more are summed:
so each step is a product of two batches of matrices.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from math import prod
from typing import Any

from ..core.graph import words
from ..core.tensor import Tensor

# A label is a letter, or an int for a dimension of the ellipsis: -1 for the last one, -2 for that before it, and so on.
Labels = list[Any]


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Multiply the operands and sum, as an equation says: `"bij,bjk->bik"` are products of matrices, `"ii"` is a trace.

    A letter names a dimension; letters not in the output are summed over. Without `->` the output has the letters that occur
    once, sorted. `...` stands for any dimensions, which broadcast. Also as `einsum(a, [0, 1], b, [1, 2], [0, 2])`.
    Raises RuntimeError for equations and shapes that do not fit.

    >>> import autograd_gpu as ag
    >>> ag.einsum("ij,j->i", ag.tensor([[1.0, 2.0], [3.0, 4.0]]), ag.tensor([1.0, 10.0]))
    tensor([21., 43.])
    """
    if isinstance(equation, Tensor):
        equation, operands = _from_lists((equation, *operands))
    if len(operands) == 1 and not isinstance(operands[0], Tensor):
        operands = tuple(operands[0])
    if not operands:
        raise RuntimeError("einsum(): must provide at least one operand")
    terms, output = _parse(equation, operands)
    sizes = _sizes(terms, operands)
    factors = [_one_dimension_a_label(x, labels, sizes) for x, labels in zip(operands, terms, strict=True)]
    x, labels = factors[0]
    for i, (y, of_y) in enumerate(factors[1:], 1):
        wanted = {*output, *(label for _, later in factors[i + 1 :] for label in later)}
        x, labels = _multiply(x, labels, y, of_y, wanted)
    x, labels = _sum_unwanted(x, labels, set(output))
    x = _arranged(x, labels, [label for label in output if label in labels])
    shape = tuple(sizes[label] for label in output)
    return x if x.array.shape == shape else words.broadcast_to(_with_ones(x, labels, output), shape=shape)


# -- the equation ----------------------------------------------------------------------------------------------------------


def _from_lists(given: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """The equation and the operands of `einsum(a, [0, 1], b, [1, 2], [0, 2])`."""

    def text(numbers: Sequence[Any]) -> str:
        for n in numbers:
            if n is not Ellipsis and not 0 <= n < 52:
                raise RuntimeError(f"einsum(): invalid subscript {n}: subscripts must be in range [0, 52)")
        return "".join("..." if n is Ellipsis else (string.ascii_uppercase + string.ascii_lowercase)[n] for n in numbers)

    operands = given[: len(given) // 2 * 2 : 2]
    equation = ",".join(text(numbers) for numbers in given[1::2])
    return (equation + "->" + text(given[-1]) if len(given) % 2 else equation), tuple(operands)


def _parse(equation: str, operands: Sequence[Tensor]) -> tuple[list[Labels], Labels]:
    """The labels of each operand and of the output."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        than = "more" if len(operands) > len(terms) else "fewer"
        raise RuntimeError(f"einsum(): {than} operands were provided than specified in the equation")
    parsed, most = [], 0
    for i, (term, x) in enumerate(zip(terms, operands, strict=True)):
        head, dots, tail = _letters(term, equation, f"operand {i}")
        hidden = x.ndim - len(head) - len(tail)
        if hidden < 0 or (hidden and not dots):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({len(head) + len(tail)}) "
                + ("is more than" if dots else "does not match")
                + f" the number of dimensions ({x.ndim}) for operand {i}"
                + ("" if dots else " and no ellipsis was given")
            )
        most = max(most, hidden)
        parsed.append([*head, *range(-hidden, 0), *tail])
    if arrow:
        head, dots, tail = _letters(right, equation, "the output")
        output = [*head, *(range(-most, 0) if dots else ()), *tail]
    else:
        letters = left.replace(",", "").replace(".", "")
        output = [*range(-most, 0), *sorted(c for c in set(letters) if letters.count(c) == 1)]
    known = {label for labels in parsed for label in labels}
    for label in output:
        if output.count(label) > 1:
            raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
        if label not in known:
            raise RuntimeError(f"einsum(): output subscript {label} does not appear in the equation for any input operand")
    return parsed, output


def _letters(term: str, equation: str, where: str) -> tuple[str, str, str]:
    head, dots, tail = term.partition("...")
    for c in head + tail:
        if c not in string.ascii_letters:
            if c == ".":
                raise RuntimeError(f"einsum(): found '.' for {where} that is not part of any ellipsis")
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {equation.index(c)} in the equation string, subscripts must be in "
                "[a-zA-Z]"
            )
    return head, dots, tail


def _sizes(terms: list[Labels], operands: Sequence[Tensor]) -> dict[Any, int]:
    """The size of each label: that of its dimensions, of which some may be 1."""
    sizes: dict[Any, int] = {}
    for i, (labels, x) in enumerate(zip(terms, operands, strict=True)):
        for label, n in zip(labels, x.array.shape, strict=True):
            known = sizes.get(label, 1)
            if known != n and 1 not in (known, n):
                name = "..." if isinstance(label, int) else label
                raise RuntimeError(
                    f"einsum(): subscript {name} has size {n} for operand {i} which does not broadcast with previously seen size "
                    f"{known}"
                )
            sizes[label] = n if known == 1 else known
    return sizes


# -- the sums and products ---------------------------------------------------------------------------------------------------


def _one_dimension_a_label(x: Tensor, labels: Labels, sizes: dict[Any, int]) -> tuple[Tensor, Labels]:
    labels = list(labels)
    shape = x.array.shape
    for label, n in zip(labels, shape, strict=True):
        if labels.count(label) > 1 and n != sizes[label]:
            raise RuntimeError(
                f"einsum(): subscript {label} is repeated for operand of shape {list(shape)}, but the sizes don't match"
            )
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = words.diagonal(x, offset=0, axis1=first, axis2=second)
            del labels[second], labels[first]
            labels.append(label)
    wide = [(label, n) for label, n in zip(labels, x.array.shape, strict=True) if n == sizes[label]]
    if len(wide) < len(labels):
        x, labels = words.reshape(x, shape=tuple(n for _, n in wide)), [label for label, _ in wide]
    return x, labels


def _sum_unwanted(x: Tensor, labels: Labels, wanted: set) -> tuple[Tensor, Labels]:
    axes = tuple(i for i, label in enumerate(labels) if label not in wanted)
    return (words.sum(x, axis=axes), [label for label in labels if label in wanted]) if axes else (x, labels)


def _arranged(x: Tensor, labels: Labels, order: Labels) -> Tensor:
    """x with its dimensions in the order given, which has all of them."""
    return x if labels == order else words.transpose(x, axes=tuple(labels.index(label) for label in order))


def _with_ones(x: Tensor, labels: Labels, order: Labels) -> Tensor:
    sizes = iter(x.array.shape)
    return words.reshape(x, shape=tuple(next(sizes) if label in labels else 1 for label in order))


def _multiply(x: Tensor, of_x: Labels, y: Tensor, of_y: Labels, wanted: set) -> tuple[Tensor, Labels]:
    """The product of two, summed over the labels that nothing else wants."""
    x, of_x = _sum_unwanted(x, of_x, wanted | set(of_y))
    y, of_y = _sum_unwanted(y, of_y, wanted | set(of_x))
    batch = [label for label in of_x if label in of_y and label in wanted]
    summed = [label for label in of_x if label in of_y and label not in wanted]
    rows = [label for label in of_x if label not in of_y]
    columns = [label for label in of_y if label not in of_x]
    sizes = dict(zip(of_x + of_y, x.array.shape + y.array.shape, strict=True))

    def matrices(z: Tensor, labels: Labels, *groups: Labels) -> Tensor:
        z = _arranged(z, labels, [label for group in groups for label in group])
        shape = tuple(prod(sizes[label] for label in group) for group in groups if group is not batch or batch)
        return z if z.array.shape == shape else words.reshape(z, shape=shape)

    result = batch + rows + columns
    shape = tuple(sizes[label] for label in result)
    if not summed:  # nothing to add up: broadcasting will do
        wide_x = _with_ones(_arranged(x, of_x, batch + rows), batch + rows, result)
        wide_y = _with_ones(_arranged(y, of_y, batch + columns), batch + columns, result)
        return wide_x * wide_y, result
    out = words.matmul(matrices(x, of_x, batch, rows, summed), matrices(y, of_y, batch, summed, columns))
    return out if out.array.shape == shape else words.reshape(out, shape=shape), result
