"""How a batch gets from a worker process to the main one: pickled, with its arrays beside it as plain bytes.

The bytes of large arrays go through a file in shared memory, which one process writes and the other reads into new arrays:
nothing is mapped, so a full /dev/shm is an error that can be handled (the bytes then go through the pipe) and not the end of the
process.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

SHARED = "/dev/shm"
INLINE = 1 << 14  # bytes up to which a file is not worth its while


def shared_folder() -> str | None:
    """A new folder in shared memory, or None where there is none."""
    if not os.path.isdir(SHARED):
        return None
    try:
        return tempfile.mkdtemp(prefix=f"autograd_gpu-{os.getpid()}-", dir=SHARED)
    except OSError:
        return None


class Message:
    """A value taken apart: its pickle, and the memory of its arrays. Raises what pickling it raises."""

    def __init__(self, value: Any):
        buffers: list[pickle.PickleBuffer] = []
        self.text = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        self.buffers = [buffer.raw() for buffer in buffers]

    def send(self, connection: Connection, label: Any, path: str | None) -> None:
        """Send it after a label, by way of a new file at `path` if that is given and worth its while."""
        sizes = [buffer.nbytes for buffer in self.buffers]
        if path is not None and (sum(sizes) < INLINE or not _written(path, self.buffers)):
            path = None
        connection.send((label, self.text, sizes, path))
        if path is None:
            for buffer in self.buffers:
                connection.send_bytes(buffer)


def _written(path: str, buffers: list[memoryview]) -> bool:
    try:
        with open(path, "xb", buffering=0) as file:
            for buffer in buffers:
                rest = buffer
                while rest.nbytes:
                    rest = rest[file.write(rest) :]
        return True
    except OSError:  # no room
        Path(path).unlink(missing_ok=True)
        return False


def receive(connection: Connection) -> tuple[Any, Any]:
    """The label and the value of a message, a function that makes it. Raises EOFError if the sender is gone."""
    label, text, sizes, path = connection.recv()
    arrays = [np.empty(size, np.uint8) for size in sizes]
    if path is None:
        for array in arrays:
            if array.size:
                connection.recv_bytes_into(array)
            else:
                connection.recv_bytes()
    else:
        with open(path, "rb", buffering=0) as file:
            for array in arrays:
                rest = memoryview(array)
                while rest.nbytes:
                    count = file.readinto(rest)
                    if not count:
                        raise EOFError(f"{path} ends too early")
                    rest = rest[count:]
        os.unlink(path)
    return label, lambda: pickle.loads(text, buffers=arrays)
