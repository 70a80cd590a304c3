// Adding rows at places that may repeat, without atomics: the gradients of an embedding and of indexing, index_add, scatter_add.
//
// The places come sorted (a stable sort), with the row that each belonged to: `sorted` and `order`. Equal places are a run, and the
// rows of a run are added up in their order. Runs may be long (the padding of a batch of sentences), so the work is shared out in
// chunks of `chunk` rows. A run inside of one chunk is finished there. Of a run that goes beyond, each chunk leaves a part, a row of
// the type to compute in:
//   parts[2 k]      of the run at the start of chunk k, if it began before
//   parts[2 k + 1]  of the run at the end of chunk k, if it began in it and goes on
// and zeros where there is no such run. Parts are rows with sorted places in their turn, and another launch adds them up; and so on
// until there is one chunk. So a sum has one order, which depends neither on the grid nor on the device.
#include "common.cuh"

// A thread has one column, or a pack of them, of one chunk. x is (n, columns), out is (places, columns), parts is (2 chunks,
// columns). Places outside [0, places) are left out. order may be null: the rows are in their order. parts and part_places may be
// null if there is one chunk.
template <class T, class U>
__global__ void __launch_bounds__(256)
run_sums(const T* __restrict__ x, const index_t* __restrict__ order, const index_t* __restrict__ sorted, U* __restrict__ out,
         acc_t<U>* __restrict__ parts, index_t* __restrict__ part_places, index_t n, index_t columns, index_t places, index_t chunk) {
  typedef acc_t<U> A;
  const int size = Pack<T>::size;
  const bool packs = columns % size == 0 && aligned(x);
  const int step = packs ? size : 1;
  const index_t chunks = (n + chunk - 1) / chunk, across = columns / step, threads = (index_t)gridDim.x * blockDim.x;
  for (index_t item = blockIdx.x * (index_t)blockDim.x + threadIdx.x; item < chunks * across; item += threads) {
    const index_t i = item % across * step, k = item / across, begin = k * chunk, end = begin + chunk < n ? begin + chunk : n;
    bool head = begin > 0 && sorted[begin - 1] == sorted[begin];
    Pack<A, size> sum = {};
    bool tail = false;
    auto leave = [&](index_t part) {
#pragma unroll
      for (int e = 0; e < size; ++e)
        if (e < step) parts[part * columns + i + e] = sum.item[e];
    };
    if (!head && chunks > 1) leave(2 * k);  // zeros
    for (index_t j = begin; j < end; ++j) {
      const T* from = x + (order ? order[j] : j) * columns + i;
      if (packs) {
        const Pack<T> v = *(const Pack<T>*)from;
#pragma unroll
        for (int e = 0; e < size; ++e) sum.item[e] += load(v.item[e]);
      } else {
        sum.item[0] += load(*from);
      }
      const index_t place = sorted[j];
      const bool goes_on = j + 1 < n && sorted[j + 1] == place;
      if (goes_on && j + 1 < end) continue;
      if (head) {
        leave(2 * k);
      } else if (goes_on) {
        leave(2 * k + 1);
        tail = true;
      } else if (place >= 0 && place < places) {
        U* to = out + place * columns + i;
#pragma unroll
        for (int e = 0; e < size; ++e)
          if (e < step) to[e] = store<U>(load(to[e]) + sum.item[e]);
      }
      head = false;
      sum = {};
    }
    if (chunks == 1) continue;
    if (!tail) leave(2 * k + 1);  // the sum is zero again
    if (i == 0) {
      part_places[2 * k] = sorted[begin];
      part_places[2 * k + 1] = sorted[end - 1];
    }
  }
}
