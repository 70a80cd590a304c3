"""The calls of the CUDA driver (``cupy_backends.cuda.api.driver``): modules, functions and launches."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress

from .compiler import CompiledKernel, CompiledModule
from .device import DEVICES, SHARED_PER_BLOCK, SHARED_PER_BLOCK_OPTIN, THREADS_PER_MULTIPROCESSOR, Device
from .errors import Error, fail
from .kernel import KernelError
from .profile import note
from .runtime_api import VERSION
from .streams import Place

CONTEXT = 1  # handle of the context of device 0; device n has CONTEXT + n
MOST_RESIDENT = 64  # blocks of a cooperative launch

# cuFuncGetAttribute
MAX_THREADS, STATIC_SHARED, CONST_SIZE, LOCAL_SIZE, REGISTERS, PTX_VERSION, BINARY_VERSION, _, MAX_DYNAMIC_SHARED = range(9)


@dataclass
class Function:
    """A kernel of a loaded module, and how much dynamic shared memory a launch may ask for."""

    module: CompiledModule
    name: str
    dynamic_limit: int


class Driver:
    """``cupy_backends.cuda.api.driver`` on a `Device`."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def get_build_version(self) -> int:
        return VERSION

    # ------------------------------------------------------------------ contexts: one for each device, always there

    def ctxGetCurrent(self) -> int:
        return CONTEXT + self.device.current

    def ctxGetDevice(self) -> int:
        return self.device.current

    def ctxSetCurrent(self, context: int) -> None:
        if 0 <= context - CONTEXT < DEVICES:
            self.device.current = context - CONTEXT

    def streamGetCtx(self, stream: int) -> int:
        return CONTEXT + self.device.stream(stream).ordinal

    def devicePrimaryCtxRelease(self, ordinal: int) -> None:
        pass

    # ------------------------------------------------------------------ modules

    def moduleLoadData(self, image: bytes) -> int:
        return self.device.handle(CompiledModule.load(image))

    def moduleLoad(self, path: str) -> int:
        with open(path, "rb") as file:
            return self.moduleLoadData(file.read())

    def _load(self, module: CompiledModule, checked: bool = False) -> list[str]:
        """The names of the module's kernels, which are in memory now."""
        before = module.loaded
        names = list(module.module(checked).kernels)
        self.device.counters.compiled += module.loaded - before
        return names

    def _kernel(self, function: Function, checked: bool = False) -> CompiledKernel:
        self._load(function.module, checked)
        return function.module.kernel(function.name, checked)

    def moduleUnload(self, handle: int) -> None:
        self.device.forget(handle)

    def moduleGetFunction(self, handle: int, name: str) -> int:
        module = self.device.get(handle, CompiledModule)
        known = self._load(module)
        if name not in known:
            fail(Error.SYMBOL_NOT_FOUND, f"no kernel {name}; there are {', '.join(known)}")
        function = Function(module, name, 0)
        function.dynamic_limit = SHARED_PER_BLOCK - self._kernel(function).static_shared
        return self.device.handle(function)

    def funcGetAttribute(self, attribute: int, handle: int) -> int:
        function = self.device.get(handle, Function)
        kernel = self._kernel(function)
        values = {
            MAX_THREADS: kernel.most_threads,
            STATIC_SHARED: kernel.static_shared,
            REGISTERS: 32,
            PTX_VERSION: 90,
            BINARY_VERSION: 90,
            MAX_DYNAMIC_SHARED: function.dynamic_limit,
        }
        return values.get(attribute, 0)

    def funcSetAttribute(self, handle: int, attribute: int, value: int) -> None:
        function = self.device.get(handle, Function)
        if attribute == MAX_DYNAMIC_SHARED:
            static = self._kernel(function).static_shared
            if value + static > SHARED_PER_BLOCK_OPTIN:
                fail(Error.INVALID_VALUE, f"{value} bytes of dynamic and {static} of static shared memory are too many")
            function.dynamic_limit = value

    def occupancyMaxActiveBlocksPerMultiprocessor(self, handle: int, threads: int, dynamic_shared: int) -> int:
        return max(1, THREADS_PER_MULTIPROCESSOR // threads)

    # ------------------------------------------------------------------ launches

    def launchKernel(
        self, handle: int, grid_x: int, grid_y: int, grid_z: int, block_x: int, block_y: int, block_z: int,
        dynamic_shared: int, stream: int, arguments: int, extra: int,
    ) -> None:  # fmt: skip
        self._launch(handle, (grid_x, grid_y, grid_z), (block_x, block_y, block_z), dynamic_shared, stream, arguments)

    def launchCooperativeKernel(
        self, handle: int, grid_x: int, grid_y: int, grid_z: int, block_x: int, block_y: int, block_z: int,
        dynamic_shared: int, stream: int, arguments: int,
    ) -> None:  # fmt: skip
        grid, block = (grid_x, grid_y, grid_z), (block_x, block_y, block_z)
        self._launch(handle, grid, block, dynamic_shared, stream, arguments, resident=MOST_RESIDENT)

    def _launch(
        self, handle: int, grid: tuple[int, int, int], block: tuple[int, int, int],
        dynamic_shared: int, stream_handle: int, arguments: int, resident: int = 1,
    ) -> None:  # fmt: skip
        function, stream, device = self.device.get(handle, Function), self.device.stream(stream_handle), self.device
        checked = device.checked
        kernel = self._kernel(function, checked)
        threads = block[0] * block[1] * block[2]
        if not 0 < threads <= kernel.most_threads or block[2] > 64:
            fail(Error.INVALID_VALUE, f"{function.name}: a block of {block} threads")
        if not all(grid) or grid[1] > 65535 or grid[2] > 65535:
            fail(Error.INVALID_VALUE, f"{function.name}: a grid of {grid} blocks")
        if dynamic_shared > function.dynamic_limit:
            limit = function.dynamic_limit
            fail(Error.INVALID_VALUE, f"{function.name}: {dynamic_shared} bytes of dynamic shared memory, the limit is {limit}")
        # CUDA copies the arguments before the call returns. How many there are, and of which size, the kernel says: CuPy has
        # not compared them, so a number of the wrong type is read as the bytes that it is.
        values = []
        if kernel.sizes:
            pointers = (ctypes.c_void_p * len(kernel.sizes)).from_address(arguments)
            values = [ctypes.string_at(pointer, size) for pointer, size in zip(pointers, kernel.sizes, strict=True)]
        device.counters.launches += 1
        device.counters.checked_launches += checked

        def action(place: Place) -> None:
            foreign = self._foreign_memory(compress(values, kernel.points), stream.ordinal)
            if foreign is not None:
                device.crash(f"{function.name}: memory of device {foreign} used by a kernel on device {stream.ordinal}")
                return
            profiled = checked and device.profiled
            try:
                touched = kernel.run(grid, block, values, dynamic_shared, resident, profiled)
            except KernelError as error:
                device.crash(str(error))
                return
            if profiled:
                note(device.traffic, function.name)
            for low, high, write in touched:
                device.hazards.touched(place, low, high, write)

        device.streams.enqueue(stream, function.name, action)

    def _foreign_memory(self, values: Iterable[bytes], ordinal: int) -> int | None:
        """Another device whose memory one of the arguments, or a pointer in a struct, points to."""
        memory = self.device.memory
        if not any(used for other, used in enumerate(memory.used) if other != ordinal):
            return None
        for value in values:
            for start in range(0, len(value) - 7, 8):
                owner = memory.owner(int.from_bytes(value[start : start + 8], "little"))
                if owner is not None and owner.ordinal != ordinal:
                    return owner.ordinal
        return None
