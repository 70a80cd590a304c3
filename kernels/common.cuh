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

template <class T, int N = 16 / sizeof(T)> struct alignas(16) Pack {  // N: of another type's pack, where it is wider
  static const int size = N;
  T item[N];
};

template <class T> __device__ __forceinline__ bool aligned(const T* p) { return ((unsigned long long)p & 15) == 0; }

// Calls one(i) for the elements i of [0, n) that fall to this thread of so many, and many(i), i the first of a pack, where it can.
template <class T, class One, class Many>
__device__ __forceinline__ void for_each_of(index_t n, index_t thread, index_t threads, bool packs, One one, Many many) {
  const index_t whole = packs ? n / Pack<T>::size : 0;
  for (index_t k = thread; k < whole; k += threads) many(k * Pack<T>::size);
  for (index_t i = whole * Pack<T>::size + thread; i < n; i += threads) one(i);
}

// The same, of all threads of the grid.
template <class T, class One, class Many>
__device__ __forceinline__ void for_each(index_t n, bool packs, One one, Many many) {
  for_each_of<T>(n, blockIdx.x * (index_t)blockDim.x + threadIdx.x, (index_t)gridDim.x * blockDim.x, packs, one, many);
}

template <class T> struct Or {  // a row that may be null: then all of it is `value`
  const T* p;
  float value;
};

template <class T> __device__ __forceinline__ bool aligned(Or<T> x) { return aligned(x.p); }
template <class T> __device__ __forceinline__ acc_t<T> at(const T* x, index_t i) { return load(x[i]); }
template <class T> __device__ __forceinline__ acc_t<T> at(Or<T> x, index_t i) { return x.p ? load(x.p[i]) : acc_t<T>(x.value); }
// A pack in loads of 16 bytes, which a compiler that sees single items used might make of 2 or 4
template <class P> __device__ __forceinline__ P whole(const void* from) {
  union Both {
    uint4 raw[sizeof(P) / 16];
    P pack;
    __device__ __forceinline__ Both() {}
  } v;
#pragma unroll
  for (int k = 0; k < (int)(sizeof(P) / 16); ++k) v.raw[k] = __ldca((const uint4*)from + k);
  return v.pack;
}
template <class T> __device__ __forceinline__ Pack<T> pack_at(const T* x, index_t i) { return whole<Pack<T>>(x + i); }
template <class T> __device__ __forceinline__ Pack<T> pack_at(Or<T> x, index_t i) {
  if (x.p) return pack_at(x.p, i);
  Pack<T> v;
#pragma unroll
  for (int k = 0; k < Pack<T>::size; ++k) v.item[k] = store<T>(acc_t<T>(x.value));
  return v;
}

// Calls f(i, x[i], ...) for the i of [0, n) that fall to this thread of so many, 16 bytes at a time where all rows are aligned.
// Not of double, of which two are no gain and the second exp takes many registers.
template <class T, class F, class... Packs> __device__ __forceinline__ void each_item(index_t i, F& f, const Packs&... packs) {
#pragma unroll
  for (int k = 0; k < Pack<T>::size; ++k) f(i + k, load(packs.item[k])...);
}
template <class F, class T, class... Rows>
__device__ __forceinline__ void read_row(index_t n, int thread, int threads, F f, const T* x, Rows... more) {
  for_each_of<T>(
      n, thread, threads, Pack<T>::size > 2 && (aligned(x) && ... && aligned(more)), [&](index_t i) { f(i, at(x, i), at(more, i)...); },
      [&](index_t i) { each_item<T>(i, f, pack_at(x, i), pack_at(more, i)...); });
}

// y[i] = f(i, x[i], ...), likewise.
template <class F, class T, class... Rows>
__device__ __forceinline__ void map_row(T* y, index_t n, int thread, int threads, F f, Rows... rows) {
  for_each_of<T>(
      n, thread, threads, Pack<T>::size > 2 && (aligned(y) && ... && aligned(rows)), [&](index_t i) { y[i] = store<T>(f(i, at(rows, i)...)); },
      [&](index_t i) {
        Pack<T> v;
        int k = 0;
        auto put = [&](index_t, auto... of) { v.item[k] = store<T>(f(i + k, of...)), ++k; };
        each_item<T>(i, put, pack_at(rows, i)...);
        *(Pack<T>*)(y + i) = v;
      });
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

template <class A, class F> __device__ __forceinline__ A lanes_reduce(A v, int lanes, F f) {  // lanes: a power of two, up to 32
  for (int by = lanes >> 1; by > 0; by >>= 1) v = f(v, __shfl_xor_sync(FULL_WARP, v, by));
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
