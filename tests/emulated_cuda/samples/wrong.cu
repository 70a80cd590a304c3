// Kernels with one mistake each. A comment "<- KIND" marks the line that the checker must name, and the kind of its message.
// All are launched with blocks of 64 threads; x and y are arrays of n floats; a block has 64 floats of dynamic shared memory.
#include <cuda_fp16.h>
#include <cuda_pipeline.h>

#define KERNEL(NAME) extern "C" __global__ void NAME(float* x, const float* y, int n)
#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)

// ---- bounds

KERNEL(write_past_end) {
  const int i = INDEX;
  if (i <= n) x[i] = 1.f;  // <- OUT OF BOUNDS
}

KERNEL(read_before_start) {
  const int i = INDEX;
  if (i < n) x[i] = y[i - 1];  // <- OUT OF BOUNDS
}

KERNEL(pack_over_tail) {
  for (int i = 4 * INDEX; i < n; i += 4 * gridDim.x * blockDim.x)
    *(float4*)(x + i) = make_float4(0, 0, 0, 0);  // <- OUT OF BOUNDS
}

KERNEL(far_away) {
  x[(long long)n << 30] = 1.f;  // <- OUT OF BOUNDS | ILLEGAL ADDRESS
}

KERNEL(null_pointer) {
  x = nullptr;
  x[INDEX] = 1.f;  // <- ILLEGAL ADDRESS
}

KERNEL(static_overrun) {
  __shared__ float room[32];
  float* p = room;
  if (threadIdx.x <= 32) p[threadIdx.x] = 1.f;  // <- OUT OF BOUNDS
}

KERNEL(inner_index) {
  __shared__ float tile[4][16];
  tile[threadIdx.x / 17][threadIdx.x % 17] = 1.f;  // <- OUT OF BOUNDS
}

KERNEL(dynamic_overrun) {
  extern __shared__ float room[];
  room[threadIdx.x + 1] = 1.f;  // <- OUT OF BOUNDS
}

KERNEL(local_of_another) {
  __shared__ float* theirs;
  float mine[4] = {1, 2, 3, 4};
  if (threadIdx.x == 0) theirs = mine;
  __syncthreads();
  if (threadIdx.x == 1) x[0] = theirs[1];  // <- ILLEGAL ADDRESS
  __syncthreads();
}

// ---- races

KERNEL(no_barrier_before_read) {
  __shared__ float room[64];
  room[threadIdx.x] = y[threadIdx.x];
  x[threadIdx.x] = room[threadIdx.x ^ 63];  // <- RACE | UNINITIALISED shared memory
}

KERNEL(no_barrier_before_write) {
  __shared__ float room[64];
  room[threadIdx.x] = 1.f;
  __syncthreads();
  const float v = room[threadIdx.x ^ 63];  // <- RACE
  room[threadIdx.x] = v + 1.f;  // <- RACE
}

KERNEL(no_warp_barrier) {
  __shared__ float room[64];
  room[threadIdx.x] = 1.f;
  __syncthreads();
  room[threadIdx.x] = 2.f;  // <- RACE
  x[threadIdx.x] = room[threadIdx.x ^ 1];  // <- RACE
}

KERNEL(shuffle_is_no_barrier) {
  __shared__ float room[64];
  room[threadIdx.x] = 0.f;
  __syncthreads();
  room[threadIdx.x] = 1.f;
  const float v = __shfl_xor_sync(0xffffffffu, 1.f, 1);
  x[threadIdx.x] = v + room[threadIdx.x ^ 1];  // <- RACE
}

KERNEL(all_write_one) {
  x[0] = 1.f;  // <- RACE
}

KERNEL(lost_update_between_blocks) {
  if (threadIdx.x == 0) x[0] += 1.f;  // <- RACE
}

KERNEL(blocks_overlap) {
  const int i = blockIdx.x * 63 + threadIdx.x;
  if (i < n) x[i] = 1.f;  // <- RACE
}

KERNEL(reader_of_another_block) {
  if (blockIdx.x == 0) x[threadIdx.x] = 1.f;  // <- RACE
  else if (threadIdx.x < 32) x[64 + threadIdx.x] = x[threadIdx.x];  // <- RACE
}

