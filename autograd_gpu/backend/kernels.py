"""Finds, compiles and launches the CUDA kernels in kernels/*.cu.

    launch = kernel("softmax.cu", "softmax_forward<float,false>")
    launch(grid, block, x, y, np.int64(rows), np.int32(columns), np.int64(stride), np.int32(32))

NOTE [Launching]
    1. A signature is read from the text of the kernel, so nothing is declared twice. A launch checks each argument against it:
       an array's dtype against the type pointed to, a scalar's class against the type of the parameter. CuPy checks neither, and
       hands a Python float to a `float` parameter as the eight bytes of a double.
    2. None stands for a null pointer. A struct goes by value, as a NumPy array without dimensions of the dtype `struct` gives.
    3. One module holds all kernels of a file that take the same template arguments: a forward is compiled together with its
       backward, and which modules there are does not depend on which kernel was asked for first.
    4. What is compiled is kept on disk by CuPy, under a hash of source, options, architecture and compiler, written to a
       temporary file that is then renamed. Included headers of ours are put into the text, because CuPy's hash does not see
       into them.
    5. AUTOGRAD_GPU_LAUNCH_BLOCKING=1 waits for each kernel here, and in `gpu.guard` for each op, so that an error is raised
       where it was made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .promotion import bfloat16

OPTIONS = ("--std=c++17",)
BLOCKING = os.environ.get("AUTOGRAD_GPU_LAUNCH_BLOCKING", "0") not in ("", "0")

BASIC = {
    "bool": np.dtype(np.bool_), "char": np.dtype(np.int8), "unsigned char": np.dtype(np.uint8), "byte_t": np.dtype(np.uint8),
    "int": np.dtype(np.int32), "unsigned int": np.dtype(np.uint32), "index_t": np.dtype(np.int64), "word_t": np.dtype(np.uint64),
    "long long": np.dtype(np.int64), "unsigned long long": np.dtype(np.uint64), "float": np.dtype(np.float32),
    "double": np.dtype(np.float64), "half_t": np.dtype(np.float16), "bfloat_t": bfloat16,
}  # fmt: skip
C_NAME = {np.dtype(np.float32): "float", np.dtype(np.float64): "double", np.dtype(np.float16): "half_t", bfloat16: "bfloat_t"}


def computed(dtype: np.dtype) -> np.dtype:
    """The dtype that kernels compute in, `acc_t` in their text: float64 for float64, else float32."""
    return dtype if dtype == np.float64 else np.dtype(np.float32)


# -- sources ---------------------------------------------------------------------------------------------------------------


@cache
def folder() -> Path:
    """Where the sources are: inside the installed package, or beside it in a checkout.

    Raises FileNotFoundError if they are in neither."""
    package = Path(__file__).resolve().parent.parent
    places = [package / "kernels", package.parent / "kernels"]
    for place in places:
        if (place / "common.cuh").is_file():
            return place
    raise FileNotFoundError(f"the CUDA sources are neither in {places[0]} nor in {places[1]}: install autograd_gpu again")


def files() -> list[str]:
    """The names of the sources that kernels are in."""
    return sorted(path.name for path in folder().glob("*.cu"))


@cache
def source(file: str) -> str:
    """The text of a file with our own headers in the place of their includes."""
    return _included(file, set())


def _included(file: str, seen: set[str]) -> str:
    if file in seen:
        return ""
    seen.add(file)
    lines = [f'#line 1 "{file}"']
    for number, line in enumerate((folder() / file).read_text().splitlines(), 1):
        include = re.match(r'\s*#include\s+"([\w.]+)"', line)
        if include:
            lines += [_included(include[1], seen), f'#line {number + 1} "{file}"']
        else:
            lines.append("" if line.startswith("#pragma once") else line)  # which warns in what is now the main file
    return "\n".join(lines) + "\n"


# -- signatures ------------------------------------------------------------------------------------------------------------


class Template(NamedTuple):
    """A kernel or a struct as its text has it.

    parameters  (name, default or None) of the template, in order
    text        the list of those, by which kernels are grouped in modules
    body        the parameters of a kernel, or the members of a struct"""

    parameters: list[tuple[str, str | None]]
    text: str
    body: str


class Parameter(NamedTuple):
    """A parameter of a kernel: a pointer to elements of `dtype` or such an element itself."""

    name: str
    dtype: np.dtype
    pointer: bool
    text: str


_TEMPLATE = r"(?:template\s*<((?:[^<>]|<[^<>]*>)*)>\s*)?"
_KERNEL = re.compile(
    _TEMPLATE + r'(?:extern\s+"C"\s+)?__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)\s*\{'
)
_MEMBER = re.compile(r"(?:const\s+)?([\w\s]*\w(?:<.*>)?\s*\*?)\s*\b(\w+(?:\[.*\])?(?:\s*,.*)?)", re.S)
_STRUCT = re.compile(_TEMPLATE + r"struct\s+(\w+)\s*\{([^{}]*)\}\s*;")


def _split(text: str) -> list[str]:
    """The parts of a list between commas that are in no angle brackets."""
    parts, depth = [""], 0
    for c in text:
        depth += (c == "<") - (c == ">")
        if c == "," and not depth:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts if part.strip()]


def _templates(pattern: re.Pattern, file: str) -> dict[str, Template]:
    found = {}
    for parameters, name, body in pattern.findall(re.sub(r"//[^\n]*|^#[^\n]*", "", source(file), flags=re.M)):
        listed = []
        for parameter in _split(parameters):
            declared, _, default = parameter.partition("=")
            listed.append((declared.split()[-1], default.strip() or None))
        found[name] = Template(listed, parameters, body)
    return found


@cache
def templates(file: str) -> dict[str, Template]:
    """The kernels of a file by name."""
    return _templates(_KERNEL, file)


@cache
def _structs(file: str) -> dict[str, Template]:
    return _templates(_STRUCT, file)


@cache
def _constants(file: str) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"^#define\s+(\w+)\s+(\d+)\s*$", source(file), re.M)}


def _bind(what: str, template: Template, given: list[str]) -> dict[str, str]:
    """The arguments of a template by the names of its parameters."""
    bound: dict[str, str] = {}
    for k, (name, default) in enumerate(template.parameters):
        if k >= len(given) and default is None:
            raise TypeError(f"{what} lacks the template argument {name}")
        bound[name] = given[k] if k < len(given) else _substitute(str(default), bound)
    if len(given) > len(template.parameters):
        raise TypeError(f"{what} has {len(given)} template arguments, and takes {len(template.parameters)}")
    return bound


def _substitute(text: str, bound: dict[str, str]) -> str:
    return re.sub(r"\w+", lambda word: bound.get(word[0], word[0]), text)


def _parts(name: str) -> tuple[str, list[str]]:
    """`f<a,b>` as f and [a, b]."""
    head, _, rest = name.partition("<")
    return head.strip(), _split(rest.strip().removesuffix(">"))


def _dtype(file: str, text: str) -> np.dtype:
    """The dtype of a C type whose template parameters have been replaced."""
    name, arguments = _parts(text)
    if name == "acc_t":
        return computed(_dtype(file, arguments[0]))
    return BASIC[text] if text in BASIC else struct(file, text)


@cache
def struct(file: str, name: str) -> np.dtype:
    """The dtype of a struct of a file, such as struct("optim.cu", "Table<float>"), laid out as C does it. Pointers are uint64."""
    head, arguments = _parts(name)
    if head not in _structs(file):
        raise TypeError(f"{file}: no type {name}")
    template = _structs(file)[head]
    bound = _bind(f"{file}: {name}", template, arguments)
    names, formats = [], []
    for member in filter(None, (m.strip() for m in template.body.split(";"))):
        kind, declared = _MEMBER.fullmatch(member).groups()
        kind = _substitute(kind.strip(), bound)
        dtype = np.dtype(np.uint64) if kind.endswith("*") else _dtype(file, kind)
        for item in declared.split(","):
            field, size = re.fullmatch(r"\s*(\w+)\s*(?:\[(.*)\])?\s*", item).groups()
            names.append(field)
            formats.append((dtype, (_size(file, size),)) if size else dtype)
    return np.dtype({"names": names, "formats": formats}, align=True)


def _size(file: str, text: str) -> int:
    """The value of a sum of numbers and constants."""
    return sum(_constants(file)[term] if term in _constants(file) else int(term) for term in re.split(r"\s*\+\s*", text.strip()))


def signature(file: str, name: str) -> list[Parameter]:
    """The parameters of a kernel, whose template arguments `name` gives.

    Raises TypeError if the file has no such kernel or the arguments are too few or too many."""
    head, arguments = _parts(name)
    if head not in templates(file):
        raise TypeError(f"{file} has no kernel {head}: it has {', '.join(templates(file))}")
    template = templates(file)[head]
    bound = _bind(f"{file}: {name}", template, arguments)
    parameters = []
    for text in _split(template.body):
        text = " ".join(re.sub(r"\bconst\b|__restrict__", " ", text).split())
        kind, label = re.fullmatch(r"(.*?)\s*(\w+)", text).groups()
        kind = _substitute(kind, bound)
        pointer, dtype = kind.endswith("*"), _dtype(file, kind.removesuffix("*").strip())
        if kind.startswith("acc_t<"):
            kind = C_NAME[dtype] + "*" * pointer
        parameters.append(Parameter(label, dtype, pointer, kind))
    return parameters


# -- launching -------------------------------------------------------------------------------------------------------------


def kernel(file: str, name: str) -> Callable:
    """The prepared launch(grid, block, *arguments, shared=0) of a kernel, compiled now unless it has been before.

    grid and block are tuples of up to three numbers; `shared` is dynamic shared memory in bytes. Launching raises TypeError for
    an argument that is not of its parameter's type. Arrays must lie on the current device."""
    return _kernel(file, name.replace(" ", ""))


