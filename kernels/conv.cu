// Convolutions of (images, channels, depth, height, width) as products of matrices that are never in memory: a tile of the left
// factor and one of the right are gathered into shared memory, DEPTH terms of the sum at a time, by where each of them is in the
// arrays. conv_gather is the forward and the gradient of the input, conv_weight that of the weight.
//
// A block has 128 threads and ROWS rows of the product, by as many columns as Tile says; ROWS is 64, 32, or 8 for narrow groups,
// such as those of depthwise convolutions. A thread has 8 rows by up to 4 columns in registers. While a slice is multiplied, the
// next one is on its way into registers; shared memory holds two, so that there is one barrier to a slice, and none between tiles:
// what describes a tile is read before the barrier of its last slice, and that slice is written over after one of the next tile's.
#include "common.cuh"

#define THREADS 128
#define DEPTH 16
#define OUTSIDE 536870912  // minus this, plus anything that is near an array, is in none

struct Axis {  // sizes along it, of what is read and what is written: for conv_weight these are input and output
  int source, target, kernel, stride, padding, dilation;
};

struct Conv {
  Axis axis[3];                        // depth, height, width
  int images, groups, rows, channels;  // rows and channels of a group: of the product, and of what is summed over or lies along columns
  int back;                            // whether it is the input's gradient
};

// What lies along one dimension of the elements that are written together: all of them, or, where the gradient of an input is taken
// through a stride, every stride-th, which are those that the same offsets of the kernel reach.
struct Walk {
  int first, step, count;             // where element i of them is: first + i * step
  int base, by;                       // what it reads: base + i * by + k * reach, with the k-th of
  int tap, tap_step, taps, reach;     // the offsets tap + k * tap_step
};

__device__ __forceinline__ Walk walk_of(const Axis& a, int phase, bool back) {
  if (!back) return {0, 1, a.target, -a.padding, a.stride, 0, 1, a.kernel, a.dilation};
  Walk w;
  int common = a.stride, other = a.dilation;  // their greatest common divisor
  while (other) {
    const int left = common % other;
    common = other;
    other = left;
  }
  w.step = a.stride;
  w.first = ((phase - a.padding) % a.stride + a.stride) % a.stride;
  w.count = w.first < a.target ? (a.target - 1 - w.first) / a.stride + 1 : 0;
  w.tap_step = a.stride / common;
  for (w.tap = 0; w.tap < w.tap_step && w.tap * a.dilation % a.stride != phase; ++w.tap) {}
  w.taps = w.tap < w.tap_step && w.tap < a.kernel ? (a.kernel - 1 - w.tap) / w.tap_step + 1 : 0;
  w.base = (w.first + a.padding - w.tap * a.dilation) / a.stride;  // without a remainder if there are taps
  w.by = 1;
  w.reach = -(a.dilation / common);
  return w;
}

// What a column of the product, or a term of its sum, adds to where an element of the right factor is: to its number, and to its place
// along each dimension.
struct Spot {
  index_t number;
  int d, h, w;
};

// A term; `other` is what it adds in the array that the left factor is from, less than 0 if there is no such term.
struct alignas(16) Tap {
  Spot at;
  index_t other;
  int apart[4];  // so that 8 neighbours lie in different banks
};

__device__ __forceinline__ Spot nowhere() { return {0, -OUTSIDE, -OUTSIDE, -OUTSIDE}; }

__device__ __forceinline__ index_t place(int d, int h, int w, int height, int width) { return ((index_t)d * height + h) * width + w; }

__device__ __forceinline__ bool inside(const Spot& a, const Spot& b, const Conv& s) {
  return (unsigned int)(a.d + b.d) < (unsigned int)s.axis[0].source && (unsigned int)(a.h + b.h) < (unsigned int)s.axis[1].source &&
         (unsigned int)(a.w + b.w) < (unsigned int)s.axis[2].source;
}

// ---- tiles

template <class A, int N> struct alignas(N * sizeof(A)) Several {
  A item[N];
};

