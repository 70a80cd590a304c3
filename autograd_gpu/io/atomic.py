"""Writing a file so that whoever reads it finds the old one or the new one, whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def is_special(path: str | os.PathLike) -> bool:
    """Whether there is something else than a regular file: a pipe or a device, which is written into and not replaced, or a
    folder.

    Raises OSError if that cannot be told, as of links that lead in a circle."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:  # a link to a file that is yet to come, too
        return False


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[str]:
    """Gives the path of a file to write beside `path`; it takes the place of `path` when the block ends well and everything is
    on the disk. An exception, or the end of the process, leaves `path` as it was.

    A new file has the permissions that the umask leaves, one that is replaced keeps its own."""
    target = os.path.realpath(path)  # a link stays one
    folder = os.path.dirname(target)
    partial = os.path.join(folder, f".{os.urandom(8).hex()}.partial")  # short: `path` may be as long as names can be
    handle = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        try:
            mode = os.fstat(handle).st_mode
        finally:
            os.close(handle)
        with suppress(FileNotFoundError):
            mode = os.stat(target).st_mode
        _allow(partial, 0o600)  # nobody else reads it before it is known that they may
        yield partial
        with open(partial, "r+b") as file:
            os.fsync(file.fileno())
        _allow(partial, stat.S_IMODE(mode))  # here, for the block may have made a new file of that name
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


def _allow(path: str, mode: int) -> None:
    with suppress(OSError):  # some file systems have no permissions
        os.chmod(path, mode)
