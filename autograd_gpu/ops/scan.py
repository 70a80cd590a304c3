"""Scans: cumulative sums, products, extrema; differences and the trapezoidal rule."""

from __future__ import annotations

from typing import Any

from ..backend.promotion import category
from ..core.graph import words
from ..core.primitive import linear, nondifferentiable, primitive
from ..core.tensor import Tensor
from . import return_types
from .arguments import axis_of
from .reduce import cast

__all__ = [
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "cumulative_trapezoid",
    "diff",
    "logcumsumexp",
    "trapezoid",
    "trapz",
]
METHODS: tuple[str, ...] = ("cummax", "cummin", "cumprod", "cumsum", "diff", "logcumsumexp")
IN_PLACE: tuple[str, ...] = ("cumprod", "cumsum")


# -- the ops -----------------------------------------------------------------------------------------------------------


@linear(lambda xp, g, axis, reverse: xp.cumsum(g, axis=axis, reverse=not reverse))
def _cumsum(xp: Any, x: Any, *, axis: int, reverse: bool = False) -> Any:
    """The op behind `cumsum`; `reverse` runs from the last element to the first."""
    ...


# NOTE [A recurrence instead of a division]
#    The textbook gradient of a cumulative product divides by the elements, which fails where one is zero. Let instead
#      t = recurrence(b, a):    t[0] = 0,   t[i + 1] = b[i] + a[i] t[i],    t[i] = sum over k < i of b[k] a[k+1]...a[i-1]
#    It is linear in b, its transpose is itself in reverse, and its slope in a[j] is t[j] times what `recurrence` in reverse
#    carries of g to j. So its gradients are recurrences again, and with them every order of the ops below; none divides.
#    1. The product of the elements before x[i], L, depends on x[j] as L[j] times what is carried of g from behind back to j.
#    2. cumprod(x) is L x, hence g L from the one factor, and from the other as in 1 with g x in place of g.
#    3. In logcumsumexp each step takes p = exp(x - out) of the new element and 1 - p of what was there. See `_logcumsumexp_x`.


@linear(
    b=lambda xp, g, a, axis, reverse: xp.recurrence(g, a, axis=axis, reverse=not reverse),
    a=lambda xp, g, a, out, axis, reverse: xp.recurrence(g, a, axis=axis, reverse=not reverse) * out,
)
def _recurrence(xp: Any, b: Any, a: Any, *, axis: int, reverse: bool = False) -> Any:
    """t with t[0] = 0 and t[i + 1] = b[i] + a[i] t[i]. See NOTE [A recurrence instead of a division]."""
    ...


def _cumprod_x(xp: Any, g: Any, x: Any, axis: int, reverse: bool, exclusive: bool) -> Any:
    before = xp.cumprod(x, axis=axis, reverse=reverse, exclusive=True)
    if exclusive:
        return before * xp.recurrence(g, x, axis=axis, reverse=not reverse)
    return before * (g + xp.recurrence(g * x, x, axis=axis, reverse=not reverse))


@primitive(_cumprod_x)
def _cumprod(xp: Any, x: Any, *, axis: int, reverse: bool = False, exclusive: bool = False) -> Any:
    """The op behind `cumprod`; `exclusive` leaves the element itself out."""
    ...


def _logcumsumexp_x(xp: Any, g: Any, x: Any, out: Any, axis: int) -> Any:
    share = xp.exp(x - out)
    others = xp.ones_like(share) - share
    return share * (g + xp.recurrence(g * others, others, axis=axis, reverse=True))


@primitive(_logcumsumexp_x)
def _logcumsumexp(xp: Any, x: Any, *, axis: int) -> Any:
    """The op behind `logcumsumexp`."""
    ...


@nondifferentiable()
def _argcummax(xp: Any, x: Any, *, axis: int) -> Any:
    """Where the largest elements so far lie."""
    ...


@nondifferentiable()
def _argcummin(xp: Any, x: Any, *, axis: int) -> Any:
    """Where the smallest elements so far lie."""
    ...


# -- the public functions ----------------------------------------------------------------------------------------------


def _scan(word: Any, input: Tensor, dim: int | None, axis: int | None) -> Tensor:
    """A scan along one dimension; a tensor without dimensions is a line of one element."""
    dim = axis if dim is None else dim
    if dim is None:
        raise TypeError(f'{word.__name__}() missing 1 required positional argument: "dim"')
    ndim = input.array.ndim
    over = axis_of(dim, ndim)
    if ndim:
        return word(input, axis=over)
    return words.reshape(word(words.reshape(input, shape=(1,)), axis=0), shape=())


def cumsum(input: Tensor, dim: int | None = None, *, dtype: Any = None, axis: int | None = None) -> Tensor:
    """The sum of each element and those before it along `dim`. Integers and bools give int64; `dtype` casts first.

    >>> import autograd_gpu as ag
    >>> ag.cumsum(ag.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 3., 6.])
    """
    return _scan(words.cumsum, cast(input, dtype), dim, axis)