template <class A, int ROWS> struct Tile {
  static constexpr int over = ROWS / 8, beside = THREADS / over, each = 128 / beside < 4 ? 128 / beside : 4, columns = beside * each;
  static constexpr int tall = 16 / sizeof(A), wide = each < tall ? each : tall;  // neighbours that a thread reads together
  A left[2][DEPTH][ROWS + 4], right[2][DEPTH][columns + 4];                      // 4: for different banks, and packs of 16 bytes
};

// The row and the column of a tile that a thread's r-th row and c-th column are.
template <class A, int ROWS> __device__ __forceinline__ int row_of(int r) {
  typedef Tile<A, ROWS> Own;
  return (r / Own::tall * Own::over + threadIdx.x / Own::beside) * Own::tall + r % Own::tall;
}
template <class A, int ROWS> __device__ __forceinline__ int column_of(int c) {
  typedef Tile<A, ROWS> Own;
  return (c / Own::wide * Own::beside + threadIdx.x % Own::beside) * Own::wide + c % Own::wide;
}

// The i-th element that a thread gathers of a tile of N rows or columns whose neighbours in memory are terms of the sum: 8 terms of
// 4 rows by a warp, which come from whole sectors and go to 32 banks.
template <int N> __device__ __forceinline__ void element_of(int i, int* term, int* row) {
  const int e = threadIdx.x + i * THREADS;
  *term = e % 8 + e / (8 * N) * 8;
  *row = e / 8 % N;
}

template <class A, int ROWS>
__device__ __forceinline__ void multiply(const Tile<A, ROWS>& tile, int slot, A (&acc)[8][Tile<A, ROWS>::each]) {
  typedef Tile<A, ROWS> Own;
#pragma unroll 8  // all 16 take registers that would be better used for more blocks
  for (int k = 0; k < DEPTH; ++k) {
    A a[8], b[Own::each];
#pragma unroll
    for (int r = 0; r < 8; r += Own::tall) *(Several<A, Own::tall>*)(a + r) = *(const Several<A, Own::tall>*)&tile.left[slot][k][row_of<A, ROWS>(r)];
#pragma unroll
    for (int c = 0; c < Own::each; c += Own::wide)
      *(Several<A, Own::wide>*)(b + c) = *(const Several<A, Own::wide>*)&tile.right[slot][k][column_of<A, ROWS>(c)];
#pragma unroll
    for (int r = 0; r < 8; ++r)
#pragma unroll
      for (int c = 0; c < Own::each; ++c) acc[r][c] += a[r] * b[c];
  }
}

// ---- kernels

