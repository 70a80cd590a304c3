"""Settings of the libraries behind the ops, under PyTorch's names, so that programs that set them run. One has an effect:
`cuda.matmul.allow_tf32`. The others are taken and kept, and say at their place why nothing hangs on them.

>>> import autograd_gpu as ag
>>> ag.backends.cudnn.benchmark = True
>>> ag.backends.mps.is_available()
False
"""

from __future__ import annotations

from . import cuda, cudnn, mps

__all__ = [
    "are_deterministic_algorithms_enabled",
    "cuda",
    "cudnn",
    "get_float32_matmul_precision",
    "mps",
    "set_float32_matmul_precision",
    "use_deterministic_algorithms",
]

PRECISIONS = ("highest", "high", "medium")


def set_float32_matmul_precision(precision: str) -> None:
    """How exactly float32 matrices are multiplied on CUDA: "highest" in float32, "high" and "medium" in TF32.

    >>> import autograd_gpu as ag
    >>> ag.set_float32_matmul_precision("highest")
    """
    if precision not in PRECISIONS:
        raise ValueError(f"{precision!r} is no precision of matrix products: it should be one of {', '.join(PRECISIONS)}")
    cuda.matmul.allow_tf32 = precision != "highest"


def get_float32_matmul_precision() -> str:
    """How exactly float32 matrices are multiplied on CUDA: "highest", or "high" where TF32 is allowed.

    >>> import autograd_gpu as ag
    >>> ag.get_float32_matmul_precision()
    'highest'
    """
    return "high" if cuda.matmul.allow_tf32 else "highest"


_deterministic = [False]


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for results that repeat bit for bit. They do so in any case: what was asked is kept and changes nothing.

    >>> import autograd_gpu as ag
    >>> ag.use_deterministic_algorithms(False)
    """
    _deterministic[0] = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` was last told.

    >>> import autograd_gpu as ag
    >>> ag.are_deterministic_algorithms_enabled()
    False
    """
    return _deterministic[0]
