// What all kernels share: element types and the type they are computed in, 16-byte packs, reductions of a warp and of a block.
//
// Kernels here hold to four rules.
// 1. Arithmetic in float32 (float64 for float64), whatever the elements are; one rounding, at the store.
// 2. A result does not depend on the grid: each sum has a fixed order, and there are no float atomics.
// 3. Grid-stride loops with 64-bit indices: any size, any grid.
// 4. Packs of 16 bytes where the pointers allow it; the tail, and rows that are not aligned, element by element.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

typedef __half half_t;
typedef __nv_bfloat16 bfloat_t;
typedef long long index_t;

#ifndef INFINITY  // NVRTC has no <math.h>
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fc00000)
#endif
#define FULL_WARP 0xffffffffu

// ---- the type to compute in

template <class T> struct Computed { typedef float type; };
template <> struct Computed<double> { typedef double type; };
template <class T> using acc_t = typename Computed<T>::type;

__device__ __forceinline__ float load(float v) { return v; }
__device__ __forceinline__ double load(double v) { return v; }
__device__ __forceinline__ float load(half_t v) { return __half2float(v); }
__device__ __forceinline__ float load(bfloat_t v) { return __bfloat162float(v); }

template <class T, class A> __device__ __forceinline__ T store(A v) { return T(v); }
template <> __device__ __forceinline__ half_t store<half_t, float>(float v) { return __float2half_rn(v); }
template <> __device__ __forceinline__ bfloat_t store<bfloat_t, float>(float v) { return __float2bfloat16_rn(v); }

// ---- 16 bytes at a time

template <class T> struct alignas(16) Pack {
  static const int size = 16 / sizeof(T);
  T item[16 / sizeof(T)];
};

template <class T> __device__ __forceinline__ bool aligned(const T* p) { return ((unsigned long long)p & 15) == 0; }

// Calls f(i) for the elements i of [0, n) that fall to this thread, and many(i) with i at the first of a pack where it can.
template <class T, class One, class Many>
__device__ __forceinline__ void for_each(index_t n, bool packs, One one, Many many) {
  const index_t thread = blockIdx.x * (index_t)blockDim.x + threadIdx.x, threads = (index_t)gridDim.x * blockDim.x;
  const index_t whole = packs ? n / Pack<T>::size : 0;
  for (index_t k = thread; k < whole; k += threads) many(k * Pack<T>::size);
  for (index_t i = whole * Pack<T>::size + thread; i < n; i += threads) one(i);
}

// ---- reductions: every thread gets the result

struct Sum {
  template <class A> __device__ __forceinline__ A operator()(A a, A b) const { return a + b; }
};
struct Max {  // NaN wins, as in PyTorch
  template <class A> __device__ __forceinline__ A operator()(A a, A b) const { return a > b || a != a ? a : b; }
};

template <class A, class F> __device__ __forceinline__ A warp_reduce(A v, F f) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes >>= 1) v = f(v, __shfl_xor_sync(FULL_WARP, v, lanes));
  return v;
}

// The threads of a block, a whole number of warps and at most 1024. `room` holds 32 items of shared memory.
template <class A, class F> __device__ __forceinline__ A block_reduce(A v, A nothing, A* room, F f) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  v = warp_reduce(v, f);
  if (warps == 1) return v;
  __syncthreads();  // the room may still be read from an earlier call
  if (lane == 0) room[warp] = v;
  __syncthreads();
  return warp_reduce(lane < warps ? room[lane] : nothing, f);
}
