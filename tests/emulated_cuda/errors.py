"""CUDA's error codes, raised as CuPy raises them."""

from __future__ import annotations

import enum
from typing import NoReturn


class Error(enum.IntEnum):
    """The codes of ``cudaError_t`` that the emulated device returns."""

    INVALID_VALUE = 1
    OUT_OF_MEMORY = 2
    INVALID_DEVICE = 101
    INVALID_HANDLE = 400
    SYMBOL_NOT_FOUND = 500
    NOT_READY = 600
    ILLEGAL_ADDRESS = 700
    CAPTURE_UNSUPPORTED = 900
    CAPTURE_INVALIDATED = 901
    CAPTURE_UNJOINED = 904
    CAPTURE_ISOLATION = 905
    CAPTURE_IMPLICIT = 906


def fail(code: Error, why: str = "") -> NoReturn:
    """Raise CuPy's CUDARuntimeError. CUDA says no more than the code; `why` is a note below it, in the traceback."""
    from cupy_backends.cuda.api.runtime import CUDARuntimeError

    error = CUDARuntimeError(int(code))
    if why:
        error.add_note(f"emulated device: {why}")
    raise error
