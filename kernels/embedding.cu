// Rows of a table by their numbers. The gradient of the table is a scatter of sorted rows: scatter.cu.
#include "common.cuh"

// y[i] = table[index[i]]. A number that is no row gives NaN and sets `bad`, if there is one, to 1: nothing is read out of bounds.
template <class T>
__global__ void __launch_bounds__(256)
gather_rows(const T* __restrict__ table, const index_t* __restrict__ index, T* __restrict__ y, index_t n, index_t rows, index_t columns,
            int* __restrict__ bad) {
  const bool packs = columns % Pack<T>::size == 0 && aligned(table) && aligned(y);
  const index_t step = packs ? Pack<T>::size : 1, across = columns / step, threads = (index_t)gridDim.x * blockDim.x;
  for (index_t k = blockIdx.x * (index_t)blockDim.x + threadIdx.x; k < n * across; k += threads) {
    const index_t row = index[k / across], c = k % across * step;
    const bool is_row = row >= 0 && row < rows;
    T* to = y + k / across * columns + c;
    if (!is_row && bad) atomicExch(bad, 1);
    if (packs) {
      Pack<T> v;
      if (is_row) v = *(const Pack<T>*)(table + row * columns + c);
      else
#pragma unroll
        for (int i = 0; i < Pack<T>::size; ++i) v.item[i] = store<T>(acc_t<T>(NAN));
      *(Pack<T>*)to = v;
    } else {
      *to = is_row ? table[row * columns + c] : store<T>(acc_t<T>(NAN));
    }
  }
}
