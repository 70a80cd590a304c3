"""Mistakes planted in the project's own kernels: one checked run of a kernel's case must notice each.

A mutant is a kernel file, or common.cuh, with one piece of text replaced. All mutants of a kernel file are compiled together,
each in a namespace of its own, because most of the time of a small compilation goes into NVIDIA's headers.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import pytest

from . import build, cases, kernel

pytestmark = pytest.mark.skipif(build.missing() is not None, reason=str(build.missing()))


@dataclass(frozen=True)
class Mutant:
    """`old`, which `file` contains, replaced by `new` where it first occurs. `survives`: why nothing can notice."""

    file: str
    case: str
    old: str
    new: str
    survives: str = ""


COMMON, ACTIVATION, SOFTMAX, NORM = "common.cuh", "activation.cu", "softmax.cu", "norm.cu"
OPTIM, RANDOM, CAST, EMBEDDING, REDUCE = "optim.cu", "random.cu", "cast.cu", "embedding.cu", "reduce.cu"
SCATTER, POOL, ATTENTION, CONV, CHANNELS = "scatter.cu", "pool.cu", "attention.cu", "conv.cu", "channels.cu"
END = "begin + CHUNK < t.size[k] ? begin + CHUNK : t.size[k]"

MUTANTS = [
    # loops over elements
    Mutant(COMMON, "Gelu", "k < whole", "k <= whole"),
    Mutant(COMMON, "Gelu", "k += threads) many", "k += threads - 1) many"),
    Mutant(COMMON, "Gelu", "packs ? n / Pack<T>::size : 0", "n / Pack<T>::size"),
    Mutant(COMMON, "Gelu", "whole * Pack<T>::size + thread;", "whole * Pack<T>::size + thread + 1;"),
    Mutant(COMMON, "Gelu", "i < n; i += threads) one", "i < n - 1; i += threads) one"),
    Mutant(COMMON, "Gelu", "i < n; i += threads) one", "i <= n; i += threads) one"),
    Mutant(COMMON, "Gelu", "& 15) == 0", "& 3) == 0"),
    Mutant(COMMON, "Gelu", "threadIdx.x, (index_t)gridDim.x * blockDim.x,", "threadIdx.x, blockDim.x,"),
    # rows
    Mutant(COMMON, "sums", "(aligned(x) && ... && aligned(more))", "true"),
    Mutant(COMMON, "sums", "f(i + k, load(packs.item[k])...)", "f(i + k, load(packs.item[0])...)"),
    Mutant(COMMON, "sums", "by = lanes >> 1; by > 0", "by = lanes >> 2; by > 0"),
    Mutant(COMMON, "sums", "by > 0; by >>= 1", "by > 1; by >>= 1"),
    # reductions
    Mutant(COMMON, "softmax_backward", "lanes = 16; lanes > 0", "lanes = 8; lanes > 0"),
    Mutant(COMMON, "softmax_backward", "lanes > 0; lanes >>= 1) v = f", "lanes > 1; lanes >>= 1) v = f"),
    Mutant(COMMON, "softmax_backward", "lanes >>= 1) v = f", "lanes >>= 2) v = f"),
    Mutant(COMMON, "softmax_backward", "__syncthreads();  // the room", "// the room"),
    Mutant(COMMON, "squares", "if (lane == 0) room[warp] = v;\n  __syncthreads();", "if (lane == 0) room[warp] = v;"),
    Mutant(COMMON, "layer_norm", "if (lane == 0) room[warp] = v;", "room[warp] = v;"),
    Mutant(COMMON, "layer_norm", "if (lane == 0) room[warp] = v;", "if (lane == 1) room[warp + 1] = v;"),
    Mutant(COMMON, "layer_norm", "if (lane == 0) room[warp] = v;", "if (lane == 0) room[warp] = v; else return v;"),
    Mutant(COMMON, "layer_norm", "lane < warps ? room[lane] : nothing", "room[lane]"),
    Mutant(COMMON, "layer_norm", "lane < warps ?", "lane <= warps ?"),
    Mutant(COMMON, "layer_norm", "lane < warps ?", "lane < warps - 1 ?"),
    Mutant(COMMON, "layer_norm", "warp = threadIdx.x >> 5", "warp = threadIdx.x >> 4"),
    Mutant(COMMON, "layer_norm", "if (warps == 1) return v;", "if (warps == 1 || warp == 1) return v;"),
    Mutant(
        COMMON,
        "layer_norm",
        "if (warps == 1) return v;\n",
        "",
        survives="one warp then also goes by shared memory and gets the same sum: slower, not wrong",
    ),
    # activation.cu
    Mutant(ACTIVATION, "Gelu", "store<T>(F::forward(load(x[i]), p, q))", "store<T>(F::forward(load(x[i + 1]), p, q))"),
    Mutant(ACTIVATION, "Gelu", "aligned(x) && aligned(y),", "aligned(x),"),
    Mutant(ACTIVATION, "Gelu", "aligned(g) && aligned(saved) &&", "aligned(g) &&"),
    Mutant(ACTIVATION, "Gelu", "load(s.item[k])", "load(s.item[0])"),
    Mutant(ACTIVATION, "Gelu", "*(Pack<T>*)(y + i) = v;", "*(Pack<T>*)(y + i / 8 * 8) = v;"),
    Mutant(ACTIVATION, "Gelu", "0.3989422804014327", "0.3989422804014327 / 2"),
    Mutant(ACTIVATION, "Elu", "s > A(0) ? g : g * (s + p)", "s > A(0) ? g : g * s"),
    # softmax.cu
    Mutant(SOFTMAX, "softmax_forward", "row < (rows)", "row <= (rows)"),
    Mutant(SOFTMAX, "softmax_forward", "gridDim.x * (index_t)(blockDim.x >> 5) : gridDim.x", "gridDim.x : gridDim.x"),
    Mutant(SOFTMAX, "softmax_forward", "+ (threadIdx.x >> 5) : blockIdx.x", "+ (threadIdx.x >> 6) : blockIdx.x"),
    Mutant(SOFTMAX, "softmax_forward", "a.max < b.max ? a.sum", "a.max > b.max ? a.sum"),
    Mutant(SOFTMAX, "softmax_forward", "  if (m == A(-INFINITY)) return {m, a.sum + b.sum};  // zeros, or NaN\n", ""),
    Mutant(SOFTMAX, "softmax_forward", "return {m, a.sum + b.sum};", "return {m, A(0)};"),
    Mutant(SOFTMAX, "softmax_forward", "v.sum * e + A(1) + (d - d), v.max = d", "v.sum + A(1) + (d - d), v.max = d"),
    Mutant(SOFTMAX, "softmax_forward", "v.sum * e + A(1) + (d - d), v.max = d", "v.sum * e + A(1) + (d - d)"),
    Mutant(SOFTMAX, "softmax_forward", " + (d - d)", ""),
    Mutant(SOFTMAX, "softmax_forward", "if (d == A(-INFINITY)) return;", ""),
    Mutant(SOFTMAX, "softmax_forward", "exp(-fabs(d - v.max))", "exp(d - v.max)"),
    Mutant(
        SOFTMAX,
        "softmax_forward",
        "return v;\n  const int lane",
        "return v;\n  if (threadIdx.x >= 64) return v;\n  const int lane",
    ),
    Mutant(SOFTMAX, "softmax_forward", "  __syncthreads();\n  if (lane == 0)", "  if (lane == 0)"),
    Mutant(SOFTMAX, "softmax_forward", "room[warp] = v;\n  __syncthreads();", "room[warp] = v;"),
    Mutant(SOFTMAX, "softmax_forward", "room[warp] = v;\n  __syncthreads();", "room[warp] = v;\n  __syncwarp();"),
    Mutant(SOFTMAX, "softmax_forward", "lane < (threads >> 5) ? room[lane] : Normalizer<A>{A(-INFINITY), A(0)}", "room[lane]"),
    Mutant(SOFTMAX, "softmax_forward", "read_row(columns, thread", "read_row(columns + 1, thread"),
    Mutant(SOFTMAX, "softmax_forward", "from = x + row * x_stride", "from = x + row * columns"),
    Mutant(SOFTMAX, "softmax_forward", "Normalizer<A> room[32]", "Normalizer<A> room[2]"),
    Mutant(SOFTMAX, "softmax_forward", "const A m = Max()(a.max, b.max)", "const A m = a.max"),
    Mutant(SOFTMAX, "log_softmax_forward", "d -= v.max;", ""),
    Mutant(SOFTMAX, "softmax_forward", "map_row(to, columns, thread", "map_row(to, columns - 1, thread"),
    Mutant(COMMON, "softmax_forward", "(aligned(y) && ... && aligned(rows))", "aligned(y)"),
    Mutant(COMMON, "softmax_forward", "(aligned(y) && ... && aligned(rows))", "(true && ... && aligned(rows))"),
    Mutant(COMMON, "softmax_backward", "v.item[k] = store<T>(f(i + k, of...)), ++k;", "v.item[k] = store<T>(f(i + k, of...));"),
    Mutant(COMMON, "cross_entropy", "f(i + k, of...)", "f(i, of...)"),
    Mutant(SOFTMAX, "softmax_backward", "sum = threads == 32 ? warp_reduce(sum, Sum()) :", "sum ="),
    Mutant(SOFTMAX, "softmax_backward", ": block_reduce(sum, A(0), room, Sum())", ": warp_reduce(sum, Sum())"),
    Mutant(SOFTMAX, "softmax_backward", "*grad = g + row * g_stride", "*grad = g + row * columns"),
    Mutant(
        SOFTMAX, "cross_entropy", "if (thread == 0) {\n      const A log_sum", "if (threadIdx.x == 0) {\n      const A log_sum"
    ),
    Mutant(SOFTMAX, "cross_entropy", "if (thread == 0) {\n      const A log_sum", "{\n      const A log_sum"),
    Mutant(SOFTMAX, "cross_entropy", "t >= 0 && t < columns ?", "t >= 0 ?"),
    Mutant(SOFTMAX, "cross_entropy", "c == t ? A(1)", "c == t + 1 ? A(1)"),
    Mutant(SOFTMAX, "cross_entropy", "scale[row * scale_stride]", "scale[row]"),
    Mutant(SOFTMAX, "cross_entropy_of_all", "if (target[row] != ignored) count += A(1);", "count += A(1);"),
    # norm.cu
    Mutant(NORM, "layer_norm", "weights[8][33]", "weights[8][31]"),
    Mutant(NORM, "layer_norm", "  __syncthreads();\n  if (threadIdx.y == 0", "  if (threadIdx.y == 0"),
    Mutant(NORM, "layer_norm", "begin + chunk < rows ? begin + chunk : rows", "begin + chunk"),
    Mutant(NORM, "layer_norm", "if (threadIdx.y == 0 && c < columns)", "if (threadIdx.y == 0 && c <= columns)"),
    Mutant(NORM, "layer_norm", "if (threadIdx.y == 0 && c < columns)", "if (c < columns)"),
    Mutant(NORM, "layer_norm", "k < 8; ++k", "k < 7; ++k"),
    Mutant(NORM, "layer_norm", "row += 8", "row += 4"),
    Mutant(NORM, "layer_norm", "blockIdx.x * 32 + threadIdx.x", "blockIdx.x * 31 + threadIdx.x"),
    Mutant(NORM, "layer_norm", "(gridDim.y + blockIdx.y)", "blockIdx.y"),
    Mutant(NORM, "layer_norm", "if (threadIdx.x == 0) {\n      if (!RMS)", "{\n      if (!RMS)"),
    Mutant(NORM, "layer_norm", "line < lines", "line <= lines"),
    Mutant(NORM, "layer_norm", "c += gridDim.x * blockDim.x", "c += blockDim.x"),
    Mutant(NORM, "layer_norm", "plain = block_reduce(plain, A(0), room, Sum()) / columns", "plain = plain / columns"),
    Mutant(NORM, "rms_norm", "Or<T>{weight, 1}, Or<T>{bias, 0}", "Or<T>{weight, 1}, Or<T>{bias, 1}"),
    Mutant(NORM, "rms_norm", "Or<T>{weight, 1}, Or<T>{bias, 0}", "Or<T>{weight, 0}, Or<T>{bias, 0}"),
    Mutant(COMMON, "layer_norm", "if (x.p) return pack_at(x.p, i);", "return pack_at(x.p, i);"),
    Mutant(COMMON, "layer_norm", "x.p ? load(x.p[i]) :", "load(x.p[i]);"),
    Mutant(COMMON, "layer_norm", "return aligned(x.p);", "return true;"),
    Mutant(NORM, "rms_norm", "row += gridDim.x", "row += gridDim.x + 1"),
    # optim.cu
    Mutant(OPTIM, "adam", END, "begin + CHUNK"),
    Mutant(OPTIM, "adam", "(low + high + 1) >> 1", "(low + high) >> 1"),
    Mutant(OPTIM, "adam", "t.first_block[middle] <= (int)", "t.first_block[middle] < (int)"),
    Mutant(OPTIM, "adam", "high = middle - 1", "high = middle"),
    Mutant(OPTIM, "adam", "end - begin, threadIdx.x, blockDim.x, aligned(p)", "end - begin, threadIdx.x, 64, aligned(p)"),
    Mutant(OPTIM, "adam", "#define CHUNK 4096", "#define CHUNK 4000"),
    Mutant(OPTIM, "adam", "sqrt(most) / root", "sqrt(most) * root"),
    Mutant(OPTIM, "adam", "most = Max()(most, v);", "most = v;"),
    Mutant(OPTIM, "adam", "if (most) *(State*)(most + i) = mosts;", ""),
    Mutant(OPTIM, "adam", "if (most) most[i]", "most[i]"),
    Mutant(OPTIM, "adam", "if (v) vs = whole<State>(v + i);", ""),
    Mutant(OPTIM, "adam", "if (m) *(State*)(m + i) = ms;", ""),
    Mutant(OPTIM, "adam", "aligned(p) && aligned(g) && aligned(m)", "aligned(g) && aligned(m)"),
    Mutant(OPTIM, "adam", "aligned(p) && aligned(g) && aligned(m)", "aligned(p) && aligned(m)"),
    Mutant(OPTIM, "adam", "aligned(g) && aligned(m) &&", "aligned(g) &&"),
    Mutant(OPTIM, "sgd", "first ? g : momentum", "momentum"),
    Mutant(OPTIM, "update_NAdam", "sqrt(b) / r[3]", "sqrt(b) * r[3]"),
    Mutant(OPTIM, "update_RMSprop", "if (r[4] == A(0)) return", "if (r[4] != A(0)) return"),
    Mutant(OPTIM, "update_Rprop", "b *= r[0], g = A(0)", "b *= r[0]"),
    Mutant(OPTIM, "update_ASGD", "p *= shrink;\n    p -=", "p -="),
    Mutant(OPTIM, "update_Adagrad", "v ? A(load(v[i])) :", "true ? A(load(v[i])) :"),
    Mutant(OPTIM, "update_Lion", "if (m) m[i] = store<S>(a);", ""),
    Mutant(OPTIM, "squares", "if (threadIdx.x == 0) parts", "parts"),
    Mutant(OPTIM, "total_norm", "by >= A(1) ? A(1) : by", "by"),
    Mutant(OPTIM, "total_norm", "i < count", "i < count - 1"),
    # random.cu
    Mutant(RANDOM, "random_words", "philox(block + 1,", "philox(block,"),
    Mutant(RANDOM, "random_words", "(offset + n + 3) / 4", "(offset + n) / 4"),
    Mutant(RANDOM, "random_words", "if (i >= 0 && i < n) out", "if (i < n) out"),
    Mutant(RANDOM, "random_words", "if (i >= 0 && i < n) out", "if (i >= 0 && i <= n) out"),
    Mutant(RANDOM, "random_words", "round < 10", "round < 9"),
    Mutant(RANDOM, "dropout", "first % Pack<T>::size == 0 &&", ""),
    Mutant(RANDOM, "dropout", "begin + Pack<T>::size <= n", "begin + Pack<T>::size - 1 <= n"),
    Mutant(RANDOM, "dropout", "part + k) >= threshold ? scale", "part + k) > threshold + 40000000u ? scale"),
    Mutant(RANDOM, "dropout", "half << 16 | half >> 16", "half"),
    # cast.cu, embedding.cu, reduce.cu, scatter.cu
    Mutant(CAST, "cast", "aligned(x) && aligned(y) ?", "aligned(x) ?"),
    Mutant(CAST, "cast", "k < whole; k += threads", "k <= whole; k += threads"),
    Mutant(CAST, "cast", "i = whole * B::size + thread", "i = thread"),
    Mutant(CAST, "cast", "k / across * x_stride", "k / across * columns"),
    Mutant(CAST, "cast", "columns % size == 0 && ", ""),
    Mutant(CAST, "cast", "x_stride % size == 0 && ", ""),
    Mutant(CAST, "cast", "aligned(x) && aligned(y);", "aligned(y);"),
    Mutant(CAST, "cast", "aligned(x) && aligned(y);", "aligned(x);"),
    Mutant(CAST, "cast", "k < rows * across", "k < rows * columns"),
    Mutant(CAST, "cast", "U* to = y + k * step;", "U* to = y + k;"),
    Mutant(EMBEDDING, "embedding", "row >= 0 && row < rows", "row < rows"),
    Mutant(EMBEDDING, "embedding", "row >= 0 && row < rows", "row >= 0 && row <= rows"),
    Mutant(EMBEDDING, "embedding", "columns % Pack<T>::size == 0 && ", ""),
    Mutant(EMBEDDING, "embedding", "atomicExch(bad, 1)", "*bad = 1"),
    Mutant(EMBEDDING, "embedding", "if (!is_row && bad)", "if (!is_row)"),
    Mutant(EMBEDDING, "embedding", "k < n * across", "k < n * columns"),
    Mutant(REDUCE, "sums", "__syncthreads();  // the parts", "// the parts"),
    Mutant(REDUCE, "sums", "= sum[e];\n    __syncthreads();", "= sum[e];"),
    Mutant(REDUCE, "sums", "(k + 1) * chunk < n ? (k + 1) * chunk : n", "(k + 1) * chunk"),
    Mutant(REDUCE, "sums", "if (i < inner) {", "{"),
    Mutant(REDUCE, "sums", "thread < width && first + thread < inner", "first + thread < inner"),
    Mutant(REDUCE, "sums", "thread < width && first + thread < inner", "thread < width"),
    Mutant(REDUCE, "sums", "[thread % step][w][thread / step]", "[0][w][thread]"),
    Mutant(REDUCE, "sums", "[w][thread / step]", "[w][thread / step + 2]"),
    Mutant(REDUCE, "sums", "inner % size == 0 && ", ""),
    Mutant(REDUCE, "sums", "apart % size == 0 && ", ""),
    Mutant(REDUCE, "sums", "far % size == 0 && ", ""),
    Mutant(REDUCE, "sums", "&& aligned(x);", ";"),
    Mutant(REDUCE, "sums", "if (e < step) part", "part", survives="zeros that nobody reads: slower, not wrong"),
    Mutant(REDUCE, "sums", "w < 8; ++w", "w < 7; ++w"),
    Mutant(REDUCE, "sums", "x + o * far + i", "x + o * n * inner + i"),
    Mutant(REDUCE, "sums", "from[j * apart]", "from[j * inner]"),
    Mutant(REDUCE, "sums", "store<U>(total / by)", "store<U>(total)"),
    Mutant(REDUCE, "sums", "sum = threads <= 32 ? lanes_reduce(sum, threads, Sum()) :", "sum ="),
    Mutant(REDUCE, "sums", "lanes_reduce(sum, threads, Sum())", "lanes_reduce(sum, 32, Sum())"),
    Mutant(REDUCE, "sums", ": block_reduce(sum, A(0), room, Sum())", ": warp_reduce(sum, Sum())"),
    Mutant(REDUCE, "sums", "if (thread == 0 && item", "if (threadIdx.x == 0 && item"),
    Mutant(REDUCE, "sums", "if (thread == 0 && item < items)", "if (thread == 0)"),
    Mutant(REDUCE, "sums", "if (item < items) read_row", "read_row"),
    Mutant(REDUCE, "sums", "group - of_warp; base", "group; base"),
    Mutant(REDUCE, "sums", "base += gridDim.x * groups", "base += groups"),
    Mutant(REDUCE, "sums", "store<U>(sum / by)", "store<U>(sum)"),
    # channels.cu
    Mutant(CHANNELS, "channels", "__syncthreads();  // the room", "// the room"),
    Mutant(CHANNELS, "channels", "{\n    __syncthreads();\n    if (threadIdx.x < by)", "{\n    if (threadIdx.x < by)"),
    Mutant(CHANNELS, "channels", "  }\n  __syncthreads();\n  return room", "  }\n  return room"),
    Mutant(CHANNELS, "channels", "by = LINES / 2; by >= lanes", "by = LINES / 4; by >= lanes"),
    Mutant(CHANNELS, "channels", "by >= lanes; by >>= 1", "by > lanes; by >>= 1"),
    Mutant(CHANNELS, "channels", "if (threadIdx.x < by)", "if (threadIdx.x <= by)"),
    Mutant(CHANNELS, "channels", "room[threadIdx.x % lanes]", "room[0]"),
    Mutant(CHANNELS, "channels", "inner % size == 0 && begin", "begin"),
    Mutant(CHANNELS, "channels", "begin % size == 0 && ", ""),
    Mutant(CHANNELS, "channels", "end % size == 0 && ", ""),
    Mutant(CHANNELS, "channels", "(aligned(x) && ... && aligned(more))", "true"),
    Mutant(CHANNELS, "channels", "step = LINES / lanes * (packs ? size : 1)", "step = LINES / lanes"),
    Mutant(CHANNELS, "channels", "if (i >= inner) i -= inner, at += skip;", "if (i >= inner) i -= inner;"),
    Mutant(CHANNELS, "channels", "if (i >= inner)", "if (i > inner)"),
    Mutant(CHANNELS, "channels", "(j / inner * channels + c) * inner", "(j / inner * channels) * inner"),
    Mutant(CHANNELS, "channels", "begin + chunk < n ? begin + chunk : n", "begin + chunk"),
    Mutant(CHANNELS, "channels", "/ (end - begin)", "/ chunk"),
    Mutant(CHANNELS, "channels", "if (c < channels) walk(", "walk("),
    Mutant(CHANNELS, "channels", "if (threadIdx.x < lanes && c < channels) {\n      means", "if (c < channels) {\n      means"),
    Mutant(
        CHANNELS, "channels", "if (threadIdx.x < lanes && c < channels) {\n      means", "if (threadIdx.x < lanes) {\n      means"
    ),
    Mutant(
        CHANNELS,
        "channels",
        "means[k * channels + c] * (k < chunks - 1 ? chunk : n - k * chunk)",
        "means[k * channels + c] * chunk",
    ),
    Mutant(CHANNELS, "channels", "d * d * (k < chunks - 1 ? chunk : n - k * chunk)", "d * d"),
    Mutant(CHANNELS, "channels", "spreads[k * channels + c] + d", "d"),
    Mutant(CHANNELS, "channels", "(weight ? weight[c] : A(1))", "weight[c]"),
    Mutant(CHANNELS, "channels", "first < channels; first += gridDim.x * (index_t)lanes", "first < channels; first += lanes * 2"),
    Mutant(CHANNELS, "channels", "along += d * (v - center)", "along += d * v"),
    Mutant(CHANNELS, "channels", "scale * r * r * A(0.5)", "scale * r * A(0.5)"),
    Mutant(CHANNELS, "channels", "number = row % (unsigned int)channels;", "number = row;"),
    Mutant(CHANNELS, "channels", "left = inner - (at - (index_t)row * inner);", "left = inner;"),
    Mutant(CHANNELS, "channels", "if (++number == channels) number = 0;", "++number;"),
    Mutant(CHANNELS, "channels", "if (--left == 0)", "if (--left < 0)"),
    Mutant(CHANNELS, "channels", "n, (aligned(y) && ... && aligned(x)),", "n, aligned(y),"),
    Mutant(CHANNELS, "channels", "(mean ? mean[c] : A(0))", "mean[c]"),
    Mutant(CHANNELS, "channels", "(shift ? shift[c] : A(0))", "shift[c]"),
    Mutant(SCATTER, "scatter", "place >= 0 && place < places", "place < places"),
    Mutant(SCATTER, "scatter", "place >= 0 && place < places", "place >= 0"),
    Mutant(SCATTER, "scatter", "begin > 0 && sorted[begin - 1] == sorted[begin]", "sorted[begin - 1] == sorted[begin]"),
    Mutant(SCATTER, "scatter", "begin > 0 && sorted[begin - 1] == sorted[begin]", "false", survives="right, but rounded twice"),
    Mutant(SCATTER, "scatter", "j + 1 < n && sorted", "sorted"),
    Mutant(SCATTER, "scatter", "begin + chunk < n ? begin + chunk : n", "begin + chunk"),
    Mutant(SCATTER, "scatter", "head = false;", ""),
    Mutant(SCATTER, "scatter", "sum = {};\n    }", "}"),
    Mutant(SCATTER, "scatter", "if (chunks == 1) continue;", ""),
    Mutant(SCATTER, "scatter", "order ? order[j] : j", "order[j]"),
    Mutant(SCATTER, "scatter", "order ? order[j] : j", "j"),
    Mutant(SCATTER, "scatter", "columns % size == 0 && aligned(x)", "aligned(x)"),
    Mutant(SCATTER, "scatter", "columns % size == 0 && aligned(x)", "columns % size == 0"),
    Mutant(SCATTER, "scatter", "if (e < step) to[e]", "to[e]"),
    Mutant(SCATTER, "scatter", "store<U>(load(to[e]) + sum", "store<U>(sum"),
    Mutant(SCATTER, "scatter", "part_places[2 * k] = sorted[begin]", "part_places[2 * k] = sorted[end - 1]"),
    Mutant(SCATTER, "scatter", "part_places[2 * k + 1] = sorted[end - 1]", "part_places[2 * k + 1] = sorted[begin]"),
    Mutant(SCATTER, "scatter", "if (!head && chunks > 1) leave(2 * k);", ""),
    Mutant(SCATTER, "scatter", "if (!tail) leave(2 * k + 1);", ""),
    Mutant(SCATTER, "scatter", "if (!tail) leave(2 * k + 1);", "leave(2 * k + 1);"),
    Mutant(SCATTER, "scatter", "goes_on && j + 1 < end) continue", "goes_on) continue"),
    # pool.cu
    Mutant(POOL, "max_pool", "if (h < 0 || h >= w.height) continue;", "if (h < 0) continue;"),
    Mutant(POOL, "max_pool", "if (v < 0 || v >= w.width) continue;", "if (v >= w.width) continue;"),
    Mutant(POOL, "max_pool", "value > best ||", "value >= best ||"),
    Mutant(POOL, "max_pool", "|| value != value", ""),
    Mutant(POOL, "max_pool", "if (which) which", "which"),
    Mutant(POOL, "max_pool", "(i + pad) / stride < outputs ?", "(i + pad) / stride <= outputs ?"),
    Mutant(POOL, "max_pool", "beyond > 0 ? (beyond + stride - 1) / stride : 0", "beyond > 0 ? (beyond + stride) / stride : 0"),
    Mutant(POOL, "max_pool", "k % w.kernel_w * w.dilation_w", "k % w.kernel_w"),
    Mutant(POOL, "average_pool", "left = left > 0 ? left : 0;", ""),
    Mutant(POOL, "average_pool", "if (v >= 0 && v < w.width) sum", "if (v < w.width) sum"),
    # attention.cu
    Mutant(ATTENTION, "attention", "key0 += TILE) {\n    __syncthreads();", "key0 += TILE) {"),
    Mutant(ATTENTION, "attention", "values);\n    __syncthreads();", "values);"),
    Mutant(ATTENTION, "attention", "__syncwarp();  // a row", "// a row"),
    Mutant(ATTENTION, "attention", "query >= s.queries || key >= s.keys ||", "query >= s.queries ||"),
    Mutant(ATTENTION, "attention", "query >= s.queries || key >= s.keys ||", "key >= s.keys ||"),
    Mutant(ATTENTION, "attention", "key > query", "key >= query"),
    Mutant(ATTENTION, "attention", "first + r < rows && d < size", "d < size"),
    Mutant(ATTENTION, "attention", "first + r < rows && d < size", "first + r < rows"),
    Mutant(ATTENTION, "attention", "acc[d] *= shrink", "acc[d] *= A(1)"),
    Mutant(ATTENTION, "attention", "top = lanes_reduce(top, LANES, Max());", ""),
    Mutant(ATTENTION, "attention", "top = lanes_reduce(top, LANES, Max());", "top = max;"),
    Mutant(ATTENTION, "attention", "if (query >= s.queries) return;", ""),
    Mutant(ATTENTION, "attention", "if (lane == 0) norm[at]", "norm[at]"),
    Mutant(ATTENTION, "attention", "top == A(-INFINITY) ? A(0) : top", "top"),
    Mutant(ATTENTION, "attention", "query0 = s.causal ? key0 : 0", "query0 = key0"),
    Mutant(COMMON, "attention", "by = lanes >> 1; by > 0", "by = lanes >> 2; by > 0"),
    Mutant(ATTENTION, "attention", "if (key >= s.keys) return;", ""),
    Mutant(ATTENTION, "attention", "slope[row][r] = d;\n    }\n    __syncwarp();", "slope[row][r] = d;\n    }"),
    Mutant(
        ATTENTION,
        "attention",
        "s.causal && query0 + TILE < s.keys ? query0 + TILE : s.keys",
        "s.keys",
        survives="keys that no query of the tile sees add nothing: slower, not wrong",
    ),
    # conv.cu
    Mutant(CONV, "conv_forward", "other >= 0 && row0 + row < s.rows ? filters", "other >= 0 ? filters"),
    Mutant(CONV, "conv_forward", "other >= 0 && row0 + row < s.rows ? filters", "row0 + row < s.rows ? filters"),
    Mutant(CONV, "conv_forward", "(unsigned int)(a.h + b.h) < (unsigned int)s.axis[1].source &&", ""),
    Mutant(CONV, "conv_forward", "if (image + n < s.images) {", "{"),
    Mutant(CONV, "conv_forward", "    __syncthreads();\n    const unsigned int across", "    const unsigned int across"),
    Mutant(CONV, "conv_forward", "describe(0);\n    __syncthreads();", "describe(0);"),
    Mutant(CONV, "conv_forward", "describe(slice + 1);\n      __syncthreads();", "describe(slice + 1);"),
    Mutant(CONV, "conv_back", "__syncthreads();  // the walks", "// the walks"),
    Mutant(CONV, "conv_forward", "tile.left[slice & 1][k][row]", "tile.left[0][k][row]"),
    Mutant(CONV, "conv_forward", "taps[slice & 1][t] = tap", "taps[0][t] = tap"),
    Mutant(CONV, "conv_forward", "left[2][DEPTH][ROWS + 4]", "left[2][DEPTH][ROWS + 3]"),
    Mutant(CONV, "conv_forward", "r / Own::tall * Own::over", "r / Own::tall * Own::beside"),
    Mutant(CONV, "conv_forward", "Own::wide > 1 && target % Own::wide == 0", "Own::wide > 1"),
    Mutant(CONV, "conv_back", "to[0] % Own::wide == 0 && ", ""),
    Mutant(CONV, "conv_forward", "aligned(out) &&", ""),
    Mutant(CONV, "conv_forward", "if (row >= s.rows) continue;", ""),
    Mutant(CONV, "conv_forward", "if (to[j] >= 0) out", "out"),
    Mutant(CONV, "conv_forward", "acc[r][c + j] + plus", "acc[r][c + j]"),
    Mutant(CONV, "conv_forward", "number += gridDim.x", "number += 7"),
    Mutant(CONV, "conv_forward", "if (k < terms) {", "{"),
    Mutant(CONV, "conv_back", "to[Own::wide - 1] == to[0] + Own::wide - 1", "true"),
    Mutant(CONV, "conv_back", "w.count = w.first < a.target ?", "w.count = true ?"),
    Mutant(CONV, "conv_back", "w.tap < w.tap_step && w.tap < a.kernel", "w.tap < a.kernel"),
    Mutant(CONV, "conv_back", "w.tap < w.tap_step && w.tap < a.kernel", "w.tap < w.tap_step"),
    Mutant(CONV, "conv_back", "(phase - a.padding) % a.stride + a.stride)", "(phase - a.padding) % a.stride)"),
    Mutant(CONV, "conv_back", "-(a.dilation / common)", "-a.dilation"),
    Mutant(CONV, "conv_back", "w.tap_step = a.stride / common", "w.tap_step = a.stride"),
    Mutant(CONV, "conv_back", "phase / unit %", "phase %"),
    Mutant(
        CONV,
        "conv_forward",
        "if (slice + 1 < slices) gather(slice + 1);",
        "gather(slice + 1);",
        survives="what lies behind the last term is described as nothing, and nothing is read: slower, not wrong",
    ),
    Mutant(CONV, "conv_weight", "begin + slices * DEPTH < all ? begin + slices * DEPTH : all", "begin + slices * DEPTH"),
    Mutant(CONV, "conv_weight", "if (begin + step * DEPTH + t < end) {", "{"),
    Mutant(CONV, "conv_weight", "pixel += DEPTH - images * target", "pixel += DEPTH"),
    Mutant(CONV, "conv_weight", "image += images", "image += 0"),
    Mutant(CONV, "conv_weight", "describe(step + 1);\n      __syncthreads();", "describe(step + 1);"),
    Mutant(CONV, "conv_weight", "other >= 0 && row0 + row < s.rows ? y", "other >= 0 ? y"),
    Mutant(CONV, "conv_weight", "if (row >= s.rows || column >= wide) continue;", "if (column >= wide) continue;"),
    Mutant(CONV, "conv_weight", "if (row >= s.rows || column >= wide) continue;", "if (row >= s.rows) continue;"),
    Mutant(CONV, "conv_weight", "parts[part * filters * wide + at]", "parts[at]"),
    Mutant(CONV, "conv_weight", "sum_parts[part * filters + at]", "sum_parts[at]"),
    Mutant(CONV, "conv_weight", "if (adds)", "if (adds && step)"),
    Mutant(CONV, "conv_weight", "offset / kw % kh * s.axis[1]", "offset / kw * s.axis[1]"),
]


@functools.cache
def case_of(mutant: Mutant) -> cases.Case:
    """The case that runs, in float32 where there are several."""
    found = [c for c in cases.all_cases() if c.name == mutant.case]
    return next((c for c in found if c.type == "float"), found[0])


def text_of(mutant: Mutant, file: str) -> str:
    """A file of the kernels, with the mistake if it belongs there, without what cannot be in a namespace."""
    text = (cases.KERNELS / file).read_text()
    if file == mutant.file:
        assert mutant.old in text, f"{file} does not contain {mutant.old!r}"
        text = text.replace(mutant.old, mutant.new, 1)
    text = re.sub(r"^#(include|pragma once).*$", "", text, flags=re.MULTILINE)
    return f'#line 1 "{file}"\n{text}'.replace('extern "C" ', "")


def qualified(name: str, number: int) -> str:
    """The name expression of a kernel, and of what it is instantiated for, in the namespace of a mutant."""
    name = re.sub(r"\b([A-Z]\w*|\w+_t)\b(?=[,>])", rf"mutant{number}::\1", name)
    return f"mutant{number}::{name}"


@functools.cache
def module_of(file: str) -> kernel.Module:
    """All mutants that are run by cases of a kernel file."""
    source, names = "#include <cuda_bf16.h>\n#include <cuda_fp16.h>\n", []
    for number, mutant in enumerate(MUTANTS):
        case = case_of(mutant)
        if case.file == file:
            text = "\n".join(text_of(mutant, part) for part in (COMMON, file))
            source += f"#undef CHUNK\n#undef THREADS\n#undef LINES\nnamespace mutant{number} {{\n{text}\n}}\n"
            names += [qualified(name, number) for name in case.names]
    return kernel.Module(build.build(source, f"mutants of {file}", names, checked=True, discover=False))


def run(number: int) -> BaseException | None:
    """What a mutant's case raises."""
    case = case_of(MUTANTS[number])
    module = module_of(case.file)
    before = kernel.configure(timeout_ms=300)
    try:
        case.run(lambda name: module[qualified(name, number)])
    except (kernel.KernelError, AssertionError) as error:
        return error
    finally:
        kernel.configure(**vars(before))
    return None


@pytest.mark.parametrize("number", range(len(MUTANTS)), ids=lambda n: f"{MUTANTS[n].file}-{n}")
def test_mutant_is_noticed(number: int) -> None:
    mutant = MUTANTS[number]
    error = run(number)
    if mutant.survives:
        assert error is None, f"noticed after all: {error}"
    else:
        assert error is not None, f"not noticed: {mutant}"


def test_score() -> None:
    noticed = [m for m in MUTANTS if not m.survives]  # the test above holds each to that
    assert len(noticed) >= 0.95 * len(MUTANTS)
    assert len(MUTANTS) >= 140
