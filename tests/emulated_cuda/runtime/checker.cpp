// Every load and store of a checked kernel comes here: bounds, lifetime, uninitialised shared memory, races. state.h tells how
// time is kept.
#include "state.h"

namespace emu {

// ---- what is ordered before what

void Reach::join(const Reach& other) {
  if (other.all > all) all = other.all;
  for (const auto& [warp, epoch] : other.warps) {
    int64_t& mine = warps.emplace(warp, -1).first->second;
    if (epoch > mine) mine = epoch;
  }
}

bool Reach::covers(uint32_t warp, uint32_t epoch) const {
  if ((int64_t)epoch <= all) return true;
  const auto found = warps.find(warp);
  return found != warps.end() && (int64_t)epoch <= found->second;
}

static bool ordered(const Stamp& past, const Fiber* f, const void* address, bool past_is_atomic) {
  if (past.thread == f->global) return true;
  const Block* b = f->block;
  const uint32_t block = past.thread / launch.threads, number = past.thread % launch.threads;
  if (block == b->number)
    return past.epoch < b->epoch || (number / 32 == f->number / 32 && past.step <= f->seen[number & 31]);
  const auto known = b->known.find(block);
  if (known != b->known.end() && known->second.covers(number / 32, past.epoch)) return true;
  // a counter that this block counted on, too: the last block may set it back
  return past_is_atomic && b->atomics.count(address);
}

static void join(Knowledge& into, const Knowledge& from) {
  for (const auto& [block, reach] : from) into[block].join(reach);
}

static void acquire(Block* b, const void* address) {
  const auto found = launch.published.find(address);
  if (found != launch.published.end()) join(b->known, found->second);
}

// Published is what came before a fence of this thread, or before a fence of any thread and then a barrier.
static void release(const Fiber* f, const void* address) {
  Block* b = f->block;
  Reach mine;
  mine.all = b->fenced < (int64_t)b->epoch ? b->fenced : b->fenced_before;
  if (f->fence >= 0) {
    if (f->fence - 1 > mine.all) mine.all = f->fence - 1;
    mine.warps[f->number / 32] = f->fence;
  }
  if (mine.all < 0 && mine.warps.empty()) return;
  Knowledge& there = launch.published[address];
  there[b->number].join(mine);
  join(there, b->known);
}

extern "C" void emu_fence(int beyond_block) {
  if (!beyond_block) return;
  Block* b = current->block;
  current->fence = b->epoch;
  if (b->fenced == (int64_t)b->epoch) return;
  b->fenced_before = b->fenced;
  b->fenced = b->epoch;
}

// ---- where an access goes

enum Space { GLOBAL, DYNAMIC_SHARED, STATIC_SHARED, UNWATCHED };

struct Target {
  Space space;
  Allocation* allocation;
  Cell *words, *bytes;  // of the word and the byte at the address
  uint32_t era;
};

static const char* verb(Access kind) {
  if (kind == ATOMIC) return "atomic";
  return kind == WRITE || kind == VOLATILE_WRITE ? "write" : "read";
}

static Target global_target(char* p, unsigned size, Access kind) {
  Allocation* a = find_allocation(p);
  if (!a && in_arena(p - PAGE)) a = find_allocation(p - PAGE);  // in the page behind it
  if (!a) fail("OUT OF BOUNDS: %s of %u bytes at %p, where no allocation is", verb(kind), size, p);
  if (!a->live) fail("USE AFTER FREE: %s of %u bytes in a freed allocation of %lu bytes", verb(kind), size, a->size);
  if (p < a->base || p + size > a->base + a->size)
    fail("OUT OF BOUNDS: %s of %u bytes at byte %ld of an allocation of %lu bytes", verb(kind), size, (long)(p - a->base), a->size);
  if (!a->words) make_cells(a);
  if (kind != WRITE && kind != VOLATILE_WRITE) note_touch(a, p, size, false);
  if (kind != READ && kind != VOLATILE_READ) note_touch(a, p, size, true);
  return {GLOBAL, a, a->words + (p - a->base) / 4, a->bytes + (p - a->base), launch.number};
}

static Target dynamic_target(char* p, unsigned size, Access kind) {
  const Block* b = current->block;
  const long offset = p - b->dynamic;
  if (offset < 0 || offset + size > launch.shared_bytes)
    fail("OUT OF BOUNDS: %s of %u bytes at byte %ld of dynamic shared memory, of which the launch gave %u", verb(kind), size, offset,
         launch.shared_bytes);
  return {DYNAMIC_SHARED, nullptr, b->words + offset / 4, b->bytes + offset, b->era};
}

static Target static_target(char* p, unsigned size, Access kind) {
  const Block* b = current->block;
  const uint64_t offset = p - launch.static_low;
  const SharedVariable *v = launch.module->shared, *end = v + launch.module->shared_count;
  while (v < end && (offset < v->offset || offset + size > (uint64_t)v->offset + v->size)) ++v;
  if (v == end) fail("OUT OF BOUNDS: %s of %u bytes beside a shared array", verb(kind), size);
  if (!v->watched) return {UNWATCHED, nullptr, nullptr, nullptr, 0};
  return {STATIC_SHARED, nullptr, b->words + (DYNAMIC + offset) / 4, b->bytes + DYNAMIC + offset, b->era};
}

static Target find_target(char* p, unsigned size, Access kind) {
  if (in_arena(p)) return global_target(p, size, kind);
  if (in_dynamic_areas(p)) return dynamic_target(p, size, kind);
  if (p >= launch.static_low && p < launch.static_high) return static_target(p, size, kind);
  const uint64_t address = (uint64_t)p;  // of __constant__ and __device__ variables
  if (address >= launch.module->code_low && address < launch.module->code_high) return {UNWATCHED, nullptr, nullptr, nullptr, 0};
  fail("ILLEGAL ADDRESS: %s of %u bytes at %p, which is no device memory (of the host?)", verb(kind), size, p);
}

// ---- races

[[noreturn]] static void report_race(const char* what, const Target& t, const void* address, const Stamp& other, uint32_t other_pc) {
  launch.result->other_pc = other_pc;
  const char* p = (const char*)address;
  char place[120];
  if (t.space == GLOBAL)
    snprintf(place, sizeof place, "byte %ld of an allocation of %lu bytes", (long)(p - t.allocation->base), t.allocation->size);
  else if (t.space == DYNAMIC_SHARED)
    snprintf(place, sizeof place, "byte %ld of dynamic shared memory", (long)(p - current->block->dynamic));
  else
    snprintf(place, sizeof place, "byte %ld of static shared memory", (long)(p - launch.static_low));
  fail("RACE: %s of %s, with nothing to order it after that of %s", what, place, name_of(other.thread).c_str());
}

static void check_cell(Cell& c, const Target& t, Access kind, uint32_t pc, const void* address, bool update) {
  const Fiber* f = current;
  if (c.era != t.era) {
    if (!update) return;
    c = Cell();
    c.era = t.era;
  }
  const Stamp now = {f->global, f->block->epoch, own_step(f)};
  const bool written = c.flags & Cell::WRITTEN, by_atomic = c.flags & Cell::BY_ATOMIC;
  const bool conflict = written && !(kind == ATOMIC && by_atomic) && !(kind == READ && by_atomic && !launch.options.strict);
  if (conflict && !ordered(c.write, f, address, by_atomic))
    report_race(kind == READ ? (by_atomic ? "read after atomic" : "read after write")
                             : kind == ATOMIC ? "atomic after write" : (by_atomic ? "write after atomic" : "write after write"),
                t, address, c.write, c.write_pc);
  if (kind == READ) {
    if (!update) return;
    if (!(c.flags & Cell::WAS_READ) || ordered(c.read, f, address, false)) {
      c.read = now;
      c.read_pc = pc;
      c.flags |= Cell::WAS_READ;
    } else {
      c.second_read = now;
      c.flags |= Cell::READ_TWICE;
    }
    return;
  }
  const bool forgive = kind == ATOMIC && !launch.options.strict;
  if ((c.flags & Cell::WAS_READ) && !forgive && !ordered(c.read, f, address, false))
    report_race(kind == ATOMIC ? "atomic after read" : "write after read", t, address, c.read, c.read_pc);
  if ((c.flags & Cell::READ_TWICE) && !forgive && !ordered(c.second_read, f, address, false))
    report_race(kind == ATOMIC ? "atomic after read" : "write after read", t, address, c.second_read, c.read_pc);
  if (!update) return;
  c.write = now;
  c.write_pc = pc;
  c.flags = (c.flags & Cell::HAS_BYTES) | Cell::WRITTEN | (kind == ATOMIC ? Cell::BY_ATOMIC : 0);
}

// Words have cells; bytes get their own once a smaller access was seen.
static void check_words(const Target& t, char* p, unsigned size, Access kind, uint32_t pc) {
  const bool must_be_written = t.space != GLOBAL && kind == READ && launch.options.uninitialised;
  for (unsigned i = 0; i < size / 4; ++i) {
    Cell& c = t.words[i];
    const bool written = c.era == t.era && (c.flags & (Cell::WRITTEN | Cell::HAS_BYTES));
    if (must_be_written && !written) fail("UNINITIALISED shared memory: read of %u bytes that no thread wrote", size);
    check_cell(c, t, kind, pc, p + 4 * i, true);
    if (c.flags & Cell::HAS_BYTES)
      for (int k = 0; k < 4; ++k) check_cell(t.bytes[4 * i + k], t, kind, pc, p + 4 * i + k, true);
  }
}

static void check_bytes(const Target& t, char* p, unsigned size, Access kind, uint32_t pc) {
  const bool must_be_written = t.space != GLOBAL && kind == READ && launch.options.uninitialised;
  const unsigned within = (uint64_t)p & 3;  // all memory begins at a multiple of 16
  for (unsigned i = 0; i < size; ++i) {
    Cell &word = t.words[(within + i) / 4], &byte = t.bytes[i];
    const bool written = (word.era == t.era && (word.flags & Cell::WRITTEN)) || (byte.era == t.era && (byte.flags & Cell::WRITTEN));
    if (must_be_written && !written) fail("UNINITIALISED shared memory: read of %u bytes that no thread wrote", size);
    check_cell(word, t, kind, pc, p + i, false);
    if (word.era != t.era) {
      word = Cell();
      word.era = t.era;
    }
    word.flags |= Cell::HAS_BYTES;
    check_cell(byte, t, kind, pc, p + i, true);
  }
}

void check_access(const void* address, unsigned size, Access kind, void* where) {
  if (!launch.running || !current) return;
  if ((uint64_t)((char*)address - (char*)&emu_position) < sizeof emu_position) return;  // threadIdx and its kin
  char* p = (char*)address;
  const uint32_t pc = (uint32_t)((uint64_t)where - launch.module->code_low);
  launch.result->pc = pc;
  if (in_stacks(p)) {
    if (labs(p - (char*)__builtin_frame_address(0)) > (long)STACK) fail("ILLEGAL ADDRESS: %s in another thread's local memory", verb(kind));
    return;
  }
  ++launch.result->accesses;
  const Target t = find_target(p, size, kind);
  if (t.space == UNWATCHED) return;
  if (launch.options.profile) note_access(p, size, kind, pc, t.space != GLOBAL);
  if (kind == VOLATILE_READ || kind == VOLATILE_WRITE) {
    if (t.space == GLOBAL && kind == VOLATILE_READ) acquire(current->block, p);
    if (t.space == GLOBAL && kind == VOLATILE_WRITE) release(current, p);
    return;
  }
  if (size >= 4 && ((uint64_t)p & 3) == 0) check_words(t, p, size, kind, pc);
  else check_bytes(t, p, size, kind, pc);
  if (kind == ATOMIC && t.space == GLOBAL) {
    acquire(current->block, p);
    release(current, p);
    current->block->atomics.insert(p);
  }
  if (launch.options.preempt && random_number() % launch.options.preempt == 0) let_others_run();
}

// Unchecked kernels: when a block has ended, nothing may have changed between its static shared arrays.
void check_redzones() {
  for (uint64_t i = 0; i < launch.module->shared_count; ++i) {
    const SharedVariable& v = launch.module->shared[i];
    const char* end = launch.static_low + v.offset + v.size;
    for (int k = 0; k < REDZONE && end + k < launch.static_high; ++k)
      if ((unsigned char)end[k] != POISON) fail("OUT OF BOUNDS: a thread of this block wrote behind a shared array of %u bytes", v.size);
  }
}

}  // namespace emu
