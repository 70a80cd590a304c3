// nvcuda::wmma. CUDA leaves open which lane holds which element of a tile; here element e of lane l is number 32 e + l, by rows.
#pragma once
#include "emu.h"

#include "emu_qualifiers.h"

namespace nvcuda {
namespace wmma {

struct row_major;
struct col_major;
struct matrix_a;
struct matrix_b;
struct accumulator;
enum layout_t { mem_row_major, mem_col_major };

template <class Use, int M, int N, int K, class T, class Layout = void> struct fragment {
  static constexpr int rows = std::is_same<Use, matrix_b>::value ? K : M;
  static constexpr int columns = std::is_same<Use, matrix_a>::value ? K : N;
  static constexpr int num_elements = rows * columns / 32;
  T x[num_elements];
};

template <class F, class T> EMU_UNSEEN inline void fill_fragment(F& f, T v) {
  for (auto& element : f.x) element = v;
}

// Calls each(element of this lane, offset in memory); all lanes come in and go out together.
template <class F, class Each> __forceinline__ void for_elements(F& f, unsigned stride, bool by_columns, emu::Site site, Each each) {
  __syncwarp(~0u, site);
  for (int e = 0; e < F::num_elements; ++e) {
    const size_t i = e * 32 + emu::lane(), row = i / F::columns, column = i % F::columns;
    each(f.x[e], by_columns ? column * stride + row : row * stride + column);
  }
  __syncwarp(~0u, site);
}

template <class Use, int M, int N, int K, class T, class Layout>
__forceinline__ void load_matrix_sync(fragment<Use, M, N, K, T, Layout>& f, const T* p, unsigned stride, EMU_SITE) {
  for_elements(f, stride, std::is_same<Layout, col_major>::value, site, [=](T& v, size_t i) { v = p[i]; });
}
template <int M, int N, int K, class T>
__forceinline__ void load_matrix_sync(fragment<accumulator, M, N, K, T>& f, const T* p, unsigned stride, layout_t layout, EMU_SITE) {
  for_elements(f, stride, layout == mem_col_major, site, [=](T& v, size_t i) { v = p[i]; });
}
template <int M, int N, int K, class T>
__forceinline__ void store_matrix_sync(T* p, const fragment<accumulator, M, N, K, T>& f, unsigned stride, layout_t layout, EMU_SITE) {
  for_elements(f, stride, layout == mem_col_major, site, [=](const T& v, size_t i) { p[i] = v; });
}

template <class A, class B, class C, class D> struct Operands {
  D* d;
  const A* a;
  const B* b;
  const C* c;
};

// d = a b + c: the last lane to arrive computes the whole tile.
template <class D, class A, class B, class C> EMU_UNSEEN inline void mma_sync(D& d, const A& a, const B& b, const C& c, EMU_SITE) {
  typedef Operands<A, B, C, D> Lane;
  Lane mine = {&d, &a, &b, &c};
  emu::together(&mine, [](uint64_t* lanes) {
    const auto lane = [&](int i) { return (const Lane*)lanes[i & 31]; };
    float left[A::rows * A::columns], right[B::rows * B::columns], result[D::rows * D::columns];
    for (int i = 0; i < A::rows * A::columns; ++i) left[i] = (float)lane(i)->a->x[i >> 5];
    for (int i = 0; i < B::rows * B::columns; ++i) right[i] = (float)lane(i)->b->x[i >> 5];
    for (int i = 0; i < D::rows * D::columns; ++i) {
      float sum = (float)lane(i)->c->x[i >> 5];
      for (int k = 0; k < A::columns; ++k) sum += left[i / D::columns * A::columns + k] * right[k * B::columns + i % D::columns];
      result[i] = sum;
    }
    for (int i = 0; i < D::rows * D::columns; ++i) lane(i)->d->x[i >> 5] = result[i];
  }, site);
}

}  // namespace wmma
}  // namespace nvcuda
