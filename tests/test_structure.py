"""The house stays in order: layers, names, lengths, docstrings and type hints, read from the source text."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import autograd_gpu as ag
from autograd_gpu.core.graph import words

PACKAGE = Path(ag.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}

# part of the package -> its layer: it may import from lower layers, and from its own
LAYERS = {
    "backend": 0,
    "core": 1,
    "ops": 2,
    "autograd": 3, "function": 3, "func": 3, "checkpoint": 3, "memory": 3, "capture": 3, "testing": 3, "gradcheck": 3,
    "dtypes": 1,
    "linalg": 3, "special": 3, "compiler": 3, "random": 3, "distributions": 4, "anomaly": 3,
    "nn": 4, "optim": 4, "data": 4, "amp": 4, "io": 4, "cuda": 4, "backends": 4, "accelerator": 4, "utils": 4, "doctor": 4,
    "examples": 5, "cli": 5, "__main__": 5,
}  # fmt: skip

# imports that go upwards, each a documented slot: (importing file, what it imports)
SLOTS: set[tuple[str, str]] = set()

# files that may use NumPy though they are ops: they take in what the user gives, or say dtypes
NUMPY_IN_OPS = {
    "arguments.py": "dtypes that the user gives",
    "methods.py": "arrays that the user gives to an operator",
    "nested.py": "lists and arrays that the user gives",
    "subscript.py": "lists and arrays that the user gives",
    "create.py": "lists and arrays that the user gives",
    "convert.py": "dtypes that the user gives",
    "random.py": "the generator's state",
    "generator.py": "the generator's state",
}

SAID_BY_THE_CLASS = ("forward", "backward", "extra_repr", "setup_context")  # methods whose class says what they do

LONGEST_FILE, LONGEST_LINE = 500, 130


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def part_of(path: Path) -> str:
    """The part of the package that a file belongs to: 'core' for core/graph.py."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """What a file imports from this package, those inside functions too: ('core.graph', line)."""
    here = ("autograd_gpu", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = ".".join((*base, *((node.module or "").split(".") if node.module else ())))
            for alias in node.names:
                if module == "autograd_gpu" or module.startswith("autograd_gpu."):
                    yield f"{module}.{alias.name}".removeprefix("autograd_gpu."), node.lineno
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("autograd_gpu."):
                    yield alias.name.removeprefix("autograd_gpu."), node.lineno


def test_layers() -> None:
    """Each layer imports only from lower ones and from itself."""
    wrong = []
    for path in FILES:
        part = part_of(path)
        if part == "__init__":
            continue
        assert part in LAYERS, f"{name_of(path)} is in no layer: name one in LAYERS"
        for what, line in imports_of(path):
            other = what.partition(".")[0]
            if LAYERS.get(other, 0) > LAYERS[part] and (name_of(path), what) not in SLOTS:
                wrong.append(f"{name_of(path)}:{line} imports {what}")
    assert not wrong, "\n".join(wrong)


def test_no_module_bears_the_name_of_a_function_it_exports() -> None:
    """`from . import sort` must give the module: no package exports a function under the name of one of its modules, and no
    module of which a package takes all names one under its own."""
    hidden, named = [], []
    for path in FILES:
        names = list(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if names[-1] not in ("__init__", "__main__"):
            module = importlib.import_module(".".join(names))
            package = importlib.import_module(".".join(names[:-1]))
            if getattr(package, names[-1], module) is not module:
                hidden.append(name_of(path))
            if part_of(path) in ("ops", "backend") and names[-1] in getattr(module, "__all__", vars(module)):
                named.append(name_of(path))
    assert not hidden, f"hidden by something that their package exports: {hidden}"
    assert not named, f"named as a function that they export: {named}"


def test_public_names() -> None:
    """Every op that a family declares is a name of the package."""
    missing = [name for name in ag.ops.__all__ if not hasattr(ag, name)]
    assert not missing, f"not in autograd_gpu: {missing}"


def vocabulary() -> set[str]:
    """The words of arrays: what the files of backend/cpu give out, the modules and names of theirs left out."""
    from autograd_gpu.backend import cpu

    names = {n for n, v in vars(cpu).items() if callable(v) and not n.startswith("_") and not inspect.isclass(v)}
    return {n for n in names if getattr(getattr(cpu, n), "__module__", None) not in ("typing", "functools")}


def test_every_word_is_spoken() -> None:
    """The vocabulary is kept small, for each word is to be written for every kind of array: none that nobody says."""
    said = set()
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        said |= set(re.findall(r"\b(?:xp|cpu|there|vocabulary\([^)]*\)|of\([^()]*(?:\([^)]*\))?\)|\bspoken)\.(\w+)", text))
        if part_of(path) == "backend":  # helpers that its files share
            said |= {alias.name for n in ast.walk(TREES[path]) if isinstance(n, ast.ImportFrom) and n.level for alias in n.names}
    said |= {name for name in vocabulary() if name.startswith("random_")}  # called by the name of the distribution
    said |= {name for name, call in vars(words).items() if getattr(call, "op", None) is not None and call.op.is_word}
    assert not vocabulary() - said, f"words that nobody says: {sorted(vocabulary() - said)}"


def test_no_numpy_in_ops() -> None:
    for path in FILES:
        if part_of(path) != "ops" or path.name in NUMPY_IN_OPS:
            continue
        for node in ast.walk(TREES[path]):
            modules = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [getattr(node, "module", None) or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
            assert not any(m.partition(".")[0] in ("numpy", "ml_dtypes", "scipy") for m in modules), (
                f"{name_of(path)}:{node.lineno} imports {modules}"
            )


def test_no_device_in_ops() -> None:
    """No `if gpu` in ops, nn or optim: what differs between devices is the vocabulary."""
    for path in FILES:
        if part_of(path) in ("ops", "nn", "optim"):
            for node in ast.walk(TREES[path]):
                name = getattr(node, "id", None) or getattr(node, "attr", None)
                assert name not in ("cupy", "cp"), f"{name_of(path)}:{node.lineno} speaks of CuPy"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_fit_in_a_head(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST_FILE, f"{len(lines)} lines are usually two ideas: part them"
    long = [n for n, line in enumerate(lines, 1) if len(line) > LONGEST_LINE]
    assert not long, f"longer than {LONGEST_LINE} characters: lines {long}"
    assert ast.get_docstring(TREES[path]) or not lines, "a file says at its head what it is"


def public_functions() -> Iterator[tuple[str, object]]:
    """The public functions of the package, each once, under the name that a user types."""
    seen: set[int] = set()
    places = [("", ag, ag.ops.__all__)]
    for name in ("autograd", "testing", "nn.functional", "nn.init", "linalg", "special"):
        try:
            module = importlib.import_module(f"autograd_gpu.{name}")
        except ImportError:
            continue
        places.append((f"{name}.", module, getattr(module, "__all__", ())))
    for prefix, module, names in places:
        for name in names:
            thing = getattr(module, name, None)
            if callable(thing) and id(thing) not in seen:
                seen.add(id(thing))
                yield prefix + name, thing


def test_docstrings_with_an_example() -> None:
    missing = [name for name, thing in public_functions() if ">>> " not in (inspect.getdoc(thing) or "")]
    assert not missing, f"{len(missing)} public functions without a docstring that shows an example: {', '.join(sorted(missing))}"


def test_type_hints() -> None:
    """Every public function says the types of its parameters and of its result."""
    missing = []
    for name, thing in public_functions():
        if inspect.isclass(thing):
            continue
        signature = inspect.signature(thing)
        if signature.return_annotation is signature.empty or any(p.annotation is p.empty for p in signature.parameters.values()):
            missing.append(name)
    assert not missing, f"{len(missing)} public functions without type hints: {', '.join(sorted(missing))}"


def test_functions_say_what_they_are() -> None:
    """Public classes, functions and methods have a docstring, wherever they are defined."""
    missing = []
    for path in FILES:
        for node in ast.walk(TREES[path]):
            body = node.body if isinstance(node, (ast.Module, ast.ClassDef)) else ()
            if isinstance(node, ast.ClassDef) and node.name.startswith("_"):
                continue
            for child in body:
                if not isinstance(child, (ast.FunctionDef, ast.ClassDef)) or child.name.startswith("_"):
                    continue
                setter = any(isinstance(d, ast.Attribute) and d.attr in ("setter", "deleter") for d in child.decorator_list)
                if child.name not in SAID_BY_THE_CLASS and not setter and not ast.get_docstring(child):
                    missing.append(f"{name_of(path)}:{child.lineno} {child.name}")
    assert not missing, f"{len(missing)} without a docstring:\n" + "\n".join(missing)
