// Copies that change the type of elements, and of rows that do not lie next to each other.
#include "common.cuh"

// As many elements as the wider of two types has in 16 bytes, of each of them.
template <class T, class U> struct Both {
  static const int size = 16 / (sizeof(T) > sizeof(U) ? sizeof(T) : sizeof(U));
  struct alignas(size * sizeof(T)) From { T item[size]; };
  struct alignas(size * sizeof(U)) To { U item[size]; };
  static __device__ __forceinline__ To converted(const From& from) {
    To to;
#pragma unroll
    for (int i = 0; i < size; ++i) to.item[i] = store<U>(load(from.item[i]));
    return to;
  }
};

template <class T, class U> __global__ void __launch_bounds__(256) cast(const T* __restrict__ x, U* __restrict__ y, index_t n) {
  typedef Both<T, U> B;
  const index_t thread = blockIdx.x * (index_t)blockDim.x + threadIdx.x, threads = (index_t)gridDim.x * blockDim.x;
  const index_t whole = aligned(x) && aligned(y) ? n / B::size : 0;
  for (index_t k = thread; k < whole; k += threads) ((typename B::To*)y)[k] = B::converted(((const typename B::From*)x)[k]);
  for (index_t i = whole * B::size + thread; i < n; i += threads) y[i] = store<U>(load(x[i]));
}

// y[row][c] = x[row * x_stride + c], y without gaps
template <class T, class U>
__global__ void __launch_bounds__(256) cast_rows(const T* __restrict__ x, U* __restrict__ y, index_t rows, index_t columns, index_t x_stride) {
  typedef Both<T, U> B;
  const int size = B::size;
  const bool packs = columns % size == 0 && x_stride % size == 0 && aligned(x) && aligned(y);
  const index_t step = packs ? size : 1, across = columns / step, threads = (index_t)gridDim.x * blockDim.x;
  for (index_t k = blockIdx.x * (index_t)blockDim.x + threadIdx.x; k < rows * across; k += threads) {
    const T* from = x + k / across * x_stride + k % across * step;
    U* to = y + k * step;
    if (packs) *(typename B::To*)to = B::converted(*(const typename B::From*)from);
    else *to = store<U>(load(*from));
  }
}
