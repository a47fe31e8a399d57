// What this machine's processor runs beyond the baseline that everything else is compiled for.
#pragma once

namespace actormimic {

#if defined(__x86_64__)
inline bool has_avx2() {
  static const bool has = [] {
    __builtin_cpu_init();  // a caller may itself run before main()
    return __builtin_cpu_supports("avx2") != 0;
  }();
  return has;
}
#endif

}  // namespace actormimic
