// Sums along one dimension, in an order that depends on the shape alone: not on the grid, nor on the device.
//
// x is (outer, n, inner), the sum is (outer, inner). A long sum is cut into chunks: the first launch writes the sums of chunks in
// the type to compute in, (outer, chunks, inner), and a second one, over those, the result. inner = 1 has a kernel of its own.
#include "common.cuh"

// out[o][chunk][i] = the sum of x[o][j][i] over the j of the chunk. Blocks are 32 x 8 threads: 32 neighbours, 8 sums of each.
template <class T, class U>
__global__ void __launch_bounds__(256)
column_sums(const T* __restrict__ x, U* __restrict__ out, index_t outer, index_t n, index_t inner, index_t chunk, acc_t<U> scale) {
  typedef acc_t<U> A;
  __shared__ A part[8][33];
  const index_t tiles = (inner + 31) / 32, chunks = (n + chunk - 1) / chunk, items = outer * chunks * tiles;
  for (index_t item = blockIdx.x; item < items; item += gridDim.x) {
    const index_t i = item % tiles * 32 + threadIdx.x, k = item / tiles % chunks, o = item / tiles / chunks;
    const index_t end = (k + 1) * chunk < n ? (k + 1) * chunk : n;
    A sum = A(0);
    if (i < inner)
      for (index_t j = k * chunk + threadIdx.y; j < end; j += 8) sum += load(x[(o * n + j) * inner + i]);
    part[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && i < inner) {
#pragma unroll
      for (int w = 1; w < 8; ++w) sum += part[w][threadIdx.x];
      out[(o * chunks + k) * inner + i] = store<U>(sum * scale);
    }
    __syncthreads();  // the parts are written again for the next item
  }
}

// out[o][chunk] = the sum of x[o][j] over the j of the chunk, by a warp (threads = 32) or by a block (threads = blockDim.x)
template <class T, class U>
__global__ void __launch_bounds__(256)
row_sums(const T* __restrict__ x, U* __restrict__ out, index_t outer, index_t n, index_t chunk, acc_t<U> scale, int threads) {
  typedef acc_t<U> A;
  __shared__ A room[32];
  const bool warps = threads == 32;
  const int thread = warps ? threadIdx.x & 31 : threadIdx.x;
  const index_t chunks = (n + chunk - 1) / chunk, groups = warps ? gridDim.x * (index_t)(blockDim.x >> 5) : gridDim.x;
  const index_t first = warps ? blockIdx.x * (index_t)(blockDim.x >> 5) + (threadIdx.x >> 5) : blockIdx.x;
  for (index_t item = first; item < outer * chunks; item += groups) {
    const index_t o = item / chunks, begin = item % chunks * chunk, end = begin + chunk < n ? begin + chunk : n;
    A sum = A(0);
    for (index_t j = begin + thread; j < end; j += threads) sum += load(x[o * n + j]);
    sum = warps ? warp_reduce(sum, Sum()) : block_reduce(sum, A(0), room, Sum());
    if (thread == 0) out[item] = store<U>(sum * scale);
  }
}
