"""PyTorch's table of result types. Unlike NumPy's, integers never widen a floating type: int64 with float16 is float16."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

bfloat16 = np.dtype(ml_dtypes.bfloat16)
float16, float32, float64 = np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)
int32, int64, boolean = np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.bool_)
complex64, complex128 = np.dtype(np.complex64), np.dtype(np.complex128)

_CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2, "V": 2, "c": 3}  # bfloat16 is of NumPy's kind V

default_dtype = [float32]


@cache
def category(dtype: np.dtype) -> int:
    """0 for bool, 1 for integers, 2 for floating point, 3 for complex."""
    return _CATEGORY[dtype.kind]


@cache
def promote_types(a: np.dtype, b: np.dtype) -> np.dtype:
    """The smallest dtype that PyTorch gives to a result of both.

    >>> promote_types(np.dtype("int64"), np.dtype("float16"))
    dtype('float16')
    """
    if a == b:
        return a
    high, low = (a, b) if category(a) >= category(b) else (b, a)
    if category(high) == category(low):
        return float32 if {a, b} == {float16, bfloat16} else np.promote_types(a, b)
    if high == complex64 and low == float64:
        return complex128
    return high


def scalar_dtype(value: Any) -> np.dtype:
    """The dtype that a Python number has where nothing else decides it."""
    if isinstance(value, (bool, np.bool_)):
        return boolean
    if isinstance(value, (int, np.integer)):
        return int64
    if isinstance(value, (float, np.floating)):
        return default_dtype[0]
    return complex128 if default_dtype[0] == float64 else complex64


def result_type(operands: Sequence[Any]) -> np.dtype:
    """The dtype of a result of arrays and Python numbers. Arrays with dimensions outrank those without, and these outrank
    numbers: the lower rank decides only if its category (bool, integer, floating, complex) is the higher one."""
    ranks: list[np.dtype | None] = [None, None, None]
    for x in operands:
        try:
            dtype, rank = x.dtype, 0 if x.ndim else 1
        except AttributeError:
            dtype, rank = scalar_dtype(x), 2
        known = ranks[rank]
        ranks[rank] = dtype if known is None else promote_types(known, dtype)
    result: np.dtype | None = None
    for dtype in ranks:
        if dtype is None:
            continue
        if result is None:
            result = dtype
        elif category(dtype) == 3 and category(result) == 2:  # complex, in the precision of the higher rank
            result = complex128 if result == float64 else complex64
        elif category(dtype) > category(result):
            result = promote_types(result, dtype)
    if result is None:
        raise ValueError("result_type needs at least one operand")
    return result
