// A launch: its configuration, its blocks one after the other, and the ways in which it may fail.
#include <csignal>
#include <cstdarg>
#include <ctime>
#include <link.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "state.h"

namespace emu {

Launch launch;

// ---- failing: the message is written, and control goes back to emu_launch

std::string name_of(uint32_t thread) {
  const dim3 grid = launch.grid, block = launch.block;
  const uint32_t b = thread / launch.threads, t = thread % launch.threads;
  char text[160];
  snprintf(text, sizeof text, "block (%u,%u,%u) thread (%u,%u,%u)", b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y, t % block.x,
           t / block.x % block.y, t / block.x / block.y);
  return text;
}

std::string name_of(const Fiber* f) { return name_of(f->global); }

[[noreturn]] static void give_up(const char* format, va_list values) {
  char* text = launch.result->message;
  const size_t room = sizeof launch.result->message;
  vsnprintf(text, room, format, values);
  if (current) {
    const size_t length = strlen(text);
    snprintf(text + length, room - length, " [%s]", name_of(current).c_str());
  }
  siglongjmp(launch.failed, 1);
}

void fail(const char* format, ...) {
  va_list values;
  va_start(values, format);
  give_up(format, values);
}

void fail_without_thread(const char* format, ...) {
  current = nullptr;
  launch.result->pc = 0;
  va_list values;
  va_start(values, format);
  give_up(format, values);
}

extern "C" void emu_fail_at(Site site, const char* kind, const char* text) {
  launch.result->pc = 0;
  fail("%s: %s:%d: %s", kind, site.file, site.line, text);
}

void report_deadlock() {
  std::map<std::string, std::pair<int, std::string>> groups;  // threads that wait at the same place: how many, and the first
  int exited = 0;
  for (const Block* b : launch.resident)
    for (const Fiber& f : b->fibers) {
      exited += f.status == EXITED;
      char where[300];
      const Site site = f.status == AT_MEETING ? f.meeting->site : f.site;
      if (f.status == AT_BARRIER) snprintf(where, sizeof where, "at the barrier of %s:%d", site.file, site.line);
      else if (f.status != AT_MEETING) continue;
      else snprintf(where, sizeof where, "in the collective of %s:%d with mask %08x", site.file, site.line, f.meeting->mask);
      auto& group = groups[where];
      if (!group.first++) group.second = name_of(&f);
    }
  std::string text = "DEADLOCK: no thread can go on.";
  for (const auto& [where, group] : groups)
    text += " " + std::to_string(group.first) + " wait " + where + " (first: " + group.second + ");";
  fail_without_thread("%.3000s %d have exited", text.c_str(), exited);
}

// ---- signals: faults of unchecked kernels, and the time limit

static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGVTALRM};
static struct sigaction old_actions[4];
static pid_t launching_thread;

static void explain_fault(int signal, char* p) {
  if (signal == SIGVTALRM) fail("TIMEOUT: the kernel ran for more than %d ms (an endless loop?)", launch.options.timeout_ms);
  if (signal == SIGFPE) fail("OVERFLOW: integer division by zero");
  if (in_stacks(p)) fail("a thread's local arrays are larger than the %lu KiB of a stack", STACK >> 10);
  if (in_dynamic_areas(p))
    fail("OUT OF BOUNDS: byte %ld of dynamic shared memory, of which the launch gave %u", (long)(p - current->block->dynamic),
         launch.shared_bytes);
  const Allocation* a = find_allocation(p);
  if (!a && in_arena(p - PAGE)) a = find_allocation(p - PAGE);
  if (a && !a->live) fail("USE AFTER FREE: %p lies in a freed allocation of %lu bytes", p, a->size);
  if (a) fail("OUT OF BOUNDS: %p lies %ld bytes past the end of an allocation of %lu bytes", p, (long)(p - (a->base + a->size)), a->size);
  fail("ILLEGAL ADDRESS: %p is no device memory", p);
}

static void on_signal(int signal, siginfo_t* info, void* context) {
  if (!launch.running || syscall(SYS_gettid) != launching_thread) {  // not ours
    for (int i = 0; i < 4; ++i)
      if (SIGNALS[i] == signal) sigaction(signal, &old_actions[i], nullptr);
    return;
  }
#if defined(__x86_64__)
  const uint64_t pc = (uint64_t)((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP];
#else
  const uint64_t pc = (uint64_t)((ucontext_t*)context)->uc_mcontext.pc;
#endif
  const Module* m = launch.module;
  if (pc >= m->code_low && pc < m->code_high) launch.result->pc = pc - m->code_low + 1;  // as if it were a return address
  explain_fault(signal, (char*)info->si_addr);
}

static void set_timer(int milliseconds) {
  static thread_local timer_t timer;
  static thread_local pid_t owner;  // a fork does not inherit it
  if (owner != getpid()) {
    struct sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGVTALRM;
    event._sigev_un._tid = launching_thread;
    timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer);
    owner = getpid();
  }
  struct itimerspec spec = {};
  spec.it_value.tv_sec = milliseconds / 1000;
  spec.it_value.tv_nsec = milliseconds % 1000 * 1000000l;
  timer_settime(timer, 0, &spec, nullptr);
}

static stack_t old_signal_stack;

