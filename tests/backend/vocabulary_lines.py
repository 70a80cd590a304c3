"""A line for each word of the vocabulary: its arguments, and the dtypes that it is called with."""

from __future__ import annotations

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = {"f": np.dtype(np.float32), "h": np.dtype(np.float16), "b": BFLOAT16, "i": np.dtype(np.int64), "?": np.dtype(np.bool_),
          "d": np.dtype(np.float64)}  # fmt: skip
INF, NAN = np.inf, np.nan

# Elements of the dtype of the call. Small integers, so that each dtype holds them, ties, and what is special to floats.
_EDGES = [[1, 0, -2, 2.5, 2.5], [-0.5, NAN, INF, -INF, -0.0], [3, -1, 3, 0.75, -8]]
ELEMENTS: dict[str, Any] = {
    "x": _EDGES,
    "y": [[2, 3, -2, -1.5, 0.5], [1, 1, 2, -1, -2], [-3, NAN, 0.25, 0, 5]],
    "row": [1, -2, 0.5, 4, -1],
    "one": 1.5,
    "finite": [[1, 0, -2, 2.5, 2.5], [-0.5, 4, -6, 3, -1], [3, -1, 3, 0.75, -8]],
    "positive": [[0.1, 0.5, 1, 1.5, 2], [2.5, 3, 4, 9, 12], [20, 0.01, 7, 8, 1]],
    "unit": [[-0.9, -0.5, 0, 0.25, 0.5], [0.75, 0.9, 1, -1, 0.1], [0.3, -0.3, 0.6, -0.7, 0.01]],
    "part": [[0.1, 0.5, 0.25, 0.75, 0.9], [0, 1, 0.3, 0.6, 0.2], [0.95, 0.05, 0.4, 0.7, 0.8]],
    "none": np.zeros((0, 5)),
    "cube": np.arange(24).reshape(2, 3, 4) % 7 - 3,
    "line": [3, -1, 2, 2, -5, 0.5, NAN],
    "weights": [0.5, 1, 2, -1, 0.25, 4, 1],
    "sorted": [-3, -1, 0, 0, 2, 2, 5],
    "table": [[1, 2], [0, 1], [1, 2], [0, 0], [1, 2]],
    "square": np.arange(16).reshape(4, 4) % 5 - 2,
    "sums": np.arange(15).reshape(3, 5) % 4 - 1,
    "many": np.arange(3 * 16400).reshape(3, 16400) % 5 - 2,
    "wide": np.arange(16500 * 3).reshape(16500, 3) % 3 - 1,
    "windowed": np.arange(2 * 3 * 4).reshape(2, 3, 4) % 5,
    "picked": [[1], [2], [3]],
    "image": np.random.default_rng(3).integers(-3, 4, (2, 3, 7, 6)),
    "edge": [
        [[0, 1, NAN, 1, 2, 2], [1, 1, NAN, NAN, -INF, 0], [-INF, -INF, INF, 0, 0, 0], [-INF, -INF, 1, INF, 0, 0]]
        + [[1, 2, 3, 4, 5, 6]] * 3
    ],
    "bar": np.arange(320).reshape(1, 320) * 7 % 60,
    "pooled": np.arange(18).reshape(2, 3, 3) % 5 - 1,
    "definite": [[[4, 1, 0], [1, 3, 1], [0, 1, 2]], [[2, -1, 0], [-1, 5, 1], [0, 1, 7]]],
    "ranked": [[1, 1, 2, 3, 3], [3, 1, 3, 1, 2], [2, 2, 1, 1, 2]],
}
# Arrays of a dtype of their own.
FIXED: dict[str, np.ndarray] = {
    "mask": np.array([[1, 0, 1, 1, 0], [0, 1, 0, 0, 1], [1, 1, 1, 0, 0]], np.bool_),
    "rows": np.array([2, 0, 2, -1]),
    "columns": np.array([[0], [4], [0], [3]]),
    "at": np.array([[0, 2, 2, 1, 0]]),
    "along": np.array([[0, 2, 2], [1, 1, 1], [4, 0, 4]]),
    "lines": np.array([[1], [0], [4]]),
    "counted": np.array([0, 3, 1, 3, 3, 0]),
    "counts": np.array([0, 3, 1, 3, 3, 0, 2]),
    "flat": np.array([[0, 7], [14, 7]]),
    "few": np.zeros(0, np.int64),
    "shifts": np.array([[1, 0, 2, 3, 3]]),
    "taps": (np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 7 % 4).astype(np.uint8),
}


