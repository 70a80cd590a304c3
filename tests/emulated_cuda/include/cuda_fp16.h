// NVIDIA's own header: half's type, conversions and arithmetic have host versions there. Below, what only devices get.
#pragma once
#include "emu.h"

#include_next <cuda_fp16.h>

#include "emu_qualifiers.h"

#define EMU_HALF(NAME, RESULT)         \
  inline __half NAME(__half a) {       \
    const float x = __half2float(a);   \
    return __float2half_rn(RESULT);    \
  }
EMU_HALF(hexp, expf(x))
EMU_HALF(hlog, logf(x))
EMU_HALF(hsqrt, sqrtf(x))
EMU_HALF(hrsqrt, 1.f / sqrtf(x))
EMU_HALF(hrcp, 1.f / x)
EMU_HALF(hsin, sinf(x))
EMU_HALF(hcos, cosf(x))
EMU_HALF(htanh, tanhf(x))
#undef EMU_HALF

// in double: product and sum are exact, so that there is one rounding
inline __half __hfma(__half a, __half b, __half c) {
  return __double2half((double)__half2float(a) * (double)__half2float(b) + (double)__half2float(c));
}
inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) {
  return __halves2half2(__hfma(__low2half(a), __low2half(b), __low2half(c)), __hfma(__high2half(a), __high2half(b), __high2half(c)));
}
