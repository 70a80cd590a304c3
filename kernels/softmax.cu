// softmax, log_softmax and cross-entropy along rows, forward and backward.
//
// A row is read by one warp (columns up to 1024) or by one block. Its maximum and the sum of its exponentials are found in one
// pass (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018), so that each logit is read twice, and the
// cross-entropy never writes probabilities: backward makes them again from the logits and one number a row.
#include "common.cuh"

template <class A> struct Normalizer {  // of some elements: their maximum and the sum of exp(x - maximum)
  A max, sum;
};

template <class A> __device__ __forceinline__ Normalizer<A> join(Normalizer<A> a, Normalizer<A> b) {
  const A m = Max()(a.max, b.max);
  if (m == A(-INFINITY)) return {m, a.sum + b.sum};  // zeros, or NaN
  const A e = exp(-fabs(a.max - b.max));  // what the one with the smaller maximum is scaled by
  return {m, a.max < b.max ? a.sum * e + b.sum : a.sum + b.sum * e};
}

template <class A> __device__ __forceinline__ Normalizer<A> warp_join(Normalizer<A> v) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes >>= 1)
    v = join(v, Normalizer<A>{__shfl_xor_sync(FULL_WARP, v.max, lanes), __shfl_xor_sync(FULL_WARP, v.sum, lanes)});
  return v;
}

// The normalizer of a row of `columns` elements at x, for every thread of the group of `threads` that reads it: a warp, or the
// whole block. Lanes combine in a fixed order, so all of them get the same bits.
template <class T>
__device__ __forceinline__ Normalizer<acc_t<T>> row_normalizer(const T* x, int columns, int thread, int threads, Normalizer<acc_t<T>>* room) {
  typedef acc_t<T> A;
  Normalizer<A> v = {A(-INFINITY), A(0)};
  auto add = [&](index_t, A d) {
    if (d == A(-INFINITY)) return;
    const A e = exp(-fabs(d - v.max));  // of the smaller one, relative to the larger one
    if (d > v.max) v.sum = v.sum * e + A(1) + (d - d), v.max = d;  // NaN where d is infinite
    else v.sum += e;
  };
  read_row(columns, thread, threads, add, x);
  v = warp_join(v);
  if (threads == 32) return v;
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  __syncthreads();
  if (lane == 0) room[warp] = v;
  __syncthreads();
  v = lane < (threads >> 5) ? room[lane] : Normalizer<A>{A(-INFINITY), A(0)};
  return warp_join(v);
}

// Rows are shared out to groups: to the warps of all blocks, or to the blocks.
#define FOR_ROWS(row, rows, threads)                                                                     \
  for (index_t row = (threads) == 32 ? blockIdx.x * (index_t)(blockDim.x >> 5) + (threadIdx.x >> 5) : blockIdx.x; \
       row < (rows); row += (threads) == 32 ? gridDim.x * (index_t)(blockDim.x >> 5) : gridDim.x)

template <class T, bool LOG>
__global__ void __launch_bounds__(256)
softmax_forward(const T* __restrict__ x, T* __restrict__ y, index_t rows, int columns, index_t x_stride, int threads) {
  typedef acc_t<T> A;
  __shared__ Normalizer<A> room[32];
  const int thread = threads == 32 ? threadIdx.x & 31 : threadIdx.x;
  FOR_ROWS(row, rows, threads) {
    const T* from = x + row * x_stride;
    T* to = y + row * columns;
    const Normalizer<A> v = row_normalizer(from, columns, thread, threads, room);
    const A by = LOG ? log(v.sum) : A(1) / v.sum;
    auto f = [&](index_t, A d) {
      d -= v.max;  // by itself: max + log(sum) would round the logarithm away where max is large
      return LOG ? d - by : exp(d) * by;
    };
    map_row(to, columns, thread, threads, f, from);
  }
}

// softmax: dx = y (g - sum(g y));  log_softmax: dx = g - exp(y) sum(g)
template <class T, bool LOG>
__global__ void __launch_bounds__(256)
softmax_backward(const T* __restrict__ g, const T* __restrict__ y, T* __restrict__ dx, index_t rows, int columns, index_t g_stride, int threads) {
  typedef acc_t<T> A;
  __shared__ A room[32];
  const int thread = threads == 32 ? threadIdx.x & 31 : threadIdx.x;
  FOR_ROWS(row, rows, threads) {
    const T *grad = g + row * g_stride, *out = y + row * columns;
    A sum = A(0);
    read_row(columns, thread, threads, [&](index_t, A d, A o) { sum += LOG ? d : d * o; }, grad, out);
    sum = threads == 32 ? warp_reduce(sum, Sum()) : block_reduce(sum, A(0), room, Sum());
    auto f = [&](index_t, A d, A o) { return LOG ? d - exp(o) * sum : o * (d - sum); };
    map_row(dx + row * columns, columns, thread, threads, f, grad, out);
  }
}

