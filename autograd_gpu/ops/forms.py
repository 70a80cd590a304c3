"""Bilinear forms."""

from __future__ import annotations

from math import prod

from ..core.graph import words
from ..core.tensor import Tensor
from .linalg import check_tensors
from .shape import shaped

__all__ = ["bilinear"]
METHODS: tuple[str, ...] = ()
IN_PLACE: tuple[str, ...] = ()


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input1 @ weight[k] @ input2 for each k, plus bias (out): (*, in1), (*, in2) and (out, in1, in2) to (*, out).

    Raises RuntimeError for shapes that do not fit.

    >>> import autograd_gpu as ag
    >>> ag.bilinear(ag.tensor([[1.0, 2.0]]), ag.tensor([[3.0]]), ag.ones(1, 2, 1))
    tensor([[9.]])
    """
    check_tensors("bilinear", input1=input1, input2=input2, weight=weight)
    one, two, form = input1.array.shape, input2.array.shape, weight.array.shape
    if len(one) != len(two) or not one:
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {len(one)} and {len(two)}")
    for i, (m, n) in enumerate(zip(one[:-1], two[:-1], strict=True)):
        if m != n:
            raise RuntimeError(f"bilinear(): input batch dimensions do not match at dim {i}: got {m} and {n}")
    if len(form) != 3:
        raise RuntimeError(f"bilinear(): weight must have 3 dimensions (out, in1, in2), but its shape is {list(form)}")
    for k, (shape, wanted) in enumerate(((one, form[1]), (two, form[2])), 1):
        if shape[-1] != wanted:
            raise RuntimeError(f"bilinear(): input{k} size does not match weight size: got {shape[-1]} but expected {wanted}")
    if bias is not None and bias.array.shape != form[:1]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {list(bias.array.shape)} but expected {form[0]}"
        )
    out, m, n = form
    rows = prod(one[:-1])
    left = words.matmul(shaped(input1, (rows, m)), shaped(words.transpose(weight, axes=(1, 0, 2)), (m, out * n)))
    product = words.matmul(shaped(left, (rows, out, n)), shaped(input2, (rows, n, 1)))
    product = shaped(product, (*one[:-1], out))
    return product if bias is None else product + bias
