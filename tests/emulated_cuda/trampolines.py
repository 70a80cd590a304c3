"""Answer in Python the C functions that CuPy's modules call in each other.

CuPy is written in Cython: its modules do not call the CUDA libraries through Python names that could be replaced, they look up
each other's C functions in a table of capsules, ``__pyx_capi__``, once, when they are imported. A capsule carries the address of
the function and, as its name, the C signature. So for each function of the table that an object in Python implements, this module

1. parses the signature out of the capsule,
2. writes a C function with that signature, which packs its arguments and calls Python, and
3. puts a capsule with the new address in place of the old one,

before any other module of CuPy has read the table. The signatures come from the installed CuPy, not from a list kept here, so a
new function or a changed argument is followed. The C file is built once by g++ (about a second) and kept in the cache.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import subprocess
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

_api = ctypes.pythonapi
_api.PyCapsule_GetName.restype, _api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
_api.PyCapsule_New.restype = ctypes.py_object
_api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]

# C type of an argument: (type in the generated C, format of Py_BuildValue, type that the format takes)
ARGUMENTS = {
    "int": ("int", "i", "int"),
    "CUdevice": ("int", "i", "int"),
    "cudaMemcpyKind": ("int", "i", "int"),
    "unsigned int": ("unsigned int", "I", "unsigned int"),
    "size_t": ("size_t", "K", "unsigned long long"),
    "intptr_t": ("intptr_t", "L", "long long"),
    "uintmax_t": ("uintmax_t", "K", "unsigned long long"),
}
# C type of a result: (conversion from the Python object `result`, value that tells Cython to look for an exception)
RESULTS = {
    "int": ("(int)PyLong_AsLong(result)", "-1"),
    "unsigned int": ("(unsigned int)PyLong_AsUnsignedLong(result)", "0"),
    "intptr_t": ("PyLong_AsSsize_t(result)", "0"),
    "size_t": ("PyLong_AsSize_t(result)", "(size_t)-1"),
    "uintmax_t": ("PyLong_AsUnsignedLongLong(result)", "0"),
    "float": ("(float)PyFloat_AsDouble(result)", "0"),
}
# functions that CuPy declares with another value than their type's
SENTINELS = {"funcGetAttribute": "-2", "streamGetPriority": "0"}
# Functions with one optional argument, which Cython passes in a struct {how many are given; the value}: its type, and the value
# when it is not given. Optional arguments of the others (textures, managed memory) are not handed on.
OPTIONAL = {"streamBeginCapture": ("int", 2), "streamWaitEvent": ("unsigned int", 0)}

PREAMBLE = """\
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#if PY_VERSION_HEX >= 0x030D0000
#define INTERPRETER_ENDS Py_IsFinalizing()
#else
#define INTERPRETER_ENDS _Py_IsFinalizing()
#endif
"""
# When the interpreter ends, arrays that are still alive free their memory, after the Python functions that answered have lost
# their globals. The device has gone with the process then: every call succeeds and does nothing.
FUNCTION = """
PyObject* target_{symbol};
{returns} {symbol}({parameters}) {{
    if (INTERPRETER_ENDS) {at_exit}
    PyObject* result = PyObject_CallFunction(target_{symbol}, "({format})"{values});
    if (!result) return {error};
    {answer}
}}
"""


@dataclass
class Trampoline:
    """One function of a module's table and the Python callable that answers it."""

    module: ModuleType
    name: str
    signature: str
    target: Callable[..., Any]

    @property
    def symbol(self) -> str:
        return f"{self.module.__name__.rpartition('.')[2]}_{self.name}"

    def source(self) -> str | None:
        """The C function, or None if the signature has types that are not known here."""
        returns, arguments = _parse(self.signature)
        if _is_object(returns):
            returns, error, at_exit, answer = "PyObject*", "NULL", "Py_RETURN_NONE;", "return result;"
        elif returns in RESULTS:
            convert, error = RESULTS[returns]
            error = SENTINELS.get(self.name, error)
            at_exit, answer = "return 0;", f"{returns} value = {convert}; Py_DECREF(result); return value;"
        else:
            return None
        parameters, format, values, structs = [], "", "", ""
        for i, argument in enumerate(arguments):
            if "__pyx_skip_dispatch" in argument:  # "do not look for an override in a subclass"
                parameters.append("int skip_dispatch")
            elif "__pyx_opt_args" in argument and self.name in OPTIONAL:
                kind, default = OPTIONAL[self.name]
                structs = f"struct optional_{self.symbol} {{ int given; {kind} value; }};\n"
                parameters.append(f"struct optional_{self.symbol}* optional")
                format += "L"
                values += f", (long long)(optional && optional->given ? optional->value : {default})"
            elif "__pyx_opt_args" in argument:
                parameters.append("void* optional")
            elif argument in ARGUMENTS:
                kind, code, cast = ARGUMENTS[argument]
                parameters.append(f"{kind} a{i}")
                format += code
                values += f", ({cast})a{i}"
            elif _is_object(argument):
                parameters.append(f"PyObject* a{i}")
                format += "O"
                values += f", a{i}"
            else:
                return None
        return structs + FUNCTION.format(
            symbol=self.symbol, returns=returns, parameters=", ".join(parameters) or "void", at_exit=at_exit,
            format=format, values=values, error=error, answer=answer,
        )  # fmt: skip