class Line(NamedTuple):
    """A call of a word: `args` names arrays above, or holds what else stands there; each letter of `dtypes` is a call."""

    word: str
    args: tuple
    kw: dict[str, Any]
    dtypes: str
    scale: float  # of the tolerance


def line(word: str, args: str = "x", *more: Any, dtypes: str = "fhb", scale: float = 1.0, **kw: Any) -> Line:
    """A Line; `more` are positional arguments behind the arrays."""
    return Line(word, (*args.split(), *more), kw, dtypes, scale)


# windows of pooling: (axis, kernel, stride, padding, dilation, size)
_HALVES = ((1, 2, 2, 0, 1, 3), (2, 2, 2, 0, 1, 3))
_POOLED = [((2, 2, 2, 0, 1, 3), (3, 2, 2, 0, 1, 3)), ((2, 3, 2, 1, 1, 4), (3, 3, 1, 1, 1, 6)), ((2, 3, 2, 1, 1, 4),),
           ((1, 2, 1, 0, 1, 2),), ((3, 2, 3, 0, 1, 2),)]  # fmt: skip


def _options(*each: Any, groups: int = 1) -> dict[str, Any]:
    """stride, padding and dilation, a tuple each."""
    return dict(zip(("stride", "padding", "dilation"), each, strict=True), groups=groups)


def _three(args: str) -> list[tuple[str, str, dict[str, Any]]]:
    """A convolution and its two gradients: (word, arguments, the keyword `shape`)."""
    x, weight, y = args.split()
    shapes = [np.shape(IMAGES[name]) for name in (x, weight)]
    given = f"{x} {weight}{' channels' if np.shape(IMAGES[weight])[0] == 6 else ''}"
    return [
        ("convolution", given, {}),
        ("convolution_input", f"{y} {weight}", {"shape": shapes[0]}),
        ("convolution_weight", f"{y} {x}", {"shape": shapes[1]}),
    ]


def _image(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape) * 7 % 11 % 5 - 2


