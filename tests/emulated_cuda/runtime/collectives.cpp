// Barriers of a block and of the grid, and meetings of a warp's lanes.
#include "state.h"

namespace emu {

static bool same_site(Site a, Site b) { return a.line == b.line && (a.file == b.file || !strcmp(a.file, b.file)); }

// ---- barriers

static int barrier_answer(const Block* b) {
  switch (b->barrier) {
    case BARRIER_COUNT: return b->sum;
    case BARRIER_AND: return b->sum == (int)b->arrived;
    case BARRIER_OR: return b->sum > 0;
    default: return 0;
  }
}

static void refuse_divergence(const Block* b) {
  const Fiber* first = nullptr;
  for (const Fiber& f : b->fibers) {
    if (f.status != AT_BARRIER) continue;
    if (!first) first = &f;
    if (!same_site(f.site, first->site))
      fail_without_thread("DIVERGENT BARRIER: %s is at the barrier of %s:%d, but %s at that of line %d", name_of(first).c_str(),
                          first->site.file, first->site.line, name_of(&f).c_str(), f.site.line);
  }
  for (const Fiber& f : b->fibers)
    if (f.status == EXITED)
      fail_without_thread("DIVERGENT BARRIER: %s is at the barrier of %s:%d, but %s has exited", name_of(first).c_str(), first->site.file,
                          first->site.line, name_of(&f).c_str());
}

static void begin_epoch(Block* b) {
  ++b->epoch;
  for (Fiber& f : b->fibers) {
    memset(f.seen, 0, sizeof f.seen);
    f.seen[f.number & 31] = 1;
  }
}

static void open_barrier(Block* b) {
  if (launch.options.strict) refuse_divergence(b);
  const int answer = barrier_answer(b);
  b->arrived = 0;
  b->sum = 0;
  begin_epoch(b);
  for (Fiber& f : b->fibers)
    if (f.status == AT_BARRIER) {
      f.answer = answer;
      make_runnable(&f);
    }
}

static void grid_barrier(Site site) {
  if (launch.resident.size() < launch.blocks)
    fail("%s:%d: grid barrier, but %zu of %u blocks run at the same time (not a cooperative launch?)", site.file, site.line,
         launch.resident.size(), launch.blocks);
  current->site = site;
  if (++launch.at_grid_barrier < launch.blocks * launch.threads) return wait_as(AT_BARRIER);
  launch.at_grid_barrier = 0;
  for (Block* b : launch.resident)
    for (Block* other : launch.resident) b->known[other->number].all = other->epoch;
  current->status = AT_BARRIER;
  for (Block* b : launch.resident) {
    begin_epoch(b);
    for (Fiber& f : b->fibers) make_runnable(&f);
  }
}

extern "C" int emu_barrier(BarrierKind kind, int predicate, Site site) {
  Fiber* me = current;
  Block* b = me->block;
  launch.result->pc = 0;  // the site says where
  if (kind == BARRIER_GRID) return grid_barrier(site), 0;
  if (b->arrived && b->barrier != kind)
    fail("DIVERGENT BARRIER: other threads of the block are at another kind of barrier than %s:%d", site.file, site.line);
  me->site = site;
  me->status = AT_BARRIER;
  b->barrier = kind;
  b->sum += predicate;
  if (++b->arrived == b->alive) open_barrier(b);
  else wait_as(AT_BARRIER);
  return me->answer;
}

// ---- meetings of a warp

static std::vector<Meeting*> spare_meetings;

// What each lane knows of the others' past becomes common to all that are here.
static void share_clocks(Fiber* lanes, uint32_t here) {
  uint32_t seen[32] = {};
  for (int i = 0; i < 32; ++i)
    if (here >> i & 1)
      for (int k = 0; k < 32; ++k)
        if (lanes[i].seen[k] > seen[k]) seen[k] = lanes[i].seen[k];
  for (int i = 0; i < 32; ++i)
    if (here >> i & 1) {
      memcpy(lanes[i].seen, seen, sizeof seen);
      ++lanes[i].seen[i];
    }
}

static void end_meeting(Warp* w, Meeting* m) {
  Fiber* lanes = &w->block->fibers[w->number * 32];
  m->not_left = __builtin_popcount(m->arrived);
  if (launch.options.checked && (m->kind == MEET_SYNC || !launch.options.strict)) share_clocks(lanes, m->arrived);
  for (int i = 0; i < 32; ++i)
    if (m->arrived >> i & 1) make_runnable(&lanes[i]);
  for (size_t i = 0; i < w->open.size(); ++i)
    if (w->open[i] == m) {
      w->open.erase(w->open.begin() + i);
      break;
    }
}

static Meeting* open_meeting(Warp* w, uint32_t mask, MeetingKind kind, Site site) {
  if (spare_meetings.empty()) spare_meetings.push_back(new Meeting);
  Meeting* m = spare_meetings.back();
  spare_meetings.pop_back();
  m->mask = mask;
  m->arrived = m->votes = 0;
  m->kind = kind;
  m->site = site;
  w->open.push_back(m);
  return m;
}

extern "C" const Meeting* emu_meet(uint32_t mask, MeetingKind kind, uint64_t value, int predicate, void (*together)(uint64_t*), Site site) {
  Fiber* me = current;
  Warp* w = me->warp;
  const int lane = me->number & 31;
  launch.result->pc = 0;
  if (!(mask >> lane & 1)) fail("DIVERGENT WARP: %s:%d: lane %d is not in the mask %08x that it gives", site.file, site.line, lane, mask);
  Meeting* m = nullptr;
  for (Meeting* open : w->open)
    if (open->mask == mask && open->kind == kind && !(open->arrived >> lane & 1)) m = open;
  if (!m) m = open_meeting(w, mask, kind, site);
  else if (launch.options.strict && !same_site(m->site, site))
    fail("DIVERGENT WARP: lanes %08x are at the collective of %s:%d, lane %d at that of line %d", m->arrived, m->site.file, m->site.line,
         lane, site.line);
  m->value[lane] = value;
  m->arrived |= 1u << lane;
  if (predicate) m->votes |= 1u << lane;
  me->meeting = m;
  if (m->arrived != (mask & w->active)) {
    wait_as(AT_MEETING);
    return m;
  }
  if (together) {
    if (m->arrived != mask) fail("DIVERGENT WARP: %s:%d needs lanes %08x, but some have exited", site.file, site.line, mask);
    launch.running = false;  // the tile's elements are on the stacks of other threads
    together(m->value);
    launch.running = true;
  }
  end_meeting(w, m);
  return m;
}

extern "C" void emu_leave(const Meeting* meeting) {
  Meeting* m = const_cast<Meeting*>(meeting);
  if (--m->not_left == 0) spare_meetings.push_back(m);
}

extern "C" uint32_t emu_active_lanes() { return current->warp->active; }
extern "C" void* emu_dynamic_shared() { return current->block->dynamic; }
extern "C" uint32_t emu_dynamic_shared_size() { return launch.shared_bytes; }

// ---- the end of a thread: those that wait need not wait for it

void thread_exits(Fiber* f) {
  Block* b = f->block;
  Warp* w = f->warp;
  f->status = EXITED;
  w->active &= ~(1u << (f->number & 31));
  if (--b->alive == 0) check_redzones();
  current = nullptr;
  if (b->alive && b->arrived == b->alive) open_barrier(b);
  for (size_t i = 0; i < w->open.size();) {
    Meeting* m = w->open[i];
    if (m->arrived == (m->mask & w->active)) {
      if (m->kind == MEET_TOGETHER)
        fail_without_thread("DIVERGENT WARP: %s:%d needs the whole warp, but %s has exited", m->site.file, m->site.line,
                            name_of(f).c_str());
      end_meeting(w, m);
      i = 0;
    } else {
      ++i;
    }
  }
}

}  // namespace emu