// Forward: out[n, g, row, i] = bias[g, row] + the sum over channels c and offsets k of weight[g, row, c, k] * x[n, g, c, i * stride
// - padding + k * dilation]. Back: rows are channels of the input, channels are filters, the weight is [g, c, row, k], and x the
// gradient at the outputs whose windows hold i. Zeros lie around x. Any grid.
template <class T, int ROWS>
__global__ void __launch_bounds__(THREADS)
conv_gather(const T* __restrict__ x, const T* __restrict__ weight, const T* __restrict__ bias, T* __restrict__ out, const Conv s,
            int row_tiles, int column_tiles, int tiles) {
  typedef acc_t<T> A;
  typedef Tile<A, ROWS> Own;
  const int COLUMNS = Own::columns, TERMS = DEPTH * COLUMNS / THREADS, WEIGHTS = DEPTH * ROWS / THREADS;
  __shared__ Own tile;
  __shared__ Tap taps[2][DEPTH];
  __shared__ Walk walks[3];
  __shared__ index_t places[COLUMNS];  // where the columns go, for the first row; less than 0: nowhere
  const int height = s.axis[1].source, width = s.axis[2].source, t = threadIdx.x, column = t % COLUMNS;
  const int kernel = s.axis[0].kernel * s.axis[1].kernel * s.axis[2].kernel;
  const index_t source = (index_t)s.axis[0].source * height * width;
  const index_t target = (index_t)s.axis[0].target * s.axis[1].target * s.axis[2].target;
  const index_t row_step = s.back ? kernel : (index_t)s.channels * kernel, channel_step = s.back ? (index_t)s.rows * kernel : kernel;
  for (index_t number = blockIdx.x; number < tiles; number += gridDim.x) {
    const unsigned int line = (unsigned int)number / row_tiles, row0 = ((unsigned int)number - line * row_tiles) * ROWS;
    const int phases = s.back ? s.axis[0].stride * s.axis[1].stride * s.axis[2].stride : 1;
    const int which = line / column_tiles, phase = which % phases, g = which / phases;
#pragma unroll
    for (int a = 0, unit = phases; a < 3; ++a) {  // a phase counts those of the width first
      unit = s.back ? unit / s.axis[a].stride : 1;
      if (t == a) walks[a] = walk_of(s.axis[a], s.back ? phase / unit % s.axis[a].stride : 0, s.back);
    }
    __syncthreads();
    const unsigned int across = walks[2].count, high = walks[1].count, size = walks[0].count * high * across;
    const index_t first = (line % column_tiles) * (index_t)COLUMNS;
    if (first >= (index_t)s.images * size) {  // another phase has more columns
      __syncthreads();  // the walks have been read
      continue;
    }
    Spot own = nowhere();
    const index_t image = first / size;  // of the first column
    const unsigned int item = (unsigned int)(first - image * size) + column, n = item / size, i = item - n * size;
    index_t at = -1;
    if (image + n < s.images) {
      const int w = i % across, h = i / across % high, d = i / across / high;
      own.d = walks[0].base + d * walks[0].by;
      own.h = walks[1].base + h * walks[1].by;
      own.w = walks[2].base + w * walks[2].by;
      own.number = ((image + n) * s.groups + g) * s.channels * source + place(own.d, own.h, own.w, height, width);
      at = ((image + n) * s.groups + g) * s.rows * target;
      at += place(walks[0].first + d * walks[0].step, walks[1].first + h * walks[1].step, walks[2].first + w * walks[2].step,
                  s.axis[1].target, s.axis[2].target);
    }
    if (t < COLUMNS) places[column] = at;
    const int taps_w = walks[2].taps, taps_h = walks[1].taps, taps_all = walks[0].taps * taps_h * taps_w;
    const int terms = s.channels * taps_all, slices = (terms + DEPTH - 1) / DEPTH;
    const T* filters = weight + (index_t)g * s.rows * s.channels * kernel;

    auto describe = [&](int slice) {  // the terms of a slice
      if (t >= DEPTH) return;
      const int k = slice * DEPTH + t;
      Tap tap = {nowhere(), -1};
      if (k < terms) {
        const int channel = k / taps_all, offset = k - channel * taps_all;
        const int kw = offset % taps_w, kh = offset / taps_w % taps_h, kd = offset / taps_w / taps_h;
        tap.at.d = kd * walks[0].reach;
        tap.at.h = kh * walks[1].reach;
        tap.at.w = kw * walks[2].reach;
        tap.at.number = channel * source + place(tap.at.d, tap.at.h, tap.at.w, height, width);
        tap.other = channel * channel_step;
        tap.other += place(walks[0].tap + kd * walks[0].tap_step, walks[1].tap + kh * walks[1].tap_step, walks[2].tap + kw * walks[2].tap_step,
                           s.axis[1].kernel, s.axis[2].kernel);
      }
      taps[slice & 1][t] = tap;
    };
    T right[TERMS], left[WEIGHTS];
    auto gather = [&](int slice) {
#pragma unroll
      for (int i = 0; i < TERMS; ++i) {
        const Spot& at = taps[slice & 1][t / COLUMNS + i * (THREADS / COLUMNS)].at;
        const index_t number = own.number + at.number;
        right[i] = inside(own, at, s) ? x[number] : store<T>(A(0));
      }
#pragma unroll
      for (int i = 0; i < WEIGHTS; ++i) {
        int k, row;
        element_of<ROWS>(i, &k, &row);
        const index_t other = taps[slice & 1][k].other;
        left[i] = other >= 0 && row0 + row < s.rows ? filters[(row0 + row) * row_step + other] : store<T>(A(0));
      }
    };

    A acc[8][Own::each];
#pragma unroll
    for (int r = 0; r < 8; ++r)
#pragma unroll
      for (int c = 0; c < Own::each; ++c) acc[r][c] = A(0);
    describe(0);
    __syncthreads();
    if (slices) gather(0);
    for (int slice = 0; slice < slices; ++slice) {
#pragma unroll
      for (int i = 0; i < TERMS; ++i) tile.right[slice & 1][t / COLUMNS + i * (THREADS / COLUMNS)][column] = load(right[i]);
#pragma unroll
      for (int i = 0; i < WEIGHTS; ++i) {
        int k, row;
        element_of<ROWS>(i, &k, &row);
        tile.left[slice & 1][k][row] = load(left[i]);
      }
      describe(slice + 1);
      __syncthreads();
      if (slice + 1 < slices) gather(slice + 1);
      multiply<A, ROWS>(tile, slice & 1, acc);
    }

#pragma unroll
    for (int c = 0; c < Own::each; c += Own::wide) {
      const index_t* to = places + column_of<A, ROWS>(c);
      const bool together = Own::wide > 1 && target % Own::wide == 0 && to[0] >= 0 && to[0] % Own::wide == 0 && aligned(out) &&
                            to[Own::wide - 1] == to[0] + Own::wide - 1;
#pragma unroll
      for (int r = 0; r < 8; ++r) {
        const int row = row0 + row_of<A, ROWS>(r);
        if (row >= s.rows) continue;
        const A plus = bias ? A(load(bias[g * s.rows + row])) : A(0);
        Several<T, Own::wide> made;
#pragma unroll
        for (int j = 0; j < Own::wide; ++j) made.item[j] = store<T>(acc[r][c + j] + plus);
        if (together) {
          *(Several<T, Own::wide>*)(out + to[0] + row * target) = made;
        } else {
#pragma unroll
          for (int j = 0; j < Own::wide; ++j)
            if (to[j] >= 0) out[to[j] + row * target] = made.item[j];
        }
      }
    }
  }
}