def _parse(signature: str) -> tuple[str, list[str]]:
    """Result and arguments of a signature such as ``intptr_t (size_t, int __pyx_skip_dispatch)``."""
    match = re.fullmatch(r"(.+?)\s*\((.*)\)", signature)
    assert match is not None, signature
    returns, arguments = match.groups()
    return returns, [] if arguments == "void" else [a.strip() for a in arguments.split(",")]


def _is_object(kind: str) -> bool:
    return kind.endswith("*") and kind.startswith(("PyObject", "struct __pyx_obj_"))


def _not_emulated(module: ModuleType, name: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise NotImplementedError(f"the emulated CUDA device does not answer {module.__name__}.{name}")

    return refuse


def _build(source: str, cache: Path) -> Path:
    """The shared library of `source`; processes that build it at the same time do not disturb each other."""
    include = sysconfig.get_paths()["include"]
    key = hashlib.sha256(f"{source}{include}{sysconfig.get_config_var('SOABI')}".encode()).hexdigest()[:16]
    library = cache / f"trampolines-{key}.so"
    if not library.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = f"{library}.{os.getpid()}"
        Path(f"{part}.c").write_text(source)
        compiler = os.environ.get("CXX", "g++")
        command = [compiler, "-x", "c", "-O1", "-fPIC", "-shared", "-I", include, f"{part}.c", "-o", f"{part}.so"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the functions that CuPy's modules call do not build (Python.h missing?):\n{done.stderr}")
        os.replace(f"{part}.so", library)
        os.unlink(f"{part}.c")
    return library


# What C code points at must outlive it: libraries, names of capsules and callables, for as long as the process lives.
_alive: list[Any] = []


def replace(module: ModuleType, implementation: object, cache: Path, wrap: Callable[..., Any]) -> list[str]:
    """Let `implementation`'s methods answer the functions of the same name in `module`'s table.

    Functions that `implementation` does not have raise NotImplementedError. Returns the names left as they were, because
    their signature has structs that Python cannot be handed. `wrap` is applied to each method.
    """
    table = module.__pyx_capi__  # type: ignore[attr-defined]
    trampolines, sources, left = [], [PREAMBLE], []
    for name, capsule in table.items():
        signature = _api.PyCapsule_GetName(capsule).decode()
        if "(" not in signature:  # a variable
            continue
        target = getattr(implementation, name, None)
        target = _not_emulated(module, name) if target is None else wrap(target)
        trampoline = Trampoline(module, name, signature, target)
        source = trampoline.source()
        if source is None:
            left.append(name)
        else:
            trampolines.append(trampoline)
            sources.append(source)
    library = ctypes.PyDLL(str(_build("".join(sources), cache)))
    _alive.append(library)
    _connect(library, trampolines)
    return left


def _connect(library: ctypes.PyDLL, trampolines: Iterable[Trampoline]) -> None:
    for t in trampolines:
        name = ctypes.create_string_buffer(t.signature.encode())
        _alive.extend((name, t.target))
        _api.Py_IncRef(ctypes.py_object(t.target))
        ctypes.py_object.in_dll(library, f"target_{t.symbol}").value = t.target
        address = ctypes.cast(getattr(library, t.symbol), ctypes.c_void_p)
        t.module.__pyx_capi__[t.name] = _api.PyCapsule_New(address, ctypes.cast(name, ctypes.c_void_p), None)  # type: ignore
        if hasattr(t.module, t.name):  # callers in Python go straight to the answer
            setattr(t.module, t.name, t.target)
