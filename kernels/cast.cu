// Copies that change the type of elements, and of rows that do not lie next to each other.
#include "common.cuh"

template <class T, class U> __global__ void __launch_bounds__(256) cast(const T* __restrict__ x, U* __restrict__ y, index_t n) {
  // packs of as many elements as the wider type has in 16 bytes
  const int size = sizeof(T) > sizeof(U) ? Pack<T>::size : Pack<U>::size;
  struct alignas(size * sizeof(T)) From { T item[size]; };
  struct alignas(size * sizeof(U)) To { U item[size]; };
  const index_t thread = blockIdx.x * (index_t)blockDim.x + threadIdx.x, threads = (index_t)gridDim.x * blockDim.x;
  const index_t whole = aligned(x) && aligned(y) ? n / size : 0;
  for (index_t k = thread; k < whole; k += threads) {
    const From from = ((const From*)x)[k];
    To to;
#pragma unroll
    for (int i = 0; i < size; ++i) to.item[i] = store<U>(load(from.item[i]));
    ((To*)y)[k] = to;
  }
  for (index_t i = whole * size + thread; i < n; i += threads) y[i] = store<U>(load(x[i]));
}

// y[row][c] = x[row * x_stride + c], y without gaps
template <class T, class U>
__global__ void __launch_bounds__(256) cast_rows(const T* __restrict__ x, U* __restrict__ y, index_t rows, index_t columns, index_t x_stride) {
  const index_t threads = (index_t)gridDim.x * blockDim.x;
  for (index_t i = blockIdx.x * (index_t)blockDim.x + threadIdx.x; i < rows * columns; i += threads)
    y[i] = store<U>(load(x[i / columns * x_stride + i % columns]));
}
