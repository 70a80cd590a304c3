// Asynchronous copies to shared memory. A copy lands as late as it may: when its group is waited for. Its bytes are unwritten until then.
#pragma once
#include "emu.h"

__forceinline__ void __pipeline_memcpy_async(void* to, const void* from, size_t size, size_t zeros = 0) {
  emu::emu_async_copy(to, from, (unsigned)(size - zeros), (unsigned)zeros);
}
__forceinline__ void __pipeline_commit() { emu::emu_async_commit(); }
__forceinline__ void __pipeline_wait_prior(unsigned newest) { emu::emu_async_wait(newest); }
