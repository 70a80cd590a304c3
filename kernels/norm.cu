// layer_norm and rms_norm along rows, forward and backward.
//
// The mean and the squared distances from it come in two passes over the row, which the caches hold: the one-pass formula
// E[x^2] - E[x]^2 loses all digits where the mean is large. Rows are shared out to blocks in a fixed way.
#include "common.cuh"

// y = (x - mean) * rstd * weight + bias;  RMS: y = x * rstd * weight, with rstd = 1 / sqrt(mean(x^2) + eps).
// weight and bias may be null.
template <class T, bool RMS>
__global__ void __launch_bounds__(256)
norm_forward(const T* __restrict__ x, const T* __restrict__ weight, const T* __restrict__ bias, T* __restrict__ y, acc_t<T>* __restrict__ mean,
             acc_t<T>* __restrict__ rstd, index_t rows, int columns, acc_t<T> eps) {
  typedef acc_t<T> A;
  __shared__ A room[32];
  for (index_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* from = x + row * columns;
    A center = A(0), spread = A(0);
    if (!RMS) {
      read_row(columns, threadIdx.x, blockDim.x, [&](index_t, A v) { center += v; }, from);
      center = block_reduce(center, A(0), room, Sum()) / columns;
    }
    read_row(columns, threadIdx.x, blockDim.x, [&](index_t, A v) { spread += (v - center) * (v - center); }, from);
    const A r = A(1) / sqrt(block_reduce(spread, A(0), room, Sum()) / columns + eps);
    auto f = [&](index_t, A v, A w, A b) { return (v - center) * r * w + b; };
    map_row(y + row * columns, columns, threadIdx.x, blockDim.x, f, from, Or<T>{weight, 1}, Or<T>{bias, 0});
    if (threadIdx.x == 0) {
      if (!RMS) mean[row] = center;
      rstd[row] = r;
    }
  }
}

// dx = rstd (w g - mean(w g) - xhat mean(w g xhat));  RMS without the middle term
template <class T, bool RMS>
__global__ void __launch_bounds__(256)
norm_backward_x(const T* __restrict__ g, const T* __restrict__ x, const T* __restrict__ weight, const acc_t<T>* __restrict__ mean,
                const acc_t<T>* __restrict__ rstd, T* __restrict__ dx, index_t rows, int columns) {
  typedef acc_t<T> A;
  __shared__ A room[32];
  for (index_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T *from = x + row * columns, *grad = g + row * columns;
    const A center = RMS ? A(0) : mean[row], r = rstd[row];
    A plain = A(0), along = A(0);
    auto add = [&](index_t, A d, A v, A w) {
      plain += d * w;
      along += d * w * (v - center) * r;
    };
    read_row(columns, threadIdx.x, blockDim.x, add, grad, from, Or<T>{weight, 1});
    if (!RMS) plain = block_reduce(plain, A(0), room, Sum()) / columns;
    along = block_reduce(along, A(0), room, Sum()) / columns;
    auto f = [&](index_t, A d, A v, A w) { return (d * w - (RMS ? A(0) : plain) - (v - center) * r * along) * r; };
    map_row(dx + row * columns, columns, threadIdx.x, blockDim.x, f, grad, from, Or<T>{weight, 1});
  }
}

// The gradients of weight and bias, column sums of g xhat and g, in two launches: each block sums `chunk` rows of 32 columns into
// its line of `parts` (2 x blocks x columns), and `add_parts` adds the lines up in order.
template <class T, bool RMS>
__global__ void __launch_bounds__(256)
norm_backward_parts(const T* __restrict__ g, const T* __restrict__ x, const acc_t<T>* __restrict__ mean, const acc_t<T>* __restrict__ rstd,
                    acc_t<T>* __restrict__ parts, index_t rows, int columns, index_t chunk) {
  typedef acc_t<T> A;
  __shared__ A weights[8][33], biases[8][33];
  const int c = blockIdx.x * 32 + threadIdx.x;
  const index_t begin = blockIdx.y * chunk, end = begin + chunk < rows ? begin + chunk : rows;
  A w = A(0), b = A(0);
  if (c < columns)
    for (index_t row = begin + threadIdx.y; row < end; row += 8) {
      const A d = load(g[row * columns + c]);
      w += d * (load(x[row * columns + c]) - (RMS ? A(0) : mean[row])) * rstd[row];
      b += d;
    }
  weights[threadIdx.y][threadIdx.x] = w;
  biases[threadIdx.y][threadIdx.x] = b;
  __syncthreads();
  if (threadIdx.y == 0 && c < columns) {
#pragma unroll
    for (int k = 1; k < 8; ++k) {
      w += weights[k][threadIdx.x];
      b += biases[k][threadIdx.x];
    }
    parts[blockIdx.y * (index_t)columns + c] = w;
    parts[(gridDim.y + blockIdx.y) * (index_t)columns + c] = b;
  }
}

// out[c] = the sum over `lines` of parts[line][c], first to last
template <class T>
__global__ void __launch_bounds__(256) add_parts(const acc_t<T>* __restrict__ parts, T* __restrict__ out, int lines, int columns) {
  for (int c = blockIdx.x * blockDim.x + threadIdx.x; c < columns; c += gridDim.x * blockDim.x) {
    acc_t<T> sum = acc_t<T>(0);
    for (int line = 0; line < lines; ++line) sum += parts[line * (index_t)columns + c];
    out[c] = store<T>(sum);
  }
}
