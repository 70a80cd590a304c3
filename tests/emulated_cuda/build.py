"""Compiles CUDA sources with g++: the runtime once, and .cu files for plain or for checked execution.

A source is preprocessed with include/emu.h before it; the marks that emu_qualifiers.h leaves in the text are resolved here; g++
makes assembler, in which each static shared array gets a redzone; the result is a shared library and a JSON file beside it.
Everything is kept in `cache_directory()`, under a hash of the preprocessed text, the options and the compiler. Files appear there
under their final name by `os.replace` only, so any number of processes may build at once.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
INCLUDE = HERE / "include"
RUNTIME = HERE / "runtime"

LAYOUT = "1"  # of the JSON files; to be counted up when it changes
REDZONE = 64  # bytes behind each static shared array; runtime/state.h has the same number

# x86-64-v3 has fused multiply-add, which nvcc uses wherever it can
_MACHINE = ("-march=x86-64-v3",) if platform.machine() == "x86_64" else ()
_COMMON = ("-std=c++17", "-fPIC", "-fno-strict-aliasing", "-fno-gnu-unique", "-fno-extern-tls-init", "-w")
_COMMON += ("-g1", "-gdwarf-4", "-ffp-contract=fast", *_MACHINE)
PLAIN = ("-O2", *_COMMON)
CHECKED = (
    "-O1",
    *_COMMON,
    "-fsanitize=thread",
    "--param=tsan-distinguish-volatile=1",
    "-fsanitize=bounds,alignment,shift,signed-integer-overflow,integer-divide-by-zero",
)


class BuildError(RuntimeError):
    """The compiler refused a source; the message is the compiler's."""


@dataclass(frozen=True)
class Built:
    """A compiled source.

    `kernels` are the name expressions asked for, then the other kernels that are no templates; `launch_bounds` holds the most
    threads of a block for those that declare it. `shared` lists the variables in thread-local storage, which is static shared
    memory: symbol, offset, size; `anchor` is the offset of the one that tells where that storage is. `functions` are the symbols
    of functions by their offsets in the library.
    """

    library: Path
    checked: bool
    kernels: tuple[str, ...]
    launch_bounds: dict[str, int]
    shared: tuple[tuple[str, int, int], ...]
    anchor: int
    functions: dict[int, str]

    def shared_bytes(self, kernel: str, kernels: Iterable[str]) -> int:
        """Static shared memory of a kernel, by its symbol: all but what the others of the kernels declare."""

        def scope(symbol: str) -> str:  # how the names of a function's static variables begin
            return f"_ZZ{symbol[2:]}E" if symbol.startswith("_Z") else f"_ZZ{len(symbol)}{symbol}E"

        others = tuple(scope(k) for k in kernels if k != kernel)
        return sum(size for symbol, _, size in self.shared if is_shared(symbol) and not symbol.startswith(others))


def is_shared(symbol: str) -> bool:
    """Whether a thread-local variable is one of the program's.

    _ZGV...: flags of g++ for arrays of classes such as half, which it thinks need a constructor to run.
    """
    return not symbol.startswith("_ZGV")


# ---- what is needed


def compiler() -> str:
    """The C++ compiler: CXX of the environment, else g++."""
    return os.environ.get("CXX") or "g++"


@functools.cache
def _compiler_version(command: str) -> str:
    version = subprocess.run([*command.split(), "--version"], capture_output=True, text=True, check=True).stdout
    if "clang" in version.lower():
        raise BuildError(f"the emulated CUDA device needs g++ 11 or later, and {command} is clang: set CXX")
    return version


