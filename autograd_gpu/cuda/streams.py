"""Streams of CUDA devices and events in them."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from ..backend import Device as _Device
from ..backend import placed as _placed
from ..backend import streamed as _streamed
from ..core.graph import tick as _tick
from .devices import _cupy, _index, set_device


class Event:
    """A point in a stream, to wait for or to measure time with.

    enable_timing   whether `elapsed_time` can be asked
    blocking        whether the host sleeps while it waits, instead of asking again and again"""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False):
        if interprocess:
            raise NotImplementedError("events cannot be shared between processes")
        self._event = _cupy().cuda.Event(block=blocking, disable_timing=not enable_timing)
        self._timing, self._recorded = enable_timing, False

    @property
    def cuda_event(self) -> int:
        """The cudaEvent_t."""
        return self._event.ptr

    def record(self, stream: Stream | None = None) -> None:
        """Put the event behind what is in a stream now, the current one by default."""
        self._event.record(_current() if stream is None else stream._stream)
        self._recorded = True

    def wait(self, stream: Stream | None = None) -> None:
        """Let what comes into a stream from now on, the current one by default, wait for the event. The host goes on."""
        (_current() if stream is None else stream._stream).wait_event(self._event)

    def query(self) -> bool:
        """Whether everything before the event is done."""
        return self._event.done

    def synchronize(self) -> None:
        """Wait until everything before the event is done."""
        self._event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to a later one; both must have happened and have `enable_timing`.

        Raises ValueError if they have not or were never recorded, RuntimeError if they have not happened yet."""
        if not (self._timing and end_event._timing):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if not (self._recorded and end_event._recorded):
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if not (self.query() and end_event.query()):
            raise RuntimeError("Both events must be completed before calculating elapsed time: call end.synchronize() first.")
        return _cupy().cuda.get_elapsed_time(self._event, end_event._event)

    def __repr__(self) -> str:
        return f"<autograd_gpu.cuda.Event {self.cuda_event:#x}>"


class Stream:
    """Work that a device does in order; what is in different streams may run at the same time. `with s:` is `with stream(s):`.

    priority    the lower the number, the sooner its work is taken: 0 or -1"""

    def __init__(self, device: Any = None, priority: int = 0):
        cupy, self._index = _cupy(), _index(device)
        self._blocks: list[stream] = []  # those of `with`
        with cupy.cuda.Device(self._index):
            self._stream = cupy.cuda.Stream(non_blocking=True, priority=priority)

    @classmethod
    def _of(cls, stream: Any, index: int) -> Stream:
        self = cls.__new__(cls)
        self._stream, self._index, self._blocks = stream, index, []
        return self

    def __enter__(self) -> Stream:
        block = stream(self)
        block.__enter__()
        self._blocks.append(block)
        return self

    def __exit__(self, *error: Any) -> None:
        self._blocks.pop().__exit__(*error)

    @property
    def cuda_stream(self) -> int:
        """The cudaStream_t; 0 for the default stream."""
        return self._stream.ptr

    @property
    def device(self) -> _Device:
        """The device that does the work."""
        return _Device("cuda", self._index)

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self._stream.ptr

    def query(self) -> bool:
        """Whether everything in the stream is done."""
        return self._stream.done

    def synchronize(self) -> None:
        """Wait until everything in the stream is done."""
        self._stream.synchronize()

    def record_event(self, event: Event | None = None) -> Event:
        """Put an event, a new one by default, behind what is in the stream now."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let what comes into the stream from now on wait for an event."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Let what comes into the stream from now on wait for what is in another one now."""
        self.wait_event(stream.record_event())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self._index, self.cuda_stream) == (other._index, other.cuda_stream)

    def __hash__(self) -> int:
        return hash((self._index, self.cuda_stream))

    def __repr__(self) -> str:
        return f"<autograd_gpu.cuda.Stream device=cuda:{self._index} cuda_stream={self.cuda_stream:#x}>"


def _current() -> Any:
    return _cupy().cuda.get_current_stream()


def current_stream(device: Any = None) -> Stream:
    """The stream that ops of this thread go into."""
    index = _index(device)
    return Stream._of(_cupy().cuda.get_current_stream(index), index)


def default_stream(device: Any = None) -> Stream:
    """The stream that ops go into unless another one is chosen."""
    return Stream._of(_cupy().cuda.Stream.null, _index(device))


def set_stream(stream: Stream | None) -> None:
    """Let the ops of this thread go into a stream from now on; None changes nothing. Their backward goes there too, see
    `stream`."""
    if stream is not None:
        from ..backend.streams import note

        set_device(stream._index)
        if note(_tick(), stream._index, stream._stream):
            _placed[0] = _streamed[0] = True
        stream._stream.use()


class stream:
    """`with stream(s):` lets the ops in the block go into `s`, on its device; None changes nothing.

    Backward runs each op's in the stream that the op went into, wherever it is called, and the stream that is current then waits
    for it at the end. That holds for ops of the thread that calls backward; streams chosen through CuPy are not seen.

    What is made in `s` and used elsewhere must be waited for, `current_stream().wait_stream(s)`; what is let go of while another
    stream still reads it needs `x.record_stream(current_stream())`, or the next tensor of `s` may get its memory."""

    def __init__(self, stream: Stream | None):
        self.stream = stream
        self._before: tuple[Stream, Stream] | None = None

    def __enter__(self) -> None:
        if self.stream is not None:
            self._before = current_stream(), current_stream(self.stream._index)
            set_stream(self.stream)

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._before is not None:
            current, there = self._before
            set_stream(there)
            set_stream(current)
