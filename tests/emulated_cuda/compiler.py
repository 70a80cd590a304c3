"""CuPy's calls of NVRTC, answered by g++.

A program that CuPy compiles becomes an image that holds its source text, name expressions and options; CuPy caches it on disk and
loads it as it would a cubin. The machine code is `build.py`'s, made when it is first needed: plain when the program is compiled,
for the checker when a kernel of it is first launched checked. So one image serves both, and is never older than the headers.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import json
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import build, kernel
from .build import BuildError, Built
from .device import Device

MAGIC = b"EMULATED-CUDA-1:"
"""What an image begins with. The number is that of its format, and part of the name of CuPy's cache directory."""
NVRTC_ERROR_COMPILATION = 6
VERSION = (13, 0)
ARCHITECTURES = [75, 80, 86, 89, 90, 100, 120]
# what NVRTC defines and CuPy's headers ask for
MACROS = ("-D__CUDACC_VER_MAJOR__=13", "-D__CUDACC_VER_MINOR__=0")


# ---------------------------------------------------------------------- builds


def cupy_include() -> tuple[str, ...]:
    """Include paths of CuPy's own headers, and of the CUDA C++ library that comes with it."""
    import cupy

    root = Path(cupy.__file__).parent / "_core" / "include"
    library = root / "cupy" / "_cccl"
    return tuple(f"-I{p}" for p in (root, library / "thrust", library / "cub", library / "libcudacxx"))


@functools.cache
def _state_of(directory: str) -> str:
    """Names, sizes and times of the headers in a directory."""
    files = sorted(p for p in Path(directory).glob("*") if p.suffix in (".h", ".cuh", ".cu", ".hpp"))
    return ";".join(f"{p.name},{s.st_size},{s.st_mtime_ns}" for p in files for s in [p.stat()])


def build_cached(source: str, path: str, names: Sequence[str], options: Sequence[str], checked: bool) -> Built:
    """`build.build`, without running the preprocessor if nothing can have changed since the last time.

    That is when the same text was built with the same options and no header changed: not those of this package, not those in a
    directory that an option names. Installed packages are taken to change with the version of CuPy only.
    """
    own = [str(build.INCLUDE), *(o[2:] for o in options if o.startswith("-I") and "site-packages" not in o)]
    flags = build.CHECKED if checked else build.PLAIN
    versions = [_cupy_version(), build.compiler(), str(build.cuda_include())]
    parts = [source, path, *names, *options, *flags, *versions, *map(_state_of, own), Path(build.__file__).read_text()]
    index = build.cache_directory() / f"image-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}.pickle"
    if index.exists():
        known: Built = pickle.loads(index.read_bytes())
        if known.library.exists():
            return known
    built = build.build(source, path, names, checked=checked, options=options)
    part = index.with_suffix(f".{os.getpid()}")
    part.write_bytes(pickle.dumps(built))
    os.replace(part, index)
    return built


@functools.cache
def _cupy_version() -> str:
    import cupy

    return cupy.__version__


# ---------------------------------------------------------------------- what CuPy loads


class CompiledKernel:
    """A kernel as the driver launches it: arguments are bytes, an error is an exception, what it touched comes back."""

    def __init__(self, inner: kernel.Kernel, strict: bool) -> None:
        self.inner, self.strict = inner, strict
        self.sizes = [p.bytes for p in inner.parameters]
        self.points = [p.points for p in inner.parameters]
        self.most_threads = inner.most_threads
        self.static_shared = inner.shared_bytes
        self.checked = inner.module.built.checked

    def run(
        self, grid: Sequence[int], block: Sequence[int], arguments: Sequence[bytes], dynamic_shared: int, resident: int,
        profiled: bool = False,
    ) -> list[tuple[int, int, bool]]:  # fmt: skip
        """Run to the end; (low, high, whether written) of each range of bytes that a checked launch touched."""
        buffers = [ctypes.create_string_buffer(a, max(16, len(a))) for a in arguments]
        pointers = (ctypes.c_void_p * max(1, len(buffers)))(*map(ctypes.addressof, buffers))
        options = replace(kernel.defaults, resident=resident, profile=profiled)
        if not self.strict:
            options = replace(options, strict=False, uninitialised=False)
        self.inner.launch_raw(grid, block, pointers, dynamic_shared, options)
        if not self.checked:
            return []
        touched = kernel.touched()
        spans = [(*t.read, False) for t in touched if t.read] + [(*t.written, True) for t in touched if t.written]
        return spans


