// Adding rows at places that may repeat, without atomics: the gradient of an embedding, index_add, scatter_add.
//
// The places come sorted (a stable sort), with the row that each belonged to: `sorted` and `order`. Equal places are a run, and
// the rows of a run are added up in their order. Runs may be long (the padding of a batch of sentences), so the work is shared out
// in chunks of `chunk` rows. A run inside of one chunk is finished there. Of a run that goes beyond, each chunk leaves a part:
//   heads[k]  the rows at the start of chunk k that belong to a run which began before it
//   tails[k]  the rows at the end of chunk k, if their run began in it and goes on
// and `run_ends` adds tail, heads of the chunks after it, up, for each run that has a tail. A chunk inside of one run is all head.
// So the sums have one order, whatever the grid.
#include "common.cuh"

// Writes the sum of a run, or adds it to what is there. Places outside [0, places) are left out.
template <class T, bool ADD>
__device__ __forceinline__ void put(T* out, index_t o, index_t place, index_t i, index_t places, index_t inner, acc_t<T> sum) {
  if (place < 0 || place >= places) return;
  T* to = out + (o * places + place) * inner + i;
  *to = store<T>(ADD ? load(*to) + sum : sum);
}

// A thread has one column of one chunk. x is (outer, n, inner), out is (outer, places, inner), heads and tails are (outer, chunks,
// inner).
template <class T, bool ADD>
__global__ void __launch_bounds__(256)
run_sums(const T* __restrict__ x, const index_t* __restrict__ order, const index_t* __restrict__ sorted, T* __restrict__ out,
         acc_t<T>* __restrict__ heads, acc_t<T>* __restrict__ tails, index_t outer, index_t n, index_t inner, index_t places, index_t chunk) {
  typedef acc_t<T> A;
  const index_t chunks = (n + chunk - 1) / chunk, items = outer * chunks * inner, threads = (index_t)gridDim.x * blockDim.x;
  for (index_t item = blockIdx.x * (index_t)blockDim.x + threadIdx.x; item < items; item += threads) {
    const index_t i = item % inner, k = item / inner % chunks, o = item / inner / chunks;
    const index_t begin = k * chunk, end = begin + chunk < n ? begin + chunk : n;
    bool head = begin > 0 && sorted[begin - 1] == sorted[begin];
    A sum = A(0);
    for (index_t j = begin; j < end; ++j) {
      sum += load(x[(o * n + order[j]) * inner + i]);
      const index_t place = sorted[j];
      const bool goes_on = j + 1 < n && sorted[j + 1] == place;
      if (goes_on && j + 1 < end) continue;
      if (head) heads[item] = sum;
      else if (goes_on) tails[item] = sum;
      else put<T, ADD>(out, o, place, i, places, inner, sum);
      head = false;
      sum = A(0);
    }
  }
}

template <class T, bool ADD>
__global__ void __launch_bounds__(256)
run_ends(const index_t* __restrict__ sorted, T* __restrict__ out, const acc_t<T>* __restrict__ heads, const acc_t<T>* __restrict__ tails,
         index_t outer, index_t n, index_t inner, index_t places, index_t chunk) {
  typedef acc_t<T> A;
  const index_t chunks = (n + chunk - 1) / chunk, items = outer * chunks * inner, threads = (index_t)gridDim.x * blockDim.x;
  for (index_t item = blockIdx.x * (index_t)blockDim.x + threadIdx.x; item < items; item += threads) {
    const index_t i = item % inner, k = item / inner % chunks, o = item / inner / chunks;
    const index_t begin = k * chunk, end = begin + chunk;
    if (end >= n) continue;
    const index_t place = sorted[end - 1];
    if (sorted[end] != place) continue;
    if (begin > 0 && sorted[begin - 1] == place) continue;  // all head, of a run that an earlier chunk ends
    A sum = tails[item];
    for (index_t next = k + 1; next < chunks && sorted[next * chunk] == place; ++next) sum += heads[(o * chunks + next) * inner + i];
    put<T, ADD>(out, o, place, i, places, inner, sum);
  }
}
