"""Writing a file so that whoever reads it finds the old one or the new one, whole."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[str]:
    """Gives the path of a file to write beside `path`; it takes the place of `path` when the block ends well and everything is
    on the disk. An exception, or the end of the process, leaves `path` as it was."""
    target = os.path.realpath(path)  # a link stays one
    folder, name = os.path.split(target)
    partial = os.path.join(folder, f".{name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        yield partial
        with open(partial, "r+b") as file:
            os.fsync(file.fileno())
        with suppress(OSError):
            shutil.copymode(target, partial)
        os.replace(partial, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial)
    with suppress(OSError):  # the new entry of the folder too, where folders can be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
