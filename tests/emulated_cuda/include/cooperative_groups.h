// cooperative_groups: blocks, the grid, and tiles of at most a warp.
#pragma once
#include "emu.h"

namespace cooperative_groups {

struct thread_block {
  static void sync(EMU_SITE) { emu::emu_barrier(emu::BARRIER_PLAIN, 0, site); }
  static unsigned thread_rank() { return (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x; }
  static unsigned size() { return blockDim.x * blockDim.y * blockDim.z; }
  static unsigned num_threads() { return size(); }
  static dim3 group_index() { return blockIdx; }
  static dim3 thread_index() { return threadIdx; }
};
inline thread_block this_thread_block() { return {}; }

struct grid_group {
  static void sync(EMU_SITE) { emu::emu_barrier(emu::BARRIER_GRID, 0, site); }
  static unsigned long long size() { return (unsigned long long)gridDim.x * gridDim.y * gridDim.z * thread_block::size(); }
  static unsigned long long thread_rank() {
    const unsigned long long block = (blockIdx.z * gridDim.y + blockIdx.y) * (unsigned long long)gridDim.x + blockIdx.x;
    return block * thread_block::size() + thread_block::thread_rank();
  }
};
inline grid_group this_grid() { return {}; }

template <unsigned N> struct thread_block_tile {
  static_assert(N <= 32 && (N & (N - 1)) == 0, "tiles of at most a warp");
  static unsigned thread_rank() { return emu::lane() & (N - 1); }
  static constexpr unsigned size() { return N; }
  static constexpr unsigned num_threads() { return N; }
  static unsigned first_lane() { return emu::lane() & ~(N - 1); }
  static unsigned mask() { return (N == 32 ? ~0u : (1u << (N & 31)) - 1) << first_lane(); }
  static void sync(EMU_SITE) { __syncwarp(mask(), site); }
  template <class T> static T shfl(T v, int source, EMU_SITE) { return __shfl_sync(mask(), v, source, N, site); }
  template <class T> static T shfl_down(T v, unsigned by, EMU_SITE) { return __shfl_down_sync(mask(), v, by, N, site); }
  template <class T> static T shfl_up(T v, unsigned by, EMU_SITE) { return __shfl_up_sync(mask(), v, by, N, site); }
  template <class T> static T shfl_xor(T v, int bits, EMU_SITE) { return __shfl_xor_sync(mask(), v, bits, N, site); }
  static unsigned ballot(int p, EMU_SITE) { return __ballot_sync(mask(), p, site) >> first_lane(); }
  static bool any(int p, EMU_SITE) { return __any_sync(mask(), p, site); }
  static bool all(int p, EMU_SITE) { return __all_sync(mask(), p, site); }
};
template <unsigned N, class Group> thread_block_tile<N> tiled_partition(const Group&) { return {}; }

}  // namespace cooperative_groups
