"""Saving and loading named tensors: safetensors files, and npz files where the safetensors package is not installed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import backend
from .core.tensor import Tensor

if TYPE_CHECKING:
    from pathlib import Path


def have_safetensors() -> bool:
    """Whether the safetensors package is installed (extra `train`)."""
    import importlib.util

    return importlib.util.find_spec("safetensors") is not None


def _path(path: str | os.PathLike) -> Path:
    from pathlib import Path  # here, for it takes as long to import as a tenth of this package

    return Path(path)


def save(tensors: Mapping[str, Tensor], path: str | os.PathLike, metadata: Mapping[str, str] | None = None) -> Path:
    """Write tensors under their names to a .safetensors or .npz file. A file of that name is replaced only once the new one
    is complete. Returns the path.

    Raises ValueError for other endings, ImportError for .safetensors without that package."""
    path = _path(path)
    arrays = {
        name: np.ascontiguousarray(backend.of(t.array.__class__).to_host(t.array)).reshape(t.array.shape)
        for name, t in tensors.items()
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if path.suffix == ".safetensors":
            # one entry, because safetensors writes several in an order that differs from run to run
            given = {"autograd_gpu": json.dumps(dict(metadata), sort_keys=True)} if metadata else None
            _safetensors().save_file(arrays, partial, metadata=given)
        elif path.suffix == ".npz":
            if any(array.dtype.kind == "V" for array in arrays.values()):
                raise TypeError("npz files have no bfloat16: save as .safetensors, or convert with float()")
            with open(partial, "wb") as file:
                np.savez(file, **arrays)
        else:
            raise ValueError(f"cannot tell the format of {path}: name it .safetensors or .npz")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def load(path: str | os.PathLike, device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors that `save` wrote to a file."""
    path = _path(path)
    if path.suffix == ".safetensors":
        arrays = _safetensors().load_file(path)
    elif path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    else:
        raise ValueError(f"cannot tell the format of {path}: it should end in .safetensors or .npz")
    device = backend.Device(device)
    return {name: Tensor(backend.move(array, device)) for name, array in arrays.items()}


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError("safetensors files need the safetensors package: pip install 'autograd_gpu[train]'") from None
    return safetensors.numpy