@functools.cache
def cuda_include() -> Path:
    """The directory of NVIDIA's headers, from the wheel nvidia-cuda-runtime or a CUDA toolkit."""
    candidates: list[Path] = []
    for package in ("nvidia.cu13", "nvidia.cuda_runtime"):
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        candidates += [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []
    candidates += [Path(os.environ[v]) for v in ("CUDA_PATH", "CUDA_HOME") if v in os.environ] + [Path("/usr/local/cuda")]
    for candidate in candidates:
        if (candidate / "include" / "cuda_fp16.h").exists():
            return candidate / "include"
    raise BuildError("NVIDIA's headers are missing: pip install nvidia-cuda-runtime nvidia-cuda-crt")


@functools.cache
def cccl_include() -> Path:
    """The directory of <nv/target>, which NVIDIA's half types include: CuPy carries it, and so does a CUDA toolkit."""
    spec = importlib.util.find_spec("cupy")
    places = [Path(p) / "_core/include/cupy/_cccl/libcudacxx" for p in (spec.submodule_search_locations or ())] if spec else []
    for place in [*places, cuda_include() / "cccl", cuda_include()]:
        if (place / "nv" / "target").exists():
            return place
    raise BuildError("the header nv/target is missing: pip install cupy-cuda13x")


def missing() -> str | None:
    """Why kernels cannot be emulated on this machine, or None."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return "kernels are emulated on Linux, x86-64 or aarch64"
    if shutil.which(compiler().split()[0]) is None:
        return f"no C++ compiler: {compiler()} is not found"
    try:
        _compiler_version(compiler())
        cccl_include()
    except (BuildError, OSError, subprocess.CalledProcessError) as error:
        return str(error)
    return None


def cache_directory() -> Path:
    """Where compiled files are kept: EMULATED_CUDA_CACHE of the environment, else the user's directory among temporary files."""
    path = os.environ.get("EMULATED_CUDA_CACHE") or os.path.join(tempfile.gettempdir(), f"emulated_cuda-{os.getuid()}")
    Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(path)


def _run(arguments: Sequence[str | Path], **keywords) -> str:
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, **keywords)
    if done.returncode:
        raise BuildError(done.stderr[:8000])
    return done.stdout


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join((*parts, _compiler_version(compiler()))).encode()).hexdigest()[:24]


# ---- the runtime


def build_runtime() -> Path:
    """The library of the runtime, compiled if need be."""
    sources = sorted(RUNTIME.glob("*.cpp"))
    headers = [*sorted(RUNTIME.glob("*.h")), INCLUDE / "emu_interface.h", INCLUDE / "emu_entry.h"]
    options = ["-std=c++17", "-O2", "-g1", "-fPIC", "-fno-strict-aliasing", *_MACHINE]
    library = cache_directory() / f"runtime-{_hash(*options, *(p.read_text() for p in [*sources, *headers]))}.so"
    if not library.exists():
        scratch = library.with_suffix(f".{os.getpid()}.tmp")
        _run([*compiler().split(), *options, "-shared", f"-I{cuda_include()}", *sources, "-o", scratch])
        os.replace(scratch, library)
    return library


# ---- kernels

_PARENTHESES = r"\(((?:[^()]|\([^()]*\))*)\)"
_ATTRIBUTES = r"(?:__attribute__\s*\(\(.*?\)\)\s*|alignas\s*\([^)]*\)\s*)*"
_BOUNDS = rf"__emu_bounds__\s*{_PARENTHESES}\s*"
_DYNAMIC_SHARED = re.compile(rf"extern\s+({_ATTRIBUTES})__emu_shared__\s+({_ATTRIBUTES})([\w:<>,\s*]+?)\s*(\b\w+)\s*\[\s*\]\s*;")
_STATIC_SHARED = re.compile(r"(?:\bstatic\s+)?__emu_shared__(?:\s+static\b)?")
_KERNEL = re.compile(
    r"(template\s*<[^;{}]*>\s*)?(?:extern\s*\"C\"\s*)?(?:(?:static|inline)\s+)*__emu_global__\s+(?:(?:static|inline)\s+)*"
    rf"(?:{_BOUNDS})?void\s+(?:{_BOUNDS})?(\w+)\s*\("
)


def _most_threads(bounds: str | None) -> int | None:
    """The first argument of __launch_bounds__, where it is arithmetic on numbers."""
    first = (bounds or "").split(",")[0].strip()
    return int(eval(first)) if re.fullmatch(r"[\d\s*+()-]+", first) else None


def _find_kernels(text: str) -> tuple[dict[str, int | None], set[str]]:
    """Kernels of a preprocessed source, with the most threads of a block, and which of them are templates."""
    bounds: dict[str, int | None] = {}
    templates = set()
    for template, before, after, name in _KERNEL.findall(text):
        bounds[name] = _most_threads(before or after)
        if template:
            templates.add(name)
    return bounds, templates


def _resolve_marks(text: str) -> str:
    """Preprocessed CUDA becomes C++: see include/emu_qualifiers.h."""
    text = re.sub(_BOUNDS, "", text).replace("__emu_global__", "")
    text = _DYNAMIC_SHARED.sub(r"\3* const \4 = (\3*)emu::emu_dynamic_shared();", text)
    return _STATIC_SHARED.sub("static thread_local", text)


def _with_redzones(assembler: str) -> str:
    """Makes each variable in thread-local storage longer than its symbol says."""
    lines = assembler.split("\n")
    inside = False
    for i, line in enumerate(lines):
        if line.startswith("\t.section"):
            inside = ".tbss" in line
        elif line.strip() in (".text", ".data", ".bss"):
            inside = False
        elif inside and line.startswith("\t.zero"):
            lines[i] = f"\t.zero\t{int(line.split()[1]) + REDZONE}"
    return "\n".join(lines)


