"""The command line: `autograd-gpu train digits` and `autograd-gpu info`."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WRONG_USE = 2  # exit status: the command cannot be carried out as it was given
FAILED = 1
INTERRUPTED = 130


class Refusal(Exception):
    """The command cannot be carried out as given; the message says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except Refusal as refusal:
        print(f"autograd-gpu: error: {refusal}", file=sys.stderr)
        return WRONG_USE
    except BrokenPipeError:  # whoever read the output is gone; Python would complain again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return WRONG_USE
    except OSError as error:
        print(f"autograd-gpu: error: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("\nautograd-gpu: interrupted; nothing was saved", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    from . import __version__

    parser = argparse.ArgumentParser(prog="autograd-gpu", description="Train a network, or see what this machine can do.")
    parser.add_argument("--version", action="version", version=f"autograd_gpu {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    training = commands.add_parser("train", help="train a network on data that ships with the package")
    training.add_argument("task", choices=["digits"], help="digits: read 1,797 scans of handwritten digits, 8x8 pixels")
    training.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to compute (default: auto)")
    training.add_argument("--epochs", type=_whole(1), default=60, metavar="N", help="passes over the data (default: 60)")
    training.add_argument(
        "--seed", type=_whole(0), default=0, metavar="N", help="the same seed gives the same model (default: 0)"
    )
    training.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help="where to save the model: .safetensors or .npz (default: digits.safetensors here, or the next free name)",
    )
    training.add_argument("--force", action="store_true", help="replace FILE if it exists")
    training.set_defaults(run=_train)

    info = commands.add_parser("info", help="versions, devices, and what is missing for CUDA")
    info.set_defaults(run=_info)
    return parser


def _whole(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not least <= value < 2**63:
            raise argparse.ArgumentTypeError(f"{value} is out of range: it must be at least {least} and below 2**63")
        return value

    return number


# -- train -----------------------------------------------------------------------------------------------------------------


def _train(options: argparse.Namespace) -> int:
    from . import io
    from .examples import digits

    device = _device(options.device)
    path = _save_path(options.save, options.force)
    print(f"Training a network of 64-{digits.HIDDEN}-10 units on five sixths of 1,797 digits, testing on the rest, on {device}.")
    with _progress(options.epochs) as report:
        result = digits.train(epochs=options.epochs, seed=options.seed, device=device, report=report)
    count = sum(p.numel() for p in result.model.parameters())
    print(f"Test accuracy {100 * result.accuracy:.1f}%, {count:,} parameters, {result.seconds:.1f} s.")
    metadata = {"task": "digits", "epochs": str(options.epochs), "seed": str(options.seed), "accuracy": f"{result.accuracy:.4f}"}
    status = 0
    try:
        path = io.save(result.model.state_dict(), path, metadata)
    except OSError as error:
        print(f"autograd-gpu: error: could not write {path}: {error}", file=sys.stderr)
        path = io.save(result.model.state_dict(), Path(tempfile.mkdtemp(prefix="autograd_gpu-")) / path.name, metadata)
        status = FAILED
    print(f"Saved to {path.resolve()}.")
    if path.suffix == ".npz" and not io.have_safetensors():
        print("(An npz file, because the safetensors package is not installed: pip install 'autograd_gpu[train]'.)")
    return status


def _device(name: str) -> str:
    """The device to train on.

    Raises Refusal if it is cuda and that is not available."""
    from . import cuda

    missing = None if name == "cpu" else cuda.why_not()
    if name == "auto":
        return "cuda" if missing is None else "cpu"
    if missing is not None:
        raise Refusal(f"--device cuda: CUDA cannot be used here: {missing}. Or train with --device cpu.")
    return name


def _save_path(wanted: Path | None, force: bool) -> Path:
    """Where the model will be saved, found out before it is trained.

    Raises Refusal if it cannot be written there, or if something would be overwritten."""
    from . import io

    if wanted is None:
        ending = ".safetensors" if io.have_safetensors() else ".npz"
        path = next(p for p in _names("digits", ending) if not p.exists())
    else:
        path = wanted
        if path.is_dir():
            raise Refusal(f"--save {path}: that is a directory; name a file in it, such as {path / 'digits.safetensors'}")
        if path.suffix not in (".safetensors", ".npz"):
            raise Refusal(f"--save {path}: the name must end in .safetensors or .npz")
        if path.suffix == ".safetensors" and not io.have_safetensors():
            raise Refusal(
                f"--save {path}: the safetensors package is not installed: pip install 'autograd_gpu[train]', or save to "
                f"{path.with_suffix('.npz')}"
            )
        if path.exists() and not force:
            raise Refusal(f"--save {path}: that file exists; give another name, or --force to replace it")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise Refusal(f"cannot save to {path}: {error.strerror or error} ({path.parent.resolve()})") from None
    return path


def _names(stem: str, ending: str) -> Iterator[Path]:
    yield Path(stem + ending)
    number = 2
    while True:
        yield Path(f"{stem}-{number}{ending}")
        number += 1


@contextmanager
def _progress(epochs: int) -> Iterator[Callable[[int, float, float], None]]:
    """What is shown of training: a bar on a terminal with rich installed, else a line for every tenth part of it."""
    if sys.stdout.isatty() and importlib.util.find_spec("rich") is not None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        shown = TextColumn("loss {task.fields[loss]:.4f}  test accuracy {task.fields[accuracy]:.1%}")
        with Progress(TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), shown, TimeElapsedColumn()) as progress:
            task = progress.add_task("", total=epochs, loss=float("nan"), accuracy=0.0)
            yield lambda epoch, loss, accuracy: progress.update(task, completed=epoch, loss=loss, accuracy=accuracy)
        return

    def line(epoch: int, loss: float, accuracy: float) -> None:
        if epoch == epochs or epoch % max(1, epochs // 10) == 0 or epoch == 1:
            print(f"epoch {epoch:>{len(str(epochs))}}/{epochs}  loss {loss:.4f}  test accuracy {accuracy:.1%}", flush=True)

    yield line


# -- info ------------------------------------------------------------------------------------------------------------------


def _info(options: argparse.Namespace) -> int:
    from . import __version__, cuda

    rows = [("autograd_gpu", __version__), ("python", f"{platform.python_version()} ({platform.machine()}, {platform.system()})")]
    for package in ("numpy", "ml_dtypes", "safetensors", "rich", "cupy"):
        rows.append((package, _version(package) or "not installed"))
    rows.append(("BLAS", _blas()))
    missing = cuda.why_not()
    rows.append(("devices", "cpu" if missing else f"cpu, cuda ({cuda.device_count()})"))
    for name in cuda.gpu_names():
        rows.append(("GPU", name))
    rows.append(("CUDA", "available" if missing is None else f"not available: {missing}"))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    return 0


def _version(package: str) -> str | None:
    """The version of an installed package; CuPy's is called after the CUDA version it is for."""
    for name in (package, "cupy-cuda13x", "cupy-cuda12x") if package == "cupy" else (package,):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _blas() -> str:
    """The library that multiplies matrices on the CPU, and its threads."""
    import numpy as np

    config: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment, call-overload]
    blas = config.get("Build Dependencies", {}).get("blas", {})
    name = f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
    threads = None
    if importlib.util.find_spec("threadpoolctl") is not None:
        from threadpoolctl import threadpool_info

        threads = next((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), None)
    if threads is None:
        threads = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or os.cpu_count()
    return f"{name}, {threads} threads"
