// Barriers of a block, fences, and what ends or delays a thread.
#pragma once

__forceinline__ void __syncthreads(EMU_SITE) { emu::emu_barrier(emu::BARRIER_PLAIN, 0, site); }
__forceinline__ int __syncthreads_count(int p, EMU_SITE) { return emu::emu_barrier(emu::BARRIER_COUNT, p != 0, site); }
__forceinline__ int __syncthreads_and(int p, EMU_SITE) { return emu::emu_barrier(emu::BARRIER_AND, p != 0, site); }
__forceinline__ int __syncthreads_or(int p, EMU_SITE) { return emu::emu_barrier(emu::BARRIER_OR, p != 0, site); }

__forceinline__ void __threadfence_block() { emu::emu_fence(0); }
__forceinline__ void __threadfence() { emu::emu_fence(1); }
__forceinline__ void __threadfence_system() { emu::emu_fence(1); }

__forceinline__ void __nanosleep(unsigned) { emu::emu_yield(); }
__forceinline__ void __trap(EMU_SITE) { emu::emu_fail_at(site, "TRAP", "__trap()"); }
__forceinline__ long long clock64() { return 0; }
__forceinline__ int clock() { return 0; }

#undef assert
#define assert(condition) ((condition) ? (void)0 : emu::emu_fail_at(emu::Site::here(), "ASSERTION", #condition))
