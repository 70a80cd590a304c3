// Optimizers over a list of tensors in one launch: SGD, Adam and AdamW, and the global norm for clipping.
//
// The table of tensors travels as a kernel parameter (at most 4 KB, so at most TENSORS of them a launch). Each block takes one
// chunk of one tensor; `first_block` says where the chunks of each begin.
#include "common.cuh"

#define TENSORS 64
#define CHUNK 4096

template <class T, class S = acc_t<T>> struct Table {  // S: the type of the state
  T* p[TENSORS];        // parameters
  const T* g[TENSORS];  // gradients
  S* m[TENSORS];        // first moments, or momentum; may be null
  S* v[TENSORS];        // second moments; may be null
  S* most[TENSORS];     // the largest second moments so far; null: not wanted
  index_t size[TENSORS];
  int first_block[TENSORS + 1];
  int count;
};

// Which tensor this block works at, and from which of its elements on.
template <class T, class S> __device__ __forceinline__ int my_tensor(const Table<T, S>& t, index_t* begin) {
  int low = 0, high = t.count - 1;  // the last tensor whose first block is not after this one
  while (low < high) {
    const int middle = (low + high + 1) >> 1;
    if (t.first_block[middle] <= (int)blockIdx.x) low = middle; else high = middle - 1;
  }
  *begin = (index_t)(blockIdx.x - t.first_block[low]) * CHUNK;
  return low;
}

// Kingma and Ba, "Adam", 2015; decoupled weight decay: Loshchilov and Hutter, "AdamW", 2019; the largest second
// moment: Reddi, Kale and Kumar, "On the convergence of Adam", 2018. `scale` multiplies the gradients
// (clipping, loss scale); step_size = lr / (1 - beta1^t), root = sqrt(1 - beta2^t).
template <class T, class S = acc_t<T>>
__global__ void __launch_bounds__(256)
adam(const Table<T, S> t, acc_t<T> step_size, acc_t<T> beta1, acc_t<T> beta2, acc_t<T> eps, acc_t<T> decay, acc_t<T> shrink, acc_t<T> root,
     const acc_t<T>* __restrict__ scale, int maximize) {
  typedef acc_t<T> A;
  index_t begin;
  const int k = my_tensor(t, &begin);
  const index_t end = begin + CHUNK < t.size[k] ? begin + CHUNK : t.size[k];
  const A by = (maximize ? A(-1) : A(1)) * (scale ? *scale : A(1));
  for (index_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    A p = load(t.p[k][i]), g = load(t.g[k][i]) * by;
    p *= shrink;     // AdamW: 1 - lr * weight_decay, else 1
    g += decay * p;  // Adam: weight_decay, else 0
    const A m = beta1 * load(t.m[k][i]) + (A(1) - beta1) * g, v = beta2 * load(t.v[k][i]) + (A(1) - beta2) * g * g;
    A most = v;
    if (t.most[k]) {
      most = Max()(A(load(t.most[k][i])), v);
      t.most[k][i] = store<S>(most);
    }
    t.m[k][i] = store<S>(m);
    t.v[k][i] = store<S>(v);
    t.p[k][i] = store<T>(p - step_size * m / (sqrt(most) / root + eps));
  }
}

// momentum = 0: no buffer. first: the buffer is not yet there and becomes the gradient.
template <class T, class S = acc_t<T>>
__global__ void __launch_bounds__(256)
sgd(const Table<T, S> t, acc_t<T> lr, acc_t<T> momentum, acc_t<T> dampening, acc_t<T> decay, const acc_t<T>* __restrict__ scale, int nesterov,
    int first, int maximize) {
  typedef acc_t<T> A;
  index_t begin;
  const int k = my_tensor(t, &begin);
  const index_t end = begin + CHUNK < t.size[k] ? begin + CHUNK : t.size[k];
  const A by = (maximize ? A(-1) : A(1)) * (scale ? *scale : A(1));
  for (index_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    const A p = load(t.p[k][i]);
    A g = load(t.g[k][i]) * by + decay * p;
    if (momentum != A(0)) {
      const A m = first ? g : momentum * load(t.m[k][i]) + (A(1) - dampening) * g;
      t.m[k][i] = store<S>(m);
      g = nesterov ? g + momentum * m : m;
    }
    t.p[k][i] = store<T>(p - lr * g);
  }
}

// The sum of squares of each chunk. `total_norm` adds them up in order: the same bits for any number of multiprocessors.
template <class T> __global__ void __launch_bounds__(256) squares(const Table<T> t, acc_t<T>* __restrict__ parts) {
  typedef acc_t<T> A;
  __shared__ A room[32];
  index_t begin;
  const int k = my_tensor(t, &begin);
  const index_t end = begin + CHUNK < t.size[k] ? begin + CHUNK : t.size[k];
  A sum = A(0);
  for (index_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    const A g = load(t.g[k][i]);
    sum += g * g;
  }
  sum = block_reduce(sum, A(0), room, Sum());
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// p *= scale[0]
template <class T> __global__ void __launch_bounds__(256) rescale(const Table<T> t, const acc_t<T>* __restrict__ scale) {
  index_t begin;
  const int k = my_tensor(t, &begin);
  const index_t end = begin + CHUNK < t.size[k] ? begin + CHUNK : t.size[k];
  for (index_t i = begin + threadIdx.x; i < end; i += blockDim.x) t.p[k][i] = store<T>(load(t.p[k][i]) * scale[0]);
}

// out[0] = the norm; out[1] = the factor that brings it down to max_norm, at most 1. One block.
template <class A> __global__ void __launch_bounds__(1024) total_norm(const A* __restrict__ parts, int count, A* __restrict__ out, A max_norm) {
  __shared__ A room[32];
  A sum = A(0);
  for (int i = threadIdx.x; i < count; i += blockDim.x) sum += parts[i];
  sum = block_reduce(sum, A(0), room, Sum());
  if (threadIdx.x == 0) {
    const A norm = sqrt(sum), by = max_norm / (norm + A(1e-6));
    out[0] = norm;
    out[1] = by < A(1) ? by : A(1);
  }
}
