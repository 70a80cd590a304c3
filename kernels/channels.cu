// Normalization by channels, batch_norm: x is (images, channels, inner) without gaps; inner is 1 where channels are the last
// dimension.
//
// A channel has n = images * inner elements, counted along images and inner, and cut into chunks, so that many blocks have work. A
// block reads a chunk of `lanes` channels: of one, if the elements of a channel are neighbours, else of up to 32 side by side, one
// for each lane of a warp. What becomes of the chunks is put together in a second launch, in their order: results depend neither on
// the grid nor on the device.
//
// Of each chunk the mean is found first and then the squared distances from it, which reads it twice, the second time from a cache.
// Means and distances of chunks are joined as in Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983.
#include "common.cuh"

// the threads of a block
#define LINES 256

// The sums of v over the threads of each lane. All of them get it. `room` is of LINES items.
template <class A> __device__ __forceinline__ A lane_sum(A v, int lanes, A* room) {
  __syncthreads();  // the room may still be read from an earlier call
  room[threadIdx.x] = v;
  for (int by = LINES / 2; by >= lanes; by >>= 1) {
    __syncthreads();
    if (threadIdx.x < by) room[threadIdx.x] += room[threadIdx.x + by];
  }
  __syncthreads();
  return room[threadIdx.x % lanes];
}

// Calls f(x, ...) for the elements begin <= j < end of channel c that fall to this thread.
template <class T, class F, class... More>
__device__ __forceinline__ void walk(index_t channels, int inner, index_t c, index_t begin, index_t end, int lanes, F f, const T* x, More... more) {
  const int size = Pack<T>::size;
  const bool packs = inner % size == 0 && begin % size == 0 && end % size == 0 && (aligned(x) && ... && aligned(more));
  const int step = LINES / lanes * (packs ? size : 1);
  const index_t j = begin + threadIdx.x / lanes * (packs ? size : 1);
  const index_t stride = step / inner * channels * inner + step % inner, skip = (channels - 1) * inner;
  index_t at = (j / inner * channels + c) * inner + j % inner;
  int i = j % inner;
  for (int left = j < end ? (int)((end - j + step - 1) / step) : 0; left > 0; --left) {
    if (packs) each_item<T>(at, f, pack_at(x, at), pack_at(more, at)...);
    else f(at, load(x[at]), load(more[at])...);
    at += stride;
    i += step % (int)inner;
    if (i >= inner) i -= inner, at += skip;
  }
}

// means and spreads (chunks, channels): of each chunk the mean, and the sum of squared distances from it
template <class T>
__global__ void __launch_bounds__(LINES)
chunk_statistics(const T* __restrict__ x, acc_t<T>* __restrict__ means, acc_t<T>* __restrict__ spreads, index_t n, index_t channels, int inner,
                 index_t chunk, int lanes) {
  typedef acc_t<T> A;
  __shared__ A room[LINES];
  const index_t tiles = (channels + lanes - 1) / lanes, items = (n + chunk - 1) / chunk * tiles;
  for (index_t item = blockIdx.x; item < items; item += gridDim.x) {
    const index_t c = item % tiles * lanes + threadIdx.x % lanes, k = item / tiles;
    const index_t begin = k * chunk, end = begin + chunk < n ? begin + chunk : n;
    A sum = A(0), spread = A(0);
    if (c < channels) walk(channels, inner, c, begin, end, lanes, [&](index_t, A v) { sum += v; }, x);
    const A mean = lane_sum(sum, lanes, room) / (end - begin);
    if (c < channels) walk(channels, inner, c, begin, end, lanes, [&](index_t, A v) { spread += (v - mean) * (v - mean); }, x);
    spread = lane_sum(spread, lanes, room);
    if (threadIdx.x < lanes && c < channels) {
      means[k * channels + c] = mean;
      spreads[k * channels + c] = spread;
    }
  }
}

