// What the C++ tests need of a test framework: CHECK, CHECK_THROWS and a main that reports.
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace check {

inline int& failures() {
  static int count = 0;
  return count;
}

inline std::vector<std::pair<std::string, std::function<void()>>>& cases() {
  static std::vector<std::pair<std::string, std::function<void()>>> list;
  return list;
}

struct Register {
  Register(const char* name, std::function<void()> body) { cases().emplace_back(name, body); }
};

}  // namespace check

#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition); \
      ++check::failures();                                                               \
    }                                                                                    \
  } while (0)

#define CHECK_THROWS(expression, Exception)                                                 \
  do {                                                                                      \
    bool thrown = false;                                                                    \
    try {                                                                                   \
      expression;                                                                           \
    } catch (const Exception&) {                                                            \
      thrown = true;                                                                        \
    }                                                                                       \
    if (!thrown) {                                                                          \
      std::fprintf(stderr, "%s:%d: %s did not throw %s\n", __FILE__, __LINE__, #expression, \
                   #Exception);                                                             \
      ++check::failures();                                                                  \
    }                                                                                       \
  } while (0)

#define TEST(name)                                            \
  static void name();                                         \
  static const check::Register register_##name(#name, &name); \
  static void name()

int main(int argc, char** argv) {
  int run = 0;
  for (const auto& [name, body] : check::cases()) {
    if (argc > 1 && name.find(argv[1]) == std::string::npos) continue;
    std::printf("%s\n", name.c_str());
    body();
    ++run;
  }
  std::printf("%d cases, %d failed checks\n", run, check::failures());
  return check::failures() == 0 && run > 0 ? 0 : 1;
}
