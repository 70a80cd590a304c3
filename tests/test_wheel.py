"""The check of a wheel notices what is missing and what is too much."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from .check_wheel import WANTED, main


def packed(path: Path, names: list[str]) -> str:
    with zipfile.ZipFile(path, "w") as wheel:
        for name in names:
            wheel.writestr(name, "")
    return str(path)


def test_a_wheel_must_carry_every_source_of_the_kernels(tmp_path: Path, capsys: pytest.CaptureFixture):
    names = [f"autograd_gpu/{name}" for name in WANTED]
    assert {"autograd_gpu/kernels/common.cuh", "autograd_gpu/kernels/softmax.cu", "autograd_gpu/kernels/README.md"} <= set(names)
    main(packed(tmp_path / "whole.whl", names))
    assert "all that is needed" in capsys.readouterr().out
    names.remove("autograd_gpu/kernels/softmax.cu")
    with pytest.raises(SystemExit, match=r"missing \['kernels/softmax.cu'\]"):
        main(packed(tmp_path / "lacking.whl", names))


def test_a_wheel_carries_the_package_alone(tmp_path: Path):
    names = [f"autograd_gpu/{name}" for name in WANTED]
    with pytest.raises(SystemExit, match=r"stray \['tests/conftest.py'\]"):
        main(packed(tmp_path / "stray.whl", [*names, "tests/conftest.py"]))
