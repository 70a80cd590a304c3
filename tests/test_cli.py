"""The command line: the main job, its files, and what it says when it cannot do what was asked."""

from __future__ import annotations

import builtins
import importlib.util
import subprocess
import sys

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import cli, io
from autograd_gpu.examples import digits


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def without(monkeypatch):
    """Makes packages look as if they were not installed."""

    def hide(*names):
        find, load = importlib.util.find_spec, builtins.__import__

        def find_spec(name, *rest):
            return None if name in names else find(name, *rest)

        def load_module(name, *rest, **kw):
            if name.partition(".")[0] in names:
                raise ImportError(name)
            return load(name, *rest, **kw)

        monkeypatch.setattr(importlib.util, "find_spec", find_spec)
        monkeypatch.setattr(builtins, "__import__", load_module)

    return hide


def test_main_job_learns_to_read(capsys, tmp_path):
    assert cli.main(["train", "digits", "--save", "digits.npz", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    right = float(said.split("Test accuracy ")[1].split("%")[0])
    assert right >= 97.0
    seconds = float(said.split("parameters, ")[1].split(" s.")[0])
    assert seconds < 15
    assert "9,610 parameters" in said and f"Saved to {tmp_path / 'digits.npz'}." in said
    assert "epoch 60/60" in said and "nan" not in said


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_seeds_learn_it_too(seed):
    assert digits.train(seed=seed).accuracy >= 0.97


def test_the_same_seed_gives_the_same_bytes(capsys):
    command = [sys.executable, "-m", "autograd_gpu", "train", "digits", "--device", "cpu", "--epochs", "3"]
    for name, seed in (("a.npz", "5"), ("b.npz", "5"), ("c.npz", "6")):
        subprocess.run([*command, "--seed", seed, "--save", name], check=True, capture_output=True)
    a, b, c = (io.load(f"{name}.npz") for name in "abc")
    assert {name: t.numpy().tobytes() for name, t in a.items()} == {name: t.numpy().tobytes() for name, t in b.items()}
    assert any(a[name].numpy().tobytes() != c[name].numpy().tobytes() for name in a)


def test_saved_model_reads_digits(capsys):
    pytest.importorskip("safetensors")
    assert cli.main(["train", "digits", "--epochs", "20"]) == 0
    model = digits.network()
    model.load_state_dict(io.load("digits.safetensors"))
    _, _, x, y = digits.split()
    assert digits.accuracy(model, x.reshape(-1, 64), y) > 0.9


def test_no_model_is_overwritten(capsys, tmp_path):
    pytest.importorskip("safetensors")
    for _ in range(2):
        assert cli.main(["train", "digits", "--epochs", "1"]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {"digits.safetensors", "digits-2.safetensors"}
    before = (tmp_path / "digits.safetensors").read_bytes()
    assert cli.main(["train", "digits", "--epochs", "1", "--save", "digits.safetensors"]) == 2
    assert "that file exists" in capsys.readouterr().err
    assert (tmp_path / "digits.safetensors").read_bytes() == before
    assert cli.main(["train", "digits", "--epochs", "1", "--seed", "9", "--save", "digits.safetensors", "--force"]) == 0
    assert (tmp_path / "digits.safetensors").read_bytes() != before


def test_without_the_extra(without, capsys, tmp_path):
    without("safetensors", "rich")
    assert cli.main(["train", "digits", "--epochs", "1"]) == 0
    said = capsys.readouterr().out
    assert f"Saved to {tmp_path / 'digits.npz'}." in said
    assert "safetensors package is not installed: pip install 'autograd_gpu[train]'" in said
    assert cli.main(["train", "digits", "--save", "x.safetensors"]) == 2
    assert "pip install 'autograd_gpu[train]'" in capsys.readouterr().err


def test_no_picture_without_matplotlib(without, capsys, monkeypatch):
    without("matplotlib")
    monkeypatch.setattr(digits, "train", lambda **kw: pytest.fail("it trained"))
    assert cli.main(["train", "digits", "--picture", "x.png"]) == 2
    assert "matplotlib is not installed: pip install 'autograd_gpu[viz]'" in capsys.readouterr().err


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_no_half_picture(stop, capsys, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")

    def half(result, path):
        path.write_bytes(b"half a picture")
        raise stop

    monkeypatch.setattr(digits, "picture", half)
    status = cli.main(["train", "digits", "--epochs", "1", "--save", "x.npz", "--picture", "x.png"])
    said = capsys.readouterr()
    assert {p.name for p in tmp_path.iterdir()} == {"x.npz"} and "Saved to" in said.out and "nothing was saved" not in said.err
    assert (status, "no picture was saved" in said.err) == ((130, True) if isinstance(stop, KeyboardInterrupt) else (2, False))


def test_progress_bar_on_a_terminal(monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    assert cli.main(["train", "digits", "--epochs", "2", "--save", "x.npz"]) == 0
    said = capsys.readouterr().out
    assert "2/2" in said and "loss" in said and "test accuracy" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--save", "."], "that is a directory"),
        (["--save", "missing/model.npz"], "cannot save to missing/model.npz: No such file or directory"),
        (["--save", "missing/../model.npz"], "cannot save to missing/../model.npz: No such file or directory"),
        (["--save", "model.bin"], "must end in .safetensors or .npz"),
        (["--epochs", "0"], "0 is out of range"),
        (["--epochs", "many"], "'many' is not a whole number"),
        (["--seed", "-1"], "-1 is out of range"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
    ],
)
def test_bad_arguments_are_refused_before_training(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr(digits, "train", lambda **kw: pytest.fail("it trained"))
    try:
        status = cli.main(["train", "digits", *arguments])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_cuda_without_cuda_says_what_to_do(capsys, monkeypatch):
    monkeypatch.setattr(ag.cuda, "why_not", lambda: "no NVIDIA driver was found: install one")
    monkeypatch.setattr(digits, "train", lambda **kw: pytest.fail("it trained"))
    assert cli.main(["train", "digits", "--device", "cuda"]) == 2
    error = capsys.readouterr().err
    assert "--device cuda: CUDA cannot be used here" in error and "--device cpu" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("driver", [None, 12, 13])
def test_what_is_missing_for_cuda(driver, monkeypatch):
    from autograd_gpu.backend import driver as installed

    monkeypatch.setattr(installed, "driver_version", lambda: driver and driver * 1000)
    monkeypatch.setattr(installed.importlib.util, "find_spec", lambda name: None)
    why = installed.why_not()
    assert ("driver" in why) if driver is None else f"pip install 'autograd_gpu[cuda{driver}]'" in why


@pytest.mark.parametrize(
    "driver, cupy, installed, says",
    [
        (11080, None, (), "driver runs CUDA 11.8 and 12.0 is the oldest supported: update the driver"),
        (11080, "13.3.0", ("cupy-cuda11x",), "driver runs CUDA 11.8 and 12.0 is the oldest supported: update the driver"),
        (11080, "14.0.0", ("cupy-cuda12x",), "driver runs CUDA 11.8 and 12.0 is the oldest supported: update the driver"),
        (12040, None, (), "pip install 'autograd_gpu[cuda12]'"),
        (12040, "13.3.0", ("cupy-cuda12x",), "too old, bfloat16 needs 14: pip install -U 'autograd_gpu[cuda12]'"),
        (12040, "13.3.0", ("cupy",), "14: pip uninstall cupy, then pip install 'autograd_gpu[cuda12]'"),
        (13000, "13.3.0", ("cupy-cuda12x",), "14: pip uninstall cupy-cuda12x, then pip install 'autograd_gpu[cuda13]'"),
        (
            12040,
            "14.0.0",
            ("cupy-cuda13x",),
            "12.4 and CuPy was built for 13.0: update the driver, or pip uninstall cupy-cuda13x, then",
        ),
        (None, "14.0.0", ("cupy-cuda13x",), "no NVIDIA driver was found: install one"),
    ],
)
def test_the_remedy_can_be_had(driver, cupy, installed, says, monkeypatch):
    """Every extra that a message names exists, and its CuPy runs on the driver."""
    import importlib.metadata
    import re
    from pathlib import Path
    from types import SimpleNamespace

    from autograd_gpu.backend import driver as module

    def version(name):
        if name in installed:
            return cupy
        raise importlib.metadata.PackageNotFoundError(name)

    def count():
        raise ValueError("cudaErrorInsufficientDriver")

    runtime = SimpleNamespace(CUDARuntimeError=ValueError, getDeviceCount=count, runtimeGetVersion=lambda: 13000)
    found = SimpleNamespace(__version__=cupy, cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setattr(module, "driver_version", lambda: driver)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: cupy)
    monkeypatch.setattr(module.importlib, "import_module", lambda name: found)
    monkeypatch.setattr(module.importlib.metadata, "version", version)
    why = module.why_not()
    assert says in why
    extras = Path(__file__).resolve().parents[1].joinpath("pyproject.toml").read_text()
    for extra in re.findall(r"autograd_gpu\[(\w+)\]", why):
        assert f"\n{extra} = [" in extras


def test_a_full_disk_loses_nothing(capsys, monkeypatch):
    save, calls = io.save, []

    def full(tensors, path, metadata=None):
        calls.append(path)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        return save(tensors, path, metadata)

    monkeypatch.setattr(io, "save", full)
    assert cli.main(["train", "digits", "--epochs", "1", "--save", "x.npz"]) == 1
    said = capsys.readouterr()
    assert "No space left" in said.err
    assert io.load(said.out.split("Saved to ")[1].strip().removesuffix("."))["0.weight"].shape == (128, 64)


def test_interrupted(capsys, monkeypatch):
    def interrupt(**kw):
        raise KeyboardInterrupt

    monkeypatch.setattr(digits, "train", interrupt)
    assert cli.main(["train", "digits", "--save", "x.npz"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_pictures_of_what_is_not_trained(capsys):
    assert cli.main(["examples", "digits", "--pictures", "x"]) == 2
    assert "--check" in capsys.readouterr().err


def test_info(capsys):
    assert cli.main(["info"]) == 0
    said = capsys.readouterr().out
    for word in ("autograd_gpu", "python", "numpy", "ml_dtypes", "cupy", "BLAS", "devices", "CUDA"):
        assert word in said
    assert np.__version__ in said and ag.__version__ in said


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_files_hold_what_was_saved(ending, tmp_path):
    if ending == ".safetensors":
        pytest.importorskip("safetensors")
    tensors = {"a": ag.randn(3, 4).T, "b": ag.tensor(3), "c": ag.zeros(0, 2, dtype=ag.float64), "d": ag.tensor([True, False])}
    path = io.save(tensors, tmp_path / f"x{ending}")
    loaded = io.load(path)
    assert loaded.keys() == tensors.keys()
    for name, t in tensors.items():
        assert loaded[name].dtype == t.dtype and loaded[name].shape == t.shape and ag.equal(loaded[name], t)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
