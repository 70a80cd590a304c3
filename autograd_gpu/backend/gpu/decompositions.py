"""Words for inverses and factors of matrices. They are computed by LAPACK on the host, to which the matrices are copied and the
results back: for the small ones that networks meet that is no slower than cuSOLVER, which need not be installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ..cpu import decompositions as host
from .arrays import device_of, from_host
from .build import on_device

__all__ = ["cholesky", "det", "eigh", "inverse", "pinv", "qr", "slogdet", "solve", "svd"]


def _on_host(word: Callable) -> Callable:
    """The word of the CPU, for arrays of a device."""

    @wraps(word)
    def call(*arrays: Any, **options: Any) -> Any:
        on_device(*arrays)
        device = device_of(arrays[0])
        found = word(*(x.get() for x in arrays), **options)
        return tuple(from_host(x, device) for x in found) if isinstance(found, tuple) else from_host(found, device)

    return call


cholesky, det, eigh, inverse, pinv, qr, slogdet, solve, svd = (_on_host(getattr(host, name)) for name in __all__)
