"""What the readers share: the bytes of a file, compressed or not, and errors that name it."""

from __future__ import annotations

import os


def read_bytes(path: str | os.PathLike, what: str) -> bytes:
    """The bytes of a file, unpacked if it is compressed by gzip. `what` says in errors what the file should be.

    Raises FileNotFoundError or ValueError that names the file."""
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file. It should be {what}") from None
    if data[:2] != b"\x1f\x8b":
        return data
    import gzip  # here, for few need it
    import zlib

    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is damaged or ends too early: its gzip stream cannot be unpacked ({error})") from None


def existing(folders: list[str], names: list[str], what: str) -> str:
    """The first file of one of the names in one of the folders.

    Raises FileNotFoundError that says where it was looked for."""
    for folder in folders:
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                return path
    raise FileNotFoundError(f"no {' or '.join(names)} in {' or '.join(folders)}: put {what} there")
