// NVIDIA's own header, as cuda_fp16.h.
#pragma once
#include "emu.h"

#include_next <cuda_bf16.h>

#include "emu_qualifiers.h"

inline __nv_bfloat16 __hfma(__nv_bfloat16 a, __nv_bfloat16 b, __nv_bfloat16 c) {
  return __double2bfloat16((double)__bfloat162float(a) * (double)__bfloat162float(b) + (double)__bfloat162float(c));
}