// loss[row] = logsumexp(row) - row[target]; 0 where target is `ignored`, NaN where it is no class. norm[row] = the logsumexp, if norm
// is not null.
template <class T>
__global__ void __launch_bounds__(256)
cross_entropy_forward(const T* __restrict__ x, const index_t* __restrict__ target, acc_t<T>* __restrict__ loss, acc_t<T>* __restrict__ norm,
                      index_t rows, int columns, index_t x_stride, index_t ignored, int threads) {
  typedef acc_t<T> A;
  __shared__ Normalizer<A> room[32];
  const int thread = threads == 32 ? threadIdx.x & 31 : threadIdx.x;
  FOR_ROWS(row, rows, threads) {
    const T* from = x + row * x_stride;
    const Normalizer<A> v = row_normalizer(from, columns, thread, threads, room);
    if (thread == 0) {
      const A log_sum = log(v.sum);
      const index_t t = target[row];
      if (norm) norm[row] = v.max + log_sum;
      loss[row] = t == ignored ? A(0) : t >= 0 && t < columns ? log_sum - (load(from[t]) - v.max) : A(NAN);
    }
  }
}

// dx = (softmax(x) - onehot(target)) * scale[row or 0]. norm is what forward kept; null: it is made again.
template <class T>
__global__ void __launch_bounds__(256)
cross_entropy_backward(const T* __restrict__ x, const index_t* __restrict__ target, const acc_t<T>* __restrict__ norm,
                       const acc_t<T>* __restrict__ scale, T* __restrict__ dx, index_t rows, int columns, index_t x_stride, int scale_stride,
                       index_t ignored, int threads) {
  typedef acc_t<T> A;
  __shared__ Normalizer<A> room[32];
  const int thread = threads == 32 ? threadIdx.x & 31 : threadIdx.x;
  FOR_ROWS(row, rows, threads) {
    const T* from = x + row * x_stride;
    const index_t t = target[row];
    A shift, factor = A(1);
    if (norm) {
      shift = norm[row];
    } else {
      const Normalizer<A> v = row_normalizer(from, columns, thread, threads, room);
      shift = v.max;
      factor = A(1) / v.sum;
    }
    const A by = scale[row * scale_stride];
    auto f = [&](index_t c, A d) { return t == ignored ? A(0) : (exp(d - shift) * factor - (c == t ? A(1) : A(0))) * by; };
    map_row(dx + row * columns, columns, thread, threads, f, from);
  }
}

// out[0] = the sum of the losses, or their mean over the targets that are not `ignored`. One block.
template <class T>
__global__ void __launch_bounds__(1024)
cross_entropy_total(const acc_t<T>* __restrict__ loss, const index_t* __restrict__ target, T* __restrict__ out, index_t rows, index_t ignored,
                    int mean) {
  typedef acc_t<T> A;
  __shared__ A room[32];
  A sum = A(0), count = A(0);
  for (index_t row = threadIdx.x; row < rows; row += blockDim.x) {
    sum += loss[row];
    if (target[row] != ignored) count += A(1);
  }
  sum = block_reduce(sum, A(0), room, Sum());
  count = block_reduce(count, A(0), room, Sum());
  if (threadIdx.x == 0) out[0] = store<T>(mean ? sum / count : sum);
}

// What each row gets of g, the gradient of that total: scale[0]. One block.
template <class T>
__global__ void __launch_bounds__(1024)
cross_entropy_share(const T* __restrict__ g, const index_t* __restrict__ target, acc_t<T>* __restrict__ scale, index_t rows, index_t ignored,
                    int mean) {
  typedef acc_t<T> A;
  __shared__ A room[32];
  A count = A(0);
  if (mean)
    for (index_t row = threadIdx.x; row < rows; row += blockDim.x)
      if (target[row] != ignored) count += A(1);
  count = block_reduce(count, A(0), room, Sum());
  if (threadIdx.x == 0) scale[0] = mean ? load(g[0]) / count : load(g[0]);
}