@cache
def _kernel(file: str, name: str) -> Callable:
    parameters = signature(file, name)
    head, arguments = _parts(name)
    template = templates(file)[head]
    module = _module(file, template.text, ",".join(arguments))
    return _launcher(f"{file}: {name}", parameters, module.get_function(name))


@cache
def _module(file: str, text: str, arguments: str) -> Any:
    import cupy

    names = [f"{name}<{arguments}>" for name, template in templates(file).items() if template.text == text]
    return cupy.RawModule(code=source(file), options=OPTIONS, name_expressions=names if text else None)


# A launcher is written as text and evaluated, so that checking is one expression without a loop. For f(float* x, int n):
#
#   def launch(grid, block, x, n, *, shared=0):
#       if not ((x is None or x.__class__ is ndarray and x.dtype is type_0) and n.__class__ is type_1):
#           explain(x, n)
#       raw(grid, block, (null if x is None else x, n), shared_mem=shared)


def _launcher(name: str, parameters: list[Parameter], raw: Callable) -> Callable:
    import cupy

    def explain(*values: Any) -> None:
        for parameter, value in zip(parameters, values, strict=True):
            _check(name, parameter, value, cupy.ndarray)

    scope: dict[str, Any] = {"raw": raw, "explain": explain, "ndarray": cupy.ndarray, "null": np.uint64(0), "array": np.ndarray}
    checks, values = [], []
    for k, p in enumerate(parameters):
        if p.pointer:
            scope[f"type_{k}"] = p.dtype
            checks.append(f"({p.name} is None or {p.name}.__class__ is ndarray and {p.name}.dtype is type_{k})")
            values.append(f"null if {p.name} is None else {p.name}")
        elif p.dtype.names:
            scope[f"type_{k}"] = p.dtype
            checks.append(f"({p.name}.__class__ is array and {p.name}.dtype is type_{k})")
            values.append(p.name)
        else:
            scope[f"type_{k}"] = p.dtype.type
            checks.append(f"{p.name}.__class__ is type_{k}")
            values.append(p.name)
    names = ", ".join(p.name for p in parameters)
    lines = [
        f"def launch(grid, block, {names}, *, shared=0):",
        f"    if not ({' and '.join(checks) or True}):",
        f"        explain({names})",
        f"    raw(grid, block, ({''.join(v + ', ' for v in values)}), shared_mem=shared)",
    ]
    if BLOCKING:
        scope["wait"] = lambda: wait(name)
        lines.append("    wait()")
    exec("\n".join(lines), scope)
    launch = scope["launch"]
    launch.__doc__ = f"Launch {name}."
    return launch


