// Max and average pooling of (planes, height, width), forward and backward.
//
// Max pooling keeps which element of its window each output is, row by row of the window: one byte where a window has at most 256
// elements. Backward is a gather: an element adds up the gradients of the windows it lies in, in order, so nothing is atomic.
#include "common.cuh"

typedef unsigned char byte_t;

struct Window {
  int height, width, out_height, out_width;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
};

// The first and the last output, of `outputs` along one dimension, whose window of size (kernel - 1) * dilation + 1 may hold element i.
__device__ __forceinline__ void windows_of(int i, int outputs, int kernel, int stride, int pad, int dilation, int* first, int* last) {
  const int beyond = i + pad - (kernel - 1) * dilation;
  *first = beyond > 0 ? (beyond + stride - 1) / stride : 0;
  *last = (i + pad) / stride < outputs ? (i + pad) / stride : outputs - 1;
}

// Calls f(plane, h, v) for those elements of (planes, height, width) that fall to this thread. Planes are taken in groups of less than
// 2^32 elements, so that all divisions are of 32 bits, which are a few instructions, and none of 64, which are calls.
template <class F> __device__ __forceinline__ void for_elements(index_t planes, int height, int width, F f) {
  const unsigned int size = (unsigned int)height * width, thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
  const index_t group = (1u << 30) / size + 1;
  for (index_t first = 0; first < planes; first += group) {
    const unsigned int n = (unsigned int)(first + group < planes ? group : planes - first) * size;
    for (unsigned int i = thread; i < n; i += threads) {
      const unsigned int row = i / width, plane = row / height;
      f(first + plane, (int)(row - plane * height), (int)(i - row * width));
    }
  }
}

// The last NaN wins, else the first of equals. The padding never does.
template <class T, class I>
__global__ void __launch_bounds__(256)
max_pool_forward(const T* __restrict__ x, T* __restrict__ y, I* __restrict__ which, index_t planes, const Window w) {
  typedef acc_t<T> A;
  for_elements(planes, w.out_height, w.out_width, [=](index_t p, int oh, int ow) {
    const T* plane = x + p * w.height * w.width;
    const index_t item = (p * w.out_height + oh) * w.out_width + ow;
    A best = A(-INFINITY);
    int found = -1;
    for (int a = 0; a < w.kernel_h; ++a) {
      const int h = oh * w.stride_h - w.pad_h + a * w.dilation_h;
      if (h < 0 || h >= w.height) continue;
      for (int b = 0; b < w.kernel_w; ++b) {
        const int v = ow * w.stride_w - w.pad_w + b * w.dilation_w;
        if (v < 0 || v >= w.width) continue;
        const A value = load(plane[(index_t)h * w.width + v]);
        if (found < 0 || value > best || value != value) {
          best = value;
          found = a * w.kernel_w + b;
        }
      }
    }
    y[item] = store<T>(best);
    if (which) which[item] = I(found < 0 ? 0 : found);
  });
}

template <class T, class I>
__global__ void __launch_bounds__(256)
max_pool_backward(const T* __restrict__ g, const I* __restrict__ which, T* __restrict__ dx, index_t planes, const Window w) {
  typedef acc_t<T> A;
  for_elements(planes, w.height, w.width, [=](index_t p, int h, int v) {
    const index_t plane = p * w.out_height * w.out_width;
    int top, bottom, left, right;
    windows_of(h, w.out_height, w.kernel_h, w.stride_h, w.pad_h, w.dilation_h, &top, &bottom);
    windows_of(v, w.out_width, w.kernel_w, w.stride_w, w.pad_w, w.dilation_w, &left, &right);
    A sum = A(0);
    for (int oh = top; oh <= bottom; ++oh)
      for (int ow = left; ow <= right; ++ow) {
        const int k = which[plane + (index_t)oh * w.out_width + ow];
        const bool here = oh * w.stride_h - w.pad_h + k / w.kernel_w * w.dilation_h == h &&
                          ow * w.stride_w - w.pad_w + k % w.kernel_w * w.dilation_w == v;
        if (here) sum += load(g[plane + (index_t)oh * w.out_width + ow]);
      }
    dx[(p * w.height + h) * w.width + v] = store<T>(sum);
  });
}

// What the sum over a window is divided by: `divisor` if it is not 0, else how many elements it has, with the padding (but nothing
// beyond it) if that counts.
template <class A> __device__ __forceinline__ A share_of(const Window& w, int oh, int ow, int counts_padding, int divisor) {
  if (divisor) return A(1) / divisor;
  int top = oh * w.stride_h - w.pad_h, left = ow * w.stride_w - w.pad_w;
  int bottom = top + w.kernel_h, right = left + w.kernel_w;
  bottom = bottom < w.height + w.pad_h ? bottom : w.height + w.pad_h;
  right = right < w.width + w.pad_w ? right : w.width + w.pad_w;
  if (!counts_padding) {
    top = top > 0 ? top : 0;
    left = left > 0 ? left : 0;
    bottom = bottom < w.height ? bottom : w.height;
    right = right < w.width ? right : w.width;
  }
  return A(1) / A((bottom - top) * (right - left));
}

template <class T>
__global__ void __launch_bounds__(256)
average_pool_forward(const T* __restrict__ x, T* __restrict__ y, index_t planes, const Window w, int counts_padding, int divisor) {
  typedef acc_t<T> A;
  for_elements(planes, w.out_height, w.out_width, [=](index_t p, int oh, int ow) {
    const T* plane = x + p * w.height * w.width;
    const index_t item = (p * w.out_height + oh) * w.out_width + ow;
    A sum = A(0);
    for (int a = 0; a < w.kernel_h; ++a) {
      const int h = oh * w.stride_h - w.pad_h + a;
      if (h < 0 || h >= w.height) continue;
      for (int b = 0; b < w.kernel_w; ++b) {
        const int v = ow * w.stride_w - w.pad_w + b;
        if (v >= 0 && v < w.width) sum += load(plane[(index_t)h * w.width + v]);
      }
    }
    y[item] = store<T>(sum * share_of<A>(w, oh, ow, counts_padding, divisor));
  });
}

template <class T>
__global__ void __launch_bounds__(256)
average_pool_backward(const T* __restrict__ g, T* __restrict__ dx, index_t planes, const Window w, int counts_padding, int divisor) {
  typedef acc_t<T> A;
  for_elements(planes, w.height, w.width, [=](index_t p, int h, int v) {
    const T* plane = g + p * w.out_height * w.out_width;
    int top, bottom, left, right;
    windows_of(h, w.out_height, w.kernel_h, w.stride_h, w.pad_h, 1, &top, &bottom);
    windows_of(v, w.out_width, w.kernel_w, w.stride_w, w.pad_w, 1, &left, &right);
    A sum = A(0);
    for (int oh = top; oh <= bottom; ++oh)
      for (int ow = left; ow <= right; ++ow)
        sum += load(plane[(index_t)oh * w.out_width + ow]) * share_of<A>(w, oh, ow, counts_padding, divisor);
    dx[(p * w.height + h) * w.width + v] = store<T>(sum);
  });
}