def _symbols(library: Path) -> dict[str, list[tuple[str, int, int]]]:
    """The functions and the variables in thread-local storage of a library: symbol, offset, size."""
    found: dict[str, set[tuple[str, int, int]]] = {"FUNC": set(), "TLS": set()}
    for line in _run(["readelf", "-sW", library]).splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[3] in found and fields[6] != "UND":
            found[fields[3]].add((fields[7], int(fields[1], 16), int(fields[2], 0)))
    return {kind: sorted(symbols, key=lambda s: s[1]) for kind, symbols in found.items()}


def include_options(options: Sequence[str]) -> tuple[str, ...]:
    """Those of a command line for NVRTC that mean something to g++: include paths and macros."""
    long = {"--include-path=": "-I", "--define-macro=": "-D", "--undefine-macro=": "-U"}
    kept = []
    for option in options:
        for name, short in long.items():
            if option.startswith(name):
                option = short + option[len(name) :]
        if option.startswith(("-I", "-D", "-U")):
            kept.append(option)
    return tuple(kept)


def build(
    source: str,
    path: str,
    names: Sequence[str] = (),
    *,
    checked: bool = False,
    options: Sequence[str] = (),
    discover: bool = True,
) -> Built:
    """Compiles CUDA source text.

    `path` is what messages call it; it need not exist. `names` are name expressions, such as ``softmax_forward<float, true>``;
    with `discover`, kernels that are no templates need not be named. `options` are include paths and macros, as for NVRTC.

    Raises BuildError with what the compiler says.
    """
    text = f'#include "emu.h"\n#include "emu_qualifiers.h"\n#line 1 "{path}"\n{source}\n'
    include = [f"-I{INCLUDE}", *include_options(options), f"-I{cuda_include()}", f"-I{cccl_include()}"]
    text = _run([*compiler().split(), "-std=c++17", "-E", "-x", "c++", "-", *include], input=text)
    bounds, templates = _find_kernels(text)
    kernels = tuple(dict.fromkeys((*names, *(k for k in bounds if discover and k not in templates))))
    entries = [f'extern "C" {{ emu::Entry emu_entry_{i} = emu::make_entry(&{name}); }}' for i, name in enumerate(kernels)]
    anchor = 'alignas(16) static thread_local char emu_anchor[16]; extern "C" void* emu_find_anchor() { return emu_anchor; }'
    text = "\n".join([_resolve_marks(text), '# 1 "entries"', anchor, *entries, ""])

    flags = CHECKED if checked else PLAIN
    stem = cache_directory() / _hash(text, *flags, LAYOUT)
    library, description = stem.with_suffix(".so"), stem.with_suffix(".json")
    if not library.exists():
        _compile(text, flags, library, description)
    symbols = json.loads(description.read_text())
    most_threads = {k: bounds.get(re.split(r"[<\s]", k.split("::")[-1])[0]) for k in kernels}
    return Built(
        library=library,
        checked=checked,
        kernels=kernels,
        launch_bounds={k: n for k, n in most_threads.items() if n is not None},
        shared=tuple((symbol, offset, size) for symbol, offset, size in symbols["TLS"] if "emu_anchor" not in symbol),
        anchor=next(offset for symbol, offset, _ in symbols["TLS"] if "emu_anchor" in symbol),
        functions={offset: symbol for symbol, offset, _ in symbols["FUNC"]},
    )


def _compile(text: str, flags: Sequence[str], library: Path, description: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"build-{os.getpid()}-", dir=cache_directory()) as scratch:
        directory = Path(scratch)
        (directory / "kernel.ii").write_text(text)
        _run([*compiler().split(), *flags, "-S", directory / "kernel.ii", "-o", directory / "kernel.s"])
        (directory / "kernel.s").write_text(_with_redzones((directory / "kernel.s").read_text()))
        # without the sanitizers' libraries: the runtime defines the functions that they would
        _run([*compiler().split(), "-shared", directory / "kernel.s", "-o", directory / "kernel.so"])
        (directory / "kernel.json").write_text(json.dumps(_symbols(directory / "kernel.so")))
        os.replace(directory / "kernel.json", description)
        os.replace(directory / "kernel.so", library)


def build_file(path: str | Path, names: Sequence[str] = (), *, checked: bool = False, options: Sequence[str] = ()) -> Built:
    """`build` of a file, which finds the headers beside it."""
    path = Path(path).resolve()
    return build(path.read_text(), str(path), names, checked=checked, options=(*options, f"-I{path.parent}"))
