"""The command line: `autograd-gpu train digits`, `autograd-gpu examples` and `autograd-gpu info`."""

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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .examples import Example

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
        print(f"\nautograd-gpu: interrupted{'; nothing was saved' if options.run is _train else ''}", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    from . import __version__
    from .examples import EXAMPLES

    parser = argparse.ArgumentParser(prog="autograd-gpu", description="Train a network, or see what this machine can do.")
    parser.add_argument("--version", action="version", version=f"autograd_gpu {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    training = commands.add_parser("train", help="train a network on data that ships with the package or is made on the spot")
    tasks = training.add_subparsers(title="networks", metavar="NAME", dest="task", required=True)
    for example in EXAMPLES.values():
        _add_training(tasks.add_parser(example.name, help=example.about, description=f"Train: {example.about}."), example)

    examples = commands.add_parser("examples", help="list the networks, or check that they reach their targets")
    examples.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    examples.add_argument("--check", action="store_true", help="train each and see whether it reaches its target")
    examples.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to compute (default: auto)")
    examples.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="(default: 0)")
    examples.add_argument("--pictures", type=Path, metavar="FOLDER", help="with --check: save a picture of each result there")
    examples.set_defaults(run=_examples)

    info = commands.add_parser("info", help="versions, devices, and what is missing for CUDA")
    info.set_defaults(run=_info)
    return parser


def _add_training(parser: argparse.ArgumentParser, example: Example) -> None:
    """The options of `train NAME`."""
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to compute (default: auto)")
    passes = "passes over the data" if example.unit == "epochs" else "steps of training"
    parser.add_argument(
        f"--{example.unit}", dest="length", type=_whole(1), default=example.length, metavar="N",
        help=f"{passes} (default: {example.length}, about {example.seconds} s on two cores)",
    )  # fmt: skip
    parser.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="the same seed gives the same model (default: 0)")
    parser.add_argument(
        "--save", type=Path, metavar="FILE",
        help=f"where to save the model: .safetensors or .npz (default: {example.name}.safetensors here, or the next free name)",
    )  # fmt: skip
    when = "only if given" if example.name == "digits" else f"{example.name}.png here, or the next free name"
    parser.add_argument("--picture", type=Path, metavar="FILE", help=f"where to save a picture of the result (default: {when})")
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    if example.file is not None:
        name, about = example.file
        parser.add_argument(f"--{name}", dest="file", type=Path, metavar="PATH", help=about)
    parser.set_defaults(run=_train, file=None)


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
    from .examples import EXAMPLES

    example = EXAMPLES[options.task]
    device = _device(options.device)
    path = _save_path(options.save, options.force, example.name)
    picture = _picture_path(options.picture, options.force, example.name)
    given = {}
    if options.file is not None:
        if not options.file.exists():
            raise Refusal(f"--{example.file[0]} {options.file}: there is no such file or folder")
        given[example.file[0]] = options.file
    print(f"Training on {device}: {example.about}.")
    with _progress(example, options.length) as report:
        try:
            result = example.module.train(
                **{example.unit: options.length}, seed=options.seed, device=device, report=report, **given
            )
        except ValueError as error:
            if not given:
                raise
            raise Refusal(f"--{example.file[0]} {options.file}: {error}") from error
    count = sum(p.numel() for p in result.model.parameters())
    measure = example.measure[0].upper() + example.measure[1:]
    print(f"{measure} {example.form.format(result.score)}, {count:,} parameters, {result.seconds:.1f} s.")
    metadata = {
        "task": example.name, example.unit: str(options.length), "seed": str(options.seed),
        example.measure.replace("test ", "").replace(" ", "_"): f"{result.score:.4f}",
    }  # fmt: skip
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
    if picture is not None:
        try:
            _draw(example, result, picture)
        except KeyboardInterrupt:
            print("\nautograd-gpu: interrupted; no picture was saved", file=sys.stderr)
            return INTERRUPTED
    return status


def _draw(example: Example, result: Any, path: Path) -> None:
    """Save the picture of a result, or say why there is none."""
    if importlib.util.find_spec("matplotlib") is None:
        print("(No picture, because matplotlib is not installed: pip install 'autograd_gpu[viz]'.)")
        return
    target = path.resolve()  # a link stays one
    with tempfile.TemporaryDirectory(prefix=f".{example.name}-", dir=target.parent) as folder:
        whole = Path(folder) / path.name
        example.module.picture(result, whole)
        os.replace(whole, target)  # so that there is never half a picture
    print(f"Picture in {target}.")


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


def _save_path(wanted: Path | None, force: bool, stem: str) -> Path:
    """Where the model will be saved, found out before it is trained.

    Raises Refusal if it cannot be written there, or if something would be overwritten."""
    from . import io

    if wanted is None:
        ending = ".safetensors" if io.have_safetensors() else ".npz"
        path = next(p for p in _names(stem, ending) if not p.exists())
    else:
        path = wanted
        if path.is_dir():
            raise Refusal(f"--save {path}: that is a directory; name a file in it, such as {path / (stem + '.safetensors')}")
        if path.suffix not in (".safetensors", ".npz"):
            raise Refusal(f"--save {path}: the name must end in .safetensors or .npz")
        if path.suffix == ".safetensors" and not io.have_safetensors():
            raise Refusal(
                f"--save {path}: the safetensors package is not installed: pip install 'autograd_gpu[train]', or save to "
                f"{path.with_suffix('.npz')}"
            )
        if path.exists() and not force:
            raise Refusal(f"--save {path}: that file exists; give another name, or --force to replace it")
    _can_be_written(path)
    return path


