// Checks that throw with the name, the value and what is allowed. Python sees std::invalid_argument
// as ValueError, std::out_of_range as IndexError and std::runtime_error as RuntimeError, so the
// caller's mistakes use the first two and a broken state the third.
#pragma once

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

namespace actormimic {

namespace detail {
template <typename... Parts>
std::string join(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}
}  // namespace detail

// Throws std::invalid_argument with the concatenated parts unless `ok`.
template <typename... Parts>
void require(bool ok, const Parts&... parts) {
  if (!ok) throw std::invalid_argument(detail::join(parts...));
}

// Throws std::runtime_error with the concatenated parts unless `ok`: a state that should not be.
template <typename... Parts>
void ensure(bool ok, const Parts&... parts) {
  if (!ok) throw std::runtime_error(detail::join(parts...));
}

// Throws std::invalid_argument unless low <= value <= high.
template <typename T>
void require_range(const char* name, T value, T low, T high) {
  require(low <= value && value <= high, name, " is ", value, "; allowed: ", low, " to ", high);
}

// Throws std::out_of_range unless 0 <= index < size.
inline void require_index(const char* name, std::int64_t index, std::int64_t size) {
  if (index < 0 || index >= size)
    throw std::out_of_range(detail::join(name, " ", index, " is out of range [0, ", size, ")"));
}

}  // namespace actormimic