def _check(name: str, p: Parameter, value: Any, ndarray: type) -> None:
    """Raise TypeError if `value` is not what the parameter takes."""
    if p.pointer:
        if value is None:
            return
        if not isinstance(value, ndarray):
            raise TypeError(f"{name}: '{p.name}' is a pointer ({p.text}) and takes a cupy.ndarray or None, not {_kind(value)}")
        if value.dtype != p.dtype:
            raise TypeError(f"{name}: '{p.name}' is a pointer to {p.dtype} ({p.text}), the array holds {value.dtype}")
    elif p.dtype.names:
        if not isinstance(value, np.ndarray) or value.dtype != p.dtype or value.ndim:
            raise TypeError(f"{name}: '{p.name}' is a {p.text} and takes a NumPy array of no dimensions, as struct() describes")
    elif type(value) is not p.dtype.type:
        raise TypeError(f"{name}: '{p.name}' is a {p.text} and takes np.{p.dtype.name}, not {_kind(value)}")


def _kind(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def wait(name: str) -> None:
    """Wait for what the current stream was given. Raises RuntimeError, with `name` in it, if it failed."""
    import cupy

    try:
        cupy.cuda.get_current_stream().synchronize()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(f"{name}: {error}") from error


# -- shapes of launches ----------------------------------------------------------------------------------------------------

THREADS = 256
WARP_COLUMNS = 1024  # rows of up to so many elements are read by a warp, longer ones by a block


@cache
def _blocks(device: int) -> int:
    """How many blocks of THREADS fill a device."""
    import cupy

    return 8 * cupy.cuda.runtime.deviceGetAttribute(cupy.cuda.runtime.cudaDevAttrMultiProcessorCount, device)


def elementwise(n: int) -> tuple[tuple[int], tuple[int]]:
    """Grid and block for a loop over n > 0 elements, or packs of them: no more blocks than fill the device."""
    import cupy

    blocks = (n + THREADS - 1) // THREADS
    return (blocks if blocks <= 64 else min(blocks, _blocks(cupy.cuda.runtime.getDevice())),), (THREADS,)


def rows_of(rows: int, columns: int) -> tuple[tuple[int], tuple[int], np.int32]:
    """Grid and block for a loop over rows, and the number of threads that share one: a warp's, or a block's.

    How a row is summed up must not depend on the device, so the threads depend on the number of columns alone."""
    if columns <= WARP_COLUMNS:
        grid, block = elementwise(rows * 32)
        return grid, block, np.int32(32)
    grid, block = elementwise(rows * THREADS)
    return grid, block, np.int32(THREADS)
