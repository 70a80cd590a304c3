"""The calls of the CUDA runtime (``cupy_backends.cuda.api.runtime``), answered by a `Device`.

Names and arguments are CuPy's, so that `trampolines.py` finds them; what they do is NVIDIA's documentation of ``cuda*`` calls of
the same name. What is not here raises NotImplementedError when it is called.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any

from .device import (
    CAPABILITY,
    DEVICES,
    MULTIPROCESSORS,
    SHARED_PER_BLOCK,
    SHARED_PER_BLOCK_OPTIN,
    THREADS_PER_MULTIPROCESSOR,
    Device,
)
from .errors import Error, fail
from .streams import CaptureMode, Event, Graph, Operation, Place, Stream

VERSION = 13000
POOL = 0x10  # handle of the one memory pool
HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE, DEFAULT = 1, 2, 3, 4
DISABLE_TIMING = 2  # flag of an event
NON_BLOCKING = 1  # flag of a stream

# cudaDeviceAttr -> value
ATTRIBUTES = {
    1: 1024,  # threads per block
    8: SHARED_PER_BLOCK,
    10: 32,  # warp size
    13: 1_000_000,  # clock, kHz
    16: MULTIPROCESSORS,
    39: THREADS_PER_MULTIPROCESSOR,
    75: CAPABILITY[0],
    76: CAPABILITY[1],
    81: 228 << 10,  # shared memory per multiprocessor
    82: 65536,  # registers per multiprocessor
    95: 1,  # cooperative launch
    97: SHARED_PER_BLOCK_OPTIN,
    115: 1,  # memory pools
}
PROPERTIES = {
    "name": b"Emulated CUDA device",
    "sharedMemPerBlock": SHARED_PER_BLOCK,
    "regsPerBlock": 65536,
    "warpSize": 32,
    "maxThreadsPerBlock": 1024,
    "maxThreadsDim": (1024, 1024, 64),
    "maxGridSize": (2**31 - 1, 65535, 65535),
    "major": CAPABILITY[0],
    "minor": CAPABILITY[1],
    "multiProcessorCount": MULTIPROCESSORS,
    "sharedMemPerBlockOptin": SHARED_PER_BLOCK_OPTIN,
    "sharedMemPerMultiprocessor": 228 << 10,
    "regsPerMultiprocessor": 65536,
    "maxThreadsPerMultiProcessor": THREADS_PER_MULTIPROCESSOR,
    "maxBlocksPerMultiProcessor": 32,
    "totalConstMem": 64 << 10,
    "clockRate": 1_000_000,
    "memoryClockRate": 1_000_000,
    "memoryBusWidth": 256,
    "l2CacheSize": 1 << 20,
    "concurrentKernels": 1,
    "cooperativeLaunch": 1,
    "managedMemory": 0,
    "memPitch": 2**31 - 1,
    "pciDeviceID": 0,
    "pciDomainID": 0,
    "integrated": 0,
    "canMapHostMemory": 1,
    "computeMode": 0,
    "ECCEnabled": 0,
}


class Runtime:
    """``cupy_backends.cuda.api.runtime`` on a `Device`."""

    def __init__(self, device: Device) -> None:
        self.device, self.memory, self.streams = device, device.memory, device.streams

    # ------------------------------------------------------------------ devices

    def getDeviceCount(self) -> int:
        return DEVICES

    def getDevice(self) -> int:
        return self.device.current

    def setDevice(self, ordinal: int) -> None:
        self.device.current = ordinal

    def driverGetVersion(self) -> int:
        return VERSION

    def runtimeGetVersion(self) -> int:
        return VERSION

    def _getCUDAMajorVersion(self) -> int:
        return VERSION // 1000

    def _ensure_context(self) -> None:
        pass

    def deviceSynchronize(self) -> None:
        self.streams.forbid_in_capture("cudaDeviceSynchronize", even_relaxed=True)
        self.device.counters.synchronizations += 1
        self.streams.drain(self.device.current, host_waits=True)
        self.streams.check()

    def deviceGetAttribute(self, attribute: int, ordinal: int) -> int:
        return ATTRIBUTES.get(attribute, 0)

    def getDeviceProperties(self, ordinal: int) -> dict[str, Any]:
        if not 0 <= ordinal < DEVICES:
            fail(Error.INVALID_DEVICE)
        return {**PROPERTIES, "totalGlobalMem": self.memory.capacity, "pciBusID": ordinal}

    def deviceGetPCIBusId(self, ordinal: int) -> str:
        return f"0000:{ordinal:02x}:00.0"

    def deviceGetByPCIBusId(self, name: str) -> int:
        return int(name.split(":")[1], 16)

    def deviceCanAccessPeer(self, ordinal: int, peer: int) -> int:
        return 0

    def _deviceEnsurePeerAccess(self, peer: int) -> None:
        pass

    def deviceGetLimit(self, limit: int) -> int:
        return 1024

    def deviceSetLimit(self, limit: int, value: int) -> None:
        pass

    def profilerStart(self) -> None:
        pass

    def profilerStop(self) -> None:
        pass

    # ------------------------------------------------------------------ memory

    def malloc(self, size: int) -> int:
        self.streams.forbid_in_capture("cudaMalloc")
        self.streams.check()
        return self.memory.allocate(size, self.device.current)

    def free(self, address: int) -> None:
        """Waits for the device, as cudaFree does, but does not count as a wait of the host: nobody promises it.

        After a sticky error memory is given back in silence. On a card the context is lost with it, and arrays that
        are freed later complain; here the next test goes on with the same process.
        """
        if address:
            self.streams.forbid_in_capture("cudaFree")
            self.device.outermost(lambda: self._wait_and_release(address))

    def mallocAsync(self, size: int, stream: int) -> int:
        self.streams.check()
        return self.memory.allocate(size, self.device.stream(stream).ordinal)

    def mallocFromPoolAsync(self, size: int, pool: int, stream: int) -> int:
        return self.mallocAsync(size, stream)

    def freeAsync(self, address: int, stream: int) -> None:
        if self.streams.sticky is not None:
            self._release(address)
        else:
            self.streams.enqueue(self.device.stream(stream), "cudaFreeAsync", lambda _: self._release(address))

    def _wait_and_release(self, address: int) -> None:
        self.streams.drain()
        self._release(address)

    def _release(self, address: int) -> None:
        complaint = self.memory.release(address)
        self.device.hazards.forget(address)
        if complaint is not None:
            self.device.faults.append(complaint)

    def memGetInfo(self) -> tuple[int, int]:
        capacity = self.memory.capacity
        return max(0, capacity - self.memory.used[self.device.current]), capacity

    def deviceGetDefaultMemPool(self, ordinal: int) -> int:
        return POOL

    def deviceGetMemPool(self, ordinal: int) -> int:
        return POOL

    def memPoolTrimTo(self, pool: int, size: int) -> None:
        pass

    def memPoolSetAttribute(self, pool: int, attribute: int, value: object) -> None:
        pass

    def memPoolGetAttribute(self, pool: int, attribute: int) -> int:
        return self.memory.used[self.device.current]

    def hostAlloc(self, size: int, flags: int) -> int:
        return self.memory.allocate_pinned(size)

    def freeHost(self, address: int) -> None:
        def action() -> None:
            self.streams.drain()
            self.memory.unpin(address)

        self.device.outermost(action)

    def hostRegister(self, address: int, size: int, flags: int) -> None:
        self.memory.pin(address, size)

    def hostUnregister(self, address: int) -> None:
        self.memory.unpin(address)

    def pointerGetAttributes(self, address: int) -> object:
        from cupy_backends.cuda.api.runtime import PointerAttributes

        owner = self.memory.owner(address)
        if owner is None:
            return PointerAttributes(-2, 0, address, 0)  # CuPy's: host memory that CUDA does not know
        return PointerAttributes(owner.ordinal, address, 0, 2)

    def pointerGetMemoryType(self, address: int) -> int:
        return 0 if self.memory.owner(address) is None else 2

    # ------------------------------------------------------------------ copies and fills

    def memcpy(self, to: int, source: int, size: int, kind: int) -> None:
        self.streams.forbid_in_capture("cudaMemcpy")
        self._copy(to, source, size, kind, self.device.stream(0), wait=True)

    def memcpyAsync(self, to: int, source: int, size: int, kind: int, stream: int) -> None:
        self._copy(to, source, size, kind, self.device.stream(stream), wait=False)

    def memcpyPeer(self, to: int, to_device: int, source: int, from_device: int, size: int) -> None:
        self.memcpy(to, source, size, DEVICE_TO_DEVICE)

    def memcpyPeerAsync(self, to: int, to_device: int, source: int, from_device: int, size: int, stream: int) -> None:
        self.memcpyAsync(to, source, size, DEVICE_TO_DEVICE, stream)

    def _copy(self, to: int, source: int, size: int, kind: int, stream: Stream, wait: bool) -> None:
        """When is the host's memory used? Pageable: before the call returns, as documented. Pinned: when the copy runs."""
        self.streams.check()
        if not size:
            return
        to_device, from_device = self.memory.owner(to) is not None, self.memory.owner(source) is not None
        ends = {HOST_TO_DEVICE: (False, True), DEVICE_TO_HOST: (True, False), DEVICE_TO_DEVICE: (True, True), 0: (False, False)}
        if kind != DEFAULT and (from_device, to_device) != ends[kind]:
            fail(Error.INVALID_VALUE, f"a copy of kind {kind} from {source:#x} to {to:#x}: one of them is not there")
        for address, on_device in ((to, to_device), (source, from_device)):
            if on_device:
                self.memory.require(address, size, "a copy")
            elif stream.capture is not None and not self.memory.is_pinned(address, size):
                stream.capture.invalid = True
                fail(Error.CAPTURE_UNSUPPORTED, "a copy from or to pageable memory while its stream is captured")
        counters = self.device.counters
        counters.host_to_device += to_device and not from_device
        counters.device_to_host += from_device and not to_device
        counters.device_to_device += from_device and to_device
        staged = None if from_device or self.memory.is_pinned(source, size) else ctypes.string_at(source, size)

        def action(place: Place) -> None:
            self.device.hazards.touched(place, source, source + size, write=False)
            self.device.hazards.touched(place, to, to + size, write=True)
            ctypes.memmove(to, source if staged is None else staged, size)

        operation = self.streams.enqueue(stream, "copy", action)
        if wait or not (to_device or self.memory.is_pinned(to, size)):
            assert isinstance(operation, Operation)
            self.streams.wait(operation)

    def memset(self, address: int, value: int, size: int) -> None:
        self.streams.forbid_in_capture("cudaMemset")
        self.memsetAsync(address, value, size, 0)

    def memsetAsync(self, address: int, value: int, size: int, stream: int) -> None:
        if not size:
            return
        self.memory.require(address, size, "a fill")

        def action(place: Place) -> None:
            self.device.hazards.touched(place, address, address + size, write=True)
            ctypes.memset(address, value, size)

        self.streams.enqueue(self.device.stream(stream), "fill", action)

    # ------------------------------------------------------------------ streams

    def streamCreate(self) -> int:
        return self.streamCreateWithPriority(0, 0)

    def streamCreateWithFlags(self, flags: int) -> int:
        return self.streamCreateWithPriority(flags, 0)

    def streamCreateWithPriority(self, flags: int, priority: int) -> int:
        stream = self.streams.create(-1, self.device.current, blocking=not flags & NON_BLOCKING, priority=priority)
        stream.handle = self.device.handle(stream)
        return stream.handle

    def streamDestroy(self, handle: int) -> None:
        self.streams.destroy(self.device.get(handle, Stream))
        self.device.forget(handle)

    def streamSynchronize(self, handle: int) -> None:
        stream = self.device.stream(handle)
        if stream.capture is not None or stream.is_legacy:
            self.streams.forbid_in_capture("cudaStreamSynchronize", even_relaxed=stream.capture is not None)
        self.device.counters.synchronizations += 1
        if stream.is_legacy:  # waits for the blocking streams as well
            operation = self.streams.enqueue(stream, "synchronize", lambda _: None)
            assert isinstance(operation, Operation)
            self.streams.wait(operation)
        else:
            self.streams.wait(stream.tail)

    def streamQuery(self, handle: int) -> int:
        return 0 if self.streams.poll(self.device.stream(handle).tail) else Error.NOT_READY

    def streamGetFlags(self, handle: int) -> int:
        return 0 if self.device.stream(handle).blocking else NON_BLOCKING

    def streamGetPriority(self, handle: int) -> int:
        return self.device.stream(handle).priority

    def streamWaitEvent(self, handle: int, event: int, flags: int = 0) -> None:
        self.streams.wait_event(self.device.stream(handle), self.device.get(event, Event))

    def launchHostFunc(self, handle: int, function: Callable[[Any], object], argument: Any) -> None:
        self.streams.enqueue(self.device.stream(handle), "host function", lambda _: function(argument))

    def _launchHostFuncUnmanaged(self, handle: int, function_and_argument: tuple[Callable[[Any], object], Any]) -> None:
        self.launchHostFunc(handle, *function_and_argument)

    def streamAddCallback(self, handle: int, function: Callable[..., object], argument: Any) -> None:
        self.streams.enqueue(self.device.stream(handle), "callback", lambda _: function(handle, 0, argument))

    # ------------------------------------------------------------------ events

    def eventCreate(self) -> int:
        return self.device.handle(Event())

    def eventCreateWithFlags(self, flags: int) -> int:
        return self.device.handle(Event(flags))

    def eventDestroy(self, handle: int) -> None:
        self.device.forget(handle)

    def eventRecord(self, handle: int, stream: int) -> None:
        event = self.device.get(handle, Event)

        def action(_: Place) -> None:
            event.time = time.perf_counter()

        self.streams.record(event, self.device.stream(stream), action)

    def eventSynchronize(self, handle: int) -> None:
        event = self._event_outside_capture(handle)
        self.device.counters.synchronizations += 1
        self.streams.wait(event.operation)

    def eventQuery(self, handle: int) -> int:
        return 0 if self.streams.poll(self._event_outside_capture(handle).operation) else Error.NOT_READY

    def _event_outside_capture(self, handle: int) -> Event:
        event = self.device.get(handle, Event)
        if event.graph in self.streams.captures:
            event.graph.invalid = True
            fail(Error.CAPTURE_UNSUPPORTED, "an event that was recorded in a capture never happens on its own")
        return event

    def eventElapsedTime(self, first: int, second: int) -> float:
        start, end = self.device.get(first, Event), self.device.get(second, Event)
        if (start.flags | end.flags) & DISABLE_TIMING or start.operation is None or end.operation is None:
            fail(Error.INVALID_HANDLE, "an event without timing, or one that was never recorded")
        if start.time is None or end.time is None:
            fail(Error.NOT_READY, "an event has not happened yet: synchronize with it first")
        return (end.time - start.time) * 1e3

    # ------------------------------------------------------------------ graphs

    def streamBeginCapture(self, handle: int, mode: int = CaptureMode.RELAXED) -> None:
        self.streams.begin_capture(self.device.stream(handle), CaptureMode(mode))

    def streamIsCapturing(self, handle: int) -> int:
        stream = self.device.stream(handle)
        if stream.is_legacy and any(s.blocking for graph in self.streams.captures for s in graph.tails):
            fail(Error.CAPTURE_IMPLICIT, "the default stream was asked while a stream that waits for it is captured")
        return int(stream.capture is not None)

    def streamEndCapture(self, handle: int) -> int:
        return self.device.handle(self.streams.end_capture(self.device.stream(handle)))

    def graphInstantiate(self, handle: int) -> int:
        return self.device.handle(Graph(nodes=list(self.device.get(handle, Graph).nodes)))

    def graphLaunch(self, handle: int, stream: int) -> None:
        self.device.counters.graph_launches += 1
        self.streams.launch_graph(self.device.stream(stream), self.device.get(handle, Graph))

    def graphUpload(self, handle: int, stream: int) -> None:
        pass

    def graphDestroy(self, handle: int) -> None:
        self.device.forget(handle)

    def graphExecDestroy(self, handle: int) -> None:
        self.device.forget(handle)
