// Activation functions, forward and backward.
//
// The backward of each takes what its rule saves: the output where that is enough, else the input. `p` and `q` are the
// parameters of the function (negative_slope, alpha ...) and are not read by most.
#include "common.cuh"

#define UNARY(NAME, SAVES_OUTPUT, FORWARD, BACKWARD)                                                    \
  struct NAME {                                                                                         \
    static const bool saves_output = SAVES_OUTPUT;                                                      \
    template <class A> static __device__ __forceinline__ A forward(A x, A p, A q) { return FORWARD; }   \
    template <class A> static __device__ __forceinline__ A backward(A g, A s, A p, A q) { return BACKWARD; } \
  };

template <class A> __device__ __forceinline__ A logistic(A x) { return A(1) / (A(1) + exp(-x)); }
template <class A> __device__ __forceinline__ A gelu_inner(A x) { return A(0.7978845608028654) * (x + A(0.044715) * x * x * x); }
template <class A> __device__ __forceinline__ A gelu_exact_slope(A x) {
  return A(0.5) * erfc(x * A(-0.7071067811865476)) + x * A(0.3989422804014327) * exp(A(-0.5) * x * x);
}
template <class A> __device__ __forceinline__ A gelu_tanh_slope(A x) {
  const A t = tanh(gelu_inner(x));
  return A(0.5) * (A(1) + t) + A(0.5) * x * (A(1) - t * t) * A(0.7978845608028654) * (A(1) + A(0.134145) * x * x);
}
template <class A> __device__ __forceinline__ A silu_slope(A x) {
  const A s = logistic(x);
  return s * (A(1) + x * (A(1) - s));
}
template <class A> __device__ __forceinline__ A log1p_exp(A x) {  // log(1 + exp(x)), without overflow
  return x > A(0) ? x + log1p(exp(-x)) : log1p(exp(x));
}

// s is the output of those that save it, else the input
UNARY(Relu, true, x < A(0) ? A(0) : x, s <= A(0) ? A(0) : g)
UNARY(LeakyRelu, false, x > A(0) ? x : p * x, s > A(0) ? g : p * g)
UNARY(Tanh, true, tanh(x), g * (A(1) - s * s))
UNARY(Sigmoid, true, logistic(x), g * s * (A(1) - s))
UNARY(Exp, true, exp(x), g * s)
UNARY(Silu, false, x / (A(1) + exp(-x)), g * silu_slope(s))
UNARY(Gelu, false, A(0.5) * x * erfc(x * A(-0.7071067811865476)), g * gelu_exact_slope(s))
UNARY(GeluTanh, false, A(0.5) * x * (A(1) + tanh(gelu_inner(x))), g * gelu_tanh_slope(s))
UNARY(Elu, true, x > A(0) ? x : p * expm1(x), s > A(0) ? g : g * (s + p))
UNARY(Softplus, false, x * p > q ? x : log1p_exp(x * p) / p, s * p > q ? g : g * logistic(s * p))

template <class T, class F>
__global__ void __launch_bounds__(256) activation_forward(const T* __restrict__ x, T* __restrict__ y, index_t n, acc_t<T> p, acc_t<T> q) {
  for_each<T>(
      n, aligned(x) && aligned(y),
      [=](index_t i) { y[i] = store<T>(F::forward(load(x[i]), p, q)); },
      [=](index_t i) {
        Pack<T> v = *(const Pack<T>*)(x + i);
#pragma unroll
        for (int k = 0; k < Pack<T>::size; ++k) v.item[k] = store<T>(F::forward(load(v.item[k]), p, q));
        *(Pack<T>*)(y + i) = v;
      });
}

template <class T, class F>
__global__ void __launch_bounds__(256)
activation_backward(const T* __restrict__ g, const T* __restrict__ saved, T* __restrict__ dx, index_t n, acc_t<T> p, acc_t<T> q) {
  for_each<T>(
      n, aligned(g) && aligned(saved) && aligned(dx),
      [=](index_t i) { dx[i] = store<T>(F::backward(load(g[i]), load(saved[i]), p, q)); },
      [=](index_t i) {
        Pack<T> a = *(const Pack<T>*)(g + i);
        const Pack<T> s = *(const Pack<T>*)(saved + i);
#pragma unroll
        for (int k = 0; k < Pack<T>::size; ++k) a.item[k] = store<T>(F::backward(load(a.item[k]), load(s.item[k]), p, q));
        *(Pack<T>*)(dx + i) = a;
      });
}