// Mean, variance and scale = weight / sqrt(var + eps) of each channel. weight may be null.
template <class T>
__global__ void __launch_bounds__(LINES)
channel_statistics(const acc_t<T>* __restrict__ means, const acc_t<T>* __restrict__ spreads, const acc_t<T>* __restrict__ weight,
                   acc_t<T>* __restrict__ mean, acc_t<T>* __restrict__ var, acc_t<T>* __restrict__ scale, index_t n, index_t channels, index_t chunk,
                   acc_t<T> eps, int lanes) {
  typedef acc_t<T> A;
  __shared__ A room[LINES];
  const index_t chunks = (n + chunk - 1) / chunk;
  for (index_t first = blockIdx.x * (index_t)lanes; first < channels; first += gridDim.x * (index_t)lanes) {
    const index_t c = first + threadIdx.x % lanes;
    A sum = A(0), spread = A(0);
    if (c < channels)
      for (index_t k = threadIdx.x / lanes; k < chunks; k += LINES / lanes) sum += means[k * channels + c] * (k < chunks - 1 ? chunk : n - k * chunk);
    const A center = lane_sum(sum, lanes, room) / n;
    if (c < channels)
      for (index_t k = threadIdx.x / lanes; k < chunks; k += LINES / lanes) {
        const A d = means[k * channels + c] - center;
        spread += spreads[k * channels + c] + d * d * (k < chunks - 1 ? chunk : n - k * chunk);
      }
    spread = lane_sum(spread, lanes, room) / n;
    if (threadIdx.x < lanes && c < channels) {
      mean[c] = center;
      var[c] = spread;
      scale[c] = (weight ? weight[c] : A(1)) / sqrt(spread + eps);
    }
  }
}

// plains and alongs (chunks, channels): of each chunk the sums of g and of g (x - mean)
template <class T>
__global__ void __launch_bounds__(LINES)
chunk_gradients(const T* __restrict__ g, const T* __restrict__ x, const acc_t<T>* __restrict__ mean, acc_t<T>* __restrict__ plains,
                acc_t<T>* __restrict__ alongs, index_t n, index_t channels, int inner, index_t chunk, int lanes) {
  typedef acc_t<T> A;
  __shared__ A room[LINES];
  const index_t tiles = (channels + lanes - 1) / lanes, items = (n + chunk - 1) / chunk * tiles;
  for (index_t item = blockIdx.x; item < items; item += gridDim.x) {
    const index_t c = item % tiles * lanes + threadIdx.x % lanes, k = item / tiles;
    const index_t begin = k * chunk, end = begin + chunk < n ? begin + chunk : n;
    A plain = A(0), along = A(0);
    if (c < channels) {
      const A center = mean[c];
      auto add = [&](index_t, A d, A v) { plain += d, along += d * (v - center); };
      walk(channels, inner, c, begin, end, lanes, add, g, x);
    }
    plain = lane_sum(plain, lanes, room);
    along = lane_sum(along, lanes, room);
    if (threadIdx.x < lanes && c < channels) {
      plains[k * channels + c] = plain;
      alongs[k * channels + c] = along;
    }
  }
}

