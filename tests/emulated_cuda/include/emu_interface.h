// What kernels ask of the runtime, through the other headers. ../runtime implements it.
#pragma once

// For functions of ours that move a kernel's data behind its back: no callbacks from there.
#define EMU_UNSEEN __attribute__((noinline, no_sanitize("thread"), no_sanitize("undefined")))
// The last parameter of each collective: where the kernel called it.
#define EMU_SITE ::emu::Site site = ::emu::Site::here()

namespace emu {

struct Site {
  const char* file;
  int line;
  static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

// Where the running thread stands.
struct Position {
  dim3 thread, block, block_dim, grid_dim;
};

// Lanes of a warp that meet in a collective, and what each of them brought.
struct Meeting {
  uint64_t value[32];
  uint32_t mask, arrived, votes;  // asked for; there; those whose predicate holds
  int kind, not_left;
  Site site;
};
enum MeetingKind { MEET_SYNC, MEET_SHUFFLE, MEET_VOTE, MEET_MATCH, MEET_TOGETHER };
enum BarrierKind { BARRIER_PLAIN, BARRIER_COUNT, BARRIER_AND, BARRIER_OR, BARRIER_GRID };
enum Access { READ, WRITE, ATOMIC, VOLATILE_READ, VOLATILE_WRITE };

extern "C" {
extern Position emu_position;
int emu_barrier(BarrierKind kind, int predicate, Site site);
// Waits for all lanes of `mask` that have not exited. `together` runs once, by the last to arrive, with everything in place.
// The meeting is valid until emu_leave.
const Meeting* emu_meet(uint32_t mask, MeetingKind kind, uint64_t value, int predicate, void (*together)(uint64_t* values), Site site);
void emu_leave(const Meeting* meeting);
uint32_t emu_active_lanes();
void* emu_dynamic_shared();
uint32_t emu_dynamic_shared_size();
void emu_access(const void* address, unsigned size, Access kind, void* pc);
void emu_fence(int beyond_block);
void emu_yield();  // now and then lets other threads run: in loops that wait
void emu_async_copy(void* to, const void* from, unsigned size, unsigned zeros);
void emu_async_commit();
void emu_async_wait(unsigned newest);  // for all but the newest groups
[[noreturn]] void emu_fail_at(Site site, const char* kind, const char* text);
}

inline int lane() {
  const Position& p = emu_position;
  return ((p.thread.z * p.block_dim.y + p.thread.y) * p.block_dim.x + p.thread.x) & 31;
}

}  // namespace emu

#define threadIdx (emu::emu_position.thread)
#define blockIdx (emu::emu_position.block)
#define blockDim (emu::emu_position.block_dim)
#define gridDim (emu::emu_position.grid_dim)
#define warpSize 32
