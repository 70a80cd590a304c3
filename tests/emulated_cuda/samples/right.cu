// Kernels that look dangerous and are right: the checker must be silent. Each says what is in x afterwards; x begins as zeros.
// All are launched with blocks of 64 threads; y holds y[i] = i; a block has 64 floats of dynamic shared memory.
#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_pipeline.h>
#include <mma.h>

#define KERNEL(NAME) extern "C" __global__ void NAME(float* x, const float* y, int n)
#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)

KERNEL(reverse_block) {  // x[i] = 63 - i
  extern __shared__ float room[];
  room[threadIdx.x] = y[threadIdx.x];
  __syncthreads();
  if (blockIdx.x == 0) x[threadIdx.x] = room[63 - threadIdx.x];
}

KERNEL(last_block) {  // x[1] = the number of blocks; each block leaves a one and the last adds them up
  __shared__ bool last;
  unsigned* count = (unsigned*)x;
  if (threadIdx.x == 63) x[32 + blockIdx.x] = 1.f;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicAdd(count, 1u) == gridDim.x - 1;
  __syncthreads();
  if (last && threadIdx.x == 5) {
    float sum = 0.f;
    for (unsigned b = 0; b < gridDim.x; ++b) sum += x[32 + b];
    x[1] = sum;
  }
  if (last && threadIdx.x == 0) *count = 0;
}

KERNEL(last_block_one_fence) {  // as before: the thread that counts makes the fence, after a barrier
  __shared__ bool last;
  unsigned* count = (unsigned*)x;
  if (threadIdx.x == 63) x[32 + blockIdx.x] = 1.f;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    last = atomicInc(count, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 5) {
    float sum = 0.f;
    for (unsigned b = 0; b < gridDim.x; ++b) sum += x[32 + b];
    x[1] = sum;
  }
}

KERNEL(spin_on_flag) {  // x[1] = 7, passed from block 1 to block 0, which waits for it
  volatile float* flag = x;
  if (threadIdx.x) return;
  if (blockIdx.x == 1) {
    x[2] = 7.f;
    __threadfence();
    *flag = 1.f;
  } else if (blockIdx.x == 0) {
    while (*flag == 0.f) __nanosleep(20);
    __threadfence();
    x[1] = x[2];
  }
}

KERNEL(histogram) {  // x[0..3] = 16 * the number of blocks
  __shared__ unsigned bins[4];
  if (threadIdx.x < 4) bins[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&bins[threadIdx.x & 3], 1u);
  __syncthreads();
  if (threadIdx.x < 4) atomicAdd(&x[threadIdx.x], (float)bins[threadIdx.x]);
}

KERNEL(warp_exchange) {  // x[i] = i ^ 1, through shared memory and a barrier of the warp
  __shared__ float room[64];
  for (int round = 0; round < 3; ++round) {
    room[threadIdx.x] = y[threadIdx.x];
    __syncwarp();
    if (blockIdx.x == 0) x[threadIdx.x] = room[threadIdx.x ^ 1];
    __syncwarp();
  }
}

KERNEL(scan) {  // x[i] = 0 + 1 + ... + i within the warp
  float v = y[threadIdx.x & 31];
  for (int by = 1; by < 32; by <<= 1) {
    const float u = __shfl_up_sync(0xffffffffu, v, by);
    if ((threadIdx.x & 31) >= by) v += u;
  }
  if (blockIdx.x == 0) x[threadIdx.x] = v;
}

KERNEL(exited_lanes) {  // x[0] = 20: lanes that have exited count for nothing
  if (blockIdx.x || threadIdx.x >= 20) return;
  const unsigned votes = __ballot_sync(0xffffffffu, 1);
  if (threadIdx.x == 0) x[0] = __popc(votes);
}

KERNEL(half_warps) {  // x[i] = 1 for the lower halves, 2 for the upper: they meet apart
  float v;
  if ((threadIdx.x & 31) < 16) v = __shfl_xor_sync(0x0000ffffu, 1.f, 3);
  else v = __shfl_xor_sync(0xffff0000u, 2.f, 5);
  if (blockIdx.x == 0) x[threadIdx.x] = v;
}

