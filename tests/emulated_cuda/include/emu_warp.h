// Collectives of a warp. A lane that reads from one that is not there gets a value of all ones, which is NaN for floats.
#pragma once

namespace emu {

template <class T> EMU_UNSEEN uint64_t to_bits(T v) {
  static_assert(sizeof(T) <= 8, "a lane passes at most 8 bytes");
  uint64_t bits = 0;
  memcpy(&bits, &v, sizeof(T));
  return bits;
}
template <class T> EMU_UNSEEN T from_bits(uint64_t bits) {
  T v;
  memcpy((void*)&v, &bits, sizeof(T));
  return v;
}

// `inside`: whether the source lies in the lane's own segment, else the lane keeps what it has
template <class T> EMU_UNSEEN T shuffle(unsigned mask, T v, int source, bool inside, Site site) {
  const Meeting* m = emu_meet(mask, MEET_SHUFFLE, to_bits(v), 0, nullptr, site);
  T result = v;
  if (inside) result = from_bits<T>(m->arrived >> (source & 31) & 1 ? m->value[source & 31] : ~0ull);
  emu_leave(m);
  return result;
}

EMU_UNSEEN inline unsigned ballot(unsigned mask, bool predicate, Site site) {
  const Meeting* m = emu_meet(mask, MEET_VOTE, 0, predicate, nullptr, site);
  const unsigned votes = m->votes;
  emu_leave(m);
  return votes;
}

template <class T> EMU_UNSEEN unsigned match_any(unsigned mask, T v, Site site) {
  const uint64_t mine = to_bits(v);
  const Meeting* m = emu_meet(mask, MEET_MATCH, mine, 0, nullptr, site);
  unsigned same = 0;
  for (int i = 0; i < 32; ++i)
    if ((m->arrived >> i & 1) && m->value[i] == mine) same |= 1u << i;
  emu_leave(m);
  return same;
}

template <class T, class F> EMU_UNSEEN T reduce(unsigned mask, T v, F f, Site site) {
  const Meeting* m = emu_meet(mask, MEET_SHUFFLE, to_bits(v), 0, nullptr, site);
  bool any = false;
  T result = v;
  for (int i = 0; i < 32; ++i)
    if (m->arrived >> i & 1) {
      result = any ? f(result, from_bits<T>(m->value[i])) : from_bits<T>(m->value[i]);
      any = true;
    }
  emu_leave(m);
  return result;
}

// Runs `f` once for the warp, on the addresses that its lanes brought.
EMU_UNSEEN inline void together(void* mine, void (*f)(uint64_t*), Site site) {
  emu_leave(emu_meet(~0u, MEET_TOGETHER, (uint64_t)mine, 0, f, site));
}

}  // namespace emu

__forceinline__ void __syncwarp(unsigned mask = 0xffffffffu, EMU_SITE) {
  emu::emu_leave(emu::emu_meet(mask, emu::MEET_SYNC, 0, 0, nullptr, site));
}

template <class T> __forceinline__ T __shfl_sync(unsigned mask, T v, int source, int width = 32, EMU_SITE) {
  return emu::shuffle(mask, v, (emu::lane() & ~(width - 1)) | (source & (width - 1)), true, site);
}
template <class T> __forceinline__ T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, EMU_SITE) {
  const int lane = emu::lane(), source = lane ^ bits;
  return emu::shuffle(mask, v, source, (source & ~(width - 1)) <= (lane & ~(width - 1)), site);
}
template <class T> __forceinline__ T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, EMU_SITE) {
  const int lane = emu::lane();
  return emu::shuffle(mask, v, lane + (int)by, (lane & (width - 1)) + (int)by < width, site);
}
template <class T> __forceinline__ T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, EMU_SITE) {
  const int lane = emu::lane();
  return emu::shuffle(mask, v, lane - (int)by, (lane & (width - 1)) >= (int)by, site);
}

__forceinline__ unsigned __ballot_sync(unsigned mask, int p, EMU_SITE) { return emu::ballot(mask, p != 0, site); }
__forceinline__ int __any_sync(unsigned mask, int p, EMU_SITE) { return emu::ballot(mask, p != 0, site) != 0; }
__forceinline__ int __all_sync(unsigned mask, int p, EMU_SITE) { return emu::ballot(mask, p == 0, site) == 0; }
__forceinline__ unsigned __activemask() { return emu::emu_active_lanes(); }
template <class T> __forceinline__ unsigned __match_any_sync(unsigned mask, T v, EMU_SITE) { return emu::match_any(mask, v, site); }

#define EMU_REDUCE(NAME, T, RESULT) \
  __forceinline__ T NAME(unsigned mask, T v, EMU_SITE) { return emu::reduce(mask, v, [](T a, T b) -> T { return RESULT; }, site); }
EMU_REDUCE(__reduce_add_sync, unsigned, a + b)
EMU_REDUCE(__reduce_add_sync, int, (int)((unsigned)a + (unsigned)b))
EMU_REDUCE(__reduce_max_sync, unsigned, a > b ? a : b)
EMU_REDUCE(__reduce_max_sync, int, a > b ? a : b)
EMU_REDUCE(__reduce_min_sync, unsigned, a < b ? a : b)
EMU_REDUCE(__reduce_min_sync, int, a < b ? a : b)
EMU_REDUCE(__reduce_and_sync, unsigned, a & b)
EMU_REDUCE(__reduce_or_sync, unsigned, a | b)
EMU_REDUCE(__reduce_xor_sync, unsigned, a ^ b)
#undef EMU_REDUCE
