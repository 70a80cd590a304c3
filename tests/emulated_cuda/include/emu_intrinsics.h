// Device functions that the C library lacks: arithmetic, bits, cached loads and stores. The fast ones (__expf) are exact here.
#pragma once

template <class A, class B>
using emu_common_t = std::enable_if_t<std::is_arithmetic<A>::value && std::is_arithmetic<B>::value, std::common_type_t<A, B>>;
template <class A, class B> constexpr emu_common_t<A, B> min(A a, B b) {
  typedef emu_common_t<A, B> C;
  return (C)b < (C)a ? (C)b : (C)a;
}
template <class A, class B> constexpr emu_common_t<A, B> max(A a, B b) {
  typedef emu_common_t<A, B> C;
  return (C)a < (C)b ? (C)b : (C)a;
}

#define EMU_FLOAT(NAME, RESULT) \
  inline float NAME(float x) { return RESULT; }
EMU_FLOAT(__expf, expf(x))
EMU_FLOAT(__exp10f, powf(10.f, x))
EMU_FLOAT(__logf, logf(x))
EMU_FLOAT(__log2f, log2f(x))
EMU_FLOAT(__log10f, log10f(x))
EMU_FLOAT(__sinf, sinf(x))
EMU_FLOAT(__cosf, cosf(x))
EMU_FLOAT(__tanf, tanf(x))
EMU_FLOAT(rsqrtf, 1.f / sqrtf(x))
EMU_FLOAT(__frsqrt_rn, 1.f / sqrtf(x))
EMU_FLOAT(__frcp_rn, 1.f / x)
EMU_FLOAT(__fsqrt_rn, sqrtf(x))
EMU_FLOAT(__saturatef, x > 0.f ? (x < 1.f ? x : 1.f) : 0.f)  // NaN gives 0
EMU_FLOAT(normcdff, 0.5f * erfcf(-x * 0.70710678f))
EMU_FLOAT(sinpif, (float)sin(x * 3.14159265358979323846))
EMU_FLOAT(cospif, (float)cos(x * 3.14159265358979323846))
#undef EMU_FLOAT
inline double rsqrt(double x) { return 1. / sqrt(x); }
inline float rsqrt(float x) { return 1.f / sqrtf(x); }
inline double normcdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752); }
inline double sinpi(double x) { return sin(x * 3.14159265358979323846); }
inline double cospi(double x) { return cos(x * 3.14159265358979323846); }
inline void sincospi(double x, double* s, double* c) { *s = sinpi(x), *c = cospi(x); }
inline void sincospif(float x, float* s, float* c) { *s = sinpif(x), *c = cospif(x); }
inline void __sincosf(float x, float* s, float* c) { *s = sinf(x), *c = cosf(x); }
inline float __powf(float a, float b) { return powf(a, b); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
// volatile: -ffp-contract=fast would join the product and the sum that these exist to keep apart
inline float __fadd_rn(float a, float b) { volatile float r = a + b; return r; }
inline float __fsub_rn(float a, float b) { volatile float r = a - b; return r; }
inline float __fmul_rn(float a, float b) { volatile float r = a * b; return r; }
inline double __dadd_rn(double a, double b) { volatile double r = a + b; return r; }
inline double __dsub_rn(double a, double b) { volatile double r = a - b; return r; }
inline double __dmul_rn(double a, double b) { volatile double r = a * b; return r; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }

inline int __float2int_rn(float x) { return (int)nearbyintf(x); }
inline int __float2int_rz(float x) { return (int)x; }
inline int __float2int_rd(float x) { return (int)floorf(x); }
inline int __float2int_ru(float x) { return (int)ceilf(x); }
inline float __int2float_rn(int x) { return (float)x; }
inline float __uint2float_rn(unsigned x) { return (float)x; }
inline float __double2float_rn(double x) { return (float)x; }
inline long long __double2ll_rn(double x) { return llrint(x); }
inline double __ull2double_rn(unsigned long long x) { return (double)x; }

namespace emu {
template <class To, class From> inline To same_bits(From x) {
  static_assert(sizeof(To) == sizeof(From), "");
  To r;
  memcpy(&r, &x, sizeof r);
  return r;
}
}  // namespace emu
inline float __int_as_float(int x) { return emu::same_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return emu::same_bits<float>(x); }
inline int __float_as_int(float x) { return emu::same_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return emu::same_bits<unsigned>(x); }
inline long long __double_as_longlong(double x) { return emu::same_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emu::same_bits<double>(x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; ++i) r |= (x >> i & 1) << (31 - i);
  return r;
}
inline int __mulhi(int a, int b) { return (int)(((long long)a * b) >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((unsigned long long)a * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}
inline int __mul24(int a, int b) { return a * b; }

template <class T> __forceinline__ T __ldg(const T* p) { return *p; }
template <class T> __forceinline__ T __ldca(const T* p) { return *p; }
inline uint4 __ldca(const uint4* p) {  // one access of 16 bytes, as on a card: of a struct's copy the compiler makes four
  typedef unsigned int four __attribute__((vector_size(16)));
  const four v = *(const four*)p;
  return {v[0], v[1], v[2], v[3]};
}
template <class T> __forceinline__ T __ldcg(const T* p) { return *p; }
template <class T> __forceinline__ T __ldcs(const T* p) { return *p; }
template <class T> __forceinline__ void __stcg(T* p, typename emu::Plain<T>::type v) { *p = v; }
template <class T> __forceinline__ void __stcs(T* p, typename emu::Plain<T>::type v) { *p = v; }
template <class T> __forceinline__ void __stwt(T* p, typename emu::Plain<T>::type v) { *p = v; }
