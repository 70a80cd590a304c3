"""Ops and updates that hand-written kernels do in one launch.

`FUSED` is the table that the dispatcher looks ops up in: name -> (forward, backward). Either returns NotImplemented for what it
does not take (another dtype, elements that do not lie next to each other, nothing at all), and the rule runs. What a backward is
given is what the rule of the op saves, by name. The words `sgd_` and `adam_` take everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import cupy
import numpy as np
from cupy import ndarray

from ..kernels import BLOCKING, C_NAME, computed, elementwise, kernel, rows_of, struct
from .attention import ATTENTION
from .embeddings import EMBEDDINGS
from .linalg import PRODUCTS
from .looking import looking
from .normalization import NORMS

__all__ = [
    "Bucket",
    "FUSED",
    "adam_",
    "bucket_dtype",
    "bucket_elements",
    "bucket_scratch",
    "clip_by_norm_",
    "drop_denormals_",
    "sgd_",
]

_int32, _int64 = np.int32, np.int64
_MOST_COLUMNS = 2**31 - 1024  # a column number and the threads of a block must fit in an int


def _dense(x: Any) -> bool:
    """Whether x has elements, of a dtype that kernels take, in C order without gaps."""
    return x.__class__ is ndarray and x.dtype in C_NAME and x.size > 0 and x.flags.c_contiguous


def _empty(x: Any) -> Any:
    return ndarray(x.shape, x.dtype)  # a microsecond less than cupy.empty_like


@cache
def _scalar(dtype: np.dtype, value: float) -> Any:
    """A number as what kernels for `dtype` compute in."""
    return computed(dtype).type(value)


# -- activations -----------------------------------------------------------------------------------------------------------


def _activation(functor: str, saved: str, parameters: Callable = lambda: (0.0, 0.0)) -> tuple[Callable, Callable]:
    """Forward and backward by a functor of activation.cu whose rule saves `saved`, "x" or "out". `parameters(**options)` gives
    the two numbers of the functor, or None for options it does not take."""
    launchers: dict[tuple[str, np.dtype], Callable] = {}

    def launcher(which: str, dtype: np.dtype) -> Callable:
        found = launchers.get((which, dtype))
        if found is None:
            found = launchers[which, dtype] = kernel("activation.cu", f"activation_{which}<{C_NAME[dtype]},{functor}>")
        return found

    def forward(x: Any, **options: Any) -> Any:
        numbers = parameters(**options)
        if numbers is None or not _dense(x):
            return NotImplemented
        dtype, n, out = x.dtype, x.size, _empty(x)
        grid, block = elementwise(n * dtype.itemsize // 16 + 1)
        launcher("forward", dtype)(grid, block, x, out, _int64(n), _scalar(dtype, numbers[0]), _scalar(dtype, numbers[1]))
        return out

    def backward(xp: Any, g: Any, needed: tuple[str, ...], residue: None = None, **options: Any) -> Any:
        s = options.pop(saved)
        numbers = parameters(**options)
        if numbers is None or not _dense(s) or not _dense(g) or g.dtype is not s.dtype or g.shape != s.shape:
            return NotImplemented
        dtype, n, out = s.dtype, s.size, _empty(s)
        grid, block = elementwise(n * dtype.itemsize // 16 + 1)
        launcher("backward", dtype)(grid, block, g, s, out, _int64(n), _scalar(dtype, numbers[0]), _scalar(dtype, numbers[1]))
        return (out,)

    return forward, backward


def _leaky_relu(negative_slope: float = 0.01) -> tuple[float, float]:
    return negative_slope, 0.0


def _elu(alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> tuple[float, float] | None:
    return (alpha, 0.0) if scale == 1.0 and input_scale == 1.0 else None


def _softplus(beta: float = 1.0, threshold: float = 20.0) -> tuple[float, float]:
    return beta, threshold


_ACTIVATIONS = {
    "relu": _activation("Relu", "out"),
    "leaky_relu": _activation("LeakyRelu", "out", _leaky_relu),  # the slope is not negative: the output has the input's sign
    "tanh": _activation("Tanh", "out"),
    "sigmoid": _activation("Sigmoid", "out"),
    "silu": _activation("Silu", "x"),
    "gelu": _activation("Gelu", "x"),
    "gelu_tanh": _activation("GeluTanh", "x"),
    "elu": _activation("Elu", "out", _elu),
    "softplus": _activation("Softplus", "x", _softplus),
}


# -- softmax ---------------------------------------------------------------------------------------------------------------


def _last_axis(x: Any, axis: Any) -> bool:
    """Whether `axis`, a number or a tuple of one, is the last of x, and a row fits what the kernels count with."""
    if axis.__class__ is tuple and len(axis) == 1:
        axis = axis[0]
    return x.ndim > 0 and axis in (-1, x.ndim - 1) and x.shape[-1] < _MOST_COLUMNS


def _stride(x: Any) -> int | None:
    """How many elements apart the rows of x begin, rows being its last dimension; None if that is not one number."""
    if x.flags.c_contiguous:
        return x.shape[-1]
    apart, between = x.strides[-2:] if x.ndim == 2 else (0, 0)
    return apart // x.itemsize if between == x.itemsize and apart % x.itemsize == 0 else None


def _softmax(log: str) -> tuple[Callable, Callable]:
    """Forward and backward of softmax, or of its logarithm if `log` is "true"."""

    def forward(x: Any, *, axis: Any) -> Any:
        if x.__class__ is not ndarray or x.dtype not in C_NAME or not x.size or not _last_axis(x, axis):
            return NotImplemented
        stride = _stride(x)
        if stride is None:
            return NotImplemented
        columns, out = x.shape[-1], _empty(x)
        rows = x.size // columns
        grid, block, threads = rows_of(rows, columns)
        launch = kernel("softmax.cu", f"softmax_forward<{C_NAME[x.dtype]},{log}>")
        launch(grid, block, x, out, _int64(rows), _int32(columns), _int64(stride), threads)
        return out

    def backward(xp: Any, g: Any, needed: tuple[str, ...], *, out: Any, axis: Any) -> Any:
        if not _dense(out) or not _last_axis(out, axis):
            return NotImplemented
        if g.__class__ is not ndarray or g.dtype is not out.dtype or g.shape != out.shape:
            return NotImplemented
        stride = _stride(g)
        if stride is None:
            return NotImplemented
        columns, dx = out.shape[-1], _empty(out)
        rows = out.size // columns
        grid, block, threads = rows_of(rows, columns)
        launch = kernel("softmax.cu", f"softmax_backward<{C_NAME[out.dtype]},{log}>")
        launch(grid, block, g, out, dx, _int64(rows), _int32(columns), _int64(stride), threads)
        return (dx,)

    return forward, backward


# -- cross-entropy ---------------------------------------------------------------------------------------------------------

_ONE_BLOCK = ((1,), (1024,))


def _classes(input: Any, target: Any) -> Any:
    """The targets as the kernels take them, or None for arguments that they do not take."""
    if input.__class__ is not ndarray or input.dtype not in C_NAME or input.ndim != 2 or not input.size:
        return None
    if target.__class__ is not ndarray or target.shape != input.shape[:1] or target.dtype.kind not in "iu":
        return None
    if input.shape[1] >= _MOST_COLUMNS or _stride(input) is None or input.data.device_id != target.data.device_id:
        return None
    return cupy.ascontiguousarray(target, _int64)


def _cross_entropy(input: Any, target: Any, *, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """The loss of rows of logits. A target that is no class gives NaN: raising an error would have to wait for the device."""
    target = _classes(input, target)
    if target is None:
        return NotImplemented
    dtype, (rows, columns) = input.dtype, input.shape
    c, losses, ignored = C_NAME[dtype], ndarray((rows,), computed(dtype)), _int64(ignore_index)
    grid, block, threads = rows_of(rows, columns)
    launch = kernel("softmax.cu", f"cross_entropy_forward<{c}>")
    launch(grid, block, input, target, losses, None, _int64(rows), _int32(columns), _int64(_stride(input)), ignored, threads)
    if reduction == "none":
        return losses.astype(dtype, copy=False)
    out = ndarray((), dtype)
    total = kernel("softmax.cu", f"cross_entropy_total<{c}>")
    total(*_ONE_BLOCK, losses, target, out, _int64(rows), ignored, _int32(reduction == "mean"))
    return out


def _cross_entropy_backward(
    xp: Any,
    g: Any,
    needed: tuple[str, ...],
    *,
    input: Any,
    target: Any,
    ignore_index: int = -100,
    reduction: str = "mean",
    residue: None = None,
) -> Any:
    """(softmax - one-hot) times what each row gets of g. Nothing but the logits and the targets was kept: the sums of the
    exponentials are made again, which reads the logits a second time, from the cache where they fit. One number a row, the
    logarithm of the sum, would do, but of large logits it has lost the digits that tell them apart."""
    target = _classes(input, target)
    if target is None or g.__class__ is not ndarray or g.dtype is not input.dtype:
        return NotImplemented
    dtype, (rows, columns) = input.dtype, input.shape
    c, ignored = C_NAME[dtype], _int64(ignore_index)
    if reduction == "none":
        scale = cupy.ascontiguousarray(g, computed(dtype))
    else:
        scale = ndarray((1,), computed(dtype))
        share = kernel("softmax.cu", f"cross_entropy_share<{c}>")
        share(*_ONE_BLOCK, g, target, scale, _int64(rows), ignored, _int32(reduction == "mean"))
    dx, step = _empty(input), _int32(reduction == "none")
    grid, block, threads = rows_of(rows, columns)
    launch = kernel("softmax.cu", f"cross_entropy_backward<{c}>")
    stride = _int64(_stride(input))
    launch(grid, block, input, target, None, scale, dx, _int64(rows), _int32(columns), stride, step, ignored, threads)
    return (dx,)


FUSED: dict[str, tuple[Callable, Callable]] = {
    **_ACTIVATIONS,
    "softmax": _softmax("false"),
    "log_softmax": _softmax("true"),
    "cross_entropy": (_cross_entropy, _cross_entropy_backward),
    **ATTENTION,
    **EMBEDDINGS,
    **NORMS,
    **PRODUCTS,
}
if BLOCKING:
    FUSED = looking(FUSED)


# -- optimizers ------------------------------------------------------------------------------------------------------------

_TENSORS, _CHUNK = 64, 4096  # as in optim.cu
_SLOTS = ("m", "v", "most")


def bucket_dtype(dtype: Any) -> Any:
    """The dtype that the update of parameters of `dtype` is computed in."""
    return computed(np.dtype(dtype))


def bucket_elements(total: int) -> int:
    """The most elements that a bucket of parameters should hold that have so many together: all, for an update is one launch."""
    return max(total, 1)


def bucket_scratch(elements: int, dtype: Any) -> None:
    """What buckets share: nothing here."""


def drop_denormals_(state: Any) -> None:
    """Zeros for numbers that are about to become denormal, which a CPU would be slow with; a GPU is not."""


def _tables(blocks: Sequence[Any], kind: str) -> list[tuple[np.ndarray, tuple[int]]]:
    """Structs that say where arrays in C order lie, as "p" and as "g", 64 in each, and the grid of a launch over each."""
    tables = []
    for start in range(0, len(blocks), _TENSORS):
        part = blocks[start : start + _TENSORS]
        table = np.zeros((), struct("optim.cu", kind))
        chunks = [(block.size + _CHUNK - 1) // _CHUNK for block in part]
        table["count"] = len(part)
        table["p"][: len(part)] = table["g"][: len(part)] = [block.data.ptr for block in part]
        table["size"][: len(part)] = [block.size for block in part]
        table["first_block"][1 : len(part) + 1] = np.cumsum(chunks)
        if sum(chunks):
            tables.append((table, (sum(chunks),)))
    return tables


class Bucket:
    """Parameters (arrays of one dtype) that are updated in one launch for each 64 of them. `scratch` is not needed here.

    some     which of them have elements
    tables   (struct, grid) for 64 of those each: where parameters, gradients and state lie. All but the gradients is written once
    apart    (number, array) of the parameters that do not lie next to each other, which are updated as copies
    bound    where the state lay when that was written"""

    __slots__ = ("apart", "blocks", "bound", "name", "some", "tables")

    def __init__(self, blocks: Sequence[Any], scratch: Any = None):
        self.blocks = [block if block.flags.c_contiguous else cupy.ascontiguousarray(block) for block in blocks]
        self.apart = [(i, block) for i, block in enumerate(blocks) if self.blocks[i] is not block]
        self.name = C_NAME[self.blocks[0].dtype] if self.blocks else "float"
        self.bound: tuple = ()
        self.some = [i for i, block in enumerate(self.blocks) if block.size]  # none of the tables is then empty
        self.tables = _tables([self.blocks[i] for i in self.some], f"Table<{self.name},{self.name}>")

    def bind(self, states: Sequence[Any]) -> None:
        """Write where the state of each parameter lies: end to end in the flat arrays `states`, None for one that is not kept."""
        bound = tuple(0 if state is None else state.data.ptr for state in states)
        if bound == self.bound:
            return
        self.bound = bound
        sizes = [self.blocks[i].nbytes for i in self.some]
        starts = np.cumsum([0, *sizes])[:-1]
        for k, (table, _) in enumerate(self.tables):
            part = starts[k * _TENSORS : (k + 1) * _TENSORS]
            for slot, pointer in zip(_SLOTS, bound, strict=False):
                table[slot][: len(part)] = pointer + part if pointer else 0

    def launch(self, name: str, gradients: Sequence[Any], *arguments: Any, functor: str = "") -> None:
        """Launch a kernel of optim.cu, with a functor if it takes one, for all parameters."""
        for i, block in self.apart:
            self.blocks[i][...] = block
        # copies of gradients live until the kernel is on the stream, which is enough: memory is used again in stream order
        dense = [cupy.ascontiguousarray(gradients[i], self.blocks[i].dtype) for i in self.some]
        last = f",{functor}" if functor else ""
        launch = kernel("optim.cu", f"{name}<{self.name},{self.name}{last}>")
        for k, (table, grid) in enumerate(self.tables):
            part = dense[k * _TENSORS : (k + 1) * _TENSORS]
            table["g"][: len(part)] = [g.data.ptr for g in part]
            launch(grid, (256,), table, *arguments)
        for i, block in self.apart:
            block[...] = self.blocks[i]


def adam_(
    bucket: Bucket,
    gradients: Sequence[Any],
    exp_avg: Any,
    exp_avg_sq: Any,
    max_exp_avg_sq: Any = None,
    *,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
) -> None:
    """One step of Adam, of AdamW if the weight decay is decoupled, of AMSGrad if there is an array for the largest second
    moments: one launch for 64 parameters."""
    number = bucket_dtype(exp_avg.dtype).type
    bucket.bind((exp_avg, exp_avg_sq, max_exp_avg_sq))
    bucket.launch(
        "adam",
        gradients,
        number(lr / (1.0 - beta1**step)),
        number(beta1),
        number(beta2),
        number(eps),
        number(0.0 if decoupled else weight_decay),
        number(1.0 - lr * weight_decay if decoupled else 1.0),
        number(math.sqrt(1.0 - beta2**step)),
        None,
        _int32(maximize),
    )


def sgd_(
    bucket: Bucket,
    gradients: Sequence[Any],
    momentum_buffer: Any = None,
    *,
    step: int,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> None:
    """One step of gradient descent, with momentum if there is a buffer for it: one launch for 64 parameters."""
    if not bucket.blocks:
        return
    number = bucket_dtype(bucket.blocks[0].dtype).type
    bucket.bind((momentum_buffer,))
    bucket.launch(
        "sgd",
        gradients,
        number(lr),
        number(0.0 if momentum_buffer is None else momentum),
        number(dampening),
        number(weight_decay),
        None,
        _int32(nesterov),
        _int32(step == 1),
        _int32(maximize),
    )


def clip_by_norm_(arrays: Sequence[Any], max_norm: float) -> Any:
    """Scale arrays of one dtype in place so that the norm of all their elements together is at most max_norm. Returns the norm
    that they had, an array without dimensions; NotImplemented for several dtypes or elements that are not next to each other."""
    arrays = [a for a in arrays if a.size]
    if not arrays or not all(map(_dense, arrays)) or len({a.dtype for a in arrays}) > 1:
        return NotImplemented
    c, wide = C_NAME[arrays[0].dtype], computed(arrays[0].dtype)
    tables = _tables(arrays, f"Table<{c}>")
    parts, out, start = ndarray((sum(grid[0] for _, grid in tables),), wide), ndarray((2,), wide), 0
    for table, grid in tables:
        kernel("optim.cu", f"squares<{c}>")(grid, (256,), table, parts[start : start + grid[0]])
        start += grid[0]
    kernel("optim.cu", f"total_norm<{C_NAME[wide]}>")(*_ONE_BLOCK, parts, _int32(start), out, wide.type(max_norm))
    for table, grid in tables:
        kernel("optim.cu", f"rescale<{c}>")(grid, (256,), table, out[1:])
    return out[0]
