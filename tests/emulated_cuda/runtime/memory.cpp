// Device memory: one large range of addresses, handed out from below and never again. Each allocation ends at a page boundary with
// a page that nobody may touch behind it, so that even unchecked kernels stop where they overrun.
#include <sys/mman.h>

#include <cstdlib>

#include "state.h"

namespace emu {

static const uint64_t ARENA = 64ull << 30;

static char *arena, *arena_top;
static uint32_t* owner_of_page;
static std::vector<Allocation> allocations(1);  // number 0 is none
static std::vector<uint32_t> touched;
static uint64_t used, limit = ~0ull;

void* reserve(uint64_t size, int protection) {
  void* p = mmap(nullptr, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p != MAP_FAILED) return p;
  perror("emulated CUDA: mmap");
  abort();
}

static uint64_t rounded(uint64_t size) { return (size + 15) & ~15ull; }

bool in_arena(const void* p) { return arena && (uint64_t)((char*)p - arena) < ARENA; }

Allocation* find_allocation(const void* p) {
  if (!in_arena(p)) return nullptr;
  const uint32_t number = owner_of_page[((char*)p - arena) / PAGE];
  return number ? &allocations[number] : nullptr;
}

void make_cells(Allocation* a) {
  // of whole words around it: the base is aligned to 16
  a->words = (Cell*)reserve(rounded(a->size) / 4 * sizeof(Cell), PROT_READ | PROT_WRITE);
  a->bytes = (Cell*)reserve(rounded(a->size) * sizeof(Cell), PROT_READ | PROT_WRITE);
}

static void drop_cells(Allocation* a) {
  if (!a->words) return;
  munmap(a->words, rounded(a->size) / 4 * sizeof(Cell));
  munmap(a->bytes, rounded(a->size) * sizeof(Cell));
  a->words = a->bytes = nullptr;
}

void note_touch(Allocation* a, const char* p, unsigned size, bool write) {
  if (!a->touch.read.high && !a->touch.written.high) touched.push_back((uint32_t)(a - allocations.data()));
  Span& span = write ? a->touch.written : a->touch.read;
  const uint64_t low = (uint64_t)p, high = low + size;
  if (!span.high || low < span.low) span.low = low;
  if (high > span.high) span.high = high;
}

void forget_touches() {
  for (uint32_t number : touched) allocations[number].touch = Touch();
  touched.clear();
}

extern "C" void emu_set_limit(uint64_t bytes) { limit = bytes; }
extern "C" uint64_t emu_used() { return used; }

extern "C" void* emu_malloc(uint64_t size) {
  if (!arena) {
    arena = arena_top = (char*)reserve(ARENA, PROT_NONE);
    owner_of_page = (uint32_t*)reserve(ARENA / PAGE * sizeof(uint32_t), PROT_READ | PROT_WRITE);
  }
  const uint64_t bytes = rounded(size), pages = bytes ? (bytes + PAGE - 1) / PAGE : 1;
  if (size > ARENA || used + bytes > limit || arena_top + (pages + 1) * PAGE > arena + ARENA) return nullptr;
  char* start = arena_top;
  if (mprotect(start, pages * PAGE, PROT_READ | PROT_WRITE)) return nullptr;  // the system allows so many mappings
  arena_top += (pages + 1) * PAGE;
  memset(start, POISON, pages * PAGE);
  for (uint64_t i = 0; i < pages; ++i) owner_of_page[(start - arena) / PAGE + i] = (uint32_t)allocations.size();
  char* base = start + pages * PAGE - bytes;
  allocations.push_back({base, size, start, pages, true, {}, nullptr, nullptr});
  used += bytes;
  return base;
}

extern "C" int emu_free(void* p) {
  Allocation* a = find_allocation(p);
  if (!a || a->base != p || !a->live) return -1;
  int overwritten = 0;
  char* end = a->pages + a->page_count * PAGE;
  for (char* c = a->pages; c < a->base; ++c) overwritten |= (unsigned char)*c != POISON;
  for (char* c = a->base + a->size; c < end; ++c) overwritten |= (unsigned char)*c != POISON;
  a->live = false;
  used -= rounded(a->size);
  drop_cells(a);
  // a fresh mapping, which the system joins with its neighbours
  mmap(a->pages, a->page_count * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  return overwritten;
}

extern "C" uint64_t emu_base(const void* p, uint64_t* size) {
  const Allocation* a = find_allocation(p);
  if (!a || !a->live || (char*)p < a->base || ((char*)p >= a->base + a->size && p != a->base)) return 0;
  if (size) *size = a->size;
  return (uint64_t)a->base;
}

extern "C" int emu_is_device(const void* p, uint64_t size) {
  const Allocation* a = find_allocation(p);
  return a && a->live && (char*)p >= a->base && (char*)p + size <= a->base + a->size;
}

extern "C" uint64_t emu_touched(Touch* out, uint64_t* bases, uint64_t most) {
  for (uint64_t i = 0; i < touched.size() && i < most; ++i) {
    out[i] = allocations[touched[i]].touch;
    bases[i] = (uint64_t)allocations[touched[i]].base;
  }
  return touched.size();
}

}  // namespace emu
