"""Samples of what makes tensors. See tests/samples/__init__.py; data, dtypes and errors are in tests/ops/test_create.py."""

from __future__ import annotations

from typing import Any

from . import S, f, i


def powers(torch: Any, x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """vander, whose gradient fails in PyTorch."""
    found = [x**k for k in range(len(x) if N is None else N)]
    return x.new_zeros(0, 0) if not found else torch.stack(found if increasing else found[::-1], 1)


SAMPLES = [
    S("tril", f(3, 4), ints=True),
    S("tril", f(2, 3, 3), diagonal=-1, ints=True),
    S("triu", f(4, 3), diagonal=1, ints=True),
    S("triu", f(0, 3)),
    S("clone", f(2, 3), ints=True),
    S("vander", f(3), 4, ints=True, torch=powers),
    S("vander", f(3), increasing=True, torch=powers),
    S("meshgrid", f(2), f(3), indexing="ij"),
    S("meshgrid", f(2), f(3), f(1), indexing="xy"),
    S("cartesian_prod", f(2), f(3)),
    S("combinations", f(4), 2),
    S("combinations", f(3), 2, with_replacement=True),
    S("zeros_like", f(2, 3), grad=False, ints=True),
    S("ones_like", f(2, 3), grad=False, ints=True),
    S("full_like", f(2, 3), 2, grad=False, ints=True),
    S("one_hot", i(2, 3), torch="nn.functional.one_hot", grad=False),
    S("one_hot", i(4), 7, torch="nn.functional.one_hot", grad=False),
    S("Tensor.double", f(2, 3)),
    S("Tensor.to", f(2, 3), "cpu"),
    S("Tensor.type_as", f(2, 3), i(2), grad=False),
]
