// Put before a CUDA source so that g++ compiles it unchanged: each of these headers gives a part of CUDA C++ to host code.
#pragma once
#include <cassert>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <math.h>  // after <cmath>: brings exp(float) and friends into the global namespace; ::exp(double) alone would hide rounding
#include <type_traits>
#include <utility>

#include <vector_functions.h>  // NVIDIA's own: dim3, float4 (aligned to 16), make_float4 ...
#include <vector_types.h>

#include "emu_qualifiers.h"

#include "emu_interface.h"

#include "emu_sync.h"

#include "emu_warp.h"

#include "emu_atomics.h"

#include "emu_intrinsics.h"

#include "emu_entry.h"
