"""npz archives of nested structures: dicts, lists, tuples, numbers, strings, None, tensors and arrays. Nothing is pickled.

NOTE [The archive]
    1. Each tensor and array is an entry NAME.npy, so that numpy.load reads the file too. A flat dict of tensors has its keys as
       names; in deeper structures a name is the path of keys, joined by "/".
    2. The entry structure.json says how they belong together. Numbers, strings, booleans and None stand for themselves, a list is
       a list; everything else is an object with one key, which says what it is: {"dict": {...}}, {"tuple": [...]},
       {"tensor": NAME}. A flat dict of tensors needs no more than its names, so archives of other makers load as such.
    3. bfloat16, which the .npy format does not know, is saved as the uint16 of the same bits, and is noted in the structure.
    4. An array that occurs several times is saved once.
    5. Arrays that were on a device other than the CPU are noted with it, for `load(map_location={...})`.
"""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import backend
from ..backend.promotion import bfloat16
from ..core.tensor import Tensor
from ..ops.nested import native

STRUCTURE = "structure.json"
VERSION = 1
DEEPEST = 200  # levels of a structure: what can be written can be read within Python's limit of calls
LONGEST = 65_535  # bytes of an entry's name in a zip archive
LONGEST_HEADER = 12_000  # bytes: NumPy reads none of more than 10,000


# -- writing ---------------------------------------------------------------------------------------------------------------


