"""Loads compiled kernels and launches them on the emulated device.

    module = load("kernels/softmax.cu", ["softmax_forward<float, false>"], checked=True)
    module["softmax_forward<float, false>"]((rows,), (32,), (x, y, np.int64(rows), np.int32(columns), ...))

Arrays are `DeviceArray`; scalars are NumPy scalars of exactly the type of the parameter. `runtime` is the library whose entry
points runtime/api.h describes; the software device calls it directly, and `Kernel.launch_raw` with pointers to raw arguments.
"""

from __future__ import annotations

import ctypes
import functools
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import build as _build
from .array import DeviceArray, runtime

ASCENDING, DESCENDING, RANDOM = range(3)


class KernelError(RuntimeError):
    """A kernel did what it must not do.

    `kind` is the first words of the message, such as ``RACE``; `where` is ``file:line``, `other` that of the other access of a
    race; either may be empty.
    """

    def __init__(self, kernel: str, message: str, where: str = "", other: str = "") -> None:
        self.kernel, self.where, self.other = kernel, where, other
        self.kind = message.split(":")[0] if ":" in message else message.split(" [")[0]
        text = f"{kernel}: {message}"
        if where:
            text += f"\n  at {where}"
        if other:
            text += f"\n  the other access: {other}"
        super().__init__(text)


class LaunchError(ValueError):
    """A launch that CUDA would refuse: its grid, its block, or too much shared memory."""


@dataclass(frozen=True)
class Options:
    """How kernels run. The fields are those of Options in runtime/api.h."""

    seed: int = 1
    order: int = RANDOM
    strict: bool = True
    resident: int = 1
    preempt: int = 0
    timeout_ms: int = 20000
    uninitialised: bool = True
    profile: bool = False


class _Options(ctypes.Structure):
    _fields_ = [
        ("seed", ctypes.c_uint64),
        ("order", ctypes.c_int32),
        ("checked", ctypes.c_int32),
        ("strict", ctypes.c_int32),
        ("resident", ctypes.c_int32),
        ("preempt", ctypes.c_int32),
        ("timeout_ms", ctypes.c_int32),
        ("uninitialised", ctypes.c_int32),
        ("profile", ctypes.c_int32),
    ]


class _Module(ctypes.Structure):
    _fields_ = [
        ("anchor", ctypes.c_void_p),
        ("anchor_offset", ctypes.c_uint64),
        ("shared", ctypes.c_void_p),
        ("shared_count", ctypes.c_uint64),
        ("code_low", ctypes.c_uint64),
        ("code_high", ctypes.c_uint64),
        ("shared_low", ctypes.c_uint64),
        ("shared_size", ctypes.c_uint64),
    ]


class _Entry(ctypes.Structure):
    _fields_ = [("function", ctypes.c_void_p), ("call", ctypes.c_void_p), ("signature", ctypes.c_char * 1024)]


class _Result(ctypes.Structure):
    _fields_ = [
        ("switches", ctypes.c_uint64),
        ("accesses", ctypes.c_uint64),
        ("pc", ctypes.c_uint64),
        ("other_pc", ctypes.c_uint64),
        ("message", ctypes.c_char * 4096),
    ]


class _Touch(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("read_low", "read_high", "write_low", "write_high")]


@dataclass(frozen=True)
class Touch:
    """Bytes of one allocation that a launch read and wrote: addresses (first, one past last), or None."""

    base: int
    read: tuple[int, int] | None
    written: tuple[int, int] | None


def touched() -> list[Touch]:
    """What the last launch touched, if it was checked."""
    count = runtime().emu_touched(None, None, 0)
    spans, bases = (_Touch * count)(), (ctypes.c_uint64 * count)()
    runtime().emu_touched(spans, bases, count)
    return [
        Touch(
            base,
            (s.read_low, s.read_high) if s.read_high else None,
            (s.write_low, s.write_high) if s.write_high else None,
        )
        for s, base in zip(spans, bases, strict=True)
    ]


class _Traffic(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("pc", "shared", "write", "requests", "moved", "least")]


@dataclass(frozen=True)
class Traffic:
    """What the requests of one instruction moved: sectors of global memory, or wavefronts of shared memory (`shared`), and how
    few would have done for the bytes. `pc` is for Module.place."""

    shared: bool
    write: bool
    requests: int
    moved: int
    least: int
    pc: int = 0


def profile() -> list[Traffic]:
    """What the last launch moved, an item for an instruction, if it was checked and profiled."""
    count = runtime().emu_profile(None, 0)
    rows = (_Traffic * count)()
    runtime().emu_profile(rows, count)
    return [Traffic(bool(r.shared), bool(r.write), r.requests, r.moved, r.least, r.pc) for r in rows]