IMAGES = {
    "image": _image(2, 4, 6, 5), "filters": _image(6, 2, 3, 2), "seen": _image(2, 6, 3, 5), "seen1": _image(2, 6, 4, 4),
    "filters1": _image(6, 4, 3, 2), "wave": _image(3, 4, 9), "filters_w": _image(4, 1, 3), "seen_w": _image(3, 4, 4),
    "volume": _image(1, 2, 3, 4, 3), "filters_v": _image(3, 2, 2, 1, 2), "seen_v": _image(1, 3, 2, 4, 4),
    "channels": np.arange(6) - 2,
}  # fmt: skip
_CONVOLUTIONS = [
    ("image filters seen", _options((2, 1), (1, 1), (1, 2), groups=2)),
    ("image filters1 seen1", _options((1, 1), (0, 0), (1, 1))),
    ("wave filters_w seen_w", _options((2,), (0,), (1,), groups=4)),
    ("volume filters_v seen_v", _options((1, 1, 1), (0, 0, 1), (1, 1, 1))),
]  # fmt: skip
ALL = "fhbi?"
NUMBERS = "fhbi"
LINES = [
    # matrices
    *(line(word, "definite", dtypes="fd", scale=8) for word in ("cholesky", "det", "eigh", "inverse", "qr", "slogdet", "svd")),
    line("solve", "definite definite", dtypes="fd", scale=8), line("pinv", "definite", rtol=1e-5, atol=0.0, dtypes="fd", scale=8),
    # arrays
    line("astype", dtype=np.dtype(np.float16), dtypes=ALL), line("astype", "finite", dtype=BFLOAT16, dtypes=ALL),
    line("astype", "finite", dtype=np.dtype(np.int64), dtypes=ALL), line("clone", dtypes=ALL), line("contiguous"),
    line("zeros_like"), line("ones_like", dtypes=ALL), line("tril", "square", dtypes=ALL), line("triu", "cube", diagonal=-1),
    line("asarray", dtypes=ALL), line("tril", diagonal=1),
    # arithmetic
    *[line(w, "x y", dtypes=ALL) for w in ("add", "mul", "maximum", "minimum")],
    *[line(w, "x y", dtypes=NUMBERS) for w in ("sub", "div", "fmax", "fmin")],
    *[line(w, "x row", dtypes="f") for w in ("add", "sub", "mul", "div")], line("add", "x one", dtypes=ALL),
    line("mul", "none row"),
    *[line(w, "x row", dtypes=NUMBERS.replace("i", "")) for w in ("remainder", "fmod", "floor_divide", "trunc_divide")],
    *[line(w, "x y", dtypes="fh") for w in ("remainder", "fmod", "floor_divide", "trunc_divide")],
    *[line(w, "finite shifts1", dtypes="i") for w in ("remainder", "fmod", "floor_divide", "trunc_divide")],
    *[line(w, "x", dtypes=NUMBERS) for w in ("neg", "square", "sign", "abs", "round", "floor", "ceil", "trunc")],
    *[line(w, "x", dtypes="?") for w in ("abs", "sign", "round", "floor", "neg")], line("reciprocal", "x", dtypes="fhb"),
    line("reciprocal", "positive", dtypes="i"), line("pow", "positive finite", scale=8),
    line("pow", "finite row", dtypes="f", scale=4), line("pow", "finite finite", dtypes="i"),
    *[line("pow", "x", p, dtypes="fhb", scale=4) for p in (2, 3, 0.5, -1, 0, 2.5, -0.5, 1, -2)],
    line("pow", "x", 3, dtypes="i"), line("pow", "x", -1, dtypes="i"), line("pow", "x y", dtypes="?"),
    line("rsqrt", "positive"), line("lerp", "finite row part", dtypes="fhb", scale=4),
    line("lerp", "finite row one", dtypes="fh"), line("copysign", "x y"), line("hypot", "x y", scale=2), line("atan2", "x y"),
    line("logaddexp", "x y", scale=2), line("logaddexp2", "x y", scale=2), line("xlogy", "x positive"),
    line("xlogy", "x y", dtypes="fi", scale=2),
    # comparisons, logic, bits
    *[line(w, "x y", dtypes=ALL) for w in ("eq", "ne", "lt", "le", "gt", "ge")],
    *[line(w, "x", dtypes=ALL) for w in ("isnan", "isinf", "isfinite", "logical_not")], line("signbit"),
    *[line(w, "x y", dtypes=ALL) for w in ("logical_and", "logical_or", "logical_xor")],
    *[line(w, "x y", dtypes="i?") for w in ("bitwise_and", "bitwise_or", "bitwise_xor")], line("bitwise_not", dtypes="i?"),
    *[line(w, "x shifts1", dtypes="i") for w in ("bitwise_left_shift", "bitwise_right_shift")],
    line("where", "mask x y", dtypes=ALL), line("where", "mask x one", dtypes="fb"), line("where", "x x row", dtypes="f"),
    # limits
    line("clamp", min=-1, max=2, dtypes=NUMBERS), line("clamp", min=0.5), line("clamp", max=1.5),
    line("clamp", max=1, dtypes="i?"), line("relu", dtypes=ALL), line("nan_to_num", dtypes=NUMBERS),
    line("nan_to_num", nan=1.0, posinf=2.0, neginf=-3.0),
    # functions
    *[line(w, "x", dtypes=NUMBERS, scale=2) for w in ("exp", "exp2", "expm1", "tanh", "sin", "cos", "atan", "asinh", "sqrt")],
    *[line(w, "unit", scale=2) for w in ("tan", "sinh", "cosh", "asin", "acos", "atanh", "log1p")],
    *[line(w, "positive", dtypes=NUMBERS, scale=2) for w in ("log", "log2", "log10")], line("log", "x"),
    line("acosh", "positive", scale=4), line("deg2rad"), line("rad2deg"), line("sinc", "x", dtypes=NUMBERS, scale=4),
    line("logit", "part", scale=2),
    # activations
    *[line(w, "x", dtypes="fhb", scale=4) for w in ("gelu", "gelu_tanh", "mish", "silu", "softplus", "logsigmoid",
      "softsign", "elu", "leaky_relu", "hardsigmoid", "hardswish", "softshrink", "hardshrink")],
    line("tanhshrink", "finite", scale=8), line("sigmoid", dtypes=NUMBERS, scale=2), line("gelu", dtypes="i"),
    line("softplus", beta=2.0, threshold=3.0, dtypes="f", scale=2),
    line("elu", alpha=2.0, input_scale=0.5, dtypes="f", scale=2), line("leaky_relu", negative_slope=0.2, dtypes="f"),
    line("softshrink", lambd=1.0, dtypes="f"), line("hardshrink", lambd=1.0, dtypes="f"),
    # special functions
    *[line(w, "x", dtypes=NUMBERS, scale=8) for w in ("erf", "erfc", "ndtr", "digamma")],
    line("lgamma", "finite", dtypes=NUMBERS, scale=8), line("erfinv", "unit", scale=4), line("erfinv", "x", dtypes="fd"),
    line("polygamma", "positive", n=1, scale=4, dtypes="fd"), line("polygamma", "finite", n=2, scale=8, dtypes="f"),
    line("polygamma", "finite", n=0, dtypes="f", scale=4), line("lgamma", "positive", dtypes="d"),
    line("digamma", "finite", dtypes="d"),
    # reductions
    *[line(w, "x", axis=axis, dtypes=ALL) for w in ("sum", "prod", "all", "any", "count_nonzero") for axis in (0, (0, 1))],
    *[line(w, "finite", axis=1, keepdims=True, dtypes=NUMBERS) for w in ("sum", "mean", "prod")],
    line("mean", axis=0, dtypes="fhb"), *[line(w, "cube", axis=(0, 2)) for w in ("sum", "mean", "var")],
    line("var", "finite", axis=1, dtypes=NUMBERS), line("sum", "one", axis=()),
    line("var", "finite", axis=0, correction=0, keepdims=True), line("var", "picked", axis=1, dtypes="f"),
    *[line(w, "none", axis=0, dtypes="f") for w in ("sum", "mean", "prod", "all", "any", "var")],
    line("sum", "none", axis=1, dtypes="f"), line("sum", "many", axis=1, dtypes="fhi"),
    line("sum", "many", axis=(0, 1), dtypes="fb"), line("sum", "wide", axis=0, dtypes="f"),
    line("mean", "wide", axis=0, dtypes="fh"), line("var", "wide", axis=(0, 1), dtypes="f"),
    line("amax", "many", axis=1, dtypes="f"), line("sum_to", shape=(5,)), line("sum_to", "cube", shape=(3, 1)),
    line("count_nonzero", "cube", axis=(1,), dtypes=ALL),
    # extrema
    *[line(w, "x", axis=axis, dtypes=ALL) for w in ("amax", "amin", "argmax", "argmin") for axis in (0, 1)],
    line("amax", "cube", axis=(0, 2), keepdims=True, dtypes="fi"), line("argmax", "x", axis=1, keepdims=True, dtypes="f"),
    line("amax", "none", axis=0, dtypes="f"), line("amin", "none", axis=1, dtypes="f"),
    *[line("argmedian", "x", axis=axis, omit_nan=omit, dtypes="fhi") for axis in (0, 1) for omit in (False, True)],
    *[line("argmode", a, axis=axis, dtypes="fhi") for a in ("x", "ranked") for axis in (0, 1)],
    line("argmode", "cube", axis=1, keepdims=True), line("pick", "x lines", axis=1, dtypes=ALL),
    line("pick", "x counts5", axis=0), line("place", "picked lines", shape=(3, 5), axis=1, dtypes=ALL),
    line("place", "row counts5", shape=(3, 5), axis=0),
    # pooling
    *[line(w, "image", windows=v) for w in ("max_pool", "average_pool") for v in _POOLED],
    line("max_pool", "image", windows=((2, 3, 2, 1, 2, 3), (3, 2, 1, 1, 3, 5))), line("max_pool", "edge", windows=_HALVES),
    line("max_pool", "image", windows=_POOLED[1], named=False), line("max_pool", "bar", windows=((1, 300, 20, 10, 1, 3),)),
    line("average_pool", "image", windows=_POOLED[1], counts_padding=False, dtypes="f"),
    line("average_pool", "image", windows=_POOLED[1], divisor=5, dtypes="f"),
    line("max_pool_back", "pooled taps", windows=_HALVES, shape=(2, 6, 6)),
    line("max_pool_back", "pooled taps", windows=((1, 3, 1, 0, 1, 3), (2, 3, 1, 0, 1, 3)), shape=(2, 5, 5)),
    line("max_pool_back", "pooled taps", windows=((1, 4, 5, 0, 1, 3),), shape=(2, 15, 3)),
    line("average_pool_back", "pooled", windows=_HALVES, shape=(2, 6, 6)),
    line("average_pool_back", "pooled", windows=((1, 3, 2, 1, 1, 3), (2, 3, 2, 1, 1, 3)), shape=(2, 5, 6), counts_padding=False),
    line("average_pool_back", "pooled", windows=((1, 4, 5, 0, 1, 3),), shape=(2, 15, 3), divisor=3, dtypes="f"),
    # scans
    *[line("cumsum", "finite", axis=a, reverse=r, dtypes=ALL) for a in (0, 1) for r in (False, True)],
    *[line("cumprod", "finite", axis=a, reverse=r, exclusive=e, dtypes="fhi") for a in (0, 1) for r in (False,
      True) for e in (False, True)],
    *[line("recurrence", "finite y2", axis=a, reverse=r, dtypes="fh", scale=4) for a in (0, 1) for r in (False, True)],
    *[line("logcumsumexp", a, axis=1, scale=4) for a in ("finite", "x")], line("logcumsumexp", "cube", axis=0),
    *[line(w, a, axis=axis, dtypes="fhi") for w in ("argcummax", "argcummin") for a, axis in (("x", 0), ("x", 1), ("cube", 2))],
    # softmaxes
    *[line(w, a, axis=1, scale=2) for w in ("softmax", "log_softmax", "logsumexp") for a in ("finite", "x")],
    *[line(w, "cube", axis=(0, 2), dtypes="f", scale=2) for w in ("softmax", "log_softmax", "logsumexp")],
    line("logsumexp", "finite", axis=0, keepdims=True, scale=2),
    # shapes
    line("reshape", shape=(5, 3)), line("transpose", "cube", axes=(2, 0, 1)), line("mT", "cube"),
    line("broadcast_to", "row", shape=(2, 3, 5)), line("split", axis=1, sizes=(2, 3)), line("unbind", "cube", axis=1),
    line("diagonal", "cube", offset=1, axis1=0, axis2=2), line("windows", axis=1, size=3, step=2),
    line("strided", "line", shape=(2, 3), strides=(1, 2), offset=1), line("strided", "line", shape=(), strides=(), offset=6),
    line("from_diagonal", "row", shape=(5, 6), offset=1, axis1=0, axis2=1, dtypes=ALL),
    *[line("sum_windows", "windowed", axis=1, step=s, length=n, dtypes="fhi") for s, n in ((1, 6), (2, 9), (5, 14))],
    line("sum_windows", "windowed", axis=0, step=2, length=7), line("cat", "x y", axis=1, dtypes=ALL),
    line("stack", "x y", axis=1, dtypes=ALL), line("flip", axis=(0, 1)), line("roll", shifts=(1, -2), axis=(0, 1)),
    line("tile", repeats=(2, 1, 2)),
    # indices
    line("slice", spec=(1, Ellipsis, (None, None, -2))), line("unslice", "row", spec=(1, Ellipsis), shape=(3, 5), dtypes=ALL),
    line("index", "x rows", axes=(0,), dtypes=ALL), line("index", "x rows columns", axes=(0, 1)),
    line("index", "cube at3", axes=(1,)), line("index", "cube at2 at3", axes=(0, 2)), line("index", "x flat", axes=(0, 1)),
    line("index", "x few", axes=(0,)), line("unindex", "index4 rows", axes=(0,), shape=(3, 5), dtypes=NUMBERS),
    line("unindex", "index44 rows columns", axes=(0, 1), shape=(3, 5)),
    line("unindex", "cube2 at3", axes=(1,), shape=(2, 3, 4)), line("unindex", "cube3 at2 at3", axes=(0, 2), shape=(2, 3, 4)),
    line("unindex", "none few", axes=(0,), shape=(3, 5)), line("unindex", "two flat", axes=(0, 1), shape=(3, 5), dtypes="f"),
    line("index_put", "x row rows", axes=(0,), dtypes=ALL), line("index_put", "x index44 rows columns", axes=(0, 1)),
    line("index_put", "cube one at3", axes=(1,)), line("index_put", "cube cube3 at2 at3", axes=(0, 2), dtypes="f"),
    line("take_along", "x along", axis=1, dtypes=ALL), line("take_along", "x at", axis=0),
    line("untake_along", "nine along", axis=1, shape=(3, 5), dtypes=NUMBERS),
    line("put_along", "x along nine", axis=1, dtypes=ALL),
    *[line("reduce_along", "finite along nine", axis=1, how=h, dtypes=NUMBERS) for h in ("prod", "amax", "amin")],
    # searching and sorting
    line("nonzero", "x", dtypes=ALL), line("nonzero", "line"),
    *[line("argsort", "x", axis=a, descending=d, dtypes=ALL) for a in (0, 1) for d in (False, True)],
    *[line("argtopk", "x", k=2, axis=a, largest=d, dtypes=ALL) for a in (0, 1) for d in (False, True)],
    *[line("searchsorted", "sorted line", right=r, dtypes="fhi") for r in (False, True)],
    *[line("searchsorted", "rowsorted x", right=r, dtypes="fi") for r in (False, True)],
    line("bincount", "counted", dtypes="f"), line("bincount", "counts weights", minlength=6, dtypes="fd"),
    line("bincount", "few", dtypes="f"), line("unique", "line", axis=0, dtypes="fhi"),
    line("unique", "table", axis=0, dtypes="fi?"), line("unique", "table", axis=1, dtypes="f"),
    line("unique", "counted", axis=0, consecutive=True, dtypes="f"), line("unique", "none", axis=0, dtypes="f"),
    # dropout
    *[line("dropout", "finite", p=p, seed=5, offset=6) for p in (0.25, 0.3, 1.0)],
    # products
    line("matmul", "x5 finite", dtypes="fhbi?"), line("matmul", "cube square", dtypes="fhb"), line("matmul", "cube cubeT"),
    line("linear", "finite sums"), line("linear", "finite sums three"), line("linear", "cube fours"),
    line("linear", "row sums", dtypes="f"),
    # convolutions
    *[line(word, args, **shape, **options) for args, options in _CONVOLUTIONS for word, args, shape in _three(args)],
    # recurrent layers
    *[line("rnn_layer", f"{x} w2 w2 part2 part2 state", relu=relu, sizes=sizes, reverse=reverse, dtypes="fh", scale=4)
      for x, sizes in (("run", None), ("packed", (2, 2, 1))) for relu, reverse in ((False, False), (True, True))],
    *[line("rnn_layer_backward", f"{y} {x} w2 w2 part2 part2 state {y} state", relu=relu, sizes=sizes, dtypes="fh", scale=8)
      for x, y, sizes in (("run", "run", None), ("packed", "packed", (2, 2, 1))) for relu in (False, True)],
    *[line("lstm_layer", f"{x} w8 w8 part8 part8", *more, sizes=sizes, reverse=reverse, dtypes="fh", scale=8)
      for x, sizes in (("run", None), ("packed", (2, 2, 1))) for more, reverse in (((None, None, None), False),)],
    line("lstm_layer", "packed w8 w8 part8 part8 state state w2", sizes=(2, 2, 1), reverse=True, dtypes="fh", scale=8),
    *[line("lstm_layer_backward", f"{x} kept5 {x} w8 w8 part8 part8 state state w2 {x} state state", sizes=sizes,
           reverse=reverse, dtypes="fh", scale=16) for x, sizes, reverse in (("run", None, False), ("packed", (2, 2, 1), True))],
    *[line("gru_layer", f"{x} w6 w6 part6 part6 state", sizes=sizes, reverse=reverse, dtypes="fh", scale=8)
      for x, sizes, reverse in (("run", None, False), ("packed", (2, 2, 1), True))],
    *[line("gru_layer_backward", f"{x} kept4 {x} w6 w6 part6 part6 state {x} state", sizes=sizes, reverse=reverse,
           dtypes="fh", scale=16) for x, sizes, reverse in (("run", None, False), ("packed", (2, 2, 1), True))],
]  # fmt: skip

