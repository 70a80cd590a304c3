// Sums along one dimension, in an order that depends on the shape alone: not on the grid, nor on the device.
//
// x is (outer, n, inner), the sum is (outer, inner). Elements of the last dimension are neighbours; those of n lie `apart`, those
// of outer `far` from each other. A long sum is cut into chunks: the first launch writes the sums of chunks in the type to compute
// in, (outer, chunks, inner), and others, over those, the result, divided by `by`. inner = 1 has a kernel of its own.
#include "common.cuh"

// out[o][chunk][i] = the sum of x[o][j][i] over the j of the chunk. Blocks are 32 x 8 threads: 32 columns, or packs of them, side
// by side, and 8 sums of each.
template <class T, class U>
__global__ void __launch_bounds__(256)
column_sums(const T* __restrict__ x, U* __restrict__ out, index_t outer, index_t n, index_t inner, index_t far, index_t apart, index_t chunk,
            acc_t<U> by) {
  typedef acc_t<U> A;
  const int size = Pack<T>::size;
  __shared__ A part[size][8][33];
  const bool packs = inner % size == 0 && apart % size == 0 && far % size == 0 && aligned(x);
  const int step = packs ? size : 1, width = 32 * step, thread = threadIdx.y * 32 + threadIdx.x;
  const index_t tiles = (inner + width - 1) / width, chunks = (n + chunk - 1) / chunk, items = outer * chunks * tiles;
  for (index_t item = blockIdx.x; item < items; item += gridDim.x) {
    const index_t first = item % tiles * width, i = first + threadIdx.x * step, k = item / tiles % chunks, o = item / tiles / chunks;
    const index_t end = (k + 1) * chunk < n ? (k + 1) * chunk : n;
    const T* from = x + o * far + i;
    A sum[size] = {};
    if (i < inner) {
      if (packs) {
        for (index_t j = k * chunk + threadIdx.y; j < end; j += 8) {
          const Pack<T> v = pack_at(from, j * apart);
#pragma unroll
          for (int e = 0; e < size; ++e) sum[e] += load(v.item[e]);
        }
      } else {
        for (index_t j = k * chunk + threadIdx.y; j < end; j += 8) sum[0] += load(from[j * apart]);
      }
    }
#pragma unroll
    for (int e = 0; e < size; ++e)
      if (e < step) part[e][threadIdx.y][threadIdx.x] = sum[e];
    __syncthreads();
    if (thread < width && first + thread < inner) {
      A total = A(0);
#pragma unroll
      for (int w = 0; w < 8; ++w) total += part[thread % step][w][thread / step];
      out[(o * chunks + k) * inner + first + thread] = store<U>(total / by);
    }
    __syncthreads();  // the parts are written again for the next item
  }
}

// out[o][chunk] = the sum of x[o][j] over the j of the chunk, by a power of two of threads: some lanes of a warp, or the block
template <class T, class U>
__global__ void __launch_bounds__(256)
row_sums(const T* __restrict__ x, U* __restrict__ out, index_t outer, index_t n, index_t far, index_t chunk, acc_t<U> by, int threads) {
  typedef acc_t<U> A;
  __shared__ A room[32];
  const int thread = threadIdx.x % threads, group = threadIdx.x / threads, of_warp = threads < 32 ? (threadIdx.x & 31) / threads : 0;
  const index_t chunks = (n + chunk - 1) / chunk, items = outer * chunks, groups = blockDim.x / threads;
  for (index_t base = blockIdx.x * groups + group - of_warp; base < items; base += gridDim.x * groups) {  // warps stay together
    const index_t item = base + of_warp, o = item / chunks, begin = item % chunks * chunk, end = begin + chunk < n ? begin + chunk : n;
    A sum = A(0);
    if (item < items) read_row(end - begin, thread, threads, [&](index_t j, A v) { sum += v; }, x + o * far + begin);
    sum = threads <= 32 ? lanes_reduce(sum, threads, Sum()) : block_reduce(sum, A(0), room, Sum());
    if (thread == 0 && item < items) out[item] = store<U>(sum / by);
  }
}