KERNEL(plain_beside_atomic) {
  __shared__ int count;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  if (threadIdx.x & 1) atomicAdd(&count, 1);  // <- RACE
  else count = 5;  // <- RACE
}

KERNEL(halves_of_a_word) {
  __half* h = (__half*)x;
  h[threadIdx.x / 2] = __float2half(1.f);  // <- RACE
}

KERNEL(no_fence) {  // the last block adds up what the others left
  __shared__ bool last;
  unsigned* count = (unsigned*)x;
  if (threadIdx.x == 0) {
    x[1 + blockIdx.x] = 1.f;
    last = atomicAdd(count, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x < gridDim.x) x[16 + threadIdx.x] = x[1 + threadIdx.x];  // <- RACE
}

KERNEL(no_barrier_before_count) {  // thread 0 tells of what the other warp may not have written
  __shared__ bool last;
  unsigned* count = (unsigned*)x;
  if (threadIdx.x == 63) x[1 + blockIdx.x] = 1.f;
  __threadfence();
  if (threadIdx.x == 0) last = atomicAdd(count, 1u) == gridDim.x - 1;
  __syncthreads();
  if (last && threadIdx.x < gridDim.x) x[16 + threadIdx.x] = x[1 + threadIdx.x];  // <- RACE
}

// ---- what nobody wrote

KERNEL(uninitialised_static) {
  __shared__ float room[64];
  if (threadIdx.x < 63) room[threadIdx.x] = 1.f;
  __syncthreads();
  x[threadIdx.x] = room[threadIdx.x];  // <- UNINITIALISED shared memory
}

KERNEL(uninitialised_dynamic) {
  extern __shared__ float room[];
  if (threadIdx.x == 3) x[0] = room[3];  // <- UNINITIALISED shared memory
}

KERNEL(copy_not_waited_for) {
  __shared__ __align__(16) float room[64];
  __pipeline_memcpy_async(&room[threadIdx.x], &y[threadIdx.x], 4);
  __pipeline_commit();
  x[INDEX % n] = room[threadIdx.x];  // <- UNINITIALISED shared memory
}

// ---- divergence

KERNEL(barrier_in_branch) {
  if (threadIdx.x < 32) __syncthreads();  // <- DIVERGENT BARRIER
}

KERNEL(two_barriers) {
  if (threadIdx.x < 32) __syncthreads();  // <- DIVERGENT BARRIER
  else __syncthreads();  // <- DIVERGENT BARRIER
}

KERNEL(return_before_barrier) {
  if (INDEX >= n) return;
  __syncthreads();  // <- DIVERGENT BARRIER
}

KERNEL(two_collectives) {
  float v = threadIdx.x;
  if (threadIdx.x & 1) v = __shfl_xor_sync(0xffffffffu, v, 2);  // <- DIVERGENT WARP
  else v = __shfl_xor_sync(0xffffffffu, v, 4);  // <- DIVERGENT WARP
  x[threadIdx.x] = v;
}

KERNEL(not_in_own_mask) {
  x[threadIdx.x] = __shfl_sync(0x0000ffffu, 1.f, 0);  // <- DIVERGENT WARP
}

KERNEL(collective_in_branch) {
  if ((threadIdx.x & 31) < 16) x[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.f, 1);  // <- DEADLOCK
  __syncthreads();  // <- DEADLOCK
}

// ---- the rest

KERNEL(misaligned) {
  x[threadIdx.x] = ((const float4*)(y + 1))->x;  // <- MISALIGNED access
}

KERNEL(index_overflow) {
  const int i = (int)blockIdx.x * 1100000000 + (int)blockIdx.x * 1100000000;  // <- OVERFLOW
  if (i < n && i > 0) x[i] = 1.f;
}

KERNEL(shift_too_far) {
  x[0] = 1 << (n & 127);  // <- OVERFLOW
}

KERNEL(divide_by_zero) {
  x[0] = n / (int)(blockDim.x - 64);  // <- OVERFLOW
}

KERNEL(endless) {
  while (n > 0) n = n > 1 ? n - 1 : 2;  // <- TIMEOUT
  x[0] = n;
}

KERNEL(trap) {
  if (threadIdx.x == 5) __trap();  // <- TRAP
}

KERNEL(failed_assertion) {
  assert(threadIdx.x < 5);  // <- ASSERTION
}
