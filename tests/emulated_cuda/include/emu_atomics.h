// Atomics. All fibers share one thread of the system, so a plain read-modify-write is atomic; the checker is told what it is.
#pragma once

namespace emu {

// Its callers are inlined, so the return address lies in the kernel.
template <class T, class F> EMU_UNSEEN T read_modify_write(T* p, F f) {
  emu_access(p, sizeof(T), ATOMIC, __builtin_return_address(0));
  const T old = *p;
  *p = f(old);
  emu_yield();
  return old;
}
template <class T> struct Plain { typedef T type; };  // keeps T from being deduced from the operand

}  // namespace emu

#define EMU_ATOMIC(NAME, RESULT)                                                                \
  template <class T> __forceinline__ T NAME(T* p, typename emu::Plain<T>::type v) {             \
    return emu::read_modify_write(p, [v](T old) -> T { return RESULT; });                       \
  }                                                                                             \
  template <class T> __forceinline__ T NAME##_block(T* p, typename emu::Plain<T>::type v) {     \
    return emu::read_modify_write(p, [v](T old) -> T { return RESULT; });                       \
  }
EMU_ATOMIC(atomicAdd, (T)(old + v))
EMU_ATOMIC(atomicSub, (T)(old - v))
EMU_ATOMIC(atomicExch, v)
EMU_ATOMIC(atomicMax, old > v ? old : v)
EMU_ATOMIC(atomicMin, old < v ? old : v)
EMU_ATOMIC(atomicAnd, (T)(old & v))
EMU_ATOMIC(atomicOr, (T)(old | v))
EMU_ATOMIC(atomicXor, (T)(old ^ v))
EMU_ATOMIC(atomicInc, old >= v ? 0 : old + 1)
EMU_ATOMIC(atomicDec, old == 0 || old > v ? v : old - 1)
#undef EMU_ATOMIC

template <class T> __forceinline__ T atomicCAS(T* p, typename emu::Plain<T>::type expected, typename emu::Plain<T>::type v) {
  return emu::read_modify_write(p, [expected, v](T old) { return old == expected ? v : old; });
}
