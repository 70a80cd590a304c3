"""safetensors files: flat dicts of tensors, as other frameworks write them too."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import backend
from ..backend.promotion import bfloat16
from ..core.tensor import Tensor

METADATA = "__metadata__"  # what a header has beside the tensors
KEY = "autograd_gpu"  # of the one entry of metadata: safetensors writes several in an order that differs from run to run


def have_safetensors() -> bool:
    """Whether the safetensors package is installed (extra `train`)."""
    import importlib.util

    return importlib.util.find_spec("safetensors") is not None


def _package() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError("safetensors files need the safetensors package: pip install 'autograd_gpu[train]'") from None
    return safetensors


def packed(tensors: Any, metadata: Mapping[str, str] | None) -> bytes:
    """The bytes of a file of a dict of tensors."""
    package = _package()
    arrays, given = _contents(tensors, metadata)
    try:
        return package.numpy.save(arrays, given)
    except package.SafetensorError as error:
        raise ValueError(f"the safetensors package cannot write these tensors: {error}") from error


def write(path: str, tensors: Any, metadata: Mapping[str, str] | None) -> None:
    """Write a dict of tensors to a new file."""
    package = _package()
    arrays, given = _contents(tensors, metadata)
    try:
        package.numpy.save_file(arrays, path, metadata=given)
    except package.SafetensorError as error:  # of full disks too; the system's number for that is in the message only
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise ValueError(f"the safetensors package cannot write these tensors: {error}") from error
        raise OSError(int(number[1]), os.strerror(int(number[1])), path) from error


def _contents(tensors: Any, metadata: Mapping[str, str] | None) -> tuple[dict[str, np.ndarray], dict[str, str] | None]:
    if not isinstance(tensors, Mapping) or not all(
        isinstance(name, str) and isinstance(t, (Tensor, np.ndarray)) for name, t in tensors.items()
    ):
        raise TypeError("a .safetensors file holds a dict of tensors by name and nothing else: name the file .npz for more")
    if METADATA in tensors:
        raise ValueError(f"no tensor in a .safetensors file can be called {METADATA!r}: the format has another use for that name")
    arrays = {}
    for name, t in tensors.items():
        array = t.array if isinstance(t, Tensor) else t
        array = backend.of(array.__class__).to_host(array)
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    return arrays, {KEY: json.dumps(dict(metadata), sort_keys=True)} if metadata else None


def unpacked(file: Any, called: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """`read` of a file that is open: the package reads files by name only, as far as dtypes go that NumPy has not."""
    import tempfile

    _package()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights")
        with open(path, "wb") as copy:
            copy.write(file.read())
        return read(path, called)


def read(path: str, called: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(arrays, metadata) of a file.

    Raises ValueError that names the file, as `called`, if it is damaged."""
    package = _package()
    header, start = _header(path, called)
    arrays = {}
    try:
        with package.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            for name in file.keys():
                try:
                    arrays[name] = file.get_tensor(name)
                except (TypeError, KeyError, AttributeError) as error:
                    entry = header[name]
                    if entry["dtype"] != "BF16":  # which the package knows from version 0.5 on
                        raise ValueError(
                            f"the tensor {name!r} in {called} has a dtype that NumPy has not: {entry['dtype']}"
                        ) from error
                    first, last = entry["data_offsets"]
                    bits = np.fromfile(path, np.uint16, (last - first) // 2, offset=start + first)
                    arrays[name] = bits.view(bfloat16).reshape(entry["shape"])
    except package.SafetensorError as error:
        raise ValueError(f"{called} is damaged: {error}") from error
    if KEY in metadata:
        try:
            metadata = dict(json.loads(metadata[KEY]))
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{called} is damaged: its metadata cannot be read ({error})") from None
    return arrays, metadata


def _header(path: str, called: str) -> tuple[dict[str, Any], int]:
    """The header of a file, and where what comes after it begins.

    Raises ValueError if the file is shorter or longer than its header says."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if 8 + length > size:
            raise ValueError(f"{called} ends too early or is damaged: {size} bytes, where its header alone has {8 + length}")
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != METADATA]
            expected = 8 + length + max(ends, default=0)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
            raise ValueError(f"{called} is damaged: its header cannot be read ({error})") from None
    if size != expected:
        what = "ends too early" if size < expected else "is too long"
        raise ValueError(f"{called} {what}: {size} bytes, where {expected} are expected")
    return header, 8 + length
