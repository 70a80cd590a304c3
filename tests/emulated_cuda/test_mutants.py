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
SCATTER, POOL, ATTENTION, CONV = "scatter.cu", "pool.cu", "attention.cu", "conv.cu"
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
    Mutant(COMMON, "Gelu", "threads = (index_t)gridDim.x * blockDim.x;", "threads = blockDim.x;"),
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
    Mutant(ACTIVATION, "Gelu", "(bias + i % columns)", "(bias + i)"),
    Mutant(ACTIVATION, "Gelu", "load(bias[i % columns])", "load(bias[i % columns + 1])"),
    Mutant(ACTIVATION, "Gelu", "columns % Pack<T>::size == 0 && ", ""),
    Mutant(ACTIVATION, "Gelu", "*(Pack<T>*)(y + i) = v;", "*(Pack<T>*)(y + i / 8 * 8) = v;"),
    Mutant(ACTIVATION, "Gelu", "0.3989422804014327", "0.3989422804014327 / 2"),
    Mutant(ACTIVATION, "Elu", "s > A(0) ? g : g * (s + p)", "s > A(0) ? g : g * s"),
    # softmax.cu
    Mutant(SOFTMAX, "softmax_forward", "row < (rows)", "row <= (rows)"),
    Mutant(SOFTMAX, "softmax_forward", "gridDim.x * (index_t)(blockDim.x >> 5) : gridDim.x", "gridDim.x : gridDim.x"),
    Mutant(SOFTMAX, "softmax_forward", "+ (threadIdx.x >> 5) : blockIdx.x", "+ (threadIdx.x >> 6) : blockIdx.x"),
    Mutant(SOFTMAX, "softmax_forward", "a.sum * exp(a.max - m)", "a.sum * exp(m - a.max)"),
    Mutant(SOFTMAX, "softmax_forward", "  if (m == A(-INFINITY)) return {m, A(0)};\n", ""),
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
    Mutant(SOFTMAX, "softmax_forward", "c < columns; c += threads) v = join", "c <= columns; c += threads) v = join"),
    Mutant(SOFTMAX, "softmax_forward", "from = x + row * x_stride", "from = x + row * columns"),
    Mutant(SOFTMAX, "softmax_forward", "Normalizer<A> room[32]", "Normalizer<A> room[2]"),
    Mutant(SOFTMAX, "softmax_forward", "const A m = Max()(a.max, b.max)", "const A m = a.max"),
    Mutant(SOFTMAX, "log_softmax_forward", "load(from[c]) - v.max;", "load(from[c]);"),
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
    Mutant(NORM, "rms_norm", "if (weight) v *=", "if (bias) v *="),
    Mutant(NORM, "rms_norm", "row += gridDim.x", "row += gridDim.x + 1"),
    # optim.cu
    Mutant(OPTIM, "adam", END, "begin + CHUNK"),
    Mutant(OPTIM, "adam", "(low + high + 1) >> 1", "(low + high) >> 1"),
    Mutant(OPTIM, "adam", "t.first_block[middle] <= (int)", "t.first_block[middle] < (int)"),
    Mutant(OPTIM, "adam", "high = middle - 1", "high = middle"),
    Mutant(OPTIM, "adam", "i += blockDim.x", "i += 64"),
    Mutant(OPTIM, "adam", "#define CHUNK 4096", "#define CHUNK 4000"),
    Mutant(OPTIM, "adam", "sqrt(most) / root", "sqrt(most) * root"),
    Mutant(OPTIM, "adam", "if (t.most[k]) {", "{"),
    Mutant(OPTIM, "sgd", "first ? g : momentum", "momentum"),
    Mutant(OPTIM, "update_NAdam", "sqrt(b) / r[3]", "sqrt(b) * r[3]"),
    Mutant(OPTIM, "update_RMSprop", "if (r[4] == A(0)) return", "if (r[4] != A(0)) return"),
    Mutant(OPTIM, "update_Rprop", "b *= r[0], g = A(0)", "b *= r[0]"),
    Mutant(OPTIM, "update_ASGD", "store<T>(left - d)", "store<T>(p - d)"),
    Mutant(OPTIM, "update_Adagrad", "if (t.v[k]) b = load", "b = load"),
    Mutant(OPTIM, "update_Lion", "if (t.m[k]) t.m[k][i] = store<S>(a);", ""),
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
    Mutant(CAST, "cast", "i = whole * size + thread", "i = thread"),
    Mutant(CAST, "cast", "i / columns * x_stride", "i / columns * columns"),
    Mutant(EMBEDDING, "embedding", "row >= 0 && row < rows", "row < rows"),
    Mutant(EMBEDDING, "embedding", "row >= 0 && row < rows", "row >= 0 && row <= rows"),
    Mutant(EMBEDDING, "embedding", "columns % Pack<T>::size == 0 && ", ""),
    Mutant(EMBEDDING, "embedding", "atomicExch(bad, 1)", "*bad = 1"),
    Mutant(EMBEDDING, "embedding", "if (!is_row && bad)", "if (!is_row)"),
    Mutant(EMBEDDING, "embedding", "k < n * across", "k < n * columns"),
    Mutant(REDUCE, "sums", "__syncthreads();  // the parts", "// the parts"),
    Mutant(REDUCE, "sums", "= sum;\n    __syncthreads();", "= sum;"),
    Mutant(REDUCE, "sums", "(k + 1) * chunk < n ? (k + 1) * chunk : n", "(k + 1) * chunk"),
    Mutant(REDUCE, "sums", "if (i < inner)\n", ""),
    Mutant(REDUCE, "sums", "threadIdx.y == 0 && i < inner", "threadIdx.y == 0"),
    Mutant(REDUCE, "sums", "part[w][threadIdx.x]", "part[w][threadIdx.x + 2]"),
    Mutant(REDUCE, "sums", "sum = warps ? warp_reduce(sum, Sum()) :", "sum ="),
    Mutant(REDUCE, "sums", "if (thread == 0) out", "if (threadIdx.x == 0) out"),
    Mutant(REDUCE, "sums", "item += gridDim.x", "item += 4"),
    Mutant(SCATTER, "scatter", "if (place < 0 || place >= places) return;", "if (place < 0) return;"),
    Mutant(SCATTER, "scatter", "begin > 0 && sorted[begin - 1] == sorted[begin]", "sorted[begin - 1] == sorted[begin]"),
    Mutant(SCATTER, "scatter", "j + 1 < n && sorted", "sorted"),
    Mutant(SCATTER, "scatter", "head = false;", ""),
    Mutant(SCATTER, "scatter", "if (end >= n) continue;", "if (end > n) continue;"),
    Mutant(SCATTER, "scatter", "if (begin > 0 && sorted[begin - 1] == place) continue;", ""),
    Mutant(SCATTER, "scatter", "next < chunks && ", ""),
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
    Mutant(ATTENTION, "attention", "by = lanes >> 1; by > 0", "by = lanes >> 2; by > 0"),
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
            source += f"#undef CHUNK\n#undef THREADS\nnamespace mutant{number} {{\n{text}\n}}\n"
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
