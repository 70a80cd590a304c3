// A stand-in for libcublasLt on the host, with the declarations of cublasLt.h: what test_gemm.py calls through ctypes.
// One algorithm, no workspace; it insists that every attribute has the size that NVIDIA documents. What it was asked for is counted.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>

typedef int status;  // 0: success, 7: invalid value, 15: not supported
struct Desc { int compute, scale; std::map<int, uint64_t> attributes; };
struct Layout { int type; uint64_t rows, columns; int64_t lead; int32_t batch; int64_t stride; };
struct Preference { std::map<int, uint64_t> attributes; };
struct Algorithm { uint64_t data[8]; };
struct Result { Algorithm algorithm; size_t workspace; status state; float waves; int reserved[4]; };
static_assert(sizeof(Result) == 96, "as in cublasLt.h");

static void (*wait)();  // for what the emulated device has yet to do

static const uint64_t MAGIC = 0x5eed;
static int asked_epilogues[1024], asked_computes[128];

static double in_tf32(double x) {  // 10 bits after the point
  float value = (float)x;
  uint32_t bits;
  memcpy(&bits, &value, 4);
  bits = (bits + 0x1000) & ~0x1fffu;
  memcpy(&value, &bits, 4);
  return value;
}

static double read(const void* p, int type, int64_t i) {
  if (type == 0) return ((const float*)p)[i];
  if (type == 1) return ((const double*)p)[i];
  if (type == 2) return (double)((const _Float16*)p)[i];
  uint32_t bits = (uint32_t)((const uint16_t*)p)[i] << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static void write(void* p, int type, int64_t i, double x) {
  if (type == 0) ((float*)p)[i] = (float)x;
  else if (type == 1) ((double*)p)[i] = x;
  else if (type == 2) ((_Float16*)p)[i] = (_Float16)x;
  else {
    float value = (float)x;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    ((uint16_t*)p)[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

static size_t documented_size(int attribute) {
  return attribute == 3 || attribute == 4 || attribute == 7 ? 4 : attribute == 8 || attribute == 11 || attribute == 12 ? 8 : 0;
}

// the auxiliary matrix of epilogues with 128: a bit for each element where relu passes, or what gelu was computed from
static bool bits_of(uint64_t epilogue) { return epilogue & (2 | 8); }
static bool aux_is_as_documented(Desc* d, int64_t rows) {
  const int64_t lead = (int64_t)d->attributes[12];
  return d->attributes[11] && d->attributes[11] % 16 == 0 && lead >= rows && lead % (bits_of(d->attributes[7]) ? 128 : 8) == 0;
}
static double slope_of_gelu(double x) {
  const double k = 0.7978845608028654, t = tanh(k * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + 3 * 0.044715 * x * x);
}
static int nan_is_dropped = 0;  // by relu

extern "C" {
void wait_by(void (*function)()) { wait = function; }
int products_with_epilogue(int epilogue) { return asked_epilogues[epilogue]; }
int products_computed_in(int type) { return asked_computes[type]; }
void drop_nan(int yes) { nan_is_dropped = yes; }
status cublasLtCreate(void** handle) { *handle = new int(1); return 0; }
status cublasLtMatmulDescCreate(Desc** d, int compute, int scale) { *d = new Desc{compute, scale, {{7, 1}}}; return 0; }
status cublasLtMatmulDescSetAttribute(Desc* d, int attribute, const void* value, size_t size) {
  if (size != documented_size(attribute)) return 7;
  d->attributes[attribute] = 0;
  memcpy(&d->attributes[attribute], value, size);
  return 0;
}
status cublasLtMatrixLayoutCreate(Layout** l, int type, uint64_t rows, uint64_t columns, int64_t lead) {
  if (lead < (int64_t)rows) return 7;
  *l = new Layout{type, rows, columns, lead, 1, 0};
  return 0;
}
status cublasLtMatrixLayoutSetAttribute(Layout* l, int attribute, const void* value, size_t size) {
  if (attribute == 5 && size == 4) memcpy(&l->batch, value, 4);
  else if (attribute == 6 && size == 8) memcpy(&l->stride, value, 8);
  else return 7;
  return 0;
}
status cublasLtMatmulPreferenceCreate(Preference** p) { *p = new Preference; return 0; }
status cublasLtMatmulPreferenceSetAttribute(Preference* p, int attribute, const void* value, size_t size) {
  if (size != (attribute == 1 ? 8 : 4)) return 7;
  memcpy(&p->attributes[attribute], value, size);
  return 0;
}
status cublasLtMatmulPreferenceDestroy(Preference* p) { delete p; return 0; }

status cublasLtMatmulAlgoGetHeuristic(int* handle, Desc* d, Layout* a, Layout* b, Layout* c, Layout* out, Preference* p, int wanted,
                                      Result* results, int* found) {
  *found = 0;
  if (*handle != 1 || wanted != 1 || p->attributes[1] == 0) return 7;
  if (a->type == 1 && d->attributes[7] != 1) return 15;  // no epilogues in double
  const bool ta = d->attributes[3], tb = d->attributes[4];
  const uint64_t m = ta ? a->columns : a->rows, k = ta ? a->rows : a->columns, k2 = tb ? b->columns : b->rows, n = tb ? b->rows : b->columns;
  if (k != k2 || m != out->rows || n != out->columns || a->batch != out->batch || b->batch != out->batch || c != out) return 7;
  if (d->attributes[7] & 128 && (out->batch != 1 || !aux_is_as_documented(d, out->rows))) return 7;
  results[0] = Result{{{MAGIC}}, 0, 0, 1.f, {}};
  *found = 1;
  return 0;
}

status cublasLtMatmul(int* handle, Desc* d, const void* alpha, const void* a, Layout* la, const void* b, Layout* lb, const void* beta,
                      const void* c, Layout* lc, void* out, Layout* lo, const Algorithm* algorithm, void* workspace, size_t size, void*) {
  if (*handle != 1 || algorithm->data[0] != MAGIC || !workspace || size != 32u << 20 || c != out || lc != lo) return 7;
  wait();
  const double one = read(alpha, d->scale, 0), zero = read(beta, d->scale, 0);
  const bool tf32 = d->compute == 77;
  if (one != 1 || zero != 0 || (d->compute != (lo->type == 1 ? 70 : 68) && !(tf32 && lo->type == 0))) return 7;
  const bool ta = d->attributes[3], tb = d->attributes[4];
  const int64_t depth = ta ? la->rows : la->columns;
  const uint64_t epilogue = d->attributes[7];
  asked_epilogues[epilogue]++, asked_computes[d->compute]++;
  if (epilogue & 512) {  // of each column of op(B) the sum
    if (lo->batch != 1) return 7;
    for (int64_t j = 0; j < (int64_t)lo->columns; j++) {
      double x = 0;
      for (int64_t l = 0; l < depth; l++) x += read(b, lb->type, tb ? j + l * lb->lead : l + j * lb->lead);
      write((void*)d->attributes[8], lo->type, j, x);
    }
  }
  if (epilogue & 128 && !aux_is_as_documented(d, lo->rows)) return 7;
  uint8_t* const aux = (uint8_t*)d->attributes[11];
  const int64_t aux_lead = (int64_t)d->attributes[12];
  double* sums = new double[lo->rows]();
  for (int64_t s = 0; s < lo->batch; s++)
    for (int64_t j = 0; j < (int64_t)lo->columns; j++)
      for (int64_t i = 0; i < (int64_t)lo->rows; i++) {
        double x = 0;
        for (int64_t l = 0; l < depth; l++) {
          const double p = read(a, la->type, s * la->stride + (ta ? l + i * la->lead : i + l * la->lead));
          const double q = read(b, lb->type, s * lb->stride + (tb ? j + l * lb->lead : l + j * lb->lead));
          x += tf32 ? in_tf32(p) * in_tf32(q) : p * q;
        }
        if (epilogue & 4) x += read((const void*)d->attributes[8], lo->type, i);
        const int64_t at = i + j * aux_lead;
        const uint8_t bit = 1 << at % 8;
        if ((epilogue & 130) == 130) aux[at / 8] = x > 0 ? aux[at / 8] | bit : aux[at / 8] & ~bit;
        if ((epilogue & 160) == 160) write(aux, lo->type, at, x);
        if ((epilogue & 136) == 136) x = aux[at / 8] & bit ? x : 0;
        if ((epilogue & 192) == 192) x *= slope_of_gelu(read(aux, lo->type, at));
        sums[i] += x;
        if (epilogue & 2) x = x > 0 || (x != x && !nan_is_dropped) ? x : 0;
        if (epilogue & 32) x = 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
        write(out, lo->type, s * lo->stride + i + j * lo->lead, x);
      }
  for (int64_t i = 0; epilogue & 16 && i < (int64_t)lo->rows; i++) write((void*)d->attributes[8], lo->type, i, sums[i]);
  delete[] sums;
  return 0;
}
}
