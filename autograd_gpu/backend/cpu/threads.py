"""How many threads NumPy's matrix products use."""

from __future__ import annotations

import os
import warnings
from typing import Any


def _pools() -> Any:
    """What controls the threads of the BLAS library; None without the package threadpoolctl."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")


def get_num_threads() -> int:
    """How many threads matrix products use. Everything else runs on one.

    >>> import autograd_gpu as ag
    >>> ag.get_num_threads() >= 1
    True
    """
    pools = _pools()
    counts = [pool["num_threads"] for pool in pools.info()] if pools is not None else []
    asked = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    return max(counts) if counts else int(asked) if asked.isdigit() else os.cpu_count() or 1


def set_num_threads(threads: int) -> None:
    """Let matrix products use this many threads. Takes the package threadpoolctl; without it, a warning says what else does it.

    Raises RuntimeError for less than one.

    >>> import autograd_gpu as ag
    >>> ag.set_num_threads(ag.get_num_threads())
    """
    if threads < 1:
        raise RuntimeError("set_num_threads expects a positive integer")
    pools = _pools()
    if pools is not None:
        pools.limit(limits=threads)
    elif threads != get_num_threads():
        warnings.warn(
            "set_num_threads() did nothing, for it takes a package: pip install threadpoolctl. "
            f"Or set the environment variable OPENBLAS_NUM_THREADS={threads} before Python starts.",
            stacklevel=2,
        )
