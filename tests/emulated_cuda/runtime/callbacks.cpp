// The functions that code compiled with -fsanitize=thread and -fsanitize=bounds,alignment,... calls. The sanitizers' own libraries
// are not linked: these are ours, and each access of a kernel arrives with its place in the code.
#include "state.h"

#define HERE __builtin_return_address(0)

namespace emu {

extern "C" {

void emu_access(const void* address, unsigned size, Access kind, void* pc) {
  if (launch.options.checked) check_access(address, size, kind, pc);
}

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}

#define ACCESSES(SIZE)                                                                       \
  void __tsan_read##SIZE(void* p) { check_access(p, SIZE, READ, HERE); }                     \
  void __tsan_write##SIZE(void* p) { check_access(p, SIZE, WRITE, HERE); }                   \
  void __tsan_unaligned_read##SIZE(void* p) { check_access(p, SIZE, READ, HERE); }           \
  void __tsan_unaligned_write##SIZE(void* p) { check_access(p, SIZE, WRITE, HERE); }         \
  void __tsan_volatile_read##SIZE(void* p) {                                                 \
    emu_yield();                                                                             \
    check_access(p, SIZE, VOLATILE_READ, HERE);                                              \
  }                                                                                          \
  void __tsan_volatile_write##SIZE(void* p) { check_access(p, SIZE, VOLATILE_WRITE, HERE); }
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(void* p, unsigned long size) { check_access(p, size, READ, HERE); }
void __tsan_write_range(void* p, unsigned long size) { check_access(p, size, WRITE, HERE); }
void* __tsan_memcpy(void* to, const void* from, size_t size) {
  check_access(from, size, READ, HERE);
  check_access(to, size, WRITE, HERE);
  return memcpy(to, from, size);
}
void* __tsan_memset(void* to, int value, size_t size) {
  check_access(to, size, WRITE, HERE);
  return memset(to, value, size);
}

// ---- undefined behaviour

static void undefined(void* pc, const char* what) {
  if (!launch.running || !current) return;
  launch.result->pc = (uint64_t)pc - launch.module->code_low;
  fail("%s", what);
}

void __ubsan_handle_out_of_bounds(void*, uintptr_t index) {
  char text[80];
  snprintf(text, sizeof text, "OUT OF BOUNDS: index %ld of an array", (long)index);
  undefined(HERE, text);
}
void __ubsan_handle_type_mismatch_v1(void*, uintptr_t p) { undefined(HERE, p ? "MISALIGNED access" : "ILLEGAL ADDRESS: null pointer"); }
void __ubsan_handle_shift_out_of_bounds(void*, uintptr_t, uintptr_t) { undefined(HERE, "OVERFLOW: shift by more than the type has"); }
void __ubsan_handle_divrem_overflow(void*, uintptr_t, uintptr_t) { undefined(HERE, "OVERFLOW: division by zero, or by -1"); }
void __ubsan_handle_add_overflow(void*, uintptr_t, uintptr_t) { undefined(HERE, "OVERFLOW: signed +"); }
void __ubsan_handle_sub_overflow(void*, uintptr_t, uintptr_t) { undefined(HERE, "OVERFLOW: signed -"); }
void __ubsan_handle_mul_overflow(void*, uintptr_t, uintptr_t) { undefined(HERE, "OVERFLOW: signed *"); }
void __ubsan_handle_negate_overflow(void*, uintptr_t) { undefined(HERE, "OVERFLOW: signed negation"); }

// ---- copies to shared memory in the background

void emu_async_copy(void* to, const void* from, unsigned size, unsigned zeros) {
  if (launch.options.checked) check_access(from, size, READ, HERE);
  current->copies.push_back({(char*)to, (char*)from, size, zeros, current->copy_group});
}

void emu_async_commit() { ++current->copy_group; }

void emu_async_wait(unsigned newest) {
  std::vector<AsyncCopy>& copies = current->copies;
  size_t kept = 0;
  for (const AsyncCopy c : copies) {
    if (c.group + newest >= current->copy_group) {
      copies[kept++] = c;
      continue;
    }
    if (launch.options.checked) check_access(c.to, c.size + c.zeros, WRITE, HERE);
    memcpy(c.to, c.from, c.size);
    memset(c.to + c.size, 0, c.zeros);
  }
  copies.resize(kept);
}
}

}  // namespace emu
