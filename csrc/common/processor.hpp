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

// The instructions that the loss's widest variant is compiled for.
inline bool has_avx512() {
  static const bool has = [] {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }();
  return has;
}
#endif

}  // namespace actormimic
