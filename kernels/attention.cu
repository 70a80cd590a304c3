// Attention, forward and backward, without the matrix of scores in memory.
//
// Dao, Fu, Ermon, Rudra and Re, "FlashAttention", 2022. Forward keeps a running maximum and sum for each query; backward makes the
// probabilities again from the logarithm of that sum. The gradients of keys and values come from a launch whose blocks have keys
// and go over all queries, that of queries from one whose blocks have queries and go over all keys: nothing is added atomically.
//
// A block has 128 threads and TILE queries or keys; 128 / TILE threads share one, and each of them has every 128 / TILE-th element
// of a head. Heads shorter than D, the size a kernel is compiled for, are filled up with zeros.
#include "common.cuh"

#define THREADS 128

struct Strides {  // in elements; a head's elements lie next to each other. 0 along dimensions that broadcast.
  index_t batch, head, row, column;
};

struct Sizes {
  int heads, queries, keys, size;  // size: of a head
  int causal;                      // query i sees the keys up to i
};

template <class T, int D> struct Tiles {
  static constexpr int bytes = sizeof(acc_t<T>), most = 128 / bytes, fitting = 8192 / (D * bytes);  // all stays below 48 KB of shared memory
  static constexpr int rows = fitting > most ? most : fitting, lanes = THREADS / rows, own = D / lanes;
};

// Rows [first, first + TILE) of a head into shared memory, zeros where there are none.
template <class T, int D>
__device__ __forceinline__ void load_tile(const T* from, index_t stride, int first, int rows, int size, acc_t<T> (*tile)[D + 1]) {
  for (int i = threadIdx.x; i < Tiles<T, D>::rows * D; i += THREADS) {
    const int r = i / D, d = i % D;
    tile[r][d] = first + r < rows && d < size ? acc_t<T>(load(from[(first + r) * stride + d])) : acc_t<T>(0);
  }
}

// The score of a query and a key, both rows of tiles; -infinity where the query does not see the key.
template <class T, int D>
__device__ __forceinline__ acc_t<T> score(const acc_t<T>* q, const acc_t<T>* k, int query, int key, const Sizes& s, acc_t<T> scale, const T* mask,
                                          const Strides& m) {
  typedef acc_t<T> A;
  if (query >= s.queries || key >= s.keys || (s.causal && key > query)) return A(-INFINITY);
  A sum = A(0);
#pragma unroll 8
  for (int d = 0; d < D; ++d) sum += q[d] * k[d];
  sum *= scale;
  return mask ? sum + load(mask[query * m.row + key * m.column]) : sum;
}

// out (batch, heads, queries, size) without gaps; norm (batch, heads, queries) = log(sum(exp(scores))). Blocks: batch times
// heads, by tiles of queries. A query that sees no key gives zeros.
template <class T, int D>
__global__ void __launch_bounds__(THREADS)
attention_forward(const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const T* __restrict__ mask, T* __restrict__ out,
                  acc_t<T>* __restrict__ norm, const Sizes s, const Strides qs, const Strides ks, const Strides vs, const Strides ms,
                  acc_t<T> scale) {
  typedef acc_t<T> A;
  const int TILE = Tiles<T, D>::rows, LANES = Tiles<T, D>::lanes, OWN = Tiles<T, D>::own;
  __shared__ A queries[TILE][D + 1], keys[TILE][D + 1], values[TILE][D + 1], p[TILE][TILE + 1];
  const int row = threadIdx.x / LANES, lane = threadIdx.x % LANES, query0 = blockIdx.y * TILE, query = query0 + row;
  const index_t b = blockIdx.x / s.heads, h = blockIdx.x % s.heads;
  q += b * qs.batch + h * qs.head;
  k += b * ks.batch + h * ks.head;
  v += b * vs.batch + h * vs.head;
  if (mask) mask += b * ms.batch + h * ms.head;
  load_tile<T, D>(q, qs.row, query0, s.queries, s.size, queries);
  A acc[OWN], max = A(-INFINITY), sum = A(0);
#pragma unroll
  for (int d = 0; d < OWN; ++d) acc[d] = A(0);
  const int seen = s.causal && query0 + TILE < s.keys ? query0 + TILE : s.keys;
  for (int key0 = 0; key0 < seen; key0 += TILE) {
    __syncthreads();
    load_tile<T, D>(k, ks.row, key0, s.keys, s.size, keys);
    load_tile<T, D>(v, vs.row, key0, s.keys, s.size, values);
    __syncthreads();
    A top = max;
    for (int c = lane; c < TILE; c += LANES) {
      const A x = score<T, D>(queries[row], keys[c], query, key0 + c, s, scale, mask, ms);
      p[row][c] = x;
      top = Max()(top, x);
    }
    top = lanes_reduce(top, LANES, Max());
    const A shift = top == A(-INFINITY) ? A(0) : top, shrink = exp(max - shift);
    A part = A(0);
    for (int c = lane; c < TILE; c += LANES) {
      const A e = exp(p[row][c] - shift);
      p[row][c] = e;
      part += e;
    }
    sum = sum * shrink + lanes_reduce(part, LANES, Sum());
    max = top;
    __syncwarp();  // a row of p is written and read by one warp
#pragma unroll
    for (int d = 0; d < OWN; ++d) acc[d] *= shrink;
    for (int c = 0; c < TILE; ++c) {
      const A e = p[row][c];
#pragma unroll
      for (int d = 0; d < OWN; ++d) acc[d] += e * values[c][lane + d * LANES];
    }
  }
  if (query >= s.queries) return;
  const index_t at = (index_t)blockIdx.x * s.queries + query;
#pragma unroll
  for (int d = 0; d < OWN; ++d)
    if (lane + d * LANES < s.size) out[at * s.size + lane + d * LANES] = store<T>(sum == A(0) ? A(0) : acc[d] / sum);
  if (lane == 0) norm[at] = sum == A(0) ? A(-INFINITY) : max + log(sum);
}

