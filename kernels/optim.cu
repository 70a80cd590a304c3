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

// Calls f(p, g, m, v, most), all but g by reference, for the elements of this block's chunk, 16 bytes at a time where it can. Of the
// state, what is null is zero, and not written.
template <class T, class S, class F> __device__ __forceinline__ void for_chunk(const Table<T, S>& t, F f) {
  typedef acc_t<T> A;
  const int size = Pack<T>::size;
  typedef Pack<S, size> State;
  index_t begin;
  const int k = my_tensor(t, &begin);
  const index_t end = begin + CHUNK < t.size[k] ? begin + CHUNK : t.size[k];
  T* const p = t.p[k] + begin;
  const T* const g = t.g[k] + begin;
  S *const m = t.m[k] ? t.m[k] + begin : nullptr, *const v = t.v[k] ? t.v[k] + begin : nullptr, *const most = t.most[k] ? t.most[k] + begin : nullptr;
  for_each_of<T>(
      end - begin, threadIdx.x, blockDim.x, aligned(p) && aligned(g) && aligned(m) && aligned(v) && aligned(most),
      [&](index_t i) {
        A x = load(p[i]), a = m ? A(load(m[i])) : A(0), b = v ? A(load(v[i])) : A(0), c = most ? A(load(most[i])) : A(0);
        f(x, load(g[i]), a, b, c);
        p[i] = store<T>(x);
        if (m) m[i] = store<S>(a);
        if (v) v[i] = store<S>(b);
        if (most) most[i] = store<S>(c);
      },
      [&](index_t i) {
        Pack<T> ps = pack_at(p, i);
        const Pack<T> gs = pack_at(g, i);
        State ms = {}, vs = {}, mosts = {};
        if (m) ms = whole<State>(m + i);
        if (v) vs = whole<State>(v + i);
        if (most) mosts = whole<State>(most + i);
#pragma unroll
        for (int e = 0; e < size; ++e) {
          A x = load(ps.item[e]), a = load(ms.item[e]), b = load(vs.item[e]), c = load(mosts.item[e]);
          f(x, load(gs.item[e]), a, b, c);
          ps.item[e] = store<T>(x);
          ms.item[e] = store<S>(a);
          vs.item[e] = store<S>(b);
          mosts.item[e] = store<S>(c);
        }
        *(Pack<T>*)(p + i) = ps;
        if (m) *(State*)(m + i) = ms;
        if (v) *(State*)(v + i) = vs;
        if (most) *(State*)(most + i) = mosts;
      });
}

// Kingma and Ba, "Adam", 2015; decoupled weight decay: Loshchilov and Hutter, "AdamW", 2019; the largest second
// moment: Reddi, Kale and Kumar, "On the convergence of Adam", 2018. `scale` multiplies the gradients
// (clipping, loss scale); step_size = lr / (1 - beta1^t), root = sqrt(1 - beta2^t).
template <class T, class S = acc_t<T>>
__global__ void __launch_bounds__(256)
adam(const Table<T, S> t, acc_t<T> step_size, acc_t<T> beta1, acc_t<T> beta2, acc_t<T> eps, acc_t<T> decay, acc_t<T> shrink, acc_t<T> root,
     const acc_t<T>* __restrict__ scale, int maximize) {
  typedef acc_t<T> A;
  const A by = (maximize ? A(-1) : A(1)) * (scale ? *scale : A(1));
  for_chunk(t, [&](A& p, A g, A& m, A& v, A& most) {
    p *= shrink;              // AdamW: 1 - lr * weight_decay, else 1
    g = g * by + decay * p;  // Adam: weight_decay, else 0
    m = beta1 * m + (A(1) - beta1) * g;
    v = beta2 * v + (A(1) - beta2) * g * g;
    most = Max()(most, v);  // zero where it is not kept, and v is never less
    p -= step_size * m / (sqrt(most) / root + eps);
  });
}

// momentum = 0: no buffer. first: the buffer is not yet there and becomes the gradient.
template <class T, class S = acc_t<T>>
__global__ void __launch_bounds__(256)
sgd(const Table<T, S> t, acc_t<T> lr, acc_t<T> momentum, acc_t<T> dampening, acc_t<T> decay, const acc_t<T>* __restrict__ scale, int nesterov,
    int first, int maximize) {
  typedef acc_t<T> A;
  const A by = (maximize ? A(-1) : A(1)) * (scale ? *scale : A(1));
  for_chunk(t, [&](A& p, A g, A& m, A&, A&) {
    g = g * by + decay * p;
    if (momentum != A(0)) {
      m = first ? g : momentum * m + (A(1) - dampening) * g;
      g = nesterov ? g + momentum * m : m;
    }
    p -= lr * g;
  });
}

// The sum of squares of each chunk. `total_norm` adds them up in order: the same bits for any number of multiprocessors.
template <class T> __global__ void __launch_bounds__(256) squares(const Table<T> t, acc_t<T>* __restrict__ parts) {
  typedef acc_t<T> A;
  __shared__ A room[32];
  index_t begin;
  const int k = my_tensor(t, &begin);
  const index_t end = begin + CHUNK < t.size[k] ? begin + CHUNK : t.size[k];
  A sum = A(0);
  read_row(end - begin, threadIdx.x, blockDim.x, [&](index_t, A g) { sum += g * g; }, t.g[k] + begin);
  sum = block_reduce(sum, A(0), room, Sum());
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// p *= scale[0]
template <class T> __global__ void __launch_bounds__(256) rescale(const Table<T> t, const acc_t<T>* __restrict__ scale) {
  index_t begin;
  const int k = my_tensor(t, &begin);
  const index_t end = begin + CHUNK < t.size[k] ? begin + CHUNK : t.size[k];
  T* const p = t.p[k] + begin;
  map_row(p, end - begin, threadIdx.x, blockDim.x, [&](index_t, acc_t<T> v) { return v * scale[0]; }, (const T*)p);
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
    out[1] = by >= A(1) ? A(1) : by;  // NaN stays
  }
}

