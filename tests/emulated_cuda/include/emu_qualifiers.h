// The words of CUDA C++. Without #pragma once: NVIDIA's headers bring their own definitions in, and this one goes on top again.
//
// __emu_global__, __emu_bounds__ and __emu_shared__ survive the preprocessor. build.py finds the kernels by the first two and
// removes them; it turns the third into `static thread_local`, or into a pointer to the block's dynamic shared memory.
#undef __global__
#undef __device__
#undef __host__
#undef __constant__
#undef __managed__
#undef __shared__
#undef __forceinline__
#undef __noinline__
#undef __launch_bounds__
#undef __grid_constant__
#define __global__ __emu_global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __shared__ __emu_shared__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...) __emu_bounds__(__VA_ARGS__)
#define __grid_constant__
