"""save and load: the ending of a file's name says its format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backend
from ..core.tensor import Tensor
from ..ops.nested import native
from . import archive, weights
from .atomic import replacing

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = (".safetensors", ".npz")


def _path(path: str | os.PathLike) -> Path:
    from pathlib import Path  # here, for it takes as long to import as a tenth of this package

    return Path(path)


def _format(path: Path) -> str:
    if path.suffix in FORMATS:
        return path.suffix
    more = ""
    if path.suffix in (".pt", ".pth", ".bin", ".pkl", ".ckpt"):
        more = " (files of that name are pickles as a rule, which this package neither writes nor loads)"
    raise ValueError(f"cannot tell the format of {path}: it should end in .safetensors or .npz{more}")


def save(obj: Any, path: str | os.PathLike, metadata: Mapping[str, str] | None = None) -> Path:
    """Write tensors to a file: a dict of them by name to .safetensors, which other frameworks read; dicts, lists and tuples of
    tensors, arrays, numbers, strings and None to .npz, without pickling anything. A file of that name is replaced only once the
    new one is complete. `metadata` is a dict of strings. Returns the path.

    Raises ValueError for other endings, TypeError for what cannot be saved, ImportError for .safetensors without that package.

    >>> import autograd_gpu as ag
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = ag.io.save({"step": 3, "weights": [ag.ones(2)]}, os.path.join(folder, "run.npz"))
    ...     print(ag.io.load(path))
    {'step': 3, 'weights': [tensor([1., 1.])]}
    """
    path = _path(path)
    write = weights.write if _format(path) == ".safetensors" else archive.write
    with replacing(path) as partial:
        write(partial, obj, metadata)
    return path


def load(path: str | os.PathLike, map_location: Any = "cpu", *, device: Any = None, weights_only: bool = True) -> Any:
    """What `save` wrote to a file, or another framework to a .safetensors file, its tensors on a device: `device` or
    `map_location`, by default the CPU. Nothing is ever unpickled, so `weights_only` changes nothing.

    Raises FileNotFoundError, and ValueError that names the file and says what is wrong if it is damaged or of another kind.

    >>> import autograd_gpu as ag
    >>> import os, tempfile
    >>> model = ag.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = ag.io.save(model.state_dict(), os.path.join(folder, "weights.npz"))
    ...     model.load_state_dict(ag.io.load(path))
    <All keys matched successfully>
    """
    return _loaded(path, device if device is not None else map_location)[0]


def read_metadata(path: str | os.PathLike) -> dict[str, str]:
    """The metadata that `save` wrote to a file.

    >>> import autograd_gpu as ag
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = ag.io.save({"w": ag.ones(2)}, os.path.join(folder, "w.npz"), metadata={"task": "digits"})
    ...     print(ag.io.read_metadata(path))
    {'task': 'digits'}
    """
    return _loaded(path, "cpu")[1]


def _loaded(path: str | os.PathLike, device: Any) -> tuple[Any, dict[str, str]]:
    path = _path(path)
    kind = _format(path)
    place = backend.Device("cpu" if device is None else device)

    def tensor(array: np.ndarray) -> Tensor:
        return Tensor(backend.move(native(array), place))

    if kind == ".npz":
        return archive.read(str(path), tensor)
    arrays, metadata = weights.read(str(path))
    try:
        return {name: tensor(array) for name, array in arrays.items()}, metadata
    except TypeError as error:
        raise ValueError(f"cannot load {path}: {error}") from None