// ---- one kernel for the others: how each updates one element is a functor
//
// p, g: the parameter, already times `shrink`, and the gradient; a, b, c: the state, in the order in which the optimizer keeps it;
// r: the numbers of the step. A functor returns what is subtracted from p.

template <class T> struct Numbers {
  acc_t<T> r[8];
};

struct Adamax {  // Kingma and Ba, 2015, section 7. a, b: mean, largest; r: beta1, beta2, eps, rate
  template <class A> __device__ __forceinline__ A operator()(A p, A g, A& a, A& b, A& c, const A* r) const {
    a = r[0] * a + (A(1) - r[0]) * g;
    b = Max()(r[1] * b, A(fabs(g)) + r[2]);
    return r[3] * a / b;
  }
};

struct NAdam {  // Dozat, 2016. a, b: means of g and g^2; r: beta1, beta2, eps, root, gradient_rate, momentum_rate
  template <class A> __device__ __forceinline__ A operator()(A p, A g, A& a, A& b, A& c, const A* r) const {
    a = r[0] * a + (A(1) - r[0]) * g;
    b = r[1] * b + (A(1) - r[1]) * g * g;
    return (r[4] * g + r[5] * a) / (sqrt(b) / r[3] + r[2]);
  }
};

struct RAdam {  // Liu et al., 2020. a, b: means of g and g^2; r: beta1, beta2, eps, rate, adaptive
  template <class A> __device__ __forceinline__ A operator()(A p, A g, A& a, A& b, A& c, const A* r) const {
    a = r[0] * a + (A(1) - r[0]) * g;
    b = r[1] * b + (A(1) - r[1]) * g * g;
    return r[4] != A(0) ? r[3] * a / (sqrt(b) + r[2]) : r[3] * a;
  }
};

struct RMSprop {  // Tieleman and Hinton, 2012. a, b, c: mean of g^2, momentum, mean of g; r: lr, alpha, eps, momentum, has b, has c
  template <class A> __device__ __forceinline__ A operator()(A p, A g, A& a, A& b, A& c, const A* r) const {
    a = r[1] * a + (A(1) - r[1]) * g * g;
    A v = a;
    if (r[5] != A(0)) {
      c = r[1] * c + (A(1) - r[1]) * g;
      v -= c * c;
    }
    const A d = g / (sqrt(v) + r[2]);
    if (r[4] == A(0)) return r[0] * d;
    b = r[3] * b + d;
    return r[0] * b;
  }
};

struct Adagrad {  // Duchi, Hazan and Singer, 2011. a: sum of g^2; r: rate, eps
  template <class A> __device__ __forceinline__ A operator()(A p, A g, A& a, A& b, A& c, const A* r) const {
    a += g * g;
    return r[0] * g / (sqrt(a) + r[1]);
  }
};

struct Adadelta {  // Zeiler, 2012. a, b: means of g^2 and of d^2; r: lr, rho, eps
  template <class A> __device__ __forceinline__ A operator()(A p, A g, A& a, A& b, A& c, const A* r) const {
    a = r[1] * a + (A(1) - r[1]) * g * g;
    const A d = g / sqrt(a + r[2]) * sqrt(b + r[2]);
    b = r[1] * b + (A(1) - r[1]) * d * d;
    return r[0] * d;
  }
};

struct Rprop {  // Riedmiller and Braun, 1993. a, b: last g, step size; r: eta_minus, eta_plus, smallest, largest
  template <class A> __device__ __forceinline__ A operator()(A p, A g, A& a, A& b, A& c, const A* r) const {
    const A t = g * a;
    if (t > A(0)) b *= r[1];
    if (t < A(0)) b *= r[0], g = A(0);
    b = b < r[2] ? r[2] : b > r[3] ? r[3] : b;
    a = g;
    return g > A(0) ? b : g < A(0) ? -b : g * b;  // NaN stays
  }
};

struct ASGD {  // Polyak and Juditsky, 1992. a: mean of p; r: eta, mu
  template <class A> __device__ __forceinline__ A operator()(A p, A g, A& a, A& b, A& c, const A* r) const {
    const A d = r[0] * g;
    a = r[1] == A(1) ? p - d : a + r[1] * (p - d - a);
    return d;
  }
};

struct Lion {  // Chen et al., 2023. a: mean of g; r: lr, beta1, beta2
  template <class A> __device__ __forceinline__ A operator()(A p, A g, A& a, A& b, A& c, const A* r) const {
    const A d = r[1] * a + (A(1) - r[1]) * g;
    a = r[2] * a + (A(1) - r[2]) * g;
    return d > A(0) ? r[0] : d < A(0) ? -r[0] : r[0] * d;
  }
};

template <class T, class S, class F>
__global__ void __launch_bounds__(256)
update(const Table<T, S> t, const Numbers<T> n, acc_t<T> decay, acc_t<T> shrink, int maximize) {
  typedef acc_t<T> A;
  const A by = maximize ? A(-1) : A(1);
  for_chunk(t, [&](A& p, A g, A& a, A& b, A& c) {
    g = g * by + decay * p;
    p *= shrink;
    p -= F()(p, g, a, b, c, n.r);
  });
}