static void catch_signals() {
  static char room[65536];
  launching_thread = (pid_t)syscall(SYS_gettid);
  stack_t stack = {};
  stack.ss_sp = room;
  stack.ss_size = sizeof room;
  sigaltstack(&stack, &old_signal_stack);
  struct sigaction action = {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (int i = 0; i < 4; ++i) sigaction(SIGNALS[i], &action, &old_actions[i]);
  set_timer(launch.options.timeout_ms);
}

static void release_signals() {
  set_timer(0);
  for (int i = 0; i < 4; ++i) sigaction(SIGNALS[i], &old_actions[i], nullptr);
  sigaltstack(&old_signal_stack, nullptr);
}

// ---- modules

static int look_at_library(struct dl_phdr_info* info, size_t, void* data) {
  Module* m = (Module*)data;
  const uint64_t inside = (uint64_t)m->anchor;
  uint64_t low = ~0ull, high = 0, shared = 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& part = info->dlpi_phdr[i];
    const uint64_t start = info->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_TLS) shared = part.p_memsz;
    if (part.p_type != PT_LOAD) continue;
    if (start < low) low = start;
    if (start + part.p_memsz > high) high = start + part.p_memsz;
  }
  if (inside < low || inside >= high) return 0;
  m->code_low = low;
  m->code_high = high;
  m->shared_size = shared;
  return 1;
}

extern "C" void emu_module_open(Module* m) { dl_iterate_phdr(look_at_library, m); }

// ---- launching

static bool possible(char* message) {
  const dim3 g = launch.grid, b = launch.block;
  const uint64_t threads = (uint64_t)b.x * b.y * b.z;
  const char* why = nullptr;
  if (!threads || threads > 1024 || b.z > 64) why = "a block has 1 to 1024 threads, at most 64 of them along z";
  else if (!g.x || !g.y || !g.z || g.x > 2147483647u || g.y > 65535 || g.z > 65535)
    why = "a grid has 1 to 2147483647 x 65535 x 65535 blocks";
  else if (launch.shared_bytes > MOST_DYNAMIC) why = "no card has so much dynamic shared memory";
  else if (launch.module->shared_size > STATIC) why = "the kernels of this file have too many shared arrays to be emulated";
  if (!why) return true;
  snprintf(message, sizeof Result().message, "INVALID LAUNCH: grid (%u,%u,%u), block (%u,%u,%u), %u bytes of dynamic shared memory: %s",
           g.x, g.y, g.z, b.x, b.y, b.z, launch.shared_bytes, why);
  return false;
}

static std::vector<uint32_t> order_of_blocks() {
  std::vector<uint32_t> order(launch.blocks);
  for (uint32_t i = 0; i < launch.blocks; ++i) order[i] = launch.options.order == DESCENDING ? launch.blocks - 1 - i : i;
  if (launch.options.order == RANDOM)
    for (uint32_t i = launch.blocks - 1; i > 0; --i) std::swap(order[i], order[random_number() % (i + 1)]);
  return order;
}

static void run_blocks() {
  static std::vector<Block*> pool;
  static std::vector<uint32_t> order;  // static: a failure leaves by siglongjmp, which runs no destructors
  const uint32_t at_once = std::min((uint32_t)launch.options.resident, launch.blocks);
  while (pool.size() < at_once) pool.push_back(new Block());
  order = order_of_blocks();
  for (uint32_t first = 0; first < launch.blocks; first += at_once) {
    const uint32_t count = std::min(at_once, launch.blocks - first);
    launch.resident.assign(pool.begin(), pool.begin() + count);
    for (uint32_t i = 0; i < count; ++i) start_block(pool[i], order[first + i], i);
    run_fibers();
    for (uint32_t i = 0; i < count; ++i)
      if (pool[i]->alive) report_deadlock();
  }
}

extern "C" int emu_launch(const Entry* entry, Module* module, const Options* options, const uint32_t* grid, const uint32_t* block,
                          uint32_t shared_bytes, void** arguments, Result* result) {
  launch.entry = entry;
  launch.module = module;
  launch.options = *options;
  launch.options.resident = std::max(1, std::min(64, options->resident));
  launch.result = result;
  launch.arguments = arguments;
  launch.grid = dim3(grid[0], grid[1], grid[2]);
  launch.block = dim3(block[0], block[1], block[2]);
  launch.shared_bytes = shared_bytes;
  result->switches = result->accesses = result->pc = result->other_pc = 0;
  result->message[0] = 0;
  if (!possible(result->message)) return 2;
  launch.threads = block[0] * block[1] * block[2];
  launch.blocks = grid[0] * grid[1] * grid[2];
  ++launch.number;
  launch.at_grid_barrier = 0;
  launch.published.clear();
  module->shared_low = (uint64_t)module->anchor() - module->anchor_offset;
  launch.static_low = (char*)module->shared_low;
  launch.static_high = launch.static_low + module->shared_size;
  current = nullptr;
  clear_queue();
  forget_touches();
  clear_profile();
  seed_random(options->seed);
  prepare_areas();
  emu_position.block_dim = launch.block;
  emu_position.grid_dim = launch.grid;
  catch_signals();
  launch.running = true;
  const int failed = sigsetjmp(launch.failed, 1);
  if (!failed) run_blocks();
  launch.running = false;
  current = nullptr;
  release_signals();
  if (!failed) result->pc = 0;
  return failed;
}

}  // namespace emu
