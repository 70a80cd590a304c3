// What the files of the runtime share.
//
// NOTE: time, as the checker sees it. A thread's clock is the number of block barriers that its block has passed (its epoch) and,
// within an epoch, how many warp barriers it took part in (its step). An access A happens before an access B if
//   1. the same thread makes both, A first; or
//   2. A's block is B's block, and A's epoch is over; or
//   3. both are of one warp and epoch, and B's thread has learned A's step at a __syncwarp (`seen`); or
//   4. A's block published A (a fence, then an atomic or volatile write) where B's block looked (an atomic, a volatile read).
// Two accesses to the same bytes, one of them a write, that are ordered neither way are a race.
#pragma once
#include <csetjmp>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "api.h"

namespace emu {

const uint64_t PAGE = 4096;
const uint64_t STACK = 256 << 10;           // of a thread
const uint64_t DYNAMIC = 256 << 10;         // shared memory of a block that the launch asks for
const uint64_t STATIC = 4 << 20;            // shared memory that all kernels of a module declare
const uint32_t MOST_DYNAMIC = 227 << 10;    // what the largest cards give
const unsigned char POISON = 0xFB;          // fresh memory; a large negative number as a float, and never a valid index
const int REDZONE = 64;                     // behind each static shared array; build.py puts it there

// ---- memory

struct Stamp {
  uint32_t thread;  // number in the grid
  uint32_t epoch, step;
};

// Who last accessed a word (or a byte) of memory. Two reads are kept: one alone would hide the other from a later write.
struct Cell {
  enum { WRITTEN = 1, BY_ATOMIC = 2, WAS_READ = 4, READ_TWICE = 8, HAS_BYTES = 16 };
  uint32_t era;  // the launch, or the run of a block, that all this belongs to
  uint32_t flags;
  Stamp write, read, second_read;
  uint32_t write_pc, read_pc;
};

struct Allocation {
  char* base;
  uint64_t size;
  char* pages;
  uint64_t page_count;
  bool live;
  Touch touch;
  Cell *words, *bytes;  // made at the first checked access
};

void* reserve(uint64_t size, int protection);
Allocation* find_allocation(const void* p);
bool in_arena(const void* p);
void make_cells(Allocation* a);
void note_touch(Allocation* a, const char* p, unsigned size, bool write);
void forget_touches();

// ---- threads

struct Block;
struct Warp;

enum Status : uint8_t { RUNNABLE, AT_BARRIER, AT_MEETING, EXITED };

struct AsyncCopy {
  char *to, *from;
  uint32_t size, zeros, group;
};

struct Fiber {
  void* stack;  // where it stopped
  dim3 index;
  uint32_t number, global;  // in the block, in the grid
  Status status;
  Block* block;
  Warp* warp;
  Site site;          // of the barrier that it waits at
  int answer;         // of the barrier
  Meeting* meeting;   // that it waits at
  uint32_t seen[32];  // steps of the lanes of its warp that it has learned of; its own is its clock
  int64_t fence;      // epoch of its last fence, or -1
  std::vector<AsyncCopy> copies;
  uint32_t copy_group;
};

struct Warp {
  Block* block;
  uint32_t number, active;
  std::vector<Meeting*> open;
};

// How much of a block's past is known elsewhere: all accesses up to an epoch, and those of some warps up to a later one.
struct Reach {
  int64_t all = -1;
  std::map<uint32_t, int64_t> warps;
  void join(const Reach& other);
  bool covers(uint32_t warp, uint32_t epoch) const;
};
typedef std::map<uint32_t, Reach> Knowledge;  // by block

struct Block {
  dim3 index;
  uint32_t number, slot;
  uint32_t epoch, era;
  uint32_t alive, arrived;
  BarrierKind barrier;
  int sum;                // of the predicates at the barrier
  int64_t fenced, fenced_before;   // the last epoch in which a thread made a fence, and the one before that; or -1
  char* dynamic;
  std::vector<char> saved_static;  // while another block runs
  std::vector<Warp> warps;
  std::vector<Fiber> fibers;
  Knowledge known;
  std::set<const void*> atomics;   // global addresses on which it did atomics
  Cell *words, *bytes;             // of its shared memory: dynamic, then static
};

struct Launch {
  const Entry* entry;
  Module* module;
  Options options;
  Result* result;
  void** arguments;
  dim3 grid, block;
  uint32_t number;  // counts launches: the era of global memory
  uint32_t threads, blocks, shared_bytes;
  uint32_t at_grid_barrier;
  bool running;
  std::vector<Block*> resident;
  char *static_low, *static_high;
  std::map<const void*, Knowledge> published;  // at global addresses, by atomics
  sigjmp_buf failed;
};

extern Launch launch;
extern Fiber* current;

inline uint32_t own_step(const Fiber* f) { return f->seen[f->number & 31]; }

// scheduler.cpp
extern char *stacks, *dynamic_areas;
extern uint64_t stack_count;
uint32_t random_number();
void seed_random(uint64_t seed);
void make_runnable(Fiber* f);
void clear_queue();
void wait_as(Status status);  // the current thread waits until made runnable
void let_others_run();
bool in_stacks(const void* p);
bool in_dynamic_areas(const void* p);
void prepare_areas();
void start_block(Block* b, uint32_t number, uint32_t slot);
void run_fibers();            // until none can run

// collectives.cpp
void thread_exits(Fiber* f);

// checker.cpp
void check_access(const void* p, unsigned size, Access kind, void* pc);
void check_redzones();

// profile.cpp
void clear_profile();
void note_access(const char* p, unsigned size, Access kind, uint32_t pc, bool shared);

// launch.cpp
std::string name_of(const Fiber* f);
std::string name_of(uint32_t thread);
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));
[[noreturn]] void fail_without_thread(const char* format, ...) __attribute__((format(printf, 1, 2)));
[[noreturn]] void report_deadlock();

}  // namespace emu