# ---- parameters

_KINDS = {
    "f": "float",
    "i": "int",
    "u": "uint",
    "b": "bool",
    "h": "half",
    "g": "bfloat16",
    "s": "struct",
    "x": "indexer",
    "v": "void",
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel: a kind of `_KINDS`, its size in bytes, and whether it is a pointer to such."""

    kind: str
    size: int
    pointer: bool

    @classmethod
    def parse(cls, text: str) -> Parameter:
        pointer = text.startswith("P")
        text = text.removeprefix("P")
        return cls(text[0], int(text[1:]), pointer)

    @property
    def bytes(self) -> int:
        """Bytes that the argument takes."""
        return 8 if self.pointer else self.size

    @property
    def points(self) -> bool:
        """Whether there may be an address in the argument."""
        return self.pointer or self.kind == "s"

    def __str__(self) -> str:
        bits = "" if self.kind in "bhgv" else f" of {self.size} bytes" if self.kind in "sx" else str(8 * self.size)
        return f"{_KINDS[self.kind]}{bits}" + ("*" if self.pointer else "")

    def takes(self, dtype: np.dtype) -> bool:
        """Whether elements of the dtype are of this kind. Structures and void take all."""
        if self.kind == "v" or (self.kind == "s" and self.pointer):
            return True
        if self.size != dtype.itemsize:
            return False
        if self.kind == "g":
            return dtype.name == "bfloat16"
        if self.kind == "h":
            return dtype == np.float16
        if self.kind in "sx":
            return dtype.kind in "Vc"
        return dtype.kind == self.kind and not (self.kind == "f" and self.size == 2)


def _pack(argument: Any, parameter: Parameter) -> ctypes.Array:
    """The bytes of an argument. Raises TypeError unless it is exactly what the parameter wants."""
    if isinstance(argument, DeviceArray):
        if not parameter.pointer:
            raise TypeError(f"must be {parameter}, not an array")
        if not parameter.takes(argument.host.dtype):
            raise TypeError(f"must be {parameter}, not an array of {argument.host.dtype}")
        data = int(argument.pointer).to_bytes(8, "little")
    elif argument is None and parameter.pointer:
        data = bytes(8)
    elif isinstance(argument, np.ndarray) and argument.ndim:
        raise TypeError(f"must be {parameter}, not an array of the host")
    elif isinstance(argument, bytes) and parameter.kind == "s" and not parameter.pointer:
        if len(argument) != parameter.size:
            raise TypeError(f"must be {parameter}, not {len(argument)} bytes")
        data = argument
    elif isinstance(argument, np.generic | np.ndarray):
        if parameter.pointer or not parameter.takes(argument.dtype):
            raise TypeError(f"must be {parameter}, not {argument.dtype}")
        data = argument.tobytes()
    else:
        raise TypeError(f"must be {parameter}, and {type(argument).__name__} has no fixed size: use a NumPy scalar")
    return ctypes.create_string_buffer(data, max(16, len(data)))


# ---- modules and kernels


class Module:
    """A compiled source in memory: `module[name]` is a Kernel."""

    def __init__(self, built: _build.Built) -> None:
        self.built = built
        runtime()  # first: the module calls its functions
        self.library = ctypes.PyDLL(str(built.library))
        numbers = [n for symbol, offset, size in built.shared for n in (offset, size, int(_build.is_shared(symbol)))]
        self._shared = (ctypes.c_uint32 * max(1, len(numbers)))(*numbers)
        self.handle = _Module(
            anchor=ctypes.cast(self.library.emu_find_anchor, ctypes.c_void_p),
            anchor_offset=built.anchor,
            shared=ctypes.cast(self._shared, ctypes.c_void_p),
            shared_count=len(built.shared),
        )
        runtime().emu_module_open(ctypes.byref(self.handle))
        self.kernels = {
            name: Kernel(self, name, _Entry.in_dll(self.library, f"emu_entry_{i}")) for i, name in enumerate(built.kernels)
        }
        symbols = {k: built.functions.get(kernel.address - self.handle.code_low, "") for k, kernel in self.kernels.items()}
        for name, kernel in self.kernels.items():
            kernel.shared_bytes = built.shared_bytes(symbols[name], symbols.values())

    def __getitem__(self, name: str) -> Kernel:
        return self.kernels[name]

    def place(self, pc: int) -> str:
        """``file:line`` of an offset into the code: in the kernel, and where that was inlined."""
        if not pc:
            return ""
        try:
            lines = subprocess.run(
                ["addr2line", "-i", "-e", str(self.built.library), hex(pc - 1)], capture_output=True, text=True, check=True
            ).stdout
        except (OSError, subprocess.CalledProcessError):
            return "?"
        frames = [line.split(" (")[0] for line in lines.splitlines()]
        frames = [f for f in frames if not f.startswith((str(_build.INCLUDE), "??"))] or ["?"]
        return frames[0] + "".join(f", inlined at {f}" for f in frames[1:])


class Kernel:
    """A kernel.

    `most_threads` of a block are what its launch bounds allow, `shared_bytes` is its static shared memory. After each launch
    `switches` and `accesses` count changes of thread and (checked) loads and stores.
    """

    def __init__(self, module: Module, name: str, entry: _Entry) -> None:
        self.module, self.name, self._entry = module, name, entry
        self.parameters = tuple(Parameter.parse(p) for p in entry.signature.decode().split(",") if p)
        self.most_threads = module.built.launch_bounds.get(name, 1024)
        self.address: int = entry.function
        self.shared_bytes = 0
        self.switches = self.accesses = 0

    def __call__(
        self, grid: Sequence[int], block: Sequence[int], arguments: Sequence[Any], shared_bytes: int = 0, **options: Any
    ) -> None:
        """Runs the kernel to its end. `options` are fields of Options. Raises KernelError, LaunchError, TypeError."""
        if len(arguments) != len(self.parameters):
            wanted = ", ".join(map(str, self.parameters))
            raise TypeError(f"{self.name} takes {len(self.parameters)} arguments ({wanted}), not {len(arguments)}")
        buffers = []
        for i, (argument, parameter) in enumerate(zip(arguments, self.parameters, strict=True)):
            try:
                buffers.append(_pack(argument, parameter))
            except TypeError as error:
                raise TypeError(f"{self.name}: argument {i} {error}") from None
        pointers = (ctypes.c_void_p * max(1, len(buffers)))(*map(ctypes.addressof, buffers))
        self.launch_raw(grid, block, pointers, shared_bytes, replace(defaults, **options))

    def launch_raw(
        self, grid: Sequence[int], block: Sequence[int], pointers: Any, shared_bytes: int = 0, options: Options | None = None
    ) -> None:
        """As the call, with an array of pointers to the arguments, as for cuLaunchKernel. Nothing is checked about them."""
        options = options or defaults
        grid, block = (*grid, 1, 1)[:3], (*block, 1, 1)[:3]
        if block[0] * block[1] * block[2] > self.most_threads:
            raise LaunchError(f"{self.name}: {block} are more threads than the {self.most_threads} of its launch bounds")
        how = _Options(
            options.seed,
            options.order,
            self.module.built.checked,
            options.strict,
            options.resident,
            options.preempt,
            options.timeout_ms,
            options.uninitialised,
            options.profile,
        )
        result = _Result()
        three = ctypes.c_uint32 * 3
        status = runtime().emu_launch(
            ctypes.byref(self._entry),
            ctypes.byref(self.module.handle),
            ctypes.byref(how),
            three(*grid),
            three(*block),
            shared_bytes,
            pointers,
            ctypes.byref(result),
        )
        self.switches, self.accesses = result.switches, result.accesses
        if not status:
            return
        message = result.message.decode(errors="replace")
        if status == 2:
            raise LaunchError(f"{self.name}: {message}")
        where = self.module.place(result.pc)
        if not where and (site := re.search(r"\S+:\d+", message)):
            where = site[0].rstrip(":")
        raise KernelError(self.name, message, where, self.module.place(result.other_pc))


defaults = Options()


def configure(**options: Any) -> Options:
    """Changes the defaults of all launches that follow; returns those of before."""
    global defaults
    before, defaults = defaults, replace(defaults, **options)
    return before


@functools.cache
def _load(path: Path, names: tuple[str, ...], checked: bool, options: tuple[str, ...]) -> Module:
    return Module(_build.build_file(path, names, checked=checked, options=options))


def load(path: str | Path, names: Sequence[str] = (), *, checked: bool = False, options: Sequence[str] = ()) -> Module:
    """Compiles a .cu file and loads it, once for the same arguments. See build.build_file."""
    return _load(Path(path).resolve(), tuple(names), checked, tuple(options))


def load_source(source: str, names: Sequence[str] = (), *, path: str = "kernel.cu", checked: bool = True) -> Module:
    """Compiles source text and loads it."""
    return Module(_build.build(source, path, names, checked=checked))
