// Random numbers: the words of NumPy's Philox4x64-10 stream, and what is made of them.
//
// Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011. The word at position k of the stream of a
// seed is item k % 4 of philox(counter = k / 4 + 1, key = seed): NumPy counts up before it draws. So each thread makes the words
// of its own positions, and a CPU that draws them one after the other gets the same bits.
#include "common.cuh"

typedef unsigned long long word_t;

struct Words {
  word_t item[4];
};

__device__ __forceinline__ Words philox(word_t counter, word_t key0, word_t key1) {
  word_t c0 = counter, c1 = 0, c2 = 0, c3 = 0;
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const word_t high0 = __umul64hi(0xD2E7470EE14C6C93ull, c0), low0 = 0xD2E7470EE14C6C93ull * c0;
    const word_t high1 = __umul64hi(0xCA5A826395121157ull, c2), low1 = 0xCA5A826395121157ull * c2;
    c0 = high1 ^ c1 ^ key0;
    c1 = low1;
    c2 = high0 ^ c3 ^ key1;
    c3 = low0;
    key0 += 0x9E3779B97F4A7C15ull;
    key1 += 0xBB67AE8584CAA73Bull;
  }
  return {{c0, c1, c2, c3}};
}

// Raw words from position `offset` of the stream on.
extern "C" __global__ void __launch_bounds__(256)
random_words(word_t* __restrict__ out, index_t n, word_t key0, word_t key1, word_t offset) {
  const word_t first = offset / 4, last = (offset + n + 3) / 4;
  const word_t thread = blockIdx.x * (word_t)blockDim.x + threadIdx.x, threads = gridDim.x * (word_t)blockDim.x;
  for (word_t block = first + thread; block < last; block += threads) {
    const Words w = philox(block + 1, key0, key1);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const index_t i = (index_t)(block * 4 + k - offset);
      if (i >= 0 && i < n) out[i] = w.item[k];
    }
  }
}

// The number that decides on the element at a quarter of a block of the stream: that quarter and, below it, the other one of the
// same half.
__device__ __forceinline__ unsigned int deciding(const Words& w, int quarter) {
  const unsigned int half = (unsigned int)(w.item[quarter / 4] >> (quarter % 4 / 2 * 32));
  return quarter % 2 ? half : half << 16 | half >> 16;
}

// y = x * scale where the number of an element is at least `threshold`, else x * 0, which is NaN where x is not finite: it is dropped
// with the probability threshold / 2^32. Element i has quarter first + i of the stream; the low bits of a word come first. The same call on the
// gradient of y gives that of x: no mask is kept.
template <class T>
__global__ void __launch_bounds__(256)
dropout(const T* __restrict__ x, T* __restrict__ y, index_t n, word_t key0, word_t key1, word_t first, unsigned int threshold, acc_t<T> scale) {
  typedef acc_t<T> A;
  const word_t last = (first + n + 15) / 16;  // blocks of the stream, sixteen quarters each
  const word_t thread = blockIdx.x * (word_t)blockDim.x + threadIdx.x, threads = gridDim.x * (word_t)blockDim.x;
  const bool packs = first % Pack<T>::size == 0 && aligned(x) && aligned(y);
  for (word_t block = first / 16 + thread; block < last; block += threads) {
    const Words w = philox(block + 1, key0, key1);
#pragma unroll
    for (int part = 0; part < 16; part += Pack<T>::size) {
      const index_t begin = (index_t)(block * 16 + part - first);
      if (packs && begin >= 0 && begin + Pack<T>::size <= n) {
        Pack<T> v = *(const Pack<T>*)(x + begin);
#pragma unroll
        for (int k = 0; k < Pack<T>::size; ++k) v.item[k] = store<T>(load(v.item[k]) * (deciding(w, part + k) >= threshold ? scale : A(0)));
        *(Pack<T>*)(y + begin) = v;
      } else {
#pragma unroll
        for (int k = 0; k < Pack<T>::size; ++k) {
          const index_t i = begin + k;
          if (i >= 0 && i < n) y[i] = store<T>(load(x[i]) * (deciding(w, part + k) >= threshold ? scale : A(0)));
        }
      }
    }
  }
}