def _picture_path(wanted: Path | None, force: bool, stem: str) -> Path | None:
    """Where the picture will be saved, None where none is wanted.

    Raises Refusal if it cannot be written there, or if something would be overwritten."""
    if wanted is None:
        return None if stem == "digits" else next(p for p in _names(stem, ".png") if not p.exists())
    if wanted.is_dir():
        raise Refusal(f"--picture {wanted}: that is a directory; name a file in it, such as {wanted / (stem + '.png')}")
    if wanted.suffix not in (".png", ".svg", ".pdf"):
        raise Refusal(f"--picture {wanted}: the name must end in .png, .svg or .pdf")
    if importlib.util.find_spec("matplotlib") is None:
        raise Refusal(f"--picture {wanted}: matplotlib is not installed: pip install 'autograd_gpu[viz]'")
    if wanted.exists() and not force:
        raise Refusal(f"--picture {wanted}: that file exists; give another name, or --force to replace it")
    _can_be_written(wanted)
    return wanted


def _can_be_written(path: Path) -> None:
    """Raises Refusal if no file can be made in the folder."""
    try:
        os.stat(path.parent)  # which does not take "missing/.." for a folder, as the next line does
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise Refusal(f"cannot save to {path}: {error.strerror or error} ({path.parent.resolve()})") from None


def _names(stem: str, ending: str) -> Iterator[Path]:
    yield Path(stem + ending)
    number = 2
    while True:
        yield Path(f"{stem}-{number}{ending}")
        number += 1


@contextmanager
def _progress(example: Example, length: int, passing: bool = False) -> Iterator[Callable[[int, float, float], None]]:
    """What is shown of training: a bar on a terminal with rich installed, else a line for every tenth part of it. If it is
    passing, the bar goes away at the end, and there are no lines."""
    unit = example.unit.removesuffix("s")

    def written(score: float) -> str:
        return f"{example.measure} {example.form.format(score)}" if score == score else ""  # not measured yet

    if sys.stdout.isatty() and importlib.util.find_spec("rich") is not None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        shown = TextColumn("loss {task.fields[loss]:.4f}  {task.fields[score]}")
        columns = (TextColumn(unit), MofNCompleteColumn(), BarColumn(), shown, TimeElapsedColumn())
        with Progress(*columns, transient=passing) as progress:
            task = progress.add_task("", total=length, loss=float("nan"), score="")
            yield lambda done, loss, score: progress.update(task, completed=done, loss=loss, score=written(score))
        return

    printed = 0

    def line(done: int, loss: float, score: float) -> None:
        nonlocal printed
        if passing:
            return
        if done == 1 or done == length or 10 * done // length > 10 * printed // length:
            print(f"{unit} {done:>{len(str(length))}}/{length}  loss {loss:.4f}  {written(score)}".rstrip(), flush=True)
            printed = done

    yield line


# -- examples --------------------------------------------------------------------------------------------------------------


def _examples(options: argparse.Namespace) -> int:
    """List the examples, or train them and compare with their targets."""
    from .examples import EXAMPLES

    unknown = [name for name in options.names if name not in EXAMPLES]
    if unknown:
        raise Refusal(f"no example is called {unknown[0]!r}; there are {', '.join(EXAMPLES)}")
    chosen = [EXAMPLES[name] for name in dict.fromkeys(options.names)] or list(EXAMPLES.values())
    if options.pictures is not None and not options.check:
        raise Refusal("--pictures are of what --check trains: give both")
    if not options.check:
        width = max(len(example.about) for example in chosen)
        for example in chosen:
            target = f"{example.measure} {example.target_text}"
            print(f"{example.name:<10} {example.about:<{width}}  {target}, about {example.seconds} s")
        print("Train one with `autograd-gpu train NAME`. Times are those of two cores.")
        return 0

    device = _device(options.device)
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
    width = max(len(f"{example.measure} {example.target_text}") for example in chosen)
    print(f"{'example':<10} {'target':<{width}}  {'reached':>8}  {'seconds':>7}  ok", flush=True)
    missed = 0
    for example in chosen:
        with _progress(example, example.length, passing=True) as report:
            result = example.module.train(seed=options.seed, device=device, report=report)
        reached = example.reached(result.score)
        missed += not reached
        row = f"{example.name:<10} {f'{example.measure} {example.target_text}':<{width}}  {example.form.format(result.score):>8}"
        print(f"{row}  {result.seconds:>7.1f}  {'yes' if reached else 'NO'}", flush=True)
        if options.pictures is not None:
            _draw(example, result, options.pictures / f"{example.name}.png")
    if missed:
        print(f"{missed} of {len(chosen)} missed their targets")
    return FAILED if missed else 0


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