def cumprod(input: Tensor, dim: int | None = None, *, dtype: Any = None, axis: int | None = None) -> Tensor:
    """The product of each element and those before it along `dim`. Integers and bools give int64; `dtype` casts first.

    >>> import autograd_gpu as ag
    >>> ag.cumprod(ag.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 2., 6.])
    """
    return _scan(words.cumprod, cast(input, dtype), dim, axis)


def logcumsumexp(input: Tensor, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """The logarithm of the sum of exp(x) over each element and those before it along `dim`.

    Raises NotImplementedError for integers.

    >>> import autograd_gpu as ag
    >>> ag.logcumsumexp(ag.tensor([0.0, 0.0, 0.0]), dim=0)
    tensor([0.0000, 0.6931, 1.0986])
    """
    if category(input.array.dtype) < 2:
        raise NotImplementedError(f"\"logcumsumexp\" not implemented for '{input.dtype}': convert the input, as in x.float()")
    return _scan(words.logcumsumexp, input, dim, axis)


def _extreme(kind: Any, word: Any, input: Tensor, dim: int | None, axis: int | None) -> Any:
    index = _scan(word, input, dim, axis)
    if not input.array.ndim:
        return kind(words.reshape(input, shape=()), index)
    return kind(words.take_along(input, index, axis=axis_of(axis if dim is None else dim, input.array.ndim)), index)


def cummax(input: Tensor, dim: int | None = None, *, axis: int | None = None) -> Any:
    """The largest element so far along `dim`, as a named tuple (values, indices). Of those that tie the last is named.

    >>> import autograd_gpu as ag
    >>> ag.cummax(ag.tensor([1.0, 3.0, 2.0]), dim=0).values
    tensor([1., 3., 3.])
    """
    return _extreme(return_types.cummax, words.argcummax, input, dim, axis)


def cummin(input: Tensor, dim: int | None = None, *, axis: int | None = None) -> Any:
    """The smallest element so far along `dim`, as a named tuple (values, indices). Of those that tie the last is named.

    >>> import autograd_gpu as ag
    >>> ag.cummin(ag.tensor([3.0, 1.0, 2.0]), dim=0).values
    tensor([3., 1., 1.])
    """
    return _extreme(return_types.cummin, words.argcummin, input, dim, axis)


# -- differences and areas ---------------------------------------------------------------------------------------------


def _ends(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """x without its last and x without its first element along the axis."""
    before: tuple = (slice(None),) * axis
    return x[(*before, slice(None, -1))], x[(*before, slice(1, None))]


def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
    *,
    axis: int | None = None,
) -> Tensor:
    """The differences of neighbours along `dim`, taken `n` times. `prepend` and `append` are joined to the input first.

    >>> import autograd_gpu as ag
    >>> ag.diff(ag.tensor([1, 3, 2]))
    tensor([ 2, -1])
    """
    if not input.array.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    over = axis_of(dim if axis is None else axis, input.array.ndim)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if prepend is not None or append is not None:
        input = words.cat(*[part for part in (prepend, input, append) if part is not None], axis=over)
    for _ in range(n):
        earlier, later = _ends(input, over)
        input = words.logical_xor(later, earlier) if input.array.dtype == "bool" else later - earlier
    return input


def _areas(y: Tensor, x: Tensor | None, dx: Any, dim: int, axis: int | None) -> tuple[Tensor, int]:
    """Twice the areas of the trapezoids between neighbours, and the axis they lie along."""
    over = axis_of(dim if axis is None else axis, y.array.ndim)
    left, right = _ends(y, over)
    if x is None:
        return (left + right) * dx, over
    if x.array.ndim == 1:
        x = words.reshape(x, shape=(-1,) + (1,) * (y.array.ndim - over - 1))
        start, end = _ends(x, 0)
    else:
        start, end = _ends(x, over - y.array.ndim + x.array.ndim)
    return (left + right) * (end - start), over


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1, axis: int | None = None) -> Tensor:
    """The integral of y along `dim` by the trapezoidal rule, at the points `x` or at points `dx` apart.

    >>> import autograd_gpu as ag
    >>> ag.trapezoid(ag.tensor([1.0, 5.0, 10.0]))
    tensor(10.5000)
    """
    doubled, over = _areas(y, x, dx, dim, axis)
    return words.sum(doubled, axis=(over,)) / 2


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1, axis: int | None = None) -> Tensor:
    """The integral of y from the first point to each further one along `dim` by the trapezoidal rule.

    >>> import autograd_gpu as ag
    >>> ag.cumulative_trapezoid(ag.tensor([1.0, 5.0, 10.0]))
    tensor([ 3.0000, 10.5000])
    """
    doubled, over = _areas(y, x, dx, dim, axis)
    return words.cumsum(doubled, axis=over) / 2


trapz = trapezoid
