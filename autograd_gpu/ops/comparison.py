"""Comparisons, logic, bits, and questions about numbers. None has a gradient."""

from __future__ import annotations

from typing import Any

from .. import backend
from ..backend.promotion import category
from ..core.graph import words
from ..core.primitive import elementwise, nondifferentiable
from ..core.tensor import Tensor

__all__ = [
    "allclose", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "eq",
    "equal", "ge", "greater", "greater_equal", "gt", "is_complex", "is_floating_point", "isclose", "isfinite", "isinf",
    "isnan", "isneginf", "isposinf", "isreal", "le", "less", "less_equal", "logical_and", "logical_not", "logical_or",
    "logical_xor", "lt", "ne", "not_equal", "signbit",
]  # fmt: skip
METHODS: tuple[str, ...] = tuple(__all__)
IN_PLACE: tuple[str, ...] = (
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "eq", "ge",
    "greater", "greater_equal", "gt", "le", "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor",
    "lt", "ne", "not_equal",
)  # fmt: skip


@elementwise()
def eq(xp: Any, a: Any, b: Any) -> Any:
    """Where a == b, element by element, as a bool tensor.

    >>> import autograd_gpu as ag
    >>> ag.eq(ag.tensor([1, 2, 3]), ag.tensor([2, 2, 2]))
    tensor([False,  True, False])
    """
    ...


@elementwise()
def ne(xp: Any, a: Any, b: Any) -> Any:
    """Where a != b, element by element, as a bool tensor.

    >>> import autograd_gpu as ag
    >>> ag.ne(ag.tensor([1, 2, 3]), ag.tensor([2, 2, 2]))
    tensor([ True, False,  True])
    """
    ...


@elementwise()
def lt(xp: Any, a: Any, b: Any) -> Any:
    """Where a < b, element by element, as a bool tensor.

    >>> import autograd_gpu as ag
    >>> ag.lt(ag.tensor([1, 2, 3]), ag.tensor([2, 2, 2]))
    tensor([ True, False, False])
    """
    ...


@elementwise()
def le(xp: Any, a: Any, b: Any) -> Any:
    """Where a <= b, element by element, as a bool tensor.

    >>> import autograd_gpu as ag
    >>> ag.le(ag.tensor([1, 2, 3]), ag.tensor([2, 2, 2]))
    tensor([ True,  True, False])
    """
    ...


@elementwise()
def gt(xp: Any, a: Any, b: Any) -> Any:
    """Where a > b, element by element, as a bool tensor.

    >>> import autograd_gpu as ag
    >>> ag.gt(ag.tensor([1, 2, 3]), ag.tensor([2, 2, 2]))
    tensor([False, False,  True])
    """
    ...


@elementwise()
def ge(xp: Any, a: Any, b: Any) -> Any:
    """Where a >= b, element by element, as a bool tensor.

    >>> import autograd_gpu as ag
    >>> ag.ge(ag.tensor([1, 2, 3]), ag.tensor([2, 2, 2]))
    tensor([False,  True,  True])
    """
    ...


@elementwise()
def logical_and(xp: Any, a: Any, b: Any) -> Any:
    """Where both are not zero.

    >>> import autograd_gpu as ag
    >>> ag.logical_and(ag.tensor([0.0, 1.0, 2.0]), ag.tensor([0.0, 0.0, 3.0]))
    tensor([False, False,  True])
    """
    ...


@elementwise()
def logical_or(xp: Any, a: Any, b: Any) -> Any:
    """Where at least one is not zero.

    >>> import autograd_gpu as ag
    >>> ag.logical_or(ag.tensor([0.0, 1.0, 2.0]), ag.tensor([0.0, 0.0, 3.0]))
    tensor([False,  True,  True])
    """
    ...


@elementwise()
def logical_xor(xp: Any, a: Any, b: Any) -> Any:
    """Where exactly one is not zero.

    >>> import autograd_gpu as ag
    >>> ag.logical_xor(ag.tensor([0.0, 1.0, 2.0]), ag.tensor([0.0, 0.0, 3.0]))
    tensor([False,  True, False])
    """
    ...


@elementwise()
def logical_not(xp: Any, x: Any) -> Any:
    """Where the element is zero.

    >>> import autograd_gpu as ag
    >>> ag.logical_not(ag.tensor([0.0, 1.0, 2.0]))
    tensor([ True, False, False])
    """
    ...


@elementwise()
def bitwise_and(xp: Any, a: Any, b: Any) -> Any:
    """The bits set in both integers; of bools, logical and.

    >>> import autograd_gpu as ag
    >>> ag.bitwise_and(ag.tensor([5, -8]), ag.tensor([3, 1]))
    tensor([1, 0])
    """
    ...


@elementwise()
def bitwise_or(xp: Any, a: Any, b: Any) -> Any:
    """The bits set in one integer or both; of bools, logical or.

    >>> import autograd_gpu as ag
    >>> ag.bitwise_or(ag.tensor([5, -8]), ag.tensor([3, 1]))
    tensor([ 7, -7])
    """
    ...


@elementwise()
def bitwise_xor(xp: Any, a: Any, b: Any) -> Any:
    """The bits set in one integer only; of bools, exclusive or.

    >>> import autograd_gpu as ag
    >>> ag.bitwise_xor(ag.tensor([5, -8]), ag.tensor([3, 1]))
    tensor([ 6, -7])
    """
    ...


