// The entry points of the runtime for Python (kernel.py and array.py call them by ctypes) and for the software device.
// One launch runs at a time: the caller holds a lock. Nothing here starts a thread.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>
#include <utility>

#include <vector_types.h>

#include "../include/emu_interface.h"

#include "../include/emu_entry.h"

namespace emu {

// A span of bytes that a launch read or wrote, from the first to the last of them; empty: both 0.
struct Span {
  uint64_t low, high;
};
struct Touch {  // of one allocation
  Span read, written;
};

struct Traffic {  // what the requests of one instruction moved: sectors of 32 bytes of global memory, wavefronts of shared memory
  uint64_t pc, shared, write;
  uint64_t requests, moved, least;  // least: how few would have done for so many bytes
};

struct SharedVariable {  // a static __shared__ variable, or the compiler's own flag beside an array of classes: that one is not watched
  uint32_t offset, size, watched;
};

struct Module {  // a compiled .cu file; emu_module_open fills in the last four
  void* (*anchor)();             // address of a thread-local variable of the module, in the calling thread
  uint64_t anchor_offset;        // and where that variable lies among the thread-local variables
  const SharedVariable* shared;
  uint64_t shared_count;
  uint64_t code_low, code_high;  // where it was loaded
  uint64_t shared_low;           // of the calling thread, set at launch
  uint64_t shared_size;          // bytes of thread-local storage, redzones included
};

enum Order : int32_t { ASCENDING, DESCENDING, RANDOM };

struct Options {
  uint64_t seed;
  int32_t order;          // in which blocks start and threads run: an Order
  int32_t checked;        // the module was compiled with the checker's callbacks
  int32_t strict;         // 1: shuffles order no memory, a barrier is the same line for all. 0: what most cards forgive
  int32_t resident;       // blocks that run at the same time, at most 64
  int32_t preempt;        // checked: let another thread run after one access in so many; 0: never
  int32_t timeout_ms;     // of processor time
  int32_t uninitialised;  // report reads of shared memory that nobody wrote
  int32_t profile;        // checked: keep what emu_profile tells
};

struct Result {
  uint64_t switches, accesses;
  uint64_t pc, other_pc;  // where it went wrong, and the other access of a race: offsets into the module, 0 if unknown
  char message[4096];
};

extern "C" {
// ---- device memory. Addresses are never used again, so use after free is always found.
void* emu_malloc(uint64_t size);                        // null: no room
int emu_free(void* p);                                  // 0; 1 if a write beside the allocation was found; -1 no such allocation
uint64_t emu_used();                                    // bytes in allocations, each rounded up to 16
void emu_set_limit(uint64_t bytes);                     // the capacity
int emu_is_device(const void* p, uint64_t size);        // whether all of it lies in one live allocation
uint64_t emu_base(const void* p, uint64_t* size);       // the live allocation around p: its address, or 0
uint64_t emu_touched(Touch* out, uint64_t* bases, uint64_t most);  // by the last launch, if it was checked: how many allocations

uint64_t emu_profile(Traffic* out, uint64_t most);  // of the last launch, if it was profiled: how many instructions

// ---- launches
void emu_module_open(Module* module);
int emu_launch(const Entry* entry, Module* module, const Options* options, const uint32_t* grid, const uint32_t* block,
               uint32_t shared_bytes, void** arguments, Result* result);  // 0; 1 the kernel failed; 2 no such launch is possible
}

}  // namespace emu
