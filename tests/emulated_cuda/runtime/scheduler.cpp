// Threads of a kernel are fibers: stacks of their own, switched by a few instructions, all on one thread of the system.
#include <sys/mman.h>

#include "state.h"

namespace emu {

extern "C" Position emu_position;
Position emu_position;
Fiber* current;
char *stacks, *dynamic_areas;
uint64_t stack_count;

static uint32_t area_count;
static Block* on_stage;  // the block whose static shared memory is in place
static std::deque<Fiber*> queue;
static void* launcher_stack;
static uint64_t random_state;

void seed_random(uint64_t seed) {
  random_state = seed * 0x9E3779B97F4A7C15ull + 0x1234567;
  if (!random_state) random_state = 1;
  for (int i = 0; i < 8; ++i) random_number();
}

uint32_t random_number() {  // Marsaglia's xorshift
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)(random_state >> 32);
}

// ---- switching: saves the registers that a call must keep on the stack, and the stack pointer in *save

extern "C" void emu_switch(void** save, void* load);
#if defined(__x86_64__)
static const int RETURN_SLOT = 6, FRAME_SLOTS = 8;  // one more, to keep the stack aligned
asm(R"(.text
.globl emu_switch
emu_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
)");
#elif defined(__aarch64__)
static const int RETURN_SLOT = 11, FRAME_SLOTS = 20;
asm(R"(.text
.globl emu_switch
emu_switch:
  sub sp, sp, #160
  stp x19, x20, [sp]; stp x21, x22, [sp, #16]; stp x23, x24, [sp, #32]; stp x25, x26, [sp, #48]; stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]; stp d10, d11, [sp, #112]; stp d12, d13, [sp, #128]; stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]; ldp x21, x22, [sp, #16]; ldp x23, x24, [sp, #32]; ldp x25, x26, [sp, #48]; ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]; ldp d10, d11, [sp, #112]; ldp d12, d13, [sp, #128]; ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");
#else
#error "no fiber switch for this processor"
#endif

// ---- the queue of threads that can run

void make_runnable(Fiber* f) {
  f->status = RUNNABLE;
  if (f != current) queue.push_back(f);
}

void clear_queue() { queue.clear(), on_stage = nullptr; }

static Fiber* next_fiber() {
  if (queue.empty()) return nullptr;
  if (launch.options.order == ASCENDING) {
    Fiber* f = queue.front();
    queue.pop_front();
    return f;
  }
  if (launch.options.order == RANDOM) std::swap(queue[random_number() % queue.size()], queue.back());
  Fiber* f = queue.back();
  queue.pop_back();
  return f;
}

// Static shared memory is thread-local storage, of which there is one: blocks that run at the same time take turns in it.
static void put_on_stage(Block* b) {
  const size_t size = launch.static_high - launch.static_low;
  if (size) {
    if (on_stage && launch.resident.size() > 1) on_stage->saved_static.assign(launch.static_low, launch.static_high);
    if (b->saved_static.size() == size) memcpy(launch.static_low, b->saved_static.data(), size);
    else memset(launch.static_low, POISON, size);
  }
  on_stage = b;
}

static void enter(Fiber* f) {
  current = f;
  emu_position.thread = f->index;
  emu_position.block = f->block->index;
  if (on_stage != f->block) put_on_stage(f->block);
  ++launch.result->switches;
}

void wait_as(Status status) {
  Fiber* me = current;
  me->status = status;
  Fiber* next = next_fiber();
  if (!next) report_deadlock();
  enter(next);
  emu_switch(&me->stack, next->stack);
}

void let_others_run() {
  Fiber *me = current, *next = next_fiber();
  if (!next) return;
  if (launch.options.order == DESCENDING) queue.push_front(me);  // where it is taken last
  else queue.push_back(me);
  enter(next);
  emu_switch(&me->stack, next->stack);
}

extern "C" void emu_yield() {
  static uint32_t calls;
  if ((++calls & 63) == 0) let_others_run();
}

static void fiber_main() {
  launch.entry->call(launch.entry->function, launch.arguments);
  Fiber* me = current;
  thread_exits(me);
  current = me;
  Fiber* next = next_fiber();
  if (next) enter(next);
  emu_switch(&me->stack, next ? next->stack : launcher_stack);
  __builtin_trap();  // nobody comes back to a thread that has exited
}

void run_fibers() {
  on_stage = nullptr;
  Fiber* first = next_fiber();
  enter(first);
  emu_switch(&launcher_stack, first->stack);
}

// ---- stacks and dynamic shared memory, with a page behind each that nobody may touch

bool in_stacks(const void* p) { return stacks && (uint64_t)((char*)p - stacks) < stack_count * (STACK + PAGE); }
bool in_dynamic_areas(const void* p) { return dynamic_areas && (uint64_t)((char*)p - dynamic_areas) < area_count * (DYNAMIC + PAGE); }

static char* reserve_guarded(uint64_t count, uint64_t size) {
  const uint64_t most_guards = 8192;  // each splits a mapping, and the system allows some 65,000
  char* p = (char*)reserve(count * (size + PAGE), PROT_READ | PROT_WRITE);
  for (uint64_t i = 0; i < count && i < most_guards; ++i) mprotect(p + i * (size + PAGE) + size, PAGE, PROT_NONE);
  return p;
}

void prepare_areas() {
  const uint32_t resident = (uint32_t)launch.options.resident;
  if (area_count < resident) {
    if (dynamic_areas) munmap(dynamic_areas, area_count * (DYNAMIC + PAGE));
    dynamic_areas = reserve_guarded(resident, DYNAMIC);
    area_count = resident;
  }
  const uint64_t needed = (uint64_t)resident * (launch.threads > 1024 ? launch.threads : 1024);
  if (stack_count < needed) {
    if (stacks) munmap(stacks, stack_count * (STACK + PAGE));
    stacks = reserve_guarded(needed, STACK);
    stack_count = needed;
  }
}

static void start_fiber(Fiber& f, Block* b, uint32_t number) {
  const dim3 size = launch.block;
  f.number = number;
  f.global = b->number * launch.threads + number;
  f.index = dim3(number % size.x, number / size.x % size.y, number / size.x / size.y);
  f.block = b;
  f.warp = &b->warps[number / 32];
  f.meeting = nullptr;
  f.fence = -1;
  f.copies.clear();
  f.copy_group = 0;
  memset(f.seen, 0, sizeof f.seen);
  f.seen[number & 31] = 1;
  char* top = stacks + ((uint64_t)b->slot * launch.threads + number) * (STACK + PAGE) + STACK - 64;
  void** frame = (void**)top - FRAME_SLOTS;
  memset(frame, 0, FRAME_SLOTS * sizeof(void*));
  frame[RETURN_SLOT] = (void*)fiber_main;
  f.stack = frame;
  make_runnable(&f);
}

void start_block(Block* b, uint32_t number, uint32_t slot) {
  static uint32_t era;
  const dim3 grid = launch.grid;
  b->number = number;
  b->slot = slot;
  b->index = dim3(number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y);
  b->alive = launch.threads;
  b->arrived = 0;
  b->sum = 0;
  b->epoch = 0;
  b->era = ++era;
  b->fenced = b->fenced_before = -1;
  b->known.clear();
  b->atomics.clear();
  b->saved_static.clear();
  if (!b->words && launch.options.checked) {
    b->words = (Cell*)reserve((DYNAMIC + STATIC) / 4 * sizeof(Cell), PROT_READ | PROT_WRITE);
    b->bytes = (Cell*)reserve((DYNAMIC + STATIC) * sizeof(Cell), PROT_READ | PROT_WRITE);
  }
  const uint64_t bytes = (launch.shared_bytes + 127) & ~127u;
  b->dynamic = dynamic_areas + slot * (DYNAMIC + PAGE) + DYNAMIC - bytes;
  memset(b->dynamic, POISON, bytes);
  b->warps.resize((launch.threads + 31) / 32);
  b->fibers.resize(launch.threads);
  for (uint32_t i = 0; i < b->warps.size(); ++i) {
    const uint32_t threads = launch.threads - i * 32;
    b->warps[i].block = b;
    b->warps[i].number = i;
    b->warps[i].active = threads >= 32 ? ~0u : (1u << threads) - 1;
    b->warps[i].open.clear();
  }
  current = nullptr;
  for (uint32_t i = 0; i < launch.threads; ++i) start_fiber(b->fibers[i], b, i);
}

}  // namespace emu