@elementwise()
def bitwise_left_shift(xp: Any, a: Any, b: Any) -> Any:
    """a * 2 ** b.

    >>> import autograd_gpu as ag
    >>> ag.bitwise_left_shift(ag.tensor([5, -8]), ag.tensor([3, 1]))
    tensor([ 40, -16])
    """
    ...


@elementwise()
def bitwise_right_shift(xp: Any, a: Any, b: Any) -> Any:
    """a / 2 ** b, rounded down.

    >>> import autograd_gpu as ag
    >>> ag.bitwise_right_shift(ag.tensor([5, -8]), ag.tensor([3, 1]))
    tensor([ 0, -4])
    """
    ...


@elementwise()
def bitwise_not(xp: Any, x: Any) -> Any:
    """The bits exchanged; of bools, logical not.

    >>> import autograd_gpu as ag
    >>> ag.bitwise_not(ag.tensor([0, 5]))
    tensor([-1, -6])
    """
    ...


@elementwise()
def isnan(xp: Any, x: Any) -> Any:
    """Where the element is NaN.

    >>> import autograd_gpu as ag
    >>> ag.isnan(ag.tensor([1.0, float("inf"), float("-inf"), float("nan")]))
    tensor([False, False, False,  True])
    """
    ...


@elementwise()
def isinf(xp: Any, x: Any) -> Any:
    """Where the element is infinite.

    >>> import autograd_gpu as ag
    >>> ag.isinf(ag.tensor([1.0, float("inf"), float("-inf"), float("nan")]))
    tensor([False,  True,  True, False])
    """
    ...


@elementwise()
def isfinite(xp: Any, x: Any) -> Any:
    """Where the element is neither infinite nor NaN.

    >>> import autograd_gpu as ag
    >>> ag.isfinite(ag.tensor([1.0, float("inf"), float("-inf"), float("nan")]))
    tensor([ True, False, False, False])
    """
    ...


@elementwise()
def signbit(xp: Any, x: Any) -> Any:
    """Where the sign bit is set: of negative numbers and of -0.0.

    >>> import autograd_gpu as ag
    >>> ag.signbit(ag.tensor([1.0, -0.0, -2.0]))
    tensor([False,  True,  True])
    """
    ...


def isposinf(input: Tensor) -> Tensor:
    """Where the element is positive infinity.

    >>> import autograd_gpu as ag
    >>> ag.isposinf(ag.tensor([1.0, float("inf"), float("-inf")]))
    tensor([False,  True, False])
    """
    return words.eq(input, float("inf"))


def isneginf(input: Tensor) -> Tensor:
    """Where the element is negative infinity.

    >>> import autograd_gpu as ag
    >>> ag.isneginf(ag.tensor([1.0, float("inf"), float("-inf")]))
    tensor([False, False,  True])
    """
    return words.eq(input, float("-inf"))


def isreal(input: Tensor) -> Tensor:
    """Where the element has no imaginary part: everywhere, unless the tensor is complex.

    >>> import autograd_gpu as ag
    >>> ag.isreal(ag.tensor([1.0, 2.0]))
    tensor([True, True])
    """
    x = input.array
    return words.eq(Tensor(x.imag), 0) if category(x.dtype) == 3 else words.eq(Tensor(x), Tensor(x)).logical_or(True)


@nondifferentiable()
def _isclose(xp: Any, a: Any, b: Any, *, rtol: float, atol: float, equal_nan: bool) -> Any:
    """The op behind `isclose`."""
    same = a == b
    if equal_nan:
        same = same | (xp.isnan(a) & xp.isnan(b))
    if category(a.dtype) == 0:
        return same
    apart = xp.abs(a - b)
    return same | (xp.isfinite(apart) & (apart <= atol + rtol * xp.abs(b)))


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Where |input - other| <= atol + rtol * |other|. Raises RuntimeError if the dtypes differ.

    >>> import autograd_gpu as ag
    >>> ag.isclose(ag.tensor([1.0, 2.0]), ag.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    for position, t in enumerate((input, other), 1):
        if not isinstance(t, Tensor):
            raise TypeError(f"isclose(): argument {position} must be Tensor, not {type(t).__name__}")
    if input.array.dtype != other.array.dtype:
        raise RuntimeError(f"{input.array.dtype} did not match {other.array.dtype}: isclose() compares tensors of one dtype")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"rtol and atol must be greater than or equal to zero, but got {rtol} and {atol}")
    return words.isclose(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether `isclose` holds for all elements.

    >>> import autograd_gpu as ag
    >>> ag.allclose(ag.tensor([1.0, 2.0]), ag.tensor([1.0, 2.000001]))
    True
    """
    return backend.asked(isclose(input, other, rtol, atol, equal_nan).array, "all")


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and equal elements.

    >>> import autograd_gpu as ag
    >>> ag.equal(ag.tensor([1, 2]), ag.tensor([1, 2]))
    True
    """
    for position, t in enumerate((input, other), 1):
        if not isinstance(t, Tensor):
            raise TypeError(f"equal(): argument {position} must be Tensor, not {type(t).__name__}")
    return input.array.shape == other.array.shape and backend.asked(words.eq(input, other).array, "all")


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is float16, bfloat16, float32 or float64.

    >>> import autograd_gpu as ag
    >>> ag.is_floating_point(ag.tensor([1.0]))
    True
    """
    return category(input.array.dtype) == 2


def is_complex(input: Tensor) -> bool:
    """Whether the dtype is complex.

    >>> import autograd_gpu as ag
    >>> ag.is_complex(ag.tensor([1.0]))
    False
    """
    return category(input.array.dtype) == 3


greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