KERNEL(neighbouring_halves) {  // x, as halves, [i] = i: two threads share each word
  if (blockIdx.x == 0) ((__half*)x)[threadIdx.x] = __float2half(y[threadIdx.x]);
}

KERNEL(bytes_then_words) {  // x[i] = 1
  __shared__ unsigned char room[256];
  for (int k = 0; k < 4; ++k) room[threadIdx.x + 64 * k] = (threadIdx.x + 64 * k) & 3 ? 0 : 1;
  __syncthreads();
  if (blockIdx.x == 0) x[threadIdx.x] = (float)*(const unsigned*)(room + 4 * threadIdx.x);
}

KERNEL(counting_barriers) {  // x[0] = 21, x[1] = 1, x[2] = 0
  const int count = __syncthreads_count(threadIdx.x % 3 == 1);
  const int any = __syncthreads_or(threadIdx.x == 9), all = __syncthreads_and(threadIdx.x != 9);
  if (INDEX == 0) x[0] = count, x[1] = any, x[2] = all;
}

KERNEL(compare_and_swap) {  // x[0] = the number of threads
  unsigned* p = (unsigned*)x;
  unsigned seen = 0, expected;
  do {
    expected = seen;
    seen = atomicCAS(p, expected, __float_as_uint(__uint_as_float(expected) + 1.f));
  } while (seen != expected);
}

KERNEL(grid_barrier) {  // x[i] = i of the neighbouring block
  x[INDEX] = y[INDEX];
  cooperative_groups::this_grid().sync();
  const float v = x[(INDEX + 64) % (64 * gridDim.x)];
  cooperative_groups::this_grid().sync();
  x[INDEX] = v;
}

KERNEL(tiles) {  // x[i] = 28 (0 + ... + 7) in all
  auto tile = cooperative_groups::tiled_partition<8>(cooperative_groups::this_thread_block());
  float v = tile.thread_rank();
  for (int by = 4; by > 0; by >>= 1) v += tile.shfl_xor(v, by);
  if (blockIdx.x == 0) x[threadIdx.x] = v;
}

KERNEL(async_copies) {  // x[i] = i
  __shared__ __align__(16) float room[2][64];
  __pipeline_memcpy_async(&room[0][threadIdx.x], &y[threadIdx.x], 4);
  __pipeline_commit();
  __pipeline_memcpy_async(&room[1][threadIdx.x], &y[threadIdx.x], 4);
  __pipeline_commit();
  __pipeline_wait_prior(1);
  __syncthreads();
  const float v = room[0][threadIdx.x ^ 7];
  __pipeline_wait_prior(0);
  __syncthreads();
  if (blockIdx.x == 0) x[threadIdx.x ^ 7] = (v + room[1][threadIdx.x ^ 7]) / 2;
}

KERNEL(tensor_cores) {  // x, 16 by 16, holds the number of the row: a does, and b is the identity
  using namespace nvcuda;
  __shared__ __half a[256], b[256];
  for (int i = threadIdx.x; i < 256; i += 64) a[i] = __float2half(i / 16), b[i] = __float2half(i / 16 == i % 16);
  __syncthreads();
  if (blockIdx.x || threadIdx.x >= 32) return;
  wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> left;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::col_major> right;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
  wmma::fill_fragment(sum, 0.f);
  wmma::load_matrix_sync(left, a, 16);
  wmma::load_matrix_sync(right, b, 16);
  wmma::mma_sync(sum, left, right, sum);
  wmma::store_matrix_sync(x, sum, 16, wmma::mem_row_major);
}

__constant__ float factors[4] = {1, 2, 3, 4};
__device__ float offset_of_all = 10;

KERNEL(constants) {  // x[i] = 10 + factors[i % 4]
  if (blockIdx.x == 0) x[threadIdx.x] = offset_of_all + factors[threadIdx.x & 3];
}