@dataclass
class CompiledModule:
    """An image: the source of kernels, loaded for plain and for checked launches when they are first needed."""

    source: str
    path: str
    names: list[str]
    options: list[str]
    _loaded: dict[bool, kernel.Module] = field(default_factory=dict)
    _kernels: dict[tuple[str, bool], CompiledKernel] = field(default_factory=dict)

    @classmethod
    def load(cls, image: bytes) -> CompiledModule:
        if not image.startswith(MAGIC):
            raise RuntimeError("the emulated CUDA device loads sources that it compiled, not PTX or cubins")
        return cls(**json.loads(image[len(MAGIC) :].rstrip(b"\0").decode()))

    def image(self) -> bytes:
        return MAGIC + json.dumps(dict(source=self.source, path=self.path, names=self.names, options=self.options)).encode()

    @property
    def is_cupys(self) -> bool:
        """Whether CuPy generated the source.

        Some of its kernels count on what cards forgive: a shuffle that orders memory (nonzero), a sum of lanes that nobody
        wrote and nobody uses (cumsum).
        """
        return "#include <cupy/carray.cuh>" in self.source

    def build(self, checked: bool) -> Built:
        """The machine code; BuildError if the source does not compile."""
        return build_cached(self.source, self.path, self.names, [*self.options, *MACROS, *cupy_include()], checked)

    def module(self, checked: bool) -> kernel.Module:
        if checked not in self._loaded:
            self._loaded[checked] = kernel.Module(self.build(checked))
        return self._loaded[checked]

    @property
    def loaded(self) -> int:
        """Kernels whose machine code is in memory."""
        return sum(len(module.kernels) for module in self._loaded.values())

    def kernel(self, name: str, checked: bool = False) -> CompiledKernel:
        """The kernel of a name expression; KeyError if there is none."""
        key = name, checked
        if key not in self._kernels:
            self._kernels[key] = CompiledKernel(self.module(checked)[name], strict=not self.is_cupys)
        return self._kernels[key]


# ---------------------------------------------------------------------- NVRTC


@dataclass
class Program:
    """What ``nvrtcCreateProgram`` makes."""

    source: str
    path: str
    names: list[str] = field(default_factory=list)
    log: str = ""
    image: bytes = b""


class Nvrtc:
    """The functions of ``cupy_backends.cuda.libs.nvrtc``."""

    def __init__(self) -> None:
        self.programs: dict[int, Program] = {}
        self.count = 0

    def getVersion(self) -> tuple[int, int]:
        return VERSION

    def getSupportedArchs(self) -> list[int]:
        return ARCHITECTURES

    def createProgram(self, source: str | bytes, name: str, headers: Sequence[str], include_names: Sequence[str]) -> int:
        self.count += 1
        path = os.path.basename(_text(name)) or "kernel.cu"  # CuPy puts it into a new temporary directory each time
        self.programs[self.count] = Program(_text(source), path)
        return self.count

    def destroyProgram(self, handle: int) -> None:
        self.programs.pop(handle, None)

    def addNameExpression(self, handle: int, name: str | bytes) -> None:
        self.programs[handle].names.append(_text(name))

    def getLoweredName(self, handle: int, name: str | bytes) -> str:
        return _text(name)

    def compileProgram(self, handle: int, options: Sequence[str | bytes]) -> None:
        program = self.programs[handle]
        module = CompiledModule(program.source, program.path, program.names, [_text(o) for o in options])
        try:
            module.build(checked=False)
        except BuildError as error:
            program.log = str(error)
            raise _compilation_error(program.log) from None
        program.image = module.image()

    def getProgramLog(self, handle: int) -> str:
        return self.programs[handle].log

    def getPTX(self, handle: int) -> bytes:
        return self.programs[handle].image

    def getCUBIN(self, handle: int) -> bytes:
        return self.programs[handle].image


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _compilation_error(log: str) -> Exception:
    """CuPy's NVRTCError, without its constructor, which asks the real library for the name of the error."""
    from cupy_backends.cuda.libs.nvrtc import NVRTCError

    class CompilationError(NVRTCError):
        def __init__(self, log: str) -> None:
            RuntimeError.__init__(self, f"NVRTC_ERROR_COMPILATION: {log}")
            self.status = NVRTC_ERROR_COMPILATION

    return CompilationError(log)


def install(device: Device) -> None:
    """Answer NVRTC from now on. The real functions stay as ``real`` on each answer."""
    from cupy_backends.cuda.libs import nvrtc

    answers: Any = Nvrtc()
    for name in dir(answers):
        if not name.startswith("_") and callable(getattr(answers, name)):
            answer = device.locked(getattr(answers, name))
            answer.real = getattr(nvrtc, name, None)  # type: ignore[attr-defined]
            setattr(nvrtc, name, answer)