// delta[row] = sum(g * out) of rows without gaps, a warp each
template <class T>
__global__ void __launch_bounds__(256)
attention_delta(const T* __restrict__ g, const T* __restrict__ out, acc_t<T>* __restrict__ delta, index_t rows, int size) {
  typedef acc_t<T> A;
  const index_t warps = gridDim.x * (index_t)(blockDim.x >> 5);
  for (index_t row = blockIdx.x * (index_t)(blockDim.x >> 5) + (threadIdx.x >> 5); row < rows; row += warps) {
    A sum = A(0);
    for (int d = threadIdx.x & 31; d < size; d += 32) sum += load(g[row * size + d]) * load(out[row * size + d]);
    sum = warp_reduce(sum, Sum());
    if ((threadIdx.x & 31) == 0) delta[row] = sum;
  }
}

// What softmax made of a score, from the number that forward kept of the row.
template <class A> __device__ __forceinline__ A probability(A score, A norm) { return norm == A(-INFINITY) ? A(0) : exp(score - norm); }

template <class A, int D> __device__ __forceinline__ A dot(const A* a, const A* b) {
  A sum = A(0);
#pragma unroll 8
  for (int d = 0; d < D; ++d) sum += a[d] * b[d];
  return sum;
}

// dk, dv (batch, heads, keys, size) without gaps. Blocks: batch times heads, by tiles of keys. g is without gaps, as out is.
template <class T, int D>
__global__ void __launch_bounds__(THREADS)
attention_backward_kv(const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const T* __restrict__ mask,
                      const T* __restrict__ g, const acc_t<T>* __restrict__ norm, const acc_t<T>* __restrict__ delta, T* __restrict__ dk,
                      T* __restrict__ dv, const Sizes s, const Strides qs, const Strides ks, const Strides vs, const Strides ms, acc_t<T> scale) {
  typedef acc_t<T> A;
  const int TILE = Tiles<T, D>::rows, LANES = Tiles<T, D>::lanes, OWN = Tiles<T, D>::own;
  __shared__ A queries[TILE][D + 1], keys[TILE][D + 1], values[TILE][D + 1], grads[TILE][D + 1];
  __shared__ A p[TILE][TILE + 1], slope[TILE][TILE + 1];
  const int row = threadIdx.x / LANES, lane = threadIdx.x % LANES, key0 = blockIdx.y * TILE, key = key0 + row;
  const index_t b = blockIdx.x / s.heads, h = blockIdx.x % s.heads, first = (index_t)blockIdx.x * s.queries;
  q += b * qs.batch + h * qs.head;
  k += b * ks.batch + h * ks.head;
  v += b * vs.batch + h * vs.head;
  if (mask) mask += b * ms.batch + h * ms.head;
  load_tile<T, D>(k, ks.row, key0, s.keys, s.size, keys);
  load_tile<T, D>(v, vs.row, key0, s.keys, s.size, values);
  A k_acc[OWN], v_acc[OWN];
#pragma unroll
  for (int d = 0; d < OWN; ++d) k_acc[d] = v_acc[d] = A(0);
  for (int query0 = s.causal ? key0 : 0; query0 < s.queries; query0 += TILE) {
    __syncthreads();
    load_tile<T, D>(q, qs.row, query0, s.queries, s.size, queries);
    load_tile<T, D>(g + first * s.size, s.size, query0, s.queries, s.size, grads);
    __syncthreads();
    for (int r = lane; r < TILE; r += LANES) {
      const int query = query0 + r;
      A e = A(0), d = A(0);
      if (query < s.queries) {
        e = probability(score<T, D>(queries[r], keys[row], query, key, s, scale, mask, ms), norm[first + query]);
        d = e * (dot<A, D>(grads[r], values[row]) - delta[first + query]) * scale;
      }
      p[row][r] = e;
      slope[row][r] = d;
    }
    __syncwarp();
    for (int r = 0; r < TILE; ++r) {
      const A e = p[row][r], w = slope[row][r];
#pragma unroll
      for (int d = 0; d < OWN; ++d) {
        v_acc[d] += e * grads[r][lane + d * LANES];
        k_acc[d] += w * queries[r][lane + d * LANES];
      }
    }
  }
  if (key >= s.keys) return;
  const index_t at = ((index_t)blockIdx.x * s.keys + key) * s.size;
#pragma unroll
  for (int d = 0; d < OWN; ++d)
    if (lane + d * LANES < s.size) {
      dk[at + lane + d * LANES] = store<T>(k_acc[d]);
      dv[at + lane + d * LANES] = store<T>(v_acc[d]);
    }
}

