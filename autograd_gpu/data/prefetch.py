"""Batches on their way to a CUDA device while the one before is computed with.

NOTE [Copies on a stream of their own]
    1. A batch is copied when the one before it is handed out. The copy waits for what the compute stream was given up to then:
       the memory it is put into may have been that of an older batch, which is read until there. It does not wait for what is
       done with the batch that is handed out, so the two run at the same time.
    2. The compute stream waits for the copy before the batch is handed out.
    3. Page-locked memory is read when the copy runs: see backend.pinning NOTE [What is read later].
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .. import backend, cuda
from ..backend.pinning import copied, copies_without_waiting, pinned
from ..core.tensor import Tensor
from .collate import nested


def _pinned(value: Any) -> Any:
    """A Tensor or array on the CPU copied to page-locked memory."""
    array = value.array if isinstance(value, Tensor) else value
    if array.__class__ is not np.ndarray:
        return value
    copy = pinned(array)
    return value if copy is array else Tensor(copy) if isinstance(value, Tensor) else copy


def pin_memory(batch: Any) -> Any:
    """A batch with its tensors and arrays in page-locked memory. Raises RuntimeError without CUDA.

    >>> import autograd_gpu as ag
    >>> batch = [ag.ones(2), "name"]
    >>> ag.data.pin_memory(batch) if ag.cuda.is_available() else batch
    [tensor([1., 1.]), 'name']
    """
    cuda.init()
    return nested(batch, _pinned)


def _copy(value: Any, device: backend.Device) -> Any:
    """A Tensor copied to a device in the current stream, without waiting."""
    if not isinstance(value, Tensor):
        return value
    host = value.array
    return Tensor(copied(host, device) if copies_without_waiting(host) else backend.move(host, device))


class CUDAPrefetcher:
    """The batches of a DataLoader, or of anything that gives batches, with their tensors on a CUDA device: each is copied there
    while the one before is computed with. With pin_memory=True in the DataLoader the copies cost the host nothing. Elsewhere
    than on CUDA the batches stay as they are.

    >>> import autograd_gpu as ag
    >>> device = "cuda" if ag.cuda.is_available() else "cpu"
    >>> loader = ag.data.DataLoader(ag.arange(4), batch_size=2)
    >>> for batch in ag.data.CUDAPrefetcher(loader, device):
    ...     print(batch.sum().item())
    1
    5
    """

    def __init__(self, loader: Iterable[Any], device: Any = "cuda"):
        self.loader = loader
        self.device = backend.Device(device)
        if self.device.type == "cuda" and self.device.index is None:
            self.device = backend.Device("cuda", cuda.current_device())
        self._stream: Any = None

    def __len__(self) -> int:
        return len(self.loader)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader) if self.device.type != "cuda" else self._copied()

    def _copied(self) -> Iterator[Any]:
        if self._stream is None:
            self._stream = cuda.Stream(self.device)
        stream = self._stream

        def begin(batch: Any) -> tuple[Any, Any]:
            stream.wait_stream(cuda.current_stream(self.device))
            with cuda.stream(stream):
                copy = nested(batch, lambda value: _copy(value, self.device))
                return stream.record_event(), copy

        batches = iter(self.loader)
        upcoming: deque[tuple[Any, Any]] = deque()
        for batch in batches:
            upcoming.append(begin(batch))
            if len(upcoming) == 2:
                yield self._ready(upcoming)
        while upcoming:
            yield self._ready(upcoming)

    def _ready(self, upcoming: deque[tuple[Any, Any]]) -> Any:
        event, copy = upcoming.popleft()
        event.wait(cuda.current_stream(self.device))
        return copy
