"""The README does what it says: its Python runs, its commands are the ones that CI runs, its paths exist."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from autograd_gpu.core.graph import words

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [code for language, code in BLOCKS if language == "sh"]


@pytest.fixture(autouse=True)
def forget_new_ops():
    before = dict(vars(words))
    yield
    for name in set(vars(words)) - set(before):
        delattr(words, name)


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_blocks_run(code):
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})


def test_example_learns():
    scope: dict = {}
    exec(compile(PYTHON[0], "README.md", "exec"), scope)
    assert scope["loss"].item() < 0.01


def test_two_commands_do_all_the_set_up():
    commands = [line for block in SHELL for line in block.splitlines() if line]
    assert len(commands) == 2
    assert "autograd-gpu train digits" in commands[0] and "pytest" in commands[1]


def test_ci_runs_the_commands_as_written():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in script
    assert 'bash -c "${commands[0]}"' in script and 'bash -c "${commands[1]}"' in script


def test_every_block_names_its_language():
    assert {language for language, _ in BLOCKS} == {"python", "sh"}


def test_paths_exist():
    paths = re.findall(r"`((?:autograd_gpu|kernels|tests|benchmarks)/[\w./]*)`", TEXT)
    assert len(paths) > 6
    for path in paths:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", ["overhead", "train"])
def test_figures_are_those_that_were_measured(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    measured = json.loads(benchmark.RESULTS.read_text(encoding="utf-8"))
    assert benchmark.with_figures(TEXT, measured) == TEXT
    assert all(f"{row['ratio']:.2f}" in TEXT for row in measured["steps"])