ELEMENTS |= IMAGES
ELEMENTS |= {
    "x5": np.asarray(ELEMENTS["finite"]).T, "cubeT": np.asarray(ELEMENTS["cube"]).swapaxes(1, 2), "three": [1, -2, 3],
    "fours": np.arange(8).reshape(2, 4) % 3, "nine": np.arange(9).reshape(3, 3) - 4, "two": [[1, 2], [3, 4]],
    "index4": np.arange(20).reshape(4, 5) % 6, "index44": np.arange(16).reshape(4, 4),
    "cube2": np.arange(40).reshape(2, 1, 5, 4) % 7,
    "cube3": np.arange(15).reshape(1, 5, 3), "y2": [[0.5, -1, 2, 1, 0], [1, 1, 2, -1, -2], [-3, 0.5, 0.25, 0, 5]],
    "rowsorted": np.sort(np.asarray(ELEMENTS["finite"]), 1),
}  # fmt: skip
ELEMENTS |= {  # of recurrent layers: three steps of two sequences with two features, or two of three and one of two steps
    "run": np.arange(12).reshape(3, 2, 2) % 5 / 4 - 0.5, "packed": np.arange(10).reshape(5, 2) % 7 / 4 - 0.75,
    "state": [[0.5, -0.25], [0.75, 1]], "kept5": np.arange(80).reshape(4, 5, 2, 2) % 9 / 8 - 0.25,
    "kept4": np.arange(48).reshape(3, 4, 2, 2) % 9 / 8 - 0.25,
    **{f"w{n}": np.arange(2 * n).reshape(n, 2) % 5 / 4 - 0.5 for n in (2, 6, 8)},
    **{f"part{n}": np.arange(n) % 3 / 4 for n in (2, 6, 8)},
}  # fmt: skip
FIXED |= {
    "shifts1": np.array([3, 1, 2, 7, 5]), "counts5": np.array([0, 2, 1, 2, 0]), "at3": np.array([[0, 2, 2, 1, 0]]),
    "at2": np.array([[0, 1, 1, 0, -1]]),
}  # fmt: skip


def arrays(args: tuple, dtype: np.dtype) -> list[Any]:
    """The arguments with the arrays that they name."""
    made = []
    for a in args:
        if not isinstance(a, str):
            made.append(a)
        elif a in FIXED:
            made.append(FIXED[a])
        else:
            with np.errstate(all="ignore"):
                values = np.asarray(ELEMENTS[a], float)
                if dtype.kind in "iub":
                    values = np.nan_to_num(values, posinf=6, neginf=-7)
                made.append(values.astype(dtype))
    return made
