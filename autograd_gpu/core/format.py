"""How a tensor prints: exactly as PyTorch prints it, but for the package's name in front of a dtype.

Numbers are printed in one of three ways, chosen once for all of them so that columns align: as integers with a point ("1."),
with `precision` digits after the point, or in scientific notation where they differ by more than a factor of 1000 or are
very large or small. Zeros, infinities and NaNs have no say in the choice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import backend
from ..backend.promotion import boolean, category, complex64, complex128, default_dtype, float64, int64


def _options(**changed: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None, **changed})


options = _options()  # how to print: see `set_printoptions`

_PROFILES = {
    "default": _options(),
    "short": _options(precision=2, edgeitems=2),
    "full": _options(threshold=math.inf),
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors print; what is None stays as it is, except sci_mode, where None means: as the numbers ask for.

    precision   digits after the point (4)
    threshold   number of elements above which "..." stands for those in the middle (1000)
    edgeitems   how many are shown at each end of a dimension then (3)
    linewidth   characters a line (80)
    profile     "default", "short" or "full", which set the four above
    sci_mode    True: scientific notation, False: none, None: where the numbers ask for it

    >>> import autograd_gpu as ag
    >>> ag.set_printoptions(precision=2)
    >>> ag.tensor([1.12345])
    tensor([1.12])
    >>> ag.set_printoptions(profile="default")
    """
    wanted = dict(precision=precision, threshold=threshold, edgeitems=edgeitems, linewidth=linewidth)
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"profile must be one of {', '.join(_PROFILES)}, not {profile!r}")
        chosen = dict(vars(_PROFILES[profile]))
        wanted = {name: chosen[name] if value is None else value for name, value in wanted.items()}
    for name, value in wanted.items():
        if value is not None:
            setattr(options, name, value)
    options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """How tensors print, as keywords for `set_printoptions`."""
    return dict(vars(options))


@contextmanager
def printoptions(**keywords: Any) -> Iterator[None]:
    """Print differently inside a `with` block: takes what `set_printoptions` takes."""
    before = get_printoptions()
    set_printoptions(**keywords)
    try:
        yield
    finally:
        set_printoptions(**before)


# -- numbers -----------------------------------------------------------------------------------------------------------


def _number_format(shown: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """A function that prints a number, and the width of what it returns, chosen for the numbers that are shown."""
    if category(shown.dtype) < 2:
        width = max((len(str(x)) for x in shown.ravel().tolist()), default=1)
        return (lambda x: str(x).rjust(width)), width
    values = shown.astype(float64).ravel()
    values = values[np.isfinite(values) & (values != 0)]
    if values.size == 0:
        return (lambda x: _integer(x).rjust(1)), 1
    size = np.abs(values)
    low, high = float(size.min()), float(size.max())
    scientific = (high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4) if options.sci_mode is None else options.sci_mode
    if scientific:
        text: Callable[[Any], str] = f"{{:.{options.precision}e}}".format
    elif bool((values == np.ceil(values)).all()):
        text = _integer
    else:
        text = f"{{:.{options.precision}f}}".format
    width = max(len(text(x)) for x in values.tolist())
    return (lambda x: text(x).rjust(width)), width


def _integer(x: float) -> str:
    return f"{x:.0f}." if math.isfinite(x) else f"{x:.0f}"


def _element_format(shown: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """As `_number_format`, for complex numbers too."""
    if category(shown.dtype) < 3:
        return _number_format(shown)
    real, real_width = _number_format(shown.real)
    imaginary, imaginary_width = _number_format(shown.imag)

    def text(x: complex) -> str:
        i = imaginary(x.imag).lstrip() + "j"
        return real(x.real) + (i if i[0] in "+-" else "+" + i)

    return text, real_width + imaginary_width + 1


# -- arrays ------------------------------------------------------------------------------------------------------------


def _ends(array: np.ndarray) -> np.ndarray:
    """The elements at the ends of each dimension, which are all that is shown of a large array."""
    edge = options.edgeitems
    for axis, n in enumerate(array.shape):
        if edge == 0:
            return array[:0].ravel()
        if n > 2 * edge:
            array = np.concatenate([np.take(array, range(edge), axis), np.take(array, range(n - edge, n), axis)], axis)
    return array


def _text(array: np.ndarray, indent: int, summarize: bool, element: Callable[[Any], str], width: int) -> str:
    """The brackets and what is in them; `indent` is the column of the opening one."""
    if array.ndim == 0:
        return element(array.tolist())
    edge = options.edgeitems
    cut = summarize and len(array) > 2 * edge
    kept = [array[:edge], array[len(array) - edge :]] if cut else [array]
    if array.ndim > 1:
        parts = [[_text(row, indent + 1, summarize, element, width) for row in rows] for rows in kept]
        rows = [*parts[0], "...", *parts[1]] if cut else parts[0]
        return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(rows) + "]"
    if summarize and edge == 0:
        items = ["..."]
    else:
        shown = [[element(x) for x in part.tolist()] for part in kept]
        items = [*shown[0], " ...", *shown[1]] if cut else shown[0]
    a_line = max(1, (options.linewidth - indent) // (width + 2))
    lines = [", ".join(items[i : i + a_line]) for i in range(0, len(items), a_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def array_text(array: np.ndarray, indent: int) -> str:
    """The elements of an array as they print after `indent` characters."""
    if array.size == 0:
        return "[]"
    if array.dtype.kind == "V":
        array = array.astype(np.float32)
    summarize = array.size > options.threshold
    element, width = _element_format(_ends(array) if summarize else array)
    return _text(array, indent, summarize, element, width)


def grad_fn_name(name: str) -> str:
    """PyTorch's name for the node of an op: `log_softmax` is LogSoftmaxBackward0."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_")) + "Backward0"


def _suffixes(t: Any) -> list[str]:
    """What is printed after the elements."""
    array, found = t.array, []
    if t.device.type != "cpu":
        found.append(f"device='{t.device}'")
    default = default_dtype[0]
    usual = {default, complex128 if default == float64 else complex64, int64, boolean} if array.size else {default}
    if (array.size == 0 and array.ndim != 1) or (array.size and options.edgeitems == 0):
        found.append(f"size={tuple(array.shape)}")
    if array.dtype not in usual:
        found.append(f"dtype=autograd_gpu.{array.dtype}")
    if t.grad_fn is not None:
        found.append(f"grad_fn=<{grad_fn_name(t.grad_fn.name())}>")
    elif t.requires_grad:
        found.append("requires_grad=True")
    return found


def text_of(t: Any) -> str:
    """What repr() gives for a tensor."""
    name = t.__class__.__name__
    head = "tensor(" if name in ("Tensor", "Parameter") else f"{name}("
    indent = len(head)
    text = head + array_text(backend.of(t.array.__class__).to_host(t.array), indent)
    length = len(text) - text.rfind("\n") + 1  # of the last line
    for suffix in _suffixes(t):
        size = len(suffix.replace("autograd_gpu.", "torch."))  # so that lines break where PyTorch breaks them
        if length + size + 2 > options.linewidth:
            text += ",\n" + " " * indent + suffix
            length = indent + size
        else:
            text += ", " + suffix
            length += size + 2
    return text + ")"