// out[g, row, c, k] = the sum over images n and outputs i of y[n, g, row, i] * x[n, g, c, i * stride - padding + k * dilation]. The
// sum is cut into parts of `slices` slices; if there are several, they go to `parts`, (part, out), and are to be added up. The same
// for sums[g, row], the sums of y alone, whose parts are `sum_parts`, unless both are null. Any grid.
template <class T, int ROWS>
__global__ void __launch_bounds__(THREADS)
conv_weight(const T* __restrict__ y, const T* __restrict__ x, T* __restrict__ out, acc_t<T>* __restrict__ parts, T* __restrict__ sums,
            acc_t<T>* __restrict__ sum_parts, const Conv s, int row_tiles, int column_tiles, int tiles, index_t slices) {
  typedef acc_t<T> A;
  typedef Tile<A, ROWS> Own;
  const int COLUMNS = Own::columns, TERMS = DEPTH * COLUMNS / THREADS, LEFT = DEPTH * ROWS / THREADS;
  __shared__ Own tile;
  __shared__ Tap taps[2][DEPTH];
  __shared__ Spot columns[COLUMNS];
  const int height = s.axis[1].source, width = s.axis[2].source, high = s.axis[1].target, across = s.axis[2].target, t = threadIdx.x;
  const int kernel = s.axis[0].kernel * s.axis[1].kernel * s.axis[2].kernel, wide = s.channels * kernel;
  const index_t source = (index_t)s.axis[0].source * height * width;
  const unsigned int target = s.axis[0].target * high * across;
  const index_t all = s.images * (index_t)target;  // terms
  for (index_t number = blockIdx.x; number < tiles; number += gridDim.x) {
    const unsigned int line = (unsigned int)number / row_tiles, row0 = ((unsigned int)number - line * row_tiles) * ROWS;
    const int which = line / column_tiles, column0 = line % column_tiles * COLUMNS, g = which % s.groups, part = which / s.groups;
    const index_t begin = part * slices * DEPTH, end = begin + slices * DEPTH < all ? begin + slices * DEPTH : all;
    const index_t steps = (end - begin + DEPTH - 1) / DEPTH;
    const bool adds = (sums || sum_parts) && column0 == 0 && t < ROWS;
    if (t < COLUMNS) {
      Spot own = nowhere();
      if (column0 + t < wide) {
        const int channel = (column0 + t) / kernel, offset = (column0 + t) % kernel, kw = s.axis[2].kernel, kh = s.axis[1].kernel;
        own.d = offset / kw / kh * s.axis[0].dilation;
        own.h = offset / kw % kh * s.axis[1].dilation;
        own.w = offset % kw * s.axis[2].dilation;
        own.number = ((index_t)g * s.channels + channel) * source + place(own.d, own.h, own.w, height, width);
      }
      columns[t] = own;
    }
    index_t image = 0;  // those of the term that this thread describes next
    unsigned int pixel = 0;
    if (t < DEPTH) {
      image = (begin + t) / target;
      pixel = begin + t - image * target;
    }

    auto describe = [&](index_t step) {
      if (t >= DEPTH) return;
      Tap tap = {nowhere(), -1};
      if (begin + step * DEPTH + t < end) {
        tap.at.d = (int)(pixel / across / high) * s.axis[0].stride - s.axis[0].padding;
        tap.at.h = (int)(pixel / across % high) * s.axis[1].stride - s.axis[1].padding;
        tap.at.w = (int)(pixel % across) * s.axis[2].stride - s.axis[2].padding;
        tap.at.number = image * s.groups * s.channels * source + place(tap.at.d, tap.at.h, tap.at.w, height, width);
        tap.other = (image * s.groups + g) * s.rows * target + pixel;
        const unsigned int images = (pixel + DEPTH) / target;
        image += images;
        pixel += DEPTH - images * target;
      }
      taps[step & 1][t] = tap;
    };
    T right[TERMS], left[LEFT];
    auto gather = [&](index_t step) {
#pragma unroll
      for (int i = 0; i < TERMS; ++i) {
        int k, c;
        element_of<COLUMNS>(i, &k, &c);
        const Spot &at = taps[step & 1][k].at, &own = columns[c];
        const index_t number = own.number + at.number;
        right[i] = inside(own, at, s) ? x[number] : store<T>(A(0));
      }
#pragma unroll
      for (int i = 0; i < LEFT; ++i) {
        int k, row;
        element_of<ROWS>(i, &k, &row);
        const index_t other = taps[step & 1][k].other;
        left[i] = other >= 0 && row0 + row < s.rows ? y[other + (row0 + row) * (index_t)target] : store<T>(A(0));
      }
    };

    A acc[8][Own::each], sum = A(0);
#pragma unroll
    for (int r = 0; r < 8; ++r)
#pragma unroll
      for (int c = 0; c < Own::each; ++c) acc[r][c] = A(0);
    describe(0);
    __syncthreads();
    gather(0);
    for (index_t step = 0; step < steps; ++step) {
      const int slot = step & 1;
#pragma unroll
      for (int i = 0; i < TERMS; ++i) {
        int k, c;
        element_of<COLUMNS>(i, &k, &c);
        tile.right[slot][k][c] = load(right[i]);
      }
#pragma unroll
      for (int i = 0; i < LEFT; ++i) {
        int k, row;
        element_of<ROWS>(i, &k, &row);
        tile.left[slot][k][row] = load(left[i]);
      }
      describe(step + 1);
      __syncthreads();
      if (step + 1 < steps) gather(step + 1);
      multiply<A, ROWS>(tile, slot, acc);
      if (adds)
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) sum += tile.left[slot][k][t];
    }

    const index_t filters = (index_t)s.groups * s.rows;
#pragma unroll
    for (int r = 0; r < 8; ++r)
#pragma unroll
      for (int c = 0; c < Own::each; ++c) {
        const int row = row0 + row_of<A, ROWS>(r), column = column0 + column_of<A, ROWS>(c);
        const index_t at = ((index_t)g * s.rows + row) * wide + column;
        if (row >= s.rows || column >= wide) continue;
        if (parts) parts[part * filters * wide + at] = acc[r][c];
        else out[at] = store<T>(acc[r][c]);
      }
    if (adds && row0 + t < s.rows) {
      const index_t at = (index_t)g * s.rows + row0 + t;
      if (sum_parts) sum_parts[part * filters + at] = sum;
      else sums[at] = store<T>(sum);
    }
  }
}
