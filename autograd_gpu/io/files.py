"""save and load: files are written in the format that their name's ending says, and read as what their first bytes say."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backend
from ..core.tensor import Tensor
from ..ops.nested import native
from . import archive, weights
from .atomic import is_special, replacing
from .foreign import kind_of

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = ".safetensors"


def _path(path: str | os.PathLike) -> Path:
    from pathlib import Path  # here, for it takes as long to import as a tenth of this package

    return Path(path)


def save(
    obj: Any,
    f: Any,
    metadata: Mapping[str, str] | None = None,
    *,
    pickle_module: Any = None,
    pickle_protocol: Any = None,
    _use_new_zipfile_serialization: bool = True,
) -> Path | None:
    """Write tensors to a file: to one whose name ends in .safetensors a dict of them by name, in that format, which other
    frameworks read; under any other name, .pt and .npz among them, dicts, lists and tuples of tensors, arrays, numbers, strings,
    None and argparse's Namespace as an npz archive. Nothing is pickled, so what PyTorch's keywords say of that changes nothing.

    `f` is the name of a file, of which the old one is replaced only once the new one is complete, of a pipe or a device, or a
    file open for writing bytes. `metadata` is a dict of strings. Returns the path if a name was given.

    Raises TypeError for what cannot be saved, such as a whole model instead of its state_dict(), ValueError for structures that
    contain themselves and names that the format has no room for, OSError that names the file if it cannot be written,
    ImportError for .safetensors without that package.

    >>> import autograd_gpu as ag
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = ag.io.save({"step": 3, "weights": [ag.ones(2)]}, os.path.join(folder, "run.pt"))
    ...     print(ag.io.load(path))
    {'step': 3, 'weights': [tensor([1., 1.])]}
    """
    if hasattr(f, "write"):
        _write_into(f, str(getattr(f, "name", "")).endswith(WEIGHTS), obj, metadata)
        return None
    path = _path(f)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: there is no such folder to save {path.name} in")
    flat = path.suffix == WEIGHTS
    try:
        if is_special(path):
            with open(path, "wb") as file:
                _write_into(_Stream(file), flat, obj, metadata)
        else:
            with replacing(path) as partial:
                (weights.write if flat else archive.write)(partial, obj, metadata)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # most name no file, or the one beside it
    return path


class _Stream:
    """What bytes go into one after the other. /dev/null can seek, but is always at 0, which zipfile cannot make sense of."""

    def __init__(self, file: Any):
        self.write = file.write
        self.flush = file.flush


def _write_into(file: Any, flat: bool, obj: Any, metadata: Mapping[str, str] | None) -> None:
    if flat:
        file.write(weights.packed(obj, metadata))
    else:
        archive.write(file, obj, metadata)


def load(
    f: Any,
    map_location: Any = "cpu",
    pickle_module: Any = None,
    *,
    device: Any = None,
    weights_only: bool | None = True,
    mmap: bool | None = None,
) -> Any:
    """What `save` wrote to a file, or another framework to a safetensors file. The file's first bytes say which it is, whatever
    its name. Nothing is ever unpickled, so `weights_only` and `pickle_module` change nothing.

    f              the name of a file, or a file open for reading bytes
    map_location   where the tensors go, by default the CPU: a device; a dict from the devices that they were on to devices; or
                   a function of (tensor on the CPU, name of the device it was on) that gives the tensor where it should be, or
                   None for the device it was on. `device=` is another word for it

    Raises FileNotFoundError, and ValueError that names the file and says what is wrong if it is damaged or of another kind: for
    what torch.save wrote, how to convert it.

    >>> import autograd_gpu as ag
    >>> import io
    >>> model = ag.nn.Linear(2, 1)
    >>> buffer = io.BytesIO()
    >>> ag.save(model.state_dict(), buffer)
    >>> buffer.seek(0)
    0
    >>> model.load_state_dict(ag.load(buffer, map_location="cpu"))
    <All keys matched successfully>
    """
    return _loaded(f, _placed(device if device is not None else map_location))[0]


def read_metadata(f: Any) -> dict[str, str]:
    """The metadata that `save` wrote to a file.

    >>> import autograd_gpu as ag
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = ag.io.save({"w": ag.ones(2)}, os.path.join(folder, "w.npz"), metadata={"task": "digits"})
    ...     print(ag.io.read_metadata(path))
    {'task': 'digits'}
    """
    return _loaded(f, _placed("cpu"))[1]


def _placed(location: Any) -> Callable[[np.ndarray, str], Tensor]:
    """The function of (array, name of the device that it was on) that makes tensors where `map_location` says."""

    def at(array: np.ndarray, device: Any) -> Tensor:
        return Tensor(backend.move(native(array), device if isinstance(device, backend.Device) else backend.Device(device)))

    if isinstance(location, Mapping):
        names = {str(key): value for key, value in location.items()}
        return lambda array, was: at(array, names.get(was, was))
    if callable(location) and not isinstance(location, backend.Device):

        def asked(array: np.ndarray, was: str) -> Tensor:
            found = location(at(array, backend.CPU), was)
            if found is not None and not isinstance(found, Tensor):
                raise TypeError(f"map_location gave a {type(found).__name__}, where the tensor that it was given is wanted")
            return at(array, was) if found is None else found

        return asked
    place = backend.Device("cpu" if location is None else location)
    return lambda array, was: at(array, place)


@contextmanager
def _opened(f: Any) -> Iterator[tuple[Any, str]]:
    """(an open file that can seek, what to call it)."""
    if not hasattr(f, "read"):
        path = os.fspath(f)
        try:
            file = open(path, "rb")
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: there is no such file") from None
        except (IsADirectoryError, PermissionError):
            if os.path.isdir(path):
                raise IsADirectoryError(f"{path} is a folder") from None
            raise
        with file:
            yield file if file.seekable() else io.BytesIO(file.read()), str(path)  # the second of a pipe
        return
    name = getattr(f, "name", "")
    if not (hasattr(f, "seekable") and f.seekable()):
        f = io.BytesIO(f.read())
    yield f, name if name and isinstance(name, str) else "the open file"


def _loaded(f: Any, tensor: Callable[[np.ndarray, str], Tensor]) -> tuple[Any, dict[str, str]]:
    with _opened(f) as (file, name):
        kind, what = kind_of(file, name)
        if kind == "npz":
            return archive.read(file, name, tensor)
        if kind != "safetensors":
            raise ValueError(f"cannot load {name}: the file {what}")
        opened = hasattr(f, "read") or isinstance(file, io.BytesIO)  # and so cannot be opened, or not again
        arrays, metadata = weights.unpacked(file, name) if opened else weights.read(name, name)
    try:
        return {key: tensor(array, "cpu") for key, array in arrays.items()}, metadata
    except TypeError as error:
        raise ValueError(f"cannot load {name}: {error}") from None