class _Writer:
    """Turns a structure into JSON and gathers its arrays."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.names: dict[int, str] = {}  # rule 4
        self.kept: list[Any] = []  # what the ids above are of
        self.within: set[int] = set()  # what the value that is being encoded is in
        self.places: dict[str, str] = {}  # name -> device, where that is not the CPU

    def encoded(self, value: Any, path: tuple[str, ...]) -> Any:
        """A value as JSON."""
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, np.generic):
            return {"number": self._add(value, np.asarray(value), path)}
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        if isinstance(value, complex):
            return {"complex": [self.encoded(value.real, path), self.encoded(value.imag, path)]}
        if isinstance(value, Tensor):
            host = backend.of(value.array.__class__).to_host(value.array)
            tag = "tensor" if not (value.requires_grad and value.is_leaf) else "leaf"
            name = self._add(value.array, host, path)
            if host is not value.array:
                self.places[name] = str(value.device)
            return {tag: name}
        if isinstance(value, np.ndarray):
            return {"array": self._add(value, value, path)}
        if isinstance(value, bytes):
            return {"bytes": value.hex()}
        if isinstance(value, np.dtype):
            return {"dtype": value.name}
        if isinstance(value, backend.Device):
            return {"device": str(value)}
        options = (kind := type(value)).__name__ == "Namespace" and kind.__module__ == "argparse"  # of a program
        if not options and not isinstance(value, (Mapping, list, tuple)):
            raise TypeError(
                f"cannot save {_place(path)}, of type {kind.__name__}: files hold dicts, lists, tuples, numbers, strings, "
                "None, tensors and arrays. Save what its state_dict() gives, or the data in it"
            )
        if id(value) in self.within:
            raise ValueError(f"cannot save {_place(path)}: it contains itself")
        if len(path) >= DEEPEST:
            raise ValueError(f"cannot save a structure that is more than {DEEPEST} levels deep")
        self.within.add(id(value))
        if isinstance(value, (list, tuple)):
            items = [self.encoded(x, (*path, str(i))) for i, x in enumerate(value)]
            made: Any = items if isinstance(value, list) else {"tuple": items}
        else:
            made = {"namespace": self._mapping(vars(value), path)} if options else self._mapping(value, path)
        self.within.remove(id(value))
        return made

    def _mapping(self, value: Mapping, path: tuple[str, ...]) -> Any:
        items = [(key, self.encoded(x, (*path, str(key)))) for key, x in value.items()]
        tag = "counter" if isinstance(value, Counter) else "dict"
        if tag == "dict" and all(type(key) is str for key, _ in items):
            return {tag: dict(items)}
        return {"counter" if tag == "counter" else "pairs": [[self.encoded(key, (*path, "key")), x] for key, x in items]}

    def _add(self, known: Any, array: np.ndarray, path: tuple[str, ...]) -> str:
        name = self.names.get(id(known))
        if name is not None:
            return name
        if array.dtype.kind not in "biufcSU" and array.dtype != bfloat16:
            raise TypeError(f"cannot save {_place(path)}: arrays of {array.dtype} hold Python objects or fields")
        name = "/".join(path).replace("\0", "?").encode("utf-8", "backslashreplace").decode()
        name = first = name or "value"
        i = 1
        while name in self.arrays:
            i += 1
            name = f"{first}~{i}"
        if len(name.encode()) + len(".npy") > LONGEST:
            raise ValueError(f"cannot save {_place(path)}: keys of tensors have at most {LONGEST:,} bytes, all levels together")
        self.arrays[name] = array
        self.names[id(known)] = name
        self.kept.append(known)
        return name


def _place(path: tuple[str, ...]) -> str:
    if not path:
        return "the value"
    return "the item " + "".join(f"[{key!r}]" if len(key) < 80 else f"[{key[:60]!r}...]" for key in path)


def write(file: Any, value: Any, metadata: Mapping[str, str] | None) -> None:
    """Write a structure to a new file of that name, or to one that is open for writing."""
    import zipfile  # here, for it is slow to import

    writer = _Writer()
    root = writer.encoded(value, ())
    bits = sorted(name for name, array in writer.arrays.items() if array.dtype == bfloat16)
    structure = {"version": VERSION, "metadata": dict(metadata or {}), "bfloat16": bits, "root": root}
    if writer.places:
        structure["places"] = writer.places
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in writer.arrays.items():
            array = np.ascontiguousarray(array).reshape(array.shape)
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array.view(np.uint16) if name in bits else array, allow_pickle=False)
        archive.writestr(zipfile.ZipInfo(STRUCTURE), json.dumps(structure))


# -- reading ---------------------------------------------------------------------------------------------------------------


def read(file: Any, path: str, tensor: Callable[[np.ndarray, str], Tensor]) -> tuple[Any, dict[str, str]]:
    """(structure, metadata) of an open file; `tensor` makes tensors of arrays and the places where they were.

    Raises ValueError that names the file, as `path`, if it is damaged."""
    import zipfile

    with _damage(path):
        archive = zipfile.ZipFile(file)  # which leaves the file open
        names = archive.namelist()
        structure = json.loads(archive.read(STRUCTURE)) if STRUCTURE in names else None
    bits: set[str] = set()
    if STRUCTURE in names:
        _check(structure, path)
        bits.update(structure["bfloat16"])
    arrays = {}
    for entry in names:
        if entry.endswith(".npy"):
            name = entry.removesuffix(".npy")
            arrays[name] = _array(archive, entry, name in bits, f"the array {name!r} in {path}")
    if STRUCTURE not in names:
        for name, array in arrays.items():
            try:
                native(array)
            except TypeError:
                raise ValueError(
                    f"the array {name!r} in {path} is no tensor, its dtype is {array.dtype}: use numpy.load"
                ) from None
        return {name: tensor(array, "cpu") for name, array in arrays.items()}, {}
    places = structure.get("places", {})
    failed = []

    def made(name: str) -> Tensor:
        array = native(arrays[name])
        try:
            return tensor(array, places.get(name, "cpu"))
        except Exception as error:
            failed.append(error)
            raise

    try:
        return _decoded(structure["root"], arrays, made), structure["metadata"]
    except Exception as error:  # of any kind, for what the file holds may be anything
        if failed:  # the file is good, it is its place that is not
            raise
        raise ValueError(f"{path} is damaged: its {STRUCTURE} does not fit its arrays ({error!r})") from error


@contextmanager
def _damage(path: str) -> Iterator[None]:
    """Says which file it is that zipfile or json cannot read."""
    import struct
    import zipfile
    import zlib

    kinds = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, KeyError, ValueError)
    try:
        yield
    except (*kinds, RuntimeError, OverflowError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _check(structure: Any, path: str) -> None:
    """Raises ValueError if there is no reading the arrays after such an entry structure.json."""
    version = structure.get("version") if isinstance(structure, dict) else None
    if type(version) is int and version > VERSION:
        raise ValueError(f"{path} was written by a later version of autograd_gpu: update it to load this file")
    good = type(version) is int and isinstance(structure.get("metadata"), dict) and "root" in structure
    if good:
        bits, places = structure.get("bfloat16"), structure.get("places", {})
        good = isinstance(bits, list) and all(isinstance(name, str) for name in bits) and isinstance(places, dict)
    if good:
        try:
            for place in places.values():
                backend.Device(place)
        except (TypeError, RuntimeError, ValueError):
            good = False
    if not good:
        raise ValueError(f"{path} is damaged: its {STRUCTURE} is not as it is written")


def _array(archive: Any, entry: str, bits: bool, what: str) -> np.ndarray:
    """The array in an entry, which is unpacked only if it is as long as its header says."""
    form = np.lib.format
    try:
        with archive.open(entry) as file:
            head = io.BytesIO(file.read(LONGEST_HEADER))
        header = form.read_array_header_1_0 if form.read_magic(head) == (1, 0) else form.read_array_header_2_0
        shape, _, dtype = header(head)
        wanted, found = math.prod(shape) * dtype.itemsize, archive.getinfo(entry).file_size - head.tell()
        if wanted != found and not dtype.hasobject:  # before there is memory taken for either
            raise ValueError(f"{found} bytes, where {wanted} are expected")
        with archive.open(entry) as file:
            array = form.read_array(file, allow_pickle=False)
    except Exception as error:  # of any kind, for the header is Python's text, and may be anything
        if "pickle" in str(error) or "Object" in str(error):
            raise ValueError(f"{what} holds Python objects, which are pickled: they are never loaded") from None
        raise ValueError(f"{what} is damaged: {error}") from None
    if bits and array.dtype != np.uint16:
        raise ValueError(f"{what} is damaged: it is noted as bfloat16, and is {array.dtype}")
    return array.view(bfloat16) if bits else array


def _decoded(value: Any, arrays: dict[str, np.ndarray], tensor: Callable[[str], Tensor]) -> Any:
    """What `_Writer.encoded` was given."""

    def of(value: Any) -> Any:  # itself what it calls: two calls a level
        if isinstance(value, list):
            return [of(x) for x in value]
        if not isinstance(value, dict):
            return value
        ((tag, held),) = value.items()
        if tag == "dict":
            return {key: of(x) for key, x in held.items()}
        if tag in ("pairs", "counter"):
            made = {of(key): of(x) for key, x in held}
            return Counter(made) if tag == "counter" else made
        if tag == "namespace":
            import argparse

            return argparse.Namespace(**of(held))
        if tag == "tuple":
            return tuple(of(x) for x in held)
        if tag in ("tensor", "leaf"):
            made = tensor(held)
            return made.requires_grad_() if tag == "leaf" else made
        if tag == "array":
            return arrays[held]
        if tag == "number":
            return arrays[held][()]
        if tag == "float":
            return float(held)
        if tag == "complex":
            return complex(of(held[0]), of(held[1]))
        if tag == "bytes":
            return bytes.fromhex(held)
        if tag == "dtype":
            return bfloat16 if held == "bfloat16" else native(np.empty(0, held)).dtype
        if tag == "device":
            return backend.Device(held)
        raise KeyError(f"unknown tag {tag!r}")

    return of(value)