// dq (batch, heads, queries, size) without gaps. Blocks: batch times heads, by tiles of queries.
template <class T, int D>
__global__ void __launch_bounds__(THREADS)
attention_backward_q(const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const T* __restrict__ mask,
                     const T* __restrict__ g, const acc_t<T>* __restrict__ norm, const acc_t<T>* __restrict__ delta, T* __restrict__ dq,
                     const Sizes s, const Strides qs, const Strides ks, const Strides vs, const Strides ms, acc_t<T> scale) {
  typedef acc_t<T> A;
  const int TILE = Tiles<T, D>::rows, LANES = Tiles<T, D>::lanes, OWN = Tiles<T, D>::own;
  __shared__ A queries[TILE][D + 1], keys[TILE][D + 1], values[TILE][D + 1], grads[TILE][D + 1], slope[TILE][TILE + 1];
  const int row = threadIdx.x / LANES, lane = threadIdx.x % LANES, query0 = blockIdx.y * TILE, query = query0 + row;
  const index_t b = blockIdx.x / s.heads, h = blockIdx.x % s.heads, first = (index_t)blockIdx.x * s.queries;
  q += b * qs.batch + h * qs.head;
  k += b * ks.batch + h * ks.head;
  v += b * vs.batch + h * vs.head;
  if (mask) mask += b * ms.batch + h * ms.head;
  load_tile<T, D>(q, qs.row, query0, s.queries, s.size, queries);
  load_tile<T, D>(g + first * s.size, s.size, query0, s.queries, s.size, grads);
  const A lse = query < s.queries ? norm[first + query] : A(-INFINITY), own = query < s.queries ? delta[first + query] : A(0);
  A acc[OWN];
#pragma unroll
  for (int d = 0; d < OWN; ++d) acc[d] = A(0);
  const int seen = s.causal && query0 + TILE < s.keys ? query0 + TILE : s.keys;
  for (int key0 = 0; key0 < seen; key0 += TILE) {
    __syncthreads();
    load_tile<T, D>(k, ks.row, key0, s.keys, s.size, keys);
    load_tile<T, D>(v, vs.row, key0, s.keys, s.size, values);
    __syncthreads();
    for (int c = lane; c < TILE; c += LANES) {
      const A e = probability(score<T, D>(queries[row], keys[c], query, key0 + c, s, scale, mask, ms), lse);
      slope[row][c] = e * (dot<A, D>(grads[row], values[c]) - own) * scale;
    }
    __syncwarp();
    for (int c = 0; c < TILE; ++c) {
      const A w = slope[row][c];
#pragma unroll
      for (int d = 0; d < OWN; ++d) acc[d] += w * keys[c][lane + d * LANES];
    }
  }
  if (query >= s.queries) return;
#pragma unroll
  for (int d = 0; d < OWN; ++d)
    if (lane + d * LANES < s.size) dq[(first + query) * s.size + lane + d * LANES] = store<T>(acc[d]);
}
