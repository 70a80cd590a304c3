// How the runtime calls a kernel: its address, a function that unpacks an array of pointers to arguments, and its signature.
#pragma once

namespace emu {

template <class T> constexpr bool is_named(const char* name) {  // by its spelling, because the header of the type may be absent
  const char *text = __PRETTY_FUNCTION__, *end = text;
  while (*end) ++end;
  int length = 0;
  while (name[length]) ++length;
  const char* start = end - 1 - length;  // "... [with T = NAME]"
  for (int i = 0; i < length; ++i)
    if (start[i] != name[i]) return false;
  return start[-1] == ' ';
}

// CuPy's CIndexer<...>: sizes, and a place for indices that the kernel fills and CuPy leaves as it was.
template <class T> constexpr bool is_indexer() {
  const char *text = __PRETTY_FUNCTION__, *name = "T = CIndexer<";
  for (; *text; ++text) {
    int i = 0;
    while (name[i] && text[i] == name[i]) ++i;
    if (!name[i]) return true;
  }
  return false;
}

// One letter and the size in bytes: f float, i int, u unsigned, b bool, h __half, g __nv_bfloat16, s struct, x CIndexer;
// P before a pointee, v0 for void.
template <class T> char kind_of() {
  typedef std::remove_cv_t<T> U;
  if (std::is_same<U, bool>::value) return 'b';
  if (std::is_floating_point<U>::value) return 'f';
  if (std::is_integral<U>::value) return std::is_signed<U>::value ? 'i' : 'u';
  if (std::is_void<U>::value) return 'v';
  return is_indexer<U>() ? 'x' : is_named<U>("__half") ? 'h' : is_named<U>("__nv_bfloat16") ? 'g' : 's';
}
template <class T, bool Void = std::is_void<T>::value> struct SizeOf { static const int value = sizeof(T); };
template <class T> struct SizeOf<T, true> { static const int value = 0; };

template <class T> int describe(char* text) {
  typedef std::remove_pointer_t<T> U;
  return sprintf(text, "%s%c%d,", std::is_pointer<T>::value ? "P" : "", kind_of<U>(), SizeOf<U>::value);
}

struct Entry {
  void* function;
  void (*call)(void* function, void** arguments);
  char signature[1024];
};

template <class... A> struct Caller {
  template <size_t... I> EMU_UNSEEN static void unpack(void (*f)(A...), void** arguments, std::index_sequence<I...>) {
    f(*(std::remove_reference_t<A>*)arguments[I]...);
  }
  EMU_UNSEEN static void call(void* function, void** arguments) {
    unpack((void (*)(A...))function, arguments, std::index_sequence_for<A...>());
  }
};

template <class... A> Entry make_entry(void (*kernel)(A...)) {
  Entry entry = {(void*)kernel, &Caller<A...>::call, ""};
  char* text = entry.signature;
  ((text += describe<std::remove_cv_t<A>>(text)), ...);
  return entry;
}

}  // namespace emu