// The gradients of weight and bias, and what `channel_backward` takes: numbers (5, channels) are these two, scale, slope and shift.
// to_mean and to_var are what mean and variance get from elsewhere. weight may be null.
template <class T>
__global__ void __launch_bounds__(LINES)
channel_gradients(const acc_t<T>* __restrict__ plains, const acc_t<T>* __restrict__ alongs, const acc_t<T>* __restrict__ var,
                  const acc_t<T>* __restrict__ weight, const acc_t<T>* __restrict__ to_mean, const acc_t<T>* __restrict__ to_var,
                  acc_t<T>* __restrict__ numbers, index_t n, index_t channels, index_t chunk, acc_t<T> eps, int lanes) {
  typedef acc_t<T> A;
  __shared__ A room[LINES];
  const index_t chunks = (n + chunk - 1) / chunk;
  for (index_t first = blockIdx.x * (index_t)lanes; first < channels; first += gridDim.x * (index_t)lanes) {
    const index_t c = first + threadIdx.x % lanes;
    A plain = A(0), along = A(0);
    if (c < channels)
      for (index_t k = threadIdx.x / lanes; k < chunks; k += LINES / lanes) {
        plain += plains[k * channels + c];
        along += alongs[k * channels + c];
      }
    plain = lane_sum(plain, lanes, room);
    along = lane_sum(along, lanes, room);
    if (threadIdx.x < lanes && c < channels) {
      const A r = A(1) / sqrt(var[c] + eps), scale = weight ? r * weight[c] : r;
      numbers[c] = along * r;
      numbers[channels + c] = plain;
      numbers[2 * channels + c] = scale;
      numbers[3 * channels + c] = (to_var[c] - along * scale * r * r * A(0.5)) * (A(2) / n);
      numbers[4 * channels + c] = (to_mean[c] - plain * scale) / n;
    }
  }
}

// ---- element by element

struct Channel {  // that an element is of, and how many elements follow there
  index_t number, left;
  __device__ __forceinline__ Channel(index_t at, index_t channels, index_t inner) {
    if ((at | channels | inner) >> 32 == 0) {  // a division of 64 bits takes several times as long
      const unsigned int row = (unsigned int)at / (unsigned int)inner;
      number = row % (unsigned int)channels;
      left = inner - (at - (index_t)row * inner);
    } else {
      number = at / inner % channels;
      left = inner - at % inner;
    }
  }
  __device__ __forceinline__ void next(index_t channels, index_t inner) {
    if (--left == 0) {
      left = inner;
      if (++number == channels) number = 0;
    }
  }
};

// y[i] = f(channel, x[i], ...)
template <class T, class F, class... X>
__device__ __forceinline__ void map_channels(T* y, index_t n, index_t channels, index_t inner, F f, X... x) {
  for_each<T>(
      n, (aligned(y) && ... && aligned(x)), [&](index_t at) { y[at] = store<T>(f(Channel(at, channels, inner).number, load(x[at])...)); },
      [&](index_t at) {
        Pack<T> v;
        Channel c(at, channels, inner);
        auto put = [&](index_t i, auto... of) {
          v.item[i - at] = store<T>(f(c.number, of...));
          c.next(channels, inner);
        };
        each_item<T>(at, put, pack_at(x, at)...);
        *(Pack<T>*)(y + at) = v;
      });
}

// y = (x - mean) * scale + shift; mean and shift may be null. n is the number of all elements.
template <class T>
__global__ void __launch_bounds__(256)
channel_forward(const T* __restrict__ x, const acc_t<T>* __restrict__ mean, const acc_t<T>* __restrict__ scale, const acc_t<T>* __restrict__ shift,
                T* __restrict__ y, index_t n, index_t channels, index_t inner) {
  typedef acc_t<T> A;
  auto f = [=](index_t c, A v) { return (v - (mean ? mean[c] : A(0))) * scale[c] + (shift ? shift[c] : A(0)); };
  map_channels(y, n, channels, inner, f, x);
}

// dx = g * scale + (x - mean) * slope + shift, of which `numbers` holds all but the mean
template <class T>
__global__ void __launch_bounds__(256)
channel_backward(const T* __restrict__ g, const T* __restrict__ x, const acc_t<T>* __restrict__ mean, const acc_t<T>* __restrict__ numbers,
                 T* __restrict__ dx, index_t n, index_t channels, index_t inner) {
  typedef acc_t<T> A;
  const A *scale = numbers + 2 * channels, *slope = scale + channels, *shift = slope + channels;
  auto f = [=](index_t c, A d, A v) { return d * scale[c] + (v - mean[c]) * slope[c] + shift[c]; };
  map_channels(dx, n, channels, inner, f, g, x);
}
