// Counts on the command lines of the C++ programs.
#pragma once

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// Ends the program with 2 and a message unless `text` is a number of 1 or more.
inline int count_of(const char* name, const char* text) {
  int count = 0;
  const char* const end = text + std::strlen(text);
  const auto [rest, problem] = std::from_chars(text, end, count);
  if (problem == std::errc() && rest == end && count >= 1) return count;
  std::fprintf(stderr, "%s is %s; allowed: 1 or more\n", name, text);
  std::exit(2);
}
